/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/op_impl.h"

/* AES in ECB, CBC, CBC with PKCS#7 padding, and CTR (SP 800-38A). */

#define BLOCK 16

static bool
pads(const struct op *op)
{
	return op->mech->type == CKM_AES_CBC_PAD;
}

static bool
is_ctr(const struct op *op)
{
	return op->mech->type == CKM_AES_CTR;
}

static int
bad_length(const struct op *op)
{
	return op->kind == OP_ENCRYPT ? CVM_E_DATA_LEN : CVM_E_ENCRYPTED_LEN;
}

/* What the cipher holds back of its input. */
static size_t
kept_back(const struct op *op, uint64_t total)
{
	size_t rest = (size_t)(total % BLOCK);

	if (is_ctr(op))
		return 0;
	if (pads(op) && op->kind == OP_DECRYPT && total > 0 && rest == 0)
		return BLOCK;
	return rest;
}

static size_t
cipher_update_bound(const struct op *op, size_t in)
{
	uint64_t total = op->streamed + in;

	return kept_back(op, op->streamed) + in - kept_back(op, total);
}

static size_t
cipher_bound(const struct op *op, size_t in)
{
	size_t all = kept_back(op, op->streamed) + in;

	if (pads(op) && op->kind == OP_ENCRYPT)
		return (all / BLOCK + 1) * BLOCK;
	return all;
}

static int
cipher_begin(struct op *op, const struct permit *p, struct why *why)
{
	_cleanup_(secret_freep) struct secret *key = NULL;
	struct span k;
	int err = object_secret_value(op->token, op->object, p, &key, why);

	if (err != CVM_OK)
		return err;
	k = secret_span(key);
	if (op->cipher == NULL)
		op->cipher = EVP_CIPHER_CTX_new();
	if (op->cipher == NULL)
		return CVM_E_NOMEM;
	if (EVP_CipherInit_ex2(op->cipher,
		cipher_get((enum cipher)op->mech->cipher, k.len), k.data,
		op->params.iv.data, op->kind == OP_ENCRYPT,
		/* params= */ NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(op->cipher, pads(op)) != 1)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

static uint64_t
ones(CK_ULONG n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* The counter's own bits must not wrap: the key stream would repeat, or run
 * into the bits that are not the counter's. */
static bool
counter_lasts(const struct op *op, uint64_t total)
{
	CK_ULONG bits = op->params.counter_bits;
	struct reader r = reader_init(blob_span(&op->params.iv));
	uint64_t blocks = total / BLOCK + (total % BLOCK != 0);
	uint64_t high, low;

	if (!is_ctr(op) || blocks == 0)
		return true;
	/* How often it can be counted up. */
	high = ~read_be64(&r) & ones(bits > 64 ? bits - 64 : 0);
	low = ~read_be64(&r) & ones(bits);
	return high > 0 || blocks - 1 <= low;
}

/* OpenSSL counts in int. */
static int
cipher_feed(EVP_CIPHER_CTX *ctx, struct span in, uint8_t *out, size_t *ret)
{
	struct reader r = reader_init(in);
	size_t done = 0;
	int n;

	while (reader_left(&r) > 0) {
		size_t most = 1u << 30;
		size_t take = reader_left(&r) < most ? reader_left(&r) : most;

		if (EVP_CipherUpdate(ctx, &out[done], &n,
			read_span(&r, take).data, (int)take) != 1)
			return CVM_E_CRYPTO;
		done += (size_t)n;
	}
	*ret = done;
	return CVM_OK;
}

static int
cipher_update(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	if (!counter_lasts(op, op->streamed + in.len))
		return bad_length(op);
	if (out == NULL && in.len > 0)
		return CVM_E_INVAL;
	return cipher_feed(op->cipher, in, out, len);
}

/* After the last block of a decryption only its padding can be wrong. */
static int
cipher_end(struct op *op, uint8_t *out, size_t *len)
{
	int n = 0;

	if (EVP_CipherFinal_ex(op->cipher, out, &n) != 1)
		return op->kind == OP_ENCRYPT ? CVM_E_CRYPTO :
						CVM_E_ENCRYPTED_INVALID;
	*len = (size_t)n;
	return CVM_OK;
}

static int
check_length(const struct op *op, uint64_t total)
{
	if (!counter_lasts(op, total))
		return bad_length(op);
	if (is_ctr(op) || (pads(op) && op->kind == OP_ENCRYPT))
		return CVM_OK;
	if (total % BLOCK != 0 || (pads(op) && total == 0))
		return bad_length(op);
	return CVM_OK;
}

static int
give(uint8_t *from, size_t n, uint8_t *out, size_t *len)
{
	size_t room = *len;

	*len = n;
	if (n > room)
		return CVM_E_BUFFER_TOO_SMALL;
	if (n > 0)
		memcpy(out, from, n);
	return CVM_OK;
}

static int
end_into(struct op *op, uint8_t *out, size_t *len)
{
	uint8_t last[2 * BLOCK];
	size_t n;
	int err = cipher_end(op, last, &n);

	if (err == CVM_OK)
		err = give(last, n, out, len);
	secret_wipe(last, sizeof(last));
	return err;
}

static int
cipher_final(struct op *op, uint8_t *out, size_t *len)
{
	_cleanup_(evp_cipher_ctx_freep) EVP_CIPHER_CTX *copy = NULL;
	int err = check_length(op, op->streamed);

	if (err != CVM_OK)
		return err;
	if (*len >= cipher_bound(op, 0))
		return end_into(op, out, len);
	/* The context cannot end twice: whether it fits is seen on a copy. */
	copy = EVP_CIPHER_CTX_new();
	if (copy == NULL)
		return CVM_E_NOMEM;
	if (EVP_CIPHER_CTX_copy(copy, op->cipher) != 1)
		return CVM_E_CRYPTO;
	err = end_into(op, out, len);
	if (err == CVM_E_BUFFER_TOO_SMALL) {
		EVP_CIPHER_CTX_free(op->cipher);
		op->cipher = TAKE_PTR(copy);
	}
	return err;
}

static int
run(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	size_t n = 0, rest = *len;
	int err = cipher_feed(op->cipher, in, out, &n);

	rest = rest > n ? rest - n : 0;
	if (err == CVM_OK)
		err = end_into(op, &out[n], &rest);
	*len = n + rest;
	return err;
}

/*
 * The length of a padded plain text, of its last block alone: whoever brings
 * too little room has lost nothing, even where he decrypts in place.
 */
static int
unpadded_len(const struct op *op, struct span in, size_t *ret)
{
	_cleanup_(evp_cipher_ctx_freep)
	    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	struct span before = in.len > BLOCK ?
	    span(in.data + in.len - 2 * BLOCK, BLOCK) :
	    blob_span(&op->params.iv);
	uint8_t last[2 * BLOCK];
	int n = 0, err = CVM_OK;

	if (ctx == NULL)
		return CVM_E_NOMEM;
	if (EVP_CIPHER_CTX_copy(ctx, op->cipher) != 1 ||
	    EVP_CipherInit_ex2(ctx, /* cipher= */ NULL, /* key= */ NULL,
		before.data, op->kind == OP_ENCRYPT, /* params= */ NULL) != 1 ||
	    EVP_CipherUpdate(ctx, last, &n, in.data + in.len - BLOCK, BLOCK) !=
		1)
		err = CVM_E_CRYPTO;
	else if (EVP_CipherFinal_ex(ctx, last, &n) != 1)
		err = CVM_E_ENCRYPTED_INVALID;
	else
		*ret = in.len - BLOCK + (size_t)n;
	secret_wipe(last, sizeof(last));
	return err;
}

static int
cipher_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	size_t need = cipher_bound(op, in.len);
	int err = check_length(op, in.len);

	if (err == CVM_OK && *len < need && pads(op) && op->kind == OP_DECRYPT)
		err = unpadded_len(op, in, &need);
	if (err != CVM_OK)
		return err;
	if (*len >= need)
		return run(op, in, out, len);
	*len = need;
	return CVM_E_BUFFER_TOO_SMALL;
}

const struct op_ops op_cipher = {
	.begin = cipher_begin,
	.bound = cipher_bound,
	.update_bound = cipher_update_bound,
	.update = cipher_update,
	.final = cipher_final,
	.once = cipher_once,
	.inexact = true,
};
