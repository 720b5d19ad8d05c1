/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/token_impl.h"

static int
verify_locked(struct token *t, const struct token_meta *meta,
    const struct secret *token_key, struct object_load *l,
    uint64_t *ret_version, struct why *reterr_why)
{
	struct manifest m = { 0 };
	struct store *s = NULL;
	uint64_t version = 0;
	int err;

	err = token_store(t, &s, reterr_why);
	if (err == CVM_OK)
		err = store_begin_read(s, reterr_why);
	if (err != CVM_OK)
		return err;
	err = store_version(s, &version, reterr_why);
	if (err == CVM_OK)
		err = meta_verify(s, meta, token_key, NULL, reterr_why);
	if (err == CVM_OK)
		err = manifest_verify(s, meta->id, token_key,
		    l != NULL ? object_load_row : NULL, l, &m, reterr_why);
	store_rollback(s);
	if (err == CVM_OK)
		err = token_generation(t, &m, version, reterr_why);
	if (err == CVM_OK)
		*ret_version = version;
	return err;
}

void
token_note_commit(struct token *t, uint64_t before)
{
	if (t->verified && t->version == before)
		t->version = before + 1;
	object_table_note(t, before, before + 1);
}

int
token_generation(struct token *t, const struct manifest *m, uint64_t version,
    struct why *reterr_why)
{
	if (m->generation < t->generation)
		return why_setf(reterr_why, CVM_E_CORRUPT, t->cfg->store,
		    "generation", "one that never goes back", "%llu after %llu",
		    (unsigned long long)m->generation,
		    (unsigned long long)t->generation);
	t->generation = m->generation;
	(void)token_raise_marks(t, m->time, &m->seen);
	t->version = version;
	t->verified = true;
	return CVM_OK;
}

int
token_verify(struct token *t, const struct secret *token_key,
    struct object_load *l, uint64_t *ret_version, struct why *reterr_why)
{
	struct token_meta meta = { 0 };
	int err;

	err = token_get_meta(t, &meta, reterr_why);
	if (err != CVM_OK)
		return err;
	store_lock();
	err = verify_locked(t, &meta, token_key, l, ret_version, reterr_why);
	store_unlock();
	return err;
}

int
token_verify_private(struct token *t, const struct secret *private_key,
    struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	struct token_meta meta = { 0 };
	struct store *s = NULL;
	int err;

	if (key == NULL)
		return why_set(reterr_why, CVM_E_SEALED, "token", "token key",
		    "open", "sealed");
	err = token_get_meta(t, &meta, reterr_why);
	if (err != CVM_OK)
		return err;
	store_lock();
	err = token_store(t, &s, reterr_why);
	if (err == CVM_OK)
		err = meta_verify(s, &meta, key->bytes, private_key,
		    reterr_why);
	store_unlock();
	return err;
}

static int
unseal_token_key(struct token *t, const struct permit *p,
    const struct seal_scope *sc, struct why *reterr_why)
{
	_cleanup_(object_load_freep) struct object_load *l = NULL;
	_cleanup_(secret_freep) struct secret *key = NULL;
	uint64_t version = 0;
	int err;

	err = seals_open(t, sc, SEAL_TOKEN, /* auth= */ NULL, &key, reterr_why);
	if (err == CVM_OK)
		err = object_load_new(t, &l);
	if (err == CVM_OK)
		err = token_verify(t, key, l, &version, reterr_why);
	if (err == CVM_OK)
		err = token_keep(t, p, KEY_TOKEN, &key, /* auth= */ NULL,
		    /* login= */ NULL, reterr_why);
	return err == CVM_OK ? object_load_put(l, version) : err;
}

int
token_open_private(struct token *t, const struct permit *p,
    const struct seal_scope *sc, enum token_key which, struct secret **auth,
    const uint64_t *login, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *key = NULL;
	bool pin = auth != NULL && *auth != NULL;
	int err;

	err = seals_open(t, sc, which == KEY_SO ? SEAL_SO : SEAL_USER,
	    pin ? *auth : NULL, &key, reterr_why);
	if (err == CVM_OK)
		err = token_verify_private(t, key, reterr_why);
	if (err != CVM_OK)
		return err;
	return token_keep(t, p, which, &key, pin ? auth : NULL, login,
	    reterr_why);
}

/* A copy of the auth value that a login left, or NULL; and which login. */
static struct secret *
kept_auth(struct token *t, bool so, uint64_t *ret_login)
{
	struct secret *copy = NULL, *auth;

	(void)pthread_mutex_lock(&t->lock);
	*ret_login = t->logouts;
	auth = so ? t->so_auth : t->user_auth;
	if (auth != NULL)
		copy = secret_copy(secret_span(auth));
	(void)pthread_mutex_unlock(&t->lock);
	return copy;
}

void
token_forget(struct token *t, bool so)
{
	_cleanup_(key_unrefp) struct key *key = NULL;
	_cleanup_(secret_freep) struct secret *auth = NULL;

	(void)pthread_mutex_lock(&t->lock);
	if (so) {
		key = TAKE_PTR(t->keys[KEY_SO]);
		auth = TAKE_PTR(t->so_auth);
	} else {
		key = TAKE_PTR(t->keys[KEY_PRIVATE]);
		auth = TAKE_PTR(t->user_auth);
	}
	t->logouts++;
	token_unlock_keys(t);
}

int
token_reopen(struct token *t, const struct permit *p,
    const struct seal_scope *sc, bool so, struct why *reterr_why)
{
	uint64_t login;
	_cleanup_(secret_freep) struct secret *auth = kept_auth(t, so, &login);
	int err;

	if (auth == NULL)
		return why_set(reterr_why, CVM_E_NOT_LOGGED_IN, "token",
		    so ? "SO" : "user", "a login", "none");
	err = token_open_private(t, p, sc, so ? KEY_SO : KEY_PRIVATE, &auth,
	    &login, reterr_why);
	/* The PIN was changed meanwhile: that login is over. */
	if (err == CVM_E_PIN_INCORRECT || err == CVM_E_PIN_UNSET) {
		token_forget(t, so);
		return CVM_E_NOT_LOGGED_IN;
	}
	return err;
}

/* With LOGIN_ATTESTATION an admission is a login; else a login is kept. */
static int
unseal_private_key(struct token *t, const struct permit *p,
    const struct seal_scope *sc, struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *open = token_key(t, KEY_PRIVATE);
	struct why why = { 0 };
	int err;

	if (open != NULL)
		return CVM_OK;
	err = token_reopen(t, p, sc, /* so= */ false, &why);
	if (err != CVM_OK && err != CVM_E_NOT_LOGGED_IN && reterr_why != NULL)
		*reterr_why = why;
	if (err != CVM_E_NOT_LOGGED_IN)
		return err;
	if (t->cfg->login != LOGIN_ATTESTATION)
		return CVM_OK;
	return token_open_private(t, p, sc, KEY_PRIVATE, /* auth= */ NULL,
	    /* login= */ NULL, reterr_why);
}

int
token_admit(const struct token *t, const struct permit *p,
    struct why *reterr_why)
{
	if (permit_check(p, t->issuer) == CVM_OK)
		return CVM_OK;
	return why_set(reterr_why, CVM_E_PERMIT, t->cfg->name, "permit",
	    "one that is valid", p == NULL ? "none" : "one that is over");
}

int
token_ready(struct token *t, const struct permit *p,
    const struct seal_scope *sc, struct why *reterr_why)
{
	struct why why = { 0 };
	int err;

	err = token_unseal_in(t, p, sc, &why);
	if (err == CVM_OK || token_unsealed(t))
		return token_admit(t, p, reterr_why);
	if (reterr_why != NULL)
		*reterr_why = why;
	return err;
}

int
token_unseal_in(struct token *t, const struct permit *p,
    const struct seal_scope *sc, struct why *reterr_why)
{
	struct token_info info;
	int err;

	err = token_admit(t, p, reterr_why);
	if (err != CVM_OK)
		return err;
	/* An admission while the token is open waits for no writer. */
	if (!token_unsealed(t))
		token_refresh(t);
	else
		token_get_info(t, &info);
	if (!token_unsealed(t))
		err = unseal_token_key(t, p, sc, reterr_why);
	if (err == CVM_OK)
		err = unseal_private_key(t, p, sc, reterr_why);
	return err;
}

int
token_unseal(struct token *t, const struct permit *p,
    const struct policy *policy, struct vtpm *vtpm, struct why *reterr_why)
{
	const struct seal_scope sc = { .policy = policy, .vtpm = vtpm };

	return token_unseal_in(t, p, &sc, reterr_why);
}
