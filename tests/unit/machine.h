/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_MACHINE_H
#define TESTS_UNIT_MACHINE_H

#include <stdbool.h>

/* A virtual CVM (tests/vcvm) for a test program. */
struct machine {
	char dir[64];
};

/* Starts one, of a platform with more options perhaps ("snp --vmpl 2"); false,
 * aloud, where VCVM does not name the program or FUSE is missing: the tests
 * must be skipped. */
bool machine_start(struct machine *m, const char *platform);
void machine_stop(struct machine *m);
/* vcvm ctl DIR ..., which must succeed. */
void machine_ctl(const struct machine *m, const char *words);
/* Behave again; boots a machine that is gone, and prints its log. */
void machine_reset(const struct machine *m);
/* DIR/root/NAME, in a static buffer that the next call overwrites. */
const char *machine_path(const struct machine *m, const char *name);

#endif
