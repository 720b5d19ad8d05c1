/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/reader.h"
#include "base/tuple.h"

static void
encoding_differs(void **state)
{
	static const uint8_t expected[] = { 0, 3, 't', 'a', 'g', 0, 0, 0, 2,
		'f', '1', 0, 0, 0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t buf[8];
	struct span fields[] = { span("f1", 2), span(NULL, 0),
		tuple_u64(0x0102030405060708, buf) };
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	assert_int_equal(tuple("tag", fields, NELEMS(fields), &b), CVM_OK);
	assert_true(
	    span_equal(blob_span(&b), span(expected, sizeof(expected))));
}

/* ("ab", "c") and ("a", "bc") and ("abc") are three. */
static void
fields_run_together(void **state)
{
	struct span fields[][2] = {
		{ span("ab", 2), span("c", 1) },
		{ span("a", 1), span("bc", 2) },
		{ span("abc", 3), span("", 0) },
		{ span("", 0), span("abc", 3) },
	};
	struct blob b[NELEMS(fields) + 1] = { { NULL, 0 } };

	(void)state;
	for (size_t i = 0; i < NELEMS(fields); i++)
		assert_int_equal(tuple("t", fields[i], 2, &b[i]), CVM_OK);
	assert_int_equal(tuple("t", fields[2], 1, &b[NELEMS(fields)]), CVM_OK);
	for (size_t i = 0; i < NELEMS(b); i++)
		for (size_t k = 0; k < i; k++)
			assert_false(
			    span_equal(blob_span(&b[i]), blob_span(&b[k])));
	for (size_t i = 0; i < NELEMS(b); i++)
		blob_clear(&b[i]);
}

static void
tag_too_long(void **state)
{
	_cleanup_(freep) char *tag = malloc(65537);
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	memset(tag, 't', 65536);
	tag[65536] = '\0';
	assert_int_equal(tuple(tag, NULL, 0, &b), CVM_E_INVAL);
	assert_null(b.data);
	tag[65535] = '\0';
	assert_int_equal(tuple(tag, NULL, 0, &b), CVM_OK);
	assert_int_equal(b.len, 65537);
	assert_true(b.data[0] == 0xff && b.data[1] == 0xff);
}

static void
field_too_long(void **state)
{
	struct span field = span("x", (size_t)UINT32_MAX + 1);
	struct writer w = { 0 };
	struct blob b = { 0 };

	(void)state;
	assert_int_equal(tuple("t", &field, 1, &b), CVM_E_INVAL);
	/* The writer must not cut the length to 32 bits either. */
	write_u8(&w, 1);
	write_field(&w, field);
	write_u8(&w, 2);
	assert_int_equal(writer_end(&w, &b), CVM_E_NOMEM);
	assert_null(b.data);
	writer_clear(&w);
}

static void
written_little_endian(void **state)
{
	static const uint8_t expected[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
		12, 13, 14, 15, 0, 0, 0, 1, 'f', 'r' };
	struct writer w = { 0 };
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	write_u8(&w, 1);
	write_be16(&w, 0x0203);
	write_be32(&w, 0x04050607);
	write_be64(&w, 0x08090a0b0c0d0e0f);
	write_field(&w, span("f", 1));
	write_bytes(&w, span("r", 1));
	assert_int_equal(writer_end(&w, &b), CVM_OK);
	assert_true(
	    span_equal(blob_span(&b), span(expected, sizeof(expected))));
	/* What was handed over is not written to again. */
	write_u8(&w, 9);
	assert_int_equal(b.len, sizeof(expected));
	writer_clear(&w);
	writer_clear(NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(encoding_differs),
		cmocka_unit_test(fields_run_together),
		cmocka_unit_test(tag_too_long),
		cmocka_unit_test(field_too_long),
		cmocka_unit_test(written_little_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
