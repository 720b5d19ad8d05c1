/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "attest/chain.h"
#include "base/openssl.h"
#include "tools/key_file.h"
#include "tools/key_template.h"
#include "tools/text.h"
#include "tools/tool.h"

#define DEFAULT_ID_LEN 20
#define ID_MAX 255

/* What is brought in, in one change of the token. */
enum part { PART_PRIVATE, PART_PUBLIC, PART_CERT, N_PARTS };
_Static_assert(N_PARTS <= TOKEN_CREATE_MAX, "all parts are made at once");

struct import {
	struct tool_context c;
	EVP_PKEY *key;
	X509 *cert; /* or NULL */
	const char *label;
	struct blob id;
	struct secret *pin;
	struct key_template part[N_PARTS];
};

static void
import_clear(struct import *m)
{
	for (size_t i = 0; i < N_PARTS; i++)
		key_template_clear(&m->part[i]);
	evp_pkey_freep(&m->key);
	X509_free(m->cert);
	blob_clear(&m->id);
	secret_freep(&m->pin);
	tool_close(&m->c);
}

static int
ask_passphrase(void *arg, struct secret **ret, struct why *why)
{
	const struct tool *t = arg;
	int r = tool_pin(t->opt[OPT_PASSPHRASE_FILE], "passphrase of the key",
	    /* set= */ false, ret, why);

	if (r == CVM_E_INVAL)
		why_hint(why, "the key is encrypted: give --passphrase-file");
	return r;
}

static int
read_key(struct tool *t, struct import *m, struct why *why)
{
	_cleanup_(secret_freep) struct secret *bytes = NULL;
	const struct passphrase p = { ask_passphrase, t };
	const char *path = t->operand[0];
	int r = tool_read_secret(path, KEY_FILE_MAX, &bytes, why);

	if (r == CVM_OK)
		r = key_file_parse(secret_span(bytes), path, &p, &m->key, why);
	return r == CVM_OK ? key_template_check(m->key, path, why) : r;
}

static int
read_cert(const char *path, struct import *m, struct why *why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	quiet_openssl();
	int r;

	if (path == NULL)
		return CVM_OK;
	if ((r = tool_read(path, CERT_FILE_MAX, &b, why)) != CVM_OK)
		return r;
	if ((r = cert_file_parse(blob_span(&b), path, &m->cert, why)) != CVM_OK)
		return r;
	if (X509_check_private_key(m->cert, m->key) != 1)
		return why_set(why, CVM_E_INVAL, path, "public key",
		    "the one of the private key", "another");
	return CVM_OK;
}

/* CKA_ID is what joins key and certificate: there is always one. */
static int
make_id(const char *hex, struct import *m, struct why *why)
{
	uint8_t digest[SHA256_LEN];
	unsigned char *der = NULL;
	int len, r;

	if (hex != NULL) {
		r = hex_decode_blob(hex, ID_MAX, &m->id);
		return r == CVM_OK && m->id.len > 0 ?
		    CVM_OK :
		    why_set(why, CVM_E_INVAL, "--id", "",
			"1 to 255 bytes in "
			"hex",
			hex);
	}
	if ((len = i2d_PUBKEY(m->key, &der)) <= 0)
		return CVM_E_CRYPTO;
	r = hash(HASH_SHA256, span(der, (size_t)len), digest);
	OPENSSL_free(der);
	return r == CVM_OK ? blob_set(&m->id, span(digest, DEFAULT_ID_LEN)) : r;
}

/* URIs name keys by their id: two of the same would be one too many. */
static int
check_new(struct import *m, struct why *why)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *handles = NULL;
	struct caller who = tool_caller(&m->c, /* user= */ true);
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE templ[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_ID, m->id.data, m->id.len },
	};
	char hex[2 * ID_MAX + 1];
	size_t n = 0;
	int r = token_find(gate_token(m->c.gate), &who, templ, NELEMS(templ),
	    &handles, &n, why);

	if (r != CVM_OK || n == 0)
		return r;
	return why_set(why, CVM_E_EXISTS, m->c.tcfg->name, "CKA_ID",
	    "no private key with this id",
	    hex_encode(blob_span(&m->id), hex, sizeof(hex)));
}

static int
describe(struct import *m, enum part part)
{
	struct key_template *t = &m->part[part];
	int r;

	if (part == PART_PRIVATE)
		r = key_template_private(m->key, t);
	else if (part == PART_PUBLIC)
		r = key_template_public(m->key, t);
	else
		r = key_template_cert(m->cert, t);
	if (r == CVM_OK)
		r = key_template_add(t, CKA_LABEL,
		    span(m->label, strlen(m->label)));
	return r == CVM_OK ? key_template_add(t, CKA_ID, blob_span(&m->id)) : r;
}

/* All objects at once, through the rules that C_CreateObject has: a key without
 * its certificate would be in the way of the next try. */
static int
create_all(struct import *m, struct why *why)
{
	struct token_template v[N_PARTS];
	CK_OBJECT_HANDLE made[N_PARTS];
	struct caller who = tool_caller(&m->c, /* user= */ true);
	size_t n = m->cert != NULL ? N_PARTS : PART_CERT;
	int r = check_new(m, why);

	for (size_t i = 0; r == CVM_OK && i < n; i++) {
		r = describe(m, (enum part)i);
		v[i] = (struct token_template){ m->part[i].a, m->part[i].n };
	}
	return r == CVM_OK ?
	    token_create_all(gate_token(m->c.gate), &who, v, n, made, why) :
	    r;
}

/* Whatever the reason is about, it says what did not come in. */
static int
put_all(const struct tool *t, struct import *m, struct why *why)
{
	const char *path = t->operand[0];
	int r = create_all(m, why);

	if (r == CVM_OK)
		return CVM_OK;
	if (why->err == CVM_OK)
		(void)why_set(why, r, path, "", "", "");
	if (why->hint[0] == '\0')
		why_hint(why, "nothing of %s was imported as \"%s\"", path,
		    PLAIN(m->label));
	return r;
}

static int
report(const struct tool *t, const struct import *m)
{
	char id[2 * ID_MAX + 1];
	cJSON *root;

	(void)hex_encode(blob_span(&m->id), id, sizeof(id));
	if (t->opt[OPT_JSON] != NULL) {
		root = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(root, "label", m->label);
		(void)cJSON_AddStringToObject(root, "id", id);
		(void)cJSON_AddBoolToObject(root, "certificate",
		    m->cert != NULL);
		return print_json(root);
	}
	(void)printf("imported %s%s as \"%s\", id %s\n"
		     "Destroy the file where it is no longer needed.\n",
	    t->operand[0], m->cert != NULL ? " and its certificate" : "",
	    m->label, id);
	return print_end();
}

int
cmd_key_import(struct tool *t)
{
	_cleanup_(
	    import_clear) struct import m = { .label = t->opt[OPT_LABEL] };
	struct why why = { 0 };
	int r;

	if (m.label == NULL)
		return tool_usage(t, "--label LABEL is missing");
	if ((r = tool_open(t, &m.c)) != 0)
		return r;
	if ((r = read_key(t, &m, &why)) != CVM_OK ||
	    (r = read_cert(t->opt[OPT_CERT], &m, &why)) != CVM_OK ||
	    (r = make_id(t->opt[OPT_ID], &m, &why)) != CVM_OK ||
	    (r = tool_user_pin(t, &m.c, /* set= */ false, &m.pin, &why)) !=
		CVM_OK ||
	    (r = gate_open_session(m.c.gate, &m.c.session, &why)) != CVM_OK ||
	    (r = tool_login(&m.c, tool_span(m.pin), &why)) != CVM_OK ||
	    (r = put_all(t, &m, &why)) != CVM_OK)
		return tool_fail(r, &why);
	return report(t, &m);
}
