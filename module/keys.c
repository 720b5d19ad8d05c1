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
/* What is to be done with a key, or two. */
struct use {
	const char *function;
	const CK_MECHANISM *mech;
	const struct object *key;   /* that is used; NULL: a new one */
	const struct object *other; /* that is wrapped with it, or NULL */
	struct span input;
	CK_OBJECT_HANDLE first, second;
	const CK_ATTRIBUTE *templ;
	CK_ULONG n;
	CK_BYTE *out;
	CK_ULONG *out_len;
	CK_OBJECT_HANDLE *ret;
	struct message_param *param;
};

static bool
wants_login(const struct object *key)
{
	return key != NULL && object_bool(key, CKA_ALWAYS_AUTHENTICATE);
}

static CK_RV
allow(struct call *c, const struct use *u)
{
	struct permit p = { 0 };
	int err;

	/* There is no operation to log in for (CKU_CONTEXT_SPECIFIC). A key
	 * that is wrapped would be free of its login elsewhere. */
	if (wants_login(u->key) || wants_login(u->other))
		return CKR_USER_NOT_LOGGED_IN;
	err = gate_key_use(c->slot->gate, &c->session->gate, u->function,
	    u->mech, u->key, u->other, u->input, &p, &c->why);
	call_use_permit(c, err == CVM_OK ? &p : NULL);
	return u->key != NULL ? rv_of_key(err) : rv_of(err);
}

/* Asks the gate and does it; again where the permit ran out in between. */
static CK_RV
do_use(struct call *c, const struct use *u,
    int (*fn)(struct call *c, const struct use *u))
{
	CK_RV rv;
	int err;

	do {
		rv = allow(c, u);
		if (rv != CKR_OK)
			return rv;
		err = fn(c, u);
	} while (call_ran_out(c, err));
	return rv_of_key(err);
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
	return m == NULL || !bytes_bounded(m->pParameter, m->ulParameterLen);
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
		rv = rv_of_template(token_generate_key(c.token, &c.caller,
		    pMechanism, pTemplate, ulCount, phKey, &c.why));
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
		rv = rv_of_template(token_generate_pair(c.token, &c.caller,
		    pMechanism, pPublicKeyTemplate, ulPublicKeyAttributeCount,
		    pPrivateKeyTemplate, ulPrivateKeyAttributeCount,
		    phPublicKey, phPrivateKey, &c.why));
	return call_fail(&c, "C_GenerateKeyPair", rv);
}

/* The input of wrapping is a key, which its fingerprint names. */
static CK_RV
wrap(struct call *c, struct use *u,
    int (*fn)(struct call *c, const struct use *u))
{
	_cleanup_(object_unrefp) struct object *w = NULL, *k = NULL;
	uint8_t fingerprint[SHA256_LEN];
	CK_RV rv = call_key(c, u->first, &w);

	if (rv != CKR_OK)
		return rename_handle(rv, CKR_WRAPPING_KEY_HANDLE_INVALID);
	rv = call_key(c, u->second, &k);
	if (rv == CKR_OK && object_class(k) != CKO_PRIVATE_KEY &&
	    object_class(k) != CKO_SECRET_KEY)
		rv = CKR_KEY_NOT_WRAPPABLE;
	if (rv == CKR_OK)
		rv = rv_of(object_fingerprint(k, fingerprint));
	if (rv != CKR_OK)
		return rv;
	u->key = w;
	u->other = k;
	u->input = span(fingerprint, sizeof(fingerprint));
	rv = do_use(c, u, fn);
	return rename_type(rv, CKR_WRAPPING_KEY_TYPE_INCONSISTENT);
}

static int
do_wrap(struct call *c, const struct use *u)
{
	return token_wrap(c->token, &c->caller, u->mech, u->first, u->second,
	    u->out, u->out_len, &c->why);
}

CK_RV
C_WrapKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hWrappingKey, CK_OBJECT_HANDLE hKey,
    CK_BYTE_PTR pWrappedKey, CK_ULONG_PTR pulWrappedKeyLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct message_param p = { .generator = CKG_NO_GENERATE };
	struct use u = { .function = "C_WrapKey",
		.first = hWrappingKey,
		.second = hKey,
		.out = pWrappedKey,
		.out_len = pulWrappedKeyLen };
	int err;
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pulWrappedKeyLen == NULL)
		return CKR_ARGUMENTS_BAD;
	err = wrap_param_read(pMechanism, &p, &u.mech, &c.why);
	if (err == CVM_OK && pWrappedKey != NULL)
		err = message_make_iv(&p, /* counter= */ NULL, &c.why);
	if (err != CVM_OK)
		return call_fail(&c, u.function, rv_of(err));
	return call_fail(&c, u.function, wrap(&c, &u, do_wrap));
}

static int
do_unwrap(struct call *c, const struct use *u)
{
	return token_unwrap(c->token, &c->caller, u->mech, u->first, u->input,
	    u->templ, u->n, u->ret, &c->why);
}

static CK_RV
unwrap(struct call *c, struct use *u)
{
	_cleanup_(object_unrefp) struct object *key = NULL;
	CK_RV rv = rename_handle(call_key(c, u->first, &key),
	    CKR_UNWRAPPING_KEY_HANDLE_INVALID);

	u->key = key;
	if (rv == CKR_OK)
		rv = do_use(c, u, do_unwrap);
	rv = rename_type(rv, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT);
	return call_fail(c, u->function, rv);
}

CK_RV
C_UnwrapKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hUnwrappingKey, CK_BYTE_PTR pWrappedKey,
    CK_ULONG ulWrappedKeyLen, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulAttributeCount, CK_OBJECT_HANDLE_PTR phKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct message_param p;
	struct use u = { .function = "C_UnwrapKey",
		.first = hUnwrappingKey,
		.input = span(pWrappedKey, ulWrappedKeyLen),
		.templ = pTemplate,
		.n = ulAttributeCount,
		.ret = phKey };
	int err;
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pWrappedKey == NULL || phKey == NULL ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	err = wrap_param_read(pMechanism, &p, &u.mech, &c.why);
	if (err != CVM_OK)
		return call_fail(&c, u.function, rv_of(err));
	if (ulWrappedKeyLen > WRAPPED_MAX)
		return CKR_WRAPPED_KEY_LEN_RANGE;
	return unwrap(&c, &u);
}

static int
do_derive(struct call *c, const struct use *u)
{
	return token_derive(c->token, &c->caller, u->mech, u->first, u->templ,
	    u->n, u->ret, &c->why);
}

CK_RV
C_DeriveKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hBaseKey, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulAttributeCount, CK_OBJECT_HANDLE_PTR phKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(object_unrefp) struct object *key = NULL;
	struct use u = { .function = "C_DeriveKey",
		.mech = pMechanism,
		.first = hBaseKey,
		.input = span("", 0),
		.templ = pTemplate,
		.n = ulAttributeCount,
		.ret = phKey };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || phKey == NULL ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	rv = call_key(&c, hBaseKey, &key);
	u.key = key;
	if (rv == CKR_OK)
		rv = do_use(&c, &u, do_derive);
	return call_fail(&c, u.function, rv);
}

/*
 * Authenticated wrapping (PKCS#11 3.2 section 5.18): with the parameter of a
 * message, in which the tag stands. There is no process to count vectors in.
 */
static int
wrap_apart(struct call *c, const struct use *u)
{
	_cleanup_(freep) CK_BYTE *sealed = NULL;
	const struct message_param *p = u->param;
	struct use whole = *u;
	CK_ULONG len = 0, text, room = *u->out_len;
	int err;

	whole.out = NULL;
	whole.out_len = &len;
	err = do_wrap(c, &whole);
	if (err == CVM_OK && len < p->tag_len)
		err = CVM_E_INTERNAL;
	if (err != CVM_OK)
		return err;
	text = len - p->tag_len;
	if (u->out != NULL && room >= text) {
		if ((sealed = malloc(len)) == NULL)
			return CVM_E_NOMEM;
		whole.out = sealed;
		err = do_wrap(c, &whole);
		if (err == CVM_OK && len != text + p->tag_len)
			err = CVM_E_INTERNAL;
		if (err != CVM_OK)
			return err;
		memcpy(u->out, sealed, text);
		memcpy(p->tag, &sealed[text], p->tag_len);
	}
	*u->out_len = text;
	return u->out != NULL && room < text ? CVM_E_BUFFER_TOO_SMALL : CVM_OK;
}

CK_RV
C_WrapKeyAuthenticated(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hWrappingKey, CK_OBJECT_HANDLE hKey,
    CK_BYTE_PTR pAssociatedData, CK_ULONG ulAssociatedDataLen,
    CK_BYTE_PTR pWrappedKey, CK_ULONG_PTR pulWrappedKeyLen)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct message_param p;
	struct use u = { .function = "C_WrapKeyAuthenticated",
		.mech = &p.mech,
		.first = hWrappingKey,
		.second = hKey,
		.out = pWrappedKey,
		.out_len = pulWrappedKeyLen,
		.param = &p };
	int err;
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pulWrappedKeyLen == NULL ||
	    !bytes_bounded(pAssociatedData, ulAssociatedDataLen))
		return CKR_ARGUMENTS_BAD;
	if (!message_mechanism(pMechanism->mechanism))
		return CKR_MECHANISM_INVALID;
	err = message_param_read(pMechanism->mechanism, pMechanism->pParameter,
	    pMechanism->ulParameterLen,
	    span(pAssociatedData, ulAssociatedDataLen), &p, &c.why);
	if (err == CVM_OK && pWrappedKey != NULL)
		err = message_make_iv(&p, /* counter= */ NULL, &c.why);
	if (err != CVM_OK)
		return call_fail(&c, u.function, rv_of(err));
	return call_fail(&c, u.function, wrap(&c, &u, wrap_apart));
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
	struct use u = { .function = "C_UnwrapKeyAuthenticated",
		.mech = &p.mech,
		.first = hUnwrappingKey,
		.templ = pTemplate,
		.n = ulAttributeCount,
		.ret = phKey };
	int err;
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pWrappedKey == NULL || phKey == NULL ||
	    !bytes_bounded(pAssociatedData, ulAssociatedDataLen) ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	if (!message_mechanism(pMechanism->mechanism))
		return CKR_MECHANISM_INVALID;
	err = message_param_read(pMechanism->mechanism, pMechanism->pParameter,
	    pMechanism->ulParameterLen,
	    span(pAssociatedData, ulAssociatedDataLen), &p, &c.why);
	if (err != CVM_OK)
		return call_fail(&c, u.function, rv_of(err));
	if (ulWrappedKeyLen > WRAPPED_MAX)
		return CKR_WRAPPED_KEY_LEN_RANGE;
	if (blob_set(&sealed, span(pWrappedKey, ulWrappedKeyLen)) != CVM_OK ||
	    blob_append(&sealed, span(p.tag, p.tag_len)) != CVM_OK)
		return CKR_HOST_MEMORY;
	u.input = blob_span(&sealed);
	return unwrap(&c, &u);
}

static int
do_encapsulate(struct call *c, const struct use *u)
{
	return token_encapsulate(c->token, &c->caller, u->mech, u->first,
	    u->templ, u->n, u->out, u->out_len, u->ret, &c->why);
}

static int
do_decapsulate(struct call *c, const struct use *u)
{
	return token_decapsulate(c->token, &c->caller, u->mech, u->first,
	    u->templ, u->n, u->input, u->ret, &c->why);
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
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(object_unrefp) struct object *key = NULL;
	struct use u = { .function = "C_EncapsulateKey",
		.mech = pMechanism,
		.input = span("", 0),
		.first = hPublicKey,
		.templ = pTemplate,
		.n = ulAttributeCount,
		.out = pCiphertext,
		.out_len = pulCiphertextLen,
		.ret = phKey };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pulCiphertextLen == NULL ||
	    phKey == NULL || !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	rv = call_key(&c, hPublicKey, &key);
	if (rv == CKR_OK)
		rv = pCiphertext != NULL ? do_use(&c, &u, do_encapsulate) :
					   rv_of_key(do_encapsulate(&c, &u));
	return call_fail(&c, u.function, rv);
}

CK_RV
C_DecapsulateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism,
    CK_OBJECT_HANDLE hPrivateKey, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulAttributeCount, CK_BYTE_PTR pCiphertext,
    CK_ULONG ulCiphertextLen, CK_OBJECT_HANDLE_PTR phKey)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(object_unrefp) struct object *key = NULL;
	struct use u = { .function = "C_DecapsulateKey",
		.mech = pMechanism,
		.input = span(pCiphertext, ulCiphertextLen),
		.first = hPrivateKey,
		.templ = pTemplate,
		.n = ulAttributeCount,
		.ret = phKey };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (bad_mechanism(pMechanism) || pCiphertext == NULL || phKey == NULL ||
	    !template_bounded(pTemplate, ulAttributeCount))
		return CKR_ARGUMENTS_BAD;
	rv = call_key(&c, hPrivateKey, &key);
	u.key = key;
	if (rv == CKR_OK)
		rv = do_use(&c, &u, do_decapsulate);
	return call_fail(&c, u.function, rv);
}
