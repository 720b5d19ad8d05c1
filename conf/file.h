/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_FILE_H
#define CONF_FILE_H

#include "base/blob.h"

/* Who may have written a file, so that it is read. */
enum file_trust {
	FILE_ANY,     /* it is signed, or says nothing that is believed */
	FILE_NAMED,   /* not everybody: the caller has just named it */
	FILE_TRUSTED, /* root and this user alone, see below */
};

/*
 * The bytes of a regular file of at most max bytes, read once.
 *
 * FILE_TRUSTED is for what decides what this program trusts, and is named by
 * nobody at the time. The file, each directory on the way from the root and
 * each symbolic link are owned by root or by the effective user, and neither
 * group nor others may write the file or a directory. A directory with the
 * sticky bit they may write if the way goes on to another directory: files and
 * links of root's can be moved to it by whoever has where they were. Bits of a
 * file system that is mounted read-only do not count.
 *
 * CVM_E_NOT_FOUND, CVM_E_CONFIG (refused), CVM_E_IO.
 */
int file_read(const char *path, size_t max, enum file_trust trust,
    struct blob *ret, struct why *reterr_why) _must_check_;

#endif
