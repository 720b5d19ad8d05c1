/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_JSON_SCAN_H
#define CONF_JSON_SCAN_H

#include "conf/json.h"

/* The values of a document, in the order of the document. */
struct json_block {
	struct json_block *next;
	size_t n;
	struct json v[];
};

/* What a document is made of: allocated by the block, freed at once. */
struct json_store {
	struct json_block *first;
	char *text; /* names and strings, decoded, each with its NUL */
	struct json *root;
};

/*
 * Accepts what RFC 8259 and conf/json.h allow, and nothing else, but for
 * duplicate names. name is for messages. The caller clears *store, also after
 * a refusal.
 */
int json_scan(struct span text, const struct json_limits *limits,
    const char *name, struct json_store *store,
    struct why *reterr_why) _must_check_;
void json_store_clear(struct json_store *store);

/* "NAME:LINE" into buf, with the front of a long name cut; returns buf. */
const char *json_where(const char *name, unsigned line, char *buf, size_t len);

#endif
