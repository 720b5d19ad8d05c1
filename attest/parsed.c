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

/* The certificates of one file. */
struct certs {
	struct cert *v[CHAIN_CERTS_MAX];
	size_t n;
};

static void
certs_free(void *object)
{
	struct certs *c = object;

	for (size_t i = 0; i < c->n; i++)
		cert_freep(&c->v[i]);
	free(c);
}

static void
crl_free(void *object)
{
	struct crl *c = object;

	crl_freep(&c);
}

/* Padding is part of the bytes, and forgiven by one of them only. */
static const struct parsed_kind kind_der = { certs_free };
static const struct parsed_kind kind_der_padded = { certs_free };
static const struct parsed_kind kind_pem = { certs_free };
static const struct parsed_kind kind_crl = { crl_free };

/* To fail here costs speed and nothing else. A key that could not be made may
 * have wanted memory, and is tried anew. */
static void
keep_certs(struct parsed *p, const struct parsed_kind *kind, struct span bytes,
    struct cert *const *x, size_t n)
{
	struct certs *c;

	if (p == NULL || n > CHAIN_CERTS_MAX ||
	    (c = calloc(1, sizeof(*c))) == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		if (x[i]->key == NULL) {
			free(c);
			return;
		}
	for (; c->n < n; c->n++)
		c->v[c->n] = cert_ref(x[c->n]);
	if (!parsed_keep(p, kind, bytes, c))
		certs_free(c);
}

int
parsed_cert(struct parsed *p, struct span der, bool padded, struct cert **ret)
{
	const struct parsed_kind *kind = padded ? &kind_der_padded : &kind_der;
	const struct certs *c = parsed_find(p, kind, der);
	int r;

	if (c != NULL) {
		*ret = cert_ref(c->v[0]);
		return CVM_OK;
	}
	if ((r = cert_from_der(der, padded, ret)) == CVM_OK)
		keep_certs(p, kind, der, ret, 1);
	return r;
}

/* One file has what another has too: a chain's root is in all of them. */
static int
read_known(void *arg, struct span der, struct cert **ret)
{
	return parsed_cert(arg, der, /* padded= */ false, ret);
}

int
parsed_certs(struct parsed *p, struct span pem, struct cert **ret, size_t max,
    size_t *ret_n)
{
	const struct certs *c = parsed_find(p, &kind_pem, pem);
	int r;

	if (c != NULL && c->n > max)
		return CVM_E_PARSE;
	if (c != NULL) {
		for (size_t i = 0; i < c->n; i++)
			ret[i] = cert_ref(c->v[i]);
		*ret_n = c->n;
		return CVM_OK;
	}
	if ((r = certs_from_pem_by(pem, read_known, p, ret, max, ret_n)) ==
	    CVM_OK)
		keep_certs(p, &kind_pem, pem, ret, *ret_n);
	return r;
}

int
parsed_crl(struct parsed *p, struct span bytes, struct crl **ret)
{
	struct crl *c = parsed_find(p, &kind_crl, bytes);
	int r;

	if (c != NULL) {
		*ret = crl_ref(c);
		return CVM_OK;
	}
	if ((r = crl_from_bytes(bytes, ret)) != CVM_OK || p == NULL)
		return r;
	c = crl_ref(*ret);
	if (!parsed_keep(p, &kind_crl, bytes, c))
		crl_freep(&c);
	return CVM_OK;
}
