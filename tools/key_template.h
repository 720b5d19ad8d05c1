/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_KEY_TEMPLATE_H
#define TOOLS_KEY_TEMPLATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/pkcs11.h"
#include "base/secret.h"

/*
 * A key as C_CreateObject wants it: the attributes of its private or public
 * object. Values are in one block that is wiped with the template.
 */
#define KEY_TEMPLATE_ATTRS 20
#define KEY_TEMPLATE_BYTES (24 * 1024)

struct key_template {
	CK_ATTRIBUTE a[KEY_TEMPLATE_ATTRS];
	CK_ULONG n;
	struct secret *bytes;
	size_t used;
};

/* CVM_E_KEY_TYPE unless key is an RSA key of two primes, or an EC key on a
 * named curve, whose halves belong together; name is the file's. */
int key_template_check(EVP_PKEY *key, const char *name,
    struct why *reterr_why) _must_check_;
/* Of a key that was checked. */
int key_template_private(EVP_PKEY *key, struct key_template *ret) _must_check_;
int key_template_public(EVP_PKEY *key, struct key_template *ret) _must_check_;
int key_template_cert(X509 *cert, struct key_template *ret) _must_check_;
/* One more attribute, copied. */
int key_template_add(struct key_template *t, CK_ATTRIBUTE_TYPE type,
    struct span value) _must_check_;
void key_template_clear(struct key_template *t);

#endif
