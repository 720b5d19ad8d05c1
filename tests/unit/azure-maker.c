/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/derive.h"
#include "tests/unit/azure-maker.h"
#include "tests/unit/quote-maker.h"

static void
put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static const uint8_t the_root[SHA256_LEN] = { 9 };

static const char *
base64url(struct span s, char *out, size_t len)
{
	char *text = NULL;

	assert_int_equal(base64_encode(s, &text), 0);
	(void)snprintf(out, len, "%s", text);
	for (char *p = out; *p != '\0'; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	free(text);
	return out;
}

static void
make_json(struct azure *z)
{
	struct tpm_public public;
	uint8_t n[256], e[4];
	char n64[400], e64[16], keys[700];

	assert_int_equal(tpm_public_parse(blob_span(&z->e.ak_public), &public,
			     NULL),
	    0);
	assert_int_equal(public.modulus.len, sizeof(n));
	memcpy(n, public.modulus.data, sizeof(n));
	n[100] ^= z->plan.other_key;
	for (int i = 0; i < 3; i++)
		e[i] = (uint8_t)(z->plan.exponent >> (8 * (2 - i)));
	(void)snprintf(keys, sizeof(keys),
	    "[{\"kid\":\"HCLEkPub\",\"key_ops\":[\"encrypt\"],\"kty\":\"RSA\"},"
	    "{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\","
	    "\"e\":\"%s\",\"n\":\"%s\"}]",
	    base64url(span(e, 3), e64, sizeof(e64)),
	    base64url(span(n, sizeof(n)), n64, sizeof(n64)));
	(void)snprintf(z->json, sizeof(z->json),
	    "{\"keys\":%s,\"vm-configuration\":%s%s%s%s}",
	    z->plan.keys != NULL ? z->plan.keys : keys, z->plan.vm,
	    z->plan.user_data != NULL ? ",\"user-data\":\"" : "",
	    z->plan.user_data != NULL ? z->plan.user_data : "",
	    z->plan.user_data != NULL ? "\"" : "");
}

void
azure_make_hcl(struct azure *z)
{
	uint32_t n = (uint32_t)strlen(z->json);
	uint8_t *b = calloc(1, NV_LEN);

	assert_non_null(b);
	memcpy(b, "HCLA", 4);
	put_le32(b + 4, z->plan.version);
	put_le32(b + 8, HARDWARE_AT + SNP_REPORT_LEN + 20 + n);
	put_le32(b + 12, 2);
	memcpy(b + HARDWARE_AT, z->e.tee_report.data, SNP_REPORT_LEN);
	b[HARDWARE_AT + AT_HOST_DATA] ^= z->plan.other_hardware;
	put_le32(b + RUNTIME_AT, 20 + n);
	put_le32(b + RUNTIME_AT + 4, 1);
	put_le32(b + RUNTIME_AT + 8, z->plan.type);
	put_le32(b + RUNTIME_AT + 12, z->plan.alg);
	put_le32(b + RUNTIME_AT + 16, n);
	memcpy(b + JSON_AT, z->json, n);
	blob_clear(&z->e.hcl_report);
	z->e.hcl_report = (struct blob){ b, NV_LEN };
}

void
azure_free(struct azure **z)
{
	if (*z == NULL)
		return;
	evidence_clear(&(*z)->e);
	endorsements_freep(&(*z)->endorsements);
	free(*z);
	*z = NULL;
}

struct azure *
azure_new(void)
{
	static const uint8_t name_of_ak[] = { 1, 2, 3 };
	struct azure *z = calloc(1, sizeof(*z));
	struct policy *p;

	assert_non_null(z);
	snp_machine_init(&z->m, SNP_MILAN, false);
	p = &z->m.policy;
	p->tee = TEE_SNP;
	p->has_snp = p->has_tpm = true;
	p->tee_report_max_age_s = 60;
	p->tpm.ak_trust = AK_TRUST_AZURE;
	p->tpm.bank = HASH_SHA256;
	p->tpm.n_pcr_sets = 1;
	p->tpm.pcr_sets[0].mask = 1;
	memset(p->tpm.pcr_sets[0].value[0], 0x5a, SHA256_LEN);
	z->e.pcrs = (struct pcr_values){ .bank = HASH_SHA256, .mask = 1 };
	memset(z->e.pcrs.value[0], 0x5a, SHA256_LEN);
	assert_int_equal(derive_report_data(the_root,
			     span(name_of_ak, sizeof(name_of_ak)), p->digest,
			     z->a.report_data),
	    0);
	(void)hex_encode(span(z->a.report_data, REPORT_DATA_LEN), z->user_data,
	    sizeof(z->user_data));
	z->plan = (struct azure_plan){ .user_data = z->user_data,
		.vm =
		    "{\"console-enabled\":true,\"secure-boot\":true,"
		    "\"vmUniqueId\":\"26F8BC30-774E-4290-8E7A-535F3B672AEE\"}",
		.type = HCL_SNP,
		.alg = 1,
		.version = 2,
		.exponent = 65537 };
	return z;
}

void
azure_build(struct azure *z)
{
	static const enum hash_alg algs[] = { HASH_SHA256, HASH_SHA256,
		HASH_SHA384, HASH_SHA512 };
	struct quote_plan q = quote_plan(1);
	uint8_t digest[HASH_LEN_MAX] = { 0 };

	q.rsa = true;
	q.scheme = q.sig_scheme = 0x0014;
	quote_make(&q, &z->e);
	make_json(z);
	assert_int_equal(hash(algs[z->plan.alg & 3],
			     span(z->json, strlen(z->json)), digest),
	    0);
	digest[0] ^= z->plan.stale;
	memcpy(z->m.report + AT_REPORT_DATA, digest, REPORT_DATA_LEN);
	snp_machine_build(&z->m, &z->e, &z->endorsements);
	azure_make_hcl(z);
	assert_int_equal(derive_qualifying(the_root,
			     blob_span(&z->e.tee_report), z->a.qualifying),
	    0);
	q.extra = span(z->a.qualifying, QUALIFYING_LEN);
	quote_make(&q, &z->e);
	z->root = (struct blob){ z->m.root_pin, SHA256_LEN };
	z->m.policy.snp.roots = (struct value_list){ &z->root, 1 };
	z->a.policy = &z->m.policy;
	z->a.evidence = &z->e;
	z->a.endorsements = z->endorsements;
	z->a.now = z->m.now;
}
