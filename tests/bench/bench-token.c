/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/bench/softhsm.h"
#include "tests/bench/token-tasks.h"
#include "tests/unit/scene.h"

/*
 * What PKCS#11 costs: each operation through the module (C_SignInit and
 * C_Sign), as a ratio to OpenSSL without it, with the same keys, at 1, 2, 8 and
 * 32 threads, in slices that take turns.
 *
 * There are two ratios: of operations a second, and of operations a second of
 * processor time, which other programs of a busy machine disturb less. Each is
 * the median over the slices, of which ours and OpenSSL's that follow each
 * other make one. SoftHSM2 is measured beside them where it is installed
 * (CVM_SOFTHSM names its library). The first argument chooses the operations
 * whose names contain it, the second the number of threads.
 */
#define SLICE_NS 20000000u
#define SLICES 15
#define THREADS_MAX 32

static uint64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const char *only;
static int only_threads;

struct slice {
	struct worker *w;
	void (*run)(struct worker *w);
	uint64_t until, done;
};

static void *
work(void *arg)
{
	struct slice *s = arg;

	/* The clock is asked rarely: an operation may take 200 ns. */
	while (now_ns() < s->until)
		for (int i = 0; i < 16; i++) {
			s->run(s->w);
			s->done++;
		}
	return NULL;
}

/* What a slice came to, a second. */
struct rate {
	double wall, cpu;
};

static struct rate
slice(struct worker *w, int threads, void (*run)(struct worker *w))
{
	double done = 0;
	struct slice s[THREADS_MAX];
	pthread_t t[THREADS_MAX];
	uint64_t start = now_ns(), cpu = cpu_ns();

	for (int i = 0; i < threads; i++) {
		s[i] = (struct slice){ &w[i], run, start + SLICE_NS, 0 };
		MUST(pthread_create(&t[i], NULL, work, &s[i]) == 0);
	}
	for (int i = 0; i < threads; i++) {
		(void)pthread_join(t[i], NULL);
		done += (double)s[i].done;
	}
	return (struct rate){ done * 1e9 / (double)(now_ns() - start),
		done * 1e9 / (double)(cpu_ns() - cpu) };
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double
median(double v[static SLICES])
{
	qsort(v, SLICES, sizeof(*v), by_size);
	return v[SLICES / 2];
}

static void
compare(const struct peer *p, const struct task *task, int threads,
    struct worker *raw, struct worker *ours)
{
	double wall[SLICES], cpu[SLICES], theirs[SLICES], own[SLICES];

	for (int i = 0; i < SLICES; i++) {
		struct rate r, o = { 0, 0 };

		/* By turns also in who comes first. */
		if (i % 2 == 1)
			o = slice(ours, threads, task->run);
		r = slice(raw, threads, task->run);
		if (i % 2 == 0)
			o = slice(ours, threads, task->run);
		wall[i] = o.wall / r.wall;
		cpu[i] = o.cpu / r.cpu;
		theirs[i] = r.wall;
		own[i] = o.wall;
	}
	(void)printf("%-10s %-21s %2d threads %9.0f/s  OpenSSL %9.0f/s  "
		     "ratio %.3f, by processor time %.3f",
	    p->name, task->name, threads, median(own), median(theirs),
	    median(wall), median(cpu));
	if (task->floor > 0)
		(void)printf(" (floor %.2f)", task->floor);
	(void)printf("\n");
	(void)fflush(stdout);
}

static bool
chosen(const struct peer *p, const struct task *t)
{
	return (only == NULL || strstr(t->name, only) != NULL) &&
	    (t->can == NULL || t->can(p));
}

static void
measure(const struct peer *p)
{
	static const int counts[] = { 1, 2, 8, 32 };
	static struct worker raw[THREADS_MAX], ours[THREADS_MAX];

	for (int i = 0; i < THREADS_MAX; i++) {
		worker_new(&raw[i], NULL);
		worker_new(&ours[i], p);
	}
	for (const struct task *t = tasks; t->name != NULL; t++)
		for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
			if (chosen(p, t) &&
			    (only_threads == 0 || only_threads == counts[c]))
				compare(p, t, counts[c], raw, ours);
	for (int i = 0; i < THREADS_MAX; i++) {
		worker_free(&raw[i]);
		worker_free(&ours[i]);
	}
}

static void
get_interface(struct peer *p)
{
	CK_VERSION v = { 3, 0 };
	CK_INTERFACE *i = NULL;

	MUST(C_GetInterface(NULL, &v, &i, 0) == CKR_OK);
	p->f3 = i->pFunctionList;
}

static void
measure_ours(void)
{
	static struct scene scene;
	struct scene_options o = { .max_age_s = 86400 };
	struct peer p = { .name = "cvm-pkcs11" };

	scene_start(&scene);
	if (!scene.there)
		exit(77);
	scene_prepare(&scene, &o);
	MUST(C_GetFunctionList(&p.f) == CKR_OK);
	MUST(p.f->C_Initialize(NULL) == CKR_OK);
	p.slot = the_slot();
	p.main = open_session(RW);
	login(p.main);
	get_interface(&p);
	tasks_import(&p);
	measure(&p);
	(void)p.f->C_Finalize(NULL);
	scene_stop(&scene);
}

static void
measure_softhsm(void)
{
	struct peer p = { .name = "SoftHSM2" };
	struct softhsm hsm;

	if (!softhsm_start(&hsm)) {
		(void)printf("SoftHSM2 is not installed: not measured\n");
		return;
	}
	p.f = hsm.f;
	p.slot = hsm.slot;
	p.main = hsm.session;
	tasks_import(&p);
	measure(&p);
	softhsm_stop(&hsm);
}

int
main(int argc, char **argv)
{
	only = argc > 1 ? argv[1] : NULL;
	only_threads = argc > 2 ? atoi(argv[2]) : 0;
	tasks_setup();
	measure_ours();
	measure_softhsm();
	tasks_end();
	return 0;
}
