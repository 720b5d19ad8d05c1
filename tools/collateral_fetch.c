/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "tools/collateral_urls.h"

/* What became of a file, worst last. */
enum outcome {
	OUTCOME_NONE, /* not asked for by itself */
	OUTCOME_KEPT, /* good for long enough: no request was made */
	OUTCOME_UNCHANGED,
	OUTCOME_NEW,
	OUTCOME_UNREACHABLE,
	OUTCOME_REFUSED
};
static const char *const outcomes[] = {
	[OUTCOME_NONE] = "none",
	[OUTCOME_KEPT] = "kept",
	[OUTCOME_UNCHANGED] = "unchanged",
	[OUTCOME_NEW] = "new",
	[OUTCOME_UNREACHABLE] = "unreachable",
	[OUTCOME_REFUSED] = "refused",
};

struct fetched {
	struct blob data; /* empty: nothing that may replace the old one */
	enum outcome outcome;
	char url[URL_MAX];
	struct why why;
	int64_t old_issued; /* of a good one in place, or 0 */
};

struct fetch {
	struct collateral c;
	struct collateral_dir dir;
	struct endorsements *old;
	struct http *http;
	struct fetched file[UPKEEP_COUNT];
};

static void
fetch_freep(struct fetch **f)
{
	if (*f == NULL)
		return;
	for (size_t i = 0; i < UPKEEP_COUNT; i++)
		blob_clear(&(*f)->file[i].data);
	http_freep(&(*f)->http);
	endorsements_freep(&(*f)->old);
	collateral_dir_close(&(*f)->dir);
	collateral_close(&(*f)->c);
	free(*f);
	*f = NULL;
}

static struct upkeep_file *
upkeep_of(struct fetch *f, enum upkeep_id id)
{
	return &f->c.upkeep.file[id];
}

/* Certificates of a chip and of AMD's CAs stay what they are, and AMD's
 * service answers few requests; a measurement's endorsement stays, too. Good
 * ones are not asked for again. */
static bool
may_keep(struct fetch *f, enum upkeep_id id)
{
	static const enum upkeep_id certs[] = { UPKEEP_ARK, UPKEEP_ASK,
		UPKEEP_ASVK, UPKEEP_VEK, UPKEEP_LAUNCH };

	for (size_t i = 0; i < NELEMS(certs); i++)
		if (id == certs[i])
			return collateral_state(&f->c, upkeep_of(f, id)) ==
			    COLLATERAL_OK;
	return id == UPKEEP_COUNT;
}

static bool
wants(struct fetch *f, enum upkeep_id id)
{
	return id != UPKEEP_COUNT && upkeep_of(f, id)->wanted;
}

static void
settle(struct fetch *f, enum upkeep_id id, enum outcome outcome,
    const char *url, const struct why *why)
{
	struct fetched *x = &f->file[id];

	if (!wants(f, id))
		return;
	x->outcome = outcome;
	if (url != x->url)
		(void)snprintf(x->url, sizeof(x->url), "%s", url);
	if (why != NULL)
		x->why = *why;
	if (outcome == OUTCOME_REFUSED || outcome == OUTCOME_UNREACHABLE)
		blob_clear(&x->data);
}

/* Takes the bytes; the first of two answers to yield a file counts. */
static void
take(struct fetch *f, enum upkeep_id id, const char *url, struct blob *data)
{
	struct fetched *x = id != UPKEEP_COUNT ? &f->file[id] : NULL;

	if (!wants(f, id) || x->data.len > 0)
		return;
	settle(f, id, OUTCOME_NEW, url, NULL);
	x->data = *data;
	*data = (struct blob){ 0 };
}

static void
ask(struct fetch *f, const struct request *q)
{
	_cleanup_(http_answer_clear) struct http_answer a = { 0 };
	struct blob part[2] = { { 0 }, { 0 } };
	char url[URL_MAX] = "";
	struct why why = { 0 };
	enum outcome bad;
	int r = collateral_url(&f->c, q, url, &why);

	if (r == CVM_OK)
		r = http_get(f->http, url, q->max, q->header, &a, &why);
	if (r == CVM_OK)
		r = collateral_split(q, url, &a, part, &why);
	if (r == CVM_OK) {
		take(f, q->file, url, &part[0]);
		take(f, q->beside, url, &part[1]);
	} else {
		why.err = r;
		bad = r == CVM_E_PARSE ? OUTCOME_REFUSED : OUTCOME_UNREACHABLE;
		settle(f, q->file, bad, url, &why);
		if (q->beside != UPKEEP_COUNT &&
		    f->file[q->beside].data.len == 0 &&
		    f->file[q->beside].outcome == OUTCOME_NONE)
			settle(f, q->beside, bad, url, &why);
	}
	blob_clear(&part[0]);
	blob_clear(&part[1]);
}

static void
ask_all(struct fetch *f)
{
	for (size_t i = 0; i < n_collateral_requests; i++) {
		const struct request *q = &collateral_requests[i];

		if (!wants(f, q->file))
			continue;
		if (may_keep(f, q->file) && may_keep(f, q->beside)) {
			settle(f, q->file, OUTCOME_KEPT, "", NULL);
			if (q->beside != UPKEEP_COUNT)
				settle(f, q->beside, OUTCOME_KEPT, "", NULL);
		} else {
			ask(f, q);
		}
	}
}

/* What nobody fetches, and a judgement rests on: roots of Google's. */
static int
add_roots(struct fetch *f, struct endorsements *e)
{
	const char *name;
	int r = CVM_OK;

	for (size_t i = 0;
	     r == CVM_OK && (name = endorsements_name(f->old, i)) != NULL; i++)
		if (strncmp(name, "google/", 7) == 0 &&
		    strcmp(name + strlen(name) - 4, ".pem") == 0)
			r = endorsements_add(e, name,
			    endorsements_find(f->old, name));
	return r;
}

/* The directory as it would be. */
static int
candidate(struct fetch *f, struct endorsements **ret)
{
	_cleanup_(
	    endorsements_freep) struct endorsements *e = endorsements_new();

	int r;

	if (e == NULL)
		return CVM_E_NOMEM;
	for (enum upkeep_id i = 0; i < UPKEEP_COUNT; i++) {
		const char *name = upkeep_of(f, i)->name;
		struct span s = f->file[i].data.len > 0 ?
		    blob_span(&f->file[i].data) :
		    endorsements_find(f->old, name);

		if (!wants(f, i) || s.len == 0)
			continue;
		if ((r = endorsements_add(e, name, s)) < 0)
			return r;
	}
	if ((r = add_roots(f, e)) < 0)
		return r;
	*ret = TAKE_PTR(e);
	return CVM_OK;
}

/* Signed together with its issuers, and one update with the other. */
static bool
in_group(enum upkeep_id id)
{
	return id >= UPKEEP_TCB_INFO && id <= UPKEEP_QE_IDENTITY_CHAIN;
}

static void
refuse(struct fetch *f, enum upkeep_id id, const struct why *why)
{
	settle(f, id, OUTCOME_REFUSED, f->file[id].url, why);
	for (enum upkeep_id i = 0; in_group(id) && i < UPKEEP_COUNT; i++)
		if (in_group(i) && f->file[i].data.len > 0)
			settle(f, i, OUTCOME_REFUSED, f->file[i].url, why);
}

/* A new half beside an old one that does not fit it. */
static bool
parts_group(struct fetch *f, enum upkeep_id id, struct why *why)
{
	for (enum upkeep_id i = 0; in_group(id) && i < UPKEEP_COUNT; i++) {
		const struct upkeep_file *u = upkeep_of(f, i);

		if (!in_group(i) || f->file[i].data.len > 0 || !u->present ||
		    u->why.err == CVM_OK)
			continue;
		*why = u->why;
		return true;
	}
	return false;
}

/* What a new file is refused for; false for a good one. */
static bool
is_bad(struct fetch *f, enum upkeep_id id, struct why *why)
{
	const struct upkeep_file *u = upkeep_of(f, id);
	const struct fetched *x = &f->file[id];
	char old[DAY_TEXT_MAX], new[DAY_TEXT_MAX];

	if (x->data.len == 0)
		return false;
	if (u->why.err != CVM_OK) {
		*why = u->why;
		return true;
	}
	if (parts_group(f, id, why))
		return true;
	/* An old answer may be genuine, and yet hide a revocation. */
	if (x->old_issued == 0 || u->issued >= x->old_issued)
		return false;
	(void)why_setf(why, CVM_E_DENIED, u->name, "date of issue",
	    day_text(x->old_issued, old), "%s, before the one in place",
	    day_text(u->issued, new));
	return true;
}

/*
 * Takes away one bad new file after the other, the first in the order in which
 * they build on each other, and looks again: what was good beside the old one
 * must not suffer from it.
 */
static int
sift(struct fetch *f)
{
	for (;;) {
		_cleanup_(endorsements_freep) struct endorsements *e = NULL;
		enum upkeep_id i = 0;
		struct why why;
		int r = candidate(f, &e);

		if (r < 0)
			return r;
		upkeep_judge(&f->c.upkeep, e, f->c.now);
		while (i < UPKEEP_COUNT && !is_bad(f, i, &why))
			i++;
		if (i == UPKEEP_COUNT)
			return CVM_OK;
		refuse(f, i, &why);
	}
}

/* An update of TCB info or QE identity alone is none (see in_group()). */
static void
skip_unchanged(struct fetch *f)
{
	for (enum upkeep_id i = 0; i < UPKEEP_COUNT; i++) {
		struct fetched *x = &f->file[i];

		if (x->data.len == 0 ||
		    !span_equal(blob_span(&x->data),
			endorsements_find(f->old, upkeep_of(f, i)->name)))
			continue;
		x->outcome = OUTCOME_UNCHANGED;
		blob_clear(&x->data);
	}
}

static int
install(struct fetch *f, struct why *why)
{
	_cleanup_(
	    endorsements_freep) struct endorsements *e = endorsements_new();
	int r = e != NULL ? CVM_OK : CVM_E_NOMEM;

	for (enum upkeep_id i = 0; i < UPKEEP_COUNT && r == CVM_OK; i++)
		if (f->file[i].data.len > 0)
			r = endorsements_add(e, upkeep_of(f, i)->name,
			    blob_span(&f->file[i].data));
	return r == CVM_OK ? collateral_install(&f->dir, e, why) : r;
}

static void
print_file(struct fetch *f, enum upkeep_id id)
{
	const struct fetched *x = &f->file[id];
	const struct upkeep_file *u = upkeep_of(f, id);
	char sentence[WHY_SENTENCE_MAX], expires[DAY_TEXT_MAX];
	bool url;

	(void)printf("%-11s %s", outcomes[x->outcome], u->name);
	if (u->present && u->expires != 0)
		(void)printf(" (expires %s)", day_text(u->expires, expires));
	(void)printf("\n");
	if (x->why.err == CVM_OK)
		return;
	/* Trouble with the answer itself begins with the URL. */
	url = x->url[0] != '\0' && strncmp(x->why.where, "http", 4) != 0;
	(void)fprintf(stderr, "cvm-token: %s: %s%s%s\n", u->name,
	    url ? x->url : "", url ? ": " : "",
	    why_sentence(&x->why, sentence, sizeof(sentence)));
}

static cJSON *
json_file(struct fetch *f, enum upkeep_id id)
{
	const struct fetched *x = &f->file[id];
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "file", upkeep_of(f, id)->name);
	(void)cJSON_AddStringToObject(o, "kind", upkeep_kinds[id]);
	(void)cJSON_AddStringToObject(o, "url", x->url);
	(void)cJSON_AddStringToObject(o, "outcome", outcomes[x->outcome]);
	json_why(o, "why", &x->why);
	return o;
}

static int
report(struct fetch *f)
{
	bool json = f->c.t->opt[OPT_JSON] != NULL;
	enum outcome worst = OUTCOME_NONE;
	cJSON *root = json ? cJSON_CreateObject() : NULL;
	cJSON *list = json ? cJSON_AddArrayToObject(root, "files") : NULL;
	int r;

	for (enum upkeep_id i = 0; i < UPKEEP_COUNT; i++) {
		if (!wants(f, i))
			continue;
		if (f->file[i].outcome > worst)
			worst = f->file[i].outcome;
		if (json)
			(void)cJSON_AddItemToArray(list, json_file(f, i));
		else
			print_file(f, i);
	}
	if (json)
		(void)cJSON_AddStringToObject(root, "directory", f->c.dir);
	r = json ? print_json(root) : print_end();
	if (r != EXIT_OK)
		return r;
	return worst == OUTCOME_REFUSED	 ? EXIT_DENY :
	    worst == OUTCOME_UNREACHABLE ? EXIT_TROUBLE :
					   EXIT_OK;
}

static int
fetch(struct fetch *f, struct why *why)
{
	bool insecure = f->c.t->opt[OPT_INSECURE_HTTP] != NULL;
	int r;

	if ((r = collateral_dir_open(f->c.dir, &f->dir, why)) < 0 ||
	    (r = endorsements_load(f->c.dir, &f->old, why)) < 0 ||
	    (r = http_new(insecure, &f->http, why)) < 0)
		return r;
	upkeep_judge(&f->c.upkeep, f->old, f->c.now);
	for (enum upkeep_id i = 0; i < UPKEEP_COUNT; i++)
		if (upkeep_of(f, i)->why.err == CVM_OK)
			f->file[i].old_issued = upkeep_of(f, i)->issued;
	ask_all(f);
	if ((r = sift(f)) < 0)
		return r;
	skip_unchanged(f);
	return install(f, why);
}

static int
fetch_for_one(struct tool *t)
{
	_cleanup_(fetch_freep) struct fetch *f = calloc(1, sizeof(*f));
	struct why why = { 0 };
	int r;

	if (f == NULL)
		return tool_fail(CVM_E_NOMEM, NULL);
	f->dir.fd = -1;
	if ((r = collateral_open(t, &f->c)) != 0)
		return r;
	if (!f->c.none && (r = fetch(f, &why)) < 0)
		return tool_fail(r, &why);
	return report(f);
}

int
cmd_collateral_fetch(struct tool *t)
{
	return collateral_each(t, fetch_for_one);
}
