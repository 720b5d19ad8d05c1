/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/unit/changes.h"

#define CALLS_MAX 2000 /* no change is near: the test would not end */

static int
start(void **state)
{
	(void)state;
	changes_start();
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	changes_stop();
	return 0;
}

/* Kills one change at each of its calls in turn; returns how many. */
static unsigned
kill_everywhere(unsigned change, enum harm harm)
{
	struct outcome o;
	unsigned n = 0;

	do {
		change_run(change, harm, ++n, 0, &o);
		if (!o.traced.there)
			skip();
		if (o.complaint[0] != '\0')
			fail_msg("%s, killed at call %u, %s: %s",
			    change_name(change), n, o.traced.call, o.complaint);
		assert_true(o.traced.reached || o.returned);
		if (!o.traced.reached)
			break;
		assert_true(WIFSIGNALED(o.traced.status));
		assert_int_equal(WTERMSIG(o.traced.status), SIGKILL);
	} while (n < CALLS_MAX);
	assert_int_equal(o.err, 0);
	assert_int_equal(o.state, STATE_NEW);
	return n - 1;
}

static void
killed_at_a_system_call(void **state)
{
	unsigned total = 0;

	(void)state;
	for (unsigned i = 0; i < n_changes; i++) {
		unsigned n = kill_everywhere(i, HARM_KILL);

		assert_in_range(n, 10, CALLS_MAX - 2);
		print_message("# %s: killed at %u calls\n", change_name(i), n);
		total += n;
	}
	print_message("# %u kills\n", total);
}

static void
killed_in_the_middle_of_a_write(void **state)
{
	unsigned total = 0;

	(void)state;
	for (unsigned i = 0; i < n_changes; i++) {
		unsigned n = kill_everywhere(i, HARM_TEAR);

		assert_in_range(n, 3, CALLS_MAX - 2);
		total += n;
	}
	print_message("# %u torn writes\n", total);
}

/* The journal that the writer leaves is the old store's, and has the name
 * that the new store's would have. */
static void
journal_of_the_old_token_spoils_the_new(void **state)
{
	struct outcome o;
	unsigned n = 0;

	(void)state;
	do {
		init_beside_killed(++n, &o);
		if (!o.traced.there)
			skip();
		if (o.err != 0 || o.complaint[0] != '\0')
			fail_msg("writer killed at call %u, %s: err %d: %s", n,
			    o.traced.call, o.err, o.complaint);
		assert_int_equal(o.state, STATE_NEW);
	} while (o.traced.reached && n < CALLS_MAX);
	assert_in_range(n, 10, CALLS_MAX - 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_a_system_call),
		cmocka_unit_test(killed_in_the_middle_of_a_write),
		cmocka_unit_test(journal_of_the_old_token_spoils_the_new),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
