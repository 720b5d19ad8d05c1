/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/encoder.h>

#include "token/keys.h"

/* A sanitizer keeps all that is freed, as no allocator does. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define KEEPS_FREED 1
#else
#define KEEPS_FREED 0
#endif

/* Of all kinds that are coded here. */
static const struct {
	CK_KEY_TYPE type;
	const char *curve; /* CKA_EC_PARAMS as a word; NULL: RSA */
} kinds[] = {
	{ CKK_RSA, NULL },
	{ CKK_EC, "\x13\x09secp256r1" },
	{ CKK_EC, "\x13\x09secp384r1" },
	{ CKK_EC, "\x13\x09secp521r1" },
	{ CKK_EC, "\x13\x09secp256k1" },
	{ CKK_EC_EDWARDS,
	    "\x13\x0c"
	    "edwards25519" },
	{ CKK_EC_EDWARDS,
	    "\x13\x0a"
	    "edwards448" },
	{ CKK_EC_MONTGOMERY,
	    "\x13\x0a"
	    "curve25519" },
	{ CKK_EC_MONTGOMERY,
	    "\x13\x08"
	    "curve448" },
};

static const struct curve *
curve_at(size_t i)
{
	const char *s = kinds[i].curve;

	return curve_find(kinds[i].type, span(s, strlen(s)));
}

static EVP_PKEY *
generate(size_t i)
{
	EVP_PKEY *pkey = NULL;

	if (kinds[i].curve == NULL)
		assert_int_equal(rsa_generate(2048, span("", 0), &pkey, NULL),
		    CVM_OK);
	else
		assert_int_equal(ec_generate(curve_at(i), &pkey), CVM_OK);
	return pkey;
}

/* What tells two keys apart: the longest secret number. */
static struct secret *
secret_of(size_t i, const EVP_PKEY *pkey)
{
	struct secret *s = NULL;

	assert_int_equal(key_private_value(pkey,
			     kinds[i].curve == NULL ? CKA_PRIVATE_EXPONENT :
						      CKA_VALUE,
			     &s),
	    CVM_OK);
	return s;
}

static struct secret *
encode(const EVP_PKEY *pkey)
{
	struct secret *der = NULL;

	assert_int_equal(pkcs8_encode(pkey, &der), CVM_OK);
	return der;
}

static void
another_encoding_than_openssl(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		_cleanup_(pkey_freep) EVP_PKEY *pkey = generate(i);
		_cleanup_(secret_freep) struct secret *der = encode(pkey);
		OSSL_ENCODER_CTX *e = OSSL_ENCODER_CTX_new_for_pkey(pkey,
		    EVP_PKEY_KEYPAIR, "DER", "PrivateKeyInfo", NULL);
		uint8_t *want = NULL;
		size_t len = 0;

		assert_int_equal(OSSL_ENCODER_to_data(e, &want, &len), 1);
		assert_int_equal(secret_len(der), len);
		assert_memory_equal(secret_span(der).data, want, len);
		OSSL_ENCODER_CTX_free(e);
		OPENSSL_clear_free(want, len);
	}
}

static void
another_key_read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		_cleanup_(pkey_freep) EVP_PKEY *pkey = generate(i);
		_cleanup_(pkey_freep) EVP_PKEY *back = NULL;
		_cleanup_(secret_freep) struct secret *der = encode(pkey);
		_cleanup_(secret_freep) struct secret *was = NULL, *is = NULL;

		assert_int_equal(pkcs8_decode(secret_span(der), &back), CVM_OK);
		assert_int_equal(EVP_PKEY_eq(pkey, back), 1);
		was = secret_of(i, pkey);
		is = secret_of(i, back);
		assert_true(span_equal(secret_span(was), secret_span(is)));
	}
}

/* A small scalar has leading zeros, which the encoding keeps. */
static void
leading_zeros_lost(void **state)
{
	uint8_t value[66] = { 0 };

	(void)state;
	for (size_t i = 1; i < 5; i++) {
		const struct curve *c = curve_at(i);
		_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL, *back = NULL;
		_cleanup_(secret_freep) struct secret *der = NULL, *is = NULL;

		memset(value, 0, sizeof(value));
		value[c->private_len - 1] = 7;
		assert_int_equal(ec_from_value(c, span(value, c->private_len),
				     &pkey),
		    CVM_OK);
		der = encode(pkey);
		assert_int_equal(pkcs8_decode(secret_span(der), &back), CVM_OK);
		is = secret_of(i, back);
		assert_int_equal(secret_len(is), c->private_len);
		assert_memory_equal(secret_data(is), value, c->private_len);
	}
}

static int
decode(const uint8_t *der, size_t len)
{
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	int err = pkcs8_decode(span(der, len), &pkey);

	assert_true((err == CVM_OK) == (pkey != NULL));
	return err;
}

/* Every prefix, a byte too many, and each length and tag changed by one. */
static void
bad_structure_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		_cleanup_(pkey_freep) EVP_PKEY *pkey = generate(i);
		_cleanup_(secret_freep) struct secret *der = encode(pkey);
		uint8_t bytes[2048] = { 0 };
		size_t len = secret_len(der);

		memcpy(bytes, secret_span(der).data, len);
		assert_int_equal(decode(bytes, len), CVM_OK);
		for (size_t n = 0; n < len; n++)
			assert_int_equal(decode(bytes, n), CVM_E_UNSUPPORTED);
		assert_int_equal(decode(bytes, len + 1), CVM_E_UNSUPPORTED);
		/* The header, version and algorithm. */
		for (size_t n = 0; n < 16; n++) {
			bytes[n] ^= 1;
			assert_int_not_equal(decode(bytes, len), CVM_OK);
			bytes[n] ^= 1;
		}
	}
}

/* Scalars that are none: 0, the order, and what is above it. */
static void
bad_scalar_read(void **state)
{
	(void)state;
	for (size_t i = 1; i < 5; i++) {
		const struct curve *c = curve_at(i);
		_cleanup_(pkey_freep) EVP_PKEY *pkey = generate(i);
		_cleanup_(secret_freep) struct secret *der = encode(pkey);
		_cleanup_(secret_freep) struct secret *value = NULL;
		uint8_t bytes[512], *at;
		size_t len = secret_len(der);

		memcpy(bytes, secret_span(der).data, len);
		value = secret_of(i, pkey);
		at = memmem(bytes, len, secret_data(value), c->private_len);
		assert_non_null(at);
		memset(at, 0, c->private_len);
		assert_int_equal(decode(bytes, len), CVM_E_PARSE);
		memset(at, 0xff, c->private_len);
		assert_int_equal(decode(bytes, len), CVM_E_PARSE);
		memcpy(at, secret_data(value), c->private_len);
		assert_int_equal(decode(bytes, len), CVM_OK);
		at[-1]++; /* its length */
		assert_int_equal(decode(bytes, len), CVM_E_UNSUPPORTED);
	}
}

/*
 * The needle is kept changed, so that it is not found itself; what is searched
 * is read through the kernel, since a sanitizer guards memory that was freed.
 */
#define NEEDLE_LEN 28
#define MASK 0x5a

static size_t
count(const uint8_t *s, size_t len, const uint8_t needle[static NEEDLE_LEN])
{
	const uint8_t *at = s, *end = s + len - NEEDLE_LEN + 1;
	size_t n = 0, k;

	while (len >= NEEDLE_LEN && at < end &&
	    (at = memchr(at, needle[0] ^ MASK, (size_t)(end - at))) != NULL) {
		for (k = 0; k < NEEDLE_LEN; k++)
			if ((at[k] ^ MASK) != needle[k])
				break;
		n += k == NEEDLE_LEN;
		at++;
	}
	return n;
}

/* In the heap, and in what malloc() has from mmap(2): private, anonymous. */
static size_t
count_in_memory(const uint8_t needle[static NEEDLE_LEN])
{
	static uint8_t window[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "re");
	FILE *mem = fopen("/proc/self/mem", "re");
	unsigned long from, to, inode;
	char line[512], mode[8];
	size_t n = 0;

	assert_non_null(maps);
	assert_non_null(mem);
	(void)setvbuf(mem, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s %*s %*s %lu", &from, &to, mode,
			&inode) != 4 ||
		    mode[1] != 'w' || mode[3] != 'p' || inode != 0 ||
		    to - from > 1UL << 28)
			continue;
		for (; from < to; from += sizeof(window) - NEEDLE_LEN) {
			size_t want = to - from < sizeof(window) ?
			    to - from :
			    sizeof(window);

			if (fseek(mem, (long)from, SEEK_SET) != 0 ||
			    fread(window, 1, want, mem) != want)
				break;
			n += count(window, want, needle);
		}
	}
	memset(window, 0, sizeof(window));
	(void)fclose(maps);
	(void)fclose(mem);
	return n;
}

/* The last bytes of a secret, as the encoding has them. */
static void
keep_needle(size_t i, const EVP_PKEY *pkey, uint8_t out[static NEEDLE_LEN])
{
	_cleanup_(secret_freep) struct secret *s = secret_of(i, pkey);
	struct span all = secret_span(s);

	assert_true(all.len >= NEEDLE_LEN);
	for (size_t k = 0; k < NEEDLE_LEN; k++)
		out[k] = all.data[all.len - NEEDLE_LEN + k] ^ MASK;
}

/* What the making of a key leaves is OpenSSL's, and may be overwritten. */
static void
copy_left_in_memory(void **state)
{
	uint8_t needle[NEEDLE_LEN];
	size_t before;

	(void)state;
	if (KEEPS_FREED)
		skip();
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		_cleanup_(pkey_freep) EVP_PKEY *pkey = generate(i);
		_cleanup_(pkey_freep) EVP_PKEY *back = NULL;
		_cleanup_(secret_freep) struct secret *der = NULL;

		keep_needle(i, pkey, needle);
		before = count_in_memory(needle);
		assert_int_equal(key_encode_private(pkey, &der), CVM_OK);
		/* The search finds what there is. */
		assert_true(count_in_memory(needle) > 0);
		secret_freep(&der);
		assert_true(count_in_memory(needle) <= before);

		assert_int_equal(key_encode_private(pkey, &der), CVM_OK);
		pkey_freep(&pkey);
		before = count_in_memory(needle);
		assert_int_equal(key_decode_private(secret_span(der), &back),
		    CVM_OK);
		pkey_freep(&back);
		assert_true(count_in_memory(needle) <= before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_encoding_than_openssl),
		cmocka_unit_test(another_key_read_back),
		cmocka_unit_test(leading_zeros_lost),
		cmocka_unit_test(bad_structure_read),
		cmocka_unit_test(bad_scalar_read),
		cmocka_unit_test(copy_left_in_memory),
	};

	return cmocka_run_group_tests_name("pkcs8", tests, NULL, NULL);
}
