/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "token/ciphers.h"
#include "token/keys.h"
#include "token/template.h"

#define CHECK_VALUE_LEN 3
/* Whoever may not read a key may read its check value, and compare guesses
 * with it: keys that are shorter than this, the shortest of AES, have none. */
#define CHECKED_LEN_MIN 16

/* Bytes that a secret key of a type has. */
static const struct {
	CK_KEY_TYPE type;
	size_t min, max, step;
	const char *allowed;
} lengths[] = {
	{ CKK_AES, 16, 32, 8, "16, 24 or 32 bytes" },
	{ CKK_CHACHA20, 32, 32, 1, "32 bytes" },
	{ CKK_GENERIC_SECRET, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_HKDF, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA_1_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA224_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA256_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA384_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA512_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA3_224_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA3_256_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA3_384_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
	{ CKK_SHA3_512_HMAC, 1, 4096, 1, "1 to 4096 bytes" },
};

bool
secret_is_known(CK_KEY_TYPE key_type)
{
	for (size_t i = 0; i < NELEMS(lengths); i++)
		if (lengths[i].type == key_type)
			return true;
	return false;
}

size_t
secret_fixed_len(CK_KEY_TYPE key_type)
{
	for (size_t i = 0; i < NELEMS(lengths); i++)
		if (lengths[i].type == key_type)
			return lengths[i].min == lengths[i].max ?
			    lengths[i].min :
			    0;
	return 0;
}

int
secret_check_len(CK_KEY_TYPE key_type, size_t len, struct why *reterr_why)
{
	for (size_t i = 0; i < NELEMS(lengths); i++) {
		if (lengths[i].type != key_type)
			continue;
		if (len >= lengths[i].min && len <= lengths[i].max &&
		    len % lengths[i].step == 0)
			return CVM_OK;
		return why_setf(reterr_why, CVM_E_KEY_SIZE, "template",
		    "CKA_VALUE_LEN", lengths[i].allowed, "%zu", len);
	}
	return template_refuse(reterr_why, CVM_E_ATTR_VALUE, CKA_KEY_TYPE,
	    "a kind of secret key that is known here", "another");
}

/* AES: the first bytes of the encrypted zero block; others: of the SHA-1 of
 * the value (PKCS#11 section 4.10.2 and 2.8.4). */
static int
check_value(CK_KEY_TYPE key_type, struct span value,
    uint8_t out[static CHECK_VALUE_LEN])
{
	quiet_openssl();
	_cleanup_(evp_cipher_ctx_freep) EVP_CIPHER_CTX *ctx = NULL;
	uint8_t block[SHA512_LEN] = { 0 };
	int len, err = CVM_OK;

	if (key_type != CKK_AES) {
		err = hash(HASH_SHA1, value, block);
		memcpy(out, block, CHECK_VALUE_LEN);
		return err;
	}
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return CVM_E_NOMEM;
	if (EVP_EncryptInit_ex2(ctx, cipher_get(CIPHER_ECB, value.len),
		value.data, /* iv= */ NULL, /* params= */ NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, block, &len, block, 16) != 1)
		return CVM_E_CRYPTO;
	memcpy(out, block, CHECK_VALUE_LEN);
	return CVM_OK;
}

int
secret_describe(CK_KEY_TYPE key_type, struct span value, struct attrs *a,
    struct why *reterr_why)
{
	uint8_t kcv[CHECK_VALUE_LEN];
	int err = secret_check_len(key_type, value.len, reterr_why);

	if (err != CVM_OK)
		return err;
	if (attrs_ulong(a, CKA_VALUE_LEN, value.len) != value.len)
		return template_refuse(reterr_why, CVM_E_TEMPLATE_INCONSISTENT,
		    CKA_VALUE_LEN, "the length of the value", "another");
	err = attrs_set_ulong(a, CKA_VALUE_LEN, value.len);
	if (err == CVM_OK && value.len < CHECKED_LEN_MIN)
		return attrs_set(a, CKA_CHECK_VALUE, span("", 0));
	if (err == CVM_OK)
		err = check_value(key_type, value, kcv);
	if (err != CVM_OK)
		return err;
	return check_value_agree(a, span(kcv, sizeof(kcv)), reterr_why);
}
