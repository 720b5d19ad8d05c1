/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/hcl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The paravisor's report, and the JSON in it, or alone. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t report_data[REPORT_DATA_LEN];
	struct hcl_runtime runtime;
	struct hcl_report report;

	(void)!hcl_runtime_parse(span(data, size), &runtime, NULL);
	if (hcl_report_parse(span(data, size), &report, NULL) != CVM_OK)
		return 0;
	if (report.report_data.len != REPORT_DATA_LEN ||
	    report.runtime.len == 0 ||
	    hcl_report_data(&report, report_data) != CVM_OK)
		__builtin_trap();
	if (hcl_runtime_parse(report.runtime, &runtime, NULL) == CVM_OK &&
	    (runtime.modulus_len == 0 || runtime.modulus[0] == 0))
		__builtin_trap();
	return 0;
}
