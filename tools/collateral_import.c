/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/collateral.h"
#include "tools/collateral_judge.h"
#include "tools/collateral_sort.h"
#include "tools/evidence_files.h"
#include "tools/text.h"

/* All files that are named, before anything is written. */
static int
sort_all(const struct tool *t, struct endorsements *e, struct why *why)
{
	int r = CVM_OK;

	for (size_t i = 0; i < t->n_operands && r == CVM_OK; i++) {
		_cleanup_(blob_clear) struct blob data = { 0 };

		r = evidence_file(t->operand[i], COLLATERAL_FILE_MAX, &data,
		    why);
		if (r == CVM_OK)
			r = collateral_sort(blob_span(&data), t->operand[i], e,
			    why);
	}
	return r;
}

static int
report(const struct tool *t, const char *dir, const struct endorsements *e)
{
	bool json = t->opt[OPT_JSON] != NULL;
	cJSON *root = json ? cJSON_CreateObject() : NULL;
	cJSON *list = json ? cJSON_AddArrayToObject(root, "files") : NULL;
	const char *name;

	for (size_t i = 0; (name = endorsements_name(e, i)) != NULL; i++) {
		if (json)
			(void)cJSON_AddItemToArray(list,
			    cJSON_CreateString(name));
		else
			(void)printf("%s/%s\n", dir, name);
	}
	if (!json)
		return print_end();
	(void)cJSON_AddStringToObject(root, "directory", dir);
	return print_json(root);
}

struct import {
	struct tool_context c;
	struct policy *policy[CONFIG_TOKENS_MAX]; /* one of which must agree */
	size_t n;
	struct endorsements *fresh, *old;
	const char *dir;
	struct collateral_dir d;
	int64_t now;
};

static void
import_clear(struct import *m)
{
	for (size_t i = 0; i < m->n; i++)
		policy_freep(&m->policy[i]);
	endorsements_freep(&m->fresh);
	endorsements_freep(&m->old);
	collateral_dir_close(&m->d);
	tool_close(&m->c);
}

/* The policy that is given, or those of all tokens; without any, the vendors'
 * own roots count. */
static int
load_policies(const struct tool *t, struct import *m, struct why *why)
{
	const struct config *cfg = m->c.cfg;
	const char *given = t->opt[OPT_POLICY];
	int r;

	if (given != NULL) {
		if ((r = policy_load_named(given, &m->policy[0], why)) ==
		    CVM_OK)
			m->n = 1;
		return r;
	}
	for (size_t i = 0; cfg != NULL && i < cfg->n_tokens; i++) {
		r = policy_load(cfg->tokens[i].policy, &m->policy[m->n], why);
		if (r == CVM_OK)
			m->n++;
		else if (r != CVM_E_NOT_FOUND)
			return r;
	}
	memset(why, 0, sizeof(*why));
	return CVM_OK;
}

/* By the policy that likes it best; the first one's reason. */
static int
judge(const struct tool *t, struct import *m, struct why *why)
{
	struct collateral_case c = { .fresh = m->fresh,
		.now = m->now,
		.older = t->opt[OPT_OLDER] != NULL };
	struct why other = { 0 };
	int r;

	endorsements_freep(&m->old);
	if ((r = endorsements_load(m->dir, &m->old, why)) != CVM_OK)
		return r;
	c.old = m->old;
	c.policy = m->n > 0 ? m->policy[0] : NULL;
	r = collateral_judge(&c, why);
	for (size_t i = 1; r != CVM_OK && i < m->n; i++) {
		c.policy = m->policy[i];
		r = collateral_judge(&c, &other);
	}
	return r == CVM_OK ? r : why->err;
}

static int
prepare(struct tool *t, struct import *m)
{
	const char *when = t->opt[OPT_TIME];
	struct why why = { 0 };
	int r;

	m->d.fd = -1;
	m->now = (int64_t)time(NULL);
	if (when != NULL && time_parse(when, &m->now) != CVM_OK)
		return tool_usage(t,
		    "--time: as 2026-01-31T12:00:00Z, or seconds since 1970");
	if ((m->fresh = endorsements_new()) == NULL)
		return tool_fail(CVM_E_NOMEM, NULL);
	m->dir = t->opt[OPT_COLLATERAL];
	if (m->dir == NULL) {
		if ((r = tool_config_all(t, &m->c)) != 0)
			return r;
		m->dir = m->c.cfg->evidence.collateral;
	}
	r = load_policies(t, m, &why);
	return r == CVM_OK ? 0 : tool_fail(r, &why);
}

int
cmd_collateral_import(struct tool *t)
{
	_cleanup_(import_clear) struct import m = { .n = 0 };
	struct why why = { 0 };
	int r;

	if ((r = prepare(t, &m)) != 0)
		return r;
	/* Before there is a directory, and again once nobody else can change
	 * what is in it. */
	if ((r = sort_all(t, m.fresh, &why)) != CVM_OK ||
	    (r = judge(t, &m, &why)) != CVM_OK ||
	    (r = collateral_dir_open(m.dir, &m.d, &why)) != CVM_OK ||
	    (r = judge(t, &m, &why)) != CVM_OK ||
	    (r = collateral_install(&m.d, m.fresh, &why)) != CVM_OK)
		return tool_fail(r, &why);
	return report(t, m.dir, m.fresh);
}
