/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_VERIFY_H
#define TOOLS_VERIFY_H

#include "tools/options.h"

/* Why nobody can tell, where verdict_lacks(). */
#define NO_ENDORSEMENTS                                                        \
	"endorsements are missing (--collateral, --vek, --ca), without which " \
	"nothing is known to be genuine"

/*
 * "verify" of evidence that is no bundle: SNP report or TDX quote, TPM quote,
 * event logs, in files of their own. Prints the verdict, or what is wrong with
 * the files; returns the exit status.
 */
bool verify_is_raw(const struct tool *t);
int verify_raw(const struct tool *t, int64_t now);
/* The name of an option that only raw files take; NULL: none is given. */
const char *verify_raw_only(const struct tool *t);

#endif
