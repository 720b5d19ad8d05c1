/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/failing-disk.h"

static void
one_call_finds_the_disk_broken(void **state)
{
	(void)state;
	all_changes_fail(HARM_FAIL, EIO);
}

static void
disk_is_broken_from_some_call_on(void **state)
{
	(void)state;
	all_changes_fail(HARM_FAIL_ON, EIO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_call_finds_the_disk_broken),
		cmocka_unit_test(disk_is_broken_from_some_call_on),
	};

	return cmocka_run_group_tests(tests, disk_start, disk_stop);
}
