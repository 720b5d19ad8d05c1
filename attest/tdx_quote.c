/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/tdx_parts.h"
#include "base/reader.h"

/* Intel TDX DCAP Quoting Library API, A.3: header of 48 bytes. */
#define KEY_TYPE_ECDSA_P256 2
#define TEE_TYPE_TDX 0x81
#define TDREPORT_LEN 1024
#define CERT_DATA_PCK_CHAIN 5
#define CERT_DATA_QE_REPORT 6
#define QE_REPORT_LEN 384

static const uint8_t qe_vendor_intel[16] = { 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c,
	0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07 };

static const char where[] = "TDX quote";

static int
too_short(const char *field, struct why *why)
{
	return why_set(why, CVM_E_PARSE, where, field, "a complete quote",
	    "the end of the bytes");
}

static int
part_version(struct reader *r, struct tdx_quote *q, struct why *why)
{
	if (r->len > EVIDENCE_TEE_MAX)
		return why_setf(why, CVM_E_PARSE, where, "length",
		    "at most 65536 bytes", "%zu bytes", r->len);
	q->version = read_le16(r);
	if (r->failed)
		return too_short("version", why);
	/* A TDREPORT carries a MAC that only its own machine can check. */
	if (r->len == TDREPORT_LEN && (q->version & 0xff) == TEE_TYPE_TDX)
		return why_set(why, CVM_E_UNSUPPORTED, where, "version",
		    "4 or 5", "a TDREPORT, which is not a quote");
	if (q->version != 4 && q->version != 5)
		return why_setf(why, CVM_E_UNSUPPORTED, where, "version",
		    "4 or 5", "%u", q->version);
	return CVM_OK;
}

static int
part_key_type(struct reader *r, struct tdx_quote *q, struct why *why)
{
	uint16_t type = read_le16(r);

	(void)q;
	if (r->failed)
		return too_short("attestation key type", why);
	if (type != KEY_TYPE_ECDSA_P256)
		return why_setf(why, CVM_E_UNSUPPORTED, where,
		    "attestation key type", "2 (ECDSA P-256)", "%u", type);
	return CVM_OK;
}

static int
part_tee_type(struct reader *r, struct tdx_quote *q, struct why *why)
{
	uint32_t type = read_le32(r);

	(void)q;
	if (r->failed)
		return too_short("TEE type", why);
	if (type != TEE_TYPE_TDX)
		return why_setf(why, CVM_E_UNSUPPORTED, where, "TEE type",
		    "0x81 (TDX)", "0x%" PRIx32 "%s", type,
		    type == 0 ? " (SGX)" : "");
	return CVM_OK;
}

static int
part_vendor(struct reader *r, struct tdx_quote *q, struct why *why)
{
	char hex[2 * sizeof(qe_vendor_intel) + 1];
	struct span vendor;

	/* QE and PCE SVN of version 3; reserved since. */
	read_skip(r, 4);
	vendor = read_span(r, sizeof(qe_vendor_intel));
	q->user_data = read_span(r, 20);
	if (r->failed)
		return too_short("QE vendor id", why);
	if (!span_equal(vendor, span(qe_vendor_intel, sizeof(qe_vendor_intel))))
		return why_set(why, CVM_E_UNSUPPORTED, where, "QE vendor id",
		    "939a7233f79c4ca9940a0db3957f0607 (Intel)",
		    hex_encode(vendor, hex, sizeof(hex)));
	return CVM_OK;
}

static const struct {
	enum tdx_body_type type;
	uint32_t size;
} bodies[] = {
	{ TDX_BODY_TD10, TDX_TD10_LEN },
	{ TDX_BODY_TD15, TDX_TD15_LEN },
	{ TDX_BODY_TD15EX, TDX_TD15EX_LEN },
};

/* A.4.2: version 5 says the type and the size of its body, and both agree. */
static int
read_descriptor(struct reader *r, struct tdx_quote *q, struct why *why)
{
	uint16_t type = read_le16(r);
	uint32_t size = read_le32(r);

	if (r->failed)
		return too_short("body descriptor", why);
	for (size_t i = 0; i < NELEMS(bodies); i++)
		if (bodies[i].type == type && bodies[i].size == size) {
			q->body_type = bodies[i].type;
			return CVM_OK;
		}
	return why_setf(why, CVM_E_UNSUPPORTED, where, "body descriptor",
	    "type 2 of 584 bytes, 3 of 648 or 4 of 885",
	    "type %u of %" PRIu32 " bytes", type, size);
}

/* What TD 1.5 adds, and its extended form (sgx_report2_body_v1_5_ex_t), which
 * modules make that report which TD of which platform it began as. */
static void
read_td15(struct reader *r, struct tdx_quote *q)
{
	q->tee_tcb_svn2 = read_span(r, TCB_COMPONENTS);
	q->mrservicetd = read_span(r, SHA384_LEN);
	if (q->body_type != TDX_BODY_TD15EX)
		return;
	q->vmid = read_span(r, 1);
	q->td_id = read_span(r, 32);
	q->devinfo = read_span(r, SHA384_LEN);
	q->init_servicetd = read_span(r, SHA384_LEN);
	read_skip(r, 8 + 16 + TCB_COMPONENTS + 12); /* INIT_SERVTD_ATTR, CPUSVN,
						       TEE_TCB_SVN, FMSPC */
	q->curr_servicetd = read_span(r, SHA384_LEN);
	read_skip(r, 8); /* CURR_SERVTD_ATTR */
}

static int
part_body(struct reader *r, struct tdx_quote *q, struct why *why)
{
	int ret;

	q->body_type = TDX_BODY_TD10;
	if (q->version == 5) {
		ret = read_descriptor(r, q, why);
		if (ret < 0)
			return ret;
	}
	q->tee_tcb_svn = read_span(r, TCB_COMPONENTS);
	q->mrseam = read_span(r, SHA384_LEN);
	q->mrsignerseam = read_span(r, SHA384_LEN);
	q->seam_attributes = read_span(r, 8);
	q->td_attributes = read_le64(r);
	q->xfam = read_le64(r);
	q->mrtd = read_span(r, SHA384_LEN);
	q->mrconfigid = read_span(r, SHA384_LEN);
	q->mrowner = read_span(r, SHA384_LEN);
	q->mrownerconfig = read_span(r, SHA384_LEN);
	for (size_t i = 0; i < TDX_RTMRS; i++)
		q->rtmr[i] = read_span(r, SHA384_LEN);
	q->report_data = read_span(r, REPORT_DATA_LEN);
	if (q->body_type != TDX_BODY_TD10)
		read_td15(r, q);
	if (r->failed)
		return too_short("TD report", why);
	/* The descriptor of version 5 is part of what is signed. */
	q->signed_bytes = span(r->data, r->pos);
	return CVM_OK;
}

/* SGX REPORTBODY (Intel SDM vol. 3D, table 38-21). */
static void
read_qe_report(struct reader *r, struct tdx_qe_report *qe)
{
	struct span s = qe->bytes = read_span(r, QE_REPORT_LEN);
	struct reader b = reader_init(s);
	struct span reserved[4];

	read_skip(&b, 16); /* CPUSVN: the PCK certificate has the one to use */
	qe->miscselect = read_le32(&b);
	reserved[0] = read_span(&b, 12);
	read_skip(&b, 16); /* ISVEXTPRODID */
	qe->attributes = read_span(&b, 16);
	qe->mrenclave = read_span(&b, SHA256_LEN);
	reserved[1] = read_span(&b, 32);
	qe->mrsigner = read_span(&b, SHA256_LEN);
	reserved[2] = read_span(&b, 32);
	read_skip(&b, 64); /* CONFIGID */
	qe->isvprodid = read_le16(&b);
	qe->isvsvn = read_le16(&b);
	read_skip(&b, 2); /* CONFIGSVN */
	reserved[3] = read_span(&b, 42);
	read_skip(&b, 16); /* ISVFAMILYID */
	qe->report_data = read_span(&b, 64);

	qe->reserved_zero = true;
	for (size_t i = 0; i < NELEMS(reserved); i++)
		qe->reserved_zero &= span_is_filled(reserved[i], 0) != 0;
}

/* The header of certification data: its type, and a size that is the rest. */
static int
read_cert_header(struct reader *r, uint16_t expected, const char *field,
    const char *expected_text, struct why *why)
{
	uint16_t type = read_le16(r);
	uint32_t size = read_le32(r);

	if (r->failed)
		return too_short(field, why);
	if (type != expected)
		return why_setf(why, CVM_E_UNSUPPORTED, where, field,
		    expected_text, "type %u", type);
	if (size != reader_left(r))
		return why_setf(why, CVM_E_PARSE, where, field,
		    "a size that fills what encloses it",
		    "%" PRIu32 " of %zu bytes", size, reader_left(r));
	return CVM_OK;
}

static int
part_signature_data(struct reader *r, struct tdx_quote *q, struct why *why)
{
	struct span data = read_span(r, read_le32(r));
	struct reader d = reader_init(data);
	int ret;

	if (r->failed)
		return too_short("signature data", why);
	q->signature = read_span(&d, 64);
	q->attestation_key = read_span(&d, 64);
	ret = read_cert_header(&d, CERT_DATA_QE_REPORT, "certification data",
	    "type 6 (QE report)", why);
	if (ret < 0)
		return ret;
	read_qe_report(&d, &q->qe);
	q->qe_signature = read_span(&d, 64);
	q->qe_auth_data = read_span(&d, read_le16(&d));
	ret = read_cert_header(&d, CERT_DATA_PCK_CHAIN, "QE certification data",
	    "type 5 (PCK certificate chain)", why);
	if (ret < 0)
		return ret;
	q->pck_chain = read_span(&d, reader_left(&d));
	if (reader_end(&d) < 0)
		return too_short("signature data", why);
	q->trailing = read_span(r, reader_left(r));
	return CVM_OK;
}

/* A quote from its first byte to its last; each part is a check. */
static const struct {
	enum check_id id;
	int (*read)(struct reader *r, struct tdx_quote *q, struct why *why);
} parts[] = {
	{ CHECK_TDX_01, part_version },
	{ CHECK_TDX_02, part_key_type },
	{ CHECK_TDX_03, part_tee_type },
	{ CHECK_TDX_04, part_vendor },
	{ CHECK_TDX_05, part_body },
	{ CHECK_TDX_06, part_signature_data },
};

int
tdx_quote_parse(struct span s, struct tdx_quote *ret, struct why *reterr_why)
{
	struct reader r = reader_init(s);
	struct tdx_quote q = { 0 };

	for (size_t i = 0; i < NELEMS(parts); i++) {
		int res = parts[i].read(&r, &q, reterr_why);

		if (res < 0)
			return res;
	}
	*ret = q;
	return CVM_OK;
}

bool
tdx_check_format(struct tdx_run *run)
{
	struct reader r = reader_init(blob_span(&run->a->evidence->tee_report));
	bool trailing_ok;

	for (size_t i = 0; i < NELEMS(parts); i++) {
		struct why why = { 0 };
		int res = parts[i].read(&r, &run->quote, &why);

		if (!verdict_from_why(run->v, parts[i].id, res, &why))
			return false;
	}
	/* Kernels hand out a buffer of fixed size: zeros may follow. */
	trailing_ok = run->quote.trailing.len == 0 ||
	    span_is_filled(run->quote.trailing, 0);
	if (!trailing_ok && run->policy->trailing_bytes)
		return verdict_skip(run->v, CHECK_TDX_07,
		    "the policy allows other bytes after the quote");
	return verdict_check(run->v, CHECK_TDX_07, trailing_ok,
	    "zero bytes only", "%zu bytes that are not all zero",
	    run->quote.trailing.len);
}
