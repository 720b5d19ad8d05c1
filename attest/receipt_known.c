/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/receipt_known.h"
#include "base/tuple.h"

#define PREFIX_MAX 512 /* bytes of a line that say what it holds */

int
receipt_known_key(const char *name, const uint8_t sha256[static SHA256_LEN],
    uint8_t out[static SHA256_LEN])
{
	const struct span fields[] = { span(name,
					   name != NULL ? strlen(name) : 0),
		span(sha256, SHA256_LEN) };
	_cleanup_(blob_clear) struct blob t = { 0 };
	int err = tuple("known", fields, NELEMS(fields), &t);

	return err != CVM_OK ? err : hash(HASH_SHA256, blob_span(&t), out);
}

bool
receipt_known_has(const struct receipt_known *k,
    const uint8_t key[static SHA256_LEN])
{
	size_t n = k->n < RECEIPT_KNOWN_MAX ? k->n : RECEIPT_KNOWN_MAX;

	for (size_t i = 0; i < n; i++)
		if (memcmp(k->key[i], key, SHA256_LEN) == 0)
			return true;
	return false;
}

void
receipt_known_add(struct receipt_known *k, const uint8_t key[static SHA256_LEN])
{
	if (!receipt_known_has(k, key))
		memcpy(k->key[k->n++ % RECEIPT_KNOWN_MAX], key, SHA256_LEN);
}

/* The string that follows label at *at, which moves behind it. */
static bool
take(const char **at, const char *label, char *out, size_t len)
{
	size_t n = strlen(label);

	if (strncmp(*at, label, n) != 0)
		return false;
	*at += n;
	n = strcspn(*at, "\"");
	if (n >= len || (*at)[n] != '"')
		return false;
	memcpy(out, *at, n);
	out[n] = '\0';
	*at += n + 1;
	return true;
}

static void
learn_line(struct receipt_known *k, const char *line)
{
	char type[16], hex[2 * SHA256_LEN + 1], name[256];
	uint8_t digest[SHA256_LEN], key[SHA256_LEN];
	bool named;

	if (!take(&line, "{\"type\":\"", type, sizeof(type)) ||
	    !take(&line, ",\"sha256\":\"", hex, sizeof(hex)) ||
	    hex_decode(hex, digest, sizeof(digest)) != CVM_OK)
		return;
	named = strcmp(type, "endorsement") == 0;
	if (named && !take(&line, ",\"name\":\"", name, sizeof(name)))
		return;
	if (receipt_known_key(named ? name : NULL, digest, key) == CVM_OK)
		receipt_known_add(k, key);
}

/* Other processes wrote most of it before us. What is misread costs a line:
 * nothing in here is believed by a verifier. */
static void
learn(struct receipt_known *k, const struct receipt_file *f)
{
	size_t len = f->size < RECEIPT_LEARN_MAX ? (size_t)f->size :
						   RECEIPT_LEARN_MAX;
	_cleanup_(freep) char *text = malloc(len);
	const char *at = text, *end;
	ssize_t n;

	if (text == NULL ||
	    (n = pread(f->fd, text, len, f->size - (off_t)len)) <= 0)
		return;
	len = (size_t)n;
	while ((end = memchr(at, '\n', len - (size_t)(at - text))) != NULL) {
		char start[PREFIX_MAX];
		size_t part = (size_t)(end - at);

		if (part >= sizeof(start))
			part = sizeof(start) - 1;
		memcpy(start, at, part);
		start[part] = '\0';
		/* The first one may have lost its beginning. */
		if (at > text || len == (size_t)f->size)
			learn_line(k, start);
		at = end + 1;
	}
}

bool
receipt_known_file(struct receipt_known *k, const struct receipt_file *f)
{
	if (k->dev == f->dev && k->ino == f->ino && k->size <= f->size)
		return true;
	*k = (struct receipt_known){ .dev = f->dev, .ino = f->ino };
	learn(k, f);
	return false;
}
