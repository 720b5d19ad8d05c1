/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/chain_cache.h"
#include "tests/unit/denied.h"
#include "tests/unit/snp-maker.h"

static const enum snp_product all_products[] = SNP_PRODUCTS;

static void
good_machines(void **state)
{
	struct snp_machine m;

	(void)state;
	for (size_t i = 0; i < NELEMS(all_products); i++)
		for (unsigned from = IN_ENDORSEMENTS; from <= 3; from++)
			for (int vlek = 0; vlek <= 1; vlek++) {
				snp_machine_init(&m, all_products[i],
				    vlek != 0);
				m.vek_from = m.cas_from = from;
				snp_accepted(&m);
			}
}

static void
report_length(void **state)
{
	uint8_t bytes[SNP_REPORT_LEN + 1] = { 0 };
	struct snp_report r;
	struct why why = { 0 };
	MILAN(m);

	(void)state;
	snp_sign(&m);
	memcpy(bytes, m.report, SNP_REPORT_LEN);
	assert_int_equal(snp_report_parse(span(bytes, SNP_REPORT_LEN), &r,
			     &why),
	    0);
	assert_true(span_equal(r.report_data,
	    span(&bytes[AT_REPORT_DATA], REPORT_DATA_LEN)));
	assert_int_equal(snp_report_parse(span(bytes, SNP_REPORT_LEN - 1), &r,
			     &why),
	    CVM_E_PARSE);
	assert_int_equal(snp_report_parse(span(bytes, SNP_REPORT_LEN + 1), &r,
			     &why),
	    CVM_E_PARSE);
	assert_int_equal(snp_report_parse(span(bytes, 0), &r, &why),
	    CVM_E_PARSE);
}

static void
report_empty(void **state)
{
	struct evidence e = { .tee = TEE_SNP };
	struct appraisal_facts facts = { 0 };
	struct appraisal a = { .evidence = &e };
	struct verdict v;
	MILAN(m);

	(void)state;
	a.policy = &m.policy;
	verdict_init(&v, GROUP_SNP);
	assert_false(snp_appraise(&a, &v, &facts));
	verdict_finish(&v);
	assert_false(v.admit);
	assert_int_equal(v.results[CHECK_SNP_01].status, CHECK_FAIL);
}

static void
version_unknown(void **state)
{
	static const uint32_t bad[] = { 0, 1, 6, 0x103, 0x80000003 };
	static const uint32_t good[] = { 3, 4, 5 };

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++) {
		MILAN(m);
		snp_put32(&m, AT_VERSION, bad[i]);
		snp_denied_by(&m, CHECK_SNP_01);
	}
	for (size_t i = 0; i < NELEMS(good); i++) {
		MILAN(m);
		snp_put32(&m, AT_VERSION, good[i]);
		snp_accepted(&m);
	}
}

/* Version 2 names no CPU: the line is then that of the certificate. */
static void
version_2(void **state)
{
	struct snp_machine m;

	(void)state;
	for (size_t i = 0; i < NELEMS(all_products); i++) {
		snp_machine_init(&m, all_products[i], false);
		snp_put32(&m, AT_VERSION, 2);
		memset(&m.report[AT_CPUID], 0, 3);
		memset(&m.report[AT_LAUNCH_MIT], 0, 16);
		if (snp_is_since_turin(all_products[i])) {
			snp_denied_by(&m, CHECK_SNP_12);
			continue;
		}
		snp_accepted(&m);
		m.policy.snp.products = SNP_TURIN;
		snp_denied_by(&m, CHECK_SNP_12);
		m.policy.snp.products = all_products[i];
		m.report[AT_CPUID] = 0x19;
		snp_denied_by(&m, CHECK_SNP_02);
	}
}

static void
reserved_not_zero(void **state)
{
	static const struct {
		size_t first, last;
		bool signature;
	} ranges[] = {
		{ 0x04c, 0x04f, false },
		{ 0x18b, 0x19f, false },
		{ 0x1eb, 0x1eb, false },
		{ 0x1ef, 0x1ef, false },
		{ 0x1f8, 0x207, false }, /* mitigations, not before v5 */
		{ 0x208, 0x29f, false },
		{ 0x2d0, 0x2e7, true },
		{ 0x318, 0x32f, true },
		{ 0x330, 0x49f, true },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(ranges); i++)
		for (size_t at = ranges[i].first; at <= ranges[i].last;
		     at += ranges[i].last > ranges[i].first ?
			 ranges[i].last - ranges[i].first :
			 1) {
			struct snp_report r;
			MILAN(m);

			if (ranges[i].signature) {
				snp_sign(&m);
				m.resign = false;
			}
			m.report[at] = 0x80;
			snp_denied_by(&m, CHECK_SNP_02);
			assert_int_equal(snp_report_parse(span(m.report,
							      SNP_REPORT_LEN),
					     &r, NULL),
			    CVM_E_PARSE);
		}
}

static void
signature_algorithm(void **state)
{
	static const uint32_t bad[] = { 0, 2, 0x101, 0x80000001 };

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++) {
		MILAN(m);
		snp_put32(&m, AT_ALGO, bad[i]);
		snp_denied_by(&m, CHECK_SNP_03);
	}
}

static void
policy_malformed(void **state)
{
	static const uint64_t flips[] = { SNP_POLICY_ONE, 1ULL << 26,
		1ULL << 40, 1ULL << 63 };

	(void)state;
	for (size_t i = 0; i < NELEMS(flips); i++) {
		MILAN(m);
		snp_put64(&m, AT_POLICY,
		    (SNP_POLICY_ONE | SNP_POLICY_SMT) ^ flips[i]);
		snp_denied_by(&m, CHECK_SNP_04);
	}
}

static void
platform_unknown_bits(void **state)
{
	static const uint64_t bits[] = { 1ULL << 8, 1ULL << 9, 1ULL << 63 };

	(void)state;
	for (size_t i = 0; i < NELEMS(bits); i++) {
		MILAN(m);
		snp_put64(&m, AT_PLATFORM, SNP_PLATFORM_SMT | bits[i]);
		snp_denied_by(&m, CHECK_SNP_05);
	}
}

static void
signer_unknown(void **state)
{
	/* none, reserved keys, reserved bits, masked chip key */
	static const uint32_t bad[] = { 7 << 2, 2 << 2, 6 << 2, 1 << 5,
		1U << 31, SNP_SIGNER_MASK_CHIP_KEY };

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++) {
		MILAN(m);
		snp_put32(&m, AT_SIGNER, bad[i]);
		snp_denied_by(&m, CHECK_SNP_06);
	}
}

static void
signing_key_not_accepted(void **state)
{
	MILAN(m);
	VLEK(v);

	(void)state;
	m.policy.snp.allow_vcek = false;
	snp_denied_by(&m, CHECK_SNP_07);
	v.policy.snp.allow_vlek = false;
	snp_denied_by(&v, CHECK_SNP_07);
}

/* The report says VCEK, the certificate at hand is a VLEK, and vice versa. */
static void
certificate_of_other_kind(void **state)
{
	VLEK(m);

	(void)state;
	m.policy.snp.allow_vcek = true;
	m.vek.cn = "SEV-VCEK";
	snp_denied_by(&m, CHECK_SNP_14);
	m.vek.cn = "SEV-VLEK";
	m.ask.cn = "SEV-Milan";
	m.vek.issuer_cn = "SEV-VLEK-Milan";
	snp_denied_by(&m, CHECK_SNP_15);
}

static void
table_malformed(void **state)
{
	static const uint8_t short_table[] = { 1, 2, 3 };
	MILAN(m);

	(void)state;
	assert_int_equal(blob_set(&m.table, span(short_table, 3)), 0);
	snp_denied_by(&m, CHECK_SNP_08);
	blob_clear(&m.table);
}

static void
certificate_missing(void **state)
{
	MILAN(m);

	(void)state;
	m.vek_name = "amd/vek/other.der";
	snp_denied_by(&m, CHECK_SNP_09);
	m.vek_name = NULL;
	m.vek_from = 0;
	snp_denied_by(&m, CHECK_SNP_09);
}

/* A host's table may be older than the firmware: the right certificate among
 * the endorsements then counts. */
static void
table_outdated(void **state)
{
	_cleanup_(blob_clear) struct blob der = { 0 }, table = { 0 };
	MILAN(m);
	EVP_PKEY *old = maker_ec("P-384");
	X509 *x = maker_cert(&m.vek, old, NULL, snp_maker_key(KEY_OTHER));
	struct table_entry e = { .guid = GUID_VCEK };

	(void)state;
	maker_cert_der(x, &der);
	X509_free(x);
	EVP_PKEY_free(old);
	e.data = blob_span(&der);
	snp_table_build(&e, 1, &m.table);
	snp_accepted(&m);
	m.vek_from = 0;
	/* ... and alone, it is not enough. */
	{
		struct appraisal_facts facts = { 0 };
		struct verdict v;

		snp_machine_judge(&m, &v, &facts);
		assert_false(v.admit);
		assert_int_equal(v.results[CHECK_SNP_09].status, CHECK_PASS);
		assert_int_equal(v.results[CHECK_SNP_11].status, CHECK_FAIL);
	}
	e.data = span("garbage", 7);
	snp_table_build(&e, 1, &table);
	assert_int_equal(blob_set(&m.table, blob_span(&table)), 0);
	snp_denied_by(&m, CHECK_SNP_09);
	m.vek_from = IN_ENDORSEMENTS;
	snp_accepted(&m);
	blob_clear(&m.table);
}

static void
certificate_form(void **state)
{
	MILAN(m);

	(void)state;
	m.vek.sign = (struct sign_spec){ .md = "SHA384" };
	snp_denied_by(&m, CHECK_SNP_10);
	m.vek.sign = (struct sign_spec){ .md = "SHA256", .pss = true };
	snp_denied_by(&m, CHECK_SNP_10);
	m.vek.sign = (struct sign_spec){ .md = "SHA512", .pss = true };
	snp_denied_by(&m, CHECK_SNP_10);
}

static void
signature_wrong(void **state)
{
	static const size_t at[] = { AT_R, AT_R + 47, AT_S, AT_S + 47 };

	(void)state;
	for (size_t i = 0; i < NELEMS(at); i++) {
		MILAN(m);
		snp_sign(&m);
		m.resign = false;
		m.report[at[i]] ^= 1;
		snp_denied_by(&m, CHECK_SNP_11);
	}
	for (size_t i = 0; i < 2; i++) {
		MILAN(m);
		snp_sign(&m);
		m.resign = false;
		memset(&m.report[i == 0 ? AT_R : AT_S], 0, 48);
		snp_denied_by(&m, CHECK_SNP_11);
	}
}

/* Big-endian, as everywhere else, is not how reports have it. */
static void
signature_big_endian(void **state)
{
	MILAN(m);

	(void)state;
	snp_sign(&m);
	m.resign = false;
	for (size_t part = AT_R; part <= AT_S; part += AT_S - AT_R)
		for (size_t i = 0; i < 24; i++) {
			uint8_t t = m.report[part + i];

			m.report[part + i] = m.report[part + 47 - i];
			m.report[part + 47 - i] = t;
		}
	snp_denied_by(&m, CHECK_SNP_11);
}

static void
every_bit_flipped(void **state)
{
	_cleanup_(evidence_clear) struct evidence e = { 0 };
	_cleanup_(endorsements_freep) struct endorsements *endorsements = NULL;
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	struct appraisal_facts facts = { 0 };
	struct verdict v;
	MILAN(m);
	struct appraisal a = { .policy = &m.policy,
		.evidence = &e,
		.now = m.now,
		.cache = cache };

	(void)state;
	snp_machine_build(&m, &e, &endorsements);
	a.endorsements = endorsements;
	m.root_blob = (struct blob){ m.root_pin, SHA256_LEN };
	m.policy.snp.roots = (struct value_list){ &m.root_blob, 1 };
	/* The good one comes first, so that the cache knows it, and last. */
	for (size_t n = 0; n <= 8 * SNP_REPORT_LEN + 1; n++) {
		bool spoiled = n != 0 && n <= 8 * SNP_REPORT_LEN;
		size_t bit = spoiled ? n - 1 : 0;
		uint8_t mask = (uint8_t)(1 << bit % 8);

		if (spoiled)
			e.tee_report.data[bit / 8] ^= mask;
		verdict_init(&v, GROUP_SNP);
		(void)snp_appraise(&a, &v, &facts);
		verdict_finish(&v);
		if (v.admit == spoiled)
			fail_msg("byte 0x%zx bit %zu", bit / 8, bit % 8);
		if (spoiled)
			e.tee_report.data[bit / 8] ^= mask;
	}
	/* Two chains and a signature at the end, chains in between. */
	assert_true(chain_cache_hits(cache) >= 3);
}

static void
product_not_accepted(void **state)
{
	static const uint8_t unknown[][2] = { { 0x17, 0x01 }, { 0x19, 0x20 },
		{ 0x19, 0x9f }, { 0x19, 0xb0 }, { 0x1a, 0x20 }, { 0x1a, 0x4f },
		{ 0x1a, 0x60 }, { 0x1a, 0x8f }, { 0x1a, 0xb0 }, { 0x1a, 0xbf },
		{ 0x1a, 0xd0 }, { 0x1b, 0x00 } };
	MILAN(m);

	(void)state;
	m.policy.snp.products = SNP_GENOA | SNP_TURIN;
	snp_denied_by(&m, CHECK_SNP_12);
	m.policy.snp.products = SNP_MILAN | SNP_GENOA;
	snp_accepted(&m);
	for (size_t i = 0; i < NELEMS(unknown); i++) {
		memcpy(&m.report[AT_CPUID], unknown[i], 2);
		snp_denied_by(&m, CHECK_SNP_12);
	}
}

/* Each end of each range of models is the line's. */
static void
model_not_known(void **state)
{
	static const struct {
		enum snp_product line;
		uint8_t family, model;
	} rows[] = {
		{ SNP_MILAN, 0x19, 0x00 },
		{ SNP_MILAN, 0x19, 0x0f },
		{ SNP_GENOA, 0x19, 0x10 },
		{ SNP_GENOA, 0x19, 0x1f },
		{ SNP_GENOA, 0x19, 0xa0 },
		{ SNP_GENOA, 0x19, 0xaf },
		{ SNP_TURIN, 0x1a, 0x00 },
		{ SNP_TURIN, 0x1a, 0x11 },
		{ SNP_TURIN, 0x1a, 0x1f },
		{ SNP_VENICE, 0x1a, 0x50 },
		{ SNP_VENICE, 0x1a, 0x5f },
		{ SNP_VENICE, 0x1a, 0x90 },
		{ SNP_VENICE, 0x1a, 0xaf },
		{ SNP_VENICE, 0x1a, 0xc0 },
		{ SNP_VENICE, 0x1a, 0xcf },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct snp_machine m;

		snp_machine_init(&m, rows[i].line, false);
		m.report[AT_CPUID] = rows[i].family;
		m.report[AT_CPUID + 1] = rows[i].model;
		snp_accepted(&m);
	}
}

/* IA5String; Bergamo and Siena are certified under Genoa's CAs. */
static void
product_name(void **state)
{
	static const struct {
		enum snp_product line;
		const char *name;
		bool good;
	} rows[] = {
		{ SNP_MILAN, "Milan", true },
		{ SNP_MILAN, "Milan-B1", true },
		{ SNP_MILAN, "Milano", false },
		{ SNP_MILAN, "Mila", false },
		{ SNP_MILAN, "Genoa", false },
		{ SNP_MILAN, "Siena", false },
		{ SNP_GENOA, "Genoa-B1", true },
		{ SNP_GENOA, "Siena", true },
		{ SNP_GENOA, "Siena-B0", true },
		{ SNP_GENOA, "Bergamo", true },
		{ SNP_GENOA, "Sienax", false },
		{ SNP_GENOA, "siena", false },
		{ SNP_GENOA, "-Siena", false },
		{ SNP_GENOA, "Turin", false },
		{ SNP_TURIN, "Turin", true },
		{ SNP_TURIN, "Turin-C1", true },
		{ SNP_TURIN, "Siena", false },
		{ SNP_TURIN, "Venice", false },
		{ SNP_VENICE, "Venice", true },
		{ SNP_VENICE, "Venice-A0", true },
		{ SNP_VENICE, "Turin", false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		size_t n = strlen(rows[i].name);
		char hex[2 * 16 + 1], ext[2 * 16 + 5];
		struct snp_machine m;

		snp_machine_init(&m, rows[i].line, false);
		(void)snprintf(ext, sizeof(ext), "16%02zx%s", n,
		    hex_encode(span(rows[i].name, n), hex, sizeof(hex)));
		snp_machine_ext(&m, EXT_PRODUCT, ext);
		if (rows[i].good)
			snp_accepted(&m);
		else
			snp_denied_by(&m, CHECK_SNP_14);
	}
}

/* A Milan report under a Genoa hierarchy, all of it properly signed. */
static void
product_mismatch(void **state)
{
	MILAN(m);

	(void)state;
	m.vek.issuer_cn = "SEV-Genoa";
	m.policy.snp.products = SNP_MILAN | SNP_GENOA;
	{
		struct appraisal_facts facts = { 0 };
		struct verdict v;

		snp_machine_judge(&m, &v, &facts);
		assert_false(v.admit);
		assert_int_equal(v.results[CHECK_SNP_14].status, CHECK_FAIL);
		assert_int_equal(v.results[CHECK_SNP_17].status, CHECK_FAIL);
	}
	m.vek.issuer_cn = NULL;
	snp_machine_ext(&m, EXT_PRODUCT, "160547656e6f61");
	snp_denied_by(&m, CHECK_SNP_14);
	snp_machine_ext(&m, EXT_PRODUCT, "16064d696c616e32");
	snp_denied_by(&m, CHECK_SNP_14);
	snp_machine_ext(&m, EXT_PRODUCT, NULL);
	snp_denied_by(&m, CHECK_SNP_14);
	snp_machine_ext(&m, EXT_PRODUCT, "16054d696c616e");
	snp_accepted(&m);
}

static void
tcb_reserved_bytes(void **state)
{
	static const size_t tcbs[] = { AT_CURRENT_TCB, AT_REPORTED_TCB,
		AT_COMMITTED_TCB, AT_LAUNCH_TCB };
	struct snp_machine m;

	(void)state;
	for (size_t i = 0; i < NELEMS(tcbs); i++)
		for (size_t k = 0; k < NELEMS(all_products); k++)
			for (size_t at = 2; at <= 6; at++) {
				bool turin = snp_is_since_turin(
				    all_products[k]);

				if (turin ? at < 4 : at > 5)
					continue;
				snp_machine_init(&m, all_products[k], false);
				m.report[tcbs[i] + at] = 1;
				snp_denied_by(&m, CHECK_SNP_13);
			}
}

static void
certificate_names(void **state)
{
	MILAN(m);

	(void)state;
	m.vek.cn = "SEV-VLEK";
	snp_denied_by(&m, CHECK_SNP_14);
	m.vek.cn = "VCEK";
	snp_denied_by(&m, CHECK_SNP_14);
	m.vek.cn = "SEV-VCEK";
	m.vek.amd = false;
	snp_denied_by(&m, CHECK_SNP_14);
}

/* What the host gives may be old: the directory's goes first. */
static void
host_hides_the_authority(void **state)
{
	_cleanup_(blob_clear) struct blob bad = { 0 };
	struct evidence e = { 0 };
	struct endorsements *other = NULL;
	MILAN(m);

	(void)state;
	m.ask_signer = KEY_OTHER;
	m.cas_from = IN_TABLE;
	snp_machine_build(&m, &e, &other);
	assert_int_equal(blob_set(&bad, blob_span(&e.tee_aux)), 0);
	evidence_clear(&e);
	endorsements_freep(&other);
	snp_denied_by(&m, CHECK_SNP_17);
	m.ask_signer = KEY_ARK;
	m.cas_from = IN_ENDORSEMENTS;
	assert_int_equal(blob_set(&m.table, blob_span(&bad)), 0);
	snp_accepted(&m);
	blob_clear(&m.table);
}

static void
authority_missing(void **state)
{
	MILAN(m);

	(void)state;
	m.no_ask = true;
	snp_denied_by(&m, CHECK_SNP_15);
	m.no_ask = false;
	m.no_ark = true;
	snp_denied_by(&m, CHECK_SNP_15);
	m.no_ark = false;
	m.ark.cn = "ARK-Genoa";
	snp_denied_by(&m, CHECK_SNP_15);
}

/* A whole hierarchy brought by the evidence, with all the right names. */
static void
root_self_made(void **state)
{
	MILAN(m);

	(void)state;
	m.vek_from = m.cas_from = IN_TABLE;
	snp_accepted(&m);
	m.amd_roots = true;
	m.policy.snp.roots = (struct value_list){ 0 };
	snp_denied_by(&m, CHECK_SNP_16);
	m.cas_from = IN_ENDORSEMENTS;
	snp_denied_by(&m, CHECK_SNP_16);
	m.policy.snp.roots = (struct value_list){ &m.root_blob, 1 };
	snp_accepted(&m);
	m.root_blob.len = SHA256_LEN - 1;
	snp_denied_by(&m, CHECK_SNP_16);
}

/* No root of this line is built in: not even another line's counts. */
static void
root_of_venice_made_up(void **state)
{
	struct appraisal_facts facts = { 0 };
	struct snp_machine m;
	struct verdict v;

	(void)state;
	snp_machine_init(&m, SNP_VENICE, false);
	snp_accepted(&m);
	m.amd_roots = true;
	m.policy.snp.roots = (struct value_list){ 0 };
	snp_denied_by(&m, CHECK_SNP_16);
	snp_machine_judge(&m, &v, &facts);
	assert_non_null(strstr(v.results[CHECK_SNP_16].expected, "snp.roots"));
	m.policy.snp.roots = (struct value_list){ &m.root_blob, 1 };
	snp_accepted(&m);
}

/* Forged certificates of the right names in the host's table. */
static void
table_forged(void **state)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	MILAN(m);
	X509 *x = maker_cert(&m.ark, snp_maker_key(KEY_OTHER), NULL,
	    snp_maker_key(KEY_OTHER));
	struct table_entry e = { .guid = GUID_ARK };

	(void)state;
	maker_cert_der(x, &der);
	X509_free(x);
	e.data = blob_span(&der);
	snp_table_build(&e, 1, &m.table);
	snp_accepted(&m); /* the pinned one is among the endorsements */
	m.no_ark = true;
	snp_denied_by(&m, CHECK_SNP_16);
	blob_clear(&m.table);
	m.no_ark = false;
	m.cas_from = IN_TABLE;
	snp_accepted(&m);
	m.ask_signer = KEY_OTHER;
	snp_denied_by(&m, CHECK_SNP_17);
}

static void
chain_wrong(void **state)
{
	MILAN(m);

	(void)state;
	m.vek_signer = KEY_OTHER;
	snp_denied_by(&m, CHECK_SNP_17);
	m.vek_signer = KEY_ASK;
	m.ask_signer = KEY_OTHER;
	snp_denied_by(&m, CHECK_SNP_17);
	m.ask_signer = KEY_ARK;
	m.ask.constraints = "critical,CA:FALSE";
	snp_denied_by(&m, CHECK_SNP_17);
	m.ask.constraints = "critical,CA:TRUE";
	m.vek.constraints = "critical,CA:TRUE";
	snp_denied_by(&m, CHECK_SNP_17);
}

static void
certificates_expired(void **state)
{
	struct cert_spec *specs[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		MILAN(m);
		specs[0] = &m.ark;
		specs[1] = &m.ask;
		specs[2] = &m.vek;
		specs[i]->until = SNP_NOW;
		snp_denied_by(&m, CHECK_SNP_17);
		specs[i]->until = SNP_NOW + 1;
		snp_accepted(&m);
		specs[i]->from = SNP_NOW + 1;
		specs[i]->until = SNP_NOW + SNP_DAY;
		snp_denied_by(&m, CHECK_SNP_17);
	}
}

static void
intermediate_revoked(void **state)
{
	MILAN(m);
	VLEK(v);

	(void)state;
	m.crl.revoked[0] = v.crl.revoked[0] = 0x10001;
	snp_denied_by(&m, CHECK_SNP_18);
	snp_denied_by(&v, CHECK_SNP_18);
	m.policy.snp.require_crl = false;
	snp_denied_by(&m, CHECK_SNP_18);
	m.crl.until = SNP_NOW - 1; /* old news is news */
	snp_denied_by(&m, CHECK_SNP_18);
	m.crl.revoked[0] = 0x10002;
	snp_accepted(&m);
}

static void
crl_missing_or_bad(void **state)
{
	MILAN(m);

	(void)state;
	m.with_crl = false;
	snp_denied_by(&m, CHECK_SNP_18);
	m.policy.snp.require_crl = false;
	snp_accepted(&m);
	m.with_crl = true;
	m.crl_signer = KEY_OTHER;
	snp_denied_by(&m, CHECK_SNP_18);
	m.crl_signer = KEY_ARK;
	m.policy.snp.require_crl = true;
	m.crl.until = SNP_NOW;
	snp_denied_by(&m, CHECK_SNP_18);
	m.crl.until = SNP_NOW + SNP_DAY;
	m.crl.from = SNP_NOW + 1;
	snp_denied_by(&m, CHECK_SNP_18);
	m.crl.from = SNP_NOW - SNP_DAY;
	m.crl.amd = true;
	m.crl.issuer_cn = "ARK-Genoa";
	snp_denied_by(&m, CHECK_SNP_18);
}

static void
newest_time_is_of_the_crl(void **state)
{
	struct appraisal_facts facts = { .newest_time = 5 };
	struct verdict v;
	MILAN(m);

	(void)state;
	snp_machine_judge(&m, &v, &facts);
	assert_true(v.admit);
	assert_int_equal(facts.newest_time, SNP_NOW - SNP_DAY);
	facts.newest_time = SNP_NOW;
	snp_machine_judge(&m, &v, &facts);
	assert_int_equal(facts.newest_time, SNP_NOW);
	facts.newest_time = 5;
	m.crl_signer = KEY_OTHER;
	snp_machine_judge(&m, &v, &facts);
	assert_int_equal(facts.newest_time, 5);
}

/* A verdict from which any one row is missing denies. */
static void
no_check_forgotten(void **state)
{
	struct appraisal_facts facts = { 0 };
	struct verdict v;
	MILAN(m);

	(void)state;
	snp_machine_judge(&m, &v, &facts);
	assert_true(v.admit);
	for (size_t i = CHECK_SNP_01; i <= CHECK_SNP_55; i++) {
		struct check_result saved = v.results[i];

		assert_int_equal(check_table[i].group, GROUP_SNP);
		v.results[i].status = CHECK_NOT_RUN;
		verdict_finish(&v);
		assert_false(v.admit);
		v.results[i] = saved;
	}
	verdict_finish(&v);
	assert_true(v.admit);
}

static void
cached_chain_is_not_a_cached_verdict(void **state)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	MILAN(m);

	(void)state;
	m.cache = cache;
	snp_accepted(&m);
	snp_put32(&m, AT_VMPL, 1);
	snp_denied_by(&m, CHECK_SNP_29);
	m.now = SNP_NOW + 2 * SNP_DAY;
	m.policy.snp.vmpl = 1;
	snp_denied_by(&m, CHECK_SNP_18);
}

static void
count_field(void *arg, const char *name, const char *value)
{
	size_t *n = arg;

	assert_true(name[0] != '\0' && value[0] != '\0');
	(*n)++;
}

static void
every_field_listed(void **state)
{
	struct snp_report r;
	size_t n = 0;
	MILAN(m);

	(void)state;
	snp_sign(&m);
	assert_int_equal(snp_report_parse(span(m.report, SNP_REPORT_LEN), &r,
			     NULL),
	    0);
	snp_report_list(&r, count_field, &n);
	assert_int_equal(n, 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_machines),
		cmocka_unit_test(report_length),
		cmocka_unit_test(report_empty),
		cmocka_unit_test(version_unknown),
		cmocka_unit_test(version_2),
		cmocka_unit_test(reserved_not_zero),
		cmocka_unit_test(signature_algorithm),
		cmocka_unit_test(policy_malformed),
		cmocka_unit_test(platform_unknown_bits),
		cmocka_unit_test(signer_unknown),
		cmocka_unit_test(signing_key_not_accepted),
		cmocka_unit_test(certificate_of_other_kind),
		cmocka_unit_test(table_malformed),
		cmocka_unit_test(certificate_missing),
		cmocka_unit_test(table_outdated),
		cmocka_unit_test(certificate_form),
		cmocka_unit_test(signature_wrong),
		cmocka_unit_test(signature_big_endian),
		cmocka_unit_test(every_bit_flipped),
		cmocka_unit_test(product_not_accepted),
		cmocka_unit_test(model_not_known),
		cmocka_unit_test(product_name),
		cmocka_unit_test(product_mismatch),
		cmocka_unit_test(tcb_reserved_bytes),
		cmocka_unit_test(certificate_names),
		cmocka_unit_test(host_hides_the_authority),
		cmocka_unit_test(authority_missing),
		cmocka_unit_test(root_self_made),
		cmocka_unit_test(root_of_venice_made_up),
		cmocka_unit_test(table_forged),
		cmocka_unit_test(chain_wrong),
		cmocka_unit_test(certificates_expired),
		cmocka_unit_test(intermediate_revoked),
		cmocka_unit_test(crl_missing_or_bad),
		cmocka_unit_test(newest_time_is_of_the_crl),
		cmocka_unit_test(no_check_forgotten),
		cmocka_unit_test(cached_chain_is_not_a_cached_verdict),
		cmocka_unit_test(every_field_listed),
	};

	return denied_end("snp",
	    cmocka_run_group_tests_name("snp", tests, snp_maker_setup,
		snp_maker_teardown));
}
