/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/der.h"
#include "base/cleanup.h"

#define BYTES_MAX 64

/* Bytes as hex, read by read(); true when nothing failed and nothing is left.
 */
static bool
reads(const char *hex, void (*read)(struct reader *r, void *ret), void *ret)
{
	uint8_t bytes[BYTES_MAX];
	size_t len = strlen(hex) / 2;
	struct reader r;

	assert_true(len <= sizeof(bytes));
	assert_int_equal(hex_decode(hex, bytes, len), 0);
	r = reader_init(span(bytes, len));
	read(&r, ret);
	return reader_end(&r) == CVM_OK;
}

struct row {
	const char *hex;
	bool ok;
	uint64_t value;
};

static void
judge(const struct row *rows, size_t n,
    void (*read)(struct reader *r, void *ret))
{
	for (size_t i = 0; i < n; i++) {
		uint64_t got = 0;
		bool ok = reads(rows[i].hex, read, &got);

		if (ok != rows[i].ok || (ok && got != rows[i].value))
			fail_msg("%s: %s, %llu", rows[i].hex,
			    ok ? "read" : "refused", (unsigned long long)got);
	}
}

static void
length_of_octets(struct reader *r, void *ret)
{
	*(uint64_t *)ret = der_value(r, DER_OCTETS).len;
}

/* X.690 section 10.1: one form of every length. */
static void
length_in_a_longer_form(void **state)
{
	static const struct row rows[] = {
		{ "0400", true, 0 }, { "040141", true, 1 },
		{ "04810141", false, 0 }, { "0482000141", false, 0 },
		{ "048000000000", false, 0 }, /* indefinite */
		{ "0485000000000141", false, 0 }, { "04ff41", false, 0 },
		{ "0402", false, 0 },	  /* cut */
		{ "0401", false, 0 },	  /* cut */
		{ "04", false, 0 },	  /* cut */
		{ "", false, 0 },	  /* none */
		{ "0500", false, 0 },	  /* another tag */
		{ "04000400", false, 0 }, /* one more */
	};
	uint8_t bytes[3 + 200] = { 0x04, 0x81, 200 };
	struct reader r = reader_init(span(bytes, sizeof(bytes)));

	(void)state;
	judge(rows, NELEMS(rows), length_of_octets);
	assert_int_equal(der_value(&r, DER_OCTETS).len, 200);
	assert_int_equal(reader_end(&r), 0);
}

static void
any_tag(struct reader *r, void *ret)
{
	uint8_t tag;

	(void)der_any(r, &tag);
	*(uint64_t *)ret = tag;
}

static void
tag_of_several_bytes(void **state)
{
	static const struct row rows[] = {
		{ "1e00", true, 0x1e },
		{ "a100", true, 0xa1 },
		{ "1f8100", false, 0 },
		{ "bf00", false, 0 },
		{ "ff0000", false, 0 },
	};

	(void)state;
	judge(rows, NELEMS(rows), any_tag);
}

static void
small_uint(struct reader *r, void *ret)
{
	*(uint64_t *)ret = der_uint(r, DER_INTEGER, 1000);
}

static void
large_uint(struct reader *r, void *ret)
{
	*(uint64_t *)ret = der_uint(r, DER_INTEGER, UINT64_MAX);
}

static void
number_spelt_twice(void **state)
{
	static const struct row small[] = {
		{ "020100", true, 0 }, { "02017f", true, 127 },
		{ "02020080", true, 128 }, { "020203e8", true, 1000 },
		{ "020203e9", false, 0 }, /* above the most */
		{ "0200", false, 0 },	  /* no bytes */
		{ "020180", false, 0 },	  /* negative */
		{ "0202007f", false, 0 }, /* not the shortest */
		{ "0202ff80", false, 0 }, /* not the shortest, negative */
		{ "0a0100", false, 0 },	  /* ENUMERATED */
	};
	static const struct row large[] = {
		{ "020900ffffffffffffffff", true, UINT64_MAX },
		{ "02087fffffffffffffff", true, INT64_MAX },
		{ "0209010000000000000000", false, 0 },
		{ "0208ffffffffffffffff", false, 0 },
		{ "020a00010000000000000000", false, 0 },
	};

	(void)state;
	judge(small, NELEMS(small), small_uint);
	judge(large, NELEMS(large), large_uint);
}

static void
positive(struct reader *r, void *ret)
{
	struct span s = der_positive(r);

	*(uint64_t *)ret = s.len;
}

static void
modulus_with_a_sign(void **state)
{
	static const struct row rows[] = {
		{ "020200ff", true, 1 },
		{ "020101", true, 1 },
		{ "02020100", true, 2 },
		{ "020100", false, 0 }, /* zero */
		{ "0201ff", false, 0 }, /* negative */
		{ "02020001", false, 0 },
		{ "0200", false, 0 },
	};

	(void)state;
	judge(rows, NELEMS(rows), positive);
}

static void
boolean(struct reader *r, void *ret)
{
	*(uint64_t *)ret = der_bool(r);
}

static void
truth_that_is_not_ff(void **state)
{
	static const struct row rows[] = {
		{ "0101ff", true, 1 },
		{ "010100", true, 0 },
		{ "010101", false, 0 },
		{ "0100", false, 0 },
		{ "0102ffff", false, 0 },
		{ "0201ff", false, 0 },
	};

	(void)state;
	judge(rows, NELEMS(rows), boolean);
}

static void
named_bits(struct reader *r, void *ret)
{
	*(uint64_t *)ret = der_named_bits(r);
}

static void
bits_beyond_the_last(void **state)
{
	static const struct row rows[] = {
		{ "030100", true, 0 },
		{ "03020780", true, 0x80 },
		{ "03020106", true, 0x06 },
		{ "03020104", true, 0x04 }, /* a trailing zero: AMD's */
		{ "0303078080", true, 0x8080 },
		{ "03020781", false, 0 }, /* an unused bit is set */
		{ "03020880", false, 0 }, /* eight unused bits */
		{ "030101", false, 0 },	  /* unused bits of nothing */
		{ "0300", false, 0 },
		{ "030400808080", false, 0 },
	};

	(void)state;
	judge(rows, NELEMS(rows), named_bits);
}

static void
identifier(struct reader *r, void *ret)
{
	*(uint64_t *)ret = der_oid(r).len;
}

static void
identifier_without_an_end(void **state)
{
	static const struct row rows[] = {
		{ "0603551d13", true, 3 }, { "06028837", true, 2 },
		{ "0603558013", false, 0 }, /* an arc with zeros before it */
		{ "0602801d", false, 0 },
		{ "0603551d93", false, 0 }, /* the last arc goes on */
		{ "0600", false, 0 },
		{ "0d03551d13", false, 0 }, /* RELATIVE-OID */
	};

	(void)state;
	judge(rows, NELEMS(rows), identifier);
}

static void
whole_bytes(struct reader *r, void *ret)
{
	*(uint64_t *)ret = der_bits(r).len;
}

static void
signature_with_unused_bits(void **state)
{
	static const struct row rows[] = {
		{ "030200ab", true, 1 },
		{ "030100", true, 0 },
		{ "030201aa", false, 0 },
		{ "0300", false, 0 },
		{ "040200ab", false, 0 },
	};

	(void)state;
	judge(rows, NELEMS(rows), whole_bytes);
}

static void
inner_octets(struct reader *r, void *ret)
{
	struct reader in = der_open(r, DER_SEQUENCE);

	*(uint64_t *)ret = der_value(&in, DER_OCTETS).len;
	der_close(r, &in);
}

static void
something_left_inside(void **state)
{
	static const struct row rows[] = {
		{ "3003040141", true, 1 },
		{ "30050401410500", false, 0 }, /* one more inside */
		{ "3002040141", false, 0 },	/* the inner one is longer */
		{ "3000", false, 0 },		/* none inside */
		{ "3103040141", false, 0 },	/* SET */
	};

	(void)state;
	judge(rows, NELEMS(rows), inner_octets);
}

/* "260229..." as ASCII in an element. */
static bool
time_of(uint8_t tag, const char *text, int64_t *ret)
{
	uint8_t bytes[BYTES_MAX] = { tag, (uint8_t)strlen(text) };
	struct reader r;

	memcpy(&bytes[2], text, strlen(text));
	r = reader_init(span(bytes, 2 + strlen(text)));
	*ret = der_time(&r);
	return reader_end(&r) == CVM_OK;
}

static void
date_that_does_not_exist(void **state)
{
	static const char *const refused[] = { "260229000000Z", "260001000000Z",
		"261301000000Z", "260100000000Z", "260432000000Z",
		"260431000000Z", "260101240000Z", "260101006000Z",
		"260101000060Z", "260101000000", "2601010000Z",
		"260101000000+0000", "260101000000z", "2601010000 0Z",
		"260101000000ZZ", "", "99991231235959Z" };
	int64_t t;

	(void)state;
	assert_true(time_of(DER_UTC_TIME, "240229000000Z", &t));
	assert_int_equal(t, 1709164800);
	for (size_t i = 0; i < NELEMS(refused); i++)
		if (time_of(DER_UTC_TIME, refused[i], &t))
			fail_msg("%s", refused[i]);
	assert_false(time_of(DER_GENERALIZED_TIME, "19000229000000Z", &t));
	assert_true(time_of(DER_GENERALIZED_TIME, "20000229000000Z", &t));
	assert_false(time_of(DER_GENERALIZED_TIME, "00000101000000Z", &t));
	assert_false(time_of(DER_GENERALIZED_TIME, "20260101000000.5Z", &t));
	assert_false(time_of(DER_OCTETS, "240229000000Z", &t));
}

/* Against the C library, over every month of four centuries. */
static void
date_of_another_day(void **state)
{
	int64_t got;

	(void)state;
	for (int month = 0; month < 400 * 12; month++) {
		struct tm tm = { .tm_year = month / 12,
			.tm_mon = month % 12,
			.tm_mday = 28,
			.tm_hour = 23,
			.tm_sec = 59 };
		char text[24];

		assert_true(
		    strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm) > 0);
		assert_true(time_of(DER_GENERALIZED_TIME, text, &got));
		assert_true(got == (int64_t)timegm(&tm));
	}
	/* RFC 5280 section 4.1.2.5.1: two digits are of 1950 to 2049. */
	assert_true(time_of(DER_UTC_TIME, "500101000000Z", &got));
	assert_int_equal(got, -631152000);
	assert_true(time_of(DER_UTC_TIME, "491231235959Z", &got));
	assert_true(got == INT64_C(2524607999));
}

static void
oid_of_another_arc(void **state)
{
	static const struct {
		const char *dotted, *hex;
	} good[] = {
		{ "1.2.840.113741.1.13.1", "2a864886f84d010d01" },
		{ "1.3.6.1.4.1.3704.1.3.1", "2b060104019c78010301" },
		{ "2.5.29.19", "551d13" },
		{ "2.999", "8837" },
		{ "0.39", "27" },
	};
	static const char *const bad[] = { "", "1", "3.1", "1.40", "1.2.",
		"1..2", ".1.2", "1.2.x", "1.2.-3", "1.2.99999999999999999999",
		"1 2" };
	uint8_t out[16], want[16];
	char text[64];

	(void)state;
	for (size_t i = 0; i < NELEMS(good); i++) {
		size_t len = strlen(good[i].hex) / 2;

		assert_int_equal(hex_decode(good[i].hex, want, len), 0);
		assert_int_equal(der_oid_encode(good[i].dotted, out,
				     sizeof(out)),
		    len);
		assert_memory_equal(out, want, len);
		assert_int_equal(der_oid_encode(good[i].dotted, out, len - 1),
		    0);
		assert_string_equal(der_oid_text(span(want, len), text,
					sizeof(text)),
		    good[i].dotted);
	}
	for (size_t i = 0; i < NELEMS(bad); i++)
		assert_int_equal(der_oid_encode(bad[i], out, sizeof(out)), 0);
	/* A text that is too long is cut, and ends. */
	assert_int_equal(hex_decode(good[0].hex, want, 9), 0);
	assert_string_equal(der_oid_text(span(want, 9), text, 8), "1.2.840");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(length_in_a_longer_form),
		cmocka_unit_test(tag_of_several_bytes),
		cmocka_unit_test(number_spelt_twice),
		cmocka_unit_test(modulus_with_a_sign),
		cmocka_unit_test(truth_that_is_not_ff),
		cmocka_unit_test(bits_beyond_the_last),
		cmocka_unit_test(signature_with_unused_bits),
		cmocka_unit_test(something_left_inside),
		cmocka_unit_test(date_that_does_not_exist),
		cmocka_unit_test(date_of_another_day),
		cmocka_unit_test(oid_of_another_arc),
		cmocka_unit_test(identifier_without_an_end),
	};

	return cmocka_run_group_tests_name("der", tests, NULL, NULL);
}
