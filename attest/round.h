/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_ROUND_H
#define ATTEST_ROUND_H

#include "attest/appraise.h"
#include "attest/derive.h"
#include "attest/merkle.h"
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

#define LEAF_MAX 4096 /* bytes */

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
	uint8_t root[SHA256_LEN];     /* of this round */
	uint8_t tee_root[SHA256_LEN]; /* root that the TEE report names */
	const struct policy *policy;  /* that it was judged by; borrowed */
	uint64_t id;		      /* 1, 2, ... in this process */
	uint64_t epoch;		      /* issuer's, before collecting */
	uint64_t asked_ns;	      /* CLOCK_BOOTTIME before collecting */
	uint64_t tee_age_s;	      /* of the TEE report, at asked_ns */
	int64_t time;		      /* CLOCK_REALTIME, seconds */
	int64_t judged_time;	      /* of certificates and collateral */
	struct seen seen;	      /* verified collateral, if admitted */
	struct blob *leaves;	      /* in tree order */
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
 * 0: admitted; CVM_E_DENIED: the verdict is deny (why says which check; every
 * earlier permit of the issuer is over; ret->round, for those who want the
 * evidence, is filled by the round itself); CVM_E_UNREACHABLE and others: no
 * evidence within evidence.timeout_ms. A failed attempt is not repeated for
 * evidence.retry_ms: callers get the same error and why, and no round, unless
 * fresh is set. fresh also asks for a TEE report of this very round.
 *
 * A leader whose collection outlasts evidence.timeout_ms and twice
 * tpm.timeout_ms hangs in a read that nothing can cut short. Who waits for it
 * gives up then (CVM_E_UNREACHABLE), as does whoever comes until it is back.
 */
int rounds_join(struct rounds *r, struct span leaf, bool fresh,
    struct admission *ret, struct why *reterr_why) _must_check_;
void admission_clear(struct admission *a);
/* A second one with the same evidence, to be cleared on its own. */
void admission_share(const struct admission *a, struct admission *ret);

/*
 * Who keeps a record of rounds (attest/receipt_log.h). All three are called by
 * the leader's thread, outside of locks; none may join a round. Set before the
 * first round, by whoever outlives the rounds.
 */
struct round_witness {
	void *arg;
	/* Before the root is computed: a leaf that becomes the round's last
	 * one; empty for none. An error ends the round without evidence. */
	int (*before)(void *arg, struct blob *ret_leaf, struct why *reterr_why);
	/* After the appraisal (err 0 or CVM_E_DENIED), or after no evidence
	 * could be had (other errors): rr has the leaves and the root in any
	 * case. An error refuses a round that would have admitted. e is what
	 * was judged by, or NULL; n_loaded tells one set of endorsements from
	 * the next. */
	int (*after)(void *arg, const struct round_result *rr, int err,
	    const struct why *why, const struct endorsements *e,
	    uint64_t n_loaded, struct why *reterr_why);
	/* In the child, before anything else. */
	void (*after_fork)(void *arg);
};
void rounds_set_witness(struct rounds *r, const struct round_witness *w);

/*
 * Who knows the policy of the next round. Called by its leader, outside of
 * locks, before anything else: *ret is the one of the last round, and may be
 * replaced by one that outlives the rounds. Whoever replaces it sees to it that
 * nothing admitted under the former goes on. An error ends the round without
 * evidence. Set before the first round.
 */
void rounds_follow(struct rounds *r,
    int (*fn)(void *arg, const struct policy **ret, struct why *reterr_why),
    void *arg);

/*
 * The host sets the clock; what its vendors signed it cannot. Certificates,
 * CRLs and collateral are judged at the system's time, or at the newest time
 * known if that is later: of verified collateral in an admission of this
 * process, and what others knew (the token keeps it). It never goes back, and
 * nothing that was not signed, or was not yet valid when it was judged, moves
 * it. 0: none.
 */
int64_t rounds_newest_time(struct rounds *r);
void rounds_not_before(struct rounds *r, int64_t time);

/*
 * The same of the newest issue of each list (attest/seen.h): an admission is
 * judged beside what earlier ones verified, and what others knew. rounds_seen()
 * returns how often that changed, and fills *ret unless it is what it was at
 * since. Nothing is left of it after a fork.
 */
void rounds_remember(struct rounds *r, const struct seen *s);
uint64_t rounds_seen(struct rounds *r, uint64_t since, struct seen *ret);

/* Called at each change of the verdict (admit, deny, unreachable), outside of
 * locks, by the leader's thread or, when the leader does not come back, by
 * that of a caller who gave up; for the log and for wiping keys. */
enum round_state {
	ROUND_NONE,
	ROUND_ADMIT,
	ROUND_DENY,
	ROUND_UNREACHABLE,
	/* No state, only told: the TPM was restarted under an admitted
	 * machine, so that all earlier permits are over. */
	ROUND_RESTARTED,
	/* The same: the policy accepted collateral that is older than what was
	 * seen before. */
	ROUND_OLDER,
};
void rounds_on_change(struct rounds *r,
    void (*fn)(void *arg, enum round_state state, const struct why *why),
    void *arg);
/* Takes no lock. */
enum round_state rounds_state(struct rounds *r);
/* After a fork, in the child, before anything else: forgets the parent's
 * leader, queue and TEE report; new locks. */
void rounds_after_fork(struct rounds *r);

#endif
