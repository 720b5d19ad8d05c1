/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_PARSED_H
#define ATTEST_PARSED_H

#include "attest/chain.h"

/*
 * What was read from bytes, by these bytes: endorsements are the same from one
 * appraisal to the next, and reading them, with the keys in them, costs a good
 * part of verifying them. Bytes are compared whole. Only what could be read is
 * kept, and nothing follows from its being here: dates and signatures are
 * judged elsewhere. Holds PARSED_MAX objects of PARSED_BYTES_MAX altogether;
 * the one that was of no use for the longest time goes first. Not thread-safe.
 *
 * Every function takes NULL for a memory that is not there.
 */
#define PARSED_MAX 64
#define PARSED_BYTES_MAX (16 * 1024 * 1024)

struct parsed;

struct parsed *parsed_new(void);
void parsed_freep(struct parsed **p);

/* A kind of object: its address tells it from others. */
struct parsed_kind {
	void (*free)(void *object);
};

/* The object of this kind that was read from these bytes, borrowed up to the
 * next parsed_keep(), or NULL. */
void *parsed_find(struct parsed *p, const struct parsed_kind *kind,
    struct span bytes);
/* Keeps an object under a copy of bytes. False: it is still the caller's. */
bool parsed_keep(struct parsed *p, const struct parsed_kind *kind,
    struct span bytes, void *object);

/* As the functions of chain.h; the caller gets references of its own to
 * objects that others may hold as well. */
int parsed_cert(struct parsed *p, struct span der, bool padded,
    struct cert **ret) _must_check_;
int parsed_certs(struct parsed *p, struct span pem, struct cert **ret,
    size_t max, size_t *ret_n) _must_check_;
int parsed_crl(struct parsed *p, struct span bytes,
    struct crl **ret) _must_check_;
#endif
