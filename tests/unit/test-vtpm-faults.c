/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "attest/quote.h"
#include "tests/unit/vtpm-fixture.h"

/* What the TPM code does with faults, signals and forks. */

/* Everything that a token does, once. */
static int
all_of_it(struct vtpm *t, const struct sealing *g, struct why *why)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct blob b = { 0 };
	int r;

	r = quote_with(t, 0x00ffffff, &q, why);
	if (r == CVM_OK)
		r = unseal(t, g, "pin", why);
	if (r == CVM_OK)
		r = vtpm_seal(t, HASH_SHA256, &g->set, g->data, g->auth, &b,
		    why);
	blob_clear(&b);
	return r;
}

/*
 * One fault at the n-th command, for every n: it is survived by the second
 * attempt, and leaves nothing behind.
 */
static void
survive(struct swtpm *s, enum fault fault, uint32_t rc, bool clean)
{
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	unsigned n;

	seal_now(t, "pin", &g);
	vtpm_freep(&t);
	for (n = 1; n < 100; n++) {
		struct why why = { 0 };
		char tcti[96];
		bool reached;
		int r;

		swtpm_proxy(s, fault, n, rc, tcti);
		t = connect_to(tcti);
		r = all_of_it(t, &g, &why);
		/* The first connection of all is not tried again. */
		if (r != CVM_OK)
			r = all_of_it(t, &g, &why);
		if (r != CVM_OK)
			say_why(&why);
		vtpm_freep(&t);
		reached = swtpm_proxy_end(s);
		assert_int_equal(r, 0);
		if (clean)
			assert_int_equal(swtpm_loaded(s), 0);
		swtpm_flush_all(s);
		if (!reached)
			break;
	}
	assert_in_range(n, 15, 60);
	assert_int_equal(swtpm_lockout_counter(s), 0);
}

static void
connection_lost_at_each_command(void **state)
{
	TPM_OF(state);
	survive(s, FAULT_DROP_COMMAND, 0, false);
}

static void
connection_lost_at_each_response(void **state)
{
	TPM_OF(state);
	survive(s, FAULT_DROP_RESPONSE, 0, false);
}

static void
tpm_busy_at_each_command(void **state)
{
	TPM_OF(state);
	survive(s, FAULT_RC, TPM2_RC_RETRY, true);
	survive(s, FAULT_RC, TPM2_RC_YIELDED, true);
}

static void
tpm_full_at_each_command(void **state)
{
	TPM_OF(state);
	survive(s, FAULT_RC, TPM2_RC_OBJECT_MEMORY, false);
	survive(s, FAULT_RC, TPM2_RC_CONTEXT_GAP, false);
}

static void
response_cut_short(void **state)
{
	TPM_OF(state);
	survive(s, FAULT_SHORT, 0, false);
}

/* Lies are never taken for the truth: no wrong success, no crash. */
static void
response_of_nonsense(void **state)
{
	TPM_OF(state);
	static const enum fault faults[] = { FAULT_GARBAGE, FAULT_FLIP };
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);

	seal_now(t, "pin", &g);
	vtpm_freep(&t);
	for (unsigned k = 0; k < 2 * 40; k++) {
		char tcti[96];
		int r;

		swtpm_proxy(s, faults[k % 2], 1 + k / 2, 0, tcti);
		t = connect_to(tcti);
		t->timeout_ms = 500;
		/* unseal() compares what it gets with what was sealed. */
		r = unseal(t, &g, "pin", NULL);
		assert_true(r == 0 || r == CVM_E_UNREACHABLE ||
		    r == CVM_E_SEALED || r == CVM_E_PIN_INCORRECT ||
		    r == CVM_E_UNSUPPORTED || r == CVM_E_PARSE);
		vtpm_freep(&t);
		(void)swtpm_proxy_end(s);
		swtpm_flush_all(s);
	}
}

static volatile sig_atomic_t ticks;

static void
on_tick(int number)
{
	(void)number;
	ticks++;
}

static void
signals_do_not_break_a_command(void **state)
{
	TPM_OF(state);
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct sigaction sa = { .sa_handler = on_tick }, old;
	struct itimerval every = { { 0, 300 }, { 0, 300 } }, off = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	sigset_t set;

	assert_int_equal(sigaction(SIGALRM, &sa, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	for (int i = 0; i < 200; i++)
		assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
	assert_true(ticks > 50);
	/* The mask is as it was. */
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	assert_false(sigismember(&set, SIGALRM));
	vtpm_freep(&t);
}

/* Runs fn in a forked child; its return value is the exit status. */
static void
in_child(int (*fn)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(20);
		_exit(fn(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
child_frees(void *arg)
{
	struct vtpm *t = arg;

	vtpm_freep(&t);
	return 0;
}

/* swtpm serves the parent only: the child's own connection must time out,
 * and must not have used the parent's. */
static int
child_is_not_served(void *arg)
{
	struct quoted q = { 0 };
	struct vtpm *t = arg;

	int r;

	t->timeout_ms = 200;
	r = quote_with(t, MASK, &q, NULL);
	if (r != CVM_E_UNREACHABLE)
		fprintf(stderr, "# child: %d\n", r);
	return r != CVM_E_UNREACHABLE;
}

static int
child_quotes(void *arg)
{
	struct quoted q = { 0 };
	struct vtpm *t = arg;
	int r = quote_with(t, MASK, &q, NULL);

	vtpm_freep(&t);
	return r != CVM_OK;
}

static void
fork_does_not_disturb_the_parent(void **state)
{
	TPM_OF(state);
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	TPM2_HANDLE ak;

	seal_now(t, NULL, &g);
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	ak = t->ak;
	in_child(child_frees, t);
	in_child(child_is_not_served, t);
	/* Same connection, same loaded key: no second attempt was needed. */
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	assert_int_equal(t->ak, ak);
	assert_int_equal(unseal(t, &g, NULL, NULL), 0);
	vtpm_freep(&t);
	assert_int_equal(swtpm_lockout_counter(s), 0);
	/* What swtpm may still run for the dead child is no parent's: without
	 * a resource manager nobody flushes it. */
}

/* The parent hangs up first, as a server's master does that only forks. */
static void
child_connects_for_itself(void **state)
{
	TPM_OF(state);
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	int ready[2], status;
	char c = 0;
	pid_t pid;

	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		if (read(ready[0], &c, 1) != 1)
			_exit(2);
		_exit(child_quotes(t));
	}
	vtpm_freep(&t);
	assert_int_equal(write(ready[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(swtpm_loaded(s), 0);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static _Atomic bool stop;

static void *
quote_forever(void *arg)
{
	struct quoted q = { 0 };

	while (!atomic_load(&stop))
		if (quote_with(arg, MASK, &q, NULL) != CVM_OK)
			return arg;
	quoted_clear(&q);
	return NULL;
}

static void
fork_while_another_thread_is_inside(void **state)
{
	TPM_OF(state);
	struct vtpm *t = connect_to(s->tcti);
	pthread_t thread[2];
	void *ret;

	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, quote_forever,
				     t),
		    0);
	for (int i = 0; i < 50; i++)
		in_child(child_frees, t);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(thread[i], &ret), 0);
		assert_null(ret);
	}
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
device_missing_or_forbidden(void **state)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct why why = { 0 };
	struct vtpm *t = connect_to("device:/nonexistent/tpmrm0");
	char path[] = "/tmp/cvm-tpm-XXXXXX", tcti[64];
	int fd;

	(void)state;
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.where, "/nonexistent/tpmrm0"));
	assert_non_null(strstr(why.hint, "linux-modules-extra"));
	vtpm_freep(&t);
	/* No name is no search. */
	t = connect_to("");
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.where, "tpm.tcti");
	vtpm_freep(&t);
	/* Not a TPM at all. */
	t = connect_to("device:/dev/null");
	t->timeout_ms = 300;
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	vtpm_freep(&t);
	if (getuid() != 0)
		return;
	fd = mkstemp(path);
	assert_true(fd >= 0 && fchmod(fd, 0) == 0);
	(void)close(fd);
	assert_int_equal(seteuid(65534), 0);
	(void)snprintf(tcti, sizeof(tcti), "device:%s", path);
	t = connect_to(tcti);
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(why.hint, "group tss"));
	vtpm_freep(&t);
	(void)unlink(path);
}

/* What fails must not be told to the host program's stderr. */
static int
fails_in_silence(void *arg)
{
	struct swtpm *s = arg;
	struct quoted q = { 0 };
	struct sealing g;
	struct vtpm *t;
	struct blob b = { 0 };
	int fd = memfd_create("stderr", 0);

	if (fd < 0 || dup2(fd, 2) != 2 || dup2(fd, 1) != 1)
		return 1;
	t = connect_to(s->tcti);
	seal_now(t, NULL, &g);
	extend_pcr(t, 0);
	(void)!unseal(t, &g, NULL, NULL);
	(void)!unseal(t, &g, "x", NULL);
	(void)!vtpm_nv_read(t, 0x01500000, 10, &b, NULL);
	(void)kill(s->pid, SIGKILL);
	(void)!quote_with(t, MASK, &q, NULL);
	vtpm_freep(&t);
	t = connect_to("device:/nonexistent");
	(void)!quote_with(t, MASK, &q, NULL);
	vtpm_freep(&t);
	return lseek(fd, 0, SEEK_END) != 0;
}

static void
nothing_goes_to_stderr(void **state)
{
	TPM_OF(state);
	in_child(fails_in_silence, s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connection_lost_at_each_command),
		TEST(connection_lost_at_each_response),
		TEST(tpm_busy_at_each_command),
		TEST(tpm_full_at_each_command),
		TEST(response_cut_short),
		TEST(response_of_nonsense),
		TEST(signals_do_not_break_a_command),
		TEST(fork_does_not_disturb_the_parent),
		TEST(child_connects_for_itself),
		TEST(fork_while_another_thread_is_inside),
		cmocka_unit_test(device_missing_or_forbidden),
		TEST(nothing_goes_to_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
