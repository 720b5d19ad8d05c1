/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "tools/text.h"
#include "tools/tool.h"

/* What a row says of itself; tpm.bank is valid when is_tpm. */
struct seal_text {
	char id[2 * STORE_ID_LEN + 1], created[TIME_TEXT_MAX];
	char pcrs[PCR_LIST_MAX], digest[2 * POLICY_DIGEST_LEN + 1];
	bool is_tpm;
	struct seal_tpm tpm;
	bool other_policy;
};

static void
describe(const struct store_seal *s, const struct policy *p,
    struct seal_text *out)
{
	memset(out, 0, sizeof(*out));
	(void)hex_encode(span(s->id, STORE_ID_LEN), out->id, sizeof(out->id));
	(void)time_text(s->created, out->created);
	out->is_tpm = s->kind == SEAL_TPM &&
	    seal_tpm_params(s, &out->tpm, NULL) == CVM_OK;
	if (!out->is_tpm)
		return;
	(void)pcr_list_text(out->tpm.set.mask, out->pcrs);
	(void)hex_encode(span(out->tpm.policy_digest, POLICY_DIGEST_LEN),
	    out->digest, sizeof(out->digest));
	out->other_policy = p != NULL &&
	    memcmp(p->digest, out->tpm.policy_digest, POLICY_DIGEST_LEN) != 0;
}

static cJSON *
json_seal(const struct store_seal *s, const struct policy *p)
{
	cJSON *o = cJSON_CreateObject();
	struct seal_text text;

	describe(s, p, &text);
	(void)cJSON_AddStringToObject(o, "id", text.id);
	(void)cJSON_AddStringToObject(o, "purpose",
	    seal_purpose_name(s->purpose));
	(void)cJSON_AddStringToObject(o, "kind", seal_kind_name(s->kind));
	json_text(o, "label", s->label);
	(void)cJSON_AddStringToObject(o, "created", text.created);
	if (!text.is_tpm)
		return o;
	(void)cJSON_AddBoolToObject(o, "pin", text.tpm.auth);
	(void)cJSON_AddStringToObject(o, "bank", bank_text(text.tpm.bank));
	(void)cJSON_AddStringToObject(o, "pcrs", text.pcrs);
	(void)cJSON_AddStringToObject(o, "policy_digest", text.digest);
	if (p != NULL)
		(void)cJSON_AddBoolToObject(o, "policy_is_current",
		    !text.other_policy);
	return o;
}

cJSON *
json_seals(const struct store_seals *seals, const struct policy *p)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < seals->n; i++)
		(void)cJSON_AddItemToArray(list, json_seal(&seals->v[i], p));
	return list;
}

void
print_seals(const struct store_seals *seals, const struct policy *p)
{
	struct seal_text text;

	for (size_t i = 0; i < seals->n; i++) {
		const struct store_seal *s = &seals->v[i];

		describe(s, p, &text);
		(void)printf("  %s  %-5s  %-8s  %s  %s%s%s\n", text.id,
		    seal_purpose_name(s->purpose), seal_kind_name(s->kind),
		    text.created, PLAIN(s->label), text.tpm.auth ? ", PIN" : "",
		    text.other_policy ? ", for ANOTHER policy: reseal" : "");
	}
}

int
cmd_seal_list(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(store_seals_clear) struct store_seals seals = { 0 };
	struct why why = { 0 };
	int r;

	if ((r = tool_open(t, &c)) != 0)
		return r;
	if ((r = token_seals(gate_token(c.gate), &seals, &why)) != CVM_OK)
		return tool_fail(r, &why);
	if (t->opt[OPT_JSON] != NULL)
		return print_json(json_seals(&seals, gate_policy(c.gate)));
	print_seals(&seals, gate_policy(c.gate));
	return print_end();
}

static const struct pcr_set *
find_set(const struct policy *p, const char *label)
{
	for (size_t i = 0; i < p->tpm.n_pcr_sets; i++)
		if (strcmp(p->tpm.pcr_sets[i].label, label) == 0)
			return &p->tpm.pcr_sets[i];
	return NULL;
}

/* A set has its seals once. */
static int
check_new(struct tool_context *c, const char *label, struct why *why)
{
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };
	int r = token_seals(gate_token(c->gate), &l, why);

	for (size_t i = 0; r == CVM_OK && i < l.n; i++)
		if (l.v[i].kind == SEAL_TPM && l.v[i].purpose == SEAL_TOKEN &&
		    strcmp(l.v[i].label, label) == 0)
			r = why_set(why, CVM_E_EXISTS, c->tcfg->store, "seals",
			    "no seal for that PCR set", label);
	return r;
}

struct add {
	struct secret *pin, *so_pin;
};

static void
add_clear(struct add *a)
{
	secret_freep(&a->pin);
	secret_freep(&a->so_pin);
}

/* The private key opens by the user's PIN, where there is one. */
static int
add_begin(struct tool *t, struct tool_context *c, struct add *a,
    struct why *why)
{
	const char *so_file = t->opt[OPT_SO_PIN_FILE];
	int r = tool_user_pin(t, c, /* set= */ false, &a->pin, why);

	if (r == CVM_OK && so_file != NULL)
		r = tool_pin(so_file, "SO PIN", /* set= */ false, &a->so_pin,
		    why);
	if (r == CVM_OK)
		r = gate_open_session(c->gate, &c->session, why);
	if (r == CVM_OK)
		r = tool_login(c, tool_span(a->pin), why);
	if (r == CVM_OK && a->so_pin != NULL)
		r = token_login_so(gate_token(c->gate), &c->session.permit,
		    secret_span(a->so_pin), gate_policy(c->gate),
		    gate_vtpm(c->gate), why);
	return r;
}

static int
add_set(struct tool *t, struct tool_context *c, const char *label,
    int *ret_status, struct why *why)
{
	_cleanup_(add_clear) struct add a = { 0 };
	const struct policy *p = gate_policy(c->gate);
	const struct pcr_set *set = find_set(p, label);
	cJSON *root;
	int r;

	if (set == NULL)
		return why_set(why, CVM_E_NOT_FOUND, p->path, "$.tpm.pcr_sets",
		    "a set of that label", label);
	if ((r = check_new(c, label, why)) != CVM_OK ||
	    (r = add_begin(t, c, &a, why)) != CVM_OK ||
	    (r = token_seal_add_set(gate_token(c->gate), &c->session.permit, p,
		 set, gate_vtpm(c->gate), tool_span(a.pin), tool_span(a.so_pin),
		 why)) != CVM_OK)
		return r;
	if (t->opt[OPT_JSON] == NULL) {
		(void)printf("sealed for PCR set \"%s\"%s\n", label,
		    a.so_pin != NULL ? ", for the SO too" : "");
		*ret_status = print_end();
		return CVM_OK;
	}
	root = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(root, "label", label);
	(void)cJSON_AddBoolToObject(root, "so", a.so_pin != NULL);
	*ret_status = print_json(root);
	return CVM_OK;
}

static int
add_recovery(struct tool *t, struct tool_context *c, int *ret_status,
    struct why *why)
{
	_cleanup_(add_clear) struct add a = { 0 };
	_cleanup_(secret_freep) struct secret *code = NULL;
	char text[RECOVERY_TEXT_MAX];
	cJSON *root;
	int r;

	if ((r = add_begin(t, c, &a, why)) != CVM_OK ||
	    (r = token_seal_add_recovery(gate_token(c->gate),
		 &c->session.permit, gate_policy(c->gate), &code, why)) !=
		CVM_OK ||
	    (r = recovery_encode(code, text, sizeof(text))) != CVM_OK)
		return r;
	if (t->opt[OPT_JSON] != NULL) {
		root = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(root, "recovery_code", text);
		*ret_status = print_json(root);
	} else {
		(void)printf("%s\n", text);
		*ret_status = print_end();
	}
	secret_wipe(text, sizeof(text));
	if (*ret_status != EXIT_OK)
		tool_note("the recovery seals are there, their code is lost: "
			  "cvm-token seal remove takes them away, cvm-token "
			  "seal add --recovery makes others");
	return CVM_OK;
}

int
cmd_seal_add(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	bool recovery = t->opt[OPT_RECOVERY] != NULL;
	const char *label = t->operand[0];
	struct why why = { 0 };
	int r, status = EXIT_TROUBLE;

	if ((label == NULL) != recovery)
		return tool_usage(t,
		    "either the label of a PCR set, or --recovery");
	if ((r = tool_open(t, &c)) != 0)
		return r;
	r = recovery ? add_recovery(t, &c, &status, &why) :
		       add_set(t, &c, label, &status, &why);
	return r == CVM_OK ? status : tool_fail(r, &why);
}

int
cmd_seal_remove(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	const char *hex = t->operand[0], *label = t->opt[OPT_SET];
	uint8_t id[STORE_ID_LEN] = { 0 };
	struct token *token;
	struct why why = { 0 };
	cJSON *root;
	size_t n = 1;
	int r;

	if ((hex == NULL) == (label == NULL))
		return tool_usage(t, "either the id of a seal, or --set LABEL");
	if (hex != NULL && hex_decode(hex, id, sizeof(id)) != CVM_OK)
		return tool_usage(t, "an id has 32 hexadecimal digits");
	if ((r = tool_admit(t, &c)) != 0)
		return r;
	token = gate_token(c.gate);
	r = label != NULL ?
	    token_seal_remove_set(token, &c.session.permit, label, &n, &why) :
	    token_seal_remove(token, &c.session.permit, id, &why);
	if (r != CVM_OK)
		return tool_fail(r, &why);
	if (t->opt[OPT_JSON] != NULL) {
		root = cJSON_CreateObject();
		(void)cJSON_AddNumberToObject(root, "removed", (double)n);
		return print_json(root);
	}
	(void)printf("removed %zu seal%s\n", n, n == 1 ? "" : "s");
	return print_end();
}
