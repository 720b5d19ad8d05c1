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

struct scan {
	struct reader r;
	const char *name;
	unsigned line;
	size_t line_start;
	unsigned depth;
	struct json_lines *lines;
	size_t values_max;
	struct why *why;
};

static int scan_value(struct scan *s);

void
json_lines_clear(struct json_lines *lines)
{
	free(lines->v);
	*lines = (struct json_lines){ NULL, 0, 0 };
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
	for (int c = peek(s); c == ' ' || c == '\t' || c == '\n' || c == '\r';
	     c = peek(s)) {
		read_skip(&s->r, 1);
		if (c == '\n') {
			s->line++;
			s->line_start = s->r.pos;
		}
	}
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
scan_number(struct scan *s)
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

/* After "\u": RFC 8259 section 7, with surrogates in pairs only. */
static int
scan_unicode(struct scan *s)
{
	unsigned hi, lo;
	int err = scan_hex4(s, &hi);

	if (err != CVM_OK)
		return err;
	if (hi == 0)
		return refuse(s, "a string without NUL", "\\u0000");
	if (hi < 0xd800 || hi > 0xdfff)
		return CVM_OK;
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
	return CVM_OK;
}

/* One character beyond ASCII. */
static int
scan_utf8(struct scan *s)
{
	size_t n = utf8_len(span(&s->r.data[s->r.pos], reader_left(&s->r)));

	if (n == 0)
		return refuse_next(s, "UTF-8");
	read_skip(&s->r, n);
	return CVM_OK;
}

static int
scan_escape(struct scan *s)
{
	int c;

	read_skip(&s->r, 1);
	c = peek(s);
	if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL)
		return refuse_next(s, "one of \" \\ / b f n r t u after \\");
	read_skip(&s->r, 1);
	return c == 'u' ? scan_unicode(s) : CVM_OK;
}

/* Over what a string holds as it is; the rest is looked at one by one. */
static void
skip_plain(struct reader *r)
{
	size_t n = 0, left = reader_left(r);

	for (; n < left; n++) {
		uint8_t c = r->data[r->pos + n];

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			break;
	}
	read_skip(r, n);
}

static int
scan_string(struct scan *s)
{
	int err = expect(s, '"', "a name in double quotes");

	while (err == CVM_OK) {
		int c;

		skip_plain(&s->r);
		c = peek(s);
		if (c == '"')
			break;
		if (c < 0x20)
			return refuse_next(s, "the rest of a string");
		err = c == '\\' ? scan_escape(s) : scan_utf8(s);
	}
	if (err == CVM_OK)
		read_skip(&s->r, 1);
	return err;
}

static int
scan_member(struct scan *s)
{
	int err = scan_string(s);

	if (err != CVM_OK)
		return err;
	skip_space(s);
	err = expect(s, ':', "\":\" after a name");
	return err == CVM_OK ? scan_value(s) : err;
}

/* An object or an array: the same but for what stands between the commas. */
static int
scan_container(struct scan *s, char close, int (*scan_one)(struct scan *s),
    const char *expected)
{
	int err;

	if (s->depth == JSON_DEPTH_MAX)
		return refuse(s, "at most 16 levels", "a deeper one");
	s->depth++;
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
	return expect(s, close, expected);
}

static int
record_line(struct scan *s)
{
	struct json_lines *lines = s->lines;
	char most[48];

	if (lines->n == s->values_max) {
		(void)snprintf(most, sizeof(most), "at most %zu values",
		    s->values_max);
		return refuse(s, most, "more");
	}
	if (lines->n == lines->room) {
		size_t room = lines->room > 0 ? lines->room * 2 : 256;
		unsigned *v = realloc(lines->v, room * sizeof(*v));

		if (v == NULL)
			return why_set(s->why, CVM_E_NOMEM, s->name, NULL, NULL,
			    NULL);
		lines->v = v;
		lines->room = room;
	}
	lines->v[lines->n++] = s->line;
	return CVM_OK;
}

static int
scan_value(struct scan *s)
{
	int err, c;

	skip_space(s);
	err = record_line(s);
	if (err != CVM_OK)
		return err;
	c = peek(s);
	if (c == '{')
		return scan_container(s, '}', scan_member, "\",\" or \"}\"");
	if (c == '[')
		return scan_container(s, ']', scan_value, "\",\" or \"]\"");
	if (c == '"')
		return scan_string(s);
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(s);
	if (c == 't')
		return scan_literal(s, "true");
	if (c == 'f')
		return scan_literal(s, "false");
	if (c == 'n')
		return scan_literal(s, "null");
	return refuse_next(s, "a JSON value");
}

int
json_scan(struct span text, const struct json_limits *limits, const char *name,
    struct json_lines *lines, struct why *reterr_why)
{
	struct scan s = {
		.r = reader_init(text),
		.name = name,
		.line = 1,
		.lines = lines,
		.values_max = limits->values,
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
	err = scan_value(&s);
	if (err != CVM_OK)
		return err;
	skip_space(&s);
	return peek(&s) < 0 ? CVM_OK :
			      refuse_next(&s, "the end of the document");
}
