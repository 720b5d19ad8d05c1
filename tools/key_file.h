/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_KEY_FILE_H
#define TOOLS_KEY_FILE_H

#include <openssl/x509.h>

#include "base/secret.h"

/*
 * The first private key in bytes: PEM or DER, PKCS#8, PKCS#1 or SEC 1, with
 * or without encryption. ask() is called once, and only for a key that is
 * encrypted; what fails in it is what the reader returns. name is the file's,
 * for messages. CVM_E_PARSE, CVM_E_PIN_INCORRECT.
 */
#define KEY_FILE_MAX (64 * 1024)
struct passphrase {
	int (*ask)(void *arg, struct secret **ret, struct why *why);
	void *arg;
};
int key_file_parse(struct span bytes, const char *name,
    const struct passphrase *p, EVP_PKEY **ret,
    struct why *reterr_why) _must_check_;
/* The only certificate in bytes, PEM or DER, whatever its key: it is stored
 * for others to judge. Freed with X509_free(). */
#define CERT_FILE_MAX (16 * 1024)
int cert_file_parse(struct span bytes, const char *name, X509 **ret,
    struct why *reterr_why) _must_check_;

#endif
