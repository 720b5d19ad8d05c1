/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>
#include <string.h>

#include "token/op_impl.h"

/*
 * AES-GCM (SP 800-38D). PKCS#11 puts the tag after the cipher text. Encryption
 * streams; decryption gives nothing out before the tag is checked, so its
 * parts are held.
 */

static size_t
aead_bound(const struct op *op, size_t in)
{
	size_t tag = op->params.tag_len;

	if (op->kind == OP_ENCRYPT)
		return in + tag;
	return in > tag ? in - tag : 0;
}

static size_t
aead_update_bound(const struct op *op, size_t in)
{
	(void)op;
	return in;
}

static int
aead_begin(struct op *op, const struct permit *p, struct why *why)
{
	_cleanup_(secret_freep) struct secret *key = NULL;
	const struct mech_params *mp = &op->params;
	struct span k;
	int n, err;

	err = object_secret_value(op->token, op->object, p, &key, why);
	if (err != CVM_OK)
		return err;
	k = secret_span(key);
	op->cipher = EVP_CIPHER_CTX_new();
	if (op->cipher == NULL)
		return CVM_E_NOMEM;
	if (EVP_CipherInit_ex2(op->cipher,
		cipher_get((enum cipher)op->mech->cipher, k.len), NULL, NULL,
		op->kind == OP_ENCRYPT,
		/* params= */ NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(op->cipher, EVP_CTRL_AEAD_SET_IVLEN,
		(int)mp->iv.len, NULL) != 1 ||
	    EVP_CipherInit_ex2(op->cipher, NULL, k.data, mp->iv.data,
		op->kind == OP_ENCRYPT, /* params= */ NULL) != 1)
		return CVM_E_CRYPTO;
	if (mp->aad.len > 0 &&
	    EVP_CipherUpdate(op->cipher, NULL, &n, mp->aad.data,
		(int)mp->aad.len) != 1)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

static int
aead_feed(struct op *op, struct span in, uint8_t *out)
{
	int n;

	if (in.len == 0)
		return CVM_OK;
	if (in.len > INT_MAX)
		return op->kind == OP_ENCRYPT ? CVM_E_DATA_LEN :
						CVM_E_ENCRYPTED_LEN;
	return EVP_CipherUpdate(op->cipher, out, &n, in.data, (int)in.len) ==
		    1 &&
		(size_t)n == in.len ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
aead_update(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	*len = in.len;
	return aead_feed(op, in, out);
}

static int
aead_final(struct op *op, uint8_t *out, size_t *len)
{
	uint8_t none[16];
	int n;

	*len = op->params.tag_len;
	if (EVP_CipherFinal_ex(op->cipher, none, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(op->cipher, EVP_CTRL_AEAD_GET_TAG, (int)*len,
		out) != 1)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

static int
aead_open(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	uint8_t tag[16], none[16];
	struct reader r = reader_init(in);
	struct span text;
	size_t tag_len = op->params.tag_len;
	int n, err;

	if (in.len < tag_len)
		return CVM_E_ENCRYPTED_LEN;
	text = read_span(&r, in.len - tag_len);
	read_bytes(&r, tag, tag_len);
	err = aead_feed(op, text, out);
	if (err == CVM_OK &&
	    (EVP_CIPHER_CTX_ctrl(op->cipher, EVP_CTRL_AEAD_SET_TAG,
		 (int)tag_len, tag) != 1 ||
		EVP_CipherFinal_ex(op->cipher, none, &n) != 1))
		err = CVM_E_ENCRYPTED_INVALID;
	if (err != CVM_OK) {
		secret_wipe(out, text.len);
		return err;
	}
	*len = text.len;
	return CVM_OK;
}

static int
aead_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	size_t tag;
	int err;

	if (op->kind == OP_DECRYPT)
		return aead_open(op, in, out, len);
	err = aead_feed(op, in, out);
	if (err == CVM_OK)
		err = aead_final(op, &out[in.len], &tag);
	if (err == CVM_OK)
		*len = in.len + tag;
	return err;
}

static bool
aead_streams(const struct op *op)
{
	return op->kind == OP_ENCRYPT;
}

const struct op_ops op_aead = {
	.begin = aead_begin,
	.bound = aead_bound,
	.update_bound = aead_update_bound,
	.update = aead_update,
	.final = aead_final,
	.once = aead_once,
	.streams = aead_streams,
};
