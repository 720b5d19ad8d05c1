/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include <sys/uio.h>
#include <unistd.h>

#include "token/mech.h"

/* Parameters of derivations, and of keys out of passwords. */

static int
check_ecdh1_kdf(const CK_ECDH1_DERIVE_PARAMS *p, const struct mech *m,
    struct why *why)
{
	if (p->kdf == CKD_NULL)
		return p->ulSharedDataLen == 0 ?
		    CVM_OK :
		    param_refuse(why, m, "ulSharedDataLen", "0 with CKD_NULL",
			"%lu", p->ulSharedDataLen);
	if (digest_get(digest_by_kdf(p->kdf)) == NULL &&
	    digest_get(digest_by_sp800_kdf(p->kdf)) == NULL)
		return param_refuse(why, m, "kdf",
		    "CKD_NULL, or a hash's KDF of X9.63 or SP 800-56A", "0x%lx",
		    p->kdf);
	return CVM_OK;
}

int
parse_ecdh1(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_ECDH1_DERIVE_PARAMS p;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err == CVM_OK)
		err = check_ecdh1_kdf(&p, m, reterr_why);
	if (err != CVM_OK)
		return err;
	ret->kdf = p.kdf;
	err = param_bytes(m, "pSharedData", p.pSharedData, p.ulSharedDataLen,
	    PARAM_BYTES_MAX, &ret->aad, reterr_why);
	if (err == CVM_OK)
		err = param_bytes(m, "pPublicData", p.pPublicData,
		    p.ulPublicDataLen, PARAM_BYTES_MAX, &ret->iv, reterr_why);
	if (err != CVM_OK)
		return err;
	write_be64(w, p.kdf);
	write_field(w, blob_span(&ret->aad));
	write_field(w, blob_span(&ret->iv));
	return CVM_OK;
}

static int
read_salt(const CK_HKDF_PARAMS *p, const struct mech *m,
    struct mech_params *ret, struct why *why)
{
	switch (p->ulSaltType) {
	case CKF_HKDF_SALT_NULL:
		return CVM_OK;
	case CKF_HKDF_SALT_DATA:
		return param_bytes(m, "pSalt", p->pSalt, p->ulSaltLen,
		    PARAM_BYTES_MAX, &ret->iv, why);
	case CKF_HKDF_SALT_KEY:
		ret->salt_key = p->hSaltKey;
		return CVM_OK;
	default:
		/* Without extraction there is no salt, of whatever type. */
		return p->bExtract == CK_FALSE ?
		    CVM_OK :
		    param_refuse(why, m, "ulSaltType",
			"CKF_HKDF_SALT_NULL, _DATA or _KEY", "0x%lx",
			p->ulSaltType);
	}
}

int
parse_hkdf(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_HKDF_PARAMS p;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	if (p.bExtract > CK_TRUE || p.bExpand > CK_TRUE ||
	    (p.bExtract == CK_FALSE && p.bExpand == CK_FALSE))
		return param_refuse(reterr_why, m, "bExtract, bExpand",
		    "at least one of them", "%u, %u", p.bExtract, p.bExpand);
	ret->hash = digest_by_mech(p.prfHashMechanism);
	if (digest_get(ret->hash) == NULL)
		return param_refuse(reterr_why, m, "prfHashMechanism",
		    "a known hash", "0x%lx", p.prfHashMechanism);
	ret->extract = p.bExtract == CK_TRUE;
	ret->expand = p.bExpand == CK_TRUE;
	ret->salt_type = ret->extract ? p.ulSaltType : CKF_HKDF_SALT_NULL;
	err = read_salt(&p, m, ret, reterr_why);
	if (err == CVM_OK && ret->expand)
		err = param_bytes(m, "pInfo", p.pInfo, p.ulInfoLen,
		    PARAM_BYTES_MAX, &ret->aad, reterr_why);
	if (err != CVM_OK)
		return err;
	write_u8(w, p.bExtract);
	write_u8(w, p.bExpand);
	write_be64(w, p.prfHashMechanism);
	write_be64(w, ret->salt_type);
	write_field(w, blob_span(&ret->iv));
	write_be64(w, ret->salt_key);
	write_field(w, blob_span(&ret->aad));
	return CVM_OK;
}

static int
read_width(CK_ULONG bits, CK_BBOOL little, const struct mech *m,
    struct kdf_part *ret, struct why *why)
{
	if (bits == 0 || bits > 64 || bits % 8 != 0 || little > CK_TRUE)
		return param_refuse(why, m, "ulWidthInBits",
		    "8, 16, ... or 64 bits", "%lu", bits);
	ret->width = (uint8_t)(bits / 8);
	ret->little = little == CK_TRUE;
	return CVM_OK;
}

static int
read_counter(const CK_PRF_DATA_PARAM *in, const struct mech *m,
    struct kdf_part *ret, struct why *why)
{
	CK_SP800_108_COUNTER_FORMAT f;

	if (in->pValue == NULL || in->ulValueLen != sizeof(f))
		return param_refuse(why, m, "pDataParams",
		    "a CK_SP800_108_COUNTER_FORMAT", "%s%lu bytes",
		    in->pValue == NULL ? "NULL, " : "", in->ulValueLen);
	memcpy(&f, in->pValue, sizeof(f));
	return read_width(f.ulWidthInBits, f.bLittleEndian, m, ret, why);
}

static int
read_length(const CK_PRF_DATA_PARAM *in, const struct mech *m,
    struct kdf_part *ret, struct why *why)
{
	CK_SP800_108_DKM_LENGTH_FORMAT f;

	if (in->pValue == NULL || in->ulValueLen != sizeof(f))
		return param_refuse(why, m, "pDataParams",
		    "a CK_SP800_108_DKM_LENGTH_FORMAT", "%s%lu bytes",
		    in->pValue == NULL ? "NULL, " : "", in->ulValueLen);
	memcpy(&f, in->pValue, sizeof(f));
	if (f.dkmLengthMethod != CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS &&
	    f.dkmLengthMethod != CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS)
		return param_refuse(why, m, "dkmLengthMethod",
		    "of the keys or of the segments", "0x%lx",
		    f.dkmLengthMethod);
	ret->segments = f.dkmLengthMethod ==
	    CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS;
	return read_width(f.ulWidthInBits, f.bLittleEndian, m, ret, why);
}

static int
read_array(const CK_PRF_DATA_PARAM *in, const struct mech *m,
    struct kdf_part *ret, struct blob *bytes, struct why *why)
{
	if ((in->pValue == NULL && in->ulValueLen > 0) ||
	    in->ulValueLen > PARAM_BYTES_MAX - bytes->len)
		return param_refuse(why, m, "pDataParams", "4096 bytes at most",
		    "%s%lu bytes", in->pValue == NULL ? "NULL, " : "",
		    in->ulValueLen);
	ret->len = in->ulValueLen;
	return in->ulValueLen == 0 ?
	    CVM_OK :
	    blob_append(bytes, span(in->pValue, in->ulValueLen));
}

/* Exactly one counter, at most one length, any byte arrays (table 207). */
static int
read_part(const CK_PRF_DATA_PARAM *in, const struct mech *m,
    struct mech_params *p, struct why *why)
{
	struct kdf_part *part = &p->parts[p->n_parts];

	for (size_t i = 0; i < p->n_parts; i++)
		if (in->type != CK_SP800_108_BYTE_ARRAY &&
		    p->parts[i].type == in->type)
			return param_refuse(why, m, "pDataParams",
			    "each number once", "0x%lx twice", in->type);
	p->n_parts++;
	part->type = in->type;
	switch (in->type) {
	case CK_SP800_108_ITERATION_VARIABLE:
		return read_counter(in, m, part, why);
	case CK_SP800_108_DKM_LENGTH:
		return read_length(in, m, part, why);
	case CK_SP800_108_BYTE_ARRAY:
		return read_array(in, m, part, &p->aad, why);
	default:
		return param_refuse(why, m, "pDataParams",
		    "what counter mode has", "type 0x%lx", in->type);
	}
}

static bool
has_counter(const struct mech_params *p)
{
	for (size_t i = 0; i < p->n_parts; i++)
		if (p->parts[i].type == CK_SP800_108_ITERATION_VARIABLE)
			return true;
	return false;
}

static int
read_parts(const CK_SP800_108_KDF_PARAMS *p, const struct mech *m,
    struct mech_params *ret, struct why *why)
{
	int err = CVM_OK;

	if (p->ulNumberOfDataParams == 0 ||
	    p->ulNumberOfDataParams > KDF_PARTS_MAX || p->pDataParams == NULL)
		return param_refuse(why, m, "ulNumberOfDataParams",
		    "1 to 16 of them", "%lu", p->ulNumberOfDataParams);
	ret->parts = calloc(KDF_PARTS_MAX, sizeof(*ret->parts));
	if (ret->parts == NULL)
		return CVM_E_NOMEM;
	for (CK_ULONG i = 0; i < p->ulNumberOfDataParams && err == CVM_OK;
	     i++) {
		CK_PRF_DATA_PARAM part;

		memcpy(&part, &p->pDataParams[i], sizeof(part));
		err = read_part(&part, m, ret, why);
	}
	if (err == CVM_OK && !has_counter(ret))
		return param_refuse(why, m, "pDataParams",
		    "an iteration variable", "none");
	return err;
}

static int
read_more(const CK_SP800_108_KDF_PARAMS *p, const struct mech *m,
    struct mech_params *ret, struct why *why)
{
	CK_ULONG n = p->ulAdditionalDerivedKeys;

	if (n == 0)
		return CVM_OK;
	if (n > KDF_MORE_MAX || p->pAdditionalDerivedKeys == NULL)
		return param_refuse(why, m, "ulAdditionalDerivedKeys",
		    "at most 16, with an array of them", "%lu%s", n,
		    p->pAdditionalDerivedKeys == NULL ? ", NULL" : "");
	ret->more = calloc(n, sizeof(*ret->more));
	if (ret->more == NULL)
		return CVM_E_NOMEM;
	ret->n_more = n;
	for (CK_ULONG i = 0; i < n; i++) {
		CK_DERIVED_KEY k;

		memcpy(&k, &p->pAdditionalDerivedKeys[i], sizeof(k));
		if (k.phKey == NULL ||
		    (k.pTemplate == NULL && k.ulAttributeCount > 0))
			return param_refuse(why, m, "pAdditionalDerivedKeys",
			    "a template, and where its handle goes",
			    "number %lu with NULL", i);
		ret->more[i] = (struct kdf_key){ .templ = k.pTemplate,
			.n = k.ulAttributeCount,
			.ret = k.phKey };
	}
	return CVM_OK;
}

int
parse_sp800_counter(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_SP800_108_KDF_PARAMS p;
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	ret->hash = digest_by_hmac(p.prfType);
	if (p.prfType != CKM_AES_CMAC && digest_get(ret->hash) == NULL)
		return param_refuse(reterr_why, m, "prfType",
		    "an HMAC, or CKM_AES_CMAC", "0x%lx", p.prfType);
	err = read_parts(&p, m, ret, reterr_why);
	if (err == CVM_OK)
		err = read_more(&p, m, ret, reterr_why);
	if (err != CVM_OK)
		return err;
	write_be64(w, p.prfType);
	for (size_t i = 0; i < ret->n_parts; i++) {
		write_be64(w, ret->parts[i].type);
		write_be64(w, ret->parts[i].len);
		write_u8(w, ret->parts[i].width);
		write_u8(w, ret->parts[i].little);
		write_u8(w, ret->parts[i].segments);
	}
	write_field(w, blob_span(&ret->aad));
	/* What came without them is encoded as ever. */
	if (ret->n_more > 0)
		write_be64(w, ret->n_more);
	return CVM_OK;
}

/*
 * The old CK_PKCS5_PBKD2_PARAMS, which NSS gives, has the same size and a
 * pointer to the password's length in the place of the length. No length is
 * as large as the lowest address that Linux maps; whether there is anything at
 * that address only the kernel can say without a fault. Of the password only
 * its hash is in the encoding.
 */
#define LOWEST_ADDRESS 65536

static CK_ULONG
password_len(const CK_PKCS5_PBKD2_PARAMS2 *p)
{
	CK_ULONG len = p->ulPasswordLen;
	struct iovec to = { &len, sizeof(len) };
	struct iovec from = { (void *)(uintptr_t)p->ulPasswordLen,
		sizeof(len) };

	if (p->ulPasswordLen >= LOWEST_ADDRESS &&
	    process_vm_readv(getpid(), &to, 1, &from, 1, 0) !=
		(ssize_t)sizeof(len))
		return p->ulPasswordLen;
	return len;
}

int
parse_pbkdf2(const CK_MECHANISM *in, const struct mech *m,
    struct mech_params *ret, struct writer *w, struct why *reterr_why)
{
	CK_PKCS5_PBKD2_PARAMS2 p;
	uint8_t digest[SHA256_LEN];
	int err = param_struct(in, m, &p, sizeof(p), reterr_why);

	if (err != CVM_OK)
		return err;
	p.ulPasswordLen = password_len(&p);
	ret->hash = digest_by_pbkdf2(p.prf);
	if (digest_get(ret->hash) == NULL || p.ulPrfDataLen != 0)
		return param_refuse(reterr_why, m, "prf",
		    "an HMAC of a known hash", "0x%lx", p.prf);
	if (p.saltSource != CKZ_SALT_SPECIFIED)
		return param_refuse(reterr_why, m, "saltSource",
		    "CKZ_SALT_SPECIFIED", "0x%lx", p.saltSource);
	if (p.iterations == 0 || p.iterations > PBKDF2_ITERATIONS_MAX)
		return param_refuse(reterr_why, m, "iterations",
		    "1 to 10000000", "%lu", p.iterations);
	if (p.ulPasswordLen > PARAM_BYTES_MAX ||
	    (p.pPassword == NULL && p.ulPasswordLen > 0))
		return param_refuse(reterr_why, m, "pPassword",
		    "at most 4096 bytes", "%s%lu bytes",
		    p.pPassword == NULL ? "NULL, " : "", p.ulPasswordLen);
	err = param_bytes(m, "pSaltSourceData", p.pSaltSourceData,
	    p.ulSaltSourceDataLen, PARAM_BYTES_MAX, &ret->iv, reterr_why);
	if (err == CVM_OK)
		err = hash(HASH_SHA256, span(p.pPassword, p.ulPasswordLen),
		    digest);
	if (err != CVM_OK)
		return err;
	ret->iterations = p.iterations;
	ret->password = secret_copy(span(p.pPassword, p.ulPasswordLen));
	if (ret->password == NULL)
		return CVM_E_NOMEM;
	write_be64(w, p.prf);
	write_be64(w, p.iterations);
	write_field(w, blob_span(&ret->iv));
	write_bytes(w, span(digest, sizeof(digest)));
	return CVM_OK;
}
