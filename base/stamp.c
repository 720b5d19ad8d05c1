/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdint.h>

#include "base/clock.h"
#include "base/stamp.h"

/* exFAT counts in 10 ms, and another machine's kernel in ticks of as many. */
#define TICK_NS 20000000
/* Whole seconds: ext3, ext4 with small inodes, HFS+, many a server's; FAT
 * counts in two of them. */
#define COARSE_NS (2 * (int64_t)NS_PER_S + TICK_NS)

static int64_t
nanoseconds(const struct timespec *t)
{
	return t->tv_sec * (int64_t)NS_PER_S + t->tv_nsec;
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/*
 * By the time of the inode's change, which nobody can set and which each write
 * moves. One in the future says that the clock was set back, or is another
 * machine's: then nothing is known of what is to come.
 */
static bool
is_racy(const struct timespec *changed, const struct timespec *now)
{
	int64_t step = changed->tv_nsec == 0 ? COARSE_NS : TICK_NS;

	/* Before it is multiplied: a file system may say anything. */
	if (changed->tv_sec > now->tv_sec)
		return true;
	return changed->tv_sec >= now->tv_sec - 3 &&
	    nanoseconds(now) - nanoseconds(changed) < step;
}

struct stamp
stamp_at(const struct stat *st, const struct timespec *now)
{
	return (struct stamp){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
		.racy = is_racy(&st->st_ctim, now),
	};
}

struct stamp
stamp_of(const struct stat *st)
{
	struct timespec now = { 0 };

	/* The clock that files are stamped by: it may stand still while the
	 * other one goes on, for as long as the host likes. */
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return stamp_at(st, &now);
}

bool
stamp_same_file(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

bool
stamp_current(const struct stamp *read, const struct stamp *now)
{
	return !read->racy && stamp_same_file(read, now) &&
	    read->size == now->size && same_time(&read->mtime, &now->mtime) &&
	    same_time(&read->ctime, &now->ctime);
}
