/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_PERMIT_H
#define ATTEST_PERMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

/*
 * What an admission yields, and the only thing that the token accepts for
 * touching a private or secret key. It is bound to its issuer (one for each
 * token in use), to the issuer's epoch (bumped by every denial, so that all
 * earlier permits are over at once), to the fork generation and to a deadline
 * on CLOCK_BOOTTIME, which counts suspended time.
 */
struct permit_issuer {
	_Atomic uint64_t epoch;
};

/*
 * The one use that a single-use permit is for: a call of the application.
 * Where it ends all copies of the permit are over, whoever kept them. It
 * outlives its permits; a session has one, since its calls do not overlap.
 */
struct permit_turn {
	_Atomic uint64_t now; /* 0: no use is under way */
	/* When permit_look() found a permit good in the call that is under
	 * way; 0: in none. */
	_Atomic uint64_t looked_ns;
};

struct permit {
	const struct permit_issuer *issuer; /* NULL: never issued */
	uint64_t epoch;
	uint64_t fork_count;
	uint64_t deadline_ns;		/* CLOCK_BOOTTIME */
	const struct permit_turn *turn; /* NULL: for many uses */
	uint64_t use;			/* the turn's, when it was issued */
	/* The last permit_look(), which copies share. */
	const struct permit_turn *call;
	uint64_t looked_ns;
};

/* A permit of the given epoch (the issuer's when the round began, so that a
 * denial in between ends it), valid for max_age_s from since_ns (when the
 * round's evidence was asked for). */
void permit_issue(const struct permit_issuer *issuer, uint64_t epoch,
    uint64_t since_ns, uint32_t max_age_s, struct permit *ret);
/* Makes p a permit for one use, which begins now and ends with
 * permit_turn_end() or with the turn's next beginning. */
void permit_once(struct permit *p, struct permit_turn *turn);
/* The same, and without deadline: for the making of a key, which may take
 * longer than an admission lasts. A denial ends it all the same. */
void permit_hold(struct permit *p, struct permit_turn *turn);
void permit_turn_end(struct permit_turn *turn);
/* As permit_check(), and remembers the time: until permit_turn_end(), p and
 * its copies need not ask the clock again for permit_holds(). */
int permit_look(struct permit *p, const struct permit_issuer *issuer,
    struct permit_turn *call) _must_check_;
/*
 * All of permit_check() but the deadline, which costs a look at the clock. No
 * leave to use a key: for what is worth nothing before the use that asks for
 * the rest.
 */
bool permit_stands(const struct permit *p, const struct permit_issuer *issuer);
/* Ends every permit of this issuer. */
void permit_revoke_all(struct permit_issuer *issuer);
/* 0, or CVM_E_PERMIT: NULL, another issuer's, over, used, or forked away. It
 * reads one clock and a few words, and takes no lock. */
int permit_check(const struct permit *p,
    const struct permit_issuer *issuer) _must_check_;
/*
 * The same at the time at which permit_look() read the clock, if that was in
 * the very call that is under way: a denial since then counts, as ever. For
 * who has waited for nothing since; who has asks permit_check(). The clock
 * costs more than all else in a call for a short message. A coarser one would
 * not do: its ticks are interrupts, which the host may withhold.
 */
int permit_holds(const struct permit *p,
    const struct permit_issuer *issuer) _must_check_;

#endif
