/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_STAGE_H
#define TESTS_UNIT_STAGE_H

#include "attest/appraise.h"
#include "tests/unit/quote-maker.h"

/*
 * Machines with all of their evidence, and for each the text of a policy that
 * asks for whatever such a machine has, and admits it.
 */
enum stage_kind {
	STAGE_SNP = 1 << 0,    /* Turin with a VCEK, no TPM */
	STAGE_VLEK = 1 << 1,   /* Milan with a VLEK, masked, provisional, no
				  CRL */
	STAGE_GCE = 1 << 2,    /* Milan, vTPM with certificate, event log */
	STAGE_PINNED = 1 << 3, /* the same; the key is pinned */
	STAGE_AZURE = 1 << 4,
	STAGE_SVSM = 1 << 5,
	STAGE_TDX_4 = 1 << 6, /* quotes of version 4 and 5, CCEL */
	STAGE_TDX_5 = 1 << 7,
	STAGE_TDX_TPM = 1 << 8,	 /* a pinned key, both logs */
	STAGE_TDX_BARE = 1 << 9, /* the same without a CCEL */
	STAGES_END = 1 << 10
};
#define STAGES_TDX_ALONE (STAGE_TDX_4 | STAGE_TDX_5)
#define STAGES_TDX_TPM (STAGE_TDX_TPM | STAGE_TDX_BARE)

struct stage {
	struct evidence e;
	struct endorsements *endorsements;
	struct appraisal a; /* without a policy */
	char text[16384];   /* of the policy */
};

struct stage *stage_new(enum stage_kind kind);
struct made_log;
/* STAGE_TDX_TPM with these logs, whatever they say; ccel may be NULL. */
struct stage *stage_new_td(const struct made_log *tpm,
    const struct made_log *ccel);
/* The logs of such a machine that agree; the TPM's is of SHA-384 as well. */
void stage_logs(struct made_log *tpm, struct made_log *ccel);
void stage_free(struct stage **s);
int stage_setup(void **state);
int stage_teardown(void **state);

/* For the files that make stages. */
void stage_snp(struct stage *s, enum stage_kind kind);
void stage_tdx(struct stage *s, enum stage_kind kind);
void stage_tdx_both(struct stage *s, enum stage_kind kind);
void stage_tdx_tpm(struct stage *s, const struct made_log *tpm,
    const struct made_log *ccel);
/* The TPM's log, PCRs that it leads to, and a quote of them. */
#define STAGE_IMA_PCR 10 /* nothing of it is in the event log */
struct quote_plan stage_quote(struct stage *s, const struct made_log *l);
/* Appends to the policy's text. */
void stage_say(struct stage *s, const char *fmt, ...) _printf_(2, 3);
/* Appends "name":["hex"] and a comma. */
void stage_say_hex(struct stage *s, const char *name, const void *data,
    size_t len);
/* An endorsement of this measurement, and the row that asks for it. */
void stage_say_launch(struct stage *s, struct span measurement, int64_t now,
    const char *shape);
/* "tpm" up to "bank": the key is pinned; from there to its end. */
void stage_say_pinned(struct stage *s);
void stage_say_pcrs(struct stage *s);
/* The rows of "event_log" that a made log answers. */
void stage_say_log(struct stage *s, const struct made_log *l);

#endif
