/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "module/gate.h"
#include "tests/unit/scene.h"

/*
 * The clock against the newest time that is known. A clock that was set back
 * and one that stands still under a later time are the same: these tests move
 * the known time, since the clock is not theirs.
 */
#define YEARS (20 * 365 * INT64_C(86400)) /* past every certificate's end */

static struct scene scene;

static int
start(void **state)
{
	(void)state;
	scene_start(&scene);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	scene_stop(&scene);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (scene.there)
		machine_reset(&scene.m);
	return 0;
}

/* A process: its gate and one session. */
struct process {
	struct config *cfg;
	struct gate *g;
	struct gate_session s;
};

static void
process_end(struct process *p)
{
	gate_session_clear(&p->s);
	gate_freep(&p->g);
	config_freep(&p->cfg);
}

static void
process_start(struct process *p)
{
	struct why why = { 0 };

	memset(p, 0, sizeof(*p));
	assert_int_equal(config_load(scene.config, &p->cfg, &why), CVM_OK);
	assert_int_equal(gate_new(p->cfg, &p->cfg->tokens[0], &p->g), CVM_OK);
}

static int64_t
mark(const struct process *p)
{
	return token_time_mark(gate_token(p->g));
}

static void
collateral_is_not_remembered(void **state)
{
	_cleanup_(process_end) struct process p = { 0 }, q = { 0 };
	struct why why = { 0 };
	int64_t seen;

	(void)state;
	if (!scene.there)
		skip();
	scene_prepare(&scene, &(struct scene_options){ 0 });
	process_start(&p);
	assert_int_equal(rounds_newest_time(gate_rounds(p.g)), 0);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_OK);
	seen = rounds_newest_time(gate_rounds(p.g));
	/* The thisUpdate of the machine's CRL. */
	assert_true(seen > 0 && seen <= (int64_t)time(NULL));
	assert_int_equal(mark(&p), seen);
	process_start(&q);
	assert_int_equal(gate_open_session(q.g, &q.s, &why), CVM_OK);
	assert_int_equal(mark(&q), seen);
}

static void
denial_moves_the_time(void **state)
{
	_cleanup_(process_end) struct process p = { 0 };
	struct why why = { 0 };

	(void)state;
	if (!scene.there)
		skip();
	scene_prepare(&scene, &(struct scene_options){ 0 });
	machine_ctl(&scene.m, "set debug on");
	process_start(&p);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_E_DENIED);
	assert_int_equal(rounds_newest_time(gate_rounds(p.g)), 0);
	scene_allow(&scene);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_OK);
	assert_true(rounds_newest_time(gate_rounds(p.g)) > 0);
}

static void
clock_behind_what_is_known(void **state)
{
	_cleanup_(process_end) struct process p = { 0 };
	struct permit permit;
	struct why why = { 0 };
	int64_t seen;

	(void)state;
	if (!scene.there)
		skip();
	scene_prepare(&scene, &(struct scene_options){ 0 });
	process_start(&p);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_OK);
	seen = rounds_newest_time(gate_rounds(p.g));
	rounds_not_before(gate_rounds(p.g), 1);
	assert_int_equal(rounds_newest_time(gate_rounds(p.g)), seen);
	rounds_not_before(gate_rounds(p.g), (int64_t)time(NULL) + YEARS);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.where, "SNP-17"));
	assert_int_equal(gate_permit(p.g, &p.s, &permit, &why), CVM_E_DENIED);
}

/* The first admission of a process is judged by the clock, since only an
 * opened token knows better; then it has to ask again. */
static void
clock_set_back_across_a_restart(void **state)
{
	_cleanup_(process_end) struct process p = { 0 }, q = { 0 };
	const int64_t later = (int64_t)time(NULL) + YEARS;
	struct permit permit = { 0 };
	struct why why = { 0 };

	(void)state;
	if (!scene.there)
		skip();
	/* Another policy, so that the token is made anew for this test. */
	scene_prepare(&scene, &(struct scene_options){ .max_age_s = 299 });
	process_start(&p);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_OK);
	assert_int_equal(token_note(gate_token(p.g), &p.s.permit, later, NULL,
			     &why),
	    CVM_OK);
	process_end(&p);
	process_start(&q);
	assert_int_equal(gate_open_session(q.g, &q.s, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.where, "SNP-17"));
	assert_int_equal(rounds_newest_time(gate_rounds(q.g)), later);
	assert_int_equal(permit_check(&q.s.permit,
			     rounds_issuer(gate_rounds(q.g))),
	    CVM_E_PERMIT);
	assert_false(token_unsealed(gate_token(q.g)));
	assert_int_equal(gate_permit(q.g, &q.s, &permit, &why), CVM_E_DENIED);
}

/* What this admission verified, as if a newer issue had been seen before. */
static void
see_newer(const struct process *p, struct seen *ret)
{
	*ret = p->s.admission.round->seen;
	assert_int_equal(ret->n, 1); /* the CRL of the machine's line */
	ret->v[0].time++;
}

static void
older_collateral_across_a_restart(void **state)
{
	_cleanup_(process_end) struct process p = { 0 }, q = { 0 };
	struct permit permit = { 0 };
	struct why why = { 0 };
	struct seen newer;

	(void)state;
	if (!scene.there)
		skip();
	scene_prepare(&scene, &(struct scene_options){ .max_age_s = 298 });
	process_start(&p);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_OK);
	see_newer(&p, &newer);
	assert_int_equal(token_note(gate_token(p.g), &p.s.permit, 0, &newer,
			     &why),
	    CVM_OK);
	/* The same process knows it with its next admission, a later one with
	 * its first. */
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.where, "COL-01"));
	process_start(&q);
	assert_int_equal(gate_open_session(q.g, &q.s, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.where, "COL-01"));
	assert_int_equal(permit_check(&q.s.permit,
			     rounds_issuer(gate_rounds(q.g))),
	    CVM_E_PERMIT);
	assert_false(token_unsealed(gate_token(q.g)));
	assert_int_equal(gate_permit(q.g, &q.s, &permit, &why), CVM_E_DENIED);
}

/* One that another process was shown while this one is at work. */
static void
older_collateral_beside_another_process(void **state)
{
	_cleanup_(process_end) struct process p = { 0 }, q = { 0 };
	struct why why = { 0 };
	struct seen newer, known = { 0 };

	(void)state;
	if (!scene.there)
		skip();
	scene_prepare(&scene, &(struct scene_options){ .max_age_s = 297 });
	process_start(&p);
	process_start(&q);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_OK);
	token_seen(gate_token(p.g), &known);
	assert_int_equal(known.n, 1);
	assert_int_equal(gate_open_session(q.g, &q.s, &why), CVM_OK);
	see_newer(&q, &newer);
	assert_int_equal(token_note(gate_token(q.g), &q.s.permit, 0, &newer,
			     &why),
	    CVM_OK);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.where, "COL-01"));
}

static void
older_collateral_denied_though_accepted(void **state)
{
	_cleanup_(process_end) struct process p = { 0 };
	struct why why = { 0 };
	struct seen newer;

	(void)state;
	if (!scene.there)
		skip();
	scene_prepare(&scene,
	    &(struct scene_options){ .older_collateral = "warn" });
	process_start(&p);
	assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_OK);
	assert_false(scene_logged(&scene, "older collateral is accepted"));
	see_newer(&p, &newer);
	assert_int_equal(token_note(gate_token(p.g), &p.s.permit, 0, &newer,
			     &why),
	    CVM_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(gate_open_session(p.g, &p.s, &why), CVM_OK);
	assert_true(scene_logged(&scene, "older collateral is accepted"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(collateral_is_not_remembered,
		    teardown),
		cmocka_unit_test_teardown(denial_moves_the_time, teardown),
		cmocka_unit_test_teardown(clock_behind_what_is_known, teardown),
		cmocka_unit_test_teardown(clock_set_back_across_a_restart,
		    teardown),
		cmocka_unit_test_teardown(older_collateral_across_a_restart,
		    teardown),
		cmocka_unit_test_teardown(
		    older_collateral_beside_another_process, teardown),
		cmocka_unit_test_teardown(
		    older_collateral_denied_though_accepted, teardown),
	};

	return cmocka_run_group_tests_name("time", tests, start, stop);
}
