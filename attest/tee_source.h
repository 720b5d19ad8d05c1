/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_TEE_SOURCE_H
#define ATTEST_TEE_SOURCE_H

#include "attest/tee_device.h"
#include "attest/vtpm.h"

/* Where TEE reports come from: configfs-tsm, and where there is no such
 * directory, the device that was there before it; or a paravisor. */
struct tee_source {
	const struct config_evidence *cfg;
	enum tee_kind tee;	/* TEE_SNP or TEE_TDX */
	tee_ioctl call;		/* NULL: ioctl(2) */
	bool svsm;		/* the vTPM service of an SVSM is asked */
	struct vtpm *paravisor; /* Azure's, or NULL: the kernel is asked */
};

/* As tsm_get_report(), from whichever there is. A paravisor's own level is the
 * only one that it has reports of. */
int tee_source_report(const struct tee_source *s, unsigned level,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why) _must_check_;
/* As tsm_privlevel_floor(); others do not tell, and are asked for 0. */
int tee_source_floor(const struct tee_source *s, unsigned *ret_level,
    struct why *reterr_why) _must_check_;

/* After this failure, is it worth asking for the other vendor's TEE? */
bool tee_source_other(const struct tee_source *s, const struct why *why);

/* The name that configfs-tsm has for the provider. */
const char *tee_provider(enum tee_kind tee);
/* The path of the device: of the configuration. */
const char *tee_device_path(const struct config_evidence *cfg,
    enum tee_kind tee);
/* True when reports come from the device: no configfs-tsm, but a device. */
bool tee_uses_device(const struct config_evidence *cfg, enum tee_kind tee);

#endif
