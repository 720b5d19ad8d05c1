/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/chain_cache.h"
#include "tests/unit/x509-maker.h"

#define NOW 1750000000LL
#define DAY 86400LL

enum key { ROOT, CA, SUB, LEAF, OTHER, WEAK, N_KEYS };
static EVP_PKEY *keys[N_KEYS];

static int
make_keys(void **state)
{
	(void)state;
	keys[ROOT] = maker_rsa(2048);
	keys[CA] = maker_rsa(2048);
	keys[SUB] = maker_ec("P-256");
	keys[LEAF] = maker_ec("P-384");
	keys[OTHER] = maker_rsa(2048);
	keys[WEAK] = maker_rsa(1024);
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KEYS; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

/* A chain to be spoiled: what is made, by which key, and how it is judged. */
struct kit {
	struct cert_spec root, ca, leaf;
	enum key root_key, ca_key, leaf_key;
	enum key ca_signer, leaf_signer;
	bool with_sub; /* a further CA between ca and leaf */
	const char *sub_constraints;
	bool root_crl, ca_crl;
	struct crl_spec crl_of_root, crl_of_ca;
	enum key crl_signer;
	bool foreign_crl;
	bool swap, twice, drop; /* of the intermediates */
	bool pin_other;
	struct chain judged; /* now and flags */
};

static const struct sign_spec sha384 = { .md = "SHA384" };

static struct kit
good_kit(void)
{
	const struct cert_spec ca = { .cn = "root",
		.serial = 1,
		.from = NOW - 10 * DAY,
		.until = NOW + 10 * DAY,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.sign = sha384,
		.version = X509_VERSION_3,
		.key_ids = true };
	const struct crl_spec crl = { .from = NOW - DAY,
		.until = NOW + DAY,
		.sign = sha384 };
	struct kit k = { .root = ca,
		.ca = ca,
		.leaf = ca,
		.root_key = ROOT,
		.ca_key = CA,
		.leaf_key = LEAF,
		.ca_signer = ROOT,
		.leaf_signer = CA,
		.crl_of_root = crl,
		.crl_of_ca = crl,
		.crl_signer = ROOT,
		.sub_constraints = "critical,CA:TRUE",
		.judged = { .now = NOW, .want_strict = true } };

	k.ca.cn = "ca";
	k.ca.serial = 2;
	k.leaf.cn = "leaf";
	k.leaf.serial = 3;
	k.leaf.constraints = NULL;
	k.leaf.usage = "critical,digitalSignature";
	return k;
}

/* Read from their bytes, as evidence is. */
static struct cert *
reread(const X509 *x)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	struct cert *again = NULL;

	maker_cert_der(x, &der);
	assert_int_equal(cert_from_der(blob_span(&der), false, &again), 0);
	return again;
}

static struct crl *
reread_crl(X509_CRL *crl)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	struct crl *again = NULL;

	maker_crl_der(crl, &der);
	X509_CRL_free(crl);
	assert_int_equal(crl_from_bytes(blob_span(&der), &again), 0);
	return again;
}

struct made {
	/* As OpenSSL has them, and as they were read. */
	X509 *x_root, *x_ca, *x_sub, *x_leaf;
	struct cert *root, *leaf, *mid[3];
	size_t n_mid;
	struct crl *crls[3];
	size_t n_crls;
	uint8_t pin[SHA256_LEN];
	struct blob pin_blob;
	struct value_list pins;
	struct chain c;
};

static void
make_crls(const struct kit *k, struct made *m)
{
	if (k->root_crl)
		m->crls[m->n_crls++] = reread_crl(
		    maker_crl(&k->crl_of_root, m->x_root, keys[k->crl_signer]));
	if (k->ca_crl)
		m->crls[m->n_crls++] = reread_crl(
		    maker_crl(&k->crl_of_ca, m->x_ca, keys[k->ca_key]));
	if (k->foreign_crl) {
		struct crl_spec spec = k->crl_of_root;

		spec.issuer_cn = "somebody";
		m->crls[m->n_crls++] = reread_crl(
		    maker_crl(&spec, m->x_root, keys[ROOT]));
	}
}

static void
make(const struct kit *k, struct made *m)
{
	struct cert_spec sub = k->ca;
	struct cert *first;

	memset(m, 0, sizeof(*m));
	sub.cn = "sub";
	sub.constraints = k->sub_constraints;
	m->x_root = maker_cert(&k->root, keys[k->root_key], NULL,
	    keys[k->root_key]);
	m->x_ca = maker_cert(&k->ca, keys[k->ca_key], m->x_root,
	    keys[k->ca_signer]);
	m->x_sub = maker_cert(&sub, keys[SUB], m->x_ca, keys[k->ca_key]);
	m->x_leaf = maker_cert(&k->leaf, keys[k->leaf_key],
	    k->with_sub ? m->x_sub : m->x_ca,
	    keys[k->with_sub ? SUB : k->leaf_signer]);
	m->root = reread(m->x_root);
	m->leaf = reread(m->x_leaf);
	if (k->with_sub)
		m->mid[m->n_mid++] = reread(m->x_sub);
	m->mid[m->n_mid++] = reread(m->x_ca);
	if (k->twice)
		m->mid[m->n_mid++] = reread(m->x_ca);
	if (k->swap) {
		first = m->mid[0];
		m->mid[0] = m->mid[1];
		m->mid[1] = first;
	}
	make_crls(k, m);
	maker_spki(m->x_root, m->pin);
	m->pin[0] ^= k->pin_other;
	m->pin_blob = (struct blob){ m->pin, SHA256_LEN };
	m->pins = (struct value_list){ &m->pin_blob, 1 };
	m->c = k->judged;
	m->c.leaf = m->leaf;
	m->c.root = m->root;
	m->c.intermediates = m->mid;
	m->c.n_intermediates = k->drop ? 0 : m->n_mid;
	m->c.crls = m->crls;
	m->c.n_crls = m->n_crls;
	m->c.pins = &m->pins;
}

static void
made_clear(struct made *m)
{
	X509_free(m->x_root);
	X509_free(m->x_ca);
	X509_free(m->x_sub);
	X509_free(m->x_leaf);
	cert_freep(&m->root);
	cert_freep(&m->leaf);
	for (size_t i = 0; i < m->n_mid; i++)
		cert_freep(&m->mid[i]);
	for (size_t i = 0; i < m->n_crls; i++)
		crl_freep(&m->crls[i]);
}

/* What OpenSSL says of the same bytes: who accepts more than the library that
 * everybody uses has a hole. */
static bool
openssl_accepts(const struct made *m)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *more = sk_X509_new_null();
	X509_VERIFY_PARAM *param;
	bool ok;

	assert_int_equal(X509_STORE_add_cert(store, m->x_root), 1);
	assert_true(sk_X509_push(more, m->x_ca) > 0);
	assert_true(sk_X509_push(more, m->x_sub) > 0);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, m->x_leaf, more), 1);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)m->c.now);
	X509_VERIFY_PARAM_set_flags(param,
	    X509_V_FLAG_CHECK_SS_SIGNATURE |
		(m->c.want_strict ? X509_V_FLAG_X509_STRICT : 0));
	ok = X509_verify_cert(ctx) == 1;
	sk_X509_free(more);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return ok;
}

static int
verify(const struct kit *k, struct why *why)
{
	_cleanup_(made_clear) struct made m;
	int r;

	make(k, &m);
	memset(why, 0, sizeof(*why));
	r = chain_verify(&m.c, why);
	if (r == CVM_OK)
		assert_true(openssl_accepts(&m));
	return r;
}

static void
accepted(const struct kit *k)
{
	char text[WHY_SENTENCE_MAX];
	struct why why;

	if (verify(k, &why) != CVM_OK)
		fail_msg("%s", why_sentence(&why, text, sizeof(text)));
}

/* Refused for this reason: the certificate or CRL, and the field. */
static void
refused(const struct kit *k, const char *where, const char *field)
{
	struct why why;

	assert_int_equal(verify(k, &why), CVM_E_DENIED);
	if (strstr(why.where, where) == NULL || strcmp(why.field, field) != 0) {
		char text[WHY_SENTENCE_MAX];

		fail_msg("expected %s: %s, got %s", where, field,
		    why_sentence(&why, text, sizeof(text)));
	}
}

static void
good_chain(void **state)
{
	struct kit k = good_kit();

	(void)state;
	accepted(&k);
	k.with_sub = true;
	accepted(&k);
	k.root_crl = k.ca_crl = true;
	accepted(&k);
	k = good_kit();
	k.ca.sign = k.leaf.sign = (struct sign_spec){ .md = "SHA384",
		.pss = true };
	accepted(&k);
	k.root.constraints = "critical,CA:TRUE,pathlen:1";
	k.ca.constraints = "critical,CA:TRUE,pathlen:0";
	accepted(&k);
}

static void
expired(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf.until = NOW + 3;
	k.judged.now = NOW + 2;
	accepted(&k);
	k.judged.now++;
	refused(&k, "CN=leaf", "notAfter");
	k = good_kit();
	k.ca.until = NOW - 1;
	refused(&k, "CN=ca", "notAfter");
	k = good_kit();
	k.root.until = NOW - 1;
	refused(&k, "CN=root", "notAfter");
}

static void
not_yet_valid(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf.from = NOW;
	accepted(&k);
	k.leaf.from = NOW + 1;
	refused(&k, "CN=leaf", "notBefore");
	k = good_kit();
	k.ca.from = NOW + 1;
	refused(&k, "CN=ca", "notBefore");
	k = good_kit();
	k.root.from = NOW + 1;
	refused(&k, "CN=root", "notBefore");
}

static void
wrong_order(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.with_sub = k.swap = true;
	refused(&k, "CN=leaf", "issuer");
	k = good_kit();
	k.twice = true;
	refused(&k, "CN=ca", "order");
	k = good_kit();
	k.drop = true;
	refused(&k, "CN=leaf", "issuer");
}

static void
name_mismatch(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf.issuer_cn = "another";
	refused(&k, "CN=leaf", "issuer");
	k = good_kit();
	k.ca.issuer_cn = "another";
	refused(&k, "CN=ca", "issuer");
	k = good_kit();
	k.root.issuer_cn = "another"; /* not self-issued */
	refused(&k, "CN=root", "issuer");
}

static void
root_self_made(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.pin_other = true;
	refused(&k, "CN=root", "root key (SHA-256 of SPKI)");
	/* The right root, but the CA below it is by somebody else's key. */
	k = good_kit();
	k.ca_signer = OTHER;
	refused(&k, "CN=ca", "signature");
	k = good_kit();
	k.leaf_signer = OTHER;
	refused(&k, "CN=leaf", "signature");
}

static void
no_pins(void **state)
{
	_cleanup_(made_clear) struct made m;
	struct kit k = good_kit();
	struct why why = { 0 };

	(void)state;
	make(&k, &m);
	m.c.pins = NULL;
	assert_int_equal(chain_verify(&m.c, &why), CVM_E_DENIED);
	m.pins.n = 0;
	m.c.pins = &m.pins;
	assert_int_equal(chain_verify(&m.c, &why), CVM_E_DENIED);
	m.pins.n = 1;
	m.pin_blob.len = 31; /* a prefix is no pin */
	assert_int_equal(chain_verify(&m.c, &why), CVM_E_DENIED);
	m.c.root = NULL;
	assert_int_equal(chain_verify(&m.c, &why), CVM_E_DENIED);
	m.c.root = m.root;
	m.c.leaf = NULL;
	assert_int_equal(chain_verify(&m.c, &why), CVM_E_DENIED);
}

static void
wrong_key_usage(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.ca.usage = "critical,cRLSign";
	refused(&k, "CN=ca", "keyUsage");
	k.ca.usage = "critical,digitalSignature";
	refused(&k, "CN=ca", "keyUsage");
	k.ca.usage = NULL;
	refused(&k, "CN=ca", "keyUsage");
	k = good_kit();
	k.root.usage = "critical,cRLSign";
	refused(&k, "CN=root", "keyUsage");
}

static void
ca_is_no_ca(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.ca.constraints = "critical,CA:FALSE";
	refused(&k, "CN=ca", "basicConstraints");
	k.ca.constraints = NULL;
	refused(&k, "CN=ca", "basicConstraints");
	k = good_kit();
	k.root.constraints = NULL;
	refused(&k, "CN=root", "basicConstraints");
}

static void
leaf_is_a_ca(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf.constraints = "critical,CA:TRUE";
	refused(&k, "CN=leaf", "basicConstraints");
	k.leaf.usage = "critical,keyCertSign";
	refused(&k, "CN=leaf", "basicConstraints");
	k.judged.ca_leaf = true;
	accepted(&k);
	k = good_kit();
	k.judged.ca_leaf = true;
	refused(&k, "CN=leaf", "basicConstraints");
}

static void
path_too_long(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.with_sub = true;
	k.ca.constraints = "critical,CA:TRUE,pathlen:0";
	k.sub_constraints = "critical,CA:TRUE";
	refused(&k, "CN=ca", "path length");
	k.ca.constraints = "critical,CA:TRUE,pathlen:1";
	accepted(&k);
	k.root.constraints = "critical,CA:TRUE,pathlen:0";
	refused(&k, "CN=root", "path length");
}

static void
chain_too_long(void **state)
{
	_cleanup_(made_clear) struct made m;
	struct cert *many[CHAIN_CERTS_MAX];
	struct kit k = good_kit();
	struct why why = { 0 };

	(void)state;
	make(&k, &m);
	for (size_t i = 0; i < NELEMS(many); i++)
		many[i] = m.mid[0];
	m.c.intermediates = many;
	m.c.n_intermediates = CHAIN_CERTS_MAX - 1;
	assert_int_equal(chain_verify(&m.c, &why), CVM_E_DENIED);
	assert_string_equal(why.field, "length");
}

static void
sha1_signature(void **state)
{
	static const struct sign_spec sha1 = { .md = "SHA1" };
	struct kit k = good_kit();

	(void)state;
	k.leaf.sign = sha1;
	refused(&k, "CN=leaf", "signature algorithm");
	k = good_kit();
	k.ca.sign = sha1;
	refused(&k, "CN=ca", "signature algorithm");
	k = good_kit();
	k.root.sign = sha1;
	refused(&k, "CN=root", "signature algorithm");
	k = good_kit();
	k.leaf.sign.md = "SHA224";
	refused(&k, "CN=leaf", "signature algorithm");
}

static void
weak_pss(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf.sign = (struct sign_spec){ .md = "SHA384",
		.pss = true,
		.mgf_md = "SHA1" };
	refused(&k, "CN=leaf", "signature algorithm");
	k.leaf.sign.mgf_md = "SHA256";
	refused(&k, "CN=leaf", "signature algorithm");
	k.leaf.sign = (struct sign_spec){ .md = "SHA384",
		.pss = true,
		.salt = 20 };
	refused(&k, "CN=leaf", "signature algorithm");
	k.leaf.sign.salt = 32; /* 20 is the default, and not written */
	refused(&k, "CN=leaf", "signature algorithm");
	k.leaf.sign = (struct sign_spec){ .md = "SHA1", .pss = true };
	refused(&k, "CN=leaf", "signature algorithm");
}

static void
rsa_1024(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf_key = WEAK;
	refused(&k, "CN=leaf", "public key");
	k = good_kit();
	k.ca_key = k.leaf_signer = WEAK;
	refused(&k, "CN=ca", "public key");
	k = good_kit();
	k.root_key = k.ca_signer = WEAK;
	refused(&k, "CN=root", "public key");
}

static void
old_version(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf.version = X509_VERSION_1;
	k.leaf.usage = NULL;
	k.leaf.key_ids = false;
	refused(&k, "CN=leaf", "version");
	k.leaf.version = X509_VERSION_2;
	refused(&k, "CN=leaf", "version");
	k = good_kit();
	k.ca.version = X509_VERSION_1;
	refused(&k, "CN=ca", "version");
}

static void
odd_extensions(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf.exts[0] = (struct ext_spec){ "1.3.6.1.4.1.99999.1", "0500",
		false };
	accepted(&k);
	k.leaf.exts[0].critical = true;
	refused(&k, "CN=leaf", "extensions");
	k.leaf.exts[0].critical = false;
	k.leaf.exts[1] = k.leaf.exts[0];
	refused(&k, "CN=leaf", "extensions");
	k = good_kit();
	k.ca.exts[0] = (struct ext_spec){ "1.3.6.1.4.1.99999.1", "0500", true };
	refused(&k, "CN=ca", "extensions");
	/* A second basicConstraints, with another answer. */
	k = good_kit();
	k.ca.exts[0] = (struct ext_spec){ "2.5.29.19", "3000", true };
	refused(&k, "CN=ca", "extensions");
}

static void
strict_wants_key_identifiers(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.leaf.key_ids = false;
	refused(&k, "CN=leaf", "authorityKeyIdentifier");
	k.judged.want_strict = false;
	accepted(&k);
}

static void
revoked(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.root_crl = k.ca_crl = true;
	k.crl_of_root.revoked[0] = 77;
	k.crl_of_ca.revoked[0] = 77;
	accepted(&k);
	k.crl_of_ca.revoked[1] = k.leaf.serial;
	refused(&k, "CN=leaf", "revocation");
	k.crl_of_ca.revoked[1] = 0;
	k.crl_of_root.revoked[1] = k.ca.serial;
	refused(&k, "CN=ca", "revocation");
	/* The root revokes itself. */
	k.crl_of_root.revoked[1] = k.root.serial;
	refused(&k, "CN=root", "revocation");
	/* Serial 0, as every V*EK of AMD's has. */
	k.crl_of_root.revoked[1] = 0;
	k.crl_of_ca.revoke_zero = true;
	accepted(&k);
	k.leaf.serial = 0;
	refused(&k, "CN=leaf", "revocation");
}

static void
missing_crl(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.judged.require_crl = true;
	refused(&k, "CN=ca", "CRL");
	k.root_crl = true;
	accepted(&k); /* the leaf's issuer needs none */
	k.judged.crl_leaf = true;
	refused(&k, "CN=leaf", "CRL");
	k.ca_crl = true;
	accepted(&k);
	k.root_crl = false;
	refused(&k, "CN=ca", "CRL");
}

static void
stale_crl(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.root_crl = true;
	k.crl_of_root.until = NOW + 1;
	accepted(&k);
	k.crl_of_root.until = NOW;
	refused(&k, "CRL of CN=root", "nextUpdate");
	k.judged.stale_crl_ok = true;
	accepted(&k);
	k.crl_of_root.revoked[0] = k.ca.serial;
	refused(&k, "CN=ca", "revocation");
	k.crl_of_root.revoked[0] = 0;
	k.crl_of_root.from = NOW + 1;
	k.crl_of_root.until = NOW + DAY;
	refused(&k, "CRL of CN=root", "thisUpdate");
	k = good_kit();
	k.root_crl = true;
	k.crl_of_root.until = 0;
	refused(&k, "CRL of CN=root", "nextUpdate");
}

static void
foreign_crl(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.foreign_crl = true;
	refused(&k, "CRL", "issuer");
	k = good_kit();
	k.root_crl = true;
	k.crl_signer = OTHER;
	refused(&k, "CRL of CN=root", "signature");
	k = good_kit();
	k.root_crl = true;
	k.crl_of_root.sign.md = "SHA1";
	refused(&k, "CRL of CN=root", "signature algorithm");
	k = good_kit();
	k.root_crl = true;
	k.root.usage = "critical,keyCertSign";
	refused(&k, "CRL of CN=root", "issuer's keyUsage");
}

static void
partial_crl(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.root_crl = true;
	/* deltaCRLIndicator; unknown and critical */
	k.crl_of_root.exts[0] = (struct ext_spec){ "2.5.29.27", "020101",
		true };
	refused(&k, "CRL of CN=root", "extensions");
	k.crl_of_root.exts[0] = (struct ext_spec){ "1.3.6.1.4.1.99999.2",
		"0500", true };
	refused(&k, "CRL of CN=root", "extensions");
	k.crl_of_root.exts[0] = (struct ext_spec){ "1.3.6.1.4.1.99999.2",
		"0500", false };
	accepted(&k);
}

/* The places of a CRL, and of those that a certificate names. */
#define URI(letter) "860a687474703a2f2f782f" letter
#define PLACE(letter) "a00ea00c" URI(letter)
#define POINT_OF(letter) "3010" PLACE(letter)
#define CDP_OF(letter) "30123010" PLACE(letter)

static void
issued_at(struct crl_spec *crl, const char *hex)
{
	crl->exts[0] = (struct ext_spec){ "2.5.29.28", hex, true };
}

static void
crl_of_some_reasons_or_issuers(void **state)
{
	static const char *const partial[] = {
		"3003850101",		  /* attribute certificates; no DER */
		"30038501ff",		  /* attribute certificates */
		"30038401ff",		  /* indirect */
		"300483020780",		  /* some reasons */
		"3000",			  /* nothing */
		"3004a002a000",		  /* at no place */
		"3006810101820101",	  /* no DER */
		"3003820100",		  /* a default, written */
		"30068101ff8201ff",	  /* users alone and CAs alone */
		"30038201ff00",		  /* bytes behind it */
		"3010a00ea10c" URI("61"), /* relative to the issuer */
	};
	struct kit k = good_kit();

	(void)state;
	k.root_crl = true;
	for (size_t i = 0; i < NELEMS(partial); i++) {
		issued_at(&k.crl_of_root, partial[i]);
		refused(&k, "CRL of CN=root", "extensions");
	}
	issued_at(&k.crl_of_root, "30038201ff");
	accepted(&k);
	k.crl_of_root.exts[0].critical = false;
	refused(&k, "CRL of CN=root", "extensions");
	k.crl_of_root.exts[0].critical = true;
	k.crl_of_root.exts[1] = k.crl_of_root.exts[0];
	refused(&k, "CRL of CN=root", "extensions");
}

static void
crl_of_others_than_asked(void **state)
{
	struct kit k = good_kit();

	(void)state;
	k.root_crl = true;
	issued_at(&k.crl_of_root, "30038101ff"); /* no CAs */
	refused(&k, "CN=ca", "CRL");
	issued_at(&k.crl_of_root, "30038201ff"); /* CAs alone */
	accepted(&k);
	k.crl_of_root.revoked[0] = k.ca.serial;
	refused(&k, "CN=ca", "revocation");
	k = good_kit();
	k.ca_crl = true;
	issued_at(&k.crl_of_ca, "30038201ff");
	refused(&k, "CN=leaf", "CRL");
	issued_at(&k.crl_of_ca, "30038101ff");
	accepted(&k);
	k.crl_of_ca.revoked[0] = k.leaf.serial;
	refused(&k, "CN=leaf", "revocation");
}

static void
crl_of_another_place(void **state)
{
	static const char *const others[] = {
		CDP_OF("62"),
		/* Another's list; some reasons; a name that is not full. */
		"30173015" PLACE("61") "a203820141",
		"30163014" PLACE("61") "81020780",
		"30123010a00ea10c" URI("61"),
	};
	struct kit k = good_kit();
	struct ext_spec *cdp = NULL;

	(void)state;
	k.root_crl = true;
	issued_at(&k.crl_of_root, POINT_OF("61"));
	refused(&k, "CN=ca", "CRL"); /* which names no place */
	for (cdp = k.ca.exts; cdp->oid != NULL;)
		cdp++;
	cdp->oid = "2.5.29.31";
	for (size_t i = 0; i < NELEMS(others); i++) {
		cdp->hex = others[i];
		refused(&k, "CN=ca", "CRL");
	}
	cdp->hex = CDP_OF("61");
	accepted(&k);
	cdp->hex = "30243010" PLACE("62") "3010" PLACE("61");
	accepted(&k);
	k.crl_of_root.revoked[0] = k.ca.serial;
	refused(&k, "CN=ca", "revocation");
}

static void
cache_remembers_only_what_held(void **state)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	_cleanup_(made_clear) struct made m;
	struct kit k = good_kit();

	(void)state;
	k.root_crl = true;
	make(&k, &m);
	m.c.now = NOW + 20 * DAY;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), CVM_E_DENIED);
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), CVM_E_DENIED);
	assert_int_equal(chain_cache_hits(cache), 0);
	m.c.now = NOW;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), 0);
	assert_int_equal(chain_cache_hits(cache), 0);
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), 0);
	assert_int_equal(chain_cache_hits(cache), 1);
	/* The CRL ends first. */
	m.c.now = NOW + DAY - 1;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), 0);
	assert_int_equal(chain_cache_hits(cache), 2);
	m.c.now = NOW + DAY;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), CVM_E_DENIED);
	m.c.now = NOW - DAY - 1;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), CVM_E_DENIED);
	assert_int_equal(chain_cache_hits(cache), 2);
}

static void
cache_tells_chains_apart(void **state)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	_cleanup_(made_clear) struct made m, other;
	struct kit k = good_kit();

	(void)state;
	k.root_crl = true;
	make(&k, &m);
	k.crl_of_root.revoked[0] = k.ca.serial;
	make(&k, &other);
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), 0);
	m.pin[0] ^= 1;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), CVM_E_DENIED);
	m.pin[0] ^= 1;
	m.c.require_crl = m.c.crl_leaf = true;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), CVM_E_DENIED);
	m.c.require_crl = m.c.crl_leaf = false;
	m.c.crls = other.crls;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), CVM_E_DENIED);
	m.c.crls = m.crls;
	m.c.ca_leaf = true;
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), CVM_E_DENIED);
	assert_int_equal(chain_cache_hits(cache), 0);
}

/* What a chain says of its CRLs, with a memory or without one. */
static struct seen
told(struct chain_cache *cache, const struct chain *c,
    struct chain_validity *ret)
{
	struct seen seen = { .n = 0 };

	assert_int_equal(chain_accept(cache, c, ret, &seen, NULL), 0);
	return seen;
}

static void
marks_are_forgotten_when_the_chain_is_known(void **state)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	_cleanup_(made_clear) struct made m, later;
	struct kit k = good_kit();
	struct chain_validity first, again;
	struct seen seen, known;

	(void)state;
	k.root_crl = true;
	make(&k, &m);
	k.crl_of_root.from += DAY / 2;
	make(&k, &later);
	seen = told(NULL, &m.c, &first);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.v[0].time, m.crls[0]->from);
	/* Verified before, but nobody asked for marks then. */
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), 0);
	for (int i = 0; i < 3; i++) {
		known = told(cache, &m.c, &again);
		assert_int_equal(known.n, 1);
		assert_memory_equal(&known.v[0], &seen.v[0], sizeof(seen.v[0]));
		assert_memory_equal(&again, &first, sizeof(first));
	}
	assert_int_equal(chain_cache_hits(cache), 3);
	/* The same certificates; another issue of the list. */
	m.c.crls = later.crls;
	for (int i = 0; i < 2; i++) {
		known = told(cache, &m.c, &again);
		assert_int_equal(known.v[0].time, later.crls[0]->from);
		assert_int_equal(again.newest_crl, later.crls[0]->from);
	}
	m.c.crls = m.crls;
	m.c.now = first.until + 1;
	assert_int_equal(chain_accept(cache, &m.c, &again, &known, NULL),
	    CVM_E_DENIED);
}

static void
cache_is_bounded(void **state)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	_cleanup_(made_clear) struct made m;
	struct kit k = good_kit();
	uint8_t extra[CHAIN_CACHE_MAX + 1][SHA256_LEN] = { { 0 } };
	struct blob pins[2];

	(void)state;
	make(&k, &m);
	pins[0] = m.pin_blob;
	m.pins = (struct value_list){ pins, 2 };
	for (size_t i = 0; i <= CHAIN_CACHE_MAX; i++) {
		extra[i][0] = (uint8_t)(i + 1);
		pins[1] = (struct blob){ extra[i], SHA256_LEN };
		assert_int_equal(chain_verify_cached(cache, &m.c, NULL), 0);
	}
	assert_int_equal(chain_cache_hits(cache), 0);
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), 0);
	assert_int_equal(chain_cache_hits(cache), 1);
	pins[1].data = extra[0]; /* the oldest was forgotten */
	assert_int_equal(chain_verify_cached(cache, &m.c, NULL), 0);
	assert_int_equal(chain_cache_hits(cache), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_chain),
		cmocka_unit_test(expired),
		cmocka_unit_test(not_yet_valid),
		cmocka_unit_test(wrong_order),
		cmocka_unit_test(name_mismatch),
		cmocka_unit_test(root_self_made),
		cmocka_unit_test(no_pins),
		cmocka_unit_test(wrong_key_usage),
		cmocka_unit_test(ca_is_no_ca),
		cmocka_unit_test(leaf_is_a_ca),
		cmocka_unit_test(path_too_long),
		cmocka_unit_test(chain_too_long),
		cmocka_unit_test(sha1_signature),
		cmocka_unit_test(weak_pss),
		cmocka_unit_test(rsa_1024),
		cmocka_unit_test(old_version),
		cmocka_unit_test(odd_extensions),
		cmocka_unit_test(strict_wants_key_identifiers),
		cmocka_unit_test(revoked),
		cmocka_unit_test(missing_crl),
		cmocka_unit_test(stale_crl),
		cmocka_unit_test(foreign_crl),
		cmocka_unit_test(partial_crl),
		cmocka_unit_test(crl_of_some_reasons_or_issuers),
		cmocka_unit_test(crl_of_others_than_asked),
		cmocka_unit_test(crl_of_another_place),
		cmocka_unit_test(cache_remembers_only_what_held),
		cmocka_unit_test(cache_tells_chains_apart),
		cmocka_unit_test(marks_are_forgotten_when_the_chain_is_known),
		cmocka_unit_test(cache_is_bounded),
	};

	return cmocka_run_group_tests_name("chain", tests, make_keys,
	    free_keys);
}
