/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/tdx_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A whole appraisal whose policy trusts the root that the quote brings. There
 * is no collateral, so nothing may be admitted. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blob pin = { 0 };
	struct policy policy = { .tee = TEE_TDX, .tdx.roots = { &pin, 1 } };
	_cleanup_(evidence_clear) struct evidence e = { .tee = TEE_TDX };
	_cleanup_(intel_chain_clear) struct intel_chain chain = { 0 };
	struct appraisal a = { .policy = &policy,
		.evidence = &e,
		.now = INT64_C(1780000000) };
	struct appraisal_facts facts = { 0 };
	struct sgx_extension x;
	struct tdx_quote q;
	struct verdict v;

	if (blob_set(&e.tee_report, span(data, size)) < 0)
		return 0;
	if (tdx_quote_parse(span(data, size), &q, NULL) == CVM_OK &&
	    intel_chain_load(q.pck_chain, "", 3, &chain, NULL) == CVM_OK)
		pin = (struct blob){ chain.cert[2]->spki_digest, SHA256_LEN };
	verdict_init(&v, GROUP_TDX);
	if (tdx_appraise(&a, &v, &facts))
		__builtin_trap();
	(void)sgx_extension_parse(span(data, size), &x, NULL);
	return 0;
}
