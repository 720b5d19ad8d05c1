/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>

#include "token/attrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decodes is in order and encodes to the same bytes again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	_cleanup_(blob_clear) struct blob again = { 0 };
	struct why why = { 0 };
	int err = attrs_decode(span(data, size), &a, &why);

	if (err != CVM_OK) {
		if (a.n != 0 || why.err != err || why.expected[0] == '\0')
			abort();
		return 0;
	}
	for (size_t i = 0; i < a.n; i++)
		if (attrs_find(&a, a.v[i].type) != &a.v[i] ||
		    (i > 0 && a.v[i - 1].type >= a.v[i].type))
			abort();
	if (attrs_encode(&a, &again) != CVM_OK ||
	    !span_equal(blob_span(&again), span(data, size)))
		abort();
	return 0;
}
