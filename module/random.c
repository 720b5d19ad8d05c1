/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/call.h"

/* A token with CKF_RNG that refuses seeds is none to programs that bring
 * theirs along, as Java's SecureRandom does. */
CK_RV
C_SeedRandom(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSeed, CK_ULONG ulSeedLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (!bytes_bounded(pSeed, ulSeedLen))
		return CKR_ARGUMENTS_BAD;
	if (ulSeedLen == 0)
		return CKR_OK;
	return rv_of(random_stir(span(pSeed, ulSeedLen)));
}

/* Not OpenSSL's generator, which would have to be given fresh bytes of the
 * kernel for each call, lest a copy of this machine gives the same: these cost
 * a third of that, and less than the generator alone. */
CK_RV
C_GenerateRandom(CK_SESSION_HANDLE hSession, CK_BYTE_PTR RandomData,
    CK_ULONG ulRandomLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (!bytes_bounded(RandomData, ulRandomLen))
		return CKR_ARGUMENTS_BAD;
	if (ulRandomLen == 0)
		return CKR_OK;
	return rv_of(random_from_kernel(RandomData, ulRandomLen));
}
