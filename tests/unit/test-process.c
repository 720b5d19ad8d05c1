/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "base/cleanup.h"
#include "tests/unit/loaded.h"
#include "tests/unit/scene-program.h"

/*
 * The module's file in processes: loaded, unloaded, forked around, left in the
 * middle of things, ended in every order with the host's OpenSSL; and what one
 * process changes, another sees.
 */

/* The sanitizers' own allocators do not survive a fork among threads, nor do
 * they show how much memory there is. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define sanitized true
#else
#define sanitized false
#endif

/* What a module has for the life of the process, and what one that was not
 * finalized had, is lost when it is unloaded. */
int
__lsan_is_turned_off(void)
{
	return 1;
}

#define STEP(n, ok)                                                            \
	if (!(ok))                                                             \
	_exit(n)

static CK_BYTE data[64] = { 1, 2, 3 }, iv[16];

static void
prepare(void)
{
	scene_forget_stderr(&scene);
	scene_prepare(&scene, &(struct scene_options){ 0 });
}

static CK_SESSION_HANDLE
begin(void)
{
	CK_SESSION_HANDLE s;

	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	login(s);
	return s;
}

static CK_RV
sign(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_BYTE sig[128];
	CK_ULONG n = sizeof(sig);
	CK_RV rv = C_SignInit(s, MECH(CKM_ECDSA), key);

	return rv != CKR_OK ? rv : C_Sign(s, data, 32, sig, &n);
}

static void
join(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		print_error("child: step %d, signal %d\n", WEXITSTATUS(status),
		    WTERMSIG(status));
	assert_int_equal(status, 0);
}

/* From nothing to a signature, and back. */
static int
whole_life(void)
{
	CK_SESSION_HANDLE s;
	CK_SLOT_ID slot;
	CK_ULONG n = 1;
	CK_UTF8CHAR pin[] = USER_PIN;

	if (C_Initialize(NULL) != CKR_OK ||
	    C_GetSlotList(CK_TRUE, &slot, &n) != CKR_OK ||
	    C_OpenSession(slot, RW, NULL, NULL, &s) != CKR_OK ||
	    C_Login(s, CKU_USER, pin, sizeof(pin) - 1) != CKR_OK)
		return 11;
	if (sign(s, find(s, CKO_PRIVATE_KEY, "ec")) != CKR_OK)
		return 12;
	return C_Finalize(NULL) == CKR_OK ? 0 : 13;
}

/* Loaded, and no more: both become programs of their own. */
static void
fork_before_initialize(void **state)
{
	CK_OBJECT_HANDLE key;
	CK_SESSION_HANDLE s;
	pid_t pid[2];

	(void)state;
	NEEDS_MACHINE();
	prepare();
	pid[0] = fork();
	if (pid[0] == 0)
		_exit(whole_life());
	s = begin();
	key = find(s, CKO_PRIVATE_KEY, "ec");
	pid[1] = fork();
	if (pid[1] == 0) {
		STEP(1, C_Finalize(NULL) == CKR_OK);
		_exit(whole_life());
	}
	assert_ok(sign(s, key));
	join(pid[0]);
	join(pid[1]);
	assert_ok(sign(s, key));
}

/*
 * One operation of each kind, under way, and what they give in the end.
 */
struct under_way {
	CK_SESSION_HANDLE s;
	CK_BYTE digest[32], mac[32], text[64];
	CK_OBJECT_HANDLE found;
	CK_ULONG done;
};

static void
set_out(struct under_way *u)
{
	CK_MECHANISM cbc = { CKM_AES_CBC, iv, sizeof(iv) };
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE t = { CKA_CLASS, &class, sizeof(class) };
	CK_ULONG n;

	u->done = sizeof(u->text);
	assert_ok(C_DigestInit(u->s, MECH(CKM_SHA256)));
	assert_ok(C_DigestUpdate(u->s, data, 30));
	assert_ok(C_SignInit(u->s, MECH(CKM_SHA256_HMAC),
	    find(u->s, CKO_SECRET_KEY, "mac")));
	assert_ok(C_SignUpdate(u->s, data, 30));
	assert_ok(C_EncryptInit(u->s, &cbc, find(u->s, CKO_SECRET_KEY, "aes")));
	assert_ok(C_EncryptUpdate(u->s, data, 30, u->text, &u->done));
	assert_ok(C_FindObjectsInit(u->s, &t, 1));
	assert_ok(C_FindObjects(u->s, &u->found, 1, &n));
	assert_int_equal(n, 1);
}

/* The number of the step that failed, or 0. */
static int
arrive(struct under_way *u)
{
	CK_ULONG n = sizeof(u->text) - u->done;

	if (C_DigestUpdate(u->s, &data[30], 34) != CKR_OK ||
	    C_SignUpdate(u->s, &data[30], 34) != CKR_OK)
		return 21;
	if (C_EncryptUpdate(u->s, &data[30], 34, &u->text[u->done], &n) !=
	    CKR_OK)
		return 22;
	u->done += n;
	n = sizeof(u->digest);
	if (C_DigestFinal(u->s, u->digest, &n) != CKR_OK)
		return 23;
	n = sizeof(u->mac);
	if (C_SignFinal(u->s, u->mac, &n) != CKR_OK)
		return 24;
	n = sizeof(u->text) - u->done;
	if (C_EncryptFinal(u->s, &u->text[u->done], &n) != CKR_OK ||
	    u->done + n != sizeof(u->text))
		return 25;
	if (C_FindObjects(u->s, &u->found, 1, &n) != CKR_OK || n != 1 ||
	    C_FindObjectsFinal(u->s) != CKR_OK)
		return 26;
	return 0;
}

static int
arrive_at(struct under_way *u, const struct under_way *want)
{
	int failed = arrive(u);

	if (failed != 0)
		return failed;
	return memcmp(u->digest, want->digest, sizeof(u->digest)) == 0 &&
		memcmp(u->mac, want->mac, sizeof(u->mac)) == 0 &&
		memcmp(u->text, want->text, sizeof(u->text)) == 0 &&
		u->found == want->found ?
	    0 :
	    27;
}

/* Each process has its own copy, and comes to the same end with it. */
static void
fork_in_the_middle_of_operations(void **state)
{
	struct under_way want = { 0 }, u = { 0 };
	pid_t pid[3];

	(void)state;
	NEEDS_MACHINE();
	prepare();
	u.s = want.s = begin();
	set_out(&want);
	assert_int_equal(arrive(&want), 0);
	set_out(&u);
	for (size_t i = 0; i < NELEMS(pid); i++) {
		pid[i] = fork();
		if (pid[i] == 0 && i == 0)
			_exit(C_CloseAllSessions(the_slot()) == CKR_OK ? 0 : 1);
		if (pid[i] == 0)
			_exit(arrive_at(&u, &want));
	}
	join(pid[0]);
	join(pid[1]);
	assert_int_equal(arrive_at(&u, &want), 0);
	join(pid[2]);
}

/*
 * Two processes, one token: what is said over pipes is who is to do what.
 */
struct peer {
	pid_t pid;
	int in, out; /* the parent's ends */
};

enum { IS_THERE, SIGNS, RENAMES, DESTROYS, MAKES, READS };

/* What the peer can be asked; it answers with a byte, 1 for yes. */
struct question {
	int what;
	CK_OBJECT_CLASS class;
	char label[32], other[32];
};

static CK_OBJECT_HANDLE
make_data(CK_SESSION_HANDLE s, const char *label)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_HANDLE h = 0;
	char text[32];
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_LABEL, text, strlen(label) } };

	(void)snprintf(text, sizeof(text), "%s", label);
	return C_CreateObject(s, t, NELEMS(t), &h) == CKR_OK ? h : 0;
}

static bool
rename_to(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, const char *label)
{
	char text[32];
	CK_ATTRIBUTE t = { CKA_LABEL, text, strlen(label) };

	(void)snprintf(text, sizeof(text), "%s", label);
	return C_SetAttributeValue(s, h, &t, 1) == CKR_OK;
}

/* The label that the object of a handle has now. */
static bool
reads(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, const char *label)
{
	char text[32];
	CK_ATTRIBUTE t = { CKA_LABEL, text, sizeof(text) };

	return C_GetAttributeValue(s, h, &t, 1) == CKR_OK &&
	    t.ulValueLen == strlen(label) &&
	    memcmp(text, label, t.ulValueLen) == 0;
}

static bool
answer(CK_SESSION_HANDLE s, const struct question *q)
{
	CK_OBJECT_HANDLE h = find(s, q->class, q->label);

	switch (q->what) {
	case IS_THERE:
		return h != 0;
	case SIGNS:
		return h != 0 && sign(s, h) == CKR_OK;
	case RENAMES:
		return rename_to(s, h, q->other);
	case DESTROYS:
		return C_DestroyObject(s, h) == CKR_OK;
	case MAKES:
		return make_data(s, q->label) != 0;
	default:
		return reads(s, h, q->other);
	}
}

/* Initialises by itself, opens one session and answers. */
static void
be_peer(int in, int out)
{
	CK_SESSION_HANDLE s = begin();
	struct question q;

	while (read(in, &q, sizeof(q)) == (ssize_t)sizeof(q)) {
		char yes = answer(s, &q) ? 1 : 0;

		STEP(1, write(out, &yes, 1) == 1);
	}
	_exit(0);
}

static void
start_peer(struct peer *p)
{
	int there[2], back[2];

	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	p->pid = fork();
	if (p->pid == 0) {
		(void)close(there[1]);
		be_peer(there[0], back[1]);
	}
	(void)close(there[0]);
	(void)close(back[1]);
	p->out = there[1];
	p->in = back[0];
}

static bool
ask(const struct peer *p, int what, CK_OBJECT_CLASS class, const char *label,
    const char *other)
{
	struct question q = { .what = what, .class = class };
	char yes = 0;

	(void)snprintf(q.label, sizeof(q.label), "%s", label);
	(void)snprintf(q.other, sizeof(q.other), "%s", other);
	assert_int_equal(write(p->out, &q, sizeof(q)), sizeof(q));
	assert_int_equal(read(p->in, &yes, 1), 1);
	return yes != 0;
}

static void
changes_are_seen_by_others(void **state)
{
	CK_OBJECT_HANDLE mine;
	CK_SESSION_HANDLE s;
	struct peer p;

	(void)state;
	NEEDS_MACHINE();
	prepare();
	start_peer(&p);
	/* Its session is open and logged in before anything is made here. */
	assert_true(ask(&p, SIGNS, CKO_PRIVATE_KEY, "ec", ""));
	assert_false(ask(&p, IS_THERE, CKO_DATA, "one", ""));
	s = begin();
	assert_int_not_equal(mine = make_data(s, "one"), 0);
	assert_true(ask(&p, IS_THERE, CKO_DATA, "one", ""));
	assert_true(rename_to(s, mine, "two"));
	assert_false(ask(&p, IS_THERE, CKO_DATA, "one", ""));
	assert_true(ask(&p, READS, CKO_DATA, "two", "two"));
	/* And the other way round, in the session that is open here. */
	assert_true(ask(&p, RENAMES, CKO_DATA, "two", "three"));
	assert_int_equal(find(s, CKO_DATA, "two"), 0);
	assert_int_equal(find(s, CKO_DATA, "three"), mine);
	assert_true(reads(s, mine, "three"));
	assert_true(ask(&p, MAKES, CKO_DATA, "its", ""));
	assert_int_not_equal(find(s, CKO_DATA, "its"), 0);
	assert_true(ask(&p, DESTROYS, CKO_DATA, "three", ""));
	assert_int_equal(find(s, CKO_DATA, "three"), 0);
	assert_rv(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(s, mine));
	assert_ok(C_DestroyObject(s, find(s, CKO_DATA, "its")));
	assert_false(ask(&p, IS_THERE, CKO_DATA, "its", ""));
	(void)close(p.out);
	join(p.pid);
	(void)close(p.in);
}

/* The store is asked for news now and then, not at each use of a handle. */
static bool
soon_reads(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, const char *label,
    bool want)
{
	for (int i = 0; i < 1000 && reads(s, h, label) != want; i++)
		(void)usleep(10000);
	return reads(s, h, label);
}

/* Without a search in between, what has changed is not told at once, but
 * soon. */
static void
changes_are_seen_without_a_search(void **state)
{
	CK_OBJECT_HANDLE h;
	CK_SESSION_HANDLE s;
	struct peer p;

	(void)state;
	NEEDS_MACHINE();
	prepare();
	start_peer(&p);
	s = begin();
	assert_int_not_equal(h = make_data(s, "one"), 0);
	assert_true(reads(s, h, "one"));
	assert_true(ask(&p, RENAMES, CKO_DATA, "one", "two"));
	assert_true(soon_reads(s, h, "two", true));
	assert_true(ask(&p, DESTROYS, CKO_DATA, "two", ""));
	assert_false(soon_reads(s, h, "two", false));
	assert_rv(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(s, h));
	(void)close(p.out);
	join(p.pid);
	(void)close(p.in);
}

/*
 * Loading and unloading.
 */
static size_t
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

/* Programs that look for modules do this all day. */
static void
thousand_initialisations(void **state)
{
	size_t fds = 0, bytes = 0;

	(void)state;
	NEEDS_MACHINE();
	prepare();
	for (int i = 0; i < 1100; i++) {
		if (i == 500) {
			fds = count_fds();
			bytes = mallinfo2().uordblks;
		}
		assert_ok(C_Initialize(NULL));
		(void)the_slot();
		if (i % 55 == 0)
			login(open_session(RW));
		assert_ok(C_Finalize(NULL));
		assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, C_Finalize(NULL));
	}
	assert_int_equal(count_fds(), fds);
	if (!sanitized)
		assert_in_range(mallinfo2().uordblks, 0, bytes + 32768);
}

/* Sessions, a login and operations, and nobody says goodbye. */
static void
unloaded_in_the_middle(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	prepare();
	for (int i = 0; i < 3; i++) {
		struct under_way u = { 0 };
		pid_t pid;

		u.s = begin();
		set_out(&u);
		unload();
		/* What is loaded next knows nothing of it. */
		assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, C_Finalize(NULL));
		pid = fork();
		if (pid == 0)
			_exit(whole_life());
		join(pid);
	}
}

/* p11-kit and an engine, say, have the same file: that is one module. */
static void
loaded_twice(void **state)
{
	CK_FUNCTION_LIST *again;
	CK_SESSION_HANDLE s;
	void *handle;

	(void)state;
	NEEDS_MACHINE();
	prepare();
	s = begin();
	again = load(getenv("CVM_MODULE"), &handle);
	assert_rv(CKR_CRYPTOKI_ALREADY_INITIALIZED, again->C_Initialize(NULL));
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
	assert_int_equal(dlclose(handle), 0);
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
}

/* Under two names it is two modules, in one process. */
static void
loaded_as_a_copy(void **state)
{
	_cleanup_(freep) char *command = NULL, *path = NULL;
	CK_FUNCTION_LIST *copy;
	CK_SESSION_HANDLE s, t;
	CK_OBJECT_HANDLE key;
	void *handle;

	(void)state;
	NEEDS_MACHINE();
	prepare();
	s = begin();
	key = find(s, CKO_PRIVATE_KEY, "ec");
	assert_true(asprintf(&path, "%s/copy.so", scene.m.dir) > 0);
	assert_true(
	    asprintf(&command, "cp '%s' '%s'", getenv("CVM_MODULE"), path) > 0);
	assert_int_equal(system(command), 0);
	copy = load(path, &handle);
	assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, copy->C_Finalize(NULL));
	assert_ok(copy->C_Initialize(NULL));
	assert_ok(copy->C_OpenSession(the_slot(), RO, NULL, NULL, &t));
	assert_ok(sign(s, key));
	assert_ok(copy->C_Finalize(NULL));
	assert_ok(sign(s, key));
	assert_int_equal(dlclose(handle), 0);
	assert_ok(sign(s, key));
}

static _Atomic bool over;
static CK_SESSION_HANDLE shared;

/* In all kinds of calls until the library is gone, then in its next life. */
static void *
be_busy(void *arg)
{
	struct under_way u = { 0 };
	CK_OBJECT_HANDLE key = *(CK_OBJECT_HANDLE *)arg;

	while (!atomic_load(&over)) {
		CK_MECHANISM cbc = { CKM_AES_CBC, iv, sizeof(iv) };
		CK_ULONG n = sizeof(u.text);

		(void)sign(shared, key);
		(void)C_DigestInit(shared, MECH(CKM_SHA256));
		(void)C_DigestUpdate(shared, data, sizeof(data));
		(void)C_EncryptInit(shared, &cbc, key);
		(void)C_EncryptUpdate(shared, data, 30, u.text, &n);
		(void)C_GenerateRandom(shared, u.text, sizeof(u.text));
	}
	return NULL;
}

static void
finalized_among_operations(void **state)
{
	CK_OBJECT_HANDLE key = 0;
	pthread_t t[4];

	(void)state;
	NEEDS_MACHINE();
	prepare();
	atomic_store(&over, false);
	shared = begin();
	key = find(shared, CKO_PRIVATE_KEY, "ec");
	for (size_t i = 0; i < NELEMS(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, be_busy, &key), 0);
	for (int i = 0; i < 10; i++) {
		CK_SESSION_HANDLE s;

		(void)usleep(3000);
		assert_ok(C_Finalize(NULL));
		s = begin();
		assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
	}
	atomic_store(&over, true);
	for (size_t i = 0; i < NELEMS(t); i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
	}
}

/*
 * Ends of processes. Each is a program of its own, this one with a word, so
 * that the host's OpenSSL begins when the row says.
 */
static CK_SESSION_HANDLE last;

static void
finalize_at_exit(void)
{
	CK_BYTE out[16];

	/* Whatever is left of OpenSSL: an answer, and no crash. */
	(void)C_GenerateRandom(last, out, sizeof(out));
	if (C_Finalize(NULL) != CKR_OK)
		_exit(31);
}

static void
live(void)
{
	static CK_OBJECT_HANDLE key;
	struct under_way u = { 0 };

	u.s = begin();
	set_out(&u);
	last = open_session(RO);
	key = find(last, CKO_PRIVATE_KEY, "ec");
	STEP(32, sign(last, key) == CKR_OK);
}

static void
host_first(void)
{
	STEP(34, OPENSSL_init_crypto(0, NULL) == 1);
	live();
}

/* Exit handlers run in the order opposite to this. */
static void
host_cleans_up_before(void)
{
	STEP(35, atexit(finalize_at_exit) == 0);
	host_first();
}

static void
host_cleans_up_after(void)
{
	host_first();
	STEP(36, atexit(finalize_at_exit) == 0);
}

static void
host_comes_later(void)
{
	STEP(37, atexit(finalize_at_exit) == 0);
	live();
	STEP(38, OPENSSL_init_crypto(0, NULL) == 1);
}

static void
host_cleans_up_at_once(void)
{
	host_first();
	OPENSSL_cleanup();
	finalize_at_exit();
}

static void
nobody_finalizes(void)
{
	live();
}

static void
unloaded_before_the_end(void)
{
	host_first();
	unload();
}

static const struct {
	const char *word;
	void (*run)(void);
} ends[] = {
	{ "host cleans up before us", host_cleans_up_before },
	{ "host cleans up after us", host_cleans_up_after },
	{ "host comes later", host_comes_later },
	{ "host cleans up at once", host_cleans_up_at_once },
	{ "nobody finalizes", nobody_finalizes },
	{ "unloaded before the end", unloaded_before_the_end },
};

static int
end_as(const char *word)
{
	for (size_t i = 0; i < NELEMS(ends); i++)
		if (strcmp(ends[i].word, word) == 0) {
			(void)alarm(60);
			ends[i].run();
			exit(0);
		}
	return 30;
}

static void
processes_end_in_every_order(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	prepare();
	for (size_t i = 0; i < NELEMS(ends); i++) {
		int status;
		pid_t pid;

		pid = fork();
		if (pid == 0) {
			(void)execl("/proc/self/exe", "test-process",
			    ends[i].word, NULL);
			_exit(39);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			print_error("%s: step %d, signal %d\n", ends[i].word,
			    WEXITSTATUS(status), WTERMSIG(status));
		assert_int_equal(status, 0);
	}
}

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(fork_before_initialize),
		TEST(fork_in_the_middle_of_operations),
		TEST(changes_are_seen_by_others),
		TEST(changes_are_seen_without_a_search),
		TEST(thousand_initialisations),
		TEST(unloaded_in_the_middle),
		TEST(loaded_twice),
		TEST(loaded_as_a_copy),
		TEST(finalized_among_operations),
		TEST(processes_end_in_every_order),
	};

	if (argc == 2)
		return end_as(argv[1]);
	return cmocka_run_group_tests_name("process", tests, start, stop);
}
