/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/token-fixture.h"

#include <sys/wait.h>

static struct token_info
info(struct fixture *f)
{
	struct token_info i;

	token_get_info(f->token, &i);
	return i;
}

static void
no_store_is_uninitialised(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_new(&f, LOGIN_PIN);
	assert_false(info(&f).initialised);
	assert_false(info(&f).error_state);
	assert_true(info(&f).writable);
	assert_string_equal(info(&f).serial, "");
	refused(CVM_E_IO, unseal(&f, why));
	refused(CVM_E_IO, login_so(&f, SO_PIN, why));
	assert_int_equal(access(f.path, F_OK), -1);
}

static void
init_and_unseal(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct token_info i;
	struct stat st;

	(void)state;
	fixture_new(&f, LOGIN_PIN);
	ok(try_init(&f, SO_PIN, NULL, why));
	i = info(&f);
	assert_true(i.initialised && i.writable && !i.user_pin_set);
	assert_string_equal(i.label, "web keys");
	assert_int_equal(strspn(i.serial, "0123456789abcdef"), 16);
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_false(token_unsealed(f.token));
	ok(unseal(&f, why));
	ok(unseal(&f, why));
	assert_true(token_unsealed(f.token));
	assert_false(token_user_logged_in(f.token));
	fixture_restart(&f);
	assert_string_equal(info(&f).serial, i.serial);
	ok(unseal(&f, why));
}

static void
label_that_breaks_uris(void **state)
{
	static const char *const bad[] = { "", "    ", "a:b", "tab\t",
		"\xc3\xa4", "0123456789012345678901234567890123" };
	char label[CONFIG_LABEL_MAX + 1];

	(void)state;
	ok(meta_label("web", label, why));
	ok(meta_label("01234567890123456789012345678901", label, why));
	/* As C_InitToken gives it: padded with blanks. */
	ok(meta_label("web keys                        ", label, why));
	assert_string_equal(label, "web keys");
	for (size_t i = 0; i < NELEMS(bad); i++)
		refused(CVM_E_INVAL, meta_label(bad[i], label, why));
}

static void
policy_without_tpm(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_new(&f, LOGIN_PIN);
	f.policy.has_tpm = false;
	refused(CVM_E_UNSUPPORTED, try_init(&f, SO_PIN, NULL, why));
	assert_int_equal(access(f.path, F_OK), -1);
}

static void
init_with_bad_pin(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	char big[300];

	(void)state;
	memset(big, 'x', sizeof(big));
	big[256] = '\0';
	fixture_new(&f, LOGIN_PIN);
	refused(CVM_E_PIN_LEN, try_init(&f, "123", NULL, why));
	refused(CVM_E_PIN_LEN, try_init(&f, "", NULL, why));
	refused(CVM_E_PIN_LEN, try_init(&f, big, NULL, why));
	refused(CVM_E_PIN_INVALID, try_init(&f, "abc\x01", NULL, why));
	refused(CVM_E_PIN_INVALID, try_init(&f, "abc\x80", NULL, why));
	refused(CVM_E_PIN_INVALID, try_init(&f, "abcd\xc3", NULL, why));
	refused(CVM_E_PIN_INVALID, try_init(&f, "ab\xc0\xaf", NULL, why));
	refused(CVM_E_PIN_INVALID, try_init(&f, "a\xed\xa0\x80", NULL, why));
	ok(pin_check(text("pass w\xc3\xb6rt \xe2\x82\xac \xf0\x9f\x94\x91"),
	    why));
	assert_false(info(&f).initialised);
}

/* TPM gone while initialising: nothing appears, nothing is left behind. */
static void
init_interrupted(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	char cmd[128];

	(void)state;
	fixture_new(&f, LOGIN_PIN);
	f.vtpm.unreachable = true;
	refused(CVM_E_UNREACHABLE, try_init(&f, SO_PIN, NULL, why));
	(void)snprintf(cmd, sizeof(cmd), "test -z \"$(ls -A %s)\"", f.dir);
	assert_int_equal(system(cmd), 0);
}

static void
init_twice_needs_so_pin(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	char serial[TOKEN_SERIAL_LEN + 1], old[128];

	(void)state;
	fixture_new(&f, LOGIN_PIN);
	ok(try_init(&f, SO_PIN, NULL, why));
	strcpy(serial, info(&f).serial);
	refused(CVM_E_PIN_INCORRECT, try_init(&f, "87654321", NULL, why));
	assert_string_equal(info(&f).serial, serial);
	assert_int_equal(info(&f).so_tries_left, PIN_TRIES - 1);
	ok(unseal(&f, why));
	insert_object(&f, 1, "k", false);
	ok(try_init(&f, SO_PIN, NULL, why));
	assert_string_not_equal(info(&f).serial, serial);
	assert_int_equal(info(&f).so_tries_left, PIN_TRIES);
	(void)snprintf(old, sizeof(old), "%s.old", f.path);
	assert_int_equal(access(old, F_OK), 0);
	/* Nothing of the old token stays open. */
	assert_false(token_unsealed(f.token));
	ok(unseal(&f, why));
	{
		struct store_object o = { 0 };
		uint8_t id[STORE_ID_LEN];

		memset(id, 1, sizeof(id));
		refused(CVM_E_NOT_FOUND, record_read(f.token, id, &o, why));
	}
}

/* Another process replaces the token under our feet. */
static void
token_replaced_by_another_process(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct token *mine;
	char serial[TOKEN_SERIAL_LEN + 1];

	(void)state;
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	strcpy(serial, info(&f).serial);
	mine = f.token;
	f.token = NULL;
	ok(token_new(&f.cfg, &f.issuer, &f.token));
	ok(try_init(&f, SO_PIN, NULL, why));
	token_freep(&f.token);
	f.token = mine;
	assert_string_not_equal(info(&f).serial, serial);
	assert_false(token_unsealed(f.token));
	assert_false(token_user_logged_in(f.token));
	refused(CVM_E_PIN_UNSET, login_user(&f, USER_PIN, why));
	ok(unseal(&f, why));
}

static void
no_permit_no_key(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct permit_issuer other = { 0 };

	(void)state;
	fixture_ready(&f);
	permit_revoke_all(&f.issuer);
	refused(CVM_E_PERMIT, unseal(&f, why));
	refused(CVM_E_PERMIT, login_user(&f, USER_PIN, why));
	refused(CVM_E_PERMIT, login_so(&f, SO_PIN, why));
	refused(CVM_E_PERMIT,
	    token_init_pin(f.token, &f.permit, text(USER_PIN), &f.policy,
		&f.vtpm, why));
	refused(CVM_E_PERMIT,
	    token_set_pin(f.token, NULL, false, text(USER_PIN), text("other"),
		&f.policy, &f.vtpm, why));
	permit_issue(&other, 0, boottime_ns(), 300, &f.permit);
	refused(CVM_E_PERMIT, unseal(&f, why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
	new_permit(&f);
	ok(unseal(&f, why));
	/* Even with the key open, a login needs its own permit. */
	permit_revoke_all(&f.issuer);
	refused(CVM_E_PERMIT, login_user(&f, USER_PIN, why));
}

static void
login_and_wipe(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *m = NULL;
	uint8_t id[STORE_ID_LEN];

	(void)state;
	memset(id, 1, sizeof(id));
	fixture_ready(&f);
	assert_true(info(&f).user_pin_set);
	ok(login_user(&f, USER_PIN, why));
	insert_object(&f, 1, "material", true);
	ok(record_open_material(f.token, id, &m, why));
	assert_true(span_equal(secret_span(m), text("material")));
	secret_freep(&m);
	permit_revoke_all(&f.issuer);
	token_wipe(f.token);
	assert_false(token_unsealed(f.token));
	assert_true(token_user_logged_in(f.token));
	refused(CVM_E_SEALED, record_open_material(f.token, id, &m, why));
	new_permit(&f);
	ok(unseal(&f, why)); /* the login comes back with the admission */
	ok(record_open_material(f.token, id, &m, why));
	token_logout(f.token);
	secret_freep(&m);
	refused(CVM_E_SEALED, record_open_material(f.token, id, &m, why));
	ok(unseal(&f, why));
	refused(CVM_E_SEALED, record_open_material(f.token, id, &m, why));
}

static void
pin_wrong_ten_times(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	for (uint32_t i = 1; i <= PIN_TRIES; i++) {
		refused(CVM_E_PIN_INCORRECT, login_user(&f, "wrong", why));
		assert_int_equal(info(&f).user_tries_left, PIN_TRIES - i);
	}
	refused(CVM_E_PIN_LOCKED, login_user(&f, USER_PIN, why));
	refused(CVM_E_PIN_LOCKED, login_user(&f, "wrong", why));
	fixture_restart(&f);
	refused(CVM_E_PIN_LOCKED, login_user(&f, USER_PIN, why));
	/* The SO has another count, and clears this one. */
	ok(login_so(&f, SO_PIN, why));
	ok(token_init_pin(f.token, &f.permit, text("fresh"), &f.policy, &f.vtpm,
	    why));
	refused(CVM_E_PIN_INCORRECT, login_user(&f, USER_PIN, why));
	ok(login_user(&f, "fresh", why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
}

static void
success_clears_the_count(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	refused(CVM_E_PIN_INCORRECT, login_user(&f, "wrong", why));
	refused(CVM_E_PIN_INCORRECT, login_user(&f, "wrong", why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES - 2);
	ok(login_user(&f, USER_PIN, why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
}

/* What is no wrong PIN takes no try. */
static void
try_lost_to_pcrs_or_tpm(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	ok(unseal(&f, why));
	f.vtpm.pcrs.value[7][0] ^= 1;
	refused(CVM_E_SEALED, login_user(&f, USER_PIN, why));
	refused(CVM_E_SEALED, login_user(&f, "wrong", why));
	f.vtpm.pcrs.value[7][0] ^= 1;
	f.vtpm.unreachable = true;
	refused(CVM_E_UNREACHABLE, login_user(&f, USER_PIN, why));
	f.vtpm.unreachable = false;
	refused(CVM_E_PIN_INCORRECT, login_user(&f, "ab", why));
	refused(CVM_E_PIN_INCORRECT, login_user(&f, "", why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
	f.vtpm.seed = 2;
	refused(CVM_E_SEALED, login_user(&f, USER_PIN, why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
}

static void
pin_of_other_purpose(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	refused(CVM_E_PIN_INCORRECT, login_user(&f, SO_PIN, why));
	refused(CVM_E_PIN_INCORRECT, login_so(&f, USER_PIN, why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES - 1);
	assert_int_equal(info(&f).so_tries_left, PIN_TRIES - 1);
}

static void
so_is_not_the_user(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *m = NULL;
	uint8_t id[STORE_ID_LEN];

	(void)state;
	memset(id, 1, sizeof(id));
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	insert_object(&f, 1, "material", true);
	token_logout(f.token);
	ok(login_so(&f, SO_PIN, why));
	assert_true(token_so_logged_in(f.token));
	assert_false(token_user_logged_in(f.token));
	refused(CVM_E_SEALED, record_open_material(f.token, id, &m, why));
}

static void
init_pin_without_so(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	refused(CVM_E_NOT_LOGGED_IN,
	    token_init_pin(f.token, &f.permit, text("other"), &f.policy,
		&f.vtpm, why));
	ok(login_user(&f, USER_PIN, why));
	refused(CVM_E_NOT_LOGGED_IN,
	    token_init_pin(f.token, &f.permit, text("other"), &f.policy,
		&f.vtpm, why));
	token_logout(f.token);
	ok(login_so(&f, SO_PIN, why));
	refused(CVM_E_PIN_LEN,
	    token_init_pin(f.token, &f.permit, text("o"), &f.policy, &f.vtpm,
		why));
	/* A denial in between takes the key and leaves the login. */
	token_wipe(f.token);
	ok(token_init_pin(f.token, &f.permit, text("other"), &f.policy, &f.vtpm,
	    why));
	ok(login_user(&f, "other", why));
}

static void
set_pin(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	refused(CVM_E_PIN_INCORRECT,
	    token_set_pin(f.token, &f.permit, false, text("wrong"),
		text("newer"), &f.policy, &f.vtpm, why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES - 1);
	refused(CVM_E_PIN_LEN,
	    token_set_pin(f.token, &f.permit, false, text(USER_PIN), text("n"),
		&f.policy, &f.vtpm, why));
	ok(token_set_pin(f.token, &f.permit, false, text(USER_PIN),
	    text("newer"), &f.policy, &f.vtpm, why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
	/* The login goes on, also through a denial. */
	token_wipe(f.token);
	ok(unseal(&f, why));
	assert_true(token_user_logged_in(f.token));
	ok(token_verify_user(f.token, text("newer"), why));
	refused(CVM_E_PIN_INCORRECT,
	    token_verify_user(f.token, text(USER_PIN), why));
	fixture_restart(&f);
	refused(CVM_E_PIN_INCORRECT, login_user(&f, USER_PIN, why));
	ok(login_user(&f, "newer", why));
	ok(token_set_pin(f.token, &f.permit, true, text(SO_PIN), text("so-new"),
	    &f.policy, &f.vtpm, why));
	refused(CVM_E_PIN_INCORRECT, login_so(&f, SO_PIN, why));
	ok(login_so(&f, "so-new", why));
}

/* Another process changed the PIN while this one was denied. */
static void
login_outlives_its_pin(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct token *mine;

	(void)state;
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	mine = f.token;
	f.token = NULL;
	ok(token_new(&f.cfg, &f.issuer, &f.token));
	ok(token_set_pin(f.token, &f.permit, false, text(USER_PIN),
	    text("newer"), &f.policy, &f.vtpm, why));
	token_freep(&f.token);
	f.token = mine;
	token_wipe(f.token);
	ok(unseal(&f, why));
	assert_false(token_user_logged_in(f.token));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
}

static void
verify_user_counts(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	refused(CVM_E_NOT_LOGGED_IN,
	    token_verify_user(f.token, text(USER_PIN), why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
	ok(login_user(&f, USER_PIN, why));
	for (uint32_t i = 0; i < PIN_TRIES; i++)
		refused(CVM_E_PIN_INCORRECT,
		    token_verify_user(f.token, text("wrong"), why));
	refused(CVM_E_PIN_LOCKED,
	    token_verify_user(f.token, text(USER_PIN), why));
}

static void
login_by_attestation(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_new(&f, LOGIN_ATTESTATION);
	ok(try_init(&f, SO_PIN, NULL, why));
	ok(unseal(&f, why));
	assert_true(token_user_logged_in(f.token));
	ok(token_verify_user(f.token, text(""), why));
	token_wipe(f.token);
	assert_false(token_user_logged_in(f.token));
	ok(login_user(&f, "", why));
	assert_true(token_user_logged_in(f.token));
	refused(CVM_E_PIN_UNSET, login_user(&f, "1234", why));
	/* The seal without PIN is not for a token that asks for PINs. */
	f.cfg.login = LOGIN_PIN;
	fixture_restart(&f);
	ok(unseal(&f, why));
	assert_false(token_user_logged_in(f.token));
	refused(CVM_E_PIN_UNSET, login_user(&f, "", why));
}

/* Editing the configuration does not open a token with a PIN. */
static void
config_says_attestation(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	f.cfg.login = LOGIN_ATTESTATION;
	fixture_restart(&f);
	refused(CVM_E_SEALED, unseal(&f, why));
	refused(CVM_E_SEALED, login_user(&f, "", why));
	assert_false(token_user_logged_in(f.token));
	ok(login_user(&f, USER_PIN, why));
}

static void
pcr_differs(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct why w = { 0 };
	unsigned unseals;

	(void)state;
	fixture_ready(&f);
	unseals = f.vtpm.unseals;
	f.vtpm.pcrs.value[7][5] ^= 0x80;
	assert_int_equal(unseal(&f, &w), CVM_E_SEALED);
	assert_string_equal(w.field, "PCR 7");
	assert_int_equal(strncmp(w.expected, "171717", 6), 0);
	assert_int_equal(strncmp(w.got,
			     "1717171717"
			     "97",
			     12),
	    0);
	assert_non_null(strstr(w.where, "current"));
	assert_int_equal(f.vtpm.unseals, unseals); /* none was tried */
	set_pcrs(f.vtpm.pcrs.value, 0xffffff, 0x50);
	ok(unseal(&f, why)); /* the set "next" */
	f.vtpm.pcrs.value[4][0] ^= 1;
	token_wipe(f.token);
	assert_int_equal(unseal(&f, &w), CVM_E_SEALED);
	assert_string_equal(w.field, "PCR 4");
	assert_non_null(strstr(w.where, "next"));
}

static void
policy_edited(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct why w = { 0 };

	(void)state;
	fixture_ready(&f);
	f.policy.digest[31] ^= 1;
	assert_int_equal(unseal(&f, &w), CVM_E_SEALED);
	assert_string_equal(w.field, "policy digest");
	assert_non_null(strstr(w.hint, "cvm-token reseal"));
	refused(CVM_E_SEALED, login_user(&f, USER_PIN, why));
	assert_int_equal(info(&f).user_tries_left, PIN_TRIES);
	f.policy.digest[31] ^= 1;
	ok(unseal(&f, why));
}

static void
other_vtpm(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	f.vtpm.seed = 9;
	refused(CVM_E_SEALED, unseal(&f, why));
	f.vtpm.seed = 1;
	f.vtpm.unreachable = true;
	refused(CVM_E_UNREACHABLE, unseal(&f, why));
	f.vtpm.unreachable = false;
	ok(unseal(&f, why));
}

/* A denial while a key is being opened: the key is not kept. */
static void
key_opened_across_a_denial(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *key = secret_new(TOKEN_KEY_LEN);

	(void)state;
	fixture_ready(&f);
	permit_revoke_all(&f.issuer);
	token_wipe(f.token);
	refused(CVM_E_PERMIT,
	    token_keep(f.token, &f.permit, KEY_TOKEN, &key, NULL, NULL, why));
	assert_false(token_unsealed(f.token));
}

/* A logout while an admission brings the login back: it stays out. */
static void
login_back_after_a_logout(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *key = secret_new(TOKEN_KEY_LEN);
	uint64_t login;

	(void)state;
	fixture_ready(&f);
	ok(unseal(&f, why));
	ok(login_user(&f, USER_PIN, why));
	permit_revoke_all(&f.issuer);
	token_wipe(f.token);
	new_permit(&f);
	login = f.token->logouts;
	token_logout(f.token);
	refused(CVM_E_NOT_LOGGED_IN,
	    token_keep(f.token, &f.permit, KEY_PRIVATE, &key, NULL, &login,
		why));
	assert_false(token_user_logged_in(f.token));
	ok(login_user(&f, USER_PIN, why));
	assert_true(token_user_logged_in(f.token));
}

struct user {
	pthread_t thread;
	struct fixture *f;
	int err;
};

static void *
log_in(void *arg)
{
	struct user *u = arg;
	struct why why = { 0 };

	u->err = login_user(u->f, USER_PIN, &why);
	return NULL;
}

/* The workers of a server log in at once, more of them than there are tries. */
static void
right_pins_lock_the_token(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct user u[PIN_TRIES + 4];
	struct token_info info;

	(void)state;
	fixture_ready(&f);
	ok(unseal(&f, why));
	for (size_t i = 0; i < NELEMS(u); i++) {
		u[i].f = &f;
		assert_int_equal(pthread_create(&u[i].thread, NULL, log_in,
				     &u[i]),
		    0);
	}
	for (size_t i = 0; i < NELEMS(u); i++) {
		assert_int_equal(pthread_join(u[i].thread, NULL), 0);
		assert_int_equal(u[i].err, CVM_OK);
	}
	token_get_info(f.token, &info);
	assert_int_equal(info.user_tries_left, PIN_TRIES);
}

static void
recovery_after_everything_changed(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *code = NULL, *wrong = NULL;
	_cleanup_(secret_freep) struct secret *typed = NULL, *m = NULL;
	struct token_reseal in;
	char typing[RECOVERY_TEXT_MAX];
	uint8_t id[STORE_ID_LEN];

	(void)state;
	memset(id, 1, sizeof(id));
	fixture_new(&f, LOGIN_PIN);
	ok(try_init(&f, SO_PIN, &code, why));
	ok(recovery_encode(code, typing, sizeof(typing)));
	ok(recovery_decode(typing, &typed, why));
	wrong = secret_copy(secret_span(code));
	secret_data(wrong)[0] ^= 1;
	f.policy.digest[0] ^= 1;
	f.vtpm.seed = 7;
	set_pcrs(f.policy.tpm.pcr_sets[0].value, 0x890, 0xa0);
	set_pcrs(f.vtpm.pcrs.value, 0xffffff, 0xa0);
	refused(CVM_E_SEALED, unseal(&f, why));
	refused(CVM_E_SEALED, token_unseal_recovery(f.token, wrong, why));
	ok(token_unseal_recovery(f.token, typed, why));
	insert_object(&f, 1, "material", true);
	in = (struct token_reseal){ &f.policy, &f.vtpm, text(USER_PIN),
		text("newso") };
	ok(token_reseal(f.token, &f.permit, &in, why));
	fixture_restart(&f);
	ok(login_user(&f, USER_PIN, why));
	ok(record_open_material(f.token, id, &m, why));
	refused(CVM_E_PIN_INCORRECT, login_so(&f, SO_PIN, why));
	ok(login_so(&f, "newso", why));
	/* The code still opens. */
	token_wipe(f.token);
	ok(token_unseal_recovery(f.token, code, why));
}

static void
no_recovery_was_made(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *code = NULL, *wrong = NULL;

	(void)state;
	fixture_ready(&f);
	wrong = secret_new(RECOVERY_CODE_LEN);
	refused(CVM_E_NOT_FOUND, token_unseal_recovery(f.token, wrong, why));
	refused(CVM_E_SEALED,
	    token_seal_add_recovery(f.token, &f.permit, &f.policy, &code, why));
	ok(login_user(&f, USER_PIN, why));
	ok(token_seal_add_recovery(f.token, &f.permit, &f.policy, &code, why));
	fixture_restart(&f);
	ok(token_unseal_recovery(f.token, code, why));
}

static void
reseal_without_keys(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct token_reseal in;

	(void)state;
	fixture_ready(&f);
	in = (struct token_reseal){ &f.policy, &f.vtpm, text(USER_PIN),
		text(SO_PIN) };
	refused(CVM_E_SEALED, token_reseal(f.token, &f.permit, &in, why));
	ok(unseal(&f, why));
	refused(CVM_E_SEALED, token_reseal(f.token, &f.permit, &in, why));
	ok(login_user(&f, USER_PIN, why));
	f.policy.digest[0] ^= 1;
	in.user_pin = text("ab");
	refused(CVM_E_PIN_LEN, token_reseal(f.token, &f.permit, &in, why));
	in.user_pin = text("");
	ok(token_reseal(f.token, &f.permit, &in, why));
	assert_false(info(&f).user_pin_set); /* dropped, as asked */
	fixture_restart(&f);
	ok(unseal(&f, why));
	refused(CVM_E_PIN_UNSET, login_user(&f, USER_PIN, why));
	ok(login_so(&f, SO_PIN, why));
}

static void
add_and_remove_a_set(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };
	struct pcr_set *third;
	size_t n = 0;

	(void)state;
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	third = &f.policy.tpm.pcr_sets[2];
	f.policy.tpm.n_pcr_sets = 3;
	*third = f.policy.tpm.pcr_sets[0];
	strcpy(third->label, "third");
	set_pcrs(third->value, third->mask, 0x90);
	ok(token_seal_add_set(f.token, &f.permit, &f.policy, third, &f.vtpm,
	    text(USER_PIN), text(""), why));
	fixture_restart(&f);
	set_pcrs(f.vtpm.pcrs.value, 0xffffff, 0x90);
	ok(login_user(&f, USER_PIN, why));
	ok(token_seals(f.token, &l, why));
	for (size_t i = 0; i < l.n; i++)
		if (strcmp(l.v[i].label, "third") != 0) {
			ok(token_seal_remove(f.token, &f.permit, l.v[i].id,
			    why));
			n++;
		}
	assert_int_equal(n, 6);
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].purpose == SEAL_TOKEN &&
		    strcmp(l.v[i].label, "third") == 0)
			refused(CVM_E_INVAL,
			    token_seal_remove(f.token, &f.permit, l.v[i].id,
				why));
	refused(CVM_E_NOT_FOUND,
	    token_seal_remove(f.token, &f.permit, l.v[0].id, why));
	fixture_restart(&f);
	ok(login_user(&f, USER_PIN, why));
	set_pcrs(f.vtpm.pcrs.value, 0xffffff, 0x10);
	token_wipe(f.token);
	refused(CVM_E_SEALED, unseal(&f, why));
}

/* A set that was removed on purpose does not come back with a new PIN. */
static void
removed_set_comes_back(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };

	(void)state;
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	ok(token_seals(f.token, &l, why));
	for (size_t i = 0; i < l.n; i++)
		if (strcmp(l.v[i].label, "next") == 0)
			ok(token_seal_remove(f.token, &f.permit, l.v[i].id,
			    why));
	ok(token_set_pin(f.token, &f.permit, false, text(USER_PIN),
	    text("newer"), &f.policy, &f.vtpm, why));
	store_seals_clear(&l);
	ok(token_seals(f.token, &l, why));
	for (size_t i = 0; i < l.n; i++)
		assert_string_equal(l.v[i].label, "current");
}

static size_t
remove_set(struct fixture *f, const char *label)
{
	size_t n = 0;

	ok(token_seal_remove_set(f->token, &f->permit, label, &n, why));
	return n;
}

static void
sets_removed_that_are_not_asked_for(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *code = NULL;
	size_t n = 7;

	(void)state;
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	refused(CVM_E_NOT_FOUND,
	    token_seal_remove_set(f.token, &f.permit, "nex", &n, why));
	refused(CVM_E_NOT_FOUND,
	    token_seal_remove_set(f.token, &f.permit, "next2", &n, why));
	refused(CVM_E_NOT_FOUND,
	    token_seal_remove_set(f.token, &f.permit, "", &n, why));
	assert_int_equal(remove_set(&f, "next"), 3);
	refused(CVM_E_NOT_FOUND,
	    token_seal_remove_set(f.token, &f.permit, "next", &n, why));
	/* Nothing would open the token; and nothing is gone. */
	refused(CVM_E_INVAL,
	    token_seal_remove_set(f.token, &f.permit, "current", &n, why));
	assert_int_equal(n, 7);
	fixture_restart(&f);
	ok(login_user(&f, USER_PIN, why));
	token_logout(f.token);
	ok(login_so(&f, SO_PIN, why));
	ok(token_seal_add_recovery(f.token, &f.permit, &f.policy, &code, why));
	assert_int_equal(remove_set(&f, "current"), 3);
	fixture_restart(&f);
	refused(CVM_E_SEALED, unseal(&f, why));
	ok(token_unseal_recovery(f.token, code, why));
}

/* What the last seal of the private key is gone with is gone for ever. */
static void
private_keys_sealed_no_more(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };
	bool so = false;
	unsigned n = 0;

	(void)state;
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	assert_int_equal(remove_set(&f, "next"), 3);
	ok(token_seals(f.token, &l, why));
	for (size_t i = 0; i < l.n; i++) {
		if (l.v[i].purpose == SEAL_TOKEN)
			continue;
		so = l.v[i].purpose == SEAL_SO;
		if (n++ == 0)
			ok(token_seal_remove(f.token, &f.permit, l.v[i].id,
			    why));
		else
			refused(CVM_E_INVAL,
			    token_seal_remove(f.token, &f.permit, l.v[i].id,
				why));
	}
	assert_int_equal(n, 2);
	fixture_restart(&f);
	if (so)
		ok(login_so(&f, SO_PIN, why));
	else
		ok(login_user(&f, USER_PIN, why));
}

/* ---- Two processes ---- */

static int
child_guesses(struct fixture *f, int n)
{
	int wrong = 0;

	fixture_restart(f);
	for (int i = 0; i < n; i++) {
		int err = login_user(f, "wrong", NULL);

		if (err == CVM_E_PIN_INCORRECT)
			wrong++;
		else if (err != CVM_E_PIN_LOCKED)
			return 100;
	}
	return wrong;
}

static void
two_processes_guess(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	pid_t pids[2];
	int total = 0;

	(void)state;
	fixture_ready(&f);
	for (size_t i = 0; i < 2; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			new_permit(&f);
			_exit(child_guesses(&f, 8));
		}
	}
	for (size_t i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		assert_true(WEXITSTATUS(status) <= 8);
		total += WEXITSTATUS(status);
	}
	assert_int_equal(total, PIN_TRIES);
	refused(CVM_E_PIN_LOCKED, login_user(&f, USER_PIN, why));
}

static void
fork_keeps_keys_and_parent(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	uint8_t id[STORE_ID_LEN];
	pid_t pid;
	int status;

	(void)state;
	memset(id, 1, sizeof(id));
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	insert_object(&f, 1, "material", true);
	pid = fork();
	if (pid == 0) {
		_cleanup_(secret_freep) struct secret *m = NULL;
		struct store_object o = { 0 };

		/* Before it knows of the fork, nothing old is used. */
		if (record_read(f.token, id, &o, NULL) == CVM_OK)
			_exit(1);
		token_after_fork(f.token);
		if (unseal(&f, NULL) != CVM_E_PERMIT)
			_exit(2); /* the parent's permit */
		new_permit(&f);
		if (unseal(&f, NULL) != CVM_OK ||
		    record_open_material(f.token, id, &m, NULL) != CVM_OK)
			_exit(3);
		insert_object(&f, 2, "child", true);
		token_freep(&f.token);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	{
		struct store_object o = { 0 };
		uint64_t v;

		memset(id, 2, sizeof(id));
		ok(record_read(f.token, id, &o, why));
		store_object_clear(&o);
		ok(records_version(f.token, &v, why));
	}
	insert_object(&f, 3, "parent", true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_store_is_uninitialised),
		cmocka_unit_test(init_and_unseal),
		cmocka_unit_test(label_that_breaks_uris),
		cmocka_unit_test(policy_without_tpm),
		cmocka_unit_test(init_with_bad_pin),
		cmocka_unit_test(init_interrupted),
		cmocka_unit_test(init_twice_needs_so_pin),
		cmocka_unit_test(token_replaced_by_another_process),
		cmocka_unit_test(no_permit_no_key),
		cmocka_unit_test(login_and_wipe),
		cmocka_unit_test(pin_wrong_ten_times),
		cmocka_unit_test(success_clears_the_count),
		cmocka_unit_test(try_lost_to_pcrs_or_tpm),
		cmocka_unit_test(pin_of_other_purpose),
		cmocka_unit_test(so_is_not_the_user),
		cmocka_unit_test(init_pin_without_so),
		cmocka_unit_test(set_pin),
		cmocka_unit_test(login_outlives_its_pin),
		cmocka_unit_test(verify_user_counts),
		cmocka_unit_test(login_by_attestation),
		cmocka_unit_test(config_says_attestation),
		cmocka_unit_test(pcr_differs),
		cmocka_unit_test(policy_edited),
		cmocka_unit_test(other_vtpm),
		cmocka_unit_test(key_opened_across_a_denial),
		cmocka_unit_test(login_back_after_a_logout),
		cmocka_unit_test(right_pins_lock_the_token),
		cmocka_unit_test(recovery_after_everything_changed),
		cmocka_unit_test(no_recovery_was_made),
		cmocka_unit_test(reseal_without_keys),
		cmocka_unit_test(add_and_remove_a_set),
		cmocka_unit_test(removed_set_comes_back),
		cmocka_unit_test(sets_removed_that_are_not_asked_for),
		cmocka_unit_test(private_keys_sealed_no_more),
		cmocka_unit_test(two_processes_guess),
		cmocka_unit_test(fork_keeps_keys_and_parent),
	};

	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
