/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/derive.h"
#include "tools/tool.h"

/* Errors that are an answer; all others leave the question open. */
static const int denials[] = {
	CVM_E_DENIED,
	CVM_E_SEALED,
	CVM_E_CORRUPT,
	CVM_E_EXISTS,
	CVM_E_PERMIT,
	CVM_E_PIN_INCORRECT,
	CVM_E_PIN_LOCKED,
	CVM_E_PIN_UNSET,
};

int
tool_fail(int err, const struct why *why)
{
	char sentence[WHY_SENTENCE_MAX];

	if (why != NULL && why->err != CVM_OK)
		(void)fprintf(stderr, "cvm-token: %s\n",
		    why_sentence(why, sentence, sizeof(sentence)));
	else
		(void)fprintf(stderr, "cvm-token: %s\n", cvm_strerror(err));
	for (size_t i = 0; i < NELEMS(denials); i++)
		if (err == denials[i])
			return EXIT_DENY;
	return EXIT_TROUBLE;
}

int
tool_usage(const struct tool *t, const char *complaint)
{
	(void)fprintf(stderr, "cvm-token: %s\n", complaint);
	if (t->command != NULL)
		options_usage(stderr, t->command);
	return EXIT_TROUBLE;
}

void
tool_note(const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "cvm-token: note: ");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "\n");
}

int
tool_policy(const char *given, const char *configured, struct policy **ret,
    struct why *why)
{
	return given != NULL ? policy_load_named(given, ret, why) :
			       policy_load(configured, ret, why);
}

/* As it was given: each link on the way is for config_load() to look at. */
static int
from_here(const char *given, char **ret)
{
	_cleanup_(freep) char *here = NULL;
	int n;

	if (given[0] == '/') {
		*ret = strdup(given);
		return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
	}
	here = get_current_dir_name();
	if (here == NULL)
		return errno == ENOMEM ? CVM_E_NOMEM : CVM_E_IO;
	n = asprintf(ret, "%s/%s", here, given);
	return n >= 0 ? CVM_OK : CVM_E_NOMEM;
}

static int
load_config(const struct tool *t, struct config **ret, struct why *why)
{
	_cleanup_(freep) char *path = NULL;
	const char *given = t->opt[OPT_CONFIG];
	int r = CVM_OK;

	if (given == NULL)
		r = config_locate(/* reserved= */ NULL, &path, why);
	else
		r = from_here(given, &path);
	if (r == CVM_OK)
		r = config_load(path, ret, why);
	if (r == CVM_E_NOT_FOUND && given == NULL)
		why_hint(why,
		    "begin with " CVM_DATADIR
		    "/examples/config.json, or name another: "
		    "--config FILE");
	return r;
}

/* The token of --token, or the only one. */
static int
find_token(const struct tool *t, struct tool_context *c, struct why *why)
{
	const char *name = t->opt[OPT_TOKEN];

	if (name != NULL)
		c->tcfg = config_find_token(c->cfg, name);
	else if (c->cfg->n_tokens == 1)
		c->tcfg = &c->cfg->tokens[0];
	if (c->tcfg != NULL)
		return CVM_OK;
	if (name != NULL)
		return why_set(why, CVM_E_NOT_FOUND, c->cfg->path, "$.tokens",
		    "a token of the name that --token gives", name);
	return why_setf(why, CVM_E_NOT_FOUND, c->cfg->path, "$.tokens",
	    "one token, or --token NAME", "%zu tokens", c->cfg->n_tokens);
}

static int
open_config(const struct tool *t, struct tool_context *c, bool one)
{
	struct why why = { 0 };
	int r;

	memset(c, 0, sizeof(*c));
	r = load_config(t, &c->cfg, &why);
	if (r == CVM_OK && (one || t->opt[OPT_TOKEN] != NULL))
		r = find_token(t, c, &why);
	if (r == CVM_OK)
		return 0;
	tool_close(c);
	return tool_fail(r, &why);
}

int
tool_config(const struct tool *t, struct tool_context *c)
{
	return open_config(t, c, /* one= */ true);
}

int
tool_config_all(const struct tool *t, struct tool_context *c)
{
	return open_config(t, c, /* one= */ false);
}

static int
make_gate(struct tool_context *c, struct why *why)
{
	int r;

	/* What is to be said is said here, on the terminal. */
	log_setup(LOG_TARGET_NONE, LOG_LEVEL_ERROR, NULL);
	if ((r = gate_new(c->cfg, c->tcfg, &c->gate)) != CVM_OK)
		return r;
	if (gate_token(c->gate) == NULL)
		return CVM_E_NOMEM;
	if (gate_policy(c->gate) != NULL)
		return CVM_OK;
	gate_trouble(c->gate, why);
	return why->err != CVM_OK ? why->err : CVM_E_CONFIG;
}

int
tool_open(const struct tool *t, struct tool_context *c)
{
	struct why why = { 0 };
	int r;

	if ((r = tool_config(t, c)) != 0)
		return r;
	if ((r = make_gate(c, &why)) == CVM_OK)
		return 0;
	tool_close(c);
	return tool_fail(r, &why);
}

int
tool_admit(const struct tool *t, struct tool_context *c)
{
	struct why why = { 0 };
	int r;

	if ((r = tool_open(t, c)) != 0)
		return r;
	if ((r = gate_open_session(c->gate, &c->session, &why)) == CVM_OK)
		return 0;
	tool_close(c);
	return tool_fail(r, &why);
}

void
tool_close(struct tool_context *c)
{
	gate_session_clear(&c->session);
	gate_freep(&c->gate);
	config_freep(&c->cfg);
	c->tcfg = NULL;
}

struct caller
tool_caller(const struct tool_context *c, bool user)
{
	return (struct caller){
		.user = user,
		.writable = true,
		.permit = &c->session.permit,
	};
}

void
tool_count_tries(const struct tool_context *c, struct why *why)
{
	struct token_info info = { 0 };

	token_get_info(gate_token(c->gate), &info);
	why_hint(why, "PIN tries left: user %u, SO %u", info.user_tries_left,
	    info.so_tries_left);
}

int
tool_login(struct tool_context *c, struct span pin, struct why *reterr_why)
{
	int r = token_login_user(gate_token(c->gate), &c->session.permit, pin,
	    gate_policy(c->gate), gate_vtpm(c->gate), reterr_why);

	if (r == CVM_E_PIN_INCORRECT)
		tool_count_tries(c, reterr_why);
	return r;
}

int
tool_appraise(const struct config *cfg, const struct policy *policy,
    struct admission *ret, struct why *reterr_why)
{
	_cleanup_(rounds_freep) struct rounds *rounds = NULL;
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	uint8_t rnd[32];
	int r;

	if ((r = rounds_new(cfg, policy, &rounds)) != CVM_OK ||
	    (r = random_bytes(rnd, sizeof(rnd))) != CVM_OK ||
	    (r = leaf_session("cvm-token", (uint64_t)getpid(), 0, rnd,
		 &leaf)) != CVM_OK)
		return r;
	return rounds_join(rounds, blob_span(&leaf), /* fresh= */ true, ret,
	    reterr_why);
}

struct span
tool_span(const struct secret *s)
{
	return s != NULL ? secret_span(s) : span(NULL, 0);
}
