/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_CORPUS_H
#define TESTS_UNIT_CORPUS_H

#include <stddef.h>

/*
 * Documents that one change makes out of an example. A corpus file has groups,
 * "[name of the fault]", and in each one row a line:
 *
 *	VERDICT EXAMPLE PATH VALUE [=> FIELD]
 *
 * VERDICT is "+" (reader and schema accept), "-" (both refuse) or "!" (the
 * reader refuses what the schema has no words for). EXAMPLE is a file of
 * conf/examples without ".json". PATH is "$" or like "tpm.pcr_sets.0.label".
 * VALUE is JSON without blanks, but "~" stands for a blank, "<48*00>" for 48
 * times "00"; or it is DELETE. FIELD is the JSON path that a refusal names,
 * where it is not PATH's.
 */
#define CORPUS_ROWS_MAX 512
#define CORPUS_GROUPS_MAX 64

struct corpus_row {
	char verdict;
	char *example, *path, *value, *field;
	unsigned line;
};

struct corpus_group {
	char *name;
	size_t first, n;
};

struct corpus {
	struct corpus_row rows[CORPUS_ROWS_MAX];
	size_t n_rows;
	struct corpus_group groups[CORPUS_GROUPS_MAX];
	size_t n_groups;
};

/* Reads tests/unit/NAME.corpus; exits with a message where it is malformed. */
void corpus_load(const char *name, struct corpus *c);
void corpus_clear(struct corpus *c);
/* The document of a row; the caller frees it. */
char *corpus_text(const struct corpus_row *row);
/* The document of EXAMPLE, PATH and VALUE; the caller frees it. */
char *corpus_change(const char *example, const char *path, const char *value);
/* The text of a file below the source tree; the caller frees it. */
char *corpus_file(const char *name);

#endif
