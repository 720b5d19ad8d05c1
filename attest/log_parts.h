/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_LOG_PARTS_H
#define ATTEST_LOG_PARTS_H

#include "attest/appraise.h"
#include "attest/eventlog.h"

/* What the files that judge logs share; nobody else includes it. */

#define LOG_NO_CCEL "the machine has no CCEL"

/* A log that was opened, and where what it says is judged. */
struct log_view {
	const struct appraisal *a;
	struct verdict *v;
	struct event_log log;
	enum hash_alg alg;
	struct log_facts *f;
};

/* Opens the log into w, whose alg says which digests count. */
int log_open(struct log_view *w, struct span bytes, enum log_form form,
    struct why *reterr_why) _must_check_;
void log_view_clear(struct log_view *w);

/* The i-th character of a text, or one that no policy has. */
char log_char(const struct log_text *t, size_t i);
/* In characters. */
size_t log_text_len(const struct log_text *t);
/* Printable beginning of a text of the log. */
const char *log_text_shown(const struct log_text *t, char buf[static 128]);

#endif
