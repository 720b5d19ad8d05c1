/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/wait.h>

#include "base/forkid.h"
#include "token/evp.h"
#include "token/keys.h"
#include "token/object_impl.h"

/* Objects: what is found, read, changed and kept, and by whom. */

static size_t
count(struct stage *s, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	CK_OBJECT_HANDLE *v = NULL;
	size_t found = 0;

	ok(token_find(s->t, &s->c, templ, n, &v, &found, why));
	free(v);
	return found;
}

static CK_OBJECT_HANDLE
find_one(struct stage *s, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	CK_OBJECT_HANDLE *v = NULL, h;
	size_t found = 0;

	ok(token_find(s->t, &s->c, templ, n, &v, &found, why));
	assert_int_equal(found, 1);
	h = v[0];
	free(v);
	return h;
}

static size_t
count_class(struct stage *s, CK_OBJECT_CLASS class)
{
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, class) };

	return count(s, templ, 1);
}

static int
get_error(struct stage *s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type)
{
	uint8_t room[4096];
	CK_ATTRIBUTE a = { type, room, sizeof(room) };
	int err = token_get_attributes(s->t, &s->c, h, &a, 1);

	/* Without a permit the lengths are as they were: for another try. */
	assert_int_equal(a.ulValueLen == CK_UNAVAILABLE_INFORMATION,
	    err != CVM_OK && err != CVM_E_PERMIT);
	return err;
}

static int
handle_error(struct stage *s, CK_OBJECT_HANDLE h)
{
	_cleanup_(object_unrefp) struct object *o = NULL;

	return token_object(s->t, &s->c, h, &o);
}

static int
set_one(struct stage *s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE a)
{
	return token_set_attributes(s->t, &s->c, h, &a, 1, NULL);
}

#define SET(s, h, ...) set_one(s, h, (CK_ATTRIBUTE)__VA_ARGS__)

static void
generated_key_says_wrong_things(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, true);
	_cleanup_(blob_clear) struct blob id = get_attr(s, p.pub, CKA_ID);
	_cleanup_(blob_clear) struct blob id2 = get_attr(s, p.priv, CKA_ID);
	_cleanup_(blob_clear) struct blob n = get_attr(s, p.pub, CKA_MODULUS);
	_cleanup_(blob_clear) struct blob n2 = get_attr(s, p.priv, CKA_MODULUS);
	_cleanup_(blob_clear) struct blob e = get_attr(s, p.priv,
	    CKA_PUBLIC_EXPONENT);
	_cleanup_(blob_clear) struct blob info = get_attr(s, p.priv,
	    CKA_PUBLIC_KEY_INFO);
	_cleanup_(
	    blob_clear) struct blob unique = get_attr(s, p.priv, CKA_UNIQUE_ID);
	uint8_t digest[SHA256_LEN];

	ok(hash(HASH_SHA256, blob_span(&info), digest));
	assert_int_equal(id.len, 20);
	assert_memory_equal(id.data, digest, 20);
	assert_true(span_equal(blob_span(&id), blob_span(&id2)));
	assert_true(span_equal(blob_span(&n), blob_span(&n2)));
	assert_int_equal(n.len, 256);
	assert_int_equal(e.len, 3);
	assert_int_equal(unique.len, 32);
	assert_int_equal(get_ulong(s, p.pub, CKA_MODULUS_BITS), 2048);
	assert_int_equal(get_ulong(s, p.priv, CKA_KEY_GEN_MECHANISM),
	    CKM_RSA_PKCS_KEY_PAIR_GEN);
	assert_true(get_bool(s, p.priv, CKA_PRIVATE));
	assert_true(get_bool(s, p.priv, CKA_SENSITIVE));
	assert_true(get_bool(s, p.priv, CKA_ALWAYS_SENSITIVE));
	assert_false(get_bool(s, p.priv, CKA_EXTRACTABLE));
	assert_true(get_bool(s, p.priv, CKA_NEVER_EXTRACTABLE));
	assert_true(get_bool(s, p.priv, CKA_LOCAL));
	assert_int_equal(get_ulong(s, p.priv, CKA_CVM_ORIGIN),
	    CVM_ORIGIN_GENERATED);
	assert_true(get_bool(s, p.priv, CKA_SIGN));
	assert_false(get_bool(s, p.priv, CKA_ALWAYS_AUTHENTICATE));
	assert_false(get_bool(s, p.priv, CKA_CVM_BIND_OPERATION));
	assert_false(get_bool(s, p.pub, CKA_PRIVATE));
}

static void
secret_part_readable(void **state)
{
	static const CK_ATTRIBUTE_TYPE parts[] = { CKA_PRIVATE_EXPONENT,
		CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2,
		CKA_COEFFICIENT };
	struct stage *s = *state;
	struct pair p = make_rsa(s, 1024, false);
	struct pair q = MAKE_EC(s, p256);
	CK_OBJECT_HANDLE key = make_secret(s, CKK_AES, "0123456789abcdef", 16);

	for (size_t i = 0; i < COUNT(parts); i++)
		assert_int_equal(get_error(s, p.priv, parts[i]),
		    CVM_E_ATTR_SENSITIVE);
	assert_int_equal(get_error(s, q.priv, CKA_VALUE), CVM_E_ATTR_SENSITIVE);
	/* Extractable and not sensitive: readable, until it is made so. */
	assert_int_equal(get_error(s, key, CKA_VALUE), CVM_OK);
	assert_int_equal(SET(s, key, BOOL_ATTR(CKA_SENSITIVE, true)), CVM_OK);
	assert_int_equal(get_error(s, key, CKA_VALUE), CVM_E_ATTR_SENSITIVE);
}

/* A search by key material must not tell whether a guess was right. */
static void
secret_value_found_by_guessing(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE guess[] = { TEXT_ATTR(CKA_VALUE, "0123456789abcdef") };

	(void)make_secret(s, CKK_AES, "0123456789abcdef", 16);
	assert_int_equal(count(s, guess, 1), 0);
}

static void
attribute_of_other_class_given(void **state)
{
	struct stage *s = *state;
	struct pair p = MAKE_EC(s, p256);

	assert_int_equal(get_error(s, p.priv, CKA_MODULUS), CVM_E_ATTR_TYPE);
	assert_int_equal(get_error(s, p.pub, CKA_SENSITIVE), CVM_E_ATTR_TYPE);
	assert_int_equal(get_error(s, p.pub, CKA_VENDOR_DEFINED | 7),
	    CVM_E_ATTR_TYPE);
	assert_int_equal(get_error(s, p.pub, CKA_EC_POINT), CVM_OK);
}

static void
short_buffer_hides_the_others(void **state)
{
	struct stage *s = *state;
	struct pair p = MAKE_EC(s, p256);
	CK_BYTE label[1], id[64];
	CK_ULONG type = 0;
	CK_ATTRIBUTE v[] = { { CKA_ID, label, 1 }, { CKA_VALUE, id, 64 },
		{ CKA_KEY_TYPE, &type, sizeof(type) } };

	assert_int_equal(token_get_attributes(s->t, &s->c, p.priv, v, 3),
	    CVM_E_ATTR_SENSITIVE);
	assert_int_equal(v[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(v[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(v[2].ulValueLen, sizeof(type));
	assert_int_equal(type, CKK_EC);
}

/* The public point is a DER OCTET STRING, whatever the curve. */
static void
ec_point_not_der(void **state)
{
	struct stage *s = *state;
	static const struct {
		CK_MECHANISM_TYPE mech;
		CK_BYTE *params;
		size_t len, point;
	} v[] = {
		{ CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256), 65 },
		{ CKM_EC_KEY_PAIR_GEN, p384, sizeof(p384), 97 },
		{ CKM_EC_KEY_PAIR_GEN, p521, sizeof(p521), 133 },
		{ CKM_EC_KEY_PAIR_GEN, secp256k1, sizeof(secp256k1), 65 },
		{ CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519, sizeof(ed25519), 32 },
		{ CKM_EC_EDWARDS_KEY_PAIR_GEN, ed448, sizeof(ed448), 57 },
		{ CKM_EC_MONTGOMERY_KEY_PAIR_GEN, x25519, sizeof(x25519), 32 },
		{ CKM_EC_MONTGOMERY_KEY_PAIR_GEN, x448, sizeof(x448), 56 },
	};

	for (size_t i = 0; i < COUNT(v); i++) {
		struct pair p = make_ec(s, v[i].mech, v[i].params, v[i].len,
		    false);
		_cleanup_(blob_clear) struct blob a = get_attr(s, p.pub,
		    CKA_EC_POINT);
		_cleanup_(blob_clear) struct blob b = get_attr(s, p.priv,
		    CKA_EC_POINT);
		_cleanup_(blob_clear) struct blob c = get_attr(s, p.priv,
		    CKA_EC_PARAMS);
		size_t head = v[i].point < 128 ? 2 : 3;

		assert_int_equal(a.len, v[i].point + head);
		assert_int_equal(a.data[0], 0x04);
		assert_int_equal(a.data[head - 1], v[i].point);
		assert_true(span_equal(blob_span(&a), blob_span(&b)));
		assert_int_equal(c.len, v[i].len);
		assert_memory_equal(c.data, v[i].params, c.len);
	}
}

static int
try_generate(struct stage *s, CK_MECHANISM_TYPE type, CK_ATTRIBUTE *pub,
    CK_ULONG n_pub, CK_ATTRIBUTE *priv, CK_ULONG n_priv)
{
	CK_MECHANISM mech = { type, NULL, 0 };
	CK_OBJECT_HANDLE a, b;

	return token_generate_pair(s->t, &s->c, &mech, pub, n_pub, priv, n_priv,
	    &a, &b, NULL);
}

static void
generation_template_wrong(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE good[] = { ULONG_ATTR(CKA_MODULUS_BITS, 1024) };
	CK_ATTRIBUTE small[] = { ULONG_ATTR(CKA_MODULUS_BITS, 1016) };
	CK_ATTRIBUTE large[] = { ULONG_ATTR(CKA_MODULUS_BITS, 8200) };
	CK_ATTRIBUTE odd[] = { ULONG_ATTR(CKA_MODULUS_BITS, 2047) };
	CK_ATTRIBUTE twice[] = { good[0], small[0] };
	CK_BYTE three[] = { 3 }, even[] = { 1, 0, 0 };
	CK_ATTRIBUTE e3[] = { good[0], BYTES_ATTR(CKA_PUBLIC_EXPONENT, three) };
	CK_ATTRIBUTE e_even[] = { good[0],
		BYTES_ATTR(CKA_PUBLIC_EXPONENT, even) };
	CK_ATTRIBUTE local[] = { BOOL_ATTR(CKA_LOCAL, true) };
	CK_ATTRIBUTE bad_bool[] = { BOOL_ATTR(CKA_SIGN, 2) };
	CK_ATTRIBUTE other[] = { ULONG_ATTR(CKA_KEY_TYPE, CKK_EC) };
	CK_ATTRIBUTE value[] = { TEXT_ATTR(CKA_PRIVATE_EXPONENT, "x") };
	CK_ATTRIBUTE trusted[] = { good[0], BOOL_ATTR(CKA_TRUSTED, true) };
	const CK_MECHANISM_TYPE rsa = CKM_RSA_PKCS_KEY_PAIR_GEN;

	assert_int_equal(try_generate(s, rsa, good, 1, NULL, 0), CVM_OK);
	assert_int_equal(try_generate(s, rsa, NULL, 0, NULL, 0),
	    CVM_E_TEMPLATE_INCOMPLETE);
	assert_int_equal(try_generate(s, rsa, small, 1, NULL, 0),
	    CVM_E_KEY_SIZE);
	assert_int_equal(try_generate(s, rsa, large, 1, NULL, 0),
	    CVM_E_KEY_SIZE);
	assert_int_equal(try_generate(s, rsa, odd, 1, NULL, 0), CVM_E_KEY_SIZE);
	assert_int_equal(try_generate(s, rsa, twice, 2, NULL, 0),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_generate(s, rsa, e3, 2, NULL, 0),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_generate(s, rsa, e_even, 2, NULL, 0),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_generate(s, rsa, good, 1, local, 1),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(try_generate(s, rsa, good, 1, bad_bool, 1),
	    CVM_E_ATTR_VALUE);
	assert_int_equal(try_generate(s, rsa, good, 1, other, 1),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_generate(s, rsa, good, 1, value, 1),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_generate(s, rsa, trusted, 2, NULL, 0),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(try_generate(s, CKM_AES_KEY_GEN, good, 1, NULL, 0),
	    CVM_E_MECH_INVALID);
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, good, 1, NULL, 0),
	    CVM_E_ATTR_TYPE);
}

static void
curve_of_other_mechanism_taken(void **state)
{
	struct stage *s = *state;
	CK_BYTE explicit[] = { 0x30, 3, 2, 1, 1 };
	CK_BYTE brainpool[] = { 0x06, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7 };
	CK_ATTRIBUTE good[] = { BYTES_ATTR(CKA_EC_PARAMS, p256) };
	CK_ATTRIBUTE ed[] = { BYTES_ATTR(CKA_EC_PARAMS, ed25519) };
	CK_ATTRIBUTE ex[] = { BYTES_ATTR(CKA_EC_PARAMS, explicit) };
	CK_ATTRIBUTE bp[] = { BYTES_ATTR(CKA_EC_PARAMS, brainpool) };
	CK_BYTE word[] = { 0x13, 4, 's', 'e', 'c', 't' };
	CK_ATTRIBUTE cut[] = { { CKA_EC_PARAMS, p256, sizeof(p256) - 1 } };
	CK_ATTRIBUTE named[] = { BYTES_ATTR(CKA_EC_PARAMS, word) };
	CK_ATTRIBUTE none[] = { { CKA_EC_PARAMS, word, 0 } };

	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, good, 1, NULL, 0),
	    CVM_OK);
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, ed, 1, NULL, 0),
	    CVM_E_CURVE);
	assert_int_equal(try_generate(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, good, 1,
			     NULL, 0),
	    CVM_E_CURVE);
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, ex, 1, NULL, 0),
	    CVM_E_DOMAIN_PARAMS);
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, bp, 1, NULL, 0),
	    CVM_E_CURVE);
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, named, 1, NULL,
			     0),
	    CVM_E_CURVE);
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, none, 1, NULL, 0),
	    CVM_E_DOMAIN_PARAMS);
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, cut, 1, NULL, 0),
	    CVM_E_DOMAIN_PARAMS);
}

static void
fixed_attribute_changed(void **state)
{
	struct stage *s = *state;
	struct pair p = MAKE_EC(s, p256);
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE fixed[] = { BOOL_ATTR(CKA_MODIFIABLE, false) };
	CK_OBJECT_HANDLE copy;

	assert_int_equal(SET(s, p.priv, ULONG_ATTR(CKA_CLASS, 2)),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(SET(s, p.priv, BOOL_ATTR(CKA_PRIVATE, false)),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(SET(s, p.priv,
			     BOOL_ATTR(CKA_ALWAYS_AUTHENTICATE, true)),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(SET(s, p.pub, BYTES_ATTR(CKA_EC_PARAMS, p384)),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(SET(s, p.pub, BOOL_ATTR(CKA_TRUSTED, true)),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(SET(s, p.pub, { CKA_LABEL, NULL, 3 }),
	    CVM_E_ATTR_VALUE);
	assert_int_equal(SET(s, p.pub, TEXT_ATTR(CKA_START_DATE, "2026")),
	    CVM_E_ATTR_VALUE);
	assert_int_equal(SET(s, p.pub, TEXT_ATTR(CKA_START_DATE, "2026x101")),
	    CVM_E_ATTR_VALUE);
	assert_int_equal(SET(s, p.pub, TEXT_ATTR(CKA_START_DATE, "20260101")),
	    CVM_OK);
	ok(token_copy(s->t, &s->c, p.pub, fixed, 1, &copy, why));
	assert_int_equal(SET(s, copy, TEXT_ATTR(CKA_LABEL, "x")),
	    CVM_E_ACTION_PROHIBITED);
	assert_int_equal(SET(s, p.pub, { CKA_DESTROYABLE, &no, 1 }), CVM_OK);
	assert_int_equal(token_destroy(s->t, &s->c, p.pub, NULL),
	    CVM_E_ACTION_PROHIBITED);
	s->c.so = true;
	s->c.user = false;
	assert_int_equal(SET(s, p.pub, BOOL_ATTR(CKA_TRUSTED, true)), CVM_OK);
}

/* pkcs11-tool --test-ec changes these. */
static void
renamed_key_not_found(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	CK_ATTRIBUTE by_id[] = { TEXT_ATTR(CKA_ID, "new id"),
		ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY) };
	CK_ATTRIBUTE by_label[] = { TEXT_ATTR(CKA_LABEL, "new label") };
	CK_ATTRIBUTE old[] = { TEXT_ATTR(CKA_LABEL, "") };

	assert_int_equal(count(s, by_id, 2), 0);
	assert_int_equal(SET(s, p.priv, TEXT_ATTR(CKA_ID, "new id")), CVM_OK);
	assert_int_equal(SET(s, p.pub, TEXT_ATTR(CKA_ID, "new id")), CVM_OK);
	assert_int_equal(SET(s, p.pub, TEXT_ATTR(CKA_LABEL, "new label")),
	    CVM_OK);
	assert_int_equal(find_one(s, by_id, 2), p.priv);
	assert_int_equal(find_one(s, by_label, 1), p.pub);
	assert_int_equal(find_one(s, old, 1), p.priv);
	stage_restart(s);
	p.priv = find_one(s, by_id, 2);
	p.pub = find_one(s, by_label, 1);
	ok(token_destroy(s->t, &s->c, p.pub, why));
	assert_int_equal(count(s, by_label, 1), 0);
	assert_int_equal(token_destroy(s->t, &s->c, p.pub, NULL),
	    CVM_E_NOT_FOUND);
}

static void
sign_something(struct stage *s, struct pair p)
{
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	_cleanup_(op_freep) struct op *sign = begin(s, OP_SIGN, &mech, p.priv);
	_cleanup_(
	    op_freep) struct op *check = begin(s, OP_VERIFY, &mech, p.pub);
	uint8_t sig[64];
	CK_ULONG len = sizeof(sig);

	ok(op_once(sign, s->c.permit, text("data"), sig, &len, why));
	assert_int_equal(op_verify_once(check, text("data"), span(sig, len)),
	    CVM_OK);
}

static void
token_object_lost_by_restart(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	CK_ATTRIBUTE pub[] = { ULONG_ATTR(CKA_CLASS, CKO_PUBLIC_KEY) };
	CK_ATTRIBUTE priv[] = { ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY) };
	_cleanup_(
	    blob_clear) struct blob before = get_attr(s, p.priv, CKA_UNIQUE_ID);
	_cleanup_(blob_clear) struct blob after = { 0 };

	(void)MAKE_EC(s, p256);
	assert_int_equal(count(s, priv, 1), 2);
	sign_something(s, p);
	stage_restart(s);
	assert_int_equal(count(s, NULL, 0), 2);
	p = (struct pair){ find_one(s, pub, 1), find_one(s, priv, 1) };
	after = get_attr(s, p.priv, CKA_UNIQUE_ID);
	assert_true(span_equal(blob_span(&before), blob_span(&after)));
	sign_something(s, p);
}

/* After a denial handles are the same, and keys work again once unsealed. */
static void
handle_lost_by_denial(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	CK_MECHANISM mech = { CKM_ECDSA, NULL, 0 };
	_cleanup_(op_freep) struct op *op = NULL;
	uint8_t digest[32] = { 0 }, sig[64];
	CK_ULONG len = sizeof(sig);

	sign_something(s, p);
	op = begin(s, OP_SIGN, &mech, p.priv);
	permit_revoke_all(&s->f.issuer);
	token_wipe(s->t);
	assert_int_equal(op_once(op, s->c.permit, span(digest, 32), sig, &len,
			     NULL),
	    CVM_E_PERMIT);
	s->c.permit = NULL;
	assert_int_equal(count_class(s, CKO_PRIVATE_KEY), 0);
	assert_int_equal(count_class(s, CKO_PUBLIC_KEY), 1);
	assert_int_equal(get_error(s, p.pub, CKA_ID), CVM_OK);
	new_permit(&s->f);
	s->c.permit = &s->f.permit;
	ok(unseal(&s->f, why));
	assert_int_equal(count_class(s, CKO_PRIVATE_KEY), 1);
	sign_something(s, p);
	/* Straight by handle, without a search in between. */
	permit_revoke_all(&s->f.issuer);
	token_wipe(s->t);
	new_permit(&s->f);
	ok(unseal(&s->f, why));
	sign_something(s, p);
}

/* Nothing of a key is left in memory, not even in an operation's context. */
static void
key_survives_wipe(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	struct pair q = MAKE_EC(s, p256);
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(object_unrefp) struct object *session = NULL;
	_cleanup_(op_freep) struct op *op = NULL;

	sign_something(s, p);
	sign_something(s, q);
	ok(token_object(s->t, &s->c, p.priv, &o));
	ok(token_object(s->t, &s->c, q.priv, &session));
	op = begin(s, OP_SIGN, &mech, p.priv);
	assert_non_null(o->key->pkey);
	assert_non_null(session->key->material);
	token_wipe(s->t);
	assert_null(o->key->pkey);
	assert_null(session->key->pkey);
	assert_null(session->key->material);
	/* The one that was in use is not kept for another. */
	op_freep(&op);
	for (size_t i = 0; i < KEY_IDLE_MAX; i++) {
		assert_null(o->key->idle[i]);
		assert_null(session->key->idle[i]);
	}
}

static void
change_of_other_process_missed(void **state)
{
	struct stage *s = *state;
	struct stage other = *s;
	CK_ATTRIBUTE by_label[] = { TEXT_ATTR(CKA_LABEL, "made elsewhere") };
	CK_ATTRIBUTE priv[] = { ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY) };
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
			true),
		    q;

	other.f.token = NULL;
	ok(token_new(&s->f.cfg, &s->f.issuer, &other.f.token));
	other.t = other.f.token;
	ok(unseal(&other.f, why));
	other.c.permit = &s->f.permit;
	assert_int_equal(count_class(&other, CKO_PRIVATE_KEY), 1);
	q = make_ec(&other, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256), true);
	assert_int_equal(SET(&other, q.pub,
			     TEXT_ATTR(CKA_LABEL, "made elsewhere")),
	    CVM_OK);
	assert_int_equal(count_class(s, CKO_PRIVATE_KEY), 2);
	(void)find_one(s, by_label, 1);
	/* Handles of what has not changed are the same. */
	sign_something(s, p);
	assert_int_equal(SET(s, find_one(s, by_label, 1),
			     TEXT_ATTR(CKA_LABEL, "here")),
	    CVM_OK);
	assert_int_equal(count(&other, by_label, 1), 0);
	sign_something(&other, q);
	ok(token_destroy(s->t, &s->c, p.priv, why));
	assert_int_equal(find_one(&other, priv, 1), q.priv);
	token_freep(&other.f.token);
}

/* A child signs with the handle that it inherited. */
static void
handle_lost_by_fork(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	int status = 0;
	pid_t pid;

	sign_something(s, p);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		token_after_fork(s->t);
		forkid_setup();
		new_permit(&s->f);
		sign_something(s, p);
		_exit(count_class(s, CKO_PRIVATE_KEY) == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	sign_something(s, p);
}

static void
read_only_session_changes_token(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	struct pair q = MAKE_EC(s, p256);
	CK_ATTRIBUTE to_token[] = { BOOL_ATTR(CKA_TOKEN, true) };
	CK_OBJECT_HANDLE h;

	s->c.writable = false;
	assert_int_equal(SET(s, p.pub, TEXT_ATTR(CKA_LABEL, "x")),
	    CVM_E_READ_ONLY);
	assert_int_equal(token_destroy(s->t, &s->c, p.pub, NULL),
	    CVM_E_READ_ONLY);
	assert_int_equal(token_copy(s->t, &s->c, q.priv, to_token, 1, &h, NULL),
	    CVM_E_READ_ONLY);
	assert_int_equal(SET(s, q.pub, TEXT_ATTR(CKA_LABEL, "x")), CVM_OK);
	ok(token_destroy(s->t, &s->c, q.pub, why));
}

static void
session_object_outlives_session(void **state)
{
	struct stage *s = *state;
	struct pair p = MAKE_EC(s, p256), q;

	s->c.session = 2;
	q = MAKE_EC(s, p256);
	assert_int_equal(count(s, NULL, 0), 4);
	token_session_closed(s->t, 1);
	assert_int_equal(count(s, NULL, 0), 2);
	assert_int_equal(handle_error(s, p.priv), CVM_E_NOT_FOUND);
	sign_something(s, q);
	/* A denial leaves nothing of a session key but its public half. */
	permit_revoke_all(&s->f.issuer);
	token_wipe(s->t);
	new_permit(&s->f);
	ok(unseal(&s->f, why));
	assert_int_equal(count_class(s, CKO_PRIVATE_KEY), 0);
	assert_int_equal(count_class(s, CKO_PUBLIC_KEY), 1);
}

static void
private_object_seen_without_login(void **state)
{
	struct stage *s = *state;
	struct pair p = MAKE_EC(s, p256);
	CK_ATTRIBUTE open[] = { BOOL_ATTR(CKA_PRIVATE, false) };
	CK_ATTRIBUTE params[] = { BYTES_ATTR(CKA_EC_PARAMS, p256) };

	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, params, 1, open,
			     1),
	    CVM_OK);
	assert_int_equal(count_class(s, CKO_PRIVATE_KEY), 2);
	s->c.user = false;
	/* The one that is not CKA_PRIVATE, which the permit is enough for. */
	assert_int_equal(count_class(s, CKO_PRIVATE_KEY), 1);
	assert_int_equal(handle_error(s, p.priv), CVM_E_NOT_FOUND);
	assert_int_equal(count_class(s, CKO_PUBLIC_KEY), 2);
	s->c.so = true;
	assert_int_equal(count_class(s, CKO_PRIVATE_KEY), 1);
	s->c.permit = NULL;
	assert_int_equal(count_class(s, CKO_PRIVATE_KEY), 0);
}

static int
try_create(struct stage *s, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	CK_OBJECT_HANDLE h;

	return token_create(s->t, &s->c, templ, n, &h, NULL);
}

static void
caller_creates_what_it_may_not(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE data[] = { ULONG_ATTR(CKA_CLASS, CKO_DATA),
		BOOL_ATTR(CKA_TOKEN, true), BOOL_ATTR(CKA_PRIVATE, true),
		TEXT_ATTR(CKA_VALUE, "v") };
	CK_ATTRIBUTE params[] = { BYTES_ATTR(CKA_EC_PARAMS, p256) };

	assert_int_equal(try_create(s, data, 4), CVM_OK);
	s->c.writable = false;
	assert_int_equal(try_create(s, data, 4), CVM_E_READ_ONLY);
	data[1].pValue = (CK_BBOOL[]){ false };
	assert_int_equal(try_create(s, data, 4), CVM_OK);
	s->c.user = false;
	assert_int_equal(try_create(s, data, 4), CVM_E_NOT_LOGGED_IN);
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, params, 1, NULL,
			     0),
	    CVM_E_NOT_LOGGED_IN);
	data[2].pValue = (CK_BBOOL[]){ false };
	assert_int_equal(try_create(s, data, 4), CVM_OK);
	s->c.permit = NULL;
	assert_int_equal(try_create(s, data, 4), CVM_OK);
	s->c.user = true;
	assert_int_equal(try_generate(s, CKM_EC_KEY_PAIR_GEN, params, 1, NULL,
			     0),
	    CVM_E_PERMIT);
}

static void
private_data_lie_open(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_DATA),
		BOOL_ATTR(CKA_TOKEN, true), BOOL_ATTR(CKA_PRIVATE, true),
		TEXT_ATTR(CKA_VALUE, "hidden"), TEXT_ATTR(CKA_LABEL, "d") };
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(blob_clear) struct blob value = { 0 };
	CK_OBJECT_HANDLE h, copy;

	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	ok(token_object(s->t, &s->c, h, &o));
	assert_int_equal(attrs_find(&o->attrs, CKA_VALUE)->value.len, 0);
	value = get_attr(s, h, CKA_VALUE);
	assert_true(span_equal(blob_span(&value), text("hidden")));
	assert_int_equal(SET(s, h, TEXT_ATTR(CKA_VALUE, "other")),
	    CVM_E_ATTR_READ_ONLY);
	ok(token_copy(s->t, &s->c, h, NULL, 0, &copy, why));
	assert_int_equal(get_error(s, copy, CKA_VALUE), CVM_OK);
	s->c.permit = NULL;
	assert_int_equal(get_error(s, h, CKA_VALUE), CVM_E_PERMIT);
}

/* Every function that reaches private material, asked with permits that are
 * none: absent, another issuer's, of an earlier epoch, over, used up. */
enum bad_permit {
	BAD_NONE,
	BAD_ISSUER,
	BAD_EPOCH,
	BAD_DEADLINE,
	BAD_USED,
	BAD_FORK,
	N_BAD
};

static const struct permit *
bad_permit(struct stage *s, enum bad_permit which, struct permit *p)
{
	static struct permit_issuer other;
	static struct permit_turn turn;

	permit_issue(&s->f.issuer, s->f.issuer.epoch, boottime_ns(), 300, p);
	if (which == BAD_USED) {
		permit_once(p, &turn);
		permit_turn_end(&turn);
	}
	if (which == BAD_ISSUER)
		p->issuer = &other;
	if (which == BAD_EPOCH)
		p->epoch--;
	if (which == BAD_DEADLINE)
		p->deadline_ns = boottime_ns();
	if (which == BAD_FORK)
		p->fork_count++;
	return which == BAD_NONE ? NULL : p;
}

struct scene {
	struct stage *s;
	struct pair rsa, ec, mont;
	CK_OBJECT_HANDLE aes, hmac;
	const struct permit *bad;
};

/* The operation begun with a good permit, or, late, with none at all. */
static void
refuse_op(struct scene *x, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, bool late)
{
	struct stage *s = x->s;
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(op_freep) struct op *a = NULL;
	_cleanup_(op_freep) struct op *b = NULL;
	_cleanup_(op_freep) struct op *c = NULL;
	uint8_t in[256] = { 0 }, out[512];
	CK_ULONG len = sizeof(out);
	const struct permit *p = late ? NULL : s->c.permit;
	int err;

	ok(token_object(s->t, &s->c, key, &o));
	if (x->bad != NULL)
		assert_int_equal(op_new(s->t, &s->f.cfg, kind, mech, o, x->bad,
				     &a, NULL),
		    CVM_E_PERMIT);
	assert_null(a);
	ok(op_new(s->t, &s->f.cfg, kind, mech, o, p, &a, why));
	ok(op_new(s->t, &s->f.cfg, kind, mech, o, p, &b, why));
	ok(op_new(s->t, &s->f.cfg, kind, mech, o, p, &c, why));
	assert_true(op_needs_permit(a));
	memset(out, 0x55, sizeof(out));
	assert_int_equal(op_once(a, x->bad, span(in, 128), out, &len, NULL),
	    CVM_E_PERMIT);
	err = op_update(b, x->bad, span(in, 32), out, &len, NULL);
	assert_true(err == CVM_OK || err == CVM_E_PERMIT);
	len = sizeof(out);
	assert_int_equal(op_final(b, x->bad, out, &len, NULL), CVM_E_PERMIT);
	assert_true(span_is_filled(span(out, sizeof(out)), 0x55));
}

static void
refuse_verify(struct scene *x, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
	struct stage *s = x->s;
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(op_freep) struct op *a = NULL;
	_cleanup_(op_freep) struct op *b = NULL;
	uint8_t sig[32] = { 0 };
	int err;

	ok(token_object(s->t, &s->c, key, &o));
	ok(op_new(s->t, &s->f.cfg, OP_VERIFY, mech, o, NULL, &a, why));
	ok(op_new(s->t, &s->f.cfg, OP_VERIFY, mech, o, NULL, &b, why));
	if (x->bad != NULL) {
		op_admit(a, x->bad);
		op_admit(b, x->bad);
	}
	assert_int_equal(op_verify_once(a, text("x"), span(sig, 32)),
	    CVM_E_PERMIT);
	err = op_update(b, x->bad, text("x"), NULL, NULL, NULL);
	assert_true(err == CVM_OK || err == CVM_E_PERMIT);
	assert_int_equal(op_verify_final(b, span(sig, 32)), CVM_E_PERMIT);
}

static void
refuse_functions(struct scene *x)
{
	struct stage *s = x->s;
	struct caller c = s->c;
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(object_unrefp) struct object *k = NULL;
	CK_MECHANISM kw = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
	CK_MECHANISM aes_gen = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_MECHANISM ec_gen = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE params[] = { BYTES_ATTR(CKA_EC_PARAMS, p256) };
	CK_ATTRIBUTE len16[] = { ULONG_ATTR(CKA_VALUE_LEN, 16) };
	CK_ATTRIBUTE value[] = { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		TEXT_ATTR(CKA_VALUE, "0123456789abcdef") };
	CK_ATTRIBUTE a = { CKA_VALUE, NULL, 0 };
	CK_OBJECT_HANDLE h, h2, *v = NULL;
	EVP_PKEY *pkey = NULL;
	struct secret *secret = NULL;
	uint8_t out[512];
	CK_ULONG len = sizeof(out);
	size_t n = 0;
	/* Not there, or not any more. */
	int unseen = x->bad == NULL ? CVM_E_NOT_FOUND : CVM_E_PERMIT;

	ok(token_object(s->t, &c, x->rsa.priv, &o));
	ok(token_object(s->t, &c, x->aes, &k));
	assert_int_equal(object_private_key(s->t, o, x->bad, &pkey, NULL),
	    CVM_E_PERMIT);
	assert_int_equal(object_secret_value(s->t, k, x->bad, &secret, NULL),
	    CVM_E_PERMIT);
	assert_int_equal(object_material(s->t, k, x->bad, &secret, NULL),
	    CVM_E_PERMIT);
	c.permit = x->bad;
	assert_int_equal(token_object(s->t, &c, x->rsa.priv, &o), unseen);
	assert_int_equal(token_get_attributes(s->t, &c, x->aes, &a, 1), unseen);
	assert_int_equal(token_set_attributes(s->t, &c, x->aes, NULL, 0, NULL),
	    unseen);
	assert_int_equal(token_object_size(s->t, &c, x->aes, &len), unseen);
	assert_int_equal(token_copy(s->t, &c, x->aes, NULL, 0, &h, NULL),
	    unseen);
	assert_int_equal(token_destroy(s->t, &c, x->aes, NULL), unseen);
	assert_int_equal(token_wrap(s->t, &c, &kw, x->aes, x->hmac, out, &len,
			     NULL),
	    unseen);
	assert_int_equal(token_unwrap(s->t, &c, &kw, x->aes, span(out, 24),
			     value, 2, &h, NULL),
	    unseen);
	assert_int_equal(token_derive(s->t, &c, &kw, x->mont.priv, value, 2, &h,
			     NULL),
	    unseen);
	assert_int_equal(token_generate_pair(s->t, &c, &ec_gen, params, 1, NULL,
			     0, &h, &h2, NULL),
	    CVM_E_PERMIT);
	assert_int_equal(token_generate_key(s->t, &c, &aes_gen, len16, 1, &h,
			     NULL),
	    CVM_E_PERMIT);
	assert_int_equal(token_create(s->t, &c, value, 3, &h, NULL),
	    CVM_E_PERMIT);
	if (x->bad != NULL)
		assert_int_equal(token_find(s->t, &c, NULL, 0, &v, &n, NULL),
		    CVM_E_PERMIT);
	c.permit = NULL;
	ok(token_find(s->t, &c, NULL, 0, &v, &n, why));
	assert_int_equal(n, 3); /* the public halves */
	free(v);
}

/* Public as it may be, what others find in the token is not written by
 * whoever was admitted once. */
static void
token_object_written_with_bad_permit(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_DATA),
		BOOL_ATTR(CKA_PRIVATE, false), TEXT_ATTR(CKA_VALUE, "v"),
		BOOL_ATTR(CKA_TOKEN, true) };
	CK_ATTRIBUTE label = TEXT_ATTR(CKA_LABEL, "other");
	CK_OBJECT_HANDLE h, session, made;
	struct permit p;

	ok(token_create(s->t, &s->c, templ, 4, &h, why));
	ok(token_create(s->t, &s->c, templ, 3, &session, why));
	for (int i = 0; i < N_BAD; i++) {
		struct caller c = s->c;

		c.permit = bad_permit(s, (enum bad_permit)i, &p);
		assert_int_equal(token_create(s->t, &c, templ, 4, &made, NULL),
		    CVM_E_PERMIT);
		assert_int_equal(token_copy(s->t, &c, session, &templ[3], 1,
				     &made, NULL),
		    CVM_E_PERMIT);
		assert_int_equal(token_set_attributes(s->t, &c, h, &label, 1,
				     NULL),
		    CVM_E_PERMIT);
		assert_int_equal(token_destroy(s->t, &c, h, NULL),
		    CVM_E_PERMIT);
		/* A session object is its maker's. */
		ok(token_set_attributes(s->t, &c, session, &label, 1, why));
		ok(token_copy(s->t, &c, session, NULL, 0, &made, why));
		ok(token_destroy(s->t, &c, made, why));
	}
	ok(token_destroy(s->t, &s->c, h, why));
}

static void
key_reached_with_bad_permit(void **state)
{
	struct stage *s = *state;
	CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA_1, CKG_MGF1_SHA1,
		CKZ_DATA_SPECIFIED, NULL, 0 };
	CK_BYTE iv[16] = { 0 };
	CK_GCM_PARAMS gcm = { iv, 12, 96, NULL, 0, 128 };
	CK_MECHANISM rsa = { CKM_SHA256_RSA_PKCS, NULL, 0 };
	CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 };
	CK_MECHANISM oaep_mech = { CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
	CK_MECHANISM cbc = { CKM_AES_CBC, iv, 16 };
	CK_MECHANISM gcm_mech = { CKM_AES_GCM, &gcm, sizeof(gcm) };
	CK_MECHANISM hmac = { CKM_SHA256_HMAC, NULL, 0 };
	struct scene x = { .s = s,
		.rsa = make_rsa(s, 1024, true),
		.ec = MAKE_EC(s, p256),
		.mont = make_ec(s, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, x25519,
		    sizeof(x25519), true),
		.aes = make_secret(s, CKK_AES, "0123456789abcdef", 16),
		.hmac = make_secret(s, CKK_GENERIC_SECRET, "key", 3) };
	struct permit p;

	s->f.issuer.epoch = 7;
	new_permit(&s->f);
	/* Twice: the second time with everything cached by good uses. */
	for (int i = 0; i < 2 * N_BAD; i++) {
		bool late = i % 2 == 1;

		x.bad = bad_permit(s, (enum bad_permit)(i % N_BAD), &p);
		refuse_op(&x, OP_SIGN, &rsa, x.rsa.priv, late);
		refuse_op(&x, OP_SIGN, &raw, x.rsa.priv, late);
		refuse_op(&x, OP_DECRYPT, &raw, x.rsa.priv, late);
		refuse_op(&x, OP_DECRYPT, &oaep_mech, x.rsa.priv, late);
		refuse_op(&x, OP_SIGN, &ecdsa, x.ec.priv, late);
		refuse_op(&x, OP_ENCRYPT, &cbc, x.aes, late);
		refuse_op(&x, OP_DECRYPT, &cbc, x.aes, late);
		refuse_op(&x, OP_ENCRYPT, &gcm_mech, x.aes, late);
		refuse_op(&x, OP_DECRYPT, &gcm_mech, x.aes, late);
		refuse_op(&x, OP_SIGN, &hmac, x.hmac, late);
		refuse_verify(&x, &hmac, x.hmac);
		refuse_functions(&x);
		sign_something(s, x.ec);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(generated_key_says_wrong_things),
		ON_STAGE(secret_part_readable),
		ON_STAGE(secret_value_found_by_guessing),
		ON_STAGE(attribute_of_other_class_given),
		ON_STAGE(short_buffer_hides_the_others),
		ON_STAGE(ec_point_not_der),
		ON_STAGE(generation_template_wrong),
		ON_STAGE(curve_of_other_mechanism_taken),
		ON_STAGE(fixed_attribute_changed),
		ON_STAGE(renamed_key_not_found),
		ON_STAGE(token_object_lost_by_restart),
		ON_STAGE(handle_lost_by_denial),
		ON_STAGE(key_survives_wipe),
		ON_STAGE(change_of_other_process_missed),
		ON_STAGE(handle_lost_by_fork),
		ON_STAGE(read_only_session_changes_token),
		ON_STAGE(session_object_outlives_session),
		ON_STAGE(private_object_seen_without_login),
		ON_STAGE(caller_creates_what_it_may_not),
		ON_STAGE(private_data_lie_open),
		ON_STAGE(token_object_written_with_bad_permit),
		ON_STAGE(key_reached_with_bad_permit),
	};

	return cmocka_run_group_tests_name("objects", tests, NULL, NULL);
}
