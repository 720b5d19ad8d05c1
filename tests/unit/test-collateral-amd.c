/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/snp-maker.h"
#include "tools/collateral_judge.h"

/* AMD's endorsements that are brought by hand: what is refused, and why. */

static void
put(struct endorsements *e, const char *name, struct span s)
{
	if (s.len > 0)
		assert_int_equal(endorsements_add(e, name, s), CVM_OK);
}

static void
amd_files(struct snp_machine *m, const char *without, struct endorsements **ret)
{
	static const char *const names[] = { "amd/milan/ark.pem",
		"amd/milan/ask.pem", "amd/milan/crl-vcek.der" };
	_cleanup_(evidence_clear) struct evidence ev = { 0 };
	_cleanup_(endorsements_freep) struct endorsements *all = NULL;

	snp_machine_build(m, &ev, &all);
	m->root_blob = (struct blob){ m->root_pin, SHA256_LEN };
	m->policy.snp.roots = (struct value_list){ &m->root_blob, 1 };
	assert_non_null(*ret = endorsements_new());
	for (size_t i = 0; i < NELEMS(names); i++) {
		if (strstr(without, names[i]) == NULL)
			put(*ret, names[i], endorsements_find(all, names[i]));
	}
}

static void
ask_expired(struct snp_machine *m)
{
	m->ask.until = SNP_NOW - 1;
}

static void
ask_forged(struct snp_machine *m)
{
	m->ask_signer = KEY_OTHER;
}

static void
ark_unpinned(struct snp_machine *m)
{
	m->amd_roots = true;
}

static void
crl_forged(struct snp_machine *m)
{
	m->crl_signer = KEY_OTHER;
}

static void
crl_expired(struct snp_machine *m)
{
	m->crl.until = SNP_NOW;
}

static void
good(struct snp_machine *m)
{
	(void)m;
}

static void
amd_refused(void **state)
{
	static const struct {
		void (*spoil)(struct snp_machine *m);
		const char *without, *where;
	} rows[] = {
		{ good, "", NULL },
		{ good, "amd/milan/crl-vcek.der", NULL },
		{ good, "amd/milan/ark.pem", "amd/milan/ask.pem" },
		{ good, "amd/milan/ask.pem", "amd/milan/crl-vcek.der" },
		{ ask_expired, "", "amd/milan/ask.pem" },
		{ ask_forged, "", "amd/milan/ask.pem" },
		{ ark_unpinned, "", "amd/milan/ark.pem" },
		{ crl_forged, "", "amd/milan/crl-vcek.der" },
		{ crl_expired, "", "amd/milan/crl-vcek.der" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(endorsements_freep) struct endorsements *e = NULL;
		_cleanup_(endorsements_freep) struct endorsements *old =
		    endorsements_new();
		struct why why = { 0 };

		MILAN(m);
		m.with_crl = true;
		rows[i].spoil(&m);
		amd_files(&m, rows[i].without, &e);
		const struct collateral_case c = { e, old,
			m.amd_roots ? NULL : &m.policy, SNP_NOW, false };
		int r = collateral_judge(&c, &why);

		if ((r == CVM_OK) != (rows[i].where == NULL) ||
		    (r != CVM_OK && strcmp(why.where, rows[i].where) != 0))
			fail_msg("row %zu: %d, %s: %s: %s, %s", i, r, why.where,
			    why.field, why.expected, why.got);
	}
}

static void
amd_older(void **state)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	_cleanup_(endorsements_freep) struct endorsements *old = NULL;
	struct why why = { 0 };

	(void)state;
	MILAN(m);
	m.with_crl = true;
	amd_files(&m, "", &old);
	m.crl.from -= 1;
	amd_files(&m, "", &e);
	struct collateral_case c = { e, old, &m.policy, SNP_NOW, false };

	assert_int_equal(collateral_judge(&c, &why), CVM_E_DENIED);
	assert_string_equal(why.where, "amd/milan/crl-vcek.der");
	c.older = true;
	assert_int_equal(collateral_judge(&c, &why), CVM_OK);
	c.older = false;
	c.fresh = old;
	c.old = e;
	assert_int_equal(collateral_judge(&c, &why), CVM_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amd_refused),
		cmocka_unit_test(amd_older),
	};

	return cmocka_run_group_tests(tests, snp_maker_setup,
	    snp_maker_teardown);
}
