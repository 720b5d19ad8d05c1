/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>

#include "attest/snp.h"

#define LINE_MAX_LEN 256

struct bit_name {
	uint64_t bit;
	const char *name;
};

static const struct bit_name policy_bits[] = {
	{ SNP_POLICY_SMT, "SMT" },
	{ SNP_POLICY_MIGRATE_MA, "MIGRATE_MA" },
	{ SNP_POLICY_DEBUG, "DEBUG" },
	{ SNP_POLICY_SINGLE_SOCKET, "SINGLE_SOCKET" },
	{ SNP_POLICY_CXL, "CXL_ALLOW" },
	{ SNP_POLICY_AES256_XTS, "MEM_AES_256_XTS" },
	{ SNP_POLICY_RAPL_DIS, "RAPL_DIS" },
	{ SNP_POLICY_CIPHERTEXT_HIDING, "CIPHERTEXT_HIDING_DRAM" },
	{ SNP_POLICY_PAGE_SWAP_DISABLE, "PAGE_SWAP_DISABLE" },
	{ 0, NULL },
};

static const struct bit_name platform_bits[] = {
	{ SNP_PLATFORM_SMT, "SMT_EN" },
	{ SNP_PLATFORM_TSME, "TSME_EN" },
	{ SNP_PLATFORM_ECC, "ECC_EN" },
	{ SNP_PLATFORM_RAPL_DIS, "RAPL_DIS" },
	{ SNP_PLATFORM_CIPHERTEXT_HIDING, "CIPHERTEXT_HIDING_DRAM_EN" },
	{ SNP_PLATFORM_ALIAS_CHECK, "ALIAS_CHECK_COMPLETE" },
	{ SNP_PLATFORM_IOMMU_WRITE_SAFE, "IOMMU_WRITE_SAFE" },
	{ SNP_PLATFORM_TIO, "SEV_TIO_EN" },
	{ 0, NULL },
};

struct list {
	void (*say)(void *arg, const char *name, const char *value);
	void *arg;
	enum snp_product product;
};

static void
say_number(const struct list *l, const char *name, uint64_t v)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%" PRIu64, v);
	l->say(l->arg, name, buf);
}

static void
say_bits(const struct list *l, const char *name, uint64_t v,
    const struct bit_name *names)
{
	char buf[LINE_MAX_LEN];
	int n = snprintf(buf, sizeof(buf), "0x%" PRIx64, v);

	for (; names->name != NULL && n > 0 && (size_t)n < sizeof(buf); names++)
		if ((v & names->bit) != 0)
			n += snprintf(&buf[n], sizeof(buf) - (size_t)n, " %s",
			    names->name);
	l->say(l->arg, name, buf);
}

static void
say_hex(const struct list *l, const char *name, struct span v)
{
	char buf[2 * 64 + 1];

	l->say(l->arg, name, hex_encode(v, buf, sizeof(buf)));
}

/* Components where the line, and so the layout, is known; else the bytes. */
static void
say_tcb(const struct list *l, const char *name, struct span v)
{
	char buf[SNP_TCB_TEXT_MAX];
	struct snp_tcb t;

	if (l->product == 0 || snp_tcb_decode(v, l->product, &t) != CVM_OK)
		say_hex(l, name, v);
	else
		l->say(l->arg, name, snp_tcb_text(&t, l->product, buf));
}

static void
say_firmware(const struct list *l, const char *name,
    const struct snp_firmware *f)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%u.%u.%u", f->major, f->minor,
	    f->build);
	l->say(l->arg, name, buf);
}

static void
say_head(const struct list *l, const struct snp_report *r)
{
	say_number(l, "VERSION", r->version);
	say_number(l, "GUEST_SVN", r->guest_svn);
	say_bits(l, "POLICY", r->policy, policy_bits);
	say_number(l, "POLICY.ABI_MAJOR", r->policy >> 8 & 0xff);
	say_number(l, "POLICY.ABI_MINOR", r->policy & 0xff);
	say_hex(l, "FAMILY_ID", r->family_id);
	say_hex(l, "IMAGE_ID", r->image_id);
	say_number(l, "VMPL", r->vmpl);
	say_number(l, "SIGNATURE_ALGO", r->signature_algo);
	say_tcb(l, "CURRENT_TCB", r->current_tcb);
	say_bits(l, "PLATFORM_INFO", r->platform_info, platform_bits);
	l->say(l->arg, "SIGNING_KEY",
	    snp_report_key(r) == SNP_KEY_VCEK	  ? "VCEK" :
		snp_report_key(r) == SNP_KEY_VLEK ? "VLEK" :
						    "none");
	say_number(l, "AUTHOR_KEY_EN",
	    r->signer_info & SNP_SIGNER_AUTHOR_KEY_EN);
}

void
snp_report_list(const struct snp_report *r,
    void (*say)(void *arg, const char *name, const char *value), void *arg)
{
	const struct list l = { say, arg, snp_report_product(r) };

	say_head(&l, r);
	say_hex(&l, "REPORT_DATA", r->report_data);
	say_hex(&l, "MEASUREMENT", r->measurement);
	say_hex(&l, "HOST_DATA", r->host_data);
	say_hex(&l, "ID_KEY_DIGEST", r->id_key_digest);
	say_hex(&l, "AUTHOR_KEY_DIGEST", r->author_key_digest);
	say_hex(&l, "REPORT_ID", r->report_id);
	say_hex(&l, "REPORT_ID_MA", r->report_id_ma);
	say_tcb(&l, "REPORTED_TCB", r->reported_tcb);
	if (r->version >= SNP_VERSION_CPUID) {
		l.say(l.arg, "product line", snp_product_name(l.product));
		say_number(&l, "CPUID_FAM_ID", r->family);
		say_number(&l, "CPUID_MOD_ID", r->model);
		say_number(&l, "CPUID_STEP", r->stepping);
	}
	say_hex(&l, "CHIP_ID", r->chip_id);
	say_tcb(&l, "COMMITTED_TCB", r->committed_tcb);
	say_firmware(&l, "CURRENT version", &r->current);
	say_firmware(&l, "COMMITTED version", &r->committed);
	say_tcb(&l, "LAUNCH_TCB", r->launch_tcb);
	if (r->version >= SNP_VERSION_MIT) {
		say_bits(&l, "LAUNCH_MIT_VECTOR", r->launch_mit,
		    &policy_bits[NELEMS(policy_bits) - 1]);
		say_bits(&l, "CURRENT_MIT_VECTOR", r->current_mit,
		    &policy_bits[NELEMS(policy_bits) - 1]);
	}
}
