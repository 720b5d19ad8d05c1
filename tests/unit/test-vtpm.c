/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "attest/chain.h"
#include "attest/quote.h"
#include "attest/vtpm_priv.h"
#include "base/forkid.h"
#include "tests/unit/swtpm.h"

/* The TPM code against swtpm, which each test gets fresh. */

static const uint8_t nonce[32] = { 0xa5, 1, 2, 3 };
#define NONCE span(nonce, sizeof(nonce))
#define MASK 0x00004381u /* PCRs 0, 7, 8, 9, 14 */

static char tcti_buf[96];

static struct config_tpm
config_of(const char *tcti)
{
	(void)snprintf(tcti_buf, sizeof(tcti_buf), "%s", tcti);
	return (struct config_tpm){ .tcti = tcti_buf, .ak = AK_OWN,
		.timeout_ms = 5000 };
}

static struct vtpm *
connect_to(const char *tcti)
{
	struct config_tpm cfg = config_of(tcti);
	struct vtpm *t = vtpm_new(&cfg);

	assert_non_null(t);
	return t;
}

static int
setup(void **state)
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

static int
teardown(void **state)
{
	if (*state != NULL)
		swtpm_stop(*state);
	free(*state);
	return 0;
}

#define TPM_OF(state)                                                        \
	struct swtpm *s = *(state);                                          \
	if (s == NULL)                                                       \
		skip();

static void
say(const struct why *why)
{
	char buf[WHY_SENTENCE_MAX];

	print_message("# %s\n", why_sentence(why, buf, sizeof(buf)));
}

struct quoted {
	struct blob quote, signature, public, name, cert;
	struct pcr_values pcrs;
};

static void
quoted_clear(struct quoted *q)
{
	blob_clear(&q->quote);
	blob_clear(&q->signature);
	blob_clear(&q->public);
	blob_clear(&q->name);
	blob_clear(&q->cert);
}

/* Takes a quote and verifies everything about it. */
static int
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
	assert_int_equal(tpm_public_parse(blob_span(&q->public), &pub, why),
	    0);
	assert_int_equal(tpm_public_key(&pub, &key), 0);
	assert_int_equal(quote_verify_signature(key, &pub,
	    blob_span(&q->quote), blob_span(&q->signature), &alg, why), 0);
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
		.code = TPM2_CC_PCR_Extend, .what = "TPM2_PCR_Extend",
		.handles = { *(unsigned *)arg }, .n_handles = 1,
		.password = true };
	uint8_t digest[SHA256_LEN] = { 7 };

	write_be32(&c.params, 1);
	write_be16(&c.params, TPM2_ALG_SHA256);
	write_bytes(&c.params, span(digest, sizeof(digest)));
	return tpm_send(t, &c, span(NULL, 0), &rsp, why);
}

static void
extend(struct vtpm *t, unsigned pcr)
{
	assert_int_equal(vtpm_run(t, extend_job, &pcr, NULL), 0);
}

static void
ak_is_restricted_and_the_same_each_time(void **state)
{
	TPM_OF(state)
	struct blob public = { 0 }, name[2] = { { 0 } }, cert = { 0 };
	struct tpm_public p;

	for (int i = 0; i < 2; i++) {
		struct vtpm *t = connect_to(s->tcti);

		assert_int_equal(vtpm_ak(t, &public, &name[i], &cert, NULL),
		    0);
		assert_int_equal(tpm_public_parse(blob_span(&public), &p,
		    NULL), 0);
		assert_int_equal(p.attributes, 0x00050072);
		assert_int_equal(cert.len, 0);
		vtpm_freep(&t);
	}
	assert_true(span_equal(blob_span(&name[0]), blob_span(&name[1])));
	assert_int_equal(swtpm_loaded(s), 0);
	blob_clear(&public);
	blob_clear(&name[0]);
	blob_clear(&name[1]);
	blob_clear(&cert);
}

static void
quote_is_over_the_values_read(void **state)
{
	TPM_OF(state)
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };
	static const uint32_t masks[] = { MASK, 1, 0xffffff, 0x800000 };

	for (size_t i = 0; i < NELEMS(masks); i++) {
		int r = quote_with(t, masks[i], &q, &why);

		if (r != CVM_OK)
			say(&why);
		assert_int_equal(r, 0);
	}
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
quote_notices_that_a_pcr_moved(void **state)
{
	TPM_OF(state)
	_cleanup_(quoted_clear) struct quoted a = { 0 }, b = { 0 };
	struct vtpm *t = connect_to(s->tcti);

	assert_int_equal(quote_with(t, MASK, &a, NULL), 0);
	extend(t, 14);
	assert_int_equal(quote_with(t, MASK, &b, NULL), 0);
	assert_memory_not_equal(a.pcrs.value[14], b.pcrs.value[14], 32);
	assert_memory_equal(a.pcrs.value[7], b.pcrs.value[7], 32);
	vtpm_freep(&t);
}

static void
quote_arguments_out_of_range(void **state)
{
	TPM_OF(state)
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_to(s->tcti);

	assert_int_equal(vtpm_quote(t, HASH_SHA256, 0, NONCE, &q.quote,
	    &q.signature, &q.pcrs, NULL), CVM_E_INVAL);
	assert_int_equal(vtpm_quote(t, HASH_SHA256, 1 << 24, NONCE, &q.quote,
	    &q.signature, &q.pcrs, NULL), CVM_E_INVAL);
	assert_int_equal(vtpm_quote(t, HASH_SHA256, 1, span(NULL, 0), &q.quote,
	    &q.signature, &q.pcrs, NULL), CVM_E_INVAL);
	vtpm_freep(&t);
}

/* An NV index as a platform would have it. */
struct nv {
	uint32_t index;
	struct span data;
};

static int
define_job(struct vtpm *t, void *arg, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_NV_DefineSpace, .what = "TPM2_NV_DefineSpace",
		.handles = { TPM2_RH_OWNER }, .n_handles = 1,
		.password = true };
	struct nv *nv = arg;

	write_be16(&c.params, 0);
	write_be16(&c.params, 14);
	write_be32(&c.params, nv->index);
	write_be16(&c.params, TPM2_ALG_SHA256);
	write_be32(&c.params, 0x02060006);
	write_be16(&c.params, 0);
	write_be16(&c.params, (uint16_t)nv->data.len);
	return tpm_send(t, &c, span(NULL, 0), &rsp, why);
}

static int
write_job(struct vtpm *t, void *arg, struct why *why)
{
	struct nv *nv = arg;
	int r = CVM_OK;

	for (size_t at = 0; r == CVM_OK && at < nv->data.len; at += 512) {
		_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
		_cleanup_(tpm_command_clear) struct tpm_command c = {
			.code = TPM2_CC_NV_Write, .what = "TPM2_NV_Write",
			.handles = { TPM2_RH_OWNER, nv->index },
			.n_handles = 2, .password = true };
		size_t n = nv->data.len - at;

		write_2b(&c.params, span(nv->data.data + at,
		    n < 512 ? n : 512));
		write_be16(&c.params, (uint16_t)at);
		r = tpm_send(t, &c, span(NULL, 0), &rsp, why);
	}
	return r;
}

static void
define(struct vtpm *t, uint32_t index, struct span data)
{
	struct nv nv = { index, data };

	assert_int_equal(vtpm_run(t, define_job, &nv, NULL), 0);
	assert_int_equal(vtpm_run(t, write_job, &nv, NULL), 0);
}

static void
ak_from_a_gce_template_with_padded_certificate(void **state)
{
	TPM_OF(state)
	static const char tmpl[] = "0023000b00050072000000100018000b0003"
	    "001000020101" "0000";
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(blob_clear) struct blob bytes = { 0 };
	uint8_t cert[900] = { 0x30, 0x82, 0x02, 0x00, 1, 2, 3 };
	struct config_tpm cfg = config_of(s->tcti);
	struct vtpm *t;
	struct why why = { 0 };
	int r;

	cert[4 + 0x200 - 1] = 9;
	cfg.ak = AK_GCE_ECC;
	t = vtpm_new(&cfg);
	/* Nothing is there yet: said with the index. */
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.got, "0x01c10003"));
	assert_int_equal(hex_decode_blob(tmpl, 1000, &bytes), 0);
	define(t, 0x01c10003, blob_span(&bytes));
	define(t, 0x01c10002, span(cert, sizeof(cert)));
	r = quote_with(t, MASK, &q, &why);
	if (r != CVM_OK)
		say(&why);
	assert_int_equal(r, 0);
	assert_int_equal(q.cert.len, 4 + 0x200);
	assert_memory_equal(q.cert.data, cert, q.cert.len);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
certificate_that_is_not_der(void **state)
{
	TPM_OF(state)
	static const char tmpl[] = "0023000b00050072000000100018000b0003"
	    "001000020101" "0000";
	static const uint8_t bad[][6] = { { 0x31, 2, 0, 0 },
		{ 0x30, 0x80, 0, 0 }, { 0x30, 5, 1, 1, 1, 1 },
		{ 0x30, 0x83, 0, 0, 1, 0 }, { 0x30, 0x82, 0, 3, 0, 0 } };

	for (size_t i = 0; i < NELEMS(bad); i++) {
		_cleanup_(quoted_clear) struct quoted q = { 0 };
		_cleanup_(blob_clear) struct blob bytes = { 0 };
		struct config_tpm cfg = config_of(s->tcti);
		struct vtpm *t;
		struct blob b;

		cfg.ak = AK_GCE_ECC;
		t = vtpm_new(&cfg);
		assert_int_equal(hex_decode_blob(tmpl, 1000, &bytes), 0);
		if (i == 0)
			define(t, 0x01c10003, blob_span(&bytes));
		define(t, 0x01c10002, span(bad[i], sizeof(bad[i])));
		assert_int_equal(quote_with(t, MASK, &q, NULL),
		    CVM_E_UNREACHABLE);
		vtpm_freep(&t);
		assert_int_equal(swtpm_loaded(s), 0);
		/* TPM2_NV_UndefineSpace */
		b = swtpm_raw(s, "80020000001f" "00000122" "40000001"
		    "01c10002" "00000009" "40000009" "0000" "00" "0000");
		assert_int_equal(b.data[9], 0);
		blob_clear(&b);
	}
}

static void
nv_index_missing_or_too_long(void **state)
{
	TPM_OF(state)
	struct vtpm *t = connect_to(s->tcti);
	struct blob out = { 0 };
	uint8_t data[1500];

	memset(data, 0x5a, sizeof(data));
	assert_int_equal(vtpm_nv_read(t, 0x01400001, 4096, &out, NULL),
	    CVM_E_NOT_FOUND);
	define(t, 0x01400001, span(data, sizeof(data)));
	assert_int_equal(vtpm_nv_read(t, 0x01400001, 4096, &out, NULL), 0);
	assert_true(span_equal(blob_span(&out), span(data, sizeof(data))));
	assert_int_equal(vtpm_nv_read(t, 0x01400001, 1499, &out, NULL),
	    CVM_E_UNREACHABLE);
	vtpm_freep(&t);
	blob_clear(&out);
}

struct sealing {
	struct pcr_set set;
	struct secret *data, *auth;
	struct blob blob;
};

/* Seals 32 bytes for the current values of MASK. */
static void
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
		say(&why);
	assert_int_equal(r, 0);
}

static void
sealing_clear(struct sealing *g)
{
	secret_freep(&g->data);
	secret_freep(&g->auth);
	blob_clear(&g->blob);
}

static int
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
		assert_true(span_equal(secret_span(out),
		    secret_span(g->data)));
	else
		assert_null(out);
	return r;
}

static void
sealed_opens_again(void **state)
{
	TPM_OF(state)
	static const char *const auths[] = { NULL, "p",
		"0123456789abcdef0123456789abcdef" };

	for (size_t i = 0; i < NELEMS(auths); i++) {
		_cleanup_(sealing_clear) struct sealing g;
		struct vtpm *t = connect_to(s->tcti);
		struct why why = { 0 };
		int r;

		seal_now(t, auths[i], &g);
		for (int k = 0; k < 3; k++) {
			r = unseal(t, &g, auths[i], &why);
			if (r != CVM_OK)
				say(&why);
			assert_int_equal(r, 0);
		}
		vtpm_freep(&t);
		assert_int_equal(swtpm_loaded(s), 0);
		/* It also opens after the TPM was off. */
		swtpm_restart(s);
		t = connect_to(s->tcti);
		assert_int_equal(unseal(t, &g, auths[i], NULL), 0);
		vtpm_freep(&t);
	}
}

static void
sealed_does_not_open_after_a_pcr_moved(void **state)
{
	TPM_OF(state)
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };

	seal_now(t, NULL, &g);
	extend(t, 1); /* not one of ours */
	assert_int_equal(unseal(t, &g, NULL, NULL), 0);
	extend(t, 9);
	assert_int_equal(unseal(t, &g, NULL, &why), CVM_E_SEALED);
	assert_string_equal(why.field, "PCR values");
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
sealed_for_values_yet_to_come(void **state)
{
	TPM_OF(state)
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	uint8_t next[64] = { 0 };

	seal_now(t, NULL, &g);
	memcpy(next, g.set.value[9], 32);
	next[32] = 7; /* what extend() measures */
	assert_int_equal(hash(HASH_SHA256, span(next, 64), g.set.value[9]),
	    0);
	assert_int_equal(vtpm_seal(t, HASH_SHA256, &g.set, g.data, NULL,
	    &g.blob, NULL), 0);
	assert_int_equal(unseal(t, &g, NULL, NULL), CVM_E_SEALED);
	extend(t, 9);
	assert_int_equal(unseal(t, &g, NULL, NULL), 0);
	vtpm_freep(&t);
}

static void
auth_value_wrong_missing_or_superfluous(void **state)
{
	TPM_OF(state)
	_cleanup_(sealing_clear) struct sealing with, without;
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };
	uint32_t before;

	vtpm_freep(&t);
	before = swtpm_lockout_counter(s);
	t = connect_to(s->tcti);
	seal_now(t, "right", &with);
	seal_now(t, NULL, &without);
	assert_int_equal(unseal(t, &with, "wrong", &why),
	    CVM_E_PIN_INCORRECT);
	assert_int_equal(unseal(t, &with, "righ", NULL), CVM_E_PIN_INCORRECT);
	assert_int_equal(unseal(t, &with, "right1", NULL),
	    CVM_E_PIN_INCORRECT);
	assert_int_equal(unseal(t, &with, NULL, NULL), CVM_E_SEALED);
	assert_int_equal(unseal(t, &without, "right", NULL), CVM_E_SEALED);
	assert_int_equal(unseal(t, &with, "right", NULL), 0);
	vtpm_freep(&t);
	/* The machine's lockout is not ours to run up. */
	assert_int_equal(swtpm_lockout_counter(s), before);
	assert_int_equal(swtpm_loaded(s), 0);
}

/* A TPM strips trailing zeros: a scrypt output may well end in one. */
static void
auth_value_ends_in_zero(void **state)
{
	TPM_OF(state)
	_cleanup_(secret_freep) struct secret *auth = secret_new(32);
	_cleanup_(secret_freep) struct secret *out = NULL;
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);

	memset(secret_data(auth), 0x11, 30);
	seal_now(t, NULL, &g);
	assert_int_equal(vtpm_seal(t, HASH_SHA256, &g.set, g.data, auth,
	    &g.blob, NULL), 0);
	assert_int_equal(vtpm_unseal(t, HASH_SHA256, MASK, blob_span(&g.blob),
	    auth, &out, NULL), 0);
	secret_freep(&out);
	secret_data(auth)[31] = 1;
	assert_int_equal(vtpm_unseal(t, HASH_SHA256, MASK, blob_span(&g.blob),
	    auth, &out, NULL), CVM_E_PIN_INCORRECT);
	vtpm_freep(&t);
}

static void
sealed_blob_with_any_byte_changed(void **state)
{
	TPM_OF(state)
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	int r;

	seal_now(t, "pin", &g);
	for (size_t i = 0; i < g.blob.len; i++) {
		g.blob.data[i] ^= 0x10;
		r = unseal(t, &g, "pin", NULL);
		if (r != CVM_E_SEALED)
			print_message("# byte %zu: %d\n", i, r);
		assert_int_equal(r, CVM_E_SEALED);
		g.blob.data[i] ^= 0x10;
	}
	for (size_t len = 0; len < g.blob.len; len++) {
		struct secret *out = NULL;

		assert_int_equal(vtpm_unseal(t, HASH_SHA256, MASK,
		    span(g.blob.data, len), g.auth, &out, NULL),
		    CVM_E_SEALED);
	}
	assert_int_equal(unseal(t, &g, "pin", NULL), 0);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
sealed_by_another_tpm(void **state)
{
	TPM_OF(state)
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	struct swtpm other;
	struct why why = { 0 };

	seal_now(t, NULL, &g);
	vtpm_freep(&t);
	assert_true(swtpm_start(&other));
	t = connect_to(other.tcti);
	assert_int_equal(unseal(t, &g, NULL, &why), CVM_E_SEALED);
	assert_non_null(strstr(why.expected, "this TPM"));
	vtpm_freep(&t);
	swtpm_stop(&other);
}

static void
tpm_gone_and_back(void **state)
{
	TPM_OF(state)
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };

	seal_now(t, NULL, &g);
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	swtpm_kill(s);
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.where, s->dir));
	assert_int_equal(unseal(t, &g, NULL, NULL), CVM_E_UNREACHABLE);
	swtpm_restart(s);
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	/* Restarted between two calls: nobody notices. */
	swtpm_restart(s);
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	swtpm_restart(s);
	assert_int_equal(unseal(t, &g, NULL, NULL), 0);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
another_tpm_in_the_middle_of_a_round(void **state)
{
	TPM_OF(state)
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };
	char command[160];

	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	swtpm_kill(s);
	(void)snprintf(command, sizeof(command), "rm -f %s/tpm2*", s->dir);
	assert_int_equal(system(command), 0);
	swtpm_restart(s);
	assert_int_equal(vtpm_quote(t, HASH_SHA256, MASK, NONCE, &q.quote,
	    &q.signature, &q.pcrs, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "attestation key");
	/* The next round asks for the key anew. */
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	vtpm_freep(&t);
}

/* Everything that a token does, once. */
static int
all_of_it(struct vtpm *t, const struct sealing *g, struct why *why)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct blob b = { 0 };
	int r;

	r = quote_with(t, 0x00ffffff, &q, why);
	if (r == CVM_OK)
		r = unseal(t, g, "pin", why);
	if (r == CVM_OK)
		r = vtpm_seal(t, HASH_SHA256, &g->set, g->data, g->auth, &b,
		    why);
	blob_clear(&b);
	return r;
}

/*
 * One fault at the n-th command, for every n: it is survived by the second
 * attempt, and leaves nothing behind.
 */
static void
survive(struct swtpm *s, enum fault fault, uint32_t rc, bool clean)
{
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	unsigned n;

	seal_now(t, "pin", &g);
	vtpm_freep(&t);
	for (n = 1; n < 100; n++) {
		struct why why = { 0 };
		char tcti[96];
		bool reached;
		int r;

		swtpm_proxy(s, fault, n, rc, tcti);
		t = connect_to(tcti);
		r = all_of_it(t, &g, &why);
		/* The first connection of all is not tried again. */
		if (r != CVM_OK)
			r = all_of_it(t, &g, &why);
		if (r != CVM_OK)
			say(&why);
		vtpm_freep(&t);
		reached = swtpm_proxy_end(s);
		assert_int_equal(r, 0);
		if (clean)
			assert_int_equal(swtpm_loaded(s), 0);
		swtpm_flush_all(s);
		if (!reached)
			break;
	}
	assert_in_range(n, 15, 60);
	assert_int_equal(swtpm_lockout_counter(s), 0);
}

static void
connection_lost_at_each_command(void **state)
{
	TPM_OF(state)
	survive(s, FAULT_DROP_COMMAND, 0, false);
}

static void
connection_lost_at_each_response(void **state)
{
	TPM_OF(state)
	survive(s, FAULT_DROP_RESPONSE, 0, false);
}

static void
tpm_busy_at_each_command(void **state)
{
	TPM_OF(state)
	survive(s, FAULT_RC, TPM2_RC_RETRY, true);
	survive(s, FAULT_RC, TPM2_RC_YIELDED, true);
}

static void
tpm_full_at_each_command(void **state)
{
	TPM_OF(state)
	survive(s, FAULT_RC, TPM2_RC_OBJECT_MEMORY, false);
	survive(s, FAULT_RC, TPM2_RC_CONTEXT_GAP, false);
}

static void
response_cut_short(void **state)
{
	TPM_OF(state)
	survive(s, FAULT_SHORT, 0, false);
}

/* Lies are never taken for the truth: no wrong success, no crash. */
static void
response_of_nonsense(void **state)
{
	TPM_OF(state)
	static const enum fault faults[] = { FAULT_GARBAGE, FAULT_FLIP };
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);

	seal_now(t, "pin", &g);
	vtpm_freep(&t);
	for (unsigned k = 0; k < 2 * 40; k++) {
		_cleanup_(quoted_clear) struct quoted q = { 0 };
		char tcti[96];
		int r;

		swtpm_proxy(s, faults[k % 2], 1 + k / 2, 0, tcti);
		t = connect_to(tcti);
		t->timeout_ms = 500;
		/* unseal() compares what it gets with what was sealed. */
		r = unseal(t, &g, "pin", NULL);
		assert_true(r == 0 || r == CVM_E_UNREACHABLE ||
		    r == CVM_E_SEALED || r == CVM_E_PIN_INCORRECT ||
		    r == CVM_E_UNSUPPORTED || r == CVM_E_PARSE);
		vtpm_freep(&t);
		(void)swtpm_proxy_end(s);
		swtpm_flush_all(s);
	}
}

static volatile sig_atomic_t ticks;

static void
on_tick(int number)
{
	(void)number;
	ticks++;
}

static void
signals_do_not_break_a_command(void **state)
{
	TPM_OF(state)
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct sigaction sa = { .sa_handler = on_tick }, old;
	struct itimerval every = { { 0, 300 }, { 0, 300 } }, off = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	sigset_t set;

	assert_int_equal(sigaction(SIGALRM, &sa, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	for (int i = 0; i < 200; i++)
		assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
	assert_true(ticks > 50);
	/* The mask is as it was. */
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	assert_false(sigismember(&set, SIGALRM));
	vtpm_freep(&t);
}

/* Runs fn in a forked child; its return value is the exit status. */
static void
in_child(int (*fn)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(20);
		_exit(fn(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
child_frees(void *arg)
{
	struct vtpm *t = arg;

	vtpm_freep(&t);
	return 0;
}

/* swtpm serves the parent only: the child's own connection must time out,
 * and must not have used the parent's. */
static int
child_is_not_served(void *arg)
{
	struct quoted q = { 0 };
	struct vtpm *t = arg;

	int r;

	t->timeout_ms = 200;
	r = quote_with(t, MASK, &q, NULL);
	if (r != CVM_E_UNREACHABLE)
		fprintf(stderr, "# child: %d\n", r);
	return r != CVM_E_UNREACHABLE;
}

static int
child_quotes(void *arg)
{
	struct quoted q = { 0 };
	struct vtpm *t = arg;
	int r = quote_with(t, MASK, &q, NULL);

	vtpm_freep(&t);
	return r != CVM_OK;
}

static void
fork_does_not_disturb_the_parent(void **state)
{
	TPM_OF(state)
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	TPM2_HANDLE ak;

	seal_now(t, NULL, &g);
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	ak = t->ak;
	in_child(child_frees, t);
	in_child(child_is_not_served, t);
	/* Same connection, same loaded key: no second attempt was needed. */
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	assert_int_equal(t->ak, ak);
	assert_int_equal(unseal(t, &g, NULL, NULL), 0);
	vtpm_freep(&t);
	assert_int_equal(swtpm_lockout_counter(s), 0);
	/* What swtpm may still run for the dead child is no parent's: without
	 * a resource manager nobody flushes it. */
}

/* The parent hangs up first, as a server's master does that only forks. */
static void
child_connects_for_itself(void **state)
{
	TPM_OF(state)
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	int ready[2], status;
	char c = 0;
	pid_t pid;

	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		if (read(ready[0], &c, 1) != 1)
			_exit(2);
		_exit(child_quotes(t));
	}
	vtpm_freep(&t);
	assert_int_equal(write(ready[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(swtpm_loaded(s), 0);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static _Atomic bool stop;

static void *
quote_forever(void *arg)
{
	struct quoted q = { 0 };

	while (!atomic_load(&stop))
		if (quote_with(arg, MASK, &q, NULL) != CVM_OK)
			return arg;
	quoted_clear(&q);
	return NULL;
}

static void
fork_while_another_thread_is_inside(void **state)
{
	TPM_OF(state)
	struct vtpm *t = connect_to(s->tcti);
	pthread_t thread[2];
	void *ret;

	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
		    quote_forever, t), 0);
	for (int i = 0; i < 50; i++)
		in_child(child_frees, t);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(thread[i], &ret), 0);
		assert_null(ret);
	}
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
device_missing_or_forbidden(void **state)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct why why = { 0 };
	struct vtpm *t = connect_to("device:/nonexistent/tpmrm0");
	char path[] = "/tmp/cvm-tpm-XXXXXX", tcti[64];
	int fd;

	(void)state;
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.where, "/nonexistent/tpmrm0"));
	assert_non_null(strstr(why.hint, "linux-modules-extra"));
	vtpm_freep(&t);
	/* No name is no search. */
	t = connect_to("");
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.where, "tpm.tcti");
	vtpm_freep(&t);
	/* Not a TPM at all. */
	t = connect_to("device:/dev/null");
	t->timeout_ms = 300;
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	vtpm_freep(&t);
	if (getuid() != 0)
		return;
	fd = mkstemp(path);
	assert_true(fd >= 0 && fchmod(fd, 0) == 0);
	(void)close(fd);
	assert_int_equal(seteuid(65534), 0);
	(void)snprintf(tcti, sizeof(tcti), "device:%s", path);
	t = connect_to(tcti);
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(why.hint, "group tss"));
	vtpm_freep(&t);
	(void)unlink(path);
}

/* What fails must not be told to the host program's stderr. */
static int
fails_in_silence(void *arg)
{
	struct swtpm *s = arg;
	struct quoted q = { 0 };
	struct sealing g;
	struct vtpm *t;
	struct blob b = { 0 };
	int fd = memfd_create("stderr", 0);

	if (fd < 0 || dup2(fd, 2) != 2 || dup2(fd, 1) != 1)
		return 1;
	t = connect_to(s->tcti);
	seal_now(t, NULL, &g);
	extend(t, 0);
	(void)!unseal(t, &g, NULL, NULL);
	(void)!unseal(t, &g, "x", NULL);
	(void)!vtpm_nv_read(t, 0x01500000, 10, &b, NULL);
	(void)kill(s->pid, SIGKILL);
	(void)!quote_with(t, MASK, &q, NULL);
	vtpm_freep(&t);
	t = connect_to("device:/nonexistent");
	(void)!quote_with(t, MASK, &q, NULL);
	vtpm_freep(&t);
	return lseek(fd, 0, SEEK_END) != 0;
}

static void
nothing_goes_to_stderr(void **state)
{
	TPM_OF(state)
	in_child(fails_in_silence, s);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ak_is_restricted_and_the_same_each_time),
		TEST(quote_is_over_the_values_read),
		TEST(quote_notices_that_a_pcr_moved),
		TEST(quote_arguments_out_of_range),
		TEST(ak_from_a_gce_template_with_padded_certificate),
		TEST(certificate_that_is_not_der),
		TEST(nv_index_missing_or_too_long),
		TEST(sealed_opens_again),
		TEST(sealed_does_not_open_after_a_pcr_moved),
		TEST(sealed_for_values_yet_to_come),
		TEST(auth_value_wrong_missing_or_superfluous),
		TEST(auth_value_ends_in_zero),
		TEST(sealed_blob_with_any_byte_changed),
		TEST(sealed_by_another_tpm),
		TEST(tpm_gone_and_back),
		TEST(another_tpm_in_the_middle_of_a_round),
		TEST(connection_lost_at_each_command),
		TEST(connection_lost_at_each_response),
		TEST(tpm_busy_at_each_command),
		TEST(tpm_full_at_each_command),
		TEST(response_cut_short),
		TEST(response_of_nonsense),
		TEST(signals_do_not_break_a_command),
		TEST(fork_does_not_disturb_the_parent),
		TEST(child_connects_for_itself),
		TEST(fork_while_another_thread_is_inside),
		cmocka_unit_test(device_missing_or_forbidden),
		TEST(nothing_goes_to_stderr),
	};

	(void)signal(SIGPIPE, SIG_DFL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
