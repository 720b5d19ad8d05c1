/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_ATTR_RULES_H
#define TOKEN_ATTR_RULES_H

#include "token/attrs.h"

/*
 * The attribute rules of PKCS#11 section 4, as one table: which objects have
 * an attribute, what its value looks like, where it may be given, and what
 * it is when it is not.
 */
/* FORM_TEMPLATE: an array of CK_ATTRIBUTE (token/nested.h). */
enum attr_form {
	FORM_BOOL,
	FORM_ULONG,
	FORM_BYTES,
	FORM_DATE,
	FORM_MECHS,
	FORM_TEMPLATE,
};

/* The templates in which an attribute may stand. */
enum {
	IN_CREATE = 1 << 0,   /* C_CreateObject */
	IN_GENERATE = 1 << 1, /* C_GenerateKey, C_GenerateKeyPair */
	IN_UNWRAP = 1 << 2,
	IN_DERIVE = 1 << 3,
	IN_COPY = 1 << 4,
	IN_SET = 1 << 5, /* C_SetAttributeValue */
	IN_NEW = IN_CREATE | IN_GENERATE | IN_UNWRAP | IN_DERIVE,
};

enum {
	ATTR_SECRET = 1 << 0,	    /* key material, never in a struct attrs */
	ATTR_ONLY_TRUE = 1 << 1,    /* once TRUE, stays TRUE */
	ATTR_ONLY_FALSE = 1 << 2,   /* once FALSE, stays FALSE */
	ATTR_TRUE_BY_SO = 1 << 3,   /* only the SO makes it TRUE */
	ATTR_REQUIRED = 1 << 4,	    /* C_CreateObject must give it */
	ATTR_GEN_REQUIRED = 1 << 5, /* generation must be given it */
	ATTR_SET_EMPTY = 1 << 6,    /* C_SetAttributeValue only empties it */
};

enum attr_default {
	DEFAULT_NONE, /* the attribute is absent */
	DEFAULT_FALSE,
	DEFAULT_TRUE,
	DEFAULT_EMPTY,
	DEFAULT_ZERO,
	DEFAULT_UNAVAILABLE, /* CK_UNAVAILABLE_INFORMATION */
};

struct attr_rule {
	CK_ATTRIBUTE_TYPE type;
	const char *name;
	uint16_t classes;   /* class_bit() */
	uint16_t key_types; /* key_type_bit() */
	uint8_t form;
	uint8_t in;
	uint8_t flags;
	uint8_t dflt;
};

/* Bits of the masks above; 0 for a class or key type that is unknown here.
 * An object without key type is given as CK_UNAVAILABLE_INFORMATION. */
uint16_t class_bit(CK_OBJECT_CLASS class);
uint16_t key_type_bit(CK_KEY_TYPE key_type);

/* The rule of an attribute of such objects, or NULL: they do not have it. */
const struct attr_rule *attr_rule_find(CK_ATTRIBUTE_TYPE type,
    CK_OBJECT_CLASS class, CK_KEY_TYPE key_type);
/* The first rule of an attribute, whosever; the form is that of them all. */
const struct attr_rule *attr_rule_any(CK_ATTRIBUTE_TYPE type);
/* The i-th rule that applies to such objects, or NULL past the end. */
const struct attr_rule *attr_rule_next(const struct attr_rule *after,
    CK_OBJECT_CLASS class, CK_KEY_TYPE key_type);
/* "CKA_LABEL", or NULL for a type that is in no rule. */
const char *attr_name(CK_ATTRIBUTE_TYPE type);

/* Gives every attribute that is absent its default. */
int attr_defaults(CK_OBJECT_CLASS class, CK_KEY_TYPE key_type,
    struct attrs *a) _must_check_;
/* Whether size and bytes are a value of this form. */
bool attr_value_ok(const struct attr_rule *rule, struct span value);

#endif
