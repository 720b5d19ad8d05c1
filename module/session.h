/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_SESSION_H
#define MODULE_SESSION_H

#include <pthread.h>

#include "module/gate.h"

/*
 * Slots and sessions. Handles are never reused in a process; a session lives
 * until the last thread that uses it has left, whoever closes it meanwhile.
 */
#define SESSIONS_MAX 65536
#define SLOTS_MAX CONFIG_TOKENS_MAX

struct slot {
	CK_SLOT_ID id;
	const struct config_token *cfg;
	struct gate *gate; /* made when the slot is first looked into */
};

enum session_op { /* operations that may be in progress side by side */
	SESSION_SIGN,
	SESSION_VERIFY,
	SESSION_ENCRYPT,
	SESSION_DECRYPT,
	SESSION_DIGEST,
	SESSION_OPS,
};

struct session {
	CK_SESSION_HANDLE handle;
	struct slot *slot;
	bool writable;
	pthread_mutex_t lock; /* one PKCS#11 call at a time in a session */
	struct gate_session gate;
	struct op *op[SESSION_OPS];
	bool context_login; /* CKU_CONTEXT_SPECIFIC done for the next use */
	CK_OBJECT_HANDLE *found; /* of C_FindObjectsInit */
	size_t n_found, next_found;
	bool finding;
	_Atomic unsigned refs;
	_Atomic bool closed;
};

#endif
