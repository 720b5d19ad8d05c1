/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "attest/quote.h"
#include "tests/unit/tpm-scene.h"

void
scene_freep(struct scene **s)
{
	if (*s == NULL)
		return;
	evidence_clear(&(*s)->evidence);
	endorsements_freep(&(*s)->endorsements);
	for (size_t i = 0; i < NELEMS((*s)->pins); i++)
		blob_clear(&(*s)->pins[i]);
	free(*s);
	*s = NULL;
}

int64_t
iso_seconds(const char *iso)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(iso, "%Y-%m-%dT%H:%M:%SZ", &tm));
	return (int64_t)timegm(&tm);
}

struct scene *
scene_new(void)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->endorsements = endorsements_new();
	s->policy.has_tpm = true;
	s->policy.tpm.bank = HASH_SHA256;
	s->policy.tpm.n_pcr_sets = 1;
	(void)snprintf(s->policy.tpm.pcr_sets[0].label,
	    sizeof(s->policy.tpm.pcr_sets[0].label), "current");
	s->appraisal = (struct appraisal){ .policy = &s->policy,
		.evidence = &s->evidence,
		.endorsements = s->endorsements,
		.now = iso_seconds("2026-01-01T00:00:00Z") };
	return s;
}

bool
scene_run(struct scene *s)
{
	verdict_init(&s->verdict, GROUP_TPM);
	memset(&s->facts, 0, sizeof(s->facts));
	(void)tpm_appraise(&s->appraisal, &s->verdict, &s->facts);
	verdict_finish(&s->verdict);
	return s->verdict.admit;
}

void
scene_say(const struct scene *s)
{
	char buf[VERDICT_SENTENCE_MAX];

	print_message("# %s\n",
	    verdict_sentence(&s->verdict, buf, sizeof(buf)));
}

void
denied_by(struct scene *s, enum check_id id)
{
	enum check_id not_run;

	assert_false(scene_run(s));
	if (verdict_first_fail(&s->verdict, &not_run) != id)
		scene_say(s);
	assert_int_equal(verdict_first_fail(&s->verdict, &not_run), id);
}

void
admitted(struct scene *s)
{
	if (!scene_run(s))
		scene_say(s);
	assert_true(s->verdict.admit);
}

enum check_status
scene_status(const struct scene *s, enum check_id id)
{
	return s->verdict.results[id].status;
}

void
accept_values(struct scene *s, uint32_t mask)
{
	struct pcr_set *set = &s->policy.tpm.pcr_sets[0];

	set->mask = mask;
	memcpy(set->value, s->evidence.pcrs.value, sizeof(set->value));
}

void
pin_name(struct scene *s)
{
	uint8_t name[TPM_NAME_MAX];
	size_t len;

	assert_int_equal(tpm_name(blob_span(&s->evidence.ak_public), name,
			     &len),
	    0);
	assert_int_equal(blob_set(&s->pins[3], span(name, len)), 0);
	s->policy.tpm.ak_trust = AK_TRUST_PINNED;
	s->policy.tpm.ak_names = (struct value_list){ &s->pins[3], 1 };
}
