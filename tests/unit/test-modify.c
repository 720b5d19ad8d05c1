/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/objects-fixture.h"
#include "token/object_impl.h"

/* Changes of objects that others change, too, and logins beside logins. */

#define SET(stage, handle, ...)                                                \
	token_set_attributes((stage)->t, &(stage)->c, handle,                  \
	    (CK_ATTRIBUTE[]){ __VA_ARGS__ }, 1, NULL)

/* Another process has the same store open, and its view is a moment old. */
static void
restriction_lost_to_a_change_elsewhere(void **state)
{
	static const CK_ATTRIBUTE_TYPE late[] = { CKA_WRAP_WITH_TRUSTED,
		CKA_CVM_BIND_OPERATION };
	struct stage *s = *state;
	struct stage other = *s;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	struct object *old = NULL;
	CK_OBJECT_HANDLE q;

	other.f.token = NULL;
	ok(token_new(&s->f.cfg, &s->f.issuer, &other.f.token));
	other.t = other.f.token;
	ok(unseal(&other.f, why));
	for (size_t i = 0; i < COUNT(late); i++) {
		q = the_only(&other, CKO_PRIVATE_KEY);
		ok(token_object(other.t, &other.c, q, &old));
		ok(SET(s, p.priv, BOOL_ATTR(late[i], true)));
		ok(SET(&other, q, TEXT_ATTR(CKA_LABEL, "renamed")));
		object_unrefp(&old);
		assert_true(get_bool(&other, q, late[i]));
		assert_int_equal(the_only(s, CKO_PRIVATE_KEY), p.priv);
		assert_true(get_bool(s, p.priv, late[i]));
		ok(SET(s, p.priv, TEXT_ATTR(CKA_LABEL, "back")));
	}
	token_freep(&other.f.token);
}

#define COPY(stage, handle, ret, ...)                                          \
	token_copy((stage)->t, &(stage)->c, handle,                            \
	    (CK_ATTRIBUTE[]){ __VA_ARGS__ }, 1, ret, NULL)

/* What goes one way only, and what refuses the way back. */
static const struct {
	CK_ATTRIBUTE_TYPE type;
	bool locked; /* where it stays */
	int set;     /* going there by C_SetAttributeValue */
	int copy;    /* going back by C_CopyObject */
} one_way[] = {
	{ CKA_SENSITIVE, true, CVM_OK, CVM_E_ATTR_READ_ONLY },
	{ CKA_EXTRACTABLE, false, CVM_OK, CVM_E_ATTR_READ_ONLY },
	{ CKA_WRAP_WITH_TRUSTED, true, CVM_OK, CVM_E_ATTR_READ_ONLY },
	{ CKA_CVM_BIND_OPERATION, true, CVM_OK, CVM_E_ATTR_READ_ONLY },
	{ CKA_PRIVATE, true, CVM_E_ATTR_READ_ONLY, CVM_E_ATTR_READ_ONLY },
	{ CKA_COPYABLE, false, CVM_OK, CVM_E_ACTION_PROHIBITED },
};

/* At the open end of each. */
static CK_OBJECT_HANDLE
open_key(struct stage *s)
{
	CK_BYTE value[16] = { 4 };
	CK_ATTRIBUTE templ[3 + COUNT(one_way)] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		BYTES_ATTR(CKA_VALUE, value),
	};
	CK_BBOOL open[COUNT(one_way)];
	CK_OBJECT_HANDLE h = 0;

	for (size_t i = 0; i < COUNT(one_way); i++) {
		open[i] = !one_way[i].locked;
		templ[3 + i] = (CK_ATTRIBUTE){ one_way[i].type, &open[i],
			sizeof(open[i]) };
	}
	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	return h;
}

static void
expect_locked(struct stage *s, CK_OBJECT_HANDLE h, size_t i)
{
	CK_OBJECT_HANDLE copy = 0;

	assert_int_equal(get_bool(s, h, one_way[i].type), one_way[i].locked);
	assert_int_equal(SET(s, h,
			     BOOL_ATTR(one_way[i].type, !one_way[i].locked)),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(COPY(s, h, &copy,
			     BOOL_ATTR(one_way[i].type, !one_way[i].locked)),
	    one_way[i].copy);
	assert_int_equal(get_bool(s, h, one_way[i].type), one_way[i].locked);
}

static void
one_way_attribute_goes_back(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(one_way); i++) {
		CK_OBJECT_HANDLE h = open_key(s), copy = 0, same = 0;

		ok(COPY(s, h, &copy,
		    BOOL_ATTR(one_way[i].type, one_way[i].locked)));
		expect_locked(s, copy, i);
		/* What was copied is as it was, and so is a plain copy. */
		ok(token_copy(s->t, &s->c, h, NULL, 0, &same, why));
		assert_int_equal(get_bool(s, h, one_way[i].type),
		    !one_way[i].locked);
		assert_int_equal(get_bool(s, same, one_way[i].type),
		    !one_way[i].locked);
		assert_int_equal(SET(s, h,
				     BOOL_ATTR(one_way[i].type,
					 one_way[i].locked)),
		    one_way[i].set);
		if (one_way[i].set == CVM_OK)
			expect_locked(s, h, i);
	}
}

/* Not even one that changes nothing. */
static void
uncopyable_key_copied(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE h = open_key(s), copy = 0;

	ok(token_copy(s->t, &s->c, h, NULL, 0, &copy, why));
	ok(SET(s, h, BOOL_ATTR(CKA_COPYABLE, false)));
	assert_int_equal(token_copy(s->t, &s->c, h, NULL, 0, &copy, NULL),
	    CVM_E_ACTION_PROHIBITED);
	assert_int_equal(COPY(s, h, &copy, TEXT_ATTR(CKA_LABEL, "mine")),
	    CVM_E_ACTION_PROHIBITED);
	assert_int_equal(COPY(s, h, &copy, BOOL_ATTR(CKA_COPYABLE, true)),
	    CVM_E_ACTION_PROHIBITED);
	/* It is only the copy that is refused. */
	ok(SET(s, h, TEXT_ATTR(CKA_LABEL, "mine")));
}

/* Sensitive and unextractable now says nothing of before. */
static void
late_restriction_called_early(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE h = open_key(s), copy = 0;

	ok(COPY(s, h, &copy, BOOL_ATTR(CKA_SENSITIVE, true)));
	assert_false(get_bool(s, copy, CKA_ALWAYS_SENSITIVE));
	ok(COPY(s, h, &copy, BOOL_ATTR(CKA_EXTRACTABLE, false)));
	assert_false(get_bool(s, copy, CKA_NEVER_EXTRACTABLE));
	ok(SET(s, h, BOOL_ATTR(CKA_SENSITIVE, true)));
	ok(SET(s, h, BOOL_ATTR(CKA_EXTRACTABLE, false)));
	assert_false(get_bool(s, h, CKA_ALWAYS_SENSITIVE));
	assert_false(get_bool(s, h, CKA_NEVER_EXTRACTABLE));
}

struct renamer {
	struct stage *s;
	CK_OBJECT_HANDLE h;
	unsigned failures;
};

static void *
rename_often(void *arg)
{
	struct renamer *r = arg;

	for (unsigned i = 0; i < 2000; i++)
		r->failures += SET(r->s, r->h, TEXT_ATTR(CKA_LABEL, "x")) !=
		    CVM_OK;
	return NULL;
}

/* Of a session object nobody else has a copy. */
static void
restriction_lost_to_a_thread(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    false);
	struct renamer r = { .s = s, .h = p.priv };
	struct renamer other = r;
	pthread_t thread[2];

	/* Two rename against each other, and neither is refused for it. */
	assert_int_equal(pthread_create(&thread[0], NULL, rename_often, &r), 0);
	assert_int_equal(pthread_create(&thread[1], NULL, rename_often, &other),
	    0);
	(void)usleep(1000);
	ok(SET(s, p.priv, BOOL_ATTR(CKA_WRAP_WITH_TRUSTED, true)));
	assert_int_equal(pthread_join(thread[0], NULL), 0);
	assert_int_equal(pthread_join(thread[1], NULL), 0);
	assert_int_equal(r.failures, 0);
	assert_int_equal(other.failures, 0);
	assert_true(get_bool(s, p.priv, CKA_WRAP_WITH_TRUSTED));
}

/* What the SO trusted for wrapping, a user lets decrypt. */
static void
trust_outlives_a_change(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 1024, true);
	CK_ATTRIBUTE decrypt = BOOL_ATTR(CKA_VERIFY, false);
	CK_OBJECT_HANDLE copy;

	s->c.so = true;
	s->c.user = false;
	ok(SET(s, p.pub, BOOL_ATTR(CKA_TRUSTED, true)));
	ok(token_copy(s->t, &s->c, p.pub, NULL, 0, &copy, why));
	assert_true(get_bool(s, copy, CKA_TRUSTED));
	s->c.so = false;
	s->c.user = true;
	assert_true(get_bool(s, p.pub, CKA_TRUSTED));
	ok(token_copy(s->t, &s->c, p.pub, &decrypt, 1, &copy, why));
	assert_false(get_bool(s, copy, CKA_TRUSTED));
	assert_false(get_bool(s, copy, CKA_VERIFY));
	assert_int_equal(SET(s, p.pub, BOOL_ATTR(CKA_VERIFY, false)),
	    CVM_E_ACTION_PROHIBITED);
	assert_int_equal(SET(s, p.pub, BOOL_ATTR(CKA_WRAP, true)),
	    CVM_E_ACTION_PROHIBITED);
	assert_int_equal(SET(s, p.pub, BOOL_ATTR(CKA_ENCRYPT, true)),
	    CVM_E_ACTION_PROHIBITED);
	ok(SET(s, p.pub, TEXT_ATTR(CKA_LABEL, "a name is no use")));
	assert_true(get_bool(s, p.pub, CKA_TRUSTED));
	/* Of nobody's trust, a user changes what he likes. */
	ok(SET(s, copy, BOOL_ATTR(CKA_VERIFY, true)));
}

static void
check_value(struct stage *s, CK_OBJECT_HANDLE h, const char *value)
{
	_cleanup_(blob_clear) struct blob b = get_attr(s, h, CKA_VALUE);

	assert_true(span_equal(blob_span(&b), text(value)));
}

/* A copy is given another value, or becomes private: PKCS#11 section 4.1.3. */
static void
copied_data_keep_the_old_value(void **state)
{
	static const struct {
		bool private, becomes;
		const char *given, *value;
	} cases[] = {
		{ false, false, NULL, "old" },
		{ false, false, "newer", "newer" },
		{ false, true, NULL, "old" },
		{ false, true, "newer", "newer" },
		{ true, true, NULL, "old" },
		{ true, true, "newer", "newer" },
		{ true, true, "", "" },
	};
	struct stage *s = *state;
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_DATA),
		TEXT_ATTR(CKA_VALUE, "old"), BOOL_ATTR(CKA_PRIVATE, false),
		BOOL_ATTR(CKA_TOKEN, false) };
	CK_ATTRIBUTE change[] = { BOOL_ATTR(CKA_PRIVATE, false),
		TEXT_ATTR(CKA_VALUE, "") };
	CK_OBJECT_HANDLE h, copy;

	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		const char *given = cases[i / 2].given;

		templ[2].pValue = (CK_BBOOL[]){ cases[i / 2].private };
		templ[3].pValue = (CK_BBOOL[]){ i % 2 };
		change[0].pValue = (CK_BBOOL[]){ cases[i / 2].becomes };
		ok(token_create(s->t, &s->c, templ, 4, &h, why));
		if (given != NULL) {
			memcpy(&change[1],
			    &(CK_ATTRIBUTE){ CKA_VALUE,
				(void *)(uintptr_t)given, strlen(given) },
			    sizeof(change[1]));
		}
		ok(token_copy(s->t, &s->c, h, change, given == NULL ? 1 : 2,
		    &copy, why));
		assert_int_equal(get_bool(s, copy, CKA_PRIVATE),
		    cases[i / 2].becomes);
		check_value(s, copy, cases[i / 2].value);
		check_value(s, h, "old");
	}
}

/* Nobody who is not logged in makes private what is public, nor does anybody
 * make public what is private. */
static void
copied_data_become_private_unasked(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_DATA),
		TEXT_ATTR(CKA_VALUE, "old"), BOOL_ATTR(CKA_PRIVATE, false) };
	CK_ATTRIBUTE hide = BOOL_ATTR(CKA_PRIVATE, true);
	CK_ATTRIBUTE show = BOOL_ATTR(CKA_PRIVATE, false);
	CK_OBJECT_HANDLE h, copy;

	ok(token_create(s->t, &s->c, templ, 3, &h, why));
	ok(token_copy(s->t, &s->c, h, &hide, 1, &copy, why));
	assert_int_equal(token_copy(s->t, &s->c, copy, &show, 1, &h, NULL),
	    CVM_E_ATTR_READ_ONLY);
	/* Not as a value is given, nor as none is. */
	assert_int_equal(SET(s, copy, TEXT_ATTR(CKA_VALUE, "x")),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(SET(s, copy, TEXT_ATTR(CKA_VALUE, "")),
	    CVM_E_ATTR_READ_ONLY);
	s->c.user = false;
	assert_int_equal(token_copy(s->t, &s->c, h, &hide, 1, &copy, NULL),
	    CVM_E_NOT_LOGGED_IN);
}

/* PKCS#11 section 4.11.2: removed with no value, and never another. */
static void
check_value_is_changed(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE h = make_secret(s, CKK_AES, "0123456789abcdef", 16);
	_cleanup_(blob_clear) struct blob kcv = get_attr(s, h, CKA_CHECK_VALUE);
	_cleanup_(blob_clear) struct blob none = { 0 };

	assert_int_equal(kcv.len, 3);
	assert_int_equal(SET(s, h, TEXT_ATTR(CKA_CHECK_VALUE, "xyz")),
	    CVM_E_ATTR_READ_ONLY);
	ok(SET(s, h, TEXT_ATTR(CKA_CHECK_VALUE, "")));
	none = get_attr(s, h, CKA_CHECK_VALUE);
	assert_int_equal(none.len, 0);
	assert_int_equal(SET(s, h, TEXT_ATTR(CKA_CHECK_VALUE, "abc")),
	    CVM_E_ATTR_READ_ONLY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(one_way_attribute_goes_back),
		ON_STAGE(uncopyable_key_copied),
		ON_STAGE(late_restriction_called_early),
		ON_STAGE(restriction_lost_to_a_change_elsewhere),
		ON_STAGE(restriction_lost_to_a_thread),
		ON_STAGE(trust_outlives_a_change),
		ON_STAGE(copied_data_keep_the_old_value),
		ON_STAGE(copied_data_become_private_unasked),
		ON_STAGE(check_value_is_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
