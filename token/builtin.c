/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "token/builtin.h"
#include "token/op.h"

/* PKCS#11 profiles 3.2, sections 3.1 to 3.3 and 3.5. */
static const CK_PROFILE_ID profiles[] = {
	CKP_BASELINE_PROVIDER,
	CKP_EXTENDED_PROVIDER,
	CKP_PUBLIC_CERTIFICATES_TOKEN,
};

/* Handles: the profiles, then from here on the mechanisms. */
#define FIRST_MECHANISM 0x100

bool
builtin_class(CK_OBJECT_CLASS class)
{
	return class == CKO_PROFILE || class == CKO_MECHANISM;
}

static int
set_common(struct attrs *a, CK_OBJECT_CLASS class, const char *id)
{
	int err = attrs_set_ulong(a, CKA_CLASS, class);

	if (err == CVM_OK)
		err = attrs_set_bool(a, CKA_TOKEN, true);
	if (err == CVM_OK)
		err = attrs_set_bool(a, CKA_PRIVATE, false);
	if (err == CVM_OK)
		err = attrs_set_bool(a, CKA_MODIFIABLE, false);
	if (err == CVM_OK)
		err = attrs_set_bool(a, CKA_COPYABLE, false);
	if (err == CVM_OK)
		err = attrs_set_bool(a, CKA_DESTROYABLE, false);
	if (err == CVM_OK)
		err = attrs_set(a, CKA_LABEL, span("", 0));
	return err == CVM_OK ?
	    attrs_set(a, CKA_UNIQUE_ID, span(id, strlen(id))) :
	    err;
}

int
builtin_object(const struct config_token *cfg, CK_OBJECT_HANDLE handle,
    struct object **ret)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	size_t i = handle - BUILTIN_HANDLE_BASE;
	bool profile = i < NELEMS(profiles);
	const struct mech *m = profile || handle < BUILTIN_HANDLE_BASE ||
		i < FIRST_MECHANISM ?
	    NULL :
	    mech_at(cfg, i - FIRST_MECHANISM);
	uint8_t id[STORE_ID_LEN] = { 0 };
	char name[32];
	int err;

	if (!profile && m == NULL)
		return CVM_E_NOT_FOUND;
	(void)snprintf(name, sizeof(name), "%s-%lx",
	    profile ? "profile" : "mechanism", profile ? profiles[i] : m->type);
	memcpy(id, &handle, sizeof(handle));
	err = set_common(&a, profile ? CKO_PROFILE : CKO_MECHANISM, name);
	if (err == CVM_OK)
		err = profile ?
		    attrs_set_ulong(&a, CKA_PROFILE_ID, profiles[i]) :
		    attrs_set_ulong(&a, CKA_MECHANISM_TYPE, m->type);
	if (err == CVM_OK)
		err = object_new(id, &a, /* key= */ NULL, ret);
	if (err == CVM_OK)
		(*ret)->handle = handle;
	return err;
}

int
builtin_each(const struct config_token *cfg, CK_OBJECT_CLASS class,
    int (*fn)(void *arg, struct object *o), void *arg)
{
	CK_OBJECT_HANDLE h = BUILTIN_HANDLE_BASE +
	    (class == CKO_PROFILE ? 0 : FIRST_MECHANISM);
	int err = CVM_OK;

	for (; err == CVM_OK; h++) {
		_cleanup_(object_unrefp) struct object *o = NULL;

		err = builtin_object(cfg, h, &o);
		if (err == CVM_OK)
			err = fn(arg, o);
	}
	return err == CVM_E_NOT_FOUND ? CVM_OK : err;
}
