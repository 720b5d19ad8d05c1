/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_KEYS_H
#define TOKEN_KEYS_H

#include "conf/config.h"
#include "token/evp.h"
#include "token/object.h"

/*
 * Keys between their three forms: PKCS#11 attributes, encoded material
 * (PKCS#8 PrivateKeyInfo, raw secret value) and EVP_PKEY.
 */
#define RSA_BITS_MAX 8192
#define RSA_BYTES_MAX (RSA_BITS_MAX / 8)
#define EC_SIG_MAX 132 /* P-521, r || s */
#define SIGNATURE_MAX RSA_BYTES_MAX

/* keys.c */
int key_encode_private(const EVP_PKEY *pkey, struct secret **ret) _must_check_;
/* CVM_E_PARSE: not one PrivateKeyInfo of a kind that is known here. */
int key_decode_private(struct span der, EVP_PKEY **ret) _must_check_;
int key_encode_public(const EVP_PKEY *pkey, struct blob *ret) _must_check_;
int key_decode_public(struct span spki, EVP_PKEY **ret) _must_check_;
/* CK_UNAVAILABLE_INFORMATION: none that is known here. */
CK_KEY_TYPE key_type_of(const EVP_PKEY *pkey);
/* Bits, from the attributes; secret keys: bytes; ML-DSA and its like: bytes of
 * the public key. 0 when they do not say. */
CK_ULONG key_size(CK_KEY_TYPE key_type, const struct attrs *a);
/* Sets what the key itself says in attributes of its class, CKA_ID and
 * CKA_PUBLIC_KEY_INFO included, where they are absent or empty. What is
 * there and says otherwise is CVM_E_TEMPLATE_INCONSISTENT. */
int key_describe(const EVP_PKEY *pkey, CK_OBJECT_CLASS class, struct attrs *a,
    struct why *reterr_why) _must_check_;
/* CKA_ID of keys and certificates that were given none: the first 20 bytes
 * of SHA-256 over the SubjectPublicKeyInfo. */
int key_default_id(struct attrs *a, struct span spki) _must_check_;
/* A value of a private key, as the attribute has it. */
int key_private_value(const EVP_PKEY *pkey, CK_ATTRIBUTE_TYPE type,
    struct secret **ret) _must_check_;
/* Sets an attribute that is absent or empty; CVM_E_TEMPLATE_INCONSISTENT when
 * it is there with another value. */
int attr_agree(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct span value,
    struct why *reterr_why) _must_check_;
/* The same for CKA_CHECK_VALUE, which an empty value forbids and a wrong one
 * makes CVM_E_ATTR_VALUE (PKCS#11 section 4.11.2). */
int check_value_agree(struct attrs *a, struct span value,
    struct why *reterr_why) _must_check_;

/*
 * OpenSSL's names of key types that lead straight to the provider. Under the
 * usual ones EVP_PKEY_CTX_new_from_name() asks for a default ENGINE of the
 * process first, private context or not: in a host that made its PKCS#11
 * engine the default, key generation would come back to this module.
 */
#define NAME_RSA "1.2.840.113549.1.1.1"
#define NAME_EC "1.2.840.10045.2.1"

/* keys_rsa.c */
int rsa_describe(const EVP_PKEY *pkey, CK_OBJECT_CLASS class, struct attrs *a,
    struct why *reterr_why) _must_check_;
int rsa_private_value(const EVP_PKEY *pkey, CK_ATTRIBUTE_TYPE type,
    struct secret **ret) _must_check_;
int rsa_from_public(const struct attrs *a, EVP_PKEY **ret,
    struct why *reterr_why) _must_check_;
/* From the attributes and, for the secret ones, the template itself. */
int rsa_from_private(const struct attrs *a, const CK_ATTRIBUTE *templ,
    CK_ULONG n, EVP_PKEY **ret, struct why *reterr_why) _must_check_;
int rsa_generate(CK_ULONG bits, struct span public_exponent, EVP_PKEY **ret,
    struct why *reterr_why) _must_check_;
/* min_rsa_bits .. RSA_BITS_MAX, whole bytes. */
int rsa_check_bits(const struct config_token *cfg, CK_ULONG bits,
    struct why *reterr_why) _must_check_;
CK_ULONG rsa_bits(struct span modulus);
/* From the numbers of an RSAPrivateKey, in its order, as they are. */
#define RSA_NUMBERS 8
int rsa_from_numbers(const struct span v[static RSA_NUMBERS],
    EVP_PKEY **ret) _must_check_;
/* rsa_factor.c: CVM_E_ATTR_VALUE when the numbers are of no one key. */
int rsa_factor(struct span n, struct span e, struct span d,
    struct secret **ret_p, struct secret **ret_q) _must_check_;

/* keys_pkcs8.c: what key_encode_private() and key_decode_private() do first;
 * CVM_E_UNSUPPORTED: a key, or a form, that is not spoken there. */
int pkcs8_encode(const EVP_PKEY *pkey, struct secret **ret) _must_check_;
int pkcs8_decode(struct span der, EVP_PKEY **ret) _must_check_;

/* keys_ec.c */
struct curve {
	const char *name; /* OpenSSL's group (CKK_EC) or key type */
	const char *type; /* NAME_EC, or the key type's OID */
	CK_KEY_TYPE key_type;
	unsigned bits;
	size_t private_len, public_len; /* public: the raw point */
	struct span oid;		/* DER OBJECT IDENTIFIER */
	struct span old_oid;		/* in use before RFC 8410; or empty */
	const char *words[2];		/* PrintableString forms; or NULL */
};
/* By CKA_EC_PARAMS: a named curve's OID, or its name as PrintableString. */
const struct curve *curve_find(CK_KEY_TYPE key_type, struct span ec_params);
/* What is wrong with parameters that curve_find() does not find: CVM_E_CURVE
 * for a name, CVM_E_DOMAIN_PARAMS for anything else. */
int curve_missing(struct span ec_params);
const struct curve *curve_of(const EVP_PKEY *pkey);
int ec_describe(const EVP_PKEY *pkey, struct attrs *a,
    struct why *reterr_why) _must_check_;
int ec_private_value(const EVP_PKEY *pkey, struct secret **ret) _must_check_;
/* The raw public point; 0x04 || x || y on P-521 is the longest. */
#define POINT_MAX 133
int ec_point(const EVP_PKEY *pkey, const struct curve *c,
    uint8_t out[static POINT_MAX]) _must_check_;
/* CVM_E_ATTR_VALUE: no private value of the curve. */
int ec_from_value(const struct curve *c, struct span value,
    EVP_PKEY **ret) _must_check_;
int ec_from_public(CK_KEY_TYPE key_type, const struct attrs *a, EVP_PKEY **ret,
    struct why *reterr_why) _must_check_;
int ec_from_private(CK_KEY_TYPE key_type, const struct attrs *a,
    struct span value, EVP_PKEY **ret, struct why *reterr_why) _must_check_;
int ec_generate(const struct curve *curve, EVP_PKEY **ret) _must_check_;
/* The peer's key for a derivation: a raw point, or in a DER OCTET STRING. */
int ec_peer(const struct curve *curve, struct span point,
    EVP_PKEY **ret) _must_check_;

/* keys_pqc.c */
struct param_set {
	CK_KEY_TYPE key_type;
	CK_ULONG set;	  /* CKA_PARAMETER_SET */
	const char *name; /* OpenSSL's */
	const char *oid;  /* the same, as NAME_RSA above */
	size_t public_len, private_len;
	size_t out_len; /* signature or ciphertext */
};
bool pqc_is(CK_KEY_TYPE key_type);
const struct param_set *param_set_find(CK_KEY_TYPE key_type,
    const struct attrs *a);
const struct param_set *param_set_of(const EVP_PKEY *pkey);
int pqc_describe(const EVP_PKEY *pkey, CK_OBJECT_CLASS class, struct attrs *a,
    struct why *reterr_why) _must_check_;
/* CKA_VALUE, or CKA_SEED: CVM_E_NOT_FOUND when the key has none. */
int pqc_private_value(const EVP_PKEY *pkey, CK_ATTRIBUTE_TYPE type,
    struct secret **ret) _must_check_;
/* CVM_E_PARAMETER_SET: none that OpenSSL has at run time. */
int pqc_from_public(CK_KEY_TYPE key_type, const struct attrs *a, EVP_PKEY **ret,
    struct why *reterr_why) _must_check_;
int pqc_from_private(CK_KEY_TYPE key_type, const struct attrs *a,
    struct span value, struct span seed, EVP_PKEY **ret,
    struct why *reterr_why) _must_check_;
int pqc_generate(const struct param_set *set, EVP_PKEY **ret) _must_check_;

/* keys_secret.c */
bool secret_is_known(CK_KEY_TYPE key_type);
/* The one length that keys of a type have; 0: they may have several. */
size_t secret_fixed_len(CK_KEY_TYPE key_type);
/* Length rules of the key type; CVM_E_KEY_SIZE. */
int secret_check_len(CK_KEY_TYPE key_type, size_t len,
    struct why *reterr_why) _must_check_;
/* CKA_VALUE_LEN and CKA_CHECK_VALUE of a value; agrees with what is there. A
 * short value has an empty check value, which says nothing of it. */
int secret_describe(CK_KEY_TYPE key_type, struct span value, struct attrs *a,
    struct why *reterr_why) _must_check_;

/* certificate.c */
int certificate_describe(struct attrs *a, struct why *reterr_why) _must_check_;

#endif
