/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>
#include <stdlib.h>

#include "attest/instance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The extension of Google's AK certificates. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gce_instance g;

	if (gce_instance_parse(span(data, size), &g) != CVM_OK)
		return 0;
	/* What parses is small, and its texts are where they seem to be. */
	if (size > GCE_INSTANCE_MAX ||
	    g.zone.len + g.project_id.len + g.name.len + 12 > size)
		abort();
	return 0;
}
