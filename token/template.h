/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_TEMPLATE_H
#define TOKEN_TEMPLATE_H

#include "token/attr_rules.h"
#include "token/object.h"

/*
 * An application's template, checked against the attribute rules. It comes
 * from outside: bounded, each attribute with one value, each value of the form
 * that its rule asks for.
 */
struct template_use {
	unsigned in; /* one IN_... bit */
	CK_OBJECT_CLASS class;
	CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION: no key */
	bool so;	      /* asked by the SO */
};

/* Copies the public values; key material stays where the application has it
 * and is had by template_value(). CKA_CLASS and CKA_KEY_TYPE, where given,
 * must be those of use. why names the attribute. */
int template_read(const struct template_use *use, const CK_ATTRIBUTE *templ,
    CK_ULONG n, struct attrs *ret, struct why *reterr_why) _must_check_;

/* The value of a CK_ULONG attribute, before the rules are known:
 * CVM_E_NOT_FOUND when it is absent, CVM_E_ATTR_VALUE when it is none. */
int template_ulong(const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_ATTRIBUTE_TYPE type, CK_ULONG *ret, struct why *reterr_why) _must_check_;
/* Whether it is there, with or without a value. */
bool template_has(const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_ATTRIBUTE_TYPE type);
/* A borrowed value; an empty span when it is absent. */
struct span template_value(const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_ATTRIBUTE_TYPE type);

/* Whether an attribute of use may go from old to new: one-way attributes, and
 * CKA_TRUSTED. */
int template_change(const struct template_use *use,
    const struct attr_rule *rule, const struct attrs *old, struct span value,
    struct why *reterr_why) _must_check_;

/* Fills why with the attribute's name and returns err. */
int template_refuse(struct why *why, int err, CK_ATTRIBUTE_TYPE type,
    const char *expected, const char *got);

#endif
