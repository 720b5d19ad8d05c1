/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>
#include <string.h>

#include "token/op_impl.h"

/*
 * CKM_RSA_AES_KEY_WRAP (PKCS#11 section 6.1.25): a fresh AES key under
 * RSA-OAEP, then the key that is wrapped under that AES key (RFC 5649). It is
 * how a key too long for RSA travels.
 */

#define HALF 8

static size_t
modulus_len(const struct op *op)
{
	return (op->object->key_size + 7) / 8;
}

static size_t
rsa_aes_bound(const struct op *op, size_t in)
{
	size_t over = modulus_len(op) + HALF;

	if (op->kind == OP_DECRYPT)
		return in > over ? in - over : 0;
	return over + (in + HALF - 1) / HALF * HALF;
}

/* Key wrap with padding, one way or the other. OpenSSL writes up to two half
 * blocks more than it gives: out has room for them. */
static int
kwp(struct span key, bool encrypt, struct span in, uint8_t *out, size_t *ret)
{
	_cleanup_(evp_cipher_ctx_freep) EVP_CIPHER_CTX *ctx = NULL;
	const EVP_CIPHER *cipher = cipher_get(CIPHER_KWP, key.len);
	int n;

	if (cipher == NULL)
		return CVM_E_ENCRYPTED_INVALID;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return CVM_E_NOMEM;
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_CipherInit_ex2(ctx, cipher, key.data, /* iv= */ NULL, encrypt,
		/* params= */ NULL) != 1)
		return CVM_E_CRYPTO;
	if (EVP_CipherUpdate(ctx, out, &n, in.data, (int)in.len) != 1 || n <= 0)
		return encrypt ? CVM_E_CRYPTO : CVM_E_ENCRYPTED_INVALID;
	*ret = (size_t)n;
	return CVM_OK;
}

static int
wrap(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	_cleanup_(secret_freep) struct secret *aes = NULL;
	_cleanup_(secret_freep) struct secret *text = NULL;
	size_t k = modulus_len(op), first = k, second = 0;
	int err;

	if (in.len == 0 || in.len > OP_HELD_MAX - 4 * HALF)
		return CVM_E_DATA_LEN;
	aes = secret_new(op->params.aes_bits / 8);
	text = secret_new(in.len + 4 * HALF);
	if (aes == NULL || text == NULL)
		return CVM_E_NOMEM;
	err = random_bytes(secret_data(aes), secret_len(aes));
	if (err != CVM_OK)
		return err;
	if (EVP_PKEY_encrypt(op->key->pctx, out, &first, secret_data(aes),
		secret_len(aes)) != 1 ||
	    first != k)
		return CVM_E_CRYPTO;
	err = kwp(secret_span(aes), /* encrypt= */ true, in, secret_data(text),
	    &second);
	if (err != CVM_OK)
		return err;
	memcpy(&out[k], secret_data(text), second);
	*len = k + second;
	return CVM_OK;
}

/* What is wrong with either half is one error. */
static int
unwrap(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	_cleanup_(secret_freep) struct secret *text = NULL;
	uint8_t aes[RSA_BYTES_MAX];
	struct reader r = reader_init(in);
	struct span first = read_span(&r, modulus_len(op));
	struct span second = read_span(&r, reader_left(&r));
	size_t n = sizeof(aes), room = *len, got = 0;
	int err = CVM_OK;

	if (r.failed || second.len < 2 * HALF || second.len % HALF != 0 ||
	    second.len > OP_HELD_MAX)
		return CVM_E_ENCRYPTED_LEN;
	text = secret_new(second.len + 2 * HALF);
	if (text == NULL)
		return CVM_E_NOMEM;
	if (EVP_PKEY_decrypt(op->key->pctx, aes, &n, first.data, first.len) !=
		1 ||
	    n != op->params.aes_bits / 8)
		err = CVM_E_ENCRYPTED_INVALID;
	if (err == CVM_OK)
		err = kwp(span(aes, n), /* encrypt= */ false, second,
		    secret_data(text), &got);
	secret_wipe(aes, sizeof(aes));
	if (err != CVM_OK)
		return err;
	*len = got;
	if (got > room)
		return CVM_E_BUFFER_TOO_SMALL;
	memcpy(out, secret_data(text), got);
	return CVM_OK;
}

static int
rsa_aes_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	if (op->kind == OP_DECRYPT)
		return unwrap(op, in, out, len);
	if (*len < rsa_aes_bound(op, in.len)) {
		*len = rsa_aes_bound(op, in.len);
		return CVM_E_BUFFER_TOO_SMALL;
	}
	return wrap(op, in, out, len);
}

const struct op_ops op_rsa_aes = {
	.begin = rsa_crypt_begin,
	.bound = rsa_aes_bound,
	.once = rsa_aes_once,
	.inexact = true,
};
