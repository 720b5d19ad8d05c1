/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/token_impl.h"

bool
seal_has_pin(const struct store_seal *s)
{
	struct seal_tpm p;

	return s->kind == SEAL_TPM &&
	    seal_tpm_params(s, &p, /* reterr_why= */ NULL) == CVM_OK && p.auth;
}

int
seals_append(struct store_seals *l, struct store_seal *seal)
{
	struct store_seal *v = realloc(l->v, (l->n + 1) * sizeof(*v));

	if (v == NULL)
		return CVM_E_NOMEM;
	l->v = v;
	l->v[l->n++] = *seal;
	*seal = (struct store_seal){ 0 };
	return CVM_OK;
}

/* The PCRs as they are now, read once for all seals that ask for the same. */
struct pcr_cache {
	struct vtpm *vtpm;
	struct pcr_values v;
};

static int
pcrs_for(struct pcr_cache *cache, const struct seal_tpm *p,
    struct why *reterr_why)
{
	if (cache->v.mask == p->set.mask && cache->v.bank == p->bank)
		return CVM_OK;
	cache->v = (struct pcr_values){ 0 };
	return vtpm_read_pcrs(cache->vtpm, p->bank, p->set.mask, &cache->v,
	    reterr_why);
}

/* With a policy digest of NULL in c, the seal's own word is taken for it. */
static int
open_one(const struct seal_context *c, const struct store_seal *s,
    const struct seal_tpm *p, const struct secret *auth,
    struct secret **ret_key, struct why *why)
{
	struct seal_context own = *c;

	if (own.policy_digest == NULL)
		own.policy_digest = p->policy_digest;
	return seal_open_tpm(&own, s, auth, ret_key, why);
}

/*
 * CVM_OK: opened. A seal for other PCR values is not even tried, so that a
 * try of a PIN is made only where the PIN can be right. *ret_distance counts
 * the PCRs that differ.
 */
static int
try_one(const struct seal_context *c, struct pcr_cache *cache,
    const struct store_seal *s, const struct secret *auth,
    struct secret **ret_key, unsigned *ret_distance, struct why *why)
{
	struct seal_tpm p = { 0 };
	unsigned first;
	int err;

	*ret_distance = 0;
	err = seal_tpm_params(s, &p, why);
	if (err == CVM_OK &&
	    (c->policy_digest == NULL ||
		memcmp(p.policy_digest, c->policy_digest, POLICY_DIGEST_LEN) ==
		    0)) {
		err = pcrs_for(cache, &p, why);
		if (err != CVM_OK)
			return err;
		*ret_distance = seal_tpm_differs(&p, &cache->v, &first);
		if (*ret_distance > 0)
			return seal_tpm_refuse(s, &p, &cache->v, why);
	}
	return err == CVM_OK ? open_one(c, s, &p, auth, ret_key, why) : err;
}

static int
no_seal(const char *where, enum seal_purpose purpose, bool pin,
    struct why *reterr_why)
{
	if (pin)
		return why_set(reterr_why, CVM_E_PIN_UNSET, where,
		    seal_purpose_name(purpose), "a seal with a PIN", "none");
	(void)why_set(reterr_why, CVM_E_SEALED, where,
	    seal_purpose_name(purpose), "a tpm seal without a PIN", "none");
	why_hint(reterr_why, "run cvm-token reseal");
	return CVM_E_SEALED;
}

static int
list_seals(struct token *t, struct store_seals *ret, struct why *reterr_why)
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

int
seals_need_tpm(const struct seal_scope *sc, struct why *reterr_why)
{
	if (sc->policy->has_tpm && sc->vtpm != NULL)
		return CVM_OK;
	(void)why_set(reterr_why, CVM_E_UNSUPPORTED, sc->policy->path, "$.tpm",
	    "a policy with reference values of a vTPM", "none");
	why_hint(reterr_why, "the keys of a token are sealed to a vTPM");
	return CVM_E_UNSUPPORTED;
}

/* Tries the seals of a list; reports the one that came nearest. */
static int
open_any(const char *where, const struct seal_context *c,
    const struct store_seals *l, enum seal_purpose purpose,
    const struct secret *auth, struct secret **ret_key, struct why *reterr_why)
{
	struct pcr_cache cache = { .vtpm = c->vtpm };
	unsigned nearest = POLICY_PCR_MAX + 1, distance;
	int err, refusal = CVM_OK;

	for (size_t i = 0; i < l->n; i++) {
		struct why why = { 0 };

		if (l->v[i].kind != SEAL_TPM || l->v[i].purpose != purpose ||
		    seal_has_pin(&l->v[i]) != (auth != NULL))
			continue;
		err = try_one(c, &cache, &l->v[i], auth, ret_key, &distance,
		    &why);
		if (err == CVM_OK)
			return CVM_OK;
		if (err != CVM_E_SEALED && err != CVM_E_CORRUPT)
			distance = 0; /* no other seal can help */
		else if (distance >= nearest)
			continue;
		nearest = distance;
		refusal = err;
		if (reterr_why != NULL)
			*reterr_why = why;
		if (err != CVM_E_SEALED && err != CVM_E_CORRUPT)
			break;
	}
	if (refusal == CVM_OK)
		return no_seal(where, purpose, auth != NULL, reterr_why);
	return refusal;
}

int
seals_open(struct token *t, const struct seal_scope *sc,
    enum seal_purpose purpose, const struct secret *auth,
    struct secret **ret_key, struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };
	struct token_meta meta = { 0 };
	const struct seal_context c = {
		.token_id = meta.id,
		.policy_digest = sc->as_sealed ? NULL : sc->policy->digest,
		.vtpm = sc->vtpm,
	};
	int err;

	err = seals_need_tpm(sc, reterr_why);
	if (err == CVM_OK)
		err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = list_seals(t, &l, reterr_why);
	if (err != CVM_OK)
		return err;
	return open_any(t->cfg->store, &c, &l, purpose, auth, ret_key,
	    reterr_why);
}

/* Is there a token seal for these PCR values? */
static bool
set_in_use(const struct store_seals *l, enum hash_alg bank,
    const struct pcr_set *set)
{
	struct pcr_values v = { .bank = bank, .mask = set->mask };
	struct seal_tpm p;
	unsigned first;

	memcpy(v.value, set->value, sizeof(v.value));
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].purpose == SEAL_TOKEN && l->v[i].kind == SEAL_TPM &&
		    seal_tpm_params(&l->v[i], &p, NULL) == CVM_OK &&
		    p.set.mask == set->mask &&
		    seal_tpm_differs(&p, &v, &first) == 0)
			return true;
	return false;
}

int
seals_make(const uint8_t id[static TOKEN_ID_LEN], const struct seal_scope *sc,
    const struct store_seals *only_sets_of, enum seal_purpose purpose,
    const struct secret *key, const struct secret *auth, struct store_seals *l,
    struct why *reterr_why)
{
	const struct seal_context c = { id, sc->policy->digest, sc->vtpm };
	const struct policy_tpm *tpm = &sc->policy->tpm;
	int err;

	err = seals_need_tpm(sc, reterr_why);
	if (err != CVM_OK)
		return err;
	for (size_t i = 0; i < tpm->n_pcr_sets; i++) {
		_cleanup_(store_seal_clear) struct store_seal seal = { 0 };

		if (only_sets_of != NULL &&
		    !set_in_use(only_sets_of, tpm->bank, &tpm->pcr_sets[i]))
			continue;
		err = seal_make_tpm(&c, purpose, tpm->bank, &tpm->pcr_sets[i],
		    key, auth, &seal, reterr_why);
		if (err == CVM_OK)
			err = seals_append(l, &seal);
		if (err != CVM_OK)
			return err;
	}
	return CVM_OK;
}

struct changing {
	struct token *t;
	struct store *s;
	struct manifest m;
	struct manifest_mac *mac;
	size_t dropped;
	bool had_private; /* a seal of the private key */
};

static bool
opens_private(const struct store_seal *s)
{
	return s->purpose != SEAL_TOKEN;
}

static int
drop_seals(struct changing *c, const struct seals_change *ch,
    struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals old = { 0 };
	int err;

	err = store_seals_list(c->s, &old, reterr_why);
	for (size_t i = 0; err == CVM_OK && i < old.n; i++) {
		c->had_private |= opens_private(&old.v[i]);
		if (ch->drop == NULL || !ch->drop(&old.v[i], ch->arg))
			continue;
		err = manifest_seal(&c->m, c->mac, &old.v[i], /* add= */ false);
		if (err == CVM_OK)
			err = store_seal_delete(c->s, old.v[i].id, reterr_why);
		c->dropped++;
	}
	if (err != CVM_OK || ch->none == NULL || c->dropped > 0)
		return err;
	if (reterr_why != NULL)
		*reterr_why = *ch->none;
	return ch->none->err;
}

/* What nothing opens any more would be lost: the token, or its private keys. */
static int
check_openable(struct changing *c, struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };
	bool token = false, private = !c->had_private;
	int err;

	err = store_seals_list(c->s, &l, reterr_why);
	if (err != CVM_OK)
		return err;
	for (size_t i = 0; i < l.n; i++) {
		token |= l.v[i].purpose == SEAL_TOKEN;
		private |= opens_private(&l.v[i]);
	}
	if (token && private)
		return CVM_OK;
	return why_set(reterr_why, CVM_E_INVAL, store_path(c->s), "seals",
	    token ? "a seal of the private keys that stays" :
		    "a token seal that stays",
	    "none");
}

static int
apply(struct changing *c, const uint8_t *id, const struct key *key,
    const struct seals_change *ch, struct why *reterr_why)
{
	int err;

	err = manifest_read(c->s, id, key->bytes, &c->m, reterr_why);
	if (err == CVM_OK)
		err = drop_seals(c, ch, reterr_why);
	for (size_t i = 0; err == CVM_OK && ch->add != NULL && i < ch->add->n;
	     i++) {
		err = manifest_seal(&c->m, c->mac, &ch->add->v[i],
		    /* add= */ true);
		if (err == CVM_OK)
			err = store_seal_put(c->s, &ch->add->v[i], reterr_why);
	}
	if (err == CVM_OK)
		err = check_openable(c, reterr_why);
	if (err == CVM_OK && ch->clear_user)
		err = pin_set_tries(c->s, /* so= */ false, 0, reterr_why);
	if (err == CVM_OK && ch->clear_so)
		err = pin_set_tries(c->s, /* so= */ true, 0, reterr_why);
	(void)token_add_marks(c->t, &c->m);
	if (err == CVM_OK)
		err = manifest_write(c->s, id, key->bytes, &c->m, reterr_why);
	return err;
}

int
seals_change(struct token *t, const struct permit *p,
    const struct seals_change *ch, struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	_cleanup_(manifest_mac_freep) struct manifest_mac *mac = NULL;
	struct changing c = { .t = t };
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
	c.mac = mac;
	store_lock();
	err = token_store(t, &c.s, reterr_why);
	if (err == CVM_OK)
		err = store_begin(c.s, reterr_why);
	if (err == CVM_OK) {
		err = apply(&c, meta.id, key, ch, reterr_why);
		if (err == CVM_OK)
			err = token_still_admitted(t, p, reterr_why);
		if (err == CVM_OK)
			err = store_commit(c.s, reterr_why);
		else
			store_rollback(c.s);
		token_reload(t);
	}
	store_unlock();
	if (err == CVM_OK && ch->ret_dropped != NULL)
		*ch->ret_dropped = c.dropped;
	return err;
}
