/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_JSON_H
#define CONF_JSON_H

#include <stdbool.h>

#include "base/blob.h"

/*
 * Strict JSON (RFC 8259), parsed in one pass into a tree. Refused are duplicate
 * names, numbers that are not integers of at most 2^53 - 1, trailing bytes,
 * depth over JSON_DEPTH_MAX, NUL, unpaired surrogates and invalid UTF-8, and
 * each refusal names file:line, JSON path or column, allowed and received.
 */
#define JSON_BYTES_MAX (1024 * 1024)
#define JSON_VALUES_MAX (JSON_BYTES_MAX / 2)
#define JSON_DEPTH_MAX 16

enum json_kind {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/*
 * A value of a document, to be looked at only. What is not of its kind is 0
 * or NULL. It lives as long as the document.
 */
struct json {
	enum json_kind kind;
	unsigned line;	  /* 1-based, of its beginning */
	const char *name; /* of a member of an object; never NULL there */
	const char *text; /* of a string: decoded, without NUL in it */
	long long number; /* of a number; of a bool: 0 or 1 */
	size_t n;	  /* of an array or object: what it holds */
	struct json *parent, *child, *next; /* in the order of the document */
};

/* A parsed document. */
struct json_doc;

/*
 * Parses text (name: the file's name in messages). On failure CVM_E_CONFIG
 * and *reterr_why. The document borrows nothing.
 */
int json_parse(struct span text, const char *name, struct json_doc **ret,
    struct why *reterr_why) _must_check_;
/* The same with limits of the caller's. */
struct json_limits {
	size_t bytes;
	size_t values;	/* of all kinds: each costs memory */
	bool final_nul; /* a \u0000 that ends a string is left out */
};
int json_parse_within(struct span text, const struct json_limits *limits,
    const char *name, struct json_doc **ret,
    struct why *reterr_why) _must_check_;
/* Reads the file (regular, at most JSON_BYTES_MAX) and parses it; *ret_text,
 * if not NULL, gets the bytes. CVM_E_NOT_FOUND when it does not exist. */
int json_parse_file(const char *path, struct json_doc **ret,
    struct blob *ret_text, struct why *reterr_why) _must_check_;
void json_doc_freep(struct json_doc **doc);
const struct json *json_root(const struct json_doc *doc);
/* "$.tokens[0].label" of a value, into buf; returns buf. */
const char *json_path(const struct json *item, char *buf, size_t len);

/* What there is none of may be asked as well: NULL is of no kind. */
bool json_is_bool(const struct json *item);
bool json_is_true(const struct json *item);
bool json_is_number(const struct json *item);
bool json_is_string(const struct json *item);
bool json_is_array(const struct json *item);
bool json_is_object(const struct json *item);
/* How many values an array or object holds; 0 of anything else. */
size_t json_count(const struct json *item);
/* The value at i of an array or object, or NULL. */
const struct json *json_at(const struct json *item, size_t i);
/* The member of that name of an object, or NULL; of anything else, NULL. */
const struct json *json_member(const struct json *object, const char *name);
/* for (each value that an array or object holds) */
#define JSON_EACH(value, of)                                                   \
	for ((value) = (of) != NULL ? (of)->child : NULL; (value) != NULL;     \
	     (value) = (value)->next)

/* Refuses item: fills why with file:line, path, expected, got (a rendering
 * of the value, cut) and returns CVM_E_CONFIG. */
int json_refuse(const struct json_doc *doc, const struct json *item,
    const char *expected, struct why *reterr_why);

/*
 * Reading an object is a table: one row a key. A name that has no row, and a
 * required row that has no name, are refused. read() gets the member's place
 * (base + offset) as out.
 */
struct json_field {
	const char *name;
	bool required;
	int (*read)(const struct json_doc *doc, const struct json *item,
	    const struct json_field *field, void *out, struct why *why);
	size_t offset;
	long long min, max;	 /* integers; lengths of strings and hex */
	const void *arg;	 /* table of words, sub-table, ... */
	const char *schema_type; /* for the test that schema and reader agree */
};

int json_read_object(const struct json_doc *doc, const struct json *item,
    const struct json_field *fields, size_t n, void *out,
    struct why *reterr_why) _must_check_;

#endif
