/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_BOOT_H
#define VCVM_BOOT_H

#include <stdbool.h>

#include "buf.h"

/* The technology byte of GCE's EV_NONHOST_INFO event. */
enum technology { TECH_NONE, TECH_SEV, TECH_SEV_ES, TECH_TDX, TECH_SEV_SNP };

#define BOOT_COMMANDS_MAX 16
#define RTMRS 4

/*
 * What boots: read from a JSON boot description, every field optional. Files
 * are named by path and stand for their contents: the digests in the log are
 * those of the content string.
 */
struct boot_desc {
	int firmware_version;
	int technology; /* enum technology, or -1: the platform's own */
	bool secure_boot;
	char *shim, *grub; /* contents of the EFI applications */
	char *sbat_level;
	char *grub_cfg;
	char *kernel_path, *kernel;
	char *initrd_path, *initrd;
	char *cmdline;
	char *grub_commands[BOOT_COMMANDS_MAX];
	size_t n_grub_commands;
};

/* Reads the file, or takes the defaults for path NULL; 0, or -1 after vlog. */
int boot_desc_read(const char *path, struct boot_desc *ret);
void boot_desc_free(struct boot_desc *desc);

/* The DER certificates of the EFI variables. */
struct boot_keys {
	struct buf pk, kek, db, shim;
};

struct boot_event {
	unsigned where; /* IN_TPM, IN_CC */
	unsigned pcr;
	uint32_t type;
	struct buf data;
	bool extended;
	uint8_t sha1[20], sha256[32], sha384[48];
};

/* One boot: its events, and the logs that a kernel shows of them. */
struct boot_log {
	struct boot_event *events;
	size_t n;
	struct buf tcg;	       /* binary_bios_measurements */
	struct buf ccel;       /* data/CCEL */
	struct buf ccel_table; /* CCEL */
	uint8_t rtmr[RTMRS][48];
};

#define IN_TPM 1u
#define IN_CC 2u

void boot_log_build(const struct boot_desc *desc, enum technology technology,
    const struct boot_keys *keys, struct boot_log *ret);
void boot_log_free(struct boot_log *log);

#endif
