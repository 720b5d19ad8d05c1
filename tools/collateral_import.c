/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>

#include "tools/collateral.h"
#include "tools/collateral_sort.h"
#include "tools/evidence_files.h"

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

int
cmd_collateral_import(struct tool *t)
{
	_cleanup_(
	    endorsements_freep) struct endorsements *e = endorsements_new();
	_cleanup_(tool_close) struct tool_context c = { 0 };
	const char *dir = t->opt[OPT_COLLATERAL];
	struct collateral_dir d = { .fd = -1 };
	struct why why = { 0 };
	int r;

	if (e == NULL)
		return tool_fail(CVM_E_NOMEM, NULL);
	if (dir == NULL) {
		if ((r = tool_config_all(t, &c)) != 0)
			return r;
		dir = c.cfg->evidence.collateral;
	}
	if ((r = sort_all(t, e, &why)) != CVM_OK ||
	    (r = collateral_dir_open(dir, &d, &why)) != CVM_OK)
		return tool_fail(r, &why);
	r = collateral_install(&d, e, &why);
	collateral_dir_close(&d);
	return r != CVM_OK ? tool_fail(r, &why) : report(t, dir, e);
}
