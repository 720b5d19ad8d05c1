/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/operation.h"
#include "token/object_impl.h"

/*
 * Message-based signatures (PKCS#11 3.0 sections 5.14 and 5.16): the mechanism
 * and its parameter are those of ...Init, and no mechanism here has one for
 * each message. After a message the operation is as it was at first.
 */

static CK_RV
look_up(struct call *c, CK_SESSION_HANDLE h, enum session_op which,
    struct operation **ret)
{
	CK_RV rv = call_session_only(c, h);

	if (rv != CKR_OK)
		return rv;
	*ret = &c->session->op[which];
	return (*ret)->op != NULL ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
}

/*
 * A process lasts: before each message its key is looked up, as that of an
 * operation is, and one that is gone is refused. One that may not do this any
 * more ends the process; so does one that wants other admissions or logins
 * than it was begun with.
 */
static CK_RV
look_again(struct call *c, enum session_op which, struct operation *o)
{
	_cleanup_(object_unrefp) struct object *now = NULL;
	struct object *key = op_object(o->op);
	CK_RV rv;

	call_look(c);
	rv = call_key(c, object_handle(key), &now);
	if (rv != CKR_OK || now == key)
		return rv;
	rv = rv_of_key(op_check(c->slot->cfg, operation_kind(which),
	    op_mechanism(o->op), now, &c->why));
	if (rv == CKR_OK &&
	    (now->key != key->key ||
		now->bind_operation != key->bind_operation ||
		now->always_auth != key->always_auth))
		rv = CKR_KEY_HANDLE_INVALID;
	if (rv != CKR_OK)
		operation_end(o);
	return rv;
}

/* Between messages. */
static CK_RV
look_up_idle(struct call *c, CK_SESSION_HANDLE h, enum session_op which,
    struct operation **ret)
{
	CK_RV rv = look_up(c, h, which, ret);

	return rv == CKR_OK && (*ret)->in_message ? CKR_OPERATION_ACTIVE : rv;
}

/* No mechanism here has a parameter for each message. */
static CK_RV
check_param(struct call *c, CK_ULONG len)
{
	if (len == 0)
		return CKR_OK;
	return rv_of(
	    why_setf(&c->why, CVM_E_MECH_PARAM, "message", "ulParameterLen",
		"0: signatures have no parameter of a message", "%lu", len));
}

/* Where a message may begin. */
static CK_RV
look_up_next(struct call *c, CK_SESSION_HANDLE h, enum session_op which,
    const char *function, CK_ULONG param_len, struct operation **ret)
{
	CK_RV rv = look_up_idle(c, h, which, ret);

	if (rv == CKR_OK)
		rv = check_param(c, param_len);
	if (rv == CKR_OK)
		rv = look_again(c, which, *ret);
	return call_fail(c, function, rv);
}

static CK_RV
look_up_message(struct call *c, CK_SESSION_HANDLE h, enum session_op which,
    struct operation **ret)
{
	CK_RV rv = look_up(c, h, which, ret);

	return rv == CKR_OK && !(*ret)->in_message ?
	    CKR_OPERATION_NOT_INITIALIZED :
	    rv;
}

static CK_RV
end_message(struct call *c, struct operation *o, const char *function, CK_RV rv)
{
	o->in_message = o->multipart = o->authed = false;
	if (op_reset(o->op) != CVM_OK)
		operation_end(o);
	return call_fail(c, function, rv);
}

/* The size of the signature, and whether that was all that is asked. */
static bool
only_size(struct call *c, struct operation *o, CK_BYTE *out, CK_ULONG *out_len,
    CK_RV *ret)
{
	CK_ULONG room = *out_len;

	*ret = rv_of_key(
	    op_final(o->op, /* p= */ NULL, /* out= */ NULL, out_len, &c->why));
	if (*ret == CKR_OK && out != NULL && room < *out_len)
		*ret = CKR_BUFFER_TOO_SMALL;
	return *ret != CKR_OK || out == NULL;
}

CK_RV
C_MessageSignInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	return operation_init(hSession, SESSION_MESSAGE_SIGN, pMechanism, hKey);
}

CK_RV
C_SignMessage(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pSignature, CK_ULONG_PTR pulSignatureLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up_next(&c, hSession, SESSION_MESSAGE_SIGN,
	    "C_SignMessage", ulParameterLen, &o);

	(void)pParameter;
	if (rv != CKR_OK)
		return rv;
	if (!bytes_bounded(pData, ulDataLen) || pulSignatureLen == NULL)
		return CKR_ARGUMENTS_BAD;
	if (only_size(&c, o, pSignature, pulSignatureLen, &rv))
		return rv;
	rv = operation_do_once(&c, o, "C_SignMessage", span(pData, ulDataLen),
	    pSignature, pulSignatureLen);
	return end_message(&c, o, "C_SignMessage", rv);
}

CK_RV
C_SignMessageBegin(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up_next(&c, hSession, SESSION_MESSAGE_SIGN,
	    "C_SignMessageBegin", ulParameterLen, &o);

	(void)pParameter;
	if (rv == CKR_OK)
		o->in_message = true;
	return rv;
}

static CK_RV
sign_rest(struct call *c, struct operation *o, struct span in, CK_BYTE *out,
    CK_ULONG *out_len)
{
	static const char function[] = "C_SignMessageNext";
	CK_RV rv = operation_feed(c, o, function, in, NULL, NULL);

	return rv != CKR_OK ? rv :
			      operation_do_final(c, o, function, out, out_len);
}

/* pulSignatureLen tells the last part from the others. */
CK_RV
C_SignMessageNext(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pSignature, CK_ULONG_PTR pulSignatureLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	const struct span in = span(pData, ulDataLen);
	struct operation *o;
	CK_RV rv = look_up_message(&c, hSession, SESSION_MESSAGE_SIGN, &o);

	(void)pParameter;
	if (rv != CKR_OK)
		return rv;
	if (!bytes_bounded(pData, ulDataLen))
		rv = CKR_ARGUMENTS_BAD;
	else if (ulParameterLen > 0)
		rv = check_param(&c, ulParameterLen);
	else if (pulSignatureLen == NULL)
		rv = operation_feed(&c, o, "C_SignMessageNext", in, NULL, NULL);
	else if (!only_size(&c, o, pSignature, pulSignatureLen, &rv))
		return end_message(&c, o, "C_SignMessageNext",
		    sign_rest(&c, o, in, pSignature, pulSignatureLen));
	if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL)
		return rv;
	return end_message(&c, o, "C_SignMessageNext", rv);
}

static CK_RV
end_process(CK_SESSION_HANDLE h, enum session_op which)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up_idle(&c, h, which, &o);

	if (rv == CKR_OK)
		operation_end(o);
	return rv;
}

CK_RV
C_MessageSignFinal(CK_SESSION_HANDLE hSession)
{
	return end_process(hSession, SESSION_MESSAGE_SIGN);
}

CK_RV
C_MessageVerifyInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	return operation_init(hSession, SESSION_MESSAGE_VERIFY, pMechanism,
	    hKey);
}

CK_RV
C_VerifyMessage(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	const struct span in = span(pData, ulDataLen);
	struct operation *o;
	CK_RV rv = look_up_next(&c, hSession, SESSION_MESSAGE_VERIFY,
	    "C_VerifyMessage", ulParameterLen, &o);

	(void)pParameter;
	if (rv != CKR_OK)
		return rv;
	if (!bytes_bounded(pData, ulDataLen) || pSignature == NULL)
		return CKR_ARGUMENTS_BAD;
	rv = operation_do_verify(&c, o, "C_VerifyMessage", &in,
	    span(pSignature, ulSignatureLen));
	return end_message(&c, o, "C_VerifyMessage", rv);
}

CK_RV
C_VerifyMessageBegin(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up_next(&c, hSession, SESSION_MESSAGE_VERIFY,
	    "C_VerifyMessageBegin", ulParameterLen, &o);

	(void)pParameter;
	if (rv == CKR_OK)
		o->in_message = true;
	return rv;
}

static CK_RV
verify_rest(struct call *c, struct operation *o, struct span in,
    struct span sig)
{
	static const char function[] = "C_VerifyMessageNext";
	CK_RV rv = operation_feed(c, o, function, in, NULL, NULL);

	return rv != CKR_OK ?
	    rv :
	    operation_do_verify(c, o, function, /* input= */ NULL, sig);
}

/* pSignature tells the last part from the others. */
CK_RV
C_VerifyMessageNext(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	const struct span in = span(pData, ulDataLen);
	struct operation *o;
	CK_RV rv = look_up_message(&c, hSession, SESSION_MESSAGE_VERIFY, &o);

	(void)pParameter;
	if (rv != CKR_OK)
		return rv;
	if (!bytes_bounded(pData, ulDataLen) ||
	    !bytes_bounded(pSignature, ulSignatureLen))
		rv = CKR_ARGUMENTS_BAD;
	else if (ulParameterLen > 0)
		rv = check_param(&c, ulParameterLen);
	else if (pSignature != NULL)
		return end_message(&c, o, "C_VerifyMessageNext",
		    verify_rest(&c, o, in, span(pSignature, ulSignatureLen)));
	else
		rv = operation_feed(&c, o, "C_VerifyMessageNext", in, NULL,
		    NULL);
	return rv == CKR_OK ? rv :
			      end_message(&c, o, "C_VerifyMessageNext", rv);
}

CK_RV
C_MessageVerifyFinal(CK_SESSION_HANDLE hSession)
{
	return end_process(hSession, SESSION_MESSAGE_VERIFY);
}
