/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/launch.h"
#include "tests/unit/launch-maker.h"
#include "tests/unit/log-maker.h"
#include "tests/unit/stage.h"

void
stage_say(struct stage *s, const char *fmt, ...)
{
	size_t at = strlen(s->text);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->text + at, sizeof(s->text) - at, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < sizeof(s->text) - at);
}

void
stage_say_hex(struct stage *s, const char *name, const void *data, size_t len)
{
	char hex[2 * 64 + 1];

	assert_true(len <= 64);
	stage_say(s, "\"%s\":[\"%s\"],", name,
	    hex_encode(span(data, len), hex, sizeof(hex)));
}

void
stage_say_launch(struct stage *s, struct span measurement, int64_t now,
    const char *shape)
{
	struct launch_plan p = launch_plan(measurement, now);
	char hex[2 * SHA384_LEN + 1], name[160];
	struct launch_made m;

	launch_make(&p, &m);
	(void)snprintf(name, sizeof(name), LAUNCH_NAME_FORMAT,
	    hex_encode(measurement, hex, sizeof(hex)));
	assert_int_equal(endorsements_add(s->endorsements, name,
			     blob_span(&m.message)),
	    0);
	stage_say(s, "\"launch_endorsement\":{");
	stage_say_hex(s, "roots", m.root_pin, sizeof(m.root_pin));
	stage_say(s, "\"min_svn\":%d,\"%s\":%d},", LAUNCH_SVN, shape,
	    LAUNCH_SHAPE);
	launch_made_clear(&m);
}

void
stage_say_log(struct stage *s, const struct made_log *l)
{
	enum hash_alg alg = l->form == LOG_TCG ? HASH_SHA256 : HASH_SHA384;
	uint8_t digest[HASH_LEN_MAX];

	stage_say(s, "\"event_log\":{\"secure_boot\":\"require\",");
	made_authority(digest);
	stage_say_hex(s, "authorities", digest, SHA256_LEN);
	stage_say_hex(s, "secure_boot_keys", digest, SHA256_LEN);
	made_revoked(digest);
	stage_say_hex(s, "dbx", digest, SHA256_LEN);
	made_boot_order(l, digest);
	stage_say_hex(s, "boot_variables", digest, hash_len(alg));
	assert_int_equal(hash(alg, span(MADE_APP_IMAGE, strlen(MADE_APP_IMAGE)),
			     digest),
	    0);
	stage_say_hex(s, "efi_apps", digest, hash_len(alg));
	stage_say(s,
	    "\"min_sbat_level\":%d,\"kernel_cmdline\":[\"%s\"],"
	    "\"grub_cmd\":[\"%s\"],",
	    MADE_SBAT_LEVEL, MADE_KERNEL, MADE_GRUB_CMD);
}

struct quote_plan
stage_quote(struct stage *s, const struct made_log *l)
{
	struct quote_plan q;

	made_log_build(l, &s->e.event_log, &s->e.pcrs);
	s->e.pcrs.mask |= 1u << STAGE_IMA_PCR;
	memset(s->e.pcrs.value[STAGE_IMA_PCR], 0x33, SHA256_LEN);
	q = quote_plan(s->e.pcrs.mask);
	memset(s->a.qualifying, 0x44, QUALIFYING_LEN);
	q.extra = span(s->a.qualifying, QUALIFYING_LEN);
	quote_make(&q, &s->e);
	return q;
}

void
stage_say_pcrs(struct stage *s)
{
	const struct pcr_values *v = &s->e.pcrs;
	char hex[2 * SHA256_LEN + 1];
	const char *comma = "";

	stage_say(s,
	    "\"bank\":\"sha256\",\"pcr_sets\":[{\"label\":\"current\","
	    "\"pcrs\":{");
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		if ((v->mask & 1u << i) == 0)
			continue;
		stage_say(s, "%s\"%u\":\"%s\"", comma, i,
		    hex_encode(span(v->value[i], SHA256_LEN), hex,
			sizeof(hex)));
		comma = ",";
	}
	stage_say(s, "}}],\"firmware_versions\":[\"2016051100162800\"]},");
}

void
stage_say_pinned(struct stage *s)
{
	uint8_t name[TPM_NAME_MAX];
	size_t len = 0;

	assert_int_equal(tpm_name(blob_span(&s->e.ak_public), name, &len), 0);
	stage_say(s, "\"tpm\":{\"ak\":{");
	stage_say_hex(s, "names", name, len);
	stage_say(s, "\"trust\":\"pinned\"},");
}

static struct stage *
stage_alloc(void)
{
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->a.evidence = &s->e;
	s->a.tee_age_s = 10;
	return s;
}

struct stage *
stage_new_td(const struct made_log *tpm, const struct made_log *ccel)
{
	struct stage *s = stage_alloc();

	stage_tdx_tpm(s, tpm, ccel);
	s->a.endorsements = s->endorsements;
	return s;
}

struct stage *
stage_new(enum stage_kind kind)
{
	struct stage *s = stage_alloc();

	if ((kind & STAGES_TDX_ALONE) != 0)
		stage_tdx(s, kind);
	else if ((kind & STAGES_TDX_TPM) != 0)
		stage_tdx_both(s, kind);
	else
		stage_snp(s, kind);
	s->a.endorsements = s->endorsements;
	return s;
}

void
stage_free(struct stage **s)
{
	if (*s == NULL)
		return;
	evidence_clear(&(*s)->e);
	endorsements_freep(&(*s)->endorsements);
	free(*s);
	*s = NULL;
}
