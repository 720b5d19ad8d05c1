/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/chain_cache.h"
#include "attest/snp_parts.h"

/*
 * SHA-256 of the SubjectPublicKeyInfo of AMD's root keys, as served by
 * https://kdsintf.amd.com/vcek/v1/LINE/cert_chain.
 */
static const struct {
	enum snp_product product;
	uint8_t spki[SHA256_LEN];
} amd_roots[] = {
	{ SNP_MILAN,
	    { 0x9f, 0x05, 0x6b, 0xee, 0x44, 0x37, 0x7e, 0x29, 0x30, 0x8c, 0xb5,
		0xff, 0xa8, 0x95, 0xbd, 0xfb, 0x62, 0xd1, 0x88, 0x81, 0xfa,
		0x6b, 0xed, 0x8d, 0x6f, 0x07, 0x5b, 0x02, 0x04, 0x08, 0x9c,
		0xb9 } },
	{ SNP_GENOA,
	    { 0x42, 0x9a, 0x69, 0xc9, 0x42, 0x2a, 0xa2, 0x58, 0xee, 0x4d, 0x8d,
		0xb5, 0xfc, 0xda, 0x9c, 0x64, 0x70, 0xef, 0x15, 0xf8, 0xcd,
		0x5a, 0x9c, 0xeb, 0xd6, 0xcb, 0xc7, 0xd9, 0x0b, 0x86, 0x38,
		0x31 } },
	{ SNP_TURIN,
	    { 0x4f, 0x12, 0x54, 0x10, 0x56, 0x3a, 0x2a, 0xb9, 0xa5, 0x03, 0x56,
		0xf9, 0x24, 0x3f, 0x6f, 0xe0, 0xb6, 0xf7, 0x3d, 0xe9, 0x86,
		0x03, 0xf5, 0x3f, 0x90, 0x33, 0x9c, 0x70, 0xe9, 0xd7, 0xad,
		0x08 } },
};

#define CA_CERTS_MAX 4
#define CA_NAME_MAX 48

struct cert_list {
	struct cert *v[CA_CERTS_MAX];
	size_t n;
};

static void
cert_list_clear(struct cert_list *l)
{
	while (l->n > 0)
		cert_freep(&l->v[--l->n]);
}

static int
ca_read(struct parsed *p, struct span bytes, struct cert_list *ret)
{
	int r;

	if (bytes.len > 0 && bytes.data[0] == '-')
		return parsed_certs(p, bytes, ret->v, CA_CERTS_MAX, &ret->n);
	r = parsed_cert(p, bytes, /* padded= */ false, &ret->v[0]);
	if (r == CVM_OK)
		ret->n = 1;
	return r;
}

void
snp_pins_init(const struct policy_snp *p, enum snp_product product,
    struct snp_pins *pins)
{
	memset(pins, 0, sizeof(*pins));
	pins->list = &p->roots;
	if (p->roots.n > 0)
		return;
	pins->list = &pins->builtin;
	for (size_t i = 0; i < NELEMS(amd_roots); i++) {
		if (amd_roots[i].product != product)
			continue;
		memcpy(pins->spki, amd_roots[i].spki, SHA256_LEN);
		pins->one = (struct blob){ pins->spki, SHA256_LEN };
		pins->builtin = (struct value_list){ &pins->one, 1 };
	}
}

/*
 * The certificate of this name in one source; one that is pinned replaces one
 * that is not, so that a host's forged root cannot hide the real one.
 */
static void
take_named(struct parsed *p, struct span bytes, const char *cn,
    const struct snp_pins *pins, struct cert **x)
{
	_cleanup_(cert_list_clear) struct cert_list l = { 0 };

	if (*x != NULL && (pins == NULL || cert_pinned(*x, pins->list)))
		return;
	if (bytes.len == 0 || ca_read(p, bytes, &l) != CVM_OK)
		return;
	for (size_t i = 0; i < l.n; i++) {
		if (!snp_amd_name(l.v[i]->subject, cn))
			continue;
		if (*x != NULL &&
		    (pins == NULL || !cert_pinned(l.v[i], pins->list)))
			continue;
		cert_freep(x);
		*x = TAKE_PTR(l.v[i]);
	}
}

static bool
find_cas(struct snp_appraisal *s, const struct snp_pins *pins)
{
	const char *folder = snp_product_folder(s->product);
	char ask_cn[SNP_CN_MAX], ark_cn[SNP_CN_MAX];
	char ask_file[CA_NAME_MAX], ark_file[CA_NAME_MAX];
	struct parsed *p = chain_cache_parsed(s->a->cache);
	struct span ask;

	(void)snp_issuer_cn(s->product, s->vlek, ask_cn);
	(void)snprintf(ark_cn, sizeof(ark_cn), "ARK-%s",
	    snp_product_name(s->product));
	(void)snprintf(ask_file, sizeof(ask_file), "amd/%s/%s.pem", folder,
	    s->vlek ? "asvk" : "ask");
	(void)snprintf(ark_file, sizeof(ark_file), "amd/%s/ark.pem", folder);
	ask = snp_endorsement(s->a, ask_file);
	/* The directory's first: the host's may be old, or no good. */
	take_named(p, ask, ask_cn, NULL, &s->ask);
	take_named(p, s->certs.ask, ask_cn, NULL, &s->ask);
	take_named(p, s->certs.ark, ark_cn, pins, &s->ark);
	take_named(p, snp_endorsement(s->a, ark_file), ark_cn, pins, &s->ark);
	/* AMD serves both in one file. */
	take_named(p, ask, ark_cn, pins, &s->ark);
	if (s->ask == NULL)
		return verdict_absent(s->v, CHECK_SNP_15, ask_file,
		    "no certificate of %s", ask_cn);
	if (s->ark == NULL)
		return verdict_absent(s->v, CHECK_SNP_15, ark_file,
		    "no certificate of %s", ark_cn);
	return verdict_pass_value(s->v, CHECK_SNP_15, "%s, %s", ask_cn, ark_cn);
}

static bool
check_pin(struct snp_appraisal *s, const struct snp_pins *pins)
{
	char hex[2 * SHA256_LEN + 1];
	const char *expected = s->p->roots.n > 0 ?
	    "a root that the policy names" :
	    pins->list->n > 0 ? "AMD's root of this product line" :
				"a root in snp.roots of the policy, as none of "
				"this product line is built in";

	return verdict_check(s->v, CHECK_SNP_16,
	    cert_pinned(s->ark, pins->list), expected, "%s",
	    hex_encode(span(s->ark->spki_digest, SHA256_LEN), hex,
		sizeof(hex)));
}

/* The chain, and when this answer holds. */
static int
verify(struct snp_appraisal *s, const struct chain *c, struct why *why)
{
	struct chain_validity v = { 0 };
	int r = chain_accept(s->a->cache, c, &v, &s->facts->seen, why);

	if (r != CVM_OK)
		return r;
	facts_narrow(s->facts, v.from, v.until);
	facts_newer(s->facts, v.newest_crl);
	return CVM_OK;
}

/* A list that is out of date is told by its file, for who has to fetch it. */
static bool
crl_result(struct snp_appraisal *s, const char *file, int r,
    const struct why *why)
{
	char expected[WHY_FIELD_MAX + WHY_VALUE_MAX + 32];

	if (r == CVM_OK ||
	    (strcmp(why->field, "nextUpdate") != 0 &&
		strcmp(why->field, "thisUpdate") != 0))
		return verdict_from_why(s->v, CHECK_SNP_18, r, why);
	(void)snprintf(expected, sizeof(expected), "%s %s, the time judged at",
	    why->field, why->expected);
	return verdict_fail(s->v, CHECK_SNP_18, expected, "%s: %s: %s %s", file,
	    why->where, why->field, why->got);
}

/* With the CRL, required or not; a CRL that is there always counts. */
static bool
check_crl(struct snp_appraisal *s, struct chain *c)
{
	_cleanup_(crl_freep) struct crl *crl = NULL;
	char file[CA_NAME_MAX];
	struct span bytes;
	struct why why = { 0 };

	(void)snprintf(file, sizeof(file), "amd/%s/crl-%s.der",
	    snp_product_folder(s->product), s->vlek ? "vlek" : "vcek");
	bytes = snp_endorsement(s->a, file);
	if (bytes.len == 0 && !s->p->require_crl)
		return verdict_skip(s->v, CHECK_SNP_18,
		    "there is no CRL and the policy does not require one");
	if (bytes.len == 0)
		return verdict_absent(s->v, CHECK_SNP_18, file, "no such file");
	if (parsed_crl(chain_cache_parsed(s->a->cache), bytes, &crl) != CVM_OK)
		return verdict_fail(s->v, CHECK_SNP_18, "a CRL, in DER or PEM",
		    "%s: %s", file, crl_mistaken(bytes));
	c->crls = &crl;
	c->n_crls = 1;
	c->require_crl = s->p->require_crl;
	c->stale_crl_ok = !s->p->require_crl;
	return crl_result(s, file, verify(s, c, &why), &why);
}

bool
snp_chain_checks(struct snp_appraisal *s)
{
	struct snp_pins pins;
	struct why why = { 0 };
	struct chain c = { 0 };

	snp_pins_init(s->p, s->product, &pins);
	if (!find_cas(s, &pins) || !check_pin(s, &pins))
		return false;
	c = (struct chain){ .leaf = s->vek,
		.intermediates = &s->ask,
		.n_intermediates = 1,
		.root = s->ark,
		.pins = pins.list,
		.now = s->a->now };
	if (!verdict_from_why(s->v, CHECK_SNP_17, verify(s, &c, &why), &why))
		return false;
	return check_crl(s, &c);
}
