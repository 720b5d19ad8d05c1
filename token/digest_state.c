/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

/* See the header: there is no other way to a digest's state. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/sha.h>
#include <string.h>

#include "token/digest_state.h"

struct digest_state {
	enum digest d;
	union {
		SHA_CTX sha1;
		SHA256_CTX sha256;
		SHA512_CTX sha512;
	} u;
};

/* The three families, behind one type. */
static int
sha1_init(struct digest_state *s)
{
	return SHA1_Init(&s->u.sha1);
}

static int
sha1_update(struct digest_state *s, struct span in)
{
	return SHA1_Update(&s->u.sha1, in.data, in.len);
}

static int
sha1_final(struct digest_state *s, uint8_t *out)
{
	return SHA1_Final(out, &s->u.sha1);
}

static void
sha1_write(const struct digest_state *s, struct writer *w)
{
	const SHA_CTX *c = &s->u.sha1;
	const SHA_LONG words[] = { c->h0, c->h1, c->h2, c->h3, c->h4, c->Nh,
		c->Nl };

	for (size_t i = 0; i < NELEMS(words); i++)
		write_be32(w, words[i]);
	write_u8(w, (uint8_t)c->num);
	write_bytes(w, span(c->data, c->num));
}

static bool
sha1_read(struct digest_state *s, struct reader *r)
{
	SHA_CTX *c = &s->u.sha1;
	SHA_LONG *const words[] = { &c->h0, &c->h1, &c->h2, &c->h3, &c->h4,
		&c->Nh, &c->Nl };

	for (size_t i = 0; i < NELEMS(words); i++)
		*words[i] = read_be32(r);
	c->num = read_u8(r);
	if (c->num >= SHA_CBLOCK || c->num != c->Nl / 8 % SHA_CBLOCK)
		return false;
	read_bytes(r, (uint8_t *)c->data, c->num);
	return true;
}

static int
sha224_init(struct digest_state *s)
{
	return SHA224_Init(&s->u.sha256);
}

static int
sha256_init(struct digest_state *s)
{
	return SHA256_Init(&s->u.sha256);
}

static int
sha256_update(struct digest_state *s, struct span in)
{
	return SHA256_Update(&s->u.sha256, in.data, in.len);
}

static int
sha256_final(struct digest_state *s, uint8_t *out)
{
	return SHA256_Final(out, &s->u.sha256);
}

static void
sha256_write(const struct digest_state *s, struct writer *w)
{
	const SHA256_CTX *c = &s->u.sha256;

	for (size_t i = 0; i < NELEMS(c->h); i++)
		write_be32(w, c->h[i]);
	write_be32(w, c->Nh);
	write_be32(w, c->Nl);
	write_u8(w, (uint8_t)c->num);
	write_bytes(w, span(c->data, c->num));
}

static bool
sha256_read(struct digest_state *s, struct reader *r)
{
	SHA256_CTX *c = &s->u.sha256;

	for (size_t i = 0; i < NELEMS(c->h); i++)
		c->h[i] = read_be32(r);
	c->Nh = read_be32(r);
	c->Nl = read_be32(r);
	c->num = read_u8(r);
	if (c->num >= SHA256_CBLOCK || c->num != c->Nl / 8 % SHA256_CBLOCK)
		return false;
	read_bytes(r, (uint8_t *)c->data, c->num);
	return true;
}

static int
sha384_init(struct digest_state *s)
{
	return SHA384_Init(&s->u.sha512);
}

static int
sha512_init(struct digest_state *s)
{
	return SHA512_Init(&s->u.sha512);
}

static int
sha512_update(struct digest_state *s, struct span in)
{
	return SHA512_Update(&s->u.sha512, in.data, in.len);
}

static int
sha512_final(struct digest_state *s, uint8_t *out)
{
	return SHA512_Final(out, &s->u.sha512);
}

static void
sha512_write(const struct digest_state *s, struct writer *w)
{
	const SHA512_CTX *c = &s->u.sha512;

	for (size_t i = 0; i < NELEMS(c->h); i++)
		write_be64(w, c->h[i]);
	write_be64(w, c->Nh);
	write_be64(w, c->Nl);
	write_u8(w, (uint8_t)c->num);
	write_bytes(w, span(c->u.p, c->num));
}

static bool
sha512_read(struct digest_state *s, struct reader *r)
{
	SHA512_CTX *c = &s->u.sha512;

	for (size_t i = 0; i < NELEMS(c->h); i++)
		c->h[i] = read_be64(r);
	c->Nh = read_be64(r);
	c->Nl = read_be64(r);
	c->num = read_u8(r);
	if (c->num >= SHA512_CBLOCK || c->num != c->Nl / 8 % SHA512_CBLOCK)
		return false;
	read_bytes(r, c->u.p, c->num);
	return true;
}

static const struct family {
	int (*init)(struct digest_state *s);
	int (*update)(struct digest_state *s, struct span in);
	int (*final)(struct digest_state *s, uint8_t *out);
	void (*write)(const struct digest_state *s, struct writer *w);
	bool (*read)(struct digest_state *s, struct reader *r);
} families[N_DIGESTS] = {
	[DIGEST_SHA1] = { sha1_init, sha1_update, sha1_final, sha1_write,
	    sha1_read },
	[DIGEST_SHA224] = { sha224_init, sha256_update, sha256_final,
	    sha256_write, sha256_read },
	[DIGEST_SHA256] = { sha256_init, sha256_update, sha256_final,
	    sha256_write, sha256_read },
	[DIGEST_SHA384] = { sha384_init, sha512_update, sha512_final,
	    sha512_write, sha512_read },
	[DIGEST_SHA512] = { sha512_init, sha512_update, sha512_final,
	    sha512_write, sha512_read },
};

bool
digest_state_has(enum digest d)
{
	return d >= 0 && d < N_DIGESTS && families[d].init != NULL;
}

struct digest_state *
digest_state_new(enum digest d)
{
	struct digest_state *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->d = d;
	/* It only sets constants; its result is 1 in all versions. */
	(void)families[d].init(s);
	return s;
}

/* What was hashed may have been a key. */
void
digest_state_freep(struct digest_state **sp)
{
	struct digest_state *s = TAKE_PTR(*sp);

	if (s == NULL)
		return;
	secret_wipe(s, sizeof(*s));
	free(s);
}

int
digest_state_update(struct digest_state *s, struct span in)
{
	return in.len == 0 || families[s->d].update(s, in) == 1 ? CVM_OK :
								  CVM_E_CRYPTO;
}

int
digest_state_final(struct digest_state *s, uint8_t *out)
{
	return families[s->d].final(s, out) == 1 ? CVM_OK : CVM_E_CRYPTO;
}

void
digest_state_write(const struct digest_state *s, struct writer *w)
{
	families[s->d].write(s, w);
}

int
digest_state_read(enum digest d, struct reader *r, struct digest_state **ret)
{
	_cleanup_(digest_state_freep) struct digest_state *s = NULL;

	if (!digest_state_has(d))
		return CVM_E_PARSE;
	s = digest_state_new(d);
	if (s == NULL)
		return CVM_E_NOMEM;
	if (!families[d].read(s, r) || r->failed)
		return CVM_E_PARSE;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}
