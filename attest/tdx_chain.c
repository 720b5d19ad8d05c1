/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/tdx_parts.h"

const char intel_root_ca[] = "Intel SGX Root CA";
const char intel_platform_ca[] = "Intel SGX PCK Platform CA";
const char intel_processor_ca[] = "Intel SGX PCK Processor CA";

/* Certificates and line ends: no text before, between or after them. */
static bool
pem_is_blocks(struct span s)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	static const char end[] = "-----END CERTIFICATE-----";
	const uint8_t *at = s.data, *stop = s.data + s.len;

	for (;;) {
		while (at < stop && (*at == '\n' || *at == '\r'))
			at++;
		if (at == stop)
			return true;
		if ((size_t)(stop - at) < sizeof(begin) - 1 ||
		    memcmp(at, begin, sizeof(begin) - 1) != 0)
			return false;
		at = memmem(at, (size_t)(stop - at), end, sizeof(end) - 1);
		if (at == NULL)
			return false;
		at += sizeof(end) - 1;
	}
}

/* One text for one chain: PEM allows much more. What else could be said in
 * two ways, the decoder refuses: bits under the padding, other bytes. */
static bool
pem_is_plain(struct span s)
{
	if (s.len > 0 && s.data[s.len - 1] == '\0')
		s.len--;
	return s.len > 0 && memchr(s.data, '\t', s.len) == NULL &&
	    pem_is_blocks(s);
}

static void
free_nothing(void *object)
{
	(void)object;
}

/* The same texts come again and again. */
static bool
pem_known_plain(struct parsed *p, struct span pem)
{
	static const struct parsed_kind kind = { free_nothing };
	static char yes;

	if (parsed_find(p, &kind, pem) != NULL)
		return true;
	if (!pem_is_plain(pem))
		return false;
	(void)parsed_keep(p, &kind, pem, &yes);
	return true;
}

int
intel_chain_known(struct parsed *p, struct span pem, const char *name, size_t n,
    struct intel_chain *ret, struct why *reterr_why)
{
	struct intel_chain c = { 0 };
	char expected[64];

	(void)snprintf(expected, sizeof(expected), "%zu certificates in PEM",
	    n);
	if (pem.len == 0)
		return why_set(reterr_why, CVM_E_NOT_FOUND, name, "", expected,
		    "no such file, or an empty one");
	if (!pem_known_plain(p, pem) ||
	    parsed_certs(p, pem, c.cert, INTEL_CHAIN_MAX, &c.n) < 0)
		return why_set(reterr_why, CVM_E_PARSE, name, "", expected,
		    "something else");
	if (c.n != n) {
		(void)why_setf(reterr_why, CVM_E_PARSE, name, "", expected,
		    "%zu", c.n);
		intel_chain_clear(&c);
		return CVM_E_PARSE;
	}
	*ret = c;
	return CVM_OK;
}

int
intel_chain_load(struct span pem, const char *name, size_t n,
    struct intel_chain *ret, struct why *reterr_why)
{
	return intel_chain_known(/* p= */ NULL, pem, name, n, ret, reterr_why);
}

void
intel_chain_clear(struct intel_chain *c)
{
	for (size_t i = 0; i < INTEL_CHAIN_MAX; i++)
		cert_freep(&c->cert[i]);
	c->n = 0;
}

/* PCK Certificate and CRL Profile Specification, section 3: the same
 * organisation everywhere, and nothing beside it. */
bool
intel_name_is(struct span name, const char *common_name)
{
	const struct name_part parts[] = {
		{ NAME_COMMON, common_name },
		{ NAME_ORGANIZATION, "Intel Corporation" },
		{ NAME_LOCALITY, "Santa Clara" },
		{ NAME_STATE, "CA" },
		{ NAME_COUNTRY, "US" },
	};

	return name_is(name, parts, NELEMS(parts));
}

int
intel_chain_names(const struct intel_chain *c, const char *const *names,
    struct why *reterr_why)
{
	static const char *const part[] = { "leaf", "second certificate",
		"third certificate" };
	char got[CERT_NAME_MAX];

	for (size_t i = 0; i < c->n; i++)
		if (!intel_name_is(c->cert[i]->subject, names[i]))
			return why_set(reterr_why, CVM_E_DENIED, part[i],
			    "subject", names[i],
			    cert_name(c->cert[i], got, sizeof(got)));
	return CVM_OK;
}

int
intel_chain_algorithms(const struct intel_chain *c, struct why *reterr_why)
{
	char name[CERT_NAME_MAX];

	for (size_t i = 0; i < c->n; i++) {
		const struct cert *x = c->cert[i];

		if (x->key == NULL || x->key_kind != CERT_KEY_EC ||
		    x->curve != EC_P256)
			return why_set(reterr_why, CVM_E_DENIED,
			    cert_name(x, name, sizeof(name)), "public key",
			    "EC P-256", "another key");
		if (x->alg.scheme != SIG_ECDSA || x->alg.hash != HASH_SHA256)
			return why_set(reterr_why, CVM_E_DENIED,
			    cert_name(x, name, sizeof(name)),
			    "signature algorithm", "ecdsa-with-SHA256",
			    "another one");
	}
	return CVM_OK;
}

int
intel_chain_pinned(const struct intel_chain *c, const struct value_list *pins,
    struct why *reterr_why)
{
	const struct cert *root = c->cert[c->n - 1];
	char hex[2 * SHA256_LEN + 1];

	if (cert_pinned(root, pins))
		return CVM_OK;
	return why_set(reterr_why, CVM_E_DENIED, "root", "SHA-256 of its key",
	    "a pinned one",
	    hex_encode(span(root->spki_digest, SHA256_LEN), hex, sizeof(hex)));
}

static struct chain
as_chain(const struct intel_chain *c, struct cert *intermediates[static 1])
{
	intermediates[0] = c->n == 3 ? c->cert[1] : NULL;
	return (struct chain){
		.leaf = c->cert[0],
		.intermediates = intermediates,
		.n_intermediates = c->n - 2,
		.root = c->cert[c->n - 1],
		.want_strict = true,
	};
}

const char *
tdx_time_text(int64_t t, char buf[static TDX_TIME_LEN])
{
	struct tm tm = { 0 };
	time_t tt = (time_t)t;

	if (gmtime_r(&tt, &tm) == NULL ||
	    strftime(buf, TDX_TIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(buf, TDX_TIME_LEN, "%" PRId64, t);
	return buf;
}

int
intel_chain_dates(const struct intel_chain *c, int64_t now,
    struct why *reterr_why)
{
	struct cert *intermediates[1];
	struct chain chain = as_chain(c, intermediates);
	struct chain_validity v = { 0 };
	char expected[96], from[TDX_TIME_LEN], until[TDX_TIME_LEN];

	if (chain_validity(&chain, &v) < 0)
		return why_set(reterr_why, CVM_E_PARSE, "", "dates", "readable",
		    "not");
	if (now >= v.from && now <= v.until)
		return CVM_OK;
	(void)snprintf(expected, sizeof(expected), "a time of %s to %s",
	    tdx_time_text(v.from, from), tdx_time_text(v.until, until));
	return why_setf(reterr_why, CVM_E_DENIED, "", "", expected, "%s (%s)",
	    tdx_time_text(now, from),
	    now < v.from ? "not yet valid" : "expired");
}

int
intel_chain_verify(struct tdx_run *run, const struct intel_chain *c,
    struct crl **crls, size_t n_crls, struct chain_validity *ret_validity,
    struct why *reterr_why)
{
	struct cert *intermediates[1];
	struct chain chain = as_chain(c, intermediates);
	struct chain_validity v = { 0 };
	int r;

	if ((c->cert[0]->usage & USAGE_DIGITAL_SIGNATURE) == 0)
		return why_set(reterr_why, CVM_E_DENIED, "leaf", "keyUsage",
		    "digitalSignature", "not digitalSignature");
	chain.crls = crls;
	chain.n_crls = n_crls;
	chain.require_crl = chain.crl_leaf = n_crls > 0;
	chain.pins = &run->pins;
	chain.now = run->a->now;
	r = chain_accept(run->a->cache, &chain, &v, &run->facts.seen,
	    reterr_why);
	if (r < 0)
		return r;
	facts_newer(&run->facts, v.newest_crl);
	facts_narrow(&run->facts, v.from, v.until);
	if (ret_validity != NULL)
		*ret_validity = v;
	return CVM_OK;
}
