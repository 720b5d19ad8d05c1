/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/birth.h"
#include "base/tuple.h"
#include "conf/json_read.h"

static const struct json_word origin_v[] = {
	{ "unknown", ORIGIN_UNKNOWN },
	{ "generated", ORIGIN_GENERATED },
	{ "imported", ORIGIN_IMPORTED },
	{ "unwrapped", ORIGIN_UNWRAPPED },
	{ "derived", ORIGIN_DERIVED },
};
static const struct json_word class_v[] = {
	{ "private", false },
	{ "secret", true },
};
static const struct json_words origins = JSON_WORDS(origin_v);
static const struct json_words classes = JSON_WORDS(class_v);

static JSON_READER(read_serial)
{
	const char *s = json_is_string(item) ? item->text : "";
	size_t n = strlen(s);

	(void)field;
	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			n = 0;
	if (n == 0 || n > BIRTH_SERIAL_MAX)
		return json_refuse(doc, item, "1 to 16 printable characters",
		    why);
	memcpy(out, s, n + 1);
	return CVM_OK;
}

#define AT(member) offsetof(struct birth, member)
static const struct json_field rows[] = {
	{ ROW_REQUIRED, ROW_STRING("serial", read_serial, AT(serial), 1, 16) },
	{ ROW_REQUIRED,
	    ROW_STRING("fingerprint", json_read_hex, AT(fingerprint),
		SHA256_LEN, SHA256_LEN) },
	{ ROW_REQUIRED,
	    ROW_WORDS("class", json_read_word, AT(is_secret), classes) },
	{ ROW_REQUIRED,
	    ROW_WORDS("origin", json_read_word, AT(origin), origins) },
	{ ROW_REQUIRED,
	    ROW_STRING("key_type", json_read_hex_u64, AT(key_type), 1, 16) },
	{ ROW_REQUIRED,
	    ROW_STRING("key_gen_mechanism", json_read_hex_u64,
		AT(gen_mechanism), 1, 16) },
	{ ROW_REQUIRED, ROW_BOOL("local", AT(local)) },
	{ ROW_REQUIRED, ROW_BOOL("always_sensitive", AT(always_sensitive)) },
	{ ROW_REQUIRED, ROW_BOOL("never_extractable", AT(never_extractable)) },
	{ ROW_REQUIRED, ROW_BOOL("sensitive", AT(sensitive)) },
	{ ROW_REQUIRED, ROW_BOOL("extractable", AT(extractable)) },
	{ ROW_REQUIRED, ROW_BOOL("bind_operation", AT(bind_operation)) },
};

const char *
birth_origin_name(uint32_t origin)
{
	return origin < NELEMS(origin_v) ? origin_v[origin].word : "unknown";
}

int
leaf_key(const struct birth *b, struct span nonce, struct blob *ret)
{
	const uint8_t flags[] = { b->local, b->always_sensitive,
		b->never_extractable, b->sensitive, b->extractable,
		b->bind_operation };
	const char *class = b->is_secret ? "secret" : "private";
	const char *origin = birth_origin_name(b->origin);
	uint8_t type[8], mechanism[8];
	const struct span facts[] = { span(class, strlen(class)),
		tuple_u64(b->key_type, type), span(origin, strlen(origin)),
		tuple_u64(b->gen_mechanism, mechanism),
		span(flags, sizeof(flags)) };
	_cleanup_(blob_clear) struct blob birth = { 0 };
	struct leaf l = { .kind = LEAF_KEY, .n = 4 };
	int err;

	if (nonce.len < CHALLENGE_NONCE_MIN || nonce.len > CHALLENGE_NONCE_MAX)
		return CVM_E_INVAL;
	err = tuple("cvm-pkcs11/birth/1", facts, NELEMS(facts), &birth);
	if (err != CVM_OK)
		return err;
	l.field[0] = span(b->serial, strlen(b->serial));
	l.field[1] = nonce;
	l.field[2] = span(b->fingerprint, SHA256_LEN);
	l.field[3] = blob_span(&birth);
	return leaf_write(&l, ret);
}

static bool
put_u64(cJSON *o, const char *name, uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "0x%" PRIx64, v);
	return cJSON_AddStringToObject(o, name, text) != NULL;
}

int
birth_put(cJSON *bundle, const struct birth *b)
{
	char fp[2 * SHA256_LEN + 1];
	cJSON *o = cJSON_AddObjectToObject(bundle, "key");
	const struct {
		const char *name;
		bool value;
	} flags[] = {
		{ "local", b->local },
		{ "always_sensitive", b->always_sensitive },
		{ "never_extractable", b->never_extractable },
		{ "sensitive", b->sensitive },
		{ "extractable", b->extractable },
		{ "bind_operation", b->bind_operation },
	};
	const struct {
		const char *name, *value;
	} texts[] = {
		{ "serial", b->serial },
		{ "fingerprint",
		    hex_encode(span(b->fingerprint, SHA256_LEN), fp,
			sizeof(fp)) },
		{ "class", b->is_secret ? "secret" : "private" },
		{ "origin", birth_origin_name(b->origin) },
	};

	if (o == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < NELEMS(texts); i++)
		if (cJSON_AddStringToObject(o, texts[i].name, texts[i].value) ==
		    NULL)
			return CVM_E_NOMEM;
	if (!put_u64(o, "key_type", b->key_type) ||
	    !put_u64(o, "key_gen_mechanism", b->gen_mechanism))
		return CVM_E_NOMEM;
	for (size_t i = 0; i < NELEMS(flags); i++)
		if (cJSON_AddBoolToObject(o, flags[i].name, flags[i].value) ==
		    NULL)
			return CVM_E_NOMEM;
	return CVM_OK;
}

int
birth_read(const struct json_doc *doc, const struct json *item,
    struct birth *ret, struct why *reterr_why)
{
	struct birth b = { .origin = ORIGIN_UNKNOWN };
	int err = json_read_object(doc, item, rows, NELEMS(rows), &b,
	    reterr_why);

	if (err == CVM_OK)
		*ret = b;
	return err;
}
