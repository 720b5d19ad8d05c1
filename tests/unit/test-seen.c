/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attest/chain_cache.h"
#include "attest/memo.h"
#include "tests/unit/stage.h"
#include "tests/unit/tdx-bench.h"

/* The memory of collateral: which of two issues is the older one, and what an
 * appraisal says of it. */

static struct seen_mark
mark(uint8_t id, uint64_t number, int64_t time)
{
	struct seen_mark m = { .number = number, .time = time };

	memset(m.id, id, sizeof(m.id));
	return m;
}

static bool
is_older(struct seen_mark found, struct seen_mark known)
{
	struct seen f = { 0 }, k = { 0 };
	const struct seen_mark *by = NULL, *older;

	assert_true(seen_raise(&f, &found));
	assert_true(seen_raise(&k, &known));
	older = seen_older(&f, &k, &by);
	assert_true((older != NULL) == (by != NULL));
	return older != NULL;
}

static void
number_or_time_does_not_count(void **state)
{
	(void)state;
	assert_true(is_older(mark(1, 0, 99), mark(1, 0, 100)));
	assert_false(is_older(mark(1, 0, 100), mark(1, 0, 100)));
	assert_false(is_older(mark(1, 0, 101), mark(1, 0, 100)));
	/* A new evaluation may have been issued before an old one. */
	assert_false(is_older(mark(1, 18, 99), mark(1, 17, 100)));
	assert_true(is_older(mark(1, 17, 101), mark(1, 18, 100)));
	assert_true(is_older(mark(1, 18, 99), mark(1, 18, 100)));
	assert_true(is_older(mark(1, 17, 100), mark(1, UINT64_MAX, 100)));
}

static void
another_list_counts(void **state)
{
	(void)state;
	assert_false(is_older(mark(1, 0, 99), mark(2, 0, 100)));
	assert_false(is_older(mark(2, 0, 99), mark(1, 0, 100)));
	assert_false(is_older(mark(2, 17, 99), mark(1, 18, 100)));
}

static void
memory_goes_back(void **state)
{
	struct seen s = { 0 };
	struct seen_mark m = mark(7, 2, 100);

	(void)state;
	assert_true(seen_raise(&s, &m));
	assert_false(seen_raise(&s, &m));
	m = mark(7, 2, 99);
	assert_false(seen_raise(&s, &m));
	m = mark(7, 1, 200);
	assert_false(seen_raise(&s, &m));
	assert_int_equal(s.n, 1);
	assert_int_equal(s.v[0].number, 2);
	assert_int_equal(s.v[0].time, 100);
	m = mark(7, 2, 101);
	assert_true(seen_raise(&s, &m));
	assert_int_equal(s.n, 1);
	assert_int_equal(s.v[0].time, 101);
}

/* Whatever order they come in, they are found, and the oldest gives way. */
static void
full_memory_forgets_the_newest(void **state)
{
	struct seen s = { 0 }, other = { 0 };
	const struct seen_mark *known;
	struct seen_mark m;

	(void)state;
	for (unsigned i = 0; i < SEEN_MAX; i++) {
		m = mark((uint8_t)(i * 37 + 11), 0, 1000 + i);
		assert_true(seen_raise(&s, &m));
	}
	for (size_t i = 1; i < s.n; i++)
		assert_true(s.v[i - 1].id[0] < s.v[i].id[0]);
	m = mark(250, 0, 1000);
	assert_false(seen_raise(&s, &m));
	m = mark(250, 0, 5000);
	assert_true(seen_raise(&s, &m));
	assert_int_equal(s.n, SEEN_MAX);
	for (unsigned i = 0; i < SEEN_MAX; i++) {
		other.n = 0;
		m = mark((uint8_t)(i * 37 + 11), 0, 1);
		assert_true(seen_raise(&other, &m));
		assert_true(
		    (seen_older(&other, &s, &known) == NULL) == (i == 0));
	}
	assert_false(seen_merge(&s, &s));
	assert_true(seen_merge(&other, &s));
	assert_int_equal(other.n, SEEN_MAX);
}

/* What was found, as if it had been seen by seconds later. */
static void
see(const struct seen_mark *found, int64_t by, struct seen *ret)
{
	struct seen_mark m = *found;

	m.time += by;
	ret->n = 0;
	assert_true(seen_raise(ret, &m));
}

static bool
admits(struct stage *s, const struct seen *known, struct verdict *v,
    struct appraisal_facts *f)
{
	enum check_status status;

	s->a.seen = known;
	appraise(&s->a, v, f);
	status = v->results[CHECK_COL_01].status;
	if (known == NULL)
		assert_int_equal(status, CHECK_SKIPPED);
	else
		assert_int_equal(status, v->admit ? CHECK_PASS : CHECK_FAIL);
	return v->admit;
}

/* Every list of a kind of machine, one second older than known. */
static unsigned
older_ones_of(struct stage *s, struct policy *p)
{
	struct seen known = { 0 }, found;
	struct appraisal_facts f;
	struct verdict v;

	s->a.policy = p;
	p->older_collateral = false;
	assert_true(admits(s, NULL, &v, &f));
	found = f.seen;
	for (size_t i = 0; i < found.n; i++) {
		const char *about = found.v[i].about;

		see(&found.v[i], 0, &known);
		assert_true(admits(s, &known, &v, &f));
		see(&found.v[i], -1, &known);
		assert_true(admits(s, &known, &v, &f));
		see(&found.v[i], 1, &known);
		assert_false(admits(s, &known, &v, &f));
		assert_non_null(
		    strstr(v.results[CHECK_COL_01].expected, about));
		p->older_collateral = true;
		assert_true(admits(s, &known, &v, &f));
		assert_true(f.older);
		assert_non_null(strstr(v.results[CHECK_COL_01].got, about));
		p->older_collateral = false;
	}
	s->a.policy = NULL;
	return (unsigned)found.n;
}

/* The second time, what the parts found comes out of their memory. */
static void
older_collateral_is_admitted(void **state)
{
	static const struct {
		enum stage_kind kind;
		unsigned n;
	} rows[] = {
		{ STAGE_SNP, 1 },
		{ STAGE_VLEK, 0 },
		{ STAGE_GCE, 1 },
		{ STAGE_AZURE, 1 },
		{ STAGE_TDX_4, 4 },
		{ STAGE_TDX_5, 4 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(stage_free) struct stage *s = stage_new(rows[i].kind);
		_cleanup_(chain_cache_freep) struct chain_cache *cache =
		    chain_cache_new();
		_cleanup_(policy_freep) struct policy *p = NULL;

		assert_int_equal(policy_parse(span(s->text, strlen(s->text)),
				     "stage", &p, NULL),
		    CVM_OK);
		s->a.cache = cache;
		assert_int_equal(older_ones_of(s, p), rows[i].n);
		assert_int_equal(older_ones_of(s, p), rows[i].n);
		assert_true(memo_recalls(chain_cache_memos(cache)) > 0);
	}
}

/* Of a machine whose collateral has that number and age. */
static void
issued(int number, int64_t later, bool other, struct seen *ret)
{
	struct bench b;

	bench_begin(&b, 5);
	b.spec.tcb_info.number += (unsigned)number;
	b.spec.qe_identity.number += (unsigned)number;
	b.spec.tcb_info.issue += later;
	b.spec.qe_identity.issue += later;
	if (other) {
		b.spec.fmspc[5] ^= 1;
		b.spec.tcb_info.find = "00806f050000";
		b.spec.tcb_info.replace = "00806f050001";
	}
	bench_make(&b);
	if (!bench_appraise(&b))
		print_failed(&b.v);
	assert_true(b.v.admit);
	*ret = b.facts.seen;
	bench_end(&b);
}

/* What Intel issues anew is the same thing. */
static void
number_is_not_compared(void **state)
{
	const struct seen_mark *by = NULL, *older;
	struct seen first, second;

	(void)state;
	issued(0, 0, false, &first);
	/* Issued later: a TCB recovery that was rolled back. */
	issued(-1, 60, false, &second);
	older = seen_older(&second, &first, &by);
	assert_non_null(older);
	assert_int_equal(older->number + 1, by->number);
	assert_null(seen_older(&first, &second, &by));
	issued(0, -60, false, &second);
	assert_non_null(seen_older(&second, &first, &by));
	issued(1, -60, false, &second);
	assert_null(seen_older(&second, &first, &by));
	/* TCB info of another platform is another thing; the QE is not. */
	issued(0, -60, true, &second);
	older = seen_older(&second, &first, &by);
	assert_non_null(older);
	assert_string_equal(older->about, "QE identity");
	assert_true(seen_merge(&first, &second));
	assert_int_equal(first.n, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_or_time_does_not_count),
		cmocka_unit_test(another_list_counts),
		cmocka_unit_test(memory_goes_back),
		cmocka_unit_test(full_memory_forgets_the_newest),
		cmocka_unit_test(older_collateral_is_admitted),
		cmocka_unit_test(number_is_not_compared),
	};

	return cmocka_run_group_tests_name("seen", tests, stage_setup,
	    stage_teardown);
}
