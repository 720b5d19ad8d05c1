/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <string.h>

#include "tools/options.h"
#include "tools/tool.h"

const struct option_info option_table[OPT_COUNT] = {
#define OPTION(id, name, value, help) [OPT_##id] = { name, value, help },
#include "tools/options.def"
#undef OPTION
};

#define O(id) (UINT64_C(1) << OPT_##id)
const struct command command_table[] = {
#define COMMAND(name, run, operands, least, most, options, summary)            \
	{ name, run, operands, least, most, options, summary },
#include "tools/commands.def"
#undef COMMAND
};
const size_t n_commands = NELEMS(command_table);

#define GLOBAL_OPTIONS (O(CONFIG) | O(HELP) | O(JSON) | O(TOKEN))
#define LONE_OPTIONS (O(HELP) | O(VERSION)) /* that need no command */
#define WORDS_MAX (2 + OPERANDS_MAX)

_Static_assert(OPT_COUNT <= 64, "a bit for each option");

/* The words that are no options: a command of one or two, and operands. */
struct words {
	const char *v[WORDS_MAX];
	size_t n;
};

/* What people typed may have been pasted: nothing odd reaches a terminal. */
static int _printf_(2, 3)
    complain(char complaint[static COMPLAINT_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(complaint, COMPLAINT_MAX, fmt, ap);
	va_end(ap);
	for (char *p = complaint; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return -1;
}

/* True when arg is the option, with *ret_value behind "=", or NULL. */
static bool
is_option(const char *arg, const struct option_info *o, const char **ret_value)
{
	size_t n = strlen(o->name);

	if (strncmp(arg, o->name, n) != 0 || (arg[n] != '\0' && arg[n] != '='))
		return false;
	*ret_value = arg[n] == '=' ? arg + n + 1 : NULL;
	return true;
}

static int
find_option(const char *arg, const char **ret_value)
{
	*ret_value = NULL;
	if (strcmp(arg, "-h") == 0)
		return OPT_HELP;
	for (int i = 0; i < OPT_COUNT; i++)
		if (is_option(arg, &option_table[i], ret_value))
			return i;
	return OPT_COUNT;
}

/* Takes argv[*i], and its value from argv[*i + 1] where it has one. */
static int
take_option(int argc, char *const *argv, int *i, struct tool *t,
    char complaint[static COMPLAINT_MAX])
{
	const char *arg = argv[*i], *value;
	int id = find_option(arg, &value);
	const struct option_info *o;

	if (id == OPT_COUNT)
		return complain(complaint, "there is no option \"%.64s\"", arg);
	o = &option_table[id];
	if (t->opt[id] != NULL)
		return complain(complaint, "%s is given twice", o->name);
	if (o->value == NULL && value != NULL)
		return complain(complaint, "%s takes no value", o->name);
	if (o->value == NULL)
		value = o->name;
	else if (value == NULL && ++*i < argc)
		value = argv[*i];
	if (value == NULL || value[0] == '\0')
		return complain(complaint, "%s lacks its value", o->name);
	t->opt[id] = value;
	return 0;
}

static int
sort_words(int argc, char *const *argv, struct tool *t, struct words *w,
    char complaint[static COMPLAINT_MAX])
{
	bool options = true;

	for (int i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
			if (take_option(argc, argv, &i, t, complaint) != 0)
				return -1;
		} else if (w->n == WORDS_MAX) {
			return complain(complaint,
			    "\"%.64s\" is one word too many", argv[i]);
		} else {
			w->v[w->n++] = argv[i];
		}
	}
	return 0;
}

/* How many words of w are the command's name, 0 for another command. */
static size_t
name_words(const struct command *c, const struct words *w)
{
	size_t n = strlen(w->v[0]);

	if (strncmp(c->name, w->v[0], n) != 0)
		return 0;
	if (c->name[n] == '\0')
		return 1;
	return c->name[n] == ' ' && w->n > 1 &&
		strcmp(c->name + n + 1, w->v[1]) == 0 ?
	    2 :
	    0;
}

/* The first word may begin commands of two: then the second is wrong. */
static int
no_command(const struct words *w, char complaint[static COMPLAINT_MAX])
{
	size_t len = strlen(w->v[0]);
	char text[COMPLAINT_MAX] = "";
	size_t at = 0;

	for (size_t i = 0; i < n_commands; i++) {
		const char *name = command_table[i].name;

		if (strncmp(name, w->v[0], len) == 0 && name[len] == ' ' &&
		    at + 24 < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at,
			    "%s\"%s\"", at > 0 ? " or " : "", name);
	}
	if (at > 0)
		return complain(complaint, "the command is %s", text);
	return complain(complaint,
	    "there is no command \"%.64s\"; --help lists them", w->v[0]);
}

static int
find_command(struct tool *t, struct words *w,
    char complaint[static COMPLAINT_MAX])
{
	size_t used = 0;

	for (size_t i = 0; i < n_commands && used == 0; i++)
		if ((used = name_words(&command_table[i], w)) > 0)
			t->command = &command_table[i];
	if (used == 0)
		return no_command(w, complaint);
	for (size_t i = used; i < w->n; i++) {
		if (t->n_operands == OPERANDS_MAX)
			return complain(complaint,
			    "\"%.64s\" is one operand too many", w->v[i]);
		t->operand[t->n_operands++] = w->v[i];
	}
	return 0;
}

static int
check_command(const struct tool *t, char complaint[static COMPLAINT_MAX])
{
	const struct command *c = t->command;

	for (int i = 0; i < OPT_COUNT; i++)
		if (t->opt[i] != NULL &&
		    ((c->options | GLOBAL_OPTIONS) >> i & 1) == 0)
			return complain(complaint,
			    "this command does not take %s",
			    option_table[i].name);
	if (t->opt[OPT_HELP] != NULL)
		return 0;
	if (t->n_operands < c->least)
		return complain(complaint, "%s is missing", c->operands);
	if (t->n_operands > c->most)
		return complain(complaint, "\"%.64s\" is one operand too many",
		    t->operand[c->most]);
	return 0;
}

int
options_parse(int argc, char *const *argv, struct tool *ret,
    char complaint[static COMPLAINT_MAX])
{
	struct words w = { .n = 0 };

	memset(ret, 0, sizeof(*ret));
	complaint[0] = '\0';
	if (sort_words(argc, argv, ret, &w, complaint) != 0)
		return -1;
	if (w.n == 0) {
		for (int i = 0; i < OPT_COUNT; i++)
			if (ret->opt[i] != NULL && (LONE_OPTIONS >> i & 1) != 0)
				return 0;
		return complain(complaint, "%s", "a command is missing");
	}
	if (find_command(ret, &w, complaint) != 0)
		return -1;
	return check_command(ret, complaint);
}

#define COLUMNS 78
#define INDENT 8

/* Appends a piece to the line, or to a new line where it would not fit. */
static void
wrap(FILE *out, size_t *column, const char *piece)
{
	size_t n = strlen(piece);

	if (n == 0)
		return;
	if (*column + 1 + n > COLUMNS) {
		(void)fprintf(out, "\n%*s", INDENT, "");
		*column = INDENT;
	}
	(void)fprintf(out, " %s", piece);
	*column += 1 + n;
}

void
options_usage(FILE *out, const struct command *c)
{
	size_t column = (size_t)fprintf(out, "usage: cvm-token %s", c->name);
	char piece[96];

	for (int i = 0; i < OPT_COUNT; i++) {
		const struct option_info *o = &option_table[i];

		if ((c->options >> i & 1) == 0)
			continue;
		(void)snprintf(piece, sizeof(piece), "[%s%s%s]", o->name,
		    o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		wrap(out, &column, piece);
	}
	wrap(out, &column, c->operands);
	(void)fprintf(out, "\n");
}

static void
print_options(FILE *out, uint64_t options)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct option_info *o = &option_table[i];
		char left[48];

		if ((options >> i & 1) == 0)
			continue;
		(void)snprintf(left, sizeof(left), "%s%s%s", o->name,
		    o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		(void)fprintf(out, "  %-24s %s\n", left, o->help);
	}
}

void
options_help(FILE *out, const struct command *c)
{
	if (c != NULL) {
		options_usage(out, c);
		(void)fprintf(out, "%s\n\n", c->summary);
		print_options(out, c->options | GLOBAL_OPTIONS);
		return;
	}
	(void)fprintf(out, "usage: cvm-token COMMAND [OPTION ...]\n\n");
	for (size_t i = 0; i < n_commands; i++)
		(void)fprintf(out, "  %-13s %s\n", command_table[i].name,
		    command_table[i].summary);
	(void)fprintf(out, "\n");
	print_options(out, GLOBAL_OPTIONS | O(VERSION));
	(void)fprintf(out,
	    "\nExit status: 0 done, 1 refused, 2 cannot tell.\n"
	    "COMMAND --help tells more; see cvm-token(1), "
	    "cvm-pkcs11.conf(5), cvm-pkcs11-policy(5).\n");
}
