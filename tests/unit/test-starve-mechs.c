/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/injector.h"
#include "tests/unit/objects-fixture.h"
#include "token/keys.h"
#include "token/mech.h"

/*
 * Each mechanism of the table, in each of its functions, with the k-th call of
 * memory or of OpenSSL failing, for every k: the right result or an error of a
 * fault, nothing left behind, and the same works the next time.
 */
enum job {
	JOB_DIGEST,
	JOB_SIGN,
	JOB_VERIFY,
	JOB_VERIFY_WRONG,
	JOB_ENCRYPT,
	JOB_DECRYPT,
	JOB_DECRYPT_WRONG,
	JOB_WRAP,
	JOB_UNWRAP,
	JOB_DERIVE,
	JOB_GENERATE,
};

static const struct {
	enum job job;
	CK_FLAGS flag;
	const char *name;
	int of_data[2]; /* what OpenSSL's failure is taken for */
} jobs[] = {
	{ JOB_DIGEST, CKF_DIGEST, "digest", { 0 } },
	{ JOB_SIGN, CKF_SIGN, "sign", { 0 } },
	{ JOB_VERIFY, CKF_VERIFY, "verify", { CVM_E_SIGNATURE_INVALID } },
	{ JOB_VERIFY_WRONG, CKF_VERIFY, "verify a wrong one",
	    { CVM_E_SIGNATURE_INVALID } },
	{ JOB_ENCRYPT, CKF_ENCRYPT, "encrypt", { 0 } },
	{ JOB_DECRYPT, CKF_DECRYPT, "decrypt", { CVM_E_ENCRYPTED_INVALID } },
	{ JOB_DECRYPT_WRONG, CKF_DECRYPT, "decrypt a wrong one",
	    { CVM_E_ENCRYPTED_INVALID } },
	{ JOB_WRAP, CKF_WRAP, "wrap", { 0 } },
	{ JOB_UNWRAP, CKF_UNWRAP, "unwrap", { CVM_E_WRAPPED_INVALID } },
	{ JOB_DERIVE, CKF_DERIVE, "derive",
	    { CVM_E_MECH_PARAM, CVM_E_DOMAIN_PARAMS } },
	{ JOB_GENERATE, CKF_GENERATE, "generate", { 0 } },
};

#define ROOM 512

static struct {
	struct stage *s;
	const struct mech *m;
	CK_MECHANISM mech;
	CK_OBJECT_HANDLE priv, pub, target; /* secret keys: both are one */
	struct span in;
	uint8_t sig[ROOM], text[ROOM], wrapped[ROOM];
	CK_ULONG sig_len, text_len, wrapped_len;
} work;

static struct pair rsa, ec, ed;
static uint8_t value[64] = "what every secret key of these tests begins with";
static uint8_t input[32] = "thirty-two bytes that are input";
static uint8_t block[128] = { 0, 7 }; /* as long as the modulus, and below */

/*
 * Parameters.
 */
static CK_BYTE iv[16] = { 1, 2, 3 }, aad[] = { 4, 5 }, point[65];
static CK_RSA_PKCS_PSS_PARAMS pss;
static CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA_1, CKG_MGF1_SHA1,
	CKZ_DATA_SPECIFIED, aad, 2 };
static CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes = { 256, &oaep };
static CK_AES_CTR_PARAMS ctr = { 64, { 9 } };
static CK_GCM_PARAMS gcm = { iv, 12, 96, aad, 2, 128 };
static CK_CCM_PARAMS ccm = { sizeof(input), iv, 12, aad, 2, 16 };
static CK_SALSA20_CHACHA20_POLY1305_PARAMS chacha = { iv, 12, aad, 2 };
static CK_ULONG mac_len = 8;
static CK_ECDH1_DERIVE_PARAMS ecdh = { CKD_SHA256_KDF, 2, aad, sizeof(point),
	point };
static CK_HKDF_PARAMS hkdf = { CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA,
	iv, 16, 0, aad, 2 };
static CK_SP800_108_COUNTER_FORMAT counter = { CK_FALSE, 32 };
static CK_PRF_DATA_PARAM parts[] = { { CK_SP800_108_ITERATION_VARIABLE,
					 &counter, sizeof(counter) },
	{ CK_SP800_108_BYTE_ARRAY, aad, 2 } };
static CK_SP800_108_KDF_PARAMS sp800 = { CKM_SHA256_HMAC, 2, parts, 0, NULL };
static CK_PKCS5_PBKD2_PARAMS2 pbkdf2 = { CKZ_SALT_SPECIFIED, iv, 16, 3,
	CKP_PKCS5_PBKD2_HMAC_SHA256, NULL, 0, aad, 2 };

static const struct {
	mech_parse *parse;
	void *p;
	CK_ULONG len;
} params[] = {
	{ parse_none, NULL, 0 },
	{ parse_eddsa, NULL, 0 },
	{ parse_wrap_iv, NULL, 0 },
	{ parse_pss, &pss, sizeof(pss) },
	{ parse_oaep, &oaep, sizeof(oaep) },
	{ parse_rsa_aes, &rsa_aes, sizeof(rsa_aes) },
	{ parse_iv16, iv, 16 },
	{ parse_ctr, &ctr, sizeof(ctr) },
	{ parse_gcm, &gcm, sizeof(gcm) },
	{ parse_ccm, &ccm, sizeof(ccm) },
	{ parse_gmac, iv, 12 },
	{ parse_chacha, &chacha, sizeof(chacha) },
	{ parse_mac_len, &mac_len, sizeof(mac_len) },
	{ parse_ecdh1, &ecdh, sizeof(ecdh) },
	{ parse_hkdf, &hkdf, sizeof(hkdf) },
	{ parse_sp800_counter, &sp800, sizeof(sp800) },
	{ parse_pbkdf2, &pbkdf2, sizeof(pbkdf2) },
};

static void
set_mechanism(const struct mech *m)
{
	static const struct {
		enum digest digest;
		CK_MECHANISM_TYPE hash;
		CK_RSA_PKCS_MGF_TYPE mgf;
	} of[] = {
		{ DIGEST_SHA1, CKM_SHA_1, CKG_MGF1_SHA1 },
		{ DIGEST_SHA224, CKM_SHA224, CKG_MGF1_SHA224 },
		{ DIGEST_SHA384, CKM_SHA384, CKG_MGF1_SHA384 },
		{ DIGEST_SHA512, CKM_SHA512, CKG_MGF1_SHA512 },
		{ DIGEST_SHA3_224, CKM_SHA3_224, CKG_MGF1_SHA3_224 },
		{ DIGEST_SHA3_256, CKM_SHA3_256, CKG_MGF1_SHA3_256 },
		{ DIGEST_SHA3_384, CKM_SHA3_384, CKG_MGF1_SHA3_384 },
		{ DIGEST_SHA3_512, CKM_SHA3_512, CKG_MGF1_SHA3_512 },
	};

	pss = (CK_RSA_PKCS_PSS_PARAMS){ CKM_SHA256, CKG_MGF1_SHA256, 20 };
	for (size_t i = 0; i < COUNT(of); i++)
		if (m->digest == (int)of[i].digest)
			pss = (CK_RSA_PKCS_PSS_PARAMS){ of[i].hash, of[i].mgf,
				20 };
	for (size_t i = 0; i < COUNT(params); i++)
		if (params[i].parse == m->ops->parse) {
			work.mech = (CK_MECHANISM){ m->type, params[i].p,
				params[i].len };
			return;
		}
	fail_msg("%s has a parameter that is not tried", m->name);
}

/*
 * Keys.
 */
static void
set_keys(struct stage *s, const struct mech *m)
{
	size_t len = m->key_type == CKK_GENERIC_SECRET ? sizeof(value) : 32;
	struct pair p = m->key_type == CKK_RSA ? rsa :
	    m->key_type == CKK_EC	       ? ec :
						 ed;

	if (m->key_type == CKK_RSA || m->key_type == CKK_EC ||
	    m->key_type == CKK_EC_EDWARDS || m->key_type == CKK_EC_MONTGOMERY) {
		work.pub = p.pub;
		work.priv = p.priv;
	} else if (m->key_type != CK_UNAVAILABLE_INFORMATION) {
		work.pub = work.priv = make_secret(s, m->key_type, value, len);
	}
	work.target = make_secret(s, CKK_AES, input, sizeof(input));
}

static void
set_work(struct stage *s, const struct mech *m)
{
	memset(&work, 0, sizeof(work));
	work.s = s;
	work.m = m;
	work.in = m->type == CKM_RSA_X_509 ? span(block, sizeof(block)) :
					     span(input, sizeof(input));
	set_mechanism(m);
	set_keys(s, m);
}

/*
 * Jobs. What is made is in out, or its value is.
 */
static int
take_value(CK_OBJECT_HANDLE h, uint8_t *out, CK_ULONG *len)
{
	bool was = inject_pause();
	_cleanup_(blob_clear) struct blob v = get_attr(work.s, h, CKA_VALUE);

	assert_true(v.len <= ROOM);
	memcpy(out, v.data, v.len);
	*len = v.len;
	ok(token_destroy(work.s->t, &work.s->c, h, why));
	injector.on = was;
	return CVM_OK;
}

static int
make_key(enum job job, uint8_t *out, CK_ULONG *len)
{
	struct stage *s = work.s;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, type), BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		ULONG_ATTR(CKA_VALUE_LEN, 32) };
	CK_OBJECT_HANDLE h = 0;
	int err;

	if (job == JOB_UNWRAP)
		err = token_unwrap(s->t, &s->c, &work.mech, work.priv,
		    span(work.wrapped, work.wrapped_len), templ, 4, &h, NULL);
	else if (work.m->type == CKM_HKDF_DATA) {
		templ[0] = (CK_ATTRIBUTE)ULONG_ATTR(CKA_CLASS, CKO_DATA);
		templ[1] = templ[4];
		err = token_derive(s->t, &s->c, &work.mech, work.priv, templ, 2,
		    &h, NULL);
	} else
		err = token_derive(s->t, &s->c, &work.mech, work.priv, templ,
		    COUNT(templ), &h, NULL);
	return err == CVM_OK ? take_value(h, out, len) : err;
}

static int
generate(uint8_t *out, CK_ULONG *len)
{
	struct stage *s = work.s;
	CK_ATTRIBUTE templ[] = { BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true), ULONG_ATTR(CKA_VALUE_LEN, 32),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET) };
	CK_ULONG n = work.m->type == CKM_PKCS5_PBKD2 ? 4 :
	    work.m->key_type == CKK_CHACHA20	     ? 2 :
						       3;
	CK_OBJECT_HANDLE h = 0;
	int err = token_generate_key(s->t, &s->c, &work.mech, templ, n, &h,
	    NULL);

	return err == CVM_OK ? take_value(h, out, len) : err;
}

static int
operate(enum op_kind kind, CK_OBJECT_HANDLE key, struct span in, uint8_t *out,
    CK_ULONG *len)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(op_freep) struct op *op = NULL;
	struct stage *s = work.s;
	int err = CVM_OK;

	if (key != 0)
		err = token_object(s->t, &s->c, key, &o);
	if (err == CVM_OK)
		err = op_new(s->t, &s->f.cfg, kind, &work.mech, o, s->c.permit,
		    &op, NULL);
	if (err != CVM_OK)
		return err;
	return kind == OP_VERIFY ? op_verify_once(op, work.in, in) :
				   op_once(op, s->c.permit, in, out, len, NULL);
}

static int
run(enum job job, uint8_t *out, CK_ULONG *len)
{
	uint8_t wrong[ROOM];

	*len = ROOM;
	memset(out, 0, ROOM);
	switch (job) {
	case JOB_DIGEST:
		return operate(OP_DIGEST, 0, work.in, out, len);
	case JOB_SIGN:
		return operate(OP_SIGN, work.priv, work.in, out, len);
	case JOB_VERIFY:
	case JOB_VERIFY_WRONG:
		memcpy(wrong, work.sig, work.sig_len);
		wrong[work.sig_len / 2] ^= job == JOB_VERIFY_WRONG;
		*len = 0;
		return operate(OP_VERIFY, work.pub, span(wrong, work.sig_len),
		    NULL, NULL);
	case JOB_ENCRYPT:
		return operate(OP_ENCRYPT, work.pub, work.in, out, len);
	case JOB_DECRYPT:
	case JOB_DECRYPT_WRONG:
		memcpy(wrong, work.text, work.text_len);
		wrong[work.text_len - 1] ^= job == JOB_DECRYPT_WRONG;
		return operate(OP_DECRYPT, work.priv,
		    span(wrong, work.text_len), out, len);
	case JOB_WRAP:
		return token_wrap(work.s->t, &work.s->c, &work.mech, work.pub,
		    work.target, out, len, NULL);
	case JOB_UNWRAP:
	case JOB_DERIVE:
		return make_key(job, out, len);
	default:
		return generate(out, len);
	}
}

/*
 * What a job gives without a fault: a result that is the same each time, or
 * one that its counterpart takes.
 */
struct normal {
	int err;
	bool same;
	CK_ULONG len;
	uint8_t out[ROOM];
};

static bool
is_taken(enum job job, const uint8_t *out, CK_ULONG len)
{
	uint8_t back[ROOM];
	CK_ULONG n = sizeof(back);

	switch (job) {
	case JOB_SIGN:
		return operate(OP_VERIFY, work.pub, span(out, len), NULL,
			   NULL) == CVM_OK;
	case JOB_ENCRYPT:
		return operate(OP_DECRYPT, work.priv, span(out, len), back,
			   &n) == CVM_OK &&
		    n == work.in.len && memcmp(back, work.in.data, n) == 0;
	case JOB_WRAP:
		memcpy(work.wrapped, out, len);
		work.wrapped_len = len;
		return make_key(JOB_UNWRAP, back, &n) == CVM_OK &&
		    n == sizeof(input) && memcmp(back, input, n) == 0;
	default: /* new keys differ */
		return job == JOB_GENERATE && len == 32;
	}
}

static void
remember(enum job job, struct normal *ret)
{
	uint8_t out[ROOM];
	CK_ULONG len;

	ret->err = run(job, ret->out, &ret->len);
	assert_int_equal(run(job, out, &len), ret->err);
	ret->same = len == ret->len && memcmp(out, ret->out, ROOM) == 0;
	if (job == JOB_SIGN) {
		memcpy(work.sig, out, len);
		work.sig_len = len;
	} else if (job == JOB_ENCRYPT) {
		memcpy(work.text, out, len);
		work.text_len = len;
	} else if (job == JOB_WRAP) {
		memcpy(work.wrapped, out, len);
		work.wrapped_len = len;
	}
}

static size_t
count_objects(struct stage *s)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
	size_t n = 0;

	ok(token_find(s->t, &s->c, NULL, 0, &v, &n, why));
	return n;
}

static bool
is_of_fault(int err, const int of_data[2])
{
	if (err == CVM_OK)
		return false;
	/* A number may be above the modulus. */
	if (work.m->type == CKM_RSA_X_509 && err == CVM_E_DATA_INVALID)
		return true;
	return err == CVM_E_NOMEM || err == CVM_E_CRYPTO ||
	    err == CVM_E_INTERNAL || err == of_data[0] || err == of_data[1];
}

static bool
fault(size_t i, const struct normal *normal, enum injected kind, unsigned at)
{
	size_t before = count_objects(work.s);
	uint8_t out[ROOM];
	CK_ULONG len = 0;
	bool right;
	int err;

	inject(kind, 0, at);
	err = run(jobs[i].job, out, &len);
	(void)inject_pause();
	if (err == CVM_OK && normal->err == CVM_OK)
		right = normal->same ?
		    len == normal->len && memcmp(out, normal->out, ROOM) == 0 :
		    is_taken(jobs[i].job, out, len);
	else
		right = err == normal->err ||
		    (injector.reached && is_of_fault(err, jobs[i].of_data));
	if (!right)
		fail_msg("%s, %s: call %u of kind %d: error %d", work.m->name,
		    jobs[i].name, at, kind, err);
	assert_int_equal(count_objects(work.s), before);
	assert_int_equal(run(jobs[i].job, out, &len), normal->err);
	return injector.reached;
}

static bool
applies(size_t i, const struct mech *m)
{
	bool aead = m->type == CKM_AES_GCM || m->type == CKM_AES_CCM ||
	    m->type == CKM_CHACHA20_POLY1305;

	if (jobs[i].job == JOB_DECRYPT_WRONG && !aead)
		return false;
	return (m->flags & jobs[i].flag) != 0;
}

static unsigned
starve(size_t i)
{
	struct normal normal;
	unsigned n = 0;

	remember(jobs[i].job, &normal);
	if (jobs[i].job == JOB_VERIFY_WRONG || jobs[i].job == JOB_DECRYPT_WRONG)
		assert_int_not_equal(normal.err, CVM_OK);
	else if (normal.err != CVM_OK)
		fail_msg("%s, %s: error %d without a fault", work.m->name,
		    jobs[i].name, normal.err);
	for (enum injected kind = INJECT_MEMORY; kind <= INJECT_EVP; kind++)
		for (unsigned at = 1; fault(i, &normal, kind, at); at++)
			n++;
	return n;
}

static void
mechanism_that_cannot_fail(void **state)
{
	struct stage *s = *state;
	unsigned faults = 0, uses = 0;
	const struct mech *m;

	rsa = make_rsa(s, 1024, false);
	ec = MAKE_EC(s, p256);
	ed = make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519, sizeof(ed25519),
	    false);
	{
		_cleanup_(blob_clear) struct blob p = get_attr(s, ec.pub,
		    CKA_EC_POINT);

		assert_int_equal(p.len, 67); /* an OCTET STRING */
		memcpy(point, p.data + 2, sizeof(point));
	}
	for (size_t i = 0; (m = mech_at(&s->f.cfg, i)) != NULL; i++) {
		unsigned had = uses;

		if (pqc_is(m->key_type))
			continue; /* only a newer OpenSSL has such pairs */
		set_work(s, m);
		for (size_t k = 0; k < COUNT(jobs); k++)
			if (applies(k, m)) {
				faults += starve(k);
				uses++;
			}
		if (work.priv != 0 && work.priv == work.pub)
			ok(token_destroy(s->t, &s->c, work.priv, why));
		ok(token_destroy(s->t, &s->c, work.target, why));
		/* Pairs are made in the life of test-starve. */
		if (uses == had && (m->flags & CKF_GENERATE_KEY_PAIR) == 0)
			fail_msg("%s is not tried", m->name);
	}
	print_message("# %u uses, %u faults\n", uses, faults);
	assert_true(uses > 150 && faults > 3000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(mechanism_that_cannot_fail),
	};

	return cmocka_run_group_tests_name("starve-mechs", tests, NULL, NULL);
}
