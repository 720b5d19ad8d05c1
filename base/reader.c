/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"

#define ROOM_FIRST 256

static uint64_t
read_be(struct reader *r, size_t n)
{
	const uint8_t *at = reader_take(r, n);
	uint64_t v = 0;

	for (size_t i = 0; at != NULL && i < n; i++)
		v = v << 8 | at[i];
	return v;
}

static uint64_t
read_le(struct reader *r, size_t n)
{
	const uint8_t *at = reader_take(r, n);
	uint64_t v = 0;

	for (size_t i = n; at != NULL && i > 0; i--)
		v = v << 8 | at[i - 1];
	return v;
}

uint16_t
read_be16(struct reader *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t
read_be32(struct reader *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t
read_be64(struct reader *r)
{
	return read_be(r, 8);
}

uint16_t
read_le16(struct reader *r)
{
	return (uint16_t)read_le(r, 2);
}

uint32_t
read_le32(struct reader *r)
{
	return (uint32_t)read_le(r, 4);
}

uint64_t
read_le64(struct reader *r)
{
	return read_le(r, 8);
}

void
read_bytes(struct reader *r, uint8_t *out, size_t n)
{
	const uint8_t *at = reader_take(r, n);

	if (n == 0)
		return;
	if (at != NULL)
		memcpy(out, at, n);
	else
		memset(out, 0, n);
}

void
read_zero(struct reader *r, size_t n)
{
	struct span s = read_span(r, n);

	if (n > 0 && !span_is_filled(s, 0))
		r->failed = true;
}

int
reader_end(const struct reader *r)
{
	return r->failed || r->pos != r->len ? CVM_E_PARSE : CVM_OK;
}

/* With room for those to come too: fields are short, and there are many. s may
 * lie inside of what is written: copied before the old memory goes. */
static bool
grow(struct writer *w, struct span s)
{
	size_t used = w->out.len, room;
	uint8_t *grown;

	if (s.len > SIZE_MAX / 2 - used)
		return false;
	room = 2 * (used + s.len);
	grown = malloc(room > ROOM_FIRST ? room : ROOM_FIRST);
	if (grown == NULL)
		return false;
	if (used > 0)
		memcpy(grown, w->out.data, used);
	memcpy(&grown[used], s.data, s.len);
	free(w->out.data);
	w->out = (struct blob){ grown, used + s.len };
	w->room = room > ROOM_FIRST ? room : ROOM_FIRST;
	return true;
}

void
write_bytes(struct writer *w, struct span s)
{
	if (w->off || w->failed || s.len == 0)
		return;
	if (w->room <= w->out.len || s.len > w->room - w->out.len) {
		w->failed = !grow(w, s);
		return;
	}
	memcpy(&w->out.data[w->out.len], s.data, s.len);
	w->out.len += s.len;
}

static void
write_be(struct writer *w, uint64_t v, size_t n)
{
	uint8_t buf[8];

	if (w->off)
		return;
	for (size_t i = n; i > 0; i--, v >>= 8)
		buf[i - 1] = (uint8_t)v;
	write_bytes(w, span(buf, n));
}

void
write_u8(struct writer *w, uint8_t v)
{
	write_be(w, v, 1);
}

void
write_be16(struct writer *w, uint16_t v)
{
	write_be(w, v, 2);
}

void
write_be32(struct writer *w, uint32_t v)
{
	write_be(w, v, 4);
}

void
write_be64(struct writer *w, uint64_t v)
{
	write_be(w, v, 8);
}

void
write_field(struct writer *w, struct span s)
{
	/* A length that does not fit its field must not be cut. */
	if (s.len > UINT32_MAX) {
		w->failed = true;
		return;
	}
	write_be32(w, (uint32_t)s.len);
	write_bytes(w, s);
}

/* What is kept has no more memory than it needs, where there is any. */
static void
give_back(struct writer *w)
{
	uint8_t *exact;

	if (w->room <= w->out.len || w->out.len == 0)
		return;
	exact = realloc(w->out.data, w->out.len);
	if (exact != NULL)
		w->out.data = exact;
}

int
writer_end(struct writer *w, struct blob *ret)
{
	if (w->failed) {
		blob_clear(&w->out);
		w->room = 0;
		return CVM_E_NOMEM;
	}
	give_back(w);
	*ret = w->out;
	w->out = (struct blob){ NULL, 0 };
	w->room = 0;
	return CVM_OK;
}

void
writer_clear(struct writer *w)
{
	if (w == NULL)
		return;
	blob_clear(&w->out);
	w->room = 0;
	w->failed = false;
}
