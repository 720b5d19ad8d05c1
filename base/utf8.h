/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/blob.h"

/* How many bytes the UTF-8 sequence at the beginning of s has (RFC 3629), 1 to
 * 4; 0 when it is malformed or cut. s is not empty. */
size_t utf8_len(struct span s);

#endif
