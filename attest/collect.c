/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/ccel_table.h"
#include "attest/collect.h"
#include "attest/derive.h"
#include "attest/permit.h"

/* How long a round waits for a report that it can do without. */
#define REFRESH_TIMEOUT_MS 250

static void
forget_report(struct collector *c)
{
	blob_clear(&c->report);
	blob_clear(&c->aux);
	blob_clear(&c->hcl);
	blob_clear(&c->manifest);
	c->report_ns = 0;
	c->refresh_ns = 0;
}

static void
forget_proof(struct collector *c)
{
	blob_clear(&c->proof_ek);
	blob_clear(&c->proof_ak);
	c->activated = false;
}

static void
forget_log(struct collector *c)
{
	blob_clear(&c->log);
	c->log_pcrs.mask = 0;
}

void
collector_forget(struct collector *c)
{
	forget_report(c);
	forget_proof(c);
	forget_log(c);
}

void
collector_abandon(struct collector *c)
{
	c->proof_ek = c->proof_ak = (struct blob){ 0 };
	c->report = c->aux = c->hcl = c->manifest = c->log = (struct blob){ 0 };
	collector_forget(c);
}

static bool
wants_tee(const struct policy *p)
{
	return p->tee == TEE_SNP || p->tee == TEE_TDX;
}

/*
 * Whether the AK is in the TPM of the SVSM: asked once for each pair of keys,
 * since the TPM makes its endorsement key anew for it. A proof that failed is
 * evidence, too, and asked for again with the next report.
 */
static int
prove_ak(struct collector *c, struct span ek, struct span ak_name,
    struct why *why)
{
	struct why unused;
	int r;

	if (c->activated && span_equal(blob_span(&c->proof_ek), ek) &&
	    span_equal(blob_span(&c->proof_ak), ak_name))
		return CVM_OK;
	forget_proof(c);
	r = vtpm_activate(c->vtpm, ek, ak_name, why != NULL ? why : &unused);
	if (r == CVM_E_DENIED)
		return CVM_OK;
	if (r != CVM_OK)
		return r;
	if (blob_set(&c->proof_ek, ek) != CVM_OK ||
	    blob_set(&c->proof_ak, ak_name) != CVM_OK)
		return why_set(why, CVM_E_NOMEM, "AK", "", "", "");
	c->activated = true;
	return CVM_OK;
}

static int
get_tee_report(struct collector *c, const uint8_t root[static SHA256_LEN],
    struct span ak_name, uint32_t timeout_ms, struct why *why)
{
	const struct policy *p = c->policy;
	uint8_t report_data[REPORT_DATA_LEN];
	const struct tee_source source = {
		.cfg = &c->cfg->evidence,
		.tee = p->tee,
		.call = c->call,
		.svsm = p->has_tpm && p->tpm.ak_trust == AK_TRUST_SVSM,
		.paravisor = p->has_tpm && p->tpm.ak_trust == AK_TRUST_AZURE ?
		    c->vtpm :
		    NULL,
	};
	struct tsm_report rep = { 0 };
	uint64_t asked = boottime_ns();
	int r;

	if ((r = derive_report_data(root, ak_name, p->digest, report_data)) !=
	    CVM_OK)
		return why_set(why, r, "REPORT_DATA", "", "", "");
	if ((r = tee_source_report(&source, p->tee == TEE_SNP ? p->snp.vmpl : 0,
		 report_data, timeout_ms, &rep, why)) != CVM_OK)
		return r;
	if (source.svsm &&
	    (r = prove_ak(c, blob_span(&rep.manifest), ak_name, why)) !=
		CVM_OK) {
		tsm_report_clear(&rep);
		return r;
	}
	forget_report(c);
	c->manifest = rep.manifest;
	c->report = rep.outblob;
	c->aux = rep.auxblob;
	c->hcl = rep.hcl;
	c->report_simulated = rep.simulated;
	memcpy(c->report_data, report_data, sizeof(report_data));
	memcpy(c->report_root, root, SHA256_LEN);
	c->report_ns = asked;
	c->report_time = (int64_t)time(NULL);
	return CVM_OK;
}

/* A report is bound to the AK of its time, and is worth nothing to another. */
static int
names_this_ak(const struct collector *c, struct span ak_name, bool *ret)
{
	uint8_t want[REPORT_DATA_LEN];
	int r;

	if ((r = derive_report_data(c->report_root, ak_name, c->policy->digest,
		 want)) != CVM_OK)
		return r;
	*ret = span_equal(span(want, sizeof(want)),
	    span(c->report_data, REPORT_DATA_LEN));
	return CVM_OK;
}

/*
 * Uses the report in hand while it is younger than the policy's maximum. From
 * half that age on a new one is asked for, without much patience and not in
 * every round: hosts throttle. Only past the maximum must there be one.
 */
static int
refresh_tee(struct collector *c, const uint8_t root[static SHA256_LEN],
    bool fresh, struct span ak_name, struct why *why)
{
	const struct config_evidence *cfg = &c->cfg->evidence;
	uint64_t max_ns = (uint64_t)c->policy->tee_report_max_age_s * NS_PER_S;
	uint64_t now = boottime_ns(), age = now - c->report_ns;
	uint32_t patience = cfg->timeout_ms;
	struct why unused;
	bool have = c->report_ns != 0 && !fresh && c->policy->has_tpm;
	int r;

	if (have && (r = names_this_ak(c, ak_name, &have)) != CVM_OK)
		return why_set(why, r, "REPORT_DATA", "", "", "");
	have = have && age < max_ns;
	if (have && (age < max_ns / 2 || now < c->refresh_ns))
		return CVM_OK;
	if (have && patience > REFRESH_TIMEOUT_MS)
		patience = REFRESH_TIMEOUT_MS;
	r = get_tee_report(c, root, ak_name, patience, have ? &unused : why);
	if (r == CVM_OK || !have)
		return r;
	c->refresh_ns = now + (uint64_t)cfg->retry_ms * NS_PER_MS;
	return CVM_OK;
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
	    blob_set(&e->tee_aux, blob_span(&c->aux)) != CVM_OK ||
	    blob_set(&e->hcl_report, blob_span(&c->hcl)) != CVM_OK ||
	    blob_set(&e->svsm_manifest, blob_span(&c->manifest)) != CVM_OK)
		return why_set(why, CVM_E_NOMEM, "TEE report", "", "", "");
	e->ak_activated = c->activated;
	memcpy(e->tee_report_data, c->report_data, REPORT_DATA_LEN);
	e->tee_time = c->report_time;
	e->simulated |= c->report_simulated;
	return CVM_OK;
}

static bool
same_pcrs(const struct pcr_values *a, const struct pcr_values *b)
{
	return a->mask != 0 && a->mask == b->mask && a->bank == b->bank &&
	    memcmp(a->value, b->value, sizeof(a->value)) == 0;
}

/* A log that the machine does not have is no verdict on it either. */
static int
read_log(const char *path, struct blob *ret, bool *ret_simulated,
    struct why *why)
{
	int r = kernel_log_read(path, ret, ret_simulated, why);

	if (r != CVM_E_NOT_FOUND)
		return r;
	why->err = CVM_E_UNREACHABLE;
	return CVM_E_UNREACHABLE;
}

/*
 * A log explains quoted PCRs, and the one that explained these very values
 * does so again: what could have been appended would have moved a PCR.
 */
static int
add_event_log(struct collector *c, struct evidence *e, struct why *why)
{
	int r;

	if (!same_pcrs(&c->log_pcrs, &e->pcrs)) {
		forget_log(c);
		if ((r = read_log(c->cfg->evidence.event_log, &c->log,
			 &c->log_simulated, why)) != CVM_OK)
			return r;
		c->log_pcrs = e->pcrs;
	}
	if (blob_set(&e->event_log, blob_span(&c->log)) != CVM_OK)
		return why_set(why, CVM_E_NOMEM, "event log", "", "", "");
	e->simulated |= c->log_simulated;
	return CVM_OK;
}

/* sysfs has tables/data/CCEL, and the table that describes it beside data. */
#define CCEL_DATA "data/CCEL"
#define CCEL_TABLE "CCEL"

static int
check_ccel_table(const char *log, size_t log_len, struct why *why)
{
	_cleanup_(blob_clear) struct blob table = { 0 };
	size_t len = strlen(log), tail = sizeof(CCEL_DATA) - 1;
	char path[PATH_MAX];
	bool simulated;
	int r;

	if (len < tail || strcmp(log + len - tail, CCEL_DATA) != 0)
		return CVM_OK;
	r = snprintf(path, sizeof(path), "%.*s" CCEL_TABLE, (int)(len - tail),
	    log);
	if (r < 0 || (size_t)r >= sizeof(path))
		return why_set(why, CVM_E_INVAL, "evidence.ccel", "path",
		    "a shorter one", log);
	r = kernel_log_read(path, &table, &simulated, why);
	/* It proves nothing: where it cannot be had, nothing is lost. */
	if (r != CVM_OK)
		return r == CVM_E_NOMEM ? r : CVM_OK;
	return ccel_table_check(blob_span(&table), log_len, why);
}

static int
add_ccel(struct collector *c, struct evidence *e, struct why *why)
{
	const bool optional = c->policy->has_tpm &&
	    c->policy->log.ccel == CCEL_PRESENT;
	bool simulated = false;
	int r;

	r = (optional ? kernel_log_read : read_log)(c->cfg->evidence.ccel,
	    &e->ccel, &simulated, why);
	if (r == CVM_E_NOT_FOUND && optional) {
		*why = (struct why){ 0 };
		return CVM_OK;
	}
	if (r == CVM_OK)
		r = check_ccel_table(c->cfg->evidence.ccel, e->ccel.len, why);
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
	r = vtpm_quote(c->vtpm, p->bank, p->pcr_sets[0].mask,
	    span(qualifying, sizeof(qualifying)), &e->tpm_quote,
	    &e->tpm_signature, &e->pcrs, why);
	e->simulated |= r == CVM_OK && vtpm_simulated(c->vtpm);
	return r;
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
	    (r = add_event_log(c, &e, reterr_why)) != CVM_OK)
		return r;
	if (policy_reads_ccel(p) && (r = add_ccel(c, &e, reterr_why)) != CVM_OK)
		return r;
	*ret = e;
	memset(&e, 0, sizeof(e));
	return CVM_OK;
}
