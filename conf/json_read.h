/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_JSON_READ_H
#define CONF_JSON_READ_H

#include "conf/json.h"
#include "conf/policy.h"

/*
 * The readers that a struct json_field names. Each is given the address of the
 * member (base + offset), refuses a value of another type or out of range,
 * and stores nothing then. What it stores belongs to the member's struct.
 */
#define JSON_READER(fn)                                                        \
	int fn(const struct json_doc *doc, const struct json *item,            \
	    const struct json_field *field, void *out, struct why *why)

/* A word as it is written, and what it stands for. */
struct json_word {
	const char *word;
	uint32_t value;
};
struct json_words {
	const struct json_word *v;
	size_t n;
};
#define JSON_WORDS(array)                                                      \
	{                                                                      \
		.v = (array), .n = NELEMS(array)                               \
	}

/* What an object holds: its rows, and then the rules across them. */
struct json_table {
	const struct json_field *fields;
	size_t n;
	int (*check)(const struct json_doc *doc, const struct json *item,
	    void *out, struct why *why);
};
#define JSON_TABLE(array, fn)                                                  \
	{                                                                      \
		.fields = (array), .n = NELEMS(array), .check = (fn)           \
	}

/* Integers in min..max. */
JSON_READER(json_read_version); /* checks; stores nothing */
JSON_READER(json_read_u32);
JSON_READER(json_read_u8);
JSON_READER(json_read_bool);

#define JSON_PATH_MAX 1023 /* bytes of a path */
/* Strings of min..max bytes, to char *; replaces what is there. */
JSON_READER(json_read_text);	 /* without control characters */
JSON_READER(json_read_any_text); /* with them: only compared */
JSON_READER(json_read_label);	 /* and without ":" */
JSON_READER(json_read_path);	 /* absolute, without "//", "." and ".." */
JSON_READER(json_read_digits);	 /* decimal digits */

/* One of the words of arg (struct json_words). */
JSON_READER(json_read_word); /* value to an enum or uint32_t */
JSON_READER(json_read_flag); /* value to a bool */
JSON_READER(json_read_name); /* the word itself to char * */

/* "0x..." of at most max hexadecimal digits. */
JSON_READER(json_read_hex_u64);

/* Hexadecimal digits of max bytes, to an array of as many. */
JSON_READER(json_read_hex);
/* Of min or of max bytes, to a struct blob; all-zero and all-FF refused. */
JSON_READER(json_read_value);
JSON_READER(json_read_value_or_zero); /* only all-FF refused */

/* min..max items without duplicates, read by arg (struct json_field). */
JSON_READER(json_read_values);	/* to struct value_list */
JSON_READER(json_read_strings); /* to struct string_list */
JSON_READER(json_read_bits);	/* words; values ORed into an unsigned */

/* The object that arg (struct json_table) describes. */
JSON_READER(json_read_table);

/*
 * What stands between the braces of a row. at is the offset of the member;
 * elements of lists have NULL for a name and 0 for an offset.
 */
#define ROW_REQUIRED .required = true
#define ROW_(n, fn, at, type)                                                  \
	.name = (n), .read = (fn), .offset = (at), .schema_type = (type)
#define ROW_INTEGER(n, fn, at, low, high)                                      \
	ROW_(n, fn, at, "integer"), .min = (low), .max = (high)
#define ROW_U32(n, at, low, high) ROW_INTEGER(n, json_read_u32, at, low, high)
#define ROW_BOOL(n, at) ROW_(n, json_read_bool, at, "boolean")
#define ROW_STRING(n, fn, at, low, high)                                       \
	ROW_(n, fn, at, "string"), .min = (low), .max = (high)
#define ROW_PATH(n, at) ROW_STRING(n, json_read_path, at, 2, JSON_PATH_MAX)
#define ROW_WORDS(n, fn, at, words) ROW_(n, fn, at, "string"), .arg = &(words)
#define ROW_LIST(n, fn, at, low, high, element)                                \
	ROW_(n, fn, at, "array"), .min = (low), .max = (high), .arg = &(element)
#define ROW_OBJECT(n, fn, at) ROW_(n, fn, at, "object")
#define ROW_TABLE(n, at, table)                                                \
	ROW_OBJECT(n, json_read_table, at), .arg = &(table)

/* json_refuse() about the member of that name, or about item without it. */
int json_refuse_member(const struct json_doc *doc, const struct json *item,
    const char *name, const char *expected, struct why *why);
/* Refuses when a name is there that makes no sense here: "no X when WHEN". */
int json_refuse_present(const struct json_doc *doc, const struct json *item,
    const char *name, const char *when, struct why *why);

/* "1.55.21": exactly n numbers of 0..255. 0 or CVM_E_PARSE. */
int json_parse_dotted(const char *text, uint32_t *out, size_t n) _must_check_;

/* The documents of config.json and of a policy file, from the root down. */
extern const struct json_table config_table, policy_table;

void value_list_clear(struct value_list *list);
void string_list_clear(struct string_list *list);

#endif
