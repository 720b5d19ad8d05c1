/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_PLATFORM_H
#define TOOLS_PLATFORM_H

#include "conf/config.h"
#include "conf/policy.h"

/* One device or file that evidence needs, and what is wrong with it. */
struct platform_item {
	const char *what; /* "vTPM" */
	char path[256];
	bool needed; /* by this policy */
	bool present, accessible;
	char trouble[160]; /* "" when all is well */
	char remedy[256];  /* the command that helps */
};
#define PLATFORM_ITEMS_MAX 8

/* Fills items; policy may be NULL (then everything is of interest). */
size_t platform_items(const struct config *cfg, const struct policy *policy,
    struct platform_item items[static PLATFORM_ITEMS_MAX]);

/* What the processor says of itself: "Intel TDX guest", "AMD SEV-SNP guest",
 * or "no confidential VM that this kernel reports". From CPUID. */
const char *platform_cpu(void);

#endif
