/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "attest/eventlog.h"
#include "tests/unit/judged.h"
#include "tests/unit/vectors.h"

/* What the manifest of recorded logs calls the algorithms. */
static const struct {
	const char *name;
	enum hash_alg alg;
} alg_names[] = {
	{ "sha1", HASH_SHA1 },
	{ "sha256", HASH_SHA256 },
	{ "sha384", HASH_SHA384 },
};

static cJSON *
manifest(void)
{
	struct blob b = { 0 };
	cJSON *m;

	vector_load("MANIFEST.json", &b);
	m = cJSON_ParseWithLength((const char *)b.data, b.len);
	blob_clear(&b);
	assert_non_null(m);
	return m;
}

static const char *
text_of(const cJSON *o, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);

	return cJSON_IsString(v) ? v->valuestring : "";
}

static bool
is_log(const char *path)
{
	return strstr(path, "eventlog") != NULL ||
	    strstr(path, ".ccel.bin") != NULL;
}

static enum log_form
form_of(const char *path)
{
	return strncmp(path, "ccel/", 5) == 0 ? LOG_CCEL : LOG_TCG;
}

static void
expect_replay(const char *path, const struct event_log *log,
    const cJSON *replay)
{
	for (size_t a = 0; a < NELEMS(alg_names); a++) {
		const cJSON *bank = cJSON_GetObjectItemCaseSensitive(replay,
		    alg_names[a].name);
		struct pcr_values v;
		struct why why;
		int seen = 0;

		if (bank == NULL)
			continue;
		assert_int_equal(eventlog_replay(log, alg_names[a].alg, &v,
				     &why),
		    CVM_OK);
		for (const cJSON *p = bank->child; p != NULL; p = p->next) {
			char hex[2 * HASH_LEN_MAX + 1];
			int i = atoi(p->string);

			(void)hex_encode(span(v.value[i], hash_len(v.bank)),
			    hex, sizeof(hex));
			if (strcmp(hex, p->valuestring) != 0)
				print_message("# %s: register %d\n", path, i);
			assert_string_equal(hex, p->valuestring);
			assert_true(v.mask & (1u << i));
			seen++;
		}
		assert_int_equal(__builtin_popcount(v.mask), seen);
	}
}

/* Every recorded log parses or is refused as recorded, and replays. */
static void
recorded_log_misread(void **state)
{
	cJSON *m = manifest();
	const cJSON *f;
	int n = 0;

	(void)state;
	cJSON_ArrayForEach(f, cJSON_GetObjectItem(m, "files")) {
		const char *path = text_of(f, "path");
		const cJSON *fields = cJSON_GetObjectItem(f, "fields");
		const char *format = text_of(fields, "format");
		struct event_log log = { 0 };
		struct blob b = { 0 };
		struct why why = { 0 };
		int r;

		if (!is_log(path))
			continue;
		vector_load(path, &b);
		r = eventlog_parse(blob_span(&b), form_of(path), &log, &why);
		if (strstr(format, "crypto agile") == NULL) {
			assert_int_not_equal(r, CVM_OK);
		} else {
			if (r != CVM_OK)
				print_message("# %s: %s %s %s\n", path,
				    why.where, why.field, why.got);
			assert_int_equal(r, CVM_OK);
			assert_int_equal(log.n + 1,
			    cJSON_GetObjectItem(fields, "events")->valueint);
			expect_replay(path, &log,
			    cJSON_GetObjectItem(fields, "replay"));
			n++;
		}
		eventlog_clear(&log);
		blob_clear(&b);
	}
	cJSON_Delete(m);
	assert_true(n >= 20);
}

/* True when the log can no longer be told from the unedited one. */
static bool
passes_unnoticed(const struct blob *good, const struct blob *bad,
    enum log_form form, enum hash_alg alg)
{
	struct event_log a = { 0 }, b = { 0 };
	struct pcr_values va, vb;
	struct log_facts *f = calloc(1, sizeof(*f));
	struct why why;
	bool same;

	assert_non_null(f);
	assert_int_equal(eventlog_parse(blob_span(good), form, &a, &why),
	    CVM_OK);
	same = eventlog_parse(blob_span(bad), form, &b, &why) == CVM_OK;
	if (same) {
		assert_int_equal(eventlog_replay(&a, alg, &va, &why), CVM_OK);
		assert_int_equal(eventlog_replay(&b, alg, &vb, &why), CVM_OK);
		assert_int_equal(eventlog_facts(&b, alg, f), CVM_OK);
		same = memcmp(&va, &vb, sizeof(va)) == 0 &&
		    f->digests_why.err == 0;
		log_facts_clear(f);
	}
	free(f);
	eventlog_clear(&a);
	eventlog_clear(&b);
	return same;
}

static void
edited_log_unnoticed(void **state)
{
	cJSON *m = manifest();
	const cJSON *mut;
	int n = 0;

	(void)state;
	cJSON_ArrayForEach(mut, cJSON_GetObjectItem(m, "mutations")) {
		const char *base = text_of(mut, "base");
		struct blob good = { 0 }, bad = { 0 };

		if (!is_log(base))
			continue;
		vector_load(base, &good);
		assert_int_equal(blob_set(&bad, blob_span(&good)), CVM_OK);
		judged_edit(mut, &bad);
		if (passes_unnoticed(&good, &bad, form_of(base), HASH_SHA384) !=
		    (text_of(mut, "expect_reject")[0] == '\0')) {
			print_message("# %s: %s\n", base,
			    text_of(mut, "expect_reject"));
			fail();
		}
		n++;
		blob_clear(&good);
		blob_clear(&bad);
	}
	cJSON_Delete(m);
	assert_true(n >= 6);
}

static void
facts_of(const char *path, enum hash_alg alg, struct log_facts *f,
    struct event_log *log, struct blob *b)
{
	struct why why;

	vector_load(path, b);
	assert_int_equal(eventlog_parse(blob_span(b), form_of(path), log, &why),
	    CVM_OK);
	assert_int_equal(eventlog_facts(log, alg, f), CVM_OK);
}

/* Facts of some recorded logs, as their manifest has them in words. */
static void
facts_misread(void **state)
{
	static const struct {
		const char *path;
		enum hash_alg alg;
		int technology, firmware;
		bool secure_boot, secure_boot_fails, apps_fail;
		size_t kernels, trusted, revoked;
		uint32_t sbat;
	} rows[] = {
		{ "tpm/eventlog-ubuntu-2404-amd-sevsnp.bin", HASH_SHA256, 4, 2,
		    false, false, false, 1, 4, 371, 2021030218 },
		{ "tpm/gce-cos-85-nonce9009/eventlog.bin", HASH_SHA256, 1, 1,
		    true, false, false, 1, 3, 4, 0 },
		{ "tpm/eventlog-ubuntu-1804-amd-sev.bin", HASH_SHA384, 1, 1,
		    false, false, false, 1, 4, 77, 0 },
		{ "tpm/eventlog-ubuntu-2104-no-secure-boot.bin", HASH_SHA256, 0,
		    1, false, false, false, 1, 4, 186, 2021030218 },
		{ "tpm/eventlog-rhel8-uefi.bin", HASH_SHA256, 0, 1, true, false,
		    false, 1, 4, 186, 0 },
		{ "tpm/eventlog-keylime-thinkpad.bin", HASH_SHA256, -1, -1,
		    false, false, true, 1, 7, 460, 2021030218 },
		{ "tpm/eventlog-arch-linux-workstation.bin", HASH_SHA256, -1,
		    -1, false, true, true, 0, 15, 77, 0 },
		{ "ccel/gce-cos113.ccel.bin", HASH_SHA384, -1, -1, false, false,
		    false, 1, 3, 4, 2021030218 },
		{ "ccel/dupe-separator.ccel.bin", HASH_SHA384, -1, -1, false,
		    true, false, 1, 3, 4, 2021030218 },
		{ "ccel/ovmf-direct.ccel.bin", HASH_SHA384, -1, -1, false, true,
		    true, 0, 0, 0, 0 },
	};
	struct log_facts *f = calloc(1, sizeof(*f));

	(void)state;
	assert_non_null(f);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct event_log log = { 0 };
		struct blob b = { 0 };

		facts_of(rows[i].path, rows[i].alg, f, &log, &b);
		print_message("# %s\n", rows[i].path);
		if (f->digests_why.err != 0)
			print_message("#   digests: %s %s\n",
			    f->digests_why.where, f->digests_why.field);
		assert_int_equal(f->technology, rows[i].technology);
		assert_int_equal(f->gce_firmware, rows[i].firmware);
		if (f->secure_boot_why.err != 0)
			print_message("#   %s: %s: %s\n",
			    f->secure_boot_why.where, f->secure_boot_why.field,
			    f->secure_boot_why.got);
		assert_int_equal(f->secure_boot_why.err != 0,
		    rows[i].secure_boot_fails);
		if (!rows[i].secure_boot_fails)
			assert_int_equal(f->secure_boot, rows[i].secure_boot);
		assert_int_equal(f->efi_apps_why.err != 0, rows[i].apps_fail);
		assert_int_equal(f->n_kernel_cmdlines, rows[i].kernels);
		assert_int_equal(f->trusted.n, rows[i].trusted);
		assert_int_equal(f->revoked.n, rows[i].revoked);
		assert_int_equal(f->sbat_level, rows[i].sbat);
		log_facts_clear(f);
		eventlog_clear(&log);
		blob_clear(&b);
	}
	free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_log_misread),
		cmocka_unit_test(edited_log_unnoticed),
		cmocka_unit_test(facts_misread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
