/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/forkid.h"

/* As _Fork() does: without the handlers of pthread_atfork(). */
static pid_t
bare_fork(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static pid_t (*make_child)(void) = fork;

static int
in_child(int (*fn)(uint64_t), uint64_t arg)
{
	int status;
	pid_t pid = make_child();

	if (pid == 0)
		_exit(fn(arg));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int
is_one_more(uint64_t before)
{
	return forkid() == before + 1 ? 0 : 1;
}

static int
child_forks_again(uint64_t before)
{
	if (forkid() != before + 1)
		return 1;
	return in_child(is_one_more, before + 1);
}

static void
child_not_noticed(void **state)
{
	(void)state;
	/* Set up twice, counted once. */
	forkid_setup();
	forkid_setup();
	assert_int_equal(in_child(is_one_more, forkid()), 0);
	assert_int_equal(in_child(child_forks_again, forkid()), 0);
}

static void
child_without_handlers_not_noticed(void **state)
{
	(void)state;
	forkid_setup();
	make_child = bare_fork;
	assert_int_equal(in_child(is_one_more, forkid()), 0);
	assert_int_equal(in_child(child_forks_again, forkid()), 0);
	make_child = fork;
}

static void
parent_taken_for_child(void **state)
{
	uint64_t before;

	(void)state;
	forkid_setup();
	before = forkid();
	assert_int_equal(in_child(is_one_more, before), 0);
	assert_true(forkid() == before);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_not_noticed),
		cmocka_unit_test(child_without_handlers_not_noticed),
		cmocka_unit_test(parent_taken_for_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
