/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "token/op_impl.h"

/* C_Digest: no key, no permit. */

static size_t
digest_bound(const struct op *op, size_t in)
{
	(void)in;
	return digest_len((enum digest)op->mech->digest);
}

static int
digest_begin(struct op *op, const struct permit *p, struct why *why)
{
	(void)p;
	(void)why;
	op->md = EVP_MD_CTX_new();
	if (op->md == NULL)
		return CVM_E_NOMEM;
	return EVP_DigestInit_ex2(op->md,
		   digest_get((enum digest)op->mech->digest),
		   /* params= */ NULL) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
digest_update(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	(void)out;
	*len = 0;
	return in.len == 0 || EVP_DigestUpdate(op->md, in.data, in.len) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
digest_final(struct op *op, uint8_t *out, size_t *len)
{
	unsigned n = 0;

	if (EVP_DigestFinal_ex(op->md, out, &n) != 1)
		return CVM_E_CRYPTO;
	*len = n;
	return CVM_OK;
}

static int
digest_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	size_t none;
	int err = digest_update(op, in, NULL, &none);

	return err == CVM_OK ? digest_final(op, out, len) : err;
}

const struct op_ops op_digest = {
	.begin = digest_begin,
	.bound = digest_bound,
	.update = digest_update,
	.final = digest_final,
	.once = digest_once,
	.keyless = true,
};
