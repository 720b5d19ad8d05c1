/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>

#include "token/mech.h"

/* Parameters of authenticated encryption, and of GMAC. */

/* Tags below 96 bits are for applications that SP 800-38D appendix C names,
 * and the token cannot know whether this is one. */
#define GCM_IV_MAX 128

int
parse_gcm(const CK_MECHANISM *in, const struct mech *m, struct mech_params *ret,
    struct writer *w, struct why *reterr_why)
{
	CK_GCM_PARAMS p;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	if (p.ulIvLen == 0)
		return param_refuse(reterr_why, m, "ulIvLen", "1 to 128 bytes",
		    "0");
	if (p.ulTagBits < 96 || p.ulTagBits > 128 || p.ulTagBits % 8 != 0)
		return param_refuse(reterr_why, m, "ulTagBits",
		    "96, 104, 112, 120 or 128", "%lu", p.ulTagBits);
	err = param_bytes(m, "pIv", p.pIv, p.ulIvLen, GCM_IV_MAX, &ret->iv,
	    reterr_why);
	if (err == CVM_OK)
		err = param_bytes(m, "pAAD", p.pAAD, p.ulAADLen, ATTR_VALUE_MAX,
		    &ret->aad, reterr_why);
	if (err != CVM_OK)
		return err;
	ret->tag_len = p.ulTagBits / 8;
	if (w->off)
		return CVM_OK;
	write_field(w, blob_span(&ret->iv));
	write_field(w, blob_span(&ret->aad));
	write_be64(w, p.ulTagBits);
	return CVM_OK;
}

/* SP 800-38C section A.1. Short tags are the application's own choice, as
 * with general MACs. */
int
parse_ccm(const CK_MECHANISM *in, const struct mech *m, struct mech_params *ret,
    struct writer *w, struct why *reterr_why)
{
	CK_CCM_PARAMS p;
	size_t q;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	if (p.ulNonceLen < 7 || p.ulNonceLen > 13)
		return param_refuse(reterr_why, m, "ulNonceLen",
		    "7 to 13 bytes", "%lu", p.ulNonceLen);
	/* The length has to fit the bytes that the nonce leaves for it. */
	q = 15 - p.ulNonceLen;
	if (p.ulDataLen > INT_MAX ||
	    (q < sizeof(uint64_t) && (uint64_t)p.ulDataLen >> (8 * q) != 0))
		return param_refuse(reterr_why, m, "ulDataLen",
		    "what nonce and memory allow", "%lu", p.ulDataLen);
	if (p.ulMACLen < 4 || p.ulMACLen > 16 || p.ulMACLen % 2 != 0)
		return param_refuse(reterr_why, m, "ulMACLen",
		    "4, 6, 8, 10, 12, 14 or 16 bytes", "%lu", p.ulMACLen);
	err = param_bytes(m, "pNonce", p.pNonce, p.ulNonceLen, 13, &ret->iv,
	    reterr_why);
	if (err == CVM_OK)
		err = param_bytes(m, "pAAD", p.pAAD, p.ulAADLen, ATTR_VALUE_MAX,
		    &ret->aad, reterr_why);
	if (err != CVM_OK)
		return err;
	ret->tag_len = p.ulMACLen;
	ret->data_len = p.ulDataLen;
	write_be64(w, p.ulDataLen);
	write_field(w, blob_span(&ret->iv));
	write_field(w, blob_span(&ret->aad));
	write_be64(w, p.ulMACLen);
	return CVM_OK;
}

/* RFC 8439: the nonce of 96 bits; the other two of PKCS#11 are not it. */
int
parse_chacha(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_SALSA20_CHACHA20_POLY1305_PARAMS p;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	if (p.ulNonceLen != 12)
		return param_refuse(reterr_why, m, "ulNonceLen", "12 bytes",
		    "%lu", p.ulNonceLen);
	err = param_bytes(m, "pNonce", p.pNonce, p.ulNonceLen, 12, &ret->iv,
	    reterr_why);
	if (err == CVM_OK)
		err = param_bytes(m, "pAAD", p.pAAD, p.ulAADLen, ATTR_VALUE_MAX,
		    &ret->aad, reterr_why);
	if (err != CVM_OK)
		return err;
	ret->tag_len = 16;
	if (w->off)
		return CVM_OK;
	write_field(w, blob_span(&ret->iv));
	write_field(w, blob_span(&ret->aad));
	return CVM_OK;
}

/* The nonce alone (PKCS#11 section 6.13.6). */
int
parse_gmac(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	int err;

	if (in->ulParameterLen != 12)
		return param_refuse(reterr_why, m, "IV", "12 bytes",
		    "%lu bytes", in->ulParameterLen);
	err = param_bytes(m, "IV", in->pParameter, 12, 12, &ret->iv,
	    reterr_why);
	if (err != CVM_OK)
		return err;
	write_bytes(w, blob_span(&ret->iv));
	return CVM_OK;
}
