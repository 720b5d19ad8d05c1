/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/builtin.h"
#include "token/object_table.h"

static int
table_init_locks(struct object_table *ot)
{
	if (pthread_rwlock_init(&ot->lock, /* attr= */ NULL) != 0 ||
	    pthread_mutex_init(&ot->loading, /* attr= */ NULL) != 0)
		return CVM_E_NOMEM;
	return CVM_OK;
}

int
object_table_new(struct object_table **ret)
{
	_cleanup_(object_table_freep) struct object_table *ot = calloc(1,
	    sizeof(*ot));
	int err;

	if (ot == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < N_INDEXES; i++) {
		ot->bucket[i] = calloc(TABLE_BUCKETS, sizeof(*ot->bucket[i]));
		if (ot->bucket[i] == NULL)
			return CVM_E_NOMEM;
	}
	err = table_init_locks(ot);
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(ot);
	return CVM_OK;
}

static struct object **
bucket_of(struct object_table *ot, enum object_index i, uint64_t hash)
{
	/* The upper half mixes better than the lower. */
	return &ot->bucket[i][(hash ^ (hash >> 32)) & (TABLE_BUCKETS - 1)];
}

/* Empty values are not indexed: they name nothing. */
static bool
indexed(const struct object *o, enum object_index i)
{
	const struct attr *a;

	if (i == BY_HANDLE || i == BY_RECORD)
		return true;
	if (o->husk)
		return o->hash[i] != 0;
	a = attrs_find(&o->attrs, i == BY_ID ? CKA_ID : CKA_LABEL);
	return a != NULL && a->value.len > 0;
}

static void
chain_insert(struct object_table *ot, struct object *o)
{
	for (enum object_index i = 0; i < N_INDEXES; i++) {
		struct object **head = bucket_of(ot, i, o->hash[i]);

		if (!indexed(o, i))
			continue;
		o->next[i] = *head;
		/* In this order also for a child that is forked in between. */
		atomic_signal_fence(memory_order_seq_cst);
		*head = o;
	}
	if (!o->token)
		(void)atomic_fetch_add(&ot->n_session, 1);
	else if (!o->husk)
		ot->n_open++;
}

static void
chain_remove(struct object_table *ot, struct object *o)
{
	(void)atomic_fetch_add(&ot->removals, 1);
	for (enum object_index i = 0; i < N_INDEXES; i++) {
		struct object **p = bucket_of(ot, i, o->hash[i]);

		while (*p != NULL && *p != o)
			p = &(*p)->next[i];
		if (*p != NULL)
			*p = o->next[i];
	}
	if (!o->token)
		(void)atomic_fetch_sub(&ot->n_session, 1);
	else if (!o->husk && ot->n_open > 0) /* a fork may lose one */
		ot->n_open--;
}

void
table_remove(struct object_table *ot, struct object *o)
{
	chain_remove(ot, o);
	object_unrefp(&o);
}

struct object *
table_chain(struct object_table *ot, enum object_index i, uint64_t hash)
{
	return *bucket_of(ot, i, hash);
}

static struct object *
find_handle(struct object_table *ot, CK_OBJECT_HANDLE handle)
{
	struct object *o = *bucket_of(ot, BY_HANDLE, handle);

	while (o != NULL && o->handle != handle)
		o = o->next[BY_HANDLE];
	return o;
}

struct object *
table_find_record(struct object_table *ot,
    const uint8_t id[static STORE_ID_LEN])
{
	struct object *o = *bucket_of(ot, BY_RECORD,
	    object_hash(span(id, STORE_ID_LEN)));

	while (o != NULL && memcmp(o->id, id, sizeof(o->id)) != 0)
		o = o->next[BY_RECORD];
	return o;
}

/* The table gets a reference of its own. */
void
table_put(struct object_table *ot, struct object *o)
{
	struct object *old = table_find_record(ot, o->id);

	o->handle = old != NULL ? old->handle : ++ot->last_handle;
	o->hash[BY_HANDLE] = o->handle;
	chain_insert(ot, object_ref(o));
	if (old != NULL) {
		chain_remove(ot, old);
		/* Two that opened it at once have a cache each. */
		if (old->token && old->key != NULL && old->key != o->key)
			key_cache_wipe(old->key);
		object_unrefp(&old);
	}
}

/* The next use loads the index again. */
static void
table_unload(struct object_table *ot)
{
	ot->loaded = false;
	atomic_store(&ot->checked_ns, 0);
}

bool
object_table_renew(struct object_table *ot, const struct object *old,
    struct object *o)
{
	const struct object *now;
	bool there;

	(void)pthread_rwlock_wrlock(&ot->lock);
	now = table_find_record(ot, old->id);
	/* A record is the store's, and what is here is read from it; a session
	 * object is nowhere else. */
	there = now != NULL && (old->token || now == old);
	if (there) {
		ot->changes++;
		table_put(ot, o);
		if (o->token && ++ot->n_unknown > OPEN_MAX)
			table_unload(ot);
	}
	(void)pthread_rwlock_unlock(&ot->lock);
	return there;
}

void
object_table_drop(struct object_table *ot, struct object *o)
{
	struct object *old;

	(void)pthread_rwlock_wrlock(&ot->lock);
	ot->changes++;
	old = table_find_record(ot, o->id);
	if (old != NULL) {
		chain_remove(ot, old);
		/* Two that opened it at once have a cache each. */
		if (old->key != NULL && old->key != o->key)
			key_cache_wipe(old->key);
	}
	(void)pthread_rwlock_unlock(&ot->lock);
	object_unrefp(&old);
}

/* Takes out of the table, in one chain, what fn wants out. */
void
table_sweep(struct object_table *ot,
    bool (*fn)(const void *arg, const struct object *o), const void *arg)
{
	for (size_t i = 0; i < TABLE_BUCKETS; i++) {
		struct object *o = ot->bucket[BY_HANDLE][i], *next;

		for (; o != NULL; o = next) {
			next = o->next[BY_HANDLE];
			if (!fn(arg, o))
				continue;
			chain_remove(ot, o);
			/* Operations and leases may hold it. */
			if (o->key != NULL)
				key_cache_wipe(o->key);
			object_unrefp(&o);
		}
	}
}

static bool
is_any(const void *arg, const struct object *o)
{
	(void)arg;
	(void)o;
	return true;
}

void
object_table_freep(struct object_table **ot)
{
	struct object_table *old = TAKE_PTR(*ot);

	if (old == NULL)
		return;
	if (old->bucket[N_INDEXES - 1] != NULL) {
		table_sweep(old, is_any, /* arg= */ NULL);
		(void)pthread_rwlock_destroy(&old->lock);
		(void)pthread_mutex_destroy(&old->loading);
	}
	for (size_t i = 0; i < N_INDEXES; i++)
		free(old->bucket[i]);
	free(old);
}

static bool
is_session_secret(const void *arg, const struct object *o)
{
	(void)arg;
	return !o->token && (o->private || object_is_key(o));
}

bool
table_close(struct object_table *ot, struct object *o)
{
	struct object *husk = NULL;

	if (object_husk(o, &husk) != CVM_OK)
		return false;
	chain_insert(ot, husk);
	table_remove(ot, o);
	return true;
}

/* A private object shrinks to its handle; without memory, to nothing. */
static void
wipe_object(struct object_table *ot, struct object *o)
{
	if (o->key != NULL)
		key_cache_wipe(o->key);
	if (!o->private || o->husk)
		return;
	if (!table_close(ot, o))
		table_remove(ot, o);
}

void
object_table_wipe(struct object_table *ot)
{
	(void)pthread_rwlock_wrlock(&ot->lock);
	ot->changes++;
	table_unload(ot);
	table_sweep(ot, is_session_secret, /* arg= */ NULL);
	for (size_t i = 0; i < TABLE_BUCKETS; i++) {
		struct object *o = ot->bucket[BY_HANDLE][i], *next;

		for (; o != NULL; o = next) {
			next = o->next[BY_HANDLE];
			wipe_object(ot, o);
		}
	}
	(void)pthread_rwlock_unlock(&ot->lock);
}

static bool
is_private(const void *arg, const struct object *o)
{
	(void)arg;
	return o->private;
}

/*
 * What a denial or a logout that has passed the table would have done to o,
 * had it been there. Both are known before they come for the table.
 */
static void
catch_up(struct token *t, const struct caller *c, struct object *o)
{
	struct object_table *ot = token_objects(t);
	/* What was made without a permit is made of nothing secret. */
	bool admitted = c->permit == NULL ||
	    permit_stands(c->permit, token_issuer(t));

	if (o->private && atomic_load(&ot->logouts) != c->logouts) {
		if (o->key != NULL)
			key_cache_wipe(o->key);
		table_remove(ot, o);
	} else if (!admitted && is_session_secret(NULL, o) && o->key != NULL) {
		key_cache_wipe(o->key);
		table_remove(ot, o);
	} else if (!admitted && o->token) {
		wipe_object(ot, o);
	}
}

void
object_table_publish(struct token *t, const struct caller *c,
    struct object *const *o, size_t n, CK_OBJECT_HANDLE *ret)
{
	struct object_table *ot = token_objects(t);

	(void)pthread_rwlock_wrlock(&ot->lock);
	ot->changes++;
	for (size_t i = 0; i < n; i++) {
		table_put(ot, o[i]);
		ret[i] = o[i]->handle;
		/* What is made here has no stamp before the next load. */
		if (o[i]->token && ++ot->n_unknown > OPEN_MAX)
			table_unload(ot);
		catch_up(t, c, o[i]);
	}
	(void)pthread_rwlock_unlock(&ot->lock);
}

uint64_t
token_logouts(struct token *t)
{
	return atomic_load(&token_objects(t)->logouts);
}

void
object_table_logout(struct object_table *ot)
{
	(void)pthread_rwlock_wrlock(&ot->lock);
	(void)atomic_fetch_add(&ot->logouts, 1);
	ot->changes++;
	ot->loaded = false;
	table_sweep(ot, is_private, /* arg= */ NULL);
	(void)pthread_rwlock_unlock(&ot->lock);
}

void
object_table_after_fork(struct object_table *ot)
{
	(void)table_init_locks(ot);
	for (size_t i = 0; i < TABLE_BUCKETS; i++)
		for (struct object *o = ot->bucket[BY_HANDLE][i]; o != NULL;
		     o = o->next[BY_HANDLE])
			if (o->key != NULL)
				key_cache_after_fork(o->key);
	/* A load that another thread had begun is not finished here. */
	table_unload(ot);
}

static bool
is_of_session(const void *arg, const struct object *o)
{
	return !o->token && o->session == *(const CK_SESSION_HANDLE *)arg;
}

void
token_session_closed(struct token *t, CK_SESSION_HANDLE session)
{
	struct object_table *ot = token_objects(t);

	if (atomic_load(&ot->n_session) == 0)
		return;
	(void)pthread_rwlock_wrlock(&ot->lock);
	ot->changes++;
	table_sweep(ot, is_of_session, &session);
	(void)pthread_rwlock_unlock(&ot->lock);
}

uint64_t
object_table_mark(struct object_table *ot, const struct object *o)
{
	uint64_t mark;

	(void)pthread_rwlock_rdlock(&ot->lock);
	mark = find_handle(ot, o->handle) == o ?
	    atomic_load(&ot->removals) + 1 :
	    0;
	(void)pthread_rwlock_unlock(&ot->lock);
	return mark;
}

bool
object_table_marked(struct object_table *ot, uint64_t mark)
{
	return atomic_load(&ot->removals) + 1 == mark;
}

bool
caller_admitted(const struct token *t, const struct caller *c)
{
	return permit_check(c->permit, token_issuer(t)) == CVM_OK;
}

bool
object_visible(const struct object *o, const struct caller *c, bool admitted)
{
	if (o->husk || (o->private && !c->user))
		return false;
	return !object_is_key(o) || admitted;
}

/* A reference to the object, or NULL; *ret_husk: wiped, to be loaded. */
static struct object *
get_handle(struct object_table *ot, CK_OBJECT_HANDLE handle, bool *ret_husk)
{
	struct object *o;

	(void)pthread_rwlock_rdlock(&ot->lock);
	o = find_handle(ot, handle);
	*ret_husk = o != NULL && o->husk;
	if (o != NULL)
		(void)object_ref(o);
	(void)pthread_rwlock_unlock(&ot->lock);
	return o;
}

/* A reference to what the handle names now; opened, if it was a husk. */
static int
open_handle(struct token *t, CK_OBJECT_HANDLE handle, struct object **ret)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(object_unrefp) struct object *opened = NULL;
	bool husk, kept;
	int err;

	o = get_handle(token_objects(t), handle, &husk);
	if (o == NULL)
		return CVM_E_NOT_FOUND;
	if (!husk) {
		*ret = TAKE_PTR(o);
		return CVM_OK;
	}
	err = object_open(t, o, /* must= */ true, &opened, &kept);
	if (err != CVM_OK)
		return err;
	/* A wipe would not find it. */
	if (!kept)
		return CVM_E_BUSY;
	*ret = TAKE_PTR(opened);
	return CVM_OK;
}

/* Of what an admission would show: to a caller who had one, that it is over. */
static int
unseen(const struct caller *c)
{
	return c->permit != NULL ? CVM_E_PERMIT : CVM_E_NOT_FOUND;
}

/* Against others who change the very object all the time. */
#define OPEN_TRIES 8

int
token_object_why(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, struct object **ret, struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct object_table *ot = token_objects(t);
	int err;

	if (handle >= BUILTIN_HANDLE_BASE)
		return builtin_object(token_config(t), handle, ret);
	if (object_table_stale(ot)) {
		err = object_table_glance(t, reterr_why);
		if (err != CVM_OK)
			return err;
	}
	err = open_handle(t, handle, &o);
	for (int i = 0; i < OPEN_TRIES && err == CVM_E_BUSY; i++) {
		err = object_table_refresh(t, reterr_why);
		if (err != CVM_OK)
			return err;
		err = open_handle(t, handle, &o);
	}
	/* Sealed: wiped, and to be opened when the token is. */
	if (err == CVM_E_SEALED)
		return unseen(c);
	if (err != CVM_OK)
		return err;
	if (!object_visible(o, c, /* admitted= */ true))
		return CVM_E_NOT_FOUND;
	if (object_is_key(o) && !caller_admitted(t, c))
		return unseen(c);
	*ret = TAKE_PTR(o);
	return CVM_OK;
}

int
token_object(struct token *t, const struct caller *c, CK_OBJECT_HANDLE handle,
    struct object **ret)
{
	return token_object_why(t, c, handle, ret, /* reterr_why= */ NULL);
}
