/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/blob.h"
#include "token/ciphers.h"

/*
 * A provider that takes every parameter and heeds none: what it is told of a
 * nonce is lost. Before anything is fetched, since that is when it is tried.
 */
int __wrap_EVP_CIPHER_CTX_set_params(EVP_CIPHER_CTX *ctx,
    const OSSL_PARAM params[]);

int
__wrap_EVP_CIPHER_CTX_set_params(EVP_CIPHER_CTX *ctx, const OSSL_PARAM params[])
{
	(void)ctx;
	(void)params;
	return 1;
}

static const uint8_t key[32] = { 9 }, text[20] = { 7 };

/* With a context of its own, as OpenSSL's manual has it. */
static void
usual(const EVP_CIPHER *cipher, const uint8_t *nonce, uint8_t out[static 20])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key, nonce, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, text, sizeof(text)),
	    1);
	EVP_CIPHER_CTX_free(ctx);
}

static void
nonce_used_twice(void **state)
{
	static const size_t key_lens[] = { 16, 24, 32 };
	uint8_t nonce[12] = { 0 }, out[20], expected[20], before[20] = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEMS(key_lens); i++) {
		const EVP_CIPHER *cipher = cipher_get(CIPHER_GCM, key_lens[i]);
		EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
		int n;

		assert_non_null(cipher);
		assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key, NULL,
				     NULL),
		    1);
		/* Every message but the first is behind one that was given up
		 * in its middle. */
		for (uint8_t k = 0; k < 5; k++) {
			nonce[k] ^= 1;
			usual(cipher, nonce, expected);
			assert_int_equal(gcm_set_nonce(ctx, nonce), CVM_OK);
			assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, text,
					     sizeof(text)),
			    1);
			assert_memory_equal(out, expected, sizeof(out));
			assert_memory_not_equal(out, before, sizeof(out));
			memcpy(before, out, sizeof(before));
		}
		EVP_CIPHER_CTX_free(ctx);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonce_used_twice),
	};

	return cmocka_run_group_tests_name("nonce", tests, NULL, NULL);
}
