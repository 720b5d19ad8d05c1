/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/chain-faults.h"
#include "tests/unit/tdx-bench.h"

/* Intel's chains, of the PCK certificate and of the signers of TCB info and QE
 * identity, with one fault each. */

#define NOW TDX_MAKER_NOW
#define EDIT(name, statement)                                                  \
	static void edit_##name(struct bench *b)                               \
	{                                                                      \
		struct tdx_spec *s = &b->spec;                                 \
		(void)s;                                                       \
		statement;                                                     \
	}
#define SMALL(x) s->x.key = KEY_SMALL

EDIT(leaf_expired, s->pck.until = NOW - 1)
EDIT(ca_expired, s->ca.until = NOW - 1)
EDIT(root_expired, s->root.until = NOW - 1)
EDIT(ti_expired, s->signer.until = NOW - 1)
EDIT(qi_expired, s->qe_signer.until = NOW - 1)
EDIT(leaf_early, s->pck.from = NOW + 1)
EDIT(ca_early, s->ca.from = NOW + 1)
EDIT(root_early, s->root.from = NOW + 1)
EDIT(ti_early, s->signer.from = NOW + 1)
EDIT(qi_early, s->qe_signer.from = NOW + 1)
EDIT(swapped, s->pem_swapped = true)
EDIT(ti_swapped, s->json_swapped = true)
EDIT(leaf_usage, s->pck.usage = "critical,keyAgreement")
EDIT(leaf_ca, s->pck.basic = "critical,CA:TRUE")
EDIT(ca_usage, s->ca.usage = "critical,digitalSignature,cRLSign")
EDIT(ca_no_ca, s->ca.basic = "critical,CA:FALSE")
EDIT(root_usage, s->root.usage = "critical,cRLSign")
EDIT(ti_usage, s->signer.usage = "critical,keyAgreement")
EDIT(qi_usage, s->qe_signer.usage = "critical,keyAgreement")
EDIT(own_root, b->no_roots = true)
EDIT(ti_own_root, s->json_root = true)
EDIT(leaf_revoked, s->pck.revoked = true)
EDIT(ti_revoked, s->signer.revoked = true)
EDIT(qi_revoked, s->qe_signer.revoked = true)
EDIT(ca_revoked, s->ca.revoked = true)
EDIT(no_root_crl, s->root_crl.absent = true)
EDIT(no_pck_crl, s->pck_crl.absent = true)
EDIT(root_crl_stale, s->root_crl.until = NOW - 1)
EDIT(pck_crl_stale, s->pck_crl.until = NOW - 1)
EDIT(pck_crl_early, s->pck_crl.from = NOW + 1)
EDIT(leaf_sha1, s->pck.sha1 = true)
EDIT(ca_sha1, s->ca.sha1 = true)
EDIT(ti_sha1, s->signer.sha1 = true)
EDIT(qi_sha1, s->qe_signer.sha1 = true)
EDIT(leaf_small, SMALL(pck))
EDIT(ti_small, SMALL(signer))
EDIT(qi_small, SMALL(qe_signer))
EDIT(ca_small, SMALL(ca); s->pck.signer = s->pck_crl.signer = KEY_SMALL)
EDIT(root_small, SMALL(root); s->root.signer = s->ca.signer = KEY_SMALL;
     s->signer.signer = s->qe_signer.signer = KEY_SMALL;
     s->root_crl.signer = KEY_SMALL)
EDIT(path, s->root.basic = "critical,CA:TRUE,pathlen:0")
EDIT(leaf_other_issuer, s->pck.issuer_cn = "Intel SGX PCK Processor CA")
EDIT(ca_other_issuer, s->ca.issuer_cn = "Intel SGX Root")
EDIT(leaf_name, s->pck.cn = "Intel SGX PCK")
EDIT(ti_name, s->signer.cn = "Intel SGX PCK Certificate")
EDIT(ti_other_issuer, s->signer.issuer_cn = "Intel SGX PCK Platform CA")
EDIT(crl_other_issuer, s->pck_crl.issuer_cn = "Intel SGX PCK Processor CA")

static const struct row {
	enum chain_fault fault;
	void (*edit)(struct bench *b);
	enum check_id check;
	const char *word;
	bool shared; /* with the chains of the signers */
} rows[] = {
	{ FAULT_EXPIRED, edit_leaf_expired, CHECK_TDX_12, "expired", false },
	{ FAULT_EXPIRED, edit_ca_expired, CHECK_TDX_12, "expired", false },
	{ FAULT_EXPIRED, edit_root_expired, CHECK_TDX_12, "expired", false },
	{ FAULT_EXPIRED, edit_ti_expired, CHECK_TDX_25, "expired", false },
	{ FAULT_EXPIRED, edit_qi_expired, CHECK_TDX_34, "expired", false },
	{ FAULT_NOT_YET_VALID, edit_leaf_early, CHECK_TDX_12, "not yet",
	    false },
	{ FAULT_NOT_YET_VALID, edit_ca_early, CHECK_TDX_12, "not yet", false },
	{ FAULT_NOT_YET_VALID, edit_root_early, CHECK_TDX_12, "not yet",
	    false },
	{ FAULT_NOT_YET_VALID, edit_ti_early, CHECK_TDX_25, "not yet", false },
	{ FAULT_NOT_YET_VALID, edit_qi_early, CHECK_TDX_34, "not yet", false },
	{ FAULT_ORDER, edit_swapped, CHECK_TDX_09, "PCK Certificate", false },
	{ FAULT_ORDER, edit_ti_swapped, CHECK_TDX_24, "TCB Signing", false },
	{ FAULT_KEY_USAGE, edit_leaf_usage, CHECK_TDX_13, "digitalSignature",
	    false },
	{ FAULT_KEY_USAGE, edit_leaf_ca, CHECK_TDX_13, "CA", false },
	{ FAULT_KEY_USAGE, edit_ca_usage, CHECK_TDX_13, "keyCertSign", false },
	{ FAULT_KEY_USAGE, edit_ca_no_ca, CHECK_TDX_13, "CA", false },
	{ FAULT_KEY_USAGE, edit_root_usage, CHECK_TDX_13, "keyCertSign",
	    false },
	{ FAULT_KEY_USAGE, edit_ti_usage, CHECK_TDX_25, "digitalSignature",
	    false },
	{ FAULT_KEY_USAGE, edit_qi_usage, CHECK_TDX_34, "digitalSignature",
	    false },
	{ FAULT_OWN_ROOT, edit_own_root, CHECK_TDX_11, "root", false },
	{ FAULT_OWN_ROOT, edit_ti_own_root, CHECK_TDX_25, "root", false },
	{ FAULT_LEAF_REVOKED, edit_leaf_revoked, CHECK_TDX_22, "revoked",
	    false },
	{ FAULT_LEAF_REVOKED, edit_ti_revoked, CHECK_TDX_25, "revoked", false },
	{ FAULT_LEAF_REVOKED, edit_qi_revoked, CHECK_TDX_34, "revoked", false },
	{ FAULT_CA_REVOKED, edit_ca_revoked, CHECK_TDX_22, "revoked", false },
	{ FAULT_NO_CRL, edit_no_root_crl, CHECK_TDX_20, "root-ca.crl", true },
	{ FAULT_NO_CRL, edit_no_pck_crl, CHECK_TDX_21, "pck-crl", false },
	{ FAULT_STALE_CRL, edit_root_crl_stale, CHECK_TDX_22, "CRL", true },
	{ FAULT_STALE_CRL, edit_pck_crl_stale, CHECK_TDX_22, "CRL", false },
	{ FAULT_STALE_CRL, edit_pck_crl_early, CHECK_TDX_22, "CRL", false },
	{ FAULT_SHA1, edit_leaf_sha1, CHECK_TDX_10, "SHA-256", false },
	{ FAULT_SHA1, edit_ca_sha1, CHECK_TDX_10, "SHA-256", false },
	{ FAULT_SHA1, edit_ti_sha1, CHECK_TDX_25, "SHA", false },
	{ FAULT_SHA1, edit_qi_sha1, CHECK_TDX_34, "SHA", false },
	{ FAULT_RSA_1024, edit_leaf_small, CHECK_TDX_10, "P-256", false },
	{ FAULT_RSA_1024, edit_ti_small, CHECK_TDX_25, "P-256", false },
	{ FAULT_RSA_1024, edit_qi_small, CHECK_TDX_34, "P-256", false },
	{ FAULT_RSA_1024, edit_ca_small, CHECK_TDX_10, "P-256", false },
	{ FAULT_RSA_1024, edit_root_small, CHECK_TDX_10, "P-256", false },
	{ FAULT_PATH_LENGTH, edit_path, CHECK_TDX_13, "path", false },
	{ FAULT_NAME, edit_leaf_other_issuer, CHECK_TDX_13, "issuer", false },
	{ FAULT_NAME, edit_ca_other_issuer, CHECK_TDX_13, "issuer", false },
	{ FAULT_NAME, edit_leaf_name, CHECK_TDX_09, "PCK Certificate", false },
	{ FAULT_NAME, edit_ti_name, CHECK_TDX_24, "TCB Signing", false },
	{ FAULT_NAME, edit_ti_other_issuer, CHECK_TDX_25, "issuer", false },
	{ FAULT_NAME, edit_crl_other_issuer, CHECK_TDX_21, "CA", false },
};

static void
chain_at_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct bench b;

		bench_begin(&b, 4);
		rows[i].edit(&b);
		bench_make(&b);
		(void)bench_appraise(&b);
		(rows[i].shared ? fault_denied_first : fault_denied)(&b.v,
		    rows[i].fault, rows[i].check, rows[i].word);
		bench_end(&b);
	}
}

static void
fault_without_a_row(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		seen |= 1u << rows[i].fault;
	faults_complete(seen);
}

static int
end(void **state)
{
	(void)state;
	tdx_maker_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_at_fault),
		cmocka_unit_test(fault_without_a_row),
	};

	return cmocka_run_group_tests_name("faults-intel", tests, NULL, end);
}
