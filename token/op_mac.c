/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <string.h>

#include "token/op_impl.h"

/* HMAC (FIPS 198-1) and CMAC (SP 800-38B), whole or cut short; GMAC
 * (SP 800-38D). */

static size_t
mac_bound(const struct op *op, size_t in)
{
	(void)in;
	if (op->params.tag_len > 0)
		return op->params.tag_len;
	return op->mech->digest == DIGEST_NONE ?
	    16 :
	    digest_len((enum digest)op->mech->digest);
}

static OSSL_PARAM
name_param(const char *key, const char *name)
{
	union {
		const char *in;
		char *out;
	} u = { .in = name };

	return OSSL_PARAM_construct_utf8_string(key, u.out, 0);
}

static OSSL_PARAM
iv_param(struct span iv)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = iv.data };

	return OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, u.out,
	    iv.len);
}

/* The MAC of the mechanism, and what it is made of. */
static EVP_MAC *
choose(const struct op *op, size_t key_len, OSSL_PARAM params[static 3])
{
	enum cipher cipher = (enum cipher)op->mech->cipher;

	params[0] = params[1] = params[2] = OSSL_PARAM_construct_end();
	if (op->mech->digest != DIGEST_NONE) {
		params[0] = name_param(OSSL_MAC_PARAM_DIGEST,
		    digest_name((enum digest)op->mech->digest));
		return mac_hmac();
	}
	params[0] = name_param(OSSL_MAC_PARAM_CIPHER,
	    EVP_CIPHER_get0_name(cipher_get(cipher, key_len)));
	if (cipher != CIPHER_GCM)
		return mac_cmac();
	params[1] = iv_param(blob_span(&op->params.iv));
	return mac_gmac();
}

static int
mac_init(struct op *op, struct prepared *k, struct span key)
{
	OSSL_PARAM params[3];

	k->mac = EVP_MAC_CTX_new(choose(op, key.len, params));
	if (k->mac == NULL)
		return CVM_E_NOMEM;
	return EVP_MAC_init(k->mac, key.data, key.len, params) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

/* OpenSSL begins again with an HMAC key that it has. GMAC's nonce is in its
 * context; and not every OpenSSL 3 begins CMAC anew without its key. */
static uint64_t
mac_tag(const struct op *op)
{
	return op->mech->digest == DIGEST_NONE ?
	    0 :
	    (uint64_t)op->mech->type << 40 | 1;
}

static int
mac_begin(struct op *op, const struct permit *p, struct why *why)
{
	return op_prepare_secret(op, p, mac_tag(op), mac_init, why);
}

/* Nothing of the last message stays. */
static int
mac_arm(struct op *op)
{
	bool used = op->key->used;

	op->key->used = true;
	return !used ||
		EVP_MAC_init(op->mac, /* key= */ NULL, 0, /* params= */ NULL) ==
		    1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
mac_update(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	(void)out;
	*len = 0;
	return in.len == 0 || EVP_MAC_update(op->mac, in.data, in.len) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

static int
mac_final(struct op *op, uint8_t *out, size_t *len)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t want = mac_bound(op, 0), n = 0;
	int err = CVM_OK;

	if (op->kind == OP_VERIFY && op->sig.len != want)
		return CVM_E_SIGNATURE_LEN;
	if (EVP_MAC_final(op->mac, mac, &n, sizeof(mac)) != 1 || n < want)
		return CVM_E_CRYPTO;
	if (op->kind == OP_VERIFY) {
		err = CRYPTO_memcmp(mac, op->sig.data, want) == 0 ?
		    CVM_OK :
		    CVM_E_SIGNATURE_INVALID;
	} else {
		memcpy(out, mac, want);
		*len = want;
	}
	secret_wipe(mac, sizeof(mac));
	return err;
}

static int
mac_once(struct op *op, struct span in, uint8_t *out, size_t *len)
{
	size_t none;
	int err = mac_update(op, in, NULL, &none);

	return err == CVM_OK ? mac_final(op, out, len) : err;
}

const struct op_ops op_mac = {
	.begin = mac_begin,
	.tag = mac_tag,
	.arm = mac_arm,
	.bound = mac_bound,
	.update = mac_update,
	.final = mac_final,
	.once = mac_once,
	.rereads = true,
	.silent = true,
};
