/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_TOKEN_FIXTURE_H
#define TESTS_UNIT_TOKEN_FIXTURE_H

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "token/token_impl.h"
#include "tests/unit/fake-vtpm.h"

#define SO_PIN "12345678"
#define USER_PIN "geheim"

/* A directory, a configuration, a policy with two PCR sets, a machine that
 * matches the first, and a token on it. */
struct fixture {
	char dir[64], path[96], name[8], policy_path[16];
	struct config_token cfg;
	struct policy policy;
	struct permit_issuer issuer;
	struct permit permit;
	struct vtpm vtpm;
	struct token *token;
};

static inline struct span
text(const char *s)
{
	return span(s, strlen(s));
}

static inline void
set_pcrs(uint8_t (*value)[HASH_LEN_MAX], uint32_t mask, uint8_t fill)
{
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++)
		if ((mask >> i & 1) != 0)
			memset(value[i], (int)(fill + i), SHA256_LEN);
}

static inline void
new_permit(struct fixture *f)
{
	permit_issue(&f->issuer, f->issuer.epoch, boottime_ns(), 300,
	    &f->permit);
}

static inline void
fixture_policy(struct policy *p)
{
	p->has_tpm = true;
	p->tpm.bank = HASH_SHA256;
	p->tpm.n_pcr_sets = 2;
	memset(p->digest, 0x77, sizeof(p->digest));
	strcpy(p->tpm.pcr_sets[0].label, "current");
	strcpy(p->tpm.pcr_sets[1].label, "next");
	for (size_t i = 0; i < 2; i++) {
		p->tpm.pcr_sets[i].mask = 0x0890; /* 4, 7, 11 */
		set_pcrs(p->tpm.pcr_sets[i].value, 0x0890,
		    (uint8_t)(0x10 + 0x40 * i));
	}
}

static inline void
fixture_new(struct fixture *f, enum config_login login)
{
	memset(f, 0, sizeof(*f));
	/* In memory where there is any: a token is written often. */
	strcpy(f->dir,
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm/test-token.XXXXXX" :
					    "/tmp/test-token.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/web.db", f->dir);
	strcpy(f->name, "web");
	strcpy(f->policy_path, "p.json");
	f->cfg.name = f->name;
	f->cfg.label = f->name;
	f->cfg.store = f->path;
	f->cfg.policy = f->policy_path;
	f->cfg.login = login;
	f->cfg.store_mode = 0600;
	f->policy.path = f->policy_path;
	fixture_policy(&f->policy);
	f->vtpm.seed = 1;
	f->vtpm.pcrs.mask = 0xffffff;
	set_pcrs(f->vtpm.pcrs.value, 0xffffff, 0x10);
	new_permit(f);
	assert_int_equal(token_new(&f->cfg, &f->issuer, &f->token), CVM_OK);
}

static inline void
fixture_free(struct fixture *f)
{
	char cmd[128];

	token_freep(&f->token);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	assert_int_equal(system(cmd), 0);
}

/* As another process would see the store. */
static inline void
fixture_restart(struct fixture *f)
{
	token_freep(&f->token);
	assert_int_equal(token_new(&f->cfg, &f->issuer, &f->token), CVM_OK);
}

static inline int
try_init(struct fixture *f, const char *so_pin, struct secret **ret_code,
    struct why *why)
{
	const struct token_init in = {
		.label = "web keys",
		.so_pin = text(so_pin),
		.policy = &f->policy,
		.vtpm = &f->vtpm,
	};

	return token_init(f->token, &in, ret_code, why);
}

static inline int
unseal(struct fixture *f, struct why *why)
{
	return token_unseal(f->token, &f->permit, &f->policy, &f->vtpm, why);
}

static inline int
login_user(struct fixture *f, const char *pin, struct why *why)
{
	return token_login_user(f->token, &f->permit, text(pin), &f->policy,
	    &f->vtpm, why);
}

static inline int
login_so(struct fixture *f, const char *pin, struct why *why)
{
	return token_login_so(f->token, &f->permit, text(pin), &f->policy,
	    &f->vtpm, why);
}

#define ok(call)                                                               \
	do {                                                                   \
		struct why why_ = { 0 }, *why = &why_;                         \
		char text_[WHY_SENTENCE_MAX];                                  \
		int err_ = (call);                                             \
		(void)why;                                                     \
		if (err_ != CVM_OK)                                            \
			fail_msg("%s: %d: %s", #call, err_,                    \
			    why_sentence(&why_, text_, sizeof(text_)));        \
	} while (0)

/* Refused with err, and with a why that says so. */
#define refused(want, call)                                                    \
	do {                                                                   \
		struct why why_ = { 0 }, *why = &why_;                         \
		int err_ = (call);                                             \
		if (err_ != (want) || why_.err != (want))                      \
			fail_msg("%s: %d, why %d, not %d", #call, err_,        \
			    why_.err, (int)(want));                            \
	} while (0)

/* A token with both PINs set, sealed, and nobody logged in. */
static inline void
fixture_ready(struct fixture *f)
{
	fixture_new(f, LOGIN_PIN);
	ok(try_init(f, SO_PIN, NULL, why));
	ok(login_so(f, SO_PIN, why));
	ok(token_init_pin(f->token, &f->permit, text(USER_PIN), &f->policy,
	    &f->vtpm, why));
	token_logout(f->token);
	token_wipe(f->token);
}

/* Runs SQL on the store, past all of our code. */
static inline void
edit(const struct fixture *f, const char *sql)
{
	sqlite3 *db = NULL;
	char *msg = NULL;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s: %s", sql, msg);
	if (sqlite3_total_changes(db) == 0)
		fail_msg("%s: nothing changed", sql);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline void
insert_object(struct fixture *f, uint8_t n, const char *label, bool private)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	_cleanup_(secret_freep) struct secret *m = secret_copy(text(label));
	struct record_change c = { .what = RECORD_INSERT,
		.attrs = &a,
		.material = m };

	memset(c.id, n, sizeof(c.id));
	ok(attrs_set_ulong(&a, CKA_CLASS, CKO_PRIVATE_KEY));
	ok(attrs_set_bool(&a, CKA_PRIVATE, private));
	ok(attrs_set(&a, CKA_LABEL, text(label)));
	ok(attrs_set(&a, CKA_ID, span(&n, 1)));
	ok(records_write(f->token, &f->permit, &c, 1, why));
}

#endif
