/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "base/cleanup.h"
#include "tests/unit/scene-program.h"

/*
 * What conformance suites ask of a token (pkcs11test, the tests of SoftHSM and
 * of kryoptic), section by section of PKCS#11 3.2, where other tests here do
 * not ask it: searches, templates, attributes, logins, slots, mechanisms.
 */

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static CK_SESSION_HANDLE
begin(CK_FLAGS flags, bool user)
{
	CK_SESSION_HANDLE s;

	scene_forget_stderr(&scene);
	scene_prepare(&scene, &(struct scene_options){ 0 });
	assert_ok(C_Initialize(NULL));
	s = open_session(flags);
	if (user)
		login(s);
	return s;
}

#define ATTR(type, value)                                                      \
	{                                                                      \
		(type), &(value), sizeof(value)                                \
	}
#define TEXT(type, text)                                                       \
	{                                                                      \
		(type), (text), sizeof(text) - 1                               \
	}

static CK_OBJECT_CLASS data_class = CKO_DATA;
static CK_BYTE beef[] = { 0xde, 0xad, 0xbe, 0xef };
static CK_UTF8CHAR app[] = "conformance", label[] = "Label";

static CK_OBJECT_HANDLE
make_data(CK_SESSION_HANDLE s)
{
	CK_ATTRIBUTE t[] = { ATTR(CKA_CLASS, data_class), ATTR(CKA_TOKEN, no),
		TEXT(CKA_APPLICATION, app), ATTR(CKA_VALUE, beef),
		TEXT(CKA_LABEL, label) };
	CK_OBJECT_HANDLE h = 0;

	assert_ok(C_CreateObject(s, t, NELEMS(t), &h));
	assert_int_not_equal(h, 0);
	return h;
}

/* All objects of that application, by steps. */
static size_t
count(CK_SESSION_HANDLE s, CK_ULONG step, CK_OBJECT_HANDLE v[64])
{
	CK_ATTRIBUTE t = TEXT(CKA_APPLICATION, app);
	CK_ULONG n = 0, all = 0;

	assert_ok(C_FindObjectsInit(s, &t, 1));
	do {
		assert_true(all + step <= 64);
		assert_ok(C_FindObjects(s, &v[all], step, &n));
		all += n;
	} while (n > 0);
	assert_ok(C_FindObjectsFinal(s));
	return all;
}

/* 5.7.7 to 5.7.9, in a public session. */
static void
searches(void **state)
{
	CK_OBJECT_HANDLE one[64], ten[64], h;
	CK_ATTRIBUTE t = TEXT(CKA_APPLICATION, app);
	CK_SESSION_HANDLE s;
	CK_ULONG n = 7;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RW, false);
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjects(s, &h, 1, &n));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjectsFinal(s));
	assert_rv(CKR_ARGUMENTS_BAD, C_FindObjectsInit(s, NULL, 3));
	for (int i = 0; i < 23; i++)
		(void)make_data(s);
	assert_int_equal(count(s, 1, one), 23);
	assert_int_equal(count(s, 10, ten), 23);
	assert_memory_equal(one, ten, 23 * sizeof(*one));
	/* Wrong arguments do not end a search. */
	assert_ok(C_FindObjectsInit(s, &t, 1));
	assert_rv(CKR_OPERATION_ACTIVE, C_FindObjectsInit(s, &t, 1));
	assert_rv(CKR_ARGUMENTS_BAD, C_FindObjects(s, NULL, 1, &n));
	assert_rv(CKR_ARGUMENTS_BAD, C_FindObjects(s, &h, 1, NULL));
	assert_rv(CKR_SESSION_HANDLE_INVALID, C_FindObjects(0, &h, 1, &n));
	assert_ok(C_FindObjects(s, &h, 0, &n));
	assert_int_equal(n, 0);
	assert_ok(C_FindObjects(s, &h, 1, &n));
	assert_int_equal(n, 1);
	/* What is gone meanwhile is no reason to fail. */
	assert_ok(C_DestroyObject(s, one[5]));
	assert_ok(C_FindObjects(s, ten, 64, &n));
	assert_true(n >= 21);
	assert_ok(C_FindObjects(s, ten, 64, &n));
	assert_int_equal(n, 0);
	assert_ok(C_FindObjectsFinal(s));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjects(s, &h, 1, &n));
	/* Attributes that nothing has, and types that there are not. */
	t.type = 0x12345;
	assert_ok(C_FindObjectsInit(s, &t, 1));
	assert_ok(C_FindObjects(s, &h, 1, &n));
	assert_int_equal(n, 0);
	assert_ok(C_FindObjectsFinal(s));
}

/* 5.7.1 to 5.7.4 and 5.7.6. */
static void
objects_that_are_refused(void **state)
{
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY, unknown = 0x77777;
	CK_ATTRIBUTE other[] = { ATTR(CKA_CLASS, class) };
	CK_ATTRIBUTE only_value[] = { ATTR(CKA_VALUE, beef) };
	CK_ATTRIBUTE strange[] = { ATTR(CKA_CLASS, unknown) };
	CK_ATTRIBUTE twice[] = { ATTR(CKA_CLASS, data_class),
		TEXT(CKA_LABEL, label), TEXT(CKA_LABEL, app) };
	CK_ATTRIBUTE foreign[] = { ATTR(CKA_CLASS, data_class),
		ATTR(CKA_SENSITIVE, yes) };
	CK_ATTRIBUTE long_label = { CKA_LABEL, label, (CK_ULONG)-1 };
	CK_OBJECT_HANDLE h, x = 77;
	CK_SESSION_HANDLE s;
	CK_ULONG n;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RW, false);
	h = make_data(s);
	assert_rv(CKR_ARGUMENTS_BAD, C_CreateObject(s, NULL, 4, &x));
	assert_rv(CKR_TEMPLATE_INCOMPLETE, C_CreateObject(s, other, 0, &x));
	assert_rv(CKR_TEMPLATE_INCOMPLETE,
	    C_CreateObject(s, only_value, 1, &x));
	assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
	    C_CreateObject(s, strange, 1, &x));
	assert_rv(CKR_TEMPLATE_INCONSISTENT, C_CreateObject(s, twice, 3, &x));
	assert_rv(CKR_ATTRIBUTE_TYPE_INVALID,
	    C_CreateObject(s, foreign, 2, &x));
	assert_rv(CKR_ARGUMENTS_BAD, C_CopyObject(s, h, NULL, 1, &x));
	assert_rv(CKR_ARGUMENTS_BAD, C_CopyObject(s, h, other, 0, NULL));
	assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_CopyObject(s, h, other, 1, &x));
	assert_rv(CKR_OBJECT_HANDLE_INVALID, C_CopyObject(s, 0, other, 0, &x));
	assert_int_equal(x, 77);
	assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_SetAttributeValue(s, h, other, 1));
	assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
	    C_SetAttributeValue(s, h, &long_label, 1));
	assert_rv(CKR_OBJECT_HANDLE_INVALID,
	    C_SetAttributeValue(s, 0, only_value, 1));
	assert_rv(CKR_ARGUMENTS_BAD, C_SetAttributeValue(s, h, NULL, 1));
	assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(s, 0, &n));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetObjectSize(s, h, NULL));
	assert_rv(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(s, 0));
	assert_rv(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(s, ~0UL));
	assert_ok(C_DestroyObject(s, h));
	assert_rv(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(s, h));
}

/* A copy lives by itself. */
static void
objects_that_are_copied(void **state)
{
	CK_UTF8CHAR renamed[] = "NewLabel";
	CK_ATTRIBUTE change = TEXT(CKA_LABEL, renamed);
	CK_BYTE out[32];
	CK_ATTRIBUTE get = { CKA_LABEL, out, sizeof(out) };
	CK_OBJECT_HANDLE a, b, found[64];
	CK_SESSION_HANDLE s;
	CK_ULONG n, m;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RW, false);
	a = make_data(s);
	assert_ok(C_CopyObject(s, a, NULL, 0, &b));
	assert_ok(C_GetObjectSize(s, a, &n));
	assert_ok(C_GetObjectSize(s, b, &m));
	assert_int_equal(n, m);
	assert_ok(C_SetAttributeValue(s, a, &change, 1));
	assert_ok(C_GetAttributeValue(s, b, &get, 1));
	assert_int_equal(get.ulValueLen, sizeof(label) - 1);
	assert_int_equal(count(s, 10, found), 2);
	assert_ok(C_DestroyObject(s, a));
	assert_int_equal(count(s, 10, found), 1);
	assert_int_equal(found[0], b);
}

/*
 * 5.7.5: whatever becomes of one attribute, the others are answered; the code
 * is that of one that failed.
 */
enum answer { VALUE, SIZE, SHORT, UNKNOWN, SECRET, N_ANSWERS };

static const CK_RV codes[N_ANSWERS] = { CKR_OK, CKR_OK, CKR_BUFFER_TOO_SMALL,
	CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_SENSITIVE };

static void
fill(CK_ATTRIBUTE *a, enum answer what, CK_BYTE *room)
{
	static const CK_ATTRIBUTE_TYPE types[N_ANSWERS] = { CKA_KEY_TYPE,
		CKA_MODULUS, CKA_MODULUS, CKA_CERTIFICATE_TYPE,
		CKA_PRIVATE_EXPONENT };

	memset(room, 0xab, 8);
	*a = (CK_ATTRIBUTE){ types[what], room, what == SHORT ? 1 : 512 };
	if (what == SIZE)
		a->pValue = NULL;
}

static void
expect_answer(const CK_ATTRIBUTE *a, enum answer what)
{
	const CK_BYTE *room = a->pValue;

	switch (what) {
	case VALUE:
		assert_int_equal(a->ulValueLen, sizeof(CK_KEY_TYPE));
		assert_int_equal(*room, CKK_RSA);
		break;
	case SIZE:
		assert_int_equal(a->ulValueLen, 256);
		break;
	default:
		assert_int_equal(a->ulValueLen, CK_UNAVAILABLE_INFORMATION);
		assert_int_equal(*room, 0xab);
	}
}

static void
attributes_are_answered_each_for_itself(void **state)
{
	CK_BYTE room[4][512];
	CK_OBJECT_HANDLE key;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RO, true);
	key = find(s, CKO_PRIVATE_KEY, "rsa");
	for (int i = 0; i < N_ANSWERS * N_ANSWERS * N_ANSWERS; i++) {
		const enum answer what[] = { (enum answer)(i % N_ANSWERS),
			(enum answer)(i / N_ANSWERS % N_ANSWERS),
			(enum answer)(i / N_ANSWERS / N_ANSWERS), VALUE };
		CK_ATTRIBUTE t[4];
		bool failed = false, named = false;
		CK_RV rv;

		for (size_t j = 0; j < NELEMS(t); j++)
			fill(&t[j], what[j], room[j]);
		rv = C_GetAttributeValue(s, key, t, NELEMS(t));
		for (size_t j = 0; j < NELEMS(t); j++) {
			expect_answer(&t[j], what[j]);
			failed |= codes[what[j]] != CKR_OK;
			named |= codes[what[j]] == rv;
		}
		assert_true(named);
		assert_int_equal(failed, rv != CKR_OK);
	}
}

/* 4.9, 4.11: what comes from outside says so. */
static void
imported_keys_are_not_local(void **state)
{
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		CK_BBOOL value;
	} rows[] = { { CKA_LOCAL, CK_FALSE },
		{ CKA_ALWAYS_SENSITIVE, CK_FALSE },
		{ CKA_NEVER_EXTRACTABLE, CK_FALSE }, { CKA_TOKEN, CK_FALSE },
		{ CKA_PRIVATE, CK_TRUE }, { CKA_MODIFIABLE, CK_TRUE },
		{ CKA_COPYABLE, CK_TRUE }, { CKA_DESTROYABLE, CK_TRUE },
		{ CKA_TRUSTED, CK_FALSE }, { CKA_DERIVE, CK_FALSE },
		{ CKA_WRAP_WITH_TRUSTED, CK_FALSE } };
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BYTE value[16] = { 1 };
	CK_ATTRIBUTE t[] = { ATTR(CKA_CLASS, class), ATTR(CKA_KEY_TYPE, type),
		ATTR(CKA_VALUE, value), ATTR(CKA_ENCRYPT, yes) };
	CK_MECHANISM_TYPE mech = 0;
	CK_ATTRIBUTE gen = ATTR(CKA_KEY_GEN_MECHANISM, mech);
	CK_OBJECT_HANDLE h;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RO, true);
	assert_ok(C_CreateObject(s, t, NELEMS(t), &h));
	for (size_t i = 0; i < NELEMS(rows); i++) {
		CK_BBOOL got = 77;
		CK_ATTRIBUTE a = ATTR(rows[i].type, got);

		assert_ok(C_GetAttributeValue(s, h, &a, 1));
		if (got != rows[i].value)
			print_error("attribute 0x%lx\n", rows[i].type);
		assert_int_equal(got, rows[i].value);
	}
	assert_ok(C_GetAttributeValue(s, h, &gen, 1));
	assert_int_equal(mech, CK_UNAVAILABLE_INFORMATION);
}

/*
 * 5.7.1, 5.18.1 and 5.18.2 have no CKR_KEY_SIZE_RANGE: what a template says of
 * a new key is an attribute, of a value that is none.
 */
static const struct {
	CK_MECHANISM_TYPE mech;
	CK_ATTRIBUTE_TYPE type;
	CK_ULONG size;
	CK_RV rv;
} sizes[] = {
	{ CKM_AES_KEY_GEN, CKA_VALUE_LEN, 16, CKR_OK },
	{ CKM_AES_KEY_GEN, CKA_VALUE_LEN, 0, CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_AES_KEY_GEN, CKA_VALUE_LEN, 13, CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_AES_KEY_GEN, CKA_VALUE_LEN, 33, CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_AES_KEY_GEN, CKA_VALUE_LEN, ~0UL, CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_GENERIC_SECRET_KEY_GEN, CKA_VALUE_LEN, 1, CKR_OK },
	{ CKM_GENERIC_SECRET_KEY_GEN, CKA_VALUE_LEN, 0,
	    CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_GENERIC_SECRET_KEY_GEN, CKA_VALUE_LEN, 4097,
	    CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_GENERIC_SECRET_KEY_GEN, CKA_VALUE_LEN, ~0UL,
	    CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_RSA_PKCS_KEY_PAIR_GEN, CKA_MODULUS_BITS, 2048, CKR_OK },
	{ CKM_RSA_PKCS_KEY_PAIR_GEN, CKA_MODULUS_BITS, 0,
	    CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_RSA_PKCS_KEY_PAIR_GEN, CKA_MODULUS_BITS, 64,
	    CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_RSA_PKCS_KEY_PAIR_GEN, CKA_MODULUS_BITS, 1024,
	    CKR_ATTRIBUTE_VALUE_INVALID },
	{ CKM_RSA_PKCS_KEY_PAIR_GEN, CKA_MODULUS_BITS, ~0UL,
	    CKR_ATTRIBUTE_VALUE_INVALID },
};

static void
sizes_that_no_key_has(void **state)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BYTE value[17] = { 1 };
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE h, g;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RO, true);
	for (size_t i = 0; i < NELEMS(sizes); i++) {
		CK_ULONG size = sizes[i].size;
		CK_ATTRIBUTE t[] = { ATTR(sizes[i].type, size) };
		CK_MECHANISM *m = MECH(sizes[i].mech);

		if (sizes[i].type == CKA_VALUE_LEN)
			assert_rv(sizes[i].rv, C_GenerateKey(s, m, t, 1, &h));
		else
			assert_rv(sizes[i].rv,
			    C_GenerateKeyPair(s, m, t, 1, NULL, 0, &h, &g));
	}
	for (CK_ULONG n = 0; n <= sizeof(value); n++) {
		CK_ATTRIBUTE t[] = { ATTR(CKA_CLASS, class),
			ATTR(CKA_KEY_TYPE, type), { CKA_VALUE, value, n } };

		assert_rv(n == 16 ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID,
		    C_CreateObject(s, t, NELEMS(t), &h));
	}
}

/* 4.8: no list is what a key has that is for every mechanism, and who copies
 * attributes gives it back. */
static void
lists_of_no_mechanism(void **state)
{
	CK_MECHANISM_TYPE ecb = CKM_AES_ECB;
	CK_ULONG len = 16;
	CK_ATTRIBUTE t[] = { ATTR(CKA_VALUE_LEN, len), ATTR(CKA_ENCRYPT, yes),
		ATTR(CKA_ALLOWED_MECHANISMS, ecb) };
	CK_BYTE iv[16] = { 0 };
	CK_MECHANISM cbc = { CKM_AES_CBC, iv, sizeof(iv) };
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE h;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RO, true);
	assert_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, 3, &h));
	assert_rv(CKR_MECHANISM_INVALID, C_EncryptInit(s, &cbc, h));
	assert_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), h));
	for (CK_ULONG n = 1; n < sizeof(ecb); n++) {
		t[2].ulValueLen = n;
		assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
		    C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, 3, &h));
	}
	assert_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, 2, &h));
	t[2].ulValueLen = sizeof(ecb);
	assert_ok(C_GetAttributeValue(s, h, &t[2], 1));
	assert_int_equal(t[2].ulValueLen, 0);
	assert_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, 3, &h));
	assert_ok(C_SessionCancel(s, CKF_ENCRYPT));
	assert_ok(C_EncryptInit(s, &cbc, h));
}

/* 5.8, 5.10: a counter of two bits counts four blocks; a fifth has another
 * error in C_Encrypt than in C_Decrypt. */
static const struct counted {
	CK_ULONG bits, last, len; /* last: byte of the counter block */
	bool fits;
} counted[] = {
	{ 2, 0, 64, true },
	{ 2, 0, 65, false },
	{ 2, 3, 16, true },
	{ 2, 3, 17, false },
	{ 8, 0xff, 16, true },
	{ 8, 0xff, 32, false },
	{ 9, 0xff, 32, true },
};

static void
counters_that_run_out(void **state)
{
	CK_ULONG len = 16, n;
	CK_ATTRIBUTE t[] = { ATTR(CKA_VALUE_LEN, len), ATTR(CKA_ENCRYPT, yes),
		ATTR(CKA_DECRYPT, yes) };
	CK_BYTE in[65] = { 0 }, out[65];
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE h;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RO, true);
	assert_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, 3, &h));
	for (size_t i = 0; i < NELEMS(counted); i++) {
		const struct counted *c = &counted[i];
		CK_AES_CTR_PARAMS p = { c->bits, { 0 } };
		CK_MECHANISM m = { CKM_AES_CTR, &p, sizeof(p) };
		CK_RV enc = c->fits ? CKR_OK : CKR_DATA_LEN_RANGE;
		CK_RV dec = c->fits ? CKR_OK : CKR_ENCRYPTED_DATA_LEN_RANGE;

		p.cb[15] = (CK_BYTE)c->last;
		n = sizeof(out);
		assert_ok(C_EncryptInit(s, &m, h));
		assert_rv(enc, C_Encrypt(s, in, c->len, out, &n));
		n = sizeof(out);
		assert_ok(C_DecryptInit(s, &m, h));
		assert_rv(dec, C_Decrypt(s, in, c->len, out, &n));
		n = sizeof(out);
		assert_ok(C_EncryptInit(s, &m, h));
		assert_rv(enc, C_EncryptUpdate(s, in, c->len, out, &n));
		n = sizeof(out);
		assert_ok(C_DecryptInit(s, &m, h));
		assert_rv(dec, C_DecryptUpdate(s, in, c->len, out, &n));
		(void)C_SessionCancel(s, CKF_ENCRYPT | CKF_DECRYPT);
	}
}

/* A public exponent may have zeros before it. */
static void
numbers_with_zeros_before_them(void **state)
{
	CK_BYTE exponent[] = { 0, 1, 0, 1 };
	CK_ULONG bits = 2048;
	CK_ATTRIBUTE pub[] = { ATTR(CKA_MODULUS_BITS, bits),
		ATTR(CKA_PUBLIC_EXPONENT, exponent) };
	CK_OBJECT_HANDLE a, b;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RW, true);
	assert_ok(C_GenerateKeyPair(s, MECH(CKM_RSA_PKCS_KEY_PAIR_GEN), pub, 2,
	    NULL, 0, &a, &b));
	assert_ok(C_DestroyObject(s, a));
	assert_ok(C_DestroyObject(s, b));
}

/* 5.6.8: codes of C_Login, each in the state that has it. */
static void
logins(void **state)
{
	CK_UTF8CHAR pin[] = USER_PIN, so[] = SO_PIN, wrong[] = "simply-wrong";
	CK_SESSION_HANDLE s, ro;
	CK_TOKEN_INFO info;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RW, false);
	assert_rv(CKR_USER_TYPE_INVALID, C_Login(s, 99, pin, 4));
	assert_rv(CKR_ARGUMENTS_BAD, C_Login(s, CKU_SO, NULL, 4));
	assert_rv(CKR_ARGUMENTS_BAD, C_Login(s, CKU_USER, NULL, 4));
	assert_rv(CKR_USER_NOT_LOGGED_IN, C_Logout(s));
	assert_rv(CKR_PIN_INCORRECT, C_Login(s, CKU_SO, so, 0));
	assert_rv(CKR_PIN_INCORRECT,
	    C_Login(s, CKU_USER, wrong, sizeof(wrong) - 1));
	assert_ok(C_GetTokenInfo(the_slot(), &info));
	assert_true(info.flags & CKF_USER_PIN_COUNT_LOW);
	assert_false(info.flags & CKF_USER_PIN_LOCKED);
	assert_ok(C_Login(s, CKU_USER, pin, sizeof(pin) - 1));
	assert_ok(C_GetTokenInfo(the_slot(), &info));
	assert_false(info.flags & CKF_USER_PIN_COUNT_LOW);
	assert_rv(CKR_USER_ALREADY_LOGGED_IN,
	    C_Login(s, CKU_USER, pin, sizeof(pin) - 1));
	assert_rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
	    C_Login(s, CKU_SO, so, sizeof(so) - 1));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_Login(s, CKU_CONTEXT_SPECIFIC, pin, sizeof(pin) - 1));
	assert_ok(C_Logout(s));
	ro = open_session(RO);
	assert_rv(CKR_SESSION_READ_ONLY_EXISTS,
	    C_Login(s, CKU_SO, so, sizeof(so) - 1));
	assert_rv(CKR_SESSION_READ_ONLY_EXISTS,
	    C_Login(ro, CKU_SO, so, sizeof(so) - 1));
	assert_ok(C_CloseSession(ro));
	assert_ok(C_Login(s, CKU_SO, so, sizeof(so) - 1));
	assert_rv(CKR_USER_ALREADY_LOGGED_IN,
	    C_Login(s, CKU_SO, so, sizeof(so) - 1));
	assert_rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
	    C_Login(s, CKU_USER, pin, sizeof(pin) - 1));
	assert_rv(CKR_SESSION_READ_WRITE_SO_EXISTS,
	    C_OpenSession(the_slot(), RO, NULL, NULL, &ro));
	assert_rv(CKR_FUNCTION_NOT_PARALLEL, C_GetFunctionStatus(s));
	assert_rv(CKR_FUNCTION_NOT_PARALLEL, C_CancelFunction(s));
}

/* A buffer that is too small stays as it was. */
static void
small_buffers_are_not_written(void **state)
{
	CK_BYTE in[64] = { 1 }, out[80], iv[16] = { 0 };
	CK_MECHANISM cbc = { CKM_AES_CBC_PAD, iv, sizeof(iv) };
	CK_OBJECT_HANDLE key;
	CK_SESSION_HANDLE s;
	CK_ULONG n = 79;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RO, true);
	key = find(s, CKO_SECRET_KEY, "aes");
	memset(out, 0xab, sizeof(out));
	assert_ok(C_EncryptInit(s, &cbc, key));
	assert_rv(CKR_BUFFER_TOO_SMALL, C_Encrypt(s, in, 64, out, &n));
	assert_int_equal(n, 80);
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0xab);
	assert_ok(C_Encrypt(s, in, 64, out, &n));
	n = 2;
	memset(in, 0xab, sizeof(in));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv(CKR_BUFFER_TOO_SMALL, C_Digest(s, out, 80, in, &n));
	assert_int_equal(n, 32);
	for (size_t i = 0; i < sizeof(in); i++)
		assert_int_equal(in[i], 0xab);
}

/* 5.18: arguments before mechanisms, mechanisms before keys. */
static void
keys_that_are_refused(void **state)
{
	CK_ATTRIBUTE t[] = { ATTR(CKA_ENCRYPT, yes) };
	CK_MECHANISM none = { 999, NULL, 0 };
	CK_OBJECT_HANDLE aes, h = 77, g = 77;
	CK_SESSION_HANDLE s;
	CK_BYTE out[64];
	CK_ULONG n = sizeof(out);

	(void)state;
	NEEDS_MACHINE();
	s = begin(RW, true);
	aes = find(s, CKO_SECRET_KEY, "aes");
	assert_rv(CKR_ARGUMENTS_BAD, C_GenerateKey(s, NULL, t, 1, &h));
	assert_rv(CKR_ARGUMENTS_BAD, C_GenerateKey(s, &none, NULL, 3, &h));
	assert_rv(CKR_ARGUMENTS_BAD, C_GenerateKey(s, &none, t, 1, NULL));
	assert_rv(CKR_MECHANISM_INVALID, C_GenerateKey(s, &none, t, 1, &h));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_GenerateKeyPair(s, NULL, t, 1, t, 1, &h, &g));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_GenerateKeyPair(s, &none, NULL, 1, t, 1, &h, &g));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_GenerateKeyPair(s, &none, t, 1, t, 1, NULL, &g));
	assert_rv(CKR_ARGUMENTS_BAD, C_WrapKey(s, NULL, aes, aes, out, &n));
	assert_rv(CKR_ARGUMENTS_BAD, C_WrapKey(s, &none, aes, aes, out, NULL));
	assert_rv(CKR_WRAPPING_KEY_HANDLE_INVALID,
	    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), 0, aes, out, &n));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), aes, 0, out, &n));
	assert_rv(CKR_UNWRAPPING_KEY_HANDLE_INVALID,
	    C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), 0, out, 40, t, 1, &h));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), aes, NULL, 40, t, 1, &h));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), aes, out, 40, NULL, 1, &h));
	assert_rv(CKR_KEY_TYPE_INCONSISTENT,
	    C_EncryptInit(s, MECH(CKM_RSA_PKCS), aes));
	assert_rv(CKR_MECHANISM_INVALID, C_EncryptInit(s, &none, aes));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA_1)));
	assert_rv(CKR_KEY_HANDLE_INVALID, C_DigestKey(s, 0));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA_1)));
	assert_rv(CKR_KEY_INDIGESTIBLE,
	    C_DigestKey(s, find(s, CKO_PUBLIC_KEY, "ec")));
	assert_int_equal(h, 77);
	assert_int_equal(g, 77);
}

/* 5.5: lists that are too short, slots that there are not. */
static void
lists(void **state)
{
	CK_MECHANISM_TYPE v[256];
	CK_MECHANISM_INFO m;
	CK_SLOT_ID slots[4];
	CK_SLOT_INFO info;
	CK_ULONG n = 0, all;

	(void)state;
	NEEDS_MACHINE();
	(void)begin(RO, false);
	assert_rv(CKR_BUFFER_TOO_SMALL, C_GetSlotList(CK_FALSE, slots, &n));
	assert_int_equal(n, 1);
	n = 4;
	assert_ok(C_GetSlotList(CK_TRUE, slots, &n));
	assert_int_equal(n, 1);
	assert_rv(CKR_ARGUMENTS_BAD, C_GetSlotList(CK_FALSE, slots, NULL));
	assert_rv(CKR_SLOT_ID_INVALID, C_GetSlotInfo(88888, &info));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetSlotInfo(the_slot(), NULL));
	assert_ok(C_GetSlotInfo(the_slot(), &info));
	assert_int_equal(info.flags, CKF_TOKEN_PRESENT);
	assert_rv(CKR_ARGUMENTS_BAD, C_GetTokenInfo(the_slot(), NULL));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetMechanismList(the_slot(), v, NULL));
	assert_ok(C_GetMechanismList(the_slot(), NULL, &all));
	assert_in_range(all, 1, NELEMS(v));
	n = all - 1;
	assert_rv(CKR_BUFFER_TOO_SMALL, C_GetMechanismList(the_slot(), v, &n));
	assert_int_equal(n, all);
	n = NELEMS(v);
	assert_ok(C_GetMechanismList(the_slot(), v, &n));
	assert_int_equal(n, all);
	assert_rv(CKR_MECHANISM_INVALID,
	    C_GetMechanismInfo(the_slot(), CKM_VENDOR_DEFINED + 1, &m));
	assert_rv(CKR_SLOT_ID_INVALID, C_GetMechanismInfo(88888, v[0], &m));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_GetMechanismInfo(the_slot(), v[0], NULL));
}

#define MAC (CKF_SIGN | CKF_VERIFY)
#define CRYPT (CKF_ENCRYPT | CKF_DECRYPT)
#define WRAP (CKF_WRAP | CKF_UNWRAP)
#define MESSAGES (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE)
#define MESSAGE_MAC (CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE)

/* Section 6, "Mechanisms vs. Functions": what each is for, and no more; and
 * sizes in the unit that its section says. */
static const struct {
	CK_MECHANISM_TYPE type;
	CK_ULONG min, max;
	CK_FLAGS flags;
} for_what[] = {
	{ CKM_RSA_PKCS_KEY_PAIR_GEN, 2048, 8192, CKF_GENERATE_KEY_PAIR },
	{ CKM_RSA_PKCS, 2048, 8192, MAC | CRYPT | WRAP | MESSAGE_MAC },
	{ CKM_RSA_PKCS_PSS, 2048, 8192, MAC | MESSAGE_MAC },
	{ CKM_RSA_PKCS_OAEP, 2048, 8192, CRYPT | WRAP },
	{ CKM_SHA256_RSA_PKCS, 2048, 8192, MAC | MESSAGE_MAC },
	{ CKM_RSA_AES_KEY_WRAP, 2048, 8192, WRAP },
	{ CKM_EC_KEY_PAIR_GEN, 256, 521, CKF_GENERATE_KEY_PAIR },
	{ CKM_ECDSA, 256, 521, MAC | MESSAGE_MAC },
	{ CKM_ECDSA_SHA256, 256, 521, MAC | MESSAGE_MAC },
	{ CKM_ECDH1_DERIVE, 255, 521, CKF_DERIVE },
	{ CKM_EC_EDWARDS_KEY_PAIR_GEN, 255, 448, CKF_GENERATE_KEY_PAIR },
	{ CKM_EC_MONTGOMERY_KEY_PAIR_GEN, 255, 448, CKF_GENERATE_KEY_PAIR },
	{ CKM_EDDSA, 255, 448, MAC | MESSAGE_MAC },
	{ CKM_AES_KEY_GEN, 16, 32, CKF_GENERATE },
	{ CKM_AES_ECB, 16, 32, CRYPT },
	{ CKM_AES_CBC, 16, 32, CRYPT | WRAP },
	{ CKM_AES_CTR, 16, 32, CRYPT },
	{ CKM_AES_GCM, 16, 32, CRYPT | WRAP | MESSAGES },
	{ CKM_AES_CCM, 16, 32, CRYPT | WRAP | MESSAGES },
	{ CKM_AES_CMAC, 16, 32, MAC | MESSAGE_MAC },
	{ CKM_AES_KEY_WRAP, 16, 32, CRYPT | WRAP },
	{ CKM_CHACHA20_KEY_GEN, 32, 32, CKF_GENERATE },
	{ CKM_CHACHA20_POLY1305, 32, 32, CRYPT | WRAP | MESSAGES },
	{ CKM_GENERIC_SECRET_KEY_GEN, 8, 32768, CKF_GENERATE },
	{ CKM_SHA256_HMAC, 1, 4096, MAC | MESSAGE_MAC },
	{ CKM_SHA256, 0, 0, CKF_DIGEST },
	{ CKM_SHA3_256, 0, 0, CKF_DIGEST },
	{ CKM_HKDF_DERIVE, 1, 4096, CKF_DERIVE },
	{ CKM_PKCS5_PBKD2, 1, 4096, CKF_GENERATE },
};

static void
mechanisms_are_for_what_they_say(void **state)
{
	const CK_FLAGS curves = CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS |
	    CKF_EC_CURVENAME;
	CK_MECHANISM_TYPE v[256];
	CK_MECHANISM_INFO m;
	CK_ULONG n = NELEMS(v), wrong = 0;

	(void)state;
	NEEDS_MACHINE();
	(void)begin(RO, false);
	for (size_t i = 0; i < NELEMS(for_what); i++) {
		assert_ok(C_GetMechanismInfo(the_slot(), for_what[i].type, &m));
		if ((m.flags & ~curves) == for_what[i].flags &&
		    m.ulMinKeySize == for_what[i].min &&
		    m.ulMaxKeySize == for_what[i].max)
			continue;
		print_error("0x%lx: flags 0x%lx, %lu to %lu\n",
		    for_what[i].type, m.flags, m.ulMinKeySize, m.ulMaxKeySize);
		wrong++;
	}
	assert_int_equal(wrong, 0);
	assert_ok(C_GetMechanismList(the_slot(), v, &n));
	for (CK_ULONG i = 0; i < n; i++) {
		assert_ok(C_GetMechanismInfo(the_slot(), v[i], &m));
		assert_true(m.ulMinKeySize <= m.ulMaxKeySize);
		assert_int_not_equal(m.flags, 0);
		/* Both ways or none, and never hardware. */
		assert_int_equal((m.flags & CKF_SIGN) != 0,
		    (m.flags & CKF_VERIFY) != 0);
		assert_int_equal((m.flags & CKF_WRAP) != 0,
		    (m.flags & CKF_UNWRAP) != 0);
		assert_int_equal(m.flags & CKF_HW, 0);
	}
}

/* The host's OpenSSL queue of errors is as it was, whatever we refuse. */
static void
host_finds_no_errors_of_ours(void **state)
{
	CK_BYTE in[256] = { 0 }, out[256], iv[12] = { 0 };
	CK_RSA_PKCS_OAEP_PARAMS q = { CKM_SHA256, CKG_MGF1_SHA256,
		CKZ_DATA_SPECIFIED, NULL, 0 };
	CK_MECHANISM oaep = { CKM_RSA_PKCS_OAEP, &q, sizeof(q) };
	CK_GCM_PARAMS p = { iv, sizeof(iv), 96, NULL, 0, 128 };
	CK_MECHANISM gcm = { CKM_AES_GCM, &p, sizeof(p) };
	CK_OBJECT_HANDLE key, pub, rsa;
	CK_SESSION_HANDLE s;
	CK_ULONG n;

	(void)state;
	NEEDS_MACHINE();
	s = begin(RO, true);
	rsa = find(s, CKO_PRIVATE_KEY, "rsa");
	key = find(s, CKO_SECRET_KEY, "aes");
	pub = find(s, CKO_PUBLIC_KEY, "ec");
	for (int i = 0; i < 2; i++) {
		/* Once with nothing there, once with the host's own. */
		ERR_clear_error();
		if (i == 1)
			ERR_raise(ERR_LIB_USER, 77);
		n = sizeof(out);
		assert_ok(C_DecryptInit(s, &gcm, key));
		assert_rv(CKR_ENCRYPTED_DATA_INVALID,
		    C_Decrypt(s, in, 64, out, &n));
		n = sizeof(out);
		assert_ok(C_DecryptInit(s, &oaep, rsa));
		assert_rv(CKR_ENCRYPTED_DATA_INVALID,
		    C_Decrypt(s, in, 256, out, &n));
		assert_ok(C_VerifyInit(s, MECH(CKM_ECDSA), pub));
		assert_rv(CKR_SIGNATURE_INVALID, C_Verify(s, in, 32, in, 64));
		assert_rv(CKR_MECHANISM_INVALID,
		    C_DigestInit(s, MECH(CKM_ECDSA)));
		if (i == 1)
			assert_int_equal(ERR_GET_REASON(ERR_get_error()), 77);
		assert_int_equal(ERR_get_error(), 0);
	}
}

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(searches),
		TEST(objects_that_are_refused),
		TEST(objects_that_are_copied),
		TEST(attributes_are_answered_each_for_itself),
		TEST(imported_keys_are_not_local),
		TEST(sizes_that_no_key_has),
		TEST(lists_of_no_mechanism),
		TEST(counters_that_run_out),
		TEST(numbers_with_zeros_before_them),
		TEST(logins),
		TEST(small_buffers_are_not_written),
		TEST(keys_that_are_refused),
		TEST(lists),
		TEST(mechanisms_are_for_what_they_say),
		TEST(host_finds_no_errors_of_ours),
	};

	return cmocka_run_group_tests_name("conformance", tests, start, stop);
}
