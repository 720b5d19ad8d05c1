/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_LOSSES_H
#define TESTS_UNIT_LOSSES_H

#include "tests/unit/objects-fixture.h"
#include "token/object_impl.h"

/* The ways in which a key goes, and with it all that is made of it. */
static inline void
denial(struct stage *s, CK_OBJECT_HANDLE key)
{
	(void)key;
	permit_revoke_all(&s->f.issuer);
	token_wipe(s->t);
}

static inline void
logout(struct stage *s, CK_OBJECT_HANDLE key)
{
	(void)key;
	object_table_logout(token_objects(s->t));
}

static inline void
destruction(struct stage *s, CK_OBJECT_HANDLE key)
{
	ok(token_destroy(s->t, &s->c, key, why));
}

/* Another process, on the same store. */
static inline void
destruction_elsewhere(struct stage *s, CK_OBJECT_HANDLE key)
{
	_cleanup_(blob_clear) struct blob id = get_attr(s, key, CKA_UNIQUE_ID);
	CK_ATTRIBUTE what[] = { { CKA_UNIQUE_ID, id.data, id.len } };
	struct token *mine = s->t, *other = NULL;
	CK_OBJECT_HANDLE *found = NULL;
	size_t n = 0;

	ok(token_new(&s->f.cfg, &s->f.issuer, &other));
	s->f.token = other;
	ok(unseal(&s->f, why));
	s->f.token = mine;
	ok(token_find(other, &s->c, what, COUNT(what), &found, &n, why));
	assert_int_equal(n, 1);
	ok(token_destroy(other, &s->c, found[0], why));
	free(found);
	token_freep(&other);
	ok(object_table_refresh(mine, why));
}

static inline void
closed_session(struct stage *s, CK_OBJECT_HANDLE key)
{
	(void)key;
	token_session_closed(s->t, s->c.session);
}

/* What takes the right to the key, but leaves it. */
static inline void
revocation(struct stage *s, CK_OBJECT_HANDLE key)
{
	(void)key;
	permit_revoke_all(&s->f.issuer);
}

static inline void
expiry(struct stage *s, CK_OBJECT_HANDLE key)
{
	(void)key;
	s->f.permit.deadline_ns = boottime_ns();
}

static inline void
no_permit(struct stage *s, CK_OBJECT_HANDLE key)
{
	(void)key;
	s->c.permit = NULL;
}

static inline void
end_of_login(struct stage *s, CK_OBJECT_HANDLE key)
{
	(void)key;
	s->c.user = false;
}

static inline void
fork_in_child(struct stage *s, CK_OBJECT_HANDLE key)
{
	(void)key;
	token_after_fork(s->t);
	s->f.permit.fork_count++;
}

/* What the key may no longer be used for, by modification(). */
static CK_ATTRIBUTE_TYPE lost_usage = CKA_ENCRYPT;

static inline void
modification(struct stage *s, CK_OBJECT_HANDLE key)
{
	CK_ATTRIBUTE off[] = { BOOL_ATTR(lost_usage, false) };

	ok(token_set_attributes(s->t, &s->c, key, off, 1, why));
}

/* Each, and what becomes of what a session keeps. */
static const struct {
	const char *name;
	void (*run)(struct stage *s, CK_OBJECT_HANDLE key);
	bool token, takes_key;
	bool at_use; /* asked for the permit's time, and not before */
} lease_losses[] __attribute__((unused)) = {
	{ "denial", denial, false, true, false },
	{ "denial, token key", denial, true, true, false },
	{ "revocation", revocation, false, false, false },
	{ "expiry", expiry, false, false, true },
	{ "no permit", no_permit, false, false, false },
	{ "logout", logout, false, true, false },
	{ "logout, token key", logout, true, true, false },
	{ "end of login", end_of_login, false, false, false },
	{ "destruction", destruction, false, true, false },
	{ "destruction, token key", destruction, true, true, false },
	{ "destruction elsewhere", destruction_elsewhere, true, true, false },
	{ "close of the key's session", closed_session, false, true, false },
	{ "modification", modification, false, false, false },
	{ "modification, token key", modification, true, false, false },
	{ "fork", fork_in_child, false, true, false },
};

#endif
