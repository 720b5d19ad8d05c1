/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <unistd.h>

#include "tests/unit/injector.h"
#include "tests/unit/objects-fixture.h"

/*
 * A life of a token, from its opening to its end, in which the k-th call of a
 * kind fails, for every k: memory of ours, memory of SQLite, SQLite's calls,
 * OpenSSL's, the vTPM.
 */
WRAP(INJECT_TPM, int, vtpm_unseal, CVM_E_UNREACHABLE,
    (struct vtpm * t, enum hash_alg b, uint32_t m, struct span s,
	const struct secret *a, struct secret **r, struct why *w),
    (t, b, m, s, a, r, w))
WRAP(INJECT_TPM, int, vtpm_read_pcrs, CVM_E_UNREACHABLE,
    (struct vtpm * t, enum hash_alg b, uint32_t m, struct pcr_values *r,
	struct why *w),
    (t, b, m, r, w))

static sqlite3_mem_methods sqlite_memory;

static void *
starved_malloc(int n)
{
	return inject_due(INJECT_SQLITE_MEMORY) ? NULL :
						  sqlite_memory.xMalloc(n);
}

static void *
starved_realloc(void *p, int n)
{
	return inject_due(INJECT_SQLITE_MEMORY) ? NULL :
						  sqlite_memory.xRealloc(p, n);
}

/* A signature that was given must verify, whatever failed. */
static void
must_verify(struct stage *s, CK_OBJECT_HANDLE pub, struct span sig)
{
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	_cleanup_(op_freep) struct op *op = NULL;
	bool was = inject_pause();

	op = begin(s, OP_VERIFY, &mech, pub);
	ok(op_verify_once(op, text("x"), sig));
	injector.on = was;
}

static int
run_op(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, struct span in, uint8_t *out, CK_ULONG *len)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(op_freep) struct op *op = NULL;
	int err = token_object(s->t, &s->c, key, &o);

	if (err == CVM_OK)
		err = op_new(s->t, &s->f.cfg, kind, mech, o, s->c.permit, &op,
		    NULL);
	if (err == CVM_OK)
		err = op_once(op, s->c.permit, in, out, len, NULL);
	return err;
}

static int
try_sign(struct stage *s, const struct pair *p)
{
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	uint8_t sig[128];
	CK_ULONG len = sizeof(sig);
	int err = run_op(s, OP_SIGN, &mech, p->priv, text("x"), sig, &len);

	if (err == CVM_OK)
		must_verify(s, p->pub, span(sig, len));
	return err;
}

/* What was encrypted must decrypt. */
static int
try_encrypt(struct stage *s, CK_OBJECT_HANDLE key)
{
	CK_BYTE iv[16] = { 1 };
	CK_MECHANISM mech = { CKM_AES_CBC_PAD, iv, sizeof(iv) };
	uint8_t out[32], back[32];
	CK_ULONG len = sizeof(out), back_len = sizeof(back);
	int err = run_op(s, OP_ENCRYPT, &mech, key, text("hello"), out, &len);
	bool was;

	if (err != CVM_OK)
		return err;
	was = inject_pause();
	ok(run_op(s, OP_DECRYPT, &mech, key, span(out, len), back, &back_len));
	assert_true(back_len == 5 && memcmp(back, "hello", 5) == 0);
	injector.on = was;
	return CVM_OK;
}

static int
try_generate(struct stage *s, struct pair *p)
{
	CK_MECHANISM mech = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE pub[] = { BYTES_ATTR(CKA_EC_PARAMS, p256),
		BOOL_ATTR(CKA_TOKEN, true), TEXT_ATTR(CKA_LABEL, "new") };
	CK_ATTRIBUTE priv[] = { BOOL_ATTR(CKA_TOKEN, true),
		TEXT_ATTR(CKA_LABEL, "new") };

	return token_generate_pair(s->t, &s->c, &mech, pub, COUNT(pub), priv,
	    COUNT(priv), &p->pub, &p->priv, NULL);
}

static int
try_find(struct stage *s, const char *label, CK_OBJECT_HANDLE *ret)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
	char name[16];
	CK_ATTRIBUTE a = { CKA_LABEL, name, strlen(label) };
	size_t n = 0;
	int err;

	memcpy(name, label, strlen(label));
	err = token_find(s->t, &s->c, &a, 1, &v, &n, NULL);
	if (err == CVM_OK && n > 0)
		*ret = v[0];
	return err != CVM_OK ? err : n > 0 ? CVM_OK : CVM_E_NOT_FOUND;
}

static int
try_wrap(struct stage *s, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM mech = { CKM_AES_KEY_WRAP, NULL, 0 };
	uint8_t out[64];
	CK_ULONG len = sizeof(out);

	return token_wrap(s->t, &s->c, &mech, by, key, out, &len, NULL);
}

static int
try_rename(struct stage *s, CK_OBJECT_HANDLE h)
{
	CK_ATTRIBUTE a = TEXT_ATTR(CKA_LABEL, "newer");

	return token_set_attributes(s->t, &s->c, h, &a, 1, NULL);
}

/* The life; the first error ends it, and *ret_made is what was made. */
static int
live(struct stage *s, bool *ret_made)
{
	struct pair p = { 0, 0 };
	CK_OBJECT_HANDLE aes = 0;
	int err = token_new(&s->f.cfg, &s->f.issuer, &s->f.token);

	s->t = s->f.token;
	if (err == CVM_OK)
		err = token_unseal(s->t, &s->f.permit, &s->f.policy, &s->f.vtpm,
		    NULL);
	if (err == CVM_OK)
		err = token_login_user(s->t, &s->f.permit, text(USER_PIN),
		    &s->f.policy, &s->f.vtpm, NULL);
	if (err == CVM_OK)
		err = try_find(s, "aes", &aes);
	if (err == CVM_OK)
		err = try_generate(s, &p);
	*ret_made = err == CVM_OK;
	if (err == CVM_OK)
		err = try_sign(s, &p);
	if (err == CVM_OK)
		err = try_encrypt(s, aes);
	if (err == CVM_OK)
		err = try_wrap(s, aes, aes);
	if (err == CVM_OK)
		err = try_rename(s, p.pub);
	if (err == CVM_OK)
		err = token_destroy(s->t, &s->c, p.pub, NULL);
	if (err == CVM_OK)
		err = token_destroy(s->t, &s->c, p.priv, NULL);
	return err;
}

/* Without the permit nothing is signed, with whatever is in memory now. */
static void
end_of_admission(struct stage *s)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
	CK_ATTRIBUTE a = ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY);
	size_t n = 0;

	if (s->t == NULL)
		return;
	permit_revoke_all(&s->f.issuer);
	if (token_find(s->t, &s->c, &a, 1, &v, &n, NULL) != CVM_OK)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct pair p = { 0, v[i] };

		assert_int_not_equal(try_sign(s, &p), CVM_OK);
	}
}

/* As the next process finds the token: whole, and with all of what a call
 * said it made, or nothing. What is left of it goes. */
static void
look_and_tidy(struct stage *s, bool made, int err)
{
	static char label[][8] = { "new", "newer" };
	size_t left = 0;

	token_freep(&s->f.token);
	ok(token_new(&s->f.cfg, &s->f.issuer, &s->f.token));
	s->t = s->f.token;
	new_permit(&s->f);
	ok(login_user(&s->f, USER_PIN, why));
	for (size_t i = 0; i < COUNT(label); i++) {
		_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
		CK_ATTRIBUTE a = { CKA_LABEL, label[i], strlen(label[i]) };
		size_t n = 0;

		ok(token_find(s->t, &s->c, &a, 1, &v, &n, why));
		for (size_t k = 0; k < n; k++)
			ok(token_destroy(s->t, &s->c, v[k], why));
		left += n;
	}
	if (left > 2 || (left == 0) != (!made || err == CVM_OK))
		fail_msg("call %u, code %d: %zu left, made %d, err %d",
		    injector.at, injector.code, left, made, err);
	token_freep(&s->f.token);
	s->t = NULL;
}

/* True when there was a k-th call. */
static bool
live_with_fault(struct stage *s, enum injected kind, int code, unsigned k)
{
	bool made = false;
	int err;

	new_permit(&s->f);
	inject(kind, code, k);
	err = live(s, &made);
	if (err != CVM_OK && injector.reached)
		end_of_admission(s);
	if (s->t != NULL)
		token_logout(s->t);
	(void)inject_pause();
	if (!injector.reached)
		assert_int_equal(err, CVM_OK);
	look_and_tidy(s, made, err);
	return injector.reached;
}

static unsigned
step_of(enum injected kind)
{
	const char *all = getenv("STARVE_ALL");

	return all == NULL && kind == INJECT_SQLITE_MEMORY ? 7 : 1;
}

static void
every_call_of(struct stage *s, enum injected kind, int code, const char *name,
    unsigned least)
{
	unsigned k = 1, step = step_of(kind);

	while (live_with_fault(s, kind, code, k))
		k += step;
	print_message("# %s: %u calls, every %u. failed\n", name, injector.seen,
	    step);
	assert_true(injector.seen >= least);
}

static void
memory_runs_out(void **state)
{
	every_call_of(*state, INJECT_MEMORY, 0, "malloc", 1000);
}

static void
memory_of_sqlite_runs_out(void **state)
{
	every_call_of(*state, INJECT_SQLITE_MEMORY, 0, "SQLite's malloc", 500);
}

static void
sqlite_fails(void **state)
{
	for (size_t i = 0; i < COUNT(sqlite_codes); i++)
		every_call_of(*state, INJECT_SQLITE, sqlite_codes[i].code,
		    sqlite_codes[i].name, 400);
}

static void
openssl_fails(void **state)
{
	every_call_of(*state, INJECT_EVP, 0, "OpenSSL", 200);
}

static void
vtpm_goes_away(void **state)
{
	every_call_of(*state, INJECT_TPM, 0, "vTPM", 3);
}

/* In memory where there is such a place: nothing here loses power. */
static void
settle(struct fixture *f)
{
	if (access("/dev/shm", W_OK) == 0) {
		assert_int_equal(rmdir(f->dir), 0);
		strcpy(f->dir, "/dev/shm/test-token.XXXXXX");
		assert_non_null(mkdtemp(f->dir));
		(void)snprintf(f->path, sizeof(f->path), "%s/web.db", f->dir);
	}
	ok(try_init(f, SO_PIN, NULL, why));
	ok(login_so(f, SO_PIN, why));
	ok(token_init_pin(f->token, &f->permit, text(USER_PIN), &f->policy,
	    &f->vtpm, why));
	token_logout(f->token);
	token_wipe(f->token);
}

static int
setup(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));
	CK_BYTE value[32] = { 5 };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		BYTES_ATTR(CKA_VALUE, value),
		BOOL_ATTR(CKA_TOKEN, true),
		BOOL_ATTR(CKA_WRAP, true),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		BOOL_ATTR(CKA_ENCRYPT, true),
		BOOL_ATTR(CKA_DECRYPT, true),
		TEXT_ATTR(CKA_LABEL, "aes"),
	};
	CK_OBJECT_HANDLE h;

	assert_non_null(s);
	fixture_new(&s->f, LOGIN_PIN);
	settle(&s->f);
	s->t = s->f.token;
	s->c = (struct caller){ .session = 1,
		.user = true,
		.writable = true,
		.permit = &s->f.permit };
	ok(login_user(&s->f, USER_PIN, why));
	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	token_freep(&s->f.token);
	*state = s;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_runs_out, setup,
		    stage_teardown),
		cmocka_unit_test_setup_teardown(memory_of_sqlite_runs_out,
		    setup, stage_teardown),
		cmocka_unit_test_setup_teardown(sqlite_fails, setup,
		    stage_teardown),
		cmocka_unit_test_setup_teardown(openssl_fails, setup,
		    stage_teardown),
		cmocka_unit_test_setup_teardown(vtpm_goes_away, setup,
		    stage_teardown),
	};
	sqlite3_mem_methods starved;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) !=
	    SQLITE_OK)
		return 1;
	starved = sqlite_memory;
	starved.xMalloc = starved_malloc;
	starved.xRealloc = starved_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &starved) != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
