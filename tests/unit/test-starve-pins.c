/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/vtpm.h"
#include "tests/unit/faulty-calls.h"
#include "tests/unit/scene-program.h"

static CK_SESSION_HANDLE session;
static CK_BYTE session_pin[] = USER_PIN;

/*
 * What the TPM said of a seal before, for what is not about the TPM: it takes
 * the most of the time of a login.
 */
static struct {
	bool on;
	unsigned n;
	struct memo {
		struct blob sealed, auth;
		struct secret *opened; /* NULL: refused */
	} v[32];
} memory;

int __real_vtpm_unseal(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span sealed, const struct secret *auth, struct secret **ret,
    struct why *why);
int __wrap_vtpm_unseal(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span sealed, const struct secret *auth, struct secret **ret,
    struct why *why);

static const struct memo *
recall(struct span sealed, struct span auth)
{
	for (unsigned i = 0; memory.on && i < memory.n; i++)
		if (span_equal(blob_span(&memory.v[i].sealed), sealed) &&
		    span_equal(blob_span(&memory.v[i].auth), auth))
			return &memory.v[i];
	return NULL;
}

static void
learn(struct span sealed, struct span auth, const struct secret *opened)
{
	struct memo *m = &memory.v[memory.n];
	bool was = inject_pause();

	if (memory.n < NELEMS(memory.v) && recall(sealed, auth) == NULL) {
		assert_int_equal(blob_set(&m->sealed, sealed), CVM_OK);
		assert_int_equal(blob_set(&m->auth, auth), CVM_OK);
		m->opened = opened != NULL ? secret_copy(secret_span(opened)) :
					     NULL;
		memory.n++;
	}
	injector.on = was;
}

static void
forget(void)
{
	for (unsigned i = 0; i < memory.n; i++) {
		blob_clear(&memory.v[i].sealed);
		blob_clear(&memory.v[i].auth);
		secret_freep(&memory.v[i].opened);
	}
	memory.n = 0;
}

int
__wrap_vtpm_unseal(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span sealed, const struct secret *auth, struct secret **ret,
    struct why *why)
{
	const struct span a = auth != NULL ? secret_span(auth) : span(NULL, 0);
	const struct memo *m = recall(sealed, a);
	int err;

	if (m != NULL && m->opened == NULL)
		return why_set(why, CVM_E_PIN_INCORRECT, "memory", "auth value",
		    "the one sealed", "another");
	if (m != NULL) {
		*ret = secret_copy(secret_span(m->opened));
		return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
	}
	err = __real_vtpm_unseal(t, bank, mask, sealed, auth, ret, why);
	if (memory.on && (err == CVM_OK || err == CVM_E_PIN_INCORRECT))
		learn(sealed, a, err == CVM_OK ? *ret : NULL);
	return err;
}

/* PINs. A try that a fault ended is given back, or ten of them would lock. */

static CK_RV
log_in(CK_USER_TYPE type, const char *pin)
{
	CK_UTF8CHAR copy[32];

	memcpy(copy, pin, strlen(pin));
	return C_Login(session, type, copy, strlen(pin));
}

STEP(log_in_user, log_in(CKU_USER, USER_PIN))

STEP(log_in_wrongly, log_in(CKU_USER, "wrong"))

STEP(log_in_so, log_in(CKU_SO, SO_PIN))

static CK_RV
log_out(void)
{
	(void)C_Logout(session);
	return CKR_OK;
}

static CK_RV
become_so(void)
{
	(void)C_Logout(session);
	return log_in_so();
}

STEP(init_pin, C_InitPIN(session, session_pin, sizeof(session_pin) - 1))

STEP(set_pin,
    C_SetPIN(session, session_pin, sizeof(session_pin) - 1, session_pin,
	sizeof(session_pin) - 1))

static const struct more pins[] = {
	{ "C_Login", log_out, log_in_user, CKR_OK },
	{ "C_Login as SO", log_out, log_in_so, CKR_OK },
	{ "C_SetPIN", log_out, set_pin, CKR_OK },
	{ "C_InitPIN", become_so, init_pin, CKR_OK },
	{ "C_Login with a wrong PIN", log_out, log_in_wrongly,
	    CKR_PIN_INCORRECT },
};

static const struct {
	enum injected kind;
	int code;
} faults[] = { { INJECT_MEMORY, 0 }, { INJECT_EVP, 0 },
	{ INJECT_SQLITE, SQLITE_IOERR } };

static CK_RV
session_state(CK_STATE *ret)
{
	CK_SESSION_INFO info = { 0 };
	CK_RV rv = C_GetSessionInfo(session, &info);

	*ret = info.state;
	return rv;
}

/* Who failed to log in is not logged in, and the right PIN still is right. */
static bool
pin_fault(const struct more *m, enum injected kind, int code, unsigned at)
{
	const bool by_tpm = m == &pins[0];
	CK_STATE before = 0, after = 0;
	CK_RV rv;

	begin(m);
	assert_ok(session_state(&before));
	inject(kind, code, at);
	rv = m->call();
	(void)inject_pause();
	assert_ok(session_state(&after));
	if (rv != m->want && (!injector.reached || !is_of_fault(m->name, rv)))
		complain("%s: 0x%lx", m->name, rv);
	if (rv != CKR_OK && after != before)
		complain("%s: 0x%lx, and logged in", m->name, rv);
	(void)log_out();
	memory.on = true;
	rv = log_in_user();
	memory.on = !by_tpm;
	if (rv != CKR_OK)
		complain("%s: afterwards 0x%lx", m->name, rv);
	return injector.reached;
}

static void
login_fails(void **state)
{
	unsigned n = 0;

	(void)state;
	NEEDS_MACHINE();
	complaints = 0;
	scene_prepare(&scene, &(struct scene_options){ 0 });
	assert_ok(C_Initialize(NULL));
	session = open_session(RW);
	for (size_t k = 0; k < NELEMS(faults); k++)
		for (size_t i = 0; i < NELEMS(pins); i++) {
			unsigned at = 1;

			memory.on = i > 0; /* pins[0] goes to the TPM */
			while (pin_fault(&pins[i], faults[k].kind,
			    faults[k].code, at))
				at++;
			n += at - 1;
			print_message("# %s: %u faults\n", pins[i].name,
			    at - 1);
		}
	memory.on = false;
	forget();
	print_message("# %u faults\n", n);
	assert_int_equal(complaints, 0);
	assert_true(n >= 1200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(login_fails, teardown),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
