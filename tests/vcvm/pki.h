/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_PKI_H
#define VCVM_PKI_H

#include "x509.h"

#define DAY 86400L

/*
 * The test vendors: keys and certificates by name, made when first asked for
 * and kept as NAME.key, NAME.pem and NAME.der. A name with the prefix
 * "foreign-" is the same entity of a vendor that nobody has pinned.
 */
struct pki;

struct pki_entity {
	EVP_PKEY *key;
	X509 *cert;
};

/* shared may be NULL; otherwise a directory from which machines copy. */
struct pki *pki_open(const char *dir, const char *shared);
void pki_freep(struct pki **pki);
/* Never fails; stays owned by pki. foreign takes the other vendor's. */
const struct pki_entity *pki_get(struct pki *pki, bool foreign,
    const char *name);

/* A certificate of this machine alone, made by the callback on first use. */
typedef void pki_make_fn(void *arg, bool foreign, struct pki_entity *ret);
const struct pki_entity *pki_own(struct pki *pki, bool foreign,
    const char *name, pki_make_fn *make, void *arg);

extern const struct rdn amd_dn[], intel_dn[], google_dn[];
/* The name with a last element CN; static storage per thread. */
const struct rdn *dn_with(const struct rdn *base, const char *cn);

#endif
