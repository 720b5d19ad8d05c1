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
	atomic_store(&turn->now, 0);
}

void
permit_revoke_all(struct permit_issuer *issuer)
{
	(void)atomic_fetch_add(&issuer->epoch, 1);
}

int
permit_check(const struct permit *p, const struct permit_issuer *issuer)
{
	if (p == NULL || p->issuer == NULL || p->issuer != issuer)
		return CVM_E_PERMIT;
	if (p->epoch != atomic_load(&issuer->epoch))
		return CVM_E_PERMIT;
	if (p->fork_count != forkid())
		return CVM_E_PERMIT;
	if (p->turn != NULL && atomic_load(&p->turn->now) != p->use)
		return CVM_E_PERMIT;
	return boottime_ns() < p->deadline_ns ? CVM_OK : CVM_E_PERMIT;
}
