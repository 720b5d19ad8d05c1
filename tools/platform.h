/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_PLATFORM_H
#define TOOLS_PLATFORM_H

#include "conf/config.h"
#include "conf/policy.h"

#define PLATFORM_PATH_MAX 1024
#define PLATFORM_ITEMS_MAX 8

/* One device or file that evidence needs, and what is wrong with it. */
struct platform_item {
	const char *what; /* "vTPM" */
	char path[PLATFORM_PATH_MAX];
	bool needed; /* by this policy */
	bool present, accessible;
	char trouble[256]; /* "" when all is well */
	char remedy[256];  /* the command that helps */
};

/* What must be allowed to the caller, and what to do otherwise. */
struct platform_need {
	int mode; /* of access(2) */
	const char *missing, *no_access;
};

struct platform_list {
	struct platform_item v[PLATFORM_ITEMS_MAX];
	size_t n;
};

/* p may be NULL (then everything is of interest). */
void platform_look(const struct config *cfg, const struct config_token *tcfg,
    const struct policy *p, struct platform_list *ret);

/* What the processor says of itself: "Intel TDX guest", "AMD SEV-SNP capable
 * guest", or that it says nothing. From CPUID. */
const char *platform_cpu(void);

#endif
