/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>
#include <string.h>

#include "attest/receipt_members.h"
#include "attest/receipt_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the members of a line's text begin; a string has no escapes. */
static void
find_members(struct receipt_text *t)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < t->text.len && t->n < RECEIPT_MEMBERS_MAX; i++) {
		const uint8_t c = t->text.data[i];

		quoted = c == '"' ? !quoted : quoted;
		depth += quoted ? 0 : (c == '{') - (c == '}');
		if (i == 0 || (!quoted && depth == 1 && c == ','))
			t->at[t->n++] = i + 1;
	}
	t->at[t->n] = t->text.len + 1;
}

/* The line with the sums and the chain that it should have. */
static void
mend(struct span line, uint8_t head[static SHA256_LEN], struct blob *out)
{
	static const char tail[] = ",\"sums\":\"";
	_cleanup_(receipt_text_clear) struct receipt_text t = { .n = 0 };
	_cleanup_(receipt_body_clear) struct receipt_body b = { 0 };
	uint8_t sums[SUMS_MAX];
	const uint8_t *end = line.len == 0 ?
	    NULL :
	    memmem(line.data, line.len, tail, sizeof(tail) - 1);

	if (end != NULL)
		line.len = (size_t)(end - line.data);
	if (line.len == 0 || blob_set(&t.text, line) != CVM_OK)
		return;
	find_members(&t);
	if (receipt_sums(&t, sums) == CVM_OK &&
	    receipt_body(&t, sums, &b) == CVM_OK)
		(void)!receipt_append(out, &b, head);
}

/* What was read, and is written again, is the same. */
static void
check_line(struct span line)
{
	_cleanup_(receipt_clear) struct receipt r = { 0 };
	_cleanup_(receipt_body_clear) struct receipt_body b = { 0 };
	_cleanup_(blob_clear) struct blob again = { 0 };
	uint8_t head[SHA256_LEN];
	struct why why = { 0 };
	int err = receipt_decode(line, "seed:1", NULL, &r, &why);

	if (err != CVM_OK) {
		if (err != CVM_E_NOMEM && why.expected[0] == '\0')
			abort();
		return;
	}
	memcpy(head, r.prev, sizeof(head));
	if (receipt_encode(&r, &b) == CVM_OK &&
	    receipt_append(&again, &b, head) == CVM_OK &&
	    !span_equal(span(again.data, again.len - 1), line))
		abort();
}

static void
check_log(struct span log)
{
	const struct receipt_options o = { .policy = NULL };
	struct receipt_verifier *v = NULL;
	struct why why = { 0 };

	if (receipts_new(&o, &v) != CVM_OK)
		return;
	if (receipts_verify(v, log, "seed", &why) == CVM_E_CORRUPT &&
	    why.expected[0] == '\0')
		abort();
	receipts_freep(&v);
}

/* As it is, and mended: no hash is right by chance. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(blob_clear) struct blob mended = { 0 };
	uint8_t head[SHA256_LEN] = { 0 };

	check_log(span(data, size));
	for (size_t at = 0, len; at < size; at += len + 1) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t from = mended.len;

		len = end != NULL ? (size_t)(end - data) - at : size - at;
		mend(span(data + at, len), head, &mended);
		if (mended.len > from)
			check_line(
			    span(mended.data + from, mended.len - from - 1));
	}
	check_log(blob_span(&mended));
	return 0;
}
