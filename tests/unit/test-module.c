/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#endif
#endif
#ifndef SANITIZER_LSAN_INTERFACE_H
#define __lsan_disable() (void)0
#define __lsan_enable() (void)0
#endif

#include "base/cleanup.h"
#include "tests/unit/everything.h"
#include "tests/unit/scene.h"

/* The module as a program meets it that has no TPM in sight: what follows
 * needs files only. */

static char dir[64], config_path[128], store_path[128];

static void
spill(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static const char good_policy[] =
    "{\"version\": 1, \"name\": \"p\", \"tee\": \"none\", \"tpm\": {"
    "\"ak\": {\"trust\": \"pinned\", \"names\": [\"000b"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]},"
    "\"bank\": \"sha256\", \"pcr_sets\": [{\"label\": \"a\", \"pcrs\": {"
    "\"4\": "
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""
    "}}]}}";

static void
configure(const char *policy, const char *more)
{
	char text[2048], path[128];

	(void)snprintf(path, sizeof(path), "%s/policy.json", dir);
	spill(path, policy);
	(void)snprintf(text, sizeof(text),
	    "{\"version\": 1, \"simulated\": true,"
	    "\"tpm\": {\"tcti\": \"device:%s/no-such-tpm\", \"ak\": \"own\"},"
	    "\"evidence\": {\"timeout_ms\": 200, \"retry_ms\": 10},"
	    "\"log\": {\"target\": \"none\"},"
	    "\"tokens\": [{\"name\": \"web\", \"store\": \"%s\","
	    "\"policy\": \"%s\"%s}]}",
	    dir, store_path, path, more);
	spill(config_path, text);
}

static int
make_dir(void **state)
{
	(void)state;
	(void)strcpy(dir, "/tmp/test-module.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)umask(022);
	(void)snprintf(config_path, sizeof(config_path), "%s/config.json", dir);
	(void)snprintf(store_path, sizeof(store_path), "%s/web.db", dir);
	configure(good_policy, "");
	return setenv("CVM_PKCS11_CONF", config_path, 1);
}

static int
remove_dir(void **state)
{
	char cmd[128];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

static int
finalize(void **state)
{
	(void)state;
	(void)C_Finalize(NULL);
	configure(good_policy, "");
	return 0;
}

static void
every_call_needs_initialize(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_everything; i++) {
		CK_RV rv = everything[i].call(1);

		if (rv != CKR_CRYPTOKI_NOT_INITIALIZED)
			print_error("%s: 0x%lx\n", everything[i].name, rv);
		assert_int_equal(rv, CKR_CRYPTOKI_NOT_INITIALIZED);
	}
}

static void
wrong_handles_are_told(void **state)
{
	static const CK_RV wanted[] = {
		[ON_SLOT] = CKR_SLOT_ID_INVALID,
		[ON_SESSION] = CKR_SESSION_HANDLE_INVALID,
		[NOT_OFFERED] = CKR_FUNCTION_NOT_SUPPORTED,
		[LEGACY] = CKR_FUNCTION_NOT_PARALLEL,
	};

	(void)state;
	assert_ok(C_Initialize(NULL));
	for (size_t i = 0; i < n_everything; i++) {
		CK_RV rv;

		if (everything[i].kind == ON_MODULE)
			continue;
		rv = everything[i].call(0x12345678);
		if (rv != wanted[everything[i].kind])
			print_error("%s: 0x%lx\n", everything[i].name, rv);
		assert_int_equal(rv, wanted[everything[i].kind]);
	}
}

/* Nothing that is missing may crash, and nothing succeeds for want of it. */
static void
null_arguments_are_refused(void **state)
{
	static const char *const harmless[] = { "C_CloseSession",
		"C_SessionCancel", "C_CloseAllSessions", "C_Finalize",
		"C_Logout" };
	CK_SESSION_HANDLE s;

	(void)state;
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	for (size_t i = 0; i < n_everything; i++) {
		bool skip_it = false;
		CK_RV rv;

		for (size_t j = 0; j < NELEMS(harmless); j++)
			skip_it |= strcmp(everything[i].name, harmless[j]) == 0;
		if (skip_it)
			continue;
		rv = everything[i].call(
		    everything[i].kind == ON_SLOT ? the_slot() : s);
		if (rv == CKR_OK)
			print_error("%s succeeded\n", everything[i].name);
		assert_int_not_equal(rv, CKR_OK);
		assert_int_not_equal(rv, CKR_GENERAL_ERROR);
	}
	assert_ok(C_CloseSession(s));
}

static void
missing_configuration_has_no_slots(void **state)
{
	CK_ULONG n = 7;

	(void)state;
	assert_int_equal(unlink(config_path), 0);
	assert_ok(C_Initialize(NULL));
	assert_ok(C_GetSlotList(CK_FALSE, NULL, &n));
	assert_int_equal(n, 0);
}

static void
broken_configuration_has_no_slots(void **state)
{
	static const char *const broken[] = { "", "{", "[]",
		"{\"version\": 2, \"tokens\": []}", "{\"version\": 1}" };

	(void)state;
	for (size_t i = 0; i < NELEMS(broken); i++) {
		CK_ULONG n = 7;

		spill(config_path, broken[i]);
		assert_ok(C_Initialize(NULL));
		assert_ok(C_GetSlotList(CK_FALSE, NULL, &n));
		assert_int_equal(n, 0);
		assert_ok(C_Finalize(NULL));
	}
}

/* Slot listed, token in error state, sessions unadmitted, uses refused. */
static void
broken_policy_is_an_error_state(void **state)
{
	CK_SESSION_HANDLE s;
	CK_TOKEN_INFO info;
	CK_UTF8CHAR pin[] = USER_PIN;

	(void)state;
	configure("{\"version\": 1}", "");
	assert_ok(C_Initialize(NULL));
	assert_ok(C_GetTokenInfo(the_slot(), &info));
	assert_true((info.flags & CKF_ERROR_STATE) != 0);
	s = open_session(RO);
	assert_int_equal(find(s, CKO_PRIVATE_KEY, "ec"), 0);
	assert_rv(CKR_DEVICE_ERROR, C_SignInit(s, MECH(CKM_ECDSA), 1));
	assert_rv(CKR_DEVICE_ERROR, C_Login(s, CKU_USER, pin, 4));
}

static void
token_without_store_is_uninitialised(void **state)
{
	CK_TOKEN_INFO info;
	CK_SLOT_INFO slot;
	CK_SESSION_HANDLE s;

	(void)state;
	assert_ok(C_Initialize(NULL));
	assert_ok(C_GetSlotInfo(the_slot(), &slot));
	assert_true((slot.flags & CKF_TOKEN_PRESENT) != 0);
	assert_ok(C_GetTokenInfo(the_slot(), &info));
	assert_int_equal(info.flags & (CKF_TOKEN_INITIALIZED | CKF_ERROR_STATE),
	    0);
	assert_memory_equal(info.label, "web                             ", 32);
	s = open_session(RO);
	assert_rv(CKR_DEVICE_ERROR, C_SignInit(s, MECH(CKM_ECDSA), 1));
}

static void
init_token_is_off_by_default(void **state)
{
	CK_UTF8CHAR pin[] = SO_PIN, label[32];

	(void)state;
	memset(label, ' ', sizeof(label));
	assert_ok(C_Initialize(NULL));
	assert_rv(CKR_TOKEN_WRITE_PROTECTED,
	    C_InitToken(the_slot(), pin, sizeof(pin) - 1, label));
	assert_int_not_equal(access(store_path, F_OK), 0);
}

/* No TPM answers at that path, and nobody asks: initialising is free. */
static CK_RV
no_mutex(void **mutex)
{
	(void)mutex;
	return CKR_GENERAL_ERROR;
}

static CK_RV
no_lock(void *mutex)
{
	(void)mutex;
	return CKR_GENERAL_ERROR;
}

static void
initialize_arguments(void **state)
{
	CK_C_INITIALIZE_ARGS all = { no_mutex, no_lock, no_lock, no_lock,
		CKF_OS_LOCKING_OK, NULL };
	CK_C_INITIALIZE_ARGS bad = all;

	(void)state;
	assert_ok(C_Initialize(&all));
	assert_rv(CKR_CRYPTOKI_ALREADY_INITIALIZED, C_Initialize(&all));
	assert_rv(CKR_ARGUMENTS_BAD, C_Finalize(&all));
	assert_ok(C_Finalize(NULL));
	assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, C_Finalize(NULL));
	bad.flags = 0;
	assert_rv(CKR_CANT_LOCK, C_Initialize(&bad));
	bad.LockMutex = NULL;
	assert_rv(CKR_ARGUMENTS_BAD, C_Initialize(&bad));
	bad = (CK_C_INITIALIZE_ARGS){ 0 };
	assert_ok(C_Initialize(&bad));
}

/* As p11-kit passes x-init-reserved; the environment goes first. */
static void
reserved_names_the_configuration(void **state)
{
	char reserved[256];
	CK_C_INITIALIZE_ARGS args = { .pReserved = reserved };
	CK_ULONG n = 0;

	(void)state;
	assert_int_equal(unsetenv("CVM_PKCS11_CONF"), 0);
	(void)snprintf(reserved, sizeof(reserved), "config=%s", config_path);
	assert_ok(C_Initialize(&args));
	assert_ok(C_GetSlotList(CK_FALSE, NULL, &n));
	assert_int_equal(n, 1);
	assert_ok(C_Finalize(NULL));
	args.pReserved = (void *)1;
	assert_rv(CKR_ARGUMENTS_BAD, C_Initialize(&args));
	args.pReserved = reserved;
	(void)strcpy(reserved, "config=relative.json");
	assert_rv(CKR_ARGUMENTS_BAD, C_Initialize(&args));
	assert_int_equal(setenv("CVM_PKCS11_CONF", config_path, 1), 0);
}

/* Servers empty the environment of their workers. */
static void
configuration_is_remembered(void **state)
{
	CK_ULONG n = 0;

	(void)state;
	assert_ok(C_Initialize(NULL));
	assert_ok(C_Finalize(NULL));
	assert_int_equal(unsetenv("CVM_PKCS11_CONF"), 0);
	assert_ok(C_Initialize(NULL));
	assert_ok(C_GetSlotList(CK_FALSE, NULL, &n));
	assert_int_equal(n, 1);
	assert_int_equal(setenv("CVM_PKCS11_CONF", config_path, 1), 0);
}

static void
slot_lists_are_counted(void **state)
{
	CK_SLOT_ID ids[2] = { 0, 0 };
	CK_ULONG n = 0;

	(void)state;
	assert_ok(C_Initialize(NULL));
	assert_ok(C_GetSlotList(CK_FALSE, NULL, &n));
	assert_int_equal(n, 1);
	n = 0;
	assert_rv(CKR_BUFFER_TOO_SMALL, C_GetSlotList(CK_FALSE, ids, &n));
	assert_int_equal(n, 1);
	n = 2;
	assert_ok(C_GetSlotList(CK_TRUE, ids, &n));
	assert_int_equal(n, 1);
	assert_true(ids[0] < 0x80000000UL);
	assert_int_equal(ids[1], 0);
}

static void
mechanisms_are_told(void **state)
{
	CK_MECHANISM_TYPE list[256];
	CK_MECHANISM_INFO info;
	CK_ULONG n = 0, all;

	(void)state;
	assert_ok(C_Initialize(NULL));
	assert_ok(C_GetMechanismList(the_slot(), NULL, &n));
	assert_in_range(n, 20, 256);
	all = n;
	n = all - 1;
	assert_rv(CKR_BUFFER_TOO_SMALL,
	    C_GetMechanismList(the_slot(), list, &n));
	assert_int_equal(n, all);
	assert_ok(C_GetMechanismList(the_slot(), list, &n));
	for (CK_ULONG i = 0; i < n; i++)
		assert_ok(C_GetMechanismInfo(the_slot(), list[i], &info));
	assert_rv(CKR_MECHANISM_INVALID,
	    C_GetMechanismInfo(the_slot(), CKM_DES_CBC, &info));
}

static void
session_states(void **state)
{
	CK_SESSION_INFO info;
	CK_SESSION_HANDLE s = 0, old;
	CK_SLOT_ID slot;

	(void)state;
	assert_ok(C_Initialize(NULL));
	slot = the_slot();
	assert_rv(CKR_SESSION_PARALLEL_NOT_SUPPORTED,
	    C_OpenSession(slot, 0, NULL, NULL, &s));
	s = open_session(RO);
	assert_ok(C_GetSessionInfo(s, &info));
	assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
	assert_int_equal(info.slotID, slot);
	assert_int_equal(info.flags, RO);
	old = s;
	assert_ok(C_CloseSession(s));
	assert_rv(CKR_SESSION_HANDLE_INVALID, C_CloseSession(s));
	s = open_session(RW);
	assert_int_not_equal(s, old); /* handles are not used again */
	assert_ok(C_GetSessionInfo(s, &info));
	assert_int_equal(info.state, CKS_RW_PUBLIC_SESSION);
	old = open_session(RO);
	assert_ok(C_CloseAllSessions(slot));
	assert_rv(CKR_SESSION_HANDLE_INVALID, C_GetSessionInfo(s, &info));
	assert_rv(CKR_SESSION_HANDLE_INVALID, C_GetSessionInfo(old, &info));
}

static void
sessions_are_not_handed_over_by_finalize(void **state)
{
	CK_SESSION_HANDLE old[3];
	CK_SESSION_INFO info;

	(void)state;
	assert_ok(C_Initialize(NULL));
	for (size_t i = 0; i < NELEMS(old); i++)
		old[i] = open_session(RO);
	assert_ok(C_Finalize(NULL));
	assert_ok(C_Initialize(NULL));
	for (size_t i = 0; i < NELEMS(old); i++) {
		assert_rv(CKR_SESSION_HANDLE_INVALID,
		    C_GetSessionInfo(old[i], &info));
		/* Nor does what is opened now bring it back. */
		(void)open_session(RO);
		assert_rv(CKR_SESSION_HANDLE_INVALID,
		    C_GetSessionInfo(old[i], &info));
	}
}

/* Digests and random numbers need no admission. */
/*
 * Section 5.6: state of digests, which no admission is needed for.
 */
static CK_ULONG
save_state(CK_SESSION_HANDLE s, CK_BYTE state[512])
{
	CK_ULONG n = 0, room;

	assert_ok(C_GetOperationState(s, NULL, &n));
	assert_in_range(n, 1, 511);
	room = n - 1;
	assert_rv(CKR_BUFFER_TOO_SMALL, C_GetOperationState(s, state, &room));
	assert_int_equal(room, n);
	assert_ok(C_GetOperationState(s, state, &room));
	return n;
}

/* At every length around the block sizes: 64 and 128 bytes. */
static void
digests_go_on_elsewhere(void **state)
{
	static const CK_MECHANISM_TYPE mechs[] = { CKM_SHA_1, CKM_SHA224,
		CKM_SHA256, CKM_SHA384, CKM_SHA512 };
	CK_BYTE data[200] = { 1, 2, 3 }, saved[512], want[64], got[64];
	CK_SESSION_HANDLE s, other;
	CK_ULONG n, a, b;

	(void)state;
	assert_ok(C_Initialize(NULL));
	s = open_session(RO);
	other = open_session(RW);
	for (size_t i = 0; i < NELEMS(mechs); i++)
		for (CK_ULONG at = 0; at < sizeof(data); at++) {
			assert_ok(C_DigestInit(s, MECH(mechs[i])));
			if (at > 0)
				assert_ok(C_DigestUpdate(s, data, at));
			n = save_state(s, saved);
			assert_ok(C_DigestUpdate(s, data, 1));
			assert_ok(C_SetOperationState(other, saved, n, 0, 0));
			assert_ok(C_SetOperationState(s, saved, n, 0, 0));
			a = sizeof(want);
			b = sizeof(got);
			assert_ok(C_DigestUpdate(s, &data[at], 200 - at));
			assert_ok(C_DigestFinal(s, got, &b));
			assert_ok(C_DigestInit(s, MECH(mechs[i])));
			assert_ok(C_Digest(s, data, sizeof(data), want, &a));
			assert_int_equal(a, b);
			assert_memory_equal(want, got, a);
			b = sizeof(got);
			if (at > 0)
				assert_rv(CKR_OPERATION_ACTIVE,
				    C_Digest(other, data, 1, got, &b));
			else
				assert_ok(C_Digest(other, data, 200, got, &b));
			if (at == 0)
				assert_memory_equal(want, got, a);
		}
}

static void
states_that_are_none(void **state)
{
	CK_BYTE saved[512], changed[512], data[70] = { 1 };
	CK_SESSION_HANDLE s;
	CK_ULONG n, m = 0;

	(void)state;
	assert_ok(C_Initialize(NULL));
	s = open_session(RO);
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_GetOperationState(s, NULL, &m));
	assert_ok(C_FindObjectsInit(s, NULL, 0));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_GetOperationState(s, NULL, &m));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA3_256)));
	assert_rv(CKR_STATE_UNSAVEABLE, C_GetOperationState(s, NULL, &m));
	assert_ok(C_SessionCancel(s, CKF_DIGEST));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_ok(C_DigestUpdate(s, data, sizeof(data)));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetOperationState(s, saved, NULL));
	n = save_state(s, saved);
	assert_rv(CKR_KEY_NOT_NEEDED, C_SetOperationState(s, saved, n, 1, 0));
	assert_rv(CKR_KEY_NOT_NEEDED, C_SetOperationState(s, saved, n, 0, 1));
	assert_rv(CKR_ARGUMENTS_BAD, C_SetOperationState(s, NULL, n, 0, 0));
	for (m = 0; m < n; m++)
		assert_rv(CKR_SAVED_STATE_INVALID,
		    C_SetOperationState(s, saved, m, 0, 0));
	memcpy(changed, saved, n);
	assert_rv(CKR_SAVED_STATE_INVALID,
	    C_SetOperationState(s, changed, n + 1, 0, 0));
	/* Tag, mechanism, flag, count of bytes: the hash may be anything. */
	for (m = 0; m < n - 6; m++) {
		CK_RV rv;

		memcpy(changed, saved, n);
		changed[m] ^= 0x20;
		rv = C_SetOperationState(s, changed, n, 0, 0);
		assert_true(rv == CKR_OK || rv == CKR_SAVED_STATE_INVALID);
		if (m < 39)
			assert_int_equal(rv, CKR_SAVED_STATE_INVALID);
	}
	/* A search goes with the rest. */
	assert_ok(C_FindObjectsInit(s, NULL, 0));
	assert_ok(C_SetOperationState(s, saved, n, 0, 0));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjectsFinal(s));
}

static void
unadmitted_sessions_digest(void **state)
{
	/* FIPS 180-4, "abc" */
	static const CK_BYTE want[4] = { 0xba, 0x78, 0x16, 0xbf };
	CK_BYTE abc[] = "abc", out[32], more[32] = { 0 };
	CK_ULONG n = sizeof(out);
	CK_SESSION_HANDLE s;

	(void)state;
	assert_ok(C_Initialize(NULL));
	s = open_session(RO);
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv(CKR_OPERATION_ACTIVE, C_DigestInit(s, MECH(CKM_SHA256)));
	assert_ok(C_DigestUpdate(s, abc, 1));
	assert_ok(C_DigestUpdate(s, abc + 1, 2));
	n = 4;
	assert_rv(CKR_BUFFER_TOO_SMALL, C_DigestFinal(s, out, &n));
	assert_int_equal(n, 32);
	assert_ok(C_DigestFinal(s, out, &n));
	assert_memory_equal(out, want, 4);
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DigestFinal(s, out, &n));
	assert_ok(C_GenerateRandom(s, out, sizeof(out)));
	assert_ok(C_GenerateRandom(s, more, sizeof(more)));
	assert_memory_not_equal(out, more, sizeof(out));
	assert_ok(C_SeedRandom(s, abc, 3));
	assert_ok(C_SeedRandom(s, NULL, 0));
	assert_rv(CKR_ARGUMENTS_BAD, C_SeedRandom(s, NULL, 3));
	assert_rv(CKR_SESSION_HANDLE_INVALID, C_SeedRandom(0, abc, 3));
	assert_ok(C_GenerateRandom(s, out, sizeof(out)));
	assert_memory_not_equal(out, more, sizeof(out));
}

/* Errors end the operation; a question for the size does not. */
static void
digest_errors_end_the_operation(void **state)
{
	CK_BYTE abc[] = "abc", out[32];
	CK_ULONG n = 0;
	CK_SESSION_HANDLE s;

	(void)state;
	assert_ok(C_Initialize(NULL));
	s = open_session(RO);
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_ok(C_Digest(s, abc, 3, NULL, &n));
	assert_int_equal(n, 32);
	assert_rv(CKR_ARGUMENTS_BAD, C_Digest(s, abc, 3, out, NULL));
	n = 32;
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Digest(s, abc, 3, out, &n));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_ok(C_DigestInit(s, NULL)); /* 3.0: cancels */
	assert_rv(CKR_ARGUMENTS_BAD, C_DigestInit(s, NULL));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_ok(C_SessionCancel(s, CKF_DIGEST));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DigestUpdate(s, abc, 1));
	assert_rv(CKR_MECHANISM_INVALID, C_DigestInit(s, MECH(CKM_ECDSA)));
}

static void
templates_are_bounded(void **state)
{
	static CK_ATTRIBUTE many[200];
	CK_OBJECT_HANDLE h;
	CK_SESSION_HANDLE s;

	(void)state;
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	assert_rv(CKR_ARGUMENTS_BAD, C_CreateObject(s, many, 200, &h));
	assert_rv(CKR_ARGUMENTS_BAD, C_CreateObject(s, many, ~0UL, &h));
	assert_rv(CKR_ARGUMENTS_BAD, C_FindObjectsInit(s, many, 200));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetAttributeValue(s, 1, many, ~0UL));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjectsFinal(s));
}

/* Every list is whole, begins with its version, and reports it. */
static void
interface_lists_are_whole(void **state)
{
	static const struct {
		CK_VERSION version;
		size_t size;
	} lists[] = {
		{ { 3, 2 }, sizeof(CK_FUNCTION_LIST_3_2) },
		{ { 3, 0 }, sizeof(CK_FUNCTION_LIST_3_0) },
		{ { 2, 40 }, sizeof(CK_FUNCTION_LIST) },
	};
	CK_INTERFACE all[3];
	CK_ULONG n = 2;
	CK_INFO info;

	(void)state;
	assert_rv(CKR_ARGUMENTS_BAD, C_GetInterfaceList(all, NULL));
	assert_rv(CKR_BUFFER_TOO_SMALL, C_GetInterfaceList(all, &n));
	assert_int_equal(n, 3);
	assert_ok(C_GetInterfaceList(NULL, &n));
	assert_int_equal(n, 3);
	assert_ok(C_GetInterfaceList(all, &n));
	assert_ok(C_Initialize(NULL));
	for (size_t i = 0; i < NELEMS(lists); i++) {
		CK_FUNCTION_LIST *f = all[i].pFunctionList;
		void **at = (void **)(void *)&f->C_Initialize;
		size_t members = (lists[i].size -
				     offsetof(CK_FUNCTION_LIST, C_Initialize)) /
		    sizeof(*at);

		assert_string_equal((char *)all[i].pInterfaceName, "PKCS 11");
		assert_int_equal(all[i].flags, CKF_INTERFACE_FORK_SAFE);
		assert_memory_equal(&f->version, &lists[i].version,
		    sizeof(f->version));
		for (size_t j = 0; j < members; j++)
			assert_non_null(at[j]);
		assert_ok(f->C_GetInfo(&info));
		assert_memory_equal(&info.cryptokiVersion, &f->version,
		    sizeof(f->version));
	}
	/* OASIS 3.2: 68 functions, 24 more, 12 more. */
	assert_int_equal(lists[0].size, (104 + 1) * sizeof(void *));
	assert_int_equal(lists[1].size, (92 + 1) * sizeof(void *));
}

static CK_RV
get_interface(const char *name, CK_BYTE major, CK_BYTE minor, CK_FLAGS flags,
    CK_INTERFACE **ret)
{
	CK_VERSION v = { major, minor };
	CK_UTF8CHAR copy[32];

	(void)snprintf((char *)copy, sizeof(copy), "%s", name);
	return C_GetInterface(copy, &v, ret, flags);
}

static void
interfaces_are_chosen(void **state)
{
	CK_UTF8CHAR name[] = "PKCS 11", other[] = "Vendor",
		    longer[] = "PKCS 11 ";
	CK_FUNCTION_LIST *list = NULL;
	CK_INTERFACE *one = NULL, *two = NULL;

	(void)state;
	assert_rv(CKR_ARGUMENTS_BAD, C_GetFunctionList(NULL));
	assert_ok(C_GetFunctionList(&list));
	assert_int_equal(list->version.major, 2);
	assert_int_equal(list->version.minor, 40);
	/* NULL is the newest; so is no version of the standard's name. */
	assert_ok(C_GetInterface(NULL, NULL, &one, 0));
	assert_ok(C_GetInterface(name, NULL, &two, 0));
	assert_ptr_equal(one, two);
	assert_int_equal(((CK_VERSION *)one->pFunctionList)->minor, 2);
	assert_ok(get_interface("PKCS 11", 3, 2, 0, &two));
	assert_ptr_equal(one, two);
	assert_ok(
	    get_interface("PKCS 11", 3, 0, CKF_INTERFACE_FORK_SAFE, &one));
	assert_int_equal(((CK_VERSION *)one->pFunctionList)->minor, 0);
	assert_ok(get_interface("PKCS 11", 2, 40, 0, &one));
	assert_ptr_equal(one->pFunctionList, list);
	assert_rv(CKR_ARGUMENTS_BAD, get_interface("PKCS 11", 3, 1, 0, &one));
	assert_rv(CKR_ARGUMENTS_BAD, get_interface("PKCS 11", 2, 2, 0, &one));
	assert_rv(CKR_ARGUMENTS_BAD, get_interface("PKCS 11", 9, 9, 0, &one));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetInterface(other, NULL, &one, 0));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetInterface(longer, NULL, &one, 0));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetInterface(name, NULL, &one, 0x80));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetInterface(name, NULL, NULL, 0));
}

static void
slot_events_do_not_block(void **state)
{
	CK_SLOT_ID slot;

	(void)state;
	assert_ok(C_Initialize(NULL));
	assert_rv(CKR_NO_EVENT,
	    C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
	assert_rv(CKR_FUNCTION_NOT_SUPPORTED,
	    C_WaitForSlotEvent(0, &slot, NULL));
}

static void *
churn(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		CK_SESSION_INFO info;
		CK_SESSION_HANDLE s;

		if (C_OpenSession(the_slot(), RO, NULL, NULL, &s) != CKR_OK ||
		    C_GetSessionInfo(s, &info) != CKR_OK ||
		    C_CloseSession(s) != CKR_OK)
			return (void *)1;
	}
	return NULL;
}

static void
threads_share_the_session_table(void **state)
{
	pthread_t t[8];
	CK_TOKEN_INFO info;

	(void)state;
	assert_ok(C_Initialize(NULL));
	for (size_t i = 0; i < NELEMS(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, NULL), 0);
	for (size_t i = 0; i < NELEMS(t); i++) {
		void *failed;

		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
	assert_ok(C_GetTokenInfo(the_slot(), &info));
	assert_int_equal(info.ulSessionCount, 0);
}

static void *
call_until_over(void *arg)
{
	CK_SESSION_HANDLE s = *(CK_SESSION_HANDLE *)arg;
	CK_BYTE out[16];

	while (C_GenerateRandom(s, out, sizeof(out)) == CKR_OK)
		continue;
	return NULL;
}

/* Finalizing under the feet of other threads ends their calls, and no more. */
static void
finalize_among_callers(void **state)
{
	CK_SESSION_HANDLE s;
	pthread_t t[4];

	(void)state;
	for (int round = 0; round < 20; round++) {
		assert_ok(C_Initialize(NULL));
		s = open_session(RO);
		for (size_t i = 0; i < NELEMS(t); i++)
			assert_int_equal(pthread_create(&t[i], NULL,
					     call_until_over, &s),
			    0);
		usleep(1000);
		assert_ok(C_Finalize(NULL));
		for (size_t i = 0; i < NELEMS(t); i++)
			assert_int_equal(pthread_join(t[i], NULL), 0);
	}
}

/* Unloading and exiting without C_Finalize, and a fork after unloading. */
static void
unload_without_finalize(void **state)
{
	const char *path = getenv("CVM_MODULE");
	CK_C_GetFunctionList get;
	CK_FUNCTION_LIST *list;
	CK_SESSION_HANDLE s;
	CK_SLOT_ID slot;
	CK_ULONG n = 1;
	void *lib;
	int status;
	pid_t pid;

	(void)state;
	if (path == NULL || access(path, R_OK) != 0)
		skip();
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(lib);
	*(void **)&get = dlsym(lib, "C_GetFunctionList");
	assert_ok(get(&list));
	/* What only C_Finalize would free is lost with the module. */
	__lsan_disable();
	assert_ok(list->C_Initialize(NULL));
	assert_ok(list->C_GetSlotList(CK_TRUE, &slot, &n));
	assert_ok(list->C_OpenSession(slot, RO, NULL, NULL, &s));
	assert_int_equal(dlclose(lib), 0);
	__lsan_enable();
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define TEST(fn) cmocka_unit_test_teardown(fn, finalize)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_call_needs_initialize),
		TEST(wrong_handles_are_told),
		TEST(null_arguments_are_refused),
		TEST(missing_configuration_has_no_slots),
		TEST(broken_configuration_has_no_slots),
		TEST(broken_policy_is_an_error_state),
		TEST(token_without_store_is_uninitialised),
		TEST(init_token_is_off_by_default),
		TEST(initialize_arguments),
		TEST(reserved_names_the_configuration),
		TEST(configuration_is_remembered),
		TEST(slot_lists_are_counted),
		TEST(mechanisms_are_told),
		TEST(session_states),
		TEST(sessions_are_not_handed_over_by_finalize),
		TEST(digests_go_on_elsewhere),
		TEST(states_that_are_none),
		TEST(unadmitted_sessions_digest),
		TEST(digest_errors_end_the_operation),
		TEST(templates_are_bounded),
		TEST(interface_lists_are_whole),
		TEST(interfaces_are_chosen),
		TEST(slot_events_do_not_block),
		TEST(threads_share_the_session_table),
		TEST(finalize_among_callers),
		TEST(unload_without_finalize),
	};

	return cmocka_run_group_tests_name("module", tests, make_dir,
	    remove_dir);
}
