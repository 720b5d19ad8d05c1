/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>

#include "attest/launch.h"
#include "attest/upkeep.h"

void
upkeep_want_launch(struct upkeep *u, const struct policy_launch *p,
    struct span measurement, struct span carried)
{
	char hex[2 * SHA384_LEN + 1];

	if (p->roots.n > 0 && carried.len == 0)
		upkeep_want(u, UPKEEP_LAUNCH, LAUNCH_NAME_FORMAT,
		    hex_encode(measurement, hex, sizeof(hex)));
}

/* By the very checks of the appraisal; it lasts as long as its certificate. */
void
upkeep_judge_launch(struct upkeep *u, const struct endorsements *e, int64_t now)
{
	struct upkeep_file *f = &u->file[UPKEEP_LAUNCH];
	const bool tdx = u->tee == TEE_TDX;
	const struct policy *p = u->policy;
	const struct appraisal a = { .policy = p,
		.endorsements = e,
		.now = now };
	struct appraisal_facts facts;
	struct launch_endorsement x;
	struct verdict v;
	const struct launch_case c = { .a = &a,
		.v = &v,
		.facts = &facts,
		.policy = tdx ? &p->tdx.launch : &p->snp.launch,
		.first = tdx ? CHECK_TDX_75 : CHECK_SNP_56,
		.measurement = tdx ? u->run.quote.mrtd : u->snp.measurement,
		.tdx = tdx,
		.snp = tdx ? NULL : &u->snp,
		.svsm = p->tpm.ak_trust == AK_TRUST_SVSM };
	enum check_id id;

	if (!f->wanted || !f->present ||
	    launch_parse(endorsements_find(e, f->name), &x, &f->why) < 0)
		return;
	verdict_init(&v, 0);
	facts_init(&facts);
	if (!launch_appraise(&c)) {
		id = verdict_first_fail(&v, &(enum check_id){ CHECK_COUNT });
		(void)why_set(&f->why, CVM_E_DENIED, f->name,
		    check_table[id].title, v.results[id].expected,
		    v.results[id].got);
	}
	(void)snprintf(f->about, sizeof(f->about), "security version %u",
	    tdx ? x.tdx.svn : x.snp.svn);
	f->issued = (int64_t)x.seconds;
	f->expires = facts.valid_until == INT64_MAX ? 0 : facts.valid_until;
}
