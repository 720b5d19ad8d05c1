/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"
#include "token/attrs.h"

/* How a value is written: as it is, or as CK_ULONGs of eight bytes each. */
enum form { FORM_BYTES = 0, FORM_ULONG = 1, FORM_ULONGS = 2 };

/*
 * The attributes whose value is a CK_ULONG, or a list of them, in PKCS#11
 * 3.0. The list is part of the store's format: an entry can be added for an
 * attribute that no store can hold yet, and none can be taken away.
 */
static const struct {
	CK_ATTRIBUTE_TYPE type;
	enum form form;
} forms[] = {
	{ CKA_CLASS, FORM_ULONG },
	{ CKA_CERTIFICATE_TYPE, FORM_ULONG },
	{ CKA_CERTIFICATE_CATEGORY, FORM_ULONG },
	{ CKA_JAVA_MIDP_SECURITY_DOMAIN, FORM_ULONG },
	{ CKA_NAME_HASH_ALGORITHM, FORM_ULONG },
	{ CKA_KEY_TYPE, FORM_ULONG },
	{ CKA_MODULUS_BITS, FORM_ULONG },
	{ CKA_PRIME_BITS, FORM_ULONG },
	{ CKA_SUBPRIME_BITS, FORM_ULONG },
	{ CKA_VALUE_BITS, FORM_ULONG },
	{ CKA_VALUE_LEN, FORM_ULONG },
	{ CKA_KEY_GEN_MECHANISM, FORM_ULONG },
	{ CKA_AUTH_PIN_FLAGS, FORM_ULONG },
	{ CKA_HW_FEATURE_TYPE, FORM_ULONG },
	{ CKA_MECHANISM_TYPE, FORM_ULONG },
	{ CKA_PROFILE_ID, FORM_ULONG },
	{ CKA_PARAMETER_SET, FORM_ULONG },
	{ CKA_ALLOWED_MECHANISMS, FORM_ULONGS },
};

static enum form
form_of(CK_ATTRIBUTE_TYPE type)
{
	for (size_t i = 0; i < NELEMS(forms); i++)
		if (forms[i].type == type)
			return forms[i].form;
	return FORM_BYTES;
}

void
attrs_clear(struct attrs *a)
{
	for (size_t i = 0; i < a->n && !a->packed; i++)
		blob_clear(&a->v[i].value);
	free(a->v);
	*a = (struct attrs){ 0 };
}

int
attrs_pack(struct attrs *a)
{
	size_t size = a->n * sizeof(*a->v);
	struct attrs packed = { .n = a->n, .packed = true };
	uint8_t *at;

	for (size_t i = 0; i < a->n; i++)
		size += a->v[i].value.len;
	if (a->packed || a->n == 0)
		return CVM_OK;
	packed.v = malloc(size);
	if (packed.v == NULL)
		return CVM_E_NOMEM;
	at = (uint8_t *)&packed.v[a->n];
	for (size_t i = 0; i < a->n; i++) {
		const struct blob *value = &a->v[i].value;

		packed.v[i] = (struct attr){ .type = a->v[i].type };
		if (value->len == 0)
			continue;
		packed.v[i].value = (struct blob){ at, value->len };
		memcpy(at, value->data, value->len);
		at += value->len;
	}
	attrs_clear(a);
	*a = packed;
	return CVM_OK;
}

/* So that a value can be set by itself. */
static int
attrs_unpack(struct attrs *a)
{
	struct attrs plain = { 0 };
	int err;

	if (!a->packed)
		return CVM_OK;
	err = attrs_copy(a, &plain);
	if (err != CVM_OK)
		return err;
	attrs_clear(a);
	*a = plain;
	return CVM_OK;
}

/* Where type is, or where it belongs. */
static size_t
attrs_place(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
	size_t low = 0, high = a->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (a->v[mid].type < type)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct attr *
attrs_find(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
	size_t i = attrs_place(a, type);

	return i < a->n && a->v[i].type == type ? &a->v[i] : NULL;
}

/* Opens a gap for a new attribute; its value is empty. */
static int
attrs_insert(struct attrs *a, size_t place, CK_ATTRIBUTE_TYPE type)
{
	struct attr *v;

	if (a->n >= ATTRS_MAX)
		return CVM_E_TEMPLATE_INCONSISTENT;
	v = realloc(a->v, (a->n + 1) * sizeof(*v));
	if (v == NULL)
		return CVM_E_NOMEM;
	a->v = v;
	memmove(&v[place + 1], &v[place], (a->n - place) * sizeof(*v));
	v[place] = (struct attr){ .type = type };
	a->n++;
	return CVM_OK;
}

int
attrs_set(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct span value)
{
	size_t place = attrs_place(a, type);
	_cleanup_(blob_clear) struct blob copy = { 0 };
	int err;

	if (value.len > ATTR_VALUE_MAX)
		return CVM_E_ATTR_VALUE;
	err = blob_set(&copy, value);
	if (err == CVM_OK)
		err = attrs_unpack(a);
	if (err != CVM_OK)
		return err;
	if (place == a->n || a->v[place].type != type) {
		err = attrs_insert(a, place, type);
		if (err != CVM_OK)
			return err;
	}
	blob_clear(&a->v[place].value);
	a->v[place].value = copy;
	copy = (struct blob){ 0 };
	return CVM_OK;
}

int
attrs_set_bool(struct attrs *a, CK_ATTRIBUTE_TYPE type, bool v)
{
	CK_BBOOL b = v ? CK_TRUE : CK_FALSE;

	return attrs_set(a, type, span(&b, sizeof(b)));
}

int
attrs_set_ulong(struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG v)
{
	return attrs_set(a, type, span(&v, sizeof(v)));
}

bool
attrs_bool(const struct attrs *a, CK_ATTRIBUTE_TYPE type, bool dflt)
{
	const struct attr *at = attrs_find(a, type);

	if (at == NULL || at->value.len != sizeof(CK_BBOOL))
		return dflt;
	return at->value.data[0] != CK_FALSE;
}

CK_ULONG
attrs_ulong(const struct attrs *a, CK_ATTRIBUTE_TYPE type, CK_ULONG dflt)
{
	const struct attr *at = attrs_find(a, type);
	CK_ULONG v;

	if (at == NULL || at->value.len != sizeof(v))
		return dflt;
	memcpy(&v, at->value.data, sizeof(v));
	return v;
}

bool
attrs_equal(const struct attrs *a, const struct attrs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].type != b->v[i].type ||
		    !span_equal(blob_span(&a->v[i].value),
			blob_span(&b->v[i].value)))
			return false;
	return true;
}

int
attrs_copy(const struct attrs *from, struct attrs *ret)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	int err;

	if (from->n > 0) {
		a.v = calloc(from->n, sizeof(*a.v));
		if (a.v == NULL)
			return CVM_E_NOMEM;
	}
	for (size_t i = 0; i < from->n; i++) {
		a.v[i].type = from->v[i].type;
		a.n = i + 1;
		err = blob_set(&a.v[i].value, blob_span(&from->v[i].value));
		if (err != CVM_OK)
			return err;
	}
	*ret = a;
	a = (struct attrs){ 0 };
	return CVM_OK;
}

/* CK_UNAVAILABLE_INFORMATION is all ones in every width. */
static uint64_t
widen(CK_ULONG v)
{
	return v == CK_UNAVAILABLE_INFORMATION ? UINT64_MAX : v;
}

/* False when v does not fit the CK_ULONG of this ABI. */
static bool
narrow(uint64_t v, CK_ULONG *ret)
{
	*ret = (CK_ULONG)v;
	return v == UINT64_MAX || *ret == v;
}

static int
encode_ulongs(struct writer *w, const struct attr *at, enum form form)
{
	size_t n = at->value.len / sizeof(CK_ULONG);

	if (at->value.len % sizeof(CK_ULONG) != 0 ||
	    (form == FORM_ULONG && n != 1))
		return CVM_E_INVAL;
	write_be32(w, (uint32_t)(n * sizeof(uint64_t)));
	for (size_t i = 0; i < n; i++) {
		CK_ULONG v;

		memcpy(&v, at->value.data + i * sizeof(v), sizeof(v));
		write_be64(w, widen(v));
	}
	return CVM_OK;
}

int
attrs_encode(const struct attrs *a, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	int err;

	write_be32(&w, (uint32_t)a->n);
	for (size_t i = 0; i < a->n; i++) {
		enum form form = form_of(a->v[i].type);

		if (i > 0 && a->v[i - 1].type >= a->v[i].type)
			return CVM_E_INVAL;
		write_be64(&w, a->v[i].type);
		write_u8(&w, (uint8_t)form);
		if (form == FORM_BYTES) {
			write_field(&w, blob_span(&a->v[i].value));
			continue;
		}
		err = encode_ulongs(&w, &a->v[i], form);
		if (err != CVM_OK)
			return err;
	}
	return writer_end(&w, ret);
}

/* The value of eight-byte integers in the CK_ULONG of this ABI. */
static int
decode_ulongs(struct span s, enum form form, struct blob *ret)
{
	struct reader r = reader_init(s);
	size_t n = s.len / sizeof(uint64_t);

	if (s.len % sizeof(uint64_t) != 0 || (form == FORM_ULONG && n != 1))
		return CVM_E_PARSE;
	for (size_t i = 0; i < n; i++) {
		CK_ULONG v;
		int err;

		if (!narrow(read_be64(&r), &v))
			return CVM_E_PARSE;
		err = blob_append(ret, span(&v, sizeof(v)));
		if (err != CVM_OK)
			return err;
	}
	return CVM_OK;
}

static int
decode_one(struct reader *r, struct attrs *a, struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob ulongs = { 0 };
	uint64_t wide = read_be64(r);
	enum form form = read_u8(r);
	uint32_t len = read_be32(r);
	struct span value = read_span(r, len);
	CK_ATTRIBUTE_TYPE type;
	int err = CVM_OK;

	if (r->failed)
		return why_set(reterr_why, CVM_E_PARSE, "attributes", "length",
		    "type, form, length and value", "the end of the record");
	if (!narrow(wide, &type) || (a->n > 0 && a->v[a->n - 1].type >= type))
		return why_setf(reterr_why, CVM_E_PARSE, "attributes", "type",
		    "types in rising order, each once", "0x%llx",
		    (unsigned long long)wide);
	if (form != form_of(type) || len > ATTR_VALUE_MAX)
		return why_setf(reterr_why, CVM_E_PARSE, "attributes", "value",
		    "the type's form, 65536 bytes at most",
		    "type 0x%lx, form %u, length %u", type, (unsigned)form,
		    len);
	if (form != FORM_BYTES) {
		err = decode_ulongs(value, form, &ulongs);
		value = blob_span(&ulongs);
	}
	if (err == CVM_OK)
		err = attrs_set(a, type, value);
	if (err != CVM_OK)
		return why_setf(reterr_why, err, "attributes", "value",
		    "a CK_ULONG of this machine", "type 0x%lx, length %u", type,
		    len);
	return CVM_OK;
}

int
attrs_decode(struct span s, struct attrs *ret, struct why *reterr_why)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct reader r = reader_init(s);
	uint32_t n = read_be32(&r);
	int err;

	if (r.failed || n > ATTRS_MAX)
		return why_setf(reterr_why, CVM_E_PARSE, "attributes", "count",
		    "at most 128", "%u", n);
	for (uint32_t i = 0; i < n; i++) {
		err = decode_one(&r, &a, reterr_why);
		if (err != CVM_OK)
			return err;
	}
	if (reader_end(&r) != CVM_OK)
		return why_setf(reterr_why, CVM_E_PARSE, "attributes", "length",
		    "no bytes after the last value", "%zu", reader_left(&r));
	*ret = a;
	a = (struct attrs){ 0 };
	return CVM_OK;
}
