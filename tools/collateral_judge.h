/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_COLLATERAL_JUDGE_H
#define TOOLS_COLLATERAL_JUDGE_H

#include "attest/evidence.h"

/*
 * Endorsements that are brought by hand, before they take the place of others.
 * There is no report that says which are needed; what every appraisal would ask
 * of each is asked here: its form, a chain to a pinned root, signatures, dates.
 */
struct collateral_case {
	const struct endorsements *fresh; /* what is brought */
	const struct endorsements *old;	  /* what is in place */
	const struct policy *policy; /* whose roots count; NULL: the vendors' */
	int64_t now;
	bool older; /* may replace newer ones */
};

/*
 * Judges every file of c->fresh, beside those of c->old that stay.
 * CVM_E_DENIED, CVM_E_PARSE or CVM_E_NOT_FOUND, with the file, for one that an
 * appraisal would refuse, or could not judge for want of another; and, unless
 * c->older, CVM_E_DENIED for a CRL, TCB info or QE identity that is older than
 * the one in place.
 */
int collateral_judge(const struct collateral_case *c,
    struct why *reterr_why) _must_check_;

#endif
