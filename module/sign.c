/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/operation.h"

CK_RV
C_SignInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	return operation_init(hSession, SESSION_SIGN, pMechanism, hKey);
}

CK_RV
C_Sign(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pSignature, CK_ULONG_PTR pulSignatureLen)
{
	return operation_once(hSession, SESSION_SIGN, "C_Sign", pData,
	    ulDataLen, pSignature, pulSignatureLen);
}

CK_RV
C_SignUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart, CK_ULONG ulPartLen)
{
	return operation_update(hSession, SESSION_SIGN, "C_SignUpdate", pPart,
	    ulPartLen, /* out= */ NULL, /* out_len= */ NULL);
}

CK_RV
C_SignFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSignature,
    CK_ULONG_PTR pulSignatureLen)
{
	return operation_final(hSession, SESSION_SIGN, "C_SignFinal",
	    pSignature, pulSignatureLen);
}

CK_RV
C_VerifyInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	return operation_init(hSession, SESSION_VERIFY, pMechanism, hKey);
}

CK_RV
C_Verify(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen)
{
	return operation_verify(hSession, pData, ulDataLen, pSignature,
	    ulSignatureLen);
}

CK_RV
C_VerifyUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart,
    CK_ULONG ulPartLen)
{
	return operation_update(hSession, SESSION_VERIFY, "C_VerifyUpdate",
	    pPart, ulPartLen, /* out= */ NULL, /* out_len= */ NULL);
}

CK_RV
C_VerifyFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSignature,
    CK_ULONG ulSignatureLen)
{
	return operation_verify_final(hSession, pSignature, ulSignatureLen);
}

CK_RV
C_VerifySignatureInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey, CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen)
{
	return operation_signature_init(hSession, pMechanism, hKey, pSignature,
	    ulSignatureLen);
}

CK_RV
C_VerifySignature(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData,
    CK_ULONG ulDataLen)
{
	return operation_signature(hSession, pData, ulDataLen);
}

CK_RV
C_VerifySignatureUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart,
    CK_ULONG ulPartLen)
{
	return operation_signature_update(hSession, pPart, ulPartLen);
}

CK_RV
C_VerifySignatureFinal(CK_SESSION_HANDLE hSession)
{
	return operation_signature_final(hSession);
}
