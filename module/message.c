/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "module/operation.h"
#include "token/object_impl.h"

/*
 * Message-based encryption and decryption (PKCS#11 3.0 sections 5.9 and 5.11):
 * one key, many messages, each with a parameter, an admission where uses are
 * bound, and an end of its own. What is done to a message is the one-shot form
 * of the mechanism, whose tag is kept apart.
 */

/* What a message is called with. */
struct message {
	void *param;
	CK_ULONG param_len;
	struct span aad, in;
	CK_BYTE *out;
	CK_ULONG *out_len;
	CK_ULONG room; /* of out */
};

/* Nothing is used of the parameter: each message brings its own. */
static CK_RV
begin_process(struct call *c, enum session_op which, const CK_MECHANISM *mech,
    struct object *key)
{
	struct operation *o = &c->session->op[which];
	int err;

	if (!message_mechanism(mech->mechanism))
		return CKR_MECHANISM_INVALID;
	err = op_check(c->slot->cfg, operation_kind(which), mech->mechanism,
	    key, &c->why);
	if (err != CVM_OK)
		return rv_of_key(err);
	err = message_init_check(mech->mechanism, mech->ulParameterLen,
	    &c->why);
	if (err != CVM_OK)
		return rv_of(err);
	o->message_key = object_ref(key);
	o->message_mech = mech->mechanism;
	o->login_ends = c->login_ends;
	o->always_auth = object_bool(key, CKA_ALWAYS_AUTHENTICATE);
	return CKR_OK;
}

static CK_RV
look_up(struct call *c, CK_SESSION_HANDLE h, enum session_op which,
    struct operation **ret)
{
	CK_RV rv = call_session_only(c, h);

	if (rv != CKR_OK)
		return rv;
	*ret = &c->session->op[which];
	return (*ret)->message_key != NULL ? CKR_OK :
					     CKR_OPERATION_NOT_INITIALIZED;
}

/* Of a message that is over; the process goes on. */
static CK_RV
end_message(struct call *c, struct operation *o, const char *function, CK_RV rv)
{
	op_rest(&o->op, &o->rest);
	o->in_message = o->authed = false;
	o->taken = o->given = 0;
	return call_fail(c, function, rv);
}

static bool
bad_span(struct span s)
{
	return !bytes_bounded(s.data, s.len);
}

/* A wrong tag has a name of its own here. */
static CK_RV
name_failure(CK_RV rv)
{
	return rv == CKR_ENCRYPTED_DATA_INVALID ? CKR_AEAD_DECRYPT_FAILED : rv;
}

/* A process lasts: before each message its key is looked up, as that of an
 * operation is, and may be another object by now, or none. */
static CK_RV
look_again(struct call *c, enum session_op which, struct operation *o)
{
	_cleanup_(object_unrefp) struct object *now = NULL;
	CK_RV rv;
	int err;

	call_look(c);
	rv = call_key(c, object_handle(o->message_key), &now);
	if (rv != CKR_OK || now == o->message_key)
		return rv;
	err = op_check(c->slot->cfg, operation_kind(which), o->message_mech,
	    now, &c->why);
	if (err != CVM_OK)
		return rv_of_key(err);
	object_unrefp(&o->message_key);
	o->message_key = TAKE_PTR(now);
	o->always_auth = object_bool(o->message_key, CKA_ALWAYS_AUTHENTICATE);
	return CKR_OK;
}

/* Whether what the last message left can be gone on with, for sure. */
static bool
same_again(struct call *c, const struct operation *o)
{
	return o->rest != NULL && op_object(o->rest) == o->message_key &&
	    op_unchanged(o->rest, &c->caller, o->message_mech,
		object_handle(o->message_key));
}

/* Makes op for one message. */
static CK_RV
begin_message(struct call *c, enum session_op which, struct operation *o,
    struct message_param *p)
{
	int err = CVM_OK;
	bool same;
	CK_RV rv;

	/* As for an operation without messages, the clock is left to the use.
	 */
	call_glance(c);
	rv = operation_check_login(c, o, o->message_key);
	if (rv != CKR_OK)
		return rv;
	same = same_again(c, o);
	if (!same && (rv = look_again(c, which, o)) != CKR_OK)
		return rv;
	if (which == SESSION_MESSAGE_ENCRYPT)
		err = message_make_iv(p, &o->counter, &c->why);
	if (err != CVM_OK)
		return rv_of_key(err);
	o->tag_len = p->tag_len;
	if (!same)
		return operation_begin(c, which, &p->mech, o->message_key);
	if (op_resume(&o->rest, &p->mech, c->caller.permit, &o->op))
		return CKR_OK;
	call_look(c);
	return operation_begin(c, which, &p->mech, o->message_key);
}

/* Text may take its own place, but OpenSSL must not write what it is still to
 * read. */
static bool
half_over(const CK_BYTE *out, struct span in)
{
	uintptr_t a = (uintptr_t)out, b = (uintptr_t)in.data;

	return a != b && (a < b ? b - a : a - b) < in.len;
}

/* The text by way of a copy. */
static CK_RV
seal_copy(struct call *c, struct operation *o, const char *function,
    const struct message *m, CK_ULONG *len)
{
	_cleanup_(freep) CK_BYTE *sealed = malloc(m->in.len);
	CK_RV rv;

	if (sealed == NULL)
		return CKR_HOST_MEMORY;
	rv = operation_do_once(c, o, function, m->in, sealed, len);
	if (rv == CKR_OK)
		memcpy(m->out, sealed, m->in.len);
	return rv;
}

static CK_RV
encrypt(struct call *c, struct operation *o, const char *function,
    const struct message *m, struct message_param *p)
{
	CK_ULONG len = m->in.len;
	CK_RV rv = begin_message(c, SESSION_MESSAGE_ENCRYPT, o, p);

	if (rv != CKR_OK)
		return rv;
	op_set_tag(o->op, p->tag);
	rv = half_over(m->out, m->in) ?
	    seal_copy(c, o, function, m, &len) :
	    operation_do_once(c, o, function, m->in, m->out, &len);
	return rv == CKR_OK && len != m->in.len ? rv_of(CVM_E_INTERNAL) : rv;
}

/* The input that is decrypted is text and tag, as it would be without
 * messages: so it is hashed for an admission, and so it is copied. */
static CK_RV
open_copy(struct call *c, struct operation *o, const char *function,
    const struct message *m, const struct message_param *p)
{
	_cleanup_(blob_clear) struct blob sealed = { 0 };
	CK_ULONG len = m->room;

	if (blob_set(&sealed, m->in) != CVM_OK ||
	    blob_append(&sealed, span(p->tag, p->tag_len)) != CVM_OK)
		return CKR_HOST_MEMORY;
	return operation_do_once(c, o, function, blob_span(&sealed), m->out,
	    &len);
}

static CK_RV
decrypt(struct call *c, struct operation *o, const char *function,
    const struct message *m, struct message_param *p)
{
	CK_ULONG len = m->room;
	CK_RV rv = begin_message(c, SESSION_MESSAGE_DECRYPT, o, p);

	if (rv != CKR_OK)
		return rv;
	if (o->bound || half_over(m->out, m->in))
		return name_failure(open_copy(c, o, function, m, p));
	op_set_tag(o->op, p->tag);
	return name_failure(
	    operation_do_once(c, o, function, m->in, m->out, &len));
}

static CK_RV
crypt_message(CK_SESSION_HANDLE h, enum session_op which, const char *function,
    struct message *m)
{
	_cleanup_(call_leave) struct call c;
	struct message_param p;
	struct operation *o;
	CK_RV rv;
	int err;

	call_begin(&c);
	rv = look_up(&c, h, which, &o);
	if (rv != CKR_OK)
		return rv;
	if (o->in_message)
		return CKR_OPERATION_ACTIVE;
	if (m->out_len == NULL || bad_span(m->in) || bad_span(m->aad))
		return CKR_ARGUMENTS_BAD;
	err = message_param_read(o->message_mech, m->param, m->param_len,
	    m->aad, &p, &c.why);
	if (err != CVM_OK)
		return call_fail(&c, function, rv_of(err));
	m->room = *m->out_len;
	*m->out_len = m->in.len;
	if (m->out == NULL)
		return CKR_OK;
	if (m->room < m->in.len)
		return CKR_BUFFER_TOO_SMALL;
	rv = which == SESSION_MESSAGE_ENCRYPT ?
	    encrypt(&c, o, function, m, &p) :
	    decrypt(&c, o, function, m, &p);
	return end_message(&c, o, function, rv);
}

static CK_RV
begin_parts(CK_SESSION_HANDLE h, enum session_op which, const char *function,
    void *param, CK_ULONG param_len, struct span aad)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct message_param p;
	struct operation *o;
	int err;
	CK_RV rv = look_up(&c, h, which, &o);

	if (rv != CKR_OK)
		return rv;
	if (o->in_message)
		return CKR_OPERATION_ACTIVE;
	if (bad_span(aad))
		return CKR_ARGUMENTS_BAD;
	err = message_param_read(o->message_mech, param, param_len, aad, &p,
	    &c.why);
	if (err != CVM_OK)
		return call_fail(&c, function, rv_of(err));
	rv = begin_message(&c, which, o, &p);
	o->in_message = rv == CKR_OK;
	return call_fail(&c, function, rv);
}

/* How much this part gives, before it is taken. */
static CK_RV
part_size(struct call *c, struct operation *o, struct span in, bool last,
    CK_ULONG *ret)
{
	CK_ULONG n = 0;
	int err;

	if (last) {
		*ret = o->taken + in.len - o->given;
		return CKR_OK;
	}
	err = op_update(o->op, NULL, in, /* out= */ NULL, &n, &c->why);
	*ret = n;
	return rv_of_key(err);
}

static CK_RV
give_part(struct call *c, struct operation *o, const char *function,
    struct span in, CK_BYTE *out, CK_ULONG *len)
{
	CK_RV rv = operation_feed(c, o, function, in, out, len);

	if (rv != CKR_OK)
		return rv;
	o->taken += in.len;
	o->given += *len;
	return CKR_OK;
}

/* What was held comes with the tag behind it. */
static CK_RV
seal_rest(struct call *c, struct operation *o, const char *function,
    const struct message_param *p, CK_BYTE *out)
{
	_cleanup_(freep) CK_BYTE *sealed = NULL;
	size_t rest = (size_t)(o->taken - o->given);
	CK_ULONG len = rest + p->tag_len;
	CK_RV rv;

	sealed = malloc(len + 1);
	if (sealed == NULL)
		return CKR_HOST_MEMORY;
	rv = operation_do_final(c, o, function, sealed, &len);
	if (rv == CKR_OK && len != rest + p->tag_len)
		rv = rv_of(CVM_E_INTERNAL);
	if (rv != CKR_OK)
		return rv;
	if (rest > 0)
		memcpy(out, sealed, rest);
	memcpy(p->tag, &sealed[rest], p->tag_len);
	return CKR_OK;
}

static CK_RV
last_part(struct call *c, enum session_op which, struct operation *o,
    const char *function, const struct message *m, struct message_param *p)
{
	bool encrypts = which == SESSION_MESSAGE_ENCRYPT;
	CK_ULONG n = m->room, none = 0;
	CK_RV rv = give_part(c, o, function, m->in, m->out, &n);

	if (rv == CKR_OK && !encrypts)
		rv = give_part(c, o, function, span(p->tag, p->tag_len), m->out,
		    &none);
	if (rv != CKR_OK)
		return rv;
	if (encrypts)
		return seal_rest(c, o, function, p, &m->out[n]);
	n = m->room;
	return name_failure(operation_do_final(c, o, function, m->out, &n));
}

static CK_RV
next_part(struct call *c, enum session_op which, struct operation *o,
    const char *function, struct message *m, CK_FLAGS flags, bool *ret_goes_on)
{
	bool last = flags == CKF_END_OF_MESSAGE;
	struct message_param p;
	CK_ULONG want = 0, n;
	CK_RV rv;
	int err;

	*ret_goes_on = false;
	if (m->out_len == NULL || bad_span(m->in) ||
	    (flags & ~CKF_END_OF_MESSAGE) != 0)
		return CKR_ARGUMENTS_BAD;
	err = message_param_read(o->message_mech, m->param, m->param_len,
	    span("", 0), &p, &c->why);
	if (err == CVM_OK && p.tag_len != o->tag_len)
		err = why_setf(&c->why, CVM_E_MECH_PARAM, p.names->where,
		    p.names->tag_len, "that of the message's first part",
		    "%zu bytes", p.tag_len);
	if (err != CVM_OK)
		return rv_of(err);
	rv = part_size(c, o, m->in, last, &want);
	if (rv != CKR_OK)
		return rv;
	m->room = n = *m->out_len;
	*m->out_len = want;
	*ret_goes_on = m->out == NULL || m->room < want || !last;
	if (m->out == NULL)
		return CKR_OK;
	if (m->room < want)
		return CKR_BUFFER_TOO_SMALL;
	if (last)
		return last_part(c, which, o, function, m, &p);
	rv = give_part(c, o, function, m->in, m->out, &n);
	*m->out_len = n;
	return rv;
}

static CK_RV
crypt_next(CK_SESSION_HANDLE h, enum session_op which, const char *function,
    struct message *m, CK_FLAGS flags)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	bool goes_on = false;
	CK_RV rv = look_up(&c, h, which, &o);

	if (rv != CKR_OK)
		return rv;
	if (!o->in_message)
		return CKR_OPERATION_NOT_INITIALIZED;
	rv = next_part(&c, which, o, function, m, flags, &goes_on);
	if (goes_on && (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL))
		return rv;
	return end_message(&c, o, function, rv);
}

static CK_RV
crypt_final(CK_SESSION_HANDLE h, enum session_op which)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct operation *o;
	CK_RV rv = look_up(&c, h, which, &o);

	if (rv == CKR_OK && o->in_message)
		rv = CKR_OPERATION_ACTIVE;
	if (rv == CKR_OK)
		operation_end(o);
	return rv;
}

CK_RV
C_MessageEncryptInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	return operation_init_with(hSession, SESSION_MESSAGE_ENCRYPT,
	    pMechanism, hKey, begin_process);
}

CK_RV
C_EncryptMessage(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pAssociatedData,
    CK_ULONG ulAssociatedDataLen, CK_BYTE_PTR pPlaintext,
    CK_ULONG ulPlaintextLen, CK_BYTE_PTR pCiphertext,
    CK_ULONG_PTR pulCiphertextLen)
{
	struct message m = {
		.param = pParameter,
		.param_len = ulParameterLen,
		.aad = span(pAssociatedData, ulAssociatedDataLen),
		.in = span(pPlaintext, ulPlaintextLen),
		.out = pCiphertext,
		.out_len = pulCiphertextLen,
	};

	return crypt_message(hSession, SESSION_MESSAGE_ENCRYPT,
	    "C_EncryptMessage", &m);
}

CK_RV
C_EncryptMessageBegin(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pAssociatedData,
    CK_ULONG ulAssociatedDataLen)
{
	return begin_parts(hSession, SESSION_MESSAGE_ENCRYPT,
	    "C_EncryptMessageBegin", pParameter, ulParameterLen,
	    span(pAssociatedData, ulAssociatedDataLen));
}

CK_RV
C_EncryptMessageNext(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pPlaintextPart,
    CK_ULONG ulPlaintextPartLen, CK_BYTE_PTR pCiphertextPart,
    CK_ULONG_PTR pulCiphertextPartLen, CK_FLAGS flags)
{
	struct message m = {
		.param = pParameter,
		.param_len = ulParameterLen,
		.in = span(pPlaintextPart, ulPlaintextPartLen),
		.out = pCiphertextPart,
		.out_len = pulCiphertextPartLen,
	};

	return crypt_next(hSession, SESSION_MESSAGE_ENCRYPT,
	    "C_EncryptMessageNext", &m, flags);
}

CK_RV
C_MessageEncryptFinal(CK_SESSION_HANDLE hSession)
{
	return crypt_final(hSession, SESSION_MESSAGE_ENCRYPT);
}

CK_RV
C_MessageDecryptInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	return operation_init_with(hSession, SESSION_MESSAGE_DECRYPT,
	    pMechanism, hKey, begin_process);
}

CK_RV
C_DecryptMessage(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pAssociatedData,
    CK_ULONG ulAssociatedDataLen, CK_BYTE_PTR pCiphertext,
    CK_ULONG ulCiphertextLen, CK_BYTE_PTR pPlaintext,
    CK_ULONG_PTR pulPlaintextLen)
{
	struct message m = {
		.param = pParameter,
		.param_len = ulParameterLen,
		.aad = span(pAssociatedData, ulAssociatedDataLen),
		.in = span(pCiphertext, ulCiphertextLen),
		.out = pPlaintext,
		.out_len = pulPlaintextLen,
	};

	return crypt_message(hSession, SESSION_MESSAGE_DECRYPT,
	    "C_DecryptMessage", &m);
}

CK_RV
C_DecryptMessageBegin(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pAssociatedData,
    CK_ULONG ulAssociatedDataLen)
{
	return begin_parts(hSession, SESSION_MESSAGE_DECRYPT,
	    "C_DecryptMessageBegin", pParameter, ulParameterLen,
	    span(pAssociatedData, ulAssociatedDataLen));
}

CK_RV
C_DecryptMessageNext(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter,
    CK_ULONG ulParameterLen, CK_BYTE_PTR pCiphertextPart,
    CK_ULONG ulCiphertextPartLen, CK_BYTE_PTR pPlaintextPart,
    CK_ULONG_PTR pulPlaintextPartLen, CK_FLAGS flags)
{
	struct message m = {
		.param = pParameter,
		.param_len = ulParameterLen,
		.in = span(pCiphertextPart, ulCiphertextPartLen),
		.out = pPlaintextPart,
		.out_len = pulPlaintextPartLen,
	};

	return crypt_next(hSession, SESSION_MESSAGE_DECRYPT,
	    "C_DecryptMessageNext", &m, flags);
}

CK_RV
C_MessageDecryptFinal(CK_SESSION_HANDLE hSession)
{
	return crypt_final(hSession, SESSION_MESSAGE_DECRYPT);
}
