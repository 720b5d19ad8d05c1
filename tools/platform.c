/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <cpuid.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/platform.h"

/* CPUID leaf 0x21 answers "IntelTDX    " in a TD (Intel TDX module ABI). */
static bool
is_tdx_guest(void)
{
	unsigned a, b, c, d, max = __get_cpuid_max(0, NULL);
	char sig[13] = "";

	if (max < 0x21)
		return false;
	__cpuid_count(0x21, 0, a, b, c, d);
	memcpy(sig, &b, 4);
	memcpy(sig + 4, &d, 4);
	memcpy(sig + 8, &c, 4);
	return memcmp(sig, "IntelTDX    ", 12) == 0;
}

/* CPUID Fn8000_001F_EAX: bit 1 SEV, 3 SEV-ES, 4 SEV-SNP (AMD APM vol. 3);
 * a hypervisor must be present too, or it is the host that can do it. */
static unsigned
sev_bits(void)
{
	unsigned a = 0, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || (c >> 31) == 0 ||
	    __get_cpuid_max(0x80000000, NULL) < 0x8000001f)
		return 0;
	__cpuid_count(0x8000001f, 0, a, b, c, d);
	return a;
}

const char *
platform_cpu(void)
{
	unsigned sev = sev_bits();

	if (is_tdx_guest())
		return "Intel TDX guest";
	if ((sev & (1u << 4)) != 0)
		return "AMD SEV-SNP capable guest";
	if ((sev & (1u << 1)) != 0)
		return "AMD SEV capable guest";
	return "no confidential VM that CPUID tells of";
}

static void
group_of(gid_t gid, char out[static 64])
{
	struct group *g = getgrgid(gid);

	if (g != NULL)
		(void)snprintf(out, 64, "%s", g->gr_name);
	else
		(void)snprintf(out, 64, "%u", (unsigned)gid);
}

static void
look(struct platform_item *it, int mode, const char *missing)
{
	struct stat st;
	char group[64];

	if (stat(it->path, &st) != 0) {
		(void)snprintf(it->trouble, sizeof(it->trouble), "%s",
		    strerror(errno));
		(void)snprintf(it->remedy, sizeof(it->remedy), "%s", missing);
		return;
	}
	it->present = true;
	it->accessible = access(it->path, mode) == 0;
	if (it->accessible)
		return;
	(void)snprintf(it->trouble, sizeof(it->trouble),
	    "no access: %s (mode %04o)", strerror(errno),
	    (unsigned)(st.st_mode & 07777));
	group_of(st.st_gid, group);
	(void)snprintf(it->remedy, sizeof(it->remedy),
	    "usermod -aG %s USER, or run the module behind p11-kit server",
	    group);
}

static struct platform_item *
add(struct platform_item *items, size_t *n, const char *what, const char *path,
    bool needed)
{
	struct platform_item *it = &items[(*n)++];

	memset(it, 0, sizeof(*it));
	it->what = what;
	it->needed = needed;
	(void)snprintf(it->path, sizeof(it->path), "%s", path);
	return it;
}

static void
add_tsm(const struct config *cfg, const struct policy *p,
    struct platform_item *items, size_t *n)
{
	bool tdx = p != NULL && p->tee == TEE_TDX;
	bool snp = p != NULL && p->tee == TEE_SNP;

	look(add(items, n, "configfs-tsm", cfg->evidence.tsm, snp || tdx),
	    R_OK | W_OK | X_OK,
	    tdx ? "mount -t configfs none /sys/kernel/config; modprobe "
		  "tdx_guest (Ubuntu: package linux-modules-extra-$(uname "
		  "-r)); Linux 6.7 or newer" :
		  "mount -t configfs none /sys/kernel/config; modprobe "
		  "sev-guest (Ubuntu: package linux-modules-extra-$(uname "
		  "-r)); Linux 6.7 or newer");
}

size_t
platform_items(const struct config *cfg, const struct policy *policy,
    struct platform_item items[static PLATFORM_ITEMS_MAX])
{
	static const char device[] = "device:";
	const char *tcti = cfg->tpm.tcti;
	bool tpm = policy == NULL || policy->has_tpm;
	bool log = policy != NULL && policy->log.present;
	size_t n = 0;

	add_tsm(cfg, policy, items, &n);
	if (strncmp(tcti, device, strlen(device)) == 0)
		look(add(items, &n, "vTPM", tcti + strlen(device), tpm),
		    R_OK | W_OK,
		    "modprobe tpm_tis tpm_crb; on Google Cloud create the VM "
		    "with --shielded-vtpm");
	look(add(items, &n, "TCG event log", cfg->evidence.event_log,
		 log && policy->has_tpm),
	    R_OK, "mount -t securityfs none /sys/kernel/security");
	look(add(items, &n, "CCEL", cfg->evidence.ccel,
		 log && !policy->has_tpm),
	    R_OK, "the firmware of this VM publishes none");
	look(add(items, &n, "collateral", cfg->evidence.collateral,
		 policy != NULL &&
		     (policy->tee == TEE_SNP || policy->tee == TEE_TDX)),
	    R_OK | X_OK, "make the directory and put the endorsements there");
	return n;
}
