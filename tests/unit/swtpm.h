/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_SWTPM_H
#define TESTS_UNIT_SWTPM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/blob.h"

/* A TPM for a test: swtpm on a UNIX socket in a directory of its own. It
 * serves one client at a time. */
struct swtpm {
	char dir[64];
	char tcti[96]; /* "swtpm:path=DIR/sock" */
	pid_t pid;     /* 0: not running */
	pid_t proxy;   /* 0: none */
};

/* False: swtpm is not installed, and the test must be skipped. */
bool swtpm_start(struct swtpm *s);
/* Ends the process; the state stays. */
void swtpm_kill(struct swtpm *s);
/* Starts it again on the same state. */
void swtpm_restart(struct swtpm *s);
/* Ends it and removes the directory. */
void swtpm_stop(struct swtpm *s);

/* What a proxy before the TPM does to one message. */
enum fault {
	FAULT_DROP_COMMAND,  /* hangs up instead of sending it on */
	FAULT_DROP_RESPONSE, /* sends it on, and hangs up */
	FAULT_RC,	     /* answers with a TPM_RC of its own */
	FAULT_GARBAGE,	     /* answers with bytes that make no sense */
	FAULT_SHORT,	     /* cuts the answer, keeping the header's length */
	FAULT_FLIP,	     /* flips a bit in the middle of the answer */
};
/* Puts a proxy in between that harms the n-th command (1, 2, ...); writes the
 * TCTI to reach it. */
void swtpm_proxy(struct swtpm *s, enum fault fault, unsigned n, uint32_t rc,
    char tcti[static 96]);
/* Ends the proxy; returns true if the fault was reached. */
bool swtpm_proxy_end(struct swtpm *s);

/* Sends one command on a connection of its own, and returns the response. */
struct blob swtpm_raw(const struct swtpm *s, const char *hex);
/* How many transient objects and loaded sessions there are. */
unsigned swtpm_loaded(const struct swtpm *s);
void swtpm_flush_all(const struct swtpm *s);
/* TPM_PT_LOCKOUT_COUNTER */
uint32_t swtpm_lockout_counter(const struct swtpm *s);

#endif
