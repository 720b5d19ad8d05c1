/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/chain_cache.h"
#include "attest/memo.h"
#include "base/reader.h"

struct entry {
	uint8_t key[SHA256_LEN];
	struct chain_validity validity;
	struct seen_mark *marks; /* of a chain's CRLs, or NULL: not known */
	size_t n_marks;
	uint64_t used; /* cache->uses when last of use */
};

struct chain_cache {
	struct entry entries[CHAIN_CACHE_MAX];
	size_t n; /* filled */
	uint64_t uses;
	size_t hits;
	struct parsed *parsed; /* or NULL: out of memory */
	struct memos *memos;   /* or NULL */
};

struct chain_cache *
chain_cache_new(void)
{
	struct chain_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	cache->parsed = parsed_new();
	cache->memos = memos_new();
	return cache;
}

void
chain_cache_freep(struct chain_cache **cache)
{
	if (cache == NULL || *cache == NULL)
		return;
	parsed_freep(&(*cache)->parsed);
	memos_freep(&(*cache)->memos);
	for (size_t i = 0; i < (*cache)->n; i++)
		free((*cache)->entries[i].marks);
	freep(cache);
}

struct parsed *
chain_cache_parsed(struct chain_cache *cache)
{
	return cache != NULL ? cache->parsed : NULL;
}

struct memos *
chain_cache_memos(struct chain_cache *cache)
{
	return cache != NULL ? cache->memos : NULL;
}

size_t
chain_cache_hits(const struct chain_cache *cache)
{
	return cache->hits;
}

static struct entry *
find(struct chain_cache *cache, const uint8_t key[static SHA256_LEN],
    int64_t now)
{
	for (size_t i = 0; cache != NULL && i < cache->n; i++) {
		struct entry *e = &cache->entries[i];

		if (now >= e->validity.from && now <= e->validity.until &&
		    memcmp(e->key, key, SHA256_LEN) == 0) {
			e->used = ++cache->uses;
			return e;
		}
	}
	return NULL;
}

bool
chain_cache_known(struct chain_cache *cache,
    const uint8_t key[static SHA256_LEN], int64_t now,
    struct chain_validity *ret)
{
	const struct entry *e = find(cache, key, now);

	if (e == NULL)
		return false;
	cache->hits++;
	if (ret != NULL)
		*ret = e->validity;
	return true;
}

/* The entry of the same key, a new one, or the least useful. */
static struct entry *
place(struct chain_cache *cache, const uint8_t key[static SHA256_LEN])
{
	struct entry *e = &cache->entries[0];

	for (size_t i = 0; i < cache->n; i++)
		if (memcmp(cache->entries[i].key, key, SHA256_LEN) == 0)
			return &cache->entries[i];
	if (cache->n < CHAIN_CACHE_MAX)
		return &cache->entries[cache->n++];
	for (size_t i = 1; i < cache->n; i++)
		if (cache->entries[i].used < e->used)
			e = &cache->entries[i];
	return e;
}

static struct entry *
remember(struct chain_cache *cache, const uint8_t key[static SHA256_LEN],
    const struct chain_validity *v)
{
	struct entry *e = place(cache, key);

	free(e->marks);
	*e = (struct entry){ .validity = *v, .used = ++cache->uses };
	memcpy(e->key, key, SHA256_LEN);
	return e;
}

void
chain_cache_remember(struct chain_cache *cache,
    const uint8_t key[static SHA256_LEN], int64_t from, int64_t until)
{
	const struct chain_validity v = { from, until, 0 };

	if (cache != NULL)
		(void)remember(cache, key, &v);
}

static void
write_digest(struct writer *w, const uint8_t digest[static SHA256_LEN])
{
	write_bytes(w, span(digest, SHA256_LEN));
}

/* Everything that chain_verify() reads, except the time. */
static int
write_chain(struct writer *w, const struct chain *c)
{
	for (size_t i = 0; i < c->n_intermediates + 2; i++)
		if (chain_at(c, i) == NULL)
			return CVM_E_INVAL;
	write_u8(w,
	    (uint8_t)(c->require_crl | c->crl_leaf << 1 | c->want_strict << 2 |
		c->ca_leaf << 3 | c->stale_crl_ok << 4));
	write_be64(w, c->n_intermediates);
	write_be64(w, c->n_crls);
	write_be64(w, c->pins != NULL ? c->pins->n : 0);
	for (size_t i = 0; i < c->n_intermediates + 2; i++)
		write_digest(w, chain_at(c, i)->digest);
	for (size_t i = 0; i < c->n_crls; i++)
		write_digest(w, c->crls[i]->digest);
	for (size_t i = 0; c->pins != NULL && i < c->pins->n; i++)
		write_field(w, blob_span(&c->pins->v[i]));
	return CVM_OK;
}

static int
digest_of(struct writer *w, uint8_t key[static SHA256_LEN])
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	int r = writer_end(w, &b);

	return r != CVM_OK ? r : hash(HASH_SHA256, blob_span(&b), key);
}

static int
chain_key(const struct chain *c, uint8_t key[static SHA256_LEN])
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	int r = write_chain(&w, c);

	return r != CVM_OK ? r : digest_of(&w, key);
}

/* A CRL is as good as its issuer's key, whatever the chain. */
static int
crl_key(const struct chain *c, const struct crl *crl, size_t issuer,
    uint8_t key[static SHA256_LEN])
{
	_cleanup_(writer_clear) struct writer w = { 0 };

	write_bytes(&w, span("crl", 3));
	write_u8(&w, c->stale_crl_ok);
	write_digest(&w, chain_at(c, issuer)->digest);
	write_digest(&w, crl->digest);
	return digest_of(&w, key);
}

/* The path alone: what a chain without any CRL is. */
static int
path_verify(struct chain_cache *cache, const struct chain *c, struct why *why)
{
	struct chain path = *c;
	struct chain_validity v = { 0 };
	uint8_t key[SHA256_LEN];
	bool have_key;
	int r;

	path.crls = NULL;
	path.n_crls = 0;
	path.require_crl = path.crl_leaf = path.stale_crl_ok = false;
	have_key = chain_key(&path, key) == CVM_OK;
	if (have_key && find(cache, key, c->now) != NULL)
		return CVM_OK;
	r = chain_path_verify(&path, why);
	if (r == CVM_OK && have_key && chain_validity(&path, &v) == CVM_OK)
		(void)remember(cache, key, &v);
	return r;
}

static int
crl_known(struct chain_cache *cache, const struct chain *c, struct crl *crl,
    struct why *why)
{
	struct chain one = { .crls = &crl,
		.n_crls = 1,
		.stale_crl_ok = c->stale_crl_ok };
	struct chain_validity v = { 0 };
	uint8_t key[SHA256_LEN];
	bool have_key;
	size_t by = 0;
	int r = chain_crl_issuer(c, crl, &by, why);

	if (r != CVM_OK)
		return r;
	have_key = crl_key(c, crl, by, key) == CVM_OK;
	if (!have_key || find(cache, key, c->now) == NULL) {
		r = chain_crl_verify_by(c, crl, by, why);
		if (r == CVM_OK && have_key &&
		    chain_crls_validity(&one, &v) == CVM_OK)
			(void)remember(cache, key, &v);
	}
	return r != CVM_OK ? r : chain_not_revoked(c, crl, by, why);
}

static int
verify(struct chain_cache *cache, const struct chain *c, struct why *why)
{
	int r = path_verify(cache, c, why);

	for (size_t i = 0; r == CVM_OK && i < c->n_crls; i++)
		r = crl_known(cache, c, c->crls[i], why);
	return r != CVM_OK ? r : chain_crls_suffice(c, why);
}

int
chain_verify_cached(struct chain_cache *cache, const struct chain *c,
    struct why *reterr_why)
{
	struct chain_validity v = { 0 };
	uint8_t key[SHA256_LEN];
	int r;

	if (cache == NULL || chain_key(c, key) != CVM_OK)
		return chain_verify(c, reterr_why);
	if (chain_cache_known(cache, key, c->now, /* ret= */ NULL))
		return CVM_OK;
	r = verify(cache, c, reterr_why);
	if (r == CVM_OK && chain_validity(c, &v) == CVM_OK)
		(void)remember(cache, key, &v);
	return r;
}

/* Not NULL where there are none: that is known as well. To fail here costs
 * speed and nothing else. */
static void
remember_marks(struct chain_cache *cache, const uint8_t key[static SHA256_LEN],
    const struct chain_validity *v, const struct seen *seen)
{
	struct entry *e = remember(cache, key, v);

	e->marks = calloc(seen->n + 1, sizeof(*e->marks));
	if (e->marks == NULL)
		return;
	memcpy(e->marks, seen->v, seen->n * sizeof(*e->marks));
	e->n_marks = seen->n;
}

int
chain_accept(struct chain_cache *cache, const struct chain *c,
    struct chain_validity *ret, struct seen *seen, struct why *reterr_why)
{
	struct seen mine = { .n = 0 };
	uint8_t key[SHA256_LEN];
	const struct entry *e = NULL;
	bool have_key = cache != NULL && chain_key(c, key) == CVM_OK;
	int r;

	if (have_key)
		e = find(cache, key, c->now);
	if (e != NULL && e->marks != NULL) {
		cache->hits++;
		*ret = e->validity;
		for (size_t i = 0; i < e->n_marks; i++)
			(void)seen_raise(seen, &e->marks[i]);
		return CVM_OK;
	}
	r = chain_verify_cached(cache, c, reterr_why);
	if (r == CVM_OK)
		r = chain_validity(c, ret);
	if (r == CVM_OK)
		r = seen_crls(c, &mine);
	if (r != CVM_OK)
		return r;
	if (have_key)
		remember_marks(cache, key, ret, &mine);
	(void)seen_merge(seen, &mine);
	return CVM_OK;
}
