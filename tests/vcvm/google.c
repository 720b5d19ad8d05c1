/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * Attestation key certificates as GCE's "EK/AK CA" issues them, with the
 * instance extension that google/go-tpm-tools reads (server/instance_info.go).
 */

#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define INSTANCE_OID "1.3.6.1.4.1.11129.2.1.21"

static void
put_utf8(struct buf *b, const char *text)
{
	der_put(b, 0x0C, text, strlen(text));
}

/* [n] EXPLICIT */
static void
put_tagged_bool(struct buf *b, uint8_t n, bool v)
{
	uint8_t byte = v ? 0xFF : 0;
	_cleanup_(buf_free) struct buf inner = { 0 };

	der_put(&inner, 0x01, &byte, 1);
	der_wrap(b, (uint8_t)(0xA0 | n), &inner);
}

static void
put_instance(const struct machine *m, bool other, struct buf *ret)
{
	struct buf seq = { 0 }, security = { 0 }, wrapped = { 0 },
		   version = { 0 };

	der_int(&version, 0);
	der_wrap(&security, 0xA0, &version);
	put_tagged_bool(&security, 1, true); /* isProduction */
	for (uint8_t n = 2; n <= 5; n++)
		put_tagged_bool(&security, n, n == 2);
	der_wrap(&wrapped, 0x30, &security);
	put_utf8(&seq, m->id.zone);
	der_int(&seq, strtoull(m->id.project_number, NULL, 10));
	put_utf8(&seq, m->id.project_id);
	der_int(&seq, strtoull(m->id.instance_id, NULL, 10) + (other ? 1 : 0));
	put_utf8(&seq, other ? "other" : m->id.instance_name);
	der_wrap(&seq, 0xA0, &wrapped);
	der_wrap(ret, 0x30, &seq);
	buf_free(&seq);
	buf_free(&security);
	buf_free(&wrapped);
	buf_free(&version);
}

static EVP_PKEY *
subject_key(const struct buf *spki, bool other)
{
	const unsigned char *p = spki->p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)spki->len);
	bool rsa;

	if (key == NULL)
		die("the TPM's attestation key does not parse");
	if (!other)
		return key;
	rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	EVP_PKEY_free(key);
	return rsa ? key_new_rsa(2048) : key_new_ec("P-256");
}

void
google_ak_cert(struct machine *m, const struct buf *spki, bool other,
    struct buf *ret_der)
{
	const struct pki_entity *ca = pki_get(m->pki, false, "ak-intermediate");
	struct x509_ext ext = { .oid = INSTANCE_OID };
	const struct rdn dn[] = { { "L", m->id.zone },
		{ "O", "Google Compute Engine" }, { "OU", m->id.project_id },
		{ "CN", m->id.instance_id }, { NULL, NULL } };
	_cleanup_(key_freep) EVP_PKEY *key = subject_key(spki, other);
	_cleanup_(x509_freep) X509 *cert = NULL;
	time_t now = time(NULL);
	struct x509_spec spec = {
		.dn = dn,
		.serial = -1,
		.not_before = now - 2 * DAY,
		.not_after = now + 30 * 365 * DAY,
		.basic_constraints = "critical,CA:FALSE",
		.key_usage = "critical,digitalSignature",
		.crl_dp = "URI:http://crl.google.test/ak/issuer.crl",
		.ski = true,
		.aki = true,
		.ext = &ext,
		.n_ext = 1,
	};

	put_instance(m, other, &ext.der);
	cert = x509_issue(&spec, key, ca->cert, ca->key);
	x509_put_der(ret_der, cert);
	buf_free(&ext.der);
}

/* Not below google/, where every list is heeded: who needs one fetches it. */
static void
put_crl(struct machine *m, const char *dir, const char *ca, const char *name)
{
	const struct pki_entity *issuer = pki_get(m->pki, false, ca);
	struct crl_spec spec = { .n_revoked = 0 };
	_cleanup_(crl_freep) X509_CRL *crl = NULL;
	_cleanup_(buf_free) struct buf der = { 0 };

	collateral_window(m, &spec.this_update, &spec.next_update);
	crl = crl_issue(&spec, issuer->cert, issuer->key);
	crl_put_der(&der, crl);
	put_file(dir, name, &der);
}

void
google_collateral(struct machine *m, const char *dir)
{
	static const char *const files[][2] = { { "ak-root",
						    "google/ak-root.pem" },
		{ "ak-intermediate", "google/ak-intermediates.pem" } };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_(buf_free) struct buf pem = { 0 };

		x509_put_pem(&pem, pki_get(m->pki, false, files[i][0])->cert);
		put_file(dir, files[i][1], &pem);
	}
	put_crl(m, dir, "ak-intermediate", "google-crl/issuer.crl");
	put_crl(m, dir, "ak-root", "google-crl/root.crl");
}
