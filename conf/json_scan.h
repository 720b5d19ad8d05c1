/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_JSON_SCAN_H
#define CONF_JSON_SCAN_H

#include "conf/json.h"

/* The line of every value of a document, in the order of the document. */
struct json_lines {
	unsigned *v;
	size_t n;
	size_t room;
};

/*
 * Accepts what RFC 8259 and conf/json.h allow, and nothing else; makes no
 * tree. name is for messages. The caller clears *lines, also after a refusal.
 */
int json_scan(struct span text, const struct json_limits *limits,
    const char *name, struct json_lines *lines,
    struct why *reterr_why) _must_check_;
void json_lines_clear(struct json_lines *lines);

/* "NAME:LINE" into buf, with the front of a long name cut; returns buf. */
const char *json_where(const char *name, unsigned line, char *buf, size_t len);

#endif
