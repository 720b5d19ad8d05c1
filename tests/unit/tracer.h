/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_TRACER_H
#define TESTS_UNIT_TRACER_H

#include <stdbool.h>

/*
 * Runs a function in a child and does harm at the n-th (1, 2, ...) system
 * call on files below dir that it makes between tracer_mark() and
 * tracer_end(), and that this harm can befall. What a kill after a call leaves
 * is what a kill before the next one leaves.
 */
enum harm {
	HARM_KILL,    /* SIGKILL instead of the call */
	HARM_TEAR,    /* half of what it writes is written, then SIGKILL */
	HARM_FAIL,    /* the call is not made and says error */
	HARM_FAIL_ON, /* and so do all later ones that can, until the mark's end
		       */
};

struct traced {
	bool there;    /* false: no ptrace(2) here, skip */
	bool reached;  /* there was an n-th call */
	int status;    /* as waitpid(2) says */
	char call[96]; /* "pwrite64 /tmp/x.db": the n-th */
};

struct traced_job {
	void (*fn)(void *arg);	   /* in the child */
	void (*at_end)(void *arg); /* or NULL. Here, while the child waits in
				      tracer_end() */
	void *arg;
};
/* error: ENOSPC, EROFS or EIO for the two that fail, else 0. */
struct traced traced_run(const char *dir, enum harm harm, unsigned n, int error,
    const struct traced_job *job);
/* In the child: counts from here on, and up to tracer_end(). */
void tracer_mark(void);
void tracer_end(void);

#endif
