/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/injector.h"

struct injector injector;

const struct sqlite_code sqlite_codes[5] = {
	{ SQLITE_NOMEM, "SQLITE_NOMEM" },
	{ SQLITE_IOERR, "SQLITE_IOERR" },
	{ SQLITE_BUSY, "SQLITE_BUSY" },
	{ SQLITE_FULL, "SQLITE_FULL" },
	{ SQLITE_CORRUPT, "SQLITE_CORRUPT" },
};

bool
inject_due(enum injected kind)
{
	if (!injector.on || injector.kind != kind ||
	    ++injector.seen != injector.at)
		return false;
	injector.reached = true;
	return true;
}

void
inject(enum injected kind, int code, unsigned at)
{
	injector = (struct injector){ .kind = kind, .code = code, .at = at };
	injector.on = true;
}

bool
inject_pause(void)
{
	bool was = injector.on;

	injector.on = false;
	return was;
}

WRAP(INJECT_MEMORY, void *, malloc, NULL, (size_t n), (n))
WRAP(INJECT_MEMORY, void *, calloc, NULL, (size_t n, size_t m), (n, m))
WRAP(INJECT_MEMORY, void *, realloc, NULL, (void *p, size_t n), (p, n))
WRAP(INJECT_MEMORY, char *, strdup, NULL, (const char *s), (s))
WRAP(INJECT_MEMORY, char *, strndup, NULL, (const char *s, size_t n), (s, n))
WRAP(INJECT_MEMORY, void *, reallocarray, NULL, (void *p, size_t n, size_t m),
    (p, n, m))
WRAP(INJECT_MEMORY, int, posix_memalign, ENOMEM, (void **p, size_t n, size_t m),
    (p, n, m))
WRAP(INJECT_MEMORY, char *, realpath, (errno = ENOMEM, NULL),
    (const char *a, char *b), (a, b))
WRAP(INJECT_MEMORY, DIR *, fdopendir, NULL, (int fd), (fd))
WRAP(INJECT_MEMORY, int, getaddrinfo, EAI_MEMORY,
    (const char *a, const char *b, const struct addrinfo *c,
	struct addrinfo **d),
    (a, b, c, d))
WRAP(INJECT_MEMORY, void *, mmap64, MAP_FAILED,
    (void *a, size_t n, int prot, int flags, int fd, off_t at),
    (a, n, prot, flags, fd, at))

/* By either name: a hardened build calls the second one. */
int __wrap_asprintf(char **ret, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int
__wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (inject_due(INJECT_MEMORY))
		return -1;
	va_start(ap, fmt);
	n = vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

int
__wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...)
{
	va_list ap;
	int n;

	(void)flag;
	if (inject_due(INJECT_MEMORY))
		return -1;
	va_start(ap, fmt);
	n = vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

/* cJSON's memory is malloc() within its own library. */
WRAP(INJECT_MEMORY, cJSON *, cJSON_CreateObject, NULL, (void), ())
WRAP(INJECT_MEMORY, cJSON *, cJSON_AddObjectToObject, NULL,
    (cJSON * a, const char *b), (a, b))
WRAP(INJECT_MEMORY, cJSON *, cJSON_AddStringToObject, NULL,
    (cJSON * a, const char *b, const char *c), (a, b, c))
WRAP(INJECT_MEMORY, cJSON *, cJSON_AddNumberToObject, NULL,
    (cJSON * a, const char *b, double c), (a, b, c))
WRAP(INJECT_MEMORY, cJSON *, cJSON_AddBoolToObject, NULL,
    (cJSON * a, const char *b, cJSON_bool c), (a, b, c))
WRAP(INJECT_MEMORY, char *, cJSON_Print, NULL, (const cJSON *a), (a))

WRAP(INJECT_EVP, EVP_MD *, EVP_MD_fetch, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c), (a, b, c))
WRAP(INJECT_EVP, EVP_CIPHER *, EVP_CIPHER_fetch, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c), (a, b, c))
WRAP(INJECT_EVP, EVP_MAC *, EVP_MAC_fetch, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c), (a, b, c))
WRAP(INJECT_EVP, EVP_KDF *, EVP_KDF_fetch, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c), (a, b, c))
WRAP(INJECT_EVP, EVP_KEYMGMT *, EVP_KEYMGMT_fetch, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c), (a, b, c))
WRAP(INJECT_EVP, EVP_MD_CTX *, EVP_MD_CTX_new, NULL, (void), ())
WRAP(INJECT_EVP, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, NULL, (void), ())
WRAP(INJECT_EVP, EVP_MAC_CTX *, EVP_MAC_CTX_new, NULL, (EVP_MAC * a), (a))
WRAP(INJECT_EVP, EVP_KDF_CTX *, EVP_KDF_CTX_new, NULL, (EVP_KDF * a), (a))
WRAP(INJECT_EVP, EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_pkey, NULL,
    (OSSL_LIB_CTX * a, EVP_PKEY *b, const char *c), (a, b, c))
WRAP(INJECT_EVP, EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_name, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_DigestInit_ex2, 0,
    (EVP_MD_CTX * a, const EVP_MD *b, const OSSL_PARAM c[]), (a, b, c))
WRAP(INJECT_EVP, int, EVP_DigestUpdate, 0,
    (EVP_MD_CTX * a, const void *b, size_t c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_DigestFinal_ex, 0,
    (EVP_MD_CTX * a, unsigned char *b, unsigned int *c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_Digest, 0,
    (const void *a, size_t b, unsigned char *c, unsigned int *d,
	const EVP_MD *e, ENGINE *f),
    (a, b, c, d, e, f))
WRAP(INJECT_EVP, int, EVP_MD_CTX_copy_ex, 0,
    (EVP_MD_CTX * a, const EVP_MD_CTX *b), (a, b))
WRAP(INJECT_EVP, int, EVP_CipherInit_ex2, 0,
    (EVP_CIPHER_CTX * a, const EVP_CIPHER *b, const unsigned char *c,
	const unsigned char *d, int e, const OSSL_PARAM f[]),
    (a, b, c, d, e, f))
WRAP(INJECT_EVP, int, EVP_CipherUpdate, 0,
    (EVP_CIPHER_CTX * a, unsigned char *b, int *c, const unsigned char *d,
	int e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_CipherFinal_ex, 0,
    (EVP_CIPHER_CTX * a, unsigned char *b, int *c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_EncryptInit_ex2, 0,
    (EVP_CIPHER_CTX * a, const EVP_CIPHER *b, const unsigned char *c,
	const unsigned char *d, const OSSL_PARAM e[]),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_EncryptUpdate, 0,
    (EVP_CIPHER_CTX * a, unsigned char *b, int *c, const unsigned char *d,
	int e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_EncryptFinal_ex, 0,
    (EVP_CIPHER_CTX * a, unsigned char *b, int *c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_DecryptInit_ex2, 0,
    (EVP_CIPHER_CTX * a, const EVP_CIPHER *b, const unsigned char *c,
	const unsigned char *d, const OSSL_PARAM e[]),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_DecryptUpdate, 0,
    (EVP_CIPHER_CTX * a, unsigned char *b, int *c, const unsigned char *d,
	int e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_DecryptFinal_ex, 0,
    (EVP_CIPHER_CTX * a, unsigned char *b, int *c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_CIPHER_CTX_ctrl, 0,
    (EVP_CIPHER_CTX * a, int b, int c, void *d), (a, b, c, d))
WRAP(INJECT_EVP, int, EVP_CIPHER_CTX_get_params, 0,
    (EVP_CIPHER_CTX * a, OSSL_PARAM b[]), (a, b))
WRAP(INJECT_EVP, int, EVP_CIPHER_CTX_set_params, 0,
    (EVP_CIPHER_CTX * a, const OSSL_PARAM b[]), (a, b))
WRAP(INJECT_EVP, int, EVP_CIPHER_CTX_set_padding, 0,
    (EVP_CIPHER_CTX * a, int b), (a, b))
WRAP(INJECT_EVP, int, EVP_MAC_init, 0,
    (EVP_MAC_CTX * a, const unsigned char *b, size_t c, const OSSL_PARAM d[]),
    (a, b, c, d))
WRAP(INJECT_EVP, int, EVP_MAC_update, 0,
    (EVP_MAC_CTX * a, const unsigned char *b, size_t c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_MAC_final, 0,
    (EVP_MAC_CTX * a, unsigned char *b, size_t *c, size_t d), (a, b, c, d))
WRAP(INJECT_EVP, unsigned char *, EVP_Q_mac, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c, const char *d,
	const OSSL_PARAM *e, const void *f, size_t g, const unsigned char *h,
	size_t i, unsigned char *j, size_t k, size_t *l),
    (a, b, c, d, e, f, g, h, i, j, k, l))
WRAP(INJECT_EVP, int, EVP_KDF_derive, 0,
    (EVP_KDF_CTX * a, unsigned char *b, size_t c, const OSSL_PARAM d[]),
    (a, b, c, d))
WRAP(INJECT_EVP, int, EVP_RAND_generate, 0,
    (EVP_RAND_CTX * a, unsigned char *b, size_t c, unsigned int d, int e,
	const unsigned char *f, size_t g),
    (a, b, c, d, e, f, g))
WRAP(INJECT_EVP, EVP_RAND_CTX *, RAND_get0_private, NULL, (OSSL_LIB_CTX * a),
    (a))
WRAP(INJECT_EVP, int, EVP_PKEY_keygen_init, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_generate, 0, (EVP_PKEY_CTX * a, EVP_PKEY **b),
    (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_fromdata_init, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_fromdata, 0,
    (EVP_PKEY_CTX * a, EVP_PKEY **b, int c, OSSL_PARAM d[]), (a, b, c, d))
WRAP(INJECT_EVP, EVP_PKEY *, EVP_PKEY_new_raw_public_key_ex, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, EVP_PKEY *, EVP_PKEY_new_raw_private_key_ex, NULL,
    (OSSL_LIB_CTX * a, const char *b, const char *c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_PKEY_get_raw_private_key, 0,
    (const EVP_PKEY *a, unsigned char *b, size_t *c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_PKEY_get_octet_string_param, 0,
    (const EVP_PKEY *a, const char *b, unsigned char *c, size_t d, size_t *e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_PKEY_get_bn_param, 0,
    (const EVP_PKEY *a, const char *b, BIGNUM **c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_PKEY_get_group_name, 0,
    (const EVP_PKEY *a, char *b, size_t c, size_t *d), (a, b, c, d))
WRAP(INJECT_EVP, int, EVP_PKEY_up_ref, 0, (EVP_PKEY * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_public_check_quick, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_pairwise_check, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_sign_init, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_sign, 0,
    (EVP_PKEY_CTX * a, unsigned char *b, size_t *c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_PKEY_verify_init, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_verify, -1,
    (EVP_PKEY_CTX * a, const unsigned char *b, size_t c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_DigestSignInit_ex, 0,
    (EVP_MD_CTX * a, EVP_PKEY_CTX **b, const char *c, OSSL_LIB_CTX *d,
	const char *e, EVP_PKEY *f, const OSSL_PARAM g[]),
    (a, b, c, d, e, f, g))
WRAP(INJECT_EVP, int, EVP_DigestSign, 0,
    (EVP_MD_CTX * a, unsigned char *b, size_t *c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_DigestVerifyInit_ex, 0,
    (EVP_MD_CTX * a, EVP_PKEY_CTX **b, const char *c, OSSL_LIB_CTX *d,
	const char *e, EVP_PKEY *f, const OSSL_PARAM g[]),
    (a, b, c, d, e, f, g))
WRAP(INJECT_EVP, int, EVP_DigestVerify, -1,
    (EVP_MD_CTX * a, const unsigned char *b, size_t c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_PKEY_encrypt_init, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_encrypt, 0,
    (EVP_PKEY_CTX * a, unsigned char *b, size_t *c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_PKEY_decrypt_init, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_decrypt, 0,
    (EVP_PKEY_CTX * a, unsigned char *b, size_t *c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_PKEY_derive_init, 0, (EVP_PKEY_CTX * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_derive_set_peer, 0,
    (EVP_PKEY_CTX * a, EVP_PKEY *b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_derive_set_peer_ex, 0,
    (EVP_PKEY_CTX * a, EVP_PKEY *b, int c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_PKEY_derive, 0,
    (EVP_PKEY_CTX * a, unsigned char *b, size_t *c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set_rsa_padding, 0,
    (EVP_PKEY_CTX * a, int b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set_rsa_mgf1_md, 0,
    (EVP_PKEY_CTX * a, const EVP_MD *b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set_rsa_oaep_md, 0,
    (EVP_PKEY_CTX * a, const EVP_MD *b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set0_rsa_oaep_label, 0,
    (EVP_PKEY_CTX * a, void *b, int c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set_rsa_pss_saltlen, 0,
    (EVP_PKEY_CTX * a, int b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set_rsa_keygen_bits, 0,
    (EVP_PKEY_CTX * a, int b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set1_rsa_keygen_pubexp, 0,
    (EVP_PKEY_CTX * a, BIGNUM *b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set_signature_md, 0,
    (EVP_PKEY_CTX * a, const EVP_MD *b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set_group_name, 0,
    (EVP_PKEY_CTX * a, const char *b), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_CTX_set_params, 0,
    (EVP_PKEY_CTX * a, const OSSL_PARAM *b), (a, b))
WRAP(INJECT_EVP, OSSL_ENCODER_CTX *, OSSL_ENCODER_CTX_new_for_pkey, NULL,
    (const EVP_PKEY *a, int b, const char *c, const char *d, const char *e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, OSSL_ENCODER_to_data, 0,
    (OSSL_ENCODER_CTX * a, unsigned char **b, size_t *c), (a, b, c))
WRAP(INJECT_EVP, OSSL_DECODER_CTX *, OSSL_DECODER_CTX_new_for_pkey, NULL,
    (EVP_PKEY * *a, const char *b, const char *c, const char *d, int e,
	OSSL_LIB_CTX *f, const char *g),
    (a, b, c, d, e, f, g))
WRAP(INJECT_EVP, int, OSSL_DECODER_from_data, 0,
    (OSSL_DECODER_CTX * a, const unsigned char **b, size_t *c), (a, b, c))
WRAP(INJECT_EVP, EC_GROUP *, EC_GROUP_new_by_curve_name_ex, NULL,
    (OSSL_LIB_CTX * a, const char *b, int c), (a, b, c))
WRAP(INJECT_EVP, EC_POINT *, EC_POINT_new, NULL, (const EC_GROUP *a), (a))
WRAP(INJECT_EVP, int, EC_POINT_mul, 0,
    (const EC_GROUP *a, EC_POINT *b, const BIGNUM *c, const EC_POINT *d,
	const BIGNUM *e, BN_CTX *f),
    (a, b, c, d, e, f))
WRAP(INJECT_EVP, size_t, EC_POINT_point2oct, 0,
    (const EC_GROUP *a, const EC_POINT *b, point_conversion_form_t c,
	unsigned char *d, size_t e, BN_CTX *f),
    (a, b, c, d, e, f))
WRAP(INJECT_EVP, BIGNUM *, BN_new, NULL, (void), ())
WRAP(INJECT_EVP, BIGNUM *, BN_dup, NULL, (const BIGNUM *a), (a))
WRAP(INJECT_EVP, BIGNUM *, BN_copy, NULL, (BIGNUM * a, const BIGNUM *b), (a, b))
WRAP(INJECT_EVP, BIGNUM *, BN_bin2bn, NULL,
    (const unsigned char *a, int b, BIGNUM *c), (a, b, c))
WRAP(INJECT_EVP, int, BN_bn2binpad, -1,
    (const BIGNUM *a, unsigned char *b, int c), (a, b, c))
WRAP(INJECT_EVP, int, BN_div, 0,
    (BIGNUM * a, BIGNUM *b, const BIGNUM *c, const BIGNUM *d, BN_CTX *e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, BN_mul, 0,
    (BIGNUM * a, const BIGNUM *b, const BIGNUM *c, BN_CTX *d), (a, b, c, d))
WRAP(INJECT_EVP, int, BN_gcd, 0,
    (BIGNUM * a, const BIGNUM *b, const BIGNUM *c, BN_CTX *d), (a, b, c, d))
WRAP(INJECT_EVP, int, BN_mod_exp, 0,
    (BIGNUM * a, const BIGNUM *b, const BIGNUM *c, const BIGNUM *d, BN_CTX *e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, BN_mod_sqr, 0,
    (BIGNUM * a, const BIGNUM *b, const BIGNUM *c, BN_CTX *d), (a, b, c, d))
WRAP(INJECT_EVP, BIGNUM *, BN_mod_inverse, NULL,
    (BIGNUM * a, const BIGNUM *b, const BIGNUM *c, BN_CTX *d), (a, b, c, d))
WRAP(INJECT_EVP, int, BN_rshift1, 0, (BIGNUM * a, const BIGNUM *b), (a, b))
WRAP(INJECT_EVP, int, BN_sub_word, 0, (BIGNUM * a, unsigned long b), (a, b))
WRAP(INJECT_EVP, int, BN_priv_rand_range_ex, 0,
    (BIGNUM * a, const BIGNUM *b, unsigned int c, BN_CTX *d), (a, b, c, d))
WRAP(INJECT_EVP, BN_CTX *, BN_CTX_secure_new_ex, NULL, (OSSL_LIB_CTX * a), (a))
WRAP(INJECT_EVP, X509 *, d2i_X509, NULL,
    (X509 * *a, const unsigned char **b, long c), (a, b, c))
WRAP(INJECT_EVP, X509 *, X509_new_ex, NULL, (OSSL_LIB_CTX * a, const char *b),
    (a, b))
WRAP(INJECT_EVP, int, EVP_CIPHER_CTX_copy, 0,
    (EVP_CIPHER_CTX * a, const EVP_CIPHER_CTX *b), (a, b))
WRAP(INJECT_EVP, EVP_PKEY *, EVP_PKEY_dup, NULL, (EVP_PKEY * a), (a))
WRAP(INJECT_EVP, int, EVP_PKEY_eq, -1, (const EVP_PKEY *a, const EVP_PKEY *b),
    (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_set1_encoded_public_key, 0,
    (EVP_PKEY * a, const unsigned char *b, size_t c), (a, b, c))
WRAP(INJECT_EVP, int, EVP_PKEY_encrypt_init_ex, 0,
    (EVP_PKEY_CTX * a, const OSSL_PARAM b[]), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_encapsulate_init, 0,
    (EVP_PKEY_CTX * a, const OSSL_PARAM b[]), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_encapsulate, 0,
    (EVP_PKEY_CTX * a, unsigned char *b, size_t *c, unsigned char *d,
	size_t *e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, EVP_PKEY_decapsulate_init, 0,
    (EVP_PKEY_CTX * a, const OSSL_PARAM b[]), (a, b))
WRAP(INJECT_EVP, int, EVP_PKEY_decapsulate, 0,
    (EVP_PKEY_CTX * a, unsigned char *b, size_t *c, const unsigned char *d,
	size_t e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, ECDSA_SIG *, ECDSA_SIG_new, NULL, (void), ())
WRAP(INJECT_EVP, int, ECDSA_SIG_set0, 0, (ECDSA_SIG * a, BIGNUM *b, BIGNUM *c),
    (a, b, c))
WRAP(INJECT_EVP, X509_SIG *, X509_SIG_new, NULL, (void), ())
WRAP(INJECT_EVP, int, X509_ALGOR_set0, 0,
    (X509_ALGOR * a, ASN1_OBJECT *b, int c, void *d), (a, b, c, d))
WRAP(INJECT_EVP, int, ASN1_OCTET_STRING_set, 0,
    (ASN1_OCTET_STRING * a, const unsigned char *b, int c), (a, b, c))
WRAP(INJECT_EVP, ASN1_OBJECT *, OBJ_txt2obj, NULL, (const char *a, int b),
    (a, b))
WRAP(INJECT_EVP, EVP_PKEY *, X509_get_pubkey, NULL, (X509 * a), (a))
WRAP(INJECT_EVP, EVP_PKEY *, d2i_PUBKEY_ex, NULL,
    (EVP_PKEY * *a, const unsigned char **b, long c, OSSL_LIB_CTX *d,
	const char *e),
    (a, b, c, d, e))
WRAP(INJECT_EVP, int, i2d_PUBKEY, -1, (const EVP_PKEY *a, unsigned char **b),
    (a, b))
WRAP(INJECT_EVP, int, i2d_X509_PUBKEY, -1,
    (const X509_PUBKEY *a, unsigned char **b), (a, b))
WRAP(INJECT_EVP, int, i2d_X509_NAME, -1,
    (const X509_NAME *a, unsigned char **b), (a, b))
WRAP(INJECT_EVP, int, i2d_X509_SIG, -1, (const X509_SIG *a, unsigned char **b),
    (a, b))
WRAP(INJECT_EVP, int, i2d_ASN1_INTEGER, -1,
    (const ASN1_INTEGER *a, unsigned char **b), (a, b))
WRAP(INJECT_EVP, int, i2d_ECDSA_SIG, -1,
    (const ECDSA_SIG *a, unsigned char **b), (a, b))
WRAP(INJECT_EVP, BIO *, BIO_new_mem_buf, NULL, (const void *a, int b), (a, b))
WRAP(INJECT_EVP, EVP_PKEY *, PEM_read_bio_PUBKEY_ex, NULL,
    (BIO * a, EVP_PKEY **b, pem_password_cb *c, void *d, OSSL_LIB_CTX *e,
	const char *f),
    (a, b, c, d, e, f))
WRAP(INJECT_EVP, X509 *, PEM_read_bio_X509, NULL,
    (BIO * a, X509 **b, pem_password_cb *c, void *d), (a, b, c, d))
WRAP(INJECT_EVP, void *, CRYPTO_memdup, NULL,
    (const void *a, size_t b, const char *c, int d), (a, b, c, d))

WRAP(INJECT_SQLITE, int, sqlite3_open_v2, injector.code,
    (const char *a, sqlite3 **b, int c, const char *d), (a, b, c, d))
WRAP(INJECT_SQLITE, int, sqlite3_busy_handler, injector.code,
    (sqlite3 * a, int (*b)(void *, int), void *c), (a, b, c))
WRAP(INJECT_SQLITE, int, sqlite3_prepare_v2, injector.code,
    (sqlite3 * a, const char *b, int c, sqlite3_stmt **d, const char **e),
    (a, b, c, d, e))
WRAP(INJECT_SQLITE, int, sqlite3_prepare_v3, injector.code,
    (sqlite3 * a, const char *b, int c, unsigned int d, sqlite3_stmt **e,
	const char **f),
    (a, b, c, d, e, f))
WRAP(INJECT_SQLITE, int, sqlite3_step, injector.code, (sqlite3_stmt * a), (a))
WRAP(INJECT_SQLITE, int, sqlite3_exec, injector.code,
    (sqlite3 * a, const char *b, int (*c)(void *, int, char **, char **),
	void *d, char **e),
    (a, b, c, d, e))
WRAP(INJECT_SQLITE, int, sqlite3_bind_text, injector.code,
    (sqlite3_stmt * a, int b, const char *c, int d, void (*e)(void *)),
    (a, b, c, d, e))
WRAP(INJECT_SQLITE, int, sqlite3_bind_int64, injector.code,
    (sqlite3_stmt * a, int b, sqlite3_int64 c), (a, b, c))
WRAP(INJECT_SQLITE, int, sqlite3_bind_blob64, injector.code,
    (sqlite3_stmt * a, int b, const void *c, sqlite3_uint64 d,
	void (*e)(void *)),
    (a, b, c, d, e))
/* The two that give NULL have no memory for what the row has. */
WRAP(INJECT_SQLITE, const void *, sqlite3_column_blob, NULL,
    (sqlite3_stmt * a, int b), (a, b))
WRAP(INJECT_SQLITE, const unsigned char *, sqlite3_column_text, NULL,
    (sqlite3_stmt * a, int b), (a, b))
