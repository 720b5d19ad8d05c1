/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>

#include "attest/launch.h"
#include "attest/snp_parts.h"

#define HEX_MAX (2 * 64 + 1)

/* Single bits that the policy may forbid or require. */
static const struct {
	enum check_id id;
	size_t wanted; /* enum tristate in struct policy_snp */
	bool platform; /* PLATFORM_INFO, else POLICY */
	uint64_t bit;
} bits[] = {
#define GUEST(n, field, bit)                                                   \
	{                                                                      \
		CHECK_SNP_##n, offsetof(struct policy_snp, field), false, bit  \
	}
#define PLATFORM(n, field, bit)                                                \
	{                                                                      \
		CHECK_SNP_##n, offsetof(struct policy_snp, field), true, bit   \
	}
	GUEST(30, debug, SNP_POLICY_DEBUG),
	GUEST(31, migrate_ma, SNP_POLICY_MIGRATE_MA),
	GUEST(33, smt, SNP_POLICY_SMT),
	GUEST(34, single_socket, SNP_POLICY_SINGLE_SOCKET),
	GUEST(35, cxl, SNP_POLICY_CXL),
	GUEST(36, aes256_xts, SNP_POLICY_AES256_XTS),
	GUEST(37, rapl_dis, SNP_POLICY_RAPL_DIS),
	GUEST(38, ciphertext_hiding, SNP_POLICY_CIPHERTEXT_HIDING),
	GUEST(39, page_swap_disable, SNP_POLICY_PAGE_SWAP_DISABLE),
	PLATFORM(41, p_smt, SNP_PLATFORM_SMT),
	PLATFORM(42, p_tsme, SNP_PLATFORM_TSME),
	PLATFORM(43, p_ecc, SNP_PLATFORM_ECC),
	PLATFORM(44, p_rapl_dis, SNP_PLATFORM_RAPL_DIS),
	PLATFORM(45, p_ciphertext_hiding, SNP_PLATFORM_CIPHERTEXT_HIDING),
	PLATFORM(46, p_alias_check, SNP_PLATFORM_ALIAS_CHECK),
	PLATFORM(47, p_tio, SNP_PLATFORM_TIO),
	PLATFORM(64, p_iommu_write_safe, SNP_PLATFORM_IOMMU_WRITE_SAFE),
#undef GUEST
#undef PLATFORM
};

/* Values that must be in a list of the policy, where it has one. */
static const struct {
	enum check_id id;
	size_t list;  /* struct value_list in struct policy_snp */
	size_t value; /* struct span in struct snp_report */
} values[] = {
#define VALUE(n, field)                                                        \
	{                                                                      \
		CHECK_SNP_##n, offsetof(struct policy_snp, field),             \
		    offsetof(struct snp_report, field)                         \
	}
	VALUE(48, host_data),
	VALUE(49, family_id),
	VALUE(50, image_id),
	VALUE(51, report_id),
	VALUE(52, id_key_digest),
	VALUE(55, chip_id),
#undef VALUE
};

static const void *
member(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

static bool
in_list(const struct value_list *l, struct span v)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_equal(blob_span(&l->v[i]), v))
			return true;
	return false;
}

static bool
check_list(struct snp_appraisal *s, enum check_id id,
    const struct value_list *l, struct span v)
{
	char first[HEX_MAX] = "", got[HEX_MAX], expected[HEX_MAX + 32];

	if (in_list(l, v))
		return verdict_pass_value(s->v, id, "%s",
		    hex_encode(v, got, sizeof(got)));
	if (l->n > 0 && l->v[0].len <= 64)
		(void)hex_encode(blob_span(&l->v[0]), first, sizeof(first));
	(void)snprintf(expected, sizeof(expected),
	    l->n > 1 ? "%s or %zu more" : "%s", first, l->n - 1);
	return verdict_fail(s->v, id,
	    l->n > 0 ? expected : "a value that the policy names", "%s",
	    hex_encode(v, got, sizeof(got)));
}

static bool
check_bits(struct snp_appraisal *s)
{
	bool ok = true;

	for (size_t i = 0; i < NELEMS(bits); i++) {
		const enum tristate *wanted = member(s->p, bits[i].wanted);
		uint64_t in = bits[i].platform ? s->r.platform_info :
						 s->r.policy;
		bool on = (in & bits[i].bit) != 0;

		if (*wanted == ANY)
			(void)verdict_skip(s->v, bits[i].id, "not asked for");
		else
			ok &= verdict_check(s->v, bits[i].id,
			    on == (*wanted == REQUIRE), on ? "off" : "on", "%s",
			    on ? "on" : "off");
	}
	return ok;
}

static bool
check_lists(struct snp_appraisal *s)
{
	bool ok = true;

	for (size_t i = 0; i < NELEMS(values); i++) {
		const struct value_list *l = member(s->p, values[i].list);
		const struct span *v = member(&s->r, values[i].value);

		if (l->n == 0)
			(void)verdict_skip(s->v, values[i].id, "not asked for");
		else
			ok &= check_list(s, values[i].id, l, *v);
	}
	return ok;
}

/* All ones: no migration agent (56860 table 23). One that is bound could
 * move the guest to a machine that was never looked at. */
static bool
check_migration_agent(struct snp_appraisal *s)
{
	char hex[HEX_MAX];

	if (s->p->migrate_ma != FORBID)
		return verdict_skip(s->v, CHECK_SNP_32, "not asked for");
	return verdict_check(s->v, CHECK_SNP_32,
	    span_is_filled(s->r.report_id_ma, 0xff), "all ff", "%s",
	    hex_encode(s->r.report_id_ma, hex, sizeof(hex)));
}

static bool
check_author(struct snp_appraisal *s)
{
	if (s->p->author_key_digest.n == 0)
		return verdict_skip(s->v, CHECK_SNP_53, "not asked for");
	if ((s->r.signer_info & SNP_SIGNER_AUTHOR_KEY_EN) == 0)
		return verdict_fail(s->v, CHECK_SNP_53, "an author key",
		    "none: AUTHOR_KEY_EN is 0");
	return check_list(s, CHECK_SNP_53, &s->p->author_key_digest,
	    s->r.author_key_digest);
}

static bool
check_numbers(struct snp_appraisal *s)
{
	uint32_t major = (uint32_t)(s->r.policy >> 8 & 0xff);
	uint32_t minor = (uint32_t)(s->r.policy & 0xff);
	char vmpl[16], abi[48], svn[32];
	bool ok;

	(void)snprintf(vmpl, sizeof(vmpl), "%u", s->p->vmpl);
	(void)snprintf(abi, sizeof(abi), "at least %u.%u", s->p->min_abi_major,
	    s->p->min_abi_minor);
	(void)snprintf(svn, sizeof(svn), "at least %u", s->p->min_guest_svn);
	ok = verdict_check(s->v, CHECK_SNP_29, s->r.vmpl == s->p->vmpl, vmpl,
	    "%u", s->r.vmpl);
	ok &= verdict_check(s->v, CHECK_SNP_40,
	    major > s->p->min_abi_major ||
		(major == s->p->min_abi_major && minor >= s->p->min_abi_minor),
	    abi, "%u.%u", major, minor);
	ok &= verdict_check(s->v, CHECK_SNP_54,
	    s->r.guest_svn >= s->p->min_guest_svn, svn, "%u", s->r.guest_svn);
	return ok;
}

bool
snp_value_checks(struct snp_appraisal *s)
{
	const struct launch_case launch = { .a = s->a,
		.v = s->v,
		.facts = s->facts,
		.policy = &s->p->launch,
		.first = CHECK_SNP_56,
		.measurement = s->r.measurement,
		.carried = s->certs.launch,
		.snp = &s->r,
		.svsm = s->a->policy->tpm.ak_trust == AK_TRUST_SVSM };
	bool ok;

	/* One of the two is there, or the policy has not said what may run. */
	if (s->p->measurement.n == 0 && s->p->launch.roots.n > 0)
		ok = verdict_skip(s->v, CHECK_SNP_28,
		    "the launch endorsement names them");
	else
		ok = check_list(s, CHECK_SNP_28, &s->p->measurement,
		    s->r.measurement);
	ok &= launch_appraise(&launch);
	ok &= check_bits(s);
	ok &= check_migration_agent(s);
	ok &= check_lists(s);
	ok &= check_author(s);
	ok &= check_numbers(s);
	return ok;
}
