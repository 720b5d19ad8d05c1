/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/forkid.h"
#include "token/store_sql.h"

static pthread_mutex_t store_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t store_once = PTHREAD_ONCE_INIT;

void
store_lock(void)
{
	(void)pthread_mutex_lock(&store_mutex);
}

bool
store_trylock(void)
{
	return pthread_mutex_trylock(&store_mutex) == 0;
}

void
store_set_impatient(struct store *s, bool impatient)
{
	if (s != NULL)
		s->impatient = impatient;
}

void
store_unlock(void)
{
	(void)pthread_mutex_unlock(&store_mutex);
}

/* A fork waits until no thread of ours is inside SQLite or a transaction. */
static void
guard_forks(void)
{
	(void)pthread_atfork(store_lock, store_unlock, store_unlock);
}

static struct store *
store_alloc(const char *path)
{
	struct store *s = calloc(1, sizeof(*s));

	(void)pthread_once(&store_once, guard_forks);
	forkid_setup();
	if (s == NULL || (s->path = strdup(path)) == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void
store_freep(struct store **sp)
{
	struct store *s = *sp;

	if (s == NULL)
		return;
	sql_close(s);
	if (s->temporary != NULL && s->fork_count == forkid())
		(void)unlink(s->temporary);
	free(s->temporary);
	free(s->path);
	free(s);
	*sp = NULL;
}

static int
refuse_at(const char *where, const char *what, const char *expected,
    struct why *reterr_why)
{
	int err = errno == ENOENT ? CVM_E_NOT_FOUND :
	    errno == EEXIST	  ? CVM_E_EXISTS :
	    errno == ENOMEM	  ? CVM_E_NOMEM :
	    errno == EROFS	  ? CVM_E_WRITE_PROTECTED :
	    errno == ENOSPC	  ? CVM_E_FULL :
	    errno == EDQUOT	  ? CVM_E_FULL :
				    CVM_E_IO;

	return why_set(reterr_why, err, where, what, expected, strerror(errno));
}

static int
refuse_errno(const struct store *s, const char *what, const char *expected,
    struct why *reterr_why)
{
	return refuse_at(s->path, what, expected, reterr_why);
}

/* The directory part of path, "." when it has none. */
static char *
dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return slash == path ? strdup("/") :
			       strndup(path, (size_t)(slash - path));
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/*
 * Path with its directory resolved: symbolic links are fine on the way (as
 * /var may be one), but SQLite is told to follow none.
 */
static int
resolve(const struct store *s, char **ret, struct why *reterr_why)
{
	_cleanup_(freep) char *dir = dir_of(s->path);
	_cleanup_(freep) char *real = NULL;
	char file[PATH_MAX];
	int n;

	if (dir == NULL)
		return CVM_E_NOMEM;
	real = realpath(dir, NULL);
	if (real == NULL)
		return refuse_at(dir, "directory", "a directory", reterr_why);
	n = snprintf(file, sizeof(file), "%s/%s", real, base_of(s->path));
	if (n < 0 || (size_t)n >= sizeof(file)) {
		errno = ENAMETOOLONG;
		return refuse_errno(s, "path", "a shorter path", reterr_why);
	}
	*ret = strdup(file);
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}

/*
 * Looks with lstat(2), and not through a descriptor: closing one would drop
 * every POSIX lock that this process holds on the file.
 */
static int
look(const struct store *s, const char *file, struct stat *ret,
    struct why *reterr_why)
{
	_cleanup_(freep) char *dir = dir_of(file);
	struct stat st, parent;

	if (dir == NULL)
		return CVM_E_NOMEM;
	if (lstat(file, &st) != 0)
		return refuse_errno(s, "file", "a token store", reterr_why);
	if (!S_ISREG(st.st_mode))
		return why_setf(reterr_why, CVM_E_IO, s->path, "file type",
		    "a regular file", "mode 0%o", (unsigned)st.st_mode);
	if (stat(dir, &parent) != 0)
		return refuse_at(dir, "directory", "a directory", reterr_why);
	if (st.st_uid != 0 && st.st_uid != geteuid() &&
	    st.st_uid != parent.st_uid)
		return why_setf(reterr_why, CVM_E_IO, s->path, "owner",
		    "root, this user, or the directory's owner", "uid %u",
		    (unsigned)st.st_uid);
	if ((st.st_mode & S_IWOTH) != 0)
		return why_setf(reterr_why, CVM_E_IO, s->path, "mode",
		    "0600 or 0660", "0%o", (unsigned)st.st_mode & 07777);
	*ret = st;
	return CVM_OK;
}

static int
store_connect(struct store *s, struct why *reterr_why)
{
	_cleanup_(freep) char *file = NULL;
	struct stat before = { 0 }, after;
	int err;

	err = resolve(s, &file, reterr_why);
	if (err == CVM_OK)
		err = look(s, file, &before, reterr_why);
	if (err == CVM_OK)
		err = sql_open(s, file, reterr_why);
	if (err != CVM_OK)
		return err;
	if (lstat(file, &after) != 0 || after.st_ino != before.st_ino ||
	    after.st_dev != before.st_dev) {
		sql_close(s);
		return why_set(reterr_why, CVM_E_BUSY, s->path, "file",
		    "the same file while it is opened", "another one");
	}
	s->dev = after.st_dev;
	s->ino = after.st_ino;
	return CVM_OK;
}

int
store_open(const char *path, struct store **ret, struct why *reterr_why)
{
	_cleanup_(store_freep) struct store *s = store_alloc(path);
	int err;

	if (s == NULL)
		return CVM_E_NOMEM;
	err = store_connect(s, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

int
store_reopen(struct store *s, struct why *reterr_why)
{
	sql_close(s);
	return store_connect(s, reterr_why);
}

/* Where a store is made, one that is not there is no answer. */
static int
not_absent(int err, struct why *why)
{
	if (err != CVM_E_NOT_FOUND)
		return err;
	if (why != NULL)
		why->err = CVM_E_IO;
	return CVM_E_IO;
}

/* Where file cannot be made: what is wrong is wrong with its directory. */
static int
refuse_new(const char *file, struct why *reterr_why)
{
	_cleanup_(freep) char *dir = NULL;
	int error = errno;

	if ((dir = dir_of(file)) == NULL)
		return CVM_E_NOMEM;
	errno = error;
	if (error != EACCES && error != EPERM)
		return refuse_at(dir, "directory", "room for a new store",
		    reterr_why);
	return why_set(reterr_why, CVM_E_WRITE_PROTECTED, dir, "directory",
	    "one that this process may write to", strerror(error));
}

int
store_create(const char *path, uint32_t mode, struct store **ret,
    struct why *reterr_why)
{
	_cleanup_(store_freep) struct store *s = store_alloc(path);
	_cleanup_(freep) char *file = NULL;
	_cleanup_(closep) int fd = -1;
	char name[PATH_MAX];
	int n, err;

	if (s == NULL)
		return CVM_E_NOMEM;
	err = resolve(s, &file, reterr_why);
	if (err != CVM_OK)
		return not_absent(err, reterr_why);
	n = snprintf(name, sizeof(name), "%s.XXXXXX", file);
	if (n < 0 || (size_t)n >= sizeof(name)) {
		errno = ENAMETOOLONG;
		return refuse_errno(s, "path", "a shorter path", reterr_why);
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return refuse_new(file, reterr_why);
	s->fork_count = forkid();
	s->temporary = strdup(name);
	if (s->temporary == NULL) {
		(void)unlink(name);
		return CVM_E_NOMEM;
	}
	if (fchmod(fd, mode & 0660) != 0)
		return refuse_errno(s, "mode", "a change of mode", reterr_why);
	closep(&fd); /* before SQLite holds locks on the file */
	err = sql_make(s, s->temporary, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

/* Makes the names in the store's directory survive a power loss. */
static int
sync_dir(const struct store *s, const char *file, struct why *reterr_why)
{
	_cleanup_(freep) char *dir = dir_of(file);
	_cleanup_(closep) int fd = -1;

	if (dir == NULL)
		return CVM_E_NOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return refuse_errno(s, "directory", "a directory in sync",
		    reterr_why);
	return CVM_OK;
}

/*
 * The last step of a change that everybody sees by now. If the directory syncs
 * at another try the change is like any other; else a power loss may undo it,
 * and why says that.
 */
static int
sync_made(const struct store *s, const char *file, struct why *reterr_why)
{
	int err = sync_dir(s, file, reterr_why);

	if (err != CVM_OK)
		why_hint(reterr_why,
		    "the change is made, but may not survive a power loss");
	return err;
}

/*
 * The old file is kept under PATH.old. Its place is never empty: a second
 * name for the old file first, then the new file over the first name.
 */
static int
move_over(const struct store *s, const char *file, struct why *reterr_why)
{
	char old[PATH_MAX];
	int n;

	n = snprintf(old, sizeof(old), "%s.old", file);
	if (n < 0 || (size_t)n >= sizeof(old)) {
		errno = ENAMETOOLONG;
		return refuse_errno(s, "path", "a shorter path", reterr_why);
	}
	if (unlink(old) != 0 && errno != ENOENT)
		return refuse_errno(s, "old file", "room for PATH.old",
		    reterr_why);
	if (link(file, old) != 0 && errno != ENOENT)
		return refuse_errno(s, "old file", "a second name, PATH.old",
		    reterr_why);
	if (rename(s->temporary, file) != 0)
		return refuse_errno(s, "file", "the new store in its place",
		    reterr_why);
	return CVM_OK;
}

/* A journal that outlived its store would be taken for the new one's. */
static int
refuse_orphan(const struct store *s, const char *file, struct why *reterr_why)
{
	char journal[PATH_MAX];
	struct stat st;
	int n;

	n = snprintf(journal, sizeof(journal), "%s-journal", file);
	if (n < 0 || (size_t)n >= sizeof(journal)) {
		errno = ENAMETOOLONG;
		return refuse_errno(s, "path", "a shorter path", reterr_why);
	}
	if (lstat(journal, &st) != 0 || lstat(file, &st) == 0)
		return CVM_OK;
	(void)why_set(reterr_why, CVM_E_EXISTS, s->path, "PATH-journal",
	    "none without its store", "one of a store that is gone");
	why_hint(reterr_why, "remove it, or put its store back");
	return CVM_E_EXISTS;
}

int
store_publish(struct store *s, bool replace, struct why *reterr_why)
{
	_cleanup_(freep) char *file = NULL;
	int err;

	err = resolve(s, &file, reterr_why);
	if (err == CVM_OK)
		err = refuse_orphan(s, file, reterr_why);
	if (err != CVM_OK)
		return err;
	sql_close(s); /* everything is committed and synced */
	if (replace) {
		err = move_over(s, file, reterr_why);
		if (err != CVM_OK)
			return err;
	} else {
		if (link(s->temporary, file) != 0)
			return refuse_errno(s, "file", "no file yet",
			    reterr_why);
		(void)unlink(s->temporary);
	}
	freep(&s->temporary);
	if (sync_dir(s, file, /* reterr_why= */ NULL) != CVM_OK) {
		err = sync_made(s, file, reterr_why);
		if (err != CVM_OK)
			return err;
	}
	if (store_connect(s, /* reterr_why= */ NULL) == CVM_OK)
		return CVM_OK;
	err = store_connect(s, reterr_why);
	if (err != CVM_OK)
		why_hint(reterr_why,
		    "the change is made, but cannot be read back");
	return err;
}

const char *
store_path(const struct store *s)
{
	return s->path;
}

bool
store_writable(const struct store *s)
{
	_cleanup_(freep) char *dir = dir_of(s->path);

	return s->db != NULL && dir != NULL &&
	    sqlite3_db_readonly(s->db, "main") == 0 &&
	    faccessat(AT_FDCWD, s->path, R_OK | W_OK, AT_EACCESS) == 0 &&
	    faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;
}

bool
store_creatable(const char *path)
{
	_cleanup_(freep) char *dir = dir_of(path);

	return dir != NULL &&
	    faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;
}

/* A write into a file that was replaced under its name would be lost. */
static int
check_place(const struct store *s, struct why *reterr_why)
{
	struct stat st;

	if (s->temporary != NULL)
		return CVM_OK;
	if (lstat(s->path, &st) == 0 && st.st_ino == s->ino &&
	    st.st_dev == s->dev)
		return CVM_OK;
	return why_set(reterr_why, CVM_E_BUSY, s->path, "file",
	    "the store that was opened", "another one in its place");
}

/* A writer that comes again at once leaves the others an eighth of the time
 * that it took: locks have no queue in which they could stand. */
static void
make_room(const struct store *s)
{
	/* What began and came to nothing has no end of its own. */
	uint64_t took = s->done_ns > s->begun_ns ? s->done_ns - s->begun_ns : 0;
	uint64_t room = took / 8;
	uint64_t since = store_now_ns() - s->done_ns;
	struct timespec pause = { 0 };

	if (since >= room)
		return;
	room -= since;
	pause.tv_nsec = (long)(room < NS / 10 ? room : NS / 10);
	(void)nanosleep(&pause, NULL);
}

static int
begin_at_once(struct store *s, struct why *reterr_why)
{
	bool before = s->impatient;
	int err;

	s->impatient = true;
	err = sql_run(s, Q_BEGIN, "begin", reterr_why);
	s->impatient = before;
	return err;
}

/*
 * There may be many seconds until another process has written, in which the
 * other threads of this one want to read: so it is waited without the lock,
 * and outside of SQLite. Meanwhile another thread may have found another
 * store at the path.
 */
static int
begin_in_turn(struct store *s, struct why *reterr_why)
{
	struct sql_wait w = { .dice = store_now_ns() };
	const uint64_t opened = s->opened;
	struct timespec pause;
	int err = begin_at_once(s, reterr_why);

	for (int n = 0; err == CVM_E_BUSY && !s->impatient; n++) {
		if (!sql_wait_turn(s, &w, n, &pause))
			break;
		store_unlock();
		(void)nanosleep(&pause, NULL);
		store_lock();
		if (s->db == NULL || s->opened != opened)
			return why_set(reterr_why, CVM_E_BUSY, s->path, "file",
			    "the store that was opened",
			    "another one in its place");
		err = begin_at_once(s, reterr_why);
	}
	return err;
}

int
store_begin(struct store *s, struct why *reterr_why)
{
	int err;

	/* SQLite would begin to read, and refuse the first write only. */
	if (s->db != NULL && sqlite3_db_readonly(s->db, "main") == 1)
		return sql_refuse(s, SQLITE_READONLY, "begin", reterr_why);
	make_room(s);
	err = begin_in_turn(s, reterr_why);
	if (err != CVM_OK)
		return err;
	s->writes = true;
	s->begun_ns = store_now_ns();
	err = check_place(s, reterr_why);
	if (err != CVM_OK)
		store_rollback(s);
	return err;
}

int
store_begin_read(struct store *s, struct why *reterr_why)
{
	return sql_run(s, Q_BEGIN_READ, "begin", reterr_why);
}

/* SQLite's last step is to sync the directory: the journal is gone then, and
 * everybody sees the change. */
static int
commit_again(struct store *s, int err, struct why *reterr_why)
{
	if (!s->writes ||
	    sqlite3_extended_errcode(s->db) != SQLITE_IOERR_DIR_FSYNC)
		return err;
	s->committed++;
	return sync_made(s, s->path, reterr_why);
}

int
store_commit(struct store *s, struct why *reterr_why)
{
	int err;

	err = sql_run(s, Q_COMMIT, "commit", reterr_why);
	if (err != CVM_OK) {
		err = commit_again(s, err, reterr_why);
		if (err == CVM_OK)
			s->done_ns = store_now_ns();
		store_rollback(s);
		return err;
	}
	if (s->writes) {
		s->committed++;
		s->done_ns = store_now_ns();
	}
	s->writes = false;
	return CVM_OK;
}

bool
store_is_open(const struct store *s)
{
	return s->db != NULL;
}

/*
 * After some errors SQLite has rolled back by itself. What it cannot end, for
 * want of memory perhaps, would keep every process from writing for as long as
 * this one lives, and this one from beginning anything: closing ends it.
 */
void
store_rollback(struct store *s)
{
	s->writes = false;
	if (s->db == NULL || s->fork_count != forkid() ||
	    sqlite3_get_autocommit(s->db) != 0)
		return;
	(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	if (sqlite3_get_autocommit(s->db) == 0)
		sql_close(s);
}

int
store_version(struct store *s, uint64_t *ret, struct why *reterr_why)
{
	_cleanup_(sql_done) sqlite3_stmt *stmt = NULL;
	int err;

	err = sql_query(s, Q_VERSION, &stmt, reterr_why);
	if (err != CVM_OK)
		return err;
	err = sql_step(s, stmt, "version", reterr_why);
	if (err != 1)
		return err < 0 ? err : CVM_E_INTERNAL;
	*ret = (s->opened << 40) + s->committed +
	    (uint64_t)sqlite3_column_int64(stmt, 0);
	return CVM_OK;
}
