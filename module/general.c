/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "base/build.h"
#include "module/call.h"
#include "module/functions.h"

#define MANUFACTURER "cvm-pkcs11"
#define DESCRIPTION "Keys for attested VMs"

/* PKCS#11 v3.0 section 5.4: all four functions or none. We lock with the
 * system's mutexes, whatever the caller says about threads. */
static CK_RV
check_locking(const CK_C_INITIALIZE_ARGS *args)
{
	int n = (args->CreateMutex != NULL) + (args->DestroyMutex != NULL) +
	    (args->LockMutex != NULL) + (args->UnlockMutex != NULL);

	if (n != 0 && n != 4)
		return CKR_ARGUMENTS_BAD;
	if (n == 4 && (args->flags & CKF_OS_LOCKING_OK) == 0)
		return CKR_CANT_LOCK;
	return CKR_OK;
}

/*
 * pReserved is NULL, or text as p11-kit passes it. Programs that try whether
 * anything else is refused, as the standard has it, take a small number for a
 * pointer; the first page is never mapped.
 */
static bool
looks_like_text(const void *reserved)
{
	return reserved == NULL || (uintptr_t)reserved >= 4096;
}

CK_RV
C_Initialize(CK_VOID_PTR pInitArgs)
{
	const CK_C_INITIALIZE_ARGS *args = pInitArgs;
	CK_RV rv;

	if (args == NULL)
		return state_initialize(/* reserved= */ NULL);
	rv = check_locking(args);
	if (rv == CKR_OK && !looks_like_text(args->pReserved))
		rv = CKR_ARGUMENTS_BAD;
	return rv != CKR_OK ? rv : state_initialize(args->pReserved);
}

CK_RV
C_Finalize(CK_VOID_PTR pReserved)
{
	return pReserved != NULL ? CKR_ARGUMENTS_BAD : state_finalize();
}

static CK_RV
get_info(CK_INFO *info, CK_BYTE major, CK_BYTE minor)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_enter(&c);

	if (rv != CKR_OK)
		return rv;
	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	*info = (CK_INFO){
		.cryptokiVersion = { major, minor },
		.libraryVersion = { CVM_VERSION_MAJOR, CVM_VERSION_MINOR },
	};
	pad_text(info->manufacturerID, sizeof(info->manufacturerID),
	    MANUFACTURER);
	pad_text(info->libraryDescription, sizeof(info->libraryDescription),
	    DESCRIPTION);
	return CKR_OK;
}

/* Each function list tells its own version. */
CK_RV
C_GetInfo(CK_INFO_PTR pInfo)
{
	return get_info(pInfo, 2, 40);
}

CK_RV
get_info_3_0(CK_INFO_PTR pInfo)
{
	return get_info(pInfo, 3, 0);
}

CK_RV
get_info_3_2(CK_INFO_PTR pInfo)
{
	return get_info(pInfo, 3, 2);
}
