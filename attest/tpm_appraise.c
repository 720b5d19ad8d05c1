/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "attest/chain_cache.h"
#include "attest/tpm_parts.h"

static void
tpm_case_clear(struct tpm_case *c)
{
	verifier_freep(&c->key);
}

static void
free_key(void *object)
{
	struct verifier *key = object;

	verifier_freep(&key);
}

/* One key signs all quotes of a machine. */
static int
attestation_key(struct tpm_case *c)
{
	static const struct parsed_kind kind = { free_key };
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
	struct parsed *p = chain_cache_parsed(c->a->cache);
	struct span public = blob_span(&c->a->evidence->ak_public);
	struct verifier *known = parsed_find(p, &kind, public);
	int r;

	if (known != NULL) {
		c->key = verifier_ref(known);
		return CVM_OK;
	}
	if ((r = tpm_public_key(&c->public, &key)) != CVM_OK ||
	    (r = verifier_new(key, &c->key)) != CVM_OK)
		return r;
	known = verifier_ref(c->key);
	if (!parsed_keep(p, &kind, public, known))
		verifier_freep(&known);
	return CVM_OK;
}

/* Structures and signature: the rest is about bytes that the TPM signed. */
static bool
quote_appraise(struct tpm_case *c)
{
	const struct evidence *e = c->a->evidence;
	struct why why = { 0 };
	int r;

	r = quote_parse(blob_span(&e->tpm_quote), &c->quote, &why);
	if (!verdict_from_why(c->v, CHECK_TPM_01, r, &why))
		return false;
	r = tpm_public_parse(blob_span(&e->ak_public), &c->public, &why);
	if (r == CVM_OK)
		r = tpm_name(blob_span(&e->ak_public), c->name, &c->name_len);
	if (r == CVM_OK)
		r = attestation_key(c);
	if (r != CVM_OK && why.where[0] == '\0')
		return verdict_fail(c->v, CHECK_TPM_02,
		    "a TPMT_PUBLIC of an RSA or ECC key",
		    "a name algorithm or a key that is not supported");
	if (r != CVM_OK)
		return verdict_fail(c->v, CHECK_TPM_02,
		    "a TPMT_PUBLIC of an RSA or ECC key", "%s: %s %s",
		    why.where, why.field, why.got);
	if (!tpm_key_appraise(c))
		return false;
	r = quote_verify_signature(c->key, &c->public, blob_span(&e->tpm_quote),
	    blob_span(&e->tpm_signature), &c->hash, &why);
	return verdict_from_why(c->v, CHECK_TPM_04, r, &why);
}

/*
 * The selection is compared, not only the digest: over other PCRs, which
 * anybody may reset and extend, a quote can have a good machine's digest.
 */
static bool
selection_appraise(struct tpm_case *c)
{
	const struct pcr_values *pcrs = &c->a->evidence->pcrs;
	uint32_t wanted = c->policy->pcr_sets[0].mask;
	uint16_t bank = tpm_hash_id(c->policy->bank);
	char expected[96];
	bool ok;

	(void)snprintf(expected, sizeof(expected),
	    "bank %04x, PCR mask with %06" PRIx32 ", as the values", bank,
	    wanted);
	ok = c->policy->n_pcr_sets > 0 && wanted != 0 &&
	    c->quote.bank_alg == bank && pcrs->bank == c->policy->bank &&
	    c->quote.pcr_mask == pcrs->mask &&
	    (c->quote.pcr_mask & wanted) == wanted;
	return verdict_check(c->v, CHECK_TPM_12, ok, expected,
	    "quote: bank %04x mask %06" PRIx32 "; values: %s mask %06" PRIx32,
	    c->quote.bank_alg, c->quote.pcr_mask, hash_name(pcrs->bank),
	    pcrs->mask);
}

/* TPM 2.0 Library, Part 3, TPM2_Quote: with the hash of the signature. */
static bool
digest_appraise(struct tpm_case *c)
{
	const struct pcr_values *pcrs = &c->a->evidence->pcrs;
	char expected[2 * HASH_LEN_MAX + 1], got[2 * HASH_LEN_MAX + 1];
	uint8_t digest[HASH_LEN_MAX];
	struct span want;

	if (pcr_digest(pcrs, c->quote.pcr_mask, c->hash, digest) != CVM_OK)
		return verdict_fail(c->v, CHECK_TPM_13, "a digest", "none");
	want = span(digest, hash_len(c->hash));
	(void)hex_encode(want, expected, sizeof(expected));
	(void)hex_encode(c->quote.pcr_digest, got, sizeof(got));
	return verdict_check(c->v, CHECK_TPM_13,
	    span_equal(want, c->quote.pcr_digest), expected, "%s", got);
}

/* How many PCRs of the set differ; *ret_first is the first of them. */
static unsigned
differing(const struct pcr_set *set, const struct pcr_values *v,
    unsigned *ret_first)
{
	unsigned n = 0;

	for (unsigned i = POLICY_PCR_MAX; i-- > 0;) {
		if (!(set->mask & UINT32_C(1) << i))
			continue;
		if ((v->mask & UINT32_C(1) << i) &&
		    CRYPTO_memcmp(set->value[i], v->value[i],
			hash_len(v->bank)) == 0)
			continue;
		n++;
		*ret_first = i;
	}
	return n;
}

/* One whole set must fit; the closest one is what an operator wants to see. */
static bool
values_appraise(struct tpm_case *c)
{
	const struct pcr_values *v = &c->a->evidence->pcrs;
	const struct pcr_set *closest = NULL;
	char expected[2 * HASH_LEN_MAX + 16], got[2 * HASH_LEN_MAX + 1];
	unsigned least = POLICY_PCR_MAX + 1, first = 0, pcr = 0;

	for (size_t i = 0; i < c->policy->n_pcr_sets; i++) {
		const struct pcr_set *set = &c->policy->pcr_sets[i];
		unsigned n = differing(set, v, &first);

		if (n == 0 && set->mask != 0)
			return verdict_pass_value(c->v, CHECK_TPM_14,
			    "set \"%s\"", set->label);
		if (n < least) {
			least = n;
			closest = set;
			pcr = first;
		}
	}
	if (closest == NULL)
		return verdict_fail(c->v, CHECK_TPM_14, "a set", "none");
	(void)snprintf(expected, sizeof(expected), "PCR %u = %s", pcr,
	    hex_encode(span(closest->value[pcr], hash_len(v->bank)), got,
		sizeof(got)));
	return verdict_fail(c->v, CHECK_TPM_14, expected,
	    "PCR %u = %s (set \"%s\", %u differ)", pcr,
	    hex_encode(span(v->value[pcr], hash_len(v->bank)), got,
		sizeof(got)),
	    closest->label, least);
}

static bool
pcrs_appraise(struct tpm_case *c)
{
	return selection_appraise(c) && digest_appraise(c) &&
	    values_appraise(c);
}

/*
 * A rolled back or cloned TPM has counted less. The clock itself never runs
 * backwards while safe, through any number of restarts (Part 1, section 36).
 */
static bool
is_forward(const struct tpm_clock *now, const struct tpm_clock *last)
{
	if (now->reset_count != last->reset_count)
		return now->reset_count > last->reset_count &&
		    now->clock >= last->clock;
	return now->restart_count >= last->restart_count &&
	    now->clock >= last->clock;
}

static bool
clock_appraise(struct tpm_case *c)
{
	const struct tpm_clock *now = &c->quote.clock;
	const struct tpm_clock *last = c->a->last_clock;
	char expected[96];
	bool ok;

	ok = verdict_check(c->v, CHECK_TPM_15, now->safe, "safe",
	    "not safe: the TPM lost power without TPM2_Shutdown, and its clock "
	    "may repeat itself; mostly for some seconds, until it is past "
	    "what it may have shown before");
	if (last == NULL) {
		(void)verdict_pass_value(c->v, CHECK_TPM_16,
		    "first quote: reset %" PRIu32, now->reset_count);
		return ok;
	}
	(void)snprintf(expected, sizeof(expected),
	    "at least reset %" PRIu32 " restart %" PRIu32 " clock %" PRIu64,
	    last->reset_count, last->restart_count, last->clock);
	return verdict_check(c->v, CHECK_TPM_16, is_forward(now, last),
		   expected,
		   "reset %" PRIu32 " restart %" PRIu32 " clock %" PRIu64,
		   now->reset_count, now->restart_count, now->clock) &&
	    ok;
}

static bool
firmware_appraise(struct tpm_case *c)
{
	const struct string_list *list = &c->policy->firmware_versions;
	char got[17];

	(void)snprintf(got, sizeof(got), "%016" PRIx64,
	    c->quote.firmware_version);
	if (list->n == 0)
		return verdict_skip(c->v, CHECK_TPM_17, "no list");
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], got) == 0)
			return verdict_pass_value(c->v, CHECK_TPM_17, "%s",
			    got);
	return verdict_fail(c->v, CHECK_TPM_17, "one of the list", "%s", got);
}

bool
tpm_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(tpm_case_clear) struct tpm_case c = { .a = a,
		.policy = &a->policy->tpm,
		.v = v,
		.facts = facts };
	bool ok;

	if (!quote_appraise(&c))
		return false;
	facts->clock = c.quote.clock;
	memcpy(facts->ak_name, c.name, c.name_len);
	facts->ak_name_len = c.name_len;
	/* All of them are said, whichever fails first. */
	ok = tpm_trust_appraise(&c);
	ok = pcrs_appraise(&c) && ok;
	ok = clock_appraise(&c) && ok;
	return firmware_appraise(&c) && ok;
}
