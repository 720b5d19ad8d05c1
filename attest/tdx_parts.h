/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_TDX_PARTS_H
#define ATTEST_TDX_PARTS_H

#include "attest/chain_cache.h"
#include "attest/collateral.h"
#include "attest/tdx.h"

/* What the files of the TDX verifier share; nobody else includes it. */

/* A chain of Intel's, leaf first, root last. */
#define INTEL_CHAIN_MAX 3

struct intel_chain {
	struct cert *cert[INTEL_CHAIN_MAX];
	size_t n;
};

enum flag { FLAG_NOT_REPORTED, FLAG_CLEAR, FLAG_SET };

/* The SGX extension of a PCK certificate (Intel SGX PCK Certificate and CRL
 * Profile Specification, section 3.5). */
struct sgx_extension {
	uint8_t ppid[16];
	uint8_t components[TCB_COMPONENTS];
	uint16_t pcesvn;
	uint8_t cpusvn[16];
	uint8_t pceid[2];
	uint8_t fmspc[6];
	uint8_t type;
	bool has_platform_instance_id;
	uint8_t platform_instance_id[16];
	enum flag dynamic_platform, cached_keys, smt;
};

/* One appraisal under way. */
struct tdx_run {
	const struct appraisal *a;
	const struct policy_tdx *policy;
	struct verdict *v;

	struct value_list pins; /* borrows the policy's, or own_pin */
	struct blob own_pin;
	uint8_t own_pin_bytes[SHA256_LEN];

	struct tdx_quote quote;
	struct intel_chain pck;
	struct sgx_extension sgx;
	struct crl *root_crl, *pck_crl;
	struct tcb_info *tcb_info;
	struct qe_identity *qe_identity;
	struct appraisal_facts facts; /* newest_time and validity only */
};

/* tdx.c: the roots of run->policy, or Intel's own, to run->pins. */
void tdx_set_pins(struct tdx_run *run);
void tdx_run_clear(struct tdx_run *run);

/* The steps, in order. Each decides its checks and returns false when what
 * follows makes no sense without it. */
bool tdx_check_format(struct tdx_run *run);	/* tdx_quote.c */
bool tdx_check_pck(struct tdx_run *run);	/* tdx_pck.c */
bool tdx_check_signatures(struct tdx_run *run); /* tdx_pck.c */
bool tdx_check_crls(struct tdx_run *run);	/* tdx_collateral.c */
bool tdx_check_collateral(struct tdx_run *run); /* tdx_collateral.c */
bool tdx_check_tcb(struct tdx_run *run);	/* tdx_tcb.c */
bool tdx_check_platform(struct tdx_run *run);	/* tdx_td.c */
bool tdx_check_td(struct tdx_run *run);		/* tdx_td.c */

/* tdx_collateral.c: a CRL among the endorsements, in Intel's form and in the
 * name of issuer; its signature is another question. */
int intel_crl_load(const struct tdx_run *run, const char *name,
    const struct cert *issuer, struct crl **ret,
    struct why *reterr_why) _must_check_;
/* The name of the TCB info for the FMSPC of run->sgx. */
#define INTEL_FILE_NAME_MAX 64
void tdx_tcb_info_name(const struct tdx_run *run,
    char name[static INTEL_FILE_NAME_MAX]);
/* tdx_chain.c: exactly n certificates in PEM; name is for messages. */
int intel_chain_load(struct span pem, const char *name, size_t n,
    struct intel_chain *ret, struct why *reterr_why) _must_check_;
/* The same, through what was read before. */
int intel_chain_known(struct parsed *p, struct span pem, const char *name,
    size_t n, struct intel_chain *ret, struct why *reterr_why) _must_check_;
void intel_chain_clear(struct intel_chain *c);
/* Subjects: the common names given, leaf first, and Intel's other names. */
int intel_chain_names(const struct intel_chain *c, const char *const *names,
    struct why *reterr_why) _must_check_;
/* P-256 keys, ecdsa-with-SHA256 signatures, nothing else. */
int intel_chain_algorithms(const struct intel_chain *c,
    struct why *reterr_why) _must_check_;
int intel_chain_pinned(const struct intel_chain *c,
    const struct value_list *pins, struct why *reterr_why) _must_check_;
int intel_chain_dates(const struct intel_chain *c, int64_t now,
    struct why *reterr_why) _must_check_;
/* chain_verify_cached(); n_crls 0 asks for no revocation information.
 * *ret_validity (may be NULL) is when this answer holds. */
int intel_chain_verify(struct tdx_run *run, const struct intel_chain *c,
    struct crl **crls, size_t n_crls, struct chain_validity *ret_validity,
    struct why *reterr_why) _must_check_;
/* "2026-06-08T11:32:35Z" */
#define TDX_TIME_LEN 32
const char *tdx_time_text(int64_t t, char buf[static TDX_TIME_LEN]);
bool intel_name_is(struct span name, const char *common_name);
extern const char intel_root_ca[], intel_platform_ca[], intel_processor_ca[];

/* tdx_pck.c: the quoting enclave's key from its x and y. CVM_E_DENIED for what
 * is not on the curve. */
int tdx_attestation_key(struct span xy, EVP_PKEY **ret) _must_check_;

/* sgx_extension.c */
int sgx_extension_parse(struct span der, struct sgx_extension *ret,
    struct why *reterr_why) _must_check_;

/* tdx_tcb.c: Intel's rules for the status of a TCB, without a policy. */
struct tcb_input {
	const struct tcb_info *info;
	const struct qe_identity *qe;
	const struct sgx_extension *platform;
	struct span tee_tcb_svn;
	struct span tee_tcb_svn2; /* empty in TD 1.0 */
	uint16_t qe_isvsvn;
};
struct tcb_result {
	const struct tdx_module *identity; /* NULL: unknown */
	const struct tcb_level *sgx;	   /* ignoring TDX components */
	const struct tcb_level *platform;
	const struct tcb_level *module; /* NULL for the base module too */
	const struct tcb_level *qe;
	enum tcb_status status;
};
void tcb_evaluate(const struct tcb_input *in, struct tcb_result *ret);

#endif
