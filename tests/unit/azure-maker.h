/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_AZURE_MAKER_H
#define TESTS_UNIT_AZURE_MAKER_H

#include "attest/hcl.h"
#include "tests/unit/snp-maker.h"

/*
 * A machine of Azure's: an SEV-SNP report over the runtime data of a
 * paravisor, which name the attestation key. A machine points into itself.
 */
#define HARDWARE_AT 0x20
#define RUNTIME_AT 0x4c0
#define JSON_AT 0x4d4
#define NV_LEN 2600

/* What the runtime data are made of; NULL leaves a member out. */
struct azure_plan {
	const char *keys; /* replaces the list of keys */
	const char *vm;	  /* replaces "vm-configuration" */
	const char *user_data;
	uint32_t type, alg, version;
	bool stale; /* REPORT_DATA is not of these runtime data */
	bool other_key, other_hardware;
	uint32_t exponent;
};

/* A machine of Azure's with everything that its appraisal reads. */
struct azure {
	struct azure_plan plan;
	struct snp_machine m;
	struct evidence e;
	struct endorsements *endorsements;
	struct appraisal a;
	struct verdict v;
	struct pcr_set set;
	char json[2048], user_data[2 * REPORT_DATA_LEN + 1];
	char id[40], *ids[1];
	struct blob root;
};

/* The machine and a policy that accepts it, to be spoiled before
 * azure_build(). */
struct azure *azure_new(void);
void azure_free(struct azure **z);
/* Makes evidence, endorsements and the appraisal that reads them. */
void azure_build(struct azure *z);
/* The index of NV memory, around a report that is signed by now. */
void azure_make_hcl(struct azure *z);

#endif
