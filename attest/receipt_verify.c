/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/chain_cache.h"
#include "attest/receipt_verify.h"

/* A line that holds a part of evidence; it is decoded when it is needed. */
struct part {
	uint8_t digest[SHA256_LEN];
	struct span line;
};

/* The part of a kind that was used last: most rounds use it again. */
struct slot {
	uint8_t digest[SHA256_LEN];
	struct blob data;
};

struct named {
	char *name;
	struct blob data;
};

struct receipt_verifier {
	const struct receipt_options *o;
	struct receipt_counts counts;
	struct why refusal;
	struct chain_cache *cache;
	uint8_t (*heads)[SHA256_LEN]; /* of all lines so far */
	size_t n_heads, cap_heads;

	/* Of the file. */
	struct part *parts;
	size_t n_parts, cap_parts;
	struct slot slots[RECEIPT_PARTS];
	struct named *named;
	size_t n_named;
	struct endorsements *own; /* of named; NULL: to be made */

	/* The round whose admissions follow. */
	struct receipt round;
	bool in_round, round_good;
	uint64_t next_index;
};

static void
forget_file(struct receipt_verifier *v)
{
	for (size_t i = 0; i < v->n_named; i++) {
		free(v->named[i].name);
		blob_clear(&v->named[i].data);
	}
	for (size_t i = 0; i < NELEMS(v->slots); i++)
		blob_clear(&v->slots[i].data);
	memset(v->slots, 0, sizeof(v->slots));
	free(v->named);
	v->named = NULL;
	v->n_named = v->n_parts = 0;
	endorsements_freep(&v->own);
}

int
receipts_new(const struct receipt_options *o, struct receipt_verifier **ret)
{
	struct receipt_verifier *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return CVM_E_NOMEM;
	v->o = o;
	v->cache = chain_cache_new();
	*ret = v;
	return CVM_OK;
}

void
receipts_freep(struct receipt_verifier **vp)
{
	struct receipt_verifier *v;

	if (vp == NULL || (v = *vp) == NULL)
		return;
	forget_file(v);
	chain_cache_freep(&v->cache);
	receipt_clear(&v->round);
	free(v->parts);
	free(v->heads);
	free(v);
	*vp = NULL;
}

const struct receipt_counts *
receipts_counts(const struct receipt_verifier *v)
{
	return &v->counts;
}

const struct why *
receipts_refusal(const struct receipt_verifier *v)
{
	return &v->refusal;
}

/* From the end: what is looked for is nearly always one of the last. */
bool
receipts_has_head(const struct receipt_verifier *v,
    const uint8_t head[static SHA256_LEN])
{
	for (size_t i = v->n_heads; i > 0; i--)
		if (memcmp(v->heads[i - 1], head, SHA256_LEN) == 0)
			return true;
	return false;
}

static int
add_head(struct receipt_verifier *v, const uint8_t head[static SHA256_LEN])
{
	uint8_t(*grown)[SHA256_LEN];

	if (v->n_heads == v->cap_heads) {
		v->cap_heads = v->cap_heads == 0 ? 256 : 2 * v->cap_heads;
		grown = reallocarray(v->heads, v->cap_heads, SHA256_LEN);
		if (grown == NULL)
			return CVM_E_NOMEM;
		v->heads = grown;
	}
	memcpy(v->heads[v->n_heads++], head, SHA256_LEN);
	memcpy(v->counts.head, head, SHA256_LEN);
	return CVM_OK;
}

static int
refuse(const char *where, const char *field, const char *expected,
    const char *got, struct why *why)
{
	return why_set(why, CVM_E_CORRUPT, where, field, expected, got);
}

/* It may have been cut there by anybody, or by nobody. */
static int
refuse_torn(const char *where, struct why *why)
{
	int err = refuse(where, "line", "a line feed at its end",
	    "the end of the file", why);

	why_hint(why,
	    "a writer that was killed leaves half a line, which the next "
	    "one cuts off and tells of");
	return err;
}

/* Where a line is, and its bytes. */
struct place {
	const char *where;
	struct span line;
	size_t number; /* in its file, from 1 */
};

static int
see_log(struct receipt_verifier *v, const struct place *p,
    const struct receipt *r, struct why *why)
{
	if (p->number != 1)
		return refuse(p->where, "type", "any but \"log\" after line 1",
		    "log", why);
	if (strcmp(r->format, RECEIPT_FORMAT) != 0)
		return refuse(p->where, "format", RECEIPT_FORMAT, r->format,
		    why);
	if (v->counts.lines == 0) {
		memcpy(v->counts.first_prev, r->prev, SHA256_LEN);
		v->counts.continued = !span_is_filled(span(r->prev, SHA256_LEN),
		    0);
	}
	return CVM_OK;
}

static int
check_data(const struct place *p, const struct receipt *r, struct why *why)
{
	uint8_t digest[SHA256_LEN];
	int err = hash(HASH_SHA256, blob_span(&r->data), digest);

	if (err == CVM_OK && memcmp(digest, r->sha256, SHA256_LEN) != 0)
		return refuse(p->where, "data", "bytes of this sha256",
		    "other bytes", why);
	return err;
}

static int
see_part(struct receipt_verifier *v, const struct place *p,
    const struct receipt *r)
{
	struct part *grown;

	if (v->n_parts == v->cap_parts) {
		v->cap_parts = v->cap_parts == 0 ? 64 : 2 * v->cap_parts;
		grown = reallocarray(v->parts, v->cap_parts, sizeof(*grown));
		if (grown == NULL)
			return CVM_E_NOMEM;
		v->parts = grown;
	}
	memcpy(v->parts[v->n_parts].digest, r->sha256, SHA256_LEN);
	v->parts[v->n_parts++].line = p->line;
	return CVM_OK;
}

/* A file that comes again is a newer one. */
static int
see_endorsement(struct receipt_verifier *v, const struct place *p,
    const struct receipt *r, struct why *why)
{
	struct named *n = NULL;

	for (size_t i = 0; i < v->n_named; i++)
		if (strcmp(v->named[i].name, r->name) == 0)
			n = &v->named[i];
	if (n == NULL && v->n_named == ENDORSEMENTS_FILES_MAX)
		return refuse(p->where, "name", "at most 256 files", "more",
		    why);
	if (n == NULL) {
		n = reallocarray(v->named, v->n_named + 1, sizeof(*n));
		if (n == NULL)
			return CVM_E_NOMEM;
		v->named = n;
		n = &v->named[v->n_named];
		*n = (struct named){ .name = strdup(r->name) };
		if (n->name == NULL)
			return CVM_E_NOMEM;
		v->n_named++;
	}
	endorsements_freep(&v->own);
	return blob_set(&n->data, blob_span(&r->data));
}

static int
make_own(struct receipt_verifier *v, const char *where, struct why *why)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	int err;

	if (v->own != NULL)
		return CVM_OK;
	if ((e = endorsements_new()) == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < v->n_named; i++) {
		err = endorsements_add(e, v->named[i].name,
		    blob_span(&v->named[i].data));
		if (err == CVM_E_NOMEM)
			return err;
		if (err != CVM_OK)
			return refuse(where, "endorsements before this line",
			    "plain file names, 32 MiB together",
			    v->named[i].name, why);
	}
	v->own = TAKE_PTR(e);
	return CVM_OK;
}

/* The bytes of a part that stands in a line before this one. */
static int
find_part(struct receipt_verifier *v, const struct place *p, size_t kind,
    const uint8_t digest[static SHA256_LEN], struct blob *ret, struct why *why)
{
	_cleanup_(receipt_clear) struct receipt r = { 0 };
	struct slot *s = &v->slots[kind];
	size_t i = v->n_parts;
	int err;

	if (span_is_filled(span(digest, SHA256_LEN), 0))
		return CVM_OK;
	if (memcmp(s->digest, digest, SHA256_LEN) == 0)
		return blob_set(ret, blob_span(&s->data));
	while (i > 0 && memcmp(v->parts[i - 1].digest, digest, SHA256_LEN) != 0)
		i--;
	if (i == 0)
		return refuse(p->where, receipt_parts[kind].name,
		    "the digest of a part before this line", "another digest",
		    why);
	err = receipt_decode(v->parts[i - 1].line, p->where, NULL, &r, why);
	if (err != CVM_OK)
		return err;
	blob_clear(&s->data);
	s->data = r.data;
	r.data = (struct blob){ 0 };
	memcpy(s->digest, digest, SHA256_LEN);
	return blob_set(ret, blob_span(&s->data));
}

static int
gather(struct receipt_verifier *v, const struct place *p,
    const struct receipt *r, struct bundle *b, struct why *why)
{
	struct evidence *e = &b->evidence;
	int err;

	for (size_t i = 0; i < RECEIPT_PARTS; i++) {
		const void *digest = (const char *)r + receipt_parts[i].digest;
		void *blob = (char *)e + receipt_parts[i].blob;

		err = find_part(v, p, i, digest, blob, why);
		if (err != CVM_OK)
			return err;
	}
	if ((err = make_own(v, p->where, why)) != CVM_OK ||
	    (err = blob_set(&e->tpm_quote, blob_span(&r->tpm_quote))) !=
		CVM_OK ||
	    (err = blob_set(&e->tpm_signature, blob_span(&r->tpm_signature))) !=
		CVM_OK)
		return err;
	e->tee = (enum tee_kind)r->tee;
	e->simulated = r->simulated;
	e->pcrs = r->pcrs;
	memcpy(b->root, r->root, SHA256_LEN);
	memcpy(b->tee_root, r->tee_root, SHA256_LEN);
	memcpy(b->policy_digest, r->policy_digest, SHA256_LEN);
	b->has_tee_age = true;
	b->tee_age_s = r->tee_age_s;
	b->cache = v->cache;
	return CVM_OK;
}

/* The evidence of a round as the verifier's policy sees it. */
static int
appraise_round(struct receipt_verifier *v, const struct place *p,
    const struct receipt *r, struct verdict *verdict, struct why *why)
{
	struct bundle b = { .n_leaves = r->leaves, .index = r->leaves - 1 };
	int64_t now = v->o->at != 0 ? v->o->at : (int64_t)r->time;
	int err = gather(v, p, r, &b, why);

	if (err == CVM_OK)
		err = leaf_chain(r->head, &b.leaf);
	if (err == CVM_OK)
		err = blob_set(&b.path, blob_span(&r->head_path));
	if (err == CVM_OK) {
		b.endorsements = v->own; /* borrowed */
		err = bundle_appraise(&b, v->o->policy, v->o->extra,
		    span(NULL, 0), now, v->o->allow_simulated, verdict, why);
		if (err != CVM_OK && err != CVM_E_NOMEM)
			err = refuse(p->where, "ak_public", "a TPMT_PUBLIC",
			    "other bytes", why);
	}
	evidence_clear(&b.evidence);
	blob_clear(&b.leaf);
	blob_clear(&b.path);
	return err;
}

/* The head in a round's tree is that of a line before it. */
static int
check_anchor(const struct receipt_verifier *v, const struct place *p,
    const struct receipt *r, struct why *why)
{
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	int err;

	if (r->leaves == 0)
		return refuse(p->where, "leaves", "1 to 4096", "0", why);
	if ((err = leaf_chain(r->head, &leaf)) != CVM_OK)
		return err;
	if (merkle_verify(blob_span(&leaf), r->leaves - 1, r->leaves,
		blob_span(&r->head_path), r->root) != CVM_OK)
		return refuse(p->where, "head_path",
		    "an inclusion proof of the head in the root",
		    "one that does not fit", why);
	if (receipts_has_head(v, r->head) ||
	    (v->counts.continued &&
		memcmp(v->counts.first_prev, r->head, SHA256_LEN) == 0))
		return CVM_OK;
	(void)refuse(p->where, "head", "the hash of a line before this one",
	    "another hash: lines before it were changed or left out", why);
	if (v->counts.continued)
		why_hint(why, "give the file before this one, too");
	return CVM_E_CORRUPT;
}

static void
note_refusal(struct receipt_verifier *v, const char *where,
    const struct verdict *verdict)
{
	struct why why = { 0 };
	char place[WHY_WHERE_MAX];

	v->counts.refused++;
	if (v->refusal.err != CVM_OK)
		return;
	(void)verdict_why(verdict, &why);
	(void)snprintf(place, sizeof(place), "%.90s: %.90s", where, why.where);
	(void)snprintf(why.where, sizeof(why.where), "%s", place);
	v->refusal = why;
}

static int
see_round(struct receipt_verifier *v, const struct place *p,
    const struct receipt *r, struct verdict *verdict, bool *ret_good,
    struct why *why)
{
	int err;

	if ((err = check_anchor(v, p, r, why)) != CVM_OK)
		return err;
	v->counts.rounds++;
	v->counts.denied += r->verdict == RECEIPT_DENY;
	v->counts.unreachable += r->verdict == RECEIPT_NONE;
	v->round_good = false;
	if (r->verdict != RECEIPT_NONE && v->o->policy != NULL) {
		err = appraise_round(v, p, r, verdict, why);
		if (err != CVM_OK)
			return err;
		v->round_good = verdict->admit && r->verdict == RECEIPT_ADMIT;
		if (!verdict->admit && r->verdict == RECEIPT_ADMIT)
			note_refusal(v, p->where, verdict);
	}
	*ret_good = v->round_good;
	v->in_round = true;
	v->next_index = 0;
	return CVM_OK;
}

static int
see_admission(struct receipt_verifier *v, const struct place *p,
    const struct receipt *r, struct why *why)
{
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	const struct receipt *round = &v->round;
	int err;

	if (!v->in_round)
		return refuse(p->where, "type", "a round before its admissions",
		    "an admission", why);
	if (memcmp(r->root, round->root, SHA256_LEN) != 0)
		return refuse(p->where, "root", "the root of the round before",
		    "another", why);
	if (r->verdict != round->verdict)
		return refuse(p->where, "result",
		    receipt_verdict_name((enum receipt_verdict)round->verdict),
		    receipt_verdict_name((enum receipt_verdict)r->verdict),
		    why);
	if (r->index < v->next_index || r->index + 1 >= round->leaves)
		return refuse(p->where, "index",
		    "ascending, and less than the chain leaf's",
		    "another index", why);
	v->next_index = r->index + 1;
	err = receipt_get_leaf(r, &leaf);
	if (err == CVM_OK)
		err = merkle_verify(blob_span(&leaf), r->index, round->leaves,
		    blob_span(&r->path), r->root);
	if (err == CVM_E_NOMEM)
		return err;
	if (err != CVM_OK)
		return refuse(p->where, "path",
		    "an inclusion proof of this leaf in the root",
		    "one that does not fit", why);
	v->counts.admissions++;
	v->counts.operations += r->kind == LEAF_OPERATION;
	return CVM_OK;
}

static int
see(struct receipt_verifier *v, const struct place *p, const struct receipt *r,
    struct verdict *verdict, bool *ret_good, struct why *why)
{
	int err;

	if (p->number == 1 && r->type != RECEIPT_LOG)
		return refuse(p->where, "type", "log",
		    receipt_type_name((enum receipt_type)r->type), why);
	if (r->type != RECEIPT_ADMISSION)
		v->in_round = false;
	switch (r->type) {
	case RECEIPT_LOG:
		return see_log(v, p, r, why);
	case RECEIPT_PART:
		err = check_data(p, r, why);
		return err == CVM_OK ? see_part(v, p, r) : err;
	case RECEIPT_ENDORSEMENT:
		err = check_data(p, r, why);
		return err == CVM_OK ? see_endorsement(v, p, r, why) : err;
	case RECEIPT_ADMISSION:
		*ret_good = v->round_good;
		return see_admission(v, p, r, why);
	case RECEIPT_GAP:
		v->counts.missed += r->rounds;
		v->counts.torn += r->bytes;
		return CVM_OK;
	default:
		break;
	}
	return see_round(v, p, r, verdict, ret_good, why);
}

static int
see_line(struct receipt_verifier *v, const struct place *p, struct why *why)
{
	_cleanup_(receipt_clear) struct receipt r = { 0 };
	const struct receipt *line = &r;
	struct verdict verdict = { 0 };
	bool good = false, appraised;
	int err;

	/* The first line of all may follow lines that are not here. */
	err = receipt_decode(p->line, p->where,
	    v->counts.lines == 0 ? NULL : v->counts.head, &r, why);
	if (err != CVM_OK ||
	    (err = see(v, p, &r, &verdict, &good, why)) != CVM_OK)
		return err;
	if (r.type == RECEIPT_ROUND) {
		/* It lives on for its admissions. */
		receipt_clear(&v->round);
		v->round = r;
		r = (struct receipt){ 0 };
		line = &v->round;
	}
	if ((err = add_head(v, line->hash)) != CVM_OK)
		return err;
	v->counts.lines++;
	appraised = line->type == RECEIPT_ROUND && v->o->policy != NULL &&
	    line->verdict != RECEIPT_NONE;
	if (v->o->seen != NULL)
		v->o->seen(v->o->arg, p->where, line,
		    appraised ? &verdict : NULL, good);
	return CVM_OK;
}

int
receipts_verify(struct receipt_verifier *v, struct span log, const char *name,
    struct why *reterr_why)
{
	char where[WHY_WHERE_MAX];
	struct place p = { .where = where };
	size_t at = 0;
	int err;

	forget_file(v);
	v->in_round = false;
	if (log.len == 0)
		return refuse(name, "file", "a first line", "nothing",
		    reterr_why);
	while (at < log.len) {
		const uint8_t *from = log.data + at;
		const uint8_t *end = memchr(from, '\n', log.len - at);

		(void)snprintf(where, sizeof(where), "%.150s:%zu", name,
		    ++p.number);
		if (end == NULL)
			return refuse_torn(where, reterr_why);
		p.line = span(from, (size_t)(end - from));
		if ((err = see_line(v, &p, reterr_why)) != CVM_OK)
			return reterr_why != NULL && reterr_why->err == err ?
			    err :
			    why_set(reterr_why, err, where, "", "", "");
		at += p.line.len + 1;
	}
	return CVM_OK;
}
