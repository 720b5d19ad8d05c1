/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"
#include "base/tuple.h"
#include "token/token_impl.h"

#define META_VERSION 1
#define META_KEY "token"
#define META_AUTH_KEY "token_auth"

static int
meta_decode(struct span s, struct token_meta *ret)
{
	struct token_meta m = { 0 };
	struct reader r = reader_init(s);
	uint8_t version = read_u8(&r);
	char label[CONFIG_LABEL_MAX + 1];
	struct span text;

	read_bytes(&r, m.id, sizeof(m.id));
	text = read_span(&r, TOKEN_SERIAL_LEN);
	if (text.len == TOKEN_SERIAL_LEN)
		memcpy(m.serial, text.data, TOKEN_SERIAL_LEN);
	m.created = (int64_t)read_be64(&r);
	text = read_span(&r, read_be32(&r));
	if (reader_end(&r) != CVM_OK || version != META_VERSION ||
	    text.len > CONFIG_LABEL_MAX)
		return CVM_E_CORRUPT;
	memcpy(m.label, text.data, text.len);
	if (strspn(m.serial, "0123456789abcdef") != TOKEN_SERIAL_LEN ||
	    strlen(m.label) != text.len ||
	    meta_label(m.label, label, /* reterr_why= */ NULL) != CVM_OK ||
	    strcmp(label, m.label) != 0)
		return CVM_E_CORRUPT;
	*ret = m;
	return CVM_OK;
}

static int
meta_encode(const struct token_meta *m, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 };

	write_u8(&w, META_VERSION);
	write_bytes(&w, span(m->id, sizeof(m->id)));
	write_bytes(&w, span(m->serial, TOKEN_SERIAL_LEN));
	write_be64(&w, (uint64_t)m->created);
	write_field(&w, span(m->label, strlen(m->label)));
	return writer_end(&w, ret);
}

int
meta_read(struct store *s, struct token_meta *ret, struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob value = { 0 };
	int err;

	err = store_meta_get(s, META_KEY, &value, reterr_why);
	if (err == CVM_E_NOT_FOUND)
		return why_set(reterr_why, CVM_E_CORRUPT, store_path(s), "meta",
		    "the token's metadata", "none");
	if (err != CVM_OK)
		return err;
	if (meta_decode(blob_span(&value), ret) != CVM_OK)
		return why_setf(reterr_why, CVM_E_CORRUPT, store_path(s),
		    "meta", "version, id, serial, time and label", "%zu bytes",
		    value.len);
	return CVM_OK;
}

/* Key and associated data of the box that authenticates the metadata. */
static int
auth_parts(const struct token_meta *m, const struct secret *token_key,
    struct secret **ret_key, struct blob *ret_aad)
{
	_cleanup_(blob_clear) struct blob info = { 0 }, value = { 0 };
	struct span field;
	int err;

	err = tuple("cvm-pkcs11/meta-key/1", NULL, 0, &info);
	if (err == CVM_OK)
		err = hkdf_sha256(secret_span(token_key),
		    span(m->id, sizeof(m->id)), blob_span(&info), TOKEN_KEY_LEN,
		    ret_key);
	if (err == CVM_OK)
		err = meta_encode(m, &value);
	if (err != CVM_OK)
		return err;
	field = blob_span(&value);
	return tuple("cvm-pkcs11/meta/1", &field, 1, ret_aad);
}

/* What the private key is recognised by. */
static int
private_mark(const struct token_meta *m, const struct secret *private_key,
    struct secret **ret)
{
	_cleanup_(blob_clear) struct blob info = { 0 };
	int err;

	err = tuple("cvm-pkcs11/private-mark/1", NULL, 0, &info);
	if (err != CVM_OK)
		return err;
	return hkdf_sha256(secret_span(private_key), span(m->id, sizeof(m->id)),
	    blob_span(&info), SHA256_LEN, ret);
}

int
meta_write(struct store *s, const struct token_meta *m,
    const struct secret *token_key, const struct secret *private_key,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *key = NULL, *mark = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 }, box = { 0 };
	_cleanup_(blob_clear) struct blob value = { 0 };
	int err;

	err = auth_parts(m, token_key, &key, &aad);
	if (err == CVM_OK)
		err = private_mark(m, private_key, &mark);
	if (err == CVM_OK)
		err = box_seal(key, blob_span(&aad), secret_span(mark), &box);
	if (err == CVM_OK)
		err = meta_encode(m, &value);
	if (err != CVM_OK)
		return err;
	err = store_meta_set(s, META_KEY, blob_span(&value), reterr_why);
	if (err != CVM_OK)
		return err;
	return store_meta_set(s, META_AUTH_KEY, blob_span(&box), reterr_why);
}

int
meta_verify(struct store *s, const struct token_meta *m,
    const struct secret *token_key, const struct secret *private_key,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *key = NULL, *mark = NULL;
	_cleanup_(secret_freep) struct secret *kept = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 }, box = { 0 };
	int err;

	err = store_meta_get(s, META_AUTH_KEY, &box, reterr_why);
	if (err != CVM_OK && err != CVM_E_NOT_FOUND)
		return err; /* the store could not be read */
	if (err == CVM_OK)
		err = auth_parts(m, token_key, &key, &aad);
	if (err == CVM_OK)
		err = box_open(key, blob_span(&aad), blob_span(&box), &kept);
	if (err != CVM_OK)
		return why_set(reterr_why,
		    err == CVM_E_NOT_FOUND ? CVM_E_CORRUPT : err, store_path(s),
		    "meta",
		    "the id, serial and label that the token was made with",
		    "others");
	if (private_key == NULL)
		return CVM_OK;
	err = private_mark(m, private_key, &mark);
	if (err != CVM_OK)
		return err;
	if (!span_equal(secret_span(mark), secret_span(kept)))
		return why_set(reterr_why, CVM_E_CORRUPT, store_path(s),
		    "private key", "the key of this token", "another");
	return CVM_OK;
}

int
meta_label(const char *label, char out[static CONFIG_LABEL_MAX + 1],
    struct why *reterr_why)
{
	size_t len = strlen(label);

	while (len > 0 && label[len - 1] == ' ')
		len--;
	if (len == 0 || len > CONFIG_LABEL_MAX)
		return why_setf(reterr_why, CVM_E_INVAL, "token", "label",
		    "1 to 32 characters", "%zu", len);
	for (size_t i = 0; i < len; i++)
		if (label[i] < 0x20 || label[i] > 0x7e || label[i] == ':')
			return why_setf(reterr_why, CVM_E_INVAL, "token",
			    "label", "printable ASCII without ':'",
			    "byte 0x%02x", (unsigned char)label[i]);
	memset(out, 0, CONFIG_LABEL_MAX + 1);
	memcpy(out, label, len);
	return CVM_OK;
}
