/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_FUZZ_API_H
#define TESTS_FUZZ_API_H

#include "base/blob.h"
#include "base/pkcs11.h"
#include "base/reader.h"

/* Between fuzz-api.c and what makes arguments for it. */
#define CAST_PTR(p) ((CK_ULONG)(uintptr_t)(p))

/* Memory of one call, filled with what nobody wrote; freed after it. */
void *hold(size_t len);
/* Data of the input; NULL for a length of 255. */
struct span take_data(struct reader *r);
CK_BYTE_PTR bytes_of(struct span s);
CK_OBJECT_HANDLE a_key(uint8_t n);
/* Fewer attributes below depth 0. */
CK_ATTRIBUTE *take_template(struct reader *r, CK_ULONG *n, unsigned depth);
/* The parameter of m, whose type is set. */
void take_params(struct reader *r, CK_MECHANISM *m);

#endif
