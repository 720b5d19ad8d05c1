/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/receipt_members.h"
#include "base/tuple.h"

static const struct json_word type_v[] = {
	{ "log", RECEIPT_LOG },
	{ "part", RECEIPT_PART },
	{ "endorsement", RECEIPT_ENDORSEMENT },
	{ "round", RECEIPT_ROUND },
	{ "admission", RECEIPT_ADMISSION },
	{ "gap", RECEIPT_GAP },
};
static const struct json_word verdict_v[] = {
	{ "admit", RECEIPT_ADMIT },
	{ "deny", RECEIPT_DENY },
	{ "none", RECEIPT_NONE },
};
static const struct json_word tee_v[] = {
	{ "none", TEE_NONE },
	{ "sev", TEE_SEV },
	{ "snp", TEE_SNP },
	{ "tdx", TEE_TDX },
};
static const struct json_word kind_v[] = {
	{ "session", LEAF_SESSION },
	{ "operation", LEAF_OPERATION },
	{ "challenge", LEAF_CHALLENGE },
	{ "key", LEAF_KEY },
	{ "other", LEAF_OTHER },
};
static const struct json_words types = JSON_WORDS(type_v);
static const struct json_words verdicts = JSON_WORDS(verdict_v);
static const struct json_words tees = JSON_WORDS(tee_v);
static const struct json_words kinds = JSON_WORDS(kind_v);

#define SESSION ON_SESSION
#define OPERATION ON_OPERATION
#define CHALLENGE ON_CHALLENGE
#define ADMISSION (SESSION | OPERATION | CHALLENGE | ON_OTHER)
#define ROUND (ON_ROUND | ON_NONE)
#define ALL (ON_LOG | ON_PART | ON_ENDORSEMENT | ROUND | ADMISSION | ON_GAP)
#define M(name, on, kind, field, max, words, optional)                         \
	{                                                                      \
		name, on, kind, offsetof(struct receipt, field), max, words,   \
		    optional                                                   \
	}

/* clang-format off */
const struct receipt_member receipt_members[] = {
	M("type", ALL, AS_WORD, type, 0, &types, false),
	M("format", ON_LOG, AS_TEXT, format, 64, NULL, false),
	M("token", ON_LOG, AS_TEXT, token, 64, NULL, false),
	M("time", ON_LOG | ROUND | ON_GAP, AS_DECIMAL, time, 0, NULL, false),

	M("sha256", ON_PART | ON_ENDORSEMENT, AS_DIGEST, sha256, 0, NULL,
	    false),
	M("name", ON_ENDORSEMENT, AS_TEXT, name, 255, NULL, false),
	M("data", ON_PART | ON_ENDORSEMENT, AS_BASE64, data, RECEIPT_LINE_MAX,
	    NULL, false),

	M("pid", ROUND, AS_DECIMAL, pid, 0, NULL, false),
	M("policy_digest", ROUND, AS_DIGEST, policy_digest, 0, NULL, false),
	M("verdict", ROUND, AS_WORD, verdict, 0, &verdicts, false),
	M("why", ROUND, AS_TEXT, why, RECEIPT_TEXT_MAX, NULL, true),
	M("leaves", ROUND, AS_NUMBER, leaves, MERKLE_LEAVES_MAX, NULL, false),
	M("root", ROUND | ADMISSION, AS_DIGEST, root, 0, NULL, false),
	M("head", ROUND, AS_DIGEST, head, 0, NULL, false),
	M("head_path", ROUND, AS_HEX, head_path, MERKLE_PATH_MAX, NULL, false),
	M("tee", ON_ROUND, AS_WORD, tee, 0, &tees, false),
	M("simulated", ON_ROUND, AS_BOOL, simulated, 0, NULL, false),
	M("tee_root", ON_ROUND, AS_DIGEST, tee_root, 0, NULL, true),
	M("tee_age_s", ON_ROUND, AS_DECIMAL, tee_age_s, 0, NULL, false),
	M("tee_report", ON_ROUND, AS_DIGEST, tee_report, 0, NULL, true),
	M("tee_aux", ON_ROUND, AS_DIGEST, tee_aux, 0, NULL, true),
	M("ak_public", ON_ROUND, AS_DIGEST, ak_public, 0, NULL, true),
	M("ak_cert", ON_ROUND, AS_DIGEST, ak_cert, 0, NULL, true),
	M("event_log", ON_ROUND, AS_DIGEST, event_log, 0, NULL, true),
	M("ccel", ON_ROUND, AS_DIGEST, ccel, 0, NULL, true),
	M("hcl_report", ON_ROUND, AS_DIGEST, hcl_report, 0, NULL, true),
	M("svsm_manifest", ON_ROUND, AS_DIGEST, svsm_manifest, 0, NULL, true),
	M("tpm_quote", ON_ROUND, AS_BASE64, tpm_quote, 4096, NULL, true),
	M("tpm_signature", ON_ROUND, AS_BASE64, tpm_signature, 4096, NULL,
	    true),
	M("pcrs", ON_ROUND, AS_PCRS, pcrs, 0, NULL, true),

	M("index", ADMISSION, AS_NUMBER, index, MERKLE_LEAVES_MAX - 1, NULL,
	    false),
	M("path", ADMISSION, AS_HEX, path, MERKLE_PATH_MAX, NULL, false),
	M("result", ADMISSION, AS_WORD, verdict, 0, &verdicts, false),
	M("kind", ADMISSION, AS_WORD, kind, 0, &kinds, false),
	M("serial", SESSION | OPERATION, AS_TEXT, serial, 64, NULL, false),
	M("pid", SESSION, AS_DECIMAL, leaf_pid, 0, NULL, false),
	M("fork_count", SESSION, AS_DECIMAL, fork_count, 0, NULL, false),
	M("session", OPERATION, AS_HEX, session, SESSION_ID_LEN, NULL, false),
	M("counter", OPERATION, AS_DECIMAL, counter, 0, NULL, false),
	M("function", OPERATION, AS_TEXT, function, 64, NULL, false),
	M("mechanism", OPERATION, AS_MECHANISM, mechanism, 0, NULL, false),
	M("parameter_digest", OPERATION, AS_DIGEST, parameter_digest, 0, NULL,
	    false),
	M("nonce", CHALLENGE, AS_HEX, nonce, CHALLENGE_NONCE_MAX, NULL, false),
	M("key", OPERATION | CHALLENGE, AS_HEX, key, SHA256_LEN, NULL, true),
	M("input_digest", OPERATION, AS_DIGEST, input_digest, 0, NULL, false),
	M("random", SESSION | OPERATION, AS_HEX, random, 32, NULL, false),
	M("leaf", ON_OTHER, AS_BASE64, leaf, 4096, NULL, false),

	M("rounds", ON_GAP, AS_DECIMAL, rounds, 0, NULL, false),
	M("bytes", ON_GAP, AS_DECIMAL, bytes, 0, NULL, false),
	M("why", ON_GAP, AS_TEXT, why, RECEIPT_TEXT_MAX, NULL, false),
};
/* clang-format on */
const size_t n_receipt_members = NELEMS(receipt_members);

const struct receipt_part receipt_parts[RECEIPT_PARTS] = {
#define ROW(member)                                                            \
	{                                                                      \
#member, offsetof(struct receipt, member),                     \
		    offsetof(struct evidence, member)                          \
	}
	ROW(tee_report),
	ROW(tee_aux),
	ROW(ak_public),
	ROW(ak_cert),
	ROW(event_log),
	ROW(ccel),
	ROW(hcl_report),
	ROW(svsm_manifest),
#undef ROW
};

static const char *
word_of(const struct json_words *words, uint32_t value)
{
	for (size_t i = 0; i < words->n; i++)
		if (words->v[i].value == value)
			return words->v[i].word;
	return NULL;
}

const char *
receipt_type_name(enum receipt_type type)
{
	return word_of(&types, type);
}

const char *
receipt_verdict_name(enum receipt_verdict v)
{
	return word_of(&verdicts, v);
}

void
receipt_clear(struct receipt *r)
{
	for (size_t i = 0; i < NELEMS(receipt_members); i++) {
		void *at = (char *)r + receipt_members[i].offset;

		if (receipt_members[i].as == AS_TEXT)
			freep(at);
		else if (receipt_members[i].as == AS_HEX ||
		    receipt_members[i].as == AS_BASE64)
			blob_clear(at);
	}
	*r = (struct receipt){ 0 };
}

unsigned
receipt_shape(const struct receipt *r)
{
	static const unsigned by_type[] = { [RECEIPT_LOG] = ON_LOG,
		[RECEIPT_PART] = ON_PART,
		[RECEIPT_ENDORSEMENT] = ON_ENDORSEMENT,
		[RECEIPT_ROUND] = ON_ROUND,
		[RECEIPT_GAP] = ON_GAP };
	static const unsigned by_kind[LEAF_KINDS] = { [LEAF_SESSION] = SESSION,
		[LEAF_OPERATION] = OPERATION,
		[LEAF_CHALLENGE] = CHALLENGE,
		[LEAF_KEY] = ON_OTHER,
		[LEAF_OTHER] = ON_OTHER };

	if (r->type == RECEIPT_ADMISSION)
		return by_kind[r->kind];
	if (r->type == RECEIPT_ROUND && r->verdict == RECEIPT_NONE)
		return ON_NONE;
	return by_type[r->type];
}

/* Writing. */

static void
put(struct writer *w, const char *s)
{
	write_bytes(w, span(s, strlen(s)));
}

static void
put_hex(struct writer *w, struct span s)
{
	char text[2 * 64 + 1];

	for (size_t i = 0; i < s.len; i += 64)
		put(w,
		    hex_encode(span(s.data + i,
				   s.len - i < 64 ? s.len - i : 64),
			text, sizeof(text)));
}

static void
put_base64(struct writer *w, struct span s)
{
	_cleanup_(freep) char *text = NULL;

	if (base64_encode(s, &text) != CVM_OK)
		w->failed = true;
	else
		put(w, text);
}

static void
put_pcrs(struct writer *w, const struct pcr_values *v)
{
	char index[16];

	put(w,
	    v->bank == HASH_SHA384 ? "{\"bank\":\"sha384\"" :
				     "{\"bank\":\"sha256\"");
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		if ((v->mask & 1u << i) == 0)
			continue;
		(void)snprintf(index, sizeof(index), ",\"%u\":\"", i);
		put(w, index);
		put_hex(w, span(v->value[i], hash_len(v->bank)));
		put(w, "\"");
	}
	put(w, "}");
}

static void
put_number(struct writer *w, uint64_t v)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	put(w, text);
}

static void
put_mechanism(struct writer *w, uint64_t v)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "0x%" PRIx64, v);
	put(w, text);
}

/* What stands between quotation marks. */
static void
put_string(struct writer *w, const struct receipt_member *m, const void *at)
{
	const struct blob *b = at;
	uint32_t word;

	switch (m->as) {
	case AS_WORD:
		memcpy(&word, at, sizeof(word));
		put(w, word_of(m->words, word));
		break;
	case AS_TEXT:
		put(w, *(char *const *)at);
		break;
	case AS_DECIMAL:
		put_number(w, *(const uint64_t *)at);
		break;
	case AS_MECHANISM:
		put_mechanism(w, *(const uint64_t *)at);
		break;
	case AS_DIGEST:
		put_hex(w, span(at, SHA256_LEN));
		break;
	case AS_HEX:
		put_hex(w, blob_span(b));
		break;
	default:
		put_base64(w, blob_span(b));
	}
}

static void
put_value(struct writer *w, const struct receipt_member *m, const void *at)
{
	switch (m->as) {
	case AS_NUMBER:
		put_number(w, *(const uint64_t *)at);
		break;
	case AS_BOOL:
		put(w, *(const bool *)at ? "true" : "false");
		break;
	case AS_PCRS:
		put_pcrs(w, at);
		break;
	default:
		put(w, "\"");
		put_string(w, m, at);
		put(w, "\"");
	}
}

/* Such a value says that there is none, where that is allowed. */
static bool
is_absent(const struct receipt_member *m, const void *at)
{
	if (!m->optional)
		return false;
	switch (m->as) {
	case AS_DIGEST:
		return span_is_filled(span(at, SHA256_LEN), 0) != 0;
	case AS_TEXT:
		return *(char *const *)at == NULL;
	case AS_PCRS:
		return ((const struct pcr_values *)at)->mask == 0;
	default:
		return ((const struct blob *)at)->len == 0;
	}
}

int
receipt_write(const struct receipt *r, struct receipt_text *ret)
{
	struct receipt_text t = { .n = 0 };
	struct writer w = { 0 };
	unsigned shape = receipt_shape(r);

	for (size_t i = 0; i < NELEMS(receipt_members); i++) {
		const struct receipt_member *m = &receipt_members[i];
		const void *at = (const char *)r + m->offset;

		if ((m->on & shape) == 0 || is_absent(m, at))
			continue;
		put(&w, t.n == 0 ? "{" : ",");
		t.at[t.n] = w.out.len;
		t.name[t.n++] = m->name;
		put(&w, "\"");
		put(&w, m->name);
		put(&w, "\":");
		put_value(&w, m, at);
	}
	t.at[t.n] = w.out.len + 1; /* where another would begin */
	if (writer_end(&w, &t.text) != CVM_OK)
		return CVM_E_NOMEM;
	*ret = t;
	return CVM_OK;
}

int
receipt_sums(const struct receipt_text *t, uint8_t out[static SUMS_MAX])
{
	uint8_t digest[SHA256_LEN];
	int err;

	for (size_t i = 0; i < t->n; i++) {
		err = hash(HASH_SHA256,
		    span(t->text.data + t->at[i], t->at[i + 1] - 1 - t->at[i]),
		    digest);
		if (err != CVM_OK)
			return err;
		memcpy(out + SUM_LEN * i, digest, SUM_LEN);
	}
	return CVM_OK;
}

int
receipt_body(const struct receipt_text *t, const uint8_t *sums,
    struct receipt_body *ret)
{
	_cleanup_(receipt_body_clear) struct receipt_body b = { 0 };
	struct writer w = { 0 };
	int err;

	write_bytes(&w, blob_span(&t->text));
	put(&w, ",\"sums\":\"");
	put_hex(&w, span(sums, SUM_LEN * t->n));
	put(&w, "\"");
	if ((err = writer_end(&w, &b.text)) != CVM_OK ||
	    (err = hash(HASH_SHA256, blob_span(&b.text), b.digest)) != CVM_OK)
		return err;
	*ret = b;
	b = (struct receipt_body){ 0 };
	return CVM_OK;
}

void
receipt_body_clear(struct receipt_body *b)
{
	blob_clear(&b->text);
	*b = (struct receipt_body){ 0 };
}

int
receipt_encode(const struct receipt *r, struct receipt_body *ret)
{
	_cleanup_(receipt_text_clear) struct receipt_text t = { .n = 0 };
	uint8_t sums[SUMS_MAX];
	int err;

	if ((err = receipt_write(r, &t)) != CVM_OK ||
	    (err = receipt_sums(&t, sums)) != CVM_OK)
		return err;
	return receipt_body(&t, sums, ret);
}

int
receipt_hash(const uint8_t prev[static SHA256_LEN],
    const struct receipt_body *b, uint8_t out[static SHA256_LEN])
{
	const struct span fields[] = { span(prev, SHA256_LEN),
		span(b->digest, SHA256_LEN) };
	_cleanup_(blob_clear) struct blob t = { 0 };
	int err;

	err = tuple("cvm-pkcs11/receipt/1", fields, NELEMS(fields), &t);
	return err != CVM_OK ? err : hash(HASH_SHA256, blob_span(&t), out);
}

int
receipt_append(struct blob *out, const struct receipt_body *b,
    uint8_t head[static SHA256_LEN])
{
	uint8_t h[SHA256_LEN];
	struct writer w = { 0 };
	int err;

	if ((err = receipt_hash(head, b, h)) != CVM_OK)
		return err;
	w.out = *out;
	write_bytes(&w, blob_span(&b->text));
	put(&w, ",\"prev\":\"");
	put_hex(&w, span(head, SHA256_LEN));
	put(&w, "\",\"hash\":\"");
	put_hex(&w, span(h, SHA256_LEN));
	put(&w, "\"}\n");
	*out = w.out;
	if (w.failed)
		return CVM_E_NOMEM;
	memcpy(head, h, SHA256_LEN);
	return CVM_OK;
}

int
receipt_text(const char *s, char **ret)
{
	char *copy = strndup(s, RECEIPT_TEXT_MAX);

	if (copy == NULL)
		return CVM_E_NOMEM;
	for (char *p = copy; *p != '\0'; p++)
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			*p = *p == '"' ? '\'' : *p == '\\' ? '/' : '?';
	free(*ret);
	*ret = copy;
	return CVM_OK;
}
