/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/scene-program.h"

/* PINs, logins, and keys that want a login of their own. */

static int
setup(void **state)
{
	(void)state;
	if (scene.there)
		scene_forget_stderr(&scene);
	return 0;
}

static void
begin(const struct scene_options *o)
{
	scene_prepare(&scene, o);
	assert_ok(C_Initialize(NULL));
}

static CK_RV
log_in(CK_SESSION_HANDLE s, CK_USER_TYPE type, const char *pin)
{
	CK_UTF8CHAR copy[64];
	size_t len = pin == NULL ? 0 : strlen(pin);

	if (pin != NULL)
		memcpy(copy, pin, len);
	return C_Login(s, type, pin == NULL ? NULL : copy, len);
}

static CK_RV
set_pin(CK_SESSION_HANDLE s, const char *old, const char *new)
{
	CK_UTF8CHAR a[64], b[64];

	memcpy(a, old, strlen(old));
	memcpy(b, new, strlen(new));
	return C_SetPIN(s, a, strlen(old), b, strlen(new));
}

static CK_FLAGS
token_flags(void)
{
	CK_TOKEN_INFO info;

	assert_ok(C_GetTokenInfo(the_slot(), &info));
	return info.flags;
}

static CK_BYTE digest[32] = { 1, 2, 3 };

static CK_RV
sign(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_BYTE sig[128];
	CK_ULONG n = sizeof(sig);
	CK_RV rv = C_SignInit(s, MECH(CKM_ECDSA), key);

	return rv != CKR_OK ? rv : C_Sign(s, digest, sizeof(digest), sig, &n);
}

static void
login_rules(void **state)
{
	CK_UTF8CHAR name[] = "alice";
	CK_SESSION_HANDLE ro, rw, h;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	assert_true((token_flags() & CKF_LOGIN_REQUIRED) != 0);
	assert_true((token_flags() & CKF_USER_PIN_INITIALIZED) != 0);
	ro = open_session(RO);
	rw = open_session(RW);
	assert_rv(CKR_USER_TYPE_INVALID, log_in(ro, 17, USER_PIN));
	assert_rv(CKR_ARGUMENTS_BAD, log_in(ro, CKU_USER, NULL));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_LoginUser(ro, CKU_USER, name, 5, name, 5));
	assert_rv(CKR_USER_NOT_LOGGED_IN, C_Logout(ro));
	assert_rv(CKR_SESSION_READ_ONLY_EXISTS, log_in(rw, CKU_SO, SO_PIN));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    log_in(ro, CKU_CONTEXT_SPECIFIC, USER_PIN));
	assert_ok(log_in(ro, CKU_USER, USER_PIN));
	assert_rv(CKR_USER_ALREADY_LOGGED_IN, log_in(rw, CKU_USER, USER_PIN));
	assert_rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
	    log_in(rw, CKU_SO, SO_PIN));
	assert_ok(C_Logout(rw));
	assert_ok(C_CloseSession(ro));
	assert_ok(log_in(rw, CKU_SO, SO_PIN));
	assert_rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
	    log_in(rw, CKU_USER, USER_PIN));
	assert_rv(CKR_SESSION_READ_WRITE_SO_EXISTS,
	    C_OpenSession(the_slot(), RO, NULL, NULL, &h));
	assert_int_equal(find(rw, CKO_PRIVATE_KEY, "ec"), 0);
	assert_ok(C_Logout(rw));
}

static void
logout_hides_private_objects(void **state)
{
	CK_SESSION_HANDLE s, other;
	CK_OBJECT_HANDLE key;
	CK_BYTE sig[128];
	CK_ULONG n = sizeof(sig);

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	s = open_session(RO);
	other = open_session(RO);
	login(s);
	key = find(s, CKO_PRIVATE_KEY, "ec");
	assert_ok(C_SignInit(s, MECH(CKM_ECDSA), key));
	/* The login is the token's: another session ends it. */
	assert_ok(C_Logout(other));
	assert_rv(CKR_USER_NOT_LOGGED_IN, C_Sign(s, digest, 32, sig, &n));
	assert_rv(CKR_KEY_HANDLE_INVALID, sign(s, key));
	assert_int_equal(find(s, CKO_PRIVATE_KEY, "ec"), 0);
	assert_int_not_equal(find(s, CKO_PUBLIC_KEY, "ec"), 0);
	login(other);
	/* Section 5.6.8: handles from before are of no use any more. */
	assert_rv(CKR_KEY_HANDLE_INVALID, sign(s, key));
	assert_int_not_equal(find(s, CKO_PRIVATE_KEY, "ec"), key);
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
	assert_ok(C_CloseSession(s));
	assert_ok(C_CloseSession(other));
	/* The last session took the login with it. */
	s = open_session(RO);
	assert_int_equal(find(s, CKO_PRIVATE_KEY, "ec"), 0);
	assert_ok(log_in(s, CKU_USER, USER_PIN));
}

/* Section 5.6.8. */
static void
logout_destroys_private_session_objects(void **state)
{
	static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_UTF8CHAR label[] = "scratch";
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_LABEL, label, sizeof(label) - 1 },
		{ CKA_PRIVATE, &yes, sizeof(yes) } };
	CK_OBJECT_HANDLE private, public;
	CK_SESSION_HANDLE s;
	CK_ULONG size;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	s = open_session(RW);
	login(s);
	assert_ok(C_CreateObject(s, t, NELEMS(t), &private));
	t[2].pValue = &no;
	assert_ok(C_CreateObject(s, t, NELEMS(t), &public));
	assert_ok(C_Logout(s));
	login(s);
	assert_rv(CKR_OBJECT_HANDLE_INVALID,
	    C_GetObjectSize(s, private, &size));
	assert_ok(C_GetObjectSize(s, public, &size));
	assert_int_equal(find(s, CKO_DATA, "scratch"), public);
}

static void
wrong_pins_lock(void **state)
{
	CK_UTF8CHAR pin[] = USER_PIN;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	s = open_session(RW);
	for (int i = 0; i < 10; i++) {
		CK_FLAGS f = token_flags();

		assert_int_equal((f & CKF_USER_PIN_COUNT_LOW) != 0, i >= 1);
		assert_int_equal((f & CKF_USER_PIN_FINAL_TRY) != 0, i == 9);
		assert_int_equal(f & CKF_USER_PIN_LOCKED, 0);
		assert_rv(CKR_PIN_INCORRECT, log_in(s, CKU_USER, "wrong"));
	}
	assert_true((token_flags() & CKF_USER_PIN_LOCKED) != 0);
	assert_rv(CKR_PIN_LOCKED, log_in(s, CKU_USER, USER_PIN));
	/* The SO sets a new one, and the count begins anew. */
	assert_ok(log_in(s, CKU_SO, SO_PIN));
	assert_ok(C_InitPIN(s, pin, sizeof(pin) - 1));
	assert_ok(C_Logout(s));
	assert_ok(log_in(s, CKU_USER, USER_PIN));
	assert_int_equal(token_flags() &
		(CKF_USER_PIN_LOCKED | CKF_USER_PIN_COUNT_LOW),
	    0);
}

/* In a child: a program of its own, as far as the store knows. */
static void
try_in_child(const char *pin, CK_RV want)
{
	CK_SESSION_HANDLE s = open_session(RO);

	_exit(log_in(s, CKU_USER, pin) == want ? 0 : 1);
}

/* What is counted is counted for all, whoever tries at the same time. */
static void
wrong_pins_of_many_processes_add_up(void **state)
{
	enum { CHILDREN = 4 };
	CK_SESSION_HANDLE s;
	pid_t pid[CHILDREN];
	int status;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CHILDREN; i++) {
			pid[i] = fork();
			assert_int_not_equal(pid[i], -1);
			if (pid[i] == 0)
				try_in_child("wrong", CKR_PIN_INCORRECT);
		}
		for (int i = 0; i < CHILDREN; i++) {
			assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
			assert_int_equal(status, 0);
		}
	}
	/* Eight of ten. */
	s = open_session(RW);
	assert_int_equal(token_flags() & CKF_USER_PIN_FINAL_TRY, 0);
	assert_rv(CKR_PIN_INCORRECT, log_in(s, CKU_USER, "wrong"));
	assert_true((token_flags() & CKF_USER_PIN_FINAL_TRY) != 0);
	assert_ok(log_in(s, CKU_USER, USER_PIN));
	assert_int_equal(token_flags() &
		(CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_COUNT_LOW),
	    0);
}

/* Killing the program before it knows the answer saves no try. */
static void
tries_that_are_killed_count(void **state)
{
	CK_SESSION_HANDLE s;
	pid_t pid;
	int status;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		try_in_child("wrong", CKR_PIN_INCORRECT);
	/* The count is written first, and the PIN is slow to try. */
	while ((token_flags() & CKF_USER_PIN_COUNT_LOW) == 0 &&
	    waitpid(pid, &status, WNOHANG) == 0)
		usleep(500);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	assert_true((token_flags() & CKF_USER_PIN_COUNT_LOW) != 0);
	s = open_session(RO);
	assert_ok(log_in(s, CKU_USER, USER_PIN));
	assert_int_equal(token_flags() & CKF_USER_PIN_COUNT_LOW, 0);
}

static void
pins_are_changed(void **state)
{
	CK_UTF8CHAR pin[] = USER_PIN;
	CK_SESSION_HANDLE s, ro;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	s = open_session(RW);
	ro = open_session(RO);
	assert_rv(CKR_SESSION_READ_ONLY, set_pin(ro, USER_PIN, "5678"));
	assert_rv(CKR_PIN_INCORRECT, set_pin(s, "wrong", "5678"));
	assert_rv(CKR_PIN_LEN_RANGE, set_pin(s, USER_PIN, "567"));
	assert_rv(CKR_USER_NOT_LOGGED_IN, C_InitPIN(s, pin, 4));
	assert_ok(log_in(s, CKU_USER, USER_PIN));
	assert_ok(set_pin(s, USER_PIN, "5678"));
	assert_ok(C_Logout(s));
	assert_rv(CKR_PIN_INCORRECT, log_in(s, CKU_USER, USER_PIN));
	assert_ok(log_in(s, CKU_USER, "5678"));
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
	assert_ok(set_pin(s, "5678", USER_PIN));
}

static void
attestation_is_a_login(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	CK_SESSION_INFO info;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ .login = "attestation" });
	assert_int_equal(token_flags() & CKF_LOGIN_REQUIRED, 0);
	s = open_session(RO);
	assert_ok(C_GetSessionInfo(s, &info));
	assert_int_equal(info.state, CKS_RO_USER_FUNCTIONS);
	key = find(s, CKO_PRIVATE_KEY, "ec");
	assert_ok(sign(s, key));
	assert_rv(CKR_PIN_INCORRECT, log_in(s, CKU_USER, USER_PIN));
	assert_rv(CKR_USER_NOT_LOGGED_IN, C_Logout(s));
	assert_ok(log_in(s, CKU_USER, NULL));
	assert_rv(CKR_USER_ALREADY_LOGGED_IN, log_in(s, CKU_USER, ""));
	assert_ok(C_Logout(s));
	assert_ok(sign(s, key));
	scene_deny(&scene);
	assert_ok(C_GetSessionInfo(s, &info));
	assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
	assert_rv(CKR_DEVICE_ERROR, log_in(s, CKU_USER, NULL));
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, sign(s, key));
	scene_allow(&scene);
	assert_ok(sign(s, key));
}

static void
pin_file_serves_the_unattended(void **state)
{
	char path[128];
	CK_SESSION_HANDLE s;
	FILE *f;

	(void)state;
	NEEDS_MACHINE();
	(void)snprintf(path, sizeof(path), "%s/pin", scene.m.dir);
	begin(&(struct scene_options){ .pin_file = path });
	assert_true((token_flags() & CKF_PROTECTED_AUTHENTICATION_PATH) != 0);
	s = open_session(RO);
	assert_int_not_equal(log_in(s, CKU_USER, NULL), CKR_OK);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(USER_PIN "\n", f) > 0);
	assert_int_equal(fclose(f), 0);
	assert_ok(log_in(s, CKU_USER, NULL));
	assert_ok(C_Logout(s));
	/* The caller's own PIN is the one that counts. */
	assert_rv(CKR_PIN_INCORRECT, log_in(s, CKU_USER, "wrong"));
	assert_ok(log_in(s, CKU_USER, USER_PIN));
	assert_ok(C_Logout(s));
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_not_equal(log_in(s, CKU_USER, NULL), CKR_OK);
	assert_int_equal(unlink(path), 0);
}

static void
initialising_again_needs_the_so(void **state)
{
	CK_UTF8CHAR so[] = SO_PIN, wrong[] = "no such SO PIN", label[32];
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	memset(label, ' ', sizeof(label));
	memcpy(label, "web", 3);
	s = open_session(RO);
	assert_rv(CKR_SESSION_EXISTS,
	    C_InitToken(the_slot(), so, sizeof(so) - 1, label));
	assert_ok(C_CloseSession(s));
	assert_rv(CKR_PIN_INCORRECT,
	    C_InitToken(the_slot(), wrong, sizeof(wrong) - 1, label));
	machine_ctl(&scene.m, "set debug on");
	assert_rv(CKR_DEVICE_ERROR,
	    C_InitToken(the_slot(), so, sizeof(so) - 1, label));
	scene_allow(&scene);
	s = open_session(RO);
	login(s);
	assert_int_not_equal(find(s, CKO_PRIVATE_KEY, "ec"), 0);
}

/* In the configuration, which is put right by the next scene_configure(). */
static void
move_store(const char *to)
{
	char text[8192], *place;
	size_t n;
	FILE *f = fopen(scene.config, "re");

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	place = strstr(text, "web.db");
	assert_non_null(place);
	f = fopen(scene.config, "we");
	assert_non_null(f);
	assert_true(
	    fprintf(f, "%.*s%s%s", (int)(place - text), text, to, place) > 0);
	assert_int_equal(fclose(f), 0);
}

/* No object is meant, whose handle could be wrong. */
static void
store_without_a_directory(void **state)
{
	CK_UTF8CHAR so[] = SO_PIN, label[32];
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	scene_prepare(&scene, &(struct scene_options){ 0 });
	move_store("gone/");
	assert_ok(C_Initialize(NULL));
	memset(label, ' ', sizeof(label));
	memcpy(label, "web", 3);
	assert_rv(CKR_DEVICE_ERROR,
	    C_InitToken(the_slot(), so, sizeof(so) - 1, label));
	assert_true(scene_logged(&scene, "/gone: directory: expected"));
	s = open_session(RW);
	assert_rv(CKR_DEVICE_ERROR, log_in(s, CKU_SO, SO_PIN));
	assert_rv(CKR_DEVICE_ERROR, set_pin(s, USER_PIN, "other-pin"));
	assert_ok(C_Finalize(NULL));
	scene_configure(&scene, &(struct scene_options){ 0 });
}

static CK_OBJECT_HANDLE
make_key(CK_SESSION_HANDLE s, CK_ATTRIBUTE_TYPE flag)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
		0x07 };
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, p256, sizeof(p256) },
		{ CKA_VERIFY, &yes, 1 } };
	CK_ATTRIBUTE priv[] = { { CKA_SIGN, &yes, 1 }, { flag, &yes, 1 },
		{ CKA_PRIVATE, &yes, 1 }, { CKA_DERIVE, &yes, 1 } };
	CK_OBJECT_HANDLE a, b;

	assert_ok(C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), pub,
	    NELEMS(pub), priv, NELEMS(priv), &a, &b));
	return b;
}

static void
keys_can_want_a_login_each_time(void **state)
{
	CK_BYTE sig[128], point[65] = { 4 };
	CK_ECDH1_DERIVE_PARAMS p = { CKD_NULL, 0, NULL, 65, point };
	CK_MECHANISM derive = { CKM_ECDH1_DERIVE, &p, sizeof(p) };
	CK_ULONG n = sizeof(sig);
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key, h;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	s = open_session(RW);
	login(s);
	key = make_key(s, CKA_ALWAYS_AUTHENTICATE);
	assert_rv(CKR_USER_NOT_LOGGED_IN, sign(s, key));
	assert_ok(C_SignInit(s, MECH(CKM_ECDSA), key));
	assert_rv(CKR_PIN_INCORRECT, log_in(s, CKU_CONTEXT_SPECIFIC, "wrong"));
	assert_ok(log_in(s, CKU_CONTEXT_SPECIFIC, USER_PIN));
	n = sizeof(sig);
	assert_ok(C_Sign(s, digest, 32, sig, &n));
	/* Once is once. */
	assert_rv(CKR_USER_NOT_LOGGED_IN, sign(s, key));
	assert_rv(CKR_USER_NOT_LOGGED_IN,
	    C_DeriveKey(s, &derive, key, NULL, 0, &h));
}

/* One key is bound by operation where the policy binds by session. */
static void
keys_can_want_an_admission_each_time(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key, other;

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	s = open_session(RW);
	login(s);
	other = find(s, CKO_PRIVATE_KEY, "ec");
	key = make_key(s, CKA_CVM_BIND_OPERATION);
	assert_ok(sign(s, key));
	machine_ctl(&scene.m, "set debug on");
	assert_ok(sign(s, other));
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, sign(s, key));
	/* The denial is the session's, too. */
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, sign(s, other));
	scene_allow(&scene);
	assert_ok(sign(s, other));
}

/* PKCS#11 v3.0 section 5.6.9: what was begun ends with the login. */
static void
operation_outlives_its_login(void **state)
{
	static const char *const logins[] = { "pin", "attestation" };
	CK_BYTE sig[128];
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	for (int i = 0; i < 4; i++) {
		const char *pin = i % 2 == 0 ? USER_PIN : NULL;
		CK_ULONG n = sizeof(sig);
		CK_OBJECT_HANDLE key;

		begin(&(struct scene_options){ .login = logins[i % 2] });
		s = open_session(RW);
		if (i < 2 || pin != NULL)
			assert_ok(log_in(s, CKU_USER, pin));
		key = find(s, CKO_PRIVATE_KEY, "ec");
		assert_ok(C_SignInit(s, MECH(CKM_ECDSA), key));
		if (i != 3)
			assert_ok(C_Logout(s));
		/* Who comes next is another, be it the same user. */
		assert_ok(
		    log_in(s, i < 2 ? CKU_USER : CKU_SO, i < 2 ? pin : SO_PIN));
		assert_rv(CKR_USER_NOT_LOGGED_IN,
		    C_Sign(s, digest, sizeof(digest), sig, &n));
		assert_rv(CKR_OPERATION_NOT_INITIALIZED,
		    C_Sign(s, digest, sizeof(digest), sig, &n));
		if (i < 2)
			assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
		assert_ok(C_Finalize(NULL));
	}
}

struct comer {
	CK_SESSION_HANDLE s;
	CK_USER_TYPE type;
	const char *pin;
	CK_RV rv;
};

static void *
come(void *arg)
{
	struct comer *c = arg;

	c->rv = log_in(c->s, c->type, c->pin);
	return NULL;
}

static void
user_and_so_log_in_at_once(void **state)
{
	struct comer c[2] = { { .type = CKU_USER, .pin = USER_PIN },
		{ .type = CKU_SO, .pin = SO_PIN } };
	pthread_t t[2];

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	c[0].s = open_session(RW);
	c[1].s = open_session(RW);
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 2; k++)
			assert_int_equal(pthread_create(&t[k], NULL, come,
					     &c[k]),
			    0);
		for (int k = 0; k < 2; k++)
			assert_int_equal(pthread_join(t[k], NULL), 0);
		assert_int_not_equal(c[0].rv, c[1].rv);
		assert_rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
		    c[0].rv == CKR_OK ? c[1].rv : c[0].rv);
		assert_ok(C_Logout(c[0].s));
	}
}

/* Elsewhere it would be without its login. */
static void
key_is_wrapped_without_its_login(void **state)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
		0x07 };
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, p256, sizeof(p256) } };
	CK_ATTRIBUTE priv[] = { { CKA_EXTRACTABLE, &yes, 1 },
		{ CKA_PRIVATE, &yes, 1 },
		{ CKA_ALWAYS_AUTHENTICATE, &yes, 1 } };
	CK_BYTE out[512];

	(void)state;
	NEEDS_MACHINE();
	begin(&(struct scene_options){ 0 });
	for (CK_ULONG n = 2; n <= 3; n++) {
		CK_SESSION_HANDLE s = open_session(RW);
		CK_ULONG len = sizeof(out);
		CK_OBJECT_HANDLE h, key;

		login(s);
		assert_ok(C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), pub,
		    1, priv, n, &h, &key));
		assert_rv(n == 2 ? CKR_OK : CKR_USER_NOT_LOGGED_IN,
		    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_KWP),
			find(s, CKO_SECRET_KEY, "aes"), key, out, &len));
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(login_rules),
		TEST(logout_hides_private_objects),
		TEST(logout_destroys_private_session_objects),
		TEST(wrong_pins_lock),
		TEST(wrong_pins_of_many_processes_add_up),
		TEST(tries_that_are_killed_count),
		TEST(pins_are_changed),
		TEST(pin_file_serves_the_unattended),
		TEST(initialising_again_needs_the_so),
		TEST(store_without_a_directory),
		TEST(keys_can_want_a_login_each_time),
		TEST(keys_can_want_an_admission_each_time),
		TEST(operation_outlives_its_login),
		TEST(user_and_so_log_in_at_once),
		TEST(key_is_wrapped_without_its_login),
		TEST(attestation_is_a_login),
	};

	return cmocka_run_group_tests_name("login", tests, start, stop);
}
