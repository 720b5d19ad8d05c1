/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake-clock.h"
#include "tests/unit/faulty-calls.h"
#include "tests/unit/scene-program.h"

/*
 * The round of a session that opens, in which the k-th allocation or the k-th
 * call of OpenSSL fails, for every k: a machine that the policy does not admit
 * is not admitted by that, and one that it admits is at the latest with the
 * next round. The login is by attestation, so that nothing but the verdict
 * stands before the keys; each round is the first of its gate.
 */
#if defined(__SANITIZE_ADDRESS__)
#define STEP_LEN 7u /* for what the others would say again */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STEP_LEN 7u
#endif
#endif
#ifndef STEP_LEN
#define STEP_LEN 1u
#endif

static const struct {
	enum injected kind;
	const char *name;
	unsigned least;
} kinds[] = { { INJECT_MEMORY, "memory", 200 },
	{ INJECT_EVP, "OpenSSL", 150 } };

/* Machines that are not what the policy says, each for another check. */
static const char *const wrongs[] = {
	"set debug on",
	"set tsm.wrong_nonce -1",
	"set signature bad",
	"set root foreign",
};

static CK_BYTE digest[32] = "thirty-two bytes, as of a digest";
static CK_SLOT_ID slot;
static unsigned left_out;

/* The key is looked for and used: what the last of the calls says. */
static CK_RV
sign_on(CK_SESSION_HANDLE s)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_BYTE sig[64];
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_LABEL, (char[]){ "ec" }, 2 } };
	CK_OBJECT_HANDLE h = CK_INVALID_HANDLE;
	CK_ULONG n = 0, len = sizeof(sig);
	CK_RV rv = C_FindObjectsInit(s, t, NELEMS(t));

	if (rv == CKR_OK)
		rv = C_FindObjects(s, &h, 1, &n);
	if (rv == CKR_OK)
		rv = C_FindObjectsFinal(s);
	if (rv == CKR_OK && n == 0)
		rv = CKR_KEY_HANDLE_INVALID;
	if (rv == CKR_OK)
		rv = C_SignInit(s, MECH(CKM_ECDSA), h);
	return rv != CKR_OK ? rv : C_Sign(s, digest, sizeof(digest), sig, &len);
}

/* What the first session of a process that remembers nothing comes to. */
static CK_RV
first_round(enum injected kind, unsigned at, CK_SESSION_HANDLE *ret)
{
	CK_RV rv;

	assert_ok(C_Initialize(NULL));
	slot = the_slot();
	inject(kind, 0, at);
	rv = C_OpenSession(slot, RO, NULL, NULL, ret);
	(void)inject_pause();
	return rv;
}

/* True when there was an at-th call of that kind. */
static bool
wrongly_admitted(enum injected kind, unsigned at, const char *how)
{
	CK_SESSION_HANDLE s = CK_INVALID_HANDLE;
	CK_RV rv = first_round(kind, at, &s);
	bool reached = injector.reached;

	if (rv == CKR_OK && sign_on(s) == CKR_OK)
		complain("%s: a key signs", how);
	assert_ok(C_Finalize(NULL));
	return reached;
}

/* A key that cannot be looked at is not found, which is no fault by itself. */
static bool
is_denial(CK_RV rv)
{
	return is_of_fault("a round", rv) ||
	    rv == CKR_KEY_FUNCTION_NOT_PERMITTED ||
	    rv == CKR_KEY_HANDLE_INVALID;
}

static bool
is_admitted(CK_SESSION_HANDLE s)
{
	CK_SESSION_INFO info = { 0 };

	assert_ok(C_GetSessionInfo(s, &info));
	return info.state == CKS_RO_USER_FUNCTIONS;
}

/* What cannot be looked at is not admitted, and heals. But for a record that
 * OpenSSL does not open, which is as good as a forged one: it is left out. */
static bool
denied_for_good(enum injected kind, unsigned at, const char *how)
{
	CK_SESSION_HANDLE s = CK_INVALID_HANDLE;
	CK_RV rv = first_round(kind, at, &s);
	bool reached = injector.reached;

	if (rv == CKR_OK)
		rv = sign_on(s);
	if (rv != CKR_OK) {
		if (!reached || !is_denial(rv))
			complain("%s: 0x%lx", how, rv);
		fake_clock_pass(1000); /* longer than retry_ms */
		rv = C_OpenSession(slot, RO, NULL, NULL, &s);
		if (rv == CKR_OK)
			rv = sign_on(s);
		if (rv == CKR_KEY_HANDLE_INVALID && kind == INJECT_EVP &&
		    is_admitted(s))
			left_out++;
		else if (rv != CKR_OK)
			complain("%s: 0x%lx in the next round", how, rv);
	}
	assert_ok(C_Finalize(NULL));
	return reached;
}

/* An allocation that fails is a denial that heals wherever it is: every third
 * is tried, unless STARVE_ALL is set. */
static void
every_fault(bool (*try)(enum injected kind, unsigned at, const char *how),
    const char *how, size_t k)
{
	const bool all = kinds[k].kind == INJECT_EVP || try == wrongly_admitted;
	const unsigned step = all || getenv("STARVE_ALL") != NULL ?
	    STEP_LEN :
	    STEP_LEN * 3;
	unsigned at = 1;

	while (try(kinds[k].kind, at, how))
		at += step;
	print_message("# %s: %u faults of %s\n", how, injector.seen,
	    kinds[k].name);
	assert_true(injector.seen >= kinds[k].least);
}

static void
prepare(void)
{
	complaints = 0;
	scene_prepare(&scene,
	    &(struct scene_options){ .login = "attestation" });
}

static void
fault_admits_another_machine(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	prepare();
	for (size_t i = 0; i < NELEMS(wrongs); i++) {
		machine_ctl(&scene.m, wrongs[i]);
		/* Memory is no part of what makes one wrong. */
		every_fault(wrongly_admitted, wrongs[i], 1);
		if (i == 0)
			every_fault(wrongly_admitted, wrongs[i], 0);
		machine_reset(&scene.m);
	}
	assert_int_equal(complaints, 0);
}

static void
fault_denies_for_good(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	prepare();
	for (size_t k = 0; k < NELEMS(kinds); k++)
		every_fault(denied_for_good, "as it should be", k);
	assert_in_range(left_out, 0, 4);
	assert_int_equal(complaints, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(fault_admits_another_machine,
		    teardown),
		cmocka_unit_test_teardown(fault_denies_for_good, teardown),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
