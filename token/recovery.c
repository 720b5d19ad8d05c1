/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"
#include "base/tuple.h"
#include "token/seal_priv.h"

/*
 * The text of a code: its 256 bits and 19 bits of checksum make 55 digits of
 * base32 (RFC 4648 section 6), in 11 groups of five. The checksum finds slips
 * of the pen; a wrong code is found by the seals.
 */
#define DIGITS 55
#define GROUP 5
#define SUM_BITS 19
#define PACKED_LEN 35 /* 55 * 5 bits = 34.4 bytes */
#define PARAMS_VERSION 1

/* By definition: a code must open after the policy changed, too. */
static const uint8_t no_policy[POLICY_DIGEST_LEN];

int
seal_make_recovery(const struct seal_context *c, enum seal_purpose purpose,
    const struct secret *code, const struct secret *key, struct store_seal *ret,
    struct why *reterr_why)
{
	_cleanup_(store_seal_clear) struct store_seal row = { 0 };
	_cleanup_(blob_clear) struct blob params = { 0 };
	const uint8_t version = PARAMS_VERSION;
	int err;

	if (secret_len(code) != RECOVERY_CODE_LEN)
		return why_setf(reterr_why, CVM_E_INVAL, "recovery code",
		    "length", "32 bytes", "%zu", secret_len(code));
	err = blob_set(&params, span(&version, sizeof(version)));
	if (err == CVM_OK)
		err = seal_row(purpose, SEAL_RECOVERY, "recovery", &params,
		    &row);
	if (err == CVM_OK)
		err = seal_close(c, no_policy, code, span(NULL, 0), key, &row);
	if (err != CVM_OK)
		return err;
	*ret = row;
	row = (struct store_seal){ 0 };
	return CVM_OK;
}

int
seal_open_recovery(const struct seal_context *c, const struct store_seal *s,
    const struct secret *code, struct secret **ret_key, struct why *reterr_why)
{
	char where[SEAL_WHERE_MAX];
	int err;

	if (secret_len(code) != RECOVERY_CODE_LEN)
		return why_setf(reterr_why, CVM_E_INVAL, "recovery code",
		    "length", "32 bytes", "%zu", secret_len(code));
	if (s->kind != SEAL_RECOVERY || s->params.len != 1 ||
	    s->params.data[0] != PARAMS_VERSION)
		return why_set(reterr_why, CVM_E_CORRUPT, seal_where(s, where),
		    "params", "parameters of a recovery seal", "others");
	err = seal_unbox(c, no_policy, code, s, ret_key, reterr_why);
	if (err != CVM_E_CORRUPT)
		return err;
	/* The box cannot tell a wrong code from a changed row. */
	return why_set(reterr_why, CVM_E_SEALED, seal_where(s, where),
	    "recovery code", "the code of this token",
	    "another one, or the seal was changed");
}

/* 1 when low <= v <= high, without a branch. */
static unsigned
within(unsigned v, unsigned low, unsigned high)
{
	return ((v - low) | (high - v)) >> 31 ^ 1;
}

/* A digit's character, without a table that a cache could betray. */
static char
digit_char(unsigned v)
{
	return (char)(within(v, 0, 25) * ('A' + v) +
	    within(v, 26, 31) * ('2' + v - 26));
}

/* The digit of c; *bad becomes 1 when there is none. */
static unsigned
char_digit(unsigned c, unsigned *bad)
{
	unsigned upper = within(c, 'A', 'Z'), lower = within(c, 'a', 'z');
	unsigned figure = within(c, '2', '7');

	*bad |= (upper | lower | figure) ^ 1;
	return upper * (c - 'A') + lower * (c - 'a') + figure * (c - '2' + 26);
}

/* The first 19 bits of the hash, over the text's last 24 bits. */
static int
checksum(struct span code, uint8_t out[static 3])
{
	_cleanup_(secret_freep) struct secret *sum = NULL;
	static const char label[] = "cvm-pkcs11/recovery/1";
	int err;

	err = hkdf_sha256(code, span(NULL, 0), span(label, sizeof(label) - 1),
	    3, &sum);
	if (err != CVM_OK)
		return err;
	memcpy(out, secret_span(sum).data, 3);
	out[2] &= (uint8_t)(0xff << (24 - SUM_BITS));
	return CVM_OK;
}

int
recovery_encode(const struct secret *code, char *out, size_t len)
{
	uint8_t packed[PACKED_LEN + 1] = { 0 };
	size_t n = 0;
	int err;

	if (secret_len(code) != RECOVERY_CODE_LEN || len < RECOVERY_TEXT_MAX)
		return CVM_E_INVAL;
	memcpy(packed, secret_span(code).data, RECOVERY_CODE_LEN);
	err = checksum(secret_span(code), packed + RECOVERY_CODE_LEN);
	for (size_t i = 0; err == CVM_OK && i < DIGITS; i++) {
		size_t bit = i * 5;
		unsigned pair = (unsigned)packed[bit / 8] << 8 |
		    packed[bit / 8 + 1];

		if (i > 0 && i % GROUP == 0)
			out[n++] = '-';
		out[n++] = digit_char(pair >> (11 - bit % 8) & 31);
	}
	out[n] = '\0';
	secret_wipe(packed, sizeof(packed));
	return err;
}

/* Packs the digits of text; how many there were, and whether any was bad. */
static size_t
pack(const char *text, uint8_t packed[static PACKED_LEN + 1], unsigned *bad)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		size_t bit = n * 5;
		unsigned pair;

		if (*text == '-' || *text == ' ' || *text == '\t' ||
		    *text == '\n' || *text == '\r')
			continue;
		if (n++ >= DIGITS)
			continue;
		pair = char_digit((unsigned char)*text, bad) << (11 - bit % 8);
		packed[bit / 8] |= (uint8_t)(pair >> 8);
		packed[bit / 8 + 1] |= (uint8_t)pair;
	}
	return n;
}

int
recovery_decode(const char *text, struct secret **ret, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *packed = NULL;
	uint8_t sum[3];
	unsigned bad = 0;
	size_t n;
	int err;

	packed = secret_new(PACKED_LEN + 1);
	if (packed == NULL)
		return CVM_E_NOMEM;
	n = pack(text, secret_data(packed), &bad);
	if (n != DIGITS)
		return why_setf(reterr_why, CVM_E_PARSE, "recovery code",
		    "length", "55 letters and digits in 11 groups", "%zu", n);
	if (bad != 0)
		return why_set(reterr_why, CVM_E_PARSE, "recovery code",
		    "characters", "letters A-Z and digits 2-7", "others");
	err = checksum(span(secret_span(packed).data, RECOVERY_CODE_LEN), sum);
	if (err != CVM_OK)
		return err;
	if (!span_equal(span(sum, sizeof(sum)),
		span(secret_span(packed).data + RECOVERY_CODE_LEN,
		    sizeof(sum))))
		return why_set(reterr_why, CVM_E_PARSE, "recovery code",
		    "checksum", "the one that belongs to these characters",
		    "another: a slip of the pen");
	secret_shrink(packed, RECOVERY_CODE_LEN);
	*ret = TAKE_PTR(packed);
	return CVM_OK;
}
