/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_TPM_PARTS_H
#define ATTEST_TPM_PARTS_H

#include "attest/quote.h"

/* What tpm_appraise.c and tpm_trust.c share: one appraisal of a quote whose
 * structures parsed. */
struct tpm_case {
	const struct appraisal *a;
	const struct policy_tpm *policy;
	struct verdict *v;
	struct appraisal_facts *facts;
	struct tpm_quote quote;
	struct tpm_public public;
	struct verifier *key;
	uint8_t name[TPM_NAME_MAX];
	size_t name_len;
	enum hash_alg hash; /* of the verified signature */
};

/* TPM-02 and TPM-03: what kind of key it is. */
bool tpm_key_appraise(struct tpm_case *c);
/* TPM-05 to TPM-11: whose key it is, in the way that the policy takes. */
bool tpm_trust_appraise(struct tpm_case *c);

#endif
