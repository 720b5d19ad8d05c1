/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/token-fixture.h"

#include <unistd.h>

/*
 * A store that somebody edited. Each edit must be refused by the whole: the
 * admission of a process that comes new, and the next look of one that has
 * the store open.
 */

#define ID1 "x'01010101010101010101010101010101'"
#define ID2 "x'02020202020202020202020202020202'"
/* A column with another byte at that place, whatever it is. */
#define FLIP(column, at)                                                       \
	column " = CAST(substr(" column ", 1, " at " - 1) || "                 \
	       "(CASE substr(" column ", " at ", 1) WHEN x'00' THEN x'01' "    \
	       "ELSE x'00' END) || substr(" column ", " at " + 1) AS BLOB) "

/* Without a user PIN: each scrypt costs a tenth of a second. */
static void
populate(struct fixture *f)
{
	fixture_new(f, LOGIN_ATTESTATION);
	ok(try_init(f, SO_PIN, NULL, why));
	ok(unseal(f, why));
	insert_object(f, 1, "one", true);
	insert_object(f, 2, "two", true);
	insert_object(f, 3, "three", false);
}

static void
copy(const struct fixture *f, const char *from, const char *to)
{
	char cmd[256];

	/* In place: the same inode, as a restored disk block has. */
	(void)snprintf(cmd, sizeof(cmd), "cat %s%s > %s%s", f->path, from,
	    f->path, to);
	assert_int_equal(system(cmd), 0);
}

/* sql on a fresh store: refused by who comes and by who is there. */
static void
edit_refused(const char *sql)
{
	_cleanup_(fixture_free) struct fixture f;
	struct why w = { 0 };
	uint64_t v;
	int err;

	populate(&f);
	edit(&f, sql);
	err = records_version(f.token, &v, &w);
	if (err != CVM_E_CORRUPT || w.err != CVM_E_CORRUPT)
		fail_msg("open: %s: %d", sql, err);
	fixture_restart(&f);
	err = unseal(&f, &w);
	if (err == CVM_OK || token_unsealed(f.token))
		fail_msg("anew: %s: %d", sql, err);
}

static void
object_column_edited(void **state)
{
	(void)state;
	edit_refused("UPDATE objects SET id = x'"
		     "01010101010101010101010101010109' WHERE id = " ID1);
	edit_refused("UPDATE objects SET hint_id = x'00' WHERE id = " ID1);
	edit_refused("UPDATE objects SET hint_label = x'' WHERE id = " ID1);
	edit_refused("UPDATE objects SET attrs_box = CAST("
		     "substr(attrs_box, 1, 40) AS BLOB) WHERE id = " ID1);
	edit_refused("UPDATE objects SET private_box = x'' WHERE id = " ID1);
}

/* What the manifest does not see: the record itself refuses it. */
static void
object_body_edited(void **state)
{
	static const char *const edits[] = {
		"UPDATE objects SET header = x'0101000000000000000400' "
		"WHERE id = " ID1,
		"UPDATE objects SET header = x'01000000000000000003' "
		"WHERE id = " ID1,
		"UPDATE objects SET header = x'' WHERE id = " ID1,
		"UPDATE objects SET " FLIP("attrs_box", "13") "WHERE id = " ID1,
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(edits); i++) {
		_cleanup_(fixture_free) struct fixture f;
		_cleanup_(secret_freep) struct secret *m = NULL;
		_cleanup_(attrs_clear) struct attrs a = { 0 };
		struct store_object o = { 0 };
		uint8_t id[STORE_ID_LEN];

		memset(id, 1, sizeof(id));
		populate(&f);
		edit(&f, edits[i]);
		ok(record_read(f.token, id, &o, why));
		refused(CVM_E_CORRUPT, record_open_attrs(f.token, &o, &a, why));
		refused(CVM_E_CORRUPT,
		    record_open_material(f.token, id, &m, why));
		store_object_clear(&o);
	}
}

static void
private_body_edited(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *m = NULL;
	uint8_t id[STORE_ID_LEN];

	(void)state;
	memset(id, 1, sizeof(id));
	populate(&f);
	edit(&f,
	    "UPDATE objects SET " FLIP("private_box", "13") "WHERE id = " ID1);
	refused(CVM_E_CORRUPT, record_open_material(f.token, id, &m, why));
}

static void
rows_exchanged(void **state)
{
	(void)state;
	edit_refused(
	    "UPDATE objects SET id = zeroblob(16) WHERE id = " ID1
	    "; UPDATE objects SET id = " ID1 " WHERE id = " ID2
	    "; UPDATE objects SET id = " ID2 " WHERE id = zeroblob(16)");
	edit_refused("UPDATE objects SET private_box = (SELECT private_box "
		     "FROM objects WHERE id = " ID2 ") WHERE id = " ID1);
	edit_refused("UPDATE objects SET attrs_box = (SELECT attrs_box "
		     "FROM objects WHERE id = " ID2 ") WHERE id = " ID1);
}

/* One record's box under another's id, even with the manifest's consent. */
static void
box_moved_to_another_id(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct store_object o = { 0 };
	uint8_t id[STORE_ID_LEN];

	(void)state;
	populate(&f);
	memset(id, 1, sizeof(id));
	ok(record_read(f.token, id, &o, why));
	ok(record_open_attrs(f.token, &o, &a, why));
	memset(o.id, 2, sizeof(o.id));
	refused(CVM_E_CORRUPT, record_open_attrs(f.token, &o, &a, why));
	memset(o.id, 1, sizeof(o.id));
	o.hint_label.data[0] ^= 1;
	refused(CVM_E_CORRUPT, record_open_attrs(f.token, &o, &a, why));
	o.hint_label.data[0] ^= 1;
	o.private_box.data[3] ^= 1;
	refused(CVM_E_CORRUPT, record_open_attrs(f.token, &o, &a, why));
	o.private_box.data[3] ^= 1;
	attrs_clear(&a);
	ok(record_open_attrs(f.token, &o, &a, why));
	store_object_clear(&o);
}

static void
row_deleted_or_added(void **state)
{
	(void)state;
	edit_refused("DELETE FROM objects WHERE id = " ID2);
	edit_refused("DELETE FROM objects");
	edit_refused("INSERT INTO objects SELECT 99, x'"
		     "09090909090909090909090909090909', hint_id, "
		     "hint_label, header, attrs_box, private_box "
		     "FROM objects WHERE id = " ID1);
	edit_refused("DELETE FROM seals WHERE purpose = 2");
	edit_refused("DELETE FROM seals WHERE purpose = 3");
}

static void
seal_column_edited(void **state)
{
	static const char *const edits[] = {
		"UPDATE seals SET id = x'"
		"09090909090909090909090909090909' WHERE seq = 1",
		"UPDATE seals SET purpose = 2 WHERE seq = 1",
		"UPDATE seals SET purpose = 99 WHERE seq = 1",
		"UPDATE seals SET kind = 2 WHERE seq = 1",
		"UPDATE seals SET label = 'other' WHERE seq = 1",
		"UPDATE seals SET created = created + 1 WHERE seq = 1",
		"UPDATE seals SET " FLIP("params",
		    "length(params)") "WHERE seq = 1",
		"UPDATE seals SET params = x'' WHERE seq = 1",
		"UPDATE seals SET " FLIP("blob",
		    "length(blob)") "WHERE seq = 1",
		"UPDATE seals SET blob = x'' WHERE seq = 1",
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(edits); i++)
		edit_refused(edits[i]);
}

static void
meta_edited(void **state)
{
	static const char *const edits[] = {
		/* label, serial, id, time */
		"UPDATE meta SET value = CAST(substr(value, 1, 45) || "
		"CAST('WEB KEYS' AS BLOB) AS BLOB) WHERE key = 'token'",
		"UPDATE meta SET value = CAST(substr(value, 1, 17) || "
		"CAST('0000000000000000' AS BLOB) || substr(value, 34) "
		"AS BLOB) WHERE key = 'token'",
		"UPDATE meta SET " FLIP("value", "17") "WHERE key = 'token'",
		"UPDATE meta SET " FLIP("value", "41") "WHERE key = 'token'",
		"UPDATE meta SET value = x'00' WHERE key = 'token'",
		"UPDATE meta SET value = x'00' WHERE key = 'token_auth'",
		"UPDATE meta SET value = x'00' WHERE key = 'manifest'",
		"UPDATE meta SET value = (SELECT value FROM meta "
		"WHERE key = 'token_auth') WHERE key = 'manifest'",
		"DELETE FROM meta WHERE key = 'token'",
		"DELETE FROM meta WHERE key = 'token_auth'",
		"DELETE FROM meta WHERE key = 'manifest'",
		"UPDATE meta SET value = x'0b' WHERE key = 'user_tries'",
		"DELETE FROM meta WHERE key = 'so_tries'",
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(edits); i++) {
		_cleanup_(fixture_free) struct fixture f;

		populate(&f);
		edit(&f, edits[i]);
		fixture_restart(&f);
		if (unseal(&f, NULL) == CVM_OK || token_unsealed(f.token))
			fail_msg("%s", edits[i]);
	}
}

/* An old version of one row, good in itself, in a store that went on. */
static void
one_row_rolled_back(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct record_change c = { .what = RECORD_REPLACE, .attrs = &a };
	char sql[512];
	uint64_t v;

	(void)state;
	populate(&f);
	copy(&f, "", ".copy");
	memset(c.id, 1, sizeof(c.id));
	ok(attrs_set_ulong(&a, CKA_CLASS, CKO_PRIVATE_KEY));
	ok(attrs_set(&a, CKA_LABEL, text("newer")));
	ok(records_write(f.token, &f.permit, &c, 1, why));
	ok(records_version(f.token, &v, why));
	(void)snprintf(sql, sizeof(sql),
	    "ATTACH '%s.copy' AS old; "
	    "REPLACE INTO main.objects SELECT * FROM old.objects "
	    "WHERE id = " ID1,
	    f.path);
	edit(&f, sql);
	refused(CVM_E_CORRUPT, records_version(f.token, &v, why));
	fixture_restart(&f);
	refused(CVM_E_CORRUPT, unseal(&f, why));
}

/* The seal with the old PIN comes back. */
static void
seals_rolled_back(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	char sql[512];

	(void)state;
	fixture_ready(&f);
	copy(&f, "", ".copy");
	ok(token_set_pin(f.token, &f.permit, false, text(USER_PIN),
	    text("newer"), &f.policy, &f.vtpm, why));
	(void)snprintf(sql, sizeof(sql),
	    "ATTACH '%s.copy' AS old; "
	    "DELETE FROM main.seals; "
	    "INSERT INTO main.seals SELECT * FROM old.seals",
	    f.path);
	edit(&f, sql);
	fixture_restart(&f);
	refused(CVM_E_CORRUPT, unseal(&f, why));
	refused(CVM_E_CORRUPT, login_user(&f, USER_PIN, why));
}

/* The whole file rolled back is whole; who saw the later one notices. */
static void
whole_store_rolled_back(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	uint64_t v;

	(void)state;
	populate(&f);
	copy(&f, "", ".copy");
	insert_object(&f, 4, "four", true);
	ok(records_version(f.token, &v, why));
	copy(&f, ".copy", "");
	refused(CVM_E_CORRUPT, records_version(f.token, &v, why));
	token_wipe(f.token);
	refused(CVM_E_CORRUPT, unseal(&f, why));
}

static void
store_of_another_token(void **state)
{
	_cleanup_(fixture_free) struct fixture f, g;
	char sql[512];

	(void)state;
	populate(&f);
	populate(&g);
	(void)snprintf(sql, sizeof(sql),
	    "ATTACH '%s' AS other; "
	    "DELETE FROM main.objects; INSERT INTO main.objects "
	    "SELECT * FROM other.objects",
	    g.path);
	edit(&f, sql);
	fixture_restart(&f);
	refused(CVM_E_CORRUPT, unseal(&f, why));
	(void)snprintf(sql, sizeof(sql),
	    "ATTACH '%s' AS other; "
	    "DELETE FROM main.seals; INSERT INTO main.seals "
	    "SELECT * FROM other.seals",
	    f.path);
	edit(&g, sql);
	fixture_restart(&g);
	refused(CVM_E_CORRUPT, unseal(&g, why));
}

/* Replacing attributes must not launder a private box that was exchanged. */
static void
replace_keeps_a_foreign_private_box(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	_cleanup_(secret_freep) struct secret *m = NULL;
	struct record_change c = { .what = RECORD_REPLACE, .attrs = &a };

	(void)state;
	populate(&f);
	memset(c.id, 1, sizeof(c.id));
	ok(attrs_set(&a, CKA_LABEL, text("newer")));
	ok(attrs_set_bool(&a, CKA_PRIVATE, true));
	ok(records_write(f.token, &f.permit, &c, 1, why));
	ok(record_open_material(f.token, c.id, &m, why));
	assert_true(span_equal(secret_span(m), text("one")));
	ok(attrs_set_bool(&a, CKA_PRIVATE, false));
	refused(CVM_E_INVAL, records_write(f.token, &f.permit, &c, 1, why));
	ok(attrs_set_bool(&a, CKA_PRIVATE, true));
	edit(&f,
	    "UPDATE objects SET private_box = (SELECT private_box "
	    "FROM objects WHERE id = " ID2 ") WHERE id = " ID1);
	refused(CVM_E_CORRUPT, records_write(f.token, &f.permit, &c, 1, why));
}

static void
half_of_a_batch_is_written(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct record_change c[3] = {
		{ .what = RECORD_INSERT, .attrs = &a },
		{ .what = RECORD_DELETE },
		{ .what = RECORD_INSERT, .attrs = &a },
	};
	struct store_object o = { 0 };
	uint64_t v;

	(void)state;
	populate(&f);
	memset(c[0].id, 0x41, STORE_ID_LEN);
	memset(c[1].id, 0x01, STORE_ID_LEN);
	memset(c[2].id, 0x02, STORE_ID_LEN); /* is there already */
	refused(CVM_E_EXISTS, records_write(f.token, &f.permit, c, 3, why));
	refused(CVM_E_NOT_FOUND, record_read(f.token, c[0].id, &o, why));
	ok(record_read(f.token, c[1].id, &o, why));
	store_object_clear(&o);
	memset(c[2].id, 0x42, STORE_ID_LEN);
	ok(records_write(f.token, &f.permit, c, 3, why));
	ok(records_version(f.token, &v, why));
	refused(CVM_E_NOT_FOUND, record_read(f.token, c[1].id, &o, why));
}

/* Private material needs the private key; the rest only the token key. */
static void
material_under_the_wrong_key(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	_cleanup_(secret_freep) struct secret *m = NULL;
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct store_object o = { 0 };
	uint8_t id[STORE_ID_LEN];

	(void)state;
	populate(&f);
	token_logout(f.token);
	memset(id, 1, sizeof(id));
	ok(record_read(f.token, id, &o, why));
	ok(record_open_attrs(f.token, &o, &a, why));
	refused(CVM_E_SEALED, record_open_material(f.token, id, &m, why));
	memset(id, 3, sizeof(id));
	ok(record_open_material(f.token, id, &m, why));
	assert_true(span_equal(secret_span(m), text("three")));
	store_object_clear(&o);
}

static void
hints_tell_the_value(void **state)
{
	_cleanup_(fixture_free) struct fixture f, g;
	_cleanup_(blob_clear) struct blob x = { 0 }, y = { 0 }, z = { 0 };
	_cleanup_(blob_clear) struct blob other = { 0 };

	(void)state;
	populate(&f);
	populate(&g);
	ok(record_hint(f.token, CKA_LABEL, text("one"), &x));
	ok(record_hint(f.token, CKA_LABEL, text("one"), &y));
	ok(record_hint(f.token, CKA_ID, text("one"), &z));
	ok(record_hint(g.token, CKA_LABEL, text("one"), &other));
	assert_int_equal(x.len, STORE_HINT_LEN);
	assert_true(span_equal(blob_span(&x), blob_span(&y)));
	assert_false(span_equal(blob_span(&x), blob_span(&z)));
	assert_false(span_equal(blob_span(&x), blob_span(&other)));
}

/* Nothing of a key or a name can be read from the file. */
static void
names_in_clear(void **state)
{
	_cleanup_(fixture_free) struct fixture f;
	char cmd[160];

	(void)state;
	fixture_ready(&f);
	ok(login_user(&f, USER_PIN, why));
	insert_object(&f, 1, "Findelkind", true);
	(void)snprintf(cmd, sizeof(cmd), "grep -qa Findelkind %s", f.path);
	assert_int_not_equal(system(cmd), 0);
	(void)snprintf(cmd, sizeof(cmd), "grep -qa 'web keys' %s", f.path);
	assert_int_equal(system(cmd), 0); /* the token's label is public */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(object_column_edited),
		cmocka_unit_test(object_body_edited),
		cmocka_unit_test(private_body_edited),
		cmocka_unit_test(rows_exchanged),
		cmocka_unit_test(box_moved_to_another_id),
		cmocka_unit_test(row_deleted_or_added),
		cmocka_unit_test(seal_column_edited),
		cmocka_unit_test(meta_edited),
		cmocka_unit_test(one_row_rolled_back),
		cmocka_unit_test(seals_rolled_back),
		cmocka_unit_test(whole_store_rolled_back),
		cmocka_unit_test(store_of_another_token),
		cmocka_unit_test(replace_keeps_a_foreign_private_box),
		cmocka_unit_test(half_of_a_batch_is_written),
		cmocka_unit_test(material_under_the_wrong_key),
		cmocka_unit_test(hints_tell_the_value),
		cmocka_unit_test(names_in_clear),
	};

	return cmocka_run_group_tests_name("tamper", tests, NULL, NULL);
}
