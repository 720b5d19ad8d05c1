/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "module/agree.h"

static int
ask_again(struct rounds *r, const char *field, const char *expected,
    const char *got, struct why *why)
{
	permit_revoke_all(rounds_issuer(r));
	return why_set(why, CVM_E_PERMIT, "admission", field, expected, got);
}

static int
tell_rounds(struct agreement *g, struct rounds *r, struct token *t,
    const struct round_result *rr, struct why *why)
{
	int64_t mark = token_time_mark(t);
	const struct seen_mark *known;
	struct seen seen;
	uint64_t version = token_seen_version(t);

	rounds_not_before(r, mark);
	if (version != atomic_load(&g->told)) {
		token_seen(t, &seen);
		rounds_remember(r, &seen);
		atomic_store(&g->told, version);
		if (!rr->policy->older_collateral &&
		    seen_older(&rr->seen, &seen, &known) != NULL)
			return ask_again(r, "collateral",
			    "judged beside the newest known", "without", why);
	}
	return rr->judged_time < mark ?
	    ask_again(r, "time", "judged at the newest time known",
		"at an earlier one", why) :
	    CVM_OK;
}

static void
tell_token(struct agreement *g, struct rounds *r, struct token *t,
    const struct permit *p, struct why *why)
{
	int64_t newest = rounds_newest_time(r);
	struct seen seen;
	uint64_t changes = rounds_seen(r, g->kept, &seen);
	int err;

	if (newest <= token_time_mark(t) && changes == g->kept &&
	    !token_owes(t))
		return;
	err = token_note(t, p, newest, changes != g->kept ? &seen : NULL, why);
	if (err == CVM_E_PERMIT || err == CVM_E_SEALED)
		return; /* not taken: the next admission tells it */
	g->kept = changes;
}

int
agree(struct agreement *g, struct rounds *r, struct token *t,
    const struct round_result *rr, const struct permit *p,
    struct why *reterr_unkept, struct why *reterr_why)
{
	reterr_unkept->err = CVM_OK;
	/* In this order: what the token takes here goes back to the rounds. */
	token_learn(t);
	tell_token(g, r, t, p, reterr_unkept);
	return tell_rounds(g, r, t, rr, reterr_why);
}

bool
agreed(struct agreement *g, const struct token *t,
    const struct round_result *rr)
{
	return rr->judged_time >= token_time_mark(t) &&
	    token_seen_version(t) == atomic_load(&g->told);
}

void
agree_after_fork(struct agreement *g)
{
	atomic_store(&g->told, 0);
	g->kept = 0;
}
