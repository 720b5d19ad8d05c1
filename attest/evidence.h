/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_EVIDENCE_H
#define ATTEST_EVIDENCE_H

#include "base/crypto.h"
#include "conf/policy.h"

/*
 * Evidence (RFC 9334): bytes signed by hardware or TPM, and the logs that
 * explain them. Owned blobs; an absent part is empty. Nothing in here is
 * trusted until appraise() says so.
 */
#define EVIDENCE_TEE_MAX (64 * 1024)
#define EVIDENCE_AUX_MAX (64 * 1024)
#define EVIDENCE_LOG_MAX (1024 * 1024)
#define SNP_REPORT_LEN 1184
#define REPORT_DATA_LEN 64
#define QUALIFYING_LEN 32
#define TPM_NAME_MAX 66

struct pcr_values {
	enum hash_alg bank;
	uint32_t mask; /* bit i: value[i] is present */
	uint8_t value[POLICY_PCR_MAX][HASH_LEN_MAX];
};

struct evidence {
	enum tee_kind tee;	/* what the report claims to be */
	struct blob tee_report; /* SNP report (1184) or TDX quote */
	struct blob tee_aux;	/* SNP certificate table (auxblob) */
	uint8_t tee_report_data[REPORT_DATA_LEN]; /* what was asked for */
	int64_t tee_time; /* CLOCK_REALTIME seconds of collection */

	struct blob tpm_quote;	   /* TPMS_ATTEST */
	struct blob tpm_signature; /* TPMT_SIGNATURE */
	struct blob ak_public;	   /* TPMT_PUBLIC */
	struct blob ak_cert;	   /* DER, or empty */
	struct pcr_values pcrs;	   /* read with the quote */

	struct blob svsm_manifest; /* of the vTPM service */
	/* The collector's own proof that the AK is in the manifest's TPM:
	 * never read from elsewhere. */
	bool ak_activated;
	struct blob hcl_report; /* of Azure's paravisor, as in NV */

	struct blob event_log; /* TCG log, binary */
	struct blob ccel;      /* CCEL data */
	bool simulated;	       /* read from elsewhere than the kernel */
};

void evidence_clear(struct evidence *e);
void evidence_freep(struct evidence **e);

/*
 * Endorsements: a directory of files, read whole into memory once and again
 * when a file changed. Names are relative, with '/', as in
 *	amd/milan/ark.pem amd/milan/ask.pem amd/milan/asvk.pem
 *	amd/milan/crl-vcek.der amd/milan/crl-vlek.der
 *	amd/vek/CHIPID-TCB.der (lower-case hex; TCB: 8 bytes as stored)
 *	intel/tcbinfo-FMSPC.json intel/tcbinfo-chain.pem
 *	intel/qe-identity.json intel/qe-identity-chain.pem
 *	intel/pck-crl-platform.der intel/pck-crl-processor.der
 *	intel/pck-crl-chain.pem intel/root-ca.crl
 *	google/ak-root.pem google/ak-intermediates.pem google/NAME.crl
 *	google/launch/MEASUREMENT.binarypb google/launch-root.pem
 */
#define ENDORSEMENTS_FILES_MAX 256
#define ENDORSEMENTS_FILE_MAX (4 * 1024 * 1024)
#define ENDORSEMENTS_BYTES_MAX (32 * 1024 * 1024)

struct endorsements;

/* An empty set to add to (bundles, tests). NULL: out of memory. */
struct endorsements *endorsements_new(void);
/* Reads a directory (endorsements.c does the only I/O). A missing directory
 * is an empty set: the checks that need a file fail and name it. */
int endorsements_load(const char *dir, struct endorsements **ret,
    struct why *reterr_why) _must_check_;
/* True when a file of the directory changed since it was loaded. */
bool endorsements_stale(const struct endorsements *e);
int endorsements_add(struct endorsements *e, const char *name,
    struct span data) _must_check_;
/* Borrowed bytes of a file; an empty span when there is none. */
struct span endorsements_find(const struct endorsements *e, const char *name);
/* The i-th file's name, or NULL past the end. */
const char *endorsements_name(const struct endorsements *e, size_t i);
/* Tells sets apart: SHA-256 over all names and bytes, in the order in which
 * they were added. Zero for none. */
void endorsements_digest(const struct endorsements *e,
    uint8_t out[static SHA256_LEN]);
void endorsements_freep(struct endorsements **e);

#endif
