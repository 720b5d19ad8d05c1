/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>

#include "attest/snp.h"

/* Where TCB_VERSION keeps each component (56860 section 2.2, table 3): byte
 * index; the bytes that no component uses are reserved. */
struct layout {
	uint8_t bootloader, tee, snp, microcode;
	bool has_fmc; /* in byte 0 */
	uint8_t reserved_from, reserved_to;
};

static const struct layout milan = { 0, 1, 6, 7, false, 2, 5 };
static const struct layout turin = { 1, 2, 3, 7, true, 4, 6 };

static const struct layout *
layout_of(enum snp_product p)
{
	return snp_is_since_turin(p) ? &turin : &milan;
}

int
snp_tcb_decode(struct span tcb, enum snp_product p, struct snp_tcb *ret)
{
	const struct layout *l = layout_of(p);

	if (tcb.len != SNP_TCB_LEN)
		return CVM_E_PARSE;
	for (size_t i = l->reserved_from; i <= l->reserved_to; i++)
		if (tcb.data[i] != 0)
			return CVM_E_PARSE;
	*ret = (struct snp_tcb){
		.fmc = l->has_fmc ? tcb.data[0] : 0,
		.bootloader = tcb.data[l->bootloader],
		.tee = tcb.data[l->tee],
		.snp = tcb.data[l->snp],
		.microcode = tcb.data[l->microcode],
	};
	return CVM_OK;
}

/* As an integer, microcode would outweigh all the rest. */
bool
snp_tcb_at_least(const struct snp_tcb *a, const struct snp_tcb *b)
{
	return a->fmc >= b->fmc && a->bootloader >= b->bootloader &&
	    a->tee >= b->tee && a->snp >= b->snp &&
	    a->microcode >= b->microcode;
}

bool
snp_tcb_equal(const struct snp_tcb *a, const struct snp_tcb *b)
{
	return snp_tcb_at_least(a, b) && snp_tcb_at_least(b, a);
}

const char *
snp_tcb_text(const struct snp_tcb *t, enum snp_product p,
    char buf[static SNP_TCB_TEXT_MAX])
{
	char fmc[16] = "";

	/* Also shown where a line has none but somebody asks for it. */
	if (layout_of(p)->has_fmc || t->fmc != 0)
		(void)snprintf(fmc, sizeof(fmc), "fmc %u, ", t->fmc);
	(void)snprintf(buf, SNP_TCB_TEXT_MAX,
	    "%sbootloader %u, tee %u, snp %u, microcode %u", fmc, t->bootloader,
	    t->tee, t->snp, t->microcode);
	return buf;
}
