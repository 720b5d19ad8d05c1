/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_DERIVE_H
#define ATTEST_DERIVE_H

#include "attest/evidence.h"
#include "base/cvm-pkcs11.h"

/*
 * The byte-exact derivations of attest/PROTOCOL.md: leaves, REPORT_DATA and
 * the TPM's qualifyingData. All return 0, CVM_E_NOMEM or CVM_E_CRYPTO.
 */

/* SHA-512(TUPLE("cvm-pkcs11/report-data/1", root, AK name or empty, policy
 * digest)). */
int derive_report_data(const uint8_t root[static SHA256_LEN],
    struct span ak_name, const uint8_t policy_digest[static SHA256_LEN],
    uint8_t out[static REPORT_DATA_LEN]) _must_check_;
/* SHA-256(TUPLE("cvm-pkcs11/quote/1", root, SHA-256(TEE report) or empty)). */
int derive_qualifying(const uint8_t root[static SHA256_LEN],
    struct span tee_report, uint8_t out[static QUALIFYING_LEN]) _must_check_;

#define SESSION_ID_LEN 16

/* TUPLE("cvm-pkcs11/session/1", serial, u64 pid, u64 fork count, random). */
int leaf_session(const char *serial, uint64_t pid, uint64_t fork_count,
    const uint8_t rnd[static 32], struct blob *ret) _must_check_;

struct operation_leaf {
	const char *serial;
	uint8_t session_id[SESSION_ID_LEN];
	uint64_t counter;
	const char *function; /* "C_Sign" */
	uint64_t mechanism;
	uint8_t parameter_digest[SHA256_LEN];
	uint8_t key_fingerprint[SHA256_LEN];
	uint8_t input_digest[SHA256_LEN];
	uint8_t random[16];
};
/* TUPLE("cvm-pkcs11/operation/1", the members above in their order). */
int leaf_operation(const struct operation_leaf *op,
    struct blob *ret) _must_check_;
/* TUPLE("cvm-pkcs11/challenge/1", nonce, key fingerprint or empty). */
#define CHALLENGE_NONCE_MIN CVM_CHALLENGE_NONCE_MIN
#define CHALLENGE_NONCE_MAX CVM_CHALLENGE_NONCE_MAX
int leaf_challenge(struct span nonce, struct span key_fingerprint,
    struct blob *ret) _must_check_;

#endif
