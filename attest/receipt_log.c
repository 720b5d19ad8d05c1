/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>
#include <time.h>

#include "attest/bundle.h"
#include "attest/receipt_known.h"
#include "attest/receipt_log.h"
#include "base/log.h"

#define TRIES 3 /* a log that is rotated while lines are made for it */

struct receipt_log {
	const struct config_token *cfg;
	struct receipt_file file;
	struct receipt_known known;
	uint64_t n_loaded; /* set of endorsements last written; 0: none */
	bool anchored;	   /* the round under way has a chain leaf of ours */
	uint8_t head[SHA256_LEN]; /* that it names */
	uint64_t missed;	  /* rounds since the last line */
	char missed_why[WHY_SENTENCE_MAX];
};

/* Lines that are made before the log is locked. */
struct lines {
	struct receipt_body *v;
	size_t n, cap;
	struct receipt_known known; /* when they are in the file */
};

static void
lines_clear(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		receipt_body_clear(&l->v[i]);
	free(l->v);
	*l = (struct lines){ 0 };
}

int
receipt_log_new(const struct config_token *cfg, struct receipt_log **ret)
{
	struct receipt_log *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return CVM_E_NOMEM;
	l->cfg = cfg;
	l->file.fd = -1;
	*ret = l;
	return CVM_OK;
}

void
receipt_log_freep(struct receipt_log **l)
{
	if (l == NULL || *l == NULL)
		return;
	receipt_file_close(&(*l)->file);
	free(*l);
	*l = NULL;
}

/* A round that goes on without its receipt, or does not go on. */
static int
miss(struct receipt_log *l, int err, const struct why *why,
    struct why *reterr_why)
{
	if (l->cfg->receipts.on_failure == ON_FAILURE_REFUSE) {
		if (reterr_why != NULL)
			*reterr_why = *why;
		return err;
	}
	(void)why_sentence(why, l->missed_why, sizeof(l->missed_why));
	if (l->missed++ == 0)
		log_line(LOG_LEVEL_WARNING,
		    "token %s: rounds go on without receipts: %s", l->cfg->name,
		    l->missed_why);
	return CVM_OK;
}

static int
before(void *arg, struct blob *ret_leaf, struct why *reterr_why)
{
	struct receipt_log *l = arg;
	struct why why = { 0 };
	int err;

	err = receipt_file_open(l->cfg, &l->file, &why);
	l->anchored = err == CVM_OK;
	if (err != CVM_OK)
		return miss(l, err, &why, reterr_why);
	if (!receipt_known_file(&l->known, &l->file))
		l->n_loaded = 0;
	memcpy(l->head, l->file.head, SHA256_LEN);
	receipt_file_close(&l->file);
	return leaf_chain(l->head, ret_leaf);
}

static int
add_line(struct lines *l, const struct receipt *r)
{
	struct receipt_body *grown;
	int err;

	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 16 : l->cap * 2;
		grown = reallocarray(l->v, l->cap, sizeof(*grown));
		if (grown == NULL)
			return CVM_E_NOMEM;
		l->v = grown;
	}
	l->v[l->n] = (struct receipt_body){ 0 };
	err = receipt_encode(r, &l->v[l->n]);
	l->n += err == CVM_OK;
	return err;
}

/* A line with bytes, unless the file has it already. */
static int
add_data(struct lines *l, struct receipt *r)
{
	uint8_t key[SHA256_LEN];
	int err;

	if ((err = receipt_known_key(r->name, r->sha256, key)) != CVM_OK ||
	    receipt_known_has(&l->known, key))
		return err;
	receipt_known_add(&l->known, key);
	return add_line(l, r);
}

/* A part of the evidence by its digest, and once as a line of its own. */
static int
add_part(struct lines *l, const struct blob *data, uint8_t digest[SHA256_LEN])
{
	struct receipt r = { .type = RECEIPT_PART, .data = *data };
	int err;

	if (data->len == 0)
		return CVM_OK;
	if ((err = hash(HASH_SHA256, blob_span(data), digest)) != CVM_OK)
		return err;
	memcpy(r.sha256, digest, SHA256_LEN);
	return add_data(l, &r);
}

/* What vouches for the signers. A file that no line can hold is left to the
 * verifier. */
static int
add_endorsements(struct lines *l, const struct receipt_log *log,
    const struct evidence *ev, const struct endorsements *e, uint64_t n_loaded)
{
	const char *name;
	int err;

	if (e == NULL || log->n_loaded == n_loaded)
		return CVM_OK;
	for (size_t i = 0; (name = endorsements_name(e, i)) != NULL; i++) {
		struct span s = endorsements_find(e, name);
		struct receipt r = {
			.type = RECEIPT_ENDORSEMENT,
			.name = (char *)(uintptr_t)name,
			.data = { (uint8_t *)(uintptr_t)s.data, s.len },
		};

		if (!endorsement_is_about(ev, name) ||
		    s.len > RECEIPT_LINE_MAX / 2)
			continue;
		if ((err = hash(HASH_SHA256, s, r.sha256)) != CVM_OK ||
		    (err = add_data(l, &r)) != CVM_OK)
			return err;
	}
	return CVM_OK;
}

static int
add_evidence(struct lines *l, const struct round_result *rr, struct receipt *r)
{
	const struct evidence *e = &rr->evidence;
	int err;

	for (size_t i = 0; i < RECEIPT_PARTS; i++) {
		const struct receipt_part *p = &receipt_parts[i];
		const void *data = (const char *)e + p->blob;
		void *digest = (char *)r + p->digest;

		if ((err = add_part(l, data, digest)) != CVM_OK)
			return err;
	}
	r->tee = e->tee;
	r->simulated = e->simulated;
	r->tee_age_s = rr->tee_age_s;
	if (e->tee_report.len > 0)
		memcpy(r->tee_root, rr->tee_root, SHA256_LEN);
	r->tpm_quote = e->tpm_quote; /* borrowed */
	r->tpm_signature = e->tpm_signature;
	r->pcrs = e->pcrs;
	return CVM_OK;
}

static int
add_round(struct lines *l, const struct receipt_log *log,
    const struct round_result *rr, enum receipt_verdict verdict,
    const struct why *why, const struct merkle_tree *tree)
{
	_cleanup_(blob_clear) struct blob path = { 0 };
	_cleanup_(freep) char *text = NULL;
	char sentence[WHY_SENTENCE_MAX];
	struct receipt r = {
		.type = RECEIPT_ROUND,
		.time = (uint64_t)rr->time,
		.pid = (uint64_t)getpid(),
		.verdict = verdict,
		.leaves = rr->n_leaves,
	};
	int err;

	if ((err = merkle_tree_path(tree, rr->n_leaves - 1, &path)) != CVM_OK)
		return err;
	if (verdict != RECEIPT_ADMIT &&
	    (err = receipt_text(why_sentence(why, sentence, sizeof(sentence)),
		 &text)) != CVM_OK)
		return err;
	r.why = text;
	r.head_path = path; /* borrowed */
	memcpy(r.policy_digest, rr->policy->digest, SHA256_LEN);
	memcpy(r.root, rr->root, SHA256_LEN);
	memcpy(r.head, log->head, SHA256_LEN);
	if (verdict != RECEIPT_NONE &&
	    (err = add_evidence(l, rr, &r)) != CVM_OK)
		return err;
	return add_line(l, &r);
}

static int
add_admission(struct lines *l, const struct round_result *rr, size_t index,
    enum receipt_verdict verdict, const struct merkle_tree *tree)
{
	_cleanup_(receipt_clear) struct receipt r = {
		.type = RECEIPT_ADMISSION,
		.index = index,
		.verdict = verdict,
	};
	int err;

	memcpy(r.root, rr->root, SHA256_LEN);
	if ((err = merkle_tree_path(tree, index, &r.path)) != CVM_OK ||
	    (err = receipt_set_leaf(&r, blob_span(&rr->leaves[index]))) !=
		CVM_OK)
		return err;
	return add_line(l, &r);
}

static bool
is_operation(const struct blob *leaf)
{
	struct leaf l;

	leaf_read(blob_span(leaf), &l);
	return l.kind == LEAF_OPERATION;
}

/* Whether this admission is recorded; the last leaf is our own. */
static bool
is_wanted(const struct receipt_log *log, const struct round_result *rr,
    size_t index, enum receipt_verdict verdict)
{
	return log->cfg->receipts.log == RECEIPTS_ALL ||
	    verdict != RECEIPT_ADMIT || is_operation(&rr->leaves[index]);
}

struct outcome {
	const struct round_result *rr;
	enum receipt_verdict verdict;
	const struct why *why;
	const struct endorsements *e;
	uint64_t n_loaded;
};

static int
make_lines(const struct receipt_log *log, const struct outcome *o,
    struct lines *l)
{
	_cleanup_(merkle_tree_freep) struct merkle_tree *tree = NULL;
	const struct round_result *rr = o->rr;
	int err;

	lines_clear(l);
	l->known = log->known;
	if ((err = merkle_tree_new(rr->leaves, rr->n_leaves, &tree)) != CVM_OK)
		return err;
	if (o->verdict != RECEIPT_NONE &&
	    (err = add_endorsements(l, log, &rr->evidence, o->e,
		 o->n_loaded)) != CVM_OK)
		return err;
	err = add_round(l, log, rr, o->verdict, o->why, tree);
	for (size_t i = 0; err == CVM_OK && i + 1 < rr->n_leaves; i++)
		if (is_wanted(log, rr, i, o->verdict))
			err = add_admission(l, rr, i, o->verdict, tree);
	return err;
}

/* With the log locked: the chain, and the write. */
static int
write_lines(struct receipt_log *log, const struct lines *l, uint64_t n_loaded,
    struct why *why)
{
	_cleanup_(blob_clear) struct blob out = { 0 };
	uint8_t head[SHA256_LEN];
	int err = CVM_OK;

	memcpy(head, log->file.head, SHA256_LEN);
	if (log->missed > 0)
		err = receipt_gap_line(log->missed, 0, log->missed_why, head,
		    &out);
	for (size_t i = 0; err == CVM_OK && i < l->n; i++)
		err = receipt_append(&out, &l->v[i], head);
	if (err == CVM_OK)
		err = receipt_file_append(&log->file, log->cfg, blob_span(&out),
		    head, why);
	if (err != CVM_OK)
		return err;
	log->known = l->known;
	log->known.size = log->file.size;
	log->n_loaded = n_loaded;
	if (log->missed > 0)
		log_line(LOG_LEVEL_NOTICE,
		    "token %s: receipts are written again", log->cfg->name);
	log->missed = 0;
	return CVM_OK;
}

static int
record(struct receipt_log *log, const struct outcome *o, struct why *why)
{
	_cleanup_(lines_clear) struct lines l = { 0 };
	int err;

	for (int i = 0; i < TRIES; i++) {
		if ((err = make_lines(log, o, &l)) != CVM_OK ||
		    (err = receipt_file_open(log->cfg, &log->file, why)) !=
			CVM_OK)
			return err;
		if (receipt_known_file(&log->known, &log->file)) {
			err = write_lines(log, &l, o->n_loaded, why);
			receipt_file_close(&log->file);
			return err;
		}
		/* Rotated meanwhile: the new file has no parts yet. */
		log->n_loaded = 0;
		receipt_file_close(&log->file);
	}
	return why_set(why, CVM_E_BUSY, log->cfg->receipts.path, RECEIPT_FIELD,
	    "a file that stays where it is",
	    "one that is renamed all the time");
}

static bool
is_recorded(const struct receipt_log *l, const struct outcome *o)
{
	for (size_t i = 0; i + 1 < o->rr->n_leaves; i++)
		if (is_wanted(l, o->rr, i, o->verdict))
			return true;
	return false;
}

static int
after(void *arg, const struct round_result *rr, int err, const struct why *why,
    const struct endorsements *e, uint64_t n_loaded, struct why *reterr_why)
{
	const struct outcome o = {
		.rr = rr,
		.verdict = err == CVM_OK ? RECEIPT_ADMIT :
		    err == CVM_E_DENIED	 ? RECEIPT_DENY :
					   RECEIPT_NONE,
		.why = why,
		.e = e,
		.n_loaded = n_loaded,
	};
	struct receipt_log *l = arg;
	struct why mine = { 0 };
	int r;

	/* Without a chain leaf it was counted as missed before it began. */
	if (!l->anchored || !is_recorded(l, &o))
		return CVM_OK;
	if ((r = record(l, &o, &mine)) == CVM_OK)
		return CVM_OK;
	if (mine.err == CVM_OK)
		(void)why_set(&mine, r, l->cfg->receipts.path, RECEIPT_FIELD,
		    "", "");
	return miss(l, r, &mine, reterr_why);
}

/* The parent's leader may be writing: its lock is not ours to give back, and
 * the description that we share is only closed. What it wrote stands there. */
static void
after_fork(void *arg)
{
	struct receipt_log *l = arg;

	closep(&l->file.fd);
	l->anchored = false;
	l->missed = 0;
	l->known = (struct receipt_known){ 0 };
}

void
receipt_log_witness(struct receipt_log *l, struct round_witness *ret)
{
	*ret = (struct round_witness){ l, before, after, after_fork };
}
