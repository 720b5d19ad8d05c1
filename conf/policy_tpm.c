/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/policy_parts.h"

#define NAME_LEN 34 /* nameAlg and a SHA-256 digest: TPM 2.0 part 1, 16 */

static int check_ak(const struct json_doc *doc, const struct json *item,
    void *out, struct why *why);

static const struct json_word trust_v[] = {
	{ "gce", AK_TRUST_GCE },
	{ "pinned", AK_TRUST_PINNED },
	{ "tee", AK_TRUST_TEE },
	{ "azure", AK_TRUST_AZURE },
	{ "svsm", AK_TRUST_SVSM },
};
static const struct json_word bank_v[] = {
	{ "sha256", HASH_SHA256 },
	{ "sha384", HASH_SHA384 },
};
static const struct json_words trust_words = JSON_WORDS(trust_v);
static const struct json_words bank_words = JSON_WORDS(bank_v);

/* TPM_ALG_SHA256, the only nameAlg of the keys that are quoted with. */
static JSON_READER(read_ak_name)
{
	struct blob b = { 0 };
	int err = json_read_value(doc, item, field, &b, why);

	if (err != CVM_OK)
		return err;
	if (b.data[0] != 0x00 || b.data[1] != 0x0b) {
		blob_clear(&b);
		return json_refuse(doc, item,
		    "a TPM name that starts with 000b (SHA-256)", why);
	}
	*(struct blob *)out = b;
	return CVM_OK;
}

#define UUID_LEN 36

/* In lower case, so that the list has each once. */
static JSON_READER(read_uuid)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	const char *s = json_is_string(item) ? item->text : "";
	char **to = out;
	bool ok = strlen(s) == UUID_LEN;
	int err;

	for (size_t i = 0; ok && form[i] != '\0'; i++)
		ok = form[i] == '-' ? s[i] == '-' :
				      isxdigit((unsigned char)s[i]) != 0;
	if (!ok)
		return json_refuse(doc, item, "a UUID of 36 characters", why);
	err = json_read_text(doc, item, field, out, why);
	for (char *p = err == CVM_OK ? *to : NULL; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return err;
}

static JSON_READER(read_firmware)
{
	const char *s = json_is_string(item) ? item->text : "";
	uint8_t bytes[8];
	char **to = out;
	int err;

	if (hex_decode(s, bytes, sizeof(bytes)) != CVM_OK)
		return json_refuse(doc, item, "16 hexadecimal digits", why);
	err = json_read_text(doc, item, field, out, why);
	if (err != CVM_OK)
		return err;
	/* One spelling, so that the list can be searched by comparing. */
	(void)hex_encode(span(bytes, sizeof(bytes)), *to, strlen(*to) + 1);
	return CVM_OK;
}

/* The index as the one decimal number that writes it, or -1. */
static int
pcr_index(const char *name)
{
	int v = -1;

	if (name[0] == '0' && name[1] == '\0')
		return 0;
	if (name[0] < '1' || name[0] > '9')
		return -1;
	for (v = 0; *name >= '0' && *name <= '9' && v < POLICY_PCR_MAX; name++)
		v = v * 10 + (*name - '0');
	return *name == '\0' && v < POLICY_PCR_MAX ? v : -1;
}

/* "pcrs": names are indices and not in a table; the bank is known by now. */
static int
read_pcrs(const struct json_doc *doc, const struct json *item,
    enum hash_alg bank, struct pcr_set *set, struct why *why)
{
	struct json_field row = { .min = (long long)hash_len(bank),
		.max = (long long)hash_len(bank) };
	const struct json *child;

	if (!json_is_object(item) || item->child == NULL)
		return json_refuse(doc, item, "an object of at least one PCR",
		    why);
	JSON_EACH(child, item) {
		_cleanup_(blob_clear) struct blob b = { 0 };
		int i = pcr_index(child->name), err;

		if (i < 0)
			return json_refuse(doc, child,
			    "a PCR, \"0\"..\"23\", without leading zeros", why);
		/* Firmware always extends 0..7; of the others zero says that
		 * nothing did, such as no command line in PCR 12. */
		err = i > 7 ?
		    json_read_value_or_zero(doc, child, &row, &b, why) :
		    json_read_value(doc, child, &row, &b, why);
		if (err != CVM_OK)
			return err;
		memcpy(set->value[i], b.data, b.len);
		set->mask |= 1u << i;
	}
	return CVM_OK;
}

/* What the table knows of "pcrs"; read_pcr_sets() reads it. */
static JSON_READER(check_pcrs)
{
	(void)field;
	(void)out;
	if (!json_is_object(item))
		return json_refuse(doc, item, "an object", why);
	return CVM_OK;
}

static const struct json_field pcr_set_fields[] = {
	{ ROW_REQUIRED,
	    ROW_STRING("label", policy_check_label, 0, 1, POLICY_LABEL_MAX) },
	{ ROW_REQUIRED, ROW_OBJECT("pcrs", check_pcrs, 0) },
};
static const struct json_table pcr_set_table = JSON_TABLE(pcr_set_fields, NULL);
static const struct json_field pcr_set_element = { ROW_TABLE(NULL, 0,
    pcr_set_table) };

static JSON_READER(read_pcr_sets)
{
	const struct json_field *element = field->arg;
	struct policy_tpm *tpm = &((struct policy *)out)->tpm;
	long long n = (long long)json_count(item);
	int err;
	const struct json *child;

	if (!json_is_array(item) || n < field->min || n > field->max)
		return json_refuse(doc, item, "a list of 1..16 sets", why);
	JSON_EACH(child, item) {
		struct pcr_set *set = &tpm->pcr_sets[tpm->n_pcr_sets];

		err = element->read(doc, child, element, set, why);
		if (err == CVM_OK)
			err = read_pcrs(doc, json_member(child, "pcrs"),
			    tpm->bank, set, why);
		if (err == CVM_OK)
			err = policy_set_label(doc, child, tpm->pcr_sets,
			    sizeof(*set), tpm->n_pcr_sets, why);
		if (err != CVM_OK)
			return err;
		if (set->mask != tpm->pcr_sets[0].mask)
			return json_refuse_member(doc, child, "pcrs",
			    "the same PCRs as in the first set", why);
		tpm->n_pcr_sets++;
	}
	return CVM_OK;
}

#define INSTANCE(n)                                                            \
	{                                                                      \
		ROW_STRING(#n, json_read_text, POLICY_AT(tpm.instance.n), 1,   \
		    64)                                                        \
	}
#define INSTANCE_NUMBER(n)                                                     \
	{                                                                      \
		ROW_STRING(#n, json_read_digits, POLICY_AT(tpm.instance.n), 1, \
		    20)                                                        \
	}
static const struct json_field instance_fields[] = {
	INSTANCE(zone),
	INSTANCE(project_id),
	INSTANCE_NUMBER(project_number),
	INSTANCE_NUMBER(instance_id),
	INSTANCE(instance_name),
	{ ROW_BOOL("production", POLICY_AT(tpm.instance.production)) },
};
static const struct json_table instance_table = JSON_TABLE(instance_fields,
    NULL);

static const struct json_field vm_id = { ROW_STRING(NULL, read_uuid, 0,
    UUID_LEN, UUID_LEN) };
static const struct json_field vm_fields[] = {
	{ ROW_TRISTATE("secure_boot", POLICY_AT(tpm.vm.secure_boot)) },
	{ ROW_TRISTATE("console", POLICY_AT(tpm.vm.console)) },
	{ ROW_STRINGS("ids", POLICY_AT(tpm.vm.ids), vm_id) },
};
static const struct json_table vm_table = JSON_TABLE(vm_fields, NULL);

static const struct json_field ak_name = { ROW_STRING(NULL, read_ak_name, 0,
    NAME_LEN, NAME_LEN) };
static const struct json_field ak_fields[] = {
	{ ROW_REQUIRED,
	    ROW_WORDS("trust", json_read_word, POLICY_AT(tpm.ak_trust),
		trust_words) },
	{ ROW_VALUES("roots", POLICY_AT(tpm.ak_roots), value_32) },
	{ ROW_WORDS("crl", json_read_flag, POLICY_AT(tpm.require_crl),
	    crl_words) },
	{ ROW_VALUES("names", POLICY_AT(tpm.ak_names), ak_name) },
	{ ROW_VALUES("eks", POLICY_AT(tpm.eks), ak_name) },
	{ ROW_TABLE("instance", 0, instance_table) },
	{ ROW_TABLE("vm", 0, vm_table) },
};
static const struct json_table ak_table = JSON_TABLE(ak_fields, check_ak);

/* What another trust would look at must not seem to be looked at. */
static int
check_ak(const struct json_doc *doc, const struct json *item, void *out,
    struct why *why)
{
	static const struct {
		const char *name;
		unsigned trusts; /* that look at it */
		const char *when;
		enum policy_ak_trust needs;
		const char *needed; /* NULL: may be left out */
	} rules[] = {
		{ "roots", 1u << AK_TRUST_GCE, "unless \"trust\" is \"gce\"",
		    AK_TRUST_GCE, "\"roots\", as \"trust\" is \"gce\"" },
		{ "crl", 1u << AK_TRUST_GCE, "unless \"trust\" is \"gce\"",
		    AK_TRUST_GCE, NULL },
		{ "instance", 1u << AK_TRUST_GCE, "unless \"trust\" is \"gce\"",
		    AK_TRUST_GCE, NULL },
		{ "vm", 1u << AK_TRUST_AZURE, "unless \"trust\" is \"azure\"",
		    AK_TRUST_AZURE, NULL },
		{ "eks", 1u << AK_TRUST_SVSM, "unless \"trust\" is \"svsm\"",
		    AK_TRUST_SVSM, NULL },
		{ "names",
		    1u << AK_TRUST_PINNED | 1u << AK_TRUST_SVSM |
			1u << AK_TRUST_TEE,
		    "unless \"trust\" is \"pinned\", \"svsm\" or \"tee\"",
		    AK_TRUST_PINNED, "\"names\", as \"trust\" is \"pinned\"" },
	};
	const struct policy *p = out;
	int err = CVM_OK;

	for (size_t i = 0; i < NELEMS(rules) && err == CVM_OK; i++) {
		if ((rules[i].trusts & 1u << p->tpm.ak_trust) == 0)
			err = json_refuse_present(doc, item, rules[i].name,
			    rules[i].when, why);
		else if (rules[i].needed != NULL &&
		    p->tpm.ak_trust == rules[i].needs &&
		    json_member(item, rules[i].name) == NULL)
			err = json_refuse_member(doc, item, rules[i].name,
			    rules[i].needed, why);
	}
	return err;
}

static const struct json_field firmware_version = { ROW_STRING(NULL,
    read_firmware, 0, 16, 16) };

/* "bank" before "pcr_sets", whose values are as long as the bank's digests. */
static const struct json_field tpm_fields[] = {
	{ ROW_REQUIRED, ROW_TABLE("ak", 0, ak_table) },
	{ ROW_WORDS("bank", json_read_word, POLICY_AT(tpm.bank), bank_words) },
	{ ROW_REQUIRED,
	    ROW_LIST("pcr_sets", read_pcr_sets, 0, 1, POLICY_SETS_MAX,
		pcr_set_element) },
	{ ROW_STRINGS("firmware_versions", POLICY_AT(tpm.firmware_versions),
	    firmware_version) },
};
const struct json_table policy_tpm_table = JSON_TABLE(tpm_fields, NULL);

void
policy_tpm_defaults(struct policy *p)
{
	p->tpm.bank = HASH_SHA256;
	p->tpm.instance.production = true;
}

void
policy_tpm_clear(struct policy_tpm *tpm)
{
	value_list_clear(&tpm->ak_roots);
	value_list_clear(&tpm->ak_names);
	value_list_clear(&tpm->eks);
	string_list_clear(&tpm->firmware_versions);
	string_list_clear(&tpm->vm.ids);
	free(tpm->instance.zone);
	free(tpm->instance.project_id);
	free(tpm->instance.project_number);
	free(tpm->instance.instance_id);
	free(tpm->instance.instance_name);
}
