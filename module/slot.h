/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_SLOT_H
#define MODULE_SLOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "module/gate.h"

/* One configured token is one slot; there is no spare one. */
#define SLOTS_MAX CONFIG_TOKENS_MAX

struct slot {
	CK_SLOT_ID id;
	const struct config_token *cfg;
	struct gate *gate;
	_Atomic unsigned long n_sessions, n_writable;
	/* Something was done in a session since the last logout. */
	_Atomic bool used;
	/* C_Login was called where login is by attestation. */
	_Atomic bool attested_login;
	/* Ends of logins, and logins of the SO: an operation with a private
	 * key that was begun before the last of them is over. */
	_Atomic uint64_t login_ends;
	pthread_mutex_t logging_in; /* one login state for a token */
	_Atomic bool was_present;   /* for C_WaitForSlotEvent */
	_Atomic unsigned long evidence_handles; /* given out so far */
};

/* Fills slots[SLOTS_MAX] from the configuration; reads policies. */
int slots_new(const struct config *cfg, struct slot *slots,
    size_t *ret_n) _must_check_;
void slot_clear(struct slot *s);
/* Before it, where threads may still be inside: see gate_close(). */
void slot_close(struct slot *s);
/* In the child after a fork. */
void slot_after_fork(struct slot *s);

/* Whether the token is reported as being there; asks no TPM. */
bool slot_present(struct slot *s);
void slot_info(struct slot *s, CK_SLOT_INFO *ret);
int slot_token_info(struct slot *s, CK_TOKEN_INFO *ret) _must_check_;
/* Login state of the token in this process; with login by attestation the
 * user is whoever is admitted, which only a session can tell. */
bool slot_so(struct slot *s);
bool slot_user(struct slot *s);
/* What the last session to be closed takes with it. */
void slot_forget_login(struct slot *s);
/* Copies text to a field that is padded with blanks and has no NUL. */
void pad_text(unsigned char *field, size_t len, const char *text);

#endif
