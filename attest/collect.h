/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_COLLECT_H
#define ATTEST_COLLECT_H

#include "attest/evidence.h"
#include "attest/tee_source.h"
#include "attest/vtpm.h"
#include "conf/config.h"

/*
 * Collects what one round needs, in the order that binds: the AK's name, then
 * a TEE report whose REPORT_DATA names it, then a TPM quote that names the
 * report. A TEE report may be younger than it needs to be and is shared.
 */
struct collector {
	const struct config *cfg;
	const struct policy *policy;
	struct vtpm *vtpm; /* NULL when the policy uses no TPM */
	tee_ioctl call;	   /* of a TEE's device; NULL: ioctl(2) */
	/* The TEE report in use. */
	struct blob report, aux, hcl, manifest;
	/* The EK and the AK that were proven to be in one TPM. */
	struct blob proof_ek, proof_ak;
	bool activated;
	uint8_t report_data[REPORT_DATA_LEN];
	uint8_t report_root[SHA256_LEN];
	uint64_t report_ns; /* CLOCK_BOOTTIME when asked for; 0: none */
	int64_t report_time;
	bool report_simulated;
	uint64_t refresh_ns; /* CLOCK_BOOTTIME: no earlier refresh */
	/* The event log in use, and the quoted PCRs that it explained. */
	struct blob log;
	struct pcr_values log_pcrs;
	bool log_simulated;
};

/* Forgets the TEE report and the log: after a denial. */
void collector_forget(struct collector *c);
/* The same after a fork in the middle of a collection: frees nothing. */
void collector_abandon(struct collector *c);

/*
 * Evidence over root. fresh_tee asks for a TEE report of this round whatever
 * the age of the one in use. CVM_E_UNREACHABLE with the source's why.
 */
int collect(struct collector *c, const uint8_t root[static SHA256_LEN],
    bool fresh_tee, struct evidence *ret, struct why *reterr_why) _must_check_;

#endif
