/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/receipt_members.h"

/* The chain of a line, beside its members. */
struct chained {
	struct receipt r;
	struct blob sums;
};

static void
chained_clear(struct chained *c)
{
	receipt_clear(&c->r);
	blob_clear(&c->sums);
}

/*
 * A first look for the place of damage: an object of members whose values are
 * strings of printable ASCII without escapes, numbers, words, or one object of
 * strings. On failure *ret_name is the member where it ends to be one.
 */
struct scan {
	const uint8_t *at, *end;
	const uint8_t *name; /* of the member that is being read */
};

/* A member that some line has. */
static bool
is_known(const uint8_t *name, size_t len)
{
	static const char *const chain[] = { "sums", "prev", "hash" };

	for (size_t i = 0; i < n_receipt_members + NELEMS(chain); i++) {
		const char *known = i < n_receipt_members ?
		    receipt_members[i].name :
		    chain[i - n_receipt_members];

		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return true;
	}
	return false;
}

static bool
eat(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != (uint8_t)c)
		return false;
	s->at++;
	return true;
}

static bool
eat_string(struct scan *s)
{
	if (!eat(s, '"'))
		return false;
	while (s->at < s->end && *s->at >= ' ' && *s->at <= '~' &&
	    *s->at != '"' && *s->at != '\\')
		s->at++;
	return eat(s, '"');
}

/* A number, true or false. */
static bool
eat_word(struct scan *s)
{
	static const char *const words[] = { "true", "false" };
	const uint8_t *from = s->at;

	for (size_t i = 0; i < NELEMS(words); i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(s->end - s->at) >= n &&
		    memcmp(s->at, words[i], n) == 0) {
			s->at += n;
			return true;
		}
	}
	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > from;
}

static bool
eat_pairs(struct scan *s)
{
	do {
		if (!eat_string(s) || !eat(s, ':') || !eat_string(s))
			return false;
	} while (eat(s, ','));
	return eat(s, '}');
}

/* What stands where a name should, for messages: that is the best clue. */
static bool
eat_name(struct scan *s)
{
	s->name = s->at < s->end ? s->at + 1 : s->at;
	if (!eat(s, '"'))
		return false;
	while (s->at < s->end &&
	    ((*s->at >= 'a' && *s->at <= 'z') || *s->at == '_' ||
		(*s->at >= '0' && *s->at <= '9')))
		s->at++;
	return is_known(s->name, (size_t)(s->at - s->name)) && eat(s, '"') &&
	    eat(s, ':');
}

static bool
eat_member(struct scan *s)
{
	if (!eat_name(s) || s->at == s->end)
		return false;
	if (*s->at == '"')
		return eat_string(s);
	return eat(s, '{') ? eat_pairs(s) : eat_word(s);
}

static int
refuse(const char *where, const char *field, const char *expected,
    const char *got, struct why *why)
{
	return why_set(why, CVM_E_CORRUPT, where, field, expected, got);
}

static int
scan(struct span line, const char *where, struct why *why)
{
	struct scan s = { .at = line.data, .end = line.data + line.len };
	char field[WHY_FIELD_MAX];
	bool good = eat(&s, '{');
	size_t len = 0;

	while (good && (good = eat_member(&s)) && eat(&s, ','))
		;
	if (good && eat(&s, '}') && s.at == s.end)
		return CVM_OK;
	while (s.name != NULL && len < 32 && s.name + len < s.end &&
	    s.name[len] != '"' && s.name[len] != ':')
		len++;
	if (len > 0)
		memcpy(field, s.name, len);
	field[len] = '\0';
	return refuse(where, len > 0 ? field : "type",
	    "a member as the format has it", "other bytes", why);
}

/* Readers of members. */

static JSON_READER(read_decimal)
{
	const char *s = json_is_string(item) ? item->text : "";
	char *end = NULL;

	(void)field;
	errno = 0;
	if (s[0] >= '0' && s[0] <= '9')
		*(uint64_t *)out = strtoull(s, &end, 10);
	if (end == NULL || *end != '\0' || errno != 0)
		return json_refuse(doc, item, "a number of 64 bits", why);
	return CVM_OK;
}

static JSON_READER(read_mechanism)
{
	const char *s = json_is_string(item) ? item->text : "";
	char *end = NULL;

	(void)field;
	errno = 0;
	if (strncmp(s, "0x", 2) == 0 && s[2] != '\0' && s[2] != '-' &&
	    s[2] != '+' && s[2] != ' ')
		*(uint64_t *)out = strtoull(s + 2, &end, 16);
	if (end == NULL || *end != '\0' || errno != 0)
		return json_refuse(doc, item, "0x and hex digits", why);
	return CVM_OK;
}

static JSON_READER(read_number)
{
	if (!json_is_number(item) || item->number < 0 ||
	    item->number > field->max)
		return json_refuse(doc, item, "a smaller number", why);
	*(uint64_t *)out = (uint64_t)item->number;
	return CVM_OK;
}

static JSON_READER(read_digest)
{
	(void)field;
	if (!json_is_string(item) ||
	    hex_decode(item->text, out, SHA256_LEN) != CVM_OK)
		return json_refuse(doc, item, "64 hex digits", why);
	return CVM_OK;
}

static JSON_READER(read_hex)
{
	int err = CVM_E_PARSE;

	if (json_is_string(item))
		err = hex_decode_blob(item->text, (size_t)field->max, out);
	if (err == CVM_E_NOMEM)
		return why_set(why, err, "", "", "", "");
	return err == CVM_OK ? CVM_OK :
			       json_refuse(doc, item, "hex digits", why);
}

static JSON_READER(read_base64)
{
	int err = CVM_E_PARSE;

	if (json_is_string(item))
		err = base64_decode(item->text, (size_t)field->max, out);
	if (err == CVM_E_NOMEM)
		return why_set(why, err, "", "", "", "");
	return err == CVM_OK ? CVM_OK : json_refuse(doc, item, "base64", why);
}

static JSON_READER(read_pcr)
{
	struct pcr_values *v = out;
	char *end = NULL;
	unsigned long i = strtoul(item->name, &end, 10);

	(void)field;
	if (item->name[0] < '0' || item->name[0] > '9' || *end != '\0' ||
	    i >= POLICY_PCR_MAX)
		return json_refuse(doc, item, "a PCR index 0..23", why);
	if (!json_is_string(item) ||
	    hex_decode(item->text, v->value[i], hash_len(v->bank)) != CVM_OK)
		return json_refuse(doc, item, "hex of the bank's size", why);
	v->mask |= 1u << i;
	return CVM_OK;
}

static JSON_READER(read_pcrs)
{
	struct pcr_values *v = out;
	const struct json *bank = json_member(item, "bank"), *child;
	const char *name;
	int err;

	if (!json_is_object(item) || !json_is_string(bank))
		return json_refuse(doc, item, "an object with a bank", why);
	name = bank->text;
	if (strcmp(name, "sha256") != 0 && strcmp(name, "sha384") != 0)
		return json_refuse(doc, bank, "sha256 or sha384", why);
	v->bank = strcmp(name, "sha384") == 0 ? HASH_SHA384 : HASH_SHA256;
	JSON_EACH(child, item) {
		if (child == bank)
			continue;
		if ((err = read_pcr(doc, child, field, out, why)) != CVM_OK)
			return err;
	}
	return CVM_OK;
}

static int (*const readers[])(const struct json_doc *doc,
    const struct json *item, const struct json_field *field, void *out,
    struct why *why) = {
	[AS_WORD] = json_read_word,
	[AS_TEXT] = json_read_text,
	[AS_DECIMAL] = read_decimal,
	[AS_MECHANISM] = read_mechanism,
	[AS_NUMBER] = read_number,
	[AS_BOOL] = json_read_bool,
	[AS_DIGEST] = read_digest,
	[AS_HEX] = read_hex,
	[AS_BASE64] = read_base64,
	[AS_PCRS] = read_pcrs,
};

static struct json_field
row_of(const struct receipt_member *m)
{
	return (struct json_field){
		.name = m->name,
		.required = !m->optional,
		.read = readers[m->as],
		.offset = offsetof(struct chained, r) + m->offset,
		.min = m->as == AS_TEXT ? 1 : 0,
		.max = (long long)m->max,
		.arg = m->words,
	};
}

/* The member that says what the line is: type, kind, verdict. */
static int
read_one(const struct json_doc *doc, const char *name, unsigned on,
    struct chained *c, struct why *why)
{
	for (size_t i = 0; i < n_receipt_members; i++) {
		const struct receipt_member *m = &receipt_members[i];
		const struct json_field row = row_of(m);
		const struct json *item = json_member(json_root(doc), name);

		if (strcmp(m->name, name) != 0 || (m->on & on) == 0)
			continue;
		if (item == NULL)
			return json_refuse_member(doc, json_root(doc), name,
			    "this member", why);
		return row.read(doc, item, &row, (char *)c + row.offset, why);
	}
	return CVM_E_INTERNAL;
}

static int
read_members(const struct json_doc *doc, struct chained *c, struct why *why)
{
	struct json_field rows[RECEIPT_MEMBERS_MAX + 3] = {
		{ .name = "sums",
		    .required = true,
		    .read = read_hex,
		    .offset = offsetof(struct chained, sums),
		    .max = SUMS_MAX },
		{ .name = "prev",
		    .required = true,
		    .read = read_digest,
		    .offset = offsetof(struct chained, r.prev) },
		{ .name = "hash",
		    .required = true,
		    .read = read_digest,
		    .offset = offsetof(struct chained, r.hash) },
	};
	size_t n = 3;
	unsigned shape;
	int err;

	if ((err = read_one(doc, "type", ON_LOG, c, why)) != CVM_OK)
		return err;
	if (c->r.type == RECEIPT_ROUND)
		err = read_one(doc, "verdict", ON_ROUND, c, why);
	else if (c->r.type == RECEIPT_ADMISSION)
		err = read_one(doc, "kind", ON_OTHER, c, why);
	if (err != CVM_OK)
		return err;
	shape = receipt_shape(&c->r);
	for (size_t i = 0; i < n_receipt_members; i++)
		if ((receipt_members[i].on & shape) != 0)
			rows[n++] = row_of(&receipt_members[i]);
	return json_read_object(doc, json_root(doc), rows, n, c, why);
}

static int
parse(struct span line, const char *where, struct chained *c, struct why *why)
{
	static const struct json_limits limits = { RECEIPT_LINE_MAX, 128,
		false };
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	struct why inner = { 0 };
	const char *field = inner.field;
	int err = json_parse_within(line, &limits, where, &doc, &inner);

	if (err == CVM_OK)
		err = read_members(doc, c, &inner);
	if (err == CVM_OK || err == CVM_E_NOMEM)
		return err == CVM_OK ? err :
				       why_set(why, err, where, "", "", "");
	if (strncmp(field, "$.", 2) == 0)
		field += 2;
	return refuse(where,
	    field[0] != '\0' && field[0] != '$' ? field : "members",
	    inner.expected, inner.got, why);
}

/* The one way to write what was read, against what was read. */
static int
check_spelling(struct span line, const char *where,
    const struct receipt_text *t, const struct receipt_body *b,
    const struct receipt *r, struct why *why)
{
	_cleanup_(blob_clear) struct blob whole = { 0 };
	uint8_t head[SHA256_LEN];
	char hash_hex[2 * SHA256_LEN + 1];
	const char *field = "sums";
	size_t at = 0, i = 0;
	int err;

	memcpy(head, r->prev, SHA256_LEN);
	if ((err = receipt_append(&whole, b, head)) != CVM_OK)
		return err;
	/* Its own hash is checked where it can be said what was changed. */
	(void)hex_encode(span(r->hash, SHA256_LEN), hash_hex, sizeof(hash_hex));
	memcpy(whole.data + whole.len - 3 - 2 * SHA256_LEN, hash_hex,
	    2 * SHA256_LEN);
	whole.len--; /* the line feed */
	while (
	    at < whole.len && at < line.len && whole.data[at] == line.data[at])
		at++;
	if (at == whole.len && at == line.len)
		return CVM_OK;
	while (i < t->n && t->at[i] <= at)
		field = t->name[i++];
	if (at > b->text.len)
		field = whole.len - at > 2 * SHA256_LEN + 12 ? "prev" : "hash";
	else if (at >= t->text.len)
		field = "sums";
	return refuse(where, field, "written as the format has it",
	    "another spelling", why);
}

/* Which member is not the one that was hashed. */
static int
locate(const char *where, const struct receipt_text *t,
    const struct receipt_body *b, const struct chained *c, const uint8_t *prev,
    struct why *why)
{
	_cleanup_(receipt_body_clear) struct receipt_body other = { 0 };
	static const uint8_t none[SHA256_LEN];
	uint8_t sums[SUMS_MAX], h[SHA256_LEN];
	int err;

	if ((err = receipt_sums(t, sums)) != CVM_OK)
		return err;
	if (c->sums.len != SUM_LEN * t->n)
		return refuse(where, "sums", "two bytes for each member",
		    "another number", why);
	/* Members are whole if, with their true sums, the hash is right. */
	if ((err = receipt_body(t, sums, &other)) != CVM_OK ||
	    (err = receipt_hash(c->r.prev, &other, h)) != CVM_OK)
		return err;
	if (memcmp(h, c->r.hash, SHA256_LEN) == 0)
		return memcmp(sums, c->sums.data, c->sums.len) == 0 ?
		    CVM_OK :
		    refuse(where, "sums", "the sums of the members",
			"other ones", why);
	for (size_t i = 0; i < t->n; i++)
		if (memcmp(sums + SUM_LEN * i, c->sums.data + SUM_LEN * i,
			SUM_LEN) != 0)
			return refuse(where, t->name[i],
			    "the value that the line was written with",
			    "another value", why);
	/* The first line of all follows nothing. */
	if ((err = receipt_hash(prev != NULL ? prev : none, b, h)) != CVM_OK)
		return err;
	if (memcmp(h, c->r.hash, SHA256_LEN) == 0)
		return refuse(where, "prev", "the hash of the line before",
		    "another hash", why);
	return refuse(where, "hash", "the hash of this line", "another hash",
	    why);
}

static int
check(struct span line, const char *where, const struct chained *c,
    const uint8_t *prev, struct why *why)
{
	_cleanup_(receipt_text_clear) struct receipt_text t = { .n = 0 };
	_cleanup_(receipt_body_clear) struct receipt_body b = { 0 };
	int err;

	if ((err = receipt_write(&c->r, &t)) != CVM_OK)
		return err;
	if (c->sums.len != SUM_LEN * t.n)
		return refuse(where, "sums", "two bytes for each member",
		    "another number", why);
	if ((err = receipt_body(&t, c->sums.data, &b)) != CVM_OK ||
	    (err = check_spelling(line, where, &t, &b, &c->r, why)) != CVM_OK ||
	    (err = locate(where, &t, &b, c, prev, why)) != CVM_OK)
		return err;
	if (prev != NULL && memcmp(prev, c->r.prev, SHA256_LEN) != 0)
		return refuse(where, "prev", "the hash of the line before",
		    "another hash: lines are missing here, or were added", why);
	return CVM_OK;
}

int
receipt_decode(struct span line, const char *where, const uint8_t *prev,
    struct receipt *ret, struct why *reterr_why)
{
	_cleanup_(chained_clear) struct chained c = { .r = { 0 } };
	int err;

	if (line.len == 0 || line.len >= RECEIPT_LINE_MAX)
		return why_setf(reterr_why, CVM_E_CORRUPT, where, "line",
		    "1 to 2097151 bytes", "%zu", line.len);
	if ((err = scan(line, where, reterr_why)) != CVM_OK ||
	    (err = parse(line, where, &c, reterr_why)) != CVM_OK ||
	    (err = check(line, where, &c, prev, reterr_why)) != CVM_OK)
		return err;
	receipt_clear(ret);
	*ret = c.r;
	c.r = (struct receipt){ 0 };
	return CVM_OK;
}
