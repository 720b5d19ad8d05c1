/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>
#include <string.h>

#include "tools/collateral_sort.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Names come from what is in a file; none may lead out of the directory. */
static void
check_name(const char *name)
{
	if ((strncmp(name, "amd/", 4) != 0 && strncmp(name, "intel/", 6) != 0 &&
		strncmp(name, "google/", 7) != 0) ||
	    strstr(name, "..") != NULL || strstr(name, "//") != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(
	    endorsements_freep) struct endorsements *e = endorsements_new();
	struct why why = { 0 };
	const char *name;
	int r;

	if (e == NULL)
		return 0;
	r = collateral_sort(span(data, size), "seed", e, &why);
	if (r != CVM_OK && r != CVM_E_NOMEM && why.expected[0] == '\0')
		abort(); /* a refusal that says nothing */
	if (r == CVM_OK && endorsements_name(e, 0) == NULL)
		abort();
	for (size_t i = 0; (name = endorsements_name(e, i)) != NULL; i++)
		check_name(name);
	/* What was taken once is the same file the second time. */
	if (r == CVM_OK &&
	    collateral_sort(span(data, size), "seed", e, &why) != CVM_OK)
		abort();
	return 0;
}
