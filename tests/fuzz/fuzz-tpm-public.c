/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>

#include "attest/chain.h"
#include "attest/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* TPMT_PUBLIC: what parses has a name, and may become a key. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
	uint8_t name[TPM_NAME_MAX];
	struct tpm_public p;
	struct why why = { 0 };
	size_t len;

	if (tpm_public_parse(span(data, size), &p, &why) != CVM_OK) {
		if (why.expected[0] == '\0')
			abort();
		return 0;
	}
	if (tpm_name(span(data, size), name, &len) == CVM_OK &&
	    (len < 22 || len > sizeof(name)))
		abort();
	if ((tpm_public_key(&p, &key) == CVM_OK) != (key != NULL))
		abort();
	return 0;
}
