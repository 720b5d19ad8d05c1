/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tools/collateral.h"

/* Hidden, so that nothing reads them: the file to be, and the one that was
 * there, to put back. */
enum aside { ASIDE_NEW, ASIDE_OLD, N_ASIDES };
static const char *const suffixes[N_ASIDES] = { ".new", ".old" };
#define ASIDE_NAME_MAX (UPKEEP_NAME_MAX + 8)
#define DEPTH_MAX 4

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

static bool
is_aside(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < N_ASIDES; i++) {
		size_t n = strlen(suffixes[i]);

		if (name[0] == '.' && len > n + 1 &&
		    strcmp(&name[len - n], suffixes[i]) == 0)
			return true;
	}
	return false;
}

static void
dir_freep(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d);
}

/* Says that every file is beside its place, and that some may have taken it. */
#define MARKER ".installing"

static bool
set_marker(int fd)
{
	_cleanup_(closep) int marker = openat(fd, MARKER,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return marker >= 0 && fsync(marker) == 0 && fsync(fd) == 0;
}

static bool
clear_marker(int fd)
{
	return (unlinkat(fd, MARKER, 0) == 0 || errno == ENOENT) &&
	    fsync(fd) == 0;
}

/* ".NAME.new" to "NAME". */
static bool
take_place(int fd, const char *aside)
{
	size_t len = strlen(aside) - 1 - strlen(suffixes[ASIDE_NEW]);
	char name[NAME_MAX + 1];
	struct stat st;

	if (fstatat(fd, aside, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, &aside[1]);
	return renameat(fd, aside, fd, name) == 0 && fsync(fd) == 0;
}

static bool
is_new(const char *name)
{
	const char *end = strrchr(name, '.');

	return end != NULL && strcmp(end, suffixes[ASIDE_NEW]) == 0;
}

/* Ends what a run that was killed began, here and below: with forward, what it
 * had not moved yet takes its place; the rest is taken away. */
static void
sweep(int fd, unsigned depth, bool forward)
{
	_cleanup_(dir_freep) DIR *dir = NULL;
	const struct dirent *e;
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (again < 0 || (dir = fdopendir(again)) == NULL) {
		closep(&again);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		_cleanup_(closep) int below = -1;

		if (is_aside(e->d_name)) {
			if (!forward || !is_new(e->d_name) ||
			    !take_place(fd, e->d_name))
				(void)unlinkat(fd, e->d_name, 0);
			continue;
		}
		if (e->d_name[0] != '.' && depth > 0)
			below = openat(fd, e->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			sweep(below, depth - 1, forward);
	}
}

/* A directory below up, made where make is set and whatever the umask is. */
static int
open_below(int up, const char *name, bool make)
{
	bool made = make && mkdirat(up, name, 0755) == 0;
	int fd, err;

	if (make && !made && errno != EEXIST)
		return -1;
	fd = openat(up, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || !made || (fchmod(fd, 0755) == 0 && fsync(up) == 0))
		return fd;
	err = errno;
	closep(&fd);
	errno = err;
	return -1;
}

int
collateral_dir_open(const char *path, struct collateral_dir *ret,
    struct why *reterr_why)
{
	struct collateral_dir d = { path, -1 };
	bool made = mkdir(path, 0755) == 0;

	if (!made && errno != EEXIST)
		return refuse(&d, "", "a directory to write to", reterr_why);
	d.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d.fd < 0)
		return refuse(&d, "", "a directory to write to", reterr_why);
	if (flock(d.fd, LOCK_EX | LOCK_NB) != 0 ||
	    (made && fchmod(d.fd, 0755) != 0)) {
		int r = errno == EWOULDBLOCK ?
		    why_set(reterr_why, CVM_E_BUSY, path, "",
			"no other fetch at work", "one") :
		    refuse(&d, "", "a directory to lock", reterr_why);

		closep(&d.fd);
		return r;
	}
	sweep(d.fd, DEPTH_MAX, faccessat(d.fd, MARKER, F_OK, 0) == 0);
	if (!clear_marker(d.fd)) {
		int r = refuse(&d, MARKER, "a file that can be removed",
		    reterr_why);

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
		fd = open_below(up, part, make);
	}
	*ret_base = name;
	return fd;
}

static const char *
aside_name(const char *base, enum aside which, char buf[static ASIDE_NAME_MAX])
{
	(void)snprintf(buf, ASIDE_NAME_MAX, ".%s%s", base, suffixes[which]);
	return buf;
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

/* One file of a change under way; folder is -1 until it is staged. */
struct place {
	const char *name, *base;
	int folder;
	bool was_there, moved;
};

struct change {
	const struct collateral_dir *d;
	struct place *v;
	size_t n;
};

/* Beside its place. Nothing is there but what somebody else put there, and
 * that is neither followed nor written to. */
static int
write_aside(const struct change *c, const struct place *p, enum aside which,
    struct span s, struct why *why)
{
	char name[ASIDE_NAME_MAX];
	_cleanup_(closep) int fd = openat(p->folder,
	    aside_name(p->base, which, name),
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd >= 0 && write_all(fd, s) ?
	    CVM_OK :
	    refuse(c->d, p->name, "room for it", why);
}

/* The bytes that are in its place. */
static int
read_old(const struct change *c, struct place *p, struct blob *ret,
    struct why *why)
{
	_cleanup_(closep) int fd = openat(p->folder, p->base,
	    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	size_t done = 0;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return CVM_OK;
	if (fd < 0 || fstat(fd, &st) != 0)
		return refuse(c->d, p->name, "a file that can be read", why);
	if (!S_ISREG(st.st_mode) || st.st_size > ENDORSEMENTS_FILE_MAX)
		return why_set(why, CVM_E_IO, p->name, "",
		    "a regular file of at most 4 MiB in its place",
		    "something else");
	p->was_there = true;
	if ((ret->data = malloc((size_t)st.st_size + 1)) == NULL)
		return CVM_E_NOMEM;
	ret->len = (size_t)st.st_size;
	while (done < ret->len) {
		n = read(fd, ret->data + done, ret->len - done);
		if (n == 0 || (n < 0 && errno != EINTR))
			return refuse(c->d, p->name, "a file that can be read",
			    why);
		done += n > 0 ? (size_t)n : 0;
	}
	return CVM_OK;
}

static int
stage(const struct change *c, struct place *p, struct span s, struct why *why)
{
	_cleanup_(blob_clear) struct blob old = { 0 };
	int r;

	p->folder = open_folder(c->d, p->name, /* make= */ true, &p->base);
	if (p->folder < 0)
		return refuse(c->d, p->name, "a directory for it", why);
	if ((r = read_old(c, p, &old, why)) == CVM_OK && p->was_there)
		r = write_aside(c, p, ASIDE_OLD, blob_span(&old), why);
	if (r == CVM_OK)
		r = write_aside(c, p, ASIDE_NEW, s, why);
	return r != CVM_OK || fsync(p->folder) == 0 ?
	    r :
	    refuse(c->d, p->name, "a directory that can be synced", why);
}

static int
move(const struct change *c, struct place *p, struct why *why)
{
	char name[ASIDE_NAME_MAX];

	if (renameat(p->folder, aside_name(p->base, ASIDE_NEW, name), p->folder,
		p->base) != 0)
		return refuse(c->d, p->name, "a place for it", why);
	p->moved = true;
	return fsync(p->folder) == 0 ?
	    CVM_OK :
	    refuse(c->d, p->name, "a directory that can be synced", why);
}

/* What was there again, last one first; false where that failed, too. */
static bool
put_back(const struct change *c)
{
	char name[ASIDE_NAME_MAX];
	bool good = true;

	for (size_t i = c->n; i-- > 0;) {
		const struct place *p = &c->v[i];

		if (!p->moved)
			continue;
		good = (p->was_there ? renameat(p->folder,
					   aside_name(p->base, ASIDE_OLD, name),
					   p->folder, p->base) :
				       unlinkat(p->folder, p->base, 0)) == 0 &&
		    good;
		(void)fsync(p->folder);
	}
	return good;
}

static void
change_clear(struct change *c)
{
	char name[ASIDE_NAME_MAX];

	for (size_t i = 0; i < c->n; i++) {
		struct place *p = &c->v[i];

		for (enum aside a = 0; p->folder >= 0 && a < N_ASIDES; a++)
			(void)unlinkat(p->folder, aside_name(p->base, a, name),
			    0);
		closep(&p->folder);
	}
	free(c->v);
}

int
collateral_install(const struct collateral_dir *d, const struct endorsements *e,
    struct why *reterr_why)
{
	_cleanup_(change_clear) struct change c = { .d = d };
	const char *name;
	int r = CVM_OK;

	c.v = calloc(ENDORSEMENTS_FILES_MAX, sizeof(*c.v));
	if (c.v == NULL)
		return CVM_E_NOMEM;
	for (; r == CVM_OK && c.n < ENDORSEMENTS_FILES_MAX &&
	     (name = endorsements_name(e, c.n)) != NULL;
	     c.n++) {
		c.v[c.n] = (struct place){ .name = name, .folder = -1 };
		r = stage(&c, &c.v[c.n], endorsements_find(e, name),
		    reterr_why);
	}
	if (r == CVM_OK && !set_marker(d->fd))
		r = refuse(d, MARKER, "room for it", reterr_why);
	for (size_t i = 0; r == CVM_OK && i < c.n; i++)
		r = move(&c, &c.v[i], reterr_why);
	(void)clear_marker(d->fd);
	if (r != CVM_OK && !put_back(&c))
		why_hint(reterr_why,
		    "some files were replaced and could not "
		    "be put back: fetch or import all again");
	return r;
}
