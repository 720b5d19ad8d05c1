/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_COLLATERAL_SORT_H
#define TOOLS_COLLATERAL_SORT_H

#include "attest/evidence.h"

/*
 * Endorsements that came by another way than "collateral fetch": each gets the
 * name that appraisals look for, by what it holds. Nothing is judged here; what
 * is in a file is as good as its signatures, to whoever appraises with it.
 */
#define COLLATERAL_FILE_MAX ((size_t)8 * 1024 * 1024)

/*
 * Adds what a file holds: Intel's TCB info, QE identity, or both with their
 * chains and CRLs in one JSON document, as quote verification libraries take
 * it; certificates of Intel's or AMD's CAs (PEM); a CRL (DER or PEM).
 * CVM_E_PARSE or CVM_E_UNSUPPORTED with what it is not; CVM_E_INVAL when there
 * is another one of its kind. path names it in messages.
 */
int collateral_sort(struct span data, const char *path, struct endorsements *e,
    struct why *reterr_why) _must_check_;

/* A directory of endorsements, or one such file. */
int collateral_load(const char *path, struct endorsements **ret,
    struct why *reterr_why) _must_check_;

#endif
