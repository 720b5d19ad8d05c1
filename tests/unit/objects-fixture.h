/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_OBJECTS_FIXTURE_H
#define TESTS_UNIT_OBJECTS_FIXTURE_H

#include "tests/unit/templates.h"
#include "tests/unit/token-fixture.h"
#include "token/op.h"

/*
 * A token that is open, and a caller whom it admits: what the tests of
 * objects and operations start from.
 */
struct stage {
	struct fixture f;
	struct token *t;
	struct caller c;
};

static inline int
stage_setup(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fixture_new(&s->f, LOGIN_ATTESTATION);
	s->f.cfg.min_rsa_bits = 1024;
	s->f.cfg.rsa_pkcs1_decrypt = true;
	s->f.cfg.rsa_x509 = true;
	ok(try_init(&s->f, SO_PIN, NULL, why));
	ok(unseal(&s->f, why));
	s->t = s->f.token;
	s->c = (struct caller){ .session = 1,
		.user = true,
		.writable = true,
		.permit = &s->f.permit };
	*state = s;
	return 0;
}

static inline int
stage_teardown(void **state)
{
	struct stage *s = *state;

	fixture_free(&s->f);
	free(s);
	return 0;
}

#define ON_STAGE(fn)                                                           \
	cmocka_unit_test_setup_teardown(fn, stage_setup, stage_teardown)

/* Another process: the same store, a token of its own. */
static inline void
stage_restart(struct stage *s)
{
	fixture_restart(&s->f);
	ok(unseal(&s->f, why));
	s->t = s->f.token;
}

struct pair {
	CK_OBJECT_HANDLE pub, priv;
};

/* Session objects unless token is set. */
static inline struct pair
make_rsa(struct stage *s, CK_ULONG bits, bool token)
{
	CK_MECHANISM mech = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE pub[] = { ULONG_ATTR(CKA_MODULUS_BITS, bits),
		BOOL_ATTR(CKA_TOKEN, token), BOOL_ATTR(CKA_WRAP, true) };
	CK_ATTRIBUTE priv[] = { BOOL_ATTR(CKA_TOKEN, token),
		BOOL_ATTR(CKA_UNWRAP, true) };
	struct pair p = { 0, 0 };

	ok(token_generate_pair(s->t, &s->c, &mech, pub, COUNT(pub), priv,
	    COUNT(priv), &p.pub, &p.priv, why));
	return p;
}

static inline struct pair
make_ec(struct stage *s, CK_MECHANISM_TYPE type, CK_BYTE *params, size_t len,
    bool token)
{
	CK_MECHANISM mech = { type, NULL, 0 };
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, params, len },
		BOOL_ATTR(CKA_TOKEN, token) };
	CK_ATTRIBUTE priv[] = { BOOL_ATTR(CKA_TOKEN, token),
		BOOL_ATTR(CKA_DERIVE, true) };
	struct pair p = { 0, 0 };

	ok(token_generate_pair(s->t, &s->c, &mech, pub, COUNT(pub), priv,
	    COUNT(priv), &p.pub, &p.priv, why));
	return p;
}

#define MAKE_EC(s, params)                                                     \
	make_ec(s, CKM_EC_KEY_PAIR_GEN, params, sizeof(params), false)

/* A secret key of this value, with every usage. */
static inline CK_OBJECT_HANDLE
make_secret(struct stage *s, CK_KEY_TYPE type, const void *value, size_t len)
{
	union {
		const void *in;
		void *out;
	} v = { .in = value };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, type),
		{ CKA_VALUE, v.out, len },
		BOOL_ATTR(CKA_SIGN, true),
		BOOL_ATTR(CKA_VERIFY, true),
		BOOL_ATTR(CKA_ENCRYPT, true),
		BOOL_ATTR(CKA_DECRYPT, true),
		BOOL_ATTR(CKA_WRAP, true),
		BOOL_ATTR(CKA_UNWRAP, true),
		BOOL_ATTR(CKA_DERIVE, true),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		BOOL_ATTR(CKA_SENSITIVE, false),
	};
	CK_OBJECT_HANDLE h = 0;

	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	return h;
}

/* The bytes of an attribute; the caller clears. */
static inline struct blob
get_attr(struct stage *s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type)
{
	CK_ATTRIBUTE a = { type, NULL, 0 };
	struct blob b = { 0 };

	ok(token_get_attributes(s->t, &s->c, h, &a, 1));
	b.data = calloc(1, a.ulValueLen + 1);
	assert_non_null(b.data);
	a.pValue = b.data;
	ok(token_get_attributes(s->t, &s->c, h, &a, 1));
	b.len = a.ulValueLen;
	return b;
}

static inline bool
get_bool(struct stage *s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL v = 2;
	CK_ATTRIBUTE a = { type, &v, sizeof(v) };

	ok(token_get_attributes(s->t, &s->c, h, &a, 1));
	assert_true(v < 2);
	return v;
}

static inline CK_ULONG
get_ulong(struct stage *s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type)
{
	CK_ULONG v = 0;
	CK_ATTRIBUTE a = { type, &v, sizeof(v) };

	ok(token_get_attributes(s->t, &s->c, h, &a, 1));
	return v;
}

/* Begins an operation on a key; NULL is never returned. */
static inline struct op *
begin(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct op *op = NULL;

	ok(token_object(s->t, &s->c, key, &o));
	ok(op_new(s->t, &s->f.cfg, kind, mech, o, s->c.permit, &op, why));
	return op;
}

/* What beginning one gives. */
static inline int
try_begin(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(op_freep) struct op *op = NULL;

	ok(token_object(s->t, &s->c, key, &o));
	return op_new(s->t, &s->f.cfg, kind, mech, o, s->c.permit, &op, NULL);
}

static inline CK_OBJECT_HANDLE
make_p256(struct stage *s, bool token)
{
	return make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256), token).priv;
}

static inline CK_OBJECT_HANDLE
make_ed25519(struct stage *s, bool token)
{
	return make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519, sizeof(ed25519),
	    token)
	    .priv;
}

static inline CK_OBJECT_HANDLE
make_rsa1024(struct stage *s, bool token)
{
	return make_rsa(s, 1024, token).priv;
}

/* The one object of its class. */
static inline CK_OBJECT_HANDLE
the_only(struct stage *s, CK_OBJECT_CLASS class)
{
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, class) };
	CK_OBJECT_HANDLE *v = NULL, h;
	size_t n = 0;

	ok(token_find(s->t, &s->c, templ, 1, &v, &n, why));
	assert_int_equal(n, 1);
	h = v[0];
	free(v);
	return h;
}

#endif
