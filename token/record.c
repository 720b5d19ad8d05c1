/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"
#include "base/tuple.h"
#include "token/record_priv.h"

#define HEADER_VERSION 1
#define HEADER_PRIVATE 0x01
#define BOX_ENDS 28

/*
 * A record's header, in clear: what has to be known before anything is
 * opened. It is associated data of the attributes' box, and everything in it
 * but the class is associated data of the private box, too.
 */
static int
header_encode(const struct record_header *h, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 };

	write_u8(&w, HEADER_VERSION);
	write_u8(&w, h->private ? HEADER_PRIVATE : 0);
	write_be64(&w, h->class);
	return writer_end(&w, ret);
}

static int
refuse(const char *field, const char *expected, const char *got, int err,
    struct why *reterr_why)
{
	return why_set(reterr_why, err, "store record", field, expected, got);
}

int
record_header(const struct store_object *o, struct record_header *ret,
    struct why *reterr_why)
{
	struct reader r = reader_init(blob_span(&o->header));
	uint8_t version = read_u8(&r), flags = read_u8(&r);
	struct record_header h = { .private = flags == HEADER_PRIVATE };

	h.class = read_be64(&r);
	if (reader_end(&r) != CVM_OK || version != HEADER_VERSION ||
	    flags > HEADER_PRIVATE)
		return refuse("header", "version, flags and class", "others",
		    CVM_E_CORRUPT, reterr_why);
	*ret = h;
	return CVM_OK;
}

/* The key of one box: HKDF(token or private key, object id and part). */
static int
box_key(const uint8_t *token_id, const struct key *k, const uint8_t *id,
    const char *part, struct secret **ret)
{
	_cleanup_(blob_clear) struct blob info = { 0 };
	const struct span fields[] = {
		span(id, STORE_ID_LEN),
		span(part, strlen(part)),
	};
	int err;

	err = tuple("cvm-pkcs11/record-key/1", fields, NELEMS(fields), &info);
	if (err != CVM_OK)
		return err;
	return hkdf_sha256(secret_span(k->bytes), span(token_id, TOKEN_ID_LEN),
	    blob_span(&info), TOKEN_KEY_LEN, ret);
}

/* Binds the attributes to header, hints and the very private box. */
static int
attrs_aad(const struct store_object *o, struct blob *ret)
{
	uint8_t ends[BOX_ENDS];
	size_t n = o->private_box.len >= BOX_ENDS ? BOX_ENDS : 0;
	const struct span fields[] = {
		span(o->id, sizeof(o->id)),
		blob_span(&o->header),
		blob_span(&o->hint_id),
		blob_span(&o->hint_label),
		span(ends, n),
	};

	if (n > 0) {
		memcpy(ends, o->private_box.data, 12);
		memcpy(ends + 12, o->private_box.data + o->private_box.len - 16,
		    16);
	}
	return tuple("cvm-pkcs11/record-attrs/1", fields, NELEMS(fields), ret);
}

static int
private_aad(const uint8_t *id, const struct record_header *h, struct blob *ret)
{
	const uint8_t flags = h->private ? HEADER_PRIVATE : 0;
	const struct span fields[] = {
		span(id, STORE_ID_LEN),
		span(&flags, sizeof(flags)),
	};

	return tuple("cvm-pkcs11/record-private/1", fields, NELEMS(fields),
	    ret);
}

static int
key_closed(const char *which, struct why *reterr_why)
{
	return why_set(reterr_why, CVM_E_SEALED, "token", which, "open",
	    "sealed");
}

int
record_hint(struct token *t, CK_ATTRIBUTE_TYPE type, struct span value,
    struct blob *ret)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	_cleanup_(blob_clear) struct blob info = { 0 };
	_cleanup_(secret_freep) struct secret *hint = NULL;
	uint8_t digest[SHA256_LEN], number[8];
	const struct span fields[] = {
		tuple_u64(type, number),
		span(digest, sizeof(digest)),
	};
	struct token_meta meta = { 0 };
	int err;

	if (key == NULL)
		return CVM_E_SEALED;
	err = token_get_meta(t, &meta, /* reterr_why= */ NULL);
	if (err == CVM_OK)
		err = hash(HASH_SHA256, value, digest);
	if (err == CVM_OK)
		err = tuple("cvm-pkcs11/hint/1", fields, NELEMS(fields), &info);
	if (err == CVM_OK)
		err = hkdf_sha256(secret_span(key->bytes),
		    span(meta.id, sizeof(meta.id)), blob_span(&info),
		    STORE_HINT_LEN, &hint);
	return err == CVM_OK ? blob_set(ret, secret_span(hint)) : err;
}

/* An absent or empty attribute has an empty hint. */
static int
hint_of(struct token *t, const struct attrs *attrs, CK_ATTRIBUTE_TYPE type,
    struct blob *ret)
{
	const struct attr *a = attrs_find(attrs, type);

	if (a == NULL || a->value.len == 0)
		return CVM_OK;
	return record_hint(t, type, blob_span(&a->value), ret);
}

static int
seal_private(struct token *t, const struct token_meta *meta,
    const struct record_header *h, const struct secret *material,
    struct store_object *o, struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = record_private_key(t, h);
	_cleanup_(secret_freep) struct secret *bk = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 };
	int err;

	if (key == NULL)
		return key_closed("private key", reterr_why);
	err = box_key(meta->id, key, o->id, "private", &bk);
	if (err == CVM_OK)
		err = private_aad(o->id, h, &aad);
	if (err != CVM_OK)
		return err;
	return box_seal(bk, blob_span(&aad), secret_span(material),
	    &o->private_box);
}

static int
seal_attrs(struct token *t, const struct token_meta *meta,
    const struct attrs *attrs, struct store_object *o, struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	_cleanup_(secret_freep) struct secret *bk = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 }, plain = { 0 };
	int err;

	if (key == NULL)
		return key_closed("token key", reterr_why);
	err = attrs_encode(attrs, &plain);
	if (err == CVM_OK)
		err = box_key(meta->id, key, o->id, "attrs", &bk);
	if (err == CVM_OK)
		err = attrs_aad(o, &aad);
	if (err != CVM_OK)
		return err;
	return box_seal(bk, blob_span(&aad), blob_span(&plain), &o->attrs_box);
}

struct key *
record_private_key(struct token *t, const struct record_header *h)
{
	return token_key(t, h->private ? KEY_PRIVATE : KEY_TOKEN);
}

int
record_close(struct token *t, const uint8_t id[static STORE_ID_LEN],
    const struct attrs *attrs, const struct secret *material,
    const struct blob *keep, struct store_object *ret, struct why *reterr_why)
{
	_cleanup_(store_object_clear) struct store_object o = { 0 };
	struct record_header h = {
		.private = attrs_bool(attrs, CKA_PRIVATE, true),
		.class = attrs_ulong(attrs, CKA_CLASS, CKO_DATA),
	};
	struct token_meta meta = { 0 };
	int err;

	memcpy(o.id, id, sizeof(o.id));
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = header_encode(&h, &o.header);
	if (err == CVM_OK)
		err = hint_of(t, attrs, CKA_ID, &o.hint_id);
	if (err == CVM_OK)
		err = hint_of(t, attrs, CKA_LABEL, &o.hint_label);
	if (err == CVM_OK && keep != NULL)
		err = blob_set(&o.private_box, blob_span(keep));
	if (err == CVM_OK && material != NULL)
		err = seal_private(t, &meta, &h, material, &o, reterr_why);
	if (err == CVM_OK)
		err = seal_attrs(t, &meta, attrs, &o, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = o;
	o = (struct store_object){ 0 };
	return CVM_OK;
}

int
record_seal(struct token *t, const uint8_t id[static STORE_ID_LEN],
    const struct attrs *attrs, const struct secret *material,
    struct store_object *ret, struct why *reterr_why)
{
	return record_close(t, id, attrs, material, /* keep= */ NULL, ret,
	    reterr_why);
}

/* Opens one box of o; what says which for messages. */
static int
open_box(const struct token_meta *meta, const struct key *key,
    const struct store_object *o, const char *part, const struct blob *aad,
    const struct blob *box, struct secret **ret, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *bk = NULL;
	int err;

	err = box_key(meta->id, key, o->id, part, &bk);
	if (err == CVM_OK)
		err = box_open(bk, blob_span(aad), blob_span(box), ret);
	if (err == CVM_E_CORRUPT)
		return refuse(part, "the record that was written",
		    "one that was changed, exchanged or moved", err,
		    reterr_why);
	return err;
}

int
record_open_attrs(struct token *t, const struct store_object *o,
    struct attrs *ret, struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	_cleanup_(secret_freep) struct secret *plain = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 };
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct record_header h = { 0 };
	struct token_meta meta = { 0 };
	int err;

	if (key == NULL)
		return key_closed("token key", reterr_why);
	err = token_get_meta(t, &meta, reterr_why);
	if (err == CVM_OK)
		err = record_header(o, &h, reterr_why);
	if (err == CVM_OK)
		err = attrs_aad(o, &aad);
	if (err == CVM_OK)
		err = open_box(&meta, key, o, "attrs", &aad, &o->attrs_box,
		    &plain, reterr_why);
	if (err == CVM_OK)
		err = attrs_decode(secret_span(plain), &a, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = a;
	a = (struct attrs){ 0 };
	return CVM_OK;
}

int
record_open_material(struct token *t, const uint8_t id[static STORE_ID_LEN],
    struct secret **ret, struct why *reterr_why)
{
	_cleanup_(store_object_clear) struct store_object o = { 0 };
	_cleanup_(key_unrefp) struct key *key = NULL;
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	_cleanup_(blob_clear) struct blob aad = { 0 };
	struct record_header h = { 0 };
	struct token_meta meta = { 0 };
	int err;

	err = record_read(t, id, &o, reterr_why);
	/* The attributes first: they vouch for this very private box. */
	if (err == CVM_OK)
		err = record_open_attrs(t, &o, &a, reterr_why);
	if (err == CVM_OK)
		err = record_header(&o, &h, reterr_why);
	if (err == CVM_OK)
		err = token_get_meta(t, &meta, reterr_why);
	if (err != CVM_OK)
		return err;
	if (o.private_box.len == 0)
		return refuse("private", "material", "none", CVM_E_NOT_FOUND,
		    reterr_why);
	key = record_private_key(t, &h);
	if (key == NULL)
		return key_closed("private key", reterr_why);
	err = private_aad(o.id, &h, &aad);
	return err == CVM_OK ? open_box(&meta, key, &o, "private", &aad,
				   &o.private_box, ret, reterr_why) :
			       err;
}
