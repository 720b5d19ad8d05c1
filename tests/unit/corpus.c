/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/corpus.h"

#define TEXT_MAX 65536

static void
malformed(const char *what, unsigned line)
{
	fprintf(stderr, "corpus, line %u: %s\n", line, what);
	exit(2);
}

char *
corpus_file(const char *name)
{
	char path[512], *text = calloc(1, TEXT_MAX);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", SOURCE_ROOT, name);
	f = fopen(path, "re");
	if (text == NULL || f == NULL ||
	    fread(text, 1, TEXT_MAX - 1, f) == TEXT_MAX - 1)
		malformed(path, 0);
	fclose(f);
	return text;
}

/* "<48*00>" becomes 48 times "00", "~" a blank. */
static char *
expand(const char *in)
{
	char *out = calloc(1, TEXT_MAX);
	size_t at = 0;

	while (*in != '\0' && at + 1 < TEXT_MAX) {
		char unit[32];
		unsigned times;
		int used = 0;

		if (sscanf(in, "<%u*%31[^>]>%n", &times, unit, &used) == 2 &&
		    used > 0) {
			if (at + times * strlen(unit) >= TEXT_MAX)
				malformed(in, 0);
			for (; times > 0; times--)
				at += (size_t)sprintf(out + at, "%s", unit);
			in += used;
			continue;
		}
		out[at++] = *in == '~' ? ' ' : *in;
		in++;
	}
	return out;
}

/* "a.0.b" as a refusal writes it, "$.a[0].b". */
static char *
field_of(const char *path)
{
	char *out = calloc(1, 2 * strlen(path) + 8), *copy = strdup(path);
	char *state = NULL;

	strcpy(out, "$");
	for (char *s = strtok_r(copy, ".", &state); s != NULL;
	     s = strtok_r(NULL, ".", &state))
		if (strcmp(s, "$") != 0)
			sprintf(out + strlen(out),
			    isdigit((unsigned char)s[0]) ? "[%s]" : ".%s", s);
	free(copy);
	return out;
}

static void
add_row(struct corpus *c, char *text, unsigned line)
{
	struct corpus_row *row = &c->rows[c->n_rows];
	char *state = NULL, *word[6] = { NULL };
	size_t n = 0;

	for (char *s = strtok_r(text, " \t", &state); s != NULL && n < 6;
	     s = strtok_r(NULL, " \t", &state))
		word[n++] = s;
	if (c->n_groups == 0 || c->n_rows == CORPUS_ROWS_MAX ||
	    (n != 4 && n != 6) || strchr("+-!", word[0][0]) == NULL ||
	    (n == 6 && strcmp(word[4], "=>") != 0))
		malformed("no row", line);
	*row = (struct corpus_row){
		.verdict = word[0][0],
		.example = strdup(word[1]),
		.path = strdup(word[2]),
		.value = strdup(word[3]),
		.field = n == 6 ? strdup(word[5]) : field_of(word[2]),
		.line = line,
	};
	c->n_rows++;
	c->groups[c->n_groups - 1].n++;
}

void
corpus_load(const char *name, struct corpus *c)
{
	char path[256], *text, *state = NULL;
	unsigned line = 0;

	memset(c, 0, sizeof(*c));
	snprintf(path, sizeof(path), "tests/unit/%s.corpus", name);
	text = corpus_file(path);
	for (char *s = text, *end; *s != '\0'; s = end) {
		end = s + strcspn(s, "\n");
		if (*end != '\0')
			*end++ = '\0';
		line++;
		if (*s == '#' || *s == '\0')
			continue;
		if (*s != '[') {
			add_row(c, s, line);
			continue;
		}
		if (c->n_groups == CORPUS_GROUPS_MAX)
			malformed("too many groups", line);
		c->groups[c->n_groups++] = (struct corpus_group){
			.name = strdup(strtok_r(s + 1, "]", &state)),
			.first = c->n_rows,
		};
	}
	free(text);
}

void
corpus_clear(struct corpus *c)
{
	for (size_t i = 0; i < c->n_rows; i++) {
		free(c->rows[i].example);
		free(c->rows[i].path);
		free(c->rows[i].value);
		free(c->rows[i].field);
	}
	for (size_t i = 0; i < c->n_groups; i++)
		free(c->groups[i].name);
}

static cJSON *
step(cJSON *at, const char *name)
{
	if (cJSON_IsArray(at))
		return cJSON_GetArrayItem(at, atoi(name));
	return cJSON_GetObjectItemCaseSensitive(at, name);
}

/* Puts value (NULL: nothing) where name is, or adds it. */
static void
change(cJSON *at, const char *name, cJSON *value)
{
	cJSON *old = step(at, name);

	if (old != NULL && value == NULL)
		cJSON_Delete(cJSON_DetachItemViaPointer(at, old));
	else if (old != NULL && cJSON_IsArray(at))
		cJSON_ReplaceItemViaPointer(at, old, value);
	else if (old != NULL)
		cJSON_ReplaceItemInObjectCaseSensitive(at, name, value);
	else if (cJSON_IsArray(at))
		cJSON_AddItemToArray(at, value);
	else
		cJSON_AddItemToObject(at, name, value);
}

char *
corpus_change(const char *example, const char *path, const char *value)
{
	char file[256], *text, *steps = strdup(path), *state = NULL, *name;
	char *json = expand(value);
	cJSON *root, *at, *item = cJSON_Parse(json);

	if (item == NULL && strcmp(json, "DELETE") != 0)
		malformed(json, 0);
	snprintf(file, sizeof(file), "conf/examples/%s.json", example);
	text = corpus_file(file);
	at = root = cJSON_Parse(text);
	free(text);
	name = strtok_r(steps, ".", &state);
	for (char *next; (next = strtok_r(NULL, ".", &state)) != NULL;
	     name = next)
		at = step(at, name);
	if (at == NULL)
		malformed(path, 0);
	if (strcmp(path, "$") == 0) {
		cJSON_Delete(root);
		root = item;
	} else {
		change(at, name, item);
	}
	text = cJSON_Print(root);
	cJSON_Delete(root);
	free(steps);
	free(json);
	return text;
}

char *
corpus_text(const struct corpus_row *row)
{
	return corpus_change(row->example, row->path, row->value);
}
