/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>

#include "conf/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted has a line and a path for every value. */
static void
visit(const struct json_doc *doc, const cJSON *item)
{
	char path[256];
	const cJSON *child;

	if (json_line(doc, item) == 0 ||
	    json_path(doc, item, path, sizeof(path))[0] != '$')
		abort();
	cJSON_ArrayForEach(child, item)
		visit(doc, child);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	struct why why = { 0 };
	int err = json_parse(span(data, size), "fuzz.json", &doc, &why);

	if (err == CVM_OK)
		visit(doc, json_root(doc));
	else if (doc != NULL || why.err != err || why.expected[0] == '\0')
		abort();
	return 0;
}
