/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "attest/chain.h"
#include "attest/quote.h"
#include "tests/unit/machine.h"
#include "tests/unit/tpm-scene.h"
#include "tests/unit/vtpm-fixture.h"

/* The TPM of the virtual CVM: a device with a resource manager. */

static struct machine machine;
static bool running;

static int
group_setup(void **state)
{
	(void)state;
	running = machine_start(&machine, "sev");
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	if (running)
		machine_stop(&machine);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	if (running)
		machine_reset(&machine);
	return 0;
}

static struct vtpm *
connect_as(const char *prefix, enum config_ak ak)
{
	char tcti[320];
	struct config_tpm cfg;
	struct vtpm *t;

	if (!running)
		skip();
	(void)snprintf(tcti, sizeof(tcti), "%s%s", prefix,
	    machine_path(&machine, "dev/tpmrm0"));
	cfg = config_of(tcti);
	cfg.ak = ak;
	t = vtpm_new(&cfg);
	assert_non_null(t);
	return t;
}

static void
quote_or_say(struct vtpm *t, struct quoted *q)
{
	struct why why = { 0 };
	int r = quote_with(t, MASK, q, &why);

	if (r != CVM_OK)
		say_why(&why);
	assert_int_equal(r, 0);
}

static void
keys_of_every_kind(void **state)
{
	static const enum config_ak kinds[] = { AK_GCE_ECC, AK_GCE_RSA,
		AK_OWN };

	(void)state;
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		_cleanup_(quoted_clear) struct quoted q = { 0 };
		struct vtpm *t = connect_as("device:", kinds[i]);

		quote_or_say(t, &q);
		assert_int_equal(q.cert.len > 0, kinds[i] != AK_OWN);
		vtpm_freep(&t);
	}
}

/* A TCTI that libtss2-tctildr loads by its name. */
static void
tcti_of_a_library(void **state)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(sealing_clear) struct sealing g = { 0 };
	struct vtpm *t = connect_as("libtss2-tcti-device.so.0:", AK_OWN);

	(void)state;
	quote_or_say(t, &q);
	seal_now(t, "pin", &g);
	assert_int_equal(unseal(t, &g, "pin", NULL), 0);
	vtpm_freep(&t);
}

static volatile sig_atomic_t ticks;

static void
on_tick(int number)
{
	(void)number;
	ticks++;
}

/* Such a library gives the connection up when poll(2) is interrupted. */
static void
signals_do_not_break_a_library(void **state)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct sigaction sa = { .sa_handler = on_tick };
	struct itimerval every = { { 0, 300 }, { 0, 300 } }, off = { 0 };
	struct vtpm *t = connect_as("libtss2-tcti-device.so.0:", AK_OWN);
	struct tpm_link *link;

	(void)state;
	quote_or_say(t, &q);
	link = t->link;
	machine_ctl(&machine, "set tpm.delay_ms 3");
	assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	for (int i = 0; i < 30; i++)
		quote_or_say(t, &q);
	assert_ptr_equal(t->link, link);
	/* Nor while it connects. */
	vtpm_freep(&t);
	t = connect_as("libtss2-tcti-device.so.0:", AK_OWN);
	quote_or_say(t, &q);
	assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
	/* Not the default: a simulator may deliver a last one late. */
	assert_ptr_not_equal(signal(SIGALRM, SIG_IGN), SIG_ERR);
	vtpm_freep(&t);
}

/* Quote, certificate and endorsements of the machine, appraised. */
static void
machine_admitted(void **state)
{
	struct scene *s = scene_new();
	struct quoted q = { 0 };
	struct vtpm *t = connect_as("device:", AK_GCE_ECC);
	char path[256];
	struct cert *root[1] = { NULL };
	struct span pem;
	size_t n;

	(void)state;
	quote_or_say(t, &q);
	assert_true(vtpm_simulated(t));
	s->evidence.tpm_quote = q.quote;
	s->evidence.tpm_signature = q.signature;
	s->evidence.ak_public = q.public;
	s->evidence.ak_cert = q.cert;
	s->evidence.pcrs = q.pcrs;
	q.quote = q.signature = q.public = q.cert = (struct blob){ 0 };
	accept_values(s, MASK);
	endorsements_freep(&s->endorsements);
	(void)snprintf(path, sizeof(path), "%s/collateral", machine.dir);
	assert_int_equal(endorsements_load(path, &s->endorsements, NULL), 0);
	s->appraisal.endorsements = s->endorsements;
	pem = endorsements_find(s->endorsements, "google/ak-root.pem");
	assert_int_equal(certs_from_pem(pem, root, 1, &n), 0);
	assert_int_equal(blob_set(&s->pins[0],
			     span(root[0]->spki_digest, SHA256_LEN)),
	    0);
	s->policy.tpm.ak_trust = AK_TRUST_GCE;
	s->policy.tpm.ak_roots = (struct value_list){ s->pins, 1 };
	s->policy.tpm.instance.production = true;
	s->appraisal.now = (int64_t)time(NULL);
	admitted(s);
	/* The certificate of another key. */
	machine_ctl(&machine, "set tpm.ak other");
	vtpm_freep(&t);
	t = connect_as("device:", AK_GCE_ECC);
	quote_or_say(t, &q);
	blob_clear(&s->evidence.ak_cert);
	s->evidence.ak_cert = q.cert;
	q.cert = (struct blob){ 0 };
	denied_by(s, CHECK_TPM_08);
	cert_freep(&root[0]);
	quoted_clear(&q);
	scene_freep(&s);
	vtpm_freep(&t);
}

static int
work(struct vtpm *t, const struct sealing *g, int n)
{
	struct quoted q = { 0 };
	int r = CVM_OK;

	for (int i = 0; r == CVM_OK && i < n; i++) {
		r = quote_with(t, MASK, &q, NULL);
		if (r == CVM_OK)
			r = unseal(t, g, NULL, NULL);
	}
	quoted_clear(&q);
	return r;
}

/* Parent and children each with a connection of their own, at once. */
static void
children_work_beside_the_parent(void **state)
{
	_cleanup_(sealing_clear) struct sealing g = { 0 };
	struct vtpm *t = connect_as("device:", AK_OWN);
	pid_t pid[4];
	int status;

	(void)state;
	seal_now(t, NULL, &g);
	assert_int_equal(work(t, &g, 1), 0);
	for (size_t i = 0; i < NELEMS(pid); i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			int r = work(t, &g, 5);

			vtpm_freep(&t);
			_exit(r != CVM_OK);
		}
	}
	assert_int_equal(work(t, &g, 5), 0);
	for (size_t i = 0; i < NELEMS(pid); i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(work(t, &g, 1), 0);
	vtpm_freep(&t);
}

static void
power_cut_and_back(void **state)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(sealing_clear) struct sealing g = { 0 };
	struct vtpm *t = connect_as("device:", AK_OWN);

	(void)state;
	seal_now(t, NULL, &g);
	quote_or_say(t, &q);
	machine_ctl(&machine, "tpm kill");
	assert_int_equal(quote_with(t, MASK, &q, NULL), CVM_E_UNREACHABLE);
	machine_ctl(&machine, "tpm start");
	quote_or_say(t, &q);
	machine_ctl(&machine, "tpm reboot");
	quote_or_say(t, &q);
	vtpm_freep(&t);
}

/* A slow TPM is waited for, and no longer than tpm.timeout_ms. */
static void
tpm_slower_than_the_timeout(void **state)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_as("device:", AK_OWN);

	(void)state;
	quote_or_say(t, &q);
	machine_ctl(&machine, "set tpm.delay_ms 50");
	quote_or_say(t, &q);
	machine_ctl(&machine, "set tpm.delay_ms 0");
	machine_ctl(&machine, "tpm error 0x922 3"); /* TPM_RC_RETRY */
	quote_or_say(t, &q);
	machine_ctl(&machine, "tpm error 0x922 -1");
	t->timeout_ms = 300;
	assert_int_equal(quote_with(t, MASK, &q, NULL), CVM_E_UNREACHABLE);
	machine_reset(&machine);
	t->timeout_ms = 5000;
	quote_or_say(t, &q);
	vtpm_freep(&t);
}

#undef TEST
#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_of_every_kind),
		TEST(tcti_of_a_library),
		TEST(signals_do_not_break_a_library),
		TEST(machine_admitted),
		TEST(children_work_beside_the_parent),
		TEST(power_cut_and_back),
		TEST(tpm_slower_than_the_timeout),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
