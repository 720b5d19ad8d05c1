/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/snp_parts.h"

#define FW_TEXT_MAX 24
#define CHIP_ID_SHORT 8 /* what Turin and later use of it */

bool
snp_tcb_layout_check(struct snp_appraisal *s)
{
	const struct {
		const char *name;
		struct span bytes;
		struct snp_tcb *tcb;
	} all[] = {
		{ "CURRENT_TCB", s->r.current_tcb, &s->current },
		{ "REPORTED_TCB", s->r.reported_tcb, &s->reported },
		{ "COMMITTED_TCB", s->r.committed_tcb, &s->committed },
		{ "LAUNCH_TCB", s->r.launch_tcb, &s->launch },
	};
	char hex[2 * SNP_TCB_LEN + 1];

	for (size_t i = 0; i < NELEMS(all); i++)
		if (snp_tcb_decode(all[i].bytes, s->product, all[i].tcb) !=
		    CVM_OK)
			return verdict_fail(s->v, CHECK_SNP_13,
			    "reserved bytes of zero", "%s %s on %s",
			    all[i].name,
			    hex_encode(all[i].bytes, hex, sizeof(hex)),
			    snp_product_name(s->product));
	return verdict_pass(s->v, CHECK_SNP_13);
}

/* a at least b (or equal to it), both shown when not. */
static bool
compare(struct snp_appraisal *s, enum check_id id, const struct snp_tcb *a,
    const char *relation, const struct snp_tcb *b, bool ok)
{
	char got[SNP_TCB_TEXT_MAX], want[SNP_TCB_TEXT_MAX];
	char expected[SNP_TCB_TEXT_MAX + 32];

	(void)snprintf(expected, sizeof(expected), "%s %s", relation,
	    snp_tcb_text(b, s->product, want));
	return verdict_check(s->v, id, ok, expected, "%s",
	    snp_tcb_text(a, s->product, got));
}

/* The V*EK is derived from REPORTED_TCB: another TCB is another key. */
static bool
check_vek_tcb(struct snp_appraisal *s)
{
	struct snp_tcb t;

	if (snp_ext_tcb(s->vek, s->product, &t) != CVM_OK)
		return verdict_fail(s->v, CHECK_SNP_19,
		    "the structVersion of this line, and one SVN extension for "
		    "each component",
		    "another structVersion, or one missing, repeated or "
		    "malformed");
	return compare(s, CHECK_SNP_19, &t, "REPORTED_TCB:", &s->reported,
	    snp_tcb_equal(&t, &s->reported));
}

static bool
hwid_is_chip(struct span hwid, struct span chip_id)
{
	struct span head = { chip_id.data, CHIP_ID_SHORT };
	struct span tail = { &chip_id.data[CHIP_ID_SHORT],
		chip_id.len - CHIP_ID_SHORT };

	if (hwid.len == chip_id.len)
		return span_equal(hwid, chip_id);
	return span_equal(hwid, head) && span_is_filled(tail, 0);
}

static bool
check_vcek_chip(struct snp_appraisal *s, bool masked)
{
	char want[2 * 64 + 1], got[2 * 64 + 1];
	char expected[CHECK_VALUE_MAX];
	struct span hwid;
	size_t len = snp_is_since_turin(s->product) ? CHIP_ID_SHORT : 64;

	if (snp_ext_hwid(s->vek, &hwid) != CVM_OK || hwid.len != len)
		return verdict_fail(s->v, CHECK_SNP_20,
		    "one hwID of the right length",
		    "missing, repeated or malformed");
	if (masked)
		return verdict_pass_value(s->v, CHECK_SNP_20,
		    "CHIP_ID is masked");
	(void)snprintf(expected, sizeof(expected),
	    "CHIP_ID %s, the report's; no field admits another",
	    hex_encode(s->r.chip_id, want, sizeof(want)));
	return verdict_check(s->v, CHECK_SNP_20,
	    hwid_is_chip(hwid, s->r.chip_id), expected, "hwID %s",
	    hex_encode(hwid, got, sizeof(got)));
}

static bool
check_chip(struct snp_appraisal *s)
{
	bool masked = span_is_filled(s->r.chip_id, 0);
	struct span hwid;

	if (masked && !s->p->masked_chip_id)
		return verdict_fail(s->v, CHECK_SNP_20,
		    "a CHIP_ID, as snp.masked_chip_id is false",
		    "a masked one, all zero");
	if (!s->vlek)
		return check_vcek_chip(s, masked);
	return verdict_check(s->v, CHECK_SNP_20,
	    snp_ext_hwid(s->vek, &hwid) == CVM_E_NOT_FOUND,
	    "a VLEK without hwID", "a VLEK: the chip is not named");
}

static bool
check_csp(struct snp_appraisal *s)
{
	const struct string_list *l = &s->p->csp_id;
	struct span id = { 0 };
	int r = snp_ext_csp_id(s->vek, &id);

	if (!s->vlek)
		return r == CVM_E_NOT_FOUND ?
		    verdict_skip(s->v, CHECK_SNP_21,
			"a VCEK: no provider holds it") :
		    verdict_fail(s->v, CHECK_SNP_21, "a VCEK without CSP_ID",
			"one with it");
	if (r != CVM_OK)
		return verdict_fail(s->v, CHECK_SNP_21, "one CSP_ID",
		    "missing, repeated or malformed");
	for (size_t i = 0; i < l->n; i++)
		if (span_equal(id, span(l->v[i], strlen(l->v[i]))))
			return verdict_pass_value(s->v, CHECK_SNP_21, "%.*s",
			    (int)id.len, (const char *)id.data);
	return verdict_fail(s->v, CHECK_SNP_21,
	    l->n > 0 ? l->v[0] : "a provider that the policy names", "%.*s",
	    (int)id.len, (const char *)id.data);
}

static uint32_t
fw_number(const struct snp_firmware *f)
{
	return (uint32_t)f->major << 16 | (uint32_t)f->minor << 8 | f->build;
}

static const char *
fw_text(const struct snp_firmware *f, char buf[static FW_TEXT_MAX])
{
	(void)snprintf(buf, FW_TEXT_MAX, "%u.%u.%u", f->major, f->minor,
	    f->build);
	return buf;
}

/*
 * Firmware above the committed one can be rolled back by the host at any time
 * (56860 section 3.3): then the TCB in this report promises nothing.
 */
static bool
check_committed(struct snp_appraisal *s)
{
	const struct snp_firmware *cur = &s->r.current, *com = &s->r.committed;
	char a[FW_TEXT_MAX], b[FW_TEXT_MAX];
	char ct[SNP_TCB_TEXT_MAX], mt[SNP_TCB_TEXT_MAX];
	char expected[SNP_TCB_TEXT_MAX + 64];
	bool ordered = snp_tcb_at_least(&s->current, &s->committed) &&
	    fw_number(cur) >= fw_number(com);
	bool equal = snp_tcb_equal(&s->current, &s->committed) &&
	    fw_number(cur) == fw_number(com);

	(void)snprintf(expected, sizeof(expected),
	    "CURRENT %s COMMITTED: %s, firmware %s",
	    s->p->provisional_firmware ? "not below" : "equal to",
	    snp_tcb_text(&s->committed, s->product, mt), fw_text(com, b));
	return verdict_check(s->v, CHECK_SNP_23,
	    ordered && (equal || s->p->provisional_firmware), expected,
	    "%s, firmware %s", snp_tcb_text(&s->current, s->product, ct),
	    fw_text(cur, a));
}

static bool
check_min_firmware(struct snp_appraisal *s)
{
	const uint32_t *m = s->p->min_firmware;
	uint64_t min = (uint64_t)m[0] << 16 | (uint64_t)m[1] << 8 | m[2];
	char a[FW_TEXT_MAX], b[FW_TEXT_MAX], expected[48];

	if (min == 0)
		return verdict_skip(s->v, CHECK_SNP_26, "not asked for");
	(void)snprintf(expected, sizeof(expected), "at least %u.%u.%u", m[0],
	    m[1], m[2]);
	return verdict_check(s->v, CHECK_SNP_26,
	    m[0] <= 255 && m[1] <= 255 && m[2] <= 255 &&
		fw_number(&s->r.current) >= min &&
		fw_number(&s->r.committed) >= min,
	    expected, "current %s, committed %s", fw_text(&s->r.current, a),
	    fw_text(&s->r.committed, b));
}

/* Reports before version 5 do not say: then nothing required is active. */
static bool
check_mitigations(struct snp_appraisal *s)
{
	uint64_t need = s->p->mitigations;
	char expected[64];

	if (need == 0)
		return verdict_skip(s->v, CHECK_SNP_27, "not asked for");
	(void)snprintf(expected, sizeof(expected),
	    "bits 0x%llx in both vectors", (unsigned long long)need);
	return verdict_check(s->v, CHECK_SNP_27,
	    (s->r.launch_mit & need) == need &&
		(s->r.current_mit & need) == need,
	    expected, "launch 0x%llx, current 0x%llx%s",
	    (unsigned long long)s->r.launch_mit,
	    (unsigned long long)s->r.current_mit,
	    s->r.version < SNP_VERSION_MIT ? " (report too old to tell)" : "");
}

bool
snp_platform_checks(struct snp_appraisal *s)
{
	bool ok = true;

	ok &= check_vek_tcb(s);
	ok &= check_chip(s);
	ok &= check_csp(s);
	ok &= compare(s, CHECK_SNP_22, &s->reported,
	    "at most CURRENT_TCB:", &s->current,
	    snp_tcb_at_least(&s->current, &s->reported));
	ok &= check_committed(s);
	ok &= compare(s, CHECK_SNP_24, &s->reported, "at least", &s->p->min_tcb,
	    snp_tcb_at_least(&s->reported, &s->p->min_tcb));
	ok &= compare(s, CHECK_SNP_25, &s->launch, "at least",
	    &s->p->min_launch_tcb,
	    snp_tcb_at_least(&s->launch, &s->p->min_launch_tcb));
	/* What the host can go back to, where provisional firmware may run. */
	ok &= compare(s, CHECK_SNP_63, &s->committed, "at least",
	    &s->p->min_committed_tcb,
	    snp_tcb_at_least(&s->committed, &s->p->min_committed_tcb));
	ok &= check_min_firmware(s);
	ok &= check_mitigations(s);
	return ok;
}
