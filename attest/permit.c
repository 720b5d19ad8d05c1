/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/permit.h"
#include "base/forkid.h"

void
permit_issue(const struct permit_issuer *issuer, uint64_t epoch,
    uint64_t since_ns, uint32_t max_age_s, bool single_use, struct permit *ret)
{
	*ret = (struct permit){
		.issuer = issuer,
		.epoch = epoch,
		.fork_count = forkid(),
		.deadline_ns = since_ns + (uint64_t)max_age_s * NS_PER_S,
		.single_use = single_use,
	};
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
	if (p->fork_count != forkid() || (p->single_use && p->used))
		return CVM_E_PERMIT;
	return boottime_ns() < p->deadline_ns ? CVM_OK : CVM_E_PERMIT;
}
