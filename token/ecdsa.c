/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"
#include "token/ecdsa.h"

#define DER_SEQUENCE 0x30
#define DER_INTEGER 0x02

/* Lengths below 256: one byte, or 0x81 and one byte. */
static size_t
read_len(struct reader *r)
{
	uint8_t first = read_u8(r);

	return first == 0x81 ? read_u8(r) : first;
}

static void
read_integer(struct reader *r, uint8_t *out, size_t len)
{
	struct span s;

	if (read_u8(r) != DER_INTEGER) {
		r->failed = true;
		return;
	}
	s = read_span(r, read_len(r));
	while (s.len > len && s.data[0] == 0)
		s = span(&s.data[1], s.len - 1);
	if (s.len > len) {
		r->failed = true;
		return;
	}
	memset(out, 0, len - s.len);
	if (s.len > 0)
		memcpy(&out[len - s.len], s.data, s.len);
}

int
ecdsa_from_der(struct span der, uint8_t *out, size_t len)
{
	struct reader r = reader_init(der);

	if (read_u8(&r) != DER_SEQUENCE || read_len(&r) != reader_left(&r))
		return CVM_E_CRYPTO;
	read_integer(&r, out, len / 2);
	read_integer(&r, &out[len / 2], len / 2);
	return reader_end(&r) == CVM_OK ? CVM_OK : CVM_E_CRYPTO;
}

/* Without leading zeros, and with one where the number looked negative. */
static size_t
put_integer(struct span s, uint8_t *out)
{
	size_t pad;

	while (s.len > 1 && s.data[0] == 0)
		s = span(&s.data[1], s.len - 1);
	pad = (s.data[0] & 0x80) != 0 ? 1 : 0;
	out[0] = DER_INTEGER;
	out[1] = (uint8_t)(s.len + pad);
	out[2] = 0;
	memcpy(&out[2 + pad], s.data, s.len);
	return 2 + pad + s.len;
}

size_t
ecdsa_to_der(struct span raw, uint8_t out[static ECDSA_DER_MAX])
{
	size_t half = raw.len / 2, n = 0, head;
	uint8_t body[ECDSA_DER_MAX];

	n += put_integer(span(raw.data, half), &body[n]);
	n += put_integer(span(&raw.data[half], half), &body[n]);
	out[0] = DER_SEQUENCE;
	head = n < 0x80 ? 2 : 3;
	out[1] = n < 0x80 ? (uint8_t)n : 0x81;
	out[head - 1] = (uint8_t)n;
	memcpy(&out[head], body, n);
	return head + n;
}
