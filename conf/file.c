/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "conf/file.h"

/* Non-blocking, for what is named may turn out to be a FIFO. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static int
refuse_errno(const char *path, int error, struct why *why)
{
	int err = error == ENOENT || error == ENOTDIR ? CVM_E_NOT_FOUND :
							CVM_E_IO;

	return why_set(why, err, path, NULL, "a readable file",
	    strerrordesc_np(error));
}

/* The other users who may write it, as chmod(1) names them. */
static const char *
writers(mode_t mode)
{
	if ((mode & S_IWGRP) != 0)
		return (mode & S_IWOTH) != 0 ? "go" : "g";
	return "o";
}

static int
refuse_mode(const char *at, const struct stat *st, const char *expected,
    mode_t bits, struct why *why)
{
	(void)why_setf(why, CVM_E_CONFIG, at, "mode", expected, "%04o",
	    (unsigned)(st->st_mode & 07777));
	/* Somebody may have written already. */
	why_hint(why, "%schmod %s-w %s",
	    S_ISREG(st->st_mode) ? "read it, then: " : "",
	    writers(st->st_mode & bits), at);
	return CVM_E_CONFIG;
}

/* What a user namespace shows of an owner that it does not know; see
 * /proc/sys/kernel/overflowuid. */
#define UNMAPPED 65534

static int
refuse_owner(const char *at, const struct stat *st, struct why *why)
{
	const uid_t user = geteuid();
	char owners[48] = "root";

	if (user != 0)
		(void)snprintf(owners, sizeof(owners), "root or uid %u",
		    (unsigned)user);
	(void)why_setf(why, CVM_E_CONFIG, at, "owner", owners, "uid %u",
	    (unsigned)st->st_uid);
	if (st->st_uid == UNMAPPED)
		why_hint(why,
		    "is root's, perhaps, and unknown to this user "
		    "namespace");
	else if (S_ISREG(st->st_mode))
		/* Who has it open would write on after chown(1). */
		why_hint(why,
		    "read it, then put a copy that is root's in its place");
	else
		why_hint(why, "chown -h root %s", at);
	return CVM_E_CONFIG;
}

static int
check_owner(const char *at, const struct stat *st, struct why *why)
{
	return st->st_uid == 0 || st->st_uid == geteuid() ?
	    CVM_OK :
	    refuse_owner(at, st, why);
}

#define OTHERS (S_IWGRP | S_IWOTH)

/* Bits of a file system that is read-only here, as those of Kubernetes are,
 * let nobody here write. */
static bool
others_write(int fd, const struct stat *st)
{
	struct statvfs fs;

	return (st->st_mode & OTHERS) != 0 &&
	    (fstatvfs(fd, &fs) != 0 || (fs.f_flag & ST_RDONLY) == 0);
}

/*
 * The way to a file, each part looked at before it is taken: who can write a
 * directory decides what the names in it stand for. Whatever may still change
 * between the look and the step is in the hands of those who are trusted.
 */
struct way {
	const char *path;    /* as it was named */
	int dir;	     /* as far as it is opened */
	bool shared;	     /* others put there what is theirs */
	char at[PATH_MAX];   /* the same without links, or what is in it */
	size_t at_len;	     /* the directory's part, without a last slash */
	char rest[PATH_MAX]; /* still to go, from the directory */
	unsigned links;
	struct why *why;
};

#define LINKS_MAX 40 /* as path_resolution(7) */

/* A directory that was come to. */
static int
check_directory(struct way *w, const char *at, const struct stat *st)
{
	int err = check_owner(at, st, w->why);

	if (err != CVM_OK)
		return err;
	w->shared = others_write(w->dir, st);
	return !w->shared || (st->st_mode & S_ISVTX) != 0 ?
	    CVM_OK :
	    refuse_mode(at, st, "not writable by group or others", OTHERS,
		w->why);
}

/*
 * What the next name stands for. Where others write, files and links of root
 * may have been moved to by whoever has the directory that they came from; to
 * move a directory takes leave to write it.
 */
static int
check_entry(struct way *w, const struct stat *st)
{
	int err = check_owner(w->at, st, w->why);

	if (err != CVM_OK || !w->shared || S_ISDIR(st->st_mode))
		return err;
	(void)why_set(w->why, CVM_E_CONFIG, w->at, "directory",
	    "one that only root or the user may write",
	    "others may put files into it");
	why_hint(w->why, "read it, then move it to a directory of its own");
	return CVM_E_CONFIG;
}

static int
start_at(struct way *w, const char *dir)
{
	struct stat st;

	closep(&w->dir);
	w->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->dir < 0 || fstat(w->dir, &st) != 0)
		return refuse_errno(w->path, errno, w->why);
	w->at_len = 0;
	return check_directory(w, dir, &st);
}

/* w->rest becomes text, a slash and what comes after the name. */
static int
go_by(struct way *w, const char *text, const char *after)
{
	char rest[PATH_MAX];
	int n = snprintf(rest, sizeof(rest), "%s%s", text, after);

	if (n < 0 || (size_t)n >= sizeof(rest))
		return refuse_errno(w->path, ENAMETOOLONG, w->why);
	memcpy(w->rest, rest, (size_t)n + 1);
	return text[0] == '/' ? start_at(w, "/") : CVM_OK;
}

static int
follow_link(struct way *w, const char *name, const char *after)
{
	char target[PATH_MAX];
	ssize_t n;

	if (++w->links > LINKS_MAX)
		return refuse_errno(w->path, ELOOP, w->why);
	n = readlinkat(w->dir, name, target, sizeof(target));
	if (n < 0 || (size_t)n >= sizeof(target))
		return refuse_errno(w->path, n < 0 ? errno : ENAMETOOLONG,
		    w->why);
	target[n] = '\0';
	return go_by(w, target, after);
}

static int
enter(struct way *w, const char *name)
{
	_cleanup_(closep) int next = -1;
	char here[NAME_MAX + 3];
	struct stat st;

	/* With the dot, what is mounted on demand is there. */
	(void)snprintf(here, sizeof(here), "%s/.", name);
	next = openat(w->dir, here, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (next < 0 || fstat(next, &st) != 0)
		return refuse_errno(w->path, errno, w->why);
	closep(&w->dir);
	w->dir = TAKE_FD(next);
	if (strcmp(name, "..") == 0)
		while (w->at_len > 0 && w->at[--w->at_len] != '/')
			;
	else if (strcmp(name, ".") != 0)
		w->at_len = strlen(w->at);
	w->at[w->at_len] = '\0';
	return check_directory(w, w->at_len > 0 ? w->at : "/", &st);
}

/* One part of the way; *ret_fd when it was the last. */
static int
step(struct way *w, int *ret_fd)
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(from, "/");
	const char *after = from + len;
	char name[NAME_MAX + 1];
	struct stat st;
	int n, err;

	if (len > NAME_MAX)
		return refuse_errno(w->path, ENAMETOOLONG, w->why);
	memcpy(name, from, len);
	name[len] = '\0';
	n = snprintf(w->at + w->at_len, sizeof(w->at) - w->at_len, "/%s", name);
	if (n < 0 || (size_t)n >= sizeof(w->at) - w->at_len)
		return refuse_errno(w->path, ENAMETOOLONG, w->why);
	if (fstatat(w->dir, len > 0 ? name : ".", &st, AT_SYMLINK_NOFOLLOW) !=
	    0)
		return refuse_errno(w->path, errno, w->why);
	if ((err = check_entry(w, &st)) != CVM_OK)
		return err;
	if (S_ISLNK(st.st_mode))
		return follow_link(w, name, after);
	if (after[0] != '\0') {
		err = enter(w, name);
		return err == CVM_OK ? go_by(w, "", after + 1) : err;
	}
	*ret_fd = openat(w->dir, len > 0 ? name : ".", OPEN_FLAGS | O_NOFOLLOW);
	return *ret_fd >= 0 ? CVM_OK : refuse_errno(w->path, errno, w->why);
}

static void
way_clear(struct way *w)
{
	closep(&w->dir);
}

static int
open_trusted(const char *path, int *ret_fd, struct why *why)
{
	_cleanup_(way_clear) struct way w = { .path = path, .dir = -1 };
	char cwd[PATH_MAX] = "";
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int err;

	w.why = why;
	if (path[0] != '/' && getcwd(cwd, sizeof(cwd) - 1) == NULL)
		return refuse_errno(path, errno, why);
	if (cwd[0] != '\0')
		strcat(cwd, "/");
	err = go_by(&w, cwd, path);
	if (err == CVM_OK && w.dir < 0)
		err = start_at(&w, "/");
	while (err == CVM_OK && fd < 0)
		err = step(&w, &fd);
	if (err != CVM_OK)
		return err;
	if (fstat(fd, &st) != 0)
		return refuse_errno(path, errno, why);
	if (S_ISREG(st.st_mode) &&
	    (err = check_owner(w.at, &st, why)) != CVM_OK)
		return err;
	if (S_ISREG(st.st_mode) && others_write(fd, &st))
		return refuse_mode(w.at, &st, "not writable by group or others",
		    OTHERS, why);
	*ret_fd = TAKE_FD(fd);
	return CVM_OK;
}

static int
check_kind(const char *path, int fd, size_t max, enum file_trust trust,
    struct why *why)
{
	char most[48];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return refuse_errno(path, errno, why);
	if (!S_ISREG(st.st_mode))
		return why_set(why, CVM_E_CONFIG, path, "type",
		    "a regular file", "something else");
	if (trust == FILE_NAMED && (st.st_mode & S_IWOTH) != 0)
		return refuse_mode(path, &st, "not writable by everybody",
		    S_IWOTH, why);
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
file_read(const char *path, size_t max, enum file_trust trust, struct blob *ret,
    struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	_cleanup_(closep) int fd = -1;
	int err = CVM_OK;

	if (trust == FILE_TRUSTED)
		err = open_trusted(path, &fd, reterr_why);
	else if ((fd = open(path, OPEN_FLAGS)) < 0)
		return refuse_errno(path, errno, reterr_why);
	if (err == CVM_OK)
		err = check_kind(path, fd, max, trust, reterr_why);
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
