/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The command line, read by one table of options and one of commands. */
enum option_id {
#define OPTION(id, name, value, help) OPT_##id,
#include "tools/options.def"
#undef OPTION
	OPT_COUNT
};

struct option_info {
	const char *name;  /* "--out" */
	const char *value; /* "FILE"; NULL: a flag */
	const char *help;
};
extern const struct option_info option_table[OPT_COUNT];

struct tool;

struct command {
	const char *name; /* "seal add" */
	int (*run)(struct tool *t);
	const char *operands; /* "[SET]" */
	size_t least, most;   /* of operands */
	uint64_t options;     /* bit i: takes option i; without the global */
	const char *summary;
};
extern const struct command command_table[];
extern const size_t n_commands;

#define OPERANDS_MAX 64

/* What a command line says; strings borrow from argv. */
struct tool {
	const struct command *command; /* NULL with --help or --version only */
	const char *opt[OPT_COUNT];    /* NULL: not given; a flag: its name */
	const char *operand[OPERANDS_MAX]; /* NULL: not given */
	size_t n_operands;
};

#define COMPLAINT_MAX 160
/*
 * Options may stand anywhere, as "--name value" or "--name=value", each at
 * most once; "--" ends them; "-" is an operand; -h is --help. 0, or -1 with
 * one printable sentence in complaint. ret->command is then set when known.
 */
int options_parse(int argc, char *const *argv, struct tool *ret,
    char complaint[static COMPLAINT_MAX]);

/* "usage: cvm-token init [--label LABEL] ...", wrapped, with a newline. */
void options_usage(FILE *out, const struct command *c);
/* Usage, summary and a line for each option; NULL: a list of all commands. */
void options_help(FILE *out, const struct command *c);

#endif
