/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/snp_parts.h"

#define ALGO_ECDSA_P384_SHA384 1

static void
appraisal_clear(struct snp_appraisal *s)
{
	cert_freep(&s->vek);
	cert_freep(&s->ask);
	cert_freep(&s->ark);
}

/* SNP-01, SNP-02. */
static bool
parse(struct snp_appraisal *s)
{
	const char *fault = NULL;
	struct why why = { 0 };
	int r = snp_report_read(blob_span(&s->a->evidence->tee_report), &s->r,
	    &fault, &why);

	if (!verdict_from_why(s->v, CHECK_SNP_01, r, &why))
		return false;
	(void)verdict_check(s->v, CHECK_SNP_02, fault == NULL, "zero",
	    "%s not zero", fault != NULL ? fault : "nothing");
	return true;
}

/* The signing key that SIGNER_INFO names; the certificate must follow it, and
 * not the other way around. */
static bool
check_signer(struct snp_appraisal *s)
{
	enum snp_signing_key key = snp_report_key(&s->r);
	uint32_t info = s->r.signer_info;
	bool known = key == SNP_KEY_VCEK || key == SNP_KEY_VLEK;
	bool masked = key == SNP_KEY_VCEK &&
	    (info & SNP_SIGNER_MASK_CHIP_KEY) != 0;

	s->vlek = key == SNP_KEY_VLEK;
	if (!verdict_check(s->v, CHECK_SNP_06,
		known && !masked && (info & SNP_SIGNER_RESERVED) == 0,
		"SIGNING_KEY 0 (VCEK, not masked) or 1 (VLEK), the rest zero",
		"SIGNER_INFO 0x%x: SIGNING_KEY %d%s", info, (int)key,
		masked ? ", MASK_CHIP_KEY" : ""))
		return false;
	(void)verdict_check(s->v, CHECK_SNP_07,
	    s->vlek ? s->p->allow_vlek : s->p->allow_vcek,
	    s->vlek ? "a VCEK" : "a VLEK", "a %s", s->vlek ? "VLEK" : "VCEK");
	return true;
}

/* SNP-03 to SNP-08. */
static bool
check_structure(struct snp_appraisal *s)
{
	struct why why = { 0 };
	int r;

	(void)verdict_check(s->v, CHECK_SNP_03,
	    s->r.signature_algo == ALGO_ECDSA_P384_SHA384, "1", "%u",
	    s->r.signature_algo);
	(void)verdict_check(s->v, CHECK_SNP_04,
	    (s->r.policy & SNP_POLICY_ONE) != 0 &&
		(s->r.policy & SNP_POLICY_RESERVED) == 0,
	    "bit 17 set, bits 26 to 63 clear", "0x%llx",
	    (unsigned long long)s->r.policy);
	(void)verdict_check(s->v, CHECK_SNP_05,
	    (s->r.platform_info & SNP_PLATFORM_RESERVED) == 0,
	    "bits 0 to 7 only", "0x%llx",
	    (unsigned long long)s->r.platform_info);
	r = snp_certs_parse(blob_span(&s->a->evidence->tee_aux), &s->certs,
	    &why);
	(void)verdict_from_why(s->v, CHECK_SNP_08, r, &why);
	return check_signer(s);
}

/*
 * The line comes from the signed CPUID fields; reports of version 2 have none
 * (and lines since Turin never made one): there it is what the certificate's
 * issuer says, which the chain to that line's own root proves.
 */
static bool
check_product(struct snp_appraisal *s)
{
	if (s->r.version >= SNP_VERSION_CPUID) {
		s->product = snp_report_product(&s->r);
	} else {
		s->product = snp_vek_product(s->vek, s->vlek);
		if (snp_is_since_turin(s->product))
			s->product = (enum snp_product)0;
	}
	return verdict_check(s->v, CHECK_SNP_12,
	    s->product != 0 && (s->p->products & s->product) != 0,
	    "a line that the policy names", "%s (family 0x%x, model 0x%x)",
	    snp_product_name(s->product), s->r.family, s->r.model);
}

bool
snp_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(appraisal_clear) struct snp_appraisal s = { .a = a,
		.p = &a->policy->snp,
		.v = v,
		.facts = facts };
	bool ok;

	if (!parse(&s))
		return false;
	ok = check_structure(&s);
	/* The operator wants to know all that is wrong, not the first only. */
	(void)snp_value_checks(&s);
	if (!ok || !snp_vek_checks(&s))
		return false;
	(void)check_product(&s);
	if (s.product == 0)
		return false;
	(void)snp_vek_names_check(&s);
	ok = snp_chain_checks(&s);
	if (!snp_tcb_layout_check(&s))
		return false;
	(void)snp_platform_checks(&s);
	return ok;
}
