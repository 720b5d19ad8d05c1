/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_CHAIN_FAULTS_H
#define TESTS_UNIT_CHAIN_FAULTS_H

#include "attest/verdict.h"

/*
 * What can be wrong with a vendor's chain. Each vendor's test has a row for
 * each fault, and each certificate that can have it; the appraisal of a
 * machine that is good otherwise must deny by that row's check and no other,
 * in a sentence with that word.
 */
enum chain_fault {
	FAULT_EXPIRED,
	FAULT_NOT_YET_VALID,
	FAULT_ORDER,
	FAULT_KEY_USAGE,
	FAULT_OWN_ROOT,
	FAULT_LEAF_REVOKED,
	FAULT_CA_REVOKED,
	FAULT_NO_CRL,
	FAULT_STALE_CRL,
	FAULT_SHA1,
	FAULT_RSA_1024,
	FAULT_PATH_LENGTH,
	FAULT_NAME,
	N_CHAIN_FAULTS
};
extern const char *const chain_fault_names[N_CHAIN_FAULTS];

/* Fails the test unless v denies as the row says. */
void fault_denied(const struct verdict *v, enum chain_fault fault,
    enum check_id check, const char *word);
/* The same where other chains share the faulty part: by this check first. */
void fault_denied_first(const struct verdict *v, enum chain_fault fault,
    enum check_id check, const char *word);
/* Fails the test when a fault has no row: bit i of seen is fault i. */
void faults_complete(unsigned seen);

#endif
