/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CVM_PKCS11_H
#define CVM_PKCS11_H

/*
 * What cvm-pkcs11 adds to PKCS#11, for applications; cvm-pkcs11(8). It stands
 * beside whichever header of the standard an application uses, and needs none
 * of its types. All of it travels through standard calls, and so over RPC too.
 */

/*
 * CKA_CVM_BIND_OPERATION, a CK_BBOOL (one byte) of private and secret keys.
 * CK_TRUE: every use of the key is an admission of its own, whose nonce covers
 * function, mechanism, parameter, key and input, even where the policy binds
 * by session. CK_FALSE: as the policy says. It may be given when a key is
 * created, generated, unwrapped, derived or copied, and set to CK_TRUE later;
 * never back (CKR_ATTRIBUTE_READ_ONLY), nor by a copy.
 */
#define CKA_CVM_BIND_OPERATION 0xc3564d01UL /* CKA_VENDOR_DEFINED | "CVM" 1 */

/*
 * CKA_CVM_ORIGIN, a CK_ULONG of private and secret keys, read-only: how the key
 * came to this token. A copy has that of its original. It is
 * CK_UNAVAILABLE_INFORMATION for keys that are older than this attribute.
 */
#define CKA_CVM_ORIGIN 0xc3564d02UL
#define CVM_ORIGIN_GENERATED 1UL
#define CVM_ORIGIN_IMPORTED 2UL
#define CVM_ORIGIN_UNWRAPPED 3UL
#define CVM_ORIGIN_DERIVED 4UL

/*
 * An admitted session has one session object of class CKO_DATA with this
 * CKA_LABEL (no terminating NUL). Its CKA_VALUE is the evidence bundle of the
 * session's last admission: JSON, not NUL-terminated, some ten kilobytes up to
 * a few megabytes. C_GetAttributeValue() copies into the caller's memory, as
 * always; it tells the length when pValue is NULL.
 */
#define CVM_ATTESTATION_LABEL "attestation"

/*
 * C_CreateObject() of a session object of class CKO_DATA with this
 * CKA_APPLICATION and a verifier's nonce as CKA_VALUE joins a round over that
 * nonce. The object's CKA_VALUE is then the bundle over it, whatever the
 * machine's own verdict. It belongs to the session, and goes with it or with
 * C_DestroyObject(). With a PKCS#11 URI as CKA_LABEL it also says how that
 * private or secret key was born.
 */
#define CVM_CHALLENGE_APPLICATION "cvm-pkcs11 challenge"
#define CVM_CHALLENGE_NONCE_MIN 8 /* bytes */
#define CVM_CHALLENGE_NONCE_MAX 64

#endif
