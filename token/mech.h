/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_MECH_H
#define TOKEN_MECH_H

#include "base/reader.h"
#include "token/ciphers.h"
#include "token/object_impl.h"
#include "token/op.h"

/*
 * Behind the table of mechanisms: how a mechanism's parameter is read, and
 * what the mechanism does.
 */
#define PARAM_BYTES_MAX 4096

/* A parameter, checked and copied: the application's memory is its own. */
struct mech_params {
	enum digest hash, mgf; /* PSS, OAEP */
	CK_ULONG salt_len;     /* PSS */
	CK_ULONG tag_len;      /* GCM, general MACs: bytes */
	CK_ULONG counter_bits; /* CTR */
	CK_ULONG kdf;	       /* ECDH1: CKD_... */
	bool given;	       /* EdDSA: there is a parameter */
	struct blob iv;	       /* IV, nonce, counter block; ECDH1: point */
	struct blob aad;       /* additional data; OAEP: label; ECDH1: shared */
	/* SHA-256 of the encoding that attest/PROTOCOL.md gives. */
	uint8_t digest[SHA256_LEN];
};

void mech_params_clear(struct mech_params *p);
/* CVM_E_MECH_PARAM; why names the mechanism and the member. */
int mech_params_read(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct why *reterr_why) _must_check_;

/* Parsers: each checks, copies, and writes the encoding to w. */
typedef int mech_parse(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why);
mech_parse parse_none, parse_pss, parse_oaep, parse_iv16, parse_ctr, parse_gcm,
    parse_mac_len, parse_eddsa, parse_wrap_iv, parse_ecdh1;

struct op_ops;

struct mech_ops {
	mech_parse *parse;
	const struct op_ops *sign;  /* and verify; or NULL */
	const struct op_ops *crypt; /* encrypt, digest, wrap...; or NULL */
	/* Key generation. The attributes are those of the templates. */
	int (*pair)(const struct config_token *cfg, const struct mech *m,
	    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why);
	int (*key)(const struct mech *m, CK_KEY_TYPE type, struct attrs *a,
	    struct secret **ret, struct why *reterr_why);
	/* Derivation of a value of at most want bytes; 0: what comes. */
	int (*derive)(struct token *t, struct object *base,
	    const struct permit *p, const struct mech_params *params,
	    size_t want, struct secret **ret, struct why *reterr_why);
};

extern const struct op_ops op_hash_sign, op_raw_sign, op_eddsa, op_mac,
    op_rsa_crypt, op_cipher, op_aead, op_digest, op_key_wrap;

/* generate.c, derive.c */
int generate_rsa(const struct config_token *cfg, const struct mech *m,
    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why) _must_check_;
int generate_ec(const struct config_token *cfg, const struct mech *m,
    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why) _must_check_;
int generate_secret(const struct mech *m, CK_KEY_TYPE type, struct attrs *a,
    struct secret **ret, struct why *reterr_why) _must_check_;
int derive_ecdh(struct token *t, struct object *base, const struct permit *p,
    const struct mech_params *params, size_t want, struct secret **ret,
    struct why *reterr_why) _must_check_;

/* The flags that the configuration leaves. */
CK_FLAGS mech_flags(const struct config_token *cfg, const struct mech *m);
/* Whether keys of this type are for m: HMAC takes generic secrets too. */
bool mech_takes(const struct mech *m, CK_KEY_TYPE type);
/* Mechanism, use (CKF_...), class, type, size, usage attribute and
 * CKA_ALLOWED_MECHANISMS of a key. */
int mech_check_key(const struct config_token *cfg, const struct mech *m,
    CK_FLAGS use, const struct object *o, struct why *reterr_why) _must_check_;
/* Fills why with the mechanism's name and returns err. */
int mech_refuse(struct why *why, int err, const struct mech *m,
    const char *field, const char *expected, const char *got);

#endif
