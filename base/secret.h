/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/blob.h"

/*
 * Key, PIN and seed bytes. The memory is page-backed, excluded from core dumps
 * (MADV_DONTDUMP) and wiped on free and on shrink. It survives fork on
 * purpose: forked workers need the keys.
 */
#define SECRET_MAX (1024 * 1024)

struct secret;

/* A secret of len zero bytes, len <= SECRET_MAX; NULL when out of memory. */
struct secret *secret_new(size_t len);
/* A secret holding a copy of s. */
struct secret *secret_copy(struct span s);
uint8_t *secret_data(struct secret *s);
struct span secret_span(const struct secret *s);
size_t secret_len(const struct secret *s);
/* Cuts to len <= current length and wipes the rest. */
void secret_shrink(struct secret *s, size_t len);
/* Wipes and frees; accepts NULL and a pointer to NULL; leaves NULL. */
void secret_freep(struct secret **s);

/* Wipes a stack copy; never optimised away. */
void secret_wipe(void *p, size_t len);

#endif
