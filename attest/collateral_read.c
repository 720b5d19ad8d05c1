/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/collateral_read.h"
#include "base/clock.h"

int
source_refuse(const struct source *s, const struct json *item,
    const char *expected)
{
	return json_refuse(s->doc, item, expected, s->why);
}

static int
missing(const struct source *s, const struct json *object, const char *member)
{
	char path[WHY_FIELD_MAX];

	return why_setf(s->why, CVM_E_PARSE, s->name,
	    json_path(object, path, sizeof(path)),
	    "all members of this version", "no member \"%s\"", member);
}

int
get_member(const struct source *s, const struct json *object,
    const char *member, const struct json **ret)
{
	*ret = json_member(object, member);
	return *ret != NULL ? CVM_OK : missing(s, object, member);
}

int
get_uint(const struct source *s, const struct json *object, const char *member,
    uint32_t max, uint32_t *ret)
{
	const struct json *item = NULL;
	char expected[48];
	int r = get_member(s, object, member, &item);

	if (r < 0)
		return r;
	/* Never cut to fewer bits: 65473 is not 193. */
	if (!json_is_number(item) || item->number < 0 || item->number > max) {
		(void)snprintf(expected, sizeof(expected),
		    "an integer of 0..%u", max);
		return source_refuse(s, item, expected);
	}
	*ret = (uint32_t)item->number;
	return CVM_OK;
}

int
get_u16(const struct source *s, const struct json *object, const char *member,
    uint16_t *ret)
{
	uint32_t v = 0;
	int r = get_uint(s, object, member, UINT16_MAX, &v);

	if (r == CVM_OK)
		*ret = (uint16_t)v;
	return r;
}

int
get_text(const struct source *s, const struct json *object, const char *member,
    char *out, size_t len)
{
	const struct json *item = NULL;
	int r = get_member(s, object, member, &item);

	if (r < 0)
		return r;
	if (!json_is_string(item) || strlen(item->text) >= len)
		return source_refuse(s, item, "a short string");
	memcpy(out, item->text, strlen(item->text) + 1);
	return CVM_OK;
}

int
get_hex(const struct source *s, const struct json *object, const char *member,
    uint8_t *out, size_t len)
{
	const struct json *item = NULL;
	char expected[48];
	int r = get_member(s, object, member, &item);

	if (r < 0)
		return r;
	if (!json_is_string(item) || hex_decode(item->text, out, len) < 0) {
		(void)snprintf(expected, sizeof(expected),
		    "%zu hexadecimal digits", 2 * len);
		return source_refuse(s, item, expected);
	}
	return CVM_OK;
}

int
get_array(const struct source *s, const struct json *object, const char *member,
    size_t max, const struct json **ret, size_t *ret_n)
{
	int r = get_member(s, object, member, ret);
	char expected[48];
	size_t n;

	if (r < 0)
		return r;
	n = json_is_array(*ret) ? json_count(*ret) : max + 1;
	if (n > max) {
		(void)snprintf(expected, sizeof(expected),
		    "an array of at most %zu", max);
		return source_refuse(s, *ret, expected);
	}
	*ret_n = n;
	return CVM_OK;
}

/* RFC 3339 in the one form that the PCS uses: 2026-06-08T11:32:35Z. */
static int
parse_date(const char *s, int64_t *ret)
{
	static const char form[] = "0000-11-22T33:44:55Z";
	unsigned v[6] = { 0 };
	struct utc_time u;

	if (strlen(s) != sizeof(form) - 1)
		return CVM_E_PARSE;
	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		bool digit = form[i] >= '0' && form[i] <= '5';
		unsigned *field = &v[digit ? form[i] - '0' : 0];

		if (digit ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return CVM_E_PARSE;
		if (digit)
			*field = *field * 10 + (unsigned)(s[i] - '0');
	}
	u = (struct utc_time){ v[0], v[1], v[2], v[3], v[4], v[5] };
	return utc_seconds(&u, ret) ? CVM_OK : CVM_E_PARSE;
}

int
get_date(const struct source *s, const struct json *object, const char *member,
    int64_t *ret, char out[static TCB_DATE_LEN])
{
	const struct json *item = NULL;
	int r = get_member(s, object, member, &item);

	if (r < 0)
		return r;
	if (!json_is_string(item) || parse_date(item->text, ret) < 0)
		return source_refuse(s, item,
		    "a date like 2026-06-08T11:32:35Z");
	memcpy(out, item->text, strlen(item->text) + 1);
	return CVM_OK;
}
