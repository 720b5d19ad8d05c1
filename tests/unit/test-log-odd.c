/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/log-fixture.h"

/* What firmware logs in a way of its own, and what would look like it. */

#define POST_CODE 0x1

static void
put(struct fixture *f, uint32_t pcr, uint32_t type, struct span data,
    struct span measured)
{
	made_insert(&f->log, 0, pcr, type, data, measured);
	build(f);
}

static void
take(struct fixture *f)
{
	made_remove(&f->log, &f->log.events[0]);
	build(f);
	admitted(f);
}

/* Denied as an event of its own, with NUL, and as one of another type whose
 * data says something else; text that is but near it is none of these. */
static void
told_by_its_digest(enum check_id id, const char *text)
{
	const size_t n = strlen(text);
	FIXTURE(LOG_TCG);

	for (size_t nul = 0; nul <= 1; nul++) {
		put(f, 7, (uint32_t)EV_EFI_ACTION, span(text, n + nul),
		    span(NULL, 0));
		denied_by(f, id);
		take(f);
		put(f, 7, POST_CODE, span("fine", 4), span(text, n + nul));
		denied_by(f, id);
		take(f);
	}
	put(f, 7, POST_CODE, span(text, n), span(text, n - 1));
	admitted(f);
	take(f);
	put(f, 7, EV_NO_ACTION, span(text, n), span(NULL, 0));
	admitted(f); /* is not measured */
}

static void
dma_protection_off_hidden(void **state)
{
	(void)state;
	told_by_its_digest(CHECK_LOG_21, "DMA Protection Disabled");
}

static void
debug_mode_hidden(void **state)
{
	(void)state;
	told_by_its_digest(CHECK_LOG_16, "UEFI Debug Mode");
}

/* Zeros that are fewer than an event's head might be a part of one. */
static void
padding_misread(void **state)
{
	static const struct {
		size_t n;
		uint8_t value, first, last;
		bool good;
	} rows[] = {
		{ 1, 0xff, 0xff, 0xff, true },
		{ 4096, 0xff, 0xff, 0xff, true },
		{ 4096, 0xff, 0xff, 0x00, false },
		{ 4096, 0xff, 0xfe, 0xff, false },
		{ 16, 0x00, 0x00, 0x00, true },
		{ 4096, 0x00, 0x00, 0x00, true },
		{ 4096, 0x00, 0x00, 0x01, false },
		{ 4096, 0x00, 0x01, 0x00, false },
		{ 4, 0x00, 0x00, 0x00, false },
		{ 15, 0x00, 0x00, 0x00, false },
		{ 64, 0x20, 0x20, 0x20, false },
	};
	static uint8_t bytes[4096];

	(void)state;
	FIXTURE(LOG_TCG);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		memset(bytes, rows[i].value, rows[i].n);
		bytes[0] = rows[i].first;
		bytes[rows[i].n - 1] = rows[i].last;
		build(f);
		assert_int_equal(blob_append(&f->evidence.event_log,
				     span(bytes, rows[i].n)),
		    0);
		if (rows[i].good)
			admitted(f);
		else
			denied_by(f, CHECK_LOG_01);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dma_protection_off_hidden),
		cmocka_unit_test(debug_mode_hidden),
		cmocka_unit_test(padding_misread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
