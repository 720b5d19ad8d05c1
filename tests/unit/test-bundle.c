/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/collect.h"
#include "tests/unit/round-scene.h"

/* A bundle of a virtual CVM, as it is and with one thing changed. */

#define N_LEAVES 5
#define INDEX 2

static struct round_scene scene;
static struct endorsements *endorsements;
static struct collector collector;
static struct round_result *rr; /* of the first round */
static char *good;
static const uint8_t nonce[16] = { 'n', 'o', 'n', 'c', 'e' };

#define NEEDS_MACHINE()                                                        \
	if (!scene.there)                                                      \
	skip()

/* A round by hand: N_LEAVES leaves, the verifier's among them. */
static struct round_result *
collect_round(bool fresh)
{
	struct round_result *r = calloc(1, sizeof(*r));
	struct why why = { 0 };

	assert_non_null(r);
	r->refs = 1;
	r->n_leaves = N_LEAVES;
	r->leaves = calloc(N_LEAVES, sizeof(*r->leaves));
	assert_non_null(r->leaves);
	for (uint8_t i = 0; i < N_LEAVES; i++)
		if (i != INDEX)
			assert_int_equal(blob_set(&r->leaves[i], span(&i, 1)),
			    0);
	assert_int_equal(leaf_challenge(span(nonce, sizeof(nonce)),
			     span(NULL, 0), &r->leaves[INDEX]),
	    0);
	assert_int_equal(merkle_root(r->leaves, r->n_leaves, r->root), 0);
	assert_int_equal(collect(&collector, r->root, fresh, &r->evidence,
			     &why),
	    0);
	memcpy(r->tee_root, collector.report_root, SHA256_LEN);
	r->time = (int64_t)time(NULL);
	return r;
}

static char *
encode(struct round_result *round, const struct endorsements *e)
{
	struct admission a = { .round = round, .index = INDEX };
	char *text = NULL;

	assert_int_equal(bundle_encode(&a, scene.policy, e, &text), 0);
	return text;
}

static int
start(void **state)
{
	struct why why;

	(void)state;
	round_scene_start(&scene, "");
	if (!scene.there)
		return 0;
	round_scene_configure(&scene,
	    &(struct round_options){ .tee_max_age_s = 60,
		.with_boot_log = true });
	assert_int_equal(endorsements_load(scene.cfg->evidence.collateral,
			     &endorsements, &why),
	    0);
	collector.cfg = scene.cfg;
	collector.policy = scene.policy;
	collector.vtpm = vtpm_new(&scene.cfg->tpm);
	rr = collect_round(true);
	good = encode(rr, endorsements);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	collector_forget(&collector);
	vtpm_freep(&collector.vtpm);
	endorsements_freep(&endorsements);
	round_result_unrefp(&rr);
	free(good);
	round_scene_stop(&scene);
	return 0;
}

static struct bundle *
parse(const char *text)
{
	char sentence[WHY_SENTENCE_MAX];
	struct bundle *b = NULL;
	struct why why = { 0 };
	int r = bundle_parse(span(text, strlen(text)), "bundle", &b, &why);

	if (r != CVM_OK)
		print_message("# %s\n",
		    why_sentence(&why, sentence, sizeof(sentence)));
	assert_int_equal(r, CVM_OK);
	return b;
}

struct opinion {
	struct verdict v;
	struct why why;
	int err;
};

static bool
admits(const struct bundle *b, const struct endorsements *extra,
    struct opinion *o)
{
	struct blob leaf = { 0 };

	memset(o, 0, sizeof(*o));
	assert_int_equal(leaf_challenge(span(nonce, sizeof(nonce)),
			     span(NULL, 0), &leaf),
	    0);
	o->err = bundle_appraise(b, scene.policy, extra, blob_span(&leaf),
	    (int64_t)time(NULL), true, &o->v, &o->why);
	blob_clear(&leaf);
	return o->err == CVM_OK && o->v.admit;
}

static void
denied_by(const struct opinion *o, enum check_id id)
{
	char buf[VERDICT_SENTENCE_MAX];
	enum check_id not_run;

	assert_int_equal(o->err, CVM_OK);
	assert_false(o->v.admit);
	if (verdict_first_fail(&o->v, &not_run) != id)
		print_message("# %s\n",
		    verdict_sentence(&o->v, buf, sizeof(buf)));
	assert_int_equal(verdict_first_fail(&o->v, &not_run), id);
}

static void
good_bundle_refused(void **state)
{
	char buf[VERDICT_SENTENCE_MAX];
	struct opinion o;
	struct bundle *b;

	(void)state;
	NEEDS_MACHINE();
	b = parse(good);
	if (!admits(b, NULL, &o))
		print_message("# %s\n",
		    verdict_sentence(&o.v, buf, sizeof(buf)));
	assert_true(o.v.admit);
	assert_true(o.v.simulated);
	assert_int_equal(b->index, INDEX);
	assert_int_equal(b->n_leaves, N_LEAVES);
	assert_int_equal(b->time, rr->time);
	bundle_freep(&b);
	assert_null(b);
	bundle_freep(&b);
}

static void
evidence_changed_on_the_way(void **state)
{
	const struct evidence *e = &rr->evidence;
	struct bundle *b;

	(void)state;
	NEEDS_MACHINE();
	b = parse(good);
#define SAME(m)                                                                \
	assert_true(span_equal(blob_span(&b->evidence.m), blob_span(&e->m)))
	SAME(tee_report);
	SAME(tee_aux);
	SAME(tpm_quote);
	SAME(tpm_signature);
	SAME(ak_public);
	SAME(ak_cert);
	SAME(event_log);
	SAME(ccel);
	assert_memory_equal(&b->evidence.pcrs, &e->pcrs, sizeof(e->pcrs));
	assert_int_equal(b->evidence.tee, e->tee);
	assert_int_equal(b->evidence.simulated, e->simulated);
	bundle_freep(&b);
}

/* The parts of a bundle, "folder.name". */
static const struct {
	const char *folder, *name;
	bool optional; /* may be absent; the verdict says what that means */
	bool unbound;  /* says nothing that the verdict rests on here */
} parts[] = {
	{ NULL, "format", false, false },
	{ NULL, "time", false, true },
	{ NULL, "policy_digest", false, false },
	{ NULL, "admission", false, false },
	{ NULL, "evidence", false, false },
	{ NULL, "endorsements", true, false },
	{ "admission", "index", false, false },
	{ "admission", "leaves", false, false },
	{ "admission", "leaf", false, false },
	{ "admission", "path", false, false },
	{ "admission", "root", false, false },
	{ "admission", "tee_root", false, false },
	{ "evidence", "tee", false, false },
	{ "evidence", "simulated", false, true },
	{ "evidence", "tee_report", true, false },
	{ "evidence", "tee_aux", true, true },
	{ "evidence", "tpm_quote", true, false },
	{ "evidence", "tpm_signature", true, false },
	{ "evidence", "ak_public", true, false },
	{ "evidence", "ak_cert", true, true },
	{ "evidence", "pcrs", true, false },
	{ "evidence", "event_log", true, false },
	{ "pcrs", "bank", false, false },
	{ "pcrs", "0", true, false },
	{ "pcrs", "9", true, false },
};

static cJSON *
folder_of(cJSON *root, size_t i)
{
	if (parts[i].folder == NULL)
		return root;
	if (strcmp(parts[i].folder, "pcrs") == 0)
		root = cJSON_GetObjectItem(root, "evidence");
	return cJSON_GetObjectItem(root, parts[i].folder);
}

/* Is the text refused by the reader; else *ret_admit is the verdict. */
static bool
refused(cJSON *root, bool *ret_admit)
{
	char *text = cJSON_PrintUnformatted(root);
	struct bundle *b = NULL;
	struct why why = { 0 };
	struct opinion o;
	int r;

	assert_non_null(text);
	*ret_admit = false;
	r = bundle_parse(span(text, strlen(text)), "bundle", &b, &why);
	free(text);
	if (r != CVM_OK) {
		assert_null(b);
		assert_int_equal(why.err, r);
		return true;
	}
	*ret_admit = admits(b, NULL, &o);
	bundle_freep(&b);
	return false;
}

static void
fail_at(size_t i, const char *what)
{
	print_message("# %s.%s %s\n",
	    parts[i].folder != NULL ? parts[i].folder : "$", parts[i].name,
	    what);
	fail();
}

static void
absent_part_unnoticed(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(parts); i++) {
		cJSON *root = cJSON_Parse(good);
		bool admit;

		cJSON_DeleteItemFromObject(folder_of(root, i), parts[i].name);
		if (refused(root, &admit) == parts[i].optional)
			fail_at(i, "absent: reader");
		if (admit && !(parts[i].optional && parts[i].unbound))
			fail_at(i, "absent: admitted");
		cJSON_Delete(root);
	}
}

static void
part_twice_or_unknown_accepted(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(parts); i++) {
		cJSON *root = cJSON_Parse(good), *folder, *item;
		bool admit;

		folder = folder_of(root, i);
		item = cJSON_GetObjectItem(folder, parts[i].name);
		if (item == NULL) { /* no certificate of the AK, for one */
			cJSON_Delete(root);
			continue;
		}
		cJSON_AddItemToObject(folder, parts[i].name,
		    cJSON_Duplicate(item, true));
		if (!refused(root, &admit))
			fail_at(i, "twice");
		cJSON_Delete(root);
		root = cJSON_Parse(good);
		folder = folder_of(root, i);
		cJSON_AddStringToObject(folder, "unknown", "00");
		if (!refused(root, &admit))
			fail_at(i, "with an unknown neighbour");
		cJSON_Delete(root);
	}
}

static void
part_of_another_type_accepted(void **state)
{
	static const char *const values[] = { "null", "true", "-1", "4097",
		"\"\"", "\"?\"", "[]", "{}", "\"0\"" };

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(parts); i++)
		for (size_t k = 0; k < NELEMS(values); k++) {
			cJSON *root = cJSON_Parse(good);
			bool admit;

			(void)cJSON_ReplaceItemInObject(folder_of(root, i),
			    parts[i].name, cJSON_Parse(values[k]));
			if (!refused(root, &admit) && admit &&
			    !parts[i].unbound)
				fail_at(i, values[k]);
			cJSON_Delete(root);
		}
}

/* Another value of the same form. Of a log the head: what it says behind, in
 * fields that no digest covers, is not believed. */
static bool
alter(cJSON *item)
{
	char *s = item->valuestring;
	size_t at;

	if (cJSON_IsNumber(item)) {
		cJSON_SetNumberValue(item, item->valuedouble + 4);
		return true;
	}
	if (!cJSON_IsString(item) || s[0] == '\0')
		return false;
	at = strcmp(item->string, "event_log") == 0 ? 50 : strlen(s) / 2;
	s[at] = s[at] == '1' ? '2' : '1';
	return true;
}

static void
altered_part_admitted(void **state)
{
	unsigned n = 0;

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(parts); i++) {
		cJSON *root = cJSON_Parse(good), *item;
		bool admit;

		item = cJSON_GetObjectItem(folder_of(root, i), parts[i].name);
		if (item != NULL && alter(item)) {
			(void)refused(root, &admit);
			if (admit && !parts[i].unbound)
				fail_at(i, "altered");
			n++;
		}
		cJSON_Delete(root);
	}
	assert_true(n >= 16);
}

static void
other_nonce_admitted(void **state)
{
	struct blob leaf = { 0 };
	struct opinion o = { 0 };
	struct bundle *b;
	uint8_t other[16];

	(void)state;
	NEEDS_MACHINE();
	b = parse(good);
	memcpy(other, nonce, sizeof(other));
	other[15] ^= 1;
	assert_int_equal(leaf_challenge(span(other, sizeof(other)),
			     span(NULL, 0), &leaf),
	    0);
	assert_int_equal(bundle_appraise(b, scene.policy, NULL,
			     blob_span(&leaf), (int64_t)time(NULL), true, &o.v,
			     &o.why),
	    CVM_E_DENIED);
	assert_string_equal(o.why.field, "admission.leaf");
	blob_clear(&leaf);
	/* The same nonce, but about a key. */
	assert_int_equal(leaf_challenge(span(nonce, sizeof(nonce)),
			     span(other, sizeof(other)), &leaf),
	    0);
	assert_int_equal(bundle_appraise(b, scene.policy, NULL,
			     blob_span(&leaf), (int64_t)time(NULL), true, &o.v,
			     &o.why),
	    CVM_E_DENIED);
	blob_clear(&leaf);
	/* Nobody asked: the evidence is judged, its time is not. */
	assert_int_equal(bundle_appraise(b, scene.policy, NULL, span(NULL, 0),
			     (int64_t)time(NULL), true, &o.v, &o.why),
	    CVM_OK);
	assert_true(o.v.admit);
	bundle_freep(&b);
}

static void
proof_of_another_leaf_admitted(void **state)
{
	struct opinion o;
	struct bundle *b;

	(void)state;
	NEEDS_MACHINE();
	b = parse(good);
	b->index = INDEX + 1;
	assert_false(admits(b, NULL, &o));
	assert_int_equal(o.err, CVM_E_DENIED);
	assert_string_equal(o.why.field, "admission.path");
	b->index = INDEX;
	b->path.len -= SHA256_LEN;
	assert_false(admits(b, NULL, &o));
	b->path.len += SHA256_LEN;
	b->path.data[0] ^= 1;
	assert_false(admits(b, NULL, &o));
	b->path.data[0] ^= 1;
	assert_true(admits(b, NULL, &o));
	/* A root that fits the leaf, but that nothing signed. */
	b->n_leaves = 1;
	b->index = 0;
	b->path.len = 0;
	assert_int_equal(merkle_root(&b->leaf, 1, b->root), 0);
	assert_false(admits(b, NULL, &o));
	denied_by(&o, CHECK_BIND_02);
	memcpy(b->tee_root, b->root, SHA256_LEN);
	assert_false(admits(b, NULL, &o));
	denied_by(&o, CHECK_BIND_01);
	bundle_freep(&b);
}

static void
endorsements_of_the_bundle_beat_ones_own(void **state)
{
	static const char ask[] = "amd/milan/ask.pem";
	struct endorsements *extra = endorsements_new();
	struct opinion o;
	struct bundle *b;
	char *text;

	(void)state;
	NEEDS_MACHINE();
	text = encode(rr, NULL);
	b = parse(text);
	free(text);
	assert_false(admits(b, NULL, &o));
	assert_true(admits(b, endorsements, &o));
	bundle_freep(&b);
	b = parse(good);
	/* The bundle's chain would do, but the verifier's has another root. */
	assert_int_equal(endorsements_add(extra, ask,
			     endorsements_find(endorsements,
				 "google/ak-root.pem")),
	    0);
	assert_true(endorsements_find(b->endorsements, ask).len > 0);
	blob_clear(&b->evidence.tee_aux); /* nor the host's */
	(void)admits(b, NULL, &o);
	assert_true(o.v.admit);
	assert_false(admits(b, extra, &o));
	endorsements_freep(&extra);
	bundle_freep(&b);
}

/* The report is shared with an earlier round: of its age nothing is known. */
static void
report_of_an_earlier_round_admitted(void **state)
{
	struct round_result *second;
	struct opinion o;
	struct bundle *b;
	char *text;

	(void)state;
	NEEDS_MACHINE();
	second = collect_round(false);
	second->leaves[0].data[0] ^= 1;
	assert_int_equal(merkle_root(second->leaves, N_LEAVES, second->root),
	    0);
	evidence_clear(&second->evidence);
	assert_int_equal(collect(&collector, second->root, false,
			     &second->evidence, &o.why),
	    0);
	text = encode(second, endorsements);
	b = parse(text);
	free(text);
	assert_memory_not_equal(b->root, b->tee_root, SHA256_LEN);
	assert_false(admits(b, NULL, &o));
	denied_by(&o, CHECK_BIND_03);
	bundle_freep(&b);
	round_result_unrefp(&second);
}

/* Software of the guest's chose the key in REPORT_DATA, and may have made it
 * in a TPM of its own. */
static void
key_that_the_guest_named_admitted(void **state)
{
	struct opinion o = { 0 };
	struct value_list *names;
	struct bundle *b;
	size_t n;

	(void)state;
	NEEDS_MACHINE();
	names = &scene.policy->tpm.ak_names;
	n = names->n;
	b = parse(good);
	for (size_t i = 0; i <= n; i++) {
		names->n = i;
		for (size_t k = 0; k < i; k++)
			names->v[k].data[33] ^= 1;
		o.err = bundle_appraise(b, scene.policy, NULL, span(NULL, 0),
		    (int64_t)time(NULL), true, &o.v, &o.why);
		for (size_t k = 0; k < i; k++)
			names->v[k].data[33] ^= 1;
		names->n = n;
		denied_by(&o, CHECK_TPM_11);
	}
	o.err = bundle_appraise(b, scene.policy, NULL, span(NULL, 0),
	    (int64_t)time(NULL), true, &o.v, &o.why);
	assert_true(o.v.admit);
	assert_int_equal(o.v.results[CHECK_TPM_11].status, CHECK_PASS);
	bundle_freep(&b);
}

static void
simulated_machine_admitted_unasked(void **state)
{
	struct opinion o = { 0 };
	struct bundle *b;

	(void)state;
	NEEDS_MACHINE();
	b = parse(good);
	o.err = bundle_appraise(b, scene.policy, NULL, span(NULL, 0),
	    (int64_t)time(NULL), false, &o.v, &o.why);
	denied_by(&o, CHECK_SRC_02);
	bundle_freep(&b);
}

static void
expired_endorsements_admitted(void **state)
{
	struct opinion o = { 0 };
	struct bundle *b;

	(void)state;
	NEEDS_MACHINE();
	b = parse(good);
	o.err = bundle_appraise(b, scene.policy, NULL, span(NULL, 0),
	    (int64_t)time(NULL) + 400LL * 86400, true, &o.v, &o.why);
	assert_int_equal(o.err, CVM_OK);
	assert_false(o.v.admit);
	bundle_freep(&b);
}

/* Of a whole fleet's certificates a bundle has those of its machine. */
static void
bundle_tells_of_other_machines(void **state)
{
	static const uint8_t der[] = { 1 };
	struct endorsements *e = endorsements_new();
	struct bundle *b;
	const char *name;
	char *text;
	unsigned n = 0;

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; (name = endorsements_name(endorsements, i)) != NULL;
	     i++)
		assert_int_equal(endorsements_add(e, name,
				     endorsements_find(endorsements, name)),
		    0);
	assert_int_equal(endorsements_add(e, "amd/vek/00-11.der", span(der, 1)),
	    0);
	assert_int_equal(endorsements_add(e, "intel/root-ca.crl", span(der, 1)),
	    0);
	text = encode(rr, e);
	b = parse(text);
	free(text);
	for (size_t i = 0; (name = endorsements_name(b->endorsements, i));
	     i++) {
		assert_null(strstr(name, "intel/"));
		n += strncmp(name, "amd/vek/", 8) == 0;
	}
	assert_int_equal(n, 1);
	assert_int_equal(endorsements_find(b->endorsements, "amd/vek/00-11.der")
			     .len,
	    0);
	bundle_freep(&b);
	endorsements_freep(&e);
}

/* What rounds can collect can be parsed, and nothing is without bounds. */
/* Below a paravisor or an SVSM there is one more part, of at most 4 KiB. */
static void
part_of_a_paravisor_or_svsm(void **state)
{
	struct bundle *b = NULL;
	struct why why = { 0 };
	char *text;

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < 6; i++) {
		size_t len = 4095 + i / 2;
		bool svsm = i % 2 != 0;
		struct blob hcl = { calloc(1, len), len };

		assert_non_null(hcl.data);
		hcl.data[len - 1] = 1;
		blob_clear(&rr->evidence.hcl_report);
		blob_clear(&rr->evidence.svsm_manifest);
		*(svsm ? &rr->evidence.svsm_manifest :
			 &rr->evidence.hcl_report) = hcl;
		rr->evidence.ak_activated = true;
		text = encode(rr, endorsements);
		rr->evidence.hcl_report = (struct blob){ 0 };
		rr->evidence.svsm_manifest = (struct blob){ 0 };
		rr->evidence.ak_activated = false;
		if (len <= 4096) {
			b = parse(text);
			/* What only the machine itself can know. */
			assert_false(b->evidence.ak_activated);
			assert_true(span_equal(blob_span(&hcl),
			    blob_span(svsm ? &b->evidence.svsm_manifest :
					     &b->evidence.hcl_report)));
			bundle_freep(&b);
		} else {
			assert_int_equal(bundle_parse(span(text, strlen(text)),
					     "b", &b, &why),
			    CVM_E_CONFIG);
			assert_non_null(strstr(why.field,
			    svsm ? "svsm_manifest" : "hcl_report"));
		}
		free(text);
		blob_clear(&hcl);
	}
}

static void
limits_too_narrow_or_missing(void **state)
{
	struct admission a = { .round = rr };
	struct endorsements *e = endorsements_new();
	struct blob big = { 0 }, old;
	struct bundle *b = NULL;
	struct why why = { 0 };
	char *text = NULL;

	(void)state;
	NEEDS_MACHINE();
	big.len = EVIDENCE_LOG_MAX;
	big.data = calloc(1, big.len);
	assert_non_null(big.data);
	old = rr->evidence.event_log;
	rr->evidence.event_log = big;
	text = encode(rr, endorsements);
	rr->evidence.event_log = old;
	b = parse(text);
	assert_int_equal(b->evidence.event_log.len, EVIDENCE_LOG_MAX);
	bundle_freep(&b);
	free(text);
	for (int i = 0; i < 13; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "file%d.pem", i);
		assert_int_equal(endorsements_add(e, name, blob_span(&big)), 0);
	}
	text = NULL;
	assert_int_equal(bundle_encode(&a, scene.policy, e, &text),
	    CVM_E_UNSUPPORTED);
	assert_null(text);
	endorsements_freep(&e);
	blob_clear(&big);

	text = calloc(1, BUNDLE_BYTES_MAX + 2);
	assert_non_null(text);
	memset(text, ' ', BUNDLE_BYTES_MAX + 1);
	assert_int_equal(bundle_parse(span(text, BUNDLE_BYTES_MAX + 1), "b", &b,
			     &why),
	    CVM_E_CONFIG);
	assert_non_null(strstr(why.expected, "16777216 bytes"));
	memset(text, '[', 1);
	for (int i = 0; i < 2000; i++)
		memcpy(text + 1 + 2 * i, i < 1999 ? "1," : "1]", 2);
	assert_int_equal(bundle_parse(span(text, 4001), "b", &b, &why),
	    CVM_E_CONFIG);
	assert_non_null(strstr(why.expected, "1024 values"));
	free(text);
	assert_null(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_bundle_refused),
		cmocka_unit_test(evidence_changed_on_the_way),
		cmocka_unit_test(absent_part_unnoticed),
		cmocka_unit_test(part_twice_or_unknown_accepted),
		cmocka_unit_test(part_of_another_type_accepted),
		cmocka_unit_test(altered_part_admitted),
		cmocka_unit_test(other_nonce_admitted),
		cmocka_unit_test(proof_of_another_leaf_admitted),
		cmocka_unit_test(endorsements_of_the_bundle_beat_ones_own),
		cmocka_unit_test(report_of_an_earlier_round_admitted),
		cmocka_unit_test(key_that_the_guest_named_admitted),
		cmocka_unit_test(simulated_machine_admitted_unasked),
		cmocka_unit_test(expired_endorsements_admitted),
		cmocka_unit_test(bundle_tells_of_other_machines),
		cmocka_unit_test(part_of_a_paravisor_or_svsm),
		cmocka_unit_test(limits_too_narrow_or_missing),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
