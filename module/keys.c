/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "module/call.h"
#include "token/object_impl.h"

/*
 * Uses of keys that are no operation in progress. Each passes the gate with
 * what it is about: its mechanism, its key, its input.
 */
static CK_RV
allow(struct call *c, const char *function, const CK_MECHANISM *mech,
    const struct object *key, struct span input)
{
	struct permit p = { 0 };
	int err;

	/* There is no operation to log in for (CKU_CONTEXT_SPECIFIC). */
	if (key != NULL && object_bool(key, CKA_ALWAYS_AUTHENTICATE))
		return CKR_USER_NOT_LOGGED_IN;
	err = gate_key_use(c->slot->gate, &c->session->gate, function, mech,
	    key, input, &p, &c->why);
	call_use_permit(c, err == CVM_OK ? &p : NULL);
	return key != NULL ? rv_of_key(err) : rv_of(err);
}

static bool
bad_mechanism(const CK_MECHANISM *m)
{
	return m == NULL || (m->pParameter == NULL && m->ulParameterLen > 0);
}

/* Which handle was meant is for the caller to know. */
static CK_RV
rename_handle(CK_RV rv, CK_RV invalid)
{
	return rv == CKR_KEY_HANDLE_INVALID ? invalid : rv;
}

CK_RV
C_GenerateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulCount, CK_OBJECT_HANDLE_PTR phKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || phKey == NULL ||
	    !template_bounded(pTemplate, ulCount))
		return CKR_ARGUMENTS_BAD;
	rv = allow(&c, "C_GenerateKey", pMechanism, /* key= */ NULL,
	    span("", 0));
	if (rv == CKR_OK)
		rv = rv_of(token_generate_key(c.token, &c.caller, pMechanism,
		    pTemplate, ulCount, phKey, &c.why));
	return call_fail(&c, "C_GenerateKey", rv);
}

CK_RV
C_GenerateKeyPair(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_ATTRIBUTE_PTR pPublicKeyTemplate, CK_ULONG ulPublicKeyAttributeCount,
    CK_ATTRIBUTE_PTR pPrivateKeyTemplate, CK_ULONG ulPrivateKeyAttributeCount,
    CK_OBJECT_HANDLE_PTR phPublicKey, CK_OBJECT_HANDLE_PTR phPrivateKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || phPublicKey == NULL ||
	    phPrivateKey == NULL ||
	    !template_bounded(pPublicKeyTemplate, ulPublicKeyAttributeCount) ||
	    !template_bounded(pPrivateKeyTemplate, ulPrivateKeyAttributeCount))
		return CKR_ARGUMENTS_BAD;
	rv = allow(&c, "C_GenerateKeyPair", pMechanism, /* key= */ NULL,
	    span("", 0));
	if (rv == CKR_OK)
		rv = rv_of(token_generate_pair(c.token, &c.caller, pMechanism,
		    pPublicKeyTemplate, ulPublicKeyAttributeCount,
		    pPrivateKeyTemplate, ulPrivateKeyAttributeCount,
		    phPublicKey, phPrivateKey, &c.why));
	return call_fail(&c, "C_GenerateKeyPair", rv);
}

/* The input of wrapping is a key, which its fingerprint names. */
static CK_RV
allow_wrap(struct call *c, const CK_MECHANISM *mech, CK_OBJECT_HANDLE wrapping,
    CK_OBJECT_HANDLE key)
{
	_cleanup_(object_unrefp) struct object *w = NULL, *k = NULL;
	uint8_t fingerprint[SHA256_LEN];
	CK_RV rv = call_key(c, wrapping, &w);

	if (rv != CKR_OK)
		return rename_handle(rv, CKR_WRAPPING_KEY_HANDLE_INVALID);
	rv = call_key(c, key, &k);
	if (rv == CKR_OK && object_class(k) != CKO_PRIVATE_KEY &&
	    object_class(k) != CKO_SECRET_KEY)
		rv = CKR_KEY_NOT_WRAPPABLE;
	if (rv == CKR_OK)
		rv = rv_of(object_fingerprint(k, fingerprint));
	if (rv != CKR_OK)
		return rv;
	/* The key that leaves may want an admission of its own, too. */
	return allow(c, "C_WrapKey", mech,
	    object_bool(k, CKA_CVM_BIND_OPERATION) ? k : w,
	    span(fingerprint, sizeof(fingerprint)));
}

CK_RV
C_WrapKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hWrappingKey, CK_OBJECT_HANDLE hKey,
    CK_BYTE_PTR pWrappedKey, CK_ULONG_PTR pulWrappedKeyLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pulWrappedKeyLen == NULL)
		return CKR_ARGUMENTS_BAD;
	rv = allow_wrap(&c, pMechanism, hWrappingKey, hKey);
	if (rv == CKR_OK)
		rv = rv_of_key(token_wrap(c.token, &c.caller, pMechanism,
		    hWrappingKey, hKey, pWrappedKey, pulWrappedKeyLen, &c.why));
	return call_fail(&c, "C_WrapKey", rv);
}

CK_RV
C_UnwrapKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hUnwrappingKey, CK_BYTE_PTR pWrappedKey,
    CK_ULONG ulWrappedKeyLen, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulAttributeCount, CK_OBJECT_HANDLE_PTR phKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(object_unrefp) struct object *key = NULL;
	const struct span wrapped = span(pWrappedKey, ulWrappedKeyLen);
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pWrappedKey == NULL || phKey == NULL ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	rv = rename_handle(call_key(&c, hUnwrappingKey, &key),
	    CKR_UNWRAPPING_KEY_HANDLE_INVALID);
	if (rv == CKR_OK)
		rv = allow(&c, "C_UnwrapKey", pMechanism, key, wrapped);
	if (rv == CKR_OK)
		rv = rv_of_key(
		    token_unwrap(c.token, &c.caller, pMechanism, hUnwrappingKey,
			wrapped, pTemplate, ulAttributeCount, phKey, &c.why));
	return call_fail(&c, "C_UnwrapKey", rv);
}

CK_RV
C_DeriveKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hBaseKey, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulAttributeCount, CK_OBJECT_HANDLE_PTR phKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(object_unrefp) struct object *key = NULL;
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || phKey == NULL ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	rv = call_key(&c, hBaseKey, &key);
	if (rv == CKR_OK)
		rv = allow(&c, "C_DeriveKey", pMechanism, key, span("", 0));
	if (rv == CKR_OK)
		rv = rv_of_key(token_derive(c.token, &c.caller, pMechanism,
		    hBaseKey, pTemplate, ulAttributeCount, phKey, &c.why));
	return call_fail(&c, "C_DeriveKey", rv);
}
