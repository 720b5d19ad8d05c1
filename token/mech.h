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
#define KDF_PARTS_MAX 16
#define KDF_MORE_MAX 16
/* More would be a way to keep a worker busy for minutes. */
#define PBKDF2_ITERATIONS_MAX 10000000

/* SP 800-108: what the PRF reads, in order. */
struct kdf_part {
	CK_ULONG type; /* CK_SP800_108_... */
	size_t len;    /* BYTE_ARRAY: its share of mech_params.aad */
	uint8_t width; /* numbers: bytes, 1 to 8 */
	bool little;   /* numbers: the lowest byte comes first */
	bool segments; /* DKM_LENGTH: of whole PRF outputs */
};

/* SP 800-108: a key beside the one that C_DeriveKey names. Template and handle
 * are the application's, for the time of the call. */
struct kdf_key {
	const CK_ATTRIBUTE *templ;
	CK_ULONG n;
	CK_OBJECT_HANDLE *ret;
	size_t len; /* of the template, which token_derive() reads */
};

/* A parameter, checked and copied: the application's memory is its own. */
struct mech_params {
	enum digest hash, mgf; /* PSS, OAEP; hash: of PRF or KDF, too */
	CK_ULONG salt_len;     /* PSS */
	CK_ULONG tag_len;      /* AEADs, general MACs: bytes */
	CK_ULONG data_len;     /* CCM: bytes of plain text */
	CK_ULONG counter_bits; /* CTR */
	CK_ULONG kdf;	       /* ECDH1: CKD_... */
	CK_ULONG aes_bits;     /* RSA_AES: the key between */
	CK_ULONG iterations;   /* PBKDF2 */
	bool prehash, deterministic;
	bool given;	      /* EdDSA: there is a parameter */
	bool extract, expand; /* HKDF */
	CK_ULONG salt_type;   /* HKDF: CKF_HKDF_SALT_... */
	CK_OBJECT_HANDLE salt_key;
	struct object *salt;	 /* of that handle, checked: token_derive()'s */
	struct secret *password; /* PBKDF2 */
	struct kdf_part *parts;	 /* SP 800-108 */
	size_t n_parts;
	struct kdf_key *more; /* SP 800-108 */
	size_t n_more;
	struct blob iv;	     /* IV, nonce, counter block, salt; ECDH1: point */
	struct blob aad;     /* additional data; OAEP: label; ECDH1: shared;
			    HKDF: info; SP 800-108: byte arrays */
	struct blob encoded; /* what an operation is bound to */
	bool bound;	     /* encoded was asked for */
};

void mech_params_clear(struct mech_params *p);
/* CVM_E_MECH_PARAM; why names the mechanism and the member. bound: with the
 * encoding, which only a use that is bound to its parameter pays for. */
int mech_params_read(const CK_MECHANISM *in, const struct mech *m, bool bound,
    struct mech_params *ret, struct why *reterr_why) _must_check_;

/*
 * The same into the parameters of an earlier one for the same mechanism,
 * unbound both, whose memory it takes again. Of a mechanism whose parser sets
 * all members that matter to it whenever there is a parameter, as those of
 * signatures, MACs and authenticated encryption do.
 */
int mech_params_again(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *p, struct why *reterr_why) _must_check_;

/* SHA-256 of the encoding that attest/PROTOCOL.md gives. CVM_E_INVAL where it
 * was not asked for. */
int mech_params_digest(const struct mech_params *p,
    uint8_t out[static SHA256_LEN]) _must_check_;

/* Parsers: each checks, copies, and writes the encoding to w. */
typedef int mech_parse(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why);
mech_parse parse_none, parse_pss, parse_oaep, parse_iv16, parse_ctr, parse_gcm,
    parse_ccm, parse_gmac, parse_chacha, parse_mac_len, parse_eddsa,
    parse_context, parse_wrap_iv, parse_rsa_aes, parse_ecdh1, parse_hkdf,
    parse_sp800_counter, parse_pbkdf2;

/* Between the files of the parsers. CVM_E_MECH_PARAM with the member, and the
 * received value formatted. */
int param_refuse(struct why *why, const struct mech *m, const char *field,
    const char *expected, const char *fmt, ...) _printf_(5, 6);
/* A fixed structure; a copy, for alignment is the application's too. */
int param_struct(const CK_MECHANISM *in, const struct mech *m, void *out,
    size_t len, struct why *why) _must_check_;
int param_bytes(const struct mech *m, const char *field, const void *data,
    CK_ULONG len, size_t max, struct blob *ret, struct why *why) _must_check_;

struct op_ops;

struct mech_ops {
	mech_parse *parse;
	const struct op_ops *sign;  /* and verify; or NULL */
	const struct op_ops *crypt; /* encrypt, digest, wrap...; or NULL */
	/* Key generation. The attributes are those of the templates. */
	int (*pair)(const struct config_token *cfg, const struct mech *m,
	    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why);
	int (*key)(const struct mech *m, const struct mech_params *params,
	    CK_KEY_TYPE type, struct attrs *a, struct secret **ret,
	    struct why *reterr_why);
	/* Derivation of a value of at most want bytes; 0: what comes. Behind it
	 * are the values of params->more, each of its length. */
	int (*derive)(struct token *t, const struct caller *c,
	    struct object *base, const struct mech_params *params, size_t want,
	    struct secret **ret, struct why *reterr_why);
	/* Key types beside the row's own, NO_KEY at the end; or NULL. */
	const CK_KEY_TYPE *also;
	/* Generation: of any kind of secret key that a template names. */
	bool any_secret;
	/* Derivation: of a data object. */
	bool data;
	/* Derivation: a key that does not say how open it is, is so as its base
	 * key is. */
	bool as_base;
	/* Flags of what is done and not advertised. */
	CK_FLAGS unsaid;
};

#define NO_KEY CK_UNAVAILABLE_INFORMATION

extern const struct op_ops op_hash_sign, op_raw_sign, op_message, op_mac,
    op_rsa_crypt, op_rsa_aes, op_cipher, op_aead, op_ccm, op_digest,
    op_key_wrap;

/* generate.c, pbkdf2.c, derive.c, derive_kdf.c */
int generate_rsa(const struct config_token *cfg, const struct mech *m,
    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why) _must_check_;
int generate_ec(const struct config_token *cfg, const struct mech *m,
    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why) _must_check_;
int generate_pqc(const struct config_token *cfg, const struct mech *m,
    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why) _must_check_;
/* How long a secret key of a template is to be. */
int generate_len(CK_KEY_TYPE type, const struct attrs *a, size_t *ret,
    struct why *reterr_why) _must_check_;
int generate_secret(const struct mech *m, const struct mech_params *params,
    CK_KEY_TYPE type, struct attrs *a, struct secret **ret,
    struct why *reterr_why) _must_check_;
int generate_pbkdf2(const struct mech *m, const struct mech_params *params,
    CK_KEY_TYPE type, struct attrs *a, struct secret **ret,
    struct why *reterr_why) _must_check_;
int derive_ecdh(struct token *t, const struct caller *c, struct object *base,
    const struct mech_params *params, size_t want, struct secret **ret,
    struct why *reterr_why) _must_check_;
int derive_hkdf(struct token *t, const struct caller *c, struct object *base,
    const struct mech_params *params, size_t want, struct secret **ret,
    struct why *reterr_why) _must_check_;
int derive_sp800_counter(struct token *t, const struct caller *c,
    struct object *base, const struct mech_params *params, size_t want,
    struct secret **ret, struct why *reterr_why) _must_check_;

/* The flags that the configuration leaves. */
CK_FLAGS mech_flags(const struct config_token *cfg, const struct mech *m);
/* Whether keys of this type are for m, and whether m generates such. */
bool mech_takes(const struct mech *m, CK_KEY_TYPE type);
bool mech_makes(const struct mech *m, CK_KEY_TYPE type);
/* Mechanism, use (CKF_...), class, type, size, usage attribute and
 * CKA_ALLOWED_MECHANISMS of a key. */
int mech_check_key(const struct config_token *cfg, const struct mech *m,
    CK_FLAGS use, const struct object *o, struct why *reterr_why) _must_check_;
/* Fills why with the mechanism's name and returns err. */
int mech_refuse(struct why *why, int err, const struct mech *m,
    const char *field, const char *expected, const char *got);

#endif
