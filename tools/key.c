/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "attest/chain.h"
#include "tools/key_template.h"
#include "tools/tool.h"

struct import_options {
	const char *label, *id, *cert, *pin_file;
};

static int
read_key(const char *path, EVP_PKEY **ret)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	const unsigned char *p;
	BIO *bio;
	int r;

	if ((r = tool_read(path, 64 * 1024, &b)) != CVM_OK)
		return r;
	if ((bio = BIO_new_mem_buf(b.data, (int)b.len)) == NULL)
		r = CVM_E_NOMEM;
	else
		*ret = PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL,
		    crypto_libctx(), NULL);
	BIO_free(bio);
	p = b.data;
	if (r == CVM_OK && *ret == NULL)
		*ret = d2i_AutoPrivateKey_ex(NULL, &p, (long)b.len,
		    crypto_libctx(), NULL);
	secret_wipe(b.data, b.len);
	if (r == CVM_OK && *ret == NULL) {
		(void)fprintf(stderr,
		    "cvm-token: %s: expected a private key (PEM or DER)\n",
		    path);
		return CVM_E_PARSE;
	}
	return r;
}

static int
log_in(struct tool_context *c, const char *pin_file, struct permit *permit)
{
	_cleanup_(secret_freep) struct secret *pin = NULL;
	const struct policy *p = gate_policy(c->gate);
	struct vtpm *vtpm = rounds_vtpm(gate_rounds(c->gate));
	struct why why = { 0 };
	int r;

	if ((r = gate_permit(c->gate, &c->session, permit, &why)) != CVM_OK)
		return tool_fail(r, &why);
	if (c->tcfg->login != LOGIN_PIN)
		return 0;
	if ((r = tool_pin(pin_file, "user PIN", false, &pin)) != CVM_OK)
		return tool_fail(r, NULL);
	r = token_login_user(gate_token(c->gate), permit, secret_span(pin), p,
	    vtpm, &why);
	return r == CVM_OK ? 0 : tool_fail(r, &why);
}

/* One object of the key, through the rules that C_CreateObject has. */
static int
put_half(struct tool_context *c, const struct permit *permit, EVP_PKEY *key,
    bool private, const struct import_options *o)
{
	_cleanup_(key_template_clear) struct key_template t = { .n = 0 };
	_cleanup_(blob_clear) struct blob id = { 0 };
	struct caller who = { .user = true,
		.writable = true,
		.permit = permit };
	struct why why = { 0 };
	CK_OBJECT_HANDLE h;
	int r;

	r = private ? key_template_private(key, &t) :
		      key_template_public(key, &t);
	if (r == CVM_OK && o->label != NULL)
		r = key_template_add(&t, CKA_LABEL,
		    span(o->label, strlen(o->label)));
	if (r == CVM_OK && o->id != NULL &&
	    (r = hex_decode_blob(o->id, 256, &id)) == CVM_OK)
		r = key_template_add(&t, CKA_ID, blob_span(&id));
	if (r == CVM_OK)
		r = token_create(gate_token(c->gate), &who, t.a, t.n, &h, &why);
	return r == CVM_OK ? 0 : tool_fail(r, &why);
}

static int
put_pair(struct tool_context *c, const struct permit *permit, EVP_PKEY *key,
    const struct import_options *o)
{
	int r = put_half(c, permit, key, true, o);

	return r == 0 ? put_half(c, permit, key, false, o) : r;
}

static int
put_cert(struct tool_context *c, const struct permit *permit,
    const struct import_options *o)
{
	_cleanup_(x509_freep) X509 *x = NULL;
	_cleanup_(blob_clear) struct blob b = { 0 }, id = { 0 };
	struct caller who = { .user = true,
		.writable = true,
		.permit = permit };
	const char *label = o->label != NULL ? o->label : "";
	unsigned char *der = NULL;
	struct why why = { 0 };
	CK_OBJECT_HANDLE h;
	size_t n = 0;
	int r, len;

	if ((r = tool_read(o->cert, CERT_BYTES_MAX, &b)) != CVM_OK)
		return tool_fail(r, NULL);
	if (certs_from_pem(blob_span(&b), &x, 1, &n) != CVM_OK &&
	    cert_from_der(blob_span(&b), false, &x) != CVM_OK) {
		(void)fprintf(stderr,
		    "cvm-token: %s: expected one X.509 "
		    "certificate (PEM or DER)\n",
		    o->cert);
		return EXIT_TROUBLE;
	}
	if ((len = i2d_X509(x, &der)) <= 0 ||
	    (o->id != NULL && hex_decode_blob(o->id, 256, &id) != CVM_OK))
		return tool_fail(CVM_E_NOMEM, NULL);
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	CK_CERTIFICATE_TYPE type = CKC_X_509;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE templ[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_CERTIFICATE_TYPE, &type, sizeof(type) },
		{ CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_VALUE, der, (CK_ULONG)len },
		{ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
		{ CKA_ID, id.data, id.len },
	};
	r = token_create(gate_token(c->gate), &who, templ,
	    id.len > 0 ? NELEMS(templ) : NELEMS(templ) - 1, &h, &why);
	OPENSSL_free(der);
	return r == CVM_OK ? 0 : tool_fail(r, &why);
}

static int
key_import(struct tool *t, const char *path, const struct import_options *o)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
	struct permit permit;
	int r;

	if ((r = read_key(path, &key)) != CVM_OK)
		return tool_fail(r, NULL);
	if ((r = tool_admit(t, &c)) != 0 ||
	    (r = log_in(&c, o->pin_file, &permit)) != 0 ||
	    (r = put_pair(&c, &permit, key, o)) != 0)
		return r;
	if (o->cert != NULL && (r = put_cert(&c, &permit, o)) != 0)
		return r;
	(void)printf("imported %s%s; destroy %s where it is no longer "
		     "needed\n",
	    path, o->cert != NULL ? " and its certificate" : "", path);
	return EXIT_OK;
}

int
cmd_key(struct tool *t)
{
	struct import_options o = { 0 };
	const struct option_row rows[] = {
		{ "--label", &o.label, NULL },
		{ "--id", &o.id, NULL },
		{ "--cert", &o.cert, NULL },
		{ "--pin-file", &o.pin_file, NULL },
	};
	int r = tool_options(t, rows, NELEMS(rows), 2, 2);

	if (r != 0)
		return r;
	if (strcmp(t->argv[1], "import") != 0)
		return tool_usage(t, "key takes import FILE");
	return key_import(t, t->argv[2], &o);
}
