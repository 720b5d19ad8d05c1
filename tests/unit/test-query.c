/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

/*
 * Questions for a size (PKCS#11 section 5.2): all that such a call does is to
 * return a number that suffices, with CKR_OK. What is wrong with the input is
 * for the call that has a buffer to say, whatever the mechanism.
 */

#define DATA_MAX 300

struct query {
	enum op_kind kind;
	CK_MECHANISM_TYPE mech;
	size_t fits, wrong; /* lengths of input */
	int err;
};

static const struct query rsa_queries[] = {
	{ OP_SIGN, CKM_RSA_PKCS, 117, 118, CVM_E_DATA_LEN },
	{ OP_SIGN, CKM_RSA_PKCS, 0, 300, CVM_E_DATA_LEN },
	{ OP_SIGN, CKM_RSA_X_509, 127, 129, CVM_E_DATA_LEN },
	{ OP_DECRYPT, CKM_RSA_PKCS, 128, 127, CVM_E_ENCRYPTED_LEN },
	{ OP_DECRYPT, CKM_RSA_X_509, 128, 129, CVM_E_ENCRYPTED_LEN },
};

static const struct query rsa_public_queries[] = {
	{ OP_ENCRYPT, CKM_RSA_PKCS, 117, 118, CVM_E_DATA_LEN },
	{ OP_ENCRYPT, CKM_RSA_X_509, 127, 129, CVM_E_DATA_LEN },
};

static const struct query aes_queries[] = {
	{ OP_ENCRYPT, CKM_AES_ECB, 32, 31, CVM_E_DATA_LEN },
	{ OP_ENCRYPT, CKM_AES_CBC, 16, 17, CVM_E_DATA_LEN },
	{ OP_DECRYPT, CKM_AES_ECB, 32, 1, CVM_E_ENCRYPTED_LEN },
	{ OP_DECRYPT, CKM_AES_CBC, 16, 15, CVM_E_ENCRYPTED_LEN },
	{ OP_DECRYPT, CKM_AES_CBC_PAD, 0, 33, CVM_E_ENCRYPTED_LEN },
	{ OP_DECRYPT, CKM_AES_CBC_PAD, 0, 0, CVM_E_ENCRYPTED_LEN },
};

/* Asks, asks again, and then does it. */
static void
ask_and_do(struct stage *s, const struct query *q, CK_OBJECT_HANDLE key,
    size_t len, int err)
{
	static uint8_t iv[16], in[DATA_MAX], out[DATA_MAX + 16];
	CK_MECHANISM mech = { q->mech, NULL, 0 };
	_cleanup_(op_freep) struct op *op = NULL;
	CK_ULONG n[2] = { 0, 0 }, room = sizeof(out);
	int got;

	if (q->mech == CKM_AES_CBC || q->mech == CKM_AES_CBC_PAD)
		mech = (CK_MECHANISM){ q->mech, iv, sizeof(iv) };
	op = begin(s, q->kind, &mech, key);
	for (int i = 0; i < 2; i++)
		ok(op_once(op, s->c.permit, span(in, len), NULL, &n[i], why));
	assert_int_equal(n[0], n[1]);
	got = op_once(op, s->c.permit, span(in, len), out, &room, NULL);
	assert_int_equal(got, err);
	if (err == CVM_OK)
		assert_true(room <= n[0]);
}

static void
query_refuses_input(void **state)
{
	struct stage *s = *state;
	struct pair rsa = make_rsa(s, 1024, false);
	CK_OBJECT_HANDLE aes = make_secret(s, CKK_AES, "0123456789abcdef", 16);

	for (size_t i = 0; i < COUNT(rsa_queries); i++) {
		const struct query *q = &rsa_queries[i];

		ask_and_do(s, q, rsa.priv, q->wrong, q->err);
		/* Zeros are no cipher text of PKCS#1, and not seen as such. */
		ask_and_do(s, q, rsa.priv, q->fits, CVM_OK);
	}
	for (size_t i = 0; i < COUNT(rsa_public_queries); i++) {
		const struct query *q = &rsa_public_queries[i];

		ask_and_do(s, q, rsa.pub, q->wrong, q->err);
		ask_and_do(s, q, rsa.pub, q->fits, CVM_OK);
	}
	for (size_t i = 0; i < COUNT(aes_queries); i++) {
		const struct query *q = &aes_queries[i];

		ask_and_do(s, q, aes, q->wrong, q->err);
		if (q->fits > 0)
			ask_and_do(s, q, aes, q->fits, CVM_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(query_refuses_input),
	};

	return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
