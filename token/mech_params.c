/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "token/mech.h"

/*
 * Parameters come from the application's memory: sizes are checked, nested
 * pointers are copied. What is written to w is the encoding that an operation
 * is bound to: numbers as u64, byte strings with their length.
 */

void
mech_params_clear(struct mech_params *p)
{
	secret_freep(&p->password);
	freep(&p->parts);
	freep(&p->more);
	blob_clear(&p->iv);
	blob_clear(&p->aad);
	blob_clear(&p->encoded);
}

int
param_refuse(struct why *why, const struct mech *m, const char *field,
    const char *expected, const char *fmt, ...)
{
	char got[64];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(got, sizeof(got), fmt, ap);
	va_end(ap);
	return mech_refuse(why, CVM_E_MECH_PARAM, m, field, expected, got);
}

int
param_struct(const CK_MECHANISM *in, const struct mech *m, void *out,
    size_t len, struct why *why)
{
	char size[48];

	if (in->pParameter == NULL || in->ulParameterLen != len) {
		(void)snprintf(size, sizeof(size), "a structure of %zu bytes",
		    len);
		return param_refuse(why, m, "parameter", size, "%s%lu bytes",
		    in->pParameter == NULL ? "NULL, " : "", in->ulParameterLen);
	}
	memcpy(out, in->pParameter, len);
	return CVM_OK;
}

int
param_bytes(const struct mech *m, const char *field, const void *data,
    CK_ULONG len, size_t max, struct blob *ret, struct why *why)
{
	char limit[48];

	if (len > max || (len > 0 && data == NULL)) {
		(void)snprintf(limit, sizeof(limit), "at most %zu bytes", max);
		return param_refuse(why, m, field, limit, "%s%lu bytes",
		    data == NULL ? "NULL, " : "", len);
	}
	return blob_set(ret, span(data, len));
}

int
parse_none(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	(void)ret;
	(void)w;
	return in->ulParameterLen == 0 ?
	    CVM_OK :
	    param_refuse(reterr_why, m, "parameter", "none", "%lu bytes",
		in->ulParameterLen);
}

int
parse_pss(const CK_MECHANISM *in, const struct mech *m, struct mech_params *ret,
    struct writer *w, struct why *reterr_why)
{
	CK_RSA_PKCS_PSS_PARAMS p;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	ret->hash = digest_by_mech(p.hashAlg);
	ret->mgf = digest_by_mgf(p.mgf);
	ret->salt_len = p.sLen;
	if (digest_get(ret->hash) == NULL)
		return param_refuse(reterr_why, m, "hashAlg", "a known hash",
		    "0x%lx", p.hashAlg);
	if (m->digest != DIGEST_NONE && (int)ret->hash != m->digest)
		return param_refuse(reterr_why, m, "hashAlg",
		    "the mechanism's own", "0x%lx", p.hashAlg);
	if (digest_get(ret->mgf) == NULL)
		return param_refuse(reterr_why, m, "mgf", "a known MGF1",
		    "0x%lx", p.mgf);
	if (p.sLen > PARAM_BYTES_MAX)
		return param_refuse(reterr_why, m, "sLen",
		    "less than the modulus", "%lu bytes", p.sLen);
	write_be64(w, p.hashAlg);
	write_be64(w, p.mgf);
	write_be64(w, p.sLen);
	return CVM_OK;
}

static int
read_oaep(const CK_RSA_PKCS_OAEP_PARAMS *p, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *why)
{
	int err;

	ret->hash = digest_by_mech(p->hashAlg);
	ret->mgf = digest_by_mgf(p->mgf);
	if (digest_get(ret->hash) == NULL)
		return param_refuse(why, m, "hashAlg", "a known hash", "0x%lx",
		    p->hashAlg);
	if (digest_get(ret->mgf) == NULL)
		return param_refuse(why, m, "mgf", "a known MGF1", "0x%lx",
		    p->mgf);
	/* No source and no data is an empty label, as many write it. */
	if (p->source != CKZ_DATA_SPECIFIED &&
	    !(p->source == 0 && p->ulSourceDataLen == 0))
		return param_refuse(why, m, "source", "CKZ_DATA_SPECIFIED",
		    "0x%lx", p->source);
	err = param_bytes(m, "pSourceData", p->pSourceData, p->ulSourceDataLen,
	    PARAM_BYTES_MAX, &ret->aad, why);
	if (err != CVM_OK)
		return err;
	write_be64(w, p->hashAlg);
	write_be64(w, p->mgf);
	write_be64(w, p->source);
	write_field(w, blob_span(&ret->aad));
	return CVM_OK;
}

int
parse_oaep(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_RSA_PKCS_OAEP_PARAMS p;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	return err == CVM_OK ? read_oaep(&p, m, ret, w, reterr_why) : err;
}

int
parse_rsa_aes(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_RSA_AES_KEY_WRAP_PARAMS p;
	CK_RSA_PKCS_OAEP_PARAMS oaep;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	if (p.ulAESKeyBits != 128 && p.ulAESKeyBits != 192 &&
	    p.ulAESKeyBits != 256)
		return param_refuse(reterr_why, m, "ulAESKeyBits",
		    "128, 192 or 256", "%lu", p.ulAESKeyBits);
	if (p.pOAEPParams == NULL)
		return param_refuse(reterr_why, m, "pOAEPParams",
		    "the parameters of OAEP", "NULL");
	memcpy(&oaep, p.pOAEPParams, sizeof(oaep));
	ret->aes_bits = p.ulAESKeyBits;
	write_be64(w, p.ulAESKeyBits);
	return read_oaep(&oaep, m, ret, w, reterr_why);
}

int
parse_iv16(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	if (in->ulParameterLen != 16)
		return param_refuse(reterr_why, m, "IV", "16 bytes",
		    "%lu bytes", in->ulParameterLen);
	write_bytes(w, span(in->pParameter, in->pParameter == NULL ? 0 : 16));
	return param_bytes(m, "IV", in->pParameter, 16, 16, &ret->iv,
	    reterr_why);
}

int
parse_ctr(const CK_MECHANISM *in, const struct mech *m, struct mech_params *ret,
    struct writer *w, struct why *reterr_why)
{
	CK_AES_CTR_PARAMS p;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	if (p.ulCounterBits == 0 || p.ulCounterBits > 128)
		return param_refuse(reterr_why, m, "ulCounterBits", "1 to 128",
		    "%lu", p.ulCounterBits);
	ret->counter_bits = p.ulCounterBits;
	write_be64(w, p.ulCounterBits);
	write_bytes(w, span(p.cb, sizeof(p.cb)));
	return blob_set(&ret->iv, span(p.cb, sizeof(p.cb)));
}

int
parse_mac_len(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	size_t max = m->digest == DIGEST_NONE ?
	    16 :
	    digest_len((enum digest)m->digest);
	CK_MAC_GENERAL_PARAMS len = 0;
	int err = param_struct(in, m, &len, sizeof(len), reterr_why);

	if (err != CVM_OK)
		return err;
	/* Shorter ones can be found by trying. */
	if (len < 4 || len > max)
		return param_refuse(reterr_why, m, "length",
		    "4 bytes to those of the MAC", "%lu bytes", len);
	ret->tag_len = len;
	write_be64(w, len);
	return CVM_OK;
}

/*
 * Without parameter: Ed25519 and, as commonly meant, Ed448. With one, for
 * Ed25519: Ed25519ctx, whose context is not empty, or Ed25519ph (RFC 8032
 * section 5.1). What OpenSSL has of it is told where the key is known.
 */
#define CONTEXT_MAX 255

int
parse_eddsa(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_EDDSA_PARAMS p;
	int err;

	if (in->ulParameterLen == 0)
		return CVM_OK;
	err = param_struct(in, m, &p, sizeof(p), reterr_why);
	if (err != CVM_OK)
		return err;
	if (p.phFlag > CK_TRUE)
		return param_refuse(reterr_why, m, "phFlag", "TRUE or FALSE",
		    "%u", p.phFlag);
	err = param_bytes(m, "pContextData", p.pContextData, p.ulContextDataLen,
	    CONTEXT_MAX, &ret->aad, reterr_why);
	if (err != CVM_OK)
		return err;
	ret->given = true;
	ret->prehash = p.phFlag == CK_TRUE;
	write_u8(w, p.phFlag);
	write_field(w, blob_span(&ret->aad));
	return CVM_OK;
}

/* FIPS 204 section 5.2, FIPS 205 section 10.2. */
int
parse_context(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_SIGN_ADDITIONAL_CONTEXT p;
	int err;

	if (in->ulParameterLen == 0)
		return CVM_OK;
	err = param_struct(in, m, &p, sizeof(p), reterr_why);
	if (err != CVM_OK)
		return err;
	if (p.hedgeVariant > CKH_DETERMINISTIC_REQUIRED)
		return param_refuse(reterr_why, m, "hedgeVariant",
		    "CKH_HEDGE_PREFERRED, _REQUIRED or "
		    "CKH_DETERMINISTIC_REQUIRED",
		    "%lu", p.hedgeVariant);
	err = param_bytes(m, "pContext", p.pContext, p.ulContextLen,
	    CONTEXT_MAX, &ret->aad, reterr_why);
	if (err != CVM_OK)
		return err;
	ret->deterministic = p.hedgeVariant == CKH_DETERMINISTIC_REQUIRED;
	write_be64(w, p.hedgeVariant);
	write_field(w, blob_span(&ret->aad));
	return CVM_OK;
}

/* The initial value of RFC 3394 and RFC 5649, or one of the caller's. */
int
parse_wrap_iv(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	size_t len = m->cipher == CIPHER_KWP ? 4 : 8;

	if (in->ulParameterLen == 0)
		return CVM_OK;
	if (in->ulParameterLen != len || in->pParameter == NULL)
		return param_refuse(reterr_why, m, "IV",
		    "none, or 8 bytes (KWP: 4)", "%lu bytes",
		    in->ulParameterLen);
	write_bytes(w, span(in->pParameter, len));
	return blob_set(&ret->iv, span(in->pParameter, len));
}

int
mech_params_digest(const struct mech_params *p, uint8_t out[static SHA256_LEN])
{
	if (!p->bound)
		return CVM_E_INVAL;
	return hash(HASH_SHA256, blob_span(&p->encoded), out);
}

int
mech_params_read(const CK_MECHANISM *in, const struct mech *m, bool bound,
    struct mech_params *ret, struct why *reterr_why)
{
	_cleanup_(writer_clear) struct writer w = { .off = !bound };
	int err;

	*ret = (struct mech_params){ .hash = DIGEST_NONE,
		.mgf = DIGEST_NONE,
		.bound = bound };
	err = m->ops->parse(in, m, ret, &w, reterr_why);
	if (err == CVM_OK)
		err = writer_end(&w, &ret->encoded);
	if (err != CVM_OK)
		mech_params_clear(ret);
	return err;
}

int
mech_params_again(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *p, struct why *reterr_why)
{
	struct writer w = { .off = true };
	int err;

	/* What a parser leaves as it is where there is no parameter. */
	p->given = p->prehash = p->deterministic = false;
	p->aad.len = in->ulParameterLen > 0 ? p->aad.len : 0;
	err = m->ops->parse(in, m, p, &w, reterr_why);
	if (err != CVM_OK)
		mech_params_clear(p);
	return err;
}
