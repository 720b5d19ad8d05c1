/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_VTPM_H
#define ATTEST_VTPM_H

#include "attest/evidence.h"
#include "conf/config.h"

/*
 * The TPM 2.0 of this machine through ESAPI. One connection, one user at a
 * time (an internal lock). Any TCTI or ESYS layer error throws the context
 * away and, when the command was idempotent, tries once more on a new one;
 * TPM_RC_RETRY/YIELDED/TESTING are retried within timeout_ms. After a fork the
 * child drops (closes, never flushes) what it inherited and connects anew.
 * Signals are blocked while a command is under way: a SIGHUP must not break
 * poll(2) inside the TCTI. No session outlives a call.
 * Errors: CVM_E_UNREACHABLE with the TCTI, errno and the group to join in why.
 */
struct vtpm;

/* Copies what it needs of cfg; sends nothing. NULL: out of memory. */
struct vtpm *vtpm_new(const struct config_tpm *cfg);
void vtpm_freep(struct vtpm **t);

/* The attestation key: TPMT_PUBLIC, TPM Name and certificate (empty if there
 * is none). Loaded when first asked, cached across reconnects as long as the
 * name stays the same. Copies are the caller's. */
int vtpm_ak(struct vtpm *t, struct blob *ret_public, struct blob *ret_name,
    struct blob *ret_cert, struct why *reterr_why) _must_check_;

/* True when what answers is no TPM of the kernel's, or may be none: a server, a
 * TCTI library, another file. Known after the first answer. */
bool vtpm_simulated(struct vtpm *t);

/* TPM2_Quote by the AK over PCRs mask of bank. *ret_pcrs are the values read
 * with it; re-read and re-quoted a bounded number of times until the quote's
 * pcrDigest is the digest of the values. */
int vtpm_quote(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span qualifying, struct blob *ret_quote, struct blob *ret_signature,
    struct pcr_values *ret_pcrs, struct why *reterr_why) _must_check_;

/* Proves that the AK, which has this name, is in the TPM whose endorsement key
 * has this TPMT_PUBLIC, by a credential that no other could open
 * (TPM2_ActivateCredential). CVM_E_DENIED: it is not, or not a key that can be
 * made again. */
int vtpm_activate(struct vtpm *t, struct span ek, struct span name,
    struct why *reterr_why) _must_check_;

int vtpm_read_pcrs(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct pcr_values *ret, struct why *reterr_why) _must_check_;

/* The bytes of an NV index; CVM_E_NOT_FOUND when it is not defined. */
int vtpm_nv_read(struct vtpm *t, uint32_t index, size_t max, struct blob *ret,
    struct why *reterr_why) _must_check_;

/* Writes the whole of an NV index, which is made for the owner, readable and
 * writable with empty auth, when it is not defined. */
int vtpm_nv_write(struct vtpm *t, uint32_t index, struct span data,
    struct why *reterr_why) _must_check_;

/*
 * Seals data (32..64 bytes) under the ECC storage root key of the owner
 * hierarchy (TCG provisioning template H-2, P-256), authPolicy = PolicyPCR over
 * set's values in bank, and PolicyAuthValue when auth is not NULL. noDA.
 * *ret_blob is a TPM2B_PUBLIC || TPM2B_PRIVATE.
 */
int vtpm_seal(struct vtpm *t, enum hash_alg bank, const struct pcr_set *set,
    const struct secret *data, const struct secret *auth, struct blob *ret_blob,
    struct why *reterr_why) _must_check_;
/* Unseals in a session salted to the storage root key with parameter
 * encryption. CVM_E_SEALED: PCRs differ, another TPM, or no such policy;
 * CVM_E_PIN_INCORRECT: the auth value is wrong; CVM_E_UNREACHABLE. */
int vtpm_unseal(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span sealed, const struct secret *auth, struct secret **ret,
    struct why *reterr_why) _must_check_;

#endif
