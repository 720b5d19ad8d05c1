/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>

#include "token/op_impl.h"

/*
 * EdDSA (RFC 8032), ML-DSA (FIPS 204) and SLH-DSA (FIPS 205) sign the message
 * itself, in one call: parts are held. Contexts, pre-hashing and signatures
 * without randomness are had where OpenSSL has them.
 */
#define PARAM_INSTANCE "instance"
#define PARAM_CONTEXT "context-string"
#define PARAM_DETERMINISTIC "deterministic"

static bool
is_eddsa(const struct op *op)
{
	return op->mech->key_type == CKK_EC_EDWARDS;
}

static size_t
message_bound(const struct op *op, size_t in)
{
	const struct param_set *set;

	(void)in;
	if (is_eddsa(op))
		return op->object->key_size > 256 ? 114 : 64;
	set = param_set_find(op->object->key_type, &op->object->attrs);
	return set == NULL ? 0 : set->out_len;
}

/* The name of what the parameter asks for; NULL: the plain signature. */
static const char *
instance(const struct op *op)
{
	bool large = op->object->key_size > 256;

	if (!is_eddsa(op) || !op->params.given)
		return NULL;
	if (op->params.prehash)
		return large ? "Ed448ph" : "Ed25519ph";
	/* Ed448 has a context always, if an empty one. */
	if (large)
		return op->params.aad.len > 0 ? "Ed448" : NULL;
	return "Ed25519ctx";
}

#define PARAMS_MAX 4

static size_t
collect(const struct op *op, int *flag, OSSL_PARAM v[static PARAMS_MAX])
{
	union {
		const char *in;
		char *out;
	} u = { .in = instance(op) };
	size_t n = 0;

	if (u.in != NULL)
		v[n++] = OSSL_PARAM_construct_utf8_string(PARAM_INSTANCE, u.out,
		    0);
	if (op->params.aad.len > 0)
		v[n++] = OSSL_PARAM_construct_octet_string(PARAM_CONTEXT,
		    op->params.aad.data, op->params.aad.len);
	if (op->params.deterministic && op->kind == OP_SIGN)
		v[n++] = OSSL_PARAM_construct_int(PARAM_DETERMINISTIC, flag);
	v[n] = OSSL_PARAM_construct_end();
	return n;
}

/* What OpenSSL would not know it would ignore: ask before. */
static bool
settable(EVP_PKEY_CTX *ctx, const OSSL_PARAM *v)
{
	const OSSL_PARAM *known = EVP_PKEY_CTX_settable_params(ctx);

	for (; v->key != NULL; v++)
		if (known == NULL ||
		    OSSL_PARAM_locate_const(known, v->key) == NULL)
			return false;
	return true;
}

/* Ed25519ctx without a context is not to be (RFC 8032 section 8.3). */
static bool
lacks_context(const struct op *op)
{
	const struct mech_params *p = &op->params;

	return is_eddsa(op) && op->object->key_size <= 256 && p->given &&
	    !p->prehash && p->aad.len == 0;
}

static int
set_params(const struct op *op, EVP_PKEY_CTX *ctx)
{
	int one = 1;
	OSSL_PARAM v[PARAMS_MAX];

	if (collect(op, &one, v) == 0)
		return CVM_OK;
	return settable(ctx, v) && EVP_PKEY_CTX_set_params(ctx, v) == 1 ?
	    CVM_OK :
	    CVM_E_MECH_PARAM;
}

/* pkey NULL: the context has its key, and did a message with it. */
static int
set_up(const struct op *op, EVP_MD_CTX *md, EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *ctx = NULL; /* belongs to md */
	int ok;

	if (op->kind == OP_SIGN)
		ok = EVP_DigestSignInit_ex(md, &ctx, /* mdname= */ NULL,
		    crypto_libctx(), NULL, pkey, NULL);
	else
		ok = EVP_DigestVerifyInit_ex(md, &ctx, /* mdname= */ NULL,
		    crypto_libctx(), NULL, pkey, NULL);
	return ok == 1 ? set_params(op, ctx) : CVM_E_CRYPTO;
}

static int
message_init(struct op *op, struct prepared *k, EVP_PKEY *pkey)
{
	int err = lacks_context(op) ? CVM_E_MECH_PARAM : CVM_OK;

	k->md = EVP_MD_CTX_new();
	if (k->md == NULL)
		return CVM_E_NOMEM;
	return err == CVM_OK ? set_up(op, k->md, pkey) : err;
}

/* A context string is not part of the tag: such a one is used once. */
static uint64_t
message_tag(const struct op *op)
{
	const struct mech_params *p = &op->params;

	if (p->aad.len > 0)
		return 0;
	return (uint64_t)op->mech->type << 40 | (p->given ? 0x10u : 0) |
	    (p->prehash ? 0x20u : 0) | (p->deterministic ? 0x40u : 0) |
	    (op->kind == OP_SIGN ? 1u : 2u);
}

static int
message_begin(struct op *op, const struct permit *p, struct why *why)
{
	int err = op_prepare(op, p, message_tag(op), message_init, why);

	if (err == CVM_E_MECH_PARAM)
		return mech_refuse(why, err, op->mech, "parameter",
		    "what the OpenSSL of this machine can do", "more");
	return err;
}

static int
message_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	struct prepared *k = op->key;
	int err = CVM_OK;

	if (op->kind == OP_VERIFY && op->sig.len != message_bound(op, 0))
		return CVM_E_SIGNATURE_LEN;
	/* Newer OpenSSL ends a context with its message. */
	if (k->used)
		err = set_up(op, k->md, /* pkey= */ NULL);
	if (err != CVM_OK)
		return err;
	k->used = true;
	if (op->kind == OP_SIGN)
		return EVP_DigestSign(k->md, out, len, in.data, in.len) == 1 ?
		    CVM_OK :
		    CVM_E_CRYPTO;
	return EVP_DigestVerify(k->md, op->sig.data, op->sig.len, in.data,
		   in.len) == 1 ?
	    CVM_OK :
	    CVM_E_SIGNATURE_INVALID;
}

const struct op_ops op_message = {
	.begin = message_begin,
	.tag = message_tag,
	.bound = message_bound,
	.once = message_once,
};
