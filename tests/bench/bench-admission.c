/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/chain.h"
#include "attest/quote.h"
#include "base/clock.h"
#include "module/gate.h"
#include "tests/unit/round-scene.h"
#include "tests/unit/scene.h"
#include "tests/unit/quote-maker.h"

/*
 * What admissions cost an application, as ratios to what they cannot do
 * without: TPM2_Quote, the verification of its signature, and the raw
 * signature of OpenSSL. One machine, one run; the bounds are printed beside.
 */
#define TURNS 200
#define THREADS 32
#define CROWD 200
#define EACH 40 /* signatures of a thread */

static struct scene scene;
static struct floor {
	struct config *cfg;
	struct gate *gate;
	struct gate_session s;
	EVP_PKEY *raw;
} f;

static CK_SLOT_ID slot;
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE key;
static CK_BYTE digest[32] = { 1, 2, 3 };

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static unsigned
count(const char *what)
{
	const struct round_scene r = { .m = scene.m };

	return round_scene_count(&r, what);
}

static void
quote(void)
{
	static const uint8_t nonce[32] = { 1 };
	const struct policy_tpm *p = &gate_policy(f.gate)->tpm;
	struct blob q = { 0 }, s = { 0 };
	struct pcr_values v;
	struct why why;

	assert_int_equal(vtpm_quote(gate_vtpm(f.gate), p->bank,
			     p->pcr_sets[0].mask, span(nonce, sizeof(nonce)),
			     &q, &s, &v, &why),
	    0);
	blob_clear(&q);
	blob_clear(&s);
}

static void
verify(void)
{
	const struct evidence *e = &f.s.admission.round->evidence;
	_cleanup_(evp_pkey_freep) EVP_PKEY *k = NULL;
	struct tpm_public public;
	enum hash_alg alg;
	struct why why;

	assert_int_equal(tpm_public_parse(blob_span(&e->ak_public), &public,
			     &why),
	    0);
	assert_int_equal(tpm_public_key(&public, &k), 0);
	assert_int_equal(quote_check(k, &public, blob_span(&e->tpm_quote),
			     blob_span(&e->tpm_signature), &alg, &why),
	    0);
}

static void
raw_sign(void)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(f.raw, NULL);
	uint8_t sig[128];
	size_t n = sizeof(sig);

	assert_int_equal(EVP_PKEY_sign_init(c), 1);
	assert_int_equal(EVP_PKEY_sign(c, sig, &n, digest, 32), 1);
	EVP_PKEY_CTX_free(c);
}

static void
open_close(void)
{
	CK_SESSION_HANDLE h;

	assert_ok(C_OpenSession(slot, RO, NULL, NULL, &h));
	assert_ok(C_CloseSession(h));
}

static CK_RV
sign_with(CK_SESSION_HANDLE s)
{
	CK_BYTE sig[128];
	CK_ULONG n = sizeof(sig);
	CK_RV rv = C_SignInit(s, MECH(CKM_ECDSA), key);

	return rv != CKR_OK ? rv : C_Sign(s, digest, 32, sig, &n);
}

static void
sign(void)
{
	assert_ok(sign_with(session));
}

enum { QUOTE, VERIFY, RAW, OPEN, SIGN, STEPS };
static void (*const steps[STEPS])(
    void) = { quote, verify, raw_sign, open_close, sign };

/* Medians in microseconds; in turns, since machines have moods. */
static void
measure(double us[static STEPS])
{
	static uint64_t t[STEPS][TURNS];

	for (size_t i = 0; i < TURNS; i++)
		for (size_t k = 0; k < STEPS; k++) {
			uint64_t start = monotonic_ns();

			steps[k]();
			t[k][i] = monotonic_ns() - start;
		}
	for (size_t k = 0; k < STEPS; k++) {
		qsort(t[k], TURNS, sizeof(t[k][0]), compare);
		us[k] = (double)t[k][TURNS / 2] / 1000;
	}
}

/* What a bound signature costs beside what it is made of. */
static double
over_floor(const double us[static STEPS])
{
	return us[SIGN] / (us[QUOTE] + us[VERIFY] + us[RAW]);
}

struct worker {
	pthread_t thread;
	pthread_barrier_t *here;
	CK_SESSION_HANDLE session;
	unsigned failures;
};

static void *
sign_many(void *arg)
{
	struct worker *w = arg;

	(void)pthread_barrier_wait(w->here);
	for (unsigned i = 0; i < EACH; i++)
		w->failures += sign_with(w->session) != CKR_OK;
	return NULL;
}

static void *
open_one(void *arg)
{
	struct worker *w = arg;
	CK_SESSION_HANDLE h;

	(void)pthread_barrier_wait(w->here);
	w->failures += C_OpenSession(slot, RO, NULL, NULL, &h) != CKR_OK;
	return NULL;
}

/* Seconds from the moment that all are there. */
static double
run_all(void *(*fn)(void *), struct worker *w, unsigned n)
{
	pthread_barrier_t here;
	uint64_t start;

	assert_int_equal(pthread_barrier_init(&here, NULL, n + 1), 0);
	for (unsigned i = 0; i < n; i++) {
		w[i].here = &here;
		assert_int_equal(pthread_create(&w[i].thread, NULL, fn, &w[i]),
		    0);
	}
	(void)pthread_barrier_wait(&here);
	start = monotonic_ns();
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(pthread_join(w[i].thread, NULL), 0);
		assert_int_equal(w[i].failures, 0);
	}
	return (double)(monotonic_ns() - start) / 1e9;
}

#define QUOTES "tpm.command.0x158"

static void
print(const char *what, double value, const char *bound)
{
	(void)printf("# %-52s %10.2f   %s\n", what, value, bound);
}

static void
print_singles(const double us[static STEPS])
{
	double floor = us[QUOTE] + us[VERIFY];

	print("TPM2_Quote, us", us[QUOTE], "");
	print("verification of a quote, us", us[VERIFY], "");
	print("ECDSA P-256 by OpenSSL, us", us[RAW], "");
	print("session open / (quote + verification)", us[OPEN] / floor,
	    "<= 1.3");
	print("bound signature / (quote + verification + signature)",
	    over_floor(us), "<= 1.3");
}

static void
bench_threads(double alone_us)
{
	struct worker w[THREADS] = { 0 };
	unsigned quotes;
	double t;

	for (size_t i = 0; i < THREADS; i++)
		w[i].session = open_session(RO);
	quotes = count(QUOTES);
	t = run_all(sign_many, w, THREADS);
	quotes = count(QUOTES) - quotes;
	print("32 threads: signatures per quote",
	    (double)THREADS * EACH / quotes, ">= 20");
	print("32 threads: throughput / one quote for each",
	    (double)THREADS * EACH / t * alone_us / 1e6, ">= 8");
}

static void
bench_crowd(void)
{
	static struct worker w[CROWD];
	unsigned q, r;

	assert_ok(C_Finalize(NULL));
	assert_ok(C_Initialize(NULL));
	q = count(QUOTES);
	r = count("tsm.reports");
	(void)run_all(open_one, w, CROWD);
	print("200 concurrent C_OpenSession: rounds", count(QUOTES) - q,
	    "<= 4");
	print("200 concurrent C_OpenSession: TEE reports",
	    count("tsm.reports") - r, "<= 1");
}

static void
bench_admitted(void)
{
	enum { N = 1000 };
	static uint64_t t[N];
	struct permit p;
	struct why why;
	int err = CVM_OK;

	for (size_t i = 0; i < N; i++) {
		uint64_t start = monotonic_ns();

		for (size_t k = 0; k < N; k++)
			err |= gate_permit(f.gate, &f.s, &p, &why);
		t[i] = monotonic_ns() - start;
	}
	assert_int_equal(err, CVM_OK);
	qsort(t, N, sizeof(t[0]), compare);
	print("bind session: the admission test, ns", (double)t[N / 2] / N,
	    "< 200");
}

static void
begin(const char *bind, const char *receipts)
{
	struct why why;

	scene_prepare(&scene,
	    &(struct scene_options){ .bind = bind,
		.tee_max_age_s = 3600,
		.receipts = receipts });
	assert_int_equal(config_load(scene.config, &f.cfg, &why), CVM_OK);
	assert_int_equal(gate_new(f.cfg, &f.cfg->tokens[0], &f.gate), CVM_OK);
	assert_int_equal(gate_open_session(f.gate, &f.s, &why), CVM_OK);
	assert_ok(C_Initialize(NULL));
	slot = the_slot();
	session = open_session(RW);
	login(session);
	key = find(session, CKO_PRIVATE_KEY, "ec");
}

static void
end(void)
{
	assert_ok(C_Finalize(NULL));
	gate_session_clear(&f.s);
	gate_freep(&f.gate);
	config_freep(&f.cfg);
}

static void
bench(void **state)
{
	double us[STEPS], recorded[STEPS];

	(void)state;
	scene_start(&scene);
	if (!scene.there)
		exit(77);
	f.raw = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	assert_non_null(f.raw);
	begin("operation", NULL);
	measure(us);
	print_singles(us);
	bench_threads(us[SIGN]);
	bench_crowd();
	end();
	begin("operation", "operations");
	measure(recorded);
	print("bound signature with a receipt / without",
	    over_floor(recorded) / over_floor(us), "");
	end();
	begin("session", NULL);
	bench_admitted();
	end();
	EVP_PKEY_free(f.raw);
	scene_stop(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bench) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
