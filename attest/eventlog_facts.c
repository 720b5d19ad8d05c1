/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/eventlog_parts.h"
#include "base/reader.h"

#define WHERE "event log"
#define GCE_MAGIC "GCE NonHostInfo"
#define GCE_INFO_LEN 32

uint32_t
eventlog_mr(enum log_form form, uint32_t pcr)
{
	static const uint32_t ccel[] = { 1, 1, 2, 2, 2, 2, 2, 1, 3, 3, 3, 3, 3,
		3, 3, 3 };

	return form == LOG_CCEL ? ccel[pcr] : pcr;
}

uint32_t
log_mr_of(const struct scan *s, uint32_t pcr)
{
	return eventlog_mr(s->log->form, pcr);
}

/* The first trouble with a fact stays. */
void
log_trouble(const struct scan *s, struct why *why, const char *field,
    const char *expected, const char *got)
{
	char where[64];

	if (why->err != 0)
		return;
	(void)snprintf(where, sizeof(where), WHERE " event %zu", s->index);
	(void)why_set(why, CVM_E_DENIED, where, field, expected, got);
}

bool
log_digest_is(const struct scan *s, const struct log_event *e, struct span data)
{
	uint8_t d[HASH_LEN_MAX];

	return hash(s->alg, data, d) == CVM_OK &&
	    span_equal(span(d, hash_len(s->alg)), e->digests[s->slot]);
}

/* Without NUL (TCG PFP, 10.4.4), or with the one that some firmware adds. */
static bool
is_text(struct span data, const char *text)
{
	const size_t n = strlen(text);

	return span_equal(data, span(text, n)) ||
	    span_equal(data, span(text, n + 1));
}

/* The type of an event and its data are not measured: what nobody wants to
 * have been measured is known by its digest, whatever it is called. */
static bool
measured_text(const struct scan *s, const struct log_event *e, const char *text)
{
	const size_t n = strlen(text);

	return e->type != EV_NO_ACTION &&
	    (log_digest_is(s, e, span(text, n)) ||
		log_digest_is(s, e, span(text, n + 1)));
}

static bool
is_gce_info(const struct log_event *e)
{
	return e->type == EV_NONHOST_INFO && e->data.len >= sizeof(GCE_MAGIC) &&
	    memcmp(e->data.data, GCE_MAGIC, sizeof(GCE_MAGIC)) == 0;
}

static void
see_technology(struct scan *s, const struct log_event *e)
{
	struct log_facts *f = s->f;

	if (!is_gce_info(e) || s->log->form != LOG_TCG)
		return;
	if (e->mr != 0 || s->separators[0] > 0)
		log_trouble(s, &f->technology_why, "GceNonHostInfo",
		    "in PCR 0 before its separator", "elsewhere");
	else if (e->data.len != GCE_INFO_LEN || e->data.data[16] > 4 ||
	    span_is_filled(span(e->data.data + 17, 15), 0) == 0)
		log_trouble(s, &f->technology_why, "GceNonHostInfo",
		    "32 bytes, technology 0..4, reserved zero",
		    "another layout");
	else if (s->technologies++ > 0)
		log_trouble(s, &f->technology_why, "GceNonHostInfo", "once",
		    "twice");
	else
		f->technology = e->data.data[16];
}

/* "GCE Virtual Firmware v<N>" in UTF-16LE with its NUL; else -1. */
static int
gce_firmware_version(struct span data)
{
	static const char prefix[] = "GCE Virtual Firmware v";
	char text[64];
	size_t n = data.len / 2;
	int version = 0;

	if (data.len % 2 != 0 || n > sizeof(text) || n < sizeof(prefix) + 1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (data.data[2 * i + 1] != 0)
			return -1;
		text[i] = (char)data.data[2 * i];
	}
	if (text[n - 1] != '\0' ||
	    memcmp(text, prefix, sizeof(prefix) - 1) != 0 ||
	    n - sizeof(prefix) > 6)
		return -1;
	for (const char *p = text + sizeof(prefix) - 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		version = version * 10 + (*p - '0');
	}
	return version;
}

static void
see_crtm(struct scan *s, const struct log_event *e)
{
	if (e->type != EV_S_CRTM_VERSION || s->log->form != LOG_TCG)
		return;
	/* A second version event, or one after boot began, names nothing. */
	if (e->mr != 0 || s->separators[0] > 0 || s->crtm_versions++ > 0)
		s->f->gce_firmware = -1;
	else
		s->f->gce_firmware = gce_firmware_version(e->data);
}

static void
see_separator(struct scan *s, const struct log_event *e)
{
	static const uint8_t normal[4] = { 0 };
	char field[32];

	if (e->type != EV_SEPARATOR)
		return;
	s->separators[e->mr]++;
	if (s->log->form == LOG_TCG && e->mr > 7)
		return; /* the operating system's own (Windows: "WBCL") */
	(void)snprintf(field, sizeof(field), "separator of PCR %u", e->mr);
	if (!span_equal(e->data, span(normal, sizeof(normal))))
		log_trouble(s, &s->f->separators_why, field, "00000000",
		    "a firmware error or another value");
	else if (s->log->form == LOG_TCG && s->separators[e->mr] > 1)
		log_trouble(s, &s->f->separators_why, field, "once", "twice");
}

static void
see_efi_app(struct scan *s, const struct log_event *e)
{
	struct log_facts *f = s->f;

	if (e->type != (uint32_t)EV_EFI_BOOT_SERVICES_APPLICATION)
		return;
	if (e->mr != log_mr_of(s, 4))
		log_trouble(s, &f->efi_apps_why, "EFI application", "in PCR 4",
		    "elsewhere");
	else if (!s->calling_app)
		log_trouble(s, &f->efi_apps_why, "EFI application",
		    "after \"Calling EFI Application from Boot Option\"",
		    "before it");
	else if (f->n_efi_apps == NELEMS(f->efi_apps))
		log_trouble(s, &f->efi_apps_why, "EFI applications",
		    "at most 64", "more");
	else
		f->efi_apps[f->n_efi_apps++] = e->digests[s->slot];
}

static void
see_boot_variable(struct scan *s, const struct log_event *e)
{
	struct log_facts *f = s->f;

	if (e->type != (uint32_t)EV_EFI_VARIABLE_BOOT &&
	    e->type != (uint32_t)EV_EFI_VARIABLE_BOOT2)
		return;
	if (e->mr != log_mr_of(s, 1))
		log_trouble(s, &f->boot_variables_why, "boot variable",
		    "in PCR 1", "elsewhere");
	else if (f->n_boot_variables == NELEMS(f->boot_variables))
		log_trouble(s, &f->boot_variables_why, "boot variables",
		    "at most 128", "more");
	else
		f->boot_variables[f->n_boot_variables++] =
		    (struct log_boot_variable){ e->digests[s->slot], e->data };
}

static void
see_weakness(struct scan *s, const struct log_event *e)
{
	s->f->debug_mode |= measured_text(s, e, "UEFI Debug Mode");
	s->f->dma_protection_off |= measured_text(s, e,
	    "DMA Protection Disabled");
}

static void
see_action(struct scan *s, const struct log_event *e)
{
	if (e->type != (uint32_t)EV_EFI_ACTION)
		return;
	if (e->mr == log_mr_of(s, 4) &&
	    is_text(e->data, "Calling EFI Application from Boot Option"))
		s->calling_app = true;
	if (e->mr != log_mr_of(s, 5))
		return;
	if (is_text(e->data, "Exit Boot Services Invocation"))
		s->ebs_invoked = true;
	if (s->ebs_invoked &&
	    is_text(e->data, "Exit Boot Services Returned with Success"))
		s->f->exit_boot_services = true;
}

/* GRUB's prefixes; what is measured is the text behind, without its NUL. */
static const struct {
	const char *prefix;
	bool kernel;
} ipl_prefixes[] = {
	{ "kernel_cmdline: ", true },
	{ "grub_kernel_cmdline ", true },
	{ "grub_cmd: ", false },
	{ "grub_cmd ", false },
};

/* systemd-stub measures the command line that it was handed, if it was, into
 * PCR 12: UTF-16LE with its NUL, which is the event's data as well. */
static void
see_stub_cmdline(struct scan *s, const struct log_event *e)
{
	struct log_facts *f = s->f;
	struct span t = e->data;

	if (t.len < 2 || t.len % 2 != 0 || t.data[t.len - 1] != 0 ||
	    t.data[t.len - 2] != 0 || !log_digest_is(s, e, t))
		return;
	for (size_t i = 0; i + 2 < t.len; i += 2)
		if (t.data[i] == 0 && t.data[i + 1] == 0)
			return;
	t.len -= 2;
	if (f->n_kernel_cmdlines == LOG_FACTS_MAX)
		log_trouble(s, &f->ipl_why, "command lines", "at most 512",
		    "more");
	else
		f->kernel_cmdlines[f->n_kernel_cmdlines++] = (struct log_text){
			t, e->mr, .utf16 = true
		};
}

static void
see_ipl(struct scan *s, const struct log_event *e)
{
	struct log_facts *f = s->f;

	if (e->type == EV_IPL && e->mr == log_mr_of(s, 12))
		see_stub_cmdline(s, e);
	if (e->type != EV_IPL || e->mr != log_mr_of(s, 8))
		return;
	for (size_t i = 0; i < NELEMS(ipl_prefixes); i++) {
		bool kernel = ipl_prefixes[i].kernel;
		size_t n = strlen(ipl_prefixes[i].prefix);
		size_t *count = kernel ? &f->n_kernel_cmdlines :
					 &f->n_grub_cmds;
		struct span t;
		bool measured;

		if (e->data.len < n ||
		    memcmp(e->data.data, ipl_prefixes[i].prefix, n) != 0)
			continue;
		t = span(e->data.data + n, e->data.len - n);
		measured = log_digest_is(s, e, t); /* old GRUB: with the NUL */
		if (t.len > 0 && t.data[t.len - 1] == 0)
			t.len--;
		if (!measured && !log_digest_is(s, e, t))
			log_trouble(s, &f->digests_why, ipl_prefixes[i].prefix,
			    "the text that was measured", "another text");
		else if (*count == LOG_FACTS_MAX)
			log_trouble(s, &f->ipl_why, "GRUB events",
			    "at most 512", "more");
		else
			(kernel ? f->kernel_cmdlines :
				  f->grub_cmds)[(*count)++] = (struct log_text){
				t, e->mr, .utf16 = false
			};
		return;
	}
}

/* Events whose digest must be that of their data (TCG PFP, 10.4.1). */
static void
see_digest(struct scan *s, const struct log_event *e)
{
	static const uint32_t covered[] = { EV_SEPARATOR, EV_ACTION,
		EV_S_CRTM_VERSION, (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG,
		(uint32_t)EV_EFI_GPT_EVENT, (uint32_t)EV_EFI_ACTION,
		(uint32_t)EV_EFI_VARIABLE_AUTHORITY };
	bool must = is_gce_info(e);
	char field[32];

	for (size_t i = 0; i < NELEMS(covered); i++)
		must |= e->type == covered[i];
	if (!must || log_digest_is(s, e, e->data))
		return;
	/* Old shim logs one byte more than it measures. */
	if (e->type == (uint32_t)EV_EFI_VARIABLE_AUTHORITY && e->data.len > 1 &&
	    log_digest_is(s, e, span(e->data.data, e->data.len - 1)))
		return;
	(void)snprintf(field, sizeof(field), "type 0x%x in register %u",
	    e->type, e->mr);
	log_trouble(s, &s->f->digests_why, field, "data that was measured",
	    "data with another digest");
}

/*
 * Registers of a CCEL stand for several PCRs: one separator each, or one for
 * every PCR they stand for. Firmware that logs two into MR 1 and none into
 * MR 2 (OVMF, until it was mended) put PCR 2's into the wrong register: the
 * log replays, but nothing in MR 1 can be told to be before or after its own.
 */
static void
judge_ccel_separators(struct scan *s)
{
	static const char expected[] = "one in MR 1, or one for each PCR";
	struct log_facts *f = s->f;
	const unsigned *n = s->separators;
	bool mapped = n[2] == 5 && n[1] >= 2 && n[1] <= 3;
	bool astray = n[1] == 2 && n[2] == 0;
	struct why *const of_mr1[] = { &f->secure_boot_why, &f->authorities_why,
		&f->keys_why, &f->sbat_why, &f->boot_variables_why };
	char got[48];

	if (n[1] == 1 || mapped)
		return;
	(void)snprintf(got, sizeof(got), "%u in MR 1, %u in MR 2", n[1], n[2]);
	for (size_t i = 0; i < NELEMS(of_mr1); i++)
		log_trouble(s, of_mr1[i], "separators", expected, got);
	if (!astray)
		log_trouble(s, &f->separators_why, "separators", expected, got);
}

/* A PCR has one separator. */
static void
judge_separators(struct scan *s)
{
	struct log_facts *f = s->f;
	const unsigned *n = s->separators;
	char got[48];

	if (s->log->form == LOG_CCEL) {
		judge_ccel_separators(s);
		return;
	}
	for (uint32_t pcr = 0; pcr <= 7; pcr++) {
		(void)snprintf(got, sizeof(got), "none in PCR %u", pcr);
		if (n[pcr] == 0)
			log_trouble(s, &f->separators_why, "separators",
			    "one in each of PCR 0..7", got);
	}
}

int
eventlog_facts(const struct event_log *log, enum hash_alg alg,
    struct log_facts *ret)
{
	static void (*const see[])(struct scan *, const struct log_event *) = {
		see_digest, see_technology, see_crtm, see_secure_boot,
		see_authority, see_boot_variable, see_efi_app, see_action,
		see_weakness, see_ipl,
		see_separator, /* last: the others ask what came before */
	};
	struct scan s = { .log = log, .alg = alg, .f = ret };

	memset(ret, 0, sizeof(*ret));
	ret->technology = LOG_TECHNOLOGY_NONE_SEEN;
	ret->gce_firmware = -1;
	if ((s.slot = eventlog_alg(log, alg)) < 0)
		return CVM_E_UNSUPPORTED;
	for (s.index = 0; s.index < log->n; s.index++)
		for (size_t i = 0; i < NELEMS(see); i++)
			see[i](&s, &log->events[s.index]);
	judge_separators(&s);
	judge_secure_boot(&s);
	return CVM_OK;
}

void
log_facts_clear(struct log_facts *f)
{
	struct digest_list *const lists[] = { &f->authorities, &f->trusted,
		&f->revoked };

	for (size_t i = 0; i < NELEMS(lists); i++) {
		free(lists[i]->v);
		*lists[i] = (struct digest_list){ 0 };
	}
}

const char *
log_technology_name(int technology)
{
	static const char *const names[] = { "NONE", "AMD_SEV", "AMD_SEV_ES",
		"INTEL_TDX", "AMD_SEV_SNP" };

	if (technology < 0 || technology >= (int)NELEMS(names))
		return "not in the log";
	return names[technology];
}
