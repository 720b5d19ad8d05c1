/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/faulty-calls.h"
#include "tests/unit/scene-program.h"
#include "tests/unit/uses.h"

/*
 * Calls of the module in which the k-th allocation, or the k-th call of
 * OpenSSL or of SQLite, fails, for every k: each gives an error that PKCS#11
 * has for it and leaves nothing behind, or does what it says. Section 5.1.2:
 * such an error ends the operation, which can be begun anew and then works.
 */
#define OBJECTS_MAX 64

struct objects {
	CK_OBJECT_HANDLE v[OBJECTS_MAX];
	CK_ULONG n;
};

/* What a call gives without a fault. */
struct result {
	CK_BYTE out[OUT_MAX];
	CK_ULONG len;
	bool same; /* each time */
};

static struct objects kept; /* there are these before and after each call */
static CK_BYTE data[32] = "thirty-two bytes of input, once";
static CK_SLOT_ID slot;
static CK_OBJECT_HANDLE ec_pub, doomed;
static CK_BYTE ec_sig[64], bad_mac[32], bad_sig[64];

static void
list(struct objects *ret)
{
	assert_ok(C_FindObjectsInit(use.s, NULL, 0));
	assert_ok(C_FindObjects(use.s, ret->v, OBJECTS_MAX, &ret->n));
	assert_ok(C_FindObjectsFinal(use.s));
	assert_in_range(ret->n, 1, OBJECTS_MAX - 1);
}

static bool
holds(const struct objects *o, CK_OBJECT_HANDLE h)
{
	for (CK_ULONG i = 0; i < o->n; i++)
		if (o->v[i] == h)
			return true;
	return false;
}

/* How many there are beside those that are kept; with purge, no more. */
static unsigned
others(bool purge)
{
	struct objects now = { .n = 0 };
	unsigned n = 0;
	CK_RV rv;

	list(&now);
	for (CK_ULONG i = 0; i < now.n; i++) {
		if (holds(&kept, now.v[i]))
			continue;
		n++;
		if (!purge)
			continue;
		rv = C_DestroyObject(use.s, now.v[i]);
		if (rv != CKR_OK)
			complain("C_DestroyObject afterwards: 0x%lx", rv);
	}
	for (CK_ULONG i = 0; i < kept.n; i++)
		if (!holds(&now, kept.v[i]))
			complain("an object is gone");
	return n;
}

static void
tidy_up(void)
{
	uses_clean_up();
	(void)others(/* purge= */ true);
	doomed = 0;
}

/* Section 5.1.2; the messages of an operation are begun and ended one by one,
 * and C_SessionCancel() ends the operation. */
static void
begin_anew(const struct more *m)
{
	if (strstr(m->name, "Message") != NULL || doomed != 0)
		tidy_up();
	begin(m);
}

/* Signatures that differ each time are ECDSA's. */
static void
must_be_right(const struct more *m, const struct result *r)
{
	if (r->same && use.len == r->len &&
	    memcmp(use.out, r->out, sizeof(r->out)) == 0)
		return;
	if (!r->same && use.len == sizeof(ec_sig) && use.made == 0) {
		assert_ok(C_VerifyInit(use.s, MECH(CKM_ECDSA), ec_pub));
		if (C_Verify(use.s, data, 32, use.out, use.len) != CKR_OK)
			complain("%s: a bad signature", m->name);
		return;
	}
	if (r->same || use.made == 0)
		complain("%s: false success", m->name);
}

static void
remember(const struct more *m, struct result *r)
{
	CK_BYTE first[OUT_MAX];
	CK_ULONG len = 0;

	for (int i = 0; i < 2; i++) {
		CK_RV rv;

		tidy_up();
		begin(m);
		rv = m->call();
		if (rv != m->want)
			fail_msg("%s: 0x%lx without a fault", m->name, rv);
		memcpy(i == 0 ? first : r->out, use.out, OUT_MAX);
		r->same = i == 1 && len == use.len && use.made == 0 &&
		    memcmp(first, r->out, OUT_MAX) == 0;
		len = r->len = use.len;
	}
}

/* True when there was an at-th call of that kind. */
static bool
fault(const struct more *m, enum injected kind, int code, unsigned at,
    const struct result *r)
{
	unsigned before;
	CK_RV rv;

	tidy_up();
	injector.at = at;
	begin(m);
	before = others(false);
	inject(kind, code, at);
	rv = m->call();
	(void)inject_pause();
	if (rv == m->want && rv == CKR_OK)
		must_be_right(m, r);
	else if (rv != m->want &&
	    (!injector.reached || !is_of_fault(m->name, rv)))
		complain("%s: 0x%lx", m->name, rv);
	else if (use.made != 0 || others(false) != before)
		complain("%s: 0x%lx, and an object", m->name, rv);
	if (rv != m->want)
		begin_anew(m);
	return injector.reached;
}

static unsigned
every_fault(const struct more *m, enum injected kind, int code)
{
	static struct result r;
	unsigned at = 1;

	remember(m, &r);
	while (fault(m, kind, code, at, &r))
		at++;
	return at - 1;
}

/* Calls that use no private key, and wrong signatures, which must not become
 * right ones. */

static CK_RV
open_and_close(void)
{
	CK_SESSION_HANDLE h = 0;
	CK_RV rv = C_OpenSession(slot, RW, NULL, NULL, &h);

	if (rv == CKR_OK && C_CloseSession(h) != CKR_OK)
		return CKR_SESSION_HANDLE_INVALID;
	return rv;
}

static CK_RV
token_info(void)
{
	CK_TOKEN_INFO info;

	return C_GetTokenInfo(slot, &info);
}

static CK_RV
mechanisms(void)
{
	CK_MECHANISM_TYPE v[256];
	CK_MECHANISM_INFO info;
	CK_ULONG n = NELEMS(v);
	CK_RV rv = C_GetMechanismList(slot, v, &n);

	return rv == CKR_OK ? C_GetMechanismInfo(slot, v[0], &info) : rv;
}

STEP(digest_init, C_DigestInit(use.s, MECH(CKM_SHA256)))

STEP(digest, C_Digest(use.s, data, 32, use.out, &use.len))

STEP(digest_update, C_DigestUpdate(use.s, data, 32))

static CK_RV
digest_begun(void)
{
	CK_RV rv = digest_init();

	return rv == CKR_OK ? digest_update() : rv;
}

STEP(digest_final, C_DigestFinal(use.s, use.out, &use.len))

/* Not the same each time, and not to be looked at. */
static CK_RV
generate_random(void)
{
	CK_BYTE out[32];

	return C_GenerateRandom(use.s, out, sizeof(out));
}

STEP(verify_ec_init, C_VerifyInit(use.s, MECH(CKM_ECDSA), ec_pub))

STEP(verify_ec, C_Verify(use.s, data, 32, ec_sig, sizeof(ec_sig)))

STEP(verify_ec_wrong, C_Verify(use.s, data, 32, bad_sig, sizeof(bad_sig)))

STEP(verify_mac_init,
    C_VerifyInit(use.s, MECH(CKM_SHA256_HMAC), use.key[KEY_MAC]))

STEP(verify_mac_wrong, C_Verify(use.s, data, 32, bad_mac, sizeof(bad_mac)))

static CK_RV
verify_mac_begun(void)
{
	CK_RV rv = verify_mac_init();

	return rv == CKR_OK ? C_VerifyUpdate(use.s, data, 32) : rv;
}

STEP(verify_mac_final_wrong, C_VerifyFinal(use.s, bad_mac, sizeof(bad_mac)))

STEP(message_verify_init,
    C_MessageVerifyInit(use.s, MECH(CKM_SHA256_HMAC), use.key[KEY_MAC]))

STEP(verify_message_wrong,
    C_VerifyMessage(use.s, NULL, 0, data, 32, bad_mac, sizeof(bad_mac)))

static CK_RV
signature_init(void)
{
	return C_VerifySignatureInit(use.s, MECH(CKM_SHA256_HMAC),
	    use.key[KEY_MAC], bad_mac, sizeof(bad_mac));
}

STEP(signature_wrong, C_VerifySignature(use.s, data, 32))

static CK_RV
create_with(CK_BBOOL on_token, CK_OBJECT_HANDLE *ret)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_TOKEN, &on_token, 1 }, { CKA_VALUE, data, 32 } };

	return C_CreateObject(use.s, t, NELEMS(t), ret);
}

STEP(create_on_token, create_with(CK_TRUE, &use.made))

STEP(doom, create_with(CK_TRUE, &doomed))

STEP(doom_of_session, create_with(CK_FALSE, &doomed))

STEP(destroy, C_DestroyObject(use.s, doomed))

static CK_RV
generate_on_token(void)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ULONG len = 32;
	CK_ATTRIBUTE t[] = { { CKA_TOKEN, &yes, 1 },
		{ CKA_VALUE_LEN, &len, sizeof(len) } };

	return C_GenerateKey(use.s, MECH(CKM_AES_KEY_GEN), t, NELEMS(t),
	    &use.made);
}

static CK_RV
label_on_token(void)
{
	CK_ATTRIBUTE t = { CKA_LABEL, data, 5 };

	return C_SetAttributeValue(use.s, doomed, &t, 1);
}

static CK_RV
copy_to_token(void)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE t = { CKA_TOKEN, &yes, 1 };

	return C_CopyObject(use.s, use.key[KEY_PLAIN], &t, 1, &use.made);
}

static const struct more more[] = {
	{ "C_OpenSession", NULL, open_and_close, CKR_OK },
	{ "C_GetTokenInfo", NULL, token_info, CKR_OK },
	{ "C_GetMechanismList", NULL, mechanisms, CKR_OK },
	{ "C_DigestInit", NULL, digest_init, CKR_OK },
	{ "C_Digest", digest_init, digest, CKR_OK },
	{ "C_DigestUpdate", digest_init, digest_update, CKR_OK },
	{ "C_DigestFinal", digest_begun, digest_final, CKR_OK },
	{ "C_GenerateRandom", NULL, generate_random, CKR_OK },
	{ "C_VerifyInit", NULL, verify_ec_init, CKR_OK },
	{ "C_Verify", verify_ec_init, verify_ec, CKR_OK },
	{ "C_Verify of a wrong signature", verify_ec_init, verify_ec_wrong,
	    CKR_SIGNATURE_INVALID },
	{ "C_Verify of a wrong MAC", verify_mac_init, verify_mac_wrong,
	    CKR_SIGNATURE_INVALID },
	{ "C_VerifyFinal of a wrong MAC", verify_mac_begun,
	    verify_mac_final_wrong, CKR_SIGNATURE_INVALID },
	{ "C_VerifyMessage of a wrong MAC", message_verify_init,
	    verify_message_wrong, CKR_SIGNATURE_INVALID },
	{ "C_VerifySignature of a wrong MAC", signature_init, signature_wrong,
	    CKR_SIGNATURE_INVALID },
	{ "C_CreateObject on the token", NULL, create_on_token, CKR_OK },
	{ "C_GenerateKey on the token", NULL, generate_on_token, CKR_OK },
	{ "C_CopyObject to the token", NULL, copy_to_token, CKR_OK },
	{ "C_SetAttributeValue on the token", doom, label_on_token, CKR_OK },
	{ "C_DestroyObject on the token", doom, destroy, CKR_OK },
	{ "C_DestroyObject", doom_of_session, destroy, CKR_OK },
};

static void
prepare(void)
{
	CK_ULONG n = sizeof(ec_sig);

	complaints = 0;
	uses_prepare(&scene, "session");
	slot = the_slot();
	memcpy(bad_mac, use.mac, sizeof(bad_mac));
	bad_mac[0] ^= 1;
	ec_pub = find(use.s, CKO_PUBLIC_KEY, "ec");
	assert_ok(C_SignInit(use.s, MECH(CKM_ECDSA), use.key[KEY_EC]));
	assert_ok(C_Sign(use.s, data, 32, ec_sig, &n));
	memcpy(bad_sig, ec_sig, sizeof(bad_sig));
	bad_sig[40] ^= 1;
	list(&kept);
}

/* The steps of uses.c, but for one whose object is its begin()'s. */
static bool
is_wanted(const struct use *u)
{
	CK_RV rv = CKR_OK;

	if (u->kind == NO_KEY || u->kind == KEM ||
	    u->at == offsetof(CK_FUNCTION_LIST_3_2, C_DestroyObject))
		return false;
	tidy_up();
	if (u->begin != NULL)
		rv = u->begin();
	if (rv == CKR_OK)
		rv = u->call();
	if (rv != CKR_OK && rv != CKR_FUNCTION_NOT_SUPPORTED)
		fail_msg("%s: 0x%lx without a fault", u->name, rv);
	return rv == CKR_OK;
}

static void
every_call(enum injected kind, int code, const char *name, unsigned least)
{
	unsigned n = 0, calls = 0;

	for (size_t i = 0; i < n_uses; i++) {
		struct more m = { uses[i].name, uses[i].begin, uses[i].call,
			CKR_OK };

		if (!is_wanted(&uses[i]))
			continue;
		n += every_fault(&m, kind, code);
		calls++;
	}
	for (size_t i = 0; i < NELEMS(more); i++, calls++)
		n += every_fault(&more[i], kind, code);
	print_message("# %u calls: %u faults of %s\n", calls, n, name);
	assert_int_equal(complaints, 0);
	assert_true(calls >= 60 && n >= least);
}

static void
memory_runs_out_in_a_call(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	prepare();
	every_call(INJECT_MEMORY, 0, "memory", 1500);
}

static void
openssl_fails_in_a_call(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	prepare();
	every_call(INJECT_EVP, 0, "OpenSSL", 400);
}

static void
sqlite_fails_in_a_call(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(sqlite_codes); i++) {
		prepare();
		every_call(INJECT_SQLITE, sqlite_codes[i].code,
		    sqlite_codes[i].name, 200);
		assert_ok(C_Finalize(NULL));
	}
}

/* From nothing to a token, without a command to the TPM. */
static CK_RV
initialize_and_look(void)
{
	CK_ULONG n = 1;
	CK_RV rv = C_Initialize(NULL);

	if (rv == CKR_OK)
		rv = C_GetSlotList(CK_FALSE, &slot, &n);
	if (rv == CKR_OK)
		rv = token_info();
	return rv == CKR_OK ? mechanisms() : rv;
}

static void
initialization_fails(void **state)
{
	static const enum injected kinds[] = { INJECT_MEMORY, INJECT_EVP,
		INJECT_SQLITE };
	unsigned n = 0;

	(void)state;
	NEEDS_MACHINE();
	complaints = 0;
	scene_prepare(&scene, &(struct scene_options){ 0 });
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		bool there = true;

		for (unsigned at = 1; there; at++) {
			CK_RV rv;

			inject(kinds[i], SQLITE_IOERR, at);
			rv = initialize_and_look();
			(void)inject_pause();
			there = injector.reached;
			n += there;
			if (rv != CKR_OK && (!there || !is_of_fault("", rv)))
				complain("0x%lx", rv);
			/* There is nothing to end, or the end works. */
			rv = C_Finalize(NULL);
			if (rv != CKR_OK && rv != CKR_CRYPTOKI_NOT_INITIALIZED)
				complain("C_Finalize: 0x%lx", rv);
		}
	}
	print_message("# %u faults\n", n);
	assert_int_equal(complaints, 0);
	assert_true(n >= 100);
	assert_ok(initialize_and_look());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(initialization_fails, teardown),
		cmocka_unit_test_teardown(memory_runs_out_in_a_call, teardown),
		cmocka_unit_test_teardown(openssl_fails_in_a_call, teardown),
		cmocka_unit_test_teardown(sqlite_fails_in_a_call, teardown),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
