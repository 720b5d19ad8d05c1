/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/loaded.h"

static void *handle;
static CK_FUNCTION_LIST *list;

CK_FUNCTION_LIST *
load(const char *path, void **ret_handle)
{
	CK_C_GetFunctionList get;
	CK_FUNCTION_LIST *l = NULL;
	void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (h == NULL)
		print_error("%s\n", dlerror());
	assert_non_null(h);
	*(void **)&get = dlsym(h, "C_GetFunctionList");
	assert_non_null(get);
	assert_int_equal(get(&l), CKR_OK);
	*ret_handle = h;
	return l;
}

CK_FUNCTION_LIST *
loaded(void)
{
	if (list == NULL) {
		assert_non_null(getenv("CVM_MODULE"));
		list = load(getenv("CVM_MODULE"), &handle);
	}
	return list;
}

void
unload(void)
{
	list = NULL;
	if (handle != NULL)
		assert_int_equal(dlclose(handle), 0);
	handle = NULL;
}

#define FORWARD(name, params, args)                                            \
	CK_RV name params                                                      \
	{                                                                      \
		return loaded()->name args;                                    \
	}

FORWARD(C_Initialize, (CK_VOID_PTR a), (a))
FORWARD(C_Finalize, (CK_VOID_PTR a), (a))
FORWARD(C_GetSlotList, (CK_BBOOL a, CK_SLOT_ID_PTR b, CK_ULONG_PTR c),
    (a, b, c))
FORWARD(C_InitToken,
    (CK_SLOT_ID a, CK_UTF8CHAR_PTR b, CK_ULONG c, CK_UTF8CHAR_PTR d),
    (a, b, c, d))
FORWARD(C_InitPIN, (CK_SESSION_HANDLE a, CK_UTF8CHAR_PTR b, CK_ULONG c),
    (a, b, c))
FORWARD(C_OpenSession,
    (CK_SLOT_ID a, CK_FLAGS b, CK_VOID_PTR c, CK_NOTIFY d,
	CK_SESSION_HANDLE_PTR e),
    (a, b, c, d, e))
FORWARD(C_CloseSession, (CK_SESSION_HANDLE a), (a))
FORWARD(C_CloseAllSessions, (CK_SLOT_ID a), (a))
FORWARD(C_Login,
    (CK_SESSION_HANDLE a, CK_USER_TYPE b, CK_UTF8CHAR_PTR c, CK_ULONG d),
    (a, b, c, d))
FORWARD(C_Logout, (CK_SESSION_HANDLE a), (a))
FORWARD(C_CreateObject,
    (CK_SESSION_HANDLE a, CK_ATTRIBUTE_PTR b, CK_ULONG c,
	CK_OBJECT_HANDLE_PTR d),
    (a, b, c, d))
FORWARD(C_DestroyObject, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b), (a, b))
FORWARD(C_GetAttributeValue,
    (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE_PTR c, CK_ULONG d),
    (a, b, c, d))
FORWARD(C_SetAttributeValue,
    (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE_PTR c, CK_ULONG d),
    (a, b, c, d))
FORWARD(C_FindObjectsInit,
    (CK_SESSION_HANDLE a, CK_ATTRIBUTE_PTR b, CK_ULONG c), (a, b, c))
FORWARD(C_FindObjects,
    (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE_PTR b, CK_ULONG c, CK_ULONG_PTR d),
    (a, b, c, d))
FORWARD(C_FindObjectsFinal, (CK_SESSION_HANDLE a), (a))
FORWARD(C_EncryptInit,
    (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b, CK_OBJECT_HANDLE c), (a, b, c))
FORWARD(C_EncryptUpdate,
    (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c, CK_BYTE_PTR d,
	CK_ULONG_PTR e),
    (a, b, c, d, e))
FORWARD(C_EncryptFinal, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG_PTR c),
    (a, b, c))
FORWARD(C_DigestInit, (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b), (a, b))
FORWARD(C_DigestUpdate, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c),
    (a, b, c))
FORWARD(C_DigestFinal, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG_PTR c),
    (a, b, c))
FORWARD(C_SignInit,
    (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b, CK_OBJECT_HANDLE c), (a, b, c))
FORWARD(C_Sign,
    (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c, CK_BYTE_PTR d,
	CK_ULONG_PTR e),
    (a, b, c, d, e))
FORWARD(C_SignUpdate, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c),
    (a, b, c))
FORWARD(C_SignFinal, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG_PTR c),
    (a, b, c))
FORWARD(C_GenerateKey,
    (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b, CK_ATTRIBUTE_PTR c, CK_ULONG d,
	CK_OBJECT_HANDLE_PTR e),
    (a, b, c, d, e))
FORWARD(C_GenerateKeyPair,
    (CK_SESSION_HANDLE a, CK_MECHANISM_PTR b, CK_ATTRIBUTE_PTR c, CK_ULONG d,
	CK_ATTRIBUTE_PTR e, CK_ULONG f, CK_OBJECT_HANDLE_PTR g,
	CK_OBJECT_HANDLE_PTR h),
    (a, b, c, d, e, f, g, h))
FORWARD(C_GenerateRandom, (CK_SESSION_HANDLE a, CK_BYTE_PTR b, CK_ULONG c),
    (a, b, c))
