/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/record_priv.h"

/* One transaction of record changes. */
struct writing {
	struct token *t;
	const struct permit *permit;
	struct store *s;
	struct manifest m;
	struct manifest_mac *mac;
	void (*fn)(void *arg, uint64_t before, uint64_t after);
	void *arg;
};

/* The row that a change replaces or deletes leaves the manifest. */
static int
take_old(struct writing *w, const uint8_t *id, struct store_object *ret,
    struct why *reterr_why)
{
	int err;

	err = store_object_get(w->s, id, ret, reterr_why);
	if (err != CVM_OK)
		return err;
	return manifest_object(&w->m, w->mac, ret, /* add= */ false);
}

static int
put_new(struct writing *w, const struct store_object *o, bool replace,
    struct why *reterr_why)
{
	int err;

	err = manifest_object(&w->m, w->mac, o, /* add= */ true);
	if (err != CVM_OK)
		return err;
	return store_object_put(w->s, o, replace, reterr_why);
}

static int
insert(struct writing *w, const struct record_change *c, struct why *reterr_why)
{
	_cleanup_(store_object_clear) struct store_object new = { 0 };
	int err;

	err = record_close(w->t, c->id, c->attrs, c->material,
	    /* keep= */ NULL, &new, reterr_why);
	return err == CVM_OK ? put_new(w, &new, false, reterr_why) : err;
}

/*
 * A private box that is kept must be the one that the old attributes vouch
 * for: otherwise the new ones would vouch for whatever lies in the file.
 */
static int
check_kept(struct writing *w, const struct store_object *old,
    const struct record_change *c, struct why *reterr_why)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct record_header h = { 0 };
	int err;

	err = record_open_attrs(w->t, old, &a, reterr_why);
	if (err == CVM_OK)
		err = record_header(old, &h, reterr_why);
	if (err != CVM_OK)
		return err;
	/* Else what others restricted meanwhile would be open again. */
	if (c->was != NULL && !attrs_equal(&a, c->was))
		return why_set(reterr_why, CVM_E_STALE, "store record",
		    "attributes", "those that were changed", "newer ones");
	if (old->private_box.len > 0 &&
	    h.private != attrs_bool(c->attrs, CKA_PRIVATE, true))
		return why_set(reterr_why, CVM_E_INVAL, "store record",
		    "CKA_PRIVATE", "no change while material is kept",
		    "a change");
	return CVM_OK;
}

static int
replace(struct writing *w, const struct record_change *c,
    struct why *reterr_why)
{
	_cleanup_(store_object_clear) struct store_object old = { 0 };
	_cleanup_(store_object_clear) struct store_object new = { 0 };
	int err;

	err = take_old(w, c->id, &old, reterr_why);
	if (err == CVM_OK)
		err = check_kept(w, &old, c, reterr_why);
	if (err == CVM_OK)
		err = record_close(w->t, c->id, c->attrs, c->material,
		    c->material == NULL ? &old.private_box : NULL, &new,
		    reterr_why);
	return err == CVM_OK ? put_new(w, &new, true, reterr_why) : err;
}

static int delete (struct writing *w, const struct record_change *c,
    struct why *reterr_why)
{
	_cleanup_(store_object_clear) struct store_object old = { 0 };
	int err;

	err = take_old(w, c->id, &old, reterr_why);
	return err == CVM_OK ? store_object_delete(w->s, c->id, reterr_why) :
			       err;
}

static int
write_all(struct writing *w, const uint8_t *token_id, const struct key *key,
    const struct record_change *v, size_t n, struct why *reterr_why)
{
	static int (*const apply[])(struct writing *,
	    const struct record_change *, struct why *) = {
		[RECORD_INSERT] = insert,
		[RECORD_REPLACE] = replace,
		[RECORD_DELETE] = delete,
	};
	int err;

	err = manifest_read(w->s, token_id, key->bytes, &w->m, reterr_why);
	for (size_t i = 0; err == CVM_OK && i < n; i++)
		err = apply[v[i].what](w, &v[i], reterr_why);
	(void)token_add_marks(w->t, &w->m);
	if (err == CVM_OK)
		err = manifest_write(w->s, token_id, key->bytes, &w->m,
		    reterr_why);
	return err;
}

int
token_still_admitted(struct token *t, const struct permit *p, struct why *why)
{
	int err = permit_check(p, token_issuer(t));

	return err == CVM_OK ? CVM_OK :
			       why_set(why, err, t->cfg->store, "admission",
				   "one that lasts until the change is written",
				   "one that ended before");
}

/* A transaction that found the manifest good leaves it good. */
static int
write_locked(struct writing *w, const uint8_t *token_id, const struct key *key,
    const struct record_change *v, size_t n, struct why *reterr_why)
{
	uint64_t before = 0, after = 0;
	int err;

	err = token_store(w->t, &w->s, reterr_why);
	if (err == CVM_OK)
		err = store_begin(w->s, reterr_why);
	if (err != CVM_OK)
		return err;
	err = store_version(w->s, &before, reterr_why);
	if (err == CVM_OK)
		err = write_all(w, token_id, key, v, n, reterr_why);
	if (err == CVM_OK)
		err = token_still_admitted(w->t, w->permit, reterr_why);
	if (err == CVM_OK)
		err = store_commit(w->s, reterr_why);
	else
		store_rollback(w->s);
	if (err == CVM_OK && w->t->verified && w->t->version == before) {
		w->t->version = before + 1;
		w->t->generation = w->m.generation;
	}
	if (err == CVM_OK && w->fn != NULL &&
	    store_version(w->s, &after, /* reterr_why= */ NULL) == CVM_OK)
		w->fn(w->arg, before, after);
	token_reload(w->t);
	return err;
}

int
records_write(struct token *t, const struct permit *p,
    const struct record_change *v, size_t n, struct why *reterr_why)
{
	return records_write_noting(t, p, v, n, /* fn= */ NULL, /* arg= */ NULL,
	    reterr_why);
}

int
records_write_noting(struct token *t, const struct permit *p,
    const struct record_change *v, size_t n,
    void (*fn)(void *arg, uint64_t before, uint64_t after), void *arg,
    struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	_cleanup_(manifest_mac_freep) struct manifest_mac *mac = NULL;
	struct writing w = { .t = t, .permit = p, .fn = fn, .arg = arg };
	struct token_meta meta = { 0 };
	int err;

	if (key == NULL)
		return why_set(reterr_why, CVM_E_SEALED, "token", "token key",
		    "open", "sealed");
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = manifest_mac_new(meta.id, key->bytes, &mac);
	if (err != CVM_OK)
		return err;
	w.mac = mac;
	store_lock();
	err = write_locked(&w, meta.id, key, v, n, reterr_why);
	store_unlock();
	return err;
}

int
records_each(struct token *t, const struct span *hint_id,
    const struct span *hint_label,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct why *reterr_why)
{
	struct store *s = NULL;
	int err;

	store_lock();
	err = token_store(t, &s, reterr_why);
	if (err == CVM_OK)
		err = store_object_each(s, hint_id, hint_label, fn, arg,
		    reterr_why);
	store_unlock();
	return err;
}

int
record_read(struct token *t, const uint8_t id[static STORE_ID_LEN],
    struct store_object *ret, struct why *reterr_why)
{
	struct store *s = NULL;
	int err;

	store_lock();
	err = token_store(t, &s, reterr_why);
	if (err == CVM_OK)
		err = store_object_get(s, id, ret, reterr_why);
	store_unlock();
	return err;
}

/* A manifest check, with fn called for each row. */
struct walk {
	int (*fn)(void *arg, const struct store_object *o);
	void *arg;
	bool peek; /* only the version */
	bool wait;
};

static int
verify_locked(struct token *t, struct store *s, const uint8_t *token_id,
    const struct key *key, const struct walk *w, uint64_t *ret,
    struct why *reterr_why)
{
	struct manifest m = { 0 };
	uint64_t version = 0;
	int err;

	err = store_begin_read(s, reterr_why);
	if (err != CVM_OK)
		return err;
	err = store_version(s, &version, reterr_why);
	if (err == CVM_OK)
		err = manifest_verify(s, token_id, key->bytes, w->fn, w->arg,
		    &m, reterr_why);
	store_rollback(s);
	if (err == CVM_OK)
		err = token_generation(t, &m, version, reterr_why);
	if (err == CVM_OK)
		*ret = version;
	return err;
}

static int
version_locked(struct token *t, const uint8_t *token_id, const struct key *key,
    const struct walk *w, uint64_t *ret, struct why *reterr_why)
{
	struct store *s = NULL;
	uint64_t version = 0;
	int err;

	err = token_store(t, &s, reterr_why);
	if (err == CVM_OK)
		err = store_version(s, &version, reterr_why);
	if (err != CVM_OK)
		return err;
	if (key == NULL || w->peek ||
	    (t->verified && t->version == version && w->fn == NULL)) {
		*ret = version;
		return CVM_OK;
	}
	return verify_locked(t, s, token_id, key, w, ret, reterr_why);
}

static int
version_walk(struct token *t, const struct walk *w, uint64_t *ret,
    struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	struct token_meta meta = { 0 };
	int err;

	if (key == NULL && w->fn != NULL)
		return CVM_E_SEALED;
	err = token_get_meta(t, &meta, reterr_why);
	if (err != CVM_OK)
		return err;
	if (!w->wait && !token_try_store(t))
		return CVM_E_BUSY;
	if (w->wait)
		store_lock();
	err = version_locked(t, meta.id, key, w, ret, reterr_why);
	if (w->wait)
		store_unlock();
	else
		token_leave_store(t);
	return err;
}

int
records_version(struct token *t, uint64_t *ret, struct why *reterr_why)
{
	const struct walk w = { .wait = true };

	return version_walk(t, &w, ret, reterr_why);
}

int
records_index(struct token *t, bool wait,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    uint64_t *ret, struct why *reterr_why)
{
	const struct walk w = { .fn = fn, .arg = arg, .wait = wait };

	return version_walk(t, &w, ret, reterr_why);
}

int
records_peek(struct token *t, bool wait, uint64_t *ret, struct why *reterr_why)
{
	const struct walk w = { .peek = true, .wait = wait };

	return version_walk(t, &w, ret, reterr_why);
}
