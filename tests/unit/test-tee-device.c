/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "attest/collect.h"
#include "attest/derive.h"
#include "attest/sev_guest.h"
#include "attest/tdx_guest.h"
#include "base/crypto.h"
#include "tests/unit/vectors.h"

/*
 * The devices of kernels without configfs-tsm, behind a driver that is played
 * here: a script of answers, one for each ioctl(2).
 */

#define STEPS_MAX 8
#define TABLE_LEN 5000 /* of a host's certificates */

struct step {
	int err; /* errno */
	uint32_t fw, vmm;
	uint32_t want_room;    /* certs_len, written back */
	bool silent;	       /* writes no answer */
	bool filled;	       /* writes one although err is set */
	uint32_t status, len;  /* in the answer; len 0: 1184 */
	uint64_t quote_status; /* of TDX */
	uint32_t out_len;      /* the same; 0: 5000 */
};

static struct {
	char path[32];
	struct step steps[STEPS_MAX];
	unsigned n, at; /* the last step repeats */
	unsigned calls, extended;
	uint32_t room, vmpl; /* as asked for last */
	uint8_t user_data[64];
	uint8_t table[TABLE_LEN];
	size_t table_len;
	unsigned long last;
} driver;

static const uint8_t report_data[REPORT_DATA_LEN] = { 1, 2, 3, [63] = 4 };

static void *
user_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static void
put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* One entry from offset 48 on, which takes len bytes, and the end. */
static void
put_table(size_t len)
{
	memset(driver.table, 0, sizeof(driver.table));
	memset(driver.table, 0x77, 16);
	put_le32(driver.table + 16, 48);
	put_le32(driver.table + 20, (uint32_t)(len - 48));
	memset(driver.table + 48, 0x99, len - 48);
	/* A certificate may end in zero. */
	driver.table[len - 1] = 0;
	driver.table_len = len;
}

static const struct step *
next_step(void)
{
	const struct step *s = &driver.steps[driver.at];

	if (driver.at + 1 < driver.n)
		driver.at++;
	driver.calls++;
	return s;
}

static void
answer_report(const struct step *s, const struct sev_ext_report_req *req,
    uint8_t *resp, bool extended)
{
	put_le32(resp, s->status);
	put_le32(resp + 4, s->len != 0 ? s->len : SNP_REPORT_LEN);
	memset(resp + 0x20, 0xaa, SNP_REPORT_LEN);
	memcpy(resp + 0x20 + 0x50, req->data.user_data, 64);
	if (!extended)
		return;
	assert_true(req->certs_len >= driver.table_len);
	memcpy(user_pointer(req->certs_address), driver.table,
	    driver.table_len);
}

static int
sev_ioctl(int fd, unsigned long request, void *arg)
{
	const struct step *s = next_step();
	struct sev_request *io = arg;
	struct sev_ext_report_req *req = user_pointer(io->req_data);
	bool extended = request == SEV_GET_EXT_REPORT;

	assert_true(fd >= 0);
	assert_true(extended || request == SEV_GET_REPORT);
	assert_int_equal(io->msg_version, 1);
	assert_int_equal(io->fw_error, 0);
	assert_int_equal(io->vmm_error, 0);
	assert_true(req->certs_len % SEV_PAGE == 0);
	assert_true(extended == (req->certs_address != 0));
	driver.extended += extended;
	driver.room = req->certs_len;
	driver.vmpl = req->data.vmpl;
	memcpy(driver.user_data, req->data.user_data, 64);
	if ((s->err == 0 && !s->silent) || s->filled)
		answer_report(s, req, user_pointer(io->resp_data), extended);
	io->fw_error = s->fw;
	io->vmm_error = s->vmm;
	if (s->want_room != 0)
		req->certs_len = s->want_room;
	errno = s->err;
	return s->err != 0 ? -1 : 0;
}

static int
tdx_ioctl(int fd, unsigned long request, void *arg)
{
	const struct step *s = next_step();
	struct tdx_report_req *report = arg;
	struct tdx_quote_req *req = arg;
	struct tdx_quote_buf *buf;

	assert_true(fd >= 0);
	driver.last = request;
	if (request == TDX_GET_REPORT0) {
		memcpy(driver.user_data, report->reportdata, 64);
		assert_true(span_is_filled(span(report->tdreport,
					       sizeof(report->tdreport)),
		    0));
		if (!s->silent)
			memset(report->tdreport, 0x81, TDX_REPORT_LEN);
	} else if (s->err == 0) {
		assert_int_equal(req->len, sizeof(*buf));
		buf = user_pointer(req->buf);
		assert_int_equal(buf->version, 1);
		assert_int_equal(buf->status, 0);
		assert_int_equal(buf->in_len, TDX_REPORT_LEN);
		assert_int_equal(buf->out_len, 0);
		buf->status = s->quote_status;
		buf->out_len = s->out_len != 0 ? s->out_len : 5000;
		if (!s->silent)
			memset(buf->data, 0x44, 5000);
	}
	errno = s->err;
	return s->err != 0 ? -1 : 0;
}

static int
setup(void **state)
{
	int fd;

	(void)state;
	memset(&driver, 0, sizeof(driver));
	(void)snprintf(driver.path, sizeof(driver.path), "/tmp/cvm-tee-XXXXXX");
	fd = mkstemp(driver.path);
	assert_true(fd >= 0);
	(void)close(fd);
	put_table(1000);
	driver.n = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return unlink(driver.path);
}

/* Pauses are random: below a slow simulator the generator begins later than a
 * device is waited for. */
static int
begin(void **state)
{
	uint8_t rnd;

	(void)state;
	return random_bytes(&rnd, sizeof(rnd));
}

#define SCRIPT(...)                                                            \
	do {                                                                   \
		const struct step list[] = { __VA_ARGS__ };                    \
		memcpy(driver.steps, list, sizeof(list));                      \
		driver.n = NELEMS(list);                                       \
		driver.at = driver.calls = driver.extended = 0;                \
	} while (0)

static int
get_snp(uint32_t timeout_ms, struct tsm_report *r, struct why *why)
{
	const struct tee_device dev = { driver.path, sev_ioctl };

	memset(why, 0, sizeof(*why));
	tsm_report_clear(r);
	return sev_guest_get_report(&dev, 2, report_data, timeout_ms, r, why);
}

static int
get_tdx(uint32_t timeout_ms, struct tsm_report *r, struct why *why)
{
	const struct tee_device dev = { driver.path, tdx_ioctl };

	memset(why, 0, sizeof(*why));
	tsm_report_clear(r);
	return tdx_guest_get_report(&dev, 0, report_data, timeout_ms, r, why);
}

/* Fails, with nothing in the result. */
static void
refused(int (*get)(uint32_t, struct tsm_report *, struct why *),
    const char *field, const char *got)
{
	struct tsm_report r = { 0 };
	struct why why;

	assert_int_equal(get(400, &r, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.where, driver.path);
	assert_string_equal(why.field, field);
	assert_non_null(strstr(why.got, got));
	assert_null(r.outblob.data);
}

static void
report_over_other_data_or_level(void **state)
{
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(driver.calls, 1);
	assert_int_equal(driver.extended, 1);
	assert_int_equal(driver.vmpl, 2);
	assert_memory_equal(driver.user_data, report_data, REPORT_DATA_LEN);
	assert_int_equal(r.outblob.len, SNP_REPORT_LEN);
	assert_memory_equal(r.outblob.data + 0x50, report_data,
	    REPORT_DATA_LEN);
	assert_int_equal(r.auxblob.len, 1000);
	assert_memory_equal(r.auxblob.data, driver.table, 1000);
	assert_string_equal(r.provider, "sev_guest");
	/* A file that answers is no device of the kernel's. */
	assert_true(r.simulated);
	tsm_report_clear(&r);
}

/* What one attempt left in the buffers must not pass for the next answer. */
static void
answer_to_an_earlier_attempt(void **state)
{
	(void)state;
	SCRIPT({ .err = EAGAIN, .filled = true }, { .silent = true });
	refused(get_snp, "report size", "0");
	assert_int_equal(driver.calls, 2);
	SCRIPT({ 0 }, { .quote_status = TDX_QUOTE_IN_FLIGHT },
	    { .silent = true }, { .silent = true, .out_len = TDX_REPORT_LEN });
	refused(get_tdx, "quote", "TDREPORT");
}

static void
busy_host_is_not_waited_for(void **state)
{
	static const struct step busy[] = { { .err = EIO, .vmm = SEV_VMM_BUSY },
		{ .err = EAGAIN }, { .err = EBUSY }, { .err = EINTR } };
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	for (size_t i = 0; i < NELEMS(busy); i++) {
		SCRIPT(busy[i], busy[i], { 0 });
		assert_int_equal(get_snp(5000, &r, &why), CVM_OK);
		assert_int_equal(driver.calls, 3);
		SCRIPT(busy[i]);
		assert_int_equal(get_snp(200, &r, &why), CVM_E_UNREACHABLE);
		assert_non_null(strstr(why.hint, "200 ms"));
		assert_true(driver.calls <= 2);
	}
	SCRIPT(busy[0]);
	refused(get_snp, "vmm_error", "busy");
	tsm_report_clear(&r);
}

/* A message that was lost ends the guest's key: asking again is no use. */
static void
lasting_trouble_is_asked_again(void **state)
{
	static const struct {
		struct step step;
		const char *field, *got;
	} rows[] = {
		{ { .err = EIO, .fw = 0x16 }, "fw_error", "0x16" },
		{ { .fw = 0x16 }, "fw_error", "0x16" },
		{ { .err = EAGAIN, .fw = 0x5 }, "fw_error", "0x5" },
		{ { .err = EIO, .vmm = 7 }, "vmm_error", "0x7" },
		{ { .vmm = 7 }, "vmm_error", "0x7" },
		{ { .err = EIO }, "SNP_GET_REPORT", "" },
		{ { .err = ENOTTY }, "SNP_GET_REPORT", "" },
		{ { .err = ETIMEDOUT }, "SNP_GET_REPORT", "" },
		{ { .err = EBADMSG }, "SNP_GET_REPORT", "" },
		{ { .status = 0x16 }, "status", "invalid parameters" },
		{ { .status = 0x27 }, "status", "0x27" },
		{ { .len = SNP_REPORT_LEN - 1 }, "report size", "1183" },
		{ { .len = SNP_REPORT_LEN + 1 }, "report size", "1185" },
		{ { .len = UINT32_MAX }, "report size", "4294967295" },
	};
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		SCRIPT(rows[i].step);
		refused(get_snp, rows[i].field, rows[i].got);
		assert_int_equal(driver.calls, 1);
	}
	SCRIPT({ .err = ENOTTY });
	assert_int_equal(get_snp(400, &r, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.hint, "rebooted"));
}

static void
room_not_grown_for_certificates(void **state)
{
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	put_table(TABLE_LEN);
	SCRIPT({ .err = ENOSPC,
		   .vmm = SEV_VMM_INVALID_LEN,
		   .want_room = 0x6000 },
	    { 0 });
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(driver.calls, 2);
	assert_int_equal(driver.room, 0x6000);
	assert_int_equal(r.auxblob.len, TABLE_LEN);
	/* The largest that evidence has room for. */
	SCRIPT({ .err = EIO,
		   .vmm = SEV_VMM_INVALID_LEN,
		   .want_room = EVIDENCE_AUX_MAX },
	    { 0 });
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(driver.room, EVIDENCE_AUX_MAX);
	/* Throttled in between: the room stays. */
	SCRIPT({ .err = EIO, .vmm = SEV_VMM_INVALID_LEN, .want_room = 0x5000 },
	    { .err = EIO, .vmm = SEV_VMM_BUSY }, { 0 });
	assert_int_equal(get_snp(5000, &r, &why), CVM_OK);
	assert_int_equal(driver.calls, 3);
	assert_int_equal(driver.room, 0x5000);
	tsm_report_clear(&r);
}

/* Certificates are a convenience: a host that makes trouble with them gets
 * asked for the report alone. */
static void
absurd_room_for_certificates(void **state)
{
	static const uint32_t wants[] = { EVIDENCE_AUX_MAX + SEV_PAGE,
		0x7ffff000, UINT32_MAX, SEV_CERTS_FIRST, SEV_PAGE, 0x5001, 1 };
	const struct step big = { .err = EIO,
		.vmm = SEV_VMM_INVALID_LEN,
		.want_room = 0x5000 };
	struct step bigger = big, biggest = big, more = big;
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	for (size_t i = 0; i < NELEMS(wants); i++) {
		SCRIPT({ .err = EIO,
			   .vmm = SEV_VMM_INVALID_LEN,
			   .want_room = wants[i] },
		    { 0 });
		assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
		assert_int_equal(driver.calls, 2);
		assert_int_equal(driver.room, 0);
		assert_int_equal(r.auxblob.len, 0);
		assert_int_equal(r.outblob.len, SNP_REPORT_LEN);
	}
	/* A driver that takes no more than it does. */
	SCRIPT(big, { .err = EINVAL }, { 0 });
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(driver.calls, 3);
	assert_int_equal(driver.room, 0);
	/* Never the same twice, never for ever. */
	bigger.want_room = 0x6000;
	biggest.want_room = 0x7000;
	more.want_room = 0x8000;
	SCRIPT(big, bigger, biggest, more, { 0 });
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(driver.calls, 5);
	assert_int_equal(driver.room, 0);
	tsm_report_clear(&r);
}

static void
table_longer_or_shorter_than_it_says(void **state)
{
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	/* No certificates at all. */
	memset(driver.table, 0, sizeof(driver.table));
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(r.auxblob.len, 0);
	/* No end; and entries that reach beyond the room: all of it, which
	 * the parser then judges. */
	memset(driver.table, 0x77, sizeof(driver.table));
	driver.table_len = TABLE_LEN;
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(r.auxblob.len, SEV_CERTS_FIRST);
	put_table(1000);
	put_le32(driver.table + 20, UINT32_MAX);
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(r.auxblob.len, SEV_CERTS_FIRST);
	/* An entry inside of the header does not cut the header. */
	put_table(1000);
	put_le32(driver.table + 16, 0);
	put_le32(driver.table + 20, 1);
	assert_int_equal(get_snp(1000, &r, &why), CVM_OK);
	assert_int_equal(r.auxblob.len, 48);
	tsm_report_clear(&r);
}

static void
quote_over_other_data(void **state)
{
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	assert_int_equal(get_tdx(1000, &r, &why), CVM_OK);
	assert_int_equal(driver.calls, 2);
	assert_memory_equal(driver.user_data, report_data, REPORT_DATA_LEN);
	assert_int_equal(r.outblob.len, 5000);
	assert_int_equal(r.outblob.data[4999], 0x44);
	assert_int_equal(r.auxblob.len, 0);
	assert_string_equal(r.provider, "tdx_guest");
	assert_true(r.simulated);
	tsm_report_clear(&r);
}

/* Four numbers are in use for the request; what a kernel does not know, it
 * refuses without doing anything. */
static void
kernel_of_another_vendor(void **state)
{
	static const unsigned long numbers[] = { TDX_GET_QUOTE_4,
		TDX_GET_QUOTE_2, TDX_GET_QUOTE_4W, TDX_GET_QUOTE_2W };
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	for (unsigned i = 0; i < NELEMS(numbers); i++) {
		SCRIPT({ 0 }, { .err = ENOTTY }, { .err = EINVAL },
		    { .err = ENOTTY }, { 0 });
		driver.steps[i + 1].err = 0;
		assert_int_equal(get_tdx(1000, &r, &why), CVM_OK);
		assert_int_equal(driver.calls, i + 2);
		assert_int_equal(driver.last, numbers[i]);
	}
	/* kernel.org's: a TDREPORT and no quote. */
	SCRIPT({ 0 }, { .err = ENOTTY });
	assert_int_equal(get_tdx(1000, &r, &why), CVM_E_UNREACHABLE);
	assert_int_equal(driver.calls, 5);
	assert_string_equal(why.field, "TDX_CMD_GET_QUOTE");
	assert_non_null(strstr(why.hint, "6.7"));
	tsm_report_clear(&r);
}

static void
quote_that_is_none(void **state)
{
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	SCRIPT({ .err = EIO });
	refused(get_tdx, "TDX_CMD_GET_REPORT0", "");
	assert_int_equal(driver.calls, 1);
	SCRIPT({ 0 }, { .err = EIO });
	refused(get_tdx, "TDX_CMD_GET_QUOTE", "");
	assert_int_equal(driver.calls, 2);
	SCRIPT({ 0 }, { .quote_status = TDX_QUOTE_ERROR });
	refused(get_tdx, "quote status", "8000000000000000");
	assert_int_equal(driver.calls, 2);
	SCRIPT({ 0 }, { .out_len = TDX_QUOTE_BUF_LEN - 23 });
	refused(get_tdx, "quote length", "16361");
	SCRIPT({ 0 }, { .out_len = UINT32_MAX });
	refused(get_tdx, "quote length", "4294967295");
	SCRIPT({ 0 }, { .silent = true, .out_len = TDX_REPORT_LEN });
	refused(get_tdx, "quote", "TDREPORT");
	SCRIPT({ 0 }, { .out_len = TDX_QUOTE_BUF_LEN - 24 });
	assert_int_equal(get_tdx(1000, &r, &why), CVM_OK);
	assert_int_equal(r.outblob.len, TDX_QUOTE_BUF_LEN - 24);
	tsm_report_clear(&r);
}

static void
quoting_service_is_not_waited_for(void **state)
{
	static const uint64_t busy[] = { TDX_QUOTE_IN_FLIGHT,
		TDX_QUOTE_UNAVAILABLE };
	struct tsm_report r = { 0 };
	struct why why;

	(void)state;
	for (size_t i = 0; i < NELEMS(busy); i++) {
		SCRIPT({ 0 }, { .quote_status = busy[i] }, { 0 });
		assert_int_equal(get_tdx(5000, &r, &why), CVM_OK);
		assert_int_equal(driver.calls, 4);
		SCRIPT({ 0 }, { .quote_status = busy[i] });
		assert_int_equal(get_tdx(100, &r, &why), CVM_E_UNREACHABLE);
		assert_string_equal(why.field, "quote status");
		assert_non_null(strstr(why.hint, "100 ms"));
	}
	SCRIPT({ .err = EBUSY }, { 0 });
	assert_int_equal(get_tdx(5000, &r, &why), CVM_OK);
	tsm_report_clear(&r);
}

static void
level_of_a_td(void **state)
{
	const struct tee_device dev = { driver.path, tdx_ioctl };
	struct tsm_report r = { 0 };
	struct why why = { 0 };

	(void)state;
	assert_int_equal(tdx_guest_get_report(&dev, 1, report_data, 100, &r,
			     &why),
	    CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "level");
	assert_int_equal(driver.calls, 0);
}

static void
device_missing_forbidden_or_linked(void **state)
{
	char link[64];
	struct tee_device dev = { "/nonexistent/device", sev_ioctl };
	struct tsm_report r = { 0 };
	struct why why = { 0 };
	int err;

	(void)state;
	assert_int_equal(sev_guest_get_report(&dev, 0, report_data, 100, &r,
			     &why),
	    CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.hint, "module sev-guest"));
	assert_int_equal(tdx_guest_get_report(&dev, 0, report_data, 100, &r,
			     &why),
	    CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.hint, "module tdx_guest"));
	(void)snprintf(link, sizeof(link), "%s-link", driver.path);
	assert_int_equal(symlink(driver.path, link), 0);
	dev.path = link;
	err = sev_guest_get_report(&dev, 0, report_data, 100, &r, &why);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(err, CVM_E_UNREACHABLE);
	assert_int_equal(driver.calls, 0);
	if (getuid() != 0)
		skip();
	assert_int_equal(chmod(driver.path, 0600), 0);
	assert_int_equal(seteuid(65534), 0);
	err = get_snp(100, &r, &why);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(err, CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.hint, "p11-kit server"));
}

/* Without a driver that is played, a file has no ioctl. */
static void
file_taken_for_a_device(void **state)
{
	const struct tee_device dev = { driver.path, NULL };
	struct tsm_report r = { 0 };
	struct why why = { 0 };

	(void)state;
	assert_int_equal(sev_guest_get_report(&dev, 0, report_data, 100, &r,
			     &why),
	    CVM_E_UNREACHABLE);
	assert_int_equal(tdx_guest_get_report(&dev, 0, report_data, 100, &r,
			     &why),
	    CVM_E_UNREACHABLE);
}

static bool
is_kernels(const char *path, const char *name)
{
	const char *const names[] = { "sev-guest-x", name };
	_cleanup_(closep) int fd = open(path, O_PATH | O_CLOEXEC);

	return fd >= 0 && tee_device_is_kernels(fd, names, NELEMS(names));
}

/* Any miscellaneous device stands for the one that is not here. */
static void
device_of_another_name_or_kind(void **state)
{
	bool other, not_roots;
	char path[64];
	struct stat st;

	(void)state;
	assert_false(is_kernels(driver.path, "sev-guest"));
	assert_false(is_kernels("/dev/null", "null"));
	assert_false(is_kernels("/dev/zero", "sev-guest"));
	if (access("/dev/fuse", R_OK) != 0)
		skip();
	assert_true(is_kernels("/dev/fuse", "fuse"));
	assert_false(is_kernels("/dev/fuse", "fus"));
	assert_false(is_kernels("/dev/fuse", "use"));
	assert_false(is_kernels("/dev/fuse", "sev-guest"));
	/* The same minor number of another driver; and not root's. */
	if (stat("/dev/fuse", &st) != 0 || getuid() != 0)
		skip();
	(void)snprintf(path, sizeof(path), "%s-node", driver.path);
	assert_int_equal(mknod(path, S_IFCHR | 0600,
			     makedev(1, minor(st.st_rdev))),
	    0);
	other = is_kernels(path, "fuse");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mknod(path, S_IFCHR | 0600, st.st_rdev), 0);
	assert_int_equal(chown(path, 65534, 0), 0);
	not_roots = is_kernels(path, "fuse");
	assert_int_equal(unlink(path), 0);
	assert_false(other);
	assert_false(not_roots);
}

/* ---- which of them ---- */

static int
ask_source(char *tsm, char *device, enum tee_kind tee, struct why *why)
{
	const struct config_evidence cfg = { .tsm = tsm,
		.sev_guest = device,
		.tdx_guest = device };
	const struct tee_source s = { .cfg = &cfg,
		.tee = tee,
		.call = tee == TEE_SNP ? sev_ioctl : tdx_ioctl };
	struct tsm_report r = { 0 };
	unsigned floor = 9;
	int err;

	memset(why, 0, sizeof(*why));
	driver.calls = 0;
	err = tee_source_report(&s, 0, report_data, 200, &r, why);
	tsm_report_clear(&r);
	if (err == CVM_OK) {
		assert_int_equal(tee_source_floor(&s, &floor, why), CVM_OK);
		assert_int_equal(floor, 0);
	}
	return err;
}

static void
device_asked_although_there_is_configfs(void **state)
{
	char dir[] = "/tmp/cvm-tsm-XXXXXX", none[] = "/nonexistent/report";
	struct why why;

	(void)state;
	for (int i = TEE_SNP; i <= TEE_TDX; i++) {
		const enum tee_kind tee = (enum tee_kind)i;

		assert_int_equal(ask_source(none, driver.path, tee, &why),
		    CVM_OK);
		assert_true(driver.calls > 0);
		/* Neither: what today's kernels have is named. */
		assert_int_equal(ask_source(none, none, tee, &why),
		    CVM_E_UNREACHABLE);
		assert_string_equal(why.field, "evidence.tsm");
		assert_int_equal(driver.calls, 0);
	}
	/* A plain directory refuses, and that is that. */
	assert_non_null(mkdtemp(dir));
	assert_int_equal(ask_source(dir, driver.path, TEE_SNP, &why),
	    CVM_E_UNREACHABLE);
	assert_int_equal(driver.calls, 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
other_vendor_worth_asking(void **state)
{
	char none[] = "/nonexistent/report";
	struct config_evidence cfg = { .tsm = none,
		.sev_guest = none,
		.tdx_guest = driver.path };
	struct tee_source s = { .cfg = &cfg, .tee = TEE_SNP };
	struct why why = { .field = "evidence.tsm" };

	(void)state;
	assert_true(tee_source_other(&s, &why));
	s.tee = TEE_TDX;
	assert_false(tee_source_other(&s, &why));
	cfg.tdx_guest = none;
	assert_false(tee_source_other(&s, &why));
	(void)snprintf(why.field, sizeof(why.field), "provider");
	assert_true(tee_source_other(&s, &why));
}

/* A round's evidence, from the device. */
static void
round_over_another_root(void **state)
{
	char none[] = "/nonexistent/report";
	struct config cfg = { .evidence = { .tsm = none,
				  .sev_guest = driver.path,
				  .tdx_guest = none,
				  .timeout_ms = 1000 } };
	struct policy policy = { .tee = TEE_SNP, .tee_report_max_age_s = 60 };
	struct collector c = { .cfg = &cfg,
		.policy = &policy,
		.call = sev_ioctl };
	uint8_t root[SHA256_LEN] = { 7 }, want[REPORT_DATA_LEN];
	struct evidence e = { 0 };
	struct why why;

	(void)state;
	assert_int_equal(collect(&c, root, false, &e, &why), CVM_OK);
	assert_int_equal(derive_report_data(root, (struct span){ 0 },
			     policy.digest, want),
	    CVM_OK);
	assert_memory_equal(driver.user_data, want, REPORT_DATA_LEN);
	assert_memory_equal(e.tee_report.data + 0x50, want, REPORT_DATA_LEN);
	assert_int_equal(e.tee_aux.len, 1000);
	assert_true(e.simulated);
	evidence_clear(&e);
	collector_forget(&c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(report_over_other_data_or_level),
		TEST(answer_to_an_earlier_attempt),
		TEST(busy_host_is_not_waited_for),
		TEST(lasting_trouble_is_asked_again),
		TEST(room_not_grown_for_certificates),
		TEST(absurd_room_for_certificates),
		TEST(table_longer_or_shorter_than_it_says),
		TEST(quote_over_other_data),
		TEST(kernel_of_another_vendor),
		TEST(quote_that_is_none),
		TEST(quoting_service_is_not_waited_for),
		TEST(level_of_a_td),
		TEST(device_missing_forbidden_or_linked),
		TEST(file_taken_for_a_device),
		TEST(device_of_another_name_or_kind),
		TEST(device_asked_although_there_is_configfs),
		TEST(other_vendor_worth_asking),
		TEST(round_over_another_root),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
