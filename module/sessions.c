/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/call.h"

/* PKCS#11 v3.0 section 5.6.1, before the machine is asked. */
static CK_RV
check_open(struct slot *slot, CK_FLAGS flags)
{
	if ((flags & CKF_SERIAL_SESSION) == 0)
		return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
	if ((flags & CKF_ASYNC_SESSION) != 0)
		return CKR_SESSION_ASYNC_NOT_SUPPORTED;
	if ((flags & CKF_RW_SESSION) == 0 && slot_so(slot))
		return CKR_SESSION_READ_WRITE_SO_EXISTS;
	return gate_forbidden(slot->gate) ? CKR_TOKEN_NOT_PRESENT : CKR_OK;
}

/*
 * A denial does not fail the call unless the configuration asks for that:
 * the session opens unadmitted, and the use of a key is refused.
 */
static CK_RV
admit_session(struct call *c)
{
	int err = gate_open_session(c->slot->gate, &c->session->gate, &c->why);

	if ((err == CVM_E_DENIED || err == CVM_E_SEALED) &&
	    c->slot->cfg->on_denial == ON_DENIAL_FAIL)
		return CKR_TOKEN_NOT_PRESENT;
	call_unadmitted(c, "C_OpenSession", err);
	return CKR_OK;
}

/* No notifications are sent, and none were ever required. */
CK_RV
C_OpenSession(CK_SLOT_ID slotID, CK_FLAGS flags, CK_VOID_PTR pApplication,
    CK_NOTIFY Notify, CK_SESSION_HANDLE_PTR phSession)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_slot(&c, slotID);
	int err;

	(void)pApplication;
	(void)Notify;
	if (rv != CKR_OK)
		return rv;
	if (phSession == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = check_open(c.slot, flags)) != CKR_OK)
		return rv;
	err = session_open(c.lib->sessions, c.slot,
	    (flags & CKF_RW_SESSION) != 0, &c.session);
	if (err != CVM_OK)
		return err == CVM_E_BUSY ? CKR_SESSION_COUNT : rv_of(err);
	rv = admit_session(&c);
	if (rv == CKR_OK)
		*phSession = atomic_load(&c.session->handle);
	else
		session_close(c.lib->sessions, TAKE_PTR(c.session));
	return rv;
}

CK_RV
C_CloseSession(CK_SESSION_HANDLE hSession)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session_only(&c, hSession);

	if (rv == CKR_OK)
		session_close(c.lib->sessions, TAKE_PTR(c.session));
	return rv;
}

CK_RV
C_CloseAllSessions(CK_SLOT_ID slotID)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_slot(&c, slotID);

	if (rv == CKR_OK)
		session_close_all(c.lib->sessions, c.slot);
	return rv;
}

static CK_STATE
session_state(const struct call *c)
{
	bool writable = c->session->writable;

	if (c->caller.so)
		return CKS_RW_SO_FUNCTIONS;
	if (c->caller.user)
		return writable ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
	return writable ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
}

CK_RV
C_GetSessionInfo(CK_SESSION_HANDLE hSession, CK_SESSION_INFO_PTR pInfo)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (pInfo == NULL)
		return CKR_ARGUMENTS_BAD;
	*pInfo = (CK_SESSION_INFO){
		.slotID = c.slot->id,
		.state = session_state(&c),
		.flags = CKF_SERIAL_SESSION |
		    (c.session->writable ? CKF_RW_SESSION : 0),
	};
	return CKR_OK;
}

static const struct {
	CK_FLAGS flag;
	enum session_op op;
} cancels[] = {
	{ CKF_SIGN, SESSION_SIGN },
	{ CKF_VERIFY, SESSION_VERIFY },
	{ CKF_ENCRYPT, SESSION_ENCRYPT },
	{ CKF_DECRYPT, SESSION_DECRYPT },
	{ CKF_DIGEST, SESSION_DIGEST },
	{ CKF_MESSAGE_SIGN, SESSION_MESSAGE_SIGN },
	{ CKF_MESSAGE_VERIFY, SESSION_MESSAGE_VERIFY },
	{ CKF_MESSAGE_ENCRYPT, SESSION_MESSAGE_ENCRYPT },
	{ CKF_MESSAGE_DECRYPT, SESSION_MESSAGE_DECRYPT },
};

CK_RV
C_SessionCancel(CK_SESSION_HANDLE hSession, CK_FLAGS flags)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	for (size_t i = 0; i < NELEMS(cancels); i++)
		if ((flags & cancels[i].flag) != 0)
			operation_end(&c.session->op[cancels[i].op]);
	if ((flags & CKF_FIND_OBJECTS) != 0)
		session_find_end(c.session);
	return CKR_OK;
}

/*
 * PKCS#11 v3.2 section 5.22: which validations (FIPS 140, Common Criteria) the
 * last operation was under. This token has none, and says so by no flag.
 */
CK_RV
C_GetSessionValidationFlags(CK_SESSION_HANDLE hSession,
    CK_SESSION_VALIDATION_FLAGS_TYPE type, CK_FLAGS_PTR pFlags)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (pFlags == NULL || type != CKS_LAST_VALIDATION_OK)
		return CKR_ARGUMENTS_BAD;
	*pFlags = 0;
	return CKR_OK;
}
