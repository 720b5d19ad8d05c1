/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/bio.h>
#include <openssl/decoder.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#include "base/crypto.h"
#include "base/openssl.h"
#include "tools/key_file.h"

struct asking {
	const struct passphrase *p;
	struct secret *answer;
	bool asked;
	int err;
	struct why *why;
};

/* OSSL_PASSPHRASE_CALLBACK; asked again, it gives the same answer. */
static int
give_passphrase(char *out, size_t len, size_t *ret_len,
    const OSSL_PARAM params[], void *arg)
{
	struct asking *a = arg;

	(void)params;
	if (!a->asked)
		a->err = a->p->ask(a->p->arg, &a->answer, a->why);
	a->asked = true;
	if (a->answer == NULL || secret_len(a->answer) > len)
		return 0;
	memcpy(out, secret_data(a->answer), secret_len(a->answer));
	*ret_len = secret_len(a->answer);
	return 1;
}

/* A PEM file may have certificates before the key. */
static void
decode(OSSL_DECODER_CTX *ctx, BIO *bio, EVP_PKEY *const *pkey)
{
	long at = 0, before;

	do {
		before = at;
		if (OSSL_DECODER_from_bio(ctx, bio) == 1 && *pkey != NULL)
			return;
		at = BIO_tell(bio);
	} while (!BIO_eof(bio) && at > before);
}

static int
refuse(const struct asking *a, const char *name, struct why *why)
{
	if (a->asked && a->err != CVM_OK)
		return a->err;
	if (a->asked)
		return why_set(why, CVM_E_PIN_INCORRECT, name, "passphrase",
		    "the one that opens this key",
		    "another one, or an unknown cipher");
	return why_set(why, CVM_E_PARSE, name, "",
	    "a private key (PEM or DER; PKCS#8, PKCS#1 or SEC 1)",
	    "something else");
}

int
key_file_parse(struct span bytes, const char *name, const struct passphrase *p,
    EVP_PKEY **ret, struct why *reterr_why)
{
	quiet_openssl();
	struct asking a = { .p = p, .why = reterr_why };
	OSSL_DECODER_CTX *ctx;
	EVP_PKEY *pkey = NULL;
	BIO *bio;

	if (bytes.len > KEY_FILE_MAX)
		return CVM_E_PARSE;
	bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
	ctx = OSSL_DECODER_CTX_new_for_pkey(&pkey, /* input_type= */ NULL,
	    /* input_struct= */ NULL, /* keytype= */ NULL, EVP_PKEY_KEYPAIR,
	    crypto_libctx(), /* propquery= */ NULL);
	if (bio != NULL && ctx != NULL &&
	    OSSL_DECODER_CTX_set_passphrase_cb(ctx, give_passphrase, &a) == 1)
		decode(ctx, bio, &pkey);
	OSSL_DECODER_CTX_free(ctx);
	BIO_free(bio);
	secret_freep(&a.answer);
	if (pkey == NULL)
		return refuse(&a, name, reterr_why);
	*ret = pkey;
	return CVM_OK;
}

struct pem {
	char *name, *header;
	unsigned char *data;
	long len;
};

static void
pem_clear(struct pem *p)
{
	OPENSSL_free(p->name);
	OPENSSL_free(p->header);
	OPENSSL_free(p->data);
}

static X509 *
read_der(const unsigned char *p, long len)
{
	X509 *x = X509_new_ex(crypto_libctx(), /* propq= */ NULL);
	const unsigned char *end = p + len;

	if (x != NULL && d2i_X509(&x, &p, len) != NULL && p == end)
		return x;
	X509_free(x);
	return NULL;
}

/* A file that has more than the one certificate leaves open which is meant. */
static X509 *
read_cert(struct span bytes, BIO *bio)
{
	_cleanup_(pem_clear) struct pem one = { 0 }, more = { 0 };

	if (bytes.data[0] == 0x30) /* SEQUENCE: DER; PEM starts with text */
		return read_der(bytes.data, (long)bytes.len);
	if (bio == NULL ||
	    PEM_read_bio(bio, &one.name, &one.header, &one.data, &one.len) !=
		1 ||
	    strcmp(one.name, PEM_STRING_X509) != 0 || one.header[0] != '\0' ||
	    PEM_read_bio(bio, &more.name, &more.header, &more.data,
		&more.len) == 1 ||
	    ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return NULL;
	return read_der(one.data, one.len);
}

int
cert_file_parse(struct span bytes, const char *name, X509 **ret,
    struct why *reterr_why)
{
	quiet_openssl();
	X509 *x = NULL;
	BIO *bio;

	if (bytes.len > 0 && bytes.len <= CERT_FILE_MAX) {
		bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
		x = read_cert(bytes, bio);
		BIO_free(bio);
	}
	if (x == NULL)
		return why_set(reterr_why, CVM_E_PARSE, name, "",
		    "one X.509 certificate (PEM or DER)", "something else");
	*ret = x;
	return CVM_OK;
}
