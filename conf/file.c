/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/file.h"

static int
refuse_errno(const char *path, int error, struct why *why)
{
	int err = error == ENOENT || error == ENOTDIR ? CVM_E_NOT_FOUND :
							CVM_E_IO;

	return why_set(why, err, path, NULL, "a readable file",
	    strerrordesc_np(error));
}

static int
check_kind(const char *path, int fd, size_t max, bool guarded, struct why *why)
{
	char most[48];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return refuse_errno(path, errno, why);
	if (!S_ISREG(st.st_mode))
		return why_set(why, CVM_E_CONFIG, path, "type",
		    "a regular file", "something else");
	if (guarded && (st.st_mode & S_IWOTH) != 0) {
		(void)why_setf(why, CVM_E_CONFIG, path, "mode",
		    "not writable by everybody", "%04o",
		    (unsigned)(st.st_mode & 07777));
		why_hint(why, "chmod o-w %s", path);
		return CVM_E_CONFIG;
	}
	if (st.st_size < 0 || (uintmax_t)st.st_size > max) {
		(void)snprintf(most, sizeof(most), "at most %zu bytes", max);
		return why_setf(why, CVM_E_CONFIG, path, "size", most, "%jd",
		    (intmax_t)st.st_size);
	}
	return CVM_OK;
}

/* To the end of the file, which may have grown or shrunk since fstat(2). */
static int
read_all(const char *path, int fd, struct blob *b, struct why *why)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = read(fd, b->data + at, b->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse_errno(path, errno, why);
		if (n == 0)
			break;
		at += (size_t)n;
	}
	if (at == b->len)
		return why_set(why, CVM_E_CONFIG, path, "size",
		    "a file that keeps still", "one that grows");
	b->len = at;
	return CVM_OK;
}

int
file_read(const char *path, size_t max, bool guarded, struct blob *ret,
    struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	_cleanup_(closep) int fd = -1;
	int err;

	/* Non-blocking, for what is named may turn out to be a FIFO. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return refuse_errno(path, errno, reterr_why);
	err = check_kind(path, fd, max, guarded, reterr_why);
	if (err != CVM_OK)
		return err;
	b.data = malloc(max + 1);
	if (b.data == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, path, NULL, NULL, NULL);
	b.len = max + 1;
	err = read_all(path, fd, &b, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = b;
	b = (struct blob){ NULL, 0 };
	return CVM_OK;
}
