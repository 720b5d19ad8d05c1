/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "conf/json_read.h"

/* Allowed range into a sentence that starts with what it is. */
static int
refuse_range(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, const char *what, struct why *why)
{
	char expected[96];

	(void)snprintf(expected, sizeof(expected), "%s %lld..%lld", what,
	    field->min, field->max);
	return json_refuse(doc, item, expected, why);
}

static int
read_integer(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, long long *ret, struct why *why)
{
	/* The parser has refused fractions. */
	if (!json_is_number(item) || item->number < field->min ||
	    item->number > field->max)
		return refuse_range(doc, item, field, "an integer in", why);
	*ret = item->number;
	return CVM_OK;
}

JSON_READER(json_read_version)
{
	long long v = 0;

	(void)out;
	return read_integer(doc, item, field, &v, why);
}

JSON_READER(json_read_u32)
{
	long long v = 0;
	int err = read_integer(doc, item, field, &v, why);

	if (err == CVM_OK)
		*(uint32_t *)out = (uint32_t)v;
	return err;
}

JSON_READER(json_read_u8)
{
	long long v = 0;
	int err = read_integer(doc, item, field, &v, why);

	if (err == CVM_OK)
		*(uint8_t *)out = (uint8_t)v;
	return err;
}

JSON_READER(json_read_bool)
{
	(void)field;
	if (!json_is_bool(item))
		return json_refuse(doc, item, "true or false", why);
	*(bool *)out = json_is_true(item);
	return CVM_OK;
}

/* No C0, DEL or C1: what is left cannot steer a terminal or break a line. */
static bool
is_printable(const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)s[0];

		if (c < 0x20 || c == 0x7f)
			return false;
		if (c == 0xc2 && (unsigned char)s[1] < 0xa0)
			return false;
	}
	return true;
}

static int
check_length(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, struct why *why)
{
	size_t len;

	if (!json_is_string(item))
		return json_refuse(doc, item, "a string", why);
	len = strlen(item->text);
	if (len < (size_t)field->min || len > (size_t)field->max)
		return refuse_range(doc, item, field,
		    "a string with a length in bytes of", why);
	return CVM_OK;
}

static int
check_string(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, struct why *why)
{
	int err = check_length(doc, item, field, why);

	if (err != CVM_OK)
		return err;
	if (!is_printable(item->text))
		return json_refuse(doc, item, "no control characters", why);
	return CVM_OK;
}

static int
store_string(const char *s, void *out, struct why *why)
{
	char *copy = strdup(s), **to = out;

	if (copy == NULL)
		return why_set(why, CVM_E_NOMEM, NULL, NULL, NULL, NULL);
	free(*to);
	*to = copy;
	return CVM_OK;
}

JSON_READER(json_read_text)
{
	int err = check_string(doc, item, field, why);

	if (err != CVM_OK)
		return err;
	return store_string(item->text, out, why);
}

JSON_READER(json_read_any_text)
{
	int err = check_length(doc, item, field, why);

	if (err != CVM_OK)
		return err;
	return store_string(item->text, out, why);
}

JSON_READER(json_read_label)
{
	int err = check_string(doc, item, field, why);

	if (err != CVM_OK)
		return err;
	if (strchr(item->text, ':') != NULL)
		return json_refuse(doc, item, "a label without \":\"", why);
	return store_string(item->text, out, why);
}

/* One spelling for one file, so that equal paths can be found by comparing. */
static bool
is_plain_path(const char *path)
{
	const char *part = path;

	while (*part == '/') {
		size_t n = strcspn(++part, "/");

		if (n == 0 || (n == 1 && part[0] == '.') ||
		    (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		part += n;
	}
	return path[0] == '/' && *part == '\0';
}

JSON_READER(json_read_path)
{
	int err = check_string(doc, item, field, why);

	if (err != CVM_OK)
		return err;
	if (!is_plain_path(item->text))
		return json_refuse(doc, item,
		    "an absolute path without \"//\", \".\", \"..\" and final"
		    " \"/\"",
		    why);
	return store_string(item->text, out, why);
}

JSON_READER(json_read_digits)
{
	int err = check_string(doc, item, field, why);
	const char *s = item->text;

	if (err != CVM_OK)
		return err;
	if (s[strspn(s, "0123456789")] != '\0')
		return json_refuse(doc, item, "decimal digits", why);
	return store_string(s, out, why);
}

static int
find_word(const struct json_doc *doc, const struct json *item,
    const struct json_words *words, uint32_t *ret, struct why *why)
{
	char expected[WHY_VALUE_MAX] = "one of";
	size_t at = strlen(expected);

	for (size_t i = 0; json_is_string(item) && i < words->n; i++) {
		if (strcmp(item->text, words->v[i].word) != 0)
			continue;
		*ret = words->v[i].value;
		return CVM_OK;
	}
	for (size_t i = 0; i < words->n && at < sizeof(expected); i++)
		at += (size_t)snprintf(expected + at, sizeof(expected) - at,
		    "%s \"%s\"", i > 0 ? "," : "", words->v[i].word);
	return json_refuse(doc, item, expected, why);
}

JSON_READER(json_read_word)
{
	uint32_t value;
	int err = find_word(doc, item, field->arg, &value, why);

	/* Through memcpy, for the enums that this stores are no uint32_t. */
	if (err == CVM_OK)
		memcpy(out, &value, sizeof(value));
	return err;
}

JSON_READER(json_read_flag)
{
	uint32_t value;
	int err = find_word(doc, item, field->arg, &value, why);

	if (err == CVM_OK)
		*(bool *)out = value != 0;
	return err;
}

JSON_READER(json_read_name)
{
	uint32_t value;
	int err = find_word(doc, item, field->arg, &value, why);

	return err == CVM_OK ? store_string(item->text, out, why) : err;
}

static int
check_list(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, struct why *why)
{
	long long n = (long long)json_count(item);

	if (!json_is_array(item) || n < field->min || n > field->max)
		return refuse_range(doc, item, field,
		    "a list with a number of values of", why);
	return CVM_OK;
}

JSON_READER(json_read_bits)
{
	const struct json_field *element = field->arg;
	int err = check_list(doc, item, field, why);
	unsigned bits = 0;
	const struct json *child;

	if (err != CVM_OK)
		return err;
	JSON_EACH(child, item) {
		uint32_t bit;

		err = find_word(doc, child, element->arg, &bit, why);
		if (err != CVM_OK)
			return err;
		if ((bits & bit) != 0)
			return json_refuse(doc, child, "each word once", why);
		bits |= bit;
	}
	*(unsigned *)out = bits;
	return CVM_OK;
}

JSON_READER(json_read_hex_u64)
{
	const char *s = json_is_string(item) ? item->text : "";
	size_t n = strspn(s, "0x") >= 2 ? strlen(s) - 2 : 0;
	char digits[17] = "0000000000000000";
	uint8_t bytes[8];
	uint64_t v = 0;

	if (n < 1 || n > (size_t)field->max || strncmp(s, "0x", 2) != 0)
		return refuse_range(doc, item, field,
		    "\"0x\" and a number of hexadecimal digits of", why);
	memcpy(digits + 16 - n, s + 2, n);
	if (hex_decode(digits, bytes, sizeof(bytes)) != CVM_OK)
		return json_refuse(doc, item, "hexadecimal digits after \"0x\"",
		    why);
	for (size_t i = 0; i < sizeof(bytes); i++)
		v = v << 8 | bytes[i];
	*(uint64_t *)out = v;
	return CVM_OK;
}

static int
refuse_digits(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, struct why *why)
{
	char expected[96];

	if (field->min == field->max)
		(void)snprintf(expected, sizeof(expected),
		    "%lld hexadecimal digits", 2 * field->max);
	else
		(void)snprintf(expected, sizeof(expected),
		    "%lld or %lld hexadecimal digits", 2 * field->min,
		    2 * field->max);
	return json_refuse(doc, item, expected, why);
}

static int
decode_hex(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, struct blob *ret, struct why *why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	int err = CVM_E_PARSE;

	if (json_is_string(item))
		err = hex_decode_blob(item->text, (size_t)field->max, &b);
	if (err == CVM_E_NOMEM)
		return why_set(why, err, NULL, NULL, NULL, NULL);
	if (err != CVM_OK ||
	    (b.len != (size_t)field->min && b.len != (size_t)field->max))
		return refuse_digits(doc, item, field, why);
	*ret = b;
	b = (struct blob){ NULL, 0 };
	return CVM_OK;
}

JSON_READER(json_read_hex)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	int err = decode_hex(doc, item, field, &b, why);

	if (err == CVM_OK)
		memcpy(out, b.data, b.len);
	return err;
}

/* A place holder that was never filled in must not become a reference. */
static int
read_value(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, bool zero_ok, struct blob *out,
    struct why *why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	int err = decode_hex(doc, item, field, &b, why);

	if (err != CVM_OK)
		return err;
	if (!zero_ok && span_is_filled(blob_span(&b), 0x00))
		return json_refuse(doc, item, "a value that is not all zero",
		    why);
	if (span_is_filled(blob_span(&b), 0xff))
		return json_refuse(doc, item, "a value that is not all FF",
		    why);
	blob_clear(out);
	*out = b;
	b = (struct blob){ NULL, 0 };
	return CVM_OK;
}

JSON_READER(json_read_value)
{
	return read_value(doc, item, field, /* zero_ok= */ false, out, why);
}

JSON_READER(json_read_value_or_zero)
{
	return read_value(doc, item, field, /* zero_ok= */ true, out, why);
}

void
value_list_clear(struct value_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		blob_clear(&list->v[i]);
	free(list->v);
	*list = (struct value_list){ NULL, 0 };
}

void
string_list_clear(struct string_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct string_list){ NULL, 0 };
}

static int
refuse_duplicate(const struct json_doc *doc, const struct json *item,
    struct why *why)
{
	return json_refuse(doc, item, "each value once", why);
}

JSON_READER(json_read_values)
{
	_cleanup_(value_list_clear) struct value_list list = { 0 };
	const struct json_field *element = field->arg;
	int err = check_list(doc, item, field, why);
	const struct json *child;

	if (err != CVM_OK)
		return err;
	list.v = calloc(json_count(item) + 1, sizeof(*list.v));
	if (list.v == NULL)
		return why_set(why, CVM_E_NOMEM, NULL, NULL, NULL, NULL);
	JSON_EACH(child, item) {
		struct blob *b = &list.v[list.n++];

		err = element->read(doc, child, element, b, why);
		if (err != CVM_OK)
			return err;
		for (size_t i = 0; i + 1 < list.n; i++)
			if (span_equal(blob_span(&list.v[i]), blob_span(b)))
				return refuse_duplicate(doc, child, why);
	}
	value_list_clear(out);
	memcpy(out, &list, sizeof(list));
	list = (struct value_list){ NULL, 0 };
	return CVM_OK;
}

JSON_READER(json_read_strings)
{
	_cleanup_(string_list_clear) struct string_list list = { 0 };
	const struct json_field *element = field->arg;
	int err = check_list(doc, item, field, why);
	const struct json *child;

	if (err != CVM_OK)
		return err;
	/* One more, for users that want the list to end in NULL. */
	list.v = calloc(json_count(item) + 1, sizeof(*list.v));
	if (list.v == NULL)
		return why_set(why, CVM_E_NOMEM, NULL, NULL, NULL, NULL);
	JSON_EACH(child, item) {
		char **s = &list.v[list.n++];

		err = element->read(doc, child, element, s, why);
		if (err != CVM_OK)
			return err;
		for (size_t i = 0; i + 1 < list.n; i++)
			if (strcmp(list.v[i], *s) == 0)
				return refuse_duplicate(doc, child, why);
	}
	string_list_clear(out);
	memcpy(out, &list, sizeof(list));
	list = (struct string_list){ NULL, 0 };
	return CVM_OK;
}

JSON_READER(json_read_table)
{
	const struct json_table *table = field->arg;
	int err = json_read_object(doc, item, table->fields, table->n, out,
	    why);

	if (err != CVM_OK || table->check == NULL)
		return err;
	return table->check(doc, item, out, why);
}

int
json_refuse_member(const struct json_doc *doc, const struct json *item,
    const char *name, const char *expected, struct why *why)
{
	const struct json *member = json_member(item, name);
	int err = json_refuse(doc, member != NULL ? member : item, expected,
	    why);

	if (member == NULL && why != NULL)
		(void)snprintf(why->got, sizeof(why->got), "none");
	return err;
}

int
json_refuse_present(const struct json_doc *doc, const struct json *item,
    const char *name, const char *when, struct why *why)
{
	const struct json *member = json_member(item, name);
	char expected[WHY_VALUE_MAX];

	if (member == NULL)
		return CVM_OK;
	(void)snprintf(expected, sizeof(expected), "no \"%s\" %s", name, when);
	return json_refuse(doc, member, expected, why);
}

int
json_parse_dotted(const char *text, uint32_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t digits = strspn(text, "0123456789");
		char end = i + 1 < n ? '.' : '\0';
		uint32_t v = 0;

		if (digits < 1 || digits > 3 || text[digits] != end ||
		    (digits > 1 && text[0] == '0'))
			return CVM_E_PARSE;
		for (size_t k = 0; k < digits; k++)
			v = v * 10 + (uint32_t)(text[k] - '0');
		if (v > 255)
			return CVM_E_PARSE;
		out[i] = v;
		text += digits + 1;
	}
	return CVM_OK;
}
