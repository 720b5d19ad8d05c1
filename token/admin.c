/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/token_impl.h"

int
token_seals(struct token *t, struct store_seals *ret, struct why *reterr_why)
{
	struct store *s = NULL;
	int err;

	store_lock();
	err = token_store(t, &s, reterr_why);
	if (err == CVM_OK)
		err = store_seals_list(s, ret, reterr_why);
	store_unlock();
	return err;
}

/* Opens the recovery seal of that purpose. */
static int
open_recovery(const char *where, const struct store_seals *l,
    const struct token_meta *meta, enum seal_purpose purpose,
    const struct secret *code, struct secret **ret, struct why *reterr_why)
{
	const struct seal_context c = { .token_id = meta->id };
	int err = CVM_E_NOT_FOUND;

	for (size_t i = 0; i < l->n && err != CVM_OK; i++)
		if (l->v[i].kind == SEAL_RECOVERY && l->v[i].purpose == purpose)
			err = seal_open_recovery(&c, &l->v[i], code, ret,
			    reterr_why);
	if (err == CVM_E_NOT_FOUND)
		return why_set(reterr_why, err, where,
		    seal_purpose_name(purpose), "a recovery seal", "none");
	return err;
}

int
token_unseal_recovery(struct token *t, const struct secret *code,
    struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };
	_cleanup_(secret_freep) struct secret *key = NULL, *private = NULL;
	struct token_meta meta = { 0 };
	uint64_t version = 0;
	int err;

	token_refresh(t);
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = token_seals(t, &l, reterr_why);
	if (err == CVM_OK)
		err = open_recovery(t->cfg->store, &l, &meta, SEAL_TOKEN, code,
		    &key, reterr_why);
	if (err == CVM_OK)
		err = open_recovery(t->cfg->store, &l, &meta, SEAL_USER, code,
		    &private, reterr_why);
	if (err == CVM_OK)
		err = token_verify(t, key, /* l= */ NULL, &version, reterr_why);
	if (err == CVM_OK)
		err = token_keep(t, /* p= */ NULL, KEY_TOKEN, &key, NULL, NULL,
		    reterr_why);
	if (err == CVM_OK)
		err = token_verify_private(t, private, reterr_why);
	if (err == CVM_OK)
		err = token_keep(t, /* p= */ NULL, KEY_PRIVATE, &private, NULL,
		    NULL, reterr_why);
	return err;
}

/* The open keys that new seals are made of. */
struct open_keys {
	struct key *token, *private;
};

static void
open_keys_clear(struct open_keys *k)
{
	key_unrefp(&k->token);
	key_unrefp(&k->private);
}

static int
open_keys(struct token *t, struct open_keys *ret, struct why *reterr_why)
{
	ret->token = token_key(t, KEY_TOKEN);
	ret->private = token_key(t, KEY_PRIVATE);
	if (ret->private == NULL)
		ret->private = token_key(t, KEY_SO);
	if (ret->token != NULL && ret->private != NULL)
		return CVM_OK;
	(void)why_set(reterr_why, CVM_E_SEALED, t->cfg->name,
	    ret->token == NULL ? "token key" : "private key", "open", "sealed");
	why_hint(reterr_why, "log in, or give the recovery code");
	return CVM_E_SEALED;
}

/* The PINs that the seals of a change are guarded by. */
struct pins {
	struct span user, so; /* empty: no such seal */
};

static int
make_with_pin(const struct token_meta *meta, const struct seal_scope *sc,
    enum seal_purpose purpose, struct span pin, const struct key *key,
    struct store_seals *l, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *auth = NULL;
	int err;

	if (pin.len == 0)
		return CVM_OK;
	err = pin_check(pin, reterr_why);
	if (err == CVM_OK)
		err = pin_auth(pin, meta->id, purpose, &auth);
	if (err == CVM_OK)
		err = seals_make(meta->id, sc, NULL, purpose, key->bytes, auth,
		    l, reterr_why);
	return err;
}

/* Every kind of tpm seal for every PCR set of the policy in sc. */
static int
make_all(struct token *t, const struct token_meta *meta,
    const struct seal_scope *sc, const struct pins *pins, struct store_seals *l,
    struct why *reterr_why)
{
	_cleanup_(open_keys_clear) struct open_keys k = { 0 };
	int err;

	err = open_keys(t, &k, reterr_why);
	if (err == CVM_OK)
		err = seals_make(meta->id, sc, NULL, SEAL_TOKEN, k.token->bytes,
		    /* auth= */ NULL, l, reterr_why);
	if (err == CVM_OK && t->cfg->login == LOGIN_ATTESTATION)
		err = seals_make(meta->id, sc, NULL, SEAL_USER,
		    k.private->bytes, /* auth= */ NULL, l, reterr_why);
	if (err == CVM_OK)
		err = make_with_pin(meta, sc, SEAL_USER, pins->user, k.private,
		    l, reterr_why);
	if (err == CVM_OK)
		err = make_with_pin(meta, sc, SEAL_SO, pins->so, k.private, l,
		    reterr_why);
	return err;
}

static bool
is_tpm(const struct store_seal *s, const void *arg)
{
	(void)arg;
	return s->kind == SEAL_TPM;
}

int
token_reseal(struct token *t, const struct permit *p,
    const struct token_reseal *in, struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals new = { 0 };
	const struct seal_scope sc = { .policy = in->policy, .vtpm = in->vtpm };
	const struct pins pins = { in->user_pin, in->so_pin };
	const struct seals_change change = {
		.drop = is_tpm,
		.add = &new,
		.clear_user = in->user_pin.len > 0,
		.clear_so = in->so_pin.len > 0,
	};
	struct token_meta meta = { 0 };
	int err;

	token_refresh(t);
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = make_all(t, &meta, &sc, &pins, &new, reterr_why);
	return err == CVM_OK ? seals_change(t, p, &change, reterr_why) : err;
}

/* A policy that differs in nothing but that it has one PCR set. */
static struct policy
with_one_set(const struct policy *policy, const struct pcr_set *set)
{
	struct policy one = *policy;

	one.tpm.pcr_sets[0] = *set;
	one.tpm.n_pcr_sets = 1;
	return one;
}

int
token_seal_add_set(struct token *t, const struct permit *p,
    const struct policy *policy, const struct pcr_set *set, struct vtpm *vtpm,
    struct span user_pin, struct span so_pin, struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals new = { 0 };
	const struct policy one = with_one_set(policy, set);
	const struct seal_scope sc = { .policy = &one, .vtpm = vtpm };
	const struct pins pins = { user_pin, so_pin };
	const struct seals_change change = { .add = &new };
	struct token_meta meta = { 0 };
	int err;

	token_refresh(t);
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = make_all(t, &meta, &sc, &pins, &new, reterr_why);
	return err == CVM_OK ? seals_change(t, p, &change, reterr_why) : err;
}

int
token_seal_add_recovery(struct token *t, const struct permit *p,
    const struct policy *policy, struct secret **ret_code,
    struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals new = { 0 };
	_cleanup_(open_keys_clear) struct open_keys k = { 0 };
	_cleanup_(secret_freep) struct secret *code = NULL;
	const struct seals_change change = { .add = &new };
	struct token_meta meta = { 0 };
	int err;

	(void)policy; /* a code opens whatever the policy has become */
	token_refresh(t);
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = open_keys(t, &k, reterr_why);
	if (err == CVM_OK)
		err = recovery_new(&code);
	if (err == CVM_OK)
		err = recovery_seals(meta.id, code, k.token->bytes,
		    k.private->bytes, &new, reterr_why);
	if (err == CVM_OK)
		err = seals_change(t, p, &change, reterr_why);
	if (err == CVM_OK)
		*ret_code = TAKE_PTR(code);
	return err;
}

static bool
has_id(const struct store_seal *s, const void *id)
{
	return memcmp(s->id, id, STORE_ID_LEN) == 0;
}

int
token_seal_remove(struct token *t, const struct permit *p,
    const uint8_t id[static STORE_ID_LEN], struct why *reterr_why)
{
	struct why none = { 0 };
	const struct seals_change change = {
		.drop = has_id,
		.arg = id,
		.none = &none,
	};

	(void)why_set(&none, CVM_E_NOT_FOUND, t->cfg->store, "seal id",
	    "one of the token's seals", "another");
	token_refresh(t);
	return seals_change(t, p, &change, reterr_why);
}

static bool
is_of_set(const struct store_seal *s, const void *label)
{
	return s->kind == SEAL_TPM && strcmp(s->label, label) == 0;
}

int
token_seal_remove_set(struct token *t, const struct permit *p,
    const char *label, size_t *ret_n, struct why *reterr_why)
{
	struct why none = { 0 };
	const struct seals_change change = {
		.drop = is_of_set,
		.arg = label,
		.none = &none,
		.ret_dropped = ret_n,
	};

	(void)why_set(&none, CVM_E_NOT_FOUND, t->cfg->store, "seals",
	    "seals of that PCR set", label);
	token_refresh(t);
	return seals_change(t, p, &change, reterr_why);
}
