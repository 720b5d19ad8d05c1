/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/ccel_table.h"
#include "tests/unit/vectors.h"

#define CHECKSUM_AT 9
#define LOG_LEN 0x10000

/* Makes the sum 0 again, so that it is not the sum that is refused. */
static void
mend_sum(uint8_t t[static CCEL_TABLE_LEN])
{
	uint8_t sum = 0;

	t[CHECKSUM_AT] = 0;
	for (size_t i = 0; i < CCEL_TABLE_LEN; i++)
		sum = (uint8_t)(sum + t[i]);
	t[CHECKSUM_AT] = (uint8_t)-sum;
}

static void
make(uint8_t t[static CCEL_TABLE_LEN])
{
	memset(t, 0, CCEL_TABLE_LEN);
	memcpy(t, "CCEL", 4);
	t[4] = CCEL_TABLE_LEN;
	t[8] = 1;
	memcpy(&t[10], "INTEL EDK2    ", 14);
	t[36] = 2;
	t[42] = LOG_LEN >> 16;
	t[50] = 1;
	mend_sum(t);
}

static int
check(const uint8_t t[static CCEL_TABLE_LEN], struct why *why)
{
	memset(why, 0, sizeof(*why));
	return ccel_table_check(span(t, CCEL_TABLE_LEN), LOG_LEN, why);
}

static void
good_table(void **state)
{
	uint8_t t[CCEL_TABLE_LEN];
	struct ccel_table got;
	struct why why;

	(void)state;
	make(t);
	assert_int_equal(check(t, &why), CVM_OK);
	assert_int_equal(ccel_table_parse(span(t, sizeof(t)), &got, &why), 0);
	assert_int_equal(got.type, 2);
	assert_int_equal(got.size, LOG_LEN);
	assert_int_equal(got.address, 0x10000);
}

static void
every_bit_flipped(void **state)
{
	uint8_t t[CCEL_TABLE_LEN];
	struct why why;

	(void)state;
	make(t);
	for (size_t i = 0; i < CCEL_TABLE_LEN * 8; i++) {
		t[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_not_equal(check(t, &why), CVM_OK);
		t[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(check(t, &why), CVM_OK);
}

/* Each with a sum that is right. */
static void
field_wrong(void **state)
{
	static const struct {
		size_t at;
		uint8_t to;
		const char *field;
	} rows[] = {
		{ 0, 'D', "signature" },
		{ 3, 'l', "signature" },
		{ 4, 55, "length" },
		{ 4, 57, "length" },
		{ 36, 0, "type" },
		{ 36, 1, "type" }, /* SEV */
		{ 36, 3, "type" },
		{ 40, 1, "length of the log" },
		{ 42, 2, "length of the log" },
		{ 47, 1, "length of the log" },
		{ 42, 0, "log" },
		{ 50, 0, "log" },
	};
	uint8_t t[CCEL_TABLE_LEN];
	struct why why;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(t);
		t[rows[i].at] = rows[i].to;
		mend_sum(t);
		assert_int_not_equal(check(t, &why), CVM_OK);
		assert_string_equal(why.field, rows[i].field);
	}
}

static void
cut_or_continued(void **state)
{
	uint8_t t[CCEL_TABLE_LEN + 1] = { 0 };
	struct ccel_table got;
	struct why why;

	(void)state;
	make(t);
	for (size_t n = 0; n <= sizeof(t); n++)
		assert_int_equal(ccel_table_parse(span(t, n), &got, &why) ==
			CVM_OK,
		    n == CCEL_TABLE_LEN);
}

/* Tables of real machines, whatever their names are. */
static void
recorded_table_misread(void **state)
{
	struct blob b = { 0 };
	const cJSON *f;
	size_t n = 0;
	cJSON *m;

	(void)state;
	vector_load("MANIFEST.json", &b);
	m = cJSON_ParseWithLength((const char *)b.data, b.len);
	blob_clear(&b);
	cJSON_ArrayForEach(f, cJSON_GetObjectItem(m, "files")) {
		const char *path = cJSON_GetStringValue(
		    cJSON_GetObjectItem(f, "path"));
		const cJSON *fields = cJSON_GetObjectItem(f, "fields");
		const cJSON *laml = cJSON_GetObjectItem(fields, "laml");
		struct ccel_table got;
		struct why why = { 0 };
		bool valid = strcmp(cJSON_GetStringValue(
					cJSON_GetObjectItem(f, "verdict")),
				 "valid") == 0;

		if (strstr(path, ".table.bin") == NULL)
			continue;
		vector_load(path, &b);
		assert_int_equal(ccel_table_parse(blob_span(&b), &got, &why) ==
			CVM_OK,
		    valid);
		if (valid && cJSON_IsNumber(laml))
			assert_true((double)got.size == laml->valuedouble);
		blob_clear(&b);
		n++;
	}
	cJSON_Delete(m);
	assert_true(n > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_table),
		cmocka_unit_test(every_bit_flipped),
		cmocka_unit_test(field_wrong),
		cmocka_unit_test(cut_or_continued),
		cmocka_unit_test(recorded_table_misread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
