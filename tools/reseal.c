/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "tools/tool.h"

static bool
has_seal(const struct store_seals *l, enum seal_purpose purpose)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind == SEAL_TPM && l->v[i].purpose == purpose)
			return true;
	return false;
}

static int
print_result(const struct policy *p, const char *digest,
    const struct store_seals *before, const struct store_seals *now)
{
	(void)printf("sealed for policy %s\n  sha256    %s\n  PCR sets ",
	    p->path, digest);
	for (size_t i = 0; i < p->tpm.n_pcr_sets; i++)
		(void)printf(" \"%s\"", p->tpm.pcr_sets[i].label);
	(void)printf("\n");
	print_seals(now, p);
	if (has_seal(before, SEAL_SO) && !has_seal(now, SEAL_SO))
		(void)printf("The SO's seals are gone, since --so-pin-file was "
			     "not given; with it,\ncvm-token reseal sets an SO "
			     "PIN again.\n");
	if (has_seal(before, SEAL_USER) && !has_seal(now, SEAL_USER))
		(void)printf("The user's seals are gone; the SO may set a user "
			     "PIN again.\n");
	return print_end();
}

static int
report(const struct tool *t, struct tool_context *c,
    const struct store_seals *before)
{
	_cleanup_(store_seals_clear) struct store_seals now = { 0 };
	const struct policy *p = gate_policy(c->gate);
	char digest[2 * POLICY_DIGEST_LEN + 1];
	struct why why = { 0 };
	cJSON *root;
	int r;

	if ((r = token_seals(gate_token(c->gate), &now, &why)) != CVM_OK)
		return tool_fail(r, &why);
	(void)hex_encode(span(p->digest, sizeof(p->digest)), digest,
	    sizeof(digest));
	if (t->opt[OPT_JSON] == NULL)
		return print_result(p, digest, before, &now);
	root = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(root, "policy", p->path);
	(void)cJSON_AddStringToObject(root, "policy_digest", digest);
	(void)cJSON_AddItemToObject(root, "seals", json_seals(&now, p));
	return print_json(root);
}

/* The recovery code, from a file or the terminal. */
static int
ask_code(const struct tool *t, struct secret **ret, struct why *why)
{
	_cleanup_(secret_freep) struct secret *line = NULL;
	char text[PIN_LEN_MAX + 1];
	int r;

	if ((r = tool_pin(t->opt[OPT_CODE_FILE], "recovery code",
		 /* set= */ false, &line, why)) != CVM_OK)
		return r;
	memcpy(text, secret_data(line), secret_len(line));
	text[secret_len(line)] = '\0';
	r = recovery_decode(text, ret, why);
	secret_wipe(text, sizeof(text));
	/* A slip of the pen is a wrong code, too. */
	return r == CVM_E_PARSE ? why->err = CVM_E_SEALED : r;
}

struct anew {
	struct secret *code, *pin, *so_pin;
	struct store_seals before;
};

static void
anew_clear(struct anew *a)
{
	secret_freep(&a->code);
	secret_freep(&a->pin);
	secret_freep(&a->so_pin);
	store_seals_clear(&a->before);
}

static int
ask(const struct tool *t, const struct tool_context *c, bool recover,
    struct anew *a, struct why *why)
{
	const char *so_file = t->opt[OPT_SO_PIN_FILE];
	int r = CVM_OK;

	if (recover)
		r = ask_code(t, &a->code, why);
	if (r == CVM_OK)
		r = tool_user_pin(t, c, /* set= */ recover, &a->pin, why);
	if (r == CVM_OK && so_file != NULL)
		r = tool_pin(so_file, "SO PIN", recover, &a->so_pin, why);
	return r;
}

static int
seal_anew(struct tool_context *c, const struct anew *a, struct why *why)
{
	struct token *token = gate_token(c->gate);
	const struct token_reseal in = {
		.policy = gate_policy(c->gate),
		.vtpm = gate_vtpm(c->gate),
		.user_pin = tool_span(a->pin),
		.so_pin = tool_span(a->so_pin),
	};
	int r;

	if (a->code != NULL)
		r = token_unseal_recovery(token, a->code, why);
	else
		r = token_unseal_as_sealed(token, &c->session.permit, &in, why);
	if (r == CVM_E_SEALED && a->code == NULL)
		why_hint(why,
		    "the recovery code opens it on any machine that the policy "
		    "admits: cvm-token recover");
	if (r == CVM_OK)
		r = token_reseal(token, &c->session.permit, &in, why);
	if (r == CVM_E_PIN_INCORRECT)
		tool_count_tries(c, why);
	return r;
}

static int
run(struct tool *t, bool recover)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(anew_clear) struct anew a = { 0 };
	struct why why = { 0 };
	int r;

	if ((r = tool_open(t, &c)) != 0)
		return r;
	if ((r = token_seals(gate_token(c.gate), &a.before, &why)) != CVM_OK ||
	    (r = ask(t, &c, recover, &a, &why)) != CVM_OK)
		return tool_fail(r, &why);
	/* Never seal for a machine that the policy does not admit. */
	if ((r = gate_admit(c.gate, &c.session, &why)) != CVM_OK ||
	    (r = seal_anew(&c, &a, &why)) != CVM_OK)
		return tool_fail(r, &why);
	return report(t, &c, &a.before);
}

int
cmd_reseal(struct tool *t)
{
	return run(t, /* recover= */ false);
}

int
cmd_recover(struct tool *t)
{
	return run(t, /* recover= */ true);
}
