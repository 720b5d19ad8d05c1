/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/chain.h"
#include "attest/quote.h"
#include "tests/unit/vtpm-fixture.h"
#include "tests/unit/quote-maker.h"

static char tcti_buf[400];

struct config_tpm
config_of(const char *tcti)
{
	(void)snprintf(tcti_buf, sizeof(tcti_buf), "%s", tcti);
	return (struct config_tpm){ .tcti = tcti_buf,
		.ak = AK_OWN,
		.timeout_ms = 5000 };
}

struct vtpm *
connect_to(const char *tcti)
{
	struct config_tpm cfg = config_of(tcti);
	struct vtpm *t = vtpm_new(&cfg);

	assert_non_null(t);
	return t;
}

int
tpm_setup(void **state)
{
	struct swtpm *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	*state = swtpm_start(s) ? s : NULL;
	if (*state == NULL) {
		print_message("# swtpm is not installed\n");
		swtpm_stop(s);
		free(s);
	}
	return 0;
}

int
tpm_teardown(void **state)
{
	if (*state != NULL)
		swtpm_stop(*state);
	free(*state);
	return 0;
}

void
say_why(const struct why *why)
{
	char buf[WHY_SENTENCE_MAX];

	print_message("# %s\n", why_sentence(why, buf, sizeof(buf)));
}

void
quoted_clear(struct quoted *q)
{
	blob_clear(&q->quote);
	blob_clear(&q->signature);
	blob_clear(&q->public);
	blob_clear(&q->name);
	blob_clear(&q->cert);
}

int
quote_with(struct vtpm *t, uint32_t mask, struct quoted *q, struct why *why)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
	uint8_t digest[HASH_LEN_MAX];
	struct tpm_public pub;
	struct tpm_quote tq;
	enum hash_alg alg;
	int r;

	r = vtpm_ak(t, &q->public, &q->name, &q->cert, why);
	if (r != CVM_OK)
		return r;
	r = vtpm_quote(t, HASH_SHA256, mask, NONCE, &q->quote, &q->signature,
	    &q->pcrs, why);
	if (r != CVM_OK)
		return r;
	assert_int_equal(tpm_public_parse(blob_span(&q->public), &pub, why), 0);
	assert_int_equal(tpm_public_key(&pub, &key), 0);
	assert_int_equal(quote_check(key, &pub, blob_span(&q->quote),
			     blob_span(&q->signature), &alg, why),
	    0);
	assert_int_equal(quote_parse(blob_span(&q->quote), &tq, why), 0);
	assert_true(span_equal(tq.extra_data, NONCE));
	assert_int_equal(tq.pcr_mask, mask);
	assert_int_equal(pcr_digest(&q->pcrs, mask, alg, digest), 0);
	assert_true(span_equal(tq.pcr_digest, span(digest, hash_len(alg))));
	return CVM_OK;
}

/* TPM2_PCR_Extend, as another program would. */
static int
extend_job(struct vtpm *t, void *arg, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_PCR_Extend,
		.what = "TPM2_PCR_Extend",
		.handles = { *(unsigned *)arg },
		.n_handles = 1,
		.password = true
	};
	uint8_t digest[SHA256_LEN] = { 7 };

	write_be32(&c.params, 1);
	write_be16(&c.params, TPM2_ALG_SHA256);
	write_bytes(&c.params, span(digest, sizeof(digest)));
	return tpm_send(t, &c, span(NULL, 0), &rsp, why);
}

void
extend_pcr(struct vtpm *t, unsigned pcr)
{
	assert_int_equal(vtpm_run(t, extend_job, &pcr, NULL), 0);
}

void
seal_now(struct vtpm *t, const char *auth, struct sealing *g)
{
	uint8_t bytes[32] = { 's', 'e', 'c', 'r', 'e', 't' };
	struct pcr_values v;
	struct why why = { 0 };
	int r;

	memset(g, 0, sizeof(*g));
	assert_int_equal(vtpm_read_pcrs(t, HASH_SHA256, MASK, &v, NULL), 0);
	g->set.mask = MASK;
	memcpy(g->set.value, v.value, sizeof(v.value));
	g->data = secret_copy(span(bytes, sizeof(bytes)));
	g->auth = auth != NULL ? secret_copy(span(auth, strlen(auth))) : NULL;
	r = vtpm_seal(t, HASH_SHA256, &g->set, g->data, g->auth, &g->blob,
	    &why);
	if (r != CVM_OK)
		say_why(&why);
	assert_int_equal(r, 0);
}

void
sealing_clear(struct sealing *g)
{
	secret_freep(&g->data);
	secret_freep(&g->auth);
	blob_clear(&g->blob);
}

int
unseal(struct vtpm *t, const struct sealing *g, const char *auth,
    struct why *why)
{
	_cleanup_(secret_freep) struct secret *a = NULL, *out = NULL;
	int r;

	if (auth != NULL)
		a = secret_copy(span(auth, strlen(auth)));
	r = vtpm_unseal(t, HASH_SHA256, MASK, blob_span(&g->blob), a, &out,
	    why);
	if (r == CVM_OK)
		assert_true(span_equal(secret_span(out), secret_span(g->data)));
	else
		assert_null(out);
	return r;
}
