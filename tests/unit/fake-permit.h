/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_FAKE_PERMIT_H
#define TESTS_UNIT_FAKE_PERMIT_H

#include <stdatomic.h>

#include "attest/permit.h"
#include "tests/unit/fake-clock.h"

/* For a program that is linked with --wrap of the four ways to ask a permit:
 * they refuse, or time passes at one of them. */
static atomic_bool refuse;
static unsigned hour_strikes_at, looks; /* 0: never */

/* The hour strikes right before this look at the permit. */
static void
look(void)
{
	if (hour_strikes_at != 0 && ++looks == hour_strikes_at)
		fake_clock_pass(3600000);
}

int __real_permit_check(const struct permit *p, const struct permit_issuer *i);
int __wrap_permit_check(const struct permit *p, const struct permit_issuer *i);

int
__wrap_permit_check(const struct permit *p, const struct permit_issuer *i)
{
	look();
	return atomic_load(&refuse) ? CVM_E_PERMIT : __real_permit_check(p, i);
}

int __real_permit_look(struct permit *p, const struct permit_issuer *i,
    struct permit_turn *call);
int __wrap_permit_look(struct permit *p, const struct permit_issuer *i,
    struct permit_turn *call);

int
__wrap_permit_look(struct permit *p, const struct permit_issuer *i,
    struct permit_turn *call)
{
	look();
	return atomic_load(&refuse) ? CVM_E_PERMIT :
				      __real_permit_look(p, i, call);
}

int __real_permit_holds(const struct permit *p, const struct permit_issuer *i);
int __wrap_permit_holds(const struct permit *p, const struct permit_issuer *i);

int
__wrap_permit_holds(const struct permit *p, const struct permit_issuer *i)
{
	look();
	return atomic_load(&refuse) ? CVM_E_PERMIT : __real_permit_holds(p, i);
}

bool __real_permit_stands(const struct permit *p,
    const struct permit_issuer *i);
bool __wrap_permit_stands(const struct permit *p,
    const struct permit_issuer *i);

/* Of a permit that was refused none stands; one whose time is over does. */
bool
__wrap_permit_stands(const struct permit *p, const struct permit_issuer *i)
{
	return !atomic_load(&refuse) && __real_permit_stands(p, i);
}

#endif
