/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/receipt_verify.h"

/* The lines of a receipt log: their one encoding, their chain, and where
 * damage is said to be. */

#define LINES_MAX 16
#define LEAVES 4

struct log {
	struct blob text;
	uint8_t head[SHA256_LEN];
	uint8_t first[SHA256_LEN]; /* hash of the first line */
};

static void
log_clear(struct log *l)
{
	blob_clear(&l->text);
}

static void
add(struct log *l, const struct receipt *r)
{
	struct receipt_body b = { 0 };

	assert_int_equal(receipt_encode(r, &b), CVM_OK);
	assert_int_equal(receipt_append(&l->text, &b, l->head), CVM_OK);
	receipt_body_clear(&b);
}

static void
add_first(struct log *l)
{
	char format[] = RECEIPT_FORMAT, token[] = "web";
	const struct receipt r = { .type = RECEIPT_LOG,
		.format = format,
		.token = token,
		.time = 1790000000 };

	add(l, &r);
	memcpy(l->first, l->head, SHA256_LEN);
}

static void
add_part(struct log *l, uint8_t digest[static SHA256_LEN])
{
	uint8_t bytes[] = "a part of evidence";
	struct receipt r = { .type = RECEIPT_PART,
		.data = { bytes, sizeof(bytes) } };

	assert_int_equal(hash(HASH_SHA256, span(bytes, sizeof(bytes)),
			     r.sha256),
	    CVM_OK);
	memcpy(digest, r.sha256, SHA256_LEN);
	add(l, &r);
}

static void
make_leaves(struct blob leaves[static LEAVES],
    const uint8_t head[static SHA256_LEN])
{
	struct operation_leaf op = { .serial = "0123456789abcdef",
		.counter = 3,
		.function = "C_Sign",
		.mechanism = 0x1041,
		.key_fingerprint = { 7 },
		.input_digest = { 8 },
		.random = { 9 } };
	uint8_t rnd[32] = { 1 };

	assert_int_equal(leaf_session(op.serial, 4711, 2, rnd, &leaves[0]),
	    CVM_OK);
	assert_int_equal(leaf_operation(&op, &leaves[1]), CVM_OK);
	assert_int_equal(leaf_challenge(span("nonce-of-it", 11), span("", 0),
			     &leaves[2]),
	    CVM_OK);
	assert_int_equal(leaf_chain(head, &leaves[3]), CVM_OK);
}

static void
add_admission(struct log *l, const struct blob *leaves, size_t i,
    const uint8_t root[static SHA256_LEN], uint32_t verdict)
{
	struct receipt r = { .type = RECEIPT_ADMISSION,
		.index = i,
		.verdict = verdict };

	memcpy(r.root, root, SHA256_LEN);
	assert_int_equal(merkle_proof(leaves, LEAVES, i, &r.path), CVM_OK);
	assert_int_equal(receipt_set_leaf(&r, blob_span(&leaves[i])), CVM_OK);
	assert_int_not_equal(r.kind, LEAF_OTHER);
	add(l, &r);
	receipt_clear(&r);
}

static void
add_round(struct log *l, uint32_t verdict, const uint8_t *report,
    const uint8_t head[static SHA256_LEN])
{
	struct blob leaves[LEAVES] = { 0 };
	char why[] = "it was so";
	uint8_t quote[] = "quote";
	struct receipt r = { .type = RECEIPT_ROUND,
		.time = 1790000001,
		.pid = 4711,
		.policy_digest = { 5 },
		.verdict = verdict,
		.why = verdict == RECEIPT_ADMIT ? NULL : why,
		.leaves = LEAVES,
		.tee = TEE_SNP,
		.simulated = true,
		.tee_age_s = 17,
		.tpm_quote = { quote, sizeof(quote) },
		.pcrs = { .bank = HASH_SHA256, .mask = 0x11 } };

	make_leaves(leaves, head);
	memcpy(r.head, head, SHA256_LEN);
	if (report != NULL)
		memcpy(r.tee_report, report, SHA256_LEN);
	assert_int_equal(merkle_root(leaves, LEAVES, r.root), CVM_OK);
	assert_int_equal(merkle_proof(leaves, LEAVES, LEAVES - 1, &r.head_path),
	    CVM_OK);
	add(l, &r);
	for (size_t i = 0; i + 1 < LEAVES; i++)
		add_admission(l, leaves, i, r.root, verdict);
	for (size_t i = 0; i < LEAVES; i++)
		blob_clear(&leaves[i]);
	blob_clear(&r.head_path);
}

static void
add_gap(struct log *l)
{
	char why[] = "no room";
	const struct receipt r = { .type = RECEIPT_GAP,
		.time = 1790000002,
		.rounds = 3,
		.bytes = 40,
		.why = why };

	add(l, &r);
}

static void
make_log(struct log *l)
{
	char name[] = "amd/milan/ark.pem";
	uint8_t bytes[] = "a root", digest[SHA256_LEN];
	struct receipt e = { .type = RECEIPT_ENDORSEMENT,
		.name = name,
		.data = { bytes, sizeof(bytes) } };

	*l = (struct log){ 0 };
	add_first(l);
	add_part(l, digest);
	assert_int_equal(hash(HASH_SHA256, span(bytes, sizeof(bytes)),
			     e.sha256),
	    CVM_OK);
	add(l, &e);
	add_round(l, RECEIPT_ADMIT, digest, l->head);
	add_gap(l);
	add_round(l, RECEIPT_NONE, NULL, l->head);
	add_round(l, RECEIPT_DENY, digest, l->head);
}

/* Without a policy: chain and proofs. */
static int
verify(struct span text, struct receipt_counts *counts, struct why *why)
{
	static const struct receipt_options o = { 0 };
	_cleanup_(receipts_freep) struct receipt_verifier *v = NULL;
	int err;

	*why = (struct why){ 0 };
	assert_int_equal(receipts_new(&o, &v), CVM_OK);
	err = receipts_verify(v, text, "log", why);
	if (counts != NULL)
		*counts = *receipts_counts(v);
	return err;
}

static void
whole_log_refused(void **state)
{
	_cleanup_(log_clear) struct log l = { 0 };
	struct receipt_counts c;
	struct why why;

	(void)state;
	make_log(&l);
	assert_int_equal(verify(blob_span(&l.text), &c, &why), CVM_OK);
	assert_int_equal(c.lines, 16);
	assert_int_equal(c.rounds, 3);
	assert_int_equal(c.denied, 1);
	assert_int_equal(c.unreachable, 1);
	assert_int_equal(c.admissions, 9);
	assert_int_equal(c.operations, 3);
	assert_int_equal(c.missed, 3);
	assert_int_equal(c.torn, 40);
	assert_false(c.continued);
	assert_memory_equal(c.head, l.head, SHA256_LEN);
}

/* The member that the byte at this place of a line belongs to, as the text
 * itself says; a separator belongs to the one before it. */
static void
member_at(const char *line, size_t at, char *name, size_t len)
{
	size_t i = 0;

	(void)snprintf(name, len, "type");
	while (i <= at && line[i] != '\n') {
		/* A member begins: {"name": or ,"name": at the top level. */
		if ((line[i] == '{' || line[i] == ',') && line[i + 1] == '"') {
			size_t n = strcspn(line + i + 2, "\"");

			if (at < i + 1)
				return;
			(void)snprintf(name, len, "%.*s", (int)n, line + i + 2);
			i += n + 4;
			if (line[i] == '{')
				i += strcspn(line + i, "}") + 1;
			continue;
		}
		i++;
	}
}

static unsigned
line_of(const struct blob *text, size_t at, size_t *ret_start)
{
	unsigned n = 1;

	*ret_start = 0;
	for (size_t i = 0; i < at; i++)
		if (text->data[i] == '\n') {
			n++;
			*ret_start = i + 1;
		}
	return n;
}

/* The member, something inside of it, or its name with one byte changed. */
static bool
is_said(const char *field, const char *member)
{
	size_t n = strlen(member), changed = 0;

	if (strncmp(field, member, n) == 0)
		return true;
	if (strlen(field) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		changed += field[i] != member[i];
	return changed == 1;
}

static void
changed_byte_not_located(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x20, 0x80 };
	_cleanup_(log_clear) struct log l = { 0 };

	(void)state;
	make_log(&l);
	for (size_t at = 0; at < l.text.len; at++)
		for (size_t f = 0; f < NELEMS(flips); f++) {
			char where[32], member[64];
			struct why why;
			size_t start;
			unsigned line = line_of(&l.text, at, &start);

			member_at((char *)l.text.data + start, at - start,
			    member, sizeof(member));
			l.text.data[at] ^= flips[f];
			assert_int_equal(verify(blob_span(&l.text), NULL, &why),
			    CVM_E_CORRUPT);
			l.text.data[at] ^= flips[f];
			(void)snprintf(where, sizeof(where), "log:%u", line);
			if (strcmp(why.where, where) != 0)
				print_message("# byte %zu: %s, not %s\n", at,
				    why.where, where);
			assert_string_equal(why.where, where);
			assert_string_not_equal(why.field, "");
			/* The last line feed is no member's. */
			if (at + 1 == l.text.len) {
				assert_string_equal(why.field, "line");
				assert_non_null(strstr(why.hint, "half a "));
			} else if (!is_said(why.field, member))
				fail_msg("%s byte %zu ^ %x: %s, in %s", where,
				    at - start, flips[f], why.field, member);
		}
}

/* What deviates in spelling only is refused, too: a line has one encoding. */
static void
other_spelling_accepted(void **state)
{
	static const char *const edits[][2] = {
		{ "\"type\":\"log\"", "\"type\": \"log\"" },
		{ "\"time\":\"1790000000\"", "\"time\":\"01790000000\"" },
		{ "\"time\":\"1790000000\"", "\"time\":1790000000" },
		{ "\"leaves\":4", "\"leaves\":4.0" },
		{ "\"leaves\":4", "\"leaves\":04" },
		{ "\"counter\":\"3\"", "\"counter\":\"+3\"" },
		{ "\"mechanism\":\"0x1041\"", "\"mechanism\":\"0x01041\"" },
		{ "\"mechanism\":\"0x1041\"", "\"mechanism\":\"0X1041\"" },
		{ "\"function\":\"C_Sign\"", "\"function\":\"C_S\\u0069gn\"" },
		{ "\"token\":\"web\"", "\"token\":\"web\",\"more\":\"1\"" },
		{ "\"token\":\"web\",", "" },
		{ "\"simulated\":true", "\"simulated\":\"true\"" },
		{ ",\"why\":\"no room\"", ",\"why\":\"no room\" " },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(edits); i++) {
		_cleanup_(log_clear) struct log l = { 0 };
		_cleanup_(freep) char *text = NULL;
		struct why why;
		char *at, *p;

		make_log(&l);
		text = strndup((char *)l.text.data, l.text.len);
		at = strstr(text, edits[i][0]);
		assert_non_null(at);
		assert_true(asprintf(&p, "%.*s%s%s", (int)(at - text), text,
				edits[i][1], at + strlen(edits[i][0])) > 0);
		assert_int_equal(verify(span(p, strlen(p)), NULL, &why),
		    CVM_E_CORRUPT);
		free(p);
	}
}

struct edit {
	size_t from, n; /* lines left out, from 1 */
	size_t twice;	/* a line that stands there again */
	size_t swap;	/* a line that changes places with the next */
};

static void
edit_lines(const struct blob *in, const struct edit *e, struct blob *out)
{
	struct span line[LINES_MAX + 1];
	size_t n = 0, at = 0;

	while (at < in->len) {
		const uint8_t *end = memchr(in->data + at, '\n', in->len - at);

		assert_true(n < NELEMS(line));
		line[n] = span(in->data + at,
		    (size_t)(end - in->data) + 1 - at);
		at += line[n++].len;
	}
	if (e->swap > 0) {
		struct span s = line[e->swap - 1];

		line[e->swap - 1] = line[e->swap];
		line[e->swap] = s;
	}
	for (size_t i = 0; i < n; i++) {
		if (i + 1 >= e->from && i + 1 < e->from + e->n)
			continue;
		assert_int_equal(blob_append(out, line[i]), CVM_OK);
		if (i + 1 == e->twice)
			assert_int_equal(blob_append(out, line[i]), CVM_OK);
	}
}

static void
line_missing_or_moved(void **state)
{
	static const struct {
		struct edit edit;
		unsigned line;
		const char *field;
	} rows[] = {
		{ { .from = 2, .n = 1 }, 2, "prev" },
		{ { .from = 4, .n = 4 }, 4, "prev" },
		{ { .from = 15, .n = 1 }, 15, "prev" },
		{ { .twice = 8 }, 9, "prev" },
		{ { .twice = 1 }, 2, "prev" },
		{ { .swap = 5 }, 5, "prev" },
		{ { .from = 1, .n = 1 }, 1, "type" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(log_clear) struct log l = { 0 };
		_cleanup_(blob_clear) struct blob text = { 0 };
		struct why why;
		char where[32];

		make_log(&l);
		edit_lines(&l.text, &rows[i].edit, &text);
		assert_int_equal(verify(blob_span(&text), NULL, &why),
		    CVM_E_CORRUPT);
		(void)snprintf(where, sizeof(where), "log:%u", rows[i].line);
		assert_string_equal(why.where, where);
		assert_string_equal(why.field, rows[i].field);
	}
}

static void
end_torn(void **state)
{
	_cleanup_(log_clear) struct log l = { 0 };
	struct why why;
	size_t start;

	(void)state;
	make_log(&l);
	(void)line_of(&l.text, l.text.len - 1, &start);
	for (size_t n = start + 1; n < l.text.len; n++) {
		assert_int_equal(verify(span(l.text.data, n), NULL, &why),
		    CVM_E_CORRUPT);
		assert_string_equal(why.where, "log:16");
	}
	assert_int_equal(verify(span(l.text.data, start), NULL, &why), CVM_OK);
	assert_int_equal(verify(span("", 0), NULL, &why), CVM_E_CORRUPT);
}

/* Whoever writes all hashes anew cannot write what the evidence is over. */
static void
rewritten_log_accepted(void **state)
{
	uint8_t other[SHA256_LEN], digest[SHA256_LEN];
	struct log l = { 0 };
	struct why why;

	(void)state;
	/* A round over the head of a log that had another line. */
	add_first(&l);
	memcpy(other, l.head, SHA256_LEN);
	other[0] ^= 1;
	add_part(&l, digest);
	add_round(&l, RECEIPT_ADMIT, digest, other);
	assert_int_equal(verify(blob_span(&l.text), NULL, &why), CVM_E_CORRUPT);
	assert_string_equal(why.where, "log:3");
	assert_string_equal(why.field, "head");
	log_clear(&l);

	/* The head of the first line will do for any later round: lines of
	 * other processes may come between. */
	l = (struct log){ 0 };
	add_first(&l);
	add_part(&l, digest);
	add_round(&l, RECEIPT_ADMIT, digest, l.first);
	assert_int_equal(verify(blob_span(&l.text), NULL, &why), CVM_OK);
	log_clear(&l);
}

/* Lines that are well-formed, chained and wrong. */
static void
admission_of_no_round(void **state)
{
	struct blob leaves[LEAVES] = { 0 };
	uint8_t root[SHA256_LEN];
	struct log l = { 0 };
	struct why why;

	(void)state;
	add_first(&l);
	make_leaves(leaves, l.head);
	assert_int_equal(merkle_root(leaves, LEAVES, root), CVM_OK);
	add_admission(&l, leaves, 1, root, RECEIPT_ADMIT);
	assert_int_equal(verify(blob_span(&l.text), NULL, &why), CVM_E_CORRUPT);
	assert_string_equal(why.where, "log:2");
	assert_string_equal(why.field, "type");
	log_clear(&l);

	/* The round's own, once more: an index comes once. */
	l = (struct log){ 0 };
	add_first(&l);
	add_round(&l, RECEIPT_NONE, NULL, l.first);
	add_admission(&l, leaves, 1, root, RECEIPT_NONE);
	assert_int_equal(verify(blob_span(&l.text), NULL, &why), CVM_E_CORRUPT);
	assert_string_equal(why.field, "index");
	log_clear(&l);

	/* Refused there, said to be admitted here. */
	l = (struct log){ 0 };
	add_first(&l);
	add_round(&l, RECEIPT_NONE, NULL, l.first);
	add_admission(&l, leaves, 2, root, RECEIPT_ADMIT);
	assert_int_equal(verify(blob_span(&l.text), NULL, &why), CVM_E_CORRUPT);
	assert_string_equal(why.field, "result");
	log_clear(&l);
	for (size_t i = 0; i < LEAVES; i++)
		blob_clear(&leaves[i]);
}

/* What is no leaf of ours, or cannot be said in members, is kept as it is. */
static void
leaf_distorted(void **state)
{
	static const char *const texts[] = { "no tuple at all",
		"serial \"with\" marks", "back\\slash", "" };
	uint8_t rnd[32] = { 3 };

	(void)state;
	for (size_t i = 0; i < NELEMS(texts); i++) {
		_cleanup_(receipt_clear) struct receipt r = { 0 };
		_cleanup_(blob_clear) struct blob leaf = { 0 }, again = { 0 };

		if (i == 0)
			assert_int_equal(blob_set(&leaf,
					     span(texts[i], strlen(texts[i]))),
			    CVM_OK);
		else
			assert_int_equal(leaf_session(texts[i], 1, 2, rnd,
					     &leaf),
			    CVM_OK);
		r.type = RECEIPT_ADMISSION;
		assert_int_equal(receipt_set_leaf(&r, blob_span(&leaf)),
		    CVM_OK);
		assert_int_equal(r.kind, LEAF_OTHER);
		assert_int_equal(receipt_get_leaf(&r, &again), CVM_OK);
		assert_true(span_equal(blob_span(&leaf), blob_span(&again)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_log_refused),
		cmocka_unit_test(changed_byte_not_located),
		cmocka_unit_test(other_spelling_accepted),
		cmocka_unit_test(line_missing_or_moved),
		cmocka_unit_test(end_torn),
		cmocka_unit_test(rewritten_log_accepted),
		cmocka_unit_test(admission_of_no_round),
		cmocka_unit_test(leaf_distorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
