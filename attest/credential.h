/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CREDENTIAL_H
#define ATTEST_CREDENTIAL_H

#include "attest/quote.h"
#include "base/secret.h"

/*
 * TPM2_MakeCredential without a TPM (TPM 2.0 Library, Part 1, section 24): a
 * secret that only the TPM with the endorsement key ek opens, and only while
 * an object of the given Name is loaded in it. RSA endorsement keys with
 * AES-128-CFB and SHA-256, as the TCG's templates have them.
 */
#define CREDENTIAL_LEN 32

/* Is p such a key: restricted, for decryption, born in its TPM and bound to
 * it? */
bool endorsement_key_fits(const struct tpm_public *p);
/* *ret_id is a TPMS_ID_OBJECT, *ret_secret a TPMU_ENCRYPTED_SECRET. */
int credential_make(const struct tpm_public *ek, struct span name,
    const uint8_t credential[static CREDENTIAL_LEN], struct blob *ret_id,
    struct blob *ret_secret) _must_check_;

#endif
