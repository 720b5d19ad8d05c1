/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CHAIN_CACHE_H
#define ATTEST_CHAIN_CACHE_H

#include "attest/chain.h"

/*
 * Remembers that a chain verified, so that a repeated appraisal costs no RSA.
 * What is remembered is SHA-256 over every certificate, every CRL, the pins
 * and the flags, together with the interval in which no date in them changes
 * the answer; any other byte and any other time is verified anew. Refusals
 * are never remembered. Holds CHAIN_CACHE_MAX answers; the one that was
 * of no use for the longest time goes first.
 *
 * An appraisal part calls chain_verify_cached(a->cache, ...) wherever it
 * would call chain_verify(); nothing else changes. Not thread-safe: it belongs
 * to the leader of a round.
 */
#define CHAIN_CACHE_MAX 16

struct chain_cache;

/* NULL: out of memory, which costs speed and nothing else. */
struct chain_cache *chain_cache_new(void);
void chain_cache_freep(struct chain_cache **cache);

/* As chain_verify(); cache may be NULL. */
int chain_verify_cached(struct chain_cache *cache, const struct chain *c,
    struct why *reterr_why) _must_check_;
/*
 * The same memory for what follows from a chain, as a signature by its leaf.
 * key is SHA-256 over a tuple() of everything that the answer depends on but
 * the time; [from, until] is when it holds. Positive answers only. cache may
 * be NULL.
 */
bool chain_cache_known(struct chain_cache *cache,
    const uint8_t key[static SHA256_LEN], int64_t now);
void chain_cache_remember(struct chain_cache *cache,
    const uint8_t key[static SHA256_LEN], int64_t from, int64_t until);
/* How often an answer came from memory; for tests and benchmarks. */
size_t chain_cache_hits(const struct chain_cache *cache);

#endif
