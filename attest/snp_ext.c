/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/snp_parts.h"

#define AMD_OID "1.3.6.1.4.1.3704.1."

/* An SVN: a non-negative INTEGER of 8 bits. */
static int
ext_svn(const struct cert *vek, const char *oid, uint8_t *ret)
{
	struct span ext;
	struct reader in;
	uint8_t v;
	int r = cert_extension(vek, oid, &ext);

	if (r != CVM_OK)
		return r;
	in = reader_init(ext);
	v = (uint8_t)der_uint(&in, DER_INTEGER, UINT8_MAX);
	if (reader_end(&in) != CVM_OK)
		return CVM_E_PARSE;
	*ret = v;
	return CVM_OK;
}

/* What no component uses must be absent or zero: it would be part of the
 * TCB_VERSION that the key was derived from. */
static int
ext_svn_unused(const struct cert *vek, const char *oid)
{
	uint8_t v = 0;
	int r = ext_svn(vek, oid, &v);

	if (r == CVM_E_NOT_FOUND)
		return CVM_OK;
	return r != CVM_OK ? r : v == 0 ? CVM_OK : CVM_E_PARSE;
}

/*
 * structVersion says which components the certificate has (57230, section 3.1):
 * 0 is Milan's and Genoa's, 1 Turin's. A later line may have a later one.
 */
static int
ext_version(const struct cert *vek, enum snp_product p)
{
	uint8_t v = 0;
	int r = ext_svn(vek, AMD_OID "1", &v);
	bool fits = !snp_is_since_turin(p) ? v == 0 :
	    p == SNP_TURIN		   ? v == 1 :
					     v >= 1;

	return r != CVM_OK ? r : fits ? CVM_OK : CVM_E_PARSE;
}

int
snp_ext_tcb(const struct cert *vek, enum snp_product p, struct snp_tcb *ret)
{
	static const char *const unused[] = { AMD_OID "3.4", AMD_OID "3.5",
		AMD_OID "3.6", AMD_OID "3.7" };
	struct snp_tcb t = { 0 };
	int r;

	if ((r = ext_version(vek, p)) != CVM_OK ||
	    (r = ext_svn(vek, AMD_OID "3.1", &t.bootloader)) != CVM_OK ||
	    (r = ext_svn(vek, AMD_OID "3.2", &t.tee)) != CVM_OK ||
	    (r = ext_svn(vek, AMD_OID "3.3", &t.snp)) != CVM_OK ||
	    (r = ext_svn(vek, AMD_OID "3.8", &t.microcode)) != CVM_OK)
		return r;
	r = snp_is_since_turin(p) ? ext_svn(vek, AMD_OID "3.9", &t.fmc) :
				    ext_svn_unused(vek, AMD_OID "3.9");
	for (size_t i = 0; r == CVM_OK && i < NELEMS(unused); i++)
		r = ext_svn_unused(vek, unused[i]);
	if (r == CVM_OK)
		*ret = t;
	return r;
}

/* Certificates of 2022 to 2025 have the bytes raw, newer encoders wrap them
 * in an OCTET STRING: 64 bytes, 8 since Turin. */
int
snp_ext_hwid(const struct cert *vek, struct span *ret)
{
	struct span ext, v;
	struct reader in;
	int r = cert_extension(vek, AMD_OID "4", &ext);

	if (r != CVM_OK)
		return r;
	if (ext.len == 64 || ext.len == 8) {
		*ret = ext;
		return CVM_OK;
	}
	in = reader_init(ext);
	v = der_value(&in, DER_OCTETS);
	if (reader_end(&in) != CVM_OK || (v.len != 64 && v.len != 8))
		return CVM_E_PARSE;
	*ret = v;
	return CVM_OK;
}

static int
ext_text(const struct cert *vek, const char *oid, struct span *ret)
{
	struct span ext, v;
	struct reader in;
	uint8_t tag;
	int r = cert_extension(vek, oid, &ext);

	if (r != CVM_OK)
		return r;
	in = reader_init(ext);
	v = der_any(&in, &tag);
	if (reader_end(&in) != CVM_OK || v.len == 0 ||
	    (tag != DER_IA5 && tag != DER_UTF8))
		return CVM_E_PARSE;
	for (size_t i = 0; i < v.len; i++)
		if (v.data[i] < 0x20 || v.data[i] > 0x7e)
			return CVM_E_PARSE;
	*ret = v;
	return CVM_OK;
}

int
snp_ext_csp_id(const struct cert *vek, struct span *ret)
{
	return ext_text(vek, AMD_OID "5", ret);
}

int
snp_ext_product_name(const struct cert *vek, struct span *ret)
{
	return ext_text(vek, AMD_OID "2", ret);
}
