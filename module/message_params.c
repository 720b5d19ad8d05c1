/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/crypto.h"
#include "module/message_params.h"

/* SP 800-38D section 8.2.2: vectors made at random have 96 random bits; with
 * a field that tells machines apart 64 are taken, as others take them. */
#define RANDOM_BITS_MIN 64

/* Older structures are as long as these, and have a pointer or a length where
 * these have a generator and a pointer: none passes for a tag. */
static bool
known_generator(CK_GENERATOR_FUNCTION g)
{
	return g <= CKG_GENERATE_COUNTER_XOR;
}

static bool
read_gcm(const void *from, struct span aad, struct message_param *ret)
{
	CK_GCM_MESSAGE_PARAMS p;

	memcpy(&p, from, sizeof(p));
	if (p.ulIvLen > MESSAGE_IV_MAX || p.ulTagBits > 8 * MESSAGE_TAG_MAX ||
	    p.ulTagBits % 8 != 0 || !known_generator(p.ivGenerator))
		return false;
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
	return true;
}

static bool
read_ccm(const void *from, struct span aad, struct message_param *ret)
{
	CK_CCM_MESSAGE_PARAMS p;

	memcpy(&p, from, sizeof(p));
	if (p.ulNonceLen > MESSAGE_IV_MAX || p.ulMACLen > MESSAGE_TAG_MAX ||
	    !known_generator(p.nonceGenerator))
		return false;
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
	return true;
}

/* No generator: the nonce always comes from the application. */
static bool
read_chacha(const void *from, struct span aad, struct message_param *ret)
{
	CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS p;

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
	return true;
}

/* Wrapping has the associated data in the parameter, and no place for a tag. */
static bool
read_gcm_wrap(const void *from, struct span aad, struct message_param *ret)
{
	CK_GCM_WRAP_PARAMS p;

	(void)aad;
	memcpy(&p, from, sizeof(p));
	return read_gcm(
	    &(CK_GCM_MESSAGE_PARAMS){
		.pIv = p.pIv,
		.ulIvLen = p.ulIvLen,
		.ulIvFixedBits = p.ulIvFixedBits,
		.ivGenerator = p.ivGenerator,
		.ulTagBits = p.ulTagBits,
	    },
	    span(p.pAAD, p.ulAADLen), ret);
}

static bool
read_ccm_wrap(const void *from, struct span aad, struct message_param *ret)
{
	CK_CCM_WRAP_PARAMS p;

	(void)aad;
	memcpy(&p, from, sizeof(p));
	return read_ccm(
	    &(CK_CCM_MESSAGE_PARAMS){
		.ulDataLen = p.ulDataLen,
		.pNonce = p.pNonce,
		.ulNonceLen = p.ulNonceLen,
		.ulNonceFixedBits = p.ulNonceFixedBits,
		.nonceGenerator = p.nonceGenerator,
		.ulMACLen = p.ulMACLen,
	    },
	    span(p.pAAD, p.ulAADLen), ret);
}

struct format {
	CK_MECHANISM_TYPE type;
	size_t len, one_shot_len;
	bool (*read)(const void *from, struct span aad,
	    struct message_param *ret);
};

static const struct format messages[] = {
	{ CKM_AES_GCM, sizeof(CK_GCM_MESSAGE_PARAMS), sizeof(CK_GCM_PARAMS),
	    read_gcm },
	{ CKM_AES_CCM, sizeof(CK_CCM_MESSAGE_PARAMS), sizeof(CK_CCM_PARAMS),
	    read_ccm },
	{ CKM_CHACHA20_POLY1305,
	    sizeof(CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS),
	    sizeof(CK_SALSA20_CHACHA20_POLY1305_PARAMS), read_chacha },
};

static const struct format wraps[] = {
	{ CKM_AES_GCM, sizeof(CK_GCM_WRAP_PARAMS), sizeof(CK_GCM_PARAMS),
	    read_gcm_wrap },
	{ CKM_AES_CCM, sizeof(CK_CCM_WRAP_PARAMS), sizeof(CK_CCM_PARAMS),
	    read_ccm_wrap },
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

static bool
read_param(const struct format *f, const void *param, struct span aad,
    struct message_param *ret)
{
	*ret = (struct message_param){ 0 };
	if (!f->read(param, aad, ret) || (ret->iv == NULL && ret->iv_len > 0))
		return false;
	ret->mech = (CK_MECHANISM){ f->type, &ret->one_shot, f->one_shot_len };
	return true;
}

bool
message_mechanism(CK_MECHANISM_TYPE type)
{
	return message_of(type) != NULL;
}

bool
message_init_fits(CK_MECHANISM_TYPE type, CK_ULONG len)
{
	const struct format *f = message_of(type);

	return f != NULL &&
	    (len == 0 || len == f->len || len == f->one_shot_len);
}

int
message_param_read(CK_MECHANISM_TYPE type, void *param, CK_ULONG len,
    struct span aad, struct message_param *ret)
{
	const struct format *f = message_of(type);

	if (f == NULL || param == NULL || len != f->len ||
	    !read_param(f, param, aad, ret) || ret->tag == NULL)
		return CVM_E_MECH_PARAM;
	return CVM_OK;
}

int
wrap_param_read(const CK_MECHANISM *mech, struct message_param *ret,
    const CK_MECHANISM **ret_mech)
{
	const struct format *f = format_of(wraps, NELEMS(wraps),
	    mech->mechanism);

	*ret_mech = mech;
	if (f == NULL || mech->ulParameterLen != f->len)
		return CVM_OK;
	if (!read_param(f, mech->pParameter, span(NULL, 0), ret))
		return CVM_E_MECH_PARAM;
	*ret_mech = &ret->mech;
	return CVM_OK;
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
make_random(struct message_param *p, size_t free_bits)
{
	uint8_t made[MESSAGE_IV_MAX];
	int err;

	if (free_bits < RANDOM_BITS_MIN)
		return CVM_E_MECH_PARAM;
	err = random_bytes(made, p->iv_len);
	if (err == CVM_OK)
		put_iv(p, made);
	return err;
}

/* Counters begin with zero (PKCS#11 section 6.13.2); none is used twice. */
static int
make_counted(struct message_param *p, size_t free_bits,
    struct message_counter *counter)
{
	uint8_t made[MESSAGE_IV_MAX] = { 0 };
	bool xored = p->generator == CKG_GENERATE_COUNTER_XOR;
	uint64_t n;

	if (counter == NULL || free_bits == 0)
		return CVM_E_MECH_PARAM;
	n = counter->n;
	if (free_bits < 64 && n >> free_bits != 0)
		return CVM_E_MECH_PARAM;
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
message_make_iv(struct message_param *p, struct message_counter *counter)
{
	size_t bits = 8 * p->iv_len;

	if (p->generator == CKG_NO_GENERATE)
		return CVM_OK;
	if (p->fixed_bits > bits)
		return CVM_E_MECH_PARAM;
	switch (p->generator) {
	case CKG_GENERATE:
	case CKG_GENERATE_RANDOM:
		return make_random(p, bits - p->fixed_bits);
	case CKG_GENERATE_COUNTER:
	case CKG_GENERATE_COUNTER_XOR:
		return make_counted(p, bits - p->fixed_bits, counter);
	default:
		return CVM_E_MECH_PARAM;
	}
}
