/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/cert_parts.h"

#define OID_LEN_MAX 9

/* What parameters an algorithm has. */
enum params { PARAMS_NONE, PARAMS_NULL, PARAMS_PSS };

struct algorithm {
	uint8_t oid[OID_LEN_MAX], oid_len;
	const char *name;
	enum sig_scheme scheme;
	enum hash_alg hash;
	enum params params;
};

/* RFC 4055 section 5, RFC 5758 section 3.2; those that nobody should trust
 * are here for their names. */
#define RSA_OID(n) { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, n }, 9
#define EC_OID(n) { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, n }, 8
static const struct algorithm algorithms[] = {
	{ RSA_OID(11), "RSA with SHA256", SIG_RSA, HASH_SHA256, PARAMS_NULL },
	{ RSA_OID(12), "RSA with SHA384", SIG_RSA, HASH_SHA384, PARAMS_NULL },
	{ RSA_OID(13), "RSA with SHA512", SIG_RSA, HASH_SHA512, PARAMS_NULL },
	{ EC_OID(2), "ECDSA with SHA256", SIG_ECDSA, HASH_SHA256, PARAMS_NONE },
	{ EC_OID(3), "ECDSA with SHA384", SIG_ECDSA, HASH_SHA384, PARAMS_NONE },
	{ EC_OID(4), "ECDSA with SHA512", SIG_ECDSA, HASH_SHA512, PARAMS_NONE },
	{ RSA_OID(10), "RSASSA-PSS", SIG_PSS, HASH_SHA256, PARAMS_PSS },
	{ RSA_OID(4), "RSA with MD5", SIG_UNKNOWN, HASH_SHA1, PARAMS_NULL },
	{ RSA_OID(5), "RSA with SHA1", SIG_UNKNOWN, HASH_SHA1, PARAMS_NULL },
	{ RSA_OID(14), "RSA with SHA224", SIG_UNKNOWN, HASH_SHA1, PARAMS_NULL },
	{ { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1 }, 7, "ECDSA with SHA1",
	    SIG_UNKNOWN, HASH_SHA1, PARAMS_NONE },
};

/* FIPS 180-4, under 2.16.840.1.101.3.4.2. */
static const struct {
	uint8_t arc;
	enum hash_alg hash;
	const char *name;
} hashes[] = {
	{ 1, HASH_SHA256, "SHA256" },
	{ 2, HASH_SHA384, "SHA384" },
	{ 3, HASH_SHA512, "SHA512" },
};

bool
oid_is_ce(struct span oid, uint8_t arc)
{
	const uint8_t want[ID_CE_LEN] = ID_CE(arc);

	return span_equal(oid, span(want, sizeof(want)));
}

static const struct algorithm *
find_algorithm(struct span oid)
{
	for (size_t i = 0; i < NELEMS(algorithms); i++)
		if (span_equal(oid,
			span(algorithms[i].oid, algorithms[i].oid_len)))
			return &algorithms[i];
	return NULL;
}

/* NULL or nothing: RFC 4055 section 2.1 has both accepted. */
static void
read_null(struct reader *r)
{
	if (reader_left(r) > 0 && der_value(r, DER_NULL).len != 0)
		r->failed = true;
}

static bool
read_hash(struct reader *r, enum hash_alg *ret)
{
	static const uint8_t prefix[] = { 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2 };
	struct reader alg = der_open(r, DER_SEQUENCE);
	struct span oid = der_oid(&alg);

	read_null(&alg);
	der_close(r, &alg);
	if (oid.len != sizeof(prefix) + 1 ||
	    memcmp(oid.data, prefix, sizeof(prefix)) != 0)
		return false;
	for (size_t i = 0; i < NELEMS(hashes); i++)
		if (hashes[i].arc == oid.data[sizeof(prefix)]) {
			*ret = hashes[i].hash;
			return true;
		}
	return false;
}

/* MGF1 (1.2.840.113549.1.1.8) and its hash. */
static bool
read_mask(struct reader *r, enum hash_alg *ret)
{
	static const uint8_t mgf1[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1,
		1, 8 };
	struct reader alg = der_open(r, DER_SEQUENCE);
	struct span oid = der_oid(&alg);
	bool ok = read_hash(&alg, ret);

	der_close(r, &alg);
	return ok && span_equal(oid, span(mgf1, sizeof(mgf1)));
}

/*
 * RFC 4055 section 3.1: MGF1 with the same hash and a salt of its length;
 * anything weaker would hide behind a strong first hash. The defaults are all
 * SHA-1, so that the first three parts must be there; the last has one value,
 * which AMD's certificates write.
 */
static bool
read_pss(struct reader *r, enum hash_alg *ret)
{
	struct reader p = der_open(r, DER_SEQUENCE);
	struct reader hash = der_open(&p, DER_EXPLICIT(0));
	struct reader mask = der_open(&p, DER_EXPLICIT(1));
	struct reader salt = der_open(&p, DER_EXPLICIT(2));
	enum hash_alg h = HASH_SHA1, m = HASH_SHA1;
	bool ok = read_hash(&hash, &h);
	uint64_t len;

	ok &= read_mask(&mask, &m);
	len = der_uint(&salt, DER_INTEGER, UINT16_MAX);
	der_close(&p, &hash);
	der_close(&p, &mask);
	der_close(&p, &salt);
	if (reader_left(&p) > 0) {
		struct reader trailer = der_open(&p, DER_EXPLICIT(3));

		ok &= der_uint(&trailer, DER_INTEGER, 1) == 1;
		der_close(&p, &trailer);
	}
	der_close(r, &p);
	if (r->failed || !ok || m != h || len != hash_len(h))
		return false;
	*ret = h;
	return true;
}

/* Parameters that are not as they should be make the algorithm unknown: which
 * certificate has them is for its judge to say. */
static bool
read_params(const struct algorithm *a, struct reader p, enum hash_alg *ret)
{
	*ret = a->hash;
	if (a->params == PARAMS_NULL)
		read_null(&p);
	else if (a->params == PARAMS_PSS && !read_pss(&p, ret))
		return false;
	return reader_end(&p) == CVM_OK;
}

struct span
cert_algorithm_open(struct reader *r, struct reader *ret_params)
{
	struct reader in = der_open(r, DER_SEQUENCE);
	struct span oid = der_oid(&in);
	struct reader rest = in;

	*ret_params = in;
	if (der_tag(&rest) == DER_NULL)
		read_null(&rest);
	else if (der_tag(&rest) == DER_OID)
		(void)der_oid(&rest);
	else if (reader_left(&rest) > 0)
		(void)der_value(&rest, DER_SEQUENCE);
	der_close(r, &rest);
	return oid;
}

struct cert_alg
cert_alg_read(struct reader *r)
{
	struct cert_alg ret = { .whole = der_whole(r, DER_SEQUENCE) };
	struct reader whole = reader_init(ret.whole), params;
	struct span oid = cert_algorithm_open(&whole, &params);
	const struct algorithm *a = find_algorithm(oid);

	if (reader_end(&whole) != CVM_OK)
		r->failed = true;
	if (!r->failed && a != NULL && read_params(a, params, &ret.hash))
		ret.scheme = a->scheme;
	return ret;
}

const char *
cert_alg_name(const struct cert_alg *alg, char buf[static CERT_ALG_NAME_MAX])
{
	struct reader whole = reader_init(alg->whole), in;
	const struct algorithm *a;
	struct span oid;

	in = der_open(&whole, DER_SEQUENCE);
	oid = der_oid(&in);
	a = find_algorithm(oid);
	if (a == NULL)
		return der_oid_text(oid, buf, CERT_ALG_NAME_MAX);
	(void)snprintf(buf, CERT_ALG_NAME_MAX, "%s%s", a->name,
	    alg->scheme == SIG_UNKNOWN && a->scheme != SIG_UNKNOWN ?
		" with weak or odd parameters" :
		"");
	for (size_t i = 0; i < NELEMS(hashes); i++)
		if (alg->scheme == SIG_PSS && hashes[i].hash == alg->hash)
			(void)snprintf(buf, CERT_ALG_NAME_MAX, "%s with %s",
			    a->name, hashes[i].name);
	return buf;
}

struct cert_extension
cert_extension_read(struct reader *list)
{
	struct reader e = der_open(list, DER_SEQUENCE);
	struct cert_extension ret = { .oid = der_oid(&e) };

	/* FALSE is the default, which some write all the same. */
	if (der_tag(&e) == DER_BOOLEAN)
		ret.critical = der_bool(&e);
	ret.value = der_value(&e, DER_OCTETS);
	der_close(list, &e);
	return ret;
}

/* The first directoryName of GeneralNames; other kinds of names say nothing
 * that a chain could be judged by. */
static struct span
read_directory_name(struct reader *in)
{
	struct reader names = der_open(in, DER_EXPLICIT(1));
	struct span ret = { 0 };
	uint8_t tag;

	while (reader_left(&names) > 0) {
		struct span one = der_any(&names, &tag);

		if (tag != DER_EXPLICIT(4) || ret.data != NULL)
			continue;
		if (!name_check(one))
			names.failed = true;
		ret = one;
	}
	der_close(in, &names);
	return ret;
}

struct cert_authority
cert_authority_read(struct reader *r)
{
	struct cert_authority ret = { 0 };
	struct reader in = der_open(r, DER_SEQUENCE);

	if (der_tag(&in) == DER_IMPLICIT(0))
		ret.key_id = der_value(&in, DER_IMPLICIT(0));
	if (der_tag(&in) == DER_EXPLICIT(1))
		ret.issuer = read_directory_name(&in);
	if (der_tag(&in) == DER_IMPLICIT(2))
		ret.serial = der_value(&in, DER_IMPLICIT(2));
	der_close(r, &in);
	return ret;
}

struct reader
cert_open(struct span der, bool padded, struct span *ret_tbs,
    struct cert_alg *ret_alg, struct span *ret_signature, size_t *ret_len)
{
	struct reader r = reader_init(der), whole, tbs, bad = { 0 };

	bad.failed = true;
	whole = der_open(&r, DER_SEQUENCE);
	*ret_tbs = der_whole(&whole, DER_SEQUENCE);
	*ret_alg = cert_alg_read(&whole);
	*ret_signature = der_bits(&whole);
	der_close(&r, &whole);
	*ret_len = r.pos;
	if (padded && reader_left(&r) > 0)
		read_zero(&r, reader_left(&r));
	if (reader_end(&r) != CVM_OK)
		return bad;
	tbs = reader_init(*ret_tbs);
	return der_open(&tbs, DER_SEQUENCE);
}
