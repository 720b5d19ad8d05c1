/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_LOG_MAKER_H
#define TESTS_UNIT_LOG_MAKER_H

#include "attest/appraise.h"
#include "attest/eventlog.h"

/*
 * Event logs to order: a list of events to be changed, the bytes of the log,
 * and the registers that it leads to.
 */
#define MADE_EVENTS_MAX 48
#define MADE_OTHERS_MAX 20

struct made_event {
	uint32_t pcr; /* of the TCG form; a CCEL has its register */
	uint32_t type;
	struct blob data;
	struct blob measured; /* empty: the data */
};

struct made_log {
	enum log_form form; /* SHA-256, or SHA-384 of a CCEL */
	struct made_event events[MADE_EVENTS_MAX];
	size_t n;
	/* Banks before the one in use; digests of zeros but for SHA-384's. */
	struct {
		uint16_t alg, len;
	} others[MADE_OTHERS_MAX];
	size_t n_others;
};

/* What these events are called in find_event(). */
enum made_name {
	MADE_FIRMWARE,
	MADE_TECHNOLOGY,
	MADE_SECURE_BOOT,
	MADE_CALLING,
	MADE_AUTHORITY,
	MADE_APP,
	MADE_CMDLINE,
	MADE_GRUB,
	MADE_EXIT,
	MADE_GPT,
	MADE_PK,
	MADE_KEK,
	MADE_DB,
	MADE_DBX,
	MADE_SBAT,
	MADE_BOOT_ORDER,
};

/* A boot of an SEV-SNP machine of Google's: firmware v2, Secure Boot. */
void made_log_init(struct made_log *l, enum log_form form);
void made_log_clear(struct made_log *l);
struct made_event *made_find(struct made_log *l, enum made_name name);
/* Inserts before the event at index at (l->n: at the end). */
void made_insert(struct made_log *l, size_t at, uint32_t pcr, uint32_t type,
    struct span data, struct span measured);
/* Makes another certificate the one that the authority, or db, holds. */
void made_certify(struct made_log *l, enum made_name name, struct span cert);
void made_remove(struct made_log *l, const struct made_event *e);
/* The bytes, and the registers in the values and mask of pcrs: PCRs, or MRs of
 * a CCEL. */
void made_log_build(const struct made_log *l, struct blob *ret,
    struct pcr_values *ret_pcrs);
/* SHA-256 of the certificate in the authority event, and in PK, KEK, db. */
void made_authority(uint8_t out[static SHA256_LEN]);
/* The one digest in dbx; digest of the variable BootOrder. */
void made_revoked(uint8_t out[static SHA256_LEN]);
void made_boot_order(const struct made_log *l,
    uint8_t out[static HASH_LEN_MAX]);
#define MADE_ALG_SHA384 0x000c
#define MADE_SBAT_LEVEL 2024010900
#define MADE_KERNEL "/vmlinuz root=/dev/dm-0 ro"
#define MADE_GRUB_CMD "linux /vmlinuz"
#define MADE_APP_IMAGE "an EFI application"

#endif
