/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/rsa.h>
#include <string.h>

#include "token/op_impl.h"
#include "token/rsa_unpad.h"

/*
 * RSA encryption. Every failure to decrypt is one error, whatever OpenSSL
 * says; with CKM_RSA_PKCS there is none at all (token/rsa_unpad.h).
 */

static size_t
modulus_len(const struct op *op)
{
	return (op->object->key_size + 7) / 8;
}

static bool
is_oaep(const struct op *op)
{
	return op->mech->type == CKM_RSA_PKCS_OAEP ||
	    op->mech->type == CKM_RSA_AES_KEY_WRAP;
}

/* The longest message: of all lengths for encryption, k. */
static size_t
message_max(const struct op *op)
{
	size_t k = modulus_len(op), over = 0;

	if (op->mech->type == CKM_RSA_PKCS)
		over = 11;
	else if (is_oaep(op))
		over = 2 * digest_len(op->params.hash) + 2;
	return k > over ? k - over : 0;
}

static size_t
rsa_bound(const struct op *op, size_t in)
{
	(void)in;
	return op->kind == OP_ENCRYPT ? modulus_len(op) : message_max(op);
}

static size_t
rsa_held_max(const struct op *op)
{
	return modulus_len(op);
}

static int
set_oaep(const struct op *op, EVP_PKEY_CTX *ctx)
{
	const struct mech_params *p = &op->params;
	void *label = NULL;

	if (message_max(op) == 0 || message_max(op) < p->aes_bits / 8)
		return CVM_E_MECH_PARAM;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, digest_get(p->hash)) != 1 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest_get(p->mgf)) != 1)
		return CVM_E_CRYPTO;
	if (p->aad.len == 0)
		return CVM_OK;
	label = OPENSSL_memdup(p->aad.data, p->aad.len);
	if (label == NULL)
		return CVM_E_NOMEM;
	if (EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)p->aad.len) !=
	    1) {
		OPENSSL_free(label);
		return CVM_E_CRYPTO;
	}
	return CVM_OK;
}

static int
rsa_init(struct op *op, struct prepared *k, EVP_PKEY *pkey)
{
	bool encrypt = op->kind == OP_ENCRYPT;
	int padding = encrypt && op->mech->type == CKM_RSA_PKCS ?
	    RSA_PKCS1_PADDING :
	    RSA_NO_PADDING;
	int err = op_prepare_pctx(k, pkey);

	if (err != CVM_OK)
		return err;
	if ((encrypt ? EVP_PKEY_encrypt_init(k->pctx) :
		       EVP_PKEY_decrypt_init(k->pctx)) != 1)
		return CVM_E_CRYPTO;
	if (is_oaep(op))
		return set_oaep(op, k->pctx);
	return EVP_PKEY_CTX_set_rsa_padding(k->pctx, padding) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

/* A label is not part of the tag: such a context is used once. */
static uint64_t
rsa_tag(const struct op *op)
{
	const struct mech_params *p = &op->params;

	if (p->aad.len > 0)
		return 0;
	return (uint64_t)op->mech->type << 40 | (uint64_t)(p->mgf + 1) << 16 |
	    (uint64_t)(p->hash + 1) << 8 | (op->kind == OP_ENCRYPT ? 3 : 4);
}

int
rsa_crypt_begin(struct op *op, const struct permit *p, struct why *why)
{
	int err = op_prepare(op, p, rsa_tag(op), rsa_init, why);

	if (err == CVM_E_MECH_PARAM)
		return why_setf(why, err, op->mech->name, "hashAlg",
		    "a hash that the modulus has room for twice",
		    "a modulus of %zu bytes", modulus_len(op));
	return err;
}

static int
rsa_encrypt(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	uint8_t padded[RSA_BYTES_MAX] = { 0 };
	size_t k = modulus_len(op);
	int ok;

	if (in.len > message_max(op))
		return CVM_E_DATA_LEN;
	if (*len < k) {
		*len = k;
		return CVM_E_BUFFER_TOO_SMALL;
	}
	if (op->mech->type == CKM_RSA_X_509 && in.len < k) {
		if (in.len > 0)
			memcpy(&padded[k - in.len], in.data, in.len);
		in = span(padded, k);
	}
	ok = EVP_PKEY_encrypt(op->key->pctx, out, len, in.data, in.len) == 1;
	secret_wipe(padded, sizeof(padded));
	if (ok)
		return CVM_OK;
	/* Of data, only a number above the modulus can fail here. */
	return op->mech->type == CKM_RSA_X_509 ? CVM_E_DATA_INVALID :
						 CVM_E_CRYPTO;
}

/* PKCS#1 v1.5: raw, then unpadded here. */
static int
unpad(struct op *op, struct span in, uint8_t *em, size_t *len)
{
	struct prepared *key = op->key;
	uint8_t copy[RSA_BYTES_MAX];
	size_t k = modulus_len(op);
	int err = CVM_OK;

	if (!key->has_rejection)
		err = rsa_rejection_key(EVP_PKEY_CTX_get0_pkey(key->pctx), k,
		    key->rejection);
	if (err != CVM_OK)
		return err;
	key->has_rejection = true;
	memcpy(copy, em, k);
	err = rsa_unpad(key->rejection, in, span(copy, k), em, len);
	secret_wipe(copy, sizeof(copy));
	return err;
}

static int
give_plain(const uint8_t *plain, size_t n, uint8_t *out, size_t *len)
{
	size_t room = *len;

	*len = n;
	if (n > room)
		return CVM_E_BUFFER_TOO_SMALL;
	memcpy(out, plain, n);
	return CVM_OK;
}

static int
rsa_decrypt(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	uint8_t plain[RSA_BYTES_MAX];
	size_t n = sizeof(plain);
	int err = CVM_OK;

	if (in.len != modulus_len(op))
		return CVM_E_ENCRYPTED_LEN;
	if (EVP_PKEY_decrypt(op->key->pctx, plain, &n, in.data, in.len) != 1)
		err = CVM_E_ENCRYPTED_INVALID;
	if (err == CVM_OK && op->mech->type == CKM_RSA_PKCS)
		err = unpad(op, in, plain, &n);
	if (err == CVM_OK)
		err = give_plain(plain, n, out, len);
	secret_wipe(plain, sizeof(plain));
	return err;
}

static int
rsa_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	return op->kind == OP_ENCRYPT ? rsa_encrypt(op, in, out, len) :
					rsa_decrypt(op, in, out, len);
}

const struct op_ops op_rsa_crypt = {
	.begin = rsa_crypt_begin,
	.tag = rsa_tag,
	.bound = rsa_bound,
	.once = rsa_once,
	.inexact = true,
	.held_max = rsa_held_max,
};
