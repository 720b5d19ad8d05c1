/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_FORKID_H
#define BASE_FORKID_H

#include <stdint.h>

/*
 * How often this process image was forked since it was loaded: one counter
 * bumped in the child by pthread_atfork, or on the first look of a child that
 * was made without it; users compare with the value that they remembered. Call
 * forkid_setup() before the first use.
 */
void forkid_setup(void);
uint64_t forkid(void);

#endif
