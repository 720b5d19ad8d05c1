/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/reader.h"

static const uint8_t bytes[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
	0x09 };

static struct reader
over(size_t len)
{
	return reader_init(span(bytes, len));
}

static void
big_endian(void **state)
{
	struct reader r = over(9);

	(void)state;
	assert_int_equal(read_be16(&r), 0x0102);
	assert_int_equal(read_be32(&r), 0x03040506);
	assert_int_equal(read_u8(&r), 0x07);
	assert_int_equal(read_be16(&r), 0x0809);
	assert_int_equal(reader_end(&r), 0);
}

static void
little_endian(void **state)
{
	struct reader r = over(8);

	(void)state;
	assert_int_equal(read_le16(&r), 0x0201);
	assert_int_equal(read_le32(&r), 0x06050403);
	assert_int_equal(read_le16(&r), 0x0807);
	assert_int_equal(reader_end(&r), 0);
	r = over(8);
	assert_true(read_le64(&r) == 0x0807060504030201);
	r = over(8);
	assert_true(read_be64(&r) == 0x0102030405060708);
}

/* A read of n bytes from n - 1 fails, yields zero, and stays failed. */
static void
truncated_integers(void **state)
{
	struct reader r;

	(void)state;
	r = over(0);
	assert_int_equal(read_u8(&r), 0);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
	r = over(1);
	assert_int_equal(read_be16(&r), 0);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
	r = over(3);
	assert_int_equal(read_le32(&r), 0);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
	r = over(7);
	assert_true(read_be64(&r) == 0);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
}

static void
failure_latches(void **state)
{
	struct reader r = over(3);

	(void)state;
	(void)read_be32(&r);
	assert_int_equal(read_u8(&r), 0);
	assert_int_equal(read_be16(&r), 0);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
}

static void
trailing_byte(void **state)
{
	struct reader r = over(3);

	(void)state;
	(void)read_be16(&r);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
}

/* Lengths near SIZE_MAX must not wrap around the position. */
static void
huge_length(void **state)
{
	struct reader r = over(9);
	struct span s;

	(void)state;
	(void)read_u8(&r);
	s = read_span(&r, SIZE_MAX);
	assert_int_equal(s.len, 0);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
	r = over(9);
	(void)read_u8(&r);
	read_skip(&r, SIZE_MAX);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
}

static void
truncated_bytes_are_zero(void **state)
{
	struct reader r = over(3);
	uint8_t out[4] = { 9, 9, 9, 9 };

	(void)state;
	read_bytes(&r, out, sizeof(out));
	assert_true(span_is_filled(span(out, sizeof(out)), 0));
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
}

static void
reserved_not_zero(void **state)
{
	static const uint8_t reserved[] = { 0, 0, 1, 0 };
	struct reader r = reader_init(span(reserved, sizeof(reserved)));

	(void)state;
	read_zero(&r, 2);
	assert_false(r.failed);
	read_zero(&r, 2);
	assert_int_equal(reader_end(&r), CVM_E_PARSE);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(big_endian),
		cmocka_unit_test(little_endian),
		cmocka_unit_test(truncated_integers),
		cmocka_unit_test(failure_latches),
		cmocka_unit_test(trailing_byte),
		cmocka_unit_test(huge_length),
		cmocka_unit_test(truncated_bytes_are_zero),
		cmocka_unit_test(reserved_not_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
