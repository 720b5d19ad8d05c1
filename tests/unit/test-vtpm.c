/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/hcl.h"
#include "attest/hcl_collect.h"
#include "attest/quote.h"
#include "tests/unit/vtpm-fixture.h"

/* What the TPM code does with a TPM that works. */

static void
ak_is_restricted_and_the_same_each_time(void **state)
{
	TPM_OF(state);
	struct blob public = { 0 }, name[2] = { { 0 } }, cert = { 0 };
	struct tpm_public p;

	for (int i = 0; i < 2; i++) {
		struct vtpm *t = connect_to(s->tcti);

		assert_int_equal(vtpm_ak(t, &public, &name[i], &cert, NULL), 0);
		assert_int_equal(tpm_public_parse(blob_span(&public), &p, NULL),
		    0);
		assert_int_equal(p.attributes, 0x00050072);
		assert_int_equal(cert.len, 0);
		vtpm_freep(&t);
	}
	assert_true(span_equal(blob_span(&name[0]), blob_span(&name[1])));
	assert_int_equal(swtpm_loaded(s), 0);
	blob_clear(&public);
	blob_clear(&name[0]);
	blob_clear(&name[1]);
	blob_clear(&cert);
}

static void
quote_is_over_the_values_read(void **state)
{
	TPM_OF(state);
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };
	static const uint32_t masks[] = { MASK, 1, 0xffffff, 0x800000 };

	for (size_t i = 0; i < NELEMS(masks); i++) {
		int r = quote_with(t, masks[i], &q, &why);

		if (r != CVM_OK)
			say_why(&why);
		assert_int_equal(r, 0);
	}
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
quote_notices_that_a_pcr_moved(void **state)
{
	TPM_OF(state);
	_cleanup_(quoted_clear) struct quoted a = { 0 }, b = { 0 };
	struct vtpm *t = connect_to(s->tcti);

	assert_int_equal(quote_with(t, MASK, &a, NULL), 0);
	extend_pcr(t, 14);
	assert_int_equal(quote_with(t, MASK, &b, NULL), 0);
	assert_memory_not_equal(a.pcrs.value[14], b.pcrs.value[14], 32);
	assert_memory_equal(a.pcrs.value[7], b.pcrs.value[7], 32);
	vtpm_freep(&t);
}

static void
quote_arguments_out_of_range(void **state)
{
	TPM_OF(state);
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_to(s->tcti);

	assert_int_equal(vtpm_quote(t, HASH_SHA256, 0, NONCE, &q.quote,
			     &q.signature, &q.pcrs, NULL),
	    CVM_E_INVAL);
	assert_int_equal(vtpm_quote(t, HASH_SHA256, 1 << 24, NONCE, &q.quote,
			     &q.signature, &q.pcrs, NULL),
	    CVM_E_INVAL);
	assert_int_equal(vtpm_quote(t, HASH_SHA256, 1, span(NULL, 0), &q.quote,
			     &q.signature, &q.pcrs, NULL),
	    CVM_E_INVAL);
	vtpm_freep(&t);
}

/* An NV index as a platform would have it. */
struct nv {
	uint32_t index;
	struct span data;
	uint32_t attributes;
};

static int
define_job(struct vtpm *t, void *arg, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_NV_DefineSpace,
		.what = "TPM2_NV_DefineSpace",
		.handles = { TPM2_RH_OWNER },
		.n_handles = 1,
		.password = true
	};
	struct nv *nv = arg;

	write_be16(&c.params, 0);
	write_be16(&c.params, 14);
	write_be32(&c.params, nv->index);
	write_be16(&c.params, TPM2_ALG_SHA256);
	write_be32(&c.params, nv->attributes);
	write_be16(&c.params, 0);
	write_be16(&c.params, (uint16_t)nv->data.len);
	return tpm_send(t, &c, span(NULL, 0), &rsp, why);
}

static int
write_job(struct vtpm *t, void *arg, struct why *why)
{
	struct nv *nv = arg;
	int r = CVM_OK;

	for (size_t at = 0; r == CVM_OK && at < nv->data.len; at += 512) {
		_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
		_cleanup_(tpm_command_clear) struct tpm_command c = {
			.code = TPM2_CC_NV_Write,
			.what = "TPM2_NV_Write",
			.handles = { TPM2_RH_OWNER, nv->index },
			.n_handles = 2,
			.password = true
		};
		size_t n = nv->data.len - at;

		write_2b(&c.params,
		    span(nv->data.data + at, n < 512 ? n : 512));
		write_be16(&c.params, (uint16_t)at);
		r = tpm_send(t, &c, span(NULL, 0), &rsp, why);
	}
	return r;
}

static void
define(struct vtpm *t, uint32_t index, struct span data)
{
	struct nv nv = { index, data, 0x02060006 };

	assert_int_equal(vtpm_run(t, define_job, &nv, NULL), 0);
	assert_int_equal(vtpm_run(t, write_job, &nv, NULL), 0);
}

static void
ak_from_a_gce_template_with_padded_certificate(void **state)
{
	TPM_OF(state);
	static const char tmpl[] = "0023000b00050072000000100018000b0003"
				   "001000020101"
				   "0000";
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(blob_clear) struct blob bytes = { 0 };
	uint8_t cert[900] = { 0x30, 0x82, 0x02, 0x00, 1, 2, 3 };
	struct config_tpm cfg = config_of(s->tcti);
	struct vtpm *t;
	struct why why = { 0 };
	int r;

	cert[4 + 0x200 - 1] = 9;
	cfg.ak = AK_GCE_ECC;
	t = vtpm_new(&cfg);
	/* Nothing is there yet: said with the index. */
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.got, "0x01c10003"));
	assert_int_equal(hex_decode_blob(tmpl, 1000, &bytes), 0);
	define(t, 0x01c10003, blob_span(&bytes));
	define(t, 0x01c10002, span(cert, sizeof(cert)));
	r = quote_with(t, MASK, &q, &why);
	if (r != CVM_OK)
		say_why(&why);
	assert_int_equal(r, 0);
	assert_int_equal(q.cert.len, 4 + 0x200);
	assert_memory_equal(q.cert.data, cert, q.cert.len);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
certificate_that_is_not_der(void **state)
{
	TPM_OF(state);
	static const char tmpl[] = "0023000b00050072000000100018000b0003"
				   "001000020101"
				   "0000";
	static const uint8_t bad[][6] = { { 0x31, 2, 0, 0 },
		{ 0x30, 0x80, 0, 0 }, { 0x30, 5, 1, 1, 1, 1 },
		{ 0x30, 0x83, 0, 0, 1, 0 }, { 0x30, 0x82, 0, 3, 0, 0 } };

	for (size_t i = 0; i < NELEMS(bad); i++) {
		_cleanup_(quoted_clear) struct quoted q = { 0 };
		_cleanup_(blob_clear) struct blob bytes = { 0 };
		struct config_tpm cfg = config_of(s->tcti);
		struct vtpm *t;
		struct blob b;

		cfg.ak = AK_GCE_ECC;
		t = vtpm_new(&cfg);
		assert_int_equal(hex_decode_blob(tmpl, 1000, &bytes), 0);
		if (i == 0)
			define(t, 0x01c10003, blob_span(&bytes));
		define(t, 0x01c10002, span(bad[i], sizeof(bad[i])));
		assert_int_equal(quote_with(t, MASK, &q, NULL),
		    CVM_E_UNREACHABLE);
		vtpm_freep(&t);
		assert_int_equal(swtpm_loaded(s), 0);
		/* TPM2_NV_UndefineSpace */
		b = swtpm_raw(s,
		    "80020000001f"
		    "00000122"
		    "40000001"
		    "01c10002"
		    "00000009"
		    "40000009"
		    "0000"
		    "00"
		    "0000");
		assert_int_equal(b.data[9], 0);
		blob_clear(&b);
	}
}

static void
nv_index_missing_or_too_long(void **state)
{
	TPM_OF(state);
	struct vtpm *t = connect_to(s->tcti);
	struct blob out = { 0 };
	uint8_t data[1500];

	memset(data, 0x5a, sizeof(data));
	assert_int_equal(vtpm_nv_read(t, 0x01400001, 4096, &out, NULL),
	    CVM_E_NOT_FOUND);
	define(t, 0x01400001, span(data, sizeof(data)));
	assert_int_equal(vtpm_nv_read(t, 0x01400001, 4096, &out, NULL), 0);
	assert_true(span_equal(blob_span(&out), span(data, sizeof(data))));
	assert_int_equal(vtpm_nv_read(t, 0x01400001, 1499, &out, NULL),
	    CVM_E_UNREACHABLE);
	vtpm_freep(&t);
	blob_clear(&out);
}

static void
sealed_opens_again(void **state)
{
	TPM_OF(state);
	static const char *const auths[] = { NULL, "p",
		"0123456789abcdef0123456789abcdef" };

	for (size_t i = 0; i < NELEMS(auths); i++) {
		_cleanup_(sealing_clear) struct sealing g;
		struct vtpm *t = connect_to(s->tcti);
		struct why why = { 0 };
		int r;

		seal_now(t, auths[i], &g);
		for (int k = 0; k < 3; k++) {
			r = unseal(t, &g, auths[i], &why);
			if (r != CVM_OK)
				say_why(&why);
			assert_int_equal(r, 0);
		}
		vtpm_freep(&t);
		assert_int_equal(swtpm_loaded(s), 0);
		/* It also opens after the TPM was off. */
		swtpm_restart(s);
		t = connect_to(s->tcti);
		assert_int_equal(unseal(t, &g, auths[i], NULL), 0);
		vtpm_freep(&t);
	}
}

static void
sealed_does_not_open_after_a_pcr_moved(void **state)
{
	TPM_OF(state);
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };

	seal_now(t, NULL, &g);
	extend_pcr(t, 1); /* not one of ours */
	assert_int_equal(unseal(t, &g, NULL, NULL), 0);
	extend_pcr(t, 9);
	assert_int_equal(unseal(t, &g, NULL, &why), CVM_E_SEALED);
	assert_string_equal(why.field, "PCR values");
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
sealed_for_values_yet_to_come(void **state)
{
	TPM_OF(state);
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	uint8_t next[64] = { 0 };

	seal_now(t, NULL, &g);
	memcpy(next, g.set.value[9], 32);
	next[32] = 7; /* what extend_pcr() measures */
	assert_int_equal(hash(HASH_SHA256, span(next, 64), g.set.value[9]), 0);
	assert_int_equal(vtpm_seal(t, HASH_SHA256, &g.set, g.data, NULL,
			     &g.blob, NULL),
	    0);
	assert_int_equal(unseal(t, &g, NULL, NULL), CVM_E_SEALED);
	extend_pcr(t, 9);
	assert_int_equal(unseal(t, &g, NULL, NULL), 0);
	vtpm_freep(&t);
}

static void
auth_value_wrong_missing_or_superfluous(void **state)
{
	TPM_OF(state);
	_cleanup_(sealing_clear) struct sealing with, without;
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };
	uint32_t before;

	vtpm_freep(&t);
	before = swtpm_lockout_counter(s);
	t = connect_to(s->tcti);
	seal_now(t, "right", &with);
	seal_now(t, NULL, &without);
	assert_int_equal(unseal(t, &with, "wrong", &why), CVM_E_PIN_INCORRECT);
	assert_int_equal(unseal(t, &with, "righ", NULL), CVM_E_PIN_INCORRECT);
	assert_int_equal(unseal(t, &with, "right1", NULL), CVM_E_PIN_INCORRECT);
	assert_int_equal(unseal(t, &with, NULL, NULL), CVM_E_SEALED);
	assert_int_equal(unseal(t, &without, "right", NULL), CVM_E_SEALED);
	assert_int_equal(unseal(t, &with, "right", NULL), 0);
	vtpm_freep(&t);
	/* The machine's lockout is not ours to run up. */
	assert_int_equal(swtpm_lockout_counter(s), before);
	assert_int_equal(swtpm_loaded(s), 0);
}

/* A TPM strips trailing zeros: a scrypt output may well end in one. */
static void
auth_value_ends_in_zero(void **state)
{
	TPM_OF(state);
	_cleanup_(secret_freep) struct secret *auth = secret_new(32);
	_cleanup_(secret_freep) struct secret *out = NULL;
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);

	memset(secret_data(auth), 0x11, 30);
	seal_now(t, NULL, &g);
	assert_int_equal(vtpm_seal(t, HASH_SHA256, &g.set, g.data, auth,
			     &g.blob, NULL),
	    0);
	assert_int_equal(vtpm_unseal(t, HASH_SHA256, MASK, blob_span(&g.blob),
			     auth, &out, NULL),
	    0);
	secret_freep(&out);
	secret_data(auth)[31] = 1;
	assert_int_equal(vtpm_unseal(t, HASH_SHA256, MASK, blob_span(&g.blob),
			     auth, &out, NULL),
	    CVM_E_PIN_INCORRECT);
	vtpm_freep(&t);
}

static void
sealed_blob_with_any_byte_changed(void **state)
{
	TPM_OF(state);
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	int r;

	seal_now(t, "pin", &g);
	for (size_t i = 0; i < g.blob.len; i++) {
		g.blob.data[i] ^= 0x10;
		r = unseal(t, &g, "pin", NULL);
		if (r != CVM_E_SEALED)
			print_message("# byte %zu: %d\n", i, r);
		assert_int_equal(r, CVM_E_SEALED);
		g.blob.data[i] ^= 0x10;
	}
	for (size_t len = 0; len < g.blob.len; len++) {
		struct secret *out = NULL;

		assert_int_equal(vtpm_unseal(t, HASH_SHA256, MASK,
				     span(g.blob.data, len), g.auth, &out,
				     NULL),
		    CVM_E_SEALED);
	}
	assert_int_equal(unseal(t, &g, "pin", NULL), 0);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
sealed_by_another_tpm(void **state)
{
	TPM_OF(state);
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	struct swtpm other;
	struct why why = { 0 };

	seal_now(t, NULL, &g);
	vtpm_freep(&t);
	assert_true(swtpm_start(&other));
	t = connect_to(other.tcti);
	assert_int_equal(unseal(t, &g, NULL, &why), CVM_E_SEALED);
	assert_non_null(strstr(why.expected, "this TPM"));
	vtpm_freep(&t);
	swtpm_stop(&other);
}

static void
tpm_gone_and_back(void **state)
{
	TPM_OF(state);
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(sealing_clear) struct sealing g;
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };

	seal_now(t, NULL, &g);
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	swtpm_kill(s);
	assert_int_equal(quote_with(t, MASK, &q, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.where, s->dir));
	assert_int_equal(unseal(t, &g, NULL, NULL), CVM_E_UNREACHABLE);
	swtpm_restart(s);
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	/* Restarted between two calls: nobody notices. */
	swtpm_restart(s);
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	swtpm_restart(s);
	assert_int_equal(unseal(t, &g, NULL, NULL), 0);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
another_tpm_in_the_middle_of_a_round(void **state)
{
	TPM_OF(state);
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };
	char command[160];

	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	swtpm_kill(s);
	(void)snprintf(command, sizeof(command), "rm -f %s/tpm2*", s->dir);
	assert_int_equal(system(command), 0);
	swtpm_restart(s);
	assert_int_equal(vtpm_quote(t, HASH_SHA256, MASK, NONCE, &q.quote,
			     &q.signature, &q.pcrs, &why),
	    CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "attestation key");
	/* The next round asks for the key anew. */
	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	vtpm_freep(&t);
}

static void
nv_index_written_by_others(void **state)
{
	TPM_OF(state);
	_cleanup_(blob_clear) struct blob b = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	uint8_t data[513] = { 1, 2, 3 };
	struct nv owners = { 0x01400003, span(data, 64), 0x02060002 };
	struct why why = { 0 };

	/* Defined by the first who writes, and written by all. */
	assert_int_equal(vtpm_nv_write(t, 0x01400002, span(data, 64), &why), 0);
	data[63] = 9;
	vtpm_freep(&t);
	t = connect_to(s->tcti);
	assert_int_equal(vtpm_nv_write(t, 0x01400002, span(data, 64), &why), 0);
	assert_int_equal(vtpm_nv_read(t, 0x01400002, 64, &b, &why), 0);
	assert_true(span_equal(blob_span(&b), span(data, 64)));
	/* Of another size, it is somebody else's. */
	for (size_t len = 63; len <= 65; len += 2) {
		assert_int_equal(vtpm_nv_write(t, 0x01400002, span(data, len),
				     &why),
		    CVM_E_UNREACHABLE);
		assert_string_equal(why.field, "NV index size");
	}
	assert_int_equal(vtpm_nv_read(t, 0x01400002, 64, &b, &why), 0);
	assert_true(span_equal(blob_span(&b), span(data, 64)));
	assert_int_equal(vtpm_nv_write(t, 0x01400003, span(data, 513), &why),
	    CVM_E_INVAL);
	/* One that only the owner writes. */
	assert_int_equal(vtpm_run(t, define_job, &owners, NULL), 0);
	data[0] = 7;
	assert_int_equal(vtpm_nv_write(t, 0x01400003, span(data, 64), &why), 0);
	assert_int_equal(vtpm_nv_read(t, 0x01400003, 64, &b, &why), 0);
	assert_int_equal(b.data[0], 7);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

#define HCL_NV_LEN 1800

/* The paravisor's index with runtime data that are over user_data. */
static void
define_hcl(struct vtpm *t, enum hcl_type type, bool right_hash,
    const uint8_t user_data[REPORT_DATA_LEN])
{
	char hex[2 * REPORT_DATA_LEN + 1], json[512];
	uint8_t b[HCL_NV_LEN] = "HCLA";
	size_t n, at = type == HCL_SNP ? 0x50 : 0x80;

	(void)snprintf(json, sizeof(json),
	    "{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],"
	    "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"mUK7\"}],"
	    "\"user-data\":\"%s\"}",
	    hex_encode(span(user_data, REPORT_DATA_LEN), hex, sizeof(hex)));
	n = strlen(json);
	const struct {
		size_t at;
		size_t v;
	} words[] = { { 4, 2 }, { 8, 32 + 1184 + 20 + n }, { 12, 2 },
		{ 0x4c0, 20 + n }, { 0x4c4, 1 }, { 0x4c8, type }, { 0x4cc, 1 },
		{ 0x4d0, n } };

	for (size_t i = 0; i < NELEMS(words); i++)
		for (int k = 0; k < 4; k++)
			b[words[i].at + (size_t)k] = (uint8_t)(words[i].v >>
			    (8 * k));
	memcpy(b + 0x4d4, json, n);
	assert_int_equal(hash(HASH_SHA256, span(json, n), b + 0x20 + at), 0);
	b[0x20 + at] ^= !right_hash;
	define(t, HCL_REPORT_NV, span(b, sizeof(b)));
}

static const uint8_t mine[REPORT_DATA_LEN] = { 5, [63] = 6 };

static int
ask_paravisor(struct vtpm *t, struct why *why)
{
	struct tsm_report r = { 0 };
	int err;

	memset(why, 0, sizeof(*why));
	err = hcl_get_report(t, mine, 200, &r, why);
	if (err == CVM_OK) {
		assert_int_equal(r.outblob.len, SNP_REPORT_LEN);
		assert_int_equal(r.hcl.len, HCL_NV_LEN);
	} else {
		assert_null(r.outblob.data);
		assert_null(r.hcl.data);
	}
	tsm_report_clear(&r);
	return err;
}

static void
paravisor_without_report(void **state)
{
	TPM_OF(state);
	struct vtpm *t = connect_to(s->tcti);
	struct why why;

	assert_int_equal(ask_paravisor(t, &why), CVM_E_UNREACHABLE);
	assert_non_null(strstr(why.hint, "Azure"));
	define_hcl(t, HCL_SNP, true, mine);
	assert_int_equal(ask_paravisor(t, &why), CVM_OK);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

static void
paravisor_of_another_round(void **state)
{
	TPM_OF(state);
	static const uint8_t others[REPORT_DATA_LEN] = { 5, [63] = 7 };
	struct vtpm *t = connect_to(s->tcti);
	struct why why;

	define_hcl(t, HCL_SNP, true, others);
	assert_int_equal(ask_paravisor(t, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "user-data");
	assert_non_null(strstr(why.hint, "200 ms"));
	vtpm_freep(&t);
}

static void
paravisor_in_two_pieces(void **state)
{
	TPM_OF(state);
	struct vtpm *t = connect_to(s->tcti);
	struct why why;

	define_hcl(t, HCL_SNP, false, mine);
	assert_int_equal(ask_paravisor(t, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "REPORT_DATA");
	vtpm_freep(&t);
}

/* Nobody but the platform can verify that: it must not pass for a quote. */
static void
paravisor_with_a_tdreport(void **state)
{
	TPM_OF(state);
	struct vtpm *t = connect_to(s->tcti);
	struct why why;

	define_hcl(t, HCL_TDX, true, mine);
	assert_int_equal(ask_paravisor(t, &why), CVM_E_UNREACHABLE);
	assert_string_equal(why.field, "report type");
	assert_non_null(strstr(why.hint, "network"));
	vtpm_freep(&t);
}

/* The TCG's template L-1 of an endorsement key: 2048 bits of zero follow. */
static const char ek_template[] = "0001000b000300b2"
				  "0020837197674484b3f81a90cc8d46a5d724fd52d76e"
				  "06520b64f2a1da1b331469aa"
				  "000600800043001008000000000001"
				  "00";

static int
make_ek(struct vtpm *t, void *arg, struct why *why)
{
	_cleanup_(tpm_object_endp) struct tpm_object o = { 0 };
	_cleanup_(blob_clear) struct blob tmpl = { 0 };
	static const uint8_t zero[256];

	assert_int_equal(hex_decode_blob(ek_template, 100, &tmpl), 0);
	assert_int_equal(blob_append(&tmpl, span(zero, sizeof(zero))), 0);
	assert_int_equal(tpm_create_primary(t, TPM2_RH_ENDORSEMENT,
			     blob_span(&tmpl), &o, why),
	    0);
	return blob_set(arg, blob_span(&o.public));
}

/* Only the TPM of the endorsement key opens the credential, and only for the
 * attestation key that it names. */
static void
credential_of_another_key_or_tpm(void **state)
{
	TPM_OF(state);
	static const struct {
		size_t at; /* in the endorsement key */
		uint8_t xor ;
	} edits[] = {
		{ 1, 0x22 }, /* ECC */
		{ 5, 0x02 }, /* not for decryption */
		{ 7, 0x02 }, /* not fixedTPM */
		{ 10, 1 },   /* another policy */
	};
	_cleanup_(quoted_clear) struct quoted q = { 0 };
	_cleanup_(blob_clear) struct blob ek = { 0 };
	struct vtpm *t = connect_to(s->tcti);
	struct why why = { 0 };
	uint8_t name[TPM_NAME_MAX];
	size_t len;

	assert_int_equal(quote_with(t, MASK, &q, NULL), 0);
	assert_int_equal(tpm_name(blob_span(&q.public), name, &len), 0);
	assert_int_equal(vtpm_run(t, make_ek, &ek, NULL), 0);
	assert_int_equal(vtpm_activate(t, blob_span(&ek), span(name, len),
			     &why),
	    0);
	name[len - 1] ^= 1;
	assert_int_equal(vtpm_activate(t, blob_span(&ek), span(name, len),
			     &why),
	    CVM_E_DENIED);
	name[len - 1] ^= 1;
	for (size_t i = 0; i < NELEMS(edits); i++) {
		ek.data[edits[i].at] ^= edits[i].xor ;
		assert_int_equal(vtpm_activate(t, blob_span(&ek),
				     span(name, len), &why),
		    CVM_E_DENIED);
		assert_string_equal(why.field, "endorsement key");
		ek.data[edits[i].at] ^= edits[i].xor ;
	}
	ek.data[ek.len - 1] ^= 2;
	assert_int_equal(vtpm_activate(t, blob_span(&ek), span(name, len),
			     &why),
	    CVM_E_DENIED);
	assert_non_null(strstr(why.got, "another TPM"));
	ek.data[ek.len - 1] ^= 2;
	assert_int_equal(vtpm_activate(t, blob_span(&ek), span(name, len),
			     &why),
	    0);
	vtpm_freep(&t);
	assert_int_equal(swtpm_loaded(s), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ak_is_restricted_and_the_same_each_time),
		TEST(quote_is_over_the_values_read),
		TEST(quote_notices_that_a_pcr_moved),
		TEST(quote_arguments_out_of_range),
		TEST(ak_from_a_gce_template_with_padded_certificate),
		TEST(certificate_that_is_not_der),
		TEST(nv_index_missing_or_too_long),
		TEST(nv_index_written_by_others),
		TEST(credential_of_another_key_or_tpm),
		TEST(paravisor_without_report),
		TEST(paravisor_of_another_round),
		TEST(paravisor_in_two_pieces),
		TEST(paravisor_with_a_tdreport),
		TEST(sealed_opens_again),
		TEST(sealed_does_not_open_after_a_pcr_moved),
		TEST(sealed_for_values_yet_to_come),
		TEST(auth_value_wrong_missing_or_superfluous),
		TEST(auth_value_ends_in_zero),
		TEST(sealed_blob_with_any_byte_changed),
		TEST(sealed_by_another_tpm),
		TEST(tpm_gone_and_back),
		TEST(another_tpm_in_the_middle_of_a_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
