/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/parsed.h"
#include "tests/unit/x509-maker.h"

#define NOW 1750000000LL

/* One certificate and one CRL, in all the forms in which they are read. */
static struct {
	struct blob der, padded, pem, crl;
} made;

static int
make(void **state)
{
	const struct cert_spec spec = { .cn = "root",
		.serial = 1,
		.from = NOW - 1000,
		.until = NOW + 1000,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.sign = { .md = "SHA384" },
		.version = X509_VERSION_3,
		.key_ids = true };
	const struct crl_spec crl_spec = { .from = NOW - 1000,
		.until = NOW + 1000,
		.sign = { .md = "SHA384" } };
	EVP_PKEY *key = maker_ec("P-384");
	X509 *x = maker_cert(&spec, key, NULL, key);
	X509_CRL *crl = maker_crl(&crl_spec, x, key);

	(void)state;
	maker_cert_der(x, &made.der);
	maker_cert_pem(x, &made.pem);
	maker_crl_der(crl, &made.crl);
	assert_int_equal(blob_set(&made.padded, blob_span(&made.der)), 0);
	assert_int_equal(blob_append(&made.padded, span("\0\0", 2)), 0);
	X509_CRL_free(crl);
	X509_free(x);
	EVP_PKEY_free(key);
	return 0;
}

static int
clear(void **state)
{
	(void)state;
	blob_clear(&made.der);
	blob_clear(&made.padded);
	blob_clear(&made.pem);
	blob_clear(&made.crl);
	return 0;
}

static void
read_twice(void **state)
{
	_cleanup_(parsed_freep) struct parsed *p = parsed_new();
	_cleanup_(cert_freep) struct cert *a = NULL, *b = NULL, *c = NULL;
	_cleanup_(crl_freep) struct crl *k = NULL, *l = NULL;
	size_t n;

	(void)state;
	assert_int_equal(parsed_cert(p, blob_span(&made.der), false, &a), 0);
	assert_int_equal(parsed_cert(p, blob_span(&made.der), false, &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(parsed_crl(p, blob_span(&made.crl), &k), 0);
	assert_int_equal(parsed_crl(p, blob_span(&made.crl), &l), 0);
	assert_ptr_equal(k, l);
	assert_int_equal(parsed_certs(p, blob_span(&made.pem), &c, 1, &n), 0);
	assert_memory_equal(a->digest, c->digest, SHA256_LEN);
	/* The caller's references outlive the memory. */
	parsed_freep(&p);
	assert_true(span_equal(blob_span(&a->der), blob_span(&c->der)));
	assert_true(span_equal(blob_span(&k->der), blob_span(&made.crl)));
}

static void
mistaken_for_another(void **state)
{
	_cleanup_(parsed_freep) struct parsed *p = parsed_new();
	_cleanup_(cert_freep) struct cert *a = NULL, *b = NULL, *c = NULL;
	_cleanup_(blob_clear) struct blob other = { 0 };
	struct cert *list[2] = { NULL };
	size_t n;

	(void)state;
	assert_int_equal(parsed_cert(p, blob_span(&made.der), false, &a), 0);
	assert_int_equal(parsed_certs(p, blob_span(&made.pem), &b, 1, &n), 0);
	/* The last byte is of the signature. */
	assert_int_equal(blob_set(&other, blob_span(&made.der)), 0);
	other.data[other.len - 1] ^= 1;
	assert_int_equal(parsed_cert(p, blob_span(&other), false, &c), 0);
	assert_ptr_not_equal(a, c);
	/* Padding is forgiven only where it was asked for. */
	cert_freep(&c);
	assert_int_equal(parsed_cert(p, blob_span(&made.padded), true, &c), 0);
	assert_int_equal(parsed_cert(p, blob_span(&made.padded), false, list),
	    CVM_E_PARSE);
	/* Of a file that was read, more may come out than there is room. */
	assert_int_equal(blob_append(&made.pem, blob_span(&made.pem)), 0);
	assert_int_equal(parsed_certs(p, blob_span(&made.pem), list, 2, &n), 0);
	assert_int_equal(n, 2);
	cert_freep(&list[0]);
	cert_freep(&list[1]);
	assert_int_equal(parsed_certs(p, blob_span(&made.pem), list, 1, &n),
	    CVM_E_PARSE);
	assert_null(list[0]);
	assert_int_equal(parsed_crl(p, blob_span(&made.der),
			     &(struct crl *){ NULL }),
	    CVM_E_PARSE);
}

static size_t freed;

static void
count_free(void *object)
{
	(void)object;
	freed++;
}

static void
grows_without_bounds(void **state)
{
	static const struct parsed_kind kind = { count_free };
	static uint8_t big[PARSED_BYTES_MAX + 1];
	_cleanup_(parsed_freep) struct parsed *p = parsed_new();
	uint8_t bytes[2] = { 0 };

	(void)state;
	freed = 0;
	for (size_t i = 0; i <= PARSED_MAX; i++) {
		bytes[0] = (uint8_t)i;
		assert_true(parsed_keep(p, &kind, span(bytes, 2), bytes));
	}
	assert_int_equal(freed, 1);
	bytes[0] = 0; /* the oldest */
	assert_null(parsed_find(p, &kind, span(bytes, 2)));
	bytes[0] = 1;
	assert_non_null(parsed_find(p, &kind, span(bytes, 2)));
	assert_false(parsed_keep(p, &kind, span(big, sizeof(big)), bytes));
	assert_true(parsed_keep(p, &kind, span(big, sizeof(big) - 1), bytes));
	assert_int_equal(freed, PARSED_MAX + 1);
	assert_null(parsed_find(p, &kind, span(bytes, 2)));
	assert_false(parsed_keep(p, &kind, span(bytes, 0), bytes));
}

static void
no_memory(void **state)
{
	_cleanup_(cert_freep) struct cert *a = NULL, *b = NULL;

	(void)state;
	assert_int_equal(parsed_cert(NULL, blob_span(&made.der), false, &a), 0);
	assert_int_equal(parsed_cert(NULL, blob_span(&made.der), false, &b), 0);
	assert_ptr_not_equal(a, b);
	assert_false(parsed_keep(NULL, &(struct parsed_kind){ count_free },
	    blob_span(&made.der), a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_twice),
		cmocka_unit_test(mistaken_for_another),
		cmocka_unit_test(grows_without_bounds),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests_name("parsed", tests, make, clear);
}
