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

/* A file that has more than the one certificate leaves open which is meant. */
static X509 *
read_cert(struct span bytes, BIO *bio)
{
	X509 *x = X509_new_ex(crypto_libctx(), /* propq= */ NULL);
	X509 *more = NULL;
	const unsigned char *p = bytes.data;
	bool ok;

	if (x == NULL || bio == NULL) {
		X509_free(x);
		return NULL;
	}
	if (bytes.data[0] == 0x30) /* SEQUENCE: DER; PEM starts with text */
		ok = d2i_X509(&x, &p, (long)bytes.len) != NULL &&
		    p == bytes.data + bytes.len;
	else
		ok = PEM_read_bio_X509(bio, &x, NULL, NULL) != NULL &&
		    (more = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL;
	X509_free(more);
	if (ok)
		return x;
	X509_free(x);
	return NULL;
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
