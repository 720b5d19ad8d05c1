/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_ROUND_H
#define ATTEST_ROUND_H

#include "attest/appraise.h"
#include "attest/permit.h"
#include "attest/vtpm.h"
#include "conf/config.h"

/*
 * Rounds: group commit for nonces (attest/PROTOCOL.md). Callers bring a leaf;
 * the first one leads: it takes everything queued, computes the Merkle root,
 * collects evidence over it, appraises, and wakes all. Whoever arrives
 * meanwhile forms the next round, so a caller's evidence is always newer than
 * its call. There is no thread of our own.
 */
struct rounds;

#define LEAF_MAX 4096
#define ROUND_LEAVES_MAX 4096

/* Merkle tree hash (RFC 9162 section 2.1.1) over n >= 1 leaves. */
int merkle_root(const struct blob *leaves, size_t n,
    uint8_t root[static SHA256_LEN]) _must_check_;
/* Inclusion proof (section 2.1.3.1) of leaf index, as concatenated hashes. */
int merkle_proof(const struct blob *leaves, size_t n, size_t index,
    struct blob *ret_path) _must_check_;
/* 0 when leaf at index of n is under root by path; else CVM_E_DENIED. */
int merkle_verify(struct span leaf, size_t index, size_t n, struct span path,
    const uint8_t root[static SHA256_LEN]) _must_check_;

/* The derivations of PROTOCOL.md. ak_name may be empty. */
int derive_report_data(const uint8_t root[static SHA256_LEN],
    struct span ak_name, const uint8_t policy_digest[static SHA256_LEN],
    uint8_t out[static REPORT_DATA_LEN]) _must_check_;
int derive_qualifying(const uint8_t root[static SHA256_LEN],
    struct span tee_report, uint8_t out[static QUALIFYING_LEN]) _must_check_;

/* Leaves; rnd is fresh randomness. */
int leaf_session(const char *serial, uint64_t pid, uint64_t fork_count,
    const uint8_t rnd[static 32], struct blob *ret) _must_check_;
struct operation_leaf {
	const char *serial;
	uint8_t session_id[16];
	uint64_t counter;
	const char *function; /* "C_Sign" */
	uint64_t mechanism;
	uint8_t parameter_digest[SHA256_LEN];
	uint8_t key_fingerprint[SHA256_LEN];
	uint8_t input_digest[SHA256_LEN];
	uint8_t random[16];
};
int leaf_operation(const struct operation_leaf *op, struct blob *ret)
    _must_check_;
int leaf_challenge(struct span nonce, struct span key_fingerprint,
    struct blob *ret) _must_check_;

/*
 * One engine for a token: its policy, its TPM connection, its TEE report and
 * endorsements. cfg and policy must outlive it.
 */
int rounds_new(const struct config *cfg, const struct policy *policy,
    struct rounds **ret) _must_check_;
void rounds_freep(struct rounds **r);
/* The TPM connection (for seals); NULL when the policy uses no TPM. */
struct vtpm *rounds_vtpm(struct rounds *r);
struct permit_issuer *rounds_issuer(struct rounds *r);

/* What a round established; shared by its callers, reference counted. */
struct round_result {
	struct evidence evidence;
	struct verdict verdict;
	uint8_t root[SHA256_LEN];	  /* of this round */
	uint8_t tee_root[SHA256_LEN];	  /* root that the TEE report names */
	uint64_t id;			  /* 1, 2, ... in this process */
	uint64_t epoch;			  /* issuer's, before collecting */
	uint64_t asked_ns;		  /* CLOCK_BOOTTIME before collecting */
	int64_t time;			  /* CLOCK_REALTIME, seconds */
	struct blob *leaves;		  /* in tree order */
	size_t n_leaves;
	_Atomic unsigned refs;
};
void round_result_unrefp(struct round_result **rr);

struct admission {
	struct round_result *round; /* NULL when evidence was unreachable */
	size_t index;		    /* of the caller's leaf */
};

/*
 * Joins a round with one leaf (copied) and waits for its end.
 * 0: admitted; CVM_E_DENIED: the verdict is deny (why says which check; the
 * admission is filled, for those who want the evidence; every earlier permit
 * of the issuer is over); CVM_E_UNREACHABLE: no evidence within
 * evidence.timeout_ms, or the last failure is younger than evidence.retry_ms
 * (same why). A failed attempt is not repeated for retry_ms: callers get the
 * earlier result, unless fresh is set.
 */
int rounds_join(struct rounds *r, struct span leaf, bool fresh,
    struct admission *ret, struct why *reterr_why) _must_check_;
void admission_clear(struct admission *a);

/* Called by the leader's thread at each change of the verdict (admit, deny,
 * unreachable), outside of locks; for the log and for wiping keys. */
enum round_state { ROUND_NONE, ROUND_ADMIT, ROUND_DENY, ROUND_UNREACHABLE };
void rounds_on_change(struct rounds *r,
    void (*fn)(void *arg, enum round_state state, const struct why *why),
    void *arg);
enum round_state rounds_state(const struct rounds *r);
/* After a fork, in the child, before anything else: forgets the parent's
 * leader, queue and TEE report; new locks. */
void rounds_after_fork(struct rounds *r);

#endif
