/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/log_parts.h"
#include "attest/tdx.h"

#define NOT_ASKED "the policy does not ask"

static void
log_facts_freep(struct log_facts **f)
{
	if (*f != NULL)
		log_facts_clear(*f);
	free(*f);
	*f = NULL;
}

/* A fact's own trouble, else ok. */
static bool
fact(struct verdict *v, enum check_id id, const struct why *why)
{
	if (why->err == 0)
		return true;
	return verdict_fail(v, id, why->expected, "%s: %s: %s", why->where,
	    why->field, why->got);
}

static bool
span_in_strings(const struct string_list *l, struct span s)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_equal(span(l->v[i], strlen(l->v[i])), s))
			return true;
	return false;
}

static bool
span_in_values(const struct value_list *l, struct span s)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_equal(blob_span(&l->v[i]), s))
			return true;
	return false;
}

char
log_char(const struct log_text *t, size_t i)
{
	if (!t->utf16)
		return (char)t->text.data[i];
	return t->text.data[2 * i + 1] == 0 ? (char)t->text.data[2 * i] : '\0';
}

size_t
log_text_len(const struct log_text *t)
{
	return t->utf16 ? t->text.len / 2 : t->text.len;
}

static bool
text_in_strings(const struct string_list *l, const struct log_text *t)
{
	for (size_t i = 0; i < l->n; i++) {
		size_t n = strlen(l->v[i]), k = 0;

		if (n != log_text_len(t))
			continue;
		while (k < n && log_char(t, k) == l->v[i][k])
			k++;
		if (k == n)
			return true;
	}
	return false;
}

const char *
log_text_shown(const struct log_text *t, char buf[static 128])
{
	size_t len = log_text_len(t), n = len < 120 ? len : 120;

	for (size_t i = 0; i < n; i++)
		buf[i] = log_char(t, i) != '\0' ? log_char(t, i) : '?';
	buf[n] = '\0';
	if (n < len)
		memcpy(buf + n, "...", 4);
	return buf;
}

/* Is this PCR, or RTMR, one that the log need not explain? */
static bool
unlogged_ok(const struct string_list *l, unsigned number)
{
	char name[4];

	(void)snprintf(name, sizeof(name), "%u", number);
	return span_in_strings(l, span(name, strlen(name)));
}

/* RTMR n is MR n + 1 of a CCEL. */
static unsigned
rtmr_of(unsigned pcr)
{
	return eventlog_mr(LOG_CCEL, pcr) - 1;
}

/* A CCEL where there is the log of a TPM as well. */
static bool
beside_tpm(const struct log_view *w)
{
	return w->log.form == LOG_CCEL && w->a->policy->has_tpm;
}

/*
 * Of an event only the digest is measured, not its type: whoever hands a log
 * over can call an event something else, and let the running system extend what
 * he would rather have had. So facts are read from registers whose value the
 * policy names, and not from others, quoted or not.
 */
static bool
pinned(const struct log_view *w, unsigned pcr)
{
	const struct policy *p = w->a->policy;

	if (w->log.form == LOG_CCEL)
		return p->tdx.n_rtmr_sets > 0 &&
		    (p->tdx.rtmr_sets[0].mask & 1u << rtmr_of(pcr)) != 0 &&
		    !unlogged_ok(&p->log.unlogged_rtmrs, rtmr_of(pcr));
	return p->tpm.n_pcr_sets > 0 &&
	    (p->tpm.pcr_sets[0].mask & 1u << pcr) != 0 &&
	    !unlogged_ok(&p->log.unlogged_ok, pcr);
}

/* A fact that rests on events of pcr: proved, and without trouble. false: the
 * check is decided. */
static bool
proved(struct log_view *w, enum check_id id, unsigned pcr,
    const struct why *why)
{
	bool ccel = w->log.form == LOG_CCEL;
	unsigned n = ccel ? rtmr_of(pcr) : pcr;
	const char *kind = ccel ? "RTMR" : "PCR";
	char expected[64];

	if (pinned(w, pcr))
		return why == NULL || fact(w->v, id, why);
	/* The TPM's log has to prove it, and LOG-22 compares the two. */
	if (beside_tpm(w)) {
		(void)verdict_skip(w->v, id, "the policy names no such RTMR");
		return false;
	}
	(void)snprintf(expected, sizeof(expected), "%s %u in %s", kind, n,
	    ccel ? "tdx.rtmr_sets and not in unlogged_rtmrs" :
		   "tpm.pcr_sets and not in unlogged_pcrs");
	return verdict_fail(w->v, id, expected,
	    "a log of %s %u that nothing proves", kind, n);
}

static void
check_technology(struct log_view *w)
{
	const struct string_list *l = &w->a->policy->log.technology;
	const char *name = log_technology_name(w->f->technology);

	if (l->n == 0)
		(void)verdict_skip(w->v, CHECK_LOG_07, NOT_ASKED);
	else if (proved(w, CHECK_LOG_07, 0, &w->f->technology_why))
		(void)verdict_check(w->v, CHECK_LOG_07,
		    span_in_strings(l, span(name, strlen(name))), l->v[0], "%s",
		    name);
}

/* Firmware other than GCE's names no technology: nothing to compare. Without a
 * report, however, the log is the only word on memory encryption. */
static void
check_same_technology(struct log_view *w)
{
	static const enum tee_kind tee_of[] = { TEE_NONE, TEE_SEV, TEE_SEV,
		TEE_TDX, TEE_SNP };
	const enum tee_kind tee = w->a->policy->tee;
	const int seen = w->f->technology;

	if (tee == TEE_NONE)
		(void)verdict_skip(w->v, CHECK_LOG_08, NOT_ASKED);
	else if (tee != TEE_SEV && !pinned(w, 0))
		(void)verdict_skip(w->v, CHECK_LOG_08,
		    "the policy names no value of PCR 0");
	else if (!proved(w, CHECK_LOG_08, 0, &w->f->technology_why))
		return;
	else if (tee != TEE_SEV && seen < 0)
		(void)verdict_skip(w->v, CHECK_LOG_08, "no GceNonHostInfo");
	else
		(void)verdict_check(w->v, CHECK_LOG_08,
		    seen >= 0 && tee_of[seen] == tee, tee_kind_name(tee), "%s",
		    log_technology_name(seen));
}

static void
check_gce_firmware(struct log_view *w)
{
	const uint32_t min = w->a->policy->log.min_gce_firmware;
	char expected[48];

	if (min == 0) {
		(void)verdict_skip(w->v, CHECK_LOG_09, NOT_ASKED);
		return;
	}
	if (!proved(w, CHECK_LOG_09, 0, NULL))
		return;
	(void)snprintf(expected, sizeof(expected),
	    "GCE Virtual Firmware v%u or newer", min);
	if (w->f->gce_firmware < 0)
		(void)verdict_fail(w->v, CHECK_LOG_09, expected,
		    "no such version event");
	else
		(void)verdict_check(w->v, CHECK_LOG_09,
		    (uint32_t)w->f->gce_firmware >= min, expected, "v%d",
		    w->f->gce_firmware);
}

static void
check_secure_boot(struct log_view *w)
{
	const enum tristate want = w->a->policy->log.secure_boot;

	if (want == ANY)
		(void)verdict_skip(w->v, CHECK_LOG_10, NOT_ASKED);
	else if (proved(w, CHECK_LOG_10, 7, &w->f->secure_boot_why))
		(void)verdict_check(w->v, CHECK_LOG_10,
		    w->f->secure_boot == (want == REQUIRE),
		    want == REQUIRE ? "on" : "off", "%s",
		    w->f->secure_boot ? "on" : "off");
}

/* Every digest of the log is in the list of the policy. */
static bool
all_listed(struct log_view *w, enum check_id id, const struct digest_list *have,
    const struct value_list *list, const char *expected)
{
	char hex[2 * SHA256_LEN + 1];

	for (size_t i = 0; i < have->n; i++) {
		struct span s = span(have->v[i], SHA256_LEN);

		if (!span_in_values(list, s))
			return verdict_fail(w->v, id, expected, "%s",
			    hex_encode(s, hex, sizeof(hex)));
	}
	return true;
}

static bool
in_digests(const struct digest_list *l, struct span s)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_equal(span(l->v[i], SHA256_LEN), s))
			return true;
	return false;
}

/*
 * SHA-256 of certificates that signed boot loaders with the holes of BootHole
 * (CVE-2020-10713) and were revoked for it: Canonical's, Cisco's, Debian's.
 */
static const uint8_t boothole[][SHA256_LEN] = {
	{ 0x90, 0x24, 0x4c, 0xc2, 0x21, 0xe0, 0x0c, 0x1f, 0xe0, 0xa7, 0xb7,
	    0x8b, 0x3c, 0xe9, 0x45, 0xdd, 0x73, 0xbf, 0x16, 0x33, 0x01, 0x9e,
	    0xb6, 0xc1, 0x5f, 0xa5, 0x64, 0x6f, 0x9c, 0x8d, 0x2e, 0x1e },
	{ 0x20, 0xe3, 0x94, 0xd1, 0x5c, 0x62, 0x05, 0xfa, 0xf6, 0x5f, 0xa6,
	    0x96, 0xdf, 0x13, 0xb8, 0x36, 0x9d, 0x31, 0x53, 0xcb, 0x5d, 0x2c,
	    0xd0, 0x56, 0xb4, 0x8c, 0x0d, 0xb0, 0x0e, 0x16, 0x00, 0x84 },
	{ 0xf1, 0x56, 0xd2, 0x4f, 0x5d, 0x4e, 0x77, 0x5d, 0xa0, 0xe6, 0xa9,
	    0x11, 0x1f, 0x07, 0x4c, 0xfc, 0xe7, 0x01, 0x93, 0x9d, 0x68, 0x8c,
	    0x64, 0xdb, 0xa0, 0x93, 0xf9, 0x77, 0x53, 0x43, 0x4f, 0x2c },
};

/* Refused wherever they are trusted, whoever lists them. */
static bool
none_revoked(struct log_view *w, enum check_id id,
    const struct digest_list *have)
{
	char hex[2 * SHA256_LEN + 1];

	for (size_t i = 0; i < NELEMS(boothole); i++) {
		struct span s = span(boothole[i], SHA256_LEN);

		if (in_digests(have, s))
			return verdict_fail(w->v, id,
			    "no certificate that BootHole revoked", "%s",
			    hex_encode(s, hex, sizeof(hex)));
	}
	return true;
}

/*
 * The policy has no list, but BootHole's was looked for. What a register that
 * nobody names says of it is no pass, and neither is a log without any.
 */
static void
only_boothole(struct log_view *w, enum check_id id,
    const struct digest_list *have, const struct why *why)
{
	static const char none[] = "the policy has no list; BootHole revoked "
				   "none of";

	if (have->n == 0)
		(void)verdict_skip(w->v, id,
		    "the policy has no list, the log no certificate");
	else if (!pinned(w, 7) || why->err != 0)
		(void)verdict_skip(w->v, id,
		    "the policy has no list; BootHole's was looked for, "
		    "unproven");
	else
		(void)verdict_pass_value(w->v, id, "%s %zu", none, have->n);
}

static void
check_authorities(struct log_view *w)
{
	const struct value_list *l = &w->a->policy->log.authorities;

	if (!none_revoked(w, CHECK_LOG_11, &w->f->authorities))
		return;
	if (l->n == 0) {
		only_boothole(w, CHECK_LOG_11, &w->f->authorities,
		    &w->f->authorities_why);
		return;
	}
	if (!proved(w, CHECK_LOG_11, 7, &w->f->authorities_why))
		return;
	if (all_listed(w, CHECK_LOG_11, &w->f->authorities, l,
		"a certificate of the list"))
		(void)verdict_check(w->v, CHECK_LOG_11, w->f->authorities.n > 0,
		    "at least one authority", "none in the log");
}

static void
check_keys(struct log_view *w)
{
	const struct value_list *l = &w->a->policy->log.secure_boot_keys;

	if (!none_revoked(w, CHECK_LOG_17, &w->f->trusted))
		return;
	if (l->n == 0)
		only_boothole(w, CHECK_LOG_17, &w->f->trusted, &w->f->keys_why);
	else if (proved(w, CHECK_LOG_17, 7, &w->f->keys_why) &&
	    all_listed(w, CHECK_LOG_17, &w->f->trusted, l,
		"certificates and images of the list"))
		(void)verdict_pass(w->v, CHECK_LOG_17);
}

static void
check_dbx(struct log_view *w)
{
	const struct value_list *l = &w->a->policy->log.dbx;
	char hex[2 * SHA256_LEN + 1];

	if (l->n == 0) {
		(void)verdict_skip(w->v, CHECK_LOG_18, NOT_ASKED);
		return;
	}
	if (!proved(w, CHECK_LOG_18, 7, &w->f->keys_why))
		return;
	for (size_t i = 0; i < l->n; i++) {
		struct span s = blob_span(&l->v[i]);

		if (in_digests(&w->f->revoked, s))
			continue;
		(void)verdict_fail(w->v, CHECK_LOG_18,
		    hex_encode(s, hex, sizeof(hex)),
		    "a dbx of %zu entries without it", w->f->revoked.n);
		return;
	}
	(void)verdict_pass(w->v, CHECK_LOG_18);
}

static void
check_sbat(struct log_view *w)
{
	const uint32_t min = w->a->policy->log.min_sbat_level;
	char expected[32];

	if (min == 0) {
		(void)verdict_skip(w->v, CHECK_LOG_19, NOT_ASKED);
		return;
	}
	if (!proved(w, CHECK_LOG_19, 7, &w->f->sbat_why))
		return;
	(void)snprintf(expected, sizeof(expected), "at least %u", min);
	if (w->f->sbat_level == 0)
		(void)verdict_fail(w->v, CHECK_LOG_19, expected,
		    "no SbatLevel in the log");
	else
		(void)verdict_check(w->v, CHECK_LOG_19, w->f->sbat_level >= min,
		    expected, "%u", w->f->sbat_level);
}

/* systemd's boot loader and its stub may both measure what the one hands to
 * the other: the same text in the same register is the same. */
static bool
one_cmdline(const struct log_facts *f)
{
	const struct log_text *first = &f->kernel_cmdlines[0];

	for (size_t i = 1; i < f->n_kernel_cmdlines; i++) {
		const struct log_text *t = &f->kernel_cmdlines[i];

		if (t->mr != first->mr || t->utf16 != first->utf16 ||
		    !span_equal(t->text, first->text))
			return false;
	}
	return f->n_kernel_cmdlines > 0;
}

static void
check_kernel(struct log_view *w)
{
	const struct string_list *l = &w->a->policy->log.kernel_cmdline;
	const struct log_text *t = &w->f->kernel_cmdlines[0];
	char buf[128];

	if (l->n == 0) {
		(void)verdict_skip(w->v, CHECK_LOG_12, NOT_ASKED);
		return;
	}
	/* GRUB's is in PCR 8, systemd-stub's in PCR 12. */
	if (!proved(w, CHECK_LOG_12,
		w->f->n_kernel_cmdlines > 0 && t->utf16 ? 12 : 8,
		&w->f->ipl_why))
		return;
	if (!one_cmdline(w->f)) {
		(void)verdict_fail(w->v, CHECK_LOG_12, "exactly one", "%zu",
		    w->f->n_kernel_cmdlines);
		return;
	}
	(void)verdict_check(w->v, CHECK_LOG_12, text_in_strings(l, t), l->v[0],
	    "%s", log_text_shown(t, buf));
}

static void
check_grub(struct log_view *w)
{
	const struct string_list *l = &w->a->policy->log.grub_cmd;
	char buf[128];

	if (l->n == 0) {
		(void)verdict_skip(w->v, CHECK_LOG_13, NOT_ASKED);
		return;
	}
	if (!proved(w, CHECK_LOG_13, 8, &w->f->ipl_why))
		return;
	for (size_t i = 0; i < w->f->n_grub_cmds; i++)
		if (!text_in_strings(l, &w->f->grub_cmds[i])) {
			(void)verdict_fail(w->v, CHECK_LOG_13,
			    "a command of the list", "%s",
			    log_text_shown(&w->f->grub_cmds[i], buf));
			return;
		}
	(void)verdict_pass(w->v, CHECK_LOG_13);
}

/* The policy's digests are of the TPM's bank, the CCEL's are SHA-384. */
static bool
other_bank(struct log_view *w, enum check_id id)
{
	if (!beside_tpm(w) || w->a->policy->tpm.bank == w->alg)
		return false;
	(void)verdict_skip(w->v, id, "the policy's digests are no SHA-384");
	return true;
}

static void
check_efi_apps(struct log_view *w)
{
	const struct value_list *l = &w->a->policy->log.efi_apps;
	char hex[2 * HASH_LEN_MAX + 1];

	if (l->n == 0) {
		(void)verdict_skip(w->v, CHECK_LOG_14, NOT_ASKED);
		return;
	}
	if (other_bank(w, CHECK_LOG_14) ||
	    !proved(w, CHECK_LOG_14, 4, &w->f->efi_apps_why))
		return;
	for (size_t i = 0; i < w->f->n_efi_apps; i++)
		if (!span_in_values(l, w->f->efi_apps[i])) {
			(void)verdict_fail(w->v, CHECK_LOG_14,
			    "a digest of the list", "%s",
			    hex_encode(w->f->efi_apps[i], hex, sizeof(hex)));
			return;
		}
	(void)verdict_check(w->v, CHECK_LOG_14, w->f->n_efi_apps > 0,
	    "at least one EFI application", "none in the log");
}

static void
check_boot_variables(struct log_view *w)
{
	const struct value_list *l = &w->a->policy->log.boot_variables;
	char hex[2 * HASH_LEN_MAX + 1], buf[LOG_VARIABLE_NAME_MAX];

	if (l->n == 0) {
		(void)verdict_skip(w->v, CHECK_LOG_20, NOT_ASKED);
		return;
	}
	if (other_bank(w, CHECK_LOG_20) ||
	    !proved(w, CHECK_LOG_20, 1, &w->f->boot_variables_why))
		return;
	for (size_t i = 0; i < w->f->n_boot_variables; i++) {
		const struct log_boot_variable *v = &w->f->boot_variables[i];
		const char *name;

		if (span_in_values(l, v->digest))
			continue;
		name = log_variable_name(v->data, buf);
		(void)verdict_fail(w->v, CHECK_LOG_20, "a digest of the list",
		    "%s: %s", name != NULL ? name : "a variable",
		    hex_encode(v->digest, hex, sizeof(hex)));
		return;
	}
	(void)verdict_check(w->v, CHECK_LOG_20, w->f->n_boot_variables > 0,
	    "at least one boot variable", "none in the log");
}

static void
check_dma(struct log_view *w)
{
	if (!w->a->policy->log.dma_protection)
		(void)verdict_skip(w->v, CHECK_LOG_21, NOT_ASKED);
	else if (proved(w, CHECK_LOG_21, 7, NULL))
		(void)verdict_check(w->v, CHECK_LOG_21,
		    !w->f->dma_protection_off,
		    "no \"DMA Protection Disabled\" event", "one");
}

static void
check_facts(struct log_view *w)
{
	const struct policy_event_log *p = &w->a->policy->log;

	if (fact(w->v, CHECK_LOG_05, &w->f->digests_why))
		(void)verdict_pass(w->v, CHECK_LOG_05);
	if (fact(w->v, CHECK_LOG_06, &w->f->separators_why))
		(void)verdict_pass(w->v, CHECK_LOG_06);
	if (w->log.form == LOG_TCG) {
		check_technology(w);
		check_same_technology(w);
		check_gce_firmware(w);
	}
	check_secure_boot(w);
	check_authorities(w);
	check_kernel(w);
	check_grub(w);
	check_efi_apps(w);
	check_keys(w);
	check_dbx(w);
	check_sbat(w);
	check_boot_variables(w);
	check_dma(w);
	if (!p->exit_boot_services)
		(void)verdict_skip(w->v, CHECK_LOG_15, NOT_ASKED);
	else if (proved(w, CHECK_LOG_15, 5, NULL))
		(void)verdict_check(w->v, CHECK_LOG_15,
		    w->f->exit_boot_services,
		    "ExitBootServices returned with success", "no such event");
	if (w->f->debug_mode)
		(void)verdict_fail(w->v, CHECK_LOG_16,
		    "no \"UEFI Debug Mode\" event", "debug mode");
	else if (!pinned(w, 7))
		(void)verdict_skip(w->v, CHECK_LOG_16,
		    "the policy names no value of PCR 7");
	else
		(void)verdict_pass(w->v, CHECK_LOG_16);
}

int
log_open(struct log_view *w, struct span bytes, enum log_form form,
    struct why *reterr_why)
{
	int r = eventlog_parse(bytes, form, &w->log, reterr_why);

	if (r == CVM_OK && eventlog_alg(&w->log, w->alg) < 0)
		r = why_set(reterr_why, CVM_E_UNSUPPORTED, "event log",
		    "algorithms", hash_name(w->alg), "a log without it");
	if (r == CVM_OK && (w->f = calloc(1, sizeof(*w->f))) == NULL)
		r = why_set(reterr_why, CVM_E_NOMEM, "event log", "", "", "");
	if (r == CVM_OK)
		r = eventlog_facts(&w->log, w->alg, w->f);
	return r;
}

/* As LOG-01 has it. */
static bool
opened(struct log_view *w, struct span bytes, enum log_form form)
{
	struct why why = { 0 };

	return verdict_from_why(w->v, CHECK_LOG_01,
	    log_open(w, bytes, form, &why), &why);
}

void
log_view_clear(struct log_view *w)
{
	eventlog_clear(&w->log);
	log_facts_freep(&w->f);
}

/* Reset values: PCR 17..22 are all ones, the others zero. */
static bool
at_reset(unsigned pcr, struct span value)
{
	return span_is_filled(value, pcr >= 17 && pcr <= 22 ? 0xff : 0x00);
}

static void
fail_pcr(struct verdict *v, enum check_id id, const char *what, unsigned i,
    struct span replayed, struct span quoted)
{
	char a[2 * HASH_LEN_MAX + 1], b[2 * HASH_LEN_MAX + 1];

	(void)hex_encode(replayed, a, sizeof(a));
	(void)hex_encode(quoted, b, sizeof(b));
	(void)verdict_fail(v, id, a, "%s %u = %s", what, i, b);
}

static void
compare_pcrs(struct log_view *w, const struct pcr_values *replayed)
{
	const struct string_list *ok = &w->a->policy->log.unlogged_ok;
	const struct pcr_values *q = &w->a->evidence->pcrs;
	const size_t len = hash_len(w->alg);

	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		struct span have = span(q->value[i], len);
		struct span want = span(replayed->value[i], len);

		if ((q->mask & (1u << i)) == 0)
			continue;
		/* The system goes on where firmware's log has ended. */
		if ((replayed->mask & (1u << i)) != 0) {
			if (!span_equal(have, want) && !unlogged_ok(ok, i))
				fail_pcr(w->v, CHECK_LOG_02, "PCR", i, want,
				    have);
		} else if (!at_reset(i, have) && !unlogged_ok(ok, i)) {
			(void)verdict_fail(w->v, CHECK_LOG_03,
			    "events for every extended PCR, or the PCR in "
			    "unlogged_pcrs",
			    "PCR %u has none", i);
		}
	}
	(void)verdict_pass(w->v, CHECK_LOG_02);
	(void)verdict_pass(w->v, CHECK_LOG_03);
}

bool
log_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(log_view_clear) struct log_view w = { .a = a,
		.v = v,
		.alg = a->policy->tpm.bank };
	struct pcr_values replayed;
	struct why why;

	(void)facts;
	if (!opened(&w, blob_span(&a->evidence->event_log), LOG_TCG))
		return false;
	if (eventlog_replay(&w.log, w.alg, &replayed, &why) != CVM_OK)
		return false;
	compare_pcrs(&w, &replayed);
	check_facts(&w);
	return true;
}

static void
compare_rtmrs(struct log_view *w, const struct pcr_values *replayed,
    const struct tdx_quote *q)
{
	const struct string_list *ok = &w->a->policy->log.unlogged_rtmrs;

	for (unsigned i = 0; i < 4; i++) {
		/* MR i + 1; a register without events must be zero. */
		struct span want = span(replayed->value[i + 1], SHA384_LEN);

		if (!span_equal(q->rtmr[i], want) && !unlogged_ok(ok, i))
			fail_pcr(w->v, CHECK_LOG_04, "RTMR", i, want,
			    q->rtmr[i]);
	}
	(void)verdict_pass(w->v, CHECK_LOG_04);
}

/* Beside a TPM the policy may do without, and then every check is the other
 * log's. */
static bool
no_ccel(const struct appraisal *a, struct verdict *v)
{
	if (!a->policy->has_tpm || a->evidence->ccel.len > 0)
		return false;
	if (a->policy->log.ccel == CCEL_REQUIRE) {
		(void)verdict_fail(v, CHECK_LOG_01,
		    "a CCEL, as the policy requires", "none");
		return true;
	}
	for (enum check_id id = 0; id < CHECK_COUNT; id++)
		if ((check_table[id].group & GROUP_CCEL) != 0)
			(void)verdict_skip(v, id, LOG_NO_CCEL);
	return true;
}

bool
ccel_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(log_view_clear) struct log_view w = { .a = a,
		.v = v,
		.alg = HASH_SHA384 };
	struct pcr_values replayed;
	struct tdx_quote q;
	struct why why;

	(void)facts;
	if (no_ccel(a, v) ||
	    !opened(&w, blob_span(&a->evidence->ccel), LOG_CCEL))
		return false;
	if (eventlog_replay(&w.log, w.alg, &replayed, &why) != CVM_OK ||
	    tdx_quote_parse(blob_span(&a->evidence->tee_report), &q, &why) !=
		CVM_OK)
		return false;
	compare_rtmrs(&w, &replayed, &q);
	check_facts(&w);
	return true;
}
