/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "token/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A recovery code as people type it, and parameters of a seal as they lie in
 * an edited store. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(secret_freep) struct secret *code = NULL, *again = NULL;
	_cleanup_(freep) char *text = strndup((const char *)data, size);
	struct store_seal s = { .kind = SEAL_TPM, .label = text };
	char typed[RECOVERY_TEXT_MAX];
	struct seal_tpm p;

	if (text == NULL)
		return 0;
	if (recovery_decode(text, &code, /* reterr_why= */ NULL) == CVM_OK &&
	    (recovery_encode(code, typed, sizeof(typed)) != CVM_OK ||
		recovery_decode(typed, &again, NULL) != CVM_OK ||
		!span_equal(secret_span(code), secret_span(again))))
		abort();
	s.label = typed;
	strcpy(typed, "current");
	if (blob_set(&s.params, span(data, size)) == CVM_OK &&
	    seal_tpm_params(&s, &p, /* reterr_why= */ NULL) == CVM_OK &&
	    (p.set.mask == 0 || p.set.mask >> POLICY_PCR_MAX != 0))
		abort();
	blob_clear(&s.params);
	return 0;
}
