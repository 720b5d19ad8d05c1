/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "token/op_impl.h"

/*
 * The same again. A session that encrypts or signs one message after another
 * with one key asks the same questions each time; what was found out is kept
 * between its operations, with a lease on the contexts that have the key. None
 * of it is a right: the permit is asked as ever, and what could have changed is
 * looked at.
 */

/* Contexts that wait for nothing but a message, of a use that was admitted
 * when it began. */
static bool
can_rest(struct op *op)
{
	struct prepared *k = op->key;

	if (!op->begun || k == NULL || op->ops->tag == NULL || k->tag == 0 ||
	    op->permit.issuer == NULL || op->input_md != NULL)
		return false;
	return atomic_load(&k->lease) != LEASE_NONE ||
	    lease_begin(op->object->key, k);
}

void
op_rest(struct op **op, struct op **rest)
{
	struct op *o = *op;

	if (o == NULL)
		return;
	if (*rest != NULL)
		op_freep(rest);
	if (!can_rest(o)) {
		op_freep(op);
		return;
	}
	if (o->mark == 0)
		o->mark = object_table_mark(token_objects(o->token), o->object);
	/* Only what the table has is wiped with the token. */
	if (o->mark == 0) {
		op_freep(op);
		return;
	}
	if (o->held != NULL)
		secret_freep(&o->held);
	o->held_len = 0;
	o->parts = o->armed = false;
	o->tag = NULL;
	o->streamed = 0;
	o->permit = (struct permit){ 0 };
	o->cipher = NULL;
	o->mac = NULL;
	if (o->md != NULL)
		EVP_MD_CTX_free(o->md);
	o->md = NULL;
	/* From here on a wipe takes the key. */
	if (lease_rest(o->key))
		*rest = TAKE_PTR(*op);
	else
		op_freep(op);
}

/* The parameter of this message, of which nothing of the last one's is left.
 */
static int
read_params(struct op *o, const CK_MECHANISM *mech)
{
	if (o->ops->rereads)
		return mech_params_again(mech, o->mech, &o->params,
		    /* reterr_why= */ NULL);
	mech_params_clear(&o->params);
	return mech_params_read(mech, o->mech, /* bound= */ false, &o->params,
	    /* reterr_why= */ NULL);
}

/* A parameter that is refused is refused by op_new(), with its reason; one that
 * the contexts are not set up for wants others. */
bool
op_resume(struct op **rest, const CK_MECHANISM *mech, const struct permit *p,
    struct op **ret)
{
	struct op *o = *rest;

	if (read_params(o, mech) != CVM_OK || o->ops->tag(o) != o->key->tag ||
	    !lease_resume(o->key)) {
		op_freep(rest);
		return false;
	}
	o->cipher = o->key->cipher;
	o->mac = o->key->mac;
	o->permit = *p;
	*ret = TAKE_PTR(*rest);
	return true;
}

/* Of other processes, too. */
static bool
still_named(struct op *o)
{
	struct object_table *ot = token_objects(o->token);

	if (object_table_stale(ot) &&
	    object_table_glance(o->token, /* reterr_why= */ NULL) != CVM_OK)
		return false;
	return object_table_marked(ot, o->mark);
}

bool
op_unchanged(struct op *o, const struct caller *c, CK_MECHANISM_TYPE type,
    CK_OBJECT_HANDLE key)
{
	return o != NULL && o->mech->type == type && o->object->handle == key &&
	    still_named(o) &&
	    object_visible(o->object, c, /* admitted= */ true) &&
	    permit_stands(c->permit, token_issuer(o->token));
}

bool
op_again(struct op **rest, const struct caller *c, const CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, struct op **ret)
{
	return op_unchanged(*rest, c, mech->mechanism, key) &&
	    op_resume(rest, mech, c->permit, ret);
}

bool
op_again_with(struct op **rest, const CK_MECHANISM *mech,
    const struct object *key, const struct permit *p, struct op **ret)
{
	struct op *o = *rest;

	if (o == NULL || p == NULL || o->mech->type != mech->mechanism ||
	    o->object != key ||
	    permit_holds(p, token_issuer(o->token)) != CVM_OK)
		return false;
	o->mark = 0; /* asked anew when this rests */
	return op_resume(rest, mech, p, ret);
}
