/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "tools/tool.h"

/* Seals for the policy as it is now; the token's keys are open already. */
static int
seal_anew(struct tool_context *c, const char *pin_file, const char *so_pin_file)
{
	_cleanup_(secret_freep) struct secret *pin = NULL, *so_pin = NULL;
	struct token_reseal in = {
		.policy = gate_policy(c->gate),
		.vtpm = rounds_vtpm(gate_rounds(c->gate)),
	};
	struct why why = { 0 };
	int r;

	if (c->tcfg->login == LOGIN_PIN) {
		r = tool_pin(pin_file, "user PIN (may be a new one)", true,
		    &pin);
		if (r != CVM_OK)
			return tool_fail(r, NULL);
	}
	if (so_pin_file != NULL &&
	    (r = tool_pin(so_pin_file, "SO PIN", true, &so_pin)) != CVM_OK)
		return tool_fail(r, NULL);
	if (pin != NULL)
		in.user_pin = secret_span(pin);
	if (so_pin != NULL)
		in.so_pin = secret_span(so_pin);
	if ((r = token_reseal(gate_token(c->gate), &in, &why)) != CVM_OK)
		return tool_fail(r, &why);
	(void)printf("sealed for policy %s, %zu PCR set%s%s\n", in.policy->path,
	    in.policy->tpm.n_pcr_sets,
	    in.policy->tpm.n_pcr_sets == 1 ? "" : "s",
	    so_pin == NULL ? "; no SO seal (give --so-pin-file to make one)" :
			     "");
	return EXIT_OK;
}

/*
 * After a policy edit no seal opens, so the recovery code does: reseal asks
 * for it only then. Before the edit, the current seals do.
 */
static int
open_keys(struct tool_context *c, const char *code_file, bool need_code)
{
	_cleanup_(secret_freep) struct secret *text = NULL, *code = NULL;
	_cleanup_(freep) char *s = NULL;
	struct why why = { 0 };
	int r;

	if (!need_code && code_file == NULL)
		return 0;
	if ((r = tool_pin(code_file, "recovery code", false, &text)) != CVM_OK)
		return tool_fail(r, NULL);
	if ((s = strndup((const char *)secret_data(text), secret_len(text))) ==
	    NULL)
		return tool_fail(CVM_E_NOMEM, NULL);
	r = recovery_decode(s, &code, &why);
	secret_wipe(s, secret_len(text));
	if (r == CVM_OK)
		r = token_unseal_recovery(gate_token(c->gate), code, &why);
	return r == CVM_OK ? 0 : tool_fail(r, &why);
}

static int
run(struct tool *t, bool recover)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	const char *pin_file = NULL, *so_pin_file = NULL, *code_file = NULL;
	const struct option_row rows[] = {
		{ "--pin-file", &pin_file, NULL },
		{ "--so-pin-file", &so_pin_file, NULL },
		{ "--code-file", &code_file, NULL },
	};
	struct why why = { 0 };
	int r;

	if ((r = tool_options(t, rows, NELEMS(rows), 0, 0)) != 0 ||
	    (r = tool_open(t, &c)) != 0)
		return r;
	r = gate_open_session(c.gate, &c.session, &why);
	if (r != CVM_OK && r != CVM_E_SEALED)
		return tool_fail(r, &why); /* never seal for a bad machine */
	if (r == CVM_E_SEALED && !recover && code_file == NULL) {
		(void)tool_fail(r, &why);
		(void)fprintf(stderr,
		    "cvm-token: no seal opens any more: the recovery code "
		    "does (reseal --code-file, or recover)\n");
		return EXIT_DENY;
	}
	if ((r = open_keys(&c, code_file, recover)) != 0)
		return r;
	return seal_anew(&c, pin_file, so_pin_file);
}

int
cmd_reseal(struct tool *t)
{
	return run(t, false);
}

int
cmd_recover(struct tool *t)
{
	return run(t, true);
}
