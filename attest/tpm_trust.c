/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#include "attest/chain_cache.h"
#include "attest/instance.h"
#include "attest/tpm_parts.h"
#include "base/openssl.h"

#define ROOTS_FILE "google/ak-root.pem"
#define INTERMEDIATES_FILE "google/ak-intermediates.pem"
#define CRL_FOLDER "google/"
#define RSA_BITS_MIN 2048
#define RSA_EXPONENT 65537

/*
 * What makes a key an attestation key (TPM 2.0 Library, Part 1, section 31):
 * restricted: it signs what the TPM made, and anything else that does not
 * look like it; the fixed bits: it was born in this TPM and stays there.
 */
#define AK_SET                                                                 \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                      \
	    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |         \
	    TPMA_OBJECT_SIGN_ENCRYPT)
#define AK_MAY                                                                 \
	(TPMA_OBJECT_STCLEAR | TPMA_OBJECT_USERWITHAUTH |                      \
	    TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_NODA)

static bool
is_strong(const struct tpm_public *p)
{
	enum hash_alg alg;

	if (p->name_alg != TPM2_ALG_SHA256 ||
	    tpm_hash_alg(p->scheme_hash, &alg) != CVM_OK || alg == HASH_SHA1)
		return false;
	if (p->type == TPM2_ALG_RSA)
		return p->key_bits >= RSA_BITS_MIN &&
		    p->exponent == RSA_EXPONENT &&
		    (p->scheme == TPM2_ALG_RSASSA ||
			p->scheme == TPM2_ALG_RSAPSS);
	return p->scheme == TPM2_ALG_ECDSA;
}

bool
tpm_key_appraise(struct tpm_case *c)
{
	const struct tpm_public *p = &c->public;
	char expected[64];

	(void)snprintf(expected, sizeof(expected),
	    "%08" PRIx32 " set, nothing beyond %08" PRIx32, (uint32_t)AK_SET,
	    (uint32_t)(AK_SET | AK_MAY));
	return verdict_check(c->v, CHECK_TPM_02,
		   (p->attributes & AK_SET) == AK_SET &&
		       (p->attributes & ~(AK_SET | AK_MAY)) == 0,
		   expected, "%08" PRIx32, p->attributes) &&
	    verdict_check(c->v, CHECK_TPM_03, is_strong(p),
		"nameAlg SHA-256, a fixed scheme with SHA-2, RSA 2048 or P-256",
		"nameAlg %04x, type %04x, scheme %04x, hash %04x, %u bits",
		p->name_alg, p->type, p->scheme, p->scheme_hash, p->key_bits);
}

static const struct {
	uint32_t handle;
	const char *name;
} hierarchies[] = {
	{ TPM2_RH_ENDORSEMENT, "endorsement" },
	{ TPM2_RH_OWNER, "owner" },
	{ TPM2_RH_PLATFORM, "platform" },
	{ TPM2_RH_NULL, "null" },
};

/* Whose primary key signed, or NULL: it has a parent. */
static const char *
hierarchy_of(const struct tpm_case *c)
{
	uint8_t qn[TPM_NAME_SHA256_LEN];

	for (size_t i = 0; i < NELEMS(hierarchies); i++)
		if (tpm_qualified_name(hierarchies[i].handle,
			span(c->name, c->name_len), qn) == CVM_OK &&
		    span_equal(span(qn, sizeof(qn)), c->quote.qualified_signer))
			return hierarchies[i].name;
	return NULL;
}

/*
 * The qualified name proves the key's hierarchy, and with it that counters
 * and firmware version are plain. A CA's certificate is for a primary key of
 * the endorsement hierarchy. A key that the policy names, or that a TEE
 * report binds, may have a parent, which is not part of the evidence; only
 * the null hierarchy, whose keys anybody can make, is refused.
 */
static bool
signer_appraise(struct tpm_case *c)
{
	const char *h = hierarchy_of(c);
	bool must = c->policy->ak_trust == AK_TRUST_GCE;

	if (h != NULL &&
	    (must ? strcmp(h, "endorsement") == 0 : strcmp(h, "null") != 0))
		return verdict_pass_value(c->v, CHECK_TPM_05, "%s", h);
	if (must || h != NULL)
		return verdict_fail(c->v, CHECK_TPM_05,
		    must ? "a primary key of the endorsement hierarchy" :
			   "a key of a lasting hierarchy",
		    "%s", h != NULL ? h : "another parent");
	return verdict_skip(c->v, CHECK_TPM_05,
	    "the key has a parent; the policy trusts the key itself");
}

#define CRLS_MAX CHAIN_CERTS_MAX

/* All that a path from the AK certificate to a root can be made of. */
struct material {
	struct cert *leaf;
	struct cert *roots[CHAIN_CERTS_MAX], *more[CHAIN_CERTS_MAX];
	struct crl *all_crls[CRLS_MAX];
	size_t n_roots, n_more, n_all_crls;
	/* The path chosen; borrowed from above. */
	struct cert *path[CHAIN_CERTS_MAX];
	struct crl *crls[CRLS_MAX];
	size_t n_path, n_crls;
};

static void
material_clear(struct material *m)
{
	cert_freep(&m->leaf);
	for (size_t i = 0; i < m->n_roots; i++)
		cert_freep(&m->roots[i]);
	for (size_t i = 0; i < m->n_more; i++)
		cert_freep(&m->more[i]);
	for (size_t i = 0; i < m->n_all_crls; i++)
		crl_freep(&m->all_crls[i]);
}

static int
load_pem(const struct tpm_case *c, const char *name, struct cert **ret,
    size_t *ret_n, struct why *why)
{
	struct span pem = endorsements_find(c->a->endorsements, name);

	if (pem.len == 0)
		return why_set(why, CVM_E_NOT_FOUND, name, "endorsement",
		    "PEM certificates", "no such file");
	if (parsed_certs(chain_cache_parsed(c->a->cache), pem, ret,
		CHAIN_CERTS_MAX, ret_n) != CVM_OK)
		return why_set(why, CVM_E_DENIED, name, "endorsement",
		    "at most 8 PEM certificates", "something else");
	return CVM_OK;
}

/* Revocation is the only recall for certificates of thirty years: every
 * google/NAME.crl that is there is heeded. */
static int
load_crls(const struct tpm_case *c, struct material *m, struct why *why)
{
	const struct endorsements *e = c->a->endorsements;
	const char *name;

	for (size_t i = 0; (name = endorsements_name(e, i)) != NULL; i++) {
		const char *dot = strrchr(name, '.');

		if (strncmp(name, CRL_FOLDER, strlen(CRL_FOLDER)) != 0 ||
		    dot == NULL || strcmp(dot, ".crl") != 0)
			continue;
		if (m->n_all_crls == CRLS_MAX ||
		    parsed_crl(chain_cache_parsed(c->a->cache),
			endorsements_find(e, name),
			&m->all_crls[m->n_all_crls]) != CVM_OK)
			return why_set(why, CVM_E_DENIED, name, "endorsement",
			    "one of at most 8 CRLs", "malformed or too many");
		m->n_all_crls++;
	}
	return CVM_OK;
}

/* Intermediates may be missing when the root itself signs. */
static int
load_material(const struct tpm_case *c, struct material *m, struct why *why)
{
	const struct endorsements *e = c->a->endorsements;
	struct span cert = blob_span(&c->a->evidence->ak_cert);
	int r;

	if (cert.len == 0)
		return why_set(why, CVM_E_DENIED, "AK certificate", "",
		    "a DER certificate", "none in the evidence");
	if (parsed_cert(chain_cache_parsed(c->a->cache), cert,
		/* padded= */ true, &m->leaf) != CVM_OK)
		return why_set(why, CVM_E_DENIED, "AK certificate", "",
		    "a DER certificate", "malformed bytes");
	r = load_pem(c, ROOTS_FILE, m->roots, &m->n_roots, why);
	if (r == CVM_OK && endorsements_find(e, INTERMEDIATES_FILE).len > 0)
		r = load_pem(c, INTERMEDIATES_FILE, m->more, &m->n_more, why);
	return r;
}

static bool
named_issuer(const struct cert *x, const struct cert *ca)
{
	return name_equal(x->issuer, ca->subject);
}

/* How many certificates of all have the name of x's issuer. */
static size_t
n_named(const struct material *m, const struct cert *x)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_roots; i++)
		n += named_issuer(x, m->roots[i]);
	for (size_t i = 0; i < m->n_more; i++)
		n += named_issuer(x, m->more[i]);
	return n;
}

/* Which of n issued x: by name, and by signature where names do not decide.
 * That it did is verified afterwards, with the whole chain. */
static struct cert *
issuer_of(const struct material *m, struct cert *x, struct cert *const *from,
    size_t n)
{
	quiet_openssl();
	bool only = n_named(m, x) == 1;

	for (size_t i = 0; i < n; i++)
		if (named_issuer(x, from[i]) &&
		    (only || cert_verify(x, from[i]) == CVM_OK))
			return from[i];
	return NULL;
}

/* Chooses m->path, without the root, which is returned. */
static struct cert *
find_path(struct material *m)
{
	struct cert *x = m->leaf, *root;

	while ((root = issuer_of(m, x, m->roots, m->n_roots)) == NULL) {
		x = issuer_of(m, x, m->more, m->n_more);
		/* Two places are the leaf's and the root's. */
		if (x == NULL || m->n_path + 2 == CHAIN_CERTS_MAX)
			return NULL;
		m->path[m->n_path++] = x;
	}
	return root;
}

static bool
issued_by(const struct crl *crl, const struct cert *ca)
{
	return name_equal(crl->issuer, ca->subject);
}

static void
choose_crls(struct material *m, const struct cert *root)
{
	for (size_t k = 0; k < m->n_all_crls; k++) {
		bool ours = issued_by(m->all_crls[k], root);

		for (size_t i = 0; i < m->n_path; i++)
			ours |= issued_by(m->all_crls[k], m->path[i]);
		if (ours)
			m->crls[m->n_crls++] = m->all_crls[k];
	}
}

/* The path alone; fills *chain, which borrows from m. */
static int
verify_path(const struct tpm_case *c, struct material *m, struct chain *chain,
    struct why *why)
{
	char name[CERT_NAME_MAX];

	*chain = (struct chain){ .leaf = m->leaf,
		.intermediates = m->path,
		.pins = &c->policy->ak_roots,
		.now = c->a->now,
		.want_strict = true };
	chain->root = find_path(m);
	if (chain->root == NULL)
		return why_set(why, CVM_E_DENIED, "AK certificate", "issuer",
		    "signed by one of " ROOTS_FILE " or " INTERMEDIATES_FILE,
		    cert_name(m->n_path > 0 ? m->path[m->n_path - 1] : m->leaf,
			name, sizeof(name)));
	chain->n_intermediates = m->n_path;
	return chain_verify_cached(c->a->cache, chain, why);
}

/* Of a path that verifies. A list that is there counts, required or not. */
static bool
revocation_appraise(struct tpm_case *c, struct material *m, struct chain *chain)
{
	struct chain_validity v = { 0 };
	struct why why = { 0 };
	int r = load_crls(c, m, &why);

	choose_crls(m, chain->root);
	if (r == CVM_OK && m->n_crls == 0 && !c->policy->require_crl)
		return verdict_skip(c->v, CHECK_TPM_18,
		    "there is no CRL and the policy does not require one");
	chain->crls = m->crls;
	chain->n_crls = m->n_crls;
	chain->require_crl = chain->crl_leaf = c->policy->require_crl;
	if (r == CVM_OK)
		r = chain_accept(c->a->cache, chain, &v, &c->facts->seen, &why);
	if (r == CVM_E_DENIED && m->n_crls == 0)
		r = CVM_E_NOT_FOUND;
	if (r == CVM_OK)
		facts_newer(c->facts, v.newest_crl);
	return verdict_from_why(c->v, CHECK_TPM_18, r, &why);
}

/*
 * An endorsement key's certificate chains to the same roots, even with the
 * same extended key usage: what tells them apart is keyUsage.
 */
static bool
usage_appraise(struct tpm_case *c, struct cert *leaf)
{
	static const unsigned forbidden = USAGE_KEY_ENCIPHERMENT |
	    USAGE_DATA_ENCIPHERMENT | USAGE_KEY_AGREEMENT |
	    USAGE_KEY_CERT_SIGN | USAGE_CRL_SIGN;

	return verdict_check(c->v, CHECK_TPM_07,
	    (leaf->usage & USAGE_DIGITAL_SIGNATURE) != 0 &&
		(leaf->usage & forbidden) == 0,
	    "digitalSignature, and no encipherment or agreement",
	    leaf->has_usage ? "keyUsage %02x" : "no keyUsage", leaf->usage);
}

static bool
same_text(const char *want, struct span got)
{
	return want == NULL || span_equal(span(want, strlen(want)), got);
}

static bool
same_number(const char *want, uint64_t got)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, got);
	return want == NULL || strcmp(want, text) == 0;
}

static const char *
or_any(const char *s)
{
	return s != NULL ? s : "*";
}

static bool
compare_instance(struct tpm_case *c, const struct gce_instance *g)
{
	const struct policy_instance *p = &c->policy->instance;
	char expected[CHECK_VALUE_MAX];
	bool ok;

	(void)snprintf(expected, sizeof(expected), "%s/%s(%s)/%s(%s) %s",
	    or_any(p->zone), or_any(p->project_id), or_any(p->project_number),
	    or_any(p->instance_name), or_any(p->instance_id),
	    p->production ? "production" : "");
	ok = same_text(p->zone, g->zone) &&
	    same_text(p->project_id, g->project_id) &&
	    same_number(p->project_number, g->project_number) &&
	    same_text(p->instance_name, g->name) &&
	    same_number(p->instance_id, g->id) &&
	    (!p->production || g->is_production);
	return verdict_check(c->v, CHECK_TPM_09, ok, expected,
	    "%.*s/%.*s(%" PRIu64 ")/%.*s(%" PRIu64 ") %s", (int)g->zone.len,
	    (const char *)g->zone.data, (int)g->project_id.len,
	    (const char *)g->project_id.data, g->project_number,
	    (int)g->name.len, (const char *)g->name.data, g->id,
	    g->is_production ? "production" : "not production");
}

static bool
instance_appraise(struct tpm_case *c, const struct cert *leaf)
{
	const struct policy_instance *p = &c->policy->instance;
	struct gce_instance g;
	struct span ext;

	if (p->zone == NULL && p->project_id == NULL &&
	    p->project_number == NULL && p->instance_id == NULL &&
	    p->instance_name == NULL && !p->production)
		return verdict_skip(c->v, CHECK_TPM_09,
		    "the policy names no instance");
	if (cert_extension(leaf, GCE_INSTANCE_OID, &ext) != CVM_OK)
		return verdict_fail(c->v, CHECK_TPM_09,
		    "extension " GCE_INSTANCE_OID " once", "none, or several");
	if (gce_instance_parse(ext, &g) != CVM_OK)
		return verdict_fail(c->v, CHECK_TPM_09,
		    "extension " GCE_INSTANCE_OID " in DER", "malformed bytes");
	return compare_instance(c, &g);
}

static bool
certificate_appraise(struct tpm_case *c)
{
	quiet_openssl();
	_cleanup_(material_clear) struct material m = { 0 };
	struct chain chain = { 0 };
	struct why why = { 0 };
	bool ok;
	int r;

	r = load_material(c, &m, &why);
	if (r == CVM_OK)
		r = verify_path(c, &m, &chain, &why);
	ok = verdict_from_why(c->v, CHECK_TPM_06, r, &why) &&
	    revocation_appraise(c, &m, &chain);
	if (m.leaf == NULL)
		return false;
	ok = usage_appraise(c, m.leaf) && ok;
	ok = verdict_check(c->v, CHECK_TPM_08,
		 m.leaf->key != NULL &&
		     EVP_PKEY_eq(m.leaf->key, verifier_key(c->key)) == 1,
		 "the public key that signed the quote", "another key") &&
	    ok;
	return instance_appraise(c, m.leaf) && ok;
}

static bool
has_name(const struct tpm_case *c)
{
	const struct value_list *list = &c->policy->ak_names;

	for (size_t i = 0; i < list->n; i++)
		if (span_equal(blob_span(&list->v[i]),
			span(c->name, c->name_len)))
			return true;
	return false;
}

static bool
pinned_appraise(struct tpm_case *c)
{
	char got[2 * TPM_NAME_MAX + 1];

	(void)hex_encode(span(c->name, c->name_len), got, sizeof(got));
	return verdict_check(c->v, CHECK_TPM_10, has_name(c), "one of the list",
	    "%s", got);
}

/* RTMR 1 and 2 tell what system asked for the report. */
static bool
system_is_measured(const struct policy *p)
{
	const unsigned system = 1u << 1 | 1u << 2;

	return p->tee == TEE_TDX && p->tdx.n_rtmr_sets > 0 &&
	    (p->tdx.rtmr_sets[0].mask & system) == system;
}

/*
 * The software that asked for the report chose the key that it names. On this
 * machine that is us, and the TPM is the one that the configuration names; of
 * another machine, a measurement of the firmware does not tell whether its
 * system put the key of a TPM in software there, with such PCRs as it likes.
 */
static bool
tee_named(struct tpm_case *c)
{
	const struct value_list *list = &c->policy->ak_names;
	char got[2 * TPM_NAME_MAX + 1];

	(void)hex_encode(span(c->name, c->name_len), got, sizeof(got));
	if (list->n > 0 && !has_name(c))
		return verdict_fail(c->v, CHECK_TPM_11, "one of tpm.ak.names",
		    "%s", got);
	if (list->n == 0 && c->a->elsewhere &&
	    !system_is_measured(c->a->policy))
		return verdict_fail(c->v, CHECK_TPM_11,
		    "one of tpm.ak.names, as this is another machine's",
		    "%s, which the guest itself named, and no names", got);
	return verdict_pass_value(c->v, CHECK_TPM_11, "%s", got);
}

/*
 * That the report's REPORT_DATA is over this key's name is BIND-01, and that
 * the report is genuine are the checks of its own group; here it must exist.
 */
static bool
tee_appraise(struct tpm_case *c)
{
	const struct evidence *e = c->a->evidence;
	bool there = e->tee_report.len > 0 &&
	    (e->tee == TEE_SNP || e->tee == TEE_TDX) &&
	    e->tee == c->a->policy->tee;

	if (there && c->policy->ak_trust == AK_TRUST_TEE)
		return tee_named(c);
	return verdict_check(c->v, CHECK_TPM_11, there,
	    "an SNP report or TDX quote over the key's name", "%s",
	    e->tee_report.len > 0 ? tee_kind_name(e->tee) : "none");
}

bool
tpm_trust_appraise(struct tpm_case *c)
{
	static const enum check_id certificate[] = { CHECK_TPM_06, CHECK_TPM_07,
		CHECK_TPM_08, CHECK_TPM_09, CHECK_TPM_18 };
	static const char other[] = "the policy trusts the key otherwise";
	enum policy_ak_trust trust = c->policy->ak_trust;
	bool ok = signer_appraise(c);

	/* Of an unknown trust nothing is decided, which denies. */
	if (trust != AK_TRUST_GCE && trust != AK_TRUST_PINNED &&
	    trust != AK_TRUST_TEE && trust != AK_TRUST_AZURE &&
	    trust != AK_TRUST_SVSM)
		return false;
	for (size_t i = 0; trust != AK_TRUST_GCE && i < NELEMS(certificate);
	     i++)
		(void)verdict_skip(c->v, certificate[i], other);
	if (trust != AK_TRUST_PINNED)
		(void)verdict_skip(c->v, CHECK_TPM_10, other);
	if (trust == AK_TRUST_GCE || trust == AK_TRUST_PINNED)
		(void)verdict_skip(c->v, CHECK_TPM_11, other);
	if (trust == AK_TRUST_GCE)
		return certificate_appraise(c) && ok;
	if (trust == AK_TRUST_PINNED)
		return pinned_appraise(c) && ok;
	return tee_appraise(c) && ok;
}
