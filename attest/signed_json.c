/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/collateral.h"
#include "base/reader.h"

/*
 * A response is signed as text, so the text of the member is cut out before
 * anything interprets it: strings and brackets are followed, no value is
 * decoded. What is cut out is then verified, and only that is parsed.
 */
#define DEPTH_MAX 16
#define NAME_MAX_LEN 32

struct cut {
	struct reader r;
	const char *name;
	struct why *why;
};

static int
refuse(const struct cut *c, const char *expected, const char *got)
{
	char field[48];

	(void)snprintf(field, sizeof(field), "byte %zu", c->r.pos);
	return why_set(c->why, CVM_E_PARSE, c->name, field, expected, got);
}

/* The next byte, or -1 at the end. */
static int
peek(const struct cut *c)
{
	return reader_left(&c->r) > 0 ? c->r.data[c->r.pos] : -1;
}

static int
peek_past_space(struct cut *c)
{
	int b = peek(c);

	while (b == ' ' || b == '\t' || b == '\n' || b == '\r') {
		read_skip(&c->r, 1);
		b = peek(c);
	}
	return b;
}

static int
expect(struct cut *c, char b, const char *expected)
{
	if (peek_past_space(c) != b)
		return refuse(c, expected, "something else");
	read_skip(&c->r, 1);
	return CVM_OK;
}

/* A string without escapes, which is all that names and signatures need. */
static int
plain_string(struct cut *c, char *out, size_t len)
{
	size_t n = 0;
	int r = expect(c, '"', "a string");

	if (r < 0)
		return r;
	for (;;) {
		int b = peek(c);

		if (b == '"')
			break;
		if (b < 0x20 || b > 0x7e || b == '\\' || n + 1 >= len)
			return refuse(c, "a plain, short string",
			    "an escape, another byte, or a longer one");
		out[n++] = (char)b;
		read_skip(&c->r, 1);
	}
	read_skip(&c->r, 1);
	out[n] = '\0';
	return CVM_OK;
}

/* Over the string that begins at *at; false where it does not end. */
static bool
skip_string(struct span s, size_t *at)
{
	size_t i = *at + 1;

	for (; i < s.len && s.data[i] != '"'; i++)
		if (s.data[i] == '\\')
			i++;
	*at = i + 1;
	return i < s.len;
}

static int
refuse_at(struct cut *c, size_t at, const char *expected, const char *got)
{
	c->r.pos = at < c->r.len ? at : c->r.len;
	return refuse(c, expected, got);
}

/* An object, with everything in it, by its brackets. */
static int
raw_object(struct cut *c, struct span *ret)
{
	struct span s = span(c->r.data, c->r.len);
	char closing[DEPTH_MAX];
	size_t depth = 0, at;

	if (peek_past_space(c) != '{')
		return refuse(c, "an object", "something else");
	at = c->r.pos;
	do {
		uint8_t b = at < s.len ? s.data[at] : 0;

		if (at >= s.len)
			return refuse_at(c, at, "the end of an object",
			    "the end");
		if (b == '"') {
			if (!skip_string(s, &at))
				return refuse_at(c, at, "the end of a string",
				    "the end");
			continue;
		}
		if (b == '{' || b == '[') {
			if (depth == DEPTH_MAX)
				return refuse_at(c, at, "at most 16 levels",
				    "more");
			closing[depth++] = b == '{' ? '}' : ']';
		} else if (b == '}' || b == ']') {
			if (closing[--depth] != b)
				return refuse_at(c, at, "brackets in pairs",
				    "another bracket");
		}
		at++;
	} while (depth > 0);
	*ret = read_span(&c->r, at - c->r.pos);
	return CVM_OK;
}

static int
raw_signature(struct cut *c, uint8_t out[static COLLATERAL_SIGNATURE_LEN])
{
	char hex[2 * COLLATERAL_SIGNATURE_LEN + 2];
	int r = plain_string(c, hex, sizeof(hex));

	if (r < 0)
		return r;
	if (hex_decode(hex, out, COLLATERAL_SIGNATURE_LEN) < 0)
		return refuse(c, "a signature of 128 hexadecimal digits",
		    "another string");
	return CVM_OK;
}

/* One of the two members; each must come once. */
static int
member(struct cut *c, const char *wanted, struct signed_json *out,
    bool *have_text, bool *have_signature)
{
	char name[NAME_MAX_LEN];
	int r = plain_string(c, name, sizeof(name));

	if (r < 0)
		return r;
	r = expect(c, ':', "a colon");
	if (r < 0)
		return r;
	if (strcmp(name, wanted) == 0 && !*have_text) {
		*have_text = true;
		return raw_object(c, &out->text);
	}
	if (strcmp(name, "signature") == 0 && !*have_signature) {
		*have_signature = true;
		return raw_signature(c, out->signature);
	}
	return refuse(c, "the signed member and its signature, once each",
	    name);
}

int
signed_json_open(struct span body, const char *name, const char *wanted,
    struct signed_json *ret, struct why *reterr_why)
{
	struct cut c = { reader_init(body), name, reterr_why };
	struct signed_json out = { 0 };
	bool have_text = false, have_signature = false;
	int r = expect(&c, '{', "an object");

	if (r == CVM_OK)
		r = member(&c, wanted, &out, &have_text, &have_signature);
	if (r == CVM_OK)
		r = expect(&c, ',', "a second member");
	if (r == CVM_OK)
		r = member(&c, wanted, &out, &have_text, &have_signature);
	if (r == CVM_OK)
		r = expect(&c, '}', "the end of the object");
	if (r < 0)
		return r;
	if (peek_past_space(&c) >= 0)
		return refuse(&c, "nothing after the object", "more");
	*ret = out;
	return CVM_OK;
}
