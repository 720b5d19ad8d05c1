/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tools/tool.h"

struct init_options {
	const char *label, *so_pin_file, *pin_file;
	bool no_recovery;
};

/* A token that logs in by attestation needs no SO PIN from people: a random
 * one that nobody knows closes that door. */
static int
get_so_pin(const struct tool_context *c, const struct init_options *o,
    struct secret **ret)
{
	uint8_t raw[24];
	char text[2 * sizeof(raw) + 1];
	int r;

	if (o->so_pin_file != NULL || c->tcfg->login == LOGIN_PIN)
		return tool_pin(o->so_pin_file, "SO PIN", true, ret);
	if ((r = random_bytes(raw, sizeof(raw))) != CVM_OK)
		return r;
	(void)hex_encode(span(raw, sizeof(raw)), text, sizeof(text));
	*ret = secret_copy(span(text, sizeof(text) - 1));
	secret_wipe(raw, sizeof(raw));
	secret_wipe(text, sizeof(text));
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}

static int
set_user_pin(struct tool_context *c, const struct init_options *o,
    struct secret *so_pin, struct why *why)
{
	_cleanup_(secret_freep) struct secret *pin = NULL;
	struct token *t = gate_token(c->gate);
	const struct policy *p = gate_policy(c->gate);
	struct vtpm *vtpm = rounds_vtpm(gate_rounds(c->gate));
	struct permit permit;
	int r;

	if (c->tcfg->login != LOGIN_PIN)
		return CVM_OK;
	if ((r = tool_pin(o->pin_file, "user PIN", true, &pin)) != CVM_OK)
		return r;
	if ((r = gate_permit(c->gate, &c->session, &permit, why)) != CVM_OK ||
	    (r = token_unseal(t, &permit, p, vtpm, why)) != CVM_OK ||
	    (r = token_login_so(t, &permit, secret_span(so_pin), p, vtpm,
		 why)) != CVM_OK)
		return r;
	r = token_init_pin(t, &permit, secret_span(pin), p, vtpm, why);
	token_logout(t);
	return r;
}

static int
show_result(const struct tool *t, struct tool_context *c,
    const struct secret *code)
{
	char text[RECOVERY_TEXT_MAX] = "";
	struct token_info info;
	cJSON *root;

	if (code != NULL && recovery_encode(code, text, sizeof(text)) != CVM_OK)
		return EXIT_TROUBLE;
	token_get_info(gate_token(c->gate), &info);
	if (t->json) {
		root = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(root, "serial", info.serial);
		(void)cJSON_AddStringToObject(root, "label", info.label);
		(void)cJSON_AddStringToObject(root, "recovery_code", text);
		secret_wipe(text, sizeof(text));
		return print_json(root);
	}
	(void)printf("token \"%s\" initialised, serial %s\n", info.label,
	    info.serial);
	if (code != NULL)
		(void)printf("\nRecovery code, shown this once:\n\n    "
			     "%s\n\nKeep it away from this machine. It opens "
			     "the token's keys when no seal does\n"
			     "(cvm-token recover); whoever has it and the "
			     "store needs no attestation.\n",
		    text);
	secret_wipe(text, sizeof(text));
	return EXIT_OK;
}

int
cmd_init(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(secret_freep) struct secret *so_pin = NULL, *code = NULL;
	struct init_options o = { 0 };
	const struct option_row rows[] = {
		{ "--label", &o.label, NULL },
		{ "--so-pin-file", &o.so_pin_file, NULL },
		{ "--pin-file", &o.pin_file, NULL },
		{ "--no-recovery", NULL, &o.no_recovery },
	};
	struct why why = { 0 };
	struct token_init in = { 0 };
	int r;

	if ((r = tool_options(t, rows, NELEMS(rows), 0, 0)) != 0 ||
	    (r = tool_open(t, &c)) != 0)
		return r;
	/* The machine must be good; there is nothing yet that could open. */
	if ((r = gate_admit(c.gate, &c.session, &why)) != CVM_OK)
		return tool_fail(r, &why);
	if ((r = get_so_pin(&c, &o, &so_pin)) != CVM_OK)
		return tool_fail(r, NULL);
	in.label = o.label != NULL ? o.label : c.tcfg->label;
	in.so_pin = secret_span(so_pin);
	in.policy = gate_policy(c.gate);
	in.vtpm = rounds_vtpm(gate_rounds(c.gate));
	if ((r = token_init(gate_token(c.gate), &in,
		 o.no_recovery ? NULL : &code, &why)) != CVM_OK ||
	    (r = set_user_pin(&c, &o, so_pin, &why)) != CVM_OK)
		return tool_fail(r, &why);
	return show_result(t, &c, code);
}
