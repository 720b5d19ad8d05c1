/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

/* Seventeen HMACs of a few bytes each time: EVP takes as long to begin one as
 * these functions below it for all. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/sha.h>
#include <string.h>

#include "token/rsa_unpad.h"

#define LENGTHS 128
#define PADDING_MIN 10 /* 0, 2 and eight bytes; the zero follows */

/* All ones where a is zero; where a < b. No branch, no table. */
static uint32_t
mask_zero(uint32_t a)
{
	return 0u - ((~a & (a - 1)) >> 31);
}

static uint32_t
mask_less(uint32_t a, uint32_t b)
{
	return 0u - ((a ^ ((a ^ b) | ((a - b) ^ b))) >> 31);
}

static uint32_t
choose(uint32_t mask, uint32_t a, uint32_t b)
{
	return (mask & a) | (~mask & b);
}

int
rsa_rejection_key(const EVP_PKEY *pkey, size_t k,
    uint8_t out[static SHA256_LEN])
{
	_cleanup_(secret_freep) struct secret *d = NULL;
	_cleanup_(secret_freep) struct secret *padded = secret_new(k);
	struct span s;
	int err = key_private_value(pkey, CKA_PRIVATE_EXPONENT, &d);

	if (err != CVM_OK)
		return err;
	s = secret_span(d);
	if (padded == NULL || s.len > k)
		return CVM_E_NOMEM;
	memcpy(&secret_data(padded)[k - s.len], s.data, s.len);
	return hash(HASH_SHA256, secret_span(padded), out);
}

/* HMAC-SHA256 (RFC 2104) with its key hashed. */
struct mac {
	SHA256_CTX inner, outer;
};

static int
mac_pad(SHA256_CTX *c, const uint8_t key[static SHA256_LEN], uint8_t pad)
{
	uint8_t block[SHA256_CBLOCK];
	int ok;

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < SHA256_LEN; i++)
		block[i] ^= key[i];
	ok = SHA256_Init(c) == 1 && SHA256_Update(c, block, sizeof(block)) == 1;
	secret_wipe(block, sizeof(block));
	return ok ? CVM_OK : CVM_E_CRYPTO;
}

static int
mac_key(struct mac *m, const uint8_t key[static SHA256_LEN])
{
	int err = mac_pad(&m->inner, key, 0x36);

	return err == CVM_OK ? mac_pad(&m->outer, key, 0x5c) : err;
}

static int
hmac(const struct mac *m, const struct span *parts, size_t n,
    uint8_t out[static SHA256_LEN])
{
	struct mac c = *m;
	int ok = 1;

	for (size_t i = 0; i < n && ok == 1; i++)
		ok = SHA256_Update(&c.inner, parts[i].data, parts[i].len);
	if (ok == 1)
		ok = SHA256_Final(out, &c.inner) == 1 &&
		    SHA256_Update(&c.outer, out, SHA256_LEN) == 1 &&
		    SHA256_Final(out, &c.outer) == 1;
	secret_wipe(&c, sizeof(c));
	return ok == 1 ? CVM_OK : CVM_E_CRYPTO;
}

/* HMAC(key, counter || label || bits) blocks. */
static int
expand(const struct mac *mac, const char *label, uint8_t *out, size_t len)
{
	uint8_t block[SHA256_LEN], counter[2], bits[2];
	struct span parts[] = { span(counter, 2), span(label, strlen(label)),
		span(bits, 2) };
	int err = CVM_OK;

	bits[0] = (uint8_t)(len * 8 >> 8);
	bits[1] = (uint8_t)(len * 8);
	for (size_t at = 0, i = 0; at < len && err == CVM_OK; i++) {
		size_t n = len - at < sizeof(block) ? len - at : sizeof(block);

		counter[0] = (uint8_t)(i >> 8);
		counter[1] = (uint8_t)i;
		err = hmac(mac, parts, NELEMS(parts), block);
		memcpy(&out[at], block, n);
		at += n;
	}
	secret_wipe(block, sizeof(block));
	return err;
}

/* The last candidate that is short enough, all looked at. */
static uint32_t
false_length(const uint8_t candidates[static 2 * LENGTHS], size_t k)
{
	uint32_t max = (uint32_t)k - PADDING_MIN, mask = max, len = 0;

	for (unsigned shift = 1; shift < 32; shift *= 2)
		mask |= mask >> shift;
	for (size_t i = 0; i < LENGTHS; i++) {
		uint32_t c = ((uint32_t)candidates[2 * i] << 8 |
				 candidates[2 * i + 1]) &
		    mask;

		len = choose(mask_less(c, max), c, len);
	}
	return len;
}

/* Where the message begins; *ret_good: whether the padding is right. */
static uint32_t
message_start(struct span em, uint32_t *ret_good)
{
	uint32_t good = mask_zero(em.data[0]) & mask_zero(em.data[1] ^ 2u);
	uint32_t found = 0, zero_at = 0;

	for (size_t i = 2; i < em.len; i++) {
		uint32_t is_zero = mask_zero(em.data[i]);

		zero_at = choose(~found & is_zero, (uint32_t)i, zero_at);
		found |= is_zero;
	}
	*ret_good = good & found & ~mask_less(zero_at, PADDING_MIN);
	return zero_at + 1;
}

static int
false_message(const uint8_t key[static SHA256_LEN], struct span ciphertext,
    uint8_t *out, size_t k, uint32_t *ret_len)
{
	uint8_t kdk[SHA256_LEN], candidates[2 * LENGTHS];
	struct mac mac;
	int err = mac_key(&mac, key);

	if (err == CVM_OK)
		err = hmac(&mac, &ciphertext, 1, kdk);
	if (err == CVM_OK)
		err = mac_key(&mac, kdk);
	if (err == CVM_OK)
		err = expand(&mac, "length", candidates, sizeof(candidates));
	if (err == CVM_OK)
		err = expand(&mac, "message", out, k);
	*ret_len = err == CVM_OK ? false_length(candidates, k) : 0;
	secret_wipe(&mac, sizeof(mac));
	secret_wipe(kdk, sizeof(kdk));
	secret_wipe(candidates, sizeof(candidates));
	return err;
}

int
rsa_unpad(const uint8_t key[static SHA256_LEN], struct span ciphertext,
    struct span em, uint8_t *out, size_t *ret_len)
{
	uint8_t other[RSA_BYTES_MAX];
	uint32_t k = (uint32_t)em.len, good, start, other_len = 0;
	int err;

	if (em.len > sizeof(other) || em.len <= PADDING_MIN + 1)
		return CVM_E_INVAL;
	err = false_message(key, ciphertext, other, em.len, &other_len);
	if (err != CVM_OK)
		return err;
	start = message_start(em, &good);
	start = choose(good, start, k - other_len);
	for (size_t i = 0; i < em.len; i++)
		other[i] = (uint8_t)choose(good, em.data[i], other[i]);
	/* From here on position and length are the message's, false or not. */
	*ret_len = k - start;
	memcpy(out, &other[start], *ret_len);
	secret_wipe(other, sizeof(other));
	return CVM_OK;
}
