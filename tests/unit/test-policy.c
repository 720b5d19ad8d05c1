/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "conf/policy.h"
#include "tests/unit/corpus.h"

static struct corpus corpus;

static int
parse(const char *text, struct policy **ret, struct why *why)
{
	return policy_parse(span(text, strlen(text)), "policy.json", ret, why);
}

static struct policy *
example(const char *name)
{
	char path[128], *text;
	struct policy *p = NULL;
	struct why why = { 0 };

	snprintf(path, sizeof(path), "conf/examples/%s.json", name);
	text = corpus_file(path);
	if (parse(text, &p, &why) != CVM_OK)
		fail_msg("%s: %s: %s", name, why.field, why.expected);
	free(text);
	return p;
}

/* The rows of one group: who is refused is told which field, and what for. */
static void
group(void **state)
{
	const struct corpus_group *g = *state;

	for (size_t i = g->first; i < g->first + g->n; i++) {
		const struct corpus_row *row = &corpus.rows[i];
		_cleanup_(policy_freep) struct policy *p = NULL;
		_cleanup_(freep) char *text = corpus_text(row);
		struct why why = { 0 };
		int err = parse(text, &p, &why);

		if ((err == CVM_OK) != (row->verdict == '+'))
			fail_msg("line %u: %s (%s: %s)", row->line,
			    cvm_strerror(err), why.field, why.expected);
		if (err == CVM_OK)
			continue;
		assert_null(p);
		if (err != CVM_E_CONFIG || strcmp(why.field, row->field) != 0)
			fail_msg("line %u: names %s", row->line, why.field);
		assert_true(strncmp(why.where, "policy.json:", 12) == 0);
		assert_true(why.expected[0] != '\0' && why.got[0] != '\0');
	}
}

static void
default_of_snp_lax(void **state)
{
	_cleanup_(freep) char *text = corpus_change("policy-snp", "snp",
	    "{\"products\":[\"turin\"],\"measurement\":[\"<48*ab>\"],"
	    "\"min_tcb\":{}}");
	_cleanup_(policy_freep) struct policy *p = NULL;

	(void)state;
	assert_int_equal(parse(text, &p, NULL), CVM_OK);
	assert_int_equal(p->snp.products, SNP_TURIN);
	assert_int_equal(p->snp.debug, FORBID);
	assert_int_equal(p->snp.migrate_ma, FORBID);
	assert_int_equal(p->snp.smt, ANY);
	assert_int_equal(p->snp.p_alias_check, ANY);
	assert_int_equal(p->snp.vmpl, 0);
	assert_true(p->snp.allow_vcek && !p->snp.allow_vlek);
	assert_true(p->snp.require_crl);
	assert_false(p->snp.masked_chip_id || p->snp.provisional_firmware);
	assert_int_equal(p->snp.host_data.n + p->snp.roots.n, 0);
}

static void
default_of_tdx_lax(void **state)
{
	_cleanup_(freep) char *text = corpus_change("policy-tdx", "tdx",
	    "{\"mrtd\":[\"<48*ab>\"]}");
	_cleanup_(policy_freep) struct policy *p = NULL;

	(void)state;
	assert_int_equal(parse(text, &p, NULL), CVM_OK);
	assert_int_equal(p->tdx.debug, FORBID);
	assert_int_equal(p->tdx.sept_ve_disable, REQUIRE);
	assert_int_equal(p->tdx.migratable, FORBID);
	assert_int_equal(p->tdx.perfmon, FORBID);
	assert_int_equal(p->tdx.pks, ANY);
	assert_int_equal(p->tdx.key_locker, ANY);
	assert_true(
	    p->tdx.dynamic_platform && p->tdx.cached_keys && p->tdx.smt);
	assert_false(p->tdx.trailing_bytes || p->tdx.xfam_set);
	assert_int_equal(p->tdx.advisories.n, 0);
	assert_false(p->has_tpm || p->has_snp);
	assert_true(p->has_tdx && p->log.present);
}

static void
default_freshness_lax(void **state)
{
	static const char text[] =
	    "{\"version\":1,\"name\":\"n\","
	    "\"tee\":\"none\",\"tpm\":{\"ak\":{\"trust\":\"pinned\","
	    "\"names\":[\"000b0102030405060708090a0b0c0d0e0f10111213141516171"
	    "8191a1b1c1d1e1f20\"]},\"pcr_sets\":[{\"label\":\"a\",\"pcrs\":"
	    "{\"7\":\"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1"
	    "c1d1e1f20\"}}]}}";
	_cleanup_(policy_freep) struct policy *p = NULL;

	(void)state;
	assert_int_equal(parse(text, &p, NULL), CVM_OK);
	assert_int_equal(p->bind, BIND_SESSION);
	assert_int_equal(p->session_max_age_s, 300);
	assert_int_equal(p->session_open_max_age_s, 0);
	assert_int_equal(p->tee_report_max_age_s, 60);
	assert_int_equal(p->tpm.bank, HASH_SHA256);
	assert_true(p->tpm.instance.production);
	assert_false(p->log.present || p->log.exit_boot_services);
	assert_int_equal(p->tpm.pcr_sets[0].mask, 1 << 7);
	assert_int_equal(p->tpm.pcr_sets[0].value[7][31], 0x20);
}

static void
default_tcb_status_lost(void **state)
{
	_cleanup_(freep) char *text = corpus_change("policy-tdx",
	    "tdx.tcb_status", "DELETE");
	_cleanup_(policy_freep) struct policy *p = NULL;

	(void)state;
	assert_int_equal(parse(text, &p, NULL), CVM_OK);
	assert_int_equal(p->tdx.tcb_status.n, 1);
	assert_string_equal(p->tdx.tcb_status.v[0], "UpToDate");
}

static void
value_in_another_place(void **state)
{
	_cleanup_(policy_freep) struct policy *p = example("policy-snp");
	_cleanup_(policy_freep) struct policy *g = example("policy-sev-gce");
	_cleanup_(policy_freep) struct policy *t = example("policy-tdx");
	char hex[2 * SHA384_LEN + 1];

	(void)state;
	assert_int_equal(p->tee, TEE_SNP);
	assert_string_equal(p->name, "snp-web");
	assert_int_equal(p->snp.products, SNP_MILAN | SNP_GENOA);
	assert_int_equal(p->snp.measurement.n, 1);
	assert_non_null(strstr((char *)p->text.data,
	    hex_encode(blob_span(&p->snp.measurement.v[0]), hex, sizeof(hex))));
	assert_int_equal(p->snp.min_abi_major, 1);
	assert_int_equal(p->snp.min_abi_minor, 51);
	assert_int_equal(p->snp.min_firmware[0], 1);
	assert_int_equal(p->snp.min_firmware[1], 55);
	assert_int_equal(p->snp.min_firmware[2], 21);
	assert_int_equal(p->snp.p_alias_check, REQUIRE);
	assert_int_equal(p->snp.min_tcb.bootloader, 4);
	assert_int_equal(p->snp.min_tcb.microcode, 213);
	assert_int_equal(p->snp.min_tcb.fmc, 0);
	assert_int_equal(p->tpm.n_pcr_sets, 3);
	assert_int_equal(p->tpm.pcr_sets[2].mask,
	    1 << 0 | 1 << 4 | 1 << 7 | 1 << 11);
	assert_string_equal(p->tpm.pcr_sets[2].label, "rollback");
	assert_int_equal(g->log.unlogged_ok.n, 1);
	assert_string_equal(g->log.unlogged_ok.v[0], "10");
	assert_string_equal(g->tpm.ak_roots.n == 1 ? g->tpm.instance.zone : "",
	    "europe-west4-a");
	assert_int_equal(t->tdx.rtmr_sets[1].mask, 7);
	assert_int_equal(t->log.unlogged_rtmrs.n, 1);
	assert_string_equal(t->log.unlogged_rtmrs.v[0], "3");
	assert_int_equal(t->bind, BIND_OPERATION);
}

static void
digest_not_of_the_bytes(void **state)
{
	_cleanup_(policy_freep) struct policy *p = example("policy-snp");
	_cleanup_(policy_freep) struct policy *q = NULL;
	_cleanup_(freep) char *text = corpus_file(
	    "conf/examples/policy-snp.json");
	uint8_t digest[SHA256_LEN];
	size_t len = strlen(text);

	(void)state;
	assert_int_equal(hash(HASH_SHA256, span(text, len), digest), CVM_OK);
	assert_memory_equal(p->digest, digest, sizeof(digest));
	assert_int_equal(p->text.len, len);
	/* Another blank means the same, and is another policy. */
	text[len - 1] = ' ';
	assert_int_equal(parse(text, &q, NULL), CVM_OK);
	assert_memory_not_equal(p->digest, q->digest, sizeof(digest));
}

static void
line_of_fault_wrong(void **state)
{
	static const char text[] = "{\n\"version\": 1,\n\"name\": \"x\",\n"
				   "\"tee\": \"sgx\"\n}\n";
	_cleanup_(policy_freep) struct policy *p = NULL;
	struct why why = { 0 };

	(void)state;
	assert_int_equal(parse(text, &p, &why), CVM_E_CONFIG);
	assert_string_equal(why.where, "policy.json:4");
	assert_string_equal(why.field, "$.tee");
	assert_string_equal(why.got, "\"sgx\"");
	assert_string_equal(why.expected,
	    "one of \"none\", \"sev\", \"snp\", \"tdx\"");
}

static void
firmware_version_not_normalised(void **state)
{
	_cleanup_(freep) char *text = corpus_change("policy-snp",
	    "tpm.firmware_versions", "[\"20240125ABCDEF00\"]");
	_cleanup_(policy_freep) struct policy *p = NULL;

	(void)state;
	assert_int_equal(parse(text, &p, NULL), CVM_OK);
	assert_string_equal(p->tpm.firmware_versions.v[0], "20240125abcdef00");
}

static void
missing_file_not_told_apart(void **state)
{
	struct policy *p = NULL;
	struct why why = { 0 };

	(void)state;
	assert_int_equal(policy_load("/nonexistent/policy.json", &p, &why),
	    CVM_E_NOT_FOUND);
	assert_string_equal(why.where, "/nonexistent/policy.json");
	assert_int_equal(policy_load("/dev", &p, &why), CVM_E_CONFIG);
	assert_int_equal(policy_load("/dev/null", &p, &why), CVM_E_CONFIG);
	assert_null(p);
}

/* What others may put files into is no place for one that is trusted. */
static int
file_in(const char *dir, char *path, size_t len)
{
	assert_non_null(dir);
	snprintf(path, len, "%s/file.json", dir);
	return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static void
writable_by_others_trusted(void **state)
{
	char dir[] = "/tmp/cvm-policy-XXXXXX", path[64];
	_cleanup_(freep) char *text = corpus_file(
	    "conf/examples/policy-tdx.json");
	_cleanup_(policy_freep) struct policy *p = NULL;
	_cleanup_(closep) int fd = file_in(mkdtemp(dir), path, sizeof(path));
	struct why why = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, 0646), 0);
	assert_int_equal(policy_load(path, &p, &why), CVM_E_CONFIG);
	assert_string_equal(why.field, "mode");
	assert_string_equal(why.got, "0646");
	assert_int_equal(policy_load_named(path, &p, &why), CVM_E_CONFIG);
	assert_int_equal(fchmod(fd, 0664), 0);
	assert_int_equal(policy_load(path, &p, &why), CVM_E_CONFIG);
	assert_string_equal(why.got, "0664");
	/* Who names it on a command line has chosen it. */
	assert_int_equal(policy_load_named(path, &p, &why), CVM_OK);
	policy_freep(&p);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(policy_load(path, &p, &why), CVM_OK);
	assert_string_equal(p->path, path);
	unlink(path);
	rmdir(dir);
}

static void
add_sentence(void *arg, const char *sentence)
{
	char *all = arg;

	strcat(all, sentence);
	strcat(all, "\n");
}

/* One change to an example, and a word of the warning that it must cause. */
static void
warning_missing(void **state)
{
	static const struct {
		const char *example, *path, *value, *word;
	} rows[] = {
		{ "policy-snp", "tpm.pcr_sets",
		    "[{\"label\":\"a\",\"pcrs\":{\"0\":\"<32*ab>\","
		    "\"4\":\"<32*ab>\",\"7\":\"<32*ab>\"}}]",
		    "stop at the boot loader" },
		{ "policy-snp", "snp.guest_policy.debug", "\"any\"",
		    "Debugging" },
		{ "policy-tdx", "tdx.td_attributes.debug", "\"require\"",
		    "Debugging" },
		{ "policy-snp", "snp.provisional_firmware", "true",
		    "Provisional" },
		{ "policy-snp", "snp.crl", "\"skip\"", "revoked" },
		{ "policy-snp", "snp.min_tcb", "{}", "min_tcb" },
		{ "policy-snp", "snp.roots", "[\"<32*ab>\"]", "roots" },
		{ "policy-snp", "session_max_age_s", "7200", "an hour" },
		{ "policy-snp", "event_log.kernel_cmdline", "[\"x\"]",
		    "PCR 8" },
		{ "policy-tdx", "tdx.tcb_status", "[\"OutOfDate\"]",
		    "out of date" },
		{ "policy-tdx", "tdx.rtmr_sets", "DELETE", "rtmr_sets" },
		{ "policy-sev-gce", "tpm.ak.crl", "\"skip\"",
		    "not looked up in a revocation list" },
		{ "policy-sev-gce", "tpm.ak.instance.instance_id", "DELETE",
		    "instance_id" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(policy_freep) struct policy *before = example(
		    rows[i].example);
		_cleanup_(policy_freep) struct policy *after = NULL;
		_cleanup_(freep) char *text = corpus_change(rows[i].example,
		    rows[i].path, rows[i].value);
		char old[8192] = "", new[8192] = "";

		assert_int_equal(parse(text, &after, NULL), CVM_OK);
		policy_warnings(before, add_sentence, old);
		assert_true(policy_warnings(after, add_sentence, new) > 0);
		if (strstr(old, rows[i].word) != NULL ||
		    strstr(new, rows[i].word) == NULL)
			fail_msg("%s: %s", rows[i].path, new);
	}
}

static void
tee_names(void **state)
{
	(void)state;
	assert_string_equal(tee_kind_name(TEE_SNP), "snp");
	assert_string_equal(tee_kind_name(TEE_NONE), "none");
	assert_string_equal(tee_kind_name((enum tee_kind)9), "unknown");
}

int
main(void)
{
	static const struct CMUnitTest named[] = {
		cmocka_unit_test(default_of_snp_lax),
		cmocka_unit_test(default_of_tdx_lax),
		cmocka_unit_test(default_freshness_lax),
		cmocka_unit_test(default_tcb_status_lost),
		cmocka_unit_test(value_in_another_place),
		cmocka_unit_test(digest_not_of_the_bytes),
		cmocka_unit_test(line_of_fault_wrong),
		cmocka_unit_test(firmware_version_not_normalised),
		cmocka_unit_test(missing_file_not_told_apart),
		cmocka_unit_test(writable_by_others_trusted),
		cmocka_unit_test(warning_missing),
		cmocka_unit_test(tee_names),
	};
	struct CMUnitTest tests[CORPUS_GROUPS_MAX + NELEMS(named)];
	size_t n = 0;
	int failed;

	corpus_load("policy", &corpus);
	for (size_t i = 0; i < corpus.n_groups; i++)
		tests[n++] = (struct CMUnitTest){ corpus.groups[i].name, group,
			NULL, NULL, &corpus.groups[i] };
	for (size_t i = 0; i < NELEMS(named); i++)
		tests[n++] = named[i];
	failed = _cmocka_run_group_tests("policy", tests, n, NULL, NULL);
	corpus_clear(&corpus);
	return failed;
}
