/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/bundle.h"
#include "tools/collateral_sort.h"
#include "tools/evidence_files.h"
#include "tools/text.h"
#include "tools/tool.h"
#include "tools/verify.h"

struct verification {
	struct bundle *bundle;
	struct policy *policy;
	struct endorsements *extra;
	struct blob nonce; /* of the verifier, or empty */
	bool has_fingerprint;
	uint8_t fingerprint[SHA256_LEN];
	struct blob leaf; /* that the nonce yields, or empty */
	int64_t now;
	char complaint[64];
};

static void
verification_clear(struct verification *v)
{
	bundle_freep(&v->bundle);
	policy_freep(&v->policy);
	endorsements_freep(&v->extra);
	blob_clear(&v->leaf);
	blob_clear(&v->nonce);
}

/* A complaint, or NULL. */
static const char *
read_options(const struct tool *t, struct verification *v)
{
	const char *hex = t->opt[OPT_NONCE];
	const char *key = t->opt[OPT_KEY_FINGERPRINT];

	v->now = (int64_t)time(NULL);
	if (t->opt[OPT_POLICY] == NULL && !verify_is_raw(t))
		return "--policy FILE is missing";
	if (!verify_is_raw(t) && verify_raw_only(t) != NULL) {
		(void)snprintf(v->complaint, sizeof(v->complaint),
		    "%s is of evidence in files, not for a bundle",
		    verify_raw_only(t));
		return v->complaint;
	}
	if (verify_is_raw(t) && (key != NULL || t->opt[OPT_KEY_BUNDLE] != NULL))
		return "--key-bundle and --key-fingerprint are of a bundle";
	if (t->opt[OPT_TIME] != NULL &&
	    time_parse(t->opt[OPT_TIME], &v->now) != CVM_OK)
		return "--time: as 2026-01-31T12:00:00Z, or seconds since 1970";
	v->has_fingerprint = key != NULL;
	if (key != NULL &&
	    hex_decode(key, v->fingerprint, SHA256_LEN) != CVM_OK)
		return "--key-fingerprint: 32 bytes in hex";
	if (key != NULL && hex == NULL && t->opt[OPT_KEY_BUNDLE] == NULL)
		return "--key-fingerprint says nothing without --nonce";
	if (hex != NULL && verify_is_raw(t))
		return "--nonce is of a bundle: --report-data, --qualifying";
	if (hex != NULL &&
	    (hex_decode_blob(hex, CHALLENGE_NONCE_MAX, &v->nonce) != CVM_OK ||
		v->nonce.len < CHALLENGE_NONCE_MIN))
		return "--nonce: 8 to 64 bytes in hex";
	return NULL;
}

/* What the verifier asks about the key, and the leaf that answers it. */
static int
expect(const struct tool *t, struct verification *v, struct why *why)
{
	const struct bundle *b = v->bundle;
	size_t n = v->has_fingerprint ? SHA256_LEN : 0;

	if (t->opt[OPT_KEY_BUNDLE] != NULL && !b->has_key)
		return why_set(why, CVM_E_DENIED, "bundle", "key",
		    "a statement about a key", "none");
	if (b->has_key && v->has_fingerprint &&
	    memcmp(b->key.fingerprint, v->fingerprint, SHA256_LEN) != 0)
		return why_set(why, CVM_E_DENIED, "bundle", "key.fingerprint",
		    "that of --key-fingerprint", "another key's");
	if (v->nonce.len == 0)
		return CVM_OK;
	return b->has_key ? leaf_key(&b->key, blob_span(&v->nonce), &v->leaf) :
			    leaf_challenge(blob_span(&v->nonce),
				span(v->fingerprint, n), &v->leaf);
}

static int
load(const struct tool *t, struct verification *v, struct why *why)
{
	_cleanup_(blob_clear) struct blob text = { 0 };
	const char *path = t->operand[0], *dir = t->opt[OPT_COLLATERAL];
	int r;

	if ((r = evidence_file(path, BUNDLE_BYTES_MAX, &text, why)) != CVM_OK ||
	    (r = bundle_parse(blob_span(&text), path, &v->bundle, why)) !=
		CVM_OK ||
	    (r = policy_load_named(t->opt[OPT_POLICY], &v->policy, why)) !=
		CVM_OK)
		return r;
	return dir == NULL ? CVM_OK : collateral_load(dir, &v->extra, why);
}

static void
print_key(const struct birth *k)
{
	char fp[2 * SHA256_LEN + 1];

	(void)printf("Key %s, %s: %s%s%s%s%s.\n",
	    hex_encode(span(k->fingerprint, SHA256_LEN), fp, sizeof(fp)),
	    k->is_secret ? "secret" : "private",
	    k->origin == ORIGIN_GENERATED ? "generated in this token" :
					    birth_origin_name(k->origin),
	    k->extractable	     ? ", extractable" :
		k->never_extractable ? ", never extractable" :
				       ", not extractable now",
	    k->always_sensitive ? ", always sensitive" :
		k->sensitive	? ", sensitive now" :
				  ", not sensitive",
	    k->local ? ", local" : "",
	    k->bind_operation ? ", each use attested" : "");
}

static int
report(const struct tool *t, const struct verification *v,
    const struct verdict *verdict)
{
	bool same = memcmp(v->bundle->policy_digest, v->policy->digest,
			POLICY_DIGEST_LEN) == 0;
	bool fresh = v->leaf.len > 0, lacks = verdict_lacks(verdict);
	char when[TIME_TEXT_MAX];
	cJSON *root;
	int status;

	(void)time_text(v->bundle->time, when);
	if (t->opt[OPT_JSON] != NULL) {
		root = json_verdict(verdict);
		if (lacks)
			(void)cJSON_ReplaceItemInObject(root, "sentence",
			    cJSON_CreateString(NO_ENDORSEMENTS));
		(void)cJSON_AddStringToObject(root, "answer",
		    verdict->admit ? "admit" :
			lacks	   ? "cannot-tell" :
				     "deny");
		(void)cJSON_AddStringToObject(root, "claimed_time", when);
		(void)cJSON_AddBoolToObject(root, "nonce_checked", fresh);
		(void)cJSON_AddBoolToObject(root, "machine_has_this_policy",
		    same);
		if (v->bundle->has_key)
			(void)!birth_put(root, &v->bundle->key);
		status = print_json(root);
	} else {
		if (!lacks) {
			print_verdict(stdout, verdict, t->opt[OPT_ALL] != NULL);
		} else {
			print_checks(stdout, verdict, t->opt[OPT_ALL] != NULL);
			(void)printf("cannot tell: %s\n", NO_ENDORSEMENTS);
		}
		if (!verdict->admit && verdict->simulated &&
		    t->opt[OPT_SIMULATED] == NULL)
			(void)printf("  try: --simulated, if a test is what "
				     "this is\n");
		if (v->bundle->has_key)
			print_key(&v->bundle->key);
		(void)printf("The machine itself runs %s policy.\n",
		    same ? "this" : "another");
		if (!fresh)
			(void)printf("Without --nonce nothing says when this "
				     "was made; the machine claims %s.\n",
			    when);
		status = print_end();
	}
	if (status != EXIT_OK)
		return status;
	return verdict->admit ? EXIT_OK : lacks ? EXIT_TROUBLE : EXIT_DENY;
}

int
cmd_verify(struct tool *t)
{
	_cleanup_(verification_clear) struct verification v = { 0 };
	const char *complaint = read_options(t, &v);
	struct why why = { 0 };
	struct verdict verdict;
	int r;

	if (complaint != NULL)
		return tool_usage(t, complaint);
	if (verify_is_raw(t))
		return verify_raw(t, v.now);
	if ((r = load(t, &v, &why)) != CVM_OK ||
	    (r = expect(t, &v, &why)) != CVM_OK ||
	    (r = bundle_appraise(v.bundle, v.policy, v.extra,
		 blob_span(&v.leaf), v.now, t->opt[OPT_SIMULATED] != NULL,
		 &verdict, &why)) != CVM_OK)
		return tool_fail(r, &why);
	return report(t, &v, &verdict);
}
