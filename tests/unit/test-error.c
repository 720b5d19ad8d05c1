/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void
code_without_text(void **state)
{
	static const int gaps[] = { 1, -6, -9, -18, -32, -39, -67, -1000 };

	(void)state;
	assert_string_equal(cvm_strerror(CVM_OK), "success");
	assert_string_equal(cvm_strerror(CVM_E_DENIED), "attestation denied");
	for (int err = CVM_E_CURVE; err <= CVM_E_ATTR_TYPE; err++)
		assert_string_not_equal(cvm_strerror(err), "unknown error");
	for (int err = CVM_E_STALE; err <= CVM_E_UNREACHABLE; err++)
		assert_string_not_equal(cvm_strerror(err), "unknown error");
	for (size_t i = 0; i < NELEMS(gaps); i++)
		assert_string_equal(cvm_strerror(gaps[i]), "unknown error");
}

static void
sentence_malformed(void **state)
{
	char buf[WHY_SENTENCE_MAX], small[16];
	struct why why = { 0 };

	(void)state;
	assert_int_equal(why_set(&why, CVM_E_PARSE, "report", "VERSION", "2..5",
			     "9"),
	    CVM_E_PARSE);
	assert_string_equal(why_sentence(&why, buf, sizeof(buf)),
	    "report: VERSION: expected 2..5, got 9 (malformed)");
	why_hint(&why, "run %s", "x");
	assert_string_equal(why_sentence(&why, buf, sizeof(buf)),
	    "report: VERSION: expected 2..5, got 9 (malformed); run x");
	assert_string_equal(why_sentence(&why, small, sizeof(small)),
	    "report: VERSION");
	(void)why_set(&why, CVM_E_NOMEM, NULL, NULL, NULL, NULL);
	assert_string_equal(why_sentence(&why, buf, sizeof(buf)),
	    " (out of memory)");
	(void)why_setf(&why, CVM_E_IO, "f", NULL, NULL, "%d of %d", 1, 2);
	assert_string_equal(why_sentence(&why, buf, sizeof(buf)),
	    "f: got 1 of 2 (input/output error)");
}

static void
hostile_bytes_kept(void **state)
{
	struct why why = { 0 };

	(void)state;
	(void)why_set(&why, CVM_E_PARSE, "a\nb", "\x1b[2J", "\x7f\t",
	    "\xc3\xa9");
	assert_string_equal(why.where, "a?b");
	assert_string_equal(why.field, "?[2J");
	assert_string_equal(why.expected, "\?\?");
	assert_string_equal(why.got, "\?\?");
	why_hint(&why, "%s", "\r\n");
	assert_string_equal(why.hint, "\?\?");
}

static void
long_value_overflows(void **state)
{
	char big[2048], buf[WHY_SENTENCE_MAX];
	struct why why = { 0 };

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)why_set(&why, CVM_E_PARSE, big, big, big, big);
	why_hint(&why, "%s", big);
	assert_int_equal(strlen(why.where), WHY_WHERE_MAX - 1);
	assert_string_equal(why.where + WHY_WHERE_MAX - 5, "x...");
	assert_string_equal(why.got + WHY_VALUE_MAX - 5, "x...");
	assert_string_equal(why.hint + WHY_HINT_MAX - 5, "x...");
	/* A sentence of the longest parts is whole. */
	assert_string_equal(why_sentence(&why, buf, sizeof(buf)) + strlen(buf) -
		4,
	    "x...");
	(void)why_setf(&why, CVM_E_PARSE, NULL, NULL, NULL, "%s", big);
	assert_string_equal(why.got + WHY_VALUE_MAX - 5, "x...");
}

static void
longest_value_cut(void **state)
{
	char exact[WHY_FIELD_MAX];
	struct why why = { 0 };

	(void)state;
	memset(exact, 'x', sizeof(exact) - 1);
	exact[sizeof(exact) - 1] = '\0';
	(void)why_set(&why, CVM_E_PARSE, NULL, exact, NULL, NULL);
	assert_string_equal(why.field, exact);
}

static void
nobody_asks_why(void **state)
{
	(void)state;
	assert_int_equal(why_set(NULL, CVM_E_IO, "a", "b", "c", "d"), CVM_E_IO);
	assert_int_equal(why_setf(NULL, CVM_E_IO, "a", "b", "c", "%d", 1),
	    CVM_E_IO);
	why_hint(NULL, "x");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_without_text),
		cmocka_unit_test(sentence_malformed),
		cmocka_unit_test(hostile_bytes_kept),
		cmocka_unit_test(long_value_overflows),
		cmocka_unit_test(longest_value_cut),
		cmocka_unit_test(nobody_asks_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
