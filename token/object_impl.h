/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_OBJECT_IMPL_H
#define TOKEN_OBJECT_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "token/evp.h"
#include "token/internal.h"

/*
 * Between the files of the object half. A struct object is immutable once it
 * is in the table: a change of attributes puts a new one, with the same handle
 * and the same struct key_cache, in its place. So whoever holds a reference
 * reads without a lock.
 */

/*
 * A lease: what a session keeps prepared from one operation to the next, where
 * no other thread looks for it. It is an operation's in use, or rests; a wipe
 * takes the key out of it at once, or leaves that to the operation's end.
 */
enum lease {
	LEASE_NONE, /* the cache's, as any other */
	LEASE_USED,
	LEASE_RESTS,
	LEASE_OVER, /* wiped: it does not come back */
};

/*
 * A prepared private or secret operation: EVP contexts that are ready for the
 * next input. tag tells for what; 0 fits nothing.
 */
struct prepared {
	EVP_PKEY_CTX *pctx;
	EVP_MD_CTX *md;
	EVP_CIPHER_CTX *cipher; /* with the key of a secret-key object */
	EVP_MAC_CTX *mac;	/* the same */
	bool used;		/* md or mac was given a message */
	uint64_t tag;
	size_t nonce_len; /* that cipher is set up for; 0: not known */
	uint64_t generation;
	/* token/rsa_unpad.h: what false messages come from; or all zero. */
	uint8_t rejection[SHA256_LEN];
	bool has_rejection;
	_Atomic enum lease lease;
	struct prepared *next; /* of the key's leases */
};

#define KEY_IDLE_MAX 16
/* Of one key. Further sessions take what they find idle. */
#define KEY_LEASES_MAX 64

/*
 * What is cached of an object's material, shared by all versions of the
 * object. wiped counts wipes: what was taken out before a wipe never comes
 * back.
 */
struct key_cache {
	_Atomic unsigned refs;
	_Atomic uint64_t wiped;
	struct prepared *_Atomic idle[KEY_IDLE_MAX];
	pthread_mutex_t lock; /* of what follows; held for a few loads only */
	EVP_PKEY *pkey;
	struct secret *material; /* session objects: its only place */
	struct prepared *leases;
	size_t n_leases;
};

enum object_index { BY_HANDLE, BY_RECORD, BY_ID, BY_LABEL, N_INDEXES };

#define OBJECT_STAMP_LEN 16

struct object {
	_Atomic unsigned refs;
	CK_OBJECT_HANDLE handle;
	uint8_t id[STORE_ID_LEN];
	/* The end of the record's box, its tag: which version this is. */
	uint8_t stamp[OBJECT_STAMP_LEN];
	/* The start of the record's hints; 0: none, or not known. */
	uint64_t hint_id, hint_label;
	CK_SESSION_HANDLE session; /* owner; 0: a token object */
	bool token, private;
	bool always_auth, bind_operation; /* asked with each use */
	/* Not opened, or wiped: what the index of the store tells, and the
   * handle, are all that is here. */
	bool husk;
	bool broken; /* a husk whose record does not open; was logged */
	CK_OBJECT_CLASS class;
	CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION: no key */
	CK_FLAGS usage;	      /* CKF_SIGN... for CKA_SIGN... */
	CK_ULONG key_size;    /* bits; secret keys: bytes */
	struct attrs attrs;
	struct key_cache
	    *key; /* NULL: an object without material or public key */
	/* The table's. */
	uint64_t hash[N_INDEXES];
	struct object *next[N_INDEXES];
	uint64_t seen;
};

/* object.c. Takes attrs over; key may be NULL (a new one is made where the
 * class has keys) or is referenced. */
int object_new(const uint8_t id[static STORE_ID_LEN], struct attrs *attrs,
    struct key_cache *key, struct object **ret) _must_check_;
/* What is left of o after a wipe, or before it is opened (of a row: id, stamp
 * and hints). It keeps the key cache, if there is one. */
int object_husk(const struct object *o, struct object **ret) _must_check_;
struct object *object_ref(struct object *o);
/* The hash of a value in the table's indexes. */
uint64_t object_hash(struct span s);
bool object_is_key(const struct object *o); /* private or secret */
bool object_bool(const struct object *o, CK_ATTRIBUTE_TYPE type);

/* key_cache.c */
int key_cache_new(struct key_cache **ret) _must_check_;
struct key_cache *key_cache_ref(struct key_cache *k);
void key_cache_unrefp(struct key_cache **k);
/* Forgets everything; a session object's material is gone for good. */
void key_cache_wipe(struct key_cache *k);
/* Nothing is cached, and nobody but one object refers to it. */
bool key_cache_empty(struct key_cache *k);
void key_cache_after_fork(struct key_cache *k);
/* Takes pkey's reference over where nothing is cached yet and no wipe came
 * in since generation. */
void key_cache_remember(struct key_cache *k, uint64_t generation,
    EVP_PKEY *pkey);
EVP_PKEY *key_cache_recall(struct key_cache *k); /* a reference, or NULL */
/* A prepared operation out of the cache, or NULL; and back into it. */
struct prepared *prepared_take(struct key_cache *k, uint64_t tag);
void prepared_give(struct key_cache *k, struct prepared **p);
/* Makes p a lease in use, which prepared_give() ends. False: there are enough
 * of them, or the key was wiped. */
bool lease_begin(struct key_cache *k, struct prepared *p) _must_check_;
/* False: the key was wiped. It then is not to be used, but given. */
bool lease_rest(struct prepared *p) _must_check_;
bool lease_resume(struct prepared *p) _must_check_;
void prepared_freep(struct prepared **p);

/* object_key.c: object_private_key() and its like without the permit check
 * of a caller: material is decrypted for copying into a record. */
int object_material(struct token *t, struct object *o, const struct permit *p,
    struct secret **ret, struct why *reterr_why) _must_check_;

/* object_open.c: records are decrypted when somebody asks for them. */
/* A small token is held whole, so that what is public in it stays visible
 * after a denial; of a big one, what nobody uses is closed again. */
#define OPEN_ALL_MAX 256
#define OPEN_MAX 1024
/* Opens the husk and puts it into the table where the table has room or must
 * have it. *ret_kept (or NULL): whether *ret is what the table has now; what is
 * not is to be looked at, and not to be used. CVM_E_BUSY: the record is another
 * than the index says, refresh; CVM_E_SEALED; CVM_E_NOT_FOUND: it does not open
 * (logged). */
int object_open(struct token *t, const struct object *husk, bool must,
    struct object **ret, bool *ret_kept) _must_check_;
/* Opens all husks when there are few. */
int object_open_few(struct token *t) _must_check_;
/* Calls fn for all objects, or those whose CKA_ID or CKA_LABEL (index) has
 * this value, opened or not; under the table's read lock, or with an object
 * that was opened for the call. Stops when fn fails. */
int object_search(struct token *t, enum object_index index, struct span value,
    int (*fn)(void *arg, struct object *o), void *arg) _must_check_;

/* object_table.c */
/* Loads what changed in the store, if it is open; cheap when nothing did. */
int object_table_refresh(struct token *t, struct why *reterr_why) _must_check_;
/* The same for who has a handle: waits for no other thread or process, and
 * leaves the table as it is where it would have to. */
int object_table_glance(struct token *t, struct why *reterr_why) _must_check_;
/* records_write(), which spares the table a load for our own change: the
 * caller puts it into the table itself. */
int object_table_write(struct token *t, const struct permit *p,
    const struct record_change *v, size_t n,
    struct why *reterr_why) _must_check_;
/* Whether the last look at the store is long ago. */
bool object_table_stale(struct object_table *ot);
/* A mark of the moment, if o's handle names o in it, or 0; and whether no
 * handle has come to name another object since. The second takes no lock. */
uint64_t object_table_mark(struct object_table *ot, const struct object *o);
bool object_table_marked(struct object_table *ot, uint64_t mark);
/* Puts n new objects into the table. A denial or a logout since c was admitted
 * does to them what it did to the others: their handles may be over. */
void object_table_publish(struct token *t, const struct caller *c,
    struct object *const *o, size_t n, CK_OBJECT_HANDLE *ret);
/* Puts o in the place of old. False, and nothing is put, when old was destroyed
 * meanwhile, or is a session object that was changed. */
bool object_table_renew(struct object_table *ot, const struct object *old,
    struct object *o);
void object_table_drop(struct object_table *ot, struct object *o);
/* Whether the caller may know of o. admitted: its permit holds. */
bool object_visible(const struct object *o, const struct caller *c,
    bool admitted);
bool caller_admitted(const struct token *t, const struct caller *c);

/* create.c */
struct newborn {
	struct attrs attrs;
	struct secret *material; /* PKCS#8 or raw value; or NULL */
	EVP_PKEY *pkey;		 /* to be cached; or NULL */
};
void newborn_clear(struct newborn *b);
/* Private data are kept as key material is. */
int data_split(struct newborn *b) _must_check_;
/* What objects_publish() checks of one: its attributes together, and whether
 * the caller may create it. */
int newborn_check(struct token *t, const struct caller *c,
    const struct newborn *b, struct why *reterr_why) _must_check_;
/* Gives defaults and computed attributes, checks what the caller may create,
 * writes all or nothing, and puts the objects into the table. */
int objects_publish(struct token *t, const struct caller *c, struct newborn *v,
    size_t n, CK_OBJECT_HANDLE *ret, struct why *reterr_why) _must_check_;

#endif
