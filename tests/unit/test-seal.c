/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/token-fixture.h"

/* One seal of each kind, made and opened without a token around it. */
struct bench {
	struct vtpm vtpm;
	struct policy policy;
	uint8_t id[TOKEN_ID_LEN];
	struct seal_context c;
	struct secret *key, *auth, *code, *got;
	struct store_seal plain, pin, recovery;
};

static void
bench_new(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fixture_policy(&b->policy);
	b->vtpm.seed = 1;
	b->vtpm.pcrs.mask = 0xffffff;
	set_pcrs(b->vtpm.pcrs.value, 0xffffff, 0x10);
	memset(b->id, 0x1d, sizeof(b->id));
	b->c = (struct seal_context){ b->id, b->policy.digest, &b->vtpm };
	b->key = secret_new(TOKEN_KEY_LEN);
	b->auth = secret_new(32);
	b->code = secret_new(RECOVERY_CODE_LEN);
	memset(secret_data(b->key), 0x6b, TOKEN_KEY_LEN);
	memset(secret_data(b->auth), 0x61, 32);
	memset(secret_data(b->code), 0x63, RECOVERY_CODE_LEN);
	ok(seal_make_tpm(&b->c, SEAL_TOKEN, HASH_SHA256,
	    &b->policy.tpm.pcr_sets[0], b->key, NULL, &b->plain, why));
	ok(seal_make_tpm(&b->c, SEAL_USER, HASH_SHA256,
	    &b->policy.tpm.pcr_sets[0], b->key, b->auth, &b->pin, why));
	ok(seal_make_recovery(&b->c, SEAL_TOKEN, b->code, b->key, &b->recovery,
	    why));
}

static void
bench_free(struct bench *b)
{
	secret_freep(&b->key);
	secret_freep(&b->auth);
	secret_freep(&b->code);
	secret_freep(&b->got);
	store_seal_clear(&b->plain);
	store_seal_clear(&b->pin);
	store_seal_clear(&b->recovery);
}

/* Opens, and the key is the one that was sealed. */
static void
opens(struct bench *b)
{
	ok(seal_open_tpm(&b->c, &b->plain, NULL, &b->got, why));
	assert_true(span_equal(secret_span(b->got), secret_span(b->key)));
	secret_freep(&b->got);
	ok(seal_open_tpm(&b->c, &b->pin, b->auth, &b->got, why));
	assert_true(span_equal(secret_span(b->got), secret_span(b->key)));
	secret_freep(&b->got);
	ok(seal_open_recovery(&b->c, &b->recovery, b->code, &b->got, why));
	assert_true(span_equal(secret_span(b->got), secret_span(b->key)));
	secret_freep(&b->got);
}

static void
every_kind_opens(void **state)
{
	_cleanup_(bench_free) struct bench b;

	(void)state;
	bench_new(&b);
	opens(&b);
	assert_string_equal(seal_purpose_name(b.plain.purpose), "token");
	assert_string_equal(seal_kind_name(b.recovery.kind), "recovery");
	assert_string_equal(seal_kind_name(77), "unknown");
	assert_string_equal(seal_purpose_name(0), "unknown");
}

/* Each column of a row, bit by bit where it has bytes. */
static void
row_edited(void **state)
{
	_cleanup_(bench_free) struct bench b;
	struct store_seal *rows[] = { &b.plain, &b.pin };

	(void)state;
	bench_new(&b);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct store_seal *s = rows[i];
		const struct secret *auth = i == 1 ? b.auth : NULL;
		struct span bytes[] = { span(s->id, sizeof(s->id)),
			blob_span(&s->params), blob_span(&s->blob),
			text(s->label) };

		for (size_t k = 0; k < NELEMS(bytes); k++)
			for (size_t n = 0; n < bytes[k].len; n++) {
				uint8_t *at =
				    (uint8_t *)(uintptr_t)bytes[k].data + n;

				*at ^= 1;
				if (seal_open_tpm(&b.c, s, auth, &b.got,
					NULL) == CVM_OK)
					fail_msg("part %zu byte %zu", k, n);
				*at ^= 1;
			}
		s->purpose ^= 3;
		refused(CVM_E_CORRUPT,
		    seal_open_tpm(&b.c, s, auth, &b.got, why));
		s->purpose ^= 3;
		s->created++;
		refused(CVM_E_CORRUPT,
		    seal_open_tpm(&b.c, s, auth, &b.got, why));
		s->created--;
		s->kind = SEAL_RECOVERY;
		refused(CVM_E_CORRUPT,
		    seal_open_tpm(&b.c, s, auth, &b.got, why));
		s->kind = SEAL_TPM;
	}
	opens(&b);
}

static void
blob_cut(void **state)
{
	_cleanup_(bench_free) struct bench b;
	size_t len;

	(void)state;
	bench_new(&b);
	len = b.plain.blob.len;
	for (b.plain.blob.len = 0; b.plain.blob.len < len; b.plain.blob.len++)
		assert_int_not_equal(seal_open_tpm(&b.c, &b.plain, NULL, &b.got,
					 NULL),
		    CVM_OK);
	len = b.plain.params.len;
	for (b.plain.params.len = 0; b.plain.params.len < len;
	     b.plain.params.len++)
		refused(CVM_E_CORRUPT,
		    seal_open_tpm(&b.c, &b.plain, NULL, &b.got, why));
	opens(&b);
}

static void
another_token(void **state)
{
	_cleanup_(bench_free) struct bench b;

	(void)state;
	bench_new(&b);
	b.id[3] ^= 1;
	refused(CVM_E_CORRUPT,
	    seal_open_tpm(&b.c, &b.plain, NULL, &b.got, why));
	refused(CVM_E_SEALED,
	    seal_open_recovery(&b.c, &b.recovery, b.code, &b.got, why));
}

static void
another_policy(void **state)
{
	_cleanup_(bench_free) struct bench b;

	(void)state;
	bench_new(&b);
	b.policy.digest[0] ^= 1;
	refused(CVM_E_SEALED, seal_open_tpm(&b.c, &b.plain, NULL, &b.got, why));
	/* Telling the seal of the new digest does not help. */
	b.plain.params.data[8] ^= 1;
	refused(CVM_E_CORRUPT,
	    seal_open_tpm(&b.c, &b.plain, NULL, &b.got, why));
	ok(seal_open_recovery(&b.c, &b.recovery, b.code, &b.got, why));
}

static void
pin_missing_wrong_or_too_many(void **state)
{
	_cleanup_(bench_free) struct bench b;

	(void)state;
	bench_new(&b);
	refused(CVM_E_INVAL, seal_open_tpm(&b.c, &b.pin, NULL, &b.got, why));
	refused(CVM_E_INVAL,
	    seal_open_tpm(&b.c, &b.plain, b.auth, &b.got, why));
	secret_data(b.auth)[31] ^= 1;
	refused(CVM_E_PIN_INCORRECT,
	    seal_open_tpm(&b.c, &b.pin, b.auth, &b.got, why));
}

/* A TPM that gives its secret away does not give the key without the PIN. */
static void
tpm_alone_opens_a_pin_seal(void **state)
{
	_cleanup_(bench_free) struct bench b;

	(void)state;
	bench_new(&b);
	b.vtpm.careless = true;
	ok(seal_open_tpm(&b.c, &b.pin, b.auth, &b.got, why));
	secret_freep(&b.got);
	secret_data(b.auth)[0] ^= 1;
	refused(CVM_E_CORRUPT,
	    seal_open_tpm(&b.c, &b.pin, b.auth, &b.got, why));
}

static void
why_names_the_pcr(void **state)
{
	_cleanup_(bench_free) struct bench b;
	struct why w = { 0 };

	(void)state;
	bench_new(&b);
	b.vtpm.pcrs.value[11][0] ^= 1;
	assert_int_equal(seal_open_tpm(&b.c, &b.plain, NULL, &b.got, &w),
	    CVM_E_SEALED);
	assert_string_equal(w.field, "PCR 11");
	b.vtpm.pcrs.value[4][0] ^= 1;
	assert_int_equal(seal_open_tpm(&b.c, &b.plain, NULL, &b.got, &w),
	    CVM_E_SEALED);
	assert_string_equal(w.field, "PCR 4");
	assert_non_null(strstr(w.hint, "2 of"));
	b.vtpm.pcrs.value[5][0] ^= 1; /* not in the set */
	b.vtpm.pcrs.value[4][0] ^= 1;
	b.vtpm.pcrs.value[11][0] ^= 1;
	opens(&b);
	b.vtpm.seed = 2;
	assert_int_equal(seal_open_tpm(&b.c, &b.plain, NULL, &b.got, &w),
	    CVM_E_SEALED);
	assert_string_equal(w.field, "sealed object");
	b.vtpm.unreachable = true;
	refused(CVM_E_UNREACHABLE,
	    seal_open_tpm(&b.c, &b.plain, NULL, &b.got, why));
}

static void
bank_sha384(void **state)
{
	_cleanup_(bench_free) struct bench b;
	struct seal_tpm p;

	(void)state;
	bench_new(&b);
	store_seal_clear(&b.plain);
	ok(seal_make_tpm(&b.c, SEAL_TOKEN, HASH_SHA384,
	    &b.policy.tpm.pcr_sets[0], b.key, NULL, &b.plain, why));
	ok(seal_tpm_params(&b.plain, &p, why));
	assert_int_equal(p.bank, HASH_SHA384);
	assert_int_equal(p.set.mask, 0x890);
	assert_string_equal(p.set.label, "current");
	assert_int_equal(b.plain.params.len, 1 + 1 + 2 + 4 + 32 + 3 * 48);
}

static void
params_that_lie(void **state)
{
	_cleanup_(bench_free) struct bench b;
	struct seal_tpm p;
	static const struct {
		size_t at;
		uint8_t value;
	} edits[] = { { 0, 2 }, { 0, 0 }, { 1, 2 }, { 1, 0xff }, { 2, 1 },
		{ 3, 0x12 }, { 3, 0x0c }, { 4, 1 }, { 5, 1 }, { 7, 0x91 } };

	(void)state;
	bench_new(&b);
	for (size_t i = 0; i < NELEMS(edits); i++) {
		uint8_t *at = &b.plain.params.data[edits[i].at], was = *at;

		*at = edits[i].value;
		refused(CVM_E_CORRUPT, seal_tpm_params(&b.plain, &p, why));
		*at = was;
	}
	refused(CVM_E_CORRUPT, seal_tpm_params(&b.recovery, &p, why));
	ok(seal_tpm_params(&b.plain, &p, why));
}

static void
recovery_code_wrong(void **state)
{
	_cleanup_(bench_free) struct bench b;
	_cleanup_(secret_freep) struct secret *cut = NULL;

	(void)state;
	bench_new(&b);
	for (size_t i = 0; i < RECOVERY_CODE_LEN; i++) {
		secret_data(b.code)[i] ^= 0x80;
		refused(CVM_E_SEALED,
		    seal_open_recovery(&b.c, &b.recovery, b.code, &b.got, why));
		secret_data(b.code)[i] ^= 0x80;
	}
	cut = secret_copy(span(secret_span(b.code).data, 31));
	refused(CVM_E_INVAL,
	    seal_open_recovery(&b.c, &b.recovery, cut, &b.got, why));
	b.recovery.purpose = SEAL_USER;
	refused(CVM_E_SEALED,
	    seal_open_recovery(&b.c, &b.recovery, b.code, &b.got, why));
	refused(CVM_E_CORRUPT,
	    seal_open_recovery(&b.c, &b.plain, b.code, &b.got, why));
}

static void
recovery_text(void **state)
{
	_cleanup_(secret_freep) struct secret *code = NULL, *back = NULL;
	char typed[RECOVERY_TEXT_MAX], other[RECOVERY_TEXT_MAX + 4];

	(void)state;
	code = secret_new(RECOVERY_CODE_LEN);
	for (unsigned i = 0; i < RECOVERY_CODE_LEN; i++)
		secret_data(code)[i] = (uint8_t)(i * 37 + 11);
	ok(recovery_encode(code, typed, sizeof(typed)));
	assert_int_equal(strlen(typed), 65);
	assert_int_equal(strspn(typed, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-"),
	    65);
	for (size_t i = 5; i < 65; i += 6)
		assert_int_equal(typed[i], '-');
	ok(recovery_decode(typed, &back, why));
	assert_true(span_equal(secret_span(code), secret_span(back)));
	/* As people type it: lower case, blanks, a line break. */
	(void)snprintf(other, sizeof(other), "  %s\n", typed);
	for (char *p = other; *p != '\0'; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
		if (*p == '-')
			*p = ' ';
	}
	secret_freep(&back);
	ok(recovery_decode(other, &back, why));
	assert_true(span_equal(secret_span(code), secret_span(back)));
	assert_int_equal(recovery_encode(code, typed, 65), CVM_E_INVAL);
}

static void
recovery_text_mistyped(void **state)
{
	_cleanup_(secret_freep) struct secret *code = NULL, *back = NULL;
	char typed[RECOVERY_TEXT_MAX], longer[RECOVERY_TEXT_MAX + 2];

	(void)state;
	code = secret_new(RECOVERY_CODE_LEN);
	ok(recovery_encode(code, typed, sizeof(typed)));
	for (size_t i = 0; i < 65; i++) {
		char was = typed[i];

		if (was == '-')
			continue;
		typed[i] = was == 'B' ? 'C' : 'B';
		refused(CVM_E_PARSE, recovery_decode(typed, &back, why));
		typed[i] = was;
	}
	for (const char *bad = "0189!_@[`{/:\x7f\xc3"; *bad != '\0'; bad++) {
		char was = typed[7];

		typed[7] = *bad;
		refused(CVM_E_PARSE, recovery_decode(typed, &back, why));
		typed[7] = was;
	}
	(void)snprintf(longer, sizeof(longer), "%sA", typed);
	refused(CVM_E_PARSE, recovery_decode(longer, &back, why));
	typed[64] = '\0';
	refused(CVM_E_PARSE, recovery_decode(typed, &back, why));
	refused(CVM_E_PARSE, recovery_decode("", &back, why));
	assert_null(back);
}

/* FORMAT.md's worked example, and RFC 7914's parameters. */
static void
pin_auth_differs(void **state)
{
	_cleanup_(secret_freep) struct secret *a = NULL, *b = NULL;
	uint8_t id[TOKEN_ID_LEN];
	char hex[65];

	(void)state;
	for (uint8_t i = 0; i < TOKEN_ID_LEN; i++)
		id[i] = i;
	ok(pin_auth(text("geheim"), id, SEAL_USER, &a));
	assert_string_equal(hex_encode(secret_span(a), hex, sizeof(hex)),
	    "a23af3e8d93fbc565ac8210325ee2f5862d567a4b2f5b57c128fac7733116ada");
	ok(pin_auth(text("geheim"), id, SEAL_SO, &b));
	assert_false(span_equal(secret_span(a), secret_span(b)));
	secret_freep(&b);
	id[0] ^= 1;
	ok(pin_auth(text("geheim"), id, SEAL_USER, &b));
	assert_false(span_equal(secret_span(a), secret_span(b)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_opens),
		cmocka_unit_test(row_edited),
		cmocka_unit_test(blob_cut),
		cmocka_unit_test(another_token),
		cmocka_unit_test(another_policy),
		cmocka_unit_test(pin_missing_wrong_or_too_many),
		cmocka_unit_test(tpm_alone_opens_a_pin_seal),
		cmocka_unit_test(why_names_the_pcr),
		cmocka_unit_test(bank_sha384),
		cmocka_unit_test(params_that_lie),
		cmocka_unit_test(recovery_code_wrong),
		cmocka_unit_test(recovery_text),
		cmocka_unit_test(recovery_text_mistyped),
		cmocka_unit_test(pin_auth_differs),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
