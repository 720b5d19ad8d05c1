/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attest/sev_guest.h"
#include "attest/tdx_guest.h"
#include "attest/tee_device.h"
#include "base/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * What /dev/sev-guest and /dev/tdx_guest answer, from the host or the
 * firmware: the first byte says which of them, then come the answers. One is an
 * errno, three numbers, and bytes for the buffers.
 */
#define CALLS_MAX 64

static struct {
	struct reader in;
	unsigned calls;
	uint32_t numbers[3];
	struct span bytes;
	/* Of the last answer. */
	uint8_t report[SNP_REPORT_LEN], quote[TDX_QUOTE_BUF_LEN];
	uint32_t room;
	bool good;
} driver;

static const uint8_t report_data[REPORT_DATA_LEN] = { 1, 2, 3, [63] = 4 };

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void *
user_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

/* The errno; 0 for an answer. Whoever asks for ever is at fault. */
static int
next_answer(void)
{
	int err = read_u8(&driver.in);

	must(driver.calls++ < CALLS_MAX);
	for (size_t i = 0; i < NELEMS(driver.numbers); i++)
		driver.numbers[i] = read_le32(&driver.in);
	driver.bytes = read_span(&driver.in, read_le16(&driver.in));
	return driver.in.failed ? EIO : err;
}

/* As many of the answer's bytes as there is room for. */
static void
fill(void *to, size_t room)
{
	size_t n = driver.bytes.len < room ? driver.bytes.len : room;

	if (n == 0)
		return;
	memcpy(to, driver.bytes.data, n);
	driver.bytes.data += n;
	driver.bytes.len -= n;
}

static int
fail(int err)
{
	errno = err;
	return err != 0 ? -1 : 0;
}

static int
sev_ioctl(int fd, unsigned long request, void *arg)
{
	struct sev_request *io = arg;
	struct sev_ext_report_req *req = user_pointer(io->req_data);
	uint8_t *resp = user_pointer(io->resp_data);
	bool extended = request == SEV_GET_EXT_REPORT;
	int err = next_answer();

	must(fd >= 0 && (extended || request == SEV_GET_REPORT));
	must(io->msg_version == 1 && io->fw_error == 0 && io->vmm_error == 0);
	must(memcmp(req->data.user_data, report_data, 64) == 0);
	must(req->data.vmpl == 2 && (extended == (req->certs_len > 0)) &&
	    req->certs_len % SEV_PAGE == 0 &&
	    req->certs_len <= EVIDENCE_AUX_MAX);
	/* Of an earlier answer no byte is left. */
	must(span_is_filled(span(resp, SEV_REPORT_RESP_LEN), 0));
	must(!extended ||
	    span_is_filled(span(user_pointer(req->certs_address),
			       req->certs_len),
		0));
	driver.room = req->certs_len;
	io->fw_error = driver.numbers[0];
	io->vmm_error = driver.numbers[1];
	fill(resp, SEV_REPORT_RESP_LEN);
	if (extended)
		fill(user_pointer(req->certs_address), req->certs_len);
	if (driver.numbers[2] != 0)
		req->certs_len = driver.numbers[2];
	memcpy(driver.report, resp + 0x20, SNP_REPORT_LEN);
	driver.good = err == 0 && io->fw_error == 0 && io->vmm_error == 0 &&
	    span_is_filled(span(resp, 4), 0);
	return fail(err);
}

static int
tdx_ioctl(int fd, unsigned long request, void *arg)
{
	struct tdx_quote_req *req = arg;
	struct tdx_report_req *report = arg;
	struct tdx_quote_buf *quote;
	int err = next_answer();

	must(fd >= 0);
	if (request == TDX_GET_REPORT0) {
		must(memcmp(report->reportdata, report_data, 64) == 0);
		fill(report->tdreport, sizeof(report->tdreport));
		memcpy(driver.quote, report->tdreport, TDX_REPORT_LEN);
		driver.good = false;
		return fail(err);
	}
	quote = user_pointer(req->buf);
	must(req->len == sizeof(*quote) && quote->version == 1 &&
	    quote->status == 0 && quote->in_len == TDX_REPORT_LEN &&
	    quote->out_len == 0 &&
	    span_is_filled(span(quote->data + TDX_REPORT_LEN,
			       sizeof(quote->data) - TDX_REPORT_LEN),
		0));
	quote->status = driver.numbers[0] | (uint64_t)driver.numbers[1] << 32;
	quote->out_len = driver.numbers[2];
	fill(quote->data, sizeof(quote->data));
	memcpy(driver.quote, quote->data, sizeof(quote->data));
	driver.good = err == 0 && quote->status == TDX_QUOTE_DONE;
	return fail(err);
}

/* What was taken is the last answer's, and only that. */
static void
check_report(const struct tsm_report *r, bool tdx)
{
	must(r->simulated && driver.good);
	if (tdx) {
		must(r->outblob.len == driver.numbers[2] &&
		    r->outblob.len <= TDX_QUOTE_BUF_LEN - 24 &&
		    memcmp(r->outblob.data, driver.quote, r->outblob.len) == 0);
		must(r->auxblob.len == 0);
		return;
	}
	must(r->outblob.len == SNP_REPORT_LEN &&
	    memcmp(r->outblob.data, driver.report, SNP_REPORT_LEN) == 0);
	must(r->auxblob.len <= driver.room);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tee_device dev = { .path = "/dev/null" };
	struct tsm_report r = { 0 };
	struct why why = { 0 };
	bool tdx;
	int err;

	driver.in = reader_init(span(data, size));
	driver.calls = 0;
	driver.good = false;
	tdx = (read_u8(&driver.in) & 1) != 0;
	dev.call = tdx ? tdx_ioctl : sev_ioctl;
	err = (tdx ? tdx_guest_get_report : sev_guest_get_report)(&dev,
	    tdx ? 0 : 2, report_data, /* timeout_ms= */ 0, &r, &why);
	if (err == CVM_OK)
		check_report(&r, tdx);
	else
		must(r.outblob.len == 0 && r.auxblob.len == 0 &&
		    (err == CVM_E_NOMEM || why.got[0] != '\0'));
	tsm_report_clear(&r);
	return 0;
}
