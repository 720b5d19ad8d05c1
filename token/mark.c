/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "token/token_impl.h"

/*
 * The newest time that verified collateral ever had (token/FORMAT.md section
 * 7). It travels in the manifest, and so cannot be changed, nor rolled back by
 * itself, and is read whenever another process wrote.
 */

int64_t
token_time_mark(const struct token *t)
{
	return atomic_load(&t->time_mark);
}

void
token_raise_mark(struct token *t, int64_t time)
{
	int64_t seen = atomic_load(&t->time_mark);

	while (seen < time &&
	    !atomic_compare_exchange_weak(&t->time_mark, &seen, time))
		;
}

static int
write_mark(struct store *s, const uint8_t *id, const struct key *key,
    int64_t time, uint64_t *ret_generation, struct why *why)
{
	struct manifest m = { 0 };
	int err = manifest_read(s, id, key->bytes, &m, why);

	if (err != CVM_OK)
		return err;
	if (m.time < time) { /* else another process was faster */
		m.time = time;
		err = manifest_write(s, id, key->bytes, &m, why);
	}
	*ret_generation = m.generation;
	return err;
}

static int
write_locked(struct token *t, const uint8_t *id, const struct key *key,
    int64_t time, struct why *why)
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
		err = write_mark(s, id, key, time, &generation, why);
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
token_note_time(struct token *t, const struct permit *p, int64_t time,
    struct why *reterr_why)
{
	_cleanup_(key_unrefp) struct key *key = token_key(t, KEY_TOKEN);
	struct token_meta meta = { 0 };
	int err = token_admit(t, p, reterr_why);

	if (err != CVM_OK || time <= token_time_mark(t))
		return err;
	if (key == NULL)
		return why_set(reterr_why, CVM_E_SEALED, "token", "token key",
		    "open", "sealed");
	/* In memory first: a store that cannot be written is not tried again
	 * for this time, and judges by it all the same. */
	token_raise_mark(t, time);
	err = token_get_meta(t, &meta, reterr_why);
	if (err != CVM_OK)
		return err;
	store_lock();
	err = write_locked(t, meta.id, key, time, reterr_why);
	store_unlock();
	return err;
}
