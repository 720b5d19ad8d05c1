/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>
#include <time.h>

#include "token/token_impl.h"

/* All that a new token is made of, before there is a file. */
struct newborn {
	struct token_meta meta;
	struct secret *token_key, *private_key;
	struct secret *so_auth, *user_auth; /* user_auth: or NULL */
	struct secret *code;		    /* of recovery, or NULL */
	struct store_seals seals;
};

static void
newborn_clear(struct newborn *b)
{
	secret_freep(&b->token_key);
	secret_freep(&b->private_key);
	secret_freep(&b->so_auth);
	secret_freep(&b->user_auth);
	secret_freep(&b->code);
	store_seals_clear(&b->seals);
}

static int
random_secret(size_t len, struct secret **ret)
{
	_cleanup_(secret_freep) struct secret *s = secret_new(len);
	int err;

	if (s == NULL)
		return CVM_E_NOMEM;
	err = random_bytes(secret_data(s), len);
	if (err == CVM_OK)
		*ret = TAKE_PTR(s);
	return err;
}

int
recovery_new(struct secret **ret)
{
	return random_secret(RECOVERY_CODE_LEN, ret);
}

int
recovery_seals(const uint8_t id[static TOKEN_ID_LEN], const struct secret *code,
    const struct secret *token_key, const struct secret *private_key,
    struct store_seals *l, struct why *reterr_why)
{
	const struct seal_context c = { .token_id = id };
	const struct {
		enum seal_purpose purpose;
		const struct secret *key;
	} wanted[] = {
		{ SEAL_TOKEN, token_key },
		{ SEAL_USER, private_key },
	};
	int err = CVM_OK;

	for (size_t i = 0; err == CVM_OK && i < NELEMS(wanted); i++) {
		_cleanup_(store_seal_clear) struct store_seal s = { 0 };

		err = seal_make_recovery(&c, wanted[i].purpose, code,
		    wanted[i].key, &s, reterr_why);
		if (err == CVM_OK)
			err = seals_append(l, &s);
	}
	return err;
}

static int
make_secrets(struct newborn *b, const struct token_init *in, bool recovery,
    struct why *reterr_why)
{
	uint8_t serial[TOKEN_SERIAL_LEN / 2];
	int err;

	b->meta.created = (int64_t)time(NULL);
	err = meta_label(in->label, b->meta.label, reterr_why);
	if (err == CVM_OK)
		err = random_bytes(b->meta.id, sizeof(b->meta.id));
	if (err == CVM_OK)
		err = random_bytes(serial, sizeof(serial));
	if (err == CVM_OK)
		err = random_secret(TOKEN_KEY_LEN, &b->token_key);
	if (err == CVM_OK)
		err = random_secret(TOKEN_KEY_LEN, &b->private_key);
	if (err == CVM_OK && recovery)
		err = recovery_new(&b->code);
	if (err == CVM_OK)
		err = pin_auth(in->so_pin, b->meta.id, SEAL_SO, &b->so_auth);
	if (err == CVM_OK && in->user_pin.len > 0)
		err = pin_auth(in->user_pin, b->meta.id, SEAL_USER,
		    &b->user_auth);
	if (err == CVM_OK)
		(void)hex_encode(span(serial, sizeof(serial)), b->meta.serial,
		    sizeof(b->meta.serial));
	return err;
}

static int
make_seals(struct newborn *b, const struct seal_scope *sc,
    enum config_login login, struct why *reterr_why)
{
	int err;

	err = seals_make(b->meta.id, sc, NULL, SEAL_TOKEN, b->token_key,
	    /* auth= */ NULL, &b->seals, reterr_why);
	if (err == CVM_OK)
		err = seals_make(b->meta.id, sc, NULL, SEAL_SO, b->private_key,
		    b->so_auth, &b->seals, reterr_why);
	if (err == CVM_OK && login == LOGIN_ATTESTATION)
		err = seals_make(b->meta.id, sc, NULL, SEAL_USER,
		    b->private_key, /* auth= */ NULL, &b->seals, reterr_why);
	if (err == CVM_OK && b->user_auth != NULL)
		err = seals_make(b->meta.id, sc, NULL, SEAL_USER,
		    b->private_key, b->user_auth, &b->seals, reterr_why);
	if (err == CVM_OK && b->code != NULL)
		err = recovery_seals(b->meta.id, b->code, b->token_key,
		    b->private_key, &b->seals, reterr_why);
	return err;
}

static int
fill(struct store *s, const struct newborn *b, struct why *reterr_why)
{
	_cleanup_(manifest_mac_freep) struct manifest_mac *mac = NULL;
	struct manifest m = { 0 };
	int err;

	err = manifest_mac_new(b->meta.id, b->token_key, &mac);
	if (err == CVM_OK)
		err = meta_write(s, &b->meta, b->token_key, b->private_key,
		    reterr_why);
	if (err == CVM_OK)
		err = pin_set_tries(s, /* so= */ false, 0, reterr_why);
	if (err == CVM_OK)
		err = pin_set_tries(s, /* so= */ true, 0, reterr_why);
	for (size_t i = 0; err == CVM_OK && i < b->seals.n; i++) {
		err = manifest_seal(&m, mac, &b->seals.v[i], /* add= */ true);
		if (err == CVM_OK)
			err = store_seal_put(s, &b->seals.v[i], reterr_why);
	}
	if (err == CVM_OK)
		err = manifest_write(s, b->meta.id, b->token_key, &m,
		    reterr_why);
	return err;
}

/*
 * Begins a write of the old store, which keeps others from writing until the
 * new one is in its place: what lies beside a store under the name of its
 * journal is taken for a part of whatever store has the name then. It must be
 * the token whose SO PIN was right.
 */
static int
hold_old(struct token *t, const uint8_t *id, struct store **ret,
    struct why *reterr_why)
{
	struct token_meta now = { 0 };
	struct store *s = NULL;
	int err;

	err = token_store(t, &s, reterr_why);
	if (err == CVM_OK)
		err = store_begin(s, reterr_why);
	if (err != CVM_OK)
		return err;
	err = meta_read(s, &now, reterr_why);
	if (err == CVM_OK && memcmp(now.id, id, TOKEN_ID_LEN) != 0)
		err = why_set(reterr_why, CVM_E_BUSY, t->cfg->store, "token",
		    "the one whose SO PIN was given", "a new one");
	if (err == CVM_OK)
		*ret = s;
	else
		store_rollback(s);
	return err;
}

/* Writes the new store beside the old one and puts it there whole. */
static int
write_new(struct token *t, const struct newborn *b, bool over,
    struct why *reterr_why)
{
	_cleanup_(store_freep) struct store *s = NULL;
	int err;

	err = store_create(t->cfg->store, t->cfg->store_mode, &s, reterr_why);
	if (err == CVM_OK)
		err = store_begin(s, reterr_why);
	if (err != CVM_OK)
		return err;
	err = fill(s, b, reterr_why);
	if (err == CVM_OK)
		err = store_commit(s, reterr_why);
	else
		store_rollback(s);
	return err == CVM_OK ? store_publish(s, over, reterr_why) : err;
}

/* old_id: of the token to replace; NULL: there is none. */
static int
write_store(struct token *t, const struct newborn *b, const uint8_t *old_id,
    struct why *reterr_why)
{
	struct store *old = NULL;
	int err = CVM_OK;

	if (old_id != NULL)
		err = hold_old(t, old_id, &old, reterr_why);
	if (err == CVM_OK)
		err = write_new(t, b, old_id != NULL, reterr_why);
	if (old != NULL)
		store_rollback(old);
	return err;
}

/* Only who knows the SO PIN of the token that is there may replace it. */
static int
check_old(struct token *t, const struct token_init *in, bool *ret_over,
    struct token_meta *ret_meta, struct why *reterr_why)
{
	const struct seal_scope sc = { .policy = in->policy, .vtpm = in->vtpm };
	_cleanup_(secret_freep) struct secret *key = NULL, *auth = NULL;
	struct token_meta meta = { 0 };
	struct token_info info;
	struct why why = { 0 };
	int err;

	token_get_info(t, &info);
	*ret_over = info.initialised;
	if (info.error_state) {
		token_trouble(t, &why);
		if (reterr_why != NULL)
			*reterr_why = why;
		return why.err != CVM_OK ? why.err : CVM_E_BUSY;
	}
	if (!info.initialised)
		return CVM_OK;
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = pin_begin(t, /* so= */ true, reterr_why);
	if (err != CVM_OK)
		return err;
	err = pin_auth(in->so_pin, meta.id, SEAL_SO, &auth);
	if (err == CVM_OK)
		err = seals_open(t, &sc, SEAL_SO, auth, &key, reterr_why);
	if (err == CVM_OK)
		*ret_meta = meta;
	return pin_end(t, /* so= */ true, err, reterr_why);
}

int
token_init(struct token *t, const struct token_init *in,
    struct secret **ret_recovery, struct why *reterr_why)
{
	const struct seal_scope sc = { .policy = in->policy, .vtpm = in->vtpm };
	_cleanup_(newborn_clear) struct newborn b = { 0 };
	struct token_meta old = { 0 };
	bool over = false;
	int err;

	err = pin_check(in->so_pin, reterr_why);
	if (err == CVM_OK && in->user_pin.len > 0)
		err = pin_check(in->user_pin, reterr_why);
	if (err == CVM_OK)
		err = seals_need_tpm(&sc, reterr_why);
	if (err == CVM_OK)
		err = check_old(t, in, &over, &old, reterr_why);
	if (err == CVM_OK)
		err = make_secrets(&b, in, ret_recovery != NULL, reterr_why);
	if (err == CVM_OK)
		err = make_seals(&b, &sc, t->cfg->login, reterr_why);
	if (err != CVM_OK)
		return err;
	store_lock();
	err = write_store(t, &b, over ? old.id : NULL, reterr_why);
	store_unlock();
	if (err != CVM_OK)
		return err;
	token_refresh(t);
	if (ret_recovery != NULL)
		*ret_recovery = TAKE_PTR(b.code);
	return CVM_OK;
}
