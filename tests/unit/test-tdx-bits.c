/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attest/chain_cache.h"
#include "tests/unit/tdx-bench.h"

/* No bit of a quote is free: each is signed, or structure, or refused. */
static void
flip_all_bits(unsigned version)
{
	struct chain_cache *cache = chain_cache_new();
	struct bench b;
	uint8_t *data;
	size_t len;

	bench_begin(&b, version);
	bench_make(&b);
	b.a.cache = cache;
	assert_true(bench_appraise(&b));
	data = b.evidence.tee_report.data;
	len = b.evidence.tee_report.len;
	for (size_t i = 0; i < len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			data[i] ^= (uint8_t)(1u << bit);
			if (bench_appraise(&b))
				fail_msg("v%u: bit %u of byte %zu of %zu",
				    version, bit, i, len);
			data[i] ^= (uint8_t)(1u << bit);
		}
	assert_true(bench_appraise(&b));
	chain_cache_freep(&cache);
	bench_end(&b);
}

static void
every_bit_of_a_v4_quote_counts(void **state)
{
	(void)state;
	flip_all_bits(4);
}

static void
every_bit_of_a_v5_quote_counts(void **state)
{
	(void)state;
	flip_all_bits(5);
}

/* The signature's text is hexadecimal, of either case. */
static bool
only_case(struct span file, size_t i, uint8_t before)
{
	size_t from = file.len - 2 - 128;

	return file.data[0] == '{' && i >= from && i < file.len - 2 &&
	    (file.data[i] ^ before) == 0x20;
}

/* One bit of every byte, after the good bytes have been remembered. */
static void
flip_file(struct bench *b, const char *name)
{
	struct span file = endorsements_find(b->endorsements, name);
	uint8_t *data = (uint8_t *)(uintptr_t)file.data;

	assert_true(file.len > 0);
	for (size_t i = 0; i < file.len; i++) {
		const uint8_t before = data[i];

		data[i] ^= (uint8_t)(1u << i % 8);
		if (bench_appraise(b) && !only_case(file, i, before))
			fail_msg("%s: bit %zu of byte %zu of %zu", name, i % 8,
			    i, file.len);
		data[i] = before;
	}
	assert_true(bench_appraise(b));
}

static void
collateral_is_remembered_to_the_bit(void **state)
{
	struct chain_cache *cache = chain_cache_new();
	const char *name;
	struct bench b;

	(void)state;
	bench_begin(&b, 5);
	bench_make(&b);
	b.a.cache = cache;
	assert_true(bench_appraise(&b));
	for (size_t i = 0;
	     (name = endorsements_name(b.endorsements, i)) != NULL; i++)
		flip_file(&b, name);
	chain_cache_freep(&cache);
	bench_end(&b);
}

static int
end(void **state)
{
	(void)state;
	tdx_maker_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_of_a_v4_quote_counts),
		cmocka_unit_test(every_bit_of_a_v5_quote_counts),
		cmocka_unit_test(collateral_is_remembered_to_the_bit),
	};

	return cmocka_run_group_tests_name("tdx-bits", tests, NULL, end);
}
