/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "conf/policy_parts.h"

#define RTMRS 4

/* The confidential technology of a GceNonHostInfo event. */
static const struct json_word technology_v[] = {
	{ "NONE", 0 },
	{ "AMD_SEV", 0 },
	{ "AMD_SEV_ES", 0 },
	{ "AMD_SEV_SNP", 0 },
	{ "INTEL_TDX", 0 },
};
static const struct json_words technology_words = JSON_WORDS(technology_v);

static const struct json_word ccel_v[] = {
	{ "present", CCEL_PRESENT },
	{ "require", CCEL_REQUIRE },
	{ "ignore", CCEL_IGNORE },
};
static const struct json_words ccel_words = JSON_WORDS(ccel_v);

/* An index as the decimal number that verdicts print. */
static JSON_READER(read_number)
{
	char number[12], **to = out;
	uint32_t v = 0;
	int err = json_read_u32(doc, item, field, &v, why);

	if (err != CVM_OK)
		return err;
	(void)snprintf(number, sizeof(number), "%u", v);
	*to = strdup(number);
	return *to != NULL ? CVM_OK :
			     why_set(why, CVM_E_NOMEM, NULL, NULL, NULL, NULL);
}

static const struct json_field technology = { ROW_WORDS(NULL, json_read_name, 0,
    technology_words) };
static const struct json_field cmdline = { ROW_STRING(NULL, json_read_text, 0,
    1, 4096) };
/* GRUB measures a menu entry with its line feeds and tabs. */
static const struct json_field command = { ROW_STRING(NULL, json_read_any_text,
    0, 1, 4096) };
static const struct json_field bank_digest = { ROW_STRING(NULL, json_read_value,
    0, SHA256_LEN, SHA384_LEN) };
static const struct json_field pcr_number = { ROW_INTEGER(NULL, read_number, 0,
    0, POLICY_PCR_MAX - 1) };
static const struct json_field rtmr_number = { ROW_INTEGER(NULL, read_number, 0,
    0, RTMRS - 1) };

/* A digest of another bank could never match; the policy's rules come last,
 * so "tpm" is read by now. Without a TPM the log is the TDX one, SHA-384. */
static int
read_bank_digests(const struct json_doc *doc, const struct json *item,
    const struct json_field *field, const struct policy *p,
    struct value_list *list, struct why *why)
{
	size_t len = hash_len(p->has_tpm ? p->tpm.bank : HASH_SHA384);
	int err = json_read_values(doc, item, field, list, why);

	if (err != CVM_OK)
		return err;
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].len != len)
			return json_refuse(doc, json_at(item, i),
			    len == SHA256_LEN ? "64 hexadecimal digits" :
						"96 hexadecimal digits",
			    why);
	return CVM_OK;
}

static JSON_READER(read_efi_apps)
{
	struct policy *p = out;

	return read_bank_digests(doc, item, field, p, &p->log.efi_apps, why);
}

static JSON_READER(read_boot_variables)
{
	struct policy *p = out;

	return read_bank_digests(doc, item, field, p, &p->log.boot_variables,
	    why);
}

static const struct json_field log_fields[] = {
	{ ROW_STRINGS("technology", POLICY_AT(log.technology), technology) },
	{ ROW_U32("min_gce_firmware", POLICY_AT(log.min_gce_firmware), 0,
	    UINT32_MAX) },
	{ ROW_TRISTATE("secure_boot", POLICY_AT(log.secure_boot)) },
	{ ROW_VALUES("authorities", POLICY_AT(log.authorities), value_32) },
	{ ROW_VALUES("secure_boot_keys", POLICY_AT(log.secure_boot_keys),
	    value_32) },
	{ ROW_VALUES("dbx", POLICY_AT(log.dbx), value_32) },
	{ ROW_U32("min_sbat_level", POLICY_AT(log.min_sbat_level), 0,
	    UINT32_MAX) },
	{ ROW_STRINGS("kernel_cmdline", POLICY_AT(log.kernel_cmdline),
	    cmdline) },
	{ ROW_STRINGS("grub_cmd", POLICY_AT(log.grub_cmd), command) },
	{ ROW_LIST("efi_apps", read_efi_apps, 0, 1, POLICY_LIST_MAX,
	    bank_digest) },
	{ ROW_LIST("boot_variables", read_boot_variables, 0, 1, POLICY_LIST_MAX,
	    bank_digest) },
	{ ROW_BOOL("dma_protection", POLICY_AT(log.dma_protection)) },
	{ ROW_WORDS("ccel", json_read_word, POLICY_AT(log.ccel), ccel_words) },
	{ ROW_BOOL("exit_boot_services", POLICY_AT(log.exit_boot_services)) },
	{ ROW_LIST("unlogged_pcrs", json_read_strings,
	    POLICY_AT(log.unlogged_ok), 1, POLICY_PCR_MAX, pcr_number) },
	{ ROW_LIST("unlogged_rtmrs", json_read_strings,
	    POLICY_AT(log.unlogged_rtmrs), 1, RTMRS, rtmr_number) },
};
const struct json_table policy_log_table = JSON_TABLE(log_fields, NULL);

bool
policy_reads_ccel(const struct policy *p)
{
	return p->log.present && p->tee == TEE_TDX &&
	    (!p->has_tpm || p->log.ccel != CCEL_IGNORE);
}

void
policy_log_clear(struct policy_event_log *log)
{
	string_list_clear(&log->technology);
	value_list_clear(&log->authorities);
	string_list_clear(&log->kernel_cmdline);
	string_list_clear(&log->grub_cmd);
	value_list_clear(&log->efi_apps);
	value_list_clear(&log->boot_variables);
	value_list_clear(&log->secure_boot_keys);
	value_list_clear(&log->dbx);
	string_list_clear(&log->unlogged_ok);
	string_list_clear(&log->unlogged_rtmrs);
}
