/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>
#include <time.h>

#include "base/reader.h"
#include "token/object_table.h"

/*
 * Bringing the table up to date with the store, which other processes change
 * too. What comes in is an index: id, hints and the tag of the box, of each
 * row, in the same reading that checks the manifest. Nothing is decrypted.
 */
#define LOAD_TRIES 4
/* How long a lookup by handle trusts what was loaded. */
#define TRUST_NS 1000000000u
/* How much longer, when the store was not free for a look. */
#define RETRY_NS 100000000u

struct row {
	uint8_t id[STORE_ID_LEN];
	uint8_t stamp[OBJECT_STAMP_LEN];
	uint64_t hint_id, hint_label;
};

struct object_load {
	struct token *t;
	struct object_table *ot;
	bool wait;
	struct row *v;
	size_t n, room;
	uint64_t version, changes;
};

static void
load_begin(struct object_load *l, struct token *t, bool wait)
{
	struct object_table *ot = token_objects(t);

	*l = (struct object_load){ .t = t, .ot = ot, .wait = wait };
	(void)pthread_rwlock_rdlock(&ot->lock);
	l->changes = ot->changes;
	(void)pthread_rwlock_unlock(&ot->lock);
}

static void
load_clear(struct object_load *l)
{
	freep(&l->v);
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
	uint64_t now = coarse_ns();

	/* Without a clock nothing is known to be fresh. */
	return now == UINT64_MAX ||
	    now - atomic_load(&ot->checked_ns) > TRUST_NS;
}

static int
grow(struct object_load *l)
{
	size_t room = l->room == 0 ? 64 : l->room * 2;
	struct row *v;

	if (l->n < l->room)
		return CVM_OK;
	v = realloc(l->v, room * sizeof(*v));
	if (v == NULL)
		return CVM_E_NOMEM;
	l->v = v;
	l->room = room;
	return CVM_OK;
}

/* The start of a hint; 0 for none. */
static uint64_t
hint_start(const struct blob *hint)
{
	struct reader r = reader_init(blob_span(hint));

	return hint->len < sizeof(uint64_t) ? 0 : read_be64(&r);
}

int
object_load_row(void *arg, const struct store_object *o)
{
	struct object_load *l = arg;
	struct row *r;
	int err = grow(l);

	if (err != CVM_OK)
		return err;
	r = &l->v[l->n++];
	*r = (struct row){ .hint_id = hint_start(&o->hint_id),
		.hint_label = hint_start(&o->hint_label) };
	memcpy(r->id, o->id, sizeof(r->id));
	if (o->attrs_box.len >= sizeof(r->stamp))
		memcpy(r->stamp,
		    o->attrs_box.data + o->attrs_box.len - sizeof(r->stamp),
		    sizeof(r->stamp));
	return CVM_OK;
}

static bool
not_seen(const void *arg, const struct object *o)
{
	return o->token && o->seen != *(const uint64_t *)arg;
}

/* What the table has of a row, or a husk for it; NULL: out of memory. The
 * material of a record never changes: its cache serves the new version. */
static struct object *
merge_row(struct object_table *ot, const struct row *r)
{
	struct object *o = table_find_record(ot, r->id), *husk = NULL;
	/* Whether it is private does not change, and is not known before it is
	 * opened for the first time. */
	struct object new = { .private = o == NULL || o->private,
		.hint_id = r->hint_id,
		.hint_label = r->hint_label };

	if (o != NULL && memcmp(o->stamp, r->stamp, sizeof(r->stamp)) == 0 &&
	    o->hint_id == r->hint_id && o->hint_label == r->hint_label)
		return o;
	memcpy(new.id, r->id, sizeof(new.id));
	memcpy(new.stamp, r->stamp, sizeof(new.stamp));
	if (o != NULL)
		new.key = o->key;
	if (object_husk(&new, &husk) != CVM_OK)
		return NULL;
	table_put(ot, husk);
	o = husk;
	object_unrefp(&husk); /* the table has its own */
	return o;
}

/* False: this process changed objects meanwhile, load again. */
static int
merge(struct object_load *l, bool *ret_done)
{
	struct object_table *ot = l->ot;
	uint64_t serial;
	int err = CVM_OK;

	(void)pthread_rwlock_wrlock(&ot->lock);
	if (ot->changes != l->changes) {
		(void)pthread_rwlock_unlock(&ot->lock);
		return CVM_OK;
	}
	serial = ++ot->loads;
	for (size_t i = 0; i < l->n && err == CVM_OK; i++) {
		struct object *o = merge_row(ot, &l->v[i]);

		if (o != NULL)
			o->seen = serial;
		else
			err = CVM_E_NOMEM;
	}
	if (err == CVM_OK) {
		table_sweep(ot, not_seen, &serial);
		ot->version = l->version;
		ot->n_rows = l->n;
		ot->n_unknown = 0;
		ot->loaded = true;
		*ret_done = true;
	}
	(void)pthread_rwlock_unlock(&ot->lock);
	return err;
}

static int
load_once(struct object_load *l, bool *ret_done, struct why *why)
{
	int err = records_index(l->t, l->wait, object_load_row, l, &l->version,
	    why);

	return err == CVM_OK ? merge(l, ret_done) : err;
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
load_locked(struct token *t, bool wait, uint64_t version, struct why *why)
{
	struct object_table *ot = token_objects(t);
	bool done = is_current(ot, version);
	int err = CVM_OK;

	for (int i = 0; i < LOAD_TRIES && !done && err == CVM_OK; i++) {
		_cleanup_(load_clear) struct object_load l = { 0 };

		load_begin(&l, t, wait);
		err = load_once(&l, &done, why);
	}
	/* Wiped while loading: there is nothing to show, and nothing wrong. */
	return err == CVM_E_SEALED ? CVM_OK : err;
}

static int
load(struct token *t, bool wait, uint64_t version, struct why *why)
{
	struct object_table *ot = token_objects(t);
	int err;

	if (wait)
		(void)pthread_mutex_lock(&ot->loading);
	else if (pthread_mutex_trylock(&ot->loading) != 0)
		return CVM_E_BUSY;
	err = load_locked(t, wait, version, why);
	(void)pthread_mutex_unlock(&ot->loading);
	return err;
}

static int
refresh(struct token *t, bool wait, struct why *why)
{
	struct object_table *ot = token_objects(t);
	uint64_t version;
	int err;

	if (!token_unsealed(t))
		return CVM_OK;
	err = records_peek(t, wait, &version, why);
	if (err == CVM_OK && !is_current(ot, version)) {
		err = load(t, wait, version, why);
		if (err == CVM_OK)
			err = object_open_few(t);
	}
	if (err != CVM_OK)
		return err;
	/* Wiped while loading, perhaps: nothing was refused. */
	if (why != NULL)
		why_none(why);
	atomic_store(&ot->checked_ns, coarse_ns());
	return CVM_OK;
}

int
object_table_refresh(struct token *t, struct why *reterr_why)
{
	return refresh(t, /* wait= */ true, reterr_why);
}

static bool
is_loaded(struct object_table *ot)
{
	bool loaded;

	(void)pthread_rwlock_rdlock(&ot->lock);
	loaded = ot->loaded;
	(void)pthread_rwlock_unlock(&ot->lock);
	return loaded;
}

int
object_table_glance(struct token *t, struct why *reterr_why)
{
	struct object_table *ot = token_objects(t);
	bool wait = !is_loaded(ot);
	int err = refresh(t, wait, reterr_why);

	if (wait || err != CVM_E_BUSY)
		return err;
	if (reterr_why != NULL)
		why_none(reterr_why);
	atomic_store(&ot->checked_ns, coarse_ns() - TRUST_NS + RETRY_NS);
	return CVM_OK;
}

int
object_load_new(struct token *t, struct object_load **ret)
{
	struct object_load *l = malloc(sizeof(*l));

	if (l == NULL)
		return CVM_E_NOMEM;
	load_begin(l, t, /* wait= */ true);
	*ret = l;
	return CVM_OK;
}

void
object_load_freep(struct object_load **l)
{
	if (*l != NULL)
		load_clear(*l);
	free(*l);
	*l = NULL;
}

int
object_load_put(struct object_load *l, uint64_t version)
{
	bool done = false;
	int err;

	l->version = version;
	err = merge(l, &done);
	return err == CVM_OK && done ? object_open_few(l->t) : err;
}

/* A table that was current before our own write is current after it. A load
 * that is under way may set the version back: then there is one more. */
static void
note_write(void *arg, uint64_t before, uint64_t after)
{
	struct object_table *ot = arg;

	if (after == before + 1)
		(void)atomic_compare_exchange_strong(&ot->version, &before,
		    after);
}

void
object_table_note(struct token *t, uint64_t before, uint64_t after)
{
	note_write(token_objects(t), before, after);
}

int
object_table_write(struct token *t, const struct permit *p,
    const struct record_change *v, size_t n, struct why *reterr_why)
{
	return records_write_noting(t, p, v, n, note_write, token_objects(t),
	    reterr_why);
}
