/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/unit/failing-disk.h"

#define CALLS_MAX 2000 /* no change is near: the test would not end */

int
disk_start(void **state)
{
	(void)state;
	changes_start();
	return 0;
}

int
disk_stop(void **state)
{
	(void)state;
	changes_stop();
	return 0;
}

/* SQLite takes what read(2) cannot read for damage; the hint tells. */
static bool
is_unread(enum harm harm, const struct outcome *o)
{
	return o->err == CVM_E_CORRUPT && strstr(o->why.hint, "disk") != NULL &&
	    (harm == HARM_FAIL_ON || strstr(o->traced.call, "read") != NULL);
}

/* An error that an operator can act on: the file, and the reason. */
static bool
is_clear(enum harm harm, const struct outcome *o)
{
	return o->err == o->why.err &&
	    (o->err == CVM_E_IO || o->err == CVM_E_FULL ||
		o->err == CVM_E_WRITE_PROTECTED || is_unread(harm, o)) &&
	    strncmp(o->why.where, changes_dir(), strlen(changes_dir())) == 0 &&
	    o->why.field[0] != '\0' && o->why.got[0] != '\0';
}

/* Only the sync of the directory failed, twice, after all was done; or after
 * the try of a PIN was counted, which comes before what it is for. */
static bool
is_made(const struct outcome *o)
{
	return strstr(o->why.hint, "the change is made") != NULL ||
	    strstr(o->why.hint, "the try stays counted") != NULL;
}

static void
check(unsigned change, enum harm harm, unsigned n, int error,
    const struct outcome *o)
{
	const char *what = NULL;

	if (o->complaint[0] != '\0')
		what = o->complaint;
	else if (!o->returned || !WIFEXITED(o->traced.status))
		what = "died";
	else if (o->err == CVM_OK && o->state != STATE_NEW &&
	    !change_is_lenient(change))
		what = "false success";
	else if (o->err != CVM_OK && o->state != STATE_OLD && !is_made(o))
		what = "an error that changed something";
	else if (o->err != CVM_OK && !is_clear(harm, o))
		what = "an error that is not clear";
	else if (o->err != CVM_OK && !is_made(o) && o->err_again != CVM_OK)
		what = "does not work afterwards";
	if (what != NULL)
		fail_msg("%s, call %u, %s: %s: %s: err %d, again %d: %s %s %s",
		    change_name(change), n, o->traced.call, strerror(error),
		    what, o->err, o->err_again, o->why.where, o->why.field,
		    o->why.got);
}

/*
 * Lets each call fail in turn; returns how many there are. A disk that fails
 * from some call on does so from every fourth one, unless DISK_ALL is set: it
 * is the same errors again, with more after them.
 */
static unsigned
fail_everywhere(unsigned change, enum harm harm, int error)
{
	bool all = harm == HARM_FAIL || getenv("DISK_ALL") != NULL;
	unsigned n = all ? 0 : change % 4, step = all ? 1 : 4;
	struct outcome o;

	do {
		n += n == 0 ? 1 : step;
		change_run(change, harm, n, error, &o);
		if (!o.traced.there)
			skip();
		check(change, harm, n, error, &o);
	} while (o.traced.reached && n < CALLS_MAX);
	return n - 1;
}

void
all_changes_fail(enum harm harm, int error)
{
	unsigned total = 0, n;

	for (unsigned i = 0; i < n_changes; i++) {
		n = fail_everywhere(i, harm, error);
		assert_in_range(n, 1, CALLS_MAX - 2);
		total += n;
	}
	print_message("# %u calls: %s\n", total, strerror(error));
}
