/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "attest/cert_parts.h"
#include "base/openssl.h"

#define SERIAL_LEN_MAX 21 /* RFC 5280 section 4.1.2.2, and a sign byte */
#define OID_LEN_MAX 32

struct cert *
cert_ref(struct cert *x)
{
	x->refs++;
	return x;
}

void
cert_freep(struct cert **x)
{
	struct cert *c = *x;

	*x = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	verifier_freep(&c->verifier);
	EVP_PKEY_free(c->key);
	blob_clear(&c->der);
	free(c);
}

static bool
is_odd(struct span number)
{
	return (number.data[number.len - 1] & 1) != 0;
}

/* SubjectPublicKeyInfo of an RSA key (RFC 3279 section 2.3.1). */
static int
read_rsa(struct cert *x, struct reader params, struct span bits)
{
	struct reader key = reader_init(bits), in;
	struct span n, e;

	if (der_value(&params, DER_NULL).len != 0 ||
	    reader_end(&params) != CVM_OK)
		return CVM_E_PARSE;
	in = der_open(&key, DER_SEQUENCE);
	n = der_positive(&in);
	e = der_positive(&in);
	der_close(&key, &in);
	if (reader_end(&key) != CVM_OK)
		return CVM_E_PARSE;
	x->key_kind = CERT_KEY_RSA;
	x->key_bits = (unsigned)n.len * 8;
	for (uint8_t top = n.data[0]; top < 0x80; top = (uint8_t)(top << 1))
		x->key_bits--;
	/* By an exponent of 1, anybody can sign. */
	if (!is_odd(n) || !is_odd(e) || (e.len == 1 && e.data[0] == 1))
		return CVM_E_PARSE;
	return public_key_rsa(n, e, &x->key);
}

/* RFC 5480 section 2: a curve by its name, a point that is not compressed. */
static int
read_ec(struct cert *x, struct reader params, struct span bits)
{
	static const struct {
		enum ec_curve curve;
		uint8_t oid[8], oid_len;
	} curves[] = {
		{ EC_P256, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, 8 },
		{ EC_P384, { 0x2b, 0x81, 4, 0, 0x22 }, 5 },
		{ EC_P521, { 0x2b, 0x81, 4, 0, 0x23 }, 5 },
	};
	struct span oid = der_oid(&params);

	if (reader_end(&params) != CVM_OK)
		return CVM_OK; /* a curve by its numbers: another kind */
	for (size_t i = 0; i < NELEMS(curves); i++) {
		if (!span_equal(oid, span(curves[i].oid, curves[i].oid_len)))
			continue;
		x->key_kind = CERT_KEY_EC;
		x->curve = curves[i].curve;
		x->key_bits = x->curve == EC_P521 ?
		    521 :
		    (unsigned)ec_curve_len(x->curve) * 8;
		return public_key_ec(x->curve, bits, &x->key);
	}
	return CVM_OK;
}

static int
read_key(struct cert *x)
{
	static const uint8_t rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1,
		1 };
	static const uint8_t ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1 };
	struct reader spki = reader_init(x->spki), in, params;
	struct span oid, bits;
	int r = CVM_OK;

	in = der_open(&spki, DER_SEQUENCE);
	oid = cert_algorithm_open(&in, &params);
	bits = der_bits(&in);
	if (reader_end(&in) != CVM_OK)
		return CVM_E_PARSE;
	if (span_equal(oid, span(rsa, sizeof(rsa))))
		r = read_rsa(x, params, bits);
	else if (span_equal(oid, span(ec, sizeof(ec))))
		r = read_ec(x, params, bits);
	/* A key that is no key of ours is for the judge of its chain to refuse,
	 * in which it may not be. */
	return r == CVM_E_PARSE || r == CVM_E_DENIED ? CVM_OK : r;
}

static bool
read_constraints(struct cert *x, struct reader *r)
{
	struct reader in = der_open(r, DER_SEQUENCE);

	x->has_constraints = true;
	if (der_tag(&in) == DER_BOOLEAN)
		x->ca = der_bool(&in);
	if (reader_left(&in) > 0)
		x->path_len = (int)der_uint(&in, DER_INTEGER, INT32_MAX);
	der_close(r, &in);
	return reader_end(r) == CVM_OK;
}

/* Those that may be critical, and say nothing to us: still, each is a list of
 * something. */
static bool
is_list(struct span oid)
{
	return oid_is_ce(oid, CE_SUBJECT_ALT_NAME) ||
	    oid_is_ce(oid, CE_CRL_POINTS) || oid_is_ce(oid, CE_POLICIES) ||
	    oid_is_ce(oid, CE_EXT_KEY_USAGE);
}

/* The extensions that every judge needs; of one that is there twice the first
 * is read, and the judge refuses both. */
static bool
read_known(struct cert *x, const struct cert_extension *e)
{
	struct reader r = reader_init(e->value);
	uint8_t tag;

	if (oid_is_ce(e->oid, CE_BASIC_CONSTRAINTS) && !x->has_constraints) {
		x->constraints_critical = e->critical;
		return read_constraints(x, &r);
	}
	if (oid_is_ce(e->oid, CE_KEY_USAGE) && !x->has_usage) {
		x->has_usage = true;
		x->usage = der_named_bits(&r);
	} else if (oid_is_ce(e->oid, CE_SUBJECT_KEY_ID) && x->key_id.len == 0) {
		x->key_id = der_value(&r, DER_OCTETS);
	} else if (oid_is_ce(e->oid, CE_AUTHORITY_KEY_ID) &&
	    !x->has_authority) {
		x->has_authority = true;
		x->authority = cert_authority_read(&r);
	} else if (is_list(e->oid)) {
		struct reader in = der_open(&r, DER_SEQUENCE);

		if (reader_left(&in) == 0)
			return false;
		while (reader_left(&in) > 0)
			(void)der_any(&in, &tag);
		der_close(&r, &in);
	} else {
		return true;
	}
	return reader_end(&r) == CVM_OK;
}

static bool
read_extensions(struct cert *x, struct reader *tbs)
{
	struct reader outer = der_open(tbs, DER_EXPLICIT(3)), list;

	list = der_open(&outer, DER_SEQUENCE);
	while (reader_left(&list) > 0) {
		if (x->n_ext == CERT_EXTENSIONS_MAX)
			return false;
		x->ext[x->n_ext] = cert_extension_read(&list);
		if (list.failed || !read_known(x, &x->ext[x->n_ext]))
			return false;
		x->n_ext++;
	}
	der_close(&outer, &list);
	der_close(tbs, &outer);
	return !tbs->failed && x->n_ext > 0;
}

/* RFC 5280 section 4.1.2. Unique identifiers are of X.509 v2, and nobody's. */
static int
read_tbs(struct cert *x, struct reader *tbs)
{
	struct reader validity;

	x->version = 1;
	if (der_tag(tbs) == DER_EXPLICIT(0)) {
		struct reader version = der_open(tbs, DER_EXPLICIT(0));

		/* The default is not written. */
		x->version += (unsigned)der_uint(&version, DER_INTEGER, 2);
		der_close(tbs, &version);
	}
	x->serial = der_integer(tbs);
	x->alg_inside = cert_alg_read(tbs);
	x->issuer = der_whole(tbs, DER_SEQUENCE);
	validity = der_open(tbs, DER_SEQUENCE);
	x->from = der_time(&validity);
	x->until = der_time(&validity);
	der_close(tbs, &validity);
	x->subject = der_whole(tbs, DER_SEQUENCE);
	x->spki = der_whole(tbs, DER_SEQUENCE);
	if (tbs->failed || x->serial.len > SERIAL_LEN_MAX ||
	    !name_check(x->issuer) || !name_check(x->subject))
		return CVM_E_PARSE;
	if (reader_left(tbs) > 0 && !read_extensions(x, tbs))
		return CVM_E_PARSE;
	return reader_end(tbs) == CVM_OK ? read_key(x) : CVM_E_PARSE;
}

int
cert_from_der(struct span der, bool padded, struct cert **ret)
{
	_cleanup_(cert_freep) struct cert *x = NULL;
	struct reader tbs;
	size_t len;
	int r;

	if (der.len == 0 || der.len > CERT_BYTES_MAX)
		return CVM_E_PARSE;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return CVM_E_NOMEM;
	x->refs = 1;
	x->path_len = -1;
	if ((r = blob_set(&x->der, der)) != CVM_OK)
		return r;
	tbs = cert_open(blob_span(&x->der), padded, &x->tbs, &x->alg,
	    &x->signature, &len);
	x->der.len = tbs.failed ? x->der.len : len;
	if (tbs.failed)
		return CVM_E_PARSE;
	if ((r = read_tbs(x, &tbs)) != CVM_OK ||
	    (r = hash(HASH_SHA256, blob_span(&x->der), x->digest)) != CVM_OK ||
	    (r = hash(HASH_SHA256, x->spki, x->spki_digest)) != CVM_OK)
		return r;
	*ret = TAKE_PTR(x);
	return CVM_OK;
}

int
cert_extension(const struct cert *x, const char *oid, struct span *ret)
{
	uint8_t bytes[OID_LEN_MAX];
	size_t len = der_oid_encode(oid, bytes, sizeof(bytes));
	const struct cert_extension *found = NULL;

	if (len == 0)
		return CVM_E_INVAL;
	for (size_t i = 0; i < x->n_ext; i++) {
		if (!span_equal(x->ext[i].oid, span(bytes, len)))
			continue;
		if (found != NULL)
			return CVM_E_PARSE;
		found = &x->ext[i];
	}
	if (found == NULL)
		return CVM_E_NOT_FOUND;
	*ret = found->value;
	return CVM_OK;
}

static int
make_ready(struct cert *x)
{
	if (x->key == NULL)
		return CVM_E_DENIED;
	return x->verifier != NULL ? CVM_OK :
				     verifier_new(x->key, &x->verifier);
}

int
cert_check(struct cert *x, enum sig_scheme scheme, enum hash_alg alg,
    struct span message, struct span signature)
{
	int r = make_ready(x);

	return r != CVM_OK ?
	    r :
	    verifier_check(x->verifier, scheme, alg, message, signature);
}

int
cert_check_raw(struct cert *x, struct span rs, struct span digest)
{
	int r = make_ready(x);

	return r != CVM_OK ? r : verifier_check_raw(x->verifier, rs, digest);
}

int
cert_verify(struct cert *x, struct cert *by)
{
	int r;

	if (x->verified && memcmp(x->verified_by, by->digest, SHA256_LEN) == 0)
		return CVM_OK;
	r = cert_check(by, x->alg.scheme, x->alg.hash, x->tbs, x->signature);
	if (r == CVM_OK) {
		x->verified = true;
		memcpy(x->verified_by, by->digest, SHA256_LEN);
	}
	return r;
}

const char *
cert_name(const struct cert *x, char *buf, size_t len)
{
	/* Attestation keys of old GCE machines have no names. */
	if (name_line(x->subject, buf, len)[0] == '\0' && len > 0)
		(void)snprintf(buf, len, "(certificate without a subject)");
	return buf;
}
