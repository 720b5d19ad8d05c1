/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/call.h"

/* The generator seeds itself from the system; callers' bytes add nothing. */
CK_RV
C_SeedRandom(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSeed, CK_ULONG ulSeedLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	return pSeed == NULL && ulSeedLen > 0 ? CKR_ARGUMENTS_BAD :
						CKR_RANDOM_SEED_NOT_SUPPORTED;
}

CK_RV
C_GenerateRandom(CK_SESSION_HANDLE hSession, CK_BYTE_PTR RandomData,
    CK_ULONG ulRandomLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (RandomData == NULL)
		return ulRandomLen == 0 ? CKR_OK : CKR_ARGUMENTS_BAD;
	return rv_of(random_bytes(RandomData, ulRandomLen));
}
