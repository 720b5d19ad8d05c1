/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/tdx_parts.h"

/* SHA-256 of the SubjectPublicKeyInfo of "Intel SGX Root CA", whose
 * certificate has the SHA-256 44a0196b2b99f889b8e149e95b807a35
 * 0e7424964399e885a7cbb8ccfab674d3. */
static const uint8_t intel_root_spki[SHA256_LEN] = { 0xa0, 0xaf, 0x03, 0x12,
	0x89, 0xf5, 0xd5, 0xd4, 0x13, 0x2f, 0x91, 0x86, 0x06, 0x8a, 0x7f, 0xc1,
	0x36, 0x28, 0x63, 0x3b, 0xa2, 0x35, 0x77, 0x74, 0x72, 0xe2, 0x9b, 0x6b,
	0x6c, 0x67, 0xa4, 0x9e };

/* The policy's roots and no other, or the built-in one. */
void
tdx_set_pins(struct tdx_run *run)
{
	if (run->policy->roots.n > 0) {
		run->pins = run->policy->roots;
		return;
	}
	memcpy(run->own_pin_bytes, intel_root_spki, SHA256_LEN);
	run->own_pin = (struct blob){ run->own_pin_bytes, SHA256_LEN };
	run->pins = (struct value_list){ &run->own_pin, 1 };
}

void
tdx_run_clear(struct tdx_run *run)
{
	intel_chain_clear(&run->pck);
	crl_freep(&run->root_crl);
	crl_freep(&run->pck_crl);
	tcb_info_freep(&run->tcb_info);
	qe_identity_freep(&run->qe_identity);
}

bool
tdx_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(tdx_run_clear) struct tdx_run run = { .a = a,
		.policy = &a->policy->tdx,
		.v = v };
	bool ok;

	facts_init(&run.facts);
	tdx_set_pins(&run);
	/* What the quote says counts only once it is known to be genuine. */
	if (!tdx_check_format(&run) || !tdx_check_pck(&run) ||
	    !tdx_check_signatures(&run))
		return false;
	/* From here on a refusal does not hide the next: people fix all. */
	ok = tdx_check_platform(&run);
	ok &= tdx_check_td(&run);
	ok &= tdx_check_crls(&run);
	ok &= tdx_check_collateral(&run) && tdx_check_tcb(&run);
	if (facts != NULL) {
		facts_narrow(facts, run.facts.valid_from,
		    run.facts.valid_until);
		facts_newer(facts, run.facts.newest_time);
		(void)seen_merge(&facts->seen, &run.facts.seen);
	}
	return ok;
}
