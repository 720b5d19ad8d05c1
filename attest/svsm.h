/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_SVSM_H
#define ATTEST_SVSM_H

#include "attest/appraise.h"

/*
 * An SVSM runs inside of the TEE at VMPL 0, above the guest, and has the vTPM
 * (AMD 58019, section 7). Its report is over the guest's nonce and a service
 * manifest, which for this service, in version 0, is the TPMT_PUBLIC of the
 * vTPM's endorsement key.
 */
#define SVSM_VTPM_GUID "c476f1eb-0123-45a5-9641-b4e7dde5bfe3"
#define SVSM_MANIFEST_VERSION "0"
#define SVSM_MANIFEST_MAX 4096

/* REPORT_DATA over nonce and manifest. */
int svsm_report_data(const uint8_t nonce[static REPORT_DATA_LEN],
    struct span manifest, uint8_t out[static REPORT_DATA_LEN]) _must_check_;

/* SVSM-01 to SVSM-03. */
bool svsm_appraise(const struct appraisal *a, struct verdict *v);

#endif
