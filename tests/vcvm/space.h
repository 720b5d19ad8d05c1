/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_SPACE_H
#define VCVM_SPACE_H

#include "tpm.h"

/*
 * A resource manager as in Linux drivers/char/tpm/tpm2-space.c: every open of
 * /dev/tpmrm0 sees its own transient objects and sessions. Unlike the kernel's,
 * it swaps only when another space comes in between.
 */

#define SPACE_OBJECTS 16
#define SPACE_SESSIONS 16

struct space_entry {
	uint32_t handle; /* physical when loaded; 0: free */
	bool loaded;
	bool keep; /* context stays valid while the object is loaded */
	struct buf context;
};

struct space {
	unsigned epoch;
	/* Entry i has the virtual handle 0x80FFFFFF - i. */
	struct space_entry objects[SPACE_OBJECTS];
	struct space_entry sessions[SPACE_SESSIONS];
};

/* All want tpm->lock. Returns 0, or -EIO when there is no TPM. */
int space_open(struct tpm *tpm, struct space **ret_space);
/* Flushes what the space holds. */
void space_close(struct tpm *tpm, struct space *space);
/*
 * Runs one command of the space's user: 0 with a response (also one that the
 * resource manager made itself), -EINVAL for what the kernel refuses to send,
 * -EIO when the TPM is gone or has been reset since the space was opened.
 */
int space_transmit(struct tpm *tpm, struct space *space, uint8_t *cmd,
    size_t len, struct buf *ret_rsp);

#endif
