/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_TPM_H
#define VCVM_TPM_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"

/*
 * The vTPM: a swtpm process that talks over a socket pair of its own, so two
 * machines never share a port, and it dies with us. All functions but
 * tpm_init() want tpm->lock held, and return 0 or a negative errno; a response
 * whose code is not TPM_RC_SUCCESS is -EPROTO where success was wanted.
 */

#define TPM_BUFSIZE 4096 /* the kernel's */
#define TPM_HEADER 10

#define TPM_ST_NO_SESSIONS 0x8001
#define TPM_ST_SESSIONS 0x8002

#define TPM_RH_OWNER 0x40000001
#define TPM_RS_PW 0x40000009
#define TPM_RH_ENDORSEMENT 0x4000000B
#define TPM_RH_PLATFORM 0x4000000C

#define TPM_CC_EVICT_CONTROL 0x120
#define TPM_CC_NV_UNDEFINE_SPACE 0x122
#define TPM_CC_HIERARCHY_CHANGE_AUTH 0x129
#define TPM_CC_NV_DEFINE_SPACE 0x12A
#define TPM_CC_PCR_ALLOCATE 0x12B
#define TPM_CC_CREATE_PRIMARY 0x131
#define TPM_CC_NV_WRITE 0x137
#define TPM_CC_SELF_TEST 0x143
#define TPM_CC_STARTUP 0x144
#define TPM_CC_SHUTDOWN 0x145
#define TPM_CC_CONTEXT_LOAD 0x161
#define TPM_CC_CONTEXT_SAVE 0x162
#define TPM_CC_FLUSH_CONTEXT 0x165
#define TPM_CC_GET_CAPABILITY 0x17A
#define TPM_CC_PCR_READ 0x17E
#define TPM_CC_PCR_EXTEND 0x182

#define TPM_ALG_RSA 0x0001
#define TPM_ALG_SHA1 0x0004
#define TPM_ALG_SHA256 0x000B
#define TPM_ALG_SHA384 0x000C
#define TPM_ALG_SHA512 0x000D
#define TPM_ALG_NULL 0x0010
#define TPM_ALG_RSASSA 0x0014
#define TPM_ALG_ECDSA 0x0018
#define TPM_ALG_ECC 0x0023

#define TPM_PCRS 24

struct space;

struct tpm {
	pthread_mutex_t lock;
	char *state_dir;
	pid_t pid;
	int fd;		/* -1: no TPM */
	unsigned epoch; /* counts starts: spaces of an older one are dead */
	struct space *current; /* whose objects are loaded */
	uint32_t *cc_attrs;    /* TPMA_CC of all commands */
	size_t n_cc;
	uint8_t platform_auth[32]; /* set at boot, so that no guest has it */
	bool platform_locked;
};

void tpm_init(struct tpm *tpm, const char *state_dir);
/* Starts the process; the TPM still wants TPM2_Startup. */
int tpm_spawn(struct tpm *tpm);
/* As a power cut: no TPM2_Shutdown. */
void tpm_kill(struct tpm *tpm);
void tpm_shutdown(struct tpm *tpm);

/* One command and its response, as they are. */
int tpm_transmit(struct tpm *tpm, const void *cmd, size_t len,
    struct buf *ret_rsp);
/* Puts header and size around body, transmits, wants TPM_RC_SUCCESS. */
int tpm_command(struct tpm *tpm, uint16_t tag, uint32_t cc,
    const struct buf *body, struct buf *ret_rsp);

/* TPM2_Startup(CLEAR), self test, table of commands. */
int tpm_startup(struct tpm *tpm);
/* Gives the platform hierarchy a random secret, as firmware does. */
int tpm_lock_platform(struct tpm *tpm);
/* Leaves the SHA-1, SHA-256 and SHA-384 banks, from the next reset on. */
int tpm_allocate_banks(struct tpm *tpm);

struct tpm_digest {
	uint16_t alg;
	const uint8_t *p;
	size_t len;
};
int tpm_pcr_extend(struct tpm *tpm, unsigned pcr, const struct tpm_digest *d,
    size_t n);
int tpm_pcr_read(struct tpm *tpm, unsigned pcr, uint8_t ret_sha256[32]);

/* The primary key of the endorsement hierarchy; ret is its TPMT_PUBLIC. */
int tpm_create_primary(struct tpm *tpm, const struct buf *template,
    struct buf *ret_public);
/* Makes it again, and keeps it under a handle of the owner's. */
int tpm_persist(struct tpm *tpm, const struct buf *template, uint32_t handle);
/* (Re)writes a platform index that anyone may read with empty auth. */
int tpm_nv_put(struct tpm *tpm, uint32_t index, const void *p, size_t len);
/* The index need not exist. */
void tpm_nv_remove(struct tpm *tpm, uint32_t index);

#endif
