/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/operation.h"

CK_RV
C_DigestInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism)
{
	return operation_init(hSession, SESSION_DIGEST, pMechanism,
	    CK_INVALID_HANDLE);
}

CK_RV
C_Digest(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pDigest, CK_ULONG_PTR pulDigestLen)
{
	return operation_once(hSession, SESSION_DIGEST, "C_Digest", pData,
	    ulDataLen, pDigest, pulDigestLen);
}

CK_RV
C_DigestUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart,
    CK_ULONG ulPartLen)
{
	return operation_update(hSession, SESSION_DIGEST, "C_DigestUpdate",
	    pPart, ulPartLen, /* out= */ NULL, /* out_len= */ NULL);
}

/* The value of a secret key, if the caller may read it anyway. */
static int
key_value(struct call *c, CK_OBJECT_HANDLE key, struct secret **ret)
{
	CK_ATTRIBUTE a = { CKA_VALUE, NULL, 0 };
	_cleanup_(secret_freep) struct secret *value = NULL;
	int err;

	err = call_reveal(c, "C_DigestKey", key, &a, 1);
	if (err == CVM_OK)
		err = token_get_attributes(c->token, &c->caller, key, &a, 1);
	if (err != CVM_OK)
		return err;
	value = secret_new(a.ulValueLen);
	if (value == NULL)
		return CVM_E_NOMEM;
	a.pValue = secret_data(value);
	err = token_get_attributes(c->token, &c->caller, key, &a, 1);
	if (err == CVM_OK)
		*ret = TAKE_PTR(value);
	return err;
}

static CK_RV
digest_key(struct call *c, CK_OBJECT_HANDLE key)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(secret_freep) struct secret *value = NULL;
	CK_RV rv = call_key(c, key, &o);
	int err;

	if (rv == CKR_OK && object_class(o) != CKO_SECRET_KEY)
		rv = CKR_KEY_INDIGESTIBLE;
	if (rv != CKR_OK)
		return rv;
	do {
		err = key_value(c, key, &value);
	} while (call_again(c, &err));
	if (err == CVM_E_ATTR_SENSITIVE || err == CVM_E_ATTR_TYPE)
		return CKR_KEY_INDIGESTIBLE;
	return err != CVM_OK ? rv_of_key(err) :
			       operation_digest_part(c, secret_span(value));
}

/* No digest is a way round CKA_SENSITIVE: short keys could be guessed. */
CK_RV
C_DigestKey(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (c.session->op[SESSION_DIGEST].op == NULL)
		return CKR_OPERATION_NOT_INITIALIZED;
	rv = digest_key(&c, hKey);
	if (rv != CKR_OK)
		operation_end(&c.session->op[SESSION_DIGEST]);
	return call_fail(&c, "C_DigestKey", rv);
}

CK_RV
C_DigestFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pDigest,
    CK_ULONG_PTR pulDigestLen)
{
	return operation_final(hSession, SESSION_DIGEST, "C_DigestFinal",
	    pDigest, pulDigestLen);
}
