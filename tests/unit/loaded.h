/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_LOADED_H
#define TESTS_UNIT_LOADED_H

#include "base/pkcs11.h"

/*
 * The module as programs have it: loaded from the file that CVM_MODULE names,
 * reached through its function list. A test that is linked with loaded.c calls
 * C_* as usual, and reaches the file's.
 */
CK_FUNCTION_LIST *loaded(void);
/* Loads the file at path into *ret_handle, for dlclose(). */
CK_FUNCTION_LIST *load(const char *path, void **ret_handle);
/* Unloads what loaded() has; the next call loads it again. */
void unload(void);

#endif
