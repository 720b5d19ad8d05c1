/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/json_read.h"
#include "tests/unit/json-twin.h"

/* Text with its length, for some has a NUL inside. */
#define T(text)                                                                \
	{                                                                      \
		(text), sizeof(text) - 1                                       \
	}

struct text {
	const char *data;
	size_t len;
};

static int
parse(struct text t, struct json_doc **ret, struct why *why)
{
	return json_parse(span(t.data, t.len), "f.json", ret, why);
}

static void
refuse_all(const struct text *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
		struct why why = { 0 };

		if (parse(texts[i], &doc, &why) != CVM_E_CONFIG)
			fail_msg("not refused: %s", texts[i].data);
		assert_null(doc);
		assert_int_equal(why.err, CVM_E_CONFIG);
		assert_true(strncmp(why.where, "f.json", 6) == 0);
		assert_true(why.expected[0] != '\0');
		/* A caller that does not ask why is refused all the same. */
		assert_int_equal(parse(texts[i], &doc, NULL), CVM_E_CONFIG);
	}
}

static void
accept_all(const struct text *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
		struct why why = { 0 };

		if (parse(texts[i], &doc, &why) != CVM_OK)
			fail_msg("refused: %s: expected %s", texts[i].data,
			    why.expected);
	}
}

static void
valid_refused(void **state)
{
	static const struct text texts[] = { T("{}"), T("[]"), T("null"),
		T("true"), T("false"), T("\"\""), T("0"), T("-1"), T("10"),
		T(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n"), T("[[],{},\"\",null]"),
		T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\""),
		T("\"\\ud83d\\ude00\""), T("\"\xc2\x80\xdf\xbf\""),
		T("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
		T("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), T("\"\x7f\""),
		T("9007199254740991"), T("-9007199254740991") };

	(void)state;
	accept_all(texts, NELEMS(texts));
}

static void
not_a_document(void **state)
{
	static const struct text texts[] = { T(""), T(" "), T("\n"), T("x"),
		T("'a'"), T("{"), T("["), T("}"), T("]"), T(","), T(":"),
		T("tru"), T("True"), T("nul"), T("NULL"), T("falsey"),
		T("undefined"), T("// c\n1"), T("/* c */ 1"), T("#\n1"),
		T("\xef\xbb\xbf{}"), T("\xff\xfe{\0}\0"), T("\0"), T("\0{}") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

static void
trailing_bytes(void **state)
{
	static const struct text texts[] = { T("{} x"), T("{}{}"), T("1 2"),
		T("[] ,"), T("{}\0"), T("{} \0garbage"), T("null//"),
		T("\"a\"\"b\""), T("{}\x1a"), T("{}\f"), T("{}\xc2\xa0") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

static void
separators_misplaced(void **state)
{
	static const struct text texts[] = { T("[1,]"), T("[,1]"), T("[1,,2]"),
		T("[1 2]"), T("[1;2]"), T("[1}"), T("{\"a\":1,}"),
		T("{,\"a\":1}"), T("{\"a\" 1}"), T("{\"a\"}"), T("{\"a\":}"),
		T("{\"a\":1 \"b\":2}"), T("{a:1}"), T("{1:1}"), T("{'a':1}"),
		T("{\"a\":1]"), T("{\"a\"::1}"), T("{\"a\":1"), T("[1"),
		T("{\"a\""), T("{\"a\":") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

static void
number_not_an_integer(void **state)
{
	static const struct text texts[] = { T("1.0"), T("1."), T(".5"),
		T("1e3"), T("1E3"), T("1e"), T("+1"), T("-"), T("--1"), T("01"),
		T("-01"), T("00"), T("-0"), T("0x10"), T("1_000"), T("NaN"),
		T("Infinity"), T("-Infinity"), T("- 1"), T("1a"), T("[1.5]"),
		T("{\"a\":1e999}") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

/* Beyond 2^53 a double is another number than the text says. */
static void
number_rounded(void **state)
{
	static const struct text texts[] = { T("9007199254740992"),
		T("-9007199254740992"), T("18446744073709551616"),
		T("99999999999999999999999999999999999999"),
		T("[10000000000000000]") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

static void
string_malformed(void **state)
{
	static const struct text texts[] = { T("\""), T("\"a"), T("\"a\nb\""),
		T("\"a\tb\""), T("\"\x01\""), T("\"a\0b\""), T("\"\\\""),
		T("\"\\"), T("\"\\x41\""), T("\"\\a\""), T("\"\\'\""),
		T("\"\\0\""), T("\"\\u\""), T("\"\\u12\""), T("\"\\u12g4\""),
		T("\"\\u 123\""), T("\"\\U0041\""), T("\"\\u0041"),
		T("\"\\\0\"") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

/* cJSON would cut the string there. */
static void
nul_escaped(void **state)
{
	static const struct text texts[] = { T("\"\\u0000\""),
		T("\"a\\u0000b\""), T("{\"a\\u0000\":1}"),
		T("[\"x\",\"\\u0000\"]") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

static void
final_nul_left_out(void **state)
{
	static const struct json_limits limits = { 100, 10, true };
	static const struct {
		struct text text;
		const char *value; /* NULL: refused */
	} rows[] = {
		{ T("\"a\\u0000\""), "a" },
		{ T("\"\\u0000\""), "" },
		{ T("\"a\\\\u0000\""), "a\\u0000" },
		{ T("\"\\u0000\\u0000\""), NULL },
		{ T("\"a\\u0000b\""), NULL },
		{ T("\"a\\u0000\\n\""), NULL },
		{ T("\"a\\u0000"), NULL },
		{ T("\"a\0\""), NULL },
		{ T("{\"a\":1,\"a\\u0000\":1}"), NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
		const struct text *t = &rows[i].text;

		assert_int_equal(json_parse_within(span(t->data, t->len),
				     &limits, "f.json", &doc, NULL),
		    rows[i].value != NULL ? CVM_OK : CVM_E_CONFIG);
		if (rows[i].value != NULL)
			assert_string_equal(json_root(doc)->text,
			    rows[i].value);
	}
}

static void
surrogate_alone(void **state)
{
	static const struct text texts[] = { T("\"\\ud800\""), T("\"\\udc00\""),
		T("\"\\ud800x\""), T("\"\\ud800\\n\""), T("\"\\ud800\\u0041\""),
		T("\"\\ud800\\ud800\""), T("\"\\udfff\\ud800\""),
		T("\"\\ud800\\") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

static void
utf8_malformed(void **state)
{
	static const struct text texts[] = { T("\"\x80\""), T("\"\xbf\""),
		T("\"\xc0\x80\""), T("\"\xc1\xbf\""), T("\"\xc2\""),
		T("\"\xc2\x41\""), T("\"\xe0\x80\x80\""), T("\"\xe0\x9f\xbf\""),
		T("\"\xe1\x80\""), T("\"\xed\xa0\x80\""), T("\"\xed\xbf\xbf\""),
		T("\"\xf0\x80\x80\x80\""), T("\"\xf0\x8f\xbf\xbf\""),
		T("\"\xf4\x90\x80\x80\""), T("\"\xf5\x80\x80\x80\""),
		T("\"\xf8\x88\x80\x80\x80\""), T("\"\xff\""), T("\"\xfe\""),
		T("\"\xe2\x82"), T("{\"\xc0\xaf\":1}") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
}

static void
nesting_unbounded(void **state)
{
	char text[2 * (JSON_DEPTH_MAX + 1) + 1];
	struct text deep = { text, 2 * JSON_DEPTH_MAX };

	(void)state;
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	accept_all(&deep, 1);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	deep.len = 2 * (JSON_DEPTH_MAX + 1);
	refuse_all(&deep, 1);
}

/* A hundred thousand brackets must not cost as many stack frames. */
static void
stack_exhausted(void **state)
{
	struct text deep = { NULL, 100000 };
	_cleanup_(freep) char *text = malloc(deep.len);

	(void)state;
	memset(text, '[', deep.len);
	deep.data = text;
	refuse_all(&deep, 1);
	for (size_t i = 0; i + 5 <= deep.len; i += 5)
		memcpy(text + i, "{\"\":[", 5);
	refuse_all(&deep, 1);
}

static void
document_oversized(void **state)
{
	struct text big = { NULL, JSON_BYTES_MAX };
	_cleanup_(freep) char *text = malloc(big.len + 1);

	(void)state;
	memset(text, ' ', big.len + 1);
	text[0] = '1';
	big.data = text;
	accept_all(&big, 1);
	big.len++;
	refuse_all(&big, 1);
}

static void
name_twice(void **state)
{
	static const struct text texts[] = { T("{\"a\":1,\"a\":1}"),
		T("{\"a\":1,\"b\":2,\"c\":3,\"a\":4}"), T("{\"\":1,\"\":2}"),
		T("{\"a\":1,\"\\u0061\":2}"), T("[{\"x\":{\"a\":1,\"a\":2}}]"),
		T("{\"\xc3\xa9\":1,\"\\u00e9\":2}"), T("{\"/\":1,\"\\/\":2}") };
	static const struct text different[] = { T("{\"a\":1,\"A\":2}"),
		T("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"),
		T("{\"a\":1,\"a \":2}") };

	(void)state;
	refuse_all(texts, NELEMS(texts));
	accept_all(different, NELEMS(different));
}

/* However many the names are, and wherever among them the two stand. */
static void
name_twice_among_many(void **state)
{
	static const size_t counts[] = { 2, 3, 15, 16, 17, 18, 100 };
	char text[2048];

	(void)state;
	for (size_t i = 0; i < NELEMS(counts); i++)
		for (size_t twin = 0; twin < counts[i]; twin++) {
			struct text t = { text, 1 };

			text[0] = '{';
			for (size_t k = 0; k < counts[i]; k++)
				t.len += (size_t)sprintf(text + t.len,
				    "\"n%zu\":0,", k);
			text[t.len - 1] = '}';
			accept_all(&t, 1);
			t.len += (size_t)sprintf(text + t.len - 1,
				     ",\"n%zu\":0}", twin) -
			    1;
			refuse_all(&t, 1);
		}
}

static void
second_of_two_names_not_named(void **state)
{
	struct json_doc *doc = NULL;
	struct why why = { 0 };
	char sentence[WHY_SENTENCE_MAX];

	(void)state;
	assert_int_equal(parse((struct text)T("{\n\"a\": 1,\n\"b\": 2,\n"
					      "\"a\": 3\n}"),
			     &doc, &why),
	    CVM_E_CONFIG);
	assert_string_equal(why.where, "f.json:4");
	assert_string_equal(why.field, "$.a");
	assert_string_equal(why.got, "3");
	assert_string_equal(why_sentence(&why, sentence, sizeof(sentence)),
	    "f.json:4: $.a: expected a name that is not there already, got 3"
	    " (configuration refused)");
}

static void
line_and_column_wrong(void **state)
{
	static const struct {
		struct text text;
		const char *where, *field, *got;
	} rows[] = {
		{ T("x"), "f.json:1", "column 1", "\"x\"" },
		{ T("\n\n  x"), "f.json:3", "column 3", "\"x\"" },
		{ T("{\r\n\"a\":\r\n tru }"), "f.json:3", "column 5",
		    "byte 0x20" },
		{ T("{\n\"a\": 1\n"), "f.json:3", "column 1", "end of file" },
		{ T("[1,\n2,\n03]"), "f.json:3", "column 3",
		    "a needless zero or minus" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct json_doc *doc = NULL;
		struct why why = { 0 };

		assert_int_equal(parse(rows[i].text, &doc, &why), CVM_E_CONFIG);
		assert_string_equal(why.where, rows[i].where);
		assert_string_equal(why.field, rows[i].field);
		assert_string_equal(why.got, rows[i].got);
	}
}

static void
place_of_value_wrong(void **state)
{
	static const struct text text = T("{\n\"a\": [\n 1,\n {\n \"b c\":"
					  "\n\"x\", \"\": 2}\n],\n\"d\": 3}");
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	const struct json *a, *odd;
	char path[64], small[8];

	(void)state;
	assert_int_equal(parse(text, &doc, NULL), CVM_OK);
	a = json_member(json_root(doc), "a");
	odd = json_member(json_at(a, 1), "b c");
	assert_int_equal(json_root(doc)->line, 1);
	assert_int_equal(a->line, 2);
	assert_int_equal(json_at(a, 0)->line, 3);
	assert_int_equal(json_at(a, 1)->line, 4);
	assert_int_equal(odd->line, 6);
	assert_int_equal(json_member(json_root(doc), "d")->line, 8);
	assert_string_equal(json_path(json_root(doc), path, sizeof(path)), "$");
	assert_string_equal(json_path(odd, path, sizeof(path)),
	    "$.a[1][\"b c\"]");
	assert_string_equal(json_path(odd->next, path, sizeof(path)),
	    "$.a[1][\"\"]");
	assert_string_equal(json_path(odd, small, sizeof(small)), "$.a[1][");
	assert_string_equal(json_path(NULL, path, sizeof(path)), "$");
}

/* What cJSON makes of the same text, down to the last byte. */
static void
tree_differs(void **state)
{
	static const struct text texts[] = { T("{}"), T("[]"), T("null"),
		T("true"), T("false"), T("\"\""), T("0"), T("-1"),
		T("9007199254740991"), T("-9007199254740991"),
		T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\\u0080\""),
		T("\"\\u07FF\\u0800\\ud7ff\\uE000\\uffff\""),
		T("\"\\ud800\\udc00\\uDBFF\\uDFFF\\ud83d\\ude00\""),
		T("\"a\xc2\x80\\\"b\xf4\x8f\xbf\xbf\\u00e9c\""),
		T("[[],{},\"\",null,[true,false,[-7]],{\"\":{\"\":[]}}]"),
		T(" {\"a\" : [ 1 , {\"b\":\"x\",\"c\":[[2],3]} ],\n\"a b\":4}"),
		T("{\"\\u0061\":\"\\u0062\",\"\\ud83d\\ude00\":\"\\/\"}"),
		T("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]") };

	(void)state;
	for (size_t i = 0; i < NELEMS(texts); i++) {
		_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
		cJSON *twin = cJSON_ParseWithLength(texts[i].data,
		    texts[i].len);

		assert_int_equal(parse(texts[i], &doc, NULL), CVM_OK);
		assert_non_null(twin);
		if (!json_twin_same(json_root(doc), twin))
			fail_msg("read as something else: %s", texts[i].data);
		cJSON_Delete(twin);
	}
}

/* A document of more values than a block of them holds. */
static void
values_lost(void **state)
{
	enum { MANY = 5000 };
	static char text[MANY * 12];
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	const struct json *item;
	size_t at = 1;
	long long n = 0;

	(void)state;
	text[0] = '[';
	for (int i = 0; i < MANY; i++)
		at += (size_t)sprintf(text + at, "[%d],\n", i);
	text[at - 2] = ']';
	assert_int_equal(json_parse(span(text, at), "f", &doc, NULL), CVM_OK);
	assert_int_equal(json_count(json_root(doc)), MANY);
	JSON_EACH(item, json_root(doc)) {
		assert_int_equal(item->line, n + 1);
		assert_int_equal(json_count(item), 1);
		assert_int_equal(json_at(item, 0)->number, n);
		assert_null(json_at(item, 1));
		assert_null(item->child->next);
		n++;
	}
	assert_int_equal(n, MANY);
	assert_null(json_at(json_root(doc), MANY));
}

static void
member_of_what_is_no_object(void **state)
{
	static const char *const texts[] = { "[0]", "[{\"a\":1}]", "[[],\"a\"]",
		"\"a\"", "0", "null" };
	static const char object[] = "{\"a\":[0]}";
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;

	(void)state;
	for (size_t i = 0; i < NELEMS(texts); i++) {
		_cleanup_(json_doc_freep) struct json_doc *d = NULL;

		assert_int_equal(json_parse(span(texts[i], strlen(texts[i])),
				     "f", &d, NULL),
		    CVM_OK);
		assert_null(json_member(json_root(d), "a"));
	}
	assert_null(json_member(NULL, "a"));
	assert_int_equal(json_parse(span(object, strlen(object)), "f", &doc,
			     NULL),
	    CVM_OK);
	assert_non_null(json_member(json_root(doc), "a"));
	assert_null(json_member(json_member(json_root(doc), "a"), "a"));
}

/* What a file says goes to logs and terminals. */
static void
hostile_text_in_message(void **state)
{
	static const struct text text = T("{\"\\u001b[2J\":\"\\n\\u0007\xc3\xa9"
					  "\"}");
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	struct why why = { 0 };

	(void)state;
	assert_int_equal(parse(text, &doc, NULL), CVM_OK);
	assert_int_equal(json_refuse(doc, json_root(doc)->child, "x", &why),
	    CVM_E_CONFIG);
	assert_string_equal(why.field, "$[\"?[2J\"]");
	assert_string_equal(why.got, "\"\?\?\?\?\"");
}

static void
long_value_in_message(void **state)
{
	char text[2048], name[1024];
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	struct why why = { 0 };

	(void)state;
	memset(text, 'v', sizeof(text));
	text[0] = text[sizeof(text) - 1] = '"';
	memset(name, 'n', sizeof(name));
	strcpy(name + sizeof(name) - 8, ".json");
	assert_int_equal(json_parse(span(text, sizeof(text)), name, &doc, NULL),
	    CVM_OK);
	assert_int_equal(json_refuse(doc, json_root(doc), "x", &why),
	    CVM_E_CONFIG);
	assert_string_equal(why.got + strlen(why.got) - 4, "v...");
	assert_int_equal(strlen(why.got), WHY_VALUE_MAX - 1);
	/* The line is what the operator needs: the front goes, not the end. */
	assert_non_null(strstr(why.where, "n.json:1"));
	assert_true(strncmp(why.where, "...n", 4) == 0);
}

struct pair {
	uint32_t first, second;
};

static JSON_READER(read_refused)
{
	(void)field;
	(void)out;
	return json_refuse(doc, item, "never", why);
}

static const struct json_field pair_fields[] = {
	{ ROW_REQUIRED, ROW_U32("first", offsetof(struct pair, first), 1, 9) },
	{ ROW_U32("second", offsetof(struct pair, second), 0, 5) },
	{
	    ROW_BOOL("never", 0),
	},
};

static void
table_not_obeyed(void **state)
{
	static const struct {
		struct text text;
		const char *field; /* NULL: accepted */
	} rows[] = {
		{ T("{\"first\":1}"), NULL },
		{ T("{\"second\":5,\"first\":9}"), NULL },
		{ T("{}"), "$" },
		{ T("{\"second\":1}"), "$" },
		{ T("[]"), "$" },
		{ T("null"), "$" },
		{ T("{\"first\":0}"), "$.first" },
		{ T("{\"first\":10}"), "$.first" },
		{ T("{\"first\":1,\"third\":1}"), "$.third" },
		{ T("{\"First\":1}"), "$.First" },
		{ T("{\"first\":1,\"\":1}"), "$[\"\"]" },
		{ T("{\"first\":1,\"second\":6}"), "$.second" },
		{ T("{\"first\":1,\"never\":true}"), "$.never" },
	};
	struct json_field fields[NELEMS(pair_fields)];

	(void)state;
	memcpy(fields, pair_fields, sizeof(fields));
	fields[2].read = read_refused;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
		struct pair pair = { 0, 7 };
		struct why why = { 0 };
		int err;

		assert_int_equal(parse(rows[i].text, &doc, NULL), CVM_OK);
		err = json_read_object(doc, json_root(doc), fields,
		    NELEMS(fields), &pair, &why);
		assert_int_equal(err, rows[i].field ? CVM_E_CONFIG : CVM_OK);
		if (rows[i].field != NULL)
			assert_string_equal(why.field, rows[i].field);
		else
			assert_true(pair.first == 1 || pair.first == 9);
	}
}

static void
dotted_version_malformed(void **state)
{
	static const char *const refused[] = { "", ".", "1", "1.2", "1.2.3.4",
		"1..3", ".1.2", "1.2.", "1.2.256", "1.2.1000", "01.2.3",
		"1.2.-3", "1.2.3 ", " 1.2.3", "1.2.x", "1,2,3" };
	uint32_t v[3] = { 0 };

	(void)state;
	assert_int_equal(json_parse_dotted("1.55.21", v, 3), CVM_OK);
	assert_int_equal(v[0], 1);
	assert_int_equal(v[1], 55);
	assert_int_equal(v[2], 21);
	assert_int_equal(json_parse_dotted("0.0.255", v, 3), CVM_OK);
	for (size_t i = 0; i < NELEMS(refused); i++)
		assert_int_equal(json_parse_dotted(refused[i], v, 3),
		    CVM_E_PARSE);
}

static void
file_bytes_differ(void **state)
{
	static const char text[] = " {\"a\": 1}\n";
	char path[] = "/tmp/cvm-json-XXXXXX";
	_cleanup_(closep) int fd = mkstemp(path);
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	_cleanup_(blob_clear) struct blob bytes = { 0 };

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(json_parse_file(path, &doc, &bytes, NULL), CVM_OK);
	assert_int_equal(bytes.len, strlen(text));
	assert_memory_equal(bytes.data, text, bytes.len);
	unlink(path);
	assert_int_equal(json_parse_file(path, &doc, NULL, NULL),
	    CVM_E_NOT_FOUND);
}

static void
null_freed(void **state)
{
	struct json_doc *doc = NULL;

	(void)state;
	json_doc_freep(NULL);
	json_doc_freep(&doc);
	assert_null(doc);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_refused),
		cmocka_unit_test(not_a_document),
		cmocka_unit_test(trailing_bytes),
		cmocka_unit_test(separators_misplaced),
		cmocka_unit_test(number_not_an_integer),
		cmocka_unit_test(number_rounded),
		cmocka_unit_test(string_malformed),
		cmocka_unit_test(nul_escaped),
		cmocka_unit_test(final_nul_left_out),
		cmocka_unit_test(surrogate_alone),
		cmocka_unit_test(utf8_malformed),
		cmocka_unit_test(nesting_unbounded),
		cmocka_unit_test(stack_exhausted),
		cmocka_unit_test(document_oversized),
		cmocka_unit_test(name_twice),
		cmocka_unit_test(name_twice_among_many),
		cmocka_unit_test(second_of_two_names_not_named),
		cmocka_unit_test(line_and_column_wrong),
		cmocka_unit_test(place_of_value_wrong),
		cmocka_unit_test(tree_differs),
		cmocka_unit_test(values_lost),
		cmocka_unit_test(member_of_what_is_no_object),
		cmocka_unit_test(hostile_text_in_message),
		cmocka_unit_test(long_value_in_message),
		cmocka_unit_test(table_not_obeyed),
		cmocka_unit_test(dotted_version_malformed),
		cmocka_unit_test(file_bytes_differ),
		cmocka_unit_test(null_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
