/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/objects-fixture.h"

/*
 * A life of a token, from its opening to its end, in which the k-th call of a
 * kind fails, for every k: memory of ours, memory of SQLite, OpenSSL's EVP,
 * the vTPM. The program is linked with --wrap for what is listed below.
 */
enum kind { MEMORY, SQLITE_MEMORY, EVP, TPM, N_KINDS };

static const char *const kind_names[N_KINDS] = { "malloc", "SQLite", "EVP",
	"vTPM" };

static struct {
	bool on, reached;
	enum kind kind;
	unsigned at, seen;
} fault;

static bool
due(enum kind kind)
{
	if (!fault.on || fault.kind != kind || ++fault.seen != fault.at)
		return false;
	fault.reached = true;
	return true;
}

/* A wrapper that gives fail when it is due. */
#define WRAP(kind, type, name, fail, params, args)                             \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	type __wrap_##name params                                              \
	{                                                                      \
		if (due(kind))                                                 \
			return fail;                                           \
		return __real_##name args;                                     \
	}

WRAP(MEMORY, void *, malloc, NULL, (size_t n), (n))
WRAP(MEMORY, void *, calloc, NULL, (size_t n, size_t m), (n, m))
WRAP(MEMORY, void *, realloc, NULL, (void *p, size_t n), (p, n))
WRAP(MEMORY, char *, strdup, NULL, (const char *s), (s))
WRAP(MEMORY, char *, strndup, NULL, (const char *s, size_t n), (s, n))
WRAP(MEMORY, void *, mmap64, MAP_FAILED,
    (void *a, size_t n, int prot, int flags, int fd, off_t at),
    (a, n, prot, flags, fd, at))

WRAP(EVP, EVP_MD_CTX *, EVP_MD_CTX_new, NULL, (void), ())
WRAP(EVP, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, NULL, (void), ())
WRAP(EVP, EVP_MAC_CTX *, EVP_MAC_CTX_new, NULL, (EVP_MAC * m), (m))
WRAP(EVP, EVP_KDF_CTX *, EVP_KDF_CTX_new, NULL, (EVP_KDF * k), (k))
WRAP(EVP, EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_pkey, NULL,
    (OSSL_LIB_CTX * l, EVP_PKEY *k, const char *p), (l, k, p))
WRAP(EVP, EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_name, NULL,
    (OSSL_LIB_CTX * l, const char *k, const char *p), (l, k, p))
WRAP(EVP, EVP_MAC *, EVP_MAC_fetch, NULL,
    (OSSL_LIB_CTX * l, const char *k, const char *p), (l, k, p))
WRAP(EVP, EVP_KDF *, EVP_KDF_fetch, NULL,
    (OSSL_LIB_CTX * l, const char *k, const char *p), (l, k, p))
WRAP(EVP, int, EVP_DigestInit_ex2, 0,
    (EVP_MD_CTX * c, const EVP_MD *m, const OSSL_PARAM *p), (c, m, p))
WRAP(EVP, int, EVP_DigestUpdate, 0, (EVP_MD_CTX * c, const void *d, size_t n),
    (c, d, n))
WRAP(EVP, int, EVP_DigestFinal_ex, 0,
    (EVP_MD_CTX * c, unsigned char *d, unsigned *n), (c, d, n))
WRAP(EVP, int, EVP_CipherInit_ex2, 0,
    (EVP_CIPHER_CTX * c, const EVP_CIPHER *t, const unsigned char *k,
	const unsigned char *iv, int enc, const OSSL_PARAM *p),
    (c, t, k, iv, enc, p))
WRAP(EVP, int, EVP_EncryptInit_ex2, 0,
    (EVP_CIPHER_CTX * c, const EVP_CIPHER *t, const unsigned char *k,
	const unsigned char *iv, const OSSL_PARAM *p),
    (c, t, k, iv, p))
WRAP(EVP, int, EVP_CipherUpdate, 0,
    (EVP_CIPHER_CTX * c, unsigned char *o, int *n, const unsigned char *i,
	int m),
    (c, o, n, i, m))
WRAP(EVP, int, EVP_EncryptUpdate, 0,
    (EVP_CIPHER_CTX * c, unsigned char *o, int *n, const unsigned char *i,
	int m),
    (c, o, n, i, m))
WRAP(EVP, int, EVP_DecryptUpdate, 0,
    (EVP_CIPHER_CTX * c, unsigned char *o, int *n, const unsigned char *i,
	int m),
    (c, o, n, i, m))
WRAP(EVP, int, EVP_CipherFinal_ex, 0,
    (EVP_CIPHER_CTX * c, unsigned char *o, int *n), (c, o, n))
WRAP(EVP, int, EVP_CIPHER_CTX_ctrl, 0,
    (EVP_CIPHER_CTX * c, int t, int a, void *p), (c, t, a, p))
WRAP(EVP, int, EVP_MAC_init, 0,
    (EVP_MAC_CTX * c, const unsigned char *k, size_t n, const OSSL_PARAM *p),
    (c, k, n, p))
WRAP(EVP, int, EVP_MAC_update, 0,
    (EVP_MAC_CTX * c, const unsigned char *d, size_t n), (c, d, n))
WRAP(EVP, int, EVP_MAC_final, 0,
    (EVP_MAC_CTX * c, unsigned char *o, size_t *l, size_t n), (c, o, l, n))
WRAP(EVP, int, EVP_KDF_derive, 0,
    (EVP_KDF_CTX * c, unsigned char *k, size_t n, const OSSL_PARAM p[]),
    (c, k, n, p))
WRAP(EVP, int, EVP_PKEY_keygen_init, 0, (EVP_PKEY_CTX * c), (c))
WRAP(EVP, int, EVP_PKEY_generate, 0, (EVP_PKEY_CTX * c, EVP_PKEY **k), (c, k))
WRAP(EVP, int, EVP_PKEY_fromdata_init, 0, (EVP_PKEY_CTX * c), (c))
WRAP(EVP, int, EVP_PKEY_fromdata, 0,
    (EVP_PKEY_CTX * c, EVP_PKEY **k, int s, OSSL_PARAM p[]), (c, k, s, p))
WRAP(EVP, int, EVP_PKEY_get_octet_string_param, 0,
    (const EVP_PKEY *k, const char *s, unsigned char *b, size_t m, size_t *n),
    (k, s, b, m, n))
WRAP(EVP, int, EVP_PKEY_get_bn_param, 0,
    (const EVP_PKEY *k, const char *s, BIGNUM **b), (k, s, b))
WRAP(EVP, int, EVP_PKEY_sign_init, 0, (EVP_PKEY_CTX * c), (c))
WRAP(EVP, int, EVP_PKEY_sign, 0,
    (EVP_PKEY_CTX * c, unsigned char *o, size_t *n, const unsigned char *d,
	size_t m),
    (c, o, n, d, m))
WRAP(EVP, int, EVP_PKEY_verify_init, 0, (EVP_PKEY_CTX * c), (c))
WRAP(EVP, int, EVP_PKEY_verify, 0,
    (EVP_PKEY_CTX * c, const unsigned char *o, size_t n, const unsigned char *d,
	size_t m),
    (c, o, n, d, m))
WRAP(EVP, int, EVP_PKEY_public_check, 0, (EVP_PKEY_CTX * c), (c))
WRAP(EVP, int, EVP_PKEY_pairwise_check, 0, (EVP_PKEY_CTX * c), (c))
WRAP(EVP, int, EVP_RAND_generate, 0,
    (EVP_RAND_CTX * c, unsigned char *o, size_t n, unsigned s, int r,
	const unsigned char *a, size_t m),
    (c, o, n, s, r, a, m))

WRAP(TPM, int, vtpm_unseal, CVM_E_UNREACHABLE,
    (struct vtpm * t, enum hash_alg b, uint32_t m, struct span s,
	const struct secret *a, struct secret **r, struct why *w),
    (t, b, m, s, a, r, w))
WRAP(TPM, int, vtpm_read_pcrs, CVM_E_UNREACHABLE,
    (struct vtpm * t, enum hash_alg b, uint32_t m, struct pcr_values *r,
	struct why *w),
    (t, b, m, r, w))

/* scrypt takes 100 ms and one call. */
int __wrap_pin_auth(struct span pin, const uint8_t *token_id,
    enum seal_purpose purpose, struct secret **ret);
int
__wrap_pin_auth(struct span pin, const uint8_t *token_id,
    enum seal_purpose purpose, struct secret **ret)
{
	_cleanup_(secret_freep) struct secret *s = secret_new(SHA256_LEN);
	const uint8_t byte = (uint8_t)purpose;
	const struct span parts[] = { pin, span(token_id, TOKEN_ID_LEN),
		span(&byte, 1) };
	int err;

	if (s == NULL)
		return CVM_E_NOMEM;
	err = hash_parts(HASH_SHA256, parts, COUNT(parts), secret_data(s));
	if (err == CVM_OK)
		*ret = TAKE_PTR(s);
	return err;
}

static sqlite3_mem_methods sqlite_memory;

static void *
starved_malloc(int n)
{
	return due(SQLITE_MEMORY) ? NULL : sqlite_memory.xMalloc(n);
}

static void *
starved_realloc(void *p, int n)
{
	return due(SQLITE_MEMORY) ? NULL : sqlite_memory.xRealloc(p, n);
}

static bool
paused(void)
{
	bool was = fault.on;

	fault.on = false;
	return was;
}

/* A signature that was given must verify, whatever failed. */
static void
must_verify(struct stage *s, CK_OBJECT_HANDLE pub, struct span sig)
{
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	_cleanup_(op_freep) struct op *op = NULL;
	bool was = paused();

	op = begin(s, OP_VERIFY, &mech, pub);
	ok(op_verify_once(op, text("x"), sig));
	fault.on = was;
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
	was = paused();
	ok(run_op(s, OP_DECRYPT, &mech, key, span(out, len), back, &back_len));
	assert_true(back_len == 5 && memcmp(back, "hello", 5) == 0);
	fault.on = was;
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
	if (!made || err == CVM_OK)
		assert_int_equal(left, 0);
	else
		assert_in_range(left, 1, 2);
	token_freep(&s->f.token);
	s->t = NULL;
}

/* True when there was a k-th call. */
static bool
live_with_fault(struct stage *s, enum kind kind, unsigned k)
{
	bool made = false;
	int err;

	new_permit(&s->f);
	fault.kind = kind;
	fault.at = k;
	fault.seen = 0;
	fault.reached = false;
	fault.on = true;
	err = live(s, &made);
	if (err != CVM_OK && fault.reached)
		end_of_admission(s);
	if (s->t != NULL)
		token_logout(s->t);
	fault.on = false;
	if (!fault.reached)
		assert_int_equal(err, CVM_OK);
	look_and_tidy(s, made, err);
	return fault.reached;
}

static unsigned
step_of(enum kind kind)
{
	const char *all = getenv("STARVE_ALL");

	return all == NULL && kind == SQLITE_MEMORY ? 7 : 1;
}

static void
every_call_of(struct stage *s, enum kind kind)
{
	unsigned k = 1, step = step_of(kind);

	while (live_with_fault(s, kind, k))
		k += step;
	print_message("# %s: %u calls, every %u. failed\n", kind_names[kind],
	    fault.seen, step);
	assert_true(k > 1);
}

static void
memory_runs_out(void **state)
{
	every_call_of(*state, MEMORY);
}

static void
memory_of_sqlite_runs_out(void **state)
{
	every_call_of(*state, SQLITE_MEMORY);
}

static void
openssl_fails(void **state)
{
	every_call_of(*state, EVP);
}

static void
vtpm_goes_away(void **state)
{
	every_call_of(*state, TPM);
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
