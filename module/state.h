/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_STATE_H
#define MODULE_STATE_H

#include "module/session.h"
#include "module/slot.h"

/*
 * The one mutable global is in state.c. A library is what one C_Initialize
 * made; it is freed when C_Finalize was called and the last call has left.
 */
struct library {
	struct config *cfg; /* NULL: no configuration, no slots */
	struct slot slots[SLOTS_MAX];
	size_t n_slots;
	struct session_table *sessions;
	_Atomic uint64_t fork_count; /* of its last C_Initialize */
	struct library *next;	     /* in the list of retired ones */
};

/* reserved: C_Initialize's pReserved. */
CK_RV state_initialize(const char *reserved);
CK_RV state_finalize(void);
/* The library, for the length of one call; NULL: not initialised. A child
 * after a fork is put in order here. What it gives is for state_leave(). */
struct library *state_enter(unsigned *ret_shard);
void state_leave(struct library *lib, unsigned shard);
struct slot *library_slot(struct library *lib, CK_SLOT_ID id);

#endif
