/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/* The event logs and the CCEL table: files that change with a reboot. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "tree.h"

enum { LOG_TCG, LOG_CCEL, LOG_CCEL_TABLE };

static int
log_open(struct node *node, int flags, void **ret)
{
	struct machine *m = tree_machine(node->tree);
	struct buf *copy = xcalloc(1, sizeof(*copy));
	const struct buf *from[] = { [LOG_TCG] = &m->log.tcg,
		[LOG_CCEL] = &m->log.ccel,
		[LOG_CCEL_TABLE] = &m->log.ccel_table };

	if ((flags & O_ACCMODE) != O_RDONLY) {
		free(copy);
		return -EACCES;
	}
	pthread_mutex_lock(&m->boot_lock);
	buf_put(copy, from[node->index]->p, from[node->index]->len);
	pthread_mutex_unlock(&m->boot_lock);
	*ret = copy;
	return 0;
}

static void
log_read(fuse_req_t req, void *file, size_t size, off_t off)
{
	const struct buf *b = file;
	size_t from = (size_t)off < b->len ? (size_t)off : b->len;
	size_t n = b->len - from < size ? b->len - from : size;

	fuse_reply_buf(req, (char *)b->p + from, n);
}

static void
log_release(void *file)
{
	struct buf *b = file;

	buf_free(b);
	free(b);
}

static const struct file_ops log_ops = {
	.open = log_open,
	.read = log_read,
	.release = log_release,
};

static void
add(struct tree *tree, const char *dir, const char *name, mode_t mode,
    int index, off_t size)
{
	struct node *node = node_add(node_add_path(tree, dir), name,
	    S_IFREG | mode);

	node->files = &log_ops;
	node->index = index;
	node->size = size;
}

void
logs_add(struct tree *tree)
{
	struct machine *m = tree_machine(tree);

	/* securityfs tells no size */
	add(tree, "sys/kernel/security/tpm0", "binary_bios_measurements", 0440,
	    LOG_TCG, 0);
	if (m->setting[S_PLATFORM] != PLATFORM_TDX)
		return;
	add(tree, "sys/firmware/acpi/tables", "CCEL", 0400, LOG_CCEL_TABLE, 56);
	add(tree, "sys/firmware/acpi/tables/data", "CCEL", 0400, LOG_CCEL,
	    (off_t)m->log.ccel.len);
}
