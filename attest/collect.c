/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>
#include <time.h>

#include "attest/collect.h"
#include "attest/derive.h"
#include "attest/permit.h"
#include "attest/tsm.h"

#define NS_PER_S 1000000000u

void
collector_forget(struct collector *c)
{
	blob_clear(&c->report);
	blob_clear(&c->aux);
	c->report_ns = 0;
}

static bool
wants_tee(const struct policy *p)
{
	return p->tee == TEE_SNP || p->tee == TEE_TDX;
}

static int
get_tee_report(struct collector *c, const uint8_t root[static SHA256_LEN],
    struct span ak_name, struct why *why)
{
	uint8_t report_data[REPORT_DATA_LEN];
	struct tsm_report rep = { 0 };
	uint64_t asked = boottime_ns();
	int r;

	if ((r = derive_report_data(root, ak_name, c->policy->digest,
		 report_data)) != CVM_OK)
		return why_set(why, r, "REPORT_DATA", "", "", "");
	if ((r = tsm_get_report(c->cfg->evidence.tsm,
		 c->policy->tee == TEE_SNP ? "sev_guest" : "tdx_guest",
		 report_data, c->cfg->evidence.timeout_ms, &rep, why)) !=
	    CVM_OK)
		return r;
	collector_forget(c);
	c->report = rep.outblob;
	c->aux = rep.auxblob;
	c->report_simulated = rep.simulated;
	memcpy(c->report_data, report_data, sizeof(report_data));
	memcpy(c->report_root, root, SHA256_LEN);
	c->report_ns = asked;
	c->report_time = (int64_t)time(NULL);
	return CVM_OK;
}

/*
 * Uses the report in hand while it is younger than the policy's maximum;
 * from half that age on a new one is asked for, and only past the maximum
 * does it matter whether that works.
 */
static int
refresh_tee(struct collector *c, const uint8_t root[static SHA256_LEN],
    bool fresh, struct span ak_name, struct why *why)
{
	uint64_t max_ns = (uint64_t)c->policy->tee_report_max_age_s * NS_PER_S;
	uint64_t age = boottime_ns() - c->report_ns;
	bool have = c->report_ns != 0 && !fresh && c->policy->has_tpm;
	int r;

	if (have && age < max_ns / 2)
		return CVM_OK;
	r = get_tee_report(c, root, ak_name, why);
	if (r == CVM_E_UNREACHABLE && have && age < max_ns)
		return CVM_OK;
	return r;
}

static int
add_tee(struct collector *c, const uint8_t root[static SHA256_LEN], bool fresh,
    struct span ak_name, struct evidence *e, struct why *why)
{
	int r;

	e->tee = c->policy->tee;
	if (!wants_tee(c->policy))
		return CVM_OK;
	if ((r = refresh_tee(c, root, fresh, ak_name, why)) != CVM_OK)
		return r;
	if (blob_set(&e->tee_report, blob_span(&c->report)) != CVM_OK ||
	    blob_set(&e->tee_aux, blob_span(&c->aux)) != CVM_OK)
		return why_set(why, CVM_E_NOMEM, "TEE report", "", "", "");
	memcpy(e->tee_report_data, c->report_data, REPORT_DATA_LEN);
	e->tee_time = c->report_time;
	e->simulated |= c->report_simulated;
	return CVM_OK;
}

static int
add_log(const char *path, struct blob *ret, struct evidence *e, struct why *why)
{
	bool simulated = false;
	int r = kernel_log_read(path, ret, &simulated, why);

	if (r == CVM_OK)
		e->simulated |= simulated;
	return r;
}

static int
add_tpm(struct collector *c, const uint8_t root[static SHA256_LEN],
    struct evidence *e, struct why *why)
{
	const struct policy_tpm *p = &c->policy->tpm;
	uint8_t qualifying[QUALIFYING_LEN];
	int r;

	if ((r = derive_qualifying(root, blob_span(&e->tee_report),
		 qualifying)) != CVM_OK)
		return why_set(why, r, "qualifyingData", "", "", "");
	return vtpm_quote(c->vtpm, p->bank, p->pcr_sets[0].mask,
	    span(qualifying, sizeof(qualifying)), &e->tpm_quote,
	    &e->tpm_signature, &e->pcrs, why);
}

int
collect(struct collector *c, const uint8_t root[static SHA256_LEN],
    bool fresh_tee, struct evidence *ret, struct why *reterr_why)
{
	_cleanup_(evidence_clear) struct evidence e = { 0 };
	_cleanup_(blob_clear) struct blob name = { 0 };
	const struct policy *p = c->policy;
	int r;

	if (p->has_tpm &&
	    (r = vtpm_ak(c->vtpm, &e.ak_public, &name, &e.ak_cert,
		 reterr_why)) != CVM_OK)
		return r;
	if ((r = add_tee(c, root, fresh_tee, blob_span(&name), &e,
		 reterr_why)) != CVM_OK)
		return r;
	if (p->has_tpm && (r = add_tpm(c, root, &e, reterr_why)) != CVM_OK)
		return r;
	if (p->log.present && p->has_tpm &&
	    (r = add_log(c->cfg->evidence.event_log, &e.event_log, &e,
		 reterr_why)) != CVM_OK)
		return r;
	if (p->log.present && !p->has_tpm &&
	    (r = add_log(c->cfg->evidence.ccel, &e.ccel, &e, reterr_why)) !=
		CVM_OK)
		return r;
	*ret = e;
	memset(&e, 0, sizeof(e));
	return CVM_OK;
}
