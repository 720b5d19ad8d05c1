/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_POLICY_FILE_H
#define MODULE_POLICY_FILE_H

#include "conf/policy.h"

/*
 * The policy of a slot, as its file has it now. Each policy that the file ever
 * had stays until the end, since admissions that were judged by it refer to
 * it; they are over all the same.
 */
struct policy_file;

/* Reads the file; path outlives it. An error of policy_load() leaves *ret
 * NULL. */
int policy_file_open(const char *path, struct policy_file **ret,
    struct why *reterr_why) _must_check_;
void policy_file_freep(struct policy_file **f);
/* What was read last; for any thread. */
const struct policy *policy_file_current(const struct policy_file *f);
/*
 * Reads the file again when it is not the one that was read; *ret_changed says
 * whether it has another content. Not for two threads at a time. On an error
 * (the file is gone, or refused) what was read before is the current one
 * still, and says nothing of what the operator wants. A process that may no
 * longer look at the file goes on with what it read.
 */
int policy_file_refresh(struct policy_file *f, bool *ret_changed,
    struct why *reterr_why) _must_check_;

#endif
