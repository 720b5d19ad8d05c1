/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attest/retry.h"
#include "attest/sev_guest.h"
#include "attest/snp.h"
#include "attest/tee_device.h"
#include "base/reader.h"

_Static_assert(sizeof(struct sev_request) == 32, "ABI");
_Static_assert(sizeof(struct sev_ext_report_req) == 112, "ABI");

/* Hosts let about one request in two seconds through. */
#define BACK_OFF_MIN_MS 250
#define BACK_OFF_MAX_MS 2000
#define GROWTHS_MAX 3 /* of the room for certificates, in one request */

/* MSG_REPORT_RSP: SEV-SNP firmware ABI (56860), table 24. */
#define RESP_REPORT_AT 0x20

/* One request, and what became of it. */
struct attempt {
	const struct tee_device *dev;
	int fd;
	struct sev_ext_report_req req;
	struct sev_request io;
	uint8_t resp[SEV_REPORT_RESP_LEN];
	uint8_t *certs; /* NULL: without certificates */
	uint32_t room;
	int err; /* errno, or 0 */
};

static void
attempt_clear(struct attempt *a)
{
	free(a->certs);
	a->certs = NULL;
}

static int
make_room(struct attempt *a, uint32_t room)
{
	void *p = NULL;

	attempt_clear(a);
	/* The driver wants whole pages; where they lie is free. */
	if (posix_memalign(&p, SEV_PAGE, room) != 0)
		return CVM_E_NOMEM;
	a->certs = p;
	a->room = room;
	return CVM_OK;
}

/* Asks anew: of an earlier attempt no byte is left. */
static void
ask(struct attempt *a)
{
	unsigned long request = SEV_GET_REPORT;

	memset(a->resp, 0, sizeof(a->resp));
	memset(&a->io, 0, sizeof(a->io));
	a->io.msg_version = 1;
	a->io.req_data = (uint64_t)(uintptr_t)&a->req;
	a->io.resp_data = (uint64_t)(uintptr_t)a->resp;
	a->req.certs_address = 0;
	a->req.certs_len = 0;
	if (a->certs != NULL) {
		memset(a->certs, 0, a->room);
		a->req.certs_address = (uint64_t)(uintptr_t)a->certs;
		a->req.certs_len = a->room;
		request = SEV_GET_EXT_REPORT;
	}
	a->err = tee_device_call(a->dev, a->fd, request, &a->io) < 0 ? errno :
								       0;
}

static bool
wants_room(const struct attempt *a)
{
	return a->certs != NULL && a->io.vmm_error == SEV_VMM_INVALID_LEN;
}

/*
 * Gives the certificates the room that the host asked for. Where it asks for
 * too much, or the driver takes no more, the report is worth having without
 * them: the directory of endorsements has the same certificates.
 */
static int
grow(struct attempt *a)
{
	uint32_t want = a->req.certs_len;

	if (want <= a->room || want > EVIDENCE_AUX_MAX ||
	    want % SEV_PAGE != 0) {
		attempt_clear(a);
		return CVM_OK;
	}
	return make_room(a, want);
}

/* The request, and again at once while only the certificates had no room. */
static int
ask_with_room(struct attempt *a)
{
	bool grown = false;
	int r;

	ask(a);
	for (unsigned i = 0; wants_room(a); i++) {
		if (i == GROWTHS_MAX)
			attempt_clear(a);
		else if ((r = grow(a)) != CVM_OK)
			return r;
		grown = true;
		ask(a);
	}
	if (grown && a->certs != NULL && a->err == EINVAL) {
		attempt_clear(a);
		ask(a);
	}
	return CVM_OK;
}

static bool
is_busy(const struct attempt *a)
{
	if (a->io.vmm_error == SEV_VMM_BUSY)
		return true;
	return a->io.vmm_error == 0 && a->io.fw_error == 0 &&
	    a->err != ETIMEDOUT && retry_helps(a->err);
}

/* What stopped the request: the firmware, the host or the driver. */
static int
refuse(const struct attempt *a, struct why *why)
{
	const char *path = a->dev->path;
	int r;

	if (a->io.fw_error != 0)
		return why_setf(why, CVM_E_UNREACHABLE, path, "fw_error", "0",
		    "0x%x of the SEV-SNP firmware", a->io.fw_error);
	if (a->io.vmm_error == SEV_VMM_BUSY)
		return why_set(why, CVM_E_UNREACHABLE, path, "vmm_error", "0",
		    "2: the host is busy (throttled)");
	if (a->io.vmm_error != 0)
		return why_setf(why, CVM_E_UNREACHABLE, path, "vmm_error", "0",
		    "0x%x of the host", a->io.vmm_error);
	r = tee_device_refuse(a->dev, "SNP_GET_REPORT", a->err, why);
	/* drivers/virt/coco/sev-guest: after a message that may or may not have
	 * counted, the key is never used again: its sequence would repeat. */
	if (a->err == ENOTTY || a->err == ETIMEDOUT || a->err == EBADMSG)
		why_hint(why,
		    "the kernel gave up the guest's message key (dmesg tells): "
		    "no reports until this VM is rebooted");
	return r;
}

/* The answer's own status and length, and the report. */
static int
read_report(const struct attempt *a, struct tsm_report *ret, struct why *why)
{
	struct reader in = reader_init(span(a->resp, sizeof(a->resp)));
	uint32_t status = read_le32(&in), len = read_le32(&in);

	read_skip(&in, RESP_REPORT_AT - in.pos);
	if (status != 0)
		return why_setf(why, CVM_E_UNREACHABLE, a->dev->path, "status",
		    "0", "0x%x%s", status,
		    status == 0x16 ? ": invalid parameters" : "");
	if (len != SNP_REPORT_LEN)
		return why_setf(why, CVM_E_UNREACHABLE, a->dev->path,
		    "report size", "1184", "%u", len);
	if (blob_set(&ret->outblob, read_span(&in, SNP_REPORT_LEN)) != CVM_OK)
		return why_set(why, CVM_E_NOMEM, a->dev->path, "", "", "");
	return CVM_OK;
}

/* How much of the room the certificate table takes: entries say how far they
 * reach. What they mean is judged later. */
static size_t
table_len(struct span room)
{
	struct reader in = reader_init(room);
	uint64_t end = 0;

	for (;;) {
		struct span guid = read_span(&in, 16);
		uint64_t offset = read_le32(&in), len = read_le32(&in);

		if (in.failed)
			return room.len;
		if (span_is_filled(guid, 0) && offset == 0 && len == 0)
			break;
		if (offset + len > end)
			end = offset + len;
	}
	if (in.pos == 24) /* nothing but the end */
		return 0;
	end = end > in.pos ? end : in.pos;
	return end < room.len ? (size_t)end : room.len;
}

static int
read_answer(const struct attempt *a, struct tsm_report *ret, struct why *why)
{
	struct span certs = { 0 };
	int r = read_report(a, ret, why);

	if (r != CVM_OK || a->certs == NULL)
		return r;
	certs = span(a->certs, a->room);
	certs.len = table_len(certs);
	if (blob_set(&ret->auxblob, certs) != CVM_OK)
		return why_set(why, CVM_E_NOMEM, a->dev->path, "", "", "");
	return CVM_OK;
}

static int
ask_in_time(struct attempt *a, uint32_t timeout_ms, struct why *why)
{
	struct retry retry = retry_within(timeout_ms, BACK_OFF_MIN_MS,
	    BACK_OFF_MAX_MS);
	int r;

	for (;;) {
		r = ask_with_room(a);
		if (r != CVM_OK)
			return why_set(why, r, a->dev->path, "", "", "");
		if (a->err == 0 && a->io.fw_error == 0 && a->io.vmm_error == 0)
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
sev_guest_get_report(const struct tee_device *dev, unsigned level,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why)
{
	static const char *const names[] = { "sev-guest" };
	_cleanup_(attempt_clear) struct attempt a = { .dev = dev, .fd = -1 };
	_cleanup_(closep) int fd = -1;
	_cleanup_(tsm_report_clear) struct tsm_report out = {
		.provider = "sev_guest"
	};
	int r = tee_device_open(dev, "sev-guest", &fd, reterr_why);

	if (r != CVM_OK)
		return r;
	a.fd = fd;
	a.req.data.vmpl = level;
	memcpy(a.req.data.user_data, report_data, REPORT_DATA_LEN);
	if (make_room(&a, SEV_CERTS_FIRST) != CVM_OK)
		return why_set(reterr_why, CVM_E_NOMEM, dev->path, "", "", "");
	if ((r = ask_in_time(&a, timeout_ms, reterr_why)) != CVM_OK ||
	    (r = read_answer(&a, &out, reterr_why)) != CVM_OK)
		return r;
	out.simulated = !tee_device_is_kernels(fd, names, NELEMS(names));
	tsm_report_clear(ret);
	*ret = out;
	out = (struct tsm_report){ 0 };
	return CVM_OK;
}
