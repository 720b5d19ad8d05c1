/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_SNP_H
#define ATTEST_SNP_H

#include "attest/evidence.h"

/*
 * AMD SEV-SNP attestation reports: SEV-SNP firmware ABI (56860), section 7.3;
 * the certificate table of GHCB (56421), section 4.1.8.1. All integers are
 * little-endian.
 */
#define SNP_SIGNED_LEN 0x2a0
#define SNP_TCB_LEN 8
#define SNP_SIG_PART_LEN 48
#define SNP_VERSION_MIN 2
#define SNP_VERSION_CPUID 3 /* the first one with CPUID fields */
#define SNP_VERSION_MIT 5   /* the first one with mitigation vectors */
#define SNP_VERSION_MAX 5

/* POLICY bits. */
#define SNP_POLICY_SMT (1ULL << 16)
#define SNP_POLICY_ONE (1ULL << 17) /* must be set */
#define SNP_POLICY_MIGRATE_MA (1ULL << 18)
#define SNP_POLICY_DEBUG (1ULL << 19)
#define SNP_POLICY_SINGLE_SOCKET (1ULL << 20)
#define SNP_POLICY_CXL (1ULL << 21)
#define SNP_POLICY_AES256_XTS (1ULL << 22)
#define SNP_POLICY_RAPL_DIS (1ULL << 23)
#define SNP_POLICY_CIPHERTEXT_HIDING (1ULL << 24)
#define SNP_POLICY_PAGE_SWAP_DISABLE (1ULL << 25)
#define SNP_POLICY_RESERVED (~((1ULL << 26) - 1))

/* PLATFORM_INFO bits. */
#define SNP_PLATFORM_SMT (1ULL << 0)
#define SNP_PLATFORM_TSME (1ULL << 1)
#define SNP_PLATFORM_ECC (1ULL << 2)
#define SNP_PLATFORM_RAPL_DIS (1ULL << 3)
#define SNP_PLATFORM_CIPHERTEXT_HIDING (1ULL << 4)
#define SNP_PLATFORM_ALIAS_CHECK (1ULL << 5)
#define SNP_PLATFORM_IOMMU_WRITE_SAFE (1ULL << 6) /* Turin sets it */
#define SNP_PLATFORM_TIO (1ULL << 7)
#define SNP_PLATFORM_RESERVED (~0xffULL)

/* SIGNER_INFO bits. */
#define SNP_SIGNER_AUTHOR_KEY_EN (1U << 0)
#define SNP_SIGNER_MASK_CHIP_KEY (1U << 1)
#define SNP_SIGNER_RESERVED (~0x1fU)

enum snp_signing_key { SNP_KEY_VCEK = 0, SNP_KEY_VLEK = 1, SNP_KEY_NONE = 7 };

struct snp_firmware {
	uint8_t build, minor, major;
};

/* A parsed report; every span borrows from the bytes that were parsed. */
struct snp_report {
	struct span bytes; /* all of them */
	uint32_t version, guest_svn;
	uint64_t policy;
	struct span family_id, image_id;
	uint32_t vmpl, signature_algo;
	uint64_t platform_info;
	uint32_t signer_info;
	struct span report_data, measurement, host_data;
	struct span id_key_digest, author_key_digest;
	struct span report_id, report_id_ma;
	struct span current_tcb, reported_tcb, committed_tcb, launch_tcb;
	uint8_t family, model, stepping; /* 0 before version 3 */
	struct span chip_id;
	struct snp_firmware current, committed;
	uint64_t launch_mit, current_mit; /* 0 before version 5 */
	struct span r, s;		  /* little-endian */
};

/*
 * Parses exactly SNP_REPORT_LEN bytes: length, version, reserved fields.
 * Nothing is verified. CVM_E_PARSE, or CVM_E_UNSUPPORTED for another version,
 * with the field in *reterr_why.
 */
int snp_report_parse(struct span bytes, struct snp_report *ret,
    struct why *reterr_why) _must_check_;
/* As snp_report_parse(), but accepts reserved fields that are not zero and
 * names the first in *ret_reserved (else NULL). */
int snp_report_read(struct span bytes, struct snp_report *ret,
    const char **ret_reserved, struct why *reterr_why) _must_check_;

enum snp_signing_key snp_report_key(const struct snp_report *r);

/* The product line that the CPUID fields name; 0 when they name none that is
 * known here, and before version 3. */
enum snp_product snp_report_product(const struct snp_report *r);
const char *snp_product_name(enum snp_product p);   /* "Milan" */
const char *snp_product_folder(enum snp_product p); /* "milan" */
/* Turin: FMC is part of the TCB, CHIP_ID has 8 bytes, and no report is of
 * version 2. What came after it is taken to be the same. */
bool snp_is_since_turin(enum snp_product p);

/* TCB_VERSION of SNP_TCB_LEN bytes, whose layout depends on the line.
 * CVM_E_PARSE when a reserved byte is not zero. */
int snp_tcb_decode(struct span tcb, enum snp_product p,
    struct snp_tcb *ret) _must_check_;
/* True when no component of a is below that of b. */
bool snp_tcb_at_least(const struct snp_tcb *a, const struct snp_tcb *b);
bool snp_tcb_equal(const struct snp_tcb *a, const struct snp_tcb *b);
#define SNP_TCB_TEXT_MAX 64
/* "bootloader 4, tee 0, snp 24, microcode 219"; returns buf. */
const char *snp_tcb_text(const struct snp_tcb *t, enum snp_product p,
    char buf[static SNP_TCB_TEXT_MAX]);

/*
 * The certificate table that a host puts beside the report. Spans borrow from
 * the table and are empty when there is no such entry. An empty table is fine;
 * a table that is not well-formed is CVM_E_PARSE.
 */
#define SNP_CERT_ENTRIES_MAX 32
struct snp_certs {
	struct span vcek, vlek, ask, ark;
	struct span launch; /* Google's launch endorsement */
	size_t n;	    /* entries, of whatever kind */
};
int snp_certs_parse(struct span table, struct snp_certs *ret,
    struct why *reterr_why) _must_check_;

/* Every field of a report, in the report's order, for people. */
void snp_report_list(const struct snp_report *r,
    void (*say)(void *arg, const char *name, const char *value), void *arg);

/*
 * Where snp_appraise() looks for the signing key's certificate when the host's
 * table has none that fits: that of a VCEK is amd/vek/CHIPID-TCB.der, with 128
 * digits of CHIP_ID, or its first 16 (since Turin); that of a VLEK
 * amd/vek/vlek-TCB.der.
 */
#define SNP_VEK_NAME_MAX 192
/* Writes the i-th name under which this report's certificate may lie; NULL
 * past the last. */
const char *snp_vek_name(const struct snp_report *r, size_t i,
    char buf[static SNP_VEK_NAME_MAX]);

#endif
