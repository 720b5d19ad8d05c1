/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/birth.h"
#include "attest/derive.h"
#include "attest/leaf.h"
#include "attest/merkle.h"
#include "attest/receipt.h"
#include "base/tuple.h"

/* The code against the vectors of attest/PROTOCOL.md. */

#define LEAVES_MAX 70

static cJSON *vectors;

static int
setup(void **state)
{
	static char text[65536];
	FILE *f = fopen(SOURCE_ROOT "/tests/unit/derive-vectors.json", "re");

	(void)state;
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	vectors = cJSON_Parse(text);
	assert_non_null(vectors);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cJSON_Delete(vectors);
	return 0;
}

static const char *
word(const cJSON *v, const char *name)
{
	const char *s;

	s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v, name));
	assert_non_null(s);
	return s;
}

static uint64_t
number(const cJSON *v, const char *name)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(v, name);

	assert_true(cJSON_IsNumber(n));
	return (uint64_t)n->valuedouble;
}

static struct blob
bytes(const cJSON *v, const char *name)
{
	struct blob b = { 0 };

	assert_int_equal(hex_decode_blob(word(v, name), 4096, &b), 0);
	return b;
}

static void
fixed(const cJSON *v, const char *name, uint8_t *out, size_t len)
{
	assert_int_equal(hex_decode(word(v, name), out, len), 0);
}

typedef void (*derivation)(const cJSON *v, struct blob *ret);

/* Runs a derivation on every vector of its kind. */
static void
expect(const char *kind, size_t at_least, derivation derive)
{
	const cJSON *v;
	size_t n = 0;

	cJSON_ArrayForEach(v, cJSON_GetObjectItem(vectors, "vectors")) {
		struct blob want = { 0 }, got = { 0 };

		if (strcmp(word(v, "kind"), kind) != 0)
			continue;
		want = bytes(v, "out");
		derive(v, &got);
		if (!span_equal(blob_span(&want), blob_span(&got))) {
			print_message("# %s\n", word(v, "name"));
			fail();
		}
		blob_clear(&want);
		blob_clear(&got);
		n++;
	}
	assert_true(n >= at_least);
}

static void
derive_tuple(const cJSON *v, struct blob *ret)
{
	struct blob b[4] = { 0 };
	struct span s[4];
	const cJSON *f;
	size_t n = 0;

	cJSON_ArrayForEach(f, cJSON_GetObjectItem(v, "fields")) {
		assert_true(n < NELEMS(b));
		assert_int_equal(hex_decode_blob(f->valuestring, 64, &b[n]), 0);
		s[n] = blob_span(&b[n]);
		n++;
	}
	assert_int_equal(tuple(word(v, "tag"), s, n, ret), 0);
	for (size_t i = 0; i < n; i++)
		blob_clear(&b[i]);
}

static void
derive_session(const cJSON *v, struct blob *ret)
{
	uint8_t rnd[32];

	fixed(v, "random", rnd, sizeof(rnd));
	assert_int_equal(leaf_session(word(v, "serial"), number(v, "pid"),
			     number(v, "fork_count"), rnd, ret),
	    0);
}

static void
derive_operation(const cJSON *v, struct blob *ret)
{
	struct operation_leaf op = {
		.serial = word(v, "serial"),
		.counter = number(v, "counter"),
		.function = word(v, "function"),
		.mechanism = number(v, "mechanism"),
	};

	fixed(v, "session_id", op.session_id, sizeof(op.session_id));
	fixed(v, "parameter_digest", op.parameter_digest, SHA256_LEN);
	fixed(v, "key_fingerprint", op.key_fingerprint, SHA256_LEN);
	fixed(v, "input_digest", op.input_digest, SHA256_LEN);
	fixed(v, "random", op.random, sizeof(op.random));
	assert_int_equal(leaf_operation(&op, ret), 0);
}

static void
derive_challenge(const cJSON *v, struct blob *ret)
{
	struct blob nonce = bytes(v, "nonce");
	struct blob fp = bytes(v, "key_fingerprint");

	assert_int_equal(leaf_challenge(blob_span(&nonce), blob_span(&fp), ret),
	    0);
	blob_clear(&nonce);
	blob_clear(&fp);
}

static void
derive_chain(const cJSON *v, struct blob *ret)
{
	uint8_t head[SHA256_LEN];

	fixed(v, "head", head, sizeof(head));
	assert_int_equal(leaf_chain(head, ret), 0);
}

static bool
flag(const cJSON *v, const char *name)
{
	const cJSON *f = cJSON_GetObjectItemCaseSensitive(v, name);

	assert_true(cJSON_IsBool(f));
	return cJSON_IsTrue(f);
}

static void
derive_key(const cJSON *v, struct blob *ret)
{
	struct blob nonce = bytes(v, "nonce");
	struct birth b = {
		.origin = ORIGIN_GENERATED,
		.key_type = strtoul(word(v, "key_type"), NULL, 16),
		.gen_mechanism = strtoul(word(v, "key_gen_mechanism"), NULL,
		    16),
		.local = flag(v, "local"),
		.always_sensitive = flag(v, "always_sensitive"),
		.never_extractable = flag(v, "never_extractable"),
		.sensitive = flag(v, "sensitive"),
		.extractable = flag(v, "extractable"),
		.bind_operation = flag(v, "bind_operation"),
	};

	(void)snprintf(b.serial, sizeof(b.serial), "%s", word(v, "serial"));
	fixed(v, "fingerprint", b.fingerprint, SHA256_LEN);
	assert_int_equal(leaf_key(&b, blob_span(&nonce), ret), 0);
	blob_clear(&nonce);
}

/* The body is read as a line with its hash, and written again. */
static void
derive_receipt(const cJSON *v, struct blob *ret)
{
	_cleanup_(receipt_clear) struct receipt r = { 0 };
	_cleanup_(receipt_body_clear) struct receipt_body b = { 0 };
	uint8_t prev[SHA256_LEN], out[SHA256_LEN];
	const char *body = word(v, "body");
	char *line;

	fixed(v, "prev", prev, sizeof(prev));
	assert_true(asprintf(&line, "%s,\"prev\":\"%s\",\"hash\":\"%s\"}", body,
			word(v, "prev"), word(v, "out")) > 0);
	assert_int_equal(receipt_decode(span(line, strlen(line)), "line", prev,
			     &r, NULL),
	    0);
	free(line);
	assert_int_equal(receipt_encode(&r, &b), 0);
	assert_true(span_equal(blob_span(&b.text), span(body, strlen(body))));
	assert_int_equal(receipt_hash(prev, &b, out), 0);
	assert_int_equal(blob_set(ret, span(out, sizeof(out))), 0);
}

static void
derive_rd(const cJSON *v, struct blob *ret)
{
	uint8_t root[SHA256_LEN], policy[SHA256_LEN], out[REPORT_DATA_LEN];
	struct blob name = bytes(v, "ak_name");

	fixed(v, "root", root, sizeof(root));
	fixed(v, "policy_digest", policy, sizeof(policy));
	assert_int_equal(derive_report_data(root, blob_span(&name), policy,
			     out),
	    0);
	assert_int_equal(blob_set(ret, span(out, sizeof(out))), 0);
	blob_clear(&name);
}

static void
derive_qd(const cJSON *v, struct blob *ret)
{
	uint8_t root[SHA256_LEN], out[QUALIFYING_LEN];
	struct blob report = bytes(v, "tee_report");

	fixed(v, "root", root, sizeof(root));
	assert_int_equal(derive_qualifying(root, blob_span(&report), out), 0);
	assert_int_equal(blob_set(ret, span(out, sizeof(out))), 0);
	blob_clear(&report);
}

static void
numbered(struct blob leaves[static LEAVES_MAX])
{
	char text[16];

	for (unsigned i = 0; i < LEAVES_MAX; i++) {
		(void)snprintf(text, sizeof(text), "leaf %u", i);
		leaves[i] = (struct blob){ 0 };
		assert_int_equal(blob_set(&leaves[i], span(text, strlen(text))),
		    0);
	}
}

static void
clear(struct blob leaves[static LEAVES_MAX])
{
	for (unsigned i = 0; i < LEAVES_MAX; i++)
		blob_clear(&leaves[i]);
}

static void
derive_root(const cJSON *v, struct blob *ret)
{
	struct blob leaves[LEAVES_MAX];
	uint8_t root[SHA256_LEN];

	numbered(leaves);
	assert_int_equal(merkle_root(leaves, number(v, "size"), root), 0);
	assert_int_equal(blob_set(ret, span(root, sizeof(root))), 0);
	clear(leaves);
}

static void
derive_path(const cJSON *v, struct blob *ret)
{
	struct blob leaves[LEAVES_MAX];

	numbered(leaves);
	assert_int_equal(merkle_proof(leaves, number(v, "size"),
			     number(v, "index"), ret),
	    0);
	clear(leaves);
}

static void
tuple_encoded_otherwise(void **state)
{
	(void)state;
	expect("tuple", 2, derive_tuple);
}

static void
leaf_encoded_otherwise(void **state)
{
	(void)state;
	expect("session", 1, derive_session);
	expect("operation", 1, derive_operation);
	expect("challenge", 2, derive_challenge);
	expect("chain", 1, derive_chain);
	expect("key", 1, derive_key);
	expect("receipt", 1, derive_receipt);
}

static void
nonce_derived_otherwise(void **state)
{
	(void)state;
	expect("report_data", 2, derive_rd);
	expect("qualifying", 2, derive_qd);
}

static void
tree_built_otherwise(void **state)
{
	(void)state;
	expect("root", 5, derive_root);
	expect("path", 6, derive_path);
}

static void
challenge_nonce_of_wrong_length(void **state)
{
	static const uint8_t nonce[CHALLENGE_NONCE_MAX + 1];
	struct blob b = { 0 };
	struct span none = span(NULL, 0);

	(void)state;
	for (size_t n = 0; n <= sizeof(nonce); n++) {
		bool good = n >= CHALLENGE_NONCE_MIN &&
		    n <= CHALLENGE_NONCE_MAX;

		assert_int_equal(leaf_challenge(span(nonce, n), none, &b),
		    good ? CVM_OK : CVM_E_INVAL);
		blob_clear(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tuple_encoded_otherwise),
		cmocka_unit_test(leaf_encoded_otherwise),
		cmocka_unit_test(nonce_derived_otherwise),
		cmocka_unit_test(tree_built_otherwise),
		cmocka_unit_test(challenge_nonce_of_wrong_length),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
