/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#include <cmocka.h>

#include "attest/chain.h"
#include "attest/instance.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/vectors.h"

/* The parsers of TPM structures, and the signature. */

#define SET "tpm/gce-cos-85-nonce9009/"

static cJSON *
load_manifest(void)
{
	struct blob b = { 0 };
	cJSON *m;

	vector_load("MANIFEST.json", &b);
	m = cJSON_ParseWithLength((const char *)b.data, b.len);
	assert_non_null(m);
	blob_clear(&b);
	return m;
}

static const char *
text(const cJSON *o, const char *name)
{
	const cJSON *i = cJSON_GetObjectItemCaseSensitive(o, name);

	return cJSON_IsString(i) ? i->valuestring : "";
}

static uint64_t
number(const cJSON *o, const char *name)
{
	const cJSON *i = cJSON_GetObjectItemCaseSensitive(o, name);

	return cJSON_IsNumber(i) ? (uint64_t)i->valuedouble :
				   strtoull(text(o, name), NULL, 0);
}

static void
same_hex(const char *want, struct span got)
{
	char *hex = malloc(2 * got.len + 1);

	assert_non_null(hex);
	assert_string_equal(want, hex_encode(got, hex, 2 * got.len + 1));
	free(hex);
}

static uint32_t
mask_of(const cJSON *selection)
{
	const cJSON *list = cJSON_GetArrayItem(cJSON_GetArrayItem(selection, 0),
			1),
		    *i;
	uint32_t mask = 0;

	cJSON_ArrayForEach(i, list)
		mask |= UINT32_C(1) << i->valueint;
	return mask;
}

static void
check_quote(const cJSON *file, struct span bytes)
{
	const cJSON *f = cJSON_GetObjectItemCaseSensitive(file, "fields");
	const cJSON *sel = cJSON_GetObjectItemCaseSensitive(f, "sel");
	struct tpm_quote q;

	assert_int_equal(quote_parse(bytes, &q, NULL), 0);
	same_hex(text(f, "signer"), q.qualified_signer);
	same_hex(text(f, "extra"), q.extra_data);
	same_hex(text(f, "digest"), q.pcr_digest);
	assert_true(number(f, "clock") == q.clock.clock);
	assert_true(number(f, "reset") == q.clock.reset_count);
	assert_true(number(f, "restart") == q.clock.restart_count);
	assert_true(number(f, "fw") == q.firmware_version);
	assert_int_equal(number(f, "safe"), q.clock.safe);
	assert_int_equal(mask_of(sel), q.pcr_mask);
	assert_int_equal(cJSON_GetArrayItem(cJSON_GetArrayItem(sel, 0), 0)
			     ->valueint,
	    q.bank_alg);
}

static void
check_public(const cJSON *file, struct span bytes)
{
	const cJSON *f = cJSON_GetObjectItemCaseSensitive(file, "fields");
	uint8_t name[TPM_NAME_MAX];
	struct tpm_public p;
	size_t len;

	/* Two of them are TPM2B_PUBLIC. */
	if (bytes.data[0] == (bytes.len - 2) >> 8 &&
	    bytes.data[1] == ((bytes.len - 2) & 0xff))
		bytes = span(bytes.data + 2, bytes.len - 2);
	assert_int_equal(tpm_public_parse(bytes, &p, NULL), 0);
	assert_int_equal(number(f, "type"), p.type);
	assert_int_equal(number(f, "nameAlg"), p.name_alg);
	assert_int_equal(number(f, "attrs"), p.attributes);
	assert_int_equal(number(f, "scheme"), p.scheme);
	assert_int_equal(number(f, "bits"), p.key_bits);
	assert_int_equal(number(f, "exp"), p.exponent);
	assert_int_equal(tpm_name(bytes, name, &len), 0);
	same_hex(text(f, "name"), span(name, len));
	same_hex(text(f, "authPolicy"), p.auth_policy);
}

/* Every quote and public area in the manifest has the fields it names. */
static void
fields_of_real_structures(void **state)
{
	cJSON *m = load_manifest();
	const cJSON *file;
	unsigned quotes = 0, publics = 0;

	(void)state;
	cJSON_ArrayForEach(file, cJSON_GetObjectItem(m, "files")) {
		const cJSON *f = cJSON_GetObjectItem(file, "fields");
		struct blob b = { 0 };

		if (*text(f, "magic") != '\0') {
			vector_load(text(file, "path"), &b);
			check_quote(file, blob_span(&b));
			quotes++;
		} else if (*text(f, "authPolicy") != '\0' ||
		    cJSON_GetObjectItem(f, "nameAlg") != NULL) {
			vector_load(text(file, "path"), &b);
			check_public(file, blob_span(&b));
			publics++;
		}
		blob_clear(&b);
	}
	assert_true(quotes >= 8);
	assert_true(publics >= 3);
	cJSON_Delete(m);
}

struct real {
	struct blob quote, signature, public;
	struct tpm_public p;
	EVP_PKEY *key;
};

static void
real_clear(struct real *r)
{
	blob_clear(&r->quote);
	blob_clear(&r->signature);
	blob_clear(&r->public);
	evp_pkey_freep(&r->key);
}

static void
real_load(struct real *r)
{
	memset(r, 0, sizeof(*r));
	vector_load(SET "quote-sha256.attest", &r->quote);
	vector_load(SET "quote-sha256.sig", &r->signature);
	vector_load(SET "ak.tpmt_public", &r->public);
	assert_int_equal(tpm_public_parse(blob_span(&r->public), &r->p, NULL),
	    0);
	assert_int_equal(tpm_public_key(&r->p, &r->key), 0);
}

static int
verify(const struct real *r)
{
	struct why why = { 0 };
	enum hash_alg alg;

	return quote_check(r->key, &r->p, blob_span(&r->quote),
	    blob_span(&r->signature), &alg, &why);
}

static void
every_bit_of_a_quote_flipped(void **state)
{
	_cleanup_(real_clear) struct real r;

	(void)state;
	real_load(&r);
	assert_int_equal(verify(&r), 0);
	for (size_t bit = 0; bit < 8 * r.quote.len; bit++) {
		r.quote.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(verify(&r), CVM_E_DENIED);
		r.quote.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(verify(&r), 0);
}

static void
every_bit_of_a_signature_flipped(void **state)
{
	_cleanup_(real_clear) struct real r;

	(void)state;
	real_load(&r);
	for (size_t bit = 0; bit < 8 * r.signature.len; bit++) {
		r.signature.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(verify(&r), CVM_E_DENIED);
		r.signature.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(verify(&r), 0);
}

/* Each prefix, and one byte more, of all three structures. */
static void
structures_cut_or_continued(void **state)
{
	_cleanup_(real_clear) struct real r;
	const uint8_t zero = 0;
	struct tpm_quote q;
	struct tpm_public p;
	enum hash_alg alg;
	size_t n;

	(void)state;
	real_load(&r);
	for (n = 0; n < r.quote.len; n++)
		assert_int_equal(quote_parse(span(r.quote.data, n), &q, NULL),
		    CVM_E_PARSE);
	for (n = 0; n < r.public.len; n++)
		assert_int_equal(tpm_public_parse(span(r.public.data, n), &p,
				     NULL),
		    CVM_E_PARSE);
	for (n = 0; n < r.signature.len; n++)
		assert_int_equal(signature_hash(span(r.signature.data, n), &alg,
				     NULL),
		    CVM_E_PARSE);
	assert_int_equal(blob_append(&r.quote, span(&zero, 1)), 0);
	assert_int_equal(blob_append(&r.public, span(&zero, 1)), 0);
	assert_int_equal(blob_append(&r.signature, span(&zero, 1)), 0);
	assert_int_equal(quote_parse(blob_span(&r.quote), &q, NULL),
	    CVM_E_PARSE);
	assert_int_equal(tpm_public_parse(blob_span(&r.public), &p, NULL),
	    CVM_E_PARSE);
	assert_int_equal(signature_hash(blob_span(&r.signature), &alg, NULL),
	    CVM_E_PARSE);
}

/* The hash of pcrDigest is the signature's, whatever the bank. */
static void
digest_of_every_bank(void **state)
{
	static const struct {
		const char *name;
		enum hash_alg bank;
	} banks[] = { { "sha1", HASH_SHA1 }, { "sha256", HASH_SHA256 },
		{ "sha384", HASH_SHA384 } };

	(void)state;
	for (size_t k = 0; k < NELEMS(banks); k++) {
		struct pcr_values v = { .bank = banks[k].bank };
		struct blob quote = { 0 }, json = { 0 };
		struct tpm_quote q;
		uint8_t digest[HASH_LEN_MAX];
		char path[96];
		const cJSON *i;
		cJSON *j;

		(void)snprintf(path, sizeof(path), SET "quote-%s.attest",
		    banks[k].name);
		vector_load(path, &quote);
		(void)snprintf(path, sizeof(path), SET "pcrs-%s.json",
		    banks[k].name);
		vector_load(path, &json);
		j = cJSON_ParseWithLength((char *)json.data, json.len);
		cJSON_ArrayForEach(i, cJSON_GetObjectItem(j, banks[k].name)) {
			int n = atoi(i->string);

			v.mask |= UINT32_C(1) << n;
			assert_int_equal(hex_decode(i->valuestring, v.value[n],
					     hash_len(v.bank)),
			    0);
		}
		assert_int_equal(quote_parse(blob_span(&quote), &q, NULL), 0);
		assert_int_equal(pcr_digest(&v, q.pcr_mask, HASH_SHA256,
				     digest),
		    0);
		assert_true(span_equal(span(digest, 32), q.pcr_digest));
		/* A value too few is no digest at all. */
		v.mask &= ~1u;
		assert_int_equal(pcr_digest(&v, q.pcr_mask, HASH_SHA256,
				     digest),
		    CVM_E_INVAL);
		cJSON_Delete(j);
		blob_clear(&quote);
		blob_clear(&json);
	}
}

/* Two levels of qualified name: an AK that is a child of its EK. */
static void
qualified_name_of_a_child(void **state)
{
	struct blob ak = { 0 }, ek = { 0 }, quote = { 0 };
	uint8_t name[2][TPM_NAME_MAX], qn[TPM_NAME_SHA256_LEN];
	struct tpm_quote q;
	size_t len[2];

	(void)state;
	vector_load("tpm/keylime-akchild/ak.pub", &ak);
	vector_load("tpm/keylime-akchild/ek.pub", &ek);
	vector_load("tpm/keylime-akchild/quote.bin", &quote);
	assert_int_equal(quote_parse(blob_span(&quote), &q, NULL), 0);
	assert_int_equal(tpm_name(span(ek.data + 2, ek.len - 2), name[0],
			     &len[0]),
	    0);
	assert_int_equal(tpm_name(span(ak.data + 2, ak.len - 2), name[1],
			     &len[1]),
	    0);
	assert_int_equal(tpm_qualified_name(0x4000000b, span(name[1], len[1]),
			     qn),
	    0);
	assert_false(span_equal(span(qn, sizeof(qn)), q.qualified_signer));
	assert_int_equal(tpm_qualified_name(0x4000000b, span(name[0], len[0]),
			     qn),
	    0);
	const struct span parts[] = { span(qn, sizeof(qn)),
		span(name[1], len[1]) };
	uint8_t child[SHA256_LEN];

	assert_int_equal(hash_parts(HASH_SHA256, parts, 2, child), 0);
	assert_true(
	    span_equal(span(child, 32), span(q.qualified_signer.data + 2, 32)));
	blob_clear(&ak);
	blob_clear(&ek);
	blob_clear(&quote);
}

static int
made(const struct quote_plan *p)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
	struct evidence e = { .pcrs = { .bank = HASH_SHA256, .mask = 3 } };
	struct tpm_public pub;
	enum hash_alg alg;
	int r;

	quote_make(p, &e);
	r = tpm_public_parse(blob_span(&e.ak_public), &pub, NULL);
	if (r == CVM_OK)
		r = tpm_public_key(&pub, &key);
	if (r == CVM_OK)
		r = quote_check(key, &pub, blob_span(&e.tpm_quote),
		    blob_span(&e.tpm_signature), &alg, NULL);
	evidence_clear(&e);
	return r;
}

static void
schemes_accepted_and_not(void **state)
{
	static const struct {
		bool rsa;
		uint16_t scheme, hash, sig_scheme, sig_hash;
		bool ok;
	} rows[] = {
		{ 0, 0x18, 0x0b, 0x18, 0x0b, true },
		{ 0, 0x18, 0x0c, 0x18, 0x0c, true },
		{ 1, 0x14, 0x0b, 0x14, 0x0b, true },
		{ 1, 0x14, 0x0d, 0x14, 0x0d, true },
		{ 1, 0x16, 0x0b, 0x16, 0x0b, true },
		/* SHA-1 */
		{ 1, 0x14, 0x04, 0x14, 0x04, false },
		{ 0, 0x18, 0x04, 0x18, 0x04, false },
		/* not the key's scheme or hash */
		{ 1, 0x14, 0x0b, 0x16, 0x0b, false },
		{ 1, 0x16, 0x0b, 0x14, 0x0b, false },
		{ 0, 0x18, 0x0b, 0x18, 0x0c, false },
		{ 1, 0x14, 0x0c, 0x14, 0x0b, false },
		/* unknown */
		{ 0, 0x18, 0x0b, 0x1a, 0x0b, false },
		{ 0, 0x18, 0x0b, 0x18, 0x12, false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct quote_plan p = quote_plan(3);
		int r;

		p.rsa = rows[i].rsa;
		p.scheme = rows[i].scheme;
		p.scheme_hash = rows[i].hash;
		p.sig_scheme = rows[i].sig_scheme;
		p.sig_hash = rows[i].sig_hash;
		r = made(&p);
		if ((r == CVM_OK) != rows[i].ok)
			print_message("# row %zu: %d\n", i, r);
		assert_int_equal(r == CVM_OK, rows[i].ok);
	}
}

static void
quote_header_wrong(void **state)
{
	struct evidence e = { .pcrs = { .bank = HASH_SHA256, .mask = 3 } };
	struct quote_plan p = quote_plan(3);
	struct why why = { 0 };
	struct tpm_quote q;

	(void)state;
	p.magic = 0xff544348;
	quote_make(&p, &e);
	assert_int_equal(quote_parse(blob_span(&e.tpm_quote), &q, &why),
	    CVM_E_PARSE);
	assert_string_equal(why.field, "magic");
	p = quote_plan(3);
	p.type = 0x8017; /* TPM_ST_ATTEST_CERTIFY */
	quote_make(&p, &e);
	assert_int_equal(quote_parse(blob_span(&e.tpm_quote), &q, &why),
	    CVM_E_PARSE);
	assert_string_equal(why.field, "type");
	p = quote_plan(3);
	p.safe = 2;
	quote_make(&p, &e);
	assert_int_equal(quote_parse(blob_span(&e.tpm_quote), &q, &why),
	    CVM_E_PARSE);
	assert_string_equal(why.field, "clockInfo.safe");
	evidence_clear(&e);
}

/* TPML_PCR_SELECTION by hand. */
static void
selections(void **state)
{
	static const struct {
		const char *hex;
		uint32_t mask;
		bool ok;
	} rows[] = {
		{ "00000001000b03010000", 1, true },
		{ "00000001000b03ffffff", 0xffffff, true },
		{ "00000001000b0401000000", 1, true },
		{ "00000000", 0, true },
		{ "00000001000b0400000001", 0, false }, /* PCR 24 */
		{ "00000001000b050100000000", 0, false },
		{ "00000002000b03010000000403010000", 0, false },
		{ "00000001000b0301", 0, false },
		{ "ffffffff", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct blob b = { 0 };
		struct reader r;
		uint32_t mask = 0;
		int err;

		assert_int_equal(hex_decode_blob(rows[i].hex, 64, &b), 0);
		r = reader_init(blob_span(&b));
		err = pcr_selection_read(&r, NULL, &mask);
		assert_int_equal(err == CVM_OK, rows[i].ok);
		assert_int_equal(mask, rows[i].mask);
		blob_clear(&b);
	}
}

/* A point that is not on the curve must not become a key. */
static void
ecc_point_off_the_curve(void **state)
{
	struct evidence e = { .pcrs = { .bank = HASH_SHA256, .mask = 3 } };
	struct quote_plan p = quote_plan(3);
	struct tpm_public pub;
	EVP_PKEY *key = NULL;

	(void)state;
	quote_make(&p, &e);
	e.ak_public.data[e.ak_public.len - 1] ^= 1;
	assert_int_equal(tpm_public_parse(blob_span(&e.ak_public), &pub, NULL),
	    0);
	assert_int_equal(tpm_public_key(&pub, &key), CVM_E_PARSE);
	assert_null(key);
	evidence_clear(&e);
}

/* SEQUENCE { "z", 5, "p", 2^63, "n", [0]{ [0] 0, [1] TRUE } } */
#define ZONE "0c017a"
#define NUMBER "020105"
#define PROJECT "0c0170"
#define ID "0209008000000000000000"
#define NAME "0c016e"
#define BODY ZONE NUMBER PROJECT ID NAME

static int
parse_instance(const char *hex, struct gce_instance *g)
{
	static struct blob b; /* g borrows from it */

	blob_clear(&b);
	assert_int_equal(hex_decode_blob(hex, 2000, &b), 0);
	return gce_instance_parse(blob_span(&b), g);
}

static void
instance_extensions_accepted(void **state)
{
	struct gce_instance g;

	(void)state;
	assert_int_equal(parse_instance("3017" BODY, &g), 0);
	assert_true(g.id == UINT64_C(1) << 63);
	assert_true(g.project_number == 5);
	assert_false(g.is_production);
	assert_int_equal(parse_instance("3025" BODY
					"a00c300aa003020100a1030101ff",
			     &g),
	    0);
	assert_true(g.is_production);
	assert_int_equal(parse_instance("3020" BODY "a0073005a103010100", &g),
	    0);
	assert_false(g.is_production);
	assert_int_equal(parse_instance("3020" BODY "a0073005a2030101ff", &g),
	    0);
	assert_false(g.is_production);
	/* with elements of a later day: [6], and [30] that is empty */
	assert_int_equal(parse_instance("3025" BODY
					"a00c300aa1030101ffa603020105",
			     &g),
	    0);
	assert_true(g.is_production);
	assert_int_equal(parse_instance("301d" BODY "a0043002be00", &g), 0);
	assert_false(g.is_production);
}

static void
instance_extensions_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"30",
		"3000",
		"3080" BODY "0000",
		"3016" BODY,
		"3018" BODY,
		"3017" BODY "00",
		"308117" BODY, /* not the shortest length */
		"30820017" BODY,
		"3117" BODY,
		/* SEQUENCE with a field too few, twice, or of another type */
		"3014" ZONE NUMBER PROJECT ID,
		"3017" PROJECT NUMBER "0201"
		"70" ID NAME,
		"3017"
		"13017a" NUMBER PROJECT ID NAME,
		"3017"
		"0c0100" NUMBER PROJECT ID NAME, /* NUL */
		/* INTEGER: negative, padded, too long, empty */
		"3017" ZONE "0201ff" PROJECT ID NAME,
		"3018" ZONE "02020005" PROJECT ID NAME,
		"3018" ZONE NUMBER PROJECT "020a00800000000000000000" NAME,
		"3017" ZONE NUMBER PROJECT "0209018000000000000000" NAME,
		"3016" ZONE "0200" PROJECT ID NAME,
		/* flags: BER truth, twice, out of order, unknown, empty */
		"3020" BODY "a0073005a103010101",
		"3025" BODY "a00c300aa103010100a1030101ff",
		"3025" BODY "a00c300aa1030101ffa003020100",
		"3025" BODY "a00c300aa6030101ffa1030101ff",
		"3025" BODY "a00c300aa6030101ffa6030101ff",
		"301e" BODY "a0053003bf1f00", /* [31] */
		"301e" BODY "a0053003a60201", /* cut */
		"3020" BODY "a007300586030101ff",
		"301d" BODY "a0043002a100",
		"301e" BODY "a0053003a1010101",
		"3021" BODY "a0083006a10401020000",
		"3020" BODY "a1073005a1030101ff",
		"3021" BODY "a0083005a1030101ff00",
		"3019" BODY "0500",
	};
	struct gce_instance g;

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++) {
		int r = parse_instance(bad[i], &g);

		if (r != CVM_E_PARSE)
			print_message("# row %zu\n", i);
		assert_int_equal(r, CVM_E_PARSE);
	}
}

static void
instance_of_a_real_certificate(void **state)
{
	_cleanup_(cert_freep) struct cert *x = NULL;
	struct blob der = { 0 };
	struct gce_instance g;
	struct span ext;

	(void)state;
	vector_load(SET "ak_cert.der", &der);
	assert_int_equal(cert_from_der(blob_span(&der), false, &x), 0);
	assert_int_equal(cert_extension(x, GCE_INSTANCE_OID, &ext), 0);
	assert_int_equal(gce_instance_parse(ext, &g), 0);
	assert_true(g.project_number == UINT64_C(117478743145));
	assert_true(g.id == UINT64_C(6797026933021542085));
	assert_true(g.is_production);
	assert_true(span_equal(g.zone, span("us-central1-a", 13)));
	assert_true(span_equal(g.name, span("cos-test", 8)));
	for (size_t n = 0; n < ext.len; n++)
		assert_int_equal(gce_instance_parse(span(ext.data, n), &g),
		    CVM_E_PARSE);
	blob_clear(&der);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_of_real_structures),
		cmocka_unit_test(every_bit_of_a_quote_flipped),
		cmocka_unit_test(every_bit_of_a_signature_flipped),
		cmocka_unit_test(structures_cut_or_continued),
		cmocka_unit_test(digest_of_every_bank),
		cmocka_unit_test(qualified_name_of_a_child),
		cmocka_unit_test(schemes_accepted_and_not),
		cmocka_unit_test(quote_header_wrong),
		cmocka_unit_test(selections),
		cmocka_unit_test(ecc_point_off_the_curve),
		cmocka_unit_test(instance_extensions_accepted),
		cmocka_unit_test(instance_extensions_refused),
		cmocka_unit_test(instance_of_a_real_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
