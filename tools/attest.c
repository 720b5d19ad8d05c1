/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/bundle.h"
#include "tools/tool.h"

/* The fingerprint of the key that --key names by CKA_ID or label. */
static int
key_fingerprint(struct tool_context *c, const char *name,
    uint8_t out[static SHA256_LEN])
{
	_cleanup_(freep) CK_OBJECT_HANDLE *handles = NULL;
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(blob_clear) struct blob id = { 0 };
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_ATTRIBUTE templ[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_LABEL, NULL, 0 },
	};
	struct caller who = { .permit = &c->session.permit };
	struct why why = { 0 };
	size_t n = 0;
	int r;

	templ[1].pValue = (void *)(uintptr_t)name;
	templ[1].ulValueLen = strlen(name);
	r = token_find(gate_token(c->gate), &who, templ, 2, &handles, &n, &why);
	if (r == CVM_OK && n == 0 &&
	    hex_decode_blob(name, 256, &id) == CVM_OK) {
		templ[1] = (CK_ATTRIBUTE){ CKA_ID, id.data, id.len };
		r = token_find(gate_token(c->gate), &who, templ, 2, &handles,
		    &n, &why);
	}
	if (r == CVM_OK && n != 1)
		r = why_setf(&why, CVM_E_NOT_FOUND, "--key", name,
		    "one public key with this label or id", "%zu", n);
	if (r == CVM_OK)
		r = token_object(gate_token(c->gate), &who, handles[0], &o);
	if (r == CVM_OK)
		r = object_fingerprint(o, out);
	return r == CVM_OK ? 0 : tool_fail(r, &why);
}

static int
bundle_over(struct tool_context *c, struct span leaf, const char *out)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	_cleanup_(admission_clear) struct admission a = { 0 };
	_cleanup_(freep) char *json = NULL;
	struct why why = { 0 }, ignored = { 0 };
	int joined, r;

	/* A bundle of a machine that is denied is evidence as well. */
	joined = rounds_join(gate_rounds(c->gate), leaf, true, &a, &why);
	if (a.round == NULL)
		return tool_fail(joined, &why);
	if ((r = endorsements_load(c->cfg->evidence.collateral, &e,
		 &ignored)) != CVM_OK ||
	    (r = bundle_encode(&a, gate_policy(c->gate), e, &json)) != CVM_OK)
		return tool_fail(r, &ignored);
	if (tool_write(out, span(json, strlen(json)), 0644, true) != CVM_OK)
		return EXIT_TROUBLE;
	return joined == CVM_OK ? EXIT_OK : tool_fail(joined, &why);
}

int
cmd_attest(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(blob_clear) struct blob nonce = { 0 }, leaf = { 0 };
	const char *hex = NULL, *key = NULL, *out = NULL;
	const struct option_row rows[] = {
		{ "--nonce", &hex, NULL },
		{ "--key", &key, NULL },
		{ "--out", &out, NULL },
	};
	uint8_t fp[SHA256_LEN];
	int r;

	if ((r = tool_options(t, rows, NELEMS(rows), 0, 0)) != 0)
		return r;
	if (hex == NULL ||
	    hex_decode_blob(hex, CHALLENGE_NONCE_MAX, &nonce) != CVM_OK ||
	    nonce.len < CHALLENGE_NONCE_MIN)
		return tool_usage(t, "--nonce takes 8 to 64 bytes in hex");
	/* A key is looked up in the opened token; without one nothing has to
	 * open, so that a denied machine can still show its evidence. */
	if ((r = key != NULL ? tool_admit(t, &c) : tool_open(t, &c)) != 0 ||
	    (key != NULL && (r = key_fingerprint(&c, key, fp)) != 0))
		return r;
	if ((r = leaf_challenge(blob_span(&nonce),
		 span(fp, key != NULL ? SHA256_LEN : 0), &leaf)) != CVM_OK)
		return tool_fail(r, NULL);
	return bundle_over(&c, blob_span(&leaf), out);
}
