/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * Intel TDX: quotes of version 4 and 5 as in the TDX DCAP Quoting Library API,
 * appendix A, and PCK certificates as in Intel's "SGX PCK Certificate and CRL
 * Profile".
 */

#include <string.h>

#include "machine.h"

#define BODY_10 584
#define BODY_15 648
#define PADDED 8000

const uint8_t td_qe_mrsigner[32] = { 0xdc, 0x9e, 0x2a, 0x7c, 0x6f, 0x94, 0x8f,
	0x17, 0x47, 0x4e, 0x34, 0xa7, 0xfc, 0x43, 0xed, 0x03, 0x0f, 0x7c, 0x15,
	0x63, 0xf1, 0xba, 0xbd, 0xdf, 0x63, 0x40, 0xc8, 0x2e, 0x0e, 0x54, 0xa8,
	0xc5 };

/* tdx[0..2]: module SVN, module major version, SEAM loader and microcode. */
const struct intel_tcb intel_tcbs[2] = {
	[TCB_CURRENT] = { { 3, 3, 2, 2, 4, 1, 0, 5 }, 13, { 6, 1, 3 } },
	[TCB_OLD] = { { 2, 2, 2, 2, 3, 1, 0, 5 }, 13, { 4, 1, 2 } },
};

#define SGX_OID "1.2.840.113741.1.13.1"

/* SEQUENCE { OID, value } */
static void
put_pair(struct buf *b, const char *suffix, const struct buf *value)
{
	_cleanup_(freep) char *oid = xasprintf("%s%s", SGX_OID, suffix);
	_cleanup_(buf_free) struct buf pair = { 0 };

	der_oid(&pair, oid);
	buf_put(&pair, value->p, value->len);
	der_wrap(b, 0x30, &pair);
}

static void
put_typed(struct buf *b, const char *suffix, uint8_t tag, const void *p,
    size_t len)
{
	_cleanup_(buf_free) struct buf value = { 0 };

	der_put(&value, tag, p, len);
	put_pair(b, suffix, &value);
}

static void
put_tcb(struct buf *b, const struct intel_tcb *tcb)
{
	_cleanup_(buf_free) struct buf list = { 0 }, wrapped = { 0 },
				       pcesvn = { 0 };

	for (int i = 0; i < 16; i++) {
		_cleanup_(freep) char *suffix = xasprintf(".2.%d", i + 1);
		_cleanup_(buf_free) struct buf svn = { 0 };

		der_int(&svn, tcb->sgx[i]);
		put_pair(&list, suffix, &svn);
	}
	der_int(&pcesvn, tcb->pcesvn);
	put_pair(&list, ".2.17", &pcesvn);
	put_typed(&list, ".2.18", 0x04, tcb->sgx, 16);
	der_wrap(&wrapped, 0x30, &list);
	put_pair(b, ".2", &wrapped);
}

static void
put_configuration(struct buf *b)
{
	static const uint8_t on = 0xFF;
	_cleanup_(buf_free) struct buf list = { 0 }, wrapped = { 0 };

	put_typed(&list, ".7.1", 0x01, &on, 1); /* dynamic platform */
	put_typed(&list, ".7.2", 0x01, &on, 1); /* cached keys */
	put_typed(&list, ".7.3", 0x01, &on, 1); /* SMT */
	der_wrap(&wrapped, 0x30, &list);
	put_pair(b, ".7", &wrapped);
}

static void
put_sgx_extension(const struct machine *m, const struct intel_tcb *tcb,
    struct buf *ret)
{
	static const uint8_t pceid[2] = { 0 }, type = 1; /* scalable */
	_cleanup_(buf_free) struct buf list = { 0 };

	put_typed(&list, ".1", 0x04, m->id.ppid, 16);
	put_tcb(&list, tcb);
	put_typed(&list, ".3", 0x04, pceid, 2);
	put_typed(&list, ".4", 0x04, m->id.fmspc, 6);
	put_typed(&list, ".5", 0x0A, &type, 1);
	if (m->setting[S_PCK_CA] == PCK_PLATFORM) {
		put_typed(&list, ".6", 0x04, m->id.platform_instance, 16);
		put_configuration(&list);
	}
	der_wrap(ret, 0x30, &list);
}

static const char *
pck_ca(const struct machine *m)
{
	return m->setting[S_PCK_CA] == PCK_PLATFORM ? "pck-platform" :
						      "pck-processor";
}

struct pck_arg {
	struct machine *m;
	const struct intel_tcb *tcb;
};

static void
make_pck(void *p, bool foreign, struct pki_entity *ret)
{
	const struct pck_arg *arg = p;
	const struct pki_entity *ca = pki_get(arg->m->pki, foreign,
	    pck_ca(arg->m));
	struct x509_ext ext = { .oid = SGX_OID };
	time_t now = time(NULL);
	struct x509_spec spec = {
		.dn = dn_with(intel_dn, "Intel SGX PCK Certificate"),
		.serial = -1,
		.not_before = now - 30 * DAY,
		.not_after = now + 7 * 365 * DAY,
		.basic_constraints = "critical,CA:FALSE",
		.key_usage = "critical,digitalSignature,nonRepudiation",
		.crl_dp = "URI:https://api.trustedservices.intel.com/sgx/"
			  "certification/v4/pckcrl?ca=platform&encoding=der",
		.ski = true,
		.aki = true,
		.ext = &ext,
		.n_ext = 1,
	};

	put_sgx_extension(arg->m, arg->tcb, &ext.der);
	ret->key = key_new_ec("P-256");
	ret->cert = x509_issue(&spec, ret->key, ca->cert, ca->key);
	buf_free(&ext.der);
}

const struct pki_entity *
intel_pck(struct machine *m, bool foreign, long tcb)
{
	struct pck_arg arg = { m, &intel_tcbs[tcb] };
	_cleanup_(freep) char *name = xasprintf("pck-leaf-%s-%s",
	    machine_setting(m, S_PCK_CA), tcb == TCB_OLD ? "old" : "current");

	return pki_own(m->pki, foreign, name, make_pck, &arg);
}

/* SHA-384 of the initial TD: stands for the firmware that was measured. */
static void
mrtd(struct machine *m, uint8_t ret[48])
{
	_cleanup_(freep) char *text = NULL;

	pthread_mutex_lock(&m->boot_lock);
	text = xasprintf("MRTD of firmware v%d", m->desc.firmware_version);
	pthread_mutex_unlock(&m->boot_lock);
	digest("SHA384", text, strlen(text), ret);
}

static void
mrseam(uint8_t ret[48])
{
	digest("SHA384", "TDX module 1.5", 14, ret);
}

static uint64_t
td_attributes(struct machine *m)
{
	uint64_t attributes = 1u << 28; /* SEPT_VE_DISABLE */

	if (knobs_get(m->knobs, K_DEBUG))
		attributes |= 1;
	if (knobs_get(m->knobs, K_MIGRATABLE))
		attributes |= 1u << 29;
	return attributes;
}

/* The TD report; len is that of TD 1.0 or 1.5. */
static void
put_body(struct machine *m, const uint8_t report_data[64], size_t len,
    struct buf *ret)
{
	const struct intel_tcb *tcb = &intel_tcbs[knobs_get(m->knobs, K_TCB)];
	uint8_t b[BODY_15] = { 0 };

	memcpy(b, tcb->tdx, 16);
	mrseam(b + 16);
	set_le64(b + 120, td_attributes(m));
	set_le64(b + 128, 0x0000000000061AE7); /* XFAM */
	mrtd(m, b + 136);
	knobs_bytes(m->knobs, K_MEASUREMENT, b + 136, 48);
	knobs_bytes(m->knobs, K_HOST_DATA, b + 184, 48);
	pthread_mutex_lock(&m->boot_lock);
	memcpy(b + 328, m->log.rtmr, sizeof(m->log.rtmr));
	pthread_mutex_unlock(&m->boot_lock);
	memcpy(b + 520, report_data, 64);
	memcpy(b + 584, tcb->tdx, 16); /* TEE_TCB_SVN2 */
	buf_put(ret, b, len);
}

static bool
is_v5(const struct machine *m)
{
	return m->setting[S_QUOTE_VERSION] == QUOTE_V5;
}

static void
put_header_and_body(struct machine *m, const uint8_t report_data[64],
    struct buf *q)
{
	static const uint8_t vendor[16] = { 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c,
		0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07 };
	bool td15 = is_v5(m) && m->setting[S_QUOTE_BODY] == BODY_TD15;
	size_t len = td15 ? BODY_15 : BODY_10;

	buf_le16(q, is_v5(m) ? 5 : 4);
	buf_le16(q, 2);	   /* ECDSA-256-with-P-256 */
	buf_le32(q, 0x81); /* TDX */
	buf_le32(q, 0);
	buf_put(q, vendor, sizeof(vendor));
	buf_put(q, m->id.ppid, 16); /* user data: QE ID */
	buf_fill(q, 0, 4);
	if (is_v5(m)) {
		buf_le16(q, td15 ? 3 : 2);
		buf_le32(q, (uint32_t)len);
	}
	put_body(m, report_data, len, q);
}

/* SGX report of the TD quoting enclave, over its attestation key. */
static void
put_qe_report(const struct intel_tcb *tcb, const uint8_t key[64],
    const uint8_t auth[32], struct buf *ret)
{
	uint8_t b[384] = { 0 }, both[96];

	memcpy(b, tcb->sgx, 16); /* CPUSVN */
	b[48] = 0x15;		 /* ATTRIBUTES: INIT, MODE64BIT, PROVISIONKEY */
	b[56] = 0xE7;		 /* XFRM */
	digest("SHA256", "TD QE", 5, b + 64);
	memcpy(b + 128, td_qe_mrsigner, 32);
	set_le16(b + 256, 2); /* ISVPRODID: TD QE */
	set_le16(b + 258, 4); /* ISVSVN */
	memcpy(both, key, 64);
	memcpy(both + 64, auth, 32);
	digest("SHA256", both, sizeof(both), b + 320);
	buf_put(ret, b, sizeof(b));
}

static void
put_chain(struct machine *m, bool foreign, X509 *leaf, struct buf *ret)
{
	x509_put_pem(ret, leaf);
	x509_put_pem(ret, pki_get(m->pki, foreign, pck_ca(m))->cert);
	x509_put_pem(ret, pki_get(m->pki, foreign, "sgx-root")->cert);
}

/* Certification data of type 6, which holds that of type 5. */
static void
put_certification(struct machine *m, const uint8_t key[64], struct buf *ret)
{
	bool foreign = knobs_get(m->knobs, K_ROOT) == ROOT_FOREIGN;
	long tcb = knobs_get(m->knobs, K_TCB);
	const struct pki_entity *pck = intel_pck(m, foreign, tcb);
	_cleanup_(buf_free) struct buf inner = { 0 }, chain = { 0 };
	uint8_t auth[32], rs[64];

	for (uint8_t i = 0; i < sizeof(auth); i++)
		auth[i] = i;
	put_qe_report(&intel_tcbs[tcb], key, auth, &inner);
	ecdsa_raw(pck->key, "SHA256", inner.p, inner.len, 32, rs);
	buf_put(&inner, rs, sizeof(rs));
	buf_le16(&inner, sizeof(auth));
	buf_put(&inner, auth, sizeof(auth));
	put_chain(m, foreign, pck->cert, &chain);
	buf_le16(&inner, 5);
	buf_le32(&inner, (uint32_t)chain.len);
	buf_put(&inner, chain.p, chain.len);
	buf_le16(ret, 6);
	buf_le32(ret, (uint32_t)inner.len);
	buf_put(ret, inner.p, inner.len);
}

static void
pad(struct machine *m, struct buf *q)
{
	long kind = knobs_get(m->knobs, K_TDX_PADDING);
	size_t n = q->len < PADDED ? PADDED - q->len : 0;

	if (kind == 1)
		return;
	buf_fill(q, kind == 0 ? 0 : 0xA5, n);
}

static void
make_attestation_key(void *arg, bool foreign, struct pki_entity *ret)
{
	struct x509_spec spec = {
		.dn = dn_with(intel_dn, "TD QE attestation key"),
		.serial = -1,
		.not_before = time(NULL) - DAY,
		.not_after = time(NULL) + 3650 * DAY,
	};

	/* Only the key is used; the certificate makes it an entity. */
	ret->key = key_new_ec("P-256");
	ret->cert = x509_issue(&spec, ret->key, NULL, ret->key);
	(void)foreign;
	(void)arg;
}

void
intel_quote(struct machine *m, const uint8_t report_data[64], struct buf *q)
{
	const struct pki_entity *ak = pki_own(m->pki, false,
	    "td-qe-attestation-key", make_attestation_key, m);
	_cleanup_(buf_free) struct buf sig = { 0 };
	uint8_t rs[64], point[64];

	put_header_and_body(m, report_data, q);
	ecdsa_raw(ak->key, "SHA256", q->p, q->len, 32, rs);
	if (knobs_get(m->knobs, K_SIGNATURE))
		rs[0] ^= 1;
	ec_point(ak->key, 32, point);
	buf_put(&sig, rs, sizeof(rs));
	buf_put(&sig, point, sizeof(point));
	put_certification(m, point, &sig);
	buf_le32(q, (uint32_t)sig.len);
	buf_put(q, sig.p, sig.len);
	pad(m, q);
}

void
intel_facts(struct machine *m, cJSON *facts)
{
	uint8_t launch[48], seam[48];

	mrtd(m, launch);
	mrseam(seam);
	cJSON_AddNumberToObject(facts, "quote_version", is_v5(m) ? 5 : 4);
	fact_hex(facts, "mrtd", launch, sizeof(launch));
	fact_hex(facts, "mrseam", seam, sizeof(seam));
	for (int i = 0; i < RTMRS; i++) {
		_cleanup_(freep) char *name = xasprintf("rtmr%d", i);

		fact_hex(facts, name, m->log.rtmr[i], 48);
	}
	fact_hex(facts, "fmspc", m->id.fmspc, 6);
	fact_hex(facts, "pceid", "\0", 2);
	fact_hex(facts, "ppid", m->id.ppid, 16);
	fact_hex(facts, "platform_instance_id", m->id.platform_instance, 16);
	fact_hex(facts, "tee_tcb_svn", intel_tcbs[TCB_CURRENT].tdx, 16);
	cJSON_AddNumberToObject(facts, "tcb_evaluation_data_number", 19);
}
