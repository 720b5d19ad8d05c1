/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_SEAL_H
#define TOKEN_SEAL_H

#include "attest/vtpm.h"
#include "token/store.h"

/*
 * Seals: ways of unwrapping the token's keys, as LUKS keyslots are.
 * KEK = HKDF-SHA256(secret, salt = token id,
 *   info = TUPLE("cvm-pkcs11/seal/1", seal id, purpose, policy digest)),
 * and the seal's blob carries box(KEK, key), whose associated data is the
 * whole row: no column can be changed on disk. secret is what the TPM gives,
 * followed by the auth value where a PIN guards the seal, or the recovery
 * code. For recovery seals the policy digest is 32 zero bytes by definition:
 * a code opens after the policy changed, too.
 */
enum seal_purpose {
	SEAL_TOKEN = 1, /* opens the token key */
	SEAL_USER = 2,	/* opens the private key, for the user */
	SEAL_SO = 3,	/* opens the private key, for setting a user PIN */
};
enum seal_kind {
	SEAL_TPM = 1,	   /* TPM sealed object, PolicyPCR (+ AuthValue) */
	SEAL_RECOVERY = 2, /* 256-bit code */
};

#define TOKEN_ID_LEN 16
#define TOKEN_KEY_LEN 32
#define RECOVERY_CODE_LEN 32

struct seal_context {
	const uint8_t *token_id; /* TOKEN_ID_LEN */
	const uint8_t *policy_digest;
	struct vtpm *vtpm; /* or NULL where no TPM seal is touched */
};

/* A seal of key for one PCR set; auth NULL or the PIN's scrypt value. */
int seal_make_tpm(const struct seal_context *c, enum seal_purpose purpose,
    enum hash_alg bank, const struct pcr_set *set, const struct secret *key,
    const struct secret *auth, struct store_seal *ret,
    struct why *reterr_why) _must_check_;
/* CVM_E_SEALED (PCRs, other TPM, policy edited: why says which),
 * CVM_E_PIN_INCORRECT, CVM_E_UNREACHABLE, CVM_E_CORRUPT. */
int seal_open_tpm(const struct seal_context *c, const struct store_seal *s,
    const struct secret *auth, struct secret **ret_key,
    struct why *reterr_why) _must_check_;

/* What a tpm seal was made for, from its parameters; nothing is opened. */
struct seal_tpm {
	enum hash_alg bank;
	bool auth; /* a PIN guards it */
	uint8_t policy_digest[POLICY_DIGEST_LEN];
	struct pcr_set set;
};
/* CVM_E_CORRUPT, also for a seal of another kind. */
int seal_tpm_params(const struct store_seal *s, struct seal_tpm *ret,
    struct why *reterr_why) _must_check_;
/* How many PCRs of v differ from the seal's; *ret_first is the lowest. */
unsigned seal_tpm_differs(const struct seal_tpm *p, const struct pcr_values *v,
    unsigned *ret_first);
/* CVM_E_SEALED, naming the PCR, what the seal was made for and its value. */
int seal_tpm_refuse(const struct store_seal *s, const struct seal_tpm *p,
    const struct pcr_values *v, struct why *reterr_why) _must_check_;

int seal_make_recovery(const struct seal_context *c, enum seal_purpose purpose,
    const struct secret *code, const struct secret *key, struct store_seal *ret,
    struct why *reterr_why) _must_check_;
int seal_open_recovery(const struct seal_context *c, const struct store_seal *s,
    const struct secret *code, struct secret **ret_key,
    struct why *reterr_why) _must_check_;

/* The code as people type it: groups of base32 (RFC 4648) with a checksum,
 * "ABCDE-FGHIJ-...". Decoding is constant time in the code and tolerates
 * case, blanks and dashes. */
#define RECOVERY_TEXT_MAX 96
int recovery_encode(const struct secret *code, char *out,
    size_t len) _must_check_;
int recovery_decode(const char *text, struct secret **ret,
    struct why *reterr_why) _must_check_;

/* scrypt (RFC 7914) of a PIN: N = 2^15, r = 8, p = 1, salt = token id ||
 * seal purpose; 32 bytes, the seal's auth value. */
int pin_auth(struct span pin, const uint8_t token_id[static TOKEN_ID_LEN],
    enum seal_purpose purpose, struct secret **ret) _must_check_;

const char *seal_purpose_name(uint32_t purpose); /* "token" */
const char *seal_kind_name(uint32_t kind);	 /* "tpm" */

#endif
