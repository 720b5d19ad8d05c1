/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#include "attest/quote.h"
#include "base/public_key.h"

/* What a TPM signs, and the signature: TPM 2.0 Library, Part 2. */

#define QUOTE "TPMS_ATTEST"
#define SIGNATURE "TPMT_SIGNATURE"
#define EXTRA_DATA_MAX 66
#define RSA_BYTES_MAX 512
#define ECC_BYTES_MAX 66

static const struct {
	uint16_t id;
	enum hash_alg alg;
} hashes[] = {
	{ TPM2_ALG_SHA1, HASH_SHA1 },
	{ TPM2_ALG_SHA256, HASH_SHA256 },
	{ TPM2_ALG_SHA384, HASH_SHA384 },
	{ TPM2_ALG_SHA512, HASH_SHA512 },
};

uint16_t
tpm_hash_id(enum hash_alg alg)
{
	for (size_t i = 0; i < NELEMS(hashes); i++)
		if (hashes[i].alg == alg)
			return hashes[i].id;
	return TPM2_ALG_NULL;
}

int
tpm_hash_alg(uint16_t id, enum hash_alg *ret)
{
	for (size_t i = 0; i < NELEMS(hashes); i++) {
		if (hashes[i].id != id)
			continue;
		*ret = hashes[i].alg;
		return CVM_OK;
	}
	return CVM_E_UNSUPPORTED;
}

/* A TPM2B of at most max bytes. */
static struct span
read_sized(struct reader *r, size_t max)
{
	size_t len = read_be16(r);

	if (len > max)
		r->failed = true;
	return read_span(r, len);
}

int
pcr_selection_read(struct reader *r, uint16_t *ret_bank, uint32_t *ret_mask)
{
	uint32_t count = read_be32(r), mask = 0;
	uint16_t bank = TPM2_ALG_NULL;
	size_t size = 0;

	if (count > 1)
		r->failed = true;
	if (count == 1) {
		bank = read_be16(r);
		size = read_u8(r);
	}
	/* sizeofSelect: PC Client has 3; what is beyond PCR 23 must be 0. */
	if (size > 4)
		r->failed = true;
	for (size_t i = 0; i < size && !r->failed; i++)
		mask |= (uint32_t)read_u8(r) << (8 * i);
	if (r->failed || mask >> POLICY_PCR_MAX != 0)
		return CVM_E_PARSE;
	if (ret_bank != NULL)
		*ret_bank = bank;
	*ret_mask = mask;
	return CVM_OK;
}

int
quote_parse(struct span attest, struct tpm_quote *ret, struct why *reterr_why)
{
	struct reader r = reader_init(attest);
	uint32_t magic = read_be32(&r);
	uint16_t type = read_be16(&r);
	struct tpm_quote q = { 0 };
	uint8_t safe;

	if (magic != TPM2_GENERATED_VALUE)
		return why_setf(reterr_why, CVM_E_PARSE, QUOTE, "magic",
		    "ff544347", "%08x", magic);
	if (type != TPM2_ST_ATTEST_QUOTE)
		return why_setf(reterr_why, CVM_E_PARSE, QUOTE, "type",
		    "8018 (quote)", "%04x", type);
	q.qualified_signer = read_sized(&r, TPM_NAME_MAX);
	q.extra_data = read_sized(&r, EXTRA_DATA_MAX);
	q.clock.clock = read_be64(&r);
	q.clock.reset_count = read_be32(&r);
	q.clock.restart_count = read_be32(&r);
	safe = read_u8(&r);
	q.clock.safe = safe == 1;
	q.firmware_version = read_be64(&r);
	if (safe > 1)
		return why_setf(reterr_why, CVM_E_PARSE, QUOTE,
		    "clockInfo.safe", "0 or 1", "%u", safe);
	if (pcr_selection_read(&r, &q.bank_alg, &q.pcr_mask) != CVM_OK)
		return why_set(reterr_why, CVM_E_PARSE, QUOTE, "pcrSelect",
		    "one bank, PCRs 0 to 23", "something else");
	q.pcr_digest = read_sized(&r, HASH_LEN_MAX);
	if (reader_end(&r) != CVM_OK)
		return why_setf(reterr_why, CVM_E_PARSE, QUOTE, "length",
		    "that of its fields", "%zu bytes", attest.len);
	*ret = q;
	return CVM_OK;
}

/* TPMT_SYM_DEF_OBJECT: nothing follows TPM_ALG_NULL. */
static void
skip_symmetric(struct reader *r)
{
	if (read_be16(r) != TPM2_ALG_NULL)
		read_skip(r, 4); /* keyBits, mode */
}

/* TPMT_RSA_SCHEME, TPMT_ECC_SCHEME and TPMT_KDF_SCHEME look alike. */
static void
read_scheme(struct reader *r, uint16_t *scheme, uint16_t *hash)
{
	*scheme = read_be16(r);
	*hash = TPM2_ALG_NULL;
	if (*scheme == TPM2_ALG_NULL || *scheme == TPM2_ALG_RSAES)
		return;
	*hash = read_be16(r);
	if (*scheme == TPM2_ALG_ECDAA)
		read_skip(r, 2);
}

static void
read_rsa(struct reader *r, struct tpm_public *p)
{
	skip_symmetric(r);
	read_scheme(r, &p->scheme, &p->scheme_hash);
	p->key_bits = read_be16(r);
	p->exponent = read_be32(r);
	if (p->exponent == 0)
		p->exponent = 65537;
	p->modulus = read_sized(r, RSA_BYTES_MAX);
	if (p->modulus.len * 8 != p->key_bits || p->key_bits < 1024 ||
	    !(p->modulus.data[0] & 0x80))
		r->failed = true;
}

static const struct {
	uint16_t id;
	enum ec_curve curve;
} curves[] = {
	{ TPM2_ECC_NIST_P256, EC_P256 },
	{ TPM2_ECC_NIST_P384, EC_P384 },
	{ TPM2_ECC_NIST_P521, EC_P521 },
};

static size_t
curve_index(uint16_t id)
{
	size_t i = 0;

	while (i < NELEMS(curves) && curves[i].id != id)
		i++;
	return i;
}

static void
read_ecc(struct reader *r, struct tpm_public *p)
{
	uint16_t kdf, kdf_hash;
	size_t i;

	skip_symmetric(r);
	read_scheme(r, &p->scheme, &p->scheme_hash);
	p->curve = read_be16(r);
	read_scheme(r, &kdf, &kdf_hash);
	i = curve_index(p->curve);
	if (i == NELEMS(curves)) {
		r->failed = true;
		return;
	}
	p->x = read_sized(r, ec_curve_len(curves[i].curve));
	p->y = read_sized(r, ec_curve_len(curves[i].curve));
	if (p->x.len == 0 || p->y.len == 0)
		r->failed = true;
}

int
tpm_public_parse(struct span tpmt, struct tpm_public *ret,
    struct why *reterr_why)
{
	struct reader r = reader_init(tpmt);
	struct tpm_public p = { 0 };

	p.type = read_be16(&r);
	p.name_alg = read_be16(&r);
	p.attributes = read_be32(&r);
	p.auth_policy = read_sized(&r, HASH_LEN_MAX);
	if (r.failed || (p.type != TPM2_ALG_RSA && p.type != TPM2_ALG_ECC))
		return why_setf(reterr_why, CVM_E_PARSE, "TPMT_PUBLIC", "type",
		    "0001 (RSA) or 0023 (ECC)", "%04x", p.type);
	if (p.type == TPM2_ALG_RSA)
		read_rsa(&r, &p);
	else
		read_ecc(&r, &p);
	if (reader_end(&r) != CVM_OK)
		return why_setf(reterr_why, CVM_E_PARSE, "TPMT_PUBLIC",
		    "parameters",
		    p.type == TPM2_ALG_RSA ? "an RSA key of 1024 to 4096 bits" :
					     "a key on P-256, P-384 or P-521",
		    "%zu malformed bytes", tpmt.len);
	*ret = p;
	return CVM_OK;
}

/* Big-endian s into the last bytes of out. */
static void
pad_left(struct span s, uint8_t *out, size_t len)
{
	memset(out, 0, len);
	if (s.len > 0 && s.len <= len)
		memcpy(&out[len - s.len], s.data, s.len);
}

static int
ecc_key(const struct tpm_public *p, EVP_PKEY **ret)
{
	uint8_t point[1 + 2 * ECC_BYTES_MAX] = { 4 };
	size_t i = curve_index(p->curve), len;
	int r;

	if (i == NELEMS(curves))
		return CVM_E_UNSUPPORTED;
	len = ec_curve_len(curves[i].curve);
	pad_left(p->x, &point[1], len);
	pad_left(p->y, &point[1 + len], len);
	r = public_key_ec(curves[i].curve, span(point, 1 + 2 * len), ret);
	return r == CVM_E_DENIED ? CVM_E_PARSE : r;
}

static int
rsa_key(const struct tpm_public *p, EVP_PKEY **ret)
{
	uint8_t e[] = { (uint8_t)(p->exponent >> 24),
		(uint8_t)(p->exponent >> 16), (uint8_t)(p->exponent >> 8),
		(uint8_t)p->exponent };

	return public_key_rsa(p->modulus, span(e, sizeof(e)), ret);
}

int
tpm_public_key(const struct tpm_public *p, EVP_PKEY **ret)
{
	return p->type == TPM2_ALG_RSA ? rsa_key(p, ret) : ecc_key(p, ret);
}

int
tpm_name(struct span tpmt, uint8_t *out, size_t *ret_len)
{
	struct reader r = reader_init(tpmt);
	enum hash_alg alg;
	uint16_t id;
	int err;

	(void)read_be16(&r);
	id = read_be16(&r);
	if (r.failed || tpm_hash_alg(id, &alg) != CVM_OK)
		return CVM_E_UNSUPPORTED;
	err = hash(alg, tpmt, out + 2);
	if (err != CVM_OK)
		return err;
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	*ret_len = 2 + hash_len(alg);
	return CVM_OK;
}

int
tpm_qualified_name(uint32_t hierarchy, struct span name,
    uint8_t out[static TPM_NAME_SHA256_LEN])
{
	uint8_t handle[4];

	for (size_t i = 0; i < sizeof(handle); i++)
		handle[i] = (uint8_t)(hierarchy >> (24 - 8 * i));
	const struct span parts[] = { span(handle, sizeof(handle)), name };

	out[0] = TPM2_ALG_SHA256 >> 8;
	out[1] = TPM2_ALG_SHA256 & 0xff;
	return hash_parts(HASH_SHA256, parts, NELEMS(parts), out + 2);
}

int
pcr_digest(const struct pcr_values *v, uint32_t mask, enum hash_alg alg,
    uint8_t *out)
{
	struct span parts[POLICY_PCR_MAX];
	size_t n = 0;

	if (mask >> POLICY_PCR_MAX != 0 || (v->mask & mask) != mask)
		return CVM_E_INVAL;
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++)
		if (mask & UINT32_C(1) << i)
			parts[n++] = span(v->value[i], hash_len(v->bank));
	return hash_parts(alg, parts, n, out);
}

struct signature {
	uint16_t scheme;
	enum hash_alg hash;
	struct span rsa, r, s;
};

static bool
is_rsa_scheme(uint16_t scheme)
{
	return scheme == TPM2_ALG_RSASSA || scheme == TPM2_ALG_RSAPSS;
}

static int
signature_parse(struct span bytes, struct signature *ret, struct why *why)
{
	struct reader r = reader_init(bytes);
	struct signature s = { .scheme = read_be16(&r) };
	uint16_t id = read_be16(&r);

	if (is_rsa_scheme(s.scheme)) {
		s.rsa = read_sized(&r, RSA_BYTES_MAX);
	} else if (s.scheme == TPM2_ALG_ECDSA) {
		s.r = read_sized(&r, ECC_BYTES_MAX);
		s.s = read_sized(&r, ECC_BYTES_MAX);
	} else {
		return why_setf(why, CVM_E_PARSE, SIGNATURE, "sigAlg",
		    "0014 (RSASSA), 0016 (RSAPSS) or 0018 (ECDSA)", "%04x",
		    s.scheme);
	}
	if (tpm_hash_alg(id, &s.hash) != CVM_OK)
		return why_setf(why, CVM_E_PARSE, SIGNATURE, "hash",
		    "000b, 000c or 000d (SHA-2)", "%04x", id);
	if (reader_end(&r) != CVM_OK)
		return why_setf(why, CVM_E_PARSE, SIGNATURE, "length",
		    "that of its fields", "%zu bytes", bytes.len);
	*ret = s;
	return CVM_OK;
}

int
signature_hash(struct span sig, enum hash_alg *ret, struct why *reterr_why)
{
	struct signature s;
	int r = signature_parse(sig, &s, reterr_why);

	if (r == CVM_OK)
		*ret = s.hash;
	return r;
}

/* Which salt a TPM takes is its own affair (Part 1, appendix B.7). */
static int
verify_rsa(struct verifier *ak, const struct signature *s, struct span attest)
{
	return verifier_check(ak,
	    s->scheme == TPM2_ALG_RSAPSS ? SIG_PSS_ANY_SALT : SIG_RSA, s->hash,
	    attest, s->rsa);
}

static int
verify_ecdsa(struct verifier *ak, const struct tpm_public *pub,
    const struct signature *s, struct span attest)
{
	uint8_t rs[2 * ECC_BYTES_MAX], digest[HASH_LEN_MAX];
	size_t i = curve_index(pub->curve), len;
	int r;

	if (i == NELEMS(curves))
		return CVM_E_DENIED;
	len = ec_curve_len(curves[i].curve);
	if (s->r.len > len || s->s.len > len)
		return CVM_E_DENIED;
	pad_left(s->r, rs, len);
	pad_left(s->s, &rs[len], len);
	r = hash(s->hash, attest, digest);
	return r != CVM_OK ? r :
			     verifier_check_raw(ak, span(rs, 2 * len),
				 span(digest, hash_len(s->hash)));
}

int
quote_verify_signature(struct verifier *ak, const struct tpm_public *pub,
    struct span attest, struct span sig, enum hash_alg *ret_hash,
    struct why *reterr_why)
{
	struct signature s;
	int r;

	r = signature_parse(sig, &s, reterr_why);
	if (r != CVM_OK)
		return CVM_E_DENIED;
	if (s.hash == HASH_SHA1)
		return why_set(reterr_why, CVM_E_DENIED, SIGNATURE, "hash",
		    "SHA-256, SHA-384 or SHA-512", "SHA-1");
	if (is_rsa_scheme(s.scheme) != (pub->type == TPM2_ALG_RSA) ||
	    (pub->scheme != TPM2_ALG_NULL &&
		(pub->scheme != s.scheme ||
		    pub->scheme_hash != tpm_hash_id(s.hash))))
		return why_setf(reterr_why, CVM_E_DENIED, SIGNATURE, "scheme",
		    "that of the attestation key", "%04x with %s", s.scheme,
		    hash_name(s.hash));
	if (pub->type == TPM2_ALG_RSA)
		r = verify_rsa(ak, &s, attest);
	else
		r = verify_ecdsa(ak, pub, &s, attest);
	if (r != CVM_OK)
		return why_set(reterr_why, CVM_E_DENIED, SIGNATURE, "signature",
		    "one by the attestation key over the quote",
		    "one that does not verify");
	*ret_hash = s.hash;
	return CVM_OK;
}
