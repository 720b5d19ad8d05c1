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
#include "tests/unit/log-fixture.h"
#include "tests/unit/vectors.h"

/* What an appraisal says of a log that differs from a good one in one thing. */

static void
set_data(struct fixture *f, enum made_name name, const char *prefix,
    const char *text)
{
	struct made_event *e = made_find(&f->log, name);

	blob_clear(&e->data);
	blob_clear(&e->measured);
	assert_int_equal(blob_append(&e->data, span(prefix, strlen(prefix))),
	    0);
	assert_int_equal(blob_append(&e->data, span(text, strlen(text))), 0);
	assert_int_equal(blob_set(&e->measured, span(text, strlen(text))), 0);
	build(f);
}

static void
broken_log_believed(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	f->evidence.event_log.len--;
	denied_by(f, CHECK_LOG_01);
	f->evidence.event_log.len = 0;
	denied_by(f, CHECK_LOG_01);
	build(f);
	f->policy.tpm.bank = HASH_SHA384; /* not in the log */
	denied_by(f, CHECK_LOG_01);
}

static void
log_of_other_registers_believed(void **state)
{
	static const unsigned pcrs[] = { 0, 1, 4, 5, 7, 8 };

	(void)state;
	FIXTURE(LOG_TCG);
	for (size_t i = 0; i < NELEMS(pcrs); i++) {
		f->evidence.pcrs.value[pcrs[i]][31] ^= 1;
		denied_by(f, CHECK_LOG_02);
		f->evidence.pcrs.value[pcrs[i]][31] ^= 1;
	}
	admitted(f);
	made_remove(&f->log, made_find(&f->log, MADE_GPT));
	{
		struct pcr_values quoted = f->evidence.pcrs;

		build(f);
		f->evidence.pcrs = quoted;
	}
	denied_by(f, CHECK_LOG_02);
}

static void
register_without_events_believed(void **state)
{
	struct pcr_values *pcrs;

	(void)state;
	FIXTURE(LOG_TCG);
	pcrs = &f->evidence.pcrs;
	pcrs->mask |= 1u << 10 | 1u << 17 | 1u << 23;
	memset(pcrs->value[17], 0xff, 32);
	admitted(f); /* reset values */
	pcrs->value[10][0] = 1;
	denied_by(f, CHECK_LOG_03);
	f->unlogged[0] = words[0];
	f->policy.log.unlogged_ok = (struct string_list){ f->unlogged, 1 };
	denied_by(f, CHECK_LOG_03);
	f->unlogged[0] = (char[]){ '1', '0', 0 };
	admitted(f);
	memset(pcrs->value[17], 0, 32); /* DRTM: zero is not its reset value */
	denied_by(f, CHECK_LOG_03);
	memset(pcrs->value[17], 0xff, 32);
	memset(pcrs->value[23], 0xff, 32);
	denied_by(f, CHECK_LOG_03);
}

/* A system that extends a register after firmware's log has ended is no reason
 * to deny it, where the policy says so; the log then says nothing of it. */
static void
register_that_goes_on_refused(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	f->evidence.pcrs.value[8][0] ^= 1;
	denied_by(f, CHECK_LOG_02);
	f->unlogged[0] = (char[]){ '9', 0 };
	f->policy.log.unlogged_ok = (struct string_list){ f->unlogged, 1 };
	denied_by(f, CHECK_LOG_02);
	f->unlogged[0] = (char[]){ '8', 0 };
	assert_false(judge(f));
	assert_int_equal(f->v.results[CHECK_LOG_02].status, CHECK_PASS);
	assert_int_equal(f->v.results[CHECK_LOG_12].status, CHECK_FAIL);
	assert_int_equal(f->v.results[CHECK_LOG_13].status, CHECK_FAIL);
	f->policy.log.kernel_cmdline.n = f->policy.log.grub_cmd.n = 0;
	admitted(f);
}

static void
data_that_was_not_measured_believed(void **state)
{
	struct made_event *e;

	(void)state;
	FIXTURE(LOG_TCG);
	/* The digest, and with it the PCR, stays. */
	e = made_find(&f->log, MADE_GPT);
	assert_int_equal(blob_set(&e->measured, blob_span(&e->data)), 0);
	e->data.data[0] ^= 1;
	build(f);
	denied_by(f, CHECK_LOG_05);
}

static void
second_or_odd_separator_believed(void **state)
{
	static const uint8_t zero[4], error[4] = { 1 };

	(void)state;
	FIXTURE(LOG_TCG);
	made_insert(&f->log, f->log.n, 1, EV_SEPARATOR, span(zero, 4),
	    span(NULL, 0));
	build(f);
	denied_by(f, CHECK_LOG_06);
	made_remove(&f->log, &f->log.events[f->log.n - 1]);
	build(f);
	admitted(f);
	for (size_t i = 0; i < f->log.n; i++)
		if (f->log.events[i].type == EV_SEPARATOR &&
		    f->log.events[i].pcr == 2)
			memcpy(f->log.events[i].data.data, error, 4);
	build(f);
	denied_by(f, CHECK_LOG_06);
	for (size_t i = 0; i < f->log.n; i++)
		if (f->log.events[i].type == EV_SEPARATOR &&
		    f->log.events[i].pcr == 2)
			made_remove(&f->log, &f->log.events[i]);
	build(f);
	denied_by(f, CHECK_LOG_06);
}

static void
other_technology_admitted(void **state)
{
	struct made_event *e;

	(void)state;
	FIXTURE(LOG_TCG);
	f->technology[0] = words[1];
	denied_by(f, CHECK_LOG_07);
	f->policy.log.technology.n = 0;
	admitted(f);
	/* In the list, but not what the report says. */
	f->technology[0] = words[0];
	f->policy.log.technology.n = 2;
	e = made_find(&f->log, MADE_TECHNOLOGY);
	e->data.data[16] = 3;
	build(f);
	denied_by(f, CHECK_LOG_08);
	f->policy.tee = TEE_TDX;
	admitted(f);
	f->policy.tee = TEE_NONE; /* no report to compare with */
	admitted(f);
}

static void
technology_of_broken_event_believed(void **state)
{
	struct made_event *e;

	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log.technology.n = 0;
	e = made_find(&f->log, MADE_TECHNOLOGY);
	e->data.data[31] = 1; /* reserved */
	build(f);
	denied_by(f, CHECK_LOG_08);
	f->policy.tee = TEE_NONE; /* nobody asks */
	admitted(f);
	f->policy.log.technology.n = 1;
	denied_by(f, CHECK_LOG_07);
}

/* SEV without report: the log is the only word on it. */
static void
sev_without_its_event_admitted(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log.technology.n = 0;
	f->policy.tee = TEE_SEV;
	denied_by(f, CHECK_LOG_08); /* says SEV-SNP */
	made_find(&f->log, MADE_TECHNOLOGY)->data.data[16] = 1;
	build(f);
	admitted(f);
	made_find(&f->log, MADE_TECHNOLOGY)->data.data[16] = 2;
	build(f);
	admitted(f);
	made_remove(&f->log, made_find(&f->log, MADE_TECHNOLOGY));
	build(f);
	denied_by(f, CHECK_LOG_08);
	f->policy.tee = TEE_SNP; /* where the report has said it */
	admitted(f);
	f->policy.log.technology.n = 1;
	denied_by(f, CHECK_LOG_07);
}

static void
old_firmware_admitted(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log.min_gce_firmware = 3;
	denied_by(f, CHECK_LOG_09);
	f->policy.log.min_gce_firmware = 1;
	admitted(f);
	made_remove(&f->log, made_find(&f->log, MADE_FIRMWARE));
	build(f);
	denied_by(f, CHECK_LOG_09);
	f->policy.log.min_gce_firmware = 0;
	admitted(f);
}

static void
secure_boot_off_admitted(void **state)
{
	struct made_event *e;

	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log.secure_boot = FORBID;
	denied_by(f, CHECK_LOG_10);
	f->policy.log.secure_boot = REQUIRE;
	e = made_find(&f->log, MADE_SECURE_BOOT);
	e->data.data[e->data.len - 1] = 0;
	build(f);
	denied_by(f, CHECK_LOG_10);
	f->policy.log.secure_boot = ANY;
	admitted(f);
	f->policy.log.secure_boot = REQUIRE;
	made_remove(&f->log, e);
	build(f);
	denied_by(f, CHECK_LOG_10);
}

static void
secure_boot_without_keys_admitted(void **state)
{
	static const enum made_name needed[] = { MADE_PK, MADE_KEK, MADE_DB };

	(void)state;
	for (size_t i = 0; i < NELEMS(needed); i++) {
		_cleanup_(fixture_freep) struct fixture *f = fixture(LOG_TCG);
		struct made_event *e = made_find(&f->log, needed[i]);

		f->policy.log.secure_boot_keys.n = f->policy.log.dbx.n = 0;
		/* No list in it: dataLen is behind GUID and nameLen. */
		e->data.len = 16 + 8 + 8 + 2 * (size_t)e->data.data[16];
		memset(&e->data.data[24], 0, 8);
		build(f);
		denied_by(f, CHECK_LOG_10);
		made_remove(&f->log, e);
		build(f);
		denied_by(f, CHECK_LOG_10);
		f->policy.log.secure_boot = ANY;
		admitted(f);
		f->policy.log.secure_boot_keys.n = 1;
		denied_by(f, CHECK_LOG_17);
	}
}

/* Firmware that enforces names the key that let something start. */
static void
secure_boot_without_authority_admitted(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log.authorities.n = 0;
	made_remove(&f->log, made_find(&f->log, MADE_AUTHORITY));
	build(f);
	denied_by(f, CHECK_LOG_10);
	f->policy.log.secure_boot = ANY;
	admitted(f);
}

/* Of an option ROM: what the operator's keys never verified. */
static void
authority_before_the_separator_admitted(void **state)
{
	static const enum log_form forms[] = { LOG_TCG, LOG_CCEL };

	(void)state;
	for (size_t i = 0; i < NELEMS(forms); i++) {
		struct made_event *e;

		FIXTURE(forms[i]);
		e = made_find(&f->log, MADE_AUTHORITY);
		made_insert(&f->log, 2, 7, e->type, blob_span(&e->data),
		    span(NULL, 0));
		build(f);
		f->policy.log.secure_boot = ANY;
		denied_by(f, CHECK_LOG_11);
		f->policy.log.secure_boot = REQUIRE;
		f->policy.log.authorities.n = 0;
		denied_by(f, CHECK_LOG_10);
		f->policy.log.secure_boot = ANY;
		admitted(f);
	}
}

/* Certificates that each dbx has had since, and this firmware's has not. */
static void
revoked_authority_admitted(void **state)
{
	static const char *const revoked[] = { "canonical", "cisco", "debian" };

	(void)state;
	for (size_t i = 0; i < NELEMS(revoked); i++) {
		_cleanup_(blob_clear) struct blob cert = { 0 };
		char name[64];

		(void)snprintf(name, sizeof(name),
		    "collateral/uefi/%s-boothole.crt", revoked[i]);
		vector_load(name, &cert);
		FIXTURE(LOG_TCG);
		f->policy.log.authorities.n = 0;
		f->policy.log.secure_boot_keys.n = 0;
		made_certify(&f->log, MADE_AUTHORITY, blob_span(&cert));
		build(f);
		denied_by(f, CHECK_LOG_11);
		made_certify(&f->log, MADE_AUTHORITY,
		    span("\x30\x82\x00\x04more", 8));
		build(f);
		asked_forget(); /* for there is no list */
		admitted(f);
		made_certify(&f->log, MADE_DB, blob_span(&cert));
		build(f);
		denied_by(f, CHECK_LOG_17);
	}
}

/* Without a list of the policy's own it is said what was looked at. */
static void
nobody_knows_of_boothole(void **state)
{
	static const enum check_id ids[] = { CHECK_LOG_11, CHECK_LOG_17 };
	static const char *const told[] = { "revoked none of 1",
		"revoked none of 3" };

	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log.authorities.n = 0;
	f->policy.log.secure_boot_keys.n = 0;
	admitted(f);
	for (size_t i = 0; i < 2; i++) {
		const struct check_result *r = &f->v.results[ids[i]];

		assert_int_equal(r->status, CHECK_PASS);
		assert_non_null(strstr(r->got, told[i]));
	}
	/* Nobody vouches for what the log has of PCR 7. */
	f->policy.log = (struct policy_event_log){ .present = true };
	f->policy.tpm.pcr_sets[0].mask &= ~(1u << 7);
	admitted(f);
	for (size_t i = 0; i < 2; i++) {
		const struct check_result *r = &f->v.results[ids[i]];

		assert_int_equal(r->status, CHECK_SKIPPED);
		assert_non_null(strstr(r->got, "unproven"));
	}
	f->policy.tpm.pcr_sets[0].mask |= 1u << 7;
	made_remove(&f->log, made_find(&f->log, MADE_AUTHORITY));
	made_remove(&f->log, made_find(&f->log, MADE_PK));
	made_remove(&f->log, made_find(&f->log, MADE_KEK));
	build(f);
	admitted(f);
	/* No certificate; keys of which some were not measured. */
	assert_int_equal(f->v.results[CHECK_LOG_11].status, CHECK_SKIPPED);
	assert_non_null(
	    strstr(f->v.results[CHECK_LOG_11].got, "no certificate"));
	assert_int_equal(f->v.results[CHECK_LOG_17].status, CHECK_SKIPPED);
	assert_non_null(strstr(f->v.results[CHECK_LOG_17].got, "unproven"));
}

static void
other_authority_admitted(void **state)
{
	uint8_t other[SHA256_LEN] = { 1 };

	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log.secure_boot = ANY;
	f->policy.log.secure_boot_keys.n = 0;
	f->authority.data = other;
	denied_by(f, CHECK_LOG_11);
	f->policy.log.authorities.n = 0;
	admitted(f);
	f->policy.log.authorities.n = 1;
	f->authority.data = f->authority_bytes;
	made_remove(&f->log, made_find(&f->log, MADE_AUTHORITY));
	build(f);
	denied_by(f, CHECK_LOG_11);
}

static void
other_key_trusted(void **state)
{
	static const enum made_name trusted[] = { MADE_PK, MADE_KEK, MADE_DB };

	(void)state;
	for (size_t i = 0; i < NELEMS(trusted); i++) {
		FIXTURE(LOG_TCG);
		struct made_event *e = made_find(&f->log, trusted[i]);

		e->data.data[e->data.len - 1] ^= 1; /* of the certificate */
		build(f);
		denied_by(f, CHECK_LOG_17);
		f->policy.log.secure_boot_keys.n = 0;
		admitted(f);
		e->data.data[e->data.len - 1] ^= 1;
		f->policy.log.secure_boot_keys.n = 1;
		made_insert(&f->log, 3, e->pcr, e->type, blob_span(&e->data),
		    span(NULL, 0)); /* twice */
		f->policy.log.dbx.n = 0;
		build(f);
		denied_by(f, CHECK_LOG_17);
	}
}

static void
signature_list_malformed(void **state)
{
	/* Within the list: size of the list, of the header, of an entry. */
	static const size_t at[] = { 16, 20, 24 };

	(void)state;
	for (size_t i = 0; i < NELEMS(at); i++) {
		FIXTURE(LOG_TCG);
		struct made_event *e = made_find(&f->log, MADE_DBX);
		size_t list = 16 + 8 + 8 + 2 * 3;

		f->policy.log.secure_boot_keys.n = 0;
		e->data.data[list + at[i]] += 1;
		build(f);
		denied_by(f, CHECK_LOG_18);
		e->data.data[list + at[i]] -= 2;
		build(f);
		denied_by(f, CHECK_LOG_18);
		e->data.data[list + at[i]] += 1;
		build(f);
		admitted(f);
	}
}

static void
revocation_missing_admitted(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	f->revoked_bytes[31] ^= 1;
	denied_by(f, CHECK_LOG_18);
	f->policy.log.dbx.n = 0;
	admitted(f);
	f->revoked_bytes[31] ^= 1;
	f->policy.log.dbx.n = 1;
	f->policy.log.secure_boot_keys.n = 0;
	made_remove(&f->log, made_find(&f->log, MADE_DBX));
	build(f);
	denied_by(f, CHECK_LOG_18);
}

static void
old_sbat_level_admitted(void **state)
{
	static const char *const texts[] = { "sbat,1,2024010899\n",
		"sbat,1,202401090\n", "sbat,1,20240109000\n",
		"sbat,2,2024010900\n", "sbat,1,2024o10900\n",
		"sbat,1,9999999999\n", "sbat,1," };
	struct made_event *e;
	size_t head;

	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log.min_sbat_level = MADE_SBAT_LEVEL + 1;
	denied_by(f, CHECK_LOG_19);
	f->policy.log.min_sbat_level = MADE_SBAT_LEVEL;
	e = made_find(&f->log, MADE_SBAT);
	head = 16 + 8 + 8 + 2 * strlen("SbatLevel");
	for (size_t i = 0; i < NELEMS(texts); i++) {
		e->data.len = head;
		e->data.data[24] = (uint8_t)strlen(texts[i]);
		assert_int_equal(blob_append(&e->data,
				     span(texts[i], strlen(texts[i]))),
		    0);
		build(f);
		denied_by(f, CHECK_LOG_19);
	}
	made_remove(&f->log, e);
	build(f);
	denied_by(f, CHECK_LOG_19);
	f->policy.log.min_sbat_level = 0;
	admitted(f);
}

static void
other_boot_variable_admitted(void **state)
{
	struct made_event *e;

	(void)state;
	FIXTURE(LOG_TCG);
	e = made_find(&f->log, MADE_BOOT_ORDER);
	e->data.data[e->data.len - 1] ^= 1;
	build(f);
	denied_by(f, CHECK_LOG_20);
	assert_non_null(strstr(f->v.results[CHECK_LOG_20].got, "BootOrder: "));
	e->data.data[e->data.len - 1] ^= 1;
	made_insert(&f->log, 0, 1, (uint32_t)EV_EFI_VARIABLE_BOOT2,
	    span("Boot0001", 8), span(NULL, 0));
	build(f);
	denied_by(f, CHECK_LOG_20);
	f->policy.log.boot_variables.n = 0;
	admitted(f);
	f->policy.log.boot_variables.n = 1;
	made_remove(&f->log, &f->log.events[0]);
	made_remove(&f->log, made_find(&f->log, MADE_BOOT_ORDER));
	build(f);
	denied_by(f, CHECK_LOG_20);
}

static void
dma_protection_off_admitted(void **state)
{
	static const char off[] = "DMA Protection Disabled";

	(void)state;
	FIXTURE(LOG_TCG);
	made_insert(&f->log, 0, 7, (uint32_t)EV_EFI_ACTION,
	    span(off, sizeof(off) - 1), span(NULL, 0));
	build(f);
	denied_by(f, CHECK_LOG_21);
	f->policy.log.dma_protection = false;
	admitted(f);
}

/* A unified kernel image without GRUB: the stub's command line. */
static void
put_stub_cmdline(struct fixture *f, const char *text)
{
	struct blob b = { 0 };

	for (size_t i = 0; i <= strlen(text); i++) {
		const uint8_t c[2] = { (uint8_t)text[i], 0 };

		assert_int_equal(blob_append(&b, span(c, 2)), 0);
	}
	made_insert(&f->log, f->log.n, 12, EV_IPL, blob_span(&b),
	    span(NULL, 0));
	blob_clear(&b);
	build(f);
}

static void
stub_command_line_misread(void **state)
{
	struct made_event *e;

	(void)state;
	FIXTURE(LOG_TCG);
	made_remove(&f->log, made_find(&f->log, MADE_CMDLINE));
	put_stub_cmdline(f, MADE_KERNEL);
	admitted(f);
	f->policy.tpm.pcr_sets[0].mask &= ~(1u << 12);
	denied_by(f, CHECK_LOG_12); /* nothing proves it */
	build(f);
	e = &f->log.events[f->log.n - 1];
	e->data.data[1] = 1; /* another character, measured */
	build(f);
	denied_by(f, CHECK_LOG_12);
	assert_int_equal(f->v.results[CHECK_LOG_12].got[0], '?');
	e->data.data[1] = 0;
	assert_int_equal(blob_set(&e->measured, span("other", 5)), 0);
	build(f); /* a description, of what is not known */
	denied_by(f, CHECK_LOG_12);
	blob_clear(&e->measured);
	put_stub_cmdline(f, MADE_KERNEL); /* as of the loader and of the stub */
	admitted(f);
	put_stub_cmdline(f, MADE_KERNEL " ro"); /* which one booted? */
	denied_by(f, CHECK_LOG_12);
}

static void
other_command_line_admitted(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	set_data(f, MADE_CMDLINE, "kernel_cmdline: ", MADE_KERNEL " init=/sh");
	denied_by(f, CHECK_LOG_12);
	set_data(f, MADE_CMDLINE, "kernel_cmdline: ", MADE_KERNEL);
	admitted(f);
	made_insert(&f->log, f->log.n, 8, EV_IPL,
	    span("kernel_cmdline: " MADE_KERNEL, 16 + strlen(MADE_KERNEL)),
	    span(MADE_KERNEL, strlen(MADE_KERNEL)));
	build(f);
	admitted(f); /* the same again */
	made_remove(&f->log, &f->log.events[f->log.n - 1]);
	made_insert(&f->log, f->log.n, 8, EV_IPL, span("kernel_cmdline: x", 17),
	    span("x", 1));
	build(f);
	denied_by(f, CHECK_LOG_12); /* two: which one booted? */
	made_remove(&f->log, &f->log.events[f->log.n - 1]);
	made_remove(&f->log, made_find(&f->log, MADE_CMDLINE));
	build(f);
	denied_by(f, CHECK_LOG_12);
}

static void
other_grub_command_admitted(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	set_data(f, MADE_GRUB, "grub_cmd: ", "linux /evil");
	denied_by(f, CHECK_LOG_13);
	f->policy.log.grub_cmd.n = 0;
	admitted(f);
}

static void
other_application_admitted(void **state)
{
	struct made_event *e;

	(void)state;
	FIXTURE(LOG_TCG);
	e = made_find(&f->log, MADE_APP);
	e->measured.data[0] ^= 1;
	build(f);
	denied_by(f, CHECK_LOG_14);
	e->measured.data[0] ^= 1;
	build(f);
	admitted(f);
	made_remove(&f->log, made_find(&f->log, MADE_CALLING));
	build(f);
	denied_by(f, CHECK_LOG_14);
	made_remove(&f->log, made_find(&f->log, MADE_APP));
	build(f);
	denied_by(f, CHECK_LOG_14);
}

static void
boot_services_not_left(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	made_remove(&f->log, made_find(&f->log, MADE_EXIT));
	build(f);
	denied_by(f, CHECK_LOG_15);
	f->policy.log.exit_boot_services = false;
	admitted(f);
}

static void
debug_mode_admitted(void **state)
{
	static const char text[] = "UEFI Debug Mode";

	(void)state;
	FIXTURE(LOG_TCG);
	made_insert(&f->log, 0, 7, (uint32_t)EV_EFI_ACTION,
	    span(text, sizeof(text) - 1), span(NULL, 0));
	build(f);
	denied_by(f, CHECK_LOG_16);
}

/* Of a PCR that the policy has no value of, a log can say what it likes, also
 * where a quote has it. */
static void
register_of_any_value_believed(void **state)
{
	static const struct {
		unsigned pcr;
		size_t n;
		enum check_id id[6];
	} rows[] = {
		{ 1, 1, { CHECK_LOG_20 } },
		{ 4, 1, { CHECK_LOG_14 } },
		{ 5, 1, { CHECK_LOG_15 } },
		{ 7, 6,
		    { CHECK_LOG_10, CHECK_LOG_11, CHECK_LOG_17, CHECK_LOG_18,
			CHECK_LOG_19, CHECK_LOG_21 } },
		{ 8, 2, { CHECK_LOG_12, CHECK_LOG_13 } },
		{ 0, 2, { CHECK_LOG_07, CHECK_LOG_09 } },
	};

	(void)state;
	FIXTURE(LOG_TCG);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		size_t failed = 0;

		build(f);
		f->policy.tpm.pcr_sets[0].mask &= ~(1u << rows[i].pcr);
		assert_false(judge(f));
		for (size_t k = 0; k < CHECK_COUNT; k++)
			failed += f->v.results[k].status == CHECK_FAIL;
		for (size_t k = 0; k < rows[i].n; k++)
			assert_int_equal(f->v.results[rows[i].id[k]].status,
			    CHECK_FAIL);
		assert_int_equal(failed, rows[i].n);
	}
	/* Not asked for, not missed; but SEV has nothing else. */
	build(f);
	f->policy.tpm.pcr_sets[0].mask &= ~1u;
	f->policy.log.technology.n = 0;
	f->policy.log.min_gce_firmware = 0;
	admitted(f);
	f->policy.tee = TEE_SEV;
	denied_by(f, CHECK_LOG_08);
}

/* The type of an event is not measured: what a running system extended can be
 * called what the firmware should have said. */
static void
event_of_another_register_believed(void **state)
{
	static const struct {
		enum made_name name;
		unsigned pcr;
		enum check_id id;
	} rows[] = {
		{ MADE_AUTHORITY, 8, CHECK_LOG_11 },
		{ MADE_AUTHORITY, 4, CHECK_LOG_11 },
		{ MADE_SBAT, 8, CHECK_LOG_19 },
		{ MADE_SBAT, 4, CHECK_LOG_19 },
		{ MADE_APP, 8, CHECK_LOG_14 },
		{ MADE_APP, 7, CHECK_LOG_14 },
		{ MADE_CALLING, 8, CHECK_LOG_14 },
		{ MADE_BOOT_ORDER, 8, CHECK_LOG_20 },
		{ MADE_CMDLINE, 4, CHECK_LOG_12 },
	};
	static const enum log_form forms[] = { LOG_TCG, LOG_CCEL };

	(void)state;
	for (size_t k = 0; k < NELEMS(forms); k++)
		for (size_t i = 0; i < NELEMS(rows); i++) {
			FIXTURE(forms[k]);
			made_find(&f->log, rows[i].name)->pcr = rows[i].pcr;
			build(f);
			assert_false(judge(f));
			assert_int_equal(f->v.results[rows[i].id].status,
			    CHECK_FAIL);
		}
}

/* Without values of RTMRs, any guest has its own. */
static void
facts_of_any_rtmr_believed(void **state)
{
	static const struct {
		unsigned rtmr;
		enum check_id id;
	} rows[] = {
		{ 0, CHECK_LOG_10 },
		{ 0, CHECK_LOG_11 },
		{ 0, CHECK_LOG_17 },
		{ 0, CHECK_LOG_18 },
		{ 0, CHECK_LOG_19 },
		{ 0, CHECK_LOG_20 },
		{ 0, CHECK_LOG_21 },
		{ 1, CHECK_LOG_14 },
		{ 1, CHECK_LOG_15 },
		{ 2, CHECK_LOG_12 },
		{ 2, CHECK_LOG_13 },
	};

	(void)state;
	FIXTURE(LOG_CCEL);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		f->policy.tdx.rtmr_sets[0].mask = 0xf & ~(1u << rows[i].rtmr);
		assert_false(judge(f));
		assert_int_equal(f->v.results[rows[i].id].status, CHECK_FAIL);
	}
	f->policy.tdx.rtmr_sets[0].mask = 0xf;
	f->policy.tdx.n_rtmr_sets = 0;
	assert_false(judge(f));
	for (size_t i = 0; i < NELEMS(rows); i++)
		assert_int_equal(f->v.results[rows[i].id].status, CHECK_FAIL);
	assert_int_equal(f->v.results[CHECK_LOG_16].status, CHECK_SKIPPED);
}

static void
nothing_asked_and_refused(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	f->policy.log = (struct policy_event_log){ .present = true };
	f->evidence.pcrs.mask = 1u << 4;
	admitted(f);
}

/* The CCEL: the same facts, other registers, proved by RTMRs. */
static void
ccel_of_other_registers_believed(void **state)
{
	uint8_t *rtmr;

	(void)state;
	FIXTURE(LOG_CCEL);
	rtmr = f->evidence.tee_report.data + RTMRS_AT;
	for (size_t i = 0; i < 4; i++) {
		rtmr[i * SHA384_LEN] ^= 1;
		denied_by(f, CHECK_LOG_04);
		rtmr[i * SHA384_LEN] ^= 1;
	}
	admitted(f);
}

/* What runs extends its registers, and is no reason to deny it where the policy
 * says so; of such a register the log proves nothing. */
static void
rtmr_that_goes_on_refused(void **state)
{
	uint8_t *rtmr;

	(void)state;
	FIXTURE(LOG_CCEL);
	rtmr = f->evidence.tee_report.data + RTMRS_AT;
	rtmr[3 * SHA384_LEN] ^= 1;
	denied_by(f, CHECK_LOG_04);
	f->unlogged[0] = (char[]){ '2', 0 };
	f->policy.log.unlogged_rtmrs = (struct string_list){ f->unlogged, 1 };
	rtmr[3 * SHA384_LEN] ^= 1;
	assert_false(judge(f));
	assert_int_equal(f->v.results[CHECK_LOG_04].status, CHECK_PASS);
	assert_int_equal(f->v.results[CHECK_LOG_12].status, CHECK_FAIL);
	assert_int_equal(f->v.results[CHECK_LOG_13].status, CHECK_FAIL);
	f->unlogged[0] = (char[]){ '3', 0 };
	admitted(f);
	rtmr[3 * SHA384_LEN] ^= 1;
	admitted(f);
	rtmr[2 * SHA384_LEN] ^= 1;
	denied_by(f, CHECK_LOG_04);
}

/* One too many in MR 1 and none in MR 2 is firmware's known mistake, and takes
 * away what MR 1 says; anything else is no boot at all. */
static void
separators_of_a_ccel_astray(void **state)
{
	static const uint8_t zero[4];
	struct policy_event_log all;

	(void)state;
	FIXTURE(LOG_CCEL);
	admitted(f);
	all = f->policy.log;
	for (size_t i = f->log.n; i-- > 0;)
		if (f->log.events[i].type == EV_SEPARATOR)
			made_remove(&f->log, &f->log.events[i]);
	build(f);
	f->policy.log = (struct policy_event_log){ .present = true };
	denied_by(f, CHECK_LOG_06); /* none */
	for (size_t n = 1; n <= 3; n++) {
		made_insert(&f->log, 2, 7, EV_SEPARATOR, span(zero, 4),
		    span(NULL, 0));
		build(f);
		f->policy.log = all;
		f->policy.log.min_sbat_level = 0;
		f->policy.log.authorities.n = f->policy.log.dbx.n = 0;
		f->policy.log.secure_boot_keys.n = 0;
		f->policy.log.boot_variables.n = 0;
		if (n == 2) /* astray */
			denied_by(f, CHECK_LOG_10);
		f->policy.log = (struct policy_event_log){ .present = true };
		if (n == 3)
			denied_by(f, CHECK_LOG_06);
		else
			admitted(f);
	}
}

static void
facts_of_a_ccel_believed(void **state)
{
	struct made_event *e;

	(void)state;
	FIXTURE(LOG_CCEL);
	set_data(f, MADE_CMDLINE, "kernel_cmdline: ", "other");
	denied_by(f, CHECK_LOG_12);
	set_data(f, MADE_CMDLINE, "kernel_cmdline: ", MADE_KERNEL);
	f->policy.log.secure_boot_keys.n = 0;
	f->authority_bytes[0] ^= 1;
	denied_by(f, CHECK_LOG_11);
	f->authority_bytes[0] ^= 1;
	f->order_bytes[0] ^= 1;
	denied_by(f, CHECK_LOG_20);
	f->order_bytes[0] ^= 1;
	e = made_find(&f->log, MADE_SECURE_BOOT);
	e->data.data[e->data.len - 1] = 0;
	build(f);
	denied_by(f, CHECK_LOG_10);
	f->evidence.ccel.len -= 2;
	denied_by(f, CHECK_LOG_01);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_log_believed),
		cmocka_unit_test(log_of_other_registers_believed),
		cmocka_unit_test(register_without_events_believed),
		cmocka_unit_test(register_that_goes_on_refused),
		cmocka_unit_test(data_that_was_not_measured_believed),
		cmocka_unit_test(second_or_odd_separator_believed),
		cmocka_unit_test(other_technology_admitted),
		cmocka_unit_test(technology_of_broken_event_believed),
		cmocka_unit_test(sev_without_its_event_admitted),
		cmocka_unit_test(old_firmware_admitted),
		cmocka_unit_test(secure_boot_off_admitted),
		cmocka_unit_test(secure_boot_without_keys_admitted),
		cmocka_unit_test(secure_boot_without_authority_admitted),
		cmocka_unit_test(authority_before_the_separator_admitted),
		cmocka_unit_test(revoked_authority_admitted),
		cmocka_unit_test(nobody_knows_of_boothole),
		cmocka_unit_test(other_authority_admitted),
		cmocka_unit_test(other_key_trusted),
		cmocka_unit_test(signature_list_malformed),
		cmocka_unit_test(revocation_missing_admitted),
		cmocka_unit_test(old_sbat_level_admitted),
		cmocka_unit_test(other_boot_variable_admitted),
		cmocka_unit_test(dma_protection_off_admitted),
		cmocka_unit_test(stub_command_line_misread),
		cmocka_unit_test(other_command_line_admitted),
		cmocka_unit_test(other_grub_command_admitted),
		cmocka_unit_test(other_application_admitted),
		cmocka_unit_test(boot_services_not_left),
		cmocka_unit_test(debug_mode_admitted),
		cmocka_unit_test(register_of_any_value_believed),
		cmocka_unit_test(event_of_another_register_believed),
		cmocka_unit_test(facts_of_any_rtmr_believed),
		cmocka_unit_test(nothing_asked_and_refused),
		cmocka_unit_test(ccel_of_other_registers_believed),
		cmocka_unit_test(rtmr_that_goes_on_refused),
		cmocka_unit_test(separators_of_a_ccel_astray),
		cmocka_unit_test(facts_of_a_ccel_believed),
	};

	return denied_end("log-appraise",
	    cmocka_run_group_tests(tests, NULL, NULL));
}
