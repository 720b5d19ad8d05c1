/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/text.h"
#include "tools/tool.h"

#define COLUMNS 100 /* of a row that is no failure */

/* What passed fits one line; what failed is said in full. */
static void
print_row(FILE *out, const struct verdict *v, enum check_id id)
{
	const struct check_info *c = &check_table[id];
	const struct check_result *r = &v->results[id];
	char row[2 * CHECK_VALUE_MAX];

	(void)snprintf(row, sizeof(row), "  %-8s %-8s %s%s%s", c->name,
	    check_status_name(r->status), c->title,
	    r->status != CHECK_FAIL && r->got[0] != '\0' ? ": " : "",
	    r->status != CHECK_FAIL ? r->got : "");
	if (r->status != CHECK_FAIL)
		text_cut(row, COLUMNS);
	(void)fprintf(out, "%s\n", row);
	if (r->status != CHECK_FAIL)
		return;
	(void)fprintf(out, "%20sexpected  %s\n%20sfound     %s\n", "",
	    r->expected, "", r->got);
	if (c->field[0] != '\0')
		(void)fprintf(out, "%20sfield     %s\n", "", c->field);
}

void
print_checks(FILE *out, const struct verdict *v, bool all)
{
	unsigned not_run = 0;

	for (enum check_id id = 0; id < CHECK_COUNT; id++) {
		enum check_status s = v->results[id].status;

		not_run += s == CHECK_NOT_RUN;
		if (s == CHECK_FAIL ||
		    (all && s != CHECK_NOT_APPLICABLE && s != CHECK_NOT_RUN))
			print_row(out, v, id);
	}
	if (not_run > 0)
		(void)fprintf(out, "  %u checks were not reached\n", not_run);
}

void
print_verdict(FILE *out, const struct verdict *v, bool all)
{
	char sentence[VERDICT_SENTENCE_MAX];
	struct why why = { 0 };

	print_checks(out, v, all);
	(void)fprintf(out, "%s\n",
	    verdict_sentence(v, sentence, sizeof(sentence)));
	if (!v->admit && verdict_why(v, &why) != CVM_OK && why.hint[0] != '\0')
		(void)fprintf(out, "  try: %s\n", why.hint);
}

/* The results as programs see them: words that do not change. */
static const char *const results[] = {
	[CHECK_NOT_RUN] = "not-reached",
	[CHECK_PASS] = "pass",
	[CHECK_FAIL] = "fail",
	[CHECK_SKIPPED] = "skipped",
};

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

		if (r->status == CHECK_NOT_APPLICABLE)
			continue;
		o = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(o, "id", check_table[id].name);
		(void)cJSON_AddStringToObject(o, "title",
		    check_table[id].title);
		(void)cJSON_AddStringToObject(o, "result", results[r->status]);
		(void)cJSON_AddStringToObject(o, "field",
		    check_table[id].field);
		(void)cJSON_AddStringToObject(o, "expected", r->expected);
		(void)cJSON_AddStringToObject(o, "got", r->got);
		(void)cJSON_AddItemToArray(list, o);
	}
	return root;
}

void
json_why(cJSON *root, const char *name, const struct why *why)
{
	cJSON *o;

	if (why->err == CVM_OK)
		return;
	o = cJSON_AddObjectToObject(root, name);
	(void)cJSON_AddStringToObject(o, "error", cvm_strerror(why->err));
	(void)cJSON_AddStringToObject(o, "where", why->where);
	(void)cJSON_AddStringToObject(o, "field", why->field);
	(void)cJSON_AddStringToObject(o, "expected", why->expected);
	(void)cJSON_AddStringToObject(o, "got", why->got);
	(void)cJSON_AddStringToObject(o, "hint", why->hint);
}

/* JSON is UTF-8, and escapes control characters itself. */
void
json_text(cJSON *o, const char *name, const char *s)
{
	(void)cJSON_AddStringToObject(o, name, text_is_utf8(s) ? s : PLAIN(s));
}

/* An error of an earlier write has left no errno of its own. */
int
print_end(void)
{
	int err = fflush(stdout) == 0 ? 0 : errno;

	if (err == 0 && !ferror(stdout))
		return EXIT_OK;
	(void)fprintf(stderr, "cvm-token: standard output: %s\n",
	    err != 0 ? strerror(err) : "not all of it could be written");
	return EXIT_TROUBLE;
}

static bool json_lost;

static void *
json_malloc(size_t len)
{
	void *p = malloc(len);

	json_lost |= p == NULL;
	return p;
}

void
json_watch(void)
{
	cJSON_Hooks hooks = { json_malloc, free };

	cJSON_InitHooks(&hooks);
}

char *
json_print(const cJSON *root)
{
	_cleanup_(freep) char *text = root != NULL ? cJSON_Print(root) : NULL;

	return json_lost ? NULL : TAKE_PTR(text);
}

int
print_json(cJSON *root)
{
	_cleanup_(freep) char *text = json_print(root);

	cJSON_Delete(root);
	if (text == NULL)
		return tool_fail(CVM_E_NOMEM, NULL);
	(void)puts(text);
	return print_end();
}
