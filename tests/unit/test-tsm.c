/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "attest/svsm.h"
#include "attest/tsm.h"
#include "tests/unit/machine.h"

/* configfs-tsm as the virtual CVM has it, well-behaved and not. */

#define TSM "sys/kernel/config/tsm/report"
#define SNP_REPORT_DATA_AT 0x50

static struct machine machine;
static bool running;

static int
group_setup(void **state)
{
	(void)state;
	running = machine_start(&machine, "snp");
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	if (running)
		machine_stop(&machine);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	if (running)
		machine_reset(&machine);
	return 0;
}

/* Requests leave nothing behind, however they end. */
static unsigned
entries(void)
{
	DIR *d = opendir(machine_path(&machine, TSM));
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static const uint8_t report_data[REPORT_DATA_LEN] = { 1, 2, 3, [63] = 4 };

static int
get_from(const char *dir, const char *provider, uint32_t timeout_ms,
    struct why *why)
{
	struct tsm_report r = { 0 };
	int err;

	memset(why, 0, sizeof(*why));
	err = tsm_get_report(dir, provider, 0, report_data, timeout_ms, &r,
	    why);
	if (err == CVM_OK) {
		assert_int_equal(r.outblob.len, SNP_REPORT_LEN);
		assert_memory_equal(r.outblob.data + SNP_REPORT_DATA_AT,
		    report_data, REPORT_DATA_LEN);
		assert_string_equal(r.provider, "sev_guest");
		assert_true(r.simulated);
	} else {
		assert_null(r.outblob.data);
	}
	tsm_report_clear(&r);
	return err;
}

static int
get(uint32_t timeout_ms, struct why *why)
{
	int err;

	if (!running)
		skip();
	err = get_from(machine_path(&machine, TSM), "sev_guest", timeout_ms,
	    why);
	assert_int_equal(entries(), 0);
	return err;
}

static void
report_over_what_was_asked(void **state)
{
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(get(2000, &why), 0);
	assert_int_equal(tsm_get_report(machine_path(&machine, TSM),
			     "sev_guest", 0, report_data, 2000, &r, &why),
	    0);
	assert_true(r.auxblob.len > 1000);
	tsm_report_clear(&r);
	machine_ctl(&machine, "set aux empty");
	assert_int_equal(get(2000, &why), 0);
}

/* Trouble that passes, and the same for ever. */
static void
passing_trouble_is_waited_out(void **state)
{
	static const char *const keys[] = { "tsm.ebusy", "tsm.eagain",
		"tsm.empty", "tsm.generation" };
	static const char *const fields[] = { "outblob", "outblob", "outblob",
		"generation" };
	struct why why;
	char words[64];

	(void)state;
	if (!running)
		skip();
	for (size_t i = 0; i < NELEMS(keys); i++) {
		(void)snprintf(words, sizeof(words), "set %s 3", keys[i]);
		machine_ctl(&machine, words);
		assert_int_equal(get(5000, &why), 0);
		(void)snprintf(words, sizeof(words), "set %s -1", keys[i]);
		machine_ctl(&machine, words);
		assert_int_equal(get(200, &why), CVM_E_UNREACHABLE);
		assert_string_equal(why.field, fields[i]);
		assert_non_null(strstr(why.hint, "200 ms"));
		machine_reset(&machine);
	}
	machine_ctl(&machine, "set tsm.empty -1");
	assert_int_equal(get(100, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.got, "empty"));
}

static void
lasting_trouble_is_told_at_once(void **state)
{
	struct why why;

	(void)state;
	if (!running)
		skip();
	/* Who asked again would get an answer. */
	machine_ctl(&machine, "set tsm.eio 1");
	assert_int_equal(get(5000, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "outblob");
	assert_int_equal(get(5000, &why), 0);
}

static void
provider_of_the_other_vendor(void **state)
{
	struct why why;

	(void)state;
	if (!running)
		skip();
	machine_ctl(&machine, "set tsm.provider other");
	assert_int_equal(get(2000, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "provider");
	assert_string_equal(why.expected, "sev_guest");
	assert_string_equal(why.got, "tdx_guest");
	machine_reset(&machine);
	assert_int_equal(get_from(machine_path(&machine, TSM), "tdx_guest",
			     2000, &why),
	    CVM_E_UNREACHABLE);
	assert_int_equal(entries(), 0);
}

static void
directory_missing_or_not_configfs(void **state)
{
	char dir[] = "/tmp/cvm-tsm-XXXXXX", command[128], link[64];
	struct why why;

	(void)state;
	assert_int_equal(get_from("/nonexistent/report", "sev_guest", 1000,
			     &why),
	    CVM_E_UNREACHABLE);
	assert_string_equal(why.where, "/nonexistent/report");
	assert_non_null(strstr(why.hint, "sev-guest"));
	assert_non_null(strstr(why.hint, "linux-modules-extra"));
	assert_int_equal(get_from("/nonexistent/report", "tdx_guest", 1000,
			     &why),
	    CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.hint, "tdx-guest"));
	/* A plain directory gives an empty entry. */
	assert_non_null(mkdtemp(dir));
	assert_int_equal(get_from(dir, "sev_guest", 1000, &why),
	    CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "provider");
	assert_int_equal(rmdir(dir), 0);
	/* A symbolic link is not followed. */
	(void)snprintf(link, sizeof(link), "%s-link", dir);
	assert_int_equal(symlink("/tmp", link), 0);
	assert_int_equal(get_from(link, "sev_guest", 1000, &why),
	    CVM_E_UNREACHABLE);
	(void)snprintf(command, sizeof(command), "rm -f %s", link);
	assert_int_equal(system(command), 0);
}

static void
directory_forbidden(void **state)
{
	char dir[] = "/tmp/cvm-tsm-XXXXXX";
	struct why why;
	int r;

	(void)state;
	if (getuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	r = get_from(dir, "sev_guest", 1000, &why);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "mkdir");
	assert_non_null(strstr(why.hint, "p11-kit server"));
	assert_int_equal(rmdir(dir), 0);
}

/* ---- kernel_log_read ---- */

static int
read_log(const char *path, bool *simulated, struct why *why)
{
	struct blob b = { 0 };
	int r;

	memset(why, 0, sizeof(*why));
	r = kernel_log_read(path, &b, simulated, why);
	blob_clear(&b);
	return r;
}

static void
log_of_the_machine(void **state)
{
	struct why why;
	bool simulated = false;

	(void)state;
	if (!running)
		skip();
	assert_int_equal(
	    read_log(machine_path(&machine,
			 "sys/kernel/security/tpm0/binary_bios_measurements"),
		&simulated, &why),
	    0);
	assert_true(simulated);
}

static void
log_of_the_kernel_is_not_simulated(void **state)
{
	struct why why;
	bool simulated = true;

	(void)state;
	/* Any file of sysfs that exists everywhere. */
	assert_int_equal(read_log("/sys/kernel/uevent_seqnum", &simulated,
			     &why),
	    0);
	assert_false(simulated);
	assert_int_equal(read_log("/proc/cpuinfo", &simulated, &why), 0);
	assert_true(simulated);
}

static void
log_missing_long_or_no_file(void **state)
{
	char path[] = "/tmp/cvm-log-XXXXXX", other[64];
	int fd = mkstemp(path);
	struct why why;
	bool simulated = false;

	(void)state;
	assert_int_equal(read_log("/nonexistent", &simulated, &why),
	    CVM_E_NOT_FOUND);
	assert_string_equal(why.where, "/nonexistent");
	assert_int_equal(read_log("/tmp", &simulated, &why), CVM_E_UNREACHABLE);
	assert_int_equal(ftruncate(fd, EVIDENCE_LOG_MAX), 0);
	assert_int_equal(read_log(path, &simulated, &why), 0);
	assert_int_equal(ftruncate(fd, EVIDENCE_LOG_MAX + 1), 0);
	assert_int_equal(read_log(path, &simulated, &why), CVM_E_UNREACHABLE);
	(void)snprintf(other, sizeof(other), "%s-link", path);
	assert_int_equal(symlink(path, other), 0);
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_int_equal(read_log(other, &simulated, &why), CVM_E_UNREACHABLE);
	assert_int_equal(unlink(other), 0);
	/* One that is there and cannot be read is none that is missing. */
	assert_int_equal(symlink("/nonexistent", other), 0);
	assert_int_equal(read_log(other, &simulated, &why), CVM_E_UNREACHABLE);
	assert_int_equal(unlink(other), 0);
	/* A FIFO without a writer must not hold us. */
	assert_int_equal(mkfifo(other, 0600), 0);
	assert_int_equal(read_log(other, &simulated, &why), CVM_E_UNREACHABLE);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(unlink(path), 0);
	(void)close(fd);
}

static int
get_level(const struct machine *m, const char *provider, unsigned level,
    struct why *why)
{
	struct tsm_report r = { 0 };
	int err;

	memset(why, 0, sizeof(*why));
	err = tsm_get_report(machine_path(m, TSM), provider, level, report_data,
	    1000, &r, why);
	/* VMPL of an SNP report, little-endian. */
	if (err == CVM_OK && strcmp(provider, "sev_guest") == 0)
		assert_int_equal(r.outblob.data[0x30], level);
	tsm_report_clear(&r);
	return err;
}

/* Below an SVSM, reports of its own level are not to be had. */
static void
level_below_the_floor_asked_of_the_kernel(void **state)
{
	struct machine above;
	unsigned floor = 9;
	struct why why;

	(void)state;
	if (!running)
		skip();
	assert_true(machine_start(&above, "snp --vmpl 2"));
	for (unsigned level = 0; level < 2; level++) {
		assert_int_equal(get_level(&above, "sev_guest", level, &why),
		    CVM_E_UNREACHABLE);
		assert_string_equal(why.field, "privlevel");
		assert_string_equal(why.expected, "at least 2 (snp.vmpl)");
		assert_int_equal(why.got[0], '0' + (int)level);
	}
	assert_int_equal(get_level(&above, "sev_guest", 2, &why), CVM_OK);
	assert_int_equal(get_level(&above, "sev_guest", 3, &why), CVM_OK);
	assert_int_equal(get_level(&above, "sev_guest", 4, &why),
	    CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "privlevel");
	assert_int_equal(tsm_privlevel_floor(machine_path(&above, TSM),
			     "sev_guest", &floor, &why),
	    CVM_OK);
	assert_int_equal(floor, 2);
	machine_stop(&above);
	/* Without an SVSM every level is there. */
	for (unsigned level = 0; level < 4; level++)
		assert_int_equal(get_level(&machine, "sev_guest", level, &why),
		    CVM_OK);
	assert_int_equal(tsm_privlevel_floor(machine_path(&machine, TSM),
			     "sev_guest", &floor, &why),
	    CVM_OK);
	assert_int_equal(floor, 0);
	assert_int_equal(entries(), 0);
}

static void
level_asked_of_tdx(void **state)
{
	struct machine tdx;
	unsigned floor = 9;
	struct why why;

	(void)state;
	if (!running)
		skip();
	assert_true(machine_start(&tdx, "tdx"));
	assert_int_equal(get_level(&tdx, "tdx_guest", 0, &why), CVM_OK);
	assert_int_equal(get_level(&tdx, "tdx_guest", 1, &why),
	    CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "privlevel_floor");
	assert_int_equal(tsm_privlevel_floor(machine_path(&tdx, TSM),
			     "tdx_guest", &floor, &why),
	    CVM_OK);
	assert_int_equal(floor, 0);
	machine_stop(&tdx);
}

/* The service's report: of level 0, over nonce and manifest. */
static void
service_of_an_svsm(void **state)
{
	static const char *const keys[] = { "tsm.ebusy", "tsm.generation",
		"tsm.empty" };
	struct machine above;
	struct tsm_report r = { 0 };
	uint8_t want[REPORT_DATA_LEN];
	struct why why = { 0 };
	char words[64];

	(void)state;
	if (!running)
		skip();
	/* Without one, the attributes are not there. */
	assert_int_equal(tsm_get_svsm_report(machine_path(&machine, TSM),
			     report_data, 500, &r, &why),
	    CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "service_provider");
	assert_non_null(strstr(why.hint, "SVSM"));
	assert_int_equal(entries(), 0);
	assert_true(machine_start(&above, "snp --vmpl 2"));
	for (size_t i = 0; i < NELEMS(keys); i++) {
		(void)snprintf(words, sizeof(words), "set %s 2", keys[i]);
		machine_ctl(&above, words);
		assert_int_equal(tsm_get_svsm_report(machine_path(&above, TSM),
				     report_data, 5000, &r, &why),
		    CVM_OK);
	}
	assert_int_equal(r.outblob.data[0x30], 0);
	assert_true(r.manifest.len > 256);
	assert_int_equal(svsm_report_data(report_data, blob_span(&r.manifest),
			     want),
	    0);
	assert_memory_equal(r.outblob.data + SNP_REPORT_DATA_AT, want,
	    sizeof(want));
	machine_ctl(&above, "set tsm.generation -1");
	assert_int_equal(tsm_get_svsm_report(machine_path(&above, TSM),
			     report_data, 200, &r, &why),
	    CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "generation");
	tsm_report_clear(&r);
	machine_stop(&above);
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(report_over_what_was_asked),
		TEST(passing_trouble_is_waited_out),
		TEST(lasting_trouble_is_told_at_once),
		TEST(provider_of_the_other_vendor),
		TEST(level_below_the_floor_asked_of_the_kernel),
		TEST(level_asked_of_tdx),
		TEST(service_of_an_svsm),
		TEST(directory_missing_or_not_configfs),
		TEST(directory_forbidden),
		TEST(log_of_the_machine),
		TEST(log_of_the_kernel_is_not_simulated),
		TEST(log_missing_long_or_no_file),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
