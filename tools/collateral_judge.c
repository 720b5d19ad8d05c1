/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/upkeep.h"
#include "tools/collateral_judge.h"
#include "tools/text.h"

#define NAME_MAX_LEN 64
#define TCB_INFO_PREFIX "intel/tcbinfo-"
#define TCB_INFO_CHAIN TCB_INFO_PREFIX "chain.pem"
#define QE_IDENTITY "intel/qe-identity.json"
#define QE_IDENTITY_CHAIN "intel/qe-identity-chain.pem"
#define ROOT_CRL "intel/root-ca.crl"
#define PCK_CRL_CHAIN "intel/pck-crl-chain.pem"

struct bench {
	const struct collateral_case *c;
	const struct policy *policy;
	struct endorsements *all; /* as it would be */
	struct why *why;
};

static bool
is_fresh(const struct bench *b, const char *name)
{
	return endorsements_find(b->c->fresh, name).len > 0;
}

static bool
is_there(const struct bench *b, const char *name)
{
	return endorsements_find(b->all, name).len > 0;
}

/* About a file: whatever the rest says of certificates in it. */
static int
refuse(const struct bench *b, const char *name, const struct why *why)
{
	char field[WHY_FIELD_MAX + WHY_WHERE_MAX + 4];

	(void)snprintf(field, sizeof(field), "%s%s%s",
	    strcmp(why->where, name) != 0 ? why->where : "",
	    strcmp(why->where, name) != 0 && why->where[0] != '\0' &&
		    why->field[0] != '\0' ?
		": " :
		"",
	    why->field);
	return why_set(b->why, why->err, name, field, why->expected, why->got);
}

static int
gather(struct bench *b)
{
	const struct endorsements *const from[] = { b->c->fresh, b->c->old };
	const char *name;
	int r;

	if ((b->all = endorsements_new()) == NULL)
		return CVM_E_NOMEM;
	for (size_t k = 0; k < NELEMS(from); k++)
		for (size_t i = 0;
		     (name = endorsements_name(from[k], i)) != NULL; i++)
			if (!is_there(b, name) &&
			    endorsements_find(from[k], name).len > 0 &&
			    (r = endorsements_add(b->all, name,
				 endorsements_find(from[k], name))) != CVM_OK)
				return why_set(b->why, r, name, "",
				    "room for it in the directory", "none");
	return CVM_OK;
}

/* ---- AMD ---- */

static const enum upkeep_id amd_files[] = { UPKEEP_ARK, UPKEEP_ASK, UPKEEP_ASVK,
	UPKEEP_CRL_VCEK, UPKEEP_CRL_VLEK };

/* AMD serves the root in one text with the CA below it. */
static int
add_root(struct endorsements *e, const struct upkeep *u, const struct bench *b)
{
	static const enum upkeep_id places[] = { UPKEEP_ARK, UPKEEP_ASK,
		UPKEEP_ASVK };

	for (size_t i = 0; i < NELEMS(places); i++) {
		struct span s = endorsements_find(b->all,
		    u->file[places[i]].name);

		if (s.len > 0)
			return endorsements_add(e, u->file[UPKEEP_ARK].name, s);
	}
	return CVM_OK;
}

static int
gather_line(const struct upkeep *u, const struct bench *b,
    struct endorsements *e)
{
	int r = add_root(e, u, b);

	for (size_t i = 1; i < NELEMS(amd_files) && r == CVM_OK; i++) {
		const char *name = u->file[amd_files[i]].name;

		if (is_there(b, name))
			r = endorsements_add(e, name,
			    endorsements_find(b->all, name));
	}
	return r;
}

/* A line's CRL has two names: good beside either CA is good. */
static bool
is_good_twin(const struct upkeep *u, const struct bench *b, enum upkeep_id id)
{
	enum upkeep_id twin = id == UPKEEP_CRL_VCEK ? UPKEEP_CRL_VLEK :
						      UPKEEP_CRL_VCEK;

	return (id == UPKEEP_CRL_VCEK || id == UPKEEP_CRL_VLEK) &&
	    u->file[twin].why.err == CVM_OK &&
	    span_equal(endorsements_find(b->all, u->file[id].name),
		endorsements_find(b->all, u->file[twin].name));
}

static int
judge_line(const struct bench *b, enum snp_product line)
{
	_cleanup_(
	    endorsements_freep) struct endorsements *e = endorsements_new();
	_cleanup_(freep) struct upkeep *u = calloc(1, sizeof(*u));
	int r;

	if (e == NULL || u == NULL)
		return CVM_E_NOMEM;
	upkeep_init_line(u, line, b->policy);
	if ((r = gather_line(u, b, e)) != CVM_OK)
		return r;
	upkeep_judge(u, e, b->c->now);
	for (size_t i = 0; i < NELEMS(amd_files); i++) {
		const struct upkeep_file *f = &u->file[amd_files[i]];

		if (is_fresh(b, f->name) && f->why.err != CVM_OK &&
		    !is_good_twin(u, b, amd_files[i]))
			return refuse(b, f->name, &f->why);
	}
	return CVM_OK;
}

/* ---- Intel ---- */

static const char *const signers[] = { "Intel SGX TCB Signing", intel_root_ca };

/* A chain of two, whatever their names, to a pinned root. */
static int
read_chain(const struct bench *b, const struct tdx_run *run, const char *name,
    struct intel_chain *ret, struct why *why)
{
	int r = intel_chain_load(endorsements_find(b->all, name), name, 2, ret,
	    why);

	if (r == CVM_OK)
		r = intel_chain_pinned(ret, &run->pins, why);
	return r == CVM_OK ? intel_chain_algorithms(ret, why) : r;
}

static struct chain
path_of(const struct bench *b, const struct tdx_run *run,
    const struct intel_chain *c)
{
	return (struct chain){ .leaf = c->cert[0],
		.root = c->cert[1],
		.pins = &run->pins,
		.now = b->c->now,
		.want_strict = true,
		.ca_leaf = !intel_name_is(c->cert[0]->subject, signers[0]) };
}

static int
judge_chain(const struct bench *b, const struct tdx_run *run, const char *name)
{
	_cleanup_(intel_chain_clear) struct intel_chain c = { 0 };
	bool pck = strcmp(name, PCK_CRL_CHAIN) == 0;
	const char *names[2] = { signers[0], intel_root_ca };
	struct why why = { 0 };
	struct chain path;
	int r;

	if (!is_fresh(b, name))
		return CVM_OK;
	if ((r = read_chain(b, run, name, &c, &why)) == CVM_OK) {
		if (pck)
			names[0] = intel_name_is(c.cert[0]->subject,
				       intel_processor_ca) ?
			    intel_processor_ca :
			    intel_platform_ca;
		r = intel_chain_names(&c, names, &why);
	}
	if (r == CVM_OK) {
		path = path_of(b, run, &c);
		r = chain_verify(&path, &why);
	}
	return r == CVM_OK ? r : refuse(b, name, &why);
}

/* By the certificate at this place of the chain in a file; CVM_E_NOT_FOUND
 * where there is no such chain, or the CRL is another CA's. */
static int
crl_by(const struct bench *b, const struct tdx_run *run, const char *name,
    const char *chain, size_t place, struct crl **ret, struct why *why)
{
	_cleanup_(intel_chain_clear) struct intel_chain c = { 0 };
	_cleanup_(crl_freep) struct crl *crl = NULL;
	struct chain path;
	int r;

	if (!is_there(b, chain) ||
	    read_chain(b, run, chain, &c, why) != CVM_OK ||
	    crl_from_bytes(endorsements_find(b->all, name), &crl) != CVM_OK ||
	    !name_equal(crl->issuer, c.cert[place]->subject))
		return CVM_E_NOT_FOUND;
	crl_freep(&crl);
	path = path_of(b, run, &c);
	if ((r = intel_crl_load(run, name, c.cert[place], &crl, why)) !=
		CVM_OK ||
	    (r = chain_verify(&path, why)) != CVM_OK ||
	    (r = chain_crl_verify_by(&path, crl, place, why)) != CVM_OK)
		return r;
	*ret = TAKE_PTR(crl);
	return CVM_OK;
}

/* The root is at the end of every chain of Intel's, and the PCK CAs are in one
 * of them. */
static int
judge_crl(const struct bench *b, const struct tdx_run *run, const char *name,
    size_t place, struct crl **ret)
{
	static const char *const chains[] = { PCK_CRL_CHAIN, TCB_INFO_CHAIN,
		QE_IDENTITY_CHAIN };
	size_t n = place == 0 ? 1 : NELEMS(chains);
	struct why why = { 0 };
	int r = CVM_E_NOT_FOUND;

	if (!is_there(b, name))
		return CVM_OK;
	for (size_t i = 0; i < n && r == CVM_E_NOT_FOUND; i++)
		r = crl_by(b, run, name, chains[i], place, ret, &why);
	if (r == CVM_OK || !is_fresh(b, name))
		return CVM_OK;
	if (r == CVM_E_NOT_FOUND)
		return why_set(b->why, r, name, "issuer",
		    "its certificate, in a chain beside it or in place",
		    place == 0 ? "none in " PCK_CRL_CHAIN : "none");
	return refuse(b, name, &why);
}

/* The first of these checks that failed, of a file. */
static int
any_failed(const struct bench *b, const struct verdict *v, const char *name,
    enum check_id first, enum check_id last)
{
	for (enum check_id id = first; id <= last; id++) {
		const struct check_result *r = &v->results[id];

		if (r->status == CHECK_FAIL)
			return why_set(b->why, CVM_E_DENIED, name,
			    check_table[id].title, r->expected, r->got);
	}
	return CVM_OK;
}

static bool
is_tcb_info(const char *name)
{
	return strncmp(name, TCB_INFO_PREFIX, strlen(TCB_INFO_PREFIX)) == 0 &&
	    strcmp(name, TCB_INFO_CHAIN) != 0;
}

/* Whose TCB info it is: what the checks compare it with. */
static int
name_platform(const struct bench *b, const char *name, struct tdx_run *run)
{
	struct tcb_info *info = NULL;
	struct signed_json j;
	int r = signed_json_open(endorsements_find(b->all, name), name,
	    "tcbInfo", &j, b->why);

	if (r != CVM_OK ||
	    (r = tcb_info_parse(j.text, name, &info, b->why)) != CVM_OK)
		return r;
	memcpy(run->sgx.fmspc, info->fmspc, sizeof(info->fmspc));
	memcpy(run->sgx.pceid, info->pceid, sizeof(info->pceid));
	tcb_info_freep(&info);
	return CVM_OK;
}

/* One TCB info, or none, beside the QE identity. *ret_pair: they are of one
 * update. */
static int
judge_signed(const struct bench *b, struct tdx_run *run, const char *info,
    bool *ret_pair)
{
	struct verdict v;
	int r = CVM_OK;

	verdict_init(&v, 0);
	run->v = &v;
	(void)tdx_check_collateral(run);
	tcb_info_freep(&run->tcb_info);
	qe_identity_freep(&run->qe_identity);
	run->v = NULL;
	*ret_pair = v.results[CHECK_TDX_39].status != CHECK_FAIL;
	if (info != NULL && is_fresh(b, info))
		r = any_failed(b, &v, info, CHECK_TDX_23, CHECK_TDX_31);
	else if (info != NULL && is_fresh(b, TCB_INFO_CHAIN))
		r = any_failed(b, &v, info, CHECK_TDX_26, CHECK_TDX_26);
	if (r == CVM_OK && is_fresh(b, QE_IDENTITY))
		r = any_failed(b, &v, QE_IDENTITY, CHECK_TDX_32, CHECK_TDX_38);
	else if (r == CVM_OK && is_fresh(b, QE_IDENTITY_CHAIN) &&
	    is_there(b, QE_IDENTITY))
		r = any_failed(b, &v, QE_IDENTITY, CHECK_TDX_35, CHECK_TDX_35);
	if (r == CVM_OK && info != NULL && is_fresh(b, info))
		r = any_failed(b, &v, info, CHECK_TDX_39, CHECK_TDX_40);
	return r;
}

static int
judge_all_signed(const struct bench *b, struct tdx_run *run)
{
	bool pair = false, any_pair = false, any = false;
	const char *name;
	int r;

	for (size_t i = 0; (name = endorsements_name(b->all, i)) != NULL; i++) {
		if (!is_tcb_info(name))
			continue;
		if ((r = name_platform(b, name, run)) != CVM_OK) {
			if (is_fresh(b, name))
				return r;
			continue;
		}
		if ((r = judge_signed(b, run, name, &pair)) != CVM_OK)
			return r;
		any = true;
		any_pair = any_pair || pair;
	}
	if (!any)
		return judge_signed(b, run, NULL, &pair);
	if (is_fresh(b, QE_IDENTITY) && !any_pair)
		return why_set(b->why, CVM_E_DENIED, QE_IDENTITY,
		    "tcbEvaluationDataNumber", "that of the TCB info",
		    "another: import both");
	return CVM_OK;
}

static int
judge_intel(const struct bench *b)
{
	static const char *const chains[] = { TCB_INFO_CHAIN, QE_IDENTITY_CHAIN,
		PCK_CRL_CHAIN };
	static const char *const pck_crls[] = { "intel/pck-crl-platform.der",
		"intel/pck-crl-processor.der" };
	_cleanup_(tdx_run_clear) struct tdx_run run = { .a = NULL };
	struct appraisal a = { .policy = b->policy,
		.endorsements = b->all,
		.now = b->c->now };
	int r = CVM_OK;

	run.a = &a;
	run.policy = &b->policy->tdx;
	tdx_set_pins(&run);
	facts_init(&run.facts);
	for (size_t i = 0; i < NELEMS(chains) && r == CVM_OK; i++)
		r = judge_chain(b, &run, chains[i]);
	if (r == CVM_OK)
		r = judge_crl(b, &run, ROOT_CRL, 1, &run.root_crl);
	for (size_t i = 0; i < NELEMS(pck_crls) && r == CVM_OK; i++) {
		r = judge_crl(b, &run, pck_crls[i], 0, &run.pck_crl);
		crl_freep(&run.pck_crl);
	}
	return r == CVM_OK ? judge_all_signed(b, &run) : r;
}

/* ---- Not older than what is in place ---- */

struct stamp {
	int64_t issued;
	uint32_t number; /* tcbEvaluationDataNumber, or 0 */
};

static int
stamp_json(struct span body, const char *name, struct stamp *ret)
{
	_cleanup_(tcb_info_freep) struct tcb_info *info = NULL;
	_cleanup_(qe_identity_freep) struct qe_identity *qe = NULL;
	const struct collateral_head *head = NULL;
	struct signed_json j;
	struct why why;

	if (is_tcb_info(name)) {
		if (signed_json_open(body, name, "tcbInfo", &j, &why) ==
			CVM_OK &&
		    tcb_info_parse(j.text, name, &info, &why) == CVM_OK)
			head = &info->head;
	} else if (signed_json_open(body, name, "enclaveIdentity", &j, &why) ==
		CVM_OK &&
	    qe_identity_parse(j.text, name, &qe, &why) == CVM_OK) {
		head = &qe->head;
	}
	if (head == NULL)
		return CVM_E_PARSE;
	*ret = (struct stamp){ head->issue_date, head->evaluation_number };
	return CVM_OK;
}

/* CVM_E_NOT_FOUND: a file of a kind that has none. */
static int
stamp_of(struct span bytes, const char *name, struct stamp *ret)
{
	_cleanup_(crl_freep) struct crl *crl = NULL;
	const char *end = strrchr(name, '.');

	if (strcmp(end, ".json") == 0)
		return stamp_json(bytes, name, ret);
	if (strcmp(end, ".crl") != 0 && strcmp(end, ".der") != 0)
		return CVM_E_NOT_FOUND;
	if (crl_from_bytes(bytes, &crl) != CVM_OK)
		return CVM_E_PARSE;
	*ret = (struct stamp){ crl->from, 0 };
	return CVM_OK;
}

/* An old one may be genuine, and yet hide a revocation. */
static int
judge_age(const struct bench *b, const char *name)
{
	struct span new = endorsements_find(b->c->fresh, name);
	struct span old = endorsements_find(b->c->old, name);
	char was[TIME_TEXT_MAX], is[TIME_TEXT_MAX], least[32];
	struct stamp x, y;
	int r = CVM_OK;

	if (b->c->older || old.len == 0 || stamp_of(new, name, &x) != CVM_OK ||
	    stamp_of(old, name, &y) != CVM_OK)
		return CVM_OK;
	if (x.issued < y.issued)
		r = why_set(b->why, CVM_E_DENIED, name, "date of issue",
		    time_text(y.issued, was), time_text(x.issued, is));
	else if (x.number < y.number) {
		(void)snprintf(least, sizeof(least), "at least %u", y.number);
		r = why_setf(b->why, CVM_E_DENIED, name,
		    "tcbEvaluationDataNumber", least, "%u", x.number);
	}
	if (r != CVM_OK)
		why_hint(b->why,
		    "it is older than the one in place; --older takes it");
	return r;
}

static bool
any_fresh(const struct bench *b, const char *prefix)
{
	const char *name;

	for (size_t i = 0; (name = endorsements_name(b->c->fresh, i)) != NULL;
	     i++)
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

static int
judge(struct bench *b)
{
	static const enum snp_product lines[] = SNP_PRODUCTS;
	char prefix[NAME_MAX_LEN];
	const char *name;
	int r = gather(b);

	for (size_t i = 0; r == CVM_OK && i < NELEMS(lines); i++) {
		(void)snprintf(prefix, sizeof(prefix), "amd/%s/",
		    snp_product_folder(lines[i]));
		if (any_fresh(b, prefix))
			r = judge_line(b, lines[i]);
	}
	if (r == CVM_OK && any_fresh(b, "intel/"))
		r = judge_intel(b);
	for (size_t i = 0;
	     r == CVM_OK && (name = endorsements_name(b->c->fresh, i)) != NULL;
	     i++)
		r = judge_age(b, name);
	return r;
}

int
collateral_judge(const struct collateral_case *c, struct why *reterr_why)
{
	static const struct policy vendors = { .tee = TEE_NONE };
	struct bench b = { .c = c,
		.policy = c->policy != NULL ? c->policy : &vendors,
		.why = reterr_why };
	int r = judge(&b);

	endorsements_freep(&b.all);
	return r;
}
