/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>

#include "tools/tool.h"

/* A token that logs in by attestation needs no SO PIN from people: a random
 * one that nobody knows closes that door. */
static int
random_pin(struct secret **ret)
{
	uint8_t raw[24];
	char text[2 * sizeof(raw) + 1];
	int r;

	if ((r = random_bytes(raw, sizeof(raw))) != CVM_OK)
		return r;
	(void)hex_encode(span(raw, sizeof(raw)), text, sizeof(text));
	*ret = secret_copy(span(text, sizeof(text) - 1));
	secret_wipe(raw, sizeof(raw));
	secret_wipe(text, sizeof(text));
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}

/* A mistaken second call must not cost the keys. */
static int
check_replace(const struct tool *t, struct tool_context *c, bool *ret_replace,
    struct why *why)
{
	struct token_info info;

	token_get_info(gate_token(c->gate), &info);
	*ret_replace = info.initialised;
	if (!info.initialised || t->opt[OPT_REPLACE] != NULL)
		return CVM_OK;
	(void)why_set(why, CVM_E_EXISTS, c->tcfg->store, "", "no token",
	    info.label);
	why_hint(why,
	    "--replace and its SO PIN make a new one, without the keys of the "
	    "old");
	return CVM_E_EXISTS;
}

static int
ask_pins(const struct tool *t, const struct tool_context *c, bool replace,
    struct secret **so_pin, bool *ret_random, struct secret **pin,
    struct why *why)
{
	const char *file = t->opt[OPT_SO_PIN_FILE];
	int r;

	*ret_random = file == NULL && !replace && c->tcfg->login != LOGIN_PIN;
	if (*ret_random)
		r = random_pin(so_pin);
	else
		r = tool_pin(file, "SO PIN", !replace, so_pin, why);
	return r == CVM_OK ? tool_user_pin(t, c, /* set= */ true, pin, why) : r;
}

static void
print_random_so_pin(void)
{
	(void)printf("\nSO PIN: a random one, which is kept nowhere: with "
		     "login \"attestation\" none is needed.\n"
		     "To set one, now or later: cvm-token reseal, which drops "
		     "it, and then\n"
		     "cvm-token reseal --so-pin-file FILE.\n");
}

static void
print_code(const char *text)
{
	(void)printf(
	    "\nRecovery code, shown this once:\n\n    %s\n\n"
	    "Keep it away from this machine. It opens the token's keys when no "
	    "seal does\n(cvm-token recover); whoever has it and the store "
	    "needs no attestation.\n",
	    text);
}

static int
show_result(const struct tool *t, struct tool_context *c,
    const struct secret *code, bool random)
{
	char text[RECOVERY_TEXT_MAX] = "";
	struct token_info info;
	cJSON *root;
	int status;

	if (code != NULL && recovery_encode(code, text, sizeof(text)) != CVM_OK)
		return tool_fail(CVM_E_INTERNAL, NULL);
	token_get_info(gate_token(c->gate), &info);
	if (t->opt[OPT_JSON] != NULL) {
		root = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(root, "serial", info.serial);
		(void)cJSON_AddStringToObject(root, "label", info.label);
		(void)cJSON_AddBoolToObject(root, "so_pin_random", random);
		if (code != NULL)
			(void)cJSON_AddStringToObject(root, "recovery_code",
			    text);
		status = print_json(root);
	} else {
		(void)printf("token \"%s\" initialised, serial %s\n",
		    info.label, info.serial);
		if (random)
			print_random_so_pin();
		if (code != NULL)
			print_code(text);
		status = print_end();
	}
	secret_wipe(text, sizeof(text));
	if (status != EXIT_OK && code != NULL)
		tool_note("the token is there, its recovery code is lost: "
			  "cvm-token seal add --recovery makes another");
	return status;
}

int
cmd_init(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(secret_freep) struct secret *so_pin = NULL, *pin = NULL;
	_cleanup_(secret_freep) struct secret *code = NULL;
	const char *label = t->opt[OPT_LABEL];
	struct why why = { 0 };
	struct token_init in = { 0 };
	bool replace = false, random = false;
	int r;

	if ((r = tool_open(t, &c)) != 0)
		return r;
	if ((r = check_replace(t, &c, &replace, &why)) != CVM_OK ||
	    (r = ask_pins(t, &c, replace, &so_pin, &random, &pin, &why)) !=
		CVM_OK)
		return tool_fail(r, &why);
	/* The machine must be good; there is nothing yet that could open. */
	if ((r = gate_admit(c.gate, &c.session, &why)) != CVM_OK)
		return tool_fail(r, &why);
	in.label = label != NULL ? label : c.tcfg->label;
	in.so_pin = tool_span(so_pin);
	in.user_pin = tool_span(pin);
	in.policy = gate_policy(c.gate);
	in.vtpm = gate_vtpm(c.gate);
	r = token_init(gate_token(c.gate), &in,
	    t->opt[OPT_NO_RECOVERY] != NULL ? NULL : &code, &why);
	if (r == CVM_E_PIN_INCORRECT)
		tool_count_tries(&c, &why);
	return r == CVM_OK ? show_result(t, &c, code, random) :
			     tool_fail(r, &why);
}
