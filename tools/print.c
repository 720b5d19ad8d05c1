/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "tools/tool.h"

static void
print_row(FILE *out, const struct verdict *v, enum check_id id)
{
	const struct check_info *c = &check_table[id];
	const struct check_result *r = &v->results[id];

	(void)fprintf(out, "  %-8s %-11s %s\n", c->name,
	    check_status_name(r->status), c->title);
	if (r->status == CHECK_FAIL)
		(void)fprintf(out, "%22sexpected %s\n%22sgot      %s%s%s%s\n",
		    "", r->expected, "", r->got,
		    c->field[0] ? "  (policy field " : "", c->field,
		    c->field[0] ? ")" : "");
	else if (r->got[0] != '\0')
		(void)fprintf(out, "%22s%s\n", "", r->got);
}

void
print_verdict(FILE *out, const struct verdict *v, bool all)
{
	char sentence[VERDICT_SENTENCE_MAX];

	for (enum check_id id = 0; id < CHECK_COUNT; id++) {
		enum check_status s = v->results[id].status;

		if (s == CHECK_NOT_APPLICABLE ||
		    (!all && s != CHECK_FAIL && s != CHECK_NOT_RUN))
			continue;
		print_row(out, v, id);
	}
	(void)fprintf(out, "%s\n",
	    verdict_sentence(v, sentence, sizeof(sentence)));
}

cJSON *
json_verdict(const struct verdict *v)
{
	char sentence[VERDICT_SENTENCE_MAX];
	cJSON *root = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(root, "checks");

	(void)cJSON_AddBoolToObject(root, "admit", v->admit);
	(void)cJSON_AddBoolToObject(root, "simulated", v->simulated);
	(void)cJSON_AddStringToObject(root, "sentence",
	    verdict_sentence(v, sentence, sizeof(sentence)));
	for (enum check_id id = 0; id < CHECK_COUNT; id++) {
		const struct check_result *r = &v->results[id];
		cJSON *o;

		if (r->status == CHECK_NOT_APPLICABLE ||
		    (o = cJSON_CreateObject()) == NULL)
			continue;
		(void)cJSON_AddStringToObject(o, "id", check_table[id].name);
		(void)cJSON_AddStringToObject(o, "title",
		    check_table[id].title);
		(void)cJSON_AddStringToObject(o, "result",
		    r->status == CHECK_FAIL ? "fail" :
					      check_status_name(r->status));
		(void)cJSON_AddStringToObject(o, "field",
		    check_table[id].field);
		(void)cJSON_AddStringToObject(o, "expected", r->expected);
		(void)cJSON_AddStringToObject(o, "got", r->got);
		(void)cJSON_AddItemToArray(list, o);
	}
	return root;
}

int
print_json(cJSON *root)
{
	_cleanup_(freep) char *text = root != NULL ? cJSON_Print(root) : NULL;

	cJSON_Delete(root);
	if (text == NULL)
		return EXIT_TROUBLE;
	(void)puts(text);
	return EXIT_OK;
}

void
hex_text(struct span s, char *out, size_t len)
{
	size_t fits = (len - 1) / 2;
	bool cut = s.len > fits;

	if (cut)
		s.len = fits > 2 ? fits - 2 : 0;
	(void)hex_encode(s, out, len);
	if (cut)
		(void)strcat(out, "...");
}
