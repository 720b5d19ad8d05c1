/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include "token/mech.h"

/* Several keys of one derivation (PKCS#11 section 6.42.8). The values were
 * computed with Python's hmac. */

#define KI "dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0"

#define KEYS_MAX (KDF_MORE_MAX + 1)
#define TEMPLATE_LEN 6

/* One call: key 0 is that of C_DeriveKey. */
struct many {
	CK_ULONG class, type, len[KEYS_MAX];
	CK_BBOOL sensitive, extractable, token;
	CK_ATTRIBUTE templ[KEYS_MAX][TEMPLATE_LEN];
	CK_DERIVED_KEY more[KEYS_MAX];
	CK_OBJECT_HANDLE h[KEYS_MAX];
	CK_BYTE label[4], context[4], zero[1];
	CK_SP800_108_COUNTER_FORMAT counter;
	CK_SP800_108_DKM_LENGTH_FORMAT length;
	CK_PRF_DATA_PARAM parts[5];
	CK_SP800_108_KDF_PARAMS p;
	CK_MECHANISM mech;
	CK_OBJECT_HANDLE base;
};

static const CK_OBJECT_HANDLE untouched = 0x5555;

static CK_OBJECT_HANDLE
make_base(struct stage *s)
{
	_cleanup_(blob_clear) struct blob key = { 0 };

	ok(hex_decode_blob(KI, 4096, &key));
	return make_secret(s, CKK_GENERIC_SECRET, key.data, key.len);
}

static void
make_templates(struct many *m)
{
	for (size_t i = 0; i < KEYS_MAX; i++) {
		CK_ATTRIBUTE t[TEMPLATE_LEN] = {
			{ CKA_CLASS, &m->class, sizeof(m->class) },
			{ CKA_KEY_TYPE, &m->type, sizeof(m->type) },
			{ CKA_SENSITIVE, &m->sensitive, 1 },
			{ CKA_EXTRACTABLE, &m->extractable, 1 },
			{ CKA_TOKEN, &m->token, 1 },
			{ CKA_VALUE_LEN, &m->len[i], sizeof(CK_ULONG) },
		};

		memcpy(m->templ[i], t, sizeof(t));
		m->h[i] = untouched;
	}
	for (size_t i = 0; i + 1 < KEYS_MAX; i++)
		m->more[i] = (CK_DERIVED_KEY){ m->templ[i + 1], TEMPLATE_LEN,
			&m->h[i + 1] };
	m->more[KEYS_MAX - 1] = m->more[0];
}

/* The example of the section: counter, label, a zero, context, length. */
static void
many_new(struct stage *s, struct many *m)
{
	*m = (struct many){ .class = CKO_SECRET_KEY,
		.type = CKK_GENERIC_SECRET,
		.len = { 48, 16 },
		.extractable = CK_TRUE,
		.label = { 0xde, 0xad, 0xbe, 0xef },
		.context = { 0xfe, 0xed, 0xbe, 0xef },
		.counter = { CK_FALSE, 16 },
		.length = { CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 16 },
		.base = make_base(s) };
	m->parts[0] = (CK_PRF_DATA_PARAM){ CK_SP800_108_ITERATION_VARIABLE,
		&m->counter, sizeof(m->counter) };
	m->parts[1] = (CK_PRF_DATA_PARAM){ CK_SP800_108_BYTE_ARRAY, m->label,
		sizeof(m->label) };
	m->parts[2] = (CK_PRF_DATA_PARAM){ CK_SP800_108_BYTE_ARRAY, m->zero,
		sizeof(m->zero) };
	m->parts[3] = (CK_PRF_DATA_PARAM){ CK_SP800_108_BYTE_ARRAY, m->context,
		sizeof(m->context) };
	m->parts[4] = (CK_PRF_DATA_PARAM){ CK_SP800_108_DKM_LENGTH, &m->length,
		sizeof(m->length) };
	m->p = (CK_SP800_108_KDF_PARAMS){ CKM_SHA256_HMAC, COUNT(m->parts),
		m->parts, 1, m->more };
	m->mech = (CK_MECHANISM){ CKM_SP800_108_COUNTER_KDF, &m->p,
		sizeof(m->p) };
	make_templates(m);
}

static int
derive(struct stage *s, struct many *m)
{
	return token_derive(s->t, &s->c, &m->mech, m->base, m->templ[0],
	    TEMPLATE_LEN, &m->h[0], NULL);
}

static void
values_are(struct stage *s, const struct many *m, const char *const *hex,
    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(blob_clear) struct blob got = get_attr(s, m->h[i],
		    CKA_VALUE);
		_cleanup_(blob_clear) struct blob want = { 0 };

		ok(hex_decode_blob(hex[i], 4096, &want));
		assert_int_equal(got.len, want.len);
		assert_memory_equal(got.data, want.data, want.len);
		assert_false(get_bool(s, m->h[i], CKA_LOCAL));
	}
}

/* 48 bytes are a segment and a half; the next key begins with the third. */
static void
keys_share_a_segment(void **state)
{
	static const char *const of_keys[] = {
		"0f6744ebf294aa2623e60d58d1ecc91a0ee18a7e2ce2cf5a194aaa2559f789"
		"5dfe51d8ca92bca2808d346d689167d7f5",
		"e573374f681b2a4913b447ba3b811dc0",
	};
	static const char *const of_segments[] = {
		"2cab1f906724438f70be4deb4cccbb69b31623f0cca5d6d1db298521d5bd2a"
		"49078da546ec079bded71b61d873ae4e75",
		"e87511346eadf57fb955e2839656046a",
	};
	struct stage *s = *state;
	struct many m;

	many_new(s, &m);
	ok(derive(s, &m));
	values_are(s, &m, of_keys, 2);
	m.length.dkmLengthMethod = CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS;
	ok(derive(s, &m));
	values_are(s, &m, of_segments, 2);
}

/* The lowest byte first, the length before the counter, 24 bits and 8. */
static void
layout_of_many_ignored(void **state)
{
	static const char *const of_keys[] = {
		"9589753e0b9052a77c655596ded4133d",
		"46e0f9e8261ee6a90ffcaeb8d01aa64be3e300e37dd72f03db3dff816f4117"
		"af",
		"30c62e39253901a6fc36ad46135ce57b490c3234a81e99aba2cd14b449183f"
		"6d1d714aeb52aa8d616e74abc11d25c8fc",
		"0751ec70bfcdf429b8d22ff58e9860ad8e1bd3af548a81325348aa8799ffeb"
		"03a26429b496c77643712c61f5b8dd56b35ab84780cab075d5a6ca70341899"
		"da66f565f73739b9c26000e0896a09a4f8a1e20b63aef60fa6c872fcb3894f"
		"b10c52b0daa747",
	};
	static const char *const of_segments[] = {
		"b6d90941fd194568f30b79888c85a609",
		"2fdbb85b9a55afc77d9f8c61fe0c45565098b0771035d49705c7fdd0908644"
		"81",
		"076cb8277ed6b01d2b05fdaa3a4d5a08b7051d32414b592fad5600d88f2070"
		"681047b2cc6918303262196c01b151e4b4",
		"ab28d7a8ebf857bbc2dc46d88bf31bda2efa2d756b81951559f22aee6627fa"
		"d071e0c59f97c87c037da563c17a127554b43dd9c1b2af8291284af199c319"
		"b8fb2b4d7e1badcea9a56d8e502580ebd133aeec9d7c40eb6b32d91d0f4a6c"
		"0805d4aac0d56d",
	};
	static const CK_ULONG len[] = { 16, 32, 48, 100 };
	struct stage *s = *state;
	struct many m;

	many_new(s, &m);
	memcpy(m.len, len, sizeof(len));
	m.p.prfType = CKM_SHA384_HMAC;
	m.counter = (CK_SP800_108_COUNTER_FORMAT){ CK_FALSE, 8 };
	m.length.bLittleEndian = CK_TRUE;
	m.length.ulWidthInBits = 24;
	m.parts[2] = m.parts[0];
	m.parts[0] = m.parts[1];
	m.parts[1] = m.parts[4];
	m.p.ulNumberOfDataParams = 3;
	m.p.ulAdditionalDerivedKeys = 3;
	ok(derive(s, &m));
	values_are(s, &m, of_keys, 4);
	m.length.dkmLengthMethod = CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS;
	ok(derive(s, &m));
	values_are(s, &m, of_segments, 4);
}

static size_t
count_keys(struct stage *s)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
	size_t n = 0;

	ok(token_find(s->t, &s->c, NULL, 0, &v, &n, why));
	return n;
}

/* Nothing was made, and only the handle of the bad template tells. */
static void
nothing_made(struct stage *s, struct many *m, int err, size_t bad)
{
	size_t n = count_keys(s);

	assert_int_equal(derive(s, m), err);
	for (size_t i = 0; i < KEYS_MAX; i++)
		assert_int_equal(m->h[i],
		    i > 0 && i == bad ? CK_INVALID_HANDLE : untouched);
	assert_int_equal(count_keys(s), n);
}

static void
array_of_keys_wrong(void **state)
{
	struct stage *s = *state;
	struct many m;

	for (int i = 0; i < 6; i++) {
		many_new(s, &m);
		m.p.ulAdditionalDerivedKeys = 2;
		m.len[2] = 16;
		if (i == 0)
			m.p.pAdditionalDerivedKeys = NULL;
		if (i == 1)
			m.p.ulAdditionalDerivedKeys = KDF_MORE_MAX + 1;
		if (i == 2)
			m.p.ulAdditionalDerivedKeys = ~0UL;
		if (i == 3)
			m.more[0].phKey = NULL;
		if (i == 4)
			m.more[1].phKey = NULL;
		if (i == 5)
			m.more[1].pTemplate = NULL;
		nothing_made(s, &m, CVM_E_MECH_PARAM, 0);
	}
	many_new(s, &m);
	for (size_t i = 0; i < KEYS_MAX; i++)
		m.len[i] = 1 + i;
	m.p.ulAdditionalDerivedKeys = KDF_MORE_MAX;
	ok(derive(s, &m));
	for (size_t i = 0; i < KEYS_MAX; i++)
		assert_int_equal(get_ulong(s, m.h[i], CKA_VALUE_LEN), 1 + i);
	/* The array of none is not looked at. */
	many_new(s, &m);
	m.p.ulAdditionalDerivedKeys = 0;
	ok(derive(s, &m));
	assert_int_equal(m.h[1], untouched);
}

/* Of the second of three further keys. */
static int
spoil(struct many *m, int i)
{
	static CK_ULONG other_class = CKO_DATA, aes = CKK_AES, rsa = CKK_RSA;
	CK_ATTRIBUTE *t = m->templ[2];

	switch (i) {
	case 0:
		m->more[1].ulAttributeCount--;
		return CVM_E_TEMPLATE_INCOMPLETE;
	case 1:
		m->len[2] = 0;
		return CVM_E_TEMPLATE_INCOMPLETE;
	case 2:
		m->len[2] = 4097;
		return CVM_E_KEY_SIZE;
	case 3:
		m->len[2] = 17;
		t[1].pValue = &aes;
		return CVM_E_KEY_SIZE;
	case 4:
		t[0].pValue = &other_class;
		return CVM_E_TEMPLATE_INCONSISTENT;
	case 5:
		t[1].pValue = &rsa;
		return CVM_E_ATTR_VALUE;
	case 6:
		t[1] = t[0];
		return CVM_E_TEMPLATE_INCOMPLETE;
	case 7:
		t[2].pValue = NULL;
		return CVM_E_ATTR_VALUE;
	case 8:
		t[2].type = CKA_MODULUS_BITS;
		return CVM_E_ATTR_TYPE;
	default:
		m->more[1].ulAttributeCount = ~0UL;
		return CVM_E_TEMPLATE_INCONSISTENT;
	}
}

static void
keys_left_of_a_bad_template(void **state)
{
	struct stage *s = *state;
	struct many m;

	for (int i = 0; i < 20; i++) {
		int err;

		many_new(s, &m);
		m.token = i % 2 == 0;
		m.p.ulAdditionalDerivedKeys = 3;
		m.len[1] = m.len[2] = m.len[3] = 16;
		err = spoil(&m, i / 2);
		nothing_made(s, &m, err, 2);
	}
	/* What is wrong with the key of the call blames no other. */
	many_new(s, &m);
	m.len[0] = 4097;
	nothing_made(s, &m, CVM_E_KEY_SIZE, 0);
}

/* A token object among the further keys of a read-only session. */
static void
keys_left_of_a_bad_session(void **state)
{
	static CK_BBOOL yes = CK_TRUE;
	struct stage *s = *state;
	struct many m;

	many_new(s, &m);
	s->c.writable = false;
	m.templ[1][4].pValue = &yes;
	nothing_made(s, &m, CVM_E_READ_ONLY, 1);
	s->c.writable = true;
	ok(derive(s, &m));
	assert_true(get_bool(s, m.h[1], CKA_TOKEN));
	assert_false(get_bool(s, m.h[0], CKA_TOKEN));
	many_new(s, &m);
	s->c.user = false;
	nothing_made(s, &m, CVM_E_NOT_FOUND, 0);
}

/* Counter and length are of all keys together. */
static void
numbers_of_many_wrap(void **state)
{
	struct stage *s = *state;
	struct many m;

	many_new(s, &m);
	m.counter.ulWidthInBits = 8;
	m.length.ulWidthInBits = 24;
	m.p.ulAdditionalDerivedKeys = 2;
	m.len[0] = 4096;
	m.len[1] = 4063;
	m.len[2] = 1;
	nothing_made(s, &m, CVM_E_KEY_SIZE, 0);
	m.len[1] = 4033;
	nothing_made(s, &m, CVM_E_KEY_SIZE, 0);
	m.len[1] = 4032;
	ok(derive(s, &m));
	many_new(s, &m);
	m.length.ulWidthInBits = 8;
	m.len[0] = m.len[1] = 16;
	nothing_made(s, &m, CVM_E_KEY_SIZE, 0);
	m.len[1] = 15;
	ok(derive(s, &m));
	many_new(s, &m);
	m.length.ulWidthInBits = 8;
	m.length.dkmLengthMethod = CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS;
	m.len[0] = m.len[1] = 1;
	nothing_made(s, &m, CVM_E_KEY_SIZE, 0);
}

/* PKCS#11 section 6.42.9: what the template leaves out is as in the base. */
static void
key_not_as_open_as_its_base(void **state)
{
	struct stage *s = *state;
	struct many m;
	CK_OBJECT_HANDLE closed;

	many_new(s, &m);
	m.templ[1][2] = m.templ[1][3] = m.templ[1][0];
	ok(derive(s, &m));
	assert_false(get_bool(s, m.h[1], CKA_SENSITIVE));
	assert_true(get_bool(s, m.h[1], CKA_EXTRACTABLE));
	m.sensitive = CK_TRUE;
	m.extractable = CK_FALSE;
	ok(derive(s, &m));
	closed = m.h[0];
	assert_false(get_bool(s, closed, CKA_ALWAYS_SENSITIVE));
	many_new(s, &m);
	m.templ[0][2] = m.templ[0][3] = m.templ[0][0];
	m.templ[1][2] = m.templ[1][3] = m.templ[1][0];
	{
		CK_BBOOL yes = CK_TRUE;
		CK_ATTRIBUTE use = { CKA_DERIVE, &yes, 1 };

		ok(token_set_attributes(s->t, &s->c, closed, &use, 1, why));
	}
	m.base = closed;
	ok(derive(s, &m));
	for (int i = 0; i < 2; i++) {
		assert_true(get_bool(s, m.h[i], CKA_SENSITIVE));
		assert_false(get_bool(s, m.h[i], CKA_EXTRACTABLE));
	}
}

/* What a use is bound to tells how many keys it makes. */
static void
number_of_keys_not_bound(void **state)
{
	struct stage *s = *state;
	const struct mech *kdf = mech_find(&s->f.cfg,
	    CKM_SP800_108_COUNTER_KDF);
	uint8_t digest[3][SHA256_LEN];
	struct many m;

	many_new(s, &m);
	for (int i = 0; i < 3; i++) {
		_cleanup_(mech_params_clear) struct mech_params p = { 0 };

		m.p.ulAdditionalDerivedKeys = (CK_ULONG)i;
		ok(mech_params_read(&m.mech, kdf, /* bound= */ true, &p, why));
		ok(mech_params_digest(&p, digest[i]));
	}
	assert_memory_not_equal(digest[0], digest[1], SHA256_LEN);
	assert_memory_not_equal(digest[1], digest[2], SHA256_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(keys_share_a_segment),
		ON_STAGE(layout_of_many_ignored),
		ON_STAGE(array_of_keys_wrong),
		ON_STAGE(keys_left_of_a_bad_template),
		ON_STAGE(keys_left_of_a_bad_session),
		ON_STAGE(numbers_of_many_wrap),
		ON_STAGE(key_not_as_open_as_its_base),
		ON_STAGE(number_of_keys_not_bound),
	};

	return cmocka_run_group_tests_name("kdf-more", tests, NULL, NULL);
}
