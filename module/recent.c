/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/recent.h"

int
recent_init(struct recent *r)
{
	*r = (struct recent){ 0 };
	return pthread_mutex_init(&r->lock, /* attr= */ NULL) == 0 ?
	    CVM_OK :
	    CVM_E_NOMEM;
}

/* With the lock held. */
static bool
is_newer(const struct recent *r, const struct permit *p,
    const struct admission *a)
{
	return permit_check(&r->opens, p->issuer) != CVM_OK ||
	    r->admission.round->asked_ns < a->round->asked_ns;
}

void
recent_keep(struct recent *r, const struct permit *p, const struct admission *a,
    uint32_t max_age_s)
{
	_cleanup_(admission_clear) struct admission old = { 0 };
	uint64_t until = a->round->asked_ns + (uint64_t)max_age_s * NS_PER_S;

	(void)pthread_mutex_lock(&r->lock);
	if (is_newer(r, p, a)) {
		old = r->admission;
		admission_share(a, &r->admission);
		r->permit = r->opens = *p;
		if (until < r->opens.deadline_ns)
			r->opens.deadline_ns = until;
	}
	(void)pthread_mutex_unlock(&r->lock);
}

bool
recent_take(struct recent *r, const struct permit_issuer *issuer,
    struct permit *ret_permit, struct admission *ret_admission)
{
	bool good;

	(void)pthread_mutex_lock(&r->lock);
	good = permit_check(&r->opens, issuer) == CVM_OK;
	if (good) {
		*ret_permit = r->permit;
		admission_share(&r->admission, ret_admission);
	}
	(void)pthread_mutex_unlock(&r->lock);
	return good;
}

void
recent_forget(struct recent *r)
{
	_cleanup_(admission_clear) struct admission old = { 0 };

	(void)pthread_mutex_lock(&r->lock);
	r->opens = r->permit = (struct permit){ 0 };
	old = r->admission;
	r->admission = (struct admission){ 0 };
	(void)pthread_mutex_unlock(&r->lock);
}

/* What a thread of the parent was changing is left where it is: its evidence
 * is leaked, once for such a fork. */
void
recent_after_fork(struct recent *r)
{
	if (pthread_mutex_trylock(&r->lock) == 0) {
		(void)pthread_mutex_unlock(&r->lock);
		recent_forget(r);
	}
	*r = (struct recent){ 0 };
	(void)pthread_mutex_init(&r->lock, /* attr= */ NULL);
}

void
recent_clear(struct recent *r)
{
	recent_forget(r);
	(void)pthread_mutex_destroy(&r->lock);
}
