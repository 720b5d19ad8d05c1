/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <stdatomic.h>

#include "base/forkid.h"

static atomic_uint_fast64_t forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
in_child(void)
{
	(void)atomic_fetch_add(&forks, 1);
}

/*
 * Unloading needs no counterpart: the C library drops the handlers of a
 * shared object together with the object.
 */
static void
set_up(void)
{
	(void)pthread_atfork(/* prepare= */ NULL, /* parent= */ NULL, in_child);
}

void
forkid_setup(void)
{
	(void)pthread_once(&once, set_up);
}

uint64_t
forkid(void)
{
	return atomic_load(&forks);
}
