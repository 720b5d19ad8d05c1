/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/launch.h"
#include "attest/tdx_parts.h"

/*
 * TDATTRIBUTES (Intel TDX Module ABI Specification, ATTRIBUTES). Those that
 * let the host look into the TD (HGS_PLUS_PROF, PERF_PROF, PMT_PROF: bits 4 to
 * 6) are treated as reserved, and so is that of a provisioning agent (62).
 */
#define ATTR_DEBUG (UINT64_C(1) << 0)
#define ATTR_ICSSD (UINT64_C(1) << 16) /* defends against single-stepping */
#define ATTR_LASS (UINT64_C(1) << 27)
#define ATTR_SEPT_VE_DISABLE (UINT64_C(1) << 28)
#define ATTR_MIGRATABLE (UINT64_C(1) << 29)
#define ATTR_PKS (UINT64_C(1) << 30)
#define ATTR_KL (UINT64_C(1) << 31)
#define ATTR_PERFMON (UINT64_C(1) << 63)
#define ATTR_KNOWN                                                             \
	(ATTR_DEBUG | ATTR_ICSSD | ATTR_LASS | ATTR_SEPT_VE_DISABLE |          \
	    ATTR_MIGRATABLE | ATTR_PKS | ATTR_KL | ATTR_PERFMON)
/*
 * XFAM: x87 and SSE always, and nothing outside of the fixed-0 mask of the
 * modules up to 2.0 and APX, which later ones add: registers more, which tell
 * the host nothing. MPX (3 and 4) shares their place and never was allowed.
 */
#define XFAM_FIXED1 UINT64_C(0x3)
#define XFAM_FIXED0 UINT64_C(0x0006dbe7)
#define XFAM_APX (UINT64_C(1) << 19)

static bool
check_list(struct tdx_run *run, enum check_id id,
    const struct value_list *allowed, struct span got, const char *skip)
{
	char expected[CHECK_VALUE_MAX], hex[CHECK_VALUE_MAX];
	size_t used;

	if (allowed->n == 0)
		return verdict_skip(run->v, id, skip);
	(void)hex_encode(got, hex, sizeof(hex));
	for (size_t i = 0; i < allowed->n; i++)
		if (span_equal(blob_span(&allowed->v[i]), got))
			return verdict_pass_value(run->v, id, "%s", hex);
	(void)hex_encode(blob_span(&allowed->v[0]), expected, sizeof(expected));
	used = strlen(expected);
	if (allowed->n > 1)
		(void)snprintf(expected + used, sizeof(expected) - used,
		    " or %zu others", allowed->n - 1);
	return verdict_fail(run->v, id, expected, "%s", hex);
}

/* Absent values that the policy does not ask for. */
static const char not_asked[] = "the policy does not name a value";

static bool
check_instance(struct tdx_run *run)
{
	const struct sgx_extension *x = &run->sgx;
	const struct value_list *allowed = &run->policy->platform_instance_id;

	if (allowed->n > 0 && !x->has_platform_instance_id)
		return verdict_fail(run->v, CHECK_TDX_55,
		    "one of the policy's platform instances",
		    "none (the certificate does not name one)");
	return check_list(run, CHECK_TDX_55, allowed,
	    span(x->platform_instance_id, sizeof(x->platform_instance_id)),
	    not_asked);
}

bool
tdx_check_platform(struct tdx_run *run)
{
	const struct policy_tdx *p = run->policy;
	const struct sgx_extension *x = &run->sgx;
	const uint8_t *minimum = p->min_tee_tcb_svn;
	const struct span svn = run->quote.tee_tcb_svn;
	const struct {
		enum check_id id;
		bool allowed;
		enum flag flag;
	} flags[] = {
		{ CHECK_TDX_56, p->dynamic_platform, x->dynamic_platform },
		{ CHECK_TDX_57, p->cached_keys, x->cached_keys },
		{ CHECK_TDX_58, p->smt, x->smt },
	};
	char expected[2 * TCB_COMPONENTS + 1], got[2 * TCB_COMPONENTS + 1];
	bool ok = true;

	for (size_t i = 0; i < svn.len; i++)
		ok &= svn.data[i] >= minimum[i];
	ok = verdict_check(run->v, CHECK_TDX_53, ok,
	    hex_encode(span(minimum, svn.len), expected, sizeof(expected)),
	    "%s", hex_encode(svn, got, sizeof(got)));
	ok &= check_list(run, CHECK_TDX_54, &p->fmspc,
	    span(x->fmspc, sizeof(x->fmspc)), not_asked);
	ok &= check_instance(run);
	for (size_t i = 0; i < NELEMS(flags); i++) {
		if (flags[i].allowed)
			ok &= verdict_skip(run->v, flags[i].id,
			    "the policy allows either");
		else
			ok &= verdict_check(run->v, flags[i].id,
			    flags[i].flag == FLAG_CLEAR, "false", "%s",
			    flags[i].flag == FLAG_CLEAR	  ? "false" :
				flags[i].flag == FLAG_SET ? "true" :
							    "not reported");
	}
	return ok;
}

static bool
check_bit(struct tdx_run *run, enum check_id id, enum tristate wanted, bool set)
{
	if (wanted == ANY)
		return verdict_skip(run->v, id, "the policy allows either");
	return verdict_check(run->v, id, set == (wanted == REQUIRE),
	    wanted == REQUIRE ? "1" : "0", "%d", set);
}

static bool
check_attributes(struct tdx_run *run)
{
	const struct policy_tdx *p = run->policy;
	uint64_t attr = run->quote.td_attributes;
	const struct {
		enum check_id id;
		enum tristate wanted;
		uint64_t bit;
	} bits[] = {
		{ CHECK_TDX_59, p->debug, ATTR_DEBUG },
		{ CHECK_TDX_61, p->sept_ve_disable, ATTR_SEPT_VE_DISABLE },
		{ CHECK_TDX_62, p->migratable, ATTR_MIGRATABLE },
		{ CHECK_TDX_63, p->pks, ATTR_PKS },
		{ CHECK_TDX_64, p->key_locker, ATTR_KL },
		{ CHECK_TDX_65, p->perfmon, ATTR_PERFMON },
	};
	bool ok = verdict_check(run->v, CHECK_TDX_60, (attr & ~ATTR_KNOWN) == 0,
	    "no reserved bit", "0x%016" PRIx64, attr);

	for (size_t i = 0; i < NELEMS(bits); i++)
		ok &= check_bit(run, bits[i].id, bits[i].wanted,
		    (attr & bits[i].bit) != 0);
	return ok;
}

static bool
check_xfam(struct tdx_run *run)
{
	uint64_t xfam = run->quote.xfam;
	char expected[64];
	bool ok;

	ok = verdict_check(run->v, CHECK_TDX_66,
	    (xfam & XFAM_FIXED1) == XFAM_FIXED1 &&
		(xfam & ~(XFAM_FIXED0 | XFAM_APX)) == 0,
	    "0x3 set and nothing outside of 0xedbe7", "0x%" PRIx64, xfam);
	if (!run->policy->xfam_set)
		return verdict_skip(run->v, CHECK_TDX_67, not_asked) && ok;
	(void)snprintf(expected, sizeof(expected), "0x%" PRIx64,
	    run->policy->xfam);
	return verdict_check(run->v, CHECK_TDX_67, xfam == run->policy->xfam,
		   expected, "0x%" PRIx64, xfam) &&
	    ok;
}

/* The first register that differs, or TDX_RTMRS; *ret_equal counts. */
static size_t
rtmr_difference(const struct tdx_quote *q, const struct rtmr_set *set,
    size_t *ret_equal)
{
	size_t first = TDX_RTMRS;

	*ret_equal = 0;
	for (size_t i = 0; i < TDX_RTMRS; i++) {
		if ((set->mask & 1u << i) == 0)
			continue;
		if (span_equal(q->rtmr[i], span(set->value[i], SHA384_LEN)))
			(*ret_equal)++;
		else if (first == TDX_RTMRS)
			first = i;
	}
	return first;
}

/* One whole set must match; a refusal shows the one that came nearest. */
static bool
check_rtmrs(struct tdx_run *run)
{
	const struct policy_tdx *p = run->policy;
	const struct rtmr_set *nearest = NULL;
	size_t most = 0, where = 0;
	char expected[CHECK_VALUE_MAX], hex[2 * SHA384_LEN + 1];

	if (p->n_rtmr_sets == 0)
		return verdict_skip(run->v, CHECK_TDX_70, not_asked);
	for (size_t i = 0; i < p->n_rtmr_sets; i++) {
		const struct rtmr_set *set = &p->rtmr_sets[i];
		size_t equal, at = rtmr_difference(&run->quote, set, &equal);

		if (at == TDX_RTMRS && equal > 0)
			return verdict_pass_value(run->v, CHECK_TDX_70,
			    "set \"%s\"", set->label);
		if (nearest == NULL || equal > most) {
			nearest = set;
			most = equal;
			where = at;
		}
	}
	if (where == TDX_RTMRS)
		return verdict_fail(run->v, CHECK_TDX_70, "a set of RTMRs",
		    "an empty set in the policy");
	(void)snprintf(expected, sizeof(expected), "RTMR%zu %s (set \"%s\")",
	    where,
	    hex_encode(span(nearest->value[where], SHA384_LEN), hex,
		sizeof(hex)),
	    nearest->label);
	return verdict_fail(run->v, CHECK_TDX_70, expected, "%s",
	    hex_encode(run->quote.rtmr[where], hex, sizeof(hex)));
}

/*
 * With TD partitioning a VM within the TD can ask for a report as well; it is
 * not what the TD's measurements are of.
 */
static bool
check_vmid(struct tdx_run *run)
{
	struct span got = run->quote.vmid;

	if (got.len == 0)
		return verdict_skip(run->v, CHECK_TDX_81,
		    "a report of this form does not say it");
	return verdict_check(run->v, CHECK_TDX_81, got.data[0] == 0, "0", "%u",
	    got.data[0]);
}

static bool
is_allowed(const struct value_list *allowed, struct span got)
{
	for (size_t i = 0; i < allowed->n; i++)
		if (span_equal(blob_span(&allowed->v[i]), got))
			return true;
	return span_is_filled(got, 0) != 0;
}

/* A service TD of before, which the TD was moved by, has had it in hand; or
 * what a migration went by. */
static bool
check_past_service_td(struct tdx_run *run)
{
	const struct value_list *allowed = &run->policy->mrservicetd;
	const struct {
		const char *name;
		struct span got;
	} rows[] = {
		{ "INIT_SERVTD_HASH", run->quote.init_servicetd },
		{ "CURR_SERVTD_HASH", run->quote.curr_servicetd },
	};
	char hex[2 * SHA384_LEN + 1];

	for (size_t i = 0; i < NELEMS(rows); i++)
		if (rows[i].got.len > 0 && !is_allowed(allowed, rows[i].got))
			return verdict_fail(run->v, CHECK_TDX_74,
			    allowed->n > 0 ? "zero, or a service TD of the "
					     "policy" :
					     "zero",
			    "%s %s", rows[i].name,
			    hex_encode(rows[i].got, hex, sizeof(hex)));
	return true;
}

/* SERVTD_HASH of a TD without service TD is zero. */
static bool
check_service_td(struct tdx_run *run)
{
	const struct value_list *allowed = &run->policy->mrservicetd;
	struct span got = run->quote.mrservicetd;
	char hex[2 * SHA384_LEN + 1];
	bool reported = got.len > 0;

	if (!reported && allowed->n == 0)
		return verdict_skip(run->v, CHECK_TDX_74,
		    "a TD 1.0 report does not have it");
	if (!reported)
		return verdict_fail(run->v, CHECK_TDX_74,
		    "one of the policy's service TDs",
		    "a TD 1.0 report, which does not have it");
	if (!check_past_service_td(run))
		return false;
	if (allowed->n > 0)
		return check_list(run, CHECK_TDX_74, allowed, got, not_asked);
	return verdict_check(run->v, CHECK_TDX_74, span_is_filled(got, 0),
	    "zero", "%s", hex_encode(got, hex, sizeof(hex)));
}

bool
tdx_check_td(struct tdx_run *run)
{
	const struct policy_tdx *p = run->policy;
	const struct tdx_quote *q = &run->quote;
	const struct {
		enum check_id id;
		const struct value_list *allowed;
		struct span got;
		const char *skip;
	} lists[] = {
		{ CHECK_TDX_68, &p->mrseam, q->mrseam,
		    "any module of the TCB info" },
		{ CHECK_TDX_71, &p->mrconfigid, q->mrconfigid, not_asked },
		{ CHECK_TDX_72, &p->mrowner, q->mrowner, not_asked },
		{ CHECK_TDX_73, &p->mrownerconfig, q->mrownerconfig,
		    not_asked },
	};
	const struct launch_case launch = { .a = run->a,
		.v = run->v,
		.facts = &run->facts,
		.policy = &p->launch,
		.first = CHECK_TDX_75,
		.measurement = q->mrtd,
		.tdx = true };
	bool ok = check_attributes(run);

	ok &= check_xfam(run);
	for (size_t i = 0; i < NELEMS(lists); i++)
		ok &= check_list(run, lists[i].id, lists[i].allowed,
		    lists[i].got, lists[i].skip);
	/* No MRTD, no statement about what runs: skipped only for a launch
	 * endorsement. */
	if (p->mrtd.n == 0 && p->launch.roots.n > 0)
		(void)verdict_skip(run->v, CHECK_TDX_69,
		    "the launch endorsement names them");
	else if (p->mrtd.n == 0)
		ok &= verdict_fail(run->v, CHECK_TDX_69,
		    "a value in the policy", "none");
	else
		ok &= check_list(run, CHECK_TDX_69, &p->mrtd, q->mrtd,
		    not_asked);
	ok &= launch_appraise(&launch);
	ok &= check_rtmrs(run);
	ok &= check_vmid(run);
	return check_service_td(run) && ok;
}
