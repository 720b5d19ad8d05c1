/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_SVSM_MAKER_H
#define TESTS_UNIT_SVSM_MAKER_H

#include "tests/unit/snp-maker.h"

/* A guest below an SVSM, whose vTPM's endorsement key is in the report. */
#define EK_HEAD_LEN 26 /* of its TPMT_PUBLIC; the modulus follows */
#define EK_LEN (EK_HEAD_LEN + 256)

struct guest {
	struct snp_machine m;
	struct evidence e;
	struct endorsements *endorsements;
	struct appraisal a;
	struct verdict v;
	uint8_t manifest[EK_LEN + 1];
	size_t manifest_len;
	struct blob root, ek, ak;
	uint8_t ek_name[TPM_NAME_MAX], ak_name[TPM_NAME_MAX];
};

/* The guest and a policy that accepts it, to be spoiled before guest_build().
 */
struct guest *guest_new(void);
void guest_free(struct guest **g);
/* Makes evidence, endorsements and the appraisal that reads them. */
void guest_build(struct guest *g);

#endif
