/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/forkid.h"

static atomic_uint_fast64_t forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/*
 * One, in a page that the kernel clears in each child: _Fork() and clone(2)
 * call no handlers. Of this object's own memory, to go when it is unloaded.
 */
#define PAGE_LEN 4096
static _Alignas(PAGE_LEN) union {
	atomic_uint same;
	uint8_t page[PAGE_LEN];
} watch;
static bool watched;

static void
in_child(void)
{
	(void)atomic_fetch_add(&forks, 1);
	atomic_store(&watch.same, 1);
}

static void
set_up(void)
{
	atomic_store(&watch.same, 1);
	watched = sysconf(_SC_PAGESIZE) == PAGE_LEN &&
	    madvise(&watch, sizeof(watch), MADV_WIPEONFORK) == 0;
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
	/* Threads that come at once may count twice, which nobody minds. */
	if (watched && atomic_load(&watch.same) == 0)
		in_child();
	return atomic_load(&forks);
}
