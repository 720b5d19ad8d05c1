/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/reader.h"
#include "base/tuple.h"
#include "token/seal_priv.h"

static const char *const purposes[] = {
	[SEAL_TOKEN] = "token",
	[SEAL_USER] = "user",
	[SEAL_SO] = "so",
};

static const char *const kinds[] = {
	[SEAL_TPM] = "tpm",
	[SEAL_RECOVERY] = "recovery",
};

const char *
seal_purpose_name(uint32_t purpose)
{
	return purpose >= SEAL_TOKEN && purpose <= SEAL_SO ? purposes[purpose] :
							     "unknown";
}

const char *
seal_kind_name(uint32_t kind)
{
	return kind >= SEAL_TPM && kind <= SEAL_RECOVERY ? kinds[kind] :
							   "unknown";
}

const char *
seal_where(const struct store_seal *s, char buf[static SEAL_WHERE_MAX])
{
	(void)snprintf(buf, SEAL_WHERE_MAX, "seal '%.40s' (%s)", s->label,
	    seal_purpose_name(s->purpose));
	return buf;
}

int
seal_row(enum seal_purpose purpose, enum seal_kind kind, const char *label,
    struct blob *params, struct store_seal *ret)
{
	_cleanup_(store_seal_clear) struct store_seal row = {
		.purpose = purpose,
		.kind = kind,
		.created = (int64_t)time(NULL),
	};
	int err;

	err = random_bytes(row.id, sizeof(row.id));
	if (err != CVM_OK)
		return err;
	row.label = strdup(label);
	if (row.label == NULL)
		return CVM_E_NOMEM;
	row.params = *params;
	*params = (struct blob){ 0 };
	*ret = row;
	row = (struct store_seal){ 0 };
	return CVM_OK;
}

static struct span
text_span(const char *s)
{
	return span(s, strlen(s));
}

static int
seal_kek(const struct seal_context *c, const uint8_t *policy_digest,
    const struct secret *secret, const struct store_seal *s,
    struct secret **ret)
{
	_cleanup_(blob_clear) struct blob info = { 0 };
	const struct span fields[] = {
		span(s->id, sizeof(s->id)),
		text_span(seal_purpose_name(s->purpose)),
		span(policy_digest, POLICY_DIGEST_LEN),
	};
	int err;

	err = tuple("cvm-pkcs11/seal/1", fields, NELEMS(fields), &info);
	if (err != CVM_OK)
		return err;
	return hkdf_sha256(secret_span(secret), span(c->token_id, TOKEN_ID_LEN),
	    blob_span(&info), TOKEN_KEY_LEN, ret);
}

/* The associated data of a seal's box: every column of its row. */
static int
seal_aad(const struct seal_context *c, const struct store_seal *s,
    struct span inner, struct blob *ret)
{
	uint8_t purpose[8], kind[8], created[8];
	const struct span fields[] = {
		span(c->token_id, TOKEN_ID_LEN),
		span(s->id, sizeof(s->id)),
		tuple_u64(s->purpose, purpose),
		tuple_u64(s->kind, kind),
		text_span(s->label),
		tuple_u64((uint64_t)s->created, created),
		blob_span(&s->params),
		inner,
	};

	return tuple("cvm-pkcs11/seal-row/1", fields, NELEMS(fields), ret);
}

int
seal_close(const struct seal_context *c, const uint8_t *policy_digest,
    const struct secret *secret, struct span inner, const struct secret *key,
    struct store_seal *row)
{
	_cleanup_(secret_freep) struct secret *kek = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 }, box = { 0 };
	_cleanup_(writer_clear) struct writer w = { 0 };
	int err;

	err = seal_kek(c, policy_digest, secret, row, &kek);
	if (err == CVM_OK)
		err = seal_aad(c, row, inner, &aad);
	if (err == CVM_OK)
		err = box_seal(kek, blob_span(&aad), secret_span(key), &box);
	if (err != CVM_OK)
		return err;
	write_field(&w, inner);
	write_field(&w, blob_span(&box));
	return writer_end(&w, &row->blob);
}

int
seal_parts(const struct store_seal *s, struct span *ret_inner,
    struct span *ret_box, struct why *reterr_why)
{
	struct reader r = reader_init(blob_span(&s->blob));
	struct span inner, box;
	char where[SEAL_WHERE_MAX];

	inner = read_span(&r, read_be32(&r));
	box = read_span(&r, read_be32(&r));
	if (reader_end(&r) != CVM_OK)
		return why_setf(reterr_why, CVM_E_CORRUPT, seal_where(s, where),
		    "blob", "two fields", "%zu bytes", s->blob.len);
	*ret_inner = inner;
	*ret_box = box;
	return CVM_OK;
}

int
seal_unbox(const struct seal_context *c, const uint8_t *policy_digest,
    const struct secret *secret, const struct store_seal *s,
    struct secret **ret_key, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *kek = NULL, *key = NULL;
	_cleanup_(blob_clear) struct blob aad = { 0 };
	struct span inner = { 0 }, box = { 0 };
	char where[SEAL_WHERE_MAX];
	int err;

	err = seal_parts(s, &inner, &box, reterr_why);
	if (err == CVM_OK)
		err = seal_kek(c, policy_digest, secret, s, &kek);
	if (err == CVM_OK)
		err = seal_aad(c, s, inner, &aad);
	if (err == CVM_OK)
		err = box_open(kek, blob_span(&aad), box, &key);
	if (err == CVM_OK && secret_len(key) != TOKEN_KEY_LEN)
		err = CVM_E_CORRUPT;
	if (err != CVM_OK)
		return why_set(reterr_why, err, seal_where(s, where), "row",
		    "the row that was sealed, under this secret",
		    "one that does not authenticate");
	*ret_key = TAKE_PTR(key);
	return CVM_OK;
}
