/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_PUBLIC_KEY_H
#define BASE_PUBLIC_KEY_H

#include "base/crypto.h"

/*
 * Public keys from their numbers, and the signatures that they verify. The
 * keys belong to the provider of the private context, whatever default the
 * host process set; they are freed with EVP_PKEY_free().
 */
enum ec_curve { EC_P256, EC_P384, EC_P521, EC_CURVES };

/* Bytes of a coordinate, 32, 48 or 66, and "P-256". */
size_t ec_curve_len(enum ec_curve curve);
const char *ec_curve_name(enum ec_curve curve);

void evp_pkey_freep(EVP_PKEY **key);

/*
 * An uncompressed point, 04 || x || y (SEC 1 section 2.3.3). CVM_E_DENIED
 * when it is not on the curve; these curves have no other subgroup (cofactor
 * 1), so nothing is left to check. CVM_E_PARSE for another form.
 */
int public_key_ec(enum ec_curve curve, struct span point,
    EVP_PKEY **ret) _must_check_;
/* Modulus and exponent, big-endian. */
int public_key_rsa(struct span n, struct span e, EVP_PKEY **ret) _must_check_;

/* How a signature was made. */
enum sig_scheme {
	SIG_UNKNOWN,
	SIG_RSA,	  /* RSASSA-PKCS1-v1_5 */
	SIG_PSS,	  /* MGF1 with the same hash, salt of its length */
	SIG_PSS_ANY_SALT, /* the same, salt of any length */
	SIG_ECDSA,
};

/*
 * A public key made ready to verify, since that takes as long as a tenth of a
 * signature on P-256. It belongs to one thread, and is counted without locks.
 * It holds a reference to the key, which verifier_key() lends.
 */
struct verifier;
int verifier_new(EVP_PKEY *key, struct verifier **ret) _must_check_;
struct verifier *verifier_ref(struct verifier *v);
void verifier_freep(struct verifier **v);
EVP_PKEY *verifier_key(const struct verifier *v);

/* Over message; an ECDSA signature is the DER of Ecdsa-Sig-Value. CVM_E_DENIED
 * when it does not verify, or the key is of another type. */
int verifier_check(struct verifier *v, enum sig_scheme scheme,
    enum hash_alg alg, struct span message, struct span signature) _must_check_;
/* ECDSA over digest: r, s big-endian, each of the size of the group's order;
 * range checked (FIPS 186-5 section 6.4.2). */
int verifier_check_raw(struct verifier *v, struct span rs,
    struct span digest) _must_check_;

#endif
