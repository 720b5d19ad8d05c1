/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "conf/policy_parts.h"

#define SVN_LEN 16

static int check_tdx(const struct json_doc *doc, const struct json *item,
    void *out, struct why *why);
static int check_rtmrs(const struct json_doc *doc, const struct json *item,
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
	if (json_is_string(item) && strcmp(item->text, "Revoked") == 0)
		return json_refuse(doc, item,
		    "a status that can be accepted (a revoked platform never)",
		    why);
	return json_read_name(doc, item, field, out, why);
}

static JSON_READER(read_advisory)
{
	static const char prefix[] = "INTEL-SA-";
	const char *s = json_is_string(item) ? item->text : "";

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
		ROW_STRING("rtmr" #i, fn, offsetof(struct rtmr_set, value[i]), \
		    SHA384_LEN, SHA384_LEN)                                    \
	}
static const struct json_field rtmr_fields[] = {
	{ ROW_REQUIRED,
	    ROW_STRING("label", policy_check_label, 0, 1, POLICY_LABEL_MAX) },
	RTMR(0, read_rtmr),
	RTMR(1, read_rtmr),
	RTMR(2, read_rtmr),
	RTMR(3, read_rtmr3),
};
static const struct json_table rtmr_table = JSON_TABLE(rtmr_fields,
    check_rtmrs);

static int
check_rtmrs(const struct json_doc *doc, const struct json *item, void *out,
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
	long long n = (long long)json_count(item);
	int err;
	const struct json *child;

	if (!json_is_array(item) || n < field->min || n > field->max)
		return json_refuse(doc, item, "a list of 1..16 sets", why);
	JSON_EACH(child, item) {
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

static const struct json_field rtmr_element = { ROW_TABLE(NULL, 0,
    rtmr_table) };
static const struct json_field tcb_status = { ROW_WORDS(NULL, read_tcb_status,
    0, tcb_status_words) };
static const struct json_field advisory = { ROW_STRING(NULL, read_advisory, 0,
    10, 32) };

static const struct json_field attribute_fields[] = {
	{ ROW_TRISTATE("debug", POLICY_AT(tdx.debug)) },
	{ ROW_TRISTATE("sept_ve_disable", POLICY_AT(tdx.sept_ve_disable)) },
	{ ROW_TRISTATE("migratable", POLICY_AT(tdx.migratable)) },
	{ ROW_TRISTATE("pks", POLICY_AT(tdx.pks)) },
	{ ROW_TRISTATE("key_locker", POLICY_AT(tdx.key_locker)) },
	{ ROW_TRISTATE("perfmon", POLICY_AT(tdx.perfmon)) },
};
static const struct json_table attribute_table = JSON_TABLE(attribute_fields,
    NULL);

static const struct json_field platform_fields[] = {
	{ ROW_BOOL("dynamic", POLICY_AT(tdx.dynamic_platform)) },
	{ ROW_BOOL("cached_keys", POLICY_AT(tdx.cached_keys)) },
	{ ROW_BOOL("smt", POLICY_AT(tdx.smt)) },
};
static const struct json_table platform_table = JSON_TABLE(platform_fields,
    NULL);

#define RAM_GIB_MAX (1 << 20)
static const struct json_field launch_fields[] = {
	{ ROW_LAUNCH_ROOTS(POLICY_AT(tdx.launch)) },
	{ ROW_LAUNCH_SVN(POLICY_AT(tdx.launch)) },
	{ ROW_LAUNCH_SHAPE("ram_gib", POLICY_AT(tdx.launch), RAM_GIB_MAX) },
};
static const struct json_table launch_table = JSON_TABLE(launch_fields, NULL);

static const struct json_field tdx_fields[] = {
	{ ROW_VALUES("roots", POLICY_AT(tdx.roots), value_32) },
	{ ROW_VALUES("mrtd", POLICY_AT(tdx.mrtd), value_48) },
	{ ROW_TABLE("launch_endorsement", 0, launch_table) },
	{ ROW_LIST("rtmr_sets", read_rtmr_sets, 0, 1, POLICY_SETS_MAX,
	    rtmr_element) },
	{ ROW_VALUES("mrseam", POLICY_AT(tdx.mrseam), value_48) },
	{ ROW_VALUES("mrconfigid", POLICY_AT(tdx.mrconfigid), zero_or_48) },
	{ ROW_VALUES("mrowner", POLICY_AT(tdx.mrowner), zero_or_48) },
	{ ROW_VALUES("mrownerconfig", POLICY_AT(tdx.mrownerconfig),
	    zero_or_48) },
	{ ROW_VALUES("mrservicetd", POLICY_AT(tdx.mrservicetd), zero_or_48) },
	{ ROW_VALUES("fmspc", POLICY_AT(tdx.fmspc), value_6) },
	{ ROW_VALUES("platform_instance_id",
	    POLICY_AT(tdx.platform_instance_id), value_16) },
	{ ROW_TABLE("td_attributes", 0, attribute_table) },
	{ ROW_STRING("xfam", read_xfam, 0, 1, 16) },
	{ ROW_STRINGS("tcb_status", POLICY_AT(tdx.tcb_status), tcb_status) },
	{ ROW_STRINGS("advisories", POLICY_AT(tdx.advisories), advisory) },
	{ ROW_U32("min_tcb_evaluation_data_number",
	    POLICY_AT(tdx.min_tcb_evaluation_data_number), 0, UINT32_MAX) },
	{ ROW_STRING("min_tee_tcb_svn", json_read_hex,
	    POLICY_AT(tdx.min_tee_tcb_svn), SVN_LEN, SVN_LEN) },
	{ ROW_BOOL("trailing_bytes", POLICY_AT(tdx.trailing_bytes)) },
	{ ROW_TABLE("platform", 0, platform_table) },
};
const struct json_table policy_tdx_table = JSON_TABLE(tdx_fields, check_tdx);

/* Without an MRTD nothing is said about what runs. */
static int
check_tdx(const struct json_doc *doc, const struct json *item, void *out,
    struct why *why)
{
	const struct policy *p = out;

	if (p->tdx.mrtd.n == 0 && p->tdx.launch.roots.n == 0)
		return json_refuse_member(doc, item, "mrtd",
		    "an \"mrtd\" or a \"launch_endorsement\"", why);
	return CVM_OK;
}

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
	value_list_clear(&tdx->launch.roots);
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
