/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/permit.h"
#include "base/forkid.h"

void
permit_issue(const struct permit_issuer *issuer, uint64_t epoch,
    uint64_t since_ns, uint32_t max_age_s, struct permit *ret)
{
	*ret = (struct permit){
		.issuer = issuer,
		.epoch = epoch,
		.fork_count = forkid(),
		.deadline_ns = since_ns + (uint64_t)max_age_s * NS_PER_S,
	};
}

void
permit_once(struct permit *p, struct permit_turn *turn)
{
	/* Of all turns of the process: none is ever mistaken for another. */
	static _Atomic uint64_t uses;

	p->turn = turn;
	p->use = atomic_fetch_add(&uses, 1) + 1;
	atomic_store(&turn->now, p->use);
}

void
permit_hold(struct permit *p, struct permit_turn *turn)
{
	permit_once(p, turn);
	p->deadline_ns = UINT64_MAX;
}

void
permit_turn_end(struct permit_turn *turn)
{
	/* Most calls had none, and a plain store is all that they cost. */
	if (atomic_load(&turn->now) != 0)
		atomic_store(&turn->now, 0);
	atomic_store_explicit(&turn->looked_ns, 0, memory_order_release);
}

void
permit_revoke_all(struct permit_issuer *issuer)
{
	(void)atomic_fetch_add(&issuer->epoch, 1);
}

bool
permit_stands(const struct permit *p, const struct permit_issuer *issuer)
{
	if (p == NULL || p->issuer == NULL || p->issuer != issuer)
		return false;
	if (p->epoch != atomic_load(&issuer->epoch))
		return false;
	if (p->fork_count != forkid())
		return false;
	return p->turn == NULL || atomic_load(&p->turn->now) == p->use;
}

static int
at_time(const struct permit *p, uint64_t now_ns)
{
	return now_ns < p->deadline_ns ? CVM_OK : CVM_E_PERMIT;
}

int
permit_check(const struct permit *p, const struct permit_issuer *issuer)
{
	return permit_stands(p, issuer) ? at_time(p, boottime_ns()) :
					  CVM_E_PERMIT;
}

int
permit_look(struct permit *p, const struct permit_issuer *issuer,
    struct permit_turn *call)
{
	uint64_t now;

	if (!permit_stands(p, issuer))
		return CVM_E_PERMIT;
	now = boottime_ns();
	p->call = call;
	p->looked_ns = now;
	atomic_store_explicit(&call->looked_ns, now, memory_order_release);
	return at_time(p, now);
}

int
permit_holds(const struct permit *p, const struct permit_issuer *issuer)
{
	if (!permit_stands(p, issuer))
		return CVM_E_PERMIT;
	if (p->call == NULL || p->looked_ns == 0 ||
	    atomic_load(&p->call->looked_ns) != p->looked_ns)
		return at_time(p, boottime_ns());
	return at_time(p, p->looked_ns);
}
