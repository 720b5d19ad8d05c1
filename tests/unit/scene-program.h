/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_SCENE_PROGRAM_H
#define TESTS_UNIT_SCENE_PROGRAM_H

#include "tests/unit/scene.h"

/*
 * What a program has whose tests share one machine: it is started and stopped
 * with the group, and well-behaved at the beginning of each test. Included
 * after cmocka.h, by the program's one file.
 */
static struct scene scene;

#define NEEDS_MACHINE()                                                        \
	if (!scene.there)                                                      \
	skip()

static inline int
start(void **state)
{
	(void)state;
	scene_start(&scene);
	return 0;
}

static inline int
stop(void **state)
{
	(void)state;
	scene_stop(&scene);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	(void)C_Finalize(NULL);
	if (!scene.there)
		return 0;
	machine_reset(&scene.m);
	scene_silent(&scene);
	return 0;
}

#endif
