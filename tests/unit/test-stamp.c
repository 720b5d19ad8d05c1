/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/stamp.h"
#include "base/blob.h"

static char dir[32], path[64];

static void
write_to(const char *name, int flags, const char *text)
{
	const int fd = open(name, O_WRONLY | O_CLOEXEC | flags, 0600);
	const size_t len = strlen(text);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

static void
write_new(const char *name, const char *text)
{
	write_to(name, O_CREAT | O_EXCL, text);
}

static void
overwrite(const char *text)
{
	write_to(path, 0, text);
}

static int
make_file(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/stamp-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	write_new(path, "one");
	return 0;
}

static int
remove_file(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

static struct stat
status(void)
{
	struct stat st = { 0 };

	assert_int_equal(stat(path, &st), 0);
	return st;
}

static struct stamp
look(void)
{
	const struct stat st = status();

	return stamp_of(&st);
}

static struct stamp
look_later(unsigned ns)
{
	const struct timespec t = { .tv_nsec = ns };

	(void)nanosleep(&t, NULL);
	return look();
}

/* A stamp of the file that is to be trusted, since it is old enough. */
static struct stamp
settled(void)
{
	struct stamp s = look_later(50000000);

	assert_false(s.racy);
	return s;
}

static void
quiet_file_read_again(void **state)
{
	const struct stamp read = settled(), now = look_later(1000000);

	(void)state;
	assert_true(stamp_same_file(&read, &now));
	assert_true(stamp_current(&read, &now));
}

/* As often as it takes for two writes to have one stamp. */
static void
edit_within_a_tick_unnoticed(void **state)
{
	struct stamp read, now;
	int same = 0;

	(void)state;
	for (int i = 0; i < 2000 && same < 20; i++) {
		overwrite("two");
		read = look();
		overwrite("six");
		now = look();
		assert_false(stamp_current(&read, &now));
		same += read.ctime.tv_nsec == now.ctime.tv_nsec;
	}
	/* Kernels since 6.13 take a finer clock where somebody looks. */
	if (same == 0)
		skip();
}

static void
replace(void)
{
	char other[80];

	(void)snprintf(other, sizeof(other), "%s.new", path);
	write_new(other, "two");
	assert_int_equal(rename(other, path), 0);
}

static void
rewrite_same_size(void)
{
	overwrite("two");
}

static void
grow(void)
{
	overwrite("three");
}

static void
cut(void)
{
	assert_int_equal(truncate(path, 1), 0);
}

/* Edited, and given the time back that it had. */
static void
edit_and_hide(void)
{
	const struct stat st = status();
	const struct timespec times[] = { st.st_atim, st.st_mtim };

	overwrite("two");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
change_mode(void)
{
	assert_int_equal(chmod(path, 0640), 0);
}

static void
change_unnoticed(void **state)
{
	void (*const changes[])(void) = { replace, rewrite_same_size, grow, cut,
		edit_and_hide, change_mode };

	(void)state;
	for (size_t i = 0; i < NELEMS(changes); i++) {
		struct stamp read = settled(), now;

		changes[i]();
		now = look();
		assert_false(stamp_current(&read, &now));
		assert_int_equal(stamp_same_file(&read, &now),
		    changes[i] != replace);
		/* And noticed once. */
		read = settled();
		now = look();
		assert_true(stamp_current(&read, &now));
	}
}

static void
file_gone_or_new_unnoticed(void **state)
{
	const struct stamp none = { 0 }, read = settled();

	(void)state;
	assert_false(stamp_current(&read, &none));
	assert_false(stamp_current(&none, &read));
	assert_false(stamp_same_file(&none, &read));
	assert_true(stamp_current(&none, &none));
}

/* Whatever the kernel below counts in. */
static void
racy_stamp_trusted(void **state)
{
	const struct stamp now = settled();
	struct stamp read = now;

	(void)state;
	assert_true(stamp_current(&read, &now));
	read.racy = true;
	assert_false(stamp_current(&read, &now));
	assert_false(stamp_current(&read, &read));
	assert_true(stamp_same_file(&read, &now));
}

/* Where a change moves one thing alone, as clocks and file systems may. */
static void
one_thing_differs(void **state)
{
	const struct stamp read = settled();
	struct stamp now[7];

	(void)state;
	for (size_t i = 0; i < NELEMS(now); i++)
		now[i] = read;
	now[0].dev++;
	now[1].ino++;
	now[2].size--;
	now[3].mtime.tv_sec++;
	now[4].mtime.tv_nsec ^= 1;
	now[5].ctime.tv_sec++;
	now[6].ctime.tv_nsec ^= 1;
	for (size_t i = 0; i < NELEMS(now); i++)
		assert_false(stamp_current(&read, &now[i]));
}

static bool
racy(int64_t changed_s, long changed_ns, int64_t now_s, long now_ns)
{
	const struct stat st = { .st_ino = 1,
		.st_ctim = { changed_s, changed_ns } };
	const struct timespec now = { now_s, now_ns };

	return stamp_at(&st, &now).racy;
}

/* The last moment at which another write could have the same time, and those
 * about it. */
static void
stamp_trusted_too_early(void **state)
{
	(void)state;
	/* Times of nanoseconds, which move with the tick. */
	assert_true(racy(100, 500, 100, 500));
	assert_true(racy(100, 500, 100, 10000500));
	assert_true(racy(100, 500, 100, 20000499));
	assert_false(racy(100, 500, 100, 20000500));
	assert_true(racy(100, 999999999, 101, 19999998));
	assert_false(racy(100, 999999999, 101, 19999999));
	assert_false(racy(100, 999999999, 200, 0));
	/* Whole seconds, or two of them. */
	assert_true(racy(100, 0, 100, 999999999));
	assert_true(racy(100, 0, 101, 999999999));
	assert_true(racy(100, 0, 102, 19999999));
	assert_false(racy(100, 0, 102, 20000000));
	assert_false(racy(100, 0, 104, 0));
}

/* The clock was set back, or the file has another machine's. */
static void
stamp_from_the_future_trusted(void **state)
{
	(void)state;
	assert_true(racy(100, 500, 100, 499));
	assert_true(racy(101, 500, 100, 999999999));
	assert_true(racy(4000, 500, 100, 0));
	assert_true(racy(INT64_MAX, 999999999, 100, 0));
	assert_true(racy(100, 500, 0, 0));
}

static void
times_out_of_range(void **state)
{
	(void)state;
	assert_false(racy(INT64_MIN, 0, 100, 0));
	assert_false(racy(-1, 0, 100, 0));
	assert_false(racy(0, 0, INT64_MAX / 2, 0));
}

#define ON(f) cmocka_unit_test_setup_teardown(f, make_file, remove_file)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON(quiet_file_read_again),
		ON(edit_within_a_tick_unnoticed),
		ON(change_unnoticed),
		ON(file_gone_or_new_unnoticed),
		ON(racy_stamp_trusted),
		ON(one_thing_differs),
		ON(stamp_trusted_too_early),
		ON(stamp_from_the_future_trusted),
		ON(times_out_of_range),
	};

	return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
