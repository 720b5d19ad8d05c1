/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_BIRTH_H
#define ATTEST_BIRTH_H

#include <cjson/cJSON.h>

#include "attest/leaf.h"
#include "conf/json.h"

/*
 * What the module says of one of its keys, in a leaf of its own
 * (attest/PROTOCOL.md, "key"). Nothing but the module makes such leaves, and
 * it makes them of what its store says: a verifier who admits the machine can
 * rely on the statement as on the module.
 */
enum birth_origin {
	ORIGIN_UNKNOWN, /* of a token from before origins were kept */
	ORIGIN_GENERATED,
	ORIGIN_IMPORTED,
	ORIGIN_UNWRAPPED,
	ORIGIN_DERIVED,
};

#define BIRTH_SERIAL_MAX 16

struct birth {
	char serial[BIRTH_SERIAL_MAX + 1]; /* of the token */
	uint8_t fingerprint[SHA256_LEN];
	uint32_t origin;	/* enum birth_origin */
	uint32_t is_secret;	/* a secret key, else a private one */
	uint64_t key_type;	/* CKA_KEY_TYPE */
	uint64_t gen_mechanism; /* CKA_KEY_GEN_MECHANISM */
	bool local, always_sensitive, never_extractable;
	bool sensitive, extractable, bind_operation;
};

/* TUPLE("cvm-pkcs11/key/1", serial, nonce, fingerprint, statement).
 * CVM_E_INVAL: a nonce of another length. */
int leaf_key(const struct birth *b, struct span nonce,
    struct blob *ret) _must_check_;

/* The member "key" of a bundle, and back. */
int birth_put(cJSON *bundle, const struct birth *b) _must_check_;
int birth_read(const struct json_doc *doc, const struct json *item,
    struct birth *ret, struct why *reterr_why) _must_check_;
/* "generated" */
const char *birth_origin_name(uint32_t origin);

#endif
