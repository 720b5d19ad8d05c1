/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_QUOTE_H
#define ATTEST_QUOTE_H

#include "attest/appraise.h"
#include "base/public_key.h"
#include "base/reader.h"

/* TPM_ALG_ID of a hash, and back; CVM_E_UNSUPPORTED. */
uint16_t tpm_hash_id(enum hash_alg alg);
int tpm_hash_alg(uint16_t id, enum hash_alg *ret) _must_check_;

/* TPM 2.0 structures (TPM 2.0 Library, Part 2), parsed strictly. */
struct tpm_quote {
	struct span qualified_signer; /* TPM2B_NAME contents */
	struct span extra_data;
	struct tpm_clock clock;
	uint64_t firmware_version;
	uint16_t bank_alg; /* TPM_ALG_ID of the selection */
	uint32_t pcr_mask;
	struct span pcr_digest;
};

/* TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE; spans borrow from attest. */
int quote_parse(struct span attest, struct tpm_quote *ret,
    struct why *reterr_why) _must_check_;

/* TPML_PCR_SELECTION of at most one bank; none at all gives mask 0. ret_bank
 * (TPM_ALG_ID) may be NULL. */
int pcr_selection_read(struct reader *r, uint16_t *ret_bank,
    uint32_t *ret_mask) _must_check_;

struct tpm_public {
	uint16_t type, name_alg; /* TPM_ALG_ID */
	uint32_t attributes;	 /* TPMA_OBJECT */
	uint16_t scheme, scheme_hash;
	uint16_t curve;	     /* ECC */
	uint16_t key_bits;   /* RSA */
	uint32_t exponent;   /* RSA, 65537 for 0 */
	struct span modulus; /* RSA */
	struct span x, y;    /* ECC */
	struct span auth_policy;
};

/* TPMT_PUBLIC of an RSA or ECC key. */
int tpm_public_parse(struct span tpmt, struct tpm_public *ret,
    struct why *reterr_why) _must_check_;
int tpm_public_key(const struct tpm_public *p, EVP_PKEY **ret) _must_check_;
/* TPM Name: nameAlg || H(TPMT_PUBLIC). out holds TPM_NAME_MAX. */
int tpm_name(struct span tpmt, uint8_t *out, size_t *ret_len) _must_check_;
/* H(values in ascending PCR order) with alg. */
int pcr_digest(const struct pcr_values *v, uint32_t mask, enum hash_alg alg,
    uint8_t *out) _must_check_;
/* The hash that a TPMT_SIGNATURE names, which is also pcrDigest's. */
int signature_hash(struct span sig, enum hash_alg *ret,
    struct why *reterr_why) _must_check_;
/* 000B || SHA-256(hierarchy || name): the qualified name of a primary key
 * (TPM 2.0 Library, Part 1, section 16) whose nameAlg is SHA-256. */
#define TPM_NAME_SHA256_LEN 34
int tpm_qualified_name(uint32_t hierarchy, struct span name,
    uint8_t out[static TPM_NAME_SHA256_LEN]) _must_check_;
/* Verifies TPMT_SIGNATURE over attest; *ret_hash is its hash. CVM_E_DENIED. */
int quote_verify_signature(struct verifier *ak, const struct tpm_public *pub,
    struct span attest, struct span sig, enum hash_alg *ret_hash,
    struct why *reterr_why) _must_check_;

#endif
