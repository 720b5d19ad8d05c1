/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/tdx.h"
#include "tools/tool.h"

static void
warn(void *arg, const char *sentence)
{
	cJSON *list = arg;

	if (list != NULL)
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(sentence));
	else
		(void)printf("warning: %s\n", sentence);
}

int
cmd_policy_check(struct tool *t)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	char digest[2 * POLICY_DIGEST_LEN + 1];
	cJSON *root = NULL, *list = NULL;
	struct why why = { 0 };
	size_t n;
	int r;

	if ((r = policy_load_named(t->operand[0], &p, &why)) != CVM_OK) {
		(void)tool_fail(r, &why);
		return r == CVM_E_CONFIG ? EXIT_DENY : EXIT_TROUBLE;
	}
	(void)hex_encode(span(p->digest, sizeof(p->digest)), digest,
	    sizeof(digest));
	if (t->opt[OPT_JSON] != NULL) {
		root = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(root, "name", p->name);
		(void)cJSON_AddStringToObject(root, "digest", digest);
		list = cJSON_AddArrayToObject(root, "warnings");
	}
	n = policy_warnings(p, warn, list);
	if (root != NULL)
		return print_json(root);
	(void)printf("%s: policy \"%s\" is well-formed, %zu warning%s\n"
		     "sha256 %s\n",
	    p->path, p->name, n, n == 1 ? "" : "s", digest);
	return print_end();
}

/*
 * Registers against the sets of a policy: PCRs, or the RTMRs of a TD. Every
 * one that differs is named, for every set, since the nearest set is not
 * always the one that was meant.
 */
struct diff {
	cJSON *root; /* or NULL: for people */
	cJSON *differs;
	size_t n;
};

static void
set_begin(struct diff *d, cJSON *list, const char *label)
{
	cJSON *o;

	d->n = 0;
	if (d->root == NULL)
		return;
	o = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(o, "label", label);
	d->differs = cJSON_AddArrayToObject(o, "differs");
	(void)cJSON_AddItemToArray(list, o);
}

static void
set_value(struct diff *d, const char *kind, const char *label, unsigned index,
    struct span expected, struct span found)
{
	char a[2 * HASH_LEN_MAX + 1], b[2 * HASH_LEN_MAX + 1];
	cJSON *o;

	if (span_equal(expected, found))
		return;
	(void)hex_encode(expected, a, sizeof(a));
	(void)hex_encode(found, b, sizeof(b));
	if (d->root != NULL) {
		o = cJSON_CreateObject();
		(void)cJSON_AddNumberToObject(o, "index", index);
		(void)cJSON_AddStringToObject(o, "expected", a);
		(void)cJSON_AddStringToObject(o, "found", b);
		(void)cJSON_AddItemToArray(d->differs, o);
	} else {
		if (d->n == 0)
			(void)printf("%s set \"%s\"\n", kind, label);
		(void)printf("  %s %-2u%*sexpected  %s\n%20sfound     %s\n",
		    kind, index, (int)(20 - 5 - strlen(kind)), "", a, "", b);
	}
	d->n++;
}

static void
set_end(const struct diff *d, const char *kind, const char *label)
{
	if (d->root == NULL && d->n == 0)
		(void)printf("%s set \"%s\" is this machine's\n", kind, label);
}

static void
diff_pcrs(struct diff *d, const struct policy *p, const struct pcr_values *v)
{
	const struct policy_tpm *tpm = &p->tpm;
	cJSON *list = d->root != NULL ?
	    cJSON_AddArrayToObject(d->root, "pcr_sets") :
	    NULL;
	size_t len = hash_len(tpm->bank);

	for (size_t k = 0; k < tpm->n_pcr_sets; k++) {
		const struct pcr_set *set = &tpm->pcr_sets[k];

		set_begin(d, list, set->label);
		for (unsigned i = 0; i < POLICY_PCR_MAX; i++)
			if ((set->mask >> i & 1) != 0 &&
			    (v->mask >> i & 1) != 0 && v->bank == tpm->bank)
				set_value(d, "PCR", set->label, i,
				    span(set->value[i], len),
				    span(v->value[i], len));
		set_end(d, "PCR", set->label);
	}
}

static void
diff_rtmrs(struct diff *d, const struct policy *p, struct span quote)
{
	cJSON *list = d->root != NULL ?
	    cJSON_AddArrayToObject(d->root, "rtmr_sets") :
	    NULL;
	struct tdx_quote q;
	struct why why;

	if (tdx_quote_parse(quote, &q, &why) != CVM_OK)
		return;
	for (size_t k = 0; k < p->tdx.n_rtmr_sets; k++) {
		const struct rtmr_set *set = &p->tdx.rtmr_sets[k];

		set_begin(d, list, set->label);
		for (unsigned i = 0; i < TDX_RTMRS; i++)
			if ((set->mask >> i & 1) != 0)
				set_value(d, "RTMR", set->label, i,
				    span(set->value[i], SHA384_LEN), q.rtmr[i]);
		set_end(d, "RTMR", set->label);
	}
}

static int
print_diff(const struct tool *t, const struct policy *p,
    const struct round_result *round)
{
	struct diff d = { .root = NULL };
	int status;

	if (t->opt[OPT_JSON] != NULL)
		d.root = json_verdict(&round->verdict);
	else
		print_verdict(stdout, &round->verdict, t->opt[OPT_ALL] != NULL);
	if (p->has_tpm)
		diff_pcrs(&d, p, &round->evidence.pcrs);
	if (p->tee == TEE_TDX)
		diff_rtmrs(&d, p, blob_span(&round->evidence.tee_report));
	status = d.root != NULL ? print_json(d.root) : print_end();
	if (status != EXIT_OK)
		return status;
	return round->verdict.admit ? EXIT_OK : EXIT_DENY;
}

int
cmd_policy_diff(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(policy_freep) struct policy *p = NULL;
	_cleanup_(admission_clear) struct admission a = { 0 };
	const char *path = t->operand[0];
	struct why why = { 0 };
	int r;

	if ((r = tool_config(t, &c)) != 0)
		return r;
	log_setup(LOG_TARGET_NONE, LOG_LEVEL_ERROR, NULL);
	r = tool_policy(path, c.tcfg->policy, &p, &why);
	if (r == CVM_OK)
		r = tool_appraise(c.cfg, p, &a, &why);
	if (a.round == NULL)
		return tool_fail(r, &why);
	return print_diff(t, p, a.round);
}
