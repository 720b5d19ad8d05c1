/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>
#include <string.h>

#include "token/op_impl.h"

/* AES key wrap, without and with padding (RFC 3394, RFC 5649). */

#define HALF 8

static size_t
kw_bound(const struct op *op, size_t in)
{
	if (op->kind == OP_DECRYPT)
		return in > HALF ? in - HALF : 0;
	return (in + HALF - 1) / HALF * HALF + HALF;
}

static int
kw_begin(struct op *op, const struct permit *p, struct why *why)
{
	_cleanup_(secret_freep) struct secret *key = NULL;
	struct span k;
	int err = object_secret_value(op->token, op->object, p, &key, why);

	if (err != CVM_OK)
		return err;
	k = secret_span(key);
	op->cipher = EVP_CIPHER_CTX_new();
	if (op->cipher == NULL)
		return CVM_E_NOMEM;
	EVP_CIPHER_CTX_set_flags(op->cipher, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	return EVP_CipherInit_ex2(op->cipher,
		   cipher_get((enum cipher)op->mech->cipher, k.len), k.data,
		   op->params.iv.data, op->kind == OP_ENCRYPT,
		   /* params= */ NULL) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
kw_check(const struct op *op, size_t len)
{
	bool pads = op->mech->cipher == CIPHER_KWP;

	if (op->kind == OP_ENCRYPT)
		return len > 0 && len <= OP_HELD_MAX &&
			(pads || (len % HALF == 0 && len >= 2 * HALF)) ?
		    CVM_OK :
		    CVM_E_DATA_LEN;
	return len % HALF == 0 && len >= (pads ? 2u : 3u) * HALF &&
		len <= OP_HELD_MAX ?
	    CVM_OK :
	    CVM_E_ENCRYPTED_LEN;
}

static int
kw_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	_cleanup_(secret_freep) struct secret *text = NULL;
	size_t room = *len;
	int n, err = kw_check(op, in.len);

	if (err != CVM_OK)
		return err;
	/* Unwrapping writes up to a half block more than it gives. */
	text = secret_new(in.len + 2 * HALF);
	if (text == NULL)
		return CVM_E_NOMEM;
	if (EVP_CipherUpdate(op->cipher, secret_data(text), &n, in.data,
		(int)in.len) != 1 ||
	    n <= 0)
		return op->kind == OP_ENCRYPT ? CVM_E_CRYPTO :
						CVM_E_ENCRYPTED_INVALID;
	*len = (size_t)n;
	if (*len > room) {
		EVP_CIPHER_CTX_free(op->cipher);
		op->cipher = NULL;
		op->begun = false;
		return CVM_E_BUFFER_TOO_SMALL;
	}
	memcpy(out, secret_data(text), *len);
	return CVM_OK;
}

const struct op_ops op_key_wrap = {
	.begin = kw_begin,
	.bound = kw_bound,
	.once = kw_once,
	.inexact = true,
};
