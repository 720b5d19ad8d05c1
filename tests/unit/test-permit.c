/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "attest/permit.h"
#include "base/forkid.h"
#include "tests/unit/fake-clock.h"

static struct permit_issuer issuer, other;
static struct permit_turn turn, turn2;

static struct permit
issue(uint32_t max_age_s)
{
	struct permit p;

	permit_issue(&issuer, issuer.epoch, boottime_ns(), max_age_s, &p);
	return p;
}

static void
good_permit_refused(void **state)
{
	struct permit p = issue(60);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	/* One use may look at its permit more than once. */
	permit_once(&p, &turn);
	for (int i = 0; i < 3; i++)
		assert_int_equal(permit_check(&p, &issuer), CVM_OK);
}

static void
permit_never_issued_accepted(void **state)
{
	struct permit p = { 0 };

	(void)state;
	assert_int_equal(permit_check(NULL, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_check(&p, NULL), CVM_E_PERMIT);
	p.deadline_ns = UINT64_MAX;
	assert_int_equal(permit_check(&p, NULL), CVM_E_PERMIT);
}

static void
permit_of_another_issuer_accepted(void **state)
{
	struct permit p = issue(60);

	(void)state;
	assert_int_equal(permit_check(&p, &other), CVM_E_PERMIT);
	assert_int_equal(permit_check(&p, NULL), CVM_E_PERMIT);
	p.issuer = &other;
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
}

static void
permit_outlives_a_denial(void **state)
{
	struct permit p = issue(60), q = issue(60), held = p, late;
	uint64_t before = issuer.epoch;

	(void)state;
	permit_once(&q, &turn);
	permit_hold(&held, &turn2);
	permit_revoke_all(&issuer);
	assert_int_equal(permit_check(&held, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_check(&q, &issuer), CVM_E_PERMIT);
	/* Of a round that began before the denial and ended after it. */
	permit_issue(&issuer, before, boottime_ns(), 60, &late);
	assert_int_equal(permit_check(&late, &issuer), CVM_E_PERMIT);
	p = issue(60);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	permit_revoke_all(&other);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
}

/* Whoever kept a copy: the end of the use is the end of all of them. */
static void
used_permit_accepted_again(void **state)
{
	struct permit many = issue(60), p = many, copy;

	(void)state;
	permit_once(&p, &turn);
	copy = p;
	permit_turn_end(&turn);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_check(&copy, &issuer), CVM_E_PERMIT);
	/* Nor does the next use bring it back. */
	permit_once(&many, &turn);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_check(&many, &issuer), CVM_OK);
	/* Another session's use is another. */
	copy = issue(60);
	permit_once(&copy, &turn2);
	assert_int_equal(permit_check(&copy, &issuer), CVM_OK);
	assert_int_equal(permit_check(&many, &issuer), CVM_OK);
	permit_turn_end(&turn2);
	assert_int_equal(permit_check(&copy, &issuer), CVM_E_PERMIT);
}

/* A key that takes long to make, and the denial of a machine meanwhile. */
static void
held_permit_runs_out_or_stays(void **state)
{
	struct permit p = issue(1), q = issue(1);

	(void)state;
	permit_hold(&p, &turn);
	fake_clock_pass(3600000);
	assert_int_equal(permit_check(&q, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	permit_turn_end(&turn);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
}

/* The clock is asked once in a call: by nobody's copy in the next, and
 * everything else is asked each time. */
static void
look_counts_after_its_call(void **state)
{
	struct permit p = issue(60), kept;

	(void)state;
	assert_int_equal(permit_look(&p, &issuer, &turn), CVM_OK);
	kept = p;
	fake_clock_pass(61000);
	assert_int_equal(permit_holds(&p, &issuer), CVM_OK);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	permit_turn_end(&turn);
	assert_int_equal(permit_holds(&p, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_look(&p, &issuer, &turn), CVM_E_PERMIT);
	assert_int_equal(permit_holds(&p, &issuer), CVM_E_PERMIT);
	permit_turn_end(&turn);
	/* Another permit's look is not this one's. */
	p = issue(60);
	assert_int_equal(permit_look(&p, &issuer, &turn), CVM_OK);
	assert_int_equal(permit_holds(&kept, &issuer), CVM_E_PERMIT);
	permit_revoke_all(&issuer);
	assert_int_equal(permit_holds(&p, &issuer), CVM_E_PERMIT);
	permit_turn_end(&turn);
	/* Without a look, the clock is asked. */
	p = issue(60);
	assert_int_equal(permit_holds(&p, &issuer), CVM_OK);
	fake_clock_pass(61000);
	assert_int_equal(permit_holds(&p, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_holds(NULL, &issuer), CVM_E_PERMIT);
}

static void
permit_accepted_after_its_time(void **state)
{
	struct permit p = issue(0);
	uint64_t now = boottime_ns();

	(void)state;
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	permit_issue(&issuer, issuer.epoch, now - 61ull * NS_PER_S, 60, &p);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	permit_issue(&issuer, issuer.epoch, now - 59ull * NS_PER_S, 60, &p);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	permit_issue(&issuer, issuer.epoch, now - 60ull * NS_PER_S + 10000000,
	    60, &p);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	fake_clock_pass(10);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	/* The longest time there is does not run over. */
	permit_issue(&issuer, issuer.epoch, now, UINT32_MAX, &p);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
}

static void
forked_permit_accepted(void **state)
{
	struct permit p = issue(60);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct permit mine = issue(60);

		_exit(permit_check(&p, &issuer) == CVM_E_PERMIT &&
			    permit_check(&mine, &issuer) == CVM_OK ?
			0 :
			1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_permit_refused),
		cmocka_unit_test(permit_never_issued_accepted),
		cmocka_unit_test(permit_of_another_issuer_accepted),
		cmocka_unit_test(permit_outlives_a_denial),
		cmocka_unit_test(used_permit_accepted_again),
		cmocka_unit_test(held_permit_runs_out_or_stays),
		cmocka_unit_test(look_counts_after_its_call),
		cmocka_unit_test(permit_accepted_after_its_time),
		cmocka_unit_test(forked_permit_accepted),
	};

	forkid_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
