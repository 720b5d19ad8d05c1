/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/chain_cache.h"
#include "attest/launch.h"
#include "attest/parsed.h"
#include "attest/snp.h"

#define NOT_ASKED "the policy does not ask for a launch endorsement"
#define RSA_BITS 4096
/* Endorsements of later builds name their sources. */
#define CL_SPEC_SINCE INT64_C(1722556800) /* 2024-08-02 */

/* The six checks, from launch_case.first. */
enum {
	AT_HAND,
	TRUSTED,
	SIGNED,
	PROVENANCE,
	NAMED,
	SVN,
};

static enum check_id
check_of(const struct launch_case *c, int i)
{
	return (enum check_id)((int)c->first + i);
}

/* The host's first: it is of the firmware that this guest started with. */
static bool
find(const struct launch_case *c, struct launch_endorsement *e)
{
	char hex[2 * SHA384_LEN + 1], name[160];
	struct span bytes = c->carried;
	struct why why = { 0 };

	(void)snprintf(name, sizeof(name), LAUNCH_NAME_FORMAT,
	    hex_encode(c->measurement, hex, sizeof(hex)));
	if (bytes.len == 0 && c->a->endorsements != NULL)
		bytes = endorsements_find(c->a->endorsements, name);
	if (bytes.len == 0)
		return verdict_absent(c->v, check_of(c, AT_HAND), name,
		    "no such file, and none from the host");
	return verdict_from_why(c->v, check_of(c, AT_HAND),
	    launch_parse(bytes, e, &why), &why);
}

struct certs {
	struct cert *leaf;
	struct cert *v[2 * CHAIN_CERTS_MAX];
	size_t n;
};

static void
certs_clear(struct certs *s)
{
	cert_freep(&s->leaf);
	for (size_t i = 0; i < s->n; i++)
		cert_freep(&s->v[i]);
}

/* The root comes with the message or from a file; the policy knows its key. */
static struct cert *
find_root(const struct launch_case *c, const struct launch_endorsement *e,
    struct certs *s)
{
	struct parsed *p = chain_cache_parsed(c->a->cache);
	const struct span from[] = {
		c->a->endorsements != NULL ?
		    endorsements_find(c->a->endorsements, LAUNCH_ROOT_FILE) :
		    span(NULL, 0),
		e->ca_bundle,
	};

	for (size_t k = 0; k < NELEMS(from); k++) {
		size_t n = 0;

		if (from[k].len == 0 ||
		    parsed_certs(p, from[k], &s->v[s->n], CHAIN_CERTS_MAX,
			&n) != CVM_OK)
			continue;
		s->n += n;
	}
	for (size_t i = 0; i < s->n; i++)
		if (cert_pinned(s->v[i], &c->policy->roots))
			return s->v[i];
	return NULL;
}

static int
verify_chain(const struct launch_case *c, const struct launch_endorsement *e,
    struct certs *s, struct why *why)
{
	struct chain chain = { .pins = &c->policy->roots, .now = c->a->now };
	struct chain_validity v = { 0 };
	int r;

	if (parsed_cert(chain_cache_parsed(c->a->cache), e->cert,
		/* padded= */ false, &s->leaf) != CVM_OK)
		return why_set(why, CVM_E_DENIED, "launch endorsement", "cert",
		    "a DER certificate",
		    e->cert.len > 0 ? "malformed bytes" : "none");
	chain.leaf = s->leaf;
	chain.root = find_root(c, e, s);
	if (chain.root == NULL)
		return why_set(why, CVM_E_DENIED, "launch endorsement", "root",
		    "a root that the policy names",
		    "none in " LAUNCH_ROOT_FILE " or the ca_bundle");
	r = chain_verify_cached(c->a->cache, &chain, why);
	if (r != CVM_OK)
		return r;
	if ((s->leaf->usage & USAGE_DIGITAL_SIGNATURE) == 0)
		return why_set(why, CVM_E_DENIED, "launch endorsement",
		    "keyUsage", "digitalSignature", "another");
	if ((r = chain_validity(&chain, &v)) == CVM_OK)
		facts_narrow(c->facts, v.from, v.until);
	return r;
}

/* RSASSA-PSS, SHA-256, MGF1 of the same, salt of its length, over the bytes as
 * they came. */
static bool
verifies(const struct launch_endorsement *e, const struct certs *s)
{
	return s->leaf->key_kind == CERT_KEY_RSA &&
	    s->leaf->key_bits == RSA_BITS &&
	    cert_check(s->leaf, SIG_PSS, HASH_SHA256, e->golden,
		e->signature) == CVM_OK;
}

static bool
check_provenance(const struct launch_case *c,
    const struct launch_endorsement *e)
{
	char expected[CHECK_VALUE_MAX];

	(void)snprintf(expected, sizeof(expected),
	    "a time up to %" PRId64 " (s since 1970), and cl_spec since 2024",
	    c->a->now);
	return verdict_check(c->v, check_of(c, PROVENANCE),
	    e->seconds > 0 && e->seconds <= INT64_MAX &&
		(int64_t)e->seconds <= c->a->now &&
		(e->cl_spec != 0 || (int64_t)e->seconds < CL_SPEC_SINCE),
	    expected, "time %" PRIu64 ", cl_spec %" PRIu64, e->seconds,
	    e->cl_spec);
}

/* The measurement of a machine of the shape that the policy names; of any,
 * where it names none. */
static bool
check_named(const struct launch_case *c, const struct launch_part *part)
{
	const char *unit = c->tdx ? "GiB" : "vCPUs";
	char hex[2 * SHA384_LEN + 1], expected[96];
	uint32_t shape = c->policy->shape;

	for (size_t i = 0; i < part->n; i++)
		if ((shape == 0 || part->value[i].shape == shape) &&
		    span_equal(part->value[i].measurement, c->measurement))
			return verdict_pass_value(c->v, check_of(c, NAMED),
			    "%u %s", part->value[i].shape, unit);
	if (!part->present)
		return verdict_fail(c->v, check_of(c, NAMED),
		    c->tdx ? "an endorsement of TDX" :
			     "an endorsement of SEV-SNP",
		    "one of another technology");
	if (shape == 0)
		(void)snprintf(expected, sizeof(expected), "one of %zu values",
		    part->n);
	else
		(void)snprintf(expected, sizeof(expected),
		    "that of a machine of %u %s", shape, unit);
	return verdict_fail(c->v, check_of(c, NAMED), expected, "%s",
	    hex_encode(c->measurement, hex, sizeof(hex)));
}

/*
 * Below an SVSM the guest is at a lower level, and its own firmware, at the
 * highest, could say whatever an SVSM says: another value than the one with an
 * SVSM will not do, whichever machine it is of.
 */
static bool
check_named_svsm(const struct launch_case *c, const struct launch_part *part)
{
	char hex[2 * SHA384_LEN + 1], got[2 * SHA384_LEN + 1];

	if (part->svsm_measurement.len == 0)
		return verdict_fail(c->v, check_of(c, NAMED),
		    "the measurement with an SVSM", "none is endorsed");
	return verdict_check(c->v, check_of(c, NAMED),
	    span_equal(part->svsm_measurement, c->measurement),
	    hex_encode(part->svsm_measurement, hex, sizeof(hex)), "%s",
	    hex_encode(c->measurement, got, sizeof(got)));
}

/* What a guest policy allows, and what it asks for. */
#define ALLOWS                                                                 \
	(SNP_POLICY_SMT | SNP_POLICY_MIGRATE_MA | SNP_POLICY_DEBUG |           \
	    SNP_POLICY_CXL)
#define ASKS                                                                   \
	(SNP_POLICY_SINGLE_SOCKET | SNP_POLICY_AES256_XTS |                    \
	    SNP_POLICY_RAPL_DIS | SNP_POLICY_CIPHERTEXT_HIDING |               \
	    SNP_POLICY_PAGE_SWAP_DISABLE)
#define ABI_OF(policy) ((policy)&0xffff)

static bool
id_fits(struct span endorsed, struct span got)
{
	return endorsed.len == 0 || span_is_filled(got, 0x00) ||
	    span_equal(endorsed, got);
}

static bool
fail_id(const struct launch_case *c, const char *name, struct span endorsed,
    struct span got)
{
	char want[2 * LAUNCH_ID_LEN + 1], have[2 * LAUNCH_ID_LEN + 1];
	char expected[64];

	(void)snprintf(expected, sizeof(expected), "%s %s, or none", name,
	    hex_encode(endorsed, want, sizeof(want)));
	return verdict_fail(c->v, CHECK_SNP_62, expected, "%s",
	    hex_encode(got, have, sizeof(have)));
}

/* Google starts machines without an ID block: ids of zero say nothing. */
static bool
check_guest(const struct launch_case *c, const struct launch_part *part)
{
	const uint64_t want = part->policy, got = c->snp->policy;
	char expected[64];

	(void)snprintf(expected, sizeof(expected),
	    "a guest policy no looser than 0x%" PRIx64, want);
	if (want != 0 &&
	    ((got & ~want & ALLOWS) != 0 || (want & ~got & ASKS) != 0 ||
		ABI_OF(got) < ABI_OF(want)))
		return verdict_fail(c->v, CHECK_SNP_62, expected, "0x%" PRIx64,
		    got);
	if (!id_fits(part->family_id, c->snp->family_id))
		return fail_id(c, "FAMILY_ID", part->family_id,
		    c->snp->family_id);
	if (!id_fits(part->image_id, c->snp->image_id))
		return fail_id(c, "IMAGE_ID", part->image_id, c->snp->image_id);
	return verdict_pass(c->v, CHECK_SNP_62);
}

static bool
check_svn(const struct launch_case *c, const struct launch_part *part)
{
	char expected[32];

	(void)snprintf(expected, sizeof(expected), "at least %u",
	    c->policy->min_svn);
	return verdict_check(c->v, check_of(c, SVN),
	    part->svn >= c->policy->min_svn, expected, "%u", part->svn);
}

bool
launch_appraise(const struct launch_case *c)
{
	_cleanup_(certs_clear) struct certs s = { 0 };
	struct launch_endorsement e = { 0 };
	const struct launch_part *part = c->tdx ? &e.tdx : &e.snp;
	struct why why = { 0 };
	bool ok;

	for (int i = 0; c->policy->roots.n == 0 && i < LAUNCH_CHECKS; i++)
		(void)verdict_skip(c->v, check_of(c, i), NOT_ASKED);
	if (c->policy->roots.n == 0 && c->snp != NULL)
		(void)verdict_skip(c->v, CHECK_SNP_62, NOT_ASKED);
	if (c->policy->roots.n == 0)
		return true;
	if (!find(c, &e) ||
	    !verdict_from_why(c->v, check_of(c, TRUSTED),
		verify_chain(c, &e, &s, &why), &why) ||
	    !verdict_check(c->v, check_of(c, SIGNED), verifies(&e, &s),
		"RSA-4096, PSS, SHA-256, over the message as it is",
		"a signature of %zu bytes that does not verify",
		e.signature.len))
		return false;
	ok = check_provenance(c, &e);
	ok = (c->svsm ? check_named_svsm(c, part) : check_named(c, part)) && ok;
	ok = (c->snp == NULL || check_guest(c, part)) && ok;
	return check_svn(c, part) && ok;
}
