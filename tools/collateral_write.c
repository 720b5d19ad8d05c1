/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tools/collateral.h"

/* Hidden, so that nothing reads it, and the same again after a crash. */
#define STAGED_FORMAT ".%s.new"

static int
refuse(const struct collateral_dir *d, const char *name, const char *expected,
    struct why *why)
{
	int err = errno;
	char where[WHY_WHERE_MAX];

	(void)snprintf(where, sizeof(where), "%s%s%s", d->path,
	    name[0] != '\0' ? "/" : "", name);
	return why_set(why, CVM_E_IO, where, "", expected, strerror(err));
}

int
collateral_dir_open(const char *path, struct collateral_dir *ret,
    struct why *reterr_why)
{
	struct collateral_dir d = { path, -1 };

	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return refuse(&d, "", "a directory to write to", reterr_why);
	d.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d.fd < 0)
		return refuse(&d, "", "a directory to write to", reterr_why);
	if (flock(d.fd, LOCK_EX | LOCK_NB) != 0) {
		int r = errno == EWOULDBLOCK ?
		    why_set(reterr_why, CVM_E_BUSY, path, "",
			"no other fetch at work", "one") :
		    refuse(&d, "", "a directory to lock", reterr_why);

		closep(&d.fd);
		return r;
	}
	*ret = d;
	return CVM_OK;
}

void
collateral_dir_close(struct collateral_dir *d)
{
	closep(&d->fd);
}

/* The directory that holds name, made where make is set, and the last part of
 * the name in *ret_base. -1 with errno. */
static int
open_folder(const struct collateral_dir *d, const char *name, bool make,
    const char **ret_base)
{
	int fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
	size_t len;

	for (; fd >= 0 && name[len = strcspn(name, "/")] != '\0';
	     name = &name[len + 1]) {
		_cleanup_(closep) int up = fd;
		char part[UPKEEP_NAME_MAX];

		(void)snprintf(part, sizeof(part), "%.*s", (int)len, name);
		if (make && mkdirat(up, part, 0755) != 0 && errno != EEXIST)
			return -1;
		fd = openat(up, part,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	*ret_base = name;
	return fd;
}

static bool
write_all(int fd, struct span s)
{
	for (size_t done = 0; done < s.len;) {
		ssize_t n = write(fd, &s.data[done], s.len - done);

		if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

int
collateral_stage(const struct collateral_dir *d, const char *name,
    struct span s, struct why *reterr_why)
{
	_cleanup_(closep) int folder = -1;
	_cleanup_(closep) int fd = -1;
	char staged[UPKEEP_NAME_MAX + 8];
	const char *base = name;

	folder = open_folder(d, name, /* make= */ true, &base);
	if (folder < 0)
		return refuse(d, name, "a directory for it", reterr_why);
	(void)snprintf(staged, sizeof(staged), STAGED_FORMAT, base);
	fd = openat(folder, staged,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || !write_all(fd, s)) {
		int r = refuse(d, name, "room for it", reterr_why);

		(void)unlinkat(folder, staged, 0);
		return r;
	}
	return CVM_OK;
}

int
collateral_commit(const struct collateral_dir *d, const char *name,
    struct why *reterr_why)
{
	_cleanup_(closep) int folder = -1;
	char staged[UPKEEP_NAME_MAX + 8];
	const char *base = name;

	folder = open_folder(d, name, /* make= */ false, &base);
	(void)snprintf(staged, sizeof(staged), STAGED_FORMAT, base);
	if (folder < 0 || renameat(folder, staged, folder, base) != 0 ||
	    fsync(folder) != 0)
		return refuse(d, name, "a place for it", reterr_why);
	return CVM_OK;
}

void
collateral_drop(const struct collateral_dir *d, const char *name)
{
	_cleanup_(closep) int folder = -1;
	char staged[UPKEEP_NAME_MAX + 8];
	const char *base = name;

	folder = open_folder(d, name, /* make= */ false, &base);
	(void)snprintf(staged, sizeof(staged), STAGED_FORMAT, base);
	if (folder >= 0)
		(void)unlinkat(folder, staged, 0);
}
