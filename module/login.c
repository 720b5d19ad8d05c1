/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "conf/file.h"
#include "module/call.h"

#define PIN_FILE_MAX 1024

/* One line of the file that the configuration names. */
static int
read_pin_file(const char *path, struct secret **ret, struct why *why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	size_t len;
	int err = file_read(path, PIN_FILE_MAX, FILE_NAMED, &b, why);

	if (err != CVM_OK)
		return err;
	len = b.len;
	while (len > 0 && (b.data[len - 1] == '\n' || b.data[len - 1] == '\r'))
		len--;
	*ret = secret_copy(span(b.data, len));
	secret_wipe(b.data, b.len);
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}

/* The caller's PIN, or the unattended one where the caller brings none. */
static CK_RV
get_pin(struct call *c, CK_USER_TYPE type, const CK_BYTE *pin, CK_ULONG len,
    struct secret **ret)
{
	const char *path = c->slot->cfg->pin_file;

	if (pin == NULL && type != CKU_SO && path != NULL)
		return rv_of(read_pin_file(path, ret, &c->why));
	if (pin == NULL)
		return CKR_ARGUMENTS_BAD;
	/* No PIN is so long: not worth a copy. */
	if (len > PIN_LEN_MAX)
		return CKR_PIN_INCORRECT;
	*ret = secret_copy(span(pin, len));
	return *ret != NULL ? CKR_OK : CKR_HOST_MEMORY;
}

static CK_RV
login_user(struct call *c, const struct secret *pin)
{
	struct gate *g = c->slot->gate;
	int err;

	if (c->caller.so)
		return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
	if (c->caller.user)
		return CKR_USER_ALREADY_LOGGED_IN;
	do {
		err = call_admit(c);
		if (err == CVM_OK)
			err = token_login_user(c->token, &c->permit,
			    secret_span(pin), gate_policy(g), gate_vtpm(g),
			    &c->why);
	} while (call_again(c, &err));
	return rv_of(err);
}

static CK_RV
login_so(struct call *c, const struct secret *pin)
{
	struct gate *g = c->slot->gate;
	int err;

	if (c->caller.so)
		return CKR_USER_ALREADY_LOGGED_IN;
	if (slot_user(c->slot))
		return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
	if (atomic_load(&c->slot->n_sessions) >
	    atomic_load(&c->slot->n_writable))
		return CKR_SESSION_READ_ONLY_EXISTS;
	do {
		err = call_admit(c);
		if (err == CVM_OK)
			err = token_login_so(c->token, &c->permit,
			    secret_span(pin), gate_policy(g), gate_vtpm(g),
			    &c->why);
	} while (call_again(c, &err));
	if (err == CVM_OK)
		(void)atomic_fetch_add(&c->slot->login_ends, 1);
	return rv_of(err);
}

static bool
waits_for_auth(const struct operation *o)
{
	return operation_active(o) && o->always_auth && !o->authed;
}

/* PKCS#11 v3.0 section 5.6.6: for the operation that was begun. */
static CK_RV
login_context(struct call *c, const struct secret *pin)
{
	bool wanted = false;
	int err;

	for (size_t i = 0; i < SESSION_OPS; i++)
		wanted |= waits_for_auth(&c->session->op[i]);
	if (!wanted)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!c->caller.user)
		return CKR_USER_NOT_LOGGED_IN;
	err = pin == NULL ?
	    CVM_OK :
	    token_verify_user(c->token, secret_span(pin), &c->why);
	for (size_t i = 0; i < SESSION_OPS && err == CVM_OK; i++)
		if (waits_for_auth(&c->session->op[i]))
			c->session->op[i].authed = true;
	return rv_of(err);
}

/*
 * Login by attestation: an admitted session is a logged-in one. A PIN is
 * refused, for there is none that it could be compared with.
 */
static CK_RV
login_attested(struct call *c, CK_USER_TYPE type, CK_ULONG len)
{
	int err;

	if (len > 0)
		return CKR_PIN_INCORRECT;
	if (c->caller.so)
		return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
	if ((err = call_admit(c)) != CVM_OK)
		return rv_of(err);
	if (type == CKU_CONTEXT_SPECIFIC)
		return login_context(c, /* pin= */ NULL);
	return atomic_exchange(&c->slot->attested_login, true) ?
	    CKR_USER_ALREADY_LOGGED_IN :
	    CKR_OK;
}

static const struct {
	CK_USER_TYPE type;
	CK_RV (*fn)(struct call *c, const struct secret *pin);
} logins[] = {
	{ CKU_USER, login_user },
	{ CKU_SO, login_so },
	{ CKU_CONTEXT_SPECIFIC, login_context },
};

/* One after the other: who logs in sees whether the other has. */
static CK_RV
log_in(struct call *c, CK_RV (*fn)(struct call *c, const struct secret *pin),
    const struct secret *pin)
{
	CK_RV rv;

	(void)pthread_mutex_lock(&c->slot->logging_in);
	call_use_permit(c, c->caller.permit);
	rv = fn(c, pin);
	(void)pthread_mutex_unlock(&c->slot->logging_in);
	return rv;
}

CK_RV
C_Login(CK_SESSION_HANDLE hSession, CK_USER_TYPE userType, CK_UTF8CHAR_PTR pPin,
    CK_ULONG ulPinLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(secret_freep) struct secret *pin = NULL;
	CK_RV rv = call_session(&c, hSession);
	size_t i = 0;

	if (rv != CKR_OK)
		return rv;
	while (i < NELEMS(logins) && logins[i].type != userType)
		i++;
	if (i == NELEMS(logins))
		return CKR_USER_TYPE_INVALID;
	if (c.slot->cfg->login == LOGIN_ATTESTATION && userType != CKU_SO) {
		(void)pthread_mutex_lock(&c.slot->logging_in);
		rv = login_attested(&c, userType, pPin != NULL ? ulPinLen : 0);
		(void)pthread_mutex_unlock(&c.slot->logging_in);
		return call_fail(&c, "C_Login", rv);
	}
	rv = get_pin(&c, userType, pPin, ulPinLen, &pin);
	if (rv == CKR_OK)
		rv = log_in(&c, logins[i].fn, pin);
	return call_fail(&c, "C_Login", rv);
}

/* There are no names of users here. */
CK_RV
C_LoginUser(CK_SESSION_HANDLE hSession, CK_USER_TYPE userType, CK_CHAR_PTR pPin,
    CK_ULONG ulPinLen, CK_UTF8CHAR_PTR pUsername, CK_ULONG ulUsernameLen)
{
	if (pUsername != NULL || ulUsernameLen != 0)
		return CKR_ARGUMENTS_BAD;
	return C_Login(hSession, userType, pPin, ulPinLen);
}

CK_RV
C_Logout(CK_SESSION_HANDLE hSession)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (!slot_user(c.slot) && !slot_so(c.slot))
		return CKR_USER_NOT_LOGGED_IN;
	slot_forget_login(c.slot);
	return CKR_OK;
}

CK_RV
C_InitPIN(CK_SESSION_HANDLE hSession, CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);
	int err;

	if (rv != CKR_OK)
		return rv;
	if (pPin == NULL)
		return CKR_ARGUMENTS_BAD;
	if (!c.caller.so)
		return CKR_USER_NOT_LOGGED_IN;
	do {
		err = call_admit(&c);
		if (err == CVM_OK)
			err = token_init_pin(c.token, &c.permit,
			    span(pPin, ulPinLen), gate_policy(c.slot->gate),
			    gate_vtpm(c.slot->gate), &c.why);
	} while (call_again(&c, &err));
	return call_fail(&c, "C_InitPIN", rv_of(err));
}

CK_RV
C_SetPIN(CK_SESSION_HANDLE hSession, CK_UTF8CHAR_PTR pOldPin, CK_ULONG ulOldLen,
    CK_UTF8CHAR_PTR pNewPin, CK_ULONG ulNewLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);
	int err;

	if (rv != CKR_OK)
		return rv;
	if (pOldPin == NULL || pNewPin == NULL)
		return CKR_ARGUMENTS_BAD;
	if (!c.session->writable)
		return CKR_SESSION_READ_ONLY;
	do {
		err = call_admit(&c);
		if (err == CVM_OK)
			err = token_set_pin(c.token, &c.permit, c.caller.so,
			    span(pOldPin, ulOldLen), span(pNewPin, ulNewLen),
			    gate_policy(c.slot->gate), gate_vtpm(c.slot->gate),
			    &c.why);
	} while (call_again(&c, &err));
	return call_fail(&c, "C_SetPIN", rv_of(err));
}
