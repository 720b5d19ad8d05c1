/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tdx-bench.h"

/* The policy that accepts the default spec, with everything looked at. */
static void
default_policy(struct bench *b)
{
	struct policy_tdx *t = &b->policy.tdx;
	static char up_to_date[] = "UpToDate";

	b->policy.tee = TEE_TDX;
	b->policy.has_tdx = true;
	b->status = up_to_date;
	assert_int_equal(blob_set(&b->mrtd, span(b->spec.body + AT_MRTD, 48)),
	    CVM_OK);
	t->mrtd = (struct value_list){ &b->mrtd, 1 };
	t->tcb_status = (struct string_list){ &b->status, 1 };
	t->debug = t->migratable = t->perfmon = FORBID;
	t->sept_ve_disable = REQUIRE;
	t->pks = t->key_locker = ANY;
	t->dynamic_platform = t->cached_keys = t->smt = true;
}

void
bench_begin(struct bench *b, unsigned version)
{
	memset(b, 0, sizeof(*b));
	tdx_spec_default(&b->spec, version);
	default_policy(b);
	b->a = (struct appraisal){ .policy = &b->policy,
		.evidence = &b->evidence,
		.now = TDX_MAKER_NOW };
}

static void
add(struct bench *b, const char *name, const struct blob *data)
{
	if (data->len > 0)
		assert_int_equal(endorsements_add(b->endorsements, name,
				     blob_span(data)),
		    CVM_OK);
}

void
bench_make(struct bench *b)
{
	char name[64], hex[16];

	tdx_make(&b->spec, &b->made);
	assert_int_equal(blob_set(&b->root, span(b->made.root_spki, 32)),
	    CVM_OK);
	if (!b->no_roots && b->policy.tdx.roots.n == 0)
		b->policy.tdx.roots = (struct value_list){ &b->root, 1 };
	b->evidence.tee = TEE_TDX;
	assert_int_equal(blob_set(&b->evidence.tee_report,
			     blob_span(&b->made.quote)),
	    CVM_OK);
	b->endorsements = endorsements_new();
	assert_non_null(b->endorsements);
	(void)snprintf(name, sizeof(name), "intel/tcbinfo-%s.json",
	    hex_encode(span(b->spec.fmspc, 6), hex, sizeof(hex)));
	add(b, name, &b->made.tcb_info);
	add(b, "intel/tcbinfo-chain.pem", &b->made.tcb_info_chain);
	add(b, "intel/qe-identity.json", &b->made.qe_identity);
	add(b, "intel/qe-identity-chain.pem", &b->made.qe_identity_chain);
	add(b, "intel/root-ca.crl", &b->made.root_crl);
	add(b,
	    b->spec.processor ? "intel/pck-crl-processor.der" :
				"intel/pck-crl-platform.der",
	    &b->made.pck_crl);
	b->a.endorsements = b->endorsements;
}

bool
bench_appraise(struct bench *b)
{
	bool went;

	memset(&b->facts, 0, sizeof(b->facts));
	verdict_init(&b->v, GROUP_TDX);
	went = tdx_appraise(&b->a, &b->v, &b->facts);
	verdict_finish(&b->v);
	/* What it returns and what it decided are the same. */
	assert_int_equal(went, b->v.admit);
	return b->v.admit;
}

void
bench_end(struct bench *b)
{
	tdx_made_clear(&b->made);
	evidence_clear(&b->evidence);
	endorsements_freep(&b->endorsements);
	blob_clear(&b->root);
	blob_clear(&b->mrtd);
	blob_clear(&b->value);
}

void
print_failed(const struct verdict *v)
{
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (check_table[i].group == GROUP_TDX &&
		    v->results[i].status == CHECK_FAIL)
			print_message("%s %s: expected %s, got %s\n",
			    check_table[i].name, check_table[i].title,
			    v->results[i].expected, v->results[i].got);
}
