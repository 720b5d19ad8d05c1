/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_POLICY_PARTS_H
#define CONF_POLICY_PARTS_H

#include "conf/json_read.h"

/*
 * The parts of a policy, one file each: the rows of the part's object, its
 * defaults, and what it owns. All offsets are from struct policy.
 */
extern const struct json_table policy_snp_table, policy_tdx_table,
    policy_tpm_table, policy_log_table;

/* The rows of "launch_endorsement", whose struct policy_launch is at. */
#define ROW_LAUNCH_ROOTS(at)                                                   \
	ROW_REQUIRED,                                                          \
	    ROW_LIST("roots", json_read_values,                                \
		(at) + offsetof(struct policy_launch, roots), 1,               \
		POLICY_LIST_MAX, value_32)
#define ROW_LAUNCH_SVN(at)                                                     \
	ROW_U32("min_svn", (at) + offsetof(struct policy_launch, min_svn), 0,  \
	    UINT32_MAX)
#define ROW_LAUNCH_SHAPE(name, at, max)                                        \
	ROW_U32(name, (at) + offsetof(struct policy_launch, shape), 1, max)

void policy_snp_defaults(struct policy *p);
int policy_tdx_defaults(struct policy *p) _must_check_;
void policy_tpm_defaults(struct policy *p);

void policy_snp_clear(struct policy_snp *snp);
void policy_tdx_clear(struct policy_tdx *tdx);
void policy_tpm_clear(struct policy_tpm *tpm);
void policy_log_clear(struct policy_event_log *log);

/* "any", "forbid", "require". */
extern const struct json_words tristate_words;
/* "skip", "require": a flag. */
extern const struct json_words crl_words;
/* Elements of lists: digests and identifiers of so many bytes. */
extern const struct json_field value_6, value_16, value_32, value_48, value_64;
/* The same where all-zero is a value that machines have and may be named. */
extern const struct json_field zero_or_16, zero_or_32, zero_or_48;

#define POLICY_AT(member) offsetof(struct policy, member)
#define ROW_VALUES(n, at, element)                                             \
	ROW_LIST(n, json_read_values, at, 1, POLICY_LIST_MAX, element)
#define ROW_STRINGS(n, at, element)                                            \
	ROW_LIST(n, json_read_strings, at, 1, POLICY_LIST_MAX, element)
#define ROW_TRISTATE(n, at) ROW_WORDS(n, json_read_word, at, tristate_words)

/* A set's label, checked and not stored: policy_set_label() stores it. */
JSON_READER(policy_check_label);

/*
 * Copies a set's label into its fixed place and compares it with those of the
 * n sets before, which are size bytes apart and start with their labels.
 */
int policy_set_label(const struct json_doc *doc, const struct json *set,
    void *sets, size_t size, size_t n, struct why *why) _must_check_;

#endif
