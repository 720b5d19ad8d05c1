/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <cjson/cJSON.h>

#include "module/gate.h"
#include "tools/options.h"

/*
 * cvm-token: one file for each command or family of commands. Exit status: 0
 * done (admit), 1 refused (deny), 2 cannot tell (usage, configuration, an
 * evidence source that does not answer).
 */
enum { EXIT_OK = 0, EXIT_DENY = 1, EXIT_TROUBLE = 2 };

/*
 * Before anything else: what this process knows (PINs, recovery codes, private
 * keys that are brought in) goes to no core file and to no debugger of the same
 * user, and no file that is opened is taken for standard input or output.
 */
int tool_guard(struct why *reterr_why) _must_check_;

/* Prints "cvm-token: SENTENCE" on stderr, about err where why says nothing;
 * returns the exit status that the error calls for. */
int tool_fail(int err, const struct why *why);
/* A complaint about how the command is used, and its usage. */
int tool_usage(const struct tool *t, const char *complaint);
/* "cvm-token: note: ..." on stderr. */
void tool_note(const char *fmt, ...) _printf_(1, 2);

/* The policy of the command line, or (given NULL) of the configuration. */
int tool_policy(const char *given, const char *configured, struct policy **ret,
    struct why *why) _must_check_;

/* Configuration, token and gate of a command; cleared by tool_close(). */
struct tool_context {
	struct config *cfg;
	const struct config_token *tcfg;
	struct gate *gate;
	struct gate_session session;
};
/* Loads configuration and finds the token. 0, or an exit status, with the
 * message printed. */
int tool_config(const struct tool *t, struct tool_context *c);
/* The same without choosing a token, unless --token names one: c->tcfg may be
 * NULL. */
int tool_config_all(const struct tool *t, struct tool_context *c);
/* The same, and the gate without asking for evidence; the policy is there. */
int tool_open(const struct tool *t, struct tool_context *c);
/* The same, and an admission, with the token opened: a permit to work with.*/
int tool_admit(const struct tool *t, struct tool_context *c);
void tool_close(struct tool_context *c);
/* Who holds the session's permit; user: after a login. */
struct caller tool_caller(const struct tool_context *c, bool user);
/* CKU_USER with pin, which may be empty with LOGIN_ATTESTATION. */
int tool_login(struct tool_context *c, struct span pin,
    struct why *reterr_why) _must_check_;
/* The hint of a wrong PIN. */
void tool_count_tries(const struct tool_context *c, struct why *why);

/* A fresh verdict on this machine by a policy, whatever it is.
 * CVM_E_UNREACHABLE where there is none: then ret->round is NULL. */
int tool_appraise(const struct config *cfg, const struct policy *policy,
    struct admission *ret, struct why *reterr_why) _must_check_;

/*
 * A PIN: first line of the file ("-" is standard input), else asked for on
 * the terminal without echo. set: for a new one, which is asked for twice.
 */
int tool_pin(const char *file, const char *what, bool set, struct secret **ret,
    struct why *reterr_why) _must_check_;
/* The user PIN where the token has one; else *ret stays NULL. */
int tool_user_pin(const struct tool *t, const struct tool_context *c, bool set,
    struct secret **ret, struct why *reterr_why) _must_check_;
/* As secret_span(); empty for NULL. */
struct span tool_span(const struct secret *s);
/* Room for at least a byte more behind b->len, of *cap bytes in all; twice as
 * much each time. */
int tool_grow(struct blob *b, size_t *cap) _must_check_;
/* A whole file ("-": standard input), at most max bytes. */
int tool_read(const char *path, size_t max, struct blob *ret,
    struct why *reterr_why) _must_check_;
/* The same of one that others append to under flock(2): what was there at a
 * moment when nobody did. The lock is not held while it is read, since a writer
 * waits for it. CVM_E_BUSY: there was no such moment. */
#define TOOL_LOCK_MS 5000
int tool_read_log(const char *path, size_t max, struct blob *ret,
    struct why *reterr_why) _must_check_;
int tool_read_secret(const char *path, size_t max, struct secret **ret,
    struct why *reterr_why) _must_check_;
/* Writes a file whole or not at all (NULL, "-": standard output). Refuses to
 * replace one unless over. */
int tool_write(const char *path, struct span s, bool over,
    struct why *reterr_why) _must_check_;

/* Printing. all: passed and skipped checks too. */
void print_checks(FILE *out, const struct verdict *v, bool all);
/* The same, and the verdict in a sentence. */
void print_verdict(FILE *out, const struct verdict *v, bool all);
cJSON *json_verdict(const struct verdict *v);
void json_why(cJSON *root, const char *name, const struct why *why);
/* What somebody else wrote: as it is, or as text_plain() where it is no
 * UTF-8. */
void json_text(cJSON *o, const char *name, const char *s);
/* Consumes root. EXIT_OK, or EXIT_TROUBLE when stdout takes it not. */
int print_json(cJSON *root);
/* From here on, json_print() gives no document that lacks what there was no
 * memory for, but NULL: most calls of cJSON go unchecked. */
void json_watch(void);
char *json_print(const cJSON *root) _must_check_;
/* EXIT_OK, or EXIT_TROUBLE when what was printed went nowhere. */
int print_end(void);
cJSON *json_seals(const struct store_seals *seals, const struct policy *p);
/* p may be NULL; with it, seals for another policy are marked. */
void print_seals(const struct store_seals *seals, const struct policy *p);

int cmd_collateral_fetch(struct tool *t);
int cmd_collateral_import(struct tool *t);
int cmd_collateral_status(struct tool *t);
int cmd_init(struct tool *t);
int cmd_status(struct tool *t);
int cmd_enroll(struct tool *t);
int cmd_policy_check(struct tool *t);
int cmd_policy_diff(struct tool *t);
int cmd_seal_list(struct tool *t);
int cmd_seal_add(struct tool *t);
int cmd_seal_remove(struct tool *t);
int cmd_reseal(struct tool *t);
int cmd_recover(struct tool *t);
int cmd_attest(struct tool *t);
int cmd_verify(struct tool *t);
int cmd_key_import(struct tool *t);
int cmd_receipt_verify(struct tool *t);
int cmd_receipt_show(struct tool *t);
int cmd_receipt_rotate(struct tool *t);
int cmd_uri(struct tool *t);

#endif
