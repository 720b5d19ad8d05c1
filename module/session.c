/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>
#include <string.h>

#include "module/evidence.h"
#include "module/session.h"
#include "module/slot.h"

/* A handle is a running number and the index of the session's memory. */
#define INDEX_BITS 16

_Static_assert(SESSIONS_MAX == 1 << INDEX_BITS, "every index has a session");

struct session_table {
	struct session *_Atomic v[SESSIONS_MAX];
	pthread_mutex_t lock; /* of what follows; held for a few loads only */
	uint32_t idle[SESSIONS_MAX]; /* a stack of indexes to use again */
	size_t n_idle;
	_Atomic size_t n; /* indexes that were ever used */
	uint64_t opened;
};

int
session_table_new(uint64_t opened, struct session_table **ret)
{
	_cleanup_(freep) struct session_table *t = calloc(1, sizeof(*t));

	if (t == NULL || pthread_mutex_init(&t->lock, /* attr= */ NULL) != 0)
		return CVM_E_NOMEM;
	t->opened = opened;
	*ret = TAKE_PTR(t);
	return CVM_OK;
}

uint64_t
session_table_opened(struct session_table *t)
{
	uint64_t opened;

	(void)pthread_mutex_lock(&t->lock);
	opened = t->opened + SESSIONS_MAX;
	(void)pthread_mutex_unlock(&t->lock);
	return opened;
}

bool
operation_active(const struct operation *o)
{
	return o->op != NULL || o->message_key != NULL;
}

void
operation_end(struct operation *o)
{
	op_rest(&o->op, &o->rest);
	o->multipart = o->once = o->bound = false;
	o->always_auth = o->authed = false;
	o->signature_first = o->in_message = false;
	o->login_ends = 0;
	if (o->signature.data != NULL)
		blob_clear(&o->signature);
	if (o->message_key == NULL)
		return;
	object_unrefp(&o->message_key);
	o->message_mech = 0;
	o->taken = o->given = 0;
	o->tag_len = 0;
	o->counter = (struct message_counter){ 0 };
}

void
session_find_end(struct session *s)
{
	freep(&s->found);
	s->n_found = s->next_found = 0;
	s->finding = false;
}

static void
empty(struct session *s)
{
	for (size_t i = 0; i < SESSION_OPS; i++) {
		operation_end(&s->op[i]);
		op_freep(&s->op[i].rest);
	}
	session_find_end(s);
	evidence_objects_freep(&s->evidence);
	gate_session_clear(&s->gate);
}

void
session_table_freep(struct session_table **tp)
{
	struct session_table *t = TAKE_PTR(*tp);

	if (t == NULL)
		return;
	for (size_t i = 0; i < atomic_load(&t->n); i++) {
		_cleanup_(freep) struct session *s = atomic_load(&t->v[i]);

		if (s == NULL)
			continue;
		empty(s);
		(void)pthread_mutex_destroy(&s->lock);
	}
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

/* An index to use and the next handle. */
static int
take_index(struct session_table *t, size_t *ret, CK_SESSION_HANDLE *ret_handle)
{
	int err = CVM_OK;

	(void)pthread_mutex_lock(&t->lock);
	if (t->n_idle > 0)
		*ret = t->idle[--t->n_idle];
	else if (atomic_load(&t->n) < SESSIONS_MAX)
		*ret = atomic_fetch_add(&t->n, 1);
	else
		err = CVM_E_BUSY;
	if (err == CVM_OK)
		*ret_handle = (++t->opened << INDEX_BITS) | *ret;
	(void)pthread_mutex_unlock(&t->lock);
	return err;
}

static void
give_index(struct session_table *t, CK_SESSION_HANDLE handle)
{
	(void)pthread_mutex_lock(&t->lock);
	t->idle[t->n_idle++] = (uint32_t)(handle & (SESSIONS_MAX - 1));
	(void)pthread_mutex_unlock(&t->lock);
}

static struct session *
session_at(struct session_table *t, size_t i)
{
	struct session *s = atomic_load(&t->v[i]);

	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL || pthread_mutex_init(&s->lock, /* attr= */ NULL) != 0) {
		free(s);
		return NULL;
	}
	/* Nobody else has this index. */
	atomic_store(&t->v[i], s);
	return s;
}

int
session_open(struct session_table *t, struct slot *slot, bool writable,
    struct session **ret)
{
	CK_SESSION_HANDLE handle = 0;
	struct session *s;
	size_t i = 0;
	int err = take_index(t, &i, &handle);

	if (err != CVM_OK)
		return err;
	s = session_at(t, i);
	if (s == NULL) {
		give_index(t, handle);
		return CVM_E_NOMEM;
	}
	(void)pthread_mutex_lock(&s->lock);
	atomic_store(&s->busy, true);
	s->slot = slot;
	s->writable = writable;
	s->calls = 0;
	(void)atomic_fetch_add(&slot->n_sessions, 1);
	if (writable)
		(void)atomic_fetch_add(&slot->n_writable, 1);
	atomic_store(&s->handle, handle);
	*ret = s;
	return CVM_OK;
}

struct session *
session_lock(struct session_table *t, CK_SESSION_HANDLE h)
{
	struct session *s = atomic_load(&t->v[h & (SESSIONS_MAX - 1)]);

	if (h == CK_INVALID_HANDLE || s == NULL)
		return NULL;
	(void)pthread_mutex_lock(&s->lock);
	if (atomic_load(&s->handle) != h) {
		(void)pthread_mutex_unlock(&s->lock);
		return NULL;
	}
	atomic_store_explicit(&s->busy, true, memory_order_release);
	s->calls++;
	return s;
}

void
session_unlock(struct session *s)
{
	atomic_store_explicit(&s->busy, false, memory_order_release);
	(void)pthread_mutex_unlock(&s->lock);
}

void
session_close(struct session_table *t, struct session *s)
{
	struct slot *slot = s->slot;
	CK_SESSION_HANDLE handle = atomic_exchange(&s->handle, 0);
	struct token *token = gate_token(slot->gate);

	empty(s);
	if (s->writable)
		(void)atomic_fetch_sub(&slot->n_writable, 1);
	/* Closing it is a call, too. */
	if (s->calls > 1)
		atomic_store(&slot->used, true);
	/* PKCS#11 v3.0 section 5.6.2: the last one takes the login with it. */
	if (atomic_fetch_sub(&slot->n_sessions, 1) == 1)
		slot_forget_login(slot);
	session_unlock(s);
	if (token != NULL)
		token_session_closed(token, handle);
	give_index(t, handle);
}

void
session_close_all(struct session_table *t, const struct slot *slot)
{
	for (size_t i = 0; i < atomic_load(&t->n); i++) {
		struct session *s = atomic_load(&t->v[i]);

		if (s == NULL || atomic_load(&s->handle) == 0)
			continue;
		(void)pthread_mutex_lock(&s->lock);
		if (atomic_load(&s->handle) != 0 &&
		    (slot == NULL || s->slot == slot)) {
			/* For a child that is forked meanwhile. */
			atomic_store(&s->busy, true);
			s->calls++;
			session_close(t, s);
		} else
			(void)pthread_mutex_unlock(&s->lock);
	}
}

/* What a thread of the parent was changing is left where it is: unfinished
 * lists are not walked, not even to free them. */
static void
session_after_fork(struct session *s)
{
	(void)pthread_mutex_init(&s->lock, /* attr= */ NULL);
	if (atomic_exchange(&s->busy, false)) {
		memset(s->op, 0, sizeof(s->op));
		memset(&s->gate, 0, sizeof(s->gate));
		s->found = NULL;
		s->evidence = NULL;
		session_find_end(s);
	}
	for (size_t i = 0; i < SESSION_OPS; i++) {
		op_after_fork(s->op[i].op);
		op_after_fork(s->op[i].rest);
		if (s->op[i].message_key != NULL)
			object_after_fork(s->op[i].message_key);
	}
	/* Two processes must not count their nonces on from one number. */
	operation_end(&s->op[SESSION_MESSAGE_ENCRYPT]);
	op_freep(&s->op[SESSION_MESSAGE_ENCRYPT].rest);
	if (atomic_load(&s->handle) == 0 || s->slot == NULL)
		return;
	(void)atomic_fetch_add(&s->slot->n_sessions, 1);
	if (s->writable)
		(void)atomic_fetch_add(&s->slot->n_writable, 1);
}

/* Slots' counts are zero when this is called. */
void
session_table_after_fork(struct session_table *t)
{
	(void)pthread_mutex_init(&t->lock, /* attr= */ NULL);
	t->n_idle = 0;
	/* A handle may have been given out that the number does not show. */
	t->opened++;
	for (size_t i = 0; i < atomic_load(&t->n); i++) {
		struct session *s = atomic_load(&t->v[i]);

		if (s != NULL)
			session_after_fork(s);
		if (s == NULL || atomic_load(&s->handle) == 0)
			t->idle[t->n_idle++] = (uint32_t)i;
	}
}
