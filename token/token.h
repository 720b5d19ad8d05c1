/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include "attest/permit.h"
#include "attest/seen.h"
#include "conf/config.h"
#include "token/object.h"
#include "token/seal.h"

/*
 * One token: its store, its seals, its keys while they are unsealed, its
 * objects. Thread-safe by internal locks that are never held across TPM or
 * EVP calls. Every function that touches private material takes a permit.
 */
struct token;

#define TOKEN_SERIAL_LEN 16 /* hex digits */
#define PIN_LEN_MIN 4
#define PIN_LEN_MAX 255
#define PIN_TRIES 10

struct token_info {
	bool initialised;
	bool user_pin_set;
	char label[CONFIG_LABEL_MAX + 1];
	char serial[TOKEN_SERIAL_LEN + 1];	 /* "" when not initialised */
	uint32_t user_tries_left, so_tries_left; /* of PIN_TRIES */
	bool error_state; /* store unreadable, corrupt or newer */
	bool writable;
};

/* cfg must outlive the token. Opens the store if it is there; a missing one
 * is an uninitialised token. Sends nothing to the TPM. issuer: whose permits
 * are accepted. Never fails for a bad store: token_info tells error_state and
 * token_trouble() why. */
int token_new(const struct config_token *cfg,
    const struct permit_issuer *issuer, struct token **ret) _must_check_;
void token_freep(struct token **t);
/* From memory, after a cheap look whether the file changed. */
void token_get_info(struct token *t, struct token_info *ret);
/* Why the store is in error, or err 0. */
void token_trouble(struct token *t, struct why *ret);
/* 31 bits, stable: of SHA-256 of the configured token name, because a slot
 * exists before the token that C_InitToken gives a serial. */
CK_SLOT_ID token_slot_id(const struct config_token *cfg);

/*
 * Makes a new token (PKCS#11 C_InitToken): fresh id, serial, token key and
 * private key; tpm seals for every PCR set of the policy; an SO seal under
 * so_pin; a user seal under user_pin; with LOGIN_ATTESTATION one without PIN.
 * Replaces an existing store only when the SO PIN is right (old file kept as
 * STORE.old). *ret_recovery (may be NULL: then no recovery seal is made) is
 * the code.
 */
struct token_init {
	const char *label;
	struct span so_pin;
	const struct policy *policy;
	struct vtpm *vtpm;
	struct span user_pin; /* empty: none is set; C_InitPIN may, later */
};
int token_init(struct token *t, const struct token_init *in,
    struct secret **ret_recovery, struct why *reterr_why) _must_check_;

/*
 * Unseals the token key (and with LOGIN_ATTESTATION, or an auth value kept
 * from a login, the private key) and loads the index. Needs an admission.
 * A no-op when it is done already. CVM_E_SEALED as seal_open_tpm().
 */
int token_unseal(struct token *t, const struct permit *p,
    const struct policy *policy, struct vtpm *vtpm,
    struct why *reterr_why) _must_check_;
bool token_unsealed(struct token *t);
/*
 * The newest time that collateral had which an appraisal verified, in any
 * process that ever wrote it into this store; 0 before the token was unsealed,
 * or when there is none. Never goes back in one process.
 */
int64_t token_time_mark(const struct token *t);
/* The same of the newest issue of each list that was verified. The version
 * grows with each change; 0: nothing is known. */
uint64_t token_seen_version(const struct token *t);
void token_seen(struct token *t, struct seen *ret);
/* Raises both (seen may be NULL), for an admitted caller; writes the store only
 * for what is newer. A store that cannot be written is an error that leaves
 * them raised in this process: then token_owes() is true after a minute, and
 * the next call tries again, as does each other change of the token. */
int token_note(struct token *t, const struct permit *p, int64_t time,
    const struct seen *seen, struct why *reterr_why) _must_check_;
bool token_owes(const struct token *t);
/* Takes over what other processes noted since the store was read last, if that
 * takes no waiting for them. */
void token_learn(struct token *t);
/* A denial: wipes keys, material, cached EVP keys, attributes of private
 * objects. Object handles stay valid; logins keep only the auth value. */
void token_wipe(struct token *t);

/* PINs. Counted in the store before the try; CVM_E_PIN_*. */
int token_login_user(struct token *t, const struct permit *p, struct span pin,
    const struct policy *policy, struct vtpm *vtpm,
    struct why *reterr_why) _must_check_;
int token_login_so(struct token *t, const struct permit *p, struct span pin,
    const struct policy *policy, struct vtpm *vtpm,
    struct why *reterr_why) _must_check_;
/* Checks the user's PIN again (CKU_CONTEXT_SPECIFIC). */
int token_verify_user(struct token *t, struct span pin,
    struct why *reterr_why) _must_check_;
bool token_user_logged_in(struct token *t); /* private key open, or auth kept */
bool token_so_logged_in(struct token *t);
/* Private session objects are destroyed; handles of private objects of the
 * token are no longer valid, whoever logs in again. */
void token_logout(struct token *t);
/* C_InitPIN (needs the SO), C_SetPIN of whoever is logged in (or user). */
int token_init_pin(struct token *t, const struct permit *p, struct span pin,
    const struct policy *policy, struct vtpm *vtpm,
    struct why *reterr_why) _must_check_;
int token_set_pin(struct token *t, const struct permit *p, bool so,
    struct span old_pin, struct span new_pin, const struct policy *policy,
    struct vtpm *vtpm, struct why *reterr_why) _must_check_;

/*
 * Administration (cvm-token). The keys are opened by a recovery code or by
 * the current seals, then seals are made for the policy as it is now. Seals
 * are changed, and PINs are, by a permit that has to hold when the change is
 * written: CVM_E_PERMIT.
 */
int token_unseal_recovery(struct token *t, const struct secret *code,
    struct why *reterr_why) _must_check_;
/* Replaces all tpm seals by seals for policy's PCR sets. Needs the token and
 * private keys open; the user and SO seals need their PINs, or new ones. */
struct token_reseal {
	const struct policy *policy;
	struct vtpm *vtpm;
	struct span user_pin, so_pin; /* empty: that seal is dropped */
};
int token_reseal(struct token *t, const struct permit *p,
    const struct token_reseal *in, struct why *reterr_why) _must_check_;
/*
 * Opens the keys for token_reseal() after an edit of the policy: by the seals
 * as they were made, under the policy digest that each of them records, which
 * token_unseal() never does. Needs an admission by the policy as it is now.
 * PINs that are given must be the ones of the old seals, where there are such
 * seals; wrong ones are counted. CVM_E_SEALED: not even so (PCRs, other TPM).
 */
int token_unseal_as_sealed(struct token *t, const struct permit *p,
    const struct token_reseal *in, struct why *reterr_why) _must_check_;
int token_seals(struct token *t, struct store_seals *ret,
    struct why *reterr_why) _must_check_;
/* Adds a token (and user) seal for one more PCR set of the policy, or a
 * recovery seal; removes one by id, or all of a PCR set, at once. The last
 * token seal is never removed, nor the last one of the private keys. */
int token_seal_add_set(struct token *t, const struct permit *p,
    const struct policy *policy, const struct pcr_set *set, struct vtpm *vtpm,
    struct span user_pin, struct span so_pin,
    struct why *reterr_why) _must_check_;
int token_seal_add_recovery(struct token *t, const struct permit *p,
    const struct policy *policy, struct secret **ret_code,
    struct why *reterr_why) _must_check_;
int token_seal_remove(struct token *t, const struct permit *p,
    const uint8_t id[static STORE_ID_LEN], struct why *reterr_why) _must_check_;
int token_seal_remove_set(struct token *t, const struct permit *p,
    const char *label, size_t *ret_n, struct why *reterr_why) _must_check_;

/* In the child after a fork: new locks, store reopened, nothing flushed. */
void token_after_fork(struct token *t);

#endif
