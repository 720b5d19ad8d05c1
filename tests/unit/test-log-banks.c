/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/log-fixture.h"

/* A log has digests for as many banks as the TPM has: one of them counts. */

#define SPEC_COUNT_AT (32 + 16 + 8) /* TCG_PCR_EVENT; TCG_EfiSpecIDEvent */
#define MANY 16

static void
add_bank(struct fixture *f, uint16_t alg, uint16_t len)
{
	struct made_log *l = &f->log;

	assert_true(l->n_others < MADE_OTHERS_MAX);
	l->others[l->n_others].alg = alg;
	l->others[l->n_others++].len = len;
	build(f);
}

/* A vendor's algorithm, for each a different one. */
static void
add_unknown(struct fixture *f)
{
	add_bank(f, (uint16_t)(0x8000 + f->log.n_others), 48);
}

/* Where the first event after the Spec ID event begins. */
static uint8_t *
first_event(const struct fixture *f)
{
	size_t n = f->log.n_others + 1;

	return f->evidence.event_log.data + SPEC_COUNT_AT + 4 + 4 * n + 1;
}

/* What QEMU's swtpm has with every bank on, and as many as there may be. */
static void
log_of_many_banks_refused(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	add_bank(f, 0x0004, 20);
	add_bank(f, MADE_ALG_SHA384, 48);
	add_bank(f, 0x000d, 64);
	admitted(f);
	add_bank(f, 0x0012, 32); /* SM3 */
	admitted(f);
	add_bank(f, 0x0027, 32); /* SHA-3 */
	add_bank(f, 0x0028, 48);
	add_bank(f, 0x0029, 64);
	admitted(f);
	while (f->log.n_others < MANY - 1)
		add_unknown(f);
	admitted(f);
	f->evidence.pcrs.value[4][0] ^= 1;
	denied_by(f, CHECK_LOG_02);
	add_unknown(f);
	denied_by(f, CHECK_LOG_01);
}

static void
log_without_banks_admitted(void **state)
{
	(void)state;
	FIXTURE(LOG_TCG);
	assert_int_equal(f->evidence.event_log.data[SPEC_COUNT_AT], 1);
	f->evidence.event_log.data[SPEC_COUNT_AT] = 0;
	denied_by(f, CHECK_LOG_01);
}

static void
bank_of_another_size_admitted(void **state)
{
	static const struct {
		uint16_t alg, len;
	} rows[] = {
		{ 0x0004, 32 },
		{ MADE_ALG_SHA384, 32 },
		{ 0x000d, 48 },
		{ 0x0012, 20 },
		{ 0x0012, 48 },
		{ 0x0027, 31 },
		{ 0x0028, 64 },
		{ 0x0029, 32 },
		{ 0x8000, 0 },
		{ 0x8000, HASH_LEN_MAX + 1 },
	};

	(void)state;
	FIXTURE(LOG_TCG);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		f->log.n_others = 0;
		add_bank(f, rows[i].alg, rows[i].len);
		denied_by(f, CHECK_LOG_01);
	}
}

static void
bank_twice_admitted(void **state)
{
	static const struct {
		uint16_t alg, len;
	} rows[] = {
		{ 0x0004, 20 },
		{ 0x0012, 32 },
		{ 0x0028, 48 },
		{ 0x8000, 64 },
	};

	(void)state;
	FIXTURE(LOG_TCG);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		f->log.n_others = 0;
		add_bank(f, rows[i].alg, rows[i].len);
		admitted(f);
		add_bank(f, rows[i].alg, rows[i].len);
		denied_by(f, CHECK_LOG_01);
	}
	f->log.n_others = 0;
	add_bank(f, 0x000b, 32); /* as the log's own */
	denied_by(f, CHECK_LOG_01);
}

/* Each event has one digest for each bank: no fewer, no more, no other. */
static void
event_of_other_banks_admitted(void **state)
{
	uint8_t *e;

	(void)state;
	FIXTURE(LOG_TCG);
	add_bank(f, 0x0012, 32);
	add_bank(f, 0x8000, 32);
	admitted(f);
	e = first_event(f);
	assert_int_equal(e[8], 3);
	e[8] = 2;
	denied_by(f, CHECK_LOG_01);
	e[8] = 4;
	denied_by(f, CHECK_LOG_01);
	e[8] = 3;
	admitted(f);
	e[12] = 0x00;
	e[13] = 0x80; /* the second bank's twice, the first's not at all */
	denied_by(f, CHECK_LOG_01);
	e[12] = 0x13; /* one that the Spec ID event does not have */
	e[13] = 0x00;
	denied_by(f, CHECK_LOG_01);
	e[12] = 0x12;
	admitted(f);
}

/* The registers of a TD are SHA-384 and nothing else. */
static void
ccel_with_a_foreign_algorithm_admitted(void **state)
{
	static const struct {
		uint16_t alg, len;
	} rows[] = { { 0x0004, 20 }, { 0x0012, 32 }, { 0x8000, 48 } };

	(void)state;
	FIXTURE(LOG_CCEL);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		f->log.n_others = 0;
		add_bank(f, rows[i].alg, rows[i].len);
		denied_by(f, CHECK_LOG_01);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_of_many_banks_refused),
		cmocka_unit_test(log_without_banks_admitted),
		cmocka_unit_test(bank_of_another_size_admitted),
		cmocka_unit_test(bank_twice_admitted),
		cmocka_unit_test(event_of_other_banks_admitted),
		cmocka_unit_test(ccel_with_a_foreign_algorithm_admitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
