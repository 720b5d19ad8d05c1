/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_COLLATERAL_H
#define ATTEST_COLLATERAL_H

#include <stdbool.h>

#include "base/blob.h"
#include "base/crypto.h"

/*
 * Intel's signed JSON: TCB info version 3 and enclave identity version 2, as
 * the Provisioning Certification Service (PCS) API version 4 answers. Numbers
 * are range-checked, never cut; names that appear twice, component lists that
 * are not of 16, levels that cannot be told apart and unknown words for a
 * status are refused. Members that this version does not know are passed over:
 * they are signed, and Intel adds some without a new version.
 */
#define TCB_COMPONENTS 16
#define TCB_LEVELS_MAX 128
#define TCB_ADVISORIES_MAX 64
#define TCB_ADVISORY_LEN 32
#define TDX_MODULES_MAX 32
#define TCB_DATE_LEN 21
#define COLLATERAL_SIGNATURE_LEN 64

/* In the words of the PCS; the last three are results only. */
enum tcb_status {
	TCB_UP_TO_DATE,
	TCB_SW_HARDENING_NEEDED,
	TCB_CONFIGURATION_NEEDED,
	TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
	TCB_OUT_OF_DATE,
	TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
	TCB_REVOKED,
	TCB_TD_RELAUNCH_ADVISED,
	TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
	TCB_NOT_SUPPORTED, /* no level matches */
};
const char *tcb_status_name(enum tcb_status s); /* "UpToDate" */

struct tcb_advisories {
	char id[TCB_ADVISORIES_MAX][TCB_ADVISORY_LEN];
	size_t n;
};

struct tcb_level {
	uint8_t sgx[TCB_COMPONENTS], tdx[TCB_COMPONENTS]; /* platform */
	uint16_t pcesvn;				  /* platform */
	uint16_t isvsvn;				  /* module, enclave */
	enum tcb_status status;
	char date[TCB_DATE_LEN]; /* tcbDate, for people */
	struct tcb_advisories advisories;
};

/* Sorted: the highest first, whatever the order of the JSON. */
struct tcb_levels {
	struct tcb_level *v;
	size_t n;
};

struct collateral_head {
	char id[16];
	uint32_t version;
	int64_t issue_date, next_update; /* seconds since the epoch */
	uint32_t evaluation_number;	 /* tcbEvaluationDataNumber */
};

struct tdx_module {
	uint8_t version; /* the NN of "TDX_NN"; 0: the base module */
	uint8_t mrsigner[SHA384_LEN];
	uint8_t attributes[8], attributes_mask[8];
	struct tcb_levels levels; /* empty for the base module */
};

/* Not to be changed: whoever holds a reference frees it. */
struct tcb_info {
	unsigned refs; /* besides the first */
	struct collateral_head head;
	uint32_t tcb_type;
	uint8_t fmspc[6], pceid[2];
	bool has_module; /* only TDX's has one */
	struct tdx_module module;
	struct tdx_module *identities;
	size_t n_identities;
	struct tcb_levels levels;
};

struct qe_identity {
	unsigned refs; /* as above */
	struct collateral_head head;
	uint32_t miscselect, miscselect_mask;
	uint8_t attributes[16], attributes_mask[16];
	uint8_t mrsigner[SHA256_LEN];
	uint16_t isvprodid;
	struct tcb_levels levels;
};

/* A response: {"MEMBER": {...}, "signature": "128 hex digits"}. */
struct signed_json {
	struct span text; /* the exact bytes of the member, which are signed */
	uint8_t signature[COLLATERAL_SIGNATURE_LEN]; /* r || s */
};

/*
 * Finds member and signature in body, without interpreting the member. name
 * is the file's, for messages. The text borrows from body. CVM_E_PARSE.
 */
int signed_json_open(struct span body, const char *name, const char *member,
    struct signed_json *ret, struct why *reterr_why) _must_check_;

/* Parse the text of a member; call them on verified text only. */
int tcb_info_parse(struct span text, const char *name, struct tcb_info **ret,
    struct why *reterr_why) _must_check_;
void tcb_info_freep(struct tcb_info **t);
int qe_identity_parse(struct span text, const char *name,
    struct qe_identity **ret, struct why *reterr_why) _must_check_;
void qe_identity_freep(struct qe_identity **q);

#endif
