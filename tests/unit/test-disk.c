/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/failing-disk.h"

static void
one_call_finds_the_disk_full(void **state)
{
	(void)state;
	all_changes_fail(HARM_FAIL, ENOSPC);
}

static void
one_call_finds_the_disk_read_only(void **state)
{
	(void)state;
	all_changes_fail(HARM_FAIL, EROFS);
}

static void
disk_is_full_from_some_call_on(void **state)
{
	(void)state;
	all_changes_fail(HARM_FAIL_ON, ENOSPC);
}

static void
disk_is_read_only_from_some_call_on(void **state)
{
	(void)state;
	all_changes_fail(HARM_FAIL_ON, EROFS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_call_finds_the_disk_full),
		cmocka_unit_test(one_call_finds_the_disk_read_only),
		cmocka_unit_test(disk_is_full_from_some_call_on),
		cmocka_unit_test(disk_is_read_only_from_some_call_on),
	};

	return cmocka_run_group_tests(tests, disk_start, disk_stop);
}
