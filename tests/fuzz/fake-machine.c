/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>
#include <string.h>

#include "attest/round.h"
#include "base/reader.h"
#include "tests/fuzz/fake-machine.h"
#include "token/seal.h"

int __wrap_rounds_join(struct rounds *r, struct span leaf, bool fresh,
    struct admission *ret, struct why *reterr_why);
void __wrap_rounds_on_change(struct rounds *r,
    void (*fn)(void *arg, enum round_state state, const struct why *why),
    void *arg);
void __wrap_rounds_follow(struct rounds *r,
    int (*fn)(void *arg, const struct policy **ret, struct why *reterr_why),
    void *arg);
enum round_state __wrap_rounds_state(struct rounds *r);
int __wrap_vtpm_seal(struct vtpm *t, enum hash_alg bank,
    const struct pcr_set *set, const struct secret *data,
    const struct secret *auth, struct blob *ret_blob, struct why *reterr_why);
int __wrap_vtpm_unseal(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span sealed, const struct secret *auth, struct secret **ret,
    struct why *reterr_why);
int __wrap_vtpm_read_pcrs(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct pcr_values *ret, struct why *reterr_why);
int __wrap_pin_auth(struct span pin, const uint8_t token_id[TOKEN_ID_LEN],
    enum seal_purpose purpose, struct secret **ret);

bool fake_machine_denies;

#define LISTENERS_MAX 8
static struct {
	struct rounds *r;
	void (*fn)(void *, enum round_state, const struct why *);
	void *arg;
	int (*follow)(void *, const struct policy **, struct why *);
	void *follow_arg;
	enum round_state state;
} listeners[LISTENERS_MAX];

void
__wrap_rounds_on_change(struct rounds *r,
    void (*fn)(void *arg, enum round_state state, const struct why *why),
    void *arg)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++) {
		if (listeners[i].r != NULL && listeners[i].r != r)
			continue;
		listeners[i].r = r;
		listeners[i].fn = fn;
		listeners[i].arg = arg;
		listeners[i].state = ROUND_NONE;
		return;
	}
	/* Rounds of an instance of the module that was finalized. */
	memset(listeners, 0, sizeof(listeners));
	__wrap_rounds_on_change(r, fn, arg);
}

void
__wrap_rounds_follow(struct rounds *r,
    int (*fn)(void *arg, const struct policy **ret, struct why *reterr_why),
    void *arg)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++) {
		if (listeners[i].r != r)
			continue;
		listeners[i].follow = fn;
		listeners[i].follow_arg = arg;
	}
}

/* As the leader of a round asks for it. */
static int
policy_now(struct rounds *r, const struct policy **ret, struct why *why)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		if (listeners[i].r == r && listeners[i].follow != NULL)
			return listeners[i].follow(listeners[i].follow_arg, ret,
			    why);
	abort();
}

enum round_state
__wrap_rounds_state(struct rounds *r)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		if (listeners[i].r == r)
			return listeners[i].state;
	return ROUND_NONE;
}

static void
changed(struct rounds *r, enum round_state state, const struct why *why)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++) {
		if (listeners[i].r != r || listeners[i].state == state)
			continue;
		listeners[i].state = state;
		listeners[i].fn(listeners[i].arg, state, why);
	}
}

int
__wrap_rounds_join(struct rounds *r, struct span leaf, bool fresh,
    struct admission *ret, struct why *reterr_why)
{
	struct permit_issuer *issuer = rounds_issuer(r);
	struct why why = { 0 };
	const struct policy *policy = NULL;
	struct round_result *rr;
	int err;

	(void)fresh;
	*ret = (struct admission){ 0 };
	if (leaf.len == 0 || leaf.len > LEAF_MAX)
		abort();
	if (fake_machine_denies) {
		permit_revoke_all(issuer);
		(void)why_set(&why, CVM_E_DENIED, "fake", "machine", "good",
		    "bad");
		changed(r, ROUND_DENY, &why);
		if (reterr_why != NULL)
			*reterr_why = why;
		return CVM_E_DENIED;
	}
	if ((err = policy_now(r, &policy, reterr_why)) != CVM_OK)
		return err;
	if ((rr = calloc(1, sizeof(*rr))) == NULL)
		return CVM_E_NOMEM;
	rr->refs = 1;
	rr->policy = policy;
	rr->epoch = issuer->epoch;
	rr->asked_ns = boottime_ns();
	ret->round = rr;
	changed(r, ROUND_ADMIT, &why);
	return CVM_OK;
}

int
__wrap_vtpm_read_pcrs(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct pcr_values *ret, struct why *reterr_why)
{
	(void)t;
	(void)reterr_why;
	*ret = (struct pcr_values){ .bank = bank, .mask = mask };
	for (size_t i = 0; i < POLICY_PCR_MAX; i++)
		memset(ret->value[i], FAKE_MACHINE_PCR, HASH_LEN_MAX);
	return CVM_OK;
}

int
__wrap_vtpm_seal(struct vtpm *t, enum hash_alg bank, const struct pcr_set *set,
    const struct secret *data, const struct secret *auth, struct blob *ret_blob,
    struct why *reterr_why)
{
	_cleanup_(writer_clear) struct writer w = { 0 };

	(void)t;
	(void)bank;
	(void)set;
	(void)reterr_why;
	write_field(&w, auth != NULL ? secret_span(auth) : span(NULL, 0));
	write_field(&w, secret_span(data));
	return writer_end(&w, ret_blob);
}

int
__wrap_vtpm_unseal(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span sealed, const struct secret *auth, struct secret **ret,
    struct why *reterr_why)
{
	struct reader r = reader_init(sealed);
	struct span a = read_span(&r, read_be32(&r));
	struct span data = read_span(&r, read_be32(&r));

	(void)t;
	(void)bank;
	(void)mask;
	if (reader_end(&r) != CVM_OK)
		return why_set(reterr_why, CVM_E_SEALED, "fake", "seal",
		    "whole", "garbled");
	if ((auth != NULL) != (a.len > 0) ||
	    (auth != NULL && !span_equal(a, secret_span(auth))))
		return why_set(reterr_why, CVM_E_PIN_INCORRECT, "fake", "auth",
		    "the one sealed", "another");
	*ret = secret_copy(data);
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}

int
__wrap_pin_auth(struct span pin, const uint8_t token_id[TOKEN_ID_LEN],
    enum seal_purpose purpose, struct secret **ret)
{
	const uint8_t which = (uint8_t)purpose;
	const struct span parts[] = { pin, span(token_id, TOKEN_ID_LEN),
		span(&which, 1) };
	uint8_t digest[SHA256_LEN];
	int err = hash_parts(HASH_SHA256, parts, 3, digest);

	if (err != CVM_OK || pin.len == 0)
		return err != CVM_OK ? err : CVM_E_INVAL;
	*ret = secret_copy(span(digest, sizeof(digest)));
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}
