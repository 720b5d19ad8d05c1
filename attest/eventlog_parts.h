/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_EVENTLOG_PARTS_H
#define ATTEST_EVENTLOG_PARTS_H

#include "attest/eventlog.h"

/* What the files that read facts from a log share; nobody else includes it. */

/* The variables of PCR 7 that Secure Boot consists of, in their order. */
enum key_variable { KEYS_PK, KEYS_KEK, KEYS_DB, KEYS_DBX, KEY_VARIABLES };

/* What the reading of one log carries along. */
struct scan {
	const struct event_log *log;
	int slot; /* digest of the algorithm in use */
	enum hash_alg alg;
	struct log_facts *f;
	size_t index;			  /* of the event at hand */
	unsigned separators[LOG_MRS_MAX]; /* seen so far */
	unsigned technologies, crtm_versions, secure_boots;
	unsigned keys[KEY_VARIABLES], authorities;
	bool calling_app, ebs_invoked;
};

/* eventlog_mr() of this log. */
uint32_t log_mr_of(const struct scan *s, uint32_t pcr);
/* The first trouble with a fact stays. */
void log_trouble(const struct scan *s, struct why *why, const char *field,
    const char *expected, const char *got);
bool log_digest_is(const struct scan *s, const struct log_event *e,
    struct span data);

/* eventlog_secureboot.c: what PCR 7 says. */
void see_secure_boot(struct scan *s, const struct log_event *e);
void see_authority(struct scan *s, const struct log_event *e);
/* After the last event: what was never seen. */
void judge_secure_boot(struct scan *s);
#endif
