/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/platform.h"
#include "tools/text.h"
#include "tools/tool.h"

struct status {
	struct tool_context c;
	struct platform_list devices;
	struct token_info info;
	struct why trouble; /* of policy or store */
	struct why store;   /* of the store: why it cannot be opened */
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
	s->asked = true;
	s->result = tool_appraise(s->c.cfg, gate_policy(s->c.gate),
	    &s->admission, &s->why);
	if (s->result == CVM_OK && s->info.initialised)
		s->result = gate_open_session(s->c.gate, &s->c.session,
		    &s->why);
}

static const char *
store_remedy(const struct why *why)
{
	static const struct {
		const char *field, *remedy;
	} of[] = {
		{ "file type",
		    "move away what is there, or name another \"store\"" },
		{ "mode", "chmod o-w it" },
		{ "owner", "chown it to root or to this user" },
	};

	for (size_t i = 0; i < NELEMS(of); i++)
		if (strcmp(why->field, of[i].field) == 0)
			return of[i].remedy;
	if (why->err == CVM_E_CORRUPT)
		return "put a backup in its place, or move it away and make "
		       "new keys: cvm-token init";
	return NULL;
}

/* A store that this user may not read is one more thing that is missing. */
static void
look_at_store(struct status *s, struct token *token)
{
	struct platform_item *it = &s->devices.v[s->devices.n - 1];
	struct why *why = &s->store;
	const char *remedy = NULL;

	token_trouble(token, why);
	if (why->err == CVM_OK)
		return;
	it->needed = it->trouble[0] != '\0';
	if (it->needed)
		remedy = it->remedy;
	else if (why->hint[0] == '\0')
		remedy = store_remedy(why);
	if (remedy != NULL)
		why_hint(why, "%s", remedy);
	/* The gate tells the policy's trouble first. */
	if (s->trouble.err == CVM_OK ||
	    strcmp(s->trouble.where, why->where) == 0)
		s->trouble = *why;
}

static void
gather(struct status *s, bool appraisal)
{
	const struct policy *p = gate_policy(s->c.gate);
	struct token *token = gate_token(s->c.gate);
	struct why ignored;

	gate_trouble(s->c.gate, &s->trouble);
	platform_look(s->c.cfg, s->c.tcfg, p, &s->devices);
	token_get_info(token, &s->info);
	look_at_store(s, token);
	if (s->info.initialised &&
	    token_seals(token, &s->seals, &ignored) != CVM_OK)
		s->seals.n = 0;
	if (appraisal && p != NULL)
		ask(s);
}

static const char *
device_state(const struct platform_item *it)
{
	if (it->accessible)
		return "ok";
	if (!it->needed)
		return it->present ? "no access" : "absent";
	return it->present ? "NO ACCESS" : "MISSING";
}

static void
print_devices(const struct status *s)
{
	(void)printf("machine     %s\n", platform_cpu());
	if (s->c.cfg->simulated)
		(void)printf("            *** SIMULATED evidence is accepted: "
			     "no protection ***\n");
	for (size_t i = 0; i < s->devices.n; i++) {
		const struct platform_item *it = &s->devices.v[i];

		(void)printf("  %-14s %-9s %s\n", it->what, device_state(it),
		    it->path);
		if (!it->accessible && it->needed)
			(void)printf("%26s %s\n%26s try: %s\n", "", it->trouble,
			    "", it->remedy);
	}
}

/* Known once the token was opened. */
static int64_t
newest_time(const struct status *s)
{
	return token_time_mark(gate_token(s->c.gate));
}

static void
print_newest_time(const struct status *s)
{
	int64_t newest = newest_time(s);
	char when[TIME_TEXT_MAX];

	if (newest == 0)
		return;
	(void)time_text(newest, when);
	(void)printf("  newest verified collateral: %s\n", when);
	if ((int64_t)time(NULL) < newest)
		(void)printf("  *** THE CLOCK IS BEHIND IT: certificates are "
			     "judged at that time ***\n");
}

static void
print_token(const struct status *s)
{
	const struct policy *p = gate_policy(s->c.gate);
	const struct config_token *t = s->c.tcfg;

	if (!s->info.initialised && s->store.err != CVM_OK)
		(void)
		    printf("token       %s: %s cannot be opened, see TROUBLE\n",
			t->name, t->store);
	else if (!s->info.initialised)
		(void)printf("token       %s: not initialised "
			     "(cvm-token init)\n",
		    t->name);
	else
		(void)printf("token       %s: \"%s\", serial %s, login by %s\n"
			     "  PIN tries left: user %u, SO %u\n",
		    t->name, PLAIN(s->info.label), PLAIN(s->info.serial),
		    t->login == LOGIN_PIN ? "PIN" : "attestation",
		    s->info.user_tries_left, s->info.so_tries_left);
	print_newest_time(s);
	if (p != NULL)
		(void)printf("policy      %s (\"%s\", tee %s, bind %s)\n",
		    p->path, p->name, tee_kind_name(p->tee),
		    p->bind == BIND_SESSION ? "session" : "operation");
}

static int
status_exit(const struct status *s)
{
	if (s->trouble.err != CVM_OK)
		return s->trouble.err == CVM_E_CORRUPT ? EXIT_DENY :
							 EXIT_TROUBLE;
	if (!s->asked || s->result == CVM_OK)
		return EXIT_OK;
	return s->result == CVM_E_DENIED || s->result == CVM_E_SEALED ||
		s->result == CVM_E_CORRUPT ?
	    EXIT_DENY :
	    EXIT_TROUBLE;
}

static void
print_trouble(const struct why *why)
{
	char sentence[WHY_SENTENCE_MAX];

	if (why->err != CVM_OK)
		(void)printf("TROUBLE     %s\n",
		    why_sentence(why, sentence, sizeof(sentence)));
}

static void
print_status(const struct status *s)
{
	print_devices(s);
	print_token(s);
	print_trouble(&s->trouble);
	if (strcmp(s->trouble.where, s->store.where) != 0)
		print_trouble(&s->store);
	if (s->seals.n > 0) {
		(void)printf("seals\n");
		print_seals(&s->seals, gate_policy(s->c.gate));
	}
	if (s->admission.round != NULL) {
		(void)printf("appraisal\n");
		print_verdict(stdout, &s->admission.round->verdict,
		    /* all= */ true);
	}
	/* A denial is in the verdict, unless it came with opening the token. */
	if (s->asked && s->result != CVM_OK &&
	    (s->result != CVM_E_DENIED || s->admission.round == NULL ||
		s->admission.round->verdict.admit))
		print_trouble(&s->why);
}

static void
json_devices(cJSON *root, const struct platform_list *l)
{
	cJSON *list = cJSON_AddArrayToObject(root, "devices");

	for (size_t i = 0; i < l->n; i++) {
		const struct platform_item *it = &l->v[i];
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

static void
json_token(cJSON *root, const struct status *s)
{
	cJSON *o = cJSON_AddObjectToObject(root, "token");
	int64_t newest = newest_time(s);

	(void)cJSON_AddStringToObject(o, "name", s->c.tcfg->name);
	(void)cJSON_AddStringToObject(o, "store", s->c.tcfg->store);
	(void)cJSON_AddStringToObject(o, "login",
	    s->c.tcfg->login == LOGIN_PIN ? "pin" : "attestation");
	(void)cJSON_AddBoolToObject(o, "initialised", s->info.initialised);
	json_text(o, "label", s->info.label);
	json_text(o, "serial", s->info.serial);
	(void)cJSON_AddNumberToObject(o, "newest_collateral_time",
	    (double)newest);
	(void)cJSON_AddBoolToObject(o, "user_pin_set", s->info.user_pin_set);
	(void)cJSON_AddNumberToObject(o, "user_tries_left",
	    s->info.user_tries_left);
	(void)cJSON_AddNumberToObject(o, "so_tries_left",
	    s->info.so_tries_left);
}

static void
json_policy(cJSON *root, const struct status *s)
{
	const struct policy *p = gate_policy(s->c.gate);
	cJSON *o = cJSON_AddObjectToObject(root, "policy");
	char digest[2 * POLICY_DIGEST_LEN + 1];

	(void)cJSON_AddStringToObject(o, "path", s->c.tcfg->policy);
	if (p == NULL)
		return;
	(void)cJSON_AddStringToObject(o, "name", p->name);
	(void)cJSON_AddStringToObject(o, "digest",
	    hex_encode(span(p->digest, sizeof(p->digest)), digest,
		sizeof(digest)));
	(void)cJSON_AddStringToObject(o, "tee", tee_kind_name(p->tee));
	(void)cJSON_AddStringToObject(o, "bind",
	    p->bind == BIND_SESSION ? "session" : "operation");
}

static int
json_status(const struct status *s)
{
	cJSON *root = cJSON_CreateObject();
	int status = status_exit(s), printed;

	(void)cJSON_AddStringToObject(root, "machine", platform_cpu());
	(void)cJSON_AddBoolToObject(root, "simulated", s->c.cfg->simulated);
	json_devices(root, &s->devices);
	json_token(root, s);
	json_policy(root, s);
	(void)cJSON_AddItemToObject(root, "seals",
	    json_seals(&s->seals, gate_policy(s->c.gate)));
	if (s->admission.round != NULL)
		(void)cJSON_AddItemToObject(root, "appraisal",
		    json_verdict(&s->admission.round->verdict));
	json_why(root, "trouble", &s->trouble);
	if (s->asked && s->result != CVM_OK)
		json_why(root, "denial", &s->why);
	(void)cJSON_AddNumberToObject(root, "exit_status", status);
	printed = print_json(root);
	return printed == EXIT_OK ? status : printed;
}

int
cmd_status(struct tool *t)
{
	_cleanup_(status_clear) struct status s = { 0 };
	int r;

	if ((r = tool_config(t, &s.c)) != 0)
		return r;
	log_setup(LOG_TARGET_NONE, LOG_LEVEL_ERROR, NULL);
	if ((r = gate_new(s.c.cfg, s.c.tcfg, &s.c.gate)) != CVM_OK)
		return tool_fail(r, NULL);
	if (gate_token(s.c.gate) == NULL)
		return tool_fail(CVM_E_NOMEM, NULL);
	gather(&s, t->opt[OPT_NO_APPRAISAL] == NULL);
	if (t->opt[OPT_JSON] != NULL)
		return json_status(&s);
	print_status(&s);
	r = print_end();
	return r == EXIT_OK ? status_exit(&s) : r;
}
