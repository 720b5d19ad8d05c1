/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_BUNDLE_H
#define ATTEST_BUNDLE_H

#include "attest/birth.h"
#include "attest/round.h"

/*
 * The evidence bundle: JSON that carries one round's evidence, the leaves of
 * one admission with its inclusion proof, the policy digest and the
 * endorsements, so that it can be appraised on any machine. Format:
 * attest/PROTOCOL.md. bytes are base64, digests hex, 64-bit numbers strings.
 */
#define BUNDLE_BYTES_MAX (16 * 1024 * 1024)
#define BUNDLE_VALUES_MAX 1024

struct bundle {
	struct evidence evidence;
	struct endorsements *endorsements;
	uint8_t root[SHA256_LEN], tee_root[SHA256_LEN];
	struct blob leaf; /* the admission's */
	size_t index, n_leaves;
	struct blob path; /* inclusion proof */
	uint8_t policy_digest[SHA256_LEN];
	int64_t time;
	bool has_key; /* a statement about a key, which the leaf is over */
	struct birth key;

	/* Not of the JSON, but of a receipt log. */
	bool has_tee_age; /* of a report of an earlier round */
	uint64_t tee_age_s;
	struct chain_cache *cache; /* or NULL; borrowed */
};

/* Of e, which may be NULL, what is about this evidence. CVM_E_UNSUPPORTED:
 * the bundle would be larger than bundle_parse() takes. The caller frees
 * *ret_json. */
int bundle_encode(const struct admission *a, const struct policy *policy,
    const struct endorsements *e, char **ret_json) _must_check_;
/* The same of an admission whose leaf is leaf_key() of key. */
int bundle_encode_key(const struct admission *a, const struct policy *policy,
    const struct endorsements *e, const struct birth *key,
    char **ret_json) _must_check_;
/* True when the file of that name is about this evidence: of its vendor, and
 * of its chip. */
bool endorsement_is_about(const struct evidence *e, const char *name);
int bundle_parse(struct span json, const char *name, struct bundle **ret,
    struct why *reterr_why) _must_check_;
void bundle_freep(struct bundle **b);

/*
 * Appraises a bundle against a policy at a time: proof, root, REPORT_DATA and
 * qualifyingData are recomputed from the leaf. leaf_expected (may be empty)
 * is the leaf that the verifier's nonce yields.
 */
int bundle_appraise(const struct bundle *b, const struct policy *policy,
    const struct endorsements *extra, struct span leaf_expected, int64_t now,
    bool allow_simulated, struct verdict *v,
    struct why *reterr_why) _must_check_;

#endif
