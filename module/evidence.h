/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_EVIDENCE_H
#define MODULE_EVIDENCE_H

#include "module/call.h"

/*
 * Evidence through standard calls, so that it also passes p11-kit's RPC. Two
 * kinds of CKO_DATA session objects whose CKA_VALUE is a bundle (JSON, see
 * attest/PROTOCOL.md):
 * - CKA_LABEL "attestation": the last admission of the session. It is found
 *   by any search that names one of its attributes.
 * - CKA_APPLICATION "cvm-pkcs11 challenge": created by the application with a
 *   verifier's nonce as CKA_VALUE, which becomes evidence over that nonce,
 *   whatever the verdict of this machine's own policy. With a PKCS#11 URI as
 *   CKA_LABEL, it is over what the store says of that key, too.
 * They are visible in their session only, and live in none of the stores,
 * also where the template asks for a token object, as pkcs11-tool's does.
 */
#define EVIDENCE_HANDLE_BASE 0x40000000UL
#define EVIDENCE_OBJECTS_MAX 64 /* in a session */
#define KEY_URI_MAX 1024

struct evidence_object;

void evidence_objects_freep(struct evidence_object **list);
/* The object of that handle in the session, or NULL. Borrowed. */
struct evidence_object *evidence_find(struct session *s,
    CK_OBJECT_HANDLE handle);
/* Handles of those that match; at most EVIDENCE_OBJECTS_MAX. */
size_t evidence_search(struct call *c, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE ret[static EVIDENCE_OBJECTS_MAX]);
/* True when C_CreateObject's template asks for a challenge. */
bool evidence_is_challenge(const CK_ATTRIBUTE *templ, CK_ULONG n);
CK_RV evidence_challenge(struct call *c, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE *ret);
CK_RV evidence_get(const struct evidence_object *o, CK_ATTRIBUTE *templ,
    CK_ULONG n);
size_t evidence_size(const struct evidence_object *o);
void evidence_destroy(struct session *s, struct evidence_object *o);

#endif
