/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

/* Every allocation fails once: an error comes back, and nothing is lost. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "base/tuple.h"
#include "conf/config.h"
#include "conf/policy.h"
#include "tests/unit/corpus.h"

/* gcc and clang tell of the sanitizers, which have an allocator of their own,
 * in different ways. */
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__)
#define CAN_FAIL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CAN_FAIL 0
#endif
#endif
#ifndef CAN_FAIL
#define CAN_FAIL 1
#endif

/* Which allocation fails, counted from 1; 0: none. */
static unsigned long fail_at, asked;
static long live;

#if CAN_FAIL
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

/* Seen by the shared libraries too, whose allocations count as well. */
#pragma GCC visibility push(default)
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *old, size_t n);
void free(void *p);
#pragma GCC visibility pop

static bool
fails(void)
{
	asked++;
	return fail_at != 0 && asked == fail_at;
}

void *
malloc(size_t n)
{
	void *p = fails() ? NULL : __libc_malloc(n);

	live += p != NULL;
	return p;
}

void *
calloc(size_t n, size_t size)
{
	void *p = fails() ? NULL : __libc_calloc(n, size);

	live += p != NULL;
	return p;
}

void *
realloc(void *old, size_t n)
{
	void *p = fails() ? NULL : __libc_realloc(old, n);

	live += p != NULL && old == NULL;
	return p;
}

void
free(void *p)
{
	live -= p != NULL;
	__libc_free(p);
}
#endif

/* Before anything is allocated: skip() does not return. */
#define NEEDS_FAILURES()                                                       \
	if (!CAN_FAIL)                                                         \
	skip()

/* Runs fn with the first, the second, ... allocation failing. */
static void
fail_each(int (*fn)(void *arg), void *arg, bool only_memory)
{
	int err = CVM_E_NOMEM;
	unsigned lost = 0;
	bool counts; /* not where a debugger has a malloc of its own */

	asked = 0;
	assert_int_equal(fn(arg), CVM_OK);
	counts = asked > 0;
	for (unsigned long n = 1; err != CVM_OK; n++) {
		long before = live;

		asked = 0;
		fail_at = n;
		err = fn(arg);
		fail_at = 0;
		if (asked < n)
			assert_int_equal(err, CVM_OK);
		else if (only_memory && err != CVM_OK)
			assert_int_equal(err, CVM_E_NOMEM);
		lost += asked >= n && err != CVM_OK;
		/* OpenSSL may do without, and keeps what it caches; and memory
		 * that was not given back is no loss. */
		if (asked >= n && err == CVM_OK)
			err = CVM_E_CRYPTO;
		if (asked >= n)
			assert_int_equal(live, before);
		assert_true(n < 100000);
	}
	assert_true(!counts || lost > 2);
}

static int
parse_policy(void *arg)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	const char *text = arg;
	struct why why = { 0 };
	int err = policy_parse(span(text, strlen(text)), "p", &p, &why);

	if ((err == CVM_OK) != (p != NULL) || why.err != err)
		return CVM_E_INTERNAL;
	return err;
}

static int
parse_config(void *arg)
{
	_cleanup_(config_freep) struct config *c = NULL;
	const char *text = arg;
	struct why why = { 0 };
	int err = config_parse(span(text, strlen(text)), "c", &c, &why);

	if ((err == CVM_OK) != (c != NULL) || why.err != err)
		return CVM_E_INTERNAL;
	return err;
}

static int
make_tuple(void *arg)
{
	struct span fields[] = { span("a", 1), span("bc", 2) };
	_cleanup_(blob_clear) struct blob b = { 0 }, again = { 0 };
	_cleanup_(freep) char *text = NULL;
	int err = tuple("t", fields, NELEMS(fields), &b);

	(void)arg;
	if (err != CVM_OK)
		return b.data == NULL ? err : CVM_E_INTERNAL;
	err = base64_encode(blob_span(&b), &text);
	if (err == CVM_OK)
		err = base64_decode(text, 64, &again);
	return err;
}

static int
use_box(void *arg)
{
	_cleanup_(secret_freep) struct secret *key = secret_new(32);
	_cleanup_(secret_freep) struct secret *derived = NULL, *plain = NULL;
	_cleanup_(blob_clear) struct blob box = { 0 };
	int err = hkdf_sha256(secret_span(key), span("s", 1), span("i", 1), 32,
	    &derived);

	(void)arg;
	if (err == CVM_OK)
		err = box_seal(derived, span("a", 1), span("p", 1), &box);
	if (err == CVM_OK)
		err = box_open(derived, span("a", 1), blob_span(&box), &plain);
	if ((err == CVM_OK) != (plain != NULL))
		return CVM_E_INTERNAL;
	/* A box that was made here is never a corrupt one. */
	return err == CVM_E_CORRUPT ? CVM_E_INTERNAL : err;
}

static void
lost_in_policy(void **state)
{
	static const char *const names[] = { "conf/examples/policy-snp.json",
		"conf/examples/policy-tdx.json",
		"conf/examples/policy-sev-gce.json",
		"tests/fuzz/seeds/policy/every-name-snp.json",
		"tests/fuzz/seeds/policy/every-name-tdx.json" };

	(void)state;
	NEEDS_FAILURES();
	/* OpenSSL allocates for the digest; keep that out of the balance. */
	(void)crypto_libctx();
	for (size_t i = 0; i < NELEMS(names); i++) {
		_cleanup_(freep) char *text = corpus_file(names[i]);

		fail_each(parse_policy, text, /* only_memory= */ false);
	}
}

static void
lost_in_config(void **state)
{
	_cleanup_(freep) char *text = NULL;

	(void)state;
	NEEDS_FAILURES();
	text = corpus_file("tests/fuzz/seeds/config/every-name.json");
	fail_each(parse_config, text, /* only_memory= */ true);
}

static void
lost_in_tuple(void **state)
{
	(void)state;
	NEEDS_FAILURES();
	fail_each(make_tuple, NULL, /* only_memory= */ true);
}

static void
lost_in_box(void **state)
{
	(void)state;
	NEEDS_FAILURES();
	fail_each(use_box, NULL, /* only_memory= */ false);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lost_in_policy),
		cmocka_unit_test(lost_in_config),
		cmocka_unit_test(lost_in_tuple),
		cmocka_unit_test(lost_in_box),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
