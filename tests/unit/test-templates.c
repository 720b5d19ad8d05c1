/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include "token/builtin.h"
#include "token/nested.h"

/* Templates in attributes (PKCS#11 sections 4.9 to 4.11), objects that every
 * token has (sections 4.12 and 4.13), and what C_CreateObject refuses. */

/* A wrapping key with these templates. */
static int
try_kek(struct stage *s, CK_ATTRIBUTE_TYPE type, CK_ATTRIBUTE *v, CK_ULONG len,
    CK_OBJECT_HANDLE *ret)
{
	CK_BYTE value[16] = { 1, 2, 3 };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		BYTES_ATTR(CKA_VALUE, value),
		BOOL_ATTR(CKA_WRAP, true),
		BOOL_ATTR(CKA_UNWRAP, true),
		{ type, v, len },
	};

	return token_create(s->t, &s->c, templ, COUNT(templ), ret, NULL);
}

static CK_OBJECT_HANDLE
aes_key(struct stage *s, const char *label, bool sensitive)
{
	CK_BYTE value[16] = { 9 };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		BYTES_ATTR(CKA_VALUE, value),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		BOOL_ATTR(CKA_SENSITIVE, sensitive),
		{ CKA_LABEL, NULL, strlen(label) },
	};
	char copy[32];
	CK_OBJECT_HANDLE h = 0;

	memcpy(copy, label, strlen(label));
	templ[5].pValue = copy;
	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	return h;
}

static void
wrap_template_ignored(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE want[] = { ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		TEXT_ATTR(CKA_LABEL, "may leave"),
		BOOL_ATTR(CKA_SENSITIVE, true) };
	CK_OBJECT_HANDLE kek = 0, good = aes_key(s, "may leave", true),
			 label = aes_key(s, "may not leave", true),
			 open = aes_key(s, "may leave", false),
			 hmac = make_secret(s, CKK_SHA256_HMAC, "0123456789",
			     8);
	CK_MECHANISM kw = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
	uint8_t out[64];
	CK_ULONG len = sizeof(out);

	ok(try_kek(s, CKA_WRAP_TEMPLATE, want, sizeof(want), &kek));
	assert_int_equal(token_wrap(s->t, &s->c, &kw, kek, good, out, &len,
			     NULL),
	    CVM_OK);
	assert_int_equal(token_wrap(s->t, &s->c, &kw, kek, label, out, &len,
			     NULL),
	    CVM_E_NOT_FOUND);
	assert_int_equal(token_wrap(s->t, &s->c, &kw, kek, open, out, &len,
			     NULL),
	    CVM_E_NOT_FOUND);
	assert_int_equal(token_wrap(s->t, &s->c, &kw, kek, hmac, out, &len,
			     NULL),
	    CVM_E_NOT_FOUND);
}

/* Unwraps with a template of the key, and one of the caller. */
static int
unwrap_with(struct stage *s, CK_ATTRIBUTE *of_key, CK_ULONG len,
    CK_ATTRIBUTE *own, CK_OBJECT_HANDLE *ret)
{
	/* RFC 3394's 4.1, under another key: only its length matters. */
	CK_MECHANISM cbc = { CKM_AES_CBC, (CK_BYTE[16]){ 0 }, 16 };
	static const uint8_t wrapped[16] = { 7 };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES), *own };
	CK_OBJECT_HANDLE kek = 0;

	ok(try_kek(s, CKA_UNWRAP_TEMPLATE, of_key, len, &kek));
	return token_unwrap(s->t, &s->c, &cbc, kek, span(wrapped, 16), templ, 3,
	    ret, NULL);
}

static void
unwrap_template_ignored(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE of_key[] = { BOOL_ATTR(CKA_SENSITIVE, true),
		BOOL_ATTR(CKA_EXTRACTABLE, false),
		BOOL_ATTR(CKA_ENCRYPT, false),
		TEXT_ATTR(CKA_LABEL, "from outside") };
	CK_ATTRIBUTE label = TEXT_ATTR(CKA_LABEL, "from outside");
	CK_ATTRIBUTE other = TEXT_ATTR(CKA_LABEL, "mine");
	CK_ATTRIBUTE out = BOOL_ATTR(CKA_EXTRACTABLE, true);
	CK_ATTRIBUTE id = TEXT_ATTR(CKA_ID, "7");
	CK_OBJECT_HANDLE h = 0;

	ok(unwrap_with(s, of_key, sizeof(of_key), &id, &h));
	assert_false(get_bool(s, h, CKA_EXTRACTABLE));
	assert_false(get_bool(s, h, CKA_ENCRYPT));
	assert_true(get_bool(s, h, CKA_SENSITIVE));
	assert_true(get_bool(s, h, CKA_DECRYPT));
	ok(unwrap_with(s, of_key, sizeof(of_key), &label, &h));
	assert_int_equal(unwrap_with(s, of_key, sizeof(of_key), &other, &h),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(unwrap_with(s, of_key, sizeof(of_key), &out, &h),
	    CVM_E_TEMPLATE_INCONSISTENT);
}

/* What no caller may say of a key, its unwrapping key cannot, either. */
static void
template_gives_what_is_computed(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE v[] = {
		BOOL_ATTR(CKA_LOCAL, true),
		BOOL_ATTR(CKA_ALWAYS_SENSITIVE, true),
		BOOL_ATTR(CKA_NEVER_EXTRACTABLE, true),
		ULONG_ATTR(CKA_KEY_GEN_MECHANISM, CKM_AES_KEY_GEN),
		TEXT_ATTR(CKA_UNIQUE_ID, "me"),
		ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		ULONG_ATTR(CKA_MODULUS_BITS, 2048),
	};
	CK_ATTRIBUTE trusted = BOOL_ATTR(CKA_TRUSTED, true);
	CK_ATTRIBUTE id = TEXT_ATTR(CKA_ID, "7");
	CK_OBJECT_HANDLE h = 0;

	for (size_t i = 0; i < COUNT(v); i++)
		assert_int_equal(unwrap_with(s, &v[i], sizeof(v[i]), &id, &h),
		    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(unwrap_with(s, &trusted, sizeof(trusted), &id, &h),
	    CVM_E_ATTR_READ_ONLY);
}

static void
derive_template_ignored(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE must[] = { BOOL_ATTR(CKA_EXTRACTABLE, false) };
	CK_ATTRIBUTE base[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_HKDF),
		TEXT_ATTR(CKA_VALUE, "the base key"),
		BOOL_ATTR(CKA_DERIVE, true),
		{ CKA_DERIVE_TEMPLATE, must, sizeof(must) },
	};
	CK_HKDF_PARAMS p = { CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL,
		NULL, 0, 0, NULL, 0 };
	CK_MECHANISM mech = { CKM_HKDF_DERIVE, &p, sizeof(p) };
	CK_MECHANISM data = { CKM_HKDF_DATA, &p, sizeof(p) };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		ULONG_ATTR(CKA_VALUE_LEN, 16),
		BOOL_ATTR(CKA_EXTRACTABLE, true) };
	CK_OBJECT_HANDLE b = 0, h = 0;

	ok(token_create(s->t, &s->c, base, COUNT(base), &b, why));
	ok(token_derive(s->t, &s->c, &mech, b, templ, 2, &h, why));
	assert_false(get_bool(s, h, CKA_EXTRACTABLE));
	assert_int_equal(token_derive(s->t, &s->c, &mech, b, templ, 3, &h,
			     NULL),
	    CVM_E_TEMPLATE_INCONSISTENT);
	/* Nor does the value leave as data, which have no such attribute. */
	assert_int_equal(token_derive(s->t, &s->c, &data, b, &templ[1], 1, &h,
			     NULL),
	    CVM_E_TEMPLATE_INCONSISTENT);
}

/* A private key of these two attributes, by every way that makes one. */
enum way { GENERATED, IMPORTED, UNWRAPPED, FROM_TEMPLATE };

static int
unwrap_ec(struct stage *s, CK_ATTRIBUTE of_key[2], CK_ATTRIBUTE of_caller[2],
    CK_OBJECT_HANDLE *ret)
{
	struct pair p = { 0 };
	CK_MECHANISM gen = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
	CK_ATTRIBUTE pub[] = { BYTES_ATTR(CKA_EC_PARAMS, p256) };
	CK_ATTRIBUTE priv[] = { BOOL_ATTR(CKA_EXTRACTABLE, true) };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_EC), { 0 }, { 0 } };
	CK_OBJECT_HANDLE kek = 0;
	uint8_t wrapped[256];
	CK_ULONG len = sizeof(wrapped);

	ok(token_generate_pair(s->t, &s->c, &gen, pub, 1, priv, 1, &p.pub,
	    &p.priv, why));
	ok(try_kek(s, CKA_UNWRAP_TEMPLATE, of_key,
	    of_key == NULL ? 0 : 2 * sizeof(*of_key), &kek));
	ok(token_wrap(s->t, &s->c, &kwp, kek, p.priv, wrapped, &len, why));
	if (of_caller != NULL)
		memcpy(&templ[2], of_caller, 2 * sizeof(*of_caller));
	return token_unwrap(s->t, &s->c, &kwp, kek, span(wrapped, len), templ,
	    of_caller == NULL ? 2 : 4, ret, NULL);
}

static int
give_birth(struct stage *s, enum way how, bool private, bool always,
    CK_OBJECT_HANDLE *ret)
{
	CK_MECHANISM gen = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE pub[] = { BYTES_ATTR(CKA_EC_PARAMS, p256) };
	CK_BYTE scalar[32] = { 1, 2, 3 };
	CK_ATTRIBUTE templ[] = {
		BOOL_ATTR(CKA_PRIVATE, private),
		BOOL_ATTR(CKA_ALWAYS_AUTHENTICATE, always),
		ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_EC),
		BYTES_ATTR(CKA_EC_PARAMS, p256),
		BYTES_ATTR(CKA_VALUE, scalar),
	};
	CK_OBJECT_HANDLE other = 0;

	if (how == GENERATED)
		return token_generate_pair(s->t, &s->c, &gen, pub, 1, templ, 2,
		    &other, ret, NULL);
	if (how == IMPORTED)
		return token_create(s->t, &s->c, templ, COUNT(templ), ret,
		    NULL);
	return unwrap_ec(s, how == FROM_TEMPLATE ? templ : NULL,
	    how == UNWRAPPED ? templ : NULL, ret);
}

/* Nobody is asked to log in again who was not asked to log in. */
static void
public_object_asks_for_each_login(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE open = BOOL_ATTR(CKA_PRIVATE, false);
	CK_ATTRIBUTE ask = BOOL_ATTR(CKA_ALWAYS_AUTHENTICATE, true);
	CK_OBJECT_HANDLE h = 0, copy = 0;

	for (enum way how = GENERATED; how <= FROM_TEMPLATE; how++) {
		assert_int_equal(give_birth(s, how, false, true, &h),
		    CVM_E_TEMPLATE_INCONSISTENT);
		assert_int_equal(give_birth(s, how, true, false, &h), CVM_OK);
		assert_int_equal(give_birth(s, how, false, false, &h), CVM_OK);
		/* Nor does one that is there become such. */
		assert_int_equal(token_set_attributes(s->t, &s->c, h, &ask, 1,
				     NULL),
		    CVM_E_ATTR_READ_ONLY);
		assert_int_equal(token_copy(s->t, &s->c, h, &ask, 1, &copy,
				     NULL),
		    CVM_E_ATTR_READ_ONLY);
		assert_int_equal(give_birth(s, how, true, true, &h), CVM_OK);
		assert_true(get_bool(s, h, CKA_ALWAYS_AUTHENTICATE));
		assert_int_equal(token_copy(s->t, &s->c, h, &open, 1, &copy,
				     NULL),
		    CVM_E_ATTR_READ_ONLY);
		assert_int_equal(token_copy(s->t, &s->c, h, NULL, 0, &copy,
				     NULL),
		    CVM_OK);
		assert_true(get_bool(s, copy, CKA_ALWAYS_AUTHENTICATE));
	}
}

/* As the caller gave it, after a restart too, level by level. */
static void
template_comes_back_another(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE inner[] = { TEXT_ATTR(CKA_LABEL, "inner") };
	CK_ATTRIBUTE list[] = { { CKA_UNWRAP_TEMPLATE, inner, sizeof(inner) },
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES) };
	char text[8] = "";
	CK_ULONG type = 0;
	CK_ATTRIBUTE got_inner[1] = { { 0, text, sizeof(text) } };
	CK_ATTRIBUTE got[2] = { { 0, &type, sizeof(type) },
		{ 0, got_inner, sizeof(got_inner) } };
	CK_ATTRIBUTE ask = { CKA_UNWRAP_TEMPLATE, NULL, 0 };
	CK_ATTRIBUTE none = { CKA_WRAP_TEMPLATE, NULL, 7 };
	CK_OBJECT_HANDLE kek = 0;

	ok(try_kek(s, CKA_UNWRAP_TEMPLATE, list, sizeof(list), &kek));
	ok(token_get_attributes(s->t, &s->c, kek, &ask, 1));
	assert_int_equal(ask.ulValueLen, sizeof(list));
	ask.pValue = got;
	ok(token_get_attributes(s->t, &s->c, kek, &ask, 1));
	assert_int_equal(got[0].type, CKA_KEY_TYPE);
	assert_int_equal(type, CKK_AES);
	assert_int_equal(got[1].type, CKA_UNWRAP_TEMPLATE);
	assert_int_equal(got_inner[0].type, CKA_LABEL);
	assert_int_equal(got_inner[0].ulValueLen, 5);
	assert_memory_equal(text, "inner", 5);
	/* Room that is short by one attribute, or by one byte of a value. */
	ask.ulValueLen = sizeof(list) - 1;
	assert_int_equal(token_get_attributes(s->t, &s->c, kek, &ask, 1),
	    CVM_E_BUFFER_TOO_SMALL);
	ask.ulValueLen = sizeof(list);
	got_inner[0].ulValueLen = 4;
	got[1].ulValueLen = sizeof(got_inner);
	assert_int_equal(token_get_attributes(s->t, &s->c, kek, &ask, 1),
	    CVM_E_BUFFER_TOO_SMALL);
	ok(token_get_attributes(s->t, &s->c, kek, &none, 1));
	assert_int_equal(none.ulValueLen, 0);
}

static void
template_without_end(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE self[1] = { { CKA_WRAP_TEMPLATE, NULL, sizeof(self) } };
	CK_ATTRIBUTE v[NESTED_DEPTH_MAX + 1];
	CK_OBJECT_HANDLE h = 0;

	self[0].pValue = self;
	assert_int_equal(try_kek(s, CKA_WRAP_TEMPLATE, self, sizeof(self), &h),
	    CVM_E_ATTR_VALUE);
	v[0] = (CK_ATTRIBUTE)BOOL_ATTR(CKA_SENSITIVE, true);
	for (size_t i = 1; i < COUNT(v); i++)
		v[i] = (CK_ATTRIBUTE){ CKA_WRAP_TEMPLATE, &v[i - 1],
			sizeof(v[0]) };
	assert_int_equal(try_kek(s, CKA_WRAP_TEMPLATE, &v[NESTED_DEPTH_MAX - 1],
			     sizeof(v[0]), &h),
	    CVM_OK);
	assert_int_equal(try_kek(s, CKA_WRAP_TEMPLATE, &v[NESTED_DEPTH_MAX],
			     sizeof(v[0]), &h),
	    CVM_E_ATTR_VALUE);
}

static void
template_hostile(void **state)
{
	struct stage *s = *state;
	CK_BBOOL odd = 2;
	CK_ATTRIBUTE twice[] = { BOOL_ATTR(CKA_SENSITIVE, true),
		BOOL_ATTR(CKA_SENSITIVE, true) };
	CK_ATTRIBUTE many[ATTRS_MAX + 1];
	struct {
		CK_ATTRIBUTE a;
		int err;
	} v[] = {
		{ { CKA_SENSITIVE, &odd, 1 }, CVM_E_ATTR_VALUE },
		{ { CKA_SENSITIVE, NULL, 1 }, CVM_E_ATTR_VALUE },
		{ { CKA_KEY_TYPE, &odd, 1 }, CVM_E_ATTR_VALUE },
		{ { CKA_LABEL, &odd, CK_UNAVAILABLE_INFORMATION },
		    CVM_E_ATTR_VALUE },
		{ { CKA_PRIVATE_EXPONENT, &odd, 1 }, CVM_E_ATTR_TYPE },
		{ { CKA_VENDOR_DEFINED | 5, &odd, 1 }, CVM_E_ATTR_TYPE },
		{ { CKA_UNWRAP_TEMPLATE, &odd, 1 }, CVM_E_ATTR_VALUE },
	};
	CK_OBJECT_HANDLE h = 0;

	for (size_t i = 0; i < COUNT(v); i++)
		assert_int_equal(try_kek(s, CKA_WRAP_TEMPLATE, &v[i].a,
				     sizeof(v[i].a), &h),
		    v[i].err);
	assert_int_equal(try_kek(s, CKA_WRAP_TEMPLATE, twice, sizeof(twice),
			     &h),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_kek(s, CKA_WRAP_TEMPLATE, twice,
			     sizeof(twice[0]) - 1, &h),
	    CVM_E_ATTR_VALUE);
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = twice[0];
	assert_int_equal(try_kek(s, CKA_WRAP_TEMPLATE, many, sizeof(many), &h),
	    CVM_E_ATTR_VALUE);
	assert_int_equal(try_kek(s, CKA_WRAP_TEMPLATE, twice, 0, &h), CVM_OK);
}

/* A template that could be taken off again would bind nobody. */
static void
template_taken_off(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE must[] = { BOOL_ATTR(CKA_SENSITIVE, true) };
	CK_ATTRIBUTE off = { CKA_WRAP_TEMPLATE, NULL, 0 };
	CK_OBJECT_HANDLE kek = 0, h = 0;

	ok(try_kek(s, CKA_WRAP_TEMPLATE, must, sizeof(must), &kek));
	assert_int_equal(token_set_attributes(s->t, &s->c, kek, &off, 1, NULL),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(token_copy(s->t, &s->c, kek, &off, 1, &h, NULL),
	    CVM_E_ATTR_READ_ONLY);
	ok(token_copy(s->t, &s->c, kek, NULL, 0, &h, why));
	ok(token_get_attributes(s->t, &s->c, h, &off, 1));
	assert_int_equal(off.ulValueLen, sizeof(must));
}

static size_t
find(struct stage *s, CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *first)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
	size_t found = 0;

	ok(token_find(s->t, &s->c, templ, n, &v, &found, why));
	*first = found > 0 ? v[0] : 0;
	return found;
}

/* A profile is claimed, and no other; each mechanism is there, once. */
static void
built_in_object_wrong(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE profile[] = { ULONG_ATTR(CKA_CLASS, CKO_PROFILE),
		ULONG_ATTR(CKA_PROFILE_ID, CKP_BASELINE_PROVIDER) };
	CK_ATTRIBUTE mech[] = { ULONG_ATTR(CKA_CLASS, CKO_MECHANISM),
		ULONG_ATTR(CKA_MECHANISM_TYPE, CKM_ECDSA_SHA256) };
	CK_OBJECT_HANDLE h = 0, all = 0;
	size_t n = 0;

	assert_int_equal(find(s, profile, 1, &h), 3);
	assert_int_equal(find(s, profile, 2, &h), 1);
	assert_int_equal(get_ulong(s, h, CKA_PROFILE_ID),
	    CKP_BASELINE_PROVIDER);
	profile[1] = (CK_ATTRIBUTE)ULONG_ATTR(CKA_PROFILE_ID,
	    CKP_AUTHENTICATION_TOKEN);
	assert_int_equal(find(s, profile, 2, &h), 0);
	while (mech_at(&s->f.cfg, n) != NULL)
		n++;
	assert_int_equal(find(s, mech, 1, &h), n);
	assert_int_equal(find(s, mech, 2, &h), 1);
	assert_int_equal(get_ulong(s, h, CKA_MECHANISM_TYPE), CKM_ECDSA_SHA256);
	assert_true(get_bool(s, h, CKA_TOKEN));
	assert_false(get_bool(s, h, CKA_PRIVATE));
	/* Not among what an application lists (section 4.12.2). */
	assert_int_equal(find(s, NULL, 0, &all), 0);
}

static void
built_in_object_changed(void **state)
{
	struct stage *s = *state;
	CK_ATTRIBUTE profile = ULONG_ATTR(CKA_CLASS, CKO_PROFILE);
	CK_ATTRIBUTE made[] = { ULONG_ATTR(CKA_CLASS, CKO_PROFILE),
		ULONG_ATTR(CKA_PROFILE_ID, CKP_AUTHENTICATION_TOKEN) };
	CK_ATTRIBUTE label = TEXT_ATTR(CKA_LABEL, "x");
	CK_OBJECT_HANDLE h = 0, copy = 0;

	assert_int_equal(find(s, &profile, 1, &h), 3);
	assert_int_equal(token_destroy(s->t, &s->c, h, NULL),
	    CVM_E_ACTION_PROHIBITED);
	assert_int_equal(token_set_attributes(s->t, &s->c, h, &label, 1, NULL),
	    CVM_E_ACTION_PROHIBITED);
	assert_int_equal(token_copy(s->t, &s->c, h, NULL, 0, &copy, NULL),
	    CVM_E_ACTION_PROHIBITED);
	assert_int_equal(token_create(s->t, &s->c, made, 2, &copy, NULL),
	    CVM_E_ATTR_READ_ONLY);
	assert_int_equal(token_create(s->t, &s->c, made, 1, &copy, NULL),
	    CVM_E_ATTR_VALUE);
	made[0] = (CK_ATTRIBUTE)ULONG_ATTR(CKA_CLASS, CKO_MECHANISM);
	assert_int_equal(token_create(s->t, &s->c, made, 1, &copy, NULL),
	    CVM_E_ATTR_VALUE);
	for (CK_OBJECT_HANDLE i = 3; i < 0x100; i += 11)
		assert_int_equal(token_destroy(s->t, &s->c,
				     BUILTIN_HANDLE_BASE + i, NULL),
		    CVM_E_NOT_FOUND);
}

#define N 4

/* A complete template, and what becomes of it with one change. */
struct creation {
	const char *section;
	CK_ATTRIBUTE base[N];
	struct {
		CK_ULONG at; /* which attribute; N: one more */
		CK_ATTRIBUTE with;
		int err;
	} change[16];
};

#define WITHOUT(i, e)                                                          \
	{                                                                      \
		i, { CKA_VENDOR_DEFINED, NULL, 0 }, e                          \
	}

static CK_BYTE value16[16] = { 1 };
static CK_BYTE ffff[] = { 0xff, 0xff };

static struct creation creations[] = {
	{ "4.10 secret keys",
	    { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		BYTES_ATTR(CKA_VALUE, value16), BOOL_ATTR(CKA_TOKEN, false) },
	    { WITHOUT(0, CVM_E_TEMPLATE_INCOMPLETE),
		WITHOUT(1, CVM_E_TEMPLATE_INCOMPLETE),
		WITHOUT(2, CVM_E_TEMPLATE_INCOMPLETE),
		{ N, BOOL_ATTR(CKA_LOCAL, true), CVM_E_ATTR_READ_ONLY },
		{ N, BOOL_ATTR(CKA_ALWAYS_SENSITIVE, true),
		    CVM_E_ATTR_READ_ONLY },
		{ N, BYTES_ATTR(CKA_SENSITIVE, ffff), CVM_E_ATTR_VALUE },
		{ N, BYTES_ATTR(CKA_MODULUS, ffff), CVM_E_ATTR_TYPE },
		{ N, BOOL_ATTR(CKA_TRUSTED, true), CVM_E_ATTR_READ_ONLY } } },
	{ "4.5 data",
	    { ULONG_ATTR(CKA_CLASS, CKO_DATA), TEXT_ATTR(CKA_LABEL, "l"),
		TEXT_ATTR(CKA_APPLICATION, "a"), TEXT_ATTR(CKA_VALUE, "v") },
	    { WITHOUT(0, CVM_E_TEMPLATE_INCOMPLETE), WITHOUT(1, CVM_OK),
		WITHOUT(3, CVM_OK),
		{ N, ULONG_ATTR(CKA_KEY_TYPE, CKK_AES), CVM_E_ATTR_TYPE },
		{ N, TEXT_ATTR(CKA_UNIQUE_ID, "me"), CVM_E_ATTR_READ_ONLY },
		{ N, TEXT_ATTR(CKA_LABEL, "again"),
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ 0, ULONG_ATTR(CKA_CLASS, 0x77), CVM_E_ATTR_VALUE },
		{ 0, BYTES_ATTR(CKA_CLASS, ffff), CVM_E_ATTR_VALUE } } },
	{ "4.7 keys, dates",
	    { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		BYTES_ATTR(CKA_VALUE, value16),
		TEXT_ATTR(CKA_START_DATE, "20260101") },
	    { { 3, TEXT_ATTR(CKA_START_DATE, "2026010"), CVM_E_ATTR_VALUE },
		{ 3, TEXT_ATTR(CKA_START_DATE, "2026-1-1"), CVM_E_ATTR_VALUE },
		{ 3, TEXT_ATTR(CKA_START_DATE, ""), CVM_OK },
		{ N, TEXT_ATTR(CKA_END_DATE, "20991231"), CVM_OK },
		{ N, ULONG_ATTR(CKA_KEY_GEN_MECHANISM, 1),
		    CVM_E_ATTR_READ_ONLY },
		{ N, ULONG_ATTR(CKA_VALUE_LEN, 15),
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ N, TEXT_ATTR(CKA_START_DATE, "20260101"), CVM_OK },
		{ N, TEXT_ATTR(CKA_START_DATE, "20260102"),
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ N, TEXT_ATTR(CKA_START_DATE, ""),
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ N, BYTES_ATTR(CKA_VALUE, value16), CVM_OK },
		{ N, TEXT_ATTR(CKA_VALUE, "0123456789abcdef"),
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ N, TEXT_ATTR(CKA_CHECK_VALUE, ""), CVM_OK },
		{ N, TEXT_ATTR(CKA_CHECK_VALUE, "xyz"), CVM_E_ATTR_VALUE },
		{ 1, ULONG_ATTR(CKA_KEY_TYPE, 0x77), CVM_E_ATTR_VALUE } } },
	{ "4.6 certificates",
	    { ULONG_ATTR(CKA_CLASS, CKO_CERTIFICATE),
		ULONG_ATTR(CKA_CERTIFICATE_TYPE, CKC_X_509),
		BYTES_ATTR(CKA_VALUE, value16), BOOL_ATTR(CKA_PRIVATE, false) },
	    { WITHOUT(1, CVM_E_TEMPLATE_INCOMPLETE),
		WITHOUT(2, CVM_E_TEMPLATE_INCOMPLETE),
		{ 1, ULONG_ATTR(CKA_CERTIFICATE_TYPE, CKC_WTLS),
		    CVM_E_ATTR_VALUE },
		{ N, BOOL_ATTR(CKA_SIGN, true), CVM_E_ATTR_TYPE } } },
};

static void
creation_not_refused(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(creations); i++)
		for (size_t k = 0; k < COUNT(creations[i].change) &&
		     creations[i].change[k].with.type != 0;
		     k++) {
			CK_ATTRIBUTE templ[N + 1];
			CK_ULONG at = creations[i].change[k].at, n = N;
			CK_OBJECT_HANDLE h = 0;
			int err;

			memcpy(templ, creations[i].base,
			    sizeof(creations[i].base));
			templ[at] = creations[i].change[k].with;
			if (at == N)
				n++;
			else if (templ[at].type == CKA_VENDOR_DEFINED)
				templ[at] = templ[--n];
			err = token_create(s->t, &s->c, templ, n, &h, NULL);
			if (err != creations[i].change[k].err)
				print_message("# %s, change %zu\n",
				    creations[i].section, k);
			assert_int_equal(err, creations[i].change[k].err);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(wrap_template_ignored),
		ON_STAGE(unwrap_template_ignored),
		ON_STAGE(template_gives_what_is_computed),
		ON_STAGE(derive_template_ignored),
		ON_STAGE(public_object_asks_for_each_login),
		ON_STAGE(template_comes_back_another),
		ON_STAGE(template_without_end),
		ON_STAGE(template_hostile),
		ON_STAGE(template_taken_off),
		ON_STAGE(built_in_object_wrong),
		ON_STAGE(built_in_object_changed),
		ON_STAGE(creation_not_refused),
	};

	return cmocka_run_group_tests_name("templates", tests, NULL, NULL);
}
