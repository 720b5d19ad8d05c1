/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_QUICK_PIN_H
#define TESTS_UNIT_QUICK_PIN_H

#include "base/crypto.h"
#include "token/token_impl.h"

/* For --wrap=pin_auth: scrypt takes 100 ms, and is one call. */

/* Called, if set, whenever a PIN is turned into a token's auth value. */
extern void (*quick_pin_hook)(const uint8_t *token_id);

#endif
