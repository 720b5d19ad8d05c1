/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_SEV_GUEST_H
#define ATTEST_SEV_GUEST_H

#include <stdint.h>
#include <sys/ioctl.h>

/*
 * What /dev/sev-guest is asked with: Linux, include/uapi/linux/sev-guest.h and
 * Documentation/virt/coco/sev-guest.rst. Written out here, because the headers
 * of the machine that builds need not be those of the machine that runs.
 */
#define SEV_REPORT_RESP_LEN 4000
#define SEV_PAGE 4096u
/* What the driver takes at most (SEV_FW_BLOB_MAX_SIZE). */
#define SEV_CERTS_FIRST (4 * SEV_PAGE)

struct sev_report_req {
	uint8_t user_data[64];
	uint32_t vmpl;
	uint8_t rsvd[28];
};

struct sev_ext_report_req {
	struct sev_report_req data;
	uint64_t certs_address;
	uint32_t certs_len;
};

struct sev_request {
	uint8_t msg_version; /* 1 */
	uint64_t req_data;
	uint64_t resp_data;
	uint32_t fw_error;  /* SEV-SNP firmware's, low half of EXITINFO2 */
	uint32_t vmm_error; /* the host's */
};

enum sev_vmm_error {
	SEV_VMM_INVALID_LEN = 1, /* the certificates need more room */
	SEV_VMM_BUSY = 2,	 /* throttled */
};

#define SEV_GET_REPORT _IOWR('S', 0x0, struct sev_request)
#define SEV_GET_EXT_REPORT _IOWR('S', 0x2, struct sev_request)

#endif
