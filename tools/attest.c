/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/bundle.h"
#include "module/key_name.h"
#include "tools/tool.h"

/* What the token says of the key of that name. */
static int
describe(struct tool_context *c, const char *name, struct birth *ret,
    struct why *why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	/* Who may use this command may read the store: what it says of a key,
	 * other than the key itself, needs no PIN. */
	struct caller who = tool_caller(c, /* user= */ true);
	struct token_info info = { 0 };
	int r = key_name_find(gate_token(c->gate), &who,
	    span(name, strlen(name)), &o, why);

	if (r != CVM_OK || (r = object_birth(o, ret)) != CVM_OK)
		return r;
	token_get_info(gate_token(c->gate), &info);
	(void)snprintf(ret->serial, sizeof(ret->serial), "%s", info.serial);
	return CVM_OK;
}

static int
bundle_over(const struct tool *t, struct tool_context *c, struct span leaf,
    const struct birth *key)
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
	    (r = bundle_encode_key(&a, gate_policy(c->gate), e, key, &json)) !=
		CVM_OK ||
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
	struct birth birth;
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
	if (key == NULL)
		r = leaf_challenge(blob_span(&nonce), span("", 0), &leaf);
	else if ((r = describe(&c, key, &birth, &why)) == CVM_OK)
		r = leaf_key(&birth, blob_span(&nonce), &leaf);
	if (r != CVM_OK)
		return tool_fail(r, &why);
	return bundle_over(t, &c, blob_span(&leaf),
	    key != NULL ? &birth : NULL);
}
