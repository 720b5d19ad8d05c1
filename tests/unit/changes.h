/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_CHANGES_H
#define TESTS_UNIT_CHANGES_H

#include "base/error.h"
#include "tests/unit/tracer.h"

/*
 * Every kind of change of a token, each in a process of its own that comes to
 * harm, and a fresh process that looks at what is left: the state before the
 * change or the one after it, with everything that was there before, usable.
 * The PINs' scrypt is replaced by a hash (--wrap=pin_auth): it is slow, and
 * touches no file.
 */
enum state { STATE_OLD, STATE_NEW };

struct outcome {
	struct traced traced;
	bool returned; /* the change did, with err and why */
	int err;
	struct why why;
	enum state state; /* another process saw it then */
	/* After an error that left the old state: what the same call by the
	 * same process gave, without harm. */
	int err_again;
	char complaint[256]; /* what is neither old nor new, or "" */
};

const char *change_name(unsigned i);
/* A success that may leave the old state: the count of tries that a right PIN
 * clears errs on the safe side. */
bool change_is_lenient(unsigned i);
extern const unsigned n_changes;

/* Makes the token that each change begins with, in a directory of its own. */
void changes_start(void);
void changes_stop(void);
const char *changes_dir(void);
/* Runs change number i on a fresh copy of the token. */
void change_run(unsigned i, enum harm harm, unsigned n, int error,
    struct outcome *ret);
/* C_InitToken over the token while another process, which makes an object,
 * is killed at its n-th call: after the SO PIN was found right, and before the
 * new store takes the old one's place. */
void init_beside_killed(unsigned n, struct outcome *ret);

#endif
