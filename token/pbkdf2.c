/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/kdf.h>

#include "token/keys.h"
#include "token/mech.h"
#include "token/template.h"

/* CKM_PKCS5_PBKD2: a key out of a password (RFC 8018 section 5.2). */

static void
kdf_freep(EVP_KDF_CTX **k)
{
	EVP_KDF_CTX_free(*k);
	*k = NULL;
}

static OSSL_PARAM
bytes_param(const char *name, struct span s)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = s.data };

	return OSSL_PARAM_construct_octet_string(name, u.out, s.len);
}

static OSSL_PARAM
text_param(const char *name, const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { .in = text };

	return OSSL_PARAM_construct_utf8_string(name, u.out, 0);
}

static int
run(const struct mech_params *params, struct secret *out)
{
	_cleanup_(kdf_freep) EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(kdf_pbkdf2());
	uint64_t iterations = params->iterations;
	/* The checks of SP 800-132 are for who chooses the parameters. */
	int unchecked = 1;
	const OSSL_PARAM v[] = {
		bytes_param(OSSL_KDF_PARAM_PASSWORD,
		    secret_span(params->password)),
		bytes_param(OSSL_KDF_PARAM_SALT, blob_span(&params->iv)),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_ITER, &iterations),
		text_param(OSSL_KDF_PARAM_DIGEST, digest_name(params->hash)),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &unchecked),
		OSSL_PARAM_construct_end(),
	};

	if (kdf == NULL)
		return CVM_E_NOMEM;
	return EVP_KDF_derive(kdf, secret_data(out), secret_len(out), v) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

int
generate_pbkdf2(const struct mech *m, const struct mech_params *params,
    CK_KEY_TYPE type, struct attrs *a, struct secret **ret,
    struct why *reterr_why)
{
	quiet_openssl();
	_cleanup_(secret_freep) struct secret *s = NULL;
	size_t len = 0;
	int err = generate_len(type, a, &len, reterr_why);

	(void)m;
	if (err != CVM_OK)
		return err;
	s = secret_new(len);
	if (s == NULL)
		return CVM_E_NOMEM;
	err = run(params, s);
	if (err == CVM_OK)
		*ret = TAKE_PTR(s);
	return err;
}
