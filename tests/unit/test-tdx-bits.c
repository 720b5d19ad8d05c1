/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

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
	};

	return cmocka_run_group_tests_name("tdx-bits", tests, NULL, end);
}
