/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_SNP_MAKER_H
#define TESTS_UNIT_SNP_MAKER_H

#include "attest/appraise.h"
#include "attest/snp.h"
#include "tests/unit/x509-maker.h"

/*
 * SEV-SNP machines to order: a report, a vendor hierarchy of its own, the
 * endorsements and a policy that accepts it. A test spoils one thing, and sees
 * which check objects. A machine points into itself: it cannot be copied.
 */
#define SNP_NOW 1750000000LL
#define SNP_DAY 86400LL
#define SNP_EXT_HEX_MAX 160

/* Offsets in a report. */
enum {
	AT_VERSION = 0x000,
	AT_GUEST_SVN = 0x004,
	AT_POLICY = 0x008,
	AT_FAMILY_ID = 0x010,
	AT_IMAGE_ID = 0x020,
	AT_VMPL = 0x030,
	AT_ALGO = 0x034,
	AT_CURRENT_TCB = 0x038,
	AT_PLATFORM = 0x040,
	AT_SIGNER = 0x048,
	AT_REPORT_DATA = 0x050,
	AT_MEASUREMENT = 0x090,
	AT_HOST_DATA = 0x0c0,
	AT_ID_KEY = 0x0e0,
	AT_AUTHOR_KEY = 0x110,
	AT_REPORT_ID = 0x140,
	AT_REPORT_ID_MA = 0x160,
	AT_REPORTED_TCB = 0x180,
	AT_CPUID = 0x188,
	AT_CHIP_ID = 0x1a0,
	AT_COMMITTED_TCB = 0x1e0,
	AT_CURRENT_VERSION = 0x1e8,
	AT_COMMITTED_VERSION = 0x1ec,
	AT_LAUNCH_TCB = 0x1f0,
	AT_LAUNCH_MIT = 0x1f8,
	AT_CURRENT_MIT = 0x200,
	AT_R = 0x2a0,
	AT_S = 0x2e8,
};

/* The extensions of a V*EK, by index into vek.exts. */
enum {
	EXT_VERSION,
	EXT_PRODUCT,
	EXT_BL,
	EXT_TEE,
	EXT_SNP,
	EXT_SPL4,
	EXT_SPL5,
	EXT_SPL6,
	EXT_SPL7,
	EXT_UCODE,
	EXT_ID, /* hwID, or CSP_ID of a VLEK */
	EXT_FMC,
	EXT_FREE, /* unused */
};

enum snp_key {
	KEY_ARK,
	KEY_ASK,
	KEY_VEK,
	KEY_OTHER,
	KEY_SMALL, /* RSA-1024 */
	N_SNP_KEYS
};

/* Where the certificates are given. */
enum snp_source { IN_ENDORSEMENTS = 1, IN_TABLE = 2 };

struct snp_machine {
	uint8_t report[SNP_REPORT_LEN];
	bool resign; /* sign report when built (default) */
	enum snp_product product;
	bool vlek;
	struct cert_spec ark, ask, vek;
	enum snp_key ark_key, ask_key, vek_key, ask_signer, vek_signer;
	unsigned vek_from, cas_from; /* enum snp_source */
	bool no_ask, no_ark;
	const char *vek_name; /* in the endorsements; NULL for the usual */
	bool with_crl;
	struct crl_spec crl;
	enum snp_key crl_signer;
	struct policy policy;
	bool amd_roots; /* the policy names no root */
	int64_t now;
	struct chain_cache *cache;
	struct blob table; /* replaces the built one if not empty */

	struct blob lists[12]; /* storage of the policy's values */
	uint8_t values[12][64];
	size_t n_lists;
	uint8_t root_pin[SHA256_LEN];
	struct blob root_blob;
	char *csp[1];
	char ext_hex[SPEC_EXTS_MAX][SNP_EXT_HEX_MAX];
	char cns[3][32];
	char oids[SPEC_EXTS_MAX][40];
};

int snp_maker_setup(void **state); /* keys, once a program */
int snp_maker_teardown(void **state);
EVP_PKEY *snp_maker_key(enum snp_key k);

/* A machine that its policy accepts; version 3, or 5 on Turin. */
void snp_machine_init(struct snp_machine *m, enum snp_product p, bool vlek);
/* Sets the V*EK's extensions from REPORTED_TCB and CHIP_ID. */
void snp_machine_vek(struct snp_machine *m);
/* One more accepted value: that at an offset of the report. */
void snp_machine_accept(struct snp_machine *m, struct value_list *l, size_t at,
    size_t len);
void snp_machine_ext(struct snp_machine *m, int ext, const char *hex);
void snp_put64(struct snp_machine *m, size_t at, uint64_t v);
void snp_put32(struct snp_machine *m, size_t at, uint32_t v);
void snp_sign(struct snp_machine *m);

/* The evidence and endorsements of a machine. */
void snp_machine_build(struct snp_machine *m, struct evidence *e,
    struct endorsements **ret);
/* Builds, appraises, finishes. */
void snp_machine_judge(struct snp_machine *m, struct verdict *v,
    struct appraisal_facts *facts);
/* Judges, and fails the test unless the verdict admits. */
void snp_accepted(struct snp_machine *m);
/* ... unless it denies by this check alone: no other would have objected. */
void snp_denied_by(struct snp_machine *m, enum check_id id);
/* Appends an entry of the host's certificate table. */
struct table_entry {
	const char *guid; /* 32 hex digits */
	struct span data;
};
void snp_table_build(const struct table_entry *e, size_t n, struct blob *ret);
#define GUID_VCEK "63da758de6644564adc5f4b93be8accd"
#define GUID_VLEK "a8074bc2a25a483eaae639c045a0b8a1"
#define GUID_ASK "4ab7b379bbac4fe4a02f05aef327c782"
#define GUID_ARK "c0b406a4a803495297433fb6014cd0ae"

#define MILAN(m)                                                               \
	struct snp_machine m;                                                  \
	snp_machine_init(&m, SNP_MILAN, false)
#define VLEK(m)                                                                \
	struct snp_machine m;                                                  \
	snp_machine_init(&m, SNP_MILAN, true)

#endif
