/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/denied.h"
#include "tests/unit/snp-maker.h"

static void
certificate_tcb(void **state)
{
	static const int exts[] = { EXT_BL, EXT_TEE, EXT_SNP, EXT_UCODE,
		EXT_FMC };
	/* another value, twice its length, negative, too large, not minimal,
	 * not an integer, empty, trailing byte */
	static const char *const bad[] = { "02010f", "02020001", "0201ff",
		"02020100", "020200", "040104", "0200", "02010400", NULL };

	(void)state;
	for (size_t i = 0; i < NELEMS(exts); i++)
		for (size_t k = 0; k < NELEMS(bad); k++) {
			struct snp_machine m;

			snp_machine_init(&m, SNP_TURIN, false);
			snp_machine_ext(&m, exts[i], bad[k]);
			snp_denied_by(&m, CHECK_SNP_19);
		}
}

/* The layout of another line, or one that nobody knows. */
static void
certificate_structure_of_another(void **state)
{
	static const struct {
		enum snp_product line;
		const char *hex;
		bool good;
	} rows[] = {
		{ SNP_MILAN, "020100", true },
		{ SNP_MILAN, "020101", false },
		{ SNP_MILAN, "020102", false },
		{ SNP_MILAN, "0400", false },
		{ SNP_MILAN, NULL, false },
		{ SNP_GENOA, "020101", false },
		{ SNP_TURIN, "020101", true },
		{ SNP_TURIN, "020100", false },
		{ SNP_TURIN, "020102", false },
		{ SNP_VENICE, "020101", true },
		{ SNP_VENICE, "020102", true },
		{ SNP_VENICE, "020100", false },
		{ SNP_VENICE, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct snp_machine m;

		snp_machine_init(&m, rows[i].line, false);
		snp_machine_ext(&m, EXT_VERSION, rows[i].hex);
		if (rows[i].good)
			snp_accepted(&m);
		else
			snp_denied_by(&m, CHECK_SNP_19);
	}
}

static void
certificate_tcb_unused(void **state)
{
	(void)state;
	for (int ext = EXT_SPL4; ext <= EXT_SPL7; ext++) {
		MILAN(m);
		snp_machine_ext(&m, ext, "020101");
		snp_denied_by(&m, CHECK_SNP_19);
		snp_machine_ext(&m, ext, NULL);
		snp_accepted(&m);
	}
	{
		MILAN(m);
		snp_machine_ext(&m, EXT_FMC, "020101");
		snp_denied_by(&m, CHECK_SNP_19);
		snp_machine_ext(&m, EXT_FMC, "020100");
		snp_accepted(&m);
	}
}

/* A newer certificate than the report asks for, and an older one. */
static void
certificate_of_other_tcb(void **state)
{
	MILAN(m);

	(void)state;
	m.report[AT_REPORTED_TCB + 7] = 0xda;
	snp_denied_by(&m, CHECK_SNP_19);
	snp_machine_vek(&m);
	snp_accepted(&m);
}

static void
chip_of_another(void **state)
{
	static const char wrapped[] = "0440";
	char hex[SNP_EXT_HEX_MAX];
	MILAN(m);

	(void)state;
	m.report[AT_CHIP_ID + 63] ^= 1;
	snp_denied_by(&m, CHECK_SNP_20);
	m.report[AT_CHIP_ID + 63] ^= 1;
	snp_machine_ext(&m, EXT_ID, NULL);
	snp_denied_by(&m, CHECK_SNP_20);
	snp_machine_ext(&m, EXT_ID, "c1c1c1c1c1c1c1c1"); /* Turin's length */
	snp_denied_by(&m, CHECK_SNP_20);
	memcpy(hex, wrapped, 4);
	(void)hex_encode(span(&m.report[AT_CHIP_ID], 64), &hex[4],
	    sizeof(hex) - 4);
	snp_machine_ext(&m, EXT_ID, hex);
	snp_accepted(&m);
	hex[5] ^= 1;
	snp_machine_ext(&m, EXT_ID, hex);
	snp_denied_by(&m, CHECK_SNP_20);
}

static void
chip_of_another_on_turin(void **state)
{
	struct snp_machine m;

	(void)state;
	snp_machine_init(&m, SNP_TURIN, false);
	snp_machine_ext(&m, EXT_ID, "0408c1c1c1c1c1c1c1c1");
	snp_accepted(&m);
	snp_machine_ext(&m, EXT_ID, "0408c1c1c1c1c1c1c1c2");
	snp_denied_by(&m, CHECK_SNP_20);
	snp_machine_vek(&m);
	m.report[AT_CHIP_ID + 8] = 1;
	snp_denied_by(&m, CHECK_SNP_20);
	m.report[AT_CHIP_ID + 8] = 0;
	m.report[AT_CHIP_ID + 7] ^= 1;
	snp_denied_by(&m, CHECK_SNP_20);
}

static void
chip_masked(void **state)
{
	MILAN(m);
	VLEK(v);

	(void)state;
	memset(&m.report[AT_CHIP_ID], 0, 64);
	snp_denied_by(&m, CHECK_SNP_20);
	m.policy.snp.masked_chip_id = true;
	snp_accepted(&m);
	v.policy.snp.masked_chip_id = false;
	snp_denied_by(&v, CHECK_SNP_20);
	memset(&v.report[AT_CHIP_ID], 7, 64);
	snp_accepted(&v);
}

static void
vlek_with_chip(void **state)
{
	static const char oid[] = "1.3.6.1.4.1.3704.1.4";
	VLEK(m);

	(void)state;
	m.vek.exts[EXT_FMC] = (struct ext_spec){ oid, "c1c1c1c1c1c1c1c1",
		false };
	/* EXT_FMC follows the others: nothing ends the list before it */
	snp_denied_by(&m, CHECK_SNP_20);
}

static void
provider_not_accepted(void **state)
{
	char *other[] = { (char[]){ "CN=cc-test.example2" } };
	VLEK(m);

	(void)state;
	m.policy.snp.csp_id = (struct string_list){ other, 1 };
	snp_denied_by(&m, CHECK_SNP_21);
	m.policy.snp.csp_id = (struct string_list){ 0 };
	snp_denied_by(&m, CHECK_SNP_21);
	m.policy.snp.csp_id = (struct string_list){ m.csp, 1 };
	snp_accepted(&m);
	snp_machine_ext(&m, EXT_ID, NULL);
	snp_denied_by(&m, CHECK_SNP_21);
	snp_machine_ext(&m, EXT_ID, "1603434e00");
	snp_denied_by(&m, CHECK_SNP_21);
}

static void
vcek_with_provider(void **state)
{
	MILAN(m);

	(void)state;
	m.vek.exts[EXT_FMC] = (struct ext_spec){ "1.3.6.1.4.1.3704.1.5",
		"1603434e3d", false };
	snp_denied_by(&m, CHECK_SNP_21);
}

/* Byte of each component of a TCB_VERSION on the line, by struct snp_tcb. */
static const struct {
	enum snp_product product;
	uint8_t at[5];
	size_t n;
} layouts[] = {
	{ SNP_MILAN, { 0, 1, 6, 7 }, 4 },
	{ SNP_GENOA, { 0, 1, 6, 7 }, 4 },
	{ SNP_TURIN, { 0, 1, 2, 3, 7 }, 5 },
	{ SNP_VENICE, { 0, 1, 2, 3, 7 }, 5 },
};

static void
reported_above_current(void **state)
{
	struct snp_machine m;

	(void)state;
	for (size_t i = 0; i < NELEMS(layouts); i++)
		for (size_t k = 0; k < layouts[i].n; k++) {
			snp_machine_init(&m, layouts[i].product, false);
			m.report[AT_REPORTED_TCB + layouts[i].at[k]]++;
			snp_machine_vek(&m);
			snp_denied_by(&m, CHECK_SNP_22);
		}
}

static void
firmware_provisional(void **state)
{
	struct snp_machine m;

	(void)state;
	for (size_t i = 0; i < NELEMS(layouts); i++)
		for (size_t k = 0; k < layouts[i].n; k++) {
			snp_machine_init(&m, layouts[i].product, false);
			m.report[AT_CURRENT_TCB + layouts[i].at[k]]++;
			snp_denied_by(&m, CHECK_SNP_23);
			m.policy.snp.provisional_firmware = true;
			snp_accepted(&m);
			/* Below the committed one it cannot be. */
			m.report[AT_COMMITTED_TCB + layouts[i].at[k]] += 2;
			snp_denied_by(&m, CHECK_SNP_23);
		}
	for (size_t k = 0; k < 3; k++) {
		snp_machine_init(&m, SNP_MILAN, false);
		m.report[AT_CURRENT_VERSION + k]++;
		snp_denied_by(&m, CHECK_SNP_23);
		m.policy.snp.provisional_firmware = true;
		snp_accepted(&m);
		m.report[AT_COMMITTED_VERSION + k] += 2;
		snp_denied_by(&m, CHECK_SNP_23);
	}
}

static uint8_t *
component(struct snp_tcb *t, size_t layout, size_t k)
{
	uint8_t *const all[] = { &t->fmc, &t->bootloader, &t->tee, &t->snp,
		&t->microcode };

	return all[k + (snp_is_since_turin(layouts[layout].product) ? 0 : 1)];
}

static void
tcb_below_minimum(void **state)
{
	struct snp_machine m;

	(void)state;
	for (size_t i = 0; i < NELEMS(layouts); i++)
		for (size_t k = 0; k < layouts[i].n; k++) {
			struct policy_snp *p = &m.policy.snp;
			uint8_t at = layouts[i].at[k];

			snp_machine_init(&m, layouts[i].product, false);
			*component(&p->min_tcb, i,
			    k) = m.report[AT_REPORTED_TCB + at];
			*component(&p->min_launch_tcb, i,
			    k) = m.report[AT_LAUNCH_TCB + at];
			*component(&p->min_committed_tcb, i,
			    k) = m.report[AT_COMMITTED_TCB + at];
			snp_accepted(&m);
			(*component(&p->min_tcb, i, k))++;
			snp_denied_by(&m, CHECK_SNP_24);
			(*component(&p->min_tcb, i, k))--;
			(*component(&p->min_launch_tcb, i, k))++;
			snp_denied_by(&m, CHECK_SNP_25);
			(*component(&p->min_launch_tcb, i, k))--;
			(*component(&p->min_committed_tcb, i, k))++;
			snp_denied_by(&m, CHECK_SNP_63);
		}
	/* A component that the line does not have is not reached. */
	snp_machine_init(&m, SNP_MILAN, false);
	m.policy.snp.min_tcb.fmc = 1;
	snp_denied_by(&m, CHECK_SNP_24);
}

static void
firmware_too_old(void **state)
{
	/* have 1.55.29 */
	static const uint32_t good[][3] = { { 1, 55, 29 }, { 1, 54, 200 },
		{ 0, 200, 200 }, { 0, 0, 1 } };
	static const uint32_t bad[][3] = { { 1, 55, 30 }, { 1, 56, 0 },
		{ 2, 0, 0 }, { 1, 55, 256 } };

	(void)state;
	for (size_t i = 0; i < NELEMS(good); i++) {
		MILAN(m);
		memcpy(m.policy.snp.min_firmware, good[i], sizeof(good[i]));
		snp_accepted(&m);
		m.policy.snp.provisional_firmware = true;
		memset(&m.report[AT_COMMITTED_VERSION], 0, 3);
		snp_denied_by(&m, CHECK_SNP_26);
	}
	for (size_t i = 0; i < NELEMS(bad); i++) {
		MILAN(m);
		memcpy(m.policy.snp.min_firmware, bad[i], sizeof(bad[i]));
		snp_denied_by(&m, CHECK_SNP_26);
	}
}

static void
mitigations_missing(void **state)
{
	struct snp_machine m;

	(void)state;
	snp_machine_init(&m, SNP_TURIN, false); /* launch 5, current 7 */
	m.policy.snp.mitigations = 0x5;
	snp_accepted(&m);
	m.policy.snp.mitigations = 0x2;
	snp_denied_by(&m, CHECK_SNP_27);
	m.policy.snp.mitigations = 1ULL << 63;
	snp_denied_by(&m, CHECK_SNP_27);
	snp_put64(&m, AT_LAUNCH_MIT, ~0ULL);
	snp_denied_by(&m, CHECK_SNP_27);
	snp_machine_init(&m, SNP_MILAN, false); /* version 3 */
	m.policy.snp.mitigations = 1;
	snp_denied_by(&m, CHECK_SNP_27);
}

static void
measurement_wrong(void **state)
{
	MILAN(m);

	(void)state;
	m.values[0][47] ^= 1;
	snp_denied_by(&m, CHECK_SNP_28);
	m.values[0][47] ^= 1;
	m.lists[0].len = 47;
	snp_denied_by(&m, CHECK_SNP_28);
	m.policy.snp.measurement.n = 0;
	snp_denied_by(&m, CHECK_SNP_28);
}

static void
vmpl_other(void **state)
{
	MILAN(m);

	(void)state;
	snp_put32(&m, AT_VMPL, 1);
	snp_denied_by(&m, CHECK_SNP_29);
	m.policy.snp.vmpl = 1;
	snp_accepted(&m);
	snp_put32(&m, AT_VMPL, 0);
	snp_denied_by(&m, CHECK_SNP_29);
	snp_put32(&m, AT_VMPL, 0x101);
	snp_denied_by(&m, CHECK_SNP_29);
}

#define GUEST(id, field, bit)                                                  \
	{                                                                      \
		CHECK_SNP_##id, offsetof(struct policy_snp, field), AT_POLICY, \
		    bit                                                        \
	}
#define PLATFORM(id, field, bit)                                               \
	{                                                                      \
		CHECK_SNP_##id, offsetof(struct policy_snp, field),            \
		    AT_PLATFORM, bit                                           \
	}
static const struct {
	enum check_id id;
	size_t wanted, at;
	unsigned bit;
} bits[] = {
	GUEST(30, debug, 19),
	GUEST(31, migrate_ma, 18),
	GUEST(33, smt, 16),
	GUEST(34, single_socket, 20),
	GUEST(35, cxl, 21),
	GUEST(36, aes256_xts, 22),
	GUEST(37, rapl_dis, 23),
	GUEST(38, ciphertext_hiding, 24),
	GUEST(39, page_swap_disable, 25),
	PLATFORM(41, p_smt, 0),
	PLATFORM(42, p_tsme, 1),
	PLATFORM(43, p_ecc, 2),
	PLATFORM(44, p_rapl_dis, 3),
	PLATFORM(45, p_ciphertext_hiding, 4),
	PLATFORM(46, p_alias_check, 5),
	PLATFORM(47, p_tio, 7),
	PLATFORM(64, p_iommu_write_safe, 6),
};

static void
single_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(bits); i++) {
		MILAN(m);
		enum tristate *wanted =
		    (enum tristate *)(void *)((char *)&m.policy.snp +
			bits[i].wanted);
		uint8_t *byte = &m.report[bits[i].at + bits[i].bit / 8];
		uint8_t mask = (uint8_t)(1 << bits[i].bit % 8);

		*byte = (uint8_t)(*byte & ~mask);
		*wanted = FORBID;
		snp_accepted(&m);
		*wanted = REQUIRE;
		snp_denied_by(&m, bits[i].id);
		*wanted = ANY;
		snp_accepted(&m);
		*byte |= mask;
		snp_accepted(&m);
		*wanted = REQUIRE;
		snp_accepted(&m);
		*wanted = FORBID;
		snp_denied_by(&m, bits[i].id);
	}
}

static void
migration_agent_bound(void **state)
{
	MILAN(m);

	(void)state;
	m.report[AT_REPORT_ID_MA + 31] = 0xfe;
	snp_denied_by(&m, CHECK_SNP_32);
	memset(&m.report[AT_REPORT_ID_MA], 0, 32);
	snp_denied_by(&m, CHECK_SNP_32);
	m.policy.snp.migrate_ma = ANY;
	snp_accepted(&m);
}

static void
abi_too_low(void **state)
{
	MILAN(m); /* 1.31 */

	(void)state;
	m.policy.snp.min_abi_major = 1;
	m.policy.snp.min_abi_minor = 31;
	snp_accepted(&m);
	m.policy.snp.min_abi_minor = 32;
	snp_denied_by(&m, CHECK_SNP_40);
	m.policy.snp.min_abi_major = 0;
	snp_accepted(&m);
	m.policy.snp.min_abi_major = 2;
	m.policy.snp.min_abi_minor = 0;
	snp_denied_by(&m, CHECK_SNP_40);
}

#define VALUE(id, field, at, len)                                              \
	{                                                                      \
		CHECK_SNP_##id, offsetof(struct policy_snp, field), at, len    \
	}
static const struct {
	enum check_id id;
	size_t list, at, len;
} lists[] = {
	VALUE(48, host_data, AT_HOST_DATA, 32),
	VALUE(49, family_id, AT_FAMILY_ID, 16),
	VALUE(50, image_id, AT_IMAGE_ID, 16),
	VALUE(51, report_id, AT_REPORT_ID, 32),
	VALUE(52, id_key_digest, AT_ID_KEY, 48),
	VALUE(53, author_key_digest, AT_AUTHOR_KEY, 48),
	VALUE(55, chip_id, AT_CHIP_ID, 64),
};

static void
single_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(lists); i++) {
		MILAN(m);
		struct value_list *l =
		    (struct value_list *)(void *)((char *)&m.policy.snp +
			lists[i].list);

		snp_machine_accept(&m, l, lists[i].at, lists[i].len);
		snp_accepted(&m);
		m.values[1][lists[i].len - 1] ^= 1;
		snp_denied_by(&m, lists[i].id);
		m.values[1][lists[i].len - 1] ^= 1;
		l->v[0].len--;
		snp_denied_by(&m, lists[i].id);
		l->v[0].len++;
		/* The second of two. */
		m.lists[2] = m.lists[1];
		m.lists[1] = (struct blob){ m.values[3], lists[i].len };
		l->n = 2;
		snp_accepted(&m);
		m.values[1][0] ^= 1;
		snp_denied_by(&m, lists[i].id);
	}
}

static void
author_key_absent(void **state)
{
	MILAN(m);

	(void)state;
	snp_machine_accept(&m, &m.policy.snp.author_key_digest, AT_AUTHOR_KEY,
	    48);
	snp_put32(&m, AT_SIGNER, 0);
	snp_denied_by(&m, CHECK_SNP_53);
}

static void
guest_svn_too_low(void **state)
{
	MILAN(m);

	(void)state;
	m.policy.snp.min_guest_svn = 7;
	snp_accepted(&m);
	m.policy.snp.min_guest_svn = 8;
	snp_denied_by(&m, CHECK_SNP_54);
	m.policy.snp.min_guest_svn = 0x10000;
	snp_denied_by(&m, CHECK_SNP_54);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificate_tcb),
		cmocka_unit_test(certificate_structure_of_another),
		cmocka_unit_test(certificate_tcb_unused),
		cmocka_unit_test(certificate_of_other_tcb),
		cmocka_unit_test(chip_of_another),
		cmocka_unit_test(chip_of_another_on_turin),
		cmocka_unit_test(chip_masked),
		cmocka_unit_test(vlek_with_chip),
		cmocka_unit_test(provider_not_accepted),
		cmocka_unit_test(vcek_with_provider),
		cmocka_unit_test(reported_above_current),
		cmocka_unit_test(firmware_provisional),
		cmocka_unit_test(tcb_below_minimum),
		cmocka_unit_test(firmware_too_old),
		cmocka_unit_test(mitigations_missing),
		cmocka_unit_test(measurement_wrong),
		cmocka_unit_test(vmpl_other),
		cmocka_unit_test(single_bits),
		cmocka_unit_test(migration_agent_bound),
		cmocka_unit_test(abi_too_low),
		cmocka_unit_test(single_values),
		cmocka_unit_test(author_key_absent),
		cmocka_unit_test(guest_svn_too_low),
	};

	return denied_end("snp-policy",
	    cmocka_run_group_tests_name("snp-policy", tests, snp_maker_setup,
		snp_maker_teardown));
}
