/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/losses.h"
#include "token/object_table.h"

/* What was allowed when a call began, and comes after a denial, a logout, or
 * the end of its admission. */

static struct {
	struct stage *s;
	void (*loss)(struct stage *s, CK_OBJECT_HANDLE key);
	struct object *made; /* a reference to the last object */
} late;

void __real_object_table_publish(struct token *t, const struct caller *c,
    struct object *const *o, size_t n, CK_OBJECT_HANDLE *ret);

/* Between the writing of objects and their place in the table. */
void
__wrap_object_table_publish(struct token *t, const struct caller *c,
    struct object *const *o, size_t n, CK_OBJECT_HANDLE *ret)
{
	if (late.loss != NULL) {
		object_unrefp(&late.made);
		late.made = object_ref(o[n - 1]);
		late.loss(late.s, 0);
	}
	__real_object_table_publish(t, c, o, n, ret);
}

static void
admit_again(struct stage *s)
{
	new_permit(&s->f);
	ok(unseal(&s->f, why));
	s->c.logouts = token_logouts(s->t);
}

static int
teardown(void **state)
{
	late.loss = NULL;
	object_unrefp(&late.made);
	return stage_teardown(state);
}

/* Each kind of change, by a permit that ended in each way. */
static void
change_is_written_after_its_admission(void **state)
{
	static void (*const ends[])(struct stage *,
	    CK_OBJECT_HANDLE) = { revocation, expiry, no_permit };
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	struct object *o = NULL;
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct record_change c = { .attrs = &a };

	ok(token_object(s->t, &s->c, p.priv, &o));
	ok(attrs_copy(&o->attrs, &a));
	for (size_t i = 0; i < COUNT(ends); i++) {
		ends[i](s, 0);
		for (c.what = RECORD_INSERT; c.what <= RECORD_DELETE;
		     c.what++) {
			memcpy(c.id, o->id, sizeof(c.id));
			c.id[0] ^= c.what == RECORD_INSERT;
			refused(CVM_E_PERMIT,
			    records_write(s->t, s->c.permit, &c, 1, why));
		}
		s->c.permit = &s->f.permit;
		admit_again(s);
	}
	object_unrefp(&o);
	stage_restart(s);
	assert_int_equal(get_ulong(s, p.priv, CKA_CLASS), CKO_PRIVATE_KEY);
	c.what = RECORD_DELETE;
	ok(records_write(s->t, s->c.permit, &c, 1, why));
}

static bool
is_users(const struct store_seal *seal, const void *arg)
{
	(void)arg;
	return seal->purpose == SEAL_USER;
}

static size_t
seals_of(struct stage *s)
{
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };

	ok(token_seals(s->t, &l, why));
	return l.n;
}

/* PINs, too, are changed by their seals. */
static void
seals_are_changed_after_their_admission(void **state)
{
	static void (*const ends[])(struct stage *,
	    CK_OBJECT_HANDLE) = { revocation, expiry, no_permit };
	const struct seals_change c = { .drop = is_users };
	struct stage *s = *state;
	size_t before = seals_of(s);

	for (size_t i = 0; i < COUNT(ends); i++) {
		ends[i](s, 0);
		refused(CVM_E_PERMIT, seals_change(s->t, s->c.permit, &c, why));
		assert_int_equal(seals_of(s), before);
		s->c.permit = &s->f.permit;
		admit_again(s);
	}
	ok(seals_change(s->t, s->c.permit, &c, why));
	assert_true(seals_of(s) < before);
}

static CK_OBJECT_HANDLE
make(struct stage *s, CK_OBJECT_CLASS class, bool token, bool private)
{
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, class),
		BOOL_ATTR(CKA_TOKEN, token), BOOL_ATTR(CKA_PRIVATE, private),
		{ CKA_VALUE, (CK_BYTE[16]){ 1, 2, 3, 4 }, 16 },
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES) };
	CK_OBJECT_HANDLE h = 0;

	ok(token_create(s->t, &s->c, templ, class == CKO_DATA ? 4 : 5, &h,
	    why));
	return h;
}

static bool
is_there(struct stage *s, CK_OBJECT_HANDLE h)
{
	struct object *o = NULL;
	int err = token_object(s->t, &s->c, h, &o);

	object_unrefp(&o);
	assert_true(err == CVM_OK || err == CVM_E_NOT_FOUND);
	return err == CVM_OK;
}

/* As if the object had been made before: what goes, goes. */
static void
object_made_late_outlives_its_loss(void **state)
{
	static const struct {
		void (*loss)(struct stage *s, CK_OBJECT_HANDLE key);
		CK_OBJECT_CLASS class;
		bool token, private, stays;
	} cases[] = {
		{ denial, CKO_SECRET_KEY, false, true, false },
		{ denial, CKO_SECRET_KEY, false, false, false },
		{ denial, CKO_SECRET_KEY, true, true, true },
		{ denial, CKO_DATA, false, true, false },
		{ denial, CKO_DATA, false, false, true },
		{ denial, CKO_DATA, true, true, true },
		{ denial, CKO_DATA, true, false, true },
		{ logout, CKO_SECRET_KEY, false, true, false },
		{ logout, CKO_SECRET_KEY, false, false, true },
		{ logout, CKO_SECRET_KEY, true, true, false },
		{ logout, CKO_DATA, false, true, false },
		{ logout, CKO_DATA, false, false, true },
		{ logout, CKO_DATA, true, false, true },
		/* An admission that runs out takes nothing. */
		{ expiry, CKO_SECRET_KEY, false, true, true },
		{ NULL, CKO_SECRET_KEY, false, true, true },
		{ NULL, CKO_SECRET_KEY, true, true, true },
	};
	struct stage *s = *state;

	late.s = s;
	for (size_t i = 0; i < COUNT(cases); i++) {
		CK_OBJECT_HANDLE h;

		print_message("# case %zu\n", i);
		late.loss = cases[i].loss;
		h = make(s, cases[i].class, cases[i].token, cases[i].private);
		assert_int_not_equal(h, 0);
		/* Only this reference is left, or none of the material. */
		if (late.loss != NULL && late.loss != expiry &&
		    late.made->key != NULL && !cases[i].token &&
		    !cases[i].stays) {
			assert_int_equal(late.made->refs, 1);
			assert_true(key_cache_empty(late.made->key));
		}
		if (late.loss == denial && cases[i].token && cases[i].private)
			assert_int_equal(late.made->refs, 1);
		late.loss = NULL;
		admit_again(s);
		assert_int_equal(is_there(s, h), cases[i].stays);
	}
}

/* Both of a pair. */
static void
pair_made_late_outlives_a_denial(void **state)
{
	struct stage *s = *state;
	struct pair p;

	late.s = s;
	late.loss = denial;
	p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256), false);
	assert_true(key_cache_empty(late.made->key));
	admit_again(s);
	assert_true(is_there(s, p.pub));
	assert_false(is_there(s, p.priv));
}

/* A private copy of a public key needs a login, and no admission. */
static void
public_key_made_without_a_permit_is_gone(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    false);
	CK_ATTRIBUTE hide = BOOL_ATTR(CKA_PRIVATE, true);
	CK_OBJECT_HANDLE copy = 0;

	s->c.permit = NULL;
	ok(token_copy(s->t, &s->c, p.pub, &hide, 1, &copy, why));
	assert_true(is_there(s, copy));
}

/* The wipe after it would find one of the caches. */
static void
two_openers_have_a_cache_each(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key;
	struct object *o = NULL, *husk = NULL, *second = NULL;
	struct object_table *ot;
	bool kept = false;

	(void)make(s, CKO_SECRET_KEY, true, true);
	stage_restart(s);
	ot = token_objects(s->t);
	key = the_only(s, CKO_SECRET_KEY);
	ok(token_object(s->t, &s->c, key, &o));
	ok(object_husk(o, &husk));
	key_cache_unrefp(&husk->key);
	ok(object_open(s->t, husk, true, &second, &kept));
	assert_true(kept);
	assert_ptr_equal(second, o);
	object_unrefp(&second);
	/* Closed, and another thread loads: who asks by the handle waits. */
	assert_true(table_close(ot, o));
	object_unrefp(&o);
	ot->loaded = false;
	ok(object_open(s->t, husk, true, &second, &kept));
	assert_false(kept);
	object_unrefp(&second);
	ok(token_object(s->t, &s->c, key, &o));
	ok(token_object(s->t, &s->c, key, &second));
	assert_ptr_equal(second, o);
	object_unrefp(&second);
	object_unrefp(&husk);
	object_unrefp(&o);
}

/* Nobody would ever learn that it is gone. */
static void
destroyed_key_asks_for_admissions(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make(s, CKO_SECRET_KEY, false, true);
	struct secret *value = NULL;
	struct object *o = NULL;

	ok(token_object(s->t, &s->c, key, &o));
	denial(s, key);
	assert_int_equal(object_secret_value(s->t, o, s->c.permit, &value,
			     NULL),
	    CVM_E_PERMIT);
	admit_again(s);
	assert_int_equal(object_secret_value(s->t, o, s->c.permit, &value,
			     NULL),
	    CVM_E_NOT_FOUND);
	object_unrefp(&o);
}

/* Closed for want of room, and the user logs out. */
static void
public_handle_dies_at_a_logout(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE shown = make(s, CKO_DATA, true, false);
	CK_OBJECT_HANDLE hidden = make(s, CKO_DATA, true, true);
	CK_OBJECT_HANDLE h[] = { shown, hidden };
	struct object_table *ot = token_objects(s->t);

	ok(object_table_refresh(s->t, why));
	for (size_t i = 0; i < COUNT(h); i++) {
		struct object *o = NULL;

		ok(token_object(s->t, &s->c, h[i], &o));
		assert_true(table_close(ot, o));
		object_unrefp(&o);
	}
	logout(s, 0);
	s->c.logouts = token_logouts(s->t);
	assert_true(is_there(s, shown));
	assert_false(is_there(s, hidden));
}

#define ON(fn) cmocka_unit_test_setup_teardown(fn, stage_setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON(change_is_written_after_its_admission),
		ON(seals_are_changed_after_their_admission),
		ON(object_made_late_outlives_its_loss),
		ON(pair_made_late_outlives_a_denial),
		ON(public_key_made_without_a_permit_is_gone),
		ON(two_openers_have_a_cache_each),
		ON(destroyed_key_asks_for_admissions),
		ON(public_handle_dies_at_a_logout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
