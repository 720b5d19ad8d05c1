/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "attest/chain_cache.h"
#include "attest/openssl.h"
#include "attest/snp_parts.h"
#include "base/tuple.h"

int
snp_cert_known(struct parsed *p, struct span bytes, X509 **ret)
{
	size_t n = 0;

	if (bytes.len > 0 && bytes.data[0] == '-')
		return parsed_certs(p, bytes, ret, 1, &n);
	return parsed_cert(p, bytes, /* padded= */ false, ret);
}

int
snp_cert_read(struct span bytes, X509 **ret)
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
static const struct {
	int nid;
	const char *value;
} amd_name[] = {
	{ NID_countryName, "US" },
	{ NID_stateOrProvinceName, "CA" },
	{ NID_localityName, "Santa Clara" },
	{ NID_organizationName, "Advanced Micro Devices" },
	{ NID_organizationalUnitName, "Engineering" },
};

static bool
name_has(const X509_NAME *name, int nid, const char *value)
{
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	const ASN1_STRING *v;

	if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0)
		return false;
	v = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	return span_equal(span(ASN1_STRING_get0_data(v),
			      (size_t)ASN1_STRING_length(v)),
	    span(value, strlen(value)));
}

bool
snp_amd_name(const X509_NAME *name, const char *cn)
{
	if (X509_NAME_entry_count(name) != (int)NELEMS(amd_name) + 1)
		return false;
	for (size_t i = 0; i < NELEMS(amd_name); i++)
		if (!name_has(name, amd_name[i].nid, amd_name[i].value))
			return false;
	return name_has(name, NID_commonName, cn);
}

const char *
snp_issuer_cn(enum snp_product p, bool vlek, char buf[static SNP_CN_MAX])
{
	(void)snprintf(buf, SNP_CN_MAX, "SEV-%s%s", vlek ? "VLEK-" : "",
	    snp_product_name(p));
	return buf;
}

enum snp_product
snp_vek_product(const X509 *vek, bool vlek)
{
	static const enum snp_product all[] = { SNP_MILAN, SNP_GENOA,
		SNP_TURIN };
	char cn[SNP_CN_MAX];

	for (size_t i = 0; i < NELEMS(all); i++)
		if (snp_amd_name(X509_get_issuer_name(vek),
			snp_issuer_cn(all[i], vlek, cn)))
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
snp_report_verify(const struct snp_report *r, X509 *vek)
{
	uint8_t digest[SHA384_LEN], rs[2 * SNP_SIG_PART_LEN];
	int err = hash(HASH_SHA384, span(r->bytes.data, SNP_SIGNED_LEN),
	    digest);

	if (err != CVM_OK)
		return err;
	reverse(rs, r->r);
	reverse(&rs[SNP_SIG_PART_LEN], r->s);
	return ecdsa_verify_raw(X509_get0_pubkey(vek), span(rs, sizeof(rs)),
	    span(digest, sizeof(digest)));
}

/*
 * A report serves many rounds, and what signed it once signed it: the answer
 * depends on nothing but report and certificate.
 */
static int
report_verify_cached(const struct snp_appraisal *s, struct span cert, X509 *vek)
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
		_cleanup_(x509_freep) X509 *x = NULL;

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
			x509_freep(&s->vek);
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
	return verdict_fail(s->v, CHECK_SNP_09, expected, "%s",
	    malformed ? "a malformed certificate" :
			"neither that file nor one in the table");
}

static bool
check_form(struct snp_appraisal *s)
{
	EVP_PKEY *key = X509_get0_pubkey(s->vek);
	char group[32] = "none";
	int sig = X509_get_signature_nid(s->vek), md = NID_undef;

	(void)X509_get_signature_info(s->vek, &md, NULL, NULL, NULL);
	if (key != NULL)
		(void)EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
	return verdict_check(s->v, CHECK_SNP_10,
	    X509_get_version(s->vek) == X509_VERSION_3 &&
		sig == NID_rsassaPss && md == NID_sha384 &&
		strcmp(group, "secp384r1") == 0,
	    "X.509 v3, rsassaPss with SHA384, key on secp384r1",
	    "X.509 v%ld, %s with %s, key on %s", X509_get_version(s->vek) + 1,
	    OBJ_nid2sn(sig), OBJ_nid2sn(md), group);
}

bool
snp_vek_checks(struct snp_appraisal *s)
{
	quiet_openssl();
	bool ok;

	if (!find_vek(s))
		return false;
	ok = check_form(s);
	return verdict_check(s->v, CHECK_SNP_11, s->signature_ok,
		   "a signature by the key in the certificate",
		   "one that does not verify") &&
	    ok;
}

/* "Milan", or "Milan-B0" with a stepping. */
static bool
product_name_fits(struct span name, enum snp_product p)
{
	const char *line = snp_product_name(p);
	size_t n = strlen(line);

	return name.len >= n && memcmp(name.data, line, n) == 0 &&
	    (name.len == n || name.data[n] == '-');
}

bool
snp_vek_names_check(struct snp_appraisal *s)
{
	quiet_openssl();
	const char *cn = s->vlek ? "SEV-VLEK" : "SEV-VCEK";
	char issuer[SNP_CN_MAX], got[CERT_NAME_MAX];
	struct span name = { 0 };

	(void)snp_issuer_cn(s->product, s->vlek, issuer);
	if (!snp_amd_name(X509_get_subject_name(s->vek), cn))
		return verdict_fail(s->v, CHECK_SNP_14, cn, "subject %s",
		    cert_name(s->vek, got, sizeof(got)));
	if (!snp_amd_name(X509_get_issuer_name(s->vek), issuer))
		return verdict_fail(s->v, CHECK_SNP_14, issuer,
		    "another issuer");
	if (snp_ext_product_name(s->vek, &name) != CVM_OK ||
	    !product_name_fits(name, s->product))
		return verdict_fail(s->v, CHECK_SNP_14,
		    snp_product_name(s->product), "productName \"%.*s\"",
		    (int)name.len, (const char *)name.data);
	return verdict_pass_value(s->v, CHECK_SNP_14, "%s by %s", cn, issuer);
}
