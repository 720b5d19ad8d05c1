/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/permit.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/scene-program.h"

/*
 * Every entry point of the newest function list is here, and either uses no
 * private or secret key, or is called with permits that are always refused:
 * the program is linked with --wrap=permit_check, which all of token/ asks
 * before it touches key material. An entry point without a row, or one that
 * gives something out, fails the test; so does a row that would have failed
 * with a permit, too.
 */
static atomic_bool refuse;
static unsigned hour_strikes_at, looks; /* 0: never */

int __real_permit_check(const struct permit *p, const struct permit_issuer *i);
int __wrap_permit_check(const struct permit *p, const struct permit_issuer *i);

int
__wrap_permit_check(const struct permit *p, const struct permit_issuer *i)
{
	/* The hour strikes right before this look at the permit. */
	if (hour_strikes_at != 0 && ++looks == hour_strikes_at)
		fake_clock_pass(3600000);
	return atomic_load(&refuse) ? CVM_E_PERMIT : __real_permit_check(p, i);
}

/* A key that takes longer than any admission lasts. */
static uint64_t generation_ms;

int __real_EVP_PKEY_generate(EVP_PKEY_CTX *ctx, EVP_PKEY **ret);
int __wrap_EVP_PKEY_generate(EVP_PKEY_CTX *ctx, EVP_PKEY **ret);

int
__wrap_EVP_PKEY_generate(EVP_PKEY_CTX *ctx, EVP_PKEY **ret)
{
	fake_clock_pass(generation_ms);
	return __real_EVP_PKEY_generate(ctx, ret);
}

#define OUT_MAX 1024
#define FILL 0xaa

enum { KEY_EC, KEY_RSA, KEY_AES, KEY_MAC, KEY_PLAIN };

static struct stage {
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key[5];
	CK_BYTE cipher[64], mac[32], wrapped[64]; /* made with permits */
	CK_ULONG cipher_len, mac_len, wrapped_len;
	CK_BYTE tag[16];
	CK_BYTE out[OUT_MAX];
	CK_ULONG len;
	CK_OBJECT_HANDLE made; /* 0: nothing */
} x;

static CK_BYTE input[32] = "thirty-two bytes of input, once";
static CK_BYTE iv[16], nonce[12];
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
static CK_KEY_TYPE aes_type = CKK_AES;
static CK_ULONG aes_len = 32;

#define HASHED MECH(CKM_SHA256_RSA_PKCS)
#define CBC (&(CK_MECHANISM){ CKM_AES_CBC_PAD, iv, sizeof(iv) })
#define TEMPLATE                                                               \
	((CK_ATTRIBUTE[]){ { CKA_CLASS, &secret_class, sizeof(secret_class) }, \
	    { CKA_KEY_TYPE, &aes_type, sizeof(aes_type) } })
#define SIZED_TEMPLATE                                                         \
	((CK_ATTRIBUTE[]){ { CKA_CLASS, &secret_class, sizeof(secret_class) }, \
	    { CKA_KEY_TYPE, &aes_type, sizeof(aes_type) },                     \
	    { CKA_VALUE_LEN, &aes_len, sizeof(aes_len) } })

/* Steps: beginnings, with permits, and uses, which are refused without. */

#define STEP(name, call)                                                       \
	static CK_RV name(void)                                                \
	{                                                                      \
		return call;                                                   \
	}

STEP(encrypt_init, C_EncryptInit(x.s, CBC, x.key[KEY_AES]))

STEP(encrypt, C_Encrypt(x.s, input, 32, x.out, &x.len))

STEP(encrypt_update, C_EncryptUpdate(x.s, input, 32, x.out, &x.len))

static CK_RV
encrypt_begun(void)
{
	CK_BYTE part[64];
	CK_ULONG n = sizeof(part);
	CK_RV rv = encrypt_init();

	return rv != CKR_OK ? rv : C_EncryptUpdate(x.s, input, 32, part, &n);
}

STEP(encrypt_final, C_EncryptFinal(x.s, x.out, &x.len))

STEP(decrypt_init, C_DecryptInit(x.s, CBC, x.key[KEY_AES]))

STEP(decrypt_init_rsa, C_DecryptInit(x.s, MECH(CKM_RSA_PKCS), x.key[KEY_RSA]))

STEP(decrypt, C_Decrypt(x.s, x.cipher, x.cipher_len, x.out, &x.len))

STEP(decrypt_update,
    C_DecryptUpdate(x.s, x.cipher, x.cipher_len, x.out, &x.len))

static CK_RV
decrypt_begun(void)
{
	CK_BYTE part[64];
	CK_ULONG n = sizeof(part);
	CK_RV rv = decrypt_init();

	return rv != CKR_OK ?
	    rv :
	    C_DecryptUpdate(x.s, x.cipher, x.cipher_len, part, &n);
}

STEP(decrypt_final, C_DecryptFinal(x.s, x.out, &x.len))

STEP(digest_init, C_DigestInit(x.s, MECH(CKM_SHA256)))

static CK_RV
digest_key(void)
{
	CK_BYTE part[32];
	CK_ULONG n = sizeof(part);
	CK_RV rv = C_DigestKey(x.s, x.key[KEY_PLAIN]);

	if (rv == CKR_OK)
		(void)C_DigestFinal(x.s, part, &n);
	return rv;
}

STEP(sign_init, C_SignInit(x.s, MECH(CKM_ECDSA), x.key[KEY_EC]))

STEP(sign, C_Sign(x.s, input, 32, x.out, &x.len))

STEP(sign_init_parts, C_SignInit(x.s, HASHED, x.key[KEY_RSA]))

STEP(sign_update, C_SignUpdate(x.s, input, 32))

static CK_RV
sign_begun(void)
{
	CK_RV rv = sign_init_parts();

	return rv != CKR_OK ? rv : sign_update();
}

STEP(sign_final, C_SignFinal(x.s, x.out, &x.len))

STEP(mac_init, C_SignInit(x.s, MECH(CKM_SHA256_HMAC), x.key[KEY_MAC]))

STEP(recover_init, C_SignRecoverInit(x.s, MECH(CKM_RSA_PKCS), x.key[KEY_RSA]))

STEP(recover, C_SignRecover(x.s, input, 32, x.out, &x.len))

STEP(verify_init, C_VerifyInit(x.s, MECH(CKM_SHA256_HMAC), x.key[KEY_MAC]))

STEP(verify, C_Verify(x.s, input, 32, x.mac, x.mac_len))

STEP(verify_update, C_VerifyUpdate(x.s, input, 32))

static CK_RV
verify_begun(void)
{
	CK_RV rv = verify_init();

	return rv != CKR_OK ? rv : verify_update();
}

STEP(verify_final, C_VerifyFinal(x.s, x.mac, x.mac_len))

STEP(signature_init,
    C_VerifySignatureInit(x.s, MECH(CKM_SHA256_HMAC), x.key[KEY_MAC], x.mac,
	x.mac_len))

STEP(signature, C_VerifySignature(x.s, input, 32))

STEP(signature_update, C_VerifySignatureUpdate(x.s, input, 32))

static CK_RV
signature_begun(void)
{
	CK_RV rv = signature_init();

	return rv != CKR_OK ? rv : signature_update();
}

STEP(signature_final, C_VerifySignatureFinal(x.s))

static CK_RV
digest_encrypt_init(void)
{
	CK_RV rv = digest_init();

	return rv != CKR_OK ? rv : encrypt_init();
}

STEP(digest_encrypt, C_DigestEncryptUpdate(x.s, input, 32, x.out, &x.len))

static CK_RV
decrypt_digest_init(void)
{
	CK_RV rv = digest_init();

	return rv != CKR_OK ? rv : decrypt_init();
}

STEP(decrypt_digest,
    C_DecryptDigestUpdate(x.s, x.cipher, x.cipher_len, x.out, &x.len))

static CK_RV
sign_encrypt_init(void)
{
	CK_RV rv = mac_init();

	return rv != CKR_OK ? rv : encrypt_init();
}

STEP(sign_encrypt, C_SignEncryptUpdate(x.s, input, 32, x.out, &x.len))

static CK_RV
decrypt_verify_init(void)
{
	CK_RV rv = verify_init();

	return rv != CKR_OK ? rv : decrypt_init();
}

STEP(decrypt_verify,
    C_DecryptVerifyUpdate(x.s, x.cipher, x.cipher_len, x.out, &x.len))

STEP(generate_key,
    C_GenerateKey(x.s, MECH(CKM_AES_KEY_GEN), &SIZED_TEMPLATE[2], 1, &x.made))

static CK_RV
generate_pair(void)
{
	CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
		0x07 };
	CK_ATTRIBUTE params = { CKA_EC_PARAMS, p256, sizeof(p256) };
	CK_OBJECT_HANDLE pub = 0;

	return C_GenerateKeyPair(x.s, MECH(CKM_EC_KEY_PAIR_GEN), &params, 1,
	    NULL, 0, &pub, &x.made);
}

STEP(wrap,
    C_WrapKey(x.s, MECH(CKM_AES_KEY_WRAP), x.key[KEY_AES], x.key[KEY_MAC],
	x.out, &x.len))

STEP(unwrap,
    C_UnwrapKey(x.s, MECH(CKM_AES_KEY_WRAP), x.key[KEY_AES], x.wrapped,
	x.wrapped_len, TEMPLATE, 2, &x.made))

static CK_RV
derive(void)
{
	/* The base point of P-256. */
	static CK_BYTE point[65] = { 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c,
		0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
		0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1,
		0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2,
		0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f,
		0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce,
		0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5 };
	CK_ECDH1_DERIVE_PARAMS p = { CKD_NULL, 0, NULL, sizeof(point), point };
	CK_MECHANISM m = { CKM_ECDH1_DERIVE, &p, sizeof(p) };

	return C_DeriveKey(x.s, &m, x.key[KEY_EC], SIZED_TEMPLATE, 3, &x.made);
}

static CK_GCM_MESSAGE_PARAMS *
gcm(void)
{
	static CK_GCM_MESSAGE_PARAMS p;

	p = (CK_GCM_MESSAGE_PARAMS){ nonce, 12, 0, CKG_NO_GENERATE, x.tag,
		128 };
	return &p;
}
#define GCM gcm(), sizeof(CK_GCM_MESSAGE_PARAMS)

static CK_RV
wrap_authenticated(void)
{
	CK_MECHANISM m = { CKM_AES_GCM, GCM };

	return C_WrapKeyAuthenticated(x.s, &m, x.key[KEY_AES], x.key[KEY_MAC],
	    input, 8, x.out, &x.len);
}

static CK_RV
unwrap_authenticated(void)
{
	CK_MECHANISM m = { CKM_AES_GCM, GCM };
	static CK_BYTE wrapped[128];
	static CK_ULONG n;
	CK_RV rv = CKR_OK;

	/* What is unwrapped must have been wrapped, with a permit. */
	n = atomic_load(&refuse) ? n : sizeof(wrapped);
	if (!atomic_load(&refuse))
		rv = C_WrapKeyAuthenticated(x.s, &m, x.key[KEY_AES],
		    x.key[KEY_MAC], input, 8, wrapped, &n);
	return rv != CKR_OK ? rv :
			      C_UnwrapKeyAuthenticated(x.s, &m, x.key[KEY_AES],
				  wrapped, n, TEMPLATE, 2, input, 8, &x.made);
}

STEP(encapsulate,
    C_EncapsulateKey(x.s, MECH(CKM_ML_KEM), x.key[KEY_RSA], TEMPLATE, 2, x.out,
	&x.len, &x.made))

STEP(decapsulate,
    C_DecapsulateKey(x.s, MECH(CKM_ML_KEM), x.key[KEY_RSA], TEMPLATE, 2, x.out,
	256, &x.made))

static CK_RV
create(void)
{
	CK_ATTRIBUTE t[] = { TEMPLATE[0], TEMPLATE[1],
		{ CKA_VALUE, input, 32 } };

	return C_CreateObject(x.s, t, 3, &x.made);
}

STEP(copy, C_CopyObject(x.s, x.key[KEY_PLAIN], NULL, 0, &x.made))

static CK_RV
read_value(void)
{
	CK_ATTRIBUTE t = { CKA_VALUE, x.out, sizeof(x.out) };
	CK_RV rv = C_GetAttributeValue(x.s, x.key[KEY_PLAIN], &t, 1);

	x.len = t.ulValueLen;
	return rv;
}

static CK_RV
read_size(void)
{
	CK_ULONG n;

	return C_GetObjectSize(x.s, x.key[KEY_PLAIN], &n);
}

static CK_RV
set_label(void)
{
	CK_ATTRIBUTE t = { CKA_LABEL, input, 5 };

	return C_SetAttributeValue(x.s, x.key[KEY_PLAIN], &t, 1);
}

static CK_RV
find_secret(void)
{
	CK_OBJECT_HANDLE found[8];
	CK_ULONG n = 0;
	CK_RV rv = C_FindObjectsInit(x.s, TEMPLATE, 1);

	if (rv == CKR_OK)
		rv = C_FindObjects(x.s, found, 8, &n);
	(void)C_FindObjectsFinal(x.s);
	return rv == CKR_OK && n == 0 ? CKR_KEY_HANDLE_INVALID : rv;
}

static CK_RV
copy_made(void)
{
	CK_RV rv = copy();

	x.len = x.made;
	x.made = 0;
	return rv;
}

static CK_RV
destroy(void)
{
	CK_OBJECT_HANDLE h = x.len;

	x.len = OUT_MAX;
	return C_DestroyObject(x.s, h);
}

/* One message of each kind. */

STEP(message_encrypt_init,
    C_MessageEncryptInit(x.s, MECH(CKM_AES_GCM), x.key[KEY_AES]))

STEP(encrypt_message,
    C_EncryptMessage(x.s, GCM, NULL, 0, input, 32, x.out, &x.len))

STEP(encrypt_message_begin, C_EncryptMessageBegin(x.s, GCM, NULL, 0))

static CK_RV
encrypt_message_begun(void)
{
	CK_RV rv = message_encrypt_init();

	return rv != CKR_OK ? rv : encrypt_message_begin();
}

STEP(encrypt_message_next,
    C_EncryptMessageNext(x.s, GCM, input, 32, x.out, &x.len,
	CKF_END_OF_MESSAGE))

STEP(message_decrypt_init,
    C_MessageDecryptInit(x.s, MECH(CKM_AES_GCM), x.key[KEY_AES]))

/* A message of its own, whose tag is then right. */
static CK_RV
decrypt_message_ready(void)
{
	CK_BYTE sealed[64];
	CK_ULONG n = sizeof(sealed);
	CK_RV rv = message_encrypt_init();

	if (rv == CKR_OK)
		rv = C_EncryptMessage(x.s, GCM, NULL, 0, input, 32, sealed, &n);
	if (rv != CKR_OK)
		return rv;
	memcpy(x.wrapped, sealed, 32);
	rv = C_MessageEncryptFinal(x.s);
	return rv != CKR_OK ? rv : message_decrypt_init();
}

STEP(decrypt_message,
    C_DecryptMessage(x.s, GCM, NULL, 0, x.wrapped, 32, x.out, &x.len))

STEP(decrypt_message_begin, C_DecryptMessageBegin(x.s, GCM, NULL, 0))

static CK_RV
decrypt_message_begun(void)
{
	CK_RV rv = decrypt_message_ready();

	return rv != CKR_OK ? rv : decrypt_message_begin();
}

STEP(decrypt_message_next,
    C_DecryptMessageNext(x.s, GCM, x.wrapped, 32, x.out, &x.len,
	CKF_END_OF_MESSAGE))

STEP(message_sign_init, C_MessageSignInit(x.s, MECH(CKM_ECDSA), x.key[KEY_EC]))

STEP(sign_message, C_SignMessage(x.s, NULL, 0, input, 32, x.out, &x.len))

STEP(sign_message_begin, C_SignMessageBegin(x.s, NULL, 0))

static CK_RV
sign_message_begun(void)
{
	CK_RV rv = C_MessageSignInit(x.s, HASHED, x.key[KEY_RSA]);

	return rv != CKR_OK ? rv : sign_message_begin();
}

STEP(sign_message_next,
    C_SignMessageNext(x.s, NULL, 0, input, 32, x.out, &x.len))

STEP(message_verify_init,
    C_MessageVerifyInit(x.s, MECH(CKM_SHA256_HMAC), x.key[KEY_MAC]))

STEP(verify_message, C_VerifyMessage(x.s, NULL, 0, input, 32, x.mac, x.mac_len))

STEP(verify_message_begin, C_VerifyMessageBegin(x.s, NULL, 0))

static CK_RV
verify_message_begun(void)
{
	CK_RV rv = message_verify_init();

	return rv != CKR_OK ? rv : verify_message_begin();
}

STEP(verify_message_next,
    C_VerifyMessageNext(x.s, NULL, 0, input, 32, x.mac, x.mac_len))

/* Nothing is out, and whatever was begun is over. */
static void
clean_up(void)
{
	(void)C_SessionCancel(x.s, 0x7fffffff);
	(void)C_EncryptInit(x.s, NULL, 0);
	(void)C_DecryptInit(x.s, NULL, 0);
	(void)C_DigestInit(x.s, NULL);
	(void)C_SignInit(x.s, NULL, 0);
	(void)C_VerifyInit(x.s, NULL, 0);
	if (x.made != 0)
		(void)C_DestroyObject(x.s, x.made);
	x.made = 0;
	x.len = OUT_MAX;
	memset(x.out, FILL, sizeof(x.out));
}

enum kind {
	NO_KEY, /* or a public one */
	USE,
	HOLDS, /* bound, it keeps its input for an admission of the whole */
	KEM,   /* a use that only a newer OpenSSL has a key for */
	KEEPS, /* the same, bound or not: the end of a message is the use */
};

static const struct row {
	size_t at;
	const char *name;
	enum kind kind;
	CK_RV (*begin)(void); /* or NULL */
	CK_RV (*use)(void);
} rows[] = {
#define ROW(fn, ...)                                                           \
	{                                                                      \
		offsetof(CK_FUNCTION_LIST_3_2, fn), #fn, __VA_ARGS__           \
	}
#define NONE(fn) ROW(fn, NO_KEY, NULL, NULL)
	NONE(C_Initialize),
	NONE(C_Finalize),
	NONE(C_GetInfo),
	NONE(C_GetFunctionList),
	NONE(C_GetSlotList),
	NONE(C_GetSlotInfo),
	NONE(C_GetTokenInfo),
	NONE(C_GetMechanismList),
	NONE(C_GetMechanismInfo),
	NONE(C_InitToken), /* seals and PINs: test-login, test-gate */
	NONE(C_InitPIN),
	NONE(C_SetPIN),
	NONE(C_OpenSession),
	NONE(C_CloseSession),
	NONE(C_CloseAllSessions),
	NONE(C_GetSessionInfo),
	NONE(C_GetOperationState), /* not offered */
	NONE(C_SetOperationState),
	NONE(C_Login),
	NONE(C_Logout),
	ROW(C_CreateObject, USE, NULL, create),
	ROW(C_CopyObject, USE, NULL, copy),
	ROW(C_DestroyObject, USE, copy_made, destroy),
	ROW(C_GetObjectSize, USE, NULL, read_size),
	ROW(C_GetAttributeValue, USE, NULL, read_value),
	ROW(C_SetAttributeValue, USE, NULL, set_label),
	ROW(C_FindObjectsInit, USE, NULL, find_secret),
	ROW(C_FindObjects, USE, NULL, find_secret),
	NONE(C_FindObjectsFinal),
	ROW(C_EncryptInit, USE, NULL, encrypt_init),
	ROW(C_Encrypt, USE, encrypt_init, encrypt),
	ROW(C_EncryptUpdate, HOLDS, encrypt_init, encrypt_update),
	ROW(C_EncryptFinal, USE, encrypt_begun, encrypt_final),
	ROW(C_DecryptInit, USE, NULL, decrypt_init),
	ROW(C_DecryptInit, USE, NULL, decrypt_init_rsa),
	ROW(C_Decrypt, USE, decrypt_init, decrypt),
	ROW(C_DecryptUpdate, HOLDS, decrypt_init, decrypt_update),
	ROW(C_DecryptFinal, USE, decrypt_begun, decrypt_final),
	NONE(C_DigestInit),
	NONE(C_Digest),
	NONE(C_DigestUpdate),
	ROW(C_DigestKey, USE, digest_init, digest_key),
	NONE(C_DigestFinal),
	ROW(C_SignInit, USE, NULL, sign_init),
	ROW(C_SignInit, USE, NULL, mac_init),
	ROW(C_Sign, USE, sign_init, sign),
	ROW(C_Sign, USE, mac_init, sign),
	ROW(C_SignUpdate, HOLDS, sign_init_parts, sign_update),
	ROW(C_SignFinal, USE, sign_begun, sign_final),
	ROW(C_SignRecoverInit, USE, NULL, recover_init),
	ROW(C_SignRecover, USE, recover_init, recover),
	ROW(C_VerifyInit, USE, NULL, verify_init),
	ROW(C_Verify, USE, verify_init, verify),
	ROW(C_VerifyUpdate, HOLDS, verify_init, verify_update),
	ROW(C_VerifyFinal, USE, verify_begun, verify_final),
	NONE(C_VerifyRecoverInit), /* with a public key */
	NONE(C_VerifyRecover),
	ROW(C_DigestEncryptUpdate, HOLDS, digest_encrypt_init, digest_encrypt),
	ROW(C_DecryptDigestUpdate, HOLDS, decrypt_digest_init, decrypt_digest),
	ROW(C_SignEncryptUpdate, HOLDS, sign_encrypt_init, sign_encrypt),
	ROW(C_DecryptVerifyUpdate, HOLDS, decrypt_verify_init, decrypt_verify),
	ROW(C_GenerateKey, USE, NULL, generate_key),
	ROW(C_GenerateKeyPair, USE, NULL, generate_pair),
	ROW(C_WrapKey, USE, NULL, wrap),
	ROW(C_UnwrapKey, USE, NULL, unwrap),
	ROW(C_DeriveKey, USE, NULL, derive),
	NONE(C_SeedRandom),
	NONE(C_GenerateRandom),
	NONE(C_GetFunctionStatus),
	NONE(C_CancelFunction),
	NONE(C_WaitForSlotEvent),
	NONE(C_GetInterfaceList),
	NONE(C_GetInterface),
	NONE(C_LoginUser),
	NONE(C_SessionCancel),
	ROW(C_MessageEncryptInit, USE, NULL, message_encrypt_init),
	ROW(C_EncryptMessage, USE, message_encrypt_init, encrypt_message),
	ROW(C_EncryptMessageBegin, KEEPS, message_encrypt_init,
	    encrypt_message_begin),
	ROW(C_EncryptMessageNext, USE, encrypt_message_begun,
	    encrypt_message_next),
	NONE(C_MessageEncryptFinal),
	ROW(C_MessageDecryptInit, USE, NULL, message_decrypt_init),
	ROW(C_DecryptMessage, USE, decrypt_message_ready, decrypt_message),
	ROW(C_DecryptMessageBegin, KEEPS, message_decrypt_init,
	    decrypt_message_begin),
	ROW(C_DecryptMessageNext, USE, decrypt_message_begun,
	    decrypt_message_next),
	NONE(C_MessageDecryptFinal),
	ROW(C_MessageSignInit, USE, NULL, message_sign_init),
	ROW(C_SignMessage, USE, message_sign_init, sign_message),
	ROW(C_SignMessageBegin, KEEPS, message_sign_init, sign_message_begin),
	ROW(C_SignMessageNext, USE, sign_message_begun, sign_message_next),
	NONE(C_MessageSignFinal),
	ROW(C_MessageVerifyInit, USE, NULL, message_verify_init),
	ROW(C_VerifyMessage, USE, message_verify_init, verify_message),
	ROW(C_VerifyMessageBegin, KEEPS, message_verify_init,
	    verify_message_begin),
	ROW(C_VerifyMessageNext, USE, verify_message_begun,
	    verify_message_next),
	NONE(C_MessageVerifyFinal),
	ROW(C_EncapsulateKey, KEM, NULL, encapsulate),
	ROW(C_DecapsulateKey, KEM, NULL, decapsulate),
	ROW(C_VerifySignatureInit, USE, NULL, signature_init),
	ROW(C_VerifySignature, USE, signature_init, signature),
	ROW(C_VerifySignatureUpdate, HOLDS, signature_init, signature_update),
	ROW(C_VerifySignatureFinal, USE, signature_begun, signature_final),
	NONE(C_GetSessionValidationFlags),
	NONE(C_AsyncComplete), /* nothing is ever asynchronous */
	NONE(C_AsyncGetID),
	NONE(C_AsyncJoin),
	ROW(C_WrapKeyAuthenticated, USE, NULL, wrap_authenticated),
	ROW(C_UnwrapKeyAuthenticated, USE, NULL, unwrap_authenticated),
};

static void
entry_point_without_a_row(void **state)
{
	size_t at = offsetof(CK_FUNCTION_LIST_3_2, C_Initialize), next = 0;

	(void)state;
	for (; at < sizeof(CK_FUNCTION_LIST_3_2);
	     at += sizeof(CK_C_Initialize)) {
		if (next == NELEMS(rows) || rows[next].at != at)
			fail_msg("no row for the function at %zu, after %s", at,
			    next > 0 ? rows[next - 1].name : "nothing");
		while (next < NELEMS(rows) && rows[next].at == at)
			next++;
	}
	assert_int_equal(next, NELEMS(rows));
}

/* The newest list that the module has is the one that is enumerated. */
static void
newer_function_list_offered(void **state)
{
	CK_INTERFACE *in = NULL;
	CK_INTERFACE all[8];
	CK_ULONG n = NELEMS(all);

	(void)state;
	assert_ok(C_GetInterfaceList(all, &n));
	for (CK_ULONG i = 0; i < n; i++) {
		const CK_VERSION *v = all[i].pFunctionList;

		assert_true(v->major < 3 || (v->major == 3 && v->minor <= 2));
	}
	assert_ok(C_GetInterface(NULL, NULL, &in, 0));
}

/* With permits it works, or is not offered at all. */
static bool
offered(const struct row *r)
{
	CK_RV rv = CKR_OK;

	clean_up();
	if (r->begin != NULL)
		rv = r->begin();
	if (rv == CKR_OK)
		rv = r->use();
	clean_up();
	if (rv != CKR_OK && rv != CKR_FUNCTION_NOT_SUPPORTED)
		fail_msg("%s: 0x%lx with a permit", r->name, rv);
	return rv == CKR_OK;
}

static void
refused(const struct row *r, bool bound)
{
	CK_RV rv = CKR_OK;

	if (r->begin != NULL && (rv = r->begin()) != CKR_OK)
		fail_msg("%s: 0x%lx with a permit, again", r->name, rv);
	if (r->use == destroy)
		assert_int_not_equal(x.len, 0);
	atomic_store(&refuse, true);
	rv = r->use();
	atomic_store(&refuse, false);
	if (rv == CKR_OK && r->kind != KEEPS && !(bound && r->kind == HOLDS))
		fail_msg("%s succeeds without a permit", r->name);
	if (rv == CKR_OK && x.len != 0 && x.len != OUT_MAX)
		fail_msg("%s gives out %lu bytes", r->name, x.len);
	if (x.made != 0)
		fail_msg("%s makes an object", r->name);
	for (size_t i = 0; i < sizeof(x.out); i++)
		if (x.out[i] != FILL)
			fail_msg("%s writes output", r->name);
	clean_up();
}

static void prepare(const char *bind);

/* One row with an admission that runs out at the nth look; true: it has so
 * many. The call must do its work all the same, with another admission. */
static bool
runs_out_at(const struct row *r, unsigned nth)
{
	CK_RV rv = CKR_OK;
	unsigned n;

	clean_up();
	if (r->begin != NULL && (rv = r->begin()) != CKR_OK)
		fail_msg("%s: 0x%lx to begin with", r->name, rv);
	looks = 0;
	hour_strikes_at = nth;
	rv = r->use();
	hour_strikes_at = 0;
	n = looks;
	if (rv != CKR_OK)
		fail_msg("%s: 0x%lx when the admission runs out at look %u",
		    r->name, rv, nth);
	clean_up();
	return n >= nth;
}

static void
admission_runs_out_within_a_call(const char *bind)
{
	unsigned n = 0;

	if (!scene.there)
		skip();
	prepare(bind);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		if (rows[i].kind == NO_KEY || rows[i].kind == KEM ||
		    !offered(&rows[i]))
			continue;
		for (unsigned nth = 1; runs_out_at(&rows[i], nth); nth++)
			n++;
	}
	print_message("# an admission ran out at %u places\n", n);
	assert_true(n >= 100);
}

static void
session_admission_runs_out_within_a_call(void **state)
{
	(void)state;
	admission_runs_out_within_a_call("session");
}

static void
bound_admission_runs_out_within_a_call(void **state)
{
	(void)state;
	admission_runs_out_within_a_call("operation");
}

/* A buffer is as long as it was said to be, in each try; so is the buffer of a
 * member of a template, which is written only once. */
static void
length_is_lost_with_the_admission(void **state)
{
	CK_BYTE value[32 + 8], small[40], label[8];
	CK_BBOOL member[2] = { 7, 7 };
	CK_ATTRIBUTE inner = { CKA_EXTRACTABLE, &member[0], 1 };
	CK_ATTRIBUTE made[] = { TEMPLATE[0], TEMPLATE[1],
		{ CKA_VALUE, input, 32 }, { CKA_SENSITIVE, &no, 1 },
		{ CKA_EXTRACTABLE, &yes, 1 }, { CKA_LABEL, input, 5 },
		{ CKA_WRAP_TEMPLATE, &inner, sizeof(inner) } };
	CK_ATTRIBUTE t[] = { { CKA_LABEL, label, 3 }, { CKA_VALUE, value, 32 },
		{ CKA_WRAP_TEMPLATE, &inner, sizeof(inner) },
		{ CKA_MODULUS, value, 8 } };
	CK_ATTRIBUTE twice[] = { { CKA_VALUE, small, 8 },
		{ CKA_VALUE, value, 32 } };
	unsigned nth = 0;

	(void)state;
	if (!scene.there)
		skip();
	prepare("session");
	inner = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &yes, 1 };
	assert_ok(C_CreateObject(x.s, made, NELEMS(made), &x.made));
	do {
		CK_RV rv;

		memset(value, FILL, sizeof(value));
		memset(label, FILL, sizeof(label));
		memset(small, FILL, sizeof(small));
		inner = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &member[0], 0 };
		t[0].ulValueLen = 3;
		t[1].ulValueLen = twice[1].ulValueLen = 32;
		t[2].ulValueLen = sizeof(inner);
		t[3].ulValueLen = twice[0].ulValueLen = 8;
		looks = 0;
		hour_strikes_at = ++nth;
		rv = C_GetAttributeValue(x.s, x.made, t, NELEMS(t));
		hour_strikes_at = 0;
		/* The label does not fit, nor does the member. */
		assert_rv(CKR_ATTRIBUTE_TYPE_INVALID, rv);
		assert_int_equal(label[0], FILL);
		assert_int_equal(t[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
		assert_int_equal(t[1].ulValueLen, 32);
		assert_memory_equal(value, input, 32);
		assert_int_equal(value[32], FILL);
		assert_int_equal(member[0], 7);
		/* The first does not fit, and the hour may strike after it. */
		looks = 0;
		hour_strikes_at = nth;
		rv = C_GetAttributeValue(x.s, x.made, twice, NELEMS(twice));
		hour_strikes_at = 0;
		assert_rv(CKR_BUFFER_TOO_SMALL, rv);
		assert_int_equal(small[0], FILL);
	} while (looks >= nth);
	assert_true(nth >= 4);
}

/* A key whose value may be read, and what decryptions and checks need. */
static void
prepare(const char *bind)
{
	CK_ATTRIBUTE t[] = { TEMPLATE[0], TEMPLATE[1], { CKA_VALUE, input, 32 },
		{ CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 },
		{ CKA_PRIVATE, &yes, 1 } };

	scene_prepare(&scene,
	    &(struct scene_options){ .bind = bind, .tee_max_age_s = 86400 });
	assert_ok(C_Initialize(NULL));
	memset(&x, 0, sizeof(x));
	x.s = open_session(RW);
	login(x.s);
	x.key[KEY_EC] = find(x.s, CKO_PRIVATE_KEY, "ec");
	x.key[KEY_RSA] = find(x.s, CKO_PRIVATE_KEY, "rsa");
	x.key[KEY_AES] = find(x.s, CKO_SECRET_KEY, "aes");
	x.key[KEY_MAC] = find(x.s, CKO_SECRET_KEY, "mac");
	assert_ok(C_CreateObject(x.s, t, NELEMS(t), &x.key[KEY_PLAIN]));
	clean_up();
	assert_ok(encrypt_init());
	x.cipher_len = sizeof(x.cipher);
	assert_ok(C_Encrypt(x.s, input, 32, x.cipher, &x.cipher_len));
	assert_ok(mac_init());
	x.mac_len = sizeof(x.mac);
	assert_ok(C_Sign(x.s, input, 32, x.mac, &x.mac_len));
	x.wrapped_len = sizeof(x.wrapped);
	assert_ok(C_WrapKey(x.s, MECH(CKM_AES_KEY_WRAP), x.key[KEY_AES],
	    x.key[KEY_MAC], x.wrapped, &x.wrapped_len));
}

static void
key_reached_without_permit(const char *bind)
{
	unsigned uses = 0, missing = 0;

	if (!scene.there)
		skip();
	prepare(bind);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		if (rows[i].kind == NO_KEY)
			continue;
		if (rows[i].kind != KEM && !offered(&rows[i])) {
			missing++;
			continue;
		}
		refused(&rows[i], strcmp(bind, "operation") == 0);
		uses++;
	}
	print_message("# %u uses refused, %u not offered\n", uses, missing);
	assert_true(uses >= 40);
}

static void
session_key_reached_without_permit(void **state)
{
	(void)state;
	key_reached_without_permit("session");
}

static void
bound_key_reached_without_permit(void **state)
{
	(void)state;
	key_reached_without_permit("operation");
}

/* Its making was admitted when it began, and what follows is another use. */
static void
long_generation_is_lost(void **state)
{
	static const char *const binds[] = { "session", "operation" };

	(void)state;
	if (!scene.there)
		skip();
	for (size_t i = 0; i < NELEMS(binds); i++) {
		prepare(binds[i]);
		generation_ms = 3600000;
		assert_ok(generate_pair());
		generation_ms = 0;
		assert_int_not_equal(x.made, 0);
		atomic_store(&refuse, true);
		assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
		    C_SignInit(x.s, MECH(CKM_ECDSA), x.made));
		atomic_store(&refuse, false);
		assert_ok(C_Finalize(NULL));
	}
}

/* Neither the attribute nor a copy takes the binding back. */
static void
binding_is_loosened(void **state)
{
	CK_ATTRIBUTE bind = { CKA_CVM_BIND_OPERATION, &yes, 1 };
	CK_ATTRIBUTE loose = { CKA_CVM_BIND_OPERATION, &no, 1 };
	CK_BBOOL bound = CK_FALSE;
	CK_ATTRIBUTE asked = { CKA_CVM_BIND_OPERATION, &bound, 1 };

	(void)state;
	if (!scene.there)
		skip();
	prepare("session");
	assert_ok(C_SetAttributeValue(x.s, x.key[KEY_PLAIN], &bind, 1));
	assert_rv(CKR_ATTRIBUTE_READ_ONLY,
	    C_SetAttributeValue(x.s, x.key[KEY_PLAIN], &loose, 1));
	if (C_CopyObject(x.s, x.key[KEY_PLAIN], &loose, 1, &x.made) == CKR_OK) {
		assert_ok(C_GetAttributeValue(x.s, x.made, &asked, 1));
		assert_int_equal(bound, CK_TRUE);
	}
	assert_ok(C_CopyObject(x.s, x.key[KEY_PLAIN], NULL, 0, &x.made));
	assert_ok(C_GetAttributeValue(x.s, x.made, &asked, 1));
	assert_int_equal(bound, CK_TRUE);
}

static int
finalize(void **state)
{
	(void)state;
	atomic_store(&refuse, false);
	(void)C_Finalize(NULL);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_point_without_a_row),
		cmocka_unit_test(newer_function_list_offered),
		cmocka_unit_test_teardown(session_key_reached_without_permit,
		    finalize),
		cmocka_unit_test_teardown(bound_key_reached_without_permit,
		    finalize),
		cmocka_unit_test_teardown(
		    session_admission_runs_out_within_a_call, finalize),
		cmocka_unit_test_teardown(
		    bound_admission_runs_out_within_a_call, finalize),
		cmocka_unit_test_teardown(length_is_lost_with_the_admission,
		    finalize),
		cmocka_unit_test_teardown(long_generation_is_lost, finalize),
		cmocka_unit_test_teardown(binding_is_loosened, finalize),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
