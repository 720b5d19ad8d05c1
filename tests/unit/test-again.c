/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/err.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/losses.h"
#include "token/op_impl.h"

/*
 * What a session keeps of an operation for its next one: a cipher with a key
 * in it. Each way to lose the right to the key, or the key, is tried while it
 * is kept, and while it is used.
 */
#define MESSAGE 64

static const uint8_t key_bytes[32] = { 1, 2, 3, 4 };

struct message {
	CK_BYTE iv[12], aad[4], in[MESSAGE], out[MESSAGE + 16];
	CK_GCM_PARAMS p;
	CK_MECHANISM mech;
};

static void
message_init(struct message *m, CK_BYTE number)
{
	memset(m, 0, sizeof(*m));
	m->iv[0] = number;
	m->in[0] = number;
	m->p = (CK_GCM_PARAMS){ m->iv, sizeof(m->iv), 96, NULL, 0, 128 };
	m->mech = (CK_MECHANISM){ CKM_AES_GCM, &m->p, sizeof(m->p) };
}

static CK_OBJECT_HANDLE
make_key(struct stage *s, bool token)
{
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		{ CKA_VALUE, (CK_BYTE[32]){ 1, 2, 3, 4 }, 32 },
		BOOL_ATTR(CKA_TOKEN, token), BOOL_ATTR(CKA_ENCRYPT, true),
		BOOL_ATTR(CKA_DECRYPT, true) };
	CK_OBJECT_HANDLE h = 0;

	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	return h;
}

/* By op_new(), and kept. */
static struct op *
use_and_keep(struct stage *s, CK_OBJECT_HANDLE key)
{
	struct op *op, *rest = NULL;
	struct message m;
	CK_ULONG n = sizeof(m.out);

	message_init(&m, 1);
	op = begin(s, OP_ENCRYPT, &m.mech, key);
	ok(op_once(op, s->c.permit, span(m.in, MESSAGE), m.out, &n, why));
	op_rest(&op, &rest);
	assert_null(op);
	assert_non_null(rest);
	return rest;
}

/* Whether the key is still in what is kept. */
static bool
has_key(const struct op *rest)
{
	return rest->key->cipher != NULL;
}

static bool
again(struct stage *s, struct op **rest, CK_OBJECT_HANDLE key, struct op **ret)
{
	struct message m;

	message_init(&m, 2);
	return op_again(rest, &s->c, &m.mech, key, ret);
}

static void
sealed_otherwise_than_openssl(const struct message *m)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t want[MESSAGE + 16];
	int n;

	assert_int_equal(EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), NULL, NULL,
			     NULL),
	    1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN,
			     (int)m->p.ulIvLen, NULL),
	    1);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, NULL, key_bytes, m->iv, NULL),
	    1);
	if (m->p.ulAADLen > 0)
		assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, m->p.pAAD,
				     (int)m->p.ulAADLen),
		    1);
	assert_int_equal(EVP_EncryptUpdate(ctx, want, &n, m->in, MESSAGE), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, want, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16,
			     &want[MESSAGE]),
	    1);
	EVP_CIPHER_CTX_free(ctx);
	assert_memory_equal(m->out, want, sizeof(want));
}

/* Nothing of a message is left for the next: nonce, its length, data that is
 * only authenticated, parts. */
static void
message_leaves_something_for_the_next(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make_key(s, false);
	struct op *rest = use_and_keep(s, key), *op = NULL;
	struct message m;
	CK_ULONG n, more;

	for (CK_BYTE i = 0; i < 12; i++) {
		message_init(&m, i);
		if (i % 3 == 1)
			m.p.ulIvLen = 8;
		if (i % 4 == 1) {
			m.p.pAAD = m.aad;
			m.p.ulAADLen = sizeof(m.aad);
		}
		assert_true(op_again(&rest, &s->c, &m.mech, key, &op));
		assert_null(rest);
		n = sizeof(m.out);
		if (i % 4 == 3) {
			ok(op_update(op, s->c.permit, span(m.in, 5), m.out, &n,
			    why));
			more = MESSAGE;
			ok(op_update(op, s->c.permit,
			    span(&m.in[5], MESSAGE - 5), &m.out[5], &more,
			    why));
			n = 16;
			ok(op_final(op, s->c.permit, &m.out[MESSAGE], &n, why));
		} else if (i % 4 == 2) {
			/* Given up before its end. */
			ok(op_update(op, s->c.permit, span(m.in, 5), m.out, &n,
			    why));
			op_rest(&op, &rest);
			continue;
		} else {
			ok(op_once(op, s->c.permit, span(m.in, MESSAGE), m.out,
			    &n, why));
		}
		sealed_otherwise_than_openssl(&m);
		op_rest(&op, &rest);
		assert_non_null(rest);
		assert_int_equal(ERR_peek_error(), 0);
	}
	op_freep(&rest);
}

/* A wrong tag is found, and the next message is decrypted all the same. */
static void
wrong_tag_accepted_or_poisons(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make_key(s, false);
	struct op *seal, *op, *rest = NULL;
	struct message m;
	CK_BYTE plain[MESSAGE];
	CK_ULONG n = sizeof(m.out);

	message_init(&m, 7);
	seal = begin(s, OP_ENCRYPT, &m.mech, key);
	ok(op_once(seal, s->c.permit, span(m.in, MESSAGE), m.out, &n, why));
	op_freep(&seal);
	op = begin(s, OP_DECRYPT, &m.mech, key);
	for (int i = 0; i < 6; i++) {
		n = sizeof(plain);
		m.out[MESSAGE + 3] ^= i % 2;
		assert_int_equal(op_once(op, s->c.permit, span(m.out, n + 16),
				     plain, &n, NULL),
		    i % 2 ? CVM_E_ENCRYPTED_INVALID : CVM_OK);
		m.out[MESSAGE + 3] ^= i % 2;
		if (i % 2 == 0)
			assert_memory_equal(plain, m.in, MESSAGE);
		assert_int_equal(ERR_peek_error(), 0);
		op_rest(&op, &rest);
		assert_true(op_again(&rest, &s->c, &m.mech, key, &op));
	}
	op_freep(&op);
}

static void
set_up(struct stage **ret)
{
	void *state = NULL;

	assert_int_equal(stage_setup(&state), 0);
	*ret = state;
}

/* A permit whose time is over: refused when the key would be used. */
static void
refused_at_use(struct stage *s, struct op **op)
{
	CK_ULONG n = MESSAGE + 16;
	struct message m;

	message_init(&m, 2);
	assert_int_equal(op_once(*op, s->c.permit, span(m.in, MESSAGE), m.out,
			     &n, NULL),
	    CVM_E_PERMIT);
	assert_int_equal(m.out[0], 0);
	op_freep(op);
}

/* Kept: refused, and where the key is lost it is not even in memory. */
static void
kept_cipher_outlives_the_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lease_losses); i++) {
		struct stage *s = NULL;
		struct op *rest, *op = NULL;
		struct message m;
		CK_OBJECT_HANDLE key;
		void *st;

		print_message("# %s\n", lease_losses[i].name);
		set_up(&s);
		key = make_key(s, lease_losses[i].token);
		rest = use_and_keep(s, key);
		assert_true(has_key(rest));
		lease_losses[i].run(s, key);
		assert_int_equal(has_key(rest), !lease_losses[i].takes_key);
		assert_int_equal(again(s, &rest, key, &op),
		    lease_losses[i].at_use);
		if (lease_losses[i].at_use)
			refused_at_use(s, &op);
		/* Nor does whoever still has the object come by it. */
		if (rest != NULL && lease_losses[i].takes_key) {
			message_init(&m, 3);
			assert_false(op_again_with(&rest, &m.mech,
			    op_object(rest), s->c.permit, &op));
		}
		op_freep(&rest);
		st = s;
		(void)stage_teardown(&st);
	}
}

/* In use: what has taken the key meanwhile takes it at the end. */
static void
used_cipher_comes_to_rest_after_a_wipe(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lease_losses); i++) {
		struct stage *s = NULL;
		struct op *rest, *op = NULL;
		CK_OBJECT_HANDLE key;
		void *st;

		if (!lease_losses[i].takes_key)
			continue;
		print_message("# %s\n", lease_losses[i].name);
		set_up(&s);
		key = make_key(s, lease_losses[i].token);
		rest = use_and_keep(s, key);
		assert_true(again(s, &rest, key, &op));
		lease_losses[i].run(s, key);
		op_rest(&op, &rest);
		assert_null(op);
		assert_null(rest);
		st = s;
		(void)stage_teardown(&st);
	}
}

/* A thread of the parent destroys the key, and holds its lock at the fork; the
 * table no longer knows it. */
static void
child_waits_for_a_key_that_was_being_destroyed(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make_key(s, false);
	struct op *rest = use_and_keep(s, key);
	struct key_cache *cache = op_object(rest)->key;
	int status;
	pid_t pid;

#ifdef __SANITIZE_THREAD__
	/* It takes a lock that is made anew in the child for the parent's. */
	op_freep(&rest);
	skip();
#endif
	destruction(s, key);
	(void)pthread_mutex_lock(&cache->lock);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		token_after_fork(s->t);
		op_after_fork(rest);
		op_freep(&rest);
		_exit(0);
	}
	(void)pthread_mutex_unlock(&cache->lock);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	op_freep(&rest);
}

/* The same, before it ever rested. */
static void
first_use_comes_to_rest_after_a_wipe(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make_key(s, false);
	struct op *op, *rest = NULL;
	struct message m;

	message_init(&m, 1);
	op = begin(s, OP_ENCRYPT, &m.mech, key);
	denial(s, key);
	op_rest(&op, &rest);
	assert_null(rest);
}

/* Neither the key nor what is done with it may be another's. */
static void
another_key_or_mechanism_served(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make_key(s, false), other = make_key(s, false);
	struct op *rest = use_and_keep(s, key), *op = NULL;
	struct message m;

	assert_false(again(s, &rest, other, &op));
	assert_false(again(s, &rest, 0, &op));
	message_init(&m, 1);
	m.mech.mechanism = CKM_AES_CCM;
	assert_false(op_again(&rest, &s->c, &m.mech, key, &op));
	/* A parameter is refused as ever, by op_new(). */
	message_init(&m, 1);
	m.p.ulTagBits = 32;
	assert_false(op_again(&rest, &s->c, &m.mech, key, &op));
	op_freep(&rest);
	rest = use_and_keep(s, key);
	message_init(&m, 1);
	assert_true(op_again(&rest, &s->c, &m.mech, key, &op));
	op_rest(&op, &rest);
	/* Others' objects come and go, and the handle is looked up again. */
	ok(token_destroy(s->t, &s->c, other, why));
	assert_false(again(s, &rest, key, &op));
	message_init(&m, 2);
	assert_true(
	    op_again_with(&rest, &m.mech, op_object(rest), s->c.permit, &op));
	op_rest(&op, &rest);
	assert_true(again(s, &rest, key, &op));
	op_freep(&op);
}

/* Uses that are admitted one by one keep nothing. */
static void
bound_use_kept(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make_key(s, false);
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct op *op = NULL, *rest = NULL;
	struct message m;
	CK_ULONG n = sizeof(m.out);

	message_init(&m, 1);
	ok(token_object(s->t, &s->c, key, &o));
	ok(op_new(s->t, &s->f.cfg, OP_ENCRYPT, &m.mech, o, NULL, &op, why));
	ok(op_hash_input(op));
	ok(op_once(op, s->c.permit, span(m.in, MESSAGE), m.out, &n, why));
	op_rest(&op, &rest);
	assert_null(rest);
}

#define USERS 3
#define LIVES 40 /* of the key */

struct user {
	struct stage *s;
	CK_OBJECT_HANDLE key;
	CK_BYTE number;
	size_t messages, wrong;
	bool has_key; /* at the end */
};

/* Uses the key as a session does, for as long as it is there. */
static void *
use_until_wiped(void *arg)
{
	struct user *u = arg;
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct op *op = NULL, *rest = NULL;
	CK_BYTE first[MESSAGE + 16];
	struct message m;
	int err = token_object(u->s->t, &u->s->c, u->key, &o);

	message_init(&m, u->number);
	while (err == CVM_OK) {
		CK_ULONG n = sizeof(m.out);

		if (!op_again_with(&rest, &m.mech, o, u->s->c.permit, &op))
			err = op_new(u->s->t, &u->s->f.cfg, OP_ENCRYPT, &m.mech,
			    o, u->s->c.permit, &op, NULL);
		if (err == CVM_OK)
			err = op_once(op, u->s->c.permit, span(m.in, MESSAGE),
			    m.out, &n, NULL);
		if (err == CVM_OK && u->messages++ == 0)
			memcpy(first, m.out, sizeof(first));
		else if (err == CVM_OK)
			u->wrong += memcmp(first, m.out, sizeof(first)) != 0;
		op_rest(&op, &rest);
	}
	u->has_key = rest != NULL && has_key(rest);
	op_freep(&rest);
	return NULL;
}

/* Threads at the same key while it is destroyed: what they make until then is
 * right, and afterwards none has the key. */
static void
key_wiped_under_its_users(void **state)
{
	struct stage *s = *state;
	size_t messages = 0;

	for (size_t life = 0; life < LIVES; life++) {
		CK_OBJECT_HANDLE key = make_key(s, false);
		struct user u[USERS] = { { .s = NULL } };
		pthread_t t[USERS];

		for (CK_BYTE i = 0; i < USERS; i++) {
			u[i] = (struct user){ .s = s, .key = key, .number = i };
			assert_int_equal(pthread_create(&t[i], NULL,
					     use_until_wiped, &u[i]),
			    0);
		}
		(void)usleep((useconds_t)(life * 50));
		ok(token_destroy(s->t, &s->c, key, why));
		for (size_t i = 0; i < USERS; i++) {
			assert_int_equal(pthread_join(t[i], NULL), 0);
			assert_int_equal(u[i].wrong, 0);
			assert_false(u[i].has_key);
			messages += u[i].messages;
		}
	}
	assert_true(messages > LIVES);
}

/* Of one key there are so many, however many sessions there are. */
static void
leases_without_limit(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = make_key(s, false);
	struct op *rest[KEY_LEASES_MAX + 1] = { NULL };
	struct message m;

	message_init(&m, 1);
	for (size_t i = 0; i <= KEY_LEASES_MAX; i++) {
		struct op *op = begin(s, OP_ENCRYPT, &m.mech, key);

		op_rest(&op, &rest[i]);
		assert_int_equal(rest[i] != NULL, i < KEY_LEASES_MAX);
	}
	op_freep(&rest[0]);
	rest[0] = use_and_keep(s, key);
	for (size_t i = 0; i < KEY_LEASES_MAX; i++)
		op_freep(&rest[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(message_leaves_something_for_the_next),
		ON_STAGE(wrong_tag_accepted_or_poisons),
		cmocka_unit_test(kept_cipher_outlives_the_right),
		cmocka_unit_test(used_cipher_comes_to_rest_after_a_wipe),
		ON_STAGE(first_use_comes_to_rest_after_a_wipe),
		ON_STAGE(child_waits_for_a_key_that_was_being_destroyed),
		ON_STAGE(another_key_or_mechanism_served),
		ON_STAGE(bound_use_kept),
		ON_STAGE(leases_without_limit),
		ON_STAGE(key_wiped_under_its_users),
	};

	return cmocka_run_group_tests_name("again", tests, NULL, NULL);
}
