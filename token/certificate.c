/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>
#include <string.h>

#include "token/keys.h"
#include "token/template.h"

#define CHECK_VALUE_LEN 3

/* DER that OpenSSL writes for one part of a certificate. */
struct part {
	unsigned char *der;
	int len;
};

static void
part_clear(struct part *p)
{
	OPENSSL_free(p->der);
	p->der = NULL;
}

static int
parse(struct span der, X509 **ret, struct why *why)
{
	_cleanup_(x509_freep) X509 *cert = X509_new_ex(crypto_libctx(),
	    /* props= */ NULL);
	const unsigned char *p = der.data;

	if (cert == NULL)
		return CVM_E_NOMEM;
	if (der.len == 0 || der.len > LONG_MAX ||
	    d2i_X509(&cert, &p, (long)der.len) == NULL ||
	    p != der.data + der.len)
		return template_refuse(why, CVM_E_ATTR_VALUE, CKA_VALUE,
		    "one X.509 certificate in DER", "something else");
	*ret = TAKE_PTR(cert);
	return CVM_OK;
}

static int
agree_part(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct part *p,
    struct why *why)
{
	if (p->len <= 0 || p->der == NULL)
		return CVM_E_NOMEM;
	return attr_agree(a, type, span(p->der, (size_t)p->len), why);
}

static int
describe_names(X509 *cert, struct attrs *a, struct why *why)
{
	_cleanup_(part_clear) struct part subject = { 0 };
	_cleanup_(part_clear) struct part issuer = { 0 };
	int err;

	subject.len = i2d_X509_NAME(X509_get_subject_name(cert), &subject.der);
	issuer.len = i2d_X509_NAME(X509_get_issuer_name(cert), &issuer.der);
	err = agree_part(a, CKA_SUBJECT, &subject, why);
	return err == CVM_OK ? agree_part(a, CKA_ISSUER, &issuer, why) : err;
}

/*
 * Some applications give the number without its DER header: as a magnitude,
 * or (Java) with the zero byte that keeps a high first bit from being a sign.
 */
static bool
bare_serial(const ASN1_INTEGER *serial, struct span have)
{
	const uint8_t *p = ASN1_STRING_get0_data(serial);
	size_t len = (size_t)ASN1_STRING_length(serial);

	if (len > 0 && p[0] >= 0x80 && have.len == len + 1 && have.data[0] == 0)
		have = span(have.data + 1, len);
	return span_equal(have, span(p, len));
}

static int
describe_serial(X509 *cert, struct attrs *a, struct why *why)
{
	_cleanup_(part_clear) struct part der = { 0 };
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	const struct attr *have = attrs_find(a, CKA_SERIAL_NUMBER);

	der.len = i2d_ASN1_INTEGER(serial, &der.der);
	if (der.len <= 0)
		return CVM_E_NOMEM;
	if (have != NULL && bare_serial(serial, blob_span(&have->value)))
		return attrs_set(a, CKA_SERIAL_NUMBER,
		    span(der.der, (size_t)der.len));
	return agree_part(a, CKA_SERIAL_NUMBER, &der, why);
}

/* The key, in the form in which the certificate has it. */
static int
describe_key(X509 *cert, struct attrs *a, struct why *why)
{
	_cleanup_(part_clear) struct part spki = { 0 };
	int err;

	spki.len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki.der);
	err = agree_part(a, CKA_PUBLIC_KEY_INFO, &spki, why);
	if (err != CVM_OK)
		return err;
	return key_default_id(a, span(spki.der, (size_t)spki.len));
}

int
certificate_describe(struct attrs *a, struct why *reterr_why)
{
	quiet_openssl();
	_cleanup_(x509_freep) X509 *cert = NULL;
	const struct attr *value = attrs_find(a, CKA_VALUE);
	uint8_t digest[SHA512_LEN];
	int err;

	if (attrs_ulong(a, CKA_CERTIFICATE_TYPE, CK_UNAVAILABLE_INFORMATION) !=
	    CKC_X_509)
		return template_refuse(reterr_why, CVM_E_ATTR_VALUE,
		    CKA_CERTIFICATE_TYPE, "CKC_X_509", "another");
	err = parse(value == NULL ? span("", 0) : blob_span(&value->value),
	    &cert, reterr_why);
	if (err == CVM_OK)
		err = hash(HASH_SHA1, blob_span(&value->value), digest);
	if (err == CVM_OK)
		err = check_value_agree(a, span(digest, CHECK_VALUE_LEN),
		    reterr_why);
	if (err == CVM_OK)
		err = describe_names(cert, a, reterr_why);
	if (err == CVM_OK)
		err = describe_serial(cert, a, reterr_why);
	return err == CVM_OK ? describe_key(cert, a, reterr_why) : err;
}
