/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "token/store.h"

struct place {
	char dir[64], path[96];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->dir, "/tmp/test-store.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->path, sizeof(p->path), "%s/t.db", p->dir);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	char cmd[128];

	(void)umount(p->dir);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", p->dir);
	assert_int_equal(system(cmd), 0);
	free(p);
	return 0;
}

static struct span
text(const char *s)
{
	return span(s, strlen(s));
}

#define ok(call) assert_int_equal(call, CVM_OK)

static void
refused(int expected, int err, const struct why *why, const char *path)
{
	assert_int_equal(err, expected);
	assert_int_equal(why->err, expected);
	assert_int_equal(strncmp(why->where, path, strlen(path)), 0);
}

static struct store *
make(const char *path)
{
	struct store *s = NULL;

	ok(store_create(path, 0600, &s, NULL));
	ok(store_begin(s, NULL));
	ok(store_meta_set(s, "k", text("v"), NULL));
	ok(store_commit(s, NULL));
	ok(store_publish(s, false, NULL));
	return s;
}

static void
put(struct store *s, uint8_t id, size_t size)
{
	struct store_object o = { 0 };
	_cleanup_(freep) uint8_t *big = calloc(1, size + 1);

	memset(o.id, id, sizeof(o.id));
	ok(blob_set(&o.header, text("header")));
	ok(blob_set(&o.attrs_box, span(big, size)));
	ok(blob_set(&o.hint_id, span(&id, 1)));
	ok(store_begin(s, NULL));
	ok(store_object_put(s, &o, false, NULL));
	ok(store_commit(s, NULL));
	store_object_clear(&o);
}

static bool
has(struct store *s, uint8_t id)
{
	struct store_object o = { 0 };
	uint8_t full[STORE_ID_LEN];
	int err;

	memset(full, id, sizeof(full));
	err = store_object_get(s, full, &o, NULL);
	store_object_clear(&o);
	assert_true(err == CVM_OK || err == CVM_E_NOT_FOUND);
	return err == CVM_OK;
}

static void
sql(const char *path, const char *text_)
{
	sqlite3 *db = NULL;
	char *msg = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text_, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s: %s", text_, msg);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int
open_it(const char *path, struct why *why)
{
	_cleanup_(store_freep) struct store *s = NULL;

	return store_open(path, &s, why);
}

static void
missing_file(void **state)
{
	struct place *p = *state;
	struct why why = { 0 };

	refused(CVM_E_NOT_FOUND, open_it(p->path, &why), &why, p->path);
	assert_int_equal(access(p->path, F_OK), -1);
}

/* Each is told of the directory: the file is not what is wrong. */
static void
no_place_for_a_new_store(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = NULL;
	struct why why = { 0 };
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/gone/t.db", p->dir);
	assert_int_equal(store_create(path, 0600, &s, &why), CVM_E_IO);
	*strrchr(path, '/') = '\0';
	refused(CVM_E_IO, why.err, &why, path);
	assert_string_equal(why.where, path);
	assert_string_equal(why.field, "directory");
	assert_string_equal(why.got, "No such file or directory");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	(void)snprintf(path, sizeof(path), "%s/gone/t.db", p->dir);
	assert_int_equal(store_create(path, 0600, &s, &why), CVM_E_IO);
	assert_string_equal(why.got, "Not a directory");
	assert_null(s);
}

static void
directory_that_others_write(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = NULL;
	struct why why = { 0 };
	int err;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(p->dir, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	err = store_create(p->path, 0600, &s, &why);
	assert_int_equal(seteuid(0), 0);
	refused(CVM_E_WRITE_PROTECTED, err, &why, p->dir);
	assert_string_equal(why.where, p->dir);
	assert_string_equal(why.got, "Permission denied");
	assert_null(s);
}

static void
rows_come_back(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = make(p->path);
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };
	_cleanup_(blob_clear) struct blob v = { 0 };
	struct store_seal seal = { .purpose = 1,
		.kind = 2,
		.created = -5,
		.label = strdup("x") };

	put(s, 1, 100);
	assert_true(has(s, 1) && !has(s, 2));
	memset(seal.id, 7, sizeof(seal.id));
	ok(blob_set(&seal.params, text("params")));
	ok(store_seal_put(s, &seal, NULL));
	store_freep(&s);
	ok(store_open(p->path, &s, NULL));
	ok(store_meta_get(s, "k", &v, NULL));
	assert_true(span_equal(blob_span(&v), text("v")));
	assert_int_equal(store_meta_get(s, "other", &v, NULL), CVM_E_NOT_FOUND);
	ok(store_seals_list(s, &l, NULL));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].created, -5);
	assert_string_equal(l.v[0].label, "x");
	assert_int_equal(l.v[0].blob.len, 0);
	ok(store_seal_delete(s, seal.id, NULL));
	assert_int_equal(store_seal_delete(s, seal.id, NULL), CVM_E_NOT_FOUND);
	store_seal_clear(&seal);
}

static void
put_twice_or_replace_nothing(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = make(p->path);
	struct store_object o = { 0 };

	memset(o.id, 3, sizeof(o.id));
	assert_int_equal(store_object_put(s, &o, true, NULL), CVM_E_NOT_FOUND);
	ok(store_object_put(s, &o, false, NULL));
	assert_int_equal(store_object_put(s, &o, false, NULL), CVM_E_EXISTS);
	ok(store_object_put(s, &o, true, NULL));
	ok(store_object_delete(s, o.id, NULL));
	assert_int_equal(store_object_delete(s, o.id, NULL), CVM_E_NOT_FOUND);
}

static int
collect(void *arg, const struct store_object *o)
{
	char *seen = arg;
	size_t n = strlen(seen);

	seen[n] = (char)('a' + o->id[0]);
	return o->id[0] == 9 ? 77 : 0;
}

static void
each_in_order_and_by_hint(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = make(p->path);
	const uint8_t two = 2;
	const struct span hint = span(&two, 1), none = span(NULL, 0);
	char seen[16] = "";

	put(s, 5, 1);
	put(s, 2, 1);
	put(s, 9, 1);
	put(s, 3, 1);
	assert_int_equal(store_object_each(s, NULL, NULL, collect, seen, NULL),
	    77);
	assert_string_equal(seen, "fcj");
	seen[0] = seen[1] = seen[2] = '\0';
	ok(store_object_each(s, &hint, NULL, collect, seen, NULL));
	assert_string_equal(seen, "c");
	ok(store_object_each(s, &hint, &hint, collect, seen, NULL));
	ok(store_object_each(s, &hint, &none, collect, seen, NULL));
	assert_string_equal(seen, "cc");
}

static void
half_made_store_appears(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = NULL;
	char cmd[128];

	ok(store_create(p->path, 0660, &s, NULL));
	assert_int_equal(access(p->path, F_OK), -1);
	store_freep(&s); /* given up */
	(void)snprintf(cmd, sizeof(cmd), "test -z \"$(ls -A %s)\"", p->dir);
	assert_int_equal(system(cmd), 0);
}

static void
created_over_an_existing_file(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *a = NULL, *b = NULL;
	struct why why = { 0 };
	char old[128];

	a = make(p->path);
	put(a, 1, 10);
	ok(store_create(p->path, 0600, &b, NULL));
	refused(CVM_E_EXISTS, store_publish(b, false, &why), &why, p->path);
	assert_true(has(a, 1));
	ok(store_publish(b, true, NULL));
	assert_false(has(b, 1));
	/* Who has the old one open reads it, and cannot write into the void. */
	assert_true(has(a, 1));
	refused(CVM_E_BUSY, store_begin(a, &why), &why, p->path);
	(void)snprintf(old, sizeof(old), "%s.old", p->path);
	store_freep(&a);
	ok(store_open(old, &a, NULL));
	assert_true(has(a, 1));
}

/* SQLite would play it back into the new store. */
static void
journal_without_its_store(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = NULL;
	struct why why = { 0 };
	char journal[128];
	FILE *f;

	(void)snprintf(journal, sizeof(journal), "%s-journal", p->path);
	f = fopen(journal, "we");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	ok(store_create(p->path, 0600, &s, NULL));
	refused(CVM_E_EXISTS, store_publish(s, false, &why), &why, p->path);
	refused(CVM_E_EXISTS, store_publish(s, true, &why), &why, p->path);
	store_freep(&s);
	assert_int_equal(access(p->path, F_OK), -1);
	assert_int_equal(unlink(journal), 0);
	s = make(p->path);
}

static void
wrong_mode(void **state)
{
	struct place *p = *state;
	struct store *s = NULL;
	struct stat st;

	(void)umask(0077);
	ok(store_create(p->path, 0660, &s, NULL));
	ok(store_publish(s, false, NULL));
	store_freep(&s);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	ok(open_it(p->path, NULL));
}

static void
not_a_plain_own_file(void **state)
{
	struct place *p = *state;
	struct why why = { 0 };
	char link_[128], fifo[128];
	struct store *s = make(p->path);

	store_freep(&s);
	(void)snprintf(link_, sizeof(link_), "%s/link", p->dir);
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", p->dir);
	assert_int_equal(symlink(p->path, link_), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	refused(CVM_E_IO, open_it(link_, &why), &why, link_);
	assert_string_equal(why.field, "file type");
	refused(CVM_E_IO, open_it(fifo, &why), &why, fifo);
	assert_string_equal(why.field, "file type");
	refused(CVM_E_IO, open_it(p->dir, &why), &why, p->dir);
	assert_string_equal(why.field, "file type");
	assert_int_equal(chmod(p->path, 0602), 0);
	refused(CVM_E_IO, open_it(p->path, &why), &why, p->path);
	assert_string_equal(why.field, "mode");
	assert_int_equal(chmod(p->path, 0600), 0);
	ok(open_it(p->path, NULL));
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(p->path, 12345, 12345), 0);
	refused(CVM_E_IO, open_it(p->path, &why), &why, p->path);
	assert_string_equal(why.field, "owner");
}

/* A directory reached through a link is fine; the file itself is not. */
static void
directory_behind_a_link(void **state)
{
	struct place *p = *state;
	char link_[128], path[160];
	struct store *s = make(p->path);

	store_freep(&s);
	(void)snprintf(link_, sizeof(link_), "%s/dir", p->dir);
	(void)snprintf(path, sizeof(path), "%s/t.db", link_);
	assert_int_equal(symlink(p->dir, link_), 0);
	ok(store_open(path, &s, NULL));
	put(s, 1, 1);
	store_freep(&s);
}

static void
newer_format(void **state)
{
	struct place *p = *state;
	struct why why = { 0 };
	struct store *s = make(p->path);

	store_freep(&s);
	sql(p->path, "PRAGMA user_version = 2");
	refused(CVM_E_NEWER, open_it(p->path, &why), &why, p->path);
	assert_string_equal(why.got, "2");
	sql(p->path, "PRAGMA user_version = 0");
	refused(CVM_E_CORRUPT, open_it(p->path, &why), &why, p->path);
	sql(p->path, "PRAGMA user_version = -1");
	refused(CVM_E_CORRUPT, open_it(p->path, &why), &why, p->path);
	sql(p->path, "PRAGMA user_version = 1");
	ok(open_it(p->path, NULL));
}

static void
another_application(void **state)
{
	struct place *p = *state;
	struct why why = { 0 };
	struct store *s = make(p->path);

	store_freep(&s);
	sql(p->path, "PRAGMA application_id = 0");
	refused(CVM_E_CORRUPT, open_it(p->path, &why), &why, p->path);
	sql(p->path, "PRAGMA application_id = 0x43564d31");
	ok(open_it(p->path, NULL));
}

static void
schema_is_not_ours(void **state)
{
	static const char *const edits[] = {
		"CREATE TRIGGER t AFTER INSERT ON objects BEGIN "
		"DELETE FROM seals; END",
		"CREATE VIEW v AS SELECT * FROM meta",
		"CREATE TABLE zzz (x)",
		"CREATE TABLE aaa (x)",
		"DROP INDEX objects_hint_id",
		"DROP TABLE seals",
		"ALTER TABLE meta ADD COLUMN x BLOB",
		"ALTER TABLE seals RENAME COLUMN label TO lable",
		"DROP TABLE meta; CREATE VIEW meta AS SELECT 'k' AS key, "
		"x'00' AS value",
	};
	struct place *p = *state;

	for (size_t i = 0; i < NELEMS(edits); i++) {
		struct why why = { 0 };
		struct store *s = make(p->path);

		store_freep(&s);
		sql(p->path, edits[i]);
		refused(CVM_E_CORRUPT, open_it(p->path, &why), &why, p->path);
		assert_string_equal(why.field, "schema");
		assert_int_equal(unlink(p->path), 0);
	}
}

static void
journal_mode_wal(void **state)
{
	struct place *p = *state;
	struct why why = { 0 };
	struct store *s = make(p->path);

	store_freep(&s);
	sql(p->path, "PRAGMA journal_mode = WAL");
	refused(CVM_E_CORRUPT, open_it(p->path, &why), &why, p->path);
	assert_string_equal(why.field, "journal_mode");
}

static void
not_a_database(void **state)
{
	struct place *p = *state;
	struct why why = { 0 };
	FILE *f = fopen(p->path, "w");

	assert_non_null(f);
	for (int i = 0; i < 5000; i++)
		(void)fputc('x', f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(p->path, 0600), 0);
	refused(CVM_E_CORRUPT, open_it(p->path, &why), &why, p->path);
	assert_int_equal(truncate(p->path, 0), 0);
	refused(CVM_E_CORRUPT, open_it(p->path, &why), &why, p->path);
}

/* Any single byte of the file may be anything: an error, never a crash. */
static void
flipped_bytes(void **state)
{
	struct place *p = *state;
	struct store *s = make(p->path);
	struct stat st;
	int fd;

	for (uint8_t i = 0; i < 20; i++)
		put(s, i, 300);
	store_freep(&s);
	assert_int_equal(stat(p->path, &st), 0);
	fd = open(p->path, O_RDWR);
	for (off_t at = 0; at < st.st_size; at += at < 256 ? 1 : 61) {
		uint8_t was, flipped;

		assert_int_equal(pread(fd, &was, 1, at), 1);
		flipped = (uint8_t)(was ^ (1u << (at % 8)));
		assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
		if (store_open(p->path, &s, NULL) == CVM_OK) {
			char seen[64] = "";
			struct store_seals l = { 0 };

			(void)!store_object_each(s, NULL, NULL, collect, seen,
			    NULL);
			(void)!store_seals_list(s, &l, NULL);
			store_seals_clear(&l);
		}
		store_freep(&s);
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
	assert_int_equal(close(fd), 0);
	ok(open_it(p->path, NULL));
}

static void
version_misses_a_change(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *a = make(p->path), *b = NULL;
	uint64_t v0, v1, v2;

	ok(store_open(p->path, &b, NULL));
	ok(store_version(a, &v0, NULL));
	ok(store_version(a, &v1, NULL));
	assert_true(v0 == v1);
	put(b, 1, 1);
	ok(store_version(a, &v1, NULL));
	assert_true(v1 > v0);
	put(a, 2, 1);
	ok(store_version(a, &v2, NULL));
	assert_true(v2 == v1 + 1); /* one's own commit */
	put(a, 3, 1);
	put(b, 4, 1);
	ok(store_version(a, &v1, NULL));
	assert_true(v1 > v2 + 1);
	ok(store_reopen(a, NULL));
	ok(store_version(a, &v2, NULL));
	assert_true(v2 > v1);
}

static void
rolled_back(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = make(p->path);
	uint64_t v0, v1;

	ok(store_version(s, &v0, NULL));
	ok(store_begin(s, NULL));
	ok(store_meta_set(s, "k", text("other"), NULL));
	store_rollback(s);
	store_rollback(s);
	{
		_cleanup_(blob_clear) struct blob v = { 0 };

		ok(store_meta_get(s, "k", &v, NULL));
		assert_true(span_equal(blob_span(&v), text("v")));
	}
	ok(store_version(s, &v1, NULL));
	assert_true(v0 == v1);
}

static void
busy_for_too_long(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *a = make(p->path), *b = NULL;
	struct why why = { 0 };

	ok(store_open(p->path, &b, NULL));
	ok(store_begin(a, NULL));
	store_lock();
	refused(CVM_E_BUSY, store_begin(b, &why), &why, p->path);
	store_unlock();
	store_rollback(a);
	ok(store_begin(b, NULL));
	store_rollback(b);
}

/* A process that writes all the time, each time for two milliseconds. */
static void
hog(const char *path)
{
	struct store *s = NULL;
	int err = store_open(path, &s, NULL);

	(void)alarm(60);
	store_lock();
	while (err == CVM_OK) {
		err = store_begin(s, NULL);
		(void)usleep(2000);
		if (err == CVM_OK)
			err = store_meta_set(s, "k", text("h"), NULL);
		if (err == CVM_OK)
			err = store_commit(s, NULL);
	}
	_exit(1);
}

static void
starved_by_a_busy_writer(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = NULL;
	struct store *made = make(p->path);
	pid_t pid[3];

	store_freep(&made);
	for (size_t i = 0; i < NELEMS(pid); i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			hog(p->path);
	}
	ok(store_open(p->path, &s, NULL));
	for (int i = 0; i < 30; i++) {
		_cleanup_(blob_clear) struct blob v = { 0 };

		store_lock();
		ok(store_meta_get(s, "k", &v, NULL));
		ok(store_begin(s, NULL));
		ok(store_meta_set(s, "k", text("p"), NULL));
		ok(store_commit(s, NULL));
		store_unlock();
	}
	for (size_t i = 0; i < NELEMS(pid); i++) {
		int status;

		assert_int_equal(waitpid(pid[i], &status, WNOHANG), 0);
		assert_int_equal(kill(pid[i], SIGKILL), 0);
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
	}
}

/* On a file system of our own; skipped where it cannot be mounted. */
static bool
mount_small(const struct place *p, const char *size)
{
	return mount("tmpfs", p->dir, "tmpfs", 0, size) == 0;
}

static void
disk_full(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = NULL, *t = NULL;
	struct store_object o = { 0 };
	struct why why = { 0 };
	int err = CVM_OK;

	if (!mount_small(p, "size=256k"))
		skip();
	s = make(p->path);
	ok(blob_set(&o.attrs_box, span(p, sizeof(*p))));
	put(s, 200, 10);
	for (uint8_t i = 1; err == CVM_OK && i < 100; i++) {
		_cleanup_(freep) uint8_t *big = calloc(1, 8192);

		memset(o.id, i, sizeof(o.id));
		ok(blob_set(&o.private_box, span(big, 8192)));
		ok(store_begin(s, NULL));
		err = store_object_put(s, &o, false, &why);
		if (err == CVM_OK)
			err = store_commit(s, &why);
		else
			store_rollback(s);
	}
	refused(CVM_E_FULL, err, &why, p->path);
	assert_false(has(s, o.id[0])); /* nothing of it is there */
	assert_true(has(s, 200));
	assert_int_equal(store_create(p->path, 0600, &t, &why), CVM_E_FULL);
	store_object_clear(&o);
	store_freep(&s);
	ok(store_open(p->path, &s, NULL));
	assert_true(has(s, 200));
	store_freep(&s);
}

static void
read_only_file_system(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = NULL, *t = NULL;
	struct why why = { 0 };

	if (!mount_small(p, "size=1m"))
		skip();
	s = make(p->path);
	put(s, 1, 10);
	store_freep(&s);
	assert_int_equal(mount(NULL, p->dir, NULL, MS_REMOUNT | MS_RDONLY,
			     NULL),
	    0);
	ok(store_open(p->path, &s, NULL));
	assert_true(has(s, 1));
	assert_false(store_writable(s));
	refused(CVM_E_WRITE_PROTECTED, store_begin(s, &why), &why, p->path);
	refused(CVM_E_WRITE_PROTECTED, store_create(p->path, 0600, &t, &why),
	    &why, p->dir);
	store_freep(&s);
}

/* 0 when another process can begin to write now. */
static int
begin_elsewhere(const char *path)
{
	char cmd[256];

	(void)snprintf(cmd, sizeof(cmd),
	    "exec 2>/dev/null; sqlite3 %s "
	    "'BEGIN IMMEDIATE; ROLLBACK;'",
	    path);
	return system(cmd);
}

static void
fork_drops_the_parents_lock(void **state)
{
	struct place *p = *state;
	_cleanup_(store_freep) struct store *s = make(p->path);
	int status;
	pid_t pid;

	assert_int_equal(begin_elsewhere(p->path), 0);
	ok(store_begin(s, NULL));
	assert_int_not_equal(begin_elsewhere(p->path), 0);
	pid = fork();
	if (pid == 0) {
		if (store_meta_set(s, "k", text("x"), NULL) != CVM_E_INTERNAL)
			_exit(1); /* an inherited connection is refused */
		store_rollback(s);
		store_freep(&s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_not_equal(begin_elsewhere(p->path), 0);
	ok(store_meta_set(s, "k", text("y"), NULL));
	ok(store_commit(s, NULL));
	assert_int_equal(begin_elsewhere(p->path), 0);
}

struct worker {
	const char *path;
	atomic_bool *stop;
	bool failed;
};

/* Writes and reads all the time, as threads of a server do. */
static void *
work(void *arg)
{
	struct worker *w = arg;
	struct store *s = NULL;

	store_lock();
	w->failed = store_open(w->path, &s, NULL) != CVM_OK;
	store_unlock();
	while (!w->failed && !atomic_load(w->stop)) {
		store_lock();
		w->failed = store_begin(s, NULL) != CVM_OK ||
		    store_meta_set(s, "k", text("w"), NULL) != CVM_OK ||
		    store_commit(s, NULL) != CVM_OK;
		store_unlock();
		/* SQLite queues nobody: without a gap the child starves. */
		(void)usleep(2000);
	}
	store_lock();
	store_freep(&s);
	store_unlock();
	return NULL;
}

/* A fork at any moment leaves the child a SQLite that works. */
static void
fork_while_others_write(void **state)
{
	struct place *p = *state;
	struct store *s;
	atomic_bool stop = false;
	struct worker w[2] = { { p->path, &stop, false },
		{ p->path, &stop, false } };
	pthread_t threads[2];

	s = make(p->path);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]),
		    0);
	for (int i = 0; i < 25; i++) {
		pid_t pid;
		int status;

		(void)usleep(500);
		pid = fork();
		if (pid == 0) {
			(void)alarm(20);
			store_lock();
			if (store_reopen(s, NULL) != CVM_OK ||
			    store_begin(s, NULL) != CVM_OK ||
			    store_meta_set(s, "k", text("c"), NULL) != CVM_OK ||
			    store_commit(s, NULL) != CVM_OK)
				_exit(1);
			store_unlock();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_false(w[i].failed);
	}
	store_freep(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(missing_file),
		TEST(no_place_for_a_new_store),
		TEST(directory_that_others_write),
		TEST(rows_come_back),
		TEST(put_twice_or_replace_nothing),
		TEST(each_in_order_and_by_hint),
		TEST(half_made_store_appears),
		TEST(created_over_an_existing_file),
		TEST(journal_without_its_store),
		TEST(journal_without_its_store),
		TEST(wrong_mode),
		TEST(not_a_plain_own_file),
		TEST(directory_behind_a_link),
		TEST(newer_format),
		TEST(another_application),
		TEST(schema_is_not_ours),
		TEST(journal_mode_wal),
		TEST(not_a_database),
		TEST(flipped_bytes),
		TEST(version_misses_a_change),
		TEST(rolled_back),
		TEST(busy_for_too_long),
		TEST(starved_by_a_busy_writer),
		TEST(disk_full),
		TEST(read_only_file_system),
		TEST(fork_drops_the_parents_lock),
		TEST(fork_while_others_write),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
