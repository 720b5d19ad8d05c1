/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"
#include "token/token_impl.h"

struct key *
key_new(struct secret **bytes)
{
	struct key *k = malloc(sizeof(*k));

	if (k == NULL) {
		secret_freep(bytes);
		return NULL;
	}
	atomic_init(&k->refs, 1);
	k->bytes = TAKE_PTR(*bytes);
	return k;
}

void
key_unrefp(struct key **k)
{
	if (*k != NULL && atomic_fetch_sub(&(*k)->refs, 1) == 1) {
		secret_freep(&(*k)->bytes);
		free(*k);
	}
	*k = NULL;
}

struct key *
token_key(struct token *t, enum token_key which)
{
	struct key *k;

	(void)pthread_mutex_lock(&t->lock);
	k = t->keys[which];
	if (k != NULL)
		(void)atomic_fetch_add(&k->refs, 1);
	(void)pthread_mutex_unlock(&t->lock);
	return k;
}

void
token_unlock_keys(struct token *t)
{
	unsigned open = t->keys[KEY_TOKEN] != NULL ? OPEN_TOKEN : 0;

	if (t->keys[KEY_PRIVATE] != NULL || t->user_auth != NULL)
		open |= OPEN_USER;
	if (t->keys[KEY_SO] != NULL || t->so_auth != NULL)
		open |= OPEN_SO;
	atomic_store(&t->open, open);
	(void)pthread_mutex_unlock(&t->lock);
}

/* What is taken from a token under its lock, and freed outside of it. */
struct spoils {
	struct key *keys[N_TOKEN_KEYS];
	struct secret *user_auth, *so_auth;
};

static void
spoils_clear(struct spoils *s)
{
	for (size_t i = 0; i < N_TOKEN_KEYS; i++)
		key_unrefp(&s->keys[i]);
	secret_freep(&s->user_auth);
	secret_freep(&s->so_auth);
}

/* t->lock is held. */
static void
take_keys(struct token *t, struct spoils *s)
{
	for (size_t i = 0; i < N_TOKEN_KEYS; i++)
		s->keys[i] = TAKE_PTR(t->keys[i]);
}

static void
take_auths(struct token *t, struct spoils *s)
{
	s->user_auth = TAKE_PTR(t->user_auth);
	s->so_auth = TAKE_PTR(t->so_auth);
	t->logouts++;
}

int
token_keep(struct token *t, const struct permit *p, enum token_key which,
    struct secret **key, struct secret **auth, const uint64_t *login,
    struct why *reterr_why)
{
	_cleanup_(spoils_clear) struct spoils old = { 0 };
	_cleanup_(key_unrefp) struct key *k = key_new(key);
	struct secret **kept = which == KEY_SO ? &t->so_auth : &t->user_auth;
	bool valid, logged_in;

	if (k == NULL)
		return CVM_E_NOMEM;
	(void)pthread_mutex_lock(&t->lock);
	/* Under the lock: a denial ends the permits first and takes the keys
	 * then, so that nothing opened before it is kept after it. */
	valid = p == NULL || permit_check(p, t->issuer) == CVM_OK;
	logged_in = login == NULL || *login == t->logouts;
	valid = valid && logged_in;
	if (valid) {
		old.keys[which] = t->keys[which];
		t->keys[which] = TAKE_PTR(k);
	}
	if (valid && auth != NULL) {
		old.user_auth = *kept;
		*kept = TAKE_PTR(*auth);
	}
	token_unlock_keys(t);
	if (!logged_in)
		return why_set(reterr_why, CVM_E_NOT_LOGGED_IN, "token",
		    "login", "one until the key is open", "a logout");
	if (!valid)
		return why_set(reterr_why, CVM_E_PERMIT, "token", "permit",
		    "valid until the key is open", "ended meanwhile");
	return CVM_OK;
}

/* All zero when there is no file. */
static void
look(const struct token *t, struct stamp *ret)
{
	struct stat st;

	*ret = (struct stamp){ 0 };
	if (stat(t->cfg->store, &st) == 0)
		*ret = stamp_of(&st);
}

/* What a reading of the store found. */
struct reading {
	struct token_info info;
	struct token_meta meta;
	struct why trouble;
};

/*
 * Another token under the same name: nothing of the old one is left. The
 * objects go when the store's lock is free, since their lock is outside it.
 */
static void
publish(struct token *t, const struct reading *r, const struct stamp *stamp)
{
	_cleanup_(spoils_clear) struct spoils old = { 0 };
	bool other, creatable = store_creatable(t->cfg->store);

	(void)pthread_mutex_lock(&t->lock);
	other = t->info.initialised && r->trouble.err == CVM_OK &&
	    (!r->info.initialised ||
		memcmp(t->meta.id, r->meta.id, TOKEN_ID_LEN) != 0);
	if (other) {
		take_keys(t, &old);
		take_auths(t, &old);
	}
	/* In trouble, what was known of the token still names it. */
	if (r->trouble.err == CVM_OK) {
		t->info = r->info;
		t->meta = r->meta;
		t->info.writable |= !r->info.initialised && creatable;
	}
	t->info.error_state = r->trouble.err != CVM_OK;
	t->trouble = r->trouble;
	t->stamp = *stamp;
	token_unlock_keys(t);
	if (other) {
		t->verified = false;
		t->generation = 0;
		atomic_store(&t->wipe_due, true);
	}
}

static int
read_store(struct store *s, struct reading *r, struct why *why)
{
	_cleanup_(store_seals_clear) struct store_seals seals = { 0 };
	uint32_t user = 0, so = 0;
	int err;

	err = meta_read(s, &r->meta, why);
	if (err == CVM_OK)
		err = pin_tries(s, /* so= */ false, &user, why);
	if (err == CVM_OK)
		err = pin_tries(s, /* so= */ true, &so, why);
	if (err == CVM_OK)
		err = store_seals_list(s, &seals, why);
	if (err != CVM_OK)
		return err;
	r->info.initialised = true;
	r->info.user_tries_left = PIN_TRIES - user;
	r->info.so_tries_left = PIN_TRIES - so;
	r->info.writable = store_writable(s);
	memcpy(r->info.label, r->meta.label, sizeof(r->info.label));
	memcpy(r->info.serial, r->meta.serial, sizeof(r->info.serial));
	for (size_t i = 0; i < seals.n; i++)
		if (seals.v[i].purpose == SEAL_USER &&
		    seal_has_pin(&seals.v[i]))
			r->info.user_pin_set = true;
	return CVM_OK;
}

static bool
is_initialised(struct token *t)
{
	bool is;

	(void)pthread_mutex_lock(&t->lock);
	is = t->info.initialised;
	(void)pthread_mutex_unlock(&t->lock);
	return is;
}

void
token_reload(struct token *t)
{
	struct reading r = { 0 };
	struct stamp stamp;
	int err = CVM_OK;

	look(t, &stamp); /* before reading: later changes show */
	if (stamp.ino != 0 && !stamp_same_file(&stamp, &t->opened))
		return; /* replaced: the next use opens the new one */
	if (t->connected && !store_is_open(t->store))
		return; /* the next use opens it anew */
	if (stamp.ino != 0 && t->connected) {
		err = store_begin_read(t->store, &r.trouble);
		if (err == CVM_OK) {
			err = read_store(t->store, &r, &r.trouble);
			store_rollback(t->store);
		}
	}
	if ((err == CVM_E_BUSY || err == CVM_E_NOMEM) && is_initialised(t))
		return; /* what is known stays */
	if (err != CVM_OK) {
		r.trouble.err = err;
		stamp = (struct stamp){ 0 }; /* the next look reads again */
	}
	publish(t, &r, &stamp);
}

/* store_lock() is held: opens the store, or opens it anew. */
static int
connect_store(struct token *t, struct why *why)
{
	int err;

	look(t, &t->opened);
	if (t->store == NULL)
		err = store_open(t->cfg->store, &t->store, why);
	else
		err = store_reopen(t->store, why);
	t->connected = err == CVM_OK;
	t->verified = false;
	return err;
}

/* Of no stamp: a disk that fails once may answer the next time. */
static int
refuse_connection(struct token *t, int err, const struct why *why)
{
	static const struct stamp none;
	struct reading r = { .trouble = *why };

	r.trouble.err = err;
	if (err == CVM_E_NOT_FOUND)
		r.trouble.err = CVM_OK; /* an uninitialised token */
	if (err != CVM_E_BUSY && err != CVM_E_NOMEM)
		publish(t, &r, &none);
	return err;
}

/* The stamp of the last reading, and the trouble that it found. */
static int
known(struct token *t, struct stamp *ret, struct why *why)
{
	(void)pthread_mutex_lock(&t->lock);
	*ret = t->stamp;
	*why = t->trouble;
	(void)pthread_mutex_unlock(&t->lock);
	return why->err;
}

int
token_store(struct token *t, struct store **ret, struct why *reterr_why)
{
	struct why why = { 0 };
	struct stamp now, before;
	int err;

	look(t, &now);
	err = known(t, &before, &why);
	if (!t->connected || !store_is_open(t->store) ||
	    !stamp_same_file(&now, &t->opened)) {
		err = connect_store(t, &why);
		if (err != CVM_OK)
			err = refuse_connection(t, err, &why);
		else
			before = (struct stamp){ 0 };
	}
	if (t->connected && !stamp_current(&before, &now)) {
		token_reload(t);
		err = known(t, &before, &why);
	}
	if (err == CVM_OK) {
		*ret = t->store;
		return CVM_OK;
	}
	/* "Not found" is what callers say of objects. */
	if (err == CVM_E_NOT_FOUND)
		err = why.err = CVM_E_IO;
	if (reterr_why != NULL)
		*reterr_why = why;
	return err;
}

int
token_get_meta(struct token *t, struct token_meta *ret, struct why *reterr_why)
{
	bool initialised;

	(void)pthread_mutex_lock(&t->lock);
	initialised = t->info.initialised;
	if (initialised)
		*ret = t->meta;
	(void)pthread_mutex_unlock(&t->lock);
	if (!initialised)
		return why_set(reterr_why, CVM_E_IO, t->cfg->store, "token",
		    "an initialised token", "none");
	return CVM_OK;
}

int
token_new(const struct config_token *cfg, const struct permit_issuer *issuer,
    struct token **ret)
{
	_cleanup_(token_freep) struct token *t = calloc(1, sizeof(*t));
	struct store *s;
	int err;

	if (t == NULL)
		return CVM_E_NOMEM;
	t->cfg = cfg;
	t->issuer = issuer;
	(void)pthread_mutex_init(&t->lock, NULL);
	err = object_table_new(&t->objects);
	if (err != CVM_OK)
		return err;
	/* A bad store is told by token_get_info(), not here. */
	store_lock();
	(void)!token_store(t, &s, /* reterr_why= */ NULL);
	store_unlock();
	*ret = TAKE_PTR(t);
	return CVM_OK;
}

void
token_freep(struct token **tp)
{
	struct token *t = *tp;
	struct spoils old = { 0 };

	if (t == NULL)
		return;
	object_table_freep(&t->objects);
	take_keys(t, &old);
	take_auths(t, &old);
	spoils_clear(&old);
	store_lock();
	store_freep(&t->store);
	store_unlock();
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
	*tp = NULL;
}

bool
token_try_store(struct token *t)
{
	if (!store_trylock())
		return false;
	if (!t->connected) { /* opening one takes its time */
		store_unlock();
		return false;
	}
	store_set_impatient(t->store, true);
	return true;
}

void
token_leave_store(struct token *t)
{
	store_set_impatient(t->store, false);
	store_unlock();
}

static void
refresh(struct token *t, bool wait)
{
	struct stamp now, before;
	struct why why;
	struct store *s;

	look(t, &now);
	/* Another file is another token, perhaps: no time to save. */
	wait |= known(t, &before, &why) != CVM_OK ||
	    !stamp_same_file(&now, &before);
	if (!stamp_current(&before, &now) && wait) {
		store_lock();
		(void)!token_store(t, &s, /* reterr_why= */ NULL);
		store_unlock();
	} else if (!stamp_current(&before, &now) && token_try_store(t)) {
		(void)!token_store(t, &s, /* reterr_why= */ NULL);
		token_leave_store(t);
	}
	if (atomic_exchange(&t->wipe_due, false))
		object_table_wipe(t->objects);
}

void
token_refresh(struct token *t)
{
	refresh(t, /* wait= */ true);
}

void
token_get_info(struct token *t, struct token_info *ret)
{
	refresh(t, /* wait= */ false);
	(void)pthread_mutex_lock(&t->lock);
	*ret = t->info;
	(void)pthread_mutex_unlock(&t->lock);
}

void
token_trouble(struct token *t, struct why *ret)
{
	(void)pthread_mutex_lock(&t->lock);
	*ret = t->trouble;
	(void)pthread_mutex_unlock(&t->lock);
}

CK_SLOT_ID
token_slot_id(const struct config_token *cfg)
{
	uint8_t digest[SHA256_LEN] = { 0 };
	struct reader r = reader_init(span(digest, sizeof(digest)));

	if (hash(HASH_SHA256, span(cfg->name, strlen(cfg->name)), digest) !=
	    CVM_OK)
		return 0;
	return read_be32(&r) & 0x7fffffff;
}

bool
token_unsealed(struct token *t)
{
	return (atomic_load(&t->open) & OPEN_TOKEN) != 0;
}

void
token_wipe(struct token *t)
{
	_cleanup_(spoils_clear) struct spoils old = { 0 };

	(void)pthread_mutex_lock(&t->lock);
	take_keys(t, &old);
	token_unlock_keys(t);
	object_table_wipe(t->objects);
}

/*
 * Of the parent's threads only this one is left: t->lock may be held by one
 * that does not exist here. What it guards is whole, since under it pointers
 * are only exchanged. The store's lock is ours by its fork handlers.
 */
void
token_after_fork(struct token *t)
{
	struct store *s;

	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_mutex_lock(&t->lock);
	token_unlock_keys(t); /* not in step where the fork came between */
	object_table_after_fork(t->objects);
	store_lock();
	t->connected = false;
	(void)!token_store(t, &s, /* reterr_why= */ NULL);
	store_unlock();
}

struct object_table *
token_objects(struct token *t)
{
	return t->objects;
}

const struct config_token *
token_config(const struct token *t)
{
	return t->cfg;
}

const struct permit_issuer *
token_issuer(const struct token *t)
{
	return t->issuer;
}
