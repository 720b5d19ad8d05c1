/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/collateral.h"
#include "tools/text.h"

#define DAY INT64_C(86400)

static void
print_file(const struct collateral *c, const struct upkeep_file *f,
    const char *kind)
{
	enum collateral_state state = collateral_state(c, f);
	char issued[DAY_TEXT_MAX], expires[DAY_TEXT_MAX];
	char sentence[WHY_SENTENCE_MAX];
	struct why why = f->why;

	(void)printf("%-9s %s\n          %s%s%s\n", collateral_states[state],
	    f->name, kind, f->about[0] != '\0' ? ": " : "", f->about);
	if (f->expires != 0)
		(void)printf("          issued %s, expires %s (%" PRId64
			     " days)\n",
		    day_text(f->issued, issued), day_text(f->expires, expires),
		    (f->expires - c->now) / DAY);
	/* The file is named above, and the kind that was expected of it. */
	if (strcmp(why.where, f->name) == 0)
		why.where[0] = '\0';
	if (why.err != CVM_OK && strcmp(why.expected, kind) != 0)
		(void)printf("          %s\n",
		    why_sentence(&why, sentence, sizeof(sentence)));
}

static cJSON *
json_file(const struct collateral *c, const struct upkeep_file *f,
    const char *kind)
{
	cJSON *o = cJSON_CreateObject();
	char text[TIME_TEXT_MAX];

	(void)cJSON_AddStringToObject(o, "file", f->name);
	(void)cJSON_AddStringToObject(o, "kind", kind);
	(void)cJSON_AddStringToObject(o, "about", f->about);
	(void)cJSON_AddStringToObject(o, "state",
	    collateral_states[collateral_state(c, f)]);
	if (f->expires != 0) {
		(void)cJSON_AddStringToObject(o, "issued",
		    time_text(f->issued, text));
		(void)cJSON_AddStringToObject(o, "expires",
		    time_text(f->expires, text));
		(void)cJSON_AddNumberToObject(o, "days",
		    (double)((f->expires - c->now) / DAY));
	}
	json_why(o, "why", &f->why);
	return o;
}

static int
report(const struct collateral *c)
{
	bool json = c->t->opt[OPT_JSON] != NULL, good = true;
	cJSON *root = json ? cJSON_CreateObject() : NULL;
	cJSON *list = json ? cJSON_AddArrayToObject(root, "files") : NULL;
	int r;

	for (size_t i = 0; i < UPKEEP_COUNT; i++) {
		const struct upkeep_file *f = &c->upkeep.file[i];

		if (!f->wanted)
			continue;
		good = good && collateral_state(c, f) == COLLATERAL_OK;
		if (json)
			(void)cJSON_AddItemToArray(list,
			    json_file(c, f, upkeep_kinds[i]));
		else
			print_file(c, f, upkeep_kinds[i]);
	}
	if (json) {
		(void)cJSON_AddStringToObject(root, "directory", c->dir);
		(void)cJSON_AddBoolToObject(root, "ok", good);
		r = print_json(root);
	} else {
		(void)printf("%s: %s\n", c->dir,
		    c->none ?
			"the policy needs nothing of AMD, Intel or Google" :
			good ? "all that is needed is there, and current" :
			       "not all is there and current: cvm-token "
			       "collateral fetch, or import");
		r = print_end();
	}
	if (r != EXIT_OK)
		return r;
	return good ? EXIT_OK : EXIT_DENY;
}

static int
status_for_one(struct tool *t)
{
	_cleanup_(collateral_close) struct collateral c = { .dir = NULL };
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	struct why why = { 0 };
	int r = collateral_open(t, &c);

	if (r != 0)
		return r;
	if ((r = endorsements_load(c.dir, &e, &why)) < 0)
		return tool_fail(r, &why);
	if (!c.none)
		upkeep_judge(&c.upkeep, e, c.now);
	return report(&c);
}

int
cmd_collateral_status(struct tool *t)
{
	return collateral_each(t, status_for_one);
}
