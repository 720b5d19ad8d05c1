/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/blob.h"
#include "tests/unit/judged.h"

#define IDS_MAX 512

/*
 * Of a mutation, the end of its base and the beginning of what it is to be
 * refused for, as far as they tell it from the others; of a case, its name.
 */
static const struct row {
	const char *program, *base, *what, *failed;
} rows[] = {
#include "tests/unit/judged.def"
};

static bool seen[NELEMS(rows)];

static const char *
text(const cJSON *o, const char *name)
{
	const char *s = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(o, name));

	return s != NULL ? s : "";
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(&s[n - m], end) == 0;
}

/* What is to become of the entry, in the manifest's words. */
static const char *
words(const cJSON *entry)
{
	static const char *const names[] = { "id", "expect_reject", "expect" };

	for (size_t i = 0; i < NELEMS(names); i++)
		if (text(entry, names[i])[0] != '\0')
			return text(entry, names[i]);
	return "";
}

static bool
is_of(const struct row *r, const cJSON *entry)
{
	if (r->base[0] == '\0')
		return strcmp(words(entry), r->what) == 0;
	return ends_with(text(entry, "base"), r->base) &&
	    strncmp(words(entry), r->what, strlen(r->what)) == 0;
}

static void
failed_checks(const struct verdict *v, char ret[static IDS_MAX])
{
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < CHECK_COUNT && n < IDS_MAX; i++)
		if (v->results[i].status == CHECK_FAIL)
			n += (size_t)snprintf(&ret[n], IDS_MAX - n, "%s%s",
			    n > 0 ? " " : "", check_table[i].name);
}

void
judged_as_listed(const char *program, const cJSON *entry,
    const struct verdict *v)
{
	char failed[IDS_MAX];

	failed_checks(v, failed);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		if (strcmp(rows[i].program, program) != 0 ||
		    !is_of(&rows[i], entry))
			continue;
		if (strcmp(rows[i].failed, failed) != 0)
			fail_msg("%s %s: %s: failed [%s], listed [%s]", program,
			    text(entry, "base"), words(entry), failed,
			    rows[i].failed);
		seen[i] = true;
		return;
	}
	/* Of another manifest, perhaps: its verdict is the caller's to ask for,
	 * and that it is missing here judged_covers() says. */
	print_message("# %s %s: %s: failed [%s], not in judged.def\n", program,
	    text(entry, "base"), words(entry), failed);
}

void
judged_all(const char *program)
{
	for (size_t i = 0; i < NELEMS(rows); i++)
		if (strcmp(rows[i].program, program) == 0 && !seen[i])
			fail_msg("%s: nobody judged %s %s", program,
			    rows[i].base, rows[i].what);
}

/* How many rows are of an entry of the array, each of which has one. */
static void
cover(const cJSON *array, bool listed[static NELEMS(rows)])
{
	const cJSON *entry;

	assert_true(cJSON_GetArraySize(array) > 0);
	cJSON_ArrayForEach(entry, array) {
		bool any = false;

		for (size_t i = 0; i < NELEMS(rows); i++)
			if (is_of(&rows[i], entry))
				any = listed[i] = true;
		if (!any)
			fail_msg("%s: %s: no program judges it",
			    text(entry, "base"), words(entry));
	}
}

void
judged_covers(const cJSON *manifest)
{
	bool listed[NELEMS(rows)] = { false };

	cover(cJSON_GetObjectItemCaseSensitive(manifest, "cases"), listed);
	cover(cJSON_GetObjectItemCaseSensitive(manifest, "mutations"), listed);
	for (size_t i = 0; i < NELEMS(rows); i++)
		if (!listed[i])
			fail_msg("%s %s: not in the manifest", rows[i].base,
			    rows[i].what);
}

static size_t
number(const cJSON *o, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);

	assert_true(cJSON_IsNumber(v));
	return (size_t)v->valuedouble;
}

static void
edit_bytes(const cJSON *edit, struct blob *b)
{
	_cleanup_(blob_clear) struct blob with = { 0 };
	const char *set = text(edit, "set"), *xor = text(edit, "xor");
	size_t at = number(edit, "offset");

	assert_int_equal(hex_decode_blob(set[0] ? set : xor, 65536, &with), 0);
	assert_true(at <= b->len && with.len <= b->len - at);
	for (size_t i = 0; i < with.len; i++)
		b->data[at + i] = set[0] ?
		    with.data[i] :
		    (uint8_t)(b->data[at + i] ^ with.data[i]);
}

static void
edit(const cJSON *e, struct blob *b)
{
	const cJSON *range = cJSON_GetObjectItemCaseSensitive(e, "reverse");
	_cleanup_(blob_clear) struct blob more = { 0 };
	size_t from, to;

	if (cJSON_HasObjectItem(e, "truncate")) {
		assert_true(number(e, "truncate") <= b->len);
		b->len = number(e, "truncate");
	} else if (cJSON_HasObjectItem(e, "append")) {
		assert_int_equal(hex_decode_blob(text(e, "append"), 65536,
				     &more),
		    0);
		assert_int_equal(blob_append(b, blob_span(&more)), 0);
	} else if (range != NULL) {
		from = (size_t)cJSON_GetArrayItem(range, 0)->valuedouble;
		to = (size_t)cJSON_GetArrayItem(range, 1)->valuedouble;
		assert_true(from <= to && to <= b->len);
		for (; from + 1 < to; from++, to--) {
			uint8_t t = b->data[from];

			b->data[from] = b->data[to - 1];
			b->data[to - 1] = t;
		}
	} else {
		edit_bytes(e, b);
	}
}

void
judged_edit(const cJSON *mutation, struct blob *b)
{
	const cJSON *edits, *e;

	edits = cJSON_GetObjectItemCaseSensitive(mutation, "edits");
	assert_true(cJSON_GetArraySize(edits) > 0);
	cJSON_ArrayForEach(e, edits)
		edit(e, b);
}
