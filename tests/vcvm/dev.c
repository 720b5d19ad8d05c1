/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * dev/tpmrm0: the ABI of Linux drivers/char/tpm/tpm-dev-common.c. One command
 * is written at once; with O_NONBLOCK the write returns before the TPM has
 * answered, and poll tells when it has.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "space.h"
#include "tree.h"

struct dev_file {
	struct machine *m;
	struct space *space;
	bool nonblocking;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t idle;
	bool busy; /* a command is with the TPM */
	bool read_started;
	int error; /* of a command that a non-blocking write sent */
	struct buf rsp;
	size_t off;
	struct fuse_pollhandle *ph;
};

static int
dev_open(struct node *node, int flags, void **ret)
{
	struct machine *m = tree_machine(node->tree);
	struct dev_file *f = xcalloc(1, sizeof(*f));
	int r;

	pthread_mutex_lock(&m->tpm.lock);
	r = space_open(&m->tpm, &f->space);
	pthread_mutex_unlock(&m->tpm.lock);
	if (r < 0) {
		free(f);
		return -ENODEV;
	}
	f->m = m;
	f->nonblocking = flags & O_NONBLOCK;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->idle, NULL);
	atomic_fetch_add(&m->count.tpm_opens, 1);
	*ret = f;
	return 0;
}

static void
dev_release(void *file)
{
	struct dev_file *f = file;

	pthread_mutex_lock(&f->lock);
	while (f->busy)
		pthread_cond_wait(&f->idle, &f->lock);
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_lock(&f->m->tpm.lock);
	space_close(&f->m->tpm, f->space);
	pthread_mutex_unlock(&f->m->tpm.lock);
	if (f->ph != NULL)
		fuse_pollhandle_destroy(f->ph);
	buf_free(&f->rsp);
	free(f);
}

static void
sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void
put_error(struct buf *rsp, uint32_t rc)
{
	buf_be16(rsp, TPM_ST_NO_SESSIONS);
	buf_be32(rsp, TPM_HEADER);
	buf_be32(rsp, rc);
}

/* Runs one command; 0, or a negative errno for the writer. */
static int
run(struct dev_file *f, uint8_t *cmd, size_t len, struct buf *rsp)
{
	struct machine *m = f->m;
	long delay = knobs_get(m->knobs, K_TPM_DELAY_MS);
	uint32_t cc = get_be32(cmd + 6), rc;
	int r = 0;

	pthread_mutex_lock(&m->tpm.lock);
	if (delay > 0)
		sleep_ms(delay);
	atomic_fetch_add(&m->count.tpm_commands, 1);
	if (cc < TPM_CC_MAX)
		atomic_fetch_add(&m->count.tpm_command[cc], 1);
	if (knobs_take_tpm_error(m->knobs, &rc))
		put_error(rsp, rc);
	else
		r = space_transmit(&m->tpm, f->space, cmd, len, rsp);
	if (r == 0)
		azure_see(m, cmd, len, rsp);
	pthread_mutex_unlock(&m->tpm.lock);
	return r;
}

static void
finish(struct dev_file *f, struct buf *rsp, int error)
{
	pthread_mutex_lock(&f->lock);
	f->error = error;
	buf_free(&f->rsp);
	f->rsp = *rsp;
	f->off = 0;
	f->busy = false;
	pthread_cond_broadcast(&f->idle);
	if (f->ph != NULL) {
		fuse_lowlevel_notify_poll(f->ph);
		fuse_pollhandle_destroy(f->ph);
		f->ph = NULL;
	}
	pthread_mutex_unlock(&f->lock);
}

/* The checks of tpm_common_write(); 0 takes the file. */
static int
accept_command(struct dev_file *f, const uint8_t *p, size_t size)
{
	bool unread;
	int r = 0;

	if (size > TPM_BUFSIZE)
		return -E2BIG;
	pthread_mutex_lock(&f->lock);
	unread = !f->read_started && f->rsp.len > f->off;
	if (f->busy || unread)
		r = -EBUSY;
	else if (size < 6 || size < get_be32(p + 2) ||
	    get_be32(p + 2) < TPM_HEADER)
		r = -EINVAL;
	if (r == 0) {
		f->busy = true;
		f->read_started = false;
		f->error = 0;
		f->rsp.len = f->off = 0;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static void
dev_write(fuse_req_t req, void *file, const void *p, size_t size, off_t off)
{
	struct dev_file *f = file;
	uint8_t cmd[TPM_BUFSIZE];
	bool nonblocking = f->nonblocking;
	struct buf rsp = { 0 };
	int r = accept_command(f, p, size);

	(void)off;
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	memcpy(cmd, p, size);
	if (nonblocking)
		fuse_reply_write(req, size);
	r = run(f, cmd, get_be32(cmd + 2), &rsp);
	if (r < 0)
		rsp.len = 0;
	/* After finish() the file may be gone. */
	finish(f, &rsp, nonblocking ? r : 0);
	if (nonblocking)
		return;
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, size);
}

static void
dev_read(fuse_req_t req, void *file, size_t size, off_t off)
{
	struct dev_file *f = file;
	uint8_t out[TPM_BUFSIZE];
	size_t n;
	int error;

	(void)off;
	pthread_mutex_lock(&f->lock);
	while (f->busy)
		pthread_cond_wait(&f->idle, &f->lock);
	error = f->error;
	n = f->rsp.len - f->off;
	if (n > size)
		n = size;
	if (n > 0) {
		memcpy(out, f->rsp.p + f->off, n);
		f->off += n;
		f->read_started = true;
	}
	pthread_mutex_unlock(&f->lock);
	if (error < 0)
		fuse_reply_err(req, -error);
	else
		fuse_reply_buf(req, (char *)out, n);
}

static void
dev_poll(fuse_req_t req, void *file, struct fuse_pollhandle *ph)
{
	struct dev_file *f = file;
	unsigned events = POLLOUT | POLLWRNORM;

	pthread_mutex_lock(&f->lock);
	if (ph != NULL) {
		if (f->ph != NULL)
			fuse_pollhandle_destroy(f->ph);
		f->ph = ph;
	}
	if (f->error < 0)
		events = POLLIN | POLLRDNORM | POLLERR;
	else if (f->rsp.len > f->off)
		events = POLLIN | POLLRDNORM;
	fuse_reply_poll(req, events);
	pthread_mutex_unlock(&f->lock);
}

static const struct file_ops dev_ops = {
	.open = dev_open,
	.read = dev_read,
	.write = dev_write,
	.poll = dev_poll,
	.release = dev_release,
};

void
dev_add(struct tree *tree)
{
	struct node *node = node_add(node_add_path(tree, "dev"), "tpmrm0",
	    S_IFREG | 0660);
	struct group *tss = getgrnam("tss"); /* as tpm-udev has it */

	node->files = &dev_ops;
	if (tss != NULL)
		node->gid = tss->gr_gid;
}
