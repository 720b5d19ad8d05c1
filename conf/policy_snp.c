/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "conf/policy_parts.h"

static int check_snp(const struct json_doc *doc, const cJSON *item, void *out,
    struct why *why);

static const struct json_word products_v[] = {
	{ "milan", SNP_MILAN },
	{ "genoa", SNP_GENOA },
	{ "turin", SNP_TURIN },
};
static const struct json_word crl_v[] = {
	{ "skip", false },
	{ "require", true },
};
static const struct json_words products_words = JSON_WORDS(products_v);
static const struct json_words crl_words = JSON_WORDS(crl_v);

#define SIGN_VCEK 1
#define SIGN_VLEK 2
static const struct json_word signing_keys_v[] = {
	{ "vcek", SIGN_VCEK },
	{ "vlek", SIGN_VLEK },
};
static const struct json_words signing_keys_words = JSON_WORDS(signing_keys_v);

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
	if (!cJSON_IsString(item) ||
	    json_parse_dotted(item->valuestring, v, NELEMS(v)) != CVM_OK)
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
	if (!cJSON_IsString(item) ||
	    json_parse_dotted(item->valuestring, v, NELEMS(v)) != CVM_OK)
		return json_refuse(doc, item,
		    "a version like \"1.55.21\", each part 0..255", why);
	memcpy(out, v, sizeof(v));
	return CVM_OK;
}

static const struct json_field csp_id = { .read = json_read_text, .min = 1,
	.max = 256, .schema_type = "string" };

#define TCB(n)                                                                 \
	{                                                                      \
		.name = #n, .read = json_read_u8,                              \
		.offset = offsetof(struct snp_tcb, n), .min = 0, .max = 255,   \
		.schema_type = "integer"                                       \
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
	POLICY_TRISTATE("debug", snp.debug),
	POLICY_TRISTATE("migrate_ma", snp.migrate_ma),
	POLICY_TRISTATE("smt", snp.smt),
	POLICY_TRISTATE("single_socket", snp.single_socket),
	POLICY_TRISTATE("cxl", snp.cxl),
	POLICY_TRISTATE("aes256_xts", snp.aes256_xts),
	POLICY_TRISTATE("rapl_dis", snp.rapl_dis),
	POLICY_TRISTATE("ciphertext_hiding", snp.ciphertext_hiding),
	POLICY_TRISTATE("page_swap_disable", snp.page_swap_disable),
	{ .name = "min_abi", .read = read_min_abi, .offset = 0,
	    .schema_type = "string" },
};
static const struct json_table guest_table = JSON_TABLE(guest_fields, NULL);

static const struct json_field platform_fields[] = {
	POLICY_TRISTATE("smt", snp.p_smt),
	POLICY_TRISTATE("tsme", snp.p_tsme),
	POLICY_TRISTATE("ecc", snp.p_ecc),
	POLICY_TRISTATE("rapl_dis", snp.p_rapl_dis),
	POLICY_TRISTATE("ciphertext_hiding", snp.p_ciphertext_hiding),
	POLICY_TRISTATE("alias_check", snp.p_alias_check),
	POLICY_TRISTATE("tio", snp.p_tio),
};
static const struct json_table platform_table = JSON_TABLE(platform_fields,
    NULL);

static const struct json_field snp_fields[] = {
	{ .name = "products", .required = true, .read = json_read_bits,
	    .offset = POLICY_AT(snp.products), .min = 1, .max = 3,
	    .arg = &products_words, .schema_type = "array" },
	POLICY_VALUES("roots", snp.roots, value_32),
	{ .name = "measurement", .required = true, .read = json_read_values,
	    .offset = POLICY_AT(snp.measurement), .min = 1,
	    .max = POLICY_LIST_MAX, .arg = &value_48, .schema_type = "array" },
	POLICY_VALUES("host_data", snp.host_data, zero_or_32),
	POLICY_VALUES("family_id", snp.family_id, zero_or_16),
	POLICY_VALUES("image_id", snp.image_id, zero_or_16),
	POLICY_VALUES("report_id", snp.report_id, value_32),
	POLICY_VALUES("id_key_digest", snp.id_key_digest, value_48),
	POLICY_VALUES("author_key_digest", snp.author_key_digest, value_48),
	POLICY_VALUES("chip_id", snp.chip_id, value_64),
	{ .name = "signing_keys", .read = read_signing_keys, .offset = 0,
	    .min = 1, .max = 2, .arg = &signing_keys_words,
	    .schema_type = "array" },
	POLICY_STRINGS("csp_id", snp.csp_id, csp_id),
	POLICY_BOOL("masked_chip_id", snp.masked_chip_id),
	POLICY_U32("vmpl", snp.vmpl, 0, 3),
	POLICY_OBJECT("guest_policy", guest_table),
	POLICY_OBJECT("platform_info", platform_table),
	{ .name = "min_tcb", .required = true, .read = json_read_table,
	    .offset = POLICY_AT(snp.min_tcb), .arg = &tcb_table,
	    .schema_type = "object" },
	{ .name = "min_launch_tcb", .read = json_read_table,
	    .offset = POLICY_AT(snp.min_launch_tcb), .arg = &tcb_table,
	    .schema_type = "object" },
	POLICY_U32("min_guest_svn", snp.min_guest_svn, 0, UINT32_MAX),
	{ .name = "min_firmware", .read = read_min_firmware,
	    .offset = POLICY_AT(snp.min_firmware), .schema_type = "string" },
	POLICY_BOOL("provisional_firmware", snp.provisional_firmware),
	{ .name = "mitigations", .read = json_read_hex_u64,
	    .offset = POLICY_AT(snp.mitigations), .min = 1, .max = 16,
	    .schema_type = "string" },
	{ .name = "crl", .read = json_read_flag,
	    .offset = POLICY_AT(snp.require_crl), .arg = &crl_words,
	    .schema_type = "string" },
};
const struct json_table policy_snp_table = JSON_TABLE(snp_fields, check_snp);

/*
 * A VLEK report says no more than "some machine of this provider", so the
 * provider must be named (SEV-SNP ABI, VLEK certificate, CSP_ID).
 */
static int
check_snp(const struct json_doc *doc, const cJSON *item, void *out,
    struct why *why)
{
	const struct policy *p = out;

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
	value_list_clear(&snp->host_data);
	value_list_clear(&snp->family_id);
	value_list_clear(&snp->image_id);
	value_list_clear(&snp->report_id);
	value_list_clear(&snp->id_key_digest);
	value_list_clear(&snp->author_key_digest);
	value_list_clear(&snp->chip_id);
	string_list_clear(&snp->csp_id);
}
