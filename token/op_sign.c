/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/rsa.h>
#include <string.h>

#include "token/ecdsa.h"
#include "token/op_impl.h"

/*
 * Signatures with RSA and ECDSA: over data, or over data that are hashed here
 * first. The EVP context is set up once per key and mechanism and used again.
 */
#define ECDSA_INPUT_MAX 512

static bool
is_ec(const struct op *op)
{
	return op->mech->key_type == CKK_EC;
}

static size_t
signature_len(const struct op *op)
{
	size_t bytes = (op->object->key_size + 7) / 8;

	return is_ec(op) ? 2 * bytes : bytes;
}

static size_t
sign_bound(const struct op *op, size_t in)
{
	(void)in;
	return signature_len(op);
}

static int
set_pss(const struct op *op, EVP_PKEY_CTX *ctx)
{
	const struct mech_params *p = &op->params;
	size_t em = (op->object->key_size + 6) / 8;

	/* RFC 8017 section 9.1.1: emLen >= hLen + sLen + 2. */
	if (digest_len(p->hash) + p->salt_len + 2 > em)
		return CVM_E_MECH_PARAM;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, digest_get(p->hash)) != 1 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest_get(p->mgf)) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, (int)p->salt_len) != 1)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

static int
set_scheme(const struct op *op, EVP_PKEY_CTX *ctx)
{
	const EVP_MD *md = digest_get((enum digest)op->mech->digest);
	int padding = op->mech->type == CKM_RSA_X_509 ? RSA_NO_PADDING :
							RSA_PKCS1_PADDING;

	if (op->params.hash != DIGEST_NONE)
		return set_pss(op, ctx);
	if (!is_ec(op) && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) != 1)
		return CVM_E_CRYPTO;
	if (md != NULL && EVP_PKEY_CTX_set_signature_md(ctx, md) != 1)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

static int
sign_init(struct op *op, struct prepared *k, EVP_PKEY *pkey)
{
	int err = op_prepare_pctx(k, pkey), ok;

	if (err != CVM_OK)
		return err;
	k->md = EVP_MD_CTX_new();
	if (k->md == NULL)
		return CVM_E_NOMEM;
	ok = op->kind == OP_SIGN ? EVP_PKEY_sign_init(k->pctx) :
				   EVP_PKEY_verify_init(k->pctx);
	return ok == 1 ? set_scheme(op, k->pctx) : CVM_E_CRYPTO;
}

/* What a context is set up for; never 0. */
static uint64_t
sign_tag(const struct op *op)
{
	const struct mech_params *p = &op->params;

	return (uint64_t)op->mech->type << 40 |
	    (uint64_t)(p->salt_len & 0xffff) << 16 |
	    (uint64_t)(p->mgf + 1) << 8 | (uint64_t)(p->hash + 1) << 2 |
	    (op->kind == OP_SIGN ? 1 : 2);
}

static int
sign_begin(struct op *op, const struct permit *p, struct why *why)
{
	int err = op_prepare(op, p, sign_tag(op), sign_init, why);

	if (err == CVM_E_MECH_PARAM)
		return why_setf(why, err, op->mech->name, "sLen",
		    "what the modulus has room for beside the hash",
		    "%zu bytes", op->params.salt_len);
	return err;
}

/* The number that goes into the key operation when nothing is hashed here. */
static int
check_input(const struct op *op, size_t len)
{
	size_t k = (op->object->key_size + 7) / 8;

	if (op->params.hash != DIGEST_NONE)
		return len == digest_len(op->params.hash) ? CVM_OK :
							    CVM_E_DATA_LEN;
	if (is_ec(op))
		return len > 0 && len <= ECDSA_INPUT_MAX ? CVM_OK :
							   CVM_E_DATA_LEN;
	/* RFC 8017 section 9.2: eleven bytes of padding at least. */
	if (op->mech->type == CKM_RSA_PKCS)
		return len <= k - 11 ? CVM_OK : CVM_E_DATA_LEN;
	return len <= k ? CVM_OK : CVM_E_DATA_LEN;
}

static int
sign_input(struct op *op, struct span tbs, uint8_t *out, size_t *len)
{
	uint8_t der[ECDSA_DER_MAX];
	size_t n = is_ec(op) ? sizeof(der) : *len;

	if (EVP_PKEY_sign(op->key->pctx, is_ec(op) ? der : out, &n, tbs.data,
		tbs.len) != 1)
		return op->mech->type == CKM_RSA_X_509 ? CVM_E_DATA_INVALID :
							 CVM_E_CRYPTO;
	if (is_ec(op)) {
		*len = signature_len(op);
		return ecdsa_from_der(span(der, n), out, *len);
	}
	*len = n;
	return CVM_OK;
}

static int
verify_input(struct op *op, struct span tbs)
{
	uint8_t der[ECDSA_DER_MAX];
	struct span sig = op->sig;
	size_t n;

	if (sig.len != signature_len(op))
		return CVM_E_SIGNATURE_LEN;
	if (is_ec(op)) {
		n = ecdsa_to_der(sig, der);
		sig = span(der, n);
	}
	return EVP_PKEY_verify(op->key->pctx, sig.data, sig.len, tbs.data,
		   tbs.len) == 1 ?
	    CVM_OK :
	    CVM_E_SIGNATURE_INVALID;
}

static int
use_input(struct op *op, struct span tbs, uint8_t *out, size_t *len)
{
	uint8_t padded[RSA_BYTES_MAX];
	size_t k = signature_len(op);
	int err;

	/* CKM_RSA_X_509: zeros in front (PKCS#11 section 6.1.9). */
	if (op->mech->type == CKM_RSA_X_509) {
		memset(padded, 0, k);
		if (tbs.len > 0)
			memcpy(&padded[k - tbs.len], tbs.data, tbs.len);
		tbs = span(padded, k);
	}
	err = op->kind == OP_SIGN ? sign_input(op, tbs, out, len) :
				    verify_input(op, tbs);
	return err;
}

static int
hash_start(struct op *op, EVP_MD_CTX *md)
{
	return EVP_DigestInit_ex2(md, digest_get((enum digest)op->mech->digest),
		   /* params= */ NULL) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
hash_end(struct op *op, EVP_MD_CTX *md, uint8_t *out, size_t *len)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_DigestFinal_ex(md, digest, &n) != 1)
		return CVM_E_CRYPTO;
	return use_input(op, span(digest, n), out, len);
}

static int
sign_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	EVP_MD_CTX *md = op->key->md;
	int err;

	if (op->mech->digest == DIGEST_NONE) {
		err = check_input(op, in.len);
		return err == CVM_OK ? use_input(op, in, out, len) : err;
	}
	err = hash_start(op, md);
	if (err != CVM_OK)
		return err;
	if (in.len > 0 && EVP_DigestUpdate(md, in.data, in.len) != 1)
		return CVM_E_CRYPTO;
	return hash_end(op, md, out, len);
}

/* Hashing needs no key, so it may begin before the operation is admitted. */
static int
sign_update(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	int err;

	(void)out;
	*len = 0;
	if (op->md == NULL) {
		op->md = EVP_MD_CTX_new();
		if (op->md == NULL)
			return CVM_E_NOMEM;
		err = hash_start(op, op->md);
		if (err != CVM_OK)
			return err;
	}
	return in.len == 0 || EVP_DigestUpdate(op->md, in.data, in.len) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
sign_final(struct op *op, uint8_t *out, size_t *len)
{
	if (op->md == NULL)
		return sign_once(op, span("", 0), out, len);
	return hash_end(op, op->md, out, len);
}

static size_t
sign_held_max(const struct op *op)
{
	(void)op;
	return RSA_BYTES_MAX;
}

/* With a hash, input streams; without, it is short and held. */
const struct op_ops op_hash_sign = {
	.begin = sign_begin,
	.tag = sign_tag,
	.bound = sign_bound,
	.update = sign_update,
	.final = sign_final,
	.once = sign_once,
	.keyless = true,
	.rereads = true,
	.silent = true,
};

const struct op_ops op_raw_sign = {
	.begin = sign_begin,
	.tag = sign_tag,
	.bound = sign_bound,
	.once = sign_once,
	.rereads = true,
	.silent = true,
	.held_max = sign_held_max,
};
