/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_SNP_PARTS_H
#define ATTEST_SNP_PARTS_H

#include "attest/appraise.h"
#include "attest/chain_cache.h"
#include "attest/snp.h"

/*
 * What the parts of snp_appraise() hand to each other. Everything in here is
 * owned by snp_appraise(); spans borrow from the evidence.
 */
struct snp_appraisal {
	const struct appraisal *a;
	const struct policy_snp *p;
	struct verdict *v;
	struct appraisal_facts *facts;
	struct snp_report r;
	bool vlek; /* else VCEK; from SIGNER_INFO */
	struct snp_certs certs;
	struct cert *vek, *ask, *ark;
	bool signature_ok;	  /* by vek, over the report */
	enum snp_product product; /* 0: not known */
	struct snp_tcb current, reported, committed, launch;
};

/* snp_vek.c: SNP-09 to SNP-11, SNP-14 and what the certificate says. */
bool snp_vek_checks(struct snp_appraisal *s);
bool snp_vek_names_check(struct snp_appraisal *s);
/* The line in the V*EK's issuer; 0 when there is none. */
enum snp_product snp_vek_product(const struct cert *vek, bool vlek);
/* A file, or an empty span. */
struct span snp_endorsement(const struct appraisal *a, const char *name);
/* One certificate, DER or PEM. */
int snp_cert_read(struct span bytes, struct cert **ret) _must_check_;
/* The same, through what was read before. */
int snp_cert_known(struct parsed *p, struct span bytes,
    struct cert **ret) _must_check_;
/* The report's signature, by the key of this certificate. */
int snp_report_verify(const struct snp_report *r,
    struct cert *vek) _must_check_;
/* True when name is AMD's with this common name, and nothing else. */
bool snp_amd_name(struct span name, const char *cn);
/* "SEV-Milan", or "SEV-VLEK-Milan". */
#define SNP_CN_MAX 32
const char *snp_issuer_cn(enum snp_product p, bool vlek,
    char buf[static SNP_CN_MAX]);

/* snp_ext.c: the extensions of a V*EK (57230 section 3.1, table 8). */
int snp_ext_tcb(const struct cert *vek, enum snp_product p,
    struct snp_tcb *ret) _must_check_;
int snp_ext_hwid(const struct cert *vek, struct span *ret) _must_check_;
int snp_ext_csp_id(const struct cert *vek, struct span *ret) _must_check_;
int snp_ext_product_name(const struct cert *vek, struct span *ret) _must_check_;

/* The roots that count for a line: the policy's, else AMD's own. Borrows the
 * policy's, or from itself: it must not move. */
struct snp_pins {
	uint8_t spki[SHA256_LEN];
	struct blob one;
	struct value_list builtin;
	const struct value_list *list;
};
void snp_pins_init(const struct policy_snp *p, enum snp_product product,
    struct snp_pins *ret);

/* snp_chain.c: SNP-15 to SNP-18. */
bool snp_chain_checks(struct snp_appraisal *s);

/* snp_platform.c: SNP-13 and SNP-19 to SNP-27. */
bool snp_tcb_layout_check(struct snp_appraisal *s);
bool snp_platform_checks(struct snp_appraisal *s);

/* snp_values.c: SNP-28 to SNP-62. */
bool snp_value_checks(struct snp_appraisal *s);

#endif
