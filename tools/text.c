/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/utf8.h"
#include "conf/policy.h"
#include "tools/text.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The pattern's zeros stand for digits, the rest for itself. */
static bool
looks_like(const char *text, const char *pattern)
{
	for (; *pattern != '\0'; text++, pattern++)
		if (*pattern == '0' ? !is_digit(*text) : *text != *pattern)
			return false;
	return *text == '\0';
}

static int
seconds_parse(const char *text, int64_t *ret)
{
	int64_t v = 0;

	if (text[0] == '\0' || strlen(text) > 12)
		return CVM_E_PARSE;
	for (; *text != '\0'; text++) {
		if (!is_digit(*text))
			return CVM_E_PARSE;
		v = v * 10 + (*text - '0');
	}
	*ret = v;
	return CVM_OK;
}

int
time_parse(const char *text, int64_t *ret)
{
	char again[TIME_TEXT_MAX];
	struct tm tm = { 0 };
	int64_t v;

	if (!looks_like(text, "0000-00-00T00:00:00Z"))
		return seconds_parse(text, ret);
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ", &tm.tm_year, &tm.tm_mon,
		&tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return CVM_E_PARSE;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	v = (int64_t)timegm(&tm);
	/* timegm(3) makes March 2 of February 30. */
	if (strcmp(time_text(v, again), text) != 0)
		return CVM_E_PARSE;
	*ret = v;
	return CVM_OK;
}

const char *
time_text(int64_t when, char buf[static TIME_TEXT_MAX])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(buf, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		buf[0] = '\0';
	return buf;
}

/* One index; *text is moved behind it. */
static int
pcr_parse(const char **text, uint32_t *mask)
{
	const char *p = *text;
	unsigned i = 0;

	if (!is_digit(p[0]) || (p[0] == '0' && is_digit(p[1])))
		return CVM_E_PARSE;
	for (; is_digit(*p) && i < POLICY_PCR_MAX; p++)
		i = i * 10 + (unsigned)(*p - '0');
	if (i >= POLICY_PCR_MAX || (*mask >> i & 1) != 0)
		return CVM_E_PARSE;
	*mask |= 1u << i;
	*text = p;
	return CVM_OK;
}

int
pcr_list_parse(const char *text, uint32_t *ret_mask)
{
	uint32_t mask = 0;

	for (;; text++) {
		if (pcr_parse(&text, &mask) != CVM_OK)
			return CVM_E_PARSE;
		if (*text == '\0')
			break;
		if (*text != ',')
			return CVM_E_PARSE;
	}
	*ret_mask = mask;
	return CVM_OK;
}

const char *
pcr_list_text(uint32_t mask, char buf[static PCR_LIST_MAX])
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++)
		if ((mask >> i & 1) != 0)
			at += (size_t)snprintf(buf + at, PCR_LIST_MAX - at,
			    "%s%u", at > 0 ? "," : "", i);
	return buf;
}

static const struct {
	enum hash_alg bank;
	const char *name;
} banks[] = {
	{ HASH_SHA1, "sha1" },
	{ HASH_SHA256, "sha256" },
	{ HASH_SHA384, "sha384" },
	{ HASH_SHA512, "sha512" },
};

const char *
bank_text(enum hash_alg bank)
{
	for (size_t i = 0; i < NELEMS(banks); i++)
		if (banks[i].bank == bank)
			return banks[i].name;
	return "unknown";
}

int
bank_parse(const char *text, enum hash_alg *ret)
{
	for (size_t i = 0; i < NELEMS(banks); i++)
		if (strcmp(banks[i].name, text) == 0) {
			*ret = banks[i].bank;
			return CVM_OK;
		}
	return CVM_E_PARSE;
}

/* RFC 3986 section 2.3. */
static bool
is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    is_digit((char)c) || (c != '\0' && strchr("-._~", c) != NULL);
}

int
uri_escape(char *out, size_t len, struct span s, bool all)
{
	size_t start = strlen(out), at = start;

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];
		bool plain = !all && is_unreserved(c);

		if (at + (plain ? 1 : 3) >= len) {
			out[start] = '\0';
			return CVM_E_BUFFER_TOO_SMALL;
		}
		if (plain)
			out[at++] = (char)c;
		else
			at += (size_t)snprintf(out + at, len - at, "%%%02X", c);
		out[at] = '\0';
	}
	return CVM_OK;
}

static int
uri_attribute(char *out, const char *name, struct span s, bool all)
{
	size_t n = strlen(out);

	if (s.len == 0)
		return CVM_OK;
	if (n + strlen(name) + 1 > URI_TEXT_MAX)
		return CVM_E_BUFFER_TOO_SMALL;
	(void)snprintf(out + n, URI_TEXT_MAX - n, "%s", name);
	return uri_escape(out, URI_TEXT_MAX, s, all);
}

int
uri_private_key(const struct uri_key *k, char out[static URI_TEXT_MAX])
{
	static const char type[] = ";type=private";
	size_t n;
	int r;

	(void)snprintf(out, URI_TEXT_MAX, "%s", "");
	if ((r = uri_attribute(out, "pkcs11:token=",
		 span(k->token, strlen(k->token)), false)) != CVM_OK ||
	    (r = uri_attribute(out, ";object=",
		 span(k->object, strlen(k->object)), false)) != CVM_OK ||
	    (r = uri_attribute(out, ";id=", k->id, true)) != CVM_OK)
		return r;
	n = strlen(out);
	if (n + sizeof(type) > URI_TEXT_MAX)
		return CVM_E_BUFFER_TOO_SMALL;
	memcpy(out + n, type, sizeof(type));
	return CVM_OK;
}

void
text_cut(char *text, size_t columns)
{
	if (strlen(text) > columns && columns > 3)
		memcpy(text + columns - 3, "...", 4);
}

const char *
file_kind_text(mode_t mode)
{
	static const struct {
		mode_t type;
		const char *name;
	} kinds[] = {
		{ S_IFDIR, "a directory" },
		{ S_IFLNK, "a symbolic link" },
		{ S_IFIFO, "a FIFO" },
		{ S_IFSOCK, "a socket" },
		{ S_IFCHR, "a device" },
		{ S_IFBLK, "a device" },
	};

	for (size_t i = 0; i < NELEMS(kinds); i++)
		if ((mode & S_IFMT) == kinds[i].type)
			return kinds[i].name;
	return "another kind of file";
}

/* Bytes of the character at s that a terminal may see; 0: none of them. Not
 * C0 and C1 controls, nor what is invisible or turns the direction of a line.*/
static size_t
printable(struct span s)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0, 0x1f },
		{ 0x7f, 0x9f },
		{ 0xad, 0xad },
		{ 0x61c, 0x61c },
		{ 0x200b, 0x200f },
		{ 0x2028, 0x202e },
		{ 0x2060, 0x206f },
		{ 0xfeff, 0xfeff },
		{ 0xe0000, 0xe007f },
	};
	size_t n = utf8_len(s);
	uint32_t c = n < 2 ? s.data[0] : s.data[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s.data[i] & 0x3f);
	for (size_t i = 0; i < NELEMS(hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return 0;
	return n;
}

const char *
text_plain(const char *s, char *buf, size_t len)
{
	struct span p = span(s, strlen(s));
	size_t at = 0, n, used;

	buf[0] = '\0';
	for (; p.len > 0; p.data += used, p.len -= used) {
		n = printable(p);
		used = n > 0 ? n : 1;
		if (at + (n > 0 ? n : 4) >= len)
			break;
		if (n > 0)
			memcpy(&buf[at], p.data, n);
		else
			(void)snprintf(&buf[at], len - at, "\\x%02x",
			    p.data[0]);
		at += n > 0 ? n : 4;
		buf[at] = '\0';
	}
	return buf;
}

bool
text_is_utf8(const char *s)
{
	struct span p = span(s, strlen(s));
	size_t n;

	for (; p.len > 0; p.data += n, p.len -= n)
		if ((n = utf8_len(p)) == 0)
			return false;
	return true;
}
