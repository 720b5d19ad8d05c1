/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/token_impl.h"

static enum seal_purpose
purpose_of(bool so)
{
	return so ? SEAL_SO : SEAL_USER;
}

static int
no_pin(bool so, struct why *reterr_why)
{
	return why_set(reterr_why, CVM_E_PIN_UNSET, "token",
	    so ? "SO PIN" : "user PIN", "a PIN that was set", "none");
}

static bool
pin_set(struct token *t, bool so)
{
	struct token_info info;

	token_get_info(t, &info);
	return info.initialised && (so || info.user_pin_set);
}

/*
 * A PIN that cannot be right is refused without a count: the answer tells
 * nothing that the rules for PINs do not.
 */
static int
try_auth(struct token *t, bool so, struct span pin, struct secret **ret,
    struct why *reterr_why)
{
	struct token_meta meta = { 0 };
	int err;

	if (pin.len < PIN_LEN_MIN || pin.len > PIN_LEN_MAX)
		return why_setf(reterr_why, CVM_E_PIN_INCORRECT, "PIN",
		    "length", "4 to 255 bytes", "%zu", pin.len);
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = pin_begin(t, so, reterr_why);
	if (err != CVM_OK)
		return err;
	err = pin_auth(pin, meta.id, purpose_of(so), ret);
	return err == CVM_OK ? CVM_OK : pin_end(t, so, err, reterr_why);
}

static int
login(struct token *t, const struct permit *p, bool so, struct span pin,
    const struct seal_scope *sc, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *auth = NULL;
	int err;

	err = token_ready(t, p, sc, reterr_why);
	if (err != CVM_OK)
		return err;
	if (!pin_set(t, so))
		return no_pin(so, reterr_why);
	err = try_auth(t, so, pin, &auth, reterr_why);
	if (err != CVM_OK)
		return err;
	err = token_open_private(t, p, sc, so ? KEY_SO : KEY_PRIVATE, &auth,
	    /* login= */ NULL, reterr_why);
	return pin_end(t, so, err, reterr_why);
}

int
token_login_user(struct token *t, const struct permit *p, struct span pin,
    const struct policy *policy, struct vtpm *vtpm, struct why *reterr_why)
{
	const struct seal_scope sc = { .policy = policy, .vtpm = vtpm };

	/* An admitted session is a logged-in one. */
	if (t->cfg->login == LOGIN_ATTESTATION && pin.len == 0)
		return token_unseal(t, p, policy, vtpm, reterr_why);
	return login(t, p, /* so= */ false, pin, &sc, reterr_why);
}

int
token_login_so(struct token *t, const struct permit *p, struct span pin,
    const struct policy *policy, struct vtpm *vtpm, struct why *reterr_why)
{
	const struct seal_scope sc = { .policy = policy, .vtpm = vtpm };

	return login(t, p, /* so= */ true, pin, &sc, reterr_why);
}

/* A PIN for which there is no seal is one to be set anew. */
static int
login_if_set(struct token *t, const struct permit *p, bool so, struct span pin,
    const struct seal_scope *sc, struct why *reterr_why)
{
	struct why why = { 0 };
	int err;

	if (pin.len == 0)
		return CVM_OK;
	err = login(t, p, so, pin, sc, &why);
	if (err == CVM_E_PIN_UNSET)
		return CVM_OK;
	if (err != CVM_OK && reterr_why != NULL)
		*reterr_why = why;
	return err;
}

int
token_unseal_as_sealed(struct token *t, const struct permit *p,
    const struct token_reseal *in, struct why *reterr_why)
{
	const struct seal_scope sc = {
		.policy = in->policy,
		.vtpm = in->vtpm,
		.as_sealed = true,
	};
	int err;

	err = token_unseal_in(t, p, &sc, reterr_why);
	if (err == CVM_OK)
		err = login_if_set(t, p, /* so= */ false, in->user_pin, &sc,
		    reterr_why);
	if (err == CVM_OK)
		err = login_if_set(t, p, /* so= */ true, in->so_pin, &sc,
		    reterr_why);
	return err;
}

static int
compare_auth(struct token *t, const struct secret *auth, struct why *reterr_why)
{
	bool kept, same;

	(void)pthread_mutex_lock(&t->lock);
	kept = t->user_auth != NULL;
	same = kept && span_equal(secret_span(auth), secret_span(t->user_auth));
	(void)pthread_mutex_unlock(&t->lock);
	if (!kept)
		return why_set(reterr_why, CVM_E_NOT_LOGGED_IN, "token", "user",
		    "a login", "none");
	return same ? CVM_OK :
		      why_set(reterr_why, CVM_E_PIN_INCORRECT, "token",
			  "user PIN", "the one of the login", "another");
}

int
token_verify_user(struct token *t, struct span pin, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *auth = NULL;
	int err;

	if (t->cfg->login == LOGIN_ATTESTATION && pin.len == 0 &&
	    token_user_logged_in(t))
		return CVM_OK;
	err = try_auth(t, /* so= */ false, pin, &auth, reterr_why);
	if (err != CVM_OK)
		return err;
	return pin_end(t, /* so= */ false, compare_auth(t, auth, reterr_why),
	    reterr_why);
}

bool
token_user_logged_in(struct token *t)
{
	return (atomic_load(&t->open) & OPEN_USER) != 0;
}

bool
token_so_logged_in(struct token *t)
{
	return (atomic_load(&t->open) & OPEN_SO) != 0;
}

void
token_logout(struct token *t)
{
	token_forget(t, /* so= */ true);
	token_forget(t, /* so= */ false);
	object_table_wipe(t->objects);
	object_table_logout(t->objects);
}

struct pin_seals {
	enum seal_purpose purpose;
};

static bool
drop_pin_seals(const struct store_seal *s, const void *arg)
{
	const struct pin_seals *which = arg;

	return s->purpose == which->purpose && seal_has_pin(s);
}

/* New seals under auth in place of those with the old PIN. */
static int
change_pin(struct token *t, const struct permit *p, const struct seal_scope *sc,
    bool so, const struct secret *key, const struct secret *auth,
    struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals now = { 0 };
	_cleanup_(store_seals_clear) struct store_seals new = { 0 };
	const struct pin_seals which = { purpose_of(so) };
	const struct seals_change change = {
		.drop = drop_pin_seals,
		.arg = &which,
		.add = &new,
		.clear_user = !so,
		.clear_so = so,
	};
	struct token_meta meta = { 0 };
	int err;

	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = token_seals(t, &now, reterr_why);
	if (err == CVM_OK)
		err = seals_make(meta.id, sc, &now, which.purpose, key, auth,
		    &new, reterr_why);
	if (err == CVM_OK && new.n == 0)
		err = why_set(reterr_why, CVM_E_SEALED, sc->policy->path,
		    "$.tpm.pcr_sets", "a set that the token is sealed for",
		    "none");
	return err == CVM_OK ? seals_change(t, p, &change, reterr_why) : err;
}

int
token_init_pin(struct token *t, const struct permit *p, struct span pin,
    const struct policy *policy, struct vtpm *vtpm, struct why *reterr_why)
{
	const struct seal_scope sc = { .policy = policy, .vtpm = vtpm };
	_cleanup_(secret_freep) struct secret *auth = NULL;
	_cleanup_(key_unrefp) struct key *key = NULL;
	struct token_meta meta = { 0 };
	int err;

	err = pin_check(pin, reterr_why);
	if (err == CVM_OK)
		err = token_ready(t, p, &sc, reterr_why);
	if (err != CVM_OK)
		return err;
	key = token_key(t, KEY_SO);
	if (key == NULL) {
		err = token_reopen(t, p, &sc, /* so= */ true, reterr_why);
		if (err != CVM_OK)
			return err;
		key = token_key(t, KEY_SO);
	}
	if (key == NULL)
		return CVM_E_PERMIT;
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = pin_auth(pin, meta.id, SEAL_USER, &auth);
	if (err != CVM_OK)
		return err;
	return change_pin(t, p, &sc, /* so= */ false, key->bytes, auth,
	    reterr_why);
}

/* The login that was with the old PIN goes on with the new one. */
static void
replace_auth(struct token *t, bool so, struct secret **auth)
{
	_cleanup_(secret_freep) struct secret *old = NULL;
	struct secret **kept = so ? &t->so_auth : &t->user_auth;

	(void)pthread_mutex_lock(&t->lock);
	if (*kept != NULL) {
		old = *kept;
		*kept = TAKE_PTR(*auth);
	}
	token_unlock_keys(t);
}

int
token_set_pin(struct token *t, const struct permit *p, bool so,
    struct span old_pin, struct span new_pin, const struct policy *policy,
    struct vtpm *vtpm, struct why *reterr_why)
{
	const struct seal_scope sc = { .policy = policy, .vtpm = vtpm };
	_cleanup_(secret_freep) struct secret *old = NULL, *new = NULL;
	_cleanup_(secret_freep) struct secret *key = NULL;
	struct token_meta meta = { 0 };
	int err;

	err = pin_check(new_pin, reterr_why);
	if (err == CVM_OK)
		err = token_ready(t, p, &sc, reterr_why);
	if (err == CVM_OK)
		err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK && !pin_set(t, so))
		err = no_pin(so, reterr_why);
	if (err == CVM_OK)
		err = try_auth(t, so, old_pin, &old, reterr_why);
	if (err != CVM_OK)
		return err;
	err = seals_open(t, &sc, purpose_of(so), old, &key, reterr_why);
	err = pin_end(t, so, err, reterr_why);
	if (err == CVM_OK)
		err = token_verify_private(t, key, reterr_why);
	if (err == CVM_OK)
		err = pin_auth(new_pin, meta.id, purpose_of(so), &new);
	if (err == CVM_OK)
		err = change_pin(t, p, &sc, so, key, new, reterr_why);
	if (err == CVM_OK)
		replace_auth(t, so, &new);
	return err;
}
