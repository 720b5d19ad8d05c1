/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/uses.h"

struct use_stage use;

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

STEP(encrypt_init, C_EncryptInit(use.s, CBC, use.key[KEY_AES]))

STEP(encrypt, C_Encrypt(use.s, input, 32, use.out, &use.len))

STEP(encrypt_update, C_EncryptUpdate(use.s, input, 32, use.out, &use.len))

static CK_RV
encrypt_begun(void)
{
	CK_BYTE part[64];
	CK_ULONG n = sizeof(part);
	CK_RV rv = encrypt_init();

	return rv != CKR_OK ? rv : C_EncryptUpdate(use.s, input, 32, part, &n);
}

STEP(encrypt_final, C_EncryptFinal(use.s, use.out, &use.len))

STEP(decrypt_init, C_DecryptInit(use.s, CBC, use.key[KEY_AES]))

STEP(decrypt_init_rsa,
    C_DecryptInit(use.s, MECH(CKM_RSA_PKCS), use.key[KEY_RSA]))

STEP(decrypt, C_Decrypt(use.s, use.cipher, use.cipher_len, use.out, &use.len))

STEP(decrypt_update,
    C_DecryptUpdate(use.s, use.cipher, use.cipher_len, use.out, &use.len))

static CK_RV
decrypt_begun(void)
{
	CK_BYTE part[64];
	CK_ULONG n = sizeof(part);
	CK_RV rv = decrypt_init();

	return rv != CKR_OK ?
	    rv :
	    C_DecryptUpdate(use.s, use.cipher, use.cipher_len, part, &n);
}

STEP(decrypt_final, C_DecryptFinal(use.s, use.out, &use.len))

STEP(digest_init, C_DigestInit(use.s, MECH(CKM_SHA256)))

static CK_RV
digest_key(void)
{
	CK_BYTE part[32];
	CK_ULONG n = sizeof(part);
	CK_RV rv = C_DigestKey(use.s, use.key[KEY_PLAIN]);

	if (rv == CKR_OK)
		(void)C_DigestFinal(use.s, part, &n);
	return rv;
}

STEP(sign_init, C_SignInit(use.s, MECH(CKM_ECDSA), use.key[KEY_EC]))

STEP(sign, C_Sign(use.s, input, 32, use.out, &use.len))

STEP(sign_init_parts, C_SignInit(use.s, HASHED, use.key[KEY_RSA]))

STEP(sign_update, C_SignUpdate(use.s, input, 32))

static CK_RV
sign_begun(void)
{
	CK_RV rv = sign_init_parts();

	return rv != CKR_OK ? rv : sign_update();
}

STEP(sign_final, C_SignFinal(use.s, use.out, &use.len))

STEP(mac_init, C_SignInit(use.s, MECH(CKM_SHA256_HMAC), use.key[KEY_MAC]))

STEP(recover_init,
    C_SignRecoverInit(use.s, MECH(CKM_RSA_PKCS), use.key[KEY_RSA]))

STEP(recover, C_SignRecover(use.s, input, 32, use.out, &use.len))

STEP(verify_init, C_VerifyInit(use.s, MECH(CKM_SHA256_HMAC), use.key[KEY_MAC]))

STEP(verify, C_Verify(use.s, input, 32, use.mac, use.mac_len))

STEP(verify_update, C_VerifyUpdate(use.s, input, 32))

static CK_RV
verify_begun(void)
{
	CK_RV rv = verify_init();

	return rv != CKR_OK ? rv : verify_update();
}

STEP(verify_final, C_VerifyFinal(use.s, use.mac, use.mac_len))

STEP(signature_init,
    C_VerifySignatureInit(use.s, MECH(CKM_SHA256_HMAC), use.key[KEY_MAC],
	use.mac, use.mac_len))

STEP(signature, C_VerifySignature(use.s, input, 32))

STEP(signature_update, C_VerifySignatureUpdate(use.s, input, 32))

static CK_RV
signature_begun(void)
{
	CK_RV rv = signature_init();

	return rv != CKR_OK ? rv : signature_update();
}

STEP(signature_final, C_VerifySignatureFinal(use.s))

static CK_RV
digest_encrypt_init(void)
{
	CK_RV rv = digest_init();

	return rv != CKR_OK ? rv : encrypt_init();
}

STEP(digest_encrypt, C_DigestEncryptUpdate(use.s, input, 32, use.out, &use.len))

static CK_RV
decrypt_digest_init(void)
{
	CK_RV rv = digest_init();

	return rv != CKR_OK ? rv : decrypt_init();
}

STEP(decrypt_digest,
    C_DecryptDigestUpdate(use.s, use.cipher, use.cipher_len, use.out, &use.len))

static CK_RV
sign_encrypt_init(void)
{
	CK_RV rv = mac_init();

	return rv != CKR_OK ? rv : encrypt_init();
}

STEP(sign_encrypt, C_SignEncryptUpdate(use.s, input, 32, use.out, &use.len))

static CK_RV
decrypt_verify_init(void)
{
	CK_RV rv = verify_init();

	return rv != CKR_OK ? rv : decrypt_init();
}

STEP(decrypt_verify,
    C_DecryptVerifyUpdate(use.s, use.cipher, use.cipher_len, use.out, &use.len))

STEP(generate_key,
    C_GenerateKey(use.s, MECH(CKM_AES_KEY_GEN), &SIZED_TEMPLATE[2], 1,
	&use.made))

static CK_RV
generate_pair(void)
{
	CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
		0x07 };
	CK_ATTRIBUTE params = { CKA_EC_PARAMS, p256, sizeof(p256) };
	CK_OBJECT_HANDLE pub = 0;

	return C_GenerateKeyPair(use.s, MECH(CKM_EC_KEY_PAIR_GEN), &params, 1,
	    NULL, 0, &pub, &use.made);
}

STEP(wrap,
    C_WrapKey(use.s, MECH(CKM_AES_KEY_WRAP), use.key[KEY_AES], use.key[KEY_MAC],
	use.out, &use.len))

STEP(unwrap,
    C_UnwrapKey(use.s, MECH(CKM_AES_KEY_WRAP), use.key[KEY_AES], use.wrapped,
	use.wrapped_len, TEMPLATE, 2, &use.made))

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

	return C_DeriveKey(use.s, &m, use.key[KEY_EC], SIZED_TEMPLATE, 3,
	    &use.made);
}

static CK_GCM_MESSAGE_PARAMS *
gcm(void)
{
	static CK_GCM_MESSAGE_PARAMS p;

	p = (CK_GCM_MESSAGE_PARAMS){ nonce, 12, 0, CKG_NO_GENERATE, use.tag,
		128 };
	return &p;
}
#define GCM gcm(), sizeof(CK_GCM_MESSAGE_PARAMS)

static CK_RV
wrap_authenticated(void)
{
	CK_MECHANISM m = { CKM_AES_GCM, GCM };

	return C_WrapKeyAuthenticated(use.s, &m, use.key[KEY_AES],
	    use.key[KEY_MAC], input, 8, use.out, &use.len);
}

static CK_BYTE authenticated[128];
static CK_ULONG authenticated_len;

/* What is unwrapped must have been wrapped. */
static CK_RV
authenticated_wrapped(void)
{
	CK_MECHANISM m = { CKM_AES_GCM, GCM };

	authenticated_len = sizeof(authenticated);
	return C_WrapKeyAuthenticated(use.s, &m, use.key[KEY_AES],
	    use.key[KEY_MAC], input, 8, authenticated, &authenticated_len);
}

static CK_RV
unwrap_authenticated(void)
{
	CK_MECHANISM m = { CKM_AES_GCM, GCM };

	return C_UnwrapKeyAuthenticated(use.s, &m, use.key[KEY_AES],
	    authenticated, authenticated_len, TEMPLATE, 2, input, 8, &use.made);
}

/* The longest of ML-KEM-512, and as long as all of it. */
static CK_BYTE capsule[768];

STEP(encapsulate,
    C_EncapsulateKey(use.s, MECH(CKM_ML_KEM), use.key[KEY_KEM_PUBLIC], TEMPLATE,
	2, use.out, &use.len, &use.made))

static CK_RV
encapsulated(void)
{
	CK_OBJECT_HANDLE h = CK_INVALID_HANDLE;
	CK_ULONG n = sizeof(capsule);
	CK_RV rv = C_EncapsulateKey(use.s, MECH(CKM_ML_KEM),
	    use.key[KEY_KEM_PUBLIC], TEMPLATE, 2, capsule, &n, &h);

	return rv != CKR_OK ? rv : C_DestroyObject(use.s, h);
}

STEP(decapsulate,
    C_DecapsulateKey(use.s, MECH(CKM_ML_KEM), use.key[KEY_KEM], TEMPLATE, 2,
	capsule, sizeof(capsule), &use.made))

bool
uses_prepare_kem(void)
{
	CK_ULONG set = CKP_ML_KEM_512;
	CK_MECHANISM_INFO info;
	CK_ATTRIBUTE pub[] = { { CKA_PARAMETER_SET, &set, sizeof(set) },
		{ CKA_ENCAPSULATE, &yes, 1 } };
	CK_ATTRIBUTE priv[] = { { CKA_DECAPSULATE, &yes, 1 } };

	if (C_GetMechanismInfo(the_slot(), CKM_ML_KEM, &info) ==
	    CKR_MECHANISM_INVALID)
		return false;
	assert_ok(C_GenerateKeyPair(use.s, MECH(CKM_ML_KEM_KEY_PAIR_GEN), pub,
	    NELEMS(pub), priv, NELEMS(priv), &use.key[KEY_KEM_PUBLIC],
	    &use.key[KEY_KEM]));
	return true;
}

static CK_RV
create(void)
{
	CK_ATTRIBUTE t[] = { TEMPLATE[0], TEMPLATE[1],
		{ CKA_VALUE, input, 32 } };

	return C_CreateObject(use.s, t, 3, &use.made);
}

STEP(copy, C_CopyObject(use.s, use.key[KEY_PLAIN], NULL, 0, &use.made))

static CK_RV
read_value(void)
{
	CK_ATTRIBUTE t = { CKA_VALUE, use.out, sizeof(use.out) };
	CK_RV rv = C_GetAttributeValue(use.s, use.key[KEY_PLAIN], &t, 1);

	use.len = t.ulValueLen;
	return rv;
}

static CK_RV
read_size(void)
{
	CK_ULONG n;

	return C_GetObjectSize(use.s, use.key[KEY_PLAIN], &n);
}

static CK_RV
set_label(void)
{
	CK_ATTRIBUTE t = { CKA_LABEL, input, 5 };

	return C_SetAttributeValue(use.s, use.key[KEY_PLAIN], &t, 1);
}

static CK_RV
find_secret(void)
{
	CK_OBJECT_HANDLE found[8];
	CK_ULONG n = 0;
	CK_RV rv = C_FindObjectsInit(use.s, TEMPLATE, 1);

	if (rv == CKR_OK)
		rv = C_FindObjects(use.s, found, 8, &n);
	(void)C_FindObjectsFinal(use.s);
	return rv == CKR_OK && n == 0 ? CKR_KEY_HANDLE_INVALID : rv;
}

static CK_RV
copy_made(void)
{
	CK_RV rv = copy();

	use.len = use.made;
	use.made = 0;
	return rv;
}

static CK_RV
destroy(void)
{
	CK_OBJECT_HANDLE h = use.len;

	use.len = OUT_MAX;
	return C_DestroyObject(use.s, h);
}

/* One message of each kind. */

STEP(message_encrypt_init,
    C_MessageEncryptInit(use.s, MECH(CKM_AES_GCM), use.key[KEY_AES]))

STEP(encrypt_message,
    C_EncryptMessage(use.s, GCM, NULL, 0, input, 32, use.out, &use.len))

STEP(encrypt_message_begin, C_EncryptMessageBegin(use.s, GCM, NULL, 0))

static CK_RV
encrypt_message_begun(void)
{
	CK_RV rv = message_encrypt_init();

	return rv != CKR_OK ? rv : encrypt_message_begin();
}

STEP(encrypt_message_next,
    C_EncryptMessageNext(use.s, GCM, input, 32, use.out, &use.len,
	CKF_END_OF_MESSAGE))

STEP(message_decrypt_init,
    C_MessageDecryptInit(use.s, MECH(CKM_AES_GCM), use.key[KEY_AES]))

/* A message of its own, whose tag is then right. */
static CK_RV
decrypt_message_ready(void)
{
	CK_BYTE sealed[64];
	CK_ULONG n = sizeof(sealed);
	CK_RV rv = message_encrypt_init();

	if (rv == CKR_OK)
		rv = C_EncryptMessage(use.s, GCM, NULL, 0, input, 32, sealed,
		    &n);
	if (rv != CKR_OK)
		return rv;
	memcpy(use.wrapped, sealed, 32);
	rv = C_MessageEncryptFinal(use.s);
	return rv != CKR_OK ? rv : message_decrypt_init();
}

STEP(decrypt_message,
    C_DecryptMessage(use.s, GCM, NULL, 0, use.wrapped, 32, use.out, &use.len))

STEP(decrypt_message_begin, C_DecryptMessageBegin(use.s, GCM, NULL, 0))

static CK_RV
decrypt_message_begun(void)
{
	CK_RV rv = decrypt_message_ready();

	return rv != CKR_OK ? rv : decrypt_message_begin();
}

STEP(decrypt_message_next,
    C_DecryptMessageNext(use.s, GCM, use.wrapped, 32, use.out, &use.len,
	CKF_END_OF_MESSAGE))

STEP(message_sign_init,
    C_MessageSignInit(use.s, MECH(CKM_ECDSA), use.key[KEY_EC]))

STEP(sign_message, C_SignMessage(use.s, NULL, 0, input, 32, use.out, &use.len))

STEP(sign_message_begin, C_SignMessageBegin(use.s, NULL, 0))

static CK_RV
sign_message_begun(void)
{
	CK_RV rv = C_MessageSignInit(use.s, HASHED, use.key[KEY_RSA]);

	return rv != CKR_OK ? rv : sign_message_begin();
}

STEP(sign_message_next,
    C_SignMessageNext(use.s, NULL, 0, input, 32, use.out, &use.len))

STEP(message_verify_init,
    C_MessageVerifyInit(use.s, MECH(CKM_SHA256_HMAC), use.key[KEY_MAC]))

STEP(verify_message,
    C_VerifyMessage(use.s, NULL, 0, input, 32, use.mac, use.mac_len))

STEP(verify_message_begin, C_VerifyMessageBegin(use.s, NULL, 0))

static CK_RV
verify_message_begun(void)
{
	CK_RV rv = message_verify_init();

	return rv != CKR_OK ? rv : verify_message_begin();
}

STEP(verify_message_next,
    C_VerifyMessageNext(use.s, NULL, 0, input, 32, use.mac, use.mac_len))

/* Nothing is out, and whatever was begun is over. */
void
uses_clean_up(void)
{
	(void)C_SessionCancel(use.s, 0x7fffffff);
	(void)C_EncryptInit(use.s, NULL, 0);
	(void)C_DecryptInit(use.s, NULL, 0);
	(void)C_DigestInit(use.s, NULL);
	(void)C_SignInit(use.s, NULL, 0);
	(void)C_VerifyInit(use.s, NULL, 0);
	if (use.made != 0)
		(void)C_DestroyObject(use.s, use.made);
	use.made = 0;
	use.len = OUT_MAX;
	memset(use.out, FILL, sizeof(use.out));
}

const struct use uses[] = {
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
	ROW(C_DecapsulateKey, KEM, encapsulated, decapsulate),
	ROW(C_VerifySignatureInit, USE, NULL, signature_init),
	ROW(C_VerifySignature, USE, signature_init, signature),
	ROW(C_VerifySignatureUpdate, HOLDS, signature_init, signature_update),
	ROW(C_VerifySignatureFinal, USE, signature_begun, signature_final),
	NONE(C_GetSessionValidationFlags),
	NONE(C_AsyncComplete), /* nothing is ever asynchronous */
	NONE(C_AsyncGetID),
	NONE(C_AsyncJoin),
	ROW(C_WrapKeyAuthenticated, USE, NULL, wrap_authenticated),
	ROW(C_UnwrapKeyAuthenticated, USE, authenticated_wrapped,
	    unwrap_authenticated),
};

const size_t n_uses = NELEMS(uses);

/* A key whose value may be read, and what decryptions and checks need. */
void
uses_prepare(struct scene *scene, const char *bind)
{
	CK_ATTRIBUTE t[] = { TEMPLATE[0], TEMPLATE[1], { CKA_VALUE, input, 32 },
		{ CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 },
		{ CKA_PRIVATE, &yes, 1 } };

	scene_prepare(scene,
	    &(struct scene_options){ .bind = bind, .tee_max_age_s = 86400 });
	assert_ok(C_Initialize(NULL));
	memset(&use, 0, sizeof(use));
	use.s = open_session(RW);
	login(use.s);
	use.key[KEY_EC] = find(use.s, CKO_PRIVATE_KEY, "ec");
	use.key[KEY_RSA] = find(use.s, CKO_PRIVATE_KEY, "rsa");
	use.key[KEY_AES] = find(use.s, CKO_SECRET_KEY, "aes");
	use.key[KEY_MAC] = find(use.s, CKO_SECRET_KEY, "mac");
	assert_ok(C_CreateObject(use.s, t, NELEMS(t), &use.key[KEY_PLAIN]));
	uses_clean_up();
	assert_ok(encrypt_init());
	use.cipher_len = sizeof(use.cipher);
	assert_ok(C_Encrypt(use.s, input, 32, use.cipher, &use.cipher_len));
	assert_ok(mac_init());
	use.mac_len = sizeof(use.mac);
	assert_ok(C_Sign(use.s, input, 32, use.mac, &use.mac_len));
	use.wrapped_len = sizeof(use.wrapped);
	assert_ok(C_WrapKey(use.s, MECH(CKM_AES_KEY_WRAP), use.key[KEY_AES],
	    use.key[KEY_MAC], use.wrapped, &use.wrapped_len));
}
