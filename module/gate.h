/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_GATE_H
#define MODULE_GATE_H

#include "attest/round.h"
#include "token/op.h"
#include "token/token.h"

/*
 * The ONE door to private keys. A slot has one gate: its policy, its rounds,
 * its token. A session is opened through gate_open_session(), every use of a
 * private or secret key passes gate_operation() or gate_key_use(); what comes
 * out is a permit, without which token/ touches nothing.
 */
struct gate;

/*
 * Reads the policy and nothing else. cfg and tcfg outlive the gate. A policy
 * that does not load is not an error here: the slot is listed in error state
 * (gate_trouble()) and nothing is admitted. Each round looks whether the
 * policy's file has changed, and judges by what it has now; with a new policy,
 * what was admitted by the former is over and the token is wiped. While the
 * file is gone or refused, no round admits.
 */
int gate_new(const struct config *cfg, const struct config_token *tcfg,
    struct gate **ret) _must_check_;
void gate_freep(struct gate **g);
/* Where threads may still be inside, instead of gate_freep(), which follows:
 * every admission is over, keys are wiped, and nothing is admitted any more. */
void gate_close(struct gate *g);
/* The token, whose store is opened when it is first asked for; NULL when out
 * of memory. Owned by the gate. */
struct token *gate_token(struct gate *g);
/* Of the last round; NULL where none could be read. Lives as long as g. */
const struct policy *gate_policy(const struct gate *g);
struct rounds *gate_rounds(struct gate *g); /* or NULL */
/* The TPM connection, or NULL where the policy uses no TPM. */
struct vtpm *gate_vtpm(struct gate *g);
/* Why nothing can be admitted (policy, store), or err 0. */
void gate_trouble(struct gate *g, struct why *ret);
/* The last known verdict, without asking for a new one. A seal that did not
 * open counts as a denial. */
enum round_state gate_state(struct gate *g);
/* True for a process that has no permission on the store and never had. */
bool gate_forbidden(struct gate *g);

/*
 * What a session keeps of its admission. id is random and leads the random
 * bytes of the session's leaves, so that the receipts of its operations can
 * be matched to them; counter counts its operations. A child that inherits
 * the session gets another id. Owned by the session, used under its lock.
 */
struct gate_session {
	uint8_t id[SESSION_ID_LEN];
	bool has_id;
	uint64_t fork_count; /* that id belongs to */
	uint64_t counter;
	struct permit permit;	    /* of the last admission */
	struct permit_turn turn;    /* the call that is under way */
	struct admission admission; /* its evidence, for the bundle object */
};

/*
 * For a session open: takes over the newest admission that a session of this
 * slot and process got, if it is younger than the policy's
 * session_open_max_age_s and the last round admitted; else joins a round. On
 * admission fills s->permit, unseals the token if it is not, and returns 0.
 * CVM_E_DENIED, CVM_E_UNREACHABLE, CVM_E_SEALED, CVM_E_CONFIG leave the
 * session unadmitted; why says it, and the log has been told if it is news.
 * Never waits longer than
 * the time-outs of evidence and TPM twice over (rounds_join()), unless this
 * very thread leads and the kernel keeps a request for a TEE report that the
 * host does not answer: such a read cannot be cut short.
 */
int gate_open_session(struct gate *g, struct gate_session *s,
    struct why *reterr_why) _must_check_;

/* Joins a round in any case, without a token to open: for C_InitToken. What
 * sessions of the token before it were admitted by is not taken over. */
int gate_admit(struct gate *g, struct gate_session *s,
    struct why *reterr_why) _must_check_;

/* The session's permit as it is, or NULL: nobody is asked. */
const struct permit *gate_peek(struct gate *g, struct gate_session *s);

/* The same, but that its time may be over: see permit_stands(). */
const struct permit *gate_glance(struct gate *g, struct gate_session *s);

/*
 * A permit to look at keys in this session: the session's, when it is still
 * good; else joins a new round (rate-limited). For finding objects, ...Init
 * functions, creation of keys. While the evidence source is unreachable, a
 * permit that was given before stays good until session_max_age_s.
 */
int gate_permit(struct gate *g, struct gate_session *s, struct permit *ret,
    struct why *reterr_why) _must_check_;

/*
 * A permit for one use of a private or secret key. With bind "session" it is
 * gate_permit(); with bind "operation" (policy, or CKA_CVM_BIND_OPERATION of
 * the key) it joins a round whose leaf names function, mechanism, parameter,
 * key and input, and yields a permit for a single use. input is that of a
 * one-shot call; NULL: op has seen all its input, in parts. function is the
 * C_ name.
 */
int gate_operation(struct gate *g, struct gate_session *s, const char *function,
    struct op *op, const struct span *input, struct permit *ret,
    struct why *reterr_why) _must_check_;
/* The same for uses that are no struct op (unwrap, derive, wrap, generate,
 * read, copy): key may be NULL, and mech where there is none; input is hashed.
 * other, if not NULL, is a key that is the input: it may want its admission,
 * too. */
int gate_key_use(struct gate *g, struct gate_session *s, const char *function,
    const CK_MECHANISM *mech, const struct object *key,
    const struct object *other, struct span input, struct permit *ret,
    struct why *reterr_why) _must_check_;
/*
 * A permit to make keys, good until gate_end() however long that takes. A
 * denial meanwhile ends it. No key is made of the same random numbers as in a
 * copy of this machine's memory.
 */
int gate_generation(struct gate *g, struct gate_session *s,
    const char *function, const CK_MECHANISM *mech, struct permit *ret,
    struct why *reterr_why) _must_check_;
/* The call is over, and with it every permit for a single use. */
void gate_end(struct gate_session *s);
/*
 * The evidence bundle of an admission, with the endorsements that are on disk
 * now. CVM_E_NOT_FOUND: the admission has no evidence. The caller frees.
 */
int gate_bundle(struct gate *g, const struct admission *a, char **ret_json,
    struct why *reterr_why) _must_check_;
/* A bundle of fresh evidence over a verifier's nonce, whatever the verdict;
 * with a private or secret key, over what the store says of it, too. */
int gate_challenge(struct gate *g, struct span nonce, const struct object *key,
    char **ret_json, struct why *reterr_why) _must_check_;

/* True when this use must be an admission of its own. */
bool gate_binds_operation(const struct gate *g, const struct object *key);
void gate_session_clear(struct gate_session *s);

/* In the child after a fork, before anything else. */
void gate_after_fork(struct gate *g);

#endif
