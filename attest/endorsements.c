/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/evidence.h"
#include "base/stamp.h"
#include "base/tuple.h"

/*
 * Endorsements are all signed, so the directory needs no trust; it needs
 * bounds. Only what checks look for is read: regular files of known suffixes,
 * plain names, few levels down. A symbolic link is refused, except the
 * directory itself, which updates may swap as a whole.
 */
#define NAME_LEN_MAX 200
#define DEPTH_MAX 3
#define ENTRIES_MAX 4096 /* of all kinds, so that a walk ends */

struct file {
	char *name;
	struct blob data;
};

/* What was read, and how it looked before. */
struct seen_file {
	char *path;
	struct stamp stamp;
};

struct endorsements {
	struct file *files; /* sorted by name */
	size_t n_files, bytes;
	uint8_t digest[SHA256_LEN]; /* of all, see endorsements_digest() */
	struct seen_file *seen;
	size_t n_seen;
};

struct walk {
	struct endorsements *e;
	const char *dir;
	size_t entries;
	struct why *why;
};

static void
dir_closep(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d);
	*d = NULL;
}

struct endorsements *
endorsements_new(void)
{
	return calloc(1, sizeof(struct endorsements));
}

void
endorsements_freep(struct endorsements **e)
{
	if (e == NULL || *e == NULL)
		return;
	for (size_t i = 0; i < (*e)->n_files; i++) {
		free((*e)->files[i].name);
		blob_clear(&(*e)->files[i].data);
	}
	for (size_t i = 0; i < (*e)->n_seen; i++)
		free((*e)->seen[i].path);
	free((*e)->files);
	free((*e)->seen);
	free(*e);
	*e = NULL;
}

/* One component: no leading dot (so no "..", nothing hidden), plain letters. */
static bool
plain_component(const char *s, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789-_.";

	if (len == 0 || s[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (memchr(plain, s[i], sizeof(plain) - 1) == NULL)
			return false;
	return true;
}

static bool
plain_name(const char *name)
{
	size_t depth = 0, len;

	if (strlen(name) > NAME_LEN_MAX)
		return false;
	for (const char *s = name;; s += len + 1) {
		len = strcspn(s, "/");
		if (++depth > DEPTH_MAX + 1 || !plain_component(s, len))
			return false;
		if (s[len] == '\0')
			return true;
	}
}

/* The place of name in the sorted files; *ret_found when it is there. */
static size_t
place(const struct endorsements *e, const char *name, bool *ret_found)
{
	size_t low = 0, high = e->n_files;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(e->files[mid].name, name);

		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = false;
	return low;
}

/* The digest of all files with one more. */
static int
digest_with(const struct endorsements *e, const char *name, struct span data,
    uint8_t out[static SHA256_LEN])
{
	_cleanup_(blob_clear) struct blob t = { 0 };
	uint8_t digest[SHA256_LEN];
	const struct span fields[] = { span(e->digest, SHA256_LEN),
		span(name, strlen(name)), span(digest, SHA256_LEN) };
	int r = hash(HASH_SHA256, data, digest);

	if (r == CVM_OK)
		r = tuple("cvm-pkcs11/endorsements/1", fields, NELEMS(fields),
		    &t);
	return r == CVM_OK ? hash(HASH_SHA256, blob_span(&t), out) : r;
}

void
endorsements_digest(const struct endorsements *e,
    uint8_t out[static SHA256_LEN])
{
	memset(out, 0, SHA256_LEN);
	if (e != NULL)
		memcpy(out, e->digest, SHA256_LEN);
}

int
endorsements_add(struct endorsements *e, const char *name, struct span data)
{
	_cleanup_(freep) char *copy = NULL;
	_cleanup_(blob_clear) struct blob bytes = { 0 };
	uint8_t digest[SHA256_LEN];
	struct file *files;
	bool found;
	size_t at;

	if (!plain_name(name))
		return CVM_E_INVAL;
	if (e->n_files == ENDORSEMENTS_FILES_MAX ||
	    data.len > ENDORSEMENTS_FILE_MAX ||
	    data.len > ENDORSEMENTS_BYTES_MAX - e->bytes)
		return CVM_E_CONFIG;
	at = place(e, name, &found);
	if (found)
		return CVM_E_EXISTS;
	if (digest_with(e, name, data, digest) != CVM_OK)
		return CVM_E_NOMEM;
	copy = strdup(name);
	files = realloc(e->files, (e->n_files + 1) * sizeof(*files));
	if (files != NULL)
		e->files = files;
	if (copy == NULL || files == NULL || blob_set(&bytes, data) < 0)
		return CVM_E_NOMEM;
	memmove(&files[at + 1], &files[at], (e->n_files - at) * sizeof(*files));
	files[at] = (struct file){ TAKE_PTR(copy), bytes };
	bytes = (struct blob){ 0 };
	e->n_files++;
	e->bytes += data.len;
	memcpy(e->digest, digest, SHA256_LEN);
	return CVM_OK;
}

struct span
endorsements_find(const struct endorsements *e, const char *name)
{
	bool found;
	size_t at;

	if (e == NULL)
		return span(NULL, 0);
	at = place(e, name, &found);
	return found ? blob_span(&e->files[at].data) : span(NULL, 0);
}

const char *
endorsements_name(const struct endorsements *e, size_t i)
{
	return e != NULL && i < e->n_files ? e->files[i].name : NULL;
}

/* stamp NULL: it was not there. Takes path. */
static int
note_seen(struct endorsements *e, char **path, const struct stamp *stamp)
{
	struct seen_file *seen;

	seen = realloc(e->seen, (e->n_seen + 1) * sizeof(*seen));
	if (seen == NULL)
		return CVM_E_NOMEM;
	e->seen = seen;
	seen[e->n_seen++] = (struct seen_file){
		.path = TAKE_PTR(*path),
		.stamp = stamp != NULL ? *stamp : (struct stamp){ 0 },
	};
	return CVM_OK;
}

static bool
still_current(const struct seen_file *f)
{
	struct stamp now = { 0 };
	struct stat st;

	if (stat(f->path, &st) == 0)
		now = stamp_of(&st);
	else if (errno != ENOENT && errno != ENOTDIR)
		return false;
	return stamp_current(&f->stamp, &now);
}

bool
endorsements_stale(const struct endorsements *e)
{
	for (size_t i = 0; i < e->n_seen; i++)
		if (!still_current(&e->seen[i]))
			return true;
	return false;
}

static int
fail_errno(const struct walk *w, const char *path, const char *expected)
{
	int saved = errno;
	char text[128];

	return why_set(w->why, saved == ENOMEM ? CVM_E_NOMEM : CVM_E_IO, path,
	    "", expected, strerror_r(saved, text, sizeof(text)));
}

/* dir/name, or dir when name is empty. */
static char *
join(const char *dir, const char *name)
{
	char *s = NULL;

	if (asprintf(&s, "%s%s%s", dir, name[0] ? "/" : "", name) < 0)
		return NULL;
	return s;
}

static int
read_all(int fd, struct blob *ret)
{
	_cleanup_(blob_clear) struct blob out = { 0 };
	uint8_t buf[16384];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return CVM_E_IO;
		if (n == 0)
			break;
		if ((size_t)n > ENDORSEMENTS_FILE_MAX - out.len)
			return CVM_E_CONFIG;
		if (blob_append(&out, span(buf, (size_t)n)) < 0)
			return CVM_E_NOMEM;
	}
	*ret = out;
	out = (struct blob){ 0 };
	return CVM_OK;
}

static int
add_file(struct walk *w, int fd, const char *name, const char *path)
{
	_cleanup_(blob_clear) struct blob data = { 0 };
	int r = read_all(fd, &data);

	if (r == CVM_E_IO)
		return fail_errno(w, path, "a readable file");
	if (r == CVM_OK)
		r = endorsements_add(w->e, name, blob_span(&data));
	if (r == CVM_E_CONFIG)
		return why_set(w->why, r, path, "size",
		    "at most 256 files, 4 MiB each, 32 MiB together", "more");
	if (r < 0)
		return why_set(w->why, r, path, "", "a plain, short name",
		    name);
	return CVM_OK;
}

static bool
wanted_suffix(const char *name)
{
	static const char *const suffixes[] = { ".pem", ".der", ".crl", ".crt",
		".cer", ".json", ".binarypb" };
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < NELEMS(suffixes); i++)
		if (strcmp(dot, suffixes[i]) == 0)
			return true;
	return false;
}

static int walk_dir(struct walk *w, int fd, const char *name, unsigned depth);

/* What kind of entry it is, is asked of what was opened. */
static int
walk_entry(struct walk *w, int dir_fd, const char *entry, const char *name,
    unsigned depth)
{
	_cleanup_(freep) char *path = join(w->dir, name);
	_cleanup_(closep) int fd = -1;
	struct stamp stamp;
	struct stat st;
	int r;

	if (path == NULL)
		return CVM_E_NOMEM;
	fd = openat(dir_fd, entry,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return CVM_OK; /* an update took it away just now */
	if (fd < 0 && errno == EACCES && !wanted_suffix(entry))
		return CVM_OK; /* somebody's notes */
	if (fd < 0 && errno == ELOOP)
		return why_set(w->why, CVM_E_IO, path, "",
		    "a regular file or a directory", "a symbolic link");
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(w, path, "a readable file");
	if (S_ISDIR(st.st_mode))
		return depth < DEPTH_MAX ?
		    walk_dir(w, TAKE_FD(fd), name, depth + 1) :
		    why_set(w->why, CVM_E_CONFIG, path, "",
			"at most 3 levels of directories", "more");
	if (!wanted_suffix(entry))
		return CVM_OK;
	if (!S_ISREG(st.st_mode))
		return why_set(w->why, CVM_E_IO, path, "",
		    "a regular file or a directory", "another kind of file");
	stamp = stamp_of(&st);
	r = add_file(w, fd, name, path);
	return r < 0 ? r : note_seen(w->e, &path, &stamp);
}

/* Takes fd. name is relative to the top, "" there. */
static int
walk_dir(struct walk *w, int fd, const char *name, unsigned depth)
{
	_cleanup_(closep) int owned = fd;
	_cleanup_(dir_closep) DIR *d = NULL;
	_cleanup_(freep) char *path = join(w->dir, name);
	const struct dirent *de;
	struct stamp stamp;
	struct stat st;

	if (path == NULL || fstat(owned, &st) < 0)
		return CVM_E_NOMEM;
	stamp = stamp_of(&st);
	d = fdopendir(owned);
	if (d == NULL)
		return fail_errno(w, path, "a readable directory");
	fd = TAKE_FD(owned); /* the stream's now */
	while ((errno = 0, de = readdir(d)) != NULL) {
		_cleanup_(freep) char *below = NULL;
		int r;

		if (++w->entries > ENTRIES_MAX)
			return why_set(w->why, CVM_E_CONFIG, path, "",
			    "at most 4096 entries", "more");
		if (!plain_component(de->d_name, strlen(de->d_name)))
			continue;
		below = join(name[0] ? name : de->d_name,
		    name[0] ? de->d_name : "");
		if (below == NULL)
			return CVM_E_NOMEM;
		r = walk_entry(w, fd, de->d_name, below, depth);
		if (r < 0)
			return r;
	}
	if (errno != 0)
		return fail_errno(w, path, "a readable directory");
	return note_seen(w->e, &path, &stamp);
}

int
endorsements_load(const char *dir, struct endorsements **ret,
    struct why *reterr_why)
{
	_cleanup_(
	    endorsements_freep) struct endorsements *e = endorsements_new();
	_cleanup_(freep) char *path = strdup(dir);
	_cleanup_(closep) int fd = -1;
	struct walk w = { e, dir, 0, reterr_why };
	int r;

	if (e == NULL || path == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, dir, "", "", "");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		r = note_seen(e, &path, NULL);
	else if (fd < 0)
		return fail_errno(&w, dir, "a readable directory");
	else
		r = walk_dir(&w, TAKE_FD(fd), "", 0);
	if (r == CVM_E_NOMEM)
		return why_set(reterr_why, r, dir, "", "", "");
	if (r < 0)
		return r;
	*ret = TAKE_PTR(e);
	return CVM_OK;
}
