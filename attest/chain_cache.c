/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/chain_cache.h"
#include "base/reader.h"

struct entry {
	uint8_t key[SHA256_LEN];
	int64_t from, until;
	uint64_t used; /* cache->uses when last of use */
};

struct chain_cache {
	struct entry entries[CHAIN_CACHE_MAX];
	size_t n; /* filled */
	uint64_t uses;
	size_t hits;
};

struct chain_cache *
chain_cache_new(void)
{
	return calloc(1, sizeof(struct chain_cache));
}

void
chain_cache_freep(struct chain_cache **cache)
{
	freep(cache);
}

size_t
chain_cache_hits(const struct chain_cache *cache)
{
	return cache->hits;
}

static int
write_cert(struct writer *w, const X509 *x)
{
	uint8_t digest[SHA256_LEN];
	int r = x != NULL ? cert_digest(x, digest) : CVM_E_INVAL;

	if (r == CVM_OK)
		write_bytes(w, span(digest, sizeof(digest)));
	return r;
}

static int
write_crl(struct writer *w, const X509_CRL *crl)
{
	uint8_t digest[SHA256_LEN];
	int r = crl != NULL ? crl_digest(crl, digest) : CVM_E_INVAL;

	if (r == CVM_OK)
		write_bytes(w, span(digest, sizeof(digest)));
	return r;
}

/* Everything that chain_verify() reads, except the time. */
static int
write_chain(struct writer *w, const struct chain *c)
{
	int r;

	write_u8(w,
	    (uint8_t)(c->require_crl | c->crl_leaf << 1 | c->want_strict << 2 |
		c->ca_leaf << 3 | c->stale_crl_ok << 4));
	write_be64(w, c->n_intermediates);
	write_be64(w, c->n_crls);
	write_be64(w, c->pins != NULL ? c->pins->n : 0);
	r = write_cert(w, c->leaf);
	for (size_t i = 0; r == CVM_OK && i < c->n_intermediates; i++)
		r = write_cert(w, c->intermediates[i]);
	if (r == CVM_OK)
		r = write_cert(w, c->root);
	for (size_t i = 0; r == CVM_OK && i < c->n_crls; i++)
		r = write_crl(w, c->crls[i]);
	for (size_t i = 0; c->pins != NULL && i < c->pins->n; i++)
		write_field(w, blob_span(&c->pins->v[i]));
	return r;
}

static int
cache_key(const struct chain *c, uint8_t key[static SHA256_LEN])
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	_cleanup_(blob_clear) struct blob b = { 0 };
	int r = write_chain(&w, c);

	if (r != CVM_OK)
		return r;
	r = writer_end(&w, &b);
	return r != CVM_OK ? r : hash(HASH_SHA256, blob_span(&b), key);
}

bool
chain_cache_known(struct chain_cache *cache,
    const uint8_t key[static SHA256_LEN], int64_t now)
{
	for (size_t i = 0; cache != NULL && i < cache->n; i++) {
		struct entry *e = &cache->entries[i];

		if (now >= e->from && now <= e->until &&
		    span_equal(span(e->key, SHA256_LEN),
			span(key, SHA256_LEN))) {
			cache->hits++;
			e->used = ++cache->uses;
			return true;
		}
	}
	return false;
}

void
chain_cache_remember(struct chain_cache *cache,
    const uint8_t key[static SHA256_LEN], int64_t from, int64_t until)
{
	struct entry *e;

	if (cache == NULL)
		return;
	e = &cache->entries[0];
	if (cache->n < CHAIN_CACHE_MAX)
		e = &cache->entries[cache->n++];
	else
		for (size_t i = 1; i < cache->n; i++)
			if (cache->entries[i].used < e->used)
				e = &cache->entries[i];
	memcpy(e->key, key, SHA256_LEN);
	e->from = from;
	e->until = until;
	e->used = ++cache->uses;
}

int
chain_verify_cached(struct chain_cache *cache, const struct chain *c,
    struct why *reterr_why)
{
	struct chain_validity v = { 0 };
	uint8_t key[SHA256_LEN];
	int r;

	if (cache == NULL || cache_key(c, key) != CVM_OK)
		return chain_verify(c, reterr_why);
	if (chain_cache_known(cache, key, c->now))
		return CVM_OK;
	r = chain_verify(c, reterr_why);
	if (r == CVM_OK && chain_validity(c, &v) == CVM_OK)
		chain_cache_remember(cache, key, v.from, v.until);
	return r;
}
