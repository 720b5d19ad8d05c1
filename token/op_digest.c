/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/op_impl.h"

/*
 * C_Digest: no key, no permit. Where the state of a digest can be saved
 * (C_GetOperationState) it is hashed with that state, else with EVP.
 */
static const char state_tag[] = "cvm-pkcs11/digest-state/1";

static enum digest
digest_of(const struct op *op)
{
	return (enum digest)op->mech->digest;
}

static size_t
digest_bound(const struct op *op, size_t in)
{
	(void)in;
	return digest_len(digest_of(op));
}

static int
digest_begin(struct op *op, const struct permit *p, struct why *why)
{
	(void)p;
	(void)why;
	if (digest_state_has(digest_of(op))) {
		op->state = digest_state_new(digest_of(op));
		return op->state != NULL ? CVM_OK : CVM_E_NOMEM;
	}
	op->md = EVP_MD_CTX_new();
	if (op->md == NULL)
		return CVM_E_NOMEM;
	return EVP_DigestInit_ex2(op->md, digest_get(digest_of(op)),
		   /* params= */ NULL) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
digest_update(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	(void)out;
	*len = 0;
	if (op->state != NULL)
		return digest_state_update(op->state, in);
	return in.len == 0 || EVP_DigestUpdate(op->md, in.data, in.len) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
digest_final(struct op *op, uint8_t *out, size_t *len)
{
	*len = digest_bound(op, 0);
	if (op->state != NULL)
		return digest_state_final(op->state, out);
	return EVP_DigestFinal_ex(op->md, out, /* len= */ NULL) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
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

int
op_save(const struct op *op, const char *serial, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 };

	if (op->state == NULL)
		return CVM_E_UNSUPPORTED;
	write_bytes(&w, span(state_tag, sizeof(state_tag)));
	write_field(&w, span(serial, strlen(serial)));
	write_be64(&w, op->mech->type);
	write_u8(&w, op->parts);
	digest_state_write(op->state, &w);
	return writer_end(&w, ret);
}

static bool
reads_as(struct reader *r, const void *bytes, size_t len)
{
	return span_equal(read_span(r, len), span(bytes, len));
}

int
op_restore(struct token *t, const struct config_token *cfg, const char *serial,
    struct span saved, struct op **ret)
{
	_cleanup_(op_freep) struct op *op = NULL;
	struct reader r = reader_init(saved);
	struct digest_state *state = NULL;
	CK_MECHANISM mech = { 0 };
	uint8_t parts;
	int err;

	if (!reads_as(&r, state_tag, sizeof(state_tag)) ||
	    read_be32(&r) != strlen(serial) ||
	    !reads_as(&r, serial, strlen(serial)))
		return CVM_E_PARSE;
	mech.mechanism = read_be64(&r);
	parts = read_u8(&r);
	if (r.failed || parts > 1)
		return CVM_E_PARSE;
	err = op_new(t, cfg, OP_DIGEST, &mech, /* o= */ NULL, /* p= */ NULL,
	    &op, /* reterr_why= */ NULL);
	if (err == CVM_OK)
		err = digest_state_read(digest_of(op), &r, &state);
	if (err != CVM_OK)
		return err == CVM_E_NOMEM ? err : CVM_E_PARSE;
	digest_state_freep(&op->state);
	op->state = state;
	op->parts = parts == 1;
	if (reader_end(&r) != CVM_OK)
		return CVM_E_PARSE;
	*ret = TAKE_PTR(op);
	return CVM_OK;
}

bool
op_in_parts(const struct op *op)
{
	return op->parts;
}
