/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/call.h"

/*
 * Functions that are not offered say so, and nothing else: a probe must never
 * abort or disturb the program that makes it.
 */
static CK_RV
not_supported(void)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_enter(&c);

	return rv != CKR_OK ? rv : CKR_FUNCTION_NOT_SUPPORTED;
}

/* Section 5.19: legacy, with one answer for ever. */
static CK_RV
not_parallel(void)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_enter(&c);

	return rv != CKR_OK ? rv : CKR_FUNCTION_NOT_PARALLEL;
}

CK_RV
C_GetFunctionStatus(CK_SESSION_HANDLE hSession)
{
	(void)hSession;
	return not_parallel();
}

CK_RV
C_CancelFunction(CK_SESSION_HANDLE hSession)
{
	(void)hSession;
	return not_parallel();
}

CK_RV
C_SignRecoverInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	(void)hSession;
	(void)pMechanism;
	(void)hKey;
	return not_supported();
}

CK_RV
C_SignRecover(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pSignature, CK_ULONG_PTR pulSignatureLen)
{
	(void)hSession;
	(void)pData;
	(void)ulDataLen;
	(void)pSignature;
	(void)pulSignatureLen;
	return not_supported();
}

CK_RV
C_VerifyRecoverInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	(void)hSession;
	(void)pMechanism;
	(void)hKey;
	return not_supported();
}

CK_RV
C_VerifyRecover(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSignature,
    CK_ULONG ulSignatureLen, CK_BYTE_PTR pData, CK_ULONG_PTR pulDataLen)
{
	(void)hSession;
	(void)pSignature;
	(void)ulSignatureLen;
	(void)pData;
	(void)pulDataLen;
	return not_supported();
}

/* Nothing here is asynchronous: there are no threads of our own. */
CK_RV
C_AsyncComplete(CK_SESSION_HANDLE hSession, CK_UTF8CHAR_PTR pFunctionName,
    CK_ASYNC_DATA_PTR pResult)
{
	(void)hSession;
	(void)pFunctionName;
	(void)pResult;
	return not_supported();
}

CK_RV
C_AsyncGetID(CK_SESSION_HANDLE hSession, CK_UTF8CHAR_PTR pFunctionName,
    CK_ULONG_PTR pulID)
{
	(void)hSession;
	(void)pFunctionName;
	(void)pulID;
	return not_supported();
}

CK_RV
C_AsyncJoin(CK_SESSION_HANDLE hSession, CK_UTF8CHAR_PTR pFunctionName,
    CK_ULONG ulID, CK_BYTE_PTR pData, CK_ULONG ulData)
{
	(void)hSession;
	(void)pFunctionName;
	(void)ulID;
	(void)pData;
	(void)ulData;
	return not_supported();
}
