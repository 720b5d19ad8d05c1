/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/vtpm-fixture.h"
#include "token/token_impl.h"

#define PCRS 0x0880u /* 7, 11 */

/* A token on a TPM that is not of this test's making. */
struct scene {
	char dir[64], path[96], name[8];
	struct config_token cfg;
	struct policy policy;
	struct permit_issuer issuer;
	struct permit permit;
	struct vtpm *tpm;
	struct token *token;
};

static struct span
text(const char *s)
{
	return span(s, strlen(s));
}

static void
expect(int want, int err, const struct why *why)
{
	if (err == want)
		return;
	say_why(why);
	fail_msg("%d, not %d", err, want);
}

static void
scene_new(struct scene *s, const struct swtpm *sw)
{
	struct pcr_values now;
	struct why why = { 0 };

	memset(s, 0, sizeof(*s));
	strcpy(s->dir, "/tmp/test-token-tpm.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->path, sizeof(s->path), "%s/t.db", s->dir);
	strcpy(s->name, "web");
	s->cfg.name = s->cfg.label = s->cfg.policy = s->name;
	s->cfg.store = s->path;
	s->cfg.store_mode = 0600;
	s->tpm = connect_to(sw->tcti);
	expect(CVM_OK, vtpm_read_pcrs(s->tpm, HASH_SHA256, PCRS, &now, &why),
	    &why);
	s->policy.path = s->name;
	s->policy.has_tpm = true;
	s->policy.tpm.bank = HASH_SHA256;
	s->policy.tpm.n_pcr_sets = 1;
	strcpy(s->policy.tpm.pcr_sets[0].label, "current");
	s->policy.tpm.pcr_sets[0].mask = PCRS;
	memcpy(s->policy.tpm.pcr_sets[0].value, now.value, sizeof(now.value));
	permit_issue(&s->issuer, 0, boottime_ns(), 300, &s->permit);
	assert_int_equal(token_new(&s->cfg, &s->issuer, &s->token), CVM_OK);
}

static void
scene_free(struct scene *s)
{
	char cmd[128];

	if (s->dir[0] == '\0')
		return; /* skipped */
	token_freep(&s->token);
	vtpm_freep(&s->tpm);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", s->dir);
	assert_int_equal(system(cmd), 0);
}

static void
init(struct scene *s)
{
	struct why why = { 0 };
	const struct token_init in = {
		.label = "web",
		.so_pin = text("so-pin"),
		.policy = &s->policy,
		.vtpm = s->tpm,
	};

	expect(CVM_OK, token_init(s->token, &in, NULL, &why), &why);
	expect(CVM_OK,
	    token_login_so(s->token, &s->permit, text("so-pin"), &s->policy,
		s->tpm, &why),
	    &why);
	expect(CVM_OK,
	    token_init_pin(s->token, &s->permit, text("user-pin"), &s->policy,
		s->tpm, &why),
	    &why);
	token_logout(s->token);
	token_wipe(s->token);
}

static int
login(struct scene *s, const char *pin, struct why *why)
{
	return token_login_user(s->token, &s->permit, text(pin), &s->policy,
	    s->tpm, why);
}

static uint32_t
tries_left(struct scene *s)
{
	struct token_info i;

	token_get_info(s->token, &i);
	return i.user_tries_left;
}

static void
right_and_wrong_pin(void **state)
{
	_cleanup_(scene_free) struct scene sc = { 0 };
	struct why why = { 0 };
	TPM_OF(state);

	scene_new(&sc, s);
	init(&sc);
	expect(CVM_E_PIN_INCORRECT, login(&sc, "wrong", &why), &why);
	assert_int_equal(tries_left(&sc), PIN_TRIES - 1);
	expect(CVM_OK, login(&sc, "user-pin", &why), &why);
	assert_int_equal(tries_left(&sc), PIN_TRIES);
	vtpm_freep(&sc.tpm); /* the TPM serves one client */
	assert_int_equal(swtpm_lockout_counter(s), 0);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
pcr_extended(void **state)
{
	_cleanup_(scene_free) struct scene sc = { 0 };
	struct why why = { 0 };
	TPM_OF(state);

	scene_new(&sc, s);
	init(&sc);
	expect(CVM_OK, login(&sc, "user-pin", &why), &why);
	extend_pcr(sc.tpm, 11);
	token_wipe(sc.token);
	expect(CVM_E_SEALED,
	    token_unseal(sc.token, &sc.permit, &sc.policy, sc.tpm, &why), &why);
	assert_string_equal(why.field, "PCR 11");
	expect(CVM_E_SEALED, login(&sc, "user-pin", &why), &why);
	expect(CVM_E_SEALED, login(&sc, "wrong", &why), &why);
	assert_int_equal(tries_left(&sc), PIN_TRIES);
	vtpm_freep(&sc.tpm);
	assert_int_equal(swtpm_lockout_counter(s), 0);
}

static void
another_tpm(void **state)
{
	_cleanup_(scene_free) struct scene sc = { 0 };
	struct swtpm other = { 0 };
	struct why why = { 0 };
	TPM_OF(state);

	scene_new(&sc, s);
	init(&sc);
	assert_true(swtpm_start(&other));
	vtpm_freep(&sc.tpm);
	sc.tpm = connect_to(other.tcti);
	expect(CVM_E_SEALED,
	    token_unseal(sc.token, &sc.permit, &sc.policy, sc.tpm, &why), &why);
	expect(CVM_E_SEALED, login(&sc, "user-pin", &why), &why);
	assert_int_equal(tries_left(&sc), PIN_TRIES);
	vtpm_freep(&sc.tpm);
	swtpm_stop(&other);
}

static void
tpm_gone_and_back(void **state)
{
	_cleanup_(scene_free) struct scene sc = { 0 };
	struct why why = { 0 };
	TPM_OF(state);

	scene_new(&sc, s);
	init(&sc);
	swtpm_kill(s);
	expect(CVM_E_UNREACHABLE,
	    token_unseal(sc.token, &sc.permit, &sc.policy, sc.tpm, &why), &why);
	expect(CVM_E_UNREACHABLE, login(&sc, "user-pin", &why), &why);
	assert_int_equal(tries_left(&sc), PIN_TRIES);
	swtpm_restart(s);
	expect(CVM_OK, login(&sc, "user-pin", &why), &why);
}

/* A seal for values that are not current yet opens when they are. */
static void
sealed_for_the_next_boot(void **state)
{
	_cleanup_(scene_free) struct scene sc = { 0 };
	struct pcr_values now;
	struct pcr_set *next;
	struct why why = { 0 };
	uint8_t first[HASH_LEN_MAX];
	TPM_OF(state);

	scene_new(&sc, s);
	memcpy(first, sc.policy.tpm.pcr_sets[0].value[7], sizeof(first));
	extend_pcr(sc.tpm, 7);
	expect(CVM_OK, vtpm_read_pcrs(sc.tpm, HASH_SHA256, PCRS, &now, &why),
	    &why);
	next = &sc.policy.tpm.pcr_sets[1];
	*next = sc.policy.tpm.pcr_sets[0];
	strcpy(next->label, "next");
	memcpy(next->value, now.value, sizeof(now.value));
	sc.policy.tpm.n_pcr_sets = 2;
	init(&sc);
	expect(CVM_OK, login(&sc, "user-pin", &why), &why);
	extend_pcr(sc.tpm, 7);
	token_wipe(sc.token);
	expect(CVM_E_SEALED,
	    token_unseal(sc.token, &sc.permit, &sc.policy, sc.tpm, &why), &why);
	assert_string_equal(why.field, "PCR 7");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(right_and_wrong_pin),
		TEST(pcr_extended),
		TEST(another_tpm),
		TEST(tpm_gone_and_back),
		TEST(sealed_for_the_next_boot),
	};

	return cmocka_run_group_tests_name("token-tpm", tests, NULL, NULL);
}
