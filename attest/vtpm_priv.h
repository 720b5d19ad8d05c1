/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_VTPM_PRIV_H
#define ATTEST_VTPM_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <tss2/tss2_tpm2_types.h>

#include "attest/vtpm.h"
#include "base/clock.h"
#include "base/reader.h"

/*
 * What the files vtpm*.c share, and nobody else sees.
 *
 * Commands are marshalled here, with the reader and writer that all outside
 * bytes go through, and not by libtss2-esys: that library writes every TPM
 * error (a PCR that differs is one) to stderr unless TSS2_LOG says otherwise
 * in the environment of the host program, which is not ours to change and
 * which servers clear for their workers; and it makes an OSSL_LIB_CTX for
 * each HMAC. "device:" and "swtpm:" are spoken here too, since the TCTI
 * libraries do the same when a TPM goes away; any other TCTI is loaded by
 * libtss2-tctildr by its explicit name.
 */
#define TPM_RESPONSE_MAX 4096
#define TPM_ATTEMPTS 8 /* quotes and policies against moving PCRs */

struct tpm_link;

int tpm_link_open(const char *tcti, uint64_t deadline_ns, struct tpm_link **ret,
    struct why *reterr_why) _must_check_;
/* False for sockets and for libraries, which may lead anywhere. */
bool tpm_link_is_kernels(const struct tpm_link *l);
/* One command and its response, before the deadline (CLOCK_MONOTONIC). */
int tpm_link_exchange(struct tpm_link *l, struct span command,
    uint64_t deadline_ns, struct blob *ret,
    struct why *reterr_why) _must_check_;
void tpm_link_freep(struct tpm_link **l);
/* Drops what a child inherited: closes, sends nothing. */
void tpm_link_abandon(struct tpm_link **l);

struct vtpm {
	char *tcti;
	enum config_ak ak_kind;
	uint32_t ak_persistent;
	uint32_t timeout_ms;
	_Atomic uint64_t fork_mark; /* forkid() of the lock's process */
	pthread_mutex_t lock;
	_Atomic bool simulated; /* the last link led to no TPM of the kernel */
	/* Below: under the lock. */
	struct tpm_link *link;
	uint64_t deadline_ns; /* of the call under way */
	TPM2_RC rc;	      /* what the TPM said last; 0 as long as nothing */
	bool broken;	      /* the link failed: nothing more can be sent */
	TPM2_HANDLE ak;	      /* loaded or persistent; 0: neither */
	bool ak_transient;
	bool ak_given; /* vtpm_ak() gave this AK to somebody */
	struct blob ak_public, ak_name, ak_cert;
	struct pcr_values pcrs; /* last read; mask 0: none */
};

/* A salted session (TPM 2.0 Library, Part 1, section 19). Holds key material:
 * wiped by tpm_session_endp(), which also flushes it. */
struct tpm_session {
	struct vtpm *t;
	TPM2_HANDLE handle; /* 0: none */
	uint8_t nonce_tpm[SHA256_LEN], nonce_caller[SHA256_LEN];
	uint8_t key[SHA256_LEN];
};

/* A transient object that is flushed when it goes out of scope. */
struct tpm_object {
	struct vtpm *t;
	TPM2_HANDLE handle; /* 0: none */
	struct blob public; /* TPMT_PUBLIC */
	uint8_t name[TPM_NAME_MAX];
	size_t name_len;
};

/* A command under construction; the authorisation comes from send(). */
struct tpm_command {
	TPM2_CC code;
	const char *what; /* "TPM2_Quote", for messages */
	TPM2_HANDLE handles[3];
	size_t n_handles;
	bool password; /* empty password for handles[0] */
	bool returns_handle;
	struct writer params;
};

struct tpm_response {
	struct blob bytes;
	TPM2_HANDLE handle;
	struct span params;
	struct span auth;
};

void tpm_command_clear(struct tpm_command *c);
void tpm_response_clear(struct tpm_response *r);
void write_2b(struct writer *w, struct span s);
struct span read_2b(struct reader *r);

/*
 * Sends c, waits out TPM_RC_RETRY and its kin. CVM_E_UNREACHABLE: t->rc is
 * the TPM's answer, or t->broken is set. auth is a marshalled authorisation
 * area that replaces the password, or empty.
 */
int tpm_send(struct vtpm *t, struct tpm_command *c, struct span auth,
    struct tpm_response *ret, struct why *reterr_why) _must_check_;
/* A response that does not parse breaks the link. */
int tpm_garbled(struct vtpm *t, const char *what, struct why *reterr_why);
/* The TPM's answer without handle, parameter and session numbers. */
TPM2_RC tpm_rc_base(TPM2_RC rc);

void tpm_flush(struct vtpm *t, TPM2_HANDLE handle);
void tpm_object_endp(struct tpm_object *o);
/* TPM2_CreatePrimary with a TPMT_PUBLIC and empty auth. */
int tpm_create_primary(struct vtpm *t, TPM2_HANDLE hierarchy, struct span tmpl,
    struct tpm_object *ret, struct why *reterr_why) _must_check_;
int tpm_read_public(struct vtpm *t, TPM2_HANDLE handle, struct blob *ret,
    struct why *reterr_why) _must_check_;
int tpm_nv_read(struct vtpm *t, uint32_t index, size_t max, struct blob *ret,
    struct why *reterr_why) _must_check_;
int tpm_nv_write(struct vtpm *t, uint32_t index, struct span data,
    struct why *reterr_why) _must_check_;
int tpm_read_pcrs(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct pcr_values *ret, struct why *reterr_why) _must_check_;
/* TPML_PCR_SELECTION of one bank, 24 PCRs. */
void write_selection(struct writer *w, enum hash_alg bank, uint32_t mask);

/* type: TPM2_SE_HMAC or TPM2_SE_POLICY; salted to key (ECC P-256). */
int tpm_session_start(struct vtpm *t, const struct tpm_object *key,
    TPM2_SE type, struct tpm_session *ret, struct why *reterr_why) _must_check_;
void tpm_session_endp(struct tpm_session *s);
/*
 * Sends c with s authorising handles[0], whose name and auth value are given.
 * secret_in, if not NULL, is the content of the first TPM2B parameter and is
 * encrypted on its way (params hold what follows it); ret_secret, if not
 * NULL, gets the first TPM2B of the response, decrypted. One command only:
 * the TPM ends the session with it.
 */
int tpm_session_send(struct tpm_session *s, struct tpm_command *c,
    const struct tpm_object *authorised, const struct secret *auth,
    const struct secret *secret_in, struct secret **ret_secret,
    struct tpm_response *ret, struct why *reterr_why) _must_check_;

/* Loads the AK unless it is; CVM_E_UNREACHABLE. Under the lock. */
int tpm_ak_load(struct vtpm *t, struct why *reterr_why) _must_check_;
/* Forgets handles that went with the connection. */
void tpm_ak_forget(struct vtpm *t);

/*
 * Runs job under the lock on a connection, and again on a new one when the
 * link broke or the TPM ran out of room; the jobs are all idempotent.
 */
typedef int (*tpm_job)(struct vtpm *t, void *arg, struct why *reterr_why);
int vtpm_run(struct vtpm *t, tpm_job job, void *arg,
    struct why *reterr_why) _must_check_;

#endif
