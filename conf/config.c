/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "conf/config_token.h"
#include "conf/file.h"

#define CONFIG_ENV "CVM_PKCS11_CONF"
/* Persistent objects: TPM 2.0 Library part 2, section 7.2. */
#define PERSISTENT_FIRST 0x81000000
#define PERSISTENT_LAST 0x81ffffff

/*
 * tctildr takes "name" or "name:conf", and searches when there is no name.
 * Which TPM answers must not depend on what else is installed.
 */
static JSON_READER(read_tcti)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+/-";
	const char *s = json_is_string(item) ? item->text : "";
	size_t n = strspn(s, allowed);

	if (n == 0 || (s[n] != '\0' && s[n] != ':'))
		return json_refuse(doc, item,
		    "a TCTI like \"device:/dev/tpmrm0\"", why);
	return json_read_text(doc, item, field, out, why);
}

static JSON_READER(read_ak_handle)
{
	uint64_t v;
	int err = json_read_hex_u64(doc, item, field, &v, why);

	if (err != CVM_OK)
		return err;
	if (v < PERSISTENT_FIRST || v > PERSISTENT_LAST)
		return json_refuse(doc, item,
		    "a persistent handle, 0x81000000..0x81ffffff", why);
	*(uint32_t *)out = (uint32_t)v;
	return CVM_OK;
}

static int
check_tpm(const struct json_doc *doc, const struct json *item, void *out,
    struct why *why)
{
	const struct config_tpm *tpm = out;

	if (tpm->ak != AK_HANDLE)
		return json_refuse_present(doc, item, "ak_handle",
		    "unless \"ak\" is \"handle\"", why);
	if (json_member(item, "ak_handle") == NULL)
		return json_refuse_member(doc, item, "ak_handle",
		    "an \"ak_handle\", as \"ak\" is \"handle\"", why);
	return CVM_OK;
}

static int
check_log(const struct json_doc *doc, const struct json *item, void *out,
    struct why *why)
{
	const struct config *c = out;

	if (c->log_target == LOG_TARGET_FILE && c->log_path == NULL)
		return json_refuse_member(doc, item, "path",
		    "a \"path\", as \"target\" is \"file\"", why);
	return CVM_OK;
}

/* Two tokens that write one file would destroy each other. */
static int
refuse_shared(const struct json_doc *doc, const struct json *list, size_t at,
    const char *name, struct why *why)
{
	const struct json *token = json_at(list, at);

	return json_refuse_member(doc, token, name,
	    "another one than the tokens before it", why);
}

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static int
check_tokens(const struct json_doc *doc, const struct json *item,
    const struct config *c, struct why *why)
{
	for (size_t i = 0; i < c->n_tokens; i++) {
		const struct config_token *a = &c->tokens[i];

		for (size_t k = 0; k < i; k++) {
			const struct config_token *b = &c->tokens[k];

			if (same(a->name, b->name))
				return refuse_shared(doc, item, i, "name", why);
			if (same(a->store, b->store))
				return refuse_shared(doc, item, i, "store",
				    why);
			if (same(a->receipts.path, b->receipts.path))
				return refuse_shared(doc, item, i, "receipts",
				    why);
		}
	}
	return CVM_OK;
}

static JSON_READER(read_tokens)
{
	const struct json_field *element = field->arg;
	struct config *c = out;
	const struct json *child;
	int err;

	if (!json_is_array(item) || json_count(item) > CONFIG_TOKENS_MAX)
		return json_refuse(doc, item, "a list of at most 32 tokens",
		    why);
	c->tokens = calloc(CONFIG_TOKENS_MAX, sizeof(*c->tokens));
	if (c->tokens == NULL)
		return why_set(why, CVM_E_NOMEM, NULL, NULL, NULL, NULL);
	JSON_EACH(child, item) {
		struct config_token *t = &c->tokens[c->n_tokens++];

		t->rsa_pkcs1_decrypt = true;
		t->min_rsa_bits = 2048;
		t->store_mode = 0600;
		err = element->read(doc, child, element, t, why);
		if (err != CVM_OK)
			return err;
		err = config_token_defaults(t);
		if (err != CVM_OK)
			return why_set(why, err, NULL, NULL, NULL, NULL);
	}
	return check_tokens(doc, item, c, why);
}

static const struct json_word ak_v[] = {
	{ "gce-ecc", AK_GCE_ECC },
	{ "gce-rsa", AK_GCE_RSA },
	{ "azure", AK_AZURE },
	{ "handle", AK_HANDLE },
	{ "own", AK_OWN },
};
static const struct json_word target_v[] = {
	{ "syslog", LOG_TARGET_SYSLOG },
	{ "file", LOG_TARGET_FILE },
	{ "none", LOG_TARGET_NONE },
};
static const struct json_word level_v[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "notice", LOG_LEVEL_NOTICE },
	{ "debug", LOG_LEVEL_DEBUG },
};
static const struct json_words ak_words = JSON_WORDS(ak_v);
static const struct json_words target_words = JSON_WORDS(target_v);
static const struct json_words level_words = JSON_WORDS(level_v);

#define AT(member) offsetof(struct config_tpm, member)
static const struct json_field tpm_fields[] = {
	{ ROW_STRING("tcti", read_tcti, AT(tcti), 1, 255) },
	{ ROW_WORDS("ak", json_read_word, AT(ak), ak_words) },
	{ ROW_STRING("ak_handle", read_ak_handle, AT(ak_handle), 1, 8) },
	{ ROW_U32("timeout_ms", AT(timeout_ms), 100, 600000) },
};
static const struct json_table tpm_table = JSON_TABLE(tpm_fields, check_tpm);
#undef AT

#define AT(member) offsetof(struct config_evidence, member)
static const struct json_field evidence_fields[] = {
	{ ROW_PATH("tsm", AT(tsm)) },
	{ ROW_PATH("sev_guest", AT(sev_guest)) },
	{ ROW_PATH("tdx_guest", AT(tdx_guest)) },
	{ ROW_PATH("event_log", AT(event_log)) },
	{ ROW_PATH("ccel", AT(ccel)) },
	{ ROW_PATH("collateral", AT(collateral)) },
	{ ROW_U32("timeout_ms", AT(timeout_ms), 100, 600000) },
	{ ROW_U32("retry_ms", AT(retry_ms), 10, 3600000) },
};
static const struct json_table evidence_table = JSON_TABLE(evidence_fields,
    NULL);
#undef AT

#define AT(member) offsetof(struct config, member)
static const struct json_field log_fields[] = {
	{ ROW_WORDS("target", json_read_word, AT(log_target), target_words) },
	{ ROW_WORDS("level", json_read_word, AT(log_level), level_words) },
	{ ROW_PATH("path", AT(log_path)) },
};
static const struct json_table log_table = JSON_TABLE(log_fields, check_log);

static const struct json_field token_element = { ROW_TABLE(NULL, 0,
    config_token_table) };

static const struct json_field config_fields[] = {
	{ ROW_REQUIRED, ROW_INTEGER("version", json_read_version, 0, 1, 1) },
	{ ROW_BOOL("simulated", AT(simulated)) },
	{ ROW_TABLE("tpm", AT(tpm), tpm_table) },
	{ ROW_TABLE("evidence", AT(evidence), evidence_table) },
	{ ROW_TABLE("log", 0, log_table) },
	{ ROW_REQUIRED,
	    ROW_LIST("tokens", read_tokens, 0, 0, CONFIG_TOKENS_MAX,
		token_element) },
};
const struct json_table config_table = JSON_TABLE(config_fields, NULL);
#undef AT

/* The kernel's names of a Linux CVM. */
static int
fill_defaults(struct config *c)
{
	const struct {
		char **at;
		const char *value;
	} strings[] = {
		{ &c->tpm.tcti, "device:/dev/tpmrm0" },
		{ &c->evidence.tsm, "/sys/kernel/config/tsm/report" },
		{ &c->evidence.sev_guest, "/dev/sev-guest" },
		{ &c->evidence.tdx_guest, "/dev/tdx_guest" },
		{ &c->evidence.event_log,
		    "/sys/kernel/security/tpm0/binary_bios_measurements" },
		{ &c->evidence.ccel, "/sys/firmware/acpi/tables/data/CCEL" },
		{ &c->evidence.collateral, CVM_STATEDIR "/collateral" },
	};

	c->tpm.timeout_ms = 10000;
	c->evidence.timeout_ms = 10000;
	c->evidence.retry_ms = 1000;
	c->log_target = LOG_TARGET_SYSLOG;
	c->log_level = LOG_LEVEL_NOTICE;
	for (size_t i = 0; i < NELEMS(strings); i++)
		if (config_default_string(strings[i].at, strings[i].value) !=
		    CVM_OK)
			return CVM_E_NOMEM;
	return CVM_OK;
}

int
config_parse(struct span text, const char *name, struct config **ret,
    struct why *reterr_why)
{
	static const struct json_field root = { .arg = &config_table };
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	_cleanup_(config_freep) struct config *c = NULL;
	int err;

	err = json_parse(text, name, &doc, reterr_why);
	if (err != CVM_OK)
		return err;
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->path = strdup(name);
	if (c == NULL || c->path == NULL || fill_defaults(c) != CVM_OK)
		return why_set(reterr_why, CVM_E_NOMEM, name, NULL, NULL, NULL);
	err = json_read_table(doc, json_root(doc), &root, c, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(c);
	return CVM_OK;
}

int
config_load(const char *path, struct config **ret, struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob text = { 0 };
	int err;

	err = file_read(path, JSON_BYTES_MAX, FILE_TRUSTED, &text, reterr_why);
	if (err != CVM_OK)
		return err;
	return config_parse(blob_span(&text), path, ret, reterr_why);
}

void
config_freep(struct config **c)
{
	if (c == NULL || *c == NULL)
		return;
	for (size_t i = 0; i < (*c)->n_tokens; i++)
		config_token_clear(&(*c)->tokens[i]);
	free((*c)->tokens);
	free((*c)->path);
	free((*c)->tpm.tcti);
	free((*c)->evidence.tsm);
	free((*c)->evidence.sev_guest);
	free((*c)->evidence.tdx_guest);
	free((*c)->evidence.event_log);
	free((*c)->evidence.ccel);
	free((*c)->evidence.collateral);
	free((*c)->log_path);
	free(*c);
	*c = NULL;
}

/* "config=PATH" among the words of p11-kit's x-init-reserved. */
static int
from_reserved(const char *reserved, char **ret)
{
	static const char key[] = "config=";

	for (const char *s = reserved; s != NULL && *s != '\0';) {
		size_t n = strcspn(s, " \t\n");

		if (n > strlen(key) && strncmp(s, key, strlen(key)) == 0) {
			*ret = strndup(s + strlen(key), n - strlen(key));
			return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
		}
		s += n + strspn(s + n, " \t\n");
	}
	return CVM_E_NOT_FOUND;
}

int
config_locate(const char *reserved, char **ret_path, struct why *reterr_why)
{
	_cleanup_(freep) char *path = NULL;
	const char *from = CONFIG_ENV, *env = secure_getenv(CONFIG_ENV);
	int err = CVM_OK;

	if (env != NULL && env[0] != '\0') {
		err = config_default_string(&path, env);
	} else {
		from = "config=";
		err = from_reserved(reserved, &path);
		if (err == CVM_E_NOT_FOUND)
			err = config_default_string(&path, CONFIG_PATH_DEFAULT);
	}
	if (err != CVM_OK)
		return why_set(reterr_why, err, from, NULL, NULL, NULL);
	/* A relative path would mean what the host's directory says. */
	if (path[0] != '/')
		return why_set(reterr_why, CVM_E_CONFIG, from, NULL,
		    "an absolute path", path);
	*ret_path = TAKE_PTR(path);
	return CVM_OK;
}

const struct config_token *
config_find_token(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_tokens; i++)
		if (strcmp(c->tokens[i].name, name) == 0)
			return &c->tokens[i];
	return NULL;
}
