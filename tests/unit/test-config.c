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

#include "conf/config.h"
#include "tests/unit/corpus.h"

static struct corpus corpus;

static int
parse(const char *text, struct config **ret, struct why *why)
{
	return config_parse(span(text, strlen(text)), "config.json", ret, why);
}

static void
group(void **state)
{
	const struct corpus_group *g = *state;

	for (size_t i = g->first; i < g->first + g->n; i++) {
		const struct corpus_row *row = &corpus.rows[i];
		_cleanup_(config_freep) struct config *c = NULL;
		_cleanup_(freep) char *text = corpus_text(row);
		struct why why = { 0 };
		int err = parse(text, &c, &why);

		if ((err == CVM_OK) != (row->verdict == '+'))
			fail_msg("line %u: %s (%s: %s)", row->line,
			    cvm_strerror(err), why.field, why.expected);
		if (err == CVM_OK)
			continue;
		assert_null(c);
		if (err != CVM_E_CONFIG || strcmp(why.field, row->field) != 0)
			fail_msg("line %u: names %s", row->line, why.field);
		assert_true(strncmp(why.where, "config.json:", 12) == 0);
		assert_true(why.expected[0] != '\0' && why.got[0] != '\0');
	}
}

static void
default_missing(void **state)
{
	_cleanup_(config_freep) struct config *c = NULL;
	const struct config_token *t;

	(void)state;
	assert_int_equal(parse("{\"version\":1,\"tokens\":[{\"name\":\"a\"}]}",
			     &c, NULL),
	    CVM_OK);
	assert_string_equal(c->path, "config.json");
	assert_string_equal(c->tpm.tcti, "device:/dev/tpmrm0");
	assert_int_equal(c->tpm.ak, AK_GCE_ECC);
	assert_int_equal(c->tpm.timeout_ms, 10000);
	assert_string_equal(c->evidence.tsm, "/sys/kernel/config/tsm/report");
	assert_string_equal(c->evidence.sev_guest, "/dev/sev-guest");
	assert_string_equal(c->evidence.tdx_guest, "/dev/tdx_guest");
	assert_string_equal(c->evidence.event_log,
	    "/sys/kernel/security/tpm0/binary_bios_measurements");
	assert_string_equal(c->evidence.ccel,
	    "/sys/firmware/acpi/tables/data/CCEL");
	assert_string_equal(c->evidence.collateral,
	    "/var/lib/cvm-pkcs11/collateral");
	assert_int_equal(c->evidence.timeout_ms, 10000);
	assert_int_equal(c->evidence.retry_ms, 1000);
	assert_false(c->simulated);
	assert_int_equal(c->log_target, LOG_TARGET_SYSLOG);
	assert_int_equal(c->log_level, LOG_LEVEL_NOTICE);
	assert_int_equal(c->n_tokens, 1);
	t = &c->tokens[0];
	assert_string_equal(t->label, "a");
	assert_string_equal(t->store, "/var/lib/cvm-pkcs11/a.db");
	assert_string_equal(t->policy, "/etc/cvm-pkcs11/policy.json");
	assert_int_equal(t->login, LOGIN_PIN);
	assert_int_equal(t->on_denial, ON_DENIAL_HIDE);
	assert_false(t->init_token);
	assert_true(t->rsa_pkcs1_decrypt);
	assert_false(t->rsa_x509);
	assert_int_equal(t->min_rsa_bits, 2048);
	assert_null(t->mechanisms.names);
	assert_null(t->pin_file);
	assert_int_equal(t->store_mode, 0600);
	assert_int_equal(t->receipts.log, RECEIPTS_OFF);
	assert_string_equal(t->receipts.path, "/var/lib/cvm-pkcs11/a.receipts");
	assert_int_equal(t->receipts.on_failure, ON_FAILURE_REFUSE);
}

static void
value_in_another_place(void **state)
{
	static const char text[] =
	    "{\"version\":1,\"simulated\":true,"
	    "\"tpm\":{\"tcti\":\"swtpm:port=1\",\"ak\":\"handle\","
	    "\"ak_handle\":\"0x81008f00\",\"timeout_ms\":101},"
	    "\"evidence\":{\"tsm\":\"/t\",\"sev_guest\":\"/s\","
	    "\"tdx_guest\":\"/x\","
	    "\"event_log\":\"/e\",\"ccel\":\"/c\","
	    "\"collateral\":\"/o\",\"timeout_ms\":102,\"retry_ms\":103},"
	    "\"log\":{\"target\":\"file\",\"level\":\"debug\",\"path\":\"/l\"},"
	    "\"tokens\":[{\"name\":\"a\"},{\"name\":\"b\",\"label\":\"B\","
	    "\"store\":\"/s\",\"policy\":\"/p\",\"login\":\"attestation\","
	    "\"on_denial\":\"fail\",\"init_token\":true,"
	    "\"rsa_pkcs1_decrypt\":false,\"rsa_x509\":true,"
	    "\"min_rsa_bits\":3072,\"mechanisms\":{\"deny\":[\"CKM_A\","
	    "\"CKM_B\"]},\"pin_file\":\"/pin\","
	    "\"store_mode\":\"0660\",\"receipts\":{\"log\":\"operations\","
	    "\"path\":\"/r\",\"on_failure\":\"continue\"}}]}";
	_cleanup_(config_freep) struct config *c = NULL;
	const struct config_token *t;

	(void)state;
	assert_int_equal(parse(text, &c, NULL), CVM_OK);
	assert_true(c->simulated);
	assert_string_equal(c->tpm.tcti, "swtpm:port=1");
	assert_int_equal(c->tpm.ak, AK_HANDLE);
	assert_int_equal(c->tpm.ak_handle, 0x81008f00);
	assert_int_equal(c->tpm.timeout_ms, 101);
	assert_string_equal(c->evidence.tsm, "/t");
	assert_string_equal(c->evidence.sev_guest, "/s");
	assert_string_equal(c->evidence.tdx_guest, "/x");
	assert_string_equal(c->evidence.event_log, "/e");
	assert_string_equal(c->evidence.ccel, "/c");
	assert_string_equal(c->evidence.collateral, "/o");
	assert_int_equal(c->evidence.timeout_ms, 102);
	assert_int_equal(c->evidence.retry_ms, 103);
	assert_int_equal(c->log_target, LOG_TARGET_FILE);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_string_equal(c->log_path, "/l");
	assert_null(config_find_token(c, "c"));
	assert_null(config_find_token(c, ""));
	t = config_find_token(c, "b");
	assert_ptr_equal(t, &c->tokens[1]);
	assert_string_equal(t->label, "B");
	assert_string_equal(t->store, "/s");
	assert_string_equal(t->policy, "/p");
	assert_int_equal(t->login, LOGIN_ATTESTATION);
	assert_int_equal(t->on_denial, ON_DENIAL_FAIL);
	assert_true(t->init_token);
	assert_false(t->rsa_pkcs1_decrypt);
	assert_true(t->rsa_x509);
	assert_int_equal(t->min_rsa_bits, 3072);
	assert_true(t->mechanisms.deny);
	assert_string_equal(t->mechanisms.names[1], "CKM_B");
	assert_null(t->mechanisms.names[2]);
	assert_string_equal(t->pin_file, "/pin");
	assert_int_equal(t->store_mode, 0660);
	assert_int_equal(t->receipts.log, RECEIPTS_OPERATIONS);
	assert_string_equal(t->receipts.path, "/r");
	assert_int_equal(t->receipts.on_failure, ON_FAILURE_CONTINUE);
}

/* p11-kit hands over x-init-reserved; the environment wins, then the default.*/
static void
found_elsewhere(void **state)
{
	static const struct {
		const char *env, *reserved, *path; /* path NULL: refused */
	} rows[] = {
		{ NULL, NULL, CONFIG_PATH_DEFAULT },
		{ NULL, "", CONFIG_PATH_DEFAULT },
		{ "", NULL, CONFIG_PATH_DEFAULT },
		{ NULL, "config=/a/b.json", "/a/b.json" },
		{ NULL, "verbose config=/a  other=1", "/a" },
		{ NULL, "myconfig=/a", CONFIG_PATH_DEFAULT },
		{ NULL, "config=", CONFIG_PATH_DEFAULT },
		{ "/e", "config=/a", "/e" },
		{ "/e", NULL, "/e" },
		{ "e.json", NULL, NULL },
		{ NULL, "config=a.json", NULL },
		{ "./e", "config=/a", NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(freep) char *path = NULL;
		struct why why = { 0 };
		int err;

		unsetenv("CVM_PKCS11_CONF");
		if (rows[i].env != NULL)
			setenv("CVM_PKCS11_CONF", rows[i].env, 1);
		err = config_locate(rows[i].reserved, &path, &why);
		if (rows[i].path == NULL) {
			assert_int_equal(err, CVM_E_CONFIG);
			assert_null(path);
			assert_string_equal(why.expected, "an absolute path");
			continue;
		}
		assert_int_equal(err, CVM_OK);
		assert_string_equal(path, rows[i].path);
	}
	unsetenv("CVM_PKCS11_CONF");
}

static void
missing_file_not_told_apart(void **state)
{
	struct config *c = NULL;
	struct why why = { 0 };

	(void)state;
	assert_int_equal(config_load("/nonexistent/c.json", &c, &why),
	    CVM_E_NOT_FOUND);
	assert_int_equal(config_load("/dev/null/c.json", &c, &why),
	    CVM_E_NOT_FOUND);
	assert_int_equal(config_load("/dev", &c, &why), CVM_E_CONFIG);
	assert_string_equal(why.field, "type");
	assert_null(c);
}

/* A FIFO without a writer must not hold the host for ever. */
static void
fifo_waited_for(void **state)
{
	char dir[] = "/tmp/cvm-config-XXXXXX", path[64];
	struct config *c = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_load(path, &c, NULL), CVM_E_CONFIG);
	unlink(path);
	rmdir(dir);
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
file_as_written(int fd, const char *text, mode_t mode)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
}

static void
writable_by_others_trusted(void **state)
{
	static const char text[] = "{\"version\":1,\"tokens\":[]}";
	char dir[] = "/tmp/cvm-config-XXXXXX", path[64];
	_cleanup_(closep) int fd = file_in(mkdtemp(dir), path, sizeof(path));
	static const mode_t refused[] = { 0602, 0646, 0664, 0777 };
	static const mode_t accepted[] = { 0400, 0644, 0755 };
	struct why why = { 0 };

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < NELEMS(refused); i++) {
		_cleanup_(config_freep) struct config *c = NULL;

		file_as_written(fd, text, refused[i]);
		assert_int_equal(config_load(path, &c, &why), CVM_E_CONFIG);
		assert_string_equal(why.field, "mode");
		assert_non_null(strstr(why.hint, "chmod "));
	}
	for (size_t i = 0; i < NELEMS(accepted); i++) {
		_cleanup_(config_freep) struct config *c = NULL;

		file_as_written(fd, text, accepted[i]);
		assert_int_equal(config_load(path, &c, &why), CVM_OK);
	}
	unlink(path);
	rmdir(dir);
}

static void
oversized_file_read(void **state)
{
	char dir[] = "/tmp/cvm-config-XXXXXX", path[64];
	_cleanup_(closep) int fd = file_in(mkdtemp(dir), path, sizeof(path));
	struct config *c = NULL;
	struct why why = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, JSON_BYTES_MAX + 1), 0);
	assert_int_equal(config_load(path, &c, &why), CVM_E_CONFIG);
	assert_string_equal(why.field, "size");
	assert_string_equal(why.got, "1048577");
	unlink(path);
	rmdir(dir);
}

int
main(void)
{
	static const struct CMUnitTest named[] = {
		cmocka_unit_test(default_missing),
		cmocka_unit_test(value_in_another_place),
		cmocka_unit_test(found_elsewhere),
		cmocka_unit_test(missing_file_not_told_apart),
		cmocka_unit_test(fifo_waited_for),
		cmocka_unit_test(writable_by_others_trusted),
		cmocka_unit_test(oversized_file_read),
	};
	struct CMUnitTest tests[CORPUS_GROUPS_MAX + NELEMS(named)];
	size_t n = 0;
	int failed;

	corpus_load("config", &corpus);
	for (size_t i = 0; i < corpus.n_groups; i++)
		tests[n++] = (struct CMUnitTest){ corpus.groups[i].name, group,
			NULL, NULL, &corpus.groups[i] };
	for (size_t i = 0; i < NELEMS(named); i++)
		tests[n++] = named[i];
	failed = _cmocka_run_group_tests("config", tests, n, NULL, NULL);
	corpus_clear(&corpus);
	return failed;
}
