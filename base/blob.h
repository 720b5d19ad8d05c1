/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * A byte string. A blob owns its memory (malloc); a struct span borrows.
 * Neither holds secrets: those live in struct secret.
 */
struct blob {
	uint8_t *data;
	size_t len;
};

struct span {
	const uint8_t *data;
	size_t len;
};

/* A span over a blob, or over any (pointer, length); valid as long as it is. */
static inline struct span
span(const void *data, size_t len)
{
	return (struct span){ (const uint8_t *)data, len };
}

static inline struct span
blob_span(const struct blob *b)
{
	return (struct span){ b->data, b->len };
}

/* Replaces *b by a copy of s. CVM_E_NOMEM leaves *b unchanged. */
int blob_set(struct blob *b, struct span s) _must_check_;
/* Appends s; CVM_E_NOMEM leaves *b unchanged. */
int blob_append(struct blob *b, struct span s) _must_check_;
/* Frees the content and leaves an empty blob; usable with _cleanup_. */
void blob_clear(struct blob *b);

/* Public data: equal length and bytes. Constant time in the bytes. */
int span_equal(struct span a, struct span b);
/* True when every byte of s equals v (false for an empty span). */
int span_is_filled(struct span s, uint8_t v);

/*
 * Hex. hex_encode writes lower case and a NUL; out must hold 2 * len + 1.
 * hex_decode accepts both cases, exactly 2 * len digits and nothing else,
 * otherwise CVM_E_PARSE and out is untouched.
 */
char *hex_encode(struct span s, char *out, size_t outlen);
int hex_decode(const char *hex, uint8_t *out, size_t len) _must_check_;
/* Decodes any even number of digits up to max bytes. */
int hex_decode_blob(const char *hex, size_t max, struct blob *ret) _must_check_;

/* Base64 (RFC 4648 section 4, with padding, no line breaks), strict. */
int base64_encode(struct span s, char **ret_text) _must_check_;
int base64_decode(const char *text, size_t max, struct blob *ret) _must_check_;
/* The same of text in lines: blanks, tabs and line ends are passed over
 * wherever they are. Nothing but these is CVM_E_PARSE. */
int base64_decode_lines(struct span s, struct blob *ret) _must_check_;

#endif
