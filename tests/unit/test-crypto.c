/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* The host's generator is set with an interface that OpenSSL 3 deprecates. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "base/crypto.h"

static bool openssl_fails;

/* Stands before OpenSSL's, to fail as it does: with an error in the queue. */
int
EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned int *len)
{
	int (*real)(EVP_MD_CTX *, unsigned char *, unsigned int *);

	if (openssl_fails) {
		ERR_raise(ERR_LIB_EVP, EVP_R_UPDATE_ERROR);
		return 0;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "EVP_DigestFinal_ex");
	return real(ctx, out, len);
}

static void
from_hex(const char *hex, struct blob *ret)
{
	assert_int_equal(hex_decode_blob(hex, 256, ret), CVM_OK);
}

/* FIPS 180-4, "abc" and the empty string. */
static void
wrong_digest(void **state)
{
	static const struct {
		enum hash_alg alg;
		const char *in, *out;
	} rows[] = {
		{ HASH_SHA1, "abc",
		    "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ HASH_SHA256, "abc",
		    "ba7816bf8f01cfea414140de5dae2223"
		    "b00361a396177a9cb410ff61f20015ad" },
		{ HASH_SHA256, "",
		    "e3b0c44298fc1c149afbf4c8996fb924"
		    "27ae41e4649b934ca495991b7852b855" },
		{ HASH_SHA384, "abc",
		    "cb00753f45a35e8bb5a03d699ac65007272c32ab"
		    "0eded1631a8b605a43ff5bed8086072b"
		    "a1e7cc2358baeca134c825a7" },
		{ HASH_SHA512, "abc",
		    "ddaf35a193617abacc417349ae204131"
		    "12e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23"
		    "a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	};
	uint8_t out[HASH_LEN_MAX];
	char hex[2 * HASH_LEN_MAX + 1];

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct span in = span(rows[i].in, strlen(rows[i].in));
		size_t len = hash_len(rows[i].alg);

		assert_int_equal(hash(rows[i].alg, in, out), CVM_OK);
		assert_string_equal(hex_encode(span(out, len), hex,
					sizeof(hex)),
		    rows[i].out);
		assert_int_equal(EVP_MD_get_size(hash_md(rows[i].alg)), len);
		assert_true(
		    EVP_MD_is_a(hash_md(rows[i].alg), hash_name(rows[i].alg)));
	}
}

static void
parts_hashed_apart(void **state)
{
	struct span parts[] = { span("a", 1), span(NULL, 0), span("bc", 2) };
	uint8_t whole[SHA256_LEN], joined[SHA256_LEN + 1];

	(void)state;
	joined[SHA256_LEN] = 0x5a;
	assert_int_equal(hash(HASH_SHA256, span("abc", 3), whole), CVM_OK);
	assert_int_equal(hash_parts(HASH_SHA256, parts, NELEMS(parts), joined),
	    CVM_OK);
	assert_memory_equal(whole, joined, SHA256_LEN);
	assert_int_equal(joined[SHA256_LEN], 0x5a);
	assert_int_equal(hash_parts(HASH_SHA256, NULL, 0, joined), CVM_OK);
	assert_int_equal(joined[0], 0xe3);
}

/* RFC 5869, appendix A.1 to A.3. */
static void
wrong_derived_key(void **state)
{
	static const struct {
		const char *ikm, *salt, *info;
		size_t len;
		const char *okm;
	} rows[] = {
		{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		    "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9", 42,
		    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56"
		    "ecc4c5bf34007208d5b887185865" },
		{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d"
		  "1e1f202122232425262728292a2b2c2d2e2f30313233343536373839"
		  "3a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
		    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c"
		    "7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798"
		    "999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		    "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcc"
		    "cdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8"
		    "e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		    82,
		    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19"
		    "afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b836"
		    "7793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87" },
		{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "", 42,
		    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f"
		    "3c738d2d9d201395faa4b61a96c8" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(blob_clear) struct blob ikm = { 0 }, salt = { 0 };
		_cleanup_(blob_clear) struct blob info = { 0 }, okm = { 0 };
		_cleanup_(secret_freep) struct secret *out = NULL;

		from_hex(rows[i].ikm, &ikm);
		from_hex(rows[i].salt, &salt);
		from_hex(rows[i].info, &info);
		from_hex(rows[i].okm, &okm);
		assert_int_equal(hkdf_sha256(blob_span(&ikm), blob_span(&salt),
				     blob_span(&info), rows[i].len, &out),
		    CVM_OK);
		assert_true(span_equal(secret_span(out), blob_span(&okm)));
	}
}

static void
derivation_out_of_range(void **state)
{
	static const uint8_t info[2000];
	struct span key = span("k", 1), none = span(NULL, 0);
	struct secret *out = NULL;

	(void)state;
	assert_int_equal(hkdf_sha256(none, none, none, 32, &out), CVM_E_INVAL);
	assert_int_equal(hkdf_sha256(key, none, none, 0, &out), CVM_E_INVAL);
	assert_int_equal(hkdf_sha256(key, none, none, 255 * 32 + 1, &out),
	    CVM_E_INVAL);
	assert_int_equal(hkdf_sha256(key, none, span(info, sizeof(info)), 32,
			     &out),
	    CVM_E_INVAL);
	assert_null(out);
	assert_int_equal(hkdf_sha256(key, none, span(info, 1024), 255 * 32,
			     &out),
	    CVM_OK);
	secret_freep(&out);
}

struct sealed {
	struct secret *key;
	struct blob box;
};

static int
seal(void **state)
{
	static struct sealed s;

	s.key = secret_new(32);
	memset(secret_data(s.key), 0x42, 32);
	*state = &s;
	return box_seal(s.key, span("header", 6), span("attributes", 10),
	    &s.box);
}

static int
unseal(void **state)
{
	struct sealed *s = *state;

	secret_freep(&s->key);
	blob_clear(&s->box);
	return 0;
}

static void
box_does_not_open(void **state)
{
	const struct sealed *s = *state;
	_cleanup_(secret_freep) struct secret *out = NULL;

	assert_int_equal(s->box.len, 10 + BOX_OVERHEAD);
	assert_int_equal(box_open(s->key, span("header", 6), blob_span(&s->box),
			     &out),
	    CVM_OK);
	assert_true(span_equal(secret_span(out), span("attributes", 10)));
}

/* SP 800-38D test case 16's key, nonce and data: the format is GCM's own. */
static void
box_of_another_format(void **state)
{
	_cleanup_(blob_clear) struct blob key = { 0 }, box = { 0 }, aad = { 0 };
	_cleanup_(blob_clear) struct blob plain = { 0 };
	_cleanup_(secret_freep) struct secret *k = NULL, *out = NULL;

	(void)state;
	from_hex("feffe9928665731c6d6a8f9467308308"
		 "feffe9928665731c6d6a8f9467308308",
	    &key);
	from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", &aad);
	from_hex("cafebabefacedbaddecaf888"
		 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555"
		 "d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
		 "76fc6ece0f4e1768cddf8853bb2d551b",
	    &box);
	from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a31"
		 "8a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	    &plain);
	k = secret_copy(blob_span(&key));
	assert_int_equal(box_open(k, blob_span(&aad), blob_span(&box), &out),
	    CVM_OK);
	assert_true(span_equal(secret_span(out), blob_span(&plain)));
}

static void
changed_bit_accepted(void **state)
{
	struct sealed *s = *state;
	struct secret *out = NULL;

	for (size_t bit = 0; bit < s->box.len * 8; bit++) {
		s->box.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(box_open(s->key, span("header", 6),
				     blob_span(&s->box), &out),
		    CVM_E_CORRUPT);
		assert_null(out);
		s->box.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
truncated_box_accepted(void **state)
{
	const struct sealed *s = *state;
	_cleanup_(blob_clear) struct blob longer = { 0 };
	struct secret *out = NULL;

	for (size_t len = 0; len < s->box.len; len++)
		assert_int_equal(box_open(s->key, span("header", 6),
				     span(s->box.data, len), &out),
		    CVM_E_CORRUPT);
	assert_int_equal(blob_set(&longer, blob_span(&s->box)), CVM_OK);
	assert_int_equal(blob_append(&longer, span("", 1)), CVM_OK);
	assert_int_equal(box_open(s->key, span("header", 6), blob_span(&longer),
			     &out),
	    CVM_E_CORRUPT);
	assert_null(out);
}

static void
other_header_or_key_accepted(void **state)
{
	const struct sealed *s = *state;
	_cleanup_(secret_freep) struct secret *other = secret_new(32);
	_cleanup_(secret_freep) struct secret *brief = secret_new(16);
	struct secret *out = NULL;

	assert_int_equal(box_open(s->key, span("Header", 6), blob_span(&s->box),
			     &out),
	    CVM_E_CORRUPT);
	assert_int_equal(box_open(s->key, span("heade", 5), blob_span(&s->box),
			     &out),
	    CVM_E_CORRUPT);
	assert_int_equal(box_open(s->key, span(NULL, 0), blob_span(&s->box),
			     &out),
	    CVM_E_CORRUPT);
	assert_int_equal(box_open(other, span("header", 6), blob_span(&s->box),
			     &out),
	    CVM_E_CORRUPT);
	assert_int_equal(box_open(brief, span("header", 6), blob_span(&s->box),
			     &out),
	    CVM_E_INVAL);
	assert_int_equal(box_open(NULL, span("header", 6), blob_span(&s->box),
			     &out),
	    CVM_E_INVAL);
	assert_null(out);
}

static void
empty_box_opens_unauthenticated(void **state)
{
	const struct sealed *s = *state;
	_cleanup_(blob_clear) struct blob box = { 0 };
	_cleanup_(secret_freep) struct secret *out = NULL;

	assert_int_equal(box_seal(s->key, span(NULL, 0), span(NULL, 0), &box),
	    CVM_OK);
	assert_int_equal(box.len, BOX_OVERHEAD);
	assert_int_equal(box_open(s->key, span("a", 1), blob_span(&box), &out),
	    CVM_E_CORRUPT);
	box.data[BOX_OVERHEAD - 1] ^= 1;
	assert_int_equal(box_open(s->key, span(NULL, 0), blob_span(&box), &out),
	    CVM_E_CORRUPT);
	box.data[BOX_OVERHEAD - 1] ^= 1;
	assert_int_equal(box_open(s->key, span(NULL, 0), blob_span(&box), &out),
	    CVM_OK);
	assert_int_equal(secret_len(out), 0);
}

static void
nonce_repeated(void **state)
{
	const struct sealed *s = *state;
	_cleanup_(blob_clear) struct blob a = { 0 }, b = { 0 };

	assert_int_equal(box_seal(s->key, span("", 0), span("x", 1), &a),
	    CVM_OK);
	assert_int_equal(box_seal(s->key, span("", 0), span("x", 1), &b),
	    CVM_OK);
	assert_memory_not_equal(a.data, b.data, 12);
}

/* nginx reports what is left there as an error of the connection it serves. */
static void
error_queue_polluted(void **state)
{
	const struct sealed *s = *state;
	struct secret *out = NULL;
	uint8_t digest[SHA256_LEN] = { 7 };
	int err;

	ERR_clear_error();
	openssl_fails = true;
	err = hash(HASH_SHA256, span("abc", 3), digest);
	openssl_fails = false;
	assert_int_equal(err, CVM_E_CRYPTO);
	assert_int_equal(digest[0], 7);
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(box_open(s->key, span(NULL, 0), blob_span(&s->box),
			     &out),
	    CVM_E_CORRUPT);
	assert_int_equal(ERR_peek_error(), 0);
	ERR_raise(ERR_LIB_USER, 77);
	assert_int_equal(box_open(s->key, span(NULL, 0), blob_span(&s->box),
			     &out),
	    CVM_E_CORRUPT);
	assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), 77);
	ERR_clear_error();
}

static void
random_repeats(void **state)
{
	uint8_t a[64] = { 0 }, b[64] = { 0 };

	(void)state;
	assert_int_equal(random_bytes(a, sizeof(a)), CVM_OK);
	assert_int_equal(random_bytes(b, sizeof(b)), CVM_OK);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_false(span_is_filled(span(a, sizeof(a)), 0));
	b[0] = 7;
	assert_int_equal(random_bytes(b, 0), CVM_OK);
	assert_int_equal(b[0], 7);
}

static void
kernel_gives_less(void **state)
{
	static uint8_t a[100000], b[100000];
	static const uint8_t zero[32];

	(void)state;
	assert_int_equal(random_from_kernel(a, sizeof(a)), CVM_OK);
	assert_int_equal(random_from_kernel(b, sizeof(b)), CVM_OK);
	for (size_t i = 0; i + 32 <= sizeof(a); i += 32) {
		assert_memory_not_equal(&a[i], &b[i], 32);
		assert_memory_not_equal(&a[i], zero, 32);
	}
	a[0] = 7;
	assert_int_equal(random_from_kernel(a, 0), CVM_OK);
	assert_int_equal(a[0], 7);
}

static void
random_repeats_after_fork(void **state)
{
	uint8_t parent[32], child[2][32];
	int fds[2], status;

	(void)state;
	assert_int_equal(random_bytes(parent, sizeof(parent)), CVM_OK);
	assert_int_equal(pipe(fds), 0);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (random_bytes(child[0], 32) != CVM_OK ||
			    write(fds[1], child[0], 32) != 32)
				_exit(1);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(read(fds[0], child[i], 32), 32);
	}
	assert_int_equal(random_bytes(parent, sizeof(parent)), CVM_OK);
	assert_memory_not_equal(child[0], child[1], 32);
	assert_memory_not_equal(child[0], parent, 32);
	assert_memory_not_equal(child[1], parent, 32);
	close(fds[0]);
	close(fds[1]);
}

static int
zeros(unsigned char *buf, int num)
{
	memset(buf, 0, (size_t)num);
	return 1;
}

/* An engine or method of the host must not decide our nonces. */
static void
generator_of_the_host_used(void **state)
{
	static const RAND_METHOD fake = { .bytes = zeros, .pseudorand = zeros };
	const RAND_METHOD *real = RAND_get_rand_method();
	uint8_t out[32] = { 0 };
	int err;

	(void)state;
	RAND_set_rand_method(&fake);
	err = random_bytes(out, sizeof(out));
	RAND_set_rand_method(real);
	assert_int_equal(err, CVM_OK);
	assert_false(span_is_filled(span(out, sizeof(out)), 0));
}

/* main() names a configuration that turns on the null provider. */
static void
configuration_of_the_host_read(void **state)
{
	OSSL_LIB_CTX *ctx = crypto_libctx();

	(void)state;
	assert_non_null(ctx);
	assert_ptr_equal(ctx, crypto_libctx());
	assert_int_equal(OSSL_PROVIDER_available(ctx, "default"), 1);
	assert_int_equal(OSSL_PROVIDER_available(ctx, "null"), 0);
	/* The host itself gets what it configured. */
	assert_int_equal(OSSL_PROVIDER_available(NULL, "null"), 1);
}

static void *
use_everything(void *arg)
{
	_cleanup_(secret_freep) struct secret *key = secret_new(32),
					      *out = NULL;
	_cleanup_(blob_clear) struct blob box = { 0 };
	uint8_t digest[SHA256_LEN];
	int *failed = arg;

	for (int i = 0; i < 50; i++) {
		secret_freep(&out);
		blob_clear(&box);
		if (random_bytes(secret_data(key), 32) != CVM_OK ||
		    hash(HASH_SHA256, span("abc", 3), digest) != CVM_OK ||
		    digest[0] != 0xba ||
		    box_seal(key, span("a", 1), span("b", 1), &box) != CVM_OK ||
		    box_open(key, span("a", 1), blob_span(&box), &out) !=
			CVM_OK)
			*failed = 1;
	}
	return NULL;
}

static void
threads_collide(void **state)
{
	pthread_t threads[8];
	int failed[8] = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEMS(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
				     use_everything, &failed[i]),
		    0);
	for (size_t i = 0; i < NELEMS(threads); i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(failed[i], 0);
	}
}

#define sealed_test(fn) cmocka_unit_test_setup_teardown(fn, seal, unseal)

static int
run(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_collide),
		cmocka_unit_test(configuration_of_the_host_read),
		cmocka_unit_test(wrong_digest),
		cmocka_unit_test(parts_hashed_apart),
		cmocka_unit_test(wrong_derived_key),
		cmocka_unit_test(derivation_out_of_range),
		sealed_test(box_does_not_open),
		cmocka_unit_test(box_of_another_format),
		sealed_test(changed_bit_accepted),
		sealed_test(truncated_box_accepted),
		sealed_test(other_header_or_key_accepted),
		sealed_test(empty_box_opens_unauthenticated),
		sealed_test(nonce_repeated),
		sealed_test(error_queue_polluted),
		cmocka_unit_test(random_repeats),
		cmocka_unit_test(kernel_gives_less),
		cmocka_unit_test(random_repeats_after_fork),
		cmocka_unit_test(generator_of_the_host_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
	static const char conf[] =
	    "openssl_conf = a\n[a]\nproviders = b\n"
	    "random = d\n[d]\nrandom = NO-SUCH\n"
	    "[b]\nnull = c\ndefault = c\n[c]\nactivate = 1\n";
	char path[] = "/tmp/cvm-crypto-XXXXXX";
	int fd = mkstemp(path), failed;

	if (fd < 0 || write(fd, conf, strlen(conf)) != (ssize_t)strlen(conf))
		return 1;
	close(fd);
	setenv("OPENSSL_CONF", path, 1);
	failed = run();
	unlink(path);
	return failed;
}
