/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_BENCH_RATIO_H
#define TESTS_BENCH_RATIO_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/*
 * Steps measured in turns, since machines have moods, and their medians in
 * microseconds of the processor: others may wait for it as well.
 */
#ifndef RATIO_ROUNDS
#define RATIO_ROUNDS 200
#endif

struct ratio_row {
	const char *name;
	void (*fn)(void *arg);
};

static inline uint64_t
ratio_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int
ratio_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* us[k] is the median of rows[k]; n rows, at most 8. */
static inline void
ratio_measure(const struct ratio_row *rows, size_t n, void *arg, double *us)
{
	static uint64_t t[8][RATIO_ROUNDS];

	for (size_t i = 0; i < RATIO_ROUNDS; i++)
		for (size_t k = 0; k < n; k++) {
			uint64_t start = ratio_now_ns();

			rows[k].fn(arg);
			t[k][i] = ratio_now_ns() - start;
		}
	for (size_t k = 0; k < n; k++) {
		qsort(t[k], RATIO_ROUNDS, sizeof(t[k][0]), ratio_compare);
		us[k] = (double)t[k][RATIO_ROUNDS / 2] / 1000;
	}
}

/*
 * Five rows: all public-key operations of an appraisal by keys that are ready,
 * each distinct signature once; the appraisal with an empty memory; the
 * operations that are left when the endorsement chain is known, and the
 * appraisal that knows it; the operations of the first row with each distinct
 * key made from its bytes before, once: nobody who sees these keys for the
 * first time can do with less, so that fifth to first is the floor of cold.
 */
static inline void
ratio_print(const char *what, const struct ratio_row rows[static 5], void *arg)
{
	double us[5];

	ratio_measure(rows, 5, arg, us);
	(void)printf("# %-14s cold %8.1f us of %8.1f: %.2f; with the chain "
		     "known %8.1f us of %8.1f: %.2f\n",
	    what, us[1], us[0], us[1] / us[0], us[3], us[2], us[3] / us[2]);
	(void)printf("# %-14s cold %8.1f us of %8.1f with the keys made: %.2f; "
		     "the floor of the first ratio: %.2f\n",
	    "", us[1], us[4], us[1] / us[4], us[4] / us[0]);
}

#endif
