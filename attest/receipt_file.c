/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "attest/receipt_file.h"

#define REOPENS_MAX 16
#define PAUSE_NS 2000000
#define FILES_MAX 999999

static int
refuse(const struct config_token *cfg, int err, const char *expected,
    const char *got, struct why *why)
{
	(void)why_set(why, err, cfg->receipts.path, RECEIPT_FIELD, expected,
	    got);
	return err;
}

static int
refuse_errno(const struct config_token *cfg, const char *expected,
    struct why *why)
{
	int error = errno;

	(void)refuse(cfg, CVM_E_IO, expected, strerrordesc_np(error), why);
	if (error == ENOSPC || error == EDQUOT)
		why_hint(why,
		    "make room, or cvm-token --token %s receipt "
		    "rotate and move the old log away",
		    cfg->name);
	return CVM_E_IO;
}

void
receipt_file_close(struct receipt_file *f)
{
	/* Other processes may have inherited the description in a fork. */
	if (f->fd >= 0)
		(void)flock(f->fd, LOCK_UN);
	closep(&f->fd);
}

static int
lock(const struct config_token *cfg, int fd, struct why *why)
{
	const struct timespec pause = { 0, PAUSE_NS };

	for (int i = 0; i < RECEIPT_LOCK_MS / (PAUSE_NS / 1000000); i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return CVM_OK;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return refuse_errno(cfg, "a file that can be locked",
			    why);
		(void)nanosleep(&pause, NULL);
	}
	return refuse(cfg, CVM_E_BUSY, "the lock within 5 s",
	    "another process holds it", why);
}

static int
check_kind(const struct config_token *cfg, const struct stat *st,
    struct why *why)
{
	if (!S_ISREG(st->st_mode))
		return refuse(cfg, CVM_E_IO, "a regular file", "something else",
		    why);
	if ((st->st_mode & S_IWOTH) != 0)
		return refuse(cfg, CVM_E_IO, "not writable by everybody",
		    "a file that everybody can write", why);
	return CVM_OK;
}

/* Opens and locks what the path names, also when it is being rotated. */
static int
open_locked(const struct config_token *cfg, struct receipt_file *f,
    struct why *why)
{
	const char *path = cfg->receipts.path;
	struct stat st, now;
	int err;

	for (int i = 0; i < REOPENS_MAX; i++) {
		receipt_file_close(f);
		f->fd = open(path,
		    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			O_NONBLOCK | O_NOCTTY,
		    (mode_t)cfg->store_mode);
		if (f->fd < 0 || fstat(f->fd, &st) != 0)
			return refuse_errno(cfg, "a file that can be written",
			    why);
		if ((err = check_kind(cfg, &st, why)) != CVM_OK ||
		    (err = lock(cfg, f->fd, why)) != CVM_OK)
			return err;
		if (fstat(f->fd, &st) != 0)
			return refuse_errno(cfg, "a file", why);
		f->dev = st.st_dev;
		f->ino = st.st_ino;
		f->size = st.st_size;
		if (stat(path, &now) == 0 && now.st_dev == st.st_dev &&
		    now.st_ino == st.st_ino)
			return CVM_OK;
	}
	return refuse(cfg, CVM_E_BUSY, "a file that stays where it is",
	    "one that is renamed all the time", why);
}

/* Exactly len bytes. */
static int
read_at(const struct config_token *cfg, int fd, void *buf, size_t len, off_t at,
    struct why *why)
{
	ssize_t n;

	for (size_t done = 0; done < len; done += (size_t)n) {
		n = pread(fd, (uint8_t *)buf + done, len - done,
		    at + (off_t)done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return refuse_errno(cfg, "a file that can be read",
			    why);
	}
	return CVM_OK;
}

/* Where the last line feed is, plus one; 0: there is none. */
static int
find_end(const struct config_token *cfg, const struct receipt_file *f,
    off_t *ret, struct why *why)
{
	uint8_t buf[4096];
	off_t at = f->size;
	int err;

	while (at > 0) {
		size_t n = at < (off_t)sizeof(buf) ? (size_t)at : sizeof(buf);
		const uint8_t *p;

		at -= (off_t)n;
		if ((err = read_at(cfg, f->fd, buf, n, at, why)) != CVM_OK)
			return err;
		if ((p = memrchr(buf, '\n', n)) != NULL) {
			*ret = at + (p - buf) + 1;
			return CVM_OK;
		}
	}
	*ret = 0;
	return CVM_OK;
}

static int
cut_torn_line(const struct config_token *cfg, struct receipt_file *f,
    uint64_t *ret_torn, struct why *why)
{
	off_t end = 0;
	int err;

	if ((err = find_end(cfg, f, &end, why)) != CVM_OK)
		return err;
	if (end == f->size)
		return CVM_OK;
	if (ftruncate(f->fd, end) != 0)
		return refuse_errno(cfg, "a torn line that can be cut off",
		    why);
	*ret_torn = (uint64_t)(f->size - end);
	f->size = end;
	return CVM_OK;
}

/* The hash that ends the last line. */
static int
read_head(const struct config_token *cfg, struct receipt_file *f,
    struct why *why)
{
	static const char before[] = ",\"hash\":\"", after[] = "\"}\n";
	char tail[RECEIPT_TAIL_LEN + 1] = { 0 };
	char *hex = tail + sizeof(before) - 1;
	int err;

	if (f->size < (off_t)RECEIPT_TAIL_LEN)
		return refuse(cfg, CVM_E_CORRUPT, "the lines of a receipt log",
		    "something shorter", why);
	err = read_at(cfg, f->fd, tail, RECEIPT_TAIL_LEN,
	    f->size - (off_t)RECEIPT_TAIL_LEN, why);
	if (err != CVM_OK)
		return err;
	if (memcmp(tail, before, sizeof(before) - 1) == 0 &&
	    strcmp(hex + 2 * SHA256_LEN, after) == 0) {
		hex[2 * SHA256_LEN] = '\0';
		if (hex_decode(hex, f->head, SHA256_LEN) == CVM_OK)
			return CVM_OK;
	}
	(void)refuse(cfg, CVM_E_CORRUPT, "a last line that ends in its hash",
	    "another line", why);
	why_hint(why, "cvm-token --token %s receipt verify says where",
	    cfg->name);
	return CVM_E_CORRUPT;
}

int
receipt_file_append(struct receipt_file *f, const struct config_token *cfg,
    struct span lines, const uint8_t head[static SHA256_LEN],
    struct why *reterr_why)
{
	size_t done = 0;
	ssize_t n;
	int err;

	while (done < lines.len) {
		n = write(f->fd, lines.data + done, lines.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done == lines.len) {
		f->size += (off_t)done;
		memcpy(f->head, head, SHA256_LEN);
		return CVM_OK;
	}
	err = refuse_errno(cfg, "room for the lines of a round", reterr_why);
	/* Whoever comes next would cut off the last line only. */
	if (done > 0 && ftruncate(f->fd, f->size) != 0)
		why_hint(reterr_why, "the lines of this round are incomplete");
	return err;
}

static int
append_line(const struct receipt *r, uint8_t head[static SHA256_LEN],
    struct blob *out)
{
	_cleanup_(receipt_body_clear) struct receipt_body b = { 0 };
	int err = receipt_encode(r, &b);

	return err != CVM_OK ? err : receipt_append(out, &b, head);
}

static int
first_line(const struct config_token *cfg, uint8_t head[static SHA256_LEN],
    struct blob *out)
{
	const struct receipt r = {
		.type = RECEIPT_LOG,
		.format = (char *)(uintptr_t)RECEIPT_FORMAT,
		.token = cfg->name,
		.time = (uint64_t)time(NULL),
	};

	return append_line(&r, head, out);
}

int
receipt_gap_line(uint64_t rounds, uint64_t bytes, const char *why,
    uint8_t head[static SHA256_LEN], struct blob *out)
{
	_cleanup_(freep) char *text = NULL;
	struct receipt r = {
		.type = RECEIPT_GAP,
		.time = (uint64_t)time(NULL),
		.rounds = rounds,
		.bytes = bytes,
	};
	int err = receipt_text(why, &text);

	r.why = text;
	return err != CVM_OK ? err : append_line(&r, head, out);
}

/* What a log must have before it takes lines: a first one, a whole last one. */
static int
prepare(const struct config_token *cfg, struct receipt_file *f, struct why *why)
{
	_cleanup_(blob_clear) struct blob lines = { 0 };
	uint8_t head[SHA256_LEN] = { 0 };
	uint64_t torn = 0;
	int err;

	if ((err = cut_torn_line(cfg, f, &torn, why)) != CVM_OK)
		return err;
	if (f->size > 0) {
		if ((err = read_head(cfg, f, why)) != CVM_OK)
			return err;
		memcpy(head, f->head, SHA256_LEN);
	} else {
		/* Whatever the umask of the process is. */
		if (torn == 0 && fchmod(f->fd, (mode_t)cfg->store_mode) != 0)
			return refuse_errno(cfg, "a file of its own mode", why);
		if ((err = first_line(cfg, head, &lines)) != CVM_OK)
			return err;
	}
	if (torn > 0 &&
	    (err = receipt_gap_line(0, torn, "a torn line was cut off", head,
		 &lines)) != CVM_OK)
		return err;
	return lines.len == 0 ?
	    CVM_OK :
	    receipt_file_append(f, cfg, blob_span(&lines), head, why);
}

int
receipt_file_open(const struct config_token *cfg, struct receipt_file *f,
    struct why *reterr_why)
{
	int err;

	f->fd = -1;
	if ((err = open_locked(cfg, f, reterr_why)) == CVM_OK)
		err = prepare(cfg, f, reterr_why);
	if (err != CVM_OK)
		receipt_file_close(f);
	return err;
}

/* A file with the first line, beside the log and with its owner and mode. */
static int
make_next(const struct config_token *cfg, const struct receipt_file *f,
    const char *next, struct why *why)
{
	_cleanup_(blob_clear) struct blob line = { 0 };
	_cleanup_(closep) int fd = -1;
	uint8_t head[SHA256_LEN];
	struct stat st;
	int err;

	memcpy(head, f->head, SHA256_LEN);
	if ((err = first_line(cfg, head, &line)) != CVM_OK)
		return err;
	(void)unlink(next); /* of a rotation that was interrupted */
	fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(f->fd, &st) != 0 ||
	    fchown(fd, st.st_uid, st.st_gid) != 0 ||
	    fchmod(fd, st.st_mode & 07777) != 0)
		return refuse_errno(cfg, "a new log with the owner of the old",
		    why);
	if (write(fd, line.data, line.len) != (ssize_t)line.len ||
	    fsync(fd) != 0)
		return refuse_errno(cfg, "room for a new log", why);
	return CVM_OK;
}

/* The path always names a log: a process that finds none begins a new one,
 * whose first line follows nothing. */
static int
exchange(const struct config_token *cfg, const char *next, char **ret_old,
    struct why *why)
{
	_cleanup_(freep) char *old = NULL;

	for (unsigned i = 1; i <= FILES_MAX; i++) {
		freep(&old);
		if (asprintf(&old, "%s.%06u", cfg->receipts.path, i) < 0) {
			old = NULL;
			return CVM_E_NOMEM;
		}
		if (link(cfg->receipts.path, old) == 0)
			break;
		if (errno != EEXIST || i == FILES_MAX)
			return refuse_errno(cfg, "a free name for the old log",
			    why);
	}
	if (rename(next, cfg->receipts.path) != 0) {
		(void)refuse_errno(cfg, "a log that can be replaced", why);
		(void)unlink(old);
		return CVM_E_IO;
	}
	*ret_old = TAKE_PTR(old);
	return CVM_OK;
}

int
receipt_rotate(const struct config_token *cfg, char **ret_old,
    struct why *reterr_why)
{
	_cleanup_(receipt_file_close) struct receipt_file f = { .fd = -1 };
	_cleanup_(freep) char *next = NULL;
	int err;

	if (access(cfg->receipts.path, F_OK) != 0)
		return refuse_errno(cfg, "a log", reterr_why);
	if ((err = receipt_file_open(cfg, &f, reterr_why)) != CVM_OK)
		return err;
	if (asprintf(&next, "%s.next", cfg->receipts.path) < 0) {
		next = NULL;
		return CVM_E_NOMEM;
	}
	if ((err = make_next(cfg, &f, next, reterr_why)) == CVM_OK)
		err = exchange(cfg, next, ret_old, reterr_why);
	if (err != CVM_OK)
		(void)unlink(next);
	return err;
}
