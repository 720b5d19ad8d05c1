/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/bench/softhsm.h"
#include "tests/unit/scene.h"

/*
 * What sessions cost where no round is due, at 1, 2, 8 and 32 threads: pairs
 * of C_OpenSession and C_CloseSession under a policy whose
 * session_open_max_age_s is not over, and C_GetSessionInfo; as operations a
 * second, and a second of processor time, which other programs disturb less.
 * Medians of slices. How long it takes to initialise and to list the slots.
 * And what many keys cost a program that starts: first admission, login and
 * the search for a key by its id, with 10 and with 10,000 keys in the token.
 * SoftHSM2 stands beside the first three where it is installed.
 */
#define SLICE_NS 50000000u
#define SLICES 9
#define THREADS_MAX 32
#define STARTS 41
#define KEYS_FEW 10
#define KEYS_MANY 10000
#define KEY_STARTS 7

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define MUST(x)                                                                \
	do {                                                                   \
		if (!(x)) {                                                    \
			(void)fprintf(stderr, "bench-sessions: %s\n", #x);     \
			exit(1);                                               \
		}                                                              \
	} while (0)

struct peer {
	const char *name;
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
};

struct worker {
	const struct peer *p;
	void (*run)(struct worker *w);
	CK_SESSION_HANDLE session;
	uint64_t until, done;
};

static void
open_and_close(struct worker *w)
{
	CK_SESSION_HANDLE h = 0;

	MUST(w->p->f->C_OpenSession(w->p->slot, RO, NULL, NULL, &h) == CKR_OK);
	MUST(w->p->f->C_CloseSession(h) == CKR_OK);
}

static void
get_info(struct worker *w)
{
	CK_SESSION_INFO info;

	MUST(w->p->f->C_GetSessionInfo(w->session, &info) == CKR_OK);
}

static const struct {
	const char *name;
	void (*run)(struct worker *w);
} tasks[] = {
	{ "open and close", open_and_close },
	{ "C_GetSessionInfo", get_info },
};

static void *
work(void *arg)
{
	struct worker *w = arg;

	while (clock_ns(CLOCK_MONOTONIC) < w->until)
		for (int i = 0; i < 64; i++) {
			w->run(w);
			w->done++;
		}
	return NULL;
}

struct rate {
	double wall, cpu;
};

static struct rate
slice(struct worker *w, int threads)
{
	pthread_t t[THREADS_MAX];
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	double done = 0;

	for (int i = 0; i < threads; i++) {
		w[i].until = start + SLICE_NS;
		w[i].done = 0;
		MUST(pthread_create(&t[i], NULL, work, &w[i]) == 0);
	}
	for (int i = 0; i < threads; i++) {
		(void)pthread_join(t[i], NULL);
		done += (double)w[i].done;
	}
	return (struct rate){
		done * 1e9 / (double)(clock_ns(CLOCK_MONOTONIC) - start),
		done * 1e9 / (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu)
	};
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double
median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[n / 2];
}

static void
measure_task(const struct peer *p, size_t task, int threads)
{
	static struct worker w[THREADS_MAX];
	double wall[SLICES], cpu[SLICES];

	for (int i = 0; i < threads; i++) {
		w[i] = (struct worker){ .p = p, .run = tasks[task].run };
		if (w[i].run == open_and_close)
			continue; /* the first is the last, too */
		MUST(p->f->C_OpenSession(p->slot, RO, NULL, NULL,
			 &w[i].session) == CKR_OK);
	}
	for (int i = 0; i < SLICES; i++) {
		struct rate r = slice(w, threads);

		wall[i] = r.wall;
		cpu[i] = r.cpu;
	}
	for (int i = 0; i < threads; i++)
		if (w[i].session != 0)
			MUST(p->f->C_CloseSession(w[i].session) == CKR_OK);
	(void)printf("%-10s %-18s %2d threads %10.0f/s, %10.0f a second of "
		     "processor time (floor 1000000)\n",
	    p->name, tasks[task].name, threads, median(wall, SLICES),
	    median(cpu, SLICES));
	(void)fflush(stdout);
}

static void
measure_sessions(const struct peer *p)
{
	static const int counts[] = { 1, 2, 8, 32 };

	for (size_t t = 0; t < sizeof(tasks) / sizeof(tasks[0]); t++)
		for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
			measure_task(p, t, counts[c]);
}

/* Leaves it initialised. */
static void
measure_start(const struct peer *p)
{
	double ms[STARTS];

	for (int i = 0; i < STARTS; i++) {
		CK_SLOT_ID slots[8];
		CK_ULONG n = 8;
		uint64_t start;

		MUST(p->f->C_Finalize(NULL) == CKR_OK);
		start = clock_ns(CLOCK_MONOTONIC);
		MUST(p->f->C_Initialize(NULL) == CKR_OK);
		MUST(p->f->C_GetSlotList(CK_TRUE, slots, &n) == CKR_OK);
		ms[i] = (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e6;
	}
	(void)printf("%-10s C_Initialize and C_GetSlotList %.3f ms (< 5)\n",
	    p->name, median(ms, STARTS));
}

static void
number(CK_BYTE out[static 8], size_t n)
{
	for (size_t i = 0; i < 8; i++)
		out[i] = (CK_BYTE)(n >> (56 - 8 * i));
}

/* Secret keys of the token, from number from to number to. */
static void
add_keys(size_t from, size_t to)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE;
	CK_BYTE id[8], value[32] = { 7 };
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) }, { CKA_TOKEN, &yes, 1 },
		{ CKA_ENCRYPT, &yes, 1 }, { CKA_ID, id, sizeof(id) },
		{ CKA_VALUE, value, 32 } };
	CK_SESSION_HANDLE s = open_session(RW);
	CK_OBJECT_HANDLE h;

	login(s);
	for (size_t i = from; i < to; i++) {
		number(id, i);
		assert_ok(C_CreateObject(s, t, sizeof(t) / sizeof(t[0]), &h));
	}
	assert_ok(C_CloseSession(s));
}

static CK_ULONG
find_key(CK_SESSION_HANDLE s, size_t n)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_BYTE id[8];
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_ID, id, sizeof(id) } };
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG found = 0;

	number(id, n);
	assert_ok(C_FindObjectsInit(s, t, 2));
	assert_ok(C_FindObjects(s, &h, 1, &found));
	assert_ok(C_FindObjectsFinal(s));
	return found;
}

/* What a program does that starts and wants one key; in milliseconds. */
static double
start_with(size_t keys)
{
	double ms[KEY_STARTS];

	for (int i = 0; i < KEY_STARTS; i++) {
		CK_SESSION_HANDLE s;
		uint64_t start;

		assert_ok(C_Finalize(NULL));
		assert_ok(C_Initialize(NULL));
		start = clock_ns(CLOCK_MONOTONIC);
		s = open_session(RO);
		login(s);
		MUST(find_key(s, keys / 2) == 1);
		ms[i] = (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e6;
	}
	return median(ms, KEY_STARTS);
}

static void
measure_keys(void)
{
	double few, many;

	add_keys(0, KEYS_FEW);
	few = start_with(KEYS_FEW);
	add_keys(KEYS_FEW, KEYS_MANY);
	many = start_with(KEYS_MANY);
	(void)printf("first admission, login, find by id: %d keys %.2f ms, "
		     "%d keys %.2f ms (<= 3 * %.2f + 40 = %.2f)\n",
	    KEYS_FEW, few, KEYS_MANY, many, few, 3 * few + 40);
}

static void
measure_ours(bool keys)
{
	static struct scene scene;
	const struct scene_options o = { .max_age_s = 86400,
		.open_max_age_s = 86400 };
	struct peer p = { .name = "cvm-pkcs11" };

	scene_start(&scene);
	if (!scene.there)
		exit(77);
	scene_prepare(&scene, &o);
	assert_ok(C_GetFunctionList(&p.f));
	assert_ok(C_Initialize(NULL));
	if (keys) {
		measure_keys();
	} else {
		measure_start(&p);
		p.slot = the_slot();
		measure_sessions(&p);
	}
	assert_ok(C_Finalize(NULL));
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
	measure_sessions(&p);
	measure_start(&p);
	softhsm_stop(&hsm);
}

/* An argument, "sessions" or "keys", chooses one half. */
int
main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;

	if (only == NULL || strcmp(only, "sessions") == 0) {
		measure_ours(/* keys= */ false);
		measure_softhsm();
	}
	if (only == NULL || strcmp(only, "keys") == 0)
		measure_ours(/* keys= */ true);
	return 0;
}
