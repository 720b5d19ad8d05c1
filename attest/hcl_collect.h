/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_HCL_COLLECT_H
#define ATTEST_HCL_COLLECT_H

#include "attest/tsm.h"
#include "attest/vtpm.h"

/*
 * The paravisor's report over user_data, through the vTPM: the index
 * HCL_USER_DATA_NV is written (and made, where it is not there), and
 * HCL_REPORT_NV is read until its runtime data have user_data, at most
 * timeout_ms. ret->hcl is the report, ret->outblob the SEV-SNP report in it.
 * For TDX there is no quote here, but a TDREPORT, which Azure's metadata
 * service quotes over the network: CVM_E_UNREACHABLE says so.
 */
int hcl_get_report(struct vtpm *t,
    const uint8_t user_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why) _must_check_;

#endif
