/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/tdx_parts.h"
#include "base/tuple.h"

#define ROOT_CRL_FILE "intel/root-ca.crl"
#define TCB_INFO_CHAIN_FILE "intel/tcbinfo-chain.pem"
#define QE_IDENTITY_FILE "intel/qe-identity.json"
#define QE_IDENTITY_CHAIN_FILE "intel/qe-identity-chain.pem"

static const char *const signer_names[] = { "Intel SGX TCB Signing",
	intel_root_ca };

/* PCK Certificate and CRL Profile Specification, section 4. */
int
intel_crl_load(const struct tdx_run *run, const char *name,
    const struct cert *issuer, struct crl **ret, struct why *why)
{
	_cleanup_(crl_freep) struct crl *crl = NULL;
	struct span s = endorsements_find(run->a->endorsements, name);

	if (s.len == 0)
		return why_set(why, CVM_E_NOT_FOUND, name, "", "a CRL",
		    "no such file, or an empty one");
	if (parsed_crl(chain_cache_parsed(run->a->cache), s, &crl) < 0)
		return why_set(why, CVM_E_PARSE, name, "",
		    "a CRL, in DER or PEM", crl_mistaken(s));
	if (!name_equal(crl->issuer, issuer->subject))
		return why_set(why, CVM_E_DENIED, name, "issuer",
		    "the CA's name", "another name");
	if (crl->version != 2 || !crl->has_number || !crl->has_authority)
		return why_set(why, CVM_E_DENIED, name, "extensions",
		    "version 2 with CRL number and authority key identifier",
		    "not all of them");
	*ret = TAKE_PTR(crl);
	return CVM_OK;
}

bool
tdx_check_crls(struct tdx_run *run)
{
	struct cert *issuer = run->pck.cert[1];
	bool processor = intel_name_is(issuer->subject, intel_processor_ca);
	struct why why = { 0 };
	struct crl *crls[2];
	bool ok;
	int r;

	r = intel_crl_load(run, ROOT_CRL_FILE, run->pck.cert[2], &run->root_crl,
	    &why);
	ok = verdict_from_why(run->v, CHECK_TDX_20, r, &why);
	r = intel_crl_load(run,
	    processor ? "intel/pck-crl-processor.der" :
			"intel/pck-crl-platform.der",
	    issuer, &run->pck_crl, &why);
	ok &= verdict_from_why(run->v, CHECK_TDX_21, r, &why);
	if (!ok)
		return false;
	crls[0] = run->root_crl;
	crls[1] = run->pck_crl;
	r = intel_chain_verify(run, &run->pck, crls, NELEMS(crls), NULL, &why);
	return verdict_from_why(run->v, CHECK_TDX_22, r, &why);
}

/* What TCB info and QE identity have in common, and their checks. */
struct item {
	const char *name; /* of the file */
	const char *chain_name;
	const char *member;
	const struct parsed_kind *kind;
	enum check_id file, names, chain, signature, form, id, dates;
	struct span text; /* verified; not set when it was read before */
	void *object;	  /* that was read from verified text before */
};

static void
free_tcb_info(void *object)
{
	struct tcb_info *t = object;

	tcb_info_freep(&t);
}

static void
free_qe_identity(void *object)
{
	struct qe_identity *q = object;

	qe_identity_freep(&q);
}

/* Objects that were read from a file whose text had been verified. */
static const struct parsed_kind kind_tcb_info = { free_tcb_info };
static const struct parsed_kind kind_qe_identity = { free_qe_identity };

static int
check_chain(struct tdx_run *run, const struct intel_chain *c,
    struct chain_validity *validity, struct why *why)
{
	int r = intel_chain_pinned(c, &run->pins, why);

	if (r == CVM_OK)
		r = intel_chain_algorithms(c, why);
	if (r == CVM_OK && run->root_crl == NULL)
		return why_set(why, CVM_E_NOT_FOUND, ROOT_CRL_FILE, "",
		    "a CRL of the root CA", "none");
	/* The chain may end in another pinned root than the quote's. */
	if (r == CVM_OK)
		r = intel_chain_verify(run, c, &run->root_crl, 1, validity,
		    why);
	return r;
}

static bool
check_signature(struct tdx_run *run, struct item *item, struct cert *signer)
{
	struct span body = endorsements_find(run->a->endorsements, item->name);
	struct signed_json json = { 0 };
	uint8_t digest[SHA256_LEN];
	struct why why = { 0 };
	int r = signed_json_open(body, item->name, item->member, &json, &why);

	if (r == CVM_OK)
		r = hash(HASH_SHA256, json.text, digest);
	if (r == CVM_OK) {
		r = cert_check_raw(signer,
		    span(json.signature, sizeof(json.signature)),
		    span(digest, sizeof(digest)));
		if (r < 0)
			(void)why_set(&why, r, item->name, "signature",
			    "a valid signature",
			    "a signature that does not verify");
	}
	item->text = json.text;
	return verdict_from_why(run->v, item->signature, r, &why);
}

/* SHA-256 of a file, which mostly is what it was: to compare takes less. */
static int
file_digest(const struct tdx_run *run, const char *name,
    uint8_t out[static SHA256_LEN])
{
	static const struct parsed_kind kind = { free };
	struct parsed *p = chain_cache_parsed(run->a->cache);
	struct span file = endorsements_find(run->a->endorsements, name);
	const uint8_t *known = parsed_find(p, &kind, file);
	uint8_t *copy;
	int r;

	if (known != NULL) {
		memcpy(out, known, SHA256_LEN);
		return CVM_OK;
	}
	if ((r = hash(HASH_SHA256, file, out)) != CVM_OK ||
	    (copy = malloc(SHA256_LEN)) == NULL)
		return r;
	memcpy(copy, out, SHA256_LEN);
	if (!parsed_keep(p, &kind, file, copy))
		free(copy);
	return CVM_OK;
}

/* Everything that the checks of an item depend on, but the time. */
static int
memo_key(const struct tdx_run *run, const struct item *item,
    uint8_t key[static SHA256_LEN])
{
	_cleanup_(freep) struct span *fields = NULL;
	_cleanup_(blob_clear) struct blob t = { 0 };
	const char *const names[] = { item->name, item->chain_name,
		ROOT_CRL_FILE };
	uint8_t digest[NELEMS(names)][SHA256_LEN];
	size_t n = 1;
	int r;

	fields = calloc(1 + NELEMS(names) + run->pins.n, sizeof(*fields));
	if (fields == NULL)
		return CVM_E_NOMEM;
	fields[0] = span(item->member, strlen(item->member));
	for (size_t i = 0; i < NELEMS(names); i++) {
		if ((r = file_digest(run, names[i], digest[i])) != CVM_OK)
			return r;
		fields[n++] = span(digest[i], SHA256_LEN);
	}
	for (size_t i = 0; i < run->pins.n; i++)
		fields[n++] = blob_span(&run->pins.v[i]);
	r = tuple("cvm-pkcs11/collateral/1", fields, n, &t);
	return r < 0 ? r : hash(HASH_SHA256, blob_span(&t), key);
}

/* A repeated appraisal need not verify what it has verified. */
static bool
known_item(struct tdx_run *run, struct item *item,
    const uint8_t key[static SHA256_LEN])
{
	struct span body = endorsements_find(run->a->endorsements, item->name);
	struct signed_json json = { 0 };
	struct chain_validity v = { 0 };

	if (run->root_crl == NULL ||
	    !chain_cache_known(run->a->cache, key, run->a->now, &v))
		return false;
	item->object = parsed_find(chain_cache_parsed(run->a->cache),
	    item->kind, body);
	if (item->object == NULL &&
	    signed_json_open(body, item->name, item->member, &json, NULL) < 0)
		return false;
	item->text = json.text;
	facts_narrow(&run->facts, v.from, v.until);
	return verdict_pass(run->v, item->file) &&
	    verdict_pass(run->v, item->names) &&
	    verdict_pass(run->v, item->chain) &&
	    verdict_pass(run->v, item->signature);
}

static int
load_item(const struct tdx_run *run, const struct item *item,
    struct intel_chain *ret, struct why *why)
{
	const struct endorsements *e = run->a->endorsements;

	if (endorsements_find(e, item->name).len == 0)
		return why_set(why, CVM_E_NOT_FOUND, item->name, "",
		    "an answer of Intel's PCS",
		    "no such file, or an empty one");
	return intel_chain_known(chain_cache_parsed(run->a->cache),
	    endorsements_find(e, item->chain_name), item->chain_name, 2, ret,
	    why);
}

/* From the file to its verified text. */
static bool
check_item(struct tdx_run *run, struct item *item)
{
	_cleanup_(intel_chain_clear) struct intel_chain chain = { 0 };
	struct chain_validity validity = { 0 };
	uint8_t key[SHA256_LEN];
	bool have_key = memo_key(run, item, key) == CVM_OK;
	struct why why = { 0 };
	int r;

	if (have_key && known_item(run, item, key))
		return true;
	r = load_item(run, item, &chain, &why);
	if (!verdict_from_why(run->v, item->file, r, &why))
		return false;
	r = intel_chain_names(&chain, signer_names, &why);
	if (!verdict_from_why(run->v, item->names, r, &why))
		return false;
	r = check_chain(run, &chain, &validity, &why);
	if (!verdict_from_why(run->v, item->chain, r, &why) ||
	    !check_signature(run, item, chain.cert[0]))
		return false;
	if (have_key)
		chain_cache_remember(run->a->cache, key, validity.from,
		    validity.until);
	return true;
}

static bool
keep_object(const struct tdx_run *run, const struct item *item, void *object)
{
	return parsed_keep(chain_cache_parsed(run->a->cache), item->kind,
	    endorsements_find(run->a->endorsements, item->name), object);
}

static bool
check_dates(struct tdx_run *run, enum check_id id,
    const struct collateral_head *head)
{
	int64_t now = run->a->now;
	char expected[96], from[TDX_TIME_LEN], until[TDX_TIME_LEN];

	facts_newer(&run->facts, head->issue_date);
	facts_narrow(&run->facts, head->issue_date, head->next_update - 1);
	if (head->issue_date <= now && now < head->next_update)
		return verdict_pass_value(run->v, id, "%s",
		    tdx_time_text(now, from));
	(void)snprintf(expected, sizeof(expected), "a time of %s to %s",
	    tdx_time_text(head->issue_date, from),
	    tdx_time_text(head->next_update, until));
	return verdict_fail(run->v, id, expected, "%s%s",
	    tdx_time_text(now, from),
	    now < head->issue_date ? " (before issueDate)" :
				     " (nextUpdate has come)");
}

/*
 * The signed text is verified; of two of one kind, the newer is known by its
 * number. Another root is another issuer.
 */
static bool
note_seen(struct tdx_run *run, enum check_id form, const char *tag,
    struct span of, const char *about, const struct collateral_head *head)
{
	struct seen_mark m = { .number = head->evaluation_number,
		.time = head->issue_date };
	struct span fields[2] = { [1] = of };
	struct why why = { 0 };
	int r;

	if (run->pck.n == 0) /* upkeep without a quote remembers nothing */
		return true;
	fields[0] = span(run->pck.cert[run->pck.n - 1]->spki_digest,
	    SHA256_LEN);
	r = seen_id(tag, fields, NELEMS(fields), m.id);
	if (r != CVM_OK) {
		(void)why_set(&why, r, about, "", "memory for its id", "none");
		return verdict_from_why(run->v, form, r, &why);
	}
	(void)snprintf(m.about, sizeof(m.about), "%s", about);
	(void)seen_raise(&run->facts.seen, &m);
	return true;
}

/* The file is named for the FMSPC, in either case of its digits. */
void
tdx_tcb_info_name(const struct tdx_run *run,
    char name[static INTEL_FILE_NAME_MAX])
{
	char hex[2 * sizeof(run->sgx.fmspc) + 1];

	(void)hex_encode(span(run->sgx.fmspc, sizeof(run->sgx.fmspc)), hex,
	    sizeof(hex));
	(void)snprintf(name, INTEL_FILE_NAME_MAX, "intel/tcbinfo-%s.json", hex);
	if (endorsements_find(run->a->endorsements, name).len > 0)
		return;
	for (char *c = hex; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'f')
			*c = (char)(*c - 'a' + 'A');
	(void)snprintf(name, INTEL_FILE_NAME_MAX, "intel/tcbinfo-%s.json", hex);
}

static bool
check_same_hex(struct tdx_run *run, enum check_id id, struct span cert,
    struct span info)
{
	char expected[32], got[32];

	return verdict_check(run->v, id, span_equal(cert, info),
	    hex_encode(cert, expected, sizeof(expected)), "%s",
	    hex_encode(info, got, sizeof(got)));
}

/* Of an item that check_item() found good. */
static int
read_tcb_info(struct tdx_run *run, const struct item *item, struct why *why)
{
	struct tcb_info *t = item->object;
	int r;

	if (t == NULL) {
		r = tcb_info_parse(item->text, item->name, &t, why);
		if (r != CVM_OK)
			return r;
		if (!keep_object(run, item, t)) {
			run->tcb_info = t;
			return CVM_OK;
		}
	}
	t->refs++;
	run->tcb_info = t;
	return CVM_OK;
}

static int
read_qe_identity(struct tdx_run *run, const struct item *item, struct why *why)
{
	struct qe_identity *q = item->object;
	int r;

	if (q == NULL) {
		r = qe_identity_parse(item->text, item->name, &q, why);
		if (r != CVM_OK)
			return r;
		if (!keep_object(run, item, q)) {
			run->qe_identity = q;
			return CVM_OK;
		}
	}
	q->refs++;
	run->qe_identity = q;
	return CVM_OK;
}

static bool
check_tcb_info(struct tdx_run *run)
{
	char name[INTEL_FILE_NAME_MAX];
	struct item item = { .name = name,
		.chain_name = TCB_INFO_CHAIN_FILE,
		.member = "tcbInfo",
		.kind = &kind_tcb_info,
		.file = CHECK_TDX_23,
		.names = CHECK_TDX_24,
		.chain = CHECK_TDX_25,
		.signature = CHECK_TDX_26,
		.form = CHECK_TDX_27,
		.id = CHECK_TDX_28,
		.dates = CHECK_TDX_29 };
	const struct sgx_extension *x = &run->sgx;
	const struct tcb_info *t;
	struct why why = { 0 };
	bool ok;
	int r;

	tdx_tcb_info_name(run, name);
	if (!check_item(run, &item))
		return false;
	r = read_tcb_info(run, &item, &why);
	if (!verdict_from_why(run->v, item.form, r, &why))
		return false;
	t = run->tcb_info;
	ok = check_dates(run, item.dates, &t->head) &&
	    note_seen(run, item.form, "cvm-pkcs11/seen-tcb-info/1",
		span(t->fmspc, sizeof(t->fmspc)), "TCB info", &t->head);
	if (!verdict_check(run->v, item.id,
		strcmp(t->head.id, "TDX") == 0 && t->head.version == 3 &&
		    t->tcb_type == 0,
		"TDX, version 3, type 0", "%s, version %u, type %u", t->head.id,
		t->head.version, t->tcb_type))
		return false;
	ok &= check_same_hex(run, CHECK_TDX_30,
	    span(x->fmspc, sizeof(x->fmspc)), span(t->fmspc, sizeof(t->fmspc)));
	return check_same_hex(run, CHECK_TDX_31,
		   span(x->pceid, sizeof(x->pceid)),
		   span(t->pceid, sizeof(t->pceid))) &&
	    ok;
}

static bool
check_qe_identity(struct tdx_run *run)
{
	struct item item = { .name = QE_IDENTITY_FILE,
		.chain_name = QE_IDENTITY_CHAIN_FILE,
		.member = "enclaveIdentity",
		.kind = &kind_qe_identity,
		.file = CHECK_TDX_32,
		.names = CHECK_TDX_33,
		.chain = CHECK_TDX_34,
		.signature = CHECK_TDX_35,
		.form = CHECK_TDX_36,
		.id = CHECK_TDX_37,
		.dates = CHECK_TDX_38 };
	const struct collateral_head *head;
	struct why why = { 0 };
	bool ok;
	int r;

	if (!check_item(run, &item))
		return false;
	r = read_qe_identity(run, &item, &why);
	if (!verdict_from_why(run->v, item.form, r, &why))
		return false;
	head = &run->qe_identity->head;
	ok = check_dates(run, item.dates, head) &&
	    note_seen(run, item.form, "cvm-pkcs11/seen-qe-identity/1",
		span("TD_QE", strlen("TD_QE")), "QE identity", head);
	return verdict_check(run->v, item.id,
		   strcmp(head->id, "TD_QE") == 0 && head->version == 2,
		   "TD_QE, version 2", "%s, version %u", head->id,
		   head->version) &&
	    ok;
}

bool
tdx_check_collateral(struct tdx_run *run)
{
	bool have_info = check_tcb_info(run);
	bool have_identity = check_qe_identity(run);
	uint32_t floor = run->policy->min_tcb_evaluation_data_number;
	uint32_t info, identity, oldest;
	char expected[48];
	bool ok;

	if (run->tcb_info == NULL || run->qe_identity == NULL)
		return false;
	info = run->tcb_info->head.evaluation_number;
	identity = run->qe_identity->head.evaluation_number;
	oldest = info < identity ? info : identity;
	/* Of two updates, the older half could be replayed. */
	(void)snprintf(expected, sizeof(expected), "%u, as in the TCB info",
	    info);
	ok = verdict_check(run->v, CHECK_TDX_39, info == identity, expected,
	    "%u", identity);
	(void)snprintf(expected, sizeof(expected), "at least %u", floor);
	return verdict_check(run->v, CHECK_TDX_40, oldest >= floor, expected,
		   "%u", oldest) &&
	    ok && have_info && have_identity;
}
