/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/bundle.h"
#include "attest/quote.h"

/* The endorsements of the bundle, then the verifier's own, which win. */
static int
merge(const struct bundle *b, const struct endorsements *extra,
    struct endorsements **ret)
{
	const struct endorsements *const sets[] = { extra, b->endorsements };
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	const char *name;
	int r;

	if ((e = endorsements_new()) == NULL)
		return CVM_E_NOMEM;
	for (size_t s = 0; s < NELEMS(sets); s++) {
		if (sets[s] == NULL)
			continue;
		for (size_t i = 0;
		     (name = endorsements_name(sets[s], i)) != NULL; i++) {
			struct span data = endorsements_find(sets[s], name);

			/* An empty file is none. */
			if (data.len == 0 || endorsements_find(e, name).len > 0)
				continue;
			if ((r = endorsements_add(e, name, data)) != CVM_OK)
				return r;
		}
	}
	*ret = TAKE_PTR(e);
	return CVM_OK;
}

static int
derive_expected(const struct bundle *b, struct appraisal *a, struct why *why)
{
	uint8_t name[TPM_NAME_MAX];
	size_t name_len = 0;
	int r;

	if (b->evidence.ak_public.len > 0 &&
	    (r = tpm_name(blob_span(&b->evidence.ak_public), name,
		 &name_len)) != CVM_OK)
		return why_set(why, r, "bundle", "evidence.ak_public",
		    "a TPMT_PUBLIC", "other bytes");
	if ((r = derive_report_data(b->tee_root, span(name, name_len),
		 b->policy_digest, a->report_data)) != CVM_OK ||
	    (r = derive_qualifying(b->root, blob_span(&b->evidence.tee_report),
		 a->qualifying)) != CVM_OK)
		return why_set(why, r, "bundle", "nonces", "", "");
	return CVM_OK;
}

/* What is said of a key is what the leaf is over, or it is nobody's word. */
static int
check_key(const struct bundle *b, struct why *why)
{
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	struct leaf l;
	int r;

	if (!b->has_key)
		return CVM_OK;
	leaf_read(blob_span(&b->leaf), &l);
	if (l.kind != LEAF_KEY)
		return why_set(why, CVM_E_DENIED, "bundle", "key",
		    "none, as the leaf is not about a key",
		    "a statement about a key");
	r = leaf_key(&b->key, l.field[1], &leaf);
	if (r == CVM_E_NOMEM)
		return r;
	if (r != CVM_OK || !span_equal(blob_span(&leaf), blob_span(&b->leaf)))
		return why_set(why, CVM_E_DENIED, "bundle", "key",
		    "the statement that the leaf is over", "another one");
	return CVM_OK;
}

int
bundle_appraise(const struct bundle *b, const struct policy *policy,
    const struct endorsements *extra, struct span leaf_expected, int64_t now,
    bool allow_simulated, struct verdict *v, struct why *reterr_why)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	struct appraisal a = {
		.policy = policy,
		.evidence = &b->evidence,
		.now = now,
		.allow_simulated = allow_simulated,
		.elsewhere = true,
	};
	int r;

	if (leaf_expected.len > 0 &&
	    !span_equal(leaf_expected, blob_span(&b->leaf)))
		return why_set(reterr_why, CVM_E_DENIED, "bundle",
		    "admission.leaf", "the leaf of the verifier's nonce",
		    "another leaf");
	if ((r = merkle_verify(blob_span(&b->leaf), b->index, b->n_leaves,
		 blob_span(&b->path), b->root)) != CVM_OK)
		return why_set(reterr_why, r, "bundle", "admission.path",
		    "an inclusion proof of the leaf in the root",
		    "one that does not fit");
	if ((r = check_key(b, reterr_why)) != CVM_OK ||
	    (r = derive_expected(b, &a, reterr_why)) != CVM_OK)
		return r;
	if ((r = merge(b, extra, &e)) != CVM_OK)
		return why_set(reterr_why, r, "bundle", "endorsements", "", "");
	a.endorsements = e;
	a.cache = b->cache;
	/* An older report proves no age by itself: only the nonce of this
	 * very round does, or the log that later rounds are bound to. */
	if (memcmp(b->root, b->tee_root, SHA256_LEN) != 0)
		a.tee_age_s = b->has_tee_age ? b->tee_age_s : UINT64_MAX;
	appraise(&a, v, NULL);
	return CVM_OK;
}
