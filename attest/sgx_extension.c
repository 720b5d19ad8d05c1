/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/tdx_parts.h"

/* An element is SEQUENCE { OID, value }. */

/* 1.2.840.113741.1.13.1, under which every element has its arc. */
static const uint8_t sgx_oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01,
	0x0d, 0x01 };
#define ARC_TCB 2
#define ARC_CONFIGURATION 7
#define ARC_PCESVN 17
#define ARC_CPUSVN 18

static const char where[] = "PCK certificate, SGX extension";

static void
read_octets(struct reader *r, uint8_t *out, size_t len)
{
	struct span s = der_value(r, DER_OCTETS);

	if (s.len != len)
		r->failed = true;
	else
		memcpy(out, s.data, len);
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
	struct span all = der_value(r, DER_SEQUENCE);
	struct reader list = reader_init(all);

	while (!r->failed && reader_left(&list) > 0) {
		struct span one = der_value(&list, DER_SEQUENCE);
		struct reader element = reader_init(one);
		struct span oid = der_oid(&element);
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
		read_octets(value, out->cpusvn, sizeof(out->cpusvn));
	else if (arc == ARC_PCESVN)
		out->pcesvn = (uint16_t)der_uint(value, DER_INTEGER,
		    UINT16_MAX);
	else
		out->components[arc - 1] = (uint8_t)der_uint(value, DER_INTEGER,
		    UINT8_MAX);
}

static void
read_configuration(struct reader *value, unsigned arc,
    struct sgx_extension *out)
{
	enum flag *const flags[] = { &out->dynamic_platform, &out->cached_keys,
		&out->smt };

	*flags[arc - 1] = der_bool(value) ? FLAG_SET : FLAG_CLEAR;
}

static const struct group tcb_group = { ARC_TCB, 18, 0x7fffe, read_tcb };
static const struct group configuration_group = { ARC_CONFIGURATION, 3, 0,
	read_configuration };

static void
read_top(struct reader *value, unsigned arc, struct sgx_extension *out)
{
	switch (arc) {
	case 1:
		read_octets(value, out->ppid, sizeof(out->ppid));
		break;
	case ARC_TCB:
		read_group(value, &tcb_group, out);
		break;
	case 3:
		read_octets(value, out->pceid, sizeof(out->pceid));
		break;
	case 4:
		read_octets(value, out->fmspc, sizeof(out->fmspc));
		break;
	case 5: /* standard, scalable, scalable with integrity */
		out->type = (uint8_t)der_uint(value, DER_ENUMERATED, 2);
		break;
	case 6:
		out->has_platform_instance_id = true;
		read_octets(value, out->platform_instance_id,
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
