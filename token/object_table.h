/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_OBJECT_TABLE_H
#define TOKEN_OBJECT_TABLE_H

#include "token/object_impl.h"

/*
 * Chained hash tables of a fixed size: nothing is ever moved, so that a fork
 * in the middle of another thread's change finds every chain whole.
 */
#define TABLE_BUCKETS (1u << 14)

struct object_table {
	pthread_rwlock_t lock;	 /* of everything below but loading */
	pthread_mutex_t loading; /* one load at a time; held across the store */
	struct object **bucket[N_INDEXES];
	CK_OBJECT_HANDLE last_handle;
	uint64_t changes; /* by this process, so that no load undoes one */
	/* What was ever taken out: without one more, handles name what they
	 * did. Read without the lock. */
	_Atomic uint64_t removals;
	uint64_t loads;
	bool loaded;
	_Atomic uint64_t version; /* of the store when loaded */
	_Atomic uint64_t checked_ns;
	_Atomic size_t n_session; /* session objects */
	_Atomic uint64_t logouts;
	size_t n_rows;		   /* of the store when loaded */
	size_t n_open;		   /* token objects that are no husks */
	size_t n_unknown;	   /* of them, made here since then */
	_Atomic uint64_t n_opened; /* records that were decrypted, ever */
	size_t hand;		   /* the bucket to look for idle ones in */
};

/* With the lock held for writing. */
void table_put(struct object_table *ot, struct object *o);
void table_remove(struct object_table *ot, struct object *o);
/* With the lock held: the chain of a hash. */
struct object *table_chain(struct object_table *ot, enum object_index i,
    uint64_t hash);
/* With the lock held for writing: an object becomes a husk again, and is no
 * longer the caller's to look at. False: no memory for one, it is as it was. */
bool table_close(struct object_table *ot, struct object *o);
/* Takes out what fn wants out. */
void table_sweep(struct object_table *ot,
    bool (*fn)(const void *arg, const struct object *o), const void *arg);
/* With the lock held; NULL when there is none. Borrowed. */
struct object *table_find_record(struct object_table *ot,
    const uint8_t id[static STORE_ID_LEN]);

#endif
