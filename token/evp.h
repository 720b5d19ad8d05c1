/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_EVP_H
#define TOKEN_EVP_H

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/openssl.h"

/* Destructors of OpenSSL's objects, for _cleanup_. */
static inline void
pkey_freep(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
	*p = NULL;
}

static inline void
pkey_ctx_freep(EVP_PKEY_CTX **p)
{
	EVP_PKEY_CTX_free(*p);
	*p = NULL;
}

static inline void
evp_md_ctx_freep(EVP_MD_CTX **p)
{
	EVP_MD_CTX_free(*p);
	*p = NULL;
}

static inline void
evp_cipher_ctx_freep(EVP_CIPHER_CTX **p)
{
	EVP_CIPHER_CTX_free(*p);
	*p = NULL;
}

static inline void
evp_mac_ctx_freep(EVP_MAC_CTX **p)
{
	EVP_MAC_CTX_free(*p);
	*p = NULL;
}

/* Numbers may be private: they are wiped. */
static inline void
bn_freep(BIGNUM **p)
{
	BN_clear_free(*p);
	*p = NULL;
}

static inline void
x509_freep(X509 **p)
{
	X509_free(*p);
	*p = NULL;
}

#endif
