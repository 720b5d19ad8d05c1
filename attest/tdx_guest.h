/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_TDX_GUEST_H
#define ATTEST_TDX_GUEST_H

#include <stdint.h>
#include <sys/ioctl.h>

/*
 * What /dev/tdx_guest is asked with: Linux, include/uapi/linux/tdx-guest.h, and
 * the quote request that never went into kernel.org's kernel, whose number
 * differs between the vendors that carried it. The buffer is that of Intel's
 * GHCI 1.5, section 3.3, TDG.VP.VMCALL<GetQuote>.
 */
#define TDX_REPORT_LEN 1024
#define TDX_QUOTE_BUF_LEN (4 * 4096)

struct tdx_report_req {
	uint8_t reportdata[64];
	uint8_t tdreport[TDX_REPORT_LEN];
};

struct tdx_quote_req {
	uint64_t buf, len;
};

struct tdx_quote_buf {
	uint64_t version; /* 1 */
	uint64_t status;
	uint32_t in_len, out_len;
	uint8_t data[TDX_QUOTE_BUF_LEN - 24];
};

#define TDX_QUOTE_DONE UINT64_C(0)
#define TDX_QUOTE_IN_FLIGHT UINT64_MAX
#define TDX_QUOTE_ERROR UINT64_C(0x8000000000000000)
#define TDX_QUOTE_UNAVAILABLE UINT64_C(0x8000000000000001)

#define TDX_GET_REPORT0 _IOWR('T', 1, struct tdx_report_req)
#define TDX_GET_QUOTE_4 _IOR('T', 4, struct tdx_quote_req)
#define TDX_GET_QUOTE_4W _IOWR('T', 4, struct tdx_quote_req)
#define TDX_GET_QUOTE_2 _IOR('T', 2, struct tdx_quote_req)
#define TDX_GET_QUOTE_2W _IOWR('T', 2, struct tdx_quote_req)

#endif
