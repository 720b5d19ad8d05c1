/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_RECEIPT_FILE_H
#define ATTEST_RECEIPT_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "attest/receipt.h"
#include "conf/config.h"

/*
 * The file of a receipt log, held for one append. It is opened anew each time,
 * so that rotation and fork need nothing; the lock (flock(2)) orders the
 * appends of several processes and is never held across anything but the file.
 */
struct receipt_file {
	int fd;	   /* -1: closed */
	dev_t dev; /* which file it is */
	ino_t ino;
	off_t size;
	uint8_t head[SHA256_LEN]; /* hash of the last line */
};

/* What a why of this file and of the writer is about. */
#define RECEIPT_FIELD "receipt log"
#define RECEIPT_LOCK_MS 5000 /* longest wait for other processes */

/*
 * Opens and locks the log. One that is missing or empty begins with its first
 * line. A last line that has no end was never acknowledged to anybody: it is
 * cut off, and a line says so. CVM_E_IO, CVM_E_BUSY, CVM_E_CORRUPT (the last
 * line is not one of a log). f is closed before and after a failure.
 */
int receipt_file_open(const struct config_token *cfg, struct receipt_file *f,
    struct why *reterr_why) _must_check_;
/* Lines that follow f->head, all or nothing; head is the last one's hash. */
int receipt_file_append(struct receipt_file *f, const struct config_token *cfg,
    struct span lines, const uint8_t head[static SHA256_LEN],
    struct why *reterr_why) _must_check_;
void receipt_file_close(struct receipt_file *f);

/* The line that says what is missing before it. Moves head. */
int receipt_gap_line(uint64_t rounds, uint64_t bytes, const char *why,
    uint8_t head[static SHA256_LEN], struct blob *out) _must_check_;
/*
 * Renames the log to PATH.000001 (or the next free number) and lets a new one
 * begin whose first line follows its last. The caller frees *ret_old.
 */
int receipt_rotate(const struct config_token *cfg, char **ret_old,
    struct why *reterr_why) _must_check_;

#endif
