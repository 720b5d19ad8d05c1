/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/bundle.h"
#include "attest/hcl.h"
#include "attest/snp.h"
#include "attest/svsm.h"

#define BUNDLE_FORMAT "cvm-pkcs11 evidence bundle/1"

static void
cjson_freep(cJSON **j)
{
	cJSON_Delete(*j);
	*j = NULL;
}

/* The blobs of the evidence: one table writes them and reads them. */
static const struct {
	const char *name;
	size_t offset, max;
} blob_fields[] = {
#define ROW(member, max)                                                       \
	{                                                                      \
#member, offsetof(struct evidence, member), max                \
	}
	ROW(tee_report, EVIDENCE_TEE_MAX),
	ROW(tee_aux, EVIDENCE_AUX_MAX),
	ROW(tpm_quote, 4096),
	ROW(tpm_signature, 4096),
	ROW(ak_public, 4096),
	ROW(ak_cert, EVIDENCE_AUX_MAX),
	ROW(hcl_report, HCL_REPORT_MAX),
	ROW(svsm_manifest, SVSM_MANIFEST_MAX),
	ROW(event_log, EVIDENCE_LOG_MAX),
	ROW(ccel, EVIDENCE_LOG_MAX),
#undef ROW
};

static const struct blob *
const_blob_at(const struct evidence *e, size_t offset)
{
	return (const struct blob *)(const void *)((const char *)e + offset);
}

static int
put_base64(cJSON *obj, const char *name, struct span s)
{
	_cleanup_(freep) char *text = NULL;
	int r;

	if (s.len == 0)
		return CVM_OK;
	if ((r = base64_encode(s, &text)) != CVM_OK)
		return r;
	return cJSON_AddStringToObject(obj, name, text) != NULL ? CVM_OK :
								  CVM_E_NOMEM;
}

static int
put_hex(cJSON *obj, const char *name, struct span s)
{
	char text[2 * MERKLE_PATH_MAX + 1];

	if (s.len > MERKLE_PATH_MAX)
		return CVM_E_INTERNAL;
	(void)hex_encode(s, text, sizeof(text));
	return cJSON_AddStringToObject(obj, name, text) != NULL ? CVM_OK :
								  CVM_E_NOMEM;
}

static int
put_pcrs(cJSON *obj, const struct pcr_values *v)
{
	char index[4];
	cJSON *pcrs;
	int r;

	if (v->mask == 0)
		return CVM_OK;
	if (v->bank != HASH_SHA256 && v->bank != HASH_SHA384)
		return CVM_E_INTERNAL;
	if ((pcrs = cJSON_AddObjectToObject(obj, "pcrs")) == NULL ||
	    cJSON_AddStringToObject(pcrs, "bank",
		v->bank == HASH_SHA384 ? "sha384" : "sha256") == NULL)
		return CVM_E_NOMEM;
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		if ((v->mask & (1u << i)) == 0)
			continue;
		(void)snprintf(index, sizeof(index), "%u", i);
		if ((r = put_hex(pcrs, index,
			 span(v->value[i], hash_len(v->bank)))) != CVM_OK)
			return r;
	}
	return CVM_OK;
}

static int
put_evidence(cJSON *root, const struct evidence *e)
{
	cJSON *obj = cJSON_AddObjectToObject(root, "evidence");
	int r;

	if (obj == NULL ||
	    cJSON_AddStringToObject(obj, "tee", tee_kind_name(e->tee)) ==
		NULL ||
	    cJSON_AddBoolToObject(obj, "simulated", e->simulated) == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < NELEMS(blob_fields); i++)
		if ((r = put_base64(obj, blob_fields[i].name,
			 blob_span(const_blob_at(e, blob_fields[i].offset)))) !=
		    CVM_OK)
			return r;
	return put_pcrs(obj, &e->pcrs);
}

/* The keys of other chips and TCBs: not everybody's are told. */
static bool
is_other_vek(const struct evidence *ev, const char *name)
{
	static const char folder[] = "amd/vek/";
	char mine[SNP_VEK_NAME_MAX];
	struct snp_report report;

	if (strncmp(name, folder, sizeof(folder) - 1) != 0 ||
	    snp_report_parse(blob_span(&ev->tee_report), &report, NULL) !=
		CVM_OK)
		return false;
	for (unsigned i = 0; snp_vek_name(&report, i, mine) != NULL; i++)
		if (strcmp(name, mine) == 0)
			return false;
	return true;
}

/* Endorsements are kept by vendor (attest/evidence.h). */
bool
endorsement_is_about(const struct evidence *ev, const char *name)
{
	static const struct {
		const char *prefix;
		enum tee_kind tee;
	} vendors[] = { { "amd/", TEE_SNP }, { "intel/", TEE_TDX } };

	for (size_t i = 0; i < NELEMS(vendors); i++)
		if (strncmp(name, vendors[i].prefix,
			strlen(vendors[i].prefix)) == 0)
			return ev->tee == vendors[i].tee &&
			    !is_other_vek(ev, name);
	return true;
}

static int
put_endorsements(cJSON *root, const struct evidence *ev,
    const struct endorsements *e)
{
	cJSON *obj;
	const char *name;
	int r;

	if (e == NULL)
		return CVM_OK;
	if ((obj = cJSON_AddObjectToObject(root, "endorsements")) == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; (name = endorsements_name(e, i)) != NULL; i++)
		if (endorsement_is_about(ev, name) &&
		    (r = put_base64(obj, name, endorsements_find(e, name))) !=
			CVM_OK)
			return r;
	return CVM_OK;
}

static int
put_admission(cJSON *root, const struct admission *a)
{
	_cleanup_(blob_clear) struct blob path = { 0 };
	const struct round_result *rr = a->round;
	cJSON *obj = cJSON_AddObjectToObject(root, "admission");
	int r;

	if (obj == NULL ||
	    cJSON_AddNumberToObject(obj, "index", (double)a->index) == NULL ||
	    cJSON_AddNumberToObject(obj, "leaves", (double)rr->n_leaves) ==
		NULL)
		return CVM_E_NOMEM;
	if ((r = merkle_proof(rr->leaves, rr->n_leaves, a->index, &path)) !=
		CVM_OK ||
	    (r = put_base64(obj, "leaf", blob_span(&rr->leaves[a->index]))) !=
		CVM_OK ||
	    (r = put_hex(obj, "path", blob_span(&path))) != CVM_OK ||
	    (r = put_hex(obj, "root", span(rr->root, SHA256_LEN))) != CVM_OK)
		return r;
	return put_hex(obj, "tee_root", span(rr->tee_root, SHA256_LEN));
}

int
bundle_encode(const struct admission *a, const struct policy *policy,
    const struct endorsements *e, char **ret_json)
{
	return bundle_encode_key(a, policy, e, /* key= */ NULL, ret_json);
}

int
bundle_encode_key(const struct admission *a, const struct policy *policy,
    const struct endorsements *e, const struct birth *key, char **ret_json)
{
	_cleanup_(cjson_freep) cJSON *root = cJSON_CreateObject();
	_cleanup_(freep) char *text = NULL;
	char when[24];
	int r;

	if (a->round == NULL)
		return CVM_E_INVAL;
	(void)snprintf(when, sizeof(when), "%" PRId64, a->round->time);
	if (root == NULL ||
	    cJSON_AddStringToObject(root, "format", BUNDLE_FORMAT) == NULL ||
	    cJSON_AddStringToObject(root, "time", when) == NULL)
		return CVM_E_NOMEM;
	if ((r = put_hex(root, "policy_digest",
		 span(policy->digest, POLICY_DIGEST_LEN))) != CVM_OK ||
	    (r = put_admission(root, a)) != CVM_OK ||
	    (key != NULL && (r = birth_put(root, key)) != CVM_OK) ||
	    (r = put_evidence(root, &a->round->evidence)) != CVM_OK ||
	    (r = put_endorsements(root, &a->round->evidence, e)) != CVM_OK)
		return r;
	if ((text = cJSON_Print(root)) == NULL)
		return CVM_E_NOMEM;
	if (strlen(text) > BUNDLE_BYTES_MAX)
		return CVM_E_UNSUPPORTED;
	*ret_json = TAKE_PTR(text);
	return CVM_OK;
}

void
bundle_freep(struct bundle **bp)
{
	struct bundle *b;

	if (bp == NULL || (b = *bp) == NULL)
		return;
	evidence_clear(&b->evidence);
	endorsements_freep(&b->endorsements);
	blob_clear(&b->leaf);
	blob_clear(&b->path);
	free(b);
	*bp = NULL;
}

/*
 * Reading: tables of json_field; each reader stores into out, the place of
 * its member.
 */

static int
read_base64(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	struct blob *b = out;
	int r = CVM_E_PARSE;

	if (json_is_string(item))
		r = base64_decode(item->text, (size_t)f->max, b);
	if (r == CVM_E_NOMEM)
		return why_set(why, r, f->name, "", "", "");
	/* What is absent is not there: one way to say a thing. */
	if (r != CVM_OK || b->len == 0)
		return json_refuse(doc, item,
		    "base64 of at least one byte, within the size limit", why);
	return CVM_OK;
}

/* Exactly max bytes. */
static int
read_digest(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	if (!json_is_string(item) ||
	    hex_decode(item->text, out, (size_t)f->max) != CVM_OK)
		return json_refuse(doc, item, "64 hex digits", why);
	return CVM_OK;
}

static int
read_path(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	if (!json_is_string(item) ||
	    hex_decode_blob(item->text, (size_t)f->max, out) != CVM_OK)
		return json_refuse(doc, item, "hex within the size limit", why);
	if (((struct blob *)out)->len % SHA256_LEN != 0)
		return json_refuse(doc, item, "hashes of 64 hex digits", why);
	return CVM_OK;
}

static int
read_size(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	size_t *v = out;

	if (!json_is_number(item) || item->number < f->min ||
	    item->number > f->max)
		return json_refuse(doc, item, "an index of the tree", why);
	*v = (size_t)item->number;
	return CVM_OK;
}

static int
read_time(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	int64_t *v = out;
	char *end = NULL;

	(void)f;
	if (!json_is_string(item) || item->text[0] < '1' ||
	    item->text[0] > '9' || strlen(item->text) > 18)
		return json_refuse(doc, item, "seconds since 1970", why);
	*v = strtoll(item->text, &end, 10);
	return *end == '\0' ? CVM_OK :
			      json_refuse(doc, item, "seconds since 1970", why);
}

static int
read_word(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	(void)out;
	if (!json_is_string(item) || strcmp(item->text, f->arg) != 0)
		return json_refuse(doc, item, f->arg, why);
	return CVM_OK;
}

static int
read_tee(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	enum tee_kind *v = out;

	(void)f;
	for (int i = TEE_NONE; i <= TEE_TDX; i++) {
		const enum tee_kind k = (enum tee_kind)i;

		if (json_is_string(item) &&
		    strcmp(item->text, tee_kind_name(k)) == 0) {
			*v = k;
			return CVM_OK;
		}
	}
	return json_refuse(doc, item, "none, sev, snp or tdx", why);
}

static int
read_bool(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	bool *v = out;

	(void)f;
	if (!json_is_bool(item))
		return json_refuse(doc, item, "true or false", why);
	*v = json_is_true(item);
	return CVM_OK;
}

static int
read_one_pcr(const struct json_doc *doc, const struct json *item,
    struct pcr_values *v, struct why *why)
{
	char index[4];

	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		(void)snprintf(index, sizeof(index), "%u", i);
		if (strcmp(item->name, index) != 0)
			continue;
		if (!json_is_string(item) ||
		    hex_decode(item->text, v->value[i], hash_len(v->bank)) !=
			CVM_OK)
			return json_refuse(doc, item, "hex of the bank's size",
			    why);
		v->mask |= 1u << i;
		return CVM_OK;
	}
	return json_refuse(doc, item, "a PCR index 0..23", why);
}

static int
read_pcrs(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	struct pcr_values *v = out;
	const struct json *bank = json_member(item, "bank");
	int r;

	(void)f;
	if (!json_is_object(item) || !json_is_string(bank))
		return json_refuse(doc, item, "an object with a bank", why);
	if (strcmp(bank->text, "sha256") == 0)
		v->bank = HASH_SHA256;
	else if (strcmp(bank->text, "sha384") == 0)
		v->bank = HASH_SHA384;
	else
		return json_refuse(doc, bank, "sha256 or sha384", why);
	for (const struct json *i = item->child; i != NULL; i = i->next)
		if (i != bank && (r = read_one_pcr(doc, i, v, why)) != CVM_OK)
			return r;
	if (v->mask == 0)
		return json_refuse(doc, item, "at least one PCR", why);
	return CVM_OK;
}

static int
read_evidence(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
#define E(member) offsetof(struct evidence, member)
	static const struct json_field own[] = {
		{ "tee", true, read_tee, E(tee), 0, 0, NULL, NULL },
		{ "simulated", true, read_bool, E(simulated), 0, 0, NULL,
		    NULL },
		{ "pcrs", false, read_pcrs, E(pcrs), 0, 0, NULL, NULL },
	};
#undef E
	struct json_field rows[NELEMS(own) + NELEMS(blob_fields)];

	(void)f;
	memcpy(rows, own, sizeof(own));
	for (size_t i = 0; i < NELEMS(blob_fields); i++)
		rows[NELEMS(own) + i] = (struct json_field){
			.name = blob_fields[i].name,
			.read = read_base64,
			.offset = blob_fields[i].offset,
			.max = (long long)blob_fields[i].max,
		};
	return json_read_object(doc, item, rows, NELEMS(rows), out, why);
}

static int
read_admission(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
#define B(member) offsetof(struct bundle, member)
	static const struct json_field rows[] = {
		{ "index", true, read_size, B(index), 0, MERKLE_LEAVES_MAX - 1,
		    NULL, NULL },
		{ "leaves", true, read_size, B(n_leaves), 1, MERKLE_LEAVES_MAX,
		    NULL, NULL },
		{ "leaf", true, read_base64, B(leaf), 1, LEAF_MAX, NULL, NULL },
		{ "path", true, read_path, B(path), 0, MERKLE_PATH_MAX, NULL,
		    NULL },
		{ "root", true, read_digest, B(root), 0, SHA256_LEN, NULL,
		    NULL },
		{ "tee_root", true, read_digest, B(tee_root), 0, SHA256_LEN,
		    NULL, NULL },
	};
#undef B
	(void)f;
	return json_read_object(doc, item, rows, NELEMS(rows), out, why);
}

static int
read_endorsements(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	struct endorsements **e = out;
	int r;

	(void)f;
	if (!json_is_object(item))
		return json_refuse(doc, item, "an object of files", why);
	for (const struct json *i = item->child; i != NULL; i = i->next) {
		_cleanup_(blob_clear) struct blob b = { 0 };

		if (!json_is_string(i) ||
		    base64_decode(i->text, ENDORSEMENTS_FILE_MAX, &b) !=
			CVM_OK ||
		    b.len == 0)
			return json_refuse(doc, i, "base64 of a file", why);
		r = endorsements_add(*e, i->name, blob_span(&b));
		if (r == CVM_E_NOMEM)
			return why_set(why, r, i->name, "", "", "");
		if (r != CVM_OK)
			return json_refuse(doc, i,
			    "a plain file name, 256 files of 32 MiB together",
			    why);
	}
	return CVM_OK;
}

static int
read_key(const struct json_doc *doc, const struct json *item,
    const struct json_field *f, void *out, struct why *why)
{
	struct bundle *b = out;

	(void)f;
	b->has_key = true;
	return birth_read(doc, item, &b->key, why);
}

int
bundle_parse(struct span json, const char *name, struct bundle **ret,
    struct why *reterr_why)
{
#define B(member) offsetof(struct bundle, member)
	static const struct json_field rows[] = {
		{ "format", true, read_word, 0, 0, 0, BUNDLE_FORMAT, NULL },
		{ "time", true, read_time, B(time), 0, 0, NULL, NULL },
		{ "policy_digest", true, read_digest, B(policy_digest), 0,
		    POLICY_DIGEST_LEN, NULL, NULL },
		{ "admission", true, read_admission, 0, 0, 0, NULL, NULL },
		{ "key", false, read_key, 0, 0, 0, NULL, NULL },
		{ "evidence", true, read_evidence, B(evidence), 0, 0, NULL,
		    NULL },
		{ "endorsements", false, read_endorsements, B(endorsements), 0,
		    0, NULL, NULL },
	};
#undef B
	static const struct json_limits limits = { BUNDLE_BYTES_MAX,
		BUNDLE_VALUES_MAX, false };
	_cleanup_(bundle_freep) struct bundle *b = calloc(1, sizeof(*b));
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	int r;

	if (b == NULL || (b->endorsements = endorsements_new()) == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, name, "", "", "");
	if ((r = json_parse_within(json, &limits, name, &doc, reterr_why)) !=
		CVM_OK ||
	    (r = json_read_object(doc, json_root(doc), rows, NELEMS(rows), b,
		 reterr_why)) != CVM_OK)
		return r;
	*ret = TAKE_PTR(b);
	return CVM_OK;
}
