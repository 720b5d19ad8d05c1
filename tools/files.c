/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "tools/text.h"
#include "tools/tool.h"

#define LOCK_PAUSE_MS 2

static int
refuse(const char *path, int err, const char *expected, struct why *why)
{
	return why_set(why, CVM_E_IO, path, "", expected, strerror(err));
}

/* fd of path, which is not to be closed when it is standard input. */
static int
open_input(const char *path, int *owned)
{
	if (strcmp(path, "-") == 0)
		return STDIN_FILENO;
	*owned = open(path, O_RDONLY | O_CLOEXEC);
	return *owned;
}

int
tool_read_secret(const char *path, size_t max, struct secret **ret,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *s = secret_new(max + 1);
	_cleanup_(closep) int owned = -1;
	int fd = open_input(path, &owned);
	size_t done = 0;
	ssize_t n = 0;

	if (s == NULL)
		return CVM_E_NOMEM;
	if (fd < 0)
		return refuse(path, errno, "a file that can be read",
		    reterr_why);
	while (done <= max) {
		n = read(fd, secret_data(s) + done, max + 1 - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (n < 0)
		return refuse(path, errno, "a file that can be read",
		    reterr_why);
	if (done == 0 || done > max)
		return why_setf(reterr_why, CVM_E_PARSE, path, "length",
		    done == 0 ? "some bytes" : "a smaller file", "%zu%s", done,
		    done == 0 ? "" : " or more");
	secret_shrink(s, done);
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

int
tool_grow(struct blob *b, size_t *cap)
{
	size_t more = *cap == 0 ? 16384 : *cap * 2;
	uint8_t *p;

	if (b->len < *cap)
		return CVM_OK;
	if ((p = realloc(b->data, more)) == NULL)
		return CVM_E_NOMEM;
	b->data = p;
	*cap = more;
	return CVM_OK;
}

/* Up to the end, or to limit bytes if there are so many. */
static int
read_some(int fd, const char *path, size_t max, size_t limit, struct blob *ret,
    struct why *why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	size_t cap = 0;
	ssize_t n = 1;
	int r;

	while (n != 0 && b.len < limit) {
		if ((r = tool_grow(&b, &cap)) != CVM_OK)
			return r;
		n = read(fd, b.data + b.len,
		    (cap < limit ? cap : limit) - b.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse(path, errno, "a file that can be read",
			    why);
		b.len += (size_t)n;
		if (b.len > max)
			return why_setf(why, CVM_E_PARSE, path, "length",
			    "a smaller file", "more than %zu bytes", max);
	}
	*ret = b;
	b = (struct blob){ 0 };
	return CVM_OK;
}

int
tool_read(const char *path, size_t max, struct blob *ret,
    struct why *reterr_why)
{
	_cleanup_(closep) int owned = -1;
	int fd = open_input(path, &owned);

	if (fd < 0)
		return refuse(path, errno, "a file that can be read",
		    reterr_why);
	return read_some(fd, path, max, SIZE_MAX, ret, reterr_why);
}

/* A file system without locks has no writer that takes them. */
static int
lock_shared(int fd, const char *path, struct why *why)
{
	const struct timespec pause = { 0, LOCK_PAUSE_MS * 1000000 };

	for (int ms = 0; ms < TOOL_LOCK_MS; ms += LOCK_PAUSE_MS) {
		if (flock(fd, LOCK_SH | LOCK_NB) == 0 ||
		    (errno != EWOULDBLOCK && errno != EINTR))
			return CVM_OK;
		(void)nanosleep(&pause, NULL);
	}
	(void)why_set(why, CVM_E_BUSY, path, "lock", "a shared one within 5 s",
	    "another process writes, or holds it");
	why_hint(why, "try again, or give a copy of the file");
	return CVM_E_BUSY;
}

/* How much is there to read while nobody is in the middle of a write. */
static int
settled_size(int fd, const char *path, size_t *ret, struct why *why)
{
	struct stat st;
	off_t at = 0;
	int r;

	if (fstat(fd, &st) != 0)
		return refuse(path, errno, "a file that can be read", why);
	if (!S_ISREG(st.st_mode))
		return CVM_OK;
	if ((r = lock_shared(fd, path, why)) != CVM_OK)
		return r;
	if (fstat(fd, &st) != 0 || (at = lseek(fd, 0, SEEK_CUR)) < 0)
		r = refuse(path, errno, "a file that can be read", why);
	(void)flock(fd, LOCK_UN);
	if (r == CVM_OK)
		*ret = st.st_size > at ? (size_t)(st.st_size - at) : 0;
	return r;
}

int
tool_read_log(const char *path, size_t max, struct blob *ret,
    struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	_cleanup_(closep) int owned = -1;
	int fd = open_input(path, &owned), r;

	if (fd < 0)
		return refuse(path, errno, "a file that can be read",
		    reterr_why);
	for (int tries = 0; tries < 2; tries++) {
		size_t size = SIZE_MAX;

		blob_clear(&b);
		if ((r = settled_size(fd, path, &size, reterr_why)) != CVM_OK ||
		    (r = read_some(fd, path, max, size, &b, reterr_why)) !=
			CVM_OK)
			return r;
		/* What a writer that was killed has left is cut off by the
		 * next one, while this reads perhaps. */
		if (size == SIZE_MAX || b.len == 0 ||
		    b.data[b.len - 1] == '\n' ||
		    lseek(fd, -(off_t)b.len, SEEK_CUR) < 0)
			break;
	}
	*ret = b;
	b = (struct blob){ 0 };
	return CVM_OK;
}

/* 0, or errno. */
static int
write_all(int fd, struct span s)
{
	size_t done = 0;
	ssize_t n;

	while (done < s.len) {
		n = write(fd, s.data + done, s.len - done);
		if (n < 0 && errno != EINTR)
			return errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 :
								       errno;
}

/* So that the name is there after a crash, too: 0, or errno. */
static int
sync_directory(const char *path)
{
	_cleanup_(freep) char *dir = strdup(path);
	_cleanup_(closep) int fd = -1;
	char *slash;

	if (dir == NULL)
		return ENOMEM;
	slash = strrchr(dir, '/');
	if (slash != NULL)
		slash[slash == dir ? 1 : 0] = '\0';
	fd = open(slash != NULL ? dir : ".",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 :
								       errno;
}

static int
write_new(const char *path, struct span s, struct why *why)
{
	_cleanup_(closep) int fd = open(path,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err;

	if (fd < 0)
		return refuse(path, errno, "a new file", why);
	err = fchmod(fd, 0644) == 0 ? write_all(fd, s) : errno;
	if (err == 0 && (err = sync_directory(path)) == 0)
		return CVM_OK;
	(void)unlink(path);
	return refuse(path, err, "room for the file", why);
}

/* Only a regular file is replaced: behind a link, a FIFO or a device there
 * could be anything, and with the rights of who runs this. */
static int
check_replaced(const char *path, struct why *why)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ?
		    CVM_OK :
		    refuse(path, errno, "a place to write to", why);
	if (S_ISREG(st.st_mode))
		return CVM_OK;
	(void)why_set(why, CVM_E_IO, path, "",
	    "a regular file, or none, in its place",
	    file_kind_text(st.st_mode));
	why_hint(why, "\"-\" is standard output");
	return CVM_E_IO;
}

/* A file appears whole in place of the old one. */
static int
write_over(const char *path, struct span s, struct why *why)
{
	_cleanup_(freep) char *tmp = NULL;
	_cleanup_(closep) int fd = -1;
	int err, r;

	if ((r = check_replaced(path, why)) != CVM_OK)
		return r;
	if (asprintf(&tmp, "%s.XXXXXX", path) < 0) {
		tmp = NULL;
		return CVM_E_NOMEM;
	}
	if ((fd = mkostemp(tmp, O_CLOEXEC)) < 0)
		return refuse(path, errno, "a directory to write to", why);
	err = fchmod(fd, 0644) == 0 ? write_all(fd, s) : errno;
	if (err == 0 && rename(tmp, path) != 0)
		err = errno;
	if (err != 0) {
		(void)unlink(tmp);
		return refuse(path, err, "room for the file", why);
	}
	err = sync_directory(path);
	return err == 0 ?
	    CVM_OK :
	    refuse(path, err, "a directory that can be synced", why);
}

int
tool_write(const char *path, struct span s, bool over, struct why *reterr_why)
{
	if (path != NULL && strcmp(path, "-") != 0)
		return over ? write_over(path, s, reterr_why) :
			      write_new(path, s, reterr_why);
	if (fwrite(s.data, 1, s.len, stdout) == s.len && fflush(stdout) == 0)
		return CVM_OK;
	return refuse("standard output", errno, "a place to write to",
	    reterr_why);
}
