/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attest/tdx_parts.h"
#include "tests/unit/tdx-maker.h"

/* The extension of a PCK certificate, to be changed. */
static void
good_extension(bool processor, struct blob *ret)
{
	struct intel_chain chain = { 0 };
	struct tdx_spec s;
	struct tdx_made m;
	struct tdx_quote q;
	struct span der;

	tdx_spec_default(&s, 4);
	s.processor = processor;
	s.flags[1] = 0xff;
	tdx_make(&s, &m);
	assert_int_equal(tdx_quote_parse(blob_span(&m.quote), &q, NULL),
	    CVM_OK);
	assert_int_equal(intel_chain_load(q.pck_chain, "", 3, &chain, NULL),
	    CVM_OK);
	assert_int_equal(cert_extension(chain.cert[0], "1.2.840.113741.1.13.1",
			     &der),
	    CVM_OK);
	assert_int_equal(blob_set(ret, der), CVM_OK);
	intel_chain_clear(&chain);
	tdx_made_clear(&m);
}

static void
both_kinds_are_read(void **state)
{
	_cleanup_(blob_clear) struct blob platform = { 0 };
	_cleanup_(blob_clear) struct blob processor = { 0 };
	struct sgx_extension x;

	(void)state;
	good_extension(false, &platform);
	good_extension(true, &processor);
	assert_int_equal(sgx_extension_parse(blob_span(&platform), &x, NULL),
	    CVM_OK);
	assert_int_equal(x.components[4], 4);
	assert_int_equal(x.pcesvn, 13);
	assert_int_equal(x.type, 1);
	assert_true(x.has_platform_instance_id);
	assert_int_equal(x.platform_instance_id[15], 0x77);
	assert_int_equal(x.dynamic_platform, FLAG_CLEAR);
	assert_int_equal(x.cached_keys, FLAG_SET);
	assert_int_equal(x.smt, FLAG_CLEAR);
	assert_int_equal(sgx_extension_parse(blob_span(&processor), &x, NULL),
	    CVM_OK);
	assert_false(x.has_platform_instance_id);
	assert_int_equal(x.smt, FLAG_NOT_REPORTED);
}

/* Where bytes of the extension are found, and what is put there instead. */
struct change {
	const char *what;
	const char *find, *put; /* hexadecimal, of one length */
};

#define OID "2a864886f84d010d01"

static void
malformed_extensions_are_refused(void **state)
{
	static const struct change rows[] = {
		{ "other prefix", "060a" OID "01", "060a2a864886f84d010d0201" },
		{ "arc 0", "060a" OID "01", "060a" OID "00" },
		{ "arc 8", "060a" OID "05", "060a" OID "08" },
		{ "FMSPC twice, no PCE-ID", "060a" OID "03", "060a" OID "04" },
		{ "type twice, no PPID", "060a" OID "01", "060a" OID "05" },
		{ "instance twice", "060a" OID "07", "060a" OID "06" },
		{ "component twice", "060b" OID "0202", "060b" OID "0201" },
		{ "component 19", "060b" OID "0202", "060b" OID "0213" },
		{ "component of another group", "060b" OID "0202",
		    "060b" OID "0302" },
		{ "flag twice", "060b" OID "0703", "060b" OID "0702" },
		{ "flag 4", "060b" OID "0703", "060b" OID "0704" },
		{ "boolean 1", "060b" OID "07020101ff",
		    "060b" OID "0702010101" },
		{ "boolean as integer", "060b" OID "07020101ff",
		    "060b" OID "07020201ff" },
		{ "negative component", "060b" OID "0205020104",
		    "060b" OID "0205020184" },
		{ "component as octets", "060b" OID "0205020104",
		    "060b" OID "0205040104" },
		{ "empty integer", "060b" OID "0205020104",
		    "060b" OID "0205020004" },
		{ "type above 2", "060a" OID "050a0101",
		    "060a" OID "050a0103" },
		{ "type as integer", "060a" OID "050a0101",
		    "060a" OID "05020101" },
		{ "short PCE-ID", "060a" OID "0304020000",
		    "060a" OID "0304010000" },
		{ "long FMSPC", "060a" OID "0404", "060a" OID "0406" },
		{ "indefinite length", "060a" OID "0404", "0680" OID "0404" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(blob_clear) struct blob b = { 0 }, find = { 0 },
						  put = { 0 };
		struct sgx_extension x;
		struct why why = { 0 };
		uint8_t *at;

		good_extension(false, &b);
		assert_int_equal(hex_decode_blob(rows[i].find, 64, &find),
		    CVM_OK);
		assert_int_equal(hex_decode_blob(rows[i].put, 64, &put),
		    CVM_OK);
		at = memmem(b.data, b.len, find.data, find.len);
		if (at == NULL)
			fail_msg("%s: not found", rows[i].what);
		memcpy(at, put.data, put.len);
		if (sgx_extension_parse(blob_span(&b), &x, &why) == CVM_OK)
			fail_msg("accepted: %s", rows[i].what);
		assert_true(why.expected[0] != '\0');
	}
}

/* The extension with what lies at find (hexadecimal) replaced by put, and the
 * two lengths that enclose an element of the first level mended. */
static void
resized(const char *find, const char *put, struct blob *ret)
{
	_cleanup_(blob_clear) struct blob b = { 0 }, f = { 0 }, p = { 0 };
	size_t at, grow;

	good_extension(false, &b);
	assert_int_equal(hex_decode_blob(find, 64, &f), CVM_OK);
	assert_int_equal(hex_decode_blob(put, 64, &p), CVM_OK);
	grow = p.len - f.len;
	at = (size_t)((uint8_t *)memmem(b.data, b.len, f.data, f.len) - b.data);
	assert_true(at < b.len);
	b.data[at - 1] = (uint8_t)(b.data[at - 1] + grow); /* the element */
	b.data[3] = (uint8_t)(b.data[3] + grow);	   /* the whole */
	assert_true(b.data[3] >= grow);
	assert_int_equal(blob_set(ret, span(b.data, at)), CVM_OK);
	assert_int_equal(blob_append(ret, blob_span(&p)), CVM_OK);
	assert_int_equal(blob_append(ret,
			     span(b.data + at + f.len, b.len - at - f.len)),
	    CVM_OK);
}

/* DER has one form for each value (X.690, 8.3.2 and 10.1). */
static void
longer_forms_are_refused(void **state)
{
	static const struct change rows[] = {
		{ "padded integer", "060a" OID "050a0101",
		    "060a" OID "050a020001" },
		{ "length in long form", "060a" OID "050a0101",
		    "060a" OID "050a810101" },
		{ "length in two bytes", "060a" OID "050a0101",
		    "060a" OID "050a82000101" },
		{ "length in three bytes", "060a" OID "050a0101",
		    "060a" OID "050a8300000101" },
		{ "bytes after the value", "060a" OID "050a0101",
		    "060a" OID "050a01010500" },
	};
	_cleanup_(blob_clear) struct blob good = { 0 };
	struct sgx_extension x;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(blob_clear) struct blob b = { 0 };

		resized(rows[i].find, rows[i].put, &b);
		if (sgx_extension_parse(blob_span(&b), &x, NULL) == CVM_OK)
			fail_msg("accepted: %s", rows[i].what);
	}
	/* The same surgery without a change of meaning is accepted. */
	resized("060a" OID "050a0101", "060a" OID "050a0102", &good);
	assert_int_equal(sgx_extension_parse(blob_span(&good), &x, NULL),
	    CVM_OK);
	assert_int_equal(x.type, 2);
}

/* The PPID under another arc that holds 16 bytes: all is well but for it. */
static void
a_missing_element_is_refused(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 }, ppid = { 0 };
	struct sgx_extension x;
	uint8_t *at;

	(void)state;
	good_extension(true, &b);
	assert_int_equal(hex_decode_blob("060a" OID "010410", 64, &ppid),
	    CVM_OK);
	at = memmem(b.data, b.len, ppid.data, ppid.len);
	assert_non_null(at);
	at[ppid.len - 3] = 6;
	assert_true(sgx_extension_parse(blob_span(&b), &x, NULL) < 0);
}

static void
other_lengths_are_refused(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	struct sgx_extension x;

	(void)state;
	good_extension(false, &b);
	for (size_t n = 0; n < b.len; n++)
		assert_true(sgx_extension_parse(span(b.data, n), &x, NULL) < 0);
	assert_int_equal(blob_append(&b, span("", 1)), CVM_OK);
	assert_true(sgx_extension_parse(blob_span(&b), &x, NULL) < 0);
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
		cmocka_unit_test(both_kinds_are_read),
		cmocka_unit_test(malformed_extensions_are_refused),
		cmocka_unit_test(longer_forms_are_refused),
		cmocka_unit_test(a_missing_element_is_refused),
		cmocka_unit_test(other_lengths_are_refused),
	};

	return cmocka_run_group_tests_name("sgx-extension", tests, NULL, end);
}
