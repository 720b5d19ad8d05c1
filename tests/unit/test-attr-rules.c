/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include "token/attr_rules.h"
#include "token/template.h"

/* The table of attribute rules, and templates read by it. */

static const struct {
	CK_OBJECT_CLASS class;
	CK_KEY_TYPE type;
} kinds[] = {
	{ CKO_DATA, CK_UNAVAILABLE_INFORMATION },
	{ CKO_CERTIFICATE, CK_UNAVAILABLE_INFORMATION },
	{ CKO_PUBLIC_KEY, CKK_RSA },
	{ CKO_PRIVATE_KEY, CKK_RSA },
	{ CKO_PUBLIC_KEY, CKK_EC },
	{ CKO_PRIVATE_KEY, CKK_EC },
	{ CKO_PRIVATE_KEY, CKK_EC_EDWARDS },
	{ CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY },
	{ CKO_SECRET_KEY, CKK_AES },
	{ CKO_SECRET_KEY, CKK_GENERIC_SECRET },
	{ CKO_SECRET_KEY, CKK_SHA256_HMAC },
};

/* An attribute has one rule for one kind of object, however many rows. */
static void
rule_given_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const struct attr_rule *a = NULL, *b;

		while ((a = attr_rule_next(a, kinds[i].class, kinds[i].type)) !=
		    NULL) {
			assert_ptr_equal(attr_rule_find(a->type, kinds[i].class,
					     kinds[i].type),
			    a);
			for (b = a; (b = attr_rule_next(b, kinds[i].class,
					 kinds[i].type)) != NULL;)
				assert_int_not_equal(a->type, b->type);
			assert_string_equal(attr_name(a->type), a->name);
			assert_int_equal(strncmp(a->name, "CKA_", 4), 0);
		}
	}
}

/* No default is a value that its own rule refuses, and no secret has one. */
static void
default_not_a_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		_cleanup_(attrs_clear) struct attrs a = { 0 };
		const struct attr_rule *rule = NULL;

		assert_int_equal(attr_defaults(kinds[i].class, kinds[i].type,
				     &a),
		    CVM_OK);
		while ((rule = attr_rule_next(rule, kinds[i].class,
			    kinds[i].type)) != NULL) {
			const struct attr *v = attrs_find(&a, rule->type);

			assert_true(v == NULL ||
			    attr_value_ok(rule, blob_span(&v->value)));
			assert_true(
			    v == NULL || (rule->flags & ATTR_SECRET) == 0);
			assert_int_equal(v == NULL, rule->dflt == DEFAULT_NONE);
		}
	}
}

/* What decides whether a key can leave. */
static void
key_leaves_by_default(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		_cleanup_(attrs_clear) struct attrs a = { 0 };

		if (kinds[i].class != CKO_PRIVATE_KEY &&
		    kinds[i].class != CKO_SECRET_KEY)
			continue;
		ok(attr_defaults(kinds[i].class, kinds[i].type, &a));
		assert_true(attrs_bool(&a, CKA_PRIVATE, false));
		assert_true(attrs_bool(&a, CKA_SENSITIVE, false));
		assert_false(attrs_bool(&a, CKA_EXTRACTABLE, true));
		assert_false(attrs_bool(&a, CKA_WRAP, false));
		assert_false(attrs_bool(&a, CKA_UNWRAP, true));
		assert_false(attrs_bool(&a, CKA_TRUSTED, false));
		assert_false(attrs_bool(&a, CKA_ALWAYS_SENSITIVE, true));
		assert_false(attrs_bool(&a, CKA_NEVER_EXTRACTABLE, true));
	}
}

/* Key material is given to C_CreateObject and to nothing else. */
static void
secret_rule_too_open(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const struct attr_rule *r = NULL;
		size_t secrets = 0;

		while ((r = attr_rule_next(r, kinds[i].class, kinds[i].type)) !=
		    NULL) {
			if ((r->flags & ATTR_SECRET) == 0)
				continue;
			secrets++;
			assert_int_equal(r->in, IN_CREATE);
			assert_int_equal(r->form, FORM_BYTES);
		}
		assert_int_equal(secrets > 0,
		    kinds[i].class == CKO_PRIVATE_KEY ||
			kinds[i].class == CKO_SECRET_KEY);
	}
}

static void
computed_attribute_settable(void **state)
{
	static const CK_ATTRIBUTE_TYPE computed[] = { CKA_LOCAL,
		CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE,
		CKA_KEY_GEN_MECHANISM, CKA_UNIQUE_ID };

	(void)state;
	for (size_t i = 0; i < COUNT(computed); i++) {
		const struct attr_rule *r = attr_rule_find(computed[i],
		    CKO_PRIVATE_KEY, CKK_EC);

		assert_non_null(r);
		assert_int_equal(r->in, 0);
	}
}

static void
date_that_is_none(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} v[] = {
		{ "", true },
		{ "20260101", true },
		{ "20261231", true },
		{ "20261001", true },
		{ "20261299", false },
		{ "20261399", false },
		{ "20261301", false },
		{ "20260001", false },
		{ "20262001", false },
		{ "20260100", false },
		{ "20260132", false },
		{ "2026010", false },
		{ "202601011", false },
		{ "2026-1-1", false },
		{ "2026010a", false },
		{ "x0260101", false },
		{ " 2026011", false },
	};
	const struct attr_rule *rule = attr_rule_find(CKA_END_DATE,
	    CKO_CERTIFICATE, CK_UNAVAILABLE_INFORMATION);

	(void)state;
	assert_non_null(rule);
	for (size_t i = 0; i < COUNT(v); i++)
		assert_int_equal(attr_value_ok(rule, text(v[i].text)),
		    v[i].good);
}

static int
try_read(unsigned in, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	const struct template_use use = { .in = in,
		.class = CKO_PUBLIC_KEY,
		.key_type = CKK_EC };
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct why why = { 0 };
	int err = template_read(&use, templ, n, &a, &why);

	/* A refusal names what it refuses, and leaves nothing behind. */
	assert_int_equal(why.err, err);
	assert_true(err == CVM_OK || (why.field[0] != '\0' && a.n == 0));
	return err;
}

static void
template_hostile(void **state)
{
	static CK_BYTE big[ATTR_VALUE_MAX + 1];
	CK_ATTRIBUTE many[ATTRS_MAX + 1] = { 0 };
	CK_ATTRIBUTE good[] = { BYTES_ATTR(CKA_EC_PARAMS, p256),
		TEXT_ATTR(CKA_LABEL, "l") };
	CK_ATTRIBUTE null[] = { { CKA_LABEL, NULL, 1 } };
	CK_ATTRIBUTE huge[] = { { CKA_LABEL, big, sizeof(big) } };
	CK_ATTRIBUTE worse[] = { { CKA_LABEL, big, ULONG_MAX } };
	CK_ATTRIBUTE twice[] = { good[1], good[1] };
	CK_ATTRIBUTE nested[] = { { CKA_WRAP_TEMPLATE, good, sizeof(good) } };
	CK_ATTRIBUTE odd[] = { { CKA_VERIFY, big, 4 } };
	CK_ATTRIBUTE none[] = { { CKA_VERIFY, NULL, 0 } };
	CK_ATTRIBUTE unknown[] = { TEXT_ATTR(CKA_VENDOR_DEFINED | 99, "x") };

	(void)state;
	assert_int_equal(try_read(IN_GENERATE, good, 2), CVM_OK);
	assert_int_equal(try_read(IN_GENERATE, NULL, 1), CVM_E_INVAL);
	assert_int_equal(try_read(IN_SET, NULL, 0), CVM_OK);
	assert_int_equal(try_read(IN_SET, many, COUNT(many)),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_read(IN_SET, good, ULONG_MAX),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_read(IN_SET, null, 1), CVM_E_ATTR_VALUE);
	assert_int_equal(try_read(IN_SET, huge, 1), CVM_E_ATTR_VALUE);
	assert_int_equal(try_read(IN_SET, worse, 1), CVM_E_ATTR_VALUE);
	assert_int_equal(try_read(IN_SET, twice, 2), CVM_OK);
	twice[1].ulValueLen--;
	assert_int_equal(try_read(IN_SET, twice, 2),
	    CVM_E_TEMPLATE_INCONSISTENT);
	twice[1].ulValueLen = ULONG_MAX;
	assert_int_equal(try_read(IN_SET, twice, 2),
	    CVM_E_TEMPLATE_INCONSISTENT);
	twice[1].pValue = NULL;
	assert_int_equal(try_read(IN_SET, twice, 2),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(try_read(IN_SET, nested, 1), CVM_E_ATTR_READ_ONLY);
	assert_int_equal(try_read(IN_SET, odd, 1), CVM_E_ATTR_VALUE);
	assert_int_equal(try_read(IN_SET, none, 1), CVM_E_ATTR_VALUE);
	assert_int_equal(try_read(IN_SET, unknown, 1), CVM_E_ATTR_TYPE);
	assert_int_equal(try_read(IN_SET, good, 2), CVM_E_ATTR_READ_ONLY);
	assert_int_equal(try_read(IN_CREATE, good, 2),
	    CVM_E_TEMPLATE_INCOMPLETE);
	assert_int_equal(try_read(IN_GENERATE, good + 1, 1),
	    CVM_E_TEMPLATE_INCOMPLETE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_given_twice),
		cmocka_unit_test(default_not_a_value),
		cmocka_unit_test(key_leaves_by_default),
		cmocka_unit_test(secret_rule_too_open),
		cmocka_unit_test(computed_attribute_settable),
		cmocka_unit_test(date_that_is_none),
		cmocka_unit_test(template_hostile),
	};

	return cmocka_run_group_tests_name("attr-rules", tests, NULL, NULL);
}
