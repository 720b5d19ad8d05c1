/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_OP_IMPL_H
#define TOKEN_OP_IMPL_H

#include "token/digest_state.h"
#include "token/keys.h"
#include "token/mech.h"

/*
 * An operation and the family of mechanisms that carries it out. Input of
 * several parts is streamed where the family can; otherwise, and while there
 * is no permit to bring the key in, it is held and given to once() at the end.
 */
#define OP_HELD_MAX SECRET_MAX

struct op {
	enum op_kind kind;
	CK_FLAGS use; /* CKF_SIGN..., also CKF_WRAP and CKF_UNWRAP */
	const struct mech *mech;
	const struct op_ops *ops;
	struct token *token;
	struct object *object;
	struct mech_params params;
	struct permit permit; /* of op_new() or op_admit() */
	bool secret_key;      /* uses need a permit */
	bool begun;	      /* the key is in */
	bool armed;	      /* and the parameter, too: ops->arm() */
	uint64_t mark;	      /* when object had its handle; 0: not known */
	bool parts;	      /* op_update() was called */
	struct prepared *key;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;	    /* of key */
	EVP_MD_CTX *md;		    /* of streamed input */
	struct digest_state *state; /* in its place, where it can be saved */
	uint64_t streamed;	    /* bytes given to the cipher */
	struct secret *held;
	size_t held_len;
	struct span sig; /* verification */
	uint8_t *tag;	 /* op_set_tag() */
	EVP_MD_CTX *input_md;
};

struct op_ops {
	/* Brings the key in; p is valid for secret keys, NULL for others. */
	int (*begin)(struct op *op, const struct permit *p, struct why *why);
	/* What op->key is set up for, as a prepared operation's tag. Where
	 * it is neither NULL nor gives 0, the operation may rest between
	 * messages: it waits for nothing but what arm() brings in. */
	uint64_t (*tag)(const struct op *op);
	/* Brings the parameter in, before the first input; NULL: nothing. */
	int (*arm)(struct op *op);
	/* Upper bound of what once() or final() writes for held plus in. */
	size_t (*bound)(const struct op *op, size_t in);
	/* The same for update(). */
	size_t (*update_bound)(const struct op *op, size_t in);
	/* Streams; NULL: held. *len is the room in, the length out. */
	int (*update)(struct op *op, struct span in, uint8_t *out, size_t *len);
	int (*final)(struct op *op, uint8_t *out, size_t *len);
	/* The whole in one call. CVM_E_BUFFER_TOO_SMALL with the right *len
	 * leaves the operation as it was. */
	int (*once)(struct op *op, struct span in, uint8_t *out, size_t *len);
	/* update() works without the key: hashing. */
	bool keyless;
	/* The parser sets all that matters here with each parameter, as
	 * mech_params_again() wants it. */
	bool rereads;
	/* Whether this operation streams at all; NULL: it does. */
	bool (*streams)(const struct op *op);
	/* bound() may be more than is needed: room below it is no error. */
	bool inexact;
	/* Where once() succeeds OpenSSL has queued no error. */
	bool silent;
	/* With the key in, once() fails by no input and by no lack of memory:
	 * only where OpenSSL is broken. NULL: it may. */
	bool (*sure)(const struct op *op);
	/* How much input can make sense; NULL: OP_HELD_MAX. */
	size_t (*held_max)(const struct op *op);
};

/* op_rsa.c: RSA encryption and decryption, set up in op->key. */
int rsa_crypt_begin(struct op *op, const struct permit *p,
    struct why *why) _must_check_;

/* As op_new(), for a use that need not be kind's own. */
int op_start(struct token *t, const struct config_token *cfg, enum op_kind kind,
    CK_FLAGS use, const CK_MECHANISM *mech, struct object *o,
    const struct permit *p, struct op **ret,
    struct why *reterr_why) _must_check_;

/* A prepared operation with an asymmetric key out of the key's cache, or a new
 * one that init sets up with it. */
int op_prepare(struct op *op, const struct permit *p, uint64_t tag,
    int (*init)(struct op *op, struct prepared *k, EVP_PKEY *pkey),
    struct why *reterr_why) _must_check_;
/* For init: k->pctx, with the key in it. */
int op_prepare_pctx(struct prepared *k, EVP_PKEY *pkey) _must_check_;

/* The same for a secret key: init makes k->cipher or k->mac with the key and
 * nothing of one message, unless tag is 0; op->cipher and op->mac are then the
 * prepared ones. */
int op_prepare_secret(struct op *op, const struct permit *p, uint64_t tag,
    int (*init)(struct op *op, struct prepared *k, struct span key),
    struct why *reterr_why) _must_check_;

#endif
