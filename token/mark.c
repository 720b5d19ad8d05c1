/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/clock.h"
#include "token/token_impl.h"

/*
 * What verified collateral taught: the newest time that any ever had, and the
 * newest issue of each list (token/FORMAT.md section 7). It travels in the
 * manifest, and so cannot be changed, nor rolled back by itself, and is read
 * whenever another process wrote.
 */

#define OWED_RETRY_NS (60 * NS_PER_S)

int64_t
token_time_mark(const struct token *t)
{
	return atomic_load(&t->time_mark);
}

uint64_t
token_seen_version(const struct token *t)
{
	return atomic_load(&t->seen_version);
}

void
token_seen(struct token *t, struct seen *ret)
{
	store_lock();
	*ret = t->seen;
	store_unlock();
}

bool
token_owes(const struct token *t)
{
	uint64_t since = atomic_load(&t->owed_ns);

	return since != 0 && boottime_ns() - since >= OWED_RETRY_NS;
}

bool
token_raise_marks(struct token *t, int64_t time, const struct seen *seen)
{
	bool changed = time > atomic_load(&t->time_mark);

	if (changed)
		atomic_store(&t->time_mark, time);
	if (seen == NULL || !seen_merge(&t->seen, seen))
		return changed;
	(void)atomic_fetch_add(&t->seen_version, 1);
	return true;
}

bool
token_add_marks(const struct token *t, struct manifest *m)
{
	int64_t time = token_time_mark(t);
	bool changed = time > m->time;

	if (changed)
		m->time = time;
	return seen_merge(&m->seen, &t->seen) || changed;
}

static int
write_marks(struct token *t, struct store *s, const uint8_t *id,
    const struct key *key, uint64_t *ret_generation, struct why *why)
{
	struct manifest m = { 0 };
	int err = manifest_read(s, id, key->bytes, &m, why);

	if (err != CVM_OK)
		return err;
	if (token_add_marks(t, &m)) /* else another process was faster */
		err = manifest_write(s, id, key->bytes, &m, why);
	*ret_generation = m.generation;
	return err;
}

static int
write_locked(struct token *t, const uint8_t *id, const struct key *key,
    struct why *why)
{
	uint64_t before = 0, generation = 0;
	struct store *s = NULL;
	int err = token_store(t, &s, why);

	if (err == CVM_OK)
		err = store_begin(s, why);
	if (err != CVM_OK)
		return err;
	err = store_version(s, &before, why);
	if (err == CVM_OK)
		err = write_marks(t, s, id, key, &generation, why);
	if (err == CVM_OK)
		err = store_commit(s, why);
	else
		store_rollback(s);
	if (err == CVM_OK)
		token_note_commit(t, before);
	/* What was written here does not go back, verified whole or not. */
	if (err == CVM_OK && t->generation < generation)
		t->generation = generation;
	token_reload(t);
	return err;
}

int
token_note(struct token *t, const struct permit *p, int64_t time,
    const struct seen *seen, struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	struct token_meta meta = { 0 };
	int err = token_admit(t, p, reterr_why);

	if (err != CVM_OK)
		return err;
	if (key == NULL)
		return why_set(reterr_why, CVM_E_SEALED, "token", "token key",
		    "open", "sealed");
	err = token_get_meta(t, &meta, reterr_why);
	/* In memory first: a store that cannot be written is not tried again
	 * with every round, and what is known counts all the same. */
	store_lock();
	if (token_raise_marks(t, time, seen) || token_owes(t)) {
		if (err == CVM_OK)
			err = write_locked(t, meta.id, key, reterr_why);
		atomic_store(&t->owed_ns, err == CVM_OK ? 0 : boottime_ns());
	}
	store_unlock();
	return err;
}

/* The manifest alone: it authenticates itself, and whether it is of the rows
 * that there are is asked by whoever reads them. */
static void
learn_locked(struct token *t, const uint8_t *id, const struct key *key)
{
	struct manifest m = { 0 };
	struct store *s = NULL;
	uint64_t version = 0;

	if (token_store(t, &s, /* reterr_why= */ NULL) != CVM_OK ||
	    store_version(s, &version, /* reterr_why= */ NULL) != CVM_OK ||
	    version == t->learned ||
	    manifest_read(s, id, key->bytes, &m, /* reterr_why= */ NULL) !=
		CVM_OK)
		return;
	t->learned = version;
	(void)token_raise_marks(t, m.time, &m.seen);
}

void
token_learn(struct token *t)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	struct token_meta meta = { 0 };

	if (key == NULL ||
	    token_get_meta(t, &meta, /* reterr_why= */ NULL) != CVM_OK ||
	    !token_try_store(t))
		return;
	learn_locked(t, meta.id, key);
	token_leave_store(t);
}
