/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>
#include <string.h>

#include "attest/hcl.h"
#include "base/reader.h"
#include "conf/json_read.h"

/* Microsoft, "Guest attestation for confidential VMs", HCL report layout;
 * little-endian. */
#define HARDWARE_LEN SNP_REPORT_LEN /* room for either kind */
#define HEADER_LEN 32
#define RUNTIME_HEADER_LEN 20
#define REQUEST_TYPE_REPORT 2
#define SNP_REPORT_DATA_AT 0x50
#define TDREPORT_DATA_AT 0x80
#define USER_DATA_DIGITS (2 * REPORT_DATA_LEN)

static int
refuse(struct why *why, const char *field, const char *expected, uint32_t got)
{
	return why_setf(why, CVM_E_PARSE, "HCL report", field, expected, "%u",
	    got);
}

static int
read_header(struct reader *in, struct hcl_report *r, uint32_t *ret_size,
    struct why *why)
{
	struct span magic = read_span(in, 4);
	uint32_t request, status;

	r->version = read_le32(in);
	*ret_size = read_le32(in);
	request = read_le32(in);
	status = read_le32(in);
	if (!span_equal(magic, span("HCLA", 4)))
		return why_set(why, CVM_E_PARSE, "HCL report", "signature",
		    "HCLA", "something else");
	if (r->version < 1 || r->version > 2)
		return why_setf(why, CVM_E_UNSUPPORTED, "HCL report", "version",
		    "1 or 2", "%u", r->version);
	if (request != REQUEST_TYPE_REPORT)
		return refuse(why, "request type", "2", request);
	if (status != 0)
		return refuse(why, "status", "0", status);
	read_zero(in, HEADER_LEN - 20);
	return CVM_OK;
}

/* The report is at the start of its room. Which kind it is comes after it. */
static int
take_hardware(struct hcl_report *r, struct span room, struct why *why)
{
	struct reader in = reader_init(room);
	bool snp = r->type == HCL_SNP;

	r->hardware = read_span(&in, snp ? SNP_REPORT_LEN : HCL_TDREPORT_LEN);
	read_zero(&in, reader_left(&in));
	if (in.failed)
		return why_set(why, CVM_E_PARSE, "HCL report", "TDREPORT",
		    "1024 bytes, and zero", "more");
	in = reader_init(r->hardware);
	read_skip(&in, snp ? SNP_REPORT_DATA_AT : TDREPORT_DATA_AT);
	r->report_data = read_span(&in, REPORT_DATA_LEN);
	return CVM_OK;
}

static int
read_runtime(struct reader *in, struct hcl_report *r, uint32_t size,
    struct why *why)
{
	static const enum hash_alg algs
	    [] = { [1] = HASH_SHA256, [2] = HASH_SHA384, [3] = HASH_SHA512 };
	uint32_t data_len = read_le32(in), version = read_le32(in);
	uint32_t type = read_le32(in), alg = read_le32(in);
	uint32_t len = read_le32(in);

	if (version != 1)
		return refuse(why, "runtime data version", "1", version);
	if (type != HCL_SNP && type != HCL_TDX)
		return refuse(why, "report type", "2 (SNP) or 4 (TDX)", type);
	if (alg < 1 || alg >= NELEMS(algs))
		return refuse(why, "hash type", "1, 2 or 3", alg);
	r->type = (enum hcl_type)type;
	r->alg = algs[alg];
	r->runtime = read_span(in, len);
	if (in->failed || len == 0)
		return refuse(why, "runtime data size", "1 to what is there",
		    len);
	if (data_len != len + RUNTIME_HEADER_LEN)
		return refuse(why, "data size", "20 more than the JSON",
		    data_len);
	if (size != HEADER_LEN + HARDWARE_LEN + data_len)
		return refuse(why, "report size", "1216 more than the data",
		    size);
	return CVM_OK;
}

int
hcl_report_parse(struct span bytes, struct hcl_report *ret,
    struct why *reterr_why)
{
	struct reader in = reader_init(bytes);
	struct hcl_report r = { 0 };
	struct span room;
	uint32_t size = 0;
	int err;

	if (bytes.len > HCL_REPORT_MAX)
		return why_setf(reterr_why, CVM_E_PARSE, "HCL report", "length",
		    "at most 4096 bytes", "%zu", bytes.len);
	if ((err = read_header(&in, &r, &size, reterr_why)) != CVM_OK)
		return err;
	room = read_span(&in, HARDWARE_LEN);
	if ((err = read_runtime(&in, &r, size, reterr_why)) != CVM_OK)
		return err;
	read_zero(&in, reader_left(&in));
	if (reader_end(&in) != CVM_OK)
		return why_set(reterr_why, CVM_E_PARSE, "HCL report",
		    "reserved bytes", "zero", "something else");
	if ((err = take_hardware(&r, room, reterr_why)) != CVM_OK)
		return err;
	*ret = r;
	return CVM_OK;
}

int
hcl_report_data(const struct hcl_report *r, uint8_t out[static REPORT_DATA_LEN])
{
	uint8_t digest[HASH_LEN_MAX] = { 0 };
	int err = hash(r->alg, r->runtime, digest);

	if (err == CVM_OK)
		memcpy(out, digest, REPORT_DATA_LEN);
	return err;
}

static const char *
text_of(const struct json *object, const char *name)
{
	const struct json *item = json_member(object, name);

	return json_is_string(item) ? item->text : NULL;
}

static bool
is_text(const struct json *object, const char *name, const char *want)
{
	const char *text = text_of(object, name);

	return text != NULL && strcmp(text, want) == 0;
}

/* Base64url without padding (RFC 7515, section 2). */
static int
base64url(const char *text, size_t max, struct blob *ret)
{
	_cleanup_(freep) char *plain = NULL;
	size_t len = text != NULL ? strlen(text) : 0;

	if (len == 0 || len > 2 * max || strpbrk(text, "+/=") != NULL)
		return CVM_E_PARSE;
	if ((plain = malloc(len + 4)) == NULL)
		return CVM_E_NOMEM;
	memcpy(plain, text, len);
	for (size_t i = 0; i < len; i++)
		plain[i] = plain[i] == '-' ? '+' :
		    plain[i] == '_'	   ? '/' :
					     plain[i];
	while (len % 4 != 0)
		plain[len++] = '=';
	plain[len] = '\0';
	return base64_decode(plain, max, ret);
}

/* RFC 7518, section 6.3.1: without leading zeros. */
static int
read_key(const struct json *key, struct hcl_runtime *r)
{
	_cleanup_(blob_clear) struct blob n = { 0 }, e = { 0 };
	const struct json *ops = json_member(key, "key_ops");
	const struct json *op = json_at(ops, 0);

	if (!is_text(key, "kty", "RSA") || json_count(ops) != 1 ||
	    !json_is_string(op) || strcmp(op->text, "sign") != 0 ||
	    base64url(text_of(key, "n"), HCL_KEY_MAX, &n) != CVM_OK ||
	    base64url(text_of(key, "e"), sizeof(r->exponent), &e) != CVM_OK ||
	    n.data[0] == 0 || e.data[0] == 0)
		return CVM_E_PARSE;
	memcpy(r->modulus, n.data, n.len);
	r->modulus_len = n.len;
	for (size_t i = 0; i < e.len; i++)
		r->exponent = r->exponent << 8 | e.data[i];
	return CVM_OK;
}

static int
read_keys(const struct json_doc *doc, struct hcl_runtime *r, struct why *why)
{
	const struct json *keys = json_member(json_root(doc), "keys"), *key;
	unsigned found = 0;

	JSON_EACH(key, keys) {
		if (!is_text(key, "kid", "HCLAkPub"))
			continue;
		if (found++ > 0)
			break;
		if (read_key(key, r) != CVM_OK)
			return json_refuse(doc, key, "an RSA key that signs",
			    why);
	}
	return found == 1 ? CVM_OK :
			    json_refuse_member(doc, json_root(doc), "keys",
				"exactly one key HCLAkPub", why);
}

static enum hcl_flag
flag_of(const struct json *object, const char *name)
{
	const struct json *item = json_member(object, name);

	if (!json_is_bool(item))
		return HCL_NOT_SAID;
	return json_is_true(item) ? HCL_YES : HCL_NO;
}

static int
read_rest(const struct json_doc *doc, struct hcl_runtime *r, struct why *why)
{
	const struct json *vm = json_member(json_root(doc), "vm-configuration");
	const char *data = text_of(json_root(doc), "user-data");
	const char *id = text_of(vm, "vmUniqueId");

	r->secure_boot = flag_of(vm, "secure-boot");
	r->console = flag_of(vm, "console-enabled");
	if (id != NULL && strlen(id) <= HCL_VM_ID_MAX)
		memcpy(r->vm_id, id, strlen(id) + 1);
	/* A paravisor that is too old for it has no user data. */
	if (json_member(json_root(doc), "user-data") == NULL)
		return CVM_OK;
	if (data == NULL || strlen(data) != USER_DATA_DIGITS ||
	    hex_decode(data, r->user_data, REPORT_DATA_LEN) != CVM_OK)
		return json_refuse_member(doc, json_root(doc), "user-data",
		    "128 hexadecimal digits", why);
	r->has_user_data = true;
	return CVM_OK;
}

int
hcl_runtime_parse(struct span json, struct hcl_runtime *ret,
    struct why *reterr_why)
{
	static const struct json_limits limits = { HCL_REPORT_MAX, 256, false };
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	struct hcl_runtime r = { 0 };
	int err;

	if ((err = json_parse_within(json, &limits, "runtime data", &doc,
		 reterr_why)) != CVM_OK ||
	    (err = read_keys(doc, &r, reterr_why)) != CVM_OK ||
	    (err = read_rest(doc, &r, reterr_why)) != CVM_OK)
		return err;
	*ret = r;
	return CVM_OK;
}

int
hcl_user_data(const struct evidence *e, uint8_t out[static REPORT_DATA_LEN])
{
	struct hcl_report report;
	struct hcl_runtime runtime;
	int err;

	if ((err = hcl_report_parse(blob_span(&e->hcl_report), &report,
		 NULL)) != CVM_OK ||
	    (err = hcl_runtime_parse(report.runtime, &runtime, NULL)) != CVM_OK)
		return err;
	if (!runtime.has_user_data)
		return CVM_E_NOT_FOUND;
	memcpy(out, runtime.user_data, REPORT_DATA_LEN);
	return CVM_OK;
}
