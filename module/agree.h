/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_AGREE_H
#define MODULE_AGREE_H

#include "attest/round.h"
#include "token/token.h"

/*
 * What verified collateral taught, told by the token to the rounds and back:
 * the newest time, and the newest issue of each list (attest/seen.h). The token
 * keeps both in its store, so that a host that sets the clock back, or brings
 * older collateral, does not find a process that knows no better.
 */
struct agreement {
	_Atomic uint64_t told; /* of token_seen_version(), to the rounds */
	uint64_t kept;	       /* of rounds_seen(), by the token */
};

/*
 * Of an admission, with the token open; one thread at a time. CVM_E_PERMIT: the
 * token knows a later time than this admission was judged at, or newer
 * collateral than it was judged by, as the first one of a process can be: all
 * admissions are over, and whoever was admitted asks again. *reterr_unkept says
 * (err not 0) why the store could not be written, which is tried again later.
 */
int agree(struct agreement *g, struct rounds *r, struct token *t,
    const struct round_result *rr, const struct permit *p,
    struct why *reterr_unkept, struct why *reterr_why) _must_check_;
/* Whether the rounds were told all that the token knows, and this admission
 * was judged at the latest time. */
bool agreed(struct agreement *g, const struct token *t,
    const struct round_result *rr);
/* In the child: the rounds forgot. */
void agree_after_fork(struct agreement *g);

#endif
