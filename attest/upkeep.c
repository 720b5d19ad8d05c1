/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/upkeep.h"

const char *const upkeep_kinds[UPKEEP_COUNT] = {
	[UPKEEP_ARK] = "AMD root key certificate",
	[UPKEEP_ASK] = "AMD SEV key certificate",
	[UPKEEP_CRL_VCEK] = "AMD CRL",
	[UPKEEP_ASVK] = "AMD SEV-VLEK key certificate",
	[UPKEEP_CRL_VLEK] = "AMD CRL",
	[UPKEEP_VEK] = "AMD report signing key certificate",
	[UPKEEP_ROOT_CRL] = "Intel root CRL",
	[UPKEEP_PCK_CRL] = "Intel PCK CRL",
	[UPKEEP_PCK_CRL_CHAIN] = "issuers of the PCK CRL",
	[UPKEEP_TCB_INFO] = "Intel TCB info",
	[UPKEEP_TCB_INFO_CHAIN] = "issuers of the TCB info",
	[UPKEEP_QE_IDENTITY] = "Intel QE identity",
	[UPKEEP_QE_IDENTITY_CHAIN] = "issuers of the QE identity",
	[UPKEEP_LAUNCH] = "Google's endorsement of the firmware",
	[UPKEEP_AK_CRL] = "CRL of the attestation key's issuer",
	[UPKEEP_AK_CA_CRL] = "CRL of the attestation key's root",
};

void
upkeep_want(struct upkeep *u, enum upkeep_id id, const char *fmt, ...)
{
	va_list ap;

	u->file[id].wanted = true;
	va_start(ap, fmt);
	(void)vsnprintf(u->file[id].name, UPKEEP_NAME_MAX, fmt, ap);
	va_end(ap);
}

static void
note_dates(struct upkeep_file *f, int64_t from, int64_t until)
{
	f->issued = from;
	f->expires = until;
}

void
upkeep_note_cert(struct upkeep_file *f, const struct cert *x)
{
	(void)cert_name(x, f->about, CERT_NAME_MAX);
	note_dates(f, x->from, x->until);
}

void
upkeep_note_crl(struct upkeep_file *f, const struct crl *crl)
{
	struct span cn;

	note_dates(f, crl->from, crl->until);
	if (name_text(crl->issuer, NAME_COMMON, &cn) != CVM_OK)
		return;
	(void)snprintf(f->about, sizeof(f->about), "issued by %.*s",
	    (int)cn.len, (const char *)cn.data);
	for (char *c = f->about; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

int
upkeep_init(struct span report, struct span aux, const struct policy *policy,
    enum snp_product product, int64_t now, struct upkeep *ret,
    struct why *reterr_why)
{
	static const struct policy none = { .tee = TEE_NONE };
	bool snp = report.len == SNP_REPORT_LEN;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->policy = policy != NULL ? policy : &none;
	ret->tee = snp ? TEE_SNP : TEE_TDX;
	r = snp ? upkeep_init_snp(ret, report, aux, product, reterr_why) :
		  upkeep_init_tdx(ret, report, now, reterr_why);
	if (r < 0)
		upkeep_clear(ret);
	return r;
}

void
upkeep_clear(struct upkeep *u)
{
	tdx_run_clear(&u->run);
}

void
upkeep_init_tpm(struct upkeep *u, const struct policy *policy)
{
	memset(u, 0, sizeof(*u));
	u->tee = TEE_NONE;
	u->policy = policy;
}

void
upkeep_look(struct upkeep *u, enum upkeep_id id, const struct endorsements *e)
{
	struct upkeep_file *f = &u->file[id];

	f->present = endorsements_find(e, f->name).len > 0;
	f->about[0] = '\0';
	f->issued = f->expires = 0;
	memset(&f->why, 0, sizeof(f->why));
	if (f->wanted && !f->present)
		(void)why_set(&f->why, CVM_E_NOT_FOUND, f->name, "",
		    upkeep_kinds[id], "no such file, or an empty one");
}

void
upkeep_judge(struct upkeep *u, const struct endorsements *e, int64_t now)
{
	for (enum upkeep_id i = 0; i < UPKEEP_COUNT; i++)
		upkeep_look(u, i, e);
	if (u->tee == TEE_SNP)
		upkeep_judge_snp(u, e, now);
	else if (u->tee == TEE_TDX)
		upkeep_judge_tdx(u, e, now);
	if (u->tee != TEE_NONE)
		upkeep_judge_launch(u, e, now);
	upkeep_judge_ak(u, e, now);
}
