/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/launch.h"
#include "base/reader.h"

/*
 * Protocol Buffers, the encoding of version 3. Each message is a table of the
 * fields that are known here: their number, their wire type, and what takes
 * the value.
 */
enum wire { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_LEN = 2, WIRE_I32 = 5 };
#define VARINT_BYTES_MAX 10
#define FIELD_MAX ((1U << 29) - 1)

struct value {
	uint64_t number; /* WIRE_VARINT */
	struct span bytes;
};

struct row {
	uint32_t number;
	enum wire wire;
	bool repeated;
	const char *name;
	int (*take)(void *out, const struct value *v, struct why *why);
};

static int
refuse(struct why *why, const char *field, const char *expected,
    const char *got)
{
	return why_set(why, CVM_E_PARSE, "launch endorsement", field, expected,
	    got);
}

static uint64_t
read_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
		uint8_t b = read_u8(r);

		/* The tenth byte has room for one bit. */
		if (i + 1 == VARINT_BYTES_MAX && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if ((b & 0x80) == 0)
			return v;
	}
	r->failed = true;
	return 0;
}

static struct value
read_value(struct reader *r, unsigned wire)
{
	struct value v = { 0 };
	uint64_t len;

	if (wire == WIRE_VARINT) {
		v.number = read_varint(r);
	} else if (wire == WIRE_I64) {
		v.bytes = read_span(r, 8);
	} else if (wire == WIRE_I32) {
		v.bytes = read_span(r, 4);
	} else if (wire == WIRE_LEN) {
		len = read_varint(r);
		if (len > reader_left(r))
			r->failed = true;
		else
			v.bytes = read_span(r, (size_t)len);
	} else {
		r->failed = true; /* groups, and what nobody has defined */
	}
	return v;
}

static int
read_message(struct span bytes, const struct row *rows, size_t n, void *out,
    struct why *why)
{
	struct reader in = reader_init(bytes);
	uint32_t seen = 0; /* rows */

	while (reader_left(&in) > 0 && !in.failed) {
		uint64_t key = read_varint(&in);
		unsigned wire = (unsigned)(key & 7);
		struct value v = read_value(&in, wire);
		size_t i = 0;
		int r;

		if (in.failed || key >> 3 == 0 || key >> 3 > FIELD_MAX)
			return refuse(why, "", "fields of Protocol Buffers",
			    "something else, or a part of one");
		while (i < n && rows[i].number != key >> 3)
			i++;
		if (i == n)
			continue;
		if (wire != rows[i].wire)
			return refuse(why, rows[i].name, "its wire type",
			    "another");
		if ((seen & 1u << i) != 0 && !rows[i].repeated)
			return refuse(why, rows[i].name, "once", "twice");
		seen |= 1u << i;
		if ((r = rows[i].take(out, &v, why)) != CVM_OK)
			return r;
	}
	return CVM_OK;
}

#define TAKE(fn)                                                               \
	static int fn(void *out, const struct value *v, struct why *why)
#define VARINT(n, name, fn)                                                    \
	{                                                                      \
		(n), WIRE_VARINT, false, (name), (fn)                          \
	}
#define BYTES(n, name, fn)                                                     \
	{                                                                      \
		(n), WIRE_LEN, false, (name), (fn)                             \
	}
#define REPEATED(n, name, fn)                                                  \
	{                                                                      \
		(n), WIRE_LEN, true, (name), (fn)                              \
	}

static int
to_u32(uint32_t *ret, const struct value *v, const char *name, struct why *why)
{
	if (v->number > UINT32_MAX)
		return refuse(why, name, "at most 32 bits", "more");
	*ret = (uint32_t)v->number;
	return CVM_OK;
}

/* A map's entry, or one of tdx.measurements. */
struct entry {
	struct launch_value value;
	bool early_accept;
};

TAKE(take_shape)
{
	return to_u32(&((struct entry *)out)->value.shape, v, "shape", why);
}

TAKE(take_early)
{
	if (v->number > 1)
		return refuse(why, "early_accept", "0 or 1", "another number");
	((struct entry *)out)->early_accept = v->number == 1;
	return CVM_OK;
}

TAKE(take_measurement)
{
	if (v->bytes.len != SHA384_LEN)
		return refuse(why, "measurement", "48 bytes", "another length");
	((struct entry *)out)->value.measurement = v->bytes;
	return CVM_OK;
}

static int
add_value(struct launch_part *p, const struct entry *e, struct why *why)
{
	if (e->value.measurement.len == 0)
		return refuse(why, "measurement", "48 bytes", "none");
	if (p->n == LAUNCH_VALUES_MAX)
		return refuse(why, "measurements", "at most 64", "more");
	p->value[p->n++] = e->value;
	return CVM_OK;
}

/* map<uint32, bytes>: number of VMSAs, measurement. */
TAKE(take_snp_value)
{
	static const struct row rows[] = {
		VARINT(1, "measurements: key", take_shape),
		BYTES(2, "measurements: value", take_measurement),
	};
	struct launch_part *p = out;
	struct entry e = { 0 };
	int r = read_message(v->bytes, rows, NELEMS(rows), &e, why);

	for (size_t i = 0; r == CVM_OK && i < p->n; i++)
		if (p->value[i].shape == e.value.shape)
			r = refuse(why, "measurements: key", "once", "twice");
	return r == CVM_OK ? add_value(p, &e, why) : r;
}

/* A shape may have two: with early_accept and without. */
TAKE(take_tdx_value)
{
	static const struct row rows[] = {
		VARINT(1, "ram_gib", take_shape),
		VARINT(2, "early_accept", take_early),
		BYTES(3, "mrtd", take_measurement),
	};
	struct launch_part *p = out;
	struct entry e = { 0 };
	int r = read_message(v->bytes, rows, NELEMS(rows), &e, why);

	return r == CVM_OK ? add_value(p, &e, why) : r;
}

TAKE(take_svn)
{
	return to_u32(&((struct launch_part *)out)->svn, v, "svn", why);
}

static int
take_id(struct span *ret, const struct value *v, size_t len, const char *name,
    struct why *why)
{
	char expected[16];

	(void)snprintf(expected, sizeof(expected), "%zu bytes", len);
	if (v->bytes.len != len)
		return refuse(why, name, expected, "another length");
	*ret = v->bytes;
	return CVM_OK;
}

TAKE(take_family)
{
	return take_id(&((struct launch_part *)out)->family_id, v,
	    LAUNCH_ID_LEN, "sev_snp.family_id", why);
}

TAKE(take_image)
{
	return take_id(&((struct launch_part *)out)->image_id, v, LAUNCH_ID_LEN,
	    "sev_snp.image_id", why);
}

TAKE(take_svsm)
{
	return take_id(&((struct launch_part *)out)->svsm_measurement, v,
	    SHA384_LEN, "sev_snp.svsm_measurement", why);
}

TAKE(take_policy)
{
	(void)why;
	((struct launch_part *)out)->policy = v->number;
	return CVM_OK;
}

#define GOLDEN(out) ((struct launch_endorsement *)(out))

TAKE(take_snp)
{
	static const struct row rows[] = {
		VARINT(1, "sev_snp.svn", take_svn),
		REPEATED(2, "sev_snp.measurements", take_snp_value),
		BYTES(3, "sev_snp.family_id", take_family),
		BYTES(4, "sev_snp.image_id", take_image),
		VARINT(5, "sev_snp.policy", take_policy),
		BYTES(7, "sev_snp.svsm_measurement", take_svsm),
	};

	GOLDEN(out)->snp.present = true;
	return read_message(v->bytes, rows, NELEMS(rows), &GOLDEN(out)->snp,
	    why);
}

TAKE(take_tdx)
{
	static const struct row rows[] = {
		VARINT(1, "tdx.svn", take_svn),
		REPEATED(2, "tdx.measurements", take_tdx_value),
	};

	GOLDEN(out)->tdx.present = true;
	return read_message(v->bytes, rows, NELEMS(rows), &GOLDEN(out)->tdx,
	    why);
}

TAKE(take_seconds)
{
	(void)why;
	GOLDEN(out)->seconds = v->number;
	return CVM_OK;
}

TAKE(take_timestamp)
{
	static const struct row rows[] = {
		VARINT(1, "timestamp.seconds", take_seconds),
	};

	return read_message(v->bytes, rows, NELEMS(rows), out, why);
}

TAKE(take_cl_spec)
{
	(void)why;
	GOLDEN(out)->cl_spec = v->number;
	return CVM_OK;
}

TAKE(take_cert)
{
	(void)why;
	GOLDEN(out)->cert = v->bytes;
	return CVM_OK;
}

TAKE(take_ca_bundle)
{
	(void)why;
	GOLDEN(out)->ca_bundle = v->bytes;
	return CVM_OK;
}

TAKE(take_golden)
{
	(void)why;
	GOLDEN(out)->golden = v->bytes;
	return CVM_OK;
}

TAKE(take_signature)
{
	(void)why;
	GOLDEN(out)->signature = v->bytes;
	return CVM_OK;
}

int
launch_parse(struct span bytes, struct launch_endorsement *ret,
    struct why *reterr_why)
{
	static const struct row outer[] = {
		BYTES(1, "serialized_uefi_golden", take_golden),
		BYTES(2, "signature", take_signature),
	};
	static const struct row inner[] = {
		BYTES(1, "timestamp", take_timestamp),
		VARINT(2, "cl_spec", take_cl_spec),
		BYTES(4, "cert", take_cert),
		BYTES(6, "ca_bundle", take_ca_bundle),
		BYTES(7, "sev_snp", take_snp),
		BYTES(8, "tdx", take_tdx),
	};
	struct launch_endorsement e = { 0 };
	int r;

	if (bytes.len > LAUNCH_BYTES_MAX)
		return refuse(reterr_why, "length", "at most 65536 bytes",
		    "more");
	r = read_message(bytes, outer, NELEMS(outer), &e, reterr_why);
	if (r == CVM_OK && (e.golden.len == 0 || e.signature.len == 0))
		r = refuse(reterr_why, "", "what is signed, and its signature",
		    "one of them missing");
	if (r == CVM_OK)
		r = read_message(e.golden, inner, NELEMS(inner), &e,
		    reterr_why);
	if (r != CVM_OK)
		return r;
	*ret = e;
	return CVM_OK;
}
