/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"

#define LINE_MAX_LEN 2048
#define SYSLOG_SOCKET "/dev/log"

/*
 * Immutable once published: readers take the pointer without a lock, which a
 * fork could leave held for ever. Replaced sinks stay reachable and are never
 * freed, for a reader may still hold one; there are as many as there were
 * different configurations.
 */
struct sink {
	enum log_target target;
	enum log_level level;
	struct sink *older;
	char path[];
};

static _Atomic(struct sink *) current;

static const struct {
	const char *word;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LEVEL_NOTICE] = { "notice", LOG_NOTICE },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

void
log_setup(enum log_target target, enum log_level level, const char *path)
{
	struct sink *old = atomic_load(&current), *sink;
	size_t len;

	path = path != NULL ? path : "";
	len = strlen(path);
	if (old != NULL && old->target == target && old->level == level &&
	    strcmp(old->path, path) == 0)
		return;
	sink = calloc(1, sizeof(*sink) + len + 1);
	if (sink == NULL)
		return;
	sink->target = target;
	sink->level = level;
	memcpy(sink->path, path, len);
	do {
		sink->older = old;
	} while (!atomic_compare_exchange_weak(&current, &old, sink));
}

/*
 * One datagram of our own to the system's log socket. syslog(3) would send it
 * under the host's name, keep a descriptor open in the host, and take a lock
 * that a fork of the host can leave held.
 */
static void
to_syslog(enum log_level level, const char *text)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = -1;
	char line[LINE_MAX_LEN + 64];
	int n;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	n = snprintf(line, sizeof(line), "<%d>cvm-pkcs11[%ld]: %s",
	    LOG_AUTHPRIV | levels[level].priority, (long)getpid(), text);
	if (fd < 0 || n < 0)
		return;
	memcpy(to.sun_path, SYSLOG_SOCKET, sizeof(SYSLOG_SOCKET));
	(void)sendto(fd, line, (size_t)n, MSG_NOSIGNAL,
	    (const struct sockaddr *)&to, sizeof(to));
}

/*
 * "2026-01-31T23:59:59Z" without gmtime_r(3), whose lock a fork can leave
 * held. The calendar is the usual one with years that begin in March, so that
 * the leap day comes last.
 */
static void
timestamp(char *buf, size_t len)
{
	struct timespec now = { 0 };
	long long s, z, era, doe, yoe, doy, mp, month;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	s = now.tv_sec % 86400;
	z = now.tv_sec / 86400 + 719468;
	era = z / 146097;
	doe = z % 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	month = mp < 10 ? mp + 3 : mp - 9;
	(void)snprintf(buf, len, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lldZ",
	    yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) / 5 + 1,
	    s / 3600, s / 60 % 60, s % 60);
}

/* One write(2), so that lines of several processes do not mix. */
static bool
to_file(const char *path, enum log_level level, const char *text)
{
	_cleanup_(closep) int fd = -1;
	char line[LINE_MAX_LEN + 96], when[64];
	struct stat st;
	int n;

	fd = open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY |
		O_NONBLOCK,
	    0640);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	timestamp(when, sizeof(when));
	n = snprintf(line, sizeof(line), "%s cvm-pkcs11[%ld] %s: %s\n", when,
	    (long)getpid(), levels[level].word, text);
	return n > 0 && write(fd, line, (size_t)n) == n;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	const struct sink *sink = atomic_load(&current);
	char text[LINE_MAX_LEN];
	int saved = errno;
	va_list ap;

	if (sink == NULL || sink->target == LOG_TARGET_NONE ||
	    level > sink->level)
		return;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	/* A hostile name in a message must not start a line of its own. */
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
	/* What the file does not take is not lost. */
	if (sink->target == LOG_TARGET_SYSLOG ||
	    !to_file(sink->path, level, text))
		to_syslog(level, text);
	errno = saved;
}
