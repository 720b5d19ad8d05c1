/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_TDX_MAKER_H
#define TESTS_UNIT_TDX_MAKER_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/blob.h"
#include "base/crypto.h"

/*
 * Makes TDX quotes and their collateral under a hierarchy of its own. A spec
 * says what is in them; tdx_spec_default() describes a machine that a strict
 * verifier accepts at TDX_MAKER_NOW, and a test changes one thing.
 */
#define TDX_MAKER_NOW INT64_C(1780000000)
#define TDX_MAKER_DAY INT64_C(86400)

enum maker_key {
	KEY_ROOT,
	KEY_CA,
	KEY_PCK,
	KEY_TCB,
	KEY_ATT,
	KEY_OTHER,
	KEY_P384,
	KEY_SMALL, /* RSA-1024 */
	N_MAKER_KEYS
};

struct maker_cert {
	const char *cn;	       /* of the subject */
	const char *org;       /* O= of the subject */
	int64_t from, until;   /* seconds since the epoch */
	enum maker_key key;    /* the subject's */
	enum maker_key signer; /* who signs it */
	bool sha384;
	bool revoked;
	bool no_digital_signature;
	bool extra_ou; /* one more entry in the subject */
	bool sha1;
	const char *basic, *usage; /* NULL: as they should be */
	const char *issuer_cn;	   /* NULL: the issuer's own */
};

struct maker_crl {
	int64_t from, until;
	const char *issuer_cn; /* NULL: the CA's own */
	enum maker_key signer;
	bool no_number, no_key_id;
	bool absent;
};

struct maker_json {
	const char *find, *replace; /* in the text, before it is signed */
	const char *find_after, *replace_after; /* after it was signed */
	enum maker_key signer;
	bool absent;
	int64_t issue, next;
	unsigned number; /* tcbEvaluationDataNumber */
};

struct tdx_spec {
	struct maker_cert root, ca, pck, signer, qe_signer;
	struct maker_crl root_crl, pck_crl;
	struct maker_json tcb_info, qe_identity;
	bool processor; /* Processor CA instead of Platform CA */
	bool pem_extra; /* a fourth certificate in the PCK chain */
	bool pem_swapped, json_swapped; /* chains in the wrong order */
	bool json_root; /* a root of the signers' own, with the same name */

	/* The SGX extension. */
	uint8_t components[16], fmspc[6], pceid[2], instance[16];
	uint16_t pcesvn;
	uint8_t flags[3]; /* dynamicPlatform, cachedKeys, SMT */
	bool extension_damaged;

	/* The quote; offsets as in the TD report of 885 bytes. */
	uint16_t version, key_type, body_type;
	uint32_t tee_type;
	uint8_t vendor[16];
	uint8_t body[885];
	uint16_t outer_type, inner_type;
	int size_delta;		      /* added to the v5 body size */
	int signature_delta;	      /* added to the signature data length */
	int outer_delta, inner_delta; /* to those of certification data */
	uint8_t qe_report[384];
	uint8_t qe_auth[32];
	bool binding_tail;  /* REPORTDATA of the QE ends in another byte */
	bool break_binding; /* REPORTDATA of the QE of another key */
	bool bad_point;	    /* the attestation key is off the curve */
	enum maker_key quote_signer, qe_signer_key;
	struct blob trailing;
};

/* Offsets in the TD report. */
enum {
	AT_TEE_TCB_SVN = 0,
	AT_MRSEAM = 16,
	AT_MRSIGNERSEAM = 64,
	AT_SEAMATTRIBUTES = 112,
	AT_TDATTRIBUTES = 120,
	AT_XFAM = 128,
	AT_MRTD = 136,
	AT_MRCONFIGID = 184,
	AT_MROWNER = 232,
	AT_MROWNERCONFIG = 280,
	AT_RTMR0 = 328,
	AT_REPORTDATA = 520,
	AT_TEE_TCB_SVN2 = 584,
	AT_MRSERVICETD = 600,
	AT_VMID = 648,
	AT_TD_ID = 649,
	AT_INIT_SERVTD_HASH = 729,
	AT_INIT_TEE_TCB_SVN = 801,
	AT_CURR_SERVTD_HASH = 829,
	AT_CURR_SERVTD_ATTR = 877
};
/* Offsets in the QE report. */
enum {
	QE_MISCSELECT = 16,
	QE_RESERVED1 = 20,
	QE_ATTRIBUTES = 48,
	QE_MRENCLAVE = 64,
	QE_MRSIGNER = 128,
	QE_ISVPRODID = 256,
	QE_ISVSVN = 258
};

/* What the maker yields; a file that is absent is an empty blob. */
struct tdx_made {
	struct blob quote;
	struct blob tcb_info, tcb_info_chain, qe_identity, qe_identity_chain;
	struct blob root_crl, pck_crl;
	uint8_t root_spki[SHA256_LEN];
};

void tdx_spec_default(struct tdx_spec *s, unsigned version);
/* Fails the test when something cannot be made. */
void tdx_make(const struct tdx_spec *s, struct tdx_made *ret);
void tdx_made_clear(struct tdx_made *m);
/* Gives back the keys, which are made once. */
void tdx_maker_end(void);

#endif
