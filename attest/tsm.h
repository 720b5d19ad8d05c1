/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_TSM_H
#define ATTEST_TSM_H

#include "attest/evidence.h"
#include "conf/config.h"

/*
 * One report through configfs-tsm (Linux Documentation/ABI/testing/
 * configfs-tsm). A private, randomly named directory; generation is read
 * again afterwards; EBUSY, EAGAIN and a moved generation are retried with
 * back-off within timeout_ms; an empty outblob, an unexpected provider and a
 * full time-out are errors by name (CVM_E_UNREACHABLE). The directory is
 * removed on every path.
 */
#define TSM_PROVIDER_MAX 32

struct tsm_report {
	char provider[TSM_PROVIDER_MAX]; /* "sev_guest" */
	struct blob outblob, auxblob;
	struct blob manifest; /* the SVSM's, with which it is */
	struct blob hcl;      /* the paravisor's, that outblob is of */
	bool simulated;	      /* the directory is not configfs owned by root */
};

/*
 * level is the VMPL (SEV-SNP) that the report is asked for: the kernel refuses
 * one below privlevel_floor. It is written where there is a privlevel; where
 * there is none (TDX), only 0 can be had.
 */
int tsm_get_report(const char *dir, const char *provider, unsigned level,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why) _must_check_;
/* The same from the vTPM service of an SVSM, at level 0: REPORT_DATA is over
 * report_data and ret->manifest. */
int tsm_get_svsm_report(const char *dir,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why) _must_check_;
/* The lowest level that reports can be had for; 0 where there are no levels. */
int tsm_privlevel_floor(const char *dir, const char *provider,
    unsigned *ret_level, struct why *reterr_why) _must_check_;
void tsm_report_clear(struct tsm_report *r);

/* Reads a log whole (at most EVIDENCE_LOG_MAX), O_NOFOLLOW, and says whether
 * it came from securityfs or sysfs owned by root. CVM_E_NOT_FOUND: no file. */
int kernel_log_read(const char *path, struct blob *ret, bool *ret_simulated,
    struct why *reterr_why) _must_check_;

#endif
