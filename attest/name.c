/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/cert.h"
#include "base/utf8.h"

#define OID_TEXT_MAX 64

/* One attribute of a Name; its relative name may have several. */
struct attribute {
	struct span oid, value;
	uint8_t tag;
	bool joined; /* with the one before */
};

/* Reads on over the SETs of a Name. */
struct walk {
	struct reader names, set;
};

static struct walk
walk_init(struct span name)
{
	struct reader whole = reader_init(name);
	struct walk w = { .names = der_open(&whole, DER_SEQUENCE) };

	if (reader_end(&whole) != CVM_OK)
		w.names.failed = true;
	return w;
}

/* False at the end, and when the name is malformed: then names.failed. */
static bool
next(struct walk *w, struct attribute *ret)
{
	struct reader a;

	ret->joined = reader_left(&w->set) > 0;
	if (!ret->joined) {
		if (reader_left(&w->names) == 0)
			return false;
		w->set = der_open(&w->names, DER_SET);
	}
	a = der_open(&w->set, DER_SEQUENCE);
	ret->oid = der_oid(&a);
	ret->value = der_any(&a, &ret->tag);
	if (reader_end(&a) != CVM_OK) {
		w->names.failed = true;
		return false;
	}
	return true;
}

/* The kinds of strings that endorsers write (X.520's DirectoryString without
 * those that nobody can read any more, and IA5String). */
static bool
is_text(const struct attribute *a)
{
	struct span rest = a->value;
	size_t n;

	if (a->tag == DER_PRINTABLE || a->tag == DER_NUMERIC ||
	    a->tag == DER_IA5)
		return true;
	for (; a->tag == DER_UTF8 && rest.len > 0;
	     rest = span(&rest.data[n], rest.len - n))
		if ((n = utf8_len(rest)) == 0)
			return false;
	return a->tag == DER_UTF8;
}

bool
name_check(struct span name)
{
	struct walk w = walk_init(name);
	struct attribute a;

	while (next(&w, &a))
		if (!is_text(&a))
			return false;
	return reader_end(&w.names) == CVM_OK;
}

bool
name_equal(struct span a, struct span b)
{
	struct walk wa = walk_init(a), wb = walk_init(b);
	struct attribute x, y;
	bool more;

	if (span_equal(a, b))
		return true;
	while ((more = next(&wa, &x)) && next(&wb, &y))
		if (!span_equal(x.oid, y.oid) ||
		    !span_equal(x.value, y.value) || x.joined != y.joined)
			return false;
	return !more && !next(&wb, &y) && !wa.names.failed && !wb.names.failed;
}

/* The arc of an X.520 attribute type, 0 for another. */
static unsigned
arc_of(struct span oid)
{
	return oid.len == 3 && oid.data[0] == 0x55 && oid.data[1] == 4 ?
	    oid.data[2] :
	    0;
}

int
name_text(struct span name, enum name_type type, struct span *ret)
{
	struct walk w = walk_init(name);
	struct attribute a;
	bool found = false;

	while (next(&w, &a)) {
		if (arc_of(a.oid) != type)
			continue;
		if (found)
			return CVM_E_NOT_FOUND;
		found = true;
		*ret = a.value;
	}
	return found ? CVM_OK : CVM_E_NOT_FOUND;
}

bool
name_is(struct span name, const struct name_part *parts, size_t n)
{
	struct walk w = walk_init(name);
	struct attribute a;
	unsigned seen = 0;
	size_t count = 0;

	for (; next(&w, &a); count++)
		for (size_t i = 0; i < n; i++)
			if (arc_of(a.oid) == parts[i].type &&
			    span_equal(a.value,
				span(parts[i].value, strlen(parts[i].value))))
				seen |= 1u << i;
	/* As many as there are kinds of them: none twice, none besides. */
	return !w.names.failed && count == n && seen == (1u << n) - 1;
}

static const char *
type_name(struct span oid, char buf[static OID_TEXT_MAX])
{
	static const char *const names[] = {
		[NAME_COMMON] = "CN",
		[4] = "SN",
		[5] = "serialNumber",
		[NAME_COUNTRY] = "C",
		[NAME_LOCALITY] = "L",
		[NAME_STATE] = "ST",
		[9] = "street",
		[NAME_ORGANIZATION] = "O",
		[NAME_UNIT] = "OU",
		[12] = "title",
	};
	unsigned arc = arc_of(oid);

	if (arc < NELEMS(names) && names[arc] != NULL)
		return names[arc];
	return der_oid_text(oid, buf, OID_TEXT_MAX);
}

/* Appends at most what there is room for; returns the new length. */
static size_t
put(char *buf, size_t len, size_t at, const char *text)
{
	while (*text != '\0' && at + 1 < len)
		buf[at++] = *text++;
	buf[at] = '\0';
	return at;
}

/* What is not printable, and what would read as the next attribute. */
static size_t
put_value(char *buf, size_t len, size_t at, struct span value)
{
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		char one[4] = { (char)c };

		if (c < ' ' || c > '~')
			(void)snprintf(one, sizeof(one), "\\%02X", c);
		else if (strchr("\\,+\"", c) != NULL)
			(void)snprintf(one, sizeof(one), "\\%c", c);
		at = put(buf, len, at, one);
	}
	return at;
}

const char *
name_line(struct span name, char *buf, size_t len)
{
	struct walk w = walk_init(name);
	char type[OID_TEXT_MAX];
	struct attribute a;
	size_t at = 0;

	if (len == 0)
		return buf;
	buf[0] = '\0';
	while (next(&w, &a)) {
		if (at > 0)
			at = put(buf, len, at, a.joined ? " + " : ", ");
		at = put(buf, len, at, type_name(a.oid, type));
		at = put(buf, len, at, "=");
		at = put_value(buf, len, at, a.value);
	}
	return buf;
}
