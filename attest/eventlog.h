/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_EVENTLOG_H
#define ATTEST_EVENTLOG_H

#include "attest/evidence.h"

/*
 * TCG event logs (TCG PC Client Platform Firmware Profile, section 10) and
 * their CCEL form (UEFI 2.10 section 38.4: MR indexes instead of PCRs, SHA-384
 * only). A log is a claim: it explains quoted registers when it replays to
 * them, and its data is believed only where a measured digest covers it.
 */
#define LOG_EVENTS_MAX 8192
#define LOG_ALGS_MAX 4	 /* that are known here */
#define LOG_BANKS_MAX 16 /* TPM2_NUM_PCR_BANKS of the TPM software stack */
#define LOG_MRS_MAX 24	 /* PCR 0..23, or MR 0..4 */

enum log_form { LOG_TCG, LOG_CCEL };

/* Event types (section 10.4.1). */
enum {
	EV_NO_ACTION = 0x3,
	EV_SEPARATOR = 0x4,
	EV_ACTION = 0x5,
	EV_S_CRTM_VERSION = 0x8,
	EV_IPL = 0xd,
	EV_NONHOST_INFO = 0x11,
	EV_EFI_VARIABLE_DRIVER_CONFIG = (int)0x80000001,
	EV_EFI_VARIABLE_BOOT = (int)0x80000002,
	EV_EFI_BOOT_SERVICES_APPLICATION = (int)0x80000003,
	EV_EFI_GPT_EVENT = (int)0x80000006,
	EV_EFI_ACTION = (int)0x80000007,
	EV_EFI_VARIABLE_BOOT2 = (int)0x8000000c,
	EV_EFI_VARIABLE_AUTHORITY = (int)0x800000e0,
};

struct log_event {
	uint32_t mr; /* PCR or MR index */
	uint32_t type;
	struct span digests[LOG_ALGS_MAX]; /* in the order of log.algs */
	struct span data;
};

/* An algorithm whose digests are passed over. */
struct log_other {
	uint16_t id, size;
};

/* Spans borrow from the bytes that were parsed. */
struct event_log {
	enum log_form form;
	enum hash_alg algs[LOG_ALGS_MAX];
	size_t n_algs;
	struct log_other others[LOG_BANKS_MAX];
	size_t n_others;
	uint8_t locality; /* StartupLocality: start value of PCR 0 */
	struct log_event *events;
	size_t n, room;
};

/*
 * Parses the whole log; padding of all 0xFF or all 0x00 may follow. A log
 * without a Spec ID event (SHA-1 only) is CVM_E_UNSUPPORTED, with the reason.
 */
int eventlog_parse(struct span s, enum log_form form, struct event_log *ret,
    struct why *reterr_why) _must_check_;
void eventlog_clear(struct event_log *log);

/* Index of alg in log->algs, or -1. */
int eventlog_alg(const struct event_log *log, enum hash_alg alg);

/* The registers that the log's events lead to; bit i of ret->mask says that
 * register i had events. CVM_E_UNSUPPORTED: the log lacks the algorithm. */
int eventlog_replay(const struct event_log *log, enum hash_alg alg,
    struct pcr_values *ret, struct why *reterr_why) _must_check_;

/*
 * GRUB and others measure the text after a prefix, without the final NUL;
 * systemd-stub measures UTF-16LE.
 */
struct log_text {
	struct span text; /* without NUL */
	uint32_t mr;
	bool utf16;
};

struct log_boot_variable {
	struct span digest; /* in the algorithm that was asked for */
	struct span data;   /* of the event; not always what was measured */
};

struct digest_list {
	uint8_t (*v)[SHA256_LEN];
	size_t n, room;
};

#define LOG_FACTS_MAX 512
#define LOG_TECHNOLOGY_NONE_SEEN (-1)

/*
 * What the log says, from events whose digest covers their data. Every fact
 * that could be had twice, or is broken, is an error of its own: errors are
 * kept by fact, because a policy may not ask for it.
 */
struct log_facts {
	int technology; /* GceNonHostInfo byte, or NONE_SEEN */
	struct why technology_why;
	int gce_firmware; /* "GCE Virtual Firmware v<N>", or -1 */
	bool secure_boot; /* valid when secure_boot_why.err is 0 */
	struct why secure_boot_why;
	bool debug_mode;	 /* "UEFI Debug Mode" was measured */
	bool dma_protection_off; /* "DMA Protection Disabled" was measured */
	struct digest_list authorities; /* SHA-256 of certificates used */
	struct why authorities_why;
	/* Of PK, KEK and db; of dbx. SHA-256 of certificates, or the digest
	 * of an image. */
	struct digest_list trusted, revoked;
	struct why keys_why;
	uint32_t sbat_level; /* 2024010900; 0: not in the log */
	struct why sbat_why;
	struct log_boot_variable boot_variables[128];
	size_t n_boot_variables;
	struct why boot_variables_why;
	struct log_text kernel_cmdlines[LOG_FACTS_MAX];
	size_t n_kernel_cmdlines;
	struct log_text grub_cmds[LOG_FACTS_MAX];
	size_t n_grub_cmds;
	struct why ipl_why;
	struct span efi_apps[64]; /* digests in alg */
	size_t n_efi_apps;
	struct why efi_apps_why;
	bool exit_boot_services;
	struct why separators_why;
	struct why digests_why; /* first event whose digest is not its data's */
};

/* Where what PCR n (0..15) has is in a log of this form: itself, or the MR of
 * a CCEL (UEFI 2.10, 38.4.1). */
uint32_t eventlog_mr(enum log_form form, uint32_t pcr);
int eventlog_facts(const struct event_log *log, enum hash_alg alg,
    struct log_facts *ret) _must_check_;
void log_facts_clear(struct log_facts *f);
const char *log_technology_name(int technology); /* "AMD_SEV_SNP" */

/* The name of a UEFI variable in an event, for people; NULL: malformed. */
#define LOG_VARIABLE_NAME_MAX 64
const char *log_variable_name(struct span data,
    char buf[static LOG_VARIABLE_NAME_MAX]);

#endif
