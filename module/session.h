/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_SESSION_H
#define MODULE_SESSION_H

#include <pthread.h>

#include "module/gate.h"
#include "module/message_params.h"

/*
 * Sessions. Handles are never reused in a process, not even by what another
 * C_Initialize made: a thread that missed C_Finalize has no handle to the
 * sessions of others. A session's memory is kept for the next session until
 * the table is freed, so that a thread with an old handle finds a lock to take
 * and a handle that differs. One PKCS#11 call at a time is in a session; who
 * closes it waits for the one that is.
 */
#define SESSIONS_MAX 65536

struct slot;

enum session_op { /* operations that may be in progress side by side */
	SESSION_SIGN,
	SESSION_VERIFY,
	SESSION_ENCRYPT,
	SESSION_DECRYPT,
	SESSION_DIGEST,
	SESSION_MESSAGE_SIGN,
	SESSION_MESSAGE_VERIFY,
	SESSION_MESSAGE_ENCRYPT,
	SESSION_MESSAGE_DECRYPT,
	SESSION_OPS,
};

struct operation {
	struct op *op;	  /* NULL: none in progress */
	struct op *rest;  /* what the last one left for the next, or NULL */
	bool multipart;	  /* a part was processed */
	bool once;	  /* the one-shot form was asked, for its size say */
	bool bound;	  /* each use is an admission of its own */
	bool always_auth; /* CKA_ALWAYS_AUTHENTICATE */
	bool authed;	  /* ... and CKU_CONTEXT_SPECIFIC has been done */
	/* The signature came first: C_VerifySignatureInit. */
	bool signature_first;
	bool in_message;     /* begun, in parts */
	uint64_t login_ends; /* of the slot, when it was begun */
	struct blob signature;
	/*
	 * Message-based processes, which last for many messages. Where each
	 * message has a parameter of its own, op is that of the message under
	 * way, and this is what it is made with.
	 */
	struct object *message_key;
	CK_MECHANISM_TYPE message_mech;
	uint64_t taken, given; /* bytes of the message in parts */
	size_t tag_len;
	struct message_counter counter;
};

struct session {
	pthread_mutex_t lock; /* of everything below */
	/* A call is under way: after a fork, what it left is not trusted. */
	_Atomic bool busy;
	_Atomic CK_SESSION_HANDLE handle; /* 0: not in use */
	struct slot *slot;
	bool writable;
	uint64_t calls; /* of the application, but C_OpenSession */
	struct gate_session gate;
	struct operation op[SESSION_OPS];
	CK_OBJECT_HANDLE *found; /* of C_FindObjectsInit */
	size_t n_found, next_found;
	bool finding;
	struct evidence_object *evidence; /* a list */
};

struct session_table;

/* opened: session_table_opened() of the table before, or 0. */
int session_table_new(uint64_t opened, struct session_table **ret) _must_check_;
/* A number that no handle of this table's has, nor one that a call which is
 * under way may still be given; handles of the next table are above it. */
uint64_t session_table_opened(struct session_table *t);
/* Sessions that are open are closed, as far as memory goes. */
void session_table_freep(struct session_table **t);

/* A new session, locked. CVM_E_BUSY: there are SESSIONS_MAX. */
int session_open(struct session_table *t, struct slot *slot, bool writable,
    struct session **ret) _must_check_;
/* The session of that handle, locked; NULL: there is none. */
struct session *session_lock(struct session_table *t, CK_SESSION_HANDLE h);
void session_unlock(struct session *s);
/* Closes and unlocks. */
void session_close(struct session_table *t, struct session *s);
/* Closes all sessions of the slot, or of all slots when it is NULL. */
void session_close_all(struct session_table *t, const struct slot *slot);

bool operation_active(const struct operation *o);
void operation_end(struct operation *o); /* keeps rest */
void session_find_end(struct session *s);

/* In the child: new locks; sessions in which another thread was are emptied
 * and stay open; counts of slots are taken anew. */
void session_table_after_fork(struct session_table *t);

#endif
