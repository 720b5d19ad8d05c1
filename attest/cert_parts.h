/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CERT_PARTS_H
#define ATTEST_CERT_PARTS_H

#include "attest/cert.h"

/* What certificates and CRLs have in common, for their readers alone. */

/* Contents of the OIDs of extensions, id-ce (2.5.29). */
#define ID_CE(arc)                                                             \
	{                                                                      \
		0x55, 0x1d, arc                                                \
	}
#define ID_CE_LEN 3
bool oid_is_ce(struct span oid, uint8_t arc);
enum {
	CE_SUBJECT_KEY_ID = 14,
	CE_KEY_USAGE = 15,
	CE_SUBJECT_ALT_NAME = 17,
	CE_BASIC_CONSTRAINTS = 19,
	CE_CRL_NUMBER = 20,
	CE_DELTA_CRL = 27,
	CE_ISSUING_POINT = 28,
	CE_NAME_CONSTRAINTS = 30,
	CE_CRL_POINTS = 31,
	CE_POLICIES = 32,
	CE_AUTHORITY_KEY_ID = 35,
	CE_POLICY_CONSTRAINTS = 36,
	CE_EXT_KEY_USAGE = 37,
};

/* The OID of an AlgorithmIdentifier, and a reader of its parameters: none,
 * NULL, an OID or a SEQUENCE. */
struct span cert_algorithm_open(struct reader *r, struct reader *ret_params);
/* The same of a signature; one that is not known is SIG_UNKNOWN. */
struct cert_alg cert_alg_read(struct reader *r);
/* The next of a list of extensions. */
struct cert_extension cert_extension_read(struct reader *list);
/* The contents of authorityKeyIdentifier. */
struct cert_authority cert_authority_read(struct reader *r);
/*
 * The three parts of what is signed (RFC 5280 sections 4.1.1, 5.1.1); the
 * contents of the first are returned. padded as for cert_from_der(); *ret_len
 * is the length without padding.
 */
struct reader cert_open(struct span der, bool padded, struct span *ret_tbs,
    struct cert_alg *ret_alg, struct span *ret_signature, size_t *ret_len);

/*
 * PEM (attest/pem.c): the bytes of the next block from *at on, which must have
 * this label; *at moves behind it. CVM_E_NOT_FOUND where there is no further
 * block. pem_end() tells that there is none of any label.
 */
#define PEM_BYTES_MAX (2 * 8 * CERT_BYTES_MAX)
int pem_next(struct span s, const char *label, size_t *at,
    struct blob *ret) _must_check_;
int pem_end(struct span s, size_t at) _must_check_;

#endif
