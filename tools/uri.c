/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <ctype.h>
#include <string.h>

#include "base/build.h"
#include "tools/tool.h"

#define MODULE CVM_MODULEDIR "/cvm-pkcs11.so"
#define URI_MAX 2048

struct key_line {
	char label[256];
	uint8_t id[256];
	size_t id_len;
	CK_KEY_TYPE type;
};

/* RFC 7512 section 2.3: what is not unreserved is percent-encoded; an id is
 * encoded whole, as most consumers expect it. */
static void
escape(char *out, size_t len, struct span s, bool all)
{
	size_t at = strlen(out);

	for (size_t i = 0; i < s.len && at + 4 < len; i++) {
		uint8_t c = s.data[i];

		if (!all && (isalnum(c) || strchr("-._~", c) != NULL))
			out[at++] = (char)c;
		else
			at += (size_t)snprintf(out + at, len - at, "%%%02X", c);
	}
	out[at] = '\0';
}

static void
uri_of(const struct token_info *info, const struct key_line *k,
    char out[static URI_MAX])
{
	(void)snprintf(out, URI_MAX, "pkcs11:token=");
	escape(out, URI_MAX, span(info->label, strlen(info->label)), false);
	if (k->label[0] != '\0') {
		(void)strcat(out, ";object=");
		escape(out, URI_MAX, span(k->label, strlen(k->label)), false);
	}
	if (k->id_len > 0) {
		(void)strcat(out, ";id=");
		escape(out, URI_MAX, span(k->id, k->id_len), true);
	}
	(void)strcat(out, ";type=private");
}

static int
read_line_of(struct token *t, const struct caller *who, CK_OBJECT_HANDLE h,
    struct key_line *k)
{
	CK_ATTRIBUTE a[] = {
		{ CKA_LABEL, k->label, sizeof(k->label) - 1 },
		{ CKA_ID, k->id, sizeof(k->id) },
		{ CKA_KEY_TYPE, &k->type, sizeof(k->type) },
	};
	int r;

	memset(k, 0, sizeof(*k));
	if ((r = token_get_attributes(t, who, h, a, NELEMS(a))) != CVM_OK)
		return r;
	k->id_len = a[1].ulValueLen;
	return CVM_OK;
}

static const char *
type_name(CK_KEY_TYPE t)
{
	return t == CKK_RSA ? "RSA" : t == CKK_EC ? "EC" : "key";
}

static void
print_key(const struct tool_context *c, const struct key_line *k,
    const char *uri, const char *pin_source)
{
	char pin[512] = "";

	if (c->tcfg->login == LOGIN_PIN)
		(void)snprintf(pin, sizeof(pin), "?pin-source=file:%s",
		    pin_source != NULL ? pin_source : "/PATH/TO/PIN");
	(void)printf("%s (%s)\n", k->label, type_name(k->type));
	(void)printf("  URI      %s\n", uri);
	(void)printf("  nginx    ssl_certificate_key "
		     "\"engine:pkcs11:%s%s\";\n",
	    uri, pin);
	(void)printf("  OpenSSL  openssl pkeyutl -engine pkcs11 -keyform "
		     "engine -inkey \"%s%s\" -sign ...\n",
	    uri, pin);
	(void)printf("  ssh      ssh-add -s %s\n\n", MODULE);
}

static cJSON *
json_key(const struct key_line *k, const char *uri)
{
	char id[2 * sizeof(k->id) + 1];
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "label", k->label);
	(void)cJSON_AddStringToObject(o, "id",
	    hex_encode(span(k->id, k->id_len), id, sizeof(id)));
	(void)cJSON_AddStringToObject(o, "type", type_name(k->type));
	(void)cJSON_AddStringToObject(o, "uri", uri);
	(void)cJSON_AddStringToObject(o, "module", MODULE);
	return o;
}

int
cmd_uri(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(freep) CK_OBJECT_HANDLE *handles = NULL;
	const char *pin_source = NULL;
	const struct option_row rows[] = {
		{ "--pin-source", &pin_source, NULL },
	};
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE templ[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_TOKEN, &yes, sizeof(yes) },
	};
	struct token_info info;
	struct why why = { 0 };
	cJSON *list = NULL;
	size_t n = 0;
	int r;

	if ((r = tool_options(t, rows, NELEMS(rows), 0, 0)) != 0 ||
	    (r = tool_admit(t, &c)) != 0)
		return r;
	struct caller who = { .permit = &c.session.permit };
	token_get_info(gate_token(c.gate), &info);
	/* Public halves stand for the pairs: they need no login to be seen. */
	if ((r = token_find(gate_token(c.gate), &who, templ, NELEMS(templ),
		 &handles, &n, &why)) != CVM_OK)
		return tool_fail(r, &why);
	if (t->json)
		list = cJSON_CreateArray();
	for (size_t i = 0; i < n; i++) {
		struct key_line k;
		char uri[URI_MAX];

		if (read_line_of(gate_token(c.gate), &who, handles[i], &k) !=
		    CVM_OK)
			continue;
		uri_of(&info, &k, uri);
		if (t->json)
			(void)cJSON_AddItemToArray(list, json_key(&k, uri));
		else
			print_key(&c, &k, uri, pin_source);
	}
	if (t->json)
		return print_json(list);
	if (n == 0)
		(void)printf("no key pairs in this token\n");
	return EXIT_OK;
}
