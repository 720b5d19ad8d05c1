/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "attest/collect.h"
#include "attest/round.h"
#include "base/forkid.h"
#include "tests/unit/fake-clock.h"

/*
 * Who leads, who waits, and who is left behind. Evidence comes from here: the
 * program is linked with --wrap for collect(), appraise(), what waits for a
 * leader, and the kernel's random numbers.
 */
static struct source {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool held;	 /* collections do not end */
	unsigned n;	 /* collections begun */
	unsigned fresh;	 /* ... that asked for a new report */
	int err[16];	 /* of the first ones */
	bool deny[16];	 /* or their verdict */
	uint32_t resets; /* of the TPM */
	bool saw_clock;	 /* the last appraisal was given an earlier clock */
} source = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER };
static atomic_uint waits, kernel_random;
static char empty_dir[] = "/tmp/test-leader.XXXXXX";
static struct config cfg;
static struct policy policy;

int __wrap_collect(struct collector *c, const uint8_t root[static SHA256_LEN],
    bool fresh, struct evidence *ret, struct why *why);
void __wrap_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *f);
int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
    const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
    const struct timespec *t);
ssize_t __real_getrandom(void *p, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);

int
__wrap_collect(struct collector *c, const uint8_t root[static SHA256_LEN],
    bool fresh, struct evidence *ret, struct why *why)
{
	unsigned n;
	int err;

	(void)c;
	(void)root;
	(void)pthread_mutex_lock(&source.lock);
	n = source.n++;
	source.fresh += fresh;
	(void)pthread_cond_broadcast(&source.cond);
	while (source.held)
		(void)pthread_cond_wait(&source.cond, &source.lock);
	err = n < 16 ? source.err[n] : CVM_OK;
	(void)pthread_mutex_unlock(&source.lock);
	*ret = (struct evidence){ 0 };
	return err == CVM_OK ?
	    CVM_OK :
	    why_setf(why, err, "source", "collection", "", "number %u", n);
}

void
__wrap_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *f)
{
	unsigned n = source.n - 1;

	verdict_init(v, GROUP_TPM);
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (check_table[i].group == GROUP_TPM)
			(void)verdict_pass(v, (enum check_id)i);
	if (n < 16 && source.deny[n])
		(void)verdict_fail(v, CHECK_TPM_16, "forward", "backward");
	verdict_finish(v);
	source.saw_clock = a->last_clock != NULL;
	*f = (struct appraisal_facts){ .clock.reset_count = source.resets };
}

int
__wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
    const struct timespec *t)
{
	(void)atomic_fetch_add(&waits, 1);
	return __real_pthread_cond_timedwait(c, m, t);
}

ssize_t
__wrap_getrandom(void *p, size_t n, unsigned flags)
{
	(void)atomic_fetch_add(&kernel_random, 1);
	return __real_getrandom(p, n, flags);
}

static void
hold(bool held)
{
	(void)pthread_mutex_lock(&source.lock);
	source.held = held;
	(void)pthread_cond_broadcast(&source.cond);
	(void)pthread_mutex_unlock(&source.lock);
}

static void
wait_for_collection(unsigned n)
{
	(void)pthread_mutex_lock(&source.lock);
	while (source.n < n)
		(void)pthread_cond_wait(&source.cond, &source.lock);
	(void)pthread_mutex_unlock(&source.lock);
}

struct told {
	atomic_uint n[ROUND_OLDER + 1];
};

static void
tell(void *arg, enum round_state state, const struct why *why)
{
	struct told *t = arg;

	(void)why;
	(void)atomic_fetch_add(&t->n[state], 1);
}

static struct rounds *
begin(struct told *told)
{
	struct rounds *r = NULL;

	hold(false);
	source.n = source.fresh = 0;
	source.resets = 0;
	memset(source.err, 0, sizeof(source.err));
	memset(source.deny, 0, sizeof(source.deny));
	atomic_store(&waits, 0);
	cfg = (struct config){ .tpm = { .tcti = (char *)(uintptr_t) "none",
				   .timeout_ms = 30000 },
		.evidence = { .collateral = empty_dir, .timeout_ms = 30000 } };
	policy = (struct policy){ .has_tpm = true };
	assert_int_equal(rounds_new(&cfg, &policy, &r), CVM_OK);
	if (told != NULL)
		rounds_on_change(r, tell, told);
	return r;
}

struct caller {
	pthread_t thread;
	struct rounds *r;
	uint64_t number;
	bool fresh;
	int err;
	struct why why;
	struct admission a;
	bool back; /* it came back from the round */
};

static void *
call(void *arg)
{
	struct caller *c = arg;

	c->err = rounds_join(c->r, span(&c->number, sizeof(c->number)),
	    c->fresh, &c->a, &c->why);
	c->back = true;
	pthread_testcancel();
	return NULL;
}

static void
start(struct caller *c, struct rounds *r, uint64_t number)
{
	*c = (struct caller){ .r = r, .number = number };
	assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
}

static void
finish(struct caller *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pthread_join(c[i].thread, NULL), 0);
}

static void
clear(struct caller *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		admission_clear(&c[i].a);
}

/* n callers, of whom the first leads and is held, and all others wait. */
static void
start_crowd(struct caller *c, size_t n, struct rounds *r)
{
	hold(true);
	start(&c[0], r, 0);
	wait_for_collection(1);
	for (size_t i = 1; i < n; i++)
		start(&c[i], r, i);
	while (atomic_load(&waits) < n - 1)
		(void)sched_yield();
}

static int
join(struct rounds *r, struct admission *a, struct why *why)
{
	struct caller c = { .r = r, .number = 77 };

	(void)call(&c);
	if (a != NULL)
		*a = c.a;
	else
		admission_clear(&c.a);
	if (why != NULL)
		*why = c.why;
	return c.err;
}

/* Whoever waits shares one round, and not the one that was under way. */
static void
crowd_takes_more_than_two_rounds(void **state)
{
	enum { N = 200 };
	static struct caller c[N];
	struct rounds *r = begin(NULL);

	(void)state;
	start_crowd(c, N, r);
	hold(false);
	finish(c, N);
	assert_int_equal(source.n, 2);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(c[i].err, CVM_OK);
		assert_int_equal(c[i].a.round->id, i == 0 ? 1 : 2);
		assert_int_equal(c[i].a.round->n_leaves, i == 0 ? 1 : N - 1);
		assert_memory_equal(c[i].a.round->leaves[c[i].a.index].data,
		    &c[i].number, 8);
	}
	clear(c, N);
	rounds_freep(&r);
}

/* Each round's result and reason go to its callers, and to nobody else. */
static void
reason_of_another_round(void **state)
{
	struct caller c[6];
	struct rounds *r = begin(NULL);

	(void)state;
	source.err[0] = CVM_E_UNREACHABLE;
	source.deny[1] = true;
	start_crowd(c, 6, r);
	hold(false);
	finish(c, 6);
	assert_int_equal(c[0].err, CVM_E_UNREACHABLE);
	assert_string_equal(c[0].why.got, "number 0");
	assert_null(c[0].a.round);
	for (size_t i = 1; i < 6; i++) {
		assert_int_equal(c[i].err, CVM_E_DENIED);
		assert_non_null(strstr(c[i].why.where, "TPM-16"));
		assert_int_equal(c[i].a.round->id, 2);
	}
	assert_int_equal(source.n, 2);
	clear(c, 6);
	rounds_freep(&r);
}

/* pthread_cancel(3) of the leader takes effect when the others have theirs. */
static void
cancelled_leader_strands_the_others(void **state)
{
	struct caller c[8];
	struct rounds *r = begin(NULL);
	void *result;

	(void)state;
	start_crowd(c, 8, r);
	assert_int_equal(pthread_cancel(c[0].thread), 0);
	assert_int_equal(pthread_cancel(c[3].thread), 0);
	hold(false);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(c[i].thread, &result), 0);
		assert_true((result == PTHREAD_CANCELED) == (i == 0 || i == 3));
		assert_true(c[i].back);
		assert_int_equal(c[i].err, CVM_OK);
	}
	assert_int_equal(join(r, NULL, NULL), CVM_OK);
	clear(c, 8);
	rounds_freep(&r);
}

/* A read that the kernel keeps. */
static void
hanging_leader_blocks_the_others(void **state)
{
	struct told told = { 0 };
	struct caller c[8];
	struct rounds *r = begin(&told);
	struct why why = { 0 };

	(void)state;
	cfg.evidence.timeout_ms = 100;
	cfg.tpm.timeout_ms = 50;
	hold(true);
	start(&c[0], r, 0);
	wait_for_collection(1);
	for (size_t i = 1; i < 8; i++)
		start(&c[i], r, i);
	finish(&c[1], 7);
	for (size_t i = 1; i < 8; i++) {
		assert_int_equal(c[i].err, CVM_E_UNREACHABLE);
		assert_string_equal(c[i].why.field, "collection");
		assert_string_equal(c[i].why.expected, "its end in 200 ms");
		assert_null(c[i].a.round);
	}
	/* Who comes later is told at once; so is the log, one time. */
	assert_int_equal(join(r, NULL, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "collection");
	assert_int_equal(source.n, 1);
	assert_int_equal(told.n[ROUND_UNREACHABLE], 1);
	assert_int_equal(rounds_state(r), ROUND_UNREACHABLE);
	/* It comes back, and all is well. */
	hold(false);
	finish(c, 1);
	assert_int_equal(c[0].err, CVM_OK);
	assert_int_equal(rounds_state(r), ROUND_ADMIT);
	assert_int_equal(told.n[ROUND_ADMIT], 1);
	assert_int_equal(join(r, NULL, NULL), CVM_OK);
	assert_int_equal(source.n, 2);
	clear(c, 8);
	rounds_freep(&r);
}

/* The others wait as long as a collection may take, and no shorter. */
static void
slow_leader_taken_for_a_hanging_one(void **state)
{
	struct caller c[4];
	struct rounds *r = begin(NULL);

	(void)state;
	start_crowd(c, 4, r);
	fake_clock_pass(3600000); /* other clocks do not count */
	hold(false);
	finish(c, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(c[i].err, CVM_OK);
	clear(c, 4);
	rounds_freep(&r);
}

static int
in_child(struct rounds *r)
{
	struct admission a = { 0 };
	int err;

	hold(false);
	rounds_after_fork(r);
	err = join(r, &a, NULL);
	if (err != CVM_OK || a.round->n_leaves != 1)
		return 1;
	admission_clear(&a);
	return join(r, NULL, NULL) == CVM_OK ? 0 : 2;
}

static void
fork_in_the_middle_strands_anybody(void **state)
{
	struct caller c[8];
	struct rounds *r = begin(NULL);
	int status;
	pid_t pid;

	(void)state;
	start_crowd(c, 8, r);
	pid = fork();
	if (pid == 0) {
		(void)alarm(20);
		_exit(in_child(r));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	hold(false);
	finish(c, 8);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(c[i].err, CVM_OK);
	clear(c, 8);
	rounds_freep(&r);
}

static struct permit
permit_of(struct rounds *r)
{
	struct admission a = { 0 };
	struct permit p;

	assert_int_equal(join(r, &a, NULL), CVM_OK);
	permit_issue(rounds_issuer(r), a.round->epoch, a.round->asked_ns, 300,
	    &p);
	admission_clear(&a);
	return p;
}

/* A machine that was suspended, or resumed from a snapshot, asks anew. */
static void
permit_outlives_a_restart_of_the_tpm(void **state)
{
	struct told told = { 0 };
	struct rounds *r = begin(&told);
	struct permit before = permit_of(r), after;

	(void)state;
	after = permit_of(r);
	assert_int_equal(permit_check(&before, rounds_issuer(r)), CVM_OK);
	assert_int_equal(told.n[ROUND_RESTARTED], 0);
	source.resets++;
	after = permit_of(r);
	assert_int_equal(permit_check(&before, rounds_issuer(r)), CVM_E_PERMIT);
	assert_int_equal(permit_check(&after, rounds_issuer(r)), CVM_OK);
	assert_int_equal(told.n[ROUND_RESTARTED], 1);
	before = permit_of(r);
	assert_int_equal(permit_check(&after, rounds_issuer(r)), CVM_OK);
	assert_int_equal(told.n[ROUND_RESTARTED], 1);
	assert_int_equal(told.n[ROUND_DENY], 0);
	rounds_freep(&r);
}

/* A clock that went back is a denial, from which there is a way back. */
static void
clock_that_went_back_denies_for_ever(void **state)
{
	struct told told = { 0 };
	struct rounds *r = begin(&told);
	struct permit before = permit_of(r), after;

	(void)state;
	source.deny[1] = true;
	assert_int_equal(join(r, NULL, NULL), CVM_E_DENIED);
	assert_true(source.saw_clock);
	assert_int_equal(told.n[ROUND_DENY], 1);
	assert_int_equal(permit_check(&before, rounds_issuer(r)), CVM_E_PERMIT);
	after = permit_of(r);
	assert_false(source.saw_clock);
	assert_int_equal(permit_check(&after, rounds_issuer(r)), CVM_OK);
	assert_int_equal(permit_check(&before, rounds_issuer(r)), CVM_E_PERMIT);
	rounds_freep(&r);
}

/* A copy of this memory has this generator, and the kernel's is another. */
static void
random_bytes_repeated_in_a_clone(void **state)
{
	uint8_t a[16], b[16];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		unsigned before = atomic_load(&kernel_random);

		assert_int_equal(random_bytes(a, sizeof(a)), CVM_OK);
		assert_int_equal(random_bytes(b, sizeof(b)), CVM_OK);
		assert_true(atomic_load(&kernel_random) >= before + 2);
		assert_memory_not_equal(a, b, sizeof(a));
	}
}

static int
make_dir(void **state)
{
	(void)state;
	forkid_setup();
	return mkdtemp(empty_dir) != NULL ? 0 : -1;
}

static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(empty_dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crowd_takes_more_than_two_rounds),
		cmocka_unit_test(reason_of_another_round),
		cmocka_unit_test(cancelled_leader_strands_the_others),
		cmocka_unit_test(hanging_leader_blocks_the_others),
		cmocka_unit_test(slow_leader_taken_for_a_hanging_one),
		cmocka_unit_test(fork_in_the_middle_strands_anybody),
		cmocka_unit_test(permit_outlives_a_restart_of_the_tpm),
		cmocka_unit_test(clock_that_went_back_denies_for_ever),
		cmocka_unit_test(random_bytes_repeated_in_a_clone),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
