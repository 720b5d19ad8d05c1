/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "base/log.h"
#include "module/call.h"
#include "token/attr_rules.h"
#include "token/object_impl.h"

/* With five levels of page tables x86-64 has less. */
#define BYTES_MAX ((CK_ULONG)1 << 56)

void
call_begin(struct call *c)
{
	c->lib = NULL;
	c->slot = NULL;
	c->session = NULL;
	c->token = NULL;
	c->caller = (struct caller){ 0 };
	c->login_ends = 0;
	c->renewed = false;
	why_none(&c->why);
}

CK_RV
call_enter(struct call *c)
{
	c->lib = state_enter(&c->shard);
	return c->lib != NULL ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

CK_RV
call_slot(struct call *c, CK_SLOT_ID id)
{
	CK_RV rv = call_enter(c);

	if (rv != CKR_OK)
		return rv;
	c->slot = library_slot(c->lib, id);
	if (c->slot == NULL)
		return CKR_SLOT_ID_INVALID;
	c->token = gate_token(c->slot->gate);
	return c->token != NULL ? CKR_OK : CKR_HOST_MEMORY;
}

/* PKCS#11 v3.0 section 5.6: the SO sees no private objects. */
static void
call_as(struct call *c, const struct permit *p)
{
	uint64_t logouts;
	bool so;

	/* First: what begins under a login that ends meanwhile ends with it. */
	c->login_ends = atomic_load(&c->slot->login_ends);
	logouts = token_logouts(c->token);
	so = token_so_logged_in(c->token);
	c->caller = (struct caller){
		.session = atomic_load(&c->session->handle),
		.so = so,
		.writable = c->session->writable,
		.logouts = logouts,
		.permit = p,
	};
	if (c->slot->cfg->login == LOGIN_ATTESTATION)
		c->caller.user = p != NULL && !so;
	else
		c->caller.user = token_user_logged_in(c->token);
}

void
call_use_permit(struct call *c, const struct permit *p)
{
	if (p != NULL)
		c->permit = *p;
	call_as(c, p != NULL ? &c->permit : NULL);
}

void
call_glance(struct call *c)
{
	call_as(c, gate_glance(c->slot->gate, &c->session->gate));
}

void
call_look(struct call *c)
{
	call_use_permit(c, gate_peek(c->slot->gate, &c->session->gate));
}

CK_RV
call_session_only(struct call *c, CK_SESSION_HANDLE handle)
{
	CK_RV rv = call_enter(c);

	if (rv != CKR_OK)
		return rv;
	c->session = session_lock(c->lib->sessions, handle);
	if (c->session == NULL)
		return CKR_SESSION_HANDLE_INVALID;
	c->slot = c->session->slot;
	c->token = gate_token(c->slot->gate);
	return c->token != NULL ? CKR_OK : CKR_HOST_MEMORY;
}

CK_RV
call_session(struct call *c, CK_SESSION_HANDLE handle)
{
	CK_RV rv = call_session_only(c, handle);

	if (rv == CKR_OK)
		call_look(c);
	return rv;
}

void
call_leave(struct call *c)
{
	if (c->session != NULL) {
		gate_end(&c->session->gate);
		session_unlock(c->session);
	}
	c->session = NULL;
	state_leave(c->lib, c->shard);
	c->lib = NULL;
}

int
call_admit(struct call *c)
{
	struct permit p = { 0 };
	int err;

	if (c->caller.permit != NULL)
		return CVM_OK;
	err = gate_permit(c->slot->gate, &c->session->gate, &p, &c->why);
	call_use_permit(c, err == CVM_OK ? &p : NULL);
	return err;
}

bool
call_ran_out(struct call *c, int err)
{
	bool again = !c->renewed;

	if (err != CVM_E_PERMIT)
		return false;
	c->renewed = true;
	if (!again)
		(void)why_set(&c->why, err, "admission", "time",
		    "one that lasts until the key is used",
		    "it was over before, twice");
	return again;
}

bool
call_again(struct call *c, int *err)
{
	int admitted;

	if (c->caller.permit != NULL ?
		!call_ran_out(c, *err) :
		*err != CVM_E_NOT_FOUND && *err != CVM_E_PERMIT)
		return false;
	call_use_permit(c, /* p= */ NULL);
	admitted = call_admit(c);
	if (admitted != CVM_OK)
		*err = admitted;
	return admitted == CVM_OK;
}

CK_RV
call_key(struct call *c, CK_OBJECT_HANDLE handle, struct object **ret)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	int err;

	do {
		err = token_object_why(c->token, &c->caller, handle, &o,
		    &c->why);
	} while (call_again(c, &err));
	/* What is no key has no key's handle (PKCS#11 section 5.1.6). */
	if (err == CVM_OK && !object_is_key(o) &&
	    object_class(o) != CKO_PUBLIC_KEY) {
		(void)why_set(&c->why, CVM_E_NOT_FOUND, "object", "CKA_CLASS",
		    "a key's", "another");
		return CKR_KEY_HANDLE_INVALID;
	}
	if (err == CVM_OK)
		*ret = TAKE_PTR(o);
	return rv_of_key(err);
}

/* What is sensitive is withheld anyway, and costs no round. */
static bool
asks_for_secret(const struct object *o, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	if (object_bool(o, CKA_SENSITIVE) || !object_bool(o, CKA_EXTRACTABLE))
		return false;
	for (CK_ULONG i = 0; i < n; i++) {
		const struct attr_rule *rule = attr_rule_find(templ[i].type,
		    object_class(o), object_key_type(o));

		if (rule != NULL && (rule->flags & ATTR_SECRET) != 0)
			return true;
	}
	return false;
}

int
call_reveal(struct call *c, const char *function, CK_OBJECT_HANDLE handle,
    const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct permit p = { 0 };
	int err = token_object_why(c->token, &c->caller, handle, &o, &c->why);

	if (err != CVM_OK || !object_is_key(o) ||
	    !gate_binds_operation(c->slot->gate, o) ||
	    (templ != NULL && !asks_for_secret(o, templ, n)))
		return err;
	err = gate_key_use(c->slot->gate, &c->session->gate, function,
	    /* mech= */ NULL, o, /* other= */ NULL, span("", 0), &p, &c->why);
	call_use_permit(c, err == CVM_OK ? &p : NULL);
	return err;
}

CK_RV
call_fail(struct call *c, const char *function, CK_RV rv)
{
	char text[WHY_SENTENCE_MAX];

	if (rv != CKR_OK && c->why.err != CVM_OK)
		log_line(LOG_LEVEL_DEBUG, "%s: 0x%lx: %s", function, rv,
		    why_sentence(&c->why, text, sizeof(text)));
	return rv;
}

void
call_unadmitted(struct call *c, const char *function, int err)
{
	char text[WHY_SENTENCE_MAX];

	if (err != CVM_OK && c->why.err != CVM_OK)
		log_line(LOG_LEVEL_DEBUG, "%s without an admission: %s",
		    function, why_sentence(&c->why, text, sizeof(text)));
}

bool
bytes_bounded(const void *p, CK_ULONG len)
{
	return len <= BYTES_MAX && (len == 0 || p != NULL);
}

bool
template_bounded(const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	return n <= ATTRS_MAX && (n == 0 || templ != NULL);
}
