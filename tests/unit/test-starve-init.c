/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/faulty-calls.h"
#include "tests/unit/scene-program.h"

/*
 * C_InitToken: the new token, or the one before.
 */
static const struct {
	enum injected kind;
	int code;
} faults[] = { { INJECT_MEMORY, 0 }, { INJECT_EVP, 0 },
	{ INJECT_SQLITE, SQLITE_IOERR } };

static CK_UTF8CHAR new_label[33];

static bool
is_new(void)
{
	CK_TOKEN_INFO info;

	assert_ok(C_GetTokenInfo(the_slot(), &info));
	return memcmp(info.label, new_label, sizeof(info.label)) == 0;
}

static void
expect_whole(void)
{
	CK_UTF8CHAR so_pin[] = SO_PIN;

	assert_ok(
	    C_Login(open_session(RW), CKU_SO, so_pin, sizeof(so_pin) - 1));
	assert_ok(C_CloseAllSessions(the_slot()));
}

static bool
init_fault(enum injected kind, int code, unsigned at)
{
	CK_UTF8CHAR so_pin[] = SO_PIN;
	CK_RV rv;

	(void)snprintf((char *)new_label, sizeof(new_label), "%-20d %-11u",
	    (int)kind, at);
	inject(kind, code, at);
	rv = C_InitToken(the_slot(), so_pin, sizeof(so_pin) - 1, new_label);
	(void)inject_pause();
	if (rv != CKR_OK &&
	    (!injector.reached || !is_of_fault("C_InitToken", rv)))
		complain("C_InitToken: 0x%lx", rv);
	if (is_new() != (rv == CKR_OK))
		complain("C_InitToken: 0x%lx, and it is not so", rv);
	usleep(12000); /* longer than retry_ms: a round may have failed */
	if (rv == CKR_OK || at % 16 == 0) /* what is broken stays so */
		expect_whole();
	return injector.reached;
}

static void
token_is_neither_old_nor_new(void **state)
{
	unsigned n = 0;

	(void)state;
	NEEDS_MACHINE();
	complaints = 0;
	freep(&scene.sealed_under); /* a token of its own */
	scene_prepare(&scene, &(struct scene_options){ .retry_ms = 10 });
	assert_ok(C_Initialize(NULL));
	for (size_t k = 0; k < NELEMS(faults); k++) {
		unsigned at = 1;

		while (init_fault(faults[k].kind, faults[k].code, at))
			at++;
		n += at - 1;
		print_message("# C_InitToken: %u faults\n", at - 1);
	}
	freep(&scene.sealed_under);
	assert_int_equal(complaints, 0);
	assert_true(n >= 600);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(token_is_neither_old_nor_new,
		    teardown),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
