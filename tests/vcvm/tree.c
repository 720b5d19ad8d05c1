/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tree.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct tree {
	struct machine *m;
	pthread_mutex_t lock; /* the shape of the tree, and lookups */
	struct node *root;
	ino_t next_ino;
	struct timespec born;
};

/*
 * Whoever reads may close the file as soon as the answer is there, before the
 * thread that gave it has returned: the last of them all lets go.
 */
struct open_file {
	const struct file_ops *ops;
	struct node *node;
	void *file;
	atomic_uint refs;
};

static struct node *
new_node(struct tree *tree, const char *name, mode_t mode)
{
	struct node *node = xcalloc(1, sizeof(*node));

	node->tree = tree;
	node->name = xstrdup(name);
	node->mode = mode;
	node->ino = tree->next_ino++;
	return node;
}

struct tree *
tree_new(struct machine *m)
{
	struct tree *tree = xcalloc(1, sizeof(*tree));

	tree->m = m;
	tree->next_ino = 1;
	clock_gettime(CLOCK_REALTIME, &tree->born);
	pthread_mutex_init(&tree->lock, NULL);
	tree->root = new_node(tree, "", S_IFDIR | 0755);
	return tree;
}

static void
free_node(struct node *node)
{
	struct node *child, *next;

	for (child = node->children; child != NULL; child = next) {
		next = child->next;
		free_node(child);
	}
	if (node->free_data != NULL)
		node->free_data(node->data);
	free(node->name);
	free(node);
}

void
tree_freep(struct tree **tree)
{
	if (*tree == NULL)
		return;
	free_node((*tree)->root);
	freep(tree);
}

struct machine *
tree_machine(const struct tree *tree)
{
	return tree->m;
}

struct node *
tree_root(struct tree *tree)
{
	return tree->root;
}

struct node *
node_add(struct node *parent, const char *name, mode_t mode)
{
	struct node *node = new_node(parent->tree, name, mode);
	struct node **at = &parent->children;

	while (*at != NULL)
		at = &(*at)->next;
	node->parent = parent;
	*at = node;
	return node;
}

static struct node *
find_child(struct node *parent, const char *name, size_t len)
{
	struct node *n;

	for (n = parent->children; n != NULL; n = n->next)
		if (strlen(n->name) == len && memcmp(n->name, name, len) == 0)
			return n;
	return NULL;
}

struct node *
node_add_path(struct tree *tree, const char *path)
{
	struct node *node = tree->root;

	while (*path != '\0') {
		size_t len = strcspn(path, "/");
		struct node *next = find_child(node, path, len);

		if (next == NULL) {
			char *name = xstrdup(path);

			name[len] = '\0';
			next = node_add(node, name, S_IFDIR | 0755);
			free(name);
		}
		node = next;
		path += len + (path[len] == '/');
	}
	return node;
}

static struct node *
find_path(struct tree *tree, const char *path)
{
	struct node *node = tree->root;

	while (node != NULL && *path != '\0') {
		size_t len = strcspn(path, "/");

		if (len > 0)
			node = find_child(node, path, len);
		path += len + (path[len] == '/');
	}
	if (node == NULL)
		errno = ENOENT;
	return node;
}

int
tree_chmod(struct tree *tree, const char *path, mode_t mode)
{
	struct node *node;

	pthread_mutex_lock(&tree->lock);
	node = find_path(tree, path);
	if (node != NULL)
		node->mode = (node->mode & S_IFMT) | (mode & 07777);
	pthread_mutex_unlock(&tree->lock);
	return node == NULL ? -1 : 0;
}

int
tree_chown(struct tree *tree, const char *path, uid_t uid, gid_t gid)
{
	struct node *node;

	pthread_mutex_lock(&tree->lock);
	node = find_path(tree, path);
	if (node != NULL) {
		node->uid = uid;
		node->gid = gid;
	}
	pthread_mutex_unlock(&tree->lock);
	return node == NULL ? -1 : 0;
}

static struct tree *
tree_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct node *
node_of(fuse_req_t req, fuse_ino_t ino)
{
	if (ino == FUSE_ROOT_ID)
		return tree_of(req)->root;
	return (struct node *)(uintptr_t)ino;
}

static void
fill_stat(const struct node *node, struct stat *st)
{
	*st = (struct stat){
		.st_ino = node->ino,
		.st_mode = node->mode,
		.st_nlink = S_ISDIR(node->mode) ? 2 : 1,
		.st_uid = node->uid,
		.st_gid = node->gid,
		.st_size = node->size,
		.st_atim = node->tree->born,
		.st_mtim = node->tree->born,
		.st_ctim = node->tree->born,
	};
}

/* Wants the tree's lock. Nothing may be cached: modes change under us. */
static void
fill_entry(struct node *node, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){ .ino = (fuse_ino_t)(uintptr_t)node };
	fill_stat(node, &e->attr);
	node->lookups++;
}

static void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tree *tree = tree_of(req);
	struct fuse_entry_param e;
	struct node *node;

	pthread_mutex_lock(&tree->lock);
	node = find_child(node_of(req, parent), name, strlen(name));
	if (node != NULL)
		fill_entry(node, &e);
	pthread_mutex_unlock(&tree->lock);
	if (node == NULL)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_entry(req, &e);
}

/* Wants the tree's lock. An entry goes with the last of its files. */
static void
reap(struct node *node)
{
	if (!node->removed || node->lookups > 0)
		return;
	for (struct node *c = node->children; c != NULL; c = c->next)
		if (c->lookups > 0)
			return;
	free_node(node);
}

static void
forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	struct tree *tree = tree_of(req);
	struct node *node = node_of(req, ino);

	pthread_mutex_lock(&tree->lock);
	node->lookups -= n < node->lookups ? n : node->lookups;
	if (node->parent != NULL && node->parent->removed)
		node = node->parent;
	reap(node);
	pthread_mutex_unlock(&tree->lock);
}

static void
op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget(req, ino, n);
	fuse_reply_none(req);
}

static void
op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		forget(req, f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

static void
op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct tree *tree = tree_of(req);
	struct stat st;

	(void)fi;
	pthread_mutex_lock(&tree->lock);
	fill_stat(node_of(req, ino), &st);
	pthread_mutex_unlock(&tree->lock);
	fuse_reply_attr(req, &st, 0);
}

/* Modes and owners change; sizes (O_TRUNC) and times do not matter. */
static void
op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set,
    struct fuse_file_info *fi)
{
	struct tree *tree = tree_of(req);
	struct node *node = node_of(req, ino);
	struct stat st;

	(void)fi;
	pthread_mutex_lock(&tree->lock);
	if (set & FUSE_SET_ATTR_MODE)
		node->mode = (node->mode & S_IFMT) | (attr->st_mode & 07777);
	if (set & FUSE_SET_ATTR_UID)
		node->uid = attr->st_uid;
	if (set & FUSE_SET_ATTR_GID)
		node->gid = attr->st_gid;
	fill_stat(node, &st);
	pthread_mutex_unlock(&tree->lock);
	fuse_reply_attr(req, &st, 0);
}

static size_t
put_dirent(fuse_req_t req, struct buf *out, const char *name,
    const struct node *node)
{
	char entry[512];
	struct stat st;
	size_t n;

	fill_stat(node, &st);
	n = fuse_add_direntry(req, NULL, 0, name, NULL, 0);
	if (n > sizeof(entry))
		return 0;
	n = fuse_add_direntry(req, entry, sizeof(entry), name, &st,
	    (off_t)(out->len + n));
	buf_put(out, entry, n);
	return n;
}

/* Offsets are byte offsets in the listing as it is made for every call. */
static void
op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	struct tree *tree = tree_of(req);
	struct node *dir = node_of(req, ino);
	_cleanup_(buf_free) struct buf out = { 0 };
	size_t from = (size_t)off, to;

	(void)fi;
	pthread_mutex_lock(&tree->lock);
	put_dirent(req, &out, ".", dir);
	put_dirent(req, &out, "..", dir->parent ? dir->parent : dir);
	to = out.len <= size ? out.len : 0;
	for (struct node *n = dir->children; n != NULL; n = n->next) {
		put_dirent(req, &out, n->name, n);
		if (out.len - (from < out.len ? from : out.len) <= size)
			to = out.len;
	}
	pthread_mutex_unlock(&tree->lock);
	if (from >= to)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, (char *)out.p + from, to - from);
}

static void
op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct tree *tree = tree_of(req);
	struct node *dir = node_of(req, parent), *node = NULL;
	struct fuse_entry_param e;
	int r = -EPERM;

	(void)mode; /* as configfs, which knows only 0755 */
	pthread_mutex_lock(&tree->lock);
	if (find_child(dir, name, strlen(name)) != NULL)
		r = -EEXIST;
	else if (dir->dirs != NULL)
		r = dir->dirs->mkdir(dir, name, &node);
	if (r == 0)
		fill_entry(node, &e);
	pthread_mutex_unlock(&tree->lock);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
}

static void
unlink_node(struct node *node)
{
	struct node **at = &node->parent->children;

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node->next = NULL;
	node->parent = NULL;
	node->removed = true;
}

static void
op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tree *tree = tree_of(req);
	struct node *dir = node_of(req, parent), *node;
	int r = -EPERM;

	pthread_mutex_lock(&tree->lock);
	node = find_child(dir, name, strlen(name));
	if (node == NULL)
		r = -ENOENT;
	else if (dir->dirs != NULL)
		r = dir->dirs->rmdir(node);
	if (r == 0) {
		unlink_node(node);
		reap(node);
	}
	pthread_mutex_unlock(&tree->lock);
	fuse_reply_err(req, -r);
}

/* configfs and sysfs have no files to make or remove. */
static void
op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
    struct fuse_file_info *fi)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)fi;
	fuse_reply_err(req, EACCES);
}

static void
op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	fuse_reply_err(req, EPERM);
}

static void
op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *node = node_of(req, ino);
	struct open_file *open = xcalloc(1, sizeof(*open));
	int r;

	open->ops = node->files;
	open->node = node;
	open->refs = 1;
	r = open->ops->open(node, fi->flags, &open->file);
	if (r < 0) {
		free(open);
		fuse_reply_err(req, -r);
		return;
	}
	fi->direct_io = 1;
	fi->nonseekable = open->ops->poll != NULL;
	fi->fh = (uintptr_t)open;
	if (fuse_reply_open(req, fi) < 0) {
		open->ops->release(open->file);
		free(open);
	}
}

static struct open_file *
open_ref(const struct fuse_file_info *fi)
{
	struct open_file *open = (struct open_file *)(uintptr_t)fi->fh;

	atomic_fetch_add(&open->refs, 1);
	return open;
}

static void
open_unref(struct open_file *open)
{
	if (atomic_fetch_sub(&open->refs, 1) > 1)
		return;
	open->ops->release(open->file);
	free(open);
}

static void
open_unrefp(struct open_file **open)
{
	open_unref(*open);
}

static void
op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	_cleanup_(open_unrefp) struct open_file *open = open_ref(fi);

	(void)ino;
	open->ops->read(req, open->file, size, off);
}

static void
op_write(fuse_req_t req, fuse_ino_t ino, const char *p, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	_cleanup_(open_unrefp) struct open_file *open = open_ref(fi);

	(void)ino;
	if (open->ops->write == NULL)
		fuse_reply_err(req, EINVAL);
	else
		open->ops->write(req, open->file, p, size, off);
}

static void
op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
    struct fuse_pollhandle *ph)
{
	_cleanup_(open_unrefp) struct open_file *open = open_ref(fi);

	(void)ino;
	if (open->ops->poll != NULL) {
		open->ops->poll(req, open->file, ph);
		return;
	}
	/* ENOSYS would turn poll off for the TPM too. */
	fuse_reply_poll(req, POLLIN | POLLOUT);
	if (ph != NULL)
		fuse_pollhandle_destroy(ph);
}

static void
op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	_cleanup_(open_unrefp) struct open_file *open = open_ref(fi);

	(void)ino;
	if (open->ops->flush != NULL)
		open->ops->flush(open->file);
	fuse_reply_err(req, 0);
}

static void
op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	open_unref((struct open_file *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

const struct fuse_lowlevel_ops tree_ops = {
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readdir = op_readdir,
	.mkdir = op_mkdir,
	.rmdir = op_rmdir,
	.create = op_create,
	.unlink = op_unlink,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.poll = op_poll,
	.flush = op_flush,
	.release = op_release,
};
