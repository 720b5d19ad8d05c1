/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "conf/policy.h"

#define PCR(i) (1u << (i))

static uint32_t
pcrs(const struct policy *p)
{
	return p->has_tpm ? p->tpm.pcr_sets[0].mask : 0;
}

/* A log proves what the named registers cover, and no more. Without a TPM these
 * are RTMRs (UEFI 2.10, 38.4.1). */
static bool
unproven(const struct policy *p, bool wanted, unsigned pcr)
{
	static const uint8_t rtmr[] = { 0, 0, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2,
		2, 2, 2 };

	if (p->has_tpm)
		return wanted && (pcrs(p) & PCR(pcr)) == 0;
	return wanted &&
	    (p->tdx.n_rtmr_sets == 0 ||
		(p->tdx.rtmr_sets[0].mask & 1u << rtmr[pcr]) == 0);
}

/*
 * What runs after the boot loader: 8 and 9 (GRUB: command line; kernel and
 * initrd), 10 (IMA), 11 (systemd-stub: the parts of a unified kernel image).
 */
static bool
stops_at_loader(const struct policy *p)
{
	return p->has_tpm &&
	    (pcrs(p) & (PCR(8) | PCR(9) | PCR(10) | PCR(11))) == 0;
}

static bool
half_of_grub(const struct policy *p)
{
	uint32_t grub = pcrs(p) & (PCR(8) | PCR(9));

	return (pcrs(p) & (PCR(10) | PCR(11))) == 0 &&
	    (grub == PCR(8) || grub == PCR(9));
}

static bool
no_firmware_pcr(const struct policy *p)
{
	return p->has_tpm && (pcrs(p) & PCR(0)) == 0;
}

static bool
no_loader_pcr(const struct policy *p)
{
	return p->has_tpm && (pcrs(p) & PCR(4)) == 0;
}

static bool
snp_alone(const struct policy *p)
{
	return p->tee == TEE_SNP && !p->has_tpm;
}

static bool
mrtd_alone(const struct policy *p)
{
	return p->tee == TEE_TDX && !p->has_tpm && p->tdx.n_rtmr_sets == 0;
}

static bool
no_report(const struct policy *p)
{
	return p->tee == TEE_NONE || p->tee == TEE_SEV;
}

static bool
provider_tpm(const struct policy *p)
{
	return p->has_tpm && p->tpm.ak_trust != AK_TRUST_TEE &&
	    p->tpm.ak_trust != AK_TRUST_AZURE &&
	    p->tpm.ak_trust != AK_TRUST_SVSM;
}

static bool
guest_names_ak(const struct policy *p)
{
	return p->has_tpm && p->tpm.ak_trust == AK_TRUST_TEE &&
	    p->tpm.ak_names.n == 0;
}

static bool
ak_not_bound(const struct policy *p)
{
	return p->has_tpm && p->tpm.ak_trust == AK_TRUST_GCE &&
	    p->tpm.instance.instance_id == NULL;
}

static bool
not_production(const struct policy *p)
{
	return p->has_tpm && p->tpm.ak_trust == AK_TRUST_GCE &&
	    !p->tpm.instance.production;
}

static bool
debuggable(const struct policy *p)
{
	return (p->tee == TEE_SNP && p->snp.debug != FORBID) ||
	    (p->tee == TEE_TDX && p->tdx.debug != FORBID);
}

static bool
movable(const struct policy *p)
{
	return (p->tee == TEE_SNP && p->snp.migrate_ma != FORBID) ||
	    (p->tee == TEE_TDX && p->tdx.migratable != FORBID);
}

static bool
no_min_tcb(const struct policy *p)
{
	static const struct snp_tcb zero;

	return p->tee == TEE_SNP &&
	    memcmp(&p->snp.min_tcb, &zero, sizeof(zero)) == 0;
}

static bool
provisional(const struct policy *p)
{
	return p->tee == TEE_SNP && p->snp.provisional_firmware;
}

static bool
no_crl(const struct policy *p)
{
	return p->tee == TEE_SNP && !p->snp.require_crl;
}

static bool
no_ak_crl(const struct policy *p)
{
	return p->has_tpm && p->tpm.ak_trust == AK_TRUST_GCE &&
	    !p->tpm.require_crl;
}

static bool
any_chip(const struct policy *p)
{
	return p->tee == TEE_SNP && p->snp.masked_chip_id;
}

static bool
low_privilege(const struct policy *p)
{
	return p->tee == TEE_SNP && p->snp.vmpl != 0;
}

static bool
own_roots(const struct policy *p)
{
	return (p->tee == TEE_SNP && p->snp.roots.n > 0) ||
	    (p->tee == TEE_TDX && p->tdx.roots.n > 0);
}

static bool
weak_tcb_status(const struct policy *p)
{
	if (p->tee != TEE_TDX)
		return false;
	for (size_t i = 0; i < p->tdx.tcb_status.n; i++)
		if (strcmp(p->tdx.tcb_status.v[i], "UpToDate") != 0 &&
		    strcmp(p->tdx.tcb_status.v[i], "SWHardeningNeeded") != 0)
			return true;
	return false;
}

static bool
ve_enabled(const struct policy *p)
{
	return p->tee == TEE_TDX && p->tdx.sept_ve_disable != REQUIRE;
}

static bool
trailing(const struct policy *p)
{
	return p->tee == TEE_TDX && p->tdx.trailing_bytes;
}

static bool
perfmon(const struct policy *p)
{
	return p->tee == TEE_TDX && p->tdx.perfmon != FORBID;
}

static bool
old_admissions(const struct policy *p)
{
	return p->bind == BIND_SESSION && p->session_max_age_s > 3600;
}

static bool
old_reports(const struct policy *p)
{
	return !no_report(p) && p->tee_report_max_age_s > 3600;
}

static bool
older_collateral(const struct policy *p)
{
	return p->older_collateral;
}

static bool
cmdline_unproven(const struct policy *p)
{
	bool wanted = p->log.kernel_cmdline.n > 0 || p->log.grub_cmd.n > 0;

	/* GRUB writes these events to PCR 8, systemd-stub to PCR 12. */
	return unproven(p, wanted, 8) &&
	    (p->log.grub_cmd.n > 0 || unproven(p, wanted, 12));
}

static bool
apps_unproven(const struct policy *p)
{
	return unproven(p, p->log.efi_apps.n > 0, 4);
}

static bool
secure_boot_unproven(const struct policy *p)
{
	const struct policy_event_log *l = &p->log;

	return unproven(p,
	    l->secure_boot != ANY || l->authorities.n > 0 ||
		l->secure_boot_keys.n > 0 || l->dbx.n > 0 ||
		l->min_sbat_level > 0 || l->dma_protection,
	    7);
}

static bool
boot_variables_unproven(const struct policy *p)
{
	return unproven(p, p->log.boot_variables.n > 0, 1);
}

static bool
firmware_unproven(const struct policy *p)
{
	return unproven(p,
	    p->log.technology.n > 0 || p->log.min_gce_firmware > 0, 0);
}

static bool
exit_unproven(const struct policy *p)
{
	return unproven(p, p->log.exit_boot_services, 5);
}

static bool
no_secure_boot(const struct policy *p)
{
	return p->log.present && p->log.secure_boot == FORBID;
}

static const struct {
	bool (*applies)(const struct policy *p);
	const char *sentence;
} warnings[] = {
	{ stops_at_loader,
	    "The PCRs stop at the boot loader: without 8 and 9"
	    " (GRUB), 10 (IMA) or 11 (unified kernel image), kernel command"
	    " line, initrd and root file system are not covered, unless PCR 4"
	    " measures a unified kernel image." },
	{ half_of_grub,
	    "Of PCRs 8 (GRUB's commands and the kernel command"
	    " line) and 9 (kernel and initrd) only one is selected." },
	{ no_firmware_pcr,
	    "PCR 0 is not selected: the firmware of the"
	    " machine is not covered." },
	{ no_loader_pcr,
	    "PCR 4 is not selected: the boot loader is not"
	    " covered." },
	{ snp_alone,
	    "There is no \"tpm\": the launch measurement covers the"
	    " firmware, and the software after it only where the firmware"
	    " checks it." },
	{ mrtd_alone,
	    "There are neither \"rtmr_sets\" nor \"tpm\": MRTD covers"
	    " the firmware and nothing that it starts." },
	{ no_report,
	    "\"tee\" has no report: that the machine is confidential"
	    " is the word of the provider's vTPM." },
	{ provider_tpm,
	    "The vTPM is trusted by its certificate or name, not"
	    " bound by a TEE report: its provider can forge its quotes." },
	{ guest_names_ak,
	    "\"trust\" is \"tee\" without \"names\": on the machine"
	    " itself this does, but its bundles and receipts are denied"
	    " elsewhere, where the guest's word on its key is not enough." },
	{ ak_not_bound,
	    "No \"instance_id\" is named: quotes of another"
	    " instance of the provider are accepted." },
	{ not_production,
	    "\"production\" is false: quotes of the provider's"
	    " test machines are accepted." },
	{ debuggable,
	    "Debugging is not forbidden: the host can read and"
	    " write the memory of such a guest." },
	{ movable,
	    "Migration is not forbidden: another agent can hold the"
	    " memory of such a guest." },
	{ no_min_tcb,
	    "\"min_tcb\" asks nothing: firmware with known holes is"
	    " accepted." },
	{ provisional,
	    "Provisional firmware is accepted: the host can go"
	    " back to the older, committed one." },
	{ no_crl, "\"crl\" is \"skip\": revoked AMD keys are accepted." },
	{ no_ak_crl,
	    "\"crl\" of the AK is \"skip\": certificates of thirty years are"
	    " not looked up in a revocation list." },
	{ any_chip,
	    "A masked chip id is accepted: the report does not tell"
	    " machines apart." },
	{ low_privilege,
	    "\"vmpl\" is not 0: software at a higher privilege"
	    " level of the guest is trusted too." },
	{ own_roots,
	    "\"roots\" replace the vendor's: who holds their keys can"
	    " make any report." },
	{ weak_tcb_status,
	    "\"tcb_status\" accepts platforms that Intel calls"
	    " out of date or badly configured." },
	{ ve_enabled,
	    "SEPT_VE_DISABLE is not required: the host can inject"
	    " #VE on the guest's private pages." },
	{ trailing,
	    "Bytes after the quote are accepted; no signature covers"
	    " them." },
	{ perfmon,
	    "PERFMON is not forbidden: performance counters can leak"
	    " what the guest computes." },
	{ old_admissions,
	    "\"session_max_age_s\" is more than an hour: what"
	    " changes meanwhile goes unseen." },
	{ old_reports, "\"tee_report_max_age_s\" is more than an hour." },
	{ older_collateral,
	    "\"older_collateral\" is \"warn\": who can write to the"
	    " directory of collateral can hide a revocation or a TCB recovery"
	    " that was known." },
	{ cmdline_unproven,
	    "\"kernel_cmdline\" and \"grub_cmd\" are asked of a"
	    " log that no quote proves, which denies: select PCR 8 (GRUB), or"
	    " 12 (the command line of systemd-stub), or RTMR 2 of a TD." },
	{ apps_unproven,
	    "\"efi_apps\" is asked of a log that no quote"
	    " proves, which denies: select PCR 4, or RTMR 1 of a TD." },
	{ secure_boot_unproven,
	    "\"secure_boot\", its keys, \"authorities\","
	    " \"min_sbat_level\" and \"dma_protection\" are asked of a log"
	    " that no quote proves, which denies: select PCR 7, or RTMR 0 of a"
	    " TD." },
	{ boot_variables_unproven,
	    "\"boot_variables\" is asked of a log that no quote"
	    " proves, which denies: select PCR 1, or RTMR 0 of a TD." },
	{ firmware_unproven,
	    "\"technology\" and \"min_gce_firmware\" are asked of"
	    " a log that no quote proves, which denies: select PCR 0." },
	{ exit_unproven,
	    "\"exit_boot_services\" is asked of a log that no"
	    " quote proves, which denies: select PCR 5, or RTMR 1 of a TD." },
	{ no_secure_boot,
	    "\"secure_boot\" is \"forbid\": machines that check"
	    " what they boot are refused." },
};

size_t
policy_warnings(const struct policy *p,
    void (*say)(void *arg, const char *sentence), void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < NELEMS(warnings); i++) {
		if (!warnings[i].applies(p))
			continue;
		n++;
		if (say != NULL)
			say(arg, warnings[i].sentence);
	}
	return n;
}
