/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_RECEIPT_MEMBERS_H
#define ATTEST_RECEIPT_MEMBERS_H

#include "attest/receipt.h"
#include "base/reader.h"
#include "conf/json_read.h"

/* What receipt.c and receipt_read.c share: the members of a line, in their
 * order, and which lines have them. */
enum {
	ON_LOG = 1 << 0,
	ON_PART = 1 << 1,
	ON_ENDORSEMENT = 1 << 2,
	ON_ROUND = 1 << 3, /* with evidence */
	ON_NONE = 1 << 4,  /* a round without */
	ON_SESSION = 1 << 5,
	ON_OPERATION = 1 << 6,
	ON_CHALLENGE = 1 << 7,
	ON_OTHER = 1 << 8,
	ON_GAP = 1 << 9,
};

enum receipt_as {
	AS_WORD,
	AS_TEXT,
	AS_DECIMAL,   /* "17" */
	AS_MECHANISM, /* "0x1041" */
	AS_NUMBER,    /* 17 */
	AS_BOOL,
	AS_DIGEST,
	AS_HEX,
	AS_BASE64,
	AS_PCRS,
};

struct receipt_member {
	const char *name;
	unsigned on;
	enum receipt_as as;
	size_t offset;
	size_t max; /* bytes, or the largest number */
	const struct json_words *words;
	bool optional;
};
extern const struct receipt_member receipt_members[];
extern const size_t n_receipt_members;

/* Which of ON_... a line is. */
unsigned receipt_shape(const struct receipt *r);

/* The members of a line as written, and where each begins. */
struct receipt_text {
	struct blob text; /* without sums and chain, and without the } */
	size_t n;
	size_t at[RECEIPT_MEMBERS_MAX + 1];
	const char *name[RECEIPT_MEMBERS_MAX];
};
#define SUM_LEN 2
#define SUMS_MAX (SUM_LEN * RECEIPT_MEMBERS_MAX)

static inline void
receipt_text_clear(struct receipt_text *t)
{
	blob_clear(&t->text);
	t->n = 0;
}

int receipt_write(const struct receipt *r,
    struct receipt_text *ret) _must_check_;
/* The first bytes of each member's hash: they tell which one was changed. */
int receipt_sums(const struct receipt_text *t,
    uint8_t out[static SUMS_MAX]) _must_check_;
int receipt_body(const struct receipt_text *t, const uint8_t *sums,
    struct receipt_body *ret) _must_check_;

#endif
