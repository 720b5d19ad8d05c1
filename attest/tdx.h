/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_TDX_H
#define ATTEST_TDX_H

#include "attest/appraise.h"

/*
 * An Intel TDX quote of version 4 or 5 (Intel TDX DCAP Quoting Library API,
 * appendix A.3 and A.4). Every span borrows from the bytes that were parsed.
 * Nothing in here is trusted until tdx_appraise() says so.
 */
#define TDX_RTMRS 4
#define TDX_TD10_LEN 584
#define TDX_TD15_LEN 648
#define TDX_TD15EX_LEN 885

enum tdx_body_type {
	TDX_BODY_TD10 = 2,
	TDX_BODY_TD15 = 3,
	TDX_BODY_TD15EX = 4,
};

/* The SGX report of the quoting enclave (QE). */
struct tdx_qe_report {
	struct span bytes; /* what the PCK key signed */
	uint32_t miscselect;
	struct span attributes, mrenclave, mrsigner;
	uint16_t isvprodid, isvsvn;
	bool reserved_zero;
	struct span report_data;
};

struct tdx_quote {
	struct span signed_bytes; /* header, v5 descriptor and TD report */
	uint16_t version;
	enum tdx_body_type body_type;
	struct span user_data;

	/* The TD report. */
	struct span tee_tcb_svn;
	struct span mrseam, mrsignerseam, seam_attributes;
	uint64_t td_attributes, xfam;
	struct span mrtd, mrconfigid, mrowner, mrownerconfig;
	struct span rtmr[TDX_RTMRS];
	struct span report_data;
	struct span tee_tcb_svn2, mrservicetd; /* empty in TD 1.0 */
	/* Of TD 1.5 extended; empty in the others. */
	struct span vmid, td_id, devinfo;
	struct span init_servicetd, curr_servicetd;

	struct span signature, attestation_key;
	struct tdx_qe_report qe;
	struct span qe_signature, qe_auth_data;
	struct span pck_chain; /* PEM: leaf, intermediate, root */
	struct span trailing;  /* what follows the signature data */
};

/*
 * Parses a quote strictly: version, key type, TEE type, QE vendor, body and
 * the nested lengths of the signature data must be as specified. Verifies no
 * signature. CVM_E_PARSE or CVM_E_UNSUPPORTED with *reterr_why.
 */
int tdx_quote_parse(struct span s, struct tdx_quote *ret,
    struct why *reterr_why) _must_check_;

#endif
