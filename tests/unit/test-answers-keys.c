/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>

#include "token/evp.h"
#include "token/keys.h"
#include "token/mech.h"

/* Every mechanism of RSA and elliptic curves in the table, with every hash and
 * on every curve, against OpenSSL with the exported public key. The name of
 * each hash is written down here a second time. */

static const uint8_t message[] = "What was signed, and by nobody else.";
#define MESSAGE span(message, sizeof(message) - 1)

static const struct {
	CK_MECHANISM_TYPE hash, ecdsa, rsa, pss;
	CK_ULONG mgf, x963, sp800;
	const char *name;
	size_t len;
} hashes[] = {
	{ CKM_SHA_1, CKM_ECDSA_SHA1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS,
	    CKG_MGF1_SHA1, CKD_SHA1_KDF, CKD_SHA1_KDF_SP800, "SHA1", 20 },
	{ CKM_SHA224, CKM_ECDSA_SHA224, CKM_SHA224_RSA_PKCS,
	    CKM_SHA224_RSA_PKCS_PSS, CKG_MGF1_SHA224, CKD_SHA224_KDF,
	    CKD_SHA224_KDF_SP800, "SHA224", 28 },
	{ CKM_SHA256, CKM_ECDSA_SHA256, CKM_SHA256_RSA_PKCS,
	    CKM_SHA256_RSA_PKCS_PSS, CKG_MGF1_SHA256, CKD_SHA256_KDF,
	    CKD_SHA256_KDF_SP800, "SHA256", 32 },
	{ CKM_SHA384, CKM_ECDSA_SHA384, CKM_SHA384_RSA_PKCS,
	    CKM_SHA384_RSA_PKCS_PSS, CKG_MGF1_SHA384, CKD_SHA384_KDF,
	    CKD_SHA384_KDF_SP800, "SHA384", 48 },
	{ CKM_SHA512, CKM_ECDSA_SHA512, CKM_SHA512_RSA_PKCS,
	    CKM_SHA512_RSA_PKCS_PSS, CKG_MGF1_SHA512, CKD_SHA512_KDF,
	    CKD_SHA512_KDF_SP800, "SHA512", 64 },
	{ CKM_SHA3_224, CKM_ECDSA_SHA3_224, CKM_SHA3_224_RSA_PKCS,
	    CKM_SHA3_224_RSA_PKCS_PSS, CKG_MGF1_SHA3_224, CKD_SHA3_224_KDF,
	    CKD_SHA3_224_KDF_SP800, "SHA3-224", 28 },
	{ CKM_SHA3_256, CKM_ECDSA_SHA3_256, CKM_SHA3_256_RSA_PKCS,
	    CKM_SHA3_256_RSA_PKCS_PSS, CKG_MGF1_SHA3_256, CKD_SHA3_256_KDF,
	    CKD_SHA3_256_KDF_SP800, "SHA3-256", 32 },
	{ CKM_SHA3_384, CKM_ECDSA_SHA3_384, CKM_SHA3_384_RSA_PKCS,
	    CKM_SHA3_384_RSA_PKCS_PSS, CKG_MGF1_SHA3_384, CKD_SHA3_384_KDF,
	    CKD_SHA3_384_KDF_SP800, "SHA3-384", 48 },
	{ CKM_SHA3_512, CKM_ECDSA_SHA3_512, CKM_SHA3_512_RSA_PKCS,
	    CKM_SHA3_512_RSA_PKCS_PSS, CKG_MGF1_SHA3_512, CKD_SHA3_512_KDF,
	    CKD_SHA3_512_KDF_SP800, "SHA3-512", 64 },
};

static EVP_PKEY *
public_key(struct stage *s, CK_OBJECT_HANDLE h)
{
	_cleanup_(
	    blob_clear) struct blob info = get_attr(s, h, CKA_PUBLIC_KEY_INFO);
	EVP_PKEY *pkey = NULL;

	ok(key_decode_public(blob_span(&info), &pkey));
	return pkey;
}

static size_t
answer(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, struct span in, uint8_t out[static 512])
{
	_cleanup_(op_freep) struct op *op = begin(s, kind, mech, key);
	CK_ULONG n = 512;

	ok(op_once(op, s->c.permit, in, out, &n, why));
	return n;
}

static int
verify(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    struct span in, struct span sig)
{
	_cleanup_(op_freep) struct op *op = begin(s, OP_VERIFY, mech, key);

	return op_verify_once(op, in, sig);
}

/* OpenSSL's word on a signature over a message, or of a bare digest. */
struct check {
	EVP_PKEY *pkey;
	const char *hash; /* NULL: bare */
	int padding;	  /* RSA's */
	const char *mgf;  /* PSS: its hash */
	int salt;
};

static bool
openssl_verifies(const struct check *c, struct span in, struct span sig)
{
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *bare = NULL;
	EVP_PKEY_CTX *p = NULL;

	if (c->hash != NULL) {
		assert_int_equal(EVP_DigestVerifyInit_ex(ctx, &p, c->hash,
				     crypto_libctx(), NULL, c->pkey, NULL),
		    1);
	} else {
		p = bare = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), c->pkey,
		    NULL);
		assert_int_equal(EVP_PKEY_verify_init(p), 1);
	}
	if (c->padding != 0)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(p, c->padding),
		    1);
	if (c->mgf != NULL) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(p, c->mgf,
				     NULL),
		    1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(p, c->salt),
		    1);
	}
	return c->hash != NULL ?
	    EVP_DigestVerify(ctx, sig.data, sig.len, in.data, in.len) == 1 :
	    EVP_PKEY_verify(p, sig.data, sig.len, in.data, in.len) == 1;
}

/* PKCS#11 writes r and s side by side. */
static struct blob
ecdsa_der(struct span sig)
{
	ECDSA_SIG *e = ECDSA_SIG_new();
	size_t half = sig.len / 2;
	struct blob der = { 0 };
	unsigned char *at = NULL;
	int n;

	assert_non_null(e);
	assert_int_equal(ECDSA_SIG_set0(e, BN_bin2bn(sig.data, (int)half, NULL),
			     BN_bin2bn(sig.data + half, (int)half, NULL)),
	    1);
	n = i2d_ECDSA_SIG(e, &at);
	assert_true(n > 0);
	ok(blob_set(&der, span(at, (size_t)n)));
	OPENSSL_free(at);
	ECDSA_SIG_free(e);
	return der;
}

static const struct {
	CK_BYTE *params;
	size_t len, bytes;
	const char *name;
} curves[] = {
	{ p256, sizeof(p256), 32, "P-256" },
	{ p384, sizeof(p384), 48, "P-384" },
	{ p521, sizeof(p521), 66, "P-521" },
	{ secp256k1, sizeof(secp256k1), 32, "secp256k1" },
};

static struct pair
on_curve(struct stage *s, size_t c)
{
	return make_ec(s, CKM_EC_KEY_PAIR_GEN, curves[c].params, curves[c].len,
	    false);
}

static void
expect_ecdsa(struct stage *s, CK_MECHANISM_TYPE type, struct pair p,
    const struct check *c, struct span in, size_t bytes)
{
	CK_MECHANISM mech = { type, NULL, 0 };
	uint8_t sig[512];
	size_t n = answer(s, OP_SIGN, &mech, p.priv, in, sig);
	_cleanup_(blob_clear) struct blob der = ecdsa_der(span(sig, n));

	assert_int_equal(n, 2 * bytes);
	assert_true(openssl_verifies(c, in, blob_span(&der)));
	assert_int_equal(verify(s, &mech, p.pub, in, span(sig, n)), CVM_OK);
	sig[n - 1] ^= 1;
	assert_int_equal(verify(s, &mech, p.pub, in, span(sig, n)),
	    CVM_E_SIGNATURE_INVALID);
}

static size_t
ecdsa_hash(const struct mech *m)
{
	for (size_t i = 0; i < COUNT(hashes); i++)
		if (hashes[i].ecdsa == m->type)
			return i;
	print_message("# %s is not checked\n", m->name);
	fail();
	return 0;
}

static void
ecdsa_differs_from_openssl(void **state)
{
	static const size_t raw[] = { 1, 20, 28, 32, 48, 64 };
	struct stage *s = *state;
	const struct mech *m;

	for (size_t c = 0; c < COUNT(curves); c++) {
		struct pair p = on_curve(s, c);
		_cleanup_(pkey_freep) EVP_PKEY *pkey = public_key(s, p.pub);
		struct check check = { .pkey = pkey };
		size_t found = 0;

		for (size_t k = 0; k < COUNT(raw); k++)
			expect_ecdsa(s, CKM_ECDSA, p, &check,
			    span("0123456789abcdef0123456789abcdef"
				 "fedcba9876543210fedcba9876543210",
				raw[k]),
			    curves[c].bytes);
		for (size_t i = 0; (m = mech_at(&s->f.cfg, i)) != NULL; i++) {
			if (m->type == CKM_ECDSA || m->key_type != CKK_EC ||
			    (m->flags & CKF_SIGN) == 0)
				continue;
			check.hash = hashes[ecdsa_hash(m)].name;
			expect_ecdsa(s, m->type, p, &check, MESSAGE,
			    curves[c].bytes);
			found++;
		}
		assert_int_equal(found, COUNT(hashes));
	}
}

static void
expect_rsa(struct stage *s, CK_MECHANISM *mech, struct pair p,
    const struct check *c, struct span in)
{
	uint8_t sig[512];
	size_t n = answer(s, OP_SIGN, mech, p.priv, in, sig);

	assert_int_equal(n, 256);
	assert_true(openssl_verifies(c, in, span(sig, n)));
	assert_int_equal(verify(s, mech, p.pub, in, span(sig, n)), CVM_OK);
	sig[100] ^= 1;
	assert_int_equal(verify(s, mech, p.pub, in, span(sig, n)),
	    CVM_E_SIGNATURE_INVALID);
}

/* PSS with the hash's own MGF1 and with the next one's, and three salts. */
static void
expect_pss(struct stage *s, CK_MECHANISM_TYPE type, size_t h, struct pair p,
    EVP_PKEY *pkey, struct span in)
{
	for (size_t k = 0; k < 2; k++) {
		size_t g = (h + k) % COUNT(hashes);
		CK_RSA_PKCS_PSS_PARAMS pss = { hashes[h].hash, hashes[g].mgf,
			0 };
		CK_MECHANISM mech = { type, &pss, sizeof(pss) };
		const CK_ULONG salts[] = { 0, 11, hashes[h].len };

		for (size_t i = 0; i < COUNT(salts); i++) {
			struct check c = { .pkey = pkey,
				.hash = hashes[h].name,
				.padding = RSA_PKCS1_PSS_PADDING,
				.mgf = hashes[g].name,
				.salt = (int)salts[i] };
			uint8_t md[64], sig[512];
			size_t n = 0;

			pss.sLen = salts[i];
			if (type != CKM_RSA_PKCS_PSS) {
				expect_rsa(s, &mech, p, &c, in);
				continue;
			}
			/* Over the digest, which OpenSSL makes itself. */
			assert_int_equal(EVP_Q_digest(crypto_libctx(),
					     hashes[h].name, NULL, in.data,
					     in.len, md, &n),
			    1);
			n = answer(s, OP_SIGN, &mech, p.priv, span(md, n), sig);
			assert_true(openssl_verifies(&c, in, span(sig, n)));
		}
	}
}

static void
expect_rsa_mech(struct stage *s, const struct mech *m, struct pair p,
    EVP_PKEY *pkey)
{
	struct check c = { .pkey = pkey, .padding = RSA_PKCS1_PADDING };
	CK_MECHANISM mech = { m->type, NULL, 0 };
	uint8_t number[256] = { 0, 7, 1 };

	for (size_t i = 0; i < COUNT(hashes); i++) {
		if (m->type == hashes[i].rsa) {
			c.hash = hashes[i].name;
			expect_rsa(s, &mech, p, &c, MESSAGE);
			return;
		}
		if (m->type == hashes[i].pss) {
			expect_pss(s, m->type, i, p, pkey, MESSAGE);
			return;
		}
		if (m->type == CKM_RSA_PKCS_PSS)
			expect_pss(s, m->type, i, p, pkey, MESSAGE);
	}
	if (m->type == CKM_RSA_PKCS) {
		expect_rsa(s, &mech, p, &c, MESSAGE);
	} else if (m->type == CKM_RSA_X_509) {
		c.padding = RSA_NO_PADDING;
		expect_rsa(s, &mech, p, &c, span(number, sizeof(number)));
	} else if (m->type != CKM_RSA_PKCS_PSS) {
		print_message("# %s is not checked\n", m->name);
		fail();
	}
}

static void
rsa_differs_from_openssl(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, false);
	_cleanup_(pkey_freep) EVP_PKEY *pkey = public_key(s, p.pub);
	const struct mech *m;
	size_t found = 0;

	for (size_t i = 0; (m = mech_at(&s->f.cfg, i)) != NULL; i++) {
		if (m->key_type != CKK_RSA || (m->flags & CKF_SIGN) == 0)
			continue;
		expect_rsa_mech(s, m, p, pkey);
		found++;
	}
	assert_int_equal(found, 2 * COUNT(hashes) + 3);
}

/* What OpenSSL encrypts, with every hash and MGF1, the token decrypts. */
static void
oaep_differs_from_openssl(void **state)
{
	static CK_BYTE label[] = "label";
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, false);
	_cleanup_(pkey_freep) EVP_PKEY *pkey = public_key(s, p.pub);

	for (size_t i = 0; i < COUNT(hashes) * COUNT(hashes); i++) {
		size_t h = i / COUNT(hashes), g = i % COUNT(hashes);
		_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx =
		    EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), pkey, NULL);
		CK_RSA_PKCS_OAEP_PARAMS oaep = { hashes[h].hash, hashes[g].mgf,
			CKZ_DATA_SPECIFIED, label, 5 };
		CK_MECHANISM mech = { CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
		uint8_t box[512], back[512];
		size_t n = sizeof(box);
		void *copy = OPENSSL_memdup(label, 5);

		assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx,
				     RSA_PKCS1_OAEP_PADDING),
		    1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx,
				     hashes[h].name, NULL),
		    1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx,
				     hashes[g].name, NULL),
		    1);
		assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, 5),
		    1);
		assert_int_equal(EVP_PKEY_encrypt(ctx, box, &n, MESSAGE.data,
				     MESSAGE.len),
		    1);
		n = answer(s, OP_DECRYPT, &mech, p.priv, span(box, n), back);
		assert_int_equal(n, MESSAGE.len);
		assert_memory_equal(back, message, n);
		n = answer(s, OP_ENCRYPT, &mech, p.pub, MESSAGE, box);
		n = answer(s, OP_DECRYPT, &mech, p.priv, span(box, n), back);
		assert_int_equal(n, MESSAGE.len);
		assert_memory_equal(back, message, n);
	}
}

static void
derived(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE base,
    CK_ULONG len, struct blob *ret)
{
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		ULONG_ATTR(CKA_VALUE_LEN, len),
	};
	CK_OBJECT_HANDLE h = 0;

	ok(token_derive(s->t, &s->c, mech, base, templ, COUNT(templ), &h, why));
	*ret = get_attr(s, h, CKA_VALUE);
	assert_int_equal(ret->len, len);
}

static size_t
openssl_agrees(EVP_PKEY *own, EVP_PKEY *peer, uint8_t out[static 66])
{
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), own,
		NULL);
	size_t n = 66;

	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, out, &n), 1);
	return n;
}

static void
openssl_kdf(const char *kdf, const char *md, struct span z, struct span info,
    uint8_t *out, size_t len)
{
	EVP_KDF *k = EVP_KDF_fetch(crypto_libctx(), kdf, NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(k);
	uint8_t secret[66], more[16];
	char name[16] = "";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name,
		    0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret,
		    z.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, more,
		    info.len),
		OSSL_PARAM_construct_end(),
	};

	assert_non_null(ctx);
	(void)snprintf(name, sizeof(name), "%s", md);
	params[0].data_size = strlen(name);
	memcpy(secret, z.data, z.len);
	memcpy(more, info.data, info.len);
	assert_int_equal(EVP_KDF_derive(ctx, out, len, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(k);
}

/* The plain secret, and through every KDF that there is. */
static void
expect_agreement(struct stage *s, CK_OBJECT_HANDLE priv, struct span point,
    struct span z)
{
	static CK_BYTE info[] = "info";
	_cleanup_(blob_clear) struct blob peer = { 0 };
	_cleanup_(blob_clear) struct blob plain = { 0 };
	CK_ECDH1_DERIVE_PARAMS p = { .kdf = CKD_NULL };
	CK_MECHANISM mech = { CKM_ECDH1_DERIVE, &p, sizeof(p) };

	ok(blob_set(&peer, point));
	p.pPublicData = peer.data;
	p.ulPublicDataLen = peer.len;
	derived(s, &mech, priv, z.len, &plain);
	assert_memory_equal(plain.data, z.data, z.len);
	p.pSharedData = info;
	p.ulSharedDataLen = 4;
	for (size_t i = 0; i < 2 * COUNT(hashes); i++) {
		size_t h = i / 2;
		_cleanup_(blob_clear) struct blob got = { 0 };
		uint8_t want[100];

		p.kdf = i % 2 == 0 ? hashes[h].x963 : hashes[h].sp800;
		openssl_kdf(i % 2 == 0 ? "X963KDF" : "SSKDF", hashes[h].name, z,
		    span(info, 4), want, sizeof(want));
		derived(s, &mech, priv, sizeof(want), &got);
		assert_memory_equal(got.data, want, sizeof(want));
	}
}

static void
ecdh_differs_from_openssl(void **state)
{
	struct stage *s = *state;
	static const struct {
		CK_BYTE *params;
		size_t len;
		const char *name;
	} montgomery[] = { { x25519, sizeof(x25519), "X25519" },
		{ x448, sizeof(x448), "X448" } };

	for (size_t i = 0; i < COUNT(curves) + COUNT(montgomery); i++) {
		bool ec = i < COUNT(curves);
		size_t k = i - COUNT(curves);
		struct pair p = ec ?
		    on_curve(s, i) :
		    make_ec(s, CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
			montgomery[k].params, montgomery[k].len, false);
		_cleanup_(pkey_freep) EVP_PKEY *pub = public_key(s, p.pub);
		_cleanup_(pkey_freep) EVP_PKEY *own = ec ?
		    EVP_PKEY_Q_keygen(crypto_libctx(), NULL, "EC",
			curves[i].name) :
		    EVP_PKEY_Q_keygen(crypto_libctx(), NULL,
			montgomery[k].name);
		unsigned char *point = NULL;
		uint8_t z[66];
		size_t n, z_len;

		assert_non_null(own);
		n = EVP_PKEY_get1_encoded_public_key(own, &point);
		assert_true(n > 0);
		z_len = openssl_agrees(own, pub, z);
		expect_agreement(s, p.priv, span(point, n), span(z, z_len));
		OPENSSL_free(point);
	}
}

static CK_OBJECT_HANDLE
import_curve(struct stage *s, CK_KEY_TYPE type, CK_BYTE *params, size_t len,
    struct blob *value)
{
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, type),
		{ CKA_EC_PARAMS, params, len },
		{ CKA_VALUE, value->data, value->len },
	};
	CK_OBJECT_HANDLE h = 0;

	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	return h;
}

/* RFC 7748 section 6: Alice's key, Bob's point, what they share. */
static void
agreement_not_of_rfc7748(void **state)
{
	static const struct {
		CK_BYTE *params;
		size_t len;
		const char *alice, *bob, *shared;
	} v[] = {
		{ x25519, sizeof(x25519),
		    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51d"
		    "b92c2a",
		    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f"
		    "882b4f",
		    "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e"
		    "161742" },
		{ x448, sizeof(x448),
		    "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9"
		    "c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
		    "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027"
		    "d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
		    "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb6"
		    "0c0b56fd2464c335543936521c24403085d59a449a5037514a879d" },
	};
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(v); i++) {
		_cleanup_(blob_clear) struct blob alice = { 0 };
		_cleanup_(blob_clear) struct blob bob = { 0 };
		_cleanup_(blob_clear) struct blob z = { 0 };

		ok(hex_decode_blob(v[i].alice, 64, &alice));
		ok(hex_decode_blob(v[i].bob, 64, &bob));
		ok(hex_decode_blob(v[i].shared, 64, &z));
		expect_agreement(s,
		    import_curve(s, CKK_EC_MONTGOMERY, v[i].params, v[i].len,
			&alice),
		    blob_span(&bob), blob_span(&z));
	}
}

/* RFC 8032 section 7.4: "Blank" and "1 octet". */
static void
ed448_not_of_rfc8032(void **state)
{
	static const struct {
		const char *key, *message, *sig;
	} v[] = {
		{ "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e3"
		  "48a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b",
		    "",
		    "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d4"
		    "1a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff"
		    "0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7"
		    "cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600" },
		{ "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c"
		  "463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
		    "03",
		    "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd00878"
		    "10f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e"
		    "0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a647"
		    "2905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00" },
	};
	struct stage *s = *state;
	CK_MECHANISM mech = { CKM_EDDSA, NULL, 0 };

	for (size_t i = 0; i < COUNT(v); i++) {
		_cleanup_(blob_clear) struct blob key = { 0 };
		_cleanup_(blob_clear) struct blob want = { 0 };
		struct span in = span("\x03", strlen(v[i].message) / 2);
		uint8_t sig[512];
		size_t n;

		ok(hex_decode_blob(v[i].key, 64, &key));
		ok(hex_decode_blob(v[i].sig, 128, &want));
		n = answer(s, OP_SIGN, &mech,
		    import_curve(s, CKK_EC_EDWARDS, ed448, sizeof(ed448), &key),
		    in, sig);
		assert_int_equal(n, want.len);
		assert_memory_equal(sig, want.data, n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(ecdsa_differs_from_openssl),
		ON_STAGE(rsa_differs_from_openssl),
		ON_STAGE(oaep_differs_from_openssl),
		ON_STAGE(ecdh_differs_from_openssl),
		ON_STAGE(agreement_not_of_rfc7748),
		ON_STAGE(ed448_not_of_rfc8032),
	};

	return cmocka_run_group_tests_name("answers-keys", tests, NULL, NULL);
}
