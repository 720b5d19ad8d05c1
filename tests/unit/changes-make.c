/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "tests/unit/changes-make.h"
#include "tests/unit/templates.h"
#include "tests/unit/x509-maker.h"

const uint8_t make_secret_value[MAKE_SECRET_LEN] = { 9, 8, 7 };

/* RFC 3394 section 4.6. */
static const uint8_t kek[32] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
	0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13,
	0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e,
	0x1f };
static const uint8_t wrapped[40] = { 0x28, 0xc9, 0xf4, 0x04, 0xc4, 0xb8, 0x10,
	0xf4, 0xcb, 0xcc, 0xb3, 0x5c, 0xfb, 0x87, 0xf8, 0x26, 0x3f, 0x57, 0x86,
	0xe2, 0xd8, 0x0e, 0xd3, 0x26, 0xcb, 0xc7, 0xf0, 0xe7, 0x1a, 0x99, 0xf4,
	0x3b, 0xfb, 0x98, 0x8b, 0x9b, 0x7a, 0x02, 0xdd, 0x21 };
const uint8_t make_unwrapped_value[MAKE_SECRET_LEN] = { 0x00, 0x11, 0x22, 0x33,
	0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
	0x0c, 0x0d, 0x0e, 0x0f };

/* RFC 5869 appendix A.3: neither salt nor info. */
static const uint8_t ikm[22] = { 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
	0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
	0x0b, 0x0b };
const uint8_t make_derived_value[MAKE_DERIVED_LEN] = { 0x8d, 0xa4, 0xe7, 0x75,
	0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80, 0x2a, 0x06, 0x3c, 0x5a, 0x31,
	0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1, 0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f,
	0x3c, 0x73, 0x8d, 0x2d, 0x9d, 0x20, 0x13, 0x95, 0xfa, 0xa4, 0xb6, 0x1a,
	0x96, 0xc8 };

/* The generator of P-256, and so the public key of 1 (FIPS 186-4 D.1.2.3). */
static const uint8_t scalar[32] = { [31] = 1 };
static const uint8_t point[67] = { 0x04, 65, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1,
	0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77,
	0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8,
	0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e,
	0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b,
	0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5 };

/* Attributes point to what may be written, and nobody does. */
static CK_ATTRIBUTE
attr(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
	union {
		const void *in;
		void *out;
	} v = { .in = value };

	return (CK_ATTRIBUTE){ type, v.out, len };
}

static CK_ATTRIBUTE
name(const char *label)
{
	return attr(CKA_LABEL, label, strlen(label));
}

int
make_data(struct token *t, const struct caller *c, const char *label,
    const char *value, bool private, struct why *why)
{
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_DATA),
		BOOL_ATTR(CKA_TOKEN, true),
		BOOL_ATTR(CKA_PRIVATE, private),
		name(label),
		attr(CKA_VALUE, value, strlen(value)),
	};
	CK_OBJECT_HANDLE h;

	return token_create(t, c, templ, COUNT(templ), &h, why);
}

int
make_pair(struct token *t, const struct caller *c, const char *label,
    struct why *why)
{
	CK_MECHANISM mech = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE pub[] = { BYTES_ATTR(CKA_EC_PARAMS, p256),
		BOOL_ATTR(CKA_TOKEN, true), name(label) };
	CK_ATTRIBUTE priv[] = { BOOL_ATTR(CKA_TOKEN, true), name(label) };
	CK_OBJECT_HANDLE h[2];

	return token_generate_pair(t, c, &mech, pub, COUNT(pub), priv,
	    COUNT(priv), &h[0], &h[1], why);
}

/* One whose value can be looked at. */
static int
make_open(struct token *t, const struct caller *c, CK_KEY_TYPE type,
    struct span value, const char *label, CK_OBJECT_HANDLE *ret,
    struct why *why)
{
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, type),
		attr(CKA_VALUE, value.data, value.len),
		BOOL_ATTR(CKA_TOKEN, label != NULL),
		BOOL_ATTR(CKA_UNWRAP, true),
		BOOL_ATTR(CKA_DERIVE, true),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		BOOL_ATTR(CKA_SENSITIVE, false),
		name(label != NULL ? label : ""),
	};

	return token_create(t, c, templ, COUNT(templ), ret, why);
}

int
make_key(struct token *t, const struct caller *c, const char *label,
    struct why *why)
{
	CK_OBJECT_HANDLE h;

	return make_open(t, c, CKK_AES,
	    span(make_secret_value, MAKE_SECRET_LEN), label, &h, why);
}

int
make_unwrapping(struct token *t, const struct caller *c, CK_OBJECT_HANDLE *ret,
    struct why *why)
{
	return make_open(t, c, CKK_AES, span(kek, sizeof(kek)), NULL, ret, why);
}

int
make_base(struct token *t, const struct caller *c, CK_OBJECT_HANDLE *ret,
    struct why *why)
{
	return make_open(t, c, CKK_HKDF, span(ikm, sizeof(ikm)), NULL, ret,
	    why);
}

/* Templates of n attributes, one after the other. */
static int
create(struct token *t, const struct caller *c, const CK_ATTRIBUTE *templ,
    size_t n, size_t objects, struct why *why)
{
	struct token_template v[TOKEN_CREATE_MAX];
	CK_OBJECT_HANDLE h[TOKEN_CREATE_MAX];

	for (size_t i = 0; i < objects; i++)
		v[i] = (struct token_template){ &templ[i * n], n };
	return token_create_all(t, c, v, objects, h, why);
}

#define PRIVATE(label)                                                         \
	ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),                                \
	    ULONG_ATTR(CKA_KEY_TYPE, CKK_EC), BYTES_ATTR(CKA_EC_PARAMS, p256), \
	    BOOL_ATTR(CKA_TOKEN, true),                                        \
	    attr(CKA_VALUE, scalar, sizeof(scalar)), name(label)
#define PUBLIC(label, token)                                                   \
	ULONG_ATTR(CKA_CLASS, CKO_PUBLIC_KEY),                                 \
	    ULONG_ATTR(CKA_KEY_TYPE, CKK_EC), BYTES_ATTR(CKA_EC_PARAMS, p256), \
	    BOOL_ATTR(CKA_TOKEN, token),                                       \
	    attr(CKA_EC_POINT, point, sizeof(point)), name(label)
#define CERTIFICATE(label, der)                                                \
	ULONG_ATTR(CKA_CLASS, CKO_CERTIFICATE),                                \
	    ULONG_ATTR(CKA_CERTIFICATE_TYPE, CKC_X_509),                       \
	    BOOL_ATTR(CKA_PRIVATE, false), BOOL_ATTR(CKA_TOKEN, true),         \
	    attr(CKA_VALUE, (der).data, (der).len), name(label)
#define ATTRS 6 /* of each */

int
make_certificate(struct token *t, const struct caller *c, const char *label,
    struct span der, struct why *why)
{
	const CK_ATTRIBUTE templ[ATTRS] = { CERTIFICATE(label, der) };

	return create(t, c, templ, ATTRS, 1, why);
}

int
make_private(struct token *t, const struct caller *c, const char *label,
    struct why *why)
{
	const CK_ATTRIBUTE templ[ATTRS] = { PRIVATE(label) };

	return create(t, c, templ, ATTRS, 1, why);
}

int
make_public(struct token *t, const struct caller *c, const char *label,
    bool token, struct why *why)
{
	const CK_ATTRIBUTE templ[ATTRS] = { PUBLIC(label, token) };

	return create(t, c, templ, ATTRS, 1, why);
}

int
make_three(struct token *t, const struct caller *c, const char *label,
    struct span der, struct why *why)
{
	const CK_ATTRIBUTE templ[3 * ATTRS] = { PRIVATE(label),
		PUBLIC(label, true), CERTIFICATE(label, der) };

	return create(t, c, templ, ATTRS, 3, why);
}

int
make_unwrapped(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE unwrapping, const char *label, struct why *why)
{
	CK_MECHANISM mech = { CKM_AES_KEY_WRAP, NULL, 0 };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		BOOL_ATTR(CKA_TOKEN, true),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		BOOL_ATTR(CKA_SENSITIVE, false),
		name(label),
	};
	CK_OBJECT_HANDLE h;

	return token_unwrap(t, c, &mech, unwrapping,
	    span(wrapped, sizeof(wrapped)), templ, COUNT(templ), &h, why);
}

int
make_derived(struct token *t, const struct caller *c, CK_OBJECT_HANDLE base,
    const char *label, struct why *why)
{
	CK_HKDF_PARAMS p = { CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL,
		NULL, 0, 0, NULL, 0 };
	CK_MECHANISM mech = { CKM_HKDF_DERIVE, &p, sizeof(p) };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		ULONG_ATTR(CKA_VALUE_LEN, MAKE_DERIVED_LEN),
		BOOL_ATTR(CKA_TOKEN, true),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		BOOL_ATTR(CKA_SENSITIVE, false),
		name(label),
	};
	CK_OBJECT_HANDLE h;

	return token_derive(t, c, &mech, base, templ, COUNT(templ), &h, why);
}

void
make_cert_der(struct blob *ret)
{
	const struct cert_spec spec = { .cn = "web",
		.serial = 1,
		.from = 1700000000,
		.until = 1900000000,
		.version = X509_VERSION_3,
		.sign = { .md = "SHA256" } };
	EVP_PKEY *key = maker_ec("P-256");
	X509 *x = maker_cert(&spec, key, NULL, key);

	maker_cert_der(x, ret);
	X509_free(x);
	EVP_PKEY_free(key);
}
