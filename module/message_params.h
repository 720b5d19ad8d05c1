/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_MESSAGE_PARAMS_H
#define MODULE_MESSAGE_PARAMS_H

#include <stdbool.h>

#include "base/blob.h"
#include "base/error.h"
#include "base/pkcs11.h"

/*
 * Parameters of single messages (CK_GCM_MESSAGE_PARAMS and its like): what the
 * one-shot form of the mechanism takes, and the application's memory that
 * initialization vector and tag go to or come from.
 */
#define MESSAGE_IV_MAX 256
#define MESSAGE_TAG_MAX 16

/* What the generators of one message-based process remember. */
struct message_counter {
	uint64_t n; /* vectors made so far */
	bool based;
	uint8_t base[MESSAGE_IV_MAX]; /* of CKG_GENERATE_COUNTER_XOR */
};

/* What the members of a structure are called where one is refused. */
struct message_names {
	const char *where, *iv, *iv_len, *fixed, *generator, *tag, *tag_len;
};

struct message_param {
	const struct message_names *names;
	CK_MECHANISM mech; /* points into one_shot */
	union {
		CK_GCM_PARAMS gcm;
		CK_CCM_PARAMS ccm;
		CK_SALSA20_CHACHA20_POLY1305_PARAMS chacha;
	} one_shot;
	CK_GENERATOR_FUNCTION generator;
	CK_BYTE *iv; /* the application's */
	size_t iv_len, fixed_bits;
	CK_BYTE *tag; /* the application's */
	size_t tag_len;
};

/* Whether there are messages of that mechanism, that is, whether it is an
 * AEAD; len is that of an optional parameter of ...Init, a message's or the
 * mechanism's own, of which nothing is used: else CVM_E_MECH_PARAM. */
bool message_mechanism(CK_MECHANISM_TYPE type);
int message_init_check(CK_MECHANISM_TYPE type, CK_ULONG len,
    struct why *reterr_why) _must_check_;
/* CVM_E_MECH_PARAM. *ret points to itself and to the caller's memory: it
 * is not to be copied, and used before the caller returns. */
int message_param_read(CK_MECHANISM_TYPE type, void *param, CK_ULONG len,
    struct span aad, struct message_param *ret,
    struct why *reterr_why) _must_check_;
/*
 * The mechanism that C_WrapKey or C_UnwrapKey was given: *ret_mech is that of
 * *ret for a CK_GCM_WRAP_PARAMS or a CK_CCM_WRAP_PARAMS, and mech itself for
 * anything else. Their tag stands behind the wrapped key. CVM_E_MECH_PARAM.
 */
int wrap_param_read(const CK_MECHANISM *mech, struct message_param *ret,
    const CK_MECHANISM **ret_mech, struct why *reterr_why) _must_check_;
/*
 * Makes the initialization vector that the parameter asks for, in the
 * application's memory. counter NULL: there is no process to count in, and
 * the generators that count are refused. CVM_E_MECH_PARAM also when so few
 * bits are left to the generator that vectors would come twice.
 */
int message_make_iv(struct message_param *p, struct message_counter *counter,
    struct why *reterr_why) _must_check_;

#endif
