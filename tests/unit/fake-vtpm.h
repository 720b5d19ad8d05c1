/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_FAKE_VTPM_H
#define TESTS_UNIT_FAKE_VTPM_H

#include <stdatomic.h>
#include <string.h>

#include "attest/vtpm.h"
#include "base/reader.h"

/*
 * A vTPM in memory with the sealing rules of a real one, included by the one
 * file of a test program that defines it. A seal opens on the TPM (seed) that
 * made it, with the PCR values of its policy, and with its auth value.
 */
struct vtpm {
	uint8_t seed;
	bool unreachable;
	bool careless;	     /* gives a secret without its auth value */
	atomic_uint unseals; /* how often a seal was tried */
	struct pcr_values pcrs;
};

int
vtpm_read_pcrs(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct pcr_values *ret, struct why *reterr_why)
{
	if (t->unreachable)
		return why_set(reterr_why, CVM_E_UNREACHABLE, "fake", "TPM",
		    "an answer", "none");
	*ret = t->pcrs;
	ret->bank = bank;
	ret->mask = mask;
	return CVM_OK;
}

static int
fake_policy(enum hash_alg bank, uint32_t mask, uint8_t (*value)[HASH_LEN_MAX],
    uint8_t out[static SHA256_LEN])
{
	struct span parts[POLICY_PCR_MAX];
	size_t n = 0;

	for (unsigned i = 0; i < POLICY_PCR_MAX; i++)
		if ((mask >> i & 1) != 0)
			parts[n++] = span(value[i], hash_len(bank));
	return hash_parts(HASH_SHA256, parts, n, out);
}

int
vtpm_seal(struct vtpm *t, enum hash_alg bank, const struct pcr_set *set,
    const struct secret *data, const struct secret *auth, struct blob *ret_blob,
    struct why *reterr_why)
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	struct pcr_set copy = *set;
	uint8_t policy[SHA256_LEN];

	if (t->unreachable)
		return why_set(reterr_why, CVM_E_UNREACHABLE, "fake", "TPM",
		    "an answer", "none");
	if (fake_policy(bank, set->mask, copy.value, policy) != CVM_OK)
		return CVM_E_CRYPTO;
	write_u8(&w, t->seed);
	write_bytes(&w, span(policy, sizeof(policy)));
	write_field(&w, auth != NULL ? secret_span(auth) : span(NULL, 0));
	write_field(&w, secret_span(data));
	return writer_end(&w, ret_blob);
}

int
vtpm_unseal(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span sealed, const struct secret *auth, struct secret **ret,
    struct why *reterr_why)
{
	struct reader r = reader_init(sealed);
	uint8_t seed = read_u8(&r), policy[SHA256_LEN];
	struct span want = read_span(&r, SHA256_LEN), a, data;

	(void)atomic_fetch_add(&t->unseals, 1);
	if (t->unreachable)
		return why_set(reterr_why, CVM_E_UNREACHABLE, "fake", "TPM",
		    "an answer", "none");
	a = read_span(&r, read_be32(&r));
	data = read_span(&r, read_be32(&r));
	if (reader_end(&r) != CVM_OK || seed != t->seed)
		return why_set(reterr_why, CVM_E_SEALED, "fake",
		    "sealed object", "made by this TPM", "another");
	if (fake_policy(bank, mask, t->pcrs.value, policy) != CVM_OK)
		return CVM_E_CRYPTO;
	if (!span_equal(want, span(policy, sizeof(policy))))
		return why_set(reterr_why, CVM_E_SEALED, "fake", "PCR values",
		    "those that it was sealed for", "others");
	if (!t->careless &&
	    ((auth != NULL) != (a.len > 0) ||
		(auth != NULL && !span_equal(a, secret_span(auth)))))
		return why_set(reterr_why, CVM_E_PIN_INCORRECT, "fake",
		    "auth value", "the one sealed", "another");
	*ret = secret_copy(data);
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}

#endif
