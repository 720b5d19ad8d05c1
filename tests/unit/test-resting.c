/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/err.h>
#include <openssl/hmac.h>

#include "tests/unit/losses.h"
#include "token/op_impl.h"

/*
 * What a session keeps between two messages of mechanisms other than AEADs:
 * contexts with a private or secret key in them. As test-again.c for each kind
 * of them: the ways to lose the key or the right to it, and that nothing of one
 * message, or of its parameter, is left for the next.
 */
#define MESSAGE 32
#define OUT_MAX 256

static const uint8_t message[128] = { 0, 1, 2, 3 };

static CK_OBJECT_HANDLE
make_hmac(struct stage *s, bool token)
{
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		{ CKA_VALUE, (CK_BYTE[32]){ 1, 2, 3, 4 }, 32 },
		BOOL_ATTR(CKA_TOKEN, token), BOOL_ATTR(CKA_SIGN, true),
		BOOL_ATTR(CKA_VERIFY, true) };
	CK_OBJECT_HANDLE h = 0;

	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	return h;
}

/* A kind of use; in is the length of its input. */
static const struct use {
	const char *name;
	enum op_kind kind;
	CK_MECHANISM_TYPE mech;
	size_t in;
	CK_ATTRIBUTE_TYPE usage;
	CK_OBJECT_HANDLE (*make)(struct stage *s, bool token);
} uses[] = {
	{ "ECDSA", OP_SIGN, CKM_ECDSA, MESSAGE, CKA_SIGN, make_p256 },
	{ "ECDSA, hashing", OP_SIGN, CKM_ECDSA_SHA256, MESSAGE, CKA_SIGN,
	    make_p256 },
	{ "EdDSA", OP_SIGN, CKM_EDDSA, MESSAGE, CKA_SIGN, make_ed25519 },
	{ "RSA", OP_SIGN, CKM_SHA256_RSA_PKCS, MESSAGE, CKA_SIGN,
	    make_rsa1024 },
	{ "RSA decryption", OP_DECRYPT, CKM_RSA_PKCS, 128, CKA_DECRYPT,
	    make_rsa1024 },
	{ "HMAC", OP_SIGN, CKM_SHA256_HMAC, MESSAGE, CKA_SIGN, make_hmac },
};

static const struct use *now; /* in this row */

static int
once(struct stage *s, struct op *op, uint8_t out[static OUT_MAX])
{
	CK_ULONG n = OUT_MAX;

	return op_once(op, s->c.permit, span(message, now->in), out, &n, NULL);
}

static struct op *
use_and_keep(struct stage *s, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM mech = { now->mech, NULL, 0 };
	struct op *op = begin(s, now->kind, &mech, key), *rest = NULL;
	uint8_t out[OUT_MAX];

	ok(once(s, op, out));
	op_rest(&op, &rest);
	assert_null(op);
	assert_non_null(rest);
	return rest;
}

/* Whether a key is still in what is kept. */
static bool
has_key(const struct op *rest)
{
	static const uint8_t none[SHA256_LEN];
	const struct prepared *k = rest->key;

	return k->pctx != NULL || k->md != NULL || k->cipher != NULL ||
	    k->mac != NULL || memcmp(k->rejection, none, sizeof(none)) != 0;
}

static bool
again(struct stage *s, struct op **rest, CK_OBJECT_HANDLE key, struct op **ret)
{
	CK_MECHANISM mech = { now->mech, NULL, 0 };

	return op_again(rest, &s->c, &mech, key, ret);
}

/* A permit whose time is over: refused when the key would be used. */
static void
refused_at_use(struct stage *s, struct op **op)
{
	static const uint8_t untouched[OUT_MAX];
	uint8_t out[OUT_MAX] = { 0 };

	assert_int_equal(once(s, *op, out), CVM_E_PERMIT);
	assert_memory_equal(out, untouched, sizeof(out));
	op_freep(op);
}

static void
lose_while_kept(struct stage *s, size_t loss)
{
	CK_OBJECT_HANDLE key = now->make(s, lease_losses[loss].token);
	CK_MECHANISM mech = { now->mech, NULL, 0 };
	struct op *rest = use_and_keep(s, key), *op = NULL;

	assert_true(has_key(rest));
	lease_losses[loss].run(s, key);
	assert_int_equal(has_key(rest), !lease_losses[loss].takes_key);
	assert_int_equal(again(s, &rest, key, &op), lease_losses[loss].at_use);
	if (lease_losses[loss].at_use)
		refused_at_use(s, &op);
	/* Nor does whoever still has the object come by it. */
	if (rest != NULL && lease_losses[loss].takes_key)
		assert_false(op_again_with(&rest, &mech, op_object(rest),
		    s->c.permit, &op));
	op_freep(&rest);
}

/* In use: what has taken the key meanwhile takes it at the end. */
static void
lose_while_used(struct stage *s, size_t loss)
{
	CK_OBJECT_HANDLE key = now->make(s, lease_losses[loss].token);
	struct op *rest = use_and_keep(s, key), *op = NULL;

	assert_true(again(s, &rest, key, &op));
	lease_losses[loss].run(s, key);
	op_rest(&op, &rest);
	assert_null(op);
	assert_int_equal(rest != NULL, !lease_losses[loss].takes_key);
	op_freep(&rest);
}

static void
lose_each(void (*lose)(struct stage *s, size_t loss))
{
	for (size_t i = 0; i < COUNT(uses) * COUNT(lease_losses); i++) {
		size_t loss = i % COUNT(lease_losses);
		void *stage = NULL;

		now = &uses[i / COUNT(lease_losses)];
		lost_usage = now->usage;
		print_message("# %s: %s\n", now->name, lease_losses[loss].name);
		assert_int_equal(stage_setup(&stage), 0);
		lose(stage, loss);
		(void)stage_teardown(&stage);
	}
}

static void
kept_context_outlives_the_right(void **state)
{
	(void)state;
	lose_each(lose_while_kept);
}

static void
used_context_comes_to_rest_after_a_wipe(void **state)
{
	(void)state;
	lose_each(lose_while_used);
}

/* Uses that are admitted one by one keep nothing. */
static void
bound_use_kept(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(uses); i++) {
		_cleanup_(object_unrefp) struct object *o = NULL;
		CK_MECHANISM mech = { uses[i].mech, NULL, 0 };
		struct op *op = NULL, *rest = NULL;
		uint8_t out[OUT_MAX];

		now = &uses[i];
		lost_usage = now->usage;
		ok(token_object(s->t, &s->c, now->make(s, false), &o));
		ok(op_new(s->t, &s->f.cfg, now->kind, &mech, o, NULL, &op,
		    why));
		ok(op_hash_input(op));
		ok(once(s, op, out));
		op_rest(&op, &rest);
		assert_null(rest);
	}
}

/* A verification under this mechanism, by the public half. */
static bool
verifies(struct stage *s, CK_OBJECT_HANDLE pub, CK_MECHANISM *mech,
    struct span in, struct span sig)
{
	struct op *op = begin(s, OP_VERIFY, mech, pub);
	int err = op_verify_once(op, in, sig);

	op_freep(&op);
	return err == CVM_OK;
}

/* One of two mechanisms with parameters of their own, by turns; each signature
 * is of its own parameter, and of no other. */
static void
alternate(struct stage *s, struct pair key, CK_MECHANISM v[static 2])
{
	struct op *op = NULL, *rest = NULL;
	struct span in = span(message, MESSAGE);
	uint8_t sig[OUT_MAX];

	for (size_t i = 0; i < 8; i++) {
		/* Also the same twice, which is what rests. */
		size_t which = (i / 2) % 2;
		CK_ULONG n = sizeof(sig);

		if (!op_again(&rest, &s->c, &v[which], key.priv, &op))
			op = begin(s, OP_SIGN, &v[which], key.priv);
		else
			assert_int_equal(i % 2, 1);
		ok(op_once(op, s->c.permit, in, sig, &n, why));
		op_rest(&op, &rest);
		assert_true(verifies(s, key.pub, &v[which], in, span(sig, n)));
		assert_false(
		    verifies(s, key.pub, &v[1 - which], in, span(sig, n)));
		assert_int_equal(ERR_peek_error(), 0);
	}
	op_freep(&rest);
}

static void
parameter_left_for_the_next_message(void **state)
{
	struct stage *s = *state;
	CK_RSA_PKCS_PSS_PARAMS wide = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
	CK_RSA_PKCS_PSS_PARAMS other = { CKM_SHA256, CKG_MGF1_SHA1, 32 };
	CK_MECHANISM pss[] = {
		{ CKM_RSA_PKCS_PSS, &wide, sizeof(wide) },
		{ CKM_RSA_PKCS_PSS, &other, sizeof(other) },
	};
	CK_MECHANISM rsa[] = {
		{ CKM_RSA_PKCS, NULL, 0 },
		{ CKM_SHA256_RSA_PKCS, NULL, 0 },
	};
	CK_MECHANISM ec[] = {
		{ CKM_ECDSA, NULL, 0 },
		{ CKM_ECDSA_SHA256, NULL, 0 },
	};

	alternate(s, make_rsa(s, 1024, false), pss);
	alternate(s, make_rsa(s, 1024, false), rsa);
	alternate(s, MAKE_EC(s, p256), ec);
}

/* A parameter of EdDSA that was not given is none, whatever the last one was:
 * what rests is not asked where it was of another. */
static void
optional_parameter_left_for_the_next_message(void **state)
{
	struct stage *s = *state;
	struct pair key = make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519,
	    sizeof(ed25519), false);
	CK_MECHANISM plain = { CKM_EDDSA, NULL, 0 };
	CK_EDDSA_PARAMS ph = { CK_TRUE, 0, NULL };
	CK_MECHANISM prehash = { CKM_EDDSA, &ph, sizeof(ph) };
	CK_EDDSA_PARAMS late = { 2, 0, NULL };
	CK_MECHANISM wrong = { CKM_EDDSA, &late, sizeof(late) };
	struct op *rest = NULL, *op = begin(s, OP_SIGN, &plain, key.priv);

	op_rest(&op, &rest);
	assert_non_null(rest);
	assert_false(op_again(&rest, &s->c, &prehash, key.priv, &op));
	assert_null(rest);
	op = begin(s, OP_SIGN, &plain, key.priv);
	op_rest(&op, &rest);
	assert_false(op_again(&rest, &s->c, &wrong, key.priv, &op));
	assert_null(rest);
	op = begin(s, OP_SIGN, &plain, key.priv);
	op_rest(&op, &rest);
	/* As if the last message had been of such a parameter. */
	rest->params.given = rest->params.prehash = true;
	assert_true(op_again(&rest, &s->c, &plain, key.priv, &op));
	assert_false(op->params.given);
	assert_false(op->params.prehash);
	op_freep(&op);
}

/* Of a message that was given up, and of one that was cut to parts. */
static void
part_left_for_the_next_message(void **state)
{
	static const CK_MECHANISM_TYPE types[] = { CKM_ECDSA,
		CKM_ECDSA_SHA256 };
	struct stage *s = *state;
	struct pair key = MAKE_EC(s, p256);
	struct span in = span(message, MESSAGE);

	for (size_t i = 0; i < COUNT(types); i++) {
		CK_MECHANISM mech = { types[i], NULL, 0 };
		struct op *op = begin(s, OP_SIGN, &mech, key.priv);
		struct op *rest = NULL;

		for (size_t n = 0; n < 6; n++) {
			uint8_t sig[OUT_MAX];
			CK_ULONG len = sizeof(sig);

			ok(op_update(op, s->c.permit, span(in.data, 5), NULL,
			    NULL, why));
			if (n % 2 == 0) {
				op_rest(&op, &rest);
				assert_true(op_again(&rest, &s->c, &mech,
				    key.priv, &op));
				ok(op_once(op, s->c.permit, in, sig, &len,
				    why));
			} else {
				ok(op_update(op, s->c.permit,
				    span(&in.data[5], in.len - 5), NULL, NULL,
				    why));
				ok(op_final(op, s->c.permit, sig, &len, why));
			}
			assert_true(
			    verifies(s, key.pub, &mech, in, span(sig, len)));
			op_rest(&op, &rest);
			assert_true(
			    op_again(&rest, &s->c, &mech, key.priv, &op));
		}
		op_freep(&op);
	}
}

/* Each is as OpenSSL has it, whatever became of the one before. */
static void
mac_goes_on_from_the_last_message(void **state)
{
	struct stage *s = *state;
	CK_MECHANISM mech = { CKM_SHA256_HMAC, NULL, 0 };
	CK_OBJECT_HANDLE key = make_hmac(s, false);
	struct op *op = begin(s, OP_SIGN, &mech, key), *rest = NULL;
	static const uint8_t value[32] = { 1, 2, 3, 4 };

	for (size_t i = 0; i < 12; i++) {
		uint8_t mac[32], want[32];
		CK_ULONG n = sizeof(mac);
		size_t len = i % 5;

		assert_non_null(HMAC(EVP_sha256(), value, sizeof(value),
		    message, len, want, NULL));
		if (i % 3 == 0) {
			ok(op_once(op, s->c.permit, span(message, len), mac, &n,
			    why));
		} else {
			ok(op_update(op, s->c.permit, span(message, len), NULL,
			    NULL, why));
			if (i % 3 == 1)
				ok(op_final(op, s->c.permit, mac, &n, why));
		}
		/* The third of three is given up. */
		if (i % 3 != 2)
			assert_memory_equal(mac, want, sizeof(want));
		op_rest(&op, &rest);
		assert_true(op_again(&rest, &s->c, &mech, key, &op));
	}
	op_freep(&op);
}

/* A code is right or wrong whatever the one before was, and no longer or
 * shorter than this mechanism's. */
static void
mac_verified_as_the_last_one(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make_hmac(s, false);
	CK_ULONG cut[] = { 16, 20 };
	CK_MECHANISM mech[] = {
		{ CKM_SHA256_HMAC_GENERAL, &cut[0], sizeof(cut[0]) },
		{ CKM_SHA256_HMAC_GENERAL, &cut[1], sizeof(cut[1]) },
	};
	static const uint8_t value[32] = { 1, 2, 3, 4 };
	struct op *op = begin(s, OP_VERIFY, &mech[0], key), *rest = NULL;
	uint8_t mac[32];

	assert_non_null(HMAC(EVP_sha256(), value, sizeof(value), message,
	    MESSAGE, mac, NULL));
	for (size_t i = 0; i < 8; i++) {
		size_t len = cut[i / 2 % 2];

		mac[3] ^= i % 2;
		op_admit(op, s->c.permit);
		assert_int_equal(op_verify_once(op, span(message, MESSAGE),
				     span(mac, len)),
		    i % 2 ? CVM_E_SIGNATURE_INVALID : CVM_OK);
		mac[3] ^= i % 2;
		op_rest(&op, &rest);
		assert_true(
		    op_again(&rest, &s->c, &mech[(i + 1) / 2 % 2], key, &op));
	}
	assert_int_equal(op_verify_once(op, span(message, MESSAGE),
			     span(mac, 20)),
	    CVM_E_SIGNATURE_LEN);
	op_freep(&op);
}

/* CMAC and GMAC are made anew for each message. */
static void
mac_kept_that_cannot_begin_again(void **state)
{
	static CK_BYTE iv[12];
	static const uint8_t value[16] = { 9 };
	struct stage *s = *state;
	CK_MECHANISM mech[] = { { CKM_AES_CMAC, NULL, 0 },
		{ CKM_AES_GMAC, iv, sizeof(iv) } };
	CK_OBJECT_HANDLE key = make_secret(s, CKK_AES, value, sizeof(value));

	for (size_t i = 0; i < COUNT(mech); i++) {
		struct op *op = begin(s, OP_SIGN, &mech[i], key), *rest = NULL;
		uint8_t mac[16];
		CK_ULONG n = sizeof(mac);

		ok(op_once(op, s->c.permit, span(message, MESSAGE), mac, &n,
		    why));
		op_rest(&op, &rest);
		assert_null(rest);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_context_outlives_the_right),
		cmocka_unit_test(used_context_comes_to_rest_after_a_wipe),
		ON_STAGE(bound_use_kept),
		ON_STAGE(parameter_left_for_the_next_message),
		ON_STAGE(optional_parameter_left_for_the_next_message),
		ON_STAGE(part_left_for_the_next_message),
		ON_STAGE(mac_goes_on_from_the_last_message),
		ON_STAGE(mac_verified_as_the_last_one),
		ON_STAGE(mac_kept_that_cannot_begin_again),
	};

	return cmocka_run_group_tests_name("resting", tests, NULL, NULL);
}
