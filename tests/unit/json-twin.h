/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_JSON_TWIN_H
#define TESTS_UNIT_JSON_TWIN_H

#include <cjson/cJSON.h>
#include <string.h>

#include "conf/json.h"

/* Whether a value says what cJSON read from the same text at the same place,
 * with everything in it. */
static inline bool
json_twin_same(const struct json *a, const cJSON *b)
{
	const struct json *child = a->child;
	const cJSON *twin = b->child;

	if ((a->name == NULL) != (b->string == NULL) ||
	    (a->name != NULL && strcmp(a->name, b->string) != 0))
		return false;
	if (json_is_string(a) != cJSON_IsString(b) ||
	    json_is_number(a) != cJSON_IsNumber(b) ||
	    json_is_bool(a) != cJSON_IsBool(b) ||
	    json_is_true(a) != cJSON_IsTrue(b) ||
	    json_is_array(a) != cJSON_IsArray(b) ||
	    json_is_object(a) != cJSON_IsObject(b) ||
	    (a->kind == JSON_NULL) != cJSON_IsNull(b))
		return false;
	if (json_is_string(a) != (a->text != NULL) ||
	    (a->text != NULL && strcmp(a->text, b->valuestring) != 0))
		return false;
	if (json_is_number(a) && (double)a->number != b->valuedouble)
		return false;
	if (a->n != (size_t)cJSON_GetArraySize(b))
		return false;
	for (; child != NULL && twin != NULL;
	     child = child->next, twin = twin->next)
		if (child->parent != a || !json_twin_same(child, twin))
			return false;
	return child == NULL && twin == NULL;
}

#endif
