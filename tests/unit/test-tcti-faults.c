/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_tctildr.h>

#include <cmocka.h>

#include "tests/unit/round-scene.h"
#include "tests/unit/vtpm-fixture.h"

/*
 * The module speaks to a TPM through the TSS's TCTIs: here each call of one,
 * of its loader, its transmit and its receive, fails once, or from then on,
 * with several of the TSS's codes. The program is linked with
 * --wrap=Tss2_TctiLdr_Initialize, and puts itself before what that loads.
 */
#define CALLS_MAX 400 /* no round is near: the test would not end */

/* The rest differ in no more than their number, which is only said. */
static const TSS2_RC codes[] = { TSS2_TCTI_RC_IO_ERROR, TSS2_TCTI_RC_TRY_AGAIN,
	TSS2_TCTI_RC_BAD_VALUE, TSS2_TCTI_RC_MALFORMED_RESPONSE };

static struct {
	TSS2_RC code;
	unsigned at, seen; /* at 0: nothing fails */
	bool for_good;
	TSS2_TCTI_TRANSMIT_FCN transmit;
	TSS2_TCTI_RECEIVE_FCN receive;
} fault;

static bool
due(void)
{
	fault.seen++;
	return fault.at != 0 &&
	    (fault.seen == fault.at ||
		(fault.seen > fault.at && fault.for_good));
}

static TSS2_RC
transmit(TSS2_TCTI_CONTEXT *ctx, size_t size, const uint8_t *command)
{
	return due() ? fault.code : fault.transmit(ctx, size, command);
}

static TSS2_RC
receive(TSS2_TCTI_CONTEXT *ctx, size_t *size, uint8_t *response,
    int32_t timeout)
{
	return due() ? fault.code : fault.receive(ctx, size, response, timeout);
}

TSS2_RC __real_Tss2_TctiLdr_Initialize(const char *name,
    TSS2_TCTI_CONTEXT **ret);
TSS2_RC __wrap_Tss2_TctiLdr_Initialize(const char *name,
    TSS2_TCTI_CONTEXT **ret);
TSS2_RC
__wrap_Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **ret)
{
	TSS2_RC rc;

	if (due())
		return fault.code;
	rc = __real_Tss2_TctiLdr_Initialize(name, ret);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	fault.transmit = TSS2_TCTI_TRANSMIT(*ret);
	fault.receive = TSS2_TCTI_RECEIVE(*ret);
	TSS2_TCTI_TRANSMIT(*ret) = transmit;
	TSS2_TCTI_RECEIVE(*ret) = receive;
	return rc;
}

static struct round_scene scene;
static char tcti[160];

static int
start(void **state)
{
	(void)state;
	round_scene_start(&scene, "");
	if (!scene.there)
		return 0;
	round_scene_configure(&scene, &(struct round_options){ 0 });
	(void)snprintf(tcti, sizeof(tcti), "libtss2-tcti-device.so.0:%s",
	    machine_path(&scene.m, "dev/tpmrm0"));
	free(scene.cfg->tpm.tcti);
	scene.cfg->tpm.tcti = strdup(tcti);
	return scene.cfg->tpm.tcti != NULL ? 0 : -1;
}

static int
stop(void **state)
{
	(void)state;
	round_scene_stop(&scene);
	return 0;
}

/* Says where, what, and what it was, or there is no error. */
static void
must_be_explained(const char *what, int err, const struct why *why)
{
	if (err != CVM_OK &&
	    (why->err != err || why->where[0] == '\0' ||
		why->field[0] == '\0' || why->got[0] == '\0'))
		fail_msg("%s, call %u, code 0x%x: %d without a reason: %s",
		    what, fault.at, fault.code, err, why->field);
}

/* One thing done with a TPM. Success is looked at: it is never false. Only
 * a fault of the last call, which cleans up, leaves it a success for good. */
typedef int deed(struct vtpm *t, const struct sealing *g, struct why *why);

static int
quote_it(struct vtpm *t, const struct sealing *g, struct why *why)
{
	_cleanup_(quoted_clear) struct quoted q = { 0 };

	(void)g;
	return quote_with(t, MASK, &q, why);
}

static int
unseal_it(struct vtpm *t, const struct sealing *g, struct why *why)
{
	return unseal(t, g, "pin", why);
}

static int
unseal_wrongly(struct vtpm *t, const struct sealing *g, struct why *why)
{
	int err = unseal(t, g, "another", why);

	if (err == CVM_OK)
		fail_msg("call %u, code 0x%x: a wrong PIN opens", fault.at,
		    fault.code);
	return err == CVM_E_PIN_INCORRECT ? CVM_OK : err;
}

static int
seal_it(struct vtpm *t, const struct sealing *g, struct why *why)
{
	struct sealing copy = *g;
	int err;

	copy.blob = (struct blob){ 0 };
	err = vtpm_seal(t, HASH_SHA256, &g->set, g->data, g->auth, &copy.blob,
	    why);
	if (err == CVM_OK) {
		fault.at = 0;
		err = unseal(t, &copy, "pin", NULL);
	} else if (copy.blob.len != 0) {
		fail_msg("a blob beside an error");
	}
	blob_clear(&copy.blob);
	return err;
}

/* True when there was an at-th call. */
static bool
harm(const char *what, deed *do_it, const struct sealing *g, unsigned at)
{
	struct vtpm *t = connect_to(tcti);
	struct why why = { 0 };
	bool reached;
	int err;

	fault.at = at;
	fault.seen = 0;
	err = do_it(t, g, &why);
	reached = fault.seen >= at;
	fault.at = at;
	must_be_explained(what, err, &why);
	fault.at = 0;
	if (err != CVM_OK)
		assert_int_equal(do_it(t, g, &why), CVM_OK);
	else if (!reached)
		assert_int_equal(err, CVM_OK);
	vtpm_freep(&t);
	return reached;
}

static void
every_call_fails(void **state)
{
	static const struct {
		const char *name;
		deed *do_it;
	} deeds[] = {
		{ "quote", quote_it },
		{ "unseal", unseal_it },
		{ "unseal with a wrong PIN", unseal_wrongly },
		{ "seal", seal_it },
	};
	_cleanup_(sealing_clear) struct sealing g = { 0 };
	unsigned n = 0;
	struct vtpm *t;

	(void)state;
	if (!scene.there)
		skip();
	t = connect_to(tcti);
	seal_now(t, "pin", &g);
	vtpm_freep(&t);
	for (size_t i = 0; i < NELEMS(deeds); i++)
		for (size_t c = 0; c < 2 * NELEMS(codes); c++) {
			unsigned at = 1;

			fault.code = codes[c / 2];
			fault.for_good = c % 2 == 1;
			while (harm(deeds[i].name, deeds[i].do_it, &g, at))
				assert_true(at++ < CALLS_MAX);
			n += at - 1;
		}
	print_message("# %u faults\n", n);
	assert_true(n >= 400);
}

/* A permit comes with a round that says so. */
static bool
harm_round(unsigned at)
{
	struct admission a = { 0 };
	struct rounds *r = NULL;
	struct why why = { 0 };
	bool reached;
	int err;

	assert_int_equal(rounds_new(scene.cfg, scene.policy, &r), CVM_OK);
	fault.at = at;
	fault.seen = 0;
	err = round_scene_join(r, /* fresh= */ true, &a, &why);
	reached = fault.seen >= at;
	must_be_explained("round", err, &why);
	if (reached && fault.for_good && err == CVM_OK)
		fail_msg("call %u, code 0x%x: admitted", at, fault.code);
	if (err != CVM_OK && err != CVM_E_UNREACHABLE && err != CVM_E_DENIED)
		fail_msg("call %u, code 0x%x: %d", at, fault.code, err);
	admission_clear(&a);
	fault.at = 0;
	if (err != CVM_OK)
		assert_int_equal(round_scene_join(r, true, &a, &why), CVM_OK);
	admission_clear(&a);
	rounds_freep(&r);
	return reached;
}

static void
every_call_of_a_round_fails(void **state)
{
	static const TSS2_RC some[] = { TSS2_TCTI_RC_IO_ERROR,
		TSS2_TCTI_RC_BAD_VALUE };
	unsigned n = 0;

	(void)state;
	if (!scene.there)
		skip();
	for (size_t c = 0; c < 2 * NELEMS(some); c++) {
		unsigned at = 1;

		fault.code = some[c / 2];
		fault.for_good = c % 2 == 1;
		while (harm_round(at))
			assert_true(at++ < CALLS_MAX);
		n += at - 1;
	}
	print_message("# %u faults\n", n);
	assert_true(n >= 60);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails),
		cmocka_unit_test(every_call_of_a_round_fails),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
