/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "token/object_table.h"

/*
 * Bringing the table up to date with the store, which other processes change
 * too. Records that have not changed are recognised by the tag of their box
 * and not opened again.
 */
#define LOAD_TRIES 4
/* How long a lookup by handle trusts what was loaded. */
#define TRUST_NS 1000000000u

struct loaded {
	uint8_t id[STORE_ID_LEN];
	uint8_t stamp[OBJECT_STAMP_LEN];
	struct store_object record; /* empty when the table has it */
	struct object *object;
};

struct load {
	struct token *t;
	struct object_table *ot;
	struct loaded *v;
	size_t n, room;
	uint64_t version, changes;
};

static void
load_clear(struct load *l)
{
	for (size_t i = 0; i < l->n; i++) {
		store_object_clear(&l->v[i].record);
		object_unrefp(&l->v[i].object);
	}
	free(l->v);
	l->v = NULL;
	l->n = l->room = 0;
}

static uint64_t
coarse_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &ts) != 0)
		return UINT64_MAX;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool
object_table_stale(struct object_table *ot)
{
	return coarse_ns() - atomic_load(&ot->checked_ns) > TRUST_NS;
}

static int
copy_record(const struct store_object *from, struct store_object *ret)
{
	int err;

	memcpy(ret->id, from->id, sizeof(ret->id));
	err = blob_set(&ret->hint_id, blob_span(&from->hint_id));
	if (err == CVM_OK)
		err = blob_set(&ret->hint_label, blob_span(&from->hint_label));
	if (err == CVM_OK)
		err = blob_set(&ret->header, blob_span(&from->header));
	if (err == CVM_OK)
		err = blob_set(&ret->attrs_box, blob_span(&from->attrs_box));
	/* The attributes vouch for the private box, so it comes along. */
	if (err == CVM_OK)
		err = blob_set(&ret->private_box,
		    blob_span(&from->private_box));
	return err;
}

static int
grow(struct load *l)
{
	size_t room = l->room == 0 ? 64 : l->room * 2;
	struct loaded *v;

	if (l->n < l->room)
		return CVM_OK;
	v = realloc(l->v, room * sizeof(*v));
	if (v == NULL)
		return CVM_E_NOMEM;
	l->v = v;
	l->room = room;
	return CVM_OK;
}

static bool
in_table(struct load *l, const struct loaded *e)
{
	const struct object *o;
	bool same;

	(void)pthread_rwlock_rdlock(&l->ot->lock);
	o = table_find_record(l->ot, e->id);
	same = o != NULL && !o->husk &&
	    memcmp(o->stamp, e->stamp, sizeof(e->stamp)) == 0;
	(void)pthread_rwlock_unlock(&l->ot->lock);
	return same;
}

/* Under the store's lock: notes the record, and copies it if it is new. */
static int
note_record(void *arg, const struct store_object *o)
{
	struct load *l = arg;
	struct loaded *e;
	int err = grow(l);

	if (err != CVM_OK)
		return err;
	e = &l->v[l->n++];
	*e = (struct loaded){ 0 };
	memcpy(e->id, o->id, sizeof(e->id));
	if (o->attrs_box.len >= sizeof(e->stamp))
		memcpy(e->stamp,
		    o->attrs_box.data + o->attrs_box.len - sizeof(e->stamp),
		    sizeof(e->stamp));
	return in_table(l, e) ? CVM_OK : copy_record(o, &e->record);
}

/*
 * A record that does not authenticate is left out and said; the others stay
 * usable, so that one damaged record is no outage.
 */
static int
open_record(struct load *l, struct loaded *e)
{
	_cleanup_(attrs_clear) struct attrs attrs = { 0 };
	char text[WHY_SENTENCE_MAX];
	struct why why = { 0 };
	int err;

	if (e->record.header.len == 0 && e->record.attrs_box.len == 0)
		return CVM_OK;
	err = record_open_attrs(l->t, &e->record, &attrs, &why);
	if (err == CVM_E_CORRUPT || err == CVM_E_PARSE) {
		log_line(LOG_LEVEL_ERROR, "object left out: %s",
		    why_sentence(&why, text, sizeof(text)));
		return CVM_OK;
	}
	if (err != CVM_OK)
		return err;
	err = object_new(e->id, &attrs, /* key= */ NULL, &e->object);
	if (err == CVM_OK)
		memcpy(e->object->stamp, e->stamp, sizeof(e->stamp));
	return err;
}

static bool
not_seen(const void *arg, const struct object *o)
{
	return o->token && o->seen != *(const uint64_t *)arg;
}

/* The material of a record never changes: its cache serves the new version. */
static void
keep_key(struct object_table *ot, struct object *o)
{
	struct object *old = table_find_record(ot, o->id);

	if (old == NULL || old->key == NULL || o->key == NULL)
		return;
	key_cache_unrefp(&o->key);
	o->key = key_cache_ref(old->key);
}

/* False: this process changed objects meanwhile, load again. */
static bool
merge(struct load *l)
{
	struct object_table *ot = l->ot;
	uint64_t serial;

	(void)pthread_rwlock_wrlock(&ot->lock);
	if (ot->changes != l->changes) {
		(void)pthread_rwlock_unlock(&ot->lock);
		return false;
	}
	serial = ++ot->loads;
	for (size_t i = 0; i < l->n; i++) {
		struct object *o = l->v[i].object;

		if (o != NULL) {
			keep_key(ot, o);
			table_put(ot, o);
		} else {
			o = table_find_record(ot, l->v[i].id);
		}
		if (o != NULL)
			o->seen = serial;
	}
	table_sweep(ot, not_seen, &serial);
	ot->version = l->version;
	ot->loaded = true;
	(void)pthread_rwlock_unlock(&ot->lock);
	return true;
}

static int
load_once(struct load *l, bool *ret_done, struct why *why)
{
	int err;

	(void)pthread_rwlock_rdlock(&l->ot->lock);
	l->changes = l->ot->changes;
	(void)pthread_rwlock_unlock(&l->ot->lock);
	/* The version first: what changes meanwhile is loaded next time. */
	err = records_version(l->t, &l->version, why);
	if (err == CVM_OK)
		err = records_each(l->t, /* hint_id= */ NULL,
		    /* hint_label= */ NULL, note_record, l, why);
	for (size_t i = 0; i < l->n && err == CVM_OK; i++)
		err = open_record(l, &l->v[i]);
	if (err != CVM_OK)
		return err;
	*ret_done = merge(l);
	return CVM_OK;
}

static bool
is_current(struct object_table *ot, uint64_t version)
{
	bool current;

	(void)pthread_rwlock_rdlock(&ot->lock);
	current = ot->loaded && ot->version == version;
	(void)pthread_rwlock_unlock(&ot->lock);
	return current;
}

static int
load(struct token *t, struct object_table *ot, uint64_t version,
    struct why *why)
{
	bool done = is_current(ot, version);
	int err = CVM_OK;

	for (int i = 0; i < LOAD_TRIES && !done && err == CVM_OK; i++) {
		_cleanup_(load_clear) struct load l = { .t = t, .ot = ot };

		err = load_once(&l, &done, why);
	}
	/* Wiped while loading: there is nothing to show, and nothing wrong. */
	return err == CVM_E_SEALED ? CVM_OK : err;
}

int
object_table_refresh(struct token *t, struct why *reterr_why)
{
	struct object_table *ot = token_objects(t);
	uint64_t version;
	int err;

	if (!token_unsealed(t))
		return CVM_OK;
	err = records_version(t, &version, reterr_why);
	if (err != CVM_OK)
		return err;
	if (!is_current(ot, version)) {
		(void)pthread_mutex_lock(&ot->loading);
		err = load(t, ot, version, reterr_why);
		(void)pthread_mutex_unlock(&ot->loading);
	}
	if (err == CVM_OK)
		atomic_store(&ot->checked_ns, coarse_ns());
	return err;
}

/* Whether the table was current before our own write and is after it. */
static void
note_write(struct object_table *ot, uint64_t before, uint64_t after)
{
	(void)pthread_rwlock_wrlock(&ot->lock);
	if (ot->loaded && ot->version == before && after == before + 1)
		ot->version = after;
	(void)pthread_rwlock_unlock(&ot->lock);
}

int
object_table_write(struct token *t, const struct record_change *v, size_t n,
    struct why *reterr_why)
{
	struct object_table *ot = token_objects(t);
	uint64_t before, after;
	int err, known;

	(void)pthread_mutex_lock(&ot->loading);
	known = records_version(t, &before, /* reterr_why= */ NULL);
	err = records_write(t, v, n, reterr_why);
	if (err == CVM_OK && known == CVM_OK &&
	    records_version(t, &after, /* reterr_why= */ NULL) == CVM_OK)
		note_write(ot, before, after);
	(void)pthread_mutex_unlock(&ot->loading);
	return err;
}
