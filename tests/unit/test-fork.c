/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/scene-program.h"

/*
 * What servers do with processes: nginx forks workers that initialise again or
 * not at all, provider code finalizes first, and nobody waits for threads.
 * Proofs a to e are for the file that programs load (loaded.h). A child says
 * by its exit status which step failed.
 */

/* The sanitizers' own allocators do not survive a fork among threads. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define STEP(n, ok)                                                            \
	if (!(ok))                                                             \
	_exit(n)

static CK_BYTE digest[32] = { 1, 2, 3 };

static CK_RV
sign(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_BYTE sig[128];
	CK_ULONG n = sizeof(sig);
	CK_RV rv = C_SignInit(s, MECH(CKM_ECDSA), key);

	return rv != CKR_OK ? rv : C_Sign(s, digest, sizeof(digest), sig, &n);
}

static int
loaded_teardown(void **state)
{
	(void)state;
	(void)C_Finalize(NULL);
	if (scene.there)
		machine_reset(&scene.m);
	return 0;
}

static CK_SESSION_HANDLE
begin(CK_OBJECT_HANDLE *ret_key)
{
	CK_SESSION_HANDLE s;

	scene_prepare(&scene, &(struct scene_options){ 0 });
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	login(s);
	*ret_key = find(s, CKO_PRIVATE_KEY, "ec");
	assert_int_not_equal(*ret_key, 0);
	return s;
}

static void
join(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		print_error("child: step %d, signal %d\n", WEXITSTATUS(status),
		    WTERMSIG(status));
	assert_int_equal(status, 0);
}

/* The child just goes on with what it has inherited. */
static void
a_child_signs_with_what_it_inherited(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	pid_t pid;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&key);
	pid = fork();
	if (pid == 0) {
		STEP(1, sign(s, key) == CKR_OK);
		STEP(2, find(s, CKO_PRIVATE_KEY, "ec") == key);
		STEP(3, C_CloseSession(s) == CKR_OK);
		_exit(0);
	}
	join(pid);
	assert_ok(sign(s, key));
}

/* A bare C_Initialize, once; then the usual rules. */
static void
child_initialises_again(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	pid_t pid;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&key);
	pid = fork();
	if (pid == 0) {
		CK_SESSION_HANDLE own;

		STEP(1, C_Initialize(NULL) == CKR_OK);
		STEP(2, C_Initialize(NULL) == CKR_CRYPTOKI_ALREADY_INITIALIZED);
		STEP(3,
		    C_OpenSession(the_slot(), RO, NULL, NULL, &own) == CKR_OK);
		STEP(4, own != s);
		STEP(5, sign(own, key) == CKR_OK);
		STEP(6, sign(s, key) == CKR_OK);
		_exit(0);
	}
	join(pid);
	assert_rv(CKR_CRYPTOKI_ALREADY_INITIALIZED, C_Initialize(NULL));
	assert_ok(sign(s, key));
}

/* C_Finalize and C_Initialize in the child while the parent signs, and the
 * environment empty, as nginx leaves it. */
static void
b_child_finalizes_while_the_parent_signs(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	pid_t pid[4];

	(void)state;
	NEEDS_MACHINE();
	s = begin(&key);
	for (size_t i = 0; i < NELEMS(pid); i++) {
		pid[i] = fork();
		if (pid[i] != 0)
			continue;
		(void)clearenv();
		STEP(1, C_Finalize(NULL) == CKR_OK);
		STEP(2, sign(s, key) == CKR_CRYPTOKI_NOT_INITIALIZED);
		STEP(3, C_Initialize(NULL) == CKR_OK);
		STEP(4, sign(s, key) == CKR_SESSION_HANDLE_INVALID);
		s = open_session(RO);
		login(s);
		key = find(s, CKO_PRIVATE_KEY, "ec");
		for (int j = 0; j < 20; j++)
			STEP(5, sign(s, key) == CKR_OK);
		_exit(0);
	}
	for (int i = 0; i < 200; i++)
		assert_ok(sign(s, key));
	for (size_t i = 0; i < NELEMS(pid); i++)
		join(pid[i]);
	assert_ok(sign(s, key));
}

static _Atomic int stop_threads;
static CK_OBJECT_HANDLE shared_key;

/* In every lock that there is: tables, rounds, store, TPM. */
static void *
be_busy(void *arg)
{
	(void)arg;
	while (atomic_load(&stop_threads) == 0) {
		CK_SESSION_HANDLE s;
		CK_BYTE out[16];

		if (C_OpenSession(the_slot(), RW, NULL, NULL, &s) != CKR_OK)
			return (void *)1;
		(void)find(s, CKO_PRIVATE_KEY, "rsa");
		if (sign(s, shared_key) != CKR_OK ||
		    C_GenerateRandom(s, out, sizeof(out)) != CKR_OK)
			return (void *)2;
		(void)C_CloseSession(s);
	}
	return NULL;
}

static void *
sign_in_child(void *arg)
{
	CK_SESSION_HANDLE s = *(CK_SESSION_HANDLE *)arg;

	return sign(s, shared_key) == CKR_OK ? NULL : (void *)1;
}

/* In the child two threads come in at once. */
static void
child_of_threads(CK_SESSION_HANDLE s)
{
	CK_SESSION_HANDLE other = 0;
	pthread_t t;
	void *failed;

	/* What hangs is killed; the status tells. */
	(void)alarm(30);
	STEP(1, pthread_create(&t, NULL, sign_in_child, &s) == 0);
	STEP(2, C_OpenSession(the_slot(), RO, NULL, NULL, &other) == CKR_OK);
	STEP(3, sign(other, shared_key) == CKR_OK);
	STEP(4, pthread_join(t, &failed) == 0 && failed == NULL);
	STEP(5, C_CloseAllSessions(the_slot()) == CKR_OK);
	STEP(6, C_Finalize(NULL) == CKR_OK);
	_exit(0);
}

static void
c_fork_while_threads_hold_every_lock(void **state)
{
	CK_SESSION_HANDLE s;
	pthread_t t[4];

	(void)state;
	NEEDS_MACHINE();
#ifdef SANITIZED
	skip();
#endif
	s = begin(&shared_key);
	atomic_store(&stop_threads, 0);
	for (size_t i = 0; i < NELEMS(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, be_busy, NULL), 0);
	for (int i = 0; i < 40; i++) {
		pid_t pid;

		usleep(3000 + 700 * (unsigned)i);
		pid = fork();
		if (pid == 0)
			child_of_threads(s);
		join(pid);
	}
	atomic_store(&stop_threads, 1);
	for (size_t i = 0; i < NELEMS(t); i++) {
		void *failed;

		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
	assert_ok(sign(s, shared_key));
}

/* The admission of the parent is not the child's: evidence is its own. */
static void
child_attests_anew(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	pid_t pid;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&key);
	machine_ctl(&scene.m, "set debug on");
	pid = fork();
	if (pid == 0) {
		STEP(1, sign(s, key) == CKR_KEY_FUNCTION_NOT_PERMITTED);
		STEP(2, find(s, CKO_PRIVATE_KEY, "ec") == 0);
		machine_reset(&scene.m);
		usleep(20000);
		STEP(3, sign(s, key) == CKR_OK);
		_exit(0);
	}
	join(pid);
	/* The parent was not asked, and its keys are where they were. */
	assert_ok(sign(s, key));
}

#define WORKERS 8

/* How a worker goes; what the master notices of it is its status. */
enum leaving { LEAVES, FINALIZES, EXECS, EXITS, IS_KILLED, N_LEAVINGS };

/* Signs until the master writes into the pipe, once at least. */
static void
work(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key, int until, enum leaving how)
{
	struct pollfd over = { .fd = until, .events = POLLIN };

	(void)alarm(60);
	/* Every other one begins anew, the others go on as they are. */
	if (how % 2 == 1) {
		STEP(1, C_Initialize(NULL) == CKR_OK);
		STEP(2,
		    C_OpenSession(the_slot(), RO, NULL, NULL, &s) == CKR_OK);
	}
	do
		STEP(3, sign(s, key) == CKR_OK);
	while (poll(&over, 1, 0) == 0 || how == IS_KILLED);
	STEP(4, C_SignInit(s, MECH(CKM_ECDSA), key) == CKR_OK);
	if (how == FINALIZES)
		STEP(5, C_Finalize(NULL) == CKR_OK);
	if (how == EXECS)
		(void)execl("/bin/true", "true", NULL);
#ifndef SANITIZED
	if (how == EXITS)
		exit(0);
#endif
	_exit(how == EXECS ? 6 : 0);
}

struct generation {
	pid_t pid[WORKERS];
	size_t n;
	int fd;
};

static void
fork_workers(struct generation *g, size_t n, CK_SESSION_HANDLE s,
    CK_OBJECT_HANDLE key)
{
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	*g = (struct generation){ .n = n, .fd = fd[1] };
	(void)fflush(NULL);
	for (size_t i = 0; i < n; i++) {
		g->pid[i] = fork();
		if (g->pid[i] != 0)
			continue;
		(void)close(fd[1]);
		work(s, key, fd[0], i % N_LEAVINGS);
	}
	(void)close(fd[0]);
}

static void
end_workers(struct generation *g)
{
	int status;

	assert_int_equal(write(g->fd, "", 1), 1);
	for (size_t i = 0; i < g->n; i++) {
		if (i % N_LEAVINGS != IS_KILLED) {
			join(g->pid[i]);
			continue;
		}
		(void)kill(g->pid[i], SIGKILL);
		assert_int_equal(waitpid(g->pid[i], &status, 0), g->pid[i]);
		/* What went wrong before that would have ended it. */
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
	}
	(void)close(g->fd);
}

/* nginx -s reload, fifty times: the old workers end while the new ones and
 * the master are at work, each in its own way. */
static void
d_master_reloads_its_workers(void **state)
{
	struct generation now, next;
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&key);
	fork_workers(&now, WORKERS, s, key);
	for (int i = 0; i < 50; i++) {
		CK_SESSION_HANDLE mine = open_session(RW);

		assert_int_equal(find(mine, CKO_PRIVATE_KEY, "ec"), key);
		fork_workers(&next, i == 49 ? WORKERS : 2, s, key);
		assert_ok(sign(mine, key));
		end_workers(&now);
		assert_ok(C_CloseSession(mine));
		now = next;
	}
	end_workers(&now);
	assert_ok(sign(s, key));
}

#define CHILDREN 4
#define NONCES 3

/* Writes the evidence of the inherited session and of one of its own. */
static void
write_evidence(CK_SESSION_HANDLE s, int fd, CK_OBJECT_HANDLE key)
{
	for (int i = 0; i < NONCES; i++) {
		CK_ATTRIBUTE a = { CKA_VALUE, NULL, 0 };
		CK_OBJECT_HANDLE h;
		const char *root;
		char *text;

		STEP(1, sign(s, key) == CKR_OK);
		h = find(s, CKO_DATA, "attestation");
		STEP(2, C_GetAttributeValue(s, h, &a, 1) == CKR_OK);
		text = calloc(1, a.ulValueLen + 1);
		a.pValue = text;
		STEP(3, C_GetAttributeValue(s, h, &a, 1) == CKR_OK);
		root = strstr(text, "\"root\"");
		STEP(4, root != NULL && strlen(root) > 80);
		STEP(5, write(fd, root, 80) == 80);
		STEP(6,
		    C_OpenSession(the_slot(), RO, NULL, NULL, &s) == CKR_OK);
	}
	_exit(0);
}

static void
e_children_never_share_a_nonce(void **state)
{
	char roots[CHILDREN * NONCES][80];
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	pid_t pid[CHILDREN];
	int fd[2];

	(void)state;
	NEEDS_MACHINE();
	s = begin(&key);
	assert_int_equal(pipe(fd), 0);
	for (size_t i = 0; i < CHILDREN; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			write_evidence(s, fd[1], key);
	}
	for (size_t i = 0; i < CHILDREN; i++)
		join(pid[i]);
	for (size_t i = 0; i < CHILDREN * NONCES; i++)
		assert_int_equal(read(fd[0], roots[i], 80), 80);
	for (size_t i = 0; i < CHILDREN * NONCES; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(roots[i], roots[j], 80);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* Grandchildren, and a parent that ends first. */
static void
generations(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	pid_t pid;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&key);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 5; i++) {
			int status = 0;
			pid_t next = fork();

			if (next == 0)
				continue;
			STEP(2, waitpid(next, &status, 0) == next);
			_exit(WEXITSTATUS(status));
		}
		STEP(1, sign(s, key) == CKR_OK);
		_exit(0);
	}
	join(pid);
	assert_ok(sign(s, key));
}

/* The last session that a child closes is not the parent's. */
static void
logout_stays_in_the_child(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	pid_t pid;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&key);
	pid = fork();
	if (pid == 0) {
		STEP(1, C_Logout(s) == CKR_OK);
		STEP(2, sign(s, key) == CKR_KEY_HANDLE_INVALID);
		STEP(3, C_CloseAllSessions(the_slot()) == CKR_OK);
		_exit(0);
	}
	join(pid);
	assert_ok(sign(s, key));
}

#define TEST(fn) cmocka_unit_test_teardown(fn, loaded_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_child_signs_with_what_it_inherited),
		TEST(b_child_finalizes_while_the_parent_signs),
		TEST(c_fork_while_threads_hold_every_lock),
		TEST(d_master_reloads_its_workers),
		TEST(e_children_never_share_a_nonce),
		TEST(child_initialises_again),
		TEST(child_attests_anew),
		TEST(generations),
		TEST(logout_stays_in_the_child),
	};

	return cmocka_run_group_tests_name("fork", tests, start, stop);
}
