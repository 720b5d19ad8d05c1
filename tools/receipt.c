/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/receipt_claim.h"
#include "attest/receipt_log.h"
#include "attest/receipt_verify.h"
#include "tools/collateral_sort.h"
#include "tools/receipt.h"

void
receipt_job_clear(struct receipt_job *j)
{
	receipts_freep(&j->verifier);
	receipt_claim_clear(&j->claim);
	blob_clear(&j->message);
	blob_clear(&j->signature);
	policy_freep(&j->policy);
	endorsements_freep(&j->extra);
	free(j->proofs);
	tool_close(&j->context);
}

/* The logs of the command line; without any, that of the configured token. */
static int
choose_logs(const struct tool *t, struct receipt_job *j)
{
	int status;

	for (size_t i = 0; i < t->n_operands; i++)
		j->path[j->n_paths++] = t->operand[i];
	if (j->n_paths > 0)
		return 0;
	if ((status = tool_config(t, &j->context)) != 0)
		return status;
	j->path[j->n_paths++] = j->context.tcfg->receipts.path;
	return 0;
}

int
receipt_run(const struct tool *t, struct receipt_job *j, struct why *why)
{
	int status, r;

	if ((status = choose_logs(t, j)) != 0)
		return status;
	if ((r = receipts_new(&j->options, &j->verifier)) != CVM_OK)
		return tool_fail(r, NULL);
	for (size_t i = 0; i < j->n_paths; i++) {
		_cleanup_(blob_clear) struct blob text = { 0 };

		r = tool_read_log(j->path[i], RECEIPT_LOG_MAX, &text, why);
		if (r != CVM_OK)
			return tool_fail(r, why);
		r = receipts_verify(j->verifier, blob_span(&text), j->path[i],
		    why);
		if (r == CVM_E_CORRUPT) {
			j->damaged = true;
			return 0;
		}
		if (r != CVM_OK)
			return tool_fail(r, why);
	}
	return 0;
}

/* A complaint, or NULL. */
static const char *
check_options(const struct tool *t, struct receipt_job *j)
{
	const char *head = t->opt[OPT_HEAD];
	int given = (t->opt[OPT_MESSAGE] != NULL) +
	    (t->opt[OPT_SIGNATURE] != NULL) + (t->opt[OPT_PUBLIC_KEY] != NULL);

	if (t->opt[OPT_POLICY] == NULL && t->n_operands > 0)
		return "--policy FILE is missing";
	if (t->opt[OPT_TIME] != NULL &&
	    time_parse(t->opt[OPT_TIME], &j->options.at) != CVM_OK)
		return "--time: as 2026-01-31T12:00:00Z, or seconds since 1970";
	if (head != NULL && hex_decode(head, j->head, SHA256_LEN) != CVM_OK)
		return "--head: 32 bytes in hex";
	if (given != 0 && given != 3)
		return "--message, --signature and --public-key go together";
	j->has_claim = given == 3;
	j->options.allow_simulated = t->opt[OPT_SIMULATED] != NULL;
	return NULL;
}

static int
load_claim(const struct tool *t, struct receipt_job *j, struct why *why)
{
	_cleanup_(blob_clear) struct blob key = { 0 };
	int r;

	if (!j->has_claim)
		return CVM_OK;
	if ((r = tool_read(t->opt[OPT_PUBLIC_KEY], CLAIM_FILE_MAX, &key,
		 why)) != CVM_OK ||
	    (r = receipt_claim_key(&j->claim, blob_span(&key),
		 t->opt[OPT_PUBLIC_KEY], why)) != CVM_OK ||
	    (r = tool_read(t->opt[OPT_MESSAGE], CLAIM_FILE_MAX, &j->message,
		 why)) != CVM_OK ||
	    (r = tool_read(t->opt[OPT_SIGNATURE], CLAIM_FILE_MAX, &j->signature,
		 why)) != CVM_OK)
		return r;
	j->claim.message = blob_span(&j->message);
	j->claim.signature = blob_span(&j->signature);
	return CVM_OK;
}

static int
load(const struct tool *t, struct receipt_job *j, struct why *why)
{
	const char *configured = NULL;
	const char *dir = t->opt[OPT_COLLATERAL];
	int r;

	if (t->n_operands == 0) {
		int status = tool_config(t, &j->context);

		if (status != 0)
			return status;
		configured = j->context.tcfg->policy;
		if (dir == NULL)
			dir = j->context.cfg->evidence.collateral;
		j->options.allow_simulated |= j->context.cfg->simulated;
	}
	r = tool_policy(t->opt[OPT_POLICY], configured, &j->policy, why);
	if (r == CVM_OK && dir != NULL)
		r = collateral_load(dir, &j->extra, why);
	if (r == CVM_OK)
		r = load_claim(t, j, why);
	j->options.policy = j->policy;
	j->options.extra = j->extra;
	tool_close(&j->context);
	return r == CVM_OK ? 0 : tool_fail(r, why);
}

/* Looks for the operation that proves the claim. */
static void
look(void *arg, const char *where, const struct receipt *r,
    const struct verdict *verdict, bool good)
{
	struct receipt_job *j = arg;
	enum claim_match m;
	char(*grown)[WHY_WHERE_MAX];

	(void)verdict;
	j->simulated += r->simulated;
	if (!j->has_claim || r->type != RECEIPT_ADMISSION)
		return;
	m = receipt_claim_match(&j->claim, r);
	j->seen[m] += good || m != CLAIM_PROVED;
	j->unproved += m == CLAIM_PROVED && !good;
	if (m != CLAIM_PROVED || !good)
		return;
	grown = reallocarray(j->proofs, j->n_proofs + 1, sizeof(*grown));
	j->starved |= grown == NULL;
	if (grown == NULL)
		return;
	j->proofs = grown;
	(void)snprintf(grown[j->n_proofs++], WHY_WHERE_MAX, "%s", where);
}

/* What is wrong with the claim; proved: NULL. */
static const char *
claim_fault(const struct receipt_job *j)
{
	if (!j->has_claim || j->seen[CLAIM_PROVED] > 0)
		return NULL;
	if (j->unproved > 0)
		return "only operations that were not admitted have this key, "
		       "message and signature";
	if (j->seen[CLAIM_NO_SIGNATURE] > 0)
		return "the key was used for this message, but this is not its "
		       "signature";
	if (j->seen[CLAIM_UNKNOWN] > 0)
		return "the key was used, but by mechanisms whose signatures "
		       "are not verified here";
	return "no operation in the log has this key and message";
}

static const char *
head_fault(const struct tool *t, const struct receipt_job *j)
{
	if (t->opt[OPT_HEAD] == NULL || receipts_has_head(j->verifier, j->head))
		return NULL;
	return "no line has the hash of --head: the log was cut, or is "
	       "another one";
}

static cJSON *
json_result(const struct tool *t, const struct receipt_job *j,
    const struct why *why, bool good)
{
	const struct receipt_counts *c = receipts_counts(j->verifier);
	char head[2 * SHA256_LEN + 1];
	cJSON *root = cJSON_CreateObject(), *list;
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "lines", c->lines },
		{ "rounds", c->rounds },
		{ "admissions", c->admissions },
		{ "operations", c->operations },
		{ "denied", c->denied },
		{ "unreachable", c->unreachable },
		{ "refused", c->refused },
		{ "missed", c->missed },
		{ "torn_bytes", c->torn },
	};

	(void)cJSON_AddBoolToObject(root, "good", good);
	(void)cJSON_AddBoolToObject(root, "whole", !j->damaged);
	for (size_t i = 0; i < NELEMS(numbers); i++)
		(void)cJSON_AddNumberToObject(root, numbers[i].name,
		    (double)numbers[i].value);
	(void)cJSON_AddBoolToObject(root, "continues_earlier", c->continued);
	(void)cJSON_AddStringToObject(root, "head",
	    hex_encode(span(c->head, SHA256_LEN), head, sizeof(head)));
	(void)cJSON_AddBoolToObject(root, "simulated", j->simulated > 0);
	json_why(root, "damage", why);
	json_why(root, "refusal", receipts_refusal(j->verifier));
	if (t->opt[OPT_HEAD] != NULL)
		(void)cJSON_AddBoolToObject(root, "has_head",
		    head_fault(t, j) == NULL);
	if (!j->has_claim)
		return root;
	list = cJSON_AddArrayToObject(root, "signature_at");
	for (size_t i = 0; i < j->n_proofs; i++)
		(void)cJSON_AddItemToArray(list,
		    cJSON_CreateString(j->proofs[i]));
	return root;
}

static void
print_result(const struct receipt_job *j)
{
	const struct receipt_counts *c = receipts_counts(j->verifier);
	char head[2 * SHA256_LEN + 1];

	(void)printf("%" PRIu64 " lines: %" PRIu64 " rounds (%" PRIu64
		     " denied, %" PRIu64 " without evidence), %" PRIu64
		     " admissions, %" PRIu64 " of them operations\n",
	    c->lines, c->rounds, c->denied, c->unreachable, c->admissions,
	    c->operations);
	if (c->missed > 0 || c->torn > 0)
		(void)printf("gaps: %" PRIu64
			     " rounds were not recorded, %" PRIu64
			     " bytes of torn lines were cut off\n",
		    c->missed, c->torn);
	if (j->simulated > 0)
		(void)printf("*** OF A SIMULATED MACHINE: %" PRIu64
			     " lines; they prove nothing of a real one ***\n",
		    j->simulated);
	if (c->continued)
		(void)printf("the first file continues an earlier one\n");
	for (size_t i = 0; i < j->n_proofs; i++)
		(void)printf("the signature was made at %s\n", j->proofs[i]);
	(void)printf("head %s\n",
	    hex_encode(span(c->head, SHA256_LEN), head, sizeof(head)));
}

static int
report(const struct tool *t, const struct receipt_job *j, const struct why *why)
{
	const struct why *refusal = receipts_refusal(j->verifier);
	const char *const faults[] = { claim_fault(j), head_fault(t, j) };
	bool good = !j->damaged && refusal->err == CVM_OK;
	int status;

	for (size_t i = 0; i < NELEMS(faults); i++)
		good = good && faults[i] == NULL;
	if (t->opt[OPT_JSON] != NULL) {
		status = print_json(json_result(t, j, why, good));
	} else {
		print_result(j);
		status = print_end();
	}
	if (j->damaged)
		(void)tool_fail(why->err, why);
	if (refusal->err != CVM_OK)
		(void)tool_fail(refusal->err, refusal);
	for (size_t i = 0; i < NELEMS(faults); i++)
		if (faults[i] != NULL && !j->damaged)
			(void)fprintf(stderr, "cvm-token: %s\n", faults[i]);
	if (status != EXIT_OK)
		return status;
	return good ? EXIT_OK : EXIT_DENY;
}

int
cmd_receipt_verify(struct tool *t)
{
	_cleanup_(receipt_job_clear) struct receipt_job j = { .n_paths = 0 };
	const char *complaint = check_options(t, &j);
	struct why why = { 0 };
	int status;

	if (complaint != NULL)
		return tool_usage(t, complaint);
	j.options.seen = look;
	j.options.arg = &j;
	if ((status = load(t, &j, &why)) != 0 ||
	    (status = receipt_run(t, &j, &why)) != 0)
		return status;
	return j.starved ? tool_fail(CVM_E_NOMEM, NULL) : report(t, &j, &why);
}

int
cmd_receipt_rotate(struct tool *t)
{
	_cleanup_(tool_close) struct tool_context c = { 0 };
	_cleanup_(freep) char *old = NULL;
	struct why why = { 0 };
	cJSON *root;
	int r, status;

	if ((status = tool_config(t, &c)) != 0)
		return status;
	if ((r = receipt_rotate(c.tcfg, &old, &why)) != CVM_OK)
		return tool_fail(r, &why);
	if (t->opt[OPT_JSON] != NULL) {
		root = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(root, "log",
		    c.tcfg->receipts.path);
		(void)cJSON_AddStringToObject(root, "old", old);
		return print_json(root);
	}
	(void)printf("%s is now %s\n", c.tcfg->receipts.path, old);
	return print_end();
}
