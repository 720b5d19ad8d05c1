/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "token/attrs.h"

static struct span
text(const char *s)
{
	return span(s, strlen(s));
}

/* A key as it lies in a store: strings, booleans, numbers and a list. */
static void
make_key(struct attrs *a)
{
	const CK_MECHANISM_TYPE allowed[] = { CKM_ECDSA, CKM_ECDSA_SHA256 };

	assert_int_equal(attrs_set(a, CKA_LABEL, text("web")), CVM_OK);
	assert_int_equal(attrs_set_ulong(a, CKA_CLASS, CKO_PRIVATE_KEY),
	    CVM_OK);
	assert_int_equal(attrs_set_bool(a, CKA_SENSITIVE, true), CVM_OK);
	assert_int_equal(attrs_set_ulong(a, CKA_KEY_GEN_MECHANISM,
			     CK_UNAVAILABLE_INFORMATION),
	    CVM_OK);
	assert_int_equal(attrs_set(a, CKA_ALLOWED_MECHANISMS,
			     span(allowed, sizeof(allowed))),
	    CVM_OK);
	assert_int_equal(attrs_set(a, CKA_ID, span(NULL, 0)), CVM_OK);
	assert_int_equal(attrs_set_bool(a, CKA_CVM_BIND_OPERATION, false),
	    CVM_OK);
}

static void
encode_key(struct blob *ret)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };

	make_key(&a);
	assert_int_equal(attrs_encode(&a, ret), CVM_OK);
}

static void
encoding_comes_back(void **state)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 }, b = { 0 };
	_cleanup_(blob_clear) struct blob x = { 0 }, y = { 0 };

	(void)state;
	make_key(&a);
	assert_int_equal(attrs_encode(&a, &x), CVM_OK);
	assert_int_equal(attrs_decode(blob_span(&x), &b, NULL), CVM_OK);
	assert_int_equal(b.n, a.n);
	assert_int_equal(attrs_ulong(&b, CKA_CLASS, 99), CKO_PRIVATE_KEY);
	assert_true(attrs_bool(&b, CKA_SENSITIVE, false));
	assert_false(attrs_bool(&b, CKA_CVM_BIND_OPERATION, true));
	assert_true(attrs_ulong(&b, CKA_KEY_GEN_MECHANISM, 1) ==
	    CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(attrs_find(&b, CKA_ALLOWED_MECHANISMS)->value.len,
	    2 * sizeof(CK_ULONG));
	assert_int_equal(attrs_find(&b, CKA_ID)->value.len, 0);
	assert_int_equal(attrs_encode(&b, &y), CVM_OK);
	assert_true(span_equal(blob_span(&x), blob_span(&y)));
}

/* token/FORMAT.md shows these bytes. */
static void
encoding_differs_from_format_md(void **state)
{
	static const char expected[] = "00000002"
				       "0000000000000000"
				       "01"
				       "00000008"
				       "0000000000000003"
				       "0000000000000003"
				       "00"
				       "00000003"
				       "776562";
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	_cleanup_(blob_clear) struct blob x = { 0 };
	char hex[128];

	(void)state;
	assert_int_equal(attrs_set(&a, CKA_LABEL, text("web")), CVM_OK);
	assert_int_equal(attrs_set_ulong(&a, CKA_CLASS, CKO_PRIVATE_KEY),
	    CVM_OK);
	assert_int_equal(attrs_encode(&a, &x), CVM_OK);
	assert_string_equal(hex_encode(blob_span(&x), hex, sizeof(hex)),
	    expected);
}

static void
truncated_anywhere(void **state)
{
	_cleanup_(blob_clear) struct blob x = { 0 };
	_cleanup_(attrs_clear) struct attrs a = { 0 };

	(void)state;
	encode_key(&x);
	for (size_t n = 0; n < x.len; n++) {
		struct why why = { 0 };

		assert_int_equal(attrs_decode(span(x.data, n), &a, &why),
		    CVM_E_PARSE);
		assert_int_equal(why.err, CVM_E_PARSE);
		assert_int_equal(a.n, 0);
	}
}

static void
byte_after_the_end(void **state)
{
	_cleanup_(blob_clear) struct blob x = { 0 };
	_cleanup_(attrs_clear) struct attrs a = { 0 };

	(void)state;
	encode_key(&x);
	assert_int_equal(blob_append(&x, text("x")), CVM_OK);
	assert_int_equal(attrs_decode(blob_span(&x), &a, NULL), CVM_E_PARSE);
}

static void
decode_hex(const char *hex, int expected)
{
	_cleanup_(blob_clear) struct blob x = { 0 };
	_cleanup_(attrs_clear) struct attrs a = { 0 };

	assert_int_equal(hex_decode_blob(hex, 4096, &x), CVM_OK);
	if (attrs_decode(blob_span(&x), &a, NULL) != expected)
		fail_msg("%s: expected %d", hex, expected);
}

#define LABEL(value)                                                           \
	"0000000000000003"                                                     \
	"00" value
#define CLASS(value)                                                           \
	"0000000000000000"                                                     \
	"01" value
#define WEB                                                                    \
	"00000003"                                                             \
	"776562"

static void
wrong_order_or_twice(void **state)
{
	(void)state;
	decode_hex("00000002" CLASS("000000080000000000000003") LABEL(WEB),
	    CVM_OK);
	decode_hex("00000002" LABEL(WEB) CLASS("000000080000000000000003"),
	    CVM_E_PARSE);
	decode_hex("00000002" LABEL(WEB) LABEL(WEB), CVM_E_PARSE);
	decode_hex("00000003" LABEL(WEB) LABEL(WEB), CVM_E_PARSE);
}

static void
wrong_form(void **state)
{
	(void)state;
	decode_hex("00000001"
		   "0000000000000003"
		   "00" WEB,
	    CVM_OK);
	decode_hex("00000001"
		   "0000000000000003"
		   "01" WEB,
	    CVM_E_PARSE);
	decode_hex("00000001"
		   "0000000000000003"
		   "02" WEB,
	    CVM_E_PARSE);
	decode_hex("00000001"
		   "0000000000000003"
		   "ff" WEB,
	    CVM_E_PARSE);
	decode_hex("00000001"
		   "0000000000000000"
		   "00"
		   "000000080000000000000003",
	    CVM_E_PARSE);
}

static void
number_of_wrong_length(void **state)
{
	(void)state;
	decode_hex("00000001" CLASS("00000000"), CVM_E_PARSE);
	decode_hex("00000001" CLASS("0000000400000003"), CVM_E_PARSE);
	decode_hex("00000001" CLASS("00000009"
				    "000000000000000300"),
	    CVM_E_PARSE);
	decode_hex("00000001" CLASS("00000010"
				    "0000000000000003"
				    "0000000000000003"),
	    CVM_E_PARSE);
	/* A list may be empty, but not broken. */
	decode_hex("00000001"
		   "0000000040000600"
		   "02"
		   "00000000",
	    CVM_OK);
	decode_hex("00000001"
		   "0000000040000600"
		   "02"
		   "00000004"
		   "00000001",
	    CVM_E_PARSE);
}

static void
count_too_high(void **state)
{
	(void)state;
	decode_hex("00000000", CVM_OK);
	decode_hex("00000081", CVM_E_PARSE);
	decode_hex("ffffffff", CVM_E_PARSE);
	decode_hex("00000001", CVM_E_PARSE);
}

static void
length_beyond_the_record(void **state)
{
	(void)state;
	decode_hex("00000001" LABEL("ffffffff"
				    "776562"),
	    CVM_E_PARSE);
	decode_hex("00000001" LABEL("00000004"
				    "776562"),
	    CVM_E_PARSE);
	decode_hex("00000001" LABEL("00010001"
				    "776562"),
	    CVM_E_PARSE);
}

static void
value_too_long(void **state)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	_cleanup_(freep) uint8_t *big = calloc(1, ATTR_VALUE_MAX + 1);

	(void)state;
	assert_int_equal(attrs_set(&a, CKA_VALUE, span(big, ATTR_VALUE_MAX)),
	    CVM_OK);
	assert_int_equal(attrs_set(&a, CKA_VALUE,
			     span(big, ATTR_VALUE_MAX + 1)),
	    CVM_E_ATTR_VALUE);
	assert_int_equal(attrs_find(&a, CKA_VALUE)->value.len, ATTR_VALUE_MAX);
}

static void
one_attribute_too_many(void **state)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };

	(void)state;
	for (CK_ATTRIBUTE_TYPE t = ATTRS_MAX; t > 0; t--)
		assert_int_equal(attrs_set_bool(&a, CKA_VENDOR_DEFINED | t,
				     true),
		    CVM_OK);
	assert_int_equal(attrs_set_bool(&a, CKA_LABEL, true),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(attrs_set_bool(&a, CKA_VENDOR_DEFINED | 1, false),
	    CVM_OK);
	assert_int_equal(a.n, ATTRS_MAX);
	for (size_t i = 1; i < a.n; i++)
		assert_true(a.v[i - 1].type < a.v[i].type);
}

/* What a caller stored at an odd size is not read as something else. */
static void
read_at_the_wrong_size(void **state)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	_cleanup_(blob_clear) struct blob x = { 0 };

	(void)state;
	assert_int_equal(attrs_set(&a, CKA_CLASS, text("abc")), CVM_OK);
	assert_int_equal(attrs_set(&a, CKA_TOKEN, text("")), CVM_OK);
	assert_int_equal(attrs_ulong(&a, CKA_CLASS, 7), 7);
	assert_true(attrs_bool(&a, CKA_TOKEN, true));
	assert_int_equal(attrs_ulong(&a, CKA_KEY_TYPE, 8), 8);
	assert_int_equal(attrs_encode(&a, &x), CVM_E_INVAL);
}

static void
copy_shares_memory(void **state)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 }, b = { 0 };

	(void)state;
	make_key(&a);
	assert_int_equal(attrs_copy(&a, &b), CVM_OK);
	assert_int_equal(attrs_set(&a, CKA_LABEL, text("changed")), CVM_OK);
	assert_true(span_equal(blob_span(&attrs_find(&b, CKA_LABEL)->value),
	    text("web")));
}

static void
packed_list_differs(void **state)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 }, b = { 0 }, c = { 0 };
	struct attrs none = { 0 };

	(void)state;
	make_key(&a);
	make_key(&b);
	assert_int_equal(attrs_pack(&a), CVM_OK);
	assert_true(a.packed);
	assert_true(attrs_equal(&a, &b));
	/* Again, and of nothing. */
	assert_int_equal(attrs_pack(&a), CVM_OK);
	assert_true(attrs_equal(&a, &b));
	assert_int_equal(attrs_pack(&none), CVM_OK);
	assert_int_equal(none.n, 0);
	/* A copy owns its values, one by one. */
	assert_int_equal(attrs_copy(&a, &c), CVM_OK);
	assert_false(c.packed);
	assert_true(attrs_equal(&a, &c));
}

/* One that is there, longer and shorter, and one that is not. */
static void
packed_list_set_in_place(void **state)
{
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		const char *value;
	} v[] = {
		{ CKA_LABEL, "a longer label than it was" },
		{ CKA_LABEL, "" },
		{ CKA_ID, "of one that was empty" },
		{ CKA_APPLICATION, "new" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		_cleanup_(attrs_clear) struct attrs a = { 0 }, b = { 0 };

		make_key(&a);
		make_key(&b);
		assert_int_equal(attrs_pack(&a), CVM_OK);
		assert_int_equal(attrs_set(&a, v[i].type, text(v[i].value)),
		    CVM_OK);
		assert_int_equal(attrs_set(&b, v[i].type, text(v[i].value)),
		    CVM_OK);
		assert_false(a.packed);
		assert_true(attrs_equal(&a, &b));
		assert_int_equal(attrs_pack(&a), CVM_OK);
		assert_true(attrs_equal(&a, &b));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encoding_comes_back),
		cmocka_unit_test(encoding_differs_from_format_md),
		cmocka_unit_test(truncated_anywhere),
		cmocka_unit_test(byte_after_the_end),
		cmocka_unit_test(wrong_order_or_twice),
		cmocka_unit_test(wrong_form),
		cmocka_unit_test(number_of_wrong_length),
		cmocka_unit_test(count_too_high),
		cmocka_unit_test(length_beyond_the_record),
		cmocka_unit_test(value_too_long),
		cmocka_unit_test(one_attribute_too_many),
		cmocka_unit_test(read_at_the_wrong_size),
		cmocka_unit_test(copy_shares_memory),
		cmocka_unit_test(packed_list_differs),
		cmocka_unit_test(packed_list_set_in_place),
	};

	return cmocka_run_group_tests_name("attrs", tests, NULL, NULL);
}
