/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/token-fixture.h"
#include "base/tuple.h"

/*
 * A second reading of token/FORMAT.md: what the token wrote is opened here
 * with SQL, TUPLE, HKDF and AES-GCM alone, in the words of that document.
 */
struct raw {
	struct blob value[6];
};

static void
raw_clear(struct raw *r)
{
	for (size_t i = 0; i < NELEMS(r->value); i++)
		blob_clear(&r->value[i]);
}

static void
row(const struct fixture *f, const char *sql, struct raw *ret)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	for (int i = 0; i < sqlite3_column_count(q); i++)
		ok(blob_set(&ret->value[i],
		    span(sqlite3_column_blob(q, i),
			(size_t)sqlite3_column_bytes(q, i))));
	assert_int_equal(sqlite3_step(q), SQLITE_DONE);
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* HKDF-SHA256 with the token id as salt and TUPLE(tag, fields) as info. */
static struct secret *
derive(struct span key, struct span id, const char *tag,
    const struct span *fields, size_t n, size_t len)
{
	_cleanup_(blob_clear) struct blob info = { 0 };
	struct secret *out = NULL;

	ok(tuple(tag, fields, n, &info));
	ok(hkdf_sha256(key, id, blob_span(&info), len, &out));
	return out;
}

static struct secret *
unbox(const struct secret *key, const char *tag, const struct span *fields,
    size_t n, struct span box)
{
	_cleanup_(blob_clear) struct blob aad = { 0 };
	struct secret *out = NULL;

	ok(tuple(tag, fields, n, &aad));
	ok(box_open(key, blob_span(&aad), box, &out));
	return out;
}

/* The example's token: keys that FORMAT.md can print. */
static void
example_token(struct fixture *f)
{
	struct secret *key = secret_new(TOKEN_KEY_LEN);

	fixture_new(f, LOGIN_PIN);
	ok(try_init(f, SO_PIN, NULL, why));
	memset(secret_data(key), 0x74, TOKEN_KEY_LEN);
	ok(token_keep(f->token, NULL, KEY_TOKEN, &key, NULL, NULL, why));
	for (uint8_t i = 0; i < TOKEN_ID_LEN; i++)
		f->token->meta.id[i] = i;
}

static void
hint_differs(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(blob_clear) struct blob hint = { 0 };
	char hex[64];

	(void)state;
	example_token(&f);
	ok(record_hint(f.token, CKA_LABEL, text("web"), &hint));
	assert_string_equal(hex_encode(blob_span(&hint), hex, sizeof(hex)),
	    "1e8617c8a8aa25e2c3350a907d4b0d1f");
}

static void
manifest_sum_differs(void **state)
{
	_cleanup_(secret_freep) struct secret *key = NULL;
	_cleanup_(manifest_mac_freep) struct manifest_mac *mac = NULL;
	struct store_object o = { 0 };
	struct manifest m = { 0 };
	uint8_t token_id[TOKEN_ID_LEN], box[28];
	char hex[65];

	(void)state;
	for (uint8_t i = 0; i < TOKEN_ID_LEN; i++)
		token_id[i] = i;
	key = secret_new(TOKEN_KEY_LEN);
	memset(secret_data(key), 0x74, TOKEN_KEY_LEN);
	memset(o.id, 1, sizeof(o.id));
	memset(box, 0xa0, 12);
	memset(box + 12, 0xa1, 16);
	ok(blob_set(&o.attrs_box, span(box, sizeof(box))));
	ok(manifest_mac_new(token_id, key, &mac));
	ok(manifest_object(&m, mac, &o, true));
	assert_string_equal(hex_encode(span(m.sum, sizeof(m.sum)), hex,
				sizeof(hex)),
	    "2a71c8b359da61ccc81feee83e82727354da97c0743b354460e99840f948dcd8");
	memset(o.id, 2, sizeof(o.id));
	ok(manifest_object(&m, mac, &o, true));
	assert_string_equal(hex_encode(span(m.sum, sizeof(m.sum)), hex,
				sizeof(hex)),
	    "1c67fc7c5f28526dcc6468d402ce9439bb72f25aceb5df13d70097a1d8beebc4");
	assert_int_equal(m.objects, 2);
	ok(manifest_object(&m, mac, &o, false));
	memset(o.id, 1, sizeof(o.id));
	ok(manifest_object(&m, mac, &o, false));
	assert_true(span_is_filled(span(m.sum, sizeof(m.sum)), 0));
	assert_int_equal(m.objects, 0);
	store_object_clear(&o);
}

static void
recovery_code_differs(void **state)
{
	_cleanup_(secret_freep) struct secret *code = NULL;
	char typed[RECOVERY_TEXT_MAX];

	(void)state;
	code = secret_new(RECOVERY_CODE_LEN);
	for (uint8_t i = 0; i < RECOVERY_CODE_LEN; i++)
		secret_data(code)[i] = i;
	ok(recovery_encode(code, typed, sizeof(typed)));
	assert_string_equal(typed,
	    "AAAQE-AYEAU-DAOCA-JBIFQ-YDIOB-4IBCE-"
	    "QTCQK-RMFYY-DENBW-HA5DY-PSWPJ");
}

/* The key in the recovery seal of that purpose. */
static struct secret *
open_seal(const struct fixture *f, struct span id, const struct secret *code,
    uint64_t purpose, const char *name)
{
	_cleanup_(raw_clear) struct raw seal = { 0 };
	_cleanup_(secret_freep) struct secret *kek = NULL;
	uint8_t zero[32] = { 0 }, n1[8], n2[8], n3[8];
	char sql[160], created[32] = "";
	struct span inner, box;
	struct reader r;

	(void)snprintf(sql, sizeof(sql),
	    "SELECT id, label, params, blob, CAST(created AS TEXT) "
	    "FROM seals WHERE kind = 2 AND purpose = %d",
	    (int)purpose);
	row(f, sql, &seal);
	memcpy(created, seal.value[4].data, seal.value[4].len);
	r = reader_init(blob_span(&seal.value[3]));
	inner = read_span(&r, read_be32(&r));
	box = read_span(&r, read_be32(&r));
	ok(reader_end(&r));
	assert_int_equal(inner.len, 0);
	{
		const struct span info[] = { blob_span(&seal.value[0]),
			text(name), span(zero, sizeof(zero)) };
		const struct span aad[] = { id, blob_span(&seal.value[0]),
			tuple_u64(purpose, n1), tuple_u64(2, n2),
			blob_span(&seal.value[1]),
			tuple_u64(strtoull(created, NULL, 10), n3),
			blob_span(&seal.value[2]), inner };

		kek = derive(secret_span(code), id, "cvm-pkcs11/seal/1", info,
		    NELEMS(info), 32);
		return unbox(kek, "cvm-pkcs11/seal-row/1", aad, NELEMS(aad),
		    box);
	}
}

static struct secret *
open_box(const struct secret *key, struct span id, struct span object_id,
    const char *part, const char *tag, const struct span *aad, size_t n,
    struct span box)
{
	const struct span info[] = { object_id, text(part) };
	_cleanup_(
	    secret_freep) struct secret *box_key = derive(secret_span(key), id,
	    "cvm-pkcs11/record-key/1", info, NELEMS(info), 32);

	return unbox(box_key, tag, aad, n, box);
}

static void
open_object(const struct fixture *f, struct span id,
    const struct secret *token_key, const struct secret *private_key)
{
	_cleanup_(raw_clear) struct raw obj = { 0 };
	_cleanup_(secret_freep) struct secret *attrs = NULL, *material = NULL;
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	const uint8_t flags = 1;
	uint8_t ends[28];

	row(f,
	    "SELECT id, hint_id, hint_label, header, attrs_box, "
	    "private_box FROM objects",
	    &obj);
	memcpy(ends, obj.value[5].data, 12);
	memcpy(ends + 12, obj.value[5].data + obj.value[5].len - 16, 16);
	{
		const struct span aad1[] = { blob_span(&obj.value[0]),
			blob_span(&obj.value[3]), blob_span(&obj.value[1]),
			blob_span(&obj.value[2]), span(ends, sizeof(ends)) };
		const struct span aad2[] = { blob_span(&obj.value[0]),
			span(&flags, 1) };

		attrs = open_box(token_key, id, blob_span(&obj.value[0]),
		    "attrs", "cvm-pkcs11/record-attrs/1", aad1, NELEMS(aad1),
		    blob_span(&obj.value[4]));
		material = open_box(private_key, id, blob_span(&obj.value[0]),
		    "private", "cvm-pkcs11/record-private/1", aad2,
		    NELEMS(aad2), blob_span(&obj.value[5]));
	}
	ok(attrs_decode(secret_span(attrs), &a, why));
	assert_true(span_equal(blob_span(&attrs_find(&a, CKA_LABEL)->value),
	    text("web")));
	assert_true(span_equal(secret_span(material), text("web")));
}

/* From the recovery code to an object's material, by the document. */
static void
store_differs_from_format_md(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(raw_clear) struct raw meta = { 0 };
	_cleanup_(secret_freep) struct secret *code = NULL;
	_cleanup_(secret_freep) struct secret *token_key = NULL;
	_cleanup_(secret_freep) struct secret *private_key = NULL;
	struct span id;

	(void)state;
	fixture_new(&f, LOGIN_ATTESTATION);
	ok(try_init(&f, SO_PIN, &code, why));
	ok(unseal(&f, why));
	insert_object(&f, 1, "web", true);
	row(&f, "SELECT value FROM meta WHERE key = 'token'", &meta);
	assert_int_equal(meta.value[0].data[0], 1);
	id = span(meta.value[0].data + 1, 16);
	token_key = open_seal(&f, id, code, 1, "token");
	private_key = open_seal(&f, id, code, 2, "user");
	open_object(&f, id, token_key, private_key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hint_differs),
		cmocka_unit_test(manifest_sum_differs),
		cmocka_unit_test(recovery_code_differs),
		cmocka_unit_test(store_differs_from_format_md),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
