/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "conf/file.h"
#include "conf/json_read.h"
#include "conf/json_scan.h"

#define FEW_MEMBERS 16 /* of an object: compared each with each */

struct json_doc {
	char *name;
	struct json_store store;
};

void
json_doc_freep(struct json_doc **doc)
{
	if (doc == NULL || *doc == NULL)
		return;
	json_store_clear(&(*doc)->store);
	free((*doc)->name);
	free(*doc);
	*doc = NULL;
}

const struct json *
json_root(const struct json_doc *doc)
{
	return doc->store.root;
}

/* By name, then by place: in a block, and the blocks, as in the document. */
struct place {
	const struct json *item;
	size_t at;
};

static int
compare_places(const void *a, const void *b)
{
	const struct place *pa = a, *pb = b;
	int order = strcmp(pa->item->name, pb->item->name);

	if (order != 0)
		return order;
	return pa->at < pb->at ? -1 : pa->at > pb->at;
}

/* Most names differ in their first byte. */
static bool
same_name(const char *a, const char *b)
{
	return a[0] == b[0] && strcmp(a, b) == 0;
}

/* A member with the name of one before it, or NULL. */
static const struct json *
again_of_few(const struct json *object)
{
	const struct json *item, *before;

	JSON_EACH(item, object)
		for (before = object->child; before != item;
		     before = before->next)
			if (same_name(before->name, item->name))
				return item;
	return NULL;
}

/* The same in as many steps as sorting takes. CVM_OK or CVM_E_NOMEM. */
static int
again_of_many(const struct json *object, const struct json **ret)
{
	_cleanup_(
	    freep) struct place *places = calloc(object->n, sizeof(*places));
	const struct json *item;
	size_t n = 0;

	if (places == NULL)
		return CVM_E_NOMEM;
	JSON_EACH(item, object) {
		places[n] = (struct place){ item, n };
		n++;
	}
	qsort(places, n, sizeof(*places), compare_places);
	for (size_t i = 1; i < n; i++)
		if (strcmp(places[i - 1].item->name, places[i].item->name) ==
		    0) {
			*ret = places[i].item;
			break;
		}
	return CVM_OK;
}

/*
 * RFC 8259 section 4 leaves it open which of two equal names counts; two
 * readers of one policy must not disagree. Names are compared as decoded.
 */
static int
check_unique(const struct json_doc *doc, const struct json *object,
    struct why *why)
{
	const struct json *again = NULL;

	if (object->n <= FEW_MEMBERS)
		again = again_of_few(object);
	else if (again_of_many(object, &again) != CVM_OK)
		return why_set(why, CVM_E_NOMEM, doc->name, NULL, NULL, NULL);
	if (again == NULL)
		return CVM_OK;
	return json_refuse(doc, again, "a name that is not there already", why);
}

static int
check_objects(const struct json_doc *doc, struct why *why)
{
	for (const struct json_block *b = doc->store.first; b != NULL;
	     b = b->next)
		for (size_t i = 0; i < b->n; i++) {
			int err = CVM_OK;

			if (b->v[i].kind == JSON_OBJECT)
				err = check_unique(doc, &b->v[i], why);
			if (err != CVM_OK)
				return err;
		}
	return CVM_OK;
}

int
json_parse(struct span text, const char *name, struct json_doc **ret,
    struct why *reterr_why)
{
	static const struct json_limits usual = { JSON_BYTES_MAX,
		JSON_VALUES_MAX, false };

	return json_parse_within(text, &usual, name, ret, reterr_why);
}

int
json_parse_within(struct span text, const struct json_limits *limits,
    const char *name, struct json_doc **ret, struct why *reterr_why)
{
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	int err;

	doc = calloc(1, sizeof(*doc));
	if (doc != NULL)
		doc->name = strdup(name);
	if (doc == NULL || doc->name == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, name, NULL, NULL, NULL);
	err = json_scan(text, limits, name, &doc->store, reterr_why);
	if (err == CVM_OK)
		err = check_objects(doc, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(doc);
	return CVM_OK;
}

int
json_parse_file(const char *path, struct json_doc **ret, struct blob *ret_text,
    struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob text = { 0 };
	int err;

	err = file_read(path, JSON_BYTES_MAX, FILE_ANY, &text, reterr_why);
	if (err != CVM_OK)
		return err;
	err = json_parse(blob_span(&text), path, ret, reterr_why);
	if (err != CVM_OK || ret_text == NULL)
		return err;
	*ret_text = text;
	text = (struct blob){ NULL, 0 };
	return CVM_OK;
}

/* ".name", "[\"odd name\"]" or "[index]" of an item in its parent. */
static void
path_step(const struct json *item, char *buf, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const struct json *at;
	size_t i = 0;

	if (!json_is_object(item->parent)) {
		for (at = item->parent->child; at != item; at = at->next)
			i++;
		(void)snprintf(buf, len, "[%zu]", i);
		return;
	}
	if (item->name[0] != '\0' &&
	    item->name[strspn(item->name, plain)] == '\0')
		(void)snprintf(buf, len, ".%s", item->name);
	else
		(void)snprintf(buf, len, "[\"%s\"]", item->name);
}

const char *
json_path(const struct json *item, char *buf, size_t len)
{
	const struct json *chain[JSON_DEPTH_MAX + 1];
	size_t n = 0, at;

	if (len == 0)
		return buf;
	for (; item != NULL && item->parent != NULL && n < NELEMS(chain);
	     item = item->parent)
		chain[n++] = item;
	at = (size_t)snprintf(buf, len, "$");
	while (n > 0 && at < len) {
		path_step(chain[--n], buf + at, len - at);
		at += strlen(buf + at);
	}
	return buf;
}

/* What a value is, for a message; why_set() cuts it and cleans it. */
static void
render(const struct json *item, char *buf, size_t len)
{
	if (json_is_string(item))
		(void)snprintf(buf, len, "\"%s\"", item->text);
	else if (json_is_number(item))
		(void)snprintf(buf, len, "%lld", item->number);
	else if (json_is_bool(item))
		(void)snprintf(buf, len, "%s",
		    json_is_true(item) ? "true" : "false");
	else if (json_is_array(item))
		(void)snprintf(buf, len, "an array of %zu", item->n);
	else if (json_is_object(item))
		(void)snprintf(buf, len, "an object of %zu", item->n);
	else
		(void)snprintf(buf, len, "null");
}

static bool
is_kind(const struct json *item, enum json_kind kind)
{
	return item != NULL && item->kind == kind;
}

bool
json_is_bool(const struct json *item)
{
	return is_kind(item, JSON_BOOL);
}

bool
json_is_true(const struct json *item)
{
	return is_kind(item, JSON_BOOL) && item->number != 0;
}

bool
json_is_number(const struct json *item)
{
	return is_kind(item, JSON_NUMBER);
}

bool
json_is_string(const struct json *item)
{
	return is_kind(item, JSON_STRING);
}

bool
json_is_array(const struct json *item)
{
	return is_kind(item, JSON_ARRAY);
}

bool
json_is_object(const struct json *item)
{
	return is_kind(item, JSON_OBJECT);
}

size_t
json_count(const struct json *item)
{
	return item != NULL ? item->n : 0;
}

const struct json *
json_at(const struct json *item, size_t i)
{
	const struct json *value;

	JSON_EACH(value, item)
		if (i-- == 0)
			return value;
	return NULL;
}

const struct json *
json_member(const struct json *object, const char *name)
{
	const struct json *item;

	/* What an array holds has no name, not even an empty one. */
	if (!json_is_object(object))
		return NULL;
	JSON_EACH(item, object)
		if (same_name(item->name, name))
			return item;
	return NULL;
}

int
json_refuse(const struct json_doc *doc, const struct json *item,
    const char *expected, struct why *reterr_why)
{
	char where[WHY_WHERE_MAX], path[WHY_FIELD_MAX + 8];
	char got[WHY_VALUE_MAX + 8];
	unsigned line = item != NULL ? item->line : 0;

	if (reterr_why == NULL)
		return CVM_E_CONFIG;
	render(item, got, sizeof(got));
	return why_set(reterr_why, CVM_E_CONFIG,
	    json_where(doc->name, line, where, sizeof(where)),
	    json_path(item, path, sizeof(path)), expected, got);
}

static const struct json_field *
find_field(const char *name, const struct json_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int
refuse_missing(const struct json_doc *doc, const struct json *item,
    const char *name, struct why *why)
{
	char expected[WHY_VALUE_MAX];
	int err;

	(void)snprintf(expected, sizeof(expected), "the name \"%s\"", name);
	err = json_refuse(doc, item, expected, why);
	if (why != NULL)
		(void)snprintf(why->got, sizeof(why->got), "none");
	return err;
}

static int
refuse_unknown(const struct json_doc *doc, const struct json *item,
    const struct json_field *fields, size_t n, struct why *why)
{
	char expected[WHY_VALUE_MAX + 1];
	size_t at = (size_t)snprintf(expected, sizeof(expected), "one of");

	for (size_t i = 0; i < n && at < sizeof(expected); i++)
		at += (size_t)snprintf(expected + at, sizeof(expected) - at,
		    "%s %s", i > 0 ? "," : "", fields[i].name);
	return json_refuse(doc, item, expected, why);
}

int
json_read_object(const struct json_doc *doc, const struct json *item,
    const struct json_field *fields, size_t n, void *out,
    struct why *reterr_why)
{
	const struct json *member;
	int err;

	if (!json_is_object(item))
		return json_refuse(doc, item, "an object", reterr_why);
	JSON_EACH(member, item)
		if (find_field(member->name, fields, n) == NULL)
			return refuse_unknown(doc, member, fields, n,
			    reterr_why);
	for (size_t i = 0; i < n; i++) {
		member = json_member(item, fields[i].name);
		if (member == NULL && fields[i].required)
			return refuse_missing(doc, item, fields[i].name,
			    reterr_why);
		if (member == NULL)
			continue;
		err = fields[i].read(doc, member, &fields[i],
		    (char *)out + fields[i].offset, reterr_why);
		if (err != CVM_OK)
			return err;
	}
	return CVM_OK;
}
