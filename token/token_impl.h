/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_TOKEN_IMPL_H
#define TOKEN_TOKEN_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/stamp.h"
#include "token/internal.h"

/*
 * Between the files of the life-cycle half. Two locks: store_lock(), outer,
 * around the connection and everything marked [store]; t->lock, inner and
 * never held across anything that takes time, around what is marked [lock].
 * Keys are counted references: who uses one keeps it while a denial takes it
 * from the token.
 */
struct key {
	atomic_uint refs;
	struct secret *bytes;
};

/* Takes the bytes over; NULL: out of memory (and the bytes are wiped). */
struct key *key_new(struct secret **bytes);
void key_unrefp(struct key **k);

struct manifest;
/* Whose machine, under which policy. */
struct seal_scope {
	const struct policy *policy;
	struct vtpm *vtpm;
	bool as_sealed; /* open by the policy digest that each seal records */
};

/* What the store says of the token, readable before anything is unsealed. */
struct token_meta {
	uint8_t id[TOKEN_ID_LEN];
	char serial[TOKEN_SERIAL_LEN + 1];
	char label[CONFIG_LABEL_MAX + 1];
	int64_t created;
};

enum token_key {
	KEY_TOKEN,   /* opens attributes, public objects, metadata */
	KEY_PRIVATE, /* opens private material, for the user */
	KEY_SO,	     /* the same, opened by the SO */
	N_TOKEN_KEYS,
};

/* What a token has open; kept by token_unlock_keys(). */
enum token_open {
	OPEN_TOKEN = 1, /* KEY_TOKEN */
	OPEN_USER = 2,	/* KEY_PRIVATE, or the user's auth value */
	OPEN_SO = 4,	/* the same of the SO */
};

struct token {
	const struct config_token *cfg;
	const struct permit_issuer *issuer;
	struct object_table *objects;

	pthread_mutex_t lock;
	struct key *keys[N_TOKEN_KEYS]; /* [lock] */
	struct secret *user_auth;	/* [lock] kept from a login */
	struct secret *so_auth;		/* [lock] */
	uint64_t logouts;		/* [lock] and other ends of logins */
	_Atomic unsigned open; /* enum token_open, of the above, for a look */
	_Atomic unsigned logging_in[2]; /* pin_begin() without pin_end(), SO's
					   in the second */
	struct token_info info;		/* [lock] */
	struct token_meta meta;		/* [lock] valid when initialised */
	struct why trouble;		/* [lock] err 0: none */
	struct stamp stamp;		/* [lock] when info was read */

	struct store *store;	   /* [store] NULL: never opened */
	bool connected;		   /* [store] */
	struct stamp opened;	   /* [store] the file of the connection */
	atomic_bool wipe_due;	   /* the objects are of another token */
	bool verified;		   /* [store] manifest seen good at version */
	uint64_t version;	   /* [store] */
	uint64_t generation;	   /* [store] highest that was seen */
	_Atomic int64_t time_mark; /* newest of manifests and of our own */
	struct seen seen;	   /* [store] the same */
	_Atomic uint64_t seen_version;
	_Atomic uint64_t owed_ns; /* not written since; 0: all is */
	uint64_t learned;	  /* [store] version */
};

/* token.c */
/* A reference to a key, or NULL. */
struct key *token_key(struct token *t, enum token_key which);
/* Leaves t->lock after keys or auth values came or went. */
void token_unlock_keys(struct token *t);
/* The store, open and current; store_lock() is held. CVM_E_IO for a
 * token without a store. */
int token_store(struct token *t, struct store **ret,
    struct why *reterr_why) _must_check_;
/* store_lock() for who does without the store rather than wait for another
 * thread (false, nothing is locked) or process (the store is impatient). */
bool token_try_store(struct token *t);
void token_leave_store(struct token *t);
/* Reads the store again when its file looks different; no lock is held. */
void token_refresh(struct token *t);
/* Reads info and meta again; store_lock() is held. */
void token_reload(struct token *t);
/* A copy of the meta data. CVM_E_IO when there is no token. */
int token_get_meta(struct token *t, struct token_meta *ret,
    struct why *reterr_why) _must_check_;
/* Keeps a key that was opened, unless the permit ended meanwhile (p NULL: for
 * administration, asks none), or with login (NULL: none) the login that it was
 * opened by: CVM_E_NOT_LOGGED_IN. Takes *key over, and *auth when not NULL. */
int token_keep(struct token *t, const struct permit *p, enum token_key which,
    struct secret **key, struct secret **auth, const uint64_t *login,
    struct why *reterr_why) _must_check_;

/* unseal.c */
/* CVM_E_PERMIT unless the permit is valid here and now. */
int token_admit(const struct token *t, const struct permit *p,
    struct why *reterr_why) _must_check_;
/* token_unseal() in a scope. */
int token_unseal_in(struct token *t, const struct permit *p,
    const struct seal_scope *sc, struct why *reterr_why) _must_check_;
/* The same, but the token key is enough: a PIN may come next. */
int token_ready(struct token *t, const struct permit *p,
    const struct seal_scope *sc, struct why *reterr_why) _must_check_;
/* Opens the private key into KEY_PRIVATE or KEY_SO: with *auth, which is
 * kept then, or (auth NULL) through a seal without PIN. */
int token_open_private(struct token *t, const struct permit *p,
    const struct seal_scope *sc, enum token_key which, struct secret **auth,
    const uint64_t *login, struct why *reterr_why) _must_check_;
/* The same with the auth value of a login; CVM_E_NOT_LOGGED_IN. */
int token_reopen(struct token *t, const struct permit *p,
    const struct seal_scope *sc, bool so, struct why *reterr_why) _must_check_;
/* Ends a login: its key and its auth value. */
void token_forget(struct token *t, bool so);
/* Notes a manifest that was found good at version, unless its generation
 * went back; store_lock() is held. */
int token_generation(struct token *t, const struct manifest *m,
    uint64_t version, struct why *reterr_why) _must_check_;
/* mark.c: raises the marks in memory, which never go back; store_lock() is
 * held. True when they changed. */
bool token_raise_marks(struct token *t, int64_t time, const struct seen *seen);
/* The other way, to what is going to be written. */
bool token_add_marks(const struct token *t, struct manifest *m);
/* Checks metadata and manifest under a token key not kept yet; l, when not
 * NULL, gets the rows of *ret_version. */
int token_verify(struct token *t, const struct secret *token_key,
    struct object_load *l, uint64_t *ret_version,
    struct why *reterr_why) _must_check_;
/* A commit of this process that left every row as it was; store_lock() is
 * held. before was read in the transaction. */
void token_note_commit(struct token *t, uint64_t before);
/* Is this the private key of the token? Needs the token key. */
int token_verify_private(struct token *t, const struct secret *private_key,
    struct why *reterr_why) _must_check_;

/* meta.c */
int meta_read(struct store *s, struct token_meta *ret,
    struct why *reterr_why) _must_check_;
/* Writes the metadata and what authenticates it and the private key. */
int meta_write(struct store *s, const struct token_meta *m,
    const struct secret *token_key, const struct secret *private_key,
    struct why *reterr_why) _must_check_;
/* CVM_E_CORRUPT when m is not what was written; private_key NULL: unknown. */
int meta_verify(struct store *s, const struct token_meta *m,
    const struct secret *token_key, const struct secret *private_key,
    struct why *reterr_why) _must_check_;
/* Legal label: 1 to 32 printable ASCII characters, no colon, trailing blanks
 * cut off. */
int meta_label(const char *label, char out[static CONFIG_LABEL_MAX + 1],
    struct why *reterr_why) _must_check_;

/* manifest.c: one authenticated sum over all rows. */
#define MANIFEST_SUM_LEN 32
struct manifest {
	uint64_t generation, objects, seals;
	int64_t time;	  /* newest that verified collateral had, or 0 */
	struct seen seen; /* newest issue of each list; names are not kept */
	uint8_t sum[MANIFEST_SUM_LEN];
};
struct manifest_mac; /* the keyed hash of rows, ready */
int manifest_mac_new(const uint8_t token_id[static TOKEN_ID_LEN],
    const struct secret *token_key, struct manifest_mac **ret) _must_check_;
void manifest_mac_freep(struct manifest_mac **m);
int manifest_read(struct store *s, const uint8_t id[static TOKEN_ID_LEN],
    const struct secret *token_key, struct manifest *ret,
    struct why *reterr_why) _must_check_;
/* Writes it with the next generation. */
int manifest_write(struct store *s, const uint8_t id[static TOKEN_ID_LEN],
    const struct secret *token_key, struct manifest *m,
    struct why *reterr_why) _must_check_;
/* Adds (or takes away) a row. */
int manifest_object(struct manifest *m, struct manifest_mac *mac,
    const struct store_object *o, bool add) _must_check_;
int manifest_seal(struct manifest *m, struct manifest_mac *mac,
    const struct store_seal *s, bool add) _must_check_;
/* Sums up the whole store and compares; in a transaction. fn, when not NULL,
 * is called for each object row as it is read: what it notes is to be
 * forgotten when this fails. */
int manifest_verify(struct store *s, const uint8_t id[static TOKEN_ID_LEN],
    const struct secret *token_key,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct manifest *ret, struct why *reterr_why) _must_check_;

/* pin.c */
/* A new PIN: PIN_LEN_MIN to PIN_LEN_MAX bytes of UTF-8 without controls. */
int pin_check(struct span pin, struct why *reterr_why) _must_check_;
/* Counts a try before it is made: CVM_E_PIN_LOCKED when none is left. */
int pin_begin(struct token *t, bool so, struct why *reterr_why) _must_check_;
/* What became of the try: success clears the count, CVM_E_PIN_INCORRECT
 * leaves it, anything else gives the try back. Returns err. */
int pin_end(struct token *t, bool so, int err, struct why *reterr_why);
int pin_tries(struct store *s, bool so, uint32_t *ret,
    struct why *reterr_why) _must_check_;
int pin_set_tries(struct store *s, bool so, uint32_t tries,
    struct why *reterr_why) _must_check_;

/* seals.c: the seals of a token, as a set. */
/* CVM_E_UNSUPPORTED for a policy without "tpm": nothing can be sealed. */
int seals_need_tpm(const struct seal_scope *sc,
    struct why *reterr_why) _must_check_;
/* Opens the first tpm seal of that purpose that fits; auth NULL: one without
 * PIN. CVM_E_PIN_UNSET: there is no seal with a PIN. */
int seals_open(struct token *t, const struct seal_scope *sc,
    enum seal_purpose purpose, const struct secret *auth,
    struct secret **ret_key, struct why *reterr_why) _must_check_;
/* Makes a tpm seal for each PCR set of the policy, or only for those that
 * only_sets_of has a token seal for, and appends it to l. */
int seals_make(const uint8_t id[static TOKEN_ID_LEN],
    const struct seal_scope *sc, const struct store_seals *only_sets_of,
    enum seal_purpose purpose, const struct secret *key,
    const struct secret *auth, struct store_seals *l,
    struct why *reterr_why) _must_check_;
/* Moves one seal to the end of l. */
int seals_append(struct store_seals *l, struct store_seal *seal) _must_check_;
/* In one transaction: deletes what drop() picks, adds l, clears the counts
 * of wrong PINs that are asked for. Needs the token key. What is refused when
 * drop() picks nothing is *none; none and ret_dropped may be NULL. */
struct seals_change {
	bool (*drop)(const struct store_seal *s, const void *arg);
	const void *arg;
	const struct why *none;
	size_t *ret_dropped;
	const struct store_seals *add;
	bool clear_user, clear_so;
};
int seals_change(struct token *t, const struct permit *p,
    const struct seals_change *ch, struct why *reterr_why) _must_check_;
bool seal_has_pin(const struct store_seal *s);

/* init.c */
int recovery_new(struct secret **ret) _must_check_;
/* Appends the seals of a recovery code to l. */
int recovery_seals(const uint8_t id[static TOKEN_ID_LEN],
    const struct secret *code, const struct secret *token_key,
    const struct secret *private_key, struct store_seals *l,
    struct why *reterr_why) _must_check_;

#endif
