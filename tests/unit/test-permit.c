/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "attest/permit.h"
#include "base/forkid.h"

static struct permit_issuer issuer, other;

static struct permit
issue(uint32_t max_age_s, bool single_use)
{
	struct permit p;

	permit_issue(&issuer, issuer.epoch, boottime_ns(), max_age_s,
	    single_use, &p);
	return p;
}

static void
good_permit_refused(void **state)
{
	struct permit p = issue(60, false);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	p = issue(60, true);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	/* "used" is about permits for one operation. */
	p = issue(60, false);
	p.used = true;
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
	struct permit p = issue(60, false);

	(void)state;
	assert_int_equal(permit_check(&p, &other), CVM_E_PERMIT);
	assert_int_equal(permit_check(&p, NULL), CVM_E_PERMIT);
	p.issuer = &other;
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
}

static void
permit_outlives_a_denial(void **state)
{
	struct permit p = issue(60, false), q = issue(60, true), late;
	uint64_t before = issuer.epoch;

	(void)state;
	permit_revoke_all(&issuer);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	assert_int_equal(permit_check(&q, &issuer), CVM_E_PERMIT);
	/* Of a round that began before the denial and ended after it. */
	permit_issue(&issuer, before, boottime_ns(), 60, false, &late);
	assert_int_equal(permit_check(&late, &issuer), CVM_E_PERMIT);
	p = issue(60, false);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	permit_revoke_all(&other);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
}

static void
used_permit_accepted_again(void **state)
{
	struct permit p = issue(60, true);

	(void)state;
	p.used = true;
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
}

static void
permit_accepted_after_its_time(void **state)
{
	static const struct timespec wait = { 0, 20000000 };
	struct permit p = issue(0, false);
	uint64_t now = boottime_ns();

	(void)state;
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	permit_issue(&issuer, issuer.epoch, now - 61ull * NS_PER_S, 60, false,
	    &p);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	permit_issue(&issuer, issuer.epoch, now - 59ull * NS_PER_S, 60, false,
	    &p);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	permit_issue(&issuer, issuer.epoch, now - 60ull * NS_PER_S + 10000000,
	    60, false, &p);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
	(void)nanosleep(&wait, NULL);
	assert_int_equal(permit_check(&p, &issuer), CVM_E_PERMIT);
	/* The longest time there is does not run over. */
	permit_issue(&issuer, issuer.epoch, now, UINT32_MAX, false, &p);
	assert_int_equal(permit_check(&p, &issuer), CVM_OK);
}

static void
forked_permit_accepted(void **state)
{
	struct permit p = issue(60, false);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct permit mine = issue(60, false);

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
		cmocka_unit_test(permit_accepted_after_its_time),
		cmocka_unit_test(forked_permit_accepted),
	};

	forkid_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
