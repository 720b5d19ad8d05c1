/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "tests/unit/losses.h"
#include "token/op_impl.h"

/*
 * What a key keeps prepared for whoever uses it next: contexts with the key in
 * them. Each way in which a key goes is tried while they are kept, and while
 * one is used.
 */

static const struct {
	const char *name;
	CK_MECHANISM_TYPE mech;
	CK_OBJECT_HANDLE (*make)(struct stage *s, bool token);
} signers[] = {
	{ "ECDSA", CKM_ECDSA, make_p256 },
	{ "EdDSA", CKM_EDDSA, make_ed25519 },
	{ "RSA", CKM_SHA256_RSA_PKCS, make_rsa1024 },
};

static const struct {
	const char *name;
	void (*run)(struct stage *s, CK_OBJECT_HANDLE key);
	bool token;
} losses[] = {
	{ "denial", denial, false },
	{ "denial, token key", denial, true },
	{ "logout", logout, false },
	{ "logout, token key", logout, true },
	{ "destruction", destruction, false },
	{ "destruction, token key", destruction, true },
	{ "destruction elsewhere", destruction_elsewhere, true },
	{ "close of the key's session", closed_session, false },
};

static struct op *
use(struct stage *s, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM mech = { type, NULL, 0 };
	struct op *op = begin(s, OP_SIGN, &mech, key);
	uint8_t digest[32] = { 1 }, sig[256];
	CK_ULONG len = sizeof(sig);

	ok(op_once(op, s->c.permit, span(digest, sizeof(digest)), sig, &len,
	    why));
	return op;
}

static size_t
n_idle(const struct object *o)
{
	size_t n = 0;

	for (size_t i = 0; i < KEY_IDLE_MAX; i++)
		n += o->key->idle[i] != NULL;
	return n;
}

static void
lose(struct stage *s, size_t signer, size_t loss)
{
	CK_OBJECT_HANDLE key = signers[signer].make(s, losses[loss].token);
	CK_MECHANISM_TYPE mech = signers[signer].mech;
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct op *first, *second;

	ok(token_object(s->t, &s->c, key, &o));
	first = use(s, mech, key);
	second = use(s, mech, key);
	op_freep(&first);
	assert_int_equal(n_idle(o), 1);
	/* The next one takes what is there. */
	first = use(s, mech, key);
	assert_int_equal(n_idle(o), 0);
	op_freep(&first);
	assert_int_equal(n_idle(o), 1);
	assert_non_null(o->key->pkey);
	losses[loss].run(s, key);
	assert_int_equal(n_idle(o), 0);
	assert_null(o->key->pkey);
	assert_null(o->key->material);
	/* The one that was in use is not kept for another. */
	op_freep(&second);
	assert_int_equal(n_idle(o), 0);
}

static void
prepared_context_outlives_its_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(signers) * COUNT(losses); i++) {
		size_t signer = i / COUNT(losses), loss = i % COUNT(losses);
		void *stage = NULL;

		print_message("# %s: %s\n", signers[signer].name,
		    losses[loss].name);
		assert_int_equal(stage_setup(&stage), 0);
		lose(stage, signer, loss);
		(void)stage_teardown(&stage);
	}
}

/* It is as good as the key: nobody has it without a permit. */
static void
prepared_context_given_without_permit(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(signers); i++) {
		CK_OBJECT_HANDLE key = signers[i].make(s, false);
		CK_MECHANISM mech = { signers[i].mech, NULL, 0 };
		_cleanup_(object_unrefp) struct object *o = NULL;
		struct op *op = use(s, signers[i].mech, key), *other = NULL;
		struct permit late = s->f.permit;

		ok(token_object(s->t, &s->c, key, &o));
		op_freep(&op);
		assert_int_equal(n_idle(o), 1);
		late.deadline_ns = boottime_ns();
		assert_int_equal(op_new(s->t, &s->f.cfg, OP_SIGN, &mech, o,
				     &late, &other, NULL),
		    CVM_E_PERMIT);
		assert_null(other);
		assert_int_equal(n_idle(o), 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prepared_context_outlives_its_key),
		ON_STAGE(prepared_context_given_without_permit),
	};

	return cmocka_run_group_tests_name("prepared", tests, NULL, NULL);
}
