/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/token-fixture.h"

/* What cvm-token reseal does between an admission and its message. */
static int
as_sealed(struct fixture *f, const char *pin, const char *so_pin,
    struct why *why)
{
	const struct token_reseal in = {
		.policy = &f->policy,
		.vtpm = &f->vtpm,
		.user_pin = text(pin),
		.so_pin = text(so_pin),
	};
	int err = token_unseal_as_sealed(f->token, &f->permit, &in, why);

	return err == CVM_OK ? token_reseal(f->token, &f->permit, &in, why) :
			       err;
}

static void
edit_policy(struct fixture *f)
{
	f->policy.digest[0] ^= 1;
	fixture_restart(f);
}

static void
policy_edited_by_one_byte(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	edit_policy(&f);
	refused(CVM_E_SEALED, unseal(&f, why));
	refused(CVM_E_SEALED, login_user(&f, USER_PIN, why));
	refused(CVM_E_SEALED, login_so(&f, SO_PIN, why));
	ok(as_sealed(&f, USER_PIN, SO_PIN, why));
	fixture_restart(&f);
	ok(unseal(&f, why));
	ok(login_user(&f, USER_PIN, why));
	token_logout(f.token);
	ok(login_so(&f, SO_PIN, why));
	/* Under the policy of before, nothing opens any more. */
	edit_policy(&f);
	refused(CVM_E_SEALED, unseal(&f, why));
}

static void
policy_edited_without_pins(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_new(&f, LOGIN_ATTESTATION);
	ok(try_init(&f, SO_PIN, NULL, why));
	edit_policy(&f);
	refused(CVM_E_SEALED, unseal(&f, why));
	ok(as_sealed(&f, "", "", why));
	fixture_restart(&f);
	ok(unseal(&f, why));
	assert_true(token_user_logged_in(f.token));
	refused(CVM_E_PIN_UNSET, login_so(&f, SO_PIN, why));
}

static void
wrong_pin(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct token_info i;

	(void)state;
	fixture_ready(&f);
	edit_policy(&f);
	refused(CVM_E_PIN_INCORRECT, as_sealed(&f, "wrong", SO_PIN, why));
	refused(CVM_E_PIN_INCORRECT, as_sealed(&f, USER_PIN, "wrong", why));
	refused(CVM_E_PIN_INCORRECT, as_sealed(&f, "abc", SO_PIN, why));
	token_get_info(f.token, &i);
	/* "abc" is no PIN, and the right one took the user's count back. */
	assert_int_equal(i.user_tries_left, PIN_TRIES);
	refused(CVM_E_PIN_INCORRECT, as_sealed(&f, "wrong", SO_PIN, why));
	token_get_info(f.token, &i);
	assert_int_equal(i.user_tries_left, PIN_TRIES - 1);
	assert_int_equal(i.so_tries_left, PIN_TRIES - 1);
	/* No seal was changed on the way. */
	fixture_restart(&f);
	refused(CVM_E_SEALED, unseal(&f, why));
	ok(as_sealed(&f, USER_PIN, SO_PIN, why));
}

/* Without either PIN the private key does not open, so nothing is sealed. */
static void
no_pin_given(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	edit_policy(&f);
	refused(CVM_E_SEALED, as_sealed(&f, "", "", why));
	f.policy.digest[0] ^= 1;
	fixture_restart(&f);
	ok(unseal(&f, why));
	ok(login_user(&f, USER_PIN, why));
}

static void
another_machine(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	edit_policy(&f);
	f.vtpm.pcrs.value[4][0] ^= 1;
	refused(CVM_E_SEALED, as_sealed(&f, USER_PIN, SO_PIN, why));
	f.vtpm.pcrs.value[4][0] ^= 1;
	f.vtpm.seed++;
	refused(CVM_E_SEALED, as_sealed(&f, USER_PIN, SO_PIN, why));
	f.vtpm.seed--;
	f.vtpm.unreachable = true;
	refused(CVM_E_UNREACHABLE, as_sealed(&f, USER_PIN, SO_PIN, why));
	f.vtpm.unreachable = false;
	ok(as_sealed(&f, USER_PIN, SO_PIN, why));
}

static void
not_admitted(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	edit_policy(&f);
	permit_revoke_all(&f.issuer);
	refused(CVM_E_PERMIT, as_sealed(&f, USER_PIN, SO_PIN, why));
	new_permit(&f);
	f.policy.has_tpm = false;
	refused(CVM_E_UNSUPPORTED, as_sealed(&f, USER_PIN, SO_PIN, why));
}

/* The digest that a seal records is authenticated with the seal. */
static void
recorded_digest_changed(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	edit_policy(&f);
	token_freep(&f.token);
	/* params: version, flags, bank, mask, then 32 bytes of 0x77. */
	edit(&f,
	    "UPDATE seals SET params = CAST(substr(params, 1, 8) || x'76' || "
	    "substr(params, 10) AS BLOB)");
	ok(token_new(&f.cfg, &f.issuer, &f.token));
	refused(CVM_E_CORRUPT, as_sealed(&f, USER_PIN, SO_PIN, why));
}

/* The user's seals go, the SO's stay, when only the SO's PIN is given. */
static void
so_pin_only(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_ready(&f);
	edit_policy(&f);
	ok(as_sealed(&f, "", SO_PIN, why));
	fixture_restart(&f);
	refused(CVM_E_PIN_UNSET, login_user(&f, USER_PIN, why));
	ok(login_so(&f, SO_PIN, why));
}

static int
init_with(struct fixture *f, const char *user_pin, struct why *why)
{
	const struct token_init in = {
		.label = "web",
		.so_pin = text(SO_PIN),
		.user_pin = text(user_pin),
		.policy = &f->policy,
		.vtpm = &f->vtpm,
	};

	return token_init(f->token, &in, NULL, why);
}

/* Both PINs at once, or no token. */
static void
init_with_bad_user_pin(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	fixture_new(&f, LOGIN_PIN);
	refused(CVM_E_PIN_LEN, init_with(&f, "123", why));
	refused(CVM_E_PIN_INVALID, init_with(&f, "abc\x01", why));
	refused(CVM_E_PIN_INVALID, init_with(&f, "abcd\xc3", why));
	assert_int_equal(access(f.path, F_OK), -1);
	ok(init_with(&f, USER_PIN, why));
	ok(login_user(&f, USER_PIN, why));
	token_logout(f.token);
	refused(CVM_E_PIN_INCORRECT, login_user(&f, SO_PIN, why));
	ok(login_so(&f, SO_PIN, why));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy_edited_by_one_byte),
		cmocka_unit_test(policy_edited_without_pins),
		cmocka_unit_test(wrong_pin),
		cmocka_unit_test(no_pin_given),
		cmocka_unit_test(another_machine),
		cmocka_unit_test(not_admitted),
		cmocka_unit_test(recorded_digest_changed),
		cmocka_unit_test(so_pin_only),
		cmocka_unit_test(init_with_bad_user_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
