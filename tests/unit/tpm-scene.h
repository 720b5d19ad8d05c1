/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_TPM_SCENE_H
#define TESTS_UNIT_TPM_SCENE_H

#include "attest/appraise.h"

/* One appraisal of TPM evidence: everything that it reads, and what it says. */
struct scene {
	struct policy policy;
	struct evidence evidence;
	struct endorsements *endorsements;
	struct appraisal appraisal;
	struct verdict verdict;
	struct appraisal_facts facts;
	struct blob pins[4];
	struct tpm_clock last;
};
/* A policy and endorsements that are empty but for one PCR set, "current". */
struct scene *scene_new(void);
void scene_freep(struct scene **s);
/* "2026-01-01T00:00:00Z" */
int64_t iso_seconds(const char *iso);
/* Appraises: was it admitted? */
bool scene_run(struct scene *s);
/* Prints the verdict. */
void scene_say(const struct scene *s);
/* Fails the test unless it is denied, and by this check first. */
void denied_by(struct scene *s, enum check_id id);
void admitted(struct scene *s);
enum check_status scene_status(const struct scene *s, enum check_id id);
/* The policy takes the values of the evidence, over mask. */
void accept_values(struct scene *s, uint32_t mask);
/* The policy pins whatever key is in the evidence. */
void pin_name(struct scene *s);

#endif
