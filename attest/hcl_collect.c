/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/hcl.h"
#include "attest/hcl_collect.h"
#include "attest/retry.h"

#define BACK_OFF_MIN_MS 20
#define BACK_OFF_MAX_MS 500
/* Another process may have written its own data over ours, or the paravisor
 * missed them: after so many reads, they are written again. */
#define READS_PER_WRITE 8

static int
refuse(struct why *why, const char *field, const char *expected,
    const char *got)
{
	return why_set(why, CVM_E_UNREACHABLE, "NV index 0x01400001", field,
	    expected, got);
}

/* Is the report over user_data, and of one piece? It is read in several
 * commands, between which it may have been made anew. */
static int
check_report(struct span bytes, const uint8_t *user_data,
    struct hcl_report *ret, struct why *why)
{
	uint8_t want[REPORT_DATA_LEN];
	struct hcl_runtime runtime;
	int r;

	if ((r = hcl_report_parse(bytes, ret, why)) != CVM_OK ||
	    (r = hcl_runtime_parse(ret->runtime, &runtime, why)) != CVM_OK)
		return CVM_E_UNREACHABLE;
	if (!runtime.has_user_data)
		return refuse(why, "user-data", "what was asked for",
		    "none: the paravisor is too old for it");
	if (hcl_report_data(ret, want) != CVM_OK ||
	    !span_equal(ret->report_data, span(want, sizeof(want))))
		return refuse(why, "REPORT_DATA", "the hash of its data",
		    "another one");
	if (memcmp(runtime.user_data, user_data, REPORT_DATA_LEN) != 0)
		return refuse(why, "user-data", "what was asked for",
		    "other data: no new report was made");
	return CVM_OK;
}

static int
try_once(struct vtpm *t, const uint8_t *user_data, bool write, bool *ret_again,
    struct tsm_report *out, struct why *why)
{
	struct hcl_report report;
	int r = CVM_OK;

	*ret_again = false;
	if (write)
		r = vtpm_nv_write(t, HCL_USER_DATA_NV,
		    span(user_data, REPORT_DATA_LEN), why);
	if (r == CVM_OK)
		r = vtpm_nv_read(t, HCL_REPORT_NV, HCL_REPORT_MAX, &out->hcl,
		    why);
	if (r == CVM_E_NOT_FOUND) {
		r = refuse(why, "", "defined", "not there");
		why_hint(why, "is this a confidential VM of Azure?");
	}
	if (r != CVM_OK)
		return r;
	*ret_again = true;
	r = check_report(blob_span(&out->hcl), user_data, &report, why);
	if (r != CVM_OK)
		return r;
	*ret_again = false;
	if (report.type != HCL_SNP) {
		r = refuse(why, "report type", "SNP",
		    "TDX: a TDREPORT, which is no quote");
		why_hint(why,
		    "Azure quotes a TDREPORT over the network, which this "
		    "module does not use");
		return r;
	}
	return blob_set(&out->outblob, report.hardware);
}

int
hcl_get_report(struct vtpm *t, const uint8_t user_data[static REPORT_DATA_LEN],
    uint32_t timeout_ms, struct tsm_report *ret, struct why *reterr_why)
{
	_cleanup_(
	    tsm_report_clear) struct tsm_report out = { .provider = "azure" };
	struct retry retry = retry_within(timeout_ms, BACK_OFF_MIN_MS,
	    BACK_OFF_MAX_MS);
	bool again;
	int r;

	for (unsigned i = 0;; i++) {
		r = try_once(t, user_data, i % READS_PER_WRITE == 0, &again,
		    &out, reterr_why);
		if (r == CVM_OK)
			break;
		if (!again)
			return r;
		if (!retry_wait(&retry)) {
			why_hint(reterr_why,
			    "tried for %u ms (evidence.timeout_ms)",
			    timeout_ms);
			return r;
		}
	}
	tsm_report_clear(ret);
	*ret = out;
	out = (struct tsm_report){ 0 };
	return CVM_OK;
}
