/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_TUPLE_H
#define BASE_TUPLE_H

#include "base/blob.h"

/*
 * TUPLE(tag, f1, ...) = u16be len(tag) || tag || for each field u32be len ||
 * bytes: the unambiguous encoding under every hash and KDF of this project
 * (attest/PROTOCOL.md). tag is ASCII.
 */
int tuple(const char *tag, const struct span *fields, size_t n,
    struct blob *ret) _must_check_;

/* An 8-byte big-endian integer as a field; buf must outlive the span. */
struct span tuple_u64(uint64_t v, uint8_t buf[static 8]);

#endif
