/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "module/call.h"
#include "module/message_params.h"
#include "token/object_impl.h"

/* The largest keys are a few KiB, in PrivateKeyInfo. */
#define WRAPPED_MAX (64 * 1024)

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

static CK_RV
allow_generation(struct call *c, const char *function, const CK_MECHANISM *mech)
{
	struct permit p = { 0 };
	int err = gate_generation(c->slot->gate, &c->session->gate, function,
	    mech, &p, &c->why);

	call_use_permit(c, err == CVM_OK ? &p : NULL);
	return rv_of(err);
}

static bool
bad_mechanism(const CK_MECHANISM *m)
{
	return m == NULL || (m->pParameter == NULL && m->ulParameterLen > 0);
}

/* Which handle was meant is for the caller to know; the same of types. */
static CK_RV
rename_handle(CK_RV rv, CK_RV invalid)
{
	return rv == CKR_KEY_HANDLE_INVALID ? invalid : rv;
}

static CK_RV
rename_type(CK_RV rv, CK_RV inconsistent)
{
	return rv == CKR_KEY_TYPE_INCONSISTENT ? inconsistent : rv;
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
	rv = allow_generation(&c, "C_GenerateKey", pMechanism);
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
	rv = allow_generation(&c, "C_GenerateKeyPair", pMechanism);
	if (rv == CKR_OK)
		rv = rv_of(token_generate_pair(c.token, &c.caller, pMechanism,
		    pPublicKeyTemplate, ulPublicKeyAttributeCount,
		    pPrivateKeyTemplate, ulPrivateKeyAttributeCount,
		    phPublicKey, phPrivateKey, &c.why));
	return call_fail(&c, "C_GenerateKeyPair", rv);
}

/* The input of wrapping is a key, which its fingerprint names. */
static CK_RV
allow_wrap(struct call *c, const char *function, const CK_MECHANISM *mech,
    CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key)
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
	return allow(c, function, mech,
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
	rv = allow_wrap(&c, "C_WrapKey", pMechanism, hWrappingKey, hKey);
	if (rv == CKR_OK)
		rv = rv_of_key(token_wrap(c.token, &c.caller, pMechanism,
		    hWrappingKey, hKey, pWrappedKey, pulWrappedKeyLen, &c.why));
	rv = rename_type(rv, CKR_WRAPPING_KEY_TYPE_INCONSISTENT);
	return call_fail(&c, "C_WrapKey", rv);
}

static CK_RV
unwrap(struct call *c, const char *function, const CK_MECHANISM *mech,
    CK_OBJECT_HANDLE unwrapping, struct span wrapped, const CK_ATTRIBUTE *templ,
    CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
	_cleanup_(object_unrefp) struct object *key = NULL;
	CK_RV rv = rename_handle(call_key(c, unwrapping, &key),
	    CKR_UNWRAPPING_KEY_HANDLE_INVALID);

	if (rv == CKR_OK)
		rv = allow(c, function, mech, key, wrapped);
	if (rv == CKR_OK)
		rv = rv_of_key(token_unwrap(c->token, &c->caller, mech,
		    unwrapping, wrapped, templ, n, ret, &c->why));
	rv = rename_type(rv, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT);
	return call_fail(c, function, rv);
}

CK_RV
C_UnwrapKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hUnwrappingKey, CK_BYTE_PTR pWrappedKey,
    CK_ULONG ulWrappedKeyLen, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulAttributeCount, CK_OBJECT_HANDLE_PTR phKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pWrappedKey == NULL || phKey == NULL ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	return unwrap(&c, "C_UnwrapKey", pMechanism, hUnwrappingKey,
	    span(pWrappedKey, ulWrappedKeyLen), pTemplate, ulAttributeCount,
	    phKey);
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

/*
 * Authenticated wrapping (PKCS#11 3.2 section 5.18): with the parameter of a
 * message, in which the tag stands. There is no process to count vectors in.
 */
static CK_RV
wrap_apart(struct call *c, struct message_param *p, CK_OBJECT_HANDLE wrapping,
    CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_len)
{
	_cleanup_(freep) CK_BYTE *sealed = NULL;
	CK_ULONG len = 0, text, room = *out_len;
	int err = token_wrap(c->token, &c->caller, &p->mech, wrapping, key,
	    /* out= */ NULL, &len, &c->why);

	if (err == CVM_OK && len < p->tag_len)
		err = CVM_E_INTERNAL;
	if (err != CVM_OK)
		return rv_of_key(err);
	*out_len = text = len - p->tag_len;
	if (out == NULL)
		return CKR_OK;
	if (room < text)
		return CKR_BUFFER_TOO_SMALL;
	if ((sealed = malloc(len)) == NULL)
		return CKR_HOST_MEMORY;
	err = token_wrap(c->token, &c->caller, &p->mech, wrapping, key, sealed,
	    &len, &c->why);
	if (err == CVM_OK && len != text + p->tag_len)
		err = CVM_E_INTERNAL;
	if (err != CVM_OK)
		return rv_of_key(err);
	memcpy(out, sealed, text);
	memcpy(p->tag, &sealed[text], p->tag_len);
	return CKR_OK;
}

CK_RV
C_WrapKeyAuthenticated(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hWrappingKey, CK_OBJECT_HANDLE hKey,
    CK_BYTE_PTR pAssociatedData, CK_ULONG ulAssociatedDataLen,
    CK_BYTE_PTR pWrappedKey, CK_ULONG_PTR pulWrappedKeyLen)
{
	static const char function[] = "C_WrapKeyAuthenticated";
	_cleanup_(call_leave) struct call c = { 0 };
	struct message_param p;
	int err;
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pulWrappedKeyLen == NULL ||
	    (pAssociatedData == NULL && ulAssociatedDataLen > 0))
		return CKR_ARGUMENTS_BAD;
	if (!message_mechanism(pMechanism->mechanism))
		return CKR_MECHANISM_INVALID;
	err = message_param_read(pMechanism->mechanism, pMechanism->pParameter,
	    pMechanism->ulParameterLen,
	    span(pAssociatedData, ulAssociatedDataLen), &p);
	if (err == CVM_OK && pWrappedKey != NULL)
		err = message_make_iv(&p, /* counter= */ NULL);
	if (err != CVM_OK)
		return rv_of(err);
	rv = allow_wrap(&c, function, &p.mech, hWrappingKey, hKey);
	if (rv == CKR_OK)
		rv = wrap_apart(&c, &p, hWrappingKey, hKey, pWrappedKey,
		    pulWrappedKeyLen);
	rv = rename_type(rv, CKR_WRAPPING_KEY_TYPE_INCONSISTENT);
	return call_fail(&c, function, rv);
}

CK_RV
C_UnwrapKeyAuthenticated(CK_SESSION_HANDLE hSession,
    CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hUnwrappingKey,
    CK_BYTE_PTR pWrappedKey, CK_ULONG ulWrappedKeyLen,
    CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulAttributeCount,
    CK_BYTE_PTR pAssociatedData, CK_ULONG ulAssociatedDataLen,
    CK_OBJECT_HANDLE_PTR phKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(blob_clear) struct blob sealed = { 0 };
	struct message_param p;
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pWrappedKey == NULL || phKey == NULL ||
	    (pAssociatedData == NULL && ulAssociatedDataLen > 0) ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	if (!message_mechanism(pMechanism->mechanism))
		return CKR_MECHANISM_INVALID;
	if (message_param_read(pMechanism->mechanism, pMechanism->pParameter,
		pMechanism->ulParameterLen,
		span(pAssociatedData, ulAssociatedDataLen), &p) != CVM_OK)
		return CKR_MECHANISM_PARAM_INVALID;
	if (ulWrappedKeyLen > WRAPPED_MAX)
		return CKR_WRAPPED_KEY_LEN_RANGE;
	if (blob_set(&sealed, span(pWrappedKey, ulWrappedKeyLen)) != CVM_OK ||
	    blob_append(&sealed, span(p.tag, p.tag_len)) != CVM_OK)
		return CKR_HOST_MEMORY;
	return unwrap(&c, "C_UnwrapKeyAuthenticated", &p.mech, hUnwrappingKey,
	    blob_span(&sealed), pTemplate, ulAttributeCount, phKey);
}

/*
 * Key encapsulation (PKCS#11 3.2 section 5.18). The public half needs no
 * admission, but the key that is made does, as any that is generated.
 */
CK_RV
C_EncapsulateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hPublicKey, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulAttributeCount, CK_BYTE_PTR pCiphertext,
    CK_ULONG_PTR pulCiphertextLen, CK_OBJECT_HANDLE_PTR phKey)
{
	static const char function[] = "C_EncapsulateKey";
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(object_unrefp) struct object *key = NULL;
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pulCiphertextLen == NULL ||
	    phKey == NULL || !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	rv = call_key(&c, hPublicKey, &key);
	if (rv == CKR_OK && pCiphertext != NULL)
		rv = allow(&c, function, pMechanism, /* key= */ NULL,
		    span("", 0));
	if (rv == CKR_OK)
		rv = rv_of_key(token_encapsulate(c.token, &c.caller, pMechanism,
		    hPublicKey, pTemplate, ulAttributeCount, pCiphertext,
		    pulCiphertextLen, phKey, &c.why));
	return call_fail(&c, function, rv);
}

CK_RV
C_DecapsulateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hPrivateKey, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulAttributeCount, CK_BYTE_PTR pCiphertext,
    CK_ULONG ulCiphertextLen, CK_OBJECT_HANDLE_PTR phKey)
{
	static const char function[] = "C_DecapsulateKey";
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(object_unrefp) struct object *key = NULL;
	const struct span in = span(pCiphertext, ulCiphertextLen);
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pCiphertext == NULL || phKey == NULL ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	rv = call_key(&c, hPrivateKey, &key);
	if (rv == CKR_OK)
		rv = allow(&c, function, pMechanism, key, in);
	if (rv == CKR_OK)
		rv = rv_of_key(token_decapsulate(c.token, &c.caller, pMechanism,
		    hPrivateKey, pTemplate, ulAttributeCount, in, phKey,
		    &c.why));
	return call_fail(&c, function, rv);
}
