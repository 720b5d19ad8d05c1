/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#include <cmocka.h>

#include "base/log.h"

static char dir[] = "/tmp/cvm-log-XXXXXX";
static char path[64];
static char sent[4096];
static unsigned n_sent;

/* The C library declares a union of address types where POSIX has one. */
#pragma GCC diagnostic ignored "-Wpedantic"

/* Stands before the C library's: what would have gone to the system's log. */
ssize_t
sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
    socklen_t len)
{
	const struct sockaddr_un *un = (const void *)to;

	(void)fd;
	assert_true(flags & MSG_NOSIGNAL);
	assert_true(len <= sizeof(*un));
	assert_string_equal(un->sun_path, "/dev/log");
	assert_true(n < sizeof(sent));
	memcpy(sent, buf, n);
	sent[n] = '\0';
	n_sent++;
	return (ssize_t)n;
}

static void
read_log(char *text, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, size - 1);
	assert_true(n >= 0);
	text[n] = '\0';
}

static int
fresh(void **state)
{
	(void)state;
	unlink(path);
	n_sent = 0;
	sent[0] = '\0';
	return 0;
}

static void
spoken_before_configured(void **state)
{
	(void)state;
	log_line(LOG_LEVEL_ERROR, "nobody listens");
	assert_int_equal(n_sent, 0);
}

static void
line_malformed(void **state)
{
	char text[512], expected[64];
	struct stat st;
	int year, month, day, hour, minute, second, end = 0;

	(void)state;
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_NOTICE, path);
	log_line(LOG_LEVEL_WARNING, "token %s: %d", "web", 7);
	read_log(text, sizeof(text));
	assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year,
			     &month, &day, &hour, &minute, &second, &end),
	    6);
	assert_int_equal(end, 20);
	snprintf(expected, sizeof(expected),
	    " cvm-pkcs11[%d] warning: token web: 7\n", (int)getpid());
	assert_string_equal(text + end, expected);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0137, 0);
	assert_int_equal(n_sent, 0);
}

/* The clock of the line is the system's, to the day and the second. */
static void
timestamp_wrong(void **state)
{
	char text[512];
	struct tm tm = { 0 };
	time_t before = time(NULL), then;

	(void)state;
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_NOTICE, path);
	log_line(LOG_LEVEL_WARNING, "x");
	read_log(text, sizeof(text));
	assert_non_null(strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm));
	then = timegm(&tm);
	assert_true(then >= before && then <= time(NULL));
}

static void
level_ignored(void **state)
{
	char text[512];

	(void)state;
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_WARNING, path);
	log_line(LOG_LEVEL_NOTICE, "too quiet");
	log_line(LOG_LEVEL_DEBUG, "quieter");
	assert_int_equal(access(path, F_OK), -1);
	log_line(LOG_LEVEL_WARNING, "one");
	log_line(LOG_LEVEL_ERROR, "two");
	read_log(text, sizeof(text));
	assert_non_null(strstr(text, "warning: one\n"));
	assert_non_null(strstr(text, "error: two\n"));
	assert_null(strstr(text, "quiet"));
}

static void
silenced_one_speaks(void **state)
{
	(void)state;
	log_setup(LOG_TARGET_NONE, LOG_LEVEL_DEBUG, path);
	log_line(LOG_LEVEL_ERROR, "x");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(n_sent, 0);
}

/* A name in a message must not forge a second line. */
static void
line_forged(void **state)
{
	char text[512];

	(void)state;
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_DEBUG, path);
	log_line(LOG_LEVEL_ERROR, "a%sb",
	    "\n2026-01-01 \x1b[2J\r\t\x7f\xc3\xa9");
	read_log(text, sizeof(text));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_non_null(strstr(text, "a?2026-01-01 ?[2J?????b\n"));
}

static void
long_line_overflows(void **state)
{
	char text[8192], big[4096];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_DEBUG, path);
	log_line(LOG_LEVEL_ERROR, "%s", big);
	read_log(text, sizeof(text));
	assert_true(strlen(text) < 2200);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void
syslog_under_another_name(void **state)
{
	char expected[96];

	(void)state;
	log_setup(LOG_TARGET_SYSLOG, LOG_LEVEL_NOTICE, NULL);
	log_line(LOG_LEVEL_WARNING, "verdict of %s: deny\n", "web");
	snprintf(expected, sizeof(expected),
	    "<%d>cvm-pkcs11[%d]: verdict of web: deny?",
	    LOG_AUTHPRIV | LOG_WARNING, (int)getpid());
	assert_string_equal(sent, expected);
	log_line(LOG_LEVEL_DEBUG, "x");
	assert_int_equal(n_sent, 1);
}

/* What the file cannot take must not be lost, nor wait for a reader. */
static void
unwritable_file_swallows(void **state)
{
	char other[96];

	(void)state;
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_DEBUG, "/nonexistent/log");
	log_line(LOG_LEVEL_ERROR, "one");
	assert_int_equal(n_sent, 1);
	assert_int_equal(mkfifo(path, 0600), 0);
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_DEBUG, path);
	log_line(LOG_LEVEL_ERROR, "two");
	assert_int_equal(n_sent, 2);
	unlink(path);
	snprintf(other, sizeof(other), "%s.target", path);
	assert_int_equal(symlink(other, path), 0);
	log_line(LOG_LEVEL_ERROR, "three");
	assert_int_equal(n_sent, 3);
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_DEBUG, "/dev/null");
	log_line(LOG_LEVEL_ERROR, "four");
	assert_int_equal(n_sent, 4);
	assert_int_equal(access(other, F_OK), -1);
}

static void
errno_lost(void **state)
{
	(void)state;
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_DEBUG, "/nonexistent/log");
	errno = EAGAIN;
	log_line(LOG_LEVEL_ERROR, "x");
	assert_int_equal(errno, EAGAIN);
}

static int
count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
descriptor_left_open(void **state)
{
	int before = count_fds();

	(void)state;
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_DEBUG, path);
	log_line(LOG_LEVEL_ERROR, "x");
	log_setup(LOG_TARGET_SYSLOG, LOG_LEVEL_DEBUG, NULL);
	log_line(LOG_LEVEL_ERROR, "x");
	log_setup(LOG_TARGET_FILE, LOG_LEVEL_DEBUG, "/dev/null");
	log_line(LOG_LEVEL_ERROR, "x");
	assert_int_equal(count_fds(), before);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(spoken_before_configured, fresh),
		cmocka_unit_test_setup(line_malformed, fresh),
		cmocka_unit_test_setup(timestamp_wrong, fresh),
		cmocka_unit_test_setup(level_ignored, fresh),
		cmocka_unit_test_setup(silenced_one_speaks, fresh),
		cmocka_unit_test_setup(line_forged, fresh),
		cmocka_unit_test_setup(long_line_overflows, fresh),
		cmocka_unit_test_setup(syslog_under_another_name, fresh),
		cmocka_unit_test_setup(unwritable_file_swallows, fresh),
		cmocka_unit_test_setup(errno_lost, fresh),
		cmocka_unit_test_setup(descriptor_left_open, fresh),
	};
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/log", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return failed;
}
