/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "token/object_impl.h"

int
key_cache_new(struct key_cache **ret)
{
	struct key_cache *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return CVM_E_NOMEM;
	if (pthread_mutex_init(&k->lock, /* attr= */ NULL) != 0) {
		free(k);
		return CVM_E_NOMEM;
	}
	k->refs = 1;
	*ret = k;
	return CVM_OK;
}

struct key_cache *
key_cache_ref(struct key_cache *k)
{
	(void)atomic_fetch_add(&k->refs, 1);
	return k;
}

/* Each context is taken out before it is freed, so that a child that is forked
 * in between finds nothing to free. */
static void
prepared_empty(struct prepared *p)
{
	EVP_PKEY_CTX *pctx = TAKE_PTR(p->pctx);
	EVP_MD_CTX *md = TAKE_PTR(p->md);
	EVP_CIPHER_CTX *cipher = TAKE_PTR(p->cipher);
	EVP_MAC_CTX *mac = TAKE_PTR(p->mac);

	atomic_signal_fence(memory_order_seq_cst);
	EVP_PKEY_CTX_free(pctx);
	EVP_MD_CTX_free(md);
	EVP_CIPHER_CTX_free(cipher);
	EVP_MAC_CTX_free(mac);
	secret_wipe(p->rejection, sizeof(p->rejection));
	p->has_rejection = false;
}

void
prepared_freep(struct prepared **p)
{
	if (*p == NULL)
		return;
	prepared_empty(*p);
	free(*p);
	*p = NULL;
}

static void
drain(struct key_cache *k)
{
	for (size_t i = 0; i < KEY_IDLE_MAX; i++) {
		struct prepared *p = atomic_exchange(&k->idle[i], NULL);

		prepared_freep(&p);
	}
}

/* With the lock held. What rests loses its key here; what is in use is left
 * to lease_rest(), which will not have it back. */
static void
end_leases(struct key_cache *k)
{
	for (struct prepared *p = k->leases; p != NULL; p = p->next)
		if (atomic_exchange(&p->lease, LEASE_OVER) == LEASE_RESTS)
			prepared_empty(p);
}

void
key_cache_wipe(struct key_cache *k)
{
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(secret_freep) struct secret *material = NULL;

	(void)pthread_mutex_lock(&k->lock);
	/* Together with the material: who reads the new count, and would keep
	 * with it what is made of the key, no longer finds any. */
	(void)atomic_fetch_add(&k->wiped, 1);
	pkey = TAKE_PTR(k->pkey);
	material = TAKE_PTR(k->material);
	end_leases(k);
	(void)pthread_mutex_unlock(&k->lock);
	drain(k);
}

void
key_cache_unrefp(struct key_cache **k)
{
	struct key_cache *old = TAKE_PTR(*k);

	if (old == NULL || atomic_fetch_sub(&old->refs, 1) != 1)
		return;
	key_cache_wipe(old);
	(void)pthread_mutex_destroy(&old->lock);
	free(old);
}

bool
key_cache_empty(struct key_cache *k)
{
	bool empty;

	(void)pthread_mutex_lock(&k->lock);
	empty = k->pkey == NULL && k->material == NULL;
	(void)pthread_mutex_unlock(&k->lock);
	return empty && atomic_load(&k->refs) == 1;
}

void
key_cache_after_fork(struct key_cache *k)
{
	(void)pthread_mutex_init(&k->lock, /* attr= */ NULL);
	end_leases(k);
}

EVP_PKEY *
key_cache_recall(struct key_cache *k)
{
	EVP_PKEY *pkey;

	(void)pthread_mutex_lock(&k->lock);
	pkey = k->pkey;
	if (pkey != NULL && EVP_PKEY_up_ref(pkey) != 1)
		pkey = NULL;
	(void)pthread_mutex_unlock(&k->lock);
	return pkey;
}

void
key_cache_remember(struct key_cache *k, uint64_t generation, EVP_PKEY *pkey)
{
	bool kept = false;

	if (EVP_PKEY_up_ref(pkey) != 1)
		return;
	(void)pthread_mutex_lock(&k->lock);
	if (k->pkey == NULL && atomic_load(&k->wiped) == generation) {
		k->pkey = pkey;
		kept = true;
	}
	(void)pthread_mutex_unlock(&k->lock);
	if (!kept)
		EVP_PKEY_free(pkey);
}

struct prepared *
prepared_take(struct key_cache *k, uint64_t tag)
{
	for (size_t i = 0; i < KEY_IDLE_MAX; i++) {
		struct prepared *p = atomic_load(&k->idle[i]);

		/* What the slot holds may be freed by another thread before
     * its tag is read here, so it is taken out first. */
		if (p == NULL ||
		    !atomic_compare_exchange_strong(&k->idle[i], &p, NULL))
			continue;
		if (p->tag == tag)
			return p;
		prepared_give(k, &p);
	}
	return NULL;
}

bool
lease_begin(struct key_cache *k, struct prepared *p)
{
	bool begun;

	(void)pthread_mutex_lock(&k->lock);
	/* A wipe that passed before this did not see it. */
	begun = k->n_leases < KEY_LEASES_MAX &&
	    atomic_load(&k->wiped) == p->generation;
	if (begun) {
		atomic_store(&p->lease, LEASE_USED);
		p->next = k->leases;
		/* In this order also for a child that is forked in between. */
		atomic_signal_fence(memory_order_seq_cst);
		k->leases = p;
		k->n_leases++;
	}
	(void)pthread_mutex_unlock(&k->lock);
	return begun;
}

static bool
lease_turn(struct prepared *p, enum lease from, enum lease to)
{
	return atomic_compare_exchange_strong(&p->lease, &from, to);
}

bool
lease_rest(struct prepared *p)
{
	return lease_turn(p, LEASE_USED, LEASE_RESTS);
}

bool
lease_resume(struct prepared *p)
{
	return lease_turn(p, LEASE_RESTS, LEASE_USED);
}

/* Out of the list, and no lease any more; p is the caller's alone. */
static void
lease_end(struct key_cache *k, struct prepared *p)
{
	(void)pthread_mutex_lock(&k->lock);
	for (struct prepared **at = &k->leases; *at != NULL; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			/* A fork may have lost one. */
			k->n_leases -= k->n_leases > 0;
			break;
		}
	(void)pthread_mutex_unlock(&k->lock);
	if (atomic_exchange(&p->lease, LEASE_NONE) == LEASE_OVER)
		p->tag = 0;
}

void
prepared_give(struct key_cache *k, struct prepared **p)
{
	uint64_t generation = (*p)->generation;

	if (atomic_load(&(*p)->lease) != LEASE_NONE)
		lease_end(k, *p);
	/* 0 fits nothing: made for one use, and not for the next one's. */
	if ((*p)->tag == 0) {
		prepared_freep(p);
		return;
	}
	for (size_t i = 0; i < KEY_IDLE_MAX; i++) {
		struct prepared *empty = NULL;

		if (!atomic_compare_exchange_strong(&k->idle[i], &empty, *p))
			continue;
		*p = NULL;
		/* A wipe may have passed this slot already: then wipe again. */
		if (atomic_load(&k->wiped) != generation)
			drain(k);
		return;
	}
	prepared_freep(p);
}
