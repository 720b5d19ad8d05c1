/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/instance.h"

/* DER (X.690): definite lengths in their shortest form, nothing left over. */
#define DER_BOOLEAN 0x01
#define DER_INTEGER 0x02
#define DER_UTF8 0x0c
#define DER_SEQUENCE 0x30
#define DER_CONTEXT 0xa0 /* constructed, [0] */
#define FLAGS_MAX 6	 /* [0] .. [5] */

/* The contents of the next element, which must have this tag. */
static struct span
read_der(struct reader *r, uint8_t tag)
{
	uint8_t got = read_u8(r);
	size_t len = read_u8(r);

	if (len == 0x81) {
		len = read_u8(r);
		if (len < 0x80)
			r->failed = true;
	} else if (len == 0x82) {
		len = read_be16(r);
		if (len < 0x100)
			r->failed = true;
	} else if (len >= 0x80) {
		r->failed = true;
	}
	if (got != tag)
		r->failed = true;
	return read_span(r, len);
}

static uint64_t
read_integer(struct reader *r)
{
	struct span s = read_der(r, DER_INTEGER);
	struct reader v = reader_init(s);
	uint64_t n = 0;

	/* Not negative, not padded, 64 bits. */
	if (s.len == 0 || (s.data[0] & 0x80) || s.len > 9 ||
	    (s.len > 1 && s.data[0] == 0 && !(s.data[1] & 0x80)) ||
	    (s.len == 9 && s.data[0] != 0)) {
		r->failed = true;
		return 0;
	}
	while (reader_left(&v) > 0)
		n = n << 8 | read_u8(&v);
	return n;
}

static bool
read_boolean(struct reader *r)
{
	struct span s = read_der(r, DER_BOOLEAN);

	if (s.len != 1 || (s.data[0] != 0 && s.data[0] != 0xff)) {
		r->failed = true;
		return false;
	}
	return s.data[0] != 0;
}

static struct span
read_text(struct reader *r)
{
	struct span s = read_der(r, DER_UTF8);

	if (s.len > 0 && memchr(s.data, 0, s.len) != NULL)
		r->failed = true;
	return s;
}

/* [0] securityVersion, [1] isProduction, [2] to [5] other flags: ascending,
 * each at most once. */
static void
read_flags(struct reader *r, struct gce_instance *g)
{
	struct reader outer = reader_init(read_der(r, DER_CONTEXT)), s;
	uint8_t next = 0;

	s = reader_init(read_der(&outer, DER_SEQUENCE));
	while (reader_left(&s) > 0 && !r->failed) {
		uint8_t tag = s.data[s.pos];
		struct reader v = reader_init(read_der(&s, tag));
		bool set = false;

		if (tag < DER_CONTEXT + next || tag >= DER_CONTEXT + FLAGS_MAX)
			r->failed = true;
		next = (uint8_t)(tag - DER_CONTEXT + 1);
		if (tag == DER_CONTEXT)
			(void)read_integer(&v);
		else
			set = read_boolean(&v);
		if (tag == DER_CONTEXT + 1)
			g->is_production = set;
		if (reader_end(&v) != CVM_OK)
			r->failed = true;
	}
	if (reader_end(&s) != CVM_OK || reader_end(&outer) != CVM_OK)
		r->failed = true;
}

int
gce_instance_parse(struct span der, struct gce_instance *ret)
{
	struct reader outer = reader_init(der), r;
	struct gce_instance g = { 0 };

	if (der.len > GCE_INSTANCE_MAX)
		return CVM_E_PARSE;
	r = reader_init(read_der(&outer, DER_SEQUENCE));
	g.zone = read_text(&r);
	g.project_number = read_integer(&r);
	g.project_id = read_text(&r);
	g.id = read_integer(&r);
	g.name = read_text(&r);
	if (reader_left(&r) > 0)
		read_flags(&r, &g);
	if (reader_end(&r) != CVM_OK || reader_end(&outer) != CVM_OK)
		return CVM_E_PARSE;
	*ret = g;
	return CVM_OK;
}
