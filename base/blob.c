/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>

#include "base/blob.h"

int
blob_set(struct blob *b, struct span s)
{
	uint8_t *copy;

	/* In place where it fits. s may lie inside b. */
	if (b->data != NULL && b->len == s.len) {
		if (s.len > 0)
			memmove(b->data, s.data, s.len);
		return CVM_OK;
	}
	copy = malloc(s.len > 0 ? s.len : 1);
	if (copy == NULL)
		return CVM_E_NOMEM;
	if (s.len > 0)
		memcpy(copy, s.data, s.len);
	free(b->data);
	*b = (struct blob){ copy, s.len };
	return CVM_OK;
}

int
blob_append(struct blob *b, struct span s)
{
	uint8_t *grown;

	if (s.len == 0)
		return CVM_OK;
	if (s.len > SIZE_MAX - b->len)
		return CVM_E_NOMEM;
	/* s may lie inside b: copy before the old memory goes. */
	grown = malloc(b->len + s.len);
	if (grown == NULL)
		return CVM_E_NOMEM;
	if (b->len > 0)
		memcpy(grown, b->data, b->len);
	memcpy(grown + b->len, s.data, s.len);
	free(b->data);
	*b = (struct blob){ grown, b->len + s.len };
	return CVM_OK;
}

void
blob_clear(struct blob *b)
{
	if (b == NULL)
		return;
	free(b->data);
	*b = (struct blob){ NULL, 0 };
}

int
span_equal(struct span a, struct span b)
{
	return a.len == b.len &&
	    (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}

int
span_is_filled(struct span s, uint8_t v)
{
	uint8_t diff = 0;

	for (size_t i = 0; i < s.len; i++)
		diff |= (uint8_t)(s.data[i] ^ v);
	return s.len > 0 && diff == 0;
}

char *
hex_encode(struct span s, char *out, size_t outlen)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	if (outlen == 0)
		return out;
	for (size_t i = 0; i < s.len && at + 2 < outlen; i++) {
		out[at++] = digits[s.data[i] >> 4];
		out[at++] = digits[s.data[i] & 0x0f];
	}
	out[at] = '\0';
	return out;
}

/* The value of each digit, and one more: 0 is for what is no digit. */
static const uint8_t hex_values[256] = { ['0'] = 1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	9,
	10,
	['A'] = 11,
	12,
	13,
	14,
	15,
	16,
	['a'] = 11,
	12,
	13,
	14,
	15,
	16 };

int
hex_decode(const char *hex, uint8_t *out, size_t len)
{
	const uint8_t *in = (const uint8_t *)hex;
	size_t i;

	/* The first pass decides, so that a refusal leaves out alone. */
	for (i = 0; i / 2 < len; i++)
		if (hex_values[in[i]] == 0)
			return CVM_E_PARSE;
	if (in[i] != '\0')
		return CVM_E_PARSE;
	for (i = 0; i < len; i++)
		out[i] = (uint8_t)((hex_values[in[2 * i]] - 1) << 4 |
		    (hex_values[in[2 * i + 1]] - 1));
	return CVM_OK;
}

int
hex_decode_blob(const char *hex, size_t max, struct blob *ret)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	size_t digits = strlen(hex);
	int err;

	if (digits % 2 != 0 || digits / 2 > max)
		return CVM_E_PARSE;
	bytes = malloc(digits > 0 ? digits / 2 : 1);
	if (bytes == NULL)
		return CVM_E_NOMEM;
	err = hex_decode(hex, bytes, digits / 2);
	if (err != CVM_OK)
		return err;
	*ret = (struct blob){ TAKE_PTR(bytes), digits / 2 };
	return CVM_OK;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int
base64_encode(struct span s, char **ret_text)
{
	char *text;
	size_t at = 0;

	if (s.len > SIZE_MAX / 2)
		return CVM_E_NOMEM;
	text = malloc((s.len + 2) / 3 * 4 + 1);
	if (text == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < s.len; i += 3) {
		size_t n = s.len - i < 3 ? s.len - i : 3;
		uint32_t v = (uint32_t)s.data[i] << 16;

		if (n > 1)
			v |= (uint32_t)s.data[i + 1] << 8;
		if (n > 2)
			v |= s.data[i + 2];
		text[at++] = base64_digits[v >> 18];
		text[at++] = base64_digits[v >> 12 & 63];
		text[at++] = n > 1 ? base64_digits[v >> 6 & 63] : '=';
		text[at++] = n > 2 ? base64_digits[v & 63] : '=';
	}
	text[at] = '\0';
	*ret_text = text;
	return CVM_OK;
}

/* The value of each digit, and one more: 0 is for what is no digit. */
static const uint8_t base64_values[256] = { ['+'] = 63,
	['/'] = 64,
	['0'] = 53,
	54,
	55,
	56,
	57,
	58,
	59,
	60,
	61,
	62,
	['A'] = 1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	9,
	10,
	11,
	12,
	13,
	14,
	15,
	16,
	17,
	18,
	19,
	20,
	21,
	22,
	23,
	24,
	25,
	26,
	['a'] = 27,
	28,
	29,
	30,
	31,
	32,
	33,
	34,
	35,
	36,
	37,
	38,
	39,
	40,
	41,
	42,
	43,
	44,
	45,
	46,
	47,
	48,
	49,
	50,
	51,
	52 };

/* -1 for what is no digit. */
static int
base64_value(uint8_t c)
{
	return base64_values[c] - 1;
}

/*
 * One group of four characters to 1..3 bytes; 0 when it is malformed. The bits
 * under the padding must be zero, so that every byte string has one encoding.
 */
static size_t
base64_group(const uint8_t *in, bool last, uint8_t out[static 3])
{
	size_t n = 3;
	uint32_t v;
	int d[4];

	if (last && in[3] == '=')
		n = in[2] == '=' ? 1 : 2;
	d[0] = base64_value(in[0]);
	d[1] = base64_value(in[1]);
	d[2] = n > 1 ? base64_value(in[2]) : 0;
	d[3] = n > 2 ? base64_value(in[3]) : 0;
	if ((d[0] | d[1] | d[2] | d[3]) < 0)
		return 0;
	v = (uint32_t)(d[0] << 18 | d[1] << 12 | d[2] << 6 | d[3]);
	out[0] = (uint8_t)(v >> 16);
	out[1] = (uint8_t)(v >> 8);
	out[2] = (uint8_t)v;
	if ((n < 3 && out[2] != 0) || (n < 2 && out[1] != 0))
		return 0;
	return n;
}

int
base64_decode(const char *text, size_t max, struct blob *ret)
{
	const uint8_t *in = (const uint8_t *)text;
	_cleanup_(freep) uint8_t *bytes = NULL;
	size_t len = strlen(text), at = 0;

	if (len % 4 != 0 || len / 4 > max / 3 + 1)
		return CVM_E_PARSE;
	bytes = malloc(len / 4 * 3 + 1);
	if (bytes == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < len; i += 4) {
		uint8_t group[3];
		size_t n = base64_group(in + i, i + 4 == len, group);

		if (n == 0)
			return CVM_E_PARSE;
		memcpy(bytes + at, group, n);
		at += n;
	}
	if (at > max)
		return CVM_E_PARSE;
	*ret = (struct blob){ TAKE_PTR(bytes), at };
	return CVM_OK;
}

/* Four digits to three bytes; false where one of them is none. */
static bool
base64_quad(const uint8_t *in, uint8_t out[static 3])
{
	int a = base64_value(in[0]), b = base64_value(in[1]);
	int c = base64_value(in[2]), d = base64_value(in[3]);

	if ((a | b | c | d) < 0)
		return false;
	out[0] = (uint8_t)(a << 2 | b >> 4);
	out[1] = (uint8_t)(b << 4 | c >> 2);
	out[2] = (uint8_t)(c << 6 | d);
	return true;
}

static bool
is_space(uint8_t c)
{
	return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

int
base64_decode_lines(struct span s, struct blob *ret)
{
	_cleanup_(freep) uint8_t *bytes = malloc(s.len / 4 * 3 + 3);
	uint8_t group[4];
	size_t at = 0, n = 0, last = 3;

	if (bytes == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < s.len;) {
		/* Lines hold whole groups, if nothing is odd about them. */
		if (n == 0 && last == 3 && s.len - i >= 4 &&
		    base64_quad(&s.data[i], &bytes[at])) {
			at += 3;
			i += 4;
			continue;
		}
		group[n] = s.data[i++];
		if (is_space(group[n]) || ++n < 4)
			continue;
		n = 0;
		if (last < 3 ||
		    (last = base64_group(group, true, &bytes[at])) == 0)
			return CVM_E_PARSE;
		at += last;
	}
	if (n != 0 || at == 0)
		return CVM_E_PARSE;
	*ret = (struct blob){ TAKE_PTR(bytes), at };
	return CVM_OK;
}
