/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/reader.h"
#include "tests/unit/tdx-maker.h"

static EVP_PKEY *keys[N_MAKER_KEYS];

static EVP_PKEY *
key(enum maker_key k)
{
	if (keys[k] == NULL)
		keys[k] = k == KEY_SMALL ?
		    EVP_RSA_gen(1024) :
		    EVP_EC_gen(k == KEY_P384 ? "P-384" : "P-256");
	assert_non_null(keys[k]);
	return keys[k];
}

void
tdx_maker_end(void)
{
	for (size_t i = 0; i < N_MAKER_KEYS; i++) {
		EVP_PKEY_free(keys[i]);
		keys[i] = NULL;
	}
}

static void
ok(int r)
{
	assert_int_equal(r, CVM_OK);
}

/* r || s over SHA-256 of message. */
static void
sign(EVP_PKEY *by, struct span message, uint8_t out[static 64])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[80];
	const uint8_t *p = der;
	size_t len = sizeof(der);
	ECDSA_SIG *sig;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, by),
	    1);
	assert_int_equal(EVP_DigestSign(ctx, der, &len, message.data,
			     message.len),
	    1);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32), 32);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

static void
public_point(EVP_PKEY *k, uint8_t out[static 64])
{
	uint8_t point[65];
	size_t len = 0;

	assert_int_equal(EVP_PKEY_get_octet_string_param(k, "pub", point,
			     sizeof(point), &len),
	    1);
	assert_int_equal(len, 65);
	memcpy(out, point + 1, 64);
}

/* DER by hand, so that the parser is not tested against itself. */
static void
der(struct writer *w, uint8_t tag, struct span s)
{
	write_u8(w, tag);
	if (s.len >= 0x100) {
		write_u8(w, 0x82);
		write_be16(w, (uint16_t)s.len);
	} else {
		if (s.len >= 0x80)
			write_u8(w, 0x81);
		write_u8(w, (uint8_t)s.len);
	}
	write_bytes(w, s);
}

static void
der_uint(struct writer *w, uint8_t tag, uint16_t v)
{
	uint8_t b[3] = { 0, (uint8_t)(v >> 8), (uint8_t)v };
	size_t from = v >= 0x8000 ? 0 : v >= 0x100 ? 1 : v >= 0x80 ? 1 : 2;

	der(w, tag, span(b + from, sizeof(b) - from));
}

/* SEQUENCE { 1.2.840.113741.1.13.1.a[.b], value } */
static void
element(struct writer *w, uint8_t a, uint8_t b, struct span value)
{
	static const uint8_t prefix[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d,
		0x01, 0x0d, 0x01 };
	struct writer in = { 0 }, oid = { 0 };
	struct blob d = { 0 }, o = { 0 };

	write_bytes(&oid, span(prefix, sizeof(prefix)));
	write_u8(&oid, a);
	if (b != 0)
		write_u8(&oid, b);
	ok(writer_end(&oid, &o));
	der(&in, 0x06, blob_span(&o));
	write_bytes(&in, value);
	ok(writer_end(&in, &d));
	der(w, 0x30, blob_span(&d));
	blob_clear(&o);
	blob_clear(&d);
}

static void
element_der(struct writer *w, uint8_t a, uint8_t b, uint8_t tag,
    struct span content)
{
	struct writer v = { 0 };
	struct blob d = { 0 };

	der(&v, tag, content);
	ok(writer_end(&v, &d));
	element(w, a, b, blob_span(&d));
	blob_clear(&d);
}

static void
element_uint(struct writer *w, uint8_t a, uint8_t b, uint8_t tag, uint16_t n)
{
	struct writer v = { 0 };
	struct blob d = { 0 };

	der_uint(&v, tag, n);
	ok(writer_end(&v, &d));
	element(w, a, b, blob_span(&d));
	blob_clear(&d);
}

static void
sgx_extension(const struct tdx_spec *s, struct blob *ret)
{
	static const uint8_t sixteen[16] = { 1, 2, 3, 4 };
	struct writer all = { 0 }, tcb = { 0 }, conf = { 0 }, top = { 0 };
	struct blob d = { 0 };

	element_der(&all, 1, 0, 0x04, span(sixteen, 16));
	for (uint8_t i = 0; i < 16; i++)
		element_uint(&tcb, 2, (uint8_t)(i + 1), 0x02, s->components[i]);
	element_uint(&tcb, 2, 17, 0x02, s->pcesvn);
	element_der(&tcb, 2, 18, 0x04, span(s->components, 16));
	ok(writer_end(&tcb, &d));
	element_der(&all, 2, 0, 0x30, blob_span(&d));
	blob_clear(&d);
	element_der(&all, 3, 0, 0x04, span(s->pceid, 2));
	element_der(&all, 4, 0, 0x04, span(s->fmspc, 6));
	element_uint(&all, 5, 0, 0x0a, s->extension_damaged ? 3 : 1);
	if (!s->processor) {
		element_der(&all, 6, 0, 0x04, span(s->instance, 16));
		for (uint8_t i = 0; i < 3; i++)
			element_der(&conf, 7, (uint8_t)(i + 1), 0x01,
			    span(&s->flags[i], 1));
		ok(writer_end(&conf, &d));
		element_der(&all, 7, 0, 0x30, blob_span(&d));
		blob_clear(&d);
	}
	ok(writer_end(&all, &d));
	der(&top, 0x30, blob_span(&d));
	blob_clear(&d);
	ok(writer_end(&top, ret));
}

static X509_NAME *
name_of(const char *cn, const char *org)
{
	X509_NAME *n = X509_NAME_new();
	const char *const rows[][2] = { { "CN", cn }, { "O", org },
		{ "L", "Santa Clara" }, { "ST", "CA" }, { "C", "US" } };

	for (size_t i = 0; i < NELEMS(rows); i++)
		assert_int_equal(X509_NAME_add_entry_by_txt(n, rows[i][0],
				     i == 4 ? V_ASN1_PRINTABLESTRING :
					      V_ASN1_UTF8STRING,
				     (const unsigned char *)rows[i][1], -1, -1,
				     0),
		    1);
	return n;
}

static void
add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void
add_sgx_ext(X509 *x, const struct tdx_spec *s)
{
	struct blob d = { 0 };
	ASN1_OCTET_STRING *os = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *oid = OBJ_txt2obj("1.2.840.113741.1.13.1", 1);
	X509_EXTENSION *e;

	sgx_extension(s, &d);
	assert_int_equal(ASN1_OCTET_STRING_set(os, d.data, (int)d.len), 1);
	e = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, os);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(os);
	blob_clear(&d);
}

/* issuer NULL: self-signed. spec: a PCK certificate. */
static X509 *
make_cert(const struct maker_cert *c, X509 *issuer, const char *basic,
    const char *usage, const struct tdx_spec *spec)
{
	X509 *x = X509_new();
	X509_NAME *n = name_of(c->cn, c->org);
	static long serial = 1000;

	if (c->extra_ou)
		assert_int_equal(X509_NAME_add_entry_by_txt(n, "OU",
				     V_ASN1_UTF8STRING,
				     (const unsigned char *)"SGX", -1, -1, 0),
		    1);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial++),
	    1);
	assert_int_equal(X509_set_subject_name(x, n), 1);
	assert_int_equal(X509_set_issuer_name(x,
			     issuer != NULL ? X509_get_subject_name(issuer) :
					      n),
	    1);
	X509_NAME_free(n);
	if (c->issuer_cn != NULL) {
		n = name_of(c->issuer_cn, c->org);
		assert_int_equal(X509_set_issuer_name(x, n), 1);
		X509_NAME_free(n);
	}
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), c->from));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), c->until));
	assert_int_equal(X509_set_pubkey(x, key(c->key)), 1);
	add_ext(x, issuer != NULL ? issuer : x, NID_subject_key_identifier,
	    "hash");
	add_ext(x, issuer != NULL ? issuer : x, NID_authority_key_identifier,
	    "keyid:always");
	add_ext(x, issuer, NID_key_usage, c->usage != NULL ? c->usage : usage);
	add_ext(x, issuer, NID_basic_constraints,
	    c->basic != NULL ? c->basic : basic);
	if (spec != NULL)
		add_sgx_ext(x, spec);
	assert_true(X509_sign(x, key(c->signer),
			c->sha1	      ? EVP_sha1() :
			    c->sha384 ? EVP_sha384() :
					EVP_sha256()) > 0);
	return x;
}

static void
add_crl_ext(X509_CRL *crl, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_CRL_add_ext(crl, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void
add_revoked(X509_CRL *crl, const X509 *x, int64_t when)
{
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, when);

	assert_int_equal(X509_REVOKED_set_serialNumber(r,
			     X509_get_serialNumber((X509 *)(uintptr_t)x)),
	    1);
	assert_int_equal(X509_REVOKED_set_revocationDate(r, t), 1);
	assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
	ASN1_TIME_free(t);
}

/* revoked ends with NULL. */
static void
make_crl(const struct maker_crl *c, X509 *issuer, X509 *const *revoked,
    struct blob *ret)
{
	X509_CRL *crl = X509_CRL_new();
	X509_NAME *other = NULL;
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	ASN1_TIME *t;
	uint8_t *out = NULL;
	int len;

	if (c->issuer_cn != NULL)
		other = name_of(c->issuer_cn, "Intel Corporation");
	assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
	assert_int_equal(X509_CRL_set_issuer_name(crl,
			     other != NULL ? other :
					     X509_get_subject_name(issuer)),
	    1);
	t = ASN1_TIME_set(NULL, c->from);
	assert_int_equal(X509_CRL_set1_lastUpdate(crl, t), 1);
	t = ASN1_TIME_set(t, c->until);
	assert_int_equal(X509_CRL_set1_nextUpdate(crl, t), 1);
	ASN1_TIME_free(t);
	assert_int_equal(ASN1_INTEGER_set(number, 1), 1);
	if (!c->no_number)
		assert_int_equal(X509_CRL_add1_ext_i2d(crl, NID_crl_number,
				     number, 0, 0),
		    1);
	if (!c->no_key_id)
		add_crl_ext(crl, issuer, NID_authority_key_identifier,
		    "keyid:always");
	for (; *revoked != NULL; revoked++)
		add_revoked(crl, *revoked, c->from);
	assert_int_equal(X509_CRL_sort(crl), 1);
	assert_true(X509_CRL_sign(crl, key(c->signer), EVP_sha256()) > 0);
	len = i2d_X509_CRL(crl, &out);
	assert_true(len > 0);
	if (!c->absent)
		ok(blob_set(ret, span(out, (size_t)len)));
	OPENSSL_free(out);
	ASN1_INTEGER_free(number);
	X509_NAME_free(other);
	X509_CRL_free(crl);
}

static void
add_pem(struct blob *b, X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long len;

	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	len = BIO_get_mem_data(bio, &p);
	ok(blob_append(b, span(p, (size_t)len)));
	BIO_free(bio);
}

/* JSON. */

static void _printf_(2, 3) add_text(struct blob *b, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && n < (int)sizeof(text));
	ok(blob_append(b, span(text, (size_t)n)));
}

static const char *
date(int64_t t, char buf[static 32])
{
	struct tm tm;
	time_t tt = (time_t)t;

	(void)gmtime_r(&tt, &tm);
	(void)strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

static void
add_components(struct blob *b, const char *name, const uint8_t c[static 16])
{
	add_text(b, "\"%s\":[", name);
	for (size_t i = 0; i < 16; i++)
		add_text(b, "%s{\"svn\":%u%s}", i > 0 ? "," : "", c[i],
		    i == 0 ? ",\"category\":\"BIOS\",\"type\":\"X\"" : "");
	add_text(b, "]");
}

static void
add_level(struct blob *b, const uint8_t sgx[static 16], unsigned pcesvn,
    const uint8_t tdx[static 16], const char *rest)
{
	add_text(b, "{\"tcb\":{");
	add_components(b, "sgxtcbcomponents", sgx);
	add_text(b, ",\"pcesvn\":%u,", pcesvn);
	add_components(b, "tdxtcbcomponents", tdx);
	add_text(b, "},\"tcbDate\":\"2025-05-14T00:00:00Z\",%s}", rest);
}

#define ZERO16 "0000000000000000"
#define ZERO96 ZERO16 ZERO16 ZERO16 ZERO16 ZERO16 ZERO16

static void
tcb_info_text(const struct tdx_spec *s, struct blob *b)
{
	static const uint8_t sgx[16] = { 3, 3, 2, 2, 4, 1, 0, 5 };
	static const uint8_t tdx[16] = { 5, 0, 3 };
	static const uint8_t old[16] = { 2, 2, 2, 2, 3, 1, 0, 5 };
	static const uint8_t old_tdx[16] = { 3, 0, 2 };
	const struct maker_json *j = &s->tcb_info;
	char issue[32], next[32], fmspc[13], pceid[5];

	add_text(b,
	    "{\"id\":\"TDX\",\"version\":3,\"issueDate\":\"%s\","
	    "\"nextUpdate\":\"%s\",\"fmspc\":\"%s\",\"pceId\":\"%s\","
	    "\"tcbType\":0,\"tcbEvaluationDataNumber\":%u,"
	    "\"tdxModule\":{\"mrsigner\":\"" ZERO96 "\","
	    "\"attributes\":\"" ZERO16 "\","
	    "\"attributesMask\":\"FFFFFFFFFFFFFFFF\"},"
	    "\"tdxModuleIdentities\":[",
	    date(j->issue, issue), date(j->next, next),
	    hex_encode(span("\x00\x80\x6f\x05\x00\x00", 6), fmspc,
		sizeof(fmspc)),
	    hex_encode(span("\x00\x00", 2), pceid, sizeof(pceid)), j->number);
	for (unsigned i = 3; i <= 3; i -= 2)
		add_text(b,
		    "%s{\"id\":\"TDX_%02u\",\"mrsigner\":\"" ZERO96 "\","
		    "\"attributes\":\"" ZERO16 "\","
		    "\"attributesMask\":\"FFFFFFFFFFFFFFFF\",\"tcbLevels\":["
		    "{\"tcb\":{\"isvsvn\":%u},"
		    "\"tcbDate\":\"2025-05-14T00:00:00Z\","
		    "\"tcbStatus\":\"UpToDate\"},"
		    "{\"tcb\":{\"isvsvn\":2},"
		    "\"tcbDate\":\"2023-08-09T00:00:00Z\","
		    "\"tcbStatus\":\"OutOfDate\","
		    "\"advisoryIDs\":[\"INTEL-SA-01036\"]}]}",
		    i == 3 ? "" : ",", i, i == 3 ? 3 : 6);
	add_text(b, "],\"tcbLevels\":[");
	/* Not in the order in which a verifier must look at them. */
	add_level(b, old, 13, old_tdx,
	    "\"tcbStatus\":\"OutOfDate\",\"advisoryIDs\":"
	    "[\"INTEL-SA-01079\",\"INTEL-SA-01036\"]");
	add_text(b, ",");
	add_level(b, sgx, 13, tdx, "\"tcbStatus\":\"UpToDate\"");
	add_text(b, "]}");
}

static void
qe_identity_text(const struct tdx_spec *s, struct blob *b)
{
	const struct maker_json *j = &s->qe_identity;
	char issue[32], next[32];

	add_text(b,
	    "{\"id\":\"TD_QE\",\"version\":2,\"issueDate\":\"%s\","
	    "\"nextUpdate\":\"%s\",\"tcbEvaluationDataNumber\":%u,"
	    "\"miscselect\":\"00000000\",\"miscselectMask\":\"FFFFFFFF\","
	    "\"attributes\":\"11000000000000000000000000000000\","
	    "\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\","
	    "\"mrsigner\":\"DC9E2A7C6F948F17474E34A7FC43ED03"
	    "0F7C1563F1BABDDF6340C82E0E54A8C5\",\"isvprodid\":2,"
	    "\"tcbLevels\":[{\"tcb\":{\"isvsvn\":4},"
	    "\"tcbDate\":\"2025-05-14T00:00:00Z\","
	    "\"tcbStatus\":\"UpToDate\"},{\"tcb\":{\"isvsvn\":2},"
	    "\"tcbDate\":\"2023-05-14T00:00:00Z\","
	    "\"tcbStatus\":\"OutOfDate\","
	    "\"advisoryIDs\":[\"INTEL-SA-00999\"]}]}",
	    date(j->issue, issue), date(j->next, next), j->number);
}

/* The first occurrence, which must be there. */
static void
edit(struct blob *b, const char *find, const char *replace)
{
	struct blob out = { 0 };
	uint8_t *at;
	size_t before;

	if (find == NULL)
		return;
	at = memmem(b->data, b->len, find, strlen(find));
	assert_non_null(at);
	before = (size_t)(at - b->data);
	ok(blob_append(&out, span(b->data, before)));
	ok(blob_append(&out, span(replace, strlen(replace))));
	ok(blob_append(&out,
	    span(at + strlen(find), b->len - before - strlen(find))));
	blob_clear(b);
	*b = out;
}

static void
wrap_json(const struct maker_json *j, const char *member, struct blob *text,
    struct blob *ret)
{
	uint8_t rs[64];
	char hex[129];

	edit(text, j->find, j->replace);
	sign(key(j->signer), blob_span(text), rs);
	if (!j->absent) {
		add_text(ret, "{\"%s\":", member);
		ok(blob_append(ret, blob_span(text)));
		add_text(ret, ",\"signature\":\"%s\"}",
		    hex_encode(span(rs, 64), hex, sizeof(hex)));
		edit(ret, j->find_after, j->replace_after);
	}
	blob_clear(text);
}

/* The quote. */

static void
write_le(struct writer *w, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		write_u8(w, (uint8_t)(v >> 8 * i));
}

static void
write_signature_data(struct writer *w, const struct tdx_spec *s,
    struct span signed_bytes, struct span pem)
{
	uint8_t rs[64], att[64] = { 0 }, report[384], digest[32];
	struct span parts[2] = { span(att, 64), span(s->qe_auth, 32) };

	public_point(key(KEY_ATT), att);
	if (s->bad_point)
		att[0] ^= 1;
	sign(key(s->quote_signer), signed_bytes, rs);
	write_bytes(w, span(rs, 64));
	write_bytes(w, span(att, 64));
	write_le(w, s->outer_type, 2);
	write_le(w,
	    (uint64_t)((int)(384 + 64 + 2 + 32 + 6 + pem.len) + s->outer_delta),
	    4);
	memcpy(report, s->qe_report, sizeof(report));
	ok(hash_parts(HASH_SHA256, parts, 2, digest));
	memcpy(report + 320, digest, 32);
	report[320] ^= (uint8_t)s->break_binding;
	report[383] ^= (uint8_t)s->binding_tail;
	sign(key(s->qe_signer_key), span(report, 384), rs);
	write_bytes(w, span(report, 384));
	write_bytes(w, span(rs, 64));
	write_le(w, 32, 2);
	write_bytes(w, span(s->qe_auth, 32));
	write_le(w, s->inner_type, 2);
	write_le(w, (uint64_t)((int)pem.len + s->inner_delta), 4);
	write_bytes(w, pem);
}

static void
make_quote(const struct tdx_spec *s, struct span pem, struct blob *ret)
{
	static const uint8_t user_data[20] = { 0xba, 0x10 };
	size_t body = s->version != 5 || s->body_type == 2 ? 584 :
	    s->body_type == 3				   ? 648 :
							     885;
	struct writer w = { 0 }, sd = { 0 };
	struct blob data = { 0 };

	write_le(&w, s->version, 2);
	write_le(&w, s->key_type, 2);
	write_le(&w, s->tee_type, 4);
	write_le(&w, 0, 4);
	write_bytes(&w, span(s->vendor, 16));
	write_bytes(&w, span(user_data, 20));
	if (s->version == 5) {
		write_le(&w, s->body_type, 2);
		write_le(&w, (uint64_t)((int)body + s->size_delta), 4);
	}
	write_bytes(&w, span(s->body, body));
	write_signature_data(&sd, s, blob_span(&w.out), pem);
	ok(writer_end(&sd, &data));
	write_le(&w, (uint64_t)((int)data.len + s->signature_delta), 4);
	write_bytes(&w, blob_span(&data));
	write_bytes(&w, blob_span(&s->trailing));
	ok(writer_end(&w, ret));
	blob_clear(&data);
}

static void
default_quote(struct tdx_spec *s, unsigned version)
{
	static const uint8_t vendor[16] = { 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c,
		0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07 };
	static const uint8_t svn[16] = { 6, 1, 3 };

	s->version = (uint16_t)version;
	s->key_type = 2;
	s->body_type = version == 5 ? 3 : 2;
	s->tee_type = 0x81;
	memcpy(s->vendor, vendor, 16);
	memcpy(s->body + AT_TEE_TCB_SVN, svn, 16);
	memset(s->body + AT_MRSEAM, 0x11, 48);
	s->body[AT_TDATTRIBUTES + 3] = 0x10;
	memcpy(s->body + AT_XFAM, "\xe7\x1a\x06", 3);
	memset(s->body + AT_MRTD, 0x22, 48);
	memset(s->body + AT_MRCONFIGID, 0x33, 48);
	memset(s->body + AT_MROWNER, 0x44, 48);
	memset(s->body + AT_MROWNERCONFIG, 0x55, 48);
	for (size_t i = 0; i < 4; i++)
		memset(s->body + AT_RTMR0 + 48 * i, 0x60 + (int)i, 48);
	memset(s->body + AT_REPORTDATA, 0x99, 64);
	memcpy(s->body + AT_TEE_TCB_SVN2, svn, 16);
	s->outer_type = 6;
	s->inner_type = 5;
	s->qe_report[QE_ATTRIBUTES] = 0x11;
	memset(s->qe_report + QE_MRENCLAVE, 0xee, 32);
	ok(hex_decode("dc9e2a7c6f948f17474e34a7fc43ed03"
		      "0f7c1563f1babddf6340c82e0e54a8c5",
	    s->qe_report + QE_MRSIGNER, 32));
	s->qe_report[QE_ISVPRODID] = 2;
	s->qe_report[QE_ISVSVN] = 4;
	memset(s->qe_auth, 0xaa, 32);
	s->quote_signer = KEY_ATT;
	s->qe_signer_key = KEY_PCK;
}

void
tdx_spec_default(struct tdx_spec *s, unsigned version)
{
	static const uint8_t sgx[16] = { 3, 3, 2, 2, 4, 1, 0, 5 };
	static const uint8_t fmspc[6] = { 0x00, 0x80, 0x6f, 0x05 };
	const int64_t now = TDX_MAKER_NOW, day = TDX_MAKER_DAY;
	const char intel[] = "Intel Corporation";
	static char org[sizeof(intel)];

	memcpy(org, intel, sizeof(intel));
	memset(s, 0, sizeof(*s));
	s->root = (struct maker_cert){ .cn = "Intel SGX Root CA",
		.org = org,
		.from = now - 3000 * day,
		.until = now + 3000 * day,
		.key = KEY_ROOT,
		.signer = KEY_ROOT };
	s->ca = (struct maker_cert){ .cn = "Intel SGX PCK Platform CA",
		.org = org,
		.from = now - 2000 * day,
		.until = now + 2000 * day,
		.key = KEY_CA,
		.signer = KEY_ROOT };
	s->pck = (struct maker_cert){ .cn = "Intel SGX PCK Certificate",
		.org = org,
		.from = now - 100 * day,
		.until = now + 1000 * day,
		.key = KEY_PCK,
		.signer = KEY_CA };
	s->signer = (struct maker_cert){ .cn = "Intel SGX TCB Signing",
		.org = org,
		.from = now - 300 * day,
		.until = now + 1000 * day,
		.key = KEY_TCB,
		.signer = KEY_ROOT };
	s->qe_signer = s->signer;
	s->root_crl = (struct maker_crl){ .from = now - 40 * day,
		.until = now + 300 * day,
		.signer = KEY_ROOT };
	s->pck_crl = (struct maker_crl){ .from = now - 9 * day,
		.until = now + 21 * day,
		.signer = KEY_CA };
	s->tcb_info = (struct maker_json){ .signer = KEY_TCB,
		.issue = now - 5 * day,
		.next = now + 25 * day,
		.number = 19 };
	s->qe_identity = (struct maker_json){ .signer = KEY_TCB,
		.issue = now - 6 * day,
		.next = now + 24 * day,
		.number = 19 };
	memcpy(s->components, sgx, 16);
	memcpy(s->fmspc, fmspc, 6);
	memset(s->instance, 0x77, 16);
	s->pcesvn = 13;
	default_quote(s, version);
}

/* The chain of the TCB info, under a root that only has Intel's name. */
static void
other_root(const struct tdx_spec *s, struct blob *ret)
{
	struct maker_cert root = s->root, signer = s->signer;
	X509 *x, *y;

	root.key = root.signer = signer.signer = KEY_OTHER;
	x = make_cert(&root, NULL, "critical,CA:TRUE,pathlen:1",
	    "critical,keyCertSign,cRLSign", NULL);
	y = make_cert(&signer, x, "critical,CA:FALSE",
	    "critical,digitalSignature", NULL);
	blob_clear(ret);
	add_pem(ret, y);
	add_pem(ret, x);
	X509_free(x);
	X509_free(y);
}

static void
make_collateral(const struct tdx_spec *s, X509 *const certs[static 5],
    struct tdx_made *m)
{
	X509 *by_root[5] = { NULL }, *by_ca[2] = { NULL };
	struct blob text = { 0 };
	size_t n = 0;

	if (s->root.revoked)
		by_root[n++] = certs[0];
	if (s->ca.revoked)
		by_root[n++] = certs[1];
	if (s->signer.revoked)
		by_root[n++] = certs[3];
	if (s->qe_signer.revoked)
		by_root[n++] = certs[4];
	if (s->pck.revoked)
		by_ca[0] = certs[2];
	make_crl(&s->root_crl, certs[0], by_root, &m->root_crl);
	make_crl(&s->pck_crl, certs[1], by_ca, &m->pck_crl);
	add_pem(&m->tcb_info_chain, certs[s->json_swapped ? 0 : 3]);
	add_pem(&m->tcb_info_chain, certs[s->json_swapped ? 3 : 0]);
	add_pem(&m->qe_identity_chain, certs[4]);
	add_pem(&m->qe_identity_chain, certs[0]);
	if (s->json_root)
		other_root(s, &m->tcb_info_chain);
	tcb_info_text(s, &text);
	wrap_json(&s->tcb_info, "tcbInfo", &text, &m->tcb_info);
	qe_identity_text(s, &text);
	wrap_json(&s->qe_identity, "enclaveIdentity", &text, &m->qe_identity);
}

void
tdx_make(const struct tdx_spec *s, struct tdx_made *ret)
{
	static const char ca_usage[] = "critical,keyCertSign,cRLSign";
	static const char leaf_usage[] =
	    "critical,digitalSignature,nonRepudiation";
	struct maker_cert ca = s->ca;
	struct blob pem = { 0 };
	X509 *c[5];
	uint8_t *spki = NULL;
	int len;

	memset(ret, 0, sizeof(*ret));
	if (s->processor)
		ca.cn = "Intel SGX PCK Processor CA";
	c[0] = make_cert(&s->root, NULL, "critical,CA:TRUE,pathlen:1", ca_usage,
	    NULL);
	c[1] = make_cert(&ca, c[0], "critical,CA:TRUE,pathlen:0", ca_usage,
	    NULL);
	c[2] = make_cert(&s->pck, c[1], "critical,CA:FALSE",
	    s->pck.no_digital_signature ? "critical,nonRepudiation" :
					  leaf_usage,
	    s);
	c[3] = make_cert(&s->signer, c[0], "critical,CA:FALSE", leaf_usage,
	    NULL);
	c[4] = make_cert(&s->qe_signer, c[0], "critical,CA:FALSE", leaf_usage,
	    NULL);
	add_pem(&pem, c[s->pem_swapped ? 1 : 2]);
	add_pem(&pem, c[s->pem_swapped ? 2 : 1]);
	add_pem(&pem, c[0]);
	if (s->pem_extra)
		add_pem(&pem, c[0]);
	make_quote(s, blob_span(&pem), &ret->quote);
	make_collateral(s, c, ret);
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c[0]), &spki);
	assert_true(len > 0);
	ok(hash(HASH_SHA256, span(spki, (size_t)len), ret->root_spki));
	OPENSSL_free(spki);
	blob_clear(&pem);
	for (size_t i = 0; i < NELEMS(c); i++)
		X509_free(c[i]);
}

void
tdx_made_clear(struct tdx_made *m)
{
	struct blob *const blobs[] = { &m->quote, &m->tcb_info,
		&m->tcb_info_chain, &m->qe_identity, &m->qe_identity_chain,
		&m->root_crl, &m->pck_crl };

	for (size_t i = 0; i < NELEMS(blobs); i++)
		blob_clear(blobs[i]);
}
