/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/forkid.h"
#include "base/log.h"
#include "module/state.h"

#define CACHE_LINE 64
#define SHARDS 64

/*
 * The one mutable global. Entry points count themselves in and out, so that
 * C_Finalize in the middle of other threads' calls frees nothing that they
 * use: it then retires the library, and the next C_Initialize or C_Finalize
 * that finds nobody inside frees it. Its keys are wiped at once.
 */
static struct {
	/* 2 * forkid() of the process that this state was put in order for;
	 * odd: a thread is at it. */
	_Atomic uint64_t fork_state;
	/* By the thread's stack: one word would go back and forth between the
	 * processors with every call. */
	struct {
		_Alignas(CACHE_LINE) _Atomic unsigned long inside;
	} shard[SHARDS];
	struct library *_Atomic lib;
	pthread_mutex_t lock; /* of what follows: initialising, finalizing */
	struct library *retired;
	/* Session handles up to here were given out by earlier libraries. */
	uint64_t opened;
	/* Kept for the life of the process: servers empty the environment of
	 * their workers before these initialise again. */
	char *config_path;
} module = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
library_freep(struct library **lp)
{
	struct library *lib = TAKE_PTR(*lp);

	if (lib == NULL)
		return;
	session_table_freep(&lib->sessions);
	for (size_t i = 0; i < lib->n_slots; i++)
		slot_clear(&lib->slots[i]);
	config_freep(&lib->cfg);
	free(lib);
}

/* Everything that threads of the parent may have left behind. */
static void
put_in_order(void)
{
	struct library *lib = atomic_load(&module.lib);

	(void)pthread_mutex_init(&module.lock, /* attr= */ NULL);
	for (size_t i = 0; i < SHARDS; i++)
		atomic_store(&module.shard[i].inside, 0);
	module.retired = NULL;
	if (lib == NULL)
		return;
	for (size_t i = 0; i < lib->n_slots; i++) {
		atomic_store(&lib->slots[i].n_sessions, 0);
		atomic_store(&lib->slots[i].n_writable, 0);
		slot_after_fork(&lib->slots[i]);
	}
	session_table_after_fork(lib->sessions);
}

/*
 * The first call in a child puts things in order; other threads of the child
 * wait for it. A child that is forked while its parent was at it finds an odd
 * number of an earlier process, and starts over.
 */
static void
check_fork(void)
{
	const uint64_t now = forkid() * 2;
	uint64_t seen = atomic_load(&module.fork_state);

	while (seen != now) {
		if (seen == now + 1)
			(void)sched_yield();
		else if (atomic_compare_exchange_strong(&module.fork_state,
			     &seen, now + 1)) {
			put_in_order();
			atomic_store(&module.fork_state, now);
		}
		seen = atomic_load(&module.fork_state);
	}
}

struct library *
state_enter(unsigned *ret_shard)
{
	const unsigned char here = 0;
	uint64_t page = (uint64_t)(uintptr_t)&here >> 16;
	unsigned shard = (unsigned)(page * 0x9e3779b97f4a7c15u >> 58);
	struct library *lib;

	check_fork();
	(void)atomic_fetch_add(&module.shard[shard].inside, 1);
	lib = atomic_load(&module.lib);
	if (lib == NULL)
		(void)atomic_fetch_sub(&module.shard[shard].inside, 1);
	*ret_shard = shard;
	return lib;
}

void
state_leave(struct library *lib, unsigned shard)
{
	if (lib != NULL)
		(void)atomic_fetch_sub(&module.shard[shard].inside, 1);
}

/* Once there is no library to be entered, who is seen outside stays there. */
static bool
nobody_inside(void)
{
	for (size_t i = 0; i < SHARDS; i++)
		if (atomic_load(&module.shard[i].inside) != 0)
			return false;
	return true;
}

/* With the lock held, and no library to be entered. */
static void
free_retired(void)
{
	struct library *lib;

	if (!nobody_inside())
		return;
	while ((lib = module.retired) != NULL) {
		module.retired = lib->next;
		library_freep(&lib);
	}
}

/*
 * Where the configuration is. What the environment or the caller does not say
 * now is what they said first.
 */
static int
locate(const char *reserved, char **ret_path, struct why *why)
{
	_cleanup_(freep) char *path = NULL;
	int err = config_locate(reserved, &path, why);

	if (err != CVM_OK)
		return err;
	if (module.config_path == NULL)
		module.config_path = strdup(path);
	else if (strcmp(path, CONFIG_PATH_DEFAULT) == 0)
		free(TAKE_PTR(path));
	if (path == NULL)
		path = strdup(module.config_path);
	if (path == NULL)
		return CVM_E_NOMEM;
	*ret_path = TAKE_PTR(path);
	return CVM_OK;
}

/* The log's target stands in the file that is broken: syslog then. */
static void
say_broken(const struct why *why)
{
	char text[WHY_SENTENCE_MAX];

	log_setup(LOG_TARGET_SYSLOG, LOG_LEVEL_WARNING, /* path= */ NULL);
	log_line(LOG_LEVEL_ERROR, "configuration refused: %s",
	    why_sentence(why, text, sizeof(text)));
}

/*
 * No configuration, or one that is not for this process to read, is no news:
 * p11-kit loads this module into programs that have nothing to do with it.
 */
static int
load(struct library *lib, const char *path)
{
	struct why why = { 0 };
	int err = config_load(path, &lib->cfg, &why);

	if (err == CVM_E_NOMEM)
		return err;
	if (err == CVM_E_NOT_FOUND || err == CVM_E_IO)
		return CVM_OK;
	if (err != CVM_OK) {
		say_broken(&why);
		return CVM_OK;
	}
	log_setup(lib->cfg->log_target, lib->cfg->log_level,
	    lib->cfg->log_path);
	return slots_new(lib->cfg, lib->slots, &lib->n_slots);
}

static CK_RV
initialize_locked(const char *reserved)
{
	_cleanup_(library_freep) struct library *lib = NULL;
	_cleanup_(freep) char *path = NULL;
	struct library *old = atomic_load(&module.lib);
	struct why why = { 0 };
	int err;

	/* A child that inherited everything may initialise once more. */
	if (old != NULL &&
	    atomic_exchange(&old->fork_count, forkid()) != forkid())
		return CKR_OK;
	if (old != NULL)
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	free_retired();
	err = locate(reserved, &path, &why);
	if (err != CVM_OK)
		return err == CVM_E_NOMEM ? CKR_HOST_MEMORY : CKR_ARGUMENTS_BAD;
	if ((lib = calloc(1, sizeof(*lib))) == NULL ||
	    session_table_new(module.opened, &lib->sessions) != CVM_OK)
		return CKR_HOST_MEMORY;
	atomic_store(&lib->fork_count, forkid());
	if (load(lib, path) != CVM_OK)
		return CKR_HOST_MEMORY;
	atomic_store(&module.lib, TAKE_PTR(lib));
	return CKR_OK;
}

CK_RV
state_initialize(const char *reserved)
{
	CK_RV rv;

	forkid_setup();
	check_fork();
	(void)pthread_mutex_lock(&module.lock);
	rv = initialize_locked(reserved);
	(void)pthread_mutex_unlock(&module.lock);
	return rv;
}

/* For the threads that are still inside. */
static void
close_slots(struct library *lib)
{
	for (size_t i = 0; i < lib->n_slots; i++)
		slot_close(&lib->slots[i]);
}

CK_RV
state_finalize(void)
{
	struct library *lib;

	check_fork();
	(void)pthread_mutex_lock(&module.lock);
	lib = atomic_exchange(&module.lib, NULL);
	if (lib != NULL) {
		module.opened = session_table_opened(lib->sessions);
		lib->next = module.retired;
		module.retired = lib;
		free_retired();
		if (module.retired != NULL)
			close_slots(lib);
	}
	(void)pthread_mutex_unlock(&module.lock);
	return lib != NULL ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

struct slot *
library_slot(struct library *lib, CK_SLOT_ID id)
{
	for (size_t i = 0; i < lib->n_slots; i++)
		if (lib->slots[i].id == id)
			return &lib->slots[i];
	return NULL;
}
