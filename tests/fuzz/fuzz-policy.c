/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>

#include "conf/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	struct why why = { 0 };
	int err = policy_parse(span(data, size), "fuzz.json", &p, &why);

	if (err != CVM_OK) {
		if (p != NULL || why.err != err || why.expected[0] == '\0')
			abort();
		return 0;
	}
	/* No policy that is accepted accepts everything. */
	if ((p->tee == TEE_SNP && p->snp.measurement.n == 0 &&
		p->snp.launch.roots.n == 0) ||
	    (p->tee == TEE_TDX && p->tdx.mrtd.n == 0 &&
		p->tdx.launch.roots.n == 0) ||
	    (p->has_tpm && p->tpm.pcr_sets[0].mask == 0) ||
	    (!p->has_tpm && p->tee != TEE_SNP && p->tee != TEE_TDX))
		abort();
	(void)policy_warnings(p, /* say= */ NULL, /* arg= */ NULL);
	return 0;
}
