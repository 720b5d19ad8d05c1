/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/operation.h"
#include "token/object_impl.h"

/* SLH-DSA's longest, 49856 bytes (FIPS 205), and no other comes near it. */
#define SIGNATURE_MAX 65536

static const enum op_kind kinds[SESSION_OPS] = {
	[SESSION_SIGN] = OP_SIGN,
	[SESSION_VERIFY] = OP_VERIFY,
	[SESSION_ENCRYPT] = OP_ENCRYPT,
	[SESSION_DECRYPT] = OP_DECRYPT,
	[SESSION_DIGEST] = OP_DIGEST,
	[SESSION_MESSAGE_SIGN] = OP_SIGN,
	[SESSION_MESSAGE_VERIFY] = OP_VERIFY,
	[SESSION_MESSAGE_ENCRYPT] = OP_ENCRYPT,
	[SESSION_MESSAGE_DECRYPT] = OP_DECRYPT,
};

enum op_kind
operation_kind(enum session_op which)
{
	return kinds[which];
}

/* With the key of the operation, or without one for a digest. */
CK_RV
operation_begin(struct call *c, enum session_op which, const CK_MECHANISM *mech,
    struct object *key)
{
	struct operation *o = &c->session->op[which];
	bool secret = key != NULL && object_class(key) != CKO_PUBLIC_KEY;
	bool bound = secret && gate_binds_operation(c->slot->gate, key);
	int err;

	do {
		if (!secret || bound ||
		    !op_again_with(&o->rest, mech, key, c->caller.permit,
			&o->op))
			err = op_new(c->token, c->slot->cfg, kinds[which], mech,
			    key, secret && !bound ? c->caller.permit : NULL,
			    &o->op, &c->why);
		else
			err = CVM_OK;
	} while (call_again(c, &err));
	if (err == CVM_OK && bound)
		err = op_hash_input(o->op);
	if (err != CVM_OK) {
		op_freep(&o->op);
		return rv_of_key(err);
	}
	o->bound = bound;
	o->login_ends = c->login_ends;
	o->always_auth = secret && object_bool(key, CKA_ALWAYS_AUTHENTICATE);
	return CKR_OK;
}

/* As init_with(), where the session does again what it did last. */
static bool
begin_again(struct call *c, enum session_op which, const CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key)
{
	struct operation *o = &c->session->op[which];

	if (mech == NULL || o->rest == NULL || operation_active(o))
		return false;
	/* To a short message for a cipher a look at the clock is dear, and left
	 * to the use; beside a signature it is nothing. */
	if (object_class(op_object(o->rest)) == CKO_SECRET_KEY)
		call_glance(c);
	else
		call_look(c);
	if (!op_again(&o->rest, &c->caller, mech, key, &o->op))
		return false;
	/* What is bound never rests. */
	o->login_ends = c->login_ends;
	o->always_auth = object_bool(op_object(o->op), CKA_ALWAYS_AUTHENTICATE);
	return true;
}

/* PKCS#11 v3.0: an Init function without a mechanism cancels. */
static CK_RV
cancel(struct operation *o)
{
	if (!operation_active(o))
		return CKR_ARGUMENTS_BAD;
	operation_end(o);
	return CKR_OK;
}

static CK_RV
init_with(struct call *c, enum session_op which, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, operation_beginner *begin)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	CK_RV rv = CKR_OK;

	if (mech == NULL)
		return cancel(&c->session->op[which]);
	if (!bytes_bounded(mech->pParameter, mech->ulParameterLen))
		return call_fail(c, "Init",
		    rv_of(why_setf(&c->why, CVM_E_MECH_PARAM, "mechanism",
			"pParameter", "a pointer to ulParameterLen bytes",
			"%s, %lu bytes",
			mech->pParameter == NULL ? "NULL" : "a pointer",
			mech->ulParameterLen)));
	if (operation_active(&c->session->op[which]))
		return CKR_OPERATION_ACTIVE;
	if (kinds[which] != OP_DIGEST)
		rv = call_key(c, key, &o);
	if (rv == CKR_OK)
		rv = begin(c, which, mech, o);
	return call_fail(c, "Init", rv);
}

CK_RV
operation_init_with(CK_SESSION_HANDLE h, enum session_op which,
    CK_MECHANISM *mech, CK_OBJECT_HANDLE key, operation_beginner *begin)
{
	_cleanup_(call_leave) struct call c;
	CK_RV rv;

	call_begin(&c);
	rv = call_session_only(&c, h);
	if (rv != CKR_OK)
		return rv;
	if (begin == operation_begin && begin_again(&c, which, mech, key))
		return CKR_OK;
	call_look(&c);
	return init_with(&c, which, mech, key, begin);
}

CK_RV
operation_init(CK_SESSION_HANDLE h, enum session_op which, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key)
{
	return operation_init_with(h, which, mech, key, operation_begin);
}

CK_RV
operation_signature_init(CK_SESSION_HANDLE h, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, const CK_BYTE *sig, CK_ULONG sig_len)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(blob_clear) struct blob copy = { 0 };
	struct operation *o;
	CK_RV rv = call_session(&c, h);

	if (rv != CKR_OK)
		return rv;
	if (mech != NULL && sig == NULL)
		return CKR_ARGUMENTS_BAD;
	/* No signature is so long: not worth a copy. */
	if (mech != NULL && sig_len > SIGNATURE_MAX)
		return CKR_SIGNATURE_LEN_RANGE;
	if (mech != NULL && blob_set(&copy, span(sig, sig_len)) != CVM_OK)
		return CKR_HOST_MEMORY;
	rv = init_with(&c, SESSION_VERIFY, mech, key, operation_begin);
	if (rv != CKR_OK || mech == NULL)
		return rv;
	o = &c.session->op[SESSION_VERIFY];
	o->signature_first = true;
	o->signature = copy;
	copy = (struct blob){ 0 };
	return CKR_OK;
}

CK_RV
operation_check_login(const struct call *c, const struct operation *o,
    const struct object *key)
{
	/* PKCS#11 v3.0 sections 5.6 and 5.6.9: not under the SO, nor under a
	 * later login. */
	if (object_is_private(key) &&
	    ((c->slot->cfg->login == LOGIN_PIN &&
		 !token_user_logged_in(c->token)) ||
		o->login_ends != atomic_load(&c->slot->login_ends)))
		return CKR_USER_NOT_LOGGED_IN;
	return o->always_auth && !o->authed ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
}

/*
 * Whether the key may be used now: the login, its own login if it wants one,
 * and the gate. *ret_p is NULL where no permit is needed.
 */
static CK_RV
allow(struct call *c, struct operation *o, const char *function,
    const struct span *input, struct permit *permit,
    const struct permit **ret_p)
{
	CK_RV rv;
	int err;

	*ret_p = NULL;
	if (!op_needs_permit(o->op))
		return CKR_OK;
	rv = operation_check_login(c, o, op_object(o->op));
	if (rv != CKR_OK)
		return rv;
	err = gate_operation(c->slot->gate, &c->session->gate, function, o->op,
	    input, permit, &c->why);
	if (err == CVM_OK)
		*ret_p = permit;
	return rv_of_key(err);
}

CK_RV
operation_do_once(struct call *c, struct operation *o, const char *function,
    struct span input, CK_BYTE *out, CK_ULONG *out_len)
{
	const struct permit *p = NULL;
	struct permit permit;
	CK_RV rv = CKR_OK;
	int err;

	do {
		if (out != NULL)
			rv = allow(c, o, function, &input, &permit, &p);
		if (rv != CKR_OK)
			return rv;
		err = op_once(o->op, p, input, out, out_len, &c->why);
	} while (call_ran_out(c, err));
	return rv_of_key(err);
}

CK_RV
operation_do_final(struct call *c, struct operation *o, const char *function,
    CK_BYTE *out, CK_ULONG *out_len)
{
	const struct permit *p = NULL;
	struct permit permit;
	CK_RV rv = CKR_OK;
	int err;

	do {
		if (out != NULL)
			rv = allow(c, o, function, /* input= */ NULL, &permit,
			    &p);
		if (rv != CKR_OK)
			return rv;
		err = op_final(o->op, p, out, out_len, &c->why);
	} while (call_ran_out(c, err));
	return rv_of_key(err);
}

/* Verification takes its permit beforehand, for it has no output to hold. */
CK_RV
operation_do_verify(struct call *c, struct operation *o, const char *function,
    const struct span *input, struct span sig)
{
	const struct permit *p = NULL;
	struct permit permit;
	CK_RV rv;
	int err;

	do {
		rv = allow(c, o, function, input, &permit, &p);
		if (rv != CKR_OK)
			return rv;
		if (p != NULL)
			op_admit(o->op, p);
		err = input != NULL ? op_verify_once(o->op, *input, sig) :
				      op_verify_final(o->op, sig);
	} while (call_ran_out(c, err));
	return rv_of_key(err);
}

static CK_RV
look_up_as(struct call *c, CK_SESSION_HANDLE h, enum session_op which,
    bool signature_first, struct operation **ret)
{
	CK_RV rv = call_session_only(c, h);

	if (rv != CKR_OK)
		return rv;
	*ret = &c->session->op[which];
	return (*ret)->op != NULL &&
		(*ret)->signature_first == signature_first ?
	    CKR_OK :
	    CKR_OPERATION_NOT_INITIALIZED;
}

static CK_RV
look_up(struct call *c, CK_SESSION_HANDLE h, enum session_op which,
    struct operation **ret)
{
	return look_up_as(c, h, which, /* signature_first= */ false, ret);
}

static CK_RV
finish(struct call *c, struct operation *o, const char *function, CK_RV rv,
    bool goes_on)
{
	if (rv != CKR_BUFFER_TOO_SMALL && (rv != CKR_OK || !goes_on))
		operation_end(o);
	return call_fail(c, function, rv);
}

CK_RV
operation_once(CK_SESSION_HANDLE h, enum session_op which, const char *function,
    const CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	_cleanup_(call_leave) struct call c;
	struct operation *o;
	CK_RV rv;

	call_begin(&c);
	rv = look_up(&c, h, which, &o);
	if (rv != CKR_OK)
		return rv;
	if (!bytes_bounded(in, in_len) || out_len == NULL)
		rv = CKR_ARGUMENTS_BAD;
	else if (o->multipart)
		rv = CKR_OPERATION_ACTIVE;
	o->once = true;
	if (rv == CKR_OK)
		rv = operation_do_once(&c, o, function, span(in, in_len), out,
		    out_len);
	return finish(&c, o, function, rv, out == NULL);
}

CK_RV
operation_feed(struct call *c, struct operation *o, const char *function,
    struct span in, CK_BYTE *out, CK_ULONG *out_len)
{
	bool asks = out_len != NULL && out == NULL;
	const struct permit *p = NULL;
	struct permit permit;
	CK_RV rv = o->once ? CKR_OPERATION_ACTIVE : CKR_OK;
	int err;

	do {
		/* A part of a bound operation is kept, and admitted with the
		 * whole. */
		if (rv == CKR_OK && !asks && !o->bound)
			rv = allow(c, o, function, /* input= */ NULL, &permit,
			    &p);
		if (rv != CKR_OK)
			return rv;
		if (p != NULL && op_get_kind(o->op) == OP_VERIFY)
			op_admit(o->op, p);
		err = op_update(o->op, p, in, out, out_len, &c->why);
	} while (call_ran_out(c, err));
	if (err == CVM_OK && !asks)
		o->multipart = true;
	return rv_of_key(err);
}

/* As operation_feed(), and ends the operation on an error. */
static CK_RV
part(struct call *c, struct operation *o, const char *function, struct span in,
    CK_BYTE *out, CK_ULONG *out_len)
{
	CK_RV rv = CKR_ARGUMENTS_BAD;

	if (bytes_bounded(in.data, in.len))
		rv = operation_feed(c, o, function, in, out, out_len);
	return finish(c, o, function, rv, /* goes_on= */ true);
}

CK_RV
operation_update(CK_SESSION_HANDLE h, enum session_op which,
    const char *function, const CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
    CK_ULONG *out_len)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up(&c, h, which, &o);

	return rv != CKR_OK ?
	    rv :
	    part(&c, o, function, span(in, in_len), out, out_len);
}

CK_RV
operation_final(CK_SESSION_HANDLE h, enum session_op which,
    const char *function, CK_BYTE *out, CK_ULONG *out_len)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up(&c, h, which, &o);

	if (rv != CKR_OK)
		return rv;
	if (out_len == NULL)
		rv = CKR_ARGUMENTS_BAD;
	else if (o->once)
		rv = CKR_OPERATION_ACTIVE;
	else
		rv = operation_do_final(&c, o, function, out, out_len);
	return finish(&c, o, function, rv, out == NULL);
}

/* Not NULL, even if it is empty. */
static struct span
signature(const struct operation *o)
{
	return o->signature.len > 0 ? blob_span(&o->signature) : span("", 0);
}

static CK_RV
verify_once(struct call *c, struct operation *o, const char *function,
    struct span in, struct span sig)
{
	CK_RV rv;

	if (!bytes_bounded(in.data, in.len) || sig.data == NULL)
		rv = CKR_ARGUMENTS_BAD;
	else if (o->multipart)
		rv = CKR_OPERATION_ACTIVE;
	else
		rv = operation_do_verify(c, o, function, &in, sig);
	return finish(c, o, function, rv, /* goes_on= */ false);
}

static CK_RV
verify_final(struct call *c, struct operation *o, const char *function,
    struct span sig)
{
	CK_RV rv = CKR_ARGUMENTS_BAD;

	if (sig.data != NULL)
		rv = operation_do_verify(c, o, function, /* input= */ NULL,
		    sig);
	return finish(c, o, function, rv, /* goes_on= */ false);
}

CK_RV
operation_verify(CK_SESSION_HANDLE h, const CK_BYTE *in, CK_ULONG in_len,
    const CK_BYTE *sig, CK_ULONG sig_len)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up(&c, h, SESSION_VERIFY, &o);

	return rv != CKR_OK ? rv :
			      verify_once(&c, o, "C_Verify", span(in, in_len),
				  span(sig, sig_len));
}

CK_RV
operation_verify_final(CK_SESSION_HANDLE h, const CK_BYTE *sig,
    CK_ULONG sig_len)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up(&c, h, SESSION_VERIFY, &o);

	return rv != CKR_OK ?
	    rv :
	    verify_final(&c, o, "C_VerifyFinal", span(sig, sig_len));
}

static CK_RV
look_up_signature(struct call *c, CK_SESSION_HANDLE h, struct operation **ret)
{
	return look_up_as(c, h, SESSION_VERIFY, /* signature_first= */ true,
	    ret);
}

CK_RV
operation_signature(CK_SESSION_HANDLE h, const CK_BYTE *in, CK_ULONG in_len)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up_signature(&c, h, &o);

	return rv != CKR_OK ? rv :
			      verify_once(&c, o, "C_VerifySignature",
				  span(in, in_len), signature(o));
}

CK_RV
operation_signature_update(CK_SESSION_HANDLE h, const CK_BYTE *in,
    CK_ULONG in_len)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up_signature(&c, h, &o);

	return rv != CKR_OK ? rv :
			      part(&c, o, "C_VerifySignatureUpdate",
				  span(in, in_len), NULL, NULL);
}

CK_RV
operation_signature_final(CK_SESSION_HANDLE h)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up_signature(&c, h, &o);

	return rv != CKR_OK ?
	    rv :
	    verify_final(&c, o, "C_VerifySignatureFinal", signature(o));
}

/*
 * If the buffer is too small, neither must have seen the part. Input may lie
 * where the output goes: who only reads it reads it first.
 */
static CK_RV
dual(struct call *c, struct operation *first, struct operation *second,
    enum dual_order order, const char *function, struct span in, CK_BYTE *out,
    CK_ULONG *out_len)
{
	CK_ULONG want = 0, room = *out_len;
	CK_RV rv = operation_feed(c, first, function, in, NULL, &want);

	if (rv != CKR_OK)
		return rv;
	*out_len = want;
	if (out == NULL)
		return CKR_OK;
	if (room < want)
		return CKR_BUFFER_TOO_SMALL;
	*out_len = room;
	if (order == INPUT_TO_BOTH)
		rv = operation_feed(c, second, function, in, NULL, NULL);
	if (rv == CKR_OK)
		rv = operation_feed(c, first, function, in, out, out_len);
	if (rv == CKR_OK && order == OUTPUT_TO_SECOND)
		rv = operation_feed(c, second, function, span(out, *out_len),
		    NULL, NULL);
	return rv;
}

CK_RV
operation_dual(CK_SESSION_HANDLE h, enum session_op first,
    enum session_op second, enum dual_order order, const char *function,
    const CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *a, *b;
	CK_RV rv = look_up(&c, h, first, &a);

	if (rv != CKR_OK)
		return rv;
	b = &c.session->op[second];
	if (b->op == NULL)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!bytes_bounded(in, in_len) || out_len == NULL)
		rv = CKR_ARGUMENTS_BAD;
	else
		rv = dual(&c, a, b, order, function, span(in, in_len), out,
		    out_len);
	(void)finish(&c, b, function, rv, /* goes_on= */ true);
	return finish(&c, a, function, rv, /* goes_on= */ true);
}

CK_RV
operation_digest_part(struct call *c, struct span part)
{
	struct operation *o = &c->session->op[SESSION_DIGEST];
	CK_RV rv = operation_feed(c, o, "C_DigestKey", part, NULL, NULL);

	return finish(c, o, "C_DigestKey", rv, /* goes_on= */ true);
}
