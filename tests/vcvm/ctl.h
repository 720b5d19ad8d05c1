/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_CTL_H
#define VCVM_CTL_H

#include "tree.h"

/*
 * DIR/control: a request is a JSON array of words on one line, an answer is
 * "ok" or "error" on a line, then text up to the end of the stream.
 */

/* Serves the socket in a thread of its own until the program ends. */
void ctl_serve(struct machine *m, struct tree *tree);
/* The client: prints the answer; the exit status. */
int ctl_client(const char *dir, int argc, char **argv);
/* "control" in dir, by a path that fits into a socket address. */
int ctl_socket(const char *dir, bool listening);
void ctl_help(struct buf *out);

#endif
