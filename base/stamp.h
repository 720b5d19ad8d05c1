/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_STAMP_H
#define BASE_STAMP_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

/*
 * Is a file the one that was read, with what was read in it? Its stamp is taken
 * before it is read, so that what is written afterwards shows. All zero: there
 * was no file.
 */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	/* Looked at within the tick in which it changed, for all that is known:
	 * another change in that tick would leave the same stamp. */
	bool racy;
};

struct stamp stamp_of(const struct stat *st);
/* The same at that time of CLOCK_REALTIME_COARSE. */
struct stamp stamp_at(const struct stat *st, const struct timespec *now);
bool stamp_same_file(const struct stamp *a, const struct stamp *b);
/* True: what was read under that stamp is what a reader gets now. False means
 * no more than "read it". */
bool stamp_current(const struct stamp *read, const struct stamp *now);

#endif
