/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/operation.h"

/* An update that gives output must have somewhere to say how much. */
static CK_RV
part(CK_SESSION_HANDLE h, enum session_op which, const char *function,
    CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	if (out_len == NULL) /* refused, and the operation ends */
		return operation_once(h, which, function, in, in_len, out,
		    /* out_len= */ NULL);
	return operation_update(h, which, function, in, in_len, out, out_len);
}

CK_RV
C_EncryptInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	return operation_init(hSession, SESSION_ENCRYPT, pMechanism, hKey);
}

CK_RV
C_Encrypt(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen,
    CK_BYTE_PTR pEncryptedData, CK_ULONG_PTR pulEncryptedDataLen)
{
	return operation_once(hSession, SESSION_ENCRYPT, "C_Encrypt", pData,
	    ulDataLen, pEncryptedData, pulEncryptedDataLen);
}

CK_RV
C_EncryptUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart,
    CK_ULONG ulPartLen, CK_BYTE_PTR pEncryptedPart,
    CK_ULONG_PTR pulEncryptedPartLen)
{
	return part(hSession, SESSION_ENCRYPT, "C_EncryptUpdate", pPart,
	    ulPartLen, pEncryptedPart, pulEncryptedPartLen);
}

CK_RV
C_EncryptFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pLastEncryptedPart,
    CK_ULONG_PTR pulLastEncryptedPartLen)
{
	return operation_final(hSession, SESSION_ENCRYPT, "C_EncryptFinal",
	    pLastEncryptedPart, pulLastEncryptedPartLen);
}

CK_RV
C_DecryptInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hKey)
{
	return operation_init(hSession, SESSION_DECRYPT, pMechanism, hKey);
}

CK_RV
C_Decrypt(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pEncryptedData,
    CK_ULONG ulEncryptedDataLen, CK_BYTE_PTR pData, CK_ULONG_PTR pulDataLen)
{
	return operation_once(hSession, SESSION_DECRYPT, "C_Decrypt",
	    pEncryptedData, ulEncryptedDataLen, pData, pulDataLen);
}

CK_RV
C_DecryptUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pEncryptedPart,
    CK_ULONG ulEncryptedPartLen, CK_BYTE_PTR pPart, CK_ULONG_PTR pulPartLen)
{
	return part(hSession, SESSION_DECRYPT, "C_DecryptUpdate",
	    pEncryptedPart, ulEncryptedPartLen, pPart, pulPartLen);
}

CK_RV
C_DecryptFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pLastPart,
    CK_ULONG_PTR pulLastPartLen)
{
	return operation_final(hSession, SESSION_DECRYPT, "C_DecryptFinal",
	    pLastPart, pulLastPartLen);
}

CK_RV
C_DigestEncryptUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart,
    CK_ULONG ulPartLen, CK_BYTE_PTR pEncryptedPart,
    CK_ULONG_PTR pulEncryptedPartLen)
{
	return operation_dual(hSession, SESSION_ENCRYPT, SESSION_DIGEST,
	    INPUT_TO_BOTH, "C_DigestEncryptUpdate", pPart, ulPartLen,
	    pEncryptedPart, pulEncryptedPartLen);
}

CK_RV
C_DecryptDigestUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pEncryptedPart,
    CK_ULONG ulEncryptedPartLen, CK_BYTE_PTR pPart, CK_ULONG_PTR pulPartLen)
{
	return operation_dual(hSession, SESSION_DECRYPT, SESSION_DIGEST,
	    OUTPUT_TO_SECOND, "C_DecryptDigestUpdate", pEncryptedPart,
	    ulEncryptedPartLen, pPart, pulPartLen);
}

CK_RV
C_SignEncryptUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart,
    CK_ULONG ulPartLen, CK_BYTE_PTR pEncryptedPart,
    CK_ULONG_PTR pulEncryptedPartLen)
{
	return operation_dual(hSession, SESSION_ENCRYPT, SESSION_SIGN,
	    INPUT_TO_BOTH, "C_SignEncryptUpdate", pPart, ulPartLen,
	    pEncryptedPart, pulEncryptedPartLen);
}

CK_RV
C_DecryptVerifyUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pEncryptedPart,
    CK_ULONG ulEncryptedPartLen, CK_BYTE_PTR pPart, CK_ULONG_PTR pulPartLen)
{
	return operation_dual(hSession, SESSION_DECRYPT, SESSION_VERIFY,
	    OUTPUT_TO_SECOND, "C_DecryptVerifyUpdate", pEncryptedPart,
	    ulEncryptedPartLen, pPart, pulPartLen);
}
