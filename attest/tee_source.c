/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "attest/hcl_collect.h"
#include "attest/tee_source.h"

const char *
tee_provider(enum tee_kind tee)
{
	return tee == TEE_TDX ? "tdx_guest" : "sev_guest";
}

const char *
tee_device_path(const struct config_evidence *cfg, enum tee_kind tee)
{
	return tee == TEE_TDX ? cfg->tdx_guest : cfg->sev_guest;
}

/*
 * A directory that is there and refuses is an answer, and no reason to look
 * elsewhere. Without either, what configfs-tsm says is what an operator needs:
 * it is where today's kernels have it.
 */
bool
tee_uses_device(const struct config_evidence *cfg, enum tee_kind tee)
{
	return access(cfg->tsm, F_OK) != 0 &&
	    (errno == ENOENT || errno == ENOTDIR) &&
	    access(tee_device_path(cfg, tee), F_OK) == 0;
}

int
tee_source_report(const struct tee_source *s, unsigned level,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why)
{
	struct tee_device dev = { tee_device_path(s->cfg, s->tee), s->call };

	if (s->paravisor != NULL)
		return hcl_get_report(s->paravisor, report_data, timeout_ms,
		    ret, reterr_why);
	if (s->svsm)
		return tsm_get_svsm_report(s->cfg->tsm, report_data, timeout_ms,
		    ret, reterr_why);
	if (!tee_uses_device(s->cfg, s->tee))
		return tsm_get_report(s->cfg->tsm, tee_provider(s->tee), level,
		    report_data, timeout_ms, ret, reterr_why);
	return (s->tee == TEE_TDX ? tdx_guest_get_report :
				    sev_guest_get_report)(&dev, level,
	    report_data, timeout_ms, ret, reterr_why);
}

int
tee_source_floor(const struct tee_source *s, unsigned *ret_level,
    struct why *reterr_why)
{
	if (s->paravisor == NULL && !tee_uses_device(s->cfg, s->tee))
		return tsm_privlevel_floor(s->cfg->tsm, tee_provider(s->tee),
		    ret_level, reterr_why);
	*ret_level = 0;
	return CVM_OK;
}

bool
tee_source_other(const struct tee_source *s, const struct why *why)
{
	enum tee_kind other = s->tee == TEE_TDX ? TEE_SNP : TEE_TDX;

	return strcmp(why->field, "provider") == 0 ||
	    (s->paravisor == NULL && !tee_uses_device(s->cfg, s->tee) &&
		tee_uses_device(s->cfg, other));
}
