/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/vectors.h"

#define VECTOR_MAX (16 * 1024 * 1024)

static const char *
vector_dir(void)
{
	const char *dir = getenv("VECTORS_DIR");

	return dir != NULL ? dir : SOURCE_ROOT "/../shared/vectors";
}

static void
closefp(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f);
}

/* 0, or -1 when path cannot be read whole. */
static int
read_whole(const char *path, struct blob *ret)
{
	_cleanup_(closefp) FILE *f = fopen(path, "re");
	_cleanup_(blob_clear) struct blob b = { 0 };
	uint8_t chunk[4096];
	size_t n;

	if (f == NULL)
		return -1;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		if (b.len + n > VECTOR_MAX ||
		    blob_append(&b, span(chunk, n)) < 0)
			return -1;
	if (ferror(f))
		return -1;
	*ret = b;
	b = (struct blob){ 0 };
	return 0;
}

/* A line for each file that a test has read; see tests/scenario/vectors.sh. */
static void
note_used(const char *name)
{
	const char *path = getenv("VECTORS_USED");
	_cleanup_(closefp) FILE *f = NULL;

	if (path == NULL)
		return;
	f = fopen(path, "ae");
	assert_non_null(f);
	assert_true(fprintf(f, "%s\n", name) > 0);
}

void
vector_load(const char *name, struct blob *ret)
{
	char path[4096];
	struct stat st;

	if (stat(vector_dir(), &st) < 0) {
		print_message("# no vectors at %s: set VECTORS_DIR\n",
		    vector_dir());
		skip();
	}
	(void)snprintf(path, sizeof(path), "%s/%s", vector_dir(), name);
	if (read_whole(path, ret) < 0)
		fail_msg("%s: cannot be read", path);
	note_used(name);
}
