/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/collateral_read.h"
#include "base/reader.h"

static const char *const status_names[] = {
	[TCB_UP_TO_DATE] = "UpToDate",
	[TCB_SW_HARDENING_NEEDED] = "SWHardeningNeeded",
	[TCB_CONFIGURATION_NEEDED] = "ConfigurationNeeded",
	[TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED] =
	    "ConfigurationAndSWHardeningNeeded",
	[TCB_OUT_OF_DATE] = "OutOfDate",
	[TCB_OUT_OF_DATE_CONFIGURATION_NEEDED] = "OutOfDateConfigurationNeeded",
	[TCB_REVOKED] = "Revoked",
	[TCB_TD_RELAUNCH_ADVISED] = "TDRelaunchAdvised",
	[TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED] =
	    "TDRelaunchAdvisedConfigurationNeeded",
	[TCB_NOT_SUPPORTED] = "not supported (no TCB level matches)",
};

const char *
tcb_status_name(enum tcb_status s)
{
	return (size_t)s < NELEMS(status_names) ? status_names[s] : "?";
}

static int
read_head(const struct source *s, const struct json *root,
    struct collateral_head *head)
{
	char text[TCB_DATE_LEN];
	int r;

	if (!json_is_object(root))
		return source_refuse(s, root, "an object");
	r = get_text(s, root, "id", head->id, sizeof(head->id));
	if (r == CVM_OK)
		r = get_uint(s, root, "version", UINT16_MAX, &head->version);
	if (r == CVM_OK)
		r = get_date(s, root, "issueDate", &head->issue_date, text);
	if (r == CVM_OK)
		r = get_date(s, root, "nextUpdate", &head->next_update, text);
	if (r == CVM_OK)
		r = get_uint(s, root, "tcbEvaluationDataNumber", INT32_MAX,
		    &head->evaluation_number);
	return r;
}

static int
read_components(const struct source *s, const struct json *tcb,
    const char *member, uint8_t out[static TCB_COMPONENTS])
{
	const struct json *array = NULL, *item;
	size_t n = 0, i = 0;
	int r = get_array(s, tcb, member, TCB_COMPONENTS, &array, &n);

	if (r < 0)
		return r;
	if (n != TCB_COMPONENTS)
		return source_refuse(s, array, "an array of exactly 16");
	JSON_EACH(item, array) {
		uint32_t svn = 0;

		if (!json_is_object(item))
			return source_refuse(s, item, "an object");
		r = get_uint(s, item, "svn", UINT8_MAX, &svn);
		if (r < 0)
			return r;
		out[i++] = (uint8_t)svn;
	}
	return CVM_OK;
}

static int
read_platform_tcb(const struct source *s, const struct json *tcb,
    struct tcb_level *l)
{
	int r = read_components(s, tcb, "sgxtcbcomponents", l->sgx);

	if (r == CVM_OK)
		r = get_u16(s, tcb, "pcesvn", &l->pcesvn);
	if (r == CVM_OK)
		r = read_components(s, tcb, "tdxtcbcomponents", l->tdx);
	return r;
}

static int
read_isvsvn(const struct source *s, const struct json *tcb, struct tcb_level *l)
{
	return get_u16(s, tcb, "isvsvn", &l->isvsvn);
}

/* The words that each list of levels may use. */
static const enum tcb_status platform_words[] = { TCB_UP_TO_DATE,
	TCB_SW_HARDENING_NEEDED, TCB_CONFIGURATION_NEEDED,
	TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE,
	TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, TCB_REVOKED };
static const enum tcb_status isvsvn_words[] = { TCB_UP_TO_DATE, TCB_OUT_OF_DATE,
	TCB_REVOKED };

struct level_kind {
	int (*read_tcb)(const struct source *s, const struct json *tcb,
	    struct tcb_level *l);
	const enum tcb_status *words;
	size_t n_words;
};
static const struct level_kind platform_level = { read_platform_tcb,
	platform_words, NELEMS(platform_words) };
static const struct level_kind isvsvn_level = { read_isvsvn, isvsvn_words,
	NELEMS(isvsvn_words) };

static int
read_status(const struct source *s, const struct json *item,
    const struct level_kind *kind, enum tcb_status *ret)
{
	const struct json *status = NULL;
	int r = get_member(s, item, "tcbStatus", &status);

	if (r < 0)
		return r;
	for (size_t i = 0; json_is_string(status) && i < kind->n_words; i++) {
		enum tcb_status word = kind->words[i];

		if (strcmp(status->text, status_names[word]) == 0) {
			*ret = word;
			return CVM_OK;
		}
	}
	return source_refuse(s, status, "a TCB status of the PCS, version 4");
}

static int
read_advisories(const struct source *s, const struct json *level,
    struct tcb_advisories *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	const struct json *array = NULL, *item;
	size_t n;
	int r;

	if (json_member(level, "advisoryIDs") == NULL)
		return CVM_OK;
	r = get_array(s, level, "advisoryIDs", TCB_ADVISORIES_MAX, &array, &n);
	if (r < 0)
		return r;
	JSON_EACH(item, array) {
		const char *id = json_is_string(item) ? item->text : "";
		size_t len = strlen(id);

		if (len == 0 || len >= TCB_ADVISORY_LEN ||
		    strspn(id, plain) != len)
			return source_refuse(s, item, "an advisory id");
		memcpy(out->id[out->n++], id, len + 1);
	}
	return CVM_OK;
}

static int
read_level(const struct source *s, const struct json *item,
    const struct level_kind *kind, struct tcb_level *l)
{
	const struct json *tcb = NULL;
	int64_t date;
	int r;

	if (!json_is_object(item))
		return source_refuse(s, item, "an object");
	r = get_member(s, item, "tcb", &tcb);
	if (r < 0)
		return r;
	if (!json_is_object(tcb))
		return source_refuse(s, tcb, "an object");
	r = kind->read_tcb(s, tcb, l);
	if (r == CVM_OK)
		r = get_date(s, item, "tcbDate", &date, l->date);
	if (r == CVM_OK)
		r = read_status(s, item, kind, &l->status);
	if (r == CVM_OK)
		r = read_advisories(s, item, &l->advisories);
	return r;
}

/* Highest first: SGX components, PCESVN, TDX components, ISVSVN. */
static int
compare_levels(const void *pa, const void *pb)
{
	const struct tcb_level *a = pa, *b = pb;
	int c = memcmp(b->sgx, a->sgx, sizeof(a->sgx));

	if (c == 0)
		c = (int)b->pcesvn - (int)a->pcesvn;
	if (c == 0)
		c = memcmp(b->tdx, a->tdx, sizeof(a->tdx));
	if (c == 0)
		c = (int)b->isvsvn - (int)a->isvsvn;
	return c;
}

static int
read_levels(const struct source *s, const struct json *object,
    const struct level_kind *kind, struct tcb_levels *out)
{
	const struct json *array = NULL, *item;
	size_t n = 0;
	int r = get_array(s, object, "tcbLevels", TCB_LEVELS_MAX, &array, &n);

	if (r < 0)
		return r;
	if (n == 0)
		return source_refuse(s, array, "at least one TCB level");
	out->v = calloc(n, sizeof(*out->v));
	if (out->v == NULL)
		return CVM_E_NOMEM;
	JSON_EACH(item, array) {
		r = read_level(s, item, kind, &out->v[out->n]);
		if (r < 0)
			return r;
		out->n++;
	}
	qsort(out->v, out->n, sizeof(*out->v), compare_levels);
	for (size_t i = 1; i < out->n; i++)
		if (compare_levels(&out->v[i - 1], &out->v[i]) == 0)
			return source_refuse(s, array, "levels that differ");
	return CVM_OK;
}

static int
read_module(const struct source *s, const struct json *object,
    struct tdx_module *m)
{
	int r;

	if (!json_is_object(object))
		return source_refuse(s, object, "an object");
	r = get_hex(s, object, "mrsigner", m->mrsigner, sizeof(m->mrsigner));
	if (r == CVM_OK)
		r = get_hex(s, object, "attributes", m->attributes,
		    sizeof(m->attributes));
	if (r == CVM_OK)
		r = get_hex(s, object, "attributesMask", m->attributes_mask,
		    sizeof(m->attributes_mask));
	return r;
}

/* "TDX_01" is the identity of the modules of major version 1. */
static int
read_module_id(const struct source *s, const struct json *object, uint8_t *ret)
{
	static const char form[] = "TDX_";
	const struct json *item = NULL;
	int r = get_member(s, object, "id", &item);

	if (r < 0)
		return r;
	if (!json_is_string(item) ||
	    strncasecmp(item->text, form, strlen(form)) != 0 ||
	    hex_decode(item->text + strlen(form), ret, 1) < 0 || *ret == 0)
		return source_refuse(s, item, "TDX_01 to TDX_FF");
	return CVM_OK;
}

static int
read_identity(const struct source *s, const struct json *item,
    struct tcb_info *t)
{
	struct tdx_module *m = &t->identities[t->n_identities];
	int r;

	t->n_identities++; /* its levels are freed with the others */
	r = read_module(s, item, m);
	if (r == CVM_OK)
		r = read_module_id(s, item, &m->version);
	for (size_t i = 0; r == CVM_OK && i + 1 < t->n_identities; i++)
		if (t->identities[i].version == m->version)
			return source_refuse(s, item,
			    "each module identity once");
	if (r == CVM_OK)
		r = read_levels(s, item, &isvsvn_level, &m->levels);
	return r;
}

static int
read_identities(const struct source *s, const struct json *root,
    struct tcb_info *t)
{
	static const char member[] = "tdxModuleIdentities";
	const struct json *array = NULL, *item;
	size_t n = 0;
	int r;

	/* TCB info from before there was a second module has none. */
	if (json_member(root, member) == NULL)
		return CVM_OK;
	r = get_array(s, root, member, TDX_MODULES_MAX, &array, &n);
	if (r < 0 || n == 0)
		return r;
	t->identities = calloc(n, sizeof(*t->identities));
	if (t->identities == NULL)
		return CVM_E_NOMEM;
	JSON_EACH(item, array) {
		r = read_identity(s, item, t);
		if (r < 0)
			return r;
	}
	return CVM_OK;
}

static int
read_tcb_info(const struct source *s, const struct json *root,
    struct tcb_info *t)
{
	const struct json *module = NULL;
	int r = read_head(s, root, &t->head);

	/* Another TEE's, or another version: the head says it all. */
	if (r < 0 || strcmp(t->head.id, "TDX") != 0 || t->head.version != 3)
		return r;
	r = get_uint(s, root, "tcbType", UINT16_MAX, &t->tcb_type);
	if (r == CVM_OK)
		r = get_hex(s, root, "fmspc", t->fmspc, sizeof(t->fmspc));
	if (r == CVM_OK)
		r = get_hex(s, root, "pceId", t->pceid, sizeof(t->pceid));
	if (r == CVM_OK)
		r = get_member(s, root, "tdxModule", &module);
	if (r == CVM_OK)
		r = read_module(s, module, &t->module);
	if (r == CVM_OK)
		r = read_identities(s, root, t);
	if (r == CVM_OK)
		r = read_levels(s, root, &platform_level, &t->levels);
	return r;
}

/* miscselect is hexadecimal text of a number, the high digit first. */
static int
get_hex32(const struct source *s, const struct json *object, const char *member,
    uint32_t *ret)
{
	uint8_t b[4];
	struct reader reader = reader_init(span(b, sizeof(b)));
	int r = get_hex(s, object, member, b, sizeof(b));

	if (r == CVM_OK)
		*ret = read_be32(&reader);
	return r;
}

static int
read_qe_identity(const struct source *s, const struct json *root,
    struct qe_identity *q)
{
	int r = read_head(s, root, &q->head);

	if (r < 0 || strcmp(q->head.id, "TD_QE") != 0 || q->head.version != 2)
		return r;
	r = get_hex32(s, root, "miscselect", &q->miscselect);
	if (r == CVM_OK)
		r = get_hex32(s, root, "miscselectMask", &q->miscselect_mask);
	if (r == CVM_OK)
		r = get_hex(s, root, "attributes", q->attributes,
		    sizeof(q->attributes));
	if (r == CVM_OK)
		r = get_hex(s, root, "attributesMask", q->attributes_mask,
		    sizeof(q->attributes_mask));
	if (r == CVM_OK)
		r = get_hex(s, root, "mrsigner", q->mrsigner,
		    sizeof(q->mrsigner));
	if (r == CVM_OK)
		r = get_u16(s, root, "isvprodid", &q->isvprodid);
	if (r == CVM_OK)
		r = read_levels(s, root, &isvsvn_level, &q->levels);
	return r;
}

int
tcb_info_parse(struct span text, const char *name, struct tcb_info **ret,
    struct why *reterr_why)
{
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	_cleanup_(tcb_info_freep) struct tcb_info *t = NULL;
	struct source s = { .name = name, .why = reterr_why };
	int r = json_parse(text, name, &doc, reterr_why);

	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, name, "", "", "");
	s.doc = doc;
	r = read_tcb_info(&s, json_root(doc), t);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(t);
	return CVM_OK;
}

void
tcb_info_freep(struct tcb_info **t)
{
	if (t == NULL || *t == NULL)
		return;
	if ((*t)->refs > 0) {
		(*t)->refs--;
		*t = NULL;
		return;
	}
	for (size_t i = 0; i < (*t)->n_identities; i++)
		free((*t)->identities[i].levels.v);
	free((*t)->identities);
	free((*t)->levels.v);
	free(*t);
	*t = NULL;
}

int
qe_identity_parse(struct span text, const char *name, struct qe_identity **ret,
    struct why *reterr_why)
{
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	_cleanup_(qe_identity_freep) struct qe_identity *q = NULL;
	struct source s = { .name = name, .why = reterr_why };
	int r = json_parse(text, name, &doc, reterr_why);

	if (r < 0)
		return r;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, name, "", "", "");
	s.doc = doc;
	r = read_qe_identity(&s, json_root(doc), q);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(q);
	return CVM_OK;
}

void
qe_identity_freep(struct qe_identity **q)
{
	if (q == NULL || *q == NULL)
		return;
	if ((*q)->refs > 0) {
		(*q)->refs--;
		*q = NULL;
		return;
	}
	free((*q)->levels.v);
	free(*q);
	*q = NULL;
}
