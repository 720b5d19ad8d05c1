/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "attest/retry.h"
#include "attest/tdx_guest.h"
#include "attest/tee_device.h"

_Static_assert(sizeof(struct tdx_report_req) == 1088, "ABI");
_Static_assert(sizeof(struct tdx_quote_buf) == TDX_QUOTE_BUF_LEN, "ABI");

#define BACK_OFF_MIN_MS 50
#define BACK_OFF_MAX_MS 1000

/* One request, and what became of it. */
struct attempt {
	const struct tee_device *dev;
	int fd;
	const char *what; /* the request that err is of */
	int err;	  /* errno, or 0 */
	struct tdx_report_req report;
	struct tdx_quote_buf quote;
};

static int
call(struct attempt *a, const char *what, unsigned long request, void *arg)
{
	a->what = what;
	a->err = tee_device_call(a->dev, a->fd, request, arg) < 0 ? errno : 0;
	return a->err;
}

/* The kernel refuses numbers that it does not know, and does nothing. */
static bool
is_unknown(int err)
{
	return err == ENOTTY || err == EINVAL;
}

/* The quote over the TDREPORT in hand, by the number that this kernel has. */
static void
ask_quote(struct attempt *a)
{
	static const unsigned long numbers[] = { TDX_GET_QUOTE_4,
		TDX_GET_QUOTE_2, TDX_GET_QUOTE_4W, TDX_GET_QUOTE_2W };
	struct tdx_quote_req req = { (uint64_t)(uintptr_t)&a->quote,
		sizeof(a->quote) };

	for (size_t i = 0; i < NELEMS(numbers); i++) {
		memset(&a->quote, 0, sizeof(a->quote));
		a->quote.version = 1;
		a->quote.in_len = TDX_REPORT_LEN;
		memcpy(a->quote.data, a->report.tdreport, TDX_REPORT_LEN);
		if (!is_unknown(call(a, "TDX_CMD_GET_QUOTE", numbers[i], &req)))
			return;
	}
	a->err = ENOTTY;
}

/* Asks anew: of an earlier attempt no byte is left. */
static void
ask(struct attempt *a, const uint8_t report_data[static REPORT_DATA_LEN])
{
	memset(&a->report, 0, sizeof(a->report));
	memset(&a->quote, 0, sizeof(a->quote));
	memcpy(a->report.reportdata, report_data, REPORT_DATA_LEN);
	if (call(a, "TDX_CMD_GET_REPORT0", TDX_GET_REPORT0, &a->report) == 0)
		ask_quote(a);
}

static bool
is_busy(const struct attempt *a)
{
	if (a->err != 0)
		return retry_helps(a->err);
	return a->quote.status == TDX_QUOTE_IN_FLIGHT ||
	    a->quote.status == TDX_QUOTE_UNAVAILABLE;
}

static int
refuse(const struct attempt *a, struct why *why)
{
	int r;

	if (a->err == 0)
		return why_setf(why, CVM_E_UNREACHABLE, a->dev->path,
		    "quote status", "0", "%016" PRIx64 "%s", a->quote.status,
		    a->quote.status == TDX_QUOTE_UNAVAILABLE ?
			": the host's quoting service is down" :
			"");
	r = tee_device_refuse(a->dev, a->what, a->err, why);
	if (a->err == ENOTTY)
		why_hint(why,
		    "this kernel gives no quotes here: Linux 6.7 gives them in "
		    "configfs (mount -t configfs none /sys/kernel/config)");
	return r;
}

static int
read_quote(const struct attempt *a, struct tsm_report *ret, struct why *why)
{
	uint32_t len = a->quote.out_len;

	if (len == 0 || len > sizeof(a->quote.data))
		return why_setf(why, CVM_E_UNREACHABLE, a->dev->path,
		    "quote length", "1..16360 bytes", "%u", len);
	/* What was sent, unchanged, is no quote. */
	if (len == TDX_REPORT_LEN &&
	    memcmp(a->quote.data, a->report.tdreport, TDX_REPORT_LEN) == 0)
		return why_set(why, CVM_E_UNREACHABLE, a->dev->path, "quote",
		    "a quote", "the TDREPORT that was to be quoted");
	if (blob_set(&ret->outblob, span(a->quote.data, len)) != CVM_OK)
		return why_set(why, CVM_E_NOMEM, a->dev->path, "", "", "");
	return CVM_OK;
}

static int
ask_in_time(struct attempt *a, const uint8_t *report_data, uint32_t timeout_ms,
    struct why *why)
{
	struct retry retry = retry_within(timeout_ms, BACK_OFF_MIN_MS,
	    BACK_OFF_MAX_MS);
	int r;

	for (;;) {
		ask(a, report_data);
		if (a->err == 0 && a->quote.status == TDX_QUOTE_DONE)
			return CVM_OK;
		if (!is_busy(a))
			return refuse(a, why);
		if (!retry_wait(&retry)) {
			r = refuse(a, why);
			why_hint(why, "tried for %u ms (evidence.timeout_ms)",
			    timeout_ms);
			return r;
		}
	}
}

int
tdx_guest_get_report(const struct tee_device *dev, unsigned level,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why)
{
	/* The second name is that of vendors' kernels before 6.2. */
	static const char *const names[] = { "tdx_guest", "tdx-guest" };
	struct attempt a = { .dev = dev, .fd = -1 };
	_cleanup_(closep) int fd = -1;
	_cleanup_(tsm_report_clear) struct tsm_report out = {
		.provider = "tdx_guest"
	};
	int r;

	if (level != 0)
		return why_setf(reterr_why, CVM_E_UNREACHABLE, dev->path,
		    "level", "0", "%u", level);
	if ((r = tee_device_open(dev, "tdx_guest", &fd, reterr_why)) != CVM_OK)
		return r;
	a.fd = fd;
	if ((r = ask_in_time(&a, report_data, timeout_ms, reterr_why)) !=
		CVM_OK ||
	    (r = read_quote(&a, &out, reterr_why)) != CVM_OK)
		return r;
	out.simulated = !tee_device_is_kernels(fd, names, NELEMS(names));
	tsm_report_clear(ret);
	*ret = out;
	out = (struct tsm_report){ 0 };
	return CVM_OK;
}
