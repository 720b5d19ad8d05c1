/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_RV_H
#define MODULE_RV_H

#include "base/error.h"
#include "base/pkcs11.h"

/*
 * The one mapping of enum cvm_err to CK_RV. rv_of() speaks for functions that
 * manage tokens, sessions and objects, rv_of_key() for those that were given
 * the handle of a key in order to use it. An error of ours that no caller can
 * do anything about is CKR_FUNCTION_FAILED; never CKR_GENERAL_ERROR, which
 * means a library that is beyond repair (PKCS#11 v3.0 section 5.1.1).
 */
CK_RV rv_of(int err);
CK_RV rv_of_key(int err);
/*
 * As rv_of(), for C_CreateObject, C_GenerateKey and C_GenerateKeyPair: a size
 * that no key has is the value of an attribute there. CKR_KEY_SIZE_RANGE is of
 * keys that were given (sections 5.1.6, 5.7.1, 5.18.1, 5.18.2).
 */
CK_RV rv_of_template(int err);

#endif
