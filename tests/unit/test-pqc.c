/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include "token/evp.h"
#include "token/keys.h"

/* ML-DSA, ML-KEM and SLH-DSA, which the OpenSSL of this machine may not have:
 * then that they are not offered, and the rest is skipped. */

#define NEEDS(s, type)                                                         \
	do {                                                                   \
		if (mech_find(&(s)->f.cfg, type) == NULL) {                    \
			print_message("# no %s in this OpenSSL\n", #type);     \
			skip();                                                \
		}                                                              \
	} while (0)

static int
try_pair(struct stage *s, CK_MECHANISM_TYPE type, CK_ULONG set, bool token,
    struct pair *ret)
{
	CK_MECHANISM mech = { type, NULL, 0 };
	CK_ATTRIBUTE pub[] = { ULONG_ATTR(CKA_PARAMETER_SET, set),
		BOOL_ATTR(CKA_TOKEN, token) };
	CK_ATTRIBUTE priv[] = { BOOL_ATTR(CKA_TOKEN, token),
		BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true) };

	return token_generate_pair(s->t, &s->c, &mech, pub, COUNT(pub), priv,
	    COUNT(priv), &ret->pub, &ret->priv, NULL);
}

static const struct {
	CK_MECHANISM_TYPE gen, sign;
	CK_ULONG set;
	size_t public_len, sig_len;
	const char *name;
} signers[] = {
	{ CKM_ML_DSA_KEY_PAIR_GEN, CKM_ML_DSA, CKP_ML_DSA_44, 1312, 2420,
	    "ML-DSA-44" },
	{ CKM_ML_DSA_KEY_PAIR_GEN, CKM_ML_DSA, CKP_ML_DSA_65, 1952, 3309,
	    "ML-DSA-65" },
	{ CKM_ML_DSA_KEY_PAIR_GEN, CKM_ML_DSA, CKP_ML_DSA_87, 2592, 4627,
	    "ML-DSA-87" },
	{ CKM_SLH_DSA_KEY_PAIR_GEN, CKM_SLH_DSA, CKP_SLH_DSA_SHA2_128F, 32,
	    17088, "SLH-DSA-SHA2-128f" },
	{ CKM_SLH_DSA_KEY_PAIR_GEN, CKM_SLH_DSA, CKP_SLH_DSA_SHAKE_192F, 48,
	    35664, "SLH-DSA-SHAKE-192f" },
};

#define SIG_MAX 50000

static int
sign(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key, struct span in,
    uint8_t out[static SIG_MAX], CK_ULONG *len)
{
	_cleanup_(op_freep) struct op *op = begin(s, OP_SIGN, mech, key);

	*len = 0;
	ok(op_once(op, s->c.permit, in, NULL, len, why));
	return op_once(op, s->c.permit, in, out, len, NULL);
}

static int
verify(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    struct span in, struct span sig)
{
	_cleanup_(op_freep) struct op *op = begin(s, OP_VERIFY, mech, key);

	return op_verify_once(op, in, sig);
}

static bool
openssl_verifies(struct stage *s, CK_OBJECT_HANDLE pub, const char *name,
    struct span in, struct span sig)
{
	_cleanup_(blob_clear) struct blob spki = get_attr(s, pub,
	    CKA_PUBLIC_KEY_INFO);
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();

	ok(key_decode_public(blob_span(&spki), &pkey));
	assert_int_equal(EVP_PKEY_is_a(pkey, name), 1);
	assert_int_equal(EVP_DigestVerifyInit_ex(md, NULL, NULL,
			     crypto_libctx(), NULL, pkey, NULL),
	    1);
	return EVP_DigestVerify(md, sig.data, sig.len, in.data, in.len) == 1;
}

static void
signature_wrong(void **state)
{
	static uint8_t sig[SIG_MAX];
	struct stage *s = *state;
	struct span in = text("what is to be signed");

	NEEDS(s, CKM_ML_DSA);
	for (size_t i = 0; i < COUNT(signers); i++) {
		CK_MECHANISM mech = { signers[i].sign, NULL, 0 };
		struct pair p;
		CK_ULONG len = 0;

		ok(try_pair(s, signers[i].gen, signers[i].set, false, &p));
		ok(sign(s, &mech, p.priv, in, sig, &len));
		assert_int_equal(len, signers[i].sig_len);
		assert_true(openssl_verifies(s, p.pub, signers[i].name, in,
		    span(sig, len)));
		ok(verify(s, &mech, p.pub, in, span(sig, len)));
		assert_int_equal(verify(s, &mech, p.pub, text("another"),
				     span(sig, len)),
		    CVM_E_SIGNATURE_INVALID);
		assert_int_equal(verify(s, &mech, p.pub, in,
				     span(sig, len - 1)),
		    CVM_E_SIGNATURE_LEN);
		sig[len / 2] ^= 1;
		assert_int_equal(verify(s, &mech, p.pub, in, span(sig, len)),
		    CVM_E_SIGNATURE_INVALID);
	}
}

/* A context makes another signature; without randomness, always the same. */
static void
context_ignored(void **state)
{
	static uint8_t a[SIG_MAX], b[SIG_MAX];
	struct stage *s = *state;
	CK_BYTE context[256] = "context";
	CK_SIGN_ADDITIONAL_CONTEXT with = { CKH_DETERMINISTIC_REQUIRED, context,
		7 };
	CK_MECHANISM mech = { CKM_ML_DSA, &with, sizeof(with) };
	CK_MECHANISM plain = { CKM_ML_DSA, NULL, 0 };
	struct span in = text("what is to be signed");
	struct pair p;
	CK_ULONG len = 0;

	NEEDS(s, CKM_ML_DSA);
	ok(try_pair(s, CKM_ML_DSA_KEY_PAIR_GEN, CKP_ML_DSA_44, false, &p));
	ok(sign(s, &mech, p.priv, in, a, &len));
	ok(sign(s, &mech, p.priv, in, b, &len));
	assert_memory_equal(a, b, len);
	ok(verify(s, &mech, p.pub, in, span(a, len)));
	assert_int_equal(verify(s, &plain, p.pub, in, span(a, len)),
	    CVM_E_SIGNATURE_INVALID);
	context[0] ^= 1;
	assert_int_equal(verify(s, &mech, p.pub, in, span(a, len)),
	    CVM_E_SIGNATURE_INVALID);
	ok(sign(s, &plain, p.priv, in, a, &len));
	ok(sign(s, &plain, p.priv, in, b, &len));
	assert_memory_not_equal(a, b, len);
	with.ulContextLen = 256;
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
	with = (CK_SIGN_ADDITIONAL_CONTEXT){ 3, context, 7 };
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
	with = (CK_SIGN_ADDITIONAL_CONTEXT){ 0, NULL, 7 };
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
}

/* Out of the store, and back in from attributes: value, seed, public key. */
static void
key_comes_back_another(void **state)
{
	static uint8_t sig[SIG_MAX];
	struct stage *s = *state;
	CK_MECHANISM mech = { CKM_ML_DSA, NULL, 0 };
	struct span in = text("what is to be signed");
	struct pair p;
	CK_ULONG len = 0;
	CK_OBJECT_HANDLE h = 0;

	NEEDS(s, CKM_ML_DSA);
	ok(try_pair(s, CKM_ML_DSA_KEY_PAIR_GEN, CKP_ML_DSA_65, true, &p));
	for (int seeded = 0; seeded < 2; seeded++) {
		_cleanup_(blob_clear) struct blob v = get_attr(s, p.priv,
		    seeded != 0 ? CKA_SEED : CKA_VALUE);
		CK_ATTRIBUTE templ[] = {
			ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
			ULONG_ATTR(CKA_KEY_TYPE, CKK_ML_DSA),
			ULONG_ATTR(CKA_PARAMETER_SET, CKP_ML_DSA_65),
			{ seeded != 0 ? CKA_SEED : CKA_VALUE, v.data, v.len },
		};

		ok(token_create(s->t, &s->c, templ, 4, &h, why));
		ok(sign(s, &mech, h, in, sig, &len));
		ok(verify(s, &mech, p.pub, in, span(sig, len)));
		templ[3].ulValueLen--;
		assert_int_equal(token_create(s->t, &s->c, templ, 4, &h, NULL),
		    CVM_E_ATTR_VALUE);
		templ[3].ulValueLen++;
		templ[2] = (CK_ATTRIBUTE)ULONG_ATTR(CKA_PARAMETER_SET, 99);
		assert_int_equal(token_create(s->t, &s->c, templ, 4, &h, NULL),
		    CVM_E_PARAMETER_SET);
		templ[2] = (CK_ATTRIBUTE)ULONG_ATTR(CKA_PARAMETER_SET,
		    CKP_ML_DSA_65);
		assert_int_equal(token_create(s->t, &s->c, templ, 3, &h, NULL),
		    CVM_E_TEMPLATE_INCOMPLETE);
	}
	{
		_cleanup_(
		    blob_clear) struct blob v = get_attr(s, p.pub, CKA_VALUE);
		CK_ATTRIBUTE templ[] = {
			ULONG_ATTR(CKA_CLASS, CKO_PUBLIC_KEY),
			ULONG_ATTR(CKA_KEY_TYPE, CKK_ML_DSA),
			ULONG_ATTR(CKA_PARAMETER_SET, CKP_ML_DSA_65),
			{ CKA_VALUE, v.data, v.len },
		};

		assert_int_equal(v.len, 1952);
		ok(token_create(s->t, &s->c, templ, 4, &h, why));
		ok(verify(s, &mech, h, in, span(sig, len)));
		templ[3].ulValueLen--;
		assert_int_equal(token_create(s->t, &s->c, templ, 4, &h, NULL),
		    CVM_E_ATTR_VALUE);
	}
	stage_restart(s);
	s->c.permit = &s->f.permit;
	{
		CK_ATTRIBUTE templ[] = {
			ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
			ULONG_ATTR(CKA_KEY_TYPE, CKK_ML_DSA),
		};
		_cleanup_(freep) CK_OBJECT_HANDLE *found = NULL;
		size_t n = 0;

		ok(token_find(s->t, &s->c, templ, 2, &found, &n, why));
		assert_int_equal(n, 1);
		assert_int_equal(get_ulong(s, found[0], CKA_PARAMETER_SET),
		    CKP_ML_DSA_65);
		ok(sign(s, &mech, found[0], in, sig, &len));
	}
}

static const CK_ULONG kems[] = { CKP_ML_KEM_512, CKP_ML_KEM_768,
	CKP_ML_KEM_1024 };

static void
shared_key_differs(void **state)
{
	static const size_t lens[] = { 768, 1088, 1568 };
	struct stage *s = *state;
	CK_MECHANISM mech = { CKM_ML_KEM, NULL, 0 };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true) };
	uint8_t out[1600];

	NEEDS(s, CKM_ML_KEM);
	for (size_t i = 0; i < COUNT(kems); i++) {
		CK_OBJECT_HANDLE a = 0, b = 0;
		struct pair p;
		CK_ULONG len = 0;

		ok(try_pair(s, CKM_ML_KEM_KEY_PAIR_GEN, kems[i], false, &p));
		ok(token_encapsulate(s->t, &s->c, &mech, p.pub, templ, 4, NULL,
		    &len, &a, why));
		assert_int_equal(len, lens[i]);
		len--;
		assert_int_equal(token_encapsulate(s->t, &s->c, &mech, p.pub,
				     templ, 4, out, &len, &a, NULL),
		    CVM_E_BUFFER_TOO_SMALL);
		assert_int_equal(len, lens[i]);
		assert_int_equal(a, 0);
		ok(token_encapsulate(s->t, &s->c, &mech, p.pub, templ, 4, out,
		    &len, &a, why));
		ok(token_decapsulate(s->t, &s->c, &mech, p.priv, templ, 4,
		    span(out, len), &b, why));
		{
			_cleanup_(blob_clear) struct blob x = get_attr(s, a,
			    CKA_VALUE);
			_cleanup_(blob_clear) struct blob y = get_attr(s, b,
			    CKA_VALUE);

			assert_int_equal(x.len, 32);
			assert_int_equal(y.len, 32);
			assert_memory_equal(x.data, y.data, 32);
			/* Implicit rejection: another key, no error. */
			out[5] ^= 1;
			ok(token_decapsulate(s->t, &s->c, &mech, p.priv, templ,
			    4, span(out, len), &b, why));
		}
		assert_false(get_bool(s, b, CKA_ALWAYS_SENSITIVE));
		assert_false(get_bool(s, b, CKA_LOCAL));
		assert_int_equal(token_decapsulate(s->t, &s->c, &mech, p.priv,
				     templ, 4, span(out, len - 1), &b, NULL),
		    CVM_E_WRAPPED_LEN);
		assert_int_equal(token_decapsulate(s->t, &s->c, &mech, p.pub,
				     templ, 4, span(out, len), &b, NULL),
		    CVM_E_KEY_TYPE);
		assert_int_equal(token_encapsulate(s->t, &s->c, &mech, p.priv,
				     templ, 4, out, &len, &a, NULL),
		    CVM_E_KEY_TYPE);
		assert_int_equal(token_encapsulate(s->t, &s->c, &mech, p.pub,
				     templ, 1, out, &len, &a, NULL),
		    CVM_E_TEMPLATE_INCOMPLETE);
	}
}

static void
shared_key_without_usage(void **state)
{
	struct stage *s = *state;
	CK_MECHANISM mech = { CKM_ML_KEM, NULL, 0 };
	CK_MECHANISM sign_mech = { CKM_ML_DSA, NULL, 0 };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		ULONG_ATTR(CKA_VALUE_LEN, 16) };
	CK_ATTRIBUTE no[] = { BOOL_ATTR(CKA_ENCAPSULATE, false),
		BOOL_ATTR(CKA_DECAPSULATE, false) };
	struct pair p;
	uint8_t out[1600];
	CK_ULONG len = sizeof(out);
	CK_OBJECT_HANDLE a = 0;

	NEEDS(s, CKM_ML_KEM);
	ok(try_pair(s, CKM_ML_KEM_KEY_PAIR_GEN, CKP_ML_KEM_512, false, &p));
	ok(token_encapsulate(s->t, &s->c, &mech, p.pub, templ, 2, out, &len, &a,
	    why));
	assert_int_equal(get_ulong(s, a, CKA_VALUE_LEN), 16);
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_INVALID);
	assert_int_equal(try_begin(s, OP_SIGN, &sign_mech, p.priv),
	    CVM_E_KEY_TYPE);
	templ[1] = (CK_ATTRIBUTE)ULONG_ATTR(CKA_VALUE_LEN, 33);
	assert_int_equal(token_decapsulate(s->t, &s->c, &mech, p.priv, templ, 2,
			     span(out, len), &a, NULL),
	    CVM_E_KEY_SIZE);
	ok(token_set_attributes(s->t, &s->c, p.pub, &no[0], 1, why));
	ok(token_set_attributes(s->t, &s->c, p.priv, &no[1], 1, why));
	assert_int_equal(token_encapsulate(s->t, &s->c, &mech, p.pub, templ, 1,
			     out, &len, &a, NULL),
	    CVM_E_KEY_FUNCTION);
	assert_int_equal(token_decapsulate(s->t, &s->c, &mech, p.priv, templ, 1,
			     span(out, len), &a, NULL),
	    CVM_E_KEY_FUNCTION);
	assert_int_equal(token_decapsulate(s->t, &s->c, &sign_mech, p.priv,
			     templ, 1, span(out, len), &a, NULL),
	    CVM_E_MECH_INVALID);
}

/* Where OpenSSL cannot, the mechanism is not there and its keys are refused:
 * nothing half works. */
static void
offered_without_openssl(void **state)
{
	struct stage *s = *state;
	static const CK_MECHANISM_TYPE types[] = { CKM_ML_DSA_KEY_PAIR_GEN,
		CKM_SLH_DSA_KEY_PAIR_GEN, CKM_ML_KEM_KEY_PAIR_GEN };
	CK_BYTE value[1312] = { 1 };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_PUBLIC_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_ML_DSA),
		ULONG_ATTR(CKA_PARAMETER_SET, CKP_ML_DSA_44),
		BYTES_ATTR(CKA_VALUE, value) };
	CK_OBJECT_HANDLE h = 0;
	struct pair p;

	for (size_t i = 0; i < COUNT(types); i++) {
		bool there = mech_find(&s->f.cfg, types[i]) != NULL;

		assert_int_equal(try_pair(s, types[i], 1, false, &p),
		    there ? CVM_OK : CVM_E_MECH_INVALID);
		assert_int_equal(try_pair(s, types[i], 99, false, &p),
		    there ? CVM_E_PARAMETER_SET : CVM_E_MECH_INVALID);
	}
	if (mech_find(&s->f.cfg, CKM_ML_DSA) == NULL)
		assert_int_equal(token_create(s->t, &s->c, templ, 4, &h, NULL),
		    CVM_E_PARAMETER_SET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(offered_without_openssl),
		ON_STAGE(signature_wrong),
		ON_STAGE(context_ignored),
		ON_STAGE(key_comes_back_another),
		ON_STAGE(shared_key_differs),
		ON_STAGE(shared_key_without_usage),
	};

	return cmocka_run_group_tests_name("pqc", tests, NULL, NULL);
}
