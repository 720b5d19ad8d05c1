/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "base/openssl.h"
#include "base/reader.h"
#include "base/tuple.h"
#include "token/token_impl.h"

/*
 * A box shows that a record was not changed, not that it is still there or
 * is the latest of its id. So the store carries the sum, modulo 2^256, of a
 * keyed hash of every row, which each write brings up to date at the cost of
 * the rows that it touches (a multiset hash of the MSet-Add-Hash kind, Clarke
 * et al., ASIACRYPT 2003), in a box with a generation number.
 */
#define MANIFEST_KEY "manifest"
#define BOX_ENDS 28 /* nonce and tag */

struct manifest_mac {
	EVP_MAC *mac;
	EVP_MAC_CTX *ctx;
	struct secret *key;
};

void
manifest_mac_freep(struct manifest_mac **m)
{
	if (*m == NULL)
		return;
	EVP_MAC_CTX_free((*m)->ctx);
	secret_freep(&(*m)->key);
	EVP_MAC_free((*m)->mac);
	free(*m);
	*m = NULL;
}

static int
derive(const uint8_t *id, const struct secret *token_key, const char *tag,
    struct secret **ret)
{
	_cleanup_(blob_clear) struct blob info = { 0 };
	int err;

	err = tuple(tag, NULL, 0, &info);
	if (err != CVM_OK)
		return err;
	return hkdf_sha256(secret_span(token_key), span(id, TOKEN_ID_LEN),
	    blob_span(&info), TOKEN_KEY_LEN, ret);
}

int
manifest_mac_new(const uint8_t token_id[static TOKEN_ID_LEN],
    const struct secret *token_key, struct manifest_mac **ret)
{
	quiet_openssl();
	_cleanup_(manifest_mac_freep) struct manifest_mac *m = NULL;
	char digest[] = "SHA2-256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
		    0),
		OSSL_PARAM_construct_end(),
	};
	int err;

	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return CVM_E_NOMEM;
	err = derive(token_id, token_key, "cvm-pkcs11/manifest-mac/1", &m->key);
	if (err != CVM_OK)
		return err;
	m->mac = EVP_MAC_fetch(crypto_libctx(), "HMAC", /* props= */ NULL);
	if (m->mac == NULL)
		return CVM_E_CRYPTO;
	m->ctx = EVP_MAC_CTX_new(m->mac);
	if (m->ctx == NULL)
		return CVM_E_NOMEM;
	if (EVP_MAC_init(m->ctx, secret_span(m->key).data, secret_len(m->key),
		params) != 1)
		return CVM_E_CRYPTO;
	*ret = TAKE_PTR(m);
	return CVM_OK;
}

static int
row_mac(struct manifest_mac *m, const char *tag, const struct span *fields,
    size_t n, uint8_t out[static SHA256_LEN])
{
	quiet_openssl();
	_cleanup_(blob_clear) struct blob row = { 0 };
	size_t len = 0;
	int err;

	err = tuple(tag, fields, n, &row);
	if (err != CVM_OK)
		return err;
	/* Without a key: the one that is in it, without its schedule. */
	if (EVP_MAC_init(m->ctx, NULL, 0, /* params= */ NULL) != 1 ||
	    EVP_MAC_update(m->ctx, row.data, row.len) != 1 ||
	    EVP_MAC_final(m->ctx, out, &len, SHA256_LEN) != 1 ||
	    len != SHA256_LEN)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

/* sum += mac, or sum -= mac; big-endian, modulo 2^256. */
static void
sum_change(uint8_t sum[static MANIFEST_SUM_LEN],
    const uint8_t mac[static SHA256_LEN], bool add)
{
	unsigned carry = add ? 0 : 1;

	for (size_t i = MANIFEST_SUM_LEN; i > 0; i--) {
		unsigned v = add ? mac[i - 1] : mac[i - 1] ^ 0xffu;

		carry += sum[i - 1] + v;
		sum[i - 1] = (uint8_t)carry;
		carry >>= 8;
	}
}

/* Nonce and tag of a box: together they stand for its content, since nobody
 * without the key can make another box that opens with them. */
static size_t
box_ends(const struct blob *box, uint8_t out[static BOX_ENDS])
{
	if (box->len < BOX_ENDS)
		return 0;
	memcpy(out, box->data, 12);
	memcpy(out + 12, box->data + box->len - 16, 16);
	return BOX_ENDS;
}

int
manifest_object(struct manifest *m, struct manifest_mac *mac,
    const struct store_object *o, bool add)
{
	uint8_t out[SHA256_LEN], attrs[BOX_ENDS], private[BOX_ENDS];
	const struct span fields[] = {
		span(o->id, sizeof(o->id)),
		blob_span(&o->hint_id),
		blob_span(&o->hint_label),
		span(attrs, box_ends(&o->attrs_box, attrs)),
		span(private, box_ends(&o->private_box, private)),
	};
	int err;

	err = row_mac(mac, "cvm-pkcs11/manifest-object/1", fields,
	    NELEMS(fields), out);
	if (err != CVM_OK)
		return err;
	sum_change(m->sum, out, add);
	m->objects += add ? 1 : UINT64_MAX;
	return CVM_OK;
}

int
manifest_seal(struct manifest *m, struct manifest_mac *mac,
    const struct store_seal *s, bool add)
{
	uint8_t out[SHA256_LEN], purpose[8], kind[8], created[8];
	const struct span fields[] = {
		span(s->id, sizeof(s->id)),
		tuple_u64(s->purpose, purpose),
		tuple_u64(s->kind, kind),
		span(s->label, strlen(s->label)),
		tuple_u64((uint64_t)s->created, created),
		blob_span(&s->params),
		blob_span(&s->blob),
	};
	int err;

	err = row_mac(mac, "cvm-pkcs11/manifest-seal/1", fields, NELEMS(fields),
	    out);
	if (err != CVM_OK)
		return err;
	sum_change(m->sum, out, add);
	m->seals += add ? 1 : UINT64_MAX;
	return CVM_OK;
}

static int
manifest_aad(const uint8_t *id, struct blob *ret)
{
	const struct span field = span(id, TOKEN_ID_LEN);

	return tuple("cvm-pkcs11/manifest/1", &field, 1, ret);
}

static bool
read_seen(struct reader *r, struct seen *s)
{
	while (reader_left(r) > 0) {
		struct seen_mark *m = &s->v[s->n];

		if (s->n == SEEN_MAX)
			return false;
		read_bytes(r, m->id, sizeof(m->id));
		m->number = read_be64(r);
		m->time = (int64_t)read_be64(r);
		if (r->failed || m->time < 0 ||
		    (s->n > 0 && memcmp(m[-1].id, m->id, sizeof(m->id)) >= 0))
			return false;
		s->n++;
	}
	return true;
}

static void
write_seen(struct writer *w, const struct seen *s)
{
	for (size_t i = 0; i < s->n; i++) {
		write_bytes(w, span(s->v[i].id, sizeof(s->v[i].id)));
		write_be64(w, s->v[i].number);
		write_be64(w, (uint64_t)s->v[i].time);
	}
}

int
manifest_read(struct store *s, const uint8_t id[static TOKEN_ID_LEN],
    const struct secret *token_key, struct manifest *ret,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *key = NULL, *plain = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 }, box = { 0 };
	struct manifest m = { 0 };
	struct reader r;
	int err;

	err = store_meta_get(s, MANIFEST_KEY, &box, reterr_why);
	if (err == CVM_OK)
		err = derive(id, token_key, "cvm-pkcs11/manifest-key/1", &key);
	if (err == CVM_OK)
		err = manifest_aad(id, &aad);
	if (err == CVM_OK)
		err = box_open(key, blob_span(&aad), blob_span(&box), &plain);
	if (err != CVM_OK)
		return why_set(reterr_why,
		    err == CVM_E_NOT_FOUND ? CVM_E_CORRUPT : err, store_path(s),
		    "manifest", "the manifest of this token",
		    "none that authenticates");
	r = reader_init(secret_span(plain));
	m.generation = read_be64(&r);
	m.objects = read_be64(&r);
	m.seals = read_be64(&r);
	m.time = (int64_t)read_be64(&r);
	read_bytes(&r, m.sum, sizeof(m.sum));
	if (!read_seen(&r, &m.seen) || reader_end(&r) != CVM_OK || m.time < 0)
		return why_setf(reterr_why, CVM_E_CORRUPT, store_path(s),
		    "manifest", "64 bytes and at most 32 marks of 48, in order",
		    "%zu bytes", secret_len(plain));
	*ret = m;
	return CVM_OK;
}

int
manifest_write(struct store *s, const uint8_t id[static TOKEN_ID_LEN],
    const struct secret *token_key, struct manifest *m, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *key = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 }, box = { 0 };
	_cleanup_(writer_clear) struct writer w = { 0 };
	int err;

	m->generation++;
	write_be64(&w, m->generation);
	write_be64(&w, m->objects);
	write_be64(&w, m->seals);
	write_be64(&w, (uint64_t)m->time);
	write_bytes(&w, span(m->sum, sizeof(m->sum)));
	write_seen(&w, &m->seen);
	if (w.failed)
		return CVM_E_NOMEM;
	err = derive(id, token_key, "cvm-pkcs11/manifest-key/1", &key);
	if (err == CVM_OK)
		err = manifest_aad(id, &aad);
	if (err == CVM_OK)
		err = box_seal(key, blob_span(&aad), blob_span(&w.out), &box);
	if (err != CVM_OK)
		return why_set(reterr_why, err, store_path(s), "manifest", NULL,
		    NULL);
	return store_meta_set(s, MANIFEST_KEY, blob_span(&box), reterr_why);
}

struct summing {
	struct manifest m;
	struct manifest_mac *mac;
	int (*fn)(void *arg, const struct store_object *o);
	void *arg;
};

static int
sum_object(void *arg, const struct store_object *o)
{
	struct summing *sum = arg;
	int err;

	err = manifest_object(&sum->m, sum->mac, o, /* add= */ true);
	return err == CVM_OK && sum->fn != NULL ? sum->fn(sum->arg, o) : err;
}

static int
sum_store(struct store *s, struct summing *sum, struct why *reterr_why)
{
	_cleanup_(store_seals_clear) struct store_seals seals = { 0 };
	int err;

	err = store_seals_list(s, &seals, reterr_why);
	for (size_t i = 0; err == CVM_OK && i < seals.n; i++)
		err = manifest_seal(&sum->m, sum->mac, &seals.v[i],
		    /* add= */ true);
	if (err != CVM_OK)
		return err;
	return store_object_tags(s, sum_object, sum, reterr_why);
}

int
manifest_verify(struct store *s, const uint8_t id[static TOKEN_ID_LEN],
    const struct secret *token_key,
    int (*fn)(void *arg, const struct store_object *o), void *arg,
    struct manifest *ret, struct why *reterr_why)
{
	_cleanup_(manifest_mac_freep) struct manifest_mac *mac = NULL;
	struct summing sum = { .fn = fn, .arg = arg };
	struct manifest m = { 0 };
	int err;

	err = manifest_read(s, id, token_key, &m, reterr_why);
	if (err == CVM_OK)
		err = manifest_mac_new(id, token_key, &mac);
	sum.mac = mac;
	if (err == CVM_OK)
		err = sum_store(s, &sum, reterr_why);
	if (err != CVM_OK)
		return err;
	if (sum.m.objects != m.objects || sum.m.seals != m.seals)
		return why_setf(reterr_why, CVM_E_CORRUPT, store_path(s),
		    "manifest", "every object and seal that was written",
		    "%llu of %llu objects, %llu of %llu seals",
		    (unsigned long long)sum.m.objects,
		    (unsigned long long)m.objects,
		    (unsigned long long)sum.m.seals,
		    (unsigned long long)m.seals);
	if (!span_equal(span(sum.m.sum, MANIFEST_SUM_LEN),
		span(m.sum, MANIFEST_SUM_LEN)))
		return why_set(reterr_why, CVM_E_CORRUPT, store_path(s),
		    "manifest", "the latest version of every object and seal",
		    "a row that was changed, exchanged or rolled back");
	*ret = m;
	return CVM_OK;
}
