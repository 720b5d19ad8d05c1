/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "conf/file.h"
#include "conf/json_read.h"
#include "conf/json_scan.h"

struct node {
	const cJSON *item;
	size_t parent; /* index; of the root: its own */
	unsigned line;
};

struct json_doc {
	char *name;
	cJSON *root;
	struct node *nodes; /* in the order of the document */
	size_t n;
};

/* For the search of duplicate names: sorted by name, then by place. */
struct member {
	const char *name;
	const cJSON *item;
	size_t at;
};

void
json_doc_freep(struct json_doc **doc)
{
	if (doc == NULL || *doc == NULL)
		return;
	cJSON_Delete((*doc)->root);
	free((*doc)->nodes);
	free((*doc)->name);
	free(*doc);
	*doc = NULL;
}

const cJSON *
json_root(const struct json_doc *doc)
{
	return doc->root;
}

static int
compare_members(const void *a, const void *b)
{
	const struct member *ma = a, *mb = b;
	int order = strcmp(ma->name, mb->name);

	if (order != 0)
		return order;
	return ma->at < mb->at ? -1 : ma->at > mb->at;
}

/*
 * RFC 8259 section 4 leaves it open which of two equal names counts; two
 * readers of one policy must not disagree. Names are compared as decoded.
 */
static int
check_unique(const struct json_doc *doc, const cJSON *object, struct why *why)
{
	_cleanup_(freep) struct member *members = NULL;
	const cJSON *item;
	size_t n = 0;

	cJSON_ArrayForEach(item, object)
		n++;
	if (n < 2)
		return CVM_OK;
	members = calloc(n, sizeof(*members));
	if (members == NULL)
		return why_set(why, CVM_E_NOMEM, doc->name, NULL, NULL, NULL);
	n = 0;
	cJSON_ArrayForEach(item, object) {
		members[n] = (struct member){ item->string, item, n };
		n++;
	}
	qsort(members, n, sizeof(*members), compare_members);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(members[i - 1].name, members[i].name) == 0)
			return json_refuse(doc, members[i].item,
			    "a name that is not there already", why);
	}
	return CVM_OK;
}

/* The scan has bounded the depth, and with it this recursion. */
static int
add_nodes(struct json_doc *doc, const cJSON *item, size_t parent,
    const struct json_lines *lines)
{
	size_t at = doc->n;
	const cJSON *child;
	int err;

	if (at == lines->n)
		return CVM_E_INTERNAL;
	doc->nodes[at] = (struct node){ item, parent, lines->v[at] };
	doc->n++;
	cJSON_ArrayForEach(child, item) {
		err = add_nodes(doc, child, at, lines);
		if (err != CVM_OK)
			return err;
	}
	return CVM_OK;
}

/* cJSON must have seen what the scan saw, value for value. */
static int
fill_nodes(struct json_doc *doc, const struct json_lines *lines,
    struct why *why)
{
	int err;

	doc->nodes = calloc(lines->n, sizeof(*doc->nodes));
	if (doc->nodes == NULL)
		return why_set(why, CVM_E_NOMEM, doc->name, NULL, NULL, NULL);
	err = add_nodes(doc, doc->root, 0, lines);
	if (err != CVM_OK || doc->n != lines->n)
		return why_set(why, CVM_E_INTERNAL, doc->name, "values", NULL,
		    NULL);
	for (size_t i = 0; i < doc->n; i++) {
		if (!cJSON_IsObject(doc->nodes[i].item))
			continue;
		err = check_unique(doc, doc->nodes[i].item, why);
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
		JSON_VALUES_MAX };

	return json_parse_within(text, &usual, name, ret, reterr_why);
}

int
json_parse_within(struct span text, const struct json_limits *limits,
    const char *name, struct json_doc **ret, struct why *reterr_why)
{
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	_cleanup_(json_lines_clear) struct json_lines lines = { 0 };
	int err;

	err = json_scan(text, limits, name, &lines, reterr_why);
	if (err != CVM_OK)
		return err;
	doc = calloc(1, sizeof(*doc));
	if (doc != NULL)
		doc->name = strdup(name);
	if (doc == NULL || doc->name == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, name, NULL, NULL, NULL);
	doc->root = cJSON_ParseWithLength((const char *)text.data, text.len);
	if (doc->root == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, name, NULL, NULL, NULL);
	err = fill_nodes(doc, &lines, reterr_why);
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

	err = file_read(path, JSON_BYTES_MAX, /* guarded= */ false, &text,
	    reterr_why);
	if (err != CVM_OK)
		return err;
	err = json_parse(blob_span(&text), path, ret, reterr_why);
	if (err != CVM_OK || ret_text == NULL)
		return err;
	*ret_text = text;
	text = (struct blob){ NULL, 0 };
	return CVM_OK;
}

static const struct node *
find_node(const struct json_doc *doc, const cJSON *item)
{
	for (size_t i = 0; i < doc->n; i++)
		if (doc->nodes[i].item == item)
			return &doc->nodes[i];
	return NULL;
}

unsigned
json_line(const struct json_doc *doc, const cJSON *item)
{
	const struct node *node = find_node(doc, item);

	return node != NULL ? node->line : 0;
}

/* ".name", "[\"odd name\"]" or "[index]" of an item in its parent. */
static void
path_step(const cJSON *parent, const cJSON *item, char *buf, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const cJSON *at;
	size_t i = 0;

	if (!cJSON_IsObject(parent)) {
		for (at = parent->child; at != NULL && at != item;
		     at = at->next)
			i++;
		(void)snprintf(buf, len, "[%zu]", i);
		return;
	}
	if (item->string[0] != '\0' &&
	    item->string[strspn(item->string, plain)] == '\0')
		(void)snprintf(buf, len, ".%s", item->string);
	else
		(void)snprintf(buf, len, "[\"%s\"]", item->string);
}

const char *
json_path(const struct json_doc *doc, const cJSON *item, char *buf, size_t len)
{
	const struct node *chain[JSON_DEPTH_MAX + 2];
	const struct node *node = find_node(doc, item);
	size_t n = 0, at;

	if (len == 0)
		return buf;
	while (node != NULL && node->item != doc->root && n < NELEMS(chain)) {
		chain[n++] = node;
		node = &doc->nodes[node->parent];
	}
	at = (size_t)snprintf(buf, len, "$");
	while (n > 0 && at < len) {
		node = chain[--n];
		path_step(doc->nodes[node->parent].item, node->item, buf + at,
		    len - at);
		at += strlen(buf + at);
	}
	return buf;
}

/* What a value is, for a message; why_set() cuts it and cleans it. */
static void
render(const cJSON *item, char *buf, size_t len)
{
	int n = cJSON_GetArraySize(item);

	if (cJSON_IsString(item))
		(void)snprintf(buf, len, "\"%s\"", item->valuestring);
	else if (cJSON_IsNumber(item))
		(void)snprintf(buf, len, "%.0f", item->valuedouble);
	else if (cJSON_IsBool(item))
		(void)snprintf(buf, len, "%s",
		    cJSON_IsTrue(item) ? "true" : "false");
	else if (cJSON_IsArray(item))
		(void)snprintf(buf, len, "an array of %d", n);
	else if (cJSON_IsObject(item))
		(void)snprintf(buf, len, "an object of %d", n);
	else
		(void)snprintf(buf, len, "null");
}

const cJSON *
json_member(const cJSON *object, const char *name)
{
	const cJSON *item;

	/* What an array holds has no name, not even an empty one. */
	if (!cJSON_IsObject(object))
		return NULL;
	cJSON_ArrayForEach(item, object)
		if (strcmp(item->string, name) == 0)
			return item;
	return NULL;
}

int
json_refuse(const struct json_doc *doc, const cJSON *item, const char *expected,
    struct why *reterr_why)
{
	char where[WHY_WHERE_MAX], path[WHY_FIELD_MAX + 8];
	char got[WHY_VALUE_MAX + 8];

	if (reterr_why == NULL)
		return CVM_E_CONFIG;
	render(item, got, sizeof(got));
	return why_set(reterr_why, CVM_E_CONFIG,
	    json_where(doc->name, json_line(doc, item), where, sizeof(where)),
	    json_path(doc, item, path, sizeof(path)), expected, got);
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
refuse_missing(const struct json_doc *doc, const cJSON *item, const char *name,
    struct why *why)
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
refuse_unknown(const struct json_doc *doc, const cJSON *item,
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
json_read_object(const struct json_doc *doc, const cJSON *item,
    const struct json_field *fields, size_t n, void *out,
    struct why *reterr_why)
{
	const cJSON *member;
	int err;

	if (!cJSON_IsObject(item))
		return json_refuse(doc, item, "an object", reterr_why);
	cJSON_ArrayForEach(member, item)
		if (find_field(member->string, fields, n) == NULL)
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
