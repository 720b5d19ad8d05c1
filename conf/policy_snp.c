/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "conf/policy_parts.h"

static int check_snp(const struct json_doc *doc, const struct json *item,
    void *out, struct why *why);

static const struct json_word products_v[] = {
	{ "milan", SNP_MILAN },
	{ "genoa", SNP_GENOA },
	{ "turin", SNP_TURIN },
	{ "venice", SNP_VENICE },
};
static const struct json_words products_words = JSON_WORDS(products_v);
static const struct json_field product = { ROW_WORDS(NULL, json_read_word, 0,
    products_words) };

#define SIGN_VCEK 1
#define SIGN_VLEK 2
static const struct json_word signing_keys_v[] = {
	{ "vcek", SIGN_VCEK },
	{ "vlek", SIGN_VLEK },
};
static const struct json_words signing_keys_words = JSON_WORDS(signing_keys_v);
static const struct json_field signing_key = { ROW_WORDS(NULL, json_read_word,
    0, signing_keys_words) };

static JSON_READER(read_signing_keys)
{
	struct policy *p = out;
	unsigned bits = 0;
	int err = json_read_bits(doc, item, field, &bits, why);

	if (err != CVM_OK)
		return err;
	p->snp.allow_vcek = (bits & SIGN_VCEK) != 0;
	p->snp.allow_vlek = (bits & SIGN_VLEK) != 0;
	return CVM_OK;
}

/* POLICY.ABI_MAJOR and ABI_MINOR: SEV-SNP ABI (56860), section 4.3. */
static JSON_READER(read_min_abi)
{
	struct policy *p = out;
	uint32_t v[2];

	(void)field;
	if (!json_is_string(item) ||
	    json_parse_dotted(item->text, v, NELEMS(v)) != CVM_OK)
		return json_refuse(doc, item,
		    "a version like \"1.51\", each part 0..255", why);
	p->snp.min_abi_major = v[0];
	p->snp.min_abi_minor = v[1];
	return CVM_OK;
}

static JSON_READER(read_min_firmware)
{
	uint32_t v[3];

	(void)field;
	if (!json_is_string(item) ||
	    json_parse_dotted(item->text, v, NELEMS(v)) != CVM_OK)
		return json_refuse(doc, item,
		    "a version like \"1.55.21\", each part 0..255", why);
	memcpy(out, v, sizeof(v));
	return CVM_OK;
}

static const struct json_field csp_id = { ROW_STRING(NULL, json_read_text, 0, 1,
    256) };

#define TCB(n)                                                                 \
	{                                                                      \
		ROW_INTEGER(#n, json_read_u8, offsetof(struct snp_tcb, n), 0,  \
		    255)                                                       \
	}
static const struct json_field tcb_fields[] = {
	TCB(fmc),
	TCB(bootloader),
	TCB(tee),
	TCB(snp),
	TCB(microcode),
};
static const struct json_table tcb_table = JSON_TABLE(tcb_fields, NULL);

static const struct json_field guest_fields[] = {
	{ ROW_TRISTATE("debug", POLICY_AT(snp.debug)) },
	{ ROW_TRISTATE("migrate_ma", POLICY_AT(snp.migrate_ma)) },
	{ ROW_TRISTATE("smt", POLICY_AT(snp.smt)) },
	{ ROW_TRISTATE("single_socket", POLICY_AT(snp.single_socket)) },
	{ ROW_TRISTATE("cxl", POLICY_AT(snp.cxl)) },
	{ ROW_TRISTATE("aes256_xts", POLICY_AT(snp.aes256_xts)) },
	{ ROW_TRISTATE("rapl_dis", POLICY_AT(snp.rapl_dis)) },
	{ ROW_TRISTATE("ciphertext_hiding", POLICY_AT(snp.ciphertext_hiding)) },
	{ ROW_TRISTATE("page_swap_disable", POLICY_AT(snp.page_swap_disable)) },
	{ ROW_STRING("min_abi", read_min_abi, 0, 0, 0) },
};
static const struct json_table guest_table = JSON_TABLE(guest_fields, NULL);

static const struct json_field platform_fields[] = {
	{ ROW_TRISTATE("smt", POLICY_AT(snp.p_smt)) },
	{ ROW_TRISTATE("tsme", POLICY_AT(snp.p_tsme)) },
	{ ROW_TRISTATE("ecc", POLICY_AT(snp.p_ecc)) },
	{ ROW_TRISTATE("rapl_dis", POLICY_AT(snp.p_rapl_dis)) },
	{ ROW_TRISTATE("ciphertext_hiding",
	    POLICY_AT(snp.p_ciphertext_hiding)) },
	{ ROW_TRISTATE("alias_check", POLICY_AT(snp.p_alias_check)) },
	{ ROW_TRISTATE("iommu_write_safe", POLICY_AT(snp.p_iommu_write_safe)) },
	{ ROW_TRISTATE("tio", POLICY_AT(snp.p_tio)) },
};
static const struct json_table platform_table = JSON_TABLE(platform_fields,
    NULL);

#define VCPUS_MAX 4096
static const struct json_field launch_fields[] = {
	{ ROW_LAUNCH_ROOTS(POLICY_AT(snp.launch)) },
	{ ROW_LAUNCH_SVN(POLICY_AT(snp.launch)) },
	{ ROW_LAUNCH_SHAPE("vcpus", POLICY_AT(snp.launch), VCPUS_MAX) },
};
static const struct json_table launch_table = JSON_TABLE(launch_fields, NULL);

static const struct json_field snp_fields[] = {
	{ ROW_REQUIRED,
	    ROW_LIST("products", json_read_bits, POLICY_AT(snp.products), 1, 4,
		product) },
	{ ROW_VALUES("roots", POLICY_AT(snp.roots), value_32) },
	{ ROW_VALUES("measurement", POLICY_AT(snp.measurement), value_48) },
	{ ROW_TABLE("launch_endorsement", 0, launch_table) },
	{ ROW_VALUES("host_data", POLICY_AT(snp.host_data), zero_or_32) },
	{ ROW_VALUES("family_id", POLICY_AT(snp.family_id), zero_or_16) },
	{ ROW_VALUES("image_id", POLICY_AT(snp.image_id), zero_or_16) },
	{ ROW_VALUES("report_id", POLICY_AT(snp.report_id), value_32) },
	{ ROW_VALUES("id_key_digest", POLICY_AT(snp.id_key_digest), value_48) },
	{ ROW_VALUES("author_key_digest", POLICY_AT(snp.author_key_digest),
	    value_48) },
	{ ROW_VALUES("chip_id", POLICY_AT(snp.chip_id), value_64) },
	{ ROW_LIST("signing_keys", read_signing_keys, 0, 1, 2, signing_key) },
	{ ROW_STRINGS("csp_id", POLICY_AT(snp.csp_id), csp_id) },
	{ ROW_BOOL("masked_chip_id", POLICY_AT(snp.masked_chip_id)) },
	{ ROW_U32("vmpl", POLICY_AT(snp.vmpl), 0, 3) },
	{ ROW_TABLE("guest_policy", 0, guest_table) },
	{ ROW_TABLE("platform_info", 0, platform_table) },
	{ ROW_REQUIRED,
	    ROW_TABLE("min_tcb", POLICY_AT(snp.min_tcb), tcb_table) },
	{ ROW_TABLE("min_launch_tcb", POLICY_AT(snp.min_launch_tcb),
	    tcb_table) },
	{ ROW_TABLE("min_committed_tcb", POLICY_AT(snp.min_committed_tcb),
	    tcb_table) },
	{ ROW_U32("min_guest_svn", POLICY_AT(snp.min_guest_svn), 0,
	    UINT32_MAX) },
	{ ROW_STRING("min_firmware", read_min_firmware,
	    POLICY_AT(snp.min_firmware), 0, 0) },
	{ ROW_BOOL("provisional_firmware",
	    POLICY_AT(snp.provisional_firmware)) },
	{ ROW_STRING("mitigations", json_read_hex_u64,
	    POLICY_AT(snp.mitigations), 1, 16) },
	{ ROW_WORDS("crl", json_read_flag, POLICY_AT(snp.require_crl),
	    crl_words) },
};
const struct json_table policy_snp_table = JSON_TABLE(snp_fields, check_snp);

/*
 * Without a measurement nothing is said about what runs. A VLEK report says no
 * more than "some machine of this provider", so the provider must be named
 * (SEV-SNP ABI, VLEK certificate, CSP_ID).
 */
static int
check_snp(const struct json_doc *doc, const struct json *item, void *out,
    struct why *why)
{
	const struct policy *p = out;

	if (p->snp.measurement.n == 0 && p->snp.launch.roots.n == 0)
		return json_refuse_member(doc, item, "measurement",
		    "a \"measurement\" or a \"launch_endorsement\"", why);
	if ((p->snp.products & SNP_VENICE) != 0 && p->snp.roots.n == 0)
		return json_refuse_member(doc, item, "roots",
		    "\"roots\", as none of \"venice\" is built in", why);
	if (!p->snp.allow_vlek)
		return json_refuse_present(doc, item, "csp_id",
		    "unless \"signing_keys\" has \"vlek\"", why);
	if (p->snp.csp_id.n == 0)
		return json_refuse_member(doc, item, "csp_id",
		    "a \"csp_id\", as \"signing_keys\" has \"vlek\"", why);
	return CVM_OK;
}

void
policy_snp_defaults(struct policy *p)
{
	p->snp.allow_vcek = true;
	p->snp.debug = FORBID;
	p->snp.migrate_ma = FORBID;
	p->snp.require_crl = true;
}

void
policy_snp_clear(struct policy_snp *snp)
{
	value_list_clear(&snp->roots);
	value_list_clear(&snp->measurement);
	value_list_clear(&snp->launch.roots);
	value_list_clear(&snp->host_data);
	value_list_clear(&snp->family_id);
	value_list_clear(&snp->image_id);
	value_list_clear(&snp->report_id);
	value_list_clear(&snp->id_key_digest);
	value_list_clear(&snp->author_key_digest);
	value_list_clear(&snp->chip_id);
	string_list_clear(&snp->csp_id);
}
