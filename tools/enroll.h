/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_ENROLL_H
#define TOOLS_ENROLL_H

#include "attest/tee_source.h"
#include "tools/tool.h"

/*
 * A proposal is read from the machine as it is now, good or bad: that is why
 * it is never written where the module would use it.
 */
struct enroll {
	const struct tool *t;
	struct tool_context c;
	cJSON *root;
	uint32_t mask; /* of PCRs */
	enum hash_alg bank;
	const char *label; /* of the sets */
	enum tee_kind tee;
	struct tsm_report tsm;
	struct endorsements *endorsements;
};

/* enroll_tee.c: which TEE answers; asked with a random nonce, whose answer
 * becomes part of the proposal and of nothing else. */
int enroll_find_tee(struct enroll *e, struct why *why) _must_check_;
int enroll_snp(struct enroll *e, struct why *why) _must_check_;
int enroll_tdx(struct enroll *e, struct why *why) _must_check_;
/* enroll_tpm.c */
int enroll_tpm(struct enroll *e, struct why *why) _must_check_;
/* What the event log says, if there is one; may tell e->tee. */
void enroll_log(struct enroll *e);
/* enroll_tee.c: which RTMRs the CCEL beside that log does not explain. */
void enroll_ccel(struct enroll *e);

void put_hex(cJSON *o, const char *name, struct span s);
/* A list of one value. */
void put_hex_list(cJSON *o, const char *name, struct span s);
void put_string_list(cJSON *o, const char *name, const char *s);
/* The SPKI digests of the certificates of a PEM file, or of its last one. */
int put_roots(cJSON *o, const char *file, struct span pem, bool last,
    struct why *why) _must_check_;

#endif
