/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_RECEIPT_H
#define TOOLS_RECEIPT_H

#include "attest/receipt_claim.h"
#include "attest/receipt_verify.h"
#include "tools/text.h"
#include "tools/tool.h"

#define RECEIPT_LOG_MAX (1024u * 1024 * 1024) /* bytes of a file */
#define CLAIM_FILE_MAX (64u * 1024 * 1024)    /* message, signature, key */

/* What receipt verify and receipt show have in common. */
struct receipt_job {
	struct tool_context context;
	const char *path[OPERANDS_MAX];
	size_t n_paths;
	struct receipt_options options;
	struct receipt_verifier *verifier;
	bool damaged;	    /* why says where */
	uint64_t simulated; /* rounds of such machines */

	struct policy *policy;
	struct endorsements *extra;
	uint8_t head[SHA256_LEN];
	bool has_claim;
	struct receipt_claim claim;
	struct blob message, signature;
	uint64_t seen[CLAIM_PROVED + 1];
	uint64_t unproved;	       /* matches that were not admitted */
	char (*proofs)[WHY_WHERE_MAX]; /* where it was made */
	size_t n_proofs;
	bool starved; /* there were more */
};
void receipt_job_clear(struct receipt_job *j);
/* Reads the logs through the verifier. 0, or an exit status, with the message
 * printed; a damaged log is no such trouble. */
int receipt_run(const struct tool *t, struct receipt_job *j, struct why *why);

#endif
