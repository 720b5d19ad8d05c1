/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "module/gate.h"

/*
 * cvm-token: one file for each subcommand, one table that is both dispatch
 * and help. Exit status: 0 done (admit), 1 refused (deny), 2 cannot tell
 * (usage, configuration, an evidence source that does not answer).
 */
enum { EXIT_OK = 0, EXIT_DENY = 1, EXIT_TROUBLE = 2 };

/* What the words before the subcommand said. */
struct tool {
	const char *config_path; /* NULL: where the module looks */
	const char *token_name;	 /* NULL: the only one */
	bool json;
	int argc; /* of the subcommand, argv[0] is its name */
	char **argv;
};

struct command {
	const char *name;
	const char *args;
	const char *summary;
	int (*run)(struct tool *t);
};

extern const struct command commands[];
extern const size_t n_commands;

/* Prints "cvm-token: SENTENCE" on stderr; returns the exit status that the
 * error calls for. */
int tool_fail(int err, const struct why *why);
int tool_usage(const struct tool *t, const char *complaint);

/*
 * One option of a subcommand: "--name VALUE" (value set) or "--name" (flag
 * set). tool_options() takes them out of t->argv wherever they stand, leaves
 * the operands in t->argv[1..argc-1], and complains about the rest.
 */
struct option_row {
	const char *name; /* "--out" */
	const char **value;
	bool *flag;
};
int tool_options(struct tool *t, const struct option_row *rows, size_t n,
    int min_operands, int max_operands);

/* Configuration, token and gate of a command; cleared by tool_close(). */
struct tool_context {
	struct config *cfg;
	const struct config_token *tcfg;
	struct gate *gate;
	struct gate_session session;
	bool open; /* the session has been through the gate */
};
/* Loads configuration and finds the token. 0, or an exit status, with the
 * message printed. */
int tool_config(const struct tool *t, struct tool_context *c);
/* The same, and the gate without asking for evidence. */
int tool_open(const struct tool *t, struct tool_context *c);
/* The same, and an admission: a permit to work with. */
int tool_admit(const struct tool *t, struct tool_context *c);
void tool_close(struct tool_context *c);

/*
 * A PIN: first line of the file (--pin-file; "-" is standard input), else
 * asked for on the terminal without echo. confirm asks twice.
 */
int tool_pin(const char *file, const char *prompt, bool confirm,
    struct secret **ret);
/* A whole file ("-": standard input), at most max bytes. */
int tool_read(const char *path, size_t max, struct blob *ret);
/* Writes a new file with mode; refuses to replace one unless force. */
int tool_write(const char *path, struct span s, mode_t mode, bool force);

/* Printing. */
void print_verdict(FILE *out, const struct verdict *v, bool all);
cJSON *json_verdict(const struct verdict *v);
int print_json(cJSON *root); /* consumes root */
cJSON *json_seals(const struct store_seals *seals);
void print_seals(const struct store_seals *seals);
void hex_text(struct span s, char *out, size_t len); /* cut with "..." */

int cmd_init(struct tool *t);
int cmd_status(struct tool *t);
int cmd_enroll(struct tool *t);
int cmd_policy(struct tool *t);
int cmd_seal(struct tool *t);
int cmd_reseal(struct tool *t);
int cmd_recover(struct tool *t);
int cmd_attest(struct tool *t);
int cmd_verify(struct tool *t);
int cmd_key(struct tool *t);
int cmd_uri(struct tool *t);

#endif
