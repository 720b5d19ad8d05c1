/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_IMPORT_H
#define TOKEN_IMPORT_H

#include "conf/config.h"
#include "token/object_impl.h"

/*
 * Keys that come from outside: C_CreateObject, C_UnwrapKey. b->attrs holds
 * the template's public values; the rest is checked, computed and filled in.
 * Such a key was not always sensitive and not never extractable.
 */
int import_public(const struct config_token *cfg, struct newborn *b,
    struct why *reterr_why) _must_check_;
int import_private(const struct config_token *cfg, const CK_ATTRIBUTE *templ,
    CK_ULONG n, struct newborn *b, struct why *reterr_why) _must_check_;
int import_secret(const CK_ATTRIBUTE *templ, CK_ULONG n, struct newborn *b,
    struct why *reterr_why) _must_check_;
/* From a PrivateKeyInfo, or from a secret value; b takes value over. */
int import_pkcs8(const struct config_token *cfg, struct span der,
    struct newborn *b, struct why *reterr_why) _must_check_;
int import_value(struct secret **value, struct newborn *b,
    struct why *reterr_why) _must_check_;

#endif
