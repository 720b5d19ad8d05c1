/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "conf/file.h"
#include "conf/policy_parts.h"

static int check_policy(const struct json_doc *doc, const struct json *item,
    void *out, struct why *why);

static const struct json_word tristate_v[] = {
	{ "any", ANY },
	{ "forbid", FORBID },
	{ "require", REQUIRE },
};
const struct json_words tristate_words = JSON_WORDS(tristate_v);

static const struct json_word crl_v[] = {
	{ "skip", false },
	{ "require", true },
};
const struct json_words crl_words = JSON_WORDS(crl_v);

#define VALUE(fn, bytes)                                                       \
	{                                                                      \
		ROW_STRING(NULL, fn, 0, (bytes), (bytes))                      \
	}
const struct json_field value_6 = VALUE(json_read_value, 6);
const struct json_field value_16 = VALUE(json_read_value, 16);
const struct json_field value_32 = VALUE(json_read_value, 32);
const struct json_field value_48 = VALUE(json_read_value, 48);
const struct json_field value_64 = VALUE(json_read_value, 64);
const struct json_field zero_or_16 = VALUE(json_read_value_or_zero, 16);
const struct json_field zero_or_32 = VALUE(json_read_value_or_zero, 32);
const struct json_field zero_or_48 = VALUE(json_read_value_or_zero, 48);

static const struct json_word tee_v[] = {
	{ "none", TEE_NONE },
	{ "sev", TEE_SEV },
	{ "snp", TEE_SNP },
	{ "tdx", TEE_TDX },
};
static const struct json_word bind_v[] = {
	{ "session", BIND_SESSION },
	{ "operation", BIND_OPERATION },
};
static const struct json_word older_v[] = {
	{ "deny", false },
	{ "warn", true },
};
static const struct json_words older_words = JSON_WORDS(older_v);
static const struct json_words tee_words = JSON_WORDS(tee_v);
static const struct json_words bind_words = JSON_WORDS(bind_v);

#define DAY_S 86400

/* "tpm" before "event_log", whose digests are of the TPM's bank. */
static const struct json_field policy_fields[] = {
	{ ROW_REQUIRED, ROW_INTEGER("version", json_read_version, 0, 1, 1) },
	{ ROW_REQUIRED,
	    ROW_STRING("name", json_read_label, POLICY_AT(name), 1, 64) },
	{ ROW_REQUIRED,
	    ROW_WORDS("tee", json_read_word, POLICY_AT(tee), tee_words) },
	{ ROW_WORDS("bind", json_read_word, POLICY_AT(bind), bind_words) },
	{ ROW_U32("session_max_age_s", POLICY_AT(session_max_age_s), 1,
	    DAY_S) },
	{ ROW_U32("session_open_max_age_s", POLICY_AT(session_open_max_age_s),
	    0, DAY_S) },
	{ ROW_U32("tee_report_max_age_s", POLICY_AT(tee_report_max_age_s), 0,
	    DAY_S) },
	{ ROW_WORDS("older_collateral", json_read_flag,
	    POLICY_AT(older_collateral), older_words) },
	{ ROW_TABLE("snp", 0, policy_snp_table) },
	{ ROW_TABLE("tdx", 0, policy_tdx_table) },
	{ ROW_TABLE("tpm", 0, policy_tpm_table) },
	{ ROW_TABLE("event_log", 0, policy_log_table) },
};
const struct json_table policy_table = JSON_TABLE(policy_fields, check_policy);

JSON_READER(policy_check_label)
{
	char *label = NULL;
	int err = json_read_label(doc, item, field, &label, why);

	(void)out;
	free(label);
	return err;
}

int
policy_set_label(const struct json_doc *doc, const struct json *set, void *sets,
    size_t size, size_t n, struct why *why)
{
	const struct json *label = json_member(set, "label");
	char *labels = sets;

	for (size_t i = 0; i < n; i++)
		if (strcmp(labels + i * size, label->text) == 0)
			return json_refuse(doc, label,
			    "another label than the sets before it", why);
	(void)snprintf(labels + n * size, POLICY_LABEL_MAX + 1, "%s",
	    label->text);
	return CVM_OK;
}

/* A part that is not looked at must not seem to be. */
static int
check_tee(const struct json_doc *doc, const struct json *item, const char *name,
    bool wanted, struct why *why)
{
	char text[64];

	if (!wanted) {
		(void)snprintf(text, sizeof(text), "unless \"tee\" is \"%s\"",
		    name);
		return json_refuse_present(doc, item, name, text, why);
	}
	if (json_member(item, name) != NULL)
		return CVM_OK;
	(void)snprintf(text, sizeof(text), "\"%s\", as \"tee\" says so", name);
	return json_refuse_member(doc, item, name, text, why);
}

/* What only the log of a TPM has. */
static int
check_ccel_log(const struct json_doc *doc, const struct json *log,
    struct why *why)
{
	static const char *const names[] = { "technology", "min_gce_firmware",
		"unlogged_pcrs" };
	/* There it is the only log. */
	int err = json_refuse_present(doc, log, "ccel", "without \"tpm\"", why);

	for (size_t i = 0; i < NELEMS(names) && err == CVM_OK; i++)
		err = json_refuse_present(doc, log, names[i],
		    "without \"tpm\": the log of a TD does not have it", why);
	return err;
}

/* What only a CCEL has, which only a TD has. */
static int
check_tpm_log(const struct json_doc *doc, const struct json *log,
    const struct policy *p, struct why *why)
{
	int err = CVM_OK;

	if (p->tee != TEE_TDX)
		err = json_refuse_present(doc, log, "ccel",
		    "unless \"tee\" is \"tdx\"", why);
	if (err == CVM_OK && !policy_reads_ccel(p))
		err = json_refuse_present(doc, log, "unlogged_rtmrs",
		    "with \"tpm\", unless the CCEL of a TD is read: the log"
		    " is of PCRs then",
		    why);
	return err;
}

/* An admission that is over is nothing to take over. */
static int
check_ages(const struct json_doc *doc, const struct json *item,
    const struct policy *p, struct why *why)
{
	char text[64];

	if (p->session_open_max_age_s <= p->session_max_age_s)
		return CVM_OK;
	(void)snprintf(text, sizeof(text),
	    "0 to %u, which is \"session_max_age_s\"", p->session_max_age_s);
	return json_refuse(doc, json_member(item, "session_open_max_age_s"),
	    text, why);
}

static int
check_policy(const struct json_doc *doc, const struct json *item, void *out,
    struct why *why)
{
	struct policy *p = out;
	bool report = p->tee == TEE_SNP || p->tee == TEE_TDX;
	int err = check_ages(doc, item, p, why);

	if (err == CVM_OK)
		err = check_tee(doc, item, "snp", p->tee == TEE_SNP, why);
	if (err == CVM_OK)
		err = check_tee(doc, item, "tdx", p->tee == TEE_TDX, why);
	if (err != CVM_OK)
		return err;
	if (!report && !p->has_tpm)
		return json_refuse_member(doc, item, "tpm",
		    "\"tpm\", as this \"tee\" has no report", why);
	if (!report &&
	    (p->tpm.ak_trust == AK_TRUST_TEE ||
		p->tpm.ak_trust == AK_TRUST_AZURE))
		return json_refuse_member(doc, item, "tee",
		    "\"snp\" or \"tdx\", as the AK's \"trust\" wants a report",
		    why);
	if (p->has_tpm && p->tpm.ak_trust == AK_TRUST_SVSM) {
		if (p->tee != TEE_SNP)
			return json_refuse_member(doc, item, "tee",
			    "\"snp\", as the AK's \"trust\" is \"svsm\"", why);
		if (p->snp.vmpl != 0)
			return json_refuse_member(doc, json_member(item, "snp"),
			    "vmpl", "0, the level of the SVSM", why);
	}
	if (p->tee == TEE_SNP && !p->has_tpm)
		return json_refuse_present(doc, item, "event_log",
		    "without \"tpm\": nothing would vouch for the log", why);
	if (!p->log.present)
		return CVM_OK;
	item = json_member(item, "event_log");
	return p->has_tpm ? check_tpm_log(doc, item, p, why) :
			    check_ccel_log(doc, item, why);
}

/* Which parts there are, before any is read: rules of one ask for others. */
static void
note_parts(const struct json *root, struct policy *p)
{
	if (!json_is_object(root))
		return;
	p->has_snp = json_member(root, "snp") != NULL;
	p->has_tdx = json_member(root, "tdx") != NULL;
	p->has_tpm = json_member(root, "tpm") != NULL;
	p->log.present = json_member(root, "event_log") != NULL;
}

static int
fill_policy(struct policy *p, struct span text, const char *name)
{
	int err = blob_set(&p->text, text);

	if (err == CVM_OK)
		err = hash(HASH_SHA256, text, p->digest);
	if (err == CVM_OK)
		err = policy_tdx_defaults(p);
	p->path = strdup(name);
	if (p->path == NULL)
		err = CVM_E_NOMEM;
	p->session_max_age_s = 300;
	p->tee_report_max_age_s = 60;
	policy_snp_defaults(p);
	policy_tpm_defaults(p);
	return err;
}

int
policy_parse(struct span text, const char *name, struct policy **ret,
    struct why *reterr_why)
{
	static const struct json_field root = { .arg = &policy_table };
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	_cleanup_(policy_freep) struct policy *p = NULL;
	int err;

	err = json_parse(text, name, &doc, reterr_why);
	if (err != CVM_OK)
		return err;
	p = calloc(1, sizeof(*p));
	err = p != NULL ? fill_policy(p, text, name) : CVM_E_NOMEM;
	if (err != CVM_OK)
		return why_set(reterr_why, err, name, NULL, NULL, NULL);
	note_parts(json_root(doc), p);
	err = json_read_table(doc, json_root(doc), &root, p, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(p);
	return CVM_OK;
}

static int
load(const char *path, enum file_trust trust, struct policy **ret,
    struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob text = { 0 };
	int err;

	err = file_read(path, JSON_BYTES_MAX, trust, &text, reterr_why);
	if (err != CVM_OK)
		return err;
	return policy_parse(blob_span(&text), path, ret, reterr_why);
}

int
policy_load(const char *path, struct policy **ret, struct why *reterr_why)
{
	int err = load(path, FILE_TRUSTED, ret, reterr_why);

	if (err == CVM_E_NOT_FOUND)
		why_hint(reterr_why,
		    "cvm-token enroll --out FILE proposes one");
	return err;
}

int
policy_load_named(const char *path, struct policy **ret, struct why *reterr_why)
{
	return load(path, FILE_NAMED, ret, reterr_why);
}

void
policy_freep(struct policy **p)
{
	if (p == NULL || *p == NULL)
		return;
	policy_snp_clear(&(*p)->snp);
	policy_tdx_clear(&(*p)->tdx);
	policy_tpm_clear(&(*p)->tpm);
	policy_log_clear(&(*p)->log);
	blob_clear(&(*p)->text);
	free((*p)->path);
	free((*p)->name);
	free(*p);
	*p = NULL;
}

const char *
tee_kind_name(enum tee_kind k)
{
	for (size_t i = 0; i < NELEMS(tee_v); i++)
		if (tee_v[i].value == (uint32_t)k)
			return tee_v[i].word;
	return "unknown";
}
