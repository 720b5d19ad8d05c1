/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/attr_rules.h"

/* Classes. */
#define D (1 << 0)
#define C (1 << 1)
#define U (1 << 2)
#define R (1 << 3)
#define S (1 << 4)
#define P (1 << 5)
#define M (1 << 6)
#define KEYS (U | R | S)
#define STORED (D | C | U | R | S)
#define ANY_CLASS (STORED | P | M)

/* Key types. */
#define RSA (1 << 0)
#define EC (1 << 1)
#define ED (1 << 2)
#define MONT (1 << 3)
#define AES (1 << 4)
#define GENERIC (1 << 5)
#define HMAC (1 << 6)
#define CHACHA (1 << 7)
#define HKDF (1 << 8)
#define MLDSA (1 << 9)
#define MLKEM (1 << 10)
#define SLHDSA (1 << 11)
#define CURVES (EC | ED | MONT)
#define PQC (MLDSA | MLKEM | SLHDSA)
#define SIGNERS (RSA | EC | ED | MLDSA | SLHDSA)
#define MACS (GENERIC | HMAC)
#define CIPHERS (AES | CHACHA)
#define ANY_TYPE 0xffff

#define NEW IN_NEW
#define COPY IN_COPY
#define SET IN_SET
#define ALL (IN_NEW | IN_COPY | IN_SET)

static const struct {
	CK_OBJECT_CLASS class;
	uint16_t bit;
} class_bits[] = {
	{ CKO_DATA, D },
	{ CKO_CERTIFICATE, C },
	{ CKO_PUBLIC_KEY, U },
	{ CKO_PRIVATE_KEY, R },
	{ CKO_SECRET_KEY, S },
	{ CKO_PROFILE, P },
	{ CKO_MECHANISM, M },
};

static const struct {
	CK_KEY_TYPE type;
	uint16_t bit;
} key_type_bits[] = {
	{ CKK_RSA, RSA },
	{ CKK_EC, EC },
	{ CKK_EC_EDWARDS, ED },
	{ CKK_EC_MONTGOMERY, MONT },
	{ CKK_AES, AES },
	{ CKK_GENERIC_SECRET, GENERIC },
	{ CKK_SHA_1_HMAC, HMAC },
	{ CKK_SHA224_HMAC, HMAC },
	{ CKK_SHA256_HMAC, HMAC },
	{ CKK_SHA384_HMAC, HMAC },
	{ CKK_SHA512_HMAC, HMAC },
	{ CKK_SHA3_224_HMAC, HMAC },
	{ CKK_SHA3_256_HMAC, HMAC },
	{ CKK_SHA3_384_HMAC, HMAC },
	{ CKK_SHA3_512_HMAC, HMAC },
	{ CKK_CHACHA20, CHACHA },
	{ CKK_HKDF, HKDF },
	{ CKK_ML_DSA, MLDSA },
	{ CKK_ML_KEM, MLKEM },
	{ CKK_SLH_DSA, SLHDSA },
};

#define RULE(type, classes, types, form, in, flags, dflt)                      \
	{                                                                      \
		type, #type, classes, types, FORM_##form, in, flags,           \
		    DEFAULT_##dflt                                             \
	}

/*
 * Where an attribute has several rows, the first that fits class and key type
 * holds. Usages default to what a key of its type is commonly for; wrapping
 * and unwrapping, which let keys out and in, are never a default.
 */
/* clang-format off */
static const struct attr_rule rules[] = {
	RULE(CKA_CLASS, ANY_CLASS, ANY_TYPE, ULONG, NEW, ATTR_REQUIRED, NONE),
	RULE(CKA_TOKEN, ANY_CLASS, ANY_TYPE, BOOL, NEW | COPY, 0, FALSE),
	RULE(CKA_PRIVATE, R | S, ANY_TYPE, BOOL, NEW | COPY, ATTR_ONLY_TRUE,
	    TRUE),
	RULE(CKA_PRIVATE, D | C | U | P | M, ANY_TYPE, BOOL, NEW | COPY,
	    ATTR_ONLY_TRUE, FALSE),
	RULE(CKA_MODIFIABLE, ANY_CLASS, ANY_TYPE, BOOL, NEW | COPY, 0, TRUE),
	RULE(CKA_COPYABLE, ANY_CLASS, ANY_TYPE, BOOL, ALL, ATTR_ONLY_FALSE,
	    TRUE),
	RULE(CKA_DESTROYABLE, ANY_CLASS, ANY_TYPE, BOOL, ALL, 0, TRUE),
	RULE(CKA_LABEL, ANY_CLASS, ANY_TYPE, BYTES, ALL, 0, EMPTY),
	RULE(CKA_UNIQUE_ID, ANY_CLASS, ANY_TYPE, BYTES, 0, 0, NONE),
	RULE(CKA_PROFILE_ID, P, ANY_TYPE, ULONG, 0, 0, NONE),
	RULE(CKA_MECHANISM_TYPE, M, ANY_TYPE, ULONG, 0, 0, NONE),

	RULE(CKA_APPLICATION, D, ANY_TYPE, BYTES, ALL, 0, EMPTY),
	RULE(CKA_OBJECT_ID, D, ANY_TYPE, BYTES, ALL, 0, EMPTY),
	RULE(CKA_VALUE, D, ANY_TYPE, BYTES, IN_CREATE | COPY | SET, 0, EMPTY),
	RULE(CKA_VALUE_LEN, D, ANY_TYPE, ULONG, IN_DERIVE, 0, NONE),

	RULE(CKA_CERTIFICATE_TYPE, C, ANY_TYPE, ULONG, IN_CREATE,
	    ATTR_REQUIRED, NONE),
	RULE(CKA_CERTIFICATE_CATEGORY, C, ANY_TYPE, ULONG, IN_CREATE, 0,
	    ZERO),
	RULE(CKA_JAVA_MIDP_SECURITY_DOMAIN, C, ANY_TYPE, ULONG, IN_CREATE, 0,
	    ZERO),
	RULE(CKA_VALUE, C, ANY_TYPE, BYTES, IN_CREATE, ATTR_REQUIRED, NONE),
	RULE(CKA_ISSUER, C, ANY_TYPE, BYTES, IN_CREATE, 0, NONE),
	RULE(CKA_SERIAL_NUMBER, C, ANY_TYPE, BYTES, IN_CREATE, 0, NONE),
	RULE(CKA_SUBJECT, C, ANY_TYPE, BYTES, IN_CREATE, 0, NONE),
	RULE(CKA_URL, C, ANY_TYPE, BYTES, IN_CREATE, 0, EMPTY),
	RULE(CKA_HASH_OF_SUBJECT_PUBLIC_KEY, C, ANY_TYPE, BYTES, IN_CREATE, 0,
	    EMPTY),
	RULE(CKA_HASH_OF_ISSUER_PUBLIC_KEY, C, ANY_TYPE, BYTES, IN_CREATE, 0,
	    EMPTY),
	RULE(CKA_NAME_HASH_ALGORITHM, C, ANY_TYPE, ULONG, IN_CREATE, 0, NONE),
	RULE(CKA_CHECK_VALUE, C | S, ANY_TYPE, BYTES, NEW | SET,
	    ATTR_SET_EMPTY, NONE),
	RULE(CKA_TRUSTED, C | U | S, ANY_TYPE, BOOL, ALL, ATTR_TRUE_BY_SO,
	    FALSE),

	RULE(CKA_ID, C | KEYS, ANY_TYPE, BYTES, ALL, 0, EMPTY),
	RULE(CKA_START_DATE, C | KEYS, ANY_TYPE, DATE, ALL, 0, EMPTY),
	RULE(CKA_END_DATE, C | KEYS, ANY_TYPE, DATE, ALL, 0, EMPTY),
	RULE(CKA_PUBLIC_KEY_INFO, C | U | R, ANY_TYPE, BYTES, IN_CREATE, 0,
	    NONE),

	RULE(CKA_KEY_TYPE, KEYS, ANY_TYPE, ULONG, NEW, ATTR_REQUIRED, NONE),
	RULE(CKA_LOCAL, KEYS, ANY_TYPE, BOOL, 0, 0, FALSE),
	RULE(CKA_KEY_GEN_MECHANISM, KEYS, ANY_TYPE, ULONG, 0, 0, UNAVAILABLE),
	RULE(CKA_ALLOWED_MECHANISMS, KEYS, ANY_TYPE, MECHS, NEW, 0, EMPTY),
	RULE(CKA_DERIVE, KEYS, MONT | HKDF, BOOL, ALL, 0, TRUE),
	RULE(CKA_DERIVE, KEYS, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_SUBJECT, U | R, ANY_TYPE, BYTES, ALL, 0, EMPTY),

	RULE(CKA_ENCRYPT, U | S, RSA | CIPHERS, BOOL, ALL, 0, TRUE),
	RULE(CKA_ENCRYPT, U | S, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_DECRYPT, R | S, RSA | CIPHERS, BOOL, ALL, 0, TRUE),
	RULE(CKA_DECRYPT, R | S, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_SIGN, R | S, SIGNERS | MACS, BOOL, ALL, 0, TRUE),
	RULE(CKA_SIGN, R | S, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_VERIFY, U | S, SIGNERS | MACS, BOOL, ALL, 0, TRUE),
	RULE(CKA_VERIFY, U | S, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_ENCAPSULATE, U, MLKEM, BOOL, ALL, 0, TRUE),
	RULE(CKA_ENCAPSULATE, U, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_DECAPSULATE, R, MLKEM, BOOL, ALL, 0, TRUE),
	RULE(CKA_DECAPSULATE, R, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_SIGN_RECOVER, R, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_VERIFY_RECOVER, U, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_WRAP, U | S, ANY_TYPE, BOOL, ALL, 0, FALSE),
	RULE(CKA_UNWRAP, R | S, ANY_TYPE, BOOL, ALL, 0, FALSE),

	/* What binds whoever uses a key cannot be taken off by them. */
	RULE(CKA_WRAP_TEMPLATE, U | S, ANY_TYPE, TEMPLATE, NEW, 0, NONE),
	RULE(CKA_UNWRAP_TEMPLATE, R | S, ANY_TYPE, TEMPLATE, NEW, 0, NONE),
	RULE(CKA_DERIVE_TEMPLATE, R | S, ANY_TYPE, TEMPLATE, NEW, 0, NONE),
	RULE(CKA_ENCAPSULATE_TEMPLATE, U, ANY_TYPE, TEMPLATE, NEW, 0, NONE),
	RULE(CKA_DECAPSULATE_TEMPLATE, R, ANY_TYPE, TEMPLATE, NEW, 0, NONE),

	RULE(CKA_SENSITIVE, R | S, ANY_TYPE, BOOL, ALL, ATTR_ONLY_TRUE, TRUE),
	RULE(CKA_EXTRACTABLE, R | S, ANY_TYPE, BOOL, ALL, ATTR_ONLY_FALSE,
	    FALSE),
	RULE(CKA_ALWAYS_SENSITIVE, R | S, ANY_TYPE, BOOL, 0, 0, FALSE),
	RULE(CKA_NEVER_EXTRACTABLE, R | S, ANY_TYPE, BOOL, 0, 0, FALSE),
	RULE(CKA_WRAP_WITH_TRUSTED, R | S, ANY_TYPE, BOOL, ALL,
	    ATTR_ONLY_TRUE, FALSE),
	RULE(CKA_ALWAYS_AUTHENTICATE, R, ANY_TYPE, BOOL, NEW, 0, FALSE),
	RULE(CKA_CVM_BIND_OPERATION, R | S, ANY_TYPE, BOOL, ALL,
	    ATTR_ONLY_TRUE, FALSE),
	RULE(CKA_CVM_ORIGIN, R | S, ANY_TYPE, ULONG, 0, 0, UNAVAILABLE),

	RULE(CKA_MODULUS, U | R, RSA, BYTES, IN_CREATE, ATTR_REQUIRED, NONE),
	RULE(CKA_MODULUS_BITS, U, RSA, ULONG, IN_CREATE | IN_GENERATE,
	    ATTR_GEN_REQUIRED, NONE),
	RULE(CKA_PUBLIC_EXPONENT, U, RSA, BYTES, IN_CREATE | IN_GENERATE,
	    ATTR_REQUIRED, NONE),
	RULE(CKA_PUBLIC_EXPONENT, R, RSA, BYTES, IN_CREATE, ATTR_REQUIRED,
	    NONE),
	RULE(CKA_PRIVATE_EXPONENT, R, RSA, BYTES, IN_CREATE,
	    ATTR_SECRET | ATTR_REQUIRED, NONE),
	RULE(CKA_PRIME_1, R, RSA, BYTES, IN_CREATE, ATTR_SECRET, NONE),
	RULE(CKA_PRIME_2, R, RSA, BYTES, IN_CREATE, ATTR_SECRET, NONE),
	RULE(CKA_EXPONENT_1, R, RSA, BYTES, IN_CREATE, ATTR_SECRET, NONE),
	RULE(CKA_EXPONENT_2, R, RSA, BYTES, IN_CREATE, ATTR_SECRET, NONE),
	RULE(CKA_COEFFICIENT, R, RSA, BYTES, IN_CREATE, ATTR_SECRET, NONE),

	RULE(CKA_EC_PARAMS, U, CURVES, BYTES, IN_CREATE | IN_GENERATE,
	    ATTR_REQUIRED | ATTR_GEN_REQUIRED, NONE),
	RULE(CKA_EC_PARAMS, R, CURVES, BYTES, IN_CREATE | IN_GENERATE,
	    ATTR_REQUIRED, NONE),
	RULE(CKA_EC_POINT, U, CURVES, BYTES, IN_CREATE, ATTR_REQUIRED, NONE),
	RULE(CKA_EC_POINT, R, CURVES, BYTES, IN_CREATE, 0, NONE),
	RULE(CKA_VALUE, R, CURVES, BYTES, IN_CREATE,
	    ATTR_SECRET | ATTR_REQUIRED, NONE),

	RULE(CKA_PARAMETER_SET, U, PQC, ULONG, IN_CREATE | IN_GENERATE,
	    ATTR_REQUIRED | ATTR_GEN_REQUIRED, NONE),
	RULE(CKA_PARAMETER_SET, R, PQC, ULONG, IN_CREATE | IN_GENERATE,
	    ATTR_REQUIRED, NONE),
	RULE(CKA_VALUE, U, PQC, BYTES, IN_CREATE, ATTR_REQUIRED, NONE),
	RULE(CKA_VALUE, R, MLDSA | MLKEM, BYTES, IN_CREATE, ATTR_SECRET, NONE),
	RULE(CKA_SEED, R, MLDSA | MLKEM, BYTES, IN_CREATE, ATTR_SECRET, NONE),
	RULE(CKA_VALUE, R, SLHDSA, BYTES, IN_CREATE,
	    ATTR_SECRET | ATTR_REQUIRED, NONE),

	RULE(CKA_VALUE, S, ANY_TYPE, BYTES, IN_CREATE,
	    ATTR_SECRET | ATTR_REQUIRED, NONE),
	RULE(CKA_VALUE_LEN, S, ANY_TYPE, ULONG,
	    IN_CREATE | IN_GENERATE | IN_UNWRAP | IN_DERIVE, 0, NONE),
};
/* clang-format on */

uint16_t
class_bit(CK_OBJECT_CLASS class)
{
	for (size_t i = 0; i < NELEMS(class_bits); i++)
		if (class_bits[i].class == class)
			return class_bits[i].bit;
	return 0;
}

uint16_t
key_type_bit(CK_KEY_TYPE key_type)
{
	for (size_t i = 0; i < NELEMS(key_type_bits); i++)
		if (key_type_bits[i].type == key_type)
			return key_type_bits[i].bit;
	return 0;
}

static bool
applies(const struct attr_rule *rule, uint16_t class, uint16_t key_type)
{
	return (rule->classes & class) != 0 &&
	    (rule->key_types == ANY_TYPE || (rule->key_types & key_type) != 0);
}

const struct attr_rule *
attr_rule_find(CK_ATTRIBUTE_TYPE type, CK_OBJECT_CLASS class,
    CK_KEY_TYPE key_type)
{
	uint16_t c = class_bit(class), k = key_type_bit(key_type);

	for (size_t i = 0; i < NELEMS(rules); i++)
		if (rules[i].type == type && applies(&rules[i], c, k))
			return &rules[i];
	return NULL;
}

const struct attr_rule *
attr_rule_next(const struct attr_rule *after, CK_OBJECT_CLASS class,
    CK_KEY_TYPE key_type)
{
	uint16_t c = class_bit(class), k = key_type_bit(key_type);
	size_t i = after == NULL ? 0 : (size_t)(after - rules) + 1;

	for (; i < NELEMS(rules); i++)
		if (applies(&rules[i], c, k) &&
		    attr_rule_find(rules[i].type, class, key_type) == &rules[i])
			return &rules[i];
	return NULL;
}

const struct attr_rule *
attr_rule_any(CK_ATTRIBUTE_TYPE type)
{
	for (size_t i = 0; i < NELEMS(rules); i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

const char *
attr_name(CK_ATTRIBUTE_TYPE type)
{
	const struct attr_rule *rule = attr_rule_any(type);

	return rule == NULL ? NULL : rule->name;
}

static int
set_default(const struct attr_rule *rule, struct attrs *a)
{
	switch ((enum attr_default)rule->dflt) {
	case DEFAULT_FALSE:
		return attrs_set_bool(a, rule->type, false);
	case DEFAULT_TRUE:
		return attrs_set_bool(a, rule->type, true);
	case DEFAULT_EMPTY:
		return attrs_set(a, rule->type, span("", 0));
	case DEFAULT_ZERO:
		return attrs_set_ulong(a, rule->type, 0);
	case DEFAULT_UNAVAILABLE:
		return attrs_set_ulong(a, rule->type,
		    CK_UNAVAILABLE_INFORMATION);
	case DEFAULT_NONE:
	default:
		return CVM_OK;
	}
}

int
attr_defaults(CK_OBJECT_CLASS class, CK_KEY_TYPE key_type, struct attrs *a)
{
	const struct attr_rule *rule = NULL;
	int err;

	while ((rule = attr_rule_next(rule, class, key_type)) != NULL) {
		if (attrs_find(a, rule->type) != NULL)
			continue;
		err = set_default(rule, a);
		if (err != CVM_OK)
			return err;
	}
	return CVM_OK;
}

/* CK_DATE: empty, or year, month from 01 to 12 and day from 01 to 31, in eight
 * digits (PKCS#11 section 3.4). */
static bool
date_ok(struct span value)
{
	unsigned month, day;

	if (value.len == 0)
		return true;
	if (value.len != sizeof(CK_DATE))
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
	month = (value.data[4] - '0') * 10U + (value.data[5] - '0');
	day = (value.data[6] - '0') * 10U + (value.data[7] - '0');
	return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

bool
attr_value_ok(const struct attr_rule *rule, struct span value)
{
	switch ((enum attr_form)rule->form) {
	case FORM_BOOL:
		return value.len == sizeof(CK_BBOOL) && value.data[0] <= 1;
	case FORM_ULONG:
		return value.len == sizeof(CK_ULONG);
	case FORM_DATE:
		return date_ok(value);
	case FORM_MECHS:
		return value.len % sizeof(CK_MECHANISM_TYPE) == 0 &&
		    value.len <= ATTR_VALUE_MAX;
	case FORM_TEMPLATE:
		return value.len % sizeof(CK_ATTRIBUTE) == 0 &&
		    value.len / sizeof(CK_ATTRIBUTE) <= ATTRS_MAX;
	case FORM_BYTES:
	default:
		return value.len <= ATTR_VALUE_MAX;
	}
}
