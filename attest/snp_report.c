/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/snp.h"
#include "base/reader.h"

/* A reserved range: must be zero, and the first one that is not is named. */
static void
reserved(struct reader *r, size_t n, const char *name, const char **fault)
{
	struct span s = read_span(r, n);

	if (*fault == NULL && s.len == n && !span_is_filled(s, 0))
		*fault = name;
}

static void
read_cpuid(struct reader *in, struct snp_report *r, const char **fault)
{
	if (r->version < SNP_VERSION_CPUID) {
		reserved(in, 24, "bytes 0x188-0x19F", fault);
		return;
	}
	r->family = read_u8(in);
	r->model = read_u8(in);
	r->stepping = read_u8(in);
	reserved(in, 21, "bytes 0x18B-0x19F", fault);
}

static void
read_firmware(struct reader *in, struct snp_firmware *fw, const char *name,
    const char **fault)
{
	fw->build = read_u8(in);
	fw->minor = read_u8(in);
	fw->major = read_u8(in);
	reserved(in, 1, name, fault);
}

static void
read_mitigations(struct reader *in, struct snp_report *r, const char **fault)
{
	if (r->version < SNP_VERSION_MIT) {
		reserved(in, 16, "bytes 0x1F8-0x207", fault);
		return;
	}
	r->launch_mit = read_le64(in);
	r->current_mit = read_le64(in);
}

/* 56860 table 23, from VERSION to the end of the signed bytes. */
static void
read_signed(struct reader *in, struct snp_report *r, const char **fault)
{
	r->version = read_le32(in);
	r->guest_svn = read_le32(in);
	r->policy = read_le64(in);
	r->family_id = read_span(in, 16);
	r->image_id = read_span(in, 16);
	r->vmpl = read_le32(in);
	r->signature_algo = read_le32(in);
	r->current_tcb = read_span(in, SNP_TCB_LEN);
	r->platform_info = read_le64(in);
	r->signer_info = read_le32(in);
	reserved(in, 4, "bytes 0x04C-0x04F", fault);
	r->report_data = read_span(in, REPORT_DATA_LEN);
	r->measurement = read_span(in, SHA384_LEN);
	r->host_data = read_span(in, 32);
	r->id_key_digest = read_span(in, SHA384_LEN);
	r->author_key_digest = read_span(in, SHA384_LEN);
	r->report_id = read_span(in, 32);
	r->report_id_ma = read_span(in, 32);
	r->reported_tcb = read_span(in, SNP_TCB_LEN);
	read_cpuid(in, r, fault);
	r->chip_id = read_span(in, 64);
	r->committed_tcb = read_span(in, SNP_TCB_LEN);
	read_firmware(in, &r->current, "byte 0x1EB", fault);
	read_firmware(in, &r->committed, "byte 0x1EF", fault);
	r->launch_tcb = read_span(in, SNP_TCB_LEN);
	read_mitigations(in, r, fault);
	reserved(in, 152, "bytes 0x208-0x29F", fault);
}

/* 56860 table 139: R and S in 72 bytes each, of which P-384 uses 48. */
static void
read_signature(struct reader *in, struct snp_report *r, const char **fault)
{
	r->r = read_span(in, SNP_SIG_PART_LEN);
	reserved(in, 24, "padding of R", fault);
	r->s = read_span(in, SNP_SIG_PART_LEN);
	reserved(in, 24, "padding of S", fault);
	reserved(in, 368, "bytes 0x330-0x49F", fault);
}

int
snp_report_read(struct span bytes, struct snp_report *ret,
    const char **ret_reserved, struct why *reterr_why)
{
	struct snp_report r = { .bytes = bytes };
	struct reader in = reader_init(bytes);
	const char *fault = NULL;

	if (bytes.len != SNP_REPORT_LEN)
		return why_setf(reterr_why, CVM_E_PARSE, "SNP report", "length",
		    "1184 bytes", "%zu bytes", bytes.len);
	read_signed(&in, &r, &fault);
	read_signature(&in, &r, &fault);
	if (r.version < SNP_VERSION_MIN || r.version > SNP_VERSION_MAX)
		return why_setf(reterr_why, CVM_E_UNSUPPORTED, "SNP report",
		    "VERSION", "2 to 5", "%u", r.version);
	if (reader_end(&in) != CVM_OK)
		return why_set(reterr_why, CVM_E_INTERNAL, "SNP report",
		    "length", "1184 bytes", "a parser that disagrees");
	*ret = r;
	*ret_reserved = fault;
	return CVM_OK;
}

int
snp_report_parse(struct span bytes, struct snp_report *ret,
    struct why *reterr_why)
{
	struct snp_report r;
	const char *fault = NULL;
	int err = snp_report_read(bytes, &r, &fault, reterr_why);

	if (err != CVM_OK)
		return err;
	if (fault != NULL)
		return why_set(reterr_why, CVM_E_PARSE, "SNP report", fault,
		    "zero", "another value");
	*ret = r;
	return CVM_OK;
}

enum snp_signing_key
snp_report_key(const struct snp_report *r)
{
	return (enum snp_signing_key)(r->signer_info >> 2 & 7);
}

/* Family and model ranges of the lines, as in AMD's KDS (57230) names. */
static const struct {
	uint8_t family, first, last;
	enum snp_product product;
} lines[] = {
	{ 0x19, 0x00, 0x0f, SNP_MILAN },
	{ 0x19, 0x10, 0x1f, SNP_GENOA },
	{ 0x19, 0xa0, 0xaf, SNP_GENOA }, /* Bergamo, Siena */
	{ 0x1a, 0x00, 0x1f, SNP_TURIN },
	{ 0x1a, 0x50, 0x5f, SNP_VENICE },
	{ 0x1a, 0x90, 0xaf, SNP_VENICE },
	{ 0x1a, 0xc0, 0xcf, SNP_VENICE },
};

enum snp_product
snp_report_product(const struct snp_report *r)
{
	for (size_t i = 0; i < NELEMS(lines); i++)
		if (r->version >= SNP_VERSION_CPUID &&
		    r->family == lines[i].family &&
		    r->model >= lines[i].first && r->model <= lines[i].last)
			return lines[i].product;
	return (enum snp_product)0;
}

static const struct {
	enum snp_product product;
	const char *name, *folder;
} products[] = {
	{ SNP_MILAN, "Milan", "milan" },
	{ SNP_GENOA, "Genoa", "genoa" },
	{ SNP_TURIN, "Turin", "turin" },
	{ SNP_VENICE, "Venice", "venice" },
};

const char *
snp_product_name(enum snp_product p)
{
	for (size_t i = 0; i < NELEMS(products); i++)
		if (products[i].product == p)
			return products[i].name;
	return "unknown";
}

const char *
snp_product_folder(enum snp_product p)
{
	for (size_t i = 0; i < NELEMS(products); i++)
		if (products[i].product == p)
			return products[i].folder;
	return "unknown";
}

bool
snp_is_since_turin(enum snp_product p)
{
	return p == SNP_TURIN || p == SNP_VENICE;
}

const char *
snp_vek_name(const struct snp_report *r, size_t i,
    char buf[static SNP_VEK_NAME_MAX])
{
	char chip[2 * 64 + 1], tcb[2 * SNP_TCB_LEN + 1];
	struct span id = r->chip_id;
	bool vlek = snp_report_key(r) == SNP_KEY_VLEK;

	if (i > 1 || (vlek && i > 0))
		return NULL;
	if (i == 1)
		id.len = 8;
	(void)snprintf(buf, SNP_VEK_NAME_MAX, "amd/vek/%s-%s.der",
	    vlek ? "vlek" : hex_encode(id, chip, sizeof(chip)),
	    hex_encode(r->reported_tcb, tcb, sizeof(tcb)));
	return buf;
}
