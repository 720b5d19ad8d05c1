/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/reader.h"
#include "base/utf8.h"
#include "conf/json.h"
#include "conf/json_scan.h"

#define INTEGER_MAX 9007199254740991 /* RFC 8259 section 6: 2^53 - 1 */
#define DIGITS_MAX 16
#define BLOCK_MAX 512 /* values in a block */

/* Where the text is read, and what of the tree is open. */
struct scan {
	struct reader r;
	const char *name;
	unsigned line;
	size_t line_start;
	unsigned depth;
	struct json_store *store;
	struct json_block *block; /* the last one */
	size_t room;		  /* values that the block has room for */
	size_t n, values_max;
	bool final_nul;
	char *text;	    /* where the next string goes */
	struct json *in;    /* the array or object around, or NULL */
	struct json **next; /* where the next value is hung */
	struct why *why;
};

static int scan_value(struct scan *s, const char *name);

void
json_store_clear(struct json_store *store)
{
	struct json_block *next;

	for (struct json_block *b = store->first; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(store->text);
	*store = (struct json_store){ NULL, NULL, NULL };
}

const char *
json_where(const char *name, unsigned line, char *buf, size_t len)
{
	size_t n = strlen(name), room = len > 24 ? len - 24 : 0;

	(void)snprintf(buf, len, "%s%s:%u", n > room ? "..." : "",
	    n > room ? name + (n - room) : name, line);
	return buf;
}

static int
refuse(struct scan *s, const char *expected, const char *got)
{
	char where[WHY_WHERE_MAX], field[48];

	(void)snprintf(field, sizeof(field), "column %zu",
	    s->r.pos - s->line_start + 1);
	return why_set(s->why, CVM_E_CONFIG,
	    json_where(s->name, s->line, where, sizeof(where)), field, expected,
	    got);
}

/* The next byte, or -1 at the end. */
static int
peek(const struct scan *s)
{
	return reader_left(&s->r) > 0 ? s->r.data[s->r.pos] : -1;
}

static int
refuse_next(struct scan *s, const char *expected)
{
	char got[32];
	int c = peek(s);

	if (c < 0)
		return refuse(s, expected, "end of file");
	if (c > 0x20 && c < 0x7f)
		(void)snprintf(got, sizeof(got), "\"%c\"", c);
	else
		(void)snprintf(got, sizeof(got), "byte 0x%02x", (unsigned)c);
	return refuse(s, expected, got);
}

static void
skip_space(struct scan *s)
{
	size_t at = s->r.pos;

	for (; at < s->r.len; at++) {
		uint8_t c = s->r.data[at];

		if (c == '\n') {
			s->line++;
			s->line_start = at + 1;
		} else if (c != ' ' && c != '\t' && c != '\r')
			break;
	}
	read_skip(&s->r, at - s->r.pos);
}

static int
expect(struct scan *s, char c, const char *expected)
{
	if (peek(s) != c)
		return refuse_next(s, expected);
	read_skip(&s->r, 1);
	return CVM_OK;
}

static int
scan_literal(struct scan *s, const char *word)
{
	for (const char *c = word; *c != '\0'; c++) {
		int err = expect(s, *c, "true, false or null");

		if (err != CVM_OK)
			return err;
	}
	return CVM_OK;
}

static int
scan_bool(struct scan *s, struct json *v)
{
	v->kind = JSON_BOOL;
	v->number = peek(s) == 't';
	return scan_literal(s, v->number ? "true" : "false");
}

static int
scan_null(struct scan *s, struct json *v)
{
	v->kind = JSON_NULL;
	return scan_literal(s, "null");
}

static int
scan_number(struct scan *s, struct json *value)
{
	static const char whole[] = "an integer without fraction or exponent";
	bool minus = peek(s) == '-';
	unsigned digits = 0;
	int64_t v = 0;
	int first, c;

	if (minus)
		read_skip(&s->r, 1);
	first = peek(s);
	for (c = first; c >= '0' && c <= '9'; c = peek(s)) {
		if (++digits > DIGITS_MAX)
			break;
		v = v * 10 + (c - '0');
		read_skip(&s->r, 1);
	}
	if (digits > DIGITS_MAX || v > INTEGER_MAX)
		return refuse(s, "an integer of at most 2^53 - 1",
		    "a larger number");
	if (digits == 0 || c == '.' || c == 'e' || c == 'E')
		return refuse_next(s, whole);
	if ((digits > 1 && first == '0') || (minus && v == 0))
		return refuse(s, whole, "a needless zero or minus");
	value->kind = JSON_NUMBER;
	value->number = minus ? -v : v;
	return CVM_OK;
}

static int
scan_hex4(struct scan *s, unsigned *ret)
{
	char digits[5] = { 0 };
	uint8_t v[2];

	if (reader_left(&s->r) < 4)
		return refuse(s, "four hexadecimal digits", "end of file");
	read_bytes(&s->r, (uint8_t *)digits, 4);
	if (hex_decode(digits, v, sizeof(v)) != CVM_OK)
		return refuse(s, "four hexadecimal digits after \\u", digits);
	*ret = (unsigned)v[0] << 8 | v[1];
	return CVM_OK;
}

/* The text has room for whatever the document can say (json_scan()). */
static void
put_bytes(struct scan *s, const void *bytes, size_t n)
{
	memcpy(s->text, bytes, n);
	s->text += n;
}

/* A code point that is none of a surrogate, as UTF-8 (RFC 3629 section 3). */
static void
put_unicode(struct scan *s, unsigned u)
{
	uint8_t b[4];

	if (u < 0x80) {
		b[0] = (uint8_t)u;
		put_bytes(s, b, 1);
	} else if (u < 0x800) {
		b[0] = (uint8_t)(0xc0 | u >> 6);
		b[1] = (uint8_t)(0x80 | (u & 0x3f));
		put_bytes(s, b, 2);
	} else if (u < 0x10000) {
		b[0] = (uint8_t)(0xe0 | u >> 12);
		b[1] = (uint8_t)(0x80 | (u >> 6 & 0x3f));
		b[2] = (uint8_t)(0x80 | (u & 0x3f));
		put_bytes(s, b, 3);
	} else {
		b[0] = (uint8_t)(0xf0 | u >> 18);
		b[1] = (uint8_t)(0x80 | (u >> 12 & 0x3f));
		b[2] = (uint8_t)(0x80 | (u >> 6 & 0x3f));
		b[3] = (uint8_t)(0x80 | (u & 0x3f));
		put_bytes(s, b, 4);
	}
}

/* After "\u": RFC 8259 section 7, with surrogates in pairs only. */
static int
scan_unicode(struct scan *s)
{
	unsigned hi, lo;
	int err = scan_hex4(s, &hi);

	if (err != CVM_OK)
		return err;
	if (hi == 0 && s->final_nul && peek(s) == '"')
		return CVM_OK;
	if (hi == 0)
		return refuse(s, "a string without NUL", "\\u0000");
	if (hi < 0xd800 || hi > 0xdfff) {
		put_unicode(s, hi);
		return CVM_OK;
	}
	if (hi > 0xdbff)
		return refuse(s, "surrogates in pairs", "a low one first");
	err = expect(s, '\\', "the second half of a surrogate pair");
	if (err == CVM_OK)
		err = expect(s, 'u', "the second half of a surrogate pair");
	if (err == CVM_OK)
		err = scan_hex4(s, &lo);
	if (err != CVM_OK)
		return err;
	if (lo < 0xdc00 || lo > 0xdfff)
		return refuse(s, "surrogates in pairs", "a high one alone");
	put_unicode(s, 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00));
	return CVM_OK;
}

/* One character beyond ASCII. */
static int
scan_utf8(struct scan *s)
{
	const uint8_t *at = &s->r.data[s->r.pos];
	size_t n = utf8_len(span(at, reader_left(&s->r)));

	if (n == 0)
		return refuse_next(s, "UTF-8");
	put_bytes(s, at, n);
	read_skip(&s->r, n);
	return CVM_OK;
}

static int
scan_escape(struct scan *s)
{
	static const char from[] = "\"\\/bfnrtu", to[] = "\"\\/\b\f\n\r\t";
	const char *which;
	int c;

	read_skip(&s->r, 1);
	c = peek(s);
	which = c > 0 ? strchr(from, c) : NULL;
	if (which == NULL)
		return refuse_next(s, "one of \" \\ / b f n r t u after \\");
	read_skip(&s->r, 1);
	if (c == 'u')
		return scan_unicode(s);
	put_bytes(s, &to[which - from], 1);
	return CVM_OK;
}

/* What a string holds as it is; the rest is looked at one by one. */
static void
scan_plain(struct scan *s)
{
	const uint8_t *at = &s->r.data[s->r.pos];
	size_t n = 0, left = reader_left(&s->r);

	while (n < left && at[n] >= 0x20 && at[n] < 0x80 && at[n] != '"' &&
	    at[n] != '\\')
		n++;
	put_bytes(s, at, n);
	read_skip(&s->r, n);
}

static int
scan_string(struct scan *s, const char **ret)
{
	const char *text = s->text;
	int err = expect(s, '"', "a name in double quotes");

	while (err == CVM_OK) {
		int c;

		scan_plain(s);
		c = peek(s);
		if (c == '"')
			break;
		if (c < 0x20)
			return refuse_next(s, "the rest of a string");
		err = c == '\\' ? scan_escape(s) : scan_utf8(s);
	}
	if (err != CVM_OK)
		return err;
	read_skip(&s->r, 1);
	put_bytes(s, "", 1);
	*ret = text;
	return CVM_OK;
}

static int
scan_member(struct scan *s)
{
	const char *name;
	int err = scan_string(s, &name);

	if (err != CVM_OK)
		return err;
	skip_space(s);
	err = expect(s, ':', "\":\" after a name");
	return err == CVM_OK ? scan_value(s, name) : err;
}

static int
scan_element(struct scan *s)
{
	return scan_value(s, /* name= */ NULL);
}

/* An object or an array: the same but for what stands between the commas. */
static int
scan_container(struct scan *s, struct json *v, char close,
    int (*scan_one)(struct scan *s), const char *expected)
{
	int err;

	if (s->depth == JSON_DEPTH_MAX)
		return refuse(s, "at most 16 levels", "a deeper one");
	s->depth++;
	s->in = v;
	s->next = &v->child;
	read_skip(&s->r, 1);
	skip_space(s);
	if (peek(s) != close) {
		do {
			skip_space(s);
			err = scan_one(s);
			if (err != CVM_OK)
				return err;
			skip_space(s);
		} while (peek(s) == ',' && expect(s, ',', "") == CVM_OK);
	}
	s->depth--;
	s->in = v->parent;
	s->next = &v->next;
	return expect(s, close, expected);
}

static int
scan_object(struct scan *s, struct json *v)
{
	v->kind = JSON_OBJECT;
	return scan_container(s, v, '}', scan_member, "\",\" or \"}\"");
}

static int
scan_array(struct scan *s, struct json *v)
{
	v->kind = JSON_ARRAY;
	return scan_container(s, v, ']', scan_element, "\",\" or \"]\"");
}

static int
scan_text(struct scan *s, struct json *v)
{
	v->kind = JSON_STRING;
	return scan_string(s, &v->text);
}

/* Room for as many values as what is left of the text is likely to hold. */
static int
add_block(struct scan *s)
{
	size_t room = reader_left(&s->r) / 8 + 1;
	struct json_block *b;

	if (room > BLOCK_MAX)
		room = BLOCK_MAX;
	b = malloc(sizeof(*b) + room * sizeof(b->v[0]));
	if (b == NULL)
		return why_set(s->why, CVM_E_NOMEM, s->name, NULL, NULL, NULL);
	b->next = NULL;
	b->n = 0;
	if (s->block != NULL)
		s->block->next = b;
	else
		s->store->first = b;
	s->block = b;
	s->room = room;
	return CVM_OK;
}

/* A value that is hung where it belongs, of no kind yet. */
static int
add_value(struct scan *s, const char *name, struct json **ret)
{
	struct json *v;
	char most[48];
	int err;

	if (s->n == s->values_max) {
		(void)snprintf(most, sizeof(most), "at most %zu values",
		    s->values_max);
		return refuse(s, most, "more");
	}
	if (s->block == NULL || s->block->n == s->room) {
		err = add_block(s);
		if (err != CVM_OK)
			return err;
	}
	v = &s->block->v[s->block->n++];
	*v = (struct json){ .line = s->line, .name = name, .parent = s->in };
	s->n++;
	if (s->in != NULL)
		s->in->n++;
	*s->next = v;
	s->next = &v->next;
	*ret = v;
	return CVM_OK;
}

static int
scan_value(struct scan *s, const char *name)
{
	struct json *v = NULL;
	int err, c;

	skip_space(s);
	err = add_value(s, name, &v);
	if (err != CVM_OK)
		return err;
	c = peek(s);
	if (c == '"')
		return scan_text(s, v);
	if (c == '{')
		return scan_object(s, v);
	if (c == '[')
		return scan_array(s, v);
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(s, v);
	if (c == 't' || c == 'f')
		return scan_bool(s, v);
	if (c == 'n')
		return scan_null(s, v);
	return refuse_next(s, "a JSON value");
}

int
json_scan(struct span text, const struct json_limits *limits, const char *name,
    struct json_store *store, struct why *reterr_why)
{
	struct scan s = {
		.r = reader_init(text),
		.name = name,
		.line = 1,
		.store = store,
		.next = &store->root,
		.values_max = limits->values,
		.final_nul = limits->final_nul,
		.why = reterr_why,
	};
	char most[48];
	int err;

	if (text.len > limits->bytes) {
		(void)snprintf(most, sizeof(most), "at most %zu bytes",
		    limits->bytes);
		return why_setf(reterr_why, CVM_E_CONFIG, name, NULL, most,
		    "%zu", text.len);
	}
	/* Each string in quotes has its bytes and a NUL, and no escape
	 * stands for more bytes than it has. */
	s.text = store->text = malloc(text.len + 1);
	if (s.text == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, name, NULL, NULL, NULL);
	err = scan_value(&s, /* name= */ NULL);
	if (err != CVM_OK)
		return err;
	skip_space(&s);
	return peek(&s) < 0 ? CVM_OK :
			      refuse_next(&s, "the end of the document");
}
