/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CHAIN_CACHE_H
#define ATTEST_CHAIN_CACHE_H

#include "attest/parsed.h"
#include "attest/seen.h"

/*
 * The memory that appraisals share. It remembers that a chain verified, so
 * that a repeated appraisal costs no RSA: SHA-256 over every certificate, the
 * pins and the flags, and the same for each CRL and its issuer, together with
 * the interval in which no date in them changes the answer; any other byte
 * and any other time is verified anew. Refusals are never remembered. Holds
 * CHAIN_CACHE_MAX answers; the one that was of no use for the longest time
 * goes first. Beside them are the objects that were read (attest/parsed.h)
 * and what whole parts of an appraisal found (attest/memo.h).
 *
 * An appraisal part calls chain_verify_cached(a->cache, ...) wherever it
 * would call chain_verify(), and chain_accept() where it wants to know more of
 * the chain. Not thread-safe: it belongs to the leader of a round.
 */
#define CHAIN_CACHE_MAX 32

struct chain_cache;

/* NULL: out of memory, which costs speed and nothing else. */
struct chain_cache *chain_cache_new(void);
void chain_cache_freep(struct chain_cache **cache);

/* As chain_verify(); cache may be NULL. */
int chain_verify_cached(struct chain_cache *cache, const struct chain *c,
    struct why *reterr_why) _must_check_;
/* And what follows: how long its dates stay as they are, and the marks of its
 * CRLs, to seen; these are remembered as well. */
int chain_accept(struct chain_cache *cache, const struct chain *c,
    struct chain_validity *ret, struct seen *seen,
    struct why *reterr_why) _must_check_;
/*
 * The same memory for what follows from a chain, as a signature by its leaf.
 * key is SHA-256 over a tuple() of everything that the answer depends on but
 * the time; [from, until] is when it holds. Positive answers only. cache may
 * be NULL, and so may ret, which gets the interval.
 */
bool chain_cache_known(struct chain_cache *cache,
    const uint8_t key[static SHA256_LEN], int64_t now,
    struct chain_validity *ret);
void chain_cache_remember(struct chain_cache *cache,
    const uint8_t key[static SHA256_LEN], int64_t from, int64_t until);
/* How often an answer came from memory; for tests and benchmarks. */
size_t chain_cache_hits(const struct chain_cache *cache);
/* NULL for NULL. */
struct memos;
struct memos *chain_cache_memos(struct chain_cache *cache);
struct parsed *chain_cache_parsed(struct chain_cache *cache);

#endif
