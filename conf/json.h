/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_JSON_H
#define CONF_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/blob.h"

/*
 * Strict JSON (RFC 8259) on top of cJSON: what cJSON lets pass is refused
 * here (duplicate names, numbers that are not integers, trailing bytes, depth
 * over JSON_DEPTH_MAX, embedded NUL, invalid UTF-8), and each refusal names
 * file:line, JSON path, allowed and received.
 */
#define JSON_BYTES_MAX (1024 * 1024)
#define JSON_VALUES_MAX (JSON_BYTES_MAX / 2)
#define JSON_DEPTH_MAX 16

/* A parsed document with the line of every value. */
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
	size_t values; /* of all kinds: each costs memory */
};
int json_parse_within(struct span text, const struct json_limits *limits,
    const char *name, struct json_doc **ret,
    struct why *reterr_why) _must_check_;
/* Reads the file (regular, at most JSON_BYTES_MAX) and parses it; *ret_text,
 * if not NULL, gets the bytes. CVM_E_NOT_FOUND when it does not exist. */
int json_parse_file(const char *path, struct json_doc **ret,
    struct blob *ret_text, struct why *reterr_why) _must_check_;
void json_doc_freep(struct json_doc **doc);
const cJSON *json_root(const struct json_doc *doc);
/* 1-based line of a value of doc; 0 when it is not of doc. */
unsigned json_line(const struct json_doc *doc, const cJSON *item);
/* "$.tokens[0].label" of a value of doc, into buf; returns buf. */
const char *json_path(const struct json_doc *doc, const cJSON *item, char *buf,
    size_t len);

/* The member of that name of an object, or NULL; of anything else, NULL. */
const cJSON *json_member(const cJSON *object, const char *name);

/* Refuses item: fills why with file:line, path, expected, got (a rendering
 * of the value, cut) and returns CVM_E_CONFIG. */
int json_refuse(const struct json_doc *doc, const cJSON *item,
    const char *expected, struct why *reterr_why);

/*
 * Reading an object is a table: one row a key. A name that has no row, and a
 * required row that has no name, are refused. read() gets the member's place
 * (base + offset) as out.
 */
struct json_field {
	const char *name;
	bool required;
	int (*read)(const struct json_doc *doc, const cJSON *item,
	    const struct json_field *field, void *out, struct why *why);
	size_t offset;
	long long min, max;	 /* integers; lengths of strings and hex */
	const void *arg;	 /* table of words, sub-table, ... */
	const char *schema_type; /* for the test that schema and reader agree */
};

int json_read_object(const struct json_doc *doc, const cJSON *item,
    const struct json_field *fields, size_t n, void *out,
    struct why *reterr_why) _must_check_;

#endif
