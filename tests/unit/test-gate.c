/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/state.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/round-scene.h"
#include "tests/unit/scene-program.h"

/* What an application sees of admissions, denials and lost evidence. One
 * machine serves all tests; it is well-behaved at the beginning of each. */

static int
setup(void **state)
{
	(void)state;
	if (scene.there)
		scene_forget_stderr(&scene);
	return 0;
}

static CK_SESSION_HANDLE
begin(const struct scene_options *o)
{
	CK_SESSION_HANDLE s;

	scene_prepare(&scene, o);
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	if (o->login == NULL)
		login(s);
	return s;
}

static CK_BYTE digest[32] = { 1, 2, 3 };

static CK_RV
sign(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_BYTE sig[128];
	CK_ULONG n = sizeof(sig);
	CK_RV rv = C_SignInit(s, MECH(CKM_ECDSA), key);

	return rv != CKR_OK ? rv : C_Sign(s, digest, sizeof(digest), sig, &n);
}

static void
admitted_sessions_sign(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key, pub;
	CK_BYTE sig[128];
	CK_ULONG n = sizeof(sig);

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	key = find(s, CKO_PRIVATE_KEY, "ec");
	pub = find(s, CKO_PUBLIC_KEY, "ec");
	assert_true(key != 0 && pub != 0);
	assert_ok(C_SignInit(s, MECH(CKM_ECDSA), key));
	assert_ok(C_Sign(s, digest, sizeof(digest), sig, &n));
	assert_ok(C_VerifyInit(s, MECH(CKM_ECDSA), pub));
	assert_ok(C_Verify(s, digest, sizeof(digest), sig, n));
	assert_ok(C_VerifyInit(s, MECH(CKM_ECDSA), pub));
	sig[3] ^= 1;
	assert_rv(CKR_SIGNATURE_INVALID,
	    C_Verify(s, digest, sizeof(digest), sig, n));
	assert_true(scene_logged(&scene, "admitted by policy"));
	assert_true(scene_logged(&scene, "SIMULATED"));
}

/* Each use of a private or secret key, on handles from better times. */
static void
expect_all_uses(CK_SESSION_HANDLE s, const CK_OBJECT_HANDLE key[4], CK_RV want,
    CK_RV want_new)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
	CK_KEY_TYPE aes = CKK_AES;
	CK_BYTE iv[16] = { 0 }, out[512], point[65] = { 4 };
	CK_ULONG n = sizeof(out), len = 32;
	CK_MECHANISM cbc = { CKM_AES_CBC_PAD, iv, sizeof(iv) };
	CK_ECDH1_DERIVE_PARAMS ecdh = { CKD_NULL, 0, NULL, 65, point };
	CK_MECHANISM derive = { CKM_ECDH1_DERIVE, &ecdh, sizeof(ecdh) };
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &secret, sizeof(secret) },
		{ CKA_KEY_TYPE, &aes, sizeof(aes) },
		{ CKA_VALUE_LEN, &len, sizeof(len) } };
	CK_ATTRIBUTE made[] = { { CKA_CLASS, &secret, sizeof(secret) },
		{ CKA_KEY_TYPE, &aes, sizeof(aes) }, { CKA_VALUE, digest, 32 },
		{ CKA_TOKEN, &yes, 1 } };
	CK_OBJECT_HANDLE a, b;

	assert_rv(want, C_SignInit(s, MECH(CKM_ECDSA), key[0]));
	assert_rv(want, C_SignInit(s, MECH(CKM_RSA_PKCS), key[1]));
	assert_rv(want, C_DecryptInit(s, MECH(CKM_RSA_PKCS), key[1]));
	assert_rv(want, C_EncryptInit(s, &cbc, key[2]));
	assert_rv(want, C_DecryptInit(s, &cbc, key[2]));
	assert_rv(want, C_SignInit(s, MECH(CKM_SHA256_HMAC), key[3]));
	assert_rv(want, C_VerifyInit(s, MECH(CKM_SHA256_HMAC), key[3]));
	assert_rv(want == CKR_KEY_HANDLE_INVALID ?
		CKR_WRAPPING_KEY_HANDLE_INVALID :
		want,
	    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), key[2], key[3], out, &n));
	assert_rv(want,
	    C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), key[2], out, 40, t, 3, &a));
	assert_rv(want, C_DeriveKey(s, &derive, key[0], t, 3, &a));
	assert_rv(want_new, C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, 3, &a));
	assert_rv(want_new,
	    C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), t, 0, t, 0, &a,
		&b));
	assert_rv(want_new, C_CreateObject(s, made, 4, &a));
	assert_rv(want_new, C_CopyObject(s, key[2], NULL, 0, &a));
	assert_rv(want_new, C_DestroyObject(s, key[2]));
	assert_rv(want_new, C_GetAttributeValue(s, key[2], &t[1], 1));
	assert_rv(want_new, C_SetAttributeValue(s, key[2], &t[1], 1));
}

static void
take_handles(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key[4])
{
	key[0] = find(s, CKO_PRIVATE_KEY, "ec");
	key[1] = find(s, CKO_PRIVATE_KEY, "rsa");
	key[2] = find(s, CKO_SECRET_KEY, "aes");
	key[3] = find(s, CKO_SECRET_KEY, "mac");
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(key[i], 0);
}

static void
denial_refuses_every_use(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key[4], pub;
	CK_SESSION_INFO info;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	take_handles(s, key);
	pub = find(s, CKO_PUBLIC_KEY, "ec");
	scene_deny(&scene);
	assert_true(scene_logged(&scene, "denied"));
	expect_all_uses(s, key, CKR_KEY_FUNCTION_NOT_PERMITTED,
	    CKR_DEVICE_ERROR);
	assert_int_equal(find(s, CKO_PRIVATE_KEY, "ec"), 0);
	assert_true(
	    scene_logged(&scene, "C_FindObjectsInit without an admission: "));
	assert_int_equal(find(s, CKO_SECRET_KEY, "aes"), 0);
	(void)open_session(RO);
	assert_true(
	    scene_logged(&scene, "C_OpenSession without an admission: "));
	/* Public keys need no admission once they are known. */
	assert_ok(C_VerifyInit(s, MECH(CKM_ECDSA), pub));
	assert_ok(C_GetSessionInfo(s, &info));
	assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
	/* It heals by itself: same session, same handles, same login. */
	scene_allow(&scene);
	assert_ok(sign(s, key[0]));
	assert_int_equal(find(s, CKO_PRIVATE_KEY, "ec"), key[0]);
	assert_int_equal(find(s, CKO_SECRET_KEY, "aes"), key[2]);
}

/* Not only refused: a denial leaves no keys in memory, an admission that runs
 * out does. */
static void
denial_wipes_the_token(void **state)
{
	_cleanup_(config_freep) struct config *cfg = NULL;
	_cleanup_(gate_freep) struct gate *g = NULL;
	_cleanup_(gate_session_clear) struct gate_session s = { 0 };
	struct permit p = { 0 };
	struct why why = { 0 };

	(void)state;
	NEEDS_MACHINE();
	scene_prepare(&scene, &(struct scene_options){ 0 });
	assert_int_equal(config_load(scene.config, &cfg, &why), CVM_OK);
	assert_int_equal(gate_new(cfg, &cfg->tokens[0], &g), CVM_OK);
	assert_int_equal(gate_state(g), ROUND_NONE);
	assert_int_equal(gate_open_session(g, &s, &why), CVM_OK);
	assert_int_equal(gate_state(g), ROUND_ADMIT);
	assert_true(token_unsealed(gate_token(g)));
	machine_ctl(&scene.m, "set debug on");
	assert_int_equal(gate_permit(g, &s, &p, &why), CVM_OK);
	assert_int_equal(gate_open_session(g, &s, &why), CVM_E_DENIED);
	assert_int_equal(gate_state(g), ROUND_DENY);
	assert_false(token_unsealed(gate_token(g)));
	assert_int_equal(permit_check(&p, rounds_issuer(gate_rounds(g))),
	    CVM_E_PERMIT);
	assert_int_equal(gate_permit(g, &s, &p, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.where, "SNP-"));
	scene_allow(&scene);
	assert_int_equal(gate_permit(g, &s, &p, &why), CVM_OK);
	assert_true(token_unsealed(gate_token(g)));
}

/* No denial, and nothing works: it has to be said. */
static void
round_outlasts_its_admission_in_silence(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ .max_age_s = 1 });
	key = find(s, CKO_PRIVATE_KEY, "ec");
	machine_ctl(&scene.m, "set tsm.delay_ms 1200");
	(void)open_session(RO);
	assert_true(scene_logged(&scene, "session_max_age_s, 1 s"));
	assert_rv(CKR_DEVICE_ERROR, sign(s, key));
	machine_ctl(&scene.m, "set tsm.delay_ms 0");
	assert_ok(sign(s, key));
}

/* Of the machine's devices, as it counts them itself. */
static unsigned
asked(const char *what)
{
	const struct round_scene r = { .m = scene.m };

	return round_scene_count(&r, what);
}

/* Programs that only list what there is wait for no TPM, and wake no host. */
static void
listing_asks_the_machine(void **state)
{
	unsigned commands, reports;
	CK_MECHANISM_INFO mech;
	CK_MECHANISM_TYPE types[256];
	CK_TOKEN_INFO token;
	CK_SLOT_INFO info;
	CK_SLOT_ID slots[4];
	CK_ULONG n = 4, n_types = 256;

	(void)state;
	NEEDS_MACHINE();
	scene_prepare(&scene, &(struct scene_options){ 0 });
	commands = asked("tpm.commands");
	reports = asked("tsm.reports");
	assert_ok(C_Initialize(NULL));
	assert_ok(C_GetSlotList(CK_TRUE, NULL, &n));
	assert_ok(C_GetSlotList(CK_TRUE, slots, &n));
	assert_int_equal(n, 1);
	assert_ok(C_GetSlotInfo(slots[0], &info));
	assert_ok(C_GetTokenInfo(slots[0], &token));
	assert_ok(C_GetMechanismList(slots[0], types, &n_types));
	assert_ok(C_GetMechanismInfo(slots[0], types[0], &mech));
	assert_int_equal(asked("tpm.commands"), commands);
	assert_int_equal(asked("tsm.reports"), reports);
	/* The count would have told. */
	(void)open_session(RO);
	assert_true(asked("tpm.commands") > commands);
	assert_true(asked("tsm.reports") > reports);
}

/* Another thread is inside, and may stay there. */
static void
finalized_library_keeps_keys(void **state)
{
	CK_SESSION_HANDLE s;
	struct library *lib;
	struct gate_session late = { 0 };
	struct why why = { 0 };
	struct gate *g;
	unsigned shard;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ .open_max_age_s = 60 });
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
	lib = state_enter(&shard);
	assert_non_null(lib);
	g = lib->slots[0].gate;
	assert_int_equal(gate_open_session(g, &late, &why), CVM_OK);
	assert_ok(C_Finalize(NULL));
	assert_false(token_unsealed(gate_token(g)));
	assert_int_equal(permit_check(&late.permit,
			     rounds_issuer(gate_rounds(g))),
	    CVM_E_PERMIT);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(gate_open_session(g, &late, &why),
		    CVM_E_SEALED);
		assert_string_equal(why.where, "library");
		assert_false(token_unsealed(gate_token(g)));
	}
	gate_session_clear(&late);
	state_leave(lib, shard);
	assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, C_Finalize(NULL));
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	login(s);
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
}

static void
denial_ends_operations_in_progress(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	CK_BYTE sig[512];
	CK_ULONG n = sizeof(sig);

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	key = find(s, CKO_PRIVATE_KEY, "rsa");
	assert_ok(C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), key));
	assert_ok(C_SignUpdate(s, digest, 32));
	scene_deny(&scene);
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, C_SignFinal(s, sig, &n));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_SignFinal(s, sig, &n));
	scene_allow(&scene);
	assert_ok(C_SignInit(s, MECH(CKM_RSA_PKCS), key));
	n = 0;
	assert_ok(C_Sign(s, digest, 32, NULL, &n));
	assert_int_equal(n, 256);
	scene_deny(&scene);
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
	    C_Sign(s, digest, 32, sig, &n));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_Sign(s, digest, 32, sig, &n));
}

static void
denied_sessions_open_and_do_not_log_in(void **state)
{
	CK_UTF8CHAR pin[] = USER_PIN;
	CK_SESSION_HANDLE s;
	CK_TOKEN_INFO info;

	(void)state;
	NEEDS_MACHINE();
	scene_prepare(&scene, &(struct scene_options){ 0 });
	machine_ctl(&scene.m, "set debug on");
	assert_ok(C_Initialize(NULL));
	s = open_session(RO);
	assert_rv(CKR_DEVICE_ERROR, C_Login(s, CKU_USER, pin, 4));
	assert_int_equal(find(s, CKO_PRIVATE_KEY, "ec"), 0);
	assert_int_equal(find(s, CKO_PUBLIC_KEY, "ec"), 0);
	assert_ok(C_GetTokenInfo(the_slot(), &info));
	assert_int_equal(info.flags & CKF_USER_PIN_COUNT_LOW, 0);
	scene_allow(&scene);
	login(s);
	assert_ok(sign(s, find(s, CKO_PRIVATE_KEY, "ec")));
}

static void
denial_can_fail_the_open(void **state)
{
	CK_SESSION_HANDLE s;
	CK_SLOT_ID slot, event;
	CK_TOKEN_INFO info;
	CK_ULONG n = 7;

	(void)state;
	NEEDS_MACHINE();
	scene_prepare(&scene, &(struct scene_options){ .on_denial = "fail" });
	assert_ok(C_Initialize(NULL));
	slot = the_slot();
	machine_ctl(&scene.m, "set debug on");
	assert_rv(CKR_TOKEN_NOT_PRESENT,
	    C_OpenSession(slot, RO, NULL, NULL, &s));
	assert_ok(C_GetSlotList(CK_TRUE, NULL, &n));
	assert_int_equal(n, 0);
	assert_ok(C_GetSlotList(CK_FALSE, NULL, &n));
	assert_int_equal(n, 1);
	assert_rv(CKR_TOKEN_NOT_PRESENT, C_GetTokenInfo(slot, &info));
	assert_ok(C_WaitForSlotEvent(CKF_DONT_BLOCK, &event, NULL));
	assert_int_equal(event, slot);
	assert_rv(CKR_NO_EVENT,
	    C_WaitForSlotEvent(CKF_DONT_BLOCK, &event, NULL));
	/* Opening is the way back. */
	scene_allow(&scene);
	assert_ok(C_OpenSession(slot, RO, NULL, NULL, &s));
	assert_ok(C_GetTokenInfo(slot, &info));
	assert_int_equal(info.ulSessionCount, 1);
	assert_ok(C_WaitForSlotEvent(CKF_DONT_BLOCK, &event, NULL));
}

/* What was admitted stays so for its time, and what is not yet, waits. */
static void
failing_tpm_is_a_device_error(void **state)
{
	CK_SESSION_HANDLE s, more;
	CK_OBJECT_HANDLE key[4];

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	take_handles(s, key);
	machine_ctl(&scene.m, "tpm error 0x101 -1"); /* TPM_RC_FAILURE */
	more = open_session(RO);
	assert_true(scene_logged(&scene, "no evidence"));
	assert_ok(sign(s, key[0]));
	assert_rv(CKR_DEVICE_ERROR, sign(more, key[0]));
	fake_clock_pass(301000);
	expect_all_uses(s, key, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR);
	machine_ctl(&scene.m, "tpm error 0x101 0");
	fake_clock_pass(1000);
	assert_ok(sign(s, key[0]));
	assert_ok(sign(more, key[0]));
}

/* Nobody knows what a TPM's clock did in a power cut: unreachable becomes
 * denied. The machine is of no use afterwards. */
static void
power_cut_of_the_tpm_is_a_denial(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ .bind = "operation" });
	key = find(s, CKO_PRIVATE_KEY, "ec");
	machine_ctl(&scene.m, "tpm kill");
	assert_rv(CKR_DEVICE_ERROR, sign(s, key));
	machine_ctl(&scene.m, "tpm start");
	fake_clock_pass(1000);
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, sign(s, key));
}

static void
busy_report_source_heals(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ .bind = "operation" });
	key = find(s, CKO_PRIVATE_KEY, "ec");
	machine_ctl(&scene.m, "set tsm.eio -1");
	assert_rv(CKR_DEVICE_ERROR, sign(s, key));
	scene_allow(&scene);
	assert_ok(sign(s, key));
}

/* The seals were made for another policy: nothing opens, and the log says
 * which file to look at. */
static void
edited_policy_is_a_denial(void **state)
{
	const struct scene_options o = { 0 }, other = { .max_age_s = 301 };
	CK_UTF8CHAR pin[] = USER_PIN;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	scene_prepare(&scene, &o);
	scene_configure(&scene, &other);
	assert_ok(C_Initialize(NULL));
	s = open_session(RO);
	assert_true(scene_logged(&scene, "no seal opens"));
	assert_rv(CKR_DEVICE_ERROR, C_Login(s, CKU_USER, pin, 4));
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
	    C_SignInit(s, MECH(CKM_ECDSA), 1));
	assert_ok(C_Finalize(NULL));
	scene_configure(&scene,
	    &(struct scene_options){ .max_age_s = 301, .on_denial = "fail" });
	assert_ok(C_Initialize(NULL));
	assert_rv(CKR_TOKEN_NOT_PRESENT,
	    C_OpenSession(the_slot(), RO, NULL, NULL, &s));
}

/* An admission runs out, and the next use asks for another one. */
static void
admissions_age(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	key = find(s, CKO_PRIVATE_KEY, "ec");
	machine_ctl(&scene.m, "set debug on");
	assert_ok(sign(s, key));
	fake_clock_pass(301000);
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, sign(s, key));
	scene_allow(&scene);
	fake_clock_pass(301000);
	assert_ok(sign(s, key));
}

/* With bind "operation" it is the next use, not the next session. */
static void
operations_are_admitted_one_by_one(void **state)
{
	CK_BYTE iv[16] = { 0 }, plain[40] = "forty bytes of text", out[64];
	CK_BYTE back[64], mac[32], sig[256];
	CK_MECHANISM cbc = { CKM_AES_CBC_PAD, iv, sizeof(iv) };
	CK_ULONG n = sizeof(out), k = sizeof(back), part;
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key[4];

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ .bind = "operation" });
	take_handles(s, key);
	assert_ok(sign(s, key[0]));
	assert_ok(C_EncryptInit(s, &cbc, key[2]));
	assert_ok(C_Encrypt(s, plain, sizeof(plain), out, &n));
	/* Parts are kept until they are admitted with the whole. */
	assert_ok(C_DecryptInit(s, &cbc, key[2]));
	part = sizeof(back);
	assert_ok(C_DecryptUpdate(s, out, 16, back, &part));
	assert_int_equal(part, 0);
	part = sizeof(back);
	assert_ok(C_DecryptUpdate(s, out + 16, n - 16, back, &part));
	assert_int_equal(part, 0);
	assert_ok(C_DecryptFinal(s, back, &k));
	assert_int_equal(k, sizeof(plain));
	assert_memory_equal(back, plain, sizeof(plain));
	assert_ok(C_SignInit(s, MECH(CKM_SHA256_HMAC), key[3]));
	n = sizeof(mac);
	assert_ok(C_Sign(s, plain, sizeof(plain), mac, &n));
	assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_HMAC), key[3]));
	assert_ok(C_VerifyUpdate(s, plain, sizeof(plain)));
	assert_ok(C_VerifyFinal(s, mac, n));
	assert_ok(C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), key[1]));
	assert_ok(C_SignUpdate(s, plain, sizeof(plain)));
	n = sizeof(sig);
	assert_ok(C_SignFinal(s, sig, &n));
	machine_ctl(&scene.m, "set debug on");
	assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, sign(s, key[0]));
	expect_all_uses(s, key, CKR_KEY_FUNCTION_NOT_PERMITTED,
	    CKR_DEVICE_ERROR);
}

/* Such a key's value is not read, hashed or copied on the session's word. */
static void
bound_keys_are_not_read_unadmitted(void **state)
{
	static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = 32, n;
	CK_BYTE value[32];
	CK_ATTRIBUTE made[] = { { CKA_VALUE_LEN, &len, sizeof(len) },
		{ CKA_TOKEN, &yes, 1 }, { CKA_SENSITIVE, &no, 1 },
		{ CKA_EXTRACTABLE, &yes, 1 },
		{ CKA_CVM_BIND_OPERATION, &yes, 1 } };
	CK_ATTRIBUTE asked = { CKA_VALUE, value, sizeof(value) };
	CK_OBJECT_HANDLE key, copy;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	for (int i = 0; i < 3; i++) {
		s = begin(&(struct scene_options){ 0 });
		assert_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), made,
		    NELEMS(made), &key));
		asked.ulValueLen = sizeof(value);
		assert_ok(C_GetAttributeValue(s, key, &asked, 1));
		assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
		assert_ok(C_DigestKey(s, key));
		/* The session's admission is good for minutes to come. */
		machine_ctl(&scene.m, "set debug on");
		asked.ulValueLen = sizeof(value);
		assert_rv(i < 2 ? CKR_DEVICE_ERROR :
				  CKR_KEY_FUNCTION_NOT_PERMITTED,
		    i == 0     ? C_GetAttributeValue(s, key, &asked, 1) :
			i == 1 ? C_CopyObject(s, key, NULL, 0, &copy) :
				 C_DigestKey(s, key));
		n = sizeof(value);
		if (i == 2)
			assert_rv(CKR_OPERATION_NOT_INITIALIZED,
			    C_DigestFinal(s, value, &n));
		machine_reset(&scene.m);
		fake_clock_pass(1000);
		assert_ok(C_DestroyObject(s, key));
		assert_ok(C_Finalize(NULL));
	}
}

static void
wrapping_and_derivation_work(void **state)
{
	CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_ULONG len = 32, n;
	CK_BYTE wrapped[64], point[80];
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &secret, sizeof(secret) },
		{ CKA_KEY_TYPE, &type, sizeof(type) } };
	CK_ATTRIBUTE ec = { CKA_EC_POINT, point, sizeof(point) };
	CK_ATTRIBUTE dt[] = { { CKA_CLASS, &secret, sizeof(secret) },
		{ CKA_KEY_TYPE, &type, sizeof(type) },
		{ CKA_VALUE_LEN, &len, sizeof(len) } };
	CK_ECDH1_DERIVE_PARAMS p = { CKD_NULL, 0, NULL, 0, point };
	CK_MECHANISM derive = { CKM_ECDH1_DERIVE, &p, sizeof(p) };
	static const char *const binds[] = { "session", "operation" };

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(binds); i++) {
		CK_SESSION_HANDLE s = begin(
		    &(struct scene_options){ .bind = binds[i] });
		CK_OBJECT_HANDLE key[4], h;

		take_handles(s, key);
		n = sizeof(wrapped);
		assert_ok(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), key[2], key[3],
		    wrapped, &n));
		assert_int_equal(n, 40);
		assert_ok(C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), key[2],
		    wrapped, n, t, 2, &h));
		assert_rv(CKR_UNWRAPPING_KEY_HANDLE_INVALID,
		    C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), 0xdead, wrapped, n,
			t, 2, &h));
		assert_rv(CKR_WRAPPING_KEY_HANDLE_INVALID,
		    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), 0xdead, key[3],
			wrapped, &n));
		assert_rv(CKR_KEY_HANDLE_INVALID,
		    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), key[2], 0xdead,
			wrapped, &n));
		ec.ulValueLen = sizeof(point);
		assert_ok(C_GetAttributeValue(s, find(s, CKO_PUBLIC_KEY, "ec"),
		    &ec, 1));
		p.ulPublicDataLen = ec.ulValueLen;
		assert_ok(C_DeriveKey(s, &derive, key[0], dt, 3, &h));
		assert_rv(CKR_KEY_HANDLE_INVALID,
		    C_DeriveKey(s, &derive, 0xdead, dt, 3, &h));
		assert_ok(C_Finalize(NULL));
	}
}

/* Reads a value, which must have the size that was announced. */
static char *
read_value(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h)
{
	CK_ATTRIBUTE a = { CKA_VALUE, NULL, 0 };
	char *text;

	assert_ok(C_GetAttributeValue(s, h, &a, 1));
	assert_true(a.ulValueLen > 100);
	text = calloc(1, a.ulValueLen + 1);
	assert_non_null(text);
	a.pValue = text;
	assert_ok(C_GetAttributeValue(s, h, &a, 1));
	return text;
}

static void
evidence_is_an_object(void **state)
{
	_cleanup_(freep) char *own = NULL, *challenge = NULL;
	CK_OBJECT_CLASS data = CKO_DATA;
	CK_UTF8CHAR app[] = "cvm-pkcs11 challenge";
	CK_BYTE nonce[] = "nonce of a verifier";
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &data, sizeof(data) },
		{ CKA_APPLICATION, app, sizeof(app) - 1 },
		{ CKA_VALUE, nonce, sizeof(nonce) } };
	CK_OBJECT_HANDLE h, c, gone = 0;
	CK_SESSION_HANDLE s;
	CK_ULONG size = 0, n;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	h = find(s, CKO_DATA, "attestation");
	assert_int_not_equal(h, 0);
	own = read_value(s, h);
	assert_ok(C_GetObjectSize(s, h, &size));
	assert_int_equal(size, strlen(own));
	assert_ok(C_CreateObject(s, t, 3, &c));
	assert_int_not_equal(c, h);
	challenge = read_value(s, c);
	assert_string_not_equal(own, challenge);
	assert_rv(CKR_ACTION_PROHIBITED, C_SetAttributeValue(s, c, t, 1));
	assert_rv(CKR_ACTION_PROHIBITED, C_CopyObject(s, c, t, 1, &gone));
	t[2].ulValueLen = 7;
	assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(s, t, 3, &c));
	t[2].ulValueLen = 65;
	assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(s, t, 3, &c));
	assert_rv(CKR_TEMPLATE_INCOMPLETE, C_CreateObject(s, t, 2, &c));
	/* A search for everything does not find what nobody made. */
	assert_ok(C_FindObjectsInit(s, NULL, 0));
	do {
		assert_ok(C_FindObjects(s, &gone, 1, &n));
		assert_true(n == 0 || gone != h);
	} while (n == 1);
	assert_ok(C_FindObjectsFinal(s));
	assert_ok(C_DestroyObject(s, h));
	assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(s, h, &size));
}

/* What a verifier asks for, it gets also where the own policy denies. */
static void
challenges_are_answered_when_denied(void **state)
{
	CK_OBJECT_CLASS data = CKO_DATA;
	CK_UTF8CHAR app[] = "cvm-pkcs11 challenge";
	CK_BYTE nonce[8] = "eight by";
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &data, sizeof(data) },
		{ CKA_APPLICATION, app, sizeof(app) - 1 },
		{ CKA_VALUE, nonce, sizeof(nonce) } };
	CK_OBJECT_HANDLE h;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	scene_deny(&scene);
	assert_ok(C_CreateObject(s, t, 3, &h));
	scene_allow(&scene);
	machine_ctl(&scene.m, "set tsm.eio -1");
	assert_rv(CKR_DEVICE_ERROR, C_CreateObject(s, t, 3, &h));
}

static void *
open_and_sign(void *arg)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;

	(void)arg;
	for (int i = 0; i < 20; i++) {
		if (C_OpenSession(the_slot(), RO, NULL, NULL, &s) != CKR_OK)
			return (void *)1;
		key = find(s, CKO_PRIVATE_KEY, "ec");
		if (key == 0 || sign(s, key) != CKR_OK ||
		    C_CloseSession(s) != CKR_OK)
			return (void *)2;
	}
	return NULL;
}

static void
threads_share_rounds(void **state)
{
	pthread_t t[8];
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	for (size_t i = 0; i < NELEMS(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, open_and_sign,
				     NULL),
		    0);
	for (size_t i = 0; i < NELEMS(t); i++) {
		void *failed;

		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
	assert_ok(C_CloseSession(s));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(admitted_sessions_sign),
		TEST(denial_refuses_every_use),
		TEST(denial_wipes_the_token),
		TEST(round_outlasts_its_admission_in_silence),
		TEST(listing_asks_the_machine),
		TEST(finalized_library_keeps_keys),
		TEST(denial_ends_operations_in_progress),
		TEST(denied_sessions_open_and_do_not_log_in),
		TEST(denial_can_fail_the_open),
		TEST(busy_report_source_heals),
		TEST(edited_policy_is_a_denial),
		TEST(admissions_age),
		TEST(operations_are_admitted_one_by_one),
		TEST(bound_keys_are_not_read_unadmitted),
		TEST(wrapping_and_derivation_work),
		TEST(evidence_is_an_object),
		TEST(challenges_are_answered_when_denied),
		TEST(threads_share_rounds),
		TEST(failing_tpm_is_a_device_error),
		TEST(power_cut_of_the_tpm_is_a_denial),
	};

	return cmocka_run_group_tests_name("gate", tests, start, stop);
}
