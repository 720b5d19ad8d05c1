/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/upkeep.h"

static int
failed(struct why *why, const struct verdict *v, const char *name,
    enum check_id id)
{
	const struct check_result *r = &v->results[id];

	return why_set(why, CVM_E_DENIED, name, check_table[id].title,
	    r->expected, r->got);
}

/* The first of these checks that failed, in *why. */
static bool
any_failed(const struct verdict *v, enum check_id first, enum check_id last,
    const char *name, struct why *why)
{
	for (enum check_id id = first; id <= last; id++)
		if (v->results[id].status == CHECK_FAIL)
			return failed(why, v, name, id) < 0;
	return false;
}

static void
want_files(struct upkeep *u)
{
	const char *ca = u->processor_ca ? "processor" : "platform";
	const struct sgx_extension *x = &u->run.sgx;
	char fmspc[2 * sizeof(x->fmspc) + 1];

	(void)hex_encode(span(x->fmspc, sizeof(x->fmspc)), fmspc,
	    sizeof(fmspc));
	upkeep_want(u, UPKEEP_ROOT_CRL, "intel/root-ca.crl");
	upkeep_want(u, UPKEEP_PCK_CRL, "intel/pck-crl-%s.der", ca);
	upkeep_want(u, UPKEEP_PCK_CRL_CHAIN, "intel/pck-crl-chain.pem");
	upkeep_want(u, UPKEEP_TCB_INFO, "intel/tcbinfo-%s.json", fmspc);
	upkeep_want(u, UPKEEP_TCB_INFO_CHAIN, "intel/tcbinfo-chain.pem");
	upkeep_want(u, UPKEEP_QE_IDENTITY, "intel/qe-identity.json");
	upkeep_want(u, UPKEEP_QE_IDENTITY_CHAIN, "intel/qe-identity-chain.pem");
}

int
upkeep_init_tdx(struct upkeep *u, struct span report, int64_t now,
    struct why *reterr_why)
{
	struct appraisal a = { .policy = u->policy, .now = now };
	struct verdict v;
	int r = tdx_quote_parse(report, &u->run.quote, reterr_why);

	if (r < 0)
		return r;
	verdict_init(&v, 0);
	u->run.a = &a;
	u->run.policy = &u->policy->tdx;
	u->run.v = &v;
	tdx_set_pins(&u->run);
	/* The FMSPC is worth what the chain is worth. */
	r = tdx_check_pck(&u->run) ? CVM_OK : CVM_E_DENIED;
	u->run.a = NULL;
	u->run.v = NULL;
	if (r < 0 &&
	    any_failed(&v, CHECK_TDX_08, CHECK_TDX_14, "TDX quote", reterr_why))
		return r;
	if (r < 0)
		return why_set(reterr_why, r, "TDX quote", "PCK chain",
		    "a valid one", "another");
	u->processor_ca = intel_name_is(u->run.pck.cert[1]->subject,
	    intel_processor_ca);
	want_files(u);
	upkeep_want_launch(u, &u->policy->tdx.launch, u->run.quote.mrtd,
	    span(NULL, 0));
	return CVM_OK;
}

/* The PCK CA below the root, which both CRLs of Intel's concern. */
static struct chain
ca_chain(const struct tdx_run *run)
{
	return (struct chain){ .leaf = run->pck.cert[1],
		.root = run->pck.cert[2],
		.pins = &run->pins,
		.now = run->a->now,
		.want_strict = true,
		.ca_leaf = true };
}

static void
judge_crl(struct upkeep *u, struct tdx_run *run, enum upkeep_id id,
    struct crl **ret)
{
	_cleanup_(crl_freep) struct crl *crl = NULL;
	struct upkeep_file *f = &u->file[id];
	bool root = id == UPKEEP_ROOT_CRL;
	struct chain c = ca_chain(run);

	if (!f->present ||
	    intel_crl_load(run, f->name, run->pck.cert[root ? 2 : 1], &crl,
		&f->why) < 0)
		return;
	upkeep_note_crl(f, crl);
	if (!root) {
		c.leaf = run->pck.cert[0];
		c.intermediates = &run->pck.cert[1];
		c.n_intermediates = 1;
		c.ca_leaf = false;
	}
	if (chain_verify(&c, &f->why) == CVM_OK &&
	    chain_crl_verify(&c, crl, &f->why) == CVM_OK)
		*ret = TAKE_PTR(crl);
}

static void
note_chain(struct upkeep_file *f, const struct tdx_run *run)
{
	_cleanup_(intel_chain_clear) struct intel_chain c = { 0 };
	struct upkeep_file end = { 0 };

	if (intel_chain_load(endorsements_find(run->a->endorsements, f->name),
		f->name, 2, &c, NULL) < 0)
		return;
	upkeep_note_cert(&end, c.cert[1]);
	upkeep_note_cert(f, c.cert[0]);
	if (end.expires < f->expires)
		f->expires = end.expires;
}

static void
judge_crl_chain(struct upkeep *u, struct tdx_run *run)
{
	_cleanup_(intel_chain_clear) struct intel_chain c = { 0 };
	struct upkeep_file *f = &u->file[UPKEEP_PCK_CRL_CHAIN];
	const char *const names[] = { u->processor_ca ? intel_processor_ca :
							intel_platform_ca,
		intel_root_ca };
	struct chain chain = ca_chain(run);

	if (!f->present)
		return;
	note_chain(f, run);
	if (intel_chain_load(endorsements_find(run->a->endorsements, f->name),
		f->name, NELEMS(names), &c, &f->why) < 0 ||
	    intel_chain_names(&c, names, &f->why) < 0 ||
	    intel_chain_algorithms(&c, &f->why) < 0)
		return;
	chain.leaf = c.cert[0];
	chain.root = c.cert[1];
	f->why.err = chain_verify(&chain, &f->why);
}

static void
note_head(struct upkeep_file *f, const struct collateral_head *head,
    const char *about)
{
	(void)snprintf(f->about, sizeof(f->about), "%s, evaluation %u", about,
	    head->evaluation_number);
	f->issued = head->issue_date;
	f->expires = head->next_update;
}

static void
judge_json(struct upkeep *u, struct tdx_run *run)
{
	const struct sgx_extension *x = &run->sgx;
	struct upkeep_file *tcb = &u->file[UPKEEP_TCB_INFO];
	struct upkeep_file *qe = &u->file[UPKEEP_QE_IDENTITY];
	char fmspc[2 * sizeof(x->fmspc) + 1];
	char about[32];

	/* Which decides on files that are not there, too. */
	(void)tdx_check_collateral(run);
	(void)snprintf(about, sizeof(about), "FMSPC %s",
	    hex_encode(span(x->fmspc, sizeof(x->fmspc)), fmspc, sizeof(fmspc)));
	if (run->tcb_info != NULL)
		note_head(tcb, &run->tcb_info->head, about);
	if (run->qe_identity != NULL)
		note_head(qe, &run->qe_identity->head,
		    run->qe_identity->head.id);
	if (tcb->present)
		(void)any_failed(run->v, CHECK_TDX_23, CHECK_TDX_31, tcb->name,
		    &tcb->why);
	if (qe->present)
		(void)any_failed(run->v, CHECK_TDX_32, CHECK_TDX_38, qe->name,
		    &qe->why);
	if (qe->present && qe->why.err == CVM_OK)
		(void)any_failed(run->v, CHECK_TDX_39, CHECK_TDX_40, qe->name,
		    &qe->why);
	note_chain(&u->file[UPKEEP_TCB_INFO_CHAIN], run);
	note_chain(&u->file[UPKEEP_QE_IDENTITY_CHAIN], run);
}

void
upkeep_judge_tdx(struct upkeep *u, const struct endorsements *e, int64_t now)
{
	struct appraisal a = { .policy = u->policy,
		.endorsements = e,
		.now = now };
	struct tdx_run *run = &u->run;
	struct crl *pck_crl = NULL;
	struct verdict v;

	verdict_init(&v, 0);
	run->a = &a;
	run->v = &v;
	tcb_info_freep(&run->tcb_info);
	qe_identity_freep(&run->qe_identity);
	crl_freep(&run->root_crl);
	judge_crl(u, run, UPKEEP_ROOT_CRL, &run->root_crl);
	judge_crl(u, run, UPKEEP_PCK_CRL, &pck_crl);
	judge_crl_chain(u, run);
	judge_json(u, run);
	crl_freep(&pck_crl);
	run->a = NULL;
	run->v = NULL;
}
