/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "module/evidence.h"

/* Public session objects can be made by anybody; all else is the token's. */
static bool
needs_permit(const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	CK_OBJECT_CLASS class = CK_UNAVAILABLE_INFORMATION;
	bool flagged = false;

	for (CK_ULONG i = 0; i < n; i++) {
		const CK_ATTRIBUTE *a = &templ[i];
		const CK_BBOOL *flag = a->pValue;

		if (a->type == CKA_CLASS && a->pValue != NULL &&
		    a->ulValueLen == sizeof(class))
			memcpy(&class, a->pValue, sizeof(class));
		if ((a->type == CKA_TOKEN || a->type == CKA_PRIVATE) &&
		    flag != NULL && a->ulValueLen == sizeof(*flag))
			flagged |= *flag != CK_FALSE;
	}
	return flagged || class == CKO_PRIVATE_KEY || class == CKO_SECRET_KEY ||
	    class == CK_UNAVAILABLE_INFORMATION;
}

CK_RV
C_CreateObject(CK_SESSION_HANDLE hSession, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulCount, CK_OBJECT_HANDLE_PTR phObject)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);
	int err;

	if (rv != CKR_OK)
		return rv;
	if (!template_bounded(pTemplate, ulCount) || phObject == NULL)
		return CKR_ARGUMENTS_BAD;
	if (evidence_is_challenge(pTemplate, ulCount)) {
		rv = evidence_challenge(&c, pTemplate, ulCount, phObject);
		return call_fail(&c, "C_CreateObject", rv);
	}
	do {
		err = needs_permit(pTemplate, ulCount) ? call_admit(&c) :
							 CVM_OK;
		if (err == CVM_OK)
			err = token_create(c.token, &c.caller, pTemplate,
			    ulCount, phObject, &c.why);
	} while (call_again(&c, &err));
	return call_fail(&c, "C_CreateObject", rv_of_template(err));
}

CK_RV
C_CopyObject(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject,
    CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulCount,
    CK_OBJECT_HANDLE_PTR phNewObject)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);
	int err;

	if (rv != CKR_OK)
		return rv;
	if (!template_bounded(pTemplate, ulCount) || phNewObject == NULL)
		return CKR_ARGUMENTS_BAD;
	if (evidence_find(c.session, hObject) != NULL)
		return CKR_ACTION_PROHIBITED;
	do {
		err = call_reveal(&c, "C_CopyObject", hObject,
		    /* templ= */ NULL, 0);
		if (err == CVM_OK)
			err = token_copy(c.token, &c.caller, hObject, pTemplate,
			    ulCount, phNewObject, &c.why);
	} while (call_again(&c, &err));
	return call_fail(&c, "C_CopyObject", rv_of(err));
}

CK_RV
C_DestroyObject(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct evidence_object *e;
	CK_RV rv = call_session(&c, hSession);
	int err;

	if (rv != CKR_OK)
		return rv;
	e = evidence_find(c.session, hObject);
	if (e != NULL) {
		evidence_destroy(c.session, e);
		return CKR_OK;
	}
	do {
		err = token_destroy(c.token, &c.caller, hObject, &c.why);
	} while (call_again(&c, &err));
	return call_fail(&c, "C_DestroyObject", rv_of(err));
}

CK_RV
C_GetObjectSize(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject,
    CK_ULONG_PTR pulSize)
{
	_cleanup_(call_leave) struct call c = { 0 };
	const struct evidence_object *e;
	CK_RV rv = call_session(&c, hSession);
	int err;

	if (rv != CKR_OK)
		return rv;
	if (pulSize == NULL)
		return CKR_ARGUMENTS_BAD;
	e = evidence_find(c.session, hObject);
	if (e != NULL) {
		*pulSize = evidence_size(e);
		return CKR_OK;
	}
	do {
		err = token_object_size(c.token, &c.caller, hObject, pulSize);
	} while (call_again(&c, &err));
	return call_fail(&c, "C_GetObjectSize", rv_of(err));
}

CK_RV
C_GetAttributeValue(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject,
    CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulCount)
{
	_cleanup_(call_leave) struct call c = { 0 };
	const struct evidence_object *e;
	CK_RV rv = call_session(&c, hSession);
	int err;

	if (rv != CKR_OK)
		return rv;
	if (pTemplate == NULL || !template_bounded(pTemplate, ulCount))
		return CKR_ARGUMENTS_BAD;
	e = evidence_find(c.session, hObject);
	if (e != NULL)
		return evidence_get(e, pTemplate, ulCount);
	do {
		err = call_reveal(&c, "C_GetAttributeValue", hObject, pTemplate,
		    ulCount);
		if (err == CVM_OK)
			err = token_get_attributes(c.token, &c.caller, hObject,
			    pTemplate, ulCount);
	} while (call_again(&c, &err));
	return call_fail(&c, "C_GetAttributeValue", rv_of(err));
}

CK_RV
C_SetAttributeValue(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject,
    CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulCount)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);
	int err;

	if (rv != CKR_OK)
		return rv;
	if (pTemplate == NULL || !template_bounded(pTemplate, ulCount))
		return CKR_ARGUMENTS_BAD;
	if (evidence_find(c.session, hObject) != NULL)
		return CKR_ACTION_PROHIBITED;
	do {
		err = token_set_attributes(c.token, &c.caller, hObject,
		    pTemplate, ulCount, &c.why);
	} while (call_again(&c, &err));
	return call_fail(&c, "C_SetAttributeValue", rv_of(err));
}

/* Takes found over and puts the session's own objects behind it. */
static int
keep_found(struct session *s, CK_OBJECT_HANDLE **found, size_t n,
    const CK_OBJECT_HANDLE *own, size_t n_own)
{
	CK_OBJECT_HANDLE *v = *found;

	if (n_own > 0) {
		v = reallocarray(v, n + n_own, sizeof(*v));
		if (v == NULL)
			return CVM_E_NOMEM;
		memcpy(&v[n], own, n_own * sizeof(*v));
	}
	*found = NULL;
	s->found = v;
	s->n_found = n + n_own;
	s->next_found = 0;
	s->finding = true;
	return CVM_OK;
}

/* Without admission public objects are found, as far as they can be read. */
static int
find(struct call *c, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *found = NULL;
	CK_OBJECT_HANDLE own[EVIDENCE_OBJECTS_MAX];
	size_t n_found = 0, n_own;
	int err;

	do {
		call_unadmitted(c, "C_FindObjectsInit", call_admit(c));
		err = token_find(c->token, &c->caller, templ, n, &found,
		    &n_found, &c->why);
		if (err == CVM_E_PERMIT)
			call_use_permit(c, /* p= */ NULL);
	} while (call_ran_out(c, err));
	if (err != CVM_OK && err != CVM_E_SEALED)
		return err;
	n_own = evidence_search(c, templ, n, own);
	return keep_found(c->session, &found, n_found, own, n_own);
}

CK_RV
C_FindObjectsInit(CK_SESSION_HANDLE hSession, CK_ATTRIBUTE_PTR pTemplate,
    CK_ULONG ulCount)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (!template_bounded(pTemplate, ulCount))
		return CKR_ARGUMENTS_BAD;
	if (c.session->finding)
		return CKR_OPERATION_ACTIVE;
	rv = rv_of(find(&c, pTemplate, ulCount));
	return call_fail(&c, "C_FindObjectsInit", rv);
}

CK_RV
C_FindObjects(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE_PTR phObject,
    CK_ULONG ulMaxObjectCount, CK_ULONG_PTR pulObjectCount)
{
	_cleanup_(call_leave) struct call c = { 0 };
	struct session *s;
	CK_ULONG n = 0;
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (pulObjectCount == NULL ||
	    (phObject == NULL && ulMaxObjectCount > 0))
		return CKR_ARGUMENTS_BAD;
	s = c.session;
	if (!s->finding)
		return CKR_OPERATION_NOT_INITIALIZED;
	while (n < ulMaxObjectCount && s->next_found < s->n_found)
		phObject[n++] = s->found[s->next_found++];
	*pulObjectCount = n;
	return CKR_OK;
}

CK_RV
C_FindObjectsFinal(CK_SESSION_HANDLE hSession)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_session_only(&c, hSession);

	if (rv != CKR_OK)
		return rv;
	if (!c.session->finding)
		return CKR_OPERATION_NOT_INITIALIZED;
	session_find_end(c.session);
	return CKR_OK;
}
