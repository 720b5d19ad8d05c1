/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_HCL_H
#define ATTEST_HCL_H

#include "attest/appraise.h"

/*
 * The report of Azure's paravisor (HCL), which runs inside of the TEE, above
 * the guest, and has the vTPM: a TEE report, and the runtime data whose hash is
 * its REPORT_DATA. The runtime data name the vTPM's attestation key and 64
 * bytes that the guest chose. It is read from NV index HCL_REPORT_NV, and made
 * anew when HCL_USER_DATA_NV is written.
 */
#define HCL_REPORT_NV 0x01400001
#define HCL_USER_DATA_NV 0x01400002
#define HCL_REPORT_MAX 4096
#define HCL_TDREPORT_LEN 1024
#define HCL_KEY_MAX 512 /* bytes of a modulus */
#define HCL_VM_ID_MAX 64

enum hcl_type { HCL_SNP = 2, HCL_TDX = 4 };

/* Spans borrow from the bytes that were parsed. */
struct hcl_report {
	uint32_t version; /* 1, 2 */
	enum hcl_type type;
	/* SNP report of 1184 bytes, or TDREPORT of 1024. */
	struct span hardware;
	struct span report_data; /* in it: 64 bytes */
	enum hash_alg alg;	 /* of the runtime data, in report_data */
	struct span runtime;	 /* JSON */
};

/*
 * Parses strictly: magic, sizes, known types, zero wherever nothing is. The
 * index is longer than the report, and filled up with zero. Nothing is
 * verified. CVM_E_PARSE or CVM_E_UNSUPPORTED with *reterr_why.
 */
int hcl_report_parse(struct span bytes, struct hcl_report *ret,
    struct why *reterr_why) _must_check_;

/* What REPORT_DATA has to be: the hash of the runtime data, and zero. */
int hcl_report_data(const struct hcl_report *r,
    uint8_t out[static REPORT_DATA_LEN]) _must_check_;

enum hcl_flag { HCL_NOT_SAID, HCL_NO, HCL_YES };

/* What the runtime data say. */
struct hcl_runtime {
	uint8_t modulus[HCL_KEY_MAX]; /* of the key HCLAkPub, RSA */
	size_t modulus_len;
	uint32_t exponent;
	bool has_user_data;
	uint8_t user_data[REPORT_DATA_LEN];
	enum hcl_flag secure_boot, console; /* of "vm-configuration" */
	char vm_id[HCL_VM_ID_MAX + 1];	    /* "" when not said */
};

/* Strict JSON with exactly one key HCLAkPub, for RSA signatures; members that
 * are not known here are passed over: the paravisor adds some. */
int hcl_runtime_parse(struct span json, struct hcl_runtime *ret,
    struct why *reterr_why) _must_check_;

/* What the guest chose, as the evidence's HCL report has it: CVM_E_NOT_FOUND
 * when there is none. For this span's bytes HCL-04 must hold as well. */
int hcl_user_data(const struct evidence *e,
    uint8_t out[static REPORT_DATA_LEN]) _must_check_;

#endif
