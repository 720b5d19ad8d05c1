/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/forkid.h"
#include "token/store_sql.h"

#define APPLICATION_ID_TEXT "1129729329" /* 0x43564d31, "CVM1" */
/*
 * SQLite's own wait polls ten times a second, so that a process which writes
 * without a pause leaves no moment in which the others look. Here waiters
 * look often and at random moments, and who has just written makes room
 * (store.c). As long as others make progress the wait may last longer.
 */
#define STUCK_NS (5 * NS)
#define CROWDED_NS (30 * NS)
#define POLL_MIN_NS (NS / 5000)
#define POLL_MAX_NS (NS / 250)
/* No value of a store comes near; a bigger one is refused unread. */
#define VALUE_MAX (2 * 1024 * 1024)

#define OBJECT_COLUMNS                                                         \
	"SELECT id, hint_id, hint_label, header, attrs_box, private_box "      \
	"FROM objects "

static const char *const queries[N_QUERIES] = {
	[Q_BEGIN_READ] = "BEGIN",
	[Q_BEGIN] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_VERSION] = "PRAGMA data_version",
	[Q_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[Q_META_SET] = "INSERT INTO meta (key, value) VALUES (?1, ?2) "
		       "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	[Q_SEAL_LIST] = "SELECT id, purpose, kind, label, created, params, "
			"blob FROM seals ORDER BY seq",
	[Q_SEAL_PUT] = "INSERT INTO seals (id, purpose, kind, label, created, "
		       "params, blob) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[Q_SEAL_DELETE] = "DELETE FROM seals WHERE id = ?1",
	[Q_OBJECT_GET] = OBJECT_COLUMNS "WHERE id = ?1",
	[Q_OBJECT_INSERT] =
	    "INSERT INTO objects (id, hint_id, hint_label, header, attrs_box, "
	    "private_box) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[Q_OBJECT_REPLACE] =
	    "UPDATE objects SET hint_id = ?2, hint_label = ?3, header = ?4, "
	    "attrs_box = ?5, private_box = ?6 WHERE id = ?1",
	[Q_OBJECT_DELETE] = "DELETE FROM objects WHERE id = ?1",
	[Q_OBJECT_EACH] = OBJECT_COLUMNS "ORDER BY seq",
	[Q_OBJECT_BY_ID] = OBJECT_COLUMNS "WHERE hint_id = ?1 ORDER BY seq",
	[Q_OBJECT_BY_LABEL] = OBJECT_COLUMNS
	"WHERE hint_label = ?2 ORDER BY seq",
	[Q_OBJECT_BY_BOTH] = OBJECT_COLUMNS
	"WHERE hint_id = ?1 AND hint_label = ?2 ORDER BY seq",
	[Q_OBJECT_TAGS] =
	    "SELECT id, hint_id, hint_label, x'', "
	    "CAST(substr(attrs_box, 1, 12) || substr(attrs_box, -16) AS BLOB), "
	    "coalesce(CAST(substr(private_box, 1, 12) || "
	    "substr(private_box, -16) AS BLOB), x'') FROM objects "
	    "ORDER BY seq",
};

/* The whole schema: what a store has beyond it, or lacks, refuses it. */
static const struct {
	const char *name, *sql;
} schema[] = {
	{ "meta",
	    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) "
	    "STRICT, WITHOUT ROWID" },
	{ "objects",
	    "CREATE TABLE objects (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
	    "id BLOB NOT NULL UNIQUE CHECK (length(id) = 16), "
	    "hint_id BLOB NOT NULL, hint_label BLOB NOT NULL, "
	    "header BLOB NOT NULL, attrs_box BLOB NOT NULL, "
	    "private_box BLOB NOT NULL) STRICT" },
	{ "objects_hint_id",
	    "CREATE INDEX objects_hint_id ON objects (hint_id)" },
	{ "objects_hint_label",
	    "CREATE INDEX objects_hint_label ON objects (hint_label)" },
	{ "seals",
	    "CREATE TABLE seals (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
	    "id BLOB NOT NULL UNIQUE CHECK (length(id) = 16), "
	    "purpose INTEGER NOT NULL, kind INTEGER NOT NULL, "
	    "label TEXT NOT NULL, created INTEGER NOT NULL, "
	    "params BLOB NOT NULL, blob BLOB NOT NULL) STRICT" },
};

/* Connection-wide settings; each must succeed. Of a big store a process reads
 * most pages once, so it keeps 256 KiB of them; but what a change has made of
 * pages stays in memory until it is committed. */
static const char settings[] = "PRAGMA trusted_schema = OFF;"
			       "PRAGMA cell_size_check = ON;"
			       "PRAGMA mmap_size = 0;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA cache_size = -256;"
			       "PRAGMA cache_spill = OFF;"
			       "PRAGMA synchronous = EXTRA;"
			       "PRAGMA secure_delete = ON;"
			       "PRAGMA recursive_triggers = OFF;";

uint64_t
store_now_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

static const struct {
	int rc; /* primary code */
	int err;
} codes[] = {
	{ SQLITE_BUSY, CVM_E_BUSY },
	{ SQLITE_LOCKED, CVM_E_BUSY },
	{ SQLITE_NOMEM, CVM_E_NOMEM },
	{ SQLITE_READONLY, CVM_E_WRITE_PROTECTED },
	{ SQLITE_FULL, CVM_E_FULL },
	{ SQLITE_CORRUPT, CVM_E_CORRUPT },
	{ SQLITE_NOTADB, CVM_E_CORRUPT },
	{ SQLITE_SCHEMA, CVM_E_CORRUPT },
	{ SQLITE_ERROR, CVM_E_CORRUPT },
	{ SQLITE_TOOBIG, CVM_E_CORRUPT },
	{ SQLITE_MISMATCH, CVM_E_CORRUPT },
	{ SQLITE_CONSTRAINT, CVM_E_INTERNAL },
};

/* What SQLite's codes leave open. */
static const struct {
	int rc; /* primary code */
	const char *hint;
} hints[] = {
	{ SQLITE_BUSY, "another process holds the store" },
	{ SQLITE_LOCKED, "another process holds the store" },
	{ SQLITE_CANTOPEN,
	    "the store is unchanged; is there room for PATH-journal beside it, "
	    "and may this user make it?" },
	{ SQLITE_IOERR, "the store is unchanged; look at its disk and modes" },
	{ SQLITE_FULL, "the store is unchanged; look at its disk and modes" },
	{ SQLITE_READONLY,
	    "the store is unchanged; look at its disk and modes" },
	/* An EIO from read(2) is among the causes. */
	{ SQLITE_CORRUPT,
	    "or its disk cannot be read: the kernel's log tells" },
};

/* After CANTOPEN for writing SQLite tries to read, and keeps that errno. */
static int
system_error(const struct store *s, int rc)
{
	int sys = s->db != NULL ? sqlite3_system_errno(s->db) : 0;

	return (rc & 0xff) == SQLITE_CANTOPEN && sys == ENOENT ? 0 : sys;
}

int
sql_refuse(const struct store *s, int rc, const char *what,
    struct why *reterr_why)
{
	int err = CVM_E_IO, sys = system_error(s, rc);
	const char *text = s->db != NULL && sqlite3_errcode(s->db) == rc ?
	    sqlite3_errmsg(s->db) :
	    sqlite3_errstr(rc);

	for (size_t i = 0; i < NELEMS(codes); i++)
		if (codes[i].rc == (rc & 0xff))
			err = codes[i].err;
	if (rc == SQLITE_CONSTRAINT_UNIQUE ||
	    rc == SQLITE_CONSTRAINT_PRIMARYKEY)
		err = CVM_E_EXISTS;
	(void)why_setf(reterr_why, err, s->path, what, "the store to answer",
	    "%s%s%s", text, sys != 0 ? ": " : "",
	    sys != 0 ? strerror(sys) : "");
	for (size_t i = 0; i < NELEMS(hints); i++)
		if (hints[i].rc == (rc & 0xff))
			why_hint(reterr_why, "%s", hints[i].hint);
	return err;
}

/* What lacks the memory for a text gives NULL, as a row without one does. */
int
sql_text(sqlite3_stmt *q, int i, const char **ret)
{
	const int type = sqlite3_column_type(q, i);
	const bool there = type == SQLITE_TEXT || type == SQLITE_INTEGER;
	const char *text = NULL;

	if (there)
		text = (const char *)sqlite3_column_text(q, i);
	if (there && text == NULL)
		return CVM_E_NOMEM;
	*ret = text;
	return CVM_OK;
}

void
sql_done(sqlite3_stmt **q)
{
	if (*q == NULL)
		return;
	(void)sqlite3_reset(*q);
	(void)sqlite3_clear_bindings(*q);
	*q = NULL;
}

int
sql_query(struct store *s, enum query q, sqlite3_stmt **ret,
    struct why *reterr_why)
{
	int rc;

	if (s->db == NULL || s->fork_count != forkid())
		return why_set(reterr_why, CVM_E_INTERNAL, s->path,
		    "connection", "one of this process", "none");
	if (s->query[q] == NULL) {
		rc = sqlite3_prepare_v3(s->db, queries[q], -1,
		    SQLITE_PREPARE_PERSISTENT, &s->query[q], /* tail= */ NULL);
		if (rc != SQLITE_OK)
			return sql_refuse(s, rc, "query", reterr_why);
	}
	*ret = s->query[q];
	return CVM_OK;
}

int
sql_step(struct store *s, sqlite3_stmt *q, const char *what,
    struct why *reterr_why)
{
	int rc = sqlite3_step(q);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return sql_refuse(s, rc, what, reterr_why);
}

int
sql_run(struct store *s, enum query q, const char *what, struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *stmt = NULL;
	int err;

	err = sql_query(s, q, &stmt, reterr_why);
	if (err != CVM_OK)
		return err;
	err = sql_step(s, stmt, what, reterr_why);
	return err < 0 ? err : CVM_OK;
}

static int
exec(struct store *s, const char *sql, struct why *reterr_why)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? CVM_OK : sql_refuse(s, rc, "open", reterr_why);
}

static void
stmt_freep(sqlite3_stmt **stmt)
{
	(void)sqlite3_finalize(*stmt);
	*stmt = NULL;
}

/* Refuses a store whose PRAGMA does not answer value. */
static int
pragma(struct store *s, const char *name, const char *value, int err,
    struct why *reterr_why)
{
	_cleanup_(stmt_freep) sqlite3_stmt *stmt = NULL;
	const char *got = NULL;
	char sql[64];
	int rc;

	(void)snprintf(sql, sizeof(sql), "PRAGMA %s", name);

	rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, /* tail= */ NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return sql_refuse(s, rc, "open", reterr_why);
	if (sql_text(stmt, 0, &got) != CVM_OK)
		return sql_refuse(s, SQLITE_NOMEM, "open", reterr_why);
	if (got == NULL || strcmp(got, value) != 0)
		return why_set(reterr_why, err, s->path, name, value, got);
	return CVM_OK;
}

/* Nothing in the file may run or mislead: the schema must be ours. */
static int
check_schema(struct store *s, struct why *reterr_why)
{
	static const char sql[] =
	    "SELECT name, sql FROM sqlite_schema "
	    "WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY name";
	_cleanup_(stmt_freep) sqlite3_stmt *stmt = NULL;
	size_t n = 0;
	int rc;

	rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, /* tail= */ NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *name = NULL, *text = NULL;

		if (sql_text(stmt, 0, &name) != CVM_OK ||
		    sql_text(stmt, 1, &text) != CVM_OK)
			return sql_refuse(s, SQLITE_NOMEM, "schema",
			    reterr_why);
		if (n >= NELEMS(schema) || name == NULL || text == NULL ||
		    strcmp(name, schema[n].name) != 0 ||
		    strcmp(text, schema[n].sql) != 0)
			return why_set(reterr_why, CVM_E_CORRUPT, s->path,
			    "schema",
			    n < NELEMS(schema) ? schema[n].name :
						 "nothing more",
			    name);
		n++;
		rc = SQLITE_OK;
	}
	if (rc != SQLITE_DONE)
		return sql_refuse(s, rc, "schema", reterr_why);
	if (n != NELEMS(schema))
		return why_set(reterr_why, CVM_E_CORRUPT, s->path, "schema",
		    schema[n].name, "nothing");
	return CVM_OK;
}

static int
format_of(struct store *s, int *ret, struct why *reterr_why)
{
	_cleanup_(stmt_freep) sqlite3_stmt *stmt = NULL;
	int rc;

	rc = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return sql_refuse(s, rc, "format", reterr_why);
	*ret = sqlite3_column_int(stmt, 0);
	return CVM_OK;
}

/* The rollback journal needs no file that readers must be able to write, and
 * its crash recovery no process that saw the crash: never WAL. */
static int
check_format(struct store *s, struct why *reterr_why)
{
	int format = 0, err;

	err = pragma(s, "application_id", APPLICATION_ID_TEXT, CVM_E_CORRUPT,
	    reterr_why);
	if (err != CVM_OK)
		return err;
	err = format_of(s, &format, reterr_why);
	if (err != CVM_OK)
		return err;
	if (format > STORE_FORMAT) {
		(void)why_setf(reterr_why, CVM_E_NEWER, s->path, "format", "1",
		    "%d", format);
		why_hint(reterr_why, "a newer version wrote this store");
		return CVM_E_NEWER;
	}
	if (format != STORE_FORMAT)
		return why_setf(reterr_why, CVM_E_CORRUPT, s->path, "format",
		    "1", "%d", format);
	err = pragma(s, "journal_mode", "delete", CVM_E_CORRUPT, reterr_why);
	if (err != CVM_OK)
		return err;
	return check_schema(s, reterr_why);
}

/* What a commit by another process changes. */
static bool
others_progress(const struct store *s, struct sql_wait *w)
{
	struct stat st;
	bool moved;

	if (lstat(sqlite3_db_filename(s->db, "main"), &st) != 0)
		return false;
	moved = st.st_mtim.tv_sec != w->seen.tv_sec ||
	    st.st_mtim.tv_nsec != w->seen.tv_nsec;
	w->seen = st.st_mtim;
	return moved;
}

bool
sql_wait_turn(const struct store *s, struct sql_wait *w, int n,
    struct timespec *ret_pause)
{
	uint64_t now = store_now_ns();
	uint64_t most = POLL_MIN_NS << (n < 5 ? n : 5);

	if (n == 0)
		w->began = w->moved = now;
	if (others_progress(s, w))
		w->moved = now;
	if (now - w->moved > STUCK_NS || now - w->began > CROWDED_NS)
		return false;
	if (most > POLL_MAX_NS)
		most = POLL_MAX_NS;
	/* No secret: so that waiters do not look in step. */
	w->dice = w->dice * 6364136223846793005u + (now | 1);
	*ret_pause = (struct timespec){ .tv_nsec = (long)(most / 2 +
					    (w->dice >> 33) % most) };
	return true;
}

/* SQLite's busy handler: 1 to try again, after a pause. */
static int
wait_turn(void *arg, int n)
{
	struct store *s = arg;
	struct timespec pause;

	if (s->impatient || !sql_wait_turn(s, &s->wait, n, &pause))
		return 0;
	(void)nanosleep(&pause, NULL);
	return 1;
}

static int
connect_file(struct store *s, const char *file, int flags,
    struct why *reterr_why)
{
	int rc;

	rc = sqlite3_open_v2(file, &s->db,
	    flags | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW |
		SQLITE_OPEN_PRIVATECACHE,
	    /* vfs= */ NULL);
	if (rc != SQLITE_OK)
		return sql_refuse(s, rc, "open", reterr_why);
	s->wait = (struct sql_wait){ .dice = store_now_ns() };
	(void)sqlite3_extended_result_codes(s->db, 1);
	(void)sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	(void)sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
	rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_handler(s->db, wait_turn, s);
	if (rc != SQLITE_OK)
		return sql_refuse(s, rc, "open", reterr_why);
	return exec(s, settings, reterr_why);
}

int
sql_open(struct store *s, const char *file, struct why *reterr_why)
{
	int err;

	s->fork_count = forkid();
	err = connect_file(s, file, SQLITE_OPEN_READWRITE, reterr_why);
	if (err == CVM_OK)
		err = check_format(s, reterr_why);
	if (err != CVM_OK) {
		sql_close(s);
		return err;
	}
	s->opened++;
	return CVM_OK;
}

int
sql_make(struct store *s, const char *file, struct why *reterr_why)
{
	char pragmas[128];
	int err;

	s->fork_count = forkid();
	(void)snprintf(pragmas, sizeof(pragmas),
	    "PRAGMA journal_mode = DELETE; PRAGMA application_id = %s;"
	    "PRAGMA user_version = %d;",
	    APPLICATION_ID_TEXT, STORE_FORMAT);
	err = connect_file(s, file, SQLITE_OPEN_READWRITE, reterr_why);
	if (err == CVM_OK)
		err = exec(s, pragmas, reterr_why);
	for (size_t i = 0; err == CVM_OK && i < NELEMS(schema); i++)
		err = exec(s, schema[i].sql, reterr_why);
	if (err == CVM_OK)
		err = check_format(s, reterr_why);
	if (err != CVM_OK)
		sql_close(s);
	return err;
}

void
sql_close(struct store *s)
{
	if (s->db != NULL && s->fork_count == forkid()) {
		for (size_t i = 0; i < N_QUERIES; i++)
			(void)sqlite3_finalize(s->query[i]);
		(void)sqlite3_close(s->db);
	}
	memset(s->query, 0, sizeof(s->query));
	s->db = NULL;
	s->writes = false;
}
