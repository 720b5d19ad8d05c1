/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/store_sql.h"

/* What one store may hold; more is refused while reading. */
#define SEALS_MAX 256
#define LABEL_MAX 256

/*
 * Binding: *rc is the first failure, and what follows one is not tried. A
 * parameter that is not bound is NULL, which matches no row: to run the query
 * all the same would find nothing where there is something.
 */
static void
bind_span(sqlite3_stmt *q, int i, struct span s, int *rc)
{
	/* SQLite takes a NULL pointer for NULL, not for an empty blob. */
	static const uint8_t empty;

	if (*rc == SQLITE_OK)
		*rc = sqlite3_bind_blob64(q, i,
		    s.data != NULL ? s.data : &empty, s.len, SQLITE_STATIC);
}

static void
bind_text(sqlite3_stmt *q, int i, const char *text, int *rc)
{
	if (*rc == SQLITE_OK)
		*rc = sqlite3_bind_text(q, i, text, -1, SQLITE_STATIC);
}

static void
bind_int(sqlite3_stmt *q, int i, int64_t value, int *rc)
{
	if (*rc == SQLITE_OK)
		*rc = sqlite3_bind_int64(q, i, value);
}

static int
bound(const struct store *s, int rc, const char *what, struct why *reterr_why)
{
	return rc == SQLITE_OK ? CVM_OK : sql_refuse(s, rc, what, reterr_why);
}

/* Borrows a blob column; refuses any other type, which a damaged or edited
 * file can have in spite of STRICT. */
static int
column_span(const struct store *s, sqlite3_stmt *q, int i, struct span *ret,
    struct why *reterr_why)
{
	int len;

	if (sqlite3_column_type(q, i) != SQLITE_BLOB)
		return why_setf(reterr_why, CVM_E_CORRUPT, s->path,
		    sqlite3_column_name(q, i), "a blob", "type %d",
		    sqlite3_column_type(q, i));
	ret->data = sqlite3_column_blob(q, i);
	len = sqlite3_column_bytes(q, i);
	ret->len = len > 0 ? (size_t)len : 0;
	return ret->data != NULL || len <= 0 ? CVM_OK : CVM_E_NOMEM;
}

static int
column_blob(const struct store *s, sqlite3_stmt *q, int i, struct blob *ret,
    struct why *reterr_why)
{
	struct span value;
	int err;

	err = column_span(s, q, i, &value, reterr_why);
	return err == CVM_OK ? blob_set(ret, value) : err;
}

static int
column_id(const struct store *s, sqlite3_stmt *q, uint8_t *ret,
    struct why *reterr_why)
{
	struct span value;
	int err;

	err = column_span(s, q, 0, &value, reterr_why);
	if (err != CVM_OK)
		return err;
	if (value.len != STORE_ID_LEN)
		return why_setf(reterr_why, CVM_E_CORRUPT, s->path, "id",
		    "16 bytes", "%zu", value.len);
	memcpy(ret, value.data, STORE_ID_LEN);
	return CVM_OK;
}

int
store_meta_get(struct store *s, const char *key, struct blob *ret,
    struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	int err, rc = SQLITE_OK;

	err = sql_query(s, Q_META_GET, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	bind_text(q, 1, key, &rc);
	err = bound(s, rc, key, reterr_why);
	if (err == CVM_OK)
		err = sql_step(s, q, key, reterr_why);
	if (err < 0)
		return err;
	if (err == 0)
		return why_set(reterr_why, CVM_E_NOT_FOUND, s->path, key,
		    "a value", "none");
	return column_blob(s, q, 0, ret, reterr_why);
}

/* Binds id as the first parameter. */
static int
query_by_id(struct store *s, enum query what, const uint8_t *id,
    sqlite3_stmt **ret, struct why *reterr_why)
{
	int err, rc = SQLITE_OK;

	err = sql_query(s, what, ret, reterr_why);
	if (err != CVM_OK)
		return err;
	bind_span(*ret, 1, span(id, STORE_ID_LEN), &rc);
	return bound(s, rc, "id", reterr_why);
}

/* Runs a bound change; with must_change, one row must be touched. */
static int
change(struct store *s, sqlite3_stmt *q, const char *what, bool must_change,
    struct why *reterr_why)
{
	int err;

	err = sql_step(s, q, what, reterr_why);
	if (err < 0)
		return err;
	if (must_change && sqlite3_changes(s->db) != 1)
		return why_set(reterr_why, CVM_E_NOT_FOUND, s->path, what,
		    "a record of that id", "none");
	return CVM_OK;
}

int
store_meta_set(struct store *s, const char *key, struct span value,
    struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	int err, rc = SQLITE_OK;

	err = sql_query(s, Q_META_SET, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	bind_text(q, 1, key, &rc);
	bind_span(q, 2, value, &rc);
	err = bound(s, rc, key, reterr_why);
	if (err != CVM_OK)
		return err;
	return change(s, q, key, /* must_change= */ false, reterr_why);
}

void
store_seal_clear(struct store_seal *seal)
{
	free(seal->label);
	blob_clear(&seal->params);
	blob_clear(&seal->blob);
	*seal = (struct store_seal){ 0 };
}

void
store_seals_clear(struct store_seals *l)
{
	for (size_t i = 0; i < l->n; i++)
		store_seal_clear(&l->v[i]);
	free(l->v);
	*l = (struct store_seals){ 0 };
}

static int
read_seal(const struct store *s, sqlite3_stmt *q, struct store_seal *seal,
    struct why *reterr_why)
{
	int64_t purpose = sqlite3_column_int64(q, 1);
	int64_t kind = sqlite3_column_int64(q, 2);
	const char *label = NULL;
	int err;

	if (purpose < 0 || purpose > UINT32_MAX || kind < 0 ||
	    kind > UINT32_MAX)
		return why_set(reterr_why, CVM_E_CORRUPT, s->path, "seals",
		    "purpose and kind of 32 bits", "more");
	seal->purpose = (uint32_t)purpose;
	seal->kind = (uint32_t)kind;
	if (sql_text(q, 3, &label) != CVM_OK)
		return sql_refuse(s, SQLITE_NOMEM, "seals.label", reterr_why);
	if (label == NULL || strlen(label) > LABEL_MAX)
		return why_set(reterr_why, CVM_E_CORRUPT, s->path,
		    "seals.label", "at most 256 bytes", "more, or none");
	seal->label = strdup(label);
	if (seal->label == NULL)
		return CVM_E_NOMEM;
	seal->created = sqlite3_column_int64(q, 4);
	err = column_id(s, q, seal->id, reterr_why);
	if (err == CVM_OK)
		err = column_blob(s, q, 5, &seal->params, reterr_why);
	if (err == CVM_OK)
		err = column_blob(s, q, 6, &seal->blob, reterr_why);
	return err;
}

int
store_seals_list(struct store *s, struct store_seals *ret,
    struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };
	int err;

	err = sql_query(s, Q_SEAL_LIST, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	l.v = calloc(SEALS_MAX, sizeof(*l.v));
	if (l.v == NULL)
		return CVM_E_NOMEM;
	while ((err = sql_step(s, q, "seals", reterr_why)) == 1) {
		if (l.n == SEALS_MAX)
			return why_set(reterr_why, CVM_E_CORRUPT, s->path,
			    "seals", "at most 256", "more");
		l.n++; /* first, so that half of a seal is freed too */
		err = read_seal(s, q, &l.v[l.n - 1], reterr_why);
		if (err != CVM_OK)
			return err;
	}
	if (err < 0)
		return err;
	*ret = l;
	l = (struct store_seals){ 0 };
	return CVM_OK;
}

int
store_seal_put(struct store *s, const struct store_seal *seal,
    struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	int err, rc = SQLITE_OK;

	err = query_by_id(s, Q_SEAL_PUT, seal->id, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	bind_int(q, 2, seal->purpose, &rc);
	bind_int(q, 3, seal->kind, &rc);
	bind_text(q, 4, seal->label, &rc);
	bind_int(q, 5, seal->created, &rc);
	bind_span(q, 6, blob_span(&seal->params), &rc);
	bind_span(q, 7, blob_span(&seal->blob), &rc);
	err = bound(s, rc, "seals", reterr_why);
	if (err != CVM_OK)
		return err;
	return change(s, q, "seals", /* must_change= */ true, reterr_why);
}

int
store_seal_delete(struct store *s, const uint8_t id[static STORE_ID_LEN],
    struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	int err;

	err = query_by_id(s, Q_SEAL_DELETE, id, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	return change(s, q, "seals", /* must_change= */ true, reterr_why);
}

void
store_object_clear(struct store_object *o)
{
	blob_clear(&o->hint_id);
	blob_clear(&o->hint_label);
	blob_clear(&o->header);
	blob_clear(&o->attrs_box);
	blob_clear(&o->private_box);
	*o = (struct store_object){ 0 };
}

static int
read_object(const struct store *s, sqlite3_stmt *q, struct store_object *o,
    struct why *reterr_why)
{
	struct blob *const columns[] = { &o->hint_id, &o->hint_label,
		&o->header, &o->attrs_box, &o->private_box };
	int err;

	err = column_id(s, q, o->id, reterr_why);
	for (size_t i = 0; err == CVM_OK && i < NELEMS(columns); i++)
		err = column_blob(s, q, (int)i + 1, columns[i], reterr_why);
	return err;
}

int
store_object_get(struct store *s, const uint8_t id[static STORE_ID_LEN],
    struct store_object *ret, struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	_cleanup_(store_object_clear) struct store_object o = { 0 };
	int err;

	err = query_by_id(s, Q_OBJECT_GET, id, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	err = sql_step(s, q, "objects", reterr_why);
	if (err < 0)
		return err;
	if (err == 0)
		return why_set(reterr_why, CVM_E_NOT_FOUND, s->path, "objects",
		    "a record of that id", "none");
	err = read_object(s, q, &o, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = o;
	o = (struct store_object){ 0 };
	return CVM_OK;
}

int
store_object_put(struct store *s, const struct store_object *o, bool replace,
    struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	const struct blob *const columns[] = { &o->hint_id, &o->hint_label,
		&o->header, &o->attrs_box, &o->private_box };
	int err, rc = SQLITE_OK;

	err = query_by_id(s, replace ? Q_OBJECT_REPLACE : Q_OBJECT_INSERT,
	    o->id, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	for (size_t i = 0; i < NELEMS(columns); i++)
		bind_span(q, (int)i + 2, blob_span(columns[i]), &rc);
	err = bound(s, rc, "objects", reterr_why);
	if (err != CVM_OK)
		return err;
	return change(s, q, "objects", /* must_change= */ true, reterr_why);
}

int
store_object_delete(struct store *s, const uint8_t id[static STORE_ID_LEN],
    struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	int err;

	err = query_by_id(s, Q_OBJECT_DELETE, id, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	return change(s, q, "objects", /* must_change= */ true, reterr_why);
}

/* Calls fn for each row of a bound query. */
static int
each(struct store *s, sqlite3_stmt *q,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct why *reterr_why)
{
	int err;

	while ((err = sql_step(s, q, "objects", reterr_why)) == 1) {
		_cleanup_(store_object_clear) struct store_object o = { 0 };

		err = read_object(s, q, &o, reterr_why);
		if (err == CVM_OK)
			err = fn(arg, &o);
		if (err != CVM_OK)
			return err;
	}
	return err;
}

int
store_object_each(struct store *s, const struct span *hint_id,
    const struct span *hint_label,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct why *reterr_why)
{
	static const enum query by[2][2] = {
		{ Q_OBJECT_EACH, Q_OBJECT_BY_LABEL },
		{ Q_OBJECT_BY_ID, Q_OBJECT_BY_BOTH },
	};
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	int err, rc = SQLITE_OK;

	err = sql_query(s, by[hint_id != NULL][hint_label != NULL], &q,
	    reterr_why);
	if (err != CVM_OK)
		return err;
	if (hint_id != NULL)
		bind_span(q, 1, *hint_id, &rc);
	if (hint_label != NULL)
		bind_span(q, 2, *hint_label, &rc);
	err = bound(s, rc, "objects", reterr_why);
	if (err != CVM_OK)
		return err;
	return each(s, q, fn, arg, reterr_why);
}

int
store_object_tags(struct store *s,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *q = NULL;
	int err;

	err = sql_query(s, Q_OBJECT_TAGS, &q, reterr_why);
	if (err != CVM_OK)
		return err;
	return each(s, q, fn, arg, reterr_why);
}
