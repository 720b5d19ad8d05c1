/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>

#include "conf/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted has a line and a path for every value. */
static void
visit(const struct json *item)
{
	char path[256];
	const struct json *child;

	if (item->line == 0 || json_path(item, path, sizeof(path))[0] != '$')
		abort();
	JSON_EACH(child, item)
		visit(child);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	struct why why = { 0 };
	int err = json_parse(span(data, size), "fuzz.json", &doc, &why);

	if (err == CVM_OK)
		visit(json_root(doc));
	else if (doc != NULL || why.err != err || why.expected[0] == '\0')
		abort();
	return 0;
}
