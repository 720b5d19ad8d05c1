/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/tdx_parts.h"

/*
 * Intel's rules for the status of a TCB: "Get TDX TCB Info" of the PCS API
 * version 4, and the TDX DCAP appraisal of TD-preserving updates.
 */
#define SVN_MODULE 0  /* of TEE_TCB_SVN */
#define SVN_MAJOR 1   /* selects the module identity */
#define SVN_SEAMLDR 2 /* microcode and SEAM loader */

static bool
at_least(const uint8_t *have, const uint8_t *level, size_t from)
{
	for (size_t i = from; i < TCB_COMPONENTS; i++)
		if (have[i] < level[i])
			return false;
	return true;
}

/* NULL: there is no such identity. */
static const struct tdx_module *
find_module(const struct tcb_info *info, uint8_t version)
{
	if (version == 0)
		return &info->module;
	for (size_t i = 0; i < info->n_identities; i++)
		if (info->identities[i].version == version)
			return &info->identities[i];
	return NULL;
}

static const struct tcb_level *
find_isvsvn_level(const struct tcb_levels *levels, uint16_t isvsvn)
{
	for (size_t i = 0; i < levels->n; i++)
		if (isvsvn >= levels->v[i].isvsvn)
			return &levels->v[i];
	return NULL;
}

/* Levels are sorted: the first that both the platform and the TD reach. */
static void
find_platform_levels(const struct tcb_input *in, struct tcb_result *out)
{
	const uint8_t *svn = in->tee_tcb_svn.data;
	/* A module with an identity is judged there, not by components 0, 1. */
	size_t from = svn[SVN_MAJOR] > 0 ? 2 : 0;

	for (size_t i = 0; i < in->info->levels.n; i++) {
		const struct tcb_level *l = &in->info->levels.v[i];

		if (!at_least(in->platform->components, l->sgx, 0) ||
		    in->platform->pcesvn < l->pcesvn)
			continue;
		if (out->sgx == NULL)
			out->sgx = l;
		if (at_least(svn, l->tdx, from)) {
			out->platform = l;
			return;
		}
	}
}

/* What an out-of-date or revoked part (module, QE) makes of the whole. */
static enum tcb_status
converge(enum tcb_status whole, enum tcb_status part)
{
	if (part == TCB_REVOKED)
		return TCB_REVOKED;
	if (part != TCB_OUT_OF_DATE)
		return whole;
	switch (whole) {
	case TCB_UP_TO_DATE:
	case TCB_SW_HARDENING_NEEDED:
		return TCB_OUT_OF_DATE;
	case TCB_CONFIGURATION_NEEDED:
	case TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED:
		return TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
	default:
		return whole;
	}
}

static bool
configuration_needed(enum tcb_status s)
{
	return s == TCB_CONFIGURATION_NEEDED ||
	    s == TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED ||
	    s == TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
}

/* The module that runs now (TEE_TCB_SVN2) is at the newest level. */
static enum tcb_status
relaunch(const struct tcb_input *in, const struct tcb_result *out,
    enum tcb_status status)
{
	const uint8_t *now = in->tee_tcb_svn2.data;
	const struct tcb_level *newest = &in->info->levels.v[0];
	const struct tdx_module *m = find_module(in->info, now[SVN_MAJOR]);
	uint16_t module_svn;

	if (m == NULL)
		return TCB_NOT_SUPPORTED;
	module_svn = now[SVN_MAJOR] == 0 ? newest->tdx[SVN_MODULE] :
					   m->levels.v[0].isvsvn;
	if (now[SVN_MODULE] < module_svn ||
	    now[SVN_SEAMLDR] < newest->tdx[SVN_SEAMLDR])
		return status;
	if (configuration_needed(out->sgx->status) ||
	    configuration_needed(status))
		return TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED;
	return TCB_TD_RELAUNCH_ADVISED;
}

/* After a TD-preserving update a TD that was launched before it is out of
 * date only in what was measured at its launch. */
static bool
relaunch_applies(const struct tcb_input *in, const struct tcb_result *out,
    enum tcb_status status)
{
	if (in->tee_tcb_svn2.len != TCB_COMPONENTS || out->module == NULL ||
	    out->module->status != TCB_OUT_OF_DATE ||
	    out->qe->status != TCB_UP_TO_DATE)
		return false;
	if (status != TCB_OUT_OF_DATE &&
	    status != TCB_OUT_OF_DATE_CONFIGURATION_NEEDED)
		return false;
	switch (out->sgx->status) {
	case TCB_UP_TO_DATE:
	case TCB_SW_HARDENING_NEEDED:
	case TCB_CONFIGURATION_NEEDED:
	case TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED:
		return true;
	default:
		return false;
	}
}

void
tcb_evaluate(const struct tcb_input *in, struct tcb_result *ret)
{
	struct tcb_result out = { .status = TCB_NOT_SUPPORTED };
	uint8_t major = in->tee_tcb_svn.data[SVN_MAJOR];
	enum tcb_status status;

	out.identity = find_module(in->info, major);
	if (out.identity != NULL && major > 0)
		out.module = find_isvsvn_level(&out.identity->levels,
		    in->tee_tcb_svn.data[SVN_MODULE]);
	out.qe = find_isvsvn_level(&in->qe->levels, in->qe_isvsvn);
	find_platform_levels(in, &out);

	if (out.platform != NULL && out.qe != NULL && out.identity != NULL &&
	    (major == 0 || out.module != NULL)) {
		status = out.platform->status;
		if (out.module != NULL)
			status = converge(status, out.module->status);
		if (relaunch_applies(in, &out, status))
			status = relaunch(in, &out, status);
		status = converge(status, out.qe->status);
		/* A revoked platform is not saved by another match. */
		if (out.sgx->status == TCB_REVOKED)
			status = TCB_REVOKED;
		out.status = status;
	}
	*ret = out;
}

static bool
masked_equal(struct span have, const uint8_t *want, const uint8_t *mask)
{
	for (size_t i = 0; i < have.len; i++)
		if ((have.data[i] & mask[i]) != (want[i] & mask[i]))
			return false;
	return true;
}

static bool
check_hex(struct tdx_run *run, enum check_id id, bool ok, struct span want,
    struct span got)
{
	char a[CHECK_VALUE_MAX], b[CHECK_VALUE_MAX];

	return verdict_check(run->v, id, ok, hex_encode(want, a, sizeof(a)),
	    "%s", hex_encode(got, b, sizeof(b)));
}

static bool
check_qe(struct tdx_run *run)
{
	const struct tdx_qe_report *r = &run->quote.qe;
	const struct qe_identity *q = run->qe_identity;
	char expected[48];
	bool ok;

	(void)snprintf(expected, sizeof(expected), "%08x (mask %08x)",
	    q->miscselect, q->miscselect_mask);
	ok = verdict_check(run->v, CHECK_TDX_41,
	    (r->miscselect & q->miscselect_mask) ==
		(q->miscselect & q->miscselect_mask),
	    expected, "%08x", r->miscselect);
	ok &= check_hex(run, CHECK_TDX_42,
	    masked_equal(r->attributes, q->attributes, q->attributes_mask),
	    span(q->attributes, sizeof(q->attributes)), r->attributes);
	ok &= check_hex(run, CHECK_TDX_43,
	    span_equal(r->mrsigner, span(q->mrsigner, sizeof(q->mrsigner))),
	    span(q->mrsigner, sizeof(q->mrsigner)), r->mrsigner);
	(void)snprintf(expected, sizeof(expected), "%u", q->isvprodid);
	return verdict_check(run->v, CHECK_TDX_44, r->isvprodid == q->isvprodid,
		   expected, "%u", r->isvprodid) &&
	    ok;
}

static bool
check_module(struct tdx_run *run, const struct tcb_result *t)
{
	const struct tdx_quote *q = &run->quote;
	const struct tdx_module *m = t->identity;
	uint8_t major = q->tee_tcb_svn.data[SVN_MAJOR];
	uint8_t not_mask[8];
	bool ok;

	if (!verdict_check(run->v, CHECK_TDX_46, m != NULL,
		"an identity in the TCB info", "module TDX_%02X", major))
		return false;
	ok = check_hex(run, CHECK_TDX_47,
	    span_equal(q->mrsignerseam, span(m->mrsigner, SHA384_LEN)),
	    span(m->mrsigner, SHA384_LEN), q->mrsignerseam);
	/* Bits that the identity does not speak of must be zero. */
	for (size_t i = 0; i < sizeof(not_mask); i++)
		not_mask[i] = (uint8_t)~m->attributes_mask[i];
	ok &= check_hex(run, CHECK_TDX_48,
	    masked_equal(q->seam_attributes, m->attributes,
		m->attributes_mask) &&
		masked_equal(q->seam_attributes, (const uint8_t[8]){ 0 },
		    not_mask),
	    span(m->attributes, sizeof(m->attributes)), q->seam_attributes);
	if (major == 0)
		return verdict_pass_value(run->v, CHECK_TDX_49,
			   "judged by the platform's level") &&
		    ok;
	return verdict_check(run->v, CHECK_TDX_49, t->module != NULL,
		   "at least the lowest level of the module", "SVN %u",
		   q->tee_tcb_svn.data[SVN_MODULE]) &&
	    ok;
}

static bool
check_platform_level(struct tdx_run *run, const struct tcb_result *t)
{
	char sgx[2 * TCB_COMPONENTS + 1], tdx[2 * TCB_COMPONENTS + 1];

	return verdict_check(run->v, CHECK_TDX_50, t->platform != NULL,
	    "at least the lowest level of the TCB info",
	    "components %s, PCESVN %u, TEE_TCB_SVN %s",
	    hex_encode(span(run->sgx.components, TCB_COMPONENTS), sgx,
		sizeof(sgx)),
	    run->sgx.pcesvn,
	    hex_encode(run->quote.tee_tcb_svn, tdx, sizeof(tdx)));
}

static bool
in_list(const struct string_list *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

/* "a, b, c" into buf, cut where it ends. */
static void
add_word(char *buf, size_t len, const char *word)
{
	size_t at = strlen(buf);

	(void)snprintf(buf + at, len - at, "%s%s", at > 0 ? ", " : "", word);
}

static bool
check_status(struct tdx_run *run, const struct tcb_result *t)
{
	const struct string_list *allowed = &run->policy->tcb_status;
	const char *name = tcb_status_name(t->status);
	char expected[CHECK_VALUE_MAX] = "";

	for (size_t i = 0; i < allowed->n; i++)
		add_word(expected, sizeof(expected), allowed->v[i]);
	/* No policy can accept what Intel has taken back. */
	return verdict_check(run->v, CHECK_TDX_51,
	    t->status != TCB_REVOKED && t->status != TCB_NOT_SUPPORTED &&
		in_list(allowed, name),
	    expected, "%s (platform %s of %.10s, module %s, QE %s)", name,
	    tcb_status_name(t->platform->status), t->platform->date,
	    t->module != NULL ? tcb_status_name(t->module->status) : "base",
	    tcb_status_name(t->qe->status));
}

/* The union over platform, module and QE. */
static bool
check_advisories(struct tdx_run *run, const struct tcb_result *t)
{
	const struct tcb_level *const levels[] = { t->platform, t->module,
		t->qe };
	char open[CHECK_VALUE_MAX] = "";
	bool ok = true;

	for (size_t i = 0; i < NELEMS(levels); i++) {
		const struct tcb_level *l = levels[i];

		for (size_t k = 0; l != NULL && k < l->advisories.n; k++) {
			const char *id = l->advisories.id[k];

			if (in_list(&run->policy->advisories, id))
				continue;
			ok = false;
			if (strstr(open, id) == NULL)
				add_word(open, sizeof(open), id);
		}
	}
	return verdict_check(run->v, CHECK_TDX_52, ok,
	    "accepted advisories only", "%s", ok ? "none open" : open);
}

bool
tdx_check_tcb(struct tdx_run *run)
{
	const struct tcb_input in = {
		.info = run->tcb_info,
		.qe = run->qe_identity,
		.platform = &run->sgx,
		.tee_tcb_svn = run->quote.tee_tcb_svn,
		.tee_tcb_svn2 = run->quote.tee_tcb_svn2,
		.qe_isvsvn = run->quote.qe.isvsvn,
	};
	struct tcb_result t;
	bool ok, levels;

	tcb_evaluate(&in, &t);
	ok = check_qe(run);
	levels = verdict_check(run->v, CHECK_TDX_45, t.qe != NULL,
	    "at least the lowest level of the QE identity", "ISVSVN %u",
	    in.qe_isvsvn);
	levels &= check_module(run, &t);
	levels &= check_platform_level(run, &t);
	/* Without all levels there is no status to judge. */
	if (t.qe == NULL || t.platform == NULL || t.identity == NULL ||
	    (t.module == NULL && in.tee_tcb_svn.data[SVN_MAJOR] > 0))
		return false;
	ok &= check_status(run, &t);
	return check_advisories(run, &t) && ok && levels;
}
