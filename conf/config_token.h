/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_CONFIG_TOKEN_H
#define CONF_CONFIG_TOKEN_H

#include "conf/config.h"
#include "conf/json_read.h"

/* A member of "tokens", to a struct config_token. */
extern const struct json_table config_token_table;

/* What is left out is derived from the token's name. Called once, after. */
int config_token_defaults(struct config_token *t) _must_check_;
void config_token_clear(struct config_token *t);

/* strdup of value to *s where it is still NULL; CVM_E_NOMEM. */
int config_default_string(char **s, const char *value) _must_check_;

#endif
