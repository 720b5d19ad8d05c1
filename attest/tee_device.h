/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_TEE_DEVICE_H
#define ATTEST_TEE_DEVICE_H

#include "attest/tsm.h"

/*
 * The character devices through which kernels without configfs-tsm give TEE
 * reports: /dev/sev-guest (Linux 5.19) and /dev/tdx_guest (Linux 6.2). One
 * request is one ioctl(2): the kernel counts the messages to the firmware, and
 * each attempt begins with cleared buffers, so that nothing of an attempt that
 * failed can be taken for the answer to a later one.
 */

/* ioctl(2), which tests replace. -1 and errno, or 0 and above. */
typedef int (*tee_ioctl)(int fd, unsigned long request, void *arg);

struct tee_device {
	const char *path;
	tee_ioctl call; /* NULL: ioctl(2) */
};

/*
 * A report at level (the VMPL; SEV-SNP only) over report_data, with the
 * host's certificate table where it has one: ret->simulated is set where path
 * is not the kernel's own device. Retried within timeout_ms while the host is
 * busy. CVM_E_UNREACHABLE with the device, and what the firmware or the host
 * said.
 */
int sev_guest_get_report(const struct tee_device *dev, unsigned level,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why) _must_check_;

/*
 * A quote over report_data. Only kernels with vendors' patches give quotes
 * here; that of kernel.org gives a TDREPORT, which nobody but this platform can
 * verify: CVM_E_UNREACHABLE says so.
 */
int tdx_guest_get_report(const struct tee_device *dev, unsigned level,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why) _must_check_;

/* Opens the device for one request. */
int tee_device_open(const struct tee_device *dev, const char *module, int *ret,
    struct why *reterr_why) _must_check_;
/* Is fd the miscellaneous device that the kernel made under one of the n
 * names, and root's? Anybody's file is not. */
bool tee_device_is_kernels(int fd, const char *const *names, size_t n);
/* -1 with errno, as ioctl(2). */
int tee_device_call(const struct tee_device *dev, int fd, unsigned long request,
    void *arg);
int tee_device_refuse(const struct tee_device *dev, const char *what, int err,
    struct why *why);

#endif
