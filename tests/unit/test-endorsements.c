/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "attest/evidence.h"

static char top[] = "/tmp/cvm-endorsements-XXXXXX";

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int
begin(void **state)
{
	(void)state;
	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	return mkdtemp(top) == NULL;
}

static int
end(void **state)
{
	(void)state;
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *
path_of(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void
make_dir(const char *name)
{
	assert_int_equal(mkdir(path_of(name), 0700), 0);
}

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Long enough ago for a change of the same size to be seen. */
static void
let_time_pass(void)
{
	const struct timespec t = { 0, 50000000 };

	(void)nanosleep(&t, NULL);
}

static struct endorsements *
load(void)
{
	struct endorsements *e = NULL;
	struct why why = { 0 };

	if (endorsements_load(top, &e, &why) < 0)
		fail_msg("%s: %s: %s", why.where, why.expected, why.got);
	return e;
}

static void
refuse(const char *got)
{
	struct endorsements *e = NULL;
	struct why why = { 0 };

	assert_true(endorsements_load(top, &e, &why) < 0);
	assert_null(e);
	/* To clients it would be a function that the token does not have. */
	assert_int_not_equal(why.err, CVM_E_UNSUPPORTED);
	assert_non_null(strstr(why.where, top));
	if (strstr(why.got, got) == NULL)
		fail_msg("got \"%s\", wanted \"%s\"", why.got, got);
}

static bool
has(const struct endorsements *e, const char *name, const char *text)
{
	return span_equal(endorsements_find(e, name), span(text, strlen(text)));
}

static void
files_are_found_by_name(void **state)
{
	struct endorsements *e;

	(void)state;
	make_dir("intel");
	make_dir("amd");
	make_dir("amd/milan");
	write_file("intel/root-ca.crl", "crl");
	write_file("amd/milan/ark.pem", "ark");
	write_file("amd/milan/empty.der", "");
	write_file("README.txt", "for people");
	write_file("intel/.root-ca.crl.new", "half written");
	let_time_pass();
	e = load();
	assert_true(has(e, "intel/root-ca.crl", "crl"));
	assert_true(has(e, "amd/milan/ark.pem", "ark"));
	assert_int_equal(endorsements_find(e, "intel").len, 0);
	assert_int_equal(endorsements_find(e, "README.txt").len, 0);
	assert_int_equal(endorsements_find(e, "intel/none.crl").len, 0);
	/* In the order of their names, and nothing else. */
	assert_string_equal(endorsements_name(e, 0), "amd/milan/ark.pem");
	assert_string_equal(endorsements_name(e, 1), "amd/milan/empty.der");
	assert_string_equal(endorsements_name(e, 2), "intel/root-ca.crl");
	assert_null(endorsements_name(e, 3));
	assert_false(endorsements_stale(e));
	endorsements_freep(&e);
	assert_null(e);
	endorsements_freep(&e);
}

static void
a_missing_directory_is_an_empty_set(void **state)
{
	struct endorsements *e = NULL;
	struct why why = { 0 };

	(void)state;
	assert_int_equal(endorsements_load(path_of("later"), &e, &why), CVM_OK);
	assert_null(endorsements_name(e, 0));
	assert_false(endorsements_stale(e));
	make_dir("later");
	assert_true(endorsements_stale(e));
	endorsements_freep(&e);
	write_file("file", "");
	assert_int_equal(endorsements_load(path_of("file"), &e, &why),
	    CVM_E_IO);
	assert_null(e);
}

/* What a change is made to, and how. */
static void
expect_stale(void (*change)(void))
{
	struct endorsements *e;

	let_time_pass();
	e = load();
	assert_false(endorsements_stale(e));
	change();
	assert_true(endorsements_stale(e));
	endorsements_freep(&e);
	let_time_pass();
	e = load();
	assert_false(endorsements_stale(e));
	endorsements_freep(&e);
}

static void
grow(void)
{
	write_file("a/one.pem", "changed");
}

static void
rewrite_same_size(void)
{
	write_file("a/one.pem", "CHANGED");
}

static void
rewrite_with_old_time(void)
{
	const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };

	write_file("a/one.pem", "changes");
	assert_int_equal(utimensat(AT_FDCWD, path_of("a/one.pem"), old, 0), 0);
}

/* Only the time of the inode's change tells. */
static void
rewrite_and_hide(void)
{
	struct timespec times[2];
	struct stat st;

	assert_int_equal(stat(path_of("a/one.pem"), &st), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	write_file("a/one.pem", "CHANGES");
	assert_int_equal(utimensat(AT_FDCWD, path_of("a/one.pem"), times, 0),
	    0);
}

static void
replace(void)
{
	char to[512];

	write_file("a/.new", "0123456");
	(void)snprintf(to, sizeof(to), "%s", path_of("a/one.pem"));
	assert_int_equal(rename(path_of("a/.new"), to), 0);
}

static void
add_file(void)
{
	write_file("a/two.pem", "two");
}

static void
remove_file(void)
{
	assert_int_equal(unlink(path_of("a/two.pem")), 0);
}

static void
add_dir(void)
{
	make_dir("b");
}

static void
every_change_is_noticed(void **state)
{
	void (*const changes[])(void) = { grow, rewrite_same_size,
		rewrite_with_old_time, rewrite_and_hide, replace, add_file,
		remove_file, add_dir };

	(void)state;
	make_dir("a");
	write_file("a/one.pem", "one");
	for (size_t i = 0; i < NELEMS(changes); i++)
		expect_stale(changes[i]);
}

/* A file read in the tick in which it was written might have been read
 * before the writer was done. */
static void
a_fresh_file_is_read_again(void **state)
{
	struct endorsements *e;

	(void)state;
	write_file("one.pem", "one");
	e = load();
	assert_true(endorsements_stale(e));
	endorsements_freep(&e);
}

static void
an_update_by_symbolic_link_is_noticed(void **state)
{
	struct endorsements *e = NULL;
	char link[512], next[512];

	(void)state;
	make_dir("v1");
	make_dir("v2");
	write_file("v1/a.pem", "old");
	write_file("v2/a.pem", "new");
	(void)snprintf(link, sizeof(link), "%s", path_of("current"));
	(void)snprintf(next, sizeof(next), "%s", path_of(".next"));
	assert_int_equal(symlink("v1", link), 0);
	let_time_pass();
	assert_int_equal(endorsements_load(link, &e, NULL), CVM_OK);
	assert_true(has(e, "a.pem", "old"));
	assert_false(endorsements_stale(e));
	assert_int_equal(symlink("v2", next), 0);
	assert_int_equal(rename(next, link), 0);
	assert_true(endorsements_stale(e));
	endorsements_freep(&e);
	assert_int_equal(endorsements_load(link, &e, NULL), CVM_OK);
	assert_true(has(e, "a.pem", "new"));
	endorsements_freep(&e);
}

static void
symbolic_links_inside_are_refused(void **state)
{
	(void)state;
	assert_int_equal(symlink("/etc/passwd", path_of("a.pem")), 0);
	refuse("symbolic link");
	assert_int_equal(unlink(path_of("a.pem")), 0);
	assert_int_equal(symlink("/etc", path_of("amd")), 0);
	refuse("symbolic link");
}

static void
a_fifo_does_not_block(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path_of("a.pem"), 0600), 0);
	refuse("another kind");
}

static void
deep_directories_are_refused(void **state)
{
	(void)state;
	make_dir("1");
	make_dir("1/2");
	make_dir("1/2/3");
	write_file("1/2/3/a.pem", "deep");
	let_time_pass();
	{
		struct endorsements *e = load();

		assert_true(has(e, "1/2/3/a.pem", "deep"));
		endorsements_freep(&e);
	}
	make_dir("1/2/3/4");
	refuse("more");
}

static void
too_many_files_are_refused(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < ENDORSEMENTS_FILES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%u.pem", i);
		write_file(name, "");
	}
	{
		struct endorsements *e = load();

		assert_non_null(
		    endorsements_name(e, ENDORSEMENTS_FILES_MAX - 1));
		endorsements_freep(&e);
	}
	write_file("more.pem", "");
	refuse("more");
}

static void
sparse(const char *name, off_t size)
{
	write_file(name, "");
	assert_int_equal(truncate(path_of(name), size), 0);
}

static void
too_large_files_are_refused(void **state)
{
	struct endorsements *e;
	char name[32];

	(void)state;
	sparse("a.pem", ENDORSEMENTS_FILE_MAX + 1);
	refuse("more");
	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "%c.pem", 'a' + (char)i);
		sparse(name, ENDORSEMENTS_FILE_MAX);
	}
	e = load();
	assert_int_equal(endorsements_find(e, "h.pem").len,
	    ENDORSEMENTS_FILE_MAX);
	endorsements_freep(&e);
	sparse("z.pem", 1);
	refuse("more");
}

static void
only_plain_names_can_be_added(void **state)
{
	static const char *const bad[] = { "", ".", "..", "../a", "a/../b",
		"/a", "a/", "a//b", ".hidden", "a/.hidden", "a b", "a\nb",
		"1/2/3/4/5", "caf\xc3\xa9" };
	struct endorsements *e = endorsements_new();
	char *name = calloc(1, 300);

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++)
		assert_int_equal(endorsements_add(e, bad[i], span("x", 1)),
		    CVM_E_INVAL);
	memset(name, 'a', 201);
	assert_int_equal(endorsements_add(e, name, span("x", 1)), CVM_E_INVAL);
	name[200] = '\0';
	assert_int_equal(endorsements_add(e, name, span("x", 1)), CVM_OK);
	assert_int_equal(endorsements_add(e, "a/b.pem", span("x", 1)), CVM_OK);
	assert_int_equal(endorsements_add(e, "a/b.pem", span("y", 1)),
	    CVM_E_EXISTS);
	assert_true(has(e, "a/b.pem", "x"));
	assert_false(endorsements_stale(e));
	free(name);
	endorsements_freep(&e);
}

static void
no_set_has_no_files(void **state)
{
	(void)state;
	assert_int_equal(endorsements_find(NULL, "a").len, 0);
	assert_null(endorsements_name(NULL, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_are_found_by_name),
		TEST(a_missing_directory_is_an_empty_set),
		TEST(every_change_is_noticed),
		TEST(a_fresh_file_is_read_again),
		TEST(an_update_by_symbolic_link_is_noticed),
		TEST(symbolic_links_inside_are_refused),
		TEST(a_fifo_does_not_block),
		TEST(deep_directories_are_refused),
		TEST(too_many_files_are_refused),
		TEST(too_large_files_are_refused),
		TEST(only_plain_names_can_be_added),
		TEST(no_set_has_no_files),
	};

	return cmocka_run_group_tests_name("endorsements", tests, NULL, NULL);
}
