/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_UPKEEP_H
#define ATTEST_UPKEEP_H

#include "attest/snp_parts.h"
#include "attest/tdx_parts.h"

/*
 * Upkeep of endorsements: which files the evidence of a machine needs, and
 * whether each is good at a time. They are judged by the rules of the
 * appraisal, with one exception: a CRL that revokes what this machine uses is
 * a good CRL, and the certificate that it revokes is not.
 */
#define UPKEEP_NAME_MAX SNP_VEK_NAME_MAX
#define UPKEEP_ABOUT_MAX 224
#define UPKEEP_URL_MAX 512

enum upkeep_id {
	UPKEEP_ARK,
	UPKEEP_ASK,
	UPKEEP_CRL_VCEK,
	UPKEEP_ASVK,
	UPKEEP_CRL_VLEK,
	UPKEEP_VEK,
	UPKEEP_ROOT_CRL,
	UPKEEP_PCK_CRL,
	UPKEEP_PCK_CRL_CHAIN,
	UPKEEP_TCB_INFO,
	UPKEEP_TCB_INFO_CHAIN,
	UPKEEP_QE_IDENTITY,
	UPKEEP_QE_IDENTITY_CHAIN,
	UPKEEP_LAUNCH,
	UPKEEP_AK_CRL,
	UPKEEP_AK_CA_CRL,
	UPKEEP_COUNT
};

struct upkeep_file {
	bool wanted;		    /* by this machine and its policy */
	char name[UPKEEP_NAME_MAX]; /* below the directory */
	/* What upkeep_judge() found. */
	bool present;
	char about[UPKEEP_ABOUT_MAX]; /* subject, issuer or FMSPC */
	int64_t issued, expires;      /* 0: not known */
	struct why why;		      /* err is CVM_OK for a good one */
};

/* Owned by upkeep_clear(); spans borrow from the report. */
struct upkeep {
	enum tee_kind tee; /* TEE_SNP or TEE_TDX */
	const struct policy *policy;
	struct upkeep_file file[UPKEEP_COUNT];
	/* SNP */
	struct snp_report snp;
	enum snp_product product;
	struct snp_tcb tcb; /* REPORTED_TCB */
	/* TDX */
	struct tdx_run run; /* quote, PCK chain and its extension */
	bool processor_ca;
	/* The attestation key's certificate, where there is one and the policy
	 * asks for CRLs of its issuers: of its own, and of the one above. */
	struct span ak_cert;
	char ak_url[2][UPKEEP_URL_MAX]; /* of the two, as certificates say */
};

extern const char *const upkeep_kinds[UPKEEP_COUNT]; /* "CRL" */

/*
 * What a report needs: a raw SNP report or a TDX quote, aux its certificate
 * table (may be empty). product is what the caller knows of the line, 0 for
 * nothing. policy may be NULL: vendors' roots, and what the report itself
 * needs. It borrows both. A TDX quote must have a PCK chain that is valid at
 * now. CVM_E_UNSUPPORTED for evidence of another kind.
 */
int upkeep_init(struct span report, struct span aux,
    const struct policy *policy, enum snp_product product, int64_t now,
    struct upkeep *ret, struct why *reterr_why) _must_check_;
void upkeep_clear(struct upkeep *u);
/* The same without a TEE: what the TPM needs, once u->ak_cert is set. */
void upkeep_init_tpm(struct upkeep *u, const struct policy *policy);
/* The same without a report: the CAs and CRLs of a product line of AMD's. */
void upkeep_init_line(struct upkeep *u, enum snp_product line,
    const struct policy *policy);

/* Judges every wanted file among e, at now. */
void upkeep_judge(struct upkeep *u, const struct endorsements *e, int64_t now);

/* For the parts in upkeep_snp.c and upkeep_tdx.c. */
int upkeep_init_snp(struct upkeep *u, struct span report, struct span aux,
    enum snp_product product, struct why *reterr_why) _must_check_;
int upkeep_init_tdx(struct upkeep *u, struct span report, int64_t now,
    struct why *reterr_why) _must_check_;
void upkeep_judge_snp(struct upkeep *u, const struct endorsements *e,
    int64_t now);
void upkeep_judge_tdx(struct upkeep *u, const struct endorsements *e,
    int64_t now);
void upkeep_want(struct upkeep *u, enum upkeep_id id, const char *fmt, ...)
    _printf_(3, 4);
/* Google's endorsement of a measurement, where the policy asks for one and the
 * host does not carry it. */
void upkeep_want_launch(struct upkeep *u, const struct policy_launch *p,
    struct span measurement, struct span carried);
void upkeep_judge_launch(struct upkeep *u, const struct endorsements *e,
    int64_t now);
void upkeep_judge_ak(struct upkeep *u, const struct endorsements *e,
    int64_t now);
/* Whether the file is there, and nothing more. */
void upkeep_look(struct upkeep *u, enum upkeep_id id,
    const struct endorsements *e);
/* Dates and subject of a certificate, dates and issuer of a CRL. */
void upkeep_note_cert(struct upkeep_file *f, const struct cert *x);
void upkeep_note_crl(struct upkeep_file *f, const struct crl *crl);

#endif
