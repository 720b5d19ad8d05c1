/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/tee_source.h"
#include "tools/platform.h"

/* CPUID leaf 0x21 answers "IntelTDX    " in a TD (Intel TDX module ABI). */
static bool
is_tdx_guest(void)
{
	unsigned a, b, c, d;
	char sig[13] = "";

	if ((unsigned)__get_cpuid_max(0, NULL) < 0x21)
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
	    (unsigned)__get_cpuid_max(0x80000000, NULL) < 0x8000001f)
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

static const char *
user_name(char buf[static 64])
{
	struct passwd *p = getpwuid(geteuid());

	if (p != NULL)
		(void)snprintf(buf, 64, "%s", p->pw_name);
	else
		(void)snprintf(buf, 64, "uid %u", (unsigned)geteuid());
	return buf;
}

static const char *
group_name(gid_t gid, char buf[static 64])
{
	struct group *g = getgrgid(gid);

	if (g != NULL)
		(void)snprintf(buf, 64, "%s", g->gr_name);
	else
		(void)snprintf(buf, 64, "%u", (unsigned)gid);
	return buf;
}

/* The first part of the path that this user cannot walk through, or the last
 * part; false when it is the last. */
static bool
blocked_at(const char *path, char part[static PLATFORM_PATH_MAX])
{
	(void)snprintf(part, PLATFORM_PATH_MAX, "%s", path);
	for (char *p = part + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (faccessat(AT_FDCWD, part, X_OK, AT_EACCESS) != 0)
			return true;
		*p = '/';
	}
	return false;
}

/* Does membership in the group give all that mode (R_OK...) asks for? */
static bool
group_may(const struct stat *st, int mode)
{
	return ((int)(st->st_mode >> 3) & mode) == mode && st->st_gid != 0;
}

static void
look_for_access(struct platform_item *it, const struct platform_need *need,
    const struct stat *st)
{
	char user[64], group[64];

	it->present = true;
	it->accessible = faccessat(AT_FDCWD, it->path, need->mode,
			     AT_EACCESS) == 0;
	if (it->accessible)
		return;
	(void)snprintf(it->trouble, sizeof(it->trouble),
	    "%s has no access (owner uid %u, group %s, mode %04o)",
	    user_name(user), (unsigned)st->st_uid,
	    group_name(st->st_gid, group), (unsigned)(st->st_mode & 07777));
	if (group_may(st, need->mode))
		(void)snprintf(it->remedy, sizeof(it->remedy),
		    "usermod -aG %s %s, and log in again; or run the module "
		    "behind p11-kit server",
		    group, user);
	else
		(void)snprintf(it->remedy, sizeof(it->remedy), "%s",
		    need->no_access);
}

static void
look(struct platform_item *it, const struct platform_need *need)
{
	char part[PLATFORM_PATH_MAX], user[64];
	struct stat st;

	if (stat(it->path, &st) == 0) {
		look_for_access(it, need, &st);
	} else if (errno == EACCES && blocked_at(it->path, part)) {
		(void)snprintf(it->trouble, sizeof(it->trouble),
		    "%s may not enter %.100s", user_name(user), part);
		(void)snprintf(it->remedy, sizeof(it->remedy), "%s",
		    need->no_access);
	} else {
		(void)snprintf(it->trouble, sizeof(it->trouble), "%s",
		    strerror(errno));
		(void)snprintf(it->remedy, sizeof(it->remedy), "%s",
		    need->missing);
	}
}

static struct platform_item *
add(struct platform_list *l, const char *what, const char *path, bool needed)
{
	struct platform_item *it = &l->v[l->n++];

	memset(it, 0, sizeof(*it));
	it->what = what;
	it->needed = needed;
	(void)snprintf(it->path, sizeof(it->path), "%s", path);
	return it;
}

#define AS_ROOT                                                                \
	"run as root; applications reach the token behind p11-kit server"
#define TSM(module)                                                            \
	"modprobe " module " (Ubuntu: apt install "                            \
	"linux-modules-extra-$(uname -r)); mount -t configfs none "            \
	"/sys/kernel/config; needs Linux 6.7"

static const struct platform_need tsm_snp = { R_OK | W_OK | X_OK,
	TSM("sev-guest"), AS_ROOT };
static const struct platform_need tsm_tdx = { R_OK | W_OK | X_OK,
	TSM("tdx_guest"), AS_ROOT };
#define DEVICE(module, what)                                                   \
	"modprobe " module " (Ubuntu: apt install "                            \
	"linux-modules-extra-$(uname -r)); " what
static const struct platform_need sev_guest = { R_OK | W_OK,
	DEVICE("sev-guest", "needs Linux 5.19"), AS_ROOT };
static const struct platform_need tdx_guest = { R_OK | W_OK,
	DEVICE("tdx_guest",
	    "quotes need Linux 6.7 and configfs, or a vendor's "
	    "kernel"),
	AS_ROOT };
static const struct platform_need vtpm = { R_OK | W_OK,
	"modprobe tpm_tis or tpm_crb; on Google Cloud create the VM with "
	"--shielded-vtpm",
	"apt install tpm-udev, udevadm trigger, and join the group tss; or run "
	"the module behind p11-kit server" };
static const struct platform_need event_log = { R_OK,
	"mount -t securityfs none /sys/kernel/security; the log is there when "
	"the firmware has one",
	AS_ROOT ", or drop \"event_log\" from the policy" };
static const struct platform_need ccel = { R_OK,
	"none: the firmware of this VM publishes no CCEL", AS_ROOT };
static const struct platform_need collateral = { R_OK | X_OK,
	"cvm-token collateral fetch, or import",
	"chmod a+rX it: endorsements are no secret" };
static const struct platform_need store = { R_OK | W_OK, "cvm-token init",
	"set \"store_mode\" to \"0660\" and the file's group; or run the "
	"module behind p11-kit server" };

void
platform_look(const struct config *cfg, const struct config_token *tcfg,
    const struct policy *p, struct platform_list *ret)
{
	static const char device[] = "device:";
	const struct config_evidence *e = &cfg->evidence;
	bool snp = p != NULL && p->tee == TEE_SNP;
	bool tdx = p != NULL && p->tee == TEE_TDX;
	bool tpm = p == NULL || p->has_tpm;
	bool log = p != NULL && p->log.present;
	/* Below a paravisor the vTPM has the reports. */
	bool paravisor = tpm && p != NULL && p->tpm.ak_trust == AK_TRUST_AZURE;
	bool intel = tdx || (!snp && is_tdx_guest());
	const char *dev = intel ? e->tdx_guest : e->sev_guest;
	struct platform_item *it;

	ret->n = 0;
	it = add(ret, "configfs-tsm", e->tsm, (snp || tdx) && !paravisor);
	look(it, intel ? &tsm_tdx : &tsm_snp);
	if (!it->present) {
		it->needed &= !tee_uses_device(e, intel ? TEE_TDX : TEE_SNP);
		look(add(ret, intel ? "TDX device" : "SNP device", dev,
			 (snp || tdx) && !paravisor),
		    intel ? &tdx_guest : &sev_guest);
	}
	if (strncmp(cfg->tpm.tcti, device, strlen(device)) == 0)
		look(add(ret, "vTPM", cfg->tpm.tcti + strlen(device), tpm),
		    &vtpm);
	look(add(ret, "TCG event log", e->event_log, log && p->has_tpm),
	    &event_log);
	look(add(ret, "CCEL", e->ccel,
		 log && tdx && (!p->has_tpm || p->log.ccel == CCEL_REQUIRE)),
	    &ccel);
	look(add(ret, "collateral", e->collateral, snp || tdx), &collateral);
	look(add(ret, "store", tcfg->store, false), &store);
}
