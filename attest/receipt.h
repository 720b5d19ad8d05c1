/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_RECEIPT_H
#define ATTEST_RECEIPT_H

#include "attest/leaf.h"
#include "attest/merkle.h"

/*
 * One line of a receipt log (attest/PROTOCOL.md, "Receipts"): bytes in, fields
 * out, and back. Pure. A line has one encoding only; whatever deviates from it
 * is refused with the member where it does.
 */
#define RECEIPT_LINE_MAX (2 * 1024 * 1024) /* bytes, with the line feed */
#define RECEIPT_MEMBERS_MAX 32
#define RECEIPT_TEXT_MAX 1024
#define RECEIPT_FORMAT "cvm-pkcs11 receipt log/1"
/* The last bytes of every line: ,"hash":"<64 hex>"} and a line feed. */
#define RECEIPT_TAIL_LEN (sizeof(",\"hash\":\"\"}\n") - 1 + 2 * SHA256_LEN)

enum receipt_type {
	RECEIPT_LOG,	     /* first line of a file */
	RECEIPT_PART,	     /* a part of evidence, by its digest */
	RECEIPT_ENDORSEMENT, /* a file of endorsements, by its name */
	RECEIPT_ROUND,
	RECEIPT_ADMISSION,
	RECEIPT_GAP, /* what is missing before this line */
};

/* What an appraisal said; RECEIPT_NONE: there was no evidence to appraise. */
enum receipt_verdict { RECEIPT_ADMIT, RECEIPT_DENY, RECEIPT_NONE };

/* Members by type; see the table in receipt.c. Owned. Digests of all zero,
 * empty blobs and NULL texts are absent where a member may be. */
struct receipt {
	uint32_t type; /* enum receipt_type */
	char *format, *token;
	uint64_t time; /* seconds since 1970, the machine's claim */

	uint8_t sha256[SHA256_LEN]; /* of data */
	char *name;
	struct blob data;

	uint64_t pid;
	uint8_t policy_digest[SHA256_LEN];
	uint32_t verdict; /* enum receipt_verdict; an admission's result */
	char *why;
	uint64_t leaves;
	uint8_t root[SHA256_LEN];
	uint8_t head[SHA256_LEN]; /* of the chain leaf, the last of the tree */
	struct blob head_path;
	uint32_t tee; /* enum tee_kind */
	bool simulated;
	uint8_t tee_root[SHA256_LEN];
	uint64_t tee_age_s;
	uint8_t tee_report[SHA256_LEN], tee_aux[SHA256_LEN];
	uint8_t ak_public[SHA256_LEN], ak_cert[SHA256_LEN];
	uint8_t event_log[SHA256_LEN], ccel[SHA256_LEN];
	uint8_t hcl_report[SHA256_LEN], svsm_manifest[SHA256_LEN];
	struct blob tpm_quote, tpm_signature;
	struct pcr_values pcrs;

	uint64_t index;
	struct blob path;
	uint32_t kind; /* enum leaf_kind */
	char *serial, *function;
	uint64_t leaf_pid, fork_count, counter, mechanism;
	struct blob session, random, nonce, key;
	uint8_t parameter_digest[SHA256_LEN], input_digest[SHA256_LEN];
	struct blob leaf; /* of kinds without members of their own */

	uint64_t rounds, bytes;

	uint8_t prev[SHA256_LEN], hash[SHA256_LEN];
};
void receipt_clear(struct receipt *r);

/* The parts of evidence that have lines of their own, and their digests. */
#define RECEIPT_PARTS 8
struct receipt_part {
	const char *name;
	size_t digest; /* in struct receipt */
	size_t blob;   /* in struct evidence */
};
extern const struct receipt_part receipt_parts[RECEIPT_PARTS];

/* A line without its chain: everything before ,"prev", and its digest. */
struct receipt_body {
	struct blob text;
	uint8_t digest[SHA256_LEN];
};
void receipt_body_clear(struct receipt_body *b);
int receipt_encode(const struct receipt *r,
    struct receipt_body *ret) _must_check_;
/* hash of the line whose body is b after a line whose hash is prev. */
int receipt_hash(const uint8_t prev[static SHA256_LEN],
    const struct receipt_body *b, uint8_t out[static SHA256_LEN]) _must_check_;
/* Appends the whole line to out; head is prev, and then the line's hash. */
int receipt_append(struct blob *out, const struct receipt_body *b,
    uint8_t head[static SHA256_LEN]) _must_check_;

/*
 * Reads a line (without its line feed) that must follow a line whose hash is
 * prev (NULL: any), and have its own hash. where names it in messages. Refuses
 * with CVM_E_CORRUPT and the member that is not what it was.
 */
int receipt_decode(struct span line, const char *where, const uint8_t *prev,
    struct receipt *ret, struct why *reterr_why) _must_check_;

/* The members of an admission from its leaf, and back. */
int receipt_set_leaf(struct receipt *r, struct span leaf) _must_check_;
int receipt_get_leaf(const struct receipt *r, struct blob *ret) _must_check_;
/* A copy that the format can hold: printable ASCII without " and \. */
int receipt_text(const char *s, char **ret) _must_check_;

const char *receipt_type_name(enum receipt_type type);
const char *receipt_verdict_name(enum receipt_verdict v);

#endif
