/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_TREE_H
#define VCVM_TREE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "machine.h"

/* The file system "root/": a tree of nodes, and what their files do. */
struct node;
struct tree;

/*
 * One open file. Operations reply to the request themselves. open returns 0 or
 * a negative errno, and the rest run concurrently.
 */
struct file_ops {
	int (*open)(struct node *node, int flags, void **ret_file);
	void (*read)(fuse_req_t req, void *file, size_t size, off_t off);
	void (*write)(fuse_req_t req, void *file, const void *p, size_t size,
	    off_t off);
	/* Takes ph, which may be NULL. */
	void (*poll)(fuse_req_t req, void *file, struct fuse_pollhandle *ph);
	/* Before close(2) returns; may be NULL, as write and poll. */
	void (*flush)(void *file);
	void (*release)(void *file);
};

/* Directories in which entries can be made and removed. */
struct dir_ops {
	/* 0, or a negative errno */
	int (*mkdir)(struct node *parent, const char *name,
	    struct node **ret_node);
	int (*rmdir)(struct node *node);
};

struct node {
	struct tree *tree;
	struct node *parent, *children, *next;
	char *name;
	ino_t ino;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	off_t size;
	uint64_t lookups; /* of the kernel, under the tree's lock */
	bool removed;
	const struct file_ops *files;
	const struct dir_ops *dirs; /* of a directory: of its children */
	void *data;
	void (*free_data)(void *data);
	int index; /* which attribute */
};

struct tree *tree_new(struct machine *m);
void tree_freep(struct tree **tree);
struct machine *tree_machine(const struct tree *tree);
struct node *tree_root(struct tree *tree);
/* Adds one entry; name is copied. Before the tree is mounted, or in mkdir. */
struct node *node_add(struct node *parent, const char *name, mode_t mode);
/* Adds directories for all elements of the path. */
struct node *node_add_path(struct tree *tree, const char *path);
/* Finds an entry by path; -1 with errno when there is none. */
int tree_chmod(struct tree *tree, const char *path, mode_t mode);
int tree_chown(struct tree *tree, const char *path, uid_t uid, gid_t gid);

extern const struct fuse_lowlevel_ops tree_ops;

/* The inhabitants: dev.c, tsm.c, logs.c. */
void dev_add(struct tree *tree);
void tsm_add(struct tree *tree);
void logs_add(struct tree *tree);

#endif
