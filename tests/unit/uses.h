/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_USES_H
#define TESTS_UNIT_USES_H

#include "tests/unit/scene.h"

/* Every entry point of the newest function list, and what uses a key. */
#define OUT_MAX 1024
#define FILL 0xaa

enum {
	KEY_EC,
	KEY_RSA,
	KEY_AES,
	KEY_MAC,
	KEY_PLAIN,
	KEY_KEM,
	KEY_KEM_PUBLIC,
	N_KEYS
};

/* What the steps work with, in one session of a logged-in user. */
extern struct use_stage {
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key[N_KEYS]; /* KEM's: uses_prepare_kem() */
	CK_BYTE cipher[64], mac[32], wrapped[64]; /* of the same input */
	CK_ULONG cipher_len, mac_len, wrapped_len;
	CK_BYTE tag[16];
	CK_BYTE out[OUT_MAX];
	CK_ULONG len;
	CK_OBJECT_HANDLE made; /* 0: nothing */
} use;

enum use_kind {
	NO_KEY, /* or a public one */
	USE,
	HOLDS, /* bound, it keeps its input for an admission of the whole */
	KEM,   /* a use that only a newer OpenSSL has a key for */
	KEEPS, /* the same, bound or not: the end of a message is the use */
};

extern const struct use {
	size_t at; /* in CK_FUNCTION_LIST_3_2, in the order there */
	const char *name;
	enum use_kind kind;
	CK_RV (*begin)(void); /* what comes before it, or NULL */
	CK_RV (*call)(void);
} uses[];
extern const size_t n_uses;

/* Configures, initializes and logs in; makes a key whose value may be read,
 * and what decryptions and checks need. */
void uses_prepare(struct scene *scene, const char *bind);
/* Makes the keys for the rows of KEM; false: this OpenSSL has none. */
bool uses_prepare_kem(void);
/* Ends whatever was begun, destroys use.made, and makes use.out empty. */
void uses_clean_up(void);

#endif
