/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scene.h"

/*
 * Nobody waits for what another session's call waits for: a call that is
 * stuck, and provably still is, when the others have come back.
 */
static struct scene scene;

/* Another process, which holds the store for as long as it is told to. */
static struct {
	pid_t pid;
	int to, from;
} holder;

static void
hold(sqlite3 *db, int in, int out)
{
	const char *file = sqlite3_db_filename(db, "main");
	struct pollfd p = { .fd = in, .events = POLLIN };
	char c = 0;

	for (;;) {
		/* As if it got on: who waits for it does so longer. */
		if (poll(&p, 1, 50) == 0) {
			if (c == 'w' || c == 'x')
				(void)utimensat(AT_FDCWD, file, NULL, 0);
			continue;
		}
		if (read(in, &c, 1) != 1)
			_exit(0);
		if (sqlite3_exec(db,
			c == 'w'     ? "BEGIN IMMEDIATE" :
			    c == 'x' ? "BEGIN EXCLUSIVE" :
				       "ROLLBACK",
			NULL, NULL, NULL) != SQLITE_OK ||
		    write(out, &c, 1) != 1)
			_exit(1);
	}
}

/* Before this process has anything to do with SQLite. */
static void
holder_start(void)
{
	int to[2], from[2];
	char path[96];
	sqlite3 *db;

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	holder.pid = fork();
	assert_true(holder.pid >= 0);
	if (holder.pid == 0) {
		(void)close(to[1]);
		(void)close(from[0]);
		(void)snprintf(path, sizeof(path), "%s/web.db", scene.m.dir);
		if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) !=
		    SQLITE_OK)
			_exit(1);
		(void)sqlite3_busy_timeout(db, 10000);
		hold(db, to[0], from[1]);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	holder.to = to[1];
	holder.from = from[0];
}

static void
holder_do(char c)
{
	char done = 0;

	assert_int_equal(write(holder.to, &c, 1), 1);
	assert_int_equal(read(holder.from, &done, 1), 1);
	assert_int_equal(done, c);
}

/* What other threads do, and how far they are. */
struct call {
	CK_SESSION_HANDLE s;
	CK_RV (*fn)(struct call *c);
	CK_OBJECT_HANDLE h;
	atomic_bool begun, done;
	CK_RV rv;
	pid_t tid;
	pthread_t thread;
};

static CK_SESSION_HANDLE mine, theirs;
static CK_OBJECT_HANDLE key;

static void *
run(void *arg)
{
	struct call *c = arg;

	c->tid = gettid();
	atomic_store(&c->begun, true);
	c->rv = c->fn(c);
	atomic_store(&c->done, true);
	return NULL;
}

static bool
is_asleep(const struct call *c)
{
	char path[64], state = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", c->tid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	(void)fclose(f);
	return state == 'S' || state == 'D';
}

/* Until it waits for something other than a processor, and has for a while:
 * what has a lock to take has it by then. */
static void
launch(struct call *c)
{
	int looks = 0;

	atomic_store(&c->begun, false);
	atomic_store(&c->done, false);
	assert_int_equal(pthread_create(&c->thread, NULL, run, c), 0);
	while (!atomic_load(&c->begun))
		(void)usleep(1000);
	while (looks < 20 && !atomic_load(&c->done)) {
		looks = is_asleep(c) ? looks + 1 : 0;
		(void)usleep(5000);
	}
}

static void
begin(struct call *c)
{
	launch(c);
	assert_false(atomic_load(&c->done));
}

static void
end(struct call *c)
{
	assert_int_equal(pthread_join(c->thread, NULL), 0);
	assert_rv(CKR_OK, c->rv);
}

static CK_RV
make_object(struct call *c)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE templ[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &no, 1 },
		{ CKA_VALUE, &yes, 1 } };

	return C_CreateObject(c->s, templ, 4, &c->h);
}

static CK_RV
find_all(struct call *c)
{
	CK_ULONG n = 0;
	CK_RV rv = C_FindObjectsInit(c->s, NULL, 0);

	if (rv == CKR_OK)
		rv = C_FindObjects(c->s, &c->h, 1, &n);
	if (rv == CKR_OK)
		rv = C_FindObjectsFinal(c->s);
	return rv != CKR_OK ? rv : n == 1 ? CKR_OK : CKR_GENERAL_ERROR;
}

static CK_RV
open_one(struct call *c)
{
	CK_RV rv = C_OpenSession(the_slot(), RO, NULL, NULL, &c->s);

	return rv == CKR_OK ? C_CloseSession(c->s) : rv;
}

static CK_RV
stretch(struct call *c)
{
	CK_BYTE salt[4] = { 1 };
	CK_UTF8CHAR password[] = "password";
	CK_PKCS5_PBKD2_PARAMS2 p = { CKZ_SALT_SPECIFIED, salt, sizeof(salt),
		4000000, CKP_PKCS5_PBKD2_HMAC_SHA256, NULL, 0, password, 8 };
	CK_MECHANISM m = { CKM_PKCS5_PBKD2, &p, sizeof(p) };
	CK_ULONG len = 32;
	CK_KEY_TYPE type = CKK_AES;
	CK_ATTRIBUTE templ[] = { { CKA_KEY_TYPE, &type, sizeof(type) },
		{ CKA_VALUE_LEN, &len, sizeof(len) } };

	return C_GenerateKey(c->s, &m, templ, 2, &c->h);
}

/* With a table that is due for a look at the store. */
static void
sign(void)
{
	CK_BYTE in[32] = { 1 }, sig[64];
	CK_ULONG n = sizeof(sig);

	assert_ok(C_SignInit(mine, MECH(CKM_ECDSA), key));
	assert_ok(C_Sign(mine, in, sizeof(in), sig, &n));
	assert_int_equal(n, sizeof(sig));
}

static void
let_trust_end(void)
{
	(void)usleep(1200000);
}

static void
need_machine(void)
{
	if (!scene.there)
		skip();
}

static void
others_wait_for_a_writer(void **state)
{
	struct call c = { .s = theirs, .fn = make_object };
	struct call look = { .s = mine };

	(void)state;
	need_machine();
	holder_do('w');
	begin(&c);
	let_trust_end();
	sign();
	assert_ok(find_all(&look));
	assert_ok(open_one(&look));
	assert_false(atomic_load(&c.done));
	holder_do('r');
	end(&c);
	assert_ok(C_DestroyObject(theirs, c.h));
}

static void
signer_waits_for_a_reader(void **state)
{
	struct call c = { .s = theirs, .fn = find_all };

	(void)state;
	need_machine();
	holder_do('x');
	begin(&c);
	let_trust_end();
	sign();
	assert_false(atomic_load(&c.done));
	holder_do('r');
	end(&c);
}

static void
signer_waits_for_a_store_that_is_held(void **state)
{
	struct call c = { .s = theirs, .fn = make_object };

	(void)state;
	need_machine();
	holder_do('x');
	let_trust_end();
	sign();
	begin(&c);
	sign();
	assert_false(atomic_load(&c.done));
	holder_do('r');
	end(&c);
	assert_ok(C_DestroyObject(theirs, c.h));
}

/* What ends by itself may do so before the others had a processor. */
#define TRIES 8

static void
others_wait_for_evidence(void **state)
{
	struct call c = { .fn = open_one }, look = { .s = mine };
	CK_BYTE random[32];
	bool proven = false;

	(void)state;
	need_machine();
	machine_ctl(&scene.m, "set tsm.delay_ms 5000");
	for (int i = 0; i < TRIES && !proven; i++) {
		let_trust_end();
		launch(&c);
		sign();
		assert_ok(find_all(&look));
		assert_ok(C_GenerateRandom(theirs, random, sizeof(random)));
		proven = !atomic_load(&c.done);
		/* What became of it is another test's. */
		assert_int_equal(pthread_join(c.thread, NULL), 0);
	}
	assert_true(proven);
	machine_ctl(&scene.m, "set tsm.delay_ms 0");
}

static void
others_wait_for_slow_mathematics(void **state)
{
	struct call c = { .s = theirs, .fn = stretch };
	struct call look = { .s = mine }, own = { .s = mine };
	bool proven = false;

	(void)state;
	need_machine();
	for (int i = 0; i < TRIES && !proven; i++) {
		atomic_store(&c.begun, false);
		atomic_store(&c.done, false);
		assert_int_equal(pthread_create(&c.thread, NULL, run, &c), 0);
		while (!atomic_load(&c.begun))
			(void)usleep(1000);
		(void)usleep(200000); /* well inside, of seconds */
		sign();
		assert_ok(find_all(&look));
		assert_ok(open_one(&look));
		assert_ok(make_object(&own));
		assert_ok(C_DestroyObject(mine, own.h));
		proven = !atomic_load(&c.done);
		end(&c);
	}
	assert_true(proven);
}

static int
start(void **state)
{
	CK_BYTE p256[] = { 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
	struct scene_options o = { .max_age_s = 3600 };
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, p256, sizeof(p256) } };
	CK_ATTRIBUTE priv[] = { { CKA_TOKEN, &yes, 1 }, { CKA_SIGN, &yes, 1 } };
	CK_OBJECT_HANDLE other;

	(void)state;
	scene_start(&scene);
	if (!scene.there)
		return 0;
	scene_prepare(&scene, &o);
	holder_start();
	assert_ok(C_Initialize(NULL));
	mine = open_session(RW);
	theirs = open_session(RW);
	login(mine);
	assert_ok(C_GenerateKeyPair(mine, MECH(CKM_EC_KEY_PAIR_GEN), pub, 1,
	    priv, 2, &other, &key));
	sign();
	return 0;
}

static int
stop(void **state)
{
	int status = 0;

	(void)state;
	if (holder.pid > 0) {
		(void)close(holder.to);
		(void)close(holder.from);
		(void)waitpid(holder.pid, &status, 0);
	}
	scene_stop(&scene);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_wait_for_a_writer),
		cmocka_unit_test(signer_waits_for_a_reader),
		cmocka_unit_test(signer_waits_for_a_store_that_is_held),
		cmocka_unit_test(others_wait_for_evidence),
		cmocka_unit_test(others_wait_for_slow_mathematics),
	};

	return cmocka_run_group_tests_name("locks", tests, start, stop);
}
