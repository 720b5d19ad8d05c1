/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#include <cmocka.h>

#include "tests/unit/quote-maker.h"

struct quote_plan
quote_plan(uint32_t mask)
{
	static const uint8_t extra[32] = { 0xaa };

	return (struct quote_plan){ .magic = 0xff544347,
		.type = 0x8018,
		.hierarchy = 0x4000000b,
		.extra = { extra, sizeof(extra) },
		.clock = { .clock = 5000,
		    .reset_count = 3,
		    .restart_count = 1 },
		.safe = 1,
		.firmware = 0x2016051100162800,
		.bank = TPM2_ALG_SHA256,
		.mask = mask,
		.attributes = 0x00050072,
		.name_alg = TPM2_ALG_SHA256,
		.scheme = TPM2_ALG_ECDSA,
		.scheme_hash = TPM2_ALG_SHA256,
		.sig_scheme = TPM2_ALG_ECDSA,
		.sig_hash = TPM2_ALG_SHA256 };
}

/* One key of each kind for all tests: RSA keys take their time. */
EVP_PKEY *
quote_key(const struct quote_plan *p)
{
	static EVP_PKEY *keys[3];
	unsigned bits = p->rsa_bits != 0 ? p->rsa_bits : 2048;
	size_t i = !p->rsa ? 0 : bits == 2048 ? 1 : 2;

	if (keys[i] == NULL)
		keys[i] = p->rsa ? EVP_RSA_gen(bits) : EVP_EC_gen("P-256");
	assert_non_null(keys[i]);
	return keys[i];
}

static void
write_sized(struct writer *w, struct span s)
{
	write_be16(w, (uint16_t)s.len);
	write_bytes(w, s);
}

static void
write_rsa(struct writer *w, const struct quote_plan *p)
{
	uint8_t n[256];
	BIGNUM *bn = NULL;
	int len;

	assert_true(EVP_PKEY_get_bn_param(quote_key(p), "n", &bn));
	len = BN_bn2bin(bn, n);
	BN_free(bn);
	write_be16(w, (uint16_t)(len * 8));
	write_be32(w, 0);
	write_sized(w, span(n, (size_t)len));
}

static void
write_ecc(struct writer *w, const struct quote_plan *p)
{
	uint8_t point[65];
	size_t len;

	assert_true(EVP_PKEY_get_octet_string_param(quote_key(p), "pub", point,
	    sizeof(point), &len));
	assert_int_equal(len, sizeof(point));
	write_be16(w, TPM2_ECC_NIST_P256);
	write_be16(w, TPM2_ALG_NULL);
	write_sized(w, span(point + 1, 32));
	write_sized(w, span(point + 33, 32));
}

static void
make_public(const struct quote_plan *p, struct blob *ret)
{
	struct writer w = { 0 };

	write_be16(&w, p->rsa ? TPM2_ALG_RSA : TPM2_ALG_ECC);
	write_be16(&w, p->name_alg);
	write_be32(&w, p->attributes);
	write_be16(&w, 0);
	write_be16(&w, TPM2_ALG_NULL);
	write_be16(&w, p->scheme);
	if (p->scheme != TPM2_ALG_NULL)
		write_be16(&w, p->scheme_hash);
	if (p->rsa)
		write_rsa(&w, p);
	else
		write_ecc(&w, p);
	blob_clear(ret);
	assert_int_equal(writer_end(&w, ret), 0);
}

static void
write_signer(struct writer *w, const struct quote_plan *p, struct span public)
{
	uint8_t name[TPM_NAME_MAX], qn[TPM_NAME_SHA256_LEN] = { 0, 0x0b };
	size_t len = 0;

	if (p->hierarchy != 0 && tpm_name(public, name, &len) == CVM_OK)
		assert_int_equal(tpm_qualified_name(p->hierarchy,
				     span(name, len), qn),
		    0);
	write_sized(w, span(qn, sizeof(qn)));
}

static void
make_attest(const struct quote_plan *p, struct evidence *e)
{
	struct writer w = { 0 };
	uint8_t digest[HASH_LEN_MAX];
	enum hash_alg alg = HASH_SHA256;
	struct span d = p->digest;

	if (tpm_hash_alg(p->sig_hash, &alg) == CVM_OK && d.len == 0 &&
	    pcr_digest(&e->pcrs, p->mask & e->pcrs.mask, alg, digest) == CVM_OK)
		d = span(digest, hash_len(alg));
	write_be32(&w, p->magic);
	write_be16(&w, p->type);
	write_signer(&w, p, blob_span(&e->ak_public));
	write_sized(&w, p->extra);
	write_be64(&w, p->clock.clock);
	write_be32(&w, p->clock.reset_count);
	write_be32(&w, p->clock.restart_count);
	write_u8(&w, p->safe);
	write_be64(&w, p->firmware);
	write_be32(&w, 1);
	write_be16(&w, p->bank);
	write_u8(&w, 3);
	for (int i = 0; i < 3; i++)
		write_u8(&w, (uint8_t)(p->mask >> (8 * i)));
	write_sized(&w, d);
	blob_clear(&e->tpm_quote);
	assert_int_equal(writer_end(&w, &e->tpm_quote), 0);
}

static void
write_ecdsa(struct writer *w, const uint8_t *der, size_t len)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	uint8_t out[32];

	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32), 32);
	write_sized(w, span(out, 32));
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out, 32), 32);
	write_sized(w, span(out, 32));
	ECDSA_SIG_free(sig);
}

static void
make_signature(const struct quote_plan *p, struct evidence *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	enum hash_alg alg = HASH_SHA256;
	struct writer w = { 0 };
	uint8_t sig[512];
	size_t len = sizeof(sig);

	(void)!tpm_hash_alg(p->sig_hash, &alg);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, hash_name(alg), NULL,
			     NULL, quote_key(p), NULL),
	    1);
	if (p->sig_scheme == TPM2_ALG_RSAPSS)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx,
				     RSA_PKCS1_PSS_PADDING),
		    1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, e->tpm_quote.data,
			     e->tpm_quote.len),
	    1);
	EVP_MD_CTX_free(ctx);
	write_be16(&w, p->sig_scheme);
	write_be16(&w, p->sig_hash);
	if (p->rsa)
		write_sized(&w, span(sig, len));
	else
		write_ecdsa(&w, sig, len);
	blob_clear(&e->tpm_signature);
	assert_int_equal(writer_end(&w, &e->tpm_signature), 0);
}

void
quote_make(const struct quote_plan *p, struct evidence *e)
{
	make_public(p, &e->ak_public);
	make_attest(p, e);
	make_signature(p, e);
}

int
quote_check(EVP_PKEY *key, const struct tpm_public *pub, struct span attest,
    struct span sig, enum hash_alg *ret_hash, struct why *reterr_why)
{
	_cleanup_(verifier_freep) struct verifier *v = NULL;
	int r = verifier_new(key, &v);

	return r != CVM_OK ?
	    r :
	    quote_verify_signature(v, pub, attest, sig, ret_hash, reterr_why);
}
