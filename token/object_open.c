/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/log.h"
#include "base/reader.h"
#include "token/object_table.h"

/*
 * A husk becomes an object when its record is decrypted, and an object that
 * nobody uses becomes a husk again where there are too many.
 */

static bool
is_idle(const struct object *o)
{
	static const uint8_t unknown[OBJECT_STAMP_LEN];

	return o->token && !o->husk && atomic_load(&o->refs) == 1 &&
	    memcmp(o->stamp, unknown, sizeof(unknown)) != 0 &&
	    (o->key == NULL || key_cache_empty(o->key));
}

/* With the lock held for writing, under which no reference is taken. */
static void
close_idle(struct object_table *ot)
{
	for (size_t i = 0; i < TABLE_BUCKETS; i++) {
		struct object *o = table_chain(ot, BY_HANDLE, ot->hand);

		for (; o != NULL; o = o->next[BY_HANDLE])
			if (is_idle(o)) {
				(void)table_close(ot, o);
				return;
			}
		ot->hand = (ot->hand + 1) % TABLE_BUCKETS;
	}
}

/*
 * What the index says still holds, and there is room: into the table, unless
 * another thread was first, whose object it is then: a wipe finds what is in
 * the table, and one cache. False: o is not what the table has.
 */
static bool
keep(struct object_table *ot, const struct object *husk, struct object **o,
    bool must)
{
	struct object *now;
	bool same, kept = false;

	(void)pthread_rwlock_wrlock(&ot->lock);
	now = table_find_record(ot, husk->id);
	same = now != NULL && ot->loaded &&
	    memcmp(now->stamp, (*o)->stamp, sizeof(now->stamp)) == 0;
	if (same && !now->husk) {
		object_unrefp(o);
		*o = object_ref(now);
		kept = true;
	} else if (same && (must || ot->n_open < OPEN_MAX)) {
		(*o)->seen = now->seen;
		table_put(ot, *o);
		kept = true;
		if (ot->n_open > OPEN_MAX)
			close_idle(ot);
	}
	(void)pthread_rwlock_unlock(&ot->lock);
	return kept;
}

/*
 * A record that does not authenticate is left out and said, once; the others
 * stay usable, so that one damaged record is no outage.
 */
static int
leave_out(struct object_table *ot, const struct object *husk,
    const struct why *why)
{
	char text[WHY_SENTENCE_MAX];
	struct object *now;
	bool news = false;

	(void)pthread_rwlock_wrlock(&ot->lock);
	now = table_find_record(ot, husk->id);
	if (now != NULL && now->husk) {
		news = !now->broken;
		now->broken = true;
	}
	(void)pthread_rwlock_unlock(&ot->lock);
	if (news)
		log_line(LOG_LEVEL_ERROR, "object left out: %s",
		    why_sentence(why, text, sizeof(text)));
	return CVM_E_NOT_FOUND;
}

/* The very record of the index: a row that was exchanged behind the back of
 * SQLite is not what the manifest vouched for. */
static bool
is_indexed(const struct object *husk, const struct store_object *r)
{
	return r->attrs_box.len >= OBJECT_STAMP_LEN &&
	    memcmp(r->attrs_box.data + r->attrs_box.len - OBJECT_STAMP_LEN,
		husk->stamp, OBJECT_STAMP_LEN) == 0;
}

/* The row is not the one of the index: because the store is newer, or else
 * without any right. */
static int
refuse_row(struct token *t, const struct object *husk, struct why *why)
{
	struct object_table *ot = token_objects(t);
	const struct object *now;
	uint64_t version = 0;
	bool same;
	int err = records_peek(t, /* wait= */ true, &version, why);

	if (err != CVM_OK)
		return err;
	(void)pthread_rwlock_rdlock(&ot->lock);
	now = table_find_record(ot, husk->id);
	same = ot->loaded && ot->version == version && now != NULL &&
	    memcmp(now->stamp, husk->stamp, sizeof(now->stamp)) == 0;
	(void)pthread_rwlock_unlock(&ot->lock);
	if (!same)
		return CVM_E_BUSY;
	return why_set(why, CVM_E_CORRUPT, token_config(t)->store,
	    "store record", "the one that the manifest vouches for",
	    "another in its place");
}

static int
open_record(struct token *t, const struct object *husk, struct attrs *ret,
    struct why *why)
{
	_cleanup_(store_object_clear) struct store_object r = { 0 };
	int err;

	/* First: a husk of what was made here since the last load has no stamp
	 * yet, and none will come while the token is sealed. */
	if (!token_unsealed(t))
		return CVM_E_SEALED;
	err = record_read(t, husk->id, &r, why);
	if (err == CVM_E_NOT_FOUND || (err == CVM_OK && !is_indexed(husk, &r)))
		return refuse_row(t, husk, why);
	if (err != CVM_OK)
		return err;
	(void)atomic_fetch_add(&token_objects(t)->n_opened, 1);
	return record_open_attrs(t, &r, ret, why);
}

int
object_open(struct token *t, const struct object *husk, bool must,
    struct object **ret, bool *ret_kept)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(attrs_clear) struct attrs attrs = { 0 };
	struct why why = { 0 };
	bool kept;
	int err;

	err = open_record(t, husk, &attrs, &why);
	if (err == CVM_E_CORRUPT || err == CVM_E_PARSE)
		return leave_out(token_objects(t), husk, &why);
	if (err == CVM_OK)
		err = object_new(husk->id, &attrs, husk->key, &o);
	if (err != CVM_OK)
		return err;
	memcpy(o->stamp, husk->stamp, sizeof(o->stamp));
	o->hint_id = husk->hint_id;
	o->hint_label = husk->hint_label;
	o->handle = husk->handle;
	kept = keep(token_objects(t), husk, &o, must);
	if (ret_kept != NULL)
		*ret_kept = kept;
	*ret = TAKE_PTR(o);
	return CVM_OK;
}

/* What is to be opened: references, taken under the table's lock. */
struct husks {
	struct object **v;
	size_t n, room;
};

static void
husks_clear(struct husks *h)
{
	for (size_t i = 0; i < h->n; i++)
		object_unrefp(&h->v[i]);
	free(h->v);
	*h = (struct husks){ 0 };
}

static int
husks_add(struct husks *h, struct object *o)
{
	size_t room = h->room == 0 ? 16 : h->room * 2;
	struct object **v;

	if (h->n == h->room) {
		v = realloc(h->v, room * sizeof(*v));
		if (v == NULL)
			return CVM_E_NOMEM;
		h->v = v;
		h->room = room;
	}
	h->v[h->n++] = object_ref(o);
	return CVM_OK;
}

/* One search: what to look for, and what was found to be opened. */
struct hunt {
	enum object_index index;
	bool all;
	uint64_t hash; /* of the value, for what is open */
	uint64_t hint; /* for husks; 0: none can be opened */
	int (*fn)(void *arg, struct object *o);
	void *arg;
	struct husks husks;
};

static int
hunt_chain(struct hunt *h, struct object *o, bool husks)
{
	uint64_t hash = husks ? h->hint : h->hash;
	int err = CVM_OK;

	for (; o != NULL && err == CVM_OK; o = o->next[h->index]) {
		if (!h->all && (o->husk != husks || o->hash[h->index] != hash))
			continue;
		if (!o->husk)
			err = h->fn(h->arg, o);
		else if (!o->broken)
			err = husks_add(&h->husks, o);
	}
	return err;
}

static int
hunt_table(struct hunt *h, struct object_table *ot)
{
	int err = CVM_OK;

	(void)pthread_rwlock_rdlock(&ot->lock);
	if (h->all) {
		for (size_t i = 0; i < TABLE_BUCKETS && err == CVM_OK; i++)
			err = hunt_chain(h, ot->bucket[BY_HANDLE][i],
			    /* husks= */ false);
	} else {
		err = hunt_chain(h, table_chain(ot, h->index, h->hash),
		    /* husks= */ false);
		if (err == CVM_OK && h->hint != 0)
			err = hunt_chain(h, table_chain(ot, h->index, h->hint),
			    /* husks= */ true);
	}
	(void)pthread_rwlock_unlock(&ot->lock);
	return err;
}

/* Without the token key no husk can be opened, and none is looked for. */
static int
hint_of(struct token *t, enum object_index index, struct span value,
    uint64_t *ret)
{
	_cleanup_(blob_clear) struct blob hint = { 0 };
	struct reader r;
	int err = record_hint(t, index == BY_ID ? CKA_ID : CKA_LABEL, value,
	    &hint);

	if (err == CVM_E_SEALED || err == CVM_E_NOT_FOUND)
		return CVM_OK;
	r = reader_init(blob_span(&hint));
	if (err == CVM_OK)
		*ret = read_be64(&r);
	return err;
}

/* Opens what was found; what changes meanwhile is another's to find. */
static int
open_husks(struct token *t, struct hunt *h)
{
	for (size_t i = 0; i < h->husks.n; i++) {
		_cleanup_(object_unrefp) struct object *o = NULL;
		int err = object_open(t, h->husks.v[i], !h->all, &o,
		    /* ret_kept= */ NULL);

		if (err == CVM_E_SEALED)
			return CVM_OK;
		if (err == CVM_E_NOT_FOUND)
			continue;
		if (err == CVM_OK)
			err = h->fn(h->arg, o);
		if (err != CVM_OK)
			return err;
	}
	return CVM_OK;
}

int
object_search(struct token *t, enum object_index index, struct span value,
    int (*fn)(void *arg, struct object *o), void *arg)
{
	struct hunt h = { .index = index,
		.all = index == BY_HANDLE,
		.hash = object_hash(value),
		.fn = fn,
		.arg = arg };
	int err = h.all ? CVM_OK : hint_of(t, index, value, &h.hint);

	if (err == CVM_OK)
		err = hunt_table(&h, token_objects(t));
	if (err == CVM_OK)
		err = open_husks(t, &h);
	husks_clear(&h.husks);
	return err;
}

static int
nothing(void *arg, struct object *o)
{
	(void)arg;
	(void)o;
	return CVM_OK;
}

int
object_open_few(struct token *t)
{
	struct object_table *ot = token_objects(t);
	size_t n;
	int err;

	(void)pthread_rwlock_rdlock(&ot->lock);
	n = ot->n_rows;
	(void)pthread_rwlock_unlock(&ot->lock);
	if (n > OPEN_ALL_MAX)
		return CVM_OK;
	err = object_search(t, BY_HANDLE, span(NULL, 0), nothing, NULL);
	/* Changed meanwhile: whoever needs the object opens it. */
	return err == CVM_E_BUSY ? CVM_OK : err;
}
