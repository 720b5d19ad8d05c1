/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/tdx_parts.h"
#include "base/reader.h"

/*
 * DER (X.690) as far as the extension uses it: definite lengths in their
 * shortest form, no tag above 30. An element is SEQUENCE { OID, value }.
 */
#define TAG_BOOLEAN 0x01
#define TAG_INTEGER 0x02
#define TAG_OCTETS 0x04
#define TAG_OID 0x06
#define TAG_ENUMERATED 0x0a
#define TAG_SEQUENCE 0x30

/* 1.2.840.113741.1.13.1, under which every element has its arc. */
static const uint8_t sgx_oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01,
	0x0d, 0x01 };
#define ARC_TCB 2
#define ARC_CONFIGURATION 7
#define ARC_PCESVN 17
#define ARC_CPUSVN 18

static const char where[] = "PCK certificate, SGX extension";

static struct span
der_value(struct reader *r, uint8_t tag)
{
	uint8_t first;
	size_t len;

	if (read_u8(r) != tag)
		r->failed = true;
	first = read_u8(r);
	len = first;
	if (first == 0x81) {
		len = read_u8(r);
		r->failed |= len < 0x80;
	} else if (first == 0x82) {
		len = read_be16(r);
		r->failed |= len < 0x100;
	} else if (first >= 0x80) {
		r->failed = true;
	}
	return read_span(r, len);
}

/* A non-negative INTEGER or ENUMERATED of at most max, in shortest form. */
static uint32_t
der_uint(struct reader *r, uint8_t tag, uint32_t max)
{
	struct span s = der_value(r, tag);
	struct reader b = reader_init(s);
	uint32_t v = 0;

	if (s.len == 0 || s.len > 4 || (s.data[0] & 0x80) != 0 ||
	    (s.len > 1 && s.data[0] == 0 && (s.data[1] & 0x80) == 0)) {
		r->failed = true;
		return 0;
	}
	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | read_u8(&b);
	r->failed |= v > max;
	return v;
}

static void
der_octets(struct reader *r, uint8_t *out, size_t len)
{
	struct span s = der_value(r, TAG_OCTETS);

	if (s.len != len)
		r->failed = true;
	else
		memcpy(out, s.data, len);
}

static enum flag
der_flag(struct reader *r)
{
	struct span s = der_value(r, TAG_BOOLEAN);

	if (s.len != 1 || (s.data[0] != 0 && s.data[0] != 0xff)) {
		r->failed = true;
		return FLAG_NOT_REPORTED;
	}
	return s.data[0] != 0 ? FLAG_SET : FLAG_CLEAR;
}

/* What one level of the extension is made of. */
struct group {
	uint8_t parent;	   /* arc that precedes its arcs; 0: none */
	uint8_t n;	   /* arcs 1..n */
	uint32_t required; /* bit arc */
	void (*read)(struct reader *value, unsigned arc,
	    struct sgx_extension *out);
};

/* The arc of the element: the OID is sgx_oid, parent if any, arc. */
static unsigned
element_arc(struct span oid, uint8_t parent)
{
	size_t prefix = sizeof(sgx_oid) + (parent != 0);

	if (oid.len != prefix + 1 ||
	    !span_equal(span(oid.data, sizeof(sgx_oid)),
		span(sgx_oid, sizeof(sgx_oid))) ||
	    (parent != 0 && oid.data[sizeof(sgx_oid)] != parent))
		return 0;
	return oid.data[prefix];
}

static void
read_group(struct reader *r, const struct group *g, struct sgx_extension *out)
{
	uint32_t seen = 0;
	struct span all = der_value(r, TAG_SEQUENCE);
	struct reader list = reader_init(all);

	while (!r->failed && reader_left(&list) > 0) {
		struct span one = der_value(&list, TAG_SEQUENCE);
		struct reader element = reader_init(one);
		struct span oid = der_value(&element, TAG_OID);
		unsigned arc = element_arc(oid, g->parent);

		if (list.failed || arc == 0 || arc > g->n ||
		    (seen & 1u << arc) != 0) {
			r->failed = true;
			return;
		}
		seen |= 1u << arc;
		g->read(&element, arc, out);
		if (reader_end(&element) < 0)
			r->failed = true;
	}
	r->failed |= list.failed || (seen & g->required) != g->required;
}

static void
read_tcb(struct reader *value, unsigned arc, struct sgx_extension *out)
{
	if (arc == ARC_CPUSVN)
		der_octets(value, out->cpusvn, sizeof(out->cpusvn));
	else if (arc == ARC_PCESVN)
		out->pcesvn = (uint16_t)der_uint(value, TAG_INTEGER,
		    UINT16_MAX);
	else
		out->components[arc - 1] = (uint8_t)der_uint(value, TAG_INTEGER,
		    UINT8_MAX);
}

static void
read_configuration(struct reader *value, unsigned arc,
    struct sgx_extension *out)
{
	enum flag *const flags[] = { &out->dynamic_platform, &out->cached_keys,
		&out->smt };

	*flags[arc - 1] = der_flag(value);
}

static const struct group tcb_group = { ARC_TCB, 18, 0x7fffe, read_tcb };
static const struct group configuration_group = { ARC_CONFIGURATION, 3, 0,
	read_configuration };

static void
read_top(struct reader *value, unsigned arc, struct sgx_extension *out)
{
	switch (arc) {
	case 1:
		der_octets(value, out->ppid, sizeof(out->ppid));
		break;
	case ARC_TCB:
		read_group(value, &tcb_group, out);
		break;
	case 3:
		der_octets(value, out->pceid, sizeof(out->pceid));
		break;
	case 4:
		der_octets(value, out->fmspc, sizeof(out->fmspc));
		break;
	case 5: /* standard, scalable, scalable with integrity */
		out->type = (uint8_t)der_uint(value, TAG_ENUMERATED, 2);
		break;
	case 6:
		out->has_platform_instance_id = true;
		der_octets(value, out->platform_instance_id,
		    sizeof(out->platform_instance_id));
		break;
	default:
		read_group(value, &configuration_group, out);
		break;
	}
}

/* The Processor CA's certificates end at 5, the Platform CA's have all. */
static const struct group top_group = { 0, 7, 0x3e, read_top };

int
sgx_extension_parse(struct span der, struct sgx_extension *ret,
    struct why *reterr_why)
{
	struct reader r = reader_init(der);
	struct sgx_extension out = { 0 };

	read_group(&r, &top_group, &out);
	if (reader_end(&r) < 0)
		return why_set(reterr_why, CVM_E_PARSE, where, "",
		    "PPID, 16 TCB components of 0..255, PCESVN, CPUSVN, "
		    "PCE-ID, FMSPC and type, each once, in DER",
		    "something else");
	*ret = out;
	return CVM_OK;
}
