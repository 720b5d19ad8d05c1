/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/blob.h"

static struct span
text(const char *s)
{
	return span(s, strlen(s));
}

static void
appended_to_itself(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	assert_int_equal(blob_set(&b, text("ab")), CVM_OK);
	assert_int_equal(blob_append(&b, blob_span(&b)), CVM_OK);
	assert_int_equal(blob_append(&b, span(NULL, 0)), CVM_OK);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "abab", 4);
	assert_int_equal(blob_set(&b, span(b.data + 1, 2)), CVM_OK);
	assert_int_equal(b.len, 2);
	assert_memory_equal(b.data, "ba", 2);
}

static void
length_overflows(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	assert_int_equal(blob_set(&b, text("ab")), CVM_OK);
	assert_int_equal(blob_append(&b, span("x", SIZE_MAX)), CVM_E_NOMEM);
	assert_int_equal(blob_append(&b, span("x", SIZE_MAX - 1)), CVM_E_NOMEM);
	assert_int_equal(b.len, 2);
	assert_memory_equal(b.data, "ab", 2);
}

static void
cleared_twice(void **state)
{
	struct blob b = { 0 };

	(void)state;
	blob_clear(NULL);
	blob_clear(&b);
	assert_int_equal(blob_set(&b, span(NULL, 0)), CVM_OK);
	assert_int_equal(b.len, 0);
	blob_clear(&b);
	assert_null(b.data);
	blob_clear(&b);
}

static void
prefix_taken_for_equal(void **state)
{
	(void)state;
	assert_true(span_equal(text("abc"), text("abc")));
	assert_true(span_equal(span(NULL, 0), text("")));
	assert_false(span_equal(text("abc"), text("abd")));
	assert_false(span_equal(text("xbc"), text("abc")));
	assert_false(span_equal(text("abc"), text("ab")));
	assert_false(span_equal(text("ab"), text("abc")));
	assert_false(span_equal(span(NULL, 0), text("a")));
}

static void
empty_taken_for_filled(void **state)
{
	static const uint8_t zeros[3], last[3] = { 0, 0, 1 };

	(void)state;
	assert_true(span_is_filled(span(zeros, 3), 0));
	assert_true(span_is_filled(text("aaa"), 'a'));
	assert_false(span_is_filled(span(zeros, 0), 0));
	assert_false(span_is_filled(span(NULL, 0), 0));
	assert_false(span_is_filled(span(last, 3), 0));
	assert_false(span_is_filled(text("aba"), 'a'));
	assert_false(span_is_filled(span(zeros, 3), 0xff));
}

static void
hex_overflows_buffer(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x0f, 0xf0, 0xff };
	char out[10];

	(void)state;
	assert_string_equal(hex_encode(span(bytes, 4), out, 9), "000ff0ff");
	memset(out, 'x', sizeof(out));
	assert_string_equal(hex_encode(span(bytes, 4), out, 8), "000ff0");
	assert_int_equal(out[8], 'x');
	assert_string_equal(hex_encode(span(bytes, 4), out, 1), "");
	out[0] = 'x';
	hex_encode(span(bytes, 4), out, 0);
	assert_int_equal(out[0], 'x');
	assert_string_equal(hex_encode(span(NULL, 0), out, 9), "");
}

static void
hex_malformed(void **state)
{
	static const char *const refused[] = { "", "0", "000", "00000", "0x00",
		"00 0", " 000", "000 ", "00g0", "-000", "00\n0", "0\xc3\xa9 " };
	uint8_t out[2] = { 7, 7 };

	(void)state;
	assert_int_equal(hex_decode("0aFf", out, 2), CVM_OK);
	assert_int_equal(out[0], 0x0a);
	assert_int_equal(out[1], 0xff);
	for (size_t i = 0; i < NELEMS(refused); i++) {
		out[0] = out[1] = 7;
		assert_int_equal(hex_decode(refused[i], out, 2), CVM_E_PARSE);
		assert_true(out[0] == 7 && out[1] == 7);
	}
	assert_int_equal(hex_decode("", out, 0), CVM_OK);
	assert_int_equal(hex_decode("00", out, 0), CVM_E_PARSE);
}

static void
hex_longer_than_allowed(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	assert_int_equal(hex_decode_blob("010203", 3, &b), CVM_OK);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "\1\2\3", 3);
	blob_clear(&b);
	assert_int_equal(hex_decode_blob("010203", 2, &b), CVM_E_PARSE);
	assert_int_equal(hex_decode_blob("01020", 9, &b), CVM_E_PARSE);
	assert_int_equal(hex_decode_blob("0102zz", 9, &b), CVM_E_PARSE);
	assert_null(b.data);
	assert_int_equal(hex_decode_blob("", 0, &b), CVM_OK);
	assert_int_equal(b.len, 0);
}

/* RFC 4648 section 10. */
static void
base64_vectors(void **state)
{
	static const struct {
		const char *plain, *encoded;
	} rows[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xef\xbe~?", "/+++fj8=" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(blob_clear) struct blob b = { 0 };
		_cleanup_(freep) char *s = NULL;
		size_t len = strlen(rows[i].plain);

		assert_int_equal(base64_encode(text(rows[i].plain), &s),
		    CVM_OK);
		assert_string_equal(s, rows[i].encoded);
		assert_int_equal(base64_decode(s, len, &b), CVM_OK);
		assert_true(span_equal(blob_span(&b), text(rows[i].plain)));
	}
}

static void
base64_malformed(void **state)
{
	static const char *const refused[] = { "Z", "Zg", "Zg=", "Zm8",
		"Zg===", "====", "=Zg=", "Zg=a", "Z===", "Zm=v", "Zm9vYg==Zm9v",
		"Zg==\n", "Zm9v\nYg==", " Zg=", "Zm-_", "Zm9\x80",
		"Zm9v=", "Zg==Zg==" };
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEMS(refused); i++)
		if (base64_decode(refused[i], 100, &b) != CVM_E_PARSE)
			fail_msg("%s", refused[i]);
	assert_null(b.data);
}

/* The 64 digits have their values, and no other byte has one. */
static void
base64_byte_that_is_no_digit(void **state)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	(void)state;
	for (int c = 1; c < 256; c++) {
		const char *digit = strchr(digits, c);
		const char in[] = { 'A', 'A', 'A', (char)c, '\0' };
		_cleanup_(blob_clear) struct blob b = { 0 };
		int r = base64_decode(in, 3, &b);

		if (c == '=')
			continue;
		assert_int_equal(r, digit != NULL ? CVM_OK : CVM_E_PARSE);
		if (digit != NULL)
			assert_int_equal(b.data[2], digit - digits);
	}
}

/* "Zh==" would decode to the same byte as "Zg==". */
static void
base64_second_encoding(void **state)
{
	static const char *const refused[] = { "Zh==", "Zv==", "Zm9=", "Zm+=" };
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEMS(refused); i++)
		assert_int_equal(base64_decode(refused[i], 100, &b),
		    CVM_E_PARSE);
}

static void
base64_longer_than_allowed(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	assert_int_equal(base64_decode("Zm9vYg==", 3, &b), CVM_E_PARSE);
	assert_int_equal(base64_decode("Zm9v", 2, &b), CVM_E_PARSE);
	assert_int_equal(base64_decode("Zg==", 0, &b), CVM_E_PARSE);
	assert_null(b.data);
	assert_int_equal(base64_decode("Zm9vYg==", 4, &b), CVM_OK);
}

/* Line ends and blanks anywhere; whatever else is odd is refused as without
 * them, also where a line does not hold whole groups. */
static void
base64_lines(void **state)
{
	static const struct {
		const char *plain, *lines;
	} rows[] = {
		{ "foobar", "Zm9vYmFy" },
		{ "foobar", "Zm9v\nYmFy\n" },
		{ "foobar", "\r\nZ m9\tvY\nm\nFy" },
		{ "fooba", "Zm9v\r\nYmE=\r\n" },
		{ "foob", "Zm9vYg\n=\n=\n" },
		{ "\xff\xef\xbe~?", "/+++ fj8= " },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(blob_clear) struct blob b = { 0 };

		assert_int_equal(base64_decode_lines(text(rows[i].lines), &b),
		    CVM_OK);
		assert_true(span_equal(blob_span(&b), text(rows[i].plain)));
	}
}

static void
base64_lines_malformed(void **state)
{
	static const char *const refused[] = { "", "\n", "Z", "Zm9", "Zm9vY",
		"Zm9v\nYg", "Zm9v\nYg=", "Zg==Zm9v", "Zg==\nZm9v",
		"Zg==\nZg==", "Zg==\n=", "Zg=\na", "Zm=v", "====", "Zm9v\vYmFy",
		"Zm9v-mFy", "Zm9v\nYm\x80y",
		"Zm9v\nYh==", "Zm9v\nYmF=", "Zm9v\nYmE=\nY" };
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEMS(refused); i++)
		if (base64_decode_lines(text(refused[i]), &b) != CVM_E_PARSE)
			fail_msg("%s", refused[i]);
	/* text() would end at it. */
	assert_int_equal(base64_decode_lines(span("Zm9v\0YmFy", 9), &b),
	    CVM_E_PARSE);
	assert_null(b.data);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_to_itself),
		cmocka_unit_test(length_overflows),
		cmocka_unit_test(cleared_twice),
		cmocka_unit_test(prefix_taken_for_equal),
		cmocka_unit_test(empty_taken_for_filled),
		cmocka_unit_test(hex_overflows_buffer),
		cmocka_unit_test(hex_malformed),
		cmocka_unit_test(hex_longer_than_allowed),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64_malformed),
		cmocka_unit_test(base64_byte_that_is_no_digit),
		cmocka_unit_test(base64_second_encoding),
		cmocka_unit_test(base64_longer_than_allowed),
		cmocka_unit_test(base64_lines),
		cmocka_unit_test(base64_lines_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
