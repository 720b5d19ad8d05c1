/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_VTPM_FIXTURE_H
#define TESTS_UNIT_VTPM_FIXTURE_H

#include "attest/vtpm_priv.h"
#include "tests/unit/swtpm.h"

/* What the tests of the TPM code share: each has a fresh swtpm. */

static const uint8_t nonce[32] = { 0xa5, 1, 2, 3 };
#define NONCE span(nonce, sizeof(nonce))
#define MASK 0x00004381u /* PCRs 0, 7, 8, 9, 14 */

/* cmocka fixtures; *state is a struct swtpm, or NULL without swtpm(8). */
int tpm_setup(void **state);
int tpm_teardown(void **state);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, tpm_setup, tpm_teardown)

/* The first line of each test: s is its TPM. */
#define TPM_OF(state)                                                          \
	struct swtpm *s = *(state);                                            \
	if (s == NULL)                                                         \
	skip()

struct config_tpm config_of(const char *tcti);
struct vtpm *connect_to(const char *tcti);
void say_why(const struct why *why);

struct quoted {
	struct blob quote, signature, public, name, cert;
	struct pcr_values pcrs;
};

void quoted_clear(struct quoted *q);
/* Takes a quote and verifies everything about it. */
int quote_with(struct vtpm *t, uint32_t mask, struct quoted *q,
    struct why *why);
/* TPM2_PCR_Extend, as another program would. */
void extend_pcr(struct vtpm *t, unsigned pcr);

struct sealing {
	struct pcr_set set;
	struct secret *data, *auth;
	struct blob blob;
};

/* Seals 32 bytes for the current values of MASK. */
void seal_now(struct vtpm *t, const char *auth, struct sealing *g);
void sealing_clear(struct sealing *g);
/* Unseals, and compares with what was sealed. */
int unseal(struct vtpm *t, const struct sealing *g, const char *auth,
    struct why *why);

#endif
