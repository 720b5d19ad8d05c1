/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/chain_cache.h"
#include "attest/snp_parts.h"
#include "base/tuple.h"

int
snp_cert_known(struct parsed *p, struct span bytes, struct cert **ret)
{
	size_t n = 0;

	if (bytes.len > 0 && bytes.data[0] == '-')
		return parsed_certs(p, bytes, ret, 1, &n);
	return parsed_cert(p, bytes, /* padded= */ false, ret);
}

int
snp_cert_read(struct span bytes, struct cert **ret)
{
	return snp_cert_known(/* p= */ NULL, bytes, ret);
}

struct span
snp_endorsement(const struct appraisal *a, const char *name)
{
	return a->endorsements != NULL ?
	    endorsements_find(a->endorsements, name) :
	    (struct span){ 0 };
}

/* 57230 section 3: the name of every certificate of AMD's. */
bool
snp_amd_name(struct span name, const char *cn)
{
	const struct name_part parts[] = {
		{ NAME_COUNTRY, "US" },
		{ NAME_STATE, "CA" },
		{ NAME_LOCALITY, "Santa Clara" },
		{ NAME_ORGANIZATION, "Advanced Micro Devices" },
		{ NAME_UNIT, "Engineering" },
		{ NAME_COMMON, cn },
	};

	return name_is(name, parts, NELEMS(parts));
}

const char *
snp_issuer_cn(enum snp_product p, bool vlek, char buf[static SNP_CN_MAX])
{
	(void)snprintf(buf, SNP_CN_MAX, "SEV-%s%s", vlek ? "VLEK-" : "",
	    snp_product_name(p));
	return buf;
}

enum snp_product
snp_vek_product(const struct cert *vek, bool vlek)
{
	static const enum snp_product all[] = SNP_PRODUCTS;
	char cn[SNP_CN_MAX];

	for (size_t i = 0; i < NELEMS(all); i++)
		if (snp_amd_name(vek->issuer, snp_issuer_cn(all[i], vlek, cn)))
			return all[i];
	return (enum snp_product)0;
}

static void
reverse(uint8_t *out, struct span in)
{
	for (size_t i = 0; i < in.len; i++)
		out[i] = in.data[in.len - 1 - i];
}

int
snp_report_verify(const struct snp_report *r, struct cert *vek)
{
	uint8_t digest[SHA384_LEN], rs[2 * SNP_SIG_PART_LEN];
	int err = hash(HASH_SHA384, span(r->bytes.data, SNP_SIGNED_LEN),
	    digest);

	if (err != CVM_OK)
		return err;
	reverse(rs, r->r);
	reverse(&rs[SNP_SIG_PART_LEN], r->s);
	return cert_check_raw(vek, span(rs, sizeof(rs)),
	    span(digest, sizeof(digest)));
}

/*
 * A report serves many rounds, and what signed it once signed it: the answer
 * depends on nothing but report and certificate.
 */
static int
report_verify_cached(const struct snp_appraisal *s, struct span cert,
    struct cert *vek)
{
	const struct span fields[] = { cert, s->r.bytes };
	_cleanup_(blob_clear) struct blob t = { 0 };
	uint8_t key[SHA256_LEN];
	int r;

	if (s->a->cache == NULL ||
	    tuple("cvm-pkcs11/snp-signature/1", fields, NELEMS(fields), &t) !=
		CVM_OK ||
	    hash(HASH_SHA256, blob_span(&t), key) != CVM_OK)
		return snp_report_verify(&s->r, vek);
	if (chain_cache_known(s->a->cache, key, s->a->now, /* ret= */ NULL))
		return CVM_OK;
	r = snp_report_verify(&s->r, vek);
	if (r == CVM_OK)
		chain_cache_remember(s->a->cache, key, INT64_MIN, INT64_MAX);
	return r;
}

/* The i-th place where the certificate may be; false past the last. */
static bool
place(const struct snp_appraisal *s, size_t i, struct span *ret,
    char name[static SNP_VEK_NAME_MAX])
{
	if (i == 0) {
		*ret = s->vlek ? s->certs.vlek : s->certs.vcek;
		(void)snprintf(name, SNP_VEK_NAME_MAX, "certificate table");
		return true;
	}
	if (snp_vek_name(&s->r, i - 1, name) == NULL)
		return false;
	*ret = snp_endorsement(s->a, name);
	return true;
}

/*
 * Hosts serve tables that are older than their firmware, so that a certificate
 * may be there and yet not the right one: the first place whose key signed the
 * report wins, else the first that has a certificate, to say what is wrong.
 */
static bool
find_vek(struct snp_appraisal *s)
{
	char name[SNP_VEK_NAME_MAX], expected[SNP_VEK_NAME_MAX] = "";
	struct span bytes;
	bool malformed = false;

	for (size_t i = 0; place(s, i, &bytes, name); i++) {
		_cleanup_(cert_freep) struct cert *x = NULL;

		if (i == 1)
			memcpy(expected, name, sizeof(expected));
		if (bytes.len == 0)
			continue;
		if (snp_cert_known(chain_cache_parsed(s->a->cache), bytes,
			&x) != CVM_OK) {
			malformed = true;
			continue;
		}
		if (report_verify_cached(s, bytes, x) == CVM_OK) {
			cert_freep(&s->vek);
			s->vek = TAKE_PTR(x);
			s->signature_ok = true;
			return verdict_pass_value(s->v, CHECK_SNP_09, "%s",
			    name);
		}
		if (s->vek == NULL)
			s->vek = TAKE_PTR(x);
	}
	if (s->vek != NULL)
		return verdict_pass(s->v, CHECK_SNP_09);
	/* What cannot be read says nothing against the report. */
	return verdict_absent(s->v, CHECK_SNP_09, expected, "%s",
	    malformed ? "a malformed certificate" :
			"neither that file nor one in the table");
}

static bool
check_form(struct snp_appraisal *s)
{
	const struct cert *x = s->vek;
	bool ec = x->key_kind == CERT_KEY_EC && x->key != NULL;
	char alg[CERT_ALG_NAME_MAX];

	return verdict_check(s->v, CHECK_SNP_10,
	    x->version == 3 && x->alg.scheme == SIG_PSS &&
		x->alg.hash == HASH_SHA384 && ec && x->curve == EC_P384,
	    "X.509 v3, RSASSA-PSS with SHA384, key on P-384",
	    "X.509 v%u, %s, key on %s", x->version, cert_alg_name(&x->alg, alg),
	    ec ? ec_curve_name(x->curve) : "no such curve");
}

bool
snp_vek_checks(struct snp_appraisal *s)
{
	bool ok;

	if (!find_vek(s))
		return false;
	ok = check_form(s);
	return verdict_check(s->v, CHECK_SNP_11, s->signature_ok,
		   "a signature by the key in the certificate",
		   "one that does not verify") &&
	    ok;
}

/* Lines that have a name of their own in the certificate, under another's CAs
 * (57230 section 2.1). */
static const struct {
	enum snp_product product;
	const char *name;
} product_names[] = {
	{ SNP_MILAN, "Milan" },
	{ SNP_GENOA, "Genoa" },
	{ SNP_GENOA, "Bergamo" },
	{ SNP_GENOA, "Siena" },
	{ SNP_TURIN, "Turin" },
	{ SNP_VENICE, "Venice" },
};

/* "Milan", or "Milan-B0" with a stepping. */
static bool
product_name_fits(struct span name, enum snp_product p)
{
	for (size_t i = 0; i < NELEMS(product_names); i++) {
		const char *line = product_names[i].name;
		size_t n = strlen(line);

		if (product_names[i].product == p && name.len >= n &&
		    memcmp(name.data, line, n) == 0 &&
		    (name.len == n || name.data[n] == '-'))
			return true;
	}
	return false;
}

bool
snp_vek_names_check(struct snp_appraisal *s)
{
	const char *cn = s->vlek ? "SEV-VLEK" : "SEV-VCEK";
	char issuer[SNP_CN_MAX], got[CERT_NAME_MAX];
	struct span name = { 0 };

	(void)snp_issuer_cn(s->product, s->vlek, issuer);
	if (!snp_amd_name(s->vek->subject, cn))
		return verdict_fail(s->v, CHECK_SNP_14, cn, "subject %s",
		    cert_name(s->vek, got, sizeof(got)));
	if (!snp_amd_name(s->vek->issuer, issuer))
		return verdict_fail(s->v, CHECK_SNP_14, issuer,
		    "another issuer");
	if (snp_ext_product_name(s->vek, &name) != CVM_OK ||
	    !product_name_fits(name, s->product))
		return verdict_fail(s->v, CHECK_SNP_14,
		    snp_product_name(s->product), "productName \"%.*s\"",
		    (int)name.len, (const char *)name.data);
	return verdict_pass_value(s->v, CHECK_SNP_14, "%s by %s", cn, issuer);
}
