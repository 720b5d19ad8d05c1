/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake-clock.h"
#include "tests/unit/scene-program.h"

/*
 * A session that encrypts one message after another keeps what it can between
 * them. What comes between two messages, or between C_EncryptInit and
 * C_Encrypt, decides of the next one all the same; and where the right comes
 * back, so does the service.
 */
#define MAX_AGE_S 300
#define MESSAGE 64
#define UNTOUCHED 0xa5

static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE key;
static CK_BYTE iv[12], text[MESSAGE], out[MESSAGE + 16];
static CK_GCM_PARAMS param = { iv, sizeof(iv), 96, NULL, 0, 128 };
static CK_MECHANISM mech = { CKM_AES_GCM, &param, sizeof(param) };

static int
set_up(void **state)
{
	(void)state;
	if (!scene.there)
		return 0;
	scene_prepare(&scene,
	    &(struct scene_options){ .max_age_s = MAX_AGE_S });
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	login(s);
	key = find(s, CKO_SECRET_KEY, "aes");
	assert_int_not_equal(key, 0);
	return 0;
}

static bool
given_out(void)
{
	for (size_t i = 0; i < sizeof(out); i++)
		if (out[i] != UNTOUCHED)
			return true;
	return false;
}

static void
nothing(void)
{
}

/* One message, with something before it and something in the middle. */
static CK_RV
message(void (*before)(void), void (*within)(void))
{
	CK_ULONG n = sizeof(out);
	CK_RV rv;

	memset(out, UNTOUCHED, sizeof(out));
	iv[0]++;
	before();
	rv = C_EncryptInit(s, &mech, key);
	if (rv != CKR_OK)
		return rv;
	within();
	return C_Encrypt(s, text, MESSAGE, out, &n);
}

static CK_RV
plainly(void)
{
	return message(nothing, nothing);
}

static void
time_passes(void)
{
	fake_clock_pass(1000 * (MAX_AGE_S + 1));
}

static void
denied(void)
{
	scene_deny(&scene);
}

/* Nobody has noticed, and no admission is left. */
static void
tampered_with(void)
{
	machine_ctl(&scene.m, "set debug on");
	time_passes();
}

static void
logged_out(void)
{
	assert_ok(C_Logout(s));
}

static void
logged_out_and_in(void)
{
	assert_ok(C_Logout(s));
	login(s);
}

static void
key_restricted(void)
{
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE off = { CKA_ENCRYPT, &no, 1 };

	assert_ok(C_SetAttributeValue(s, key, &off, 1));
}

static const struct {
	const char *name;
	void (*between)(void);
	CK_RV before;	    /* when it comes before C_EncryptInit */
	CK_RV within;	    /* when it comes before C_Encrypt */
	void (*heal)(void); /* what gives the right back */
	bool other_handle;  /* which then has to be looked up again */
} events[] = {
	{ "time", time_passes, CKR_OK, CKR_OK, nothing, false },
	{ "a denial", denied, CKR_KEY_FUNCTION_NOT_PERMITTED,
	    CKR_KEY_FUNCTION_NOT_PERMITTED, NULL, false },
	{ "tampering that no one noticed", tampered_with,
	    CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_FUNCTION_NOT_PERMITTED,
	    NULL, false },
	{ "a logout", logged_out, CKR_KEY_HANDLE_INVALID,
	    CKR_USER_NOT_LOGGED_IN, logged_out_and_in, true },
	{ "another login", logged_out_and_in, CKR_KEY_HANDLE_INVALID,
	    CKR_USER_NOT_LOGGED_IN, nothing, true },
};

static void
again_allowed(size_t i)
{
	if (events[i].heal == NULL)
		scene_allow(&scene);
	else if (events[i].heal == logged_out_and_in)
		login(s);
	else
		events[i].heal();
	if (events[i].other_handle)
		key = find(s, CKO_SECRET_KEY, "aes");
	assert_ok(plainly());
}

static void
event(size_t i, bool within)
{
	CK_RV want = within ? events[i].within : events[i].before;

	print_message("# %s, %s\n", events[i].name,
	    within ? "before C_Encrypt" : "before C_EncryptInit");
	assert_ok(plainly());
	assert_ok(plainly());
	assert_rv(want,
	    within ? message(nothing, events[i].between) :
		     message(events[i].between, nothing));
	assert_int_equal(given_out(), want == CKR_OK);
	again_allowed(i);
}

static void
message_after_the_right_was_lost(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		event(i, /* within= */ false);
		event(i, /* within= */ true);
	}
}

static void
message_with_a_key_that_changed(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	assert_ok(plainly());
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
	    message(key_restricted, nothing));
	assert_false(given_out());
}

static void
message_with_a_key_that_is_gone(void **state)
{
	CK_OBJECT_HANDLE original = key;

	(void)state;
	NEEDS_MACHINE();
	assert_ok(C_CopyObject(s, original, NULL, 0, &key));
	assert_ok(plainly());
	assert_ok(C_DestroyObject(s, key));
	assert_rv(CKR_KEY_HANDLE_INVALID, plainly());
	assert_false(given_out());
}

/* A process of messages is begun once, and its key looked up for each. */
static CK_RV
sealed(CK_OBJECT_HANDLE k, bool begin)
{
	CK_BYTE tag[16];
	CK_GCM_MESSAGE_PARAMS p = { iv, sizeof(iv), 0, CKG_NO_GENERATE, tag,
		128 };
	CK_MECHANISM m = { CKM_AES_GCM, NULL, 0 };
	CK_ULONG n = sizeof(out);

	if (begin)
		assert_ok(C_MessageEncryptInit(s, &m, k));
	iv[0]++;
	memset(out, UNTOUCHED, sizeof(out));
	return C_EncryptMessage(s, &p, sizeof(p), NULL, 0, text, MESSAGE, out,
	    &n);
}

static CK_RV
signed_by(CK_OBJECT_HANDLE k, bool begin)
{
	CK_ULONG n = sizeof(out);

	if (begin)
		assert_ok(C_MessageSignInit(s, MECH(CKM_ECDSA), k));
	memset(out, UNTOUCHED, sizeof(out));
	return C_SignMessage(s, NULL, 0, text, 32, out, &n);
}

static void
relabelled(CK_OBJECT_HANDLE k)
{
	CK_UTF8CHAR label[] = "another";
	CK_ATTRIBUTE a = { CKA_LABEL, label, sizeof(label) - 1 };

	assert_ok(C_SetAttributeValue(s, k, &a, 1));
}

static void
forbidden_to_encrypt(CK_OBJECT_HANDLE k)
{
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE a = { CKA_ENCRYPT, &no, 1 };

	assert_ok(C_SetAttributeValue(s, k, &a, 1));
}

static void
forbidden_to_sign(CK_OBJECT_HANDLE k)
{
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE a = { CKA_SIGN, &no, 1 };

	assert_ok(C_SetAttributeValue(s, k, &a, 1));
}

static void
bound_to_operations(CK_OBJECT_HANDLE k)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE a = { CKA_CVM_BIND_OPERATION, &yes, 1 };

	assert_ok(C_SetAttributeValue(s, k, &a, 1));
}

static void
destroyed(CK_OBJECT_HANDLE k)
{
	assert_ok(C_DestroyObject(s, k));
}

static const struct {
	const char *name;
	CK_RV (*message)(CK_OBJECT_HANDLE k, bool begin);
	void (*between)(CK_OBJECT_HANDLE k);
	CK_RV want;
} changes[] = {
	{ "encrypts, relabelled", sealed, relabelled, CKR_OK },
	{ "encrypts, restricted", sealed, forbidden_to_encrypt,
	    CKR_KEY_FUNCTION_NOT_PERMITTED },
	/* Each message has an admission of its own from then on. */
	{ "encrypts, bound", sealed, bound_to_operations, CKR_OK },
	{ "encrypts, destroyed", sealed, destroyed, CKR_KEY_HANDLE_INVALID },
	{ "signs, relabelled", signed_by, relabelled, CKR_OK },
	{ "signs, restricted", signed_by, forbidden_to_sign,
	    CKR_KEY_FUNCTION_NOT_PERMITTED },
	{ "signs, bound", signed_by, bound_to_operations,
	    CKR_KEY_HANDLE_INVALID },
	{ "signs, destroyed", signed_by, destroyed, CKR_KEY_HANDLE_INVALID },
};

static void
process_goes_on_with_a_key_that_changed(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		CK_OBJECT_HANDLE k = changes[i].message == sealed ?
		    key :
		    find(s, CKO_PRIVATE_KEY, "ec");

		print_message("# %s\n", changes[i].name);
		assert_ok(C_CopyObject(s, k, NULL, 0, &k));
		assert_ok(changes[i].message(k, true));
		assert_ok(changes[i].message(k, false));
		changes[i].between(k);
		assert_rv(changes[i].want, changes[i].message(k, false));
		assert_int_equal(given_out(), changes[i].want == CKR_OK);
		(void)C_MessageEncryptFinal(s);
		(void)C_MessageSignFinal(s);
		if (changes[i].between != destroyed)
			assert_ok(C_DestroyObject(s, k));
	}
}

static void
process_goes_on_after_the_right_was_lost(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		CK_RV want = events[i].within;

		print_message("# messages, %s\n", events[i].name);
		assert_ok(sealed(key, true));
		assert_ok(sealed(key, false));
		events[i].between();
		assert_rv(want, sealed(key, false));
		assert_int_equal(given_out(), want == CKR_OK);
		(void)C_MessageEncryptFinal(s);
		again_allowed(i);
	}
}

/* The child has nobody's admission, and asks for its own. */
static void
child_goes_on_with_the_admission_of_its_parent(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	NEEDS_MACHINE();
	assert_ok(plainly());
	machine_ctl(&scene.m, "set debug on");
	pid = fork();
	if (pid == 0)
		_exit(plainly() == CKR_KEY_FUNCTION_NOT_PERMITTED &&
			    !given_out() ?
			0 :
			1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* For whom nothing has changed until it asks. */
	assert_ok(plainly());
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(message_after_the_right_was_lost),
		TEST(message_with_a_key_that_is_gone),
		TEST(process_goes_on_with_a_key_that_changed),
		TEST(process_goes_on_after_the_right_was_lost),
		TEST(child_goes_on_with_the_admission_of_its_parent),
		TEST(message_with_a_key_that_changed),
	};

	return cmocka_run_group_tests_name("between", tests, start, stop);
}
