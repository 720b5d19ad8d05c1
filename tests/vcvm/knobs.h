/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_KNOBS_H
#define VCVM_KNOBS_H

#include <stdbool.h>

#include "buf.h"

/* The misbehaviours: one row per knob in knobs.c, set at run time. */
enum knob {
	K_TSM_DELAY_MS,
	K_TSM_MIN_INTERVAL_MS,
	K_TSM_EBUSY,
	K_TSM_EAGAIN,
	K_TSM_EIO,
	K_TSM_EMPTY,
	K_TSM_GENERATION,
	K_TSM_STALE,
	K_TSM_WRONG_NONCE,
	K_TSM_GARBAGE,
	K_TSM_TRUNCATED,
	K_TSM_PROVIDER,
	K_AUX,
	K_DEBUG,
	K_MIGRATABLE,
	K_TCB,
	K_ROOT,
	K_CHIP,
	K_REVOKED,
	K_COLLATERAL,
	K_MEASUREMENT,
	K_HOST_DATA,
	K_VMPL,
	K_PROVISIONAL,
	K_SIGNATURE,
	K_TDX_PADDING,
	K_TPM_DELAY_MS,
	K_TPM_AK,
	KNOBS
};

/* What must be made again after a change. */
#define REDO_COLLATERAL 1u
#define REDO_AK 2u
#define REDO_FOREIGN 4u

enum { TCB_CURRENT, TCB_OLD };
enum { ROOT_OWN, ROOT_FOREIGN };
enum { CHIP_OWN, CHIP_OTHER, CHIP_MASKED };
enum { REVOKED_NONE, REVOKED_CA, REVOKED_LEAF };
enum { COLLATERAL_CURRENT, COLLATERAL_EXPIRED, COLLATERAL_FUTURE };
enum { AUX_FULL, AUX_LEAF, AUX_EMPTY };
enum { AK_OWN, AK_OTHER, AK_NONE };
enum { PROVIDER_OWN, PROVIDER_OTHER };

struct knobs;

struct knobs *knobs_new(void);
/* 0, or -1 with *ret_message (to be freed) that says what is allowed. */
int knobs_set(struct knobs *knobs, const char *name, const char *value,
    unsigned *ret_redo, char **ret_message);
/* Back to good behaviour; what must be made again. */
unsigned knobs_reset(struct knobs *knobs);
/* One line "name value" per knob, or only those of this name; -1: unknown. */
int knobs_print(struct knobs *knobs, const char *name, struct buf *out);
void knobs_help(struct buf *out);

long knobs_get(struct knobs *knobs, enum knob knob);
/* For counted knobs: true when it applies now, and counts that. */
bool knobs_take(struct knobs *knobs, enum knob knob);
/* For knobs with a byte value: false when it was not set. */
bool knobs_bytes(struct knobs *knobs, enum knob knob, uint8_t *ret, size_t len);

/* The next n TPM commands are answered with this response code. */
void knobs_tpm_error(struct knobs *knobs, uint32_t rc, long n);
bool knobs_take_tpm_error(struct knobs *knobs, uint32_t *ret_rc);

#endif
