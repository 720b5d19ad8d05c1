/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "module/operation.h"

/*
 * Operations as bytes (PKCS#11 section 5.6): digests only. The state of what
 * works with a key is as good as the key for that message, and the next use of
 * it would have no admission of its own.
 */
static CK_RV
find_digest(const struct session *s, const struct op **ret)
{
	bool others = false;

	for (size_t i = 0; i < SESSION_OPS; i++)
		others |= i != SESSION_DIGEST && operation_active(&s->op[i]);
	if (others)
		return CKR_STATE_UNSAVEABLE;
	*ret = s->op[SESSION_DIGEST].op;
	return *ret != NULL ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
}

static CK_RV
save(struct call *c, struct blob *ret)
{
	struct token_info info = { 0 };
	const struct op *op = NULL;
	CK_RV rv = find_digest(c->session, &op);
	int err;

	if (rv != CKR_OK)
		return rv;
	token_get_info(c->token, &info);
	err = op_save(op, info.serial, ret);
	return err == CVM_E_UNSUPPORTED ? CKR_STATE_UNSAVEABLE : rv_of(err);
}

CK_RV
C_GetOperationState(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pOperationState,
    CK_ULONG_PTR pulOperationStateLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(blob_clear) struct blob state = { 0 };
	CK_ULONG room;
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (pulOperationStateLen == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = save(&c, &state)) != CKR_OK)
		return rv;
	room = *pulOperationStateLen;
	*pulOperationStateLen = state.len;
	if (pOperationState == NULL)
		return CKR_OK;
	if (room < state.len)
		return CKR_BUFFER_TOO_SMALL;
	memcpy(pOperationState, state.data, state.len);
	return CKR_OK;
}

CK_RV
C_SetOperationState(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pOperationState,
    CK_ULONG ulOperationStateLen, CK_OBJECT_HANDLE hEncryptionKey,
    CK_OBJECT_HANDLE hAuthenticationKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(op_freep) struct op *op = NULL;
	struct token_info info = { 0 };
	int err;
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (pOperationState == NULL)
		return CKR_ARGUMENTS_BAD;
	token_get_info(c.token, &info);
	err = op_restore(c.token, c.slot->cfg, info.serial,
	    span(pOperationState, ulOperationStateLen), &op);
	if (err != CVM_OK)
		return err == CVM_E_NOMEM ? CKR_HOST_MEMORY :
					    CKR_SAVED_STATE_INVALID;
	if (hEncryptionKey != CK_INVALID_HANDLE ||
	    hAuthenticationKey != CK_INVALID_HANDLE)
		return CKR_KEY_NOT_NEEDED;
	for (size_t i = 0; i < SESSION_OPS; i++)
		operation_end(&c.session->op[i]);
	session_find_end(c.session);
	c.session->op[SESSION_DIGEST].multipart = op_in_parts(op);
	c.session->op[SESSION_DIGEST].op = TAKE_PTR(op);
	return CKR_OK;
}
