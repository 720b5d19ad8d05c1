/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/quote.h"
#include "attest/vtpm_priv.h"

struct quote_job {
	enum hash_alg bank;
	uint32_t mask;
	struct span qualifying;
	struct blob quote, signature;
	struct pcr_values pcrs;
};

static void
quote_job_clear(struct quote_job *j)
{
	blob_clear(&j->quote);
	blob_clear(&j->signature);
}

static int
take_quote(struct vtpm *t, struct span params, struct quote_job *j,
    struct why *why)
{
	struct reader r = reader_init(params);
	struct span attest = read_2b(&r);
	struct span sig = read_span(&r, reader_left(&r));
	int err;

	if (reader_end(&r) != CVM_OK)
		return tpm_garbled(t, "TPM2_Quote", why);
	err = blob_set(&j->quote, attest);
	return err != CVM_OK ? err : blob_set(&j->signature, sig);
}

static int
quote_once(struct vtpm *t, struct quote_job *j, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(
	    tpm_command_clear) struct tpm_command c = { .code = TPM2_CC_Quote,
		.what = "TPM2_Quote",
		.handles = { t->ak },
		.n_handles = 1,
		.password = true };
	int r;

	write_2b(&c.params, j->qualifying);
	write_be16(&c.params, TPM2_ALG_NULL); /* the key's own scheme */
	write_selection(&c.params, j->bank, j->mask);
	r = tpm_send(t, &c, span(NULL, 0), &rsp, why);
	return r != CVM_OK ? r : take_quote(t, rsp.params, j, why);
}

/* Are v the values that the quote is over? Its digest decides. */
static int
is_quoted(const struct quote_job *j, const struct pcr_values *v, bool *ret,
    struct why *why)
{
	uint8_t digest[HASH_LEN_MAX];
	enum hash_alg alg;
	struct tpm_quote q;
	int r;

	*ret = false;
	r = quote_parse(blob_span(&j->quote), &q, why);
	if (r == CVM_OK)
		r = signature_hash(blob_span(&j->signature), &alg, why);
	if (r != CVM_OK)
		return CVM_E_UNREACHABLE;
	if (v->bank != j->bank || (v->mask & j->mask) != j->mask)
		return CVM_OK;
	r = pcr_digest(v, j->mask, alg, digest);
	if (r == CVM_OK)
		*ret = span_equal(span(digest, hash_len(alg)), q.pcr_digest);
	return r;
}

static int
quote_job(struct vtpm *t, void *arg, struct why *why)
{
	struct quote_job *j = arg;
	bool same = false;
	int r;

	r = tpm_ak_load(t, why);
	for (int i = 0; r == CVM_OK && !same && i < TPM_ATTEMPTS; i++) {
		r = quote_once(t, j, why);
		/* Mostly nothing moved since the last time. */
		if (r == CVM_OK)
			r = is_quoted(j, &t->pcrs, &same, why);
		if (r != CVM_OK || same)
			break;
		r = tpm_read_pcrs(t, j->bank, j->mask, &t->pcrs, why);
		if (r == CVM_OK)
			r = is_quoted(j, &t->pcrs, &same, why);
	}
	if (r != CVM_OK)
		return r;
	if (!same)
		return why_setf(why, CVM_E_UNREACHABLE, t->tcti, "pcrDigest",
		    "the digest of the PCR values read",
		    "they moved during each of %d attempts", TPM_ATTEMPTS);
	j->pcrs = t->pcrs;
	return CVM_OK;
}

int
vtpm_quote(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span qualifying, struct blob *ret_quote, struct blob *ret_signature,
    struct pcr_values *ret_pcrs, struct why *reterr_why)
{
	_cleanup_(quote_job_clear) struct quote_job j = { .bank = bank,
		.mask = mask,
		.qualifying = qualifying };
	int r;

	if (mask == 0 || mask >> POLICY_PCR_MAX != 0 || qualifying.len == 0 ||
	    qualifying.len > HASH_LEN_MAX)
		return CVM_E_INVAL;
	r = vtpm_run(t, quote_job, &j, reterr_why);
	if (r != CVM_OK)
		return r;
	blob_clear(ret_quote);
	blob_clear(ret_signature);
	*ret_quote = j.quote;
	*ret_signature = j.signature;
	*ret_pcrs = j.pcrs;
	j.quote = j.signature = (struct blob){ 0 };
	return CVM_OK;
}

static int
read_job(struct vtpm *t, void *arg, struct why *why)
{
	struct pcr_values *v = arg;

	return tpm_read_pcrs(t, v->bank, v->mask, v, why);
}

int
vtpm_read_pcrs(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct pcr_values *ret, struct why *reterr_why)
{
	struct pcr_values v = { .bank = bank, .mask = mask };
	int r;

	if (mask == 0 || mask >> POLICY_PCR_MAX != 0)
		return CVM_E_INVAL;
	r = vtpm_run(t, read_job, &v, reterr_why);
	if (r == CVM_OK)
		*ret = v;
	return r;
}
