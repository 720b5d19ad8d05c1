/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "attest/hcl.h"
#include "attest/quote.h"
#include "attest/tdx.h"
#include "base/reader.h"

/* One appraisal of a report that parsed. */
struct hcl_case {
	const struct appraisal *a;
	struct verdict *v;
	struct hcl_report report;
	struct hcl_runtime runtime;
};

static bool
check_type(struct hcl_case *c)
{
	enum tee_kind tee = c->report.type == HCL_SNP ? TEE_SNP : TEE_TDX;

	return verdict_check(c->v, CHECK_HCL_02, tee == c->a->policy->tee,
	    tee_kind_name(c->a->policy->tee), "%s", tee_kind_name(tee));
}

/* TDREPORT_STRUCT (Intel TDX module ABI): TDINFO_STRUCT is at 512. */
static const char *
tdreport_differs(struct span tdreport, const struct tdx_quote *q)
{
	struct reader in = reader_init(tdreport);
	struct span data, got[8];
	uint64_t attributes, xfam;

	read_skip(&in, 128);
	data = read_span(&in, REPORT_DATA_LEN);
	read_skip(&in, 512 - in.pos);
	attributes = read_le64(&in);
	xfam = read_le64(&in);
	for (size_t i = 0; i < NELEMS(got); i++)
		got[i] = read_span(&in, SHA384_LEN);
	const struct {
		const char *name;
		struct span got, want;
	} rows[] = {
		{ "REPORTDATA", data, q->report_data },
		{ "MRTD", got[0], q->mrtd },
		{ "MRCONFIGID", got[1], q->mrconfigid },
		{ "MROWNER", got[2], q->mrowner },
		{ "MROWNERCONFIG", got[3], q->mrownerconfig },
		{ "RTMR0", got[4], q->rtmr[0] },
		{ "RTMR1", got[5], q->rtmr[1] },
		{ "RTMR2", got[6], q->rtmr[2] },
		{ "RTMR3", got[7], q->rtmr[3] },
	};

	for (size_t i = 0; i < NELEMS(rows); i++)
		if (!span_equal(rows[i].got, rows[i].want))
			return rows[i].name;
	if (attributes != q->td_attributes)
		return "ATTRIBUTES";
	return xfam != q->xfam ? "XFAM" : NULL;
}

/* Nobody but this platform can verify a TDREPORT. It counts for nothing
 * beyond the quote, whose signature TDX-.. checks; that it is about another
 * TD would mean that quote and runtime data do not belong together. */
static bool
check_hardware(struct hcl_case *c)
{
	struct span report = blob_span(&c->a->evidence->tee_report);
	struct tdx_quote q;
	struct why why;
	const char *field;

	if (c->report.type == HCL_SNP)
		return verdict_check(c->v, CHECK_HCL_03,
		    span_equal(c->report.hardware, report),
		    "the SNP report of the evidence", "another report");
	if (tdx_quote_parse(report, &q, &why) != CVM_OK)
		return verdict_fail(c->v, CHECK_HCL_03,
		    "a TDREPORT of the quoted TD", "no quote");
	field = tdreport_differs(c->report.hardware, &q);
	return verdict_check(c->v, CHECK_HCL_03, field == NULL,
	    "a TDREPORT of the quoted TD", "another %s",
	    field != NULL ? field : "");
}

static bool
check_report_data(struct hcl_case *c)
{
	char expected[2 * REPORT_DATA_LEN + 1], got[2 * REPORT_DATA_LEN + 1];
	uint8_t want[REPORT_DATA_LEN];

	if (hcl_report_data(&c->report, want) != CVM_OK)
		return verdict_fail(c->v, CHECK_HCL_04, "a digest", "none");
	return verdict_check(c->v, CHECK_HCL_04,
	    span_equal(c->report.report_data, span(want, sizeof(want))),
	    hex_encode(span(want, sizeof(want)), expected, sizeof(expected)),
	    "%s", hex_encode(c->report.report_data, got, sizeof(got)));
}

static bool
check_key(struct hcl_case *c)
{
	const struct hcl_runtime *r = &c->runtime;
	struct tpm_public public;
	struct why why = { 0 };

	if (tpm_public_parse(blob_span(&c->a->evidence->ak_public), &public,
		&why) != CVM_OK)
		return verdict_fail(c->v, CHECK_HCL_06, "a TPMT_PUBLIC",
		    "%s: %s %s", why.where, why.field, why.got);
	return verdict_check(c->v, CHECK_HCL_06,
	    public.modulus.len > 0 && public.exponent == r->exponent &&
		span_equal(public.modulus, span(r->modulus, r->modulus_len)),
	    "the key HCLAkPub", "another key");
}

/* A flag that the runtime data do not have is not what anybody wants. */
static bool
check_flag(struct hcl_case *c, enum check_id id, enum tristate want,
    enum hcl_flag got)
{
	static const char *const words[] = { [HCL_NOT_SAID] = "not said",
		[HCL_NO] = "off",
		[HCL_YES] = "on" };

	if (want == ANY)
		return verdict_skip(c->v, id, "not asked for");
	return verdict_check(c->v, id,
	    got == (want == REQUIRE ? HCL_YES : HCL_NO),
	    want == REQUIRE ? "on" : "off", "%s", words[got]);
}

/* A UUID, in whichever case the paravisor writes it. */
static bool
check_vm_id(struct hcl_case *c)
{
	const struct string_list *ids = &c->a->policy->tpm.vm.ids;
	const char *got = c->runtime.vm_id;

	if (ids->n == 0)
		return verdict_skip(c->v, CHECK_HCL_09, "no list");
	for (size_t i = 0; i < ids->n; i++)
		if (strcasecmp(ids->v[i], got) == 0)
			return verdict_pass_value(c->v, CHECK_HCL_09, "%s",
			    got);
	return verdict_fail(c->v, CHECK_HCL_09,
	    ids->n == 1 ? ids->v[0] : "one of the list", "%s",
	    got[0] != '\0' ? got : "none");
}

static bool
runtime_appraise(struct hcl_case *c)
{
	const struct policy_vm *vm = &c->a->policy->tpm.vm;
	struct why why = { 0 };
	bool ok;
	int r = hcl_runtime_parse(c->report.runtime, &c->runtime, &why);

	if (!verdict_from_why(c->v, CHECK_HCL_05, r, &why))
		return false;
	ok = check_key(c);
	ok = check_flag(c, CHECK_HCL_07, vm->secure_boot,
		 c->runtime.secure_boot) &&
	    ok;
	ok = check_flag(c, CHECK_HCL_08, vm->console, c->runtime.console) && ok;
	return check_vm_id(c) && ok;
}

bool
hcl_appraise(const struct appraisal *a, struct verdict *v)
{
	struct hcl_case c = { .a = a, .v = v };
	struct why why = { 0 };
	bool ok;
	int r = hcl_report_parse(blob_span(&a->evidence->hcl_report), &c.report,
	    &why);

	if (!verdict_from_why(v, CHECK_HCL_01, r, &why) || !check_type(&c))
		return false;
	ok = check_hardware(&c);
	ok = check_report_data(&c) && ok;
	return runtime_appraise(&c) && ok;
}
