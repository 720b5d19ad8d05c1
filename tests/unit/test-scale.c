/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <malloc.h>

#include "tests/unit/objects-fixture.h"

#include "token/object_impl.h"
#include "token/object_table.h"

/*
 * Many objects: what is decrypted and kept is counted, never timed.
 */

/* n secret keys with CKA_ID of two bytes, as another process makes them. */
static void
make_many(struct stage *s, size_t n)
{
	_cleanup_(secret_freep) struct secret *m = secret_copy(text("value"));
	struct record_change *c = calloc(n, sizeof(*c));
	struct attrs *a = calloc(n, sizeof(*a));

	for (size_t i = 0; i < n; i++) {
		const uint8_t id[2] = { (uint8_t)(i >> 8), (uint8_t)i };

		ok(attrs_set_bool(&a[i], CKA_TOKEN, true));
		ok(attrs_set_bool(&a[i], CKA_PRIVATE, true));
		ok(attrs_set_ulong(&a[i], CKA_CLASS, CKO_SECRET_KEY));
		ok(attrs_set_ulong(&a[i], CKA_KEY_TYPE, CKK_GENERIC_SECRET));
		ok(attrs_set(&a[i], CKA_ID, span(id, sizeof(id))));
		ok(attrs_set(&a[i], CKA_LABEL, text(i % 2 ? "odd" : "even")));
		c[i] = (struct record_change){ .what = RECORD_INSERT,
			.attrs = &a[i],
			.material = m };
		ok(random_bytes(c[i].id, sizeof(c[i].id)));
	}
	ok(records_write(s->t, s->c.permit, c, n, why));
	for (size_t i = 0; i < n; i++)
		attrs_clear(&a[i]);
	free(a);
	free(c);
	stage_restart(s);
}

static size_t
count(struct stage *s, CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *first)
{
	CK_OBJECT_HANDLE *v = NULL;
	size_t found = 0;

	ok(token_find(s->t, &s->c, templ, n, &v, &found, why));
	if (found > 0 && first != NULL)
		*first = v[0];
	free(v);
	return found;
}

#define MANY 2500

static void
one_key_found_by_opening_all(void **state)
{
	struct stage *s = *state;
	struct object_table *ot;
	CK_BYTE id[2] = { 3, 4 };
	CK_ATTRIBUTE by_id = BYTES_ATTR(CKA_ID, id);
	CK_OBJECT_HANDLE h = 0, again = 0;
	CK_BYTE label[8];
	CK_ATTRIBUTE get = { CKA_LABEL, label, sizeof(label) };

	make_many(s, MANY);
	ot = token_objects(s->t);
	assert_int_equal(count(s, &by_id, 1, &h), 1);
	assert_int_equal(atomic_load(&ot->n_opened), 1);
	ok(token_get_attributes(s->t, &s->c, h, &get, 1));
	assert_int_equal(count(s, &by_id, 1, &again), 1);
	assert_int_equal(again, h);
	assert_int_equal(atomic_load(&ot->n_opened), 1);
	id[1] = 5;
	assert_int_equal(count(s, &by_id, 1, &again), 1);
	assert_int_not_equal(again, h);
	assert_int_equal(atomic_load(&ot->n_opened), 2);
	id[0] = 200; /* nobody's */
	assert_int_equal(count(s, &by_id, 1, NULL), 0);
	assert_int_equal(atomic_load(&ot->n_opened), 2);
}

/* The check of an admission reads all rows; the first search reads none, not
 * even after the writes of a login. Another process's are read once. */
static void
rows_read_twice(void **state)
{
	struct stage *s = *state;
	_cleanup_(secret_freep) struct secret *m = secret_copy(text("value"));
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	struct record_change c = { .what = RECORD_INSERT, .attrs = &a };
	struct object_table *ot;
	CK_BYTE id[2] = { 3, 4 };
	CK_ATTRIBUTE by_id = BYTES_ATTR(CKA_ID, id);
	struct object *o = NULL;
	CK_OBJECT_HANDLE h = 0;

	make_many(s, MANY);
	ot = token_objects(s->t);
	assert_int_equal(ot->loads, 1);
	ok(pin_begin(s->t, /* so= */ true, why));
	ok(pin_end(s->t, /* so= */ true, CVM_OK, why));
	assert_int_equal(count(s, &by_id, 1, &h), 1);
	assert_int_equal(ot->loads, 1);
	ok(token_object(s->t, &s->c, h, &o));
	ok(attrs_copy(&o->attrs, &a));
	object_unrefp(&o);
	c.material = m;
	ok(random_bytes(c.id, sizeof(c.id)));
	ok(records_write(s->t, s->c.permit, &c, 1, why)); /* past the table */
	assert_int_equal(count(s, &by_id, 1, NULL), 2);
	assert_int_equal(ot->loads, 2);
}

/* Who lists all does not keep all; handles name what they named. */
static void
unused_objects_stay_open(void **state)
{
	struct stage *s = *state;
	struct object_table *ot;
	CK_ATTRIBUTE even = TEXT_ATTR(CKA_LABEL, "even");
	CK_OBJECT_HANDLE *v = NULL;
	size_t n = 0;

	make_many(s, MANY);
	ot = token_objects(s->t);
	ok(token_find(s->t, &s->c, NULL, 0, &v, &n, why));
	assert_int_equal(n, MANY);
	assert_true(ot->n_open <= OPEN_MAX);
	assert_int_equal(count(s, &even, 1, NULL), MANY / 2);
	assert_true(ot->n_open <= OPEN_MAX);
	for (size_t i = 0; i < n; i++) {
		CK_BYTE id[2] = { 0 };
		CK_ATTRIBUTE get = { CKA_ID, id, sizeof(id) };

		ok(token_get_attributes(s->t, &s->c, v[i], &get, 1));
		assert_int_equal(id[0] << 8 | id[1], i);
		assert_true(ot->n_open <= OPEN_MAX);
	}
	free(v);
}

/* After a denial nothing is opened; after the next admission all is found
 * under the handles that it had. */
static void
wiped_index_is_searched(void **state)
{
	struct stage *s = *state;
	CK_BYTE id[2] = { 1, 2 };
	CK_ATTRIBUTE by_id = BYTES_ATTR(CKA_ID, id);
	CK_OBJECT_HANDLE h = 0, again = 0;

	make_many(s, MANY);
	assert_int_equal(count(s, &by_id, 1, &h), 1);
	token_wipe(s->t);
	assert_int_equal(count(s, &by_id, 1, NULL), 0);
	assert_int_equal(count(s, NULL, 0, NULL), 0);
	ok(unseal(&s->f, why));
	assert_int_equal(count(s, &by_id, 1, &again), 1);
	assert_int_equal(again, h);
	assert_int_equal(count(s, NULL, 0, NULL), MANY);
}

/* A row put back past SQLite, so that no version tells: not what the index
 * vouches for, and left out. */
static void
row_exchanged_after_the_check(void **state)
{
	struct stage *s = *state;
	CK_BYTE id[2] = { 0, 7 }, other[2] = { 0, 8 };
	CK_ATTRIBUTE by_id = BYTES_ATTR(CKA_ID, id);
	CK_ATTRIBUTE by_other = BYTES_ATTR(CKA_ID, other);
	struct store *store = NULL;
	struct store_object o = { 0 };
	struct object_table *ot;
	const struct object *husk;

	make_many(s, MANY);
	/* The index is loaded by a search that opens nothing. */
	id[0] = 200;
	assert_int_equal(count(s, &by_id, 1, NULL), 0);
	id[0] = 0;
	ot = token_objects(s->t);
	husk = ot->bucket[BY_HANDLE][8]; /* the eighth row */
	while (husk != NULL && husk->handle != 8)
		husk = husk->next[BY_HANDLE];
	assert_non_null(husk);
	/* By the very connection: its own writes change no data_version. */
	store_lock();
	ok(token_store(s->t, &store, why));
	ok(store_object_get(store, husk->id, &o, why));
	o.attrs_box.data[o.attrs_box.len - 1] ^= 1;
	ok(store_object_put(store, &o, /* replace= */ true, why));
	store_unlock();
	store_object_clear(&o);
	assert_int_equal(count(s, &by_id, 1, NULL), 0);
	assert_int_equal(count(s, &by_other, 1, NULL), 1);
	assert_int_equal(count(s, NULL, 0, NULL), MANY - 1);
}

/* Only the C library's own allocator says how much is in use. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 1
#endif
#endif

static size_t
in_use(void)
{
	const struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

#define KEYS 10000
#define LISTED_BYTES_MAX 2048 /* for each, the database's cache included */
#define INDEXED_BYTES_MAX 384 /* 306 when this was written */

static void
takes_at_most(size_t before, size_t max, const char *when)
{
	size_t each = (in_use() - before) / KEYS;

	/* Else it is not our memory that was looked at. */
	assert_true(in_use() > before + (size_t)KEYS * sizeof(struct object));
	print_message("# %s: %zu bytes for each of %d keys\n", when, each,
	    KEYS);
	assert_in_range(each, 1, max);
}

/* A token that is open and logged in: after one search, and after all of it
 * was listed and looked at. */
static void
unused_key_takes_too_much(void **state)
{
	struct stage *s = *state;
	CK_BYTE id[2] = { 3, 4 }, label[8];
	CK_ATTRIBUTE by_id = BYTES_ATTR(CKA_ID, id);
	CK_OBJECT_HANDLE *v = NULL;
	size_t before, n = 0;

#ifdef OWN_MALLOC
	skip();
#endif
	make_many(s, KEYS);
	token_freep(&s->f.token);
	before = in_use();
	stage_restart(s);
	assert_int_equal(count(s, &by_id, 1, NULL), 1);
	takes_at_most(before, INDEXED_BYTES_MAX, "found by id");
	ok(token_find(s->t, &s->c, NULL, 0, &v, &n, why));
	assert_int_equal(n, KEYS);
	for (size_t i = 0; i < n; i++) {
		CK_ATTRIBUTE get = { CKA_LABEL, label, sizeof(label) };

		ok(token_get_attributes(s->t, &s->c, v[i], &get, 1));
	}
	free(v);
	takes_at_most(before, LISTED_BYTES_MAX, "listed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(one_key_found_by_opening_all),
		ON_STAGE(rows_read_twice),
		ON_STAGE(unused_objects_stay_open),
		ON_STAGE(wiped_index_is_searched),
		ON_STAGE(row_exchanged_after_the_check),
		ON_STAGE(unused_key_takes_too_much),
	};

	return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
