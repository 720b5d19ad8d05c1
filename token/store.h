/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_STORE_H
#define TOKEN_STORE_H

#include <stdbool.h>

#include "base/secret.h"

/*
 * The SQLite file of one token (token/FORMAT.md): meta, seals, object records.
 * It stores and returns bytes and knows no key: authentication and encryption
 * are above. Full synchronous, busy time-out, created with store_mode; changes
 * by other processes are noticed by data_version. One connection.
 *
 * Every call, and every transaction from begin to commit, happens between
 * store_lock() and store_unlock(). The lock is one for the process and is
 * taken across fork(2): SQLite keeps process-wide mutexes and a table of the
 * file locks it holds, and a child that inherits them in mid-call can neither
 * use nor repair them. After a fork the child must store_reopen() before any
 * other call; the inherited connection is left alone, neither used nor closed.
 * Errors: CVM_E_IO, CVM_E_FULL, CVM_E_WRITE_PROTECTED, CVM_E_BUSY,
 * CVM_E_NEWER, CVM_E_NOT_FOUND, CVM_E_EXISTS, CVM_E_CORRUPT; why names the
 * file and SQLite's reason. Each leaves the store as it was, but for one that
 * why's hint tells of: a directory that does not sync when all is done.
 */
#define STORE_FORMAT 1
#define STORE_ID_LEN 16
#define STORE_HINT_LEN 16

struct store;

void store_lock(void);
/* False, and nothing is locked, while another thread has it. */
bool store_trylock(void);
void store_unlock(void);
/* An impatient store answers CVM_E_BUSY where it would wait for another
 * process. s may be NULL. */
void store_set_impatient(struct store *s, bool impatient);

/* Refuses what is not a regular file, is owned by neither root, this user
 * nor its directory's owner, or is writable by everybody. */
int store_open(const char *path, struct store **ret,
    struct why *reterr_why) _must_check_;
/* Creates a new file with mode under a temporary name beside path; nothing
 * appears at path before store_publish(). store_freep() removes it again. */
int store_create(const char *path, uint32_t mode, struct store **ret,
    struct why *reterr_why) _must_check_;
/* Puts a created store at its path, at once and whole. CVM_E_EXISTS when a
 * file is there, unless replace is set: then that one becomes PATH.old, and
 * the caller keeps all others from writing into it. CVM_E_EXISTS, too, for a
 * PATH-journal without its store. */
int store_publish(struct store *s, bool replace,
    struct why *reterr_why) _must_check_;
void store_freep(struct store **s);
int store_reopen(struct store *s, struct why *reterr_why) _must_check_;

/* Transactions: begin (immediate), commit, roll back. While another process
 * writes, store_begin() waits without the lock, so that this process's other
 * threads read: nothing that was read before it counts after it. */
int store_begin(struct store *s, struct why *reterr_why) _must_check_;
/* A transaction that only reads: all its reads see one state. */
int store_begin_read(struct store *s, struct why *reterr_why) _must_check_;
int store_commit(struct store *s, struct why *reterr_why) _must_check_;
/* Where SQLite cannot roll back, the store is closed: store_reopen() it. */
void store_rollback(struct store *s);
bool store_is_open(const struct store *s);
/* As it was given; borrowed. */
const char *store_path(const struct store *s);
bool store_writable(const struct store *s);
/* Could this user make a store at path, which has none? */
bool store_creatable(const char *path);
/* Changes whenever any process changed the file, and only grows: one commit
 * of this connection adds exactly one. */
int store_version(struct store *s, uint64_t *ret,
    struct why *reterr_why) _must_check_;

int store_meta_get(struct store *s, const char *key, struct blob *ret,
    struct why *reterr_why) _must_check_;
int store_meta_set(struct store *s, const char *key, struct span value,
    struct why *reterr_why) _must_check_;

struct store_seal {
	uint8_t id[STORE_ID_LEN];
	uint32_t purpose, kind; /* enum seal_purpose, seal_kind */
	char *label;
	int64_t created; /* seconds since the epoch */
	struct blob params, blob;
};
struct store_seals {
	struct store_seal *v;
	size_t n;
};
void store_seal_clear(struct store_seal *seal);
void store_seals_clear(struct store_seals *l);
int store_seals_list(struct store *s, struct store_seals *ret,
    struct why *reterr_why) _must_check_;
int store_seal_put(struct store *s, const struct store_seal *seal,
    struct why *reterr_why) _must_check_;
int store_seal_delete(struct store *s, const uint8_t id[static STORE_ID_LEN],
    struct why *reterr_why) _must_check_;

/* An object record: opaque boxes, and keyed hints for finding without
 * opening everything (HMAC of CKA_ID and CKA_LABEL; empty: absent). */
struct store_object {
	uint8_t id[STORE_ID_LEN];
	struct blob hint_id, hint_label;
	struct blob header; /* authenticated, in clear */
	struct blob attrs_box;
	struct blob private_box; /* or empty */
};
void store_object_clear(struct store_object *o);
int store_object_get(struct store *s, const uint8_t id[static STORE_ID_LEN],
    struct store_object *ret, struct why *reterr_why) _must_check_;
/* Inserts, or replaces when replace is set (and then it must exist). */
int store_object_put(struct store *s, const struct store_object *o,
    bool replace, struct why *reterr_why) _must_check_;
int store_object_delete(struct store *s, const uint8_t id[static STORE_ID_LEN],
    struct why *reterr_why) _must_check_;
/* Calls fn for each record in insertion order until it returns non-zero
 * (returned). hint_id / hint_label restrict; NULL: any. fn must not write. */
int store_object_each(struct store *s, const struct span *hint_id,
    const struct span *hint_label,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct why *reterr_why) _must_check_;
/* Ids and the ends of the boxes only: what the manifest covers. Each box is
 * cut to its first 12 and last 16 bytes (nonce and tag), 28 in all. */
int store_object_tags(struct store *s,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct why *reterr_why) _must_check_;

#endif
