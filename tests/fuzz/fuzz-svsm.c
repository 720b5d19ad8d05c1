/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>
#include <string.h>

#include "attest/credential.h"
#include "attest/svsm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * An SVSM's service manifest. No list of the policy has its key, so that it is
 * refused in the end; by a check that says what it wants.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct verdict v;
	static const uint8_t nonce[REPORT_DATA_LEN];
	uint8_t name[TPM_NAME_MAX] = { 0 }, over[REPORT_DATA_LEN];
	struct blob listed = { name, 34 };
	struct policy policy = { .tpm.ak_trust = AK_TRUST_SVSM,
		.tpm.eks = { &listed, 1 } };
	struct evidence e = { .ak_activated = size % 2 != 0 };
	const struct appraisal a = { .policy = &policy, .evidence = &e };
	struct tpm_public ek;

	if (size > SVSM_MANIFEST_MAX ||
	    blob_set(&e.svsm_manifest, span(data, size)) != CVM_OK)
		return 0;
	verdict_init(&v, GROUP_SVSM);
	if (svsm_appraise(&a, &v))
		abort();
	verdict_finish(&v);
	if (v.admit)
		abort();
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (v.results[i].status == CHECK_FAIL &&
		    v.results[i].expected[0] == '\0')
			abort();
	if (v.results[CHECK_SVSM_01].status == CHECK_PASS &&
	    (tpm_public_parse(span(data, size), &ek, NULL) != CVM_OK ||
		!endorsement_key_fits(&ek)))
		abort();
	(void)!svsm_report_data(nonce, span(data, size), over);
	evidence_clear(&e);
	return 0;
}
