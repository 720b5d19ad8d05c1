/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "base/build.h"
#include "tools/text.h"
#include "tools/tool.h"

#define MODULE CVM_MODULEDIR "/cvm-pkcs11.so"

struct key_line {
	char label[256];
	uint8_t id[256];
	size_t id_len;
	CK_KEY_TYPE type;
	char uri[URI_TEXT_MAX];
	char pin[URI_TEXT_MAX]; /* "?pin-source=file:...", or "" */
};

static int
read_key(struct tool_context *c, const struct caller *who, CK_OBJECT_HANDLE h,
    struct key_line *k)
{
	CK_ATTRIBUTE a[] = {
		{ CKA_LABEL, k->label, sizeof(k->label) - 1 },
		{ CKA_ID, k->id, sizeof(k->id) },
		{ CKA_KEY_TYPE, &k->type, sizeof(k->type) },
	};
	struct token_info info;
	struct uri_key key;
	int r;

	memset(k, 0, sizeof(*k));
	if ((r = token_get_attributes(gate_token(c->gate), who, h, a,
		 NELEMS(a))) != CVM_OK)
		return r;
	k->id_len = a[1].ulValueLen;
	token_get_info(gate_token(c->gate), &info);
	key = (struct uri_key){ info.label, k->label, span(k->id, k->id_len) };
	return uri_private_key(&key, k->uri);
}

static const char *
type_name(CK_KEY_TYPE t)
{
	return t == CKK_RSA	   ? "RSA" :
	    t == CKK_EC		   ? "EC" :
	    t == CKK_EC_EDWARDS	   ? "EdDSA" :
	    t == CKK_EC_MONTGOMERY ? "XDH" :
				     "key";
}

static void
print_key(const struct key_line *k)
{
	(void)printf("%s (%s)\n", PLAIN(k->label), type_name(k->type));
	(void)printf("  URI      %s\n", k->uri);
	(void)printf("  nginx    ssl_certificate_key "
		     "\"engine:pkcs11:%s%s\";\n",
	    k->uri, k->pin);
	(void)printf("  OpenSSL  openssl pkeyutl -engine pkcs11 -keyform "
		     "engine -inkey \"%s%s\" -sign\n",
	    k->uri, k->pin);
	(void)printf("  ssh      ssh-add -s %s\n", MODULE);
}

static cJSON *
json_key(const struct key_line *k)
{
	char id[2 * sizeof(k->id) + 1];
	cJSON *o = cJSON_CreateObject();

	json_text(o, "label", k->label);
	(void)cJSON_AddStringToObject(o, "id",
	    hex_encode(span(k->id, k->id_len), id, sizeof(id)));
	(void)cJSON_AddStringToObject(o, "type", type_name(k->type));
	(void)cJSON_AddStringToObject(o, "uri", k->uri);
	(void)cJSON_AddStringToObject(o, "pin_query", k->pin);
	(void)cJSON_AddStringToObject(o, "module", MODULE);
	return o;
}

/*
 * Private keys, where the caller may see them; else their public halves stand
 * for them, which need no login.
 */
static int
find_keys(struct tool_context *c, bool user, CK_OBJECT_HANDLE **ret,
    size_t *ret_n, struct why *why)
{
	struct caller who = tool_caller(c, user);
	CK_OBJECT_CLASS class = user ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE templ[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_TOKEN, &yes, sizeof(yes) },
	};

	return token_find(gate_token(c->gate), &who, templ, NELEMS(templ), ret,
	    ret_n, why);
}

static int
log_in(struct tool *t, struct tool_context *c, bool *ret_user, struct why *why)
{
	_cleanup_(secret_freep) struct secret *pin = NULL;
	int r = CVM_OK;

	*ret_user = c->tcfg->login == LOGIN_ATTESTATION ||
	    t->opt[OPT_PIN_FILE] != NULL;
	if (*ret_user)
		r = tool_user_pin(t, c, /* set= */ false, &pin, why);
	if (r == CVM_OK)
		r = gate_open_session(c->gate, &c->session, why);
	if (r == CVM_OK && *ret_user)
		r = tool_login(c, tool_span(pin), why);
	return r;
}

/* RFC 7512 section 2.4: a file URI, whose path may need escapes. */
static int
pin_query(const struct tool *t, const struct tool_context *c,
    char out[static URI_TEXT_MAX])
{
	const char *path = t->opt[OPT_PIN_SOURCE];
	int r = CVM_OK;

	out[0] = '\0';
	if (path == NULL)
		path = c->tcfg->login == LOGIN_PIN ? "/PATH/TO/PIN" : NULL;
	if (path == NULL)
		return CVM_OK;
	(void)snprintf(out, URI_TEXT_MAX, "?pin-source=file:");
	for (const char *p = path, *slash; r == CVM_OK && *p != '\0';) {
		slash = strchrnul(p, '/');
		r = uri_escape(out, URI_TEXT_MAX - 2,
		    span(p, (size_t)(slash - p)), /* all= */ false);
		if (*slash == '/' && r == CVM_OK &&
		    strlen(out) + 2 > URI_TEXT_MAX)
			r = CVM_E_INVAL;
		if (*slash == '/' && r == CVM_OK)
			(void)strcat(out, "/");
		p = *slash == '/' ? slash + 1 : slash;
	}
	return r;
}

static int
print_keys(const struct tool *t, struct tool_context *c, bool user,
    const CK_OBJECT_HANDLE *handles, size_t n)
{
	struct caller who = tool_caller(c, user);
	cJSON *list = t->opt[OPT_JSON] != NULL ? cJSON_CreateArray() : NULL;
	struct key_line *k = calloc(1, sizeof(*k));
	int r = k != NULL ? CVM_OK : CVM_E_NOMEM;
	struct why why = { 0 };

	for (size_t i = 0; r == CVM_OK && i < n; i++) {
		r = read_key(c, &who, handles[i], k);
		if (r == CVM_E_NOT_FOUND) { /* destroyed meanwhile */
			r = CVM_OK;
			continue;
		}
		if (r == CVM_E_BUFFER_TOO_SMALL) {
			tool_note("a key whose label or id is longer than 255 "
				  "bytes is left out");
			r = CVM_OK;
			continue;
		}
		if (r != CVM_OK) {
			(void)why_set(&why, r, c->tcfg->store, "key",
			    "one that can be read", "");
			break;
		}
		if ((r = pin_query(t, c, k->pin)) != CVM_OK)
			break;
		if (list != NULL)
			(void)cJSON_AddItemToArray(list, json_key(k));
		else
			print_key(k);
	}
	free(k);
	if (r != CVM_OK) {
		cJSON_Delete(list);
		if (r == CVM_E_INVAL && why.err == CVM_OK)
			(void)why_setf(&why, r, "--pin-source", "length",
			    "a path that fits the URI", "more than %d bytes",
			    URI_TEXT_MAX);
		return tool_fail(r, &why);
	}
	if (list != NULL)
		return print_json(list);
	if (n == 0)
		(void)printf("no keys in this token\n");
	return print_end();
}

int
cmd_uri(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(freep) CK_OBJECT_HANDLE *handles = NULL;
	const char *source = t->opt[OPT_PIN_SOURCE];
	struct why why = { 0 };
	bool user = false;
	size_t n = 0;
	int r;

	if (source != NULL && source[0] != '/')
		return tool_usage(t, "--pin-source: an absolute path");
	if ((r = tool_open(t, &c)) != 0)
		return r;
	if ((r = log_in(t, &c, &user, &why)) != CVM_OK ||
	    (r = find_keys(&c, user, &handles, &n, &why)) != CVM_OK)
		return tool_fail(r, &why);
	return print_keys(t, &c, user, handles, n);
}
