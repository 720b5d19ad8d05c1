/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/tee_source.h"
#include "tools/collateral.h"
#include "tools/text.h"

#define DAY INT64_C(86400)
#define WARN_DAYS_DEFAULT 7
#define WARN_DAYS_MAX 3650

const char *const collateral_states[] = {
	[COLLATERAL_OK] = "ok",
	[COLLATERAL_EXPIRING] = "expiring",
	[COLLATERAL_EXPIRED] = "expired",
	[COLLATERAL_REFUSED] = "refused",
	[COLLATERAL_MISSING] = "missing",
};

enum collateral_state
collateral_state(const struct collateral *c, const struct upkeep_file *f)
{
	if (!f->present)
		return COLLATERAL_MISSING;
	if (f->expires != 0 && c->now >= f->expires)
		return COLLATERAL_EXPIRED;
	if (f->why.err != CVM_OK)
		return COLLATERAL_REFUSED;
	return f->expires != 0 && f->expires - c->now < c->warn ?
	    COLLATERAL_EXPIRING :
	    COLLATERAL_OK;
}

const char *
day_text(int64_t when, char buf[static DAY_TEXT_MAX])
{
	char text[TIME_TEXT_MAX];

	if (when == 0)
		(void)snprintf(buf, DAY_TEXT_MAX, "-");
	else
		(void)snprintf(buf, DAY_TEXT_MAX, "%.10s",
		    time_text(when, text));
	return buf;
}

static const enum tee_kind kinds[] = { TEE_SNP, TEE_TDX };

/* Over a random nonce: what is asked for is who signs, not what. */
static int
ask_source(struct collateral *c, const struct tee_source *source,
    struct why *why)
{
	_cleanup_(tsm_report_clear) struct tsm_report report = { 0 };
	uint8_t nonce[REPORT_DATA_LEN];
	unsigned level = 0;
	int r = random_bytes(nonce, sizeof(nonce));

	if (r == CVM_OK)
		r = tee_source_floor(source, &level, why);
	if (r == CVM_OK)
		r = tee_source_report(source, level, nonce,
		    source->cfg->timeout_ms, &report, why);
	if (r < 0)
		return r;
	c->report = report.outblob;
	c->aux = report.auxblob;
	report.outblob = report.auxblob = (struct blob){ 0 };
	return CVM_OK;
}

static int
ask_machine(struct collateral *c, struct why *why)
{
	_cleanup_(vtpm_freep) struct vtpm *vtpm = NULL;
	struct tee_source source = { .cfg = &c->c.cfg->evidence };
	int r = CVM_OK;

	if (c->policy != NULL && c->policy->tee != TEE_SNP &&
	    c->policy->tee != TEE_TDX) {
		c->none = true;
		return CVM_OK;
	}
	if (c->c.cfg->tpm.ak == AK_AZURE) {
		source.paravisor = vtpm = vtpm_new(&c->c.cfg->tpm);
		if (vtpm == NULL)
			return CVM_E_NOMEM;
	}
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		if (c->policy != NULL && c->policy->tee != kinds[i])
			continue;
		source.tee = kinds[i];
		r = ask_source(c, &source, why);
		if (r == CVM_OK || !tee_source_other(&source, why))
			return r;
	}
	return r;
}

/* Before the first policy is written, the vendors' roots count. */
static int
load_policy(struct collateral *c, struct why *why)
{
	const char *given = c->t->opt[OPT_POLICY];
	int r;

	if (given == NULL && c->c.tcfg == NULL)
		return CVM_OK;
	r = tool_policy(given, c->c.tcfg != NULL ? c->c.tcfg->policy : NULL,
	    &c->policy, why);
	if (given == NULL && r == CVM_E_NOT_FOUND) {
		tool_note("there is no %s yet: the vendors' own roots count",
		    c->c.tcfg->policy);
		return CVM_OK;
	}
	return r;
}

static int
given_product(const struct tool *t, enum snp_product *ret, struct why *why)
{
	static const enum snp_product all[] = SNP_PRODUCTS;
	const char *name = t->opt[OPT_PRODUCT];

	*ret = (enum snp_product)0;
	if (name == NULL)
		return CVM_OK;
	for (size_t i = 0; i < NELEMS(all); i++)
		if (strcmp(name, snp_product_folder(all[i])) == 0)
			*ret = all[i];
	return *ret != 0 ? CVM_OK :
			   why_set(why, CVM_E_INVAL, "--product", "",
			       "milan, genoa, turin or venice", name);
}

static int
warn_days(const struct tool *t, int64_t *ret, struct why *why)
{
	const char *text = t->opt[OPT_WARN_DAYS];
	int64_t days = WARN_DAYS_DEFAULT;

	if (text != NULL &&
	    (strlen(text) > 4 || time_parse(text, &days) < 0 ||
		days > WARN_DAYS_MAX))
		return why_set(why, CVM_E_INVAL, "--warn-days", "",
		    "0 to 3650 days", text);
	*ret = days * DAY;
	return CVM_OK;
}

static bool
wants_ak_crl(const struct collateral *c)
{
	const struct policy *p = c->policy;

	return p != NULL && p->has_tpm && p->tpm.ak_trust == AK_TRUST_GCE &&
	    p->tpm.require_crl && c->t->opt[OPT_REPORT] == NULL;
}

/* A TPM that does not answer is no reason to let the TEE's files expire. */
static int
ask_tpm(struct collateral *c)
{
	_cleanup_(blob_clear) struct blob public = { 0 }, name = { 0 };
	_cleanup_(vtpm_freep) struct vtpm *vtpm = vtpm_new(&c->c.cfg->tpm);
	char sentence[WHY_SENTENCE_MAX];
	struct why why = { 0 };

	if (vtpm == NULL)
		return CVM_E_NOMEM;
	if (vtpm_ak(vtpm, &public, &name, &c->ak_cert, &why) != CVM_OK)
		tool_note("revocation lists of the attestation key are not "
			  "looked after: %s",
		    why_sentence(&why, sentence, sizeof(sentence)));
	return CVM_OK;
}

static int
prepare(struct collateral *c, struct why *why)
{
	const char *report = c->t->opt[OPT_REPORT];
	enum snp_product product;
	int r;

	if ((r = warn_days(c->t, &c->warn, why)) < 0 ||
	    (r = given_product(c->t, &product, why)) < 0 ||
	    (r = load_policy(c, why)) < 0)
		return r;
	r = report != NULL ?
	    tool_read(report, EVIDENCE_TEE_MAX, &c->report, why) :
	    ask_machine(c, why);
	if (r == CVM_OK && wants_ak_crl(c))
		r = ask_tpm(c);
	if (r < 0 || (c->none && c->ak_cert.len == 0))
		return r;
	if (c->none)
		upkeep_init_tpm(&c->upkeep, c->policy);
	else
		r = upkeep_init(blob_span(&c->report), blob_span(&c->aux),
		    c->policy, product, c->now, &c->upkeep, why);
	c->none = false;
	c->upkeep.ak_cert = blob_span(&c->ak_cert);
	return r;
}

int
collateral_open(const struct tool *t, struct collateral *c)
{
	struct why why = { 0 };
	int r;

	memset(c, 0, sizeof(*c));
	c->t = t;
	c->now = (int64_t)time(NULL);
	c->dir = t->opt[OPT_COLLATERAL];
	/* A report and a directory are enough, anywhere. */
	if (c->dir == NULL || t->opt[OPT_REPORT] == NULL) {
		if ((r = tool_config(t, &c->c)) != 0)
			return r;
		if (c->dir == NULL)
			c->dir = c->c.cfg->evidence.collateral;
	}
	r = prepare(c, &why);
	return r == CVM_OK ? 0 : tool_fail(r, &why);
}

static bool
has_policy_before(const struct config *cfg, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(cfg->tokens[k].policy, cfg->tokens[i].policy) == 0)
			return true;
	return false;
}

/* The worst of what run() returned, of those that there are. */
static int
run_each(struct tool *t, const struct config *cfg, int (*run)(struct tool *t))
{
	int worst = EXIT_OK;

	for (size_t i = 0; i < cfg->n_tokens; i++) {
		int r;

		if (has_policy_before(cfg, i))
			continue;
		t->opt[OPT_TOKEN] = cfg->tokens[i].name;
		(void)printf("For %s:\n", cfg->tokens[i].policy);
		r = run(t);
		worst = r > worst ? r : worst;
	}
	t->opt[OPT_TOKEN] = NULL;
	return worst;
}

int
collateral_each(struct tool *t, int (*run)(struct tool *t))
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	int r;

	if (t->opt[OPT_TOKEN] != NULL || t->opt[OPT_POLICY] != NULL ||
	    t->opt[OPT_JSON] != NULL ||
	    (t->opt[OPT_COLLATERAL] != NULL && t->opt[OPT_REPORT] != NULL))
		return run(t);
	if ((r = tool_config_all(t, &c)) != 0)
		return r;
	return c.cfg->n_tokens < 2 ? run(t) : run_each(t, c.cfg, run);
}

void
collateral_close(struct collateral *c)
{
	upkeep_clear(&c->upkeep);
	blob_clear(&c->report);
	blob_clear(&c->aux);
	blob_clear(&c->ak_cert);
	policy_freep(&c->policy);
	tool_close(&c->c);
}
