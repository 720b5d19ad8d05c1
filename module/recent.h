/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_RECENT_H
#define MODULE_RECENT_H

#include <pthread.h>

#include "attest/round.h"

/*
 * The newest admission that a session of a slot got, for C_OpenSession to take
 * over where the policy's session_open_max_age_s allows that. Whoever takes it
 * has a permit of the same issuer, epoch and process that ends at the same
 * time: nothing here makes one, or makes one last longer. Belongs to a gate.
 */
struct recent {
	pthread_mutex_t lock;	    /* held for a few loads only */
	struct permit opens;	    /* as long as it may be taken over */
	struct permit permit;	    /* what is taken over */
	struct admission admission; /* its evidence */
};

int recent_init(struct recent *r) _must_check_;
/* p and a are those of an admission for many uses that nobody has looked at
 * yet; it may be taken over until it is max_age_s old, and no longer than it
 * lasts. An older one than what is kept is not kept. */
void recent_keep(struct recent *r, const struct permit *p,
    const struct admission *a, uint32_t max_age_s);
/* False, and nothing written, unless one is kept that is good for an open of
 * this issuer here and now. The caller clears ret_admission. */
bool recent_take(struct recent *r, const struct permit_issuer *issuer,
    struct permit *ret_permit, struct admission *ret_admission);
void recent_forget(struct recent *r);
/* In the child: a new lock, and nothing kept. */
void recent_after_fork(struct recent *r);
/* Forgets and ends. */
void recent_clear(struct recent *r);

#endif
