/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>

#include "token/prf.h"

static OSSL_PARAM
name_param(const char *key, const char *name)
{
	union {
		const char *in;
		char *out;
	} u = { .in = name };

	return OSSL_PARAM_construct_utf8_string(key, u.out, 0);
}

void
prf_close(struct prf *f)
{
	evp_mac_ctx_freep(&f->mac);
}

int
prf_open(enum digest d, struct span key, struct prf *ret)
{
	quiet_openssl();
	_cleanup_(evp_mac_ctx_freep) EVP_MAC_CTX *mac = NULL;
	bool cmac = d == DIGEST_NONE;
	const EVP_CIPHER *cipher = cmac ? cipher_get(CIPHER_CBC, key.len) :
					  NULL;
	OSSL_PARAM params[2] = { OSSL_PARAM_construct_end(),
		OSSL_PARAM_construct_end() };

	if (cmac && cipher == NULL)
		return CVM_E_KEY_SIZE;
	params[0] = cmac ?
	    name_param(OSSL_MAC_PARAM_CIPHER, EVP_CIPHER_get0_name(cipher)) :
	    name_param(OSSL_MAC_PARAM_DIGEST, digest_name(d));
	mac = EVP_MAC_CTX_new(cmac ? mac_cmac() : mac_hmac());
	if (mac == NULL)
		return CVM_E_NOMEM;
	/* A key of no bytes is one (RFC 5869); NULL would mean the last. */
	if (EVP_MAC_init(mac,
		key.len == 0 ? (const unsigned char *)"" : key.data, key.len,
		params) != 1)
		return CVM_E_CRYPTO;
	ret->mac = TAKE_PTR(mac);
	ret->len = cmac ? 16 : digest_len(d);
	return CVM_OK;
}

int
prf_run(struct prf *f, const struct span *parts, size_t n, uint8_t *out)
{
	quiet_openssl();
	size_t len;

	if (EVP_MAC_init(f->mac, /* key= */ NULL, 0, /* params= */ NULL) != 1)
		return CVM_E_CRYPTO;
	for (size_t i = 0; i < n; i++)
		if (parts[i].len > 0 &&
		    EVP_MAC_update(f->mac, parts[i].data, parts[i].len) != 1)
			return CVM_E_CRYPTO;
	return EVP_MAC_final(f->mac, out, &len, f->len) == 1 && len == f->len ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}
