/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_EVIDENCE_FILES_H
#define TOOLS_EVIDENCE_FILES_H

#include "attest/evidence.h"

/*
 * Evidence as others hand it over, in files: whatever their content is, they
 * are refused, or read whole and no further than max bytes.
 */

/* A regular file, at most max bytes and not empty. A symbolic link, directory,
 * FIFO, socket or device is refused by its kind, without waiting for it; "-"
 * is standard input. */
int evidence_file(const char *path, size_t max, struct blob *ret,
    struct why *reterr_why) _must_check_;
/* An SNP report or a TDX quote, by its first bytes; CVM_E_UNSUPPORTED when it
 * is neither. path is for messages. */
int evidence_tee_kind(struct span report, const char *path, enum tee_kind *ret,
    struct why *reterr_why) _must_check_;
/* TPM2B_PUBLIC and TPM2B_ATTEST: takes the size field off when there is one
 * that fits, so that both forms are read. */
void evidence_unwrap_2b(struct blob *b);
/*
 * PCR values as JSON: {"0": "HEX", "7": "HEX"}, or one such object for each
 * bank: {"sha256": {...}, ...}. Those of this bank and in mask, no others.
 */
int evidence_pcrs(struct span json, const char *path, enum hash_alg bank,
    uint32_t mask, struct pcr_values *ret, struct why *reterr_why) _must_check_;

#endif
