/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "token/op_impl.h"

/* EdDSA (RFC 8032) signs the message itself, in one call: parts are held. */

static size_t
eddsa_bound(const struct op *op, size_t in)
{
	(void)in;
	return op->object->key_size > 256 ? 114 : 64;
}

static int
eddsa_begin(struct op *op, const struct permit *p, struct why *why)
{
	/* With a parameter this would be Ed25519ctx. */
	if (op->params.given && op->object->key_size <= 256)
		return mech_refuse(why, CVM_E_MECH_PARAM, op->mech, "parameter",
		    "none for Ed25519", "one");
	if (op->kind == OP_VERIFY)
		return object_public_key(op->object, &op->pkey);
	return object_private_key(op->token, op->object, p, &op->pkey, why);
}

static int
eddsa_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok;

	if (md == NULL)
		return CVM_E_NOMEM;
	if (op->kind == OP_SIGN) {
		ok = EVP_DigestSignInit_ex(md, NULL, /* mdname= */ NULL,
			 crypto_libctx(), NULL, op->pkey, NULL) == 1 &&
		    EVP_DigestSign(md, out, len, in.data, in.len) == 1;
		return ok ? CVM_OK : CVM_E_CRYPTO;
	}
	if (op->sig.len != eddsa_bound(op, 0))
		return CVM_E_SIGNATURE_LEN;
	if (EVP_DigestVerifyInit_ex(md, NULL, /* mdname= */ NULL,
		crypto_libctx(), NULL, op->pkey, NULL) != 1)
		return CVM_E_CRYPTO;
	return EVP_DigestVerify(md, op->sig.data, op->sig.len, in.data,
		   in.len) == 1 ?
	    CVM_OK :
	    CVM_E_SIGNATURE_INVALID;
}

const struct op_ops op_eddsa = {
	.begin = eddsa_begin,
	.bound = eddsa_bound,
	.once = eddsa_once,
};
