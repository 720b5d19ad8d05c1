/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_FUZZ_FAKE_MACHINE_H
#define TESTS_FUZZ_FAKE_MACHINE_H

#include <stdbool.h>

/*
 * A machine for programs that are linked with --wrap of what asks a machine:
 * rounds that admit or deny at will, without evidence, a vTPM that seals in
 * memory, and PINs that cost no scrypt.
 */
#define FAKE_MACHINE_PCR 0xab /* every byte of every PCR */
extern bool fake_machine_denies;

#endif
