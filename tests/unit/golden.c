/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/blob.h"
#include "tests/unit/golden.h"

static struct blob golden;

/* Removes everything in the directory. */
static void
sweep(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char path[400];

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			assert_int_equal(unlink(path), 0);
	}
	(void)closedir(d);
}

void
golden_restore(const char *dir, const char *path)
{
	int fd;

	sweep(dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, golden.data, golden.len), golden.len);
	assert_int_equal(close(fd), 0);
}

void
golden_keep(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	golden.len = (size_t)st.st_size;
	golden.data = calloc(1, golden.len);
	assert_non_null(golden.data);
	assert_int_equal(read(fd, golden.data, golden.len), golden.len);
	(void)close(fd);
}

size_t
golden_size(void)
{
	return golden.len;
}

void
golden_free(void)
{
	blob_clear(&golden);
}
