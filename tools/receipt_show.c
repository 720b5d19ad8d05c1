/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/receipt.h"

#define SHORT 8 /* bytes of a digest that people are shown */

static const char *
brief(struct span s, char out[static 2 * SHORT + 1])
{
	if (s.len > SHORT)
		s.len = SHORT;
	return hex_encode(s, out, 2 * SHORT + 1);
}

static const char *const verdicts[] = {
	[RECEIPT_ADMIT] = "admitted",
	[RECEIPT_DENY] = "denied",
	[RECEIPT_NONE] = "without evidence",
};

static void
show_log(const struct receipt *r)
{
	char when[TIME_TEXT_MAX];

	(void)printf("%s log of token %s begins\n",
	    time_text((int64_t)r->time, when), r->token);
}

static void
show_part(const struct receipt *r)
{
	char digest[2 * SHORT + 1];

	(void)printf("  part of evidence %s, %zu bytes\n",
	    brief(span(r->sha256, SHA256_LEN), digest), r->data.len);
}

static void
show_endorsement(const struct receipt *r)
{
	(void)printf("  endorsement %s, %zu bytes\n", r->name, r->data.len);
}

static void
show_round(const struct receipt *r)
{
	char when[TIME_TEXT_MAX], root[2 * SHORT + 1], policy[2 * SHORT + 1];

	(void)printf("%s round %s %s, %" PRIu64 " leaves, process %" PRIu64
		     ", policy %s",
	    time_text((int64_t)r->time, when),
	    brief(span(r->root, SHA256_LEN), root), verdicts[r->verdict],
	    r->leaves, r->pid,
	    brief(span(r->policy_digest, SHA256_LEN), policy));
	if (r->verdict != RECEIPT_NONE)
		(void)printf(", %s report %" PRIu64 " s old%s",
		    tee_kind_name((enum tee_kind)r->tee), r->tee_age_s,
		    r->simulated ? ", SIMULATED MACHINE" : "");
	(void)printf("%s%s\n", r->why != NULL ? ": " : "",
	    r->why != NULL ? r->why : "");
}

static void
show_gap(const struct receipt *r)
{
	char when[TIME_TEXT_MAX];

	(void)printf("%s GAP: %" PRIu64 " rounds not recorded, %" PRIu64
		     " bytes cut off: %s\n",
	    time_text((int64_t)r->time, when), r->rounds, r->bytes, r->why);
}

static void
show_operation(const struct receipt *r)
{
	char key[2 * SHORT + 1], input[2 * SHORT + 1], session[2 * SHORT + 1];

	(void)printf("  %s by 0x%" PRIx64 ", key %s, input %s, session %s "
		     "number %" PRIu64,
	    r->function, r->mechanism, brief(blob_span(&r->key), key),
	    brief(span(r->input_digest, SHA256_LEN), input),
	    brief(blob_span(&r->session), session), r->counter);
}

static void
show_admission(const struct receipt *r)
{
	char hex[2 * SHORT + 1];

	switch (r->kind) {
	case LEAF_SESSION:
		(void)printf("  session open of process %" PRIu64
			     ", session %s",
		    r->leaf_pid, brief(blob_span(&r->random), hex));
		break;
	case LEAF_OPERATION:
		show_operation(r);
		break;
	case LEAF_CHALLENGE:
		(void)printf("  challenge, nonce %s",
		    brief(blob_span(&r->nonce), hex));
		break;
	default:
		(void)printf("  %s leaf of %zu bytes",
		    leaf_kind_name((enum leaf_kind)r->kind), r->leaf.len);
	}
	(void)printf(": %s\n", verdicts[r->verdict]);
}

static void (*const shows[])(const struct receipt *r) = {
	[RECEIPT_LOG] = show_log,
	[RECEIPT_PART] = show_part,
	[RECEIPT_ENDORSEMENT] = show_endorsement,
	[RECEIPT_ROUND] = show_round,
	[RECEIPT_ADMISSION] = show_admission,
	[RECEIPT_GAP] = show_gap,
};

static void
show(void *arg, const char *where, const struct receipt *r,
    const struct verdict *verdict, bool good)
{
	(void)arg;
	(void)verdict;
	(void)good;
	(void)printf("%s: ", where);
	shows[r->type](r);
}

struct listing {
	cJSON *array;
	int err; /* why a line is not in it */
};

/* The line itself is JSON: as it is, with its place. */
static void
list(void *arg, const char *where, const struct receipt *r,
    const struct verdict *verdict, bool good)
{
	_cleanup_(receipt_body_clear) struct receipt_body b = { 0 };
	_cleanup_(blob_clear) struct blob text = { 0 };
	struct listing *l = arg;
	uint8_t head[SHA256_LEN];
	cJSON *o;
	int err;

	(void)verdict;
	(void)good;
	memcpy(head, r->prev, SHA256_LEN);
	if ((err = receipt_encode(r, &b)) != CVM_OK ||
	    (err = receipt_append(&text, &b, head)) != CVM_OK) {
		l->err = err;
		return;
	}
	o = cJSON_ParseWithLength((const char *)text.data, text.len);
	(void)cJSON_AddStringToObject(o, "where", where);
	(void)cJSON_AddItemToArray(l->array, o);
}

int
cmd_receipt_show(struct tool *t)
{
	_cleanup_(receipt_job_clear) struct receipt_job j = { .n_paths = 0 };
	struct why why = { 0 };
	struct listing l = { .err = CVM_OK };
	cJSON *root = NULL;
	int status;

	j.options.seen = show;
	if (t->opt[OPT_JSON] != NULL) {
		root = cJSON_CreateObject();
		j.options.seen = list;
		l.array = cJSON_AddArrayToObject(root, "receipts");
		j.options.arg = &l;
	}
	status = receipt_run(t, &j, &why);
	if (status == 0 && l.err != CVM_OK)
		status = tool_fail(l.err, NULL);
	if (status != 0) {
		cJSON_Delete(root);
		return status;
	}
	if (root != NULL) {
		json_why(root, "damage", &why);
		status = print_json(root);
	} else {
		status = print_end();
	}
	if (j.damaged)
		return tool_fail(why.err, &why);
	return status;
}
