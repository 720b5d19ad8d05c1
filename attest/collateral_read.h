/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_COLLATERAL_READ_H
#define ATTEST_COLLATERAL_READ_H

#include "attest/collateral.h"
#include "conf/json.h"

/* A JSON document that is being read, and where refusals are explained. */
struct source {
	const struct json_doc *doc;
	const char *name; /* of the file */
	struct why *why;
};

/* Names the item, what was expected and what it is. */
int source_refuse(const struct source *s, const struct json *item,
    const char *expected) _must_check_;

/*
 * Members of an object by name. Each refuses an absent member, one of another
 * type, and a value out of bounds; *ret is written on success only.
 */
int get_member(const struct source *s, const struct json *object,
    const char *member, const struct json **ret) _must_check_;
int get_uint(const struct source *s, const struct json *object,
    const char *member, uint32_t max, uint32_t *ret) _must_check_;
int get_u16(const struct source *s, const struct json *object,
    const char *member, uint16_t *ret) _must_check_;
/* A string that fits out with its NUL. */
int get_text(const struct source *s, const struct json *object,
    const char *member, char *out, size_t len) _must_check_;
/* Exactly 2 * len digits of either case. */
int get_hex(const struct source *s, const struct json *object,
    const char *member, uint8_t *out, size_t len) _must_check_;
int get_array(const struct source *s, const struct json *object,
    const char *member, size_t max, const struct json **ret,
    size_t *ret_n) _must_check_;
/* Seconds since the epoch, and the text itself. */
int get_date(const struct source *s, const struct json *object,
    const char *member, int64_t *ret,
    char out[static TCB_DATE_LEN]) _must_check_;

#endif
