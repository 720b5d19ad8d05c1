/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * What Intel's Provisioning Certification Service answers, version 4: TCB info
 * and QE identity, signed over the exact text of the member, and CRLs.
 */

#include <ctype.h>
#include <string.h>

#include "machine.h"

#define EVALUATION 19
#define ZERO48                                                                 \
	"000000000000000000000000000000000000000000000000"                     \
	"000000000000000000000000000000000000000000000000"

/* Older than the machine can be told to be: nothing matches below it. */
static const struct level {
	struct intel_tcb tcb;
	const char *date, *status, *advisories;
} levels[] = {
	{ { { 3, 3, 2, 2, 4, 1, 0, 5 }, 13, { 5, 0, 3 } },
	    "2024-11-13T00:00:00Z", "UpToDate", NULL },
	{ { { 2, 2, 2, 2, 3, 1, 0, 5 }, 13, { 5, 0, 2 } },
	    "2024-03-13T00:00:00Z", "OutOfDate",
	    "[\"INTEL-SA-01036\",\"INTEL-SA-01079\"]" },
	{ { { 2, 2, 2, 2, 3, 1, 0, 5 }, 5, { 5, 0, 2 } },
	    "2018-01-04T00:00:00Z", "OutOfDate",
	    "[\"INTEL-SA-00106\",\"INTEL-SA-01036\"]" },
};

static void
put_time(struct buf *b, time_t t)
{
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_text(b, text);
}

static void
put_window(struct machine *m, struct buf *b)
{
	time_t from, to;

	collateral_window(m, &from, &to);
	buf_text(b, "\"issueDate\":\"");
	put_time(b, from);
	buf_text(b, "\",\"nextUpdate\":\"");
	put_time(b, to);
	buf_text(b, "\",");
}

static void
put_components(struct buf *b, const char *name, const uint8_t svn[16])
{
	buf_printf(b, "\"%s\":[", name);
	for (int i = 0; i < 16; i++)
		buf_printf(b, "%s{\"svn\":%u}", i > 0 ? "," : "", svn[i]);
	buf_text(b, "]");
}

static void
put_status(struct buf *b, const char *date, const char *status,
    const char *advisories)
{
	buf_printf(b, "\"tcbDate\":\"%s\",\"tcbStatus\":\"%s\"", date, status);
	if (advisories != NULL)
		buf_printf(b, ",\"advisoryIDs\":%s", advisories);
	buf_text(b, "}");
}

static void
put_level(struct buf *b, const struct level *level)
{
	buf_text(b, "{\"tcb\":{");
	put_components(b, "sgxtcbcomponents", level->tcb.sgx);
	buf_printf(b, ",\"pcesvn\":%u,", level->tcb.pcesvn);
	put_components(b, "tdxtcbcomponents", level->tcb.tdx);
	buf_text(b, "},");
	put_status(b, level->date, level->status, level->advisories);
}

static void
put_isvsvn(struct buf *b, unsigned svn, const char *date, const char *status,
    const char *advisories)
{
	buf_printf(b, "{\"tcb\":{\"isvsvn\":%u},", svn);
	put_status(b, date, status, advisories);
}

static void
put_module(struct buf *b)
{
	buf_text(b,
	    "\"mrsigner\":\"" ZERO48 "\","
	    "\"attributes\":\"0000000000000000\","
	    "\"attributesMask\":\"FFFFFFFFFFFFFFFF\"");
}

static void
put_modules(struct buf *b)
{
	static const char old[] = "[\"INTEL-SA-01036\",\"INTEL-SA-01099\"]";

	buf_text(b, "\"tdxModule\":{");
	put_module(b);
	buf_text(b, "},\"tdxModuleIdentities\":[{\"id\":\"TDX_03\",");
	put_module(b);
	buf_text(b, ",\"tcbLevels\":[");
	put_isvsvn(b, 3, "2024-11-13T00:00:00Z", "UpToDate", NULL);
	buf_text(b, "]},{\"id\":\"TDX_01\",");
	put_module(b);
	buf_text(b, ",\"tcbLevels\":[");
	put_isvsvn(b, 6, "2024-11-13T00:00:00Z", "UpToDate", NULL);
	buf_text(b, ",");
	put_isvsvn(b, 4, "2024-03-13T00:00:00Z", "OutOfDate", old);
	buf_text(b, ",");
	put_isvsvn(b, 2, "2023-08-09T00:00:00Z", "OutOfDate", old);
	buf_text(b, "]}],");
}

static void
put_tcb_info(struct machine *m, struct buf *b)
{
	_cleanup_(freep) char *fmspc = hex_of(m->id.fmspc, 6);

	buf_text(b, "{\"id\":\"TDX\",\"version\":3,");
	put_window(m, b);
	buf_printf(b,
	    "\"fmspc\":\"%s\",\"pceId\":\"0000\",\"tcbType\":0,"
	    "\"tcbEvaluationDataNumber\":%d,",
	    fmspc, EVALUATION);
	put_modules(b);
	buf_text(b, "\"tcbLevels\":[");
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (i > 0)
			buf_text(b, ",");
		put_level(b, &levels[i]);
	}
	buf_text(b, "]}");
}

static void
put_qe_identity(struct machine *m, struct buf *b)
{
	_cleanup_(freep) char *mrsigner = hex_of(td_qe_mrsigner, 32);

	for (char *c = mrsigner; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	buf_text(b, "{\"id\":\"TD_QE\",\"version\":2,");
	put_window(m, b);
	buf_printf(b,
	    "\"tcbEvaluationDataNumber\":%d,\"miscselect\":\"00000000\","
	    "\"miscselectMask\":\"FFFFFFFF\","
	    "\"attributes\":\"11000000000000000000000000000000\","
	    "\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\","
	    "\"mrsigner\":\"%s\",\"isvprodid\":2,\"tcbLevels\":[",
	    EVALUATION, mrsigner);
	put_isvsvn(b, 4, "2024-03-13T00:00:00Z", "UpToDate", NULL);
	buf_text(b, "]}");
}

/* {"name":TEXT,"signature":"r || s over TEXT"}, without a line end. */
static void
write_signed(struct machine *m, const char *dir, const char *file,
    const char *name, const struct buf *text)
{
	const struct pki_entity *signer = pki_get(m->pki, false, "tcb-signing");
	_cleanup_(buf_free) struct buf b = { 0 };
	_cleanup_(freep) char *hex = NULL;
	uint8_t rs[64];

	ecdsa_raw(signer->key, "SHA256", text->p, text->len, 32, rs);
	hex = hex_of(rs, sizeof(rs));
	buf_printf(&b, "{\"%s\":", name);
	buf_put(&b, text->p, text->len);
	buf_printf(&b, ",\"signature\":\"%s\"}", hex);
	put_file(dir, file, &b);
}

static void
write_chain(struct machine *m, const char *dir, const char *file,
    const char *leaf)
{
	_cleanup_(buf_free) struct buf pem = { 0 };

	x509_put_pem(&pem, pki_get(m->pki, false, leaf)->cert);
	x509_put_pem(&pem, pki_get(m->pki, false, "sgx-root")->cert);
	put_file(dir, file, &pem);
}

static void
write_crl(struct machine *m, const char *dir, const char *file,
    const char *issuer, X509 *const *revoked, size_t n)
{
	const struct pki_entity *ca = pki_get(m->pki, false, issuer);
	struct crl_spec spec = { .revoked = revoked, .n_revoked = n };
	_cleanup_(crl_freep) X509_CRL *crl = NULL;
	_cleanup_(buf_free) struct buf der = { 0 };

	collateral_window(m, &spec.this_update, &spec.next_update);
	crl = crl_issue(&spec, ca->cert, ca->key);
	crl_put_der(&der, crl);
	put_file(dir, file, &der);
}

static void
write_crls(struct machine *m, const char *dir)
{
	long revoked = knobs_get(m->knobs, K_REVOKED);
	bool processor = m->setting[S_PCK_CA] == PCK_PROCESSOR;
	X509 *leaves[] = { intel_pck(m, false, TCB_CURRENT)->cert,
		intel_pck(m, false, TCB_OLD)->cert };
	X509 *cas[] = { pki_get(m->pki, false,
	    processor ? "pck-processor" : "pck-platform")
			    ->cert };
	size_t n = revoked == REVOKED_LEAF ? ARRAY_LEN(leaves) : 0;

	write_crl(m, dir, "pck-crl-platform.der", "pck-platform", leaves,
	    processor ? 0 : n);
	write_crl(m, dir, "pck-crl-processor.der", "pck-processor", leaves,
	    processor ? n : 0);
	write_crl(m, dir, "root-ca.crl", "sgx-root", cas,
	    revoked == REVOKED_CA ? 1 : 0);
	write_chain(m, dir, "pck-crl-chain.pem",
	    processor ? "pck-processor" : "pck-platform");
}

void
intel_collateral(struct machine *m, const char *base)
{
	_cleanup_(freep) char *dir = xasprintf("%s/intel", base);
	_cleanup_(freep) char *fmspc = hex_of(m->id.fmspc, 6);
	_cleanup_(freep) char *name = xasprintf("tcbinfo-%s.json", fmspc);
	_cleanup_(buf_free) struct buf info = { 0 }, qe = { 0 };

	put_tcb_info(m, &info);
	write_signed(m, dir, name, "tcbInfo", &info);
	put_qe_identity(m, &qe);
	write_signed(m, dir, "qe-identity.json", "enclaveIdentity", &qe);
	write_chain(m, dir, "tcbinfo-chain.pem", "tcb-signing");
	write_chain(m, dir, "qe-identity-chain.pem", "tcb-signing");
	write_crls(m, dir);
}
