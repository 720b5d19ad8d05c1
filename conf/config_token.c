/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "conf/config_token.h"

#define MECHS_MAX 256

/* A name becomes part of file names: no separator, no leading dot or dash. */
static JSON_READER(read_name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	const char *s = item->text;

	if (!json_is_string(item) || s[0] == '.' || s[0] == '-' ||
	    s[strspn(s, allowed)] != '\0')
		return json_refuse(doc, item,
		    "a name of letters, digits, \".\", \"_\" and \"-\" that"
		    " starts with none of \".-\"",
		    why);
	return json_read_text(doc, item, field, out, why);
}

/* CK_TOKEN_INFO pads labels with blanks, so a blank at the end is lost. */
static JSON_READER(read_label)
{
	const char *s = json_is_string(item) ? item->text : "";

	if (s[0] != '\0' && s[strlen(s) - 1] == ' ')
		return json_refuse(doc, item, "no blank at the end", why);
	return json_read_text(doc, item, field, out, why);
}

static JSON_READER(read_mech_name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const char *s = json_is_string(item) ? item->text : "";

	if (strncmp(s, "CKM_", 4) != 0 || s[4] == '\0' ||
	    s[strspn(s, allowed)] != '\0')
		return json_refuse(doc, item, "a name like \"CKM_ECDSA\"", why);
	return json_read_text(doc, item, field, out, why);
}

static JSON_READER(read_mech_list)
{
	struct string_list list = { 0 };
	char ***names = out;
	int err = json_read_strings(doc, item, field, &list, why);

	if (err != CVM_OK)
		return err;
	/* json_read_strings() ends the list in NULL. Of two lists the table's
	 * check sees both, and refuses; keep one only. */
	for (size_t i = 0; *names != NULL && (*names)[i] != NULL; i++)
		free((*names)[i]);
	free(*names);
	*names = list.v;
	return CVM_OK;
}

static int
check_mechs(const struct json_doc *doc, const struct json *item, void *out,
    struct why *why)
{
	struct config_mechs *m = out;
	bool allow = json_member(item, "allow") != NULL;
	bool deny = json_member(item, "deny") != NULL;

	if (allow == deny)
		return json_refuse(doc, item, "either \"allow\" or \"deny\"",
		    why);
	m->deny = deny;
	return CVM_OK;
}

static int
check_token(const struct json_doc *doc, const struct json *item, void *out,
    struct why *why)
{
	const struct config_token *t = out;

	if (t->label == NULL && strlen(t->name) > CONFIG_LABEL_MAX)
		return json_refuse_member(doc, item, "label",
		    "a label, as the name is too long for one", why);
	return CVM_OK;
}

static const struct json_field mech_name = { ROW_STRING(NULL, read_mech_name, 0,
    5, 64) };

#define AT(member) offsetof(struct config_mechs, member)
static const struct json_field mech_fields[] = {
	{ ROW_LIST("allow", read_mech_list, AT(names), 1, MECHS_MAX,
	    mech_name) },
	{ ROW_LIST("deny", read_mech_list, AT(names), 1, MECHS_MAX,
	    mech_name) },
};
static const struct json_table mech_table = JSON_TABLE(mech_fields,
    check_mechs);
#undef AT

static const struct json_word login_v[] = {
	{ "pin", LOGIN_PIN },
	{ "attestation", LOGIN_ATTESTATION },
};
static const struct json_word on_denial_v[] = {
	{ "hide", ON_DENIAL_HIDE },
	{ "fail", ON_DENIAL_FAIL },
};
static const struct json_word store_mode_v[] = {
	{ "0600", 0600 },
	{ "0660", 0660 },
};
static const struct json_words login_words = JSON_WORDS(login_v);
static const struct json_words on_denial_words = JSON_WORDS(on_denial_v);
static const struct json_words store_mode_words = JSON_WORDS(store_mode_v);

static const struct json_word receipts_v[] = {
	{ "off", RECEIPTS_OFF },
	{ "operations", RECEIPTS_OPERATIONS },
	{ "all", RECEIPTS_ALL },
};
static const struct json_word on_failure_v[] = {
	{ "refuse", ON_FAILURE_REFUSE },
	{ "continue", ON_FAILURE_CONTINUE },
};
static const struct json_words receipts_words = JSON_WORDS(receipts_v);
static const struct json_words on_failure_words = JSON_WORDS(on_failure_v);

#define AT(member) offsetof(struct config_receipts, member)
static const struct json_field receipts_fields[] = {
	{ ROW_WORDS("log", json_read_word, AT(log), receipts_words) },
	{ ROW_PATH("path", AT(path)) },
	{ ROW_WORDS("on_failure", json_read_word, AT(on_failure),
	    on_failure_words) },
};
static const struct json_table receipts_table = JSON_TABLE(receipts_fields,
    NULL);
#undef AT

#define AT(member) offsetof(struct config_token, member)
static const struct json_field token_fields[] = {
	{ ROW_REQUIRED, ROW_STRING("name", read_name, AT(name), 1, 64) },
	{ ROW_STRING("label", read_label, AT(label), 1, CONFIG_LABEL_MAX) },
	{ ROW_PATH("store", AT(store)) },
	{ ROW_WORDS("store_mode", json_read_word, AT(store_mode),
	    store_mode_words) },
	{ ROW_PATH("policy", AT(policy)) },
	{ ROW_WORDS("login", json_read_word, AT(login), login_words) },
	{ ROW_WORDS("on_denial", json_read_word, AT(on_denial),
	    on_denial_words) },
	{ ROW_BOOL("init_token", AT(init_token)) },
	{ ROW_BOOL("rsa_pkcs1_decrypt", AT(rsa_pkcs1_decrypt)) },
	{ ROW_BOOL("rsa_x509", AT(rsa_x509)) },
	{ ROW_U32("min_rsa_bits", AT(min_rsa_bits), 1024, 8192) },
	{ ROW_TABLE("mechanisms", AT(mechanisms), mech_table) },
	{ ROW_PATH("pin_file", AT(pin_file)) },
	{ ROW_TABLE("receipts", AT(receipts), receipts_table) },
};
const struct json_table config_token_table = JSON_TABLE(token_fields,
    check_token);
#undef AT

int
config_default_string(char **s, const char *value)
{
	if (*s == NULL)
		*s = strdup(value);
	return *s != NULL ? CVM_OK : CVM_E_NOMEM;
}

int
config_token_defaults(struct config_token *t)
{
	char path[256];
	int err = config_default_string(&t->label, t->name);

	(void)snprintf(path, sizeof(path), "%s/%s.db", CVM_STATEDIR, t->name);
	if (err == CVM_OK)
		err = config_default_string(&t->store, path);
	(void)snprintf(path, sizeof(path), "%s/%s.receipts", CVM_STATEDIR,
	    t->name);
	if (err == CVM_OK)
		err = config_default_string(&t->receipts.path, path);
	if (err == CVM_OK)
		err = config_default_string(&t->policy,
		    CVM_SYSCONFDIR "/policy.json");
	return err;
}

void
config_token_clear(struct config_token *t)
{
	for (char **name = t->mechanisms.names; name != NULL && *name != NULL;
	     name++)
		free(*name);
	free(t->mechanisms.names);
	free(t->name);
	free(t->label);
	free(t->store);
	free(t->policy);
	free(t->pin_file);
	free(t->receipts.path);
	*t = (struct config_token){ 0 };
}
