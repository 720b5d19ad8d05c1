/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/chain.h"
#include "tests/unit/x509-maker.h"

#define NOW 1750000000LL
#define DAY 86400LL
#define HEX_MAX 8192

/* A certificate in pieces of hex, of which a test spoils one. */
struct form {
	const char *version, *serial, *inside, *issuer, *validity, *subject,
	    *spki, *more, *exts, *alg, *signature, *rest;
};

#define ECDSA_SHA256 "300a06082a8648ce3d040302"
#define NAME_A "300c310a300806035504030c0161"
#define P256                                                                   \
	"3059301306072a8648ce3d020106082a8648ce3d03010703420004"               \
	"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
#define P256_Y                                                                 \
	"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
#define CA_TRUE "300f0603551d130101ff040530030101ff"
#define USAGE "300e0603551d0f0101ff040403020106"
#define KEY_ID "300b0603551d0e040404020102"
#define AUTHORITY                                                              \
	"300d0603551d23040630048002"                                           \
	"0102"

static const struct form good = {
	.version = "a003020102",
	.serial = "020101",
	.inside = ECDSA_SHA256,
	.issuer = NAME_A,
	.validity = "301e170d3234303130313030303030305a"
		    "170d3439303130313030303030305a",
	.subject = NAME_A,
	.spki = P256 P256_Y,
	.more = "",
	.exts = CA_TRUE USAGE KEY_ID AUTHORITY,
	.alg = ECDSA_SHA256,
	.signature = "03030030"
		     "00",
	.rest = "",
};

/* Puts tag and length before the contents. */
static void
wrap(char out[HEX_MAX], const char *tag, const char *contents)
{
	size_t len = strlen(contents) / 2;

	(void)snprintf(out, HEX_MAX,
	    len < 0x80	    ? "%s%02zx%s" :
		len < 0x100 ? "%s81%02zx%s" :
			      "%s82%04zx%s",
	    tag, len, contents);
}

static void
build(const struct form *f, struct blob *ret)
{
	static char a[HEX_MAX], b[HEX_MAX], exts[HEX_MAX];

	wrap(a, "30", f->exts);
	wrap(exts, "a3", a);
	(void)snprintf(a, sizeof(a), "%s%s%s%s%s%s%s%s%s", f->version,
	    f->serial, f->inside, f->issuer, f->validity, f->subject, f->spki,
	    f->more, f->exts[0] != '-' ? exts : "");
	wrap(b, "30", a);
	(void)snprintf(a, sizeof(a), "%s%s%s%s", b, f->alg, f->signature,
	    f->rest);
	wrap(b, "30", a);
	blob_clear(ret);
	assert_int_equal(hex_decode_blob(b, HEX_MAX, ret), 0);
}

static int
read_form(const struct form *f, struct cert **ret)
{
	_cleanup_(blob_clear) struct blob der = { 0 };

	build(f, &der);
	return cert_from_der(blob_span(&der), /* padded= */ false, ret);
}

static void
fields_as_they_are(void **state)
{
	_cleanup_(cert_freep) struct cert *x = NULL;
	char line[CERT_NAME_MAX], alg[CERT_ALG_NAME_MAX];

	(void)state;
	assert_int_equal(read_form(&good, &x), 0);
	assert_int_equal(x->version, 3);
	assert_true(span_equal(x->serial, span("\1", 1)));
	assert_string_equal(cert_name(x, line, sizeof(line)), "CN=a");
	assert_true(span_equal(x->issuer, x->subject));
	assert_int_equal(x->from, 1704067200);
	assert_int_equal(x->until, 2493072000);
	assert_int_equal(x->key_kind, CERT_KEY_EC);
	assert_int_equal(x->curve, EC_P256);
	assert_int_equal(x->key_bits, 256);
	assert_non_null(x->key);
	assert_int_equal(x->n_ext, 4);
	assert_true(x->ca && x->has_constraints && x->constraints_critical);
	assert_int_equal(x->path_len, -1);
	assert_int_equal(x->usage, USAGE_KEY_CERT_SIGN | USAGE_CRL_SIGN);
	assert_true(span_equal(x->key_id, span("\1\2", 2)));
	assert_true(span_equal(x->authority.key_id, x->key_id));
	assert_string_equal(cert_alg_name(&x->alg, alg), "ECDSA with SHA256");
	assert_int_equal(x->alg.scheme, SIG_ECDSA);
}

/* One piece of a certificate that is otherwise good. */
struct spoilt {
	const char *fault;
	size_t at; /* of the piece in struct form */
	const char *hex;
	bool ok;
};
#define PIECE(p) offsetof(struct form, p)

static const struct spoilt spoilt[] = {
	{ "version 1 is not written", PIECE(version), "a003020100", true },
	{ "no version", PIECE(version), "", true },
	{ "version 4", PIECE(version), "a003020103", false },
	{ "version of two bytes", PIECE(version), "a00402020002", false },
	{ "negative version", PIECE(version), "a0030201ff", false },
	{ "serial zero, as AMD's", PIECE(serial), "020100", true },
	{ "serial of 21 bytes", PIECE(serial),
	    "021500"
	    "ffffffffffffffffffffffffffffffffffffffff",
	    true },
	{ "serial of 22 bytes", PIECE(serial),
	    "021600ff"
	    "ffffffffffffffffffffffffffffffffffffffff",
	    false },
	{ "serial spelt longer", PIECE(serial), "02020001", false },
	{ "no serial", PIECE(serial), "", false },
	{ "serial of another type", PIECE(serial), "0a0101", false },
	{ "algorithm without OID", PIECE(inside), "3000", false },
	{ "algorithm that is none", PIECE(inside), "0500", false },
	{ "algorithm with odd parameters", PIECE(inside),
	    "300d06082a8648ce3d040302020105", false },
	{ "algorithm with two of them", PIECE(inside),
	    "300e06082a8648ce3d04030205000500", false },
	{ "algorithm whose OID does not end", PIECE(inside),
	    "300a06082a8648ce3d040382", false },
	{ "algorithm whose OID has zeros", PIECE(inside),
	    "300a06082a8648ce3d048002", false },
	{ "algorithm that nobody knows", PIECE(inside), "300406022903", true },
	{ "empty issuer", PIECE(issuer), "3000", true },
	{ "issuer with an empty part", PIECE(issuer), "30023100", false },
	{ "issuer of another type", PIECE(issuer), "3100", false },
	{ "issuer with more in a part", PIECE(issuer),
	    "300e310c300a06035504030c01610500", false },
	{ "subject without a value", PIECE(subject), "3009310730050603550403",
	    false },
	{ "subject cut", PIECE(subject), "300c310a300806035504030c02", false },
	{ "subject that is no UTF-8", PIECE(subject),
	    "300c310a300806035504030c01ff", false },
	{ "subject in an odd string", PIECE(subject),
	    "300c310a30080603550403140161", false },
	{ "one date", PIECE(validity), "300f170d3234303130313030303030305a",
	    false },
	{ "three dates", PIECE(validity),
	    "302d170d3234303130313030303030305a170d3439303130313030303030305a"
	    "170d3439303130313030303030305a",
	    false },
	{ "date that does not exist", PIECE(validity),
	    "301e170d3234303233303030303030305a170d3439303130313030303030305a",
	    false },
	{ "date without seconds", PIECE(validity),
	    "301c170b323430313031303030305a170d3439303130313030303030305a",
	    false },
	{ "key of another kind", PIECE(spki), "300a300506032b6570030100",
	    true },
	{ "key with something behind it", PIECE(spki),
	    "300c300506032b65700301000500", false },
	{ "key without bits", PIECE(spki), "3007300506032b6570", false },
	{ "unique identifier", PIECE(more), "810200ff", false },
	{ "something before the extensions", PIECE(more), "0500", false },
	{ "no extensions", PIECE(exts), "-", true },
	{ "an empty list of extensions", PIECE(exts), "", false },
	{ "NULL in basicConstraints", PIECE(exts),
	    "300e0603551d130101"
	    "00"
	    "040430020500",
	    false },
	{ "an unknown extension", PIECE(exts),
	    "30070603290102"
	    "0400",
	    true },
	{ "FALSE on an unknown one", PIECE(exts),
	    "300a0603290102"
	    "010100"
	    "0400",
	    true },
	{ "critical that is neither", PIECE(exts),
	    "300a0603290102"
	    "010101"
	    "0400",
	    false },
	{ "extension without a value", PIECE(exts), "30050603290102", false },
	{ "extension with two values", PIECE(exts),
	    "30090603290102"
	    "0400"
	    "0400",
	    false },
	{ "a path length", PIECE(exts),
	    "30120603551d130101ff040830060101ff020100", true },
	{ "a path length of -1", PIECE(exts),
	    "30120603551d130101ff040830060101ff0201ff", false },
	{ "more in basicConstraints", PIECE(exts),
	    "30150603551d130101ff040b30090101ff0201000201"
	    "00",
	    false },
	{ "bytes behind basicConstraints", PIECE(exts),
	    "30110603551d130101ff040730030101ff0500", false },
	{ "unused bits in keyUsage", PIECE(exts),
	    "300e0603551d0f0101ff040403020107", false },
	{ "bytes behind keyUsage", PIECE(exts),
	    "30100603551d0f0101ff0406030201060500", false },
	{ "key identifier of another type", PIECE(exts),
	    "300b0603551d0e040403020102", false },
	{ "names in authorityKeyIdentifier", PIECE(exts),
	    "301f0603551d2304183016800201"
	    "02a110a40e300c310a300806035504030c0161",
	    true },
	{ "a cut name in authorityKeyIdentifier", PIECE(exts),
	    "301f0603551d2304183016800201"
	    "02a110a40f300c310a300806035504030c0161",
	    false },
	{ "no name in authorityKeyIdentifier", PIECE(exts),
	    "30110603551d23040a3008800201"
	    "02a102a400",
	    false },
	{ "alternative names", PIECE(exts),
	    "300e0603551d1104073005820361"
	    "2e62",
	    true },
	{ "no alternative name", PIECE(exts), "30090603551d1104023000", false },
	{ "an alternative name that is cut", PIECE(exts),
	    "300e0603551d1104073005820461"
	    "2e62",
	    false },
	{ "alternative names of another type", PIECE(exts),
	    "30090603551d1104020500", false },
	{ "bytes in authorityKeyIdentifier", PIECE(exts),
	    "300f0603551d2304083006800201020500", false },
	{ "signature with unused bits", PIECE(signature), "0303013000", false },
	{ "signature of another type", PIECE(signature), "04020030", false },
	{ "no signature", PIECE(signature), "", false },
	{ "bytes behind the signature", PIECE(rest), "0500", false },
};

static void
certificate_with_a_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(spoilt); i++) {
		_cleanup_(cert_freep) struct cert *x = NULL;
		struct form f = good;
		int r;

		memcpy((char *)&f + spoilt[i].at, &spoilt[i].hex,
		    sizeof(spoilt[i].hex));
		r = read_form(&f, &x);
		if (r != (spoilt[i].ok ? CVM_OK : CVM_E_PARSE))
			fail_msg("%s: %d", spoilt[i].fault, r);
	}
}

#define RSA_SPKI(n, e)                                                         \
	"301f300d06092a864886f70d0101010500030e00300b0204" n "0203" e

/* The certificate can be read; no chain may have it. */
static void
key_that_is_none(void **state)
{
	static const struct {
		const char *fault, *spki;
		bool ok;
	} rows[] = {
		{ "a point", P256 P256_Y, true },
		{ "a point beside the curve",
		    P256 "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb64"
			 "06837bf51f4",
		    false },
		{ "a compressed point",
		    "3039301306072a8648ce3d020106082a8648ce3d030107032200036b17"
		    "d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2"
		    "96",
		    false },
		{ "the point at infinity",
		    "3019301306072a8648ce3d020106082a8648ce3d03010703020000",
		    false },
		{ "a curve that is not ours",
		    "301e301006072a8648ce3d020106052b8104000a030a0004"
		    "0000000000000000",
		    false },
		{ "an RSA key", RSA_SPKI("7fffffff", "010001"), true },
		{ "an even modulus", RSA_SPKI("7ffffffe", "010001"), false },
		{ "an even exponent", RSA_SPKI("7fffffff", "010000"), false },
		{ "an exponent of 1",
		    "301d300d06092a864886f70d0101010500030c0030090204"
		    "7fffffff020101",
		    false },
		{ "a negative modulus", RSA_SPKI("ffffffff", "010001"), false },
		{ "RSA without NULL",
		    "301d300b06092a864886f70d010101030e00300b0204"
		    "7fffffff0203010001",
		    false },
		{ "Ed25519", "300a300506032b6570030100", false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(cert_freep) struct cert *x = NULL;
		struct form f = good;

		f.spki = rows[i].spki;
		assert_int_equal(read_form(&f, &x), 0);
		if ((x->key != NULL) != rows[i].ok)
			fail_msg("%s", rows[i].fault);
	}
}

static void
name_in_another_string(void **state)
{
	static const struct {
		const char *a, *b;
		bool ok;
	} rows[] = {
		{ NAME_A, NAME_A, true },
		/* UTF8String and PrintableString */
		{ NAME_A, "300c310a30080603550403130161", true },
		{ NAME_A, "300c310a300806035504030c0141", false },
		{ NAME_A, "300c310a3008060355040a0c0161", false },
		{ NAME_A, "3000", false },
		{ NAME_A,
		    "3018310a300806035504030c0161310a300806035504030c0161",
		    false },
		{ "3000", "3000", true },
		/* Two parts, and one of two. */
		{ "3018310a300806035504030c0161310a300806035504030c0162",
		    "30163114300806035504030c0161300806035504030c0162", false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(blob_clear) struct blob a = { 0 }, b = { 0 };

		assert_int_equal(hex_decode_blob(rows[i].a, 64, &a), 0);
		assert_int_equal(hex_decode_blob(rows[i].b, 64, &b), 0);
		if (name_equal(blob_span(&a), blob_span(&b)) != rows[i].ok ||
		    name_equal(blob_span(&b), blob_span(&a)) != rows[i].ok)
			fail_msg("row %zu", i);
	}
}

/* As many extensions as there is room for, and one more. */
static void
extensions_without_end(void **state)
{
	static const char one[] = "3007060329010204"
				  "00";
	char exts[(CERT_EXTENSIONS_MAX + 1) * (sizeof(one) - 1) + 1] = "";
	struct form f = good;

	(void)state;
	f.exts = exts;
	for (size_t i = 0; i <= CERT_EXTENSIONS_MAX; i++) {
		_cleanup_(cert_freep) struct cert *x = NULL;

		strcat(exts, one);
		assert_int_equal(read_form(&f, &x),
		    i < CERT_EXTENSIONS_MAX ? CVM_OK : CVM_E_PARSE);
	}
}

/* What a name says to people must not look like another one. */
static void
name_that_hides_something(void **state)
{
	static const struct {
		const char *hex, *line;
	} rows[] = {
		{ "3000", "" },
		{ NAME_A, "CN=a" },
		{ "301831163008060355040a0c016f300a06035504030c03612c62",
		    "O=o + CN=a\\,b" },
		{ "3011310f300d06035504030c06610ac3bf0062",
		    "CN=a\\0A\\C3\\BF\\00b" },
		{ "300c310a300806032a03040c0161", "1.2.3.4=a" },
	};
	char line[CERT_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(blob_clear) struct blob name = { 0 };

		assert_int_equal(hex_decode_blob(rows[i].hex, 64, &name), 0);
		assert_true(name_check(blob_span(&name)));
		assert_string_equal(name_line(blob_span(&name), line,
					sizeof(line)),
		    rows[i].line);
		(void)name_line(blob_span(&name), line, 4);
		assert_true(strlen(line) <= 3);
	}
}

static void
name_with_more_parts(void **state)
{
	static const struct name_part parts[] = { { NAME_COMMON, "a" },
		{ NAME_COUNTRY, "US" } };
	static const struct {
		const char *hex;
		bool ok;
	} rows[] = {
		{ "3019310a300806035504030c0161310b3009060355040613025553",
		    true },
		{ "3019310b3009060355040613025553310a300806035504030c0161",
		    true },
		{ NAME_A, false },
		{ "3018310a300806035504030c0161310a300806035504030c0161",
		    false },
		{ "3019310a300806035504030c0162310b3009060355040613025553",
		    false },
		{ "3025310a300806035504030c0161310b3009060355040613025553310a"
		  "3008060355040a0c016f",
		    false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(blob_clear) struct blob name = { 0 };

		assert_int_equal(hex_decode_blob(rows[i].hex, 64, &name), 0);
		if (name_is(blob_span(&name), parts, 2) != rows[i].ok)
			fail_msg("row %zu", i);
	}
}

static EVP_PKEY *root_key, *leaf_key;

static const struct cert_spec root_spec = { .cn = "root",
	.serial = 1,
	.from = NOW - 10 * DAY,
	.until = NOW + 10 * DAY,
	.constraints = "critical,CA:TRUE",
	.usage = "critical,keyCertSign,cRLSign",
	.sign = { .md = "SHA384" },
	.version = X509_VERSION_3,
	.key_ids = true };

static int
make_keys(void **state)
{
	(void)state;
	root_key = maker_rsa(2048);
	leaf_key = maker_ec("P-384");
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(leaf_key);
	return 0;
}

static struct cert *
read_x509(const X509 *x)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	struct cert *c = NULL;

	maker_cert_der(x, &der);
	assert_int_equal(cert_from_der(blob_span(&der), false, &c), 0);
	return c;
}

static void
der_with_more(void **state)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	X509 *x = maker_cert(&root_spec, root_key, NULL, root_key);
	struct cert *again = NULL;
	size_t len;

	(void)state;
	maker_cert_der(x, &der);
	X509_free(x);
	len = der.len;
	assert_int_equal(blob_append(&der, span("\0\0\1", 3)), 0);
	assert_int_equal(cert_from_der(span(der.data, len + 1), false, &again),
	    CVM_E_PARSE);
	assert_int_equal(cert_from_der(span(der.data, len + 3), true, &again),
	    CVM_E_PARSE);
	assert_int_equal(cert_from_der(span(der.data, len - 1), false, &again),
	    CVM_E_PARSE);
	assert_int_equal(cert_from_der(span(der.data, 0), false, &again),
	    CVM_E_PARSE);
	assert_null(again);
	assert_int_equal(cert_from_der(span(der.data, len + 2), true, &again),
	    0);
	cert_freep(&again);
}

/* The outer length in one byte more than it needs: BER, not DER. */
static void
der_spelt_differently(void **state)
{
	_cleanup_(blob_clear) struct blob der = { 0 }, ber = { 0 };
	X509 *x = maker_cert(&root_spec, root_key, NULL, root_key);
	struct cert *again = NULL;
	uint8_t head[5];

	(void)state;
	maker_cert_der(x, &der);
	X509_free(x);
	assert_int_equal(der.data[1], 0x82);
	memcpy(head, (uint8_t[]){ 0x30, 0x83, 0, der.data[2], der.data[3] }, 5);
	assert_int_equal(blob_set(&ber, span(head, 5)), 0);
	assert_int_equal(blob_append(&ber, span(&der.data[4], der.len - 4)), 0);
	assert_int_equal(cert_from_der(blob_span(&ber), false, &again),
	    CVM_E_PARSE);
}

static void
pem_with_more(void **state)
{
	_cleanup_(blob_clear) struct blob pem = { 0 };
	X509 *x = maker_cert(&root_spec, root_key, NULL, root_key);
	struct cert *out[2] = { NULL };
	size_t n = 0, len;

	(void)state;
	maker_cert_pem(x, &pem);
	len = pem.len;
	maker_cert_pem(x, &pem);
	X509_free(x);
	assert_int_equal(certs_from_pem(blob_span(&pem), out, 1, &n),
	    CVM_E_PARSE);
	assert_int_equal(certs_from_pem(span(pem.data, len + 100), out, 2, &n),
	    CVM_E_PARSE); /* cut */
	assert_int_equal(certs_from_pem(span("junk", 4), out, 2, &n),
	    CVM_E_PARSE);
	assert_int_equal(certs_from_pem(span("", 0), out, 2, &n), CVM_E_PARSE);
	assert_null(out[0]);
	assert_int_equal(blob_append(&pem, span("", 1)), 0);
	assert_int_equal(certs_from_pem(blob_span(&pem), out, 2, &n), 0);
	assert_int_equal(n, 2);
	cert_freep(&out[0]);
	cert_freep(&out[1]);
	assert_int_equal(blob_append(&pem, span("\0", 1)), 0);
	assert_int_equal(certs_from_pem(blob_span(&pem), out, 2, &n),
	    CVM_E_PARSE);
}

static void
crl_malformed(void **state)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	X509 *x = maker_cert(&root_spec, root_key, NULL, root_key);
	const struct crl_spec spec = { .from = NOW - DAY,
		.until = NOW + DAY,
		.sign = { .md = "SHA384" } };
	static const struct {
		const char *text;
		bool told; /* what to do about it */
	} hex[] = {
		{ "3082012a3081", true },
		{ "3082012A3081\r\n", true },
		{ "3082012a 3081", false },
		{ "3082012g", false },
		{ "3082012", false },
		{ "\n\n\n", false },
		{ "0x3082012a", false },
		{ "-----BEGIN", false },
		{ " ", false },
		{ "", false },
	};
	X509_CRL *crl = maker_crl(&spec, x, root_key);
	struct crl *again = NULL;

	(void)state;
	maker_crl_der(crl, &der);
	X509_CRL_free(crl);
	X509_free(x);
	assert_int_equal(crl_from_bytes(span(der.data, der.len - 1), &again),
	    CVM_E_PARSE);
	assert_int_equal(blob_append(&der, span("", 1)), 0);
	assert_int_equal(crl_from_bytes(blob_span(&der), &again), CVM_E_PARSE);
	assert_int_equal(crl_from_bytes(span(der.data, 0), &again),
	    CVM_E_PARSE);
	assert_int_equal(crl_from_bytes(span("-----BEGIN", 10), &again),
	    CVM_E_PARSE);
	assert_null(again);
	for (size_t i = 0; i < NELEMS(hex); i++) {
		struct span s = span(hex[i].text, strlen(hex[i].text));

		assert_int_equal(crl_from_bytes(s, &again), CVM_E_PARSE);
		assert_int_equal(strstr(crl_mistaken(s), "collateral import") !=
			NULL,
		    hex[i].told);
	}
}

/* issuingDistributionPoint (RFC 5280 section 5.2.5), critical or not, as it is
 * written: a list that says of itself that it is not whole is of no use. */
static void
part_of_a_list_taken_for_the_whole(void **state)
{
#define URI "\x86\x04http"
	static const struct {
		const char *what;
		size_t len;
		const char *value;
		bool critical, whole;
	} cases[] = {
#define POINT(bytes) sizeof(bytes) - 1, bytes
		{ "an address", POINT("\x30\x0a\xa0\x08\xa0\x06" URI), true,
		    true },
		{ "two", POINT("\x30\x10\xa0\x0e\xa0\x0c" URI URI), true,
		    true },
		{ "of users", POINT("\x30\x03\x81\x01\xff"), true, true },
		{ "of CAs", POINT("\x30\x03\x82\x01\xff"), true, true },
		{ "not critical", POINT("\x30\x0a\xa0\x08\xa0\x06" URI), false,
		    false },
		{ "of nothing", POINT("\x30\x00"), true, false },
		{ "no address", POINT("\x30\x04\xa0\x02\xa0\x00"), true,
		    false },
		{ "a mail address",
		    POINT("\x30\x0a\xa0\x08\xa0\x06\x81\x04http"), true,
		    false },
		{ "a name of no kind",
		    POINT("\x30\x0a\xa0\x08\xa0\x06\x8f\x04http"), true,
		    false },
		{ "an address and another",
		    POINT("\x30\x10\xa0\x0e\xa0\x0c" URI "\x82\x04http"), true,
		    false },
		{ "a relative name", POINT("\x30\x04\xa0\x02\xa1\x00"), true,
		    false },
		{ "a short address",
		    POINT("\x30\x0a\xa0\x08\xa0\x06\x86\x05http"), true,
		    false },
		{ "of users and of CAs",
		    POINT("\x30\x06\x81\x01\xff\x82\x01\xff"), true, false },
		{ "of some reasons", POINT("\x30\x04\x83\x02\x01\x02"), true,
		    false },
		{ "indirect", POINT("\x30\x03\x84\x01\xff"), true, false },
		{ "of attributes", POINT("\x30\x03\x85\x01\xff"), true, false },
		{ "a false that is written", POINT("\x30\x03\x81\x01\x00"),
		    true, false },
		{ "another truth", POINT("\x30\x03\x81\x01\x01"), true, false },
		{ "bytes behind", POINT("\x30\x03\x81\x01\xff\x05\x00"), true,
		    false },
#undef POINT
	};
#undef URI
	X509 *x = maker_cert(&root_spec, root_key, NULL, root_key);
	const struct crl_spec spec = { .from = NOW - DAY,
		.until = NOW + DAY,
		.sign = { .md = "SHA384" } };

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		X509_CRL *made = maker_crl(&spec, x, root_key);
		ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
		_cleanup_(blob_clear) struct blob der = { 0 };
		_cleanup_(crl_freep) struct crl *crl = NULL;
		X509_EXTENSION *e;

		assert_int_equal(ASN1_OCTET_STRING_set(value,
				     (const uint8_t *)cases[i].value,
				     (int)cases[i].len),
		    1);
		e = X509_EXTENSION_create_by_NID(NULL,
		    NID_issuing_distribution_point, cases[i].critical, value);
		assert_int_equal(X509_CRL_add_ext(made, e, -1), 1);
		assert_true(X509_CRL_sign(made, root_key, EVP_sha384()) > 0);
		maker_crl_der(made, &der);
		assert_int_equal(crl_from_bytes(blob_span(&der), &crl), 0);
		if (crl->complete != cases[i].whole)
			fail_msg("%s", cases[i].what);
		X509_EXTENSION_free(e);
		ASN1_OCTET_STRING_free(value);
		X509_CRL_free(made);
	}
	X509_free(x);
}

static void
extension_repeated(void **state)
{
	struct cert_spec spec = root_spec;
	_cleanup_(cert_freep) struct cert *one = NULL, *two = NULL;
	struct span s = { 0 };
	X509 *x;

	(void)state;
	spec.exts[0] = (struct ext_spec){ "1.2.3.4", "0401ff", false };
	x = maker_cert(&spec, leaf_key, NULL, leaf_key);
	one = read_x509(x);
	X509_free(x);
	assert_int_equal(cert_extension(one, "1.2.3.4", &s), 0);
	assert_true(span_equal(s, span("\x04\x01\xff", 3)));
	assert_int_equal(cert_extension(one, "1.2.3.5", &s), CVM_E_NOT_FOUND);
	assert_int_equal(cert_extension(one, "no oid", &s), CVM_E_INVAL);
	spec.exts[1] = (struct ext_spec){ "1.2.3.4", "0401fe", false };
	x = maker_cert(&spec, leaf_key, NULL, leaf_key);
	two = read_x509(x);
	X509_free(x);
	assert_int_equal(cert_extension(two, "1.2.3.4", &s), CVM_E_PARSE);
}

/* The order of P-384 (FIPS 186-5). */
static const char p384_order[] =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
    "581a0db248b0a77aecec196accc52973";

static void
ecdsa_degenerate(void **state)
{
	uint8_t le[2][48], rs[96], bad[96], digest[48] = { 1 };

	(void)state;
	maker_ecdsa_p384(leaf_key, span(digest, 48), le[0], le[1]);
	for (size_t i = 0; i < 48; i++) {
		rs[i] = le[0][47 - i];
		rs[48 + i] = le[1][47 - i];
	}
	assert_int_equal(maker_check_raw(leaf_key, span(rs, 96),
			     span(digest, 48)),
	    0);
	for (size_t i = 0; i < 2; i++) {
		memcpy(bad, rs, 96);
		memset(&bad[48 * i], 0, 48);
		assert_int_equal(maker_check_raw(leaf_key, span(bad, 96),
				     span(digest, 48)),
		    CVM_E_DENIED);
		assert_int_equal(hex_decode(p384_order, &bad[48 * i], 48), 0);
		assert_int_equal(maker_check_raw(leaf_key, span(bad, 96),
				     span(digest, 48)),
		    CVM_E_DENIED);
	}
	assert_int_equal(maker_check_raw(leaf_key, span(rs, 94),
			     span(digest, 48)),
	    CVM_E_DENIED);
	assert_int_equal(maker_check_raw(root_key, span(rs, 96),
			     span(digest, 48)),
	    CVM_E_DENIED);
	digest[0] ^= 1;
	assert_int_equal(maker_check_raw(leaf_key, span(rs, 96),
			     span(digest, 48)),
	    CVM_E_DENIED);
}

/*
 * Every bit of a leaf, its root and a CRL: none of them may be accepted with
 * one that is not as it was signed.
 */
static void
bit_flipped(void **state)
{
	const struct cert_spec leaf_spec = { .cn = "leaf",
		.serial = 3,
		.from = NOW - DAY,
		.until = NOW + DAY,
		.usage = "critical,digitalSignature",
		.sign = { .md = "SHA384", .pss = true },
		.version = X509_VERSION_3,
		.key_ids = true };
	const struct crl_spec crl_spec = { .from = NOW - DAY,
		.until = NOW + DAY,
		.revoked = { 77 },
		.sign = { .md = "SHA384" } };
	X509 *x_root = maker_cert(&root_spec, root_key, NULL, root_key);
	X509 *x_leaf = maker_cert(&leaf_spec, leaf_key, x_root, root_key);
	X509_CRL *x_crl = maker_crl(&crl_spec, x_root, root_key);
	struct blob der[3] = { { 0 } };
	uint8_t spki[SHA256_LEN];
	struct blob pin = { spki, sizeof(spki) };
	struct value_list pins = { &pin, 1 };
	size_t flips = 0;

	(void)state;
	maker_cert_der(x_leaf, &der[0]);
	maker_cert_der(x_root, &der[1]);
	maker_crl_der(x_crl, &der[2]);
	maker_spki(x_root, spki);
	X509_free(x_root);
	X509_free(x_leaf);
	X509_CRL_free(x_crl);
	for (size_t part = 0; part < 3; part++)
		for (size_t bit = 0; bit <= 8 * der[part].len; bit++) {
			_cleanup_(cert_freep) struct cert *leaf = NULL;
			_cleanup_(cert_freep) struct cert *root = NULL;
			_cleanup_(crl_freep) struct crl *crl = NULL;
			bool whole = bit == 8 * der[part].len, ok;
			struct chain c = { .pins = &pins,
				.now = NOW,
				.n_crls = 1,
				.require_crl = true,
				.crl_leaf = true,
				.crls = &crl };

			if (!whole)
				der[part].data[bit / 8] ^= (uint8_t)(1u
				    << bit % 8);
			ok = cert_from_der(blob_span(&der[0]), false, &leaf) ==
				CVM_OK &&
			    cert_from_der(blob_span(&der[1]), false, &root) ==
				CVM_OK &&
			    crl_from_bytes(blob_span(&der[2]), &crl) == CVM_OK;
			c.leaf = leaf;
			c.root = root;
			if ((ok && chain_verify(&c, NULL) == CVM_OK) != whole)
				fail_msg("part %zu, bit %zu", part, bit);
			if (!whole)
				der[part].data[bit / 8] ^= (uint8_t)(1u
				    << bit % 8);
			flips++;
		}
	assert_true(flips > 8 * 1200);
	for (size_t i = 0; i < 3; i++)
		blob_clear(&der[i]);
}

/* Remembered for the one issuer that signed it, and no other. */
static void
verified_by_somebody_else(void **state)
{
	_cleanup_(cert_freep) struct cert *one = NULL, *two = NULL;
	X509 *x = maker_cert(&root_spec, root_key, NULL, root_key);
	X509 *y = maker_cert(&root_spec, leaf_key, NULL, leaf_key);

	(void)state;
	one = read_x509(x);
	two = read_x509(y);
	X509_free(x);
	X509_free(y);
	assert_int_equal(cert_verify(one, two), CVM_E_DENIED);
	assert_int_equal(cert_verify(one, one), CVM_OK);
	assert_int_equal(cert_verify(one, two), CVM_E_DENIED);
	assert_int_equal(cert_verify(two, one), CVM_E_DENIED);
	assert_int_equal(cert_verify(one, one), CVM_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_as_they_are),
		cmocka_unit_test(certificate_with_a_fault),
		cmocka_unit_test(key_that_is_none),
		cmocka_unit_test(name_in_another_string),
		cmocka_unit_test(extensions_without_end),
		cmocka_unit_test(name_that_hides_something),
		cmocka_unit_test(name_with_more_parts),
		cmocka_unit_test(der_with_more),
		cmocka_unit_test(der_spelt_differently),
		cmocka_unit_test(pem_with_more),
		cmocka_unit_test(crl_malformed),
		cmocka_unit_test(part_of_a_list_taken_for_the_whole),
		cmocka_unit_test(extension_repeated),
		cmocka_unit_test(ecdsa_degenerate),
		cmocka_unit_test(bit_flipped),
		cmocka_unit_test(verified_by_somebody_else),
	};

	return cmocka_run_group_tests_name("cert", tests, make_keys, free_keys);
}
