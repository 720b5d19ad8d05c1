/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "attest/collect.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/round-scene.h"

/* Rounds on a virtual CVM, which is well-behaved at the start of each test. */

#define QUOTES "tpm.command.0x158"
#define REPORTS "tsm.reports"
#define ATTEMPTS "tsm.mkdirs"
#define MS 1000000u

static struct round_scene scene;

#define NEEDS_MACHINE()                                                        \
	if (!scene.there)                                                      \
	skip()

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

static int
setup(void **state)
{
	(void)state;
	if (scene.there)
		machine_reset(&scene.m);
	return 0;
}

static void
rest_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * MS };

	(void)nanosleep(&t, NULL);
}

static struct rounds *
begin(const struct round_options *o)
{
	struct rounds *r = NULL;

	round_scene_configure(&scene, o);
	assert_int_equal(rounds_new(scene.cfg, scene.policy, &r), CVM_OK);
	return r;
}

/* One join; the error, and what the admission has if a is not NULL. */
static int
join(struct rounds *r, bool fresh, struct admission *a, struct why *why)
{
	struct admission here = { 0 };
	int err;

	err = round_scene_join(r, fresh, a != NULL ? a : &here, why);
	admission_clear(&here);
	return err;
}

static void
expect(struct rounds *r, bool fresh, int want)
{
	char text[WHY_SENTENCE_MAX];
	struct why why;
	int err = join(r, fresh, NULL, &why);

	if (err != want)
		print_message("# %s\n", why_sentence(&why, text, sizeof(text)));
	assert_int_equal(err, want);
}

/* One of many callers. Threads do not assert: what they saw is judged later. */
struct caller {
	pthread_t thread;
	pthread_barrier_t *all_here;
	struct rounds *rounds;
	uint8_t leaf[40];
	uint64_t before_ns;
	int err;
	struct why why;
	struct admission a;
};

static void *
call(void *arg)
{
	struct caller *c = arg;

	(void)pthread_barrier_wait(c->all_here);
	c->before_ns = boottime_ns();
	c->err = rounds_join(c->rounds, span(c->leaf, sizeof(c->leaf)), false,
	    &c->a, &c->why);
	return NULL;
}

/* They all call at the same time, however long it takes to start them. */
static struct caller *
call_all(struct rounds *r, size_t n)
{
	static pthread_barrier_t all_here;
	struct caller *c = calloc(n, sizeof(*c));

	assert_non_null(c);
	assert_int_equal(pthread_barrier_init(&all_here, NULL, (unsigned)n + 1),
	    0);
	for (size_t i = 0; i < n; i++) {
		c[i].rounds = r;
		c[i].all_here = &all_here;
		memset(c[i].leaf, 0x5a, sizeof(c[i].leaf));
		memcpy(c[i].leaf, &i, sizeof(i));
		assert_int_equal(pthread_create(&c[i].thread, NULL, call,
				     &c[i]),
		    0);
	}
	(void)pthread_barrier_wait(&all_here);
	return c;
}

static void
wait_all(struct caller *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pthread_join(c[i].thread, NULL), 0);
}

static void
free_all(struct caller **c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		admission_clear(&(*c)[i].a);
	free(*c);
	*c = NULL;
}

/* The caller's own leaf, proved under the root that was quoted. */
static void
expect_bound(const struct caller *c)
{
	const struct round_result *rr = c->a.round;
	struct blob path = { 0 };
	struct span leaf = span(c->leaf, sizeof(c->leaf));

	assert_non_null(rr);
	assert_true(c->a.index < rr->n_leaves);
	assert_int_equal(merkle_proof(rr->leaves, rr->n_leaves, c->a.index,
			     &path),
	    CVM_OK);
	assert_int_equal(merkle_verify(leaf, c->a.index, rr->n_leaves,
			     blob_span(&path), rr->root),
	    CVM_OK);
	blob_clear(&path);
}

static void
crowd_takes_a_quote_each(void **state)
{
	enum { N = 200 };
	uint64_t first = UINT64_MAX, last = 0;
	struct rounds *r;
	struct caller *c;
	unsigned quotes;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .tee_max_age_s = 60 });
	expect(r, false, CVM_OK);
	quotes = round_scene_count(&scene, QUOTES);
	machine_ctl(&scene.m, "set tpm.delay_ms 100");
	c = call_all(r, N);
	wait_all(c, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(c[i].err, CVM_OK);
		expect_bound(&c[i]);
		/* Evidence is newer than the call. */
		assert_true(c[i].a.round->asked_ns >= c[i].before_ns);
		first = c[i].a.round->id < first ? c[i].a.round->id : first;
		last = c[i].a.round->id > last ? c[i].a.round->id : last;
	}
	quotes = round_scene_count(&scene, QUOTES) - quotes;
	print_message("# %d joins, %u quotes\n", N, quotes);
	assert_int_equal(quotes, last - first + 1);
	assert_true(quotes <= N / 10);
	free_all(&c, N);
	rounds_freep(&r);
}

static void
evidence_older_than_the_call(void **state)
{
	struct admission a = { 0 }, b = { 0 };
	struct why why;
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .tee_max_age_s = 60 });
	assert_int_equal(join(r, false, &a, &why), CVM_OK);
	assert_int_equal(join(r, false, &b, &why), CVM_OK);
	assert_true(b.round->id == a.round->id + 1);
	assert_true(b.round->asked_ns > a.round->asked_ns);
	assert_memory_not_equal(a.round->root, b.round->root, SHA256_LEN);
	assert_memory_equal(a.round->tee_root, b.round->tee_root, SHA256_LEN);
	assert_memory_equal(a.round->tee_root, a.round->root, SHA256_LEN);
	admission_clear(&a);
	admission_clear(&b);
	rounds_freep(&r);
}

static void
failure_of_the_leader_kept_from_waiters(void **state)
{
	enum { N = 40 };
	struct rounds *r;
	struct caller *c;
	unsigned attempts;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .retry_ms = 60000 });
	machine_ctl(&scene.m, "set tsm.delay_ms 200");
	machine_ctl(&scene.m, "set tsm.eio -1");
	attempts = round_scene_count(&scene, ATTEMPTS);
	c = call_all(r, N);
	wait_all(c, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(c[i].err, CVM_E_UNREACHABLE);
		assert_int_equal(c[i].why.err, CVM_E_UNREACHABLE);
		assert_string_equal(c[i].why.field, "outblob");
		assert_null(c[i].a.round);
	}
	/* Whoever queued up meanwhile has the same answer, not a new wait. */
	assert_int_equal(round_scene_count(&scene, ATTEMPTS) - attempts, 1);
	assert_int_equal(rounds_state(r), ROUND_UNREACHABLE);
	free_all(&c, N);
	rounds_freep(&r);
}

static void
failure_repeated_at_each_call(void **state)
{
	struct why why;
	unsigned attempts;
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .retry_ms = 60000 });
	machine_ctl(&scene.m, "set tsm.eio -1");
	expect(r, false, CVM_E_UNREACHABLE);
	machine_reset(&scene.m);
	attempts = round_scene_count(&scene, ATTEMPTS);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(join(r, false, NULL, &why), CVM_E_UNREACHABLE);
		assert_string_equal(why.field, "outblob");
	}
	assert_int_equal(round_scene_count(&scene, ATTEMPTS), attempts);
	fake_clock_pass(60000);
	expect(r, false, CVM_OK);
	/* A challenge is tried at once. */
	machine_ctl(&scene.m, "set tsm.eio 1");
	expect(r, true, CVM_E_UNREACHABLE);
	expect(r, true, CVM_OK);
	expect(r, false, CVM_OK);
	rounds_freep(&r);
}

/* A failure that nobody had words for must not be answered with success. */
static void
failure_without_words_admits_later(void **state)
{
	struct admission a = { 0 };
	struct why why;
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .retry_ms = 60000 });
	scene.policy->tpm.pcr_sets[0].mask = 0; /* no policy that was read */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(join(r, false, &a, &why), CVM_E_INVAL);
		assert_int_equal(why.err, CVM_E_INVAL);
		assert_null(a.round);
	}
	rounds_freep(&r);
}

struct changes {
	unsigned n;
	enum round_state last;
	char where[WHY_WHERE_MAX];
};

static void
changed(void *arg, enum round_state state, const struct why *why)
{
	struct changes *c = arg;

	c->n++;
	c->last = state;
	memcpy(c->where, why->where, sizeof(c->where));
}

static void
denial_leaves_permits_or_lasts(void **state)
{
	struct changes seen = { 0 };
	struct admission a = { 0 };
	struct permit before, p;
	struct why why;
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .tee_max_age_s = 0 });
	rounds_on_change(r, changed, &seen);
	assert_int_equal(rounds_state(r), ROUND_NONE);
	assert_int_equal(join(r, false, &a, &why), CVM_OK);
	permit_issue(rounds_issuer(r), a.round->epoch, a.round->asked_ns, 60,
	    &before);
	admission_clear(&a);
	expect(r, false, CVM_OK);
	assert_int_equal(permit_check(&before, rounds_issuer(r)), CVM_OK);
	assert_true(seen.n == 1 && seen.last == ROUND_ADMIT);

	machine_ctl(&scene.m, "set debug on");
	assert_int_equal(join(r, false, &a, &why), CVM_E_DENIED);
	assert_non_null(a.round); /* evidence, for those who want it */
	assert_false(a.round->verdict.admit);
	assert_non_null(strstr(why.where, "SNP-"));
	assert_int_equal(permit_check(&before, rounds_issuer(r)), CVM_E_PERMIT);
	permit_issue(rounds_issuer(r), a.round->epoch, a.round->asked_ns, 60,
	    &p);
	assert_int_equal(permit_check(&p, rounds_issuer(r)), CVM_E_PERMIT);
	admission_clear(&a);
	expect(r, false, CVM_E_DENIED);
	assert_true(seen.n == 2 && seen.last == ROUND_DENY);
	assert_non_null(strstr(seen.where, "SNP-"));
	assert_int_equal(rounds_state(r), ROUND_DENY);

	machine_reset(&scene.m);
	fake_clock_pass(15); /* retry_ms */
	expect(r, false, CVM_OK);
	assert_true(seen.n == 3 && seen.last == ROUND_ADMIT);
	assert_int_equal(permit_check(&before, rounds_issuer(r)), CVM_E_PERMIT);
	rounds_freep(&r);
}

static void
lost_evidence_taken_for_a_denial(void **state)
{
	struct admission a = { 0 };
	struct permit p;
	struct why why;
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ 0 });
	assert_int_equal(join(r, false, &a, &why), CVM_OK);
	permit_issue(rounds_issuer(r), a.round->epoch, a.round->asked_ns, 60,
	    &p);
	admission_clear(&a);
	machine_ctl(&scene.m, "set tsm.eio -1");
	expect(r, false, CVM_E_UNREACHABLE);
	assert_int_equal(permit_check(&p, rounds_issuer(r)), CVM_OK);
	machine_reset(&scene.m);
	fake_clock_pass(15); /* retry_ms */
	expect(r, false, CVM_OK);
	rounds_freep(&r);
}

/* The child's own round, while the parent's is under way. */
static int
child(struct rounds *r)
{
	struct admission a = { 0 };
	struct why why;

	rounds_after_fork(r);
	if (rounds_state(r) != ROUND_NONE)
		return 1;
	if (round_scene_join(r, false, &a, &why) != CVM_OK)
		return 2;
	if (a.round->n_leaves != 1)
		return 3;
	admission_clear(&a);
	return round_scene_join(r, false, &a, &why) == CVM_OK ? 0 : 4;
}

static int
run_child(struct rounds *r)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(30);
		_exit(child(r));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
fork_in_a_round_harms_child_or_parent(void **state)
{
	struct rounds *r;
	struct caller *c;
	int status;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .tee_max_age_s = 60 });
	expect(r, false, CVM_OK);
	machine_ctl(&scene.m, "set tpm.delay_ms 150");
	c = call_all(r, 8);
	rest_ms(60);
	status = run_child(r);
	wait_all(c, 8);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(c[i].err, CVM_OK);
		expect_bound(&c[i]);
	}
	free_all(&c, 8);
	machine_reset(&scene.m);
	assert_int_equal(run_child(r), 0); /* and between rounds */
	expect(r, false, CVM_OK);
	rounds_freep(&r);
}

static unsigned
reports_of(struct rounds *r, unsigned joins, bool fresh)
{
	unsigned before = round_scene_count(&scene, REPORTS);

	for (unsigned i = 0; i < joins; i++)
		expect(r, fresh, CVM_OK);
	return round_scene_count(&scene, REPORTS) - before;
}

static void
report_asked_for_in_vain(void **state)
{
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .tee_max_age_s = 60 });
	assert_int_equal(reports_of(r, 6, false), 1);
	assert_int_equal(reports_of(r, 2, true), 2);
	assert_int_equal(reports_of(r, 3, false), 0);
	rounds_freep(&r);
	r = begin(&(struct round_options){ .tee_max_age_s = 0 });
	assert_int_equal(reports_of(r, 4, false), 4);
	rounds_freep(&r);
}

static void
old_report_used_on(void **state)
{
	struct rounds *r;
	unsigned tries;

	(void)state;
	NEEDS_MACHINE();
	r = begin(
	    &(struct round_options){ .tee_max_age_s = 200, .retry_ms = 30000 });
	assert_int_equal(reports_of(r, 2, false), 1);
	fake_clock_pass(100000); /* half of its age */
	assert_int_equal(reports_of(r, 2, false), 1);
	/* In the second half trouble is bearable, and not looked for. */
	fake_clock_pass(100000);
	machine_ctl(&scene.m, "set tsm.eio -1");
	tries = round_scene_count(&scene, ATTEMPTS);
	assert_int_equal(reports_of(r, 3, false), 0);
	assert_int_equal(round_scene_count(&scene, ATTEMPTS) - tries, 1);
	fake_clock_pass(100000);
	expect(r, false, CVM_E_UNREACHABLE);
	machine_reset(&scene.m);
	fake_clock_pass(30000);
	assert_int_equal(reports_of(r, 2, false), 1);
	rounds_freep(&r);
}

/* Whoever may challenge must not take the report of the others away. */
static void
report_lost_to_a_challenge(void **state)
{
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(
	    &(struct round_options){ .tee_max_age_s = 60, .timeout_ms = 200 });
	expect(r, false, CVM_OK);
	machine_ctl(&scene.m, "set tsm.ebusy -1");
	expect(r, true, CVM_E_UNREACHABLE);
	fake_clock_pass(50);
	assert_int_equal(reports_of(r, 2, false), 0);
	/* A report that was judged false is not used again. */
	machine_reset(&scene.m);
	machine_ctl(&scene.m, "set debug on");
	expect(r, true, CVM_E_DENIED);
	machine_reset(&scene.m);
	fake_clock_pass(50);
	assert_int_equal(reports_of(r, 2, false), 1);
	rounds_freep(&r);
}

/* A report names the AK of its time: another one needs another report. */
static void
report_of_another_ak_used(void **state)
{
	static const uint8_t root[SHA256_LEN] = { 7 };
	struct config_tpm rsa, ecc;
	struct collector c = { 0 };
	struct evidence e = { 0 }, f = { 0 }, g = { 0 };
	struct why why;

	(void)state;
	NEEDS_MACHINE();
	round_scene_configure(&scene,
	    &(struct round_options){ .tee_max_age_s = 60 });
	ecc = rsa = scene.cfg->tpm;
	ecc.ak = AK_GCE_ECC;
	rsa.ak = AK_GCE_RSA;
	c.cfg = scene.cfg;
	c.policy = scene.policy;
	c.vtpm = vtpm_new(&ecc);
	assert_int_equal(collect(&c, root, false, &e, &why), CVM_OK);
	assert_int_equal(collect(&c, root, false, &f, &why), CVM_OK);
	assert_true(
	    span_equal(blob_span(&e.tee_report), blob_span(&f.tee_report)));
	vtpm_freep(&c.vtpm);
	c.vtpm = vtpm_new(&rsa);
	assert_int_equal(collect(&c, root, false, &g, &why), CVM_OK);
	assert_false(
	    span_equal(blob_span(&e.tee_report), blob_span(&g.tee_report)));
	assert_memory_not_equal(e.tee_report_data, g.tee_report_data,
	    REPORT_DATA_LEN);
	vtpm_freep(&c.vtpm);
	collector_forget(&c);
	evidence_clear(&e);
	evidence_clear(&f);
	evidence_clear(&g);
}

static void
pcr_extended_unnoticed(void **state)
{
	struct why why;
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .tee_max_age_s = 60 });
	expect(r, false, CVM_OK);
	machine_ctl(&scene.m, "pcr extend 8 evil");
	assert_int_equal(join(r, false, NULL, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.where, "TPM-14"));
	rounds_freep(&r);
	machine_ctl(&scene.m, "tpm reboot");
}

/* The policy says which VMPL this machine runs at, below an SVSM. */
static void
machine_above_vmpl_0_refused(void **state)
{
	const struct round_options o = { .tee_max_age_s = 60 };
	struct round_scene above;
	struct rounds *r = NULL;
	struct why why;

	(void)state;
	NEEDS_MACHINE();
	round_scene_start(&above, "--vmpl 2");
	round_scene_configure(&above, &o);
	assert_int_equal(above.policy->snp.vmpl, 2);
	assert_int_equal(rounds_new(above.cfg, above.policy, &r), CVM_OK);
	expect(r, false, CVM_OK);
	rounds_freep(&r);
	above.policy->snp.vmpl = 0;
	assert_int_equal(rounds_new(above.cfg, above.policy, &r), CVM_OK);
	assert_int_equal(join(r, false, NULL, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "privlevel");
	rounds_freep(&r);
	round_scene_stop(&above);
}

static void
leaf_of_bad_length_taken(void **state)
{
	static const uint8_t leaf[LEAF_MAX + 1];
	struct admission a = { 0 };
	struct why why = { 0 };
	struct rounds *r;

	(void)state;
	NEEDS_MACHINE();
	r = begin(&(struct round_options){ .tee_max_age_s = 60 });
	assert_int_equal(rounds_join(r, span(leaf, 0), false, &a, &why),
	    CVM_E_INVAL);
	assert_int_equal(rounds_join(r, span(leaf, sizeof(leaf)), false, &a,
			     NULL),
	    CVM_E_INVAL);
	assert_string_equal(why.field, "leaf");
	assert_null(a.round);
	assert_int_equal(rounds_join(r, span(leaf, LEAF_MAX), false, &a, NULL),
	    CVM_OK);
	assert_int_equal(a.round->n_leaves, 1);
	admission_clear(&a);
	rounds_freep(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(crowd_takes_a_quote_each, setup),
		cmocka_unit_test_setup(evidence_older_than_the_call, setup),
		cmocka_unit_test_setup(failure_of_the_leader_kept_from_waiters,
		    setup),
		cmocka_unit_test_setup(failure_repeated_at_each_call, setup),
		cmocka_unit_test_setup(failure_without_words_admits_later,
		    setup),
		cmocka_unit_test_setup(denial_leaves_permits_or_lasts, setup),
		cmocka_unit_test_setup(lost_evidence_taken_for_a_denial, setup),
		cmocka_unit_test_setup(fork_in_a_round_harms_child_or_parent,
		    setup),
		cmocka_unit_test_setup(report_asked_for_in_vain, setup),
		cmocka_unit_test_setup(old_report_used_on, setup),
		cmocka_unit_test_setup(report_lost_to_a_challenge, setup),
		cmocka_unit_test_setup(report_of_another_ak_used, setup),
		cmocka_unit_test_setup(pcr_extended_unnoticed, setup),
		cmocka_unit_test_setup(machine_above_vmpl_0_refused, setup),
		cmocka_unit_test_setup(leaf_of_bad_length_taken, setup),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
