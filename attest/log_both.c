/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/log_parts.h"

/*
 * A TD with a vTPM has two logs of one boot, each proved by registers of its
 * own. Firmware and boot loaders may write an event to one of them alone; what
 * both state has to be the same, or one of them tells of another boot.
 */
struct both {
	struct verdict *v;
	struct log_view tpm, ccel;
	char told[CHECK_VALUE_MAX]; /* what was compared */
};

static void
tell(struct both *b, const char *what)
{
	size_t n = strlen(b->told);

	(void)snprintf(b->told + n, sizeof(b->told) - n, "%s%s",
	    n > 0 ? ", " : "", what);
}

static bool
differs(struct both *b, const char *what, const char *tpm, const char *ccel)
{
	char expected[CHECK_VALUE_MAX];

	(void)snprintf(expected, sizeof(expected), "%s as in the TPM's log: %s",
	    what, tpm);
	return verdict_fail(b->v, CHECK_LOG_22, expected, "CCEL: %s", ccel);
}

static bool
same_secure_boot(struct both *b)
{
	const struct log_facts *t = b->tpm.f, *c = b->ccel.f;

	if (t->secure_boot_why.err != 0 || c->secure_boot_why.err != 0)
		return true;
	if (t->secure_boot != c->secure_boot)
		return differs(b, "Secure Boot", t->secure_boot ? "on" : "off",
		    c->secure_boot ? "on" : "off");
	tell(b, "Secure Boot");
	return true;
}

static bool
same_text(const struct log_text *a, const struct log_text *b)
{
	size_t n = log_text_len(a);

	if (n != log_text_len(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (log_char(a, i) != log_char(b, i))
			return false;
	return true;
}

static bool
differ_in_number(struct both *b, const char *what, size_t tpm, size_t ccel)
{
	char t[24], c[24];

	(void)snprintf(t, sizeof(t), "%zu", tpm);
	(void)snprintf(c, sizeof(c), "%zu", ccel);
	return differs(b, what, t, c);
}

static bool
same_cmdlines(struct both *b)
{
	const struct log_facts *t = b->tpm.f, *c = b->ccel.f;
	char one[128], other[128];

	if (t->n_kernel_cmdlines == 0 || c->n_kernel_cmdlines == 0)
		return true;
	if (t->n_kernel_cmdlines != c->n_kernel_cmdlines)
		return differ_in_number(b, "kernel command lines",
		    t->n_kernel_cmdlines, c->n_kernel_cmdlines);
	for (size_t i = 0; i < t->n_kernel_cmdlines; i++)
		if (!same_text(&t->kernel_cmdlines[i], &c->kernel_cmdlines[i]))
			return differs(b, "kernel command line",
			    log_text_shown(&t->kernel_cmdlines[i], one),
			    log_text_shown(&c->kernel_cmdlines[i], other));
	tell(b, "kernel command line");
	return true;
}

/* Where the TPM's log has SHA-384 too; else there is but their number. */
static bool
same_digests(struct both *b, int slot)
{
	const struct event_log *l = &b->tpm.log;
	char one[2 * HASH_LEN_MAX + 1], other[2 * HASH_LEN_MAX + 1];

	for (size_t i = 0, k = 0; i < l->n; i++) {
		struct span have, want = l->events[i].digests[slot];

		if (l->events[i].type !=
		    (uint32_t)EV_EFI_BOOT_SERVICES_APPLICATION)
			continue;
		have = b->ccel.f->efi_apps[k++];
		if (!span_equal(have, want))
			return differs(b, "EFI application",
			    hex_encode(want, one, sizeof(one)),
			    hex_encode(have, other, sizeof(other)));
	}
	tell(b, "EFI applications");
	return true;
}

static bool
same_efi_apps(struct both *b)
{
	const struct log_facts *t = b->tpm.f, *c = b->ccel.f;
	int slot = eventlog_alg(&b->tpm.log, b->ccel.alg);

	if (t->n_efi_apps == 0 || c->n_efi_apps == 0 ||
	    t->efi_apps_why.err != 0 || c->efi_apps_why.err != 0)
		return true;
	if (t->n_efi_apps != c->n_efi_apps)
		return differ_in_number(b, "EFI applications", t->n_efi_apps,
		    c->n_efi_apps);
	if (slot >= 0)
		return same_digests(b, slot);
	tell(b, "number of EFI applications");
	return true;
}

static void
both_clear(struct both *b)
{
	log_view_clear(&b->tpm);
	log_view_clear(&b->ccel);
}

bool
logs_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(both_clear) struct both b = { .v = v,
		.tpm = { .alg = a->policy->tpm.bank },
		.ccel = { .alg = HASH_SHA384 } };
	struct why why;

	(void)facts;
	if (a->evidence->ccel.len == 0)
		return verdict_skip(v, CHECK_LOG_22, LOG_NO_CCEL);
	/* Not reached: LOG-01 says what is wrong with which. */
	if (log_open(&b.tpm, blob_span(&a->evidence->event_log), LOG_TCG,
		&why) != CVM_OK ||
	    log_open(&b.ccel, blob_span(&a->evidence->ccel), LOG_CCEL, &why) !=
		CVM_OK)
		return false;
	if (!same_secure_boot(&b) || !same_cmdlines(&b) || !same_efi_apps(&b))
		return false;
	return b.told[0] != '\0' ?
	    verdict_pass_value(v, CHECK_LOG_22, "the same: %s", b.told) :
	    verdict_skip(v, CHECK_LOG_22, "nothing that both logs state");
}
