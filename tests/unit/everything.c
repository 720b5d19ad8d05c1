/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/everything.h"

/* One line for each entry point, with the least that a call needs. */
#define CALL(fn, ...)                                                          \
	static CK_RV call_##fn(CK_ULONG h)                                     \
	{                                                                      \
		(void)h;                                                       \
		return fn(__VA_ARGS__);                                        \
	}

CALL(C_Finalize, NULL)
CALL(C_GetInfo, NULL)
CALL(C_GetSlotList, CK_TRUE, NULL, NULL)
CALL(C_GetSlotInfo, h, NULL)
CALL(C_GetTokenInfo, h, NULL)
CALL(C_GetMechanismList, h, NULL, NULL)
CALL(C_GetMechanismInfo, h, CKM_RSA_PKCS, NULL)
CALL(C_InitToken, h, NULL, 0, NULL)
CALL(C_OpenSession, h, CKF_SERIAL_SESSION, NULL, NULL, NULL)
CALL(C_CloseAllSessions, h)
CALL(C_WaitForSlotEvent, CKF_DONT_BLOCK, NULL, NULL)

CALL(C_CloseSession, h)
CALL(C_GetSessionInfo, h, NULL)
CALL(C_GetOperationState, h, NULL, NULL)
CALL(C_SetOperationState, h, NULL, 0, 0, 0)
CALL(C_Login, h, CKU_USER, NULL, 0)
CALL(C_LoginUser, h, CKU_USER, NULL, 0, NULL, 0)
CALL(C_Logout, h)
CALL(C_SessionCancel, h, 0)
CALL(C_InitPIN, h, NULL, 0)
CALL(C_SetPIN, h, NULL, 0, NULL, 0)
CALL(C_CreateObject, h, NULL, 1, NULL)
CALL(C_CopyObject, h, 1, NULL, 1, NULL)
CALL(C_DestroyObject, h, 0)
CALL(C_GetObjectSize, h, 1, NULL)
CALL(C_GetAttributeValue, h, 1, NULL, 1)
CALL(C_SetAttributeValue, h, 1, NULL, 1)
CALL(C_FindObjectsInit, h, NULL, 1)
CALL(C_FindObjects, h, NULL, 1, NULL)
CALL(C_FindObjectsFinal, h)
CALL(C_EncryptInit, h, NULL, 1)
CALL(C_Encrypt, h, NULL, 1, NULL, NULL)
CALL(C_EncryptUpdate, h, NULL, 1, NULL, NULL)
CALL(C_EncryptFinal, h, NULL, NULL)
CALL(C_DecryptInit, h, NULL, 1)
CALL(C_Decrypt, h, NULL, 1, NULL, NULL)
CALL(C_DecryptUpdate, h, NULL, 1, NULL, NULL)
CALL(C_DecryptFinal, h, NULL, NULL)
CALL(C_DigestInit, h, NULL)
CALL(C_Digest, h, NULL, 1, NULL, NULL)
CALL(C_DigestUpdate, h, NULL, 1)
CALL(C_DigestKey, h, 0)
CALL(C_DigestFinal, h, NULL, NULL)
CALL(C_SignInit, h, NULL, 1)
CALL(C_Sign, h, NULL, 1, NULL, NULL)
CALL(C_SignUpdate, h, NULL, 1)
CALL(C_SignFinal, h, NULL, NULL)
CALL(C_SignRecoverInit, h, NULL, 1)
CALL(C_SignRecover, h, NULL, 1, NULL, NULL)
CALL(C_VerifyInit, h, NULL, 1)
CALL(C_Verify, h, NULL, 1, NULL, 0)
CALL(C_VerifyUpdate, h, NULL, 1)
CALL(C_VerifyFinal, h, NULL, 0)
CALL(C_VerifyRecoverInit, h, NULL, 1)
CALL(C_VerifyRecover, h, NULL, 1, NULL, NULL)
CALL(C_DigestEncryptUpdate, h, NULL, 1, NULL, NULL)
CALL(C_DecryptDigestUpdate, h, NULL, 1, NULL, NULL)
CALL(C_SignEncryptUpdate, h, NULL, 1, NULL, NULL)
CALL(C_DecryptVerifyUpdate, h, NULL, 1, NULL, NULL)
CALL(C_GenerateKey, h, NULL, NULL, 1, NULL)
CALL(C_GenerateKeyPair, h, NULL, NULL, 1, NULL, 1, NULL, NULL)
CALL(C_WrapKey, h, NULL, 1, 1, NULL, NULL)
CALL(C_UnwrapKey, h, NULL, 1, NULL, 1, NULL, 1, NULL)
CALL(C_DeriveKey, h, NULL, 1, NULL, 1, NULL)
CALL(C_SeedRandom, h, NULL, 1)
CALL(C_GenerateRandom, h, NULL, 1)
CALL(C_GetFunctionStatus, h)
CALL(C_CancelFunction, h)

CALL(C_MessageEncryptInit, h, NULL, 1)
CALL(C_EncryptMessage, h, NULL, 0, NULL, 0, NULL, 1, NULL, NULL)
CALL(C_EncryptMessageBegin, h, NULL, 0, NULL, 0)
CALL(C_EncryptMessageNext, h, NULL, 0, NULL, 1, NULL, NULL, 0)
CALL(C_MessageEncryptFinal, h)
CALL(C_MessageDecryptInit, h, NULL, 1)
CALL(C_DecryptMessage, h, NULL, 0, NULL, 0, NULL, 1, NULL, NULL)
CALL(C_DecryptMessageBegin, h, NULL, 0, NULL, 0)
CALL(C_DecryptMessageNext, h, NULL, 0, NULL, 1, NULL, NULL, 0)
CALL(C_MessageDecryptFinal, h)
CALL(C_MessageSignInit, h, NULL, 1)
CALL(C_SignMessage, h, NULL, 0, NULL, 1, NULL, NULL)
CALL(C_SignMessageBegin, h, NULL, 0)
CALL(C_SignMessageNext, h, NULL, 0, NULL, 1, NULL, NULL)
CALL(C_MessageSignFinal, h)
CALL(C_MessageVerifyInit, h, NULL, 1)
CALL(C_VerifyMessage, h, NULL, 0, NULL, 1, NULL, 0)
CALL(C_VerifyMessageBegin, h, NULL, 0)
CALL(C_VerifyMessageNext, h, NULL, 0, NULL, 1, NULL, 0)
CALL(C_MessageVerifyFinal, h)

CALL(C_EncapsulateKey, h, NULL, 1, NULL, 1, NULL, NULL, NULL)
CALL(C_DecapsulateKey, h, NULL, 1, NULL, 1, NULL, 1, NULL)
CALL(C_VerifySignatureInit, h, NULL, 1, NULL, 1)
CALL(C_VerifySignature, h, NULL, 1)
CALL(C_VerifySignatureUpdate, h, NULL, 1)
CALL(C_VerifySignatureFinal, h)
CALL(C_GetSessionValidationFlags, h, CKS_LAST_VALIDATION_OK, NULL)
CALL(C_AsyncComplete, h, NULL, NULL)
CALL(C_AsyncGetID, h, NULL, NULL)
CALL(C_AsyncJoin, h, NULL, 1, NULL, 1)
CALL(C_WrapKeyAuthenticated, h, NULL, 1, 1, NULL, 1, NULL, NULL)
CALL(C_UnwrapKeyAuthenticated, h, NULL, 1, NULL, 1, NULL, 1, NULL, 1, NULL)

#define ROW(fn, kind)                                                          \
	{                                                                      \
#fn, call_##fn, (kind)                                         \
	}

const struct entry_point everything[] = {
	ROW(C_Finalize, ON_MODULE),
	ROW(C_GetInfo, ON_MODULE),
	ROW(C_GetSlotList, ON_MODULE),
	ROW(C_GetSlotInfo, ON_SLOT),
	ROW(C_GetTokenInfo, ON_SLOT),
	ROW(C_GetMechanismList, ON_SLOT),
	ROW(C_GetMechanismInfo, ON_SLOT),
	ROW(C_InitToken, ON_SLOT),
	ROW(C_OpenSession, ON_SLOT),
	ROW(C_CloseAllSessions, ON_SLOT),
	ROW(C_WaitForSlotEvent, ON_MODULE),
	ROW(C_CloseSession, ON_SESSION),
	ROW(C_GetSessionInfo, ON_SESSION),
	ROW(C_GetOperationState, ON_SESSION),
	ROW(C_SetOperationState, ON_SESSION),
	ROW(C_Login, ON_SESSION),
	ROW(C_LoginUser, ON_SESSION),
	ROW(C_Logout, ON_SESSION),
	ROW(C_SessionCancel, ON_SESSION),
	ROW(C_InitPIN, ON_SESSION),
	ROW(C_SetPIN, ON_SESSION),
	ROW(C_CreateObject, ON_SESSION),
	ROW(C_CopyObject, ON_SESSION),
	ROW(C_DestroyObject, ON_SESSION),
	ROW(C_GetObjectSize, ON_SESSION),
	ROW(C_GetAttributeValue, ON_SESSION),
	ROW(C_SetAttributeValue, ON_SESSION),
	ROW(C_FindObjectsInit, ON_SESSION),
	ROW(C_FindObjects, ON_SESSION),
	ROW(C_FindObjectsFinal, ON_SESSION),
	ROW(C_EncryptInit, ON_SESSION),
	ROW(C_Encrypt, ON_SESSION),
	ROW(C_EncryptUpdate, ON_SESSION),
	ROW(C_EncryptFinal, ON_SESSION),
	ROW(C_DecryptInit, ON_SESSION),
	ROW(C_Decrypt, ON_SESSION),
	ROW(C_DecryptUpdate, ON_SESSION),
	ROW(C_DecryptFinal, ON_SESSION),
	ROW(C_DigestInit, ON_SESSION),
	ROW(C_Digest, ON_SESSION),
	ROW(C_DigestUpdate, ON_SESSION),
	ROW(C_DigestKey, ON_SESSION),
	ROW(C_DigestFinal, ON_SESSION),
	ROW(C_SignInit, ON_SESSION),
	ROW(C_Sign, ON_SESSION),
	ROW(C_SignUpdate, ON_SESSION),
	ROW(C_SignFinal, ON_SESSION),
	ROW(C_SignRecoverInit, NOT_OFFERED),
	ROW(C_SignRecover, NOT_OFFERED),
	ROW(C_VerifyInit, ON_SESSION),
	ROW(C_Verify, ON_SESSION),
	ROW(C_VerifyUpdate, ON_SESSION),
	ROW(C_VerifyFinal, ON_SESSION),
	ROW(C_VerifyRecoverInit, NOT_OFFERED),
	ROW(C_VerifyRecover, NOT_OFFERED),
	ROW(C_DigestEncryptUpdate, ON_SESSION),
	ROW(C_DecryptDigestUpdate, ON_SESSION),
	ROW(C_SignEncryptUpdate, ON_SESSION),
	ROW(C_DecryptVerifyUpdate, ON_SESSION),
	ROW(C_GenerateKey, ON_SESSION),
	ROW(C_GenerateKeyPair, ON_SESSION),
	ROW(C_WrapKey, ON_SESSION),
	ROW(C_UnwrapKey, ON_SESSION),
	ROW(C_DeriveKey, ON_SESSION),
	ROW(C_SeedRandom, ON_SESSION),
	ROW(C_GenerateRandom, ON_SESSION),
	ROW(C_GetFunctionStatus, LEGACY),
	ROW(C_CancelFunction, LEGACY),
	ROW(C_MessageEncryptInit, ON_SESSION),
	ROW(C_EncryptMessage, ON_SESSION),
	ROW(C_EncryptMessageBegin, ON_SESSION),
	ROW(C_EncryptMessageNext, ON_SESSION),
	ROW(C_MessageEncryptFinal, ON_SESSION),
	ROW(C_MessageDecryptInit, ON_SESSION),
	ROW(C_DecryptMessage, ON_SESSION),
	ROW(C_DecryptMessageBegin, ON_SESSION),
	ROW(C_DecryptMessageNext, ON_SESSION),
	ROW(C_MessageDecryptFinal, ON_SESSION),
	ROW(C_MessageSignInit, ON_SESSION),
	ROW(C_SignMessage, ON_SESSION),
	ROW(C_SignMessageBegin, ON_SESSION),
	ROW(C_SignMessageNext, ON_SESSION),
	ROW(C_MessageSignFinal, ON_SESSION),
	ROW(C_MessageVerifyInit, ON_SESSION),
	ROW(C_VerifyMessage, ON_SESSION),
	ROW(C_VerifyMessageBegin, ON_SESSION),
	ROW(C_VerifyMessageNext, ON_SESSION),
	ROW(C_MessageVerifyFinal, ON_SESSION),
	ROW(C_EncapsulateKey, ON_SESSION),
	ROW(C_DecapsulateKey, ON_SESSION),
	ROW(C_VerifySignatureInit, ON_SESSION),
	ROW(C_VerifySignature, ON_SESSION),
	ROW(C_VerifySignatureUpdate, ON_SESSION),
	ROW(C_VerifySignatureFinal, ON_SESSION),
	ROW(C_GetSessionValidationFlags, ON_SESSION),
	ROW(C_AsyncComplete, NOT_OFFERED),
	ROW(C_AsyncGetID, NOT_OFFERED),
	ROW(C_AsyncJoin, NOT_OFFERED),
	ROW(C_WrapKeyAuthenticated, ON_SESSION),
	ROW(C_UnwrapKeyAuthenticated, ON_SESSION),
};
const size_t n_everything = sizeof(everything) / sizeof(everything[0]);
