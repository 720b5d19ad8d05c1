/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/parsed.h"

struct entry {
	const struct parsed_kind *kind;
	struct blob bytes;
	void *object;
	uint64_t used; /* p->uses when last of use */
};

struct parsed {
	struct entry entries[PARSED_MAX];
	size_t n, bytes;
	uint64_t uses;
};

struct parsed *
parsed_new(void)
{
	return calloc(1, sizeof(struct parsed));
}

static void
forget(struct parsed *p, size_t i)
{
	struct entry *e = &p->entries[i];

	p->bytes -= e->bytes.len;
	e->kind->free(e->object);
	blob_clear(&e->bytes);
	*e = p->entries[--p->n];
	p->entries[p->n] = (struct entry){ 0 };
}

void
parsed_freep(struct parsed **p)
{
	if (p == NULL || *p == NULL)
		return;
	while ((*p)->n > 0)
		forget(*p, 0);
	free(*p);
	*p = NULL;
}

void *
parsed_find(struct parsed *p, const struct parsed_kind *kind, struct span bytes)
{
	for (size_t i = 0; p != NULL && i < p->n; i++) {
		struct entry *e = &p->entries[i];

		if (e->kind == kind && e->bytes.len == bytes.len &&
		    bytes.len > 0 &&
		    memcmp(e->bytes.data, bytes.data, bytes.len) == 0) {
			e->used = ++p->uses;
			return e->object;
		}
	}
	return NULL;
}

static void
forget_oldest(struct parsed *p)
{
	size_t oldest = 0;

	for (size_t i = 1; i < p->n; i++)
		if (p->entries[i].used < p->entries[oldest].used)
			oldest = i;
	forget(p, oldest);
}

bool
parsed_keep(struct parsed *p, const struct parsed_kind *kind, struct span bytes,
    void *object)
{
	struct entry e = { .kind = kind, .object = object };

	if (p == NULL || bytes.len == 0 || bytes.len > PARSED_BYTES_MAX ||
	    blob_set(&e.bytes, bytes) != CVM_OK)
		return false;
	while (p->n == PARSED_MAX || p->bytes > PARSED_BYTES_MAX - bytes.len)
		forget_oldest(p);
	e.used = ++p->uses;
	p->entries[p->n++] = e;
	p->bytes += bytes.len;
	return true;
}

/* Certificates of one file, or a CRL, with their digests. */
struct certs {
	X509 *v[CHAIN_CERTS_MAX];
	uint8_t digest[CHAIN_CERTS_MAX][SHA256_LEN];
	size_t n;
};

struct crl {
	X509_CRL *v;
	uint8_t digest[SHA256_LEN];
};

static void
certs_free(void *object)
{
	struct certs *c = object;

	for (size_t i = 0; i < c->n; i++)
		x509_freep(&c->v[i]);
	free(c);
}

static void
crl_free(void *object)
{
	struct crl *c = object;

	x509_crl_freep(&c->v);
	free(c);
}

/* Padding is part of the bytes, and forgiven by one of them only. */
static const struct parsed_kind kind_der = { certs_free };
static const struct parsed_kind kind_der_padded = { certs_free };
static const struct parsed_kind kind_pem = { certs_free };
static const struct parsed_kind kind_crl = { crl_free };

static bool
certs_fill(const struct parsed *p, struct certs *c, X509 *const *x, size_t n)
{
	for (; c->n < n; c->n++) {
		if (parsed_cert_digest(p, x[c->n], c->digest[c->n]) != CVM_OK ||
		    X509_up_ref(x[c->n]) != 1)
			return false;
		c->v[c->n] = x[c->n];
	}
	return true;
}

/* To fail here costs speed and nothing else. */
static void
keep_certs(struct parsed *p, const struct parsed_kind *kind, struct span bytes,
    X509 *const *x, size_t n)
{
	struct certs *c;

	if (p == NULL || n > CHAIN_CERTS_MAX ||
	    (c = calloc(1, sizeof(*c))) == NULL)
		return;
	if (!certs_fill(p, c, x, n) || !parsed_keep(p, kind, bytes, c))
		certs_free(c);
}

int
parsed_cert(struct parsed *p, struct span der, bool padded, X509 **ret)
{
	const struct parsed_kind *kind = padded ? &kind_der_padded : &kind_der;
	const struct certs *c = parsed_find(p, kind, der);
	int r;

	if (c != NULL && X509_up_ref(c->v[0]) == 1) {
		*ret = c->v[0];
		return CVM_OK;
	}
	if ((r = cert_from_der(der, padded, ret)) == CVM_OK)
		keep_certs(p, kind, der, ret, 1);
	return r;
}

/* One file has what another has too: a chain's root is in all of them. */
static int
read_known(void *arg, struct span der, X509 **ret)
{
	return parsed_cert(arg, der, /* padded= */ false, ret);
}

int
parsed_certs(struct parsed *p, struct span pem, X509 **ret, size_t max,
    size_t *ret_n)
{
	const struct certs *c = parsed_find(p, &kind_pem, pem);
	int r;

	if (c != NULL && c->n > max)
		return CVM_E_PARSE;
	if (c != NULL) {
		for (size_t i = 0; i < c->n; i++) {
			(void)X509_up_ref(c->v[i]);
			ret[i] = c->v[i];
		}
		*ret_n = c->n;
		return CVM_OK;
	}
	if ((r = certs_from_pem_by(pem, read_known, p, ret, max, ret_n)) ==
	    CVM_OK)
		keep_certs(p, &kind_pem, pem, ret, *ret_n);
	return r;
}

int
parsed_crl(struct parsed *p, struct span bytes, X509_CRL **ret)
{
	struct crl *c = parsed_find(p, &kind_crl, bytes);
	int r;

	if (c != NULL && X509_CRL_up_ref(c->v) == 1) {
		*ret = c->v;
		return CVM_OK;
	}
	if ((r = crl_from_bytes(bytes, ret)) != CVM_OK || p == NULL ||
	    (c = calloc(1, sizeof(*c))) == NULL)
		return r;
	if (crl_digest(*ret, c->digest) != CVM_OK ||
	    X509_CRL_up_ref(*ret) != 1) {
		free(c);
		return CVM_OK;
	}
	c->v = *ret;
	if (!parsed_keep(p, &kind_crl, bytes, c))
		crl_free(c);
	return CVM_OK;
}

static const uint8_t *
certs_digest(const struct entry *e, const X509 *x)
{
	const struct certs *c = e->object;

	for (size_t i = 0; e->kind->free == certs_free && i < c->n; i++)
		if (c->v[i] == x)
			return c->digest[i];
	return NULL;
}

int
parsed_cert_digest(const struct parsed *p, const X509 *x,
    uint8_t out[static SHA256_LEN])
{
	for (size_t i = 0; p != NULL && i < p->n; i++) {
		const uint8_t *d = certs_digest(&p->entries[i], x);

		if (d == NULL)
			continue;
		memcpy(out, d, SHA256_LEN);
		return CVM_OK;
	}
	return cert_digest(x, out);
}

int
parsed_crl_digest(const struct parsed *p, const X509_CRL *crl,
    uint8_t out[static SHA256_LEN])
{
	for (size_t i = 0; p != NULL && i < p->n; i++) {
		const struct crl *c = p->entries[i].object;

		if (p->entries[i].kind != &kind_crl || c->v != crl)
			continue;
		memcpy(out, c->digest, SHA256_LEN);
		return CVM_OK;
	}
	return crl_digest(crl, out);
}
