/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>

#include "attest/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A bundle that parses is judged, and denied: no policy accepts any. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum tee_kind tees[] = { TEE_SNP, TEE_TDX };
	_cleanup_(bundle_freep) struct bundle *b = NULL;
	static struct verdict v;
	struct why why = { 0 };
	int r = bundle_parse(span(data, size), "fuzz", &b, &why);

	if (r != CVM_OK) {
		if (b != NULL || why.err != r)
			abort();
		return 0;
	}
	for (size_t i = 0; i < NELEMS(tees); i++) {
		struct policy p = { .tee = tees[i],
			.has_tpm = tees[i] == TEE_SNP };

		p.log.present = true;
		r = bundle_appraise(b, &p, NULL, span(NULL, 0), b->time, true,
		    &v, &why);
		if (r == CVM_OK ? v.admit : why.err != r)
			abort();
	}
	return 0;
}
