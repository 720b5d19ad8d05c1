/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "tests/fuzz/api.h"

/*
 * Parameters, each in well-formed memory, and each only where the module reads
 * that structure: others are as long, and have a number where it has a pointer.
 */
enum form {
	FORM_PLAIN,
	FORM_PSS,
	FORM_OAEP,
	FORM_RSA_AES,
	FORM_GCM,
	FORM_CCM,
	FORM_CHACHA,
	FORM_CTR,
	FORM_ECDH,
	FORM_EDDSA,
	FORM_HKDF,
	FORM_SP800,
	FORM_PBKDF2,
	FORM_CONTEXT,
};

static enum form
form_of(CK_MECHANISM_TYPE type)
{
	static const struct {
		CK_MECHANISM_TYPE type;
		enum form form;
	} forms[] = {
		{ CKM_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA1_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA224_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA256_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA384_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA512_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA3_224_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA3_256_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA3_384_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_SHA3_512_RSA_PKCS_PSS, FORM_PSS },
		{ CKM_RSA_PKCS_OAEP, FORM_OAEP },
		{ CKM_RSA_AES_KEY_WRAP, FORM_RSA_AES },
		{ CKM_AES_GCM, FORM_GCM },
		{ CKM_AES_CCM, FORM_CCM },
		{ CKM_CHACHA20_POLY1305, FORM_CHACHA },
		{ CKM_AES_CTR, FORM_CTR },
		{ CKM_ECDH1_DERIVE, FORM_ECDH },
		{ CKM_ECDH1_COFACTOR_DERIVE, FORM_ECDH },
		{ CKM_EDDSA, FORM_EDDSA },
		{ CKM_HKDF_DERIVE, FORM_HKDF },
		{ CKM_HKDF_DATA, FORM_HKDF },
		{ CKM_SP800_108_COUNTER_KDF, FORM_SP800 },
		{ CKM_PKCS5_PBKD2, FORM_PBKDF2 },
		{ CKM_ML_DSA, FORM_CONTEXT },
		{ CKM_SLH_DSA, FORM_CONTEXT },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].type == type)
			return forms[i].form;
	return FORM_PLAIN;
}

#define PUT(m, type, ...)                                                      \
	do {                                                                   \
		type *p_ = hold(sizeof(type));                                 \
		*p_ = (type){ __VA_ARGS__ };                                   \
		(m)->pParameter = p_;                                          \
		(m)->ulParameterLen = sizeof(type);                            \
	} while (0)

static const CK_MECHANISM_TYPE hashes[] = { CKM_SHA256, CKM_SHA_1, CKM_SHA384,
	CKM_SHA3_256, CKM_AES_ECB };
static const CK_RSA_PKCS_MGF_TYPE mgfs[] = { CKG_MGF1_SHA256, CKG_MGF1_SHA1,
	CKG_MGF1_SHA384, 0, 99 };

static CK_RSA_PKCS_OAEP_PARAMS *
take_oaep(struct reader *r)
{
	struct span label = take_data(r);
	uint8_t n = read_u8(r);
	CK_RSA_PKCS_OAEP_PARAMS *p = hold(sizeof(*p));

	*p = (CK_RSA_PKCS_OAEP_PARAMS){ .hashAlg = hashes[n % 5],
		.mgf = mgfs[n / 5 % 5],
		.source = n < 200 ? CKZ_DATA_SPECIFIED : n % 2,
		.pSourceData = (void *)bytes_of(label),
		.ulSourceDataLen = label.len };
	return p;
}

/* For use, for messages, and for wrapping. */
static void
put_gcm(struct reader *r, CK_MECHANISM *m)
{
	struct span iv = take_data(r), more = take_data(r);
	uint8_t n = read_u8(r);
	CK_ULONG bits = n < 200 ? 128 : n;

	if (n % 4 == 1)
		PUT(m, CK_GCM_MESSAGE_PARAMS, bytes_of(iv), iv.len, n / 4u,
		    n % 7, hold(16), 128);
	else if (n % 4 == 2)
		PUT(m, CK_GCM_WRAP_PARAMS, bytes_of(iv), iv.len, n / 4u, n % 7,
		    bytes_of(more), more.len, bits);
	else
		PUT(m, CK_GCM_PARAMS, bytes_of(iv), iv.len, iv.len * 8,
		    bytes_of(more), more.len, bits);
}

static void
put_ccm(struct reader *r, CK_MECHANISM *m)
{
	struct span iv = take_data(r), more = take_data(r);
	uint8_t n = read_u8(r), len = read_u8(r);

	if (n % 4 == 1)
		PUT(m, CK_CCM_MESSAGE_PARAMS, len, bytes_of(iv), iv.len, n / 4u,
		    n % 7, hold(16), 16);
	else if (n % 4 == 2)
		PUT(m, CK_CCM_WRAP_PARAMS, len, bytes_of(iv), iv.len, n / 4u,
		    n % 7, bytes_of(more), more.len, 16);
	else
		PUT(m, CK_CCM_PARAMS, len, bytes_of(iv), iv.len, bytes_of(more),
		    more.len, n < 200 ? 16 : n % 32);
}

static void
put_chacha(struct reader *r, CK_MECHANISM *m)
{
	struct span nonce = take_data(r), aad = take_data(r);

	if (read_u8(r) % 4 == 1)
		PUT(m, CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS, bytes_of(nonce),
		    nonce.len, hold(16));
	else
		PUT(m, CK_SALSA20_CHACHA20_POLY1305_PARAMS, bytes_of(nonce),
		    nonce.len, bytes_of(aad), aad.len);
}

/* Keys beside that of the call. */
static CK_DERIVED_KEY *
take_derived(struct reader *r, CK_ULONG n)
{
	CK_DERIVED_KEY *k = hold(n * sizeof(*k));

	for (CK_ULONG i = 0; i < n; i++) {
		uint8_t form = read_u8(r);

		k[i].pTemplate = take_template(r, &k[i].ulAttributeCount,
		    /* depth= */ 1);
		if (form > 250)
			k[i].pTemplate = NULL;
		k[i].phKey = form == 250 ? NULL : hold(sizeof(*k[i].phKey));
	}
	return k;
}

/* Parts of all kinds, and of none. */
static void
put_sp800(struct reader *r, CK_MECHANISM *m)
{
	CK_ULONG n = read_u8(r) % 8;
	uint8_t prf = read_u8(r);
	CK_PRF_DATA_PARAM *part = hold(n * sizeof(*part));
	CK_ULONG more = prf / 128 * (prf / 4 % 4u);
	struct span s;

	for (CK_ULONG i = 0; i < n; i++) {
		uint8_t type = read_u8(r) % 6, bits = read_u8(r);

		if (type == CK_SP800_108_ITERATION_VARIABLE) {
			CK_SP800_108_COUNTER_FORMAT *c = hold(sizeof(*c));

			*c = (CK_SP800_108_COUNTER_FORMAT){ bits & 1,
				bits & 0xf8 };
			part[i] = (CK_PRF_DATA_PARAM){ type, c, sizeof(*c) };
		} else if (type == CK_SP800_108_DKM_LENGTH) {
			CK_SP800_108_DKM_LENGTH_FORMAT *d = hold(sizeof(*d));

			*d = (CK_SP800_108_DKM_LENGTH_FORMAT){ bits % 4,
				bits & 1, bits & 0xf8 };
			part[i] = (CK_PRF_DATA_PARAM){ type, d, sizeof(*d) };
		} else {
			s = take_data(r);
			part[i] = (CK_PRF_DATA_PARAM){ type,
				(void *)bytes_of(s), s.len };
		}
	}
	PUT(m, CK_SP800_108_KDF_PARAMS,
	    prf % 4 == 0     ? CKM_AES_CMAC :
		prf % 4 == 1 ? CKM_SHA256_HMAC :
			       prf,
	    n, part, more, prf > 250 ? NULL : take_derived(r, more));
}

/* The older form has a pointer to the password's length. */
static void
put_pbkdf2(struct reader *r, CK_MECHANISM *m)
{
	struct span salt = take_data(r), password = take_data(r);
	uint8_t n = read_u8(r);
	CK_ULONG *len = hold(sizeof(*len));

	*len = password.len;
	PUT(m, CK_PKCS5_PBKD2_PARAMS2,
	    .saltSource = n < 240 ? CKZ_SALT_SPECIFIED : n,
	    .pSaltSourceData = (void *)bytes_of(salt),
	    .ulSaltSourceDataLen = salt.len, .iterations = n % 50,
	    .prf = n % 11, .pPassword = (void *)bytes_of(password),
	    .ulPasswordLen = n % 5 == 0 ? CAST_PTR(len) :
		n % 7 == 0		? (CK_ULONG)n << 40 :
					  password.len);
}

static void
put_form(struct reader *r, CK_MECHANISM *m, enum form form)
{
	struct span a, b;
	uint8_t n;

	switch (form) {
	case FORM_OAEP:
		m->pParameter = take_oaep(r);
		m->ulParameterLen = sizeof(CK_RSA_PKCS_OAEP_PARAMS);
		return;
	case FORM_RSA_AES:
		n = read_u8(r);
		PUT(m, CK_RSA_AES_KEY_WRAP_PARAMS, n < 200 ? 256u : n,
		    n % 5 == 4 ? NULL : take_oaep(r));
		return;
	case FORM_GCM:
		put_gcm(r, m);
		return;
	case FORM_CCM:
		put_ccm(r, m);
		return;
	case FORM_CHACHA:
		put_chacha(r, m);
		return;
	case FORM_SP800:
		put_sp800(r, m);
		return;
	case FORM_PBKDF2:
		put_pbkdf2(r, m);
		return;
	default:
		break;
	}
	a = take_data(r);
	b = take_data(r);
	n = read_u8(r);
	if (form == FORM_PSS)
		PUT(m, CK_RSA_PKCS_PSS_PARAMS, hashes[n % 5], mgfs[n / 5 % 5],
		    n < 200 ? 32 : a.len);
	else if (form == FORM_CTR)
		PUT(m, CK_AES_CTR_PARAMS, n, { 1, 2, 3, n });
	else if (form == FORM_ECDH)
		PUT(m, CK_ECDH1_DERIVE_PARAMS, n % 24, a.len, bytes_of(a),
		    b.len, bytes_of(b));
	else if (form == FORM_EDDSA)
		PUT(m, CK_EDDSA_PARAMS, n % 3, a.len, bytes_of(a));
	else if (form == FORM_HKDF)
		PUT(m, CK_HKDF_PARAMS, n & 1, n >> 1 & 1, hashes[n / 4 % 5],
		    n % 6, bytes_of(a), a.len, a_key(n), bytes_of(b), b.len);
	else if (form == FORM_CONTEXT)
		PUT(m, CK_SIGN_ADDITIONAL_CONTEXT, n % 4, bytes_of(a), a.len);
	else
		PUT(m, CK_ULONG, a.len);
}

void
take_params(struct reader *r, CK_MECHANISM *m)
{
	struct span a;
	uint8_t n = read_u8(r);

	if (n == 0)
		return;
	if (n == 1) { /* as it comes; without room for a pointer and a number */
		a = take_data(r);
		m->pParameter = bytes_of(a);
		m->ulParameterLen = a.len > 15 ? 15 : a.len;
		return;
	}
	if (n == 2 && form_of(m->mechanism) == FORM_PLAIN) {
		m->pParameter = memset(hold(16), 7, 16);
		m->ulParameterLen = 16;
		return;
	}
	put_form(r, m, form_of(m->mechanism));
	if (n > 248) /* less than a number less: no other structure */
		m->ulParameterLen -= n - 248u;
}
