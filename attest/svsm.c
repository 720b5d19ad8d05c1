/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/credential.h"
#include "attest/svsm.h"

int
svsm_report_data(const uint8_t nonce[static REPORT_DATA_LEN],
    struct span manifest, uint8_t out[static REPORT_DATA_LEN])
{
	const struct span parts[] = { span(nonce, REPORT_DATA_LEN), manifest };

	return hash_parts(HASH_SHA512, parts, NELEMS(parts), out);
}

static bool
listed(const struct value_list *list, struct span name)
{
	for (size_t i = 0; i < list->n; i++)
		if (span_equal(blob_span(&list->v[i]), name))
			return true;
	return false;
}

static bool
check_ek(const struct appraisal *a, struct verdict *v, struct span manifest)
{
	const struct value_list *eks = &a->policy->tpm.eks;
	uint8_t name[TPM_NAME_MAX];
	char got[2 * TPM_NAME_MAX + 1];
	size_t len = 0;

	if (eks->n == 0)
		return verdict_skip(v, CHECK_SVSM_02, "no list");
	if (tpm_name(manifest, name, &len) != CVM_OK)
		return verdict_fail(v, CHECK_SVSM_02, "a name", "none");
	return verdict_check(v, CHECK_SVSM_02, listed(eks, span(name, len)),
	    "one of the list", "%s",
	    hex_encode(span(name, len), got, sizeof(got)));
}

/*
 * Whoever has a guest can bind any key by the nonce, also one in a TPM of his
 * own making. That it is in the TPM of the manifest shows only who can open
 * with the endorsement key: the collector asked for it, on the machine itself;
 * for anybody else there is the name that was enrolled after such a proof.
 */
static bool
check_ak(const struct appraisal *a, struct verdict *v)
{
	const struct evidence *e = a->evidence;
	uint8_t name[TPM_NAME_MAX];
	char got[2 * TPM_NAME_MAX + 1];
	size_t len = 0;

	if (e->ak_activated)
		return verdict_pass_value(v, CHECK_SVSM_03,
		    "a credential was activated");
	if (tpm_name(blob_span(&e->ak_public), name, &len) != CVM_OK)
		return verdict_fail(v, CHECK_SVSM_03, "a name", "none");
	return verdict_check(v, CHECK_SVSM_03,
	    listed(&a->policy->tpm.ak_names, span(name, len)),
	    "a credential activated by this machine's own module, or one of "
	    "the list",
	    "%s", hex_encode(span(name, len), got, sizeof(got)));
}

bool
svsm_appraise(const struct appraisal *a, struct verdict *v)
{
	struct span manifest = blob_span(&a->evidence->svsm_manifest);
	struct tpm_public ek;
	struct why why = { 0 };
	bool ok;
	int r = tpm_public_parse(manifest, &ek, &why);

	if (!verdict_from_why(v, CHECK_SVSM_01, r, &why))
		return false;
	if (!verdict_check(v, CHECK_SVSM_01, endorsement_key_fits(&ek),
		"a restricted RSA key for decryption that stays in its TPM",
		"type %04x, attributes %08x, %u bits", ek.type, ek.attributes,
		ek.key_bits))
		return false;
	ok = check_ek(a, v, manifest);
	return check_ak(a, v) && ok;
}
