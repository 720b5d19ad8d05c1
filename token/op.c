/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/op_impl.h"

static const struct {
	CK_FLAGS use;
	bool private_half; /* of an asymmetric key */
} uses[] = {
	[OP_SIGN] = { CKF_SIGN, true },
	[OP_VERIFY] = { CKF_VERIFY, false },
	[OP_ENCRYPT] = { CKF_ENCRYPT, false },
	[OP_DECRYPT] = { CKF_DECRYPT, true },
	[OP_DIGEST] = { CKF_DIGEST, false },
};

/* Everything that a message leaves behind. */
static void
drop_contexts(struct op *op)
{
	/* A prepared cipher is the key's, not the operation's. Of an operation
	 * that rests, a wipe may be taking it this moment. */
	if (op->cipher != NULL && op->key != NULL && op->key->cipher != NULL)
		op->cipher = NULL;
	if (op->key != NULL)
		prepared_give(op->object->key, &op->key);
	EVP_CIPHER_CTX_free(op->cipher);
	op->cipher = NULL;
	op->mac = NULL; /* the key's */
	EVP_MD_CTX_free(op->md);
	op->md = NULL;
	digest_state_freep(&op->state);
	secret_freep(&op->held);
	op->held_len = 0;
}

void
op_freep(struct op **op)
{
	struct op *old = *op;

	if (old == NULL)
		return;
	*op = NULL;
	drop_contexts(old);
	EVP_MD_CTX_free(old->input_md);
	mech_params_clear(&old->params);
	object_unrefp(&old->object);
	free(old);
}

static int
bring_key(struct op *op, const struct permit *p, struct why *why)
{
	quiet_openssl();
	int err;

	if (op->begun)
		return CVM_OK;
	err = op->ops->begin(op, op->secret_key ? p : NULL, why);
	op->begun = err == CVM_OK;
	return err;
}

static int
begin(struct op *op, const struct permit *p, struct why *why)
{
	int err = op->begun ? CVM_OK : bring_key(op, p, why);

	if (err == CVM_OK && !op->armed && op->ops->arm != NULL)
		err = op->ops->arm(op);
	op->armed = err == CVM_OK;
	return err;
}

/* The last look before the key is used, each time that it is. Nothing was
 * waited for since the gate's: what waits for the store asks anew. */
static int
check_permit(const struct op *op, const struct permit *p)
{
	if (!op->secret_key)
		return CVM_OK;
	return permit_holds(p, token_issuer(op->token));
}

int
op_start(struct token *t, const struct config_token *cfg, enum op_kind kind,
    CK_FLAGS use, const CK_MECHANISM *mech, struct object *o,
    const struct permit *p, struct op **ret, struct why *reterr_why)
{
	_cleanup_(op_freep) struct op *op = NULL;
	const struct mech *m = mech_find(cfg, mech->mechanism);
	const struct op_ops *ops = m == NULL ? NULL :
	    kind <= OP_VERIFY		     ? m->ops->sign :
					       m->ops->crypt;
	int err = CVM_OK;

	if (ops == NULL || (m->flags & use) == 0)
		return why_setf(reterr_why, CVM_E_MECH_INVALID, "mechanism",
		    "type", "one of the token for this use", "0x%lx",
		    mech->mechanism);
	if (o != NULL)
		err = mech_check_key(cfg, m, use, o, reterr_why);
	else if (kind != OP_DIGEST)
		err = CVM_E_INTERNAL;
	if (err != CVM_OK)
		return err;
	op = calloc(1, sizeof(*op));
	if (op == NULL)
		return CVM_E_NOMEM;
	op->kind = kind;
	op->use = use;
	op->mech = m;
	op->ops = ops;
	op->token = t;
	op->object = o == NULL ? NULL : object_ref(o);
	op->secret_key = o != NULL && object_is_key(o);
	err = mech_params_read(mech, m, /* bound= */ p == NULL, &op->params,
	    reterr_why);
	if (err == CVM_OK && p != NULL) {
		op->permit = *p;
		err = check_permit(op, p);
	}
	if (err == CVM_OK && (p != NULL || !op->secret_key))
		err = bring_key(op, p, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(op);
	return CVM_OK;
}

int
op_check(const struct config_token *cfg, enum op_kind kind,
    CK_MECHANISM_TYPE type, const struct object *o, struct why *reterr_why)
{
	const struct mech *m = mech_find(cfg, type);

	if (m == NULL || o == NULL)
		return why_setf(reterr_why, CVM_E_MECH_INVALID, "mechanism",
		    "type", "one of the token for this use", "0x%lx", type);
	return mech_check_key(cfg, m, uses[kind].use, o, reterr_why);
}

int
op_reset(struct op *op)
{
	quiet_openssl();

	drop_contexts(op);
	op->begun = op->armed = op->parts = false;
	op->streamed = 0;
	op->permit = (struct permit){ 0 };
	return op->input_md == NULL ? CVM_OK : op_hash_input(op);
}

int
op_new(struct token *t, const struct config_token *cfg, enum op_kind kind,
    const CK_MECHANISM *mech, struct object *o, const struct permit *p,
    struct op **ret, struct why *reterr_why)
{
	return op_start(t, cfg, kind, uses[kind].use, mech, o, p, ret,
	    reterr_why);
}

int
op_prepare_pctx(struct prepared *k, EVP_PKEY *pkey)
{
	k->pctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), pkey,
	    /* props= */ NULL);
	return k->pctx == NULL ? CVM_E_NOMEM : CVM_OK;
}

int
op_prepare(struct op *op, const struct permit *p, uint64_t tag,
    int (*init)(struct op *op, struct prepared *k, EVP_PKEY *pkey),
    struct why *reterr_why)
{
	_cleanup_(prepared_freep) struct prepared *k = NULL;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	struct object *o = op->object;
	int err;

	/* A private key's context comes out of the cache only with a permit:
	 * it is as good as the key. */
	err = check_permit(op, p);
	if (err != CVM_OK)
		return err;
	op->key = prepared_take(o->key, tag);
	if (op->key != NULL)
		return CVM_OK;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return CVM_E_NOMEM;
	k->tag = tag;
	k->generation = atomic_load(&o->key->wiped);
	err = o->class == CKO_PRIVATE_KEY ?
	    object_private_key(op->token, o, p, &pkey, reterr_why) :
	    object_public_key(o, &pkey);
	if (err != CVM_OK)
		return err;
	err = init(op, k, pkey);
	if (err != CVM_OK)
		return err;
	op->key = TAKE_PTR(k);
	return CVM_OK;
}

int
op_prepare_secret(struct op *op, const struct permit *p, uint64_t tag,
    int (*init)(struct op *op, struct prepared *k, struct span key),
    struct why *reterr_why)
{
	_cleanup_(prepared_freep) struct prepared *k = NULL;
	_cleanup_(secret_freep) struct secret *key = NULL;
	int err = check_permit(op, p);

	if (err != CVM_OK)
		return err;
	op->key = prepared_take(op->object->key, tag);
	if (op->key == NULL) {
		k = calloc(1, sizeof(*k));
		if (k == NULL)
			return CVM_E_NOMEM;
		k->tag = tag;
		k->generation = atomic_load(&op->object->key->wiped);
		err = object_secret_value(op->token, op->object, p, &key,
		    reterr_why);
		if (err != CVM_OK)
			return err;
		err = init(op, k, secret_span(key));
		if (err != CVM_OK)
			return err;
		op->key = TAKE_PTR(k);
	}
	op->cipher = op->key->cipher;
	op->mac = op->key->mac;
	return CVM_OK;
}

void
op_after_fork(struct op *op)
{
	if (op != NULL && op->object != NULL)
		object_after_fork(op->object);
}

enum op_kind
op_get_kind(const struct op *op)
{
	return op->kind;
}

struct object *
op_object(const struct op *op)
{
	return op->object;
}

bool
op_needs_permit(const struct op *op)
{
	return op->secret_key;
}

CK_MECHANISM_TYPE
op_mechanism(const struct op *op)
{
	return op->mech->type;
}

int
op_parameter_digest(const struct op *op, uint8_t out[static SHA256_LEN])
{
	return mech_params_digest(&op->params, out);
}

void
op_set_tag(struct op *op, uint8_t *tag)
{
	op->tag = tag;
}

void
op_admit(struct op *op, const struct permit *p)
{
	op->permit = *p;
}

int
op_hash_input(struct op *op)
{
	quiet_openssl();

	if (op->input_md == NULL)
		op->input_md = EVP_MD_CTX_new();
	if (op->input_md == NULL)
		return CVM_E_NOMEM;
	return EVP_DigestInit_ex2(op->input_md, digest_get(DIGEST_SHA256),
		   /* params= */ NULL) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

int
op_input_digest(struct op *op, uint8_t out[static SHA256_LEN])
{
	quiet_openssl();
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *copy = NULL;

	if (op->input_md == NULL)
		return CVM_E_INVAL;
	/* A copy: a call that only asks for the size is followed by another. */
	copy = EVP_MD_CTX_new();
	if (copy == NULL)
		return CVM_E_NOMEM;
	if (EVP_MD_CTX_copy_ex(copy, op->input_md) != 1 ||
	    EVP_DigestFinal_ex(copy, out, /* len= */ NULL) != 1)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

static int
note_input(struct op *op, struct span in)
{
	if (op->input_md == NULL || in.len == 0)
		return CVM_OK;
	return EVP_DigestUpdate(op->input_md, in.data, in.len) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

/* What there is too much of, by what it is. */
static int
too_long(const struct op *op)
{
	return op->kind == OP_DECRYPT ? CVM_E_ENCRYPTED_LEN : CVM_E_DATA_LEN;
}

static size_t
held_max(const struct op *op)
{
	return op->ops->held_max == NULL ? OP_HELD_MAX : op->ops->held_max(op);
}

static int
hold(struct op *op, struct span in)
{
	size_t room = op->held == NULL ? 0 : secret_len(op->held);
	size_t want = room == 0 ? 4096 : room;
	_cleanup_(secret_freep) struct secret *more = NULL;

	if (in.len > held_max(op) || op->held_len > held_max(op) - in.len)
		return too_long(op);
	while (want < op->held_len + in.len)
		want *= 2;
	if (want > room) {
		more = secret_new(want < SECRET_MAX ? want : SECRET_MAX);
		if (more == NULL)
			return CVM_E_NOMEM;
		if (op->held_len > 0)
			memcpy(secret_data(more), secret_data(op->held),
			    op->held_len);
		secret_freep(&op->held);
		op->held = TAKE_PTR(more);
	}
	if (in.len > 0)
		memcpy(&secret_data(op->held)[op->held_len], in.data, in.len);
	op->held_len += in.len;
	return CVM_OK;
}

/* Answers a question for the size, or refuses a buffer below it. */
static bool
only_size(size_t bound, bool exact, const uint8_t *out, CK_ULONG *len, int *ret)
{
	if (out == NULL) {
		*len = bound;
		*ret = CVM_OK;
		return true;
	}
	if (!exact || *len >= bound)
		return false;
	*len = bound;
	*ret = CVM_E_BUFFER_TOO_SMALL;
	return true;
}

static int
do_once(struct op *op, const struct permit *p, struct span in, uint8_t *out,
    CK_ULONG *len, struct why *reterr_why)
{
	size_t room;
	int err;

	if (op->parts || op->kind == OP_VERIFY)
		return CVM_E_INVAL;
	if (only_size(op->ops->bound(op, in.len), !op->ops->inexact, out, len,
		&err))
		return err;
	err = check_permit(op, p);
	if (err == CVM_OK)
		err = begin(op, p, reterr_why);
	if (err != CVM_OK)
		return err;
	room = *len;
	err = op->ops->once(op, in, out, &room);
	if (err == CVM_OK || err == CVM_E_BUFFER_TOO_SMALL)
		*len = room;
	return err;
}

int
op_once(struct op *op, const struct permit *p, struct span in, uint8_t *out,
    CK_ULONG *len, struct why *reterr_why)
{
	/* To mark the queue costs a tenth of a short message, and to take the
	 * mark off an empty one as much again. */
	bool silent = op->begun && op->ops->silent;
	bool sure = silent && op->ops->sure != NULL && op->ops->sure(op);
	int marked = sure ? 0 : ERR_set_mark();
	int err = do_once(op, p, in, out, len, reterr_why);

	if (err == CVM_E_CRYPTO && sure)
		ERR_clear_error();
	else if (!sure && (!silent || marked != 0 || err != CVM_OK))
		(void)ERR_pop_to_mark();
	return err;
}

/* Whether this input can go to the family now. */
static bool
can_stream(const struct op *op, const struct permit *p)
{
	if (op->ops->update == NULL || op->held_len > 0 ||
	    (op->ops->streams != NULL && !op->ops->streams(op)))
		return false;
	return op->begun || op->ops->keyless || !op->secret_key || p != NULL;
}

static int
stream(struct op *op, const struct permit *p, struct span in, uint8_t *out,
    CK_ULONG *len, struct why *why)
{
	size_t room = len == NULL ? 0 : *len;
	int err = CVM_OK;

	if (!op->ops->keyless) {
		err = check_permit(op, p);
		if (err == CVM_OK)
			err = begin(op, p, why);
	}
	if (err == CVM_OK)
		err = note_input(op, in);
	if (err == CVM_OK)
		err = op->ops->update(op, in, out, &room);
	if (err != CVM_OK)
		return err;
	op->streamed += in.len;
	if (len != NULL)
		*len = room;
	return CVM_OK;
}

int
op_update(struct op *op, const struct permit *p, struct span in, uint8_t *out,
    CK_ULONG *len, struct why *reterr_why)
{
	quiet_openssl();
	bool streams = can_stream(op,
	    p == NULL && op->permit.issuer != NULL ? &op->permit : p);
	int err;

	/* Only ciphers give output here: the others have no len. */
	if (len != NULL && streams && op->ops->update_bound != NULL &&
	    only_size(op->ops->update_bound(op, in.len), /* exact= */ true, out,
		len, &err))
		return err;
	if (len != NULL && !streams && out == NULL) {
		*len = 0;
		return CVM_OK;
	}
	op->parts = true;
	if (streams)
		return stream(op,
		    op->kind == OP_VERIFY && p == NULL ? &op->permit : p, in,
		    out, len, reterr_why);
	err = note_input(op, in);
	if (err == CVM_OK)
		err = hold(op, in);
	if (err == CVM_OK && len != NULL)
		*len = 0;
	return err;
}

static struct span
held(const struct op *op)
{
	return op->held == NULL ?
	    span("", 0) :
	    span(secret_span(op->held).data, op->held_len);
}

/* Streamed so far, or held and done now. */
static int
finish(struct op *op, uint8_t *out, size_t *len)
{
	if (op->ops->final != NULL && op->held_len == 0 &&
	    (op->ops->streams == NULL || op->ops->streams(op)))
		return op->ops->final(op, out, len);
	return op->ops->once(op, held(op), out, len);
}

int
op_final(struct op *op, const struct permit *p, uint8_t *out, CK_ULONG *len,
    struct why *reterr_why)
{
	quiet_openssl();
	size_t room;
	int err;

	if (op->kind == OP_VERIFY)
		return CVM_E_INVAL;
	if (only_size(op->ops->bound(op, op->held_len), !op->ops->inexact, out,
		len, &err))
		return err;
	err = check_permit(op, p);
	if (err == CVM_OK)
		err = begin(op, p, reterr_why);
	if (err != CVM_OK)
		return err;
	room = *len;
	err = finish(op, out, &room);
	if (err == CVM_OK || err == CVM_E_BUFFER_TOO_SMALL)
		*len = room;
	return err;
}

static int
verify_ready(struct op *op, struct span sig)
{
	int err = op->kind == OP_VERIFY ? check_permit(op, &op->permit) :
					  CVM_E_INVAL;

	op->sig = sig;
	return err == CVM_OK ? begin(op, &op->permit, /* why= */ NULL) : err;
}

int
op_verify_once(struct op *op, struct span in, struct span sig)
{
	quiet_openssl();
	size_t none = 0;
	int err = op->parts ? CVM_E_INVAL : verify_ready(op, sig);

	return err == CVM_OK ? op->ops->once(op, in, NULL, &none) : err;
}

int
op_verify_final(struct op *op, struct span sig)
{
	quiet_openssl();
	size_t none = 0;
	int err = verify_ready(op, sig);

	return err == CVM_OK ? finish(op, NULL, &none) : err;
}
