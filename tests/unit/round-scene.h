/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_ROUND_SCENE_H
#define TESTS_UNIT_ROUND_SCENE_H

#include "attest/bundle.h"
#include "tests/unit/machine.h"

/* A virtual CVM with SEV-SNP and a vTPM, a configuration of its devices, and a
 * policy that admits it. */
struct round_scene {
	struct machine m;
	bool there; /* false: no virtual CVM, skip */
	struct config *cfg;
	struct policy *policy;
};

struct round_options {
	unsigned tee_max_age_s;
	unsigned retry_ms;   /* 0: 10 */
	unsigned timeout_ms; /* 0: 2000 */
	bool no_log;	     /* the policy has no "event_log" */
	bool no_ak_names;    /* of the attestation keys */
	bool with_boot_log;  /* PCR 5 and 14, too, which it explains */
};

/* words: more options of vcvm start. */
void round_scene_start(struct round_scene *s, const char *words);
void round_scene_stop(struct round_scene *s);
/* Reads both anew, as the machine is now. */
void round_scene_configure(struct round_scene *s,
    const struct round_options *o);
/* Of the virtual CVM: reports made so far, or commands of a TPM code. */
unsigned round_scene_count(const struct round_scene *s, const char *what);

/* Joins with a fresh random leaf. */
int round_scene_join(struct rounds *r, bool fresh, struct admission *ret,
    struct why *why);

#endif
