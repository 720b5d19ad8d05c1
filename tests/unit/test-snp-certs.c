/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/snp-maker.h"

#define ENTRY 24

static void
two_entries(struct blob *ret)
{
	const struct table_entry e[] = {
		{ GUID_VCEK, span("first", 5) },
		{ GUID_ASK, span("second", 6) },
	};

	snp_table_build(e, 2, ret);
}

static void
put32(struct blob *b, size_t at, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		b->data[at + i] = (uint8_t)(v >> (8 * i));
}

static void
refused(const struct blob *b, const char *expected)
{
	struct snp_certs certs = { .n = 99 };
	struct why why = { 0 };

	assert_int_equal(snp_certs_parse(blob_span(b), &certs, &why),
	    CVM_E_PARSE);
	assert_string_equal(why.expected, expected);
	assert_int_equal(certs.n, 99); /* written only on success */
}

static void
good_table(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	struct snp_certs certs;

	(void)state;
	two_entries(&b);
	assert_int_equal(snp_certs_parse(blob_span(&b), &certs, NULL), 0);
	assert_int_equal(certs.n, 2);
	assert_true(span_equal(certs.vcek, span("first", 5)));
	assert_true(span_equal(certs.ask, span("second", 6)));
	assert_int_equal(certs.vlek.len, 0);
	assert_int_equal(certs.ark.len, 0);
	/* Hosts pad to a page. */
	assert_int_equal(blob_append(&b, span("\0\0\0\0", 4)), 0);
	assert_int_equal(snp_certs_parse(blob_span(&b), &certs, NULL), 0);
}

static void
every_kind(void **state)
{
	static const char *const guids[] = { GUID_VCEK, GUID_VLEK, GUID_ASK,
		GUID_ARK, "9f4116cdc5035f4a8f6ffb68882f4ce2" };
	struct snp_certs certs;

	(void)state;
	for (size_t i = 0; i < NELEMS(guids); i++) {
		_cleanup_(blob_clear) struct blob b = { 0 };
		const struct table_entry e = { guids[i], span("x", 1) };
		const struct span *slots[] = { &certs.vcek, &certs.vlek,
			&certs.ask, &certs.ark };

		snp_table_build(&e, 1, &b);
		assert_int_equal(snp_certs_parse(blob_span(&b), &certs, NULL),
		    0);
		assert_int_equal(certs.n, 1);
		for (size_t k = 0; k < NELEMS(slots); k++)
			assert_int_equal(slots[k]->len, i == k);
	}
}

static void
no_table(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	struct snp_certs certs;

	(void)state;
	assert_int_equal(snp_certs_parse(blob_span(&b), &certs, NULL), 0);
	assert_int_equal(certs.n, 0);
	snp_table_build(NULL, 0, &b);
	assert_int_equal(snp_certs_parse(blob_span(&b), &certs, NULL), 0);
	assert_int_equal(certs.n, 0);
}

static void
unterminated(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	two_entries(&b);
	b.len = 2 * ENTRY;
	refused(&b, "an all-zero entry at the end");
	b.len = 3 * ENTRY - 1;
	refused(&b, "an all-zero entry at the end");
	b.len = 1;
	refused(&b, "an all-zero entry at the end");
}

static void
last_entry_with_content(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	two_entries(&b);
	put32(&b, 2 * ENTRY + 16, 1);
	refused(&b, "an all-zero last entry");
	put32(&b, 2 * ENTRY + 16, 0);
	put32(&b, 2 * ENTRY + 20, 1);
	refused(&b, "an all-zero last entry");
}

static void
too_many_entries(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	uint8_t entry[ENTRY] = { 0 };

	(void)state;
	for (size_t i = 0; i <= SNP_CERT_ENTRIES_MAX; i++) {
		entry[0] = (uint8_t)(i + 1);
		assert_int_equal(blob_append(&b, span(entry, ENTRY)), 0);
	}
	memset(entry, 0, sizeof(entry));
	assert_int_equal(blob_append(&b, span(entry, ENTRY)), 0);
	refused(&b, "at most 32 entries");
}

static void
points_into_header(void **state)
{
	static const uint32_t offsets[] = { 0, 1, ENTRY, 3 * ENTRY - 1 };
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	two_entries(&b);
	for (size_t i = 0; i < NELEMS(offsets); i++) {
		put32(&b, 16, offsets[i]);
		refused(&b, "an offset behind the header");
	}
}

static void
ends_beyond(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	two_entries(&b);
	put32(&b, ENTRY + 20, 7);
	refused(&b, "a certificate inside the table");
	put32(&b, ENTRY + 20, UINT32_MAX);
	refused(&b, "a certificate inside the table");
	put32(&b, ENTRY + 16, UINT32_MAX);
	put32(&b, ENTRY + 20, 1);
	refused(&b, "a certificate inside the table");
	/* The sum wraps in 32 bits to something inside. */
	put32(&b, ENTRY + 16, 0xfffffff0);
	put32(&b, ENTRY + 20, 0x60);
	refused(&b, "a certificate inside the table");
}

static void
no_bytes(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	two_entries(&b);
	put32(&b, 20, 0);
	refused(&b, "a certificate");
}

static void
same_kind_twice(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	const struct table_entry e[] = {
		{ GUID_VCEK, span("first", 5) },
		{ GUID_VCEK, span("second", 6) },
	};

	(void)state;
	snp_table_build(e, 2, &b);
	refused(&b, "each GUID once");
}

static void
overlapping(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	two_entries(&b);
	put32(&b, 20, 6); /* one byte into the second */
	refused(&b, "certificates that do not overlap");
	put32(&b, 20, 5);
	put32(&b, ENTRY + 16, 3 * ENTRY + 4);
	refused(&b, "certificates that do not overlap");
	put32(&b, ENTRY + 16, 3 * ENTRY);
	put32(&b, ENTRY + 20, 1); /* inside of the first */
	refused(&b, "certificates that do not overlap");
}

static void
too_long(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	b.data = calloc(1, EVIDENCE_AUX_MAX + 1);
	assert_non_null(b.data);
	b.len = EVIDENCE_AUX_MAX + 1;
	refused(&b, "at most 65536 bytes");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_table),
		cmocka_unit_test(every_kind),
		cmocka_unit_test(no_table),
		cmocka_unit_test(unterminated),
		cmocka_unit_test(last_entry_with_content),
		cmocka_unit_test(too_many_entries),
		cmocka_unit_test(points_into_header),
		cmocka_unit_test(ends_beyond),
		cmocka_unit_test(no_bytes),
		cmocka_unit_test(same_kind_twice),
		cmocka_unit_test(overlapping),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests_name("snp-certs", tests, NULL, NULL);
}
