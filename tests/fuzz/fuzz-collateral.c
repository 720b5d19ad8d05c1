/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>

#include "attest/collateral.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Envelope, then what is in it, and the same bytes without an envelope. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const members[] = { "tcbInfo", "enclaveIdentity" };
	struct span whole = span(data, size);
	struct span texts[3] = { whole };
	struct signed_json json;
	size_t n = 1;

	for (size_t i = 0; i < NELEMS(members); i++)
		if (signed_json_open(whole, "seed", members[i], &json, NULL) ==
		    CVM_OK)
			texts[n++] = json.text;
	for (size_t i = 0; i < n; i++) {
		struct tcb_info *t = NULL;
		struct qe_identity *q = NULL;
		struct why why;

		(void)tcb_info_parse(texts[i], "seed", &t, &why);
		(void)qe_identity_parse(texts[i], "seed", &q, &why);
		tcb_info_freep(&t);
		qe_identity_freep(&q);
	}
	return 0;
}
