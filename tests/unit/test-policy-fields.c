/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "conf/json_read.h"
#include "tests/unit/denied.h"
#include "tests/unit/stage.h"

/*
 * Every field that a policy can name, one value off: denied by the check that
 * the field governs, and by no other. The fields are those of the policy's
 * tables: one without a row here fails.
 */
#define STAGES_TDX (STAGE_TDX_4 | STAGE_TDX_5)
#define STAGES_LOG (STAGE_GCE | STAGE_PINNED | STAGES_TDX | STAGES_TDX_TPM)
#define ADMITTED CHECK_COUNT

#define ROW(p, s, c) .path = (p), .stages = (s), .check = (c)
#define TURN(p, s, c)                                                          \
	{                                                                      \
		ROW(p, s, c)                                                   \
	}
#define OFF(p, s, c, o)                                                        \
	{                                                                      \
		ROW(p, s, c), .off = (o)                                       \
	}
#define WITH(p, s, c, o, wp, w)                                                \
	{                                                                      \
		ROW(p, s, c), .off = (o), .with_path = (wp), .with = (w)       \
	}

static const struct field {
	const char *path; /* elements of lists by number */
	unsigned stages;
	enum check_id check;	      /* ADMITTED: no appraisal looks at it */
	const char *off;	      /* JSON; NULL: the last digit differs */
	const char *with_path, *with; /* what has to change with it */
	enum check_id also;	      /* of what changes with it; 0: none */
} fields[] = {
	OFF("bind", STAGE_SNP, ADMITTED, "\"operation\""),
	OFF("session_max_age_s", STAGE_SNP, ADMITTED, "1"),
	OFF("session_open_max_age_s", STAGE_SNP, ADMITTED, "60"),
	OFF("tee_report_max_age_s", STAGE_SNP | STAGES_TDX, CHECK_BIND_03, "9"),
	OFF("older_collateral", STAGE_SNP | STAGES_TDX | STAGE_GCE,
	    CHECK_COL_01, "\"deny\""),
	OFF("snp.products", STAGE_SNP, CHECK_SNP_12, "[\"genoa\",\"milan\"]"),
	OFF("snp.products", STAGE_VLEK, CHECK_SNP_12, "[\"genoa\",\"turin\"]"),
	TURN("snp.roots", STAGE_SNP | STAGE_VLEK, CHECK_SNP_16),
	TURN("snp.measurement", STAGE_SNP | STAGE_AZURE, CHECK_SNP_28),
	TURN("snp.launch_endorsement.roots", STAGE_SNP, CHECK_SNP_57),
	OFF("snp.launch_endorsement.min_svn", STAGE_SNP, CHECK_SNP_61, "11"),
	OFF("snp.launch_endorsement.vcpus", STAGE_SNP, CHECK_SNP_60, "5"),
	TURN("snp.host_data", STAGE_SNP, CHECK_SNP_48),
	TURN("snp.family_id", STAGE_SNP, CHECK_SNP_49),
	TURN("snp.image_id", STAGE_SNP, CHECK_SNP_50),
	TURN("snp.report_id", STAGE_SNP, CHECK_SNP_51),
	TURN("snp.id_key_digest", STAGE_SNP, CHECK_SNP_52),
	TURN("snp.author_key_digest", STAGE_SNP, CHECK_SNP_53),
	TURN("snp.chip_id", STAGE_SNP, CHECK_SNP_55),
	WITH("snp.signing_keys", STAGE_SNP, CHECK_SNP_07, "[\"vlek\"]",
	    "snp.csp_id", "[\"CN=any\"]"),
	{ ROW("snp.signing_keys", STAGE_VLEK, CHECK_SNP_07),
	    .off = "[\"vcek\"]", .with_path = "snp.csp_id", .with = "null",
	    .also = CHECK_SNP_21 },
	OFF("snp.csp_id", STAGE_VLEK, CHECK_SNP_21, "[\"CN=any\"]"),
	OFF("snp.masked_chip_id", STAGE_VLEK, CHECK_SNP_20, "false"),
	OFF("snp.vmpl", STAGE_SNP, CHECK_SNP_29, "1"),
	OFF("snp.guest_policy.debug", STAGE_SNP, CHECK_SNP_30, "\"require\""),
	OFF("snp.guest_policy.migrate_ma", STAGE_SNP, CHECK_SNP_31,
	    "\"require\""),
	OFF("snp.guest_policy.smt", STAGE_SNP, CHECK_SNP_33, "\"forbid\""),
	OFF("snp.guest_policy.single_socket", STAGE_SNP, CHECK_SNP_34,
	    "\"require\""),
	OFF("snp.guest_policy.cxl", STAGE_SNP, CHECK_SNP_35, "\"require\""),
	OFF("snp.guest_policy.aes256_xts", STAGE_SNP, CHECK_SNP_36,
	    "\"require\""),
	OFF("snp.guest_policy.rapl_dis", STAGE_SNP, CHECK_SNP_37,
	    "\"require\""),
	OFF("snp.guest_policy.ciphertext_hiding", STAGE_SNP, CHECK_SNP_38,
	    "\"require\""),
	OFF("snp.guest_policy.page_swap_disable", STAGE_SNP, CHECK_SNP_39,
	    "\"require\""),
	OFF("snp.guest_policy.min_abi", STAGE_SNP, CHECK_SNP_40, "\"1.32\""),
	OFF("snp.platform_info.smt", STAGE_SNP, CHECK_SNP_41, "\"forbid\""),
	OFF("snp.platform_info.tsme", STAGE_SNP, CHECK_SNP_42, "\"require\""),
	OFF("snp.platform_info.ecc", STAGE_SNP, CHECK_SNP_43, "\"forbid\""),
	OFF("snp.platform_info.rapl_dis", STAGE_SNP, CHECK_SNP_44,
	    "\"require\""),
	OFF("snp.platform_info.ciphertext_hiding", STAGE_SNP, CHECK_SNP_45,
	    "\"require\""),
	OFF("snp.platform_info.alias_check", STAGE_SNP, CHECK_SNP_46,
	    "\"forbid\""),
	OFF("snp.platform_info.iommu_write_safe", STAGE_SNP, CHECK_SNP_64,
	    "\"forbid\""),
	OFF("snp.platform_info.tio", STAGE_SNP, CHECK_SNP_47, "\"require\""),
	OFF("snp.min_tcb.fmc", STAGE_SNP, CHECK_SNP_24, "2"),
	OFF("snp.min_tcb.bootloader", STAGE_SNP, CHECK_SNP_24, "5"),
	OFF("snp.min_tcb.tee", STAGE_SNP, CHECK_SNP_24, "3"),
	OFF("snp.min_tcb.snp", STAGE_SNP | STAGE_VLEK, CHECK_SNP_24, "25"),
	OFF("snp.min_tcb.microcode", STAGE_SNP, CHECK_SNP_24, "220"),
	OFF("snp.min_committed_tcb.fmc", STAGE_SNP, CHECK_SNP_63, "2"),
	OFF("snp.min_committed_tcb.bootloader", STAGE_SNP, CHECK_SNP_63, "5"),
	OFF("snp.min_committed_tcb.tee", STAGE_SNP, CHECK_SNP_63, "3"),
	OFF("snp.min_committed_tcb.snp", STAGE_SNP, CHECK_SNP_63, "25"),
	OFF("snp.min_committed_tcb.microcode", STAGE_SNP, CHECK_SNP_63, "220"),
	OFF("snp.min_launch_tcb.fmc", STAGE_SNP, CHECK_SNP_25, "2"),
	OFF("snp.min_launch_tcb.bootloader", STAGE_SNP, CHECK_SNP_25, "5"),
	OFF("snp.min_launch_tcb.tee", STAGE_SNP, CHECK_SNP_25, "3"),
	OFF("snp.min_launch_tcb.snp", STAGE_SNP, CHECK_SNP_25, "25"),
	OFF("snp.min_launch_tcb.microcode", STAGE_SNP, CHECK_SNP_25, "220"),
	OFF("snp.min_guest_svn", STAGE_SNP, CHECK_SNP_54, "8"),
	OFF("snp.min_firmware", STAGE_SNP, CHECK_SNP_26, "\"1.55.30\""),
	OFF("snp.provisional_firmware", STAGE_VLEK, CHECK_SNP_23, "false"),
	OFF("snp.mitigations", STAGE_SNP, CHECK_SNP_27, "\"0x7\""),
	OFF("snp.crl", STAGE_VLEK, CHECK_SNP_18, "\"require\""),

	TURN("tdx.roots", STAGES_TDX, CHECK_TDX_11),
	TURN("tdx.mrtd", STAGES_TDX, CHECK_TDX_69),
	TURN("tdx.launch_endorsement.roots", STAGES_TDX, CHECK_TDX_76),
	OFF("tdx.launch_endorsement.min_svn", STAGES_TDX, CHECK_TDX_80, "11"),
	OFF("tdx.launch_endorsement.ram_gib", STAGES_TDX, CHECK_TDX_79, "5"),
	OFF("tdx.rtmr_sets.0.label", STAGES_TDX, ADMITTED, "\"other\""),
	TURN("tdx.rtmr_sets.0.rtmr0", STAGES_TDX, CHECK_TDX_70),
	TURN("tdx.rtmr_sets.0.rtmr1", STAGES_TDX, CHECK_TDX_70),
	TURN("tdx.rtmr_sets.0.rtmr2", STAGES_TDX, CHECK_TDX_70),
	TURN("tdx.rtmr_sets.0.rtmr3", STAGES_TDX, CHECK_TDX_70),
	TURN("tdx.mrseam", STAGES_TDX, CHECK_TDX_68),
	TURN("tdx.mrconfigid", STAGES_TDX, CHECK_TDX_71),
	TURN("tdx.mrowner", STAGES_TDX, CHECK_TDX_72),
	TURN("tdx.mrownerconfig", STAGES_TDX, CHECK_TDX_73),
	TURN("tdx.mrservicetd", STAGE_TDX_5, CHECK_TDX_74),
	TURN("tdx.fmspc", STAGES_TDX, CHECK_TDX_54),
	TURN("tdx.platform_instance_id", STAGES_TDX, CHECK_TDX_55),
	OFF("tdx.td_attributes.debug", STAGES_TDX, CHECK_TDX_59, "\"require\""),
	OFF("tdx.td_attributes.sept_ve_disable", STAGES_TDX, CHECK_TDX_61,
	    "\"forbid\""),
	OFF("tdx.td_attributes.migratable", STAGES_TDX, CHECK_TDX_62,
	    "\"require\""),
	OFF("tdx.td_attributes.pks", STAGES_TDX, CHECK_TDX_63, "\"require\""),
	OFF("tdx.td_attributes.key_locker", STAGES_TDX, CHECK_TDX_64,
	    "\"require\""),
	OFF("tdx.td_attributes.perfmon", STAGES_TDX, CHECK_TDX_65,
	    "\"require\""),
	TURN("tdx.xfam", STAGES_TDX, CHECK_TDX_67),
	OFF("tdx.tcb_status", STAGES_TDX, CHECK_TDX_51,
	    "[\"UpToDate\",\"OutOfDateConfigurationNeeded\"]"),
	TURN("tdx.advisories", STAGES_TDX, CHECK_TDX_52),
	OFF("tdx.min_tcb_evaluation_data_number", STAGES_TDX, CHECK_TDX_40,
	    "20"),
	TURN("tdx.min_tee_tcb_svn", STAGES_TDX, CHECK_TDX_53),
	OFF("tdx.trailing_bytes", STAGES_TDX, CHECK_TDX_07, "false"),
	OFF("tdx.platform.dynamic", STAGES_TDX, CHECK_TDX_56, "false"),
	OFF("tdx.platform.cached_keys", STAGES_TDX, CHECK_TDX_57, "false"),
	OFF("tdx.platform.smt", STAGES_TDX, CHECK_TDX_58, "false"),

	WITH("tpm.ak.trust", STAGE_PINNED, CHECK_TPM_06, "\"gce\"", "tpm.ak",
	    "{\"trust\":\"gce\",\"roots\":[\"0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef\"]}"),
	WITH("tpm.ak.trust", STAGE_SVSM | STAGE_AZURE, CHECK_BIND_01, "\"tee\"",
	    "tpm.ak", "{\"trust\":\"tee\"}"),
	TURN("tpm.ak.roots", STAGE_GCE, CHECK_TPM_06),
	OFF("tpm.ak.crl", STAGE_GCE, CHECK_TPM_18, "\"require\""),
	TURN("tpm.ak.names", STAGE_PINNED, CHECK_TPM_10),
	TURN("tpm.ak.names", STAGE_SVSM, CHECK_SVSM_03),
	TURN("tpm.ak.eks", STAGE_SVSM, CHECK_SVSM_02),
	OFF("tpm.ak.instance.zone", STAGE_GCE, CHECK_TPM_09, "\"zz\""),
	OFF("tpm.ak.instance.project_id", STAGE_GCE, CHECK_TPM_09, "\"P\""),
	OFF("tpm.ak.instance.project_number", STAGE_GCE, CHECK_TPM_09,
	    "\"55\""),
	OFF("tpm.ak.instance.instance_id", STAGE_GCE, CHECK_TPM_09, "\"8\""),
	OFF("tpm.ak.instance.instance_name", STAGE_GCE, CHECK_TPM_09, "\"m\""),
	OFF("tpm.ak.instance.production", STAGE_GCE, CHECK_TPM_09, "true"),
	OFF("tpm.ak.vm.secure_boot", STAGE_AZURE, CHECK_HCL_07, "\"forbid\""),
	OFF("tpm.ak.vm.console", STAGE_AZURE, CHECK_HCL_08, "\"forbid\""),
	TURN("tpm.ak.vm.ids", STAGE_AZURE, CHECK_HCL_09),
	OFF("tpm.pcr_sets.0.label", STAGE_GCE, ADMITTED, "\"other\""),
	TURN("tpm.pcr_sets.0.pcrs", STAGE_GCE | STAGE_AZURE | STAGE_SVSM,
	    CHECK_TPM_14),
	TURN("tpm.firmware_versions", STAGE_GCE, CHECK_TPM_17),

	OFF("event_log.technology", STAGE_GCE, CHECK_LOG_07,
	    "[\"AMD_SEV_ES\",\"INTEL_TDX\"]"),
	OFF("event_log.min_gce_firmware", STAGE_GCE, CHECK_LOG_09, "3"),
	OFF("event_log.secure_boot", STAGES_LOG, CHECK_LOG_10, "\"forbid\""),
	TURN("event_log.authorities", STAGES_LOG, CHECK_LOG_11),
	TURN("event_log.secure_boot_keys", STAGES_LOG, CHECK_LOG_17),
	TURN("event_log.dbx", STAGES_LOG, CHECK_LOG_18),
	OFF("event_log.min_sbat_level", STAGES_LOG, CHECK_LOG_19, "2024010901"),
	OFF("event_log.kernel_cmdline", STAGES_LOG, CHECK_LOG_12,
	    "[\"/vmlinuz root=/dev/dm-0 rw\"]"),
	OFF("event_log.grub_cmd", STAGES_LOG, CHECK_LOG_13,
	    "[\"linux /vmlinuy\"]"),
	TURN("event_log.efi_apps", STAGES_LOG, CHECK_LOG_14),
	TURN("event_log.boot_variables", STAGES_LOG, CHECK_LOG_20),
	OFF("event_log.ccel", STAGE_TDX_BARE, CHECK_LOG_01, "\"require\""),
	OFF("event_log.ccel", STAGE_TDX_TPM, ADMITTED, "\"require\""),
	OFF("event_log.dma_protection", STAGES_TDX, CHECK_LOG_21, "true"),
	OFF("event_log.exit_boot_services", STAGES_TDX, CHECK_LOG_15, "true"),
	OFF("event_log.unlogged_pcrs", STAGE_GCE, CHECK_LOG_03, "[11,12]"),
	OFF("event_log.unlogged_rtmrs", STAGES_TDX | STAGE_TDX_TPM,
	    CHECK_LOG_04, "null"),
};

/* What the policy is, rather than what it asks for; "tee" and "tpm.bank" are
 * the evidence's kind, which another test changes. */
static const char *const not_asked[] = { "version", "name", "tee", "tpm.bank" };

static bool
has_row(const char *path)
{
	for (size_t i = 0; i < NELEMS(fields); i++)
		if (strcmp(fields[i].path, path) == 0)
			return true;
	for (size_t i = 0; i < NELEMS(not_asked); i++)
		if (strcmp(not_asked[i], path) == 0)
			return true;
	return false;
}

/* Calls fn for each field that has a value of its own. */
static void
walk(const struct json_table *table, const char *above)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct json_field *f = &table->fields[i], *element;
		char path[128];

		(void)snprintf(path, sizeof(path), "%s%s%s", above,
		    above[0] != '\0' ? "." : "", f->name);
		element = strcmp(f->schema_type, "array") == 0 ? f->arg : f;
		if (strcmp(element->schema_type, "object") == 0 &&
		    element->arg != NULL) {
			if (element != f)
				(void)strcat(path, ".0");
			walk(element->arg, path);
		} else if (!has_row(path)) {
			fail_msg("no row for the policy's %s", path);
		}
	}
}

static void
field_that_no_row_changes(void **state)
{
	(void)state;
	walk(&policy_table, "");
}

/* Text of a policy, changed. */

static cJSON *
step(cJSON *at, const char *name, size_t len)
{
	char word[64];

	assert_true(len < sizeof(word));
	memcpy(word, name, len);
	word[len] = '\0';
	return cJSON_IsArray(at) ? cJSON_GetArrayItem(at, word[0] - '0') :
				   cJSON_GetObjectItemCaseSensitive(at, word);
}

/* Replaces or adds the last name of the path; "null" takes it away. */
static void
put(cJSON *at, const char *path, const char *json)
{
	cJSON *value = cJSON_Parse(json);
	const char *dot;

	assert_non_null(value);
	while ((dot = strchr(path, '.')) != NULL) {
		at = step(at, path, (size_t)(dot - path));
		assert_non_null(at);
		path = dot + 1;
	}
	if (cJSON_IsArray(at)) {
		cJSON_ReplaceItemInArray(at, path[0] - '0', value);
		return;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(at, path);
	if (cJSON_IsNull(value))
		cJSON_Delete(value);
	else
		cJSON_AddItemToObject(at, path, value);
}

/* The first value below, with another last digit. */
static void
turn_digit(cJSON *at, const char *path)
{
	const char *dot = path;
	char *last;

	for (; dot != NULL; path = dot + 1) {
		dot = strchr(path, '.');
		at = step(at, path,
		    dot != NULL ? (size_t)(dot - path) : strlen(path));
		assert_non_null(at);
		if (dot == NULL)
			break;
	}
	while (cJSON_IsArray(at) || cJSON_IsObject(at))
		at = at->child;
	assert_true(cJSON_IsString(at));
	last = at->valuestring + strlen(at->valuestring) - 1;
	*last = *last == '1' ? '2' : '1';
}

static void
judge(struct stage *s, const char *text, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	struct why why = { 0 };

	if (policy_parse(span(text, strlen(text)), "stage", &p, &why) != 0)
		fail_msg("%s: allowed %s, got %s", why.field, why.expected,
		    why.got);
	s->a.policy = p;
	appraise(&s->a, v, facts);
	s->a.policy = NULL;
}

static bool
may_fail(const struct field *f, enum check_id id)
{
	return id == f->check || (f->also != 0 && id == f->also);
}

static void
check_field(struct stage *s, const struct field *f)
{
	char sentence[VERDICT_SENTENCE_MAX], *text;
	cJSON *policy = cJSON_Parse(s->text);
	struct verdict v;

	if (f->off != NULL)
		put(policy, f->path, f->off);
	else
		turn_digit(policy, f->path);
	if (f->with != NULL)
		put(policy, f->with_path, f->with);
	text = cJSON_PrintUnformatted(policy);
	cJSON_Delete(policy);
	judge(s, text, &v, NULL);
	free(text);
	(void)verdict_sentence(&v, sentence, sizeof(sentence));
	if (v.admit != (f->check == ADMITTED))
		fail_msg("%s: %s", f->path, sentence);
	for (enum check_id i = 0; i < CHECK_COUNT; i++)
		if ((v.results[i].status == CHECK_FAIL) != may_fail(f, i))
			fail_msg("%s: %s %s", f->path, check_table[i].name,
			    v.results[i].status == CHECK_FAIL ? "failed" :
								"did not fail");
	if (f->check == ADMITTED)
		return;
	assert_true(v.results[f->check].expected[0] != '\0');
	assert_true(v.results[f->check].got[0] != '\0');
	assert_non_null(strstr(sentence, check_table[f->check].name));
}

/*
 * The checks that the machines' own policies do not ask for, or that their
 * evidence has nothing for. Of everything else it must not be said that nobody
 * looked.
 */
#define STAGES_VCEK                                                            \
	(STAGE_SNP | STAGE_GCE | STAGE_PINNED | STAGE_AZURE | STAGE_SVSM)
#define STAGES_SNP_LAX ((STAGES_VCEK | STAGE_VLEK) & ~STAGE_SNP)
#define STAGES_AK_NAMED                                                        \
	(STAGE_PINNED | STAGE_AZURE | STAGE_SVSM | STAGES_TDX_TPM)
static const struct {
	unsigned stages;
	const char *checks;
} skipped[] = {
	{ STAGES_END - 1, "COL-01" },
	{ STAGES_VCEK, "SNP-21" },
	{ STAGE_VLEK, "SNP-18" },
	{ STAGES_SNP_LAX,
	    "SNP-26 SNP-27 SNP-33 SNP-34 SNP-35 SNP-36 SNP-37 SNP-38 SNP-39 "
	    "SNP-41 SNP-42 SNP-43 SNP-44 SNP-45 SNP-46 SNP-47 SNP-48 SNP-49 "
	    "SNP-50 SNP-51 SNP-52 SNP-53 SNP-55 SNP-56 SNP-57 SNP-58 SNP-59 "
	    "SNP-60 SNP-61 SNP-62 SNP-64" },
	{ STAGE_GCE, "TPM-10 TPM-11 TPM-18" },
	{ STAGES_AK_NAMED, "TPM-06 TPM-07 TPM-08 TPM-09 TPM-18" },
	{ STAGE_PINNED | STAGES_TDX_TPM, "TPM-11" },
	{ STAGE_AZURE | STAGE_SVSM, "TPM-10 TPM-17" },
	{ STAGES_TDX | STAGES_TDX_TPM,
	    "BIND-04 TDX-07 TDX-56 TDX-57 TDX-58 TDX-81" },
	{ STAGE_TDX_4, "TDX-74" },
	{ STAGES_TDX, "LOG-15 LOG-21" },
	{ STAGE_TDX_BARE, "LOG-04 LOG-22" },
};

static bool
may_be_skipped(unsigned kind, const char *check)
{
	for (size_t i = 0; i < NELEMS(skipped); i++)
		if ((skipped[i].stages & kind) != 0 &&
		    strstr(skipped[i].checks, check) != NULL)
			return true;
	return false;
}

static void
only_that_is_skipped(unsigned kind, const struct verdict *v)
{
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if ((v->results[i].status == CHECK_SKIPPED) !=
		    may_be_skipped(kind, check_table[i].name))
			fail_msg("machine %u: %s: %s", kind,
			    check_table[i].name,
			    check_status_name(v->results[i].status));
}

static void
value_off_that_is_admitted(void **state)
{
	(void)state;
	for (unsigned kind = 1; kind < STAGES_END; kind <<= 1) {
		_cleanup_(stage_free) struct stage *s = stage_new(kind);
		char sentence[VERDICT_SENTENCE_MAX];
		struct appraisal_facts facts;
		struct verdict v;

		judge(s, s->text, &v, &facts);
		if (!v.admit)
			fail_msg("machine %u: %s", kind,
			    verdict_sentence(&v, sentence, sizeof(sentence)));
		only_that_is_skipped(kind, &v);
		/* Newer collateral has been seen by now. */
		for (size_t i = 0; i < facts.seen.n; i++)
			facts.seen.v[i].time++;
		s->a.seen = &facts.seen;
		for (size_t i = 0; i < NELEMS(fields); i++)
			if (fields[i].stages & kind)
				check_field(s, &fields[i]);
	}
}

/* The policy's kinds of evidence: the evidence is of the other. */
static void
evidence_of_another_kind(void **state)
{
	_cleanup_(stage_free) struct stage *s = stage_new(STAGE_SVSM);
	struct verdict v;

	(void)state;
	s->e.pcrs.bank = HASH_SHA384;
	judge(s, s->text, &v, NULL);
	assert_int_equal(v.results[CHECK_TPM_12].status, CHECK_FAIL);
	s->e.pcrs.bank = HASH_SHA256;
	for (int tee = TEE_NONE; tee <= TEE_TDX; tee++) {
		s->e.tee = (enum tee_kind)tee;
		judge(s, s->text, &v, NULL);
		assert_int_equal(v.admit, tee == TEE_SNP);
		assert_int_equal(v.results[CHECK_SRC_01].status,
		    tee == TEE_SNP ? CHECK_PASS : CHECK_FAIL);
	}
}

/* Evidence over what somebody else had asked for. */
static void
nonce_of_another_round(void **state)
{
	static const enum stage_kind of[] = { STAGE_GCE, STAGE_TDX_TPM,
		STAGE_AZURE, STAGE_SVSM };

	(void)state;
	for (size_t i = 0; i < NELEMS(of); i++) {
		_cleanup_(stage_free) struct stage *s = stage_new(of[i]);
		enum check_id not_run;
		struct verdict v;

		s->a.qualifying[QUALIFYING_LEN - 1] ^= 1;
		judge(s, s->text, &v, NULL);
		assert_int_equal(verdict_first_fail(&v, &not_run),
		    CHECK_BIND_02);
		s->a.qualifying[QUALIFYING_LEN - 1] ^= 1;
		s->a.report_data[0] ^= 1;
		judge(s, s->text, &v, NULL);
		assert_int_equal(verdict_first_fail(&v, &not_run),
		    CHECK_BIND_01);
		s->a.report_data[0] ^= 1;
		judge(s, s->text, &v, NULL);
		assert_true(v.admit);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(field_that_no_row_changes),
		cmocka_unit_test(value_off_that_is_admitted),
		cmocka_unit_test(evidence_of_another_kind),
		cmocka_unit_test(nonce_of_another_round),
	};

	return denied_end("policy-fields",
	    cmocka_run_group_tests_name("policy-fields", tests, stage_setup,
		stage_teardown));
}
