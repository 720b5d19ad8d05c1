/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/secret.h"

static const uint8_t *watched;
static size_t watched_len;
static int unmapped_dirty = -1;

/* Stands before the C library's: looks at a secret's pages as they go. */
int
munmap(void *p, size_t len)
{
	const uint8_t *at = p;

	if (watched >= at && watched < at + len) {
		unmapped_dirty = 0;
		for (size_t i = 0; i < watched_len; i++)
			unmapped_dirty |= watched[i];
		watched = NULL;
	}
	return (int)syscall(SYS_munmap, p, len);
}

static void
left_in_memory_when_freed(void **state)
{
	struct secret *s = secret_copy(span("correct horse", 13));

	(void)state;
	assert_non_null(s);
	watched = secret_data(s);
	watched_len = 13;
	secret_freep(&s);
	assert_null(s);
	assert_int_equal(unmapped_dirty, 0);
}

static void
left_in_memory_when_cut(void **state)
{
	_cleanup_(secret_freep) struct secret *s = secret_copy(
	    span("battery staple", 14));
	static const uint8_t zeros[7];

	(void)state;
	secret_shrink(s, 7);
	assert_int_equal(secret_len(s), 7);
	assert_int_equal(secret_span(s).len, 7);
	assert_memory_equal(secret_data(s), "battery", 7);
	assert_memory_equal(secret_data(s) + 7, zeros, 7);
	/* Growing is not shrinking. */
	secret_shrink(s, 14);
	assert_int_equal(secret_len(s), 7);
	secret_shrink(s, 0);
	assert_int_equal(secret_len(s), 0);
	assert_memory_equal(secret_data(s), zeros, 7);
}

/* "dd" among the VmFlags of the mapping: proc(5). */
static void
written_to_core_dump(void **state)
{
	_cleanup_(secret_freep) struct secret *s = secret_new(10000);
	const uint8_t *data = secret_data(s);
	uintptr_t first = (uintptr_t)data;
	uintptr_t last = first + 9999;
	unsigned long from = 0, to = 0;
	size_t covered = 0;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "re");

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long a, b;

		if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
			from = a;
			to = b;
		}
		if (strncmp(line, "VmFlags:", 8) != 0 || last < from ||
		    first >= to)
			continue;
		assert_non_null(strstr(line, " dd"));
		covered++;
	}
	fclose(f);
	assert_true(covered > 0);
}

static void
lost_in_forked_worker(void **state)
{
	_cleanup_(secret_freep) struct secret *s = secret_copy(span("key", 3));
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(memcmp(secret_data(s), "key", 3) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
new_one_not_zero(void **state)
{
	_cleanup_(secret_freep) struct secret *s = secret_new(SECRET_MAX);
	const uint8_t *data = secret_data(s);

	(void)state;
	assert_non_null(s);
	assert_int_equal(secret_len(s), SECRET_MAX);
	assert_true(span_is_filled(secret_span(s), 0));
	assert_int_equal((uintptr_t)data % 16, 0);
}

static void
length_out_of_range(void **state)
{
	_cleanup_(secret_freep) struct secret *empty = secret_new(0);
	_cleanup_(secret_freep) struct secret *none = secret_copy(
	    span(NULL, 0));

	(void)state;
	assert_non_null(empty);
	assert_int_equal(secret_len(empty), 0);
	assert_non_null(none);
	assert_null(secret_new(SECRET_MAX + 1));
	assert_null(secret_new(SIZE_MAX));
	assert_null(secret_new(SIZE_MAX - 8));
	assert_null(secret_copy(span("x", SIZE_MAX)));
}

static void
null_freed(void **state)
{
	struct secret *s = NULL;

	(void)state;
	secret_freep(NULL);
	secret_freep(&s);
	secret_wipe(NULL, 0);
	secret_wipe(NULL, 8);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(left_in_memory_when_freed),
		cmocka_unit_test(left_in_memory_when_cut),
		cmocka_unit_test(written_to_core_dump),
		cmocka_unit_test(lost_in_forked_worker),
		cmocka_unit_test(new_one_not_zero),
		cmocka_unit_test(length_out_of_range),
		cmocka_unit_test(null_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
