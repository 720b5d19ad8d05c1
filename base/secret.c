/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/crypto.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/secret.h"

/* Header and bytes share one mapping, so that there is one thing to lose. */
struct secret {
	size_t len;
	size_t mapped;
	alignas(max_align_t) uint8_t data[];
};

struct secret *
secret_new(size_t len)
{
	size_t mapped = offsetof(struct secret, data) + len;
	struct secret *s;

	if (len > SECRET_MAX)
		return NULL;
	s = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	/* A secret that would land in a core dump is none: fail instead. */
	if (madvise(s, mapped, MADV_DONTDUMP) != 0) {
		(void)munmap(s, mapped);
		return NULL;
	}
	s->len = len;
	s->mapped = mapped;
	return s;
}

struct secret *
secret_copy(struct span from)
{
	struct secret *s = secret_new(from.len);

	if (s != NULL && from.len > 0)
		memcpy(s->data, from.data, from.len);
	return s;
}

uint8_t *
secret_data(struct secret *s)
{
	return s->data;
}

struct span
secret_span(const struct secret *s)
{
	return span(s->data, s->len);
}

size_t
secret_len(const struct secret *s)
{
	return s->len;
}

void
secret_shrink(struct secret *s, size_t len)
{
	if (len >= s->len)
		return;
	secret_wipe(s->data + len, s->len - len);
	s->len = len;
}

void
secret_freep(struct secret **s)
{
	size_t mapped;

	if (s == NULL || *s == NULL)
		return;
	mapped = (*s)->mapped;
	secret_wipe((*s)->data, (*s)->len);
	(void)munmap(*s, mapped);
	*s = NULL;
}

void
secret_wipe(void *p, size_t len)
{
	if (p != NULL && len > 0)
		OPENSSL_cleanse(p, len);
}
