/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_FILE_H
#define CONF_FILE_H

#include <stdbool.h>

#include "base/blob.h"

/*
 * The bytes of a regular file of at most max bytes, read once. guarded: the
 * file decides what this program trusts, so one that everybody can write is
 * refused. CVM_E_NOT_FOUND, CVM_E_CONFIG (refused), CVM_E_IO.
 */
int file_read(const char *path, size_t max, bool guarded, struct blob *ret,
    struct why *reterr_why) _must_check_;

#endif
