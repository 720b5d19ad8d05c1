/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "attest/cert_rules.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define EC_BITS_MIN 256
#define TIME_TEXT_MAX 32

static void
pss_freep(RSA_PSS_PARAMS **pss)
{
	RSA_PSS_PARAMS_free(*pss);
	*pss = NULL;
}

static void
algor_freep(X509_ALGOR **alg)
{
	X509_ALGOR_free(*alg);
	*alg = NULL;
}

static void
bcons_freep(BASIC_CONSTRAINTS **bc)
{
	BASIC_CONSTRAINTS_free(*bc);
	*bc = NULL;
}

int
cert_deny(struct why *why, const X509 *x, const char *field,
    const char *expected, const char *got)
{
	char name[CERT_NAME_MAX];

	return why_set(why, CVM_E_DENIED, cert_name(x, name, sizeof(name)),
	    field, expected, got);
}

static const char *
time_text(int64_t t, char buf[static TIME_TEXT_MAX])
{
	struct tm tm = { 0 };
	time_t tt = (time_t)t;

	if (gmtime_r(&tt, &tm) == NULL ||
	    strftime(buf, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(buf, TIME_TEXT_MAX, "%lld", (long long)t);
	return buf;
}

/* [from, until) must include now, as OpenSSL counts it; a missing date is not
 * acceptable. */
int
dates_include(const ASN1_TIME *from, const ASN1_TIME *until, int64_t now,
    const char *where, const char *const field[2], struct why *why)
{
	char limit[TIME_TEXT_MAX], at[TIME_TEXT_MAX], expected[64];
	int64_t a = 0, b = 0;

	if (asn1_time_seconds(from, &a) != CVM_OK)
		return why_set(why, CVM_E_DENIED, where, field[0], "a date",
		    "none");
	if (asn1_time_seconds(until, &b) != CVM_OK)
		return why_set(why, CVM_E_DENIED, where, field[1], "a date",
		    "none");
	if (now >= a && now < b)
		return CVM_OK;
	(void)snprintf(expected, sizeof(expected), "%s %s",
	    now < a ? "not after" : "not before", time_text(now, at));
	return why_setf(why, CVM_E_DENIED, where, field[now < a ? 0 : 1],
	    expected, "%s: %s", time_text(now < a ? a : b, limit),
	    now < a ? "not yet valid" : "expired");
}

/* Length of an acceptable hash, 0 for every other one. */
static long
hash_acceptable(int nid)
{
	switch (nid) {
	case NID_sha256:
		return SHA256_LEN;
	case NID_sha384:
		return SHA384_LEN;
	case NID_sha512:
		return SHA512_LEN;
	default:
		return 0;
	}
}

static int
algor_nid(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *obj = NULL;

	if (alg == NULL)
		return NID_undef;
	X509_ALGOR_get0(&obj, NULL, NULL, alg);
	return OBJ_obj2nid(obj);
}

/* RFC 4055: MGF1 with the same hash and a salt of its length; anything weaker
 * would hide behind a strong first hash. */
static bool
pss_acceptable(const X509_ALGOR *alg)
{
	_cleanup_(pss_freep) RSA_PSS_PARAMS *pss = NULL;
	_cleanup_(algor_freep) X509_ALGOR *mask = NULL;
	int md;

	if (alg->parameter == NULL)
		return false;
	pss = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS),
	    alg->parameter);
	if (pss == NULL || pss->saltLength == NULL ||
	    algor_nid(pss->maskGenAlgorithm) != NID_mgf1 ||
	    pss->maskGenAlgorithm->parameter == NULL)
		return false;
	mask = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR),
	    pss->maskGenAlgorithm->parameter);
	md = algor_nid(pss->hashAlgorithm);
	return hash_acceptable(md) > 0 && algor_nid(mask) == md &&
	    ASN1_INTEGER_get(pss->saltLength) == hash_acceptable(md);
}

static bool
signature_strong(const X509_ALGOR *alg)
{
	int nid = algor_nid(alg), md = NID_undef, pk = NID_undef;

	if (nid == NID_rsassaPss)
		return pss_acceptable(alg);
	return OBJ_find_sigid_algs(nid, &md, &pk) == 1 &&
	    hash_acceptable(md) > 0;
}

int
signature_acceptable(const X509_ALGOR *alg, const char *where, struct why *why)
{
	const ASN1_OBJECT *obj;
	char name[64];

	if (signature_strong(alg))
		return CVM_OK;
	X509_ALGOR_get0(&obj, NULL, NULL, alg);
	(void)OBJ_obj2txt(name, sizeof(name), obj, /* no_name= */ 0);
	return why_set(why, CVM_E_DENIED, where, "signature algorithm",
	    "RSA, RSASSA-PSS or ECDSA with SHA-256, SHA-384 or SHA-512", name);
}

static int
key_acceptable(X509 *x, struct why *why)
{
	EVP_PKEY *key = X509_get0_pubkey(x);
	int id = key != NULL ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
	int bits = key != NULL ? EVP_PKEY_get_bits(key) : 0;
	char got[32];

	if (id == EVP_PKEY_RSA && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)
		return CVM_OK;
	if (id == EVP_PKEY_EC && bits >= EC_BITS_MIN)
		return CVM_OK;
	(void)snprintf(got, sizeof(got), "%s of %d bits",
	    id == EVP_PKEY_RSA	  ? "RSA" :
		id == EVP_PKEY_EC ? "EC" :
				    "another kind",
	    bits);
	return cert_deny(why, x, "public key",
	    "RSA of 2048 to 8192 bits, or EC of 256 bits or more", got);
}

/* RFC 5280 section 4.2: no extension twice, none critical and unknown. */
static int
extensions_acceptable(const X509 *x, struct why *why)
{
	int n = X509_get_ext_count(x);
	char oid[80];

	for (int i = 0; i < n; i++) {
		X509_EXTENSION *ext = X509_get_ext(x, i);
		ASN1_OBJECT *obj = X509_EXTENSION_get_object(ext);

		(void)OBJ_obj2txt(oid, sizeof(oid), obj, /* no_name= */ 1);
		if (X509_get_ext_by_OBJ(x, obj, i) >= 0)
			return cert_deny(why, x, "extensions",
			    "each at most once", oid);
		if (X509_EXTENSION_get_critical(ext) &&
		    X509_supported_extension(ext) != 1)
			return cert_deny(why, x, "extensions",
			    "no unknown critical one", oid);
	}
	return CVM_OK;
}

static bool
marked_ca(const X509 *x)
{
	_cleanup_(bcons_freep) BASIC_CONSTRAINTS *bc = NULL;

	bc = X509_get_ext_d2i(x, NID_basic_constraints, NULL, NULL);
	return bc != NULL && bc->ca != 0;
}

static int
role_acceptable(X509 *x, bool ca, struct why *why)
{
	uint32_t usage = X509_get_key_usage(x); /* all ones when absent */

	if (!ca && (marked_ca(x) || X509_check_ca(x) != 0))
		return cert_deny(why, x, "basicConstraints",
		    "not a CA at the end of the chain", "a CA");
	if (!ca)
		return CVM_OK;
	if (!marked_ca(x))
		return cert_deny(why, x, "basicConstraints", "CA:TRUE",
		    "no CA");
	if (usage == UINT32_MAX || (usage & KU_KEY_CERT_SIGN) == 0)
		return cert_deny(why, x, "keyUsage", "keyCertSign",
		    usage == UINT32_MAX ? "no keyUsage" : "not keyCertSign");
	return CVM_OK;
}

int
cert_acceptable(X509 *x, bool ca, int64_t now, struct why *why)
{
	static const char *const dates[] = { "notBefore", "notAfter" };
	int r;

	if (X509_get_version(x) != X509_VERSION_3)
		return cert_deny(why, x, "version", "X.509 v3", "an older one");
	r = signature_acceptable(X509_get0_tbs_sigalg(x), "", why);
	if (r == CVM_OK)
		r = key_acceptable(x, why);
	if (r == CVM_OK)
		r = extensions_acceptable(x, why);
	if (r == CVM_OK)
		r = role_acceptable(x, ca, why);
	if (r == CVM_OK)
		r = dates_include(X509_get0_notBefore(x), X509_get0_notAfter(x),
		    now, "", dates, why);
	/* Names are for refusals: to print one takes as long as a check. */
	if (r != CVM_OK && why != NULL && why->where[0] == '\0')
		(void)cert_name(x, why->where, sizeof(why->where));
	return r;
}
