/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/fuzz/api.h"
#include "tests/fuzz/fake-machine.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Calls of the whole PKCS#11 face in any order with hostile arguments. An
 * input is a list of calls: a function's number, then its arguments as the
 * letters of the table below read them. Every buffer has exactly the length
 * that the call is told. While the machine denies, nothing may come out of a
 * private or secret key.
 */
#define ARGS_MAX 12
#define CALLS_MAX 48
#define HELD_MAX 256 /* buffers of one call; two deep templates have 114 */
#define POOL 8

typedef void (*any_function)(void);

/*
 * s session	l slot	o object	n number	f flags	u user type
 * m mechanism	d data and length	D output, length in and out
 * R output and length	t template and count	g template to be filled
 * x session, out	k object, out	z structure, out	L label
 * p parameter of a message, and its length
 */
static const struct entry {
	size_t offset; /* in CK_FUNCTION_LIST_3_2 */
	const char *args;
	bool uses_key; /* never CKR_OK with output while the machine denies */
} entries[] = {
#define ENTRY(name, args, key)                                                 \
	{                                                                      \
		offsetof(CK_FUNCTION_LIST_3_2, name), args, key                \
	}
	ENTRY(C_GetInfo, "z", false),
	ENTRY(C_GetSlotInfo, "lz", false),
	ENTRY(C_GetTokenInfo, "lz", false),
	ENTRY(C_GetMechanismInfo, "lnz", false),
	ENTRY(C_InitToken, "ldL", false),
	ENTRY(C_InitPIN, "sd", false),
	ENTRY(C_SetPIN, "sdd", false),
	ENTRY(C_OpenSession, "lfnnx", false),
	ENTRY(C_CloseSession, "s", false),
	ENTRY(C_CloseAllSessions, "l", false),
	ENTRY(C_GetSessionInfo, "sz", false),
	ENTRY(C_GetOperationState, "sD", false),
	ENTRY(C_SetOperationState, "sdoo", false),
	ENTRY(C_Login, "sud", false),
	ENTRY(C_LoginUser, "sudd", false),
	ENTRY(C_Logout, "s", false),
	ENTRY(C_CreateObject, "stk", false),
	ENTRY(C_CopyObject, "sotk", false),
	ENTRY(C_DestroyObject, "so", false),
	ENTRY(C_GetObjectSize, "soz", false),
	ENTRY(C_GetAttributeValue, "sog", false),
	ENTRY(C_SetAttributeValue, "sot", false),
	ENTRY(C_FindObjectsInit, "st", false),
	ENTRY(C_FindObjects, "szcz", false),
	ENTRY(C_FindObjectsFinal, "s", false),
	ENTRY(C_EncryptInit, "smo", false),
	ENTRY(C_Encrypt, "sdD", false),
	ENTRY(C_EncryptUpdate, "sdD", false),
	ENTRY(C_EncryptFinal, "sD", false),
	ENTRY(C_DecryptInit, "smo", false),
	ENTRY(C_Decrypt, "sdD", true),
	ENTRY(C_DecryptUpdate, "sdD", true),
	ENTRY(C_DecryptFinal, "sD", true),
	ENTRY(C_DigestInit, "sm", false),
	ENTRY(C_Digest, "sdD", false),
	ENTRY(C_DigestUpdate, "sd", false),
	ENTRY(C_DigestKey, "so", true),
	ENTRY(C_DigestFinal, "sD", false),
	ENTRY(C_SignInit, "smo", false),
	ENTRY(C_Sign, "sdD", true),
	ENTRY(C_SignUpdate, "sd", false),
	ENTRY(C_SignFinal, "sD", true),
	ENTRY(C_SignRecoverInit, "smo", false),
	ENTRY(C_SignRecover, "sdD", true),
	ENTRY(C_VerifyInit, "smo", false),
	ENTRY(C_Verify, "sdd", false),
	ENTRY(C_VerifyUpdate, "sd", false),
	ENTRY(C_VerifyFinal, "sd", false),
	ENTRY(C_VerifyRecoverInit, "smo", false),
	ENTRY(C_VerifyRecover, "sdD", false),
	ENTRY(C_DigestEncryptUpdate, "sdD", false),
	ENTRY(C_DecryptDigestUpdate, "sdD", true),
	ENTRY(C_SignEncryptUpdate, "sdD", false),
	ENTRY(C_DecryptVerifyUpdate, "sdD", true),
	ENTRY(C_GenerateKey, "smtk", true),
	ENTRY(C_GenerateKeyPair, "smttkk", true),
	ENTRY(C_WrapKey, "smooD", true),
	ENTRY(C_UnwrapKey, "smodtk", true),
	ENTRY(C_DeriveKey, "smotk", true),
	ENTRY(C_SeedRandom, "sd", false),
	ENTRY(C_GenerateRandom, "sR", false),
	ENTRY(C_GetFunctionStatus, "s", false),
	ENTRY(C_CancelFunction, "s", false),
	ENTRY(C_WaitForSlotEvent, "1zi", false),
	ENTRY(C_SessionCancel, "sf", false),
	ENTRY(C_MessageEncryptInit, "smo", false),
	ENTRY(C_EncryptMessage, "spddD", true),
	ENTRY(C_EncryptMessageBegin, "spd", false),
	ENTRY(C_EncryptMessageNext, "spdDf", false),
	ENTRY(C_MessageEncryptFinal, "s", false),
	ENTRY(C_MessageDecryptInit, "smo", false),
	ENTRY(C_DecryptMessage, "spddD", true),
	ENTRY(C_DecryptMessageBegin, "spd", false),
	ENTRY(C_DecryptMessageNext, "spdDf", true),
	ENTRY(C_MessageDecryptFinal, "s", false),
	ENTRY(C_MessageSignInit, "smo", false),
	ENTRY(C_SignMessage, "spdD", true),
	ENTRY(C_SignMessageBegin, "sp", false),
	ENTRY(C_SignMessageNext, "spdD", false),
	ENTRY(C_MessageSignFinal, "s", false),
	ENTRY(C_MessageVerifyInit, "smo", false),
	ENTRY(C_VerifyMessage, "spdd", false),
	ENTRY(C_VerifyMessageBegin, "sp", false),
	ENTRY(C_VerifyMessageNext, "spdd", false),
	ENTRY(C_MessageVerifyFinal, "s", false),
	ENTRY(C_EncapsulateKey, "smotDk", false),
	ENTRY(C_DecapsulateKey, "smotdk", true),
	ENTRY(C_VerifySignatureInit, "smod", false),
	ENTRY(C_VerifySignature, "sd", false),
	ENTRY(C_VerifySignatureUpdate, "sd", false),
	ENTRY(C_VerifySignatureFinal, "s", false),
	ENTRY(C_GetSessionValidationFlags, "snz", false),
	ENTRY(C_WrapKeyAuthenticated, "smoodD", true),
	ENTRY(C_UnwrapKeyAuthenticated, "smodtdk", true),
};

static CK_FUNCTION_LIST_3_2 *p11;
static char dir[] = "/dev/shm/fuzz-api.XXXXXX";
static CK_SLOT_ID slot, pin_slot;
static CK_SESSION_HANDLE sessions[POOL];
static CK_OBJECT_HANDLE objects[POOL], keys[POOL]; /* keys are always there */
static size_t n_keys, n_objects;
static CK_MECHANISM_TYPE mechs[256];
static CK_ULONG n_mechs = 256;

/* What one call holds; freed after it. */
static void *held[HELD_MAX];
static size_t n_held;

void *
hold(size_t len)
{
	void *p;

	if (n_held == HELD_MAX)
		abort();
	/* Not calloc: what the module reads unwritten is a finding, too. */
	p = malloc(len > 0 ? len : 1);
	if (p == NULL)
		abort();
	memset(p, 0xa5, len);
	return held[n_held++] = p;
}

static void
release(void)
{
	while (n_held > 0)
		free(held[--n_held]);
}

/* Data of the input; NULL for a length of 255. */
struct span
take_data(struct reader *r)
{
	size_t len = read_u8(r);
	uint8_t *p;

	if (len == 255)
		return span(NULL, 0);
	if (len > reader_left(r))
		len = reader_left(r);
	p = hold(len);
	if (len > 0)
		read_bytes(r, p, len);
	return span(p, len);
}

CK_BYTE_PTR
bytes_of(struct span s)
{
	return (CK_BYTE_PTR)(uintptr_t)s.data;
}

CK_OBJECT_HANDLE
a_key(uint8_t n)
{
	return keys[n % n_keys];
}

static CK_ULONG
take_mechanism(struct reader *r)
{
	CK_MECHANISM *m = hold(sizeof(*m));
	uint8_t which = read_u8(r);

	m->mechanism = which < 200 ? mechs[which % n_mechs] : read_be16(r);
	m->pParameter = NULL;
	m->ulParameterLen = 0;
	take_params(r, m);
	return which == 255 ? 0 : CAST_PTR(m);
}

/* Types that templates are about; anything else comes as a number. */
static const CK_ATTRIBUTE_TYPE types[] = { CKA_CLASS, CKA_TOKEN, CKA_PRIVATE,
	CKA_LABEL, CKA_VALUE, CKA_CERTIFICATE_TYPE, CKA_KEY_TYPE, CKA_ID,
	CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_SIGN,
	CKA_VERIFY, CKA_DERIVE, CKA_MODULUS, CKA_MODULUS_BITS,
	CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_VALUE_LEN,
	CKA_EXTRACTABLE, CKA_LOCAL, CKA_EC_PARAMS, CKA_EC_POINT, CKA_COPYABLE,
	CKA_MODIFIABLE, CKA_DESTROYABLE, CKA_ALWAYS_AUTHENTICATE,
	CKA_WRAP_WITH_TRUSTED, CKA_TRUSTED, CKA_ALLOWED_MECHANISMS,
	CKA_START_DATE, CKA_END_DATE, CKA_CHECK_VALUE, CKA_UNIQUE_ID,
	CKA_APPLICATION, CKA_OBJECT_ID, CKA_PUBLIC_KEY_INFO,
	CKA_CVM_BIND_OPERATION };
/* With the length of the array in them, and of templates in templates. */
static const CK_ATTRIBUTE_TYPE nests[] = { CKA_WRAP_TEMPLATE,
	CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE };

static void take_attribute(struct reader *r, CK_ATTRIBUTE *a, unsigned depth);

CK_ATTRIBUTE *
take_template(struct reader *r, CK_ULONG *n, unsigned depth)
{
	CK_ATTRIBUTE *a;

	*n = read_u8(r) % (depth == 0 ? 9 : 3);
	a = hold(*n * sizeof(*a));
	for (CK_ULONG i = 0; i < *n; i++)
		take_attribute(r, &a[i], depth);
	return a;
}

static void
take_attribute(struct reader *r, CK_ATTRIBUTE *a, unsigned depth)
{
	uint8_t which = read_u8(r), form = read_u8(r);
	struct span s;
	CK_ULONG n, *number;

	if (which >= 0xf0 && depth < 2) {
		a->type = nests[which % 3];
		a->pValue = take_template(r, &n, depth + 1);
		a->ulValueLen = n * sizeof(*a);
		return;
	}
	a->type = which < sizeof(types) / sizeof(types[0]) ? types[which] :
							     read_be16(r);
	if ((a->type & CKF_ARRAY_ATTRIBUTE) != 0)
		a->type = CKA_LABEL;
	if (form < 64) { /* a boolean */
		a->pValue = memset(hold(1), form & 1, 1);
		a->ulValueLen = 1;
	} else if (form < 160) {
		number = hold(sizeof(*number));
		*number = form - 64u;
		a->pValue = number;
		a->ulValueLen = sizeof(*number);
	} else {
		s = take_data(r);
		a->pValue = bytes_of(s);
		a->ulValueLen = s.len;
	}
}

/* Room to read attributes into. */
static CK_ATTRIBUTE *
take_room(struct reader *r, CK_ULONG *n)
{
	CK_ATTRIBUTE *a;
	uint8_t which, len;

	*n = read_u8(r) % 9;
	a = hold(*n * sizeof(*a));
	for (CK_ULONG i = 0; i < *n; i++) {
		which = read_u8(r);
		len = read_u8(r);
		a[i].type = which < sizeof(types) / sizeof(types[0]) ?
		    types[which] :
		    read_be16(r) & ~(CK_ULONG)CKF_ARRAY_ATTRIBUTE;
		a[i].pValue = len == 255 ? NULL : hold(len);
		a[i].ulValueLen = len == 255 ? 0 : len;
	}
	return a;
}

/* Message parameters; their buffers are written to. */
static void
take_message(struct reader *r, CK_ULONG *p, CK_ULONG *len)
{
	CK_GCM_MESSAGE_PARAMS *gcm;
	CK_CCM_MESSAGE_PARAMS *ccm;
	CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS *poly;
	uint8_t which = read_u8(r), iv = read_u8(r) % 33;

	*p = *len = 0;
	if (which < 100) {
		gcm = hold(sizeof(*gcm));
		*gcm = (CK_GCM_MESSAGE_PARAMS){ .pIv = hold(iv),
			.ulIvLen = iv,
			.ulIvFixedBits = which,
			.ivGenerator = which % 6,
			.pTag = hold(16),
			.ulTagBits = 128 };
		*p = CAST_PTR(gcm);
		*len = sizeof(*gcm);
	} else if (which < 160) {
		ccm = hold(sizeof(*ccm));
		*ccm = (CK_CCM_MESSAGE_PARAMS){ .ulDataLen = which,
			.pNonce = hold(iv),
			.ulNonceLen = iv,
			.nonceGenerator = which % 6,
			.pMAC = hold(16),
			.ulMACLen = 16 };
		*p = CAST_PTR(ccm);
		*len = sizeof(*ccm);
	} else if (which < 220) {
		poly = hold(sizeof(*poly));
		*poly = (CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS){
			.pNonce = hold(iv),
			.ulNonceLen = iv,
			.pTag = hold(16)
		};
		*p = CAST_PTR(poly);
		*len = sizeof(*poly);
	}
}

/* What a call leaves for the next ones, and for the checks. */
struct outcome {
	CK_SESSION_HANDLE *session;
	CK_OBJECT_HANDLE *object[2];
	size_t n_objects;
	CK_ULONG *len, room; /* of the last D */
	bool output;	     /* D had a buffer */
};

/* The letters for numbers. */
static bool
take_number(char letter, uint8_t n, CK_ULONG *a)
{
	switch (letter) {
	case '1': /* never a blocking wait */
		*a = CKF_DONT_BLOCK;
		return true;
	case 'i':
		*a = 0;
		return true;
	case 'c': /* what fits into 'z' */
		*a = n % 32;
		return true;
	case 's':
		*a = n < 240 ? sessions[n % POOL] : n;
		return true;
	case 'l':
		*a = n < 200 ? slot : n < 240 ? pin_slot : n;
		return true;
	case 'o':
		*a = n < 160 ? keys[n % n_keys] :
		    n < 240  ? objects[n % POOL] :
			       n;
		return true;
	case 'f':
		*a = n < 128 ?
		    CKF_SERIAL_SESSION | (n & 1 ? CKF_RW_SESSION : 0) :
		    (CK_ULONG)n << (n % 24);
		return true;
	case 'u':
		*a = n % 5;
		return true;
	case 'n':
		*a = n < 200 ? n : ~(CK_ULONG)0 - n;
		return true;
	default:
		return false;
	}
}

/* One letter; fills one or two arguments. */
static size_t
take_argument(struct reader *r, char letter, CK_ULONG *a, struct outcome *o)
{
	uint8_t n = read_u8(r);
	struct span s;

	if (take_number(letter, n, a))
		return 1;
	switch (letter) {
	case 'm':
		*a = take_mechanism(r);
		return 1;
	case 'd':
		s = take_data(r);
		a[0] = CAST_PTR(s.data);
		a[1] = s.len;
		return 2;
	case 'D':
		o->len = hold(sizeof(*o->len));
		o->room = *o->len = n < 200 ? n : n < 250 ? 600 : 0;
		o->output = n < 250;
		a[0] = o->output ? CAST_PTR(hold(o->room)) : 0;
		a[1] = CAST_PTR(o->len);
		return 2;
	case 'R':
		a[0] = CAST_PTR(hold(n));
		a[1] = n;
		return 2;
	case 't':
		a[0] = CAST_PTR(take_template(r, &a[1], 0));
		return 2;
	case 'g':
		a[0] = CAST_PTR(take_room(r, &a[1]));
		return 2;
	case 'p':
		take_message(r, &a[0], &a[1]);
		return 2;
	case 'x':
		o->session = hold(sizeof(*o->session));
		*a = CAST_PTR(o->session);
		return 1;
	case 'k':
		o->object[o->n_objects] = hold(sizeof(CK_OBJECT_HANDLE));
		*a = CAST_PTR(o->object[o->n_objects++]);
		return 1;
	case 'L':
		*a = CAST_PTR(memset(hold(32), 'a' + n % 26, 32));
		return 1;
	case 'z':
		*a = n == 255 ? 0 : CAST_PTR(hold(512));
		return 1;
	default:
		abort();
	}
}

typedef CK_RV (*twelve)(CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG,
    CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG);

/* All arguments are integers or pointers, which the ABIs of 64-bit Linux pass
 * alike, and it is no matter there that some are too many. */
static CK_RV
call(const struct entry *e, const CK_ULONG *a)
{
	twelve fn;

	memcpy(&fn, (const char *)p11 + e->offset, sizeof(fn));
	return fn(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9],
	    a[10], a[11]);
}

static void
finding(const struct entry *e, const char *what, CK_RV rv)
{
	fprintf(stderr, "call %zu (\"%s\"): %s, rv 0x%lx\n",
	    (size_t)(e - entries), e->args, what, rv);
	abort();
}

static void
check(const struct entry *e, const struct outcome *o, CK_RV rv)
{
	if (rv == CKR_GENERAL_ERROR)
		finding(e, "an error that explains nothing", rv);
	if (rv != CKR_OK)
		return;
	if (o->output && *o->len > o->room)
		finding(e, "more than there was room for", rv);
	if (fake_machine_denies && e->uses_key && (o->len == NULL || o->output))
		finding(e, "a key was used while the machine denies", rv);
}

static void
one_call(struct reader *r)
{
	const struct entry *e =
	    &entries[read_u8(r) % (sizeof(entries) / sizeof(entries[0]))];
	CK_ULONG a[ARGS_MAX + 2] = { 0 };
	struct outcome o = { 0 };
	size_t n = 0;
	CK_RV rv;

	for (const char *p = e->args; *p != '\0'; p++)
		n += take_argument(r, *p, &a[n], &o);
	if (n > ARGS_MAX)
		abort();
	rv = call(e, a);
	check(e, &o, rv);
	if (rv == CKR_OK && o.session != NULL)
		sessions[*o.session % POOL] = *o.session;
	for (size_t i = 0; rv == CKR_OK && i < o.n_objects; i++)
		objects[n_objects++ % POOL] = *o.object[i];
	release();
}

static void
must(CK_RV rv, const char *what)
{
	if (rv == CKR_OK)
		return;
	fprintf(stderr, "%s: 0x%lx\n", what, rv);
	abort();
}
#define MUST(call) must((call), #call)

static void
add_key(CK_OBJECT_HANDLE h)
{
	keys[n_keys++] = h;
}

#define BOOL(type, v)                                                          \
	{                                                                      \
		type, &(CK_BBOOL){ v }, 1                                      \
	}
#define ULONG(type, v)                                                         \
	{                                                                      \
		type, &(CK_ULONG){ v }, sizeof(CK_ULONG)                       \
	}
/* So that no input takes them from the next. */
#define LASTING                                                                \
	BOOL(CKA_TOKEN, CK_TRUE), BOOL(CKA_DESTROYABLE, CK_FALSE),             \
	    BOOL(CKA_MODIFIABLE, CK_FALSE)

static void
make_keys(CK_SESSION_HANDLE s)
{
	static const CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3,
		1, 7 };
	CK_ATTRIBUTE rsa[] = { LASTING, ULONG(CKA_MODULUS_BITS, 2048) };
	CK_ATTRIBUTE ec[] = { LASTING,
		{ CKA_EC_PARAMS, (void *)(uintptr_t)p256, sizeof(p256) } };
	CK_ATTRIBUTE priv[] = { LASTING, BOOL(CKA_SIGN, CK_TRUE),
		BOOL(CKA_DERIVE, CK_TRUE) };
	CK_ATTRIBUTE priv_rsa[] = { LASTING, BOOL(CKA_UNWRAP, CK_TRUE) };
	CK_ATTRIBUTE aes[] = { LASTING, ULONG(CKA_VALUE_LEN, 32),
		BOOL(CKA_WRAP, CK_TRUE), BOOL(CKA_UNWRAP, CK_TRUE),
		BOOL(CKA_EXTRACTABLE, CK_TRUE), BOOL(CKA_DERIVE, CK_TRUE) };
	CK_ATTRIBUTE mac[] = { LASTING, ULONG(CKA_VALUE_LEN, 32),
		BOOL(CKA_DERIVE, CK_TRUE) };
	CK_OBJECT_HANDLE a = 0, b = 0;

	MUST(p11->C_GenerateKeyPair(s,
	    &(CK_MECHANISM){ CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 }, rsa, 4,
	    priv_rsa, 4, &a, &b));
	add_key(a);
	add_key(b);
	MUST(p11->C_GenerateKeyPair(s,
	    &(CK_MECHANISM){ CKM_EC_KEY_PAIR_GEN, NULL, 0 }, ec, 4, priv, 5, &a,
	    &b));
	add_key(a);
	add_key(b);
	MUST(p11->C_GenerateKey(s, &(CK_MECHANISM){ CKM_AES_KEY_GEN, NULL, 0 },
	    aes, 8, &a));
	add_key(a);
	MUST(p11->C_GenerateKey(s,
	    &(CK_MECHANISM){ CKM_GENERIC_SECRET_KEY_GEN, NULL, 0 }, mac, 5,
	    &a));
	add_key(a);
}

static void
spill(const char *name, const char *text)
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

#define HEX32 "abababababababababababababababababababababababababababababababab"
static const char policy[] =
    "{\"version\": 1, \"name\": \"p\", \"tee\": \"none\", \"tpm\": {"
    "\"ak\": {\"trust\": \"pinned\", \"names\": [\"000b" HEX32 "\"]},"
    "\"bank\": \"sha256\", \"pcr_sets\": [{\"label\": \"a\", \"pcrs\": {"
    "\"4\": \"" HEX32 "\"}}]}}";

#define TOKEN(name, login)                                                     \
	"{\"name\": \"" name "\", \"store\": \"%s/" name ".db\", "             \
	"\"policy\": \"%s/policy.json\", \"init_token\": true, "               \
	"\"rsa_x509\": true, \"min_rsa_bits\": 1024, \"login\": \"" login      \
	"\"}"

static void
configure(void)
{
	char text[2048], path[64];

	spill("policy.json", policy);
	(void)snprintf(text, sizeof(text),
	    "{\"version\": 1, \"simulated\": true, "
	    "\"tpm\": {\"tcti\": \"device:%s/no-tpm\", \"ak\": \"own\"}, "
	    "\"evidence\": {\"timeout_ms\": 100, \"retry_ms\": 10}, "
	    "\"log\": {\"target\": \"none\"}, "
	    "\"tokens\": [" TOKEN("a", "attestation") ", " TOKEN("b",
		"pin") "]}",
	    dir, dir, dir, dir, dir);
	spill("config.json", text);
	(void)snprintf(path, sizeof(path), "%s/config.json", dir);
	if (setenv("CVM_PKCS11_CONF", path, 1) != 0)
		abort();
}

static void
remove_files(void)
{
	static const char *const names[] = { "policy.json", "config.json",
		"a.db", "a.db-wal", "a.db-shm", "a.db-journal", "a.db.old",
		"a.db.lock", "b.db", "b.db-wal", "b.db-shm", "b.db-journal",
		"b.db.old", "b.db.lock" };
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	CK_SLOT_ID slots[2];
	CK_ULONG n = 2;
	CK_SESSION_HANDLE s = 0;
	CK_INTERFACE *i = NULL;
	CK_UTF8CHAR label[32];

	(void)argc;
	(void)argv;
	if (mkdtemp(dir) == NULL || atexit(remove_files) != 0)
		abort();
	configure();
	MUST(C_GetInterface(NULL, &(CK_VERSION){ 3, 2 }, &i, 0));
	p11 = i->pFunctionList;
	MUST(p11->C_Initialize(NULL));
	MUST(p11->C_GetSlotList(CK_FALSE, slots, &n));
	slot = slots[0];
	pin_slot = slots[1];
	memset(label, ' ', sizeof(label));
	label[0] = 'a';
	MUST(p11->C_InitToken(slot, (CK_BYTE[]){ "12345678" }, 8, label));
	MUST(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
	    NULL, &s));
	MUST(p11->C_GetMechanismList(slot, mechs, &n_mechs));
	make_keys(s);
	MUST(p11->C_CloseSession(s));
	return 0;
}

/* What an input made goes with it; the keys of the beginning stay. */
static void
tidy(void)
{
	CK_OBJECT_HANDLE found[64];
	CK_SESSION_HANDLE s = 0;
	CK_ULONG n = 0;

	fake_machine_denies = false;
	(void)p11->C_CloseAllSessions(slot);
	(void)p11->C_CloseAllSessions(pin_slot);
	MUST(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
	    NULL, &s));
	MUST(p11->C_FindObjectsInit(s, NULL, 0));
	MUST(p11->C_FindObjects(s, found, 64, &n));
	MUST(p11->C_FindObjectsFinal(s));
	if (n < n_keys)
		abort();
	for (CK_ULONG i = 0; i < n; i++)
		(void)p11->C_DestroyObject(s, found[i]);
	MUST(p11->C_CloseSession(s));
	memset(sessions, 0, sizeof(sessions));
	memset(objects, 0, sizeof(objects));
	n_objects = 0;
}

/* A session that opens makes the verdict known: until then, earlier permits
 * are good. */
static void
turn_verdict(void)
{
	CK_SESSION_HANDLE s = 0;

	fake_machine_denies = !fake_machine_denies;
	MUST(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &s));
	MUST(p11->C_CloseSession(s));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(span(data, size));
	size_t turn = read_u8(&r); /* the verdict changes before this call */
	CK_SESSION_HANDLE s;

	for (size_t i = 0; i < 3; i++) {
		s = 0;
		MUST(p11->C_OpenSession(slot,
		    CKF_SERIAL_SESSION | (i < 2 ? CKF_RW_SESSION : 0), NULL,
		    NULL, &s));
		sessions[i] = s;
	}
	for (size_t i = 0; i < CALLS_MAX && reader_left(&r) > 0; i++) {
		if (turn < CALLS_MAX && i % (turn + 1) == turn)
			turn_verdict();
		one_call(&r);
	}
	tidy();
	return 0;
}
