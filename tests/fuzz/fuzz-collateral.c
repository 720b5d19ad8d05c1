/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>
#include <string.h>

#include "attest/tdx_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* Highest first, and no two alike; words that a PCS uses, ids that end. */
static void
check_levels(const struct tcb_levels *l, bool isvsvn)
{
	must(l->n > 0 && l->n <= TCB_LEVELS_MAX);
	for (size_t i = 0; i < l->n; i++) {
		const struct tcb_level *x = &l->v[i], *last = x - 1;
		int c = 1;

		must(x->status <= TCB_REVOKED && strlen(x->date) == 20);
		must(x->advisories.n <= TCB_ADVISORIES_MAX);
		for (size_t k = 0; k < x->advisories.n; k++)
			must(x->advisories.id[k][0] != '\0' &&
			    memchr(x->advisories.id[k], '\0',
				TCB_ADVISORY_LEN) != NULL);
		if (i > 0 && isvsvn)
			c = (int)last->isvsvn - (int)x->isvsvn;
		else if (i > 0 &&
		    (c = memcmp(last->sgx, x->sgx, TCB_COMPONENTS)) == 0 &&
		    (c = (int)last->pcesvn - (int)x->pcesvn) == 0)
			c = memcmp(last->tdx, x->tdx, TCB_COMPONENTS);
		must(c > 0);
	}
}

static bool
is_ours(const struct collateral_head *h, const char *id, uint32_t version)
{
	must(memchr(h->id, '\0', sizeof(h->id)) != NULL);
	return strcmp(h->id, id) == 0 && h->version == version;
}

static bool
check_info(const struct tcb_info *t)
{
	if (!is_ours(&t->head, "TDX", 3))
		return false;
	check_levels(&t->levels, /* isvsvn= */ false);
	must(t->n_identities <= TDX_MODULES_MAX && t->module.levels.n == 0);
	for (size_t i = 0; i < t->n_identities; i++) {
		must(t->identities[i].version != 0);
		check_levels(&t->identities[i].levels, /* isvsvn= */ true);
		for (size_t k = 0; k < i; k++)
			must(t->identities[k].version !=
			    t->identities[i].version);
	}
	return true;
}

/* No part of the whole is worse than the whole. */
static void
check_result(const struct tcb_input *in, const struct tcb_result *r)
{
	must((r->platform == NULL) ||
	    (r->sgx != NULL && r->platform >= r->sgx &&
		r->platform < &in->info->levels.v[in->info->levels.n]));
	if (r->status == TCB_NOT_SUPPORTED)
		return;
	must(r->platform != NULL && r->qe != NULL && r->identity != NULL);
	if (r->status == TCB_UP_TO_DATE)
		must(r->platform->status == TCB_UP_TO_DATE &&
		    r->qe->status == TCB_UP_TO_DATE &&
		    (r->module == NULL || r->module->status == TCB_UP_TO_DATE));
	if (r->qe->status == TCB_REVOKED ||
	    r->platform->status == TCB_REVOKED ||
	    (r->module != NULL && r->module->status == TCB_REVOKED))
		must(r->status == TCB_REVOKED);
}

/* A platform of each level reaches that level or one above, and with more it
 * sinks to none below. */
static void
check_evaluation(const struct tcb_info *t, const struct qe_identity *q)
{
	for (size_t i = 0; i < t->levels.n; i++) {
		struct sgx_extension x = { .pcesvn = t->levels.v[i].pcesvn };
		struct tcb_input in = { .info = t,
			.qe = q,
			.platform = &x,
			.tee_tcb_svn = span(t->levels.v[i].tdx, TCB_COMPONENTS),
			.qe_isvsvn = q->levels.v[q->levels.n - 1].isvsvn };
		struct tcb_result low, high;

		memcpy(x.components, t->levels.v[i].sgx, TCB_COMPONENTS);
		tcb_evaluate(&in, &low);
		check_result(&in, &low);
		must(low.platform != NULL && low.platform <= &t->levels.v[i]);
		x.components[i % TCB_COMPONENTS] = UINT8_MAX;
		x.pcesvn = UINT16_MAX;
		in.qe_isvsvn = UINT16_MAX;
		tcb_evaluate(&in, &high);
		check_result(&in, &high);
		must(high.platform <= low.platform &&
		    high.qe == &q->levels.v[0]);
	}
}

/* The newest platform with each of the modules, at each of its levels. */
static void
check_modules(const struct tcb_info *t, const struct qe_identity *q)
{
	struct sgx_extension x = { .pcesvn = UINT16_MAX };
	uint8_t svn[TCB_COMPONENTS];
	struct tcb_input in = { .info = t,
		.qe = q,
		.platform = &x,
		.tee_tcb_svn = span(svn, sizeof(svn)) };
	struct tcb_result r;

	memset(x.components, UINT8_MAX, sizeof(x.components));
	memset(svn, UINT8_MAX, sizeof(svn));
	for (size_t i = 0; i < t->n_identities; i++)
		for (size_t k = 0; k < t->identities[i].levels.n; k++) {
			const struct tcb_level *l =
			    &t->identities[i].levels.v[k];

			svn[0] = (uint8_t)l->isvsvn;
			svn[1] = t->identities[i].version;
			tcb_evaluate(&in, &r);
			check_result(&in, &r);
			must(r.identity == &t->identities[i] &&
			    (r.module == l || l->isvsvn > UINT8_MAX));
		}
}

/* The text is a part of the body, byte for byte; so none of its bytes can be
 * another and still be what was signed. */
static void
check_signed(struct span body, const char *member, const struct signed_json *j)
{
	struct signed_json other = { 0 };
	struct blob copy = { 0 };
	size_t at = (size_t)(j->text.data - body.data);

	must(j->text.data >= body.data && at < body.len &&
	    j->text.len <= body.len - at && j->text.len >= 2);
	must(j->text.data[0] == '{' && j->text.data[j->text.len - 1] == '}');
	if (blob_set(&copy, body) != CVM_OK)
		return;
	for (size_t i = 0; i < j->text.len; i += 1 + j->text.len / 16) {
		copy.data[at + i] ^= 1;
		must(signed_json_open(blob_span(&copy), "seed", member, &other,
			 NULL) != CVM_OK ||
		    !span_equal(other.text, j->text));
		copy.data[at + i] ^= 1;
	}
	must(signed_json_open(blob_span(&copy), "seed", member, &other, NULL) ==
		CVM_OK &&
	    span_equal(other.text, j->text) &&
	    memcmp(other.signature, j->signature, sizeof(other.signature)) ==
		0);
	blob_clear(&copy);
}

/* Envelope, then what is in it, and the same bytes without an envelope. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const members[] = { "tcbInfo", "enclaveIdentity" };
	static const enum tcb_status words[] = { TCB_UP_TO_DATE,
		TCB_OUT_OF_DATE, TCB_REVOKED };
	struct tcb_level level = { .isvsvn = 0 };
	struct qe_identity plain = { .levels = { &level, 1 } };
	struct span whole = span(data, size);
	struct span texts[3] = { whole };
	struct signed_json json;
	size_t n = 1;

	for (size_t i = 0; i < NELEMS(members); i++)
		if (signed_json_open(whole, "seed", members[i], &json, NULL) ==
		    CVM_OK) {
			check_signed(whole, members[i], &json);
			texts[n++] = json.text;
		}
	for (size_t i = 0; i < n; i++) {
		struct tcb_info *t = NULL;
		struct qe_identity *q = NULL;
		struct why why = { 0 };

		if (tcb_info_parse(texts[i], "seed", &t, &why) == CVM_OK &&
		    check_info(t)) {
			level.status = words[size % NELEMS(words)];
			check_evaluation(t, &plain);
			check_modules(t, &plain);
		}
		must(t != NULL || why.where[0] != '\0');
		if (qe_identity_parse(texts[i], "seed", &q, &why) == CVM_OK &&
		    is_ours(&q->head, "TD_QE", 2))
			check_levels(&q->levels, /* isvsvn= */ true);
		tcb_info_freep(&t);
		qe_identity_freep(&q);
	}
	return 0;
}
