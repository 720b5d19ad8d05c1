/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "tools/platform.h"
#include "tools/tool.h"

struct status {
	struct tool_context c;
	struct platform_item items[PLATFORM_ITEMS_MAX];
	size_t n_items;
	struct token_info info;
	struct why trouble; /* of policy or store */
	bool asked;	    /* for evidence */
	struct admission admission;
	int result; /* of the appraisal and of opening the seals */
	struct why why;
	struct store_seals seals;
};

static void
status_clear(struct status *s)
{
	store_seals_clear(&s->seals);
	admission_clear(&s->admission);
	tool_close(&s->c);
}

/* A round of our own shows every check; opening the session then shows
 * whether the seals agree. */
static void
ask(struct status *s)
{
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	uint8_t rnd[32];

	s->asked = true;
	if ((s->result = random_bytes(rnd, sizeof(rnd))) != CVM_OK ||
	    (s->result = leaf_session(s->info.serial, (uint64_t)getpid(), 0,
		 rnd, &leaf)) != CVM_OK)
		return;
	s->result = rounds_join(gate_rounds(s->c.gate), blob_span(&leaf), true,
	    &s->admission, &s->why);
	if (s->result == CVM_OK && s->info.initialised)
		s->result = gate_open_session(s->c.gate, &s->c.session,
		    &s->why);
}

static void
gather(struct status *s, bool appraisal)
{
	const struct policy *p = gate_policy(s->c.gate);
	struct why ignored;

	gate_trouble(s->c.gate, &s->trouble);
	s->n_items = platform_items(s->c.cfg, p, s->items);
	token_get_info(gate_token(s->c.gate), &s->info);
	if (s->info.initialised &&
	    token_seals(gate_token(s->c.gate), &s->seals, &ignored) != CVM_OK)
		s->seals.n = 0;
	if (appraisal && p != NULL && gate_rounds(s->c.gate) != NULL)
		ask(s);
}

static void
print_platform(const struct status *s)
{
	(void)printf("machine     %s%s\n", platform_cpu(),
	    s->c.cfg->simulated ? "   *** SIMULATED evidence is accepted ***" :
				  "");
	for (size_t i = 0; i < s->n_items; i++) {
		const struct platform_item *it = &s->items[i];

		(void)printf("  %-14s %-9s %s\n", it->what,
		    it->accessible ? "ok" :
			it->needed ? "MISSING" :
				     "absent",
		    it->path);
		if (!it->accessible && it->needed)
			(void)printf("  %-24s %s\n  %-24s try: %s\n", "",
			    it->trouble, "", it->remedy);
	}
}

static void
print_token(const struct status *s)
{
	const struct policy *p = gate_policy(s->c.gate);
	const struct config_token *t = s->c.tcfg;

	(void)printf("token       %s: %s%s%s\n", t->name,
	    s->info.initialised ? "\"" : "not initialised (cvm-token init)",
	    s->info.label, s->info.initialised ? "\"" : "");
	if (s->info.initialised)
		(void)printf("  serial    %s, login by %s, user PIN tries left "
			     "%u, SO %u\n",
		    s->info.serial,
		    t->login == LOGIN_PIN ? "PIN" : "attestation",
		    s->info.user_tries_left, s->info.so_tries_left);
	(void)printf("  store     %s\n", t->store);
	if (p != NULL)
		(void)printf("policy      %s (\"%s\", tee %s, bind %s)\n",
		    p->path, p->name, tee_kind_name(p->tee),
		    p->bind == BIND_SESSION ? "session" : "operation");
}

static int
status_exit(const struct status *s)
{
	if (s->trouble.err != 0)
		return EXIT_TROUBLE;
	if (!s->asked || s->result == CVM_OK)
		return EXIT_OK;
	return s->result == CVM_E_DENIED || s->result == CVM_E_SEALED ?
	    EXIT_DENY :
	    EXIT_TROUBLE;
}

static void
print_status(const struct status *s)
{
	char sentence[WHY_SENTENCE_MAX];

	print_platform(s);
	print_token(s);
	if (s->trouble.err != 0)
		(void)printf("TROUBLE     %s\n",
		    why_sentence(&s->trouble, sentence, sizeof(sentence)));
	if (s->seals.n > 0) {
		(void)printf("seals\n");
		print_seals(&s->seals);
	}
	if (s->asked && s->admission.round != NULL) {
		(void)printf("appraisal\n");
		print_verdict(stdout, &s->admission.round->verdict, true);
	}
	if (s->asked && s->result != CVM_OK && s->result != CVM_E_DENIED)
		(void)printf("TROUBLE     %s\n",
		    why_sentence(&s->why, sentence, sizeof(sentence)));
}

static void
json_why(cJSON *root, const char *name, const struct why *why)
{
	cJSON *o;

	if (why->err == 0)
		return;
	o = cJSON_AddObjectToObject(root, name);
	(void)cJSON_AddStringToObject(o, "error", cvm_strerror(why->err));
	(void)cJSON_AddStringToObject(o, "where", why->where);
	(void)cJSON_AddStringToObject(o, "field", why->field);
	(void)cJSON_AddStringToObject(o, "expected", why->expected);
	(void)cJSON_AddStringToObject(o, "got", why->got);
	(void)cJSON_AddStringToObject(o, "hint", why->hint);
}

static void
json_devices(cJSON *root, const struct status *s)
{
	cJSON *list = cJSON_AddArrayToObject(root, "devices");

	for (size_t i = 0; i < s->n_items; i++) {
		const struct platform_item *it = &s->items[i];
		cJSON *o = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(o, "what", it->what);
		(void)cJSON_AddStringToObject(o, "path", it->path);
		(void)cJSON_AddBoolToObject(o, "needed", it->needed);
		(void)cJSON_AddBoolToObject(o, "present", it->present);
		(void)cJSON_AddBoolToObject(o, "accessible", it->accessible);
		(void)cJSON_AddStringToObject(o, "trouble", it->trouble);
		(void)cJSON_AddStringToObject(o, "remedy", it->remedy);
		(void)cJSON_AddItemToArray(list, o);
	}
}

static int
json_status(const struct status *s)
{
	cJSON *root = cJSON_CreateObject(), *token;

	(void)cJSON_AddStringToObject(root, "machine", platform_cpu());
	(void)cJSON_AddBoolToObject(root, "simulated", s->c.cfg->simulated);
	json_devices(root, s);
	token = cJSON_AddObjectToObject(root, "token");
	(void)cJSON_AddStringToObject(token, "name", s->c.tcfg->name);
	(void)cJSON_AddBoolToObject(token, "initialised", s->info.initialised);
	(void)cJSON_AddStringToObject(token, "label", s->info.label);
	(void)cJSON_AddStringToObject(token, "serial", s->info.serial);
	(void)cJSON_AddNumberToObject(token, "user_tries_left",
	    s->info.user_tries_left);
	(void)cJSON_AddNumberToObject(token, "so_tries_left",
	    s->info.so_tries_left);
	(void)cJSON_AddItemToObject(root, "seals", json_seals(&s->seals));
	if (s->admission.round != NULL)
		(void)cJSON_AddItemToObject(root, "appraisal",
		    json_verdict(&s->admission.round->verdict));
	json_why(root, "trouble", &s->trouble);
	if (s->asked && s->result != CVM_OK)
		json_why(root, "denial", &s->why);
	(void)print_json(root);
	return status_exit(s);
}

int
cmd_status(struct tool *t)
{
	_cleanup_(status_clear) struct status s = { 0 };
	bool quiet = false;
	const struct option_row rows[] = {
		{ "--no-appraisal", NULL, &quiet },
	};
	int r;

	if ((r = tool_options(t, rows, NELEMS(rows), 0, 0)) != 0 ||
	    (r = tool_config(t, &s.c)) != 0)
		return r;
	log_setup(LOG_TARGET_NONE, LOG_LEVEL_ERROR, NULL);
	if ((r = gate_new(s.c.cfg, s.c.tcfg, &s.c.gate)) != CVM_OK)
		return tool_fail(r, NULL);
	gather(&s, !quiet);
	if (t->json)
		return json_status(&s);
	print_status(&s);
	return status_exit(&s);
}
