/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/der.h"
#include "token/keys.h"

/*
 * PrivateKeyInfo (RFC 5958) of RSA (RFC 8017 appendix A.1.2), of curves (RFC
 * 5915) and of RFC 8410's keys. OpenSSL's own coders give the heap a copy of
 * the encoding back that they did not clear: it outlives the key, and any
 * denial, and goes to disk in a core. Here it is never outside of a secret.
 */
#define NUMBER_OVERHEAD 5 /* tag, length, sign */
#define OVERHEAD 128	  /* of all else but the numbers */

static const uint8_t rsa_algorithm[] = { DER_OID, 9, 0x2a, 0x86, 0x48, 0x86,
	0xf7, 0x0d, 1, 1, 1, DER_NULL, 0 };
static const uint8_t ec_algorithm[] = { DER_OID, 7, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 2, 1 };

static const CK_ATTRIBUTE_TYPE rsa_types[RSA_NUMBERS] = { CKA_MODULUS,
	CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2,
	CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT };

/* DER from its end, so that each length is known when it is due. */
struct back {
	struct secret *bytes;
	size_t left;
	bool full;
};

static void
put(struct back *b, struct span s)
{
	if (b->full || s.len > b->left) {
		b->full = true;
		return;
	}
	b->left -= s.len;
	if (s.len > 0)
		memcpy(&secret_data(b->bytes)[b->left], s.data, s.len);
}

static void
put_byte(struct back *b, uint8_t v)
{
	put(b, span(&v, 1));
}

/* Tag and length of what was put since end was left. */
static void
put_header(struct back *b, uint8_t tag, size_t end)
{
	size_t len = end - b->left;

	put_byte(b, (uint8_t)len);
	if (len > 0xff)
		put_byte(b, (uint8_t)(len >> 8));
	if (len > 0x7f)
		put_byte(b, len > 0xff ? 0x82 : 0x81);
	put_byte(b, tag);
}

static void
put_value(struct back *b, uint8_t tag, struct span s)
{
	size_t end = b->left;

	put(b, s);
	put_header(b, tag, end);
}

/* A number without leading zeros. */
static void
put_number(struct back *b, struct span s)
{
	size_t end = b->left;

	put(b, s);
	if (s.len > 0 && (s.data[0] & 0x80) != 0)
		put_byte(b, 0);
	put_header(b, DER_INTEGER, end);
}

static void
put_small(struct back *b, uint8_t v)
{
	put_value(b, DER_INTEGER, span(&v, 1));
}

/* The rest of a PrivateKeyInfo: what was put so far is the key. */
static int
finish(struct back *b, struct span algorithm, struct span params,
    struct secret **ret)
{
	size_t end = secret_len(b->bytes), from;

	put_header(b, DER_OCTETS, end);
	from = b->left;
	put(b, params);
	put(b, algorithm);
	put_header(b, DER_SEQUENCE, from);
	put_small(b, 0);
	put_header(b, DER_SEQUENCE, end);
	if (b->full)
		return CVM_E_INTERNAL;
	*ret = secret_copy(
	    span(&secret_data(b->bytes)[b->left], end - b->left));
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}

static void
back_clear(struct back *b)
{
	secret_freep(&b->bytes);
}

static int
back_init(struct back *b, size_t room)
{
	*b = (struct back){ .bytes = secret_new(room), .left = room };
	return b->bytes != NULL ? CVM_OK : CVM_E_NOMEM;
}

static void
numbers_clear(struct secret *(*v)[RSA_NUMBERS])
{
	for (size_t i = 0; i < RSA_NUMBERS; i++)
		secret_freep(&(*v)[i]);
}

static int
encode_rsa(const EVP_PKEY *pkey, struct secret **ret)
{
	_cleanup_(numbers_clear) struct secret *v[RSA_NUMBERS] = { NULL };
	_cleanup_(back_clear) struct back b = { 0 };
	size_t room = OVERHEAD, end;
	int err = CVM_OK;

	for (size_t i = 0; err == CVM_OK && i < RSA_NUMBERS; i++) {
		err = rsa_private_value(pkey, rsa_types[i], &v[i]);
		room += NUMBER_OVERHEAD +
		    (err == CVM_OK ? secret_len(v[i]) : 0);
	}
	/* With three primes, two are shorter than the modulus, and there is no
	 * place for the third. */
	if (err == CVM_OK &&
	    secret_len(v[3]) + secret_len(v[4]) < secret_len(v[0]))
		err = CVM_E_UNSUPPORTED;
	if (err == CVM_OK)
		err = back_init(&b, room);
	if (err != CVM_OK)
		return err == CVM_E_NOT_FOUND ? CVM_E_UNSUPPORTED : err;
	end = b.left;
	for (size_t i = RSA_NUMBERS; i-- > 0;)
		put_number(&b, secret_span(v[i]));
	put_small(&b, 0);
	put_header(&b, DER_SEQUENCE, end);
	return finish(&b, span(rsa_algorithm, sizeof(rsa_algorithm)),
	    span("", 0), ret);
}

static int
encode_curve(const EVP_PKEY *pkey, const struct curve *c, struct secret **ret)
{
	_cleanup_(secret_freep) struct secret *value = NULL;
	_cleanup_(back_clear) struct back b = { 0 };
	uint8_t point[POINT_MAX];
	size_t end;
	int err = ec_private_value(pkey, &value);

	if (err == CVM_OK)
		err = ec_point(pkey, c, point);
	if (err == CVM_OK)
		err = back_init(&b, OVERHEAD + POINT_MAX + secret_len(value));
	if (err != CVM_OK)
		return err;
	end = b.left;
	if (c->key_type != CKK_EC) {
		put_value(&b, DER_OCTETS, secret_span(value));
		return finish(&b, c->oid, span("", 0), ret);
	}
	put(&b, span(point, c->public_len));
	put_byte(&b, 0); /* unused bits */
	put_header(&b, DER_BITS, end);
	put_header(&b, DER_EXPLICIT(1), end);
	put_value(&b, DER_OCTETS, secret_span(value));
	put_small(&b, 1);
	put_header(&b, DER_SEQUENCE, end);
	return finish(&b, span(ec_algorithm, sizeof(ec_algorithm)), c->oid,
	    ret);
}

int
pkcs8_encode(const EVP_PKEY *pkey, struct secret **ret)
{
	CK_KEY_TYPE type = key_type_of(pkey);
	const struct curve *c;

	if (type == CKK_RSA)
		return encode_rsa(pkey, ret);
	if (type != CKK_EC && type != CKK_EC_EDWARDS &&
	    type != CKK_EC_MONTGOMERY)
		return CVM_E_UNSUPPORTED;
	c = curve_of(pkey);
	return c != NULL ? encode_curve(pkey, c, ret) : CVM_E_UNSUPPORTED;
}

static int
decode_rsa(struct span key, EVP_PKEY **ret)
{
	struct reader r = reader_init(key);
	struct reader seq = der_open(&r, DER_SEQUENCE);
	struct span v[RSA_NUMBERS];

	(void)der_uint(&seq, DER_INTEGER, 0); /* of two primes */
	for (size_t i = 0; i < RSA_NUMBERS; i++)
		v[i] = der_positive(&seq);
	der_close(&r, &seq);
	if (reader_end(&r) != CVM_OK)
		return CVM_E_UNSUPPORTED;
	return rsa_from_numbers(v, ret);
}

/* The point, if it is there, follows from the scalar and is not looked at. */
static int
decode_ec(const struct curve *c, struct span key, EVP_PKEY **ret)
{
	struct reader r = reader_init(key);
	struct reader seq = der_open(&r, DER_SEQUENCE);
	uint64_t version = der_uint(&seq, DER_INTEGER, 1);
	struct span value = der_value(&seq, DER_OCTETS);

	if (der_tag(&seq) == DER_EXPLICIT(1))
		(void)der_value(&seq, DER_EXPLICIT(1));
	der_close(&r, &seq);
	if (reader_end(&r) != CVM_OK || version != 1 ||
	    value.len != c->private_len)
		return CVM_E_UNSUPPORTED;
	return ec_from_value(c, value, ret);
}

static int
decode_raw(const struct curve *c, struct span key, EVP_PKEY **ret)
{
	struct reader r = reader_init(key);
	struct span value = der_value(&r, DER_OCTETS);

	if (reader_end(&r) != CVM_OK)
		return CVM_E_UNSUPPORTED;
	return ec_from_value(c, value, ret);
}

static bool
begins(struct span s, struct span with, struct span *ret_rest)
{
	struct reader r = reader_init(s);
	struct span head = read_span(&r, with.len);

	*ret_rest = read_span(&r, reader_left(&r));
	return span_equal(head, with);
}

static int
decode_key(struct span algorithm, struct span key, EVP_PKEY **ret)
{
	const struct curve *c;
	struct span params;

	if (span_equal(algorithm, span(rsa_algorithm, sizeof(rsa_algorithm))))
		return decode_rsa(key, ret);
	if (begins(algorithm, span(ec_algorithm, sizeof(ec_algorithm)),
		&params)) {
		c = curve_find(CKK_EC, params);
		return c != NULL ? decode_ec(c, key, ret) : CVM_E_UNSUPPORTED;
	}
	c = curve_find(CKK_EC_EDWARDS, algorithm);
	if (c == NULL)
		c = curve_find(CKK_EC_MONTGOMERY, algorithm);
	return c != NULL ? decode_raw(c, key, ret) : CVM_E_UNSUPPORTED;
}

int
pkcs8_decode(struct span der, EVP_PKEY **ret)
{
	struct reader r = reader_init(der);
	struct reader info = der_open(&r, DER_SEQUENCE);
	struct span algorithm, key;
	int err;

	(void)der_uint(&info, DER_INTEGER, 0);
	algorithm = der_value(&info, DER_SEQUENCE);
	key = der_value(&info, DER_OCTETS);
	der_close(&r, &info);
	if (reader_end(&r) != CVM_OK)
		return CVM_E_UNSUPPORTED;
	err = decode_key(algorithm, key, ret);
	return err == CVM_E_ATTR_VALUE ? CVM_E_PARSE : err;
}
