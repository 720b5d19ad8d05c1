/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/chain.h"
#include "attest/eventlog.h"
#include "attest/instance.h"
#include "tools/enroll.h"
#include "tools/text.h"

#define AK_ROOTS "google/ak-root.pem"
#define BIT(i) (UINT32_C(1) << (i))

struct ak {
	struct blob public, name, cert;
};

static void
ak_clear(struct ak *ak)
{
	blob_clear(&ak->public);
	blob_clear(&ak->name);
	blob_clear(&ak->cert);
}

/* "azure" where a paravisor gave the report; "gce" where the key has a
 * certificate and the roots are here. */
static const char *
choose_trust(const struct enroll *e, const struct ak *ak)
{
	const char *given = e->t->opt[OPT_AK];
	bool roots = endorsements_find(e->endorsements, AK_ROOTS).len > 0;

	if (given != NULL)
		return given;
	if (e->tsm.hcl.len > 0)
		return "azure";
	if (ak->cert.len > 0 && roots)
		return "gce";
	tool_note("%s: the proposal pins this attestation key itself",
	    ak->cert.len == 0 ? "the attestation key has no certificate" :
				"there is no " AK_ROOTS " in the collateral");
	return "pinned";
}

static int
put_text(cJSON *o, const char *name, struct span s)
{
	char text[65];

	if (s.len == 0 || s.len >= sizeof(text))
		return CVM_E_PARSE;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	(void)cJSON_AddStringToObject(o, name, text);
	return CVM_OK;
}

/* Numbers of 64 bits are strings of digits in a policy. */
static void
put_number(cJSON *o, const char *name, uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	(void)cJSON_AddStringToObject(o, name, text);
}

static int
put_instance(cJSON *ak, struct span cert, struct why *why)
{
	_cleanup_(cert_freep) struct cert *x = NULL;
	cJSON *o = cJSON_AddObjectToObject(ak, "instance");
	struct gce_instance g;
	struct span der;

	if (cert_from_der(cert, /* padded= */ true, &x) != CVM_OK ||
	    cert_extension(x, GCE_INSTANCE_OID, &der) != CVM_OK ||
	    gce_instance_parse(der, &g) != CVM_OK ||
	    put_text(o, "zone", g.zone) != CVM_OK ||
	    put_text(o, "project_id", g.project_id) != CVM_OK ||
	    put_text(o, "instance_name", g.name) != CVM_OK)
		return why_set(why, CVM_E_NOT_FOUND, "AK certificate",
		    GCE_INSTANCE_OID, "the names of a VM instance",
		    "none that can be read");
	put_number(o, "project_number", g.project_number);
	put_number(o, "instance_id", g.id);
	return CVM_OK;
}

static int
put_ak(const struct enroll *e, struct vtpm *vtpm, cJSON *tpm, struct why *why)
{
	_cleanup_(ak_clear) struct ak ak = { .name = { 0 } };
	cJSON *o = cJSON_AddObjectToObject(tpm, "ak");
	bool instance = e->t->opt[OPT_INSTANCE] != NULL;
	const char *trust;
	int r;

	if ((r = vtpm_ak(vtpm, &ak.public, &ak.name, &ak.cert, why)) != CVM_OK)
		return r;
	trust = choose_trust(e, &ak);
	(void)cJSON_AddStringToObject(o, "trust", trust);
	if (strcmp(trust, "pinned") == 0)
		put_hex_list(o, "names", blob_span(&ak.name));
	if (strcmp(trust, "gce") == 0)
		r = put_roots(o, AK_ROOTS,
		    endorsements_find(e->endorsements, AK_ROOTS),
		    /* last= */ false, why);
	if (r != CVM_OK || !instance)
		return r;
	if (strcmp(trust, "gce") != 0)
		return why_set(why, CVM_E_INVAL, "--instance", "",
		    "an attestation key that is trusted as \"gce\"", trust);
	return put_instance(o, blob_span(&ak.cert), why);
}

static int
put_pcrs(const struct enroll *e, cJSON *tpm, const struct pcr_values *v,
    struct why *why)
{
	cJSON *list = cJSON_AddArrayToObject(tpm, "pcr_sets");
	cJSON *set = cJSON_CreateObject(), *pcrs;
	char index[4];
	unsigned n = 0;

	(void)cJSON_AddItemToArray(list, set);
	(void)cJSON_AddStringToObject(set, "label", e->label);
	pcrs = cJSON_AddObjectToObject(set, "pcrs");
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		struct span value = span(v->value[i], hash_len(v->bank));

		if ((e->mask & v->mask & BIT(i)) == 0)
			continue;
		if (span_is_filled(value, 0x00) ||
		    span_is_filled(value, 0xff)) {
			tool_note("PCR %u was never extended and is left out",
			    i);
			continue;
		}
		(void)snprintf(index, sizeof(index), "%u", i);
		put_hex(pcrs, index, value);
		n++;
	}
	return n > 0 ? CVM_OK :
		       why_set(why, CVM_E_NOT_FOUND, "TPM", bank_text(v->bank),
			   "a PCR that was extended", "none of --pcrs");
}

int
enroll_tpm(struct enroll *e, struct why *why)
{
	_cleanup_(vtpm_freep) struct vtpm *vtpm = vtpm_new(&e->c.cfg->tpm);
	cJSON *tpm = cJSON_AddObjectToObject(e->root, "tpm");
	struct pcr_values v;
	int r;

	if (vtpm == NULL)
		return CVM_E_NOMEM;
	if ((r = put_ak(e, vtpm, tpm, why)) != CVM_OK ||
	    (r = vtpm_read_pcrs(vtpm, e->bank, e->mask, &v, why)) != CVM_OK)
		return r;
	(void)cJSON_AddStringToObject(tpm, "bank", bank_text(e->bank));
	return put_pcrs(e, tpm, &v, why);
}

/* Facts are worth what quotes of their PCR prove: 0 firmware, 7 Secure Boot
 * (TCG PC Client Platform Firmware Profile, section 3.3.4). */
static void
put_facts(struct enroll *e, const struct log_facts *f)
{
	cJSON *o = cJSON_CreateObject();
	bool firmware = (e->mask & BIT(0)) != 0;

	if (firmware && f->technology >= 0)
		put_string_list(o, "technology",
		    log_technology_name(f->technology));
	if ((e->mask & BIT(7)) != 0 && f->secure_boot_why.err == CVM_OK)
		(void)cJSON_AddStringToObject(o, "secure_boot",
		    f->secure_boot ? "require" : "any");
	if (firmware && f->gce_firmware > 0)
		(void)cJSON_AddNumberToObject(o, "min_gce_firmware",
		    f->gce_firmware);
	if (cJSON_GetArraySize(o) > 0)
		(void)cJSON_AddItemToObject(e->root, "event_log", o);
	else
		cJSON_Delete(o);
	/* Google's firmware names no technology to other machines. */
	if (e->tee == TEE_NONE && e->t->opt[OPT_TEE] == NULL &&
	    f->technology > 0)
		e->tee = TEE_SEV;
}

void
enroll_log(struct enroll *e)
{
	_cleanup_(blob_clear) struct blob bytes = { 0 };
	_cleanup_(freep) struct log_facts *f = calloc(1, sizeof(*f));
	char sentence[WHY_SENTENCE_MAX];
	struct event_log log = { 0 };
	struct why why = { 0 };
	bool simulated;
	int r = f != NULL ? CVM_OK : CVM_E_NOMEM;

	if (r == CVM_OK)
		r = kernel_log_read(e->c.cfg->evidence.event_log, &bytes,
		    &simulated, &why);
	if (r == CVM_OK)
		r = eventlog_parse(blob_span(&bytes), LOG_TCG, &log, &why);
	if (r == CVM_OK)
		r = eventlog_facts(&log, e->bank, f);
	if (r == CVM_OK) {
		put_facts(e, f);
		log_facts_clear(f);
	} else {
		why.err = r;
		tool_note("nothing from the event log: %s",
		    why_sentence(&why, sentence, sizeof(sentence)));
	}
	eventlog_clear(&log);
}
