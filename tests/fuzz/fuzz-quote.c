/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>

#include "attest/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One byte tells what the rest is: TPMS_ATTEST or TPMT_SIGNATURE. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tpm_quote q;
	struct why why = { 0 };
	enum hash_alg alg;
	struct span rest;

	if (size == 0)
		return 0;
	rest = span(&data[1], size - 1);
	if (data[0] & 1) {
		if (signature_hash(rest, &alg, &why) != CVM_OK &&
		    why.expected[0] == '\0')
			abort();
		return 0;
	}
	if (quote_parse(rest, &q, &why) != CVM_OK) {
		if (why.field[0] == '\0' || why.expected[0] == '\0')
			abort();
		return 0;
	}
	if (q.pcr_mask >> POLICY_PCR_MAX != 0 || q.extra_data.len > 66 ||
	    q.pcr_digest.len > HASH_LEN_MAX ||
	    q.qualified_signer.len > TPM_NAME_MAX)
		abort();
	return 0;
}
