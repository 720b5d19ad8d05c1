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

void
prepared_freep(struct prepared **p)
{
	if (*p == NULL)
		return;
	EVP_PKEY_CTX_free((*p)->pctx);
	EVP_MD_CTX_free((*p)->md);
	EVP_CIPHER_CTX_free((*p)->cipher);
	secret_wipe((*p)->rejection, sizeof((*p)->rejection));
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

void
key_cache_wipe(struct key_cache *k)
{
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(secret_freep) struct secret *material = NULL;

	(void)atomic_fetch_add(&k->wiped, 1);
	(void)pthread_mutex_lock(&k->lock);
	pkey = TAKE_PTR(k->pkey);
	material = TAKE_PTR(k->material);
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

void
prepared_give(struct key_cache *k, struct prepared **p)
{
	uint64_t generation = (*p)->generation;

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
