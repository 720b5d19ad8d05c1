/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "module/functions.h"

#define EXPORTED __attribute__((visibility("default")))

/* The functions of 2.40 but C_GetInfo, which differs, and those that 3.0 and
 * 3.2 add, in the order of the standard. */
#define FUNCTIONS_2_40(F)                                                      \
	F(C_Initialize)                                                        \
	F(C_Finalize)                                                          \
	F(C_GetFunctionList)                                                   \
	F(C_GetSlotList)                                                       \
	F(C_GetSlotInfo)                                                       \
	F(C_GetTokenInfo)                                                      \
	F(C_GetMechanismList)                                                  \
	F(C_GetMechanismInfo)                                                  \
	F(C_InitToken)                                                         \
	F(C_InitPIN)                                                           \
	F(C_SetPIN)                                                            \
	F(C_OpenSession)                                                       \
	F(C_CloseSession)                                                      \
	F(C_CloseAllSessions)                                                  \
	F(C_GetSessionInfo)                                                    \
	F(C_GetOperationState)                                                 \
	F(C_SetOperationState)                                                 \
	F(C_Login)                                                             \
	F(C_Logout)                                                            \
	F(C_CreateObject)                                                      \
	F(C_CopyObject)                                                        \
	F(C_DestroyObject)                                                     \
	F(C_GetObjectSize)                                                     \
	F(C_GetAttributeValue)                                                 \
	F(C_SetAttributeValue)                                                 \
	F(C_FindObjectsInit)                                                   \
	F(C_FindObjects)                                                       \
	F(C_FindObjectsFinal)                                                  \
	F(C_EncryptInit)                                                       \
	F(C_Encrypt)                                                           \
	F(C_EncryptUpdate)                                                     \
	F(C_EncryptFinal)                                                      \
	F(C_DecryptInit)                                                       \
	F(C_Decrypt)                                                           \
	F(C_DecryptUpdate)                                                     \
	F(C_DecryptFinal)                                                      \
	F(C_DigestInit)                                                        \
	F(C_Digest)                                                            \
	F(C_DigestUpdate)                                                      \
	F(C_DigestKey)                                                         \
	F(C_DigestFinal)                                                       \
	F(C_SignInit)                                                          \
	F(C_Sign)                                                              \
	F(C_SignUpdate)                                                        \
	F(C_SignFinal)                                                         \
	F(C_SignRecoverInit)                                                   \
	F(C_SignRecover)                                                       \
	F(C_VerifyInit)                                                        \
	F(C_Verify)                                                            \
	F(C_VerifyUpdate)                                                      \
	F(C_VerifyFinal)                                                       \
	F(C_VerifyRecoverInit)                                                 \
	F(C_VerifyRecover)                                                     \
	F(C_DigestEncryptUpdate)                                               \
	F(C_DecryptDigestUpdate)                                               \
	F(C_SignEncryptUpdate)                                                 \
	F(C_DecryptVerifyUpdate)                                               \
	F(C_GenerateKey)                                                       \
	F(C_GenerateKeyPair)                                                   \
	F(C_WrapKey)                                                           \
	F(C_UnwrapKey)                                                         \
	F(C_DeriveKey)                                                         \
	F(C_SeedRandom)                                                        \
	F(C_GenerateRandom)                                                    \
	F(C_GetFunctionStatus)                                                 \
	F(C_CancelFunction)                                                    \
	F(C_WaitForSlotEvent)

#define FUNCTIONS_3_0(F)                                                       \
	F(C_GetInterfaceList)                                                  \
	F(C_GetInterface)                                                      \
	F(C_LoginUser)                                                         \
	F(C_SessionCancel)                                                     \
	F(C_MessageEncryptInit)                                                \
	F(C_EncryptMessage)                                                    \
	F(C_EncryptMessageBegin)                                               \
	F(C_EncryptMessageNext)                                                \
	F(C_MessageEncryptFinal)                                               \
	F(C_MessageDecryptInit)                                                \
	F(C_DecryptMessage)                                                    \
	F(C_DecryptMessageBegin)                                               \
	F(C_DecryptMessageNext)                                                \
	F(C_MessageDecryptFinal)                                               \
	F(C_MessageSignInit)                                                   \
	F(C_SignMessage)                                                       \
	F(C_SignMessageBegin)                                                  \
	F(C_SignMessageNext)                                                   \
	F(C_MessageSignFinal)                                                  \
	F(C_MessageVerifyInit)                                                 \
	F(C_VerifyMessage)                                                     \
	F(C_VerifyMessageBegin)                                                \
	F(C_VerifyMessageNext)                                                 \
	F(C_MessageVerifyFinal)

#define FUNCTIONS_3_2(F)                                                       \
	F(C_EncapsulateKey)                                                    \
	F(C_DecapsulateKey)                                                    \
	F(C_VerifySignatureInit)                                               \
	F(C_VerifySignature)                                                   \
	F(C_VerifySignatureUpdate)                                             \
	F(C_VerifySignatureFinal)                                              \
	F(C_GetSessionValidationFlags)                                         \
	F(C_AsyncComplete)                                                     \
	F(C_AsyncGetID)                                                        \
	F(C_AsyncJoin)                                                         \
	F(C_WrapKeyAuthenticated)                                              \
	F(C_UnwrapKeyAuthenticated)

/* Constant, so that they lie in memory that is read-only after relocation:
 * a table of function pointers is a target. */
#define MEMBER(name) .name = name,

static const CK_FUNCTION_LIST functions_2_40 = { .version = { 2, 40 },
	.C_GetInfo = C_GetInfo,
	FUNCTIONS_2_40(MEMBER) };

static const CK_FUNCTION_LIST_3_0 functions_3_0 = { .version = { 3, 0 },
	.C_GetInfo = get_info_3_0,
	FUNCTIONS_2_40(MEMBER) FUNCTIONS_3_0(MEMBER) };

static const CK_FUNCTION_LIST_3_2 functions_3_2 = { .version = { 3, 2 },
	.C_GetInfo = get_info_3_2,
	FUNCTIONS_2_40(MEMBER) FUNCTIONS_3_0(MEMBER) FUNCTIONS_3_2(MEMBER) };

/* The standard's types know no const; nobody may write all the same. */
#define UNCONST(p) ((void *)(uintptr_t)(p))

static const CK_UTF8CHAR standard[] = "PKCS 11";

/* The default comes first; each list begins as the ones below it do. */
static const CK_INTERFACE interfaces[] = {
	{ UNCONST(standard), UNCONST(&functions_3_2), CKF_INTERFACE_FORK_SAFE },
	{ UNCONST(standard), UNCONST(&functions_3_0), CKF_INTERFACE_FORK_SAFE },
	{ UNCONST(standard), UNCONST(&functions_2_40),
	    CKF_INTERFACE_FORK_SAFE },
};

EXPORTED CK_RV
C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR ppFunctionList)
{
	if (ppFunctionList == NULL)
		return CKR_ARGUMENTS_BAD;
	*ppFunctionList = UNCONST(&functions_2_40);
	return CKR_OK;
}

EXPORTED CK_RV
C_GetInterfaceList(CK_INTERFACE_PTR pInterfacesList, CK_ULONG_PTR pulCount)
{
	CK_ULONG room;

	if (pulCount == NULL)
		return CKR_ARGUMENTS_BAD;
	room = *pulCount;
	*pulCount = NELEMS(interfaces);
	if (pInterfacesList == NULL)
		return CKR_OK;
	if (room < NELEMS(interfaces))
		return CKR_BUFFER_TOO_SMALL;
	memcpy(pInterfacesList, interfaces, sizeof(interfaces));
	return CKR_OK;
}

/* Every function list begins with its version. */
static bool
is_version(const CK_INTERFACE *i, const CK_VERSION *wanted)
{
	const CK_VERSION *v = i->pFunctionList;

	return wanted == NULL ||
	    (wanted->major == v->major && wanted->minor == v->minor);
}

EXPORTED CK_RV
C_GetInterface(CK_UTF8CHAR_PTR pInterfaceName, CK_VERSION_PTR pVersion,
    CK_INTERFACE_PTR_PTR ppInterface, CK_FLAGS flags)
{
	if (ppInterface == NULL)
		return CKR_ARGUMENTS_BAD;
	for (size_t i = 0; i < NELEMS(interfaces); i++) {
		if (pInterfaceName != NULL &&
		    strcmp((const char *)pInterfaceName,
			(const char *)standard) != 0)
			continue;
		if (!is_version(&interfaces[i], pVersion) ||
		    (interfaces[i].flags & flags) != flags)
			continue;
		*ppInterface = UNCONST(&interfaces[i]);
		return CKR_OK;
	}
	return CKR_ARGUMENTS_BAD;
}
