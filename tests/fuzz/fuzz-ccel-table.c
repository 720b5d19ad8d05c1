/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>

#include "attest/ccel_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Checksums are rarely right by chance: the same again with one that is. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	struct ccel_table t;

	if (blob_set(&b, span(data, size)) != CVM_OK)
		return 0;
	for (int pass = 0; pass < 2; pass++) {
		struct why why = { 0 };

		if (ccel_table_parse(blob_span(&b), &t, &why) != CVM_OK) {
			if (why.expected[0] == '\0')
				abort();
		} else if (size != CCEL_TABLE_LEN || t.type != 2 ||
		    t.size == 0 || t.address == 0 ||
		    ccel_table_check(blob_span(&b), 1, &why) != CVM_OK !=
			(t.size != 1)) {
			abort();
		}
		for (size_t i = 0; size > 9 && i < size; i++)
			b.data[9] = (uint8_t)(b.data[9] - b.data[i]);
	}
	return 0;
}
