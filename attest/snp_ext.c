/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/snp_parts.h"
#include "base/reader.h"

#define AMD_OID "1.3.6.1.4.1.3704.1."
#define TAG_INTEGER 0x02
#define TAG_OCTETS 0x04
#define TAG_UTF8 0x0c
#define TAG_IA5 0x16

/* The contents of a DER value of at most 255 bytes, minimal length form. */
static struct span
read_der(struct reader *in, uint8_t *ret_tag)
{
	size_t len;

	*ret_tag = read_u8(in);
	len = read_u8(in);
	if (len == 0x81) {
		len = read_u8(in);
		if (len < 0x80)
			in->failed = true;
	} else if (len >= 0x80) {
		in->failed = true;
	}
	return read_span(in, len);
}

/* An SVN: a non-negative INTEGER of 8 bits. */
static int
ext_svn(const X509 *vek, const char *oid, uint8_t *ret)
{
	struct span ext, v;
	struct reader in;
	uint8_t tag;
	int r = cert_extension(vek, oid, &ext);

	if (r != CVM_OK)
		return r;
	in = reader_init(ext);
	v = read_der(&in, &tag);
	if (reader_end(&in) != CVM_OK || tag != TAG_INTEGER)
		return CVM_E_PARSE;
	if (v.len == 1 && v.data[0] < 0x80)
		*ret = v.data[0];
	else if (v.len == 2 && v.data[0] == 0 && v.data[1] >= 0x80)
		*ret = v.data[1];
	else
		return CVM_E_PARSE;
	return CVM_OK;
}

/* What no component uses must be absent or zero: it would be part of the
 * TCB_VERSION that the key was derived from. */
static int
ext_svn_unused(const X509 *vek, const char *oid)
{
	uint8_t v = 0;
	int r = ext_svn(vek, oid, &v);

	if (r == CVM_E_NOT_FOUND)
		return CVM_OK;
	return r != CVM_OK ? r : v == 0 ? CVM_OK : CVM_E_PARSE;
}

int
snp_ext_tcb(const X509 *vek, enum snp_product p, struct snp_tcb *ret)
{
	static const char *const unused[] = { AMD_OID "3.4", AMD_OID "3.5",
		AMD_OID "3.6", AMD_OID "3.7" };
	struct snp_tcb t = { 0 };
	int r;

	if ((r = ext_svn(vek, AMD_OID "3.1", &t.bootloader)) != CVM_OK ||
	    (r = ext_svn(vek, AMD_OID "3.2", &t.tee)) != CVM_OK ||
	    (r = ext_svn(vek, AMD_OID "3.3", &t.snp)) != CVM_OK ||
	    (r = ext_svn(vek, AMD_OID "3.8", &t.microcode)) != CVM_OK)
		return r;
	r = p == SNP_TURIN ? ext_svn(vek, AMD_OID "3.9", &t.fmc) :
			     ext_svn_unused(vek, AMD_OID "3.9");
	for (size_t i = 0; r == CVM_OK && i < NELEMS(unused); i++)
		r = ext_svn_unused(vek, unused[i]);
	if (r == CVM_OK)
		*ret = t;
	return r;
}

/* Certificates of 2022 to 2025 have the bytes raw, newer encoders wrap them
 * in an OCTET STRING: 64 bytes, 8 on Turin. */
int
snp_ext_hwid(const X509 *vek, struct span *ret)
{
	struct span ext, v;
	struct reader in;
	uint8_t tag;
	int r = cert_extension(vek, AMD_OID "4", &ext);

	if (r != CVM_OK)
		return r;
	if (ext.len == 64 || ext.len == 8) {
		*ret = ext;
		return CVM_OK;
	}
	in = reader_init(ext);
	v = read_der(&in, &tag);
	if (reader_end(&in) != CVM_OK || tag != TAG_OCTETS ||
	    (v.len != 64 && v.len != 8))
		return CVM_E_PARSE;
	*ret = v;
	return CVM_OK;
}

static int
ext_text(const X509 *vek, const char *oid, struct span *ret)
{
	struct span ext, v;
	struct reader in;
	uint8_t tag;
	int r = cert_extension(vek, oid, &ext);

	if (r != CVM_OK)
		return r;
	in = reader_init(ext);
	v = read_der(&in, &tag);
	if (reader_end(&in) != CVM_OK || v.len == 0 ||
	    (tag != TAG_IA5 && tag != TAG_UTF8))
		return CVM_E_PARSE;
	for (size_t i = 0; i < v.len; i++)
		if (v.data[i] < 0x20 || v.data[i] > 0x7e)
			return CVM_E_PARSE;
	*ret = v;
	return CVM_OK;
}

int
snp_ext_csp_id(const X509 *vek, struct span *ret)
{
	return ext_text(vek, AMD_OID "5", ret);
}

int
snp_ext_product_name(const X509 *vek, struct span *ret)
{
	return ext_text(vek, AMD_OID "2", ret);
}
