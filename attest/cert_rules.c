/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <time.h>

#include "attest/cert_parts.h"
#include "attest/cert_rules.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define TIME_TEXT_MAX 32

int
cert_deny(struct why *why, const struct cert *x, const char *field,
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

int
dates_include(int64_t from, int64_t until, int64_t now, const char *where,
    const char *const field[2], struct why *why)
{
	char limit[TIME_TEXT_MAX], at[TIME_TEXT_MAX], expected[64];

	if (now >= from && now < until)
		return CVM_OK;
	(void)snprintf(expected, sizeof(expected), "%s %s",
	    now < from ? "not after" : "not before", time_text(now, at));
	return why_setf(why, CVM_E_DENIED, where, field[now < from ? 0 : 1],
	    expected, "%s: %s", time_text(now < from ? from : until, limit),
	    now < from ? "not yet valid" : "expired");
}

int
signature_acceptable(const struct cert_alg *alg, const struct cert_alg *inside,
    const char *where, struct why *why)
{
	char name[CERT_ALG_NAME_MAX], other[CERT_ALG_NAME_MAX];

	if (alg->scheme == SIG_UNKNOWN)
		return why_set(why, CVM_E_DENIED, where, "signature algorithm",
		    "RSA, RSASSA-PSS or ECDSA with SHA-256, SHA-384 or SHA-512",
		    cert_alg_name(alg, name));
	/* RFC 5280 section 4.1.1.2. */
	if (!span_equal(alg->whole, inside->whole))
		return why_set(why, CVM_E_DENIED, where, "signature algorithm",
		    cert_alg_name(inside, name), cert_alg_name(alg, other));
	return CVM_OK;
}

static int
key_acceptable(const struct cert *x, struct why *why)
{
	char got[32];

	if (x->key != NULL && x->key_kind == CERT_KEY_EC)
		return CVM_OK;
	if (x->key != NULL && x->key_kind == CERT_KEY_RSA &&
	    x->key_bits >= RSA_BITS_MIN && x->key_bits <= RSA_BITS_MAX)
		return CVM_OK;
	(void)snprintf(got, sizeof(got),
	    x->key_kind == CERT_KEY_RSA ? "RSA of %u bits" : "another kind",
	    x->key_bits);
	return cert_deny(why, x, "public key",
	    "RSA of 2048 to 8192 bits, or EC on P-256, P-384 or P-521", got);
}

/* Those whose meaning is honoured here, or cannot matter to an endorsement;
 * names beside the subject, key purposes and policies can be critical. */
static bool
is_known(struct span oid)
{
	static const uint8_t known[] = { CE_SUBJECT_KEY_ID, CE_KEY_USAGE,
		CE_SUBJECT_ALT_NAME, CE_BASIC_CONSTRAINTS, CE_CRL_POINTS,
		CE_POLICIES, CE_AUTHORITY_KEY_ID, CE_EXT_KEY_USAGE };

	for (size_t i = 0; i < NELEMS(known); i++)
		if (oid_is_ce(oid, known[i]))
			return true;
	return false;
}

static int
deny_extension(const struct cert *x, struct span oid, const char *expected,
    struct why *why)
{
	char text[80];

	(void)der_oid_text(oid, text, sizeof(text));
	return cert_deny(why, x, "extensions", expected, text);
}

/* RFC 5280 section 4.2: no extension twice, none critical and unknown. */
static int
extensions_acceptable(const struct cert *x, struct why *why)
{
	for (size_t i = 0; i < x->n_ext; i++) {
		const struct cert_extension *e = &x->ext[i];

		for (size_t k = i + 1; k < x->n_ext; k++)
			if (span_equal(e->oid, x->ext[k].oid))
				return deny_extension(x, e->oid,
				    "each at most once", why);
		if (e->critical && !is_known(e->oid))
			return deny_extension(x, e->oid,
			    "no unknown critical one", why);
		if (oid_is_ce(e->oid, CE_NAME_CONSTRAINTS) ||
		    oid_is_ce(e->oid, CE_POLICY_CONSTRAINTS))
			return deny_extension(x, e->oid,
			    "no constraints of names or policies", why);
	}
	return CVM_OK;
}

static int
role_acceptable(const struct cert *x, bool ca, struct why *why)
{
	if (!ca && (x->ca || (x->usage & USAGE_KEY_CERT_SIGN) != 0))
		return cert_deny(why, x,
		    x->ca ? "basicConstraints" : "keyUsage",
		    "not a CA at the end of the chain",
		    x->ca ? "a CA" : "keyCertSign");
	if (!ca)
		return x->path_len < 0 ?
		    CVM_OK :
		    cert_deny(why, x, "basicConstraints",
			"no path length without a CA", "one");
	if (!x->ca)
		return cert_deny(why, x, "basicConstraints", "CA:TRUE",
		    "no CA");
	if ((x->usage & USAGE_KEY_CERT_SIGN) == 0)
		return cert_deny(why, x, "keyUsage", "keyCertSign",
		    x->has_usage ? "not keyCertSign" : "no keyUsage");
	return CVM_OK;
}

int
cert_acceptable(const struct cert *x, bool ca, int64_t now, struct why *why)
{
	static const char *const dates[] = { "notBefore", "notAfter" };
	int r;

	if (x->version != 3)
		return cert_deny(why, x, "version", "X.509 v3", "an older one");
	r = signature_acceptable(&x->alg, &x->alg_inside, "", why);
	if (r == CVM_OK)
		r = key_acceptable(x, why);
	if (r == CVM_OK)
		r = extensions_acceptable(x, why);
	if (r == CVM_OK)
		r = role_acceptable(x, ca, why);
	if (r == CVM_OK)
		r = dates_include(x->from, x->until, now, "", dates, why);
	/* Names are for refusals: to print one takes as long as a check. */
	if (r != CVM_OK && why != NULL && why->where[0] == '\0')
		(void)cert_name(x, why->where, sizeof(why->where));
	return r;
}

static bool
is_critical(const struct cert *x, uint8_t arc)
{
	for (size_t i = 0; i < x->n_ext; i++)
		if (oid_is_ce(x->ext[i].oid, arc) && x->ext[i].critical)
			return true;
	return false;
}

/* An empty SEQUENCE. */
static bool
is_empty(struct span name)
{
	return name.len <= 2;
}

int
cert_strict(const struct cert *x, bool root, struct why *why)
{
	if (x->ca && !x->constraints_critical)
		return cert_deny(why, x, "basicConstraints", "critical",
		    "not critical");
	if (is_empty(x->issuer) || (x->ca && is_empty(x->subject)) ||
	    (is_empty(x->subject) && !is_critical(x, CE_SUBJECT_ALT_NAME)))
		return cert_deny(why, x, "names", "an issuer, and a subject",
		    "an empty name");
	if (is_critical(x, CE_SUBJECT_KEY_ID) ||
	    is_critical(x, CE_AUTHORITY_KEY_ID))
		return cert_deny(why, x, "key identifiers", "not critical",
		    "critical");
	if (x->ca && x->key_id.len == 0)
		return cert_deny(why, x, "subjectKeyIdentifier", "one", "none");
	if (!root && x->authority.key_id.len == 0)
		return cert_deny(why, x, "authorityKeyIdentifier", "one",
		    "none");
	return CVM_OK;
}

int
cert_issued_by(const struct cert *x, const struct cert *by, struct why *why)
{
	const struct cert_authority *a = &x->authority;
	char issuer[CERT_NAME_MAX];

	if (!name_equal(x->issuer, by->subject))
		return cert_deny(why, x, "issuer",
		    cert_name(by, issuer, sizeof(issuer)),
		    "another name (wrong order or wrong chain)");
	if ((a->key_id.len > 0 && by->key_id.len > 0 &&
		!span_equal(a->key_id, by->key_id)) ||
	    (a->serial.len > 0 && !span_equal(a->serial, by->serial)) ||
	    (a->issuer.len > 0 && !name_equal(a->issuer, by->issuer)))
		return cert_deny(why, x, "authorityKeyIdentifier",
		    "that of its issuer", "another (wrong chain)");
	return CVM_OK;
}
