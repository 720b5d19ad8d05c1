/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/chain-faults.h"
#include "tests/unit/snp-maker.h"

/* AMD's chains, of VCEK and VLEK, with one fault each. */

#define EDIT(name, statement)                                                  \
	static void edit_##name(struct snp_machine *m)                         \
	{                                                                      \
		statement;                                                     \
	}

EDIT(leaf_expired, m->vek.until = m->now - 1)
EDIT(ca_expired, m->ask.until = m->now - 1)
EDIT(root_expired, m->ark.until = m->now - 1)
EDIT(leaf_early, m->vek.from = m->now + 1)
EDIT(ca_early, m->ask.from = m->now + 1)
EDIT(root_early, m->ark.from = m->now + 1)
EDIT(ca_usage, m->ask.usage = "critical,digitalSignature")
EDIT(root_usage, m->ark.usage = "critical,cRLSign")
EDIT(ca_no_ca, m->ask.constraints = "critical,CA:FALSE")
EDIT(leaf_ca, m->vek.constraints = "critical,CA:TRUE")
EDIT(own_root, m->amd_roots = true)
/* AMD revokes no single chip, and its list is the root's; that of the CA would
 * count. */
EDIT(leaf_revoked, m->ask.usage = "critical,keyCertSign,cRLSign";
     m->crl_signer = KEY_ASK; m->crl.issuer_cn = m->ask.cn; m->crl.amd = true;
     m->crl.revoke_zero = true)
EDIT(root_revoked, m->crl.revoked[0] = m->ark.serial)
EDIT(ca_revoked, m->crl.revoked[0] = m->ask.serial)
EDIT(no_crl, m->with_crl = false)
EDIT(crl_stale, m->crl.until = m->now - 1)
EDIT(crl_early, m->crl.from = m->now + 1)
EDIT(crl_endless, m->crl.until = 0)
EDIT(leaf_sha1, m->vek.sign.md = "SHA1")
EDIT(ca_sha1, m->ask.sign.md = "SHA1")
EDIT(root_sha1, m->ark.sign.md = "SHA1")
EDIT(crl_sha1, m->crl.sign.md = "SHA1")
EDIT(leaf_small, m->vek_key = KEY_SMALL)
EDIT(ca_small, m->ask_key = m->vek_signer = KEY_SMALL)
EDIT(root_small, m->ark_key = m->ask_signer = m->crl_signer = KEY_SMALL)
EDIT(path, m->ark.constraints = "critical,CA:TRUE,pathlen:0")
EDIT(leaf_other_issuer, m->vek.issuer_cn = "SEV-Genoa")
EDIT(ca_other_issuer, m->ask.issuer_cn = "ARK-Genoa")
EDIT(ca_other_name, m->ask.cn = "SEV-Genoa")
EDIT(root_other_name, m->ark.cn = "ARK-Genoa")
EDIT(crl_other_issuer, m->crl.issuer_cn = "ARK-Genoa"; m->crl.amd = true)

/* The host hands out the CA's certificate as the root's, and vice versa. */
static void
edit_swapped(struct snp_machine *m)
{
	_cleanup_(evidence_clear) struct evidence e = { 0 };
	_cleanup_(endorsements_freep) struct endorsements *none = NULL;
	uint8_t guid[16];

	m->vek_from = m->cas_from = IN_TABLE;
	snp_machine_build(m, &e, &none);
	m->table = e.tee_aux;
	e.tee_aux = (struct blob){ 0 };
	/* Entries of 24 bytes: the leaf, the CA, the root. */
	memcpy(guid, m->table.data + 24, sizeof(guid));
	memcpy(m->table.data + 24, m->table.data + 48, sizeof(guid));
	memcpy(m->table.data + 48, guid, sizeof(guid));
}

static const struct row {
	enum chain_fault fault;
	void (*edit)(struct snp_machine *m);
	enum check_id check;
	const char *word;
	bool more; /* other checks fail for the same reason */
} rows[] = {
	{ FAULT_EXPIRED, edit_leaf_expired, CHECK_SNP_17, "expired", false },
	{ FAULT_EXPIRED, edit_ca_expired, CHECK_SNP_17, "expired", false },
	{ FAULT_EXPIRED, edit_root_expired, CHECK_SNP_17, "expired", false },
	{ FAULT_NOT_YET_VALID, edit_leaf_early, CHECK_SNP_17, "not yet",
	    false },
	{ FAULT_NOT_YET_VALID, edit_ca_early, CHECK_SNP_17, "not yet", false },
	{ FAULT_NOT_YET_VALID, edit_root_early, CHECK_SNP_17, "not yet",
	    false },
	{ FAULT_ORDER, edit_swapped, CHECK_SNP_15, "no certificate", false },
	{ FAULT_KEY_USAGE, edit_ca_usage, CHECK_SNP_17, "keyCertSign", false },
	{ FAULT_KEY_USAGE, edit_root_usage, CHECK_SNP_17, "keyCertSign",
	    false },
	{ FAULT_KEY_USAGE, edit_ca_no_ca, CHECK_SNP_17, "CA", false },
	{ FAULT_KEY_USAGE, edit_leaf_ca, CHECK_SNP_17, "CA", false },
	{ FAULT_OWN_ROOT, edit_own_root, CHECK_SNP_16, "AMD's root", false },
	{ FAULT_LEAF_REVOKED, edit_leaf_revoked, CHECK_SNP_18, "revoked",
	    false },
	{ FAULT_CA_REVOKED, edit_ca_revoked, CHECK_SNP_18, "revoked", false },
	{ FAULT_CA_REVOKED, edit_root_revoked, CHECK_SNP_18, "revoked", false },
	{ FAULT_NO_CRL, edit_no_crl, CHECK_SNP_18, "no such file", false },
	{ FAULT_STALE_CRL, edit_crl_stale, CHECK_SNP_18, "amd/milan/crl-v",
	    false },
	{ FAULT_STALE_CRL, edit_crl_early, CHECK_SNP_18, "the time judged at",
	    false },
	{ FAULT_STALE_CRL, edit_crl_endless, CHECK_SNP_18, "CRL", false },
	{ FAULT_SHA1, edit_leaf_sha1, CHECK_SNP_10, "SHA-384", false },
	{ FAULT_SHA1, edit_ca_sha1, CHECK_SNP_17, "SHA", false },
	{ FAULT_SHA1, edit_root_sha1, CHECK_SNP_17, "SHA", false },
	{ FAULT_SHA1, edit_crl_sha1, CHECK_SNP_18, "SHA", false },
	{ FAULT_RSA_1024, edit_leaf_small, CHECK_SNP_10, "P-384", true },
	{ FAULT_RSA_1024, edit_ca_small, CHECK_SNP_17, "1024", false },
	{ FAULT_RSA_1024, edit_root_small, CHECK_SNP_17, "1024", false },
	{ FAULT_PATH_LENGTH, edit_path, CHECK_SNP_17, "path", false },
	{ FAULT_NAME, edit_leaf_other_issuer, CHECK_SNP_14, "SEV-", true },
	{ FAULT_NAME, edit_ca_other_issuer, CHECK_SNP_17, "issuer", false },
	{ FAULT_NAME, edit_ca_other_name, CHECK_SNP_14, "SEV-", true },
	{ FAULT_NAME, edit_root_other_name, CHECK_SNP_15, "ARK-Milan", false },
	{ FAULT_NAME, edit_crl_other_issuer, CHECK_SNP_18, "issuer", false },
};

static void
judge(bool vlek, const struct row *r)
{
	struct appraisal_facts facts = { 0 };
	struct snp_machine m;
	struct verdict v;

	snp_machine_init(&m, SNP_MILAN, vlek);
	r->edit(&m);
	snp_machine_judge(&m, &v, &facts);
	blob_clear(&m.table);
	(r->more ? fault_denied_first : fault_denied)(&v, r->fault, r->check,
	    r->word);
}

static void
chain_of_a_vcek_at_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		judge(/* vlek= */ false, &rows[i]);
}

static void
chain_of_a_vlek_at_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		judge(/* vlek= */ true, &rows[i]);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_of_a_vcek_at_fault),
		cmocka_unit_test(chain_of_a_vlek_at_fault),
		cmocka_unit_test(fault_without_a_row),
	};

	return cmocka_run_group_tests_name("faults-amd", tests, snp_maker_setup,
	    snp_maker_teardown);
}
