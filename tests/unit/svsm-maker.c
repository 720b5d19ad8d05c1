/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "attest/derive.h"
#include "attest/svsm.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/svsm-maker.h"

/* TPMT_PUBLIC of an RSA endorsement key; the modulus follows. */
static const uint8_t ek_head[EK_HEAD_LEN] = { 0, 0x01, 0, 0x0b, 0, 0x03, 0,
	0xb2, 0, 0, 0, 0x06, 0, 0x80, 0, 0x43, 0, 0x10, 8, 0, 0, 0, 0, 0, 1,
	0 };
static const uint8_t the_root[SHA256_LEN] = { 9 };

void
guest_free(struct guest **g)
{
	evidence_clear(&(*g)->e);
	endorsements_freep(&(*g)->endorsements);
	free(*g);
	*g = NULL;
}

struct guest *
guest_new(void)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct policy *p;

	assert_non_null(g);
	snp_machine_init(&g->m, SNP_MILAN, false);
	p = &g->m.policy;
	p->tee = TEE_SNP;
	p->has_snp = p->has_tpm = true;
	p->tee_report_max_age_s = 60;
	p->tpm.ak_trust = AK_TRUST_SVSM;
	p->tpm.bank = HASH_SHA256;
	p->tpm.n_pcr_sets = 1;
	p->tpm.pcr_sets[0].mask = 1;
	memset(p->tpm.pcr_sets[0].value[0], 0x5a, SHA256_LEN);
	g->e.pcrs = (struct pcr_values){ .bank = HASH_SHA256, .mask = 1 };
	memset(g->e.pcrs.value[0], 0x5a, SHA256_LEN);
	memset(g->a.report_data, 0x77, REPORT_DATA_LEN);
	memcpy(g->manifest, ek_head, sizeof(ek_head));
	memset(g->manifest + sizeof(ek_head), 0xc3, 256);
	g->manifest_len = EK_LEN;
	g->e.ak_activated = true;
	return g;
}

static void
set_name(const struct blob *public, uint8_t *name, struct blob *ret)
{
	size_t len = 0;

	(void)!tpm_name(blob_span(public), name, &len);
	*ret = (struct blob){ name, len };
}

void
guest_build(struct guest *g)
{
	struct span manifest = span(g->manifest, g->manifest_len);
	struct quote_plan q = quote_plan(1);

	assert_int_equal(blob_set(&g->e.svsm_manifest, manifest), 0);
	assert_int_equal(svsm_report_data(g->a.report_data, manifest,
			     g->m.report + AT_REPORT_DATA),
	    0);
	snp_machine_build(&g->m, &g->e, &g->endorsements);
	assert_int_equal(derive_qualifying(the_root,
			     blob_span(&g->e.tee_report), g->a.qualifying),
	    0);
	q.extra = span(g->a.qualifying, QUALIFYING_LEN);
	quote_make(&q, &g->e);
	set_name(&g->e.svsm_manifest, g->ek_name, &g->ek);
	set_name(&g->e.ak_public, g->ak_name, &g->ak);
	g->root = (struct blob){ g->m.root_pin, SHA256_LEN };
	g->m.policy.snp.roots = (struct value_list){ &g->root, 1 };
	g->a.policy = &g->m.policy;
	g->a.evidence = &g->e;
	g->a.endorsements = g->endorsements;
	g->a.now = g->m.now;
}
