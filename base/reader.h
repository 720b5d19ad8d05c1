/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_READER_H
#define BASE_READER_H

#include <stdbool.h>

#include "base/blob.h"

/*
 * The one reader for bytes from outside. It never reads beyond its span; the
 * first failure latches, later reads yield zeros, and reader_end() tells. So a
 * parser reads like the table in the specification and checks once.
 */
struct reader {
	const uint8_t *data;
	size_t len;
	size_t pos;
	bool failed;
};

static inline struct reader
reader_init(struct span s)
{
	return (struct reader){ .data = s.data, .len = s.len };
}

static inline size_t
reader_left(const struct reader *r)
{
	return r->failed ? 0 : r->len - r->pos;
}

/* The only place that advances: n bytes from here, or NULL and failed. Here,
 * since certificates and JSON are read by single bytes. */
static inline const uint8_t *
reader_take(struct reader *r, size_t n)
{
	const uint8_t *at;

	if (r->failed || n > r->len - r->pos) {
		r->failed = true;
		return NULL;
	}
	at = n > 0 ? r->data + r->pos : r->data;
	r->pos += n;
	return at;
}

static inline uint8_t
read_u8(struct reader *r)
{
	const uint8_t *at = reader_take(r, 1);

	return at != NULL ? *at : 0;
}

uint16_t read_be16(struct reader *r);
uint32_t read_be32(struct reader *r);
uint64_t read_be64(struct reader *r);
uint16_t read_le16(struct reader *r);
uint32_t read_le32(struct reader *r);
uint64_t read_le64(struct reader *r);
/* Copies n bytes to out (zeros on failure). */
void read_bytes(struct reader *r, uint8_t *out, size_t n);

/* Borrows n bytes; an empty span on failure. */
static inline struct span
read_span(struct reader *r, size_t n)
{
	const uint8_t *at = reader_take(r, n);

	return r->failed ? span(NULL, 0) : span(at, n);
}

static inline void
read_skip(struct reader *r, size_t n)
{
	(void)reader_take(r, n);
}

/* Skips n bytes that must all be zero; latches failure otherwise. */
void read_zero(struct reader *r, size_t n);

/* 0 when nothing failed and nothing is left, else CVM_E_PARSE. */
int reader_end(const struct reader *r) _must_check_;

/*
 * The one writer: appends to a blob, latches failure (out of memory), so that
 * an encoder reads like the table too. writer_end() tells. One that is off
 * writes nothing, where nobody will read it.
 */
struct writer {
	struct blob out;
	size_t room; /* bytes that out.data has space for; 0: out.len */
	bool failed, off;
};

void write_u8(struct writer *w, uint8_t v);
void write_be16(struct writer *w, uint16_t v);
void write_be32(struct writer *w, uint32_t v);
void write_be64(struct writer *w, uint64_t v);
void write_bytes(struct writer *w, struct span s);
/* u32be length, then the bytes. */
void write_field(struct writer *w, struct span s);
/* 0 or CVM_E_NOMEM; on success the bytes move to *ret. */
int writer_end(struct writer *w, struct blob *ret) _must_check_;
void writer_clear(struct writer *w);

#endif
