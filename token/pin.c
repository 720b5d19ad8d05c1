/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>
#include <time.h>

#include "base/openssl.h"
#include "base/utf8.h"
#include "token/token_impl.h"

/* scrypt (RFC 7914): 32 MiB and about a tenth of a second a try. */
#define SCRYPT_N (1u << 15)
#define SCRYPT_R 8u
#define SCRYPT_P 1u
#define SCRYPT_MEM_MAX (64u * 1024 * 1024)
#define AUTH_LEN 32
#define LOCKED_PAUSES 30 /* for logins that are under way elsewhere */
#define OWN_PAUSES 300	 /* ... in this process, which are known of */

/* The counts stand in clear: they change before anything is unsealed. */
static const char *
tries_name(bool so)
{
	return so ? "so_tries" : "user_tries";
}

static void
kdf_freep(EVP_KDF **kdf)
{
	EVP_KDF_free(*kdf);
	*kdf = NULL;
}

static void
kdf_ctx_freep(EVP_KDF_CTX **ctx)
{
	EVP_KDF_CTX_free(*ctx);
	*ctx = NULL;
}

static OSSL_PARAM
octets(const char *name, struct span s)
{
	/* OpenSSL's parameters are not const, though these are only read. */
	union {
		const uint8_t *in;
		uint8_t *out;
	} data = { .in = s.data };

	return OSSL_PARAM_construct_octet_string(name, data.out, s.len);
}

int
pin_auth(struct span pin, const uint8_t token_id[static TOKEN_ID_LEN],
    enum seal_purpose purpose, struct secret **ret)
{
	quiet_openssl();
	_cleanup_(kdf_freep) EVP_KDF *kdf = NULL;
	_cleanup_(kdf_ctx_freep) EVP_KDF_CTX *ctx = NULL;
	_cleanup_(secret_freep) struct secret *auth = secret_new(AUTH_LEN);
	uint8_t salt[TOKEN_ID_LEN + 1];
	uint64_t n = SCRYPT_N, max = SCRYPT_MEM_MAX;
	uint32_t r = SCRYPT_R, p = SCRYPT_P;
	const OSSL_PARAM params[] = {
		octets(OSSL_KDF_PARAM_PASSWORD, pin),
		octets(OSSL_KDF_PARAM_SALT, span(salt, sizeof(salt))),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &max),
		OSSL_PARAM_construct_end(),
	};

	if (pin.len == 0 || auth == NULL)
		return auth == NULL ? CVM_E_NOMEM : CVM_E_INVAL;
	memcpy(salt, token_id, TOKEN_ID_LEN);
	salt[TOKEN_ID_LEN] = (uint8_t)purpose;
	kdf = EVP_KDF_fetch(crypto_libctx(), "SCRYPT", /* props= */ NULL);
	if (kdf == NULL)
		return CVM_E_CRYPTO;
	ctx = EVP_KDF_CTX_new(kdf);
	if (ctx == NULL)
		return CVM_E_NOMEM;
	if (EVP_KDF_derive(ctx, secret_data(auth), AUTH_LEN, params) != 1)
		return CVM_E_CRYPTO;
	*ret = TAKE_PTR(auth);
	return CVM_OK;
}

int
pin_check(struct span pin, struct why *reterr_why)
{
	struct span rest = pin;

	if (pin.len < PIN_LEN_MIN || pin.len > PIN_LEN_MAX)
		return why_setf(reterr_why, CVM_E_PIN_LEN, "PIN", "length",
		    "4 to 255 bytes", "%zu", pin.len);
	while (rest.len > 0) {
		size_t n = utf8_len(rest);

		if (n == 0 || rest.data[0] < 0x20 || rest.data[0] == 0x7f)
			return why_set(reterr_why, CVM_E_PIN_INVALID, "PIN",
			    "characters", "UTF-8 without control characters",
			    "others");
		rest = span(rest.data + n, rest.len - n);
	}
	return CVM_OK;
}

int
pin_tries(struct store *s, bool so, uint32_t *ret, struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob value = { 0 };
	int err;

	err = store_meta_get(s, tries_name(so), &value, reterr_why);
	if (err == CVM_OK && value.len == 1 && value.data[0] <= PIN_TRIES) {
		*ret = value.data[0];
		return CVM_OK;
	}
	if (err != CVM_OK && err != CVM_E_NOT_FOUND)
		return err;
	return why_setf(reterr_why, CVM_E_CORRUPT, store_path(s),
	    tries_name(so), "a count from 0 to 10", "%zu bytes", value.len);
}

int
pin_set_tries(struct store *s, bool so, uint32_t tries, struct why *reterr_why)
{
	const uint8_t value = (uint8_t)tries;

	return store_meta_set(s, tries_name(so), span(&value, sizeof(value)),
	    reterr_why);
}

/* In a transaction: the count changes, or the store stays as it is. */
static int
count(struct store *s, bool so, int change, struct why *reterr_why)
{
	uint32_t tries = 0;
	int err;

	err = pin_tries(s, so, &tries, reterr_why);
	if (err != CVM_OK)
		return err;
	if (change > 0 && tries >= PIN_TRIES)
		return why_set(reterr_why, CVM_E_PIN_LOCKED, store_path(s),
		    tries_name(so), "fewer than 10 wrong PINs", "10");
	if (change > 0)
		tries++;
	else if (change < 0 && tries > 0)
		tries--;
	else if (change == 0)
		tries = 0;
	return pin_set_tries(s, so, tries, reterr_why);
}

/* change: 1 counts a try, -1 gives it back, 0 clears the count. */
static int
change_tries(struct token *t, bool so, int change, struct why *reterr_why)
{
	struct store *s = NULL;
	uint64_t before = 0;
	int err;

	store_lock();
	err = token_store(t, &s, reterr_why);
	if (err == CVM_OK)
		err = store_begin(s, reterr_why);
	if (err == CVM_OK) {
		err = store_version(s, &before, reterr_why);
		if (err == CVM_OK)
			err = count(s, so, change, reterr_why);
		if (err == CVM_OK)
			err = store_commit(s, reterr_why);
		else
			store_rollback(s);
		if (err == CVM_OK)
			token_note_commit(t, before);
		token_reload(t);
	}
	store_unlock();
	return err;
}

/* Each login counts as a wrong one while it is under way, so that none is
 * lost with its process: more than PIN_TRIES at once are no wrong ones yet. */
int
pin_begin(struct token *t, bool so, struct why *reterr_why)
{
	static const struct timespec pause = { 0, 100 * 1000 * 1000 };
	int err = change_tries(t, so, 1, reterr_why), own = 0, others = 0;

	while (err == CVM_E_PIN_LOCKED && own < OWN_PAUSES &&
	    others < LOCKED_PAUSES) {
		(void)nanosleep(&pause, NULL);
		if (atomic_load(&t->logging_in[so]) > 0)
			own++;
		else
			others++;
		err = change_tries(t, so, 1, reterr_why);
	}
	if (err == CVM_OK)
		(void)atomic_fetch_add(&t->logging_in[so], 1);
	return err;
}

/* Twice, for ten right PINs on a disk that fails now and then must not lock:
 * nothing is lost by it if the first was written after all. */
static void
clear_tries(struct token *t, bool so)
{
	if (change_tries(t, so, 0, /* reterr_why= */ NULL) != CVM_OK)
		(void)!change_tries(t, so, 0, /* reterr_why= */ NULL);
}

/*
 * A count that cannot be written back stays too high, which errs on the safe
 * side and changes nothing about what the PIN has opened.
 */
int
pin_end(struct token *t, bool so, int err, struct why *reterr_why)
{
	if (err == CVM_OK)
		clear_tries(t, so);
	else if (err != CVM_E_PIN_INCORRECT &&
	    change_tries(t, so, -1, /* reterr_why= */ NULL) != CVM_OK)
		why_hint(reterr_why,
		    "the try stays counted: look at the store's disk");
	(void)atomic_fetch_sub(&t->logging_in[so], 1);
	return err;
}
