/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_STORE_SQL_H
#define TOKEN_STORE_SQL_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "token/store.h"

/* Between store.c (the file), store_sql.c (SQLite) and store_rows.c. */
enum query {
	Q_BEGIN_READ,
	Q_BEGIN,
	Q_COMMIT,
	Q_ROLLBACK,
	Q_VERSION,
	Q_META_GET,
	Q_META_SET,
	Q_SEAL_LIST,
	Q_SEAL_PUT,
	Q_SEAL_DELETE,
	Q_OBJECT_GET,
	Q_OBJECT_INSERT,
	Q_OBJECT_REPLACE,
	Q_OBJECT_DELETE,
	Q_OBJECT_EACH,
	Q_OBJECT_BY_ID,
	Q_OBJECT_BY_LABEL,
	Q_OBJECT_BY_BOTH,
	Q_OBJECT_TAGS,
	N_QUERIES,
};

#define NS UINT64_C(1000000000)

/* A wait for other processes. */
struct sql_wait {
	uint64_t began, moved, dice;
	struct timespec seen;
};

struct store {
	char *path;	 /* as configured */
	char *temporary; /* created, not published; else NULL */
	sqlite3 *db;
	sqlite3_stmt *query[N_QUERIES]; /* prepared when first used */
	uint64_t fork_count;
	uint64_t opened, committed; /* parts of the version */
	dev_t dev;
	ino_t ino;
	bool writes; /* in a transaction that writes */
	bool impatient;
	struct sql_wait wait; /* of SQLite's own, for readers and commits */
	uint64_t begun_ns, done_ns; /* of the last transaction that wrote */
};

uint64_t store_now_ns(void);

/* How long to pause before try n + 1, or false: it was waited long enough. */
bool sql_wait_turn(const struct store *s, struct sql_wait *w, int n,
    struct timespec *ret_pause);

/* Fills why with the file, what was tried and SQLite's reason. */
int sql_refuse(const struct store *s, int rc, const char *what,
    struct why *reterr_why);
/* Borrows a column as text; NULL: there is none. CVM_E_NOMEM. */
int sql_text(sqlite3_stmt *q, int i, const char **ret) _must_check_;
/* Opens file (already looked at) and checks application, format, schema. */
int sql_open(struct store *s, const char *file,
    struct why *reterr_why) _must_check_;
/* Makes the schema in a new, empty file. */
int sql_make(struct store *s, const char *file,
    struct why *reterr_why) _must_check_;
/* Closes; in a forked child only forgets. */
void sql_close(struct store *s);

/* A query ready to bind. sql_done() resets it; use as _cleanup_. */
int sql_query(struct store *s, enum query q, sqlite3_stmt **ret,
    struct why *reterr_why) _must_check_;
void sql_done(sqlite3_stmt **q);
/* Runs a query that returns no row. */
int sql_run(struct store *s, enum query q, const char *what,
    struct why *reterr_why) _must_check_;
/* 1: a row, 0: no more, negative: error. */
int sql_step(struct store *s, sqlite3_stmt *q, const char *what,
    struct why *reterr_why) _must_check_;

#endif
