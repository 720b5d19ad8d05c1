/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_OPENSSL_H
#define BASE_OPENSSL_H

#include <openssl/err.h>

#include "base/cleanup.h"

/*
 * The error queue of a thread belongs to the host program: what a guest leaves
 * there is reported as the host's own error. A function that calls OpenSSL
 * starts with quiet_openssl(), which undoes at its return what it queued. (One
 * exception, where a mark costs too much and nothing can fail: op_once().)
 */
static inline void
quiet_openssl_end(int *mark)
{
	(void)mark;
	(void)ERR_pop_to_mark();
}

#define quiet_openssl()                                                        \
	_cleanup_(quiet_openssl_end)                                           \
	    __attribute__((unused)) int quiet_openssl_mark_ = ERR_set_mark()

#endif
