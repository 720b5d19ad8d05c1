/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>
#include <time.h>

#include "tools/tool.h"

static void
when_text(int64_t created, char out[static 24])
{
	time_t when = (time_t)created;
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL ||
	    strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

static cJSON *
json_seal(const struct store_seal *s)
{
	char id[2 * STORE_ID_LEN + 1], when[24];
	cJSON *o = cJSON_CreateObject();

	when_text(s->created, when);
	(void)cJSON_AddStringToObject(o, "id",
	    hex_encode(span(s->id, STORE_ID_LEN), id, sizeof(id)));
	(void)cJSON_AddStringToObject(o, "purpose",
	    seal_purpose_name(s->purpose));
	(void)cJSON_AddStringToObject(o, "kind", seal_kind_name(s->kind));
	(void)cJSON_AddStringToObject(o, "label", s->label);
	(void)cJSON_AddStringToObject(o, "created", when);
	return o;
}

cJSON *
json_seals(const struct store_seals *seals)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < seals->n; i++)
		(void)cJSON_AddItemToArray(list, json_seal(&seals->v[i]));
	return list;
}

void
print_seals(const struct store_seals *seals)
{
	char id[2 * STORE_ID_LEN + 1], when[24];

	for (size_t i = 0; i < seals->n; i++) {
		const struct store_seal *s = &seals->v[i];

		when_text(s->created, when);
		(void)printf("  %s  %-6s %-13s %-20s %s\n",
		    hex_encode(span(s->id, STORE_ID_LEN), id, sizeof(id)),
		    seal_purpose_name(s->purpose), seal_kind_name(s->kind),
		    when, s->label);
	}
}

static int
seal_list(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(store_seals_clear) struct store_seals seals = { 0 };
	struct why why = { 0 };
	int r;

	if ((r = tool_open(t, &c)) != 0)
		return r;
	if ((r = token_seals(gate_token(c.gate), &seals, &why)) != CVM_OK)
		return tool_fail(r, &why);
	if (t->json)
		return print_json(json_seals(&seals));
	print_seals(&seals);
	return EXIT_OK;
}

static const struct pcr_set *
find_set(const struct policy *p, const char *label)
{
	for (size_t i = 0; i < p->tpm.n_pcr_sets; i++)
		if (strcmp(p->tpm.pcr_sets[i].label, label) == 0)
			return &p->tpm.pcr_sets[i];
	return NULL;
}

/* PINs guard the user's and the SO's seals; without one, that seal is not
 * made for the new set. */
static int
optional_pin(const char *file, const char *prompt, struct secret **ret)
{
	return file == NULL ? CVM_OK : tool_pin(file, prompt, false, ret);
}

static int
add_set(struct tool_context *c, const char *label, const char *pin_file,
    const char *so_pin_file)
{
	_cleanup_(secret_freep) struct secret *pin = NULL, *so_pin = NULL;
	const struct policy *p = gate_policy(c->gate);
	const struct pcr_set *set = find_set(p, label);
	struct why why = { 0 };
	int r;

	if (set == NULL) {
		(void)fprintf(stderr,
		    "cvm-token: policy %s has no PCR set \"%s\"\n", p->path,
		    label);
		return EXIT_TROUBLE;
	}
	if (c->tcfg->login == LOGIN_PIN && pin_file == NULL)
		(void)fprintf(stderr,
		    "cvm-token: note: without --pin-file the user's PIN does "
		    "not open this set\n");
	if ((r = optional_pin(pin_file, "user PIN", &pin)) != CVM_OK ||
	    (r = optional_pin(so_pin_file, "SO PIN", &so_pin)) != CVM_OK)
		return tool_fail(r, NULL);
	r = token_seal_add_set(gate_token(c->gate), p, set,
	    rounds_vtpm(gate_rounds(c->gate)), secret_span(pin),
	    secret_span(so_pin), &why);
	return r == CVM_OK ? EXIT_OK : tool_fail(r, &why);
}

static int
add_recovery(struct tool_context *c)
{
	_cleanup_(secret_freep) struct secret *code = NULL;
	char text[RECOVERY_TEXT_MAX];
	struct why why = { 0 };
	int r;

	if ((r = token_seal_add_recovery(gate_token(c->gate),
		 gate_policy(c->gate), &code, &why)) != CVM_OK ||
	    (r = recovery_encode(code, text, sizeof(text))) != CVM_OK)
		return tool_fail(r, &why);
	(void)printf("%s\n", text);
	secret_wipe(text, sizeof(text));
	return EXIT_OK;
}

static int
seal_add(struct tool *t, const char *label, bool recovery, const char *pin_file,
    const char *so_pin_file)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	int r;

	if ((label == NULL) == !recovery)
		return tool_usage(t, "add takes a set's label or --recovery");
	if ((r = tool_admit(t, &c)) != 0)
		return r;
	return recovery ? add_recovery(&c) :
			  add_set(&c, label, pin_file, so_pin_file);
}

static int
seal_remove(struct tool *t, const char *hex)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	uint8_t id[STORE_ID_LEN];
	struct why why = { 0 };
	int r;

	if (hex == NULL || hex_decode(hex, id, sizeof(id)) != CVM_OK)
		return tool_usage(t, "remove takes an id of 32 hex digits");
	if ((r = tool_admit(t, &c)) != 0)
		return r;
	r = token_seal_remove(gate_token(c.gate), id, &why);
	return r == CVM_OK ? EXIT_OK : tool_fail(r, &why);
}

int
cmd_seal(struct tool *t)
{
	const char *pin_file = NULL, *so_pin_file = NULL, *operand;
	bool recovery = false;
	const struct option_row rows[] = {
		{ "--recovery", NULL, &recovery },
		{ "--pin-file", &pin_file, NULL },
		{ "--so-pin-file", &so_pin_file, NULL },
	};
	int r = tool_options(t, rows, NELEMS(rows), 1, 2);

	if (r != 0)
		return r;
	operand = t->argc > 2 ? t->argv[2] : NULL;
	if (strcmp(t->argv[1], "list") == 0)
		return seal_list(t);
	if (strcmp(t->argv[1], "add") == 0)
		return seal_add(t, operand, recovery, pin_file, so_pin_file);
	if (strcmp(t->argv[1], "remove") == 0)
		return seal_remove(t, operand);
	return tool_usage(t, "seal takes list, add or remove");
}
