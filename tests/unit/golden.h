/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include <stddef.h>

/* The file that many runs begin with, each alone in its directory. */
void golden_keep(const char *path);
void golden_restore(const char *dir, const char *path);
size_t golden_size(void);
void golden_free(void);

#endif
