/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/seen.h"
#include "base/tuple.h"

static bool
is_before(const struct seen_mark *a, const struct seen_mark *b)
{
	return a->number != b->number ? a->number < b->number :
					a->time < b->time;
}

/* Where id is, or would be. */
static size_t
place_of(const struct seen *s, const uint8_t *id)
{
	size_t i = 0;

	while (i < s->n && memcmp(s->v[i].id, id, SHA256_LEN) < 0)
		i++;
	return i;
}

static bool
has_at(const struct seen *s, size_t i, const uint8_t *id)
{
	return i < s->n && memcmp(s->v[i].id, id, SHA256_LEN) == 0;
}

/* Of a full one, what has been replaced for the longest time by now. */
static bool
make_room(struct seen *s, int64_t time)
{
	size_t oldest = 0;

	for (size_t i = 1; i < s->n; i++)
		if (s->v[i].time < s->v[oldest].time)
			oldest = i;
	if (s->v[oldest].time >= time)
		return false;
	s->n--;
	memmove(&s->v[oldest], &s->v[oldest + 1],
	    (s->n - oldest) * sizeof(s->v[0]));
	return true;
}

bool
seen_raise(struct seen *s, const struct seen_mark *m)
{
	size_t i = place_of(s, m->id);

	if (has_at(s, i, m->id)) {
		if (!is_before(&s->v[i], m))
			return false;
		s->v[i] = *m;
		return true;
	}
	if (s->n == SEEN_MAX) {
		if (!make_room(s, m->time))
			return false;
		i = place_of(s, m->id);
	}
	memmove(&s->v[i + 1], &s->v[i], (s->n - i) * sizeof(s->v[0]));
	s->v[i] = *m;
	s->n++;
	return true;
}

bool
seen_merge(struct seen *to, const struct seen *from)
{
	bool changed = false;

	for (size_t i = 0; i < from->n; i++)
		changed |= seen_raise(to, &from->v[i]);
	return changed;
}

const struct seen_mark *
seen_older(const struct seen *found, const struct seen *known,
    const struct seen_mark **ret_known)
{
	for (size_t k = 0; k < found->n; k++) {
		const struct seen_mark *m = &found->v[k];
		size_t i = place_of(known, m->id);

		if (has_at(known, i, m->id) && is_before(m, &known->v[i])) {
			*ret_known = &known->v[i];
			return m;
		}
	}
	return NULL;
}

int
seen_id(const char *tag, const struct span *fields, size_t n,
    uint8_t ret[static SHA256_LEN])
{
	_cleanup_(blob_clear) struct blob t = { 0 };
	int r = tuple(tag, fields, n, &t);

	return r == CVM_OK ? hash(HASH_SHA256, blob_span(&t), ret) : r;
}

/* By the issuer's key: names are no more than what somebody calls himself. */
static int
see_crl(const struct crl *crl, const struct cert *issuer, struct seen *s)
{
	struct seen_mark m = { .time = crl->from };
	char name[CERT_NAME_MAX];
	uint8_t scope[2] = { crl->ca_only, crl->user_only };
	const struct span fields[] = {
		span(issuer->spki_digest, SHA256_LEN),
		span(scope, sizeof(scope)),
		crl->places,
	};
	int r = seen_id("cvm-pkcs11/seen-crl/1", fields, NELEMS(fields), m.id);

	if (r != CVM_OK)
		return r;
	(void)snprintf(m.about, sizeof(m.about), "CRL of %.50s",
	    cert_name(issuer, name, sizeof(name)));
	(void)seen_raise(s, &m);
	return CVM_OK;
}

int
seen_crls(const struct chain *c, struct seen *s)
{
	for (size_t i = 0; i < c->n_crls; i++) {
		size_t by = 0;
		int r = chain_crl_issuer(c, c->crls[i], &by, NULL);

		if (r == CVM_OK)
			r = see_crl(c->crls[i], chain_at(c, by), s);
		if (r != CVM_OK)
			return r;
	}
	return CVM_OK;
}

const char *
seen_text(const struct seen_mark *m, char buf[static SEEN_TEXT_MAX])
{
	time_t when = (time_t)m->time;
	struct tm tm = { 0 };
	char text[32] = "?";

	if (gmtime_r(&when, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (m->number == 0)
		(void)snprintf(buf, SEEN_TEXT_MAX, "%s", text);
	else
		(void)snprintf(buf, SEEN_TEXT_MAX, "%s, number %" PRIu64, text,
		    m->number);
	return buf;
}
