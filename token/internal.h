/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_INTERNAL_H
#define TOKEN_INTERNAL_H

#include "token/token.h"

/*
 * Between the files of token/: the life-cycle half (token.c, store, seals,
 * PINs) and the object half (objects, attribute rules, keys).
 */

/* Opens and closes records under the token's keys (record.c). The header is
 * the associated data of both boxes. CVM_E_SEALED when the key is not open. */
int record_seal(struct token *t, const uint8_t id[static STORE_ID_LEN],
    const struct attrs *attrs, const struct secret *material,
    struct store_object *ret, struct why *reterr_why) _must_check_;
int record_open_attrs(struct token *t, const struct store_object *o,
    struct attrs *ret, struct why *reterr_why) _must_check_;
/* Decrypts the private box of record id, read from the store. */
int record_open_material(struct token *t, const uint8_t id[static STORE_ID_LEN],
    struct secret **ret, struct why *reterr_why) _must_check_;
/* Keyed hint of a CKA_ID or CKA_LABEL value. */
int record_hint(struct token *t, CK_ATTRIBUTE_TYPE type, struct span value,
    struct blob *ret) _must_check_;

/* Writes in one transaction under the store lock; all or nothing. */
struct record_change {
	enum { RECORD_INSERT, RECORD_REPLACE, RECORD_DELETE } what;
	uint8_t id[STORE_ID_LEN];
	const struct attrs *attrs;     /* insert, replace */
	const struct attrs *was;       /* replace: what attrs were made of */
	const struct secret *material; /* insert; NULL on replace: keep */
};
/* The last question before a commit: others may have kept the store for a
 * minute. CVM_E_PERMIT. */
int token_still_admitted(struct token *t, const struct permit *p,
    struct why *reterr_why) _must_check_;
/* CVM_E_STALE: a record is not any more what its change was made of.
 * CVM_E_PERMIT: p ended, at the latest while another writer was waited for. */
int records_write(struct token *t, const struct permit *p,
    const struct record_change *v, size_t n,
    struct why *reterr_why) _must_check_;
/* The same; fn learns the versions (records_version) before and after the
 * change, before any other thread can see the latter. Under the store lock: fn
 * calls nothing of the token. */
int records_write_noting(struct token *t, const struct permit *p,
    const struct record_change *v, size_t n,
    void (*fn)(void *arg, uint64_t before, uint64_t after), void *arg,
    struct why *reterr_why) _must_check_;
/* Calls fn for each record (as store_object_each), under the store lock: of
 * the functions here, fn may call record_seal, record_open_attrs and
 * record_hint. */
int records_each(struct token *t, const struct span *hint_id,
    const struct span *hint_label,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct why *reterr_why) _must_check_;
/* Checks the manifest over every row, in one transaction, and calls fn for each
 * on the way: id, hints, and of the attributes' box nonce and tag (28 bytes)
 * are what store_object_tags() gives. What fn noted counts only if this
 * succeeds. Under the store lock: fn calls nothing of the token. *ret is the
 * version (records_version) that was seen. Without wait: CVM_E_BUSY instead of
 * waiting for another thread or process. */
int records_index(struct token *t, bool wait,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    uint64_t *ret, struct why *reterr_why) _must_check_;
int record_read(struct token *t, const uint8_t id[static STORE_ID_LEN],
    struct store_object *ret, struct why *reterr_why) _must_check_;
/* The store's data version: the object table reloads what changed. Grows with
 * every commit of any process, by exactly one with one of this token's. When
 * it changed and the token key is open, the manifest is checked first:
 * CVM_E_CORRUPT when rows were changed behind the token's back. */
int records_version(struct token *t, uint64_t *ret,
    struct why *reterr_why) _must_check_;
/* The same without a check: whether anything is new. wait: as above. */
int records_peek(struct token *t, bool wait, uint64_t *ret,
    struct why *reterr_why) _must_check_;

/* The object half's state inside a token. */
struct object_table;
int object_table_new(struct object_table **ret) _must_check_;
void object_table_freep(struct object_table **ot);
void object_table_wipe(struct object_table *ot);
/* This process took the store from version to version, and no object changed,
 * or the caller brings the table up to date. Takes no lock. */
void object_table_note(struct token *t, uint64_t before, uint64_t after);
/*
 * The table's index, for who reads every row anyway: object_load_row() is a
 * callback of manifest_verify(), and when that has succeeded at version (and
 * the key is kept) object_load_put() spares the first search another reading.
 * Where objects changed meanwhile, nothing is put. The caller frees.
 */
struct object_load;
int object_load_new(struct token *t, struct object_load **ret) _must_check_;
int object_load_row(void *arg, const struct store_object *o) _must_check_;
int object_load_put(struct object_load *l, uint64_t version) _must_check_;
void object_load_freep(struct object_load **l);
/* A logout (PKCS#11 section 5.6): private session objects are destroyed, and
 * those of the token will be seen again under other handles. */
void object_table_logout(struct object_table *ot);
void object_table_after_fork(struct object_table *ot);
struct object_table *token_objects(struct token *t);
const struct config_token *token_config(const struct token *t);
const struct permit_issuer *token_issuer(const struct token *t);

#endif
