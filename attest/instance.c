/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/instance.h"
#include "base/der.h"

#define FLAGS_MAX 6 /* [0] .. [5] */
#define TAGS_MAX 31 /* one byte has room for [0] .. [30] */

static struct span
read_text(struct reader *r)
{
	struct span s = der_value(r, DER_UTF8);

	if (s.len > 0 && memchr(s.data, 0, s.len) != NULL)
		r->failed = true;
	return s;
}

/* [0] securityVersion, [1] isProduction, [2] to [5] other flags, and whatever
 * Google appends: ascending, each at most once. */
static void
read_flags(struct reader *r, struct gce_instance *g)
{
	struct reader outer = der_open(r, DER_EXPLICIT(0)), s;
	uint8_t next = 0;

	s = der_open(&outer, DER_SEQUENCE);
	while (reader_left(&s) > 0) {
		uint8_t tag = der_tag(&s);
		struct reader v = der_open(&s, tag);
		bool set = false;

		if (tag < DER_EXPLICIT(next) || tag >= DER_EXPLICIT(TAGS_MAX))
			s.failed = true;
		next = (uint8_t)(tag - DER_EXPLICIT(0) + 1);
		if (next > FLAGS_MAX)
			continue;
		if (tag == DER_EXPLICIT(0))
			(void)der_uint(&v, DER_INTEGER, UINT64_MAX);
		else
			set = der_bool(&v);
		if (tag == DER_EXPLICIT(1))
			g->is_production = set;
		der_close(&s, &v);
	}
	der_close(&outer, &s);
	der_close(r, &outer);
}

int
gce_instance_parse(struct span der, struct gce_instance *ret)
{
	struct reader outer = reader_init(der), r;
	struct gce_instance g = { 0 };

	if (der.len > GCE_INSTANCE_MAX)
		return CVM_E_PARSE;
	r = der_open(&outer, DER_SEQUENCE);
	g.zone = read_text(&r);
	g.project_number = der_uint(&r, DER_INTEGER, UINT64_MAX);
	g.project_id = read_text(&r);
	g.id = der_uint(&r, DER_INTEGER, UINT64_MAX);
	g.name = read_text(&r);
	if (reader_left(&r) > 0)
		read_flags(&r, &g);
	der_close(&outer, &r);
	if (reader_end(&outer) != CVM_OK)
		return CVM_E_PARSE;
	*ret = g;
	return CVM_OK;
}
