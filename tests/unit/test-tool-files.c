/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/collateral.h"

/* What cvm-token writes: files, and the directory of endorsements. */

static char dir[64];

static struct {
	unsigned n, fail_at; /* 0: none */
	bool for_good;	     /* and all after it */
	bool die;	     /* instead */
} renames;

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);

int
__wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	renames.n++;
	if (renames.n == renames.fail_at ||
	    (renames.for_good && renames.n > renames.fail_at)) {
		if (renames.die)
			_exit(7);
		errno = ENOSPC;
		return -1;
	}
	return __real_renameat(from_fd, from, to_fd, to);
}

/* A writer of a log, whose turn comes in the calls of the reader. */
static struct {
	int fd;			 /* or -1 */
	unsigned pauses, end_at; /* 0: it never ends */
	bool begins_again;
} writer = { .fd = -1 };

int __real_flock(int fd, int op);

static void
append(const char *text)
{
	assert_int_equal(write(writer.fd, text, strlen(text)), strlen(text));
}

int
__wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
	(void)t;
	(void)left;
	if (++writer.pauses == writer.end_at) {
		append("ond\n");
		assert_int_equal(__real_flock(writer.fd, LOCK_UN), 0);
	}
	return 0;
}

int
__wrap_flock(int fd, int op)
{
	int r = __real_flock(fd, op);

	if (op == LOCK_UN && writer.begins_again) {
		assert_int_equal(__real_flock(writer.fd, LOCK_EX | LOCK_NB), 0);
		append("thi");
	}
	return r;
}

static unsigned malloc_fails_at; /* 0: never */

void *__real_malloc(size_t len);

void *
__wrap_malloc(size_t len)
{
	if (malloc_fails_at > 0 && --malloc_fails_at == 0)
		return NULL;
	return __real_malloc(len);
}

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test-tool-files.XXXXXX");
	memset(&renames, 0, sizeof(renames));
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
remove_dir(void **state)
{
	char command[128];

	(void)state;
	(void)umask(022);
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static const char *
path(const char *name, char buf[static 256])
{
	(void)snprintf(buf, 256, "%s/%s", dir, name);
	return buf;
}
#define PATH(name) path((name), (char[256]){ 0 })

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(PATH(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
holds(const char *name, const char *text)
{
	char got[128] = "";
	FILE *f = fopen(PATH(name), "r");

	assert_non_null(f);
	(void)!fgets(got, sizeof(got), f);
	(void)fclose(f);
	assert_string_equal(got, text);
}

static bool
exists(const char *name)
{
	struct stat st;

	return lstat(PATH(name), &st) == 0;
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(PATH(name), &st), 0);
	return st.st_mode & 07777;
}

/* ---- The directory of endorsements ---- */

static const char *const names[] = { "amd/milan/ark.pem", "amd/milan/ask.pem",
	"intel/root-ca.crl" };

static int
install(const char *text, struct why *why)
{
	_cleanup_(
	    endorsements_freep) struct endorsements *e = endorsements_new();
	struct collateral_dir d = { NULL, -1 };
	int r;

	assert_non_null(e);
	for (size_t i = 0; i < NELEMS(names); i++)
		assert_int_equal(endorsements_add(e, names[i],
				     span(text, strlen(text))),
		    CVM_OK);
	memset(why, 0, sizeof(*why));
	r = collateral_dir_open(dir, &d, why);
	assert_int_equal(r, CVM_OK);
	r = collateral_install(&d, e, why);
	collateral_dir_close(&d);
	return r;
}

static void
all_hold(const char *text)
{
	for (size_t i = 0; i < NELEMS(names); i++)
		holds(names[i], text);
}

/* Nothing is left beside the files. */
static void
is_clean(void)
{
	char command[256];

	(void)snprintf(command, sizeof(command),
	    "test -z \"$(find %s -name '.*.new' -o -name '.*.old')\"", dir);
	assert_int_equal(system(command), 0);
}

static void
modes_without_umask(void **state)
{
	struct why why;

	(void)state;
	(void)umask(077);
	assert_int_equal(install("one", &why), CVM_OK);
	assert_int_equal(mode_of("amd"), 0755);
	assert_int_equal(mode_of("amd/milan"), 0755);
	assert_int_equal(mode_of("intel/root-ca.crl"), 0644);
	assert_int_equal(install("two", &why), CVM_OK);
	assert_int_equal(mode_of("intel/root-ca.crl"), 0644);
	all_hold("two");
	is_clean();
}

static void
rename_fails_half_way(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(install("one", &why), CVM_OK);
	for (unsigned i = 1; i <= NELEMS(names); i++) {
		renames.n = 0;
		renames.fail_at = i;
		assert_int_equal(install("two", &why), CVM_E_IO);
		assert_non_null(strstr(why.where, names[i - 1]));
		assert_string_equal(why.hint, "");
		all_hold("one");
		is_clean();
	}
	/* The first one goes away again, where there was none. */
	assert_int_equal(unlink(PATH(names[0])), 0);
	renames.n = 0;
	renames.fail_at = 2;
	assert_int_equal(install("two", &why), CVM_E_IO);
	assert_false(exists(names[0]));
	holds(names[1], "one");
	is_clean();
	renames.fail_at = 0;
	assert_int_equal(install("two", &why), CVM_OK);
	all_hold("two");
}

static void
rename_fails_and_back_too(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(install("one", &why), CVM_OK);
	renames.n = 0;
	renames.fail_at = 2;
	renames.for_good = true;
	assert_int_equal(install("two", &why), CVM_E_IO);
	assert_non_null(strstr(why.hint, "could not be put back"));
	holds(names[0], "two");
	holds(names[1], "one");
	is_clean();
}

static void
leftovers_of_a_crash(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(install("one", &why), CVM_OK);
	put("victim", "precious");
	put("amd/milan/.ark.pem.new", "half of i");
	put("amd/milan/.other.pem.old", "half of i");
	put("intel/.notes", "somebody's");
	assert_int_equal(symlink(PATH("victim"),
			     PATH("intel/.root-ca.crl.new")),
	    0);
	assert_int_equal(symlink(PATH("victim"),
			     PATH("amd/milan/.ask.pem.old")),
	    0);
	assert_int_equal(install("two", &why), CVM_OK);
	all_hold("two");
	is_clean();
	holds("victim", "precious");
	assert_int_equal(mode_of("victim"), 0644);
	holds("intel/.notes", "somebody's");
}

static void
install_and_die(unsigned at)
{
	struct why why;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		renames.n = 0;
		renames.fail_at = at;
		renames.die = true;
		_exit(install("two", &why) == CVM_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void
open_and_close(void)
{
	struct collateral_dir d;
	struct why why;

	assert_int_equal(collateral_dir_open(dir, &d, &why), CVM_OK);
	collateral_dir_close(&d);
}

/* Killed before each of the renames: the next one that comes ends it. */
static void
killed_half_way(void **state)
{
	struct why why;

	(void)state;
	for (unsigned i = 1; i <= NELEMS(names); i++) {
		assert_int_equal(install("one", &why), CVM_OK);
		install_and_die(i);
		holds(names[NELEMS(names) - 1], "one");
		open_and_close();
		all_hold("two");
		is_clean();
		assert_false(exists(".installing"));
	}
	/* One that was killed earlier has not happened. */
	assert_int_equal(install("one", &why), CVM_OK);
	install_and_die(2);
	assert_int_equal(unlink(PATH(".installing")), 0);
	open_and_close();
	holds(names[0], "two");
	holds(names[1], "one");
	is_clean();
	/* Nor is what is no file moved to a place. */
	assert_int_equal(install("one", &why), CVM_OK);
	put("victim", "precious");
	put(".installing", "");
	assert_int_equal(symlink(PATH("victim"),
			     PATH("intel/.root-ca.crl.new")),
	    0);
	open_and_close();
	all_hold("one");
	is_clean();
}

/* What cannot be taken away is not written through, either. */
static void
in_the_way(void **state)
{
	static const char *const ways[] = { "amd/milan/.ask.pem.new",
		"amd/milan/.ask.pem.old", "intel/.root-ca.crl.new" };
	struct why why;

	(void)state;
	assert_int_equal(install("one", &why), CVM_OK);
	for (size_t i = 0; i < NELEMS(ways); i++) {
		assert_int_equal(mkdir(PATH(ways[i]), 0755), 0);
		assert_int_equal(install("two", &why), CVM_E_IO);
		all_hold("one");
		assert_int_equal(rmdir(PATH(ways[i])), 0);
		is_clean();
	}
	assert_int_equal(unlink(PATH(names[2])), 0);
	assert_int_equal(mkdir(PATH(names[2]), 0755), 0);
	assert_int_equal(install("two", &why), CVM_E_IO);
	holds(names[0], "one");
	assert_int_equal(rmdir(PATH(names[2])), 0);
	assert_int_equal(mkfifo(PATH(names[2]), 0644), 0);
	assert_int_equal(install("two", &why), CVM_E_IO);
	holds(names[0], "one");
	is_clean();
}

static void
folder_is_a_link(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(mkdir(PATH("elsewhere"), 0755), 0);
	assert_int_equal(symlink(PATH("elsewhere"), PATH("intel")), 0);
	assert_int_equal(install("one", &why), CVM_E_IO);
	assert_false(exists("elsewhere/root-ca.crl"));
	assert_false(exists(names[0]));
	is_clean();
}

/* ---- Files that commands write ---- */

static int
write_file(const char *name, bool over)
{
	struct why why = { 0 };

	return tool_write(PATH(name), span("new", 3), over, &why);
}

static void
outputs(void **state)
{
	(void)state;
	(void)umask(077);
	assert_int_equal(write_file("fresh", /* over= */ false), CVM_OK);
	assert_int_equal(write_file("again", /* over= */ true), CVM_OK);
	put("old", "old");
	assert_int_equal(write_file("old", /* over= */ true), CVM_OK);
	holds("fresh", "new");
	holds("again", "new");
	holds("old", "new");
	assert_int_equal(mode_of("fresh"), 0644);
	assert_int_equal(mode_of("again"), 0644);
	assert_int_equal(mode_of("old"), 0644);
	assert_int_equal(write_file("old", /* over= */ false), CVM_E_IO);
}

static void
outputs_that_are_no_files(void **state)
{
	static const char *const others[] = { "link", "dangling", "fifo",
		"folder" };
	int fifo;

	(void)state;
	put("victim", "precious");
	assert_int_equal(symlink("victim", PATH("link")), 0);
	assert_int_equal(symlink("nothing", PATH("dangling")), 0);
	assert_int_equal(mkfifo(PATH("fifo"), 0666), 0);
	assert_int_equal(mkdir(PATH("folder"), 0755), 0);
	/* Somebody reads: writing to it would work. */
	fifo = open(PATH("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fifo >= 0);
	for (size_t i = 0; i < NELEMS(others); i++) {
		assert_int_equal(write_file(others[i], true), CVM_E_IO);
		assert_int_equal(write_file(others[i], false), CVM_E_IO);
	}
	(void)close(fifo);
	holds("victim", "precious");
	assert_false(exists("nothing"));
	assert_int_equal(write_file("no/such/folder", true), CVM_E_IO);
	assert_int_equal(tool_write("/dev/null", span("x", 1), true,
			     &(struct why){ 0 }),
	    CVM_E_IO);
}

/* ---- The process itself ---- */

static int
guarded(void)
{
	struct rlimit core;
	struct stat st;

	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 4096, 4096 }) != 0)
		return 10;
	for (int fd = 0; fd <= 2; fd++)
		(void)close(fd);
	if (tool_guard(&(struct why){ 0 }) != CVM_OK)
		return 11;
	/* Nobody thinks that the code was read, or the answer heard. */
	if (read(0, &core, 1) >= 0 || write(1, "x", 1) >= 0)
		return 16;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode) ||
		    major(st.st_rdev) != 1 || minor(st.st_rdev) != 3)
			return 12;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 13;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 ||
	    core.rlim_max != 0)
		return 14;
	return open("/dev/null", O_RDONLY | O_CLOEXEC) > 2 ? 0 : 15;
}

static void
process_guarded(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(guarded());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A log with half a line, whose writer has the lock. */
static void
begin_line(unsigned end_at, bool again)
{
	put("log", "first\n");
	writer.fd = open(PATH("log"), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(writer.fd >= 0);
	assert_int_equal(__real_flock(writer.fd, LOCK_EX | LOCK_NB), 0);
	append("sec");
	writer.pauses = 0;
	writer.end_at = end_at;
	writer.begins_again = again;
}

static void
end_writer(void)
{
	assert_int_equal(close(writer.fd), 0);
	writer.fd = -1;
	writer.begins_again = false;
}

static void
log_is(const char *want)
{
	_cleanup_(blob_clear) struct blob got = { 0 };
	struct why why = { 0 };

	assert_int_equal(tool_read_log(PATH("log"), 64, &got, &why), CVM_OK);
	assert_int_equal(got.len, strlen(want));
	assert_memory_equal(got.data, want, got.len);
}

static void
half_a_line_read(void **state)
{
	(void)state;
	begin_line(/* end_at= */ 3, /* again= */ false);
	log_is("first\nsecond\n");
	assert_int_equal(writer.pauses, 3);
	end_writer();
}

static void
half_of_the_next_line_read(void **state)
{
	(void)state;
	begin_line(/* end_at= */ 1, /* again= */ true);
	log_is("first\nsecond\n");
	end_writer();
	log_is("first\nsecond\nthi"); /* of one who is gone */
}

static void
lock_held_for_ever(void **state)
{
	_cleanup_(blob_clear) struct blob got = { 0 };
	char text[WHY_SENTENCE_MAX];
	struct why why = { 0 };

	(void)state;
	begin_line(/* end_at= */ 0, /* again= */ false);
	assert_int_equal(tool_read_log(PATH("log"), 64, &got, &why),
	    CVM_E_BUSY);
	assert_int_equal(why.err, CVM_E_BUSY);
	assert_non_null(strstr(why_sentence(&why, text, sizeof(text)), "log"));
	assert_int_equal(writer.pauses, TOOL_LOCK_MS / 2);
	assert_null(got.data);
	end_writer();
}

static void
logs_that_are_none(void **state)
{
	_cleanup_(blob_clear) struct blob got = { 0 };
	struct why why = { 0 };

	(void)state;
	put("log", "longer than it may be");
	assert_int_equal(tool_read_log(PATH("log"), 20, &got, &why),
	    CVM_E_PARSE);
	assert_int_equal(tool_read_log(PATH("none"), 20, &got, &why), CVM_E_IO);
	assert_int_equal(tool_read_log(dir, 20, &got, &why), CVM_E_IO);
	/* No regular file: no size, and nothing to lock. */
	assert_int_equal(tool_read_log("/dev/null", 20, &got, &why), CVM_OK);
	assert_int_equal(got.len, 0);
	put("log", "");
	log_is("");
}

/* ---- Standard output ---- */

/* What fn returns in a child that writes to file; complaints go into "err". */
static int
child_writes(int (*fn)(unsigned n), unsigned n, const char *file)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (freopen(file, "w", stdout) == NULL ||
		    freopen(PATH("err"), "w", stderr) == NULL)
			_exit(99);
		status = fn(n);
		(void)fflush(stderr);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
print_unbuffered(unsigned n)
{
	(void)n;
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	(void)printf("text");
	errno = ENOENT; /* of whatever came between */
	return print_end();
}

static int
print_buffered(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		(void)printf("text");
	errno = ENOENT;
	return print_end();
}

static void
output_that_goes_nowhere(void **state)
{
	(void)state;
	assert_int_equal(child_writes(print_unbuffered, 0, "/dev/null"),
	    EXIT_OK);
	holds("err", "");
	assert_int_equal(child_writes(print_unbuffered, 0, "/dev/full"),
	    EXIT_TROUBLE);
	holds("err",
	    "cvm-token: standard output: not all of it could be written\n");
	assert_int_equal(child_writes(print_buffered, 1, "/dev/full"),
	    EXIT_TROUBLE);
	holds("err", "cvm-token: standard output: No space left on device\n");
	assert_int_equal(child_writes(print_buffered, 100000, "/dev/full"),
	    EXIT_TROUBLE);
}

static int
print_with_failure(unsigned n)
{
	cJSON *root;

	json_watch();
	malloc_fails_at = n;
	root = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(root, "recovery_code", "abc");
	(void)cJSON_AddBoolToObject(root, "so", true);
	n = (unsigned)print_json(root);
	return malloc_fails_at > 0 && n == EXIT_OK ? 50 : (int)n;
}

static void
json_that_lacks_something(void **state)
{
	unsigned n = 1;
	int status;

	(void)state;
	assert_int_equal(child_writes(print_with_failure, 0, PATH("out")),
	    EXIT_OK);
	while (
	    (status = child_writes(print_with_failure, n, PATH("out"))) != 50) {
		assert_int_equal(status, EXIT_TROUBLE);
		holds("out", "");
		n++;
	}
	assert_in_range(n, 6, 30);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(modes_without_umask),
		TEST(rename_fails_half_way),
		TEST(rename_fails_and_back_too),
		TEST(leftovers_of_a_crash),
		TEST(killed_half_way),
		TEST(in_the_way),
		TEST(folder_is_a_link),
		TEST(outputs),
		TEST(outputs_that_are_no_files),
		TEST(half_a_line_read),
		TEST(half_of_the_next_line_read),
		TEST(lock_held_for_ever),
		TEST(logs_that_are_none),
		TEST(output_that_goes_nowhere),
		TEST(json_that_lacks_something),
		cmocka_unit_test(process_guarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
