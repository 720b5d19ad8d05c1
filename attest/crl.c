/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <ctype.h>

#include "attest/cert_parts.h"

struct crl *
crl_ref(struct crl *c)
{
	c->refs++;
	return c;
}

void
crl_freep(struct crl **c)
{
	struct crl *l = *c;

	*c = NULL;
	if (l == NULL || --l->refs > 0)
		return;
	blob_clear(&l->der);
	free(l);
}

static bool
is_time(uint8_t tag)
{
	return tag == DER_UTC_TIME || tag == DER_GENERALIZED_TIME;
}

/* The serial number of the next entry; *ret_critical when it has an extension
 * that must not be passed over. */
static struct span
read_entry(struct reader *list, bool *ret_critical)
{
	struct reader e = der_open(list, DER_SEQUENCE);
	struct span serial = der_integer(&e);

	(void)der_time(&e);
	if (reader_left(&e) > 0) {
		struct reader exts = der_open(&e, DER_SEQUENCE);

		while (reader_left(&exts) > 0)
			*ret_critical |= cert_extension_read(&exts).critical;
		der_close(&e, &exts);
	}
	der_close(list, &e);
	return serial;
}

static bool
read_entries(struct crl *c, struct reader *tbs)
{
	struct reader list = der_open(tbs, DER_SEQUENCE);
	bool critical = false;

	c->entries = span(list.data, list.len);
	while (reader_left(&list) > 0)
		(void)read_entry(&list, &critical);
	c->complete &= !critical;
	der_close(tbs, &list);
	return !tbs->failed;
}

/* True is all that is written of a BOOLEAN whose default is false. */
static bool
read_true(struct reader *r, uint8_t tag)
{
	struct span s;

	if (der_tag(r) != tag)
		return false;
	s = der_value(r, tag);
	if (s.len != 1 || s.data[0] != 0xff)
		r->failed = true;
	return true;
}

/* Places are addresses, as all lists that are fetched have them. */
static bool
are_addresses(struct span places)
{
	struct reader r = reader_init(places);

	while (reader_left(&r) > 0)
		(void)der_value(&r, DER_IMPLICIT(6));
	return reader_end(&r) == CVM_OK;
}

/* RFC 5280 section 5.2.5: false for a list of some reasons, an indirect one,
 * one of attribute certificates, and a place that has no full name. */
static bool
read_point(struct crl *c, const struct cert_extension *e)
{
	struct reader r = reader_init(e->value);
	struct reader in = der_open(&r, DER_SEQUENCE), name;
	bool empty = reader_left(&in) == 0;

	if (der_tag(&in) == DER_EXPLICIT(0)) {
		name = der_open(&in, DER_EXPLICIT(0));
		c->places = der_value(&name, DER_EXPLICIT(0));
		der_close(&in, &name);
		empty |= c->places.len == 0 || !are_addresses(c->places);
	}
	c->user_only = read_true(&in, DER_IMPLICIT(1));
	c->ca_only = read_true(&in, DER_IMPLICIT(2));
	der_close(&r, &in);
	return e->critical && !empty && !c->has_point &&
	    !(c->user_only && c->ca_only) && reader_end(&r) == CVM_OK;
}

/* RFC 5280 section 5.2: one that is critical and unknown makes a list
 * unusable; that includes delta and indirect ones. */
static bool
read_extensions(struct crl *c, struct reader *tbs)
{
	struct reader outer = der_open(tbs, DER_EXPLICIT(0)), list;

	list = der_open(&outer, DER_SEQUENCE);
	while (reader_left(&list) > 0) {
		struct cert_extension e = cert_extension_read(&list);

		if (!list.failed && oid_is_ce(e.oid, CE_ISSUING_POINT)) {
			c->complete &= read_point(c, &e);
			c->has_point = true;
		} else if (e.critical || oid_is_ce(e.oid, CE_DELTA_CRL)) {
			c->complete = false;
		}
		c->has_number |= oid_is_ce(e.oid, CE_CRL_NUMBER) != 0;
		c->has_authority |= oid_is_ce(e.oid, CE_AUTHORITY_KEY_ID) != 0;
	}
	der_close(&outer, &list);
	der_close(tbs, &outer);
	return !tbs->failed;
}

/* RFC 5280 section 5.1.2. */
static bool
read_tbs(struct crl *c, struct reader *tbs)
{
	c->version = 1;
	c->complete = true;
	if (der_tag(tbs) == DER_INTEGER)
		c->version += (unsigned)der_uint(tbs, DER_INTEGER, 1);
	c->alg_inside = cert_alg_read(tbs);
	c->issuer = der_whole(tbs, DER_SEQUENCE);
	c->from = der_time(tbs);
	c->has_until = is_time(der_tag(tbs));
	if (c->has_until)
		c->until = der_time(tbs);
	if (tbs->failed || !name_check(c->issuer))
		return false;
	if (der_tag(tbs) == DER_SEQUENCE && !read_entries(c, tbs))
		return false;
	if (reader_left(tbs) > 0 && !read_extensions(c, tbs))
		return false;
	return reader_end(tbs) == CVM_OK;
}

static int
crl_from_der(struct span der, struct crl **ret)
{
	_cleanup_(crl_freep) struct crl *c = calloc(1, sizeof(*c));
	struct reader tbs;
	size_t len;
	int r;

	if (c == NULL)
		return CVM_E_NOMEM;
	c->refs = 1;
	if ((r = blob_set(&c->der, der)) != CVM_OK)
		return r;
	tbs = cert_open(blob_span(&c->der), /* padded= */ false, &c->tbs,
	    &c->alg, &c->signature, &len);
	if (tbs.failed || !read_tbs(c, &tbs))
		return CVM_E_PARSE;
	if ((r = hash(HASH_SHA256, der, c->digest)) != CVM_OK)
		return r;
	*ret = TAKE_PTR(c);
	return CVM_OK;
}

int
crl_from_bytes(struct span s, struct crl **ret)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	size_t at = 0;
	int r;

	if (s.len == 0 || s.len > CRL_BYTES_MAX)
		return CVM_E_PARSE;
	if (s.data[0] == DER_SEQUENCE) /* PEM starts with text */
		return crl_from_der(s, ret);
	if ((r = pem_next(s, "X509 CRL", &at, &der)) != CVM_OK)
		return r == CVM_E_NOT_FOUND ? CVM_E_PARSE : r;
	return pem_end(s, at) == CVM_OK ? crl_from_der(blob_span(&der), ret) :
					  CVM_E_PARSE;
}

const char *
crl_mistaken(struct span s)
{
	size_t n = 0, digits;

	if (s.len == 0)
		return "an empty file";
	while (n < s.len && isxdigit(s.data[n]))
		n++;
	digits = n;
	while (n < s.len && isspace(s.data[n]))
		n++;
	/* As a PCCS answers, and as others store collateral. */
	return digits > 2 && digits % 2 == 0 && n == s.len ?
	    "hexadecimal digits, of which \"cvm-token collateral import\" "
	    "makes DER" :
	    "something else";
}

int
crl_verify(const struct crl *c, struct cert *by)
{
	return cert_check(by, c->alg.scheme, c->alg.hash, c->tbs, c->signature);
}

bool
crl_lists(const struct crl *c, struct span serial)
{
	struct reader list = reader_init(c->entries);
	bool critical = false; /* was asked when the list was read */

	while (reader_left(&list) > 0)
		if (span_equal(read_entry(&list, &critical), serial))
			return true;
	return false;
}

/* True when one of the names of a distribution point is among places. */
static bool
is_named(struct span names, struct span places)
{
	struct reader a = reader_init(names);

	while (reader_left(&a) > 0) {
		struct span one = der_whole(&a, der_tag(&a));
		struct reader b = reader_init(places);

		while (one.len > 0 && reader_left(&b) > 0)
			if (span_equal(one, der_whole(&b, der_tag(&b))))
				return true;
	}
	return false;
}

bool
crl_covers(const struct crl *c, const struct cert *x)
{
	struct span value = { 0 };
	struct reader r, list;

	if (x->ca ? c->user_only : c->ca_only)
		return false;
	if (c->places.len == 0)
		return true;
	if (cert_extension(x, "2.5.29.31", &value) != CVM_OK)
		return false;
	r = reader_init(value);
	list = der_open(&r, DER_SEQUENCE);
	while (reader_left(&list) > 0) {
		struct reader point = der_open(&list, DER_SEQUENCE);
		struct reader name = der_open(&point, DER_EXPLICIT(0));
		struct span full = der_value(&name, DER_EXPLICIT(0));

		der_close(&point, &name);
		/* Not where some reasons are, or another's list. */
		if (reader_end(&point) == CVM_OK && is_named(full, c->places))
			return true;
	}
	return false;
}
