/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_RECEIPT_LOG_H
#define ATTEST_RECEIPT_LOG_H

#include "attest/receipt_file.h"
#include "attest/round.h"

/*
 * The writer of a token's receipt log: the witness of its rounds. It costs a
 * round two short looks at the file, one before the root is computed (for the
 * chain leaf) and one after the appraisal, with one write of all lines.
 */
struct receipt_log;

/* cfg outlives it. Touches no file. */
int receipt_log_new(const struct config_token *cfg,
    struct receipt_log **ret) _must_check_;
void receipt_log_freep(struct receipt_log **l);
/* What rounds_set_witness() is to be given. */
void receipt_log_witness(struct receipt_log *l, struct round_witness *ret);

#endif
