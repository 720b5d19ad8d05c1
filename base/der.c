/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/der.h"

#define TAG_HIGH 0x1f /* a tag of several bytes */

uint8_t
der_tag(const struct reader *r)
{
	return r->failed || r->pos >= r->len ? 0 : r->data[r->pos];
}

/* X.690 section 10.1: the shortest form. */
static size_t
read_length(struct reader *r)
{
	uint8_t first = read_u8(r);
	size_t len = 0, n = first & 0x7f;

	if (first < 0x80)
		return first;
	if (n == 0 || n > 4)
		r->failed = true;
	for (size_t i = 0; i < n && !r->failed; i++) {
		len = len << 8 | read_u8(r);
		if (len == 0)
			r->failed = true;
	}
	if (len < 0x80)
		r->failed = true;
	return len;
}

/* Behind a tag that was looked at: most lengths have one byte. False, and
 * nothing read, for the others and for what ends too early. */
static bool
read_short(struct reader *r, struct span *ret)
{
	size_t left = reader_left(r), len;

	if (left < 2)
		return false;
	len = r->data[r->pos + 1];
	if (len >= 0x80 || len > left - 2)
		return false;
	r->pos += 2 + len;
	*ret = span(&r->data[r->pos - len], len);
	return true;
}

struct span
der_any(struct reader *r, uint8_t *ret_tag)
{
	struct span s;

	*ret_tag = der_tag(r);
	if ((*ret_tag & TAG_HIGH) != TAG_HIGH && read_short(r, &s))
		return s;
	*ret_tag = read_u8(r);
	if ((*ret_tag & TAG_HIGH) == TAG_HIGH)
		r->failed = true;
	return read_span(r, read_length(r));
}

struct span
der_value(struct reader *r, uint8_t tag)
{
	struct span s;

	if (der_tag(r) == tag && read_short(r, &s))
		return s;
	if (der_tag(r) != tag)
		r->failed = true;
	(void)read_u8(r);
	return read_span(r, read_length(r));
}

struct span
der_whole(struct reader *r, uint8_t tag)
{
	size_t start = r->pos;

	(void)der_value(r, tag);
	return r->failed ? (struct span){ 0 } :
			   span(&r->data[start], r->pos - start);
}

struct reader
der_open(struct reader *r, uint8_t tag)
{
	struct reader inner = reader_init(der_value(r, tag));

	inner.failed = r->failed;
	return inner;
}

void
der_close(struct reader *r, const struct reader *inner)
{
	if (reader_end(inner) != CVM_OK)
		r->failed = true;
}

bool
der_bool(struct reader *r)
{
	struct span s = der_value(r, DER_BOOLEAN);

	if (s.len != 1 || (s.data[0] != 0 && s.data[0] != 0xff)) {
		r->failed = true;
		return false;
	}
	return s.data[0] != 0;
}

/* X.690 section 8.3.2: the first nine bits neither all zeros nor all ones. */
static bool
is_shortest(struct span s)
{
	if (s.len < 2)
		return s.len == 1;
	return !(s.data[0] == 0 && s.data[1] < 0x80) &&
	    !(s.data[0] == 0xff && s.data[1] >= 0x80);
}

uint64_t
der_uint(struct reader *r, uint8_t tag, uint64_t max)
{
	struct span s = der_value(r, tag);
	uint64_t v = 0;

	if (!is_shortest(s) || s.data[0] >= 0x80 || s.len > 9 ||
	    (s.len == 9 && s.data[0] != 0)) {
		r->failed = true;
		return 0;
	}
	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.data[i];
	if (v <= max)
		return v;
	r->failed = true;
	return 0;
}

struct span
der_integer(struct reader *r)
{
	struct span s = der_value(r, DER_INTEGER);

	if (!is_shortest(s))
		r->failed = true;
	return s;
}

struct span
der_positive(struct reader *r)
{
	struct span s = der_integer(r);

	if (r->failed || s.data[0] >= 0x80 || (s.len == 1 && s.data[0] == 0)) {
		r->failed = true;
		return (struct span){ 0 };
	}
	return s.data[0] == 0 ? span(&s.data[1], s.len - 1) : s;
}

/* X.690 section 8.19.2: arcs end, and none begins with zeros. */
struct span
der_oid(struct reader *r)
{
	struct span s = der_value(r, DER_OID);
	bool inside = false;

	for (size_t i = 0; i < s.len; i++) {
		if (!inside && s.data[i] == 0x80)
			r->failed = true;
		inside = (s.data[i] & 0x80) != 0;
	}
	if (s.len == 0 || inside)
		r->failed = true;
	return s;
}

struct span
der_bits(struct reader *r)
{
	struct span s = der_value(r, DER_BITS);

	if (s.len < 1 || s.data[0] != 0) {
		r->failed = true;
		return (struct span){ 0 };
	}
	return span(&s.data[1], s.len - 1);
}

/* Trailing zero bits, which DER leaves out (X.690 section 11.2), are passed
 * over: AMD's certificates have one. The unused ones must be zero. */
uint16_t
der_named_bits(struct reader *r)
{
	struct span s = der_value(r, DER_BITS);
	uint8_t last;

	if (s.len == 1 && s.data[0] == 0)
		return 0;
	if (s.len < 2 || s.len > 3 || s.data[0] > 7) {
		r->failed = true;
		return 0;
	}
	last = s.data[s.len - 1];
	if ((last & ((1u << s.data[0]) - 1)) != 0) {
		r->failed = true;
		return 0;
	}
	return (uint16_t)(s.data[1] | (s.len == 3 ? last << 8 : 0));
}

static unsigned
two_digits(struct reader *r)
{
	uint8_t a = read_u8(r), b = read_u8(r);

	if (a < '0' || a > '9' || b < '0' || b > '9')
		r->failed = true;
	return (unsigned)(a - '0') * 10 + (unsigned)(b - '0');
}

int64_t
der_time(struct reader *r)
{
	uint8_t tag;
	struct span s = der_any(r, &tag);
	struct reader t = reader_init(s);
	struct utc_time u;
	int64_t seconds = 0;

	if (tag == DER_GENERALIZED_TIME) {
		u.year = two_digits(&t) * 100;
		u.year += two_digits(&t);
	} else {
		u.year = two_digits(&t);
		u.year += u.year < 50 ? 2000 : 1900;
	}
	u.month = two_digits(&t);
	u.day = two_digits(&t);
	u.hour = two_digits(&t);
	u.minute = two_digits(&t);
	u.second = two_digits(&t);
	if ((tag != DER_GENERALIZED_TIME && tag != DER_UTC_TIME) ||
	    read_u8(&t) != 'Z' || reader_end(&t) != CVM_OK ||
	    !utc_seconds(&u, &seconds)) {
		r->failed = true;
		return 0;
	}
	return seconds;
}

/* One arc in base 128, the last byte without the high bit. */
static size_t
put_arc(uint64_t v, uint8_t *out, size_t max)
{
	size_t n = 1;

	for (uint64_t rest = v >> 7; rest > 0; rest >>= 7)
		n++;
	if (n > max)
		return 0;
	for (size_t i = n; i-- > 0; v >>= 7)
		out[i] = (uint8_t)((v & 0x7f) | (i + 1 < n ? 0x80 : 0));
	return n;
}

/* A number and the dot after it, unless it is the last. */
static bool
take_arc(const char **p, uint64_t *ret)
{
	uint64_t v = 0;

	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		if (v > UINT32_MAX)
			return false;
		v = v * 10 + (uint64_t)(**p - '0');
	}
	if (**p == '.' && (*p)[1] != '\0')
		(*p)++;
	*ret = v;
	return true;
}

size_t
der_oid_encode(const char *dotted, uint8_t *out, size_t max)
{
	const char *p = dotted;
	uint64_t first, v;
	size_t len, n;

	if (!take_arc(&p, &first) || first > 2 || !take_arc(&p, &v) ||
	    (first < 2 && v > 39))
		return 0;
	len = put_arc(first * 40 + v, out, max);
	while (len > 0 && *p != '\0') {
		if (!take_arc(&p, &v) ||
		    (n = put_arc(v, &out[len], max - len)) == 0)
			return 0;
		len += n;
	}
	return len;
}

const char *
der_oid_text(struct span oid, char *buf, size_t len)
{
	size_t at = 0;
	uint64_t v = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < oid.len && at < len; i++) {
		uint64_t top;
		int n;

		v = v << 7 | (oid.data[i] & 0x7f);
		if (oid.data[i] & 0x80)
			continue;
		top = v < 80 ? v / 40 : 2;
		n = at == 0 ? snprintf(buf, len, "%" PRIu64 ".%" PRIu64, top,
				  v - top * 40) :
			      snprintf(&buf[at], len - at, ".%" PRIu64, v);
		at += n > 0 ? (size_t)n : 0;
		v = 0;
	}
	return buf;
}
