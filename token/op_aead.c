/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>
#include <openssl/core_names.h>
#include <string.h>

#include "token/op_impl.h"

/*
 * AES-GCM (SP 800-38D), AES-CCM (SP 800-38C), ChaCha20-Poly1305 (RFC 8439).
 * PKCS#11 puts the tag after the cipher text. Encryption streams, but for CCM,
 * which needs the length first; decryption gives nothing out before the tag is
 * checked, so its parts are held.
 */

static bool
is_ccm(const struct op *op)
{
	return op->mech->cipher == CIPHER_CCM;
}

/* Bytes of the tag that are behind the text in op_once(). */
static size_t
tail(const struct op *op)
{
	return op->tag != NULL ? 0 : op->params.tag_len;
}

static size_t
aead_bound(const struct op *op, size_t in)
{
	size_t tag = tail(op);

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

/* The key. CCM's schedule is of its tag's and nonce's lengths too, which
 * OpenSSL wants to learn first. */
static int
set_key(struct op *op, struct prepared *k, struct span key)
{
	const struct mech_params *mp = &op->params;
	EVP_CIPHER_CTX *ctx = k->cipher = EVP_CIPHER_CTX_new();
	int encrypt = op->kind == OP_ENCRYPT;

	if (ctx == NULL)
		return CVM_E_NOMEM;
	if (EVP_CipherInit_ex2(ctx,
		cipher_get((enum cipher)op->mech->cipher, key.len), NULL, NULL,
		encrypt, /* params= */ NULL) != 1)
		return CVM_E_CRYPTO;
	if (is_ccm(op) &&
	    (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)mp->iv.len,
		 NULL) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG,
		    (int)mp->tag_len, NULL) != 1))
		return CVM_E_CRYPTO;
	return EVP_CipherInit_ex2(ctx, NULL, key.data, NULL, encrypt,
		   /* params= */ NULL) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
set_nonce(struct op *op)
{
	const struct blob *iv = &op->params.iv;
	size_t *len = &op->key->nonce_len;

	if (!is_ccm(op) && *len != iv->len) {
		*len = 0;
		if (EVP_CIPHER_CTX_ctrl(op->cipher, EVP_CTRL_AEAD_SET_IVLEN,
			(int)iv->len, NULL) != 1)
			return CVM_E_CRYPTO;
		*len = iv->len;
	}
	if (op->mech->cipher == CIPHER_GCM)
		return gcm_set_nonce(op->cipher, iv->data);
	return EVP_CipherInit_ex2(op->cipher, NULL, NULL, iv->data,
		   op->kind == OP_ENCRYPT, /* params= */ NULL) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

/* CCM's context is of one use: its lengths are in it. */
static uint64_t
aead_tag(const struct op *op)
{
	if (is_ccm(op))
		return 0;
	return (uint64_t)op->mech->type << 40 |
	    (op->kind == OP_ENCRYPT ? 3 : 4);
}

static int
feed_aad(struct op *op)
{
	const struct blob *aad = &op->params.aad;
	int n;

	if (aad->len == 0)
		return CVM_OK;
	return EVP_CipherUpdate(op->cipher, NULL, &n, aad->data,
		   (int)aad->len) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
aead_begin(struct op *op, const struct permit *p, struct why *why)
{
	return op_prepare_secret(op, p, aead_tag(op), set_key, why);
}

static int
aead_arm(struct op *op)
{
	int err = set_nonce(op);

	/* CCM's length goes before its additional data. */
	return err == CVM_OK && !is_ccm(op) ? feed_aad(op) : err;
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

/* As EVP_CTRL_AEAD_GET_TAG, by a shorter way. */
static int
get_tag(const struct op *op, uint8_t *out)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out,
		    op->params.tag_len),
		OSSL_PARAM_END,
	};

	return EVP_CIPHER_CTX_get_params(op->cipher, params) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
aead_final(struct op *op, uint8_t *out, size_t *len)
{
	uint8_t none[16];
	int n;

	*len = op->params.tag_len;
	return EVP_CipherFinal_ex(op->cipher, none, &n) == 1 ?
	    get_tag(op, out) :
	    CVM_E_CRYPTO;
}

/* A copy of the tag, before anything is written. */
static int
split(const struct op *op, struct span in, struct span *ret_text,
    uint8_t tag[static 16])
{
	struct reader r = reader_init(in);

	if (in.len < tail(op))
		return CVM_E_ENCRYPTED_LEN;
	*ret_text = read_span(&r, in.len - tail(op));
	if (op->tag != NULL)
		memcpy(tag, op->tag, op->params.tag_len);
	else
		read_bytes(&r, tag, op->params.tag_len);
	return CVM_OK;
}

static int
aead_open(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	uint8_t tag[16], none[16];
	struct span text;
	size_t tag_len = op->params.tag_len;
	int n, err = split(op, in, &text, tag);

	if (err != CVM_OK)
		return err;
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
		err = aead_final(op, op->tag != NULL ? op->tag : &out[in.len],
		    &tag);
	if (err == CVM_OK)
		*len = in.len + tail(op);
	return err;
}

static bool
aead_streams(const struct op *op)
{
	return op->kind == OP_ENCRYPT;
}

static bool
aead_sure(const struct op *op)
{
	return op->kind == OP_ENCRYPT;
}

/* Text of the length that was announced, none included, in one piece. */
static int
ccm_run(struct op *op, struct span text, uint8_t *out)
{
	static const uint8_t nothing[1];
	uint8_t none[16];
	int n, err;

	if (text.len != op->params.data_len)
		return op->kind == OP_ENCRYPT ? CVM_E_DATA_LEN :
						CVM_E_ENCRYPTED_LEN;
	if (EVP_CipherUpdate(op->cipher, NULL, &n, NULL, (int)text.len) != 1)
		return CVM_E_CRYPTO;
	err = feed_aad(op);
	if (err != CVM_OK)
		return err;
	if (text.len == 0) {
		text = span(nothing, 0);
		out = none;
	}
	return EVP_CipherUpdate(op->cipher, out, &n, text.data,
		   (int)text.len) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
ccm_open(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	struct span text;
	uint8_t tag[16];
	int err = split(op, in, &text, tag);

	if (err != CVM_OK)
		return err;
	if (EVP_CIPHER_CTX_ctrl(op->cipher, EVP_CTRL_AEAD_SET_TAG,
		(int)op->params.tag_len, tag) != 1)
		return CVM_E_CRYPTO;
	err = ccm_run(op, text, out);
	if (err == CVM_OK)
		*len = text.len;
	else if (out != NULL)
		secret_wipe(out, text.len);
	return err == CVM_E_CRYPTO ? CVM_E_ENCRYPTED_INVALID : err;
}

static int
ccm_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	int err;

	if (op->kind == OP_DECRYPT)
		return ccm_open(op, in, out, len);
	err = ccm_run(op, in, out);
	if (err != CVM_OK)
		return err;
	*len = in.len + tail(op);
	return get_tag(op, op->tag != NULL ? op->tag : &out[in.len]);
}

const struct op_ops op_aead = {
	.begin = aead_begin,
	.tag = aead_tag,
	.arm = aead_arm,
	.bound = aead_bound,
	.update_bound = aead_update_bound,
	.update = aead_update,
	.final = aead_final,
	.once = aead_once,
	.rereads = true,
	.streams = aead_streams,
	.silent = true,
	.sure = aead_sure,
};

const struct op_ops op_ccm = {
	.begin = aead_begin,
	.arm = aead_arm,
	.bound = aead_bound,
	.once = ccm_once,
};
