/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/memo.h"

struct memo {
	enum check_group group;
	struct blob parts[MEMO_PARTS_MAX];
	size_t n_parts;
	struct check_result *results; /* of the group, in the table's order */
	int64_t from, until, newest_time;
	struct seen *seen;
	uint64_t used; /* m->uses when last of use */
};

struct memos {
	struct memo v[MEMO_MAX];
	size_t n;
	uint64_t uses;
	size_t recalls;
};

struct memos *
memos_new(void)
{
	return calloc(1, sizeof(struct memos));
}

static void
memo_clear(struct memo *e)
{
	for (size_t i = 0; i < e->n_parts; i++)
		blob_clear(&e->parts[i]);
	free(e->results);
	free(e->seen);
	*e = (struct memo){ 0 };
}

void
memos_freep(struct memos **m)
{
	if (m == NULL || *m == NULL)
		return;
	for (size_t i = 0; i < (*m)->n; i++)
		memo_clear(&(*m)->v[i]);
	free(*m);
	*m = NULL;
}

static bool
same_key(const struct memo *e, const struct memo_key *key)
{
	if (e->group != key->group || e->n_parts != key->n)
		return false;
	for (size_t i = 0; i < key->n; i++)
		if (e->parts[i].len != key->parts[i].len ||
		    (key->parts[i].len > 0 &&
			memcmp(e->parts[i].data, key->parts[i].data,
			    key->parts[i].len) != 0))
			return false;
	return true;
}

bool
memo_recall(struct memos *m, const struct memo_key *key, int64_t now,
    struct verdict *v, struct appraisal_facts *facts)
{
	struct memo *e = NULL;
	size_t n = 0;

	for (size_t i = 0; m != NULL && e == NULL && i < m->n; i++)
		if (now >= m->v[i].from && now <= m->v[i].until &&
		    same_key(&m->v[i], key))
			e = &m->v[i];
	if (e == NULL)
		return false;
	for (size_t id = 0; id < CHECK_COUNT; id++)
		if ((check_table[id].group & e->group) != 0)
			v->results[id] = e->results[n++];
	e->used = ++m->uses;
	m->recalls++;
	facts_narrow(facts, e->from, e->until);
	facts_newer(facts, e->newest_time);
	(void)seen_merge(&facts->seen, e->seen);
	return true;
}

size_t
memo_recalls(const struct memos *m)
{
	return m->recalls;
}

static bool
all_passed(const struct verdict *v, enum check_group group, size_t *ret_n)
{
	size_t n = 0;

	for (size_t id = 0; id < CHECK_COUNT; id++) {
		enum check_status s = v->results[id].status;

		if ((check_table[id].group & group) == 0)
			continue;
		if (s != CHECK_PASS && s != CHECK_SKIPPED)
			return false;
		n++;
	}
	*ret_n = n;
	return n > 0;
}

static int
memo_fill(struct memo *e, const struct memo_key *key, const struct verdict *v,
    const struct seen *seen, size_t n)
{
	e->group = key->group;
	e->results = calloc(n, sizeof(*e->results));
	e->seen = malloc(sizeof(*e->seen));
	if (e->results == NULL || e->seen == NULL)
		return CVM_E_NOMEM;
	*e->seen = *seen;
	for (size_t id = 0, k = 0; id < CHECK_COUNT; id++)
		if ((check_table[id].group & key->group) != 0)
			e->results[k++] = v->results[id];
	for (; e->n_parts < key->n; e->n_parts++)
		if (blob_set(&e->parts[e->n_parts], key->parts[e->n_parts]) !=
		    CVM_OK)
			return CVM_E_NOMEM;
	return CVM_OK;
}

void
memo_keep(struct memos *m, const struct memo_key *key, int64_t now,
    const struct verdict *v, const struct appraisal_facts *facts)
{
	_cleanup_(memo_clear) struct memo e = {
		.from = facts->valid_from,
		.until = facts->valid_until,
		.newest_time = facts->newest_time,
	};
	struct memo *to;
	size_t n = 0;

	if (m == NULL || now < e.from || now > e.until ||
	    !all_passed(v, key->group, &n) ||
	    memo_fill(&e, key, v, &facts->seen, n) != CVM_OK)
		return;
	to = &m->v[0];
	if (m->n < MEMO_MAX)
		to = &m->v[m->n++];
	else
		for (size_t i = 1; i < m->n; i++)
			if (m->v[i].used < to->used)
				to = &m->v[i];
	memo_clear(to);
	*to = e;
	to->used = ++m->uses;
	e = (struct memo){ 0 };
}
