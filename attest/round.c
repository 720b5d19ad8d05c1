/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/chain_cache.h"
#include "attest/collect.h"
#include "attest/quote.h"
#include "attest/round.h"

#define LINGER_MAX_NS (20 * NS_PER_MS)

/* A round that is forming or under way; freed by the last who looks at it. */
struct batch {
	struct blob *leaves;
	size_t n, cap;
	bool fresh; /* somebody asks for a TEE report of this very round */
	bool done;
	bool unrecorded; /* the witness refused: no fault of the evidence */
	unsigned refs;
	int result;
	struct why why;
	struct round_result *rr; /* when evidence was appraised */
};

struct rounds {
	const struct config *cfg;
	struct permit_issuer issuer;
	pthread_mutex_t lock; /* guards what follows up to the blank line */
	pthread_cond_t cond;  /* the end of a round */
	pthread_cond_t cond_leader; /* everybody is back */
	struct batch *forming;	    /* takes leaves; NULL: none */
	bool leading;		    /* a leader is at work... */
	uint64_t overdue_ns; /* ... CLOCK_MONOTONIC: and hangs since then */
	/* Who may come back for the next round, and until when (monotonic). */
	size_t crowd;
	uint64_t linger_ns;
	_Atomic enum round_state state; /* read without it, too */
	struct seen seen;		/* newest verified collateral */
	_Atomic uint64_t seen_changes;	/* read without it, too */
	int last_err;
	struct why last_why;	  /* of last_err */
	uint64_t last_failure_ns; /* 0: the last attempt admitted */

	/* The leader's own, by virtue of leading. */
	const struct policy *policy;
	int (*follow)(void *, const struct policy **, struct why *);
	void *follow_arg;
	struct collector collector;
	struct vtpm *_Atomic vtpm; /* read by everybody */
	struct endorsements *endorsements;
	uint64_t n_loaded; /* sets of endorsements so far */
	struct round_witness witness;
	struct chain_cache *cache;
	struct tpm_clock last_clock;
	struct snp_guest last_guest;
	bool has_clock, has_guest;
	bool told_older; /* than seen, and accepted */
	uint64_t rounds;
	_Atomic int64_t newest_time; /* everybody's */
	void (*on_change)(void *, enum round_state, const struct why *);
	void *on_change_arg;
};

static void
batch_unref(struct batch *b)
{
	if (--b->refs > 0)
		return;
	for (size_t i = 0; i < b->n; i++)
		blob_clear(&b->leaves[i]);
	free(b->leaves);
	round_result_unrefp(&b->rr);
	free(b);
}

void
round_result_unrefp(struct round_result **rr)
{
	struct round_result *p;

	if (rr == NULL || (p = *rr) == NULL)
		return;
	*rr = NULL;
	if (atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	evidence_clear(&p->evidence);
	for (size_t i = 0; i < p->n_leaves; i++)
		blob_clear(&p->leaves[i]);
	free(p->leaves);
	free(p);
}

void
admission_clear(struct admission *a)
{
	round_result_unrefp(&a->round);
	a->index = 0;
}

void
admission_share(const struct admission *a, struct admission *ret)
{
	(void)atomic_fetch_add(&a->round->refs, 1);
	*ret = *a;
}

/*
 * Waits are measured on CLOCK_MONOTONIC: the host sets the wall clock.
 */
static int
init_locks(struct rounds *r)
{
	pthread_condattr_t attr;
	int err;

	if (pthread_mutex_init(&r->lock, NULL) != 0 ||
	    pthread_condattr_init(&attr) != 0)
		return CVM_E_NOMEM;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(&r->cond, &attr);
	if (err == 0)
		err = pthread_cond_init(&r->cond_leader, &attr);
	(void)pthread_condattr_destroy(&attr);
	return err == 0 ? CVM_OK : CVM_E_NOMEM;
}

/* The report in hand names the policy that it was asked for under, so that the
 * collector asks for another one. */
static int
adopt_policy(struct rounds *r, const struct policy *policy)
{
	struct vtpm *vtpm = atomic_load(&r->vtpm);

	if (policy->has_tpm && vtpm == NULL) {
		if ((vtpm = vtpm_new(&r->cfg->tpm)) == NULL)
			return CVM_E_NOMEM;
		atomic_store(&r->vtpm, vtpm);
	}
	r->collector.policy = policy;
	r->collector.vtpm = policy->has_tpm ? vtpm : NULL;
	r->policy = policy;
	return CVM_OK;
}

int
rounds_new(const struct config *cfg, const struct policy *policy,
    struct rounds **ret)
{
	_cleanup_(rounds_freep) struct rounds *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return CVM_E_NOMEM;
	r->cfg = cfg;
	r->policy = policy;
	if ((err = init_locks(r)) != CVM_OK)
		return err;
	if ((r->cache = chain_cache_new()) == NULL)
		return CVM_E_NOMEM;
	r->collector.cfg = cfg;
	if ((err = adopt_policy(r, policy)) != CVM_OK)
		return err;
	*ret = TAKE_PTR(r);
	return CVM_OK;
}

void
rounds_freep(struct rounds **rp)
{
	struct rounds *r;
	struct vtpm *vtpm;

	if (rp == NULL || (r = *rp) == NULL)
		return;
	vtpm = atomic_exchange(&r->vtpm, NULL);
	collector_forget(&r->collector);
	if (r->forming != NULL) { /* a caller that ran out of memory */
		r->forming->refs++;
		batch_unref(r->forming);
	}
	(void)pthread_cond_destroy(&r->cond);
	(void)pthread_cond_destroy(&r->cond_leader);
	(void)pthread_mutex_destroy(&r->lock);
	vtpm_freep(&vtpm);
	endorsements_freep(&r->endorsements);
	chain_cache_freep(&r->cache);
	free(r);
	*rp = NULL;
}

struct vtpm *
rounds_vtpm(struct rounds *r)
{
	return atomic_load(&r->vtpm);
}

struct permit_issuer *
rounds_issuer(struct rounds *r)
{
	return &r->issuer;
}

int64_t
rounds_newest_time(struct rounds *r)
{
	return atomic_load(&r->newest_time);
}

void
rounds_not_before(struct rounds *r, int64_t time)
{
	int64_t seen = atomic_load(&r->newest_time);

	while (seen < time &&
	    !atomic_compare_exchange_weak(&r->newest_time, &seen, time))
		;
}

void
rounds_remember(struct rounds *r, const struct seen *s)
{
	(void)pthread_mutex_lock(&r->lock);
	if (seen_merge(&r->seen, s))
		(void)atomic_fetch_add(&r->seen_changes, 1);
	(void)pthread_mutex_unlock(&r->lock);
}

uint64_t
rounds_seen(struct rounds *r, uint64_t since, struct seen *ret)
{
	uint64_t changes = atomic_load(&r->seen_changes);

	if (changes == since)
		return changes;
	(void)pthread_mutex_lock(&r->lock);
	*ret = r->seen;
	changes = atomic_load(&r->seen_changes);
	(void)pthread_mutex_unlock(&r->lock);
	return changes;
}

void
rounds_on_change(struct rounds *r,
    void (*fn)(void *arg, enum round_state state, const struct why *why),
    void *arg)
{
	r->on_change = fn;
	r->on_change_arg = arg;
}

void
rounds_set_witness(struct rounds *r, const struct round_witness *w)
{
	r->witness = *w;
}

void
rounds_follow(struct rounds *r,
    int (*fn)(void *arg, const struct policy **ret, struct why *reterr_why),
    void *arg)
{
	r->follow = fn;
	r->follow_arg = arg;
}

enum round_state
rounds_state(struct rounds *r)
{
	return atomic_load(&r->state);
}

/*
 * The parent's leader does not exist here, and what it was doing is the
 * parent's: a batch, and whatever a leader may have been writing when the fork
 * happened, are abandoned (leaked, once for each fork in the middle of a
 * round). Evidence is not inherited; endorsements are, since they are judged
 * anew each time.
 */
void
rounds_after_fork(struct rounds *r)
{
	(void)init_locks(r);
	r->forming = NULL;
	if (r->leading) {
		collector_abandon(&r->collector);
		r->endorsements = NULL;
		r->cache = chain_cache_new();
	} else {
		collector_forget(&r->collector);
	}
	r->leading = false;
	r->crowd = 0;
	r->state = ROUND_NONE;
	r->last_failure_ns = 0;
	r->has_clock = false;
	/* Whoever was writing it is not here; the token tells it again. */
	r->seen.n = 0;
	r->seen_changes = 0;
	permit_revoke_all(&r->issuer);
	if (r->witness.after_fork != NULL)
		r->witness.after_fork(r->witness.arg);
}

/* The leader's work: everything from here to lead() runs without the lock. */

static int
refresh_endorsements(struct rounds *r, struct why *why)
{
	struct endorsements *e = NULL;
	int err;

	if (r->endorsements != NULL && !endorsements_stale(r->endorsements))
		return CVM_OK;
	if ((err = endorsements_load(r->cfg->evidence.collateral, &e, why)) !=
	    CVM_OK)
		return err;
	endorsements_freep(&r->endorsements);
	r->endorsements = e;
	r->n_loaded++;
	return CVM_OK;
}

/* Computed anew from what the verdict will rest on, not from what was asked. */
static int
expect_nonces(const struct round_result *rr, struct appraisal *a)
{
	const struct evidence *e = &rr->evidence;
	uint8_t name[TPM_NAME_MAX];
	size_t name_len = 0;
	int err;

	if (e->ak_public.len > 0 &&
	    (err = tpm_name(blob_span(&e->ak_public), name, &name_len)) !=
		CVM_OK)
		return err;
	if ((err = derive_report_data(rr->tee_root, span(name, name_len),
		 rr->policy->digest, a->report_data)) != CVM_OK)
		return err;
	return derive_qualifying(rr->root, blob_span(&e->tee_report),
	    a->qualifying);
}

/*
 * A TPM that was restarted or reset since the last round means that the
 * machine was suspended, or resumed from a snapshot, or worse, while permits
 * were out. This round's evidence is newer than that, and admits; what was
 * admitted before has to ask again. A denial at the same time ends this
 * round's permits with the others.
 */
static void
note_restart(struct rounds *r, struct round_result *rr,
    const struct tpm_clock *now)
{
	const struct tpm_clock *last = &r->last_clock;
	uint64_t epoch = rr->epoch;
	struct why why = { 0 };
	char before[64];

	if (!r->has_clock ||
	    (now->reset_count == last->reset_count &&
		now->restart_count == last->restart_count))
		return;
	if (atomic_compare_exchange_strong(&r->issuer.epoch, &epoch, epoch + 1))
		rr->epoch = epoch + 1;
	(void)snprintf(before, sizeof(before), "reset %u restart %u",
	    last->reset_count, last->restart_count);
	(void)why_setf(&why, CVM_E_DENIED, "TPM", "clockInfo", before,
	    "reset %u restart %u: the TPM was restarted", now->reset_count,
	    now->restart_count);
	if (r->on_change != NULL)
		r->on_change(r->on_change_arg, ROUND_RESTARTED, &why);
}

/* Told once, until it is over. */
static void
note_older(struct rounds *r, const struct round_result *rr, bool older)
{
	struct why why = { 0 };

	if (older && !r->told_older && r->on_change != NULL) {
		(void)why_set(&why, CVM_E_DENIED,
		    check_table[CHECK_COL_01].name, "", "",
		    rr->verdict.results[CHECK_COL_01].got);
		r->on_change(r->on_change_arg, ROUND_OLDER, &why);
	}
	r->told_older = older;
}

static int
judge(struct rounds *r, struct round_result *rr, struct why *why)
{
	struct seen seen = { 0 };
	struct appraisal a = {
		.policy = rr->policy,
		.evidence = &rr->evidence,
		.endorsements = r->endorsements,
		.now = rr->judged_time,
		.allow_simulated = r->cfg->simulated,
		.last_clock = r->has_clock ? &r->last_clock : NULL,
		.last_guest = r->has_guest ? &r->last_guest : NULL,
		.seen = &seen,
		.cache = r->cache,
	};
	struct appraisal_facts facts;
	int err;

	if (rr->asked_ns > r->collector.report_ns)
		rr->tee_age_s = (rr->asked_ns - r->collector.report_ns) /
		    NS_PER_S;
	a.tee_age_s = rr->tee_age_s;
	memcpy(rr->tee_root, r->collector.report_root, SHA256_LEN);
	if ((err = expect_nonces(rr, &a)) != CVM_OK)
		return why_set(why, err, "nonces of the round", "", "", "");
	(void)rounds_seen(r, 0, &seen);
	appraise(&a, &rr->verdict, &facts);
	if (!rr->verdict.admit) {
		/* Told once: where a clone or a rollback went back to is where
		 * the next admission starts from, with a new TEE report; which
		 * guest was there before the clock cannot tell any more. */
		if (rr->verdict.results[CHECK_TPM_16].status == CHECK_FAIL)
			r->has_clock = r->has_guest = false;
		return verdict_why(&rr->verdict, why);
	}
	note_restart(r, rr, &facts.clock);
	note_older(r, rr, facts.older);
	rounds_not_before(r, facts.newest_time);
	rr->seen = facts.seen;
	rounds_remember(r, &facts.seen);
	r->last_clock = facts.clock;
	r->has_clock = rr->policy->has_tpm;
	r->last_guest = facts.guest;
	r->has_guest = rr->policy->tee == TEE_SNP;
	return CVM_OK;
}

/* Takes the leaves of the batch, and the witness's own at their end. */
static int
take_leaves(struct rounds *r, struct batch *b, struct round_result *rr)
{
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	struct blob *grown;
	int err;

	rr->leaves = TAKE_PTR(b->leaves);
	rr->n_leaves = b->n;
	b->n = 0;
	if (r->witness.before == NULL)
		return CVM_OK;
	err = r->witness.before(r->witness.arg, &leaf, &b->why);
	b->unrecorded = err != CVM_OK;
	if (err != CVM_OK || leaf.len == 0)
		return err;
	grown = reallocarray(rr->leaves, rr->n_leaves + 1, sizeof(*grown));
	if (grown == NULL)
		return CVM_E_NOMEM;
	rr->leaves = grown;
	grown[rr->n_leaves++] = leaf;
	leaf = (struct blob){ 0 };
	return CVM_OK;
}

static int
collect_and_judge(struct rounds *r, struct batch *b, struct round_result *rr,
    bool *ret_judged)
{
	int err;

	if ((err = refresh_endorsements(r, &b->why)) != CVM_OK ||
	    (err = collect(&r->collector, rr->root, b->fresh, &rr->evidence,
		 &b->why)) != CVM_OK)
		return err;
	rr->time = (int64_t)time(NULL);
	rr->judged_time = rounds_newest_time(r);
	if (rr->judged_time < rr->time)
		rr->judged_time = rr->time;
	*ret_judged = true;
	return judge(r, rr, &b->why);
}

/* What is not recorded is not admitted; a refusal keeps its own reason. */
static int
record(struct rounds *r, struct batch *b, const struct round_result *rr,
    int err)
{
	struct why why = { 0 };
	int unwritten;

	if (r->witness.after == NULL)
		return err;
	unwritten = r->witness.after(r->witness.arg, rr, err, &b->why,
	    r->endorsements, r->n_loaded, &why);
	if (err != CVM_OK || unwritten == CVM_OK)
		return err;
	b->unrecorded = true;
	b->why = why;
	return unwritten;
}

static int
follow_policy(struct rounds *r, struct why *why)
{
	const struct policy *policy = r->policy;
	int err;

	if (r->follow == NULL)
		return CVM_OK;
	err = r->follow(r->follow_arg, &policy, why);
	if (err != CVM_OK || policy == r->policy)
		return err;
	err = adopt_policy(r, policy);
	return err == CVM_OK ? CVM_OK :
			       why_set(why, err, "round", "policy", "", "");
}

static int
run_round(struct rounds *r, struct batch *b)
{
	_cleanup_(round_result_unrefp) struct round_result *rr = NULL;
	bool judged = false;
	int err;

	if ((rr = calloc(1, sizeof(*rr))) == NULL)
		return why_set(&b->why, CVM_E_NOMEM, "round", "", "", "");
	rr->refs = 1;
	err = follow_policy(r, &b->why);
	rr->policy = r->policy;
	if (err != CVM_OK)
		return err;
	rr->id = ++r->rounds;
	rr->epoch = atomic_load(&r->issuer.epoch);
	rr->time = (int64_t)time(NULL);
	if ((err = take_leaves(r, b, rr)) != CVM_OK)
		return err;
	rr->asked_ns = boottime_ns();
	if ((err = merkle_root(rr->leaves, rr->n_leaves, rr->root)) != CVM_OK)
		return why_set(&b->why, err, "round", "leaves", "", "");
	err = collect_and_judge(r, b, rr, &judged);
	err = record(r, b, rr, err);
	if (judged)
		b->rr = TAKE_PTR(rr);
	return err;
}

static enum round_state
state_of(int err)
{
	return err == CVM_OK	? ROUND_ADMIT :
	    err == CVM_E_DENIED ? ROUND_DENY :
				  ROUND_UNREACHABLE;
}

/* As long as a collection takes that ends by itself: one report, and twice the
 * TPM, for its key and for a quote. */
static uint32_t
patience_ms(const struct rounds *r)
{
	return r->cfg->evidence.timeout_ms + 2 * r->cfg->tpm.timeout_ms;
}

/* A failure that is younger than retry_ms answers for the next ones. */
static bool
still_failed(const struct rounds *r)
{
	return r->last_failure_ns != 0 &&
	    boottime_ns() - r->last_failure_ns <
	    (uint64_t)r->cfg->evidence.retry_ms * NS_PER_MS;
}

/* The last place of a tree is the witness's. */
static bool
batch_full(const struct rounds *r, const struct batch *b)
{
	return b->n == MERKLE_LEAVES_MAX - (r->witness.before != NULL);
}

/*
 * Those whom the last round let go are mostly back soon: a leader that does
 * not wait for them splits its callers into two halves, whose rounds take
 * turns. It waits no longer than the last round took, which is
 * over when nobody called for so long, and not at all for a caller that was
 * alone.
 */
static void
linger(struct rounds *r, const struct batch *b)
{
	const struct timespec until = {
		.tv_sec = (time_t)(r->linger_ns / NS_PER_S),
		.tv_nsec = (long)(r->linger_ns % NS_PER_S),
	};

	while (b->n < r->crowd && !batch_full(r, b) &&
	    monotonic_ns() < r->linger_ns)
		(void)pthread_cond_timedwait(&r->cond_leader, &r->lock, &until);
}

/* Called with the lock held by the end of a round. */
static void
note_crowd(struct rounds *r, size_t n, uint64_t began_ns)
{
	uint64_t now = monotonic_ns(), took = now - began_ns;

	r->crowd = n + (r->forming != NULL ? r->forming->n : 0);
	r->linger_ns = now + (took < LINGER_MAX_NS ? took : LINGER_MAX_NS);
}

/* Called with the lock held by the caller that takes the lead; returns with
 * it held. */
static void
lead(struct rounds *r, struct batch *b)
{
	enum round_state state;
	uint64_t began_ns;
	bool changed;
	size_t n;

	/* Who queued up while an attempt failed waits for no second one. */
	if (!b->fresh && still_failed(r)) {
		r->forming = NULL;
		b->result = r->last_err;
		b->why = r->last_why;
		b->done = true;
		(void)pthread_cond_broadcast(&r->cond);
		return;
	}
	r->leading = true;
	r->overdue_ns = monotonic_ns() + (uint64_t)patience_ms(r) * NS_PER_MS;
	linger(r, b);
	r->forming = NULL;
	n = b->n;
	(void)pthread_mutex_unlock(&r->lock);
	began_ns = monotonic_ns();

	b->result = run_round(r, b);
	/* Whoever was refused is told why, also by those who had no words. */
	if (b->result != CVM_OK && b->why.err != b->result)
		(void)why_set(&b->why, b->result, "round", "", "", "");
	state = state_of(b->result);
	/* A challenge that found no newer report takes nothing from others:
	 * the one in hand is as good as it was. */
	if (state == ROUND_DENY ||
	    (state == ROUND_UNREACHABLE && !b->fresh && !b->unrecorded))
		collector_forget(&r->collector);
	if (state == ROUND_DENY)
		permit_revoke_all(&r->issuer);

	(void)pthread_mutex_lock(&r->lock);
	changed = state != r->state ||
	    (state == ROUND_DENY &&
		strcmp(r->last_why.where, b->why.where) != 0);
	r->state = state;
	r->last_err = b->result;
	r->last_why = b->why;
	r->last_failure_ns = state == ROUND_ADMIT ? 0 : boottime_ns();
	if (changed && r->on_change != NULL) {
		(void)pthread_mutex_unlock(&r->lock);
		r->on_change(r->on_change_arg, state, &b->why);
		(void)pthread_mutex_lock(&r->lock);
	}
	note_crowd(r, state == ROUND_ADMIT ? n : 0, began_ns);
	r->leading = false;
	b->done = true;
	(void)pthread_cond_broadcast(&r->cond);
}

/* Adds a leaf to the forming batch and a reference for its caller. */
static int
batch_add(struct rounds *r, struct span leaf, bool fresh, size_t *ret_index)
{
	struct batch *b;
	struct blob *grown;
	size_t cap;
	int err;

	if (r->forming == NULL &&
	    (r->forming = calloc(1, sizeof(*r->forming))) == NULL)
		return CVM_E_NOMEM;
	b = r->forming;
	if (b->n == b->cap) {
		cap = b->cap == 0 ? 8 : b->cap * 2;
		grown = reallocarray(b->leaves, cap, sizeof(*grown));
		if (grown == NULL)
			return CVM_E_NOMEM;
		memset(grown + b->cap, 0, (cap - b->cap) * sizeof(*grown));
		b->leaves = grown;
		b->cap = cap;
	}
	if ((err = blob_set(&b->leaves[b->n], leaf)) != CVM_OK)
		return err;
	*ret_index = b->n++;
	if (b->n >= r->crowd)
		(void)pthread_cond_signal(&r->cond_leader);
	b->fresh |= fresh;
	b->refs++;
	return CVM_OK;
}

/* Waits for the leader that there is; false when it hangs. */
static bool
wait_for_leader(struct rounds *r)
{
	const struct timespec until = {
		.tv_sec = (time_t)(r->overdue_ns / NS_PER_S),
		.tv_nsec = (long)(r->overdue_ns % NS_PER_S),
	};

	(void)pthread_cond_timedwait(&r->cond, &r->lock, &until);
	return !r->leading || monotonic_ns() < r->overdue_ns;
}

/* By a caller that gives up; the log is told once. */
static int
refuse_overdue(struct rounds *r, struct why *why)
{
	bool news = r->state != ROUND_UNREACHABLE;
	struct why here = { 0 };
	char allowed[32];

	(void)snprintf(allowed, sizeof(allowed), "its end in %u ms",
	    patience_ms(r));
	(void)why_set(&here, CVM_E_UNREACHABLE, "round", "collection", allowed,
	    "none: the kernel keeps a read of evidence");
	why_hint(&here, "does the host answer requests for reports?");
	r->state = ROUND_UNREACHABLE;
	if (news && r->on_change != NULL) {
		(void)pthread_mutex_unlock(&r->lock);
		r->on_change(r->on_change_arg, ROUND_UNREACHABLE, &here);
		(void)pthread_mutex_lock(&r->lock);
	}
	if (why != NULL)
		*why = here;
	return CVM_E_UNREACHABLE;
}

/* Its leaf stays where it is, unless nobody is left to lead the batch. */
static void
batch_leave(struct rounds *r, struct batch *b)
{
	if (b->refs == 1 && r->forming == b)
		r->forming = NULL;
	batch_unref(b);
}

/* A place in the forming batch. A full tree is left to its leader; the next
 * one forms after it. */
static int
take_place(struct rounds *r, struct span leaf, bool fresh, size_t *ret_index,
    struct why *why)
{
	int err;

	if (r->leading && monotonic_ns() >= r->overdue_ns)
		return refuse_overdue(r, why);
	while (r->forming != NULL && batch_full(r, r->forming)) {
		if (!r->leading)
			(void)pthread_cond_wait(&r->cond, &r->lock);
		else if (!wait_for_leader(r))
			return refuse_overdue(r, why);
	}
	err = batch_add(r, leaf, fresh, ret_index);
	return err == CVM_OK ? CVM_OK :
			       why_set(why, err, "round", "leaf", "", "");
}

static int
join_locked(struct rounds *r, struct span leaf, bool fresh,
    struct admission *ret, struct why *why)
{
	struct batch *b;
	size_t index = 0;
	int err;

	if (!fresh && still_failed(r)) {
		if (why != NULL)
			*why = r->last_why;
		return r->last_err;
	}
	if ((err = take_place(r, leaf, fresh, &index, why)) != CVM_OK)
		return err;
	b = r->forming;
	while (!b->done) {
		if (!r->leading && r->forming == b) {
			lead(r, b);
		} else if (!wait_for_leader(r) && !b->done) {
			batch_leave(r, b);
			return refuse_overdue(r, why);
		}
	}
	err = b->result;
	if (why != NULL && err != CVM_OK)
		*why = b->why;
	if (b->rr != NULL) {
		admission_share(&(struct admission){ .round = b->rr,
				    .index = index },
		    ret);
	}
	batch_unref(b);
	return err;
}

int
rounds_join(struct rounds *r, struct span leaf, bool fresh,
    struct admission *ret, struct why *reterr_why)
{
	int cancel, err;

	*ret = (struct admission){ 0 };
	if (leaf.len == 0 || leaf.len > LEAF_MAX)
		return why_setf(reterr_why, CVM_E_INVAL, "round", "leaf",
		    "1..4096 bytes", "%zu", leaf.len);
	/* A leader that is cancelled would strand the others. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	(void)pthread_mutex_lock(&r->lock);
	err = join_locked(r, leaf, fresh, ret, reterr_why);
	(void)pthread_mutex_unlock(&r->lock);
	(void)pthread_setcancelstate(cancel, NULL);
	return err;
}
