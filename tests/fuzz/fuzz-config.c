/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>

#include "conf/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(config_freep) struct config *c = NULL;
	struct why why = { 0 };
	int err = config_parse(span(data, size), "fuzz.json", &c, &why);

	if (err != CVM_OK) {
		if (c != NULL || why.err != err || why.expected[0] == '\0')
			abort();
		return 0;
	}
	for (size_t i = 0; i < c->n_tokens; i++)
		if (config_find_token(c, c->tokens[i].name) != &c->tokens[i] ||
		    c->tokens[i].label == NULL || c->tokens[i].store == NULL ||
		    c->tokens[i].policy == NULL)
			abort();
	return 0;
}
