/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/collect.h"
#include "tests/unit/round-scene.h"

/* Rounds and who keeps a record of them (struct round_witness). */

#define QUOTES "tpm.command.0x158"
#define REPORTS "tsm.reports"

static struct round_scene scene;

/* A witness that does as it is told. */
static struct {
	int before_err, after_err; /* what it returns */
	unsigned before, after;	   /* calls */
	int seen_err;
	size_t seen_leaves;
	bool seen_endorsements;
	char seen_why[WHY_SENTENCE_MAX];
} told;

static int
witness_before(void *arg, struct blob *ret_leaf, struct why *why)
{
	(void)arg;
	told.before++;
	if (told.before_err != CVM_OK)
		return why_set(why, told.before_err, "witness", "before", "",
		    "");
	return blob_set(ret_leaf, span("the last leaf", 13));
}

static int
witness_after(void *arg, const struct round_result *rr, int err,
    const struct why *why, const struct endorsements *e, uint64_t n_loaded,
    struct why *reterr_why)
{
	(void)arg;
	told.after++;
	told.seen_err = err;
	told.seen_leaves = rr->n_leaves;
	told.seen_endorsements = e != NULL && n_loaded > 0;
	(void)why_sentence(why, told.seen_why, sizeof(told.seen_why));
	if (told.after_err != CVM_OK)
		return why_set(reterr_why, told.after_err, "witness", "after",
		    "", "");
	return CVM_OK;
}

static void
witness_fork(void *arg)
{
	(void)arg;
}

static int
start(void **state)
{
	(void)state;
	round_scene_start(&scene, "");
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	round_scene_stop(&scene);
	return 0;
}

static struct rounds *
begin(void)
{
	static const struct round_witness witness = { NULL, witness_before,
		witness_after, witness_fork };
	const struct round_options o = { .tee_max_age_s = 600 };
	struct rounds *r = NULL;

	memset(&told, 0, sizeof(told));
	machine_reset(&scene.m);
	round_scene_configure(&scene, &o);
	assert_int_equal(rounds_new(scene.cfg, scene.policy, &r), CVM_OK);
	rounds_set_witness(r, &witness);
	return r;
}

#define BEGIN(r)                                                               \
	_cleanup_(rounds_freep) struct rounds *(r) = NULL;                     \
	_cleanup_(admission_clear) struct admission a = { 0 };                 \
	struct why why;                                                        \
                                                                               \
	(void)state;                                                           \
	if (!scene.there)                                                      \
		skip();                                                        \
	(r) = begin()

/* What is not in the tree is not in the quote. */
static void
leaf_of_witness_left_out(void **state)
{
	uint8_t root[SHA256_LEN];

	BEGIN(r);
	assert_int_equal(round_scene_join(r, false, &a, &why), CVM_OK);
	assert_int_equal(a.index, 0);
	assert_int_equal(a.round->n_leaves, 2);
	assert_int_equal(a.round->leaves[1].len, 13);
	assert_int_equal(merkle_root(a.round->leaves, 2, root), CVM_OK);
	assert_memory_equal(root, a.round->root, sizeof(root));
	assert_int_equal(told.before, 1);
	assert_int_equal(told.after, 1);
	assert_int_equal(told.seen_err, CVM_OK);
	assert_int_equal(told.seen_leaves, 2);
	assert_true(told.seen_endorsements);
}

/* Nothing is asked of TPM and TEE for a round that cannot be recorded. */
static void
unrecordable_round_attempted(void **state)
{
	unsigned quotes;

	BEGIN(r);
	told.before_err = CVM_E_IO;
	quotes = round_scene_count(&scene, QUOTES);
	assert_int_equal(round_scene_join(r, false, &a, &why), CVM_E_IO);
	assert_string_equal(why.field, "before");
	assert_null(a.round);
	assert_int_equal(told.after, 0);
	assert_int_equal(round_scene_count(&scene, QUOTES), quotes);
}

/* The evidence was good: it is the caller who is refused, and the report in
 * hand serves those who come when there is room again. */
static void
unrecorded_round_admitted(void **state)
{
	unsigned reports;

	BEGIN(r);
	assert_int_equal(round_scene_join(r, false, &a, &why), CVM_OK);
	admission_clear(&a);
	reports = round_scene_count(&scene, REPORTS);
	told.after_err = CVM_E_IO;
	assert_int_equal(round_scene_join(r, true, &a, &why), CVM_E_IO);
	assert_string_equal(why.field, "after");
	assert_int_equal(told.seen_err, CVM_OK);
	assert_non_null(a.round);
	assert_int_equal(rounds_state(r), ROUND_UNREACHABLE);
	admission_clear(&a);

	told.after_err = CVM_OK;
	for (int i = 0; i < 200; i++) {
		if (round_scene_join(r, false, &a, &why) == CVM_OK)
			break;
		(void)usleep(10000);
	}
	assert_non_null(a.round);
	assert_int_equal(rounds_state(r), ROUND_ADMIT);
	/* fresh asked for one; nothing else did. */
	assert_int_equal(round_scene_count(&scene, REPORTS), reports + 1);
}

/* A denial stays one, with its own reason. */
static void
denial_hidden_by_witness(void **state)
{
	BEGIN(r);
	machine_ctl(&scene.m, "set debug on");
	told.after_err = CVM_E_IO;
	assert_int_equal(round_scene_join(r, true, &a, &why), CVM_E_DENIED);
	assert_string_not_equal(why.field, "after");
	assert_int_equal(told.seen_err, CVM_E_DENIED);
	assert_true(strlen(told.seen_why) > 0);
	machine_reset(&scene.m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaf_of_witness_left_out),
		cmocka_unit_test(unrecordable_round_attempted),
		cmocka_unit_test(unrecorded_round_admitted),
		cmocka_unit_test(denial_hidden_by_witness),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
