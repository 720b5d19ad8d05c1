/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "tools/tool.h"

static void
warn(void *arg, const char *sentence)
{
	cJSON *list = arg;

	if (list != NULL)
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(sentence));
	else
		(void)printf("warning: %s\n", sentence);
}

static int
policy_check(const struct tool *t, const char *path)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	char digest[2 * POLICY_DIGEST_LEN + 1];
	cJSON *root = NULL, *list = NULL;
	struct why why = { 0 };
	size_t n;
	int r;

	if ((r = policy_load(path, &p, &why)) != CVM_OK) {
		(void)tool_fail(r, &why);
		return r == CVM_E_CONFIG ? EXIT_DENY : EXIT_TROUBLE;
	}
	(void)hex_encode(span(p->digest, sizeof(p->digest)), digest,
	    sizeof(digest));
	if (t->json) {
		root = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(root, "name", p->name);
		(void)cJSON_AddStringToObject(root, "digest", digest);
		list = cJSON_AddArrayToObject(root, "warnings");
	}
	n = policy_warnings(p, warn, list);
	if (t->json)
		return print_json(root);
	(void)printf("%s: policy \"%s\" is well-formed, digest %s, "
		     "%zu warning%s\n",
	    path, p->name, digest, n, n == 1 ? "" : "s");
	return EXIT_OK;
}

/* The configured policy's gate with another policy file in its place. */
static int
diff_verdict(struct tool_context *c, const char *path, struct policy **own,
    struct admission *a, struct why *why)
{
	_cleanup_(rounds_freep) struct rounds *rounds = NULL;
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	uint8_t rnd[32];
	int r;

	if ((r = policy_load(path != NULL ? path : c->tcfg->policy, own,
		 why)) != CVM_OK ||
	    (r = rounds_new(c->cfg, *own, &rounds)) != CVM_OK ||
	    (r = random_bytes(rnd, sizeof(rnd))) != CVM_OK ||
	    (r = leaf_session("policy diff", (uint64_t)getpid(), 0, rnd,
		 &leaf)) != CVM_OK)
		return r;
	return rounds_join(rounds, blob_span(&leaf), true, a, why);
}

static int
policy_diff(const struct tool *t, const char *path)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(policy_freep) struct policy *p = NULL;
	_cleanup_(admission_clear) struct admission a = { 0 };
	struct why why = { 0 };
	int r;

	if ((r = tool_config(t, &c)) != 0)
		return r;
	log_setup(LOG_TARGET_NONE, LOG_LEVEL_ERROR, NULL);
	r = diff_verdict(&c, path, &p, &a, &why);
	if (a.round == NULL)
		return tool_fail(r, &why);
	if (t->json)
		(void)print_json(json_verdict(&a.round->verdict));
	else
		print_verdict(stdout, &a.round->verdict, false);
	return a.round->verdict.admit ? EXIT_OK : EXIT_DENY;
}

int
cmd_policy(struct tool *t)
{
	const char *operand;
	int r = tool_options(t, NULL, 0, 1, 2);

	if (r != 0)
		return r;
	operand = t->argc > 2 ? t->argv[2] : NULL;
	if (strcmp(t->argv[1], "check") == 0 && operand != NULL)
		return policy_check(t, operand);
	if (strcmp(t->argv[1], "diff") == 0)
		return policy_diff(t, operand);
	return tool_usage(t, "policy takes check FILE or diff [FILE]");
}
