/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/fake-clock.h"
#include "tests/unit/token-fixture.h"

/* The newest time of verified collateral, and the newest issue of each list, as
 * the store keeps them. */

#define T0 1750000000LL

static int
note(struct fixture *f, int64_t time, struct why *why)
{
	return token_note(f->token, &f->permit, time, NULL, why);
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

/* A thing of that number: its issue of this time. */
static int
note_issue(struct fixture *f, uint8_t thing, int64_t time, struct why *why)
{
	struct seen seen = { .n = 1, .v[0].time = time };

	memset(seen.v[0].id, thing, SHA256_LEN);
	return token_note(f->token, &f->permit, 0, &seen, why);
}

/* Of the issue that the token knows; -1: of none. */
static int64_t
issue(struct fixture *f, uint8_t thing)
{
	struct seen seen = { 0 };

	token_seen(f->token, &seen);
	assert_true((seen.n == 0) == (token_seen_version(f->token) == 0));
	for (size_t i = 0; i < seen.n; i++)
		if (seen.v[i].id[0] == thing)
			return seen.v[i].time;
	return -1;
}

static void
issue_forgotten_at_restart(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	uint64_t version;

	(void)state;
	ready(&f);
	assert_int_equal(issue(&f, 1), -1);
	ok(note_issue(&f, 2, T0, why));
	ok(note_issue(&f, 1, T0 + 5, why));
	ok(note_issue(&f, 2, T0 - 1, why));
	insert_object(&f, 1, "web", false); /* other writes keep them */
	assert_int_equal(later_process(&f), T0);
	assert_int_equal(issue(&f, 1), T0 + 5);
	assert_int_equal(issue(&f, 2), T0);
	assert_int_equal(issue(&f, 3), -1);
	version = token_seen_version(f.token);
	ok(note_issue(&f, 1, T0 + 5, why));
	assert_int_equal(token_seen_version(f.token), version);
	ok(note_issue(&f, 1, T0 + 6, why));
	assert_true(token_seen_version(f.token) > version);
}

/* Nor does one that only reads find out too late. */
static void
issue_not_shared_between_processes(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct token *mine, *other = NULL;

	(void)state;
	ready(&f);
	mine = f.token;
	ok(token_new(&f.cfg, &f.issuer, &other));
	f.token = other;
	token_learn(other); /* sealed: nothing to learn from */
	assert_int_equal(issue(&f, 1), -1);
	ok(login_user(&f, USER_PIN, why));
	ok(note_issue(&f, 1, T0 + 7, why));
	ok(note(&f, T0 + 3, why));
	f.token = mine;
	assert_int_equal(issue(&f, 1), -1);
	token_learn(mine);
	assert_int_equal(issue(&f, 1), T0 + 7);
	assert_int_equal(token_time_mark(mine), T0 + 3);
	ok(note_issue(&f, 1, T0 + 6, why));
	ok(note_issue(&f, 4, T0 + 1, why));
	f.token = other;
	token_learn(other);
	assert_int_equal(issue(&f, 1), T0 + 7);
	assert_int_equal(issue(&f, 4), T0 + 1);
	token_freep(&other);
	f.token = mine;
}

static void
store_marks(struct fixture *f, const struct manifest *m)
{
	_cleanup_(key_unrefp) struct key *key = token_key(f->token, KEY_TOKEN);
	struct token_meta meta = { 0 };
	struct manifest copy = *m;
	struct store *s = NULL;

	assert_non_null(key);
	ok(token_get_meta(f->token, &meta, why));
	store_lock();
	ok(token_store(f->token, &s, why));
	ok(store_begin(s, why));
	ok(manifest_write(s, meta.id, key->bytes, &copy, why));
	ok(store_commit(s, why));
	store_unlock();
}

static int
load_marks(struct fixture *f, struct manifest *ret, struct why *reason)
{
	_cleanup_(key_unrefp) struct key *key = token_key(f->token, KEY_TOKEN);
	struct token_meta meta = { 0 };
	struct store *s = NULL;
	int err;

	assert_non_null(key);
	ok(token_get_meta(f->token, &meta, why));
	store_lock();
	ok(token_store(f->token, &s, why));
	err = manifest_read(s, meta.id, key->bytes, ret, reason);
	store_unlock();
	return err;
}

/* By somebody who has the token's key, and another program. */
static void
marks_out_of_order(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct manifest good = { 0 }, m;

	(void)state;
	ready(&f);
	ok(note_issue(&f, 1, T0, why));
	ok(note_issue(&f, 2, T0 + 1, why));
	ok(load_marks(&f, &good, why));
	assert_int_equal(good.seen.n, 2);
	store_marks(&f, &good);
	ok(load_marks(&f, &m, why));
	m = good;
	m.seen.v[0].id[0] = 3; /* descending */
	store_marks(&f, &m);
	refused(CVM_E_CORRUPT, load_marks(&f, &m, why));
	m = good;
	m.seen.v[0].id[0] = m.seen.v[1].id[0]; /* not quite the same */
	store_marks(&f, &m);
	ok(load_marks(&f, &m, why));
	m = good;
	m.seen.v[0] = m.seen.v[1]; /* twice */
	store_marks(&f, &m);
	refused(CVM_E_CORRUPT, load_marks(&f, &m, why));
	m = good;
	m.seen.v[1].time = -1;
	store_marks(&f, &m);
	refused(CVM_E_CORRUPT, load_marks(&f, &m, why));
	m = good;
	m.time = -1;
	store_marks(&f, &m);
	refused(CVM_E_CORRUPT, load_marks(&f, &m, why));
	store_marks(&f, &good);
	ok(load_marks(&f, &m, why));
	assert_memory_equal(&m.seen, &good.seen, sizeof(m.seen));
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

/* A full disk delays the writing, and loses nothing. */
static void
owed_for_ever(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct why denied = { 0 };
	int err;

	(void)state;
	ready(&f);
	assert_false(token_owes(f.token));
	disk_full(true);
	err = note_issue(&f, 1, T0 + 5, &denied);
	disk_full(false);
	assert_int_not_equal(err, CVM_OK);
	assert_int_equal(issue(&f, 1), T0 + 5);
	assert_false(token_owes(f.token)); /* not with every round */
	fake_clock_pass(UINT64_C(61) * 1000);
	assert_true(token_owes(f.token));
	disk_full(true);
	err = note_issue(&f, 1, T0 + 5, &denied);
	disk_full(false);
	assert_int_not_equal(err, CVM_OK);
	fake_clock_pass(UINT64_C(61) * 1000);
	new_permit(&f);
	ok(note(&f, 0, why));
	assert_false(token_owes(f.token));
	assert_int_equal(later_process(&f), T0);
	assert_int_equal(issue(&f, 1), T0 + 5);
}

/* What is written for another reason takes it along. */
static void
owed_beside_other_writes(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	struct why denied = { 0 };
	int err;

	(void)state;
	ready(&f);
	disk_full(true);
	err = note_issue(&f, 1, T0 + 5, &denied);
	if (err != CVM_OK)
		err = note(&f, T0 + 6, &denied);
	disk_full(false);
	assert_int_not_equal(err, CVM_OK);
	insert_object(&f, 1, "web", false);
	assert_int_equal(later_process(&f), T0 + 6);
	assert_int_equal(issue(&f, 1), T0 + 5);
}

static void
raised_by_the_unadmitted(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	const struct permit none = { 0 };
	struct why denied = { 0 };

	(void)state;
	ready(&f);
	refused(CVM_E_PERMIT, token_note(f.token, &none, T0 + 9, NULL, why));
	permit_revoke_all(&f.issuer);
	refused(CVM_E_PERMIT, note(&f, T0 + 9, why));
	assert_int_equal(token_time_mark(f.token), T0);
	new_permit(&f);
	token_wipe(f.token);
	assert_int_equal(note(&f, T0 + 9, &denied), CVM_E_SEALED);
	assert_int_equal(note_issue(&f, 1, T0, &denied), CVM_E_SEALED);
	assert_int_equal(issue(&f, 1), -1);
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
		cmocka_unit_test(issue_forgotten_at_restart),
		cmocka_unit_test(issue_not_shared_between_processes),
		cmocka_unit_test(marks_out_of_order),
		cmocka_unit_test(owed_for_ever),
		cmocka_unit_test(owed_beside_other_writes),
		cmocka_unit_test(raised_by_the_unadmitted),
	};

	return cmocka_run_group_tests_name("mark", tests, NULL, NULL);
}
