/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>

#include "attest/launch.h"

/* Google's launch endorsement: attest/launch.h. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct launch_endorsement e = { 0 };
	struct why why = { 0 };
	int r = launch_parse(span(data, size), &e, &why);

	if (r != CVM_OK && why.expected[0] == '\0')
		abort(); /* a refusal that says nothing */
	if (r == CVM_OK &&
	    (e.golden.len == 0 || e.snp.n > LAUNCH_VALUES_MAX ||
		e.tdx.n > LAUNCH_VALUES_MAX))
		abort();
	for (size_t i = 0; r == CVM_OK && i < e.snp.n; i++)
		if (e.snp.value[i].measurement.len != SHA384_LEN)
			abort();
	return 0;
}
