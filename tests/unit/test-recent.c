/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/gate.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/round-scene.h"
#include "tests/unit/scene-program.h"

/*
 * Sessions that open with the admission of another one. What must not be: one
 * that outlives its round, or that covers what came after it. Each open that
 * asks the machine is one round, and one quote of the TPM.
 */
#define OPEN_AGE_S 60
#define AGE_S 300
#define QUOTES "tpm.command.0x158"

static struct {
	struct config *cfg;
	struct gate *g, *other; /* of one token and of another slot's */
	struct gate_session s[4];
	struct why why;
} f;

static unsigned
quotes(void)
{
	const struct round_scene r = { .m = scene.m };

	return round_scene_count(&r, QUOTES);
}

static void
configure(const struct scene_options *o)
{
	scene_prepare(&scene, o);
	assert_int_equal(config_load(scene.config, &f.cfg, &f.why), CVM_OK);
	assert_int_equal(gate_new(f.cfg, &f.cfg->tokens[0], &f.g), CVM_OK);
	assert_int_equal(gate_new(f.cfg, &f.cfg->tokens[0], &f.other), CVM_OK);
}

static int
close_all(void **state)
{
	for (size_t i = 0; i < NELEMS(f.s); i++)
		gate_session_clear(&f.s[i]);
	gate_freep(&f.g);
	gate_freep(&f.other);
	config_freep(&f.cfg);
	return teardown(state);
}

#define TAKEN 0
#define ASKED 1

/* The last round that a session of the gate joined. */
static uint64_t
last_round(struct gate *g)
{
	uint64_t last = 0;

	for (size_t i = 0; i < NELEMS(f.s); i++)
		if (f.s[i].permit.issuer == rounds_issuer(gate_rounds(g)) &&
		    f.s[i].admission.round->id > last)
			last = f.s[i].admission.round->id;
	return last;
}

/* Session i opens, with a round of its own or without. */
static void
opens(struct gate *g, size_t i, unsigned how)
{
	uint64_t before = last_round(g);

	gate_session_clear(&f.s[i]);
	assert_int_equal(gate_open_session(g, &f.s[i], &f.why), CVM_OK);
	assert_int_equal(f.s[i].admission.round->id > before, how);
}

static int
check(struct gate *g, size_t i)
{
	return permit_check(&f.s[i].permit, rounds_issuer(gate_rounds(g)));
}

/* A round whose verdict all hear of, and no session's. */
static int
verdict(void)
{
	static const uint8_t nonce[8] = "verifier";
	char *json = NULL;
	int err = gate_challenge(f.g, span(nonce, sizeof(nonce)),
	    /* key= */ NULL, &json, &f.why);

	free(json);
	return err;
}

#define BEGIN(...)                                                             \
	do {                                                                   \
		(void)state;                                                   \
		NEEDS_MACHINE();                                               \
		configure(&(                                                   \
		    struct scene_options){ .max_age_s = AGE_S, __VA_ARGS__ }); \
	} while (0)
#define BEGIN_TAKING(...) BEGIN(.open_max_age_s = OPEN_AGE_S, __VA_ARGS__)

static void
open_without_a_round_by_default(void **state)
{
	unsigned before;

	BEGIN(.login = "pin");
	before = quotes();
	opens(f.g, 0, ASKED);
	opens(f.g, 1, ASKED);
	assert_int_equal(quotes() - before, 2);
	assert_true(f.s[0].permit.deadline_ns < f.s[1].permit.deadline_ns);
}

static void
admission_too_old_is_taken_over(void **state)
{
	unsigned before;

	BEGIN_TAKING();
	before = quotes();
	opens(f.g, 0, ASKED);
	fake_clock_pass(OPEN_AGE_S * 1000 - 2000);
	opens(f.g, 1, TAKEN);
	assert_int_equal(quotes() - before, 1);
	/* What was taken over is as old as what it was taken from. */
	fake_clock_pass(2000);
	opens(f.g, 2, ASKED);
	opens(f.g, 3, TAKEN);
	assert_int_equal(f.s[3].permit.deadline_ns, f.s[2].permit.deadline_ns);
}

static void
permit_outlives_its_round(void **state)
{
	uint64_t since;

	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	since = f.s[0].admission.round->asked_ns;
	fake_clock_pass(OPEN_AGE_S * 1000 - 2000);
	opens(f.g, 1, TAKEN);
	assert_int_equal(f.s[1].permit.deadline_ns,
	    since + (uint64_t)AGE_S * NS_PER_S);
	assert_int_equal(f.s[1].permit.epoch, f.s[0].permit.epoch);
	assert_null(f.s[1].permit.call);
	assert_null(f.s[1].permit.turn);
	fake_clock_pass((AGE_S - OPEN_AGE_S) * 1000);
	assert_int_equal(check(f.g, 1), CVM_OK);
	fake_clock_pass(2000);
	assert_int_equal(check(f.g, 0), CVM_E_PERMIT);
	assert_int_equal(check(f.g, 1), CVM_E_PERMIT);
}

/* The longest that can be asked for is still the end of the round. */
static void
whole_age_is_one_too_many(void **state)
{
	BEGIN(.open_max_age_s = AGE_S);
	opens(f.g, 0, ASKED);
	fake_clock_pass(AGE_S * 1000 - 2000);
	opens(f.g, 1, TAKEN);
	fake_clock_pass(2000);
	assert_int_equal(check(f.g, 1), CVM_E_PERMIT);
	opens(f.g, 1, ASKED);
}

static void
denial_is_opened_over(void **state)
{
	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	opens(f.g, 1, TAKEN);
	machine_ctl(&scene.m, "set debug on");
	/* Nobody knows yet. */
	opens(f.g, 2, TAKEN);
	assert_int_equal(verdict(), CVM_OK);
	assert_int_equal(gate_state(f.g), ROUND_DENY);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(check(f.g, i), CVM_E_PERMIT);
	assert_int_equal(gate_open_session(f.g, &f.s[3], &f.why), CVM_E_DENIED);
	assert_int_equal(check(f.g, 3), CVM_E_PERMIT);
	/* A later verdict does not bring back what was admitted before. */
	scene_allow(&scene);
	assert_int_equal(verdict(), CVM_OK);
	assert_int_equal(gate_state(f.g), ROUND_ADMIT);
	opens(f.g, 3, ASKED);
	opens(f.g, 2, TAKEN);
}

/* A session that is open keeps its permit; a new one gets none. */
static void
lost_evidence_is_opened_over(void **state)
{
	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	machine_ctl(&scene.m, "set tsm.eio -1");
	assert_int_not_equal(verdict(), CVM_OK);
	assert_int_equal(gate_state(f.g), ROUND_UNREACHABLE);
	assert_int_equal(check(f.g, 0), CVM_OK);
	usleep(20000); /* retry_ms */
	assert_int_equal(gate_open_session(f.g, &f.s[1], &f.why),
	    CVM_E_UNREACHABLE);
	assert_int_equal(check(f.g, 1), CVM_E_PERMIT);
	scene_allow(&scene);
	opens(f.g, 1, ASKED);
}

static void
child_takes_over_from_its_parent(void **state)
{
	int status;
	pid_t pid;

	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		bool good;

		gate_after_fork(f.g);
		good = gate_open_session(f.g, &f.s[1], &f.why) == CVM_OK &&
		    f.s[1].admission.round->id > f.s[0].admission.round->id &&
		    check(f.g, 1) == CVM_OK && check(f.g, 0) == CVM_E_PERMIT &&
		    gate_open_session(f.g, &f.s[2], &f.why) == CVM_OK &&
		    f.s[2].admission.round == f.s[1].admission.round;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	opens(f.g, 1, TAKEN);
}

/* Without gate_after_fork(), as when a child is quicker than its first call. */
static void
forked_permit_is_good_in_the_child(void **state)
{
	int status;
	pid_t pid;

	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		_exit(gate_open_session(f.g, &f.s[1], &f.why) == CVM_OK &&
			    f.s[1].admission.round == f.s[0].admission.round ?
			1 :
			0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
wiped_token_stays_wiped(void **state)
{
	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	token_wipe(gate_token(f.g));
	opens(f.g, 1, ASKED);
	assert_true(token_unsealed(gate_token(f.g)));
	opens(f.g, 2, TAKEN);
}

static void
admission_of_another_slot_is_taken(void **state)
{
	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	opens(f.other, 1, ASKED);
	assert_int_equal(check(f.g, 1), CVM_E_PERMIT);
	assert_int_equal(check(f.other, 0), CVM_E_PERMIT);
	opens(f.other, 2, TAKEN);
	assert_int_equal(check(f.other, 2), CVM_OK);
	assert_int_equal(check(f.g, 2), CVM_E_PERMIT);
}

/* Another process noted a later time than this admission was judged at. */
static void
earlier_time_is_taken_over(void **state)
{
	int64_t judged;

	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	judged = f.s[0].admission.round->judged_time;
	assert_int_equal(token_note(gate_token(f.g), &f.s[0].permit, judged + 5,
			     NULL, &f.why),
	    CVM_OK);
	assert_int_equal(gate_open_session(f.g, &f.s[1], &f.why), CVM_OK);
	assert_true(f.s[1].admission.round->judged_time >= judged + 5);
	assert_int_equal(check(f.g, 0), CVM_E_PERMIT);
}

/* C_InitToken's admission is of a token that is not there yet. */
static void
admission_of_the_token_before_is_taken(void **state)
{
	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	assert_int_equal(gate_admit(f.g, &f.s[1], &f.why), CVM_OK);
	opens(f.g, 2, ASKED);
}

/* A session whose admission ran out asks for a new one, however new another
 * session's is. */
static void
renewal_is_taken_over(void **state)
{
	struct permit p = { 0 };
	uint64_t before;

	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	fake_clock_pass((AGE_S - 10) * 1000);
	opens(f.g, 1, ASKED);
	fake_clock_pass(11000);
	before = last_round(f.g);
	assert_int_equal(gate_permit(f.g, &f.s[0], &p, &f.why), CVM_OK);
	assert_true(f.s[0].admission.round->id > before);
	/* And is there for the next open. */
	opens(f.g, 2, TAKEN);
	assert_int_equal(f.s[2].permit.deadline_ns, p.deadline_ns);
}

static void
evidence_is_not_that_of_the_admission(void **state)
{
	char *a = NULL, *b = NULL;

	BEGIN_TAKING();
	opens(f.g, 0, ASKED);
	opens(f.g, 1, TAKEN);
	/* The session that it was taken from need not be there any more. */
	assert_int_equal(gate_bundle(f.g, &f.s[0].admission, &a, &f.why),
	    CVM_OK);
	gate_session_clear(&f.s[0]);
	assert_int_equal(gate_bundle(f.g, &f.s[1].admission, &b, &f.why),
	    CVM_OK);
	assert_string_equal(a, b);
	free(a);
	free(b);
}

static unsigned
c_open(CK_SESSION_HANDLE *ret)
{
	unsigned before = quotes();

	*ret = open_session(RW);
	return quotes() - before;
}

static CK_RV
sign(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_BYTE digest[32] = { 1 }, sig[128];
	CK_ULONG n = sizeof(sig);
	CK_RV rv = C_SignInit(s, MECH(CKM_ECDSA), key);

	return rv != CKR_OK ? rv : C_Sign(s, digest, sizeof(digest), sig, &n);
}

static void
bound_operation_needs_no_round(void **state)
{
	CK_SESSION_HANDLE s;
	unsigned before;

	BEGIN_TAKING(.bind = "operation");
	assert_ok(C_Initialize(NULL));
	assert_int_equal(c_open(&s), ASKED);
	login(s);
	assert_int_equal(c_open(&s), TAKEN);
	for (int i = 0; i < 3; i++) {
		before = quotes();
		assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
		assert_int_equal(quotes() - before, 1);
	}
	/* Nor is an operation's admission one for sessions. */
	fake_clock_pass(OPEN_AGE_S * 1000);
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
	assert_int_equal(c_open(&s), ASKED);
}

static void
denied_open_does_not_fail(void **state)
{
	CK_OBJECT_CLASS data = CKO_DATA;
	CK_UTF8CHAR app[] = "cvm-pkcs11 challenge";
	CK_BYTE nonce[8] = "eight by";
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &data, sizeof(data) },
		{ CKA_APPLICATION, app, sizeof(app) - 1 },
		{ CKA_VALUE, nonce, sizeof(nonce) } };
	CK_SESSION_HANDLE s, more;
	CK_OBJECT_HANDLE h;

	BEGIN_TAKING(.on_denial = "fail");
	assert_ok(C_Initialize(NULL));
	assert_int_equal(c_open(&s), ASKED);
	assert_int_equal(c_open(&more), TAKEN);
	machine_ctl(&scene.m, "set debug on");
	assert_ok(C_CreateObject(s, t, 3, &h));
	assert_rv(CKR_TOKEN_NOT_PRESENT,
	    C_OpenSession(the_slot(), RO, NULL, NULL, &more));
	scene_allow(&scene);
	assert_int_equal(c_open(&more), ASKED);
	assert_int_equal(c_open(&more), TAKEN);
}

/* Nothing of one C_Initialize is good in the next, whose policy may be
 * another. */
static void
admission_survives_finalize(void **state)
{
	CK_SESSION_HANDLE s;

	BEGIN_TAKING();
	for (int i = 0; i < 2; i++) {
		assert_ok(C_Initialize(NULL));
		assert_int_equal(c_open(&s), ASKED);
		assert_int_equal(c_open(&s), TAKEN);
		/* The last session of the slot does not take it along. */
		assert_ok(C_CloseAllSessions(the_slot()));
		assert_int_equal(c_open(&s), TAKEN);
		login(s);
		assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
		assert_ok(C_Finalize(NULL));
	}
}

/* Where an admission is the login, it opens what the SO's logout closed. */
static void
closed_key_stays_closed(void **state)
{
	CK_UTF8CHAR so[] = SO_PIN;
	CK_SESSION_HANDLE s, more;

	BEGIN_TAKING(.login = "attestation");
	assert_ok(C_Initialize(NULL));
	assert_int_equal(c_open(&s), ASKED);
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
	assert_ok(C_Login(s, CKU_SO, so, sizeof(so) - 1));
	assert_ok(C_Logout(s));
	(void)c_open(&more);
	assert_ok(sign(more, find(more, CKO_PRIVATE_KEY, "ec")));
}

/* Whoever logged in, in a session that is not the last one any more. */
static void
idle_session_keeps_a_login(void **state)
{
	CK_SESSION_HANDLE s, idle;
	CK_SESSION_INFO info;

	BEGIN_TAKING();
	assert_ok(C_Initialize(NULL));
	for (int i = 0; i < 2; i++) {
		s = open_session(RW);
		idle = open_session(RO);
		login(s);
		assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
		assert_ok(C_CloseSession(s));
		if (i == 0)
			assert_ok(C_CloseSession(idle));
		else
			assert_ok(C_CloseAllSessions(the_slot()));
		s = open_session(RO);
		assert_ok(C_GetSessionInfo(s, &info));
		assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
		assert_int_equal(find(s, CKO_PRIVATE_KEY, "ec"), 0);
		assert_ok(C_CloseSession(s));
	}
}

static int
setup(void **state)
{
	(void)state;
	if (scene.there)
		scene_forget_stderr(&scene);
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, close_all)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(open_without_a_round_by_default),
		TEST(whole_age_is_one_too_many),
		TEST(admission_too_old_is_taken_over),
		TEST(permit_outlives_its_round),
		TEST(denial_is_opened_over),
		TEST(lost_evidence_is_opened_over),
		TEST(child_takes_over_from_its_parent),
		TEST(forked_permit_is_good_in_the_child),
		TEST(wiped_token_stays_wiped),
		TEST(admission_of_another_slot_is_taken),
		TEST(admission_of_the_token_before_is_taken),
		TEST(renewal_is_taken_over),
		TEST(evidence_is_not_that_of_the_admission),
		TEST(denied_open_does_not_fail),
		TEST(admission_survives_finalize),
		TEST(idle_session_keeps_a_login),
		TEST(earlier_time_is_taken_over),
		TEST(bound_operation_needs_no_round),
		TEST(closed_key_stays_closed),
	};

	return cmocka_run_group_tests_name("recent", tests, start, stop);
}
