/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/chain.h"
#include "tools/enroll.h"
#include "tools/text.h"

#define DEFAULT_PCRS "0,2,4,7,8,9,14"

static void
enroll_clear(struct enroll *e)
{
	cJSON_Delete(e->root);
	tsm_report_clear(&e->tsm);
	endorsements_freep(&e->endorsements);
	tool_close(&e->c);
}

void
put_hex(cJSON *o, const char *name, struct span s)
{
	char hex[2 * REPORT_DATA_LEN + 1];

	(void)cJSON_AddStringToObject(o, name, hex_encode(s, hex, sizeof(hex)));
}

void
put_string_list(cJSON *o, const char *name, const char *s)
{
	cJSON *list = cJSON_AddArrayToObject(o, name);

	(void)cJSON_AddItemToArray(list, cJSON_CreateString(s));
}

void
put_hex_list(cJSON *o, const char *name, struct span s)
{
	char hex[2 * REPORT_DATA_LEN + 1];

	put_string_list(o, name, hex_encode(s, hex, sizeof(hex)));
}

static void
put_spki(cJSON *list, const struct cert *x)
{
	char hex[2 * SHA256_LEN + 1];

	(void)cJSON_AddItemToArray(list,
	    cJSON_CreateString(hex_encode(span(x->spki_digest, SHA256_LEN), hex,
		sizeof(hex))));
}

int
put_roots(cJSON *o, const char *file, struct span pem, bool last,
    struct why *why)
{
	struct cert *certs[CHAIN_CERTS_MAX] = { NULL };
	cJSON *list = cJSON_AddArrayToObject(o, "roots");
	size_t n = 0;
	int r = certs_from_pem(pem, certs, CHAIN_CERTS_MAX, &n);

	for (size_t i = last && n > 0 ? n - 1 : 0; r == CVM_OK && i < n; i++)
		put_spki(list, certs[i]);
	for (size_t i = 0; i < n; i++)
		cert_freep(&certs[i]);
	if (r == CVM_OK && n > 0)
		return CVM_OK;
	return why_set(why, CVM_E_NOT_FOUND, "collateral", file,
	    "root certificates (PEM)",
	    pem.len == 0 ? "no such file" : "none that can be read");
}

/* True when out is where the configured policy is, or would be. */
static bool
is_policy_in_use(const char *out, const char *policy)
{
	_cleanup_(freep) char *out_dir = strdup(out), *out_base = strdup(out);
	_cleanup_(freep) char *dir = strdup(policy), *base = strdup(policy);
	struct stat a, b;

	if (out_dir == NULL || out_base == NULL || dir == NULL || base == NULL)
		return true;
	if (stat(out, &a) == 0 && stat(policy, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return true;
	return strcmp(basename(out_base), basename(base)) == 0 &&
	    stat(dirname(out_dir), &a) == 0 && stat(dirname(dir), &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static const char *
read_options(const struct tool *t, struct enroll *e)
{
	const char *pcrs = t->opt[OPT_PCRS], *bank = t->opt[OPT_BANK];
	const char *label = t->opt[OPT_LABEL], *ak = t->opt[OPT_AK];

	e->t = t;
	e->label = label != NULL ? label : "current";
	e->bank = HASH_SHA256;
	if (pcr_list_parse(pcrs != NULL ? pcrs : DEFAULT_PCRS, &e->mask) !=
	    CVM_OK)
		return "--pcrs: numbers of 0 to 23, each once, as in 0,2,4,7";
	if (bank != NULL &&
	    (bank_parse(bank, &e->bank) != CVM_OK ||
		(e->bank != HASH_SHA256 && e->bank != HASH_SHA384)))
		return "--bank: sha256 or sha384";
	if (ak != NULL && strcmp(ak, "gce") != 0 && strcmp(ak, "pinned") != 0 &&
	    strcmp(ak, "tee") != 0 && strcmp(ak, "azure") != 0)
		return "--ak: gce, pinned, tee or azure";
	return NULL;
}

static int
propose(struct enroll *e, struct why *why)
{
	int r;

	if ((e->root = cJSON_CreateObject()) == NULL)
		return CVM_E_NOMEM;
	if ((r = endorsements_load(e->c.cfg->evidence.collateral,
		 &e->endorsements, why)) != CVM_OK ||
	    (r = enroll_find_tee(e, why)) != CVM_OK)
		return r;
	(void)cJSON_AddNumberToObject(e->root, "version", 1);
	(void)cJSON_AddStringToObject(e->root, "name", e->c.tcfg->name);
	enroll_log(e);
	enroll_ccel(e);
	(void)cJSON_AddStringToObject(e->root, "tee", tee_kind_name(e->tee));
	(void)cJSON_AddStringToObject(e->root, "bind", "session");
	if (e->tee == TEE_SNP && (r = enroll_snp(e, why)) != CVM_OK)
		return r;
	if (e->tee == TEE_TDX && (r = enroll_tdx(e, why)) != CVM_OK)
		return r;
	return enroll_tpm(e, why);
}

/* Does the proposal admit the machine that it was read from? Where not, the
 * machine is one that should not be (debuggable, old firmware, ...). */
static void
try_proposal(const struct enroll *e, const struct policy *p)
{
	_cleanup_(admission_clear) struct admission a = { 0 };
	char sentence[WHY_SENTENCE_MAX];
	struct why why = { 0 };

	if (tool_appraise(e->c.cfg, p, &a, &why) != CVM_OK)
		tool_note("this machine itself is not admitted by the "
			  "proposal: %s",
		    why_sentence(&why, sentence, sizeof(sentence)));
}

/* What is written is a policy that reads back. */
static int
check_proposal(const struct enroll *e, const char *text, struct why *why)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	int r = policy_parse(span(text, strlen(text)), "proposal", &p, why);

	if (r == CVM_OK)
		try_proposal(e, p);
	return r;
}

static int
write_proposal(const struct enroll *e, const char *out, struct why *why)
{
	/* A policy that lacks something demands less. */
	_cleanup_(freep) char *json = json_print(e->root), *text = NULL;
	int r;

	if (json == NULL || asprintf(&text, "%s\n", json) < 0) {
		text = NULL;
		return CVM_E_NOMEM;
	}
	r = check_proposal(e, text, why);
	return r == CVM_OK ?
	    tool_write(out, span(text, strlen(text)), /* over= */ false, why) :
	    r;
}

int
cmd_enroll(struct tool *t)
{
	_cleanup_(enroll_clear) struct enroll e = { .mask = 0 };
	const char *complaint = read_options(t, &e), *out = t->opt[OPT_OUT];
	struct why why = { 0 };
	int r;

	if (complaint != NULL)
		return tool_usage(t, complaint);
	if ((r = tool_config(t, &e.c)) != 0)
		return r;
	log_setup(LOG_TARGET_NONE, LOG_LEVEL_ERROR, NULL);
	if (out != NULL && is_policy_in_use(out, e.c.tcfg->policy))
		return tool_usage(t,
		    "--out: not over the policy in use; review the proposal, "
		    "then copy it");
	if ((r = propose(&e, &why)) != CVM_OK ||
	    (r = write_proposal(&e, out, &why)) != CVM_OK)
		return tool_fail(r, &why);
	tool_note("this is a proposal: it says what this machine is, not that "
		  "it is good; review it, then copy it to %s",
	    e.c.tcfg->policy);
	return EXIT_OK;
}
