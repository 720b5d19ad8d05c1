/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>
#include <time.h>

#include "attest/bundle.h"
#include "tools/tool.h"

struct verify_options {
	const char *policy, *nonce, *fingerprint, *when, *collateral;
	bool simulated, all;
};

/* Seconds since the epoch, or an RFC 3339 time in UTC. */
static int
parse_time(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	char *rest = NULL;

	if (end != NULL && *end == '\0') {
		*ret = (int64_t)timegm(&tm);
		return CVM_OK;
	}
	*ret = strtoll(text, &rest, 10);
	return rest != text && *rest == '\0' ? CVM_OK : CVM_E_INVAL;
}

static int
expected_leaf(const struct verify_options *o, struct blob *ret)
{
	_cleanup_(blob_clear) struct blob nonce = { 0 }, fp = { 0 };
	int r;

	if (o->nonce == NULL)
		return CVM_OK;
	if ((r = hex_decode_blob(o->nonce, CHALLENGE_NONCE_MAX, &nonce)) !=
		CVM_OK ||
	    (o->fingerprint != NULL &&
		(r = hex_decode_blob(o->fingerprint, SHA256_LEN, &fp)) !=
		    CVM_OK))
		return r;
	return leaf_challenge(blob_span(&nonce), blob_span(&fp), ret);
}

static int
load(const char *path, const struct verify_options *o, struct bundle **b,
    struct policy **p, struct endorsements **e, struct why *why)
{
	_cleanup_(blob_clear) struct blob text = { 0 };
	int r;

	if ((r = tool_read(path, BUNDLE_BYTES_MAX, &text)) != CVM_OK)
		return why_set(why, r, path, "", "a readable bundle", "");
	if ((r = bundle_parse(blob_span(&text), path, b, why)) != CVM_OK ||
	    (r = policy_load(o->policy, p, why)) != CVM_OK)
		return r;
	return o->collateral == NULL ? CVM_OK :
				       endorsements_load(o->collateral, e, why);
}

static int
report(const struct tool *t, const struct verify_options *o,
    const struct bundle *b, const struct policy *p, const struct verdict *v)
{
	bool same = memcmp(b->policy_digest, p->digest, sizeof(p->digest)) == 0;
	cJSON *root;

	if (t->json) {
		root = json_verdict(v);
		(void)cJSON_AddBoolToObject(root, "machine_has_this_policy",
		    same);
		(void)print_json(root);
	} else {
		print_verdict(stdout, v, o->all || v->admit);
		(void)printf("the machine itself runs %s policy\n",
		    same ? "this" : "another");
		if (o->nonce == NULL)
			(void)printf("no --nonce given: this says nothing of "
				     "when the bundle was made\n");
	}
	return v->admit ? EXIT_OK : EXIT_DENY;
}

int
cmd_verify(struct tool *t)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	_cleanup_(policy_freep) struct policy *p = NULL;
	_cleanup_(bundle_freep) struct bundle *b = NULL;
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	struct verify_options o = { 0 };
	const struct option_row rows[] = {
		{ "--policy", &o.policy, NULL },
		{ "--nonce", &o.nonce, NULL },
		{ "--key-fingerprint", &o.fingerprint, NULL },
		{ "--time", &o.when, NULL },
		{ "--collateral", &o.collateral, NULL },
		{ "--simulated", NULL, &o.simulated },
		{ "--all", NULL, &o.all },
	};
	int64_t now = (int64_t)time(NULL);
	struct verdict v;
	struct why why = { 0 };
	int r;

	if ((r = tool_options(t, rows, NELEMS(rows), 1, 1)) != 0)
		return r;
	if (o.policy == NULL)
		return tool_usage(t, "--policy FILE is needed");
	if (o.when != NULL && parse_time(o.when, &now) != CVM_OK)
		return tool_usage(t,
		    "--time takes 2026-01-31T12:00:00Z or "
		    "seconds");
	if (expected_leaf(&o, &leaf) != CVM_OK)
		return tool_usage(t,
		    "--nonce takes 8 to 64 bytes in hex, "
		    "--key-fingerprint 32");
	if ((r = load(t->argv[1], &o, &b, &p, &e, &why)) != CVM_OK ||
	    (r = bundle_appraise(b, p, e, blob_span(&leaf), now, o.simulated,
		 &v, &why)) != CVM_OK)
		return tool_fail(r, &why);
	return report(t, &o, b, p, &v);
}
