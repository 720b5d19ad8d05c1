/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/token-fixture.h"

/* The newest time of verified collateral, as the store keeps it. */

#define T0 1750000000LL

static int
note(struct fixture *f, int64_t time, struct why *why)
{
	return token_note_time(f->token, &f->permit, time, why);
}

static void
ready(struct fixture *f)
{
	fixture_ready(f);
	assert_int_equal(token_time_mark(f->token), 0);
	ok(login_user(f, USER_PIN, why));
	assert_int_equal(token_time_mark(f->token), 0);
	ok(note(f, T0, why));
	assert_int_equal(token_time_mark(f->token), T0);
}

/* What a later process knows once it has unsealed the token. */
static int64_t
later_process(struct fixture *f)
{
	fixture_restart(f);
	assert_int_equal(token_time_mark(f->token), 0);
	ok(login_user(f, USER_PIN, why));
	return token_time_mark(f->token);
}

static void
forgotten_at_restart(void **state)
{
	_cleanup_(fixture_free) struct fixture f;

	(void)state;
	ready(&f);
	assert_int_equal(later_process(&f), T0);
	ok(note(&f, T0 + 1, why));
	insert_object(&f, 1, "web", false); /* other writes keep it */
	assert_int_equal(later_process(&f), T0 + 1);
}

static void
copy_store(const struct fixture *f, const char *from, const char *to)
{
	char cmd[256];

	(void)snprintf(cmd, sizeof(cmd), "cp -p %s/%s %s/%s", f->dir, from,
	    f->dir, to);
	assert_int_equal(system(cmd), 0);
}

static void
goes_back(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct stat before, after;

	(void)state;
	ready(&f);
	assert_int_equal(stat(f.path, &before), 0);
	ok(note(&f, T0 - 1, why));
	ok(note(&f, T0, why));
	ok(note(&f, 0, why));
	ok(note(&f, INT64_MIN, why));
	assert_int_equal(token_time_mark(f.token), T0);
	assert_int_equal(stat(f.path, &after), 0);
	/* Nor is the store written for it. */
	assert_memory_equal(&before.st_mtim, &after.st_mtim,
	    sizeof(before.st_mtim));
	assert_int_equal(later_process(&f), T0);
}

/* An older copy of the store under a process that has it open is refused; the
 * process keeps its time. A process that starts on the copy knows no better
 * than the copy. */
static void
store_copied_back(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct why denied = { 0 };
	uint64_t version;

	(void)state;
	ready(&f);
	copy_store(&f, "web.db", "old.db");
	ok(note(&f, T0 + 100, why));
	copy_store(&f, "old.db", "web.db");
	assert_int_equal(records_version(f.token, &version, &denied),
	    CVM_E_CORRUPT);
	assert_int_equal(token_time_mark(f.token), T0 + 100);
	assert_int_equal(later_process(&f), T0);
}

static void
not_shared_between_processes(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct token *mine, *other = NULL;
	uint64_t version;

	(void)state;
	ready(&f);
	mine = f.token;
	ok(token_new(&f.cfg, &f.issuer, &other));
	f.token = other;
	ok(login_user(&f, USER_PIN, why));
	ok(note(&f, T0 + 7, why));
	f.token = mine;
	ok(records_version(f.token, &version, why));
	assert_int_equal(token_time_mark(f.token), T0 + 7);
	/* Of two, the later stays. */
	ok(note(&f, T0 + 9, why));
	f.token = other;
	assert_int_equal(token_time_mark(other), T0 + 7);
	ok(note(&f, T0 + 8, why));
	ok(records_version(other, &version, why));
	assert_int_equal(token_time_mark(other), T0 + 9);
	token_freep(&other);
	f.token = mine;
	assert_int_equal(later_process(&f), T0 + 9);
}

/* No file can be written any more, as on a disk that is full. */
static void
disk_full(bool full)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	l.rlim_cur = full ? 0 : l.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void
store_not_writable(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct why denied = { 0 };
	int err;

	(void)state;
	ready(&f);
	disk_full(true);
	err = note(&f, T0 + 5, &denied);
	disk_full(false);
	assert_int_not_equal(err, CVM_OK);
	/* Judged by it all the same, and not tried with every round. */
	assert_int_equal(token_time_mark(f.token), T0 + 5);
	ok(note(&f, T0 + 5, why));
	assert_int_equal(later_process(&f), T0);
}

static void
raised_by_the_unadmitted(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	const struct permit none = { 0 };
	struct why denied = { 0 };

	(void)state;
	ready(&f);
	refused(CVM_E_PERMIT, token_note_time(f.token, &none, T0 + 9, why));
	permit_revoke_all(&f.issuer);
	refused(CVM_E_PERMIT, note(&f, T0 + 9, why));
	assert_int_equal(token_time_mark(f.token), T0);
	new_permit(&f);
	token_wipe(f.token);
	assert_int_equal(note(&f, T0 + 9, &denied), CVM_E_SEALED);
	assert_int_equal(token_time_mark(f.token), T0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forgotten_at_restart),
		cmocka_unit_test(goes_back),
		cmocka_unit_test(store_copied_back),
		cmocka_unit_test(not_shared_between_processes),
		cmocka_unit_test(store_not_writable),
		cmocka_unit_test(raised_by_the_unadmitted),
	};

	return cmocka_run_group_tests_name("mark", tests, NULL, NULL);
}
