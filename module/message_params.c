/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/crypto.h"
#include "module/message_params.h"

/* SP 800-38D section 8.2.2: vectors made at random have 96 random bits; with
 * a field that tells machines apart 64 are taken, as others take them. */
#define RANDOM_BITS_MIN 64

static const struct message_names gcm_names = { "CK_GCM_MESSAGE_PARAMS", "pIv",
	"ulIvLen", "ulIvFixedBits", "ivGenerator", "pTag", "ulTagBits" };
static const struct message_names gcm_wrap_names = { "CK_GCM_WRAP_PARAMS",
	"pIv", "ulIvLen", "ulIvFixedBits", "ivGenerator", "", "ulTagBits" };
static const struct message_names ccm_names = { "CK_CCM_MESSAGE_PARAMS",
	"pNonce", "ulNonceLen", "ulNonceFixedBits", "nonceGenerator", "pMAC",
	"ulMACLen" };
static const struct message_names ccm_wrap_names = { "CK_CCM_WRAP_PARAMS",
	"pNonce", "ulNonceLen", "ulNonceFixedBits", "nonceGenerator", "",
	"ulMACLen" };
static const struct message_names chacha_names = {
	"CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS", "pNonce", "ulNonceLen", "",
	"", "pTag", ""
};

static int
refuse(struct why *why, const struct message_names *n, const char *field,
    const char *expected, CK_ULONG got)
{
	return why_setf(why, CVM_E_MECH_PARAM, n->where, field, expected, "%lu",
	    got);
}

/* Older structures are as long as these, and have a pointer or a length where
 * these have a generator and a pointer: none passes for a tag. */
static int
check_generator(const struct message_names *n, CK_GENERATOR_FUNCTION g,
    struct why *why)
{
	return g <= CKG_GENERATE_COUNTER_XOR ?
	    CVM_OK :
	    refuse(why, n, n->generator, "a generator (CKG_): 0 to 4", g);
}

static int
read_gcm(const struct message_names *n, const void *from, struct span aad,
    struct message_param *ret, struct why *why)
{
	CK_GCM_MESSAGE_PARAMS p;

	memcpy(&p, from, sizeof(p));
	if (p.ulIvLen > MESSAGE_IV_MAX)
		return refuse(why, n, n->iv_len, "at most 256 bytes",
		    p.ulIvLen);
	if (p.ulTagBits > 8 * MESSAGE_TAG_MAX || p.ulTagBits % 8 != 0)
		return refuse(why, n, n->tag_len,
		    "at most 128 bits, in whole bytes", p.ulTagBits);
	ret->generator = p.ivGenerator;
	ret->iv = p.pIv;
	ret->iv_len = p.ulIvLen;
	ret->fixed_bits = p.ulIvFixedBits;
	ret->tag = p.pTag;
	ret->tag_len = p.ulTagBits / 8;
	ret->one_shot.gcm = (CK_GCM_PARAMS){
		.pIv = p.pIv,
		.ulIvLen = p.ulIvLen,
		.ulIvBits = p.ulIvLen * 8,
		.pAAD = (CK_BYTE *)(uintptr_t)aad.data,
		.ulAADLen = aad.len,
		.ulTagBits = p.ulTagBits,
	};
	return check_generator(n, p.ivGenerator, why);
}

static int
read_ccm(const struct message_names *n, const void *from, struct span aad,
    struct message_param *ret, struct why *why)
{
	CK_CCM_MESSAGE_PARAMS p;

	memcpy(&p, from, sizeof(p));
	if (p.ulNonceLen > MESSAGE_IV_MAX)
		return refuse(why, n, n->iv_len, "at most 256 bytes",
		    p.ulNonceLen);
	if (p.ulMACLen > MESSAGE_TAG_MAX)
		return refuse(why, n, n->tag_len, "at most 16 bytes",
		    p.ulMACLen);
	ret->generator = p.nonceGenerator;
	ret->iv = p.pNonce;
	ret->iv_len = p.ulNonceLen;
	ret->fixed_bits = p.ulNonceFixedBits;
	ret->tag = p.pMAC;
	ret->tag_len = p.ulMACLen;
	ret->one_shot.ccm = (CK_CCM_PARAMS){
		.ulDataLen = p.ulDataLen,
		.pNonce = p.pNonce,
		.ulNonceLen = p.ulNonceLen,
		.pAAD = (CK_BYTE *)(uintptr_t)aad.data,
		.ulAADLen = aad.len,
		.ulMACLen = p.ulMACLen,
	};
	return check_generator(n, p.nonceGenerator, why);
}

/* No generator: the nonce always comes from the application. */
static int
read_chacha(const struct message_names *n, const void *from, struct span aad,
    struct message_param *ret, struct why *why)
{
	CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS p;

	(void)n;
	(void)why;
	memcpy(&p, from, sizeof(p));
	ret->generator = CKG_NO_GENERATE;
	ret->tag = p.pTag;
	ret->tag_len = MESSAGE_TAG_MAX;
	ret->one_shot.chacha = (CK_SALSA20_CHACHA20_POLY1305_PARAMS){
		.pNonce = p.pNonce,
		.ulNonceLen = p.ulNonceLen,
		.pAAD = (CK_BYTE *)(uintptr_t)aad.data,
		.ulAADLen = aad.len,
	};
	return CVM_OK;
}

/* Wrapping has the associated data in the parameter, and no place for a tag. */
static int
read_gcm_wrap(const struct message_names *n, const void *from, struct span aad,
    struct message_param *ret, struct why *why)
{
	CK_GCM_WRAP_PARAMS p;

	(void)aad;
	memcpy(&p, from, sizeof(p));
	return read_gcm(n,
	    &(CK_GCM_MESSAGE_PARAMS){
		.pIv = p.pIv,
		.ulIvLen = p.ulIvLen,
		.ulIvFixedBits = p.ulIvFixedBits,
		.ivGenerator = p.ivGenerator,
		.ulTagBits = p.ulTagBits,
	    },
	    span(p.pAAD, p.ulAADLen), ret, why);
}

static int
read_ccm_wrap(const struct message_names *n, const void *from, struct span aad,
    struct message_param *ret, struct why *why)
{
	CK_CCM_WRAP_PARAMS p;

	(void)aad;
	memcpy(&p, from, sizeof(p));
	return read_ccm(n,
	    &(CK_CCM_MESSAGE_PARAMS){
		.ulDataLen = p.ulDataLen,
		.pNonce = p.pNonce,
		.ulNonceLen = p.ulNonceLen,
		.ulNonceFixedBits = p.ulNonceFixedBits,
		.nonceGenerator = p.nonceGenerator,
		.ulMACLen = p.ulMACLen,
	    },
	    span(p.pAAD, p.ulAADLen), ret, why);
}

struct format {
	CK_MECHANISM_TYPE type;
	const struct message_names *names;
	size_t len, one_shot_len;
	int (*read)(const struct message_names *n, const void *from,
	    struct span aad, struct message_param *ret, struct why *why);
};

static const struct format messages[] = {
	{ CKM_AES_GCM, &gcm_names, sizeof(CK_GCM_MESSAGE_PARAMS),
	    sizeof(CK_GCM_PARAMS), read_gcm },
	{ CKM_AES_CCM, &ccm_names, sizeof(CK_CCM_MESSAGE_PARAMS),
	    sizeof(CK_CCM_PARAMS), read_ccm },
	{ CKM_CHACHA20_POLY1305, &chacha_names,
	    sizeof(CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS),
	    sizeof(CK_SALSA20_CHACHA20_POLY1305_PARAMS), read_chacha },
};

static const struct format wraps[] = {
	{ CKM_AES_GCM, &gcm_wrap_names, sizeof(CK_GCM_WRAP_PARAMS),
	    sizeof(CK_GCM_PARAMS), read_gcm_wrap },
	{ CKM_AES_CCM, &ccm_wrap_names, sizeof(CK_CCM_WRAP_PARAMS),
	    sizeof(CK_CCM_PARAMS), read_ccm_wrap },
};

static const struct format *
format_of(const struct format *table, size_t n, CK_MECHANISM_TYPE type)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].type == type)
			return &table[i];
	return NULL;
}

static const struct format *
message_of(CK_MECHANISM_TYPE type)
{
	return format_of(messages, NELEMS(messages), type);
}

static int
read_param(const struct format *f, const void *param, struct span aad,
    struct message_param *ret, struct why *why)
{
	int err;

	*ret = (struct message_param){ .names = f->names };
	err = f->read(f->names, param, aad, ret, why);
	if (err != CVM_OK)
		return err;
	if (ret->iv == NULL && ret->iv_len > 0)
		return why_set(why, CVM_E_MECH_PARAM, f->names->where,
		    f->names->iv, "a pointer", "NULL");
	ret->mech = (CK_MECHANISM){ f->type, &ret->one_shot, f->one_shot_len };
	return CVM_OK;
}

bool
message_mechanism(CK_MECHANISM_TYPE type)
{
	return message_of(type) != NULL;
}

int
message_init_check(CK_MECHANISM_TYPE type, CK_ULONG len, struct why *reterr_why)
{
	const struct format *f = message_of(type);

	if (f == NULL)
		return CVM_E_MECH_INVALID;
	if (len == 0 || len == f->len || len == f->one_shot_len)
		return CVM_OK;
	return refuse(reterr_why, f->names, "ulParameterLen",
	    "0, or the size of this or the mechanism's parameter", len);
}

int
message_param_read(CK_MECHANISM_TYPE type, void *param, CK_ULONG len,
    struct span aad, struct message_param *ret, struct why *reterr_why)
{
	const struct format *f = message_of(type);
	int err;

	if (f == NULL)
		return CVM_E_MECH_INVALID;
	if (param == NULL)
		return why_set(reterr_why, CVM_E_MECH_PARAM, f->names->where,
		    "pParameter", "a pointer", "NULL");
	if (len != f->len)
		return refuse(reterr_why, f->names, "ulParameterLen",
		    "the size of the structure", len);
	err = read_param(f, param, aad, ret, reterr_why);
	if (err == CVM_OK && ret->tag == NULL)
		err = why_set(reterr_why, CVM_E_MECH_PARAM, f->names->where,
		    f->names->tag, "a pointer", "NULL");
	return err;
}

int
wrap_param_read(const CK_MECHANISM *mech, struct message_param *ret,
    const CK_MECHANISM **ret_mech, struct why *reterr_why)
{
	const struct format *f = format_of(wraps, NELEMS(wraps),
	    mech->mechanism);
	int err;

	*ret_mech = mech;
	if (f == NULL || mech->ulParameterLen != f->len)
		return CVM_OK;
	err = read_param(f, mech->pParameter, span(NULL, 0), ret, reterr_why);
	if (err == CVM_OK)
		*ret_mech = &ret->mech;
	return err;
}

/* The bits of byte i of the vector that are the generator's. */
static uint8_t
free_mask(const struct message_param *p, size_t i)
{
	if (p->fixed_bits >= 8 * (i + 1))
		return 0;
	return p->fixed_bits <= 8 * i ? 0xff : 0xff >> (p->fixed_bits - 8 * i);
}

static void
put_iv(struct message_param *p, const uint8_t *made)
{
	for (size_t i = 0; i < p->iv_len; i++) {
		uint8_t mask = free_mask(p, i);

		p->iv[i] = (uint8_t)((p->iv[i] & ~mask) | (made[i] & mask));
	}
}

static int
make_random(struct message_param *p, size_t free_bits, struct why *why)
{
	uint8_t made[MESSAGE_IV_MAX];
	int err;

	if (free_bits < RANDOM_BITS_MIN)
		return refuse(why, p->names, p->names->fixed,
		    "64 bits or more left to the generator", p->fixed_bits);
	err = random_bytes(made, p->iv_len);
	if (err == CVM_OK)
		put_iv(p, made);
	return err;
}

/* Counters begin with zero (PKCS#11 section 6.13.2); none is used twice. */
static int
make_counted(struct message_param *p, size_t free_bits,
    struct message_counter *counter, struct why *why)
{
	uint8_t made[MESSAGE_IV_MAX] = { 0 };
	bool xored = p->generator == CKG_GENERATE_COUNTER_XOR;
	uint64_t n;

	if (counter == NULL)
		return refuse(why, p->names, p->names->generator,
		    "one that does not count: there is nothing to count in",
		    p->generator);
	n = counter->n;
	if (free_bits == 0 || (free_bits < 64 && n >> free_bits != 0))
		return refuse(why, p->names, p->names->fixed,
		    "bits left to the generator for one more vector",
		    p->fixed_bits);
	if (xored && !counter->based) {
		memset(counter->base, 0, sizeof(counter->base));
		memcpy(counter->base, p->iv, p->iv_len);
		counter->based = true;
	}
	for (size_t i = 0; i < p->iv_len; i++) {
		size_t at = p->iv_len - 1 - i;

		made[at] = i < 8 ? (uint8_t)(n >> (8 * i)) : 0;
		if (xored)
			made[at] ^= counter->base[at];
	}
	put_iv(p, made);
	counter->n++;
	return CVM_OK;
}

int
message_make_iv(struct message_param *p, struct message_counter *counter,
    struct why *reterr_why)
{
	size_t bits = 8 * p->iv_len;

	if (p->generator == CKG_NO_GENERATE)
		return CVM_OK;
	if (p->fixed_bits > bits)
		return refuse(reterr_why, p->names, p->names->fixed,
		    "no more bits than the vector has", p->fixed_bits);
	switch (p->generator) {
	case CKG_GENERATE:
	case CKG_GENERATE_RANDOM:
		return make_random(p, bits - p->fixed_bits, reterr_why);
	case CKG_GENERATE_COUNTER:
	case CKG_GENERATE_COUNTER_XOR:
		return make_counted(p, bits - p->fixed_bits, counter,
		    reterr_why);
	default:
		return refuse(reterr_why, p->names, p->names->generator,
		    "a generator (CKG_): 0 to 4", p->generator);
	}
}
