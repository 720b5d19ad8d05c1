/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/memo.h"
#include "attest/tdx_parts.h"
#include "tests/unit/denied.h"
#include "tests/unit/tdx-bench.h"

/* Edits: one thing each. */

#define EDIT(name) static void edit_##name(struct bench *b)
#define SPEC(name, statement)                                                  \
	static void edit_##name(struct bench *b)                               \
	{                                                                      \
		struct tdx_spec *s = &b->spec;                                 \
		struct policy_tdx *p = &b->policy.tdx;                         \
		(void)s;                                                       \
		(void)p;                                                       \
		statement;                                                     \
	}

SPEC(version, s->version = 3)
SPEC(key_type, s->key_type = 3)
SPEC(tee_type, s->tee_type = 0)
SPEC(vendor, s->vendor[15] ^= 1)
SPEC(body_size, s->size_delta = -64)
SPEC(body_type, s->body_type = 2; s->size_delta = 64)
SPEC(body_ex_short, s->body_type = 4; s->size_delta = 648 - 885)
SPEC(body_15_long, s->body_type = 3; s->size_delta = 885 - 648)
SPEC(body_5, s->body_type = 5)
SPEC(body_sgx, s->body_type = 1)
SPEC(outer_type, s->outer_type = 5)
SPEC(inner_type, s->inner_type = 1)
SPEC(longer, s->signature_delta = 1)
SPEC(shorter, s->signature_delta = -1)
SPEC(outer_longer, s->outer_delta = 1)
SPEC(outer_shorter, s->outer_delta = -1)
SPEC(inner_longer, s->inner_delta = 1)
SPEC(inner_shorter, s->inner_delta = -1)
EDIT(trailing)
{
	assert_int_equal(blob_set(&b->spec.trailing, span("\0\0\1", 3)),
	    CVM_OK);
}
SPEC(four_certs, s->pem_extra = true)
SPEC(leaf_cn, s->pck.cn = "Intel SGX PCK Certificates")
SPEC(leaf_ou, s->pck.extra_ou = true)
SPEC(leaf_org, s->pck.org = "Intel Corporatiom")
SPEC(ca_cn, s->ca.cn = "Intel SGX PCK Other CA")
SPEC(root_cn, s->root.cn = "Intel SGX Root")
SPEC(p384, s->pck.key = KEY_P384)
SPEC(sha384, s->pck.sha384 = true)
SPEC(pin, b->no_roots = true)
SPEC(leaf_expired, s->pck.until = TDX_MAKER_NOW - 1)
SPEC(leaf_early, s->pck.from = TDX_MAKER_NOW + 1)
SPEC(ca_expired, s->ca.until = TDX_MAKER_NOW - 1)
SPEC(leaf_forged, s->pck.signer = KEY_OTHER)
SPEC(ca_forged, s->ca.signer = KEY_OTHER)
SPEC(leaf_usage, s->pck.no_digital_signature = true)
SPEC(extension, s->extension_damaged = true)
SPEC(qe_forged, s->qe_signer_key = KEY_OTHER)
SPEC(binding, s->break_binding = true)
SPEC(binding_tail, s->binding_tail = true)
SPEC(off_curve, s->bad_point = true)
SPEC(quote_forged, s->quote_signer = KEY_OTHER)
SPEC(qe_reserved, s->qe_report[QE_RESERVED1] = 1)

SPEC(no_root_crl, s->root_crl.absent = true)
SPEC(root_crl_no_number, s->root_crl.no_number = true)
SPEC(root_crl_no_key_id, s->root_crl.no_key_id = true)
SPEC(root_crl_other, s->root_crl.issuer_cn = "Intel SGX Root CB")
SPEC(no_pck_crl, s->pck_crl.absent = true)
SPEC(pck_crl_no_number, s->pck_crl.no_number = true)
SPEC(pck_crl_no_key_id, s->pck_crl.no_key_id = true)
SPEC(pck_crl_processor, s->pck_crl.issuer_cn = "Intel SGX PCK Processor CA")
SPEC(pck_crl_forged, s->pck_crl.signer = KEY_OTHER)
SPEC(pck_crl_expired, s->pck_crl.until = TDX_MAKER_NOW - 1)
SPEC(pck_crl_future, s->pck_crl.from = TDX_MAKER_NOW + 1)
SPEC(pck_revoked, s->pck.revoked = true)
SPEC(ca_revoked, s->ca.revoked = true)

SPEC(no_tcb_info, s->tcb_info.absent = true)
SPEC(ti_signer_cn, s->signer.cn = "Intel SGX PCK Certificate")
SPEC(ti_signer_expired, s->signer.until = TDX_MAKER_NOW - 1)
SPEC(ti_signer_revoked, s->signer.revoked = true)
SPEC(ti_signer_forged, s->signer.signer = KEY_OTHER)
SPEC(ti_forged, s->tcb_info.signer = KEY_OTHER)
#define REPLACE(what, name, from, to)                                          \
	SPEC(name, s->what.find = from; s->what.replace = to)
#define AFTER(what, name, from, to)                                            \
	SPEC(name, s->what.find_after = from; s->what.replace_after = to)
AFTER(tcb_info, ti_changed, "UpToDate", "Revoked")
AFTER(tcb_info, ti_spaced, "\"id\":", "\"id\": ")
AFTER(tcb_info, ti_twice, "}],\"tcbLevels\"", "}],\"a\":1,\"tcbLevels\"")
REPLACE(tcb_info, ti_duplicate, "\"version\":3", "\"version\":3,\"version\":3")
REPLACE(tcb_info, ti_fifteen, "{\"svn\":0},", "")
REPLACE(tcb_info, ti_wide, "{\"svn\":2}", "{\"svn\":65473}")
REPLACE(tcb_info, ti_float, "\"pcesvn\":13", "\"pcesvn\":13.0")
REPLACE(tcb_info, ti_negative, "\"pcesvn\":13", "\"pcesvn\":-1")
REPLACE(tcb_info, ti_word, "\"UpToDate\"", "\"Uptodate\"")
REPLACE(tcb_info, ti_same_level, "\"isvsvn\":2", "\"isvsvn\":3")
REPLACE(tcb_info, ti_date, "-05-14T", "-02-30T")
REPLACE(tcb_info, ti_sgx, "\"id\":\"TDX\"", "\"id\":\"SGX\"")
REPLACE(tcb_info, ti_version, "\"version\":3", "\"version\":4")
REPLACE(tcb_info, ti_type, "\"tcbType\":0", "\"tcbType\":1")
SPEC(ti_expired, s->tcb_info.next = TDX_MAKER_NOW)
SPEC(ti_future, s->tcb_info.issue = TDX_MAKER_NOW + 1)
SPEC(fmspc, s->fmspc[5] = 1)
SPEC(pceid, s->pceid[1] = 1)
SPEC(no_qe_identity, s->qe_identity.absent = true)
SPEC(qi_signer_cn, s->qe_signer.cn = "Intel SGX PCK Certificate")
SPEC(qi_signer_expired, s->qe_signer.until = TDX_MAKER_NOW - 1)
SPEC(qi_forged, s->qe_identity.signer = KEY_OTHER)
AFTER(qe_identity, qi_changed, "\"isvsvn\":4", "\"isvsvn\":3")
REPLACE(qe_identity, qi_form, "\"isvprodid\":2", "\"isvprodid\":65538")
REPLACE(qe_identity, qi_id, "TD_QE", "QE")
REPLACE(qe_identity, qi_version, "\"version\":2", "\"version\":1")
SPEC(qi_expired, s->qe_identity.next = TDX_MAKER_NOW)
SPEC(qi_future, s->qe_identity.issue = TDX_MAKER_NOW + 1)
SPEC(numbers, s->qe_identity.number = 18)
SPEC(floor, p->min_tcb_evaluation_data_number = 20)

SPEC(qe_misc, s->qe_report[QE_MISCSELECT] = 1)
SPEC(qe_debug, s->qe_report[QE_ATTRIBUTES] = 0x13)
SPEC(qe_mrsigner, s->qe_report[QE_MRSIGNER] ^= 1)
SPEC(qe_prodid, s->qe_report[QE_ISVPRODID] = 1)
SPEC(qe_svn, s->qe_report[QE_ISVSVN] = 1)
SPEC(module_unknown, s->body[AT_TEE_TCB_SVN + 1] = 2)
SPEC(module_signer, s->body[AT_MRSIGNERSEAM] = 1)
SPEC(module_attributes, s->body[AT_SEAMATTRIBUTES] = 1)
/* The identity speaks of no bit: then all must be zero. */
SPEC(module_unmasked, s->body[AT_SEAMATTRIBUTES] = 1;
     s->tcb_info.find = "FFFFFFFFFFFFFFFF\",\"tcbLevels\":[{\"tcb\":{"
			"\"isvsvn\":6";
     s->tcb_info.replace = "0000000000000000\",\"tcbLevels\":[{\"tcb\":{"
			   "\"isvsvn\":6")
SPEC(module_svn, s->body[AT_TEE_TCB_SVN] = 1)
SPEC(component, s->components[4] = 1)
SPEC(pcesvn, s->pcesvn = 12)
SPEC(seamldr, s->body[AT_TEE_TCB_SVN + 2] = 1)
EDIT(status)
{
	static char advisory[] = "INTEL-SA-00999";

	b->spec.qe_report[QE_ISVSVN] = 2;
	b->advisories[0] = advisory;
	b->policy.tdx.advisories = (struct string_list){ b->advisories, 1 };
}
EDIT(advisory)
{
	static char out_of_date[] = "OutOfDate";

	b->spec.qe_report[QE_ISVSVN] = 2;
	b->status = out_of_date;
}
SPEC(min_svn, p->min_tee_tcb_svn[2] = 4)

static void
one_value(struct bench *b, struct value_list *list, size_t len)
{
	uint8_t other[48];

	memset(other, 0xcd, sizeof(other));
	assert_int_equal(blob_set(&b->value, span(other, len)), CVM_OK);
	*list = (struct value_list){ &b->value, 1 };
}
SPEC(list_fmspc, one_value(b, &p->fmspc, 6))
SPEC(list_instance, one_value(b, &p->platform_instance_id, 16))
EDIT(instance_silent)
{
	static const uint8_t zero[16];

	b->spec.processor = true;
	assert_int_equal(blob_set(&b->value, span(zero, 16)), CVM_OK);
	b->policy.tdx.platform_instance_id = (struct value_list){ &b->value,
		1 };
}
SPEC(dynamic, p->dynamic_platform = false; s->flags[0] = 0xff)
SPEC(cached, p->cached_keys = false; s->flags[1] = 0xff)
SPEC(smt, p->smt = false; s->flags[2] = 0xff)
SPEC(smt_silent, p->smt = false; s->processor = true)
SPEC(debug, s->body[AT_TDATTRIBUTES] = 1)
SPEC(reserved, s->body[AT_TDATTRIBUTES] = 2)
SPEC(reserved_high, s->body[AT_TDATTRIBUTES + 5] = 1)
SPEC(sept, s->body[AT_TDATTRIBUTES + 3] = 0)
SPEC(migratable, s->body[AT_TDATTRIBUTES + 3] |= 0x20)
SPEC(pks, p->pks = REQUIRE)
SPEC(key_locker, p->key_locker = FORBID; s->body[AT_TDATTRIBUTES + 3] |= 0x80)
SPEC(perfmon, s->body[AT_TDATTRIBUTES + 7] = 0x80)
SPEC(xfam_low, s->body[AT_XFAM] = 0xe5)
SPEC(xfam_high, s->body[AT_XFAM + 2] = 0x16)
SPEC(xfam, p->xfam_set = true; p->xfam = 0x61ae6)
SPEC(mrseam, one_value(b, &p->mrseam, 48))
SPEC(mrtd, one_value(b, &p->mrtd, 48))
SPEC(no_mrtd, p->mrtd.n = 0)
SPEC(rtmr, p->n_rtmr_sets = 1; p->rtmr_sets[0].mask = 4)
SPEC(mrconfigid, one_value(b, &p->mrconfigid, 48))
SPEC(mrowner, one_value(b, &p->mrowner, 48))
SPEC(mrownerconfig, one_value(b, &p->mrownerconfig, 48))
SPEC(mrservicetd, s->body[AT_MRSERVICETD + 47] = 1)
SPEC(mrservicetd_list, one_value(b, &p->mrservicetd, 48))
SPEC(ex_mrservicetd, s->body_type = 4; s->body[AT_MRSERVICETD] = 1)
SPEC(init_servtd, s->body_type = 4; s->body[AT_INIT_SERVTD_HASH] = 1)
SPEC(init_servtd_end, s->body_type = 4; s->body[AT_INIT_SERVTD_HASH + 47] = 1)
SPEC(curr_servtd, s->body_type = 4; s->body[AT_CURR_SERVTD_HASH] = 1)
SPEC(curr_servtd_end, s->body_type = 4; s->body[AT_CURR_SERVTD_HASH + 47] = 1)
SPEC(vmid, s->body_type = 4; s->body[AT_VMID] = 1)
SPEC(vmid_last, s->body_type = 4; s->body[AT_VMID] = 0xff)

/* Every check, and what only it catches. version 0: in both versions. */
#define ROW(id, version, name)                                                 \
	{                                                                      \
		CHECK_TDX_##id, version, #name, edit_##name                    \
	}
static const struct {
	enum check_id id;
	unsigned version;
	const char *name;
	void (*edit)(struct bench *b);
} mutations[] = {
	ROW(01, 0, version),
	ROW(02, 0, key_type),
	ROW(03, 0, tee_type),
	ROW(04, 0, vendor),
	ROW(05, 5, body_size),
	ROW(05, 5, body_type),
	ROW(05, 5, body_ex_short),
	ROW(05, 5, body_15_long),
	ROW(05, 5, body_5),
	ROW(05, 5, body_sgx),
	ROW(06, 0, outer_type),
	ROW(06, 0, inner_type),
	ROW(06, 0, longer),
	ROW(06, 0, shorter),
	ROW(06, 0, outer_longer),
	ROW(06, 0, outer_shorter),
	ROW(06, 0, inner_longer),
	ROW(06, 0, inner_shorter),
	ROW(07, 0, trailing),
	ROW(08, 0, four_certs),
	ROW(09, 0, leaf_cn),
	ROW(09, 0, leaf_org),
	ROW(09, 0, leaf_ou),
	ROW(09, 0, ca_cn),
	ROW(09, 0, root_cn),
	ROW(10, 0, sha384),
	ROW(10, 0, p384),
	ROW(11, 0, pin),
	ROW(12, 0, leaf_expired),
	ROW(12, 0, leaf_early),
	ROW(12, 0, ca_expired),
	ROW(13, 0, leaf_forged),
	ROW(13, 0, ca_forged),
	ROW(13, 0, leaf_usage),
	ROW(14, 0, extension),
	ROW(15, 0, qe_forged),
	ROW(16, 0, binding),
	ROW(16, 0, binding_tail),
	ROW(17, 0, off_curve),
	ROW(18, 0, quote_forged),
	ROW(19, 0, qe_reserved),
	ROW(21, 0, no_pck_crl),
	ROW(21, 0, pck_crl_no_number),
	ROW(21, 0, pck_crl_processor),
	ROW(21, 0, pck_crl_no_key_id),
	ROW(22, 0, pck_crl_forged),
	ROW(22, 0, pck_crl_expired),
	ROW(22, 0, pck_crl_future),
	ROW(22, 0, pck_revoked),
	ROW(22, 0, ca_revoked),
	ROW(23, 0, no_tcb_info),
	ROW(24, 0, ti_signer_cn),
	ROW(25, 0, ti_signer_expired),
	ROW(25, 0, ti_signer_revoked),
	ROW(25, 0, ti_signer_forged),
	ROW(26, 0, ti_forged),
	ROW(26, 0, ti_changed),
	ROW(26, 0, ti_spaced),
	ROW(26, 0, ti_twice),
	ROW(27, 0, ti_duplicate),
	ROW(27, 0, ti_fifteen),
	ROW(27, 0, ti_wide),
	ROW(27, 0, ti_float),
	ROW(27, 0, ti_negative),
	ROW(27, 0, ti_word),
	ROW(27, 0, ti_same_level),
	ROW(27, 0, ti_date),
	ROW(28, 0, ti_sgx),
	ROW(28, 0, ti_version),
	ROW(28, 0, ti_type),
	ROW(29, 0, ti_expired),
	ROW(29, 0, ti_future),
	ROW(30, 0, fmspc),
	ROW(31, 0, pceid),
	ROW(32, 0, no_qe_identity),
	ROW(33, 0, qi_signer_cn),
	ROW(34, 0, qi_signer_expired),
	ROW(35, 0, qi_forged),
	ROW(35, 0, qi_changed),
	ROW(36, 0, qi_form),
	ROW(37, 0, qi_id),
	ROW(37, 0, qi_version),
	ROW(38, 0, qi_expired),
	ROW(38, 0, qi_future),
	ROW(39, 0, numbers),
	ROW(40, 0, floor),
	ROW(41, 0, qe_misc),
	ROW(42, 0, qe_debug),
	ROW(43, 0, qe_mrsigner),
	ROW(44, 0, qe_prodid),
	ROW(45, 0, qe_svn),
	ROW(46, 0, module_unknown),
	ROW(47, 0, module_signer),
	ROW(48, 0, module_attributes),
	ROW(48, 0, module_unmasked),
	ROW(49, 0, module_svn),
	ROW(50, 0, component),
	ROW(50, 0, pcesvn),
	ROW(50, 0, seamldr),
	ROW(51, 0, status),
	ROW(52, 0, advisory),
	ROW(53, 0, min_svn),
	ROW(54, 0, list_fmspc),
	ROW(55, 0, list_instance),
	ROW(55, 0, instance_silent),
	ROW(56, 0, dynamic),
	ROW(57, 0, cached),
	ROW(58, 0, smt),
	ROW(58, 0, smt_silent),
	ROW(59, 0, debug),
	ROW(60, 0, reserved),
	ROW(60, 0, reserved_high),
	ROW(61, 0, sept),
	ROW(62, 0, migratable),
	ROW(63, 0, pks),
	ROW(64, 0, key_locker),
	ROW(65, 0, perfmon),
	ROW(66, 0, xfam_low),
	ROW(66, 0, xfam_high),
	ROW(67, 0, xfam),
	ROW(68, 0, mrseam),
	ROW(69, 0, mrtd),
	ROW(69, 0, no_mrtd),
	ROW(70, 0, rtmr),
	ROW(71, 0, mrconfigid),
	ROW(72, 0, mrowner),
	ROW(73, 0, mrownerconfig),
	ROW(74, 5, mrservicetd),
	ROW(74, 0, mrservicetd_list),
	ROW(74, 5, ex_mrservicetd),
	ROW(74, 5, init_servtd),
	ROW(74, 5, init_servtd_end),
	ROW(74, 5, curr_servtd),
	ROW(74, 5, curr_servtd_end),
	ROW(81, 5, vmid),
	ROW(81, 5, vmid_last),
	/* Without the root's CRL no signer can be trusted either: see
	 * root_crl_missing(). */
	ROW(20, 0, no_root_crl),
	ROW(20, 0, root_crl_no_number),
	ROW(20, 0, root_crl_other),
	ROW(20, 0, root_crl_no_key_id),
};

/* Signers of collateral depend on the CRL of the root, and say so too. */
static bool
follows(enum check_id id, enum check_id cause)
{
	return cause == CHECK_TDX_20 &&
	    (id == CHECK_TDX_25 || id == CHECK_TDX_34);
}

static void
mutate(size_t m, unsigned version)
{
	struct bench b;
	size_t others = 0;

	bench_begin(&b, version);
	mutations[m].edit(&b);
	bench_make(&b);
	assert_false(bench_appraise(&b));
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (b.v.results[i].status == CHECK_FAIL &&
		    i != (size_t)mutations[m].id &&
		    !follows((enum check_id)i, mutations[m].id))
			others++;
	if (b.v.results[mutations[m].id].status != CHECK_FAIL || others > 0) {
		print_failed(&b.v);
		fail_msg("%s (v%u): wanted %s alone", mutations[m].name,
		    version, check_table[mutations[m].id].name);
	}
	/* People must be told both sides. */
	assert_true(b.v.results[mutations[m].id].got[0] != '\0');
	assert_true(b.v.results[mutations[m].id].expected[0] != '\0');
	blob_clear(&b.spec.trailing);
	bench_end(&b);
}

static void
each_fault_is_caught_by_its_check(void **state)
{
	(void)state;
	for (size_t m = 0; m < NELEMS(mutations); m++)
		for (unsigned version = 4; version <= 5; version++)
			if (mutations[m].version == 0 ||
			    mutations[m].version == version)
				mutate(m, version);
}

static void
each_check_catches_a_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		/* The launch endorsement has a test of its own. */
		bool found = check_table[i].group != GROUP_TDX ||
		    (i >= CHECK_TDX_75 && i <= CHECK_TDX_80);

		for (size_t m = 0; !found && m < NELEMS(mutations); m++)
			found = (size_t)mutations[m].id == i;
		if (!found)
			fail_msg("no fault for %s", check_table[i].name);
	}
}

static void
expect_admit(struct bench *b)
{
	bench_make(b);
	if (!bench_appraise(b)) {
		print_failed(&b->v);
		fail_msg("denied");
	}
	bench_end(b);
}

static void
a_good_quote_is_admitted(void **state)
{
	struct bench b;

	(void)state;
	for (unsigned version = 4; version <= 5; version++) {
		bench_begin(&b, version);
		bench_make(&b);
		if (!bench_appraise(&b))
			print_failed(&b.v);
		assert_true(b.v.admit);
		assert_int_equal(b.facts.newest_time,
		    TDX_MAKER_NOW - 5 * TDX_MAKER_DAY);
		bench_end(&b);
		bench_begin(&b, version);
		b.spec.processor = true;
		expect_admit(&b);
	}
}

static void
the_newest_time_may_be_a_crls(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, 4);
	b.spec.pck_crl.from = TDX_MAKER_NOW - TDX_MAKER_DAY;
	bench_make(&b);
	assert_true(bench_appraise(&b));
	assert_int_equal(b.facts.newest_time, TDX_MAKER_NOW - TDX_MAKER_DAY);
	bench_end(&b);
}

static void
td10_in_version_5_is_admitted(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, 5);
	b.spec.body_type = 2;
	expect_admit(&b);
}

/* Which says what TD it is, and of which platform it began as. */
static void
extended_td15_is_admitted(void **state)
{
	struct policy_tdx *p;
	struct blob moved = { 0 };
	struct bench b;

	(void)state;
	bench_begin(&b, 5);
	b.spec.body_type = 4;
	expect_admit(&b);
	bench_begin(&b, 5);
	b.spec.body_type = 4;
	memset(b.spec.body + AT_TD_ID, 0xa5, 32);
	b.spec.body[AT_INIT_TEE_TCB_SVN] = 5;
	expect_admit(&b);
	/* A service TD that the policy names, then and now. */
	bench_begin(&b, 5);
	p = &b.policy.tdx;
	b.spec.body_type = 4;
	memset(b.spec.body + AT_MRSERVICETD, 0x12, 48);
	memset(b.spec.body + AT_INIT_SERVTD_HASH, 0x12, 48);
	memset(b.spec.body + AT_CURR_SERVTD_HASH, 0x12, 48);
	assert_int_equal(blob_set(&moved,
			     span(b.spec.body + AT_MRSERVICETD, 48)),
	    CVM_OK);
	p->mrservicetd = (struct value_list){ &moved, 1 };
	expect_admit(&b);
	blob_clear(&moved);
}

/* All of the extended body is signed. */
static void
extended_td15_is_signed(void **state)
{
	static const size_t at[] = { AT_VMID, AT_TD_ID, AT_INIT_SERVTD_HASH,
		AT_INIT_TEE_TCB_SVN, AT_CURR_SERVTD_ATTR, 884 };
	struct bench b;

	(void)state;
	bench_begin(&b, 5);
	b.spec.body_type = 4;
	bench_make(&b);
	assert_true(bench_appraise(&b));
	for (size_t i = 0; i < NELEMS(at); i++) {
		uint8_t *byte = b.evidence.tee_report.data + 54 + at[i];

		*byte ^= 1;
		assert_false(bench_appraise(&b));
		assert_int_equal(b.v.results[CHECK_TDX_18].status, CHECK_FAIL);
		*byte ^= 1;
	}
	assert_true(bench_appraise(&b));
	bench_end(&b);
}

/* By the bits that a TD may have, and those that a policy decides about. */
static void
attribute_bits(void **state)
{
	static const uint64_t known = UINT64_C(1) << 16 | UINT64_C(1) << 27 |
	    UINT64_C(1) << 28 | UINT64_C(1) << 30 | UINT64_C(1) << 31;
	static const uint64_t decided = UINT64_C(1) << 0 | UINT64_C(1) << 29 |
	    UINT64_C(1) << 63;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t set = UINT64_C(1) << bit;
		struct bench b;
		bool admitted;

		bench_begin(&b, 4);
		b.spec.body[AT_TDATTRIBUTES + bit / 8] |= (uint8_t)(1u
		    << bit % 8);
		bench_make(&b);
		admitted = bench_appraise(&b);
		if (admitted != ((known & set) != 0) ||
		    (b.v.results[CHECK_TDX_60].status == CHECK_FAIL) !=
			(((known | decided) & set) == 0))
			fail_msg("bit %u: %s", bit,
			    admitted ? "admitted" : "denied");
		bench_end(&b);
	}
}

/* As above: x87 and SSE must be there, and some others may. */
static void
xfam_bits(void **state)
{
	static const uint64_t may = 0x6dbe4 | UINT64_C(1) << 19;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		struct bench b;
		bool admitted;

		bench_begin(&b, 4);
		b.spec.body[AT_XFAM + bit / 8] ^= (uint8_t)(1u << bit % 8);
		bench_make(&b);
		admitted = bench_appraise(&b);
		if (admitted != ((may & UINT64_C(1) << bit) != 0) ||
		    (b.v.results[CHECK_TDX_66].status == CHECK_FAIL) !=
			!admitted)
			fail_msg("bit %u: %s", bit,
			    admitted ? "admitted" : "denied");
		bench_end(&b);
	}
}

/* The policy names everything that can be named, and the TD has it. */
static void
every_reference_value_matches(void **state)
{
	struct bench b;
	struct policy_tdx *p = &b.policy.tdx;
	struct blob v[8] = { 0 };
	struct value_list *const lists[] = { &p->mrseam, &p->mrconfigid,
		&p->mrowner, &p->mrownerconfig, &p->mrservicetd };
	const size_t at[] = { AT_MRSEAM, AT_MRCONFIGID, AT_MROWNER,
		AT_MROWNERCONFIG, AT_MRSERVICETD };

	(void)state;
	bench_begin(&b, 5);
	memset(b.spec.body + AT_MRSERVICETD, 0x12, 48);
	for (size_t i = 0; i < NELEMS(lists); i++) {
		assert_int_equal(blob_set(&v[i], span(b.spec.body + at[i], 48)),
		    CVM_OK);
		*lists[i] = (struct value_list){ &v[i], 1 };
	}
	assert_int_equal(blob_set(&v[5], span(b.spec.fmspc, 6)), CVM_OK);
	p->fmspc = (struct value_list){ &v[5], 1 };
	assert_int_equal(blob_set(&v[6], span(b.spec.instance, 16)), CVM_OK);
	p->platform_instance_id = (struct value_list){ &v[6], 1 };
	p->n_rtmr_sets = 2;
	p->rtmr_sets[0].mask = p->rtmr_sets[1].mask = 0xf;
	for (size_t i = 0; i < 4; i++)
		memcpy(p->rtmr_sets[1].value[i],
		    b.spec.body + AT_RTMR0 + 48 * i, 48);
	p->xfam_set = true;
	p->xfam = 0x61ae7;
	p->dynamic_platform = p->cached_keys = p->smt = false;
	p->min_tee_tcb_svn[0] = 6;
	p->min_tcb_evaluation_data_number = 19;
	p->pks = p->key_locker = FORBID;
	expect_admit(&b);
	for (size_t i = 0; i < NELEMS(v); i++)
		blob_clear(&v[i]);
}

/* Half of one set and half of another is no set. */
static void
rtmr_sets_do_not_mix(void **state)
{
	struct bench b;
	struct policy_tdx *p = &b.policy.tdx;

	(void)state;
	bench_begin(&b, 4);
	p->n_rtmr_sets = 2;
	for (size_t k = 0; k < 2; k++) {
		p->rtmr_sets[k].mask = 0x3;
		memcpy(p->rtmr_sets[k].value[k],
		    b.spec.body + AT_RTMR0 + 48 * k, 48);
	}
	bench_make(&b);
	assert_false(bench_appraise(&b));
	assert_int_equal(b.v.results[CHECK_TDX_70].status, CHECK_FAIL);
	bench_end(&b);
}

static void
an_empty_rtmr_set_matches_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, 4);
	b.policy.tdx.n_rtmr_sets = 1;
	bench_make(&b);
	assert_false(bench_appraise(&b));
	assert_int_equal(b.v.results[CHECK_TDX_70].status, CHECK_FAIL);
	bench_end(&b);
}

static void
trailing_bytes_need_the_policy(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, 4);
	edit_trailing(&b);
	b.policy.tdx.trailing_bytes = true;
	bench_make(&b);
	assert_true(bench_appraise(&b));
	assert_int_equal(b.v.results[CHECK_TDX_07].status, CHECK_SKIPPED);
	blob_clear(&b.spec.trailing);
	bench_end(&b);
}

static void
revoked_is_never_accepted(void **state)
{
	static char revoked[] = "Revoked";
	struct bench b;

	(void)state;
	bench_begin(&b, 4);
	b.status = revoked;
	b.spec.qe_identity.find = "UpToDate";
	b.spec.qe_identity.replace = "Revoked";
	bench_make(&b);
	assert_false(bench_appraise(&b));
	assert_int_equal(b.v.results[CHECK_TDX_51].status, CHECK_FAIL);
	bench_end(&b);
}

static void
no_endorsements_is_a_denial(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, 4);
	bench_make(&b);
	b.a.endorsements = NULL;
	assert_false(bench_appraise(&b));
	assert_int_equal(b.v.results[CHECK_TDX_18].status, CHECK_PASS);
	assert_int_equal(b.v.results[CHECK_TDX_20].status, CHECK_FAIL);
	assert_int_equal(b.v.results[CHECK_TDX_23].status, CHECK_FAIL);
	bench_end(&b);
}

/* Intel's dates: collateral, CRLs and certificates, whichever ends first. */
static void
memory_outlives_intels_dates(void **state)
{
	struct bench b;
	struct verdict v;
	struct appraisal_facts f;
	struct memos *memos;
	int64_t until, from;

	(void)state;
	bench_begin(&b, 5);
	bench_make(&b);
	b.a.cache = chain_cache_new();
	memos = chain_cache_memos(b.a.cache);
	appraise(&b.a, &v, &f);
	from = f.valid_from;
	until = f.valid_until;
	assert_true(from < b.a.now && until > b.a.now);
	assert_true(f.newest_time > 0 && f.newest_time <= b.a.now);
	appraise(&b.a, &v, &f);
	assert_int_equal(memo_recalls(memos), 1);
	assert_int_equal(f.valid_until, until);
	b.a.now = until;
	appraise(&b.a, &v, &f);
	assert_int_equal(memo_recalls(memos), 2);
	b.a.now = until + 1;
	assert_false(bench_appraise(&b));
	appraise(&b.a, &v, &f);
	assert_int_equal(memo_recalls(memos), 2);
	b.a.now = from - 1;
	assert_false(bench_appraise(&b));
	appraise(&b.a, &v, &f);
	assert_int_equal(memo_recalls(memos), 2);
	chain_cache_freep(&b.a.cache);
	bench_end(&b);
}

static void
a_repeated_appraisal_comes_from_memory(void **state)
{
	struct chain_cache *cache = chain_cache_new();
	struct bench b;
	size_t hits;

	(void)state;
	bench_begin(&b, 5);
	bench_make(&b);
	b.a.cache = cache;
	assert_true(bench_appraise(&b));
	hits = chain_cache_hits(cache);
	assert_true(bench_appraise(&b));
	assert_true(chain_cache_hits(cache) >= hits + 4);
	/* The clock still counts. */
	b.a.now += 400 * TDX_MAKER_DAY;
	assert_false(bench_appraise(&b));
	chain_cache_freep(&cache);
	bench_end(&b);
}

static void
every_truncation_is_refused(void **state)
{
	struct tdx_quote q;
	struct bench b;

	(void)state;
	for (unsigned version = 4; version <= 5; version++) {
		bench_begin(&b, version);
		bench_make(&b);
		for (size_t n = 0; n < b.made.quote.len; n++) {
			struct why why = { 0 };

			assert_true(tdx_quote_parse(span(b.made.quote.data, n),
					&q, &why) < 0);
			assert_true(why.got[0] != '\0');
		}
		assert_int_equal(tdx_quote_parse(blob_span(&b.made.quote), &q,
				     NULL),
		    CVM_OK);
		assert_memory_equal(q.report_data.data,
		    b.spec.body + AT_REPORTDATA, 64);
		assert_int_equal(q.trailing.len, 0);
		bench_end(&b);
	}
}

static void
a_tdreport_is_not_a_quote(void **state)
{
	uint8_t report[1024] = { 0x81 };
	struct tdx_quote q;
	struct why why = { 0 };

	(void)state;
	assert_int_equal(tdx_quote_parse(span(report, sizeof(report)), &q,
			     &why),
	    CVM_E_UNSUPPORTED);
	assert_non_null(strstr(why.got, "TDREPORT"));
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
		cmocka_unit_test(a_good_quote_is_admitted),
		cmocka_unit_test(the_newest_time_may_be_a_crls),
		cmocka_unit_test(td10_in_version_5_is_admitted),
		cmocka_unit_test(extended_td15_is_admitted),
		cmocka_unit_test(extended_td15_is_signed),
		cmocka_unit_test(attribute_bits),
		cmocka_unit_test(xfam_bits),
		cmocka_unit_test(every_reference_value_matches),
		cmocka_unit_test(each_fault_is_caught_by_its_check),
		cmocka_unit_test(each_check_catches_a_fault),
		cmocka_unit_test(rtmr_sets_do_not_mix),
		cmocka_unit_test(an_empty_rtmr_set_matches_nothing),
		cmocka_unit_test(trailing_bytes_need_the_policy),
		cmocka_unit_test(revoked_is_never_accepted),
		cmocka_unit_test(no_endorsements_is_a_denial),
		cmocka_unit_test(memory_outlives_intels_dates),
		cmocka_unit_test(a_repeated_appraisal_comes_from_memory),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(a_tdreport_is_not_a_quote),
	};

	return denied_end("tdx",
	    cmocka_run_group_tests_name("tdx", tests, NULL, end));
}
