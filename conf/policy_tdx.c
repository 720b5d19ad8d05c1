/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "conf/policy_parts.h"

#define SVN_LEN 16

static int check_rtmrs(const struct json_doc *doc, const cJSON *item,
    void *out, struct why *why);

/* Intel's words; SGX DCAP, "TCB Status". "Revoked" can not be accepted. */
static const struct json_word tcb_status_v[] = {
	{ "UpToDate", 0 },
	{ "SWHardeningNeeded", 0 },
	{ "ConfigurationNeeded", 0 },
	{ "ConfigurationAndSWHardeningNeeded", 0 },
	{ "OutOfDate", 0 },
	{ "OutOfDateConfigurationNeeded", 0 },
	{ "TDRelaunchAdvised", 0 },
	{ "TDRelaunchAdvisedConfigurationNeeded", 0 },
};
static const struct json_words tcb_status_words = JSON_WORDS(tcb_status_v);

static JSON_READER(read_tcb_status)
{
	if (cJSON_IsString(item) && strcmp(item->valuestring, "Revoked") == 0)
		return json_refuse(doc, item,
		    "a status that can be accepted (a revoked platform never)",
		    why);
	return json_read_name(doc, item, field, out, why);
}

static JSON_READER(read_advisory)
{
	static const char prefix[] = "INTEL-SA-";
	const char *s = cJSON_IsString(item) ? item->valuestring : "";

	if (strncmp(s, prefix, strlen(prefix)) != 0 ||
	    s[strlen(prefix)] == '\0' ||
	    s[strlen(prefix) + strspn(s + strlen(prefix), "0123456789")] !=
	    '\0')
		return json_refuse(doc, item, "a name like \"INTEL-SA-00614\"",
		    why);
	return json_read_text(doc, item, field, out, why);
}

/* A TD's XFAM, all of it; TDX module base specification, TD_PARAMS. */
static JSON_READER(read_xfam)
{
	struct policy *p = out;
	int err = json_read_hex_u64(doc, item, field, &p->tdx.xfam, why);

	if (err == CVM_OK)
		p->tdx.xfam_set = true;
	return err;
}

static JSON_READER(read_rtmr)
{
	struct blob b = { 0 };
	int err = json_read_value(doc, item, field, &b, why);

	if (err == CVM_OK)
		memcpy(out, b.data, SHA384_LEN);
	blob_clear(&b);
	return err;
}

/* RTMR 3 is the application's: zero says that none has extended it. */
static JSON_READER(read_rtmr3)
{
	struct blob b = { 0 };
	int err = json_read_value_or_zero(doc, item, field, &b, why);

	if (err == CVM_OK)
		memcpy(out, b.data, SHA384_LEN);
	blob_clear(&b);
	return err;
}

#define RTMR(i, fn)                                                            \
	{                                                                      \
		.name = "rtmr" #i, .read = (fn),                               \
		.offset = offsetof(struct rtmr_set, value[i]),                 \
		.min = SHA384_LEN, .max = SHA384_LEN, .schema_type = "string"  \
	}
static const struct json_field rtmr_fields[] = {
	{ .name = "label", .required = true, .read = policy_check_label,
	    .min = 1, .max = POLICY_LABEL_MAX, .schema_type = "string" },
	RTMR(0, read_rtmr),
	RTMR(1, read_rtmr),
	RTMR(2, read_rtmr),
	RTMR(3, read_rtmr3),
};
static const struct json_table rtmr_table = JSON_TABLE(rtmr_fields,
    check_rtmrs);

static int
check_rtmrs(const struct json_doc *doc, const cJSON *item, void *out,
    struct why *why)
{
	static const char *const names[] = { "rtmr0", "rtmr1", "rtmr2",
		"rtmr3" };
	struct rtmr_set *set = out;

	for (size_t i = 0; i < NELEMS(names); i++)
		if (json_member(item, names[i]) != NULL)
			set->mask |= 1u << i;
	if (set->mask == 0)
		return json_refuse(doc, item, "at least one of rtmr0..rtmr3",
		    why);
	return CVM_OK;
}

static JSON_READER(read_rtmr_sets)
{
	const struct json_field *element = field->arg;
	struct policy_tdx *tdx = &((struct policy *)out)->tdx;
	int n = cJSON_GetArraySize(item), err;
	const cJSON *child;

	if (!cJSON_IsArray(item) || n < field->min || n > field->max)
		return json_refuse(doc, item, "a list of 1..16 sets", why);
	cJSON_ArrayForEach(child, item) {
		struct rtmr_set *set = &tdx->rtmr_sets[tdx->n_rtmr_sets];

		err = element->read(doc, child, element, set, why);
		if (err == CVM_OK)
			err = policy_set_label(doc, child, tdx->rtmr_sets,
			    sizeof(*set), tdx->n_rtmr_sets, why);
		if (err != CVM_OK)
			return err;
		if (set->mask != tdx->rtmr_sets[0].mask)
			return json_refuse(doc, child,
			    "the same RTMRs as in the first set", why);
		tdx->n_rtmr_sets++;
	}
	return CVM_OK;
}

static const struct json_field rtmr_element = { .read = json_read_table,
	.arg = &rtmr_table, .schema_type = "object" };
static const struct json_field tcb_status = { .read = read_tcb_status,
	.arg = &tcb_status_words, .schema_type = "string" };
static const struct json_field advisory = { .read = read_advisory, .min = 10,
	.max = 32, .schema_type = "string" };

static const struct json_field attribute_fields[] = {
	POLICY_TRISTATE("debug", tdx.debug),
	POLICY_TRISTATE("sept_ve_disable", tdx.sept_ve_disable),
	POLICY_TRISTATE("migratable", tdx.migratable),
	POLICY_TRISTATE("pks", tdx.pks),
	POLICY_TRISTATE("key_locker", tdx.key_locker),
	POLICY_TRISTATE("perfmon", tdx.perfmon),
};
static const struct json_table attribute_table = JSON_TABLE(attribute_fields,
    NULL);

static const struct json_field platform_fields[] = {
	POLICY_BOOL("dynamic", tdx.dynamic_platform),
	POLICY_BOOL("cached_keys", tdx.cached_keys),
	POLICY_BOOL("smt", tdx.smt),
};
static const struct json_table platform_table = JSON_TABLE(platform_fields,
    NULL);

static const struct json_field tdx_fields[] = {
	POLICY_VALUES("roots", tdx.roots, value_32),
	{ .name = "mrtd", .required = true, .read = json_read_values,
	    .offset = POLICY_AT(tdx.mrtd), .min = 1, .max = POLICY_LIST_MAX,
	    .arg = &value_48, .schema_type = "array" },
	{ .name = "rtmr_sets", .read = read_rtmr_sets, .offset = 0, .min = 1,
	    .max = POLICY_SETS_MAX, .arg = &rtmr_element,
	    .schema_type = "array" },
	POLICY_VALUES("mrseam", tdx.mrseam, value_48),
	POLICY_VALUES("mrconfigid", tdx.mrconfigid, zero_or_48),
	POLICY_VALUES("mrowner", tdx.mrowner, zero_or_48),
	POLICY_VALUES("mrownerconfig", tdx.mrownerconfig, zero_or_48),
	POLICY_VALUES("mrservicetd", tdx.mrservicetd, zero_or_48),
	POLICY_VALUES("fmspc", tdx.fmspc, value_6),
	POLICY_VALUES("platform_instance_id", tdx.platform_instance_id,
	    value_16),
	POLICY_OBJECT("td_attributes", attribute_table),
	{ .name = "xfam", .read = read_xfam, .offset = 0, .min = 1, .max = 16,
	    .schema_type = "string" },
	POLICY_STRINGS("tcb_status", tdx.tcb_status, tcb_status),
	POLICY_STRINGS("advisories", tdx.advisories, advisory),
	POLICY_U32("min_tcb_evaluation_data_number",
	    tdx.min_tcb_evaluation_data_number, 0, UINT32_MAX),
	{ .name = "min_tee_tcb_svn", .read = json_read_hex,
	    .offset = POLICY_AT(tdx.min_tee_tcb_svn), .min = SVN_LEN,
	    .max = SVN_LEN, .schema_type = "string" },
	POLICY_BOOL("trailing_bytes", tdx.trailing_bytes),
	POLICY_OBJECT("platform", platform_table),
};
const struct json_table policy_tdx_table = JSON_TABLE(tdx_fields, NULL);

int
policy_tdx_defaults(struct policy *p)
{
	p->tdx.debug = FORBID;
	p->tdx.sept_ve_disable = REQUIRE;
	p->tdx.migratable = FORBID;
	p->tdx.perfmon = FORBID;
	p->tdx.dynamic_platform = true;
	p->tdx.cached_keys = true;
	p->tdx.smt = true;
	p->tdx.tcb_status.v = calloc(2, sizeof(char *));
	if (p->tdx.tcb_status.v == NULL)
		return CVM_E_NOMEM;
	p->tdx.tcb_status.v[0] = strdup(tcb_status_v[0].word);
	if (p->tdx.tcb_status.v[0] == NULL)
		return CVM_E_NOMEM;
	p->tdx.tcb_status.n = 1;
	return CVM_OK;
}

void
policy_tdx_clear(struct policy_tdx *tdx)
{
	value_list_clear(&tdx->roots);
	value_list_clear(&tdx->mrtd);
	value_list_clear(&tdx->mrseam);
	value_list_clear(&tdx->mrconfigid);
	value_list_clear(&tdx->mrowner);
	value_list_clear(&tdx->mrownerconfig);
	value_list_clear(&tdx->mrservicetd);
	value_list_clear(&tdx->fmspc);
	value_list_clear(&tdx->platform_instance_id);
	string_list_clear(&tdx->tcb_status);
	string_list_clear(&tdx->advisories);
}
