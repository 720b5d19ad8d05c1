/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/mech.h"
#include "token/prf.h"
#include "token/template.h"

/*
 * Derivation from secret keys: HKDF (RFC 5869, PKCS#11 section 6.62) and the
 * counter mode of SP 800-108 (PKCS#11 section 6.42).
 */

static int
refuse_len(struct why *why, int err, const char *expected)
{
	return template_refuse(why, err, CKA_VALUE_LEN, expected,
	    "another number");
}

/* The pseudo-random key: of extraction, or the base key itself. */
static int
hkdf_extract(const struct mech_params *params, struct span salt,
    struct span ikm, struct secret **ret)
{
	static const uint8_t zeros[PRF_LEN_MAX];
	_cleanup_(secret_freep) struct secret *prk = NULL;
	_cleanup_(prf_close) struct prf f = { 0 };
	int err;

	if (salt.len == 0)
		salt = span(zeros, digest_len(params->hash));
	err = prf_open(params->hash, salt, &f);
	if (err != CVM_OK)
		return err;
	prk = secret_new(f.len);
	if (prk == NULL)
		return CVM_E_NOMEM;
	err = prf_run(&f, &ikm, 1, secret_data(prk));
	if (err == CVM_OK)
		*ret = TAKE_PTR(prk);
	return err;
}

static int
hkdf_expand(const struct mech_params *params, struct span prk, size_t want,
    struct secret **ret)
{
	_cleanup_(prf_close) struct prf f = { 0 };
	_cleanup_(secret_freep) struct secret *out = NULL;
	size_t blocks;
	int err = prf_open(params->hash, prk, &f);

	if (err != CVM_OK)
		return err;
	blocks = (want + f.len - 1) / f.len;
	out = secret_new(blocks * f.len);
	if (out == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < blocks && err == CVM_OK; i++) {
		uint8_t n = (uint8_t)(i + 1);
		uint8_t *block = &secret_data(out)[i * f.len];
		const struct span parts[] = {
			i == 0 ? span("", 0) : span(block - f.len, f.len),
			blob_span(&params->aad),
			span(&n, 1),
		};

		err = prf_run(&f, parts, NELEMS(parts), block);
	}
	if (err != CVM_OK)
		return err;
	secret_shrink(out, want);
	*ret = TAKE_PTR(out);
	return CVM_OK;
}

int
derive_hkdf(struct token *t, const struct caller *c, struct object *base,
    const struct mech_params *params, size_t want, struct secret **ret,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *ikm = NULL;
	_cleanup_(secret_freep) struct secret *salt = NULL;
	_cleanup_(secret_freep) struct secret *prk = NULL;
	size_t len = digest_len(params->hash);
	size_t max = params->expand ? 255 * len : len;
	int err;

	if (want == 0 && params->expand)
		return refuse_len(reterr_why, CVM_E_TEMPLATE_INCOMPLETE,
		    "the length to expand to");
	if (want > max)
		return refuse_len(reterr_why, CVM_E_KEY_SIZE,
		    "at most what the hash gives (RFC 5869)");
	err = object_secret_value(t, base, c->permit, &ikm, reterr_why);
	if (err == CVM_OK && params->salt != NULL)
		err = object_secret_value(t, params->salt, c->permit, &salt,
		    reterr_why);
	if (err == CVM_OK && params->extract)
		err = hkdf_extract(params,
		    salt != NULL ? secret_span(salt) : blob_span(&params->iv),
		    secret_span(ikm), &prk);
	if (err != CVM_OK)
		return err;
	if (!params->extract)
		prk = TAKE_PTR(ikm);
	if (params->expand)
		return hkdf_expand(params, secret_span(prk), want, ret);
	if (want > 0)
		secret_shrink(prk, want);
	*ret = TAKE_PTR(prk);
	return CVM_OK;
}

/* A number in width bytes of the order that the parameter asks for. */
static void
put_number(const struct kdf_part *part, uint64_t v, uint8_t out[static 8])
{
	for (size_t i = 0; i < part->width; i++) {
		size_t at = part->little ? i : part->width - 1 - i;

		out[at] = (uint8_t)(v >> (8 * i));
	}
}

/* How much there is to derive. No two keys share a block (PKCS#11 section
 * 6.42.8). */
struct dkm {
	uint64_t keys; /* bytes */
	uint64_t blocks;
};

static size_t
blocks_of(size_t want, size_t len)
{
	return (want + len - 1) / len;
}

static struct dkm
measure(const struct mech_params *params, size_t want, size_t len)
{
	struct dkm d = { want, blocks_of(want, len) };

	for (size_t i = 0; i < params->n_more; i++) {
		d.keys += params->more[i].len;
		d.blocks += blocks_of(params->more[i].len, len);
	}
	return d;
}

static uint64_t
dkm_bits(const struct kdf_part *part, const struct dkm *d, size_t len)
{
	return 8 * (part->segments ? d->blocks * len : d->keys);
}

/* One block: the PRF over what the parameters line up. */
static int
counter_block(struct prf *f, const struct mech_params *params, uint64_t n,
    const struct dkm *d, uint8_t *out)
{
	uint8_t numbers[KDF_PARTS_MAX][8];
	struct span parts[KDF_PARTS_MAX];
	struct reader r = reader_init(blob_span(&params->aad));

	for (size_t i = 0; i < params->n_parts; i++) {
		const struct kdf_part *part = &params->parts[i];
		uint64_t v = n;

		if (part->type == CK_SP800_108_BYTE_ARRAY) {
			parts[i] = read_span(&r, part->len);
			continue;
		}
		if (part->type == CK_SP800_108_DKM_LENGTH)
			v = dkm_bits(part, d, f->len);
		put_number(part, v, numbers[i]);
		parts[i] = span(numbers[i], part->width);
	}
	if (reader_end(&r) != CVM_OK)
		return CVM_E_INTERNAL;
	return prf_run(f, parts, params->n_parts, out);
}

/* Whether each number fits its width: a counter that wraps would repeat. */
static bool
numbers_fit(const struct mech_params *params, const struct dkm *d, size_t len)
{
	for (size_t i = 0; i < params->n_parts; i++) {
		const struct kdf_part *part = &params->parts[i];
		uint64_t v = d->blocks;

		if (part->type == CK_SP800_108_BYTE_ARRAY)
			continue;
		if (part->type == CK_SP800_108_DKM_LENGTH)
			v = dkm_bits(part, d, len);
		if (part->width < 8 && v >> (8 * part->width) != 0)
			return false;
	}
	return true;
}

/* Each key begins with a block: what is left of the one before goes. */
static void
close_gaps(const struct mech_params *params, size_t want, size_t len,
    struct secret *out)
{
	uint8_t *data = secret_data(out);
	size_t at = want, from = blocks_of(want, len) * len;

	for (size_t i = 0; i < params->n_more; i++) {
		size_t n = params->more[i].len;

		memmove(&data[at], &data[from], n);
		at += n;
		from += blocks_of(n, len) * len;
	}
	secret_shrink(out, at);
}

int
derive_sp800_counter(struct token *t, const struct caller *c,
    struct object *base, const struct mech_params *params, size_t want,
    struct secret **ret, struct why *reterr_why)
{
	_cleanup_(prf_close) struct prf f = { 0 };
	_cleanup_(secret_freep) struct secret *key = NULL;
	_cleanup_(secret_freep) struct secret *out = NULL;
	struct dkm d;
	int err;

	if (want == 0)
		return refuse_len(reterr_why, CVM_E_TEMPLATE_INCOMPLETE,
		    "the length to derive");
	/* An AES key is for CMAC, and only such a one is. */
	if ((params->hash == DIGEST_NONE) != (base->key_type == CKK_AES))
		return why_set(reterr_why, CVM_E_KEY_TYPE,
		    "CKM_SP800_108_COUNTER_KDF", "key", "a key for the PRF",
		    "another type");
	err = object_secret_value(t, base, c->permit, &key, reterr_why);
	if (err == CVM_OK)
		err = prf_open(params->hash, secret_span(key), &f);
	if (err != CVM_OK)
		return err;
	d = measure(params, want, f.len);
	if (!numbers_fit(params, &d, f.len))
		return refuse_len(reterr_why, CVM_E_KEY_SIZE,
		    "what counter and length can tell");
	out = secret_new(d.blocks * f.len);
	if (out == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < d.blocks && err == CVM_OK; i++)
		err = counter_block(&f, params, i + 1, &d,
		    &secret_data(out)[i * f.len]);
	if (err != CVM_OK)
		return err;
	close_gaps(params, want, f.len, out);
	*ret = TAKE_PTR(out);
	return CVM_OK;
}
