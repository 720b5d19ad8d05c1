/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_BUILTIN_H
#define TOKEN_BUILTIN_H

#include "token/object_impl.h"

/*
 * Objects that every token has and no store holds: what profiles it keeps to
 * (CKO_PROFILE), and its mechanisms (CKO_MECHANISM). They cannot be changed,
 * copied or destroyed, and are found only by who asks for their class.
 */
#define BUILTIN_HANDLE_BASE 0x60000000UL

bool builtin_class(CK_OBJECT_CLASS class);
/* A new object of that handle; CVM_E_NOT_FOUND: there is none. */
int builtin_object(const struct config_token *cfg, CK_OBJECT_HANDLE handle,
    struct object **ret) _must_check_;
/* Calls fn for each of a class, until it fails. */
int builtin_each(const struct config_token *cfg, CK_OBJECT_CLASS class,
    int (*fn)(void *arg, struct object *o), void *arg) _must_check_;

#endif
