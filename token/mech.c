/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/keys.h"
#include "token/mech.h"

static const struct mech_ops rsa_gen = { .parse = parse_none,
	.pair = generate_rsa };
static const struct mech_ops ec_gen = { .parse = parse_none,
	.pair = generate_ec };
static const struct mech_ops secret_gen = { .parse = parse_none,
	.key = generate_secret };
static const struct mech_ops hash_sign = { .parse = parse_none,
	.sign = &op_hash_sign };
static const struct mech_ops hash_pss = { .parse = parse_pss,
	.sign = &op_hash_sign };
static const struct mech_ops raw_sign = { .parse = parse_none,
	.sign = &op_raw_sign };
static const struct mech_ops raw_pss = { .parse = parse_pss,
	.sign = &op_raw_sign };
static const struct mech_ops rsa_both = { .parse = parse_none,
	.sign = &op_raw_sign,
	.crypt = &op_rsa_crypt };
static const struct mech_ops rsa_oaep = { .parse = parse_oaep,
	.crypt = &op_rsa_crypt };
/* GnuTLS before 3.8 asks for Edwards keys under the name of the signature. */
static const struct mech_ops eddsa = { .parse = parse_eddsa,
	.sign = &op_message,
	.pair = generate_ec,
	.unsaid = CKF_GENERATE_KEY_PAIR };
static const struct mech_ops pqc_gen = { .parse = parse_none,
	.pair = generate_pqc };
static const struct mech_ops pqc_sign = { .parse = parse_context,
	.sign = &op_message };
static const struct mech_ops pqc_kem = { .parse = parse_none };
static const struct mech_ops mac = { .parse = parse_none, .sign = &op_mac };
static const struct mech_ops mac_general = { .parse = parse_mac_len,
	.sign = &op_mac };
static const struct mech_ops gmac = { .parse = parse_gmac, .sign = &op_mac };
/* A generic secret is good for any HMAC, a typed one for its own. */
static const CK_KEY_TYPE generic[] = { CKK_GENERIC_SECRET, NO_KEY };
static const struct mech_ops hmac = { .parse = parse_none,
	.sign = &op_mac,
	.also = generic };
static const struct mech_ops hmac_general = { .parse = parse_mac_len,
	.sign = &op_mac,
	.also = generic };
static const struct mech_ops digest = { .parse = parse_none,
	.crypt = &op_digest };
static const struct mech_ops block = { .parse = parse_none,
	.crypt = &op_cipher };
static const struct mech_ops block_iv = { .parse = parse_iv16,
	.crypt = &op_cipher };
static const struct mech_ops block_ctr = { .parse = parse_ctr,
	.crypt = &op_cipher };
static const struct mech_ops gcm = { .parse = parse_gcm, .crypt = &op_aead };
static const struct mech_ops key_wrap = { .parse = parse_wrap_iv,
	.crypt = &op_key_wrap };
static const struct mech_ops ccm = { .parse = parse_ccm, .crypt = &op_ccm };
static const struct mech_ops chacha = { .parse = parse_chacha,
	.crypt = &op_aead };
static const struct mech_ops rsa_aes = { .parse = parse_rsa_aes,
	.crypt = &op_rsa_aes };
static const CK_KEY_TYPE montgomery[] = { CKK_EC_MONTGOMERY, NO_KEY };
static const struct mech_ops ecdh = { .parse = parse_ecdh1,
	.derive = derive_ecdh,
	.also = montgomery };
/* The same on the curves of the token, whose cofactor is 1. */
static const struct mech_ops ecdh_cofactor = { .parse = parse_ecdh1,
	.derive = derive_ecdh };
static const struct mech_ops hkdf = { .parse = parse_hkdf,
	.derive = derive_hkdf,
	.also = generic };
static const struct mech_ops hkdf_data = { .parse = parse_hkdf,
	.derive = derive_hkdf,
	.also = generic,
	.data = true };
/* What the PRF of a KDF takes: HMAC any of these, CMAC an AES key. */
static const CK_KEY_TYPE prf_keys[] = { CKK_AES, CKK_HKDF, CKK_SHA_1_HMAC,
	CKK_SHA224_HMAC, CKK_SHA256_HMAC, CKK_SHA384_HMAC, CKK_SHA512_HMAC,
	CKK_SHA3_224_HMAC, CKK_SHA3_256_HMAC, CKK_SHA3_384_HMAC,
	CKK_SHA3_512_HMAC, NO_KEY };
static const struct mech_ops sp800_counter = { .parse = parse_sp800_counter,
	.derive = derive_sp800_counter,
	.as_base = true,
	.also = prf_keys };
static const struct mech_ops pbkdf2 = { .parse = parse_pbkdf2,
	.key = generate_pbkdf2,
	.any_secret = true };

#define SIGN (CKF_SIGN | CKF_VERIFY)
#define CRYPT (CKF_ENCRYPT | CKF_DECRYPT)
#define WRAP (CKF_WRAP | CKF_UNWRAP)
#define EC_FLAGS (CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS)
#define ED_FLAGS (CKF_EC_F_P | CKF_EC_OID | CKF_EC_CURVENAME)

/* The name is made where the type is still written as such. */
#define ROW(name, type, key, min, max, flags, ops, digest, cipher)             \
	{                                                                      \
		type, name, key, min, max, flags, &(ops), digest, cipher       \
	}
#define ANY(type, key, min, max, flags, ops)                                   \
	ROW(#type, type, key, min, max, flags, ops, DIGEST_NONE, 0)
#define RSA(type, flags, ops, digest)                                          \
	ROW(#type, type, CKK_RSA, 1024, RSA_BITS_MAX, flags, ops, digest, 0)
#define EC(type, flags, ops, digest)                                           \
	ROW(#type, type, CKK_EC, 256, 521, (flags) | EC_FLAGS, ops, digest, 0)
#define AES(type, flags, ops, cipher)                                          \
	ROW(#type, type, CKK_AES, 16, 32, flags, ops, DIGEST_NONE, cipher)
#define HMAC(type, key, ops, digest)                                           \
	ROW(#type, type, key, 1, 4096, SIGN, ops, digest, 0)
#define HMAC_GEN(type, key)                                                    \
	ROW(#type, type, key, 1, 4096, CKF_GENERATE, secret_gen, DIGEST_NONE, 0)
#define CHACHA(type, flags, ops)                                               \
	ROW(#type, type, CKK_CHACHA20, 32, 32, flags, ops, DIGEST_NONE,        \
	    CIPHER_CHACHA20_POLY1305)
/* Sizes are those of public keys in bytes. */
#define PQC(type, key, min, max, flags, ops)                                   \
	ROW(#type, type, key, min, max, flags, ops, DIGEST_NONE, 0)
#define HASH(type, hash)                                                       \
	ROW(#type, type, CK_UNAVAILABLE_INFORMATION, 0, 0, CKF_DIGEST, digest, \
	    hash, 0)

/* Sorted by type, for the search. */
/* clang-format off */
static const struct mech mechs[] = {
	RSA(CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, rsa_gen,
	    DIGEST_NONE),
	RSA(CKM_RSA_PKCS, SIGN | CRYPT | WRAP, rsa_both, DIGEST_NONE),
	RSA(CKM_RSA_X_509, SIGN | CRYPT, rsa_both, DIGEST_NONE),
	RSA(CKM_SHA1_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA1),
	RSA(CKM_RSA_PKCS_OAEP, CRYPT | WRAP, rsa_oaep, DIGEST_NONE),
	RSA(CKM_RSA_PKCS_PSS, SIGN, raw_pss, DIGEST_NONE),
	RSA(CKM_SHA1_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA1),
	PQC(CKM_ML_KEM_KEY_PAIR_GEN, CKK_ML_KEM, 800, 1568,
	    CKF_GENERATE_KEY_PAIR, pqc_gen),
	PQC(CKM_ML_KEM, CKK_ML_KEM, 800, 1568,
	    CKF_ENCAPSULATE | CKF_DECAPSULATE, pqc_kem),
	PQC(CKM_ML_DSA_KEY_PAIR_GEN, CKK_ML_DSA, 1312, 2592,
	    CKF_GENERATE_KEY_PAIR, pqc_gen),
	PQC(CKM_ML_DSA, CKK_ML_DSA, 1312, 2592, SIGN, pqc_sign),
	PQC(CKM_SLH_DSA_KEY_PAIR_GEN, CKK_SLH_DSA, 32, 64,
	    CKF_GENERATE_KEY_PAIR, pqc_gen),
	PQC(CKM_SLH_DSA, CKK_SLH_DSA, 32, 64, SIGN, pqc_sign),
	RSA(CKM_SHA256_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA256),
	RSA(CKM_SHA384_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA384),
	RSA(CKM_SHA512_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA512),
	RSA(CKM_SHA256_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA256),
	RSA(CKM_SHA384_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA384),
	RSA(CKM_SHA512_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA512),
	RSA(CKM_SHA224_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA224),
	RSA(CKM_SHA224_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA224),
	RSA(CKM_SHA3_256_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA3_256),
	RSA(CKM_SHA3_384_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA3_384),
	RSA(CKM_SHA3_512_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA3_512),
	RSA(CKM_SHA3_256_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA3_256),
	RSA(CKM_SHA3_384_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA3_384),
	RSA(CKM_SHA3_512_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA3_512),
	RSA(CKM_SHA3_224_RSA_PKCS, SIGN, hash_sign, DIGEST_SHA3_224),
	RSA(CKM_SHA3_224_RSA_PKCS_PSS, SIGN, hash_pss, DIGEST_SHA3_224),
	HASH(CKM_SHA_1, DIGEST_SHA1),
	HMAC(CKM_SHA_1_HMAC, CKK_SHA_1_HMAC, hmac, DIGEST_SHA1),
	HMAC(CKM_SHA_1_HMAC_GENERAL, CKK_SHA_1_HMAC, hmac_general,
	    DIGEST_SHA1),
	HASH(CKM_SHA256, DIGEST_SHA256),
	HMAC(CKM_SHA256_HMAC, CKK_SHA256_HMAC, hmac, DIGEST_SHA256),
	HMAC(CKM_SHA256_HMAC_GENERAL, CKK_SHA256_HMAC, hmac_general,
	    DIGEST_SHA256),
	HASH(CKM_SHA224, DIGEST_SHA224),
	HMAC(CKM_SHA224_HMAC, CKK_SHA224_HMAC, hmac, DIGEST_SHA224),
	HMAC(CKM_SHA224_HMAC_GENERAL, CKK_SHA224_HMAC, hmac_general,
	    DIGEST_SHA224),
	HASH(CKM_SHA384, DIGEST_SHA384),
	HMAC(CKM_SHA384_HMAC, CKK_SHA384_HMAC, hmac, DIGEST_SHA384),
	HMAC(CKM_SHA384_HMAC_GENERAL, CKK_SHA384_HMAC, hmac_general,
	    DIGEST_SHA384),
	HASH(CKM_SHA512, DIGEST_SHA512),
	HMAC(CKM_SHA512_HMAC, CKK_SHA512_HMAC, hmac, DIGEST_SHA512),
	HMAC(CKM_SHA512_HMAC_GENERAL, CKK_SHA512_HMAC, hmac_general,
	    DIGEST_SHA512),
	HASH(CKM_SHA3_256, DIGEST_SHA3_256),
	HMAC(CKM_SHA3_256_HMAC, CKK_SHA3_256_HMAC, hmac, DIGEST_SHA3_256),
	HMAC(CKM_SHA3_256_HMAC_GENERAL, CKK_SHA3_256_HMAC, hmac_general,
	    DIGEST_SHA3_256),
	HMAC_GEN(CKM_SHA3_256_KEY_GEN, CKK_SHA3_256_HMAC),
	HASH(CKM_SHA3_224, DIGEST_SHA3_224),
	HMAC(CKM_SHA3_224_HMAC, CKK_SHA3_224_HMAC, hmac, DIGEST_SHA3_224),
	HMAC(CKM_SHA3_224_HMAC_GENERAL, CKK_SHA3_224_HMAC, hmac_general,
	    DIGEST_SHA3_224),
	HMAC_GEN(CKM_SHA3_224_KEY_GEN, CKK_SHA3_224_HMAC),
	HASH(CKM_SHA3_384, DIGEST_SHA3_384),
	HMAC(CKM_SHA3_384_HMAC, CKK_SHA3_384_HMAC, hmac, DIGEST_SHA3_384),
	HMAC(CKM_SHA3_384_HMAC_GENERAL, CKK_SHA3_384_HMAC, hmac_general,
	    DIGEST_SHA3_384),
	HMAC_GEN(CKM_SHA3_384_KEY_GEN, CKK_SHA3_384_HMAC),
	HASH(CKM_SHA3_512, DIGEST_SHA3_512),
	HMAC(CKM_SHA3_512_HMAC, CKK_SHA3_512_HMAC, hmac, DIGEST_SHA3_512),
	HMAC(CKM_SHA3_512_HMAC_GENERAL, CKK_SHA3_512_HMAC, hmac_general,
	    DIGEST_SHA3_512),
	HMAC_GEN(CKM_SHA3_512_KEY_GEN, CKK_SHA3_512_HMAC),
	ANY(CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, 8, 4096 * 8,
	    CKF_GENERATE, secret_gen),
	ANY(CKM_SP800_108_COUNTER_KDF, CKK_GENERIC_SECRET, 1, 4096, CKF_DERIVE,
	    sp800_counter),
	ANY(CKM_PKCS5_PBKD2, CKK_GENERIC_SECRET, 1, 4096, CKF_GENERATE,
	    pbkdf2),
	EC(CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, ec_gen, DIGEST_NONE),
	EC(CKM_ECDSA, SIGN, raw_sign, DIGEST_NONE),
	EC(CKM_ECDSA_SHA1, SIGN, hash_sign, DIGEST_SHA1),
	EC(CKM_ECDSA_SHA224, SIGN, hash_sign, DIGEST_SHA224),
	EC(CKM_ECDSA_SHA256, SIGN, hash_sign, DIGEST_SHA256),
	EC(CKM_ECDSA_SHA384, SIGN, hash_sign, DIGEST_SHA384),
	EC(CKM_ECDSA_SHA512, SIGN, hash_sign, DIGEST_SHA512),
	EC(CKM_ECDSA_SHA3_224, SIGN, hash_sign, DIGEST_SHA3_224),
	EC(CKM_ECDSA_SHA3_256, SIGN, hash_sign, DIGEST_SHA3_256),
	EC(CKM_ECDSA_SHA3_384, SIGN, hash_sign, DIGEST_SHA3_384),
	EC(CKM_ECDSA_SHA3_512, SIGN, hash_sign, DIGEST_SHA3_512),
	ANY(CKM_ECDH1_DERIVE, CKK_EC, 255, 521, CKF_DERIVE | EC_FLAGS, ecdh),
	EC(CKM_ECDH1_COFACTOR_DERIVE, CKF_DERIVE, ecdh_cofactor, DIGEST_NONE),
	RSA(CKM_RSA_AES_KEY_WRAP, WRAP, rsa_aes, DIGEST_NONE),
	ANY(CKM_EC_EDWARDS_KEY_PAIR_GEN, CKK_EC_EDWARDS, 255, 448,
	    CKF_GENERATE_KEY_PAIR | ED_FLAGS, ec_gen),
	ANY(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKK_EC_MONTGOMERY, 255, 448,
	    CKF_GENERATE_KEY_PAIR | ED_FLAGS, ec_gen),
	ANY(CKM_EDDSA, CKK_EC_EDWARDS, 255, 448,
	    SIGN | CKF_GENERATE_KEY_PAIR | ED_FLAGS, eddsa),
	AES(CKM_AES_KEY_GEN, CKF_GENERATE, secret_gen, CIPHER_ECB),
	AES(CKM_AES_ECB, CRYPT, block, CIPHER_ECB),
	AES(CKM_AES_CBC, CRYPT | WRAP, block_iv, CIPHER_CBC),
	AES(CKM_AES_CBC_PAD, CRYPT | WRAP, block_iv, CIPHER_CBC),
	AES(CKM_AES_CTR, CRYPT, block_ctr, CIPHER_CTR),
	AES(CKM_AES_GCM, CRYPT | WRAP, gcm, CIPHER_GCM),
	AES(CKM_AES_CCM, CRYPT | WRAP, ccm, CIPHER_CCM),
	AES(CKM_AES_CMAC, SIGN, mac, CIPHER_CBC),
	AES(CKM_AES_CMAC_GENERAL, SIGN, mac_general, CIPHER_CBC),
	AES(CKM_AES_GMAC, SIGN, gmac, CIPHER_GCM),
	CHACHA(CKM_CHACHA20_KEY_GEN, CKF_GENERATE, secret_gen),
	AES(CKM_AES_KEY_WRAP, CRYPT | WRAP, key_wrap, CIPHER_KW),
	AES(CKM_AES_KEY_WRAP_KWP, CRYPT | WRAP, key_wrap, CIPHER_KWP),
	HMAC_GEN(CKM_SHA_1_KEY_GEN, CKK_SHA_1_HMAC),
	HMAC_GEN(CKM_SHA224_KEY_GEN, CKK_SHA224_HMAC),
	HMAC_GEN(CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC),
	HMAC_GEN(CKM_SHA384_KEY_GEN, CKK_SHA384_HMAC),
	HMAC_GEN(CKM_SHA512_KEY_GEN, CKK_SHA512_HMAC),
	CHACHA(CKM_CHACHA20_POLY1305, CRYPT | WRAP, chacha),
	ANY(CKM_HKDF_DERIVE, CKK_HKDF, 1, 4096, CKF_DERIVE, hkdf),
	ANY(CKM_HKDF_DATA, CKK_HKDF, 1, 4096, CKF_DERIVE, hkdf_data),
	ANY(CKM_HKDF_KEY_GEN, CKK_HKDF, 1, 4096, CKF_GENERATE, secret_gen),
};
/* clang-format on */

/* What OpenSSL at run time must have. */
static bool
available(const struct mech *m)
{
	if (m->digest != DIGEST_NONE &&
	    digest_get((enum digest)m->digest) == NULL)
		return false;
	if (m->key_type == CKK_AES || m->key_type == CKK_CHACHA20)
		return cipher_get((enum cipher)m->cipher, 32) != NULL;
	if (pqc_is(m->key_type))
		return pqc_available(m->key_type);
	if (m->type == CKM_PKCS5_PBKD2)
		return kdf_pbkdf2() != NULL;
	return crypto_libctx() != NULL;
}

static bool
allowed(const struct config_token *cfg, const struct mech *m)
{
	const struct config_mechs *list = &cfg->mechanisms;

	if (m->type == CKM_RSA_X_509 && !cfg->rsa_x509)
		return false;
	if (list->names == NULL)
		return true;
	for (size_t i = 0; list->names[i] != NULL; i++)
		if (strcmp(list->names[i], m->name) == 0)
			return !list->deny;
	return list->deny;
}

const struct mech *
mech_find(const struct config_token *cfg, CK_MECHANISM_TYPE type)
{
	size_t low = 0, high = NELEMS(mechs);

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (mechs[mid].type < type)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == NELEMS(mechs) || mechs[low].type != type ||
	    !allowed(cfg, &mechs[low]) || !available(&mechs[low]))
		return NULL;
	return &mechs[low];
}

const struct mech *
mech_at(const struct config_token *cfg, size_t i)
{
	for (size_t k = 0; k < NELEMS(mechs); k++)
		if (allowed(cfg, &mechs[k]) && available(&mechs[k]) && i-- == 0)
			return &mechs[k];
	return NULL;
}

CK_FLAGS
mech_flags(const struct config_token *cfg, const struct mech *m)
{
	if (m->type == CKM_RSA_PKCS && !cfg->rsa_pkcs1_decrypt)
		return m->flags & ~(CK_FLAGS)(CKF_DECRYPT | CKF_UNWRAP);
	return m->flags;
}

/* PKCS#11 v3.0: signatures of all kinds, and what has a tag of its own, do
 * messages one after another. */
static CK_FLAGS
message_flags(const struct mech *m, CK_FLAGS flags)
{
	bool aead = m->type == CKM_AES_GCM || m->type == CKM_AES_CCM ||
	    m->type == CKM_CHACHA20_POLY1305;
	CK_FLAGS more = 0;

	if ((flags & CKF_SIGN) != 0)
		more |= CKF_MESSAGE_SIGN;
	if ((flags & CKF_VERIFY) != 0)
		more |= CKF_MESSAGE_VERIFY;
	if (aead && (flags & CKF_ENCRYPT) != 0)
		more |= CKF_MESSAGE_ENCRYPT;
	if (aead && (flags & CKF_DECRYPT) != 0)
		more |= CKF_MESSAGE_DECRYPT;
	return more != 0 ? more | CKF_MULTI_MESSAGE : 0;
}

void
mech_info(const struct config_token *cfg, const struct mech *m,
    CK_MECHANISM_INFO *ret)
{
	ret->ulMinKeySize = m->min_key;
	ret->ulMaxKeySize = m->max_key;
	ret->flags = mech_flags(cfg, m);
	ret->flags |= message_flags(m, ret->flags);
	ret->flags &= ~m->ops->unsaid;
	if (m->key_type == CKK_RSA && ret->ulMinKeySize < cfg->min_rsa_bits)
		ret->ulMinKeySize = cfg->min_rsa_bits;
}

int
mech_refuse(struct why *why, int err, const struct mech *m, const char *field,
    const char *expected, const char *got)
{
	return why_set(why, err, m->name, field, expected, got);
}

bool
mech_takes(const struct mech *m, CK_KEY_TYPE type)
{
	const CK_KEY_TYPE *also = m->ops->also;

	if (m->key_type == type)
		return true;
	for (; also != NULL && *also != NO_KEY; also++)
		if (*also == type)
			return true;
	return false;
}

bool
mech_makes(const struct mech *m, CK_KEY_TYPE type)
{
	if (m->key_type == type || m->ops->any_secret)
		return true;
	/* A generic secret may be for one HMAC or KDF only. */
	return m->type == CKM_GENERIC_SECRET_KEY_GEN && type != CKK_AES &&
	    type != CKK_CHACHA20;
}

/* Which class does what with a key. */
static const struct {
	CK_FLAGS use;
	CK_OBJECT_CLASS asymmetric;
} classes[] = {
	{ CKF_SIGN, CKO_PRIVATE_KEY },
	{ CKF_VERIFY, CKO_PUBLIC_KEY },
	{ CKF_ENCRYPT, CKO_PUBLIC_KEY },
	{ CKF_DECRYPT, CKO_PRIVATE_KEY },
	{ CKF_WRAP, CKO_PUBLIC_KEY },
	{ CKF_UNWRAP, CKO_PRIVATE_KEY },
	{ CKF_DERIVE, CKO_PRIVATE_KEY },
	{ CKF_ENCAPSULATE, CKO_PUBLIC_KEY },
	{ CKF_DECAPSULATE, CKO_PRIVATE_KEY },
};

static bool
class_fits(CK_FLAGS use, CK_OBJECT_CLASS class)
{
	for (size_t i = 0; i < NELEMS(classes); i++)
		if (classes[i].use == use && classes[i].asymmetric == class)
			return true;
	return class == CKO_SECRET_KEY;
}

/* An empty list allows all (PKCS#11 section 4.7.2). */
static bool
key_allows(const struct object *o, const struct mech *m)
{
	const struct attr *list = attrs_find(&o->attrs, CKA_ALLOWED_MECHANISMS);
	struct reader r;
	CK_MECHANISM_TYPE type;

	if (list == NULL || list->value.len == 0)
		return true;
	r = reader_init(blob_span(&list->value));
	while (reader_left(&r) >= sizeof(type)) {
		read_bytes(&r, (uint8_t *)&type, sizeof(type));
		if (type == m->type)
			return true;
	}
	return false;
}

int
mech_check_key(const struct config_token *cfg, const struct mech *m,
    CK_FLAGS use, const struct object *o, struct why *reterr_why)
{
	CK_MECHANISM_INFO info;

	mech_info(cfg, m, &info);
	if ((info.flags & use) == 0)
		return mech_refuse(reterr_why, CVM_E_MECH_INVALID, m, "use",
		    "one that the mechanism offers", "another");
	if (!mech_takes(m, o->key_type) || !class_fits(use, o->class))
		return mech_refuse(reterr_why, CVM_E_KEY_TYPE, m, "key",
		    "class and type of the mechanism", "others");
	if ((o->usage & use) == 0)
		return mech_refuse(reterr_why, CVM_E_KEY_FUNCTION, m, "key",
		    "the usage attribute TRUE", "FALSE");
	if (!key_allows(o, m))
		return mech_refuse(reterr_why, CVM_E_MECH_INVALID, m,
		    "CKA_ALLOWED_MECHANISMS", "this mechanism", "others only");
	if (o->key_size < info.ulMinKeySize || o->key_size > info.ulMaxKeySize)
		return why_setf(reterr_why, CVM_E_KEY_SIZE, m->name, "key size",
		    "a size that the mechanism takes", "%lu", o->key_size);
	return CVM_OK;
}
