/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_COLLATERAL_URLS_H
#define TOOLS_COLLATERAL_URLS_H

#include "tools/collateral.h"
#include "tools/http.h"

#define URL_MAX 1000

enum answer {
	ANSWER_BYTES,	     /* the file as it is */
	ANSWER_HEX_OR_BYTES, /* or its hex digits */
	ANSWER_CA_CHAIN,     /* file and beside in one PEM text */
};

/* One request: AMD's Key Distribution Service (57230, section 4), Intel's
 * Provisioning Certification Service, version 4, or Google's storage. */
struct request {
	enum upkeep_id file;
	enum upkeep_id beside; /* what else it yields, or UPKEEP_COUNT */
	enum answer answer;
	const char *path;   /* NULL: has a function of its own */
	const char *header; /* whose value is the file beside */
	size_t max;	    /* bytes of the answer */
};
extern const struct request collateral_requests[];
extern const size_t n_collateral_requests;

int collateral_url(const struct collateral *c, const struct request *q,
    char url[static URL_MAX], struct why *reterr_why) _must_check_;
/* From an answer to the file and the one beside it. CVM_E_PARSE. */
int collateral_split(const struct request *q, const char *url,
    struct http_answer *a, struct blob ret[static 2],
    struct why *reterr_why) _must_check_;

#endif
