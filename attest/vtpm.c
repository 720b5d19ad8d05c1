/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <sched.h>
#include <signal.h>
#include <string.h>

#include "attest/vtpm_priv.h"
#include "base/forkid.h"

/* Connection, lock, fork and the second attempt. */

struct vtpm *
vtpm_new(const struct config_tpm *cfg)
{
	struct vtpm *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->tcti = strdup(cfg->tcti);
	if (t->tcti == NULL || pthread_mutex_init(&t->lock, NULL) != 0) {
		free(t->tcti);
		free(t);
		return NULL;
	}
	t->ak_kind = cfg->ak;
	t->ak_persistent = cfg->ak_handle;
	t->timeout_ms = cfg->timeout_ms;
	forkid_setup();
	atomic_init(&t->fork_mark, forkid());
	return t;
}

static void
forget_ak_blobs(struct vtpm *t)
{
	blob_clear(&t->ak_public);
	blob_clear(&t->ak_name);
	blob_clear(&t->ak_cert);
	t->ak_given = false;
}

static void
disconnect(struct vtpm *t)
{
	/* Without a resource manager nobody else would flush it. */
	if (t->ak_transient)
		tpm_flush(t, t->ak);
	tpm_ak_forget(t);
	tpm_link_freep(&t->link);
	t->broken = false;
}

/*
 * In the child: another thread of the parent may have been anywhere. What it
 * owned is left alone (leaked, once), apart from the descriptor, which is
 * closed without a word to the TPM.
 */
static void
drop_inherited(struct vtpm *t)
{
	static const struct blob empty;

	(void)pthread_mutex_init(&t->lock, NULL);
	tpm_link_abandon(&t->link);
	tpm_ak_forget(t);
	t->ak_public = t->ak_name = t->ak_cert = empty;
	t->ak_given = false;
	t->broken = false;
}

/* Set in fork_mark while a thread of the child re-initialises. */
#define MARK_BUSY (UINT64_C(1) << 63)

static void
lock(struct vtpm *t)
{
	uint64_t now = forkid(), seen = atomic_load(&t->fork_mark);

	while (seen != now) {
		if (seen != (now | MARK_BUSY) &&
		    atomic_compare_exchange_strong(&t->fork_mark, &seen,
			now | MARK_BUSY)) {
			drop_inherited(t);
			atomic_store(&t->fork_mark, now);
			break;
		}
		(void)sched_yield();
		seen = atomic_load(&t->fork_mark);
	}
	(void)pthread_mutex_lock(&t->lock);
}

static void
unlockp(struct vtpm **t)
{
	(void)pthread_mutex_unlock(&(*t)->lock);
}

/*
 * No signal handler may run while the TPM is talked to: a TCTI library
 * takes EINTR from poll(2) for the end of the connection. Those that a fault
 * of this very thread raises stay open.
 */
static void
block_signals(sigset_t *old)
{
	static const int synchronous[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
		SIGTRAP, SIGSYS, SIGABRT };
	sigset_t all;

	(void)sigfillset(&all);
	for (size_t i = 0; i < NELEMS(synchronous); i++)
		(void)sigdelset(&all, synchronous[i]);
	(void)pthread_sigmask(SIG_BLOCK, &all, old);
}

static void
unblock_signalsp(sigset_t *old)
{
	(void)pthread_sigmask(SIG_SETMASK, old, NULL);
}

void
vtpm_freep(struct vtpm **t)
{
	sigset_t old;

	if (t == NULL || *t == NULL)
		return;
	lock(*t);
	block_signals(&old);
	(*t)->deadline_ns = monotonic_ns() +
	    (uint64_t)(*t)->timeout_ms * 1000000;
	disconnect(*t);
	forget_ak_blobs(*t);
	unblock_signalsp(&old);
	(void)pthread_mutex_unlock(&(*t)->lock);
	(void)pthread_mutex_destroy(&(*t)->lock);
	free((*t)->tcti);
	free(*t);
	*t = NULL;
}

/* Answers that mean: start over on a clean connection. */
static bool
out_of_room(TPM2_RC rc)
{
	switch (tpm_rc_base(rc)) {
	case TPM2_RC_OBJECT_MEMORY:
	case TPM2_RC_SESSION_MEMORY:
	case TPM2_RC_MEMORY:
	case TPM2_RC_OBJECT_HANDLES:
	case TPM2_RC_SESSION_HANDLES:
	case TPM2_RC_CONTEXT_GAP:
	/* Objects that went with a restart of the TPM behind the link. */
	case TPM2_RC_REFERENCE_H0:
	case TPM2_RC_REFERENCE_H1:
	case TPM2_RC_REFERENCE_H2:
	case TPM2_RC_REFERENCE_S0:
		return true;
	default:
		return false;
	}
}

bool
vtpm_simulated(struct vtpm *t)
{
	return atomic_load(&t->simulated);
}

static int
attempt(struct vtpm *t, tpm_job job, void *arg, struct why *why)
{
	int r;

	t->rc = TPM2_RC_SUCCESS;
	if (t->link == NULL) {
		r = tpm_link_open(t->tcti, t->deadline_ns, &t->link, why);
		if (r != CVM_OK)
			return r;
		atomic_store(&t->simulated, !tpm_link_is_kernels(t->link));
	}
	return job(t, arg, why);
}

int
vtpm_run(struct vtpm *t, tpm_job job, void *arg, struct why *reterr_why)
{
	_cleanup_(unlockp) __attribute__((unused)) struct vtpm *locked = t;
	_cleanup_(unblock_signalsp) sigset_t old;
	bool fresh, had_ak;
	int r;

	lock(t);
	block_signals(&old);
	t->deadline_ns = monotonic_ns() + (uint64_t)t->timeout_ms * 1000000;
	fresh = t->link == NULL;
	had_ak = t->ak != 0;
	r = attempt(t, job, arg, reterr_why);
	if (r == CVM_OK)
		return r;
	/*
	 * Once more on a new connection: when this one broke, when the TPM ran
	 * out of room, or when a key loaded earlier may be gone. A new
	 * connection that failed is not tried again; the caller's round is.
	 */
	if (t->broken || out_of_room(t->rc) ||
	    (had_ak && tpm_rc_base(t->rc) == TPM2_RC_HANDLE)) {
		bool again = !fresh || t->rc != TPM2_RC_SUCCESS;

		disconnect(t);
		if (again && monotonic_ns() < t->deadline_ns)
			r = attempt(t, job, arg, reterr_why);
		if (t->broken)
			disconnect(t);
	}
	return r;
}

struct nv_job {
	uint32_t index;
	size_t max;
	struct blob *ret;
};

static int
nv_job(struct vtpm *t, void *arg, struct why *why)
{
	struct nv_job *j = arg;

	return tpm_nv_read(t, j->index, j->max, j->ret, why);
}

int
vtpm_nv_read(struct vtpm *t, uint32_t index, size_t max, struct blob *ret,
    struct why *reterr_why)
{
	struct nv_job j = { index, max, ret };

	return vtpm_run(t, nv_job, &j, reterr_why);
}

struct nv_write_job {
	uint32_t index;
	struct span data;
};

static int
nv_write_job(struct vtpm *t, void *arg, struct why *why)
{
	struct nv_write_job *j = arg;

	return tpm_nv_write(t, j->index, j->data, why);
}

int
vtpm_nv_write(struct vtpm *t, uint32_t index, struct span data,
    struct why *reterr_why)
{
	struct nv_write_job j = { index, data };

	return vtpm_run(t, nv_write_job, &j, reterr_why);
}
