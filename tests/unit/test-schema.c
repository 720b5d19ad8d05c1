/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * The tables of the reader, the JSON Schemas and the manual pages say the same:
 * row by row, and over the corpora of accepted and refused documents.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "conf/json_read.h"
#include "tests/unit/corpus.h"

static const struct document {
	const char *name, *schema, *page;
	const struct json_table *table;
} documents[] = {
	{ "config", "conf/schema/config.schema.json", "man/cvm-pkcs11.conf.5",
	    &config_table },
	{ "policy", "conf/schema/policy.schema.json", "man/cvm-pkcs11-policy.5",
	    &policy_table },
};

static void
json_clear(cJSON **item)
{
	cJSON_Delete(*item);
}

static cJSON *
load(const char *name)
{
	_cleanup_(freep) char *text = corpus_file(name);
	cJSON *json = cJSON_Parse(text);

	if (json == NULL)
		fail_msg("%s: no JSON", name);
	return json;
}

static const cJSON *
get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double
number(const cJSON *schema, const char *name)
{
	const cJSON *item = get(schema, name);

	return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

/* Row by row. */

static void compare_table(const struct json_table *table, const cJSON *schema,
    const char *at);

static void
compare_words(const struct json_words *words, const cJSON *schema,
    const char *at)
{
	const cJSON *list = get(schema, "enum");

	if (cJSON_GetArraySize(list) != (int)words->n)
		fail_msg("%s: another number of words", at);
	for (size_t i = 0; i < words->n; i++)
		assert_string_equal(cJSON_GetArrayItem(list, (int)i)
					->valuestring,
		    words->v[i].word);
}

/* Digits of a fixed number are a pattern; other strings have a length. */
static void
compare_string(const struct json_field *row, const cJSON *schema,
    const char *at)
{
	const cJSON *pattern = get(schema, "pattern");
	char text[48];

	if (row->arg != NULL) {
		compare_words(row->arg, schema, at);
		return;
	}
	if (number(schema, "maxLength") >= 0) {
		if (number(schema, "minLength") != (double)row->min ||
		    number(schema, "maxLength") != (double)row->max)
			fail_msg("%s: another length", at);
		return;
	}
	if (!cJSON_IsString(pattern))
		fail_msg("%s: neither length nor pattern", at);
	snprintf(text, sizeof(text), "^[0-9A-Fa-f]{%lld}$", 2 * row->max);
	if ((row->read == json_read_value || row->read == json_read_hex ||
		row->read == json_read_value_or_zero) &&
	    row->min == row->max)
		assert_string_equal(pattern->valuestring, text);
}

static void
compare_row(const struct json_field *row, const cJSON *schema, const char *at)
{
	const char *type = get(schema, "type")->valuestring;
	char below[256];

	if (strcmp(type, row->schema_type) != 0)
		fail_msg("%s: %s and %s", at, type, row->schema_type);
	if (strcmp(type, "string") == 0)
		compare_string(row, schema, at);
	if (strcmp(type, "integer") == 0 &&
	    (number(schema, "minimum") != (double)row->min ||
		number(schema, "maximum") != (double)row->max))
		fail_msg("%s: another range", at);
	if (strcmp(type, "array") == 0) {
		if (number(schema, "minItems") != (double)row->min ||
		    number(schema, "maxItems") != (double)row->max)
			fail_msg("%s: another number of values", at);
		snprintf(below, sizeof(below), "%s[]", at);
		compare_row(row->arg, get(schema, "items"), below);
	}
	if (strcmp(type, "object") == 0 && row->arg != NULL)
		compare_table(row->arg, schema, at);
}

static bool
is_listed(const cJSON *list, const char *word)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
		if (strcmp(item->valuestring, word) == 0)
			return true;
	return false;
}

static void
compare_table(const struct json_table *table, const cJSON *schema,
    const char *at)
{
	const cJSON *properties = get(schema, "properties");

	if (!cJSON_IsFalse(get(schema, "additionalProperties")))
		fail_msg("%s: additionalProperties is not false", at);
	if (cJSON_GetArraySize(properties) != (int)table->n)
		fail_msg("%s: %d properties, %zu rows", at,
		    cJSON_GetArraySize(properties), table->n);
	for (size_t i = 0; i < table->n; i++) {
		const struct json_field *row = &table->fields[i];
		const cJSON *property = get(properties, row->name);
		char below[256];

		snprintf(below, sizeof(below), "%s.%s", at, row->name);
		if (property == NULL)
			fail_msg("%s is not in the schema", below);
		if (is_listed(get(schema, "required"), row->name) !=
		    row->required)
			fail_msg("%s: required or not?", below);
		if (!cJSON_IsString(get(property, "description")))
			fail_msg("%s: no description", below);
		compare_row(row, property, below);
	}
}

static void
schema_and_table_differ(void **state)
{
	const struct document *d = *state;
	_cleanup_(json_clear) cJSON *schema = load(d->schema);

	compare_table(d->table, schema, "$");
}

/* A checker of the part of JSON Schema that the schemas use. */

static bool valid(const cJSON *item, const cJSON *schema);

static bool
type_fits(const cJSON *item, const char *type)
{
	static const struct {
		const char *type;
		int bits;
	} types[] = {
		{ "object", cJSON_Object },
		{ "array", cJSON_Array },
		{ "string", cJSON_String },
		{ "integer", cJSON_Number },
		{ "boolean", cJSON_True | cJSON_False },
	};

	for (size_t i = 0; i < NELEMS(types); i++)
		if (strcmp(types[i].type, type) == 0)
			return (item->type & types[i].bits) != 0;
	fail_msg("type %s", type);
	return false;
}

static bool
matches(const char *text, const char *pattern)
{
	regex_t re;
	int miss;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	miss = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	return miss == 0;
}

/* minLength and maxLength count characters, not bytes. */
static size_t
characters(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool
at_least(const cJSON *limit, size_t n)
{
	return limit == NULL || (double)n >= limit->valuedouble;
}

static bool
at_most(const cJSON *limit, size_t n)
{
	return limit == NULL || (double)n <= limit->valuedouble;
}

static bool
string_valid(const cJSON *item, const cJSON *schema)
{
	const cJSON *pattern = get(schema, "pattern");
	size_t n = characters(item->valuestring);

	return at_least(get(schema, "minLength"), n) &&
	    at_most(get(schema, "maxLength"), n) &&
	    (pattern == NULL ||
		matches(item->valuestring, pattern->valuestring));
}

static bool
number_valid(const cJSON *item, const cJSON *schema)
{
	const cJSON *low = get(schema, "minimum"),
		    *high = get(schema, "maximum");

	return (low == NULL || item->valuedouble >= low->valuedouble) &&
	    (high == NULL || item->valuedouble <= high->valuedouble);
}

static bool
array_valid(const cJSON *item, const cJSON *schema)
{
	const cJSON *items = get(schema, "items"), *child, *other;
	const cJSON *contains = get(schema, "contains");
	size_t n = (size_t)cJSON_GetArraySize(item);
	bool found = contains == NULL;

	if (!at_least(get(schema, "minItems"), n) ||
	    !at_most(get(schema, "maxItems"), n))
		return false;
	cJSON_ArrayForEach(child, item) {
		if (items != NULL && !valid(child, items))
			return false;
		if (contains != NULL && valid(child, contains))
			found = true;
		for (other = child->next;
		     other != NULL && cJSON_IsTrue(get(schema, "uniqueItems"));
		     other = other->next)
			if (cJSON_Compare(child, other, true))
				return false;
	}
	return found;
}

static bool
member_valid(const cJSON *member, const cJSON *schema)
{
	const cJSON *property = get(get(schema, "properties"), member->string);
	const cJSON *pattern;
	bool known = property != NULL;

	if (known && !valid(member, property))
		return false;
	cJSON_ArrayForEach(pattern, get(schema, "patternProperties")) {
		if (!matches(member->string, pattern->string))
			continue;
		known = true;
		if (!valid(member, pattern))
			return false;
	}
	return known || !cJSON_IsFalse(get(schema, "additionalProperties"));
}

static bool
object_valid(const cJSON *item, const cJSON *schema)
{
	size_t n = (size_t)cJSON_GetArraySize(item);
	const cJSON *child;

	if (!at_least(get(schema, "minProperties"), n) ||
	    !at_most(get(schema, "maxProperties"), n))
		return false;
	cJSON_ArrayForEach(child, get(schema, "required"))
		if (get(item, child->valuestring) == NULL)
			return false;
	cJSON_ArrayForEach(child, item)
		if (!member_valid(child, schema))
			return false;
	return true;
}

static bool
combinations_valid(const cJSON *item, const cJSON *schema)
{
	const cJSON *child, *any = get(schema, "anyOf");
	const cJSON *branch = get(schema, "if");
	bool one = any == NULL;

	cJSON_ArrayForEach(child, get(schema, "allOf"))
		if (!valid(item, child))
			return false;
	cJSON_ArrayForEach(child, any)
		one = one || valid(item, child);
	if (!one || (get(schema, "not") && valid(item, get(schema, "not"))))
		return false;
	if (branch == NULL)
		return true;
	branch = get(schema, valid(item, branch) ? "then" : "else");
	return branch == NULL || valid(item, branch);
}

static bool
valid(const cJSON *item, const cJSON *schema)
{
	const cJSON *type = get(schema, "type"), *list = get(schema, "enum");
	const cJSON *constant = get(schema, "const"), *child;
	bool listed = list == NULL;

	cJSON_ArrayForEach(child, list)
		listed = listed || cJSON_Compare(item, child, true);
	if (!listed || (type && !type_fits(item, type->valuestring)) ||
	    (constant && !cJSON_Compare(item, constant, true)))
		return false;
	if (cJSON_IsString(item) && !string_valid(item, schema))
		return false;
	if (cJSON_IsNumber(item) && !number_valid(item, schema))
		return false;
	if (cJSON_IsArray(item) && !array_valid(item, schema))
		return false;
	if (cJSON_IsObject(item) && !object_valid(item, schema))
		return false;
	return combinations_valid(item, schema);
}

/* The reader's verdicts are checked by test-config and test-policy. */
static void
schema_and_reader_differ(void **state)
{
	static struct corpus corpus;
	const struct document *d = *state;
	_cleanup_(json_clear) cJSON *schema = load(d->schema);

	corpus_load(d->name, &corpus);
	assert_true(corpus.n_rows > 100);
	for (size_t i = 0; i < corpus.n_rows; i++) {
		const struct corpus_row *row = &corpus.rows[i];
		_cleanup_(freep) char *text = corpus_text(row);
		_cleanup_(json_clear) cJSON *json = cJSON_Parse(text);

		if (valid(json, schema) != (row->verdict != '-'))
			fail_msg("%s.corpus, line %u", d->name, row->line);
	}
	corpus_clear(&corpus);
}

/* The manual pages. */

static bool
table_has(const struct json_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct json_field *row = &table->fields[i];

		if (strcmp(row->name, name) == 0)
			return true;
		if (strcmp(row->schema_type, "array") == 0)
			row = row->arg;
		if (strcmp(row->schema_type, "object") == 0 &&
		    row->arg != NULL && table_has(row->arg, name))
			return true;
	}
	return false;
}

/* An item of the page with that name, whose first line has that text. */
static bool
page_says(const char *page, const char *name, const char *text)
{
	char item[96];

	snprintf(item, sizeof(item), "\n.It Ic %s ", name);
	for (const char *s = page; (s = strstr(s, item)) != NULL; s++) {
		const char *found = strstr(s, text);

		if (found != NULL && found < s + 1 + strcspn(s + 1, "\n"))
			return true;
	}
	return false;
}

static void
page_has(const struct json_table *table, const char *page)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct json_field *row = &table->fields[i];
		bool array = strcmp(row->schema_type, "array") == 0;
		bool integer = strcmp(row->schema_type, "integer") == 0;
		char range[96] = "";

		if (integer && row->max > 1)
			snprintf(range, sizeof(range), "integer, %lld to %lld",
			    row->min, row->max);
		if (array && row->read != json_read_values)
			snprintf(range, sizeof(range), "array of %lld to %lld ",
			    row->min, row->max);
		if (!page_says(page, row->name, range) ||
		    (row->required && !page_says(page, row->name, "required")))
			fail_msg("%s (%s) is not in the page", row->name,
			    range);
		if (array)
			row = row->arg;
		if (strcmp(row->schema_type, "object") == 0 && row->arg != NULL)
			page_has(row->arg, page);
	}
}

static void
page_and_table_differ(void **state)
{
	static const char item[] = "\n.It Ic ";
	const struct document *d = *state;
	_cleanup_(freep) char *page = corpus_file(d->page);

	page_has(d->table, page);
	for (char *s = page; (s = strstr(s, item)) != NULL;) {
		char name[64] = "";

		s += strlen(item);
		assert_int_equal(sscanf(s, "%63[a-z0-9_]", name), 1);
		if (!table_has(d->table, name))
			fail_msg("%s is in the page only", name);
	}
}

int
main(void)
{
	struct CMUnitTest tests[3 * NELEMS(documents)];
	size_t n = 0;

	for (size_t i = 0; i < NELEMS(documents); i++) {
		union {
			const struct document *in;
			void *out;
		} d = { .in = &documents[i] };

		tests[n++] = (struct CMUnitTest){ "schema_and_table_differ",
			schema_and_table_differ, NULL, NULL, d.out };
		tests[n++] = (struct CMUnitTest){ "schema_and_reader_differ",
			schema_and_reader_differ, NULL, NULL, d.out };
		tests[n++] = (struct CMUnitTest){ "page_and_table_differ",
			page_and_table_differ, NULL, NULL, d.out };
	}
	return _cmocka_run_group_tests("schema", tests, n, NULL, NULL);
}
