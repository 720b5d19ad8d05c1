/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <cjson/cJSON.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/chain.h"
#include "tests/unit/judged.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/tpm-scene.h"
#include "tests/unit/vectors.h"

/* What an appraisal says about the TPM evidence of real machines. */

#define SET "tpm/gce-cos-85-nonce9009/"
#define GOOGLE "collateral/google/"

static void
load_pcrs(struct scene *s, const char *name)
{
	static const struct {
		const char *name;
		enum hash_alg bank;
	} banks[] = { { "sha1", HASH_SHA1 }, { "sha256", HASH_SHA256 },
		{ "sha384", HASH_SHA384 } };
	struct pcr_values *v = &s->evidence.pcrs;
	struct blob b = { 0 };
	const cJSON *i;
	cJSON *j;

	vector_load(name, &b);
	j = cJSON_ParseWithLength((const char *)b.data, b.len);
	assert_non_null(j);
	memset(v, 0, sizeof(*v));
	for (size_t k = 0; k < NELEMS(banks); k++) {
		cJSON_ArrayForEach(i, cJSON_GetObjectItem(j, banks[k].name)) {
			int n = atoi(i->string);

			v->bank = banks[k].bank;
			v->mask |= UINT32_C(1) << n;
			assert_int_equal(hex_decode(i->valuestring, v->value[n],
					     hash_len(v->bank)),
			    0);
		}
	}
	cJSON_Delete(j);
	blob_clear(&b);
}

/* Adds DER certificates to the endorsements as one PEM file; with pin, the
 * policy trusts their keys. */
static void
endorse(struct scene *s, const char *name, const char *const *files, bool pin)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	for (; *files != NULL; files++) {
		_cleanup_(cert_freep) struct cert *x = NULL;
		struct blob der = { 0 };

		vector_load(*files, &der);
		assert_int_equal(cert_from_der(blob_span(&der), false, &x), 0);
		assert_int_equal(PEM_write_bio(bio, PEM_STRING_X509, "",
				     x->der.data, (long)x->der.len) > 0,
		    1);
		blob_clear(&der);
		if (!pin)
			continue;
		assert_int_equal(blob_set(&s->pins[s->policy.tpm.ak_roots.n++],
				     span(x->spki_digest, SHA256_LEN)),
		    0);
		s->policy.tpm.ak_roots.v = s->pins;
	}
	len = BIO_get_mem_data(bio, &pem);
	assert_int_equal(endorsements_add(s->endorsements, name,
			     span(pem, (size_t)len)),
	    0);
	BIO_free(bio);
}

/* A Google VM of 2021: RSA key, certificate, 24 PCRs. */
static struct scene *
gce(void)
{
	static const char *const roots[] = { GOOGLE "tpm_ek_root_1.cer",
		GOOGLE "gcp_ek_ak_ca_root.crt", NULL };
	static const char *const more[] = { GOOGLE "tpm_ek_intermediate_2.crt",
		GOOGLE "tpm_ek_intermediate_3.crt",
		GOOGLE "gcp_ek_ak_ca_intermediate_v3.crt", NULL };
	struct blob probe = { 0 };
	struct scene *s;

	vector_load("MANIFEST.json", &probe);
	blob_clear(&probe);
	s = scene_new();
	vector_load(SET "quote-sha256.attest", &s->evidence.tpm_quote);
	vector_load(SET "quote-sha256.sig", &s->evidence.tpm_signature);
	vector_load(SET "ak.tpmt_public", &s->evidence.ak_public);
	vector_load(SET "ak_cert.der", &s->evidence.ak_cert);
	load_pcrs(s, SET "pcrs-sha256.json");
	accept_values(s, 0x000043ff);
	endorse(s, "google/ak-root.pem", roots, true);
	endorse(s, "google/ak-intermediates.pem", more, false);
	s->policy.tpm.instance.production = true;
	return s;
}

static void
real_vm_admitted(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();
	static const uint8_t zero[300];

	(void)state;
	admitted(s);
	assert_int_equal(s->facts.clock.reset_count, 10);
	assert_int_equal(s->facts.ak_name_len, 34);
	assert_int_equal(s->facts.ak_name[2], 0xf1);
	assert_string_equal(s->verdict.results[CHECK_TPM_05].got,
	    "endorsement");
	/* NV indices are padded with zeros, and with nothing else. */
	assert_int_equal(blob_append(&s->evidence.ak_cert,
			     span(zero, sizeof(zero))),
	    0);
	admitted(s);
	s->evidence.ak_cert.data[s->evidence.ak_cert.len - 1] = 1;
	denied_by(s, CHECK_TPM_06);
}

/* One field of the policy after the other, with the value it has and with a
 * neighbour of it. */
static void
instance_fields_that_differ(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();
	struct policy_instance *p = &s->policy.tpm.instance;
	char good[5][40] = { "us-central1-a", "google.com:wuale-gcp-testing",
		"117478743145", "6797026933021542085", "cos-test" };
	char bad[][40] = { "us-central1-b", "us-central1-", "us-central1-a ",
		"google.com:wuale-gcp-testin", "117478743146", "0117478743145",
		"6797026933021542084", "cos-tes", "Cos-test" };
	static const int of[] = { 0, 0, 0, 1, 2, 2, 3, 4, 4 };
	char **field[] = { &p->zone, &p->project_id, &p->project_number,
		&p->instance_id, &p->instance_name };

	(void)state;
	for (size_t i = 0; i < 5; i++)
		*field[i] = good[i];
	admitted(s);
	for (size_t i = 0; i < NELEMS(bad); i++) {
		*field[of[i]] = bad[i];
		denied_by(s, CHECK_TPM_09);
		*field[of[i]] = good[of[i]];
	}
	memset(p, 0, sizeof(*p));
	admitted(s);
	assert_int_equal(scene_status(s, CHECK_TPM_09), CHECK_SKIPPED);
}

static void
firmware_that_is_not_in_the_list(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();
	char v[2][17] = { "2016051100162801", "2016051100162800" };
	char *list[] = { v[0], v[1] };

	(void)state;
	s->policy.tpm.firmware_versions = (struct string_list){ list, 1 };
	denied_by(s, CHECK_TPM_17);
	s->policy.tpm.firmware_versions.n = 2;
	admitted(s);
}

static void
root_not_pinned_or_missing(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();

	(void)state;
	s->pins[0].data[0] ^= 1;
	denied_by(s, CHECK_TPM_06);
	s->pins[0].data[0] ^= 1;
	admitted(s);
	s->policy.tpm.ak_roots.n = 0;
	denied_by(s, CHECK_TPM_06);
	s->policy.tpm.ak_roots.n = 2;
	s->appraisal.now = iso_seconds("2021-08-01T00:00:00Z");
	denied_by(s, CHECK_TPM_06);
	s->appraisal.now = iso_seconds("2051-09-01T00:00:00Z");
	denied_by(s, CHECK_TPM_06);
	s->appraisal.now = iso_seconds("2026-01-01T00:00:00Z");
	endorsements_freep(&s->endorsements);
	s->endorsements = endorsements_new();
	s->appraisal.endorsements = s->endorsements;
	denied_by(s, CHECK_TPM_06);
	assert_non_null(
	    strstr(s->verdict.results[CHECK_TPM_06].got, "google/ak-root.pem"));
	blob_clear(&s->evidence.ak_cert);
	denied_by(s, CHECK_TPM_06);
}

/* Any bit of the certificate: chain, usage, key or instance break. */
static void
certificate_with_a_bit_flipped(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();

	(void)state;
	for (size_t i = 0; i < s->evidence.ak_cert.len; i++) {
		s->evidence.ak_cert.data[i] ^= (uint8_t)(1 << i % 8);
		assert_false(scene_run(s));
		s->evidence.ak_cert.data[i] ^= (uint8_t)(1 << i % 8);
	}
	admitted(s);
}

static void
load_manifest(cJSON **ret)
{
	struct blob b = { 0 };

	vector_load("MANIFEST.json", &b);
	*ret = cJSON_ParseWithLength((const char *)b.data, b.len);
	assert_non_null(*ret);
	blob_clear(&b);
}

static const char *
text(const cJSON *o, const char *name)
{
	const cJSON *i = cJSON_GetObjectItemCaseSensitive(o, name);

	return cJSON_IsString(i) ? i->valuestring : "";
}

static bool
starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool
ends(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

/* Every AK and EK certificate: they chain alike, and differ in usage. */
static void
endorsement_key_certificate_offered(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();
	unsigned good = 0, bad = 0;
	const cJSON *file;
	cJSON *m;

	(void)state;
	load_manifest(&m);
	cJSON_ArrayForEach(file, cJSON_GetObjectItem(m, "files")) {
		struct blob pem = { 0 };
		struct cert *x[1] = { NULL };
		bool valid = strcmp(text(file, "verdict"), "valid") == 0;
		size_t n;

		if (!starts(text(file, "path"), "tpm/certs/"))
			continue;
		vector_load(text(file, "path"), &pem);
		assert_int_equal(certs_from_pem(blob_span(&pem), x, 1, &n), 0);
		assert_int_equal(blob_set(&s->evidence.ak_cert,
				     blob_span(&x[0]->der)),
		    0);
		s->appraisal.now = iso_seconds(text(file, "verify_time"));
		assert_false(scene_run(s)); /* none is this key's */
		assert_int_equal(scene_status(s, CHECK_TPM_06), CHECK_PASS);
		assert_int_equal(scene_status(s, CHECK_TPM_07),
		    valid ? CHECK_PASS : CHECK_FAIL);
		assert_int_equal(scene_status(s, CHECK_TPM_08), CHECK_FAIL);
		*(valid ? &good : &bad) += 1;
		cert_freep(&x[0]);
		blob_clear(&pem);
	}
	assert_true(good >= 2 && bad >= 3);
	cJSON_Delete(m);
}

/* The key of an Azure AK as its paravisor's JSON has it, made a TPMT_PUBLIC. */
static void
azure_key(struct scene *s, const char *hcl)
{
	static const uint8_t head[] = { 0, 1, 0, 0x0b, 0, 5, 0, 0x72, 0, 0, 0,
		0x10, 0, 0x14, 0, 0x0b, 8, 0, 0, 0, 0, 0, 1, 0 };
	struct blob b = { 0 }, n = { 0 };
	char b64[400];
	cJSON *j;
	const cJSON *key;
	size_t len;

	vector_load(hcl, &b);
	j = cJSON_ParseWithLength((const char *)b.data + 0x4d4, b.len - 0x4d4);
	assert_non_null(j);
	cJSON_ArrayForEach(key, cJSON_GetObjectItem(j, "keys")) {
		if (strcmp(text(key, "kid"), "HCLAkPub") != 0)
			continue;
		(void)snprintf(b64, sizeof(b64) - 4, "%s", text(key, "n"));
		for (char *p = b64; *p != '\0'; p++)
			*p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
		for (len = strlen(b64); len % 4 != 0; len++)
			memcpy(&b64[len], "=", 2);
		assert_int_equal(base64_decode(b64, 512, &n), 0);
	}
	assert_int_equal(n.len, 256);
	assert_int_equal(blob_set(&s->evidence.ak_public,
			     span(head, sizeof(head))),
	    0);
	assert_int_equal(blob_append(&s->evidence.ak_public, blob_span(&n)), 0);
	cJSON_Delete(j);
	blob_clear(&b);
	blob_clear(&n);
}

/* A raw RSA signature as Azure's documents have it. */
static void
wrap_signature(struct scene *s)
{
	static const uint8_t head[] = { 0, 0x14, 0, 0x0b, 1, 0 };
	struct blob b = { 0 };

	if (s->evidence.tpm_signature.len != 256)
		return;
	assert_int_equal(blob_set(&b, span(head, sizeof(head))), 0);
	assert_int_equal(blob_append(&b, blob_span(&s->evidence.tpm_signature)),
	    0);
	blob_clear(&s->evidence.tpm_signature);
	s->evidence.tpm_signature = b;
}

static void
take_input(struct scene *s, const char *path)
{
	if (ends(path, ".attest") || ends(path, ".quote")) {
		blob_clear(&s->evidence.tpm_quote);
		vector_load(path, &s->evidence.tpm_quote);
	} else if (ends(path, ".sig")) {
		blob_clear(&s->evidence.tpm_signature);
		vector_load(path, &s->evidence.tpm_signature);
		wrap_signature(s);
	} else if (ends(path, ".json") && strstr(path, "pcrs") != NULL) {
		load_pcrs(s, path);
	} else if (starts(path, "tpm/certs/")) {
		struct cert *x[1] = { NULL };
		struct blob pem = { 0 };
		size_t n;

		vector_load(path, &pem);
		assert_int_equal(certs_from_pem(blob_span(&pem), x, 1, &n), 0);
		assert_int_equal(blob_set(&s->evidence.ak_cert,
				     blob_span(&x[0]->der)),
		    0);
		cert_freep(&x[0]);
		blob_clear(&pem);
	} else if (ends(path, "hcl_report.bin")) {
		azure_key(s, path);
		pin_name(s);
		s->policy.tpm.instance.production = false;
	}
}

/* True when one of the inputs is for a TPM's part of an appraisal. */
static bool
has_tpm_input(const cJSON *c)
{
	const cJSON *i;

	cJSON_ArrayForEach(i, cJSON_GetObjectItem(c, "inputs"))
		if (ends(i->valuestring, ".attest") ||
		    ends(i->valuestring, ".quote") ||
		    starts(i->valuestring, "tpm/certs/"))
			return true;
	return false;
}

static bool
nonce_is(const struct scene *s, const char *hex)
{
	struct tpm_quote q;
	struct blob b = { 0 };
	bool same;

	if (*hex == '\0')
		return true;
	assert_int_equal(hex_decode_blob(hex, 64, &b), 0);
	same = quote_parse(blob_span(&s->evidence.tpm_quote), &q, NULL) ==
		CVM_OK &&
	    span_equal(q.extra_data, blob_span(&b));
	blob_clear(&b);
	return same;
}

static bool
run_case(const cJSON *c)
{
	_cleanup_(scene_freep) struct scene *s = gce();
	const cJSON *i;
	bool admit;

	cJSON_ArrayForEach(i, cJSON_GetObjectItem(c, "inputs"))
		take_input(s, i->valuestring);
	if (*text(c, "verify_time") != '\0')
		s->appraisal.now = iso_seconds(text(c, "verify_time"));
	accept_values(s, 0x000043ff);
	admit = scene_run(s) && nonce_is(s, text(c, "nonce_hex"));
	print_message("# %s: ", text(c, "id"));
	scene_say(s);
	judged_as_listed("tpm", c, &s->verdict);
	return admit;
}

static void
cases_of_the_manifest(void **state)
{
	unsigned n = 0;
	const cJSON *c;
	cJSON *m;

	(void)state;
	load_manifest(&m);
	cJSON_ArrayForEach(c, cJSON_GetObjectItem(m, "cases")) {
		/* Others are about reports alone, or about what comes with
		 * the quote. */
		if (!has_tpm_input(c))
			continue;
		assert_int_equal(run_case(c),
		    strcmp(text(c, "verdict"), "valid") == 0);
		n++;
	}
	assert_true(n >= 8);
	cJSON_Delete(m);
}

static void
mutations_of_the_manifest(void **state)
{
	unsigned n = 0;
	const cJSON *c;
	cJSON *m;

	(void)state;
	load_manifest(&m);
	cJSON_ArrayForEach(c, cJSON_GetObjectItem(m, "mutations")) {
		_cleanup_(scene_freep) struct scene *s = NULL;

		if (!ends(text(c, "base"), ".attest"))
			continue;
		s = gce();
		take_input(s, text(c, "base"));
		admitted(s);
		judged_edit(c, &s->evidence.tpm_quote);
		assert_false(scene_run(s));
		judged_as_listed("tpm", c, &s->verdict);
		n++;
	}
	assert_true(n >= 3);
	judged_all("tpm");
	cJSON_Delete(m);
}

/* The root in that file is the one that the policy names, and is at hand with
 * the intermediates of Azure's machine. */
static void
pin_azure_root(struct scene *s, const char *path)
{
	struct blob root = { 0 }, more = { 0 };
	struct cert *x[1] = { NULL };
	size_t n;

	endorsements_freep(&s->endorsements);
	s->appraisal.endorsements = s->endorsements = endorsements_new();
	vector_load(path, &root);
	vector_load("azure/tdx-2026-with-ak-chain/ak_intermediates.pem", &more);
	assert_int_equal(endorsements_add(s->endorsements, "google/ak-root.pem",
			     blob_span(&root)),
	    0);
	assert_int_equal(endorsements_add(s->endorsements,
			     "google/ak-intermediates.pem", blob_span(&more)),
	    0);
	assert_int_equal(certs_from_pem(blob_span(&root), x, 1, &n), 0);
	assert_int_equal(blob_set(&s->pins[0],
			     span(x[0]->spki_digest, SHA256_LEN)),
	    0);
	cert_freep(&x[0]);
	blob_clear(&root);
	blob_clear(&more);
}

/* Another provider's hierarchy, named by the policy, three levels deep. */
static void
azure_certificate_chain(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();
	struct cert *x[1] = { NULL };
	struct blob leaf = { 0 };
	size_t n;

	(void)state;
	pin_azure_root(s, "collateral/azure/azure-virtual-tpm-root-2023.pem");
	vector_load("azure/tdx-2026-with-ak-chain/ak_cert.pem", &leaf);
	assert_int_equal(certs_from_pem(blob_span(&leaf), x, 1, &n), 0);
	assert_int_equal(blob_set(&s->evidence.ak_cert, blob_span(&x[0]->der)),
	    0);
	cert_freep(&x[0]);
	blob_clear(&leaf);
	take_input(s, "azure/tdx-2026-with-ak-chain/tpm_quote.attest");
	take_input(s, "azure/tdx-2026-with-ak-chain/tpm_quote.sig");
	azure_key(s, "azure/tdx-2026-with-ak-chain/hcl_report.bin");
	s->appraisal.now = iso_seconds("2026-06-10T00:00:00Z");
	assert_false(scene_run(s));
	scene_say(s);
	assert_int_equal(scene_status(s, CHECK_TPM_06), CHECK_PASS);
	assert_int_equal(scene_status(s, CHECK_TPM_07), CHECK_PASS);
	assert_int_equal(scene_status(s, CHECK_TPM_08), CHECK_PASS);
	assert_int_equal(scene_status(s, CHECK_TPM_09), CHECK_FAIL);
	s->appraisal.now = iso_seconds("2027-07-01T00:00:00Z");
	assert_false(scene_run(s));
	assert_int_equal(scene_status(s, CHECK_TPM_06), CHECK_FAIL);
	/* The provider's other root vouches for none of these. */
	pin_azure_root(s,
	    "collateral/azure/microsoft-rsa-devices-root-ca-2021.pem");
	s->appraisal.now = iso_seconds("2026-06-10T00:00:00Z");
	assert_false(scene_run(s));
	assert_int_equal(scene_status(s, CHECK_TPM_06), CHECK_FAIL);
}

/* What Azure's document of a machine has: quote, signature, PCR values. */
static void
azure_quote_refused(void **state)
{
	static const char dir[] = "azure/snp-milan-userdata/";
	static const char *const files[] = { "hcl_report.bin",
		"tpm_quote.attest", "tpm_quote.sig", "pcrs.json" };
	_cleanup_(scene_freep) struct scene *s = gce();

	(void)state;
	for (size_t i = 0; i < NELEMS(files); i++) {
		char path[96];

		(void)snprintf(path, sizeof(path), "%s%s", dir, files[i]);
		take_input(s, path);
	}
	accept_values(s, 0x00ffffff);
	admitted(s);
	s->evidence.pcrs.value[4][0] ^= 1;
	denied_by(s, CHECK_TPM_13);
	s->evidence.pcrs.value[4][0] ^= 1;
	s->evidence.tpm_signature.data[100] ^= 1;
	denied_by(s, CHECK_TPM_04);
}

/* Signed as it should be, over a bank that the policy does not name. */
static void
quote_of_another_bank(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();

	(void)state;
	take_input(s, "tpm/gce-cos-85-nonce9009/quote-sha384.attest");
	take_input(s, "tpm/gce-cos-85-nonce9009/quote-sha384.sig");
	assert_false(scene_run(s));
	assert_int_equal(scene_status(s, CHECK_TPM_04), CHECK_PASS);
	assert_int_equal(scene_status(s, CHECK_TPM_12), CHECK_FAIL);
}

/* SHA-1 throughout: cryptographically fine, and refused. */
static void
sha1_key_and_bank(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();

	(void)state;
	take_input(s, "tpm/win-gce-shielded.quote");
	take_input(s, "tpm/win-gce-shielded.sig");
	take_input(s, "tpm/win-gce-shielded.pcrs.json");
	blob_clear(&s->evidence.ak_public);
	vector_load("tpm/win-gce-shielded.ak.tpmt_public",
	    &s->evidence.ak_public);
	pin_name(s);
	denied_by(s, CHECK_TPM_03);
}

/* The values as tpm2-tools dumps them: TPML_PCR_SELECTION with room for 16,
 * then TPML_DIGESTs with room for 8, in the order of the machine. */
static void
load_dump(struct scene *s, const char *path)
{
	struct pcr_values *v = &s->evidence.pcrs;
	struct blob b = { 0 };
	const uint8_t *d;
	unsigned at = 0;

	vector_load(path, &b);
	assert_int_equal(b.len, 132 + 4 + 532);
	d = b.data;
	assert_int_equal(d[0], 1); /* selections */
	assert_int_equal(d[4], 0x0b);
	v->bank = HASH_SHA256;
	v->mask = (uint32_t)d[7] | (uint32_t)d[8] << 8 | (uint32_t)d[9] << 16;
	assert_int_equal(d[132], 1); /* lists */
	for (unsigned i = 0; i < 24; i++) {
		const uint8_t *digest = d + 140 + 66 * (size_t)at;

		if ((v->mask >> i & 1) == 0)
			continue;
		assert_true(at++ < 8);
		assert_int_equal(digest[0], SHA256_LEN);
		memcpy(v->value[i], digest + 2, SHA256_LEN);
	}
	assert_int_equal(d[136], at);
	blob_clear(&b);
}

/* An AK that is no primary key: its certificate does not say whose child. */
static void
child_of_an_endorsement_key(void **state)
{
	_cleanup_(scene_freep) struct scene *s = gce();
	struct blob pub = { 0 }, told = { 0 };
	uint8_t name[TPM_NAME_MAX];
	size_t name_len = 0;

	(void)state;
	blob_clear(&s->evidence.tpm_quote);
	blob_clear(&s->evidence.tpm_signature);
	vector_load("tpm/keylime-akchild/quote.bin", &s->evidence.tpm_quote);
	vector_load("tpm/keylime-akchild/quotesig.bin",
	    &s->evidence.tpm_signature);
	vector_load("tpm/keylime-akchild/ak.pub", &pub);
	assert_int_equal(blob_set(&s->evidence.ak_public,
			     span(pub.data + 2, pub.len - 2)),
	    0);
	assert_false(scene_run(s));
	assert_int_equal(scene_status(s, CHECK_TPM_04), CHECK_PASS);
	assert_int_equal(scene_status(s, CHECK_TPM_05), CHECK_FAIL);
	pin_name(s);
	assert_false(scene_run(s)); /* the PCR values are another's */
	assert_int_equal(scene_status(s, CHECK_TPM_05), CHECK_SKIPPED);
	assert_int_equal(scene_status(s, CHECK_TPM_10), CHECK_PASS);
	assert_int_equal(scene_status(s, CHECK_TPM_12), CHECK_FAIL);
	/* Its own values, and its name as the TPM told it. */
	load_dump(s, "tpm/keylime-akchild/quotepcr.bin");
	accept_values(s, s->evidence.pcrs.mask);
	(void)scene_run(s);
	assert_int_equal(scene_status(s, CHECK_TPM_12), CHECK_PASS);
	assert_int_equal(scene_status(s, CHECK_TPM_13), CHECK_PASS);
	vector_load("tpm/keylime-akchild/ak.name", &told);
	assert_int_equal(tpm_name(blob_span(&s->evidence.ak_public), name,
			     &name_len),
	    0);
	assert_true(span_equal(blob_span(&told), span(name, name_len)));
	blob_clear(&told);
	blob_clear(&pub);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_vm_admitted),
		cmocka_unit_test(instance_fields_that_differ),
		cmocka_unit_test(firmware_that_is_not_in_the_list),
		cmocka_unit_test(root_not_pinned_or_missing),
		cmocka_unit_test(certificate_with_a_bit_flipped),
		cmocka_unit_test(endorsement_key_certificate_offered),
		cmocka_unit_test(cases_of_the_manifest),
		cmocka_unit_test(mutations_of_the_manifest),
		cmocka_unit_test(azure_certificate_chain),
		cmocka_unit_test(azure_quote_refused),
		cmocka_unit_test(quote_of_another_bank),
		cmocka_unit_test(sha1_key_and_bank),
		cmocka_unit_test(child_of_an_endorsement_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
