/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/bundle.h"
#include "tools/tool.h"

#define CLASS_AND_NAME 2

/* The public keys whose label, or else whose CKA_ID in hex, is name. */
static int
find_key(struct tool_context *c, const char *name, CK_OBJECT_HANDLE **ret,
    size_t *ret_n, struct why *why)
{
	_cleanup_(blob_clear) struct blob id = { 0 };
	struct caller who = tool_caller(c, /* user= */ false);
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_ATTRIBUTE templ[CLASS_AND_NAME] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_LABEL, (void *)(uintptr_t)name, strlen(name) },
	};
	int r;

	r = token_find(gate_token(c->gate), &who, templ, NELEMS(templ), ret,
	    ret_n, why);
	if (r != CVM_OK || *ret_n > 0 ||
	    hex_decode_blob(name, 256, &id) != CVM_OK || id.len == 0)
		return r;
	free(*ret);
	*ret = NULL;
	templ[1] = (CK_ATTRIBUTE){ CKA_ID, id.data, id.len };
	return token_find(gate_token(c->gate), &who, templ, NELEMS(templ), ret,
	    ret_n, why);
}

static int
key_fingerprint(struct tool_context *c, const char *name,
    uint8_t out[static SHA256_LEN], struct why *why)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *handles = NULL;
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct caller who = tool_caller(c, /* user= */ false);
	size_t n = 0;
	int r;

	if ((r = find_key(c, name, &handles, &n, why)) != CVM_OK)
		return r;
	if (n != 1)
		return why_setf(why, CVM_E_NOT_FOUND, "--key", name,
		    "one public key with this label or id", "%zu", n);
	r = token_object(gate_token(c->gate), &who, handles[0], &o);
	return r == CVM_OK ? object_fingerprint(o, out) : r;
}

static int
bundle_over(const struct tool *t, struct tool_context *c, struct span leaf)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	_cleanup_(admission_clear) struct admission a = { 0 };
	_cleanup_(freep) char *json = NULL;
	struct why why = { 0 }, refusal = { 0 };
	int joined, r;

	/* The bundle of a machine that is denied is evidence as well. */
	joined = rounds_join(gate_rounds(c->gate), leaf, /* fresh= */ true, &a,
	    &refusal);
	if (a.round == NULL)
		return tool_fail(joined, &refusal);
	if ((r = endorsements_load(c->cfg->evidence.collateral, &e, &why)) !=
		CVM_OK ||
	    (r = bundle_encode(&a, gate_policy(c->gate), e, &json)) != CVM_OK ||
	    (r = tool_write(t->opt[OPT_OUT], span(json, strlen(json)),
		 /* over= */ true, &why)) != CVM_OK)
		return tool_fail(r, &why);
	return joined == CVM_OK ? EXIT_OK : tool_fail(joined, &refusal);
}

int
cmd_attest(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(blob_clear) struct blob nonce = { 0 }, leaf = { 0 };
	const char *hex = t->opt[OPT_NONCE], *key = t->opt[OPT_KEY];
	uint8_t fp[SHA256_LEN];
	struct why why = { 0 };
	int r;

	if (hex == NULL ||
	    hex_decode_blob(hex, CHALLENGE_NONCE_MAX, &nonce) != CVM_OK ||
	    nonce.len < CHALLENGE_NONCE_MIN)
		return tool_usage(t, "--nonce: 8 to 64 bytes in hex");
	/* A key is looked up in the opened token; without one nothing has to
	 * open, so that a denied machine can still show its evidence. */
	if ((r = key != NULL ? tool_admit(t, &c) : tool_open(t, &c)) != 0)
		return r;
	if ((key != NULL &&
		(r = key_fingerprint(&c, key, fp, &why)) != CVM_OK) ||
	    (r = leaf_challenge(blob_span(&nonce),
		 span(fp, key != NULL ? SHA256_LEN : 0), &leaf)) != CVM_OK)
		return tool_fail(r, &why);
	return bundle_over(t, &c, blob_span(&leaf));
}
