/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attest/bundle.h"
#include "attest/receipt_log.h"
#include "base/forkid.h"
#include "base/log.h"
#include "module/agree.h"
#include "module/gate.h"
#include "module/policy_file.h"
#include "module/recent.h"
#include "token/mech.h"

struct gate {
	const struct config *cfg;
	const struct config_token *tcfg;
	struct policy_file *policy;   /* NULL: it did not load */
	struct rounds *rounds;	      /* NULL like policy */
	struct receipt_log *receipts; /* or NULL: none are kept */
	struct why trouble;	      /* of the policy */
	struct permit_issuer nobody;  /* issues nothing: without a policy */
	struct token *_Atomic token;
	_Atomic bool was_readable; /* the store, at some time */
	_Atomic bool closed;
	_Atomic bool policy_refused; /* by the last round */
	pthread_mutex_t making;	     /* of the token */
	/* One unseals, the others wait and find it done. The TPM takes one
	 * command at a time anyway. */
	pthread_mutex_t unsealing;
	pthread_mutex_t lock; /* of what follows; held for a few loads only */
	uint64_t sealed_ns; /* when the seals last did not open; 0: they did */
	struct why sealed_why;
	int said;	      /* the trouble that the log was last told of */
	struct recent recent; /* has a lock of its own */
	struct agreement agreement; /* [unsealing] */
};

static struct permit_issuer *
issuer_of(struct gate *g)
{
	return g->rounds != NULL ? rounds_issuer(g->rounds) : &g->nobody;
}

static void
say(struct gate *g, enum log_level level, const char *what,
    const struct why *why)
{
	char text[WHY_SENTENCE_MAX];

	log_line(level, "token %s: %s: %s", g->tcfg->name, what,
	    why_sentence(why, text, sizeof(text)));
}

/* Trouble that is no verdict, once until it is over or another one. */
static void
say_once(struct gate *g, int err, const struct why *why)
{
	bool news;

	(void)pthread_mutex_lock(&g->lock);
	news = err != CVM_OK && g->said != err;
	g->said = err;
	(void)pthread_mutex_unlock(&g->lock);
	if (news)
		say(g, LOG_LEVEL_WARNING, "keys cannot be used", why);
}

static void
say_admitted(const struct gate *g)
{
	char digest[2 * POLICY_DIGEST_LEN + 1];

	(void)hex_encode(span(gate_policy(g)->digest, POLICY_DIGEST_LEN),
	    digest, sizeof(digest));
	log_line(LOG_LEVEL_NOTICE,
	    "token %s: admitted by policy %s, sha256 %s%s", g->tcfg->name,
	    g->tcfg->policy, digest,
	    g->cfg->simulated ?
		"; EVIDENCE OF A SIMULATED MACHINE IS ACCEPTED" :
		"");
}

/* By the leader of a round, outside of its locks. */
static void
verdict_changed(void *arg, enum round_state state, const struct why *why)
{
	struct gate *g = arg;
	struct token *t = atomic_load(&g->token);

	if (state == ROUND_ADMIT) {
		say_admitted(g);
	} else if (state == ROUND_RESTARTED) {
		say(g, LOG_LEVEL_WARNING, "earlier admissions are over", why);
	} else if (state == ROUND_OLDER) {
		say(g, LOG_LEVEL_WARNING, "older collateral is accepted", why);
	} else if (state == ROUND_DENY) {
		if (t != NULL)
			token_wipe(t);
		say(g, LOG_LEVEL_WARNING, "denied", why);
	} else {
		/* Keys stay: permits run out by themselves. */
		if (atomic_load(&g->policy_refused))
			say(g, LOG_LEVEL_WARNING, "policy refused", why);
		else if (strcmp(why->field, RECEIPT_FIELD) == 0)
			say(g, LOG_LEVEL_WARNING, "no receipt", why);
		else
			say(g, LOG_LEVEL_WARNING, "no evidence", why);
	}
}

/* By the leader of a round, at its beginning. In this order, for what is
 * unsealed meanwhile. */
static int
policy_of_round(void *arg, const struct policy **ret, struct why *reterr_why)
{
	struct gate *g = arg;
	struct token *t = atomic_load(&g->token);
	bool changed = false;
	int err = policy_file_refresh(g->policy, &changed, reterr_why);

	atomic_store(&g->policy_refused, err != CVM_OK);
	if (err != CVM_OK)
		return err;
	*ret = policy_file_current(g->policy);
	if (!changed)
		return CVM_OK;
	permit_revoke_all(issuer_of(g));
	if (t != NULL)
		token_wipe(t);
	log_line(LOG_LEVEL_NOTICE,
	    "token %s: policy %s was changed: what the former admitted is over",
	    g->tcfg->name, g->tcfg->policy);
	return CVM_OK;
}

static int
init_locks(struct gate *g)
{
	if (pthread_mutex_init(&g->making, /* attr= */ NULL) != 0 ||
	    pthread_mutex_init(&g->unsealing, /* attr= */ NULL) != 0 ||
	    pthread_mutex_init(&g->lock, /* attr= */ NULL) != 0)
		return CVM_E_NOMEM;
	return CVM_OK;
}

static int
keep_receipts(struct gate *g)
{
	struct round_witness witness;
	int err;

	if (g->tcfg->receipts.log == RECEIPTS_OFF)
		return CVM_OK;
	err = receipt_log_new(g->tcfg, &g->receipts);
	if (err != CVM_OK)
		return err;
	receipt_log_witness(g->receipts, &witness);
	rounds_set_witness(g->rounds, &witness);
	return CVM_OK;
}

int
gate_new(const struct config *cfg, const struct config_token *tcfg,
    struct gate **ret)
{
	_cleanup_(gate_freep) struct gate *g = calloc(1, sizeof(*g));
	int err;

	if (g == NULL)
		return CVM_E_NOMEM;
	g->cfg = cfg;
	g->tcfg = tcfg;
	if ((err = init_locks(g)) != CVM_OK ||
	    (err = recent_init(&g->recent)) != CVM_OK)
		return err;
	err = policy_file_open(tcfg->policy, &g->policy, &g->trouble);
	if (err == CVM_E_NOMEM)
		return err;
	g->trouble.err = err;
	if (err == CVM_OK) {
		err = rounds_new(cfg, gate_policy(g), &g->rounds);
		if (err != CVM_OK || (err = keep_receipts(g)) != CVM_OK)
			return err;
		rounds_on_change(g->rounds, verdict_changed, g);
		rounds_follow(g->rounds, policy_of_round, g);
	} else if (!gate_forbidden(g)) {
		say(g, LOG_LEVEL_ERROR, "policy refused", &g->trouble);
	}
	*ret = TAKE_PTR(g);
	return CVM_OK;
}

void
gate_freep(struct gate **gp)
{
	struct gate *g;
	struct token *t;

	if (gp == NULL || (g = *gp) == NULL)
		return;
	*gp = NULL;
	recent_clear(&g->recent);
	/* The token holds a pointer to the rounds' issuer. */
	t = atomic_exchange(&g->token, NULL);
	token_freep(&t);
	rounds_freep(&g->rounds);
	receipt_log_freep(&g->receipts);
	policy_file_freep(&g->policy);
	free(g);
}

void
gate_close(struct gate *g)
{
	struct token *t;

	/* First: who unseals after the wipe sees it. */
	atomic_store(&g->closed, true);
	permit_revoke_all(issuer_of(g));
	t = atomic_load(&g->token);
	if (t != NULL)
		token_wipe(t);
}

struct token *
gate_token(struct gate *g)
{
	struct token *t = atomic_load(&g->token);

	if (t != NULL)
		return t;
	(void)pthread_mutex_lock(&g->making);
	t = atomic_load(&g->token);
	if (t == NULL && token_new(g->tcfg, issuer_of(g), &t) == CVM_OK)
		atomic_store(&g->token, t);
	(void)pthread_mutex_unlock(&g->making);
	return t;
}

const struct policy *
gate_policy(const struct gate *g)
{
	return g->policy != NULL ? policy_file_current(g->policy) : NULL;
}

struct rounds *
gate_rounds(struct gate *g)
{
	return g->rounds;
}

struct vtpm *
gate_vtpm(struct gate *g)
{
	return g->rounds != NULL ? rounds_vtpm(g->rounds) : NULL;
}

void
gate_trouble(struct gate *g, struct why *ret)
{
	struct token *t;

	*ret = g->trouble;
	if (ret->err != CVM_OK)
		return;
	t = gate_token(g);
	if (t != NULL)
		token_trouble(t, ret);
	else
		ret->err = CVM_E_NOMEM;
}

enum round_state
gate_state(struct gate *g)
{
	enum round_state state;
	bool sealed;

	if (g->rounds == NULL)
		return ROUND_NONE;
	state = rounds_state(g->rounds);
	(void)pthread_mutex_lock(&g->lock);
	sealed = g->sealed_ns != 0;
	(void)pthread_mutex_unlock(&g->lock);
	return state == ROUND_ADMIT && sealed ? ROUND_DENY : state;
}

static bool
no_access(const char *path)
{
	return faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0 &&
	    errno == EACCES;
}

bool
gate_forbidden(struct gate *g)
{
	if (atomic_load(&g->was_readable))
		return false;
	if (no_access(g->tcfg->store) || no_access(g->tcfg->policy))
		return true;
	atomic_store(&g->was_readable, true);
	return false;
}

/* A random id for this session in this process; see struct gate_session. */
static int
session_identify(struct gate_session *s)
{
	uint64_t now = forkid();
	int err;

	if (s->has_id && s->fork_count == now)
		return CVM_OK;
	err = random_bytes(s->id, sizeof(s->id));
	if (err != CVM_OK)
		return err;
	s->has_id = true;
	s->fork_count = now;
	s->counter = 0;
	return CVM_OK;
}

static int
make_session_leaf(struct gate *g, struct gate_session *s, struct blob *ret)
{
	struct token_info info = { 0 };
	struct token *t = gate_token(g);
	uint8_t rnd[32];
	int err;

	if (t == NULL)
		return CVM_E_NOMEM;
	if ((err = session_identify(s)) != CVM_OK)
		return err;
	token_get_info(t, &info);
	memcpy(rnd, s->id, sizeof(s->id));
	err = random_bytes(rnd + sizeof(s->id), sizeof(rnd) - sizeof(s->id));
	if (err != CVM_OK)
		return err;
	return leaf_session(info.serial, (uint64_t)getpid(), forkid(), rnd,
	    ret);
}

static int
refuse_closed(struct why *why)
{
	return why_set(why, CVM_E_SEALED, "library", "state", "initialised",
	    "finalized by another thread");
}

/* Evidence that came later than an admission may last: the machine is not
 * denied, and nobody would be told why nothing works. */
static int
refuse_late(struct gate *g, const struct round_result *rr, struct why *why)
{
	struct why here = { 0 };
	char allowed[48];

	(void)snprintf(allowed, sizeof(allowed),
	    "its end within session_max_age_s, %u s",
	    rr->policy->session_max_age_s);
	(void)why_setf(&here, CVM_E_UNREACHABLE, "round", "evidence", allowed,
	    "after %" PRIu64 " s", (boottime_ns() - rr->asked_ns) / NS_PER_S);
	why_hint(&here, "what keeps the TPM or the host busy?");
	say_once(g, CVM_E_UNREACHABLE, &here);
	if (why != NULL)
		*why = here;
	return CVM_E_UNREACHABLE;
}

/* Joins with a leaf; the admission replaces the session's in any case. */
static int
join(struct gate *g, struct gate_session *s, struct span leaf, bool single_use,
    struct permit *ret, struct why *why)
{
	_cleanup_(admission_clear) struct admission a = { 0 };
	int err;

	if (atomic_load(&g->closed))
		return refuse_closed(why);
	err = rounds_join(g->rounds, leaf, /* fresh= */ false, &a, why);
	if (a.round != NULL) {
		admission_clear(&s->admission);
		s->admission = a;
		a.round = NULL;
	}
	if (err != CVM_OK)
		return err;
	permit_issue(issuer_of(g), s->admission.round->epoch,
	    s->admission.round->asked_ns,
	    s->admission.round->policy->session_max_age_s, ret);
	if (single_use)
		permit_once(ret, &s->turn);
	if (boottime_ns() >= ret->deadline_ns)
		return refuse_late(g, s->admission.round, why);
	return CVM_OK;
}

static int
join_as_session(struct gate *g, struct gate_session *s, struct why *why)
{
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	int err;

	s->permit = (struct permit){ 0 };
	if (g->rounds == NULL) {
		if (why != NULL)
			*why = g->trouble;
		return CVM_E_CONFIG;
	}
	if ((err = make_session_leaf(g, s, &leaf)) != CVM_OK)
		return why_set(why, err, "session leaf", "", "", "");
	return join(g, s, blob_span(&leaf), /* single_use= */ false, &s->permit,
	    why);
}

int
gate_admit(struct gate *g, struct gate_session *s, struct why *reterr_why)
{
	recent_forget(&g->recent);
	return join_as_session(g, s, reterr_why);
}

/* A failure that is younger than retry_ms answers for the next ones. */
static int
recently_sealed(struct gate *g, struct why *why)
{
	uint64_t wait = (uint64_t)g->cfg->evidence.retry_ms * NS_PER_MS;
	int err = CVM_OK;

	(void)pthread_mutex_lock(&g->lock);
	if (g->sealed_ns != 0 && boottime_ns() - g->sealed_ns < wait) {
		err = CVM_E_SEALED;
		if (why != NULL)
			*why = g->sealed_why;
	}
	(void)pthread_mutex_unlock(&g->lock);
	return err;
}

static bool
note_seal(struct gate *g, int err, const struct why *why)
{
	bool news;

	(void)pthread_mutex_lock(&g->lock);
	news = (g->sealed_ns != 0) != (err == CVM_E_SEALED);
	g->sealed_ns = err == CVM_E_SEALED ? boottime_ns() : 0;
	if (err == CVM_E_SEALED)
		g->sealed_why = *why;
	(void)pthread_mutex_unlock(&g->lock);
	return news;
}

static int
agree_with_token(struct gate *g, const struct gate_session *s,
    const struct permit *p, struct why *why)
{
	struct why unkept = { 0 };
	int err = agree(&g->agreement, g->rounds, gate_token(g),
	    s->admission.round, p, &unkept, why);

	if (unkept.err != CVM_OK)
		say(g, LOG_LEVEL_DEBUG, "newest collateral not kept", &unkept);
	return err;
}

/* Seals that do not open are a denial in all that follows from it. */
static int
unseal_locked(struct gate *g, const struct permit *p, const struct policy *by,
    struct why *why)
{
	struct token *t = gate_token(g);
	bool was_open = token_unsealed(t);
	int err;

	if (!was_open && (err = recently_sealed(g, why)) != CVM_OK)
		return err;
	err = token_unseal(t, p, by, gate_vtpm(g), why);
	/* Half open is closed: the next try begins from the beginning. */
	if (err != CVM_OK && !was_open)
		token_wipe(t);
	if (err != CVM_OK && err != CVM_E_SEALED)
		return err;
	if (!note_seal(g, err, why))
		return err;
	if (err == CVM_E_SEALED) {
		permit_revoke_all(issuer_of(g));
		token_wipe(t);
		say(g, LOG_LEVEL_WARNING, "denied: no seal opens", why);
	} else {
		log_line(LOG_LEVEL_NOTICE, "token %s: its seals open again",
		    g->tcfg->name);
	}
	return err;
}

static int
unseal(struct gate *g, const struct gate_session *s, const struct permit *p,
    struct why *why)
{
	struct why unused = { 0 };
	int err;

	if (why == NULL)
		why = &unused;
	(void)pthread_mutex_lock(&g->unsealing);
	err = unseal_locked(g, p, s->admission.round->policy, why);
	if (err == CVM_OK)
		err = agree_with_token(g, s, p, why);
	if (atomic_load(&g->closed)) {
		token_wipe(gate_token(g));
		err = refuse_closed(why);
	}
	(void)pthread_mutex_unlock(&g->unsealing);
	/* Verdicts and seals have been said already. */
	if (err != CVM_E_SEALED && err != CVM_E_PERMIT)
		say_once(g, err, why);
	return err;
}

/* There must be a store to open; a process that may not read it is told. */
static int
check_token(struct gate *g, struct why *why)
{
	struct token *t = gate_token(g);
	struct token_info info = { 0 };
	struct why trouble = { 0 };

	if (t == NULL)
		return why_set(why, CVM_E_NOMEM, g->tcfg->name, "", "", "");
	token_get_info(t, &info);
	if (info.error_state) {
		token_trouble(t, &trouble);
		if (trouble.err == CVM_OK)
			trouble.err = CVM_E_IO;
		say_once(g, trouble.err, &trouble);
		if (why != NULL)
			*why = trouble;
		return trouble.err;
	}
	if (info.initialised)
		return CVM_OK;
	(void)why_set(why, CVM_E_CONFIG, g->tcfg->store, "", "a token",
	    "no store");
	why_hint(why, "cvm-token --token %s init", g->tcfg->name);
	return CVM_E_CONFIG;
}

/* An admission of its own for a session, new or not. */
static int
admit_session(struct gate *g, struct gate_session *s, struct why *why)
{
	int err;

	s->permit = (struct permit){ 0 };
	if (g->rounds != NULL && (err = check_token(g, why)) != CVM_OK)
		return err;
	/* Again where the token knows better than the host. */
	for (int i = 0; i < 2; i++) {
		if ((err = join_as_session(g, s, why)) != CVM_OK)
			return err;
		err = unseal(g, s, &s->permit, why);
		if (err != CVM_E_PERMIT)
			break;
	}
	if (err != CVM_OK)
		s->permit = (struct permit){ 0 };
	else if (s->admission.round->policy->session_open_max_age_s > 0)
		recent_keep(&g->recent, &s->permit, &s->admission,
		    s->admission.round->policy->session_open_max_age_s);
	return err;
}

/* What an admission would do is done: nothing is to be unsealed. */
static bool
all_open(const struct gate *g, struct token *t)
{
	return t != NULL && token_unsealed(t) &&
	    (g->tcfg->login != LOGIN_ATTESTATION || token_user_logged_in(t));
}

/*
 * Whether the policy lets a session open with the admission of another one.
 * Never while the last round was no admission: whoever opens a session then
 * asks for the next. Nor when the token knows a later time than that admission
 * was judged at, or newer collateral.
 */
static bool
take_over(struct gate *g, struct gate_session *s)
{
	_cleanup_(admission_clear) struct admission a = { 0 };
	const struct policy *by = gate_policy(g);
	struct token *t = atomic_load(&g->token);
	struct permit p;

	if (g->rounds == NULL || by == NULL ||
	    by->session_open_max_age_s == 0 ||
	    rounds_state(g->rounds) != ROUND_ADMIT || !all_open(g, t) ||
	    !recent_take(&g->recent, issuer_of(g), &p, &a) ||
	    !agreed(&g->agreement, t, a.round))
		return false;
	admission_clear(&s->admission);
	s->admission = a;
	a.round = NULL;
	s->permit = p;
	return true;
}

int
gate_open_session(struct gate *g, struct gate_session *s,
    struct why *reterr_why)
{
	return take_over(g, s) ? CVM_OK : admit_session(g, s, reterr_why);
}

const struct permit *
gate_glance(struct gate *g, struct gate_session *s)
{
	struct token *t = atomic_load(&g->token);

	return permit_stands(&s->permit, issuer_of(g)) && t != NULL &&
		token_unsealed(t) ?
	    &s->permit :
	    NULL;
}

const struct permit *
gate_peek(struct gate *g, struct gate_session *s)
{
	struct token *t = atomic_load(&g->token);

	if (permit_look(&s->permit, issuer_of(g), &s->turn) != CVM_OK)
		return NULL;
	return t != NULL && token_unsealed(t) ? &s->permit : NULL;
}

int
gate_permit(struct gate *g, struct gate_session *s, struct permit *ret,
    struct why *reterr_why)
{
	int err;

	if (gate_peek(g, s) == NULL &&
	    (err = admit_session(g, s, reterr_why)) != CVM_OK)
		return err;
	*ret = s->permit;
	return CVM_OK;
}

bool
gate_binds_operation(const struct gate *g, const struct object *key)
{
	const struct policy *p = gate_policy(g);

	if (p != NULL && p->bind == BIND_OPERATION)
		return true;
	return key != NULL && object_bool(key, CKA_CVM_BIND_OPERATION);
}

/* The leaf's members that every operation has; the rest is the caller's. */
static int
operation_admit_once(struct gate *g, struct gate_session *s,
    struct operation_leaf *leaf, const struct object *key, struct permit *ret,
    struct why *why)
{
	_cleanup_(blob_clear) struct blob bytes = { 0 };
	struct token_info info = { 0 };
	int err;

	if (g->rounds == NULL) {
		if (why != NULL)
			*why = g->trouble;
		return CVM_E_CONFIG;
	}
	if ((err = check_token(g, why)) != CVM_OK ||
	    (err = session_identify(s)) != CVM_OK ||
	    (err = random_bytes(leaf->random, sizeof(leaf->random))) != CVM_OK)
		return err;
	if (key != NULL &&
	    (err = object_fingerprint(key, leaf->key_fingerprint)) != CVM_OK)
		return why_set(why, err, "operation leaf", "key", "", "");
	token_get_info(gate_token(g), &info);
	leaf->serial = info.serial;
	memcpy(leaf->session_id, s->id, sizeof(s->id));
	leaf->counter = ++s->counter;
	if ((err = leaf_operation(leaf, &bytes)) != CVM_OK)
		return why_set(why, err, "operation leaf", "", "", "");
	err = join(g, s, blob_span(&bytes), /* single_use= */ true, ret, why);
	return err != CVM_OK ? err : unseal(g, s, ret, why);
}

/* Again where the token knows better than it was judged by. */
static int
operation_admit(struct gate *g, struct gate_session *s,
    struct operation_leaf *leaf, const struct object *key, struct permit *ret,
    struct why *why)
{
	int err = operation_admit_once(g, s, leaf, key, ret, why);

	return err != CVM_E_PERMIT ?
	    err :
	    operation_admit_once(g, s, leaf, key, ret, why);
}

static int
bound_operation(struct gate *g, struct gate_session *s, const char *function,
    struct op *op, const struct span *input, struct permit *ret,
    struct why *why)
{
	struct operation_leaf leaf = { .function = function };
	int err;

	leaf.mechanism = op_mechanism(op);
	err = op_parameter_digest(op, leaf.parameter_digest);
	if (err == CVM_OK)
		err = input != NULL ?
		    hash(HASH_SHA256, *input, leaf.input_digest) :
		    op_input_digest(op, leaf.input_digest);
	if (err != CVM_OK)
		return why_set(why, err, function, "input", "", "");
	return operation_admit(g, s, &leaf, op_object(op), ret, why);
}

int
gate_operation(struct gate *g, struct gate_session *s, const char *function,
    struct op *op, const struct span *input, struct permit *ret,
    struct why *reterr_why)
{
	if (!gate_binds_operation(g, op_object(op)))
		return gate_permit(g, s, ret, reterr_why);
	return bound_operation(g, s, function, op, input, ret, reterr_why);
}

static int
parameter_digest(const struct gate *g, const CK_MECHANISM *mech,
    uint8_t out[static SHA256_LEN], struct why *why)
{
	_cleanup_(mech_params_clear) struct mech_params params = { 0 };
	const struct mech *m = mech_find(g->tcfg, mech->mechanism);
	int err;

	if (m == NULL)
		return why_setf(why, CVM_E_MECH_INVALID, "mechanism", "type",
		    "one of the token", "0x%lx", mech->mechanism);
	err = mech_params_read(mech, m, /* bound= */ true, &params, why);
	return err == CVM_OK ? mech_params_digest(&params, out) : err;
}

int
gate_key_use(struct gate *g, struct gate_session *s, const char *function,
    const CK_MECHANISM *mech, const struct object *key,
    const struct object *other, struct span input, struct permit *ret,
    struct why *reterr_why)
{
	struct operation_leaf leaf = {
		.function = function,
		.mechanism = mech != NULL ? mech->mechanism :
					    CK_UNAVAILABLE_INFORMATION,
	};
	int err = CVM_OK;

	if (!gate_binds_operation(g, key) && !gate_binds_operation(g, other))
		return gate_permit(g, s, ret, reterr_why);
	if (mech != NULL)
		err = parameter_digest(g, mech, leaf.parameter_digest,
		    reterr_why);
	if (err != CVM_OK)
		return err;
	err = hash(HASH_SHA256, input, leaf.input_digest);
	if (err != CVM_OK)
		return why_set(reterr_why, err, function, "input", "", "");
	return operation_admit(g, s, &leaf, key, ret, reterr_why);
}

int
gate_generation(struct gate *g, struct gate_session *s, const char *function,
    const CK_MECHANISM *mech, struct permit *ret, struct why *reterr_why)
{
	uint8_t stir[16];
	int err;

	err = gate_key_use(g, s, function, mech, /* key= */ NULL,
	    /* other= */ NULL, span("", 0), ret, reterr_why);
	if (err != CVM_OK)
		return err;
	/* random_bytes() brings the kernel's into the generator. */
	if ((err = random_bytes(stir, sizeof(stir))) != CVM_OK)
		return why_set(reterr_why, err, function, "random numbers", "",
		    "");
	permit_hold(ret, &s->turn);
	return CVM_OK;
}

void
gate_end(struct gate_session *s)
{
	permit_turn_end(&s->turn);
}

static int
encode(struct gate *g, const struct admission *a, const struct birth *key,
    char **ret_json, struct why *why)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;

	if (a->round == NULL)
		return CVM_E_NOT_FOUND;
	/* A bundle without them is still evidence. */
	if (endorsements_load(g->cfg->evidence.collateral, &e, why) != CVM_OK)
		endorsements_freep(&e);
	return bundle_encode_key(a, a->round->policy, e, key, ret_json);
}

int
gate_bundle(struct gate *g, const struct admission *a, char **ret_json,
    struct why *reterr_why)
{
	return encode(g, a, /* key= */ NULL, ret_json, reterr_why);
}

/* What the store says of a key, as this token says it. */
static int
describe(struct gate *g, const struct object *key, struct birth *ret)
{
	struct token_info info = { 0 };
	int err = object_birth(key, ret);

	if (err != CVM_OK)
		return err;
	token_get_info(gate_token(g), &info);
	(void)snprintf(ret->serial, sizeof(ret->serial), "%s", info.serial);
	return CVM_OK;
}

int
gate_challenge(struct gate *g, struct span nonce, const struct object *key,
    char **ret_json, struct why *reterr_why)
{
	_cleanup_(admission_clear) struct admission a = { 0 };
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	struct birth birth;
	int err;

	if (g->rounds == NULL) {
		if (reterr_why != NULL)
			*reterr_why = g->trouble;
		return CVM_E_CONFIG;
	}
	err = key == NULL ? leaf_challenge(nonce, span("", 0), &leaf) :
			    describe(g, key, &birth);
	if (err == CVM_OK && key != NULL)
		err = leaf_key(&birth, nonce, &leaf);
	if (err != CVM_OK)
		return why_set(reterr_why, err, "challenge", "", "", "");
	err = rounds_join(g->rounds, blob_span(&leaf), /* fresh= */ true, &a,
	    reterr_why);
	if (err != CVM_OK && a.round == NULL)
		return err;
	return encode(g, &a, key != NULL ? &birth : NULL, ret_json, reterr_why);
}

void
gate_session_clear(struct gate_session *s)
{
	admission_clear(&s->admission);
	*s = (struct gate_session){ 0 };
}

/* A token that another thread was making is made again here. */
void
gate_after_fork(struct gate *g)
{
	struct token *t = atomic_load(&g->token);

	(void)init_locks(g);
	recent_after_fork(&g->recent);
	agree_after_fork(&g->agreement);
	g->sealed_ns = 0;
	g->said = CVM_OK;
	if (g->rounds != NULL)
		rounds_after_fork(g->rounds);
	if (t != NULL)
		token_after_fork(t);
}
