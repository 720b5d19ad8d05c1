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

#include "tests/unit/round-scene.h"

/* What a bundle says of a key, as the evidence is over it and changed. */

static struct round_scene scene;
static const uint8_t nonce[16] = { 'n', 'o', 'n', 'c', 'e' };

static struct birth
generated(void)
{
	return (struct birth){
		.serial = "0123456789abcdef",
		.fingerprint = { 1, 2, 3 },
		.origin = ORIGIN_GENERATED,
		.key_type = 3,
		.gen_mechanism = 0x1040,
		.local = true,
		.always_sensitive = true,
		.never_extractable = true,
		.sensitive = true,
	};
}

static int
start(void **state)
{
	(void)state;
	round_scene_start(&scene, "");
	if (scene.there)
		round_scene_configure(&scene,
		    &(struct round_options){ .tee_max_age_s = 60 });
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	round_scene_stop(&scene);
	return 0;
}

static struct blob
leaf_of(const struct birth *b)
{
	struct blob leaf = { 0 };

	assert_int_equal(leaf_key(b, span(nonce, sizeof(nonce)), &leaf),
	    CVM_OK);
	return leaf;
}

/* Two keys that differ in anything have two leaves. */
static void
fact_left_out_of_the_leaf(void **state)
{
	struct birth b[13];
	struct blob leaf[NELEMS(b)];

	(void)state;
	for (size_t i = 0; i < NELEMS(b); i++)
		b[i] = generated();
	b[1].serial[15] = 'e';
	b[2].fingerprint[31] ^= 1;
	b[3].origin = ORIGIN_IMPORTED;
	b[4].is_secret = true;
	b[5].key_type = 0;
	b[6].gen_mechanism = 0x1055;
	b[7].local = false;
	b[8].always_sensitive = false;
	b[9].never_extractable = false;
	b[10].sensitive = false;
	b[11].extractable = true;
	b[12].bind_operation = true;
	for (size_t i = 0; i < NELEMS(b); i++) {
		leaf[i] = leaf_of(&b[i]);
		for (size_t j = 0; j < i; j++)
			assert_false(span_equal(blob_span(&leaf[i]),
			    blob_span(&leaf[j])));
	}
	for (size_t i = 0; i < NELEMS(b); i++)
		blob_clear(&leaf[i]);
}

static void
nonce_of_wrong_length(void **state)
{
	static const uint8_t bytes[CHALLENGE_NONCE_MAX + 1];
	const struct birth b = generated();
	struct blob leaf = { 0 };

	(void)state;
	assert_int_equal(leaf_key(&b, span(bytes, 7), &leaf), CVM_E_INVAL);
	assert_int_equal(leaf_key(&b, span(bytes, 65), &leaf), CVM_E_INVAL);
	assert_int_equal(leaf_key(&b, span(bytes, 0), &leaf), CVM_E_INVAL);
	assert_null(leaf.data);
}

/* The bundle of a round whose leaf is that of the statement. */
static cJSON *
attest(const struct birth *b)
{
	_cleanup_(admission_clear) struct admission a = { 0 };
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	_cleanup_(rounds_freep) struct rounds *r = NULL;
	_cleanup_(blob_clear) struct blob leaf = leaf_of(b);
	_cleanup_(freep) char *text = NULL;
	struct why why = { 0 };
	cJSON *root;

	assert_int_equal(endorsements_load(scene.cfg->evidence.collateral, &e,
			     &why),
	    CVM_OK);
	assert_int_equal(rounds_new(scene.cfg, scene.policy, &r), CVM_OK);
	assert_int_equal(rounds_join(r, blob_span(&leaf), true, &a, &why),
	    CVM_OK);
	assert_int_equal(bundle_encode_key(&a, scene.policy, e, b, &text),
	    CVM_OK);
	root = cJSON_Parse(text);
	assert_non_null(root);
	return root;
}

/* As a verifier without a nonce of his own sees it. */
static int
appraise_json(const cJSON *root, struct why *why)
{
	_cleanup_(bundle_freep) struct bundle *b = NULL;
	_cleanup_(freep) char *text = cJSON_Print(root);
	struct verdict v = { 0 };
	int err;

	*why = (struct why){ 0 };
	err = bundle_parse(span(text, strlen(text)), "bundle", &b, why);
	if (err == CVM_OK)
		err = bundle_appraise(b, scene.policy, NULL, span(NULL, 0),
		    (int64_t)time(NULL), true, &v, why);
	if (err == CVM_OK && !v.admit)
		err = verdict_why(&v, why);
	return err;
}

static const struct {
	const char *name, *value; /* JSON; NULL: left out */
	int want;
} lies[] = {
	{ "serial", "\"0123456789abcdee\"", CVM_E_DENIED },
	{ "serial", "\"\"", CVM_E_CONFIG },
	{ "serial", "\"0123456789abcdefg\"", CVM_E_CONFIG },
	{ "serial", "\"a b\"", CVM_E_CONFIG },
	{ "serial", "7", CVM_E_CONFIG },
	{ "fingerprint",
	    "\"0000000000000000000000000000000000000000000000000000000000"
	    "000000\"",
	    CVM_E_DENIED },
	{ "fingerprint", "\"0102\"", CVM_E_CONFIG },
	{ "fingerprint", NULL, CVM_E_CONFIG },
	{ "class", "\"secret\"", CVM_E_DENIED },
	{ "class", "\"public\"", CVM_E_CONFIG },
	{ "origin", "\"imported\"", CVM_E_DENIED },
	{ "origin", "\"unwrapped\"", CVM_E_DENIED },
	{ "origin", "\"derived\"", CVM_E_DENIED },
	{ "origin", "\"unknown\"", CVM_E_DENIED },
	{ "origin", "\"born\"", CVM_E_CONFIG },
	{ "origin", NULL, CVM_E_CONFIG },
	{ "key_type", "\"0x0\"", CVM_E_DENIED },
	{ "key_type", "3", CVM_E_CONFIG },
	{ "key_gen_mechanism", "\"0x1055\"", CVM_E_DENIED },
	{ "key_gen_mechanism", "\"1040\"", CVM_E_CONFIG },
	{ "local", "false", CVM_E_DENIED },
	{ "local", "\"true\"", CVM_E_CONFIG },
	{ "local", NULL, CVM_E_CONFIG },
	{ "always_sensitive", "false", CVM_E_DENIED },
	{ "never_extractable", "false", CVM_E_DENIED },
	{ "sensitive", "false", CVM_E_DENIED },
	{ "extractable", "true", CVM_E_DENIED },
	{ "extractable", "0", CVM_E_CONFIG },
	{ "bind_operation", "true", CVM_E_DENIED },
	{ "more", "true", CVM_E_CONFIG },
};

static void
lie_about_a_key_accepted(void **state)
{
	const struct birth b = generated();
	struct why why;
	cJSON *root;

	(void)state;
	if (!scene.there)
		skip();
	root = attest(&b);
	assert_int_equal(appraise_json(root, &why), CVM_OK);
	for (size_t i = 0; i < NELEMS(lies); i++) {
		cJSON *copy = cJSON_Duplicate(root, true);
		cJSON *key = cJSON_GetObjectItem(copy, "key");
		int err;

		cJSON_DeleteItemFromObject(key, lies[i].name);
		if (lies[i].value != NULL)
			cJSON_AddItemToObject(key, lies[i].name,
			    cJSON_Parse(lies[i].value));
		err = appraise_json(copy, &why);
		if (err != lies[i].want)
			print_message("# %s %s\n", lies[i].name, lies[i].value);
		assert_int_equal(err, lies[i].want);
		assert_non_null(strstr(why.field, "key"));
		cJSON_Delete(copy);
	}
	cJSON_Delete(root);
}

/* A statement that comes with evidence over something else. */
static void
statement_on_other_evidence(void **state)
{
	const struct birth b = generated();
	_cleanup_(admission_clear) struct admission a = { 0 };
	_cleanup_(rounds_freep) struct rounds *r = NULL;
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct why why;
	cJSON *root;

	(void)state;
	if (!scene.there)
		skip();
	assert_int_equal(leaf_challenge(span(nonce, sizeof(nonce)),
			     span(b.fingerprint, SHA256_LEN), &leaf),
	    CVM_OK);
	assert_int_equal(rounds_new(scene.cfg, scene.policy, &r), CVM_OK);
	assert_int_equal(rounds_join(r, blob_span(&leaf), true, &a, &why),
	    CVM_OK);
	assert_int_equal(bundle_encode_key(&a, scene.policy, NULL, &b, &text),
	    CVM_OK);
	root = cJSON_Parse(text);
	assert_int_equal(appraise_json(root, &why), CVM_E_DENIED);
	assert_string_equal(why.field, "key");
	cJSON_Delete(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fact_left_out_of_the_leaf),
		cmocka_unit_test(nonce_of_wrong_length),
		cmocka_unit_test(lie_about_a_key_accepted),
		cmocka_unit_test(statement_on_other_evidence),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
