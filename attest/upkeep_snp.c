/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/cert_rules.h"
#include "attest/upkeep.h"

#define CAS_MAX 4

/* A line, where report, table, policy or operator name exactly one. */
static enum snp_product
find_product(const struct upkeep *u, const struct snp_certs *certs, bool vlek,
    enum snp_product given)
{
	_cleanup_(cert_freep) struct cert *x = NULL;
	struct span bytes = vlek ? certs->vlek : certs->vcek;
	enum snp_product p = snp_report_product(&u->snp);
	unsigned products = u->policy->snp.products;

	if (p == 0 && bytes.len > 0 && snp_cert_read(bytes, &x) == CVM_OK)
		p = snp_vek_product(x, vlek);
	if (p == 0)
		p = given;
	/* A power of two is one bit. */
	if (p == 0 && products != 0 && (products & (products - 1)) == 0)
		p = (enum snp_product)products;
	return p;
}

static void
want_vek(struct upkeep *u, const struct snp_certs *certs, bool vlek)
{
	char name[SNP_VEK_NAME_MAX];
	size_t i = !vlek && snp_is_since_turin(u->product) ? 1 : 0;

	/* Only the cloud can ask AMD for a VLEK: it is the host that has it. */
	if (vlek && certs->vlek.len > 0)
		return;
	if (snp_vek_name(&u->snp, i, name) != NULL)
		upkeep_want(u, UPKEEP_VEK, "%s", name);
}

int
upkeep_init_snp(struct upkeep *u, struct span report, struct span aux,
    enum snp_product product, struct why *reterr_why)
{
	const struct policy_snp *p = &u->policy->snp;
	struct snp_certs certs = { 0 };
	struct why ignored;
	const char *folder;
	bool vlek;
	int r = snp_report_parse(report, &u->snp, reterr_why);

	if (r < 0)
		return r;
	vlek = snp_report_key(&u->snp) == SNP_KEY_VLEK;
	if (snp_certs_parse(aux, &certs, &ignored) < 0)
		memset(&certs, 0, sizeof(certs));
	u->product = find_product(u, &certs, vlek, product);
	if (u->product == 0) {
		r = why_setf(reterr_why, CVM_E_NOT_FOUND, "SNP report",
		    "product line", "one that report or certificate names",
		    "none, in version %u", u->snp.version);
		why_hint(reterr_why, "give --product milan, genoa or turin");
		return r;
	}
	r = snp_tcb_decode(u->snp.reported_tcb, u->product, &u->tcb);
	if (r < 0)
		return why_set(reterr_why, r, "SNP report", "REPORTED_TCB",
		    snp_product_name(u->product), "the layout of another line");
	folder = snp_product_folder(u->product);
	upkeep_want(u, UPKEEP_ARK, "amd/%s/ark.pem", folder);
	if (!vlek || p->allow_vcek) {
		upkeep_want(u, UPKEEP_ASK, "amd/%s/ask.pem", folder);
		upkeep_want(u, UPKEEP_CRL_VCEK, "amd/%s/crl-vcek.der", folder);
	}
	if (vlek || p->allow_vlek) {
		upkeep_want(u, UPKEEP_ASVK, "amd/%s/asvk.pem", folder);
		upkeep_want(u, UPKEEP_CRL_VLEK, "amd/%s/crl-vlek.der", folder);
	}
	want_vek(u, &certs, vlek);
	upkeep_want_launch(u, &p->launch, u->snp.measurement, certs.launch);
	return CVM_OK;
}

void
upkeep_init_line(struct upkeep *u, enum snp_product line,
    const struct policy *policy)
{
	const char *folder = snp_product_folder(line);

	memset(u, 0, sizeof(*u));
	u->tee = TEE_SNP;
	u->policy = policy;
	u->product = line;
	upkeep_want(u, UPKEEP_ARK, "amd/%s/ark.pem", folder);
	upkeep_want(u, UPKEEP_ASK, "amd/%s/ask.pem", folder);
	upkeep_want(u, UPKEEP_CRL_VCEK, "amd/%s/crl-vcek.der", folder);
	upkeep_want(u, UPKEEP_ASVK, "amd/%s/asvk.pem", folder);
	upkeep_want(u, UPKEEP_CRL_VLEK, "amd/%s/crl-vlek.der", folder);
}

struct scene {
	struct upkeep *u;
	const struct endorsements *e;
	int64_t now;
	struct snp_pins pins;
	struct cert *ark;
};

/* The certificate with this name; AMD serves several in one file. */
static int
read_named(struct span bytes, const char *cn, struct cert **ret)
{
	struct cert *v[CAS_MAX] = { NULL };
	size_t n = 0;
	int r;

	if (bytes.len > 0 && bytes.data[0] != '-') {
		r = cert_from_der(bytes, /* padded= */ false, &v[0]);
		n = r == CVM_OK;
	} else {
		r = certs_from_pem(bytes, v, CAS_MAX, &n);
	}
	if (r == CVM_OK)
		r = CVM_E_NOT_FOUND;
	for (size_t i = 0; i < n; i++) {
		if (r != CVM_OK && snp_amd_name(v[i]->subject, cn)) {
			*ret = TAKE_PTR(v[i]);
			r = CVM_OK;
		}
		cert_freep(&v[i]);
	}
	return r;
}

/* A CA certificate by its common name, or NULL with the file's why. */
static struct cert *
load_ca(struct scene *s, enum upkeep_id id, const char *cn)
{
	struct upkeep_file *f = &s->u->file[id];
	struct cert *x = NULL;

	if (!f->wanted || !f->present)
		return NULL;
	if (read_named(endorsements_find(s->e, f->name), cn, &x) < 0) {
		(void)why_setf(&f->why, CVM_E_PARSE, f->name, "",
		    "a certificate", "none of %s", cn);
		return NULL;
	}
	upkeep_note_cert(f, x);
	return x;
}

static void
judge_ark(struct scene *s)
{
	struct upkeep_file *f = &s->u->file[UPKEEP_ARK];
	char cn[SNP_CN_MAX];

	(void)snprintf(cn, sizeof(cn), "ARK-%s",
	    snp_product_name(s->u->product));
	s->ark = load_ca(s, UPKEEP_ARK, cn);
	if (s->ark == NULL)
		return;
	if (!cert_pinned(s->ark, s->pins.list))
		(void)why_set(&f->why, CVM_E_DENIED, f->name, "public key",
		    "AMD's root, or one that the policy names", "another");
	else
		f->why.err = cert_acceptable(s->ark, /* ca= */ true, s->now,
		    &f->why);
	if (f->why.err != CVM_OK)
		cert_freep(&s->ark);
}

static bool
lacks_root(const struct scene *s, struct upkeep_file *f)
{
	if (s->ark != NULL)
		return false;
	(void)why_set(&f->why, CVM_E_DENIED, f->name, "",
	    "the root certificate to judge it by", s->u->file[UPKEEP_ARK].name);
	return true;
}

/* An intermediate; *ret stays NULL when it is not good. */
static void
judge_ca(struct scene *s, enum upkeep_id id, bool vlek, struct cert **ret)
{
	_cleanup_(cert_freep) struct cert *x = NULL;
	struct upkeep_file *f = &s->u->file[id];
	char cn[SNP_CN_MAX];
	struct chain c;

	x = load_ca(s, id, snp_issuer_cn(s->u->product, vlek, cn));
	if (x == NULL || lacks_root(s, f))
		return;
	c = (struct chain){ .leaf = x,
		.root = s->ark,
		.pins = s->pins.list,
		.now = s->now,
		.ca_leaf = true };
	if (chain_verify(&c, &f->why) == CVM_OK)
		*ret = TAKE_PTR(x);
}

/* By the root, beside the intermediate that it may list. */
static void
judge_crl(struct scene *s, enum upkeep_id id, enum upkeep_id ca_id,
    struct cert *ca)
{
	_cleanup_(crl_freep) struct crl *crl = NULL;
	struct upkeep_file *f = &s->u->file[id];
	struct chain c = { .leaf = ca,
		.root = s->ark,
		.pins = s->pins.list,
		.now = s->now,
		.require_crl = true,
		.crl_leaf = true,
		.ca_leaf = true,
		.crls = &crl,
		.n_crls = 1 };

	if (!f->wanted || !f->present)
		return;
	if (crl_from_bytes(endorsements_find(s->e, f->name), &crl) < 0) {
		(void)why_set(&f->why, CVM_E_PARSE, f->name, "", "a CRL",
		    "something else");
		return;
	}
	upkeep_note_crl(f, crl);
	if (lacks_root(s, f))
		return;
	if (ca == NULL)
		(void)why_set(&f->why, CVM_E_DENIED, f->name, "",
		    "the certificate below the root, beside it",
		    s->u->file[ca_id].name);
	else if (chain_crl_verify(&c, crl, &f->why) == CVM_OK)
		s->u->file[ca_id].why.err = chain_verify(&c,
		    &s->u->file[ca_id].why);
}

/* The key that signed this very report, by the CA of its kind. */
static void
judge_vek(struct scene *s, struct cert *ca)
{
	_cleanup_(cert_freep) struct cert *x = NULL;
	struct upkeep_file *f = &s->u->file[UPKEEP_VEK];
	struct chain c;

	if (!f->wanted || !f->present)
		return;
	if (snp_cert_read(endorsements_find(s->e, f->name), &x) < 0) {
		(void)why_set(&f->why, CVM_E_PARSE, f->name, "",
		    "a certificate", "something else");
		return;
	}
	upkeep_note_cert(f, x);
	if (lacks_root(s, f))
		return;
	c = (struct chain){ .leaf = x,
		.intermediates = &ca,
		.n_intermediates = 1,
		.root = s->ark,
		.pins = s->pins.list,
		.now = s->now };
	if (ca == NULL)
		(void)why_set(&f->why, CVM_E_DENIED, f->name, "issuer",
		    "its certificate in the directory", "none that is good");
	else if (chain_verify(&c, &f->why) == CVM_OK &&
	    snp_report_verify(&s->u->snp, x) < 0)
		(void)why_set(&f->why, CVM_E_DENIED, f->name, "public key",
		    "the key that signed the report", "another");
}

void
upkeep_judge_snp(struct upkeep *u, const struct endorsements *e, int64_t now)
{
	_cleanup_(cert_freep) struct cert *ask = NULL;
	_cleanup_(cert_freep) struct cert *asvk = NULL;
	struct scene s = { .u = u, .e = e, .now = now };
	bool vlek = snp_report_key(&u->snp) == SNP_KEY_VLEK;

	snp_pins_init(&u->policy->snp, u->product, &s.pins);
	judge_ark(&s);
	judge_ca(&s, UPKEEP_ASK, /* vlek= */ false, &ask);
	judge_ca(&s, UPKEEP_ASVK, /* vlek= */ true, &asvk);
	judge_crl(&s, UPKEEP_CRL_VCEK, UPKEEP_ASK, ask);
	judge_crl(&s, UPKEEP_CRL_VLEK, UPKEEP_ASVK, asvk);
	judge_vek(&s, vlek ? asvk : ask);
	cert_freep(&s.ark);
}
