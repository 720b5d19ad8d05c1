/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/credential.h"
#include "attest/derive.h"
#include "attest/svsm.h"
#include "tests/unit/denied.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/svsm-maker.h"

/* A guest below an SVSM, whose vTPM's endorsement key is in the report. */

static void
say(const struct guest *g)
{
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (g->v.results[i].status == CHECK_FAIL)
			print_error("%s: expected %s, got %s\n",
			    check_table[i].name, g->v.results[i].expected,
			    g->v.results[i].got);
}

static void
accepted(struct guest *g)
{
	appraise(&g->a, &g->v, NULL);
	say(g);
	assert_true(g->v.admit);
}

/* By this check, and no other would have objected. */
static void
denied_by(struct guest *g, enum check_id id)
{
	appraise(&g->a, &g->v, NULL);
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if ((g->v.results[i].status == CHECK_FAIL) != (i == id)) {
			say(g);
			fail_msg("expected %s alone", check_table[id].name);
		}
	assert_false(g->v.admit);
	assert_true(g->v.results[id].expected[0] != '\0');
}

#define GUEST(g) _cleanup_(guest_free) struct guest *g = guest_new()

static void
guest_of_an_svsm_refused(void **state)
{
	GUEST(g);

	(void)state;
	guest_build(g);
	accepted(g);
	assert_int_equal(g->v.results[CHECK_SVSM_02].status, CHECK_SKIPPED);
	assert_int_equal(g->v.results[CHECK_TPM_11].status, CHECK_PASS);
}

/* REPORT_DATA is over all of the nonce and all of the manifest. */
static void
manifest_or_nonce_of_another_report(void **state)
{
	GUEST(g);

	(void)state;
	guest_build(g);
	g->e.svsm_manifest.data[EK_LEN - 1] ^= 1;
	denied_by(g, CHECK_BIND_01);
	g->e.svsm_manifest.data[EK_LEN - 1] ^= 1;
	accepted(g);
	g->a.report_data[63] ^= 1;
	denied_by(g, CHECK_BIND_01);
	g->a.report_data[63] ^= 1;
	g->a.report_data[0] ^= 1;
	denied_by(g, CHECK_BIND_01);
	/* The nonce alone, as a guest without SVSM has it. */
	GUEST(h);

	guest_build(h);
	memcpy(h->m.report + AT_REPORT_DATA, h->a.report_data, REPORT_DATA_LEN);
	snp_sign(&h->m);
	assert_int_equal(blob_set(&h->e.tee_report,
			     span(h->m.report, SNP_REPORT_LEN)),
	    0);
	appraise(&h->a, &h->v, NULL);
	assert_int_equal(h->v.results[CHECK_BIND_01].status, CHECK_FAIL);
}

static void
manifest_that_is_no_endorsement_key(void **state)
{
	static const struct {
		size_t at;
		uint8_t xor ;
	} edits[] = {
		{ 1, 0x22 },  /* ECC */
		{ 3, 0x07 },  /* nameAlg SHA-384 */
		{ 5, 0x01 },  /* not restricted */
		{ 5, 0x02 },  /* not for decryption */
		{ 5, 0x04 },  /* signs */
		{ 6, 0x08 },  /* encryptedDuplication */
		{ 7, 0x02 },  /* not fixedTPM */
		{ 7, 0x10 },  /* not fixedParent */
		{ 7, 0x20 },  /* sensitive data from outside */
		{ 23, 0x03 }, /* exponent 3 */
		{ 18, 0x0c }, /* 1024 bits, said */
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(edits); i++) {
		GUEST(g);

		g->manifest[edits[i].at] ^= edits[i].xor ;
		guest_build(g);
		denied_by(g, CHECK_SVSM_01);
	}
	for (size_t len = 0; len <= EK_LEN + 1;
	     len += len == 0 ? EK_LEN - 1 : 2) {
		GUEST(g);

		g->manifest_len = len;
		guest_build(g);
		denied_by(g, CHECK_SVSM_01);
	}
}

static void
endorsement_key_that_is_not_named(void **state)
{
	GUEST(g);

	(void)state;
	guest_build(g);
	g->m.policy.tpm.eks = (struct value_list){ &g->ek, 1 };
	accepted(g);
	assert_int_equal(g->v.results[CHECK_SVSM_02].status, CHECK_PASS);
	g->ek_name[33] ^= 1;
	denied_by(g, CHECK_SVSM_02);
	g->ek_name[33] ^= 1;
	g->ek.len--;
	denied_by(g, CHECK_SVSM_02);
}

/* A guest may bind a key of its own by the nonce: that is no proof. */
static void
attestation_key_of_another_tpm(void **state)
{
	GUEST(g);

	(void)state;
	guest_build(g);
	g->e.ak_activated = false;
	denied_by(g, CHECK_SVSM_03);
	g->m.policy.tpm.ak_names = (struct value_list){ &g->ak, 1 };
	accepted(g);
	g->ak_name[33] ^= 1;
	denied_by(g, CHECK_SVSM_03);
	g->m.policy.tpm.ak_names = (struct value_list){ &g->ek, 1 };
	denied_by(g, CHECK_SVSM_03);
}

/* It needs the report, at level 0. */
static void
report_of_the_guest_itself(void **state)
{
	GUEST(g);

	(void)state;
	snp_put32(&g->m, AT_VMPL, 2);
	guest_build(g);
	denied_by(g, CHECK_SNP_29);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_of_an_svsm_refused),
		cmocka_unit_test(manifest_or_nonce_of_another_report),
		cmocka_unit_test(manifest_that_is_no_endorsement_key),
		cmocka_unit_test(endorsement_key_that_is_not_named),
		cmocka_unit_test(attestation_key_of_another_tpm),
		cmocka_unit_test(report_of_the_guest_itself),
	};

	return denied_end("svsm",
	    cmocka_run_group_tests(tests, snp_maker_setup, snp_maker_teardown));
}
