/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/evp.h>
#include <string.h>

#include "attest/tdx_parts.h"

#define SGX_EXTENSION_OID "1.2.840.113741.1.13.1"

static int
check_names(const struct tdx_run *run, struct why *why)
{
	const char *names[INTEL_CHAIN_MAX] = { "Intel SGX PCK Certificate",
		intel_platform_ca, intel_root_ca };

	/* One of the two intermediates issues all PCK certificates. */
	if (intel_name_is(run->pck.cert[1]->subject, intel_processor_ca))
		names[1] = intel_processor_ca;
	return intel_chain_names(&run->pck, names, why);
}

static int
check_algorithms(const struct tdx_run *run, struct why *why)
{
	return intel_chain_algorithms(&run->pck, why);
}

static int
check_pin(const struct tdx_run *run, struct why *why)
{
	return intel_chain_pinned(&run->pck, &run->pins, why);
}

static int
check_dates(const struct tdx_run *run, struct why *why)
{
	return intel_chain_dates(&run->pck, run->a->now, why);
}

static bool
check_each(struct tdx_run *run)
{
	static const struct {
		enum check_id id;
		int (*check)(const struct tdx_run *run, struct why *why);
	} checks[] = {
		{ CHECK_TDX_09, check_names },
		{ CHECK_TDX_10, check_algorithms },
		{ CHECK_TDX_11, check_pin },
		{ CHECK_TDX_12, check_dates },
	};

	for (size_t i = 0; i < NELEMS(checks); i++) {
		struct why why = { 0 };
		int r = checks[i].check(run, &why);

		if (!verdict_from_why(run->v, checks[i].id, r, &why))
			return false;
	}
	return true;
}

bool
tdx_check_pck(struct tdx_run *run)
{
	struct why why = { 0 };
	struct span der = { 0 };
	int r;

	r = intel_chain_known(chain_cache_parsed(run->a->cache),
	    run->quote.pck_chain, "PCK chain", 3, &run->pck, &why);
	/* It is the quote that has to bring it. */
	if (r == CVM_E_NOT_FOUND)
		r = CVM_E_DENIED;
	if (!verdict_from_why(run->v, CHECK_TDX_08, r, &why) ||
	    !check_each(run))
		return false;
	r = intel_chain_verify(run, &run->pck, /* crls= */ NULL, 0, NULL, &why);
	if (!verdict_from_why(run->v, CHECK_TDX_13, r, &why))
		return false;
	r = cert_extension(run->pck.cert[0], SGX_EXTENSION_OID, &der);
	if (r < 0)
		(void)why_set(&why, r, "PCK certificate", "SGX extension",
		    "one extension " SGX_EXTENSION_OID, "none, or two");
	else
		r = sgx_extension_parse(der, &run->sgx, &why);
	return verdict_from_why(run->v, CHECK_TDX_14, r, &why);
}

/* A point from x || y. */
int
tdx_attestation_key(struct span xy, EVP_PKEY **ret)
{
	uint8_t point[1 + 64] = { 0x04 }; /* uncompressed, SEC 1 section 2.3 */

	if (xy.len != sizeof(point) - 1)
		return CVM_E_PARSE;
	memcpy(&point[1], xy.data, xy.len);
	return public_key_ec(EC_P256, span(point, sizeof(point)), ret);
}

static void
free_key(void *object)
{
	struct verifier *key = object;

	verifier_freep(&key);
}

/* The enclave keeps its key for as long as it runs. */
static int
attestation_key(const struct tdx_run *run, struct verifier **ret)
{
	static const struct parsed_kind kind = { free_key };
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
	struct parsed *p = chain_cache_parsed(run->a->cache);
	struct span xy = run->quote.attestation_key;
	struct verifier *known = parsed_find(p, &kind, xy);
	int r;

	if (known != NULL) {
		*ret = verifier_ref(known);
		return CVM_OK;
	}
	if ((r = tdx_attestation_key(xy, &key)) != CVM_OK ||
	    (r = verifier_new(key, ret)) != CVM_OK)
		return r;
	known = verifier_ref(*ret);
	if (!parsed_keep(p, &kind, xy, known))
		verifier_freep(&known);
	return CVM_OK;
}

static bool
say_signature(struct tdx_run *run, enum check_id id, int r)
{
	return verdict_check(run->v, id, r == CVM_OK, "a valid signature", "%s",
	    r == CVM_OK ? "valid" : "a signature that does not verify");
}

/* TDX-15: the PCK certificate's key signed what the quoting enclave is. */
static bool
check_qe_signature(struct tdx_run *run)
{
	const struct tdx_quote *q = &run->quote;
	uint8_t digest[SHA256_LEN];
	int r = hash(HASH_SHA256, q->qe.bytes, digest);

	if (r == CVM_OK)
		r = cert_check_raw(run->pck.cert[0], q->qe_signature,
		    span(digest, sizeof(digest)));
	return say_signature(run, CHECK_TDX_15, r);
}

/* TDX-18: the enclave's own key signed the quote. */
static bool
check_quote_signature(struct tdx_run *run, struct verifier *key)
{
	const struct tdx_quote *q = &run->quote;
	uint8_t digest[SHA256_LEN];
	int r = hash(HASH_SHA256, q->signed_bytes, digest);

	if (r == CVM_OK)
		r = verifier_check_raw(key, q->signature,
		    span(digest, sizeof(digest)));
	return say_signature(run, CHECK_TDX_18, r);
}

/* REPORTDATA of the QE is SHA-256(key || authentication data), then zeros. */
static bool
check_binding(struct tdx_run *run)
{
	const struct tdx_quote *q = &run->quote;
	const struct span parts[] = { q->attestation_key, q->qe_auth_data };
	uint8_t expected[64] = { 0 };
	char hex[2 * sizeof(expected) + 1], got[2 * sizeof(expected) + 1];
	int r = hash_parts(HASH_SHA256, parts, NELEMS(parts), expected);

	return verdict_check(run->v, CHECK_TDX_16,
	    r == CVM_OK &&
		span_equal(q->qe.report_data, span(expected, sizeof(expected))),
	    hex_encode(span(expected, sizeof(expected)), hex, sizeof(hex)),
	    "%s", hex_encode(q->qe.report_data, got, sizeof(got)));
}

bool
tdx_check_signatures(struct tdx_run *run)
{
	_cleanup_(verifier_freep) struct verifier *key = NULL;
	const struct tdx_quote *q = &run->quote;
	bool ok;

	if (!check_qe_signature(run) || !check_binding(run))
		return false;
	ok = attestation_key(run, &key) == CVM_OK;
	if (!verdict_check(run->v, CHECK_TDX_17, ok, "a point on the curve",
		"%s", ok ? "one" : "another value"))
		return false;
	return check_quote_signature(run, key) &&
	    verdict_check(run->v, CHECK_TDX_19, q->qe.reserved_zero,
		"zero in every reserved byte", "%s",
		q->qe.reserved_zero ? "zero" : "another value");
}
