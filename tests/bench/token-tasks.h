/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_BENCH_TOKEN_TASKS_H
#define TESTS_BENCH_TOKEN_TASKS_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/pkcs11.h"

/*
 * What bench-token measures: each operation through a PKCS#11 module and by
 * OpenSSL alone, with the same keys. OpenSSL is used as a careful program does
 * that has nothing else in mind: each thread has contexts of its own, whose
 * keys are set once.
 */
#define LEN 1024

#define MUST(x)                                                                \
	do {                                                                   \
		if (!(x)) {                                                    \
			(void)fprintf(stderr, "bench-token: %s\n", #x);        \
			exit(1);                                               \
		}                                                              \
	} while (0)

/* A PKCS#11 module, opened and logged in. */
struct peer {
	const char *name;
	CK_FUNCTION_LIST *f;
	CK_FUNCTION_LIST_3_0 *f3; /* NULL: has none */
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE main;
	CK_OBJECT_HANDLE rsa, p256, p384, ed, aes, hmac;
};

enum raw_pkey {
	RAW_RSA_SIGN,
	RAW_RSA_PSS,
	RAW_RSA_DECRYPT,
	RAW_RSA_OAEP,
	RAW_P256,
	RAW_P384,
	RAW_ECDH,
	N_RAW_PKEYS
};

/* One thread's means. */
struct worker {
	const struct peer *peer; /* NULL: OpenSSL */
	CK_SESSION_HANDLE session;
	EVP_PKEY_CTX *pkey[N_RAW_PKEYS];
	EVP_MD_CTX *ed;
	EVP_CIPHER_CTX *seal, *open;
	EVP_MAC_CTX *hmac;
	uint8_t box[LEN + 16];
	bool messages; /* C_MessageEncryptInit was called */
};

struct task {
	const char *name;
	double floor; /* 0: none */
	void (*run)(struct worker *w);
	/* NULL: every peer can. */
	bool (*can)(const struct peer *p);
};

/* Ends with a name of NULL. */
extern const struct task tasks[];

/* The keys, and what is encrypted with them; before all others. */
void tasks_setup(void);
void tasks_end(void);
/* Brings the same keys into the peer, as session objects. */
void tasks_import(struct peer *p);
void worker_new(struct worker *w, const struct peer *peer);
void worker_free(struct worker *w);

#endif
