/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_JUDGED_H
#define TESTS_UNIT_JUDGED_H

#include <cjson/cJSON.h>

#include "attest/verdict.h"
#include "base/blob.h"

/*
 * What MANIFEST.json lists of recorded evidence is judged by several programs,
 * each with its part of the checks. One table says of every case and mutation
 * which programs judge it and exactly which checks fail, so that none is passed
 * over and none is denied for another reason than its own.
 */

/* Makes of b, the base of a mutation, what the mutation is. */
void judged_edit(const cJSON *mutation, struct blob *b);

/*
 * Asserts that the checks of v that failed are those that the table has for
 * program and entry, a case or a mutation of the manifest, and no others.
 */
void judged_as_listed(const char *program, const cJSON *entry,
    const struct verdict *v);

/* Asserts that program has judged every entry that the table has for it. */
void judged_all(const char *program);

/* Asserts that the table has every case and mutation of the manifest, and the
 * manifest whatever is in the table. */
void judged_covers(const cJSON *manifest);

#endif
