/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_HTTP_H
#define TOOLS_HTTP_H

#include <stdbool.h>

#include "base/blob.h"

/*
 * GET by libcurl: https only (http where insecure is set), certificates
 * checked, no redirects, bounded in time and size; proxies as curl(1) finds
 * them in the environment. 429 and 503 are tried again a few times, after
 * what Retry-After asks for or with back-off, and never later than the
 * deadline of the request.
 */
struct http;

struct http_answer {
	long status;
	struct blob body;
	struct blob header; /* value of the header that was asked for */
};

int http_new(bool insecure, struct http **ret,
    struct why *reterr_why) _must_check_;
void http_freep(struct http **h);

/*
 * An answer of status 200 with a body of 1..max bytes. header may be NULL.
 * CVM_E_UNREACHABLE for no answer and for another status, CVM_E_PARSE for an
 * answer that is too large or empty; *reterr_why names the URL.
 */
int http_get(struct http *h, const char *url, size_t max, const char *header,
    struct http_answer *ret, struct why *reterr_why) _must_check_;
void http_answer_clear(struct http_answer *a);

/* Decodes %XX; other bytes stand for themselves. CVM_E_PARSE. */
int percent_decode(struct span s, struct blob *ret) _must_check_;

#endif
