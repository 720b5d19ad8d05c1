/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_OBJECT_H
#define TOKEN_OBJECT_H

#include <openssl/types.h>

#include "attest/birth.h"
#include "attest/permit.h"
#include "base/crypto.h"
#include "token/attrs.h"

/*
 * Objects: token objects (records of the store) and session objects (memory
 * only). An object is referenced by handle; handles are never reused in a
 * process and survive forks and denials. struct object is reference counted:
 * what a thread holds stays valid while another destroys it.
 */
struct token;
struct object;

CK_OBJECT_HANDLE object_handle(const struct object *o);
bool object_is_private(const struct object *o); /* CKA_PRIVATE */
bool object_is_token(const struct object *o);
CK_OBJECT_CLASS object_class(const struct object *o);
CK_KEY_TYPE object_key_type(const struct object *o);
void object_unrefp(struct object **o);
/* In the child, for who holds an object that the table may have lost. */
void object_after_fork(struct object *o);

/* Who asks: decides what is visible and writable. */
struct caller {
	CK_SESSION_HANDLE session;
	bool user;	  /* logged in as user (or admitted with login
			  "attestation"): private objects are visible */
	bool so;	  /* logged in as SO */
	bool writable;	  /* R/W session */
	uint64_t logouts; /* token_logouts(), before user was asked for */
	const struct permit *permit; /* NULL: unadmitted; private and secret
					keys are not visible at all */
};

/* How many logouts there were; for struct caller. */
uint64_t token_logouts(struct token *t);

/* CVM_E_NOT_FOUND: no such handle, or not visible to the caller. CVM_E_PERMIT:
 * not visible any more, since the caller's permit is over; so with all that
 * follows, and nothing was done then. */
int token_object(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, struct object **ret) _must_check_;
/* The same for who tells others: a store that cannot be read says why. */
int token_object_why(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, struct object **ret,
    struct why *reterr_why) _must_check_;

/* Handles of all visible objects that match (empty template: all).
 * CVM_E_PERMIT: some may be missing, since the caller's permit is over. */
int token_find(struct token *t, const struct caller *c,
    const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE **ret,
    size_t *ret_n, struct why *reterr_why) _must_check_;

/* PKCS#11 C_CreateObject, C_CopyObject, C_DestroyObject,
 * C_GetAttributeValue (CKR per attribute folded as the standard says: fills
 * ulValueLen CK_UNAVAILABLE_INFORMATION and returns the worst error; but on
 * CVM_E_PERMIT every ulValueLen is as it was),
 * C_SetAttributeValue, C_GetObjectSize. Rules: one table in attr_rules.c. */
int token_create(struct token *t, const struct caller *c,
    const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why) _must_check_;
/* Some at once: all of them, or none. ret has n handles. */
#define TOKEN_CREATE_MAX 3
struct token_template {
	const CK_ATTRIBUTE *attrs;
	CK_ULONG n;
};
int token_create_all(struct token *t, const struct caller *c,
    const struct token_template *v, size_t n, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why) _must_check_;
int token_copy(struct token *t, const struct caller *c, CK_OBJECT_HANDLE from,
    const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why) _must_check_;
int token_destroy(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, struct why *reterr_why) _must_check_;
int token_get_attributes(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *templ, CK_ULONG n) _must_check_;
int token_set_attributes(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *templ, CK_ULONG n,
    struct why *reterr_why) _must_check_;
int token_object_size(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, CK_ULONG *ret) _must_check_;

/* C_GenerateKeyPair, C_GenerateKey. */
int token_generate_pair(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, const CK_ATTRIBUTE *pub, CK_ULONG n_pub,
    const CK_ATTRIBUTE *priv, CK_ULONG n_priv, CK_OBJECT_HANDLE *ret_pub,
    CK_OBJECT_HANDLE *ret_priv, struct why *reterr_why) _must_check_;
int token_generate_key(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE *ret, struct why *reterr_why) _must_check_;

/* A session object belongs to its session and dies with it. */
void token_session_closed(struct token *t, CK_SESSION_HANDLE session);

/* H(SubjectPublicKeyInfo) of an asymmetric key, H(object id) of a secret
 * one: the fingerprint in operation leaves and bundles. */
int object_fingerprint(const struct object *o,
    uint8_t out[static SHA256_LEN]) _must_check_;

/* What the store says of a private or secret key; the serial is the token's.
 * CVM_E_KEY_TYPE for other objects. */
int object_birth(const struct object *o, struct birth *ret) _must_check_;

/*
 * The usable key. Public: no permit. Private and secret: decrypted when first
 * used, cached until token_wipe(), never without a valid permit (checked
 * here, at the last place before key material).
 */
int object_public_key(struct object *o, EVP_PKEY **ret) _must_check_;
int object_private_key(struct token *t, struct object *o,
    const struct permit *p, EVP_PKEY **ret,
    struct why *reterr_why) _must_check_;
int object_secret_value(struct token *t, struct object *o,
    const struct permit *p, struct secret **ret,
    struct why *reterr_why) _must_check_;

#endif
